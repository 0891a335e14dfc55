/* src/platform/function/dispatch_internal.h: the state that dispatch.c (running), recovery.c (starting and
 * changing) and checkpoint.c (what is written down) share. Owned by dispatch's actor. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "fabric/fabric.h"
#include "platform/function/consumer.h"
#include "platform/function/dispatch.h"
#include "platform/function/modules.h"
#include "platform/function/outbox.h"
#include "platform/function/task.h"

#define NX_CHECKPOINT_STREAM "CONSUMERS"
#define NX_CONSUMER_SUBJECT_PREFIX "consumers."     /* with a function's name: its position */
#define NX_CHECKPOINT_SUBJECT "dispatch.checkpoint" /* the one of dispatch itself */

/* What a read or an append of ours was for: its message's context points to one. */
enum nx_dispatch_purpose {
    NX_FOR_HEAD,          /* new events */
    NX_FOR_END,           /* how far EVENTS goes, while there are no functions */
    NX_FOR_CATCH_UP,      /* older events, for one consumer */
    NX_FOR_REQUEUE,       /* dead letters that go back, for one consumer */
    NX_FOR_ITEM,          /* the event of one item */
    NX_FOR_EVENTS_INFO,   /* recovery: how far EVENTS goes */
    NX_FOR_CHECKPOINT,    /* recovery: dispatch's own checkpoint; later: its being written */
    NX_FOR_REGISTRATION,  /* loading: a consumer's record in FUNCTIONS */
    NX_FOR_POSITION,      /* loading: a consumer's record in CONSUMERS */
    NX_FOR_START_TIME,    /* loading: the first event at or after a time */
    NX_FOR_FACTS,         /* recovery: INVOCATIONS since the checkpoint */
    NX_FOR_DLQ_INFO,      /* requeue: how far DLQ goes */
    NX_FOR_REQUEUE_WRITE, /* requeue: the consumer's record with its new end */
    NX_FOR_START,         /* loading: a consumer's record in FUNCTIONS is being written */
    NX_FOR_LOST_INFO,     /* a lost position: how far back INVOCATIONS go */
    NX_FOR_LOST_FACTS,    /* a lost position: what the function did */
    NX_FOR_LOST_EVENT,    /* a lost position: the first event that INVOCATIONS know all of */
};
struct nx_asked {
    enum nx_dispatch_purpose purpose;
    struct nx_consumer *consumer;
    struct nx_item *item;
    struct nx_functions_requeue *requeue;
};

enum nx_dispatch_phase {
    NX_DISPATCH_BEGINNING, /* nothing was asked yet */
    NX_DISPATCH_LOADING,   /* EVENTS' end and our checkpoint are being read */
    NX_DISPATCH_FOLDING,   /* INVOCATIONS since then are being read, consumers are being loaded */
    NX_DISPATCH_RUNNING,
    NX_DISPATCH_STOPPING, /* calls end, the checkpoint is written */
    NX_DISPATCH_STOPPED,
};

struct nx_dispatch_worker {
    struct nx_mailbox *mailbox; /* borrowed */
    size_t task_count;          /* under way */
    struct nx_message stop;     /* NX_WORKER_STOP: it needs no memory when the time comes */
};

enum { NX_AWAIT_BUCKETS = 1024 }; /* a power of two */

/* Requests that wait for what a function makes of one event. */
struct nx_awaits {
    struct nx_list all;                                   /* struct nx_functions_await */
    struct nx_functions_await *buckets[NX_AWAIT_BUCKETS]; /* by the event's sequence */
    int64_t due_ns; /* not later than the first deadline; NX_STEP_IDLE: none waits */
};

struct nx_dispatch_metrics {
    struct nx_metric *events; /* NULL: nothing is counted */
    struct nx_metric *attempts;
    struct nx_metric *duration;
    struct nx_metric *memory;
    struct nx_metric *fuel;
    struct nx_metric *errors;
};

