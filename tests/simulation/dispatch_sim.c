/* tests/simulation/dispatch_sim.c: functions over the log in the simulated world, one seed one run, a model
 * as oracle.
 *
 * A client publishes events; scripted functions handle them: some fail always, some at random, some keep an
 * order, fight for one key, sleep, publish events that others handle. Meanwhile dead letters are put back,
 * events are replayed live, and the functions change: one goes, others get new code. A run is a few lives,
 * each ended by a kill, a loss of power, a failed write or sync, or in good order, also on a full disk;
 * between two of them a record of where functions stand may be lost: it is damaged, or an older one is in its
 * place. The last life is left alone until nothing is left to do. Then all streams are read: every event on
 * disk was handled by every function that it fires, attempts are counted without a gap or a repetition, there
 * is exactly one end to each, effects are there once for each success and never for a failure, events of one
 * key did not overtake each other, and each that was given up is in the dead letters.
 *
 * In every other seed a disk budget takes the oldest: there keys tell that each event was handled once. In
 * all seeds, after each life, an invocation that can be read finds its module, and its tape and output where
 * they are large. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "codec/headers.h"
#include "codec/invocation.h"
#include "io/sim.h"
#include "platform/function/functions.h"
#include "platform/function/guest_script.h"
#include "dispatch_model.h"
#include "named.h"
#include "seeds.h"

struct run {
    uint64_t seed;
    struct nx_sim *sim;
    struct nx_fabric *fabric;
    struct nx_registry *registry;
    struct nx_functions *functions;
    struct nx_mailbox *mailbox; /* the client's */
    struct nx_function list[FUNCTIONS];
    struct nx_object_put put;
    unsigned stored; /* modules in the object store */
    bool is_storing;
    uint64_t requeued_end[FUNCTIONS];    /* DLQ: letters before this go back, as was answered */
    bool put_back[EVENTS_MAX];           /* by DLQ sequence */
    bool live_answered[16 * EVENTS_MAX]; /* by INVOCATIONS sequence */
    size_t live_count;                   /* of them */
    bool is_ready;
    bool was_ready; /* in some life: every function has its start */
    bool is_stopped;
    unsigned sent;
    unsigned goal;
    unsigned open;
    uint64_t acknowledged[EVENTS_MAX]; /* sequences */
    size_t acknowledged_count;
    bool is_last_life;
    bool is_quiet;
    bool is_describing;
    uint64_t head_before;
    int64_t look_ns;
    struct event *events;  /* by sequence */
    struct story *stories; /* by sequence * FUNCTIONS + function */
    struct nx_guest_kind guests;
    uint64_t disk_budget; /* 0: none, and nothing expires */
};

