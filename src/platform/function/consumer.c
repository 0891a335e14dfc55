#include "platform/function/consumer.h"

#include "base/assert.h"

enum {
    AHEAD_MAX = 64 * 1024 * 1024,  /* facts about what is not taken in yet */
    EARLIER_COUNT_MAX = 32 * 1024, /* earlier attempts named in a record: the rest of it must find room too */
    CALM_CALLS = 16,               /* without a conflict of keys, after which one more may run beside */
    WIDTH_MAX = 16,                /* beside each other in peace: they are limited no more */
};

/* The items of one order key: one of them may run, the others wait in their order. */
struct nx_lane {
    uint64_t key_hash;
    struct nx_item *holder;
    struct nx_list waiting; /* struct nx_item by in_queue */
};

static struct nx_item *item_in_queue(struct nx_list_node *node) {
    return nx_container_of(node, struct nx_item, in_queue);
}

static struct nx_str key_of(const uint64_t *key_hash) {
    return nx_str_of(key_hash, sizeof *key_hash);
}

/* Which item a fact is about. */
struct fact_key {
    uint64_t sequence;
    uint64_t dead_letter;
};

static struct nx_str fact_key_of(const struct fact_key *key) {
    return nx_str_of(key, sizeof *key);
}

enum nx_status nx_consumer_new(struct nx_str name, uint64_t seed, struct nx_consumer **consumer_out,
                               struct nx_error *err) {
    nx_assert(name.len <= NX_FUNCTION_NAME_SIZE_MAX);
    struct nx_consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL) {
        return nx_fail_memory(err);
    }
    memcpy(consumer->name, name.ptr, name.len);
    consumer->start = consumer->cursor = consumer->requeue_next = consumer->requeue_end = 1;
    nx_list_init(&consumer->pending);
    nx_list_init(&consumer->ready);
    nx_map_init(&consumer->lanes, NX_CONSUMER_PENDING_MAX + 1, seed);
    nx_map_init(&consumer->ahead, AHEAD_MAX, seed);
    *consumer_out = consumer;
    return NX_OK;
}

static void item_free(struct nx_item *item) {
    free(item->earlier);
    free(item->body);
    free(item);
}

void nx_consumer_free(struct nx_consumer *consumer) {
    if (consumer == NULL) {
        return;
    }
    size_t cursor = 0;
    void *value;
    struct nx_list_node *node;
    while (nx_map_next(&consumer->lanes, &cursor, NULL, &value)) {
        free(value);
    }
    cursor = 0;
    while (nx_map_next(&consumer->ahead, &cursor, NULL, &value)) {
        free(value);
    }
    while ((node = nx_list_take_first(&consumer->pending)) != NULL) {
        item_free(nx_container_of(node, struct nx_item, in_pending));
    }
    nx_map_fini(&consumer->lanes);
    nx_map_fini(&consumer->ahead);
    free(consumer->facts);
    free(consumer);
}

bool nx_consumer_has_room(const struct nx_consumer *consumer) {
    return consumer->pending.count < NX_CONSUMER_PENDING_MAX && !consumer->is_stray;
}

/* Note an attempt that was made; one that is known already changes nothing. */
static enum nx_status note_attempt(struct nx_item *item, uint32_t attempt, uint64_t invocation,
                                   int64_t failed_at_ns, struct nx_error *err) {
    if (attempt <= item->attempt) {
        return NX_OK;
    }
    item->attempt = attempt;
    item->failed_at_ns = failed_at_ns;
    if (item->earlier_count == NX_INVOCATION_EARLIER_MAX) {
        return NX_OK;
    }
    uint64_t *earlier = realloc(item->earlier, (item->earlier_count + 1) * sizeof *earlier);
    if (earlier == NULL) {
        return nx_fail_memory(err);
    }
    item->earlier = earlier;
    item->earlier[item->earlier_count++] = invocation;
    return NX_OK;
}

