/* src/platform/function/replay_run_internal.h: the state that replay_run.c, replay_key.c and replay_live.c
 * share. */
#pragma once

#include "fabric/object/object.h"
#include "platform/function/replay_run.h"

enum nx_replay_state {
    ASK_ID, /* what the id names */
    TAKE_ID,
    TAKE_REFERENCES, /* the invocations of an event */
    ASK_END,         /* range: its last invocation; what is written meanwhile is not part of it */
    TAKE_END,
    ASK_BATCH, /* range: the next invocations */
    TAKE_BATCH,
    ASK_EVENTS, /* the events of the batch, those that are not here yet */
    TAKE_EVENTS,
    ASK_BLOB, /* the current invocation's stored tape */
    TAKE_BLOB,
    BEGIN_CHECK,
    ASK_MODULE, /* its code, the first time */
    TAKE_MODULE,
    CHECKING,
    TAKE_KEY,    /* comparing: a key that the tape does not answer */
    ASK_CURRENT, /* an id: is the function still what it was? */
    TAKE_CURRENT,
    ASK_LIVE,
    TAKE_LIVE,
    TAKE_LIVE_RECORD, /* what the live call left */
    DONE,
};

/* An invocation of the batch. */
struct nx_replay_subject {
    struct nx_record *record;
    struct nx_invocation invocation;
    uint64_t event_sequence;
    const struct nx_record *event;
    bool is_event_destroyed;
    bool is_unreadable;
    bool is_tape_gone;
};

struct nx_replay_run {
    struct nx_replay_run_options options;
    struct nx_check *check;
    enum nx_replay_state state;
    struct nx_read *read; /* asked and not taken, or just given */
    struct nx_dispatch_live *live;
    bool is_range;
    /* The batch: */
    struct nx_read *batch;
    struct nx_arena arena; /* decoded invocations */
    struct nx_replay_subject *subjects;
    size_t subject_count;
    size_t index; /* of the subject at hand */
    struct nx_read **event_reads;
    size_t event_read_count;
    uint64_t events_low; /* what of EVENTS is still to be read for this batch */
    uint64_t events_high;
    bool has_lost_events; /* what was read of EVENTS has destroyed records */
    bool is_one_by_one;   /* so the events that were not there are asked for, each alone */
    size_t event_index;   /* single reads: the next subject whose event is wanted */
    struct nx_buf blob;   /* a stored tape */
    struct nx_buf wasm;
    struct nx_error blob_error; /* why a tape or a module cannot be had */
    struct nx_object_get get;   /* of either */
    uint64_t first_sequence;    /* range: of INVOCATIONS; 0: not known yet */
    uint64_t next_sequence;
    bool is_last_batch;
    struct nx_replay_item scratch; /* the item at hand, where it is not kept */
    struct nx_replay_item *item;
    enum nx_status status;
    struct nx_error error;
};

/** It has ended: status, and the error that was filled in. */
enum nx_replay_need nx_replay_run_finish(struct nx_replay_run *run, enum nx_status status);
/** Send a question: the state in which its answer is looked at comes next. */
enum nx_replay_need nx_replay_run_ask(struct nx_replay_run *run, struct nx_read *read,
                                      enum nx_replay_state then);
/** A reading of a stream; NULL after finishing for want of memory. */
struct nx_read *nx_replay_run_new_read(struct nx_replay_run *run, enum nx_read_kind kind,
                                       struct nx_str stream);
/** Where the verdict on the subject at hand is put: in the report while it describes, else aside. */
void nx_replay_run_choose_item(struct nx_replay_run *run);
/** Its verdict is there: counted, and on to the next one. */
void nx_replay_run_end_subject(struct nx_replay_run *run);
/** The arena that the item's strings go to: the report's when it is kept. */
struct nx_arena *nx_replay_run_item_arena(struct nx_replay_run *run);

/* replay_key.c: a key that the policy has looked up for the call under way. */
enum nx_replay_need nx_replay_key_ask(struct nx_replay_run *run);
enum nx_replay_need nx_replay_key_take(struct nx_replay_run *run);

/* replay_live.c: the event of the subject at hand, run again in the real world. */
enum nx_replay_need nx_replay_live_ask(struct nx_replay_run *run);
enum nx_replay_need nx_replay_live_take(struct nx_replay_run *run);
enum nx_replay_need nx_replay_live_take_record(struct nx_replay_run *run);
