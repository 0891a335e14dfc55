/* src/storage/wal/wal.h: the write side of the journal: batches into preallocated segments.
 *
 * A batch is put together in memory, written at once and synced once. Which streams and sequences there are
 * is the caller's business; this unit knows files, frames and their order. After any failed write or sync the
 * log takes nothing more until the process starts anew: what is on disk behind the last good batch is then
 * unknown, and a retried sync could report pages as written that are not.
 * Threads: owned by the journal; nx_wal_stats_get() from any thread. */
#pragma once

#include "base/counter.h"
#include "io/clock.h"
#include "io/random.h"
#include "storage/wal/segment.h"
#include "telemetry/metric.h"

struct nx_wal;

struct nx_wal_options {
    struct nx_disk *disk; /* borrowed for the log's life, as `directory` */
    struct nx_clock clock;
    struct nx_random random;
    const char *directory; /* the journal's, present */
    uint64_t segment_size; /* bytes; 0: NX_SEGMENT_SIZE_DEFAULT */
    uint64_t next_number;  /* of the first segment to be written; 0: 1 */
    uint64_t last_number;  /* the newest segment there is, 0: none */
    uint64_t last_end;     /* the byte behind its last batch */
};

/* One frame to be written. The strings are borrowed until the commit. */
struct nx_wal_entry {
    enum nx_frame_kind kind;
    uint8_t flags;
    uint32_t stream;
    uint64_t sequence;
    int64_t time_ns;
    struct nx_str dedup; /* NX_DEDUP_KEY_SIZE bytes with NX_FRAME_DEDUP, else empty */
    struct nx_str subject;
    struct nx_str headers;
    struct nx_str payload; /* STREAM, VOID: the body */
};

struct nx_wal_stats {
    struct nx_counter bytes; /* handed to the disk */
    struct nx_histogram batch_records;
    struct nx_histogram sync_ns;
};

/** Writes nothing yet: the first segment is made by the first nx_wal_roll().
 * Ownership: the caller ends it with nx_wal_close(). Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_wal_open(const struct nx_wal_options *options, struct nx_wal **wal_out,
                                         struct nx_error *err);
/** NULL allowed. What was not committed is dropped. */
void nx_wal_close(struct nx_wal *wal);
/** Bytes of frames, batch header and directory included, that the open segment still takes; 0 without one. */
uint64_t nx_wal_room(const struct nx_wal *wal);
/** Bytes of frames that an empty segment takes. */
uint64_t nx_wal_segment_room(const struct nx_wal *wal);
/** True when nothing was added since the last commit. */
bool nx_wal_batch_is_empty(const struct nx_wal *wal);
/** Bytes that the batch so far will take, with its header and directory. */
uint64_t nx_wal_batch_size(const struct nx_wal *wal);
/** An upper bound of what one more record with this body takes in a batch. */
static inline uint64_t nx_wal_entry_size(uint64_t body_size) {
    return nx_frame_size(body_size) + NX_BATCH_ENTRY_SIZE;
}
/** Have the next segment reserved already, so that rolling does not wait for the disk. Cheap when it is. It
 * gets the size that the options say, or `size_min` bytes where that is more.
 * Errors: kind disk-full, NX_UNAVAILABLE; nothing is lost, try again later */
NX_MUST_CHECK enum nx_status nx_wal_prepare(struct nx_wal *wal, uint64_t size_min, struct nx_error *err);
/** Bytes of the segment that is reserved already; 0: none is. */
uint64_t nx_wal_prepared_size(const struct nx_wal *wal);
/** Bytes that the open segment takes on the disk; 0 without one. */
uint64_t nx_wal_open_size(const struct nx_wal *wal);
/** True while nothing was written into the open segment. */
bool nx_wal_is_new(const struct nx_wal *wal);
/** Go to the next segment, of at least `size_min` bytes; the batch must be empty, and the next batch starts
 * with the checkpoint. One in which nothing was written yet is the next segment still.
 * Errors: as nx_wal_prepare() */
NX_MUST_CHECK enum nx_status nx_wal_roll(struct nx_wal *wal, uint64_t size_min, struct nx_error *err);
/** Room for this many more frames, so that adding them cannot fail. Errors: NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_wal_reserve(struct nx_wal *wal, size_t count, struct nx_error *err);
/** Add a frame to the batch. Errors: NX_RESOURCE_EXHAUSTED (out of memory; the batch is as before) */
NX_MUST_CHECK enum nx_status nx_wal_add(struct nx_wal *wal, const struct nx_wal_entry *entry,
                                        struct nx_error *err);
/** Drop what was added since the last commit. */
void nx_wal_discard(struct nx_wal *wal);
/** Write the batch, and sync it when `sync`. It must fit into nx_wal_room(). An empty batch is written too:
 * it proves that the one before is whole. Errors:    NX_UNAVAILABLE  kind log-frozen: this log takes nothing
 * more */
NX_MUST_CHECK enum nx_status nx_wal_commit(struct nx_wal *wal, bool sync, struct nx_error *err);
/** Sync what was committed without. Errors: as nx_wal_commit() */
NX_MUST_CHECK enum nx_status nx_wal_sync(struct nx_wal *wal, struct nx_error *err);
/** The open segment's number, 0 without one, and the byte behind its last batch. */
uint64_t nx_wal_position(const struct nx_wal *wal, uint64_t *end_out);
/** End the open segment: an empty batch, a sync, and the reserved rest given back. */
NX_MUST_CHECK enum nx_status nx_wal_finish(struct nx_wal *wal, struct nx_error *err);
const struct nx_wal_stats *nx_wal_stats_get(const struct nx_wal *wal);

NX_DEFINE_AUTO(nx_wal, nx_wal_close)