/* NULL when there is no memory. */
static struct nx_item *new_item(struct nx_consumer *consumer, uint64_t sequence, uint64_t dead_letter,
                                uint32_t series) {
    struct nx_item *item = calloc(1, sizeof *item);
    if (item == NULL) {
        return NULL;
    }
    item->consumer = consumer;
    item->sequence = sequence;
    item->dead_letter = dead_letter;
    item->series = series;
    nx_list_append(&consumer->pending, &item->in_pending);
    consumer->changed = true;
    return item;
}

enum nx_status nx_consumer_add(struct nx_consumer *consumer, uint64_t sequence, uint64_t dead_letter,
                               uint32_t series, struct nx_item **item_out, struct nx_error *err) {
    const struct fact_key key = { .sequence = sequence, .dead_letter = dead_letter };
    const struct nx_consumer_fact *fact =
        consumer->ahead.count == 0 ? NULL : nx_map_get(&consumer->ahead, fact_key_of(&key));
    struct nx_item *item = NULL;
    if (fact == NULL || !fact->done) {
        item = new_item(consumer, sequence, dead_letter, series);
        if (item == NULL) {
            return nx_fail_memory(err);
        }
    }
    if (item != NULL && fact != NULL) {
        const enum nx_status status = note_attempt(item, fact->attempt, fact->invocation, fact->time_ns, err);
        if (status != NX_OK) {
            nx_list_remove(&consumer->pending, &item->in_pending);
            item_free(item);
            return status;
        }
    }
    if (fact != NULL) {
        free(nx_map_remove(&consumer->ahead, fact_key_of(&key)));
    }
    *item_out = item;
    return NX_OK;
}

static void make_ready(struct nx_item *item, bool in_front) {
    struct nx_list *ready = &item->consumer->ready;
    if (item->attempt > 0 && item->state != NX_ITEM_RETRYING && item->state != NX_ITEM_RUNNING &&
        item->state != NX_ITEM_FETCHING) {
        /* Known from before the restart: its wait is not over. */
        item->state = NX_ITEM_RETRYING;
        item->consumer->retrying_count++;
        return;
    }
    item->state = NX_ITEM_READY;
    if (in_front) {
        nx_list_prepend(ready, &item->in_queue);
    } else {
        nx_list_append(ready, &item->in_queue);
    }
}

/* NULL when there is no memory. */
static struct nx_lane *lane_for(struct nx_consumer *consumer, uint64_t key_hash) {
    struct nx_lane *lane = nx_map_get(&consumer->lanes, key_of(&key_hash));
    if (lane != NULL) {
        return lane;
    }
    lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        return NULL;
    }
    lane->key_hash = key_hash;
    nx_list_init(&lane->waiting);
    if (nx_map_set(&consumer->lanes, key_of(&key_hash), lane, NULL) != NX_OK) {
        free(lane);
        return NULL;
    }
    return lane;
}

enum nx_status nx_consumer_queue(struct nx_item *item, uint64_t key_hash, struct nx_error *err) {
    item->key_hash = key_hash;
    if (key_hash != 0) {
        struct nx_lane *lane = lane_for(item->consumer, key_hash);
        if (lane == NULL) {
            item->state = NX_ITEM_BLOCKED; /* by nobody: it is in no lane */
            return nx_fail_memory(err);
        }
        item->lane = lane;
        if (lane->holder != NULL) {
            item->state = NX_ITEM_BLOCKED;
            nx_list_append(&lane->waiting, &item->in_queue);
            return NX_OK;
        }
        lane->holder = item;
    }
    make_ready(item, false);
    return NX_OK;
}

struct nx_item *nx_consumer_take(struct nx_consumer *consumer) {
    struct nx_list_node *node = nx_list_take_first(&consumer->ready);
    if (node == NULL) {
        return NULL;
    }
    struct nx_item *item = item_in_queue(node);
    item->state = NX_ITEM_RUNNING;
    consumer->running_count++;
    return item;
}

static bool is_running(const struct nx_item *item) {
    return item->state == NX_ITEM_RUNNING || item->state == NX_ITEM_FETCHING;
}

