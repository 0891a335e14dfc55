/* src/codec/digest.h: SHA-256, by which modules, objects and outputs are named. Pure functions. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/str.h"

enum {
    NX_DIGEST_SIZE = 32,     /* bytes */
    NX_DIGEST_TEXT_SIZE = 64 /* hexadecimal digits */
};

struct nx_digest {
    uint8_t bytes[NX_DIGEST_SIZE];
};

/** The digest of `bytes`. Ends the process where OpenSSL cannot give it, for want of memory or of SHA-256. */
struct nx_digest nx_digest_of(struct nx_str bytes);
/** As nx_digest_of(), of several strings one after the other. */
struct nx_digest nx_digest_of_parts(const struct nx_str *parts, size_t count);
/** Write 64 lower-case digits and a NUL. Returns them, borrowed from `text_out`. */
struct nx_str nx_digest_format(const struct nx_digest *digest, char text_out[NX_DIGEST_TEXT_SIZE + 1]);
/** Read 64 digits of either case; false when they are not that. */
NX_MUST_CHECK bool nx_digest_parse(struct nx_str text, struct nx_digest *digest_out);
bool nx_digest_equal(const struct nx_digest *a, const struct nx_digest *b);
