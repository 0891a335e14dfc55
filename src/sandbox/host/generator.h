/* src/sandbox/host/generator.h: the random bytes of one call, all from one recorded seed: ChaCha20 (RFC 8439)
 * with the seed as key, nonce 0. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { NX_GENERATOR_SEED_SIZE = 32, NX_GENERATOR_BLOCK_SIZE = 64 };

struct nx_generator {
    uint8_t seed[NX_GENERATOR_SEED_SIZE];
    uint32_t counter; /* of the next block */
    size_t left;      /* unused bytes at the end of `block` */
    uint8_t block[NX_GENERATOR_BLOCK_SIZE];
};

/** After `seed` was set and everything else zeroed. */
void nx_generator_fill(struct nx_generator *generator, uint8_t *bytes, size_t len);
