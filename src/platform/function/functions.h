/* src/platform/function/functions.h: the functions of a node, running: what the server and the commands see.
 *
 *   EVENTS -> dispatch -> worker -> one append to INVOCATIONS (with effects, dead letter, keys) -> dispatch
 *
 * dispatch follows EVENTS and decides what runs when; each worker runs many guests at once, a slice each, and
 * writes what they did; the loader gets their modules; the replayer runs recorded invocations again. All are
 * actors. Whoever wants something of them sends one of the requests below to nx_functions_mailbox() and gets
 * it back as its own answer.
 *
 * Nothing here is kept but in the log: where a function stands is told by its INVOCATIONS records, shortened
 * by checkpoints in CONSUMERS. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/own.h"
#include "codec/digest.h"
#include "fabric/fabric.h"
#include "io/clock.h"
#include "io/mailbox.h"
#include "io/random.h"
#include "io/thread.h"
#include "platform/function/guest.h"
#include "platform/function/registry.h"
#include "platform/function/replay.h"
#include "platform/function/task.h"
#include "telemetry/metric.h"
#include "telemetry/span.h"

enum {
    NX_FUNCTIONS_WORKERS_MAX = 64,
    NX_FUNCTIONS_ACTORS_MAX = NX_FUNCTIONS_WORKERS_MAX + 4,
    NX_FUNCTIONS_TOGETHER = 2, /* of the actors: those that share the library's thread */
    NX_FUNCTIONS_STREAMS_COUNT = 8,
    NX_FUNCTIONS_REGISTRATIONS_KEPT = 256, /* of each function: the modules it had */
};

/* Under this name INVOCATIONS are protected, after EVENTS were for every function that needs some: then
 * retention may begin (nx_fabric_options.retention_waits_for). */
#define NX_FUNCTIONS_CONSUMER "dispatch"
/* How long a record of REQUESTS makes a repeat of its request a duplicate. */
#define NX_REQUESTS_WINDOW_NS (600 * (int64_t)NX_NS_PER_S)

struct nx_functions_options {
    struct nx_mailbox *appends; /* the fabric's; borrowed, as all pointers here, until nx_functions_close() */
    struct nx_mailbox *reads;
    struct nx_registry *registry; /* a reference is taken */
    const struct nx_guest_kind *guests;
    struct nx_clock clock;
    struct nx_random random;
    const struct nx_log *log;    /* may be NULL */
    struct nx_metrics *metrics;  /* may be NULL */
    struct nx_tracing *tracing;  /* NULL: no spans */
    const char *node_name;       /* for audit records */
    size_t worker_count;         /* beside the one at hand: 1 .. NX_FUNCTIONS_WORKERS_MAX */
    int64_t checkpoint_every_ns; /* 0: 5 s */
    bool is_watched; /* somebody is shown the INVOCATIONS: failures need no line in the log as well */
};

struct nx_functions;

/** Guests that so many workers and the replayer may have alive at once: what the engine must have room for,
 * or calls end as host-error under load. */
uint32_t nx_functions_calls_max(size_t worker_count);
/** Make the actors; nothing runs yet.
 * Ownership: the caller ends it by nx_functions_close(), after the actors were stopped.
 * Errors:    NX_RESOURCE_EXHAUSTED  out of memory, or the metrics are full */
NX_MUST_CHECK enum nx_status nx_functions_open(const struct nx_functions_options *options,
                                               struct nx_functions **functions_out, struct nx_error *err);
void nx_functions_close(struct nx_functions *functions); /* NULL allowed */
/** The actors to be run: dispatch and the worker at hand, which run on the library's thread, so that an event
 * that comes alone wakes nobody on its way; the replayer, the loader, and the other workers, which want a
 * thread each. */
size_t nx_functions_actors(struct nx_functions *functions,
                           struct nx_actor actors_out[NX_FUNCTIONS_ACTORS_MAX]);
/** Where requests go. Any thread. */
struct nx_mailbox *nx_functions_mailbox(struct nx_functions *functions);

