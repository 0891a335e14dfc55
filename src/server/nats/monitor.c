/* src/server/nats/monitor.c: see monitor.h. HTTP connections on the loop of the NATS ones; each request is
 * answered at once. */
#include "server/nats/monitor.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "io/socket.h"
#include "server/http/conn.h"
#include "server/http/guard.h"
#include "server/nats/pages.h"

enum { TICK_MS = 1000, HOST_SIZE_MAX = 64 };

struct nx_nats_monitor {
    struct nx_http_shared shared;
    struct nx_nats_pages pages;
    struct nx_loop *loop;
    struct nx_listener *listener;
    struct nx_list links;
    struct nx_timer tick;
    char host[HOST_SIZE_MAX];
};

/* A connection on its socket. */
struct link {
    struct nx_list_node node;
    struct nx_nats_monitor *monitor;
    struct nx_socket *socket;
    struct nx_http_conn *conn;
    bool closing; /* the socket may only say `closed` any more */
};

static void link_close(struct link *link) {
    if (!link->closing) {
        link->closing = true;
        nx_socket_close(link->socket);
    }
}

/* Write, close: whatever became due. */
static void link_flush(struct link *link) {
    bool ran = true;
    while (ran && !link->closing) {
        const struct nx_str output = nx_http_conn_output(link->conn);
        if (output.len > 0 && nx_socket_write(link->socket, &output, 1, NULL) != NX_OK) {
            link_close(link);
            return;
        }
        nx_http_conn_wrote(link->conn, output.len);
        ran = nx_http_conn_run(link->conn);
    }
    if (link->closing) {
        return;
    }
    nx_http_conn_settle(link->conn);
    if (nx_http_conn_is_broken(link->conn)) {
        link_close(link);
    } else if (nx_http_conn_is_done(link->conn)) {
        link->closing = true;
        nx_socket_finish(link->socket);
    } else if (nx_http_conn_wants_input(link->conn)) {
        nx_socket_resume(link->socket);
    } else {
        nx_socket_pause(link->socket);
    }
}

static void set_now(struct nx_nats_monitor *monitor) {
    monitor->shared.now = nx_loop_now(monitor->loop);
}

static void link_read(void *data, struct nx_str bytes) {
    struct link *link = data;
    if (!link->closing) {
        set_now(link->monitor);
        nx_http_conn_feed(link->conn, bytes);
        link_flush(link);
    }
}

static void link_ended(void *data, const struct nx_error *err) {
    struct link *link = data;
    if (link->closing) {
        return;
    }
    if (err != NULL) {
        link_close(link);
        return;
    }
    nx_http_conn_feed_end(link->conn);
    link_flush(link);
}

static void link_drained(void *data) {
    struct link *link = data;
    if (!link->closing) {
        set_now(link->monitor);
        link_flush(link);
    }
}

static void link_closed(void *data) {
    struct link *link = data;
    nx_list_remove(&link->monitor->links, &link->node);
    nx_http_conn_close(link->conn);
    free(link);
}

static const struct nx_socket_handler link_handler = {
    .read = link_read, .ended = link_ended, .drained = link_drained, .closed = link_closed
};

static size_t unwritten(void *transport) {
    const struct link *link = transport;
    return nx_socket_pending(link->socket);
}

static void tick(void *data) {
    struct nx_nats_monitor *monitor = data;
    struct nx_http_conn *conn;
    set_now(monitor);
    while ((conn = nx_http_shared_expire(&monitor->shared)) != NULL) {
        link_flush(nx_http_conn_transport(conn));
    }
    if (!nx_list_is_empty(&monitor->links)) {
        nx_timer_start(monitor->loop, &monitor->tick, TICK_MS);
    }
}

static void accepted(void *data, struct nx_socket *socket) {
    struct nx_nats_monitor *monitor = data;
    struct link *link =
        monitor->links.count >= NX_NATS_MONITOR_CONNECTIONS_MAX ? NULL : calloc(1, sizeof *link);
    set_now(monitor);
    if (link == NULL || nx_http_conn_open(&monitor->shared, link, &link->conn, NULL) != NX_OK) {
        free(link);
        nx_socket_close(socket);
        return;
    }
    link->monitor = monitor;
    link->socket = socket;
    nx_list_append(&monitor->links, &link->node);
    nx_socket_start(socket, &link_handler, link);
    nx_http_conn_settle(link->conn);
    if (!nx_timer_is_running(&monitor->tick)) {
        nx_timer_start(monitor->loop, &monitor->tick, TICK_MS);
    }
}

/* Requests */

