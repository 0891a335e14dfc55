/* src/codec/nkey_test.c: a key's text is read only as it was made; a signature is taken only where it is the
 * key's own. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "codec/nkey.h"

/* Of the private key 00 01 … 1f, with its signature of "nonce". */
static const char user[] = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK";
static const uint8_t signature[NX_NKEY_SIGNATURE_SIZE] = {
    0xf8, 0x74, 0xea, 0xe1, 0xde, 0x83, 0x0c, 0x75, 0x4d, 0x6f, 0xc3, 0x2c, 0x4d, 0x10, 0x19, 0xb5,
    0x22, 0x1a, 0xd2, 0xf5, 0xc0, 0xff, 0x2b, 0x99, 0x6e, 0x5c, 0x13, 0x03, 0xb2, 0x53, 0xe7, 0x06,
    0x33, 0x98, 0xa0, 0x71, 0x27, 0x6c, 0x29, 0x61, 0xf8, 0xc7, 0x87, 0xb8, 0x5c, 0xa6, 0xd6, 0x65,
    0x89, 0xd6, 0xd5, 0xc3, 0xfe, 0x99, 0x2f, 0x2b, 0x9b, 0x8e, 0x6f, 0xf2, 0x0e, 0x4f, 0x8e, 0x09,
};

static void test_reads_a_users_key_and_takes_its_signature(void **state) {
    uint8_t key[NX_NKEY_SIZE];
    (void)state;
    assert_true(nx_nkey_read_user(NX_STR(user), key));
    assert_true(nx_nkey_has_signed(key, NX_STR("nonce"), nx_str_of(signature, sizeof signature)));
}

static void test_refuses_a_signature_of_something_else(void **state) {
    uint8_t key[NX_NKEY_SIZE];
    uint8_t changed[NX_NKEY_SIGNATURE_SIZE];
    (void)state;
    assert_true(nx_nkey_read_user(NX_STR(user), key));
    assert_false(nx_nkey_has_signed(key, NX_STR("nonce2"), nx_str_of(signature, sizeof signature)));
    assert_false(nx_nkey_has_signed(key, NX_STR("nonce"), nx_str_of(signature, sizeof signature - 1)));
    assert_false(nx_nkey_has_signed(key, NX_STR("nonce"), NX_STR_EMPTY));
    for (size_t i = 0; i < sizeof changed; i++) {
        memcpy(changed, signature, sizeof changed);
        changed[i] ^= 1;
        assert_false(nx_nkey_has_signed(key, NX_STR("nonce"), nx_str_of(changed, sizeof changed)));
    }
}

static void test_refuses_a_text_with_any_letter_changed(void **state) {
    uint8_t key[NX_NKEY_SIZE];
    char text[NX_NKEY_TEXT_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof text; i++) {
        memcpy(text, user, sizeof text);
        text[i] = text[i] == 'A' ? 'B' : 'A';
        assert_false(nx_nkey_read_user(nx_str_of(text, sizeof text), key));
        text[i] = (char)(i % 2 == 0 ? '1' : 'u');
        assert_false(nx_nkey_read_user(nx_str_of(text, sizeof text), key));
    }
    assert_false(nx_nkey_read_user(nx_str_of(user, NX_NKEY_TEXT_SIZE - 1), key));
    assert_false(nx_nkey_read_user(NX_STR_EMPTY, key));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_users_key_and_takes_its_signature),
        cmocka_unit_test(test_refuses_a_signature_of_something_else),
        cmocka_unit_test(test_refuses_a_text_with_any_letter_changed),
    };
    return cmocka_run_group_tests_name("codec/nkey", tests, NULL, NULL);
}
