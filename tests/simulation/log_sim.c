/* tests/simulation/log_sim.c: the log in the simulated world, one seed one run, a model as oracle.
 *
 * A client keeps several appends under way: one to four records each, over a few streams, some with keys
 * against duplicates, some with conditions, some that delete a key; now and then it rests for seconds, hours
 * or more than a day. Each run is a few lives; a life ends by a kill, a loss of power, a failed write or
 * sync, or in good order, often while segments are sealed and runs merged. After each the log is opened again
 * and read from end to end: acknowledged records are there, unchanged, in order, with their sequences; an
 * append that was never answered is there as a whole or not at all, now and for ever; nothing else is. Of a
 * stream with a limit by subject exactly the newest are there; of one with a limit in bytes the newest,
 * without a gap, and with each what stands in the stream that goes with it; and a key that came again within
 * its stream's window was told so, whatever happened in between. What is about a person can be read until
 * they are forgotten and never again afterwards, and no file ever holds it in clear. One stream is not
 * declared: each life defines it anew, and what stood in it before is there until then, and after. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "fabric/fabric.h"
#include "files.h"
#include "io/sim.h"
#include "log_model.h"
#include "seeds.h"

enum {
    STREAMS = 8,
    AUDIT = STREAMS,    /* what erasures leave */
    CHOSEN_STREAMS = 7, /* by the client; the last one goes with another */
    SUBJECTS = 8,
    APPENDS_MAX = 4096,
    OPEN_MAX = 24,
    LIVES = 5,
    PAYLOAD_MAX = 3000,
    KEYS = 400,
    PEOPLE = 6,
    ERASURES_MAX = 1024,
    CLEAR_SIZE = 24, /* of a payload about a person: which entry it is */
    DISK_SIZE = 64 * 1024 * 1024,
};

static const char *const names[STREAMS + 1] = { "EVENTS",  "INVOCATIONS", "KV_a",     "LOGS", "KV_b",
                                                "HISTORY", "JS_7",        "OBJ_logs", "AUDIT" };
enum { EVENTS = 0, KV_CONDITIONS = 2, LOGS = 3, KV_NEWEST = 4, HISTORY = 5, DEFINED = 6, OF_LOGS = 7 };
/* How many records of a subject each keeps. */
static const uint64_t kept_of_subject[STREAMS] = { 0, 0, 0, 0, 1, 3, 0, 0 };
static const int64_t window_ns[STREAMS] = { [0] = 2 * 3600 * (int64_t)NX_NS_PER_S,
                                            [1 ... STREAMS - 1] = 120 * (int64_t)NX_NS_PER_S };
#define SECRET "what only this person may be told"
#define MARKER_KEPT_NS (24 * 3600 * (int64_t)NX_NS_PER_S)

