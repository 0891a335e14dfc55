/* src/server/nats/monitor.h: the monitoring pages of a NATS server, over HTTP: /varz /connz /subsz /jsz
 * /healthz.
 *
 * They live on the loop of the connections that they show, so that they look at them without asking. One page
 * is bounded in size (NX_NATS_PAGE_SIZE_MAX) and connections in number; /connz of the
 * usual 1,024 connections takes the loop a few milliseconds, the other pages less than one. Names and kinds
 * of members are nats-server's.
 *
 * They show who is connected to whoever asks, so they are bound to loopback only, and what comes by another
 * name than the machine's own is refused, as by our other HTTP. Threads: the loop's owner. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "io/loop.h"
#include "server/nats/conn.h"

enum {
    NX_NATS_PAGE_SIZE_MAX = 8 * 1024 * 1024, /* bytes of one answer */
    NX_NATS_MONITOR_CONNECTIONS_MAX = 64,
    NX_NATS_CLOSED_MAX = 1000, /* connections that were, and are shown */
};

/* What is the same for the server's life; texts are borrowed for that long. */
struct nx_nats_monitor_options {
    const struct nx_nats_hub *hub;
    size_t connections_max;
    int64_t write_deadline_ns; /* 0: none */
    struct nx_str system_account;
    struct nx_str host; /* copied */
    uint16_t port;      /* 0: any free one */
};

struct nx_nats_monitor;

/** Ownership: the caller closes it after the loop; options->hub outlives it.
 * Errors:    NX_PERMISSION_DENIED (not a loopback address), NX_ALREADY_EXISTS (the port is in use),
 *            NX_INVALID_ARGUMENT, NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_nats_monitor_open(struct nx_loop *loop,
                                                  const struct nx_nats_monitor_options *options,
                                                  struct nx_nats_monitor **monitor_out, struct nx_error *err);
uint16_t nx_nats_monitor_port(const struct nx_nats_monitor *monitor);
/** Write the answers. At the end of every turn. NULL allowed. */
void nx_nats_monitor_flush(struct nx_nats_monitor *monitor);
/** Accept no more and end what is open. NULL allowed. */
void nx_nats_monitor_stop(struct nx_nats_monitor *monitor);
/** After the loop was closed. NULL allowed. */
void nx_nats_monitor_free(struct nx_nats_monitor *monitor);
