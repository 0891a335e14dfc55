/* src/sandbox/host/generator_test.c: the numbers are ChaCha20's, whatever sizes are asked. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>

#include "sandbox/host/generator.h"

static void test_gives_the_key_stream_of_rfc_8439(void **state) {
    /* Appendix A.1, test vectors 1 and 2: key and nonce zero, blocks 0 and 1. */
    static const uint8_t first[] = { 0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90 };
    static const uint8_t second[] = { 0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a };
    struct nx_generator generator = { .counter = 0 };
    uint8_t bytes[128];
    (void)state;
    nx_generator_fill(&generator, bytes, sizeof bytes);
    assert_memory_equal(bytes, first, sizeof first);
    assert_memory_equal(bytes + 64, second, sizeof second);
}

static void test_sizes_do_not_matter(void **state) {
    struct nx_generator one = { .seed = { 1 } };
    struct nx_generator other = { .seed = { 1 } };
    uint8_t whole[1000];
    uint8_t parts[1000];
    size_t at = 0;
    (void)state;
    nx_generator_fill(&one, whole, sizeof whole);
    for (size_t len = 0; at + len <= sizeof parts; len++) {
        nx_generator_fill(&other, parts + at, len);
        at += len;
    }
    assert_memory_equal(whole, parts, at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_the_key_stream_of_rfc_8439),
        cmocka_unit_test(test_sizes_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
