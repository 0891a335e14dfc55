/* src/codec/gzip.h: RFC 1952, for bodies of HTTP. The one home of zlib. Pure functions. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

/** Append `bytes` as one gzip member, made for speed rather than size.
 * Errors: NX_RESOURCE_EXHAUSTED  out of memory, or the buffer's maximum; what was there is left as it was */
NX_MUST_CHECK enum nx_status nx_gzip_encode(struct nx_buf *out, struct nx_str bytes, struct nx_error *err);
/** Append what the gzip members of `bytes`, at least one, hold: all of it or nothing.
 * Errors: NX_INVALID_ARGUMENT    not gzip, cut short, or damaged; kind too-large: past the buffer's maximum
 *         NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_gzip_decode(struct nx_buf *out, struct nx_str bytes, struct nx_error *err);
