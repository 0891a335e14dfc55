/* src/codec/ulid.h: identifiers that sort by the time of their making (github.com/ulid/spec).
 *
 * 48 bits of milliseconds since 1970, big-endian, then 80 random bits; as text 26 characters of Crockford's
 * base 32. One generator never makes the same or a smaller one twice: within a millisecond, or when the clock
 * went back, it counts up from the one before. Pure functions; a generator has one owner. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum {
    NX_ULID_SIZE = 16,       /* bytes */
    NX_ULID_TEXT_SIZE = 26,  /* characters */
    NX_ULID_RANDOM_SIZE = 10 /* bytes */
};

struct nx_ulid {
    uint8_t bytes[NX_ULID_SIZE];
};

struct nx_ulid_generator { /* starts zeroed */
    struct nx_ulid last;
};

/** The next identifier, larger than every earlier one of this generator. `wall_ns` since 1970; times before
 * it count as 0. `random` is used only when the millisecond is a new one. */
struct nx_ulid nx_ulid_next(struct nx_ulid_generator *generator, int64_t wall_ns,
                            const uint8_t random[NX_ULID_RANDOM_SIZE]);
/** Write the 26 characters and a NUL. Returns them as a string, borrowed from `text_out`. */
struct nx_str nx_ulid_format(const struct nx_ulid *ulid, char text_out[NX_ULID_TEXT_SIZE + 1]);
/** Read 26 characters in either case; false when they are not a ULID of 128 bits. */
NX_MUST_CHECK bool nx_ulid_parse(struct nx_str text, struct nx_ulid *ulid_out);
/** Milliseconds since 1970. */
uint64_t nx_ulid_time_ms(const struct nx_ulid *ulid);
