/* src/platform/function/functions_world.h: for this layer's tests: the log in a folder of its own, with the
 * actors running over it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "codec/headers.h"
#include "codec/invocation.h"
#include "fabric/object/object.h"
#include "platform/function/functions.h"
#include "platform/function/invocation.h"

struct world {
    char directory[64];
    const struct nx_guest_kind *guests;
    struct nx_fabric *fabric;
    struct nx_registry *registry;
    struct nx_functions *functions;
    struct nx_thread *threads[8];
    size_t thread_count;
    struct nx_mailbox *answers; /* to the test */
    struct nx_message_queue queue;
};

__attribute__((unused)) static struct nx_message *await(struct world *world) {
    for (unsigned i = 0; i < 10000; i++) {
        (void)nx_mailbox_take(world->answers, &world->queue);
        struct nx_message *message = nx_message_queue_pop(&world->queue);
        if (message != NULL) {
            return message;
        }
        (void)usleep(1000);
    }
    fail_msg("no answer within 10 s");
    return NULL;
}

__attribute__((unused)) static struct nx_message *ask(struct world *world, struct nx_mailbox *to,
                                                      struct nx_message *message) {
    message->reply_to = world->answers;
    assert_true(nx_mailbox_send(to, message));
    return await(world);
}

/* Into the object store, as the application does before a registry is used. */
__attribute__((unused)) static void put_module(struct world *world, struct nx_str wasm) {
    struct nx_object_put put;
    nx_object_put_init(&put, NX_OBJECTS_BUCKET, wasm, 1);
    for (;;) {
        struct nx_append *append = NULL;
        assert_int_equal(nx_object_put_next(&put, &append, NULL), NX_OK);
        if (append == NULL) {
            return;
        }
        append = (struct nx_append *)(void *)ask(world, nx_fabric_appends(world->fabric), &append->message);
        assert_int_equal(nx_object_put_take(&put, append, NULL), NX_OK);
        nx_append_free(append);
    }
}

__attribute__((unused)) static void open_world(struct world *world, const struct nx_registry_entry *entries,
                                               size_t count) {
    struct nx_error error = { 0 };
    struct nx_actor actors[NX_FUNCTIONS_ACTORS_MAX];
    struct nx_stream_config streams[NX_FUNCTIONS_STREAMS_COUNT + 2];
    const struct nx_clock clock = nx_clock_system();
    memcpy(streams, nx_functions_streams(), NX_FUNCTIONS_STREAMS_COUNT * sizeof streams[0]);
    const struct nx_fabric_options fabric_options = {
        .disk = nx_disk_system(),
        .clock = clock,
        .random = nx_random_system(),
        .directory = world->directory,
        .streams = streams,
        .stream_count = NX_FUNCTIONS_STREAMS_COUNT,
        .segment_size = 4 * 1024 * 1024,
    };
    if (nx_fabric_open(&fabric_options, &world->fabric, &error) != NX_OK) {
        fail_msg("%s", error.message);
    }
    const struct nx_registry_options registry_options = {
        .entries = entries,
        .count = count,
        .random = nx_random_system(),
    };
    assert_int_equal(nx_registry_new(&registry_options, &world->registry, NULL), NX_OK);
    const struct nx_functions_options options = {
        .appends = nx_fabric_appends(world->fabric),
        .reads = nx_fabric_reads(world->fabric),
        .registry = world->registry,
        .guests = world->guests,
        .clock = clock,
        .random = nx_random_system(),
        .node_name = "test",
        .worker_count = 2,
        .checkpoint_every_ns = 20 * NX_NS_PER_MS,
    };
    assert_int_equal(nx_functions_open(&options, &world->functions, NULL), NX_OK);
    assert_int_equal(nx_mailbox_open(16, &world->answers, NULL), NX_OK);
    nx_fabric_actors(world->fabric, &actors[0], &actors[1]);
    assert_int_equal(nx_thread_start(&actors[0], 1, &clock, &world->threads[0], NULL), NX_OK);
    assert_int_equal(nx_thread_start(&actors[1], 1, &clock, &world->threads[1], NULL), NX_OK);
    world->thread_count = 2;
    for (size_t i = 0; i < count; i++) {
        put_module(world, entries[i].module);
    }
    const size_t actor_count = nx_functions_actors(world->functions, actors);
    for (size_t i = 0; i < actor_count; i++) {
        assert_int_equal(nx_thread_start(&actors[i], 1, &clock, &world->threads[world->thread_count++], NULL),
                         NX_OK);
    }
}

