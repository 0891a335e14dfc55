/* src/server/http/invocation_json.c: see invocation_json.h. */
#include "server/http/invocation_json.h"

#include <stdio.h>

#include "base/log.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/headers.h"
#include "codec/tape_format.h"
#include "server/http/page.h"

enum { TEXT_SIZE_MAX = 4 * NX_RECORD_SIZE_MAX };

static const struct nx_str function_prefix = { "invocations.", 12 };
static const struct nx_str dead_letter_prefix = { "dlq.", 4 };

void nx_http_member_bytes(struct nx_json_writer *writer, const char *name, struct nx_str bytes) {
    char key[64];
    if (nx_str_is_utf8(bytes)) {
        nx_json_member_str(writer, name, bytes);
        return;
    }
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, TEXT_SIZE_MAX);
    nx_base64_encode(&text, NX_BASE64_STANDARD, bytes);
    (void)snprintf(key, sizeof key, "%s_base64", name);
    nx_json_member_str(writer, key, nx_buf_str(&text));
}

static void member_digest(struct nx_json_writer *writer, const char *name, const struct nx_digest *digest) {
    char text[NX_DIGEST_TEXT_SIZE + 1];
    nx_json_member_str(writer, name, nx_digest_format(digest, text));
}

static void member_hex(struct nx_json_writer *writer, const char *name, const uint8_t *bytes, size_t len) {
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, 256);
    nx_hex_encode(&text, nx_str_of(bytes, len));
    nx_json_member_str(writer, name, nx_buf_str(&text));
}

static void member_flag(struct nx_json_writer *writer, const char *name,
                        const struct nx_invocation *invocation, uint32_t flag) {
    if ((invocation->flags & flag) != 0) {
        nx_json_member_bool(writer, name, true);
    }
}

static void write_head(struct nx_json_writer *writer, const struct nx_invocation *invocation) {
    nx_json_member_c(writer, "outcome", nx_outcome_name(invocation->outcome));
    nx_json_member_u64(writer, "attempt", invocation->attempt);
    nx_json_member_u64(writer, "series", invocation->series);
    nx_http_member_time(writer, "started", invocation->started_at_ns);
    nx_json_member_u64(writer, "duration_ns", invocation->duration_ns);
    nx_json_member_u64(writer, "fuel", invocation->fuel);
    nx_json_member_u64(writer, "memory_peak", invocation->memory_peak);
    nx_json_member_i64(writer, "exit_code", invocation->exit_code);
    if (invocation->error.len > 0) {
        nx_json_member_str(writer, "error", invocation->error);
    }
    member_digest(writer, "module", &invocation->module_digest);
    member_hex(writer, "trace_id", invocation->trace_id, sizeof invocation->trace_id);
    member_hex(writer, "span_id", invocation->span_id, sizeof invocation->span_id);
    member_flag(writer, "dead_letter", invocation, NX_INVOCATION_DEAD_LETTER);
    member_flag(writer, "live_replay", invocation, NX_INVOCATION_LIVE_REPLAY);
    member_flag(writer, "unreplayable", invocation, NX_INVOCATION_UNREPLAYABLE);
}

void nx_http_write_log_lines(struct nx_json_writer *writer, const struct nx_invocation_log_line *lines,
                             size_t count) {
    nx_json_key(writer, NX_STR("log_lines"));
    nx_json_array_begin(writer);
    for (size_t i = 0; i < count; i++) {
        const struct nx_invocation_log_line *line = &lines[i];
        nx_json_object_begin(writer);
        nx_http_member_time(writer, "time", line->time_ns);
        nx_json_member_c(writer, "level", nx_log_level_name((enum nx_log_level)line->level));
        nx_json_member_str(writer, "text", line->text);
        if (line->fields.len > 0 && nx_json_is_valid(line->fields)) {
            nx_json_key(writer, NX_STR("fields"));
            nx_json_raw(writer, line->fields);
        }
        nx_json_object_end(writer);
    }
    nx_json_array_end(writer);
}

/* Names may repeat (Set-Cookie), so headers are lines. */
static void write_response(struct nx_json_writer *writer, const struct nx_effect_summary *effect) {
    struct nx_str rest = effect->type;
    struct nx_header header;
    uint64_t status = 0;
    (void)nx_str_to_u64(effect->name, &status);
    nx_json_member_c(writer, "kind", "respond");
    nx_json_member_u64(writer, "status", status);
    nx_json_key(writer, NX_STR("headers"));
    nx_json_array_begin(writer);
    while (nx_headers_next(&rest, &header)) {
        const char *line = header.name.ptr; /* the value ends the line */
        nx_json_string(writer, nx_str_of(line, (size_t)(header.value.ptr + header.value.len - line)));
    }
    nx_json_array_end(writer);
}

