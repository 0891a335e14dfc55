#include "platform/function/invocation.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "codec/percent.h"
#include "codec/time_format.h"
#include "fabric/object/object.h"

enum {
    HEADERS_SIZE_MAX = NX_HEADERS_SIZE_MAX,
    OBJECT_SLACK_SIZE = 32 * 1024, /* of an object's subjects and description */
};

/* Everything of one conversion; freed together. */
struct conversion {
    const struct nx_invocation_context *context;
    struct nx_append *append;
    struct nx_arena arena; /* summaries and log lines of the record */
    struct nx_invocation invocation;
    struct nx_effect_summary *effects;
    size_t effect_count;
    struct nx_str person_key; /* of the event's person; empty: it names nobody */
    bool is_last;             /* failed for good */
};

void nx_publish_fingerprint(const struct nx_call_publish *publish,
                            uint8_t fingerprint_out[NX_FINGERPRINT_SIZE]) {
    const uint64_t lengths[] = { NX_EFFECT_PUBLISH, publish->type.len, publish->content_type.len };
    const struct nx_str parts[] = { nx_str_of(lengths, sizeof lengths), publish->type, publish->content_type,
                                    publish->data };
    const struct nx_digest digest = nx_digest_of_parts(parts, sizeof parts / sizeof parts[0]);
    memcpy(fingerprint_out, digest.bytes, NX_FINGERPRINT_SIZE);
}

void nx_kv_write_fingerprint(const struct nx_call_kv_write *write,
                             uint8_t fingerprint_out[NX_FINGERPRINT_SIZE]) {
    const uint64_t lengths[] = { write->deleted ? NX_EFFECT_KEY_DELETE : NX_EFFECT_KEY_SET, write->key.len };
    const struct nx_str parts[] = { nx_str_of(lengths, sizeof lengths), write->key, write->value };
    const struct nx_digest digest = nx_digest_of_parts(parts, sizeof parts / sizeof parts[0]);
    memcpy(fingerprint_out, digest.bytes, NX_FINGERPRINT_SIZE);
}

void nx_response_fingerprint(const struct nx_call_response *response,
                             uint8_t fingerprint_out[NX_FINGERPRINT_SIZE]) {
    const uint64_t lengths[] = { NX_EFFECT_RESPOND, response->status };
    const struct nx_str parts[] = { nx_str_of(lengths, sizeof lengths), response->headers };
    const struct nx_digest digest = nx_digest_of_parts(parts, sizeof parts / sizeof parts[0]);
    memcpy(fingerprint_out, digest.bytes, NX_FINGERPRINT_SIZE);
}

void nx_function_keys_stream(struct nx_buf *out, struct nx_str function) {
    nx_buf_append(out, NX_STR("KV_"));
    nx_buf_append(out, function);
}

void nx_function_key_subject(struct nx_buf *out, struct nx_str function, struct nx_str key) {
    nx_buf_append(out, NX_STR("$KV."));
    nx_buf_append(out, function);
    nx_buf_append(out, NX_STR("."));
    nx_percent_encode_subject(out, key);
}

/* In mode live the guest can see that it is done again. */
static void mark_live(const struct nx_record *record, struct nx_arena *arena, struct nx_cloudevent *event) {
    char time_text[NX_TIME_TEXT_SIZE + 1];
    if (event->extension_count + 2 > NX_CLOUDEVENT_EXTENSIONS_MAX) {
        return;
    }
    const struct nx_str time = nx_time_format(record->time_ns, NX_TIME_MILLISECONDS, time_text);
    event->extensions[event->extension_count++] =
        (struct nx_cloudevent_extension){ NX_STR("isreplay"), NX_STR("true") };
    event->extensions[event->extension_count++] =
        (struct nx_cloudevent_extension){ NX_STR("originaltime"), nx_arena_copy(arena, time) };
}

enum nx_status nx_event_to_input(const struct nx_event_input *input, struct nx_arena *arena,
                                 struct nx_cloudevent *event_out, struct nx_buf *out, struct nx_error *err) {
    const struct nx_record *record = input->record;
    const struct nx_cloudevent_record source = nx_record_as_event(record);
    NX_TRY(nx_cloudevent_from_record(&source, arena, event_out, err));
    if (input->is_live_replay) {
        mark_live(record, arena, event_out);
    }
    if (input->is_data) {
        nx_buf_append(out, event_out->data);
    } else {
        nx_cloudevent_to_json(out, event_out);
    }
    return nx_buf_check(out, err);
}