struct run {
    uint64_t seed;
    struct nx_sim *sim;
    struct nx_fabric *fabric;
    struct nx_fabric_options options;
    struct nx_stream_config streams[STREAMS + 1];
    struct nx_mailbox *mailbox; /* the client's */
    struct model_append *appends;
    int append_count;
    struct model_erasure *erasures;
    int erasure_count;
    uint64_t audited_count; /* erasures of which it was said */
    int open_count;
    int goal; /* appends after which this life's client rests */
    int life;
    uint64_t last_of_subject[STREAMS][SUBJECTS]; /* what the client has been told */
    uint64_t tick;
    int64_t rest_until_ns;
    bool has_lost_power;
    bool is_disk_small;
    uint64_t first_seen[STREAMS]; /* by the last reading */
    uint64_t last_seen[STREAMS];
    uint64_t seen_count[STREAMS];
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
static size_t payload_of(int append, int entry, int person, char out[PAYLOAD_MAX]) {
    uint64_t state = (uint64_t)append * 8 + (uint64_t)entry + 1;
    state *= 0x9e3779b97f4a7c15ULL;
    const size_t least = CLEAR_SIZE + (person > 0 ? sizeof SECRET - 1 : 0);
    const size_t len = least + (size_t)((state >> 40) % ((state >> 60) == 0 ? PAYLOAD_MAX - least : 200));
    (void)snprintf(out, 24, "%010d %02d", append, entry);
    for (size_t i = 13; i < len; i++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        out[i] = (char)(state >> 56);
    }
    if (person > 0) {
        memcpy(out + CLEAR_SIZE, SECRET, sizeof SECRET - 1);
    }
    return len;
}

static void person_of(int person, char out[32]) {
    (void)snprintf(out, person > 0 ? 32 : 1, "person-%d", person); /* or nothing */
}

static void subject_of(const struct model_entry *entry, char out[64]) {
    const char *prefix = entry->stream == KV_CONDITIONS ? "$KV.a"
                         : entry->stream == KV_NEWEST   ? "$KV.b"
                                                        : "events";
    (void)snprintf(out, 64, "%s.s%d", prefix, entry->subject);
}

/* ---- the client ---- */

static void choose(struct run *run, struct model_append *model) {
    struct nx_sim *sim = run->sim;
    *model = (struct model_append){ .life = run->life };
    model->entry_count = nx_sim_chance(sim, 300000) ? 1 + (int)nx_sim_below(sim, ENTRIES_MAX) : 1;
    for (int i = 0; i < model->entry_count; i++) {
        struct model_entry *entry = &model->entries[i];
        entry->stream = (int)nx_sim_below(sim, CHOSEN_STREAMS);
        entry->subject = (int)nx_sim_below(sim, SUBJECTS);
        entry->is_deletion = entry->stream == KV_NEWEST && nx_sim_chance(sim, 200000);
        /* What clients of JetStream store is about nobody: what they call so is their own. */
        entry->person = !entry->is_deletion && entry->stream != DEFINED && nx_sim_chance(sim, 150000)
                            ? 1 + (int)nx_sim_below(sim, PEOPLE)
                            : 0;
        /* With its record a key goes too: where size alone decides, nothing can be promised. */
        entry->key =
            entry->stream != LOGS && nx_sim_chance(sim, 200000) ? 1 + (int)nx_sim_below(sim, KEYS) : 0;
        if (entry->stream == LOGS && i + 1 < ENTRIES_MAX) { /* it names what stands behind it, or before */
            model->entry_count = i + 2 > model->entry_count ? i + 2 : model->entry_count;
            model->entries[++i] =
                (struct model_entry){ .stream = OF_LOGS, .subject = entry->subject, .person = entry->person };
        }
    }
    if (nx_sim_chance(sim, 200000)) {
        model->entry_count = 1;
        model->entries[0].stream = KV_CONDITIONS;
        model->entries[0].key = 0;
        model->entries[0].is_deletion = false;
        model->has_condition = true;
        model->condition = run->last_of_subject[KV_CONDITIONS][model->entries[0].subject];
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
        char person[32];
        person_of(model->entries[i].person, person);
        subject_of(&model->entries[i], subject);
        if (model->entries[i].key > 0) {
            (void)snprintf(key, sizeof key, "key-%d", model->entries[i].key);
        }
        const struct nx_append_entry entry = {
            .stream = nx_str_from_c(names[model->entries[i].stream]),
            .subject = nx_str_from_c(subject),
            .headers = model->entries[i].is_deletion ? NX_STR("KV-Operation: DEL\r\n")
                                                     : NX_STR("Nexus-Event: EVENTS:1\r\n"),
            .payload = nx_str_of(payload, model->entries[i].is_deletion
                                              ? 0
                                              : payload_of(id, i, model->entries[i].person, payload)),
            .dedup_key = nx_str_from_c(key),
            .person = nx_str_from_c(person),
            .clear = nx_str_of(payload, person[0] == '\0' ? 0 : CLEAR_SIZE),
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
    model->sent = ++run->tick;
    if (!nx_mailbox_send(nx_fabric_appends(run->fabric), &append->message)) {
        nx_append_free(append);
        return;
    }
    run->append_count++;
    run->open_count++;
}

static void erase_somebody(struct run *run) {
    struct nx_erase *erase = NULL;
    char person[32];
    struct model_erasure *model = &run->erasures[run->erasure_count];
    EXPECT(run, run->erasure_count < ERASURES_MAX, "too many erasures");
    *model = (struct model_erasure){ .person = 1 + (int)nx_sim_below(run->sim, PEOPLE), .sent = ++run->tick };
    person_of(model->person, person);
    EXPECT(run, nx_erase_new(nx_str_from_c(person), &erase, NULL) == NX_OK, "no memory");
    erase->message.reply_to = run->mailbox;
    erase->message.context = model;
    if (!nx_mailbox_send(nx_fabric_reads(run->fabric), &erase->message)) {
        nx_message_release(&erase->message);
        return;
    }
    run->erasure_count++;
    run->open_count++;
}

/* Whether an erasure may have closed it, or (`surely`) has. */
static bool is_met(const struct run *run, const struct model_append *model, const struct model_entry *entry,
                   bool surely) {
    for (int i = 0; i < run->erasure_count; i++) {
        const struct model_erasure *erasure = &run->erasures[i];
        if (erasure->person != entry->person || erasure->state == ERASING_NOBODY) {
            continue;
        }
        if (surely ? erasure->state == ERASING_DONE && model->outcome == WRITTEN &&
                         erasure->sent > model->answered
                   : (erasure->answered == 0 || erasure->answered > model->sent) &&
                         erasure->sent > entry->open_at) {
            return true;
        }
    }
    return false;
}

/* Nobody of this name was known: then nothing about them may be there that can be read. */
static void check_nobody(struct run *run, const struct model_erasure *erasure) {
    for (int i = 0; i < run->append_count; i++) {
        const struct model_append *model = &run->appends[i];
        for (int k = 0; k < model->entry_count; k++) {
            const struct model_entry *entry = &model->entries[k];
            EXPECT(run,
                   entry->person != erasure->person || entry->duplicate || model->outcome != WRITTEN ||
                       model->answered > erasure->sent || entry->was_withheld ||
                       is_met(run, model, entry, false),
                   "person-%d is not known, but %d %d is about them", erasure->person, i, k);
        }
    }
}

static void take_erased(struct run *run, const struct nx_erase *erase) {
    struct model_erasure *model = erase->message.context;
    run->open_count--;
    model->answered = ++run->tick;
    model->state = erase->status == NX_OK          ? ERASING_DONE
                   : erase->status == NX_NOT_FOUND ? ERASING_NOBODY
                                                   : ERASING_UNKNOWN;
    EXPECT(run, erase->status == NX_OK || erase->status == NX_NOT_FOUND || erase->status == NX_UNAVAILABLE,
           "not erased: %s", erase->error.message);
    run->audited_count += erase->status == NX_OK && erase->error.message[0] == '\0' ? 1 : 0;
    if (model->state == ERASING_NOBODY) {
        check_nobody(run, model);
    }
}

/* Whether the key is taken for a duplicate follows from what was acknowledged before this was sent. */
static void check_key(struct run *run, const struct model_append *model, const struct model_entry *entry) {
    bool found = false;
    for (int i = 0; i < run->append_count; i++) {
        const struct model_append *other = &run->appends[i];
        for (int k = 0; k < other->entry_count; k++) {
            const struct model_entry *seen = &other->entries[k];
            if (seen == entry || seen->stream != entry->stream || seen->key != entry->key) {
                continue;
            }
            found = found || seen->may_have_been;
            if (seen->duplicate || other->outcome == REFUSED) {
                continue;
            }
            found = found || seen->sequence == 0 || seen->sequence == entry->sequence;
            EXPECT(run,
                   entry->duplicate || other->outcome != WRITTEN || other->answered > model->sent ||
                       entry->time_ns - seen->time_ns > window_ns[entry->stream],
                   "%s:%" PRIu64 " has the key of %" PRIu64 " and is no duplicate", names[entry->stream],
                   entry->sequence, seen->sequence);
        }
    }
    EXPECT(run, !entry->duplicate || found, "%s:%" PRIu64 " is a duplicate of nothing", names[entry->stream],
           entry->sequence);
}

static void take_answer(struct run *run, const struct nx_append *append) {
    struct model_append *model = append->message.context;
    run->open_count--;
    if (append->status != NX_OK) {
        /* A frozen log does not know what became of it; every other refusal wrote nothing. */
        model->outcome = append->error.kind == NX_KIND_LOG_FROZEN ? UNKNOWN : REFUSED;
        EXPECT(run,
               append->error.kind == NX_KIND_LOG_FROZEN || append->error.kind == NX_KIND_DISK_FULL ||
                   append->error.kind == NX_KIND_OVERLOADED ||
                   append->error.kind == NX_KIND_WRONG_LAST_SEQUENCE,
               "refused: %s", append->error.message);
        return;
    }
    model->outcome = WRITTEN;
    model->answered = ++run->tick;
    for (int i = 0; i < model->entry_count; i++) {
        struct model_entry *entry = &model->entries[i];
        entry->sequence = append->entries[i].sequence;
        entry->time_ns = append->entries[i].time_ns;
        entry->duplicate = append->entries[i].duplicate;
        uint64_t *last = &run->last_of_subject[entry->stream][entry->subject];
        if (!entry->duplicate && entry->sequence > *last) {
            *last = entry->sequence;
        }
    }
    for (int i = 0; i < model->entry_count; i++) {
        if (model->entries[i].key > 0) {
            check_key(run, model, &model->entries[i]);
        }
    }
}

static int64_t rest(struct run *run, struct nx_now now) {
    static const int64_t seconds_max[] = { 30, 30, 3 * 3600, 40 * 3600 };
    /* A full disk is looked at every second: hours of that are long. */
    const uint64_t kind =
        run->is_disk_small ? 0 : nx_sim_below(run->sim, sizeof seconds_max / sizeof seconds_max[0]);
    run->rest_until_ns = now.monotonic_ns +
                         (int64_t)nx_sim_below(run->sim, (uint64_t)seconds_max[kind]) * (int64_t)NX_NS_PER_S;
    return run->rest_until_ns;
}

static int64_t client_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct run *run = state;
    struct nx_message *message;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        if (message->kind == NX_FABRIC_ERASE) {
            take_erased(run, (struct nx_erase *)message);
        } else if (message->kind == NX_FABRIC_APPEND) {
            take_answer(run, (struct nx_append *)message);
        }
        nx_message_release(message);
    }
    if (run->rest_until_ns > now.monotonic_ns) {
        return run->rest_until_ns;
    }
    if (nx_sim_chance(run->sim, 2000)) {
        return rest(run, now);
    }
    while (run->append_count < run->goal && run->open_count < OPEN_MAX && nx_sim_chance(run->sim, 700000)) {
        if (nx_sim_chance(run->sim, 10000)) {
            erase_somebody(run);
        } else {
            send_one(run);
        }
    }
    return run->append_count < run->goal && run->open_count < OPEN_MAX
               ? now.monotonic_ns + (int64_t)nx_sim_below(run->sim, 300000)
               : NX_STEP_IDLE;
}

/* ---- checking ---- */

/* Which entry this is: a deletion has no payload to say so. */
static struct model_entry *find_entry(struct run *run, int stream, const struct nx_record *record,
                                      struct model_append **model_out) {
    char number[14] = "";
    int id = 0;
    int index = 0;
    if (record->payload.len == 0) {
        for (id = 0; id < run->append_count; id++) {
            for (index = 0; index < run->appends[id].entry_count; index++) {
                const struct model_entry *entry = &run->appends[id].entries[index];
                if (entry->is_deletion && entry->sequence == record->sequence && !entry->duplicate) {
                    *model_out = &run->appends[id];
                    return &run->appends[id].entries[index];
                }
            }
        }
        return NULL; /* one that was never answered */
    }
    EXPECT(run, record->payload.len >= 24, "a short payload in %s", names[stream]);
    memcpy(number, record->payload.ptr, 13);
    id = (int)strtol(number, NULL, 10);
    index = (int)strtol(number + 11, NULL, 10);
    EXPECT(run, id >= 0 && id < run->append_count && index >= 0, "an unknown record %s", number);
    EXPECT(run, index < run->appends[id].entry_count, "an unknown entry %s", number);
    *model_out = &run->appends[id];
    return &run->appends[id].entries[index];
}

/* What is about a person is there whole, or what stays in clear of it; after an erasure never again. */
static struct nx_str expected_of(struct run *run, const struct model_append *model, struct model_entry *entry,
                                 struct nx_str withheld, char payload[PAYLOAD_MAX]) {
    const int id = (int)(model - run->appends);
    const size_t len = payload_of(id, (int)(entry - model->entries), entry->person, payload);
    const bool is_told = is_met(run, model, entry, true);
    const bool is_torn = nx_str_is(withheld, "key-missing") && (entry->was_withheld || !is_told);
    if (withheld.len == 0) {
        EXPECT(run, !is_told && !entry->was_withheld, "%d is about person-%d, who was forgotten", id,
               entry->person);
        entry->open_at = run->tick;
        return nx_str_of(payload, len);
    }
    EXPECT(run, entry->person > 0 && (entry->was_withheld || is_met(run, model, entry, false)),
           "%d is withheld: %.*s", id, NX_STR_ARG(withheld));
    EXPECT(run, nx_str_starts_with(withheld, NX_STR("erased ")) || is_torn, "%.*s", NX_STR_ARG(withheld));
    entry->was_withheld = true;
    return nx_str_of(payload, CLEAR_SIZE);
}

static void check_record(struct run *run, int stream, const struct nx_record *record) {
    static char payload[PAYLOAD_MAX];
    struct model_append *model = NULL;
    struct model_entry *entry = find_entry(run, stream, record, &model);
    if (entry == NULL) {
        EXPECT(run, stream == KV_NEWEST, "an unknown deletion");
        return;
    }
    const int id = (int)(model - run->appends);
    const int index = (int)(entry - model->entries);
    if (!entry->is_deletion) {
        const struct nx_str expected = expected_of(run, model, entry, nx_record_withheld(record), payload);
        EXPECT(run, nx_str_equal(record->payload, expected), "%d %d is changed", id, index);
    }
    EXPECT(run, entry->stream == stream, "%d %d is in another stream", id, index);
    EXPECT(run, model->outcome != REFUSED, "%d %d was refused and is there", id, index);
    EXPECT(run, !entry->duplicate, "%d %d was a duplicate and is there", id, index);
    EXPECT(run, entry->sequence == 0 || entry->sequence == record->sequence,
           "%d %d has sequence %" PRIu64 ", was told %" PRIu64, id, index, record->sequence, entry->sequence);
    entry->sequence = record->sequence;
    entry->time_ns = record->time_ns;
    entry->seen++;
    uint64_t *last = &run->last_of_subject[stream][entry->subject];
    if (model->has_condition) {
        EXPECT(run, *last == model->condition, "%d was written behind %" PRIu64 ", not %" PRIu64, id, *last,
               model->condition);
    }
    *last = record->sequence;
}

static struct nx_read *new_read(struct run *run, enum nx_read_kind kind, int stream) {
    struct nx_read *read = NULL;
    EXPECT(run, nx_read_new(kind, &read, NULL) == NX_OK, "no memory");
    read->stream = nx_arena_copy(&read->arena, nx_str_from_c(names[stream]));
    return read;
}

static void check_info(struct run *run, int stream) {
    NX_AUTO(nx_read) *read = new_read(run, NX_READ_INFO, stream);
    nx_fabric_read_now(run->fabric, read);
    EXPECT(run, read->status == NX_OK && read->info_count == 1, "no information");
    EXPECT(run, read->infos[0].count == run->seen_count[stream],
           "%s has %" PRIu64 " records and says %" PRIu64, names[stream], run->seen_count[stream],
           read->infos[0].count);
}

static void check_stream(struct run *run, int stream) {
    uint64_t next = 1;
    run->first_seen[stream] = UINT64_MAX;
    run->last_seen[stream] = 0;
    run->seen_count[stream] = 0;
    for (;;) {
        NX_AUTO(nx_read) *read = new_read(run, NX_READ_SCAN, stream);
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
            run->first_seen[stream] =
                run->first_seen[stream] == UINT64_MAX ? next - 1 : run->first_seen[stream];
            run->last_seen[stream] = next - 1;
            run->seen_count[stream]++;
        }
        if (read->at_end) {
            check_info(run, stream);
            return;
        }
        next = read->next_sequence;
    }
}

