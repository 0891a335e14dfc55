/* src/platform/function/recovery.c: how dispatch finds out where every function stands.
 *
 *   EVENTS' end, our checkpoint -> for each function its registration and its position, beside them
 * INVOCATIONS since the checkpoint -> facts applied -> running
 *
 * A function without a registration is new: its start is written to FUNCTIONS before anybody is told that we
 * are ready. A function that has records but is not in the registry is loaded too, so that its facts are not
 * lost when the checkpoint moves on. */
#include <inttypes.h>

#include "base/assert.h"
#include "codec/headers.h"
#include "platform/function/dispatch_internal.h"

enum { FACTS_PER_READ = 4096 };

void nx_dispatch_ask_later(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                           enum nx_dispatch_purpose purpose) {
    unsigned *again = consumer == NULL ? &dispatch->again : &consumer->again;
    *again |= 1u << purpose;
    dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
}

static void ask_simple(struct nx_dispatch *dispatch, enum nx_read_kind kind, struct nx_str stream,
                       const char *subject_prefix, struct nx_consumer *consumer,
                       enum nx_dispatch_purpose purpose) {
    struct nx_read *read = NULL;
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_append_c(&subject, subject_prefix);
    nx_buf_append_c(&subject, consumer == NULL ? "" : consumer->name);
    const struct nx_asked asked = { .purpose = purpose, .consumer = consumer };
    if (nx_buf_failed(&subject) || nx_read_new(kind, &read, NULL) != NX_OK) {
        nx_dispatch_ask_later(dispatch, consumer, purpose);
        return;
    }
    nx_dispatch_name_records(read, stream, nx_buf_str(&subject));
    if (!nx_dispatch_ask(dispatch, read, &asked)) {
        nx_dispatch_ask_later(dispatch, consumer, purpose);
    }
}

static void ask_registration(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    ask_simple(dispatch, NX_READ_LAST, NX_STR("FUNCTIONS"), "functions.", consumer, NX_FOR_REGISTRATION);
}

static void ask_position(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    ask_simple(dispatch, NX_READ_LAST, NX_STR(NX_CHECKPOINT_STREAM), NX_CONSUMER_SUBJECT_PREFIX, consumer,
               NX_FOR_POSITION);
}

static void ask_events_info(struct nx_dispatch *dispatch) {
    ask_simple(dispatch, NX_READ_INFO, NX_STR("EVENTS"), "", NULL, NX_FOR_EVENTS_INFO);
}

static void ask_checkpoint(struct nx_dispatch *dispatch) {
    ask_simple(dispatch, NX_READ_LAST, NX_STR(NX_CHECKPOINT_STREAM), NX_CHECKPOINT_SUBJECT, NULL,
               NX_FOR_CHECKPOINT);
}

static void load(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    consumer->phase = NX_CONSUMER_LOADING;
    consumer->loads_left = 2;
    ask_registration(dispatch, consumer);
    ask_position(dispatch, consumer);
}

struct nx_consumer *nx_dispatch_consumer(struct nx_dispatch *dispatch, struct nx_str name) {
    struct nx_consumer *consumer = nx_map_get(&dispatch->consumers, name);
    if (consumer != NULL) {
        return consumer;
    }
    if (name.len == 0 || name.len > NX_FUNCTION_NAME_SIZE_MAX ||
        nx_consumer_new(name, nx_random_u64(&dispatch->options.random), &consumer, NULL) != NX_OK) {
        return NULL;
    }
    if (nx_map_set(&dispatch->consumers, name, consumer, NULL) != NX_OK) {
        nx_consumer_free(consumer);
        return NULL; /* the caller says so */
    }
    dispatch->loading_count++;
    load(dispatch, consumer);
    return consumer;
}

void nx_dispatch_begin(struct nx_dispatch *dispatch) {
    dispatch->phase = NX_DISPATCH_LOADING;
    dispatch->loading_count = 0;
    ask_events_info(dispatch);
}