#define EXPECT(run, condition, ...)                                                                  \
    do {                                                                                             \
        if (!(condition)) {                                                                          \
            (void)fprintf(stderr, "seed %" PRIu64 ": " #condition ": ", (run)->seed);                \
            (void)fprintf(stderr, __VA_ARGS__);                                                      \
            (void)fprintf(stderr, "\nsee it again: dispatch_sim --seed %" PRIu64 "\n", (run)->seed); \
            abort();                                                                                 \
        }                                                                                            \
    } while (0)

/* ---- the client ---- */

static void send_event(struct run *run) {
    char headers[256];
    char data[64];
    struct nx_append *append = NULL;
    (void)snprintf(headers, sizeof headers, "ce-specversion: 1.0\r\nce-id: e%u\r\nce-source: /sim\r\n%s",
                   run->sent, "ce-type: hello\r\ncontent-type: application/json\r\n");
    (void)snprintf(data, sizeof data, "{\"k\":%u}", (unsigned)nx_sim_below(run->sim, KEYS));
    const struct nx_append_entry entry = { .stream = NX_STR("EVENTS"),
                                           .subject = NX_STR("events.hello"),
                                           .headers = nx_str_from_c(headers),
                                           .payload = nx_str_from_c(data),
                                           .person = nx_str_from_c(run->sent % 4 == 0 ? data : NULL) };
    EXPECT(run, nx_append_new(1, 0, &append, NULL) == NX_OK, "no memory");
    EXPECT(run, nx_append_add(append, &entry, NULL) == NX_OK, "no memory");
    append->message.reply_to = run->mailbox;
    if (!nx_mailbox_send(nx_fabric_appends(run->fabric), &append->message)) {
        nx_append_free(append);
        return;
    }
    run->sent++;
    run->open++;
}

/* The functions' modules, into the object store, one after the other. What wants one before waits for it. */
static void store_module(struct run *run) {
    struct nx_append *append = NULL;
    while (run->stored < FUNCTIONS && append == NULL) {
        if (!run->is_storing) {
            nx_object_put_init(&run->put, NX_OBJECTS_BUCKET, nx_str_from_c(models[run->stored].script),
                               nx_sim_below(run->sim, UINT32_MAX));
            run->is_storing = true;
        }
        EXPECT(run, nx_object_put_next(&run->put, &append, NULL) == NX_OK, "no memory");
        if (append == NULL) {
            run->is_storing = false;
            run->stored++;
        }
    }
    if (append != NULL) {
        append->message.reply_to = run->mailbox;
        EXPECT(run, nx_mailbox_send(nx_fabric_appends(run->fabric), &append->message), "full");
    }
}

static void take_append(struct run *run, struct nx_append *append) {
    if (run->is_storing) {
        /* A log that is frozen or full ends this life: nothing runs in it. */
        if (nx_object_put_take(&run->put, append, NULL) == NX_OK) {
            store_module(run);
        }
        nx_append_free(append);
        return;
    }
    run->open--;
    if (append->status == NX_OK) {
        run->acknowledged[run->acknowledged_count++] = append->entries[0].sequence;
    }
    nx_append_free(append);
}

/* In the last life: is anything left to do? */
static void ask_describe(struct run *run) {
    struct nx_functions_describe *describe = NULL;
    EXPECT(run, nx_functions_describe_new(&describe, NULL) == NX_OK, "no memory");
    describe->message.reply_to = run->mailbox;
    run->is_describing = true;
    EXPECT(run, nx_mailbox_send(nx_functions_mailbox(run->functions), &describe->message), "full");
}

static void take_describe(struct run *run, struct nx_functions_describe *describe) {
    run->is_describing = false;
    run->is_quiet = run->sent >= run->goal && run->open == 0 && describe->state_count == FUNCTIONS;
    for (size_t i = 0; i < describe->state_count; i++) {
        run->is_quiet = run->is_quiet && describe->states[i].condition == NX_FUNCTION_IDLE;
    }
    /* An event may be on disk and not seen yet: quiet is what two looks, half a second apart, agree on. */
    const bool is_same = describe->events_head == run->head_before;
    run->head_before = describe->events_head;
    run->is_quiet = run->is_quiet && is_same;
    nx_message_release(&describe->message);
}

/* As a person would, now and then: dead letters go back, an event is replayed live, nexus.yaml changes. */

static void send_requeue(struct run *run) {
    struct nx_functions_requeue *requeue = NULL;
    const char *name = models[nx_sim_chance(run->sim, 500000) ? FLAKY : BROKEN].name;
    EXPECT(run, nx_functions_requeue_new(nx_str_from_c(name), &requeue, NULL) == NX_OK, "no memory");
    requeue->message.reply_to = run->mailbox;
    EXPECT(run, nx_mailbox_send(nx_functions_mailbox(run->functions), &requeue->message), "full");
}

static void take_requeue(struct run *run, struct nx_functions_requeue *requeue) {
    for (int i = 0; i < FUNCTIONS; i++) {
        if (requeue->status == NX_OK && requeue->count > 0 &&
            strcmp(models[i].name, requeue->function) == 0 && requeue->end > run->requeued_end[i]) {
            run->requeued_end[i] = requeue->end;
        }
    }
    nx_message_release(&requeue->message);
}

static void send_live(struct run *run) {
    char id[32];
    struct nx_functions_replay *replay = NULL;
    const size_t which = nx_sim_below(run->sim, run->acknowledged_count);
    (void)snprintf(id, sizeof id, "EVENTS:%" PRIu64, run->acknowledged[which]);
    /* The sleeper has no effects that could be counted twice. */
    const struct nx_replay_question question = { .mode = NX_REPLAY_LIVE,
                                                 .id = nx_str_from_c(id),
                                                 .function = nx_str_from_c(models[SLEEPER].name) };
    EXPECT(run, nx_functions_replay_new(&question, &replay, NULL) == NX_OK, "no memory");
    replay->message.reply_to = run->mailbox;
    EXPECT(run, nx_mailbox_send(nx_functions_mailbox(run->functions), &replay->message), "full");
}

static void take_live(struct run *run, struct nx_functions_replay *replay) {
    for (size_t i = 0; replay->status == NX_OK && i < replay->report.item_count; i++) {
        const uint64_t invocation = replay->report.items[i].live_invocation;
        EXPECT(run, invocation < sizeof run->live_answered, "too many invocations");
        if (invocation != 0) {
            run->live_answered[invocation] = true;
            run->live_count++;
        }
    }
    nx_message_release(&replay->message);
}

/* Sleeper and echo change places; sometimes the broken one is gone until the next life. */
static void send_update(struct run *run) {
    struct nx_registry_entry entries[FUNCTIONS];
    struct nx_functions_update *update = NULL;
    struct nx_registry *registry = NULL;
    size_t count = 0;
    const bool is_one_gone = nx_sim_chance(run->sim, 300000);
    const bool is_swapped = nx_sim_chance(run->sim, 500000);
    for (int i = 0; i < FUNCTIONS; i++) {
        const int code = is_swapped && i == SLEEPER ? ECHO : is_swapped && i == ECHO ? SLEEPER : i;
        if (!is_one_gone || i != BROKEN) {
            entries[count++] = (struct nx_registry_entry){ .function = &run->list[i],
                                                           .module = nx_str_from_c(models[code].script) };
        }
    }
    const struct nx_registry_options options = { .entries = entries,
                                                 .count = count,
                                                 .random = nx_sim_random(run->sim) };
    EXPECT(run, nx_registry_new(&options, &registry, NULL) == NX_OK, "no memory");
    EXPECT(run, nx_functions_update_new(registry, &update, NULL) == NX_OK, "no memory");
    update->message.reply_to = run->mailbox;
    EXPECT(run, nx_mailbox_send(nx_functions_mailbox(run->functions), &update->message), "full");
}

static void meddle(struct run *run) {
    switch (nx_sim_below(run->sim, 60)) {
    case 0:
        send_requeue(run);
        break;
    case 1:
        send_live(run);
        break;
    case 2:
        send_update(run);
        break;
    default:
        break;
    }
}

static int64_t client_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct run *run = state;
    struct nx_message *message;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        switch (message->kind) {
        case NX_FABRIC_APPEND:
            take_append(run, (struct nx_append *)(void *)message);
            break;
        case NX_FUNCTIONS_READY:
            run->is_ready = run->was_ready = true;
            nx_message_release(message);
            break;
        case NX_FUNCTIONS_REQUEUE:
            take_requeue(run, (struct nx_functions_requeue *)(void *)message);
            break;
        case NX_FUNCTIONS_REPLAY:
            take_live(run, (struct nx_functions_replay *)(void *)message);
            break;
        case NX_FUNCTIONS_UPDATE:
            nx_message_release(message);
            break;
        case NX_FUNCTIONS_STOP:
            run->is_stopped = true;
            nx_message_release(message);
            break;
        default:
            take_describe(run, (struct nx_functions_describe *)(void *)message);
            break;
        }
    }
    while (run->was_ready && !run->is_storing && run->sent < run->goal && run->open < OPEN_MAX) {
        send_event(run);
    }
    if (!run->is_last_life) {
        if (run->is_ready && run->acknowledged_count > 0) {
            meddle(run);
        }
        return now.monotonic_ns + 5 * NX_NS_PER_MS;
    }
    if (run->is_ready && !run->is_describing && !run->is_quiet && now.monotonic_ns >= run->look_ns) {
        run->look_ns = now.monotonic_ns + 500 * NX_NS_PER_MS;
        ask_describe(run);
    }
    return run->look_ns;
}

