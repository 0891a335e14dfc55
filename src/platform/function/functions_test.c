/* src/platform/function/functions_test.c: the actors together, over the real log in a folder of its own: an
 * event becomes an invocation; failures are retried, then given up; a restart repeats nothing and forgets
 * nothing. */
#include "platform/function/functions_world.h"

#include "platform/function/guest_script.h"

enum { EVENTS_IN_MANY = 500 };

static const struct nx_guest_kind guests = NX_GUEST_SCRIPT;

static void test_runs_a_function_for_an_event(void **state) {
    (void)state;
    struct world world = new_world(&guests);
    const struct nx_function function = function_of("greeter", "hello");
    const struct nx_registry_entry entry = { .function = &function, .module = NX_STR("echo") };
    open_world(&world, &entry, 1);
    await_ready(&world);
    publish(&world, "other", "e0", "{}");
    publish(&world, "hello", "e1", "{\"a\":1}");
    struct nx_read *read = records(&world, "INVOCATIONS", 1);
    struct nx_invocation invocation;
    assert_int_equal(read->record_count, 1);
    assert_true(nx_str_is(nx_headers_value(read->records[0].headers, "Nexus-Event"), "EVENTS:2"));
    assert_int_equal(nx_invocation_decode(read->records[0].payload, &read->arena, &invocation, NULL), NX_OK);
    assert_int_equal(invocation.outcome, NX_OUTCOME_OK);
    assert_int_equal(invocation.attempt, 1);
    assert_true(nx_str_find(invocation.output.bytes, NX_STR("\"data\":{\"a\":1}")) != SIZE_MAX);
    assert_int_equal(invocation.log_line_count, 1);
    nx_read_free(read);
    stop_world(&world);
    remove_world(&world);
}

static void test_retries_then_gives_up_with_a_dead_letter(void **state) {
    (void)state;
    struct world world = new_world(&guests);
    const struct nx_function function = function_of("broken", "hello");
    const struct nx_registry_entry entry = { .function = &function, .module = NX_STR("fail") };
    open_world(&world, &entry, 1);
    await_ready(&world);
    publish(&world, "hello", "e1", "{}");
    struct nx_read *read = records(&world, "DLQ", 1);
    assert_true(nx_str_is(nx_headers_value(read->records[0].headers, "Nexus-Event"), "EVENTS:1"));
    nx_read_free(read);
    read = records(&world, "INVOCATIONS", 3);
    assert_int_equal(read->record_count, 3);
    nx_read_free(read);
    /* Put back: three more attempts, and another letter. */
    struct nx_functions_requeue *requeue = NULL;
    assert_int_equal(nx_functions_requeue_new(NX_STR("broken"), &requeue, NULL), NX_OK);
    requeue = (struct nx_functions_requeue *)(void *)ask(&world, nx_functions_mailbox(world.functions),
                                                         &requeue->message);
    assert_int_equal(requeue->status, NX_OK);
    assert_int_equal(requeue->count, 1);
    nx_message_release(&requeue->message);
    nx_read_free(records(&world, "DLQ", 2));
    read = records(&world, "INVOCATIONS", 6);
    assert_int_equal(read->record_count, 6);
    nx_read_free(read);
    stop_world(&world);
    remove_world(&world);
}

static uint64_t dead_letters(struct world *world) {
    struct nx_functions_describe *describe = NULL;
    assert_int_equal(nx_functions_describe_new(&describe, NULL), NX_OK);
    describe = (struct nx_functions_describe *)(void *)ask(world, nx_functions_mailbox(world->functions),
                                                           &describe->message);
    const uint64_t count = describe->states[0].dead_letter_count;
    nx_message_release(&describe->message);
    return count;
}

static void test_puts_back_more_dead_letters_than_one_answer_holds(void **state) {
    enum { APPENDS = 5, EVENTS_EACH = 1000, EVENTS = APPENDS * EVENTS_EACH };
    (void)state;
    struct world world = new_world(&guests);
    struct nx_function function = function_of("broken", "hello");
    function.retry.attempts_max = 1;
    const struct nx_registry_entry entry = { .function = &function, .module = NX_STR("fail") };
    const struct nx_append_entry event = { .stream = NX_STR("EVENTS"),
                                           .subject = NX_STR("events.hello"),
                                           .headers = NX_STR("ce-specversion: 1.0\r\nce-id: e\r\n"
                                                             "ce-source: /t\r\nce-type: hello\r\n"),
                                           .payload = NX_STR("{}") };
    open_world(&world, &entry, 1);
    await_ready(&world);
    for (unsigned i = 0; i < APPENDS; i++) {
        struct nx_append *append = NULL;
        assert_int_equal(nx_append_new(EVENTS_EACH, 0, &append, NULL), NX_OK);
        for (unsigned k = 0; k < EVENTS_EACH; k++) {
            assert_int_equal(nx_append_add(append, &event, NULL), NX_OK);
        }
        nx_message_release(ask(&world, nx_fabric_appends(world.fabric), &append->message));
    }
    while (dead_letters(&world) < EVENTS) {
        (void)usleep(5000);
    }
    struct nx_functions_requeue *requeue = NULL;
    assert_int_equal(nx_functions_requeue_new(NX_STR("broken"), &requeue, NULL), NX_OK);
    requeue = (struct nx_functions_requeue *)(void *)ask(&world, nx_functions_mailbox(world.functions),
                                                         &requeue->message);
    assert_int_equal(requeue->count, EVENTS);
    nx_message_release(&requeue->message);
    while (dead_letters(&world) < (uint64_t)2 * EVENTS) {
        (void)usleep(5000);
    }
    stop_world(&world);
    remove_world(&world);
}