static void ask_facts(struct nx_dispatch *dispatch) {
    struct nx_read *read = NULL;
    if (nx_read_new(NX_READ_SCAN, &read, NULL) != NX_OK) {
        nx_dispatch_ask_later(dispatch, NULL, NX_FOR_FACTS);
        return;
    }
    nx_dispatch_name_records(read, NX_STR("INVOCATIONS"), NX_STR_EMPTY);
    read->from_sequence = dispatch->invocations_next;
    read->count_max = FACTS_PER_READ;
    const struct nx_asked asked = { .purpose = NX_FOR_FACTS };
    if (!nx_dispatch_ask(dispatch, read, &asked)) {
        nx_dispatch_ask_later(dispatch, NULL, NX_FOR_FACTS);
    }
}

/* "EVENTS:17" -> 17; 0 when it is not that. */
static uint64_t reference_sequence(struct nx_str reference, struct nx_str stream) {
    uint64_t sequence = 0;
    if (!nx_str_starts_with(reference, stream) || reference.len <= stream.len ||
        reference.ptr[stream.len] != ':' ||
        !nx_str_to_u64(nx_str_slice(reference, stream.len + 1, reference.len), &sequence)) {
        return 0;
    }
    return sequence;
}

bool nx_dispatch_keep_fact(struct nx_dispatch *dispatch, const struct nx_record *record) {
    struct nx_invocation invocation;
    const struct nx_str prefix = NX_STR("invocations.");
    const uint64_t sequence =
        reference_sequence(nx_headers_value(record->headers, "Nexus-Event"), NX_STR("EVENTS"));
    /* A damaged record, or one of a live replay, says nothing about a position. */
    if (sequence == 0 || !nx_str_starts_with(record->subject, prefix) || record->subject.len == prefix.len ||
        record->subject.len > prefix.len + NX_FUNCTION_NAME_SIZE_MAX ||
        nx_invocation_decode_head(record->payload, &invocation, NULL) != NX_OK ||
        (invocation.flags & NX_INVOCATION_LIVE_REPLAY) != 0) {
        return true;
    }
    const struct nx_consumer_fact fact = {
        .sequence = sequence,
        .dead_letter = invocation.dead_letter,
        .invocation = record->sequence,
        .time_ns = record->time_ns,
        .series = invocation.series,
        .attempt = invocation.attempt,
        .done = invocation.outcome == NX_OUTCOME_OK || (invocation.flags & NX_INVOCATION_DEAD_LETTER) != 0,
    };
    struct nx_consumer *consumer =
        nx_dispatch_consumer(dispatch, nx_str_slice(record->subject, prefix.len, record->subject.len));
    return consumer != NULL && nx_consumer_keep_fact(consumer, &fact, NULL) == NX_OK;
}

/* Without all of the facts what was done would be done again: they are read anew. */
static void read_facts_again(struct nx_dispatch *dispatch) {
    size_t cursor = 0;
    void *value;
    nx_log_warn(dispatch->options.log,
                "no memory for what was done since the last checkpoint: it is read again");
    while (nx_map_next(&dispatch->consumers, &cursor, NULL, &value)) {
        struct nx_consumer *consumer = value;
        if (consumer->phase != NX_CONSUMER_SEARCHING) {
            nx_consumer_forget_facts(consumer);
        }
    }
    dispatch->invocations_next = dispatch->checkpointed_invocations;
    nx_dispatch_ask_later(dispatch, NULL, NX_FOR_FACTS);
}

static void take_facts(struct nx_dispatch *dispatch, struct nx_read *read) {
    bool is_kept = true;
    for (size_t i = 0; i < read->record_count && is_kept; i++) {
        is_kept = nx_dispatch_keep_fact(dispatch, &read->records[i]);
    }
    if (!is_kept) {
        read_facts_again(dispatch);
        return;
    }
    if (read->lost_count > 0) {
        nx_log_error(dispatch->options.log,
                     "records of what functions did are destroyed: their events may be handled again",
                     NX_F_U64("count", read->lost_count));
    }
    if (read->next_sequence > dispatch->invocations_next) {
        dispatch->invocations_next = read->next_sequence;
    }
    if (read->status == NX_NOT_FOUND || read->at_end) {
        dispatch->is_facts_read = true;
    } else {
        ask_facts(dispatch);
    }
}

