/* src/telemetry/export.h: the actor that sends spans to a collector, by OTLP over HTTP (Protocol Buffers).
 *
 * It takes batches from its mailbox into a queue of at most queue_size spans; what comes beyond that is
 * dropped and counted, so that a collector that is slow or away costs memory within a limit, and nobody's
 * time. A request that may be repeated (429, 502, 503, 504, or no answer) is, after a growing wait or what
 * Retry-After says; one that the collector refuses is dropped and counted.
 *
 * It blocks while it waits for the collector, so it needs a thread for itself; it looks into its mailbox
 * meanwhile. Before the end it is told to stop: it then sends what is left, for NX_EXPORT_STOP_NS at most. */
#pragma once

#include "base/error.h"
#include "base/log.h"
#include "base/own.h"
#include "io/clock.h"
#include "io/random.h"
#include "io/thread.h"
#include "telemetry/metric.h"
#include "telemetry/otel_options.h"
#include "telemetry/span.h"

enum {
    NX_EXPORT_MAILBOX_COUNT = 1024,               /* batches on their way to it */
    NX_EXPORT_REQUEST_SIZE_MAX = 8 * 1024 * 1024, /* bytes of one request */
    NX_EXPORT_RETRY_MIN_MS = 1000,                /* the wait after the first failure; doubled from then on */
    NX_EXPORT_RETRY_MAX_MS = 30 * 1000,           /* up to this; the wait is between half of it and it */
    NX_EXPORT_RETRY_AFTER_MAX_MS = 5 * 60 * 1000, /* the most that Retry-After may ask for */
};
static const int64_t NX_EXPORT_STOP_NS = 2LL * NX_NS_PER_S;

enum { NX_EXPORT_STOP = NX_SPAN_MESSAGE_KIND + 1 }; /* a bare struct nx_message; answered when it is done */

struct nx_exporter_options {
    const struct nx_otel_options *otel; /* borrowed, as all pointers here, until nx_exporter_close() */
    struct nx_tls_context *tls;         /* of nx_export_load_tls() */
    struct nx_clock clock;
    struct nx_random random;
    const char *version;
    const struct nx_log *log;
    struct nx_metrics *metrics;
};

struct nx_exporter;

/** What https needs, from the files that the options name; NULL where the endpoint is http.
 * Ownership: the caller gives `*context_out` up. Errors: those of nx_tls_context_load() */
NX_MUST_CHECK enum nx_status nx_export_load_tls(const struct nx_otel_options *otel, struct nx_disk *disk,
                                                struct nx_tls_context **context_out, struct nx_error *err);
/** Ownership: the caller ends it by nx_exporter_close(), after its actor was stopped and every tracer is
 * gone. Errors:    NX_RESOURCE_EXHAUSTED  out of memory, or the metrics are full */
NX_MUST_CHECK enum nx_status nx_exporter_open(const struct nx_exporter_options *options,
                                              struct nx_exporter **exporter_out, struct nx_error *err);
void nx_exporter_close(struct nx_exporter *exporter); /* NULL allowed */
struct nx_actor nx_exporter_actor(struct nx_exporter *exporter);
struct nx_mailbox *nx_exporter_mailbox(struct nx_exporter *exporter);
/** For tracers; lives as long as the exporter. */
struct nx_tracing *nx_exporter_tracing(struct nx_exporter *exporter);

/** The number of spans that an answer of a collector says it has refused. False: it is no such answer. */
NX_MUST_CHECK bool nx_export_refused_count(struct nx_str answer, uint64_t *count_out);

NX_DEFINE_AUTO(nx_exporter, nx_exporter_close)