/* ---- lives ---- */

static void open_fabric(struct run *run, bool read_only) {
    struct nx_error err = { 0 };
    const struct nx_fabric_options fabric_options = {
        .disk = nx_sim_disk(run->sim),
        .clock = nx_sim_clock(run->sim),
        .random = nx_sim_random(run->sim),
        .directory = "data",
        .streams = nx_functions_streams(),
        .stream_count = NX_FUNCTIONS_STREAMS_COUNT,
        .read_only = read_only,
        .segment_size = run->disk_budget == 0 ? 64 * 1024 : 512 * 1024,
        .disk_budget = run->disk_budget,
        .retention_waits_for = NX_FUNCTIONS_CONSUMER,
    };
    EXPECT(run, nx_fabric_open(&fabric_options, &run->fabric, &err) == NX_OK, "%s", err.message);
}

static void open_world(struct run *run) {
    struct nx_error err = { 0 };
    struct nx_registry_entry entries[FUNCTIONS];
    struct nx_actor actors[NX_FUNCTIONS_ACTORS_MAX];
    for (int i = 0; i < FUNCTIONS; i++) {
        const struct model_function *model = &models[i];
        run->list[i] = (struct nx_function){
            .name = nx_str_from_c(model->name),
            .triggers = { { .kind = NX_TRIGGER_EVENT, .event_type = nx_str_from_c(model->type) } },
            .trigger_count = 1,
            .timeout_ns = 5 * (int64_t)NX_NS_PER_S,
            .memory_max = 1 << 20,
            .retry = { .attempts_max = model->attempts_max,
                       .backoff_ns = 20 * NX_NS_PER_MS,
                       .backoff_max_ns = NX_NS_PER_S,
                       .jitter = 0.2 },
            .order_key = nx_str_from_c(model->order_key),
            .concurrency_max = model->concurrency_max,
            .from = i % 2 == 0 ? NX_FROM_NEW : NX_FROM_ALL,
        };
        entries[i] =
            (struct nx_registry_entry){ .function = &run->list[i], .module = nx_str_from_c(model->script) };
    }
    open_fabric(run, false);
    const struct nx_registry_options registry_options = { .entries = entries,
                                                          .count = FUNCTIONS,
                                                          .random = nx_sim_random(run->sim) };
    EXPECT(run, nx_registry_new(&registry_options, &run->registry, &err) == NX_OK, "%s", err.message);
    const struct nx_functions_options options = {
        .appends = nx_fabric_appends(run->fabric),
        .reads = nx_fabric_reads(run->fabric),
        .registry = run->registry,
        .guests = &run->guests,
        .clock = nx_sim_clock(run->sim),
        .random = nx_sim_random(run->sim),
        .node_name = "sim",
        .worker_count = WORKERS,
        .checkpoint_every_ns = (int64_t)(1 + nx_sim_below(run->sim, 500)) * NX_NS_PER_MS,
    };
    EXPECT(run, nx_functions_open(&options, &run->functions, &err) == NX_OK, "%s", err.message);
    EXPECT(run, nx_mailbox_open(16, &run->mailbox, &err) == NX_OK, "%s", err.message);
    nx_fabric_actors(run->fabric, &actors[0], &actors[1]);
    nx_sim_add(run->sim, &actors[0]);
    nx_sim_add(run->sim, &actors[1]);
    const size_t count = nx_functions_actors(run->functions, actors);
    for (size_t i = 0; i < count; i++) {
        nx_sim_add(run->sim, &actors[i]);
    }
    nx_sim_add(run->sim, &(struct nx_actor){
                             .name = "client", .mailbox = run->mailbox, .state = run, .step = client_step });
    struct nx_functions_ready *ready = NULL;
    EXPECT(run, nx_functions_ready_new(&ready, NULL) == NX_OK, "no memory");
    ready->message.reply_to = run->mailbox;
    run->is_ready = run->is_stopped = run->is_describing = run->is_quiet = false;
    run->open = 0;
    run->stored = 0;
    run->is_storing = false;
    store_module(run);
    EXPECT(run, nx_mailbox_send(nx_functions_mailbox(run->functions), &ready->message), "full");
}

