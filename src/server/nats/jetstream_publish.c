/* Messages into streams: an append each, whose answer is the PubAck. */
#include "server/nats/jetstream_consumer.h"

#include <inttypes.h>

#include "codec/headers.h"
#include "fabric/subject/subject.h"
#include "server/nats/events.h"

enum {
    HEADERS_TEXT_SIZE_MAX = UINT16_MAX, /* bytes of a block, as NATS has it */
    CONDITIONS_MAX = 2,                 /* of a message */
};

void nx_nats_js_send_puback(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                            uint64_t sequence, bool is_duplicate, const struct nx_js_error *err) {
    NX_AUTO(nx_buf) text;
    struct nx_json_writer writer;
    nx_buf_init(&text, NX_NATS_JS_ANSWER_SIZE_MAX);
    nx_json_writer_init(&writer, &text);
    nx_json_object_begin(&writer);
    if (err != NULL) {
        nx_json_key(&writer, NX_STR("error"));
        nx_js_error_write(&writer, err);
    }
    nx_json_member_str(&writer, "stream", job->name);
    nx_json_member_u64(&writer, "seq", sequence);
    if (is_duplicate) {
        nx_json_member_bool(&writer, "duplicate", true);
    }
    nx_json_object_end(&writer);
    nx_nats_js_reply(jetstream, job, NX_STR_EMPTY, nx_buf_str(&text));
}

/* What a header asks for that is not served. */
static bool check_features(struct nx_str lines, struct nx_js_error *err) {
    if (nx_headers_value(lines, "Nats-TTL").len > 0) {
        return nx_js_fail(err, NX_JS_MESSAGE_TTL_DISABLED);
    }
    if (nx_headers_value(lines, "Nats-Incr").len > 0) {
        return nx_js_fail(err, NX_JS_MESSAGE_INCR_DISABLED);
    }
    if (nx_headers_value(lines, "Nats-Schedule").len > 0) {
        return nx_js_fail(err, NX_JS_MESSAGE_SCHEDULES_DISABLED);
    }
    if (nx_headers_value(lines, "Nats-Batch-Id").len > 0) {
        return nx_js_fail(err, NX_JS_ATOMIC_PUBLISH_DISABLED);
    }
    return nx_headers_value(lines, "Nats-Expected-Last-Msg-Id").len == 0
               ? true
               : nx_js_fail_with(err, NX_JS_STREAM_STORE_FAILED,
                                 "Nats-Expected-Last-Msg-Id is not supported by this server");
}

static bool check_rollup(const struct nx_js_entry *entry, struct nx_str lines, struct nx_js_error *err) {
    const struct nx_str rollup = nx_headers_value(lines, "Nats-Rollup");
    if (rollup.len == 0) {
        return true;
    }
    if (!entry->config.allow_rollup_hdrs || entry->config.deny_purge) {
        return nx_js_fail_with(err, NX_JS_STREAM_ROLLUP_FAILED, "rollup not permitted");
    }
    return nx_str_is(rollup, "sub") || nx_str_is(rollup, "all")
               ? true
               : nx_js_fail_with(err, NX_JS_STREAM_ROLLUP_FAILED, "rollup value invalid: \"%.*s\"",
                                 NX_STR_ARG(nx_str_slice(rollup, 0, 128)));
}

static bool check_message(const struct nx_js_entry *entry, const struct nx_nats_op *message,
                          struct nx_str lines, struct nx_js_error *err) {
    const struct nx_str expected = nx_headers_value(lines, "Nats-Expected-Stream");
    const uint64_t size = message->headers.len + message->payload.len;
    if (entry->config.sealed) {
        return nx_js_fail(err, NX_JS_STREAM_SEALED);
    }
    if (entry->config.max_msg_size >= 0 && size > (uint64_t)entry->config.max_msg_size) {
        return nx_js_fail(err, NX_JS_STREAM_MESSAGE_EXCEEDS_MAXIMUM);
    }
    if (message->headers.len > HEADERS_TEXT_SIZE_MAX) {
        return nx_js_fail(err, NX_JS_STREAM_HEADER_EXCEEDS_MAXIMUM);
    }
    if (expected.len > 0 && !nx_str_equal(expected, entry->config.name)) {
        return nx_js_fail(err, NX_JS_STREAM_NOT_MATCH);
    }
    return check_features(lines, err) && check_rollup(entry, lines, err);
}

/* As NATS: what is no number is none that a stream has. */
static enum nx_status add_condition(struct nx_append *append, const struct nx_js_entry *entry,
                                    struct nx_str subject, struct nx_str number, struct nx_error *err) {
    struct nx_append_condition condition = { .stream = nx_str_from_c(entry->stream), .subject = subject };
    if (!nx_str_to_u64(number, &condition.last_sequence)) {
        condition.last_sequence = UINT64_MAX;
    }
    return nx_append_add_condition(append, &condition, err);
}

