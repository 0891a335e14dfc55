/* src/codec/nkey.c: see nkey.h. */
#include "codec/nkey.h"

#include <openssl/evp.h>

enum {
    PREFIX_USER = 20 << 3, /* shows as "U" */
    CRC_SIZE = 2,
    RAW_SIZE = 1 + NX_NKEY_SIZE + CRC_SIZE,
    BITS_PER_LETTER = 5,
    CRC_POLYNOMIAL = 0x1021,
};

_Static_assert(RAW_SIZE * 8 == NX_NKEY_TEXT_SIZE * BITS_PER_LETTER, "no bits are left over");

static uint16_t crc_of(const uint8_t *bytes, size_t len) {
    uint32_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc ^= (uint32_t)bytes[i] << 8;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 0x8000) != 0 ? (crc << 1) ^ CRC_POLYNOMIAL : crc << 1;
        }
    }
    return (uint16_t)crc;
}

/* -1: not a letter of base32. */
static int value_of(char letter) {
    if (letter >= 'A' && letter <= 'Z') {
        return letter - 'A';
    }
    return letter >= '2' && letter <= '7' ? letter - '2' + 26 : -1;
}

static bool decode(struct nx_str text, uint8_t raw_out[RAW_SIZE]) {
    uint32_t bits = 0;
    unsigned bit_count = 0;
    size_t size = 0;
    for (size_t i = 0; i < text.len; i++) {
        const int value = value_of(text.ptr[i]);
        if (value < 0) {
            return false;
        }
        bits = bits << BITS_PER_LETTER | (uint32_t)value;
        bit_count += BITS_PER_LETTER;
        if (bit_count >= 8) {
            bit_count -= 8;
            raw_out[size++] = (uint8_t)(bits >> bit_count);
        }
    }
    return size == RAW_SIZE;
}

bool nx_nkey_read_user(struct nx_str text, uint8_t key_out[NX_NKEY_SIZE]) {
    uint8_t raw[RAW_SIZE];
    if (text.len != NX_NKEY_TEXT_SIZE || !decode(text, raw) || raw[0] != PREFIX_USER) {
        return false;
    }
    const uint16_t crc = (uint16_t)(raw[RAW_SIZE - 2] | raw[RAW_SIZE - 1] << 8);
    if (crc != crc_of(raw, RAW_SIZE - CRC_SIZE)) {
        return false;
    }
    memcpy(key_out, raw + 1, NX_NKEY_SIZE);
    return true;
}

bool nx_nkey_has_signed(const uint8_t key[NX_NKEY_SIZE], struct nx_str message, struct nx_str signature) {
    if (signature.len != NX_NKEY_SIGNATURE_SIZE) {
        return false;
    }
    EVP_PKEY *public_key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, NX_NKEY_SIZE);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const bool is_signed = public_key != NULL && context != NULL &&
                           EVP_DigestVerifyInit(context, NULL, NULL, NULL, public_key) == 1 &&
                           EVP_DigestVerify(context, (const unsigned char *)signature.ptr, signature.len,
                                            (const unsigned char *)message.ptr, message.len) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(public_key);
    return is_signed;
}