/** The streams that functions need, with their default retention: EVENTS, INVOCATIONS, DLQ, FUNCTIONS,
 * CONSUMERS, AUDIT. Static storage; what nexus.yaml says of a stream goes over it. */
const struct nx_stream_config *nx_functions_streams(void);

enum nx_functions_message_kind {
    NX_FUNCTIONS_READY = 0x200, /* struct nx_functions_ready */
    NX_FUNCTIONS_DESCRIBE,      /* struct nx_functions_describe */
    NX_FUNCTIONS_UPDATE,        /* struct nx_functions_update */
    NX_FUNCTIONS_STOP,          /* struct nx_functions_stop */
    NX_FUNCTIONS_REQUEUE,       /* struct nx_functions_requeue */
    NX_FUNCTIONS_REPLAY,        /* struct nx_functions_replay */
    NX_FUNCTIONS_PROGRESS,      /* struct nx_functions_progress */
    NX_FUNCTIONS_AWAIT,         /* struct nx_functions_await */
};

/* Answered once every function's start is on disk: an event accepted from then on reaches all of them. */
struct nx_functions_ready {
    struct nx_message message; /* first */
    enum nx_status status;
    struct nx_error error;
};
NX_MUST_CHECK enum nx_status nx_functions_ready_new(struct nx_functions_ready **ready_out,
                                                    struct nx_error *err);

enum nx_function_condition {
    NX_FUNCTION_IDLE,        /* has handled everything */
    NX_FUNCTION_BUSY,        /* events are waiting or running */
    NX_FUNCTION_CATCHING_UP, /* behind by more than its window: the rest waits on disk */
    NX_FUNCTION_HELD,        /* waits for its log (disk full, frozen) */
};
/** "idle", "busy", "catching-up", "held"; static storage. */
const char *nx_function_condition_name(enum nx_function_condition condition);

struct nx_function_state {
    const struct nx_function *function; /* valid while `registry` of the answer is */
    enum nx_function_condition condition;
    struct nx_digest module_digest;
    uint64_t start_sequence; /* of EVENTS: where it began */
    uint64_t floor;          /* every earlier event is done with */
    uint64_t pending_count;  /* events taken in and not done, running ones included */
    uint64_t running_count;
    uint64_t retrying_count;  /* wait for their next attempt */
    uint64_t succeeded_count; /* since this process began */
    uint64_t failed_count;    /* attempts */
    uint64_t dead_letter_count;
};
struct nx_functions_describe {
    struct nx_message message; /* first */
    struct nx_arena arena;     /* owns `states` */
    struct nx_registry *registry;
    struct nx_function_state *states;
    size_t state_count;
    uint64_t events_head; /* the next EVENTS sequence to be looked at */
    enum nx_status status;
    struct nx_error error;
};
NX_MUST_CHECK enum nx_status nx_functions_describe_new(struct nx_functions_describe **describe_out,
                                                       struct nx_error *err);

/* Replace the registry: new functions begin where they say, removed ones end after their running calls,
 * others go on with the new code at their next call. Answered when the new starts are on disk. */
struct nx_functions_update {
    struct nx_message message;    /* first */
    struct nx_registry *registry; /* moved in; NULL in the answer */
    enum nx_status status;
    struct nx_error error;
};
NX_MUST_CHECK enum nx_status nx_functions_update_new(struct nx_registry *registry,
                                                     struct nx_functions_update **update_out,
                                                     struct nx_error *err);

/* Take no more, let running calls end and be written, write a checkpoint; answered when all of that is done.
 * What had not begun waits on disk. NX_UNAVAILABLE: the log did not take what some calls did within a second
 * after they had ended; they run again at the next start. */
struct nx_functions_stop {
    struct nx_message message; /* first */
    enum nx_status status;
    struct nx_error error;
};
NX_MUST_CHECK enum nx_status nx_functions_stop_new(struct nx_functions_stop **stop_out, struct nx_error *err);

