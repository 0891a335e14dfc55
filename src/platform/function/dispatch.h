/* src/platform/function/dispatch.h: the actor that decides which function runs when.
 *
 * It follows EVENTS by one scan that waits at the head; a function that cannot keep up is read for
 * separately, from where it stands, until it has caught up: a slow one holds up no other. Each event becomes
 * an item of every function that it fires (consumer.h), each item a task for the least busy worker. What
 * workers answer is on disk; a checkpoint every few seconds bounds how many of their records a restart reads
 * again. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "io/random.h"
#include "io/thread.h"
#include "platform/function/functions.h"
#include "platform/function/registry.h"
#include "platform/function/task.h"
#include "platform/function/worker.h"
#include "telemetry/metric.h"

enum {
    NX_DISPATCH_BODIES_SIZE_MAX =
        64 * 1024 * 1024,                       /* bytes of events held in memory; others are read again */
    NX_DISPATCH_REQUESTS_MAX = 1024,            /* of servers and commands, waiting at once */
    NX_DISPATCH_CHECKPOINT_RECORDS = 32 * 1024, /* invocations after which a checkpoint is due in any case */
};

struct nx_dispatch_options {
    struct nx_mailbox *appends; /* borrowed, as all pointers here, for the dispatch's life */
    struct nx_mailbox *reads;
    struct nx_mailbox *const *workers; /* the first one is at hand: on the same thread as dispatch */
    size_t worker_count;
    struct nx_mailbox *replayer; /* where replay requests go on to */
    struct nx_mailbox *loader;
    const struct nx_guest_kind *guests;
    struct nx_registry *registry; /* a reference is taken */
    struct nx_random random;
    const struct nx_log *log;
    struct nx_metrics *metrics; /* may be NULL */
    int64_t checkpoint_every_ns;
    bool is_watched;
};

/* From the replayer: run a recorded event again in the real world, as an attempt of its own that moves no
 * position. */
enum { NX_DISPATCH_LIVE = 0x310 };
struct nx_dispatch_live {
    struct nx_message message; /* first; kind NX_DISPATCH_LIVE */
    char function[NX_FUNCTION_NAME_SIZE_MAX + 1];
    struct nx_event_copy *event; /* owned */
    uint64_t replay_of;          /* INVOCATIONS sequence */
    struct nx_traceparent replay_of_trace;
    /* Answer; NX_NOT_FOUND: no such function here; NX_UNAVAILABLE: stopping, or the log takes no more. */
    enum nx_status status;
    struct nx_error error;
    enum nx_outcome outcome;
    uint64_t invocation;
};
NX_MUST_CHECK enum nx_status nx_dispatch_live_new(struct nx_dispatch_live **live_out, struct nx_error *err);

struct nx_dispatch;

/** Ownership: the caller ends it by nx_dispatch_close(), after the actor was stopped.
 * Errors:    NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_dispatch_open(const struct nx_dispatch_options *options,
                                              struct nx_dispatch **dispatch_out, struct nx_error *err);
void nx_dispatch_close(struct nx_dispatch *dispatch); /* NULL allowed */
struct nx_actor nx_dispatch_actor(struct nx_dispatch *dispatch);
struct nx_mailbox *nx_dispatch_mailbox(struct nx_dispatch *dispatch);

NX_DEFINE_AUTO(nx_dispatch, nx_dispatch_close)
