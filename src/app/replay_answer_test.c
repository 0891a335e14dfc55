/* src/app/replay_answer_test.c: the report that the server writes is the one that is read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/replay_answer.h"
#include "server/http/replay_json.h"

static void write_json(struct nx_buf *out, const struct nx_replay_report *report) {
    struct nx_json_writer json;

    nx_buf_init(out, 1024 * 1024);
    nx_json_writer_init(&json, out);
    nx_http_write_replay(&json, report);
    nx_json_writer_end(&json);
}

static void test_a_report_comes_back_as_it_was(void **state) {
    const struct nx_invocation_log_line line = { .level = NX_LOG_WARN,
                                                 .time_ns = 1764152625123456789LL,
                                                 .text = NX_STR("said"),
                                                 .fields = NX_STR("{\"a\":1}") };
    struct nx_replay_item item = {
        .verdict = NX_REPLAY_DIFFERENT,
        .invocation = 17,
        .event_sequence = 16,
        .event_id = NX_STR("e-1"),
        .function = NX_STR("welcome"),
        .attempt = 2,
        .outcome = NX_OUTCOME_DEADLINE,
        .original_time_ns = 1764152625000000000LL,
        .trace_id = { 1, 2, 3 },
        .duration_ns = 1234,
        .fuel = 99,
        .output = NX_STR("\xff\xfe"),
        .log_lines = &line,
        .log_line_count = 1,
        .difference = { .what = NX_STR("output"),
                        .offset = 7,
                        .recorded = NX_STR("a"),
                        .replayed = NX_STR("b") },
        .module_is_current = false,
    };
    const struct nx_replay_report report = {
        .counts = { [NX_REPLAY_DIFFERENT] = 1 }, .total = 1, .items = &item, .item_count = 1, .elapsed_ns = 5
    };
    NX_AUTO(nx_buf) first = { 0 };
    NX_AUTO(nx_buf) second = { 0 };
    struct nx_replay_report read;

    (void)state;
    write_json(&first, &report);
    nx_replay_report_init(&read);
    assert_int_equal(nx_replay_parse(nx_buf_str(&first), &read, NULL), NX_OK);
    write_json(&second, &read);
    nx_buf_append_u8(&first, 0);
    nx_buf_append_u8(&second, 0);
    assert_string_equal(second.ptr, first.ptr);
    nx_replay_report_fini(&read);
}

static void test_refuses_what_is_no_report(void **state) {
    static const char *const answers[] = { "", "{}", "[]", "{\"replays\":{},\"total\":1}",
                                           "{\"replays\":[]}" };

    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct nx_replay_report read;
        nx_replay_report_init(&read);
        assert_int_equal(nx_replay_parse(nx_str_from_c(answers[i]), &read, NULL), NX_DATA_LOSS);
        nx_replay_report_fini(&read);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_report_comes_back_as_it_was),
        cmocka_unit_test(test_refuses_what_is_no_report),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
