#include "telemetry/log_line.h"

#include "base/buf.h"
#include "codec/json.h"
#include "codec/time_format.h"

bool nx_log_format_parse(struct nx_str name, enum nx_log_format *format_out) {
    if (!nx_str_is(name, "text") && !nx_str_is(name, "json")) {
        return false;
    }
    *format_out = nx_str_is(name, "json") ? NX_LOG_JSON : NX_LOG_TEXT;
    return true;
}

/* Foreign text on a terminal: control characters (also C1, and whatever is not UTF-8) are shown as \xXX;
 * between quotes a quote and a backslash have a backslash in front. */
static void append_shown(struct nx_buf *out, struct nx_str text, bool in_quotes) {
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.ptr[i];
        const size_t valid = c < 0x80 ? 1 : nx_str_utf8_prefix(nx_str_slice(text, i, i + 4));
        const bool is_c1 = c == 0xC2 && i + 1 < text.len && (unsigned char)text.ptr[i + 1] < 0xA0;
        if (c == '\n') {
            nx_buf_append_c(out, "\\n");
        } else if (in_quotes && (c == '"' || c == '\\')) {
            nx_buf_append_c(out, c == '"' ? "\\\"" : "\\\\");
        } else if (c < 0x20 || c == 0x7F || valid == 0 || is_c1) {
            nx_buf_append_format(out, "\\x%02x", c);
        } else if (c < 0x80) {
            nx_buf_append(out, nx_str_slice(text, i, i + 1));
        } else {
            const size_t len = c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
            nx_buf_append(out, nx_str_slice(text, i, i + len));
            i += len - 1;
        }
    }
}

static void append_safe(struct nx_buf *out, struct nx_str text) {
    append_shown(out, text, false);
}

static bool needs_quotes(struct nx_str text) {
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.ptr[i];
        if (c <= 0x20 || c == '"' || c == '=' || c >= 0x7F) {
            return true;
        }
    }
    return text.len == 0;
}

static void append_field_value(struct nx_buf *out, const struct nx_log_field *field) {
    switch (field->kind) {
    case NX_F_KIND_STR:
        if (needs_quotes(field->value.str)) {
            nx_buf_append_c(out, "\"");
            append_shown(out, field->value.str, true);
            nx_buf_append_c(out, "\"");
        } else {
            append_safe(out, field->value.str);
        }
        return;
    case NX_F_KIND_U64:
        nx_buf_append_decimal(out, field->value.u64);
        return;
    case NX_F_KIND_I64:
        nx_buf_append_format(out, "%lld", (long long)field->value.i64);
        return;
    case NX_F_KIND_BOOL:
        nx_buf_append_c(out, field->value.boolean ? "true" : "false");
        return;
    }
}

/* The fields that stand in brackets in front of the text. */
static bool is_tag(const struct nx_log_field *field) {
    return field->kind == NX_F_KIND_STR && nx_str_is(nx_str_from_c(field->name), "tag");
}

static bool is_trace(const struct nx_log_field *field) {
    return field->kind == NX_F_KIND_STR && nx_str_is(nx_str_from_c(field->name), "trace");
}

/* What is said: the constant text, or the line of a function in its place. */
static bool is_line(const struct nx_log_entry *entry, const struct nx_log_field *field) {
    return entry->text[0] == '\0' && field->kind == NX_F_KIND_STR &&
           nx_str_is(nx_str_from_c(field->name), "line");
}

static struct nx_str text_of(const struct nx_log_entry *entry) {
    for (size_t i = 0; i < entry->field_count; i++) {
        if (is_line(entry, &entry->fields[i])) {
            return entry->fields[i].value.str;
        }
    }
    return nx_str_from_c(entry->text);
}

static void append_text(struct nx_buf *out, int64_t wall_ns, const struct nx_log_entry *entry) {
    char time[NX_TIME_TEXT_SIZE + 1];
    nx_buf_append_c(out, "[");
    nx_buf_append(out, nx_time_format(wall_ns, NX_TIME_SECONDS, time));
    nx_buf_append_format(out, " %s ", nx_log_level_name(entry->level));
    append_safe(out, nx_str_from_c(entry->component));
    nx_buf_append_c(out, "]");
    for (size_t i = 0; i < entry->field_count; i++) {
        const struct nx_log_field *field = &entry->fields[i];
        if (is_tag(field) || is_trace(field)) {
            nx_buf_append_c(out, is_trace(field) ? " [trace=" : " [");
            append_safe(out, field->value.str);
            nx_buf_append_c(out, "]");
        }
    }
    nx_buf_append_c(out, " ");
    append_safe(out, text_of(entry));
    for (size_t i = 0; i < entry->field_count; i++) {
        const struct nx_log_field *field = &entry->fields[i];
        if (!is_tag(field) && !is_trace(field) && !is_line(entry, field)) {
            nx_buf_append_c(out, " ");
            append_safe(out, nx_str_from_c(field->name));
            nx_buf_append_c(out, "=");
            append_field_value(out, field);
        }
    }
}

static void append_json(struct nx_buf *out, int64_t wall_ns, const struct nx_log_entry *entry) {
    char time[NX_TIME_TEXT_SIZE + 1];
    struct nx_json_writer writer;
    nx_json_writer_init(&writer, out);
    nx_json_object_begin(&writer);
    nx_json_member_str(&writer, "time", nx_time_format(wall_ns, NX_TIME_MILLISECONDS, time));
    nx_json_member_c(&writer, "level", nx_log_level_name(entry->level));
    nx_json_member_c(&writer, "component", entry->component);
    nx_json_member_str(&writer, "text", text_of(entry));
    for (size_t i = 0; i < entry->field_count; i++) {
        const struct nx_log_field *field = &entry->fields[i];
        if (is_line(entry, field)) {
            continue;
        }
        nx_json_key(&writer, nx_str_from_c(field->name));
        switch (field->kind) {
        case NX_F_KIND_STR:
            nx_json_string(&writer, field->value.str);
            break;
        case NX_F_KIND_U64:
            nx_json_u64(&writer, field->value.u64);
            break;
        case NX_F_KIND_I64:
            nx_json_i64(&writer, field->value.i64);
            break;
        case NX_F_KIND_BOOL:
            nx_json_bool(&writer, field->value.boolean);
            break;
        }
    }
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
}

void nx_log_line_write(struct nx_buf *out, enum nx_log_format format, int64_t wall_ns,
                       const struct nx_log_entry *entry) {
    if (format == NX_LOG_JSON) {
        append_json(out, wall_ns, entry);
    } else {
        append_text(out, wall_ns, entry);
    }
    nx_buf_append_c(out, "\n");
}
