/* src/io/loop_test.c: timers end in time, messages wake the loop, and it stops when told. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <string.h>

#include "io/loop.h"

static struct nx_loop *loop_new(const struct nx_loop_options *options) {
    struct nx_loop *loop = NULL;
    struct nx_loop_options defaults = { .mailbox_count_max = 100 };
    assert_int_equal(nx_loop_open(options != NULL ? options : &defaults, &loop, NULL), NX_OK);
    return loop;
}

/* ---- timers ---- */

struct alarm {
    struct nx_timer timer;
    struct nx_loop *loop;
    int64_t ended_ns;
    int end_count;
    bool stops;
};

static void alarm_ended(void *data) {
    struct alarm *alarm = data;
    alarm->ended_ns = nx_loop_now(alarm->loop).monotonic_ns;
    alarm->end_count++;
    if (alarm->stops) {
        nx_loop_stop(alarm->loop);
    }
}

static struct alarm alarm_of(struct nx_loop *loop) {
    return (struct alarm){ .loop = loop };
}

static void alarm_start(struct alarm *alarm, int64_t delay_ms) {
    alarm->timer.end = alarm_ended;
    alarm->timer.data = alarm;
    nx_timer_start(alarm->loop, &alarm->timer, delay_ms);
}

static int64_t monotonic_ns(void) {
    const struct nx_clock clock = nx_clock_system();
    return nx_clock_read(&clock).monotonic_ns;
}

static void test_timers_end_in_order_and_never_early(void **state) {
    NX_AUTO(nx_loop) *loop = loop_new(NULL);
    struct alarm alarms[3] = { alarm_of(loop), alarm_of(loop), alarm_of(loop) };
    const int64_t delays_ms[3] = { 120, 0, 60 };
    const int64_t start_ns = monotonic_ns();
    (void)state;
    alarms[0].stops = true;
    for (size_t i = 0; i < 3; i++) {
        alarm_start(&alarms[i], delays_ms[i]);
    }
    nx_loop_run(loop);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(alarms[i].end_count, 1);
        assert_true(alarms[i].ended_ns - start_ns >= delays_ms[i] * NX_NS_PER_MS);
        assert_false(nx_timer_is_running(&alarms[i].timer));
    }
    assert_true(alarms[1].ended_ns <= alarms[2].ended_ns);
    assert_true(alarms[2].ended_ns <= alarms[0].ended_ns);
}

static void test_a_stopped_timer_does_not_end(void **state) {
    NX_AUTO(nx_loop) *loop = loop_new(NULL);
    struct alarm stopped = alarm_of(loop);
    struct alarm last = alarm_of(loop);
    (void)state;
    last.stops = true;
    alarm_start(&stopped, 1);
    alarm_start(&last, 80);
    nx_timer_stop(loop, &stopped.timer);
    nx_timer_stop(loop, &stopped.timer);
    nx_loop_run(loop);
    assert_int_equal(stopped.end_count, 0);
}

static void test_a_restarted_timer_ends_once_at_its_last_deadline(void **state) {
    NX_AUTO(nx_loop) *loop = loop_new(NULL);
    struct alarm later = alarm_of(loop);
    struct alarm sooner = alarm_of(loop);
    const int64_t start_ns = monotonic_ns();
    (void)state;
    later.stops = true;
    alarm_start(&later, 20);
    alarm_start(&later, 150);
    alarm_start(&sooner, 60 * 60 * 1000); /* past what the wheel holds */
    alarm_start(&sooner, 40);
    nx_loop_run(loop);
    assert_int_equal(later.end_count, 1);
    assert_true(later.ended_ns - start_ns >= 150 * NX_NS_PER_MS);
    assert_int_equal(sooner.end_count, 1);
    assert_true(sooner.ended_ns <= later.ended_ns);
}

/* A timer whose end starts it again. */
static void alarm_again(void *data) {
    struct alarm *alarm = data;
    if (++alarm->end_count == 5) {
        nx_loop_stop(alarm->loop);
    } else {
        nx_timer_start(alarm->loop, &alarm->timer, alarm->end_count % 2 == 0 ? 0 : 9000);
        if (alarm->end_count % 2 != 0) {
            nx_timer_start(alarm->loop, &alarm->timer, 5);
        }
    }
}

static void test_a_timer_may_start_itself_again(void **state) {
    NX_AUTO(nx_loop) *loop = loop_new(NULL);
    struct alarm alarm = alarm_of(loop);
    (void)state;
    alarm.timer.end = alarm_again;
    alarm.timer.data = &alarm;
    nx_timer_start(loop, &alarm.timer, 0);
    nx_loop_run(loop);
    assert_int_equal(alarm.end_count, 5);
}

/* ---- messages ---- */

struct counted {
    struct nx_loop *loop;
    size_t message_count;
    size_t turn_count;
    size_t stop_at;
};

