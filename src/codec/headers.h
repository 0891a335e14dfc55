/* src/codec/headers.h: the header block of a record: lines "Name: value\r\n", one after the other.
 *
 * It is NATS's, without its first line and its closing empty line. Names compare without regard to case and
 * may repeat; the first one counts. What goes in is checked, so that no value can smuggle in a second header;
 * what is read is foreign: damaged lines end the reading. Pure functions. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum { NX_HEADERS_BLOCK_SIZE_MAX = 64 * 1024 }; /* bytes of one block */

struct nx_header {
    struct nx_str name;
    struct nx_str value; /* without the spaces around it */
};

/** Append one line. A name is one or more of RFC 9110's token characters; a value has no CR, LF or NUL.
 * Errors: NX_INVALID_ARGUMENT  bad name or value, or (kind headers-too-large) the block would pass its
 *                              maximum; nothing is appended
 *         NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_headers_append(struct nx_buf *block, struct nx_str name, struct nx_str value,
                                               struct nx_error *err);
/** Cut the first line off `*rest` and give it; false at the end, and at a line that is not one. Start with a
 * copy of the whole block. */
bool nx_headers_next(struct nx_str *rest, struct nx_header *header_out);
/** The value of the first header of this name, borrowed from `block`; false when there is none. */
bool nx_headers_find(struct nx_str block, struct nx_str name, struct nx_str *value_out);
/** As nx_headers_find(); the empty string when there is none. */
struct nx_str nx_headers_value(struct nx_str block, const char *name);
/** The values of several headers, each the first of its name, in one walk; empty where there is none. For
 * blocks that were written by nx_headers_append(): lines are not checked again, which takes most of the time
 * otherwise. */
void nx_headers_values(struct nx_str block, const struct nx_str *names, size_t count,
                       struct nx_str *values_out);
/** Check a foreign block as a whole.
 * Errors: NX_INVALID_ARGUMENT  a line is malformed (named by its number), or kind headers-too-large */
NX_MUST_CHECK enum nx_status nx_headers_check(struct nx_str block, struct nx_error *err);
/** True when these bytes can be a header's name. */
bool nx_headers_is_name(struct nx_str name);
/** True when these bytes can be a header's value. */
bool nx_headers_is_value(struct nx_str value);