bool nx_consumer_may_run(const struct nx_consumer *consumer) {
    const struct nx_registered *registered = consumer->registered;
    return registered != NULL && consumer->phase == NX_CONSUMER_LOADED &&
           !nx_list_is_empty(&consumer->ready) &&
           (registered->function->concurrency_max == 0 ||
            consumer->running_count < registered->function->concurrency_max) &&
           (consumer->width == 0 || consumer->running_count < consumer->width);
}

void nx_consumer_note_conflicts(struct nx_consumer *consumer, const struct nx_task *task) {
    if (task->answer == NX_TASK_GAVE_WAY) {
        consumer->width = 1;
        consumer->calm_count = 0;
    } else if (consumer->width > 1 && task->conflicts > 0) {
        consumer->width--;
        consumer->calm_count = 0;
    } else if (consumer->width > 0 && ++consumer->calm_count >= CALM_CALLS) {
        consumer->width = consumer->width < WIDTH_MAX ? consumer->width + 1 : 0;
        consumer->calm_count = 0;
    }
}

void nx_consumer_put_back(struct nx_item *item) {
    nx_assert(is_running(item));
    item->consumer->running_count--;
    make_ready(item, true);
}

void nx_consumer_retry(struct nx_item *item, uint64_t invocation, int64_t failed_at_ns) {
    nx_assert(is_running(item));
    item->consumer->running_count--;
    item->consumer->retrying_count++;
    item->consumer->changed = true;
    item->state = NX_ITEM_RETRYING;
    /* Without memory the attempt counts, but is not named. */
    (void)!note_attempt(item, item->attempt + 1, invocation, failed_at_ns, NULL);
}

void nx_consumer_wake(struct nx_item *item) {
    nx_assert(item->state == NX_ITEM_RETRYING);
    item->consumer->retrying_count--;
    make_ready(item, true);
}

struct nx_item *nx_consumer_end(struct nx_item *item) {
    struct nx_consumer *consumer = item->consumer;
    struct nx_lane *lane = item->lane;
    struct nx_item *next = NULL;
    if (is_running(item)) {
        consumer->running_count--;
    } else if (item->state == NX_ITEM_RETRYING) {
        consumer->retrying_count--;
    }
    nx_list_remove(&consumer->pending, &item->in_pending);
    consumer->changed = true;
    if (lane != NULL) {
        nx_assert(lane->holder == item);
        struct nx_list_node *node = nx_list_take_first(&lane->waiting);
        if (node != NULL) {
            next = lane->holder = item_in_queue(node);
            make_ready(next, false);
        } else {
            (void)nx_map_remove(&consumer->lanes, key_of(&lane->key_hash));
            free(lane);
        }
    }
    item_free(item);
    return next;
}

uint64_t nx_consumer_floor(const struct nx_consumer *consumer) {
    uint64_t floor = consumer->cursor;
    /* In the order in which they were taken in, which is rising but for dead letters put back. */
    for (const struct nx_list_node *node = nx_list_first(&consumer->pending); node != NULL;
         node = nx_list_next(&consumer->pending, node)) {
        const struct nx_item *item = nx_container_of(node, struct nx_item, in_pending);
        floor = item->sequence < floor ? item->sequence : floor;
        if (item->dead_letter == 0) {
            break;
        }
    }
    return floor;
}

/* A fact is of use for what is still to be taken in. */
static bool is_ahead(const struct nx_consumer_fact *fact, uint64_t cursor, uint64_t requeue_next) {
    return fact->dead_letter == 0 ? fact->sequence >= cursor : fact->dead_letter >= requeue_next;
}

/* What was done before the restart and has not been taken in again: the records that said so will not be read
 * once more after this checkpoint. */
