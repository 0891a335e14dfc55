/* src/server/http/link.h: HTTP connections on their sockets. What a connection has to say, or what else
 * became due on it, is done at the end of the loop's turn: nx_http_links_flush(). One owner: the loop's
 * thread. */
#pragma once

#include <stddef.h>

#include "base/counter.h"
#include "base/list.h"
#include "io/loop.h"
#include "io/socket.h"
#include "server/http/conn.h"

/* The connections of one loop. */
struct nx_http_links {
    /* Set these before the first one: */
    struct nx_loop *loop;
    struct nx_http_shared *shared;
    size_t count_max;           /* more are told 503, from twice as many on they are closed at once */
    struct nx_counter *count;   /* for other threads; NULL: not counted */
    void (*closed)(void *data); /* one is gone; NULL: nobody waits for that */
    void *data;
    /* link.c's own: */
    struct nx_list all;
    struct nx_list dirty; /* those that may have something to write, or to close */
    struct nx_timer tick; /* looks at time-outs, while there are connections */
};

/** Sets `shared->unwritten` too. */
void nx_http_links_init(struct nx_http_links *links);
/** A listener's `accepted`; `data` are the links. */
void nx_http_links_accept(void *data, struct nx_socket *socket);
/** Something was answered on this connection. */
void nx_http_links_touch(struct nx_http_conn *conn);
/** Write, close, pause: whatever became due. */
void nx_http_links_flush(struct nx_http_links *links);
/** Let each connection end with the answers that it still owes. */
void nx_http_links_finish(struct nx_http_links *links);
/** Close all of them at once; who waits is told, as far as its socket takes that. */
void nx_http_links_cut(struct nx_http_links *links);
