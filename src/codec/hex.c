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

/* The value of each byte as a digit, one more than it; 0: it is none. */
static const uint8_t values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

int nx_hex_digit(char digit) {
    return (int)values[(uint8_t)digit] - 1;
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

bool nx_hex_to_u32(struct nx_str text, uint32_t *number_out) {
    uint32_t number = 0;
    if (text.len == 0 || text.len > 2 * sizeof number) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        const int digit = nx_hex_digit(text.ptr[i]);
        if (digit < 0) {
            return false;
        }
        number = number << 4 | (uint32_t)digit;
    }
    *number_out = number;
    return true;
}
