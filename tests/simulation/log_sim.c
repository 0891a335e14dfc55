/* tests/simulation/log_sim.c: the log in the simulated world, one seed one run, a model as oracle.
 *
 * A client keeps several appends under way: one to four records each, over a few streams, some with keys
 * against duplicates, some with conditions. Each run is a few lives; a life ends by a kill, a loss of power,
 * a failed write or sync, or in good order. After each the log is opened again and read from end to end:
 * acknowledged records are there, unchanged, in order, with their sequences; an append that was never
 * answered is there as a whole or not at all, now and for ever; nothing else is. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fabric/fabric.h"
#include "io/sim.h"
#include "seeds.h"

enum {
    STREAMS = 4,
    ENTRIES_MAX = 4,
    APPENDS_MAX = 4096,
    OPEN_MAX = 24,
    LIVES = 5,
    PAYLOAD_MAX = 3000,
    KEYS = 400,
    DISK_SIZE = 64 * 1024 * 1024,
};

static const char *const names[STREAMS] = { "EVENTS", "INVOCATIONS", "KV_a", "LOGS" };

enum outcome { UNKNOWN, WRITTEN, REFUSED };

struct model_entry {
    int stream;
    int subject; /* number */
    int key;     /* 0: none */
    bool duplicate;
    uint64_t sequence; /* 0: not known */
    int seen;          /* how often the last reading found it */
};

struct model_append {
    enum outcome outcome;
    int life;
    int entry_count;
    struct model_entry entries[ENTRIES_MAX];
    bool has_condition; /* on the first entry's subject */
    uint64_t condition;
};

struct run {
    uint64_t seed;
    struct nx_sim *sim;
    struct nx_fabric *fabric;
    struct nx_fabric_options options;
    struct nx_stream_config streams[STREAMS];
    struct nx_mailbox *mailbox; /* the client's */
    struct model_append *appends;
    int append_count;
    int open_count;
    int goal; /* appends after which this life's client rests */
    int life;
    uint64_t last_of_subject[STREAMS][8]; /* what the client has been told */
};

