/* src/sandbox/instance/replay_test.c: a replay that cannot be exact says so, and where. */
#include "codec/tape_format.h"
#include "sandbox/sandbox_test.h"

static struct nx_engine *engine;
static struct nx_module *misbehave;
static struct nx_call *recorded; /* of naps: clock readings, waits and output */

static int set_up(void **state) {
    (void)state;
    engine = open_engine(NULL);
    misbehave = load_guest(engine, "misbehave");
    if (misbehave == NULL) {
        return -1;
    }
    const struct nx_call_options options = record_options(misbehave, NX_STR("naps"));
    recorded = run_call(&options);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    nx_call_free(recorded);
    nx_module_unref(misbehave);
    nx_engine_unref(engine);
    return 0;
}

static struct nx_call_options replay_options(struct nx_str tape) {
    return (struct nx_call_options){
        .module = misbehave, .mode = NX_CALL_REPLAY, .input = NX_STR("naps"), .tape = tape
    };
}

/* The recorded tape with these entries in place of its own: all from `skip` to `take`. */
static void rewrite(struct nx_buf *out, uint64_t skip, uint64_t take, const struct nx_tape_entry *more,
                    uint64_t fuel) {
    static struct nx_tape_header header;
    struct nx_tape_reader entries;
    static struct nx_tape_entry entry;
    NX_AUTO(nx_buf) kept;
    nx_buf_init(out, 65536);
    nx_buf_init(&kept, 65536);
    assert_int_equal(nx_tape_decode(nx_call_result(recorded)->tape, &header, &entries, NULL), NX_OK);
    uint64_t count = 0;
    for (uint64_t i = 0; nx_tape_next(&entries, &entry); i++) {
        if (i >= skip && i < take) {
            nx_tape_encode_entry(&entry, &kept);
            count++;
        }
    }
    if (more != NULL) {
        nx_tape_encode_entry(more, &kept);
        count++;
    }
    header.entry_count = count;
    header.fuel = fuel == 0 ? header.fuel : fuel;
    nx_tape_encode_header(&header, out);
    nx_buf_append(out, nx_buf_str(&kept));
}

static void expect_difference(struct nx_str tape, uint64_t entry, const char *message) {
    struct nx_call_difference difference = { 0 };
    const struct nx_call_options options = replay_options(tape);
    NX_AUTO(nx_call) *call = run_call(&options);
    assert_false(nx_call_compare(nx_call_result(recorded), nx_call_result(call), &difference));
    assert_int_equal(difference.part, NX_PART_TAPE);
    assert_int_equal(difference.index, entry);
    assert_in_range(difference.offset, 100, tape.len);
    if (strstr(difference.message, message) == NULL) {
        fail_msg("%s", difference.message);
    }
}

static void test_a_question_that_the_tape_does_not_answer_is_located(void **state) {
    (void)state;
    const uint64_t count = nx_call_result(recorded)->tape_entry_count;
    const struct nx_tape_entry more = { .kind = NX_TAPE_CLOCK_WALL, .time_ns = 1 };
    assert_true(count > 5);
    NX_AUTO(nx_buf) short_tape;
    rewrite(&short_tape, 0, count - 1, NULL, 0);
    expect_difference(nx_buf_str(&short_tape), count - 1, "asks for more");
    NX_AUTO(nx_buf) shifted;
    rewrite(&shifted, 1, count, NULL, 0);
    expect_difference(nx_buf_str(&shifted), 0, "asks something else");
    NX_AUTO(nx_buf) long_tape;
    rewrite(&long_tape, 0, count, &more, 0);
    expect_difference(nx_buf_str(&long_tape), count, "asked less");
}