static void counted_receive(void *data, struct nx_message_queue *inbox) {
    struct counted *counted = data;
    struct nx_message *message;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        counted->message_count++;
        nx_message_reply(message);
    }
    if (counted->message_count == counted->stop_at) {
        nx_loop_stop(counted->loop);
    }
}

static void counted_turned(void *data) {
    struct counted *counted = data;
    counted->turn_count++;
}

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

static void test_messages_wake_a_loop_on_its_thread(void **state) {
    enum { ROUND_TRIPS = 500 };
    struct counted counted = { 0 };
    const struct nx_loop_options options = {
        .mailbox_count_max = 1, .receive = counted_receive, .turned = counted_turned, .data = &counted
    };
    NX_AUTO(nx_mailbox) *answers = NULL;
    struct nx_message *message;
    (void)state;
    assert_int_equal(nx_mailbox_open(1, &answers, NULL), NX_OK);
    NX_AUTO(nx_loop) *loop = loop_new(&options);
    counted.loop = loop;
    message = message_new(answers);
    assert_int_equal(nx_loop_start(loop, "loop", NULL), NX_OK);
    for (int i = 0; i < ROUND_TRIPS; i++) {
        struct nx_message_queue queue = { 0 };
        assert_true(nx_mailbox_send(nx_loop_mailbox(loop), message));
        while (!nx_mailbox_take(answers, &queue)) {
        }
        message = nx_message_queue_pop(&queue);
    }
    nx_loop_join(loop);
    nx_message_release(message);
    assert_int_equal(counted.message_count, ROUND_TRIPS);
    assert_true(counted.turn_count >= 1);
}

static void test_a_message_sent_to_itself_is_received_in_a_later_turn(void **state) {
    struct counted counted = { .stop_at = 1 };
    const struct nx_loop_options options = { .mailbox_count_max = 1,
                                             .receive = counted_receive,
                                             .data = &counted };
    NX_AUTO(nx_loop) *loop = loop_new(&options);
    (void)state;
    counted.loop = loop;
    assert_true(nx_mailbox_send(nx_loop_mailbox(loop), message_new(NULL)));
    assert_int_equal(counted.message_count, 0);
    nx_loop_run(loop);
    assert_int_equal(counted.message_count, 1);
}

static void test_stops_when_told_before_it_runs_and_runs_again(void **state) {
    NX_AUTO(nx_loop) *loop = loop_new(NULL);
    struct alarm alarm = alarm_of(loop);
    (void)state;
    nx_loop_stop(loop);
    nx_loop_run(loop);
    alarm.stops = true;
    alarm_start(&alarm, 5);
    nx_loop_run(loop);
    assert_int_equal(alarm.end_count, 1);
}

static void test_the_time_stands_still_within_a_turn(void **state) {
    NX_AUTO(nx_loop) *loop = loop_new(NULL);
    const int64_t before_ns = monotonic_ns();
    (void)state;
    assert_true(nx_loop_now(loop).monotonic_ns >= before_ns);
}

/* ---- signals ---- */

static void signalled(void *data, int signal_number) {
    struct counted *counted = data;
    counted->message_count += signal_number == SIGTERM ? 1 : 100;
    nx_loop_stop(counted->loop);
}

static void test_a_signal_calls_back_instead_of_ending_the_process(void **state) {
    NX_AUTO(nx_loop) *loop = loop_new(NULL);
    struct counted counted = { .loop = loop };
    (void)state;
    assert_int_equal(nx_loop_watch_signals(loop, signalled, &counted, NULL), NX_OK);
    assert_int_equal(raise(SIGTERM), 0);
    nx_loop_run(loop);
    assert_int_equal(counted.message_count, 1);
    assert_int_equal(nx_loop_watch_signal(loop, SIGHUP, NULL), NX_OK);
    assert_int_equal(raise(SIGHUP), 0);
    nx_loop_run(loop);
    assert_int_equal(counted.message_count, 101);
    assert_int_equal(raise(SIGPIPE), 0); /* ignored by every process with a loop */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_end_in_order_and_never_early),
        cmocka_unit_test(test_a_stopped_timer_does_not_end),
        cmocka_unit_test(test_a_restarted_timer_ends_once_at_its_last_deadline),
        cmocka_unit_test(test_a_timer_may_start_itself_again),
        cmocka_unit_test(test_messages_wake_a_loop_on_its_thread),
        cmocka_unit_test(test_a_message_sent_to_itself_is_received_in_a_later_turn),
        cmocka_unit_test(test_stops_when_told_before_it_runs_and_runs_again),
        cmocka_unit_test(test_the_time_stands_still_within_a_turn),
        cmocka_unit_test(test_a_signal_calls_back_instead_of_ending_the_process),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