/* Add the entry with this subject and these headers. */
static enum nx_status add_entry(struct conversion *conversion, struct nx_append_entry entry,
                                const struct nx_buf *subject, const struct nx_buf *headers,
                                struct nx_error *err) {
    NX_TRY(nx_buf_check(subject, err));
    NX_TRY(nx_buf_check(headers, err));
    entry.subject = nx_buf_str(subject);
    entry.headers = nx_buf_str(headers);
    return nx_append_add(conversion->append, &entry, err);
}

/* As add_entry(), sealed when the event is about a person; `entry.clear` is what stays readable then. */
static enum nx_status add_personal(struct conversion *conversion, struct nx_append_entry entry,
                                   const struct nx_buf *subject, const struct nx_buf *headers,
                                   struct nx_error *err) {
    entry.person_key = conversion->person_key;
    return add_entry(conversion, entry, subject, headers, err);
}

/* Which event this is about, as "EVENTS:17". */
static void append_event_header(const struct nx_task *task, struct nx_buf *headers) {
    nx_buf_append_format(headers, "Nexus-Event: EVENTS:%" PRIu64 "\r\n", task->event_sequence);
}

/* An event that a call publishes is about the person of the event that it handles, unless a rule of
 * nexus.yaml says whom it names. */
static enum nx_status add_event_entry(struct conversion *conversion, const struct nx_cloudevent *event,
                                      const struct nx_buf *subject, const struct nx_buf *headers,
                                      struct nx_error *err) {
    const struct nx_task *task = conversion->context->task;
    NX_AUTO(nx_buf) person;
    nx_buf_init(&person, NX_PERSON_SIZE_MAX);
    NX_TRY(nx_buf_check(subject, err));
    NX_TRY(nx_buf_check(headers, err));
    const struct nx_str path = nx_registry_person_path(task->registry, nx_buf_str(subject));
    const bool is_named = path.len > 0 && nx_cloudevent_lookup(&person, event, path) && person.len > 0;
    if (nx_buf_failed(&person)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' of a published event cannot name a person",
                       NX_STR_ARG(path));
    }
    const struct nx_append_entry entry = {
        .stream = NX_STR("EVENTS"),
        .subject = nx_buf_str(subject),
        .headers = nx_buf_str(headers),
        .payload = event->data,
        .person = is_named ? nx_buf_str(&person) : NX_STR_EMPTY,
        .person_key = is_named ? NX_STR_EMPTY : conversion->person_key,
    };
    return nx_append_add(conversion->append, &entry, err);
}

static enum nx_status add_publish(struct conversion *conversion, const struct nx_call_publish *publish,
                                  struct nx_error *err) {
    const struct nx_invocation_context *context = conversion->context;
    const struct nx_task *task = context->task;
    NX_AUTO(nx_buf) subject;
    NX_AUTO(nx_buf) headers;
    NX_AUTO(nx_buf) source;
    uint8_t random[NX_ULID_RANDOM_SIZE];
    char id_text[NX_ULID_TEXT_SIZE + 1];
    char time_text[NX_TIME_TEXT_SIZE + 1];
    char trace_text[NX_TRACEPARENT_TEXT_SIZE + 1];

    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_init(&headers, HEADERS_SIZE_MAX);
    nx_buf_init(&source, 256);
    nx_random_fill(&context->random, random, sizeof random);
    const struct nx_ulid ulid = nx_ulid_next(context->ulids, context->wall_ns, random);
    nx_buf_append(&source, NX_STR("/functions/"));
    nx_buf_append(&source, task->registered->function->name);
    const struct nx_cloudevent event = {
        .id = nx_ulid_format(&ulid, id_text),
        .source = nx_buf_str(&source),
        .type = publish->type,
        .time = nx_time_format(context->wall_ns, NX_TIME_MILLISECONDS, time_text),
        .datacontenttype = publish->content_type.len > 0 ? publish->content_type : NX_STR("application/json"),
        .traceparent = nx_traceparent_format(&context->trace, trace_text),
        .data = publish->data,
        .has_data = publish->data.len > 0,
    };
    NX_TRY(nx_cloudevent_to_headers(&event, &headers, err));
    /* Its parent, for `nexus why`: the event, the function and the attempt name one invocation. */
    nx_buf_append_format(&headers, "Nexus-Cause: EVENTS:%" PRIu64 "/%.*s/%" PRIu32 "/%" PRIu32 "\r\n",
                         task->event_sequence, NX_STR_ARG(task->registered->function->name), task->series,
                         task->attempt);
    nx_cloudevent_subject(&subject, publish->type);
    NX_TRY(add_event_entry(conversion, &event, &subject, &headers, err));

    struct nx_effect_summary *summary = &conversion->effects[conversion->effect_count++];
    summary->kind = NX_EFFECT_PUBLISH;
    summary->name = nx_arena_copy(&conversion->arena, event.id);
    summary->type = publish->type;
    nx_publish_fingerprint(publish, summary->fingerprint);
    return summary->name.ptr == NULL ? nx_fail_memory(err) : NX_OK;
}

