/* src/fabric/backend_journal/fabric_test.c: what is appended is read back, by every way and after a restart.
 */
#include "fabric/backend_journal/harness_test.h"
#include "fabric/backend_journal/library.h"

#include <inttypes.h>

static void put_some(struct harness *harness, int count) {
    for (int i = 0; i < count; i++) {
        char headers[128];
        char payload[64];
        (void)snprintf(headers, sizeof headers, "ce-id: id-%d\r\nNexus-Event: EVENTS:%d\r\n", i, i / 2);
        (void)snprintf(payload, sizeof payload, "payload %d", i);
        (void)harness_put(harness, "EVENTS", i % 2 == 0 ? "events.even" : "events.odd", headers, payload);
    }
}

static void expect_all(struct harness *harness, int count) {
    NX_AUTO(nx_read) *all = harness_ask(harness, harness_read_new(harness, NX_READ_SCAN, "EVENTS", NULL));
    assert_int_equal(all->status, NX_OK);
    assert_int_equal(all->record_count, count);
    assert_int_equal(all->lost_count, 0);
    assert_true(all->at_end);
    for (int i = 0; i < count; i++) {
        char payload[64];
        (void)snprintf(payload, sizeof payload, "payload %d", i);
        assert_int_equal(all->records[i].sequence, i + 1);
        assert_true(nx_str_is(all->records[i].payload, payload));
    }
}

static void expect_found(struct harness *harness, enum nx_read_kind kind, const char *key, size_t count) {
    NX_AUTO(nx_read) *read = harness_ask(harness, harness_read_new(harness, kind, "EVENTS", key));
    assert_int_equal(read->record_count, count);
    assert_int_equal(read->status, count > 0 ? NX_OK : NX_NOT_FOUND);
}

static void test_reads_back_what_was_appended_also_after_a_restart(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    put_some(&harness, 1000); /* several segments */
    for (int round = 0; round < 2; round++) {
        expect_all(&harness, 1000);
        expect_found(&harness, NX_READ_BY_ID, "id-7", 1);
        expect_found(&harness, NX_READ_BY_ID, "id-1000", 0);
        expect_found(&harness, NX_READ_BY_REFERENCE, "EVENTS:499", 2);
        expect_found(&harness, NX_READ_LAST, "events.odd", 1);
        expect_found(&harness, NX_READ_LAST, "events.none", 0);
        harness_stop(&harness);
        harness_start(&harness);
        assert_int_equal(nx_fabric_recovery_report(harness.fabric).len, 0);
    }
    assert_int_equal(harness_put(&harness, "EVENTS", "events.x", NULL, NULL), 1001);
    harness_fini(&harness);
}

static void test_filters_and_walks_backward(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    put_some(&harness, 100);
    struct nx_read *question = harness_read_new(&harness, NX_READ_SCAN, "EVENTS", "events.odd");
    question->backward = true;
    question->count_max = 10;
    NX_AUTO(nx_read) *read = harness_ask(&harness, question);
    assert_int_equal(read->status, NX_OK);
    assert_int_equal(read->record_count, 10);
    assert_int_equal(read->records[0].sequence, 100);
    assert_int_equal(read->records[9].sequence, 82);
    assert_false(read->at_end);
    question = harness_read_new(&harness, NX_READ_SCAN, "EVENTS", NULL);
    question->from_time_ns = read->records[1].time_ns;
    NX_AUTO(nx_read) *later = harness_ask(&harness, question);
    assert_int_equal(later->record_count, 3);
    harness_fini(&harness);
}

static void test_answers_a_duplicate_with_the_first_ones_sequence(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    for (int round = 0; round < 3; round++) {
        struct nx_append *append = harness_append_new(&harness, 2, 0);
        harness_add(append, "EVENTS", "events.a", NULL, "x", "key");
        harness_add(append, "EVENTS", "events.a", NULL, "y", "key");
        NX_AUTO(nx_append) *answer = harness_send(&harness, append);
        assert_int_equal(answer->status, NX_OK);
        assert_int_equal(answer->entries[0].sequence, 1);
        assert_int_equal(answer->entries[0].duplicate, round > 0);
        assert_true(answer->entries[1].duplicate);
        harness_stop(&harness);
        harness_start(&harness);
    }
    harness.now.wall_ns += 200LL * NX_NS_PER_S; /* the window passes */
    struct nx_append *append = harness_append_new(&harness, 1, 0);
    harness_add(append, "EVENTS", "events.a", NULL, "x", "key");
    NX_AUTO(nx_append) *answer = harness_send(&harness, append);
    assert_int_equal(answer->entries[0].sequence, 2);
    harness_fini(&harness);
}

