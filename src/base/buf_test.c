/* src/base/buf_test.c: a buffer never passes its maximum, and one check at the end tells of any failure. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/buf.h"

static void test_collects_what_is_appended(void **state) {
    (void)state;
    NX_AUTO(nx_buf) buf;
    nx_buf_init(&buf, 4096);
    assert_int_equal(nx_buf_str(&buf).len, 0);
    nx_buf_append(&buf, NX_STR_EMPTY);
    nx_buf_append_c(&buf, "a");
    nx_buf_append_u8(&buf, 'b');
    nx_buf_append_u16(&buf, 0x6463);
    nx_buf_append_u32(&buf, 0x68676665);
    nx_buf_append_u64(&buf, 0x706f6e6d6c6b6a69);
    nx_buf_append_decimal(&buf, 0);
    nx_buf_append_decimal(&buf, UINT64_MAX);
    nx_buf_append_format(&buf, "<%s>", "x");
    assert_true(nx_str_is(nx_buf_str(&buf), "abcdefghijklmnop018446744073709551615<x>"));
    assert_int_equal(nx_buf_check(&buf, NULL), NX_OK);
}

static void test_formats_longer_than_its_small_buffer(void **state) {
    (void)state;
    NX_AUTO(nx_buf) buf;
    nx_buf_init(&buf, 4096);
    for (int width = 250; width <= 260; width++) {
        nx_buf_reset(&buf);
        nx_buf_append_format(&buf, "%*d", width, 7);
        assert_int_equal(buf.len, width);
        assert_int_equal(buf.ptr[width - 1], '7');
    }
}

static void test_may_be_filled_to_the_last_byte(void **state) {
    (void)state;
    NX_AUTO(nx_buf) buf;
    nx_buf_init(&buf, 200);
    for (int i = 0; i < 200; i++) {
        nx_buf_append_u8(&buf, 'x');
    }
    assert_int_equal(buf.len, 200);
    assert_int_equal(buf.capacity, 200);
    assert_int_equal(nx_buf_check(&buf, NULL), NX_OK);
}

static void test_past_the_maximum_it_fails_once_and_for_all(void **state) {
    (void)state;
    struct nx_error err = { 0 };
    NX_AUTO(nx_buf) buf;
    nx_buf_init(&buf, 3);
    nx_buf_append_c(&buf, "ab");
    nx_buf_append_c(&buf, "cd");
    assert_true(nx_buf_failed(&buf));
    nx_buf_append_c(&buf, "e");
    nx_buf_append_format(&buf, "%d", 1);
    assert_int_equal(buf.len, 0);
    assert_int_equal(nx_buf_check(&buf, &err), NX_INVALID_ARGUMENT);
    assert_int_equal(err.kind, NX_KIND_TOO_LARGE);
    assert_string_equal(err.message, "more than 3 bytes");
    assert_false(nx_buf_reserve(&buf, 1));
    nx_buf_reset(&buf);
    nx_buf_append_c(&buf, "abc");
    assert_true(nx_str_is(nx_buf_str(&buf), "abc"));
}

static void test_a_length_near_the_end_of_memory_does_not_overflow(void **state) {
    (void)state;
    NX_AUTO(nx_buf) buf;
    nx_buf_init(&buf, SIZE_MAX);
    nx_buf_append_c(&buf, "ab");
    assert_false(nx_buf_reserve(&buf, SIZE_MAX - 1));
    assert_true(nx_buf_failed(&buf));
}

static void test_truncates_and_consumes(void **state) {
    (void)state;
    NX_AUTO(nx_buf) buf;
    nx_buf_init(&buf, 64);
    nx_buf_consume(&buf, 0);
    nx_buf_append_c(&buf, "abcdef");
    nx_buf_truncate(&buf, 99);
    assert_int_equal(buf.len, 6);
    nx_buf_truncate(&buf, 5);
    nx_buf_consume(&buf, 2);
    assert_true(nx_str_is(nx_buf_str(&buf), "cde"));
    nx_buf_consume(&buf, 3);
    assert_int_equal(buf.len, 0);
}

static void test_can_be_used_again_after_fini(void **state) {
    (void)state;
    struct nx_buf buf = { 0 };
    nx_buf_fini(&buf);
    nx_buf_fini(NULL);
    nx_buf_init(&buf, 8);
    nx_buf_append_c(&buf, "a");
    nx_buf_fini(&buf);
    assert_null(buf.ptr);
    nx_buf_append_c(&buf, "b");
    assert_true(nx_str_is(nx_buf_str(&buf), "b"));
    nx_buf_fini(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_collects_what_is_appended),
        cmocka_unit_test(test_formats_longer_than_its_small_buffer),
        cmocka_unit_test(test_may_be_filled_to_the_last_byte),
        cmocka_unit_test(test_past_the_maximum_it_fails_once_and_for_all),
        cmocka_unit_test(test_a_length_near_the_end_of_memory_does_not_overflow),
        cmocka_unit_test(test_truncates_and_consumes),
        cmocka_unit_test(test_can_be_used_again_after_fini),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
