/* src/app/fixture_write.c: a recorded call as a fixture: laid out for people, one answer or effect a line. */
#include <inttypes.h>
#include <stdio.h>

#include "app/fixture.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/time_format.h"
#include "codec/traceparent.h"
#include "platform/function/invocation.h"
#include "platform/function/replay_check.h"

enum { FUEL_WORTH_WRITING = 10 * 1000 * 1000, TEXT_SIZE_MAX = 64 * 1024 * 1024 };

/* An object in one line: begun, its members added, ended. */
struct line {
    struct nx_buf *out;
    bool has_members;
};

static struct line line_begin(struct nx_buf *out, const char *before) {
    nx_buf_append_c(out, before);
    nx_buf_append_c(out, "{");
    return (struct line){ .out = out };
}

static void line_key(struct line *line, const char *name) {
    nx_buf_append_format(line->out, "%s\"%s\": ", line->has_members ? ", " : "", name);
    line->has_members = true;
}

static void append_string(struct nx_buf *out, struct nx_str text) {
    struct nx_json_writer writer;
    nx_json_writer_init(&writer, out);
    nx_json_string(&writer, text);
    nx_json_writer_end(&writer);
}

/* Text, or base64 under `name`_base64. */
static void line_text(struct line *line, const char *name, struct nx_str bytes) {
    if (nx_str_is_utf8(bytes)) {
        line_key(line, name);
        append_string(line->out, bytes);
        return;
    }
    char key[64];
    (void)snprintf(key, sizeof key, "%s_base64", name);
    line_key(line, key);
    nx_buf_append_c(line->out, "\"");
    nx_base64_encode(line->out, NX_BASE64_STANDARD, bytes);
    nx_buf_append_c(line->out, "\"");
}

/* As line_text(); objects and arrays of JSON as they are. */
static void line_content(struct line *line, const char *name, struct nx_str bytes) {
    const struct nx_str trimmed = nx_str_trim(bytes);
    if (trimmed.len > 0 && (trimmed.ptr[0] == '{' || trimmed.ptr[0] == '[') && nx_json_is_valid(trimmed)) {
        line_key(line, name);
        nx_buf_append(line->out, trimmed);
    } else {
        line_text(line, name, bytes);
    }
}

static void line_end(struct line *line) {
    nx_buf_append_c(line->out, "}");
}

static void append_answer(struct nx_buf *out, const struct nx_tape_call *call, struct nx_str key) {
    char time[NX_TIME_TEXT_SIZE + 1];
    struct line line = line_begin(out, "      ");
    switch (call->entry.kind) {
    case NX_TAPE_KV_GET:
        line_text(&line, "key", key);
        if (call->entry.found) {
            line_text(&line, "value", call->entry.value);
        } else {
            line_key(&line, "value");
            nx_buf_append_c(out, "null");
        }
        break;
    case NX_TAPE_CLOCK_WALL:
        line_text(&line, "clock", nx_time_format(call->time_ns, NX_TIME_SHORTEST, time));
        break;
    case NX_TAPE_CLOCK_MONOTONIC:
        line_key(&line, "monotonic");
        nx_buf_append_c(out, "\"");
        nx_duration_format(out, call->time_ns < 0 ? 0 : call->time_ns);
        nx_buf_append_c(out, "\"");
        break;
    case NX_TAPE_POLL:
        line_key(&line, "wait");
        nx_buf_append_format(out, "\"%08" PRIx32 "\"", call->entry.arguments);
        line_key(&line, "ended_by");
        nx_buf_append_c(out, "[");
        for (size_t i = 0; i < call->entry.fired_count; i++) {
            nx_buf_append_format(out, "%s%u", i == 0 ? "" : ", ", call->entry.fired[i]);
        }
        nx_buf_append_c(out, "]");
        break;
    case NX_TAPE_WAIT_CUT:
    case NX_TAPE_LOG_TIME:
        break;
    }
    line_end(&line);
}

static void append_answers(struct nx_buf *out, const struct nx_tape_header *header,
                           const struct nx_tape_reader *entries, const struct nx_call_result *result) {
    struct nx_tape_calls walk = nx_tape_calls_of(header, entries);
    struct nx_tape_call call;
    size_t key_index = 0;
    bool is_first = true;
    nx_buf_append_c(out, ",\n    \"answers\": [");
    while (nx_tape_calls_next(&walk, &call)) {
        struct nx_str key = NX_STR_EMPTY;
        if (call.entry.kind == NX_TAPE_WAIT_CUT) {
            continue; /* the last one: it was never answered */
        }
        if (call.entry.kind == NX_TAPE_KV_GET && key_index < result->kv_read_count) {
            key = result->kv_reads[key_index++].key; /* each key is asked of the store once */
        }
        nx_buf_append_c(out, is_first ? "\n" : ",\n");
        is_first = false;
        append_answer(out, &call, key);
    }
    nx_buf_append_c(out, is_first ? "]" : "\n    ]");
}

