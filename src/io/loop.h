/* src/io/loop.h: an event loop: one thread's timers, sockets, signals and mailbox.
 *
 * The loop calls back; nothing here blocks but nx_loop_run(). A callback runs on the loop's thread, never
 * inside the call that set it. Within one turn of the loop: sockets and timers first, then `receive` for the
 * messages that came, then `turned`, then the loop sleeps until something happens.
 *
 * Threads: whoever calls nx_loop_run() owns the loop and everything that is bound to it until that returns;
 * before and after, the thread that opened it. Only nx_loop_stop() and sends to nx_loop_mailbox() are for any
 * thread. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/own.h"
#include "io/clock.h"
#include "io/mailbox.h"

enum { NX_LOOP_READ_SIZE = 64 * 1024 }; /* most bytes that one read of a socket gives */
struct nx_loop;

struct nx_loop_options {
    size_t mailbox_count_max; /* requests in the mailbox, > 0 */
    /* Messages came; they are the receiver's now, what it leaves there is given again when others come. NULL
     * where nobody sends: messages are then released. */
    void (*receive)(void *data, struct nx_message_queue *inbox);
    void (*turned)(void *data); /* at the end of every turn, before sleeping; or NULL */
    void *data;                 /* for both; borrowed for the loop's life */
};

/** Ignores SIGPIPE for the process.
 * Ownership: the caller closes the loop. `options` is copied.
 * Errors:    NX_RESOURCE_EXHAUSTED  no memory or descriptors */
NX_MUST_CHECK enum nx_status nx_loop_open(const struct nx_loop_options *options, struct nx_loop **loop_out,
                                          struct nx_error *err);
/** Closes what is still open on it (the sockets' `closed` is called), then the mailbox with its messages. Not
 * while it runs, and after every sender is gone. NULL allowed. */
void nx_loop_close(struct nx_loop *loop);
/** Run on this thread until nx_loop_stop(); may be run again. */
void nx_loop_run(struct nx_loop *loop);
/** Run on a thread of its own, called `name` (static storage, 15 bytes show), until nx_loop_join().
 * Errors: NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_loop_start(struct nx_loop *loop, const char *name, struct nx_error *err);
/** Stop the loop that nx_loop_start() started, and wait for its thread. A no-op when none was; NULL allowed.
 */
void nx_loop_join(struct nx_loop *loop);
/** Wait for its thread, which stops the loop by itself when it is done. */
void nx_loop_wait(struct nx_loop *loop);
/** Return from nx_loop_run() at the end of this turn, or of the next one where it does not run. Any thread.
 */
void nx_loop_stop(struct nx_loop *loop);
/** Assert that the caller is the loop's owner. */
void nx_loop_assert_owner(const struct nx_loop *loop);
/** The loop's own; borrowed for its life. */
struct nx_mailbox *nx_loop_mailbox(struct nx_loop *loop);
/** The time, read once a turn at the first call: cheap, and as old as the turn. */
struct nx_now nx_loop_now(struct nx_loop *loop);

/* A timer inside the caller's struct, zeroed before its first start. Timers that end within
 * NX_TIMER_RESOLUTION_MS of each other end together: so none is early, and each may be late by that. Starting
 * again costs a few instructions: one for every connection, restarted with every request, is what it is for.
 */
enum { NX_TIMER_RESOLUTION_MS = 16 };

struct nx_timer {
    struct nx_list_node node; /* this and the next two are the loop's */
    int64_t deadline_ms;
    int64_t visit_ms;
    void (*end)(void *data); /* set these two before the start */
    void *data;
};

/** (Re)start: `end` is called once, `delay_ms` >= 0 from now, unless started again or stopped before. */
void nx_timer_start(struct nx_loop *loop, struct nx_timer *timer, int64_t delay_ms);
/** `end` will not be called. A no-op when it does not run. Before the struct is freed. */
void nx_timer_stop(struct nx_loop *loop, struct nx_timer *timer);
static inline bool nx_timer_is_running(const struct nx_timer *timer) {
    return timer->node.next != NULL;
}

/** From now on SIGINT and SIGTERM call this instead of ending the process, until the loop is closed. Once for
 * one loop of the process. Errors: NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_loop_watch_signals(struct nx_loop *loop,
                                                   void (*signalled)(void *data, int signal), void *data,
                                                   struct nx_error *err);

/** And this one too, after the call above: SIGHUP, SIGUSR1, SIGUSR2. Errors: NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_loop_watch_signal(struct nx_loop *loop, int number, struct nx_error *err);

NX_DEFINE_AUTO(nx_loop, nx_loop_close)
