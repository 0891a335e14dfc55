#include "telemetry/span.h"

#include <stdlib.h>

#include "base/assert.h"
#include "codec/protobuf.h"

/* Field numbers of opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto. */
enum {
    SCOPE_SPANS_SPANS = 2,
    SPAN_TRACE_ID = 1,
    SPAN_SPAN_ID = 2,
    SPAN_TRACE_STATE = 3,
    SPAN_PARENT_ID = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START = 7,
    SPAN_END = 8,
    SPAN_ATTRIBUTES = 9,
    SPAN_LINKS = 13,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16,
    LINK_TRACE_ID = 1,
    LINK_SPAN_ID = 2,
    STATUS_MESSAGE = 2,
    STATUS_CODE = 3,
    STATUS_CODE_ERROR = 2,
    KEY_VALUE_KEY = 1,
    KEY_VALUE_VALUE = 2,
    VALUE_STRING = 1,
    VALUE_INT = 3,
};

/* What a receiver takes of foreign bytes. */
static struct nx_str clean(struct nx_str text) {
    const struct nx_str cut = nx_str_slice(text, 0, NX_SPAN_TEXT_SIZE_MAX);
    return nx_str_slice(cut, 0, nx_str_utf8_prefix(cut));
}

void nx_span_attribute_write(struct nx_buf *out, uint32_t field, const struct nx_span_attribute *attribute) {
    const size_t pair = nx_protobuf_begin(out, field);
    nx_protobuf_bytes(out, KEY_VALUE_KEY, nx_str_from_c(attribute->key));
    const size_t value = nx_protobuf_begin(out, KEY_VALUE_VALUE);
    if (attribute->is_number) {
        nx_protobuf_varint(out, VALUE_INT, (uint64_t)attribute->number);
    } else {
        nx_protobuf_bytes(out, VALUE_STRING, clean(attribute->text));
    }
    nx_protobuf_end(out, value);
    nx_protobuf_end(out, pair);
}

static struct nx_str id_bytes(const uint8_t *id, size_t size) {
    return nx_str_of(id, size);
}

static void write_link(struct nx_buf *out, const struct nx_traceparent *link) {
    const size_t begun = nx_protobuf_begin(out, SPAN_LINKS);
    nx_protobuf_bytes(out, LINK_TRACE_ID, id_bytes(link->trace_id, sizeof link->trace_id));
    nx_protobuf_bytes(out, LINK_SPAN_ID, id_bytes(link->span_id, sizeof link->span_id));
    nx_protobuf_end(out, begun);
}

static void write_status(struct nx_buf *out, struct nx_str message) {
    const size_t begun = nx_protobuf_begin(out, SPAN_STATUS);
    nx_protobuf_bytes(out, STATUS_MESSAGE, clean(message));
    nx_protobuf_varint(out, STATUS_CODE, STATUS_CODE_ERROR);
    nx_protobuf_end(out, begun);
}

static void write_span(struct nx_buf *out, const struct nx_span *span) {
    static const uint8_t none[NX_SPAN_ID_SIZE];
    const size_t begun = nx_protobuf_begin(out, SCOPE_SPANS_SPANS);
    nx_protobuf_bytes(out, SPAN_TRACE_ID, id_bytes(span->trace.trace_id, NX_TRACE_ID_SIZE));
    nx_protobuf_bytes(out, SPAN_SPAN_ID, id_bytes(span->trace.span_id, NX_SPAN_ID_SIZE));
    if (span->tracestate.len > 0 && span->tracestate.len <= NX_SPAN_TEXT_SIZE_MAX) {
        nx_protobuf_bytes(out, SPAN_TRACE_STATE, clean(span->tracestate));
    }
    if (memcmp(span->parent_id, none, sizeof none) != 0) {
        nx_protobuf_bytes(out, SPAN_PARENT_ID, id_bytes(span->parent_id, NX_SPAN_ID_SIZE));
    }
    const size_t name = nx_protobuf_begin(out, SPAN_NAME);
    nx_buf_append_c(out, span->verb);
    if (span->noun.len > 0) {
        nx_buf_append_u8(out, ' ');
        nx_buf_append(out, clean(span->noun));
    }
    nx_protobuf_end(out, name);
    nx_protobuf_varint(out, SPAN_KIND, span->kind);
    nx_protobuf_fixed64(out, SPAN_START, (uint64_t)span->start_ns);
    /* Clocks may step back between two readings. */
    nx_protobuf_fixed64(out, SPAN_END,
                        (uint64_t)(span->end_ns < span->start_ns ? span->start_ns : span->end_ns));
    for (size_t i = 0; i < span->attribute_count; i++) {
        if (span->attributes[i].is_number || span->attributes[i].text.len > 0) {
            nx_span_attribute_write(out, SPAN_ATTRIBUTES, &span->attributes[i]);
        }
    }
    if (span->link != NULL) {
        write_link(out, span->link);
    }
    if (span->has_failed) {
        write_status(out, span->message);
    }
    nx_protobuf_fixed32(out, SPAN_FLAGS, span->trace.flags);
    nx_protobuf_end(out, begun);
}