static enum nx_status add_conditions(struct nx_append *append, const struct nx_js_entry *entry,
                                     const struct nx_nats_op *message, struct nx_str lines,
                                     struct nx_error *err) {
    struct nx_str number;
    if (nx_headers_find(lines, NX_STR("Nats-Expected-Last-Subject-Sequence"), &number)) {
        struct nx_str subject = nx_headers_value(lines, "Nats-Expected-Last-Subject-Sequence-Subject");
        subject = subject.len > 0 ? subject : message->subject;
        NX_TRY(add_condition(append, entry, subject, number, err));
    }
    if (nx_headers_find(lines, NX_STR("Nats-Expected-Last-Sequence"), &number)) {
        NX_TRY(add_condition(append, entry, NX_STR_EMPTY, number, err));
    }
    return NX_OK;
}

static enum nx_status make_append(const struct nx_js_entry *entry, const struct nx_nats_op *message,
                                  struct nx_str lines, struct nx_append **append_out, struct nx_error *err) {
    NX_AUTO(nx_append) *append = NULL;
    const struct nx_append_entry record = { .stream = nx_str_from_c(entry->stream),
                                            .subject = message->subject,
                                            .headers = lines,
                                            .payload = message->payload,
                                            .dedup_key = nx_headers_value(lines, "Nats-Msg-Id") };
    const struct nx_str rollup = nx_headers_value(lines, "Nats-Rollup");
    /* Where one of a subject is kept, that one takes the others' place anyhow. */
    const bool has_mark =
        nx_str_is(rollup, "all") || (rollup.len > 0 && entry->config.max_msgs_per_subject != 1);
    NX_TRY(nx_append_new(2, CONDITIONS_MAX, &append, err));
    if (has_mark) {
        const struct nx_str filter = nx_str_is(rollup, "all") ? NX_STR_EMPTY : message->subject;
        NX_TRY(nx_nats_js_add_mark(append, entry, filter, 0, true, err));
    }
    NX_TRY(nx_append_add(append, &record, err));
    append->last_decides = true;
    NX_TRY(add_conditions(append, entry, message, lines, err));
    *append_out = NX_TAKE(append);
    return NX_OK;
}

static enum nx_status make_event(const struct nx_nats_jetstream *jetstream, const struct nx_nats_op *message,
                                 struct nx_str lines, struct nx_append **append_out, struct nx_error *err) {
    NX_AUTO(nx_append) *append = NULL;
    NX_TRY(nx_nats_events_append(jetstream->options.events, message, lines, CONDITIONS_MAX,
                                 jetstream->now.wall_ns, &append, err));
    NX_TRY(add_conditions(append, &jetstream->events, message, lines, err));
    *append_out = NX_TAKE(append);
    return NX_OK;
}

static void note_publishes(struct nx_nats_jetstream *jetstream) {
    const size_t count = jetstream->publishes.count + jetstream->call_count;
    const size_t size = jetstream->publishes_size;
    if (count >= NX_NATS_JS_PUBLISHES_MAX || size >= NX_NATS_JS_PUBLISHES_SIZE_MAX) {
        jetstream->is_full = true;
    } else if (count <= NX_NATS_JS_PUBLISHES_MAX / 2 && size <= NX_NATS_JS_PUBLISHES_SIZE_MAX / 2) {
        jetstream->is_full = false;
    }
}

void nx_nats_js_count(struct nx_nats_jetstream *jetstream, size_t size, bool is_on_its_way) {
    if (is_on_its_way) {
        jetstream->call_count++;
        jetstream->publishes_size += size;
    } else {
        jetstream->call_count--;
        jetstream->publishes_size -= size;
    }
    note_publishes(jetstream);
}

/* Whoever fills it is not read any more, but what was read of many is there. */
static bool has_room(const struct nx_nats_jetstream *jetstream) {
    return jetstream->publishes.count < NX_NATS_JS_PUBLISHES_OVER * NX_NATS_JS_PUBLISHES_MAX &&
           jetstream->publishes_size < (size_t)NX_NATS_JS_PUBLISHES_OVER * NX_NATS_JS_PUBLISHES_SIZE_MAX;
}

