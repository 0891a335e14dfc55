/* src/server/nats/conn.h: NATS connections without their sockets: bytes in, bytes out, and messages from one
 * to the others.
 *
 * All connections of a loop share a hub: its router says who gets a message, which is put into the output of
 * each connection at once; the transport writes outputs at the end of its turn. So a message to many is
 * matched once, and messages of one turn to one connection go out in one write.
 *
 * Each connection belongs to an account once it is known whose it is; each account has a router of its own,
 * so that nothing passes from one to another.
 *
 * A client that does not read is cut off when hub->pending_size_max waits for it; what it has not read is
 * dropped, and nobody else waits for it. One owner: the loop's thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/counter.h"
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "base/own.h"
#include "base/str.h"
#include "codec/nats.h"
#include "fabric/router/router.h"
#include "io/clock.h"
#include "io/random.h"
#include "server/nats/access.h"
#include "server/nats/conn_stats.h"
#include "server/nats/connect.h"

enum {
    NX_NATS_OUTPUT_SIZE_MAX = 64 * 1024 * 1024, /* bytes that wait for a client: NATS's own default */
    NX_NATS_OUTPUT_SIZE_KEPT_MAX = 4 * 1024,    /* bytes of output memory that a quiet connection keeps */
    NX_NATS_OWN_PENDING_SIZE_MAX =
        1024 * 1024 * 1024,                   /* of the server's own client, in one turn of the loop */
    NX_NATS_SUBSCRIPTIONS_MAX = 1000000,      /* of one connection: the default */
    NX_NATS_PINGS_MAX = 2,                    /* unanswered: the default */
    NX_NATS_CERTIFICATE_SIZE_MAX = 64 * 1024, /* bytes of names */
};

struct nx_nats_conn;

enum nx_nats_verdict { NX_NATS_MATCHES, NX_NATS_DIFFERS, NX_NATS_COMPARED_LATER };

/* What the transport is told, and asked. */
struct nx_nats_transport {
    /* There is something to write, or the connection is done: see nx_nats_conn_output(). */
    void (*wants_flush)(void *transport);
    /* Bytes that the transport took and could not write yet. */
    size_t (*unwritten)(void *transport);
    /* Whether the client gave what the hash is of. As that takes long it may be told later, by
     * nx_nats_conn_compared(); meanwhile nothing is read. NULL: it is compared at once. */
    enum nx_nats_verdict (*compare)(void *transport, struct nx_str hash, struct nx_str given);
    /* As nx_tls_peer_certificate(). NULL: there is never one. */
    bool (*certificate)(const void *transport, size_t index, struct nx_tls_certificate *certificate_out);
};

struct nx_nats_counters {
    struct nx_counter messages_in;
    struct nx_counter messages_out;
    struct nx_counter bytes_in; /* of headers and payloads */
    struct nx_counter bytes_out;
    struct nx_counter slow_consumers; /* connections cut for it */
    struct nx_counter stale;          /* that did not answer pings */
    struct nx_counter refused;        /* connections whose credentials were wrong, or came too late */
    struct nx_counter violations;     /* of permissions */
};

struct nx_nats_hub {
    /* Set these before the first connection: */
    struct nx_nats_transport transport;
    struct nx_nats_info info; /* client_id, client_ip and nonce are each connection's */
    struct nx_random random;  /* of nonces */
    size_t control_line_size_max;
    size_t pending_size_max;
    size_t subscriptions_max;
    int64_t ping_interval_ns;
    unsigned pings_max;
    int64_t auth_timeout_ns;
    struct nx_nats_counters *counters;
    struct nx_now now;                   /* set by the transport before it calls anything here */
    struct nx_nats_system *system;       /* borrowed; NULL: there is none */
    struct nx_nats_jetstream *jetstream; /* borrowed; NULL: not served */
    /* conn.c's own: */
    struct nx_nats_access *access;
    struct nx_map accounts; /* those of which there are connections */
    struct nx_routes routes;
    struct nx_list conns;
    struct nx_nats_closed closed; /* count_max may be set before the first connection */
    uint64_t client_count;        /* ever */
    uint64_t subscription_count;  /* ever */
    uint64_t seed;
};

