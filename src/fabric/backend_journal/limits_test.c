/* src/fabric/backend_journal/limits_test.c: the limits of JetStream's streams are exact, what is deleted
 * stays deleted, and both are so after any start. */
#include "fabric/backend_journal/harness_test.h"

static void define(struct harness *harness, const struct nx_define *limits) {
    struct nx_define *define = NULL;
    assert_int_equal(nx_define_new(NX_STR("JS_1"), &define, NULL), NX_OK);
    define->count_max = limits->count_max;
    define->size_max = limits->size_max;
    define->age_max_ns = limits->age_max_ns;
    define->per_subject_max = limits->per_subject_max;
    define->refuses_new = limits->refuses_new;
    define->refuses_subject = limits->refuses_subject;
    define->message.reply_to = harness->answers;
    assert_true(nx_mailbox_send(nx_fabric_appends(harness->fabric), &define->message));
    harness_run(harness);
    struct nx_define *answer = (struct nx_define *)harness_answer(harness);
    assert_int_equal(answer->status, NX_OK);
    nx_message_release(&answer->message);
}

static void restart(struct harness *harness, const struct nx_define *limits) {
    harness_stop(harness);
    harness_start(harness);
    define(harness, limits);
}

/* The stream as it is shown: "<first>-<last> count: sequences". */
static void show(struct harness *harness, char text[256]) {
    NX_AUTO(nx_read) *info = harness_ask(harness, harness_read_new(harness, NX_READ_INFO, "JS_1", NULL));
    NX_AUTO(nx_read) *scan = harness_ask(harness, harness_read_new(harness, NX_READ_SCAN, "JS_1", NULL));
    uint64_t size = 0;
    int len;
    assert_int_equal(info->status, NX_OK);
    assert_int_equal(scan->status, NX_OK);
    len = snprintf(text, 256, "%d-%d %d:", (int)info->infos[0].first_sequence,
                   (int)info->infos[0].last_sequence, (int)info->infos[0].count);
    for (size_t i = 0; i < scan->record_count; i++) {
        const struct nx_record *record = &scan->records[i];
        len += snprintf(text + len, (size_t)(256 - len), " %d", (int)record->sequence);
        size += nx_record_size_nats(record->subject, record->headers, record->payload);
    }
    assert_int_equal(info->infos[0].size, size);
    assert_int_equal(info->infos[0].count, scan->record_count);
}

#define assert_shown(harness, expected)       \
    do {                                      \
        char text_[256];                      \
        show(harness, text_);                 \
        assert_string_equal(text_, expected); \
    } while (0)

static void put(struct harness *harness, const char *subject) {
    (void)harness_put(harness, "JS_1", subject, NULL, "payload");
}

static const char *refusal(struct harness *harness, const char *subject) {
    static char text[384];
    struct nx_append *append = harness_append_new(harness, 1, 0);
    harness_add(append, "JS_1", subject, NULL, "payload", NULL);
    NX_AUTO(nx_append) *answer = harness_send(harness, append);
    (void)snprintf(text, sizeof text, "%s", answer->status == NX_OK ? "" : answer->error.message);
    return text;
}

static void mark(struct harness *harness, const char *subject, const char *payload) {
    (void)harness_put(harness, "JSM_1", subject, NULL, payload);
}

static void test_the_oldest_leave_with_the_record_that_is_too_much(void **state) {
    static const struct nx_define by_count = { .count_max = 3 };
    static const struct nx_define by_size = { .size_max = 80 }; /* 30 + 1 + 7 bytes each */
    struct harness harness;
    (void)state;
    harness_init(&harness);
    define(&harness, &by_count);
    for (int i = 0; i < 5; i++) {
        put(&harness, "a");
    }
    assert_shown(&harness, "3-5 3: 3 4 5");
    restart(&harness, &by_count);
    assert_shown(&harness, "3-5 3: 3 4 5");
    define(&harness, &by_size);
    assert_shown(&harness, "4-5 2: 4 5");
    put(&harness, "a");
    assert_shown(&harness, "5-6 2: 5 6");
    harness_fini(&harness);
}