static void encode_ahead(const struct nx_consumer *consumer, uint64_t cursor, struct nx_buf *out) {
    size_t position = 0;
    uint64_t count = 0;
    void *value;
    while (nx_map_next(&consumer->ahead, &position, NULL, &value)) {
        count += is_ahead(value, cursor, consumer->requeue_next);
    }
    nx_buf_append_varint(out, count);
    position = 0;
    while (nx_map_next(&consumer->ahead, &position, NULL, &value)) {
        const struct nx_consumer_fact *fact = value;
        if (is_ahead(fact, cursor, consumer->requeue_next)) {
            nx_buf_append_varint(out, fact->sequence);
            nx_buf_append_varint(out, fact->dead_letter);
            nx_buf_append_varint(out, fact->series);
            nx_buf_append_varint(out, fact->attempt);
            nx_buf_append_u8(out, fact->done);
            nx_buf_append_varint(out, fact->invocation);
            nx_buf_append_u64(out, (uint64_t)fact->time_ns);
        }
    }
}

/* How many earlier attempts of each item are named: when much waits for its next one, only the newest. */
static uint32_t earlier_kept(const struct nx_consumer *consumer) {
    const size_t count = consumer->pending.count;
    const size_t kept = count == 0 ? NX_INVOCATION_EARLIER_MAX : EARLIER_COUNT_MAX / count;
    return kept < NX_INVOCATION_EARLIER_MAX ? (uint32_t)kept : NX_INVOCATION_EARLIER_MAX;
}

void nx_consumer_encode(const struct nx_consumer *consumer, uint64_t epoch, uint64_t head,
                        struct nx_buf *out) {
    const uint32_t kept = earlier_kept(consumer);
    uint64_t before = 0;
    const bool attached = consumer->attached && consumer->registered != NULL;
    const uint64_t cursor = consumer->attached && head > consumer->cursor ? head : consumer->cursor;
    nx_buf_append_u8(out, NX_CONSUMER_FORMAT);
    nx_buf_append_varint(out, epoch);
    nx_buf_append_u8(out, attached);
    nx_buf_append_varint(out, consumer->start);
    nx_buf_append_varint(out, cursor);
    nx_buf_append_varint(out, consumer->requeue_next);
    nx_buf_append_varint(out, consumer->requeue_end);
    nx_buf_append_varint(out, consumer->pending.count);
    for (const struct nx_list_node *node = nx_list_first(&consumer->pending); node != NULL;
         node = nx_list_next(&consumer->pending, node)) {
        const struct nx_item *item = nx_container_of(node, struct nx_item, in_pending);
        nx_buf_append_varint_signed(out, (int64_t)(item->sequence - before));
        before = item->sequence;
        nx_buf_append_varint(out, item->dead_letter);
        nx_buf_append_varint(out, item->series);
        nx_buf_append_u8(out, item->state == NX_ITEM_KEYLESS);
        nx_buf_append_varint(out, item->key_hash);
        nx_buf_append_varint(out, item->attempt);
        if (item->attempt > 0) {
            nx_buf_append_u64(out, (uint64_t)item->failed_at_ns);
            const uint32_t count = item->earlier_count < kept ? item->earlier_count : kept;
            nx_buf_append_varint(out, count);
            for (uint32_t i = item->earlier_count - count; i < item->earlier_count; i++) {
                nx_buf_append_varint(out, item->earlier[i]);
            }
        }
    }
    encode_ahead(consumer, cursor, out);
    nx_buf_append_varint(out, consumer->generation);
}

static enum nx_status damaged(struct nx_error *err) {
    return nx_fail(err, NX_DATA_LOSS, "a damaged checkpoint in CONSUMERS");
}

static enum nx_status decode_item(struct nx_consumer *consumer, struct nx_reader *reader, uint64_t *before,
                                  struct nx_error *err) {
    const uint64_t sequence = *before + (uint64_t)nx_reader_varint_signed(reader);
    const uint64_t dead_letter = nx_reader_varint(reader);
    const uint32_t series = (uint32_t)nx_reader_varint(reader);
    const bool is_keyless = nx_reader_u8(reader) != 0;
    const uint64_t key_hash = nx_reader_varint(reader);
    const uint32_t attempt = (uint32_t)nx_reader_varint(reader);
    if (!nx_reader_ok(reader)) {
        return damaged(err);
    }
    struct nx_item *item = new_item(consumer, sequence, dead_letter, series);
    if (item == NULL) {
        return nx_fail_memory(err);
    }
    *before = sequence;
    item->key_hash = key_hash;
    item->state = is_keyless ? NX_ITEM_KEYLESS : NX_ITEM_BLOCKED;
    if (attempt == 0) {
        return NX_OK;
    }
    item->attempt = attempt;
    item->failed_at_ns = (int64_t)nx_reader_u64(reader);
    const uint64_t earlier_count = nx_reader_varint(reader);
    if (earlier_count > NX_INVOCATION_EARLIER_MAX) {
        return damaged(err);
    }
    item->earlier = calloc(earlier_count + 1, sizeof *item->earlier);
    if (item->earlier == NULL) {
        return nx_fail_memory(err);
    }
    for (uint64_t i = 0; i < earlier_count; i++) {
        item->earlier[item->earlier_count++] = nx_reader_varint(reader);
    }
    return NX_OK;
}

