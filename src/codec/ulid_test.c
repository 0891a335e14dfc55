/* src/codec/ulid_test.c: ULIDs are the specification's text, and never fall. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/ulid.h"

static const uint8_t random_bytes[NX_ULID_RANDOM_SIZE] = { 0xFF, 1, 2, 3, 4, 5, 6, 7, 8, 0xFF };
static const uint8_t full_bytes[NX_ULID_RANDOM_SIZE] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                                         0xFF, 0xFF, 0xFF, 0xFF, 0xFF };

static int compare(const struct nx_ulid *a, const struct nx_ulid *b) {
    char text_a[NX_ULID_TEXT_SIZE + 1];
    char text_b[NX_ULID_TEXT_SIZE + 1];
    const int by_text = nx_str_compare(nx_ulid_format(a, text_a), nx_ulid_format(b, text_b));
    const int by_bytes = memcmp(a->bytes, b->bytes, sizeof a->bytes);
    assert_true((by_text < 0) == (by_bytes < 0)); /* the text sorts as the bytes do */
    return by_bytes;
}

static void test_gives_the_time_of_the_specification_s_example(void **state) {
    struct nx_ulid ulid;
    char text[NX_ULID_TEXT_SIZE + 1];
    (void)state;
    assert_true(nx_ulid_parse(NX_STR("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &ulid));
    assert_int_equal(nx_ulid_time_ms(&ulid), 1469922850259);
    assert_true(nx_str_is(nx_ulid_format(&ulid, text), "01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    assert_true(nx_ulid_parse(NX_STR("01arz3ndektsv4rrffq69g5fav"), &ulid));
    assert_true(nx_str_is(nx_ulid_format(&ulid, text), "01ARZ3NDEKTSV4RRFFQ69G5FAV"));
}

static void test_rises_within_a_millisecond_and_when_the_clock_goes_back(void **state) {
    struct nx_ulid_generator generator = { 0 };
    (void)state;
    const struct nx_ulid first = nx_ulid_next(&generator, 1700000000123456789, random_bytes);
    const struct nx_ulid second = nx_ulid_next(&generator, 1700000000123999999, full_bytes);
    const struct nx_ulid third = nx_ulid_next(&generator, 1600000000000000000, random_bytes);
    const struct nx_ulid fourth = nx_ulid_next(&generator, 1700000000124000000, random_bytes);
    assert_int_equal(nx_ulid_time_ms(&first), 1700000000123);
    assert_memory_equal(first.bytes + 6, random_bytes, sizeof random_bytes);
    assert_int_equal(second.bytes[15], 0); /* 0xFF and one more: the carry went on */
    assert_int_equal(second.bytes[14], 9);
    assert_true(compare(&first, &second) < 0);
    assert_true(compare(&second, &third) < 0);
    assert_true(compare(&third, &fourth) < 0);
    assert_int_equal(nx_ulid_time_ms(&third), 1700000000123);
    assert_int_equal(nx_ulid_time_ms(&fourth), 1700000000124);
}

static void test_an_overflow_carries_into_the_time(void **state) {
    struct nx_ulid_generator generator = { 0 };
    (void)state;
    const struct nx_ulid first = nx_ulid_next(&generator, 5000000, full_bytes);
    const struct nx_ulid second = nx_ulid_next(&generator, 5000000, full_bytes);
    assert_true(compare(&first, &second) < 0);
    assert_int_equal(nx_ulid_time_ms(&second), 6);
}

static void test_times_before_1970_count_as_0(void **state) {
    struct nx_ulid_generator generator = { 0 };
    (void)state;
    const struct nx_ulid ulid = nx_ulid_next(&generator, -1, random_bytes);
    assert_int_equal(nx_ulid_time_ms(&ulid), 0);
}

static void test_refuses_what_is_no_ulid(void **state) {
    struct nx_ulid ulid;
    (void)state;
    assert_false(nx_ulid_parse(NX_STR("01ARZ3NDEKTSV4RRFFQ69G5FA"), &ulid));
    assert_false(nx_ulid_parse(NX_STR("01ARZ3NDEKTSV4RRFFQ69G5FAVX"), &ulid));
    assert_false(nx_ulid_parse(NX_STR("81ARZ3NDEKTSV4RRFFQ69G5FAV"), &ulid)); /* 129 bits */
    assert_false(nx_ulid_parse(NX_STR("01ARZ3NDEKTSV4RRFFQ69G5FAU"), &ulid)); /* no U in the alphabet */
    assert_false(nx_ulid_parse(NX_STR("01ARZ3NDEKTSV4RRFFQ69G5FA\0"), &ulid));
    assert_true(nx_ulid_parse(NX_STR("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), &ulid));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_the_time_of_the_specification_s_example),
        cmocka_unit_test(test_rises_within_a_millisecond_and_when_the_clock_goes_back),
        cmocka_unit_test(test_an_overflow_carries_into_the_time),
        cmocka_unit_test(test_times_before_1970_count_as_0),
        cmocka_unit_test(test_refuses_what_is_no_ulid),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