/* Records of the same subject with a higher sequence that are known to have been written, or only those that
 * were read. */
static uint64_t count_newer(const struct run *run, const struct model_entry *entry, bool only_seen) {
    uint64_t count = 0;
    for (int i = 0; i < run->append_count; i++) {
        for (int k = 0; k < run->appends[i].entry_count; k++) {
            const struct model_entry *other = &run->appends[i].entries[k];
            count += other->stream == entry->stream && other->subject == entry->subject &&
                             other->sequence > entry->sequence && !other->duplicate &&
                             (only_seen ? other->seen > 0 : run->appends[i].outcome == WRITTEN)
                         ? 1
                         : 0;
        }
    }
    return count;
}

static void check_gone(struct run *run, const struct model_entry *entry) {
    NX_AUTO(nx_read) *read = new_read(run, NX_READ_BY_SEQUENCE, entry->stream);
    read->from_sequence = entry->sequence;
    nx_fabric_read_now(run->fabric, read);
    EXPECT(run, read->status == NX_NOT_FOUND && read->error.kind == NX_KIND_EXPIRED,
           "%s:%" PRIu64 " is gone and is not said to be: %s", names[entry->stream], entry->sequence,
           read->error.message);
}

/* Retention takes those by age, by size, or behind what names them. */
static bool may_have_gaps(const struct model_entry *entry) {
    return entry->stream == LOGS || entry->stream == OF_LOGS;
}

