/* src/base/str_test.c: views never leave their bytes, and readers of foreign bytes never either. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"

static struct nx_reader reader_of(const void *bytes, size_t len) {
    return nx_reader_of(nx_str_of(bytes, len));
}

static void test_compares_bytes_and_then_length(void **state) {
    (void)state;
    assert_int_equal(nx_str_compare(NX_STR("a"), NX_STR("a")), 0);
    assert_true(nx_str_compare(NX_STR("a"), NX_STR("ab")) < 0);
    assert_true(nx_str_compare(NX_STR("b"), NX_STR("ab")) > 0);
    assert_true(nx_str_compare(NX_STR("\xff"), NX_STR("a")) > 0);
    assert_int_equal(nx_str_compare((struct nx_str){ 0 }, NX_STR_EMPTY), 0);
    assert_true(nx_str_equal((struct nx_str){ 0 }, NX_STR_EMPTY));
    assert_false(nx_str_equal(NX_STR("a"), NX_STR("b")));
    assert_true(nx_str_equal_ignore_case(NX_STR("Content-TYPE"), NX_STR("content-type")));
    assert_false(nx_str_equal_ignore_case(NX_STR("[a"), NX_STR("{a"))); /* these two differ by the case bit */
    assert_false(nx_str_equal_ignore_case(NX_STR("a"), NX_STR("ab")));
}

static void test_finds_and_slices_within_bounds(void **state) {
    (void)state;
    assert_int_equal(nx_str_find_byte(NX_STR("a.b"), '.'), 1);
    assert_true(nx_str_find_byte(NX_STR_EMPTY, '.') == SIZE_MAX);
    assert_int_equal(nx_str_find(NX_STR("abcabd"), NX_STR("abd")), 3);
    assert_int_equal(nx_str_find(NX_STR("abc"), NX_STR_EMPTY), 0);
    assert_true(nx_str_find(NX_STR("ab"), NX_STR("abc")) == SIZE_MAX);
    assert_true(nx_str_is(nx_str_slice(NX_STR("abc"), 1, 99), "bc"));
    assert_true(nx_str_is(nx_str_slice(NX_STR("abc"), 99, 1), ""));
    assert_int_equal(nx_str_slice((struct nx_str){ 0 }, 0, 4).len, 0);
    assert_true(nx_str_starts_with(NX_STR("events.x"), NX_STR("events.")));
    assert_false(nx_str_starts_with(NX_STR("ev"), NX_STR("events.")));
    assert_true(nx_str_ends_with(NX_STR("a.c"), NX_STR(".c")));
    assert_false(nx_str_ends_with(NX_STR("c"), NX_STR(".c")));
    assert_true(nx_str_is(nx_str_trim(NX_STR(" \t a b\t ")), "a b"));
    assert_true(nx_str_is(nx_str_trim(NX_STR("  ")), ""));
    assert_int_equal(nx_str_from_c(NULL).len, 0);
}

static void test_splits_into_as_many_parts_as_separators_plus_one(void **state) {
    (void)state;
    struct nx_str rest = NX_STR("a,,b,");
    const char *const expected[] = { "a", "", "b", "" };
    struct nx_str part;
    for (size_t i = 0; i < 4; i++) {
        assert_true(nx_str_split(&rest, ',', &part));
        assert_true(nx_str_is(part, expected[i]));
    }
    assert_false(nx_str_split(&rest, ',', &part));
    rest = NX_STR_EMPTY;
    assert_true(nx_str_split(&rest, ',', &part));
    assert_int_equal(part.len, 0);
    assert_false(nx_str_split(&rest, ',', &part));
}