static enum nx_status add_kv_write(struct conversion *conversion, const struct nx_call_kv_write *write,
                                   struct nx_error *err) {
    const struct nx_str function = conversion->context->task->registered->function->name;
    NX_AUTO(nx_buf) stream;
    NX_AUTO(nx_buf) subject;
    NX_AUTO(nx_buf) headers;
    nx_buf_init(&stream, NX_STREAM_NAME_SIZE_MAX);
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_init(&headers, HEADERS_SIZE_MAX);
    nx_function_keys_stream(&stream, function);
    nx_function_key_subject(&subject, function, write->key);
    if (write->deleted) {
        nx_buf_append(&headers, NX_STR("KV-Operation: DEL\r\n"));
    }
    const struct nx_append_entry entry = { .stream = nx_buf_str(&stream),
                                           .payload = write->deleted ? NX_STR_EMPTY : write->value };
    if (write->deleted || !conversion->context->task->registered->function->values_are_about) {
        NX_TRY(add_entry(conversion, entry, &subject, &headers, err));
    } else {
        NX_TRY(add_personal(conversion, entry, &subject, &headers, err));
    }
    struct nx_effect_summary *summary = &conversion->effects[conversion->effect_count++];
    summary->kind = write->deleted ? NX_EFFECT_KEY_DELETE : NX_EFFECT_KEY_SET;
    summary->name = write->key;
    summary->type = NX_STR_EMPTY;
    nx_kv_write_fingerprint(write, summary->fingerprint);
    return NX_OK;
}

static enum nx_status add_condition(struct conversion *conversion, const struct nx_call_kv_read *read,
                                    struct nx_error *err) {
    const struct nx_str function = conversion->context->task->registered->function->name;
    NX_AUTO(nx_buf) stream;
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&stream, NX_STREAM_NAME_SIZE_MAX);
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_function_keys_stream(&stream, function);
    nx_function_key_subject(&subject, function, read->key);
    NX_TRY(nx_buf_check(&subject, err));
    const struct nx_append_condition condition = {
        .stream = nx_buf_str(&stream),
        .subject = nx_buf_str(&subject),
        .last_sequence = read->version,
    };
    return nx_append_add_condition(conversion->append, &condition, err);
}

/* What it said of its answer: of its output, which is there already. */
static enum nx_status add_response(struct conversion *conversion, const struct nx_call_response *response,
                                   struct nx_error *err) {
    char status[16];
    const int len = snprintf(status, sizeof status, "%" PRIu32, response->status);
    struct nx_effect_summary *summary = &conversion->effects[conversion->effect_count++];
    summary->kind = NX_EFFECT_RESPOND;
    summary->name = nx_arena_copy(&conversion->arena, nx_str_of(status, (size_t)len));
    summary->type = response->headers;
    nx_response_fingerprint(response, summary->fingerprint);
    return summary->name.ptr == NULL ? nx_fail_memory(err) : NX_OK;
}