static void close_world(struct run *run) {
    nx_sim_remove_all(run->sim);
    nx_functions_close(run->functions);
    nx_fabric_close(run->fabric);
    nx_registry_unref(run->registry);
    nx_mailbox_close(run->mailbox);
}

static bool is_stopped(void *data) {
    return ((struct run *)data)->is_stopped;
}

static bool is_quiet(void *data) {
    return ((struct run *)data)->is_quiet;
}

static void live(struct run *run) {
    open_world(run);
    run->goal += EVENTS_PER_LIFE;
    const uint64_t how = nx_sim_below(run->sim, 7);
    struct nx_sim_faults faults = { .write_ns_max = 100 * NX_NS_PER_US,
                                    .sync_ns_max = 3 * NX_NS_PER_MS,
                                    .stall_ns_max = 5 * NX_NS_PER_MS,
                                    .stall_ppm = 2000 };
    if (how < 4) {
        faults.crash_at = 1 + nx_sim_below(run->sim, 300);
        faults.crash_how = how < 2 ? NX_SIM_KILL : NX_SIM_POWER_LOSS;
    } else if (how == 4) {
        faults.fail_sync_at = 1 + nx_sim_below(run->sim, 100);
    }
    nx_sim_set_faults(run->sim, &faults);
    const struct nx_sim_limits limits = {
        .time_ns = (int64_t)(1 + nx_sim_below(run->sim, 3000)) * NX_NS_PER_MS,
    };
    if (how == 6) {
        /* A full disk: calls that are done wait for room, and are written when there is some. */
        const struct nx_sim_limits some = { .time_ns =
                                                (int64_t)(1 + nx_sim_below(run->sim, 300)) * NX_NS_PER_MS };
        (void)nx_sim_run(run->sim, &some);
        nx_sim_set_disk_size(run->sim, 1);
        (void)nx_sim_run(run->sim, &limits);
        nx_sim_set_disk_size(run->sim, UINT64_C(1) << 30);
    }
    enum nx_sim_end end = nx_sim_run(run->sim, &limits);
    if (end != NX_SIM_CRASHED && how == 5) {
        if (nx_sim_chance(run->sim, 300000)) {
            nx_sim_set_disk_size(run->sim, 1); /* what calls did cannot be written: it ends all the same */
        }
        struct nx_functions_stop *stop = NULL;
        EXPECT(run, nx_functions_stop_new(&stop, NULL) == NX_OK, "no memory");
        stop->message.reply_to = run->mailbox;
        EXPECT(run, nx_mailbox_send(nx_functions_mailbox(run->functions), &stop->message), "full");
        const struct nx_sim_limits stop_limits = { .is_done = is_stopped,
                                                   .data = run,
                                                   .time_ns = 60 * (int64_t)NX_NS_PER_S };
        end = nx_sim_run(run->sim, &stop_limits);
        EXPECT(run, end == NX_SIM_DONE, "the functions do not stop (%d)", (int)end);
        nx_sim_set_disk_size(run->sim, UINT64_C(1) << 30);
        close_world(run);
        return;
    }
    if (end != NX_SIM_CRASHED) {
        nx_sim_crash(run->sim, nx_sim_chance(run->sim, 500000) ? NX_SIM_KILL : NX_SIM_POWER_LOSS);
    }
    close_world(run);
    nx_sim_boot(run->sim);
}