/* An acknowledged record that was not read: was there a reason? */
static void check_absent(struct run *run, int id, const struct model_entry *entry, int64_t now_ns) {
    const uint64_t kept = kept_of_subject[entry->stream];
    const bool was_replaced = kept > 0 && count_newer(run, entry, true) >= kept;
    /* After a loss of power files that were deleted may be back, and holes in others not: then there is a gap
     * between what should have left and what stays. */
    const bool has_expired =
        entry->stream == LOGS &&
        entry->sequence < (run->has_lost_power ? run->last_seen[LOGS] : run->first_seen[LOGS]);
    const bool has_followed =
        entry->stream == OF_LOGS && (entry - 1)->stream == LOGS && (entry - 1)->seen == 0;
    const bool was_deleted = entry->is_deletion && entry->time_ns < now_ns - MARKER_KEPT_NS;
    /* A deletion that nobody was told of may stand in front of it: its number is not known. */
    const bool may_be_deleted =
        entry->stream == KV_NEWEST && run->last_of_subject[KV_NEWEST][entry->subject] == 0;
    EXPECT(run, was_replaced || has_expired || has_followed || was_deleted || may_be_deleted,
           "append %d (%s:%" PRIu64 ") was acknowledged and is gone", id, names[entry->stream],
           entry->sequence);
    const bool is_in_gap = may_have_gaps(entry) && entry->sequence > run->first_seen[entry->stream];
    if (!is_in_gap && nx_sim_chance(run->sim, 20000)) {
        check_gone(run, entry);
    }
}

