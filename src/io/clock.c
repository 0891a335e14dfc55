#include "io/clock.h"

#include <time.h>

#include "base/assert.h"

static int64_t read_one(clockid_t id) {
    struct timespec time;
    nx_assert(clock_gettime(id, &time) == 0);
    return (int64_t)time.tv_sec * NX_NS_PER_S + time.tv_nsec;
}

static struct nx_now read_system(void *data) {
    (void)data;
    return (struct nx_now){ .wall_ns = read_one(CLOCK_REALTIME), .monotonic_ns = read_one(CLOCK_MONOTONIC) };
}

struct nx_clock nx_clock_system(void) {
    return (struct nx_clock){ .read = read_system };
}