/** `seed` is random: foreign names are hashed with it. `access` is the hub's. */
void nx_nats_hub_init(struct nx_nats_hub *hub, uint64_t seed, struct nx_nats_access *access);
/** After every connection is closed. */
void nx_nats_hub_fini(struct nx_nats_hub *hub);
/** From now on this is who may do what. Connections whose user is gone, or has other credentials, end;
 * subscriptions that are no longer allowed do. `access` is the hub's. */
void nx_nats_hub_set_access(struct nx_nats_hub *hub, struct nx_nats_access *access);
/** Carry a message of the server's own to whoever listens in this account; all is borrowed for the call. */
void nx_nats_hub_publish(struct nx_nats_hub *hub, struct nx_str account, const struct nx_nats_op *message);
/** The same to whoever listens to `route`, whatever the message's own subject is. Returns to how many. */
size_t nx_nats_hub_deliver(struct nx_nats_hub *hub, struct nx_str account, struct nx_str route,
                           const struct nx_nats_op *message);
/** Whether anybody in this account listens. */
bool nx_nats_hub_listens(struct nx_nats_hub *hub, struct nx_str account, struct nx_str subject);
/** Ping those that were quiet for too long, end those that did not answer or not say who they are. Call it
 * about once a second. */
void nx_nats_hub_tick(struct nx_nats_hub *hub);
/** Tell every client that the server is about to stop. */
void nx_nats_hub_announce_stop(struct nx_nats_hub *hub);

/** A connection that has said nothing yet. `hub` is borrowed for its life, `peer` ("127.0.0.1:4711", or the
 * address alone) for the call;
 * `transport` is the transport's own. Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_nats_conn_open(struct nx_nats_hub *hub, void *transport, struct nx_str peer,
                                               struct nx_nats_conn **conn_out, struct nx_error *err);
/** A client of the server's own, of the account of those who name none, which may do everything, is never
 * pinged and not counted. Its owner feeds it operations, and reads what it is sent from its output, soon:
 * until then nobody is cut off for what waits there. Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_nats_conn_open_own(struct nx_nats_hub *hub, struct nx_nats_conn **conn_out,
                                                   struct nx_error *err);
/** Say INFO. */
void nx_nats_conn_greet(struct nx_nats_conn *conn);
/** From now on the client has time to say who it is. */
void nx_nats_conn_await(struct nx_nats_conn *conn);
/** The names that the client's certificate has, one a line, in the order in which they are tried; borrowed
 * for the call. Before it says who it is. */
void nx_nats_conn_set_certificate(struct nx_nats_conn *conn, struct nx_str names);
/** It is spoken over TLS, which began before INFO (`is_first`) or behind it. */
void nx_nats_conn_set_tls(struct nx_nats_conn *conn, struct nx_tls_facts facts, bool is_first);
/** Its subscriptions end. NULL allowed. */
void nx_nats_conn_close(struct nx_nats_conn *conn);
/** Bytes came; they are borrowed for the call. */
void nx_nats_conn_feed(struct nx_nats_conn *conn, struct nx_str bytes);
/** What waits to be written; the transport takes it all (nx_socket_write_buf()), then calls
 * nx_nats_conn_wrote(). */
struct nx_buf *nx_nats_conn_output(struct nx_nats_conn *conn);
void nx_nats_conn_wrote(struct nx_nats_conn *conn);
/** The answer to transport.compare: whether the client gave what `hash`, borrowed for the call, is of. */
void nx_nats_conn_compared(struct nx_nats_conn *conn, struct nx_str hash, bool matches);
/** It publishes to streams, of which too much is under way: it should not be read until that is over. Tells
 * it once. */
bool nx_nats_conn_must_wait(struct nx_nats_conn *conn);
/** It waits for that answer. */
bool nx_nats_conn_is_comparing(const struct nx_nats_conn *conn);
uint64_t nx_nats_conn_id(const struct nx_nats_conn *conn);
/** Nothing more will come of it: close it when its output is written. */
bool nx_nats_conn_is_done(const struct nx_nats_conn *conn);
/** End it as one that has taken nothing of what waits for it for too long: it cannot even be told. */
void nx_nats_conn_cut_stuck(struct nx_nats_conn *conn);
/** End it with this error of NATS's own, borrowed for the call. */
void nx_nats_conn_end(struct nx_nats_conn *conn, const char *error);
/** The subscriptions of an account; 0 when it has no connections. */
size_t nx_nats_hub_subscription_count(const struct nx_nats_hub *hub, struct nx_str account);