static void batch_release(struct nx_message *message) {
    struct nx_span_batch *batch = (struct nx_span_batch *)(void *)message;
    nx_buf_fini(&batch->bytes);
    free(batch);
}

static struct nx_span_batch *batch_new(void) {
    struct nx_span_batch *batch = calloc(1, sizeof *batch);
    if (batch != NULL) {
        batch->message = (struct nx_message){ .kind = NX_SPAN_MESSAGE_KIND, .release = batch_release };
        nx_buf_init(&batch->bytes, NX_SPAN_BATCH_SIZE_MAX);
    }
    return batch;
}

/* W3C's consistent sampling: the random part of a trace id is its end. */
static bool is_below(const struct nx_sampler *sampler, const struct nx_traceparent *trace) {
    uint64_t value = 0;
    for (size_t i = NX_TRACE_ID_SIZE / 2; i < NX_TRACE_ID_SIZE; i++) {
        value = value << 8 | trace->trace_id[i];
    }
    return (value & INT64_MAX) < sampler->below;
}

void nx_tracer_sample(const struct nx_tracer *tracer, struct nx_traceparent *trace, bool has_parent) {
    if (tracer->tracing == NULL) {
        return;
    }
    const struct nx_sampler *sampler = &tracer->tracing->sampler;
    if (has_parent && sampler->asks_parent) {
        return;
    }
    const bool is_wanted = sampler->sampling == NX_SAMPLE_ALL ||
                           (sampler->sampling == NX_SAMPLE_PART && is_below(sampler, trace));
    trace->flags = (uint8_t)((trace->flags & ~NX_TRACE_SAMPLED) | (is_wanted ? NX_TRACE_SAMPLED : 0));
}

void nx_tracer_add(struct nx_tracer *tracer, const struct nx_span *span) {
    if (!nx_tracer_wants(tracer, &span->trace)) {
        return;
    }
    if (tracer->batch == NULL) {
        tracer->batch = batch_new();
    }
    if (tracer->batch == NULL) {
        nx_counter_add(tracer->tracing->dropped, 1);
        return;
    }
    write_span(&tracer->batch->bytes, span);
    tracer->batch->count++;
    if (tracer->batch->bytes.len > NX_SPAN_BATCH_SIZE || nx_buf_failed(&tracer->batch->bytes)) {
        nx_tracer_flush(tracer);
    }
}

void nx_tracer_flush(struct nx_tracer *tracer) {
    if (tracer->batch == NULL) {
        return;
    }
    struct nx_span_batch *batch = NX_TAKE(tracer->batch);
    if (nx_buf_failed(&batch->bytes) || !nx_mailbox_send(tracer->tracing->exporter, &batch->message)) {
        nx_counter_add(tracer->tracing->dropped, batch->count);
        nx_message_release(&batch->message);
    }
}

void nx_tracer_fini(struct nx_tracer *tracer) {
    nx_message_release(tracer->batch == NULL ? NULL : &tracer->batch->message);
    tracer->batch = NULL;
}
