/* src/fabric/backend_journal/library.h: the actor that reads.
 *
 * It follows the log behind the acknowledgement: each step first takes in what the board says is synced, so a
 * read that was sent after an append was answered sees it. What it knows is the index of each segment that is
 * not sealed yet, in memory, and what the runs' footers say. Scans that would be empty and may wait are kept
 * by their stream until a record comes or their time is up.
 * Threads: one, the actor's; before it runs and after it, whoever opens and closes the fabric. */
#pragma once

#include "base/map.h"
#include "fabric/backend_journal/board.h"
#include "fabric/backend_journal/merge_plan.h"
#include "fabric/fabric.h"
#include "fabric/vault/vault.h"
#include "storage/index/tail.h"
#include "storage/run/run.h"
#include "storage/wal/recovery.h"

enum { NX_LIBRARY_PARKED_MAX = 8192 }; /* scans that wait until some time */

struct nx_library_gap {
    uint64_t first;
    uint64_t last;
};

/* How much of a stream is shown: counted once, a piece at a time, and kept up from then on. */
struct nx_library_live {
    bool is_wanted;
    bool is_known;
    uint64_t next; /* while it is counted: sequences below this one are */
    uint64_t count;
    uint64_t size; /* bytes as NATS counts them */
};

struct nx_library_marks;

struct nx_library_stream {
    uint32_t number;    /* 0: declared, nothing in the log yet */
    struct nx_str name; /* owned */
    struct nx_stream_config config;
    uint64_t first_sequence; /* what retention leaves: nothing below is shown */
    uint64_t last_sequence;
    bool is_followed; /* another stream's records go with these, and some are stored */
    bool is_counted;  /* somebody asked how many records are current: the number is kept up from then on */
    uint64_t current_count;
    /* Of JetStream's: */
    struct nx_define *defined; /* the limits, which are exact; owned; NULL: nobody has said them yet */
    struct nx_library_live live;
    struct nx_library_marks *marks;   /* what was deleted; NULL: nothing */
    struct nx_library_stream *marked; /* of JSM_<id>: JS_<id>; else NULL */
    struct nx_message_queue infos;    /* reads that wait until it is counted */
    bool owes_first;                  /* something was deleted, and limits have raised the first sequence */
    bool has_expiry;                  /* library.expiry_ns is no later than its next record's end */
    struct nx_library_gap *lost;      /* sequences known to be destroyed, ascending */
    size_t lost_count;
    size_t lost_capacity;
    size_t lost_sealed;                     /* of them stand in runs */
    struct nx_protect *protections;         /* what consumers want kept; owned, linked by message.next */
    struct nx_message_queue parked;         /* scans that wait for its next record */
    int64_t deadline_ns;                    /* of those, no later than the earliest */
    struct nx_library_stream *next_waiting; /* in library.waiting */
    struct nx_library_stream *next_news;    /* in library.news */
    bool is_waiting;
    bool has_news;
    struct nx_stream_info sealed; /* what the runs hold of it, as of runs_generation */
    uint64_t sealed_generation;   /* 0: not known */
};

/* Turning the oldest segments into a run, a piece at a time. */
struct nx_sealing {
    struct nx_run_writer *writer; /* NULL: nothing is under way */
    size_t tail_count;            /* the first so many of the library's */
    uint64_t size;                /* bytes of the records in them */
    uint32_t stream;              /* being written */
    uint64_t sequence;            /* next one of it */
    bool has_begun;               /* the stream has an entry in the run */
    bool has_records;             /* all are written: the footer is next */
    uint64_t lost_count;
    int64_t retry_ns; /* not before, after a failure */
};

/* Turning adjacent runs into one, or one with much in it that is of no use any more into itself. */
struct nx_merging {
    struct nx_run_writer *writer; /* NULL: nothing is under way */
    uint64_t size;                /* bytes of the runs that become one */
    size_t first;                 /* index of the first run, and how many */
    size_t count;
    uint32_t stream;                  /* being written */
    size_t subjects[NX_MERGE_FAN_IN]; /* of the stream: next ones of each run */
    bool has_begun;                   /* the stream has an entry in the new run */
    bool has_subjects;                /* all of them are said */
    size_t source;                    /* counted from the first run: where its next record is */
    uint64_t sequence;                /* of that one, at least */
    bool has_records;                 /* all of every stream are written: the footer is next */
    struct nx_run_cache cache;
    int64_t resume_ns;  /* monotonic: readers and the disk have it to themselves until then */
    int64_t rewrite_ns; /* no run is written again by itself before */
    int64_t look_ns;    /* whether something is to be done is looked at then */
    size_t looked;      /* index of the run that was looked into last for what is of no use */
    bool is_off;        /* a new run may or may not stand under its name: the next start will see */
};

