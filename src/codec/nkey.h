/* src/codec/nkey.h: NATS's keys of users: an Ed25519 public key as 56 letters, and what was signed by it.
 *
 * The text is base32 (RFC 4648, without padding) of: a byte that says whose key it is ("U": a user's), the 32
 * bytes of the key, and their CRC-16 (XMODEM), little-endian. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum {
    NX_NKEY_SIZE = 32,           /* bytes of a key */
    NX_NKEY_TEXT_SIZE = 56,      /* letters of its text */
    NX_NKEY_SIGNATURE_SIZE = 64, /* bytes */
};

/** Read a user's public key; false when it is not the text of one. */
bool nx_nkey_read_user(struct nx_str text, uint8_t key_out[NX_NKEY_SIZE]);
/** Whether `signature` is this key's for `message`; false also when it is not a signature at all. */
bool nx_nkey_has_signed(const uint8_t key[NX_NKEY_SIZE], struct nx_str message, struct nx_str signature);