/* One event, and behind it the record that decides; returns the answer. */
static struct nx_append *put_guarded(struct harness *harness, const char *payload, const char *key) {
    struct nx_append *append = harness_append_new(harness, 2, 0);
    harness_add(append, "EVENTS", "events.a", NULL, payload, NULL);
    harness_add(append, "INVOCATIONS", "requests.http", NULL, "", key);
    append->last_decides = true;
    return harness_send(harness, append);
}

static void test_the_last_entry_decides_about_all(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    NX_AUTO(nx_append) *first = put_guarded(&harness, "1", "k");
    assert_int_equal(first->status, NX_OK);
    assert_int_equal(first->entries[0].sequence, 1);
    NX_AUTO(nx_append) *again = put_guarded(&harness, "2", "k");
    assert_int_equal(again->status, NX_OK);
    assert_true(again->entries[0].duplicate);
    assert_true(again->entries[1].duplicate);
    assert_int_equal(again->entries[1].sequence, first->entries[1].sequence);
    harness_stop(&harness);
    harness_start(&harness);
    NX_AUTO(nx_append) *after = put_guarded(&harness, "3", "k");
    assert_true(after->entries[0].duplicate);
    NX_AUTO(nx_append) *other = put_guarded(&harness, "4", "l");
    assert_false(other->entries[0].duplicate);
    assert_int_equal(other->entries[0].sequence, 2);
    harness_fini(&harness);
}

static enum nx_status put_if(struct harness *harness, uint64_t last, uint64_t *sequence_out) {
    struct nx_append *append = harness_append_new(harness, 1, 1);
    const struct nx_append_condition condition = { .stream = NX_STR("KV_fn"),
                                                   .subject = NX_STR("$KV.fn.key"),
                                                   .last_sequence = last };
    harness_add(append, "KV_fn", "$KV.fn.key", NULL, "value", NULL);
    assert_int_equal(nx_append_add_condition(append, &condition, NULL), NX_OK);
    NX_AUTO(nx_append) *answer = harness_send(harness, append);
    *sequence_out = answer->entries[0].sequence;
    return answer->status;
}

static void test_writes_only_where_the_condition_holds(void **state) {
    struct harness harness;
    uint64_t sequence;
    (void)state;
    harness_init(&harness);
    assert_int_equal(put_if(&harness, 0, &sequence), NX_OK);
    assert_int_equal(put_if(&harness, 0, &sequence), NX_FAILED_PRECONDITION);
    assert_int_equal(put_if(&harness, 1, &sequence), NX_OK);
    assert_int_equal(sequence, 2);
    harness_stop(&harness);
    harness_start(&harness);
    assert_int_equal(put_if(&harness, 1, &sequence), NX_FAILED_PRECONDITION);
    assert_int_equal(put_if(&harness, 2, &sequence), NX_OK);
    assert_int_equal(sequence, 3);
    harness_fini(&harness);
}

static void test_a_waiting_scan_is_answered_by_the_next_record_or_by_time(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    struct nx_read *question = harness_read_new(&harness, NX_READ_SCAN, "EVENTS", "events.b");
    question->wait = true;
    question->wait_until_ns = harness.now.monotonic_ns + 10LL * NX_NS_PER_S;
    harness_post(&harness, question);
    struct nx_append *append = harness_append_new(&harness, 1, 0);
    harness_add(append, "EVENTS", "events.a", NULL, "x", NULL);
    NX_AUTO(nx_append) *other = harness_send(&harness, append);
    assert_int_equal(other->status, NX_OK);
    append = harness_append_new(&harness, 1, 0);
    append->message.reply_to = NULL;
    harness_add(append, "EVENTS", "events.b", NULL, "x", NULL);
    NX_AUTO(nx_read) *answer = (struct nx_read *)harness_send(&harness, append);
    assert_int_equal(answer->record_count, 1);
    assert_int_equal(answer->next_sequence, 3);
    question = harness_read_new(&harness, NX_READ_SCAN, "EVENTS", NULL);
    question->from_sequence = 3;
    question->wait = true;
    question->wait_until_ns = harness.now.monotonic_ns + 10LL * NX_NS_PER_S;
    harness_post(&harness, question);
    harness.now.monotonic_ns += 11LL * NX_NS_PER_S;
    harness_run(&harness);
    NX_AUTO(nx_read) *late = (struct nx_read *)harness_answer(&harness);
    assert_int_equal(late->record_count, 0);
    assert_true(late->at_end);
    harness_fini(&harness);
}