/* Write a new function's start, or a known one's new module. */
static void write_registration(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    struct nx_append *append = NULL;
    NX_AUTO(nx_buf) subject;
    NX_AUTO(nx_buf) headers;
    char digest[NX_DIGEST_TEXT_SIZE + 1];
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_init(&headers, NX_HEADERS_SIZE_MAX);
    nx_buf_append_format(&subject, "functions.%s", consumer->name);
    nx_buf_append_format(&headers, "Nexus-Start: EVENTS:%" PRIu64 "\r\nNexus-Module: %s\r\n", consumer->start,
                         nx_digest_format(&consumer->registered->module_digest, digest).ptr);
    const struct nx_append_entry entry = {
        .stream = NX_STR("FUNCTIONS"),
        .subject = nx_buf_str(&subject),
        .headers = nx_buf_str(&headers),
        .payload = NX_STR_EMPTY,
    };
    const struct nx_asked asked = { .purpose = NX_FOR_START, .consumer = consumer };
    consumer->phase = NX_CONSUMER_REGISTERING;
    if (nx_append_new(1, 0, &append, NULL) != NX_OK || nx_append_add(append, &entry, NULL) != NX_OK ||
        !nx_dispatch_send_append(dispatch, append, &asked)) {
        nx_append_free(append);
        nx_dispatch_ask_later(dispatch, consumer, NX_FOR_START);
    }
}

/* All that is known about it is there: let it run. */
static void begin_consumer(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    if (nx_consumer_apply(consumer, NULL) != NX_OK) {
        /* It must not run without: what was done would be done again. */
        consumer->is_stray = true;
        dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
        return;
    }
    consumer->is_queued = true;
    nx_dispatch_queue_all(dispatch, consumer);
}

static void loaded(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    dispatch->is_look_due = true;
    consumer->phase = NX_CONSUMER_LOADED;
    nx_assert(dispatch->loading_count > 0);
    dispatch->loading_count--;
    if (dispatch->phase == NX_DISPATCH_RUNNING && !consumer->is_queued) {
        begin_consumer(dispatch, consumer);
    }
    /* What came while its new module was written down was passed over. */
    nx_dispatch_note_ready(dispatch, consumer);
}

static void start_at(struct nx_dispatch *dispatch, struct nx_consumer *consumer, uint64_t start) {
    consumer->start = consumer->cursor = start == 0 ? 1 : start;
    consumer->attached = consumer->cursor >= dispatch->head;
    consumer->changed = true;
    nx_log_info(dispatch->options.log, "function starts", NX_F_C("function", consumer->name),
                NX_F_U64("sequence", consumer->start));
    write_registration(dispatch, consumer);
}

static void choose_start(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    const struct nx_function *function = consumer->registered->function;
    struct nx_read *read = NULL;
    const struct nx_asked asked = { .purpose = NX_FOR_START_TIME, .consumer = consumer };
    switch (function->from) {
    case NX_FROM_NEW:
        start_at(dispatch, consumer, dispatch->events_end);
        return;
    case NX_FROM_ALL:
        start_at(dispatch, consumer, 1);
        return;
    case NX_FROM_SEQUENCE:
        start_at(dispatch, consumer, function->from_sequence);
        return;
    case NX_FROM_TIME:
        break;
    }
    if (nx_read_new(NX_READ_SCAN, &read, NULL) != NX_OK) {
        nx_dispatch_ask_later(dispatch, consumer, NX_FOR_START_TIME);
        return;
    }
    nx_dispatch_name_records(read, NX_STR("EVENTS"), NX_STR_EMPTY);
    read->from_time_ns = function->from_time_ns;
    read->count_max = 1;
    if (!nx_dispatch_ask(dispatch, read, &asked)) {
        nx_dispatch_ask_later(dispatch, consumer, NX_FOR_START_TIME);
    }
}

/* Point the consumers that there are at the functions of the registry; those that are not in it point
 * nowhere. */
static void bind_known(struct nx_dispatch *dispatch) {
    size_t cursor = 0;
    void *value;
    while (nx_map_next(&dispatch->consumers, &cursor, NULL, &value)) {
        struct nx_consumer *consumer = value;
        consumer->registered = nx_registry_find(dispatch->registry, nx_str_from_c(consumer->name));
        if (consumer->registered == NULL && consumer->attached) {
            /* It is given no more events: from here it reads on by itself, should it come back. */
            consumer->attached = false;
            consumer->cursor = consumer->cursor > dispatch->head ? consumer->cursor : dispatch->head;
            consumer->changed = true;
        }
        if (consumer->registered != NULL && consumer->phase == NX_CONSUMER_LOADED &&
            consumer->is_registered &&
            !nx_digest_equal(&consumer->registered_digest, &consumer->registered->module_digest)) {
            dispatch->loading_count++;
            write_registration(dispatch, consumer);
        }
        nx_dispatch_note_ready(dispatch, consumer);
    }
}