static enum nx_status add_effects(struct conversion *conversion, struct nx_error *err) {
    const struct nx_call_result *result = conversion->context->result;
    if (result->outcome != NX_OUTCOME_OK) {
        return NX_OK;
    }
    const size_t count =
        result->publish_count + result->kv_write_count + (result->response.status != 0 ? 1 : 0);
    if (count > NX_INVOCATION_EFFECTS_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "%zu effects are more than the %d that one call may have",
                       count, NX_INVOCATION_EFFECTS_MAX);
    }
    conversion->effects = nx_arena_alloc(&conversion->arena, (count + 1) * sizeof *conversion->effects);
    if (conversion->effects == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < result->publish_count; i++) {
        NX_TRY(add_publish(conversion, &result->publishes[i], err));
    }
    for (size_t i = 0; i < result->kv_write_count; i++) {
        NX_TRY(add_kv_write(conversion, &result->kv_writes[i], err));
    }
    if (result->response.status != 0) {
        NX_TRY(add_response(conversion, &result->response, err));
    }
    for (size_t i = 0; i < result->kv_read_count; i++) {
        NX_TRY(add_condition(conversion, &result->kv_reads[i], err));
    }
    return NX_OK;
}

static enum nx_status copy_log_lines(struct conversion *conversion, struct nx_error *err) {
    const struct nx_call_result *result = conversion->context->result;
    const size_t count = result->log_line_count < NX_INVOCATION_LOG_LINES_MAX ? result->log_line_count
                                                                              : NX_INVOCATION_LOG_LINES_MAX;
    struct nx_invocation_log_line *lines = nx_arena_alloc(&conversion->arena, (count + 1) * sizeof *lines);
    if (lines == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        lines[i] = (struct nx_invocation_log_line){
            .level = (uint8_t)result->log_lines[i].level,
            .time_ns = result->log_lines[i].time_ns,
            .text = result->log_lines[i].text,
            .fields = result->log_lines[i].fields,
        };
    }
    conversion->invocation.log_lines = lines;
    conversion->invocation.log_line_count = count;
    return NX_OK;
}

struct nx_digest nx_invocation_output_salt(struct nx_str tape) {
    return nx_digest_of(tape);
}

/* The worker has put the bytes into the object store: only the digest is left in the record. */
static void name_blob(struct conversion *conversion, struct nx_invocation_blob *blob, struct nx_str salt,
                      uint32_t stored_flag) {
    const struct nx_str parts[] = { salt, blob->bytes };
    if (nx_invocation_is_inline(blob->bytes)) {
        return;
    }
    blob->digest = nx_digest_of_parts(parts, sizeof parts / sizeof parts[0]);
    blob->size = salt.len + blob->bytes.len;
    blob->bytes = NX_STR_EMPTY;
    conversion->invocation.flags |= stored_flag;
}

static void name_blobs(struct conversion *conversion) {
    struct nx_invocation *invocation = &conversion->invocation;
    const bool is_salted =
        conversion->person_key.len > 0 && !nx_invocation_is_inline(invocation->output.bytes);
    const struct nx_digest salt =
        is_salted ? nx_invocation_output_salt(invocation->tape.bytes) : (struct nx_digest){ 0 };
    name_blob(conversion, &invocation->output, nx_str_of(salt.bytes, is_salted ? sizeof salt.bytes : 0),
              NX_INVOCATION_OUTPUT_STORED);
    name_blob(conversion, &invocation->tape, NX_STR_EMPTY, NX_INVOCATION_TAPE_STORED);
}

/* What may be told of a call about a person when their key is gone. */
static void encode_clear(const struct conversion *conversion, struct nx_buf *out) {
    struct nx_invocation clear = conversion->invocation;
    if (conversion->person_key.len == 0) {
        return;
    }
    clear.flags &= ~(uint32_t)(NX_INVOCATION_OUTPUT_STORED | NX_INVOCATION_TAPE_STORED);
    clear.flags |= NX_INVOCATION_WITHHELD;
    clear.error = clear.output.bytes = clear.tape.bytes = NX_STR_EMPTY;
    clear.effect_count = clear.log_line_count = 0;
    nx_invocation_encode(&clear, out);
}

