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

static void ask_simple(struct nx_dispatch *dispatch, enum nx_read_kind kind, struct nx_str stream,
                       const char *subject_prefix, struct nx_consumer *consumer,
                       enum nx_dispatch_purpose purpose) {
    struct nx_read *read = NULL;
    if (nx_read_new(kind, &read, NULL) != NX_OK) {
        dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
        return;
    }
    read->stream = nx_arena_copy(&read->arena, stream);
    if (subject_prefix != NULL) {
        NX_AUTO(nx_buf) subject;
        nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
        nx_buf_append_c(&subject, subject_prefix);
        if (consumer != NULL) {
            nx_buf_append_c(&subject, consumer->name);
        }
        read->subject = nx_arena_copy(&read->arena, nx_buf_str(&subject));
    }
    const struct nx_asked asked = { .purpose = purpose, .consumer = consumer };
    (void)nx_dispatch_ask(dispatch, read, &asked);
}

static void load(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    consumer->phase = NX_CONSUMER_LOADING;
    consumer->loads_left = 2;
    ask_simple(dispatch, NX_READ_LAST, NX_STR("FUNCTIONS"), "functions.", consumer, NX_FOR_REGISTRATION);
    ask_simple(dispatch, NX_READ_LAST, NX_STR(NX_CHECKPOINT_STREAM), "consumers.", consumer, NX_FOR_POSITION);
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
    ask_simple(dispatch, NX_READ_INFO, NX_STR("EVENTS"), NULL, NULL, NX_FOR_EVENTS_INFO);
}

static void ask_facts(struct nx_dispatch *dispatch) {
    struct nx_read *read = NULL;
    if (nx_read_new(NX_READ_SCAN, &read, NULL) != NX_OK) {
        dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
        return;
    }
    read->stream = nx_arena_copy(&read->arena, NX_STR("INVOCATIONS"));
    read->from_sequence = dispatch->invocations_next;
    read->count_max = FACTS_PER_READ;
    const struct nx_asked asked = { .purpose = NX_FOR_FACTS };
    (void)nx_dispatch_ask(dispatch, read, &asked);
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

static void keep_fact(struct nx_dispatch *dispatch, const struct nx_record *record) {
    struct nx_invocation invocation;
    const struct nx_str prefix = NX_STR("invocations.");
    const uint64_t sequence =
        reference_sequence(nx_headers_value(record->headers, "Nexus-Event"), NX_STR("EVENTS"));
    /* A damaged record, or one of a live replay, says nothing about a position. */
    if (sequence == 0 || !nx_str_starts_with(record->subject, prefix) ||
        nx_invocation_decode_head(record->payload, &invocation, NULL) != NX_OK ||
        (invocation.flags & NX_INVOCATION_LIVE_REPLAY) != 0) {
        return;
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
    if (consumer == NULL || nx_consumer_keep_fact(consumer, &fact, NULL) != NX_OK) {
        dispatch->facts_failed = true;
    }
}

static void take_facts(struct nx_dispatch *dispatch, struct nx_read *read) {
    for (size_t i = 0; i < read->record_count; i++) {
        keep_fact(dispatch, &read->records[i]);
    }
    if (read->next_sequence > dispatch->invocations_next) {
        dispatch->invocations_next = read->next_sequence;
    }
    if (read->status == NX_NOT_FOUND || read->at_end) {
        dispatch->is_facts_read = true;
        if (dispatch->facts_failed) {
            nx_log_error(dispatch->options.log, "no memory for what was done since the last checkpoint");
        }
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
    const struct nx_asked asked = { .purpose = NX_FOR_REGISTRATION, .consumer = consumer };
    consumer->phase = NX_CONSUMER_REGISTERING;
    if (nx_append_new(1, 0, &append, NULL) != NX_OK || nx_append_add(append, &entry, NULL) != NX_OK ||
        !nx_dispatch_send_append(dispatch, append, &asked)) {
        nx_append_free(append);
        dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
    }
}

/* All that is known about it is there: let it run. */
static void begin_consumer(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    consumer->is_queued = true;
    if (nx_consumer_apply(consumer, NULL) != NX_OK) {
        nx_log_error(dispatch->options.log, "no memory for what was done since the last checkpoint",
                     NX_F_C("function", consumer->name));
    }
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
        start_at(dispatch, consumer, dispatch->events_end);
        return;
    }
    read->stream = nx_arena_copy(&read->arena, NX_STR("EVENTS"));
    read->from_time_ns = function->from_time_ns;
    read->count_max = 1;
    (void)nx_dispatch_ask(dispatch, read, &asked);
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
            nx_log_error(dispatch->options.log, "no memory for a function");
            continue;
        }
        consumer->registered = registered;
        if (consumer->phase == NX_CONSUMER_LOADED && !consumer->is_registered) {
            dispatch->loading_count++;
            choose_start(dispatch, consumer);
        }
    }
}

static void take_events_info(struct nx_dispatch *dispatch, const struct nx_read *read) {
    dispatch->events_end = read->info_count > 0 ? read->infos[0].last_sequence + 1 : 1;
    if (dispatch->phase == NX_DISPATCH_LOADING) {
        ask_simple(dispatch, NX_READ_LAST, NX_STR(NX_CHECKPOINT_STREAM), NX_CHECKPOINT_SUBJECT, NULL,
                   NX_FOR_CHECKPOINT);
    } else {
        add_new(dispatch); /* an update: what is new starts at this end */
        dispatch->is_updating = false;
    }
}