/* Retention and newer records may have taken what was never acknowledged. */
static bool may_leave(const struct model_entry *entry) {
    return may_have_gaps(entry) || kept_of_subject[entry->stream] > 0;
}

/* Whatever happened: what a record that can be read names is there. */
static void check_named(struct run *run, int id) {
    const struct model_append *model = &run->appends[id];
    for (int i = 0; i + 1 < model->entry_count; i++) {
        EXPECT(run,
               model->entries[i].stream != LOGS || model->entries[i].seen == 0 ||
                   model->entries[i + 1].stream != OF_LOGS || model->entries[i + 1].seen == 1,
               "append %d: LOGS:%" PRIu64 " is there, and what it names is not", id,
               model->entries[i].sequence);
    }
}

static void check_append(struct run *run, int id, int64_t now_ns) {
    struct model_append *model = &run->appends[id];
    int wanted = 0;
    int seen = 0;
    int seen_of_wanted = 0;
    check_named(run, id);
    for (int i = 0; i < model->entry_count; i++) {
        const struct model_entry *entry = &model->entries[i];
        EXPECT(run, entry->seen <= 1, "append %d is there twice", id);
        wanted += entry->duplicate || may_leave(entry) ? 0 : 1;
        seen += entry->seen;
        seen_of_wanted += may_leave(entry) ? 0 : entry->seen;
        if (model->outcome == WRITTEN && !entry->duplicate && entry->seen == 0) {
            check_absent(run, id, entry, now_ns);
        }
        if (kept_of_subject[entry->stream] > 0 && entry->seen > 0) {
            EXPECT(run, count_newer(run, entry, false) < kept_of_subject[entry->stream],
                   "%s:%" PRIu64 " was replaced and is there", names[entry->stream], entry->sequence);
        }
    }
    if (model->outcome == UNKNOWN) {
        bool has_key = false; /* what was never answered may have had duplicates in it */
        for (int i = 0; i < model->entry_count; i++) {
            has_key = has_key || model->entries[i].key > 0;
        }
        EXPECT(run, seen == 0 || seen_of_wanted == wanted || has_key, "append %d is there in part", id);
        model->outcome = seen > 0 ? WRITTEN : REFUSED;
        model->answered = ++run->tick;
        for (int i = 0; i < model->entry_count; i++) {
            struct model_entry *entry = &model->entries[i];
            entry->may_have_been = may_leave(entry) && !entry->duplicate && entry->seen == 0;
            entry->duplicate = entry->seen == 0;
        }
    }
}

