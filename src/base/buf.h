/* src/base/buf.h: bytes that grow, up to a maximum given at birth.
 *
 * Appending is silent; the first append that passes the maximum or finds no memory marks the buffer as
 * failed, empties it, and makes every later append a no-op. So a sequence of appends needs one check at its
 * end: nx_buf_check(). Numbers are little-endian. One owner; not for use by two threads at once. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/str.h"

struct nx_buf {
    char *ptr; /* NULL until something was appended */
    size_t len;
    size_t capacity;
    size_t len_max;
    enum nx_status failure; /* NX_OK, or why the buffer failed */
};

/** `len_max` in bytes, > 0. Allocates nothing. */
void nx_buf_init(struct nx_buf *buf, size_t len_max);
/** Frees the bytes; the buffer is as after init. NULL and zeroed buffers allowed. */
void nx_buf_fini(struct nx_buf *buf);
/** Empty and unfailed again; keeps the memory. */
void nx_buf_reset(struct nx_buf *buf);
/** Make room for `len` more bytes; false (and failed) when that is not to be had. */
bool nx_buf_reserve(struct nx_buf *buf, size_t len);

void nx_buf_append(struct nx_buf *buf, struct nx_str bytes);
void nx_buf_append_c(struct nx_buf *buf, const char *text);
void nx_buf_append_u8(struct nx_buf *buf, uint8_t value);
void nx_buf_append_u16(struct nx_buf *buf, uint16_t value);
void nx_buf_append_u32(struct nx_buf *buf, uint32_t value);
void nx_buf_append_u64(struct nx_buf *buf, uint64_t value);
/** Unsigned LEB128; the counterpart of nx_reader_varint(). */
void nx_buf_append_varint(struct nx_buf *buf, uint64_t value);
/** Zig-zag, then LEB128; the counterpart of nx_reader_varint_signed(). */
void nx_buf_append_varint_signed(struct nx_buf *buf, int64_t value);
/** A varint length, then the bytes; the counterpart of nx_reader_varint_bytes(). */
void nx_buf_append_varint_bytes(struct nx_buf *buf, struct nx_str bytes);
/** Decimal digits. */
void nx_buf_append_decimal(struct nx_buf *buf, uint64_t value);
void nx_buf_append_format(struct nx_buf *buf, const char *format, ...) NX_PRINTF(2, 3);
/** Cut to the first `len` bytes; longer than the buffer is a no-op. */
void nx_buf_truncate(struct nx_buf *buf, size_t len);
/** Drop the first `len` bytes, moving the rest to the front. `len` <= buf->len. */
void nx_buf_consume(struct nx_buf *buf, size_t len);

/** What is in it, borrowed until the next change. */
static inline struct nx_str nx_buf_str(const struct nx_buf *buf) {
    return nx_str_of(buf->ptr == NULL ? "" : buf->ptr, buf->len);
}
/** Errors: NX_RESOURCE_EXHAUSTED (out of memory), NX_INVALID_ARGUMENT with kind too-large (past the maximum).
 */
NX_MUST_CHECK enum nx_status nx_buf_check(const struct nx_buf *buf, struct nx_error *err);
static inline bool nx_buf_failed(const struct nx_buf *buf) {
    return buf->failure != NX_OK;
}

NX_DEFINE_AUTO_IN_PLACE(nx_buf, nx_buf_fini)
