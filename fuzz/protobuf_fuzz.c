/* fuzz/protobuf_fuzz.c: a collector's answer may be anything, and what is read is written back the same. */
#include "base/assert.h"
#include "codec/protobuf.h"
#include "fuzz.h"
#include "io/http_client.h"
#include "telemetry/export.h"

enum { SIZE_MAX_WRITTEN = 64 * 1024 * 1024 };

static void write_field(struct nx_buf *out, const struct nx_protobuf_field *field) {
    switch (field->wire) {
    case NX_PROTOBUF_VARINT:
        nx_protobuf_varint(out, field->number, field->value);
        break;
    case NX_PROTOBUF_FIXED64:
        nx_protobuf_fixed64(out, field->number, field->value);
        break;
    case NX_PROTOBUF_FIXED32:
        nx_protobuf_fixed32(out, field->number, (uint32_t)field->value);
        break;
    case NX_PROTOBUF_BYTES: {
        const size_t begun = nx_protobuf_begin(out, field->number);
        nx_buf_append(out, field->bytes);
        nx_protobuf_end(out, begun);
        break;
    }
    }
}

static void check_fields(struct nx_str bytes) {
    struct nx_reader reader = nx_reader_of(bytes);
    struct nx_protobuf_field field;
    while (nx_protobuf_next(&reader, &field)) {
        NX_AUTO(nx_buf) written;
        struct nx_protobuf_field again;
        nx_buf_init(&written, SIZE_MAX_WRITTEN);
        write_field(&written, &field);
        struct nx_reader second = nx_reader_of(nx_buf_str(&written));
        nx_assert(nx_protobuf_next(&second, &again));
        nx_assert(again.number == field.number && again.wire == field.wire && again.value == field.value);
        nx_assert(nx_str_equal(again.bytes, field.bytes));
        nx_assert(nx_reader_left(&second) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct nx_str bytes = nx_str_of(data, size);
    NX_AUTO(nx_buf) body;
    struct nx_http_client_answer answer;
    struct nx_url url;
    uint64_t count = 0;
    bool keeps;
    nx_buf_init(&body, SIZE_MAX_WRITTEN);
    check_fields(bytes);
    if (!nx_export_refused_count(bytes, &count)) {
        nx_assert(count == 0);
    }
    if (nx_http_answer_read(bytes, true, &answer, &body, &keeps) == NX_HTTP_ANSWER_WHOLE) {
        nx_assert(answer.status >= 200 && answer.status < 1000);
    }
    if (nx_url_parse(bytes, &url, NULL) == NX_OK) {
        nx_assert(url.host[0] != '\0' && url.port > 0 && url.target[0] == '/');
    }
    return 0;
}