/* Each erasure that was acknowledged as a whole has left its record. */
static void check_audit(struct run *run) {
    NX_AUTO(nx_read) *read = new_read(run, NX_READ_INFO, AUDIT);
    nx_fabric_read_now(run->fabric, read);
    EXPECT(run, read->info_count == 1 && read->infos[0].count >= run->audited_count,
           "not all of %" PRIu64 " erasures have left a record", run->audited_count);
}

static void check(struct run *run) {
    const struct nx_clock clock = nx_sim_clock(run->sim);
    const int64_t now_ns = nx_clock_read(&clock).wall_ns;
    memset(run->last_of_subject, 0, sizeof run->last_of_subject);
    for (int i = 0; i < run->append_count; i++) {
        for (int k = 0; k < run->appends[i].entry_count; k++) {
            run->appends[i].entries[k].seen = 0;
        }
    }
    for (int i = 0; i < run->erasure_count; i++) {
        if (run->erasures[i].answered == 0) {
            run->erasures[i].answered = ++run->tick; /* nobody waits for it any more: it was, or it was not */
        }
    }
    for (int i = 0; i < STREAMS; i++) {
        check_stream(run, i);
    }
    check_audit(run);
    for (int i = 0; i < run->append_count; i++) {
        check_append(run, i, now_ns);
    }
}