/* A fact about something that is not in the window: behind the cursor it is done and known to be; from there
 * on it is kept until it is taken in. */
static enum nx_status apply_ahead(struct nx_consumer *consumer, const struct nx_consumer_fact *fact,
                                  struct nx_error *err) {
    if (!is_ahead(fact, consumer->cursor, consumer->requeue_next)) {
        return NX_OK;
    }
    const struct fact_key key = { .sequence = fact->sequence, .dead_letter = fact->dead_letter };
    struct nx_consumer_fact *kept = nx_map_get(&consumer->ahead, fact_key_of(&key));
    if (kept != NULL) {
        if (fact->done || fact->attempt > kept->attempt) {
            *kept = *fact;
        }
        return NX_OK;
    }
    kept = malloc(sizeof *kept);
    if (kept == NULL) {
        return nx_fail_memory(err);
    }
    *kept = *fact;
    const enum nx_status status = nx_map_set(&consumer->ahead, fact_key_of(&key), kept, err);
    if (status != NX_OK) {
        free(kept);
    }
    return status;
}

static enum nx_status decode_ahead(struct nx_consumer *consumer, struct nx_reader *reader,
                                   struct nx_error *err) {
    const uint64_t count = nx_reader_varint(reader);
    for (uint64_t i = 0; i < count && nx_reader_ok(reader); i++) {
        struct nx_consumer_fact fact = { .sequence = nx_reader_varint(reader) };
        fact.dead_letter = nx_reader_varint(reader);
        fact.series = (uint32_t)nx_reader_varint(reader);
        fact.attempt = (uint32_t)nx_reader_varint(reader);
        fact.done = nx_reader_u8(reader) != 0;
        fact.invocation = nx_reader_varint(reader);
        fact.time_ns = (int64_t)nx_reader_u64(reader);
        if (nx_reader_ok(reader)) {
            NX_TRY(apply_ahead(consumer, &fact, err));
        }
    }
    return NX_OK;
}

enum nx_status nx_consumer_decode(struct nx_consumer *consumer, struct nx_str payload, struct nx_error *err) {
    struct nx_reader reader = nx_reader_of(payload);
    uint64_t before = 0;
    nx_assert(nx_list_is_empty(&consumer->pending));
    const uint8_t version = nx_reader_u8(&reader);
    if (nx_reader_ok(&reader) && version != NX_CONSUMER_FORMAT) {
        return nx_fail_kind(err, NX_KIND_FORMAT_VERSION, "a checkpoint of format %u, not %d", version,
                            NX_CONSUMER_FORMAT);
    }
    consumer->epoch = nx_reader_varint(&reader);
    consumer->attached = nx_reader_u8(&reader) != 0;
    consumer->start = nx_reader_varint(&reader);
    consumer->cursor = nx_reader_varint(&reader);
    consumer->requeue_next = nx_reader_varint(&reader);
    consumer->requeue_end = nx_reader_varint(&reader);
    const uint64_t count = nx_reader_varint(&reader);
    if (!nx_reader_ok(&reader) || count > NX_CONSUMER_PENDING_MAX) {
        return damaged(err);
    }
    for (uint64_t i = 0; i < count; i++) {
        NX_TRY(decode_item(consumer, &reader, &before, err));
    }
    NX_TRY(decode_ahead(consumer, &reader, err));
    consumer->generation = nx_reader_varint(&reader);
    consumer->changed = false;
    return nx_reader_ok(&reader) && nx_reader_left(&reader) == 0 ? NX_OK : damaged(err);
}

