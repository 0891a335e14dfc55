#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

enum { CAPACITY_MIN = 64 };

void nx_buf_init(struct nx_buf *buf, size_t len_max) {
    nx_assert(len_max > 0);
    *buf = (struct nx_buf){ .len_max = len_max };
}

void nx_buf_fini(struct nx_buf *buf) {
    if (buf == NULL) {
        return;
    }
    free(buf->ptr);
    *buf = (struct nx_buf){ .len_max = buf->len_max };
}

void nx_buf_reset(struct nx_buf *buf) {
    buf->len = 0;
    buf->failure = NX_OK;
}

static bool fail(struct nx_buf *buf, enum nx_status why) {
    buf->failure = why;
    buf->len = 0;
    return false;
}

bool nx_buf_reserve(struct nx_buf *buf, size_t len) {
    if (buf->failure != NX_OK) {
        return false;
    }
    if (len <= buf->capacity - buf->len) {
        return true;
    }
    if (len > buf->len_max - buf->len) {
        return fail(buf, NX_INVALID_ARGUMENT);
    }
    size_t capacity = buf->capacity < CAPACITY_MIN ? CAPACITY_MIN : buf->capacity;
    while (capacity < buf->len + len) {
        capacity += capacity / 2;
    }
    capacity = capacity > buf->len_max ? buf->len_max : capacity;
    char *grown = realloc(buf->ptr, capacity);
    if (grown == NULL) {
        return fail(buf, NX_RESOURCE_EXHAUSTED);
    }
    buf->ptr = grown;
    buf->capacity = capacity;
    return true;
}

void nx_buf_append(struct nx_buf *buf, struct nx_str bytes) {
    if (bytes.len == 0 || !nx_buf_reserve(buf, bytes.len)) {
        return;
    }
    memcpy(buf->ptr + buf->len, bytes.ptr, bytes.len);
    buf->len += bytes.len;
}

void nx_buf_append_c(struct nx_buf *buf, const char *text) {
    nx_buf_append(buf, nx_str_from_c(text));
}

void nx_buf_append_u8(struct nx_buf *buf, uint8_t value) {
    nx_buf_append(buf, nx_str_of(&value, sizeof value));
}

void nx_buf_append_u16(struct nx_buf *buf, uint16_t value) {
    nx_buf_append(buf, nx_str_of(&value, sizeof value));
}

void nx_buf_append_u32(struct nx_buf *buf, uint32_t value) {
    nx_buf_append(buf, nx_str_of(&value, sizeof value));
}

void nx_buf_append_u64(struct nx_buf *buf, uint64_t value) {
    nx_buf_append(buf, nx_str_of(&value, sizeof value));
}

void nx_buf_append_varint(struct nx_buf *buf, uint64_t value) {
    uint8_t bytes[10];
    size_t len = 0;
    while (value >= 0x80) {
        bytes[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[len++] = (uint8_t)value;
    nx_buf_append(buf, nx_str_of(bytes, len));
}

void nx_buf_append_varint_signed(struct nx_buf *buf, int64_t value) {
    nx_buf_append_varint(buf, ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0));
}

void nx_buf_append_varint_bytes(struct nx_buf *buf, struct nx_str bytes) {
    nx_buf_append_varint(buf, bytes.len);
    nx_buf_append(buf, bytes);
}

void nx_buf_append_decimal(struct nx_buf *buf, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    nx_buf_append(buf, nx_str_of(digits + at, sizeof digits - at));
}

void nx_buf_append_format(struct nx_buf *buf, const char *format, ...) {
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, format, args);
    va_end(args);

    if (len > 0 && nx_buf_reserve(buf, (size_t)len)) {
        char small[256];
        if ((size_t)len < sizeof small) {
            (void)vsnprintf(small, sizeof small, format, again);
            memcpy(buf->ptr + buf->len, small, (size_t)len);
            buf->len += (size_t)len;
        } else {
            NX_AUTO_FREE char *text = malloc((size_t)len + 1);
            if (text == NULL) {
                (void)fail(buf, NX_RESOURCE_EXHAUSTED);
            } else {
                (void)vsnprintf(text, (size_t)len + 1, format, again);
                memcpy(buf->ptr + buf->len, text, (size_t)len);
                buf->len += (size_t)len;
            }
        }
    }
    va_end(again);
}

void nx_buf_truncate(struct nx_buf *buf, size_t len) {
    buf->len = len < buf->len ? len : buf->len;
}

void nx_buf_consume(struct nx_buf *buf, size_t len) {
    nx_assert(len <= buf->len);
    buf->len -= len;
    if (len > 0 && buf->len > 0) {
        memmove(buf->ptr, buf->ptr + len, buf->len);
    }
}

enum nx_status nx_buf_check(const struct nx_buf *buf, struct nx_error *err) {
    if (buf->failure == NX_OK) {
        return NX_OK;
    }
    if (buf->failure == NX_RESOURCE_EXHAUSTED) {
        return nx_fail_memory(err);
    }
    return nx_fail_kind(err, NX_KIND_TOO_LARGE, "more than %zu bytes", buf->len_max);
}
