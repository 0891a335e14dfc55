/* src/sandbox/instance/call_test.c: every call ends, with its own name, and replays to the same bytes. */
#include "sandbox/sandbox_test.h"

static struct nx_engine *engine;
static struct nx_module *misbehave;

static int set_up(void **state) {
    (void)state;
    engine = open_engine(NULL);
    misbehave = load_guest(engine, "misbehave");
    return misbehave == NULL ? -1 : 0;
}

static int tear_down(void **state) {
    (void)state;
    nx_module_unref(misbehave);
    nx_engine_unref(engine);
    return 0;
}

/* Record, check the outcome, replay, check that it is the same. The caller frees the recorded call. */
static struct nx_call *check(struct nx_call_options *options, enum nx_outcome outcome) {
    struct nx_call *call = run_call(options);
    const struct nx_call_result *result = nx_call_result(call);
    if (result->outcome != outcome) {
        fail_msg("%.*s ended as %s (%.*s), not %s", NX_STR_ARG(options->input),
                 nx_outcome_name(result->outcome), NX_STR_ARG(result->error), nx_outcome_name(outcome));
    }
    assert_int_equal(result->error.len > 0, outcome != NX_OUTCOME_OK);
    assert_replays(options, call);
    return call;
}

static void check_word(const char *word, enum nx_outcome outcome) {
    struct nx_call_options options = record_options(misbehave, nx_str_from_c(word));
    nx_call_free(check(&options, outcome));
}

static int64_t in_ms(int64_t ms) {
    const struct nx_clock clock = nx_clock_system();
    return nx_clock_read(&clock).monotonic_ns + ms * NX_NS_PER_MS;
}

static void test_an_echo_writes_what_it_reads(void **state) {
    (void)state;
    static char large[200000];
    memset(large, 'y', sizeof large);
    const struct nx_str inputs[] = { NX_STR(""), NX_STR("hello"), { large, sizeof large } };
    NX_AUTO(nx_module) *echo = load_guest(engine, "echo");
    for (size_t i = 0; i < 3; i++) {
        struct nx_call_options options = record_options(echo, inputs[i]);
        NX_AUTO(nx_call) *call = check(&options, NX_OUTCOME_OK);
        assert_true(nx_str_equal(nx_call_result(call)->output, inputs[i]));
        assert_in_range(nx_call_result(call)->tape.len, 1, 300);
        assert_true(nx_call_result(call)->fuel_used > 0);
    }
}

static void test_no_call_finds_what_another_left_in_memory(void **state) {
    static const char *const guests[] = { "traces_small", "traces_large" };
    static const char *const inputs[] = { "few", "few", "all", "few", "all", "all" };
    (void)state;
    for (size_t g = 0; g < sizeof guests / sizeof *guests; g++) {
        NX_AUTO(nx_module) *module = load_guest(engine, guests[g]);
        for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
            struct nx_call_options options = record_options(module, nx_str_from_c(inputs[i]));
            NX_AUTO(nx_call) *call = check(&options, NX_OUTCOME_OK);
            const struct nx_str output = nx_call_result(call)->output;
            if (!nx_str_is(output, "clean")) {
                fail_msg("%s, call %zu: %.*s", guests[g], i + 1, NX_STR_ARG(output));
            }
        }
    }
}

static void test_an_endless_loop_ends_at_the_deadline(void **state) {
    (void)state;
    for (int64_t ms = 0; ms < 4; ms++) {
        struct nx_call_options options = record_options(misbehave, NX_STR("loop"));
        options.deadline_ns = in_ms(ms);
        NX_AUTO(nx_call) *call = check(&options, NX_OUTCOME_DEADLINE);
        if (nx_call_result(call)->fuel_used > 0) {
            assert_int_equal(nx_call_result(call)->log_line_count, 2);
        }
    }
}

static void test_a_loop_of_bulk_instructions_ends_at_the_deadline(void **state) {
    (void)state;
    struct nx_call_options options = record_options(misbehave, NX_STR("fill"));
    options.deadline_ns = in_ms(20);
    NX_AUTO(nx_call) *call = check(&options, NX_OUTCOME_DEADLINE);
    assert_true(nx_call_result(call)->memory_peak > 8 << 20);
    print_message("# %llu units of fuel in %lld us\n", (unsigned long long)nx_call_result(call)->fuel_used,
                  (long long)nx_call_result(call)->duration_ns / 1000);
}

