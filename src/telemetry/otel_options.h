/* src/telemetry/otel_options.h: the environment variables that OpenTelemetry defines, as far as they concern
 * spans.
 *
 *   OTEL_EXPORTER_OTLP_ENDPOINT (/v1/traces is put behind it), OTEL_EXPORTER_OTLP_TRACES_ENDPOINT (as it is)
 *   OTEL_EXPORTER_OTLP_HEADERS, _TIMEOUT, _PROTOCOL, _COMPRESSION, and each with TRACES_, which goes before
 *   OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_CERTIFICATE, _CLIENT_KEY, and each with TRACES_: files, for https
 *   OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG
 *   OTEL_BSP_SCHEDULE_DELAY, OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BSP_MAX_EXPORT_BATCH_SIZE
 *   OTEL_SDK_DISABLED=true, OTEL_TRACES_EXPORTER=none: nothing is exported
 *
 * A variable that is empty is not set. What is wrong in one is told as OpenTelemetry wants it: a warning, and
 * the default, never a server that does not start. Pure but for the getenv that it is given. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "io/http_client.h"
#include "telemetry/span.h"

enum {
    NX_OTEL_SCHEDULE_DELAY_MS = 1000, /* OpenTelemetry's SDKs: 5000 */
    NX_OTEL_QUEUE_SIZE = 65536,       /* spans; theirs: 2048 */
    NX_OTEL_BATCH_SIZE = 2048,        /* spans in one request; theirs: 512 */
    NX_OTEL_TIMEOUT_MS = 10 * 1000,
    NX_OTEL_ATTRIBUTES_MAX = 64,      /* of the resource */
    NX_OTEL_TEXT_SIZE_MAX = 16 * 1024 /* bytes of headers, of the resource, of warnings */
};

/* What https needs. */
enum nx_otel_file {
    NX_OTEL_AUTHORITIES, /* whose certificate of the collector is trusted; none: the system's */
    NX_OTEL_CLIENT_CERTIFICATE,
    NX_OTEL_CLIENT_KEY,
    NX_OTEL_FILE_COUNT,
};

struct nx_otel_options {
    bool is_on; /* an endpoint is named, and can be used */
    struct nx_url endpoint;
    struct nx_buf headers;                   /* "Name: value\r\n" each; owned */
    struct nx_buf resource;                  /* attributes as Resource.attributes fields; owned */
    struct nx_buf warnings;                  /* lines of text; owned */
    struct nx_buf files[NX_OTEL_FILE_COUNT]; /* their paths, ending in a zero byte; empty: none; owned */
    int timeout_ms;
    int64_t schedule_delay_ns;
    uint64_t queue_size;
    uint64_t batch_size;
    struct nx_sampler sampler;
};

/** Read the variables. `version` is ours, `instance` names this process among others of its service.
 * Ownership: the caller ends it by nx_otel_options_fini(), whatever is returned.
 * Errors:    NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_otel_options_read(const char *(*get)(const char *name), const char *version,
                                                  const char *instance, struct nx_otel_options *options_out,
                                                  struct nx_error *err);
/** The path of one of the files, NULL: none; borrowed. */
const char *nx_otel_options_file(const struct nx_otel_options *options, enum nx_otel_file file);
void nx_otel_options_fini(struct nx_otel_options *options);