/* Make consumers for the functions that have none. */
static void add_new(struct nx_dispatch *dispatch) {
    for (size_t i = 0; i < nx_registry_count(dispatch->registry); i++) {
        const struct nx_registered *registered = nx_registry_at(dispatch->registry, i);
        struct nx_consumer *consumer = nx_dispatch_consumer(dispatch, registered->function->name);
        if (consumer == NULL) {
            /* Nobody is told that we are ready until it is there. */
            nx_log_warn(dispatch->options.log, "no memory for a function: it is tried again");
            dispatch->is_updating = true;
            nx_dispatch_ask_later(dispatch, NULL, NX_FOR_EVENTS_INFO);
            return;
        }
        consumer->registered = registered;
        if (consumer->phase == NX_CONSUMER_LOADED && !consumer->is_registered) {
            consumer->phase = NX_CONSUMER_LOADING;
            dispatch->loading_count++;
            nx_dispatch_positioned(dispatch, consumer);
        }
    }
}

static void take_events_info(struct nx_dispatch *dispatch, const struct nx_read *read) {
    dispatch->events_end = read->info_count > 0 ? read->infos[0].last_sequence + 1 : 1;
    if (dispatch->phase == NX_DISPATCH_LOADING) {
        ask_checkpoint(dispatch);
    } else {
        dispatch->is_updating = false;
        add_new(dispatch); /* an update: what is new starts at this end */
    }
}

static void take_checkpoint(struct nx_dispatch *dispatch, const struct nx_read *read) {
    struct nx_checkpoint checkpoint = { .invocations = 1, .head = dispatch->events_end };
    if (read->status == NX_DATA_LOSS ||
        (read->record_count > 0 && !nx_checkpoint_decode(read->records[0].payload, &checkpoint))) {
        /* As if there were none: every record of INVOCATIONS is read again. The epoch is one that no
         * checkpoint before can have had. */
        nx_log_warn(dispatch->options.log, "the checkpoint is damaged, reading all invocations");
        checkpoint.epoch = (uint64_t)(dispatch->now.wall_ns / NX_NS_PER_S);
    }
    nx_buf_reset(&dispatch->expected);
    nx_buf_append(&dispatch->expected, checkpoint.generations);
    if (nx_buf_failed(&dispatch->expected)) {
        nx_buf_fini(&dispatch->expected);
        nx_buf_init(&dispatch->expected, NX_RECORD_SIZE_MAX);
        nx_dispatch_ask_later(dispatch, NULL, NX_FOR_CHECKPOINT);
        return;
    }
    dispatch->counted_from = dispatch->events_end;
    dispatch->head = checkpoint.head;
    dispatch->epoch_before = checkpoint.epoch;
    dispatch->epoch = checkpoint.epoch + 1;
    dispatch->invocations_next = dispatch->checkpointed_invocations = checkpoint.invocations;
    dispatch->written_invocations = checkpoint.invocations;
    dispatch->phase = NX_DISPATCH_FOLDING;
    ask_facts(dispatch);
    add_new(dispatch);
}

void nx_dispatch_positioned(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    if (!consumer->attached && consumer->cursor >= dispatch->head && consumer->registered != NULL) {
        consumer->attached = true;
    }
    if (consumer->registered == NULL) {
        loaded(dispatch, consumer);
    } else if (!consumer->is_registered && consumer->position_found == NX_POSITION_NONE) {
        choose_start(dispatch, consumer);
    } else if (!consumer->is_registered ||
               !nx_digest_equal(&consumer->registered_digest, &consumer->registered->module_digest)) {
        write_registration(dispatch, consumer); /* the same start, its new module */
    } else {
        loaded(dispatch, consumer);
    }
}

