/* src/sandbox/tape/tape_change_test.c: a tape with other answers is a tape, and differs in nothing else. */
#include "sandbox/sandbox_test.h"
#include "sandbox/tape/tape_change.h"

enum { START_NS = 1000 };

static struct nx_buf tape;

static int set_up(void **state) {
    static struct nx_tape_header header;
    static struct nx_tape_entry entries[6];
    (void)state;
    header.engine_build = NX_STR("build");
    header.start_time_ns = START_NS;
    header.entry_count = 6;
    entries[0] = (struct nx_tape_entry){ .kind = NX_TAPE_CLOCK_WALL, .time_ns = 10 };
    entries[1] = (struct nx_tape_entry){ .kind = NX_TAPE_LOG_TIME, .time_ns = 5 };
    entries[2] = (struct nx_tape_entry){
        .kind = NX_TAPE_KV_GET, .arguments = 7, .found = true, .version = 3, .value = NX_STR("old")
    };
    entries[3] = (struct nx_tape_entry){ .kind = NX_TAPE_CLOCK_WALL, .time_ns = 20 };
    entries[4] = (struct nx_tape_entry){ .kind = NX_TAPE_POLL, .arguments = 9, .fired_count = 1 };
    entries[5] = (struct nx_tape_entry){ .kind = NX_TAPE_CLOCK_MONOTONIC, .time_ns = 4 };
    nx_buf_init(&tape, 65536);
    nx_tape_encode_header(&header, &tape);
    for (size_t i = 0; i < 6; i++) {
        nx_tape_encode_entry(&entries[i], &tape);
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    nx_buf_fini(&tape);
    return 0;
}

/* The call of this number after the changes. */
static struct nx_tape_call changed(const struct nx_tape_change *changes, size_t count, uint64_t number,
                                   struct nx_buf *out) {
    static struct nx_tape_header header;
    struct nx_tape_reader entries;
    static struct nx_tape_call call;
    nx_buf_init(out, 65536);
    assert_int_equal(nx_tape_change(nx_buf_str(&tape), changes, count, out, NULL), NX_OK);
    assert_int_equal(nx_tape_decode(nx_buf_str(out), &header, &entries, NULL), NX_OK);
    struct nx_tape_calls calls = nx_tape_calls_of(&header, &entries);
    while (nx_tape_calls_next(&calls, &call)) {
        if (call.number == number) {
            return call;
        }
    }
    fail();
    return call;
}

static void test_no_change_gives_the_same_bytes(void **state) {
    NX_AUTO(nx_buf) out = { 0 };
    (void)state;
    nx_buf_init(&out, 65536);
    assert_int_equal(nx_tape_change(nx_buf_str(&tape), NULL, 0, &out, NULL), NX_OK);
    assert_true(nx_str_equal(nx_buf_str(&out), nx_buf_str(&tape)));
}

static void test_log_lines_are_no_calls(void **state) {
    const struct nx_tape_change change = { .call = 2, .result = NX_STR("new") };
    NX_AUTO(nx_buf) out = { 0 };
    (void)state;
    const struct nx_tape_call call = changed(&change, 1, 2, &out);
    assert_int_equal(call.entry.kind, NX_TAPE_KV_GET);
    assert_true(nx_str_is(call.entry.value, "new"));
}

static void test_a_key_can_be_gone(void **state) {
    const struct nx_tape_change change = { .call = 2, .result = NX_STR("null") };
    NX_AUTO(nx_buf) out = { 0 };
    (void)state;
    assert_false(changed(&change, 1, 2, &out).entry.found);
}

static void test_later_readings_of_the_clock_stay_what_they_were(void **state) {
    const struct nx_tape_change change = { .call = 1, .result = NX_STR("1970-01-01T00:00:01Z") };
    NX_AUTO(nx_buf) out = { 0 };
    NX_AUTO(nx_buf) again = { 0 };
    (void)state;
    assert_int_equal(changed(&change, 1, 1, &out).time_ns, 1000000000);
    assert_int_equal(changed(&change, 1, 3, &again).time_ns, START_NS + 35);
}

static void test_the_last_of_two_changes_counts(void **state) {
    const struct nx_tape_change changes[] = { { .call = 5, .result = NX_STR("1ms") },
                                              { .call = 5, .result = NX_STR("2ms") } };
    NX_AUTO(nx_buf) out = { 0 };
    (void)state;
    assert_int_equal(changed(changes, 2, 5, &out).time_ns, 2000000);
}

static void test_refuses_what_is_no_such_result(void **state) {
    static const struct {
        uint64_t call;
        const char *result;
        enum nx_status status;
        const char *message;
    } cases[] = {
        { 0, "1", NX_NOT_FOUND, "there is no call[0]: this one asked 5 questions, counted from 1" },
        { 6, "1", NX_NOT_FOUND, "there is no call[6]: this one asked 5 questions, counted from 1" },
        { 1, "noon", NX_INVALID_ARGUMENT,
          "call[1] is a reading of the clock: a time such as 2025-11-26T10:23:45.123Z, not 'noon'" },
        { 4, "1,0", NX_INVALID_ARGUMENT,
          "call[4] is a wait: the numbers of what ended it, such as 0 or 0,2, not '1,0'" },
        { 5, "-1", NX_INVALID_ARGUMENT,
          "call[5] is a reading of the monotonic clock: a time since the start such as 12ms, not '-1'" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct nx_tape_change change = { .call = cases[i].call,
                                               .result = nx_str_from_c(cases[i].result) };
        struct nx_error error = { 0 };
        NX_AUTO(nx_buf) out = { 0 };
        nx_buf_init(&out, 65536);
        assert_int_equal(nx_tape_change(nx_buf_str(&tape), &change, 1, &out, &error), cases[i].status);
        assert_string_equal(error.message, cases[i].message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_change_gives_the_same_bytes),
        cmocka_unit_test(test_log_lines_are_no_calls),
        cmocka_unit_test(test_a_key_can_be_gone),
        cmocka_unit_test(test_later_readings_of_the_clock_stay_what_they_were),
        cmocka_unit_test(test_the_last_of_two_changes_counts),
        cmocka_unit_test(test_refuses_what_is_no_such_result),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