/* Wait until so many calls have ended well; none may have failed. */
static void await_ok(struct world *world, size_t count) {
    struct nx_read *read = records(world, "INVOCATIONS", count);
    assert_int_equal(read->record_count, count);
    for (size_t i = 0; i < read->record_count; i++) {
        struct nx_invocation invocation;
        assert_int_equal(nx_invocation_decode_head(read->records[i].payload, &invocation, NULL), NX_OK);
        assert_int_equal(invocation.outcome, NX_OUTCOME_OK);
    }
    nx_read_free(read);
}

static void test_handles_every_event_once_across_restarts(void **state) {
    (void)state;
    struct world world = new_world(&guests);
    const struct nx_function counter = function_of("counter", "hello");
    const struct nx_function maker = function_of("maker", "hello");
    const struct nx_registry_entry entries[] = {
        { .function = &counter, .module = NX_STR("count") },
        { .function = &maker, .module = NX_STR("publish") },
    };
    unsigned published = 0;
    for (unsigned round = 0; round < 5; round++) {
        open_world(&world, entries, 2);
        await_ready(&world);
        for (unsigned i = 0; i < EVENTS_IN_MANY / 5; i++) {
            char id[32];
            (void)snprintf(id, sizeof id, "e%u", published++);
            publish(&world, "hello", id, "{}");
        }
        close_world(&world);
    }
    open_world(&world, entries, 2);
    await_ok(&world, 2 * EVENTS_IN_MANY);
    struct nx_read *read = records(&world, "EVENTS", 2 * EVENTS_IN_MANY);
    assert_int_equal(read->record_count, 2 * EVENTS_IN_MANY);
    nx_read_free(read);
    read = records(&world, "KV_counter", 1);
    char last[32];
    (void)snprintf(last, sizeof last, "%d", EVENTS_IN_MANY);
    assert_true(nx_str_is(read->records[read->record_count - 1].payload, last));
    nx_read_free(read);
    stop_world(&world);
    remove_world(&world);
}

static void test_a_checkpoint_of_several_parts_repeats_nothing(void **state) {
    enum { FUNCTIONS = 150, ROUNDS = 3 }; /* more positions than one append takes */
    static struct nx_function functions[FUNCTIONS];
    static struct nx_registry_entry entries[FUNCTIONS];
    static char names[FUNCTIONS][16];
    (void)state;
    struct world world = new_world(&guests);
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        (void)snprintf(names[i], sizeof names[i], "many-%u", i);
        functions[i] = function_of(names[i], "hello");
        entries[i] = (struct nx_registry_entry){ .function = &functions[i], .module = NX_STR("echo") };
    }
    for (unsigned round = 1; round <= ROUNDS; round++) {
        char id[32];
        open_world(&world, entries, FUNCTIONS);
        await_ready(&world);
        (void)snprintf(id, sizeof id, "e%u", round);
        publish(&world, "hello", id, "{}");
        struct nx_read *read = records(&world, "INVOCATIONS", round * FUNCTIONS);
        assert_int_equal(read->record_count, round * FUNCTIONS);
        nx_read_free(read);
        if (round % 2 == 0) {
            close_world(&world);
        } else {
            stop_world(&world);
        }
    }
    open_world(&world, entries, FUNCTIONS);
    await_ready(&world);
    struct nx_read *read = records(&world, "INVOCATIONS", ROUNDS * FUNCTIONS);
    assert_int_equal(read->record_count, ROUNDS * FUNCTIONS);
    nx_read_free(read);
    stop_world(&world);
    remove_world(&world);
}

static struct nx_registry *registry_of(const struct nx_registry_entry *entries, size_t count) {
    struct nx_registry *registry = NULL;
    const struct nx_registry_options options = { .entries = entries,
                                                 .count = count,
                                                 .random = nx_random_system() };
    assert_int_equal(nx_registry_new(&options, &registry, NULL), NX_OK);
    return registry;
}

static void update(struct world *world, const struct nx_registry_entry *entries, size_t count) {
    struct nx_functions_update *message = NULL;
    for (size_t i = 0; i < count; i++) {
        put_module(world, entries[i].module);
    }
    assert_int_equal(nx_functions_update_new(registry_of(entries, count), &message, NULL), NX_OK);
    message = (struct nx_functions_update *)(void *)ask(world, nx_functions_mailbox(world->functions),
                                                        &message->message);
    assert_int_equal(message->status, NX_OK);
    nx_message_release(&message->message);
}