struct nx_dispatch {
    struct nx_dispatch_options options;
    struct nx_mailbox *mailbox;
    struct nx_outbox appends;
    struct nx_outbox reads;
    struct nx_registry *registry; /* a reference */
    struct nx_modules modules;
    struct nx_dispatch_worker *workers;
    size_t worker_count;
    enum nx_dispatch_phase phase;
    struct nx_now now;       /* of this step */
    struct nx_map consumers; /* name -> struct nx_consumer, owned */
    size_t loading_count;    /* consumers that are not loaded */
    bool is_facts_read;      /* recovery: INVOCATIONS was read to its end */
    bool facts_failed;
    unsigned again; /* bits by purpose: what could not be asked or read, and is asked again */
    struct nx_buf
        expected;     /* generations of positions that the checkpoint before counts on: see checkpoint.c */
    bool is_updating; /* an update waits for EVENTS' end */
    uint64_t epoch;   /* of this process; checkpoints name it */
    uint64_t epoch_before; /* of the last one that wrote dispatch's checkpoint; 0: none */
    uint64_t head;         /* EVENTS: the next one to be looked at */
    uint64_t events_end;   /* EVENTS: the sequence that the next one would have had when we began */
    uint64_t counted_from; /* EVENTS: what is older arrived before this process and is not counted */
    bool head_asked;
    int64_t end_due_ns;        /* when EVENTS' end is looked at next, while there are no functions */
    uint64_t invocations_next; /* INVOCATIONS: one more than the newest that we know of */
    struct nx_list ready;      /* consumers that may have something to run, next one first */
    struct nx_item **timers;   /* heap of retrying items by due_ns */
    size_t timer_count;
    size_t timer_capacity;
    size_t bodies_size;     /* bytes of events that items and tasks hold */
    struct nx_list flights; /* struct nx_flight: tasks under way, in the order in which they were sent */
    struct nx_message_queue ready_waiting; /* requests: nx_functions_ready, nx_functions_update */
    struct nx_message_queue stop_waiting;
    struct nx_error held_error; /* why the last call that could not be written was not */
    struct nx_list requeues;    /* struct nx_functions_requeue under way */
    struct nx_awaits awaits;
    struct nx_message_queue live_waiting; /* struct nx_dispatch_live that no worker has room for */
    int64_t checkpoint_due_ns;
    uint64_t checkpointed_invocations; /* invocations_next of the last checkpoint */
    uint64_t writing_invocations;      /* INVOCATIONS: from here on a restart reads once it is written */
    uint64_t written_invocations;      /* as the last one says that is on disk */
    bool checkpoint_changed;           /* something since then */
    bool is_last_checkpoint;           /* while stopping: it was sent */
    unsigned checkpoint_writes;        /* appends of it under way */
    bool checkpoint_failed;
    struct nx_append *checkpoint_last; /* its last part, until the others are on disk; owned */
    uint64_t protected_head;           /* EVENTS: retention was told to keep all from here on */
    int64_t protect_due_ns;            /* when it is told again, if the head has moved */
    bool is_held_told;                 /* retention has our NX_FABRIC_WHEN_HELD */
    bool is_held_asked;                /* it came back: what we protect is to be said anew */
    bool is_look_due;                  /* some consumer may want to read older events or dead letters */
    int64_t retry_due_ns; /* when what the library refused is asked again; NX_STEP_IDLE: nothing */
    struct nx_dispatch_metrics metrics;
    struct nx_map arrivals; /* type that functions take -> its struct nx_counter of metrics.events */
};

/* A task under way: until it is answered, a checkpoint may not skip the records that it will write. */
struct nx_flight {
    struct nx_list_node node;
    struct nx_item *item; /* NULL: a live replay, which concerns no consumer */
    struct nx_dispatch_worker *worker;
    struct nx_loaded *loaded;  /* in use */
    uint64_t invocations_next; /* when it was sent: its record comes at or after this */
    struct nx_message *live;   /* the request of a live replay */
};