static void test_a_sleep_ends_at_the_deadline_without_holding_the_worker(void **state) {
    (void)state;
    const struct nx_clock clock = nx_clock_system();
    struct nx_call_options options = record_options(misbehave, NX_STR("sleep"));
    const struct nx_now now = nx_clock_read(&clock);
    options.deadline_ns = now.monotonic_ns + 60 * (int64_t)NX_NS_PER_S;
    NX_AUTO(nx_call) *call = NULL;
    assert_int_equal(nx_call_new(&options, &call, NULL), NX_OK);
    enum nx_call_state call_state;
    while ((call_state = nx_call_step(call, now)) == NX_CALL_RUNNING) {
    }
    assert_int_equal(call_state, NX_CALL_WAITING);
    assert_int_equal(nx_call_wake_ns(call), options.deadline_ns);
    const struct nx_now later = { .wall_ns = now.wall_ns, .monotonic_ns = options.deadline_ns };
    assert_int_equal(nx_call_step(call, later), NX_CALL_DONE);
    assert_int_equal(nx_call_result(call)->outcome, NX_OUTCOME_DEADLINE);
    assert_replays(&options, call);
}

static void test_each_misbehaviour_has_its_own_name(void **state) {
    (void)state;
    check_word("bomb", NX_OUTCOME_MEMORY_LIMIT);
    check_word("recursion", NX_OUTCOME_STACK_OVERFLOW);
    check_word("recursion2", NX_OUTCOME_STACK_OVERFLOW);
    check_word("output", NX_OUTCOME_OUTPUT_LIMIT);
    check_word("log", NX_OUTCOME_LOG_LIMIT);
    check_word("lines", NX_OUTCOME_LOG_LIMIT);
    check_word("calls", NX_OUTCOME_HOST_CALL_LIMIT);
    check_word("publish", NX_OUTCOME_EFFECT_LIMIT);
    check_word("exit", NX_OUTCOME_EXIT);
    check_word("abort", NX_OUTCOME_TRAP);
    check_word("bounds", NX_OUTCOME_TRAP);
    check_word("divide", NX_OUTCOME_TRAP);
    check_word("nothing special", NX_OUTCOME_OK);
}

static void test_memory_grows_to_the_calls_limit_and_no_further(void **state) {
    static const uint64_t limits[] = { 4 << 20, 16 << 20 };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct nx_call_options options = record_options(misbehave, NX_STR("bomb"));
        options.memory_max = limits[i];
        NX_AUTO(nx_call) *call = run_call(&options);
        assert_int_equal(nx_call_result(call)->outcome, NX_OUTCOME_MEMORY_LIMIT);
        assert_in_range(nx_call_result(call)->memory_peak, limits[i] / 2, limits[i]);
        assert_replays(&options, call);
    }
}

static void test_a_full_tape_ends_the_call_as_unreplayable(void **state) {
    (void)state;
    const struct nx_call_limits limits = { .tape_size_max = 4096 };
    struct nx_call_options options = record_options(misbehave, NX_STR("clock"));
    options.limits = &limits;
    NX_AUTO(nx_call) *call = run_call(&options);
    const struct nx_call_result *result = nx_call_result(call);
    assert_int_equal(result->outcome, NX_OUTCOME_TAPE_LIMIT);
    assert_false(result->replayable);
    const struct nx_call_options replay = {
        .module = misbehave, .mode = NX_CALL_REPLAY, .input = options.input, .tape = result->tape
    };
    struct nx_call *again = NULL;
    struct nx_error err = { 0 };
    assert_int_equal(nx_call_new(&replay, &again, &err), NX_FAILED_PRECONDITION);
    assert_int_equal(err.kind, NX_KIND_UNREPLAYABLE);
}