#define EXPECT(run, condition, ...)                                                                       \
    do {                                                                                                  \
        if (!(condition)) {                                                                               \
            (void)fprintf(stderr, "seed %" PRIu64 " life %d: ", (run)->seed, (run)->life);                \
            (void)fprintf(stderr, __VA_ARGS__);                                                           \
            (void)fprintf(stderr, " (%s)\nagain: log_sim --seed %" PRIu64 "\n", #condition, (run)->seed); \
            exit(1);                                                                                      \
        }                                                                                                 \
    } while (0)

/* The payload says which entry it is; the rest follows from that. */
static size_t payload_of(int append, int entry, char out[PAYLOAD_MAX]) {
    uint64_t state = (uint64_t)append * 8 + (uint64_t)entry + 1;
    state *= 0x9e3779b97f4a7c15ULL;
    const size_t len = 24 + (size_t)((state >> 40) % ((state >> 60) == 0 ? PAYLOAD_MAX - 24 : 200));
    (void)snprintf(out, 24, "%010d %02d", append, entry);
    for (size_t i = 13; i < len; i++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        out[i] = (char)(state >> 56);
    }
    return len;
}

static void subject_of(const struct model_entry *entry, char out[64]) {
    (void)snprintf(out, 64, "%s.s%d", entry->stream == 2 ? "$KV.a" : "events", entry->subject);
}

/* ---- the client ---- */

static void choose(struct run *run, struct model_append *model) {
    struct nx_sim *sim = run->sim;
    *model = (struct model_append){ .life = run->life };
    model->entry_count = nx_sim_chance(sim, 300000) ? 1 + (int)nx_sim_below(sim, ENTRIES_MAX) : 1;
    for (int i = 0; i < model->entry_count; i++) {
        struct model_entry *entry = &model->entries[i];
        entry->stream = (int)nx_sim_below(sim, STREAMS);
        entry->subject = (int)nx_sim_below(sim, 8);
        entry->key = nx_sim_chance(sim, 200000) ? 1 + (int)nx_sim_below(sim, KEYS) : 0;
    }
    if (nx_sim_chance(sim, 200000)) {
        model->entry_count = 1;
        model->entries[0].stream = 2;
        model->entries[0].key = 0;
        model->has_condition = true;
        model->condition = run->last_of_subject[2][model->entries[0].subject];
    }
}

static void send_one(struct run *run) {
    struct nx_append *append = NULL;
    static char payload[PAYLOAD_MAX];
    const int id = run->append_count;
    struct model_append *model = &run->appends[id];
    choose(run, model);
    EXPECT(run, nx_append_new(ENTRIES_MAX, 1, &append, NULL) == NX_OK, "no memory");
    for (int i = 0; i < model->entry_count; i++) {
        char subject[64];
        char key[32] = "";
        subject_of(&model->entries[i], subject);
        if (model->entries[i].key > 0) {
            (void)snprintf(key, sizeof key, "key-%d", model->entries[i].key);
        }
        const struct nx_append_entry entry = {
            .stream = nx_str_from_c(names[model->entries[i].stream]),
            .subject = nx_str_from_c(subject),
            .headers = NX_STR("Nexus-Event: EVENTS:1\r\n"),
            .payload = nx_str_of(payload, payload_of(id, i, payload)),
            .dedup_key = nx_str_from_c(key),
        };
        EXPECT(run, nx_append_add(append, &entry, NULL) == NX_OK, "entry refused");
    }
    if (model->has_condition) {
        char subject[64];
        subject_of(&model->entries[0], subject);
        const struct nx_append_condition condition = { .stream = NX_STR("KV_a"),
                                                       .subject = nx_str_from_c(subject),
                                                       .last_sequence = model->condition };
        EXPECT(run, nx_append_add_condition(append, &condition, NULL) == NX_OK, "condition refused");
    }
    append->message.reply_to = run->mailbox;
    append->message.context = model;
    if (!nx_mailbox_send(nx_fabric_appends(run->fabric), &append->message)) {
        nx_append_free(append);
        return;
    }
    run->append_count++;
    run->open_count++;
}

static void take_answer(struct run *run, const struct nx_append *append) {
    struct model_append *model = append->message.context;
    run->open_count--;
    if (append->status != NX_OK) {
        /* A frozen log does not know what became of it; every other refusal wrote nothing. */
        model->outcome = append->error.kind == NX_KIND_LOG_FROZEN ? UNKNOWN : REFUSED;
        EXPECT(run,
               append->error.kind == NX_KIND_LOG_FROZEN || append->error.kind == NX_KIND_DISK_FULL ||
                   append->error.kind == NX_KIND_WRONG_LAST_SEQUENCE,
               "refused: %s", append->error.message);
        return;
    }
    model->outcome = WRITTEN;
    for (int i = 0; i < model->entry_count; i++) {
        struct model_entry *entry = &model->entries[i];
        entry->sequence = append->entries[i].sequence;
        entry->duplicate = append->entries[i].duplicate;
        uint64_t *last = &run->last_of_subject[entry->stream][entry->subject];
        if (!entry->duplicate && entry->sequence > *last) {
            *last = entry->sequence;
        }
    }
}

static int64_t client_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct run *run = state;
    struct nx_message *message;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        take_answer(run, (struct nx_append *)message);
        nx_message_release(message);
    }
    while (run->append_count < run->goal && run->open_count < OPEN_MAX && nx_sim_chance(run->sim, 700000)) {
        send_one(run);
    }
    return run->append_count < run->goal && run->open_count < OPEN_MAX
               ? now.monotonic_ns + (int64_t)nx_sim_below(run->sim, 300000)
               : NX_STEP_IDLE;
}

/* ---- checking ---- */

static void check_record(struct run *run, int stream, const struct nx_record *record) {
    static char expected[PAYLOAD_MAX];
    char number[14] = "";
    EXPECT(run, record->payload.len >= 24, "a short payload");
    memcpy(number, record->payload.ptr, 13);
    const int id = (int)strtol(number, NULL, 10);
    const int index = (int)strtol(number + 11, NULL, 10);
    EXPECT(run, id >= 0 && id < run->append_count && index >= 0, "an unknown record %s", number);
    struct model_append *model = &run->appends[id];
    EXPECT(run, index < model->entry_count, "an unknown entry %s", number);
    struct model_entry *entry = &model->entries[index];
    const size_t len = payload_of(id, index, expected);
    EXPECT(run, nx_str_equal(record->payload, nx_str_of(expected, len)), "%s is changed", number);
    EXPECT(run, entry->stream == stream, "%s is in another stream", number);
    EXPECT(run, model->outcome != REFUSED, "%s was refused and is there", number);
    EXPECT(run, !entry->duplicate, "%s was a duplicate and is there", number);
    EXPECT(run, entry->sequence == 0 || entry->sequence == record->sequence,
           "%s has sequence %" PRIu64 ", was told %" PRIu64, number, record->sequence, entry->sequence);
    entry->sequence = record->sequence;
    entry->seen++;
    uint64_t *last = &run->last_of_subject[stream][entry->subject];
    if (model->has_condition) {
        EXPECT(run, *last == model->condition, "%s was written behind %" PRIu64 ", not %" PRIu64, number,
               *last, model->condition);
    }
    *last = record->sequence;
}

