/* src/fabric/backend_journal/define_test.c: streams that are defined while the log is open, and what happens
 * to them when nobody defines them again. */
#include "fabric/backend_journal/harness_test.h"

static struct nx_define *define_new(struct harness *harness, const char *stream) {
    struct nx_define *define = NULL;
    assert_int_equal(nx_define_new(nx_str_from_c(stream), &define, NULL), NX_OK);
    define->message.reply_to = harness->answers;
    return define;
}

static void send_define(struct harness *harness, struct nx_define *define) {
    assert_true(nx_mailbox_send(nx_fabric_appends(harness->fabric), &define->message));
    harness_run(harness);
    struct nx_define *answer = (struct nx_define *)harness_answer(harness);
    assert_int_equal(answer->status, NX_OK);
    nx_message_release(&answer->message);
}

static void restart(struct harness *harness) {
    harness_stop(harness);
    harness_start(harness);
}

static enum nx_status put_status(struct harness *harness, const char *stream, const char *key,
                                 bool *duplicate_out) {
    struct nx_append *append = harness_append_new(harness, 1, 0);
    harness_add(append, stream, "a", NULL, "x", key);
    NX_AUTO(nx_append) *answer = harness_send(harness, append);
    if (duplicate_out != NULL) {
        *duplicate_out = answer->entries[0].duplicate;
    }
    return answer->status;
}

static size_t count(struct harness *harness, const char *stream) {
    NX_AUTO(nx_read) *read = harness_ask(harness, harness_read_new(harness, NX_READ_SCAN, stream, NULL));
    assert_int_equal(read->status, NX_OK);
    return read->record_count;
}

static void test_a_stream_is_there_once_it_is_defined(void **state) {
    struct harness harness;
    struct nx_define *define = NULL;
    (void)state;
    harness_init(&harness);
    assert_int_equal(put_status(&harness, "JS_1", NULL, NULL), NX_NOT_FOUND);
    send_define(&harness, define_new(&harness, "JS_1"));
    assert_int_equal(count(&harness, "JS_1"), 0);
    assert_int_equal(harness_put(&harness, "JS_1", "a", NULL, "x"), 1);
    assert_int_equal(count(&harness, "JS_1"), 1);
    assert_int_equal(nx_define_new(NX_STR("EVENTS"), &define, NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_define_new(NX_STR("JS_a.b"), &define, NULL), NX_INVALID_ARGUMENT);
    harness_fini(&harness);
}

static void test_the_limit_of_a_subject_holds_from_the_definition_on(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    struct nx_define *define = define_new(&harness, "JS_1");
    define->per_subject_max = 2;
    send_define(&harness, define);
    for (int i = 0; i < 5; i++) {
        (void)harness_put(&harness, "JS_1", "a", NULL, "x");
    }
    assert_int_equal(count(&harness, "JS_1"), 2);
    define = define_new(&harness, "JS_1");
    define->per_subject_max = 1;
    send_define(&harness, define);
    assert_int_equal(count(&harness, "JS_1"), 1);
    harness_fini(&harness);
}

static void test_what_nobody_has_defined_since_the_start_keeps_all_records_and_keys(void **state) {
    struct harness harness;
    bool duplicate = false;
    (void)state;
    harness_init(&harness);
    struct nx_define *define = define_new(&harness, "JS_1");
    define->dedup_window_ns = 3000 * (int64_t)NX_NS_PER_S;
    send_define(&harness, define);
    assert_int_equal(put_status(&harness, "JS_1", "k", NULL), NX_OK);
    harness.now.wall_ns += 2000 * (int64_t)NX_NS_PER_S;
    harness.now.monotonic_ns += 2000 * (int64_t)NX_NS_PER_S;
    restart(&harness);
    assert_int_equal(count(&harness, "JS_1"), 1);
    assert_int_equal(put_status(&harness, "JS_1", "k", &duplicate), NX_OK);
    assert_true(duplicate);
    define = define_new(&harness, "JS_1");
    define->dedup_window_ns = 1000 * (int64_t)NX_NS_PER_S;
    send_define(&harness, define);
    assert_int_equal(put_status(&harness, "JS_1", "k", &duplicate), NX_OK);
    assert_false(duplicate);
    harness_fini(&harness);
}

static void test_nothing_below_the_first_sequence_is_shown_and_it_is_never_lowered(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    send_define(&harness, define_new(&harness, "JS_1"));
    for (int i = 0; i < 5; i++) {
        (void)harness_put(&harness, "JS_1", "a", NULL, "x");
    }
    static const uint64_t firsts[] = { 4, 2, 0 };
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        struct nx_define *define = define_new(&harness, "JS_1");
        define->first_sequence = firsts[i];
        send_define(&harness, define);
        assert_int_equal(count(&harness, "JS_1"), 2);
    }
    harness_fini(&harness);
}

static void test_what_is_gone_is_not_shown_and_takes_nothing(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    send_define(&harness, define_new(&harness, "JS_1"));
    (void)harness_put(&harness, "JS_1", "a", NULL, "x");
    for (int round = 0; round < 2; round++) {
        struct nx_define *define = define_new(&harness, "JS_1");
        define->is_gone = true;
        send_define(&harness, define);
        assert_int_equal(count(&harness, "JS_1"), 0);
        assert_int_equal(put_status(&harness, "JS_1", NULL, NULL), NX_NOT_FOUND);
        restart(&harness);
    }
    harness_fini(&harness);
}

