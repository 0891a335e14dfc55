#include "codec/ulid.h"

#include <string.h>

enum { TIME_SIZE = NX_ULID_SIZE - NX_ULID_RANDOM_SIZE, NS_PER_MS = 1000000 };

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static void put_time(struct nx_ulid *ulid, uint64_t ms) {
    for (size_t i = TIME_SIZE; i-- > 0; ms >>= 8) {
        ulid->bytes[i] = (uint8_t)ms;
    }
}

uint64_t nx_ulid_time_ms(const struct nx_ulid *ulid) {
    uint64_t ms = 0;
    for (size_t i = 0; i < TIME_SIZE; i++) {
        ms = ms << 8 | ulid->bytes[i];
    }
    return ms;
}

struct nx_ulid nx_ulid_next(struct nx_ulid_generator *generator, int64_t wall_ns,
                            const uint8_t random[NX_ULID_RANDOM_SIZE]) {
    const uint64_t ms = wall_ns < 0 ? 0 : (uint64_t)wall_ns / NS_PER_MS;
    if (ms > nx_ulid_time_ms(&generator->last)) {
        put_time(&generator->last, ms);
        memcpy(generator->last.bytes + TIME_SIZE, random, NX_ULID_RANDOM_SIZE);
        return generator->last;
    }
    /* One more than the last, as one number: should the random part overflow, which takes luck of 1 in 2^40
     * at a trillion in one millisecond, the time goes on by itself and the order still holds. */
    for (size_t i = NX_ULID_SIZE; i-- > 0;) {
        if (++generator->last.bytes[i] != 0) {
            break;
        }
    }
    return generator->last;
}

struct nx_str nx_ulid_format(const struct nx_ulid *ulid, char text_out[NX_ULID_TEXT_SIZE + 1]) {
    uint64_t high = 0;
    uint64_t low = 0;
    for (size_t i = 0; i < 8; i++) {
        high = high << 8 | ulid->bytes[i];
        low = low << 8 | ulid->bytes[i + 8];
    }
    for (size_t i = NX_ULID_TEXT_SIZE; i-- > 0;) {
        text_out[i] = digits[low & 31];
        low = low >> 5 | high << 59;
        high >>= 5;
    }
    text_out[NX_ULID_TEXT_SIZE] = '\0';
    return nx_str_of(text_out, NX_ULID_TEXT_SIZE);
}

static int digit_value(char digit) {
    const char upper = digit >= 'a' && digit <= 'z' ? (char)(digit - 'a' + 'A') : digit;
    const char *found = upper == '\0' ? NULL : strchr(digits, upper);
    return found == NULL ? -1 : (int)(found - digits);
}

bool nx_ulid_parse(struct nx_str text, struct nx_ulid *ulid_out) {
    if (text.len != NX_ULID_TEXT_SIZE || digit_value(text.ptr[0]) > 7) { /* 26 digits hold 130 bits */
        return false;
    }
    uint64_t high = 0;
    uint64_t low = 0;
    for (size_t i = 0; i < text.len; i++) {
        const int value = digit_value(text.ptr[i]);
        if (value < 0) {
            return false;
        }
        high = high << 5 | low >> 59;
        low = low << 5 | (uint64_t)value;
    }
    for (size_t i = 8; i-- > 0; high >>= 8, low >>= 8) {
        ulid_out->bytes[i] = (uint8_t)high;
        ulid_out->bytes[i + 8] = (uint8_t)low;
    }
    return true;
}
