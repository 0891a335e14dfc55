/* src/platform/function/consumer_test.c: order, retries and the window of one function, without any I/O; and
 * that a position written down and read back, with the records since, is the position. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/assert.h"
#include "platform/function/consumer.h"

static struct nx_consumer *new_consumer(void) {
    struct nx_consumer *consumer = NULL;
    assert_int_equal(nx_consumer_new(NX_STR("f"), 1, &consumer, NULL), NX_OK);
    return consumer;
}

static struct nx_item *add(struct nx_consumer *consumer, uint64_t sequence, uint64_t key_hash) {
    struct nx_item *item = NULL;
    assert_int_equal(nx_consumer_add(consumer, sequence, 0, 0, &item, NULL), NX_OK);
    assert_non_null(item);
    assert_int_equal(nx_consumer_queue(item, key_hash, NULL), NX_OK);
    consumer->cursor = sequence + 1;
    return item;
}

static uint64_t take(struct nx_consumer *consumer, struct nx_item **item_out) {
    *item_out = nx_consumer_take(consumer);
    return *item_out == NULL ? 0 : (*item_out)->sequence;
}

static void test_later_events_of_a_key_wait_and_others_go_on(void **state) {
    (void)state;
    NX_AUTO(nx_consumer) *consumer = new_consumer();
    struct nx_item *first;
    struct nx_item *other;
    struct nx_item *none;
    (void)add(consumer, 1, 100);
    (void)add(consumer, 2, 100);
    (void)add(consumer, 3, 200);
    assert_int_equal(take(consumer, &first), 1);
    assert_int_equal(take(consumer, &other), 3);
    assert_int_equal(take(consumer, &none), 0);
    /* A failed attempt keeps its place in front of its key. */
    nx_consumer_retry(first, 50, 1000);
    assert_int_equal(take(consumer, &none), 0);
    nx_consumer_wake(first);
    assert_int_equal(take(consumer, &first), 1);
    assert_int_equal(first->attempt, 1);
    assert_int_equal(first->earlier[0], 50);
    struct nx_item *second = nx_consumer_end(first);
    assert_int_equal(second->sequence, 2);
    assert_int_equal(take(consumer, &second), 2);
    assert_null(nx_consumer_end(second));
    assert_int_equal(nx_consumer_floor(consumer), 3);
    assert_null(nx_consumer_end(other));
    assert_int_equal(nx_consumer_floor(consumer), 4);
    assert_int_equal(consumer->lanes.count, 0);
    assert_int_equal(consumer->running_count, 0);
}

static struct nx_consumer *copy_of(const struct nx_consumer *consumer) {
    NX_AUTO(nx_buf) bytes;
    nx_buf_init(&bytes, 1 << 20);
    nx_consumer_encode(consumer, 7, 0, &bytes);
    assert_int_equal(nx_buf_check(&bytes, NULL), NX_OK);
    struct nx_consumer *copy = new_consumer();
    assert_int_equal(nx_consumer_decode(copy, nx_buf_str(&bytes), NULL), NX_OK);
    for (size_t len = 0; len < bytes.len; len++) {
        NX_AUTO(nx_consumer) *cut = new_consumer();
        assert_int_equal(nx_consumer_decode(cut, nx_str_of(bytes.ptr, len), NULL), NX_DATA_LOSS);
    }
    return copy;
}

static void test_a_position_and_the_records_since_give_the_position(void **state) {
    (void)state;
    NX_AUTO(nx_consumer) *consumer = new_consumer();
    struct nx_item *first;
    (void)add(consumer, 10, 100);
    (void)add(consumer, 11, 100);
    (void)add(consumer, 15, 0);
    (void)take(consumer, &first);
    nx_consumer_retry(first, 50, 1000);
    NX_AUTO(nx_consumer) *copy = copy_of(consumer);
    assert_int_equal(copy->cursor, 16);
    assert_int_equal(copy->pending.count, 3);
    const struct nx_consumer_fact facts[] = {
        { .sequence = 10, .invocation = 50, .attempt = 1, .time_ns = 1000 }, /* known already */
        { .sequence = 10, .invocation = 60, .attempt = 2, .time_ns = 2000 },
        { .sequence = 15, .invocation = 61, .attempt = 1, .done = true },
        { .sequence = 3, .invocation = 20, .attempt = 1, .done = true },  /* long done */
        { .sequence = 20, .invocation = 62, .attempt = 1, .done = true }, /* taken in after the checkpoint */
        { .sequence = 21, .invocation = 63, .attempt = 1, .time_ns = 3000 },
    };
    for (size_t round = 0; round < 2; round++) { /* twice changes nothing */
        for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
            assert_int_equal(nx_consumer_keep_fact(copy, &facts[i], NULL), NX_OK);
        }
        assert_int_equal(nx_consumer_apply(copy, NULL), NX_OK);
    }
    assert_int_equal(copy->pending.count, 2);
    struct nx_list_node *node = nx_list_first(&copy->pending);
    if (node == NULL) {
        fail_msg("nothing is pending");
        return;
    }
    struct nx_item *item = nx_container_of(node, struct nx_item, in_pending);
    assert_int_equal(item->sequence, 10);
    assert_int_equal(item->attempt, 2);
    assert_int_equal(item->earlier_count, 2);
    assert_int_equal(item->key_hash, 100);
    assert_int_equal(nx_consumer_queue(item, item->key_hash, NULL), NX_OK);
    assert_int_equal(item->state, NX_ITEM_RETRYING); /* its wait goes on */
    /* What is ahead survives another checkpoint: its records are not read once more. */
    NX_AUTO(nx_consumer) *later = copy_of(copy);
    assert_int_equal(later->ahead.count, 2);
    assert_int_equal(nx_consumer_add(copy, 20, 0, 0, &item, NULL), NX_OK);
    assert_null(item);
    assert_int_equal(nx_consumer_add(copy, 21, 0, 0, &item, NULL), NX_OK);
    assert_int_equal(item->attempt, 1);
    assert_int_equal(copy->ahead.count, 0);
}