/* recovery.c */
/** The question could not be asked, or was answered by an error that may pass: again, in a second. `consumer`
 * is NULL for dispatch's own. */
void nx_dispatch_ask_later(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                           enum nx_dispatch_purpose purpose);
/** Ask again what ask_later() has noted, and queue what waited for memory. */
void nx_dispatch_recover_again(struct nx_dispatch *dispatch);
/** Keep what the record says of its function's position. False: no memory. */
bool nx_dispatch_keep_fact(struct nx_dispatch *dispatch, const struct nx_record *record);
/** The consumer's position is known now: its registration is written where it must be, and it is loaded. */
void nx_dispatch_positioned(struct nx_dispatch *dispatch, struct nx_consumer *consumer);

/* search.c */
/** True when the record that was read of it is not the one that the checkpoint counts on. */
bool nx_dispatch_is_position_lost(const struct nx_dispatch *dispatch, const struct nx_consumer *consumer);
void nx_dispatch_search(struct nx_dispatch *dispatch, struct nx_consumer *consumer);
void nx_dispatch_search_again(struct nx_dispatch *dispatch, struct nx_consumer *consumer, unsigned purposes);
void nx_dispatch_take_search(struct nx_dispatch *dispatch, const struct nx_asked *asked,
                             struct nx_read *read);

void nx_dispatch_begin(struct nx_dispatch *dispatch);
/** A consumer for the function, being loaded, or the one that there is. NULL: no memory. */
struct nx_consumer *nx_dispatch_consumer(struct nx_dispatch *dispatch, struct nx_str name);
void nx_dispatch_take_loading(struct nx_dispatch *dispatch, const struct nx_asked *asked,
                              struct nx_read *read);
void nx_dispatch_take_registered(struct nx_dispatch *dispatch, const struct nx_asked *asked,
                                 const struct nx_append *append);
void nx_dispatch_update(struct nx_dispatch *dispatch, struct nx_functions_update *update);
/** Everything about the start is known: consumers run. Called whenever that may have become true. */
void nx_dispatch_advance(struct nx_dispatch *dispatch);

/* checkpoint.c */
void nx_dispatch_checkpoint(struct nx_dispatch *dispatch);
void nx_dispatch_take_checkpoint(struct nx_dispatch *dispatch, const struct nx_append *append);
/** Tell retention how far it may go: what no function needs and we have looked at. False: no memory; it is
 * tried again. */
bool nx_dispatch_protect_head(struct nx_dispatch *dispatch);
/** Say what is protected as it is now, if retention has asked, and let it ask again. */
void nx_dispatch_answer_held(struct nx_dispatch *dispatch);
/** One consumer's record as an append on its way, for `purpose`. False: no memory. */
bool nx_dispatch_write_consumer(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                                const struct nx_asked *asked);
/** The lowest INVOCATIONS sequence that a restart must read. */
uint64_t nx_dispatch_invocations_floor(const struct nx_dispatch *dispatch);
/* Dispatch's own checkpoint. */
struct nx_checkpoint {
    uint64_t epoch;
    uint64_t invocations;
    uint64_t head;
    struct nx_str generations; /* borrowed; for nx_checkpoint_generation() */
};
/** False when it is damaged. */
bool nx_checkpoint_decode(struct nx_str payload, struct nx_checkpoint *checkpoint_out);
/** The next entry of a list of generations; false at its end. */
bool nx_checkpoint_generation(struct nx_reader *reader, struct nx_str *name_out, uint64_t *generation_out);

/* intake.c */
void nx_dispatch_take_head(struct nx_dispatch *dispatch, struct nx_read *read);
void nx_dispatch_take_end(struct nx_dispatch *dispatch, const struct nx_read *read);
void nx_dispatch_take_catch_up(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                               struct nx_read *read);
void nx_dispatch_take_requeue(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                              struct nx_read *read);
/** Hold the event in memory while there is room; else it is read again when its turn comes. */
void nx_dispatch_hold_body(struct nx_dispatch *dispatch, struct nx_item *item,
                           const struct nx_record *record);
