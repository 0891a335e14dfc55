/* src/codec/time_format_test.c: RFC 3339 there and back, durations and sizes as people write them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/time_format.h"

static void assert_time(int64_t ns, enum nx_time_precision precision, const char *text) {
    char written[NX_TIME_TEXT_SIZE + 1];
    assert_string_equal(nx_time_format(ns, precision, written).ptr, text);
}

static void assert_parses(const char *text, int64_t ns) {
    int64_t parsed = 0;
    assert_true(nx_time_is_valid(nx_str_from_c(text)));
    assert_true(nx_time_parse(nx_str_from_c(text), &parsed));
    assert_true(parsed == ns);
}

static void test_writes_times_in_utc(void **state) {
    (void)state;
    assert_time(0, NX_TIME_SECONDS, "1970-01-01T00:00:00Z");
    assert_time(1764152625123456789, NX_TIME_SECONDS, "2025-11-26T10:23:45Z");
    assert_time(1764152625123456789, NX_TIME_MILLISECONDS, "2025-11-26T10:23:45.123Z");
    assert_time(1764152625123456789, NX_TIME_NANOSECONDS, "2025-11-26T10:23:45.123456789Z");
    assert_time(1764152625123000000, NX_TIME_SHORTEST, "2025-11-26T10:23:45.123Z");
    assert_time(1764152625123400000, NX_TIME_SHORTEST, "2025-11-26T10:23:45.123400Z");
    assert_time(1764152625000000001, NX_TIME_SHORTEST, "2025-11-26T10:23:45.000000001Z");
    assert_time(1764152625000000000, NX_TIME_SHORTEST, "2025-11-26T10:23:45Z");
    assert_time(951782400000000000, NX_TIME_SECONDS, "2000-02-29T00:00:00Z");
    assert_time(-1, NX_TIME_NANOSECONDS, "1969-12-31T23:59:59.999999999Z");
    assert_time(INT64_MIN, NX_TIME_NANOSECONDS, "1677-09-21T00:12:43.145224192Z");
    assert_time(INT64_MAX, NX_TIME_NANOSECONDS, "2262-04-11T23:47:16.854775807Z");
}

static void test_reads_times_with_any_offset(void **state) {
    (void)state;
    assert_parses("1985-04-12T23:20:50.52Z", 482196050520000000);
    assert_parses("1996-12-19T16:39:57-08:00", 851042397000000000);
    assert_parses("1990-12-31T23:59:60Z", 662688000000000000);
    assert_parses("1937-01-01T12:00:27.87+00:20", -1041337172130000000);
    assert_parses("2025-11-26t10:23:45.1234567899z", 1764152625123456789);
    assert_parses("1677-09-21T00:12:44Z", -9223372036000000000);
    assert_parses("2262-04-11T23:47:16.854775807Z", INT64_MAX);
}

static void test_refuses_what_is_no_time(void **state) {
    static const char *const texts[] = {
        "",
        "2025-11-26",
        "2025-11-26T10:23:45",
        "2025-11-26 10:23:45Z",
        "2025-11-26T10:23Z",
        "2025-13-26T10:23:45Z",
        "2025-00-26T10:23:45Z",
        "2025-02-29T10:23:45Z",
        "1900-02-29T10:23:45Z",
        "2025-11-31T10:23:45Z",
        "2025-11-00T10:23:45Z",
        "2025-11-26T24:00:00Z",
        "2025-11-26T10:60:45Z",
        "2025-11-26T10:23:61Z",
        "2025-11-26T10:23:45.Z",
        "2025-11-26T10:23:45+24:00",
        "2025-11-26T10:23:45+01:60",
        "2025-11-26T10:23:45+0100",
        "2025-11-26T10:23:45Z ",
        "+025-11-26T10:23:45Z",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t ns = 7;
        assert_false(nx_time_is_valid(nx_str_from_c(texts[i])));
        assert_false(nx_time_parse(nx_str_from_c(texts[i]), &ns));
        assert_int_equal(ns, 7);
    }
}

static void test_a_time_may_be_valid_and_too_far_away(void **state) {
    int64_t ns = 7;
    (void)state;
    assert_true(nx_time_is_valid(NX_STR("0001-01-01T00:00:00Z")));
    assert_false(nx_time_parse(NX_STR("0001-01-01T00:00:00Z"), &ns));
    assert_false(nx_time_parse(NX_STR("9999-12-31T23:59:59Z"), &ns));
    assert_false(nx_time_parse(NX_STR("2262-04-11T23:47:16.854775808Z"), &ns));
}

static void test_every_day_there_and_back(void **state) {
    (void)state;
    for (int64_t day = -100000; day <= 100000; day += 1) {
        char text[NX_TIME_TEXT_SIZE + 1];
        int64_t parsed = 0;
        const int64_t ns = day * 86400 * 1000000000 + 1;
        assert_true(nx_time_parse(nx_time_format(ns, NX_TIME_NANOSECONDS, text), &parsed));
        assert_true(parsed == ns);
    }
}

static void assert_duration(const char *text, int64_t ns, const char *canonical) {
    NX_AUTO(nx_buf) written;
    int64_t parsed = -1;
    nx_buf_init(&written, 128);
    assert_int_equal(nx_duration_parse(nx_str_from_c(text), &parsed, NULL), NX_OK);
    assert_true(parsed == ns);
    nx_duration_format(&written, ns);
    assert_true(nx_str_is(nx_buf_str(&written), canonical));
    assert_int_equal(nx_duration_parse(nx_buf_str(&written), &parsed, NULL), NX_OK);
    assert_true(parsed == ns);
}

static void test_reads_and_writes_durations(void **state) {
    (void)state;
    assert_duration("5s", 5000000000, "5s");
    assert_duration("1m30s", 90000000000, "1m30s");
    assert_duration("90s", 90000000000, "1m30s");
    assert_duration("250ms", 250000000, "250ms");
    assert_duration("7d", 604800000000000, "7d");
    assert_duration("1w", 604800000000000, "7d");
    assert_duration("1.5h", 5400000000000, "1h30m");
    assert_duration("0", 0, "0s");
    assert_duration("0s", 0, "0s");
    assert_duration("1us5ns", 1005, "1us5ns");
    assert_duration("9223372036854775807ns", INT64_MAX, "106751d23h47m16s854ms775us807ns");
}

static void test_refuses_what_is_no_duration(void **state) {
    static const char *const texts[] = { "",      "5",       "s",    "-5s", "5 s",
                                         "5S",    "1s1m",    "1s1s", "1.s", ".5s",
                                         "1.5ns", "300000y", "1e3s", "1s ", "9223372036854775808ns" };
    struct nx_error err = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t ns = 7;
        assert_int_equal(nx_duration_parse(nx_str_from_c(texts[i]), &ns, &err), NX_INVALID_ARGUMENT);
        assert_int_equal(ns, 7);
    }
    assert_int_equal(nx_duration_parse(NX_STR("soon"), &(int64_t){ 0 }, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "expected a duration such as 250ms, 1m30s or 7d, found 'soon'");
}

static void assert_size(const char *text, uint64_t bytes, const char *canonical) {
    NX_AUTO(nx_buf) written;
    uint64_t parsed = 1;
    nx_buf_init(&written, 128);
    assert_int_equal(nx_size_parse(nx_str_from_c(text), &parsed, NULL), NX_OK);
    assert_true(parsed == bytes);
    nx_size_format(&written, bytes);
    assert_true(nx_str_is(nx_buf_str(&written), canonical));
    assert_int_equal(nx_size_parse(nx_buf_str(&written), &parsed, NULL), NX_OK);
    assert_true(parsed == bytes);
}

static void test_reads_and_writes_sizes(void **state) {
    (void)state;
    assert_size("10GiB", 10737418240, "10GiB");
    assert_size("128Mi", 134217728, "128MiB");
    assert_size("64MB", 64000000, "62500KiB");
    assert_size("1.5GiB", 1610612736, "1536MiB");
    assert_size("1500", 1500, "1500B");
    assert_size("1kB", 1000, "1000B");
    assert_size("2Ti", 2199023255552, "2TiB");
    assert_size("0", 0, "0B");
    assert_size("18446744073709551615", UINT64_MAX, "18446744073709551615B");
}

static void test_refuses_what_is_no_size(void **state) {
    static const char *const texts[] = {
        "",      "GiB", "-1", "1 GiB", "1gib", "1.5", "1.0000000001Ki", "16777216TiB", "18446744073709551616",
        "1GiBx", "1."
    };
    struct nx_error err = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint64_t bytes = 7;
        assert_int_equal(nx_size_parse(nx_str_from_c(texts[i]), &bytes, &err), NX_INVALID_ARGUMENT);
        assert_int_equal(bytes, 7);
    }
    assert_string_equal(err.message, "expected a size such as 128Mi, 10GiB or 64MB, found '1.'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_times_in_utc),
        cmocka_unit_test(test_reads_times_with_any_offset),
        cmocka_unit_test(test_refuses_what_is_no_time),
        cmocka_unit_test(test_a_time_may_be_valid_and_too_far_away),
        cmocka_unit_test(test_every_day_there_and_back),
        cmocka_unit_test(test_reads_and_writes_durations),
        cmocka_unit_test(test_refuses_what_is_no_duration),
        cmocka_unit_test(test_reads_and_writes_sizes),
        cmocka_unit_test(test_refuses_what_is_no_size),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