static void test_a_position_tells_by_itself_which_letters_went_back(void **state) {
    NX_AUTO(nx_buf) payload;
    (void)state;
    nx_buf_init(&payload, 4096);
    NX_AUTO(nx_consumer) *consumer = new_consumer();
    consumer->requeue_end = 300;
    nx_consumer_encode(consumer, 1, 1, &payload);
    assert_int_equal(nx_consumer_requeue_end_of(nx_buf_str(&payload)), 300);
    for (size_t len = 0; len < 7; len++) {
        assert_int_equal(nx_consumer_requeue_end_of(nx_str_slice(nx_buf_str(&payload), 0, len)), 0);
    }
}

static void test_the_window_is_bounded(void **state) {
    (void)state;
    NX_AUTO(nx_consumer) *consumer = new_consumer();
    for (uint64_t i = 1; i <= NX_CONSUMER_PENDING_MAX; i++) {
        assert_true(nx_consumer_has_room(consumer));
        (void)add(consumer, i, 1 + i % 7);
    }
    assert_false(nx_consumer_has_room(consumer));
    NX_AUTO(nx_buf) bytes;
    nx_buf_init(&bytes, 1000 * 1024);
    nx_consumer_encode(consumer, 1, 0, &bytes);
    assert_int_equal(nx_buf_check(&bytes, NULL), NX_OK); /* a full one fits into a record */
}

static void test_a_full_window_of_retries_still_fits_into_a_record(void **state) {
    enum { ATTEMPTS = 40 };
    (void)state;
    NX_AUTO(nx_consumer) *consumer = new_consumer();
    for (uint64_t i = 1; i <= NX_CONSUMER_PENDING_MAX; i++) {
        struct nx_item *item = add(consumer, i, UINT64_MAX - i);
        for (uint64_t attempt = 0; attempt < ATTEMPTS; attempt++) {
            assert_int_equal(take(consumer, &item), i);
            nx_consumer_retry(item, 300000000 + i * ATTEMPTS + attempt, 1700000000LL * NX_NS_PER_S);
            nx_consumer_wake(item);
        }
        assert_int_equal(take(consumer, &item), i);
    }
    NX_AUTO(nx_buf) bytes;
    nx_buf_init(&bytes, 1000 * 1024);
    nx_consumer_encode(consumer, 1, 0, &bytes);
    assert_int_equal(nx_buf_check(&bytes, NULL), NX_OK);
    NX_AUTO(nx_consumer) *copy = new_consumer();
    assert_int_equal(nx_consumer_decode(copy, nx_buf_str(&bytes), NULL), NX_OK);
    const struct nx_list_node *node = nx_list_first(&copy->pending);
    nx_assert(node != NULL);
    const struct nx_item *item = nx_container_of(node, struct nx_item, in_pending);
    assert_int_equal(item->attempt, ATTEMPTS);
    assert_int_equal(item->earlier[item->earlier_count - 1], 300000000 + ATTEMPTS + ATTEMPTS - 1);
}

static void test_waits_double_up_to_the_maximum_within_the_jitter(void **state) {
    (void)state;
    struct nx_retry_policy policy = { .backoff_ns = 1000, .backoff_max_ns = 5000 };
    assert_int_equal(nx_retry_wait_ns(&policy, 1, 0), 1000);
    assert_int_equal(nx_retry_wait_ns(&policy, 2, 0), 2000);
    assert_int_equal(nx_retry_wait_ns(&policy, 3, 0), 4000);
    assert_int_equal(nx_retry_wait_ns(&policy, 4, 0), 5000);
    assert_int_equal(nx_retry_wait_ns(&policy, 4000000000u, 0), 5000);
    policy.jitter = 0.2;
    assert_int_equal(nx_retry_wait_ns(&policy, 1, 0), 800);
    assert_in_range(nx_retry_wait_ns(&policy, 1, UINT64_MAX), 1199, 1200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_later_events_of_a_key_wait_and_others_go_on),
        cmocka_unit_test(test_a_position_and_the_records_since_give_the_position),
        cmocka_unit_test(test_a_position_tells_by_itself_which_letters_went_back),
        cmocka_unit_test(test_the_window_is_bounded),
        cmocka_unit_test(test_a_full_window_of_retries_still_fits_into_a_record),
        cmocka_unit_test(test_waits_double_up_to_the_maximum_within_the_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
