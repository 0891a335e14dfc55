/* src/codec/sealed.h: a record's payload that only whoever has its key can read.
 *
 *   u8 version 1 | bytes clear | 12 B nonce | ciphertext | 16 B tag      ("bytes": a varint length, then
 * those) plaintext: bytes header lines | payload
 *
 * AES-256-GCM. `clear` is the part that stays readable without the key; it, and what the sealed record is
 * (its stream, subject and stored headers), are authenticated with the rest, so that no sealed bytes can be
 * moved to another record, nor be joined with another clear part. The nonce is random: one key may seal 2^32
 * records before two nonces are the same with a probability of 2^-33. Pure functions. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum {
    NX_SEAL_FORMAT = 1,
    NX_SEAL_KEY_SIZE = 32,   /* bytes */
    NX_SEAL_NONCE_SIZE = 12, /* bytes */
    NX_SEAL_TAG_SIZE = 16,   /* bytes */
    NX_SEAL_ABOUT_MAX = 4,   /* strings that say what the record is */
};

/* What is sealed; all borrowed. */
struct nx_seal {
    const uint8_t *key;   /* NX_SEAL_KEY_SIZE bytes */
    const uint8_t *nonce; /* NX_SEAL_NONCE_SIZE bytes, never twice with one key */
    struct nx_str about[NX_SEAL_ABOUT_MAX];
    struct nx_str clear;
    struct nx_str headers; /* header lines that are sealed too */
    struct nx_str payload;
};

/** Append the sealed payload; check the buffer afterwards. Ends the process where OpenSSL cannot do it, for
 * want of memory or of the cipher. */
void nx_seal(const struct nx_seal *seal, struct nx_buf *out);

/* A sealed payload, taken apart or opened; borrows from it. */
struct nx_sealed {
    struct nx_str clear;
    struct nx_str headers; /* empty until it is opened, as the payload */
    struct nx_str payload;
};

/** Take it apart as far as that goes without the key.
 * Errors: NX_FAILED_PRECONDITION kind format-version; NX_DATA_LOSS it is no sealed payload */
NX_MUST_CHECK enum nx_status nx_sealed_parse(struct nx_str bytes, struct nx_sealed *sealed_out,
                                             struct nx_error *err);
/** Open it.
 * Ownership: `plain_out` has room for bytes.len bytes, and may be the memory of `bytes` itself, whose clear
 *            part stays as it is; what is opened lies in it. After a failure nothing of it may be looked at.
 * Errors:    as nx_sealed_parse(); NX_DATA_LOSS also when it was sealed with another key, about another
 *            record, or was changed */
NX_MUST_CHECK enum nx_status nx_unseal(const uint8_t *key, const struct nx_str about[NX_SEAL_ABOUT_MAX],
                                       struct nx_str bytes, char *plain_out, struct nx_sealed *sealed_out,
                                       struct nx_error *err);