uint64_t nx_consumer_requeue_end_of(struct nx_str payload) {
    struct nx_reader reader = nx_reader_of(payload);
    const uint8_t version = nx_reader_u8(&reader);
    (void)nx_reader_varint(&reader); /* epoch */
    (void)nx_reader_u8(&reader);     /* attached */
    (void)nx_reader_varint(&reader); /* start */
    (void)nx_reader_varint(&reader); /* cursor */
    (void)nx_reader_varint(&reader); /* requeue_next */
    const uint64_t end = nx_reader_varint(&reader);
    return nx_reader_ok(&reader) && version == NX_CONSUMER_FORMAT ? end : 0;
}

enum nx_status nx_consumer_keep_fact(struct nx_consumer *consumer, const struct nx_consumer_fact *fact,
                                     struct nx_error *err) {
    if (consumer->fact_count == consumer->fact_capacity) {
        const size_t capacity = consumer->fact_capacity == 0 ? 64 : consumer->fact_capacity * 2;
        if (capacity > AHEAD_MAX) {
            return nx_fail_memory(err);
        }
        struct nx_consumer_fact *facts = realloc(consumer->facts, capacity * sizeof *facts);
        if (facts == NULL) {
            return nx_fail_memory(err);
        }
        consumer->facts = facts;
        consumer->fact_capacity = capacity;
    }
    consumer->facts[consumer->fact_count++] = *fact;
    return NX_OK;
}

enum nx_status nx_consumer_apply(struct nx_consumer *consumer, struct nx_error *err) {
    NX_AUTO(nx_map) items;
    nx_map_init(&items, NX_CONSUMER_PENDING_MAX + 1, consumer->lanes.seed);
    for (struct nx_list_node *node = nx_list_first(&consumer->pending); node != NULL;
         node = nx_list_next(&consumer->pending, node)) {
        struct nx_item *item = nx_container_of(node, struct nx_item, in_pending);
        const struct fact_key key = { .sequence = item->sequence, .dead_letter = item->dead_letter };
        NX_TRY(nx_map_set(&items, fact_key_of(&key), item, err));
    }
    for (size_t i = 0; i < consumer->fact_count; i++) {
        const struct nx_consumer_fact *fact = &consumer->facts[i];
        const struct fact_key key = { .sequence = fact->sequence, .dead_letter = fact->dead_letter };
        struct nx_item *item = nx_map_get(&items, fact_key_of(&key));
        if (fact->dead_letter >= consumer->requeue_end) {
            consumer->requeue_end = fact->dead_letter + 1; /* it went back, and with it all before it */
        }
        if (item == NULL) {
            NX_TRY(apply_ahead(consumer, fact, err));
        } else if (fact->done) {
            (void)nx_map_remove(&items, fact_key_of(&key));
            nx_list_remove(&consumer->pending, &item->in_pending);
            item_free(item);
        } else {
            NX_TRY(note_attempt(item, fact->attempt, fact->invocation, fact->time_ns, err));
        }
    }
    consumer->changed = consumer->changed || consumer->fact_count > 0;
    nx_consumer_forget_facts(consumer);
    return NX_OK;
}

void nx_consumer_forget_facts(struct nx_consumer *consumer) {
    free(consumer->facts);
    consumer->facts = NULL;
    consumer->fact_count = consumer->fact_capacity = 0;
}

/* How far the facts reach. Events are begun in order, but for a few that run beside each other, and so are
 * dead letters, which go back all at once up to some one. */
struct reach {
    uint64_t event_first;  /* of those begun while facts were kept; UINT64_MAX: none */
    uint64_t letter_first; /* likewise */
    uint64_t letter_last;  /* 0: none */
};

