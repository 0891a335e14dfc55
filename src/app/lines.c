/* src/app/lines.c */
#include "app/lines.h"

#include <stdio.h>

#include "codec/headers.h"
#include "codec/hex.h"
#include "codec/json.h"

enum {
    FIELDS_MAX = 24,                     /* of one line; more are left out */
    FIELDS_MEMORY_MAX = 4 * 1024 * 1024, /* bytes for the guest's fields, parsed */
    ARENA_SIZE_MAX = 8 * 1024 * 1024,
};

/* Names that are ours: a guest's field of such a name is shown as "field.<name>". */
static bool is_ours(struct nx_str name) {
    return nx_str_is(name, "tag") || nx_str_is(name, "trace") || nx_str_is(name, "line") ||
           nx_str_is(name, "event");
}

static struct nx_str name_of(struct nx_arena *arena, struct nx_str name) {
    NX_AUTO(nx_buf) shown = { 0 };

    nx_buf_init(&shown, FIELDS_MEMORY_MAX);
    nx_buf_append_c(&shown, is_ours(name) ? "field." : "");
    nx_buf_append(&shown, name);
    return nx_arena_copy(arena, nx_buf_str(&shown));
}

/* The guest's fields, a JSON object, as fields of the line; nested ones stay JSON. */
static size_t add_guest_fields(const struct nx_json_value *object, struct nx_arena *arena,
                               struct nx_log_field *fields, size_t count) {
    struct nx_json_iterator walk = nx_json_iterate(object);
    const struct nx_json_value *value;
    struct nx_str name;

    while (count < FIELDS_MAX && nx_json_next(&walk, &name, &value)) {
        NX_AUTO(nx_buf) text = { 0 };
        int64_t number;
        const struct nx_str copy = name_of(arena, name);
        nx_buf_init(&text, FIELDS_MEMORY_MAX);
        if (copy.ptr == NULL) {
            break;
        }
        if (nx_json_to_i64(value, &number)) {
            fields[count++] = NX_F_I64(copy.ptr, number);
            continue;
        }
        if (!nx_json_scalar_text(&text, value)) {
            struct nx_json_writer json;
            nx_json_writer_init(&json, &text);
            nx_json_value(&json, value);
            nx_json_writer_end(&json);
        }
        const struct nx_str shown = nx_arena_copy(arena, nx_buf_str(&text));
        if (shown.ptr != NULL) {
            fields[count++] = NX_F_STR(copy.ptr, shown);
        }
    }
    return count;
}

void nx_lines_write(struct nx_buf *out, const struct nx_lines_options *options, const struct nx_lines_of *of,
                    const struct nx_invocation_log_line *line) {
    char trace[NX_TRACE_ID_TEXT_SIZE + 1];
    struct nx_log_field fields[FIELDS_MAX + 4]; /* tag, trace, event and line are ours */
    size_t count = 0;
    NX_AUTO(nx_json_doc) *doc = NULL;
    NX_AUTO(nx_arena) arena = { 0 };

    if ((enum nx_log_level)line->level < options->level) {
        return;
    }
    nx_arena_init(&arena, ARENA_SIZE_MAX);
    nx_hex_write(trace, of->trace_id, NX_TRACE_ID_SIZE);
    if (options->is_replay) {
        fields[count++] = NX_F_C("tag", "REPLAY");
    }
    fields[count++] = NX_F_STR("trace", nx_str_of(trace, NX_TRACE_ID_TEXT_SIZE));
    if (line->fields.len > 0 && nx_json_parse(line->fields, FIELDS_MEMORY_MAX, &doc, NULL) == NX_OK) {
        count = add_guest_fields(nx_json_root(doc), &arena, fields, count);
    }
    fields[count++] = NX_F_STR("event", of->event);
    fields[count++] = NX_F_STR("line", line->text);

    const struct nx_str component = nx_arena_copy(&arena, of->function);
    const struct nx_log_entry entry = { .level = (enum nx_log_level)line->level,
                                        .component = component.ptr == NULL ? "" : component.ptr,
                                        .text = "",
                                        .fields = fields,
                                        .field_count = count };
    nx_log_line_write(out, options->format, line->time_ns, &entry);
}

void nx_lines_write_failure(struct nx_buf *out, const struct nx_lines_options *options,
                            const struct nx_lines_of *of, const struct nx_invocation *invocation) {
    char text[512];

    (void)snprintf(text, sizeof text, "attempt %u failed (%s)%s%.*s%s", (unsigned)invocation->attempt,
                   nx_outcome_name(invocation->outcome), invocation->error.len > 0 ? ": " : "",
                   NX_STR_ARG(invocation->error),
                   (invocation->flags & NX_INVOCATION_DEAD_LETTER) != 0
                       ? "; it was the last one: the event is "
                         "in the dead letters"
                       : "");
    const struct nx_invocation_log_line line = {
        .level = NX_LOG_ERROR,
        .time_ns = invocation->started_at_ns + (int64_t)invocation->duration_ns,
        .text = nx_str_from_c(text),
    };
    nx_lines_write(out, options, of, &line);
}

enum nx_status nx_lines_write_record(struct nx_buf *out, const struct nx_lines_options *options,
                                     const struct nx_record *record, struct nx_error *err) {
    NX_AUTO(nx_arena) arena = { 0 };
    struct nx_invocation invocation;
    struct nx_str function = record->subject;

    nx_arena_init(&arena, ARENA_SIZE_MAX);
    NX_TRY(nx_invocation_decode(record->payload, &arena, &invocation, err));
    if (nx_str_starts_with(function, NX_STR("invocations."))) {
        function = nx_str_slice(function, sizeof "invocations." - 1, function.len);
    }
    struct nx_lines_options line_options = *options;
    line_options.is_replay = options->is_replay || (invocation.flags & NX_INVOCATION_LIVE_REPLAY) != 0;
    const struct nx_lines_of of = { .function = function,
                                    .event = nx_headers_value(record->headers, "Nexus-Event"),
                                    .trace_id = invocation.trace_id };
    for (size_t i = 0; i < invocation.log_line_count; i++) {
        nx_lines_write(out, &line_options, &of, &invocation.log_lines[i]);
    }
    if (invocation.outcome != NX_OUTCOME_OK) {
        nx_lines_write_failure(out, &line_options, &of, &invocation);
    }
    return NX_OK;
}
