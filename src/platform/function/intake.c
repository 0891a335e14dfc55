/* src/platform/function/intake.c: what dispatch reads, and how it becomes items.
 *
 * New events come by one scan that waits at the head. A consumer whose window is full is detached from it and
 * reads on by itself, from its cursor, when there is room again; when it has reached the head it is attached
 * again. Dead letters that go back are read the same way from DLQ. */
#include "codec/cloudevents.h"
#include "codec/headers.h"
#include "codec/percent.h"
#include "platform/function/dispatch_internal.h"

enum {
    HEAD_RECORDS = 1024, /* of one answer */
    CATCH_UP_RECORDS = 512,
    CATCH_UP_SIZE = 2 * 1024 * 1024, /* bytes */
    EVENT_ARENA_SIZE_MAX = 4 * NX_RECORD_SIZE_MAX,
};
/* Stored in checkpoints, so it never changes. Keys of one hash only wait for each other. */
#define KEY_SEED UINT64_C(0x6e78206b65790001)

/* Hold the event in memory while there is room; else it is read again when its turn comes. */
void nx_dispatch_hold_body(struct nx_dispatch *dispatch, struct nx_item *item,
                           const struct nx_record *record) {
    if (nx_record_is_sealed(record)) {
        return; /* it is read, or not to be read any more, when its turn comes */
    }
    if (item->body != NULL || dispatch->bodies_size >= NX_DISPATCH_BODIES_SIZE_MAX) {
        return;
    }
    item->body = nx_event_copy_new(record);
    dispatch->bodies_size += item->body == NULL ? 0 : item->body->size;
}

bool nx_dispatch_key_hash(const struct nx_record *record, struct nx_str path, uint64_t *hash_out) {
    NX_AUTO(nx_arena) arena;
    NX_AUTO(nx_buf) text;
    struct nx_cloudevent event;
    const struct nx_cloudevent_record source = nx_record_as_event(record);
    nx_arena_init(&arena, EVENT_ARENA_SIZE_MAX);
    nx_buf_init(&text, NX_RECORD_SIZE_MAX);
    *hash_out = 0;
    if (path.len == 0) {
        return true;
    }
    const enum nx_status status = nx_cloudevent_from_record(&source, &arena, &event, NULL);
    const bool is_found = status == NX_OK && nx_cloudevent_lookup(&text, &event, path);
    struct nx_error error = { 0 };
    const bool is_whole = nx_buf_check(&text, &error) == NX_OK;
    if (status == NX_RESOURCE_EXHAUSTED || error.kind == NX_KIND_OUT_OF_MEMORY) {
        return false;
    }
    if (is_found && is_whole) { /* an event without the key keeps no order */
        const uint64_t hash = nx_str_hash(nx_buf_str(&text), KEY_SEED);
        *hash_out = hash == 0 ? 1 : hash;
    }
    return true;
}

/* The item's key is known: into its queue. */
void nx_dispatch_queue_item(struct nx_dispatch *dispatch, struct nx_item *item, uint64_t key_hash) {
    struct nx_consumer *consumer = item->consumer;
    if (nx_consumer_queue(item, key_hash, NULL) != NX_OK) {
        /* No memory for its lane. Order is a promise: nothing is taken in behind it until there is some. */
        consumer->is_stray = true;
        dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
        return;
    }
    if (item->state == NX_ITEM_RETRYING) {
        nx_dispatch_time_item(dispatch, item);
    }
    nx_dispatch_note_ready(dispatch, consumer);
}

bool nx_dispatch_ask_item(struct nx_dispatch *dispatch, struct nx_item *item) {
    struct nx_read *read = NULL;
    if (nx_read_new(NX_READ_BY_SEQUENCE, &read, NULL) != NX_OK) {
        dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
        return false;
    }
    read->stream = nx_arena_copy(&read->arena, NX_STR("EVENTS"));
    read->from_sequence = item->sequence;
    const struct nx_asked asked = { .purpose = NX_FOR_ITEM, .consumer = item->consumer, .item = item };
    item->is_asked = nx_dispatch_ask(dispatch, read, &asked);
    return item->is_asked;
}