static enum nx_status admit(void *data, const struct nx_http_request *request, struct nx_error *err) {
    (void)data;
    return nx_http_guard_check(request, err);
}

static void handle(void *data, struct nx_http_exchange *exchange, const struct nx_http_request *request) {
    struct nx_nats_monitor *monitor = data;
    struct nx_error err = { 0 };
    struct nx_http_response response = { .status = 200, .headers = NX_STR_EMPTY };
    NX_AUTO(nx_buf) body = { 0 };
    nx_buf_init(&body, NX_NATS_PAGE_SIZE_MAX);
    if (request->method != NX_HTTP_GET && request->method != NX_HTTP_HEAD) {
        (void)nx_fail_kind(&err, NX_KIND_METHOD_NOT_ALLOWED, "monitoring pages are read: GET or HEAD");
        nx_http_respond_error(exchange, &err, NX_STR("Allow: GET, HEAD\r\n"));
        return;
    }
    monitor->pages.now = monitor->shared.now;
    nx_process_usage_read(&monitor->pages.usage);
    if (nx_nats_page_write(&monitor->pages, request->path, request->query, &body, &response.content_type,
                           &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    response.body = nx_buf_str(&body);
    nx_http_respond(exchange, &response);
}

/* Start and end */

static void init(struct nx_nats_monitor *monitor, struct nx_loop *loop,
                 const struct nx_nats_monitor_options *options) {
    (void)snprintf(monitor->host, sizeof monitor->host, "%.*s", NX_STR_ARG(options->host));
    monitor->loop = loop;
    monitor->tick = (struct nx_timer){ .end = tick, .data = monitor };
    monitor->pages.options = *options;
    monitor->pages.options.host = nx_str_from_c(monitor->host);
    monitor->pages.started_ns = nx_loop_now(loop).wall_ns;
    monitor->pages.usage_ns = nx_loop_now(loop).monotonic_ns;
    nx_list_init(&monitor->links);
    nx_http_shared_init(&monitor->shared);
    monitor->shared.handle = handle;
    monitor->shared.admit = admit;
    monitor->shared.unwritten = unwritten;
    monitor->shared.data = monitor;
}

static enum nx_status check_host(struct nx_str host, struct nx_error *err) {
    if (nx_str_is(host, "127.0.0.1") || nx_str_is(host, "::1") || nx_str_is(host, "localhost")) {
        return NX_OK;
    }
    (void)nx_fail(err, NX_PERMISSION_DENIED,
                  "monitoring on '%.*s': it asks for no credentials, so it listens on loopback only",
                  NX_STR_ARG(host));
    nx_hint(err, "listen on 127.0.0.1, ::1 or localhost, and put a proxy that checks credentials before it");
    return NX_PERMISSION_DENIED;
}

enum nx_status nx_nats_monitor_open(struct nx_loop *loop, const struct nx_nats_monitor_options *options,
                                    struct nx_nats_monitor **monitor_out, struct nx_error *err) {
    NX_TRY(check_host(options->host, err));
    struct nx_nats_monitor *monitor = calloc(1, sizeof *monitor);
    if (monitor == NULL) {
        return nx_fail_memory(err);
    }
    init(monitor, loop, options);
    const struct nx_listen_options listen_options = { .host = monitor->host,
                                                      .port = options->port,
                                                      .pending_size_max = NX_HTTP_OUTPUT_SIZE_MAX,
                                                      .accepted = accepted,
                                                      .data = monitor };
    const enum nx_status status =
        nx_listener_open_named("monitoring", loop, &listen_options, &monitor->listener, err);
    if (status != NX_OK) {
        nx_nats_monitor_free(monitor);
        return status;
    }
    monitor->pages.http_port = nx_listener_port(monitor->listener);
    *monitor_out = monitor;
    return NX_OK;
}

uint16_t nx_nats_monitor_port(const struct nx_nats_monitor *monitor) {
    return monitor->pages.http_port;
}

void nx_nats_monitor_stop(struct nx_nats_monitor *monitor) {
    if (monitor == NULL) {
        return;
    }
    nx_listener_close(NX_TAKE(monitor->listener));
    nx_timer_stop(monitor->loop, &monitor->tick);
    for (struct nx_list_node *at = nx_list_first(&monitor->links); at != NULL;
         at = nx_list_next(&monitor->links, at)) {
        link_close(nx_container_of(at, struct link, node));
    }
}

void nx_nats_monitor_free(struct nx_nats_monitor *monitor) {
    if (monitor == NULL) {
        return;
    }
    nx_http_shared_fini(&monitor->shared);
    free(monitor);
}
