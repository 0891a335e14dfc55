/* src/telemetry/span.h: what took how long, and because of what: spans, from where they end to the exporter.
 *
 * A span is written in OTLP's form (Protocol Buffers, opentelemetry-proto 1.x) where it ends, into a batch
 * that its actor's tracer keeps; at the end of the actor's step the batch goes to the exporter as one
 * message. Neither ever waits: a batch for which there is no memory or no room is dropped and its spans are
 * counted.
 *
 * Threads: struct nx_tracing may be used by any, a tracer belongs to one actor. Where no collector is
 * configured there is no struct nx_tracing, a tracer is zeroed, and a span costs one comparison. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/counter.h"
#include "base/str.h"
#include "codec/traceparent.h"
#include "io/mailbox.h"

enum {
    NX_SPAN_TEXT_SIZE_MAX = 1024,         /* bytes of a name or a value; longer ones are cut */
    NX_SPAN_BATCH_SIZE = 64 * 1024,       /* bytes; a fuller batch is sent at once */
    NX_SPAN_BATCH_SIZE_MAX = 1024 * 1024, /* bytes of one batch */
    NX_SPAN_MESSAGE_KIND = 0x500,         /* struct nx_span_batch, to the exporter */
};

/* OTLP's numbers. */
enum nx_span_kind {
    NX_SPAN_INTERNAL = 1,
    NX_SPAN_SERVER = 2,
    NX_SPAN_CLIENT = 3,
    NX_SPAN_PRODUCER = 4,
    NX_SPAN_CONSUMER = 5,
};

struct nx_span_attribute {
    const char *key; /* OpenTelemetry's semantic conventions name it, or it begins with "nexus." */
    struct nx_str text;
    int64_t number;
    bool is_number;
};
#define NX_SPAN_STR(name, value) ((struct nx_span_attribute){ .key = (name), .text = (value) })
#define NX_SPAN_C(name, value) NX_SPAN_STR(name, nx_str_from_c(value))
#define NX_SPAN_I64(name, value) \
    ((struct nx_span_attribute){ .key = (name), .number = (int64_t)(value), .is_number = true })

struct nx_span {
    const char *verb;   /* the name is this, */
    struct nx_str noun; /* a space, and this */
    enum nx_span_kind kind;
    struct nx_traceparent trace;        /* its own ids */
    uint8_t parent_id[NX_SPAN_ID_SIZE]; /* all zero: the first of its trace */
    struct nx_str tracestate;
    int64_t start_ns; /* wall */
    int64_t end_ns;
    const struct nx_span_attribute *attributes; /* those with an empty text are left out */
    size_t attribute_count;
    bool has_failed;
    struct nx_str message;             /* why */
    const struct nx_traceparent *link; /* another trace's span that this one comes of; NULL: none */
};

enum nx_sampling { NX_SAMPLE_ALL, NX_SAMPLE_NONE, NX_SAMPLE_PART };

/* Which traces are recorded. */
struct nx_sampler {
    enum nx_sampling sampling;
    bool asks_parent; /* what the caller decided holds; `sampling` is for traces that begin here */
    uint64_t below;   /* part: those whose id's last eight bytes, big-endian, without the top bit, are less */
};

/* One a node, while it exports. */
struct nx_tracing {
    struct nx_mailbox *exporter;
    struct nx_sampler sampler;
    struct nx_counter *dropped; /* spans that found no room; the exporter's metric */
};

/* A batch on its way. `bytes` are ScopeSpans.spans fields. */
struct nx_span_batch {
    struct nx_message message; /* first; kind NX_SPAN_MESSAGE_KIND; no answer */
    struct nx_buf bytes;
    size_t count;
};

struct nx_tracer {
    struct nx_tracing *tracing; /* borrowed; NULL: nothing is recorded */
    struct nx_span_batch *batch;
};

/** True when spans of this trace are wanted. */
static inline bool nx_tracer_wants(const struct nx_tracer *tracer, const struct nx_traceparent *trace) {
    return tracer->tracing != NULL && (trace->flags & NX_TRACE_SAMPLED) != 0;
}
/** Decide for a trace that came from a caller, or began here: sets or clears its flag. Does nothing where
 * nothing is exported. */
void nx_tracer_sample(const struct nx_tracer *tracer, struct nx_traceparent *trace, bool has_parent);
/** Record a span that has ended; nothing happens unless nx_tracer_wants() its trace. Everything is copied.
 * Text that is no UTF-8 is cut where it ceases to be. */
void nx_tracer_add(struct nx_tracer *tracer, const struct nx_span *span);
/** Send what was recorded: at the end of each step of the actor. */
void nx_tracer_flush(struct nx_tracer *tracer);
void nx_tracer_fini(struct nx_tracer *tracer); /* sends nothing */

/** Append "field: attribute" as OTLP's KeyValue; for resources. */
void nx_span_attribute_write(struct nx_buf *out, uint32_t field, const struct nx_span_attribute *attribute);
