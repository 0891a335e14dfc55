/* bench/hops_bench.c: what a message costs to and fro between two actors on one thread, on two threads, and
 * between a thread and a network loop. One message is under way at a time, so every hop meets a sleeping
 * receiver: the worst case, and that of a single request. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "io/loop.h"
#include "io/thread.h"

enum { ROUND_TRIPS = 100000, ROUNDS = 3 };

struct caller {
    struct nx_mailbox *peer;
    struct nx_mailbox *done;
    int left;
};

static void release(struct nx_message *message) {
    free(message);
}

static void answer_all(void *data, struct nx_message_queue *inbox) {
    struct nx_message *message;
    (void)data;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        nx_message_reply(message);
    }
}

static int64_t echo_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    (void)now;
    answer_all(state, inbox);
    return NX_STEP_IDLE;
}

static int64_t caller_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct caller *caller = state;
    struct nx_message *message;
    (void)now;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        if (--caller->left > 0) {
            nx_assert(nx_mailbox_send(caller->peer, message));
        } else {
            nx_mailbox_send_reply(caller->done, message);
        }
    }
    return NX_STEP_IDLE;
}

static int64_t cpu_ns(void) {
    struct rusage usage;
    nx_assert(getrusage(RUSAGE_SELF, &usage) == 0);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * NX_NS_PER_S +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * NX_NS_PER_US;
}

/* The end of a measurement: the bench's own loop, which sleeps meanwhile. */
static void all_done(void *data, struct nx_message_queue *inbox) {
    nx_message_queue_release(inbox);
    nx_loop_stop(*(struct nx_loop **)data);
}

static struct nx_mailbox *mailbox_new(void) {
    struct nx_mailbox *mailbox = NULL;
    nx_assert(nx_mailbox_open(16, &mailbox, NULL) == NX_OK);
    return mailbox;
}

static struct nx_loop *loop_new(void (*receive)(void *data, struct nx_message_queue *inbox), void *data) {
    struct nx_loop *loop = NULL;
    const struct nx_loop_options options = { .mailbox_count_max = 16, .receive = receive, .data = data };
    nx_assert(nx_loop_open(&options, &loop, NULL) == NX_OK);
    return loop;
}

enum place { SAME_THREAD, OTHER_THREAD, LOOP };

static void measure(enum place place, const char *name) {
    const struct nx_clock clock = nx_clock_system();
    struct nx_loop *main_loop = NULL;
    NX_AUTO(nx_mailbox) *caller_box = mailbox_new();
    NX_AUTO(nx_mailbox) *echo_box = mailbox_new();
    struct nx_loop *echo_loop = place == LOOP ? loop_new(answer_all, NULL) : NULL;
    main_loop = loop_new(all_done, &main_loop);
    struct caller caller = { .peer = place == LOOP ? nx_loop_mailbox(echo_loop) : echo_box,
                             .done = nx_loop_mailbox(main_loop),
                             .left = ROUND_TRIPS };
    const struct nx_actor actors[] = { { "caller", caller_box, &caller, caller_step },
                                       { "echo", echo_box, NULL, echo_step } };
    struct nx_thread *threads[2] = { NULL, NULL };
    nx_assert(nx_thread_start(actors, place == SAME_THREAD ? 2 : 1, &clock, &threads[0], NULL) == NX_OK);
    if (place == OTHER_THREAD) {
        nx_assert(nx_thread_start(&actors[1], 1, &clock, &threads[1], NULL) == NX_OK);
    } else if (place == LOOP) {
        nx_assert(nx_loop_start(echo_loop, "echo", NULL) == NX_OK);
    }
    struct nx_message *message = calloc(1, sizeof *message);
    nx_assert(message != NULL);
    message->release = release;
    message->reply_to = caller_box;
    const int64_t start_ns = nx_clock_read(&clock).monotonic_ns;
    const int64_t start_cpu_ns = cpu_ns();
    nx_assert(nx_mailbox_send(caller.peer, message));
    nx_loop_run(main_loop);
    const int64_t wall_ns = nx_clock_read(&clock).monotonic_ns - start_ns;
    printf("%-16s round trip %6" PRId64 " ns, %6" PRId64 " ns of CPU\n", name, wall_ns / ROUND_TRIPS,
           (cpu_ns() - start_cpu_ns) / ROUND_TRIPS);
    nx_thread_stop(threads[0]);
    nx_thread_stop(threads[1]);
    nx_loop_close(echo_loop);
    nx_loop_close(main_loop);
}

int main(void) {
    for (int round = 0; round < ROUNDS; round++) {
        measure(SAME_THREAD, "same thread");
        measure(OTHER_THREAD, "two threads");
        measure(LOOP, "thread and loop");
    }
    return 0;
}
