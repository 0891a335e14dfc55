/* src/codec/event_filter_test.c: each dialect of CloudEvents Subscriptions 1.0, §3.2.4, on one event. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/event_filter.h"

static struct nx_cloudevent order(void) {
    struct nx_cloudevent event;
    nx_cloudevent_init(&event);
    event.id = NX_STR("1");
    event.source = NX_STR("/shop/eu");
    event.type = NX_STR("order.placed");
    event.subject = NX_STR("orders/17.json");
    event.datacontenttype = NX_STR("application/json");
    event.data = NX_STR("{\"user\":{\"country\":\"FR\"},\"total\":12}");
    event.has_data = true;
    event.extensions[0] = (struct nx_cloudevent_extension){ NX_STR("tenant"), NX_STR("acme") };
    event.extension_count = 1;
    return event;
}

static bool matches(const struct nx_event_filter *filter) {
    const struct nx_cloudevent event = order();
    return nx_event_filter_matches(filter, &event);
}

#define LEAF(dialect, name, text) \
    { .kind = NX_EVENT_FILTER_##dialect, .attribute = NX_STR(name), .value = NX_STR(text) }

static void test_compares_attributes_extensions_and_paths_into_data(void **state) {
    static const struct {
        struct nx_event_filter filter;
        bool expected;
    } cases[] = {
        { LEAF(EXACT, "source", "/shop/eu"), true }, { LEAF(EXACT, "source", "/shop"), false },
        { LEAF(PREFIX, "source", "/shop"), true },   { LEAF(PREFIX, "source", "shop"), false },
        { LEAF(SUFFIX, "subject", ".json"), true },  { LEAF(SUFFIX, "subject", ".xml"), false },
        { LEAF(EXACT, "tenant", "acme"), true },     { LEAF(EXACT, "tenant", "other"), false },
        { LEAF(EXACT, "specversion", "1.0"), true }, { LEAF(EXACT, "data.user.country", "FR"), true },
        { LEAF(EXACT, "data.total", "12"), true },   { LEAF(EXACT, "data.user", "FR"), false },
        { LEAF(EXACT, "dataschema", "x"), false },   { LEAF(PREFIX, "missing", "x"), false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(matches(&cases[i].filter), cases[i].expected);
    }
}

static void test_all_any_and_not_combine(void **state) {
    struct nx_event_filter yes_and_no[] = { LEAF(EXACT, "tenant", "acme"), LEAF(EXACT, "tenant", "other") };
    struct nx_event_filter all = { .kind = NX_EVENT_FILTER_ALL, .children = yes_and_no, .child_count = 2 };
    struct nx_event_filter any = { .kind = NX_EVENT_FILTER_ANY, .children = yes_and_no, .child_count = 2 };
    struct nx_event_filter not_all = { .kind = NX_EVENT_FILTER_NOT, .children = &all, .child_count = 1 };
    struct nx_event_filter not_any = { .kind = NX_EVENT_FILTER_NOT, .children = &any, .child_count = 1 };
    (void)state;
    assert_false(matches(&all));
    assert_true(matches(&any));
    assert_true(matches(&not_all));
    assert_false(matches(&not_any));
    all.child_count = 1;
    assert_true(matches(&all));
    all.child_count = 0;
    any.child_count = 0;
    assert_true(matches(&all));
    assert_false(matches(&any));
}

static void test_a_missing_attribute_is_not_what_was_asked(void **state) {
    struct nx_event_filter missing = LEAF(EXACT, "dataschema", "x");
    const struct nx_event_filter without = { .kind = NX_EVENT_FILTER_NOT,
                                             .children = &missing,
                                             .child_count = 1 };
    (void)state;
    assert_true(matches(&without));
}

static void test_is_written_in_the_specifications_form(void **state) {
    struct nx_event_filter leaves[] = { LEAF(EXACT, "source", "/a"), LEAF(SUFFIX, "data.x", "b\"") };
    struct nx_event_filter not_one = { .kind = NX_EVENT_FILTER_NOT, .children = leaves, .child_count = 1 };
    struct nx_event_filter children[] = { leaves[1], not_one };
    const struct nx_event_filter any = { .kind = NX_EVENT_FILTER_ANY,
                                         .children = children,
                                         .child_count = 2 };
    NX_AUTO(nx_arena) arena;
    NX_AUTO(nx_buf) text;
    struct nx_json_writer writer;
    (void)state;
    nx_arena_init(&arena, 64 * 1024);
    nx_buf_init(&text, 4096);
    const struct nx_event_filter *copy = nx_event_filter_copy(&arena, &any);
    assert_non_null(copy);
    nx_json_writer_init(&writer, &text);
    nx_event_filter_write(&writer, copy);
    nx_json_writer_end(&writer);
    assert_true(nx_str_is(nx_buf_str(&text), "{\"any\":[{\"suffix\":{\"data.x\":\"b\\\"\"}},"
                                             "{\"not\":{\"exact\":{\"source\":\"/a\"}}}]}"));
}

static void test_a_copy_without_memory_is_none(void **state) {
    struct nx_event_filter leaf = LEAF(EXACT, "source", "/a");
    const struct nx_event_filter all = { .kind = NX_EVENT_FILTER_ALL, .children = &leaf, .child_count = 1 };
    (void)state;
    for (size_t size = 1; size <= 64; size *= 4) {
        NX_AUTO(nx_arena) arena;
        nx_arena_init(&arena, size);
        assert_null(nx_event_filter_copy(&arena, &all));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compares_attributes_extensions_and_paths_into_data),
        cmocka_unit_test(test_all_any_and_not_combine),
        cmocka_unit_test(test_a_missing_attribute_is_not_what_was_asked),
        cmocka_unit_test(test_is_written_in_the_specifications_form),
        cmocka_unit_test(test_a_copy_without_memory_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