/* What nexus.yaml says today needs not to be said again. */
static bool is_same_environment(const struct nx_tape_header *header, const struct nx_function *function) {
    bool is_same = function != NULL && header->env_count == function->env_count;
    for (size_t i = 0; is_same && i < header->env_count; i++) {
        is_same = nx_str_equal(header->env[i].name, function->env[i].name) &&
                  nx_str_equal(header->env[i].value, function->env[i].value);
    }
    return is_same;
}

static void append_world(struct nx_buf *out, const struct nx_tape_header *header,
                         const struct nx_tape_reader *entries, const struct nx_call_result *result,
                         const struct nx_function *function) {
    char time[NX_TIME_TEXT_SIZE + 1];
    nx_buf_append_format(out, "  \"world\": {\n    \"start\": \"%.*s\"",
                         NX_STR_ARG(nx_time_format(header->start_time_ns, NX_TIME_SHORTEST, time)));
    nx_buf_append_c(out, ",\n    \"seed\": \"");
    nx_hex_encode(out, nx_str_of(header->seed, sizeof header->seed));
    nx_buf_append_c(out, "\"");
    if (!is_same_environment(header, function)) {
        struct line line = line_begin(out, ",\n    \"environment\": ");
        for (size_t i = 0; i < header->env_count; i++) {
            nx_buf_append_c(out, i == 0 ? "" : ", ");
            append_string(out, header->env[i].name);
            nx_buf_append_c(out, ": ");
            append_string(out, header->env[i].value);
        }
        line_end(&line);
    }
    if ((header->flags & NX_TAPE_HAS_TRACE) != 0) {
        struct nx_traceparent trace = { .flags = header->trace_flags };
        char text[NX_TRACEPARENT_TEXT_SIZE + 1];
        memcpy(trace.trace_id, header->trace_id, sizeof trace.trace_id);
        memcpy(trace.span_id, header->span_id, sizeof trace.span_id);
        nx_buf_append_format(out, ",\n    \"traceparent\": \"%.*s\"",
                             NX_STR_ARG(nx_traceparent_format(&trace, text)));
    }
    if (header->fuel >= FUEL_WORTH_WRITING) {
        nx_buf_append_format(out, ",\n    \"fuel\": %" PRIu64, header->fuel);
    }
    append_answers(out, header, entries, result);
    nx_buf_append_c(out, "\n  }");
}

static void append_log(struct nx_buf *out, const struct nx_call_result *result) {
    nx_buf_append_c(out, ",\n    \"log\": [");
    for (size_t i = 0; i < result->log_line_count; i++) {
        const struct nx_call_log_line *line = &result->log_lines[i];
        struct line object = line_begin(out, i == 0 ? "\n      " : ",\n      ");
        line_text(&object, "level", nx_str_from_c(nx_log_level_name(line->level)));
        line_text(&object, "text", line->text);
        if (line->fields.len > 0) {
            line_content(&object, "fields", line->fields);
        }
        line_end(&object);
    }
    nx_buf_append_c(out, result->log_line_count == 0 ? "]" : "\n    ]");
}

static void append_published(struct nx_buf *out, const struct nx_call_result *result) {
    const size_t count = result->outcome == NX_OUTCOME_OK ? result->publish_count : 0;
    nx_buf_append_c(out, ",\n    \"published\": [");
    for (size_t i = 0; i < count; i++) {
        const struct nx_call_publish *event = &result->publishes[i];
        struct line object = line_begin(out, i == 0 ? "\n      " : ",\n      ");
        line_text(&object, "type", event->type);
        if (event->content_type.len > 0 && !nx_str_is(event->content_type, "application/json")) {
            line_text(&object, "content_type", event->content_type);
        }
        line_content(&object, "data", event->data);
        line_end(&object);
    }
    nx_buf_append_c(out, count == 0 ? "]" : "\n    ]");
}