struct nx_library {
    const struct nx_fabric_options *options;
    struct nx_board *board;
    const char *directory; /* the journal's; borrowed */
    struct nx_map streams; /* name: struct nx_library_stream, owned */
    struct nx_library_stream **by_number;
    size_t by_number_count;
    struct nx_tail **tails; /* unsealed segments, ascending; owned */
    size_t tail_count;
    size_t tail_capacity;
    struct nx_run **runs; /* sealed ones, ascending; owned */
    size_t run_count;
    size_t run_capacity;
    struct nx_run_cache *cache; /* owned */
    struct nx_sealing sealing;
    bool is_ending; /* what can be sealed is, however little it is */
    struct nx_merging merging;
    int64_t retention_at_ns;           /* monotonic: when it is looked at next */
    uint64_t runs_size;                /* bytes that the runs take, as of the last look */
    bool is_held;                      /* retention would go on but for somebody's wish */
    struct nx_message_queue when_held; /* to be answered when that is so */
    bool is_answered;                  /* they have come back, and no look was taken since */
    bool is_asked;                     /* they were, and have not come back */
    int64_t ask_again_ns;              /* monotonic: not before */
    bool may_retain;                   /* whom options.retention_waits_for names has spoken */
    struct nx_wal_tracker tracker;
    uint64_t segment; /* position in the log: everything before it is known */
    uint64_t offset;
    uint64_t seed;
    uint64_t info_generation;          /* of what was added up for all streams */
    uint64_t runs_generation;          /* see nx_library_runs_changed() */
    struct nx_library_stream *waiting; /* those with parked scans; perhaps some that have none any more */
    struct nx_library_stream *news;    /* those with records since their parked scans were looked at */
    int64_t next_deadline_ns;          /* of the parked scans, the earliest */
    size_t parked_count;
    int64_t expiry_ns; /* monotonic: when the next record of JetStream's streams gets too old */
    struct nx_vault vault;
    struct nx_mailbox *appends; /* the journal's; borrowed, as our own */
    struct nx_mailbox *reads;
    struct nx_message_queue to_seal; /* appends, during a step */
    struct nx_message_queue erasing; /* struct nx_erase whose audit records are under way, in their order */
    struct nx_record *found;         /* scratch: the records of the answer that is being made */
    size_t found_capacity;
};

/** Ownership: everything is borrowed for the library's life, `directory` and the mailboxes too.
 * Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_library_init(struct nx_library *library,
                                             const struct nx_fabric_options *options, struct nx_board *board,
                                             const char *directory, struct nx_mailbox *appends,
                                             struct nx_mailbox *reads, struct nx_error *err);
void nx_library_fini(struct nx_library *library);
/* What the log says: see struct nx_wal_visitor. */
NX_MUST_CHECK enum nx_status nx_library_see_stream(struct nx_library *library, uint32_t number,
                                                   struct nx_str name, uint64_t last_sequence,
                                                   struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_library_see_record(struct nx_library *library,
                                                   const struct nx_segment *segment,
                                                   const struct nx_frame *frame, struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_library_see_gap(struct nx_library *library, uint32_t number, uint64_t first,
                                                uint64_t last, bool lost, struct nx_error *err);
/** Open the runs of the directory, the first thing of a recovery; what is in them, each stream's part in
 * turn, is told to `see`. `next_segment_out`: the first segment that no run holds. Unreadable runs are
 * reported. Errors: NX_FAILED_PRECONDITION kind format-version, NX_UNAVAILABLE, NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status
nx_library_open_runs(struct nx_library *library, struct nx_buf *report,
                     enum nx_status (*see)(void *data, const struct nx_extent *extent, struct nx_str name,
                                           struct nx_error *err),
                     void *data, uint64_t *next_segment_out, struct nx_error *err);
/** Take in what the runs say was deleted of JetStream's streams. Errors: NX_RESOURCE_EXHAUSTED (out of
 * memory)
 */
NX_MUST_CHECK enum nx_status nx_library_read_marks(struct nx_library *library, struct nx_error *err);
/** Walk over the de-duplication keys that the runs keep and that may still be in a window. */
void nx_library_recent_keys(struct nx_library *library, int64_t now_ns,
                            void (*visit)(void *data, const struct nx_stored *stored), void *data);
/** Go on behind what recovery has told; takes over the tracker. */
void nx_library_start(struct nx_library *library, struct nx_wal_tracker *tracker, uint64_t segment,
                      uint64_t offset);
/** Answer in place, ignoring `wait`. */
void nx_library_answer(struct nx_library *library, struct nx_read *read);
/** Bytes of records that are not in a run. */
uint64_t nx_library_unsealed_size(const struct nx_library *library);
/** Seal every segment but the newest, to the end: only while the actor does not run. What fails is left for
 * the next start. */
void nx_library_seal_all(struct nx_library *library);
/** The actor's step. */
int64_t nx_library_step(void *state, struct nx_now now, struct nx_message_queue *inbox);