/* ---- the oracle ---- */

static struct nx_read *read_all(struct run *run, struct nx_str stream, uint64_t from) {
    struct nx_read *read = NULL;
    EXPECT(run, nx_read_new(NX_READ_SCAN, &read, NULL) == NX_OK, "no memory");
    read->stream = nx_arena_copy(&read->arena, stream);
    read->from_sequence = from;
    nx_fabric_read_now(run->fabric, read);
    EXPECT(run, read->status == NX_OK || read->status == NX_NOT_FOUND, "%s", read->error.message);
    return read;
}

/* Call `visit` for every record of the stream. */
static void walk(struct run *run, struct nx_str stream,
                 void (*visit)(struct run *, const struct nx_record *)) {
    uint64_t from = 1;
    bool at_end = false;
    while (!at_end) {
        struct nx_read *read = read_all(run, stream, from);
        for (size_t i = 0; i < read->record_count; i++) {
            visit(run, &read->records[i]);
        }
        at_end = read->at_end || read->status == NX_NOT_FOUND;
        from = read->next_sequence;
        nx_read_free(read);
    }
}

static void visit_event(struct run *run, const struct nx_record *record) {
    EXPECT(run, record->sequence < EVENTS_MAX, "too many events");
    EXPECT(run, !nx_str_is(record->subject, "events.never"), "a failed call published");
    struct event *event = &run->events[record->sequence];
    EXPECT(run, nx_record_withheld(record).len == 0, "EVENTS:%" PRIu64 " is withheld", record->sequence);
    event->is_there = true;
    event->is_made = nx_str_is(record->subject, "events.made");
    event->key = event->is_made ? 0 : (unsigned)(record->payload.ptr[5] - '0');
    (void)snprintf(event->id, sizeof event->id, "%.*s",
                   NX_STR_ARG(nx_headers_value(record->headers, "ce-id")));
}

static int function_of(struct nx_str subject, struct nx_str prefix) {
    for (int i = 0; i < FUNCTIONS; i++) {
        if (nx_str_starts_with(subject, prefix) &&
            nx_str_is(nx_str_slice(subject, prefix.len, subject.len), models[i].name)) {
            return i;
        }
    }
    return -1;
}

static struct story *story_of(struct run *run, const struct nx_record *record, int function) {
    uint64_t sequence = 0;
    const struct nx_str event = nx_headers_value(record->headers, "Nexus-Event");
    EXPECT(run, function >= 0, "a record of no function: %.*s", NX_STR_ARG(record->subject));
    EXPECT(run, nx_str_to_u64(nx_str_slice(event, 7, event.len), &sequence) && sequence < EVENTS_MAX,
           "no event: %.*s", NX_STR_ARG(event));
    EXPECT(run, run->events[sequence].is_there, "an invocation of EVENTS:%" PRIu64 ", which is not there",
           sequence);
    return &run->stories[sequence * FUNCTIONS + (uint64_t)function];
}