static void test_other_limits_travel_on_the_tape(void **state) {
    (void)state;
    const struct nx_call_limits limits = { .output_size_max = 10000 };
    struct nx_call_options options = record_options(misbehave, NX_STR("output"));
    options.limits = &limits;
    NX_AUTO(nx_call) *call = check(&options, NX_OUTCOME_OUTPUT_LIMIT);
    assert_int_equal(nx_call_result(call)->output.len, 8192);
}

static void test_random_numbers_and_naps_replay(void **state) {
    (void)state;
    struct nx_call_options options = record_options(misbehave, NX_STR("dice"));
    NX_AUTO(nx_call) *first = check(&options, NX_OUTCOME_OK);
    NX_AUTO(nx_call) *second = check(&options, NX_OUTCOME_OK);
    assert_int_equal(nx_call_result(first)->output.len, 200);
    assert_false(nx_str_equal(nx_call_result(first)->output, nx_call_result(second)->output));
    options.input = NX_STR("naps");
    NX_AUTO(nx_call) *naps = check(&options, NX_OUTCOME_OK);
    assert_true(nx_call_result(naps)->duration_ns >= 5 * 300000);
}

static void test_the_environment_is_the_manifests_and_ours(void **state) {
    (void)state;
    const struct nx_call_env env[] = { { NX_STR("LOG_LEVEL"), NX_STR("info") },
                                       { NX_STR("NEXUS_EVENT_ID"), NX_STR("forged") },
                                       { NX_STR("EMPTY"), NX_STR("") } };
    struct nx_call_options options = record_options(misbehave, NX_STR("environment"));
    options.env = env;
    options.env_count = 3;
    NX_AUTO(nx_call) *call = check(&options, NX_OUTCOME_OK);
    assert_str_equal(nx_call_result(call)->output,
                     "LOG_LEVEL=info\nEMPTY=\nTRACE_ID=ab010000000000000000000000000000\n"
                     "TRACEPARENT=00-ab010000000000000000000000000000-cd02000000000000-01\n"
                     "NEXUS_EVENT_ID=01JDN0VJ3QWYB4R0KSEFZ2T5MA\nNEXUS_IS_REPLAY=false\n"
                     "NEXUS_ORIGINAL_TIMESTAMP=2025-11-26T10:23:45.123Z\n");
}

static void test_lines_on_standard_error_are_log_lines(void **state) {
    (void)state;
    struct nx_call_options options = record_options(misbehave, NX_STR("exit"));
    NX_AUTO(nx_call) *call = check(&options, NX_OUTCOME_EXIT);
    const struct nx_call_result *result = nx_call_result(call);
    assert_int_equal(result->exit_code, 42);
    assert_int_equal(result->log_line_count, 2);
    assert_str_equal(result->log_lines[0].text, "doing exit");
    assert_str_equal(result->log_lines[1].text, "and no line feed");
    assert_int_equal(result->log_lines[0].level, NX_LOG_INFO);
    assert_true(result->log_lines[0].time_ns >= result->start_time_ns);
}

static void test_a_reactor_is_initialised_and_its_number_decides(void **state) {
    (void)state;
    NX_AUTO(nx_module) *reactor = load_guest(engine, "reactor");
    struct nx_call_options options = record_options(reactor, NX_STR("0"));
    NX_AUTO(nx_call) *call = check(&options, NX_OUTCOME_OK);
    assert_str_equal(nx_call_result(call)->output, "ready 1 digit 0");
    options.input = NX_STR("3");
    NX_AUTO(nx_call) *other = check(&options, NX_OUTCOME_EXIT);
    assert_int_equal(nx_call_result(other)->exit_code, 3);
}

static void test_go_replays(void **state) {
    (void)state;
    NX_AUTO(nx_module) *module = load_guest(engine, "go");
    if (module == NULL) {
        skip();
    }
    for (int i = 0; i < 20; i++) {
        struct nx_call_options options = record_options(module, NX_STR("{\"a\":1}"));
        NX_AUTO(nx_call) *call = check(&options, NX_OUTCOME_OK);
        assert_in_range(nx_call_result(call)->tape.len, 1, 4096);
    }
}

/* A store that answers at once, later, or with an error. */
struct store {
    bool answers_later;
    bool fails;
    int asked;
    char key[16];
};

