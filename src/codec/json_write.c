/* src/codec/json_write.c: JSON written front to back into a buffer. */
#include "codec/json.h"

#include <math.h>
#include <stdio.h>

#include "base/assert.h"

static bool in_object(const struct nx_json_writer *writer) {
    const unsigned level = writer->depth - 1;
    return writer->depth > 0 && (writer->is_object[level / 64] >> level % 64 & 1) != 0;
}

/* What goes in front of a value: nothing behind a key, a comma between elements. */
static void begin_value(struct nx_json_writer *writer) {
    if (writer->has_key) {
        writer->has_key = false;
        return;
    }
    nx_assert(!in_object(writer));
    nx_assert(writer->depth > 0 || !writer->has_value);
    if (writer->comma) {
        nx_buf_append(writer->out, NX_STR(","));
    }
}

static void end_value(struct nx_json_writer *writer) {
    writer->comma = true;
    writer->has_value = true;
}

void nx_json_writer_init(struct nx_json_writer *writer, struct nx_buf *out) {
    *writer = (struct nx_json_writer){ .out = out };
}

void nx_json_writer_end(const struct nx_json_writer *writer) {
    nx_assert(writer->depth == 0);
    nx_assert(writer->has_value);
}

static void begin_level(struct nx_json_writer *writer, bool is_object) {
    const unsigned level = writer->depth;
    nx_assert(level < NX_JSON_DEPTH_MAX);
    begin_value(writer);
    const uint64_t bit = 1ull << level % 64;
    writer->is_object[level / 64] = (writer->is_object[level / 64] & ~bit) | (is_object ? bit : 0);
    writer->depth++;
    writer->comma = false;
}

static void end_level(struct nx_json_writer *writer, bool is_object) {
    nx_assert(writer->depth > 0);
    nx_assert(in_object(writer) == is_object);
    nx_assert(!writer->has_key);
    writer->depth--;
    end_value(writer);
}

void nx_json_object_begin(struct nx_json_writer *writer) {
    begin_level(writer, true);
    nx_buf_append(writer->out, NX_STR("{"));
}

void nx_json_object_end(struct nx_json_writer *writer) {
    end_level(writer, true);
    nx_buf_append(writer->out, NX_STR("}"));
}

void nx_json_array_begin(struct nx_json_writer *writer) {
    begin_level(writer, false);
    nx_buf_append(writer->out, NX_STR("["));
}

void nx_json_array_end(struct nx_json_writer *writer) {
    end_level(writer, false);
    nx_buf_append(writer->out, NX_STR("]"));
}

static void append_escape(struct nx_buf *out, unsigned char c) {
    static const char short_forms[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    for (size_t i = 0; i + 1 < sizeof short_forms; i += 2) {
        if ((unsigned char)short_forms[i] == c) {
            const char text[2] = { '\\', short_forms[i + 1] };
            nx_buf_append(out, nx_str_of(text, sizeof text));
            return;
        }
    }
    nx_buf_append_format(out, "\\u%04x", c);
}

/* The number of bytes before the first that must be escaped. */
static size_t plain_prefix(struct nx_str text) {
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t highs = 0x8080808080808080u;
    size_t at = 0;
    for (;;) {
        uint64_t eight;
        while (text.len - at >= sizeof eight) {
            memcpy(&eight, text.ptr + at, sizeof eight);
            /* Each term has its high bit set where the byte is below space, a quote, a backslash; a borrow
             * may set it above such a byte too, and the masks leave out bytes from 0x80, so the first byte
             * found is one of the three. */
            const uint64_t control = (eight - ones * 0x20) & ~eight;
            const uint64_t quote = ((eight ^ ones * '"') - ones) & ~eight;
            const uint64_t backslash = ((eight ^ ones * '\\') - ones) & ~eight;
            const uint64_t special = (control | quote | backslash) & highs;
            if (special != 0) {
                return at + (size_t)__builtin_ctzll(special) / 8;
            }
            at += sizeof eight;
        }
        while (at < text.len) {
            const unsigned char c = (unsigned char)text.ptr[at];
            if (c < 0x20 || c == '"' || c == '\\') {
                return at;
            }
            at++;
        }
        return at;
    }
}

/* `text` is UTF-8. */
static void append_escaped(struct nx_buf *out, struct nx_str text) {
    while (text.len > 0) {
        const size_t plain = plain_prefix(text);
        nx_buf_append(out, nx_str_slice(text, 0, plain));
        if (plain == text.len) {
            return;
        }
        append_escape(out, (unsigned char)text.ptr[plain]);
        text = nx_str_slice(text, plain + 1, text.len);
    }
}

/* True when the text can stand between quotes as it is: ASCII without anything to escape. */
static bool is_plain(struct nx_str text) {
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t highs = 0x8080808080808080u;
    size_t at = 0;
    for (; text.len - at >= sizeof ones; at += sizeof ones) {
        uint64_t eight;
        memcpy(&eight, text.ptr + at, sizeof eight);
        /* Bytes below 0x20 borrow, as do quote and backslash once they are 0; any doubt is a no. */
        const uint64_t doubt =
            (eight - ones * 0x20) | ((eight ^ ones * '"') - ones) | ((eight ^ ones * '\\') - ones) | eight;
        if ((doubt & highs) != 0) {
            return false;
        }
    }
    for (; at < text.len; at++) {
        const unsigned char c = (unsigned char)text.ptr[at];
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') {
            return false;
        }
    }
    return true;
}