static void append_stored(struct nx_buf *out, const struct nx_call_result *result) {
    const size_t count = result->outcome == NX_OUTCOME_OK ? result->kv_write_count : 0;
    nx_buf_append_c(out, ",\n    \"stored\": [");
    for (size_t i = 0; i < count; i++) {
        const struct nx_call_kv_write *write = &result->kv_writes[i];
        struct line object = line_begin(out, i == 0 ? "\n      " : ",\n      ");
        line_text(&object, "key", write->key);
        if (write->deleted) {
            line_key(&object, "value");
            nx_buf_append_c(out, "null");
        } else {
            line_content(&object, "value", write->value);
        }
        line_end(&object);
    }
    nx_buf_append_c(out, count == 0 ? "]" : "\n    ]");
}

static void append_response(struct nx_buf *out, const struct nx_call_response *response) {
    struct nx_str rest = response->headers;
    struct nx_str line;
    bool is_first = true;
    nx_buf_append_format(out, ",\n    \"response\": {\"status\": %" PRIu32 ", \"headers\": [",
                         response->status);
    while (rest.len > 0 && nx_str_split(&rest, '\n', &line)) {
        if (nx_str_trim(line).len > 0) {
            nx_buf_append_c(out, is_first ? "" : ", ");
            append_string(out, nx_str_trim(line));
            is_first = false;
        }
    }
    nx_buf_append_c(out, "]}");
}

/* The value of "expect". */
static void append_expect(struct nx_buf *out, const struct nx_call_result *result) {
    struct nx_str output = result->output;
    nx_buf_append_format(out, "{\n    \"outcome\": \"%s", nx_outcome_name(result->outcome));
    if (result->exit_code != 0) {
        nx_buf_append_format(out, " %d", result->exit_code);
    }
    nx_buf_append_c(out, "\",\n    ");
    while (output.len > 0 && output.ptr[output.len - 1] == '\n') {
        output.len--;
    }
    struct line line = { .out = out };
    line_content(&line, "output", output);
    append_log(out, result);
    append_published(out, result);
    append_stored(out, result);
    if (result->outcome == NX_OUTCOME_OK && result->response.status != 0) {
        append_response(out, &result->response);
    }
    nx_buf_append_c(out, "\n  }");
}

static enum nx_status append_event(const struct nx_check_subject *subject, struct nx_buf *out,
                                   struct nx_error *err) {
    NX_AUTO(nx_arena) arena = { 0 };
    struct nx_cloudevent event;
    nx_arena_init(&arena, TEXT_SIZE_MAX);
    const struct nx_event_input input = {
        .record = subject->event,
        .is_live_replay = (subject->invocation->flags & NX_INVOCATION_LIVE_REPLAY) != 0,
    };
    return nx_event_to_input(&input, &arena, &event, out, err);
}

enum nx_status nx_fixture_write(const struct nx_check_subject *subject, const struct nx_call_result *result,
                                const struct nx_function *function, struct nx_buf *out,
                                struct nx_error *err) {
    const struct nx_str prefix = NX_STR("invocations.");
    struct nx_tape_header header;
    struct nx_tape_reader entries;
    header.env_count = 0;
    NX_TRY(nx_tape_decode(subject->invocation->tape.bytes, &header, &entries, err));
    nx_buf_append_format(
        out,
        "{\n  \"fixture\": %d,\n  \"function\": \"%.*s\",\n  \"recorded\": \"INVOCATIONS:%" PRIu64 "\",\n",
        NX_FIXTURE_VERSION,
        NX_STR_ARG(nx_str_slice(subject->record->subject, prefix.len, subject->record->subject.len)),
        subject->record->sequence);
    nx_buf_append_c(out, "  \"event\": ");
    NX_TRY(append_event(subject, out, err));
    nx_buf_append_c(out, ",\n");
    append_world(out, &header, &entries, result, function);
    nx_buf_append_c(out, ",\n  \"expect\": ");
    append_expect(out, result);
    nx_buf_append_c(out, "\n}\n");
    return nx_buf_check(out, err);
}

void nx_fixture_update(const struct nx_fixture *fixture, const struct nx_call_result *result,
                       struct nx_buf *out) {
    struct nx_json_members members = nx_json_members_of(fixture->text);
    struct nx_str name;
    struct nx_str value;
    while (nx_json_members_next(&members, &name, &value)) {
        if (nx_str_is(name, "expect")) {
            const size_t from = (size_t)(value.ptr - fixture->text.ptr);
            nx_buf_append(out, nx_str_slice(fixture->text, 0, from));
            append_expect(out, result);
            nx_buf_append(out, nx_str_slice(fixture->text, from + value.len, fixture->text.len));
            return;
        }
    }
}