static void test_a_function_that_went_and_came_back_misses_nothing(void **state) {
    (void)state;
    struct world world = new_world(&guests);
    struct nx_function functions[] = { function_of("comer", "hello"), function_of("late", "hello") };
    functions[1].from = NX_FROM_ALL;
    const struct nx_registry_entry entries[] = {
        { .function = &functions[0], .module = NX_STR("tally") },
        { .function = &functions[1], .module = NX_STR("echo") },
    };
    open_world(&world, entries, 1);
    await_ready(&world);
    publish(&world, "hello", "e1", "{}");
    nx_read_free(records(&world, "KV_comer", 1));
    /* Gone; another one comes, and begins with what there was. */
    update(&world, &entries[1], 1);
    publish(&world, "hello", "e2", "{}");
    nx_read_free(records(&world, "INVOCATIONS", 3));
    /* Back, with other code. */
    const struct nx_registry_entry again[] = { entries[1], { &functions[0], NX_STR("count") } };
    update(&world, again, 2);
    struct nx_read *read = records(&world, "INVOCATIONS", 4);
    assert_int_equal(read->record_count, 4);
    assert_true(nx_str_is(nx_headers_value(read->records[3].headers, "Nexus-Event"), "EVENTS:2"));
    nx_read_free(read);
    read = records(&world, "KV_comer", 2);
    assert_true(nx_str_is(read->records[1].subject, "$KV.comer.count"));
    nx_read_free(read);
    stop_world(&world);
    remove_world(&world);
}

static struct nx_function answering(const char *name, const char *type) {
    struct nx_function function = function_of(name, type);
    function.triggers[0].respond = NX_RESPOND_RESULT;
    return function;
}

static struct nx_functions_await *await_result(struct world *world, const char *function, uint64_t event,
                                               int64_t wait_ns) {
    const struct nx_clock clock = nx_clock_system();
    struct nx_functions_await *question = NULL;
    assert_int_equal(nx_functions_await_new(nx_str_from_c(function), event, &question, NULL), NX_OK);
    question->deadline_ns = nx_clock_read(&clock).monotonic_ns + wait_ns;
    return (struct nx_functions_await *)(void *)ask(world, nx_functions_mailbox(world->functions),
                                                    &question->message);
}

static void test_tells_who_waits_what_came_of_an_event(void **state) {
    (void)state;
    struct world world = new_world(&guests);
    const struct nx_function functions[] = { answering("api", "a"), answering("bad", "b") };
    const struct nx_registry_entry entries[] = {
        { .function = &functions[0], .module = NX_STR("created") },
        { .function = &functions[1], .module = NX_STR("fail") },
    };
    open_world(&world, entries, 2);
    await_ready(&world);
    /* An event that is still to come is waited for, but not for ever. */
    struct nx_functions_await *question = await_result(&world, "api", 1, 5 * NX_NS_PER_MS);
    assert_int_equal(question->end, NX_AWAIT_LATE);
    nx_message_release(&question->message);

    publish(&world, "a", "e1", "{\"a\":1}");
    question = await_result(&world, "api", 1, 10 * (int64_t)NX_NS_PER_S);
    if (question->end != NX_AWAIT_PASSED) { /* it may have been done by then */
        assert_int_equal(question->end, NX_AWAIT_SUCCEEDED);
        assert_int_equal(question->answer->status, 201);
        assert_true(nx_str_is(question->answer->headers, "location: /1\r\n"));
        assert_true(nx_str_find(question->answer->output, NX_STR("\"a\":1")) != SIZE_MAX);
        assert_int_equal(question->invocation, 1);
    }
    nx_message_release(&question->message);
    question = await_result(&world, "api", 1, 10 * (int64_t)NX_NS_PER_S);
    assert_int_equal(question->end, NX_AWAIT_PASSED);
    nx_message_release(&question->message);

    /* Its three attempts take a few milliseconds. */
    publish(&world, "b", "e2", "{}");
    question = await_result(&world, "bad", 2, 10 * (int64_t)NX_NS_PER_S);
    assert_int_equal(question->end, NX_AWAIT_GIVEN_UP);
    assert_int_equal(question->outcome, NX_OUTCOME_EXIT);
    assert_int_equal(question->attempt, 3);
    assert_string_equal(question->error.message, "exited with 1");
    nx_message_release(&question->message);
    stop_world(&world);
    remove_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_a_function_for_an_event),
        cmocka_unit_test(test_retries_then_gives_up_with_a_dead_letter),
        cmocka_unit_test(test_puts_back_more_dead_letters_than_one_answer_holds),
        cmocka_unit_test(test_handles_every_event_once_across_restarts),
        cmocka_unit_test(test_a_checkpoint_of_several_parts_repeats_nothing),
        cmocka_unit_test(test_tells_who_waits_what_came_of_an_event),
        cmocka_unit_test(test_a_function_that_went_and_came_back_misses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
