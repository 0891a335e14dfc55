/* src/server/nats/pages.h: what the monitoring pages say, as pure functions of a hub. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "io/process.h"
#include "server/nats/monitor.h"

enum { NX_NATS_PAGES_MAX = 8 };

/* Beside the hub. */
struct nx_nats_pages {
    struct nx_nats_monitor_options options;
    uint16_t http_port;
    int64_t started_ns;                /* wall clock */
    struct nx_now now;                 /* set before each page, as the next */
    struct nx_process_usage usage;     /* set before each page */
    int64_t usage_ns;                  /* monotonic, of the usage before it */
    int64_t usage_cpu_ns;              /* and its CPU */
    bool is_counting;                  /* what is asked for */
    uint64_t asked[NX_NATS_PAGES_MAX]; /* by page */
};

/** Write the page of this path. `query` is what stands behind '?'. `*type_out` is its media type; static
 * storage.
 * Errors: NX_NOT_FOUND (no such page), NX_INVALID_ARGUMENT (a parameter; too-large: the page) */
NX_MUST_CHECK enum nx_status nx_nats_page_write(struct nx_nats_pages *pages, struct nx_str path,
                                                struct nx_str query, struct nx_buf *out,
                                                struct nx_str *type_out, struct nx_error *err);
/** Append a time as nats-server does: "3s", "2m5s", "1d2h3m4s". */
void nx_nats_uptime_append(struct nx_buf *out, int64_t ns);
/** Append a duration as Go writes it: "542µs", "1.204ms", "2.5s". */
void nx_nats_go_duration_append(struct nx_buf *out, int64_t ns);