static void check_stream(struct run *run, int stream) {
    uint64_t next = 1;
    for (;;) {
        NX_AUTO(nx_read) *read = NULL;
        EXPECT(run, nx_read_new(NX_READ_SCAN, &read, NULL) == NX_OK, "no memory");
        read->stream = nx_arena_copy(&read->arena, nx_str_from_c(names[stream]));
        read->from_sequence = next;
        nx_fabric_read_now(run->fabric, read);
        if (read->status == NX_NOT_FOUND) {
            return;
        }
        EXPECT(run, read->status == NX_OK, "%s", read->error.message);
        EXPECT(run, read->lost_count == 0, "records of %s are lost\n%.*s", names[stream],
               NX_STR_ARG(nx_fabric_recovery_report(run->fabric)));
        for (size_t i = 0; i < read->record_count; i++) {
            EXPECT(run, read->records[i].sequence >= next, "out of order");
            next = read->records[i].sequence + 1;
            check_record(run, stream, &read->records[i]);
        }
        if (read->at_end) {
            return;
        }
        next = read->next_sequence;
    }
}

static void check_append(struct run *run, int id) {
    struct model_append *model = &run->appends[id];
    int wanted = 0;
    int seen = 0;
    for (int i = 0; i < model->entry_count; i++) {
        const struct model_entry *entry = &model->entries[i];
        EXPECT(run, entry->seen <= 1, "append %d is there twice", id);
        wanted += entry->duplicate ? 0 : 1;
        seen += entry->seen;
        EXPECT(run, model->outcome != WRITTEN || entry->duplicate || entry->seen == 1,
               "append %d entry %d was acknowledged (%s:%" PRIu64 ") and is gone", id, i,
               names[entry->stream], entry->sequence);
    }
    if (model->outcome == UNKNOWN) {
        bool has_key = false; /* what was never answered may have had duplicates in it */
        for (int i = 0; i < model->entry_count; i++) {
            has_key = has_key || model->entries[i].key > 0;
        }
        EXPECT(run, seen == 0 || seen == wanted || has_key, "append %d is there in part", id);
        model->outcome = seen > 0 ? WRITTEN : REFUSED;
        for (int i = 0; i < model->entry_count; i++) {
            model->entries[i].duplicate = model->entries[i].seen == 0;
        }
    }
}

static void check(struct run *run) {
    memset(run->last_of_subject, 0, sizeof run->last_of_subject);
    for (int i = 0; i < run->append_count; i++) {
        for (int k = 0; k < run->appends[i].entry_count; k++) {
            run->appends[i].entries[k].seen = 0;
        }
    }
    for (int i = 0; i < STREAMS; i++) {
        check_stream(run, i);
    }
    for (int i = 0; i < run->append_count; i++) {
        check_append(run, i);
    }
}

/* ---- lives ---- */

static bool is_quiet(void *data) {
    const struct run *run = data;
    return run->append_count >= run->goal && run->open_count == 0;
}

static void open_fabric(struct run *run) {
    struct nx_error err = { 0 };
    EXPECT(run, nx_fabric_open(&run->options, &run->fabric, &err) == NX_OK, "%s", err.message);
    if (getenv("VERBOSE") != NULL) {
        (void)printf("life %d: %d appends\n%.*s", run->life, run->append_count,
                     NX_STR_ARG(nx_fabric_recovery_report(run->fabric)));
    }
}

