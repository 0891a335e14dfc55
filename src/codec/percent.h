/* src/codec/percent.h: percent-encoding, by two rules.
 *
 * Attribute values in headers follow the CloudEvents HTTP binding (1.0.2, 3.1.3.2): bytes outside '!'..'~',
 * and the double quote and the percent sign, become %XX. Event types in subjects: bytes outside
 * [A-Za-z0-9_.-] become %XX, and so does a dot next to which a token would be empty: "a..b" is "a.%2Eb". Both
 * are undone by plain decoding, and different values never give the same text. Pure functions. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

/** Append `value` encoded for a header; failures are the buffer's. */
void nx_percent_encode_header(struct nx_buf *out, struct nx_str value);
/** Append `type` encoded as the tokens of a subject; failures are the buffer's. Empty stays empty. */
void nx_percent_encode_subject(struct nx_buf *out, struct nx_str type);
/** Append `value` encoded as one segment of a URL's path or query: all but [A-Za-z0-9_.~-] become %XX. */
void nx_percent_encode_url(struct nx_buf *out, struct nx_str value);
/** Append the bytes that `text` stands for.
 * Errors: NX_INVALID_ARGUMENT  a percent sign without two digits (nothing is appended), or too long
 *         NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_percent_decode(struct nx_buf *out, struct nx_str text, struct nx_error *err);
/** As nx_percent_decode(), into `bytes_out`, which has room for text.len bytes. False at a percent sign
 * without two digits, with `*problem_at_out` its offset; else `*len_out` is the number of bytes. */
NX_MUST_CHECK bool nx_percent_decode_to(char *bytes_out, struct nx_str text, size_t *len_out,
                                        size_t *problem_at_out);
/** True when decoding would change nothing: there is no percent sign. */
bool nx_percent_is_plain(struct nx_str text);
