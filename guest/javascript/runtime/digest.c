/* guest/javascript/runtime/digest.c: SHA-1 and SHA-2 (FIPS 180-4) for crypto.subtle.digest. */
#include <string.h>

#include "runtime.h"

static uint32_t rotate_left_32(uint32_t x, int n) {
    return x << n | x >> (32 - n);
}
static uint32_t rotate_right_32(uint32_t x, int n) {
    return x >> n | x << (32 - n);
}
static uint64_t rotate_right_64(uint64_t x, int n) {
    return x >> n | x << (64 - n);
}
static uint64_t read_big(const uint8_t *bytes, int size) {
    uint64_t value = 0;
    for (int i = 0; i < size; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}
static void write_big(uint8_t *bytes, uint64_t value, int size) {
    for (int i = size - 1; i >= 0; i--, value >>= 8) {
        bytes[i] = (uint8_t)value;
    }
}

/* The constants of SHA-512; those of SHA-256 are the upper halves of the first 64. */
static const uint64_t K[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

static void block_1(uint64_t state[8], const uint8_t *block) {
    uint32_t w[80], v[5];
    for (int i = 0; i < 80; i++) {
        w[i] = i < 16 ? (uint32_t)read_big(block + 4 * i, 4)
                      : rotate_left_32(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    }
    for (int i = 0; i < 5; i++) {
        v[i] = (uint32_t)state[i];
    }
    for (int i = 0; i < 80; i++) {
        const uint32_t f = i < 20   ? ((v[1] & v[2]) | (~v[1] & v[3])) + 0x5a827999
                           : i < 40 ? (v[1] ^ v[2] ^ v[3]) + 0x6ed9eba1
                           : i < 60 ? ((v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3])) + 0x8f1bbcdc
                                    : (v[1] ^ v[2] ^ v[3]) + 0xca62c1d6;
        const uint32_t next = rotate_left_32(v[0], 5) + f + v[4] + w[i];
        v[4] = v[3], v[3] = v[2], v[2] = rotate_left_32(v[1], 30), v[1] = v[0], v[0] = next;
    }
    for (int i = 0; i < 5; i++) {
        state[i] = (uint32_t)(state[i] + v[i]);
    }
}

static void block_256(uint64_t state[8], const uint8_t *block) {
    uint32_t w[64], v[8];
    for (int i = 0; i < 64; i++) {
        if (i < 16) {
            w[i] = (uint32_t)read_big(block + 4 * i, 4);
            continue;
        }
        const uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotate_right_32(a, 7) ^ rotate_right_32(a, 18) ^ a >> 3) + w[i - 7] +
               (rotate_right_32(b, 17) ^ rotate_right_32(b, 19) ^ b >> 10);
    }
    for (int i = 0; i < 8; i++) {
        v[i] = (uint32_t)state[i];
    }
    for (int i = 0; i < 64; i++) {
        const uint32_t t1 =
            v[7] + (rotate_right_32(v[4], 6) ^ rotate_right_32(v[4], 11) ^ rotate_right_32(v[4], 25)) +
            ((v[4] & v[5]) ^ (~v[4] & v[6])) + (uint32_t)(K[i] >> 32) + w[i];
        const uint32_t t2 =
            (rotate_right_32(v[0], 2) ^ rotate_right_32(v[0], 13) ^ rotate_right_32(v[0], 22)) +
            ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        v[7] = v[6], v[6] = v[5], v[5] = v[4], v[4] = v[3] + t1, v[3] = v[2], v[2] = v[1], v[1] = v[0],
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) {
        state[i] = (uint32_t)(state[i] + v[i]);
    }
}

static void block_512(uint64_t state[8], const uint8_t *block) {
    uint64_t w[80], v[8];
    for (int i = 0; i < 80; i++) {
        if (i < 16) {
            w[i] = read_big(block + 8 * i, 8);
            continue;
        }
        const uint64_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotate_right_64(a, 1) ^ rotate_right_64(a, 8) ^ a >> 7) + w[i - 7] +
               (rotate_right_64(b, 19) ^ rotate_right_64(b, 61) ^ b >> 6);
    }
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 80; i++) {
        const uint64_t t1 =
            v[7] + (rotate_right_64(v[4], 14) ^ rotate_right_64(v[4], 18) ^ rotate_right_64(v[4], 41)) +
            ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[i] + w[i];
        const uint64_t t2 =
            (rotate_right_64(v[0], 28) ^ rotate_right_64(v[0], 34) ^ rotate_right_64(v[0], 39)) +
            ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        v[7] = v[6], v[6] = v[5], v[5] = v[4], v[4] = v[3] + t1, v[3] = v[2], v[2] = v[1], v[1] = v[0],
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) {
        state[i] += v[i];
    }
}

struct algorithm {
    int32_t bits;
    size_t digest_size;
    size_t block_size;
    int word_size;
    void (*block)(uint64_t state[8], const uint8_t *block);
    uint64_t start[8];
};

static const struct algorithm algorithms[] = {
    { 1, 20, 64, 4, block_1, { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 } },
    { 256,
      32,
      64,
      4,
      block_256,
      { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 } },
    { 384,
      48,
      128,
      8,
      block_512,
      { 0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939, 0x67332667ffc00b31,
        0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4 } },
    { 512,
      64,
      128,
      8,
      block_512,
      { 0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1,
        0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179 } },
};

static void run(const struct algorithm *algorithm, const uint8_t *bytes, size_t size, uint8_t *digest) {
    uint8_t last[256] = { 0 };
    uint64_t state[8];
    const size_t block = algorithm->block_size, whole = size / block * block;
    memcpy(state, algorithm->start, sizeof state);
    for (size_t at = 0; at < whole; at += block) {
        algorithm->block(state, bytes + at);
    }
    memcpy(last, bytes + whole, size - whole);
    last[size - whole] = 0x80;
    const size_t padded = size - whole + 1 + block / 8 <= block ? block : 2 * block;
    write_big(last + padded - 8, (uint64_t)size * 8, 8);
    for (size_t at = 0; at < padded; at += block) {
        algorithm->block(state, last + at);
    }
    for (size_t i = 0; i < algorithm->digest_size / (size_t)algorithm->word_size; i++) {
        write_big(digest + i * (size_t)algorithm->word_size, state[i], algorithm->word_size);
    }
}

size_t runtime_digest(int32_t bits, const uint8_t *bytes, size_t size, uint8_t digest[64]) {
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (algorithms[i].bits == bits) {
            run(&algorithms[i], bytes, size, digest);
            return algorithms[i].digest_size;
        }
    }
    return 0;
}