static void write_effects(struct nx_json_writer *writer, const struct nx_invocation *invocation) {
    nx_json_key(writer, NX_STR("effects"));
    nx_json_array_begin(writer);
    for (size_t i = 0; i < invocation->effect_count; i++) {
        const struct nx_effect_summary *effect = &invocation->effects[i];
        nx_json_object_begin(writer);
        if (effect->kind == NX_EFFECT_PUBLISH) {
            nx_json_member_c(writer, "kind", "publish");
            nx_json_member_str(writer, "event_id", effect->name);
            nx_json_member_str(writer, "type", effect->type);
        } else if (effect->kind == NX_EFFECT_RESPOND) {
            write_response(writer, effect);
        } else {
            nx_json_member_c(writer, "kind", effect->kind == NX_EFFECT_KEY_SET ? "key-set" : "key-delete");
            nx_http_member_bytes(writer, "key", effect->name);
        }
        nx_json_object_end(writer);
    }
    nx_json_array_end(writer);
}

static void write_stored(struct nx_json_writer *writer, const struct nx_invocation_blob *blob) {
    nx_json_member_u64(writer, "size", blob->size);
    member_digest(writer, "digest", &blob->digest);
}

static void write_output(struct nx_json_writer *writer, const struct nx_invocation *invocation) {
    if ((invocation->flags & NX_INVOCATION_OUTPUT_STORED) == 0) {
        nx_http_member_bytes(writer, "output", invocation->output.bytes);
        return;
    }
    nx_json_key(writer, NX_STR("output_stored"));
    nx_json_object_begin(writer);
    write_stored(writer, &invocation->output);
    nx_json_object_end(writer);
}

static void write_tape(struct nx_json_writer *writer, const struct nx_invocation *invocation) {
    nx_json_key(writer, NX_STR("tape"));
    nx_json_object_begin(writer);
    if ((invocation->flags & NX_INVOCATION_TAPE_STORED) != 0) {
        write_stored(writer, &invocation->tape);
    } else {
        struct nx_tape_header header;
        struct nx_tape_reader entries;
        nx_json_member_u64(writer, "size", invocation->tape.bytes.len);
        if (nx_tape_decode(invocation->tape.bytes, &header, &entries, NULL) == NX_OK) {
            nx_json_member_u64(writer, "entries", header.entry_count);
        }
    }
    nx_json_object_end(writer);
}

static void write_earlier(struct nx_json_writer *writer, const struct nx_invocation *invocation) {
    nx_json_key(writer, NX_STR("earlier"));
    nx_json_array_begin(writer);
    for (size_t i = 0; i < invocation->earlier_count; i++) {
        char text[32];
        const int len =
            snprintf(text, sizeof text, "INVOCATIONS:%llu", (unsigned long long)invocation->earlier[i]);
        nx_json_string(writer, nx_str_of(text, (size_t)len));
    }
    nx_json_array_end(writer);
}

void nx_http_write_invocation(struct nx_json_writer *writer, const struct nx_record *record, bool in_full,
                              struct nx_arena *arena) {
    struct nx_invocation invocation;
    struct nx_error err = { 0 };
    const struct nx_str replay_of = nx_headers_value(record->headers, "Nexus-Replay-Of");
    nx_json_object_begin(writer);
    nx_http_member_reference(writer, "id", record->stream, record->sequence);
    nx_json_member_str(writer, "function",
                       nx_str_slice(record->subject, function_prefix.len, record->subject.len));
    nx_json_member_str(writer, "event", nx_headers_value(record->headers, "Nexus-Event"));
    if (replay_of.len > 0) {
        nx_json_member_str(writer, "replay_of", replay_of);
    }
    nx_http_member_time(writer, "stored", record->time_ns);
    nx_http_member_withheld(writer, record);
    const enum nx_status status = in_full ? nx_invocation_decode(record->payload, arena, &invocation, &err)
                                          : nx_invocation_decode_head(record->payload, &invocation, &err);
    if (status != NX_OK) {
        nx_json_member_c(writer, "error", err.message);
        nx_json_object_end(writer);
        return;
    }
    write_head(writer, &invocation);
    if (in_full) {
        write_output(writer, &invocation);
        nx_http_write_log_lines(writer, invocation.log_lines, invocation.log_line_count);
        write_effects(writer, &invocation);
        write_earlier(writer, &invocation);
        write_tape(writer, &invocation);
    }
    nx_json_object_end(writer);
}

struct nx_str nx_http_dead_letter_function(const struct nx_record *record) {
    return nx_str_slice(record->subject, dead_letter_prefix.len, record->subject.len);
}

void nx_http_write_dead_letter(struct nx_json_writer *writer, const struct nx_record *record,
                               uint64_t put_back_until) {
    nx_json_object_begin(writer);
    nx_http_member_reference(writer, "id", record->stream, record->sequence);
    nx_json_member_str(writer, "function", nx_http_dead_letter_function(record));
    nx_json_member_str(writer, "event", nx_headers_value(record->headers, "Nexus-Event"));
    nx_http_member_time(writer, "stored", record->time_ns);
    if (put_back_until != 0) {
        nx_json_member_bool(writer, "put_back", record->sequence < put_back_until);
    }
    nx_http_member_withheld(writer, record);
    nx_json_key(writer, NX_STR("cause"));
    if (nx_json_is_valid(record->payload)) {
        nx_json_raw(writer, record->payload);
    } else {
        nx_json_null(writer);
    }
    nx_json_object_end(writer);
}
