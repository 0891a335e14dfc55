/* src/platform/function/worker.h: an actor that runs many calls at once, a slice each in turn.
 *
 * A task comes from dispatch, becomes a call, and when the call is done ONE append; when that is on disk the
 * task goes back as its own answer. A call that waits (a sleep, a key from the library) costs nothing
 * meanwhile. Keys that changed under a call make it run again from the start, unseen by anyone; an append
 * that the log has no room for is sent again later, never dropped; a log that is frozen ends the task as not
 * run, and the event is there after the restart. So it does, a moment after NX_WORKER_STOP, where the log has
 * no room: a disk that stays full must not keep the process from ending. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "io/clock.h"
#include "io/mailbox.h"
#include "io/random.h"
#include "io/thread.h"
#include "platform/function/guest.h"
#include "telemetry/span.h"

enum { NX_WORKER_STOP = 0x320 }; /* a bare struct nx_message: no new tasks will come; see STOP_GRACE_NS */

enum {
    NX_WORKER_CALLS_MAX = 64,     /* at once, parked ones included; an engine needs room for all workers' */
    NX_WORKER_CONFLICTS_MAX = 32, /* runs of one attempt because keys changed under it; then it has failed */
    NX_WORKER_GIVE_WAY = 8,       /* and after so many it gives way, where it may */
};

struct nx_worker_options {
    struct nx_mailbox *appends; /* borrowed, as all pointers here, for the worker's life */
    struct nx_mailbox *reads;
    const struct nx_guest_kind *guests;
    bool is_at_hand;       /* it shares its thread with others, who come to their turn soon */
    struct nx_clock clock; /* read between slices */
    struct nx_random random;
    const struct nx_log *log;
    struct nx_tracing *tracing; /* NULL: no spans */
};

struct nx_worker;

/** Ownership: the caller ends it by nx_worker_close(), after the actor was stopped.
 * Errors:    NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_worker_open(const struct nx_worker_options *options,
                                            struct nx_worker **worker_out, struct nx_error *err);
void nx_worker_close(struct nx_worker *worker); /* NULL allowed */
struct nx_actor nx_worker_actor(struct nx_worker *worker);
/** Where tasks go, NX_WORKER_CALLS_MAX of them at once, and NX_WORKER_STOP. */
struct nx_mailbox *nx_worker_mailbox(struct nx_worker *worker);

NX_DEFINE_AUTO(nx_worker, nx_worker_close)
