/* src/fabric/consumer/ledger_test.c: what was acknowledged is not given again; the floor never passes what is
 * waited for; a state is read as it was written, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fabric/consumer/ledger.h"

#define S INT64_C(1000000000)

static void give(struct nx_js_ledger *ledger, uint64_t sequence, enum nx_js_ack ack) {
    assert_int_equal(nx_js_ledger_give(ledger, sequence, (int64_t)sequence * S, ack, NULL), NX_OK);
}

static void test_the_floor_stays_below_what_is_waited_for(void **state) {
    struct nx_js_ledger ledger;
    (void)state;
    nx_js_ledger_init(&ledger, 10);
    for (uint64_t sequence = 11; sequence <= 20; sequence += 3) { /* 11 14 17 20 */
        give(&ledger, sequence, NX_JS_ACK_EXPLICIT);
    }
    assert_true(nx_js_ledger_ack(&ledger, 14, 2, NX_JS_ACK_EXPLICIT));
    assert_false(nx_js_ledger_ack(&ledger, 14, 2, NX_JS_ACK_EXPLICIT));
    assert_int_equal(ledger.floor_stream, 10);
    assert_int_equal(ledger.floor_consumer, 0);
    assert_true(nx_js_ledger_ack(&ledger, 11, 1, NX_JS_ACK_EXPLICIT));
    assert_int_equal(ledger.floor_stream, 16);
    assert_int_equal(ledger.floor_consumer, 2);
    assert_true(nx_js_ledger_ack(&ledger, 20, 4, NX_JS_ACK_EXPLICIT));
    assert_true(nx_js_ledger_ack(&ledger, 17, 3, NX_JS_ACK_EXPLICIT));
    assert_int_equal(ledger.floor_stream, 20);
    assert_int_equal(ledger.floor_consumer, 4);
    assert_int_equal(ledger.count, 0);
    nx_js_ledger_fini(&ledger);
}

static void test_an_acknowledgement_may_cover_all_before_it(void **state) {
    struct nx_js_ledger ledger;
    (void)state;
    nx_js_ledger_init(&ledger, 0);
    for (uint64_t sequence = 1; sequence <= 5; sequence++) {
        give(&ledger, sequence, NX_JS_ACK_ALL);
    }
    assert_true(nx_js_ledger_ack(&ledger, 3, 3, NX_JS_ACK_ALL));
    assert_int_equal(ledger.count, 2);
    assert_int_equal(ledger.floor_stream, 3);
    assert_false(nx_js_ledger_ack(&ledger, 2, 2, NX_JS_ACK_ALL));
    assert_false(nx_js_ledger_ack(&ledger, 9, 9, NX_JS_ACK_ALL));
    nx_js_ledger_fini(&ledger);
}

static void test_what_nobody_acknowledges_is_done_with_at_once(void **state) {
    struct nx_js_ledger ledger;
    (void)state;
    nx_js_ledger_init(&ledger, 0);
    give(&ledger, 7, NX_JS_ACK_NONE);
    assert_int_equal(ledger.count, 0);
    assert_int_equal(ledger.floor_stream, 7);
    assert_int_equal(ledger.floor_consumer, 1);
    nx_js_ledger_fini(&ledger);
}

