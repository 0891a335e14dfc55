#include "codec/percent.h"

#include "codec/byte_class.h"
#include "codec/hex.h"

static void append_encoded(struct nx_buf *out, unsigned char byte) {
    static const char digits[] = "0123456789ABCDEF";
    const char text[3] = { '%', digits[byte >> 4], digits[byte & 15] };
    nx_buf_append(out, nx_str_of(text, sizeof text));
}

/* Runs of bytes that stay as they are go over in one piece. */
static void encode(struct nx_buf *out, struct nx_str value, unsigned kept_class) {
    for (;;) {
        const size_t kept = nx_byte_span(value, kept_class);
        nx_buf_append(out, nx_str_slice(value, 0, kept));
        if (kept == value.len) {
            return;
        }
        append_encoded(out, (unsigned char)value.ptr[kept]);
        value = nx_str_slice(value, kept + 1, value.len);
    }
}

void nx_percent_encode_header(struct nx_buf *out, struct nx_str value) {
    encode(out, value, NX_BYTE_HEADER);
}

void nx_percent_encode_url(struct nx_buf *out, struct nx_str value) {
    encode(out, value, NX_BYTE_URL);
}

void nx_percent_encode_subject(struct nx_buf *out, struct nx_str type) {
    bool token_is_empty = true; /* the one that is being written */
    while (type.len > 0) {
        const size_t kept = nx_byte_span(type, NX_BYTE_SUBJECT);
        nx_buf_append(out, nx_str_slice(type, 0, kept));
        if (kept == type.len) {
            return;
        }
        const bool separates = type.ptr[kept] == '.' && (kept > 0 || !token_is_empty) && kept + 1 < type.len;
        if (separates) {
            nx_buf_append(out, NX_STR("."));
        } else {
            append_encoded(out, (unsigned char)type.ptr[kept]);
        }
        token_is_empty = separates;
        type = nx_str_slice(type, kept + 1, type.len);
    }
}

bool nx_percent_is_plain(struct nx_str text) {
    return nx_str_find_byte(text, '%') == SIZE_MAX;
}

bool nx_percent_decode_to(char *bytes_out, struct nx_str text, size_t *len_out, size_t *problem_at_out) {
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '%') {
            bytes_out[len++] = text.ptr[i];
            continue;
        }
        const int high = text.len - i > 2 ? nx_hex_digit(text.ptr[i + 1]) : -1;
        const int low = text.len - i > 2 ? nx_hex_digit(text.ptr[i + 2]) : -1;
        if (high < 0 || low < 0) {
            *problem_at_out = i;
            return false;
        }
        bytes_out[len++] = (char)(high << 4 | low);
        i += 2;
    }
    *len_out = len;
    return true;
}

enum nx_status nx_percent_decode(struct nx_buf *out, struct nx_str text, struct nx_error *err) {
    size_t len = 0;
    size_t problem_at = 0;
    if (text.len == 0) {
        return NX_OK;
    }
    if (!nx_buf_reserve(out, text.len)) {
        return nx_buf_check(out, err);
    }
    if (!nx_percent_decode_to(out->ptr + out->len, text, &len, &problem_at)) {
        return nx_fail(err, NX_INVALID_ARGUMENT,
                       "the percent sign at byte %zu is not followed by two hexadecimal digits", problem_at);
    }
    out->len += len;
    return NX_OK;
}
