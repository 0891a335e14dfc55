/* src/server/nats/conn_stats.h: what there is to tell of connections, those that are open and those that
 * were.
 *
 * Owned by the loop of the hub. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "io/tls.h"

struct nx_nats_conn;
struct nx_nats_hub;

struct nx_nats_traffic {
    uint64_t messages_in; /* that the client published */
    uint64_t bytes_in;    /* of headers and payloads */
    uint64_t messages_out;
    uint64_t bytes_out;
};

/* All text is borrowed: from the connection, or from the hub's memory of those that were. */
struct nx_nats_conn_stats {
    uint64_t id;
    struct nx_str address;
    uint16_t port;
    int64_t start_ns;   /* wall clock, as the next two */
    int64_t active_ns;  /* when it last published, subscribed or was given a message */
    int64_t stop_ns;    /* 0: it is open */
    const char *reason; /* why it ended, in NATS's words; NULL: it is open */
    int64_t rtt_ns;     /* of the last ping, or of INFO; 0: not known */
    size_t pending_size;
    size_t subscription_count;
    struct nx_nats_traffic traffic;
    struct nx_str name; /* what the client says of itself, as the next two; may be empty */
    struct nx_str language;
    struct nx_str version;
    struct nx_str user; /* empty: of no name */
    struct nx_str account;
    struct nx_tls_facts tls; /* version NULL: there is none */
    bool is_tls_first;       /* it began before INFO */
};

struct nx_nats_subscription_stats {
    struct nx_str subject;
    struct nx_str queue; /* empty: none */
    struct nx_str sid;
    uint64_t delivered;
    uint64_t count_max; /* 0: none */
};

/* Connections that were, the oldest forgotten first. */
struct nx_nats_closed {
    struct nx_nats_conn_stats *entries; /* a ring; NULL until the first one ended */
    size_t count_max;                   /* 0: none is remembered */
    size_t count;
    size_t next;
};

/** Forget all of them. */
void nx_nats_closed_fini(struct nx_nats_closed *closed);
/** The one that ended so many before the last; NULL: there is none. */
const struct nx_nats_conn_stats *nx_nats_closed_at(const struct nx_nats_closed *closed, size_t before_last);

void nx_nats_conn_describe(const struct nx_nats_conn *conn, struct nx_nats_conn_stats *stats_out);
/** One that ends now. */
void nx_nats_conn_describe_ended(const struct nx_nats_conn *conn, struct nx_nats_conn_stats *stats_out);
/** As nx_tls_peer_certificate(). */
bool nx_nats_conn_certificate(const struct nx_nats_conn *conn, size_t index,
                              struct nx_tls_certificate *certificate_out);
/** The open connection behind this one, in the order of their ids; NULL in both places: the first, the end.
 */
const struct nx_nats_conn *nx_nats_hub_next_conn(const struct nx_nats_hub *hub,
                                                 const struct nx_nats_conn *conn);
/** The subscriptions of all of them. */
size_t nx_nats_hub_subscription_total(const struct nx_nats_hub *hub);
/** Those of the connection, in no order: start with *cursor = 0; false at the end. Nothing may be subscribed
 * meanwhile. */
bool nx_nats_conn_next_subscription(const struct nx_nats_conn *conn, size_t *cursor,
                                    struct nx_nats_subscription_stats *stats_out);

/* For conn.c: */
/** Copy a text to where there is room for it, and move on behind it. */
struct nx_str nx_nats_keep_text(char **at, struct nx_str text);
/** Keep what CONNECT says of the client. */
void nx_nats_conn_keep_about(struct nx_nats_conn *conn);
/** Remember a connection that is about to be closed. */
void nx_nats_closed_keep(struct nx_nats_conn *conn);
/** Why a connection ends, in the words of NATS's monitoring, by the error that the client is told; static
 * storage. */
const char *nx_nats_reason_of(const char *error);