static void choose_faults(struct run *run) {
    struct nx_sim *sim = run->sim;
    struct nx_sim_faults faults = { .write_ns_max = 50000, .sync_ns_max = 200000 };
    switch (nx_sim_below(sim, 6)) {
    case 0:
    case 1:
        faults.crash_at = 1 + nx_sim_below(sim, 400);
        faults.crash_how = nx_sim_chance(sim, 300000) ? NX_SIM_KILL : NX_SIM_POWER_LOSS;
        break;
    case 2:
        faults.fail_sync_at = 1 + nx_sim_below(sim, 100);
        break;
    case 3:
        faults.fail_write_at = 1 + nx_sim_below(sim, 100);
        break;
    case 4: /* full sooner or later: appends are refused, nothing else happens */
        nx_sim_set_disk_size(sim, 100 * 1024 + nx_sim_below(sim, 400 * 1024));
        break;
    default:
        break;
    }
    nx_sim_set_faults(sim, &faults);
    if (getenv("VERBOSE") != NULL) {
        (void)printf(
            "life %d: crash at %" PRIu64 " how %d, sync fails at %" PRIu64 ", write at %" PRIu64 "\n",
            run->life, faults.crash_at, (int)faults.crash_how, faults.fail_sync_at, faults.fail_write_at);
    }
}

static void live(struct run *run) {
    struct nx_actor actors[3];
    run->goal = run->append_count + 20 + (int)nx_sim_below(run->sim, 500);
    run->open_count = 0;
    EXPECT(run, run->goal < APPENDS_MAX, "too many appends");
    EXPECT(run, nx_mailbox_open(OPEN_MAX * 2, &run->mailbox, NULL) == NX_OK, "no memory");
    nx_fabric_actors(run->fabric, &actors[0], &actors[1]);
    actors[2] =
        (struct nx_actor){ .name = "client", .mailbox = run->mailbox, .state = run, .step = client_step };
    for (int i = 0; i < 3; i++) {
        nx_sim_add(run->sim, &actors[i]);
    }
    choose_faults(run);
    const struct nx_sim_limits limits = { .is_done = is_quiet, .data = run, .step_count = 200000 };
    const enum nx_sim_end end = nx_sim_run(run->sim, &limits);
    EXPECT(run, end == NX_SIM_DONE || end == NX_SIM_CRASHED, "ended by %d, %d open", (int)end,
           run->open_count);
    const struct nx_sim_faults none = { 0 };
    nx_sim_set_disk_size(run->sim, DISK_SIZE);
    if (end == NX_SIM_DONE && nx_sim_chance(run->sim, 500000)) {
        nx_sim_crash(run->sim, nx_sim_chance(run->sim, 500000) ? NX_SIM_KILL : NX_SIM_POWER_LOSS);
    }
    nx_sim_remove_all(run->sim);
    nx_fabric_close(run->fabric);
    run->fabric = NULL;
    nx_mailbox_close(run->mailbox);
    if (nx_sim_has_crashed(run->sim)) {
        nx_sim_boot(run->sim);
    }
    nx_sim_set_faults(run->sim, &none);
}

static uint64_t run_seed(uint64_t seed) {
    struct run run = { .seed = seed };
    const struct nx_sim_options options = { .seed = seed };
    struct nx_sim *sim = NULL;
    run.appends = calloc(APPENDS_MAX, sizeof *run.appends);
    nx_assert(run.appends != NULL);
    if (nx_sim_open(&options, &sim, NULL) != NX_OK) {
        exit(1);
    }
    run.sim = sim;
    for (int i = 0; i < STREAMS; i++) {
        run.streams[i] = (struct nx_stream_config){ .name = nx_str_from_c(names[i]) };
    }
    run.options = (struct nx_fabric_options){ .disk = nx_sim_disk(sim),
                                              .clock = nx_sim_clock(sim),
                                              .random = nx_sim_random(sim),
                                              .directory = "/data",
                                              .streams = run.streams,
                                              .stream_count = STREAMS,
                                              .segment_size = (uint64_t)16 * 1024 << nx_sim_below(sim, 3) };
    for (run.life = 0; run.life < LIVES; run.life++) {
        open_fabric(&run);
        check(&run);
        live(&run);
    }
    open_fabric(&run);
    check(&run);
    nx_fabric_close(run.fabric);
    const uint64_t digest = nx_sim_digest(sim);
    nx_sim_close(sim);
    free(run.appends);
    return digest;
}

int main(int argc, char **argv) {
    return run_seeds("log_sim", run_seed, argc, argv);
}
