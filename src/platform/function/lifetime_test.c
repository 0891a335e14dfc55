/* src/platform/function/lifetime_test.c: what retention leaves of events and invocations, and what functions
 * make of it: in the simulated world, where days pass at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "codec/headers.h"
#include "codec/invocation.h"
#include "fabric/object/object.h"
#include "io/sim.h"
#include "platform/function/functions.h"
#include "platform/function/guest_script.h"
#include "platform/function/invocation.h"

#define DAY_NS (24 * 3600 * (int64_t)NX_NS_PER_S)

static const struct nx_guest_kind guests = NX_GUEST_SCRIPT;

struct world {
    struct nx_sim *sim;
    struct nx_fabric *fabric;
    struct nx_registry *registry;
    struct nx_functions *functions;
    struct nx_mailbox *answers;
    struct nx_message *answer; /* the one that has come */
    struct nx_function function;
    const char *script;
    struct nx_stream_config streams[NX_FUNCTIONS_STREAMS_COUNT];
    int64_t checkpoint_every_ns;
    unsigned published;
};

static int64_t client_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct world *world = state;
    struct nx_message *message;
    (void)now;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        assert_null(world->answer);
        world->answer = message;
    }
    return NX_STEP_IDLE;
}

static bool is_answered(void *data) {
    return ((struct world *)data)->answer != NULL;
}

static struct nx_message *ask(struct world *world, struct nx_mailbox *to, struct nx_message *message) {
    const struct nx_sim_limits limits = { .is_done = is_answered,
                                          .data = world,
                                          .time_ns = 60 * (int64_t)NX_NS_PER_S };
    message->reply_to = world->answers;
    assert_true(nx_mailbox_send(to, message));
    assert_int_equal(nx_sim_run(world->sim, &limits), NX_SIM_DONE);
    return NX_TAKE(world->answer);
}

static void pass(struct world *world, int64_t time_ns) {
    const struct nx_sim_limits limits = { .time_ns = time_ns };
    (void)nx_sim_run(world->sim, &limits);
}

static struct world new_world(const char *script) {
    struct world world = { .script = script, .checkpoint_every_ns = 5 * (int64_t)NX_NS_PER_S };
    const struct nx_sim_options options = { .seed = 7 };
    assert_int_equal(nx_sim_open(&options, &world.sim, NULL), NX_OK);
    memcpy(world.streams, nx_functions_streams(), sizeof world.streams);
    world.function = (struct nx_function){
        .name = NX_STR("f"),
        .triggers = { { .kind = NX_TRIGGER_EVENT, .event_type = NX_STR("hello") } },
        .trigger_count = 1,
        .timeout_ns = 5 * (int64_t)NX_NS_PER_S,
        .memory_max = 1 << 20,
        .retry = { .attempts_max = 1 },
        .concurrency_max = 1,
        .from = NX_FROM_ALL,
    };
    return world;
}

static void open_fabric(struct world *world) {
    struct nx_actor actors[2];
    const struct nx_fabric_options options = {
        .disk = nx_sim_disk(world->sim),
        .clock = nx_sim_clock(world->sim),
        .random = nx_sim_random(world->sim),
        .directory = "data",
        .streams = world->streams,
        .stream_count = NX_FUNCTIONS_STREAMS_COUNT,
        .segment_size = 64 * 1024,
        .retention_waits_for = NX_FUNCTIONS_CONSUMER,
    };
    assert_int_equal(nx_fabric_open(&options, &world->fabric, NULL), NX_OK);
    assert_int_equal(nx_mailbox_open(16, &world->answers, NULL), NX_OK);
    nx_fabric_actors(world->fabric, &actors[0], &actors[1]);
    nx_sim_add(world->sim, &actors[0]);
    nx_sim_add(world->sim, &actors[1]);
    const struct nx_actor client = {
        .name = "client", .mailbox = world->answers, .state = world, .step = client_step
    };
    nx_sim_add(world->sim, &client);
}