static void test_what_is_too_old_leaves_to_the_record(void **state) {
    static const struct nx_define by_age = { .age_max_ns = 10 * (int64_t)NX_NS_PER_S };
    struct harness harness;
    (void)state;
    harness_init(&harness);
    define(&harness, &by_age);
    for (int i = 0; i < 4; i++) {
        put(&harness, "a");
        harness.now.wall_ns += 4 * (int64_t)NX_NS_PER_S;
        harness.now.monotonic_ns += 4 * (int64_t)NX_NS_PER_S;
    }
    harness_run(&harness);
    assert_shown(&harness, "3-4 2: 3 4");
    restart(&harness, &by_age);
    assert_shown(&harness, "3-4 2: 3 4");
    harness.now.wall_ns += 20 * (int64_t)NX_NS_PER_S;
    harness.now.monotonic_ns += 20 * (int64_t)NX_NS_PER_S;
    harness_run(&harness);
    assert_shown(&harness, "5-4 0:");
    harness_fini(&harness);
}

static void test_what_was_deleted_stays_so_and_brings_nothing_back(void **state) {
    static const struct nx_define five = { .count_max = 5 };
    struct harness harness;
    (void)state;
    harness_init(&harness);
    define(&harness, &five);
    for (int i = 0; i < 8; i++) {
        put(&harness, i % 2 == 0 ? "a.x" : "a.y");
    }
    assert_shown(&harness, "4-8 5: 4 5 6 7 8");
    mark(&harness, "seq.5", "");
    mark(&harness, "seq.7", "");
    mark(&harness, "seq.6", "");
    assert_shown(&harness, "4-8 2: 4 8");
    restart(&harness, &five);
    assert_shown(&harness, "4-8 2: 4 8");
    mark(&harness, "seq.4", "");
    assert_shown(&harness, "8-8 1: 8");
    put(&harness, "a.x");
    put(&harness, "b");
    mark(&harness, "subject.1", "9 a.*");
    assert_shown(&harness, "10-10 1: 10");
    put(&harness, "a.x");
    mark(&harness, "all", "10");
    assert_shown(&harness, "11-11 1: 11");
    restart(&harness, &five);
    assert_shown(&harness, "11-11 1: 11");
    mark(&harness, "all", "11");
    assert_shown(&harness, "12-11 0:");
    restart(&harness, &five);
    assert_shown(&harness, "12-11 0:");
    put(&harness, "a.x");
    assert_shown(&harness, "12-12 1: 12");
    harness_fini(&harness);
}

static void test_the_last_of_a_subject_is_the_last_that_is_left(void **state) {
    static const struct nx_define two = { .per_subject_max = 2 };
    struct harness harness;
    (void)state;
    harness_init(&harness);
    define(&harness, &two);
    for (int i = 0; i < 4; i++) {
        put(&harness, "k");
    }
    assert_shown(&harness, "3-4 2: 3 4");
    mark(&harness, "seq.4", "");
    assert_shown(&harness, "3-4 1: 3");
    for (int i = 0; i < 2; i++) {
        NX_AUTO(nx_read) *last = harness_ask(&harness, harness_read_new(&harness, NX_READ_LAST, "JS_1", "k"));
        assert_int_equal(last->record_count, 1);
        assert_int_equal(last->records[0].sequence, 3);
        restart(&harness, &two);
    }
    mark(&harness, "subject.k", "4 k");
    NX_AUTO(nx_read) *last = harness_ask(&harness, harness_read_new(&harness, NX_READ_LAST, "JS_1", "k"));
    assert_int_equal(last->status, NX_NOT_FOUND);
    assert_shown(&harness, "5-4 0:");
    harness_fini(&harness);
}