static void test_it_is_due_after_its_wait_and_each_time_after_the_next_one(void **state) {
    int64_t backoff[] = { 1 * S, 5 * S };
    const struct nx_js_consumer config = { .backoff = { backoff, 2 } };
    struct nx_js_ledger ledger;
    (void)state;
    nx_js_ledger_init(&ledger, 0);
    give(&ledger, 1, NX_JS_ACK_EXPLICIT); /* at 1 s */
    assert_int_equal(nx_js_ledger_expire(&ledger, 1 * S, &config), 2 * S);
    assert_null(nx_js_ledger_due(&ledger));
    assert_int_equal(nx_js_ledger_expire(&ledger, 2 * S, &config), INT64_MAX);
    struct nx_js_pending *due = nx_js_ledger_due(&ledger);
    assert_non_null(due);
    nx_js_ledger_give_again(&ledger, due, 3 * S);
    assert_int_equal(ledger.delivered_consumer, 2);
    assert_int_equal(nx_js_ledger_redelivered(&ledger), 1);
    assert_int_equal(nx_js_ledger_expire(&ledger, 3 * S, &config), 8 * S);
    nx_js_ledger_make_due(&ledger, nx_js_ledger_find(&ledger, 1));
    nx_js_ledger_make_due(&ledger, nx_js_ledger_find(&ledger, 1));
    assert_int_equal(ledger.due_count, 1);
    nx_js_ledger_drop(&ledger, nx_js_ledger_due(&ledger));
    assert_int_equal(ledger.due_count, 0);
    assert_null(nx_js_ledger_find(&ledger, 1));
    nx_js_ledger_fini(&ledger);
}

static void test_a_state_is_read_as_it_was_written(void **state) {
    NX_AUTO(nx_buf) first;
    NX_AUTO(nx_buf) second;
    struct nx_js_ledger ledger;
    struct nx_js_ledger again;
    (void)state;
    nx_buf_init(&first, 1024 * 1024);
    nx_buf_init(&second, 1024 * 1024);
    nx_js_ledger_init(&ledger, 3);
    for (uint64_t sequence = 4; sequence < 1000; sequence += 1 + sequence % 7) {
        give(&ledger, sequence, NX_JS_ACK_EXPLICIT);
    }
    for (uint64_t sequence = 4; sequence < 1000; sequence += 5) {
        (void)nx_js_ledger_ack(&ledger, sequence, 0, NX_JS_ACK_EXPLICIT);
    }
    nx_js_ledger_make_due(&ledger, &ledger.pending[ledger.first + 2]);
    nx_js_ledger_write(&ledger, &first);
    assert_int_equal(nx_js_ledger_read(&again, nx_buf_str(&first), NULL), NX_OK);
    nx_js_ledger_write(&again, &second);
    assert_true(nx_str_equal(nx_buf_str(&first), nx_buf_str(&second)));
    assert_int_equal(again.due_count, 1);
    assert_int_equal(again.floor_stream, ledger.floor_stream);
    nx_js_ledger_fini(&again);
    for (size_t len = 0; len < first.len; len++) { /* half of one is none */
        assert_int_equal(nx_js_ledger_read(&again, nx_str_slice(nx_buf_str(&first), 0, len), NULL),
                         NX_DATA_LOSS);
        nx_js_ledger_fini(&again);
    }
    nx_js_ledger_fini(&ledger);
}

static void test_it_takes_no_more_than_its_limit(void **state) {
    struct nx_js_ledger ledger;
    (void)state;
    nx_js_ledger_init(&ledger, 0);
    for (uint64_t sequence = 1; sequence <= NX_JS_PENDING_MAX; sequence++) {
        give(&ledger, sequence, NX_JS_ACK_EXPLICIT);
    }
    assert_int_equal(nx_js_ledger_give(&ledger, NX_JS_PENDING_MAX + 1, 0, NX_JS_ACK_EXPLICIT, NULL),
                     NX_RESOURCE_EXHAUSTED);
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, 1024 * 1024); /* what a record takes */
    nx_js_ledger_write(&ledger, &text);
    assert_false(nx_buf_failed(&text));
    nx_js_ledger_drop_below(&ledger, 1000);
    assert_int_equal(ledger.floor_stream, 999);
    nx_js_ledger_fini(&ledger);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_floor_stays_below_what_is_waited_for),
        cmocka_unit_test(test_an_acknowledgement_may_cover_all_before_it),
        cmocka_unit_test(test_what_nobody_acknowledges_is_done_with_at_once),
        cmocka_unit_test(test_it_is_due_after_its_wait_and_each_time_after_the_next_one),
        cmocka_unit_test(test_a_state_is_read_as_it_was_written),
        cmocka_unit_test(test_it_takes_no_more_than_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
