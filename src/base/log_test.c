/* src/base/log_test.c: the sink gets wanted entries with their fields, and no others. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/log.h"

struct seen {
    int count;
    size_t field_count;
    struct nx_log_field last_field;
    const char *text;
    enum nx_log_level level;
};

static void sink(void *sink_data, const struct nx_log_entry *entry) {
    struct seen *seen = sink_data;
    seen->count++;
    seen->text = entry->text;
    seen->level = entry->level;
    seen->field_count = entry->field_count;
    if (entry->field_count > 0) {
        seen->last_field = entry->fields[entry->field_count - 1];
    }
}

static void test_hands_over_text_and_fields(void **state) {
    (void)state;
    struct seen seen = { 0 };
    const struct nx_log log = { .sink = sink, .sink_data = &seen, .component = "wal", .level = NX_LOG_INFO };
    nx_log_info(&log, "plain");
    assert_string_equal(seen.text, "plain");
    assert_int_equal(seen.field_count, 0);
    nx_log_error(&log, "stream opened", NX_F_STR("stream", NX_STR("EVENTS")), NX_F_U64("first_seq", 7));
    assert_int_equal(seen.level, NX_LOG_ERROR);
    assert_int_equal(seen.field_count, 2);
    assert_string_equal(seen.last_field.name, "first_seq");
    assert_int_equal(seen.last_field.value.u64, 7);
}

static void test_drops_what_is_below_its_level(void **state) {
    (void)state;
    struct seen seen = { 0 };
    const struct nx_log log = { .sink = sink, .sink_data = &seen, .component = "wal", .level = NX_LOG_WARN };
    nx_log_debug(&log, "x");
    nx_log_info(&log, "x");
    assert_int_equal(seen.count, 0);
    nx_log_warn(&log, "x");
    assert_int_equal(seen.count, 1);
    nx_log_warn(NULL, "nobody listens");
    nx_log_warn(&(struct nx_log){ 0 }, "nobody listens");
}

static void test_names_of_levels_round_trip(void **state) {
    (void)state;
    for (int level = NX_LOG_DEBUG; level <= NX_LOG_ERROR; level++) {
        enum nx_log_level parsed;
        assert_true(nx_log_level_parse(nx_str_from_c(nx_log_level_name((enum nx_log_level)level)), &parsed));
        assert_int_equal(parsed, level);
    }
    enum nx_log_level level = NX_LOG_ERROR;
    assert_true(nx_log_level_parse(NX_STR("warn"), &level));
    assert_int_equal(level, NX_LOG_WARN);
    assert_false(nx_log_level_parse(NX_STR("loud"), &level));
    assert_int_equal(level, NX_LOG_WARN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hands_over_text_and_fields),
        cmocka_unit_test(test_drops_what_is_below_its_level),
        cmocka_unit_test(test_names_of_levels_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
