/* src/io/thread_test.c: actors are stepped when something is there for them, and only then. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/counter.h"
#include "io/thread.h"

enum { ROUND_TRIPS = 2000 };

static void message_release(struct nx_message *message) {
    free(message);
}

static struct nx_message *message_new(struct nx_mailbox *reply_to) {
    struct nx_message *message = calloc(1, sizeof *message);
    assert_non_null(message);
    message->release = message_release;
    message->reply_to = reply_to;
    return message;
}

/* An actor that answers whatever it gets. */
struct echo {
    struct nx_mailbox *mailbox;
    struct nx_counter step_count;
};

static int64_t echo_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct echo *echo = state;
    struct nx_message *message;
    (void)now;
    nx_counter_add(&echo->step_count, 1);
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        nx_message_reply(message);
    }
    return NX_STEP_IDLE;
}

/* An actor that sends a message to and fro, then tells that it is done. */
struct caller {
    struct nx_mailbox *mailbox;
    struct nx_mailbox *peer;
    struct nx_mailbox *done;
    int left;
};

static int64_t caller_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct caller *caller = state;
    (void)now;
    if (inbox->first == NULL && caller->left == ROUND_TRIPS) {
        struct nx_message *message = message_new(caller->mailbox);
        assert_true(nx_mailbox_send(caller->peer, message));
        return NX_STEP_IDLE;
    }
    struct nx_message *message = nx_message_queue_pop(inbox);
    if (message == NULL) {
        return NX_STEP_IDLE;
    }
    if (--caller->left > 0) {
        assert_true(nx_mailbox_send(caller->peer, message));
    } else {
        nx_mailbox_send_reply(caller->done, message);
    }
    return NX_STEP_IDLE;
}

/* A receiver on the test's own thread. */
static struct nx_message *wait_for_message(struct nx_mailbox *mailbox) {
    struct nx_message_queue queue = { 0 };
    while (!nx_mailbox_take(mailbox, &queue)) {
    }
    assert_int_equal(queue.count, 1);
    return nx_message_queue_pop(&queue);
}

static void run_round_trips(bool share_a_thread) {
    NX_AUTO(nx_mailbox) *done = NULL;
    struct echo echo = { 0 };
    struct caller caller = { .left = ROUND_TRIPS };
    const struct nx_clock clock = nx_clock_system();
    struct nx_thread *threads[2] = { NULL, NULL };
    assert_int_equal(nx_mailbox_open(1, &done, NULL), NX_OK);
    assert_int_equal(nx_mailbox_open(1, &echo.mailbox, NULL), NX_OK);
    assert_int_equal(nx_mailbox_open(1, &caller.mailbox, NULL), NX_OK);
    caller.peer = echo.mailbox;
    caller.done = done;
    const struct nx_actor actors[] = {
        { "caller", caller.mailbox, &caller, caller_step },
        { "echo", echo.mailbox, &echo, echo_step },
    };
    if (share_a_thread) {
        assert_int_equal(nx_thread_start(actors, 2, &clock, &threads[0], NULL), NX_OK);
    } else {
        assert_int_equal(nx_thread_start(&actors[0], 1, &clock, &threads[0], NULL), NX_OK);
        assert_int_equal(nx_thread_start(&actors[1], 1, &clock, &threads[1], NULL), NX_OK);
    }
    nx_message_release(wait_for_message(done));
    nx_thread_stop(threads[0]);
    nx_thread_stop(threads[1]);
    assert_int_equal(caller.left, 0);
    nx_mailbox_close(echo.mailbox);
    nx_mailbox_close(caller.mailbox);
}

static void test_two_threads_answer_each_other(void **state) {
    (void)state;
    run_round_trips(false);
}

static void test_two_actors_on_one_thread_answer_each_other(void **state) {
    (void)state;
    run_round_trips(true);
}

/* An actor that wants to be called at times. */
struct ticker {
    struct nx_mailbox *done;
    struct nx_message *message;
    int64_t times_ns[3];
    size_t count;
};

