/* src/telemetry/log_line_test.c: one entry, one line, whatever is in it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/json.h"
#include "telemetry/log_line.h"

static const int64_t time_ns = 1764152625123456789;

static void assert_line(enum nx_log_format format, const struct nx_log_entry *entry, const char *expected) {
    NX_AUTO(nx_buf) out;
    nx_buf_init(&out, 4096);
    nx_log_line_write(&out, format, time_ns, entry);
    nx_buf_append(&out, NX_STR("\0"));
    assert_int_equal(nx_buf_check(&out, NULL), NX_OK);
    assert_string_equal(out.ptr, expected);
}

static void test_text_has_time_level_component_and_fields(void **state) {
    const struct nx_log_field fields[] = { NX_F_STR("name", NX_STR("EVENTS")), NX_F_U64("first_seq", 1),
                                           NX_F_I64("left", -2), NX_F_STR("path", NX_STR("a b=\"c\"")),
                                           NX_F_STR("empty", NX_STR("")) };
    const struct nx_log_field boolean = { .name = "ok", .kind = NX_F_KIND_BOOL, .value.boolean = true };
    (void)state;
    assert_line(NX_LOG_TEXT, &(struct nx_log_entry){ NX_LOG_INFO, "journal", "stream opened", fields, 5 },
                "[2025-11-26T10:23:45Z INFO journal] stream opened name=EVENTS first_seq=1 left=-2 "
                "path=\"a b=\\\"c\\\"\" empty=\"\"\n");
    assert_line(NX_LOG_TEXT, &(struct nx_log_entry){ NX_LOG_ERROR, "x", "y", &boolean, 1 },
                "[2025-11-26T10:23:45Z ERROR x] y ok=true\n");
    assert_line(NX_LOG_TEXT, &(struct nx_log_entry){ NX_LOG_WARN, "x", "y", NULL, 0 },
                "[2025-11-26T10:23:45Z WARN x] y\n");
}

static void test_lines_of_functions_stand_behind_their_trace(void **state) {
    const struct nx_log_field fields[] = { NX_F_STR("trace", NX_STR("4bf9")),
                                           NX_F_STR("tag", NX_STR("REPLAY")),
                                           NX_F_STR("line", NX_STR("Processing user event \"x\"")),
                                           NX_F_STR("event", NX_STR("01J")) };
    const struct nx_log_entry entry = { NX_LOG_INFO, "user-welcome", "", fields, 4 };
    (void)state;
    assert_line(NX_LOG_TEXT, &entry,
                "[2025-11-26T10:23:45Z INFO user-welcome] [trace=4bf9] [REPLAY] Processing user event \"x\" "
                "event=01J\n");
    assert_line(NX_LOG_JSON, &entry,
                "{\"time\":\"2025-11-26T10:23:45.123Z\",\"level\":\"INFO\",\"component\":\"user-welcome\","
                "\"text\":\"Processing user event "
                "\\\"x\\\"\",\"trace\":\"4bf9\",\"tag\":\"REPLAY\",\"event\":\"01J\"}\n");
}

static void test_json_keeps_the_types_of_fields(void **state) {
    const struct nx_log_field fields[] = { NX_F_U64("u", UINT64_MAX),
                                           NX_F_I64("i", -1),
                                           { .name = "b", .kind = NX_F_KIND_BOOL, .value.boolean = false } };
    (void)state;
    assert_line(
        NX_LOG_JSON, &(struct nx_log_entry){ NX_LOG_DEBUG, "c", "t", fields, 3 },
        "{\"time\":\"2025-11-26T10:23:45.123Z\",\"level\":\"DEBUG\",\"component\":\"c\",\"text\":\"t\","
        "\"u\":18446744073709551615,\"i\":-1,\"b\":false}\n");
}

static void test_no_foreign_byte_forges_a_line_or_drives_a_terminal(void **state) {
    const struct nx_str foreign = NX_STR("a\nb\r\x1B[31m\x7F\xC2\x9B\xFF\xE2\x82€😀");
    const struct nx_log_field fields[] = { NX_F_STR("line", foreign), NX_F_STR("x", foreign) };
    NX_AUTO(nx_buf) out;
    (void)state;
    assert_line(NX_LOG_TEXT, &(struct nx_log_entry){ NX_LOG_INFO, "f", "", fields, 1 },
                "[2025-11-26T10:23:45Z INFO f] a\\nb\\x0d\\x1b[31m\\x7f\\xc2\\x9b\\xff\\xe2\\x82€😀\n");
    nx_buf_init(&out, 4096);
    nx_log_line_write(&out, NX_LOG_TEXT, time_ns, &(struct nx_log_entry){ NX_LOG_INFO, "f", "t", fields, 2 });
    const size_t text_len = out.len;
    nx_log_line_write(&out, NX_LOG_JSON, time_ns, &(struct nx_log_entry){ NX_LOG_INFO, "f", "t", fields, 2 });
    size_t lines = 0;
    for (size_t i = 0; i < out.len; i++) {
        const unsigned char c = (unsigned char)out.ptr[i];
        lines += c == '\n' ? 1 : 0;
        assert_true(c >= 0x20 || c == '\n');
        assert_true(c != 0x7F || i > text_len); /* JSON may keep it: that is for machines */
        assert_true(c != 0xC2 || i > text_len);
    }
    assert_int_equal(lines, 2);
    assert_true(nx_str_is_utf8(nx_buf_str(&out)));
}

static void test_formats_have_names(void **state) {
    enum nx_log_format format = NX_LOG_TEXT;
    (void)state;
    assert_true(nx_log_format_parse(NX_STR("json"), &format));
    assert_int_equal(format, NX_LOG_JSON);
    assert_true(nx_log_format_parse(NX_STR("text"), &format));
    assert_int_equal(format, NX_LOG_TEXT);
    assert_false(nx_log_format_parse(NX_STR("xml"), &format));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_has_time_level_component_and_fields),
        cmocka_unit_test(test_lines_of_functions_stand_behind_their_trace),
        cmocka_unit_test(test_json_keeps_the_types_of_fields),
        cmocka_unit_test(test_no_foreign_byte_forges_a_line_or_drives_a_terminal),
        cmocka_unit_test(test_formats_have_names),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