static void append_quoted(struct nx_buf *out, struct nx_str text) {
    if (is_plain(text)) {
        if (nx_buf_reserve(out, text.len + 2)) {
            char *to = out->ptr + out->len;
            to[0] = '"';
            if (text.len > 0) {
                memcpy(to + 1, text.ptr, text.len);
            }
            to[text.len + 1] = '"';
            out->len += text.len + 2;
        }
        return;
    }
    nx_buf_append(out, NX_STR("\""));
    size_t valid = nx_str_utf8_prefix(text);
    while (valid < text.len) {
        append_escaped(out, nx_str_slice(text, 0, valid));
        nx_buf_append(out, NX_STR("\xEF\xBF\xBD")); /* U+FFFD */
        text = nx_str_slice(text, valid + 1, text.len);
        valid = nx_str_utf8_prefix(text);
    }
    append_escaped(out, text);
    nx_buf_append(out, NX_STR("\""));
}

void nx_json_key(struct nx_json_writer *writer, struct nx_str key) {
    nx_assert(in_object(writer));
    nx_assert(!writer->has_key);
    if (writer->comma) {
        nx_buf_append(writer->out, NX_STR(","));
    }
    append_quoted(writer->out, key);
    nx_buf_append(writer->out, NX_STR(":"));
    writer->has_key = true;
}

void nx_json_string(struct nx_json_writer *writer, struct nx_str text) {
    begin_value(writer);
    append_quoted(writer->out, text);
    end_value(writer);
}

void nx_json_u64(struct nx_json_writer *writer, uint64_t number) {
    begin_value(writer);
    nx_buf_append_decimal(writer->out, number);
    end_value(writer);
}

void nx_json_i64(struct nx_json_writer *writer, int64_t number) {
    begin_value(writer);
    if (number < 0) {
        nx_buf_append(writer->out, NX_STR("-"));
    }
    nx_buf_append_decimal(writer->out, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
    end_value(writer);
}

void nx_json_double(struct nx_json_writer *writer, double number) {
    begin_value(writer);
    if (isfinite(number)) {
        nx_json_append_double(writer->out, number);
    } else {
        nx_buf_append(writer->out, NX_STR("null"));
    }
    end_value(writer);
}

void nx_json_bool(struct nx_json_writer *writer, bool boolean) {
    nx_json_raw(writer, boolean ? NX_STR("true") : NX_STR("false"));
}

void nx_json_null(struct nx_json_writer *writer) {
    nx_json_raw(writer, NX_STR("null"));
}

void nx_json_raw(struct nx_json_writer *writer, struct nx_str json) {
    begin_value(writer);
    nx_buf_append(writer->out, json);
    end_value(writer);
}

void nx_json_member_str(struct nx_json_writer *writer, const char *key, struct nx_str text) {
    nx_json_key(writer, nx_str_from_c(key));
    nx_json_string(writer, text);
}

void nx_json_member_c(struct nx_json_writer *writer, const char *key, const char *text) {
    nx_json_member_str(writer, key, nx_str_from_c(text));
}

void nx_json_member_u64(struct nx_json_writer *writer, const char *key, uint64_t number) {
    nx_json_key(writer, nx_str_from_c(key));
    nx_json_u64(writer, number);
}

void nx_json_member_i64(struct nx_json_writer *writer, const char *key, int64_t number) {
    nx_json_key(writer, nx_str_from_c(key));
    nx_json_i64(writer, number);
}

void nx_json_member_bool(struct nx_json_writer *writer, const char *key, bool boolean) {
    nx_json_key(writer, nx_str_from_c(key));
    nx_json_bool(writer, boolean);
}
