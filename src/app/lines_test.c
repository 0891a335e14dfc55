/* src/app/lines_test.c: what a function says is shown as one line of its own, whatever bytes it holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/lines.h"

static const uint8_t trace_id[NX_TRACE_ID_SIZE] = { 0xab, 0xcd };
static const struct nx_lines_of of = { .function = { "welcome", 7 },
                                       .event = { "EVENTS:17", 9 },
                                       .trace_id = trace_id };
#define TRACE "[trace=abcd0000000000000000000000000000]"

static void assert_line(const struct nx_lines_options *options, const struct nx_invocation_log_line *line,
                        const char *expected) {
    NX_AUTO(nx_buf) out = { 0 };

    nx_buf_init(&out, 65536);
    nx_lines_write(&out, options, &of, line);
    nx_buf_append_u8(&out, 0);
    assert_string_equal(out.ptr, expected);
}

static void test_writes_the_line_of_the_story(void **state) {
    const struct nx_lines_options options = { .format = NX_LOG_TEXT };
    const struct nx_invocation_log_line line = { .level = NX_LOG_INFO,
                                                 .time_ns = 1764152625LL * NX_NS_PER_S,
                                                 .text = NX_STR("Processing user event"),
                                                 .fields = NX_STR("{\"user_id\":\"u42\",\"n\":7}") };
    (void)state;
    assert_line(&options, &line,
                "[2025-11-26T10:23:45Z INFO welcome] " TRACE
                " Processing user event user_id=u42 n=7 event=EVENTS:17\n");
}

static void test_marks_replays(void **state) {
    const struct nx_lines_options options = { .format = NX_LOG_TEXT, .is_replay = true };
    const struct nx_invocation_log_line line = { .level = NX_LOG_WARN, .text = NX_STR("again") };
    (void)state;
    assert_line(&options, &line,
                "[1970-01-01T00:00:00Z WARN welcome] [REPLAY] " TRACE " again event=EVENTS:17\n");
}

static void test_leaves_out_what_is_below_the_level(void **state) {
    const struct nx_lines_options options = { .format = NX_LOG_TEXT, .level = NX_LOG_WARN };
    const struct nx_invocation_log_line line = { .level = NX_LOG_INFO, .text = NX_STR("not shown") };
    (void)state;
    assert_line(&options, &line, "");
}

static void test_a_guest_cannot_forge_a_line_or_our_fields(void **state) {
    const struct nx_lines_options options = { .format = NX_LOG_TEXT };
    const struct nx_invocation_log_line line = {
        .level = NX_LOG_INFO,
        .text = NX_STR("one\n[1970-01-01T00:00:00Z ERROR other] two\033[31m"),
        .fields = NX_STR("{\"line\":\"forged\",\"trace\":\"forged\",\"event\":\"EVENTS:1\"}"),
    };
    (void)state;
    assert_line(&options, &line,
                "[1970-01-01T00:00:00Z INFO welcome] " TRACE
                " one\\n[1970-01-01T00:00:00Z ERROR other] two\\x1b[31m field.line=forged field.trace=forged "
                "field.event=EVENTS:1 event=EVENTS:17\n");
}

static void test_fields_that_are_no_json_do_not_hurt(void **state) {
    const struct nx_lines_options options = { .format = NX_LOG_TEXT };
    const struct nx_invocation_log_line line = { .level = NX_LOG_INFO,
                                                 .text = NX_STR("x"),
                                                 .fields = NX_STR("{oops") };
    (void)state;
    assert_line(&options, &line, "[1970-01-01T00:00:00Z INFO welcome] " TRACE " x event=EVENTS:17\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_the_line_of_the_story),
        cmocka_unit_test(test_marks_replays),
        cmocka_unit_test(test_leaves_out_what_is_below_the_level),
        cmocka_unit_test(test_a_guest_cannot_forge_a_line_or_our_fields),
        cmocka_unit_test(test_fields_that_are_no_json_do_not_hurt),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