static void append(struct world *world, struct nx_append *append) {
    append = (struct nx_append *)(void *)ask(world, nx_fabric_appends(world->fabric), &append->message);
    if (append->status != NX_OK) {
        fail_msg("%s", append->error.message);
    }
    nx_append_free(append);
}

static void open_world(struct world *world) {
    struct nx_actor actors[NX_FUNCTIONS_ACTORS_MAX];
    const struct nx_registry_entry entry = { .function = &world->function,
                                             .module = nx_str_from_c(world->script) };
    struct nx_object_put put;
    struct nx_append *part = NULL;
    struct nx_functions_ready *ready = NULL;
    open_fabric(world);
    nx_object_put_init(&put, NX_OBJECTS_BUCKET, entry.module, 1);
    assert_int_equal(nx_object_put_next(&put, &part, NULL), NX_OK);
    part = (struct nx_append *)(void *)ask(world, nx_fabric_appends(world->fabric), &part->message);
    assert_int_equal(nx_object_put_take(&put, part, NULL), NX_OK);
    nx_append_free(part);
    const struct nx_registry_options registry_options = { .entries = &entry,
                                                          .count = 1,
                                                          .random = nx_sim_random(world->sim) };
    assert_int_equal(nx_registry_new(&registry_options, &world->registry, NULL), NX_OK);
    const struct nx_functions_options options = {
        .appends = nx_fabric_appends(world->fabric),
        .reads = nx_fabric_reads(world->fabric),
        .registry = world->registry,
        .guests = &guests,
        .clock = nx_sim_clock(world->sim),
        .random = nx_sim_random(world->sim),
        .node_name = "sim",
        .worker_count = 1,
        .checkpoint_every_ns = world->checkpoint_every_ns,
    };
    assert_int_equal(nx_functions_open(&options, &world->functions, NULL), NX_OK);
    const size_t count = nx_functions_actors(world->functions, actors);
    for (size_t i = 0; i < count; i++) {
        nx_sim_add(world->sim, &actors[i]);
    }
    assert_int_equal(nx_functions_ready_new(&ready, NULL), NX_OK);
    nx_message_release(ask(world, nx_functions_mailbox(world->functions), &ready->message));
}

static void close_world(struct world *world) {
    nx_sim_remove_all(world->sim);
    nx_functions_close(world->functions);
    world->functions = NULL;
    nx_fabric_close(world->fabric);
    nx_registry_unref(world->registry);
    world->registry = NULL;
    nx_mailbox_close(world->answers);
}

static void stop_world(struct world *world) {
    struct nx_functions_stop *stop = NULL;
    assert_int_equal(nx_functions_stop_new(&stop, NULL), NX_OK);
    nx_message_release(ask(world, nx_functions_mailbox(world->functions), &stop->message));
    close_world(world);
}

static void publish(struct world *world, unsigned count) {
    char payload[1024];
    uint64_t state = world->published + 1;
    while (count > 0) {
        struct nx_append *batch = NULL;
        const unsigned part = count < 20 ? count : 20;
        assert_int_equal(nx_append_new(part, 0, &batch, NULL), NX_OK);
        for (unsigned i = 0; i < part; i++) {
            char headers[160];
            for (size_t k = 0; k < sizeof payload; k++) { /* that does not pack */
                state = state * UINT64_C(6364136223846793005) + 1;
                payload[k] = (char)('A' + (state >> 40) % 50);
            }
            (void)snprintf(headers, sizeof headers,
                           "ce-specversion: 1.0\r\nce-id: e%u\r\nce-source: /t\r\nce-type: hello\r\n"
                           "content-type: text/plain\r\n",
                           world->published++);
            const struct nx_append_entry event = { .stream = NX_STR("EVENTS"),
                                                   .subject = NX_STR("events.hello"),
                                                   .headers = nx_str_from_c(headers),
                                                   .payload = nx_str_of(payload, sizeof payload) };
            assert_int_equal(nx_append_add(batch, &event, NULL), NX_OK);
        }
        append(world, batch);
        count -= part;
    }
}