static void test_a_condition_on_the_whole_stream_tells_what_was_found(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    send_define(&harness, define_new(&harness, "JS_1"));
    (void)harness_put(&harness, "JS_1", "a", NULL, "x");
    (void)harness_put(&harness, "JS_1", "b", NULL, "x");
    static const struct {
        const char *subject;
        uint64_t expected;
        uint64_t found;
    } cases[] = { { "", 7, 2 }, { "a", 7, 1 }, { "c", 7, 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_append *append = harness_append_new(&harness, 1, 1);
        const struct nx_append_condition condition = { NX_STR("JS_1"), nx_str_from_c(cases[i].subject),
                                                       cases[i].expected };
        harness_add(append, "JS_1", "a", NULL, "x", NULL);
        assert_int_equal(nx_append_add_condition(append, &condition, NULL), NX_OK);
        NX_AUTO(nx_append) *answer = harness_send(&harness, append);
        assert_int_equal(answer->error.kind, NX_KIND_WRONG_LAST_SEQUENCE);
        assert_int_equal(answer->found_sequence, cases[i].found);
    }
    struct nx_append *append = harness_append_new(&harness, 1, 1);
    harness_add(append, "JS_1", "a", NULL, "x", NULL);
    const struct nx_append_condition holds = { NX_STR("JS_1"), NX_STR_EMPTY, 2 };
    assert_int_equal(nx_append_add_condition(append, &holds, NULL), NX_OK);
    NX_AUTO(nx_append) *answer = harness_send(&harness, append);
    assert_int_equal(answer->status, NX_OK);
    assert_int_equal(answer->entries[0].sequence, 3);
    harness_fini(&harness);
}

static void test_the_disk_budget_takes_nothing_from_a_clients_stream(void **state) {
    struct harness harness;
    static char payload[4097];
    size_t refused = 0;
    uint64_t stored = 0;
    (void)state;
    memset(payload, 'x', sizeof payload - 1);
    harness_init(&harness);
    harness_stop(&harness);
    harness.options.disk_budget = 1024 * 1024;
    harness_start(&harness);
    send_define(&harness, define_new(&harness, "JS_1"));
    for (int i = 0; i < 600; i++) {
        struct nx_append *append = harness_append_new(&harness, 1, 0);
        for (size_t k = 0; k < sizeof payload - 1; k++) { /* that does not shrink */
            payload[k] = (char)('a' + (nx_random_u64(&harness.options.random) % 26));
        }
        harness_add(append, "JS_1", "a", NULL, payload, NULL);
        assert_true(nx_mailbox_send(nx_fabric_appends(harness.fabric), &append->message));
        harness_run(&harness);
        harness.now.monotonic_ns += 20 * (int64_t)NX_NS_PER_S; /* who waits for room has waited long enough */
        harness_run(&harness);
        NX_AUTO(nx_append) *answer = (struct nx_append *)harness_answer(&harness);
        refused += answer->status == NX_OK ? 0 : 1;
        stored = answer->status == NX_OK ? answer->entries[0].sequence : stored;
    }
    assert_true(refused > 0);
    struct nx_read *info = harness_ask(&harness, harness_read_new(&harness, NX_READ_INFO, "JS_1", NULL));
    assert_int_equal(info->infos[0].first_sequence, 1);
    assert_int_equal(info->infos[0].count, stored);
    nx_read_free(info);
    harness_fini(&harness);
}

static void test_headers_from_outside_name_no_event_and_no_person(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    send_define(&harness, define_new(&harness, "JS_1"));
    (void)harness_put(
        &harness, "JS_1", "a",
        "Nexus-Person: 00112233445566778899aabbccddeeff\r\nce-id: 7\r\nNexus-Event: EVENTS:1\r\n", "x");
    NX_AUTO(nx_read) *by_id = harness_ask(&harness, harness_read_new(&harness, NX_READ_BY_ID, "", "7"));
    assert_int_equal(by_id->status, NX_NOT_FOUND);
    NX_AUTO(nx_read) *by_reference =
        harness_ask(&harness, harness_read_new(&harness, NX_READ_BY_REFERENCE, "", "EVENTS:1"));
    assert_int_equal(by_reference->status, NX_NOT_FOUND);
    NX_AUTO(nx_read) *scan = harness_ask(&harness, harness_read_new(&harness, NX_READ_SCAN, "JS_1", NULL));
    assert_int_equal(scan->record_count, 1);
    assert_true(nx_str_is(scan->records[0].payload, "x"));
    assert_true(nx_str_starts_with(scan->records[0].headers, NX_STR("Nexus-Person: 0011")));
    assert_int_equal(nx_str_find(scan->records[0].headers, NX_STR("Nexus-Withheld")), SIZE_MAX);
    harness_fini(&harness);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_is_there_once_it_is_defined),
        cmocka_unit_test(test_the_limit_of_a_subject_holds_from_the_definition_on),
        cmocka_unit_test(test_what_nobody_has_defined_since_the_start_keeps_all_records_and_keys),
        cmocka_unit_test(test_nothing_below_the_first_sequence_is_shown_and_it_is_never_lowered),
        cmocka_unit_test(test_what_is_gone_is_not_shown_and_takes_nothing),
        cmocka_unit_test(test_a_condition_on_the_whole_stream_tells_what_was_found),
        cmocka_unit_test(test_the_disk_budget_takes_nothing_from_a_clients_stream),
        cmocka_unit_test(test_headers_from_outside_name_no_event_and_no_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
