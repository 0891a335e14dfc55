/* src/io/clock_test.c: time goes on, and chance is not repeated. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "io/clock.h"
#include "io/random.h"

static void test_monotonic_time_never_goes_back(void **state) {
    const struct nx_clock clock = nx_clock_system();
    int64_t last_ns = nx_clock_read(&clock).monotonic_ns;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        const int64_t now_ns = nx_clock_read(&clock).monotonic_ns;
        assert_true(now_ns >= last_ns);
        last_ns = now_ns;
    }
}

static void test_wall_time_is_since_1970(void **state) {
    const struct nx_clock clock = nx_clock_system();
    const int64_t seconds = nx_clock_read(&clock).wall_ns / NX_NS_PER_S;
    (void)state;
    assert_true(seconds > 1700000000);
    assert_true(seconds < 10000000000);
}

static void test_random_bytes_fill_any_length_and_differ(void **state) {
    enum { SIZE = 3000 };
    const struct nx_random random = nx_random_system();
    unsigned char first[SIZE + 1] = { 0 };
    unsigned char second[SIZE + 1] = { 0 };
    (void)state;
    for (size_t len = 16; len <= SIZE; len += 97) { /* within a block, over its end, and longer than it */
        memset(first, 0, sizeof first);
        nx_random_fill(&random, first, len);
        nx_random_fill(&random, second, len);
        assert_memory_not_equal(first, second, len);
        assert_int_equal(first[len], 0);
    }
    nx_random_fill(&random, first, 0);
    assert_int_not_equal(nx_random_u64(&random), nx_random_u64(&random));
}

static void test_every_bit_is_set_at_times(void **state) {
    const struct nx_random random = nx_random_system();
    uint64_t ones = 0;
    uint64_t zeros = 0;
    (void)state;
    for (int i = 0; i < 200; i++) {
        const uint64_t value = nx_random_u64(&random);
        ones |= value;
        zeros |= ~value;
    }
    assert_true(ones == UINT64_MAX);
    assert_true(zeros == UINT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_monotonic_time_never_goes_back),
        cmocka_unit_test(test_wall_time_is_since_1970),
        cmocka_unit_test(test_random_bytes_fill_any_length_and_differ),
        cmocka_unit_test(test_every_bit_is_set_at_times),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