static struct nx_stream_info info_of(struct world *world, const char *stream) {
    struct nx_read *read = NULL;
    assert_int_equal(nx_read_new(NX_READ_INFO, &read, NULL), NX_OK);
    read->stream = nx_arena_copy(&read->arena, nx_str_from_c(stream));
    read = (struct nx_read *)(void *)ask(world, nx_fabric_reads(world->fabric), &read->message);
    assert_int_equal(read->info_count, 1);
    const struct nx_stream_info info = read->infos[0];
    nx_read_free(read);
    return info;
}

static struct nx_function_state state_of(struct world *world) {
    struct nx_functions_describe *describe = NULL;
    assert_int_equal(nx_functions_describe_new(&describe, NULL), NX_OK);
    describe = (struct nx_functions_describe *)(void *)ask(world, nx_functions_mailbox(world->functions),
                                                           &describe->message);
    assert_int_equal(describe->state_count, 1);
    const struct nx_function_state state = describe->states[0];
    nx_message_release(&describe->message);
    return state;
}

static void wait_until_idle(struct world *world) {
    for (unsigned i = 0; i < 10000; i++) {
        const struct nx_function_state state = state_of(world);
        if (state.condition == NX_FUNCTION_IDLE && state.floor > info_of(world, "EVENTS").last_sequence) {
            return;
        }
        pass(world, 100 * NX_NS_PER_MS);
    }
    fail_msg("the function does not come to an end");
}

/* The newest record of CONSUMERS for the function; the caller frees it. */
static struct nx_read *position(struct world *world) {
    struct nx_read *read = NULL;
    assert_int_equal(nx_read_new(NX_READ_LAST, &read, NULL), NX_OK);
    read->stream = nx_arena_copy(&read->arena, NX_STR("CONSUMERS"));
    read->subject = nx_arena_copy(&read->arena, NX_STR("consumers.f"));
    read = (struct nx_read *)(void *)ask(world, nx_fabric_reads(world->fabric), &read->message);
    assert_int_equal(read->record_count, 1);
    return read;
}

static void set_position(struct world *world, struct nx_str payload) {
    struct nx_append *write = NULL;
    const struct nx_append_entry entry = { .stream = NX_STR("CONSUMERS"),
                                           .subject = NX_STR("consumers.f"),
                                           .payload = payload };
    assert_int_equal(nx_append_new(1, 0, &write, NULL), NX_OK);
    assert_int_equal(nx_append_add(write, &entry, NULL), NX_OK);
    append(world, write);
}

/* With only the log running: its newest position becomes this one. */
static void lose_position(struct world *world, struct nx_str payload) {
    open_fabric(world);
    set_position(world, payload);
    close_world(world);
}

/* ---- what is protected ---- */

static void test_events_that_came_since_the_last_checkpoint_are_not_dropped(void **state) {
    enum { EVENTS = 3000 };
    (void)state;
    struct world world = new_world("sleep");
    world.streams[0].size_max = 64 * 1024;
    world.checkpoint_every_ns = 3600 * (int64_t)NX_NS_PER_S; /* far longer than retention waits */
    open_world(&world);
    publish(&world, 1);
    wait_until_idle(&world);
    pass(&world, 10 * (int64_t)NX_NS_PER_S);
    publish(&world, EVENTS);
    pass(&world, 15 * (int64_t)NX_NS_PER_S); /* retention has looked, some have run */
    assert_in_range(info_of(&world, "INVOCATIONS").last_sequence, 2, EVENTS);
    close_world(&world); /* as by kill -9: what dispatch held in memory is gone */
    open_world(&world);
    wait_until_idle(&world);
    assert_int_equal(info_of(&world, "INVOCATIONS").last_sequence, EVENTS + 1);
    assert_int_equal(info_of(&world, "DLQ").last_sequence, 0);
    pass(&world, 60 * (int64_t)NX_NS_PER_S);
    assert_true(info_of(&world, "EVENTS").first_sequence > EVENTS / 2); /* now they may go */
    stop_world(&world);
    nx_sim_close(world.sim);
}

