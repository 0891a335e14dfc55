#include "codec/base64.h"

static const char standard_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void nx_base64_encode(struct nx_buf *out, enum nx_base64_alphabet alphabet, struct nx_str bytes) {
    const char *digits = alphabet == NX_BASE64_STANDARD ? standard_digits : url_digits;
    const bool padded = alphabet == NX_BASE64_STANDARD;
    const size_t left = bytes.len % 3;
    const size_t whole = bytes.len - left;
    if (!nx_buf_reserve(out, bytes.len / 3 * 4 + 4)) {
        return;
    }
    const uint8_t *in = (const uint8_t *)bytes.ptr;
    char *to = out->ptr + out->len;
    for (size_t i = 0; i < whole; i += 3) {
        const uint32_t group = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        *to++ = digits[group >> 18];
        *to++ = digits[group >> 12 & 63];
        *to++ = digits[group >> 6 & 63];
        *to++ = digits[group & 63];
    }
    if (left > 0) {
        const uint32_t group = (uint32_t)in[whole] << 16 | (left == 2 ? (uint32_t)in[whole + 1] << 8 : 0);
        *to++ = digits[group >> 18];
        *to++ = digits[group >> 12 & 63];
        if (left == 2) {
            *to++ = digits[group >> 6 & 63];
        } else if (padded) {
            *to++ = '=';
        }
        if (padded) {
            *to++ = '=';
        }
    }
    out->len = (size_t)(to - out->ptr);
}

/* The six bits of a digit, or -1. */
static int digit_value(char digit, enum nx_base64_alphabet alphabet) {
    if (digit >= 'A' && digit <= 'Z') {
        return digit - 'A';
    }
    if (digit >= 'a' && digit <= 'z') {
        return digit - 'a' + 26;
    }
    if (digit >= '0' && digit <= '9') {
        return digit - '0' + 52;
    }
    if (digit == (alphabet == NX_BASE64_STANDARD ? '+' : '-')) {
        return 62;
    }
    return digit == (alphabet == NX_BASE64_STANDARD ? '/' : '_') ? 63 : -1;
}

enum nx_status nx_base64_decode(struct nx_buf *out, enum nx_base64_alphabet alphabet, struct nx_str text,
                                struct nx_error *err) {
    if (alphabet == NX_BASE64_STANDARD) {
        if (text.len % 4 != 0) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "base64 of %zu characters is not padded to four",
                           text.len);
        }
        for (int i = 0; i < 2 && text.len > 0 && text.ptr[text.len - 1] == '='; i++) {
            text.len--;
        }
    }
    if (text.len % 4 == 1) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "base64 of %zu characters has a left-over one", text.len);
    }
    const size_t start = out->len;
    if (!nx_buf_reserve(out, text.len / 4 * 3 + 3)) {
        return nx_buf_check(out, err);
    }
    uint32_t bits = 0;
    unsigned bit_count = 0;
    for (size_t i = 0; i < text.len; i++) {
        const int value = digit_value(text.ptr[i], alphabet);
        if (value < 0) {
            nx_buf_truncate(out, start);
            return nx_fail(err, NX_INVALID_ARGUMENT, "byte %zu is not a base64 character", i);
        }
        bits = bits << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            out->ptr[out->len++] = (char)(bits >> bit_count & 0xFF);
        }
    }
    if ((bits & ((1u << bit_count) - 1)) != 0) {
        nx_buf_truncate(out, start);
        return nx_fail(err, NX_INVALID_ARGUMENT, "base64 ends in bits that belong to no byte");
    }
    return NX_OK;
}
