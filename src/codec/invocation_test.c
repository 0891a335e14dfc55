/* src/codec/invocation_test.c: what was recorded reads back the same; what was not is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/invocation.h"

static const struct nx_effect_summary effects[] = {
    { .kind = NX_EFFECT_PUBLISH, .name = { "01J", 3 }, .type = { "made", 4 }, .fingerprint = { 1, 2 } },
    { .kind = NX_EFFECT_KEY_DELETE, .name = { "key", 3 }, .fingerprint = { 3 } },
};
static const struct nx_invocation_log_line lines[] = {
    { .level = 1, .time_ns = 1700000000000000100, .text = { "hello", 5 }, .fields = { "{}", 2 } },
    { .level = 3, .time_ns = 1700000000000000050, .text = { "", 0 }, .fields = { "", 0 } },
};
static const uint64_t earlier[] = { 7, 300 };

static struct nx_invocation everything(void) {
    struct nx_invocation invocation = {
        .flags = NX_INVOCATION_DEAD_LETTER,
        .outcome = NX_OUTCOME_EXIT,
        .attempt = 3,
        .series = 1,
        .started_at_ns = 1700000000000000000,
        .duration_ns = 12345,
        .fuel = 99999,
        .memory_peak = 1 << 20,
        .exit_code = -7,
        .error = NX_STR("exited with -7"),
        .dead_letter = 12,
        .output = { .bytes = NX_STR("out"), .size = 3 },
        .effects = effects,
        .effect_count = 2,
        .log_lines = lines,
        .log_line_count = 2,
        .earlier = earlier,
        .earlier_count = 2,
        .tape = { .bytes = NX_STR("NXT"), .size = 3 },
    };
    memset(invocation.module_digest.bytes, 0xab, NX_DIGEST_SIZE);
    memset(invocation.trace_id, 0xcd, NX_TRACE_ID_SIZE);
    memset(invocation.span_id, 0xef, NX_SPAN_ID_SIZE);
    return invocation;
}

static void encode(const struct nx_invocation *invocation, struct nx_buf *out) {
    nx_buf_init(out, NX_INVOCATION_SIZE_MAX);
    nx_invocation_encode(invocation, out);
    assert_int_equal(nx_buf_check(out, NULL), NX_OK);
}

static void test_reads_back_what_was_written(void **state) {
    (void)state;
    const struct nx_invocation in = everything();
    struct nx_invocation out;
    NX_AUTO(nx_buf) bytes;
    NX_AUTO(nx_buf) again;
    NX_AUTO(nx_arena) arena;
    encode(&in, &bytes);
    nx_arena_init(&arena, 1 << 20);
    assert_int_equal(nx_invocation_decode(nx_buf_str(&bytes), &arena, &out, NULL), NX_OK);
    assert_int_equal(out.outcome, NX_OUTCOME_EXIT);
    assert_int_equal(out.exit_code, -7);
    assert_int_equal(out.series, 1);
    assert_int_equal(out.dead_letter, 12);
    assert_true(nx_str_is(out.error, "exited with -7"));
    assert_int_equal(out.effect_count, 2);
    assert_true(nx_str_is(out.effects[0].type, "made"));
    assert_int_equal(out.log_lines[1].time_ns, lines[1].time_ns);
    assert_int_equal(out.earlier[1], 300);
    assert_true(nx_str_is(out.tape.bytes, "NXT"));
    encode(&out, &again);
    assert_true(nx_str_equal(nx_buf_str(&bytes), nx_buf_str(&again)));
}

static void test_names_stored_output_and_tape_by_digest(void **state) {
    (void)state;
    struct nx_invocation in = everything();
    struct nx_invocation out;
    NX_AUTO(nx_buf) bytes;
    NX_AUTO(nx_arena) arena;
    in.flags = NX_INVOCATION_OUTPUT_STORED | NX_INVOCATION_TAPE_STORED;
    in.output.size = 5000000;
    in.tape.digest.bytes[31] = 9;
    encode(&in, &bytes);
    nx_arena_init(&arena, 1 << 20);
    assert_int_equal(nx_invocation_decode(nx_buf_str(&bytes), &arena, &out, NULL), NX_OK);
    assert_int_equal(out.output.size, 5000000);
    assert_int_equal(out.output.bytes.len, 0);
    assert_int_equal(out.tape.digest.bytes[31], 9);
}

static void test_refuses_every_truncation_and_anything_left_over(void **state) {
    (void)state;
    const struct nx_invocation in = everything();
    NX_AUTO(nx_buf) bytes;
    encode(&in, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        struct nx_invocation out;
        NX_AUTO(nx_arena) arena;
        nx_arena_init(&arena, 1 << 20);
        assert_int_equal(nx_invocation_decode(nx_str_of(bytes.ptr, len), &arena, &out, NULL), NX_DATA_LOSS);
    }
    struct nx_invocation out;
    NX_AUTO(nx_arena) arena;
    nx_arena_init(&arena, 1 << 20);
    nx_buf_append_u8(&bytes, 0);
    assert_int_equal(nx_invocation_decode(nx_buf_str(&bytes), &arena, &out, NULL), NX_DATA_LOSS);
    assert_int_equal(nx_invocation_decode_head(nx_buf_str(&bytes), &out, NULL), NX_OK);
    assert_int_equal(out.attempt, 3);
}

static void test_refuses_another_format_version(void **state) {
    (void)state;
    const struct nx_invocation in = everything();
    struct nx_invocation out;
    struct nx_error error = { 0 };
    NX_AUTO(nx_buf) bytes;
    encode(&in, &bytes);
    bytes.ptr[0] = 2;
    assert_int_equal(nx_invocation_decode_head(nx_buf_str(&bytes), &out, &error), NX_FAILED_PRECONDITION);
    assert_int_equal(error.kind, NX_KIND_FORMAT_VERSION);
}

static void test_a_small_echo_takes_less_than_a_hundred_bytes_beside_output_and_tape(void **state) {
    (void)state;
    const struct nx_invocation in = { .attempt = 1,
                                      .started_at_ns = 1700000000000000000,
                                      .duration_ns = 9000,
                                      .fuel = 1500,
                                      .memory_peak = 131072 };
    NX_AUTO(nx_buf) bytes;
    encode(&in, &bytes);
    assert_in_range(bytes.len, 1, 99);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_back_what_was_written),
        cmocka_unit_test(test_names_stored_output_and_tape_by_digest),
        cmocka_unit_test(test_refuses_every_truncation_and_anything_left_over),
        cmocka_unit_test(test_refuses_another_format_version),
        cmocka_unit_test(test_a_small_echo_takes_less_than_a_hundred_bytes_beside_output_and_tape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