static void visit_invocation(struct run *run, const struct nx_record *record) {
    const int function = function_of(record->subject, NX_STR("invocations."));
    struct story *story = story_of(run, record, function);
    struct nx_invocation invocation;
    EXPECT(run, nx_invocation_decode_head(record->payload, &invocation, NULL) == NX_OK, "damaged");
    if ((invocation.flags & NX_INVOCATION_LIVE_REPLAY) != 0) {
        EXPECT(run, function == SLEEPER, "%s was not replayed", models[function].name);
        run->live_count -= run->live_answered[record->sequence % sizeof run->live_answered];
        return;
    }
    if (invocation.series != story->series) {
        EXPECT(run, invocation.series == story->series + 1 && story->end != 0 && !story->succeeded,
               "%s: series %u after %u", models[function].name, invocation.series, story->series);
        EXPECT(run, invocation.dead_letter != 0 && !run->put_back[invocation.dead_letter],
               "DLQ:%" PRIu64 " was put back twice", invocation.dead_letter);
        run->put_back[invocation.dead_letter] = true;
        story->series = invocation.series;
        story->attempts = 0;
        story->end = 0;
    }
    EXPECT(run, story->end == 0, "%s: another attempt after the end, INVOCATIONS:%" PRIu64,
           models[function].name, record->sequence);
    EXPECT(run, invocation.attempt == story->attempts + 1, "%s: attempt %u after %u", models[function].name,
           invocation.attempt, story->attempts);
    story->first = story->attempts == 0 && story->series == 0 ? record->sequence : story->first;
    story->attempts = invocation.attempt;
    story->succeeded = invocation.outcome == NX_OUTCOME_OK;
    const bool is_dead = (invocation.flags & NX_INVOCATION_DEAD_LETTER) != 0;
    EXPECT(run, is_dead == (!story->succeeded && story->attempts == models[function].attempts_max),
           "%s: dead letter after %u attempts", models[function].name, story->attempts);
    if (story->succeeded || is_dead) {
        story->end = record->sequence;
        story->first_end = story->series == 0 ? story->end : story->first_end;
        story->deaths += is_dead;
    }
}

static void visit_dead_letter(struct run *run, const struct nx_record *record) {
    const int function = function_of(record->subject, NX_STR("dlq."));
    struct story *story = story_of(run, record, function);
    story->letters++;
    EXPECT(run, record->sequence >= run->requeued_end[function] || run->put_back[record->sequence],
           "%s: DLQ:%" PRIu64 " did not go back", models[function].name, record->sequence);
}

static void check_stories(struct run *run) {
    uint64_t last_end[KEYS] = { 0 };
    size_t made = 0;
    size_t makers = 0;
    for (uint64_t sequence = 1; sequence < EVENTS_MAX; sequence++) {
        const struct event *event = &run->events[sequence];
        if (!event->is_there) {
            continue;
        }
        made += event->is_made;
        for (int i = 0; i < FUNCTIONS; i++) {
            const bool is_wanted = (strcmp(models[i].type, "made") == 0) == event->is_made;
            const struct story *story = &run->stories[sequence * FUNCTIONS + (uint64_t)i];
            EXPECT(run, is_wanted || story->attempts == 0, "%s ran for what it does not listen to",
                   models[i].name);
            EXPECT(run, !is_wanted || story->end != 0, "%s has not ended EVENTS:%" PRIu64 " (%u attempts)",
                   models[i].name, sequence, story->attempts);
            EXPECT(run, story->letters == story->deaths,
                   "%s: EVENTS:%" PRIu64 " was given up %u times, and is %u times in the dead letters",
                   models[i].name, sequence, story->deaths, story->letters);
        }
        if (!event->is_made) {
            const struct story *story = &run->stories[sequence * FUNCTIONS + FLAKY];
            EXPECT(run, story->first > last_end[event->key], "EVENTS:%" PRIu64 " overtook one of its key",
                   sequence);
            last_end[event->key] = story->first_end;
            makers++;
        }
    }
    EXPECT(run, made == makers, "%zu events were made by %zu calls", made, makers);
}

/* Keys: each event was tallied once, and the counter has counted each. */
static size_t tallies;
static char last_count[32];
static void visit_tally(struct run *run, const struct nx_record *record) {
    EXPECT(run, nx_str_is(record->payload, "1"), "%.*s was tallied twice", NX_STR_ARG(record->subject));
    tallies++;
}
static void visit_never(struct run *run, const struct nx_record *record) {
    EXPECT(run, false, "a failed call has set a key: %.*s", NX_STR_ARG(record->subject));
}
static void visit_count(struct run *run, const struct nx_record *record) {
    (void)run;
    (void)snprintf(last_count, sizeof last_count, "%.*s", NX_STR_ARG(record->payload));
}