/* Take one event in for one consumer; its window has room. False when there is no memory for it: the cursor
 * stays before it, and the consumer must not go on to a later one. */
NX_MUST_CHECK static bool take_in(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                                  const struct nx_record *record) {
    const struct nx_str order_key = consumer->registered->function->order_key;
    struct nx_item *item = NULL;
    uint64_t key_hash = 0;
    if (!nx_dispatch_key_hash(record, order_key, &key_hash) ||
        nx_consumer_add(consumer, record->sequence, 0, 0, &item, NULL) != NX_OK) {
        return false;
    }
    consumer->cursor = record->sequence + 1;
    if (item == NULL) {
        return true; /* done before the restart */
    }
    dispatch->checkpoint_changed = true;
    nx_dispatch_hold_body(dispatch, item, record);
    nx_dispatch_queue_item(dispatch, item, key_hash);
    return true;
}

/* The type of a stored event, decoded into `buf` where it has to be. False: no memory for that. */
NX_MUST_CHECK static bool type_of(const struct nx_record *record, struct nx_buf *buf,
                                  struct nx_str *type_out) {
    const struct nx_str prefix = NX_STR("events.");
    struct nx_str type = nx_headers_value(record->headers, "ce-type");
    if (type.len == 0) {
        type = nx_str_starts_with(record->subject, prefix)
                   ? nx_str_slice(record->subject, prefix.len, record->subject.len)
                   : record->subject;
    }
    *type_out = type;
    if (nx_percent_is_plain(type)) {
        return true;
    }
    nx_buf_reset(buf);
    const enum nx_status status = nx_percent_decode(buf, type, NULL);
    *type_out = status == NX_OK ? nx_buf_str(buf) : type;
    return status != NX_RESOURCE_EXHAUSTED;
}

/* Which of the functions of its type an event fires. It is read only once, and only for one with a filter. */
struct selection {
    const struct nx_record *record;
    struct nx_str type;
    struct nx_arena arena;
    struct nx_cloudevent event;
    bool is_read;
    bool is_unreadable; /* it fires whom it may: the attempt says what is wrong with it */
    bool no_memory;     /* it cannot be read now: nothing is known of who wants it */
};

static bool passes(struct selection *selection, const struct nx_event_filter *filter) {
    if (!selection->is_read) {
        const struct nx_cloudevent_record source = nx_record_as_event(selection->record);
        nx_arena_init(&selection->arena, EVENT_ARENA_SIZE_MAX);
        const enum nx_status status =
            nx_cloudevent_from_record(&source, &selection->arena, &selection->event, NULL);
        selection->no_memory = status == NX_RESOURCE_EXHAUSTED;
        selection->is_unreadable = status != NX_OK;
        selection->is_read = true;
    }
    return selection->is_unreadable || nx_event_filter_matches(filter, &selection->event);
}

static bool fires(struct selection *selection, const struct nx_function *function) {
    for (size_t i = 0; i < function->trigger_count; i++) {
        const struct nx_trigger *trigger = &function->triggers[i];
        if (nx_str_equal(trigger->event_type, selection->type) &&
            (trigger->filter == NULL || passes(selection, trigger->filter))) {
            return true;
        }
    }
    return false;
}

static void selection_end(struct selection *selection) {
    if (selection->is_read) {
        nx_arena_fini(&selection->arena);
    }
}

/* Events arrived. Only types that functions take have a series: others are chosen by whoever posts, and
 * could be any number. */
static void count_arrival(struct nx_dispatch *dispatch, struct nx_str type, bool is_taken, uint64_t count) {
    if (dispatch->metrics.events == NULL) {
        return;
    }
    const struct nx_str label = is_taken ? type : NX_STR("other");
    struct nx_counter *counter = nx_map_get(&dispatch->arrivals, label);
    if (counter == NULL) {
        counter = nx_metric_counter(dispatch->metrics.events, &label);
        const enum nx_status ignored = nx_map_set(&dispatch->arrivals, label, counter, NULL);
        (void)ignored; /* the next one looks it up there again, only slower */
    }
    nx_counter_add(counter, count);
}

/* A new event: into the window of every function that it fires, or, where that is full, left for later.
 * False: no memory to see whom it fires. */