static void test_one_of_a_subject_takes_the_others_place(void **state) {
    static const struct nx_define one = { .per_subject_max = 1 };
    struct harness harness;
    (void)state;
    harness_init(&harness);
    define(&harness, &one);
    put(&harness, "k");
    put(&harness, "other");
    put(&harness, "k");
    assert_shown(&harness, "2-3 2: 2 3");
    put(&harness, "k");
    assert_shown(&harness, "2-4 2: 2 4");
    restart(&harness, &one);
    put(&harness, "other");
    assert_shown(&harness, "4-5 2: 4 5");
    harness_fini(&harness);
}

static void test_new_ones_are_refused_as_nats_refuses_them(void **state) {
    static const struct nx_define three = { .count_max = 3, .refuses_new = true };
    static const struct nx_define bytes = { .size_max = 3 * 38 + 1,
                                            .per_subject_max = 1,
                                            .refuses_new = true };
    static const struct nx_define keys = { .count_max = 3, .per_subject_max = 1, .refuses_new = true };
    static const struct nx_define subjects = {
        .count_max = 10, .per_subject_max = 1, .refuses_new = true, .refuses_subject = true
    };
    struct harness harness;
    (void)state;
    harness_init(&harness);
    define(&harness, &three);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(refusal(&harness, "a"), "");
    }
    assert_string_equal(refusal(&harness, "a"), "maximum messages exceeded");
    mark(&harness, "seq.2", "");
    assert_string_equal(refusal(&harness, "a"), "");
    assert_string_equal(refusal(&harness, "b"), "maximum messages exceeded");
    restart(&harness, &three);
    assert_string_equal(refusal(&harness, "b"), "maximum messages exceeded");
    define(&harness, &keys);
    assert_shown(&harness, "4-4 1: 4");
    assert_string_equal(refusal(&harness, "b"), "");
    assert_string_equal(refusal(&harness, "c"), "");
    assert_string_equal(refusal(&harness, "d"), "maximum messages exceeded");
    assert_string_equal(refusal(&harness, "c"), ""); /* takes the place of the other */
    define(&harness, &subjects);
    assert_string_equal(refusal(&harness, "c"), "maximum messages per subject exceeded");
    assert_string_equal(refusal(&harness, "d"), "");
    define(&harness, &bytes);
    mark(&harness, "all", "5");
    assert_shown(&harness, "7-8 2: 7 8");
    assert_string_equal(refusal(&harness, "e"), "");
    assert_string_equal(refusal(&harness, "f"), "maximum bytes exceeded");
    harness_fini(&harness);
}

static void test_a_mark_says_the_sequence_before_the_record_beside_it(void **state) {
    static const struct nx_define none = { 0 };
    struct harness harness;
    (void)state;
    harness_init(&harness);
    define(&harness, &none);
    for (int i = 0; i < 3; i++) {
        put(&harness, i == 1 ? "b" : "a");
    }
    for (int i = 0; i < 2;
         i++) { /* the second time it is a duplicate: nothing is written, the mark neither */
        NX_AUTO(nx_append) *append = harness_append_new(&harness, 2, 0);
        const struct nx_append_entry entry = { .stream = NX_STR("JSM_1"),
                                               .subject = NX_STR("subject.a"),
                                               .payload = NX_STR("00000000000000000000 a"),
                                               .says_sequence = true };
        assert_int_equal(nx_append_add(append, &entry, NULL), NX_OK);
        harness_add(append, "JS_1", "a", NULL, "rolled", "id");
        append->last_decides = true;
        NX_AUTO(nx_append) *answer = harness_send(&harness, NX_TAKE(append));
        assert_int_equal(answer->entries[1].sequence, 4);
        assert_shown(&harness, "2-4 2: 2 4");
    }
    put(&harness, "a");
    assert_shown(&harness, "2-5 3: 2 4 5");
    restart(&harness, &none);
    assert_shown(&harness, "2-5 3: 2 4 5");
    harness_fini(&harness);
}