static void test_a_waiting_scan_that_passes_over_many_says_how_far_it_came(void **state) {
    enum { APPENDS = 80, ENTRIES = 1000 };
    struct harness harness;
    (void)state;
    harness_init(&harness);
    harness_stop(&harness);
    harness.options.segment_size = 64 * 1024 * 1024;
    harness_start(&harness);
    for (int i = 0; i < APPENDS; i++) {
        struct nx_append *append = harness_append_new(&harness, ENTRIES, 0);
        for (int k = 0; k < ENTRIES; k++) {
            harness_add(append, "EVENTS", "other", NULL, "", NULL);
        }
        nx_append_free(harness_send(&harness, append));
    }
    assert_int_equal(harness_put(&harness, "EVENTS", "wanted", NULL, ""), APPENDS * ENTRIES + 1);
    uint64_t next = 1;
    for (int round = 0; round < 2; round++) {
        struct nx_read *read = harness_read_new(&harness, NX_READ_SCAN, "EVENTS", "wanted");
        read->from_sequence = next;
        read->wait = true;
        read->wait_until_ns = INT64_MAX;
        NX_AUTO(nx_read) *answer = harness_ask(&harness, read);
        assert_int_equal(answer->record_count, round);
        assert_int_equal(answer->at_end, round == 1);
        assert_true(answer->next_sequence > next);
        next = answer->next_sequence;
    }
    harness_fini(&harness);
}

static struct nx_read *waiting_scan(struct harness *harness, int64_t until_ns) {
    struct nx_read *read = harness_read_new(harness, NX_READ_SCAN, "EVENTS", NULL);
    read->wait = true;
    read->wait_until_ns = until_ns;
    return read;
}

static void test_only_so_many_scans_wait(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    const int64_t until_ns = harness.now.monotonic_ns + 3600LL * NX_NS_PER_S;
    for (int i = 0; i < NX_LIBRARY_PARKED_MAX; i++) {
        harness_post(&harness, waiting_scan(&harness, until_ns));
    }
    NX_AUTO(nx_read) *refused = harness_ask(&harness, waiting_scan(&harness, until_ns));
    assert_int_equal(refused->error.kind, NX_KIND_OVERLOADED);
    harness_post(&harness, waiting_scan(&harness, INT64_MAX));
    struct nx_append *append = harness_append_new(&harness, 1, 0);
    harness_add(append, "EVENTS", "a", NULL, "", NULL);
    assert_true(nx_mailbox_send(nx_fabric_appends(harness.fabric), &append->message));
    harness_run(&harness);
    struct nx_message_queue answers = { 0 };
    (void)nx_mailbox_take(harness.answers, &answers);
    assert_int_equal(answers.count, NX_LIBRARY_PARKED_MAX + 2);
    nx_message_queue_release(&answers);
    harness_fini(&harness);
}

static void test_a_second_process_is_refused_and_told_who_is_first(void **state) {
    struct harness harness;
    struct nx_fabric *second = NULL;
    struct nx_error err = { 0 };
    (void)state;
    harness_init(&harness);
    assert_int_equal(nx_fabric_open(&harness.options, &second, &err), NX_FAILED_PRECONDITION);
    assert_int_equal(err.kind, NX_KIND_LOCKED);
    (void)harness_put(&harness, "EVENTS", "events.a", NULL, "x");
    harness.options.read_only = true;
    assert_int_equal(nx_fabric_open(&harness.options, &second, &err), NX_OK);
    NX_AUTO(nx_read) *read = harness_read_new(&harness, NX_READ_BY_SEQUENCE, "EVENTS", NULL);
    read->from_sequence = 1;
    nx_fabric_read_now(second, read);
    assert_int_equal(read->record_count, 1);
    nx_fabric_close(second);
    harness_fini(&harness);
}

/* A message to the library: while it is taken, the journal writes on, as it does on a thread of its own. */
struct meanwhile {
    struct nx_message message;
    struct harness *harness;
    int count;
};

static void write_on(struct nx_message *message) {
    struct meanwhile *meanwhile = (struct meanwhile *)message;
    struct harness *harness = meanwhile->harness;
    static char payload[2000];
    memset(payload, 'x', sizeof payload - 1);
    for (int i = 0; i < meanwhile->count; i++) {
        struct nx_append *append = harness_append_new(harness, 1, 0);
        harness_add(append, i % 2 == 0 ? "EVENTS" : "INVOCATIONS", "a", NULL, payload, NULL);
        assert_true(nx_mailbox_send(nx_fabric_appends(harness->fabric), &append->message));
        (void)nx_mailbox_take(harness->actors[0].mailbox, &harness->inboxes[0]);
        (void)harness->actors[0].step(harness->actors[0].state, harness_clock(harness), &harness->inboxes[0]);
        nx_append_free((struct nx_append *)harness_answer(harness));
    }
}