NX_MUST_CHECK static bool take_new(struct nx_dispatch *dispatch, const struct nx_record *record,
                                   struct nx_buf *buf) {
    struct selection selection = { .record = record };
    if (!type_of(record, buf, &selection.type)) {
        return false;
    }
    const struct nx_registered_list list = nx_registry_by_type(dispatch->registry, selection.type);
    if (record->sequence >= dispatch->counted_from) {
        count_arrival(dispatch, selection.type, list.count > 0, 1);
    }
    for (size_t i = 0; i < list.count; i++) {
        struct nx_consumer *consumer = nx_map_get(&dispatch->consumers, list.items[i]->function->name);
        if (consumer == NULL || !consumer->attached || consumer->phase == NX_CONSUMER_LOADING ||
            record->sequence < consumer->cursor || !fires(&selection, list.items[i]->function)) {
            continue;
        }
        const bool has_room = nx_consumer_has_room(consumer);
        if (has_room && !selection.no_memory && take_in(dispatch, consumer, record)) {
            continue;
        }
        consumer->attached = false;
        consumer->cursor = record->sequence;
        consumer->changed = true;
        if (has_room) {
            dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
        } else {
            dispatch->is_look_due = true;
        }
    }
    selection_end(&selection);
    return true;
}

void nx_dispatch_note_failure(struct nx_dispatch *dispatch, const struct nx_read *read, const char *text) {
    nx_log_warn(dispatch->options.log, text, NX_F_C("error", read->error.message));
    dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
}

static void ask_head(struct nx_dispatch *dispatch) {
    struct nx_read *read = NULL;
    if (nx_read_new(NX_READ_SCAN, &read, NULL) != NX_OK) {
        dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
        return;
    }
    read->stream = nx_arena_copy(&read->arena, NX_STR("EVENTS"));
    read->from_sequence = dispatch->head;
    read->count_max = HEAD_RECORDS;
    read->wait = true;
    read->wait_until_ns = NX_STEP_IDLE;
    const struct nx_asked asked = { .purpose = NX_FOR_HEAD };
    dispatch->head_asked = nx_dispatch_ask(dispatch, read, &asked);
}

/* Without functions nobody needs the records: a scan that waits for them would wake the library and us with
 * every batch. Only how many came is looked at, once a second. */
static void ask_end(struct nx_dispatch *dispatch) {
    struct nx_read *read = NULL;
    dispatch->end_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
    if (nx_read_new(NX_READ_INFO, &read, NULL) != NX_OK) {
        return;
    }
    read->stream = nx_arena_copy(&read->arena, NX_STR("EVENTS"));
    const struct nx_asked asked = { .purpose = NX_FOR_END };
    dispatch->head_asked = nx_dispatch_ask(dispatch, read, &asked);
}

void nx_dispatch_take_end(struct nx_dispatch *dispatch, const struct nx_read *read) {
    dispatch->head_asked = false;
    if (read->status != NX_OK || read->info_count == 0 || nx_registry_count(dispatch->registry) > 0) {
        return; /* with functions it is they who go on from the head */
    }
    const uint64_t end = read->infos[0].last_sequence + 1;
    const uint64_t from = dispatch->head > dispatch->counted_from ? dispatch->head : dispatch->counted_from;
    if (end > from) {
        count_arrival(dispatch, NX_STR_EMPTY, false, end - from);
    }
    dispatch->head = end > dispatch->head ? end : dispatch->head;
}

void nx_dispatch_take_head(struct nx_dispatch *dispatch, struct nx_read *read) {
    NX_AUTO(nx_buf) buf;
    nx_buf_init(&buf, NX_RECORD_SIZE_MAX);
    dispatch->head_asked = false;
    if (read->status != NX_OK && read->status != NX_DATA_LOSS) {
        nx_dispatch_note_failure(dispatch, read, "cannot follow EVENTS");
        return;
    }
    for (size_t i = 0; i < read->record_count; i++) {
        const struct nx_record *record = &read->records[i];
        if (!take_new(dispatch, record, &buf)) {
            dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
            return; /* it is read again */
        }
        dispatch->head = record->sequence + 1;
    }
    if (read->next_sequence > dispatch->head) {
        dispatch->head = read->next_sequence;
    }
    if (read->lost_count > 0) {
        nx_log_error(dispatch->options.log, "events are lost", NX_F_U64("count", read->lost_count));
    }
}

