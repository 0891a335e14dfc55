/* src/server/nats/replies_test.c: a message may be answered as often and as long as the permissions say, and
 * what is remembered for it is bounded. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>

#include <cmocka.h>

#include "io/clock.h"
#include "server/nats/replies.h"

static const struct nx_nats_permissions two_in_a_second = { .allow_responses = true,
                                                            .responses_max = 2,
                                                            .responses_expire_ns = NX_NS_PER_S };
static const struct nx_nats_permissions any_number = { .allow_responses = true,
                                                       .responses_max = -1,
                                                       .responses_expire_ns = -1 };

static int setup(void **state) {
    static struct nx_nats_replies replies;
    nx_nats_replies_init(&replies, 1);
    *state = &replies;
    return 0;
}

static int teardown(void **state) {
    nx_nats_replies_fini(*state);
    return 0;
}

static void test_a_message_is_answered_so_many_times(void **state) {
    nx_nats_replies_add(*state, &two_in_a_second, NX_STR("r"), 10);
    assert_false(nx_nats_replies_use(*state, &two_in_a_second, NX_STR("other"), 10));
    assert_true(nx_nats_replies_use(*state, &two_in_a_second, NX_STR("r"), 10));
    assert_true(nx_nats_replies_use(*state, &two_in_a_second, NX_STR("r"), 10));
    assert_false(nx_nats_replies_use(*state, &two_in_a_second, NX_STR("r"), 10));
    nx_nats_replies_add(*state, &two_in_a_second, NX_STR("r"), 20); /* the next message */
    assert_true(nx_nats_replies_use(*state, &two_in_a_second, NX_STR("r"), 20));
}

static void test_a_message_is_answered_in_time(void **state) {
    nx_nats_replies_add(*state, &two_in_a_second, NX_STR("r"), 10);
    assert_true(nx_nats_replies_use(*state, &two_in_a_second, NX_STR("r"), 10 + NX_NS_PER_S));
    assert_false(nx_nats_replies_use(*state, &two_in_a_second, NX_STR("r"), 11 + NX_NS_PER_S));
}

static void test_without_limits_a_message_is_answered_for_ever(void **state) {
    nx_nats_replies_add(*state, &any_number, NX_STR("r"), 10);
    for (int i = 0; i < 100; i++) {
        assert_true(nx_nats_replies_use(*state, &any_number, NX_STR("r"), (int64_t)1 << 60));
    }
}

static void test_what_is_remembered_is_bounded_and_cleared(void **state) {
    struct nx_nats_replies *replies = *state;
    char subject[32];
    for (int i = 0; i < NX_NATS_REPLIES_MAX + 1000; i++) {
        (void)snprintf(subject, sizeof subject, "r.%d", i);
        nx_nats_replies_add(replies, &two_in_a_second, nx_str_from_c(subject), 2 * (int64_t)NX_NS_PER_S);
    }
    assert_int_equal(replies->map.count, NX_NATS_REPLIES_MAX);
    nx_nats_replies_add(replies, &two_in_a_second, NX_STR("late"), 5 * (int64_t)NX_NS_PER_S);
    assert_int_equal(replies->map.count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_message_is_answered_so_many_times, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_message_is_answered_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_limits_a_message_is_answered_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_remembered_is_bounded_and_cleared, setup, teardown),
    };
    return cmocka_run_group_tests_name("server/nats/replies", tests, NULL, NULL);
}
