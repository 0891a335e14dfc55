/* src/codec/base64_test.c: the vectors of RFC 4648, and nothing that is not exactly base64. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/base64.h"

static void assert_encodes(enum nx_base64_alphabet alphabet, struct nx_str bytes, const char *text) {
    NX_AUTO(nx_buf) encoded;
    NX_AUTO(nx_buf) decoded;
    nx_buf_init(&encoded, 1024);
    nx_buf_init(&decoded, 1024);
    nx_base64_encode(&encoded, alphabet, bytes);
    assert_true(nx_str_is(nx_buf_str(&encoded), text));
    assert_int_equal(nx_base64_decode(&decoded, alphabet, nx_str_from_c(text), NULL), NX_OK);
    assert_true(nx_str_equal(nx_buf_str(&decoded), bytes));
}

static void assert_refuses(enum nx_base64_alphabet alphabet, const char *text, const char *message) {
    NX_AUTO(nx_buf) decoded;
    struct nx_error err = { 0 };
    nx_buf_init(&decoded, 1024);
    nx_buf_append_c(&decoded, "before");
    assert_int_equal(nx_base64_decode(&decoded, alphabet, nx_str_from_c(text), &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, message);
    assert_true(nx_str_is(nx_buf_str(&decoded), "before"));
}

static void test_encodes_the_vectors_of_the_standard(void **state) {
    (void)state;
    assert_encodes(NX_BASE64_STANDARD, NX_STR(""), "");
    assert_encodes(NX_BASE64_STANDARD, NX_STR("f"), "Zg==");
    assert_encodes(NX_BASE64_STANDARD, NX_STR("fo"), "Zm8=");
    assert_encodes(NX_BASE64_STANDARD, NX_STR("foo"), "Zm9v");
    assert_encodes(NX_BASE64_STANDARD, NX_STR("foob"), "Zm9vYg==");
    assert_encodes(NX_BASE64_STANDARD, NX_STR("fooba"), "Zm9vYmE=");
    assert_encodes(NX_BASE64_STANDARD, NX_STR("foobar"), "Zm9vYmFy");
    assert_encodes(NX_BASE64_STANDARD, NX_STR("\xFB\xFF\xBF\x00"), "+/+/AA==");
}

static void test_the_url_alphabet_is_not_padded(void **state) {
    (void)state;
    assert_encodes(NX_BASE64_URL, NX_STR("\xFB\xFF\xBF\x00"), "-_-_AA");
    assert_encodes(NX_BASE64_URL, NX_STR("fo"), "Zm8");
    assert_refuses(NX_BASE64_URL, "Zm8=", "byte 3 is not a base64 character");
    assert_refuses(NX_BASE64_URL, "+/+/AA", "byte 0 is not a base64 character");
}

static void test_refuses_what_is_not_exactly_base64(void **state) {
    (void)state;
    assert_refuses(NX_BASE64_STANDARD, "Zg=", "base64 of 3 characters is not padded to four");
    assert_refuses(NX_BASE64_STANDARD, "Zg", "base64 of 2 characters is not padded to four");
    assert_refuses(NX_BASE64_STANDARD, "Z===", "byte 1 is not a base64 character");
    assert_refuses(NX_BASE64_STANDARD, "Zh==", "base64 ends in bits that belong to no byte");
    assert_refuses(NX_BASE64_STANDARD, "Zg==Zg==", "byte 2 is not a base64 character");
    assert_refuses(NX_BASE64_STANDARD, "Zm9v\nYg", "base64 of 7 characters is not padded to four");
    assert_refuses(NX_BASE64_STANDARD, "Zm 9", "byte 2 is not a base64 character");
    assert_refuses(NX_BASE64_STANDARD, "-_-_", "byte 0 is not a base64 character");
    assert_refuses(NX_BASE64_URL, "Z", "base64 of 1 characters has a left-over one");
}

static void test_reports_a_full_buffer(void **state) {
    NX_AUTO(nx_buf) small;
    struct nx_error err = { 0 };
    (void)state;
    nx_buf_init(&small, 4);
    assert_int_equal(nx_base64_decode(&small, NX_BASE64_STANDARD, NX_STR("Zm9vYmFyZm9v"), &err),
                     NX_INVALID_ARGUMENT);
    assert_int_equal(err.kind, NX_KIND_TOO_LARGE);
    nx_buf_reset(&small);
    nx_base64_encode(&small, NX_BASE64_STANDARD, NX_STR("foobar"));
    assert_true(nx_buf_failed(&small));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodes_the_vectors_of_the_standard),
        cmocka_unit_test(test_the_url_alphabet_is_not_padded),
        cmocka_unit_test(test_refuses_what_is_not_exactly_base64),
        cmocka_unit_test(test_reports_a_full_buffer),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
