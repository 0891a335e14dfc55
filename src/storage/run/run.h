/* src/storage/run/run.h: records of sealed segments, sorted by stream and sequence (spec/journal.md).
 *
 *   runs-<first segment>-<last segment>
 *   header    64 bytes
 *   blocks    16-byte header | frames of one stream without checksums, compressed by LZ4 where that helps
 *   footer    streams | blocks | subjects | keys | lost ranges | text
 *   trailer   128 bytes: where the footer is, and its checksum
 *
 * The footer answers what a search needs without touching a block: which streams, sequences, times and
 * subjects there are, and at which record an id or a reference is found (hashes in order, 12 bytes each). It
 * is mapped, so a run costs next to no memory. A run is written beside its name, synced and renamed, so it is
 * whole or not there. Adjacent runs are merged into one that takes the place of all of them; of two runs the
 * one whose segments the other holds too is a left-over. A damaged block costs its records and is told; a
 * damaged footer makes the run unreadable. Threads: a run and a cache belong to the library. */
#pragma once

#include "storage/index/tail.h"

enum {
    NX_RUN_VERSION = 2, /* written; 1, without the records' places, is read too */
    NX_RUN_VERSION_MIN = 1,
    NX_RUN_HEADER_SIZE = 64,
    NX_RUN_TRAILER_SIZE = 128,
    NX_RUN_BLOCK_SIZE = 64 * 1024, /* bytes of frames after which a block is closed */
    NX_RUN_CACHE_SLOTS = 8,
};

struct nx_run;

/* A block that was unpacked lately. */
struct nx_run_slot {
    const struct nx_run *run;
    uint32_t block;
    uint64_t used; /* when, for throwing out the oldest */
    uint8_t *bytes;
    size_t size;
    uint32_t *offsets; /* of the frames */
    size_t count;
};
struct nx_run_cache { /* starts zeroed */
    struct nx_run_slot slots[NX_RUN_CACHE_SLOTS];
    uint64_t clock;
    size_t last; /* the slot that was used last */
};

void nx_run_cache_fini(struct nx_run_cache *cache);

/** "<directory>/runs-<first>-<last>", 16 hex digits each. Errors: NX_INVALID_ARGUMENT (too long) */
NX_MUST_CHECK enum nx_status nx_run_path(const char *directory, uint64_t first_segment, uint64_t last_segment,
                                         char path_out[NX_PATH_SIZE_MAX], struct nx_error *err);
/** The segments in a run's file name; false for any other name. */
bool nx_run_name_parse(struct nx_str name, uint64_t *first_out, uint64_t *last_out);
/** Ownership: the caller ends it with nx_run_close().
 * Errors:    NX_NOT_FOUND            no such file
 *            NX_FAILED_PRECONDITION  kind format-version
 *            NX_DATA_LOSS            header, footer or trailer is damaged
 *            NX_UNAVAILABLE, NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_run_open(struct nx_disk *disk, const char *directory, uint64_t first_segment,
                                         uint64_t last_segment, struct nx_run **run_out,
                                         struct nx_error *err);
/** Forgets its blocks in `cache` (may be NULL). */
void nx_run_close(struct nx_run *run, struct nx_run_cache *cache);
uint64_t nx_run_first_segment(const struct nx_run *run);
uint64_t nx_run_last_segment(const struct nx_run *run);
uint64_t nx_run_size(const struct nx_run *run); /* bytes of the file */
/** How many streams it holds records of. */
size_t nx_run_extent_count(const struct nx_run *run);
/** What it holds of one stream, and the stream's name, borrowed. */
struct nx_extent nx_run_extent_at(const struct nx_run *run, size_t index, struct nx_str *name_out);
/** False when it holds no record of the stream. */
bool nx_run_extent(const struct nx_run *run, uint32_t stream, struct nx_extent *extent_out);
/** How far the stream had come when the run was written, whether or not it holds something of it; false when
 * it does not know the stream. */
bool nx_run_reach(const struct nx_run *run, uint32_t stream, uint64_t *last_sequence_out,
                  int64_t *last_time_ns_out);
/** How many records it holds, of all streams, and how many bytes of the file are not punched out. */
uint64_t nx_run_record_count(const struct nx_run *run);
uint64_t nx_run_live_size(const struct nx_run *run);
/** How many of the stream's records there have kept their de-duplication key. */
uint64_t nx_run_dedup_count(const struct nx_run *run, uint32_t stream);
/** The sequences of the stream that were destroyed before the run was written; false past the last. */
bool nx_run_lost(const struct nx_run *run, uint32_t stream, size_t index, uint64_t *first_out,
                 uint64_t *last_out);
/** As nx_tail_at_or_after(); the strings are valid until the cache is used again a few times. */
enum nx_stored_found nx_run_at_or_after(const struct nx_run *run, struct nx_run_cache *cache, uint32_t stream,
                                        uint64_t sequence, struct nx_stored *stored_out);
/** As nx_tail_at_or_before(). */
enum nx_stored_found nx_run_at_or_before(const struct nx_run *run, struct nx_run_cache *cache,
                                         uint32_t stream, uint64_t sequence, struct nx_stored *stored_out);
/** As nx_tail_last_of_subject(). */
uint64_t nx_run_last_of_subject(const struct nx_run *run, uint32_t stream, struct nx_str subject);
/** How many records of this subject are newer than the one of this sequence, whose place in the run is
 * `place` (of no meaning when it is in no run or in an older one). */