/* Both of its records were read. */
static void take_loaded(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    if (nx_dispatch_is_position_lost(dispatch, consumer)) {
        nx_dispatch_search(dispatch, consumer);
        return;
    }
    if (consumer->position_found == NX_POSITION_NONE && consumer->is_registered) {
        consumer->start = consumer->cursor = consumer->registered_start;
    }
    if (consumer->attached) {
        if (consumer->registered != NULL && consumer->epoch == dispatch->epoch_before) {
            /* It stood at the head when the last process wrote its checkpoint. */
            consumer->cursor = consumer->cursor > dispatch->head ? consumer->cursor : dispatch->head;
        } else {
            /* Its record says that it stood at the head; one of ours must say where it stands first. */
            consumer->attached = false;
            consumer->changed = true;
        }
    }
    nx_dispatch_positioned(dispatch, consumer);
}

static void take_registration(struct nx_consumer *consumer, const struct nx_read *read) {
    if (read->record_count == 0) {
        return;
    }
    const struct nx_str headers = read->records[0].headers;
    const uint64_t start = reference_sequence(nx_headers_value(headers, "Nexus-Start"), NX_STR("EVENTS"));
    consumer->is_registered = start != 0;
    consumer->registered_start = start;
    if (!nx_digest_parse(nx_headers_value(headers, "Nexus-Module"), &consumer->registered_digest)) {
        consumer->registered_digest = (struct nx_digest){ 0 };
    }
}

/* False: no memory, it is read again. */
static bool take_position(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                          const struct nx_read *read) {
    struct nx_error error = read->error;
    enum nx_status status = read->status;
    if (status == NX_OK && read->record_count > 0) {
        status = nx_consumer_decode(consumer, read->records[0].payload, &error);
        consumer->position_found = NX_POSITION_READ;
        consumer->position_time_ns = read->records[0].time_ns;
        consumer->listed = consumer->generation;
    }
    if (status == NX_OK || status == NX_NOT_FOUND) {
        return true;
    }
    nx_consumer_reset(consumer);
    if (status == NX_RESOURCE_EXHAUSTED) {
        consumer->position_found = NX_POSITION_NONE;
        return false;
    }
    consumer->position_found = NX_POSITION_DAMAGED;
    nx_log_error(dispatch->options.log, "a function's position cannot be read",
                 NX_F_C("function", consumer->name), NX_F_C("error", error.message));
    return true;
}

static void take_start_time(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                            const struct nx_read *read) {
    if (consumer->registered == NULL) {
        loaded(dispatch, consumer); /* it went meanwhile */
        return;
    }
    start_at(dispatch, consumer, read->record_count > 0 ? read->records[0].sequence : dispatch->events_end);
}

/* Of a consumer: its registration or its position. */
static void take_half(struct nx_dispatch *dispatch, const struct nx_asked *asked,
                      const struct nx_read *read) {
    struct nx_consumer *consumer = asked->consumer;
    if (asked->purpose == NX_FOR_REGISTRATION) {
        take_registration(consumer, read);
    } else if (!take_position(dispatch, consumer, read)) {
        nx_dispatch_ask_later(dispatch, consumer, NX_FOR_POSITION);
        return;
    }
    if (--consumer->loads_left == 0) {
        take_loaded(dispatch, consumer);
    }
}

void nx_dispatch_take_loading(struct nx_dispatch *dispatch, const struct nx_asked *asked,
                              struct nx_read *read) {
    if (read->status != NX_OK && read->status != NX_NOT_FOUND && read->status != NX_DATA_LOSS) {
        nx_log_warn(dispatch->options.log, "cannot read where the functions stand: it is tried again",
                    NX_F_C("error", read->error.message));
        nx_dispatch_ask_later(dispatch, asked->consumer, asked->purpose);
        return;
    }
    switch (asked->purpose) {
    case NX_FOR_EVENTS_INFO:
        take_events_info(dispatch, read);
        break;
    case NX_FOR_CHECKPOINT:
        take_checkpoint(dispatch, read);
        break;
    case NX_FOR_FACTS:
        take_facts(dispatch, read);
        break;
    case NX_FOR_START_TIME:
        take_start_time(dispatch, asked->consumer, read);
        break;
    case NX_FOR_REGISTRATION:
    case NX_FOR_POSITION:
        take_half(dispatch, asked, read);
        break;
    default:
        nx_assert_never("an answer that recovery did not ask for");
    }
}

