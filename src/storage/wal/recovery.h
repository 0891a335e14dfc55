/* src/storage/wal/recovery.h: what the segments hold after a stop of any kind, in order, with what is lost.
 *
 * Two cases are told apart. Damage with a valid later batch (or segment) behind it hit records that had been
 * acknowledged: data loss, reported with its sequences, and reading goes on behind it. Damage in the last
 * batch is what an unfinished write looks like: the batch is cut at the first append that is not whole, and
 * what was cut is reported; its sequences are never used again.
 *
 * A tracker turns frames into what they say of streams; it is used by recovery and by whoever follows a
 * running log. Threads: each tracker has one owner. */
#pragma once

#include "storage/wal/segment.h"

enum { NX_STREAMS_MAX = 100000 };

/* What the log says, in its order. */
struct nx_wal_visitor {
    void *data;
    /* The stream with this number has this name. Its sequences up to `last_sequence` are used up; a later
     * call with the same number only corrects the name. */
    enum nx_status (*stream)(void *data, uint32_t stream, struct nx_str name, uint64_t first_sequence,
                             uint64_t last_sequence, int64_t time_ns, struct nx_error *err);
    /* A record; sequences of a stream rise by one, gaps are told before. */
    enum nx_status (*record)(void *data, const struct nx_segment *segment, const struct nx_frame *frame,
                             struct nx_error *err);
    /* The sequences from `first` to `last` hold nothing: destroyed (`lost`), or never used. */
    enum nx_status (*gap)(void *data, uint32_t stream, uint64_t first, uint64_t last, bool lost,
                          struct nx_error *err);
};

struct nx_wal_tracker {
    struct nx_wal_visitor visitor;
    uint64_t *last; /* by stream number: its last sequence + 1; 0: not known yet */
    size_t capacity;
    struct nx_buf *report;   /* lines for the operator, or NULL */
    uint64_t segment_number; /* for the report */
    uint64_t lost_count;     /* records destroyed */
    uint64_t line_count;     /* of the report, those left out included */
};

/** `report` is borrowed for the tracker's life; its maximum bounds the report. */
void nx_wal_tracker_init(struct nx_wal_tracker *tracker, const struct nx_wal_visitor *visitor,
                         struct nx_buf *report);
void nx_wal_tracker_fini(struct nx_wal_tracker *tracker);
/** The stream's sequences up to `last` are told already, by what was sealed before these segments.
 * Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_wal_tracker_know(struct nx_wal_tracker *tracker, uint32_t stream,
                                                 uint64_t last, struct nx_error *err);
/** Take in the next frame of the log. After an error the same frame can be given again: the visitor is told
 * what it has not taken yet, and nothing twice.
 * Errors: the visitor's, NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_wal_tracker_frame(struct nx_wal_tracker *tracker,
                                                  const struct nx_segment *segment,
                                                  const struct nx_frame *frame, struct nx_error *err);
/** Add a line to the report. */
void nx_wal_tracker_report(struct nx_wal_tracker *tracker, const char *format, ...) NX_PRINTF(2, 3);

/* The segments of a directory. */
struct nx_wal_listing {
    uint64_t *numbers; /* ascending */
    size_t count;
    size_t capacity;
};

/** Errors: NX_UNAVAILABLE, NX_RESOURCE_EXHAUSTED. An absent directory is empty. */
NX_MUST_CHECK enum nx_status nx_wal_list(struct nx_disk *disk, const char *directory,
                                         struct nx_wal_listing *listing_out, struct nx_error *err);
void nx_wal_listing_fini(struct nx_wal_listing *listing);

struct nx_wal_recovered {
    uint64_t last_number; /* the newest segment that holds batches; 0: none */
    uint64_t last_end;    /* the byte behind its last whole append */
    uint64_t last_batch;  /* where its last batch begins; 0: the segment's header is not proven either */
    uint64_t
        next_number; /* of the segment to be written next; no file has it, or one that is only reserved */
    bool torn;       /* bytes behind it were cut off, or were in a file that cannot be read */
};

/* How the segments are looked at. */
struct nx_wal_look {
    uint64_t from_number; /* of the first one */
    /* By somebody who only reads: another process may be writing, an unfinished tail is nothing to report,
     * and the bodies of records are checked when they are read. */
    bool live;
    uint64_t resting_until; /* live: up to this segment nobody writes; 0: unknown */
};

/** Walk over every segment that is looked at and tell the tracker. Nothing is changed on disk.
 * Errors:    NX_FAILED_PRECONDITION  kind format-version
 *            NX_UNAVAILABLE          the disk refused
 *            NX_RESOURCE_EXHAUSTED   out of memory; also the visitor's errors */
NX_MUST_CHECK enum nx_status nx_wal_recover(struct nx_disk *disk, const char *directory,
                                            const struct nx_wal_look *look, struct nx_wal_tracker *tracker,
                                            struct nx_wal_recovered *recovered_out, struct nx_error *err);

/** Put on disk what recovery has found in the last batch. It may stand in the page cache only, and even be
 * marked as written there when the process before died of a failed sync: so it is written again, not just
 * synced. Errors: NX_UNAVAILABLE, NX_RESOURCE_EXHAUSTED; a read-only disk is none */
NX_MUST_CHECK enum nx_status nx_wal_secure(struct nx_disk *disk, const char *directory,
                                           const struct nx_wal_recovered *recovered, struct nx_error *err);

NX_DEFINE_AUTO_IN_PLACE(nx_wal_listing, nx_wal_listing_fini)