/* Put the dead letters of a function back: a new series of attempts for each event. Answered when that they
 * go back is on disk. Errors: NX_NOT_FOUND no such function; `count` 0 when there were none. */
struct nx_functions_requeue {
    struct nx_message message; /* first */
    char function[NX_FUNCTION_NAME_SIZE_MAX + 1];
    uint64_t count;
    struct nx_list_node node; /* dispatch's own, as `end` */
    uint64_t end;             /* one more than the last DLQ sequence that goes back */
    enum nx_status status;
    struct nx_error error;
};
NX_MUST_CHECK enum nx_status nx_functions_requeue_new(struct nx_str function,
                                                      struct nx_functions_requeue **requeue_out,
                                                      struct nx_error *err);

/** The read that tells how far the dead letters of a function were put back, also of one that nexus.yaml does
 * not name any more: with a server or without, its answer goes to nx_functions_put_back_until().
 * Ownership: the caller owns `*read_out`. Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_functions_position_read_new(struct nx_str function, struct nx_read **read_out,
                                                            struct nx_error *err);
/** The first DLQ sequence that was not put back, of those that are the function's; 0: it cannot be told. */
uint64_t nx_functions_put_back_until(const struct nx_read *read);

/* Replay what the question names, mode live included. One runs at a time, others wait. */
struct nx_functions_replay {
    struct nx_message message;          /* first */
    struct nx_replay_question question; /* its strings are in the report's arena */
    struct nx_replay_report report;
    enum nx_status status;
    struct nx_error error;
};
/** `question` is copied. */
NX_MUST_CHECK enum nx_status nx_functions_replay_new(const struct nx_replay_question *question,
                                                     struct nx_functions_replay **replay_out,
                                                     struct nx_error *err);

/* How far the replay is that runs now. Answered between two slices of it. */
struct nx_functions_progress {
    struct nx_message message; /* first */
    bool is_running;           /* false: none is */
    size_t waiting_count;      /* others that come after it */
    struct nx_replay_progress progress;
};
NX_MUST_CHECK enum nx_status nx_functions_progress_new(struct nx_functions_progress **progress_out,
                                                       struct nx_error *err);

enum nx_await_end {
    NX_AWAIT_SUCCEEDED, /* the function's answer */
    NX_AWAIT_GIVEN_UP,  /* its last attempt failed; `outcome` and `error` say how */
    NX_AWAIT_LATE,      /* `deadline_ns` came first; the event is handled all the same */
    NX_AWAIT_PASSED,  /* it was done before the question came, or cannot be handed over: its record says it */
    NX_AWAIT_STOPPED, /* the functions stop; the event is handled at the next start */
};

/* What a function makes of one event: answered when its first attempt has succeeded or its last one has
 * failed, so when nothing about it will change any more, and that is on disk. */
struct nx_functions_await {
    struct nx_message message; /* first */
    char function[NX_FUNCTION_NAME_SIZE_MAX + 1];
    uint64_t event_sequence; /* of EVENTS */
    int64_t deadline_ns;     /* monotonic */
    bool is_early; /* answer a success before it is on disk; a crash, or keys that changed under the call, may
                      still make it another one */
    struct nx_list_node node; /* dispatch's own, as `next` */
    struct nx_functions_await *next;
    enum nx_await_end end;
    enum nx_outcome outcome;
    uint32_t attempt;         /* the last one; 0: not known */
    uint64_t invocation;      /* INVOCATIONS sequence of the last attempt; 0: not known */
    struct nx_answer *answer; /* owned; NX_AWAIT_SUCCEEDED */
    struct nx_error error;    /* NX_AWAIT_GIVEN_UP */
};
NX_MUST_CHECK enum nx_status nx_functions_await_new(struct nx_str function, uint64_t event_sequence,
                                                    struct nx_functions_await **await_out,
                                                    struct nx_error *err);

NX_DEFINE_AUTO(nx_functions, nx_functions_close)