static void answer(struct store *store, struct nx_call *call) {
    const struct nx_error why = { .status = NX_UNAVAILABLE, .message = "the log is frozen" };
    if (store->fails) {
        nx_call_provide_kv_error(call, &why);
    } else if (strcmp(store->key, "count") == 0) {
        nx_call_provide_kv(call, true, NX_STR("41"), 7);
    } else {
        nx_call_provide_kv(call, false, NX_STR_EMPTY, 0);
    }
}

static void store_get(void *data, struct nx_call *call, struct nx_str key) {
    struct store *store = data;
    store->asked++;
    (void)snprintf(store->key, sizeof store->key, "%.*s", NX_STR_ARG(key));
    if (!store->answers_later) {
        answer(store, call);
    }
}

static struct nx_call *run_with_store(const struct nx_call_options *options, struct store *store) {
    const struct nx_clock clock = nx_clock_system();
    struct nx_call *call = NULL;
    assert_int_equal(nx_call_new(options, &call, NULL), NX_OK);
    for (;;) {
        const enum nx_call_state call_state = nx_call_step(call, nx_clock_read(&clock));
        if (call_state == NX_CALL_DONE) {
            return call;
        }
        if (call_state == NX_CALL_WAITING) {
            assert_int_equal(nx_call_wake_ns(call), INT64_MAX);
            answer(store, call);
        }
    }
}

static void test_effects_are_collected_and_replay(void **state) {
    (void)state;
    NX_AUTO(nx_module) *effects = load_guest(engine, "effects");
    for (int later = 0; later < 2; later++) {
        struct store store = { .answers_later = later == 1 };
        const struct nx_host_ops ops = { .data = &store, .kv_get = store_get };
        struct nx_call_options options = record_options(effects, NX_STR_EMPTY);
        options.ops = &ops;
        NX_AUTO(nx_call) *call = run_with_store(&options, &store);
        const struct nx_call_result *result = nx_call_result(call);
        if (result->outcome != NX_OUTCOME_OK) {
            fail_msg("%.*s", NX_STR_ARG(result->output));
        }
        assert_replays(&options, call);
        assert_int_equal(store.asked, 2);
        assert_memory_equal(result->output.ptr, "count was 41\n", 13);
        assert_int_equal(result->kv_read_count, 2);
        assert_str_equal(result->kv_reads[0].key, "count");
        assert_int_equal(result->kv_reads[0].version, 7);
        assert_int_equal(result->kv_reads[1].version, 0);
        assert_int_equal(result->kv_write_count, 2);
        assert_str_equal(result->kv_writes[0].value, "9");
        assert_true(result->kv_writes[1].deleted);
        assert_int_equal(result->publish_count, 2);
        assert_str_equal(result->publishes[0].data, "{\"user_id\":\"u42\"}");
        assert_str_equal(result->publishes[1].content_type, "text/plain");
        assert_int_equal(result->response.status, 201);
        assert_str_equal(result->response.headers, "location: /users/1\r\nX-A: b\r\n");
        assert_int_equal(result->log_lines[0].level, NX_LOG_WARN);
        assert_str_equal(result->log_lines[0].fields, "{\"spoons\":2}");
    }
}

static void test_a_store_that_fails_ends_the_call_as_host_error(void **state) {
    (void)state;
    NX_AUTO(nx_module) *effects = load_guest(engine, "effects");
    for (int later = 0; later < 2; later++) {
        struct store store = { .answers_later = later == 1, .fails = true };
        const struct nx_host_ops ops = { .data = &store, .kv_get = store_get };
        struct nx_call_options options = record_options(effects, NX_STR_EMPTY);
        options.ops = &ops;
        NX_AUTO(nx_call) *call = run_with_store(&options, &store);
        assert_int_equal(nx_call_result(call)->outcome, NX_OUTCOME_HOST_ERROR);
        assert_false(nx_call_result(call)->replayable);
        assert_str_equal(nx_call_result(call)->error, "cannot look up a key: the log is frozen");
    }
}

