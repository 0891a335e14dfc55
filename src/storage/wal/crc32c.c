#include "storage/wal/crc32c.h"

#include <stdbool.h>
#include <string.h>

/* One nibble at a time, reflected polynomial 0x82f63b78: sixteen entries need no set-up and stay in the
 * cache. */
static const uint32_t nibbles[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t nx_crc32c_portable(uint32_t seed, const void *bytes, size_t len) {
    const uint8_t *p = bytes;
    uint32_t crc = ~seed;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return ~crc;
}

uint32_t nx_crc32c_seed(uint32_t crc, const void *bytes, size_t len) {
    const uint32_t polynomial = 0x82f63b78;
    const uint8_t *p = bytes;
    uint32_t state = ~crc;
    for (size_t i = len; i-- > 0;) {
        for (int bit = 0; bit < 8; bit++) {
            state = (state & 0x80000000) != 0 ? (state ^ polynomial) << 1 | 1 : state << 1;
        }
        state ^= p[i];
    }
    return ~state;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t seed, const void *bytes, size_t len) {
    const uint8_t *p = bytes;
    uint64_t crc = (uint32_t)~seed;
    while (len >= 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        crc = __builtin_ia32_crc32di(crc, word);
        p += 8;
        len -= 8;
    }
    uint32_t rest = (uint32_t)crc;
    while (len > 0) {
        rest = __builtin_ia32_crc32qi(rest, *p);
        p++;
        len--;
    }
    return ~rest;
}

static bool has_sse42(void) {
    return __builtin_cpu_supports("sse4.2") != 0;
}
#else
static uint32_t crc32c_sse42(uint32_t seed, const void *bytes, size_t len) {
    return nx_crc32c_portable(seed, bytes, len);
}

static bool has_sse42(void) {
    return false;
}
#endif

uint32_t nx_crc32c(uint32_t seed, const void *bytes, size_t len) {
    return has_sse42() ? crc32c_sse42(seed, bytes, len) : nx_crc32c_portable(seed, bytes, len);
}