static void test_reads_whole_decimal_numbers_only(void **state) {
    (void)state;
    uint64_t value = 7;
    assert_true(nx_str_to_u64(NX_STR("0"), &value));
    assert_int_equal(value, 0);
    assert_true(nx_str_to_u64(NX_STR("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    const char *const refused[] = {
        "", "+1", "-1", " 1", "1 ", "1x", "18446744073709551616", "99999999999999999999"
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        value = 7;
        assert_false(nx_str_to_u64(nx_str_from_c(refused[i]), &value));
        assert_int_equal(value, 7);
    }
}

static void test_refuses_what_is_not_utf8(void **state) {
    (void)state;
    assert_true(nx_str_is_utf8(NX_STR_EMPTY));
    assert_true(nx_str_is_utf8(NX_STR("plain text that is longer than eight bytes")));
    assert_true(nx_str_is_utf8(NX_STR(
        "\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf")));
    assert_true(nx_str_is_utf8(nx_str_of("a\0b", 3)));
    const char *const refused[] = {
        "\x80",             /* a continuation alone */
        "\xc0\x80",         /* overlong */
        "\xc1\xbf",         /* overlong */
        "\xe0\x9f\xbf",     /* overlong */
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",     /* a surrogate */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xf5\x80\x80\x80", /* above U+10FFFF */
        "\xff",             /* never a byte of UTF-8 */
        "\xc2",             /* cut */
        "\xe2\x82",         /* cut */
        "\xf0\x9f\x98",     /* cut */
        "\xe2\x28\xa1",     /* second byte */
        "\xe2\x82\x28",     /* third byte */
        "\xf0\x9f\x98\x28", /* fourth byte */
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(nx_str_utf8_prefix(nx_str_from_c(refused[i])), 0);
    }
    assert_int_equal(nx_str_utf8_prefix(NX_STR("twelve bytes\xff and more text")), 12);
}

static void test_hashes_by_content_and_seed(void **state) {
    (void)state;
    const char bytes[] = "0123456789abcdef0123456789abcdef";
    for (size_t len = 0; len < sizeof bytes - 1; len++) {
        const uint64_t hash = nx_str_hash(nx_str_of(bytes, len), 1);
        NX_AUTO_FREE char *copy = malloc(len + 1); /* other alignment, and no byte behind it */
        assert_non_null(copy);
        memcpy(copy, bytes, len);
        assert_true(hash == nx_str_hash(nx_str_of(copy, len), 1));
        assert_true(hash != nx_str_hash(nx_str_of(bytes, len), 2));
        assert_true(hash != nx_str_hash(nx_str_of(bytes, len + 1), 1));
    }
    assert_true(nx_str_hash(nx_str_of("\0", 1), 1) != nx_str_hash(nx_str_of("\0\0", 2), 1));
}

static void test_reader_gives_zero_after_the_end_and_stays_failed(void **state) {
    (void)state;
    struct nx_reader reader = reader_of("\x01\x02\x03", 3);
    assert_int_equal(nx_reader_u16(&reader), 0x0201);
    assert_int_equal(nx_reader_left(&reader), 1);
    assert_int_equal(nx_reader_u32(&reader), 0);
    assert_false(nx_reader_ok(&reader));
    assert_int_equal(nx_reader_u8(&reader), 0); /* though a byte was left */
    assert_int_equal(nx_reader_left(&reader), 0);
    assert_int_equal(nx_reader_bytes(&reader, 0).len, 0);
    assert_false(nx_reader_ok(&reader));
}

static void test_reader_refuses_lengths_past_the_end(void **state) {
    (void)state;
    struct nx_reader reader = reader_of("abc", 3);
    assert_int_equal(nx_reader_bytes(&reader, SIZE_MAX).len, 0);
    assert_false(nx_reader_ok(&reader));
    reader = reader_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
    assert_int_equal(nx_reader_varint_bytes(&reader).len, 0);
    assert_false(nx_reader_ok(&reader));
    reader = reader_of(NULL, 0);
    assert_int_equal(nx_reader_bytes(&reader, 0).len, 0);
    assert_true(nx_reader_ok(&reader));
}

static void test_varints_round_trip_and_longer_ones_are_refused(void **state) {
    (void)state;
    const uint64_t values[] = {
        0, 1, 127, 128, 16383, 16384, UINT32_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        NX_AUTO(nx_buf) buf;
        nx_buf_init(&buf, 64);
        nx_buf_append_varint(&buf, values[i]);
        nx_buf_append_varint_signed(&buf, (int64_t)values[i]);
        struct nx_reader reader = nx_reader_of(nx_buf_str(&buf));
        assert_true(nx_reader_varint(&reader) == values[i]);
        assert_true(nx_reader_varint_signed(&reader) == (int64_t)values[i]);
        assert_true(nx_reader_ok(&reader));
        assert_int_equal(nx_reader_left(&reader), 0);
    }
    const struct nx_str refused[] = {
        NX_STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),     /* 65 bits */
        NX_STR("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), /* eleven bytes */
        NX_STR("\x80"),                                         /* cut */
        NX_STR_EMPTY,
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct nx_reader reader = nx_reader_of(refused[i]);
        assert_true(nx_reader_varint(&reader) == 0);
        assert_false(nx_reader_ok(&reader));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compares_bytes_and_then_length),
        cmocka_unit_test(test_finds_and_slices_within_bounds),
        cmocka_unit_test(test_splits_into_as_many_parts_as_separators_plus_one),
        cmocka_unit_test(test_reads_whole_decimal_numbers_only),
        cmocka_unit_test(test_refuses_what_is_not_utf8),
        cmocka_unit_test(test_hashes_by_content_and_seed),
        cmocka_unit_test(test_reader_gives_zero_after_the_end_and_stays_failed),
        cmocka_unit_test(test_reader_refuses_lengths_past_the_end),
        cmocka_unit_test(test_varints_round_trip_and_longer_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
