/* tests/fidelity/guests/mixed.c: a C guest whose output depends on everything it can learn from outside. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(void) {
    static char input[65536];
    const size_t len = fread(input, 1, sizeof input, stdin);
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (unsigned char)input[i]) * 1099511628211u;
    }
    unsigned char noise[48];
    if (getentropy(noise, sizeof noise) != 0) {
        return 1;
    }
    for (size_t i = 0; i < sizeof noise; i++) {
        hash = (hash ^ noise[i]) * 1099511628211u;
    }
    struct timespec wall, monotonic;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    if (noise[0] % 4 == 0) { /* a path that only some runs take */
        const struct timespec pause = { 0, 1000000 };
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_MONOTONIC, &monotonic);
    }
    const double quotient = (double)hash / (double)(monotonic.tv_nsec + 1);
    fprintf(stderr, "noise %02x%02x at %lld\n", noise[1], noise[2], (long long)wall.tv_sec);
    printf("%016llx %lld.%09ld %lld.%09ld %.17g %s\n", (unsigned long long)hash, (long long)wall.tv_sec,
           wall.tv_nsec, (long long)monotonic.tv_sec, monotonic.tv_nsec, quotient, getenv("TRACE_ID"));
    return 0;
}
