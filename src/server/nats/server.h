/* src/server/nats/server.h: the NATS face of a node: any NATS client connects, publishes and subscribes.
 *
 *   socket -> connection (bytes in, bytes out) -> hub -> connections -> sockets
 *
 * One network loop owns every connection, so that a message goes from its publisher to its subscribers
 * without changing threads. Only loopback addresses can be bound unless clients need credentials. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/own.h"
#include "base/str.h"
#include "io/mailbox.h"
#include "io/random.h"
#include "server/nats/options.h"
#include "telemetry/metric.h"

struct nx_registry;

struct nx_nats_server_options {
    struct nx_metrics *metrics; /* ours are added to it; borrowed for the server's life; NULL: none */
    struct nx_random random;
    struct nx_mailbox *appends; /* the log's, for events and JetStream; NULL: none is served */
    struct nx_mailbox *reads;
    struct nx_str project;        /* whose events clients publish; copied; empty: there are no events */
    struct nx_registry *registry; /* of the project; taken by reference; NULL: none */
    struct nx_mailbox *functions; /* dispatch's; NULL: no functions run here */
    const struct nx_log *log;
    const struct nx_nats_options *nats; /* what a person says; borrowed for the call */
};

struct nx_nats_server;

/** Bind, listen and start the loop.
 * Ownership: the caller ends it by nx_nats_server_close().
 * Errors:    NX_PERMISSION_DENIED   the host is not a loopback address and nobody is asked for credentials,
 * or the port is privileged NX_ALREADY_EXISTS      the port is in use NX_INVALID_ARGUMENT    not an address,
 * or options that cannot be NX_RESOURCE_EXHAUSTED  no memory, thread or descriptor */
NX_MUST_CHECK enum nx_status nx_nats_server_open(const struct nx_nats_server_options *options,
                                                 struct nx_nats_server **server_out, struct nx_error *err);
/** From now on these users, accounts and permissions; all else stays as it was opened. Connections of users
 * that are gone or have other credentials end, and subscriptions that are no longer allowed.
 * Errors: as nx_nats_server_open(), and NX_RESOURCE_EXHAUSTED while earlier reloads are under way; nothing
 *         was changed */
NX_MUST_CHECK enum nx_status nx_nats_server_reload(struct nx_nats_server *server,
                                                   const struct nx_nats_options *options,
                                                   struct nx_error *err);
/** From now on the project's functions are these, and its rules for whom events are about.
 * Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_nats_server_set_registry(struct nx_nats_server *server,
                                                         struct nx_registry *registry, struct nx_error *err);
/** Accept no more, tell the clients to go elsewhere, and after the grace close their connections one after
 * the other until the lame duck's time is over; nx_nats_server_is_left() says when. False when that cannot
 * even be asked. */
bool nx_nats_server_lame_duck(struct nx_nats_server *server);
/** A lame duck without connections: it can be closed. */
bool nx_nats_server_is_left(const struct nx_nats_server *server);
/** The port that is bound. */
uint16_t nx_nats_server_port(const struct nx_nats_server *server);
/** The port of monitoring; 0: it is not served. */
uint16_t nx_nats_server_http_port(const struct nx_nats_server *server);
/** Accept no more, tell the clients and whoever waits for a function, and write what waits for them. Returns
 * at once; functions may still be asked until they have stopped. NULL allowed. */
void nx_nats_server_stop(struct nx_nats_server *server);
/** nx_nats_server_stop(), and close when all is done. Blocks. NULL allowed. */
void nx_nats_server_close(struct nx_nats_server *server);

NX_DEFINE_AUTO(nx_nats_server, nx_nats_server_close)
