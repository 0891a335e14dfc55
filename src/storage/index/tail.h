/* src/storage/index/tail.h: the index, in memory, of one segment that has not been sealed into a run.
 *
 * Four bytes a record for its place, and for each header by which records are looked up, and for each
 * distinct subject, an entry in a table. It is made by reading the segment front to back, so nothing of it
 * needs to be on disk; sealing the segment replaces it by what the run's footer says.
 * Threads: owned by the library. */
#pragma once

#include "storage/wal/segment.h"

/* Keys by which records are found again: an id, and the event that a record refers to. */
enum nx_key_kind { NX_KEY_ID = 1, NX_KEY_REFERENCE = 2, NX_KEY_SUBJECT = 3 };
enum { NX_KEYS = 2 }; /* of them stand in headers: */
extern const enum nx_key_kind nx_key_kinds[NX_KEYS];

/* A record where it lies: the strings point into the segment's or the run's memory. */
struct nx_stored {
    uint32_t stream;
    uint64_t sequence;
    int64_t time_ns;
    uint32_t place;      /* in a run: among the records of its subject there, from 0 */
    struct nx_str dedup; /* NX_DEDUP_KEY_SIZE bytes, or empty */
    struct nx_str subject;
    struct nx_str headers;
    struct nx_str payload;
};

/* What a segment or run holds of one stream. */
struct nx_extent {
    uint32_t stream;
    uint64_t first_sequence;
    uint64_t last_sequence;
    uint64_t count;
    uint64_t size; /* bytes of the frames */
    int64_t first_time_ns;
    int64_t last_time_ns;
};

struct nx_tail;

/** The hash under which a key is stored; `seed` is the index's. */
uint64_t nx_key_hash(enum nx_key_kind kind, struct nx_str key, uint64_t seed);
/** A record's key of this kind; empty when it has none. */
struct nx_str nx_stored_key(const struct nx_stored *stored, enum nx_key_kind kind);
/** Its keys that stand in headers, in the order of nx_key_kinds. */
void nx_stored_keys(const struct nx_stored *stored, struct nx_str keys_out[NX_KEYS]);
/** The record in a RECORD frame. */
void nx_stored_of_frame(const struct nx_frame *frame, struct nx_stored *stored_out);

/** An empty index of this segment. Ownership: takes the segment. Errors: NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_tail_new(struct nx_segment *segment, uint64_t seed, struct nx_tail **tail_out,
                                         struct nx_error *err);
void nx_tail_free(struct nx_tail *tail); /* NULL allowed */
const struct nx_segment *nx_tail_segment(const struct nx_tail *tail);
/** Add a RECORD frame of this segment; sequences of a stream must rise. `with_history`: more than the newest
 * record of each of the stream's subjects will be asked for.
 * Errors: NX_RESOURCE_EXHAUSTED (out of memory; the index is as before) */
NX_MUST_CHECK enum nx_status nx_tail_add(struct nx_tail *tail, const struct nx_frame *frame,
                                         bool with_history, struct nx_error *err);
/** What it holds of the stream, borrowed until the next addition; NULL: nothing. */
const struct nx_extent *nx_tail_extent(const struct nx_tail *tail, uint32_t stream);
/** How many streams it holds records of, and one of them; in no order. */
size_t nx_tail_extent_count(const struct nx_tail *tail);
const struct nx_extent *nx_tail_extent_at(const struct nx_tail *tail, size_t index);

enum nx_stored_found {
    NX_STORED_FOUND,
    NX_STORED_NONE,
    NX_STORED_DAMAGED /* there is one, with this sequence, but its bytes are destroyed */
};
/** The stream's first record with a sequence of at least `sequence`. */
enum nx_stored_found nx_tail_at_or_after(const struct nx_tail *tail, uint32_t stream, uint64_t sequence,
                                         struct nx_stored *stored_out);
/** The stream's last record with a sequence of at most `sequence`. */
enum nx_stored_found nx_tail_at_or_before(const struct nx_tail *tail, uint32_t stream, uint64_t sequence,
                                          struct nx_stored *stored_out);
/** The sequence of the newest record of the stream with exactly this subject; 0: none. */
uint64_t nx_tail_last_of_subject(const struct nx_tail *tail, uint32_t stream, struct nx_str subject);
/** How many records of this subject are newer than `sequence`, counted up to `limit`; without a history, up
 * to 1. */
uint64_t nx_tail_count_newer(const struct nx_tail *tail, uint32_t stream, struct nx_str subject,
                             uint64_t sequence, uint64_t limit);
/** The records of this subject, newest first: start with *cursor = 0. Without a history only the newest.
 * False at the end; those that are damaged are passed over. */
bool nx_tail_older_of_subject(const struct nx_tail *tail, uint32_t stream, struct nx_str subject,
                              uint32_t *cursor, struct nx_stored *stored_out);
/** Records with this id or reference, newest first: start with *cursor = 0. False at the end. */
bool nx_tail_find(const struct nx_tail *tail, enum nx_key_kind kind, struct nx_str key, uint32_t *cursor,
                  struct nx_stored *stored_out);
/** Bytes of memory that the index takes, about. */
size_t nx_tail_memory(const struct nx_tail *tail);

NX_DEFINE_AUTO(nx_tail, nx_tail_free)