/* False, with the error: it will not be stored. */
static bool send_append(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                        const struct nx_js_entry *entry, const struct nx_nats_op *message,
                        struct nx_js_error *why) {
    struct nx_nats_headers headers = { .lines = NX_STR_EMPTY };
    struct nx_append *append = NULL;
    struct nx_error err = { 0 };
    if (!has_room(jetstream)) {
        return nx_js_fail_with(why, NX_JS_STREAM_STORE_FAILED, "too many messages wait to be stored");
    }
    if (message->headers.len > 0 && !nx_nats_headers_split(message->headers, &headers)) {
        return nx_js_fail_with(why, NX_JS_STREAM_STORE_FAILED, "the headers cannot be read");
    }
    if (!check_message(entry, message, headers.lines, why)) {
        return false;
    }
    if ((job->is_event ? make_event(jetstream, message, headers.lines, &append, &err)
                       : make_append(entry, message, headers.lines, &append, &err)) != NX_OK) {
        return nx_js_fail_with(why, NX_JS_STREAM_STORE_FAILED, "%s", err.message);
    }
    return nx_nats_js_ask(jetstream, job, jetstream->options.appends, &append->message)
               ? true
               : nx_js_fail(why, NX_JS_INSUFFICIENT_RESOURCES);
}

static void note_event(const struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                       struct nx_str subject, bool is_duplicate, const struct nx_js_error *err) {
    if (job->is_event) {
        nx_nats_events_note(jetstream->options.events, subject, is_duplicate,
                            err == NULL ? NULL : err->description, job->reply.len > 0,
                            jetstream->now.monotonic_ns);
    }
}

bool nx_nats_js_take_publish(struct nx_nats_jetstream *jetstream, struct nx_str account,
                             const struct nx_nats_op *message) {
    const bool is_event =
        jetstream->options.events != NULL && nx_nats_events_takes(account, message->subject);
    const struct nx_js_entry *entry =
        is_event ? &jetstream->events
                 : nx_js_catalogue_taker(&jetstream->catalogue, account, message->subject);
    struct nx_js_error why = { 0 };
    struct nx_nats_js_job *job =
        entry == NULL ? NULL : nx_nats_js_job_new(NX_NATS_JS_PUBLISH, account, message);
    if (job == NULL) {
        return false;
    }
    job->is_event = is_event;
    job->reply = entry->config.no_ack ? NX_STR_EMPTY : job->reply;
    job->name = nx_arena_copy(&job->arena, entry->config.name);
    if (job->name.ptr == NULL || !send_append(jetstream, job, entry, message, &why)) {
        nx_nats_js_send_puback(jetstream, job, 0, false, &why);
        note_event(jetstream, job, message->subject, false, &why);
        nx_nats_js_job_free(job);
        return true;
    }
    job->ticket = ++jetstream->ticket;
    job->size = message->headers.len + message->payload.len;
    jetstream->publishes_size += job->size;
    nx_list_append(&jetstream->publishes, &job->node);
    note_publishes(jetstream);
    return true;
}

static void note_stored(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                        const struct nx_append *append) {
    const struct nx_append_entry *stored = &append->entries[append->entry_count - 1];
    const struct nx_js_entry *entry = nx_js_catalogue_find(&jetstream->catalogue, job->account, job->name);
    if (entry == NULL || entry->served == NULL || stored->duplicate ||
        !nx_str_equal(stored->stream, nx_str_from_c(entry->stream))) {
        return;
    }
    if (append->entry_count > 1) { /* a roll-up */
        nx_nats_js_deleted(entry->served);
    }
    nx_nats_js_stored(entry->served, stored->subject, stored->sequence);
}

void nx_nats_js_finish_publish(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                               struct nx_message *message) {
    const struct nx_append *append = (const struct nx_append *)message;
    const struct nx_append_entry *entry = &append->entries[append->entry_count - 1];
    struct nx_js_error why = { 0 };
    const bool is_stored = append->status == NX_OK;
    if (is_stored) {
        note_stored(jetstream, job, append);
    } else if (append->error.kind == NX_KIND_WRONG_LAST_SEQUENCE) {
        (void)nx_js_fail_with(&why, NX_JS_STREAM_WRONG_LAST_SEQUENCE, "%" PRIu64, append->found_sequence);
    } else {
        (void)nx_js_fail_with(&why, NX_JS_STREAM_STORE_FAILED, "%s", append->error.message);
    }
    nx_nats_js_send_puback(jetstream, job, is_stored ? entry->sequence : 0, is_stored && entry->duplicate,
                           is_stored ? NULL : &why);
    note_event(jetstream, job, entry->subject, entry->duplicate, is_stored ? NULL : &why);
    nx_list_remove(&jetstream->publishes, &job->node);
    jetstream->publishes_size -= job->size;
    note_publishes(jetstream);
    nx_message_release(message);
    nx_nats_js_job_free(job);
}