static void take_checkpoint(struct nx_dispatch *dispatch, const struct nx_read *read) {
    dispatch->head = dispatch->counted_from = dispatch->events_end;
    dispatch->invocations_next = 1;
    if (read->record_count > 0 && !nx_checkpoint_decode(read->records[0].payload, &dispatch->epoch_before,
                                                        &dispatch->invocations_next, &dispatch->head)) {
        /* As if there were none: every record of INVOCATIONS is read again. */
        nx_log_warn(dispatch->options.log, "the checkpoint is damaged, reading all invocations");
    }
    dispatch->epoch = dispatch->epoch_before + 1;
    dispatch->checkpointed_invocations = dispatch->invocations_next;
    dispatch->phase = NX_DISPATCH_FOLDING;
    ask_facts(dispatch);
    add_new(dispatch);
}

/* Both of its records were read. */
static void take_loaded(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    if (consumer->attached) {
        if (consumer->registered != NULL && consumer->epoch == dispatch->epoch_before) {
            /* It stood at the head when the last process wrote its checkpoint. */
            consumer->cursor = consumer->cursor > dispatch->head ? consumer->cursor : dispatch->head;
        } else {
            consumer->attached = false;
        }
    }
    if (!consumer->attached && consumer->cursor >= dispatch->head && consumer->registered != NULL) {
        consumer->attached = true;
    }
    if (consumer->registered == NULL) {
        loaded(dispatch, consumer);
    } else if (!consumer->is_registered) {
        choose_start(dispatch, consumer);
    } else if (!nx_digest_equal(&consumer->registered_digest, &consumer->registered->module_digest)) {
        write_registration(dispatch, consumer); /* the same start, its new module */
    } else {
        loaded(dispatch, consumer);
    }
}

static void take_registration(struct nx_consumer *consumer, const struct nx_read *read) {
    if (read->record_count == 0) {
        return;
    }
    const struct nx_str headers = read->records[0].headers;
    const uint64_t start = reference_sequence(nx_headers_value(headers, "Nexus-Start"), NX_STR("EVENTS"));
    consumer->is_registered = start != 0;
    if (!nx_digest_parse(nx_headers_value(headers, "Nexus-Module"), &consumer->registered_digest)) {
        consumer->registered_digest = (struct nx_digest){ 0 };
    }
    /* The position, when there is one, knows better: it is read after this. */
    if (consumer->loads_left == 2 && start != 0) {
        consumer->start = consumer->cursor = start;
    }
}

static void take_position(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                          const struct nx_read *read) {
    struct nx_error error = { 0 };
    if (read->record_count > 0 && nx_consumer_decode(consumer, read->records[0].payload, &error) != NX_OK) {
        nx_log_error(dispatch->options.log, "a function's position cannot be read",
                     NX_F_C("function", consumer->name), NX_F_C("error", error.message));
    }
}

void nx_dispatch_take_loading(struct nx_dispatch *dispatch, const struct nx_asked *asked,
                              struct nx_read *read) {
    struct nx_consumer *consumer = asked->consumer;
    if (read->status != NX_OK && read->status != NX_NOT_FOUND && read->status != NX_DATA_LOSS) {
        nx_log_error(dispatch->options.log, "cannot read where the functions stand",
                     NX_F_C("error", read->error.message));
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
        start_at(dispatch, consumer,
                 read->record_count > 0 ? read->records[0].sequence : dispatch->events_end);
        break;
    case NX_FOR_REGISTRATION:
    case NX_FOR_POSITION:
        if (asked->purpose == NX_FOR_REGISTRATION) {
            take_registration(consumer, read);
        } else {
            take_position(dispatch, consumer, read);
        }
        if (--consumer->loads_left == 0) {
            take_loaded(dispatch, consumer);
        }
        break;
    default:
        nx_assert_never("an answer that recovery did not ask for");
    }
}

void nx_dispatch_take_registered(struct nx_dispatch *dispatch, const struct nx_asked *asked,
                                 const struct nx_append *append) {
    struct nx_consumer *consumer = asked->consumer;
    if (append->status != NX_OK) {
        /* No room, or frozen: it is asked again, and until then nobody is told that we are ready. */
        nx_log_warn(dispatch->options.log, "a function's start cannot be written",
                    NX_F_C("function", consumer->name), NX_F_C("error", append->error.message));
        dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
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
    nx_message_queue_push(&dispatch->ready_waiting, &update->message);
    bind_known(dispatch);
    dispatch->is_look_due = true;
    if (dispatch->phase == NX_DISPATCH_LOADING) {
        return; /* what is new is found when the loading goes on */
    }
    /* Known functions have their new code from now on; new ones need to know where EVENTS ends. */
    dispatch->is_updating = true;
    ask_simple(dispatch, NX_READ_INFO, NX_STR("EVENTS"), NULL, NULL, NX_FOR_EVENTS_INFO);
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

/* Again what could not be written. */
void nx_dispatch_register_again(struct nx_dispatch *dispatch) {
    size_t cursor = 0;
    void *value;
    while (nx_map_next(&dispatch->consumers, &cursor, NULL, &value)) {
        struct nx_consumer *consumer = value;
        if (consumer->phase == NX_CONSUMER_REGISTERING && consumer->registered != NULL) {
            write_registration(dispatch, consumer);
        }
    }
}
