/* src/fabric/stream/catalogue_test.c: the streams of all accounts are what the records of JETSTREAM say, in
 * any order of starts. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fabric/stream/catalogue.h"
#include "fabric/stream/stream_check.h"

static struct nx_js_catalogue catalogue;
static uint64_t last_sequence;

static int set_up(void **state) {
    (void)state;
    last_sequence = 0;
    nx_js_catalogue_init(&catalogue, 7);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    nx_js_catalogue_fini(&catalogue);
    return 0;
}

/* As the log would give it back. */
static enum nx_status take(struct nx_str subject, struct nx_str headers, struct nx_str payload,
                           struct nx_js_change *change) {
    const struct nx_record record = { .stream = NX_STR("JETSTREAM"),
                                      .sequence = ++last_sequence,
                                      .time_ns = 1000 + (int64_t)last_sequence,
                                      .subject = subject,
                                      .headers = headers,
                                      .payload = payload };
    return nx_js_catalogue_take(&catalogue, &record, change, NULL);
}

static struct nx_js_change take_all(struct nx_append *append) {
    struct nx_js_change change = { 0 };
    for (size_t i = 0; i < append->entry_count; i++) {
        const struct nx_append_entry *entry = &append->entries[i];
        assert_true(nx_str_is(entry->stream, "JETSTREAM"));
        assert_int_equal(take(entry->subject, entry->headers, entry->payload, &change), NX_OK);
    }
    nx_append_free(append);
    return change;
}

static struct nx_js_entry *create(const char *account, const char *name, const char *subject) {
    struct nx_append *append = NULL;
    struct nx_arena arena;
    struct nx_str subjects[] = { nx_str_from_c(subject) };
    struct nx_js_stream config = { .name = nx_str_from_c(name), .subjects = { subjects, 1 } };
    nx_arena_init(&arena, 1024 * 1024);
    assert_true(nx_js_stream_check(&config, &arena, NULL));
    assert_int_equal(nx_js_catalogue_create(nx_str_from_c(account), &config, &append, NULL), NX_OK);
    nx_arena_fini(&arena);
    const struct nx_js_change change = take_all(append);
    assert_int_equal(change.kind, NX_JS_STREAM_IS);
    return change.entry;
}

static void test_accounts_do_not_see_each_others_streams(void **state) {
    (void)state;
    const struct nx_js_entry *a = create("$G", "S", "a.>");
    const struct nx_js_entry *b = create("acme.eu", "S", "a.>");
    assert_string_equal(a->stream, "JS_1");
    assert_string_equal(b->stream, "JS_2");
    assert_true(nx_str_is(b->account, "acme.eu"));
    assert_ptr_equal(nx_js_catalogue_find(&catalogue, NX_STR("$G"), NX_STR("S")), a);
    assert_ptr_equal(nx_js_catalogue_taker(&catalogue, NX_STR("acme.eu"), NX_STR("a.b")), b);
    assert_null(nx_js_catalogue_taker(&catalogue, NX_STR("other"), NX_STR("a.b")));
    assert_null(nx_js_catalogue_find(&catalogue, NX_STR("acme"), NX_STR("eu.S")));
    assert_true(nx_js_catalogue_overlaps(&catalogue, NX_STR("$G"), &b->config, NULL));
    assert_false(nx_js_catalogue_overlaps(&catalogue, NX_STR("$G"), &b->config, a));
    assert_false(nx_js_catalogue_overlaps(&catalogue, NX_STR("other"), &b->config, NULL));
}

static void test_streams_are_walked_in_the_order_of_their_names(void **state) {
    (void)state;
    (void)create("$G", "b", "b");
    (void)create("$G", "\xc3\xa4", "c");
    (void)create("$G", "a", "a");
    (void)create("x", "aa", "a");
    const struct nx_js_entry *at = nx_js_catalogue_next(&catalogue, NX_STR("$G"), NULL);
    assert_true(nx_str_is(at->config.name, "a"));
    at = nx_js_catalogue_next(&catalogue, NX_STR("$G"), at);
    assert_true(nx_str_is(at->config.name, "b"));
    at = nx_js_catalogue_next(&catalogue, NX_STR("$G"), at);
    assert_true(nx_str_is(at->config.name, "\xc3\xa4"));
    assert_null(nx_js_catalogue_next(&catalogue, NX_STR("$G"), at));
}

static void test_a_stream_that_comes_again_has_another_id_and_the_old_one_is_gone(void **state) {
    struct nx_append *append = NULL;
    (void)state;
    const struct nx_js_entry *first = create("$G", "S", "a");
    assert_int_equal(nx_js_catalogue_delete(first, &append, NULL), NX_OK);
    const struct nx_js_change change = take_all(append);
    assert_int_equal(change.kind, NX_JS_STREAM_GONE);
    assert_int_equal(change.id, 1);
    assert_null(nx_js_catalogue_find(&catalogue, NX_STR("$G"), NX_STR("S")));
    assert_string_equal(create("$G", "S", "a")->stream, "JS_4");
}

static void test_a_changed_configuration_keeps_its_id_and_its_time(void **state) {
    struct nx_js_change change;
    (void)state;
    (void)create("$G", "S", "a");
    assert_int_equal(take(NX_STR("stream.%24G.S"), NX_STR("Nexus-Stream: 1\r\nNexus-Created: 1001\r\n"),
                          NX_STR("{\"name\":\"S\",\"subjects\":[\"b\"]}"), &change),
                     NX_OK);
    assert_int_equal(change.entry->id, 1);
    assert_int_equal(change.entry->created_ns, 1001);
    assert_null(nx_js_catalogue_taker(&catalogue, NX_STR("$G"), NX_STR("a")));
    assert_ptr_equal(nx_js_catalogue_taker(&catalogue, NX_STR("$G"), NX_STR("b")), change.entry);
}

static void test_a_record_that_is_none_of_ours_changes_nothing(void **state) {
    struct nx_js_change change;
    (void)state;
    (void)create("$G", "S", "a");
    assert_int_equal(take(NX_STR("gone.x"), NX_STR_EMPTY, NX_STR_EMPTY, &change), NX_DATA_LOSS);
    assert_int_equal(take(NX_STR("stream.x"), NX_STR_EMPTY, NX_STR("{}"), &change), NX_DATA_LOSS);
    assert_int_equal(take(NX_STR("stream.%24G.S"), NX_STR_EMPTY, NX_STR("{\"later\":1}"), &change),
                     NX_DATA_LOSS);
    assert_int_equal(take(NX_STR("stream.%24G.S"), NX_STR("Nexus-Operation: X\r\n"), NX_STR_EMPTY, &change),
                     NX_DATA_LOSS);
    assert_non_null(nx_js_catalogue_find(&catalogue, NX_STR("$G"), NX_STR("S")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accounts_do_not_see_each_others_streams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_streams_are_walked_in_the_order_of_their_names, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_stream_that_comes_again_has_another_id_and_the_old_one_is_gone,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_changed_configuration_keeps_its_id_and_its_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_record_that_is_none_of_ours_changes_nothing, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