/* Whatever was taken, and whenever: what can be read is complete. */
static void visit_named(struct run *run, const struct nx_record *record) {
    const char *missing = missing_of(run->fabric, record);
    EXPECT(run, missing == NULL, "INVOCATIONS:%" PRIu64 " names what is not there: its %s", record->sequence,
           missing);
}

static void check_named(struct run *run) {
    if (run->was_ready) { /* else a first life may have ended before there was anything */
        open_fabric(run, true);
        walk(run, NX_STR("INVOCATIONS"), visit_named);
        nx_fabric_close(run->fabric);
    }
}

/* Where the oldest records may be gone, keys still tell: each event was tallied, and counted, once. */
static void check_keys(struct run *run) {
    tallies = 0;
    last_count[0] = '\0';
    walk(run, NX_STR("KV_tally"), visit_tally);
    walk(run, NX_STR("KV_counter"), visit_count);
    walk(run, NX_STR("KV_broken"), visit_never);
    EXPECT(run, tallies >= run->acknowledged_count, "%zu tallies of %zu events", tallies,
           run->acknowledged_count);
    EXPECT(run, strtoul(last_count, NULL, 10) == tallies, "counted %s of %zu", last_count, tallies);
}

static void check(struct run *run) {
    size_t hellos = 0;
    char wanted[32];
    tallies = 0;
    last_count[0] = '\0';
    walk(run, NX_STR("EVENTS"), visit_event);
    for (size_t i = 0; i < run->acknowledged_count; i++) {
        EXPECT(run, run->events[run->acknowledged[i]].is_there, "EVENTS:%" PRIu64 " was acknowledged",
               run->acknowledged[i]);
    }
    walk(run, NX_STR("INVOCATIONS"), visit_invocation);
    walk(run, NX_STR("DLQ"), visit_dead_letter);
    EXPECT(run, run->live_count == 0, "%zu live replays were answered, and are not there", run->live_count);
    check_stories(run);
    for (size_t i = 0; i < EVENTS_MAX; i++) {
        hellos += run->events[i].is_there && !run->events[i].is_made;
    }
    walk(run, NX_STR("KV_tally"), visit_tally);
    walk(run, NX_STR("KV_counter"), visit_count);
    walk(run, NX_STR("KV_broken"), visit_never);
    EXPECT(run, tallies == hellos, "%zu tallies of %zu events", tallies, hellos);
    (void)snprintf(wanted, sizeof wanted, "%zu", hellos);
    EXPECT(run, strcmp(last_count, hellos == 0 ? "" : wanted) == 0, "counted %s of %zu", last_count, hellos);
}

/* ---- what is lost between two lives ---- */

struct loss {
    bool is_done;
};

static int64_t loss_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct nx_message *message = nx_message_queue_pop(inbox);
    (void)now;
    ((struct loss *)state)->is_done = message != NULL;
    nx_message_release(message);
    return NX_STEP_IDLE;
}

static bool is_lost(void *data) {
    return ((struct loss *)data)->is_done;
}

/* An older record of the subject that is still there, by chance, or damage. */
static void choose_loss(struct run *run, const char *subject, struct nx_append *append) {
    struct nx_read *read = read_all(run, NX_STR("CONSUMERS"), 1);
    struct nx_append_entry entry = { .stream = NX_STR("CONSUMERS"),
                                     .subject = nx_str_from_c(subject),
                                     .payload = NX_STR("damaged") };
    for (size_t i = 0; i < read->record_count && nx_sim_chance(run->sim, 800000); i++) {
        entry.payload =
            nx_str_is(read->records[i].subject, subject) ? read->records[i].payload : entry.payload;
    }
    EXPECT(run, nx_append_add(append, &entry, NULL) == NX_OK, "no memory");
    nx_read_free(read);
}

