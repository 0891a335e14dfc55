/* src/codec/base64.h: bytes as text in the two alphabets of RFC 4648.
 *
 * Standard is padded, as CloudEvents' data_base64 wants it; url is not, as JSON web tokens want it. Decoding
 * is strict: no line breaks, no missing or surplus padding, no left-over bits, so that one value has one
 * text. Pure functions. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum nx_base64_alphabet {
    NX_BASE64_STANDARD, /* + and /, padded with = */
    NX_BASE64_URL       /* - and _, not padded */
};

/** Append the text of `bytes`; failures are the buffer's. */
void nx_base64_encode(struct nx_buf *out, enum nx_base64_alphabet alphabet, struct nx_str bytes);
/** Append the bytes that `text` stands for.
 * Errors: NX_INVALID_ARGUMENT  not such text (nothing is appended), or past the buffer's maximum
 *         NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_base64_decode(struct nx_buf *out, enum nx_base64_alphabet alphabet,
                                              struct nx_str text, struct nx_error *err);