static void test_other_answers_give_another_output(void **state) {
    (void)state;
    struct nx_call_difference difference = { 0 };
    NX_AUTO(nx_buf) tape;
    const uint64_t count = nx_call_result(recorded)->tape_entry_count;
    rewrite(&tape, 0, count, NULL, 0);
    /* The first reading of the monotonic clock: some units later. */
    static struct nx_tape_header header;
    struct nx_tape_reader entries;
    static struct nx_tape_entry entry;
    assert_int_equal(nx_tape_decode(nx_buf_str(&tape), &header, &entries, NULL), NX_OK);
    size_t at = entries.bytes.offset;
    while (nx_tape_next(&entries, &entry) && entry.kind != NX_TAPE_CLOCK_MONOTONIC) {
        at = entries.bytes.offset;
    }
    tape.ptr[at + 1] ^= 0x02;
    const struct nx_call_options options = replay_options(nx_buf_str(&tape));
    NX_AUTO(nx_call) *call = run_call(&options);
    assert_false(nx_call_compare(nx_call_result(recorded), nx_call_result(call), &difference));
    assert_int_equal(difference.part, NX_PART_OUTPUT);
    assert_in_range(difference.offset, 1, 20);
}

static void test_a_guest_that_runs_on_is_stopped(void **state) {
    (void)state;
    struct nx_call_difference difference = { 0 };
    struct nx_call_options record = record_options(misbehave, NX_STR("loop"));
    record.deadline_ns = nx_clock_read(&record.clock).monotonic_ns + 2 * NX_NS_PER_MS;
    NX_AUTO(nx_call) *call = run_call(&record);
    NX_AUTO(nx_buf) tape;
    static struct nx_tape_header header;
    struct nx_tape_reader entries;
    assert_int_equal(nx_tape_decode(nx_call_result(call)->tape, &header, &entries, NULL), NX_OK);
    header.flags &= (uint8_t)~NX_TAPE_CUT;
    nx_buf_init(&tape, 65536);
    nx_tape_encode_header(&header, &tape);
    const struct nx_str all = nx_call_result(call)->tape;
    nx_buf_append(&tape, nx_str_slice(all, entries.bytes.offset, all.len));
    struct nx_call_options options = replay_options(nx_buf_str(&tape));
    options.input = NX_STR("loop");
    NX_AUTO(nx_call) *again = run_call(&options);
    assert_false(nx_call_compare(nx_call_result(call), nx_call_result(again), &difference));
    assert_non_null(strstr(difference.message, "runs on"));
}

static void expect_unreplayable(const struct nx_call_options *options, const char *message) {
    struct nx_call *call = NULL;
    struct nx_error err = { 0 };
    assert_int_equal(nx_call_new(options, &call, &err), NX_FAILED_PRECONDITION);
    assert_int_equal(err.kind, NX_KIND_UNREPLAYABLE);
    if (strstr(err.message, message) == NULL) {
        fail_msg("%s", err.message);
    }
}

static void test_a_tape_of_something_else_is_refused_by_name(void **state) {
    (void)state;
    NX_AUTO(nx_module) *echo = load_guest(engine, "echo");
    struct nx_call_options options = replay_options(nx_call_result(recorded)->tape);
    options.module = echo;
    expect_unreplayable(&options, "another module");
    options.module = misbehave;
    options.input = NX_STR("other");
    expect_unreplayable(&options, "an input of 4 bytes");
}

static void test_damaged_tapes_are_refused_or_played_to_an_end(void **state) {
    (void)state;
    NX_AUTO(nx_buf) tape;
    nx_buf_init(&tape, 65536);
    nx_buf_append(&tape, nx_call_result(recorded)->tape);
    for (size_t i = 0; i < tape.len; i++) {
        struct nx_call *call = NULL;
        tape.ptr[i] ^= 0x11;
        const struct nx_call_options options = replay_options(nx_buf_str(&tape));
        if (nx_call_new(&options, &call, NULL) == NX_OK) {
            nx_call_free(call);
            nx_call_free(run_call(&options));
        }
        tape.ptr[i] ^= 0x11;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_question_that_the_tape_does_not_answer_is_located),
        cmocka_unit_test(test_other_answers_give_another_output),
        cmocka_unit_test(test_a_guest_that_runs_on_is_stopped),
        cmocka_unit_test(test_a_tape_of_something_else_is_refused_by_name),
        cmocka_unit_test(test_damaged_tapes_are_refused_or_played_to_an_end),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