static void test_seals_a_segment_only_when_it_was_read_to_its_end(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness); /* segments of 64 KiB */
    struct meanwhile meanwhile = { .message = { .kind = 1, .release = write_on }, .harness = &harness };
    meanwhile.count = 25; /* most of the first segment */
    write_on(&meanwhile.message);
    harness_run(&harness);
    meanwhile.count = 10; /* its rest, and some of the next */
    nx_mailbox_send_reply(nx_fabric_reads(harness.fabric), &meanwhile.message);
    harness_run(&harness);
    harness_run(&harness);
    for (int i = 0; i < 2; i++) {
        NX_AUTO(nx_read) *all = harness_ask(
            &harness, harness_read_new(&harness, NX_READ_SCAN, i == 0 ? "EVENTS" : "INVOCATIONS", NULL));
        assert_int_equal(all->record_count, i == 0 ? 18 : 17);
    }
    harness_fini(&harness);
}

static bool has_run(const struct harness *harness) {
    char command[128];
    (void)snprintf(command, sizeof command, "ls '%s'/journal/runs-* >/dev/null 2>&1", harness->directory);
    return system(command) == 0;
}

static void test_seals_at_the_end_what_is_much_and_leaves_what_is_little(void **state) {
    enum { SIZE = 256 * 1024, COUNT = 20 };
    struct harness harness;
    NX_AUTO_FREE char *payload = calloc(1, SIZE);
    (void)state;
    assert_non_null(payload);
    memset(payload, 'x', SIZE - 1);
    harness_open(&harness, 16 * 1024 * 1024);
    harness_put(&harness, "EVENTS", "events.x", NULL, payload);
    nx_fabric_seal(harness.fabric);
    harness_stop(&harness);
    assert_false(has_run(&harness));

    harness_start(&harness);
    for (int i = 1; i < COUNT; i++) {
        harness_put(&harness, "EVENTS", "events.x", NULL, payload);
    }
    nx_fabric_seal(harness.fabric);
    harness_stop(&harness);
    assert_true(has_run(&harness));

    harness_start(&harness);
    assert_int_equal(harness_put(&harness, "EVENTS", "events.x", NULL, "the last"), COUNT + 1);
    struct nx_read *read = harness_read_new(&harness, NX_READ_SCAN, "EVENTS", "");
    NX_AUTO(nx_read) *answer = harness_ask(&harness, read);
    assert_int_equal(answer->record_count, COUNT + 1);
    assert_int_equal(answer->lost_count, 0);
    harness_fini(&harness);
}

/* Overwrite what a segment begins with. */
static void destroy_start(const struct harness *harness, int segment, size_t size) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s/journal/wal-%016d", harness->directory, segment);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(fputc('?', file), '?');
    }
    assert_int_equal(fclose(file), 0);
}

static void test_the_newest_segment_without_headers_loses_nothing_and_no_sequence_comes_again(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    for (uint64_t i = 1; i <= 5; i++) {
        assert_int_equal(harness_put(&harness, "EVENTS", "events.x", NULL, "before"), i);
    }
    for (int life = 1; life <= 2; life++) { /* also when a segment of another life is behind it */
        harness_stop(&harness);
        destroy_start(&harness, life, NX_SEGMENT_DATA_OFFSET);
        harness_start(&harness);
        assert_true(nx_str_find(nx_fabric_recovery_report(harness.fabric), NX_STR("both headers")) !=
                    SIZE_MAX);
        assert_int_equal(harness_put(&harness, "EVENTS", "events.x", NULL, "after"), 5 + life);
    }
    NX_AUTO(nx_read) *answer = harness_ask(&harness, harness_read_new(&harness, NX_READ_SCAN, "EVENTS", ""));
    assert_int_equal(answer->record_count, 7);
    assert_int_equal(answer->lost_count, 0);
    harness_fini(&harness);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_newest_segment_without_headers_loses_nothing_and_no_sequence_comes_again),
        cmocka_unit_test(test_seals_at_the_end_what_is_much_and_leaves_what_is_little),
        cmocka_unit_test(test_seals_a_segment_only_when_it_was_read_to_its_end),
        cmocka_unit_test(test_reads_back_what_was_appended_also_after_a_restart),
        cmocka_unit_test(test_filters_and_walks_backward),
        cmocka_unit_test(test_answers_a_duplicate_with_the_first_ones_sequence),
        cmocka_unit_test(test_the_last_entry_decides_about_all),
        cmocka_unit_test(test_writes_only_where_the_condition_holds),
        cmocka_unit_test(test_a_waiting_scan_is_answered_by_the_next_record_or_by_time),
        cmocka_unit_test(test_a_waiting_scan_that_passes_over_many_says_how_far_it_came),
        cmocka_unit_test(test_only_so_many_scans_wait),
        cmocka_unit_test(test_a_second_process_is_refused_and_told_who_is_first),
    };
    return cmocka_run_group_tests_name("fabric/backend_journal", tests, NULL, NULL);
}