uint64_t nx_run_count_newer(const struct nx_run *run, uint32_t stream, struct nx_str subject,
                            uint64_t sequence, uint32_t place);
/** The newest record of this subject below the sequence `*below`, which is set to its own: start with
 * UINT64_MAX. False at the end; those that are damaged are passed over. */
bool nx_run_older_of_subject(const struct nx_run *run, struct nx_run_cache *cache, uint32_t stream,
                             struct nx_str subject, uint64_t *below, struct nx_stored *stored_out);
size_t nx_run_subject_count(const struct nx_run *run, uint32_t stream);
/** The stream's subjects in the order of their bytes, borrowed; false past the last. */
bool nx_run_subject_at(const struct nx_run *run, uint32_t stream, size_t index, struct nx_str *subject_out);
/** A sequence of the stream behind which all records lie that are not older than `time_ns`; near the first of
 * them. */
uint64_t nx_run_sequence_before(const struct nx_run *run, uint32_t stream, int64_t time_ns);
/** False when no record of the stream can have a subject that `matches`; true also when there are too many
 * subjects to look. */
bool nx_run_may_match(const struct nx_run *run, uint32_t stream, struct nx_str filter,
                      bool (*matches)(struct nx_str filter, struct nx_str subject));
/** Records with this key in the order of streams and sequences: start with *cursor = 0. False at the end. */
bool nx_run_find(const struct nx_run *run, struct nx_run_cache *cache, enum nx_key_kind kind,
                 struct nx_str key, uint64_t *cursor, struct nx_stored *stored_out);
/** A part of what it holds of the stream, as small as can be dropped by itself: index 0 is the oldest that is
 * left, `size` counts bytes of the file. False past the last. */
bool nx_run_part(const struct nx_run *run, uint32_t stream, size_t index, struct nx_extent *part_out);
/** The bytes of the file that are taken by those parts of the stream that lie below `sequence`
 * (UINT64_MAX: by all); false when there are none. */
bool nx_run_region(const struct nx_run *run, uint32_t stream, uint64_t sequence, uint64_t *offset_out,
                   uint64_t *len_out);
/** The bytes of the file that the stream's parts have taken which are punched out; false when none are. */
bool nx_run_gone_region(const struct nx_run *run, uint32_t stream, uint64_t *offset_out, uint64_t *len_out);
/** Those parts have been punched out of the file: it does not hold them any more. */
void nx_run_mark_gone(struct nx_run *run, uint32_t stream, uint64_t sequence);
/** Something in it cannot be read: it is left as it is from now on. */
void nx_run_mark_damaged(struct nx_run *run);
bool nx_run_is_damaged(const struct nx_run *run);

/* ---- writing ---- */

struct nx_run_writer;

/** Starts the file under a temporary name.
 * Ownership: the caller ends it with nx_run_writer_close(). Errors: NX_UNAVAILABLE, kind disk-full */
NX_MUST_CHECK enum nx_status nx_run_writer_open(struct nx_disk *disk, const char *directory,
                                                uint64_t first_segment, uint64_t last_segment, uint64_t seed,
                                                struct nx_run_writer **writer_out, struct nx_error *err);
/** The records that follow are of this stream; numbers rise. */
NX_MUST_CHECK enum nx_status nx_run_writer_stream(struct nx_run_writer *writer, uint32_t stream,
                                                  struct nx_str name, struct nx_error *err);
/** Say beforehand which subjects the present stream's records can have, in the order of their bytes: then
 * none of them has to be sorted. Before the stream's first record, all of them or none. */
NX_MUST_CHECK enum nx_status nx_run_writer_subject(struct nx_run_writer *writer, struct nx_str subject,
                                                   struct nx_error *err);
/** Add a record; sequences rise. `keep_dedup`: its key is still needed. */
NX_MUST_CHECK enum nx_status nx_run_writer_add(struct nx_run_writer *writer, const struct nx_stored *stored,
                                               bool keep_dedup, struct nx_error *err);
/** These sequences of the present stream are destroyed. */
NX_MUST_CHECK enum nx_status nx_run_writer_lose(struct nx_run_writer *writer, uint64_t first, uint64_t last,
                                                struct nx_error *err);
/** The present stream has come this far, though what stood there last is not kept: nobody takes it for lost.
 */
void nx_run_writer_reach(struct nx_run_writer *writer, uint64_t last_sequence, int64_t last_time_ns);
/** Bytes that were written and not yet synced. */
uint64_t nx_run_writer_unsynced(const struct nx_run_writer *writer);
/** Put on disk what was written, so that the end has less to do. */
NX_MUST_CHECK enum nx_status nx_run_writer_sync(struct nx_run_writer *writer, struct nx_error *err);
/** Do a bounded piece of nx_run_writer_finish(); the records are all there. `*done_out`: that was the last.
 */
NX_MUST_CHECK enum nx_status nx_run_writer_finish_piece(struct nx_run_writer *writer, bool *done_out,
                                                        struct nx_error *err);
/** The file may stand under its name already, though finishing it has failed. */
bool nx_run_writer_is_named(const struct nx_run_writer *writer);
/** Write the footer, sync, and give the file its name. */
NX_MUST_CHECK enum nx_status nx_run_writer_finish(struct nx_run_writer *writer, struct nx_error *err);
/** Removes a file that was not finished. NULL allowed. */
void nx_run_writer_close(struct nx_run_writer *writer);

NX_DEFINE_AUTO(nx_run_writer, nx_run_writer_close)
