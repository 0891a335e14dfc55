/* src/platform/function/consumer.h: where one function stands in EVENTS, and what of it may run next.
 *
 * Its position is a cursor (every event before it was taken in) and the items that were taken in and are not
 * done. Both are a projection: a checkpoint in CONSUMERS (nx_consumer_encode) and the INVOCATIONS records
 * written since (nx_consumer_apply) give them back; applying a record twice changes nothing.
 *
 *   taken in -> [waits for its key's earlier events] -> ready -> running -> done
 *                                                         ^         |
 *                                                         +- retry -+  (keeps its place in front of its key)
 *
 * Two sources are taken in: events from the cursor on, and dead letters that were put back, from requeue_next
 * up to requeue_end. The window is bounded; what does not fit waits on disk. Owned by dispatch; no I/O. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "codec/invocation.h"
#include "platform/function/function.h"
#include "platform/function/registry.h"
#include "platform/function/task.h"

enum {
    NX_CONSUMER_FORMAT = 1,
    NX_CONSUMER_PENDING_MAX = 16 * 1024, /* items taken in and not done; their checkpoint fits in a record */
};

enum nx_item_state {
    NX_ITEM_KEYLESS, /* its order key is not known: the event must be read first */
    NX_ITEM_BLOCKED, /* an earlier event of its key is not done */
    NX_ITEM_READY,
    NX_ITEM_FETCHING, /* its event is being read; counts as running */
    NX_ITEM_RUNNING,
    NX_ITEM_RETRYING, /* waits for `due_ns` */
};

struct nx_lane;
struct nx_consumer;

struct nx_item {
    struct nx_list_node in_pending;
    struct nx_list_node in_queue; /* the consumer's ready list, or its lane's */
    struct nx_consumer *consumer;
    enum nx_item_state state;
    uint64_t sequence;    /* of EVENTS */
    uint64_t dead_letter; /* of DLQ; 0: not put back from there */
    uint64_t key_hash;    /* 0: no order */
    struct nx_lane *lane; /* of its key; NULL: none */
    uint32_t series;
    uint32_t attempt;           /* attempts made */
    int64_t failed_at_ns;       /* wall time of the last one */
    uint64_t *earlier;          /* INVOCATIONS sequences of the attempts made; owned */
    uint32_t earlier_count;     /* at most NX_INVOCATION_EARLIER_MAX */
    int64_t due_ns;             /* monotonic; while retrying */
    size_t timer_index;         /* in dispatch's heap */
    bool is_asked;              /* while NX_ITEM_KEYLESS: its event is being read */
    struct nx_event_copy *body; /* owned; NULL: to be read again */
};

/* What a record of INVOCATIONS says about an item. */
struct nx_consumer_fact {
    uint64_t sequence; /* the event */
    uint64_t dead_letter;
    uint64_t invocation;
    int64_t time_ns;
    uint32_t series;
    uint32_t attempt;
    bool done; /* succeeded, or went to the dead letters */
};

enum nx_consumer_phase {
    NX_CONSUMER_LOADING,     /* its registration and checkpoint are being read */
    NX_CONSUMER_REGISTERING, /* its start is being written */
    NX_CONSUMER_SEARCHING,   /* its position is lost: its invocations are being read */
    NX_CONSUMER_LOADED,
};

/* What was found of a consumer's record in CONSUMERS. */
enum nx_position_found {
    NX_POSITION_NONE,
    NX_POSITION_READ,
    NX_POSITION_DAMAGED,
};

struct nx_consumer {
    char name[NX_FUNCTION_NAME_SIZE_MAX + 1];
    const struct nx_registered *registered; /* in dispatch's registry; NULL: not there (any more) */
    enum nx_consumer_phase phase;
    uint64_t start;        /* EVENTS: where it began */
    uint64_t cursor;       /* EVENTS: the next one to be taken in; while attached at least dispatch's head */
    bool attached;         /* is given new events as they come; else reads on from its cursor by itself */
    uint64_t requeue_next; /* DLQ: the next letter to be taken back in */
    uint64_t requeue_end;
    uint64_t epoch;      /* of the process that wrote its last checkpoint */
    uint64_t generation; /* of its position: how often it was written */
    bool changed;        /* since its last checkpoint */
    struct nx_list pending;
    struct nx_list ready;
    struct nx_map lanes;
    struct nx_map ahead; /* while it catches up after a restart: facts about what is not taken in yet */
    struct nx_consumer_fact *facts; /* while recovering: applied once it is loaded */
    size_t fact_count;
    size_t fact_capacity;
    uint32_t running_count;
    uint32_t retrying_count;
    uint64_t succeeded_count;
    uint64_t failed_count;
    uint64_t dead_letter_count;
    bool held;            /* its last call could not be written */
    uint32_t width;       /* calls at once, while they change each other's keys; 0: as many as may be */
    uint32_t calm_count;  /* calls since it was set that met no conflict */
    uint32_t quick_count; /* of its last calls, how many in a row were quick and met no conflict */
    /* dispatch's own: */
    struct nx_list_node in_ready; /* consumers that may have something to run */
    uint64_t protected_from;      /* what retention was last told to keep for it */
    bool catch_up_asked;
    bool requeue_asked;
    unsigned loads_left; /* reads under way while loading */
    unsigned again;      /* bits by purpose: what could not be asked or read, and is asked again */
    uint64_t listed;     /* the generation that dispatch's checkpoint counts on */
    uint64_t registered_start;
    bool is_stray; /* some of its items or facts wait for memory: nothing is taken in meanwhile */
    enum nx_position_found position_found;
    int64_t position_time_ns; /* wall time at which the position that was read had been written */
    uint64_t lost_next;       /* INVOCATIONS: where the search for a lost position goes on */
    bool are_all_kept;        /* while searching: no record of INVOCATIONS has expired */
    int64_t kept_from_ns;     /* while searching: the time of the oldest one */
    bool is_registered;       /* a registration was found */
    bool is_queued;           /* its items were queued after loading */
    struct nx_digest registered_digest;
};

/** Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_consumer_new(struct nx_str name, uint64_t seed,
                                             struct nx_consumer **consumer_out, struct nx_error *err);
void nx_consumer_free(struct nx_consumer *consumer); /* NULL allowed; its items too */

/** True when the window takes one more, and nothing that was taken in waits for memory. */
bool nx_consumer_has_room(const struct nx_consumer *consumer);
/** Take an item in: at the end of the window, not queued yet. What a fact from before the restart says of it
 * is applied; an item that is done already is not taken in (*item_out is NULL). Errors: NX_RESOURCE_EXHAUSTED
 * (out of memory) */
NX_MUST_CHECK enum nx_status nx_consumer_add(struct nx_consumer *consumer, uint64_t sequence,
                                             uint64_t dead_letter, uint32_t series, struct nx_item **item_out,
                                             struct nx_error *err);
/** Its key is known now (0: none): behind earlier items of that key, else ready or, after failed attempts,
 * left to the caller as NX_ITEM_RETRYING. Errors: NX_RESOURCE_EXHAUSTED (out of memory; the key is kept) */
NX_MUST_CHECK enum nx_status nx_consumer_queue(struct nx_item *item, uint64_t key_hash, struct nx_error *err);
/** The next item that may run now, or NULL; it is NX_ITEM_RUNNING then. */
struct nx_item *nx_consumer_take(struct nx_consumer *consumer);
/** Whether something is ready, and may start beside what runs. */
bool nx_consumer_may_run(const struct nx_consumer *consumer);
/** A call has ended. Calls that change the same keys again and again run one after the other from then on:
 * else the slower would never come to an end. When they have got on well for a while, more run beside each
 * other. */
void nx_consumer_note_conflicts(struct nx_consumer *consumer, const struct nx_task *task);
/** A running item that was not run after all: ready again, in front. */
void nx_consumer_put_back(struct nx_item *item);
/** A running item failed, and is to be tried again: NX_ITEM_RETRYING. */
void nx_consumer_retry(struct nx_item *item, uint64_t invocation, int64_t failed_at_ns);
/** A retrying item's time has come: ready, in front. */
void nx_consumer_wake(struct nx_item *item);
/** An item is done, or given up: it is freed; the next one of its key becomes ready, and is returned (so that
 * a retrying one can be timed), or NULL. */
struct nx_item *nx_consumer_end(struct nx_item *item);
/** Every event before this one is done with. */
uint64_t nx_consumer_floor(const struct nx_consumer *consumer);

/** Append the checkpoint's payload. `head` is dispatch's: an attached consumer stands there. */
void nx_consumer_encode(const struct nx_consumer *consumer, uint64_t epoch, uint64_t head,
                        struct nx_buf *out);
/** Its requeue_end alone; 0: damaged, or of another format. */
uint64_t nx_consumer_requeue_end_of(struct nx_str payload);
/** Read it back into a new consumer. Items are in no queue yet.
 * Errors: NX_DATA_LOSS  damaged; NX_FAILED_PRECONDITION  kind format-version; NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_consumer_decode(struct nx_consumer *consumer, struct nx_str payload,
                                                struct nx_error *err);
/** Keep a fact until nx_consumer_apply(). Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_consumer_keep_fact(struct nx_consumer *consumer,
                                                   const struct nx_consumer_fact *fact, struct nx_error *err);
/** Its position is lost: place it by the facts that were kept, which are all that there are. Every event from
 * `horizon` on has its facts, if it was handled; 1: every event has. What was begun and not ended is taken in
 * again; nx_consumer_apply() comes next. Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_consumer_place(struct nx_consumer *consumer, uint64_t horizon,
                                               struct nx_error *err);
/** As new: nothing is known of where it stands. Facts that were kept stay. */
void nx_consumer_reset(struct nx_consumer *consumer);
/** Forget the facts that were kept. */
void nx_consumer_forget_facts(struct nx_consumer *consumer);
/** Apply the facts that were kept, and forget them. On failure they are kept: it can be called again.
 * Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_consumer_apply(struct nx_consumer *consumer, struct nx_error *err);

/** The wait before attempt `attempt` + 1, from attempt 1 on: doubles, up to the maximum, times 1 +- jitter;
 * `random` chooses where in that range. */
int64_t nx_retry_wait_ns(const struct nx_retry_policy *policy, uint32_t attempt, uint64_t random);

NX_DEFINE_AUTO(nx_consumer, nx_consumer_free)