static enum nx_status add_invocation(struct conversion *conversion, struct nx_error *err) {
    const struct nx_task *task = conversion->context->task;
    struct nx_invocation *invocation = &conversion->invocation;
    NX_AUTO(nx_buf) subject;
    NX_AUTO(nx_buf) headers;
    NX_AUTO(nx_buf) payload;
    NX_AUTO(nx_buf) clear;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_init(&headers, HEADERS_SIZE_MAX);
    nx_buf_init(&payload, NX_INVOCATION_SIZE_MAX);
    nx_buf_init(&clear, NX_INVOCATION_SIZE_MAX);
    name_blobs(conversion);
    nx_buf_append(&subject, NX_STR("invocations."));
    nx_buf_append(&subject, task->registered->function->name);
    append_event_header(task, &headers);
    if (task->replay_of != 0) {
        nx_buf_append_format(&headers, "Nexus-Replay-Of: INVOCATIONS:%" PRIu64 "\r\n", task->replay_of);
    }
    nx_invocation_encode(invocation, &payload);
    encode_clear(conversion, &clear);
    NX_TRY(nx_buf_check(&payload, err));
    NX_TRY(nx_buf_check(&clear, err));
    const struct nx_append_entry entry = { .stream = NX_STR("INVOCATIONS"),
                                           .payload = nx_buf_str(&payload),
                                           .clear = nx_buf_str(&clear) };
    return add_personal(conversion, entry, &subject, &headers, err);
}

/* Why an event was given up, as JSON: people read it, and so do other tools. */
static void write_dead_letter(const struct nx_task *task, const struct nx_call_result *result,
                              struct nx_str error, struct nx_buf *out) {
    struct nx_json_writer writer;
    nx_json_writer_init(&writer, out);
    nx_json_object_begin(&writer);
    nx_json_member_str(&writer, "function", task->registered->function->name);
    nx_json_member_c(&writer, "outcome", nx_outcome_name(result->outcome));
    nx_json_member_str(&writer, "error", error);
    nx_json_member_u64(&writer, "attempts", task->attempt);
    nx_json_member_u64(&writer, "series", task->series);
    nx_json_key(&writer, NX_STR("earlier_invocations"));
    nx_json_array_begin(&writer);
    for (size_t i = 0; i < task->earlier_count; i++) {
        nx_json_u64(&writer, task->earlier[i]);
    }
    nx_json_array_end(&writer);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
}

static enum nx_status add_dead_letter(struct conversion *conversion, struct nx_error *err) {
    const struct nx_task *task = conversion->context->task;
    const struct nx_call_result *result = conversion->context->result;
    NX_AUTO(nx_buf) subject;
    NX_AUTO(nx_buf) headers;
    NX_AUTO(nx_buf) payload;
    NX_AUTO(nx_buf) clear;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_init(&headers, HEADERS_SIZE_MAX);
    nx_buf_init(&payload, NX_INVOCATION_SIZE_MAX);
    nx_buf_init(&clear, NX_INVOCATION_SIZE_MAX);
    nx_buf_append(&subject, NX_STR("dlq."));
    nx_buf_append(&subject, task->registered->function->name);
    append_event_header(task, &headers);
    nx_buf_append_format(&headers, "Nexus-Series: %" PRIu32 "\r\n", task->series);
    nx_buf_append(&headers, NX_STR("content-type: application/json\r\n"));
    write_dead_letter(task, result, result->error, &payload);
    if (conversion->person_key.len > 0) {
        write_dead_letter(task, result, NX_STR_EMPTY, &clear);
    }
    NX_TRY(nx_buf_check(&payload, err));
    NX_TRY(nx_buf_check(&clear, err));
    const struct nx_append_entry entry = { .stream = NX_STR("DLQ"),
                                           .payload = nx_buf_str(&payload),
                                           .clear = nx_buf_str(&clear) };
    return add_personal(conversion, entry, &subject, &headers, err);
}

