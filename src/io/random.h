/* src/io/random.h: unpredictable bytes from the machine, or repeatable ones from a simulated world. Any
 * thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct nx_random {
    void (*fill)(void *data, void *bytes, size_t len);
    void *data;
};

/** The kernel's generator, read in blocks; ends the process if the kernel refuses. */
struct nx_random nx_random_system(void);

static inline void nx_random_fill(const struct nx_random *random, void *bytes, size_t len) {
    random->fill(random->data, bytes, len);
}
static inline uint64_t nx_random_u64(const struct nx_random *random) {
    uint64_t value;
    nx_random_fill(random, &value, sizeof value);
    return value;
}