/* The subject that all events of a function have, where that is one; else empty: all. */
static void only_subject(const struct nx_function *function, struct nx_buf *subject) {
    for (size_t i = 1; i < function->trigger_count; i++) {
        if (!nx_str_equal(function->triggers[i].event_type, function->triggers[0].event_type)) {
            return;
        }
    }
    if (function->trigger_count > 0) {
        nx_cloudevent_subject(subject, function->triggers[0].event_type);
    }
}

static void ask_catch_up(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    struct nx_read *read = NULL;
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    only_subject(consumer->registered->function, &subject);
    if (nx_read_new(NX_READ_SCAN, &read, NULL) != NX_OK) {
        dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
        return;
    }
    nx_dispatch_name_records(read, NX_STR("EVENTS"), nx_buf_str(&subject));
    read->from_sequence = consumer->cursor;
    read->to_sequence = dispatch->head - 1;
    const size_t room = NX_CONSUMER_PENDING_MAX - consumer->pending.count;
    read->count_max = room < CATCH_UP_RECORDS ? room : CATCH_UP_RECORDS;
    read->size_max = CATCH_UP_SIZE;
    const struct nx_asked asked = { .purpose = NX_FOR_CATCH_UP, .consumer = consumer };
    consumer->catch_up_asked = nx_dispatch_ask(dispatch, read, &asked);
}

void nx_dispatch_take_catch_up(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                               struct nx_read *read) {
    NX_AUTO(nx_buf) buf;
    bool is_whole = true;
    nx_buf_init(&buf, NX_RECORD_SIZE_MAX);
    consumer->catch_up_asked = false;
    if (read->status != NX_OK && read->status != NX_DATA_LOSS && read->status != NX_NOT_FOUND) {
        nx_dispatch_note_failure(dispatch, read, "cannot read older events");
        return;
    }
    for (size_t i = 0; i < read->record_count && consumer->registered != NULL; i++) {
        const struct nx_record *record = &read->records[i];
        struct selection selection = { .record = record };
        selection.no_memory = !type_of(record, &buf, &selection.type);
        const bool is_wanted = selection.no_memory || fires(&selection, consumer->registered->function);
        selection_end(&selection);
        if (!is_wanted || record->sequence < consumer->cursor) {
            continue;
        }
        if (!nx_consumer_has_room(consumer)) {
            is_whole = false;
            break;
        }
        if (selection.no_memory || !take_in(dispatch, consumer, record)) {
            dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
            is_whole = false;
            break;
        }
    }
    if (consumer->registered == NULL || !is_whole) {
        return;
    }
    uint64_t reached =
        read->at_end || read->status == NX_NOT_FOUND ? read->to_sequence + 1 : read->next_sequence;
    if (reached > consumer->cursor) {
        consumer->cursor = reached;
        consumer->changed = true;
    }
    if (consumer->cursor >= dispatch->head) {
        consumer->attached = true;
        consumer->changed = true;
    }
}

static void ask_requeue(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    struct nx_read *read = NULL;
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    if (nx_read_new(NX_READ_SCAN, &read, NULL) != NX_OK) {
        dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
        return;
    }
    nx_buf_append_format(&subject, "dlq.%s", consumer->name);
    nx_dispatch_name_records(read, NX_STR("DLQ"), nx_buf_str(&subject));
    read->from_sequence = consumer->requeue_next;
    read->to_sequence = consumer->requeue_end - 1;
    const size_t room = NX_CONSUMER_PENDING_MAX - consumer->pending.count;
    read->count_max = room < CATCH_UP_RECORDS ? room : CATCH_UP_RECORDS;
    const struct nx_asked asked = { .purpose = NX_FOR_REQUEUE, .consumer = consumer };
    consumer->requeue_asked = nx_dispatch_ask(dispatch, read, &asked);
}