static void describe(struct conversion *conversion) {
    const struct nx_invocation_context *context = conversion->context;
    const struct nx_task *task = context->task;
    const struct nx_call_result *result = context->result;
    uint32_t flags = 0;
    if (task->replay_of != 0) {
        flags |= NX_INVOCATION_LIVE_REPLAY;
    }
    if (!result->replayable) {
        flags |= NX_INVOCATION_UNREPLAYABLE;
    }
    if (conversion->is_last) {
        flags |= NX_INVOCATION_DEAD_LETTER;
    }
    if (task->registered->function->input_is_data) {
        flags |= NX_INVOCATION_INPUT_IS_DATA;
    }
    if (conversion->person_key.len > 0) {
        flags |= NX_INVOCATION_PERSONAL;
    }
    conversion->invocation = (struct nx_invocation){
        .flags = flags,
        .outcome = result->outcome,
        .attempt = task->attempt,
        .series = task->series,
        .module_digest = task->registered->module_digest,
        .started_at_ns = result->start_time_ns,
        .duration_ns = result->duration_ns < 0 ? 0 : (uint64_t)result->duration_ns,
        .fuel = result->fuel_used,
        .memory_peak = result->memory_peak,
        .exit_code = result->exit_code,
        .error = result->error,
        .dead_letter = task->dead_letter,
        .output = { .bytes = result->output },
        .earlier = task->earlier,
        .earlier_count = task->earlier_count,
        .tape = { .bytes = result->tape },
    };
    memcpy(conversion->invocation.trace_id, context->trace.trace_id, NX_TRACE_ID_SIZE);
    memcpy(conversion->invocation.span_id, context->trace.span_id, NX_SPAN_ID_SIZE);
}

/* Entries that a tape or output will take beside the record; an output may begin with a digest. */
static size_t entries_of(struct nx_str blob) {
    return nx_invocation_is_inline(blob) || blob.len > NX_INVOCATION_BESIDE_SIZE_MAX
               ? 0
               : nx_object_entry_count(blob.len + NX_DIGEST_SIZE);
}

bool nx_invocation_has_room(const struct nx_append *append, size_t size) {
    return size <= NX_INVOCATION_BESIDE_SIZE_MAX &&
           nx_object_entry_count(size) <= append->entry_count_max - append->entry_count &&
           append->arena.size + size + OBJECT_SLACK_SIZE <= NX_APPEND_SIZE_MAX;
}

static enum nx_status convert(struct conversion *conversion, struct nx_error *err) {
    const struct nx_call_result *result = conversion->context->result;
    /* The invocation and the dead letter, beside the effects and objects. */
    const size_t entries_max = 2 + result->publish_count + result->kv_write_count +
                               entries_of(result->output) + entries_of(result->tape);
    NX_TRY(nx_append_new(entries_max < NX_APPEND_ENTRIES_MAX ? entries_max : NX_APPEND_ENTRIES_MAX,
                         result->kv_read_count, &conversion->append, err));
    conversion->append->makes_room = true;
    describe(conversion);
    NX_TRY(copy_log_lines(conversion, err));
    NX_TRY(add_effects(conversion, err));
    conversion->invocation.effects = conversion->effects;
    conversion->invocation.effect_count = conversion->effect_count;
    NX_TRY(add_invocation(conversion, err));
    return conversion->is_last ? add_dead_letter(conversion, err) : NX_OK;
}

enum nx_status nx_invocation_to_append(const struct nx_invocation_context *context,
                                       struct nx_append **append_out, struct nx_error *err) {
    const struct nx_task *task = context->task;
    struct conversion conversion = {
        .context = context,
        .is_last = context->result->outcome != NX_OUTCOME_OK && task->replay_of == 0 &&
                   task->attempt >= task->attempts_max,
        .person_key = nx_task_person_key(task),
    };
    nx_arena_init(&conversion.arena, 16 * 1024 * 1024);
    const enum nx_status status = convert(&conversion, err);
    nx_arena_fini(&conversion.arena);
    if (status != NX_OK) {
        nx_append_free(conversion.append);
        return status;
    }
    *append_out = conversion.append;
    return NX_OK;
}

const struct nx_append_entry *nx_invocation_entry(const struct nx_append *append) {
    for (size_t i = append->entry_count; i > 0; i--) {
        if (nx_str_is(append->entries[i - 1].stream, "INVOCATIONS")) {
            return &append->entries[i - 1];
        }
    }
    nx_assert_never("an append without its invocation");
    return NULL;
}
