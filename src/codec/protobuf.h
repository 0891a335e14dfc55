/* src/codec/protobuf.h: Protocol Buffers' wire format, as much of it as OTLP needs.
 *
 * Fields are written one after the other into a buffer; a message within a message is begun and ended around
 * its fields, which moves its bytes when its length takes more than one byte: meant for small messages, and
 * for a few large ones. Reading gives field by field; groups, which nobody writes any more, end it. Pure
 * functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum nx_protobuf_wire {
    NX_PROTOBUF_VARINT = 0,
    NX_PROTOBUF_FIXED64 = 1,
    NX_PROTOBUF_BYTES = 2, /* strings and messages too */
    NX_PROTOBUF_FIXED32 = 5,
};

/* Append one field; failures are the buffer's. `field` is its number in the .proto, 1 or more. */
void nx_protobuf_varint(struct nx_buf *out, uint32_t field, uint64_t value);
void nx_protobuf_fixed32(struct nx_buf *out, uint32_t field, uint32_t value);
void nx_protobuf_fixed64(struct nx_buf *out, uint32_t field, uint64_t value);
/** A string must be UTF-8: receivers refuse the whole message otherwise. */
void nx_protobuf_bytes(struct nx_buf *out, uint32_t field, struct nx_str bytes);
/** Begin a message; returns what nx_protobuf_end() needs. They nest. */
NX_MUST_CHECK size_t nx_protobuf_begin(struct nx_buf *out, uint32_t field);
void nx_protobuf_end(struct nx_buf *out, size_t begun);

struct nx_protobuf_field {
    uint32_t number;
    enum nx_protobuf_wire wire;
    uint64_t value;      /* of the three kinds of numbers */
    struct nx_str bytes; /* borrowed from what is read */
};
/** The next field of a message; false at its end, and where it is none (then nx_reader_ok() is false). */
bool nx_protobuf_next(struct nx_reader *reader, struct nx_protobuf_field *field_out);
