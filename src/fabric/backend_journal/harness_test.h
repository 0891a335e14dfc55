/* src/fabric/backend_journal/harness_test.h: a fabric in a fresh directory, its actors stepped by hand. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/assert.h"
#include "fabric/fabric.h"

struct harness {
    char directory[64];
    struct nx_fabric *fabric;
    struct nx_actor actors[2];
    struct nx_message_queue inboxes[2];
    struct nx_mailbox *answers;
    struct nx_fabric_options options;
    struct nx_stream_config streams[4];
    struct nx_now now; /* shown by the clock */
};

static inline struct nx_now harness_clock(void *data) {
    struct harness *harness = data;
    harness->now.monotonic_ns += 1000;
    harness->now.wall_ns += 1000;
    return harness->now;
}

static inline void harness_start(struct harness *harness) {
    struct nx_error err = { 0 };
    if (nx_fabric_open(&harness->options, &harness->fabric, &err) != NX_OK) {
        fail_msg("%s", err.message);
    }
    nx_fabric_actors(harness->fabric, &harness->actors[0], &harness->actors[1]);
}

static inline void harness_stop(struct harness *harness) {
    nx_fabric_close(harness->fabric);
    harness->fabric = NULL;
}

static inline void harness_open(struct harness *harness, uint64_t segment_size) {
    *harness = (struct harness){ .directory = "/tmp/nexus-fabric-XXXXXX",
                                 .now = { .wall_ns = 1700000000LL * NX_NS_PER_S, .monotonic_ns = 1 } };
    assert_non_null(mkdtemp(harness->directory));
    /* Unsynced: what a cut leaves is shown by recovery_test and the simulation; here a sync for each record
     * would only be waited for. */
    harness->streams[0] = (struct nx_stream_config){ .name = NX_STR("EVENTS"), .sync = NX_SYNC_NEVER };
    harness->streams[1] = (struct nx_stream_config){ .name = NX_STR("INVOCATIONS"), .sync = NX_SYNC_NEVER };
    harness->options = (struct nx_fabric_options){
        .disk = nx_disk_system(),
        .clock = { .read = harness_clock, .data = harness },
        .random = nx_random_system(),
        .directory = harness->directory,
        .streams = harness->streams,
        .stream_count = 2,
        .segment_size = segment_size,
    };
    assert_int_equal(nx_mailbox_open(4096, &harness->answers, NULL), NX_OK);
    harness_start(harness);
}

static inline void harness_init(struct harness *harness) {
    harness_open(harness, 64 * 1024);
}

static inline void harness_fini(struct harness *harness) {
    char command[128];
    harness_stop(harness);
    nx_mailbox_close(harness->answers);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", harness->directory);
    assert_int_equal(system(command), 0);
}

/* Step both actors until nothing moves. */
static inline void harness_run(struct harness *harness) {
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 2; i++) {
            (void)nx_mailbox_take(harness->actors[i].mailbox, &harness->inboxes[i]);
            (void)harness->actors[i].step(harness->actors[i].state, harness_clock(harness),
                                          &harness->inboxes[i]);
        }
    }
}

/* The one answer that has come. */
static inline struct nx_message *harness_answer(struct harness *harness) {
    struct nx_message_queue queue = { 0 };
    (void)nx_mailbox_take(harness->answers, &queue);
    nx_assert(queue.count == 1);
    struct nx_message *message = nx_message_queue_pop(&queue);
    nx_assert(message != NULL);
    return message;
}

static inline struct nx_append *harness_append_new(struct harness *harness, size_t entries,
                                                   size_t conditions) {
    struct nx_append *append = NULL;
    assert_int_equal(nx_append_new(entries, conditions, &append, NULL), NX_OK);
    append->message.reply_to = harness->answers;
    return append;
}

static inline void harness_add(struct nx_append *append, const char *stream, const char *subject,
                               const char *headers, const char *payload, const char *key) {
    const struct nx_append_entry entry = {
        .stream = nx_str_from_c(stream),
        .subject = nx_str_from_c(subject),
        .headers = nx_str_from_c(headers),
        .payload = nx_str_from_c(payload),
        .dedup_key = nx_str_from_c(key),
    };
    assert_int_equal(nx_append_add(append, &entry, NULL), NX_OK);
}

/* Send it and wait; the answer is the caller's. */
static inline struct nx_append *harness_send(struct harness *harness, struct nx_append *append) {
    assert_true(nx_mailbox_send(nx_fabric_appends(harness->fabric), &append->message));
    harness_run(harness);
    return (struct nx_append *)harness_answer(harness);
}

/* Append one record; gives its sequence. */
static inline uint64_t harness_put(struct harness *harness, const char *stream, const char *subject,
                                   const char *headers, const char *payload) {
    struct nx_append *append = harness_append_new(harness, 1, 0);
    harness_add(append, stream, subject, headers, payload, NULL);
    NX_AUTO(nx_append) *answer = harness_send(harness, append);
    if (answer->status != NX_OK) {
        fail_msg("%s", answer->error.message);
    }
    return answer->entries[0].sequence;
}

static inline struct nx_read *harness_read_new(struct harness *harness, enum nx_read_kind kind,
                                               const char *stream, const char *text) {
    struct nx_read *read = NULL;
    assert_int_equal(nx_read_new(kind, &read, NULL), NX_OK);
    read->message.reply_to = harness->answers;
    read->stream = nx_arena_copy(&read->arena, nx_str_from_c(stream));
    read->subject = nx_arena_copy(&read->arena, nx_str_from_c(text));
    read->key = read->subject;
    return read;
}

/* Send it; the answer may come later. */
static inline void harness_post(struct harness *harness, struct nx_read *read) {
    assert_true(nx_mailbox_send(nx_fabric_reads(harness->fabric), &read->message));
    harness_run(harness);
}

static inline struct nx_read *harness_ask(struct harness *harness, struct nx_read *read) {
    harness_post(harness, read);
    return (struct nx_read *)harness_answer(harness);
}
