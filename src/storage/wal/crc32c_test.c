/* src/storage/wal/crc32c_test.c: both ways of computing it agree with the published value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "storage/wal/crc32c.h"

static void test_gives_the_published_check_value(void **state) {
    (void)state;
    assert_int_equal(nx_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(nx_crc32c_portable(0, "123456789", 9), 0xe3069283);
}

static void test_both_ways_agree_for_every_length_and_start(void **state) {
    uint8_t bytes[96];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * 37 + 11);
    }
    for (size_t start = 0; start < 8; start++) {
        for (size_t len = 0; len <= sizeof bytes - start; len++) {
            assert_int_equal(nx_crc32c(5, bytes + start, len), nx_crc32c_portable(5, bytes + start, len));
        }
    }
}

static void test_goes_on_where_it_stopped(void **state) {
    (void)state;
    assert_int_equal(nx_crc32c(nx_crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_the_published_check_value),
        cmocka_unit_test(test_both_ways_agree_for_every_length_and_start),
        cmocka_unit_test(test_goes_on_where_it_stopped),
    };
    return cmocka_run_group_tests_name("storage/wal/crc32c", tests, NULL, NULL);
}
