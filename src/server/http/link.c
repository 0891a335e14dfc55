/* src/server/http/link.c: see link.h. */
#include "server/http/link.h"

#include <stdlib.h>

#include "io/clock.h"

enum { TICK_MS = 1000 }; /* how often time-outs are looked at */

/* A connection on its socket. */
struct link {
    struct nx_list_node node;
    struct nx_list_node dirty_node;
    struct nx_http_links *links;
    struct nx_socket *socket;
    struct nx_http_conn *conn; /* NULL: only a refusal is sent */
    bool closing;              /* the socket may only say `closed` any more */
    bool paused;
};

static void set_now(struct nx_http_links *links) {
    links->shared->now = nx_loop_now(links->loop);
}

static void mark_dirty(struct link *link) {
    if (link->dirty_node.next == NULL) {
        nx_list_append(&link->links->dirty, &link->dirty_node);
    }
}

static void link_close(struct link *link) {
    if (!link->closing) {
        link->closing = true;
        nx_socket_close(link->socket);
    }
}

static bool write_output(struct link *link) {
    const struct nx_str output = nx_http_conn_output(link->conn);
    if (output.len == 0) {
        return true;
    }
    if (nx_socket_write(link->socket, &output, 1, NULL) != NX_OK) {
        return false;
    }
    nx_http_conn_wrote(link->conn, output.len);
    return true;
}

/* Write, close, pause: whatever became due on this link. */
static void link_flush(struct link *link) {
    if (link->closing || link->conn == NULL) {
        return;
    }
    bool ran = true;
    while (ran) {
        if (!write_output(link)) {
            link_close(link);
            return;
        }
        ran = nx_http_conn_run(link->conn);
    }
    nx_http_conn_settle(link->conn);
    if (nx_http_conn_is_broken(link->conn)) {
        link_close(link);
        return;
    }
    if (nx_http_conn_is_done(link->conn)) {
        link->closing = true;
        nx_socket_finish(link->socket);
        return;
    }
    const bool pause = !nx_http_conn_wants_input(link->conn);
    if (pause != link->paused) {
        link->paused = pause;
        if (pause) {
            nx_socket_pause(link->socket);
        } else {
            nx_socket_resume(link->socket);
        }
    }
}

static void link_read(void *data, struct nx_str bytes) {
    struct link *link = data;
    if (link->closing || link->conn == NULL) {
        return;
    }
    set_now(link->links);
    nx_http_conn_feed(link->conn, bytes);
    mark_dirty(link);
}

static void link_ended(void *data, const struct nx_error *err) {
    struct link *link = data;
    if (link->closing) {
        return;
    }
    if (err != NULL || link->conn == NULL) {
        link_close(link);
        return;
    }
    nx_http_conn_feed_end(link->conn);
    mark_dirty(link);
}

static void link_drained(void *data) {
    struct link *link = data;
    mark_dirty(link);
}

static void count(struct nx_http_links *links, uint64_t change) {
    if (links->count != NULL) {
        nx_counter_add(links->count, change);
    }
}

static void link_closed(void *data) {
    struct link *link = data;
    struct nx_http_links *links = link->links;
    nx_list_remove(&links->all, &link->node);
    nx_list_remove(&links->dirty, &link->dirty_node);
    nx_http_conn_close(link->conn);
    free(link);
    count(links, (uint64_t)-1);
    if (links->closed != NULL) {
        links->closed(links->data);
    }
}

static const struct nx_socket_handler link_handler = {
    .read = link_read, .ended = link_ended, .drained = link_drained, .closed = link_closed
};

static size_t link_unwritten(void *transport) {
    const struct link *link = transport;
    return nx_socket_pending(link->socket);
}

static void refuse_connection(struct link *link) {
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\n"
                               "Connection: close\r\n\r\n";
    const struct nx_str bytes = NX_STR(text);
    link->closing = true;
    if (nx_socket_write(link->socket, &bytes, 1, NULL) == NX_OK) {
        nx_socket_finish(link->socket);
    } else {
        nx_socket_close(link->socket);
    }
}

static void tick(void *data) {
    struct nx_http_links *links = data;
    set_now(links);
    for (struct nx_http_conn *conn; (conn = nx_http_shared_expire(links->shared)) != NULL;) {
        mark_dirty(nx_http_conn_transport(conn));
    }
    if (!nx_list_is_empty(&links->all)) {
        nx_timer_start(links->loop, &links->tick, TICK_MS);
    }
}

void nx_http_links_accept(void *data, struct nx_socket *socket) {
    struct nx_http_links *links = data;
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL || links->all.count >= 2 * links->count_max) {
        free(link);
        nx_socket_close(socket);
        return;
    }
    link->links = links;
    link->socket = socket;
    nx_list_append(&links->all, &link->node);
    count(links, 1);
    set_now(links);
    nx_socket_start(socket, &link_handler, link);
    if (links->all.count > links->count_max ||
        nx_http_conn_open(links->shared, link, &link->conn, NULL) != NX_OK) {
        refuse_connection(link);
        return;
    }
    if (!nx_timer_is_running(&links->tick)) {
        nx_timer_start(links->loop, &links->tick, TICK_MS);
    }
}

void nx_http_links_init(struct nx_http_links *links) {
    nx_list_init(&links->all);
    nx_list_init(&links->dirty);
    links->tick = (struct nx_timer){ .end = tick, .data = links };
    links->shared->unwritten = link_unwritten;
}

void nx_http_links_touch(struct nx_http_conn *conn) {
    mark_dirty(nx_http_conn_transport(conn));
}

void nx_http_links_flush(struct nx_http_links *links) {
    for (struct nx_list_node *node; (node = nx_list_take_first(&links->dirty)) != NULL;) {
        link_flush(nx_container_of(node, struct link, dirty_node));
    }
}

void nx_http_links_finish(struct nx_http_links *links) {
    for (struct nx_list_node *node = nx_list_first(&links->all); node != NULL;
         node = nx_list_next(&links->all, node)) {
        struct link *link = nx_container_of(node, struct link, node);
        if (link->conn != NULL) {
            nx_http_conn_interrupt(link->conn);
            nx_http_conn_finish(link->conn);
            mark_dirty(link);
        }
    }
}

void nx_http_links_cut(struct nx_http_links *links) {
    for (struct nx_list_node *node = nx_list_first(&links->all); node != NULL;
         node = nx_list_next(&links->all, node)) {
        struct link *link = nx_container_of(node, struct link, node);
        if (link->conn != NULL && !link->closing) {
            nx_http_conn_interrupt(link->conn);
            (void)write_output(link);
        }
        link_close(link);
    }
}
