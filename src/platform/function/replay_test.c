/* src/platform/function/replay_test.c: real guests, recorded by running functions, come out the same again:
 * while the server runs, and from its directory when it does not. */
#include "platform/function/functions_world.h"

#include "sandbox/sandbox_test.h"

enum { RANGE_EVENTS = 300 };

static struct nx_guest_kind guests;
static struct nx_engine *engine;

static int set_up(void **state) {
    (void)state;
    engine = open_engine(NULL);
    guests = nx_guest_wasm(engine);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    nx_engine_unref(engine);
    return 0;
}

static struct nx_functions_replay *replay_online(struct world *world,
                                                 const struct nx_replay_question *question) {
    struct nx_functions_replay *replay = NULL;
    assert_int_equal(nx_functions_replay_new(question, &replay, NULL), NX_OK);
    return (struct nx_functions_replay *)(void *)ask(world, nx_functions_mailbox(world->functions),
                                                     &replay->message);
}

static enum nx_status replay_offline(struct world *world, const struct nx_replay_question *question,
                                     size_t thread_count, struct nx_replay_report *report,
                                     struct nx_error *err) {
    struct nx_stream_config streams[NX_FUNCTIONS_STREAMS_COUNT];
    NX_AUTO(nx_fabric) *fabric = NULL;
    memcpy(streams, nx_functions_streams(), sizeof streams);
    const struct nx_fabric_options fabric_options = {
        .disk = nx_disk_system(),
        .clock = nx_clock_system(),
        .random = nx_random_system(),
        .directory = world->directory,
        .read_only = true,
        .streams = streams,
        .stream_count = NX_FUNCTIONS_STREAMS_COUNT,
    };
    NX_TRY(nx_fabric_open(&fabric_options, &fabric, err));
    const struct nx_replay_options options = {
        .fabric = fabric,
        .guests = &guests,
        .thread_count = thread_count,
        .clock = nx_clock_system(),
    };
    return nx_replay_run(&options, question, report, err);
}

static void test_replays_an_event_exactly_while_the_server_runs(void **state) {
    (void)state;
    use_trap_handlers();
    struct world world = new_world(&guests);
    NX_AUTO(nx_buf) wasm;
    assert_true(read_guest("echo", &wasm));
    struct nx_function function = function_of("echo", "hello");
    function.memory_max = 16 << 20;
    const struct nx_registry_entry entry = { .function = &function, .module = nx_buf_str(&wasm) };
    open_world(&world, &entry, 1);
    await_ready(&world);
    publish(&world, "hello", "e1", "{\"user_id\":\"u42\",\"email\":\"alice@example.com\"}");
    struct nx_read *read = records(&world, "INVOCATIONS", 1);
    assert_in_range(read->records[0].payload.len, 64, 700);
    nx_read_free(read);

    struct nx_functions_replay *replay =
        replay_online(&world, &(struct nx_replay_question){ .id = NX_STR("e1") });
    assert_string_equal(replay->error.message, "");
    assert_int_equal(replay->status, NX_OK);
    assert_int_equal(replay->report.item_count, 1);
    if (replay->report.items[0].verdict != NX_REPLAY_IDENTICAL) {
        fail_msg("%s: %.*s", nx_replay_verdict_name(replay->report.items[0].verdict),
                 NX_STR_ARG(replay->report.items[0].error));
    }
    assert_true(nx_replay_report_is_proof(&replay->report));
    assert_true(nx_str_find(replay->report.items[0].output, NX_STR("alice@example.com")) != SIZE_MAX);
    nx_message_release(&replay->message);
    nx_read_free(records(&world, "AUDIT", 1));

    /* Once more, in the real world: a record of its own. */
    replay = replay_online(&world,
                           &(struct nx_replay_question){ .mode = NX_REPLAY_LIVE, .id = NX_STR("EVENTS:1") });
    assert_int_equal(replay->status, NX_OK);
    assert_int_equal(replay->report.items[0].live_invocation, 2);
    assert_true(nx_str_find(replay->report.items[0].output, NX_STR("\"isreplay\":\"true\"")) != SIZE_MAX);
    nx_message_release(&replay->message);
    read = records(&world, "INVOCATIONS", 2);
    assert_true(nx_str_is(nx_headers_value(read->records[1].headers, "Nexus-Replay-Of"), "INVOCATIONS:1"));
    nx_read_free(read);
    replay = replay_online(&world, &(struct nx_replay_question){ .id = NX_STR("INVOCATIONS:2") });
    assert_true(nx_replay_report_is_proof(&replay->report));
    assert_true(replay->report.items[0].module_is_current);
    nx_message_release(&replay->message);

    /* Other code from now on: the old invocation still replays from its own module, and says so. */
    NX_AUTO(nx_buf) other;
    assert_true(read_guest("effects", &other));
    struct nx_functions_update *update = NULL;
    struct nx_registry *registry = NULL;
    const struct nx_registry_entry changed = { .function = &function, .module = nx_buf_str(&other) };
    const struct nx_registry_options registry_options = { .entries = &changed,
                                                          .count = 1,
                                                          .random = nx_random_system() };
    assert_int_equal(nx_registry_new(&registry_options, &registry, NULL), NX_OK);
    put_module(&world, changed.module);
    assert_int_equal(nx_functions_update_new(registry, &update, NULL), NX_OK);
    nx_message_release(ask(&world, nx_functions_mailbox(world.functions), &update->message));
    replay = replay_online(&world, &(struct nx_replay_question){ .id = NX_STR("INVOCATIONS:1") });
    assert_true(nx_replay_report_is_proof(&replay->report));
    assert_false(replay->report.items[0].module_is_current);
    nx_message_release(&replay->message);

    replay = replay_online(&world, &(struct nx_replay_question){ .id = NX_STR("nobody") });
    assert_int_equal(replay->status, NX_NOT_FOUND);
    nx_message_release(&replay->message);
    stop_world(&world);
    remove_world(&world);
}

