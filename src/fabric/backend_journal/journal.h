/* src/fabric/backend_journal/journal.h: the actor that writes.
 *
 * A step takes every append that is waiting, gives each record its sequence, writes all of them in one batch
 * with one sync, and answers. What an append depends on stands in memory: each stream's last sequence and
 * time, its window of de-duplication keys, and for subjects on which conditions were put, their last
 * sequence; one that is not known is asked of the library while the append waits.
 * Threads: one, the actor's; before it runs and after it, whoever opens and closes the fabric. */
#pragma once

#include "base/map.h"
#include "fabric/backend_journal/board.h"
#include "fabric/backend_journal/dedup.h"
#include "fabric/fabric.h"
#include "storage/wal/recovery.h"
#include "storage/wal/wal.h"

enum {
    NX_FABRIC_NOTICE = 0x180,   /* from the journal to the library: look at the board */
    NX_UNSEALED_NOTED_MAX = 64, /* segments */
};

/* A segment that no run holds yet. */
struct nx_journal_unsealed {
    uint64_t number;
    uint64_t size; /* bytes that it takes on the disk */
};

struct nx_journal_stream {
    uint32_t number;    /* in the log's frames; 0: not in the log yet */
    struct nx_str name; /* the end of the announcement */
    char *announcement; /* owned: the body of its STREAM frame */
    struct nx_stream_config config;
    uint64_t last_sequence;
    int64_t last_time_ns;
    uint64_t void_from; /* the newest sequences, from this one on, hold nothing; 0: not so */
    struct nx_dedup dedup;
    bool is_tracked;            /* `subjects` has every subject appended since this was set */
    bool is_protected;          /* a consumer wants its records kept */
    bool is_gone;               /* it takes nothing more: see struct nx_define */
    bool may_lose;              /* records leave by limits or by marks, which the journal is not told */
    struct nx_define *refuses;  /* owned: its limits, where they refuse what is new; else NULL */
    struct nx_append_room room; /* of those: the last answer, with what was added since; may be too much */
};

struct nx_journal {
    const struct nx_fabric_options *options;
    struct nx_board *board;
    struct nx_mailbox *mailbox; /* appends */
    struct nx_mailbox *library; /* reads and notices */
    struct nx_wal *wal;         /* NULL when read_only */
    char *directory;            /* "<data directory>/journal" */
    struct nx_map streams;      /* name: struct nx_journal_stream, owned */
    struct nx_journal_stream **by_number;
    size_t by_number_count;
    uint32_t next_number;
    struct nx_map
        subjects; /* stream number and subject: last sequence + 1 as a pointer, or the mark "asked" */
    struct nx_message_queue asks; /* questions to the library, sent after the commit */
    uint64_t asks_made;           /* so far; they are answered in this order */
    uint64_t asks_answered;
    uint64_t generation;             /* of `subjects`: raised when it is emptied */
    struct nx_message_queue parked;  /* appends that wait for answers, by how many */
    struct nx_message_queue stalled; /* appends that wait for a limit to pass */
    uint64_t stalled_size;           /* bytes of them */
    int64_t stall_end_ns;            /* monotonic: they are refused then; 0: nobody waits */
    int64_t stall_retry_ns;          /* monotonic: it is looked at again then */
    struct nx_message_queue batch;   /* appends in the batch */
    bool batch_needs_sync;
    bool has_unsynced;
    int64_t sync_at_ns; /* monotonic */
    uint64_t notices_sent;
    bool notice_owed;      /* the log has grown since the last notice */
    int64_t notice_due_ns; /* monotonic: when it is sent, though nobody waits for it */
    uint64_t told_bytes;   /* written to the log before the last notice */
    int64_t retry_prepare_ns;
    int64_t age_min_ns;  /* of the streams that have an age limit the shortest; 0: none has */
    int64_t roll_due_ns; /* monotonic: the open segment has been taking records for long enough */
    struct nx_journal_unsealed unsealed[NX_UNSEALED_NOTED_MAX]; /* ascending */
    size_t unsealed_count;
    bool must_checkpoint; /* recovery found sequences that must be listed as void */
};

/** Ownership: everything is borrowed for the journal's life. Opens nothing on disk.
 * Errors: NX_RESOURCE_EXHAUSTED (out of memory), NX_INVALID_ARGUMENT (a bad stream name) */
NX_MUST_CHECK enum nx_status nx_journal_init(struct nx_journal *journal,
                                             const struct nx_fabric_options *options, struct nx_board *board,
                                             struct nx_mailbox *mailbox, struct nx_mailbox *library,
                                             struct nx_error *err);
void nx_journal_fini(struct nx_journal *journal);
/* What recovery tells it: see struct nx_wal_visitor. */
NX_MUST_CHECK enum nx_status nx_journal_see_stream(struct nx_journal *journal, uint32_t number,
                                                   struct nx_str name, uint64_t last_sequence,
                                                   int64_t time_ns, struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_journal_see_record(struct nx_journal *journal, const struct nx_frame *frame,
                                                   int64_t now_ns, struct nx_error *err);
/** A run holds this of a stream. */
NX_MUST_CHECK enum nx_status nx_journal_see_run(struct nx_journal *journal, uint32_t number,
                                                struct nx_str name, uint64_t last_sequence, int64_t time_ns,
                                                struct nx_error *err);
/** A run has kept this de-duplication key of a record. False: no memory. */
NX_MUST_CHECK bool nx_journal_see_key(struct nx_journal *journal, uint32_t number, struct nx_str key,
                                      uint64_t sequence, int64_t time_ns, int64_t now_ns);
void nx_journal_see_gap(struct nx_journal *journal, uint32_t number, uint64_t first, uint64_t last,
                        bool lost);
/** Go on writing behind what recovery found. Errors: NX_RESOURCE_EXHAUSTED (out of memory). A disk that
 * refuses is no error here: appends are refused until it takes them. */
NX_MUST_CHECK enum nx_status nx_journal_start(struct nx_journal *journal,
                                              const struct nx_wal_recovered *recovered, struct nx_error *err);
/** The actor's step. */
int64_t nx_journal_step(void *state, struct nx_now now, struct nx_message_queue *inbox);
