/* src/server/nats/server.h: the NATS face of a node: any NATS client connects, publishes and subscribes.
 *
 *   socket -> connection (bytes in, bytes out) -> hub -> connections -> sockets
 *
 * One network loop owns every connection, so that a message goes from its publisher to its subscribers
 * without changing threads. There are no credentials yet, so only loopback addresses can be bound. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/own.h"
#include "base/str.h"
#include "io/random.h"
#include "telemetry/metric.h"

struct nx_nats_server_options {
    struct nx_metrics *metrics; /* ours are added to it; borrowed for the server's life; NULL: none */
    struct nx_random random;
    struct nx_str name;     /* of the server, for INFO; copied */
    struct nx_str host;     /* "127.0.0.1", "::1" or "localhost"; borrowed for the call */
    uint16_t port;          /* 0: any free one, see nx_nats_server_port() */
    size_t connections_max; /* 0: 65,536. More are told so, and closed */
};

struct nx_nats_server;

/** Bind, listen and start the loop.
 * Ownership: the caller ends it by nx_nats_server_close().
 * Errors:    NX_PERMISSION_DENIED   the host is not a loopback address, or the port is privileged
 *            NX_ALREADY_EXISTS      the port is in use
 *            NX_INVALID_ARGUMENT    not an address
 *            NX_RESOURCE_EXHAUSTED  no memory, thread or descriptor */
NX_MUST_CHECK enum nx_status nx_nats_server_open(const struct nx_nats_server_options *options,
                                                 struct nx_nats_server **server_out, struct nx_error *err);
/** The port that is bound. */
uint16_t nx_nats_server_port(const struct nx_nats_server *server);
/** Accept no more, tell the clients, write what waits for them, and close. Blocks. NULL allowed. */
void nx_nats_server_close(struct nx_nats_server *server);

NX_DEFINE_AUTO(nx_nats_server, nx_nats_server_close)
