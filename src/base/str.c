#include "base/str.h"

int nx_str_compare(struct nx_str a, struct nx_str b) {
    const size_t shorter = a.len < b.len ? a.len : b.len;
    const int order = shorter == 0 ? 0 : memcmp(a.ptr, b.ptr, shorter);
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static unsigned char lower(char byte) {
    const unsigned char c = (unsigned char)byte;
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

bool nx_str_equal_ignore_case(struct nx_str a, struct nx_str b) {
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i])) {
            return false;
        }
    }
    return true;
}

size_t nx_str_find_byte(struct nx_str s, char byte) {
    const char *found = s.len == 0 ? NULL : memchr(s.ptr, byte, s.len);
    return found == NULL ? SIZE_MAX : (size_t)(found - s.ptr);
}

size_t nx_str_find(struct nx_str s, struct nx_str needle) {
    if (needle.len == 0) {
        return 0;
    }
    const char *found = s.len == 0 ? NULL : memmem(s.ptr, s.len, needle.ptr, needle.len);
    return found == NULL ? SIZE_MAX : (size_t)(found - s.ptr);
}

struct nx_str nx_str_trim(struct nx_str s) {
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

bool nx_str_split(struct nx_str *rest, char separator, struct nx_str *part_out) {
    if (rest->ptr == NULL) {
        return false;
    }
    const size_t at = nx_str_find_byte(*rest, separator);
    if (at == SIZE_MAX) {
        *part_out = *rest;
        *rest = (struct nx_str){ 0 };
        return true;
    }
    *part_out = nx_str_slice(*rest, 0, at);
    *rest = nx_str_slice(*rest, at + 1, rest->len);
    return true;
}

bool nx_str_to_u64(struct nx_str s, uint64_t *value_out) {
    uint64_t value = 0;
    if (s.len == 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') {
            return false;
        }
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value)) {
            return false;
        }
    }
    *value_out = value;
    return true;
}

/* Length of the UTF-8 sequence at `p` (RFC 3629 section 4), 0 when it is not one. */
static size_t utf8_sequence(const unsigned char *p, size_t left) {
    if (p[0] < 0x80) {
        return 1;
    }
    if (p[0] < 0xC2 || p[0] > 0xF4) {
        return 0;
    }
    const size_t len = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    if (left < len) {
        return 0;
    }
    /* The second byte's range depends on the first: no overlong forms, no surrogates, nothing above U+10FFFF.
     */
    const unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return len;
}

size_t nx_str_utf8_prefix(struct nx_str s) {
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t at = 0;
    while (at < s.len) {
        uint64_t eight;
        if (s.len - at >= sizeof eight) { /* most text is ASCII: eight bytes at a time */
            memcpy(&eight, p + at, sizeof eight);
            if ((eight & 0x8080808080808080u) == 0) {
                at += sizeof eight;
                continue;
            }
        }
        const size_t len = utf8_sequence(p + at, s.len - at);
        if (len == 0) {
            return at;
        }
        at += len;
    }
    return at;
}

static uint64_t mix(uint64_t a, uint64_t b) {
    const unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Multiply and fold: eight bytes a step, in the manner of wyhash; the seed enters every step. */
uint64_t nx_str_hash(struct nx_str s, uint64_t seed) {
    uint64_t state = seed ^ 0xA0761D6478BD642Fu;
    size_t at = 0;
    while (s.len - at >= 8) {
        uint64_t word;
        memcpy(&word, s.ptr + at, 8);
        state = mix(state ^ word, 0xE7037ED1A0B428DBu ^ seed);
        at += 8;
    }
    uint64_t tail = 0;
    if (s.len > at) {
        memcpy(&tail, s.ptr + at, s.len - at);
    }
    state = mix(state ^ tail, 0x8EBC6AF09C88C6E3u ^ seed);
    return mix(state ^ (uint64_t)s.len, 0x589965CC75374CC3u);
}

struct nx_str nx_reader_bytes(struct nx_reader *reader, size_t len) {
    if (reader->failed || len > reader->len - reader->offset) {
        reader->failed = true;
        return NX_STR_EMPTY;
    }
    const struct nx_str bytes = nx_str_of(len == 0 ? (const void *)"" : reader->ptr + reader->offset, len);
    reader->offset += len;
    return bytes;
}

uint8_t nx_reader_u8(struct nx_reader *reader) {
    uint8_t value = 0;
    const struct nx_str bytes = nx_reader_bytes(reader, sizeof value);
    memcpy(&value, bytes.ptr, bytes.len);
    return value;
}

uint16_t nx_reader_u16(struct nx_reader *reader) {
    uint16_t value = 0;
    const struct nx_str bytes = nx_reader_bytes(reader, sizeof value);
    memcpy(&value, bytes.ptr, bytes.len);
    return value;
}

uint32_t nx_reader_u32(struct nx_reader *reader) {
    uint32_t value = 0;
    const struct nx_str bytes = nx_reader_bytes(reader, sizeof value);
    memcpy(&value, bytes.ptr, bytes.len);
    return value;
}

uint64_t nx_reader_u64(struct nx_reader *reader) {
    uint64_t value = 0;
    const struct nx_str bytes = nx_reader_bytes(reader, sizeof value);
    memcpy(&value, bytes.ptr, bytes.len);
    return value;
}

uint64_t nx_reader_varint(struct nx_reader *reader) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t byte = nx_reader_u8(reader);
        if (shift == 63 && byte > 1) {
            reader->failed = true; /* more than 64 bits */
            return 0;
        }
        value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) {
            return reader->failed ? 0 : value;
        }
    }
    reader->failed = true;
    return 0;
}

int64_t nx_reader_varint_signed(struct nx_reader *reader) {
    const uint64_t value = nx_reader_varint(reader);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

struct nx_str nx_reader_varint_bytes(struct nx_reader *reader) {
    const uint64_t len = nx_reader_varint(reader);
    return nx_reader_bytes(reader, len > SIZE_MAX ? SIZE_MAX : (size_t)len);
}