static int64_t ticker_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct ticker *ticker = state;
    (void)inbox;
    if (ticker->count == 3) {
        return NX_STEP_IDLE;
    }
    ticker->times_ns[ticker->count++] = now.monotonic_ns;
    if (ticker->count == 3) {
        nx_mailbox_send_reply(ticker->done, ticker->message);
        return NX_STEP_IDLE;
    }
    return ticker->count == 1 ? NX_STEP_AGAIN : now.monotonic_ns + 5 * NX_NS_PER_MS;
}

static void test_steps_at_the_time_asked_for_and_not_earlier(void **state) {
    NX_AUTO(nx_mailbox) *done = NULL;
    NX_AUTO(nx_mailbox) *mailbox = NULL;
    const struct nx_clock clock = nx_clock_system();
    struct nx_thread *thread = NULL;
    (void)state;
    assert_int_equal(nx_mailbox_open(1, &done, NULL), NX_OK);
    assert_int_equal(nx_mailbox_open(1, &mailbox, NULL), NX_OK);
    struct ticker ticker = { .done = done, .message = message_new(NULL) };
    const struct nx_actor actor = { "ticker", mailbox, &ticker, ticker_step };
    assert_int_equal(nx_thread_start(&actor, 1, &clock, &thread, NULL), NX_OK);
    nx_message_release(wait_for_message(done));
    nx_thread_stop(thread);
    assert_int_equal(ticker.count, 3);
    assert_true(ticker.times_ns[2] - ticker.times_ns[1] >= 5 * NX_NS_PER_MS);
}

static void test_an_idle_actor_is_not_stepped(void **state) {
    const struct nx_clock clock = nx_clock_system();
    NX_AUTO(nx_mailbox) *done = NULL;
    struct echo echo = { 0 };
    struct nx_thread *thread = NULL;
    (void)state;
    assert_int_equal(nx_mailbox_open(1, &done, NULL), NX_OK);
    assert_int_equal(nx_mailbox_open(1, &echo.mailbox, NULL), NX_OK);
    const struct nx_actor actor = { "echo", echo.mailbox, &echo, echo_step };
    assert_int_equal(nx_thread_start(&actor, 1, &clock, &thread, NULL), NX_OK);
    assert_true(nx_mailbox_send(echo.mailbox, message_new(done)));
    nx_message_release(wait_for_message(done));
    nx_thread_stop(thread);
    /* The first step, and one for the message: or both at once. */
    assert_true(nx_counter_get(&echo.step_count) <= 2);
    nx_mailbox_close(echo.mailbox);
}

static void test_messages_stay_in_the_mailbox_of_a_stopped_thread(void **state) {
    const struct nx_clock clock = nx_clock_system();
    struct nx_message_queue queue = { 0 };
    struct echo echo = { 0 };
    struct nx_thread *thread = NULL;
    (void)state;
    assert_int_equal(nx_mailbox_open(1, &echo.mailbox, NULL), NX_OK);
    const struct nx_actor actor = { "echo", echo.mailbox, &echo, echo_step };
    assert_int_equal(nx_thread_start(&actor, 1, &clock, &thread, NULL), NX_OK);
    nx_thread_stop(thread);
    nx_thread_stop(NULL);
    assert_true(nx_mailbox_send(echo.mailbox, message_new(NULL))); /* wakes nobody, touches nothing freed */
    assert_true(nx_mailbox_take(echo.mailbox, &queue));
    nx_message_queue_release(&queue);
    nx_mailbox_close(echo.mailbox);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_threads_answer_each_other),
        cmocka_unit_test(test_two_actors_on_one_thread_answer_each_other),
        cmocka_unit_test(test_steps_at_the_time_asked_for_and_not_earlier),
        cmocka_unit_test(test_an_idle_actor_is_not_stepped),
        cmocka_unit_test(test_messages_stay_in_the_mailbox_of_a_stopped_thread),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
