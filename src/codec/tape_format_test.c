/* src/codec/tape_format_test.c: what was written is read, and nothing else is. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/tape_format.h"

static struct nx_tape_header full_header(void) {
    struct nx_tape_header header;
    memset(&header, 0, sizeof header);
    header.flags = NX_TAPE_HAS_LIMITS | NX_TAPE_HAS_TRACE | NX_TAPE_HAS_SOURCE | NX_TAPE_IS_REPLAY;
    memset(header.module_digest, 1, sizeof header.module_digest);
    memset(header.source_digest, 2, sizeof header.source_digest);
    header.engine_build = NX_STR("engine 1");
    header.settings_digest = UINT64_MAX;
    header.interface_version = 1;
    header.memory_max = 128 << 20;
    for (size_t i = 0; i < NX_TAPE_LIMIT_COUNT; i++) {
        header.limits[i] = i * 1000;
    }
    memset(header.seed, 3, sizeof header.seed);
    header.start_time_ns = INT64_C(1764152625123456789);
    header.fuel = 12345;
    header.input_size = 64;
    header.trace_id[0] = 4;
    header.span_id[7] = 5;
    header.trace_flags = 1;
    header.event_id = NX_STR("01JDN0VJ3QWYB4R0KSEFZ2T5MA");
    header.original_time_ns = -1;
    header.env[0] = (struct nx_tape_env){ NX_STR("A"), NX_STR("b") };
    header.env[1] = (struct nx_tape_env){ NX_STR("C"), NX_STR("") };
    header.env_count = 2;
    header.entry_count = 6;
    return header;
}

static void append_entries(struct nx_buf *buf) {
    const struct nx_tape_entry entries[] = {
        { .kind = NX_TAPE_CLOCK_WALL, .time_ns = INT64_MIN },
        { .kind = NX_TAPE_CLOCK_MONOTONIC, .time_ns = 500 },
        { .kind = NX_TAPE_LOG_TIME, .time_ns = INT64_MAX },
        { .kind = NX_TAPE_POLL, .arguments = 7, .fired = { 0, 3, 1023 }, .fired_count = 3 },
        { .kind = NX_TAPE_KV_GET, .arguments = 8, .found = true, .version = 9, .value = NX_STR("value") },
        { .kind = NX_TAPE_WAIT_CUT, .arguments = 10 },
    };
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        nx_tape_encode_entry(&entries[i], buf);
    }
}

static void encode_full(struct nx_buf *buf) {
    const struct nx_tape_header header = full_header();
    nx_buf_init(buf, 65536);
    nx_tape_encode_header(&header, buf);
    append_entries(buf);
    assert_int_equal(nx_buf_check(buf, NULL), NX_OK);
}

static void test_what_was_written_is_read(void **state) {
    (void)state;
    NX_AUTO(nx_buf) buf;
    static struct nx_tape_header header;
    struct nx_tape_reader entries;
    struct nx_tape_entry entry;
    encode_full(&buf);
    assert_int_equal(nx_tape_decode(nx_buf_str(&buf), &header, &entries, NULL), NX_OK);
    const struct nx_tape_header expected = full_header();
    assert_int_equal(header.flags, expected.flags);
    assert_memory_equal(header.seed, expected.seed, sizeof header.seed);
    assert_memory_equal(header.limits, expected.limits, sizeof header.limits);
    assert_true(nx_str_equal(header.event_id, expected.event_id));
    assert_true(nx_str_is(header.env[1].name, "C"));
    assert_int_equal(header.original_time_ns, -1);
    assert_int_equal(header.start_time_ns, expected.start_time_ns);
    assert_true(nx_tape_next(&entries, &entry));
    assert_int_equal(entry.time_ns, INT64_MIN);
    assert_true(nx_tape_next(&entries, &entry));
    assert_true(nx_tape_next(&entries, &entry));
    assert_int_equal(entry.time_ns, INT64_MAX);
    assert_true(nx_tape_next(&entries, &entry));
    assert_int_equal(entry.fired_count, 3);
    assert_int_equal(entry.fired[2], 1023);
    assert_true(nx_tape_next(&entries, &entry));
    assert_true(nx_str_is(entry.value, "value"));
    assert_int_equal(entry.version, 9);
    assert_true(nx_tape_next(&entries, &entry));
    assert_int_equal(entry.kind, NX_TAPE_WAIT_CUT);
    assert_false(nx_tape_next(&entries, &entry));
}

static void test_every_truncation_is_refused(void **state) {
    (void)state;
    NX_AUTO(nx_buf) buf;
    static struct nx_tape_header header;
    struct nx_tape_reader entries;
    encode_full(&buf);
    for (size_t len = 0; len < buf.len; len++) {
        assert_int_equal(nx_tape_decode(nx_str_of(buf.ptr, len), &header, &entries, NULL), NX_DATA_LOSS);
    }
    nx_buf_append_u8(&buf, 0);
    assert_int_equal(nx_tape_decode(nx_buf_str(&buf), &header, &entries, NULL), NX_DATA_LOSS);
}

static void test_another_version_is_refused_by_name(void **state) {
    (void)state;
    NX_AUTO(nx_buf) buf;
    static struct nx_tape_header header;
    struct nx_tape_reader entries;
    struct nx_error err = { 0 };
    encode_full(&buf);
    buf.ptr[3] = 2;
    assert_int_equal(nx_tape_decode(nx_buf_str(&buf), &header, &entries, &err), NX_FAILED_PRECONDITION);
    assert_int_equal(err.kind, NX_KIND_FORMAT_VERSION);
}

static void expect_refused(const struct nx_tape_header *header, struct nx_str entries) {
    NX_AUTO(nx_buf) buf;
    static struct nx_tape_header decoded;
    struct nx_tape_reader reader;
    nx_buf_init(&buf, 65536);
    nx_tape_encode_header(header, &buf);
    nx_buf_append(&buf, entries);
    assert_int_equal(nx_tape_decode(nx_buf_str(&buf), &decoded, &reader, NULL), NX_DATA_LOSS);
}

static void test_entries_that_mean_nothing_are_refused(void **state) {
    (void)state;
    struct nx_tape_header header = full_header();
    header.entry_count = 1;
    expect_refused(&header, nx_str_of("\x00\x00", 2));                     /* no such kind */
    expect_refused(&header, nx_str_of("\x01\x80\x00", 3));                 /* a number in a longer form */
    expect_refused(&header, nx_str_of("\x04\0\0\0\0\x02\x03\x03", 8));     /* indexes that do not rise */
    expect_refused(&header, nx_str_of("\x05\0\0\0\0\x01\x02", 7));         /* found: neither yes nor no */
    expect_refused(&header, nx_str_of("\x05\0\0\0\0\x01\x01\x01\x00", 9)); /* a secret */
    header.entry_count = 2;
    expect_refused(&header, nx_str_of("\x06\0\0\0\0\x01\x00", 7)); /* something after the cut */
    header.entry_count = UINT64_MAX;
    expect_refused(&header, NX_STR("\x01\x02"));
}

static void test_an_echo_takes_under_200_bytes(void **state) {
    (void)state;
    NX_AUTO(nx_buf) buf;
    struct nx_tape_header header = full_header();
    header.flags = NX_TAPE_HAS_TRACE;
    header.engine_build = NX_STR("wasmtime-48.0.8 x86_64");
    header.env_count = 0;
    header.entry_count = 0;
    nx_buf_init(&buf, 65536);
    nx_tape_encode_header(&header, &buf);
    assert_in_range(buf.len, 100, 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_is_read),
        cmocka_unit_test(test_every_truncation_is_refused),
        cmocka_unit_test(test_another_version_is_refused_by_name),
        cmocka_unit_test(test_entries_that_mean_nothing_are_refused),
        cmocka_unit_test(test_an_echo_takes_under_200_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
