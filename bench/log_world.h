/* bench/log_world.h: what the measurements of the log share: a fabric on this machine's disk with its two
 * actors, and a client, a third one, that keeps appends under way. */
#pragma once

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "fabric/fabric.h"

struct world {
    char directory[512];
    struct nx_clock clock;
    struct nx_fabric *fabric;
    struct nx_thread *threads[2];
    struct nx_mailbox *answers;
    struct nx_stream_config *streams;
    size_t stream_count;
};

/* So many appends, one after the other answered, so many of them under way at once. */
struct load {
    struct world *world;
    uint64_t count;
    uint64_t in_flight;
    /* Make the append with this number (its reply_to is set by the client); look at its answer. */
    struct nx_append *(*make)(void *data, uint64_t number);
    void (*take)(void *data, const struct nx_append *answer);
    void *data;
    uint64_t sent;
    uint64_t answered;
    int64_t start_ns;
    int64_t end_ns;
    struct nx_counter done;
};

static inline void must(enum nx_status status, const struct nx_error *err) {
    if (status != NX_OK) {
        (void)fprintf(stderr, "log_bench: %s\n", err->message);
        exit(1);
    }
}

static inline double world_now_s(const struct world *world) {
    return (double)nx_clock_read(&world->clock).monotonic_ns / 1e9;
}

static inline double cpu_s(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

static inline void world_open(struct world *world, bool run) {
    struct nx_error err = { 0 };
    const struct nx_fabric_options options = { .disk = nx_disk_system(),
                                               .clock = world->clock,
                                               .random = nx_random_system(),
                                               .directory = world->directory,
                                               .streams = world->streams,
                                               .stream_count = world->stream_count };
    struct nx_actor actors[2];
    must(nx_fabric_open(&options, &world->fabric, &err), &err);
    nx_fabric_actors(world->fabric, &actors[0], &actors[1]);
    for (int i = 0; run && i < 2; i++) {
        must(nx_thread_start(&actors[i], 1, &world->clock, &world->threads[i], &err), &err);
    }
    must(nx_mailbox_open(65536, &world->answers, &err), &err);
}

static inline void world_close(struct world *world) {
    for (int i = 0; i < 2; i++) {
        nx_thread_stop(NX_TAKE(world->threads[i]));
    }
    nx_fabric_close(NX_TAKE(world->fabric));
    nx_mailbox_close(NX_TAKE(world->answers));
}

static inline int64_t load_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct load *load = state;
    struct nx_message *message;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        load->take(load->data, (const struct nx_append *)message);
        load->answered++;
        nx_message_release(message);
    }
    while (load->sent < load->count && load->sent - load->answered < load->in_flight) {
        struct nx_append *append = load->make(load->data, load->sent);
        append->message.reply_to = load->world->answers;
        if (!nx_mailbox_send(nx_fabric_appends(load->world->fabric), &append->message)) {
            nx_append_free(append);
            return now.monotonic_ns + NX_NS_PER_MS / 10;
        }
        load->sent++;
    }
    if (load->answered == load->count && load->end_ns == 0) {
        load->end_ns = nx_clock_read(&load->world->clock).monotonic_ns;
        nx_counter_set(&load->done, 1);
    }
    return NX_STEP_IDLE;
}

/* Run the load to its end; the seconds that it took. */
static inline double load_run(struct load *load) {
    struct nx_error err = { 0 };
    struct nx_thread *thread = NULL;
    const struct nx_actor actor = {
        .name = "client", .mailbox = load->world->answers, .state = load, .step = load_step
    };
    const struct timespec nap = { .tv_nsec = NX_NS_PER_MS };
    load->start_ns = nx_clock_read(&load->world->clock).monotonic_ns;
    must(nx_thread_start(&actor, 1, &load->world->clock, &thread, &err), &err);
    while (nx_counter_get(&load->done) == 0) {
        (void)nanosleep(&nap, NULL);
    }
    nx_thread_stop(thread);
    return (double)(load->end_ns - load->start_ns) / 1e9;
}

/* bench/log_scale.c: many streams and very many subjects, against a model. Returns the exit status. */
int log_scale(const char *directory, uint64_t stream_count, uint64_t subject_count, uint64_t record_count);
