/* src/server/http/server.h: the HTTP face of a node: events in, events and invocations out.
 *
 *   socket -> parser -> connection -> route -> handler -> nx_append or nx_read -> (its answer) -> response
 *
 * One network loop a thread; each owns its connections and a mailbox. A handler that needs the log or the
 * functions sends them a message and returns; the response is written when the message comes back. Requests
 * of one connection are answered in their order, whatever order their answers come in. Network loops never
 * touch the disk and never run guests.
 *
 * There are no credentials yet, so only loopback addresses can be bound, and `Host` and `Origin` are checked:
 * no web page that a browser of this machine shows can post here. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/own.h"
#include "base/str.h"
#include "fabric/fabric.h"
#include "io/clock.h"
#include "io/mailbox.h"
#include "io/random.h"
#include "telemetry/metric.h"
#include "telemetry/span.h"

struct nx_registry;

enum { NX_HTTP_LOOPS_MAX = 64 };

struct nx_http_server_options {
    struct nx_fabric *fabric;     /* borrowed, as all pointers here, until nx_http_server_close() */
    struct nx_mailbox *functions; /* nx_functions_mailbox(); NULL: no functions, their routes answer 503 */
    struct nx_registry *registry; /* on.http paths are routed by it; a reference is taken; NULL: none */
    struct nx_metrics *metrics;   /* shown at /metrics, ours are added to it; NULL: none */
    struct nx_tracing *tracing;   /* NULL: no spans */
    struct nx_clock clock;
    struct nx_random random;
    const struct nx_log *log; /* may be NULL */
    struct nx_str project;    /* copied; events without a source get "/http/<project>" */
    struct nx_str host;       /* "127.0.0.1", "::1" or "localhost" */
    uint16_t port;            /* 0: any free one, see nx_http_server_port() */
    size_t loop_count;        /* 0: 1; at most NX_HTTP_LOOPS_MAX */
    size_t connections_max;   /* of one loop; 0: 4096. More are accepted and closed at once with 503 */
};

struct nx_http_server;

/** Bind, listen and start the loops; the fabric's and the functions' actors must be running already.
 * Ownership: the caller ends it by nx_http_server_stop() and nx_http_server_close().
 * Errors:    NX_PERMISSION_DENIED    the host is not a loopback address, or the port is privileged
 *            NX_ALREADY_EXISTS       the port is in use
 *            NX_INVALID_ARGUMENT     not an address
 *            NX_RESOURCE_EXHAUSTED   no memory, thread or descriptor */
NX_MUST_CHECK enum nx_status nx_http_server_open(const struct nx_http_server_options *options,
                                                 struct nx_http_server **server_out, struct nx_error *err);
/** The port that is bound. */
uint16_t nx_http_server_port(const struct nx_http_server *server);
/** Route on.http paths by this registry from now on. A reference is taken. Any one thread. */
NX_MUST_CHECK enum nx_status nx_http_server_set_registry(struct nx_http_server *server,
                                                         struct nx_registry *registry, struct nx_error *err);
/** Accept no more, answer what is under way with "Connection: close", then end the loops; after `grace_ns`
 * connections still open are cut. Blocks. Call it while the fabric still runs. NULL and twice allowed. */
void nx_http_server_stop(struct nx_http_server *server, int64_t grace_ns);
/** Free everything, answers that never came included: after the fabric's and the functions' actors were
 * stopped. Stops first where that was not done. NULL allowed. */
void nx_http_server_close(struct nx_http_server *server);

NX_DEFINE_AUTO(nx_http_server, nx_http_server_close)
