/* src/codec/digest_test.c: SHA-256 by FIPS 180's vectors, and digests as text. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/digest.h"
#include "codec/hex.h"

static void assert_digest(struct nx_str bytes, const char *text) {
    char written[NX_DIGEST_TEXT_SIZE + 1];
    struct nx_digest parsed;
    const struct nx_digest digest = nx_digest_of(bytes);
    assert_true(nx_str_is(nx_digest_format(&digest, written), text));
    assert_true(nx_digest_parse(nx_str_from_c(text), &parsed));
    assert_true(nx_digest_equal(&digest, &parsed));
}

static void test_gives_the_standard_s_digests(void **state) {
    (void)state;
    assert_digest(NX_STR(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_digest(NX_STR("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_digest(NX_STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void test_parts_count_as_one_string(void **state) {
    const struct nx_str parts[] = { NX_STR("a"), NX_STR(""), NX_STR("bc") };
    (void)state;
    const struct nx_digest whole = nx_digest_of(NX_STR("abc"));
    const struct nx_digest joined = nx_digest_of_parts(parts, 3);
    const struct nx_digest other = nx_digest_of(NX_STR("abd"));
    assert_true(nx_digest_equal(&whole, &joined));
    assert_false(nx_digest_equal(&whole, &other));
}

static void test_refuses_text_that_is_no_digest(void **state) {
    struct nx_digest digest;
    (void)state;
    assert_false(nx_digest_parse(NX_STR("ba78"), &digest));
    assert_false(
        nx_digest_parse(NX_STR("xa7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), &digest));
}

static void test_hex_reads_both_cases_and_nothing_else(void **state) {
    uint8_t bytes[2] = { 7, 7 };
    NX_AUTO(nx_buf) text;
    (void)state;
    nx_buf_init(&text, 64);
    assert_true(nx_hex_read(NX_STR("aBfF"), bytes, sizeof bytes));
    assert_int_equal(bytes[0], 0xAB);
    assert_int_equal(bytes[1], 0xFF);
    nx_hex_encode(&text, nx_str_of(bytes, sizeof bytes));
    nx_hex_encode(&text, NX_STR(""));
    assert_true(nx_str_is(nx_buf_str(&text), "abff"));
    assert_false(nx_hex_read(NX_STR("aBf"), bytes, sizeof bytes));
    assert_false(nx_hex_read(NX_STR("aBfF00"), bytes, sizeof bytes));
    assert_false(nx_hex_read(NX_STR("00g0"), bytes, sizeof bytes));
    assert_int_equal(bytes[0], 0xAB); /* untouched by what failed */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_the_standard_s_digests),
        cmocka_unit_test(test_parts_count_as_one_string),
        cmocka_unit_test(test_refuses_text_that_is_no_digest),
        cmocka_unit_test(test_hex_reads_both_cases_and_nothing_else),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
