/* src/server/nats/link.h: NATS connections on their sockets, with or without TLS.
 *
 *   plain:            INFO, then what either side says
 *   TLS:              INFO, handshake, then what either side says
 *   handshake first:  handshake, INFO, …; with a fallback: a client that says nothing gets INFO after a while
 *   client's choice:  INFO, then TLS when the first byte is that of a handshake
 *
 * What a connection has to say before the handshake is done waits for it. One owner: the loop's thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/list.h"
#include "io/loop.h"
#include "io/socket.h"
#include "io/tls.h"
#include "server/nats/comparer.h"
#include "server/nats/conn.h"
#include "server/nats/known.h"

/* What TLS a server has. */
struct nx_nats_security {
    struct nx_tls_context *context; /* NULL: none */
    bool handshake_first;
    int64_t fallback_ms; /* 0: none */
    bool allow_plain;    /* clients choose */
    int64_t timeout_ms;  /* of the handshake */
};

struct nx_nats_link;

/* The links of a server. */
struct nx_nats_links {
    /* Set these before the first one: */
    struct nx_loop *loop;
    struct nx_nats_hub *hub; /* its `transport` is nx_nats_link_transport */
    struct nx_nats_security security;
    size_t count_max;
    int64_t write_deadline_ns;  /* who takes nothing of what waits for it for so long is cut */
    uint32_t compared_kind;     /* of the messages that nx_nats_links_take_comparison() takes */
    void (*closed)(void *data); /* one is gone */
    void *data;
    /* link.c's own: */
    struct nx_list all;
    struct nx_list dirty;              /* those that have something to write, or to close */
    struct nx_list waiting;            /* those that are not read, as too much is under way to the log */
    struct nx_counter count;           /* for other threads */
    struct nx_counter broken;          /* handshakes that failed */
    struct nx_nats_comparer *comparer; /* from the first password on that has a hash */
    struct nx_nats_known known;        /* passwords that it found right */
    struct nx_buf plain;               /* what one read of TLS gave */
};

extern const struct nx_nats_transport nx_nats_link_transport;

/** Once `hub`, with its `random`, is set. */
void nx_nats_links_init(struct nx_nats_links *links);
/** After the loop has run for the last time, and before its mailbox is closed. */
void nx_nats_links_fini(struct nx_nats_links *links);
/** A connection came. */
void nx_nats_link_accept(struct nx_nats_links *links, struct nx_socket *socket);
/** Write what the connections have to say. At the end of every turn. */
void nx_nats_links_flush(struct nx_nats_links *links);
/** The log has caught up: read those that wait for it. */
void nx_nats_links_resume(struct nx_nats_links *links);
/** Cut those who do not read. About once a second. */
void nx_nats_links_tick(struct nx_nats_links *links);
/** Write what waits, and close all; or so many of them. */
void nx_nats_links_finish(struct nx_nats_links *links, size_t count);
/** The comparer has answered; the message stays the caller's. */
void nx_nats_links_take_comparison(struct nx_nats_links *links, const struct nx_nats_comparison *comparison);
/** From now on new connections have this context, which is taken. */
void nx_nats_links_set_context(struct nx_nats_links *links, struct nx_tls_context *context);
