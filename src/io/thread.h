/* src/io/thread.h: actors, and the threads that run them.
 *
 * Every component that has state over time is an actor: a step function over (state, now, messages). It never
 * blocks except on the disk, never takes a lock, and is called by one thread at a time. Here actors become
 * threads; in io/sim the same actors run in one thread, in an order that a seed decides. Several actors may
 * share a thread: they are stepped in turn, and messages between them need no wake-up. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "io/clock.h"
#include "io/mailbox.h"

#define NX_STEP_AGAIN INT64_MIN /* call at once: there is more to do */
#define NX_STEP_IDLE INT64_MAX  /* call when a message comes */

struct nx_actor {
    const char *name;           /* static storage; at most 15 bytes show as the thread's name */
    struct nx_mailbox *mailbox; /* borrowed for the actor's life; the actor is its only receiver */
    void *state;
    /* Handle the messages in `inbox` (they are the actor's now, what it leaves there is given again) and do a
     * bounded piece of work. Returns when to be called again though no message came: a monotonic time in
     * nanoseconds, NX_STEP_AGAIN or NX_STEP_IDLE. */
    int64_t (*step)(void *state, struct nx_now now, struct nx_message_queue *inbox);
};

enum { NX_THREAD_ACTORS_MAX = 8, NX_THREAD_STACK_SIZE = 2 * 1024 * 1024 };

struct nx_thread;

/** Start a thread that steps these actors until it is stopped. Their mailboxes' wakers are set by this call.
 * Ownership: `actors` is copied; the states stay the caller's, who must not touch them before
 * nx_thread_stop(). Errors:    NX_RESOURCE_EXHAUSTED  no thread, or no memory */
NX_MUST_CHECK enum nx_status nx_thread_start(const struct nx_actor *actors, size_t actor_count,
                                             const struct nx_clock *clock, struct nx_thread **thread_out,
                                             struct nx_error *err);
/** Finish the step under way, then end and join the thread. Messages not taken stay in their mailboxes. NULL
 * allowed. */
void nx_thread_stop(struct nx_thread *thread);
