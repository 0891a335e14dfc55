#include "codec/protobuf.h"

enum { VARINT_SIZE_MAX = 10, WIRE_BITS = 3 };

static void append_tag(struct nx_buf *out, uint32_t field, enum nx_protobuf_wire wire) {
    nx_buf_append_varint(out, (uint64_t)field << WIRE_BITS | wire);
}

void nx_protobuf_varint(struct nx_buf *out, uint32_t field, uint64_t value) {
    append_tag(out, field, NX_PROTOBUF_VARINT);
    nx_buf_append_varint(out, value);
}

void nx_protobuf_fixed32(struct nx_buf *out, uint32_t field, uint32_t value) {
    append_tag(out, field, NX_PROTOBUF_FIXED32);
    nx_buf_append_u32(out, value);
}

void nx_protobuf_fixed64(struct nx_buf *out, uint32_t field, uint64_t value) {
    append_tag(out, field, NX_PROTOBUF_FIXED64);
    nx_buf_append_u64(out, value);
}

void nx_protobuf_bytes(struct nx_buf *out, uint32_t field, struct nx_str bytes) {
    append_tag(out, field, NX_PROTOBUF_BYTES);
    nx_buf_append_varint_bytes(out, bytes);
}

/* One byte is left for the length; most messages need no more. */
size_t nx_protobuf_begin(struct nx_buf *out, uint32_t field) {
    append_tag(out, field, NX_PROTOBUF_BYTES);
    nx_buf_append_u8(out, 0);
    return out->len;
}

void nx_protobuf_end(struct nx_buf *out, size_t begun) {
    uint8_t length[VARINT_SIZE_MAX];
    size_t count = 0;
    if (nx_buf_failed(out)) {
        return;
    }
    const size_t size = out->len - begun;
    size_t rest = size;
    do {
        length[count++] = (uint8_t)((rest & 0x7FU) | (rest > 0x7FU ? 0x80U : 0U));
        rest >>= 7;
    } while (rest > 0);
    for (size_t i = 1; i < count; i++) {
        nx_buf_append_u8(out, 0);
    }
    if (nx_buf_failed(out)) {
        return;
    }
    if (count > 1) {
        memmove(out->ptr + begun + count - 1, out->ptr + begun, size);
    }
    memcpy(out->ptr + begun - 1, length, count);
}

bool nx_protobuf_next(struct nx_reader *reader, struct nx_protobuf_field *field_out) {
    if (nx_reader_left(reader) == 0) {
        return false;
    }
    const uint64_t tag = nx_reader_varint(reader);
    struct nx_protobuf_field field = { .number = (uint32_t)(tag >> WIRE_BITS),
                                       .wire = (enum nx_protobuf_wire)(tag & 7U),
                                       .bytes = NX_STR_EMPTY };
    switch (field.wire) {
    case NX_PROTOBUF_VARINT:
        field.value = nx_reader_varint(reader);
        break;
    case NX_PROTOBUF_FIXED64:
        field.value = nx_reader_u64(reader);
        break;
    case NX_PROTOBUF_BYTES:
        field.bytes = nx_reader_varint_bytes(reader);
        break;
    case NX_PROTOBUF_FIXED32:
        field.value = nx_reader_u32(reader);
        break;
    default:
        reader->failed = true;
    }
    if (tag >> WIRE_BITS == 0 || tag >> WIRE_BITS > UINT32_MAX) {
        reader->failed = true;
    }
    if (!nx_reader_ok(reader)) {
        return false;
    }
    *field_out = field;
    return true;
}