/* "EVENTS:17" and "1" of a dead letter's headers. */
static bool read_letter(const struct nx_record *record, uint64_t *sequence_out, uint32_t *series_out) {
    const struct nx_str prefix = NX_STR("EVENTS:");
    const struct nx_str event = nx_headers_value(record->headers, "Nexus-Event");
    uint64_t series = 0;
    if (!nx_str_starts_with(event, prefix) ||
        !nx_str_to_u64(nx_str_slice(event, prefix.len, event.len), sequence_out)) {
        return false;
    }
    (void)nx_str_to_u64(nx_headers_value(record->headers, "Nexus-Series"), &series);
    *series_out = (uint32_t)series;
    return true;
}

void nx_dispatch_take_requeue(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                              struct nx_read *read) {
    consumer->requeue_asked = false;
    if (read->status != NX_OK && read->status != NX_DATA_LOSS && read->status != NX_NOT_FOUND) {
        nx_dispatch_note_failure(dispatch, read, "cannot read dead letters");
        return;
    }
    for (size_t i = 0; i < read->record_count; i++) {
        const struct nx_record *record = &read->records[i];
        struct nx_item *item = NULL;
        uint64_t sequence = 0;
        uint32_t series = 0;
        if (!nx_consumer_has_room(consumer)) {
            return;
        }
        if (read_letter(record, &sequence, &series) &&
            nx_consumer_add(consumer, sequence, record->sequence, series + 1, &item, NULL) != NX_OK) {
            return;
        }
        consumer->requeue_next = record->sequence + 1;
        if (item != NULL) {
            item->state = NX_ITEM_KEYLESS;
            if (consumer->registered == NULL || consumer->registered->function->order_key.len == 0) {
                nx_dispatch_queue_item(dispatch, item, 0);
            } else {
                consumer->is_stray = !nx_dispatch_ask_item(dispatch, item);
            }
        }
    }
    if (read->at_end || read->status == NX_NOT_FOUND) {
        consumer->requeue_next = read->to_sequence + 1; /* meanwhile more may be to go back */
    } else if (read->next_sequence > consumer->requeue_next) {
        consumer->requeue_next = read->next_sequence;
    }
    consumer->changed = true;
    dispatch->checkpoint_changed = true;
}

void nx_dispatch_read_on(struct nx_dispatch *dispatch) {
    size_t cursor = 0;
    void *value;
    if (dispatch->phase != NX_DISPATCH_RUNNING) {
        return;
    }
    if (!dispatch->head_asked && nx_registry_count(dispatch->registry) > 0) {
        ask_head(dispatch);
    } else if (!dispatch->head_asked && dispatch->end_due_ns <= dispatch->now.monotonic_ns) {
        ask_end(dispatch);
    }
    if (!dispatch->is_look_due) {
        return;
    }
    dispatch->is_look_due = false;
    while (nx_map_next(&dispatch->consumers, &cursor, NULL, &value)) {
        struct nx_consumer *consumer = value;
        if (consumer->registered == NULL || consumer->phase != NX_CONSUMER_LOADED || consumer->is_stray ||
            consumer->pending.count > NX_CONSUMER_PENDING_MAX / 2) {
            continue;
        }
        if (!consumer->attached && !consumer->catch_up_asked) {
            if (consumer->cursor >= dispatch->head) {
                consumer->attached = true;
                consumer->changed = true;
            } else {
                ask_catch_up(dispatch, consumer);
            }
        }
        if (consumer->requeue_next < consumer->requeue_end && !consumer->requeue_asked) {
            ask_requeue(dispatch, consumer);
        }
    }
}

void nx_dispatch_queue_all(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    struct nx_list_node *node = nx_list_first(&consumer->pending);
    consumer->is_stray = false;
    while (node != NULL && !consumer->is_stray) {
        struct nx_item *item = nx_container_of(node, struct nx_item, in_pending);
        node = nx_list_next(&consumer->pending, node);
        if (item->state == NX_ITEM_KEYLESS && !item->is_asked && !nx_dispatch_ask_item(dispatch, item)) {
            consumer->is_stray = true;
            dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
        } else if (item->state == NX_ITEM_BLOCKED && item->lane == NULL) {
            nx_dispatch_queue_item(dispatch, item, item->key_hash);
        }
    }
}
