/* src/codec/headers_test.c: blocks are read as they were written, and no value writes a second header. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/headers.h"

static void test_reads_what_was_appended(void **state) {
    NX_AUTO(nx_buf) block;
    struct nx_header header;
    (void)state;
    nx_buf_init(&block, NX_HEADERS_BLOCK_SIZE_MAX);
    assert_int_equal(nx_headers_append(&block, NX_STR("ce-id"), NX_STR("1"), NULL), NX_OK);
    assert_int_equal(nx_headers_append(&block, NX_STR("Empty"), NX_STR(""), NULL), NX_OK);
    assert_int_equal(nx_headers_append(&block, NX_STR("CE-ID"), NX_STR("2: x"), NULL), NX_OK);
    assert_true(nx_str_is(nx_buf_str(&block), "ce-id: 1\r\nEmpty: \r\nCE-ID: 2: x\r\n"));
    assert_int_equal(nx_headers_check(nx_buf_str(&block), NULL), NX_OK);
    struct nx_str rest = nx_buf_str(&block);
    assert_true(nx_headers_next(&rest, &header));
    assert_true(nx_headers_next(&rest, &header));
    assert_true(nx_str_is(header.name, "Empty"));
    assert_int_equal(header.value.len, 0);
    assert_true(nx_headers_next(&rest, &header));
    assert_true(nx_str_is(header.value, "2: x"));
    assert_false(nx_headers_next(&rest, &header));
    assert_int_equal(rest.len, 0);
}

static void test_finds_the_first_of_a_name_in_any_case(void **state) {
    const struct nx_str block = NX_STR("A:1\r\nce-id: \t one \r\nCE-id: two\r\n");
    struct nx_str value = NX_STR("untouched");
    (void)state;
    assert_false(nx_headers_find(block, NX_STR("c"), &value));
    assert_true(nx_str_is(value, "untouched"));
    assert_true(nx_headers_find(block, NX_STR("Ce-Id"), &value));
    assert_true(nx_str_is(value, "one"));
    assert_true(nx_str_is(nx_headers_value(block, "a"), "1"));
    assert_int_equal(nx_headers_value(block, "b").len, 0);
}

static void test_refuses_line_breaks_and_bad_names(void **state) {
    NX_AUTO(nx_buf) block;
    struct nx_error err = { 0 };
    (void)state;
    nx_buf_init(&block, NX_HEADERS_BLOCK_SIZE_MAX);
    assert_int_equal(nx_headers_append(&block, NX_STR("a"), NX_STR("b\r\nc: d"), &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "the value of header 'a' has a line break or a NUL in it");
    assert_int_equal(nx_headers_append(&block, NX_STR("a"), NX_STR("b\nc"), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_headers_append(&block, NX_STR("a"), NX_STR("b\0c"), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_headers_append(&block, NX_STR("a b"), NX_STR("c"), &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "'a b' cannot be a header's name");
    assert_int_equal(nx_headers_append(&block, NX_STR("a:"), NX_STR("c"), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_headers_append(&block, NX_STR(""), NX_STR("c"), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_headers_append(&block, NX_STR("a\r\nb"), NX_STR("c"), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_headers_append(&block, NX_STR("\xC3\xBC"), NX_STR("c"), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(block.len, 0);
}

static void test_names_are_the_token_characters_of_rfc_9110(void **state) {
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char byte = (char)c;
        const bool is_alphanumeric =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool is_other = c != 0 && c < 128 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
        assert_int_equal(nx_headers_is_name(nx_str_of(&byte, 1)), is_alphanumeric || is_other);
    }
}

static void test_a_block_stays_below_its_maximum(void **state) {
    static char value[NX_HEADERS_BLOCK_SIZE_MAX];
    NX_AUTO(nx_buf) block;
    struct nx_error err = { 0 };
    (void)state;
    memset(value, 'x', sizeof value);
    nx_buf_init(&block, 4 * NX_HEADERS_BLOCK_SIZE_MAX);
    assert_int_equal(nx_headers_append(&block, NX_STR("a"), nx_str_of(value, sizeof value - 5), NULL), NX_OK);
    assert_int_equal(block.len, NX_HEADERS_BLOCK_SIZE_MAX);
    assert_int_equal(nx_headers_append(&block, NX_STR("b"), NX_STR(""), &err), NX_INVALID_ARGUMENT);
    assert_int_equal(err.kind, NX_KIND_HEADERS_TOO_LARGE);
    assert_int_equal(block.len, NX_HEADERS_BLOCK_SIZE_MAX);
    assert_int_equal(nx_headers_check(nx_buf_str(&block), NULL), NX_OK);
    nx_buf_append_c(&block, "b:\r\n");
    assert_int_equal(nx_headers_check(nx_buf_str(&block), &err), NX_INVALID_ARGUMENT);
    assert_int_equal(err.kind, NX_KIND_HEADERS_TOO_LARGE);
}

static void assert_damaged(struct nx_str block, const char *message) {
    struct nx_error err = { 0 };
    assert_int_equal(nx_headers_check(block, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, message);
}

static void test_names_the_line_that_is_damaged(void **state) {
    (void)state;
    assert_damaged(NX_STR("a: b\r\nc\r\n"), "header line 2 is malformed");
    assert_damaged(NX_STR("a: b\n"), "header line 1 is malformed");
    assert_damaged(NX_STR("a: b"), "header line 1 is malformed");
    assert_damaged(NX_STR("a: b\r\n\r\n"), "header line 2 is malformed");
    assert_damaged(NX_STR("\n"), "header line 1 is malformed");
    assert_damaged(NX_STR("a : b\r\n"), "header line 1 is malformed");
    assert_damaged(NX_STR("a: b\rc\r\n"), "header line 1 is malformed");
    assert_int_equal(nx_headers_check(NX_STR(""), NULL), NX_OK);
}

static void test_finds_several_values_in_one_walk_as_one_at_a_time(void **state) {
    const struct nx_str blocks[] = { NX_STR("a: 1\r\nB: two \r\nc:\r\n"),
                                     NX_STR("b: x\r\nb: y\r\nc:\r\nc: z\r\n"), NX_STR(""),
                                     NX_STR("a: 1\r\n") };
    static const struct nx_str names[] = { { "b", 1 }, { "c", 1 }, { "A", 1 }, { "none", 4 } };
    (void)state;
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        const struct nx_str block = blocks[i];
        struct nx_str values[4];
        nx_headers_values(block, names, 4, values);
        for (size_t k = 0; k < 4; k++) {
            assert_true(nx_str_equal(values[k], nx_headers_value(block, names[k].ptr)));
        }
    }
    struct nx_str value;
    nx_headers_values(NX_STR("b: cut"), names, 1, &value); /* not a line */
    assert_int_equal(value.len, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_several_values_in_one_walk_as_one_at_a_time),
        cmocka_unit_test(test_reads_what_was_appended),
        cmocka_unit_test(test_finds_the_first_of_a_name_in_any_case),
        cmocka_unit_test(test_refuses_line_breaks_and_bad_names),
        cmocka_unit_test(test_names_are_the_token_characters_of_rfc_9110),
        cmocka_unit_test(test_a_block_stays_below_its_maximum),
        cmocka_unit_test(test_names_the_line_that_is_damaged),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