static void test_events_that_nobody_needs_go_though_no_function_runs(void **state) {
    (void)state;
    struct world world = new_world("echo");
    world.streams[0].size_max = 64 * 1024;
    world.function.triggers[0].event_type = NX_STR("other");
    open_world(&world);
    publish(&world, 1000);
    pass(&world, 60 * (int64_t)NX_NS_PER_S);
    assert_true(info_of(&world, "EVENTS").first_sequence > 500);
    stop_world(&world);
    nx_sim_close(world.sim);
}

/* ---- a position that is lost ---- */

/* Four days of which INVOCATIONS remember three. Returns how many invocations there were. */
static uint64_t live_four_days(struct world *world) {
    open_world(world);
    publish(world, 400);
    wait_until_idle(world);
    pass(world, 4 * DAY_NS);
    publish(world, 300);
    wait_until_idle(world);
    pass(world, 30 * (int64_t)NX_NS_PER_S);
    const struct nx_stream_info events = info_of(world, "EVENTS");
    const struct nx_stream_info invocations = info_of(world, "INVOCATIONS");
    assert_int_equal(events.first_sequence, 1);
    assert_true(invocations.first_sequence > 1);
    assert_int_equal(invocations.last_sequence, 700);
    return invocations.last_sequence;
}

static void assert_nothing_runs_again(struct world *world, uint64_t invocations) {
    open_world(world);
    wait_until_idle(world);
    assert_int_equal(info_of(world, "INVOCATIONS").last_sequence, invocations);
    publish(world, 5);
    wait_until_idle(world);
    assert_int_equal(info_of(world, "INVOCATIONS").last_sequence, invocations + 5);
    /* What was found is written down: the next start does not search. */
    stop_world(world);
    open_world(world);
    wait_until_idle(world);
    assert_int_equal(info_of(world, "INVOCATIONS").last_sequence, invocations + 5);
    stop_world(world);
    nx_sim_close(world->sim);
}

static void test_a_damaged_position_runs_no_event_again(void **state) {
    (void)state;
    struct world world = new_world("echo");
    const uint64_t invocations = live_four_days(&world);
    stop_world(&world);
    lose_position(&world, NX_STR("\1damaged"));
    assert_nothing_runs_again(&world, invocations);
}

static void test_an_older_position_in_place_of_the_newest_runs_no_event_again(void **state) {
    (void)state;
    struct world world = new_world("echo");
    open_world(&world);
    publish(&world, 10);
    wait_until_idle(&world);
    pass(&world, 30 * (int64_t)NX_NS_PER_S);
    struct nx_read *old = position(&world);
    stop_world(&world);
    open_world(&world);
    publish(&world, 50);
    wait_until_idle(&world);
    const uint64_t invocations = info_of(&world, "INVOCATIONS").last_sequence;
    assert_int_equal(invocations, 60);
    stop_world(&world);
    lose_position(&world, old->records[0].payload);
    nx_read_free(old);
    assert_nothing_runs_again(&world, invocations);
}

static void test_events_that_were_not_handled_when_the_position_was_lost_are(void **state) {
    (void)state;
    struct world world = new_world("sleep");
    const uint64_t invocations = live_four_days(&world);
    publish(&world, 200);
    pass(&world, 500 * NX_NS_PER_MS);
    close_world(&world); /* as by kill -9 */
    lose_position(&world, NX_STR("\1damaged"));
    open_world(&world);
    assert_true(info_of(&world, "INVOCATIONS").last_sequence < invocations + 200);
    wait_until_idle(&world);
    assert_int_equal(info_of(&world, "INVOCATIONS").last_sequence, invocations + 200);
    stop_world(&world);
    nx_sim_close(world.sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_that_came_since_the_last_checkpoint_are_not_dropped),
        cmocka_unit_test(test_events_that_nobody_needs_go_though_no_function_runs),
        cmocka_unit_test(test_a_damaged_position_runs_no_event_again),
        cmocka_unit_test(test_an_older_position_in_place_of_the_newest_runs_no_event_again),
        cmocka_unit_test(test_events_that_were_not_handled_when_the_position_was_lost_are),
    };
    return cmocka_run_group_tests_name("platform/function/lifetime", tests, NULL, NULL);
}
