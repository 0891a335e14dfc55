/* src/sandbox/host/generator.c */
#include "sandbox/host/generator.h"

#include <string.h>

static uint32_t rotate(uint32_t value, int count) {
    return value << count | value >> (32 - count);
}

static void quarter_round(uint32_t x[16], int a, int b, int c, int d) {
    x[a] += x[b];
    x[d] = rotate(x[d] ^ x[a], 16);
    x[c] += x[d];
    x[b] = rotate(x[b] ^ x[c], 12);
    x[a] += x[b];
    x[d] = rotate(x[d] ^ x[a], 8);
    x[c] += x[d];
    x[b] = rotate(x[b] ^ x[c], 7);
}

static void next_block(struct nx_generator *generator) {
    uint32_t input[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };
    uint32_t x[16];
    memcpy(&input[4], generator->seed, NX_GENERATOR_SEED_SIZE);
    input[12] = generator->counter++;
    memcpy(x, input, sizeof x);
    for (int round = 0; round < 10; round++) {
        quarter_round(x, 0, 4, 8, 12);
        quarter_round(x, 1, 5, 9, 13);
        quarter_round(x, 2, 6, 10, 14);
        quarter_round(x, 3, 7, 11, 15);
        quarter_round(x, 0, 5, 10, 15);
        quarter_round(x, 1, 6, 11, 12);
        quarter_round(x, 2, 7, 8, 13);
        quarter_round(x, 3, 4, 9, 14);
    }
    for (size_t i = 0; i < 16; i++) {
        x[i] += input[i];
    }
    memcpy(generator->block, x, sizeof x);
    generator->left = NX_GENERATOR_BLOCK_SIZE;
}

void nx_generator_fill(struct nx_generator *generator, uint8_t *bytes, size_t len) {
    while (len > 0) {
        if (generator->left == 0) {
            next_block(generator);
        }
        const size_t part = len < generator->left ? len : generator->left;
        memcpy(bytes, generator->block + NX_GENERATOR_BLOCK_SIZE - generator->left, part);
        generator->left -= part;
        bytes += part;
        len -= part;
    }
}