static struct reach reach_of(const struct nx_consumer *consumer) {
    struct reach reach = { .event_first = UINT64_MAX, .letter_first = UINT64_MAX };
    for (size_t i = 0; i < consumer->fact_count; i++) {
        const struct nx_consumer_fact *fact = &consumer->facts[i];
        uint64_t *first = fact->dead_letter == 0 ? &reach.event_first : &reach.letter_first;
        const uint64_t place = fact->dead_letter == 0 ? fact->sequence : fact->dead_letter;
        *first = fact->attempt == 1 && place < *first ? place : *first;
        reach.letter_last = fact->dead_letter > reach.letter_last ? fact->dead_letter : reach.letter_last;
    }
    return reach;
}

static bool is_pending(const struct nx_consumer *consumer, const struct nx_consumer_fact *fact) {
    for (const struct nx_list_node *node = nx_list_first(&consumer->pending); node != NULL;
         node = nx_list_next(&consumer->pending, node)) {
        const struct nx_item *item = nx_container_of(node, struct nx_item, in_pending);
        if (item->sequence == fact->sequence && item->dead_letter == fact->dead_letter) {
            return true;
        }
    }
    return false;
}

void nx_consumer_reset(struct nx_consumer *consumer) {
    struct nx_list_node *node;
    size_t cursor = 0;
    void *fact;
    nx_assert(nx_list_is_empty(&consumer->ready));
    while ((node = nx_list_take_first(&consumer->pending)) != NULL) {
        item_free(nx_container_of(node, struct nx_item, in_pending));
    }
    while (nx_map_next(&consumer->ahead, &cursor, NULL, &fact)) {
        free(fact);
    }
    nx_map_fini(&consumer->ahead);
    nx_map_init(&consumer->ahead, AHEAD_MAX, consumer->lanes.seed);
    consumer->start = consumer->cursor = consumer->requeue_next = consumer->requeue_end = 1;
    consumer->epoch = consumer->generation = 0;
    consumer->attached = false;
}

enum nx_status nx_consumer_place(struct nx_consumer *consumer, uint64_t horizon, struct nx_error *err) {
    const struct reach reach = reach_of(consumer);
    const uint64_t begun = reach.event_first < horizon ? reach.event_first : horizon;
    nx_consumer_reset(consumer);
    consumer->start = consumer->registered_start == 0 ? 1 : consumer->registered_start;
    consumer->changed = true;
    consumer->cursor = horizon > 1 && begun > consumer->start ? begun : consumer->start;
    consumer->requeue_end = reach.letter_last + 1;
    consumer->requeue_next = horizon == 1                                 ? 1
                             : reach.letter_first < consumer->requeue_end ? reach.letter_first
                                                                          : consumer->requeue_end;
    for (size_t i = 0; i < consumer->fact_count; i++) {
        const struct nx_consumer_fact *fact = &consumer->facts[i];
        if (fact->done || is_ahead(fact, consumer->cursor, consumer->requeue_next) ||
            is_pending(consumer, fact) || consumer->pending.count == NX_CONSUMER_PENDING_MAX) {
            continue;
        }
        struct nx_item *item = new_item(consumer, fact->sequence, fact->dead_letter, fact->series);
        if (item == NULL) {
            return nx_fail_memory(err);
        }
        item->state = NX_ITEM_KEYLESS;
    }
    return NX_OK;
}

int64_t nx_retry_wait_ns(const struct nx_retry_policy *policy, uint32_t attempt, uint64_t random) {
    int64_t wait_ns = policy->backoff_ns;
    for (uint32_t i = 1; i < attempt && wait_ns < policy->backoff_max_ns; i++) {
        wait_ns = wait_ns > INT64_MAX / 2 ? INT64_MAX : wait_ns * 2;
    }
    if (policy->backoff_max_ns > 0 && wait_ns > policy->backoff_max_ns) {
        wait_ns = policy->backoff_max_ns;
    }
    /* -1 .. 1 */
    const double spread = (double)(random >> 11) / (double)(UINT64_C(1) << 52) - 1.0;
    const double wait = (double)wait_ns * (1.0 + policy->jitter * spread);
    return wait < 0 ? 0 : wait > 1e18 ? (int64_t)1e18 : (int64_t)wait;
}