static void test_replays_a_range_from_the_directory(void **state) {
    (void)state;
    use_trap_handlers();
    struct world world = new_world(&guests);
    NX_AUTO(nx_buf) echo;
    NX_AUTO(nx_buf) misbehave;
    struct nx_replay_report report;
    struct nx_error error = { 0 };
    assert_true(read_guest("echo", &echo));
    assert_true(read_guest("misbehave", &misbehave));
    struct nx_function functions[] = { function_of("echo", "hello"), function_of("bad", "bad") };
    functions[0].memory_max = functions[1].memory_max = 16 << 20;
    functions[1].timeout_ns = 20 * NX_NS_PER_MS;
    functions[1].input_is_data = true;
    const struct nx_registry_entry entries[] = {
        { .function = &functions[0], .module = nx_buf_str(&echo) },
        { .function = &functions[1], .module = nx_buf_str(&misbehave) },
    };
    open_world(&world, entries, 2);
    await_ready(&world);
    static const char *const words[] = { "loop", "recursion", "output", "log", "sleep", "exit", "divide" };
    for (unsigned i = 0; i < RANGE_EVENTS; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "e%u", i);
        publish(&world, "hello", id, "{\"n\":1}");
    }
    for (unsigned i = 0; i < 7; i++) {
        publish(&world, "bad", words[i], words[i]);
    }
    nx_read_free(records(&world, "DLQ", 7));
    nx_read_free(records(&world, "INVOCATIONS", RANGE_EVENTS + 7 * 3));
    stop_world(&world);

    for (size_t threads = 1; threads <= 2; threads++) {
        nx_replay_report_init(&report);
        if (replay_offline(&world, &(struct nx_replay_question){ 0 }, threads, &report, &error) != NX_OK) {
            fail_msg("%s", error.message);
        }
        for (size_t i = 0; i < report.item_count; i++) {
            print_message(
                "# %.*s %s: %.*s: recorded '%.*s', replayed '%.*s' %.*s\n",
                NX_STR_ARG(report.items[i].event_id), nx_replay_verdict_name(report.items[i].verdict),
                NX_STR_ARG(report.items[i].difference.what), NX_STR_ARG(report.items[i].difference.recorded),
                NX_STR_ARG(report.items[i].difference.replayed), NX_STR_ARG(report.items[i].error));
        }
        assert_int_equal(report.total, RANGE_EVENTS + 7 * 3);
        assert_int_equal(report.counts[NX_REPLAY_IDENTICAL], report.total);
        nx_replay_report_fini(&report);
    }
    remove_world(&world);
}

/* An invocation of a module that nobody has stored. */
static void append_foreign_invocation(struct world *world) {
    struct nx_append *append = NULL;
    NX_AUTO(nx_buf) payload;
    nx_buf_init(&payload, NX_INVOCATION_SIZE_MAX);
    const struct nx_invocation invocation = { .attempt = 1, .tape = { .bytes = NX_STR("tape") } };
    nx_invocation_encode(&invocation, &payload);
    const struct nx_append_entry entry = { .stream = NX_STR("INVOCATIONS"),
                                           .subject = NX_STR("invocations.other"),
                                           .headers = NX_STR("Nexus-Event: EVENTS:1\r\n"),
                                           .payload = nx_buf_str(&payload) };
    assert_int_equal(nx_append_new(1, 0, &append, NULL), NX_OK);
    assert_int_equal(nx_append_add(append, &entry, NULL), NX_OK);
    append = (struct nx_append *)(void *)ask(world, nx_fabric_appends(world->fabric), &append->message);
    assert_int_equal(append->status, NX_OK);
    nx_append_free(append);
}

static void test_finds_modules_in_the_log_and_says_which_are_gone(void **state) {
    (void)state;
    use_trap_handlers();
    struct world world = new_world(&guests);
    NX_AUTO(nx_buf) echo;
    struct nx_replay_report report;
    char command[160];
    assert_true(read_guest("echo", &echo));
    struct nx_function function = function_of("echo", "hello");
    function.memory_max = 16 << 20;
    const struct nx_registry_entry entry = { .function = &function, .module = nx_buf_str(&echo) };
    open_world(&world, &entry, 1);
    await_ready(&world);
    publish(&world, "hello", "e1", "{}");
    nx_read_free(records(&world, "INVOCATIONS", 1));
    append_foreign_invocation(&world);
    stop_world(&world);
    (void)snprintf(command, sizeof command, "rm -rf '%s'/modules", world.directory);
    assert_int_equal(system(command), 0);
    nx_replay_report_init(&report);
    assert_int_equal(
        replay_offline(&world, &(struct nx_replay_question){ .id = NX_STR("e1") }, 1, &report, NULL), NX_OK);
    assert_int_equal(report.counts[NX_REPLAY_IDENTICAL], 1);
    assert_int_equal(report.counts[NX_REPLAY_MODULE_GONE], 1);
    nx_replay_report_fini(&report);
    remove_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replays_an_event_exactly_while_the_server_runs),
        cmocka_unit_test(test_replays_a_range_from_the_directory),
        cmocka_unit_test(test_finds_modules_in_the_log_and_says_which_are_gone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