static void test_a_call_can_be_freed_while_it_waits(void **state) {
    (void)state;
    const struct nx_clock clock = nx_clock_system();
    NX_AUTO(nx_module) *effects = load_guest(engine, "effects");
    struct store store = { .answers_later = true };
    const struct nx_host_ops ops = { .data = &store, .kv_get = store_get };
    struct nx_call_options options = record_options(effects, NX_STR_EMPTY);
    options.ops = &ops;
    NX_AUTO(nx_call) *call = NULL;
    assert_int_equal(nx_call_new(&options, &call, NULL), NX_OK);
    while (nx_call_step(call, nx_clock_read(&clock)) != NX_CALL_WAITING) {
    }
}

static void test_an_answer_after_the_deadline_is_ignored(void **state) {
    (void)state;
    const struct nx_clock clock = nx_clock_system();
    NX_AUTO(nx_module) *effects = load_guest(engine, "effects");
    struct store store = { .answers_later = true };
    const struct nx_host_ops ops = { .data = &store, .kv_get = store_get };
    struct nx_call_options options = record_options(effects, NX_STR_EMPTY);
    struct nx_now now = nx_clock_read(&clock);
    options.ops = &ops;
    options.deadline_ns = now.monotonic_ns + 3600 * (int64_t)NX_NS_PER_S;
    NX_AUTO(nx_call) *call = NULL;
    assert_int_equal(nx_call_new(&options, &call, NULL), NX_OK);
    while (nx_call_step(call, now) != NX_CALL_WAITING) {
    }
    now.monotonic_ns = options.deadline_ns;
    assert_int_equal(nx_call_step(call, now), NX_CALL_DONE);
    assert_int_equal(nx_call_result(call)->outcome, NX_OUTCOME_DEADLINE);
    answer(&store, call);
    assert_replays(&options, call);
}

static void test_many_guests_wait_at_once(void **state) {
    (void)state;
    enum { COUNT = 32 };
    const struct nx_clock clock = nx_clock_system();
    struct nx_call *calls[COUNT];
    size_t left = COUNT;
    bool done[COUNT] = { false };
    for (size_t i = 0; i < COUNT; i++) {
        struct nx_call_options options = record_options(misbehave, NX_STR("naps"));
        assert_int_equal(nx_call_new(&options, &calls[i], NULL), NX_OK);
    }
    while (left > 0) {
        for (size_t i = 0; i < COUNT; i++) {
            if (!done[i] && nx_call_step(calls[i], nx_clock_read(&clock)) == NX_CALL_DONE) {
                done[i] = true;
                left--;
            }
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        struct nx_call_options options = record_options(misbehave, NX_STR("naps"));
        assert_int_equal(nx_call_result(calls[i])->outcome, NX_OUTCOME_OK);
        assert_replays(&options, calls[i]);
        nx_call_free(calls[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_echo_writes_what_it_reads),
        cmocka_unit_test(test_no_call_finds_what_another_left_in_memory),
        cmocka_unit_test(test_an_endless_loop_ends_at_the_deadline),
        cmocka_unit_test(test_a_loop_of_bulk_instructions_ends_at_the_deadline),
        cmocka_unit_test(test_a_sleep_ends_at_the_deadline_without_holding_the_worker),
        cmocka_unit_test(test_each_misbehaviour_has_its_own_name),
        cmocka_unit_test(test_memory_grows_to_the_calls_limit_and_no_further),
        cmocka_unit_test(test_a_full_tape_ends_the_call_as_unreplayable),
        cmocka_unit_test(test_other_limits_travel_on_the_tape),
        cmocka_unit_test(test_random_numbers_and_naps_replay),
        cmocka_unit_test(test_the_environment_is_the_manifests_and_ours),
        cmocka_unit_test(test_lines_on_standard_error_are_log_lines),
        cmocka_unit_test(test_a_reactor_is_initialised_and_its_number_decides),
        cmocka_unit_test(test_go_replays),
        cmocka_unit_test(test_effects_are_collected_and_replay),
        cmocka_unit_test(test_a_store_that_fails_ends_the_call_as_host_error),
        cmocka_unit_test(test_a_call_can_be_freed_while_it_waits),
        cmocka_unit_test(test_an_answer_after_the_deadline_is_ignored),
        cmocka_unit_test(test_many_guests_wait_at_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