static void lose_position(struct run *run) {
    struct loss loss = { 0 };
    struct nx_actor actors[2];
    struct nx_append *append = NULL;
    char subject[64] = "dispatch.checkpoint";
    const int function = (int)nx_sim_below(run->sim, FUNCTIONS + 1);
    nx_sim_set_faults(run->sim, &(struct nx_sim_faults){ 0 });
    open_fabric(run, false);
    EXPECT(run, nx_mailbox_open(16, &run->mailbox, NULL) == NX_OK, "no memory");
    EXPECT(run, nx_append_new(1, 0, &append, NULL) == NX_OK, "no memory");
    if (function < FUNCTIONS) {
        (void)snprintf(subject, sizeof subject, "consumers.%s", models[function].name);
        run->requeued_end[function] = 0; /* that they go back stood there, too */
    }
    choose_loss(run, subject, append);
    nx_fabric_actors(run->fabric, &actors[0], &actors[1]);
    nx_sim_add(run->sim, &actors[0]);
    nx_sim_add(run->sim, &actors[1]);
    nx_sim_add(run->sim, &(struct nx_actor){
                             .name = "loss", .mailbox = run->mailbox, .state = &loss, .step = loss_step });
    append->message.reply_to = run->mailbox;
    EXPECT(run, nx_mailbox_send(nx_fabric_appends(run->fabric), &append->message), "full");
    const struct nx_sim_limits limits = { .is_done = is_lost, .data = &loss };
    EXPECT(run, nx_sim_run(run->sim, &limits) == NX_SIM_DONE, "it was not written");
    nx_sim_remove_all(run->sim);
    nx_fabric_close(run->fabric);
    nx_mailbox_close(run->mailbox);
}

/* How many calls of each function are under way: never more than its max_concurrency. Those that change
 * places are left out: their script does not say whose call it is. */
static uint32_t under_way[FUNCTIONS];

static uint32_t *under_way_of(const char *script) {
    for (size_t i = 0; i < FUNCTIONS; i++) {
        if (strcmp(models[i].script, script) == 0) {
            return &under_way[i];
        }
    }
    nx_assert_never("a guest of no function");
    return NULL;
}

static enum nx_status counted_call_new(void *data, const struct nx_call_options *options,
                                       struct nx_call **call_out, struct nx_error *err) {
    struct run *run = data;
    NX_TRY(script_call_new(NULL, options, call_out, err));
    if (!options->identity.is_replay) {
        uint32_t *count = under_way_of(options->module->script);
        const struct model_function *model = &models[count - under_way];
        ++*count;
        const bool has_limit = model->concurrency_max > 0 && strcmp(model->name, "echo") != 0;
        EXPECT(run, !has_limit || *count <= model->concurrency_max, "%u calls of %s at once", *count,
               model->name);
    }
    return NX_OK;
}

static void counted_call_free(struct nx_call *call) {
    if (call != NULL && !call->options.identity.is_replay) {
        --*under_way_of(call->script);
    }
    script_call_free(call);
}

static uint64_t run_seed(uint64_t seed) {
    static const struct nx_guest_kind guests = NX_GUEST_SCRIPT;
    struct run *run = calloc(1, sizeof *run);
    nx_assert(run != NULL);
    run->seed = seed;
    run->guests = guests;
    run->guests.data = run;
    run->guests.call_new = counted_call_new;
    run->guests.call_free = counted_call_free;
    run->events = calloc(EVENTS_MAX, sizeof *run->events);
    run->stories = calloc((size_t)EVENTS_MAX * FUNCTIONS, sizeof *run->stories);
    nx_assert(run->events != NULL && run->stories != NULL);
    EXPECT(run, nx_sim_open(&(struct nx_sim_options){ .seed = seed }, &run->sim, NULL) == NX_OK, "no memory");
    /* In every other seed the oldest leave: then not every story can be told to its end. */
    run->disk_budget = seed % 2 == 0 ? 0 : (12 + nx_sim_below(run->sim, 16)) * 256 * 1024;
    for (int life = 0; life < LIVES; life++) {
        live(run);
        check_named(run);
        if (run->disk_budget == 0 && nx_sim_chance(run->sim, 200000)) {
            lose_position(run);
        }
    }
    nx_sim_set_faults(run->sim, &(struct nx_sim_faults){ 0 });
    run->is_last_life = true;
    open_world(run);
    run->goal += EVENTS_PER_LIFE;
    const struct nx_sim_limits limits = { .is_done = is_quiet,
                                          .data = run,
                                          .time_ns = 600 * (int64_t)NX_NS_PER_S };
    const enum nx_sim_end end = nx_sim_run(run->sim, &limits);
    EXPECT(run, end == NX_SIM_DONE, "something is left to do for ever (%d)", (int)end);
    close_world(run);
    /* What is on disk counts, read as a command would. */
    check_named(run);
    open_fabric(run, true);
    if (run->disk_budget == 0) {
        check(run);
    } else {
        check_keys(run);
    }
    nx_fabric_close(run->fabric);
    const uint64_t digest = nx_sim_digest(run->sim);
    nx_sim_close(run->sim);
    free(run->events);
    free(run->stories);
    free(run);
    return digest;
}

int main(int argc, char **argv) {
    return run_seeds("dispatch_sim", run_seed, argc, argv);
}
