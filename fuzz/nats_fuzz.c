/* fuzz/nats_fuzz.c: bytes of a client or a server are read within their length; what is read as an operation
 * is not complete one byte earlier, and is read back the same when it was written. */
#include "base/assert.h"
#include "codec/nats.h"
#include "fuzz.h"

enum { LINE_SIZE_MAX = 256, PAYLOAD_SIZE_MAX = 1024 };

static void check_operation(struct nx_str bytes, const struct nx_nats_limits *limits,
                            const struct nx_nats_op *op) {
    NX_AUTO(nx_buf) out;
    struct nx_nats_op ignored;
    struct nx_nats_op again;
    struct nx_nats_headers headers;
    size_t size = 0;
    nx_buf_init(&out, 8 * (LINE_SIZE_MAX + PAYLOAD_SIZE_MAX));
    nx_assert(nx_nats_parse(nx_str_slice(bytes, 0, bytes.len - 1), limits, &ignored, &size, NULL) ==
              NX_NATS_PARSE_MORE);
    nx_assert(size <= bytes.len);
    nx_nats_append(&out, op);
    /* A line may have got longer: -ERR is written with quotes. */
    const struct nx_nats_limits wider = { limits->peer, 2 * LINE_SIZE_MAX, PAYLOAD_SIZE_MAX };
    nx_assert(nx_nats_parse(nx_buf_str(&out), &wider, &again, &size, NULL) == NX_NATS_PARSE_DONE);
    nx_assert(size == out.len && again.verb == op->verb && again.count_max == op->count_max);
    nx_assert(nx_str_equal(again.subject, op->subject) && nx_str_equal(again.reply, op->reply));
    nx_assert(nx_str_equal(again.queue, op->queue) && nx_str_equal(again.sid, op->sid));
    nx_assert(nx_str_equal(again.text, op->text));
    nx_assert(nx_str_equal(again.headers, op->headers) && nx_str_equal(again.payload, op->payload));
    (void)nx_nats_headers_split(op->headers, &headers);
}

static void read_all(struct nx_str bytes, enum nx_nats_peer peer) {
    const struct nx_nats_limits limits = { peer, LINE_SIZE_MAX, PAYLOAD_SIZE_MAX };
    struct nx_nats_op op;
    size_t size = 0;
    while (nx_nats_parse(bytes, &limits, &op, &size, NULL) == NX_NATS_PARSE_DONE) {
        nx_assert(size > 0 && size <= bytes.len);
        check_operation(nx_str_slice(bytes, 0, size), &limits, &op);
        bytes = nx_str_slice(bytes, size, bytes.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_all(nx_str_of(data, size), NX_NATS_CLIENT);
    read_all(nx_str_of(data, size), NX_NATS_SERVER);
    return 0;
}