/** What the order key's path stands for in this event, hashed; 0: nothing. False: no memory to see. */
NX_MUST_CHECK bool nx_dispatch_key_hash(const struct nx_record *record, struct nx_str path,
                                        uint64_t *hash_out);
/** The item's key is known: into its queue. Without memory for that its consumer is stray until there is
 * some. */
void nx_dispatch_queue_item(struct nx_dispatch *dispatch, struct nx_item *item, uint64_t key_hash);
/** Read the item's event. False: no memory. */
bool nx_dispatch_ask_item(struct nx_dispatch *dispatch, struct nx_item *item);
/** The library could not answer: said once, and asked again in a second. */
void nx_dispatch_note_failure(struct nx_dispatch *dispatch, const struct nx_read *read, const char *text);
/** Queue every item of a consumer that was just recovered, or is stray. */
void nx_dispatch_queue_all(struct nx_dispatch *dispatch, struct nx_consumer *consumer);
/** Ask for what consumers and the head need next. */
void nx_dispatch_read_on(struct nx_dispatch *dispatch);

/* requests.c */
void nx_dispatch_take_request(struct nx_dispatch *dispatch, struct nx_message *message);
/** Begin the live replays for which there is a worker and a module now. */
void nx_dispatch_run_live(struct nx_dispatch *dispatch);
void nx_dispatch_live_done(struct nx_message *message, struct nx_task *task);
void nx_dispatch_requeue_known(struct nx_dispatch *dispatch, const struct nx_asked *asked,
                               const struct nx_read *read);
void nx_dispatch_requeue_written(struct nx_dispatch *dispatch, const struct nx_asked *asked,
                                 const struct nx_append *append);
void nx_dispatch_stop_if_done(struct nx_dispatch *dispatch);

/* awaits.c */
void nx_dispatch_await(struct nx_dispatch *dispatch, struct nx_functions_await *await);
/** The item's attempt is on disk, and it was the last: tell who waits for it. */
void nx_dispatch_end_awaits(struct nx_dispatch *dispatch, const struct nx_item *item, struct nx_task *task);
/** A call has succeeded and is not on disk yet: tell who does not wait for that. */
void nx_dispatch_take_early(struct nx_dispatch *dispatch, struct nx_task_early *early);
/** Tell those whose deadline has come. */
void nx_dispatch_expire_awaits(struct nx_dispatch *dispatch);
/** Nothing will run any more. */
void nx_dispatch_stop_awaits(struct nx_dispatch *dispatch);

/* dispatch.c */
void nx_dispatch_note_ready(struct nx_dispatch *dispatch, struct nx_consumer *consumer);
/** Hand a task to a worker. False, with the task still the caller's, when there is no memory or its module is
 * not loaded. */
bool nx_dispatch_send_task(struct nx_dispatch *dispatch, struct nx_dispatch_worker *worker,
                           struct nx_task *task, struct nx_item *item, struct nx_message *live);
/** The worker with the fewest tasks, but for the one at hand; NULL when all have as many as they take. */
struct nx_dispatch_worker *nx_dispatch_least_busy(struct nx_dispatch *dispatch);
/** What the read is about. A copy that has no memory is found by nx_dispatch_ask(). */
void nx_dispatch_name_records(struct nx_read *read, struct nx_str stream, struct nx_str subject);
/** Send a read whose answer comes back to us with a copy of `asked`. The read is moved in. False: no memory,
 * no answer will come. */
bool nx_dispatch_ask(struct nx_dispatch *dispatch, struct nx_read *read, const struct nx_asked *asked);
bool nx_dispatch_send_append(struct nx_dispatch *dispatch, struct nx_append *append,
                             const struct nx_asked *asked);
/** An item that became retrying: when its time comes. The wait counts from the attempt's end, also when that
 * was before a restart. */
void nx_dispatch_time_item(struct nx_dispatch *dispatch, struct nx_item *item);
