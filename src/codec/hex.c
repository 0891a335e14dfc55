#include "codec/hex.h"

static const char digits[] = "0123456789abcdef";

void nx_hex_write(char *text_out, const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        text_out[2 * i] = digits[bytes[i] >> 4];
        text_out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

void nx_hex_encode(struct nx_buf *out, struct nx_str bytes) {
    if (bytes.len > SIZE_MAX / 2 || !nx_buf_reserve(out, 2 * bytes.len) || bytes.len == 0) {
        return;
    }
    nx_hex_write(out->ptr + out->len, (const uint8_t *)bytes.ptr, bytes.len);
    out->len += 2 * bytes.len;
}

int nx_hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

bool nx_hex_read(struct nx_str text, uint8_t *bytes_out, size_t len) {
    if (text.len % 2 != 0 || text.len / 2 != len) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (nx_hex_digit(text.ptr[i]) < 0) {
            return false;
        }
    }
    for (size_t i = 0; i < len; i++) {
        bytes_out[i] = (uint8_t)(nx_hex_digit(text.ptr[2 * i]) << 4 | nx_hex_digit(text.ptr[2 * i + 1]));
    }
    return true;
}