static void check_files(struct run *run) {
    static const char *const folders[] = { "/data", "/data/journal", "/data/keys", NULL };
    char path[256];
    EXPECT(run, !is_in_files(nx_sim_disk(run->sim), folders, NX_STR(SECRET), path),
           "%s has in clear what is about a person", path);
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
    run->is_disk_small = false;
    struct nx_sim_faults faults = { .write_ns_max = 50000, .sync_ns_max = 200000 };
    switch (nx_sim_below(sim, 6)) {
    case 0:
    case 1:
        faults.crash_at = 1 + nx_sim_below(sim, 400);
        faults.crash_how = nx_sim_chance(sim, 300000) ? NX_SIM_KILL : NX_SIM_POWER_LOSS;
        run->has_lost_power = run->has_lost_power || faults.crash_how == NX_SIM_POWER_LOSS;
        break;
    case 2:
        faults.fail_sync_at = 1 + nx_sim_below(sim, 100);
        break;
    case 3:
        faults.fail_write_at = 1 + nx_sim_below(sim, 100);
        break;
    case 4: /* full sooner or later: appends are refused, nothing else happens */
        run->is_disk_small = true;
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

/* Before the first append of a life: then it is known when they come. */
static void define_stream(struct run *run) {
    struct nx_define *define = NULL;
    EXPECT(run, nx_define_new(nx_str_from_c(names[DEFINED]), &define, NULL) == NX_OK, "no memory");
    define->dedup_window_ns = window_ns[DEFINED];
    define->message.reply_to = run->mailbox;
    EXPECT(run, nx_mailbox_send(nx_fabric_appends(run->fabric), &define->message), "the mailbox is full");
}

static void live(struct run *run) {
    struct nx_actor actors[3];
    run->goal = run->append_count + 20 + (int)nx_sim_below(run->sim, 700);
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
    define_stream(run);
    const struct nx_sim_limits limits = { .is_done = is_quiet, .data = run, .step_count = 200000 };
    const enum nx_sim_end end = nx_sim_run(run->sim, &limits);
    EXPECT(run, end == NX_SIM_DONE || end == NX_SIM_CRASHED, "ended by %d, %d open", (int)end,
           run->open_count);
    const struct nx_sim_faults none = { 0 };
    nx_sim_set_disk_size(run->sim, DISK_SIZE);
    if (end == NX_SIM_DONE && nx_sim_chance(run->sim, 500000)) {
        const enum nx_sim_crash how = nx_sim_chance(run->sim, 500000) ? NX_SIM_KILL : NX_SIM_POWER_LOSS;
        run->has_lost_power = run->has_lost_power || how == NX_SIM_POWER_LOSS;
        nx_sim_crash(run->sim, how);
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
    run.erasures = calloc(ERASURES_MAX, sizeof *run.erasures);
    nx_assert(run.appends != NULL && run.erasures != NULL);
    if (nx_sim_open(&options, &sim, NULL) != NX_OK) {
        exit(1);
    }
    run.sim = sim;
    size_t declared = 0;
    for (int i = 0; i < STREAMS; i++) {
        if (i == DEFINED) {
            continue;
        }
        run.streams[declared++] =
            (struct nx_stream_config){ .name = nx_str_from_c(names[i]),
                                       .per_subject_max = kept_of_subject[i],
                                       .dedup_window_ns = window_ns[i],
                                       .size_max = i == LOGS ? 16 * 1024 : 0,
                                       .goes_with = i == OF_LOGS ? NX_STR("LOGS") : NX_STR_EMPTY };
    }
    run.streams[declared++] = (struct nx_stream_config){ .name = nx_str_from_c(names[AUDIT]) };
    run.options = (struct nx_fabric_options){ .disk = nx_sim_disk(sim),
                                              .clock = nx_sim_clock(sim),
                                              .random = nx_sim_random(sim),
                                              .directory = "/data",
                                              .streams = run.streams,
                                              .stream_count = declared,
                                              .segment_size = (uint64_t)16 * 1024 << nx_sim_below(sim, 3) };
    /* In every other seed what waits to be sealed meets its limit now and then. */
    run.options.unsealed_max = seed % 2 == 0 ? 0 : (4 + nx_sim_below(sim, 8)) * run.options.segment_size;
    for (run.life = 0; run.life < LIVES; run.life++) {
        open_fabric(&run);
        check(&run);
        live(&run);
    }
    open_fabric(&run);
    check(&run);
    nx_fabric_close(run.fabric);
    check_files(&run);
    const uint64_t digest = nx_sim_digest(sim);
    nx_sim_close(sim);
    free(run.appends);
    free(run.erasures);
    return digest;
}

int main(int argc, char **argv) {
    return run_seeds("log_sim", run_seed, argc, argv);
}
