/* src/codec/byte_class.h: which bytes may stand where, one table for all the codecs that ask. Pure functions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum {
    NX_BYTE_TOKEN = 0x01,   /* RFC 9110's token: names of headers, halves of media types */
    NX_BYTE_HEADER = 0x02,  /* what the CloudEvents HTTP binding leaves as it is in a header's value */
    NX_BYTE_SUBJECT = 0x04, /* what stays as it is in a token of a subject: [A-Za-z0-9_-] */
    NX_BYTE_URL = 0x08,     /* RFC 3986's unreserved: [A-Za-z0-9._~-] */
    NX_BYTE_URI = 0x10,     /* what may stand anywhere in a URI reference; the percent sign is not in it */
    NX_BYTE_TEXT = 0x20     /* printable ASCII and space */
};

extern const uint8_t nx_byte_classes[256]; /* flags of the above */

static inline bool nx_byte_is(char byte, unsigned class_flag) {
    return (nx_byte_classes[(unsigned char)byte] & class_flag) != 0;
}
/** The number of bytes at the front that are all of this class. */
static inline size_t nx_byte_span(struct nx_str s, unsigned class_flag) {
    size_t i = 0;
    while (i < s.len && nx_byte_is(s.ptr[i], class_flag)) {
        i++;
    }
    return i;
}
