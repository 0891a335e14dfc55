/* src/base/str.h: borrowed bytes, and the only way to read foreign ones.
 *
 * struct nx_str is passed by value and owns nothing: it is valid as long as what it points into. It is UTF-8
 * where it came through an edge that checked it, plain bytes elsewhere; never assume a terminating NUL.
 * struct nx_reader walks over foreign bytes without ever leaving them: every read says whether it could be
 * done. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct nx_str {
    const char *ptr;
    size_t len; /* bytes */
};

/* A literal. Works in initialisers too. */
#define NX_STR(literal) ((struct nx_str){ .ptr = (literal), .len = sizeof(literal) - 1 })
#define NX_STR_EMPTY ((struct nx_str){ .ptr = "", .len = 0 })
/* For printf: printf("%.*s", NX_STR_ARG(s)). */
#define NX_STR_ARG(s) ((int)(s).len), ((s).ptr == NULL ? "" : (s).ptr)

static inline struct nx_str nx_str_of(const void *ptr, size_t len) {
    return (struct nx_str){ .ptr = (const char *)ptr, .len = len };
}
/** NULL gives the empty string. For our own NUL-terminated text only. */
static inline struct nx_str nx_str_from_c(const char *text) {
    return text == NULL ? NX_STR_EMPTY : nx_str_of(text, strlen(text));
}
static inline bool nx_str_equal(struct nx_str a, struct nx_str b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}
static inline bool nx_str_is(struct nx_str a, const char *text) {
    return nx_str_equal(a, nx_str_from_c(text));
}
static inline bool nx_str_starts_with(struct nx_str s, struct nx_str prefix) {
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}
static inline bool nx_str_ends_with(struct nx_str s, struct nx_str suffix) {
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}
/** `from` and `to` are byte offsets, clamped to the string. */
static inline struct nx_str nx_str_slice(struct nx_str s, size_t from, size_t to) {
    to = to > s.len ? s.len : to;
    from = from > to ? to : from;
    return nx_str_of(s.ptr == NULL ? "" : s.ptr + from, to - from);
}

/** As memcmp, a shorter string first when it is a prefix of the other. */
int nx_str_compare(struct nx_str a, struct nx_str b);
/** ASCII letters compare equal in either case. */
bool nx_str_equal_ignore_case(struct nx_str a, struct nx_str b);
/** Offset of the first such byte, or SIZE_MAX. */
size_t nx_str_find_byte(struct nx_str s, char byte);
/** Offset of the first occurrence of `needle`, or SIZE_MAX. */
size_t nx_str_find(struct nx_str s, struct nx_str needle);
/** Without leading and trailing spaces and tabs. */
struct nx_str nx_str_trim(struct nx_str s);
/** Cut off and return what stands before the first `separator`; the whole rest when there is none. False at
 * the end of `*rest`. "a,b" gives "a", "b"; "a," gives "a", "". */
bool nx_str_split(struct nx_str *rest, char separator, struct nx_str *part_out);
/** Whole decimal numbers without sign, space or overflow; false otherwise. */
bool nx_str_to_u64(struct nx_str s, uint64_t *value_out);
/** The number of bytes before the first one that is not part of valid UTF-8 (RFC 3629); s.len when all is. */
size_t nx_str_utf8_prefix(struct nx_str s);
static inline bool nx_str_is_utf8(struct nx_str s) {
    return nx_str_utf8_prefix(s) == s.len;
}
/** A fast non-cryptographic hash with a seed, for tables that foreign keys go into: choose the seed at
 * random. */
uint64_t nx_str_hash(struct nx_str s, uint64_t seed);

/* Reads foreign bytes front to back. After the first failed read every later one fails too, so that a
 * sequence of reads needs one check at its end: nx_reader_ok(). Failed reads give 0 or the empty string.
 * Little-endian. */
struct nx_reader {
    const uint8_t *ptr;
    size_t len;
    size_t offset; /* of the next byte */
    bool failed;
};

static inline struct nx_reader nx_reader_of(struct nx_str bytes) {
    return (struct nx_reader){ .ptr = (const uint8_t *)bytes.ptr, .len = bytes.len };
}
static inline bool nx_reader_ok(const struct nx_reader *reader) {
    return !reader->failed;
}
static inline size_t nx_reader_left(const struct nx_reader *reader) {
    return reader->failed ? 0 : reader->len - reader->offset;
}
uint8_t nx_reader_u8(struct nx_reader *reader);
uint16_t nx_reader_u16(struct nx_reader *reader);
uint32_t nx_reader_u32(struct nx_reader *reader);
uint64_t nx_reader_u64(struct nx_reader *reader);
/** Unsigned LEB128, at most 10 bytes, shortest form not required. */
uint64_t nx_reader_varint(struct nx_reader *reader);
/** Zig-zag over the varint. */
int64_t nx_reader_varint_signed(struct nx_reader *reader);
/** The next `len` bytes, borrowed from what is read. */
struct nx_str nx_reader_bytes(struct nx_reader *reader, size_t len);
/** A varint length, then that many bytes. */
struct nx_str nx_reader_varint_bytes(struct nx_reader *reader);
