/* tests/simulation/seeds.h: the command line of a simulated world: <name> [--seed 1] [--count 1].
 * A run that fails says so and ends the process; one seed alone shows its digest. */
#pragma once
#include <inttypes.h>
#include <stdio.h>

#include "base/str.h"

/** Run `count` seeds from the first on; the exit status, 2 for wrong use. `run_seed` gives the run's digest.
 */
static inline int run_seeds(const char *name, uint64_t (*run_seed)(uint64_t seed), int argc, char **argv) {
    uint64_t seed = 1;
    uint64_t count = 1;
    for (int i = 1; i < argc; i += 2) {
        uint64_t value;
        if (i + 1 == argc || !nx_str_to_u64(nx_str_from_c(argv[i + 1]), &value)) {
            return 2;
        }
        if (nx_str_is(nx_str_from_c(argv[i]), "--seed")) {
            seed = value;
        } else if (nx_str_is(nx_str_from_c(argv[i]), "--count")) {
            count = value;
        } else {
            return 2;
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t digest = run_seed(seed + i);
        if (count == 1) {
            (void)printf("seed %" PRIu64 ": digest %016" PRIx64 "\n", seed, digest);
        }
    }
    (void)printf("%s: %" PRIu64 " seeds from %" PRIu64 " passed\n", name, count, seed);
    return 0;
}
