/* src/codec/gzip_test.c: what was packed unpacks to the same; what is no gzip, or too much, is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/gzip.h"

static void test_what_was_packed_unpacks_to_the_same(void **state) {
    (void)state;
    static char large[300000];
    memset(large, 'x', sizeof large);
    const struct nx_str texts[] = { NX_STR(""), NX_STR("hello"), { large, sizeof large } };
    for (size_t i = 0; i < 3; i++) {
        NX_AUTO(nx_buf) packed;
        NX_AUTO(nx_buf) unpacked;
        nx_buf_init(&packed, 1 << 20);
        nx_buf_init(&unpacked, 1 << 20);
        assert_int_equal(nx_gzip_encode(&packed, texts[i], NULL), NX_OK);
        assert_true(packed.len < 4096);
        assert_int_equal(nx_gzip_encode(&packed, NX_STR("!"), NULL), NX_OK); /* a second member */
        assert_int_equal(nx_gzip_decode(&unpacked, nx_buf_str(&packed), NULL), NX_OK);
        assert_int_equal(unpacked.len, texts[i].len + 1);
        assert_true(nx_str_equal(nx_str_slice(nx_buf_str(&unpacked), 0, texts[i].len), texts[i]));
    }
}

static void test_refuses_what_is_cut_damaged_or_no_gzip(void **state) {
    (void)state;
    NX_AUTO(nx_buf) packed;
    NX_AUTO(nx_buf) out;
    nx_buf_init(&packed, 1 << 20);
    nx_buf_init(&out, 1 << 20);
    assert_int_equal(nx_gzip_encode(&packed, NX_STR("some text, some text"), NULL), NX_OK);
    for (size_t len = 0; len < packed.len; len++) {
        assert_int_equal(nx_gzip_decode(&out, nx_str_slice(nx_buf_str(&packed), 0, len), NULL),
                         NX_INVALID_ARGUMENT);
        assert_int_equal(out.len, 0);
    }
    packed.ptr[packed.len - 6] ^= 1; /* in the checksum */
    assert_int_equal(nx_gzip_decode(&out, nx_buf_str(&packed), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_gzip_decode(&out, NX_STR("plain"), NULL), NX_INVALID_ARGUMENT);
}

static void test_a_small_body_cannot_become_a_large_one(void **state) {
    (void)state;
    static char large[1 << 20];
    NX_AUTO(nx_buf) packed;
    NX_AUTO(nx_buf) out;
    struct nx_error err = { 0 };
    nx_buf_init(&packed, 1 << 20);
    nx_buf_init(&out, 4096);
    assert_int_equal(nx_gzip_encode(&packed, nx_str_of(large, sizeof large), NULL), NX_OK);
    assert_int_equal(nx_gzip_decode(&out, nx_buf_str(&packed), &err), NX_INVALID_ARGUMENT);
    assert_int_equal(err.kind, NX_KIND_TOO_LARGE);
    assert_string_equal(err.message, "it unpacks to more than 4096 bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_packed_unpacks_to_the_same),
        cmocka_unit_test(test_refuses_what_is_cut_damaged_or_no_gzip),
        cmocka_unit_test(test_a_small_body_cannot_become_a_large_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
