/* Sealed payloads: what goes in comes out with the key, and nothing without it or about another record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "codec/sealed.h"

enum { SIZE_MAX_HERE = 4096 };

static const uint8_t key[NX_SEAL_KEY_SIZE] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static const uint8_t nonce[NX_SEAL_NONCE_SIZE] = { 9, 8, 7 };

static struct nx_seal example(void) {
    return (struct nx_seal){
        .key = key,
        .nonce = nonce,
        .about = { NX_STR("EVENTS"), NX_STR("events.user.created"), NX_STR("Nexus-Person: 00\r\n"),
                   NX_STR_EMPTY },
        .clear = NX_STR("what stays"),
        .headers = NX_STR("ce-personkey: alice\r\n"),
        .payload = NX_STR("{\"name\":\"Alice Liddell\"}"),
    };
}

static void test_opens_what_was_sealed(void **state) {
    NX_AUTO(nx_buf) out;
    struct nx_seal seal = example();
    struct nx_sealed opened;
    char plain[SIZE_MAX_HERE];
    (void)state;
    nx_buf_init(&out, SIZE_MAX_HERE);
    nx_seal(&seal, &out);
    assert_int_equal(nx_buf_check(&out, NULL), NX_OK);
    assert_true(nx_str_find(nx_buf_str(&out), NX_STR("Alice")) == SIZE_MAX);
    assert_true(nx_str_find(nx_buf_str(&out), NX_STR("alice")) == SIZE_MAX);
    assert_int_equal(nx_unseal(key, seal.about, nx_buf_str(&out), plain, &opened, NULL), NX_OK);
    assert_true(nx_str_equal(opened.clear, seal.clear));
    assert_true(nx_str_equal(opened.headers, seal.headers));
    assert_true(nx_str_equal(opened.payload, seal.payload));
    /* In its own memory too. */
    assert_int_equal(nx_unseal(key, seal.about, nx_buf_str(&out), out.ptr, &opened, NULL), NX_OK);
    assert_true(nx_str_equal(opened.clear, seal.clear));
    assert_true(nx_str_equal(opened.payload, seal.payload));
}

static void test_opens_nothing_but_a_clear_part_without_headers_and_payload(void **state) {
    NX_AUTO(nx_buf) out;
    struct nx_seal seal = example();
    struct nx_sealed opened;
    char plain[SIZE_MAX_HERE];
    (void)state;
    nx_buf_init(&out, SIZE_MAX_HERE);
    seal.headers = seal.payload = seal.clear = NX_STR_EMPTY;
    nx_seal(&seal, &out);
    assert_int_equal(nx_unseal(key, seal.about, nx_buf_str(&out), plain, &opened, NULL), NX_OK);
    assert_int_equal(opened.headers.len + opened.payload.len + opened.clear.len, 0);
}

static void test_refuses_another_key_another_record_and_every_changed_bit(void **state) {
    NX_AUTO(nx_buf) out;
    struct nx_seal seal = example();
    struct nx_sealed opened;
    char plain[SIZE_MAX_HERE];
    uint8_t other[NX_SEAL_KEY_SIZE] = { 0 };
    (void)state;
    nx_buf_init(&out, SIZE_MAX_HERE);
    nx_seal(&seal, &out);
    assert_int_equal(nx_unseal(other, seal.about, nx_buf_str(&out), plain, &opened, NULL), NX_DATA_LOSS);
    for (size_t i = 0; i < out.len * 8; i++) {
        out.ptr[i / 8] ^= (char)(1 << i % 8);
        assert_int_not_equal(nx_unseal(key, seal.about, nx_buf_str(&out), plain, &opened, NULL), NX_OK);
        out.ptr[i / 8] ^= (char)(1 << i % 8);
    }
    for (size_t len = 0; len < out.len; len++) {
        assert_int_not_equal(nx_unseal(key, seal.about, nx_str_of(out.ptr, len), plain, &opened, NULL),
                             NX_OK);
    }
    /* The same bytes, cut elsewhere: another subject. */
    seal.about[0] = NX_STR("EVENTSe");
    seal.about[1] = NX_STR("vents.user.created");
    assert_int_equal(nx_unseal(key, seal.about, nx_buf_str(&out), plain, &opened, NULL), NX_DATA_LOSS);
}

static void test_shows_the_clear_part_without_the_key(void **state) {
    NX_AUTO(nx_buf) out;
    const struct nx_seal seal = example();
    struct nx_sealed parts;
    (void)state;
    nx_buf_init(&out, SIZE_MAX_HERE);
    nx_seal(&seal, &out);
    assert_int_equal(nx_sealed_parse(nx_buf_str(&out), &parts, NULL), NX_OK);
    assert_true(nx_str_equal(parts.clear, seal.clear));
    assert_int_equal(parts.payload.len, 0);
    assert_int_equal(nx_sealed_parse(NX_STR("{}"), &parts, NULL), NX_FAILED_PRECONDITION);
    assert_int_equal(nx_sealed_parse(NX_STR_EMPTY, &parts, NULL), NX_DATA_LOSS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_what_was_sealed),
        cmocka_unit_test(test_opens_nothing_but_a_clear_part_without_headers_and_payload),
        cmocka_unit_test(test_refuses_another_key_another_record_and_every_changed_bit),
        cmocka_unit_test(test_shows_the_clear_part_without_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
