/* src/io/clock.h: the time, from the machine or from a simulated world.
 *
 * Wall time is nanoseconds since 1970-01-01T00:00:00Z and may jump; monotonic time only goes forward, and its
 * zero means nothing. Deadlines are monotonic, what is stored or shown is wall time. Any thread. */
#pragma once

#include <stdint.h>

enum { NX_NS_PER_US = 1000, NX_NS_PER_MS = 1000000, NX_NS_PER_S = 1000000000 };

/* Both clocks at one instant: what a step function is told. */
struct nx_now {
    int64_t wall_ns;
    int64_t monotonic_ns;
};

struct nx_clock {
    struct nx_now (*read)(void *data);
    void *data;
};

/** The machine's clocks (CLOCK_REALTIME, CLOCK_MONOTONIC). */
struct nx_clock nx_clock_system(void);

static inline struct nx_now nx_clock_read(const struct nx_clock *clock) {
    return clock->read(clock->data);
}