static void recover_consumer(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    const unsigned again = consumer->again;
    consumer->again = 0;
    if ((again & 1u << NX_FOR_REGISTRATION) != 0) {
        ask_registration(dispatch, consumer);
    }
    if ((again & 1u << NX_FOR_POSITION) != 0) {
        ask_position(dispatch, consumer);
    }
    if ((again & (1u << NX_FOR_START_TIME | 1u << NX_FOR_START)) != 0) {
        if (consumer->registered == NULL) {
            loaded(dispatch, consumer); /* it went meanwhile */
        } else if ((again & 1u << NX_FOR_START) != 0) {
            write_registration(dispatch, consumer);
        } else {
            choose_start(dispatch, consumer);
        }
    }
    nx_dispatch_search_again(dispatch, consumer, again);
    if (consumer->is_stray && consumer->phase == NX_CONSUMER_LOADED &&
        dispatch->phase == NX_DISPATCH_RUNNING) {
        if (consumer->is_queued) {
            nx_dispatch_queue_all(dispatch, consumer);
        } else {
            begin_consumer(dispatch, consumer);
        }
    }
}

void nx_dispatch_recover_again(struct nx_dispatch *dispatch) {
    const unsigned again = dispatch->again;
    size_t cursor = 0;
    void *value;
    dispatch->again = 0;
    if ((again & 1u << NX_FOR_EVENTS_INFO) != 0) {
        ask_events_info(dispatch);
    }
    if ((again & 1u << NX_FOR_CHECKPOINT) != 0) {
        ask_checkpoint(dispatch);
    }
    if ((again & 1u << NX_FOR_FACTS) != 0) {
        ask_facts(dispatch);
    }
    while (nx_map_next(&dispatch->consumers, &cursor, NULL, &value)) {
        recover_consumer(dispatch, value);
    }
}

void nx_dispatch_take_registered(struct nx_dispatch *dispatch, const struct nx_asked *asked,
                                 const struct nx_append *append) {
    struct nx_consumer *consumer = asked->consumer;
    if (append->status != NX_OK) {
        /* No room, or frozen: it is asked again, and until then nobody is told that we are ready. */
        nx_log_warn(dispatch->options.log, "a function's start cannot be written",
                    NX_F_C("function", consumer->name), NX_F_C("error", append->error.message));
        nx_dispatch_ask_later(dispatch, consumer, NX_FOR_START);
        return;
    }
    consumer->is_registered = true;
    if (consumer->registered != NULL) {
        consumer->registered_digest = consumer->registered->module_digest;
    }
    loaded(dispatch, consumer);
}

void nx_dispatch_update(struct nx_dispatch *dispatch, struct nx_functions_update *update) {
    nx_registry_unref(dispatch->registry);
    dispatch->registry = NX_TAKE(update->registry);
    nx_modules_drop_unused(&dispatch->modules);
    nx_modules_hope(&dispatch->modules);
    dispatch->retry_due_ns = dispatch->now.monotonic_ns;
    nx_message_queue_push(&dispatch->ready_waiting, &update->message);
    bind_known(dispatch);
    dispatch->is_look_due = true;
    if (dispatch->phase == NX_DISPATCH_LOADING) {
        return; /* what is new is found when the loading goes on */
    }
    /* Known functions have their new code from now on; new ones need to know where EVENTS ends. */
    dispatch->is_updating = true;
    ask_events_info(dispatch);
}

void nx_dispatch_advance(struct nx_dispatch *dispatch) {
    size_t cursor = 0;
    void *value;
    if (dispatch->loading_count > 0 || dispatch->is_updating || dispatch->phase < NX_DISPATCH_FOLDING) {
        return;
    }
    struct nx_message *message;
    while ((message = nx_message_queue_pop(&dispatch->ready_waiting)) != NULL) {
        nx_message_reply(message);
    }
    if (dispatch->phase != NX_DISPATCH_FOLDING || !dispatch->is_facts_read) {
        return;
    }
    dispatch->phase = NX_DISPATCH_RUNNING;
    while (nx_map_next(&dispatch->consumers, &cursor, NULL, &value)) {
        begin_consumer(dispatch, value);
    }
    /* At once: it also tells retention what is still needed. */
    dispatch->checkpoint_changed = true;
    dispatch->checkpoint_due_ns = dispatch->now.monotonic_ns;
}