__attribute__((unused)) static void await_ready(struct world *world) {
    struct nx_functions_ready *ready = NULL;
    assert_int_equal(nx_functions_ready_new(&ready, NULL), NX_OK);
    nx_message_release(ask(world, nx_functions_mailbox(world->functions), &ready->message));
}

/* As kill -9 would: whatever is under way is dropped. */
__attribute__((unused)) static void close_world(struct world *world) {
    for (size_t i = world->thread_count; i > 0; i--) {
        nx_thread_stop(world->threads[i - 1]);
    }
    world->thread_count = 0;
    nx_functions_close(world->functions);
    nx_fabric_close(world->fabric);
    nx_registry_unref(world->registry);
    nx_message_queue_release(&world->queue);
    nx_mailbox_close(world->answers);
}

__attribute__((unused)) static void stop_world(struct world *world) {
    struct nx_functions_stop *stop = NULL;
    assert_int_equal(nx_functions_stop_new(&stop, NULL), NX_OK);
    nx_message_release(ask(world, nx_functions_mailbox(world->functions), &stop->message));
    close_world(world);
}

__attribute__((unused)) static void publish(struct world *world, const char *type, const char *id,
                                            const char *data) {
    char subject[128];
    char headers[512];
    struct nx_append *append = NULL;
    (void)snprintf(subject, sizeof subject, "events.%s", type);
    (void)snprintf(headers, sizeof headers,
                   "ce-specversion: 1.0\r\nce-id: %s\r\nce-source: /test\r\nce-type: %s\r\n"
                   "content-type: application/json\r\n",
                   id, type);
    const struct nx_append_entry entry = { .stream = NX_STR("EVENTS"),
                                           .subject = nx_str_from_c(subject),
                                           .headers = nx_str_from_c(headers),
                                           .payload = nx_str_from_c(data) };
    assert_int_equal(nx_append_new(1, 0, &append, NULL), NX_OK);
    assert_int_equal(nx_append_add(append, &entry, NULL), NX_OK);
    append = (struct nx_append *)(void *)ask(world, nx_fabric_appends(world->fabric), &append->message);
    assert_int_equal(append->status, NX_OK);
    nx_append_free(append);
}

__attribute__((unused)) static struct nx_function function_of(const char *name, const char *type) {
    return (struct nx_function){
        .name = nx_str_from_c(name),
        .triggers = { { .kind = NX_TRIGGER_EVENT, .event_type = nx_str_from_c(type) } },
        .trigger_count = 1,
        .timeout_ns = 5 * (int64_t)NX_NS_PER_S,
        .memory_max = 1 << 20,
        .retry = { .attempts_max = 3, .backoff_ns = 2 * NX_NS_PER_MS, .backoff_max_ns = 5 * NX_NS_PER_MS },
        .concurrency_max = 16,
    };
}

/* All records of a stream; waits until there are `count` of them. */
__attribute__((unused)) static struct nx_read *records(struct world *world, const char *stream,
                                                       size_t count) {
    for (unsigned i = 0; i < 5000; i++) {
        struct nx_read *read = NULL;
        assert_int_equal(nx_read_new(NX_READ_SCAN, &read, NULL), NX_OK);
        read->stream = nx_arena_copy(&read->arena, nx_str_from_c(stream));
        read->from_sequence = 1;
        read = (struct nx_read *)(void *)ask(world, nx_fabric_reads(world->fabric), &read->message);
        if (read->record_count >= count) {
            return read;
        }
        nx_read_free(read);
        (void)usleep(2000);
    }
    fail_msg("%s has not %zu records after 10 s", stream, count);
    return NULL;
}

__attribute__((unused)) static struct world new_world(const struct nx_guest_kind *guests) {
    struct world world = { .directory = "functions_test.XXXXXX", .guests = guests };
    assert_non_null(mkdtemp(world.directory));
    return world;
}

__attribute__((unused)) static void remove_world(const struct world *world) {
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r '%s'", world->directory);
    assert_int_equal(system(command), 0);
}
