/* src/codec/percent_test.c: the CloudEvents binding's examples, and subjects that can always be undone. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/percent.h"

static void assert_encodes(void (*encode)(struct nx_buf *out, struct nx_str value), struct nx_str value,
                           const char *text) {
    NX_AUTO(nx_buf) encoded;
    NX_AUTO(nx_buf) decoded;
    nx_buf_init(&encoded, 1024);
    nx_buf_init(&decoded, 1024);
    encode(&encoded, value);
    assert_true(nx_str_is(nx_buf_str(&encoded), text));
    assert_int_equal(nx_percent_decode(&decoded, nx_buf_str(&encoded), NULL), NX_OK);
    assert_true(nx_str_equal(nx_buf_str(&decoded), value));
}

static void test_headers_follow_the_cloudevents_binding(void **state) {
    (void)state;
    assert_encodes(nx_percent_encode_header, NX_STR("Euro € 😀"), "Euro%20%E2%82%AC%20%F0%9F%98%80");
    assert_encodes(nx_percent_encode_header, NX_STR("say \"50%\"\r\n"), "say%20%2250%25%22%0D%0A");
    assert_encodes(nx_percent_encode_header, NX_STR("/a?b=c&d;e,f~\x7F"), "/a?b=c&d;e,f~%7F");
    assert_encodes(nx_percent_encode_header, NX_STR(""), "");
}

static void test_subjects_have_no_empty_token_and_no_wildcard(void **state) {
    (void)state;
    assert_encodes(nx_percent_encode_subject, NX_STR("user.created"), "user.created");
    assert_encodes(nx_percent_encode_subject, NX_STR("a..b"), "a.%2Eb");
    assert_encodes(nx_percent_encode_subject, NX_STR(".a"), "%2Ea");
    assert_encodes(nx_percent_encode_subject, NX_STR("a."), "a%2E");
    assert_encodes(nx_percent_encode_subject, NX_STR("."), "%2E");
    assert_encodes(nx_percent_encode_subject, NX_STR("..."), "%2E.%2E");
    assert_encodes(nx_percent_encode_subject, NX_STR("a.*.>"), "a.%2A.%3E");
    assert_encodes(nx_percent_encode_subject, NX_STR("com/x 1%2E"), "com%2Fx%201%252E");
    assert_encodes(nx_percent_encode_subject, NX_STR("größe_-9"), "gr%C3%B6%C3%9Fe_-9");
}

static void test_urls_keep_only_the_unreserved(void **state) {
    (void)state;
    assert_encodes(nx_percent_encode_url, NX_STR("EVENTS:17/a~b.c"), "EVENTS%3A17%2Fa~b.c");
}

static void test_refuses_a_percent_sign_without_digits(void **state) {
    NX_AUTO(nx_buf) out;
    struct nx_error err = { 0 };
    (void)state;
    nx_buf_init(&out, 64);
    nx_buf_append_c(&out, "x");
    assert_int_equal(nx_percent_decode(&out, NX_STR("ab%4"), &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "the percent sign at byte 2 is not followed by two hexadecimal digits");
    assert_int_equal(nx_percent_decode(&out, NX_STR("%"), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_percent_decode(&out, NX_STR("%g0"), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_percent_decode(&out, NX_STR("%0g"), NULL), NX_INVALID_ARGUMENT);
    assert_true(nx_str_is(nx_buf_str(&out), "x"));
    assert_int_equal(nx_percent_decode(&out, NX_STR("%4a%4A"), NULL), NX_OK);
    assert_int_equal(nx_percent_decode(&out, NX_STR(""), NULL), NX_OK);
    assert_true(nx_str_is(nx_buf_str(&out), "xJJ"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_follow_the_cloudevents_binding),
        cmocka_unit_test(test_subjects_have_no_empty_token_and_no_wildcard),
        cmocka_unit_test(test_urls_keep_only_the_unreserved),
        cmocka_unit_test(test_refuses_a_percent_sign_without_digits),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