static void test_a_duplicate_is_one_though_there_is_no_room_for_it(void **state) {
    static const struct nx_define one = { .count_max = 1, .refuses_new = true };
    struct harness harness;
    (void)state;
    harness_init(&harness);
    define(&harness, &one);
    for (int i = 0; i < 2; i++) {
        struct nx_append *append = harness_append_new(&harness, 1, 1);
        const struct nx_append_condition condition = { .stream = NX_STR("JS_1") }; /* holds the first time */
        harness_add(append, "JS_1", "a", NULL, "x", "id");
        assert_int_equal(nx_append_add_condition(append, &condition, NULL), NX_OK);
        append->last_decides = true;
        NX_AUTO(nx_append) *answer = harness_send(&harness, append);
        assert_int_equal(answer->status, NX_OK);
        assert_int_equal(answer->entries[0].duplicate, i == 1);
        assert_int_equal(answer->entries[0].sequence, 1);
    }
    harness_fini(&harness);
}

static void test_a_condition_holds_for_what_has_expired(void **state) {
    static const struct nx_define one = { .count_max = 1 };
    struct harness harness;
    (void)state;
    harness_init(&harness);
    define(&harness, &one);
    for (int i = 0; i < 2; i++) {
        const char *const subjects[] = { "k", "other" };
        struct nx_append *append = harness_append_new(&harness, 1, 1);
        const struct nx_append_condition condition = { .stream = NX_STR("JS_1"),
                                                       .subject = nx_str_from_c(subjects[i]) };
        harness_add(append, "JS_1", subjects[i], NULL, "x", NULL);
        assert_int_equal(nx_append_add_condition(append, &condition, NULL), NX_OK);
        NX_AUTO(nx_append) *answer = harness_send(&harness, append);
        assert_int_equal(answer->status, NX_OK);
    }
    struct nx_append *append = harness_append_new(&harness, 1, 1);
    const struct nx_append_condition condition = { .stream = NX_STR("JS_1"), .subject = NX_STR("k") };
    harness_add(append, "JS_1", "k", NULL, "x", NULL);
    assert_int_equal(nx_append_add_condition(append, &condition, NULL), NX_OK);
    NX_AUTO(nx_append) *answer = harness_send(&harness, append);
    assert_int_equal(answer->status, NX_OK);
    harness_fini(&harness);
}

static void test_marks_and_limits_hold_over_sealing(void **state) {
    static const struct nx_define ten = { .count_max = 10, .per_subject_max = 3 };
    struct harness harness;
    char before[256];
    char after[256];
    char payload[4096];
    (void)state;
    harness_init(&harness);
    define(&harness, &ten);
    memset(payload, 'x', sizeof payload - 1);
    payload[sizeof payload - 1] = '\0';
    for (int i = 0; i < 100; i++) { /* some segments of 64 KiB */
        char subject[16];
        (void)snprintf(subject, sizeof subject, "s.%d", i % 7);
        (void)harness_put(&harness, "JS_1", subject, NULL, payload);
        if (i % 10 == 9) {
            char sequence[32];
            (void)snprintf(sequence, sizeof sequence, "seq.%d", i);
            mark(&harness, sequence, "");
        }
    }
    show(&harness, before);
    for (int i = 0; i < 3; i++) {
        restart(&harness, &ten);
        show(&harness, after);
        assert_string_equal(after, before);
        nx_fabric_seal(harness.fabric);
        harness_run(&harness);
        show(&harness, after);
        assert_string_equal(after, before);
    }
    harness_fini(&harness);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_oldest_leave_with_the_record_that_is_too_much),
        cmocka_unit_test(test_what_is_too_old_leaves_to_the_record),
        cmocka_unit_test(test_what_was_deleted_stays_so_and_brings_nothing_back),
        cmocka_unit_test(test_the_last_of_a_subject_is_the_last_that_is_left),
        cmocka_unit_test(test_one_of_a_subject_takes_the_others_place),
        cmocka_unit_test(test_new_ones_are_refused_as_nats_refuses_them),
        cmocka_unit_test(test_a_mark_says_the_sequence_before_the_record_beside_it),
        cmocka_unit_test(test_a_duplicate_is_one_though_there_is_no_room_for_it),
        cmocka_unit_test(test_a_condition_holds_for_what_has_expired),
        cmocka_unit_test(test_marks_and_limits_hold_over_sealing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
