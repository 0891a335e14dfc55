/* src/server/nats/monitor.c: see monitor.h. Each request is answered at once. */
#include "server/nats/monitor.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/http/guard.h"
#include "server/http/link.h"
#include "server/nats/pages.h"

enum { HOST_SIZE_MAX = 64 };

struct nx_nats_monitor {
    struct nx_http_shared shared;
    struct nx_nats_pages pages;
    struct nx_listener *listener;
    struct nx_http_links links;
    char host[HOST_SIZE_MAX];
};

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
    monitor->pages.options = *options;
    monitor->pages.options.host = nx_str_from_c(monitor->host);
    monitor->pages.started_ns = nx_loop_now(loop).wall_ns;
    monitor->pages.is_counting = true;
    monitor->pages.usage_ns = nx_loop_now(loop).monotonic_ns;
    nx_http_shared_init(&monitor->shared);
    monitor->shared.handle = handle;
    monitor->shared.admit = admit;
    monitor->shared.data = monitor;
    monitor->links = (struct nx_http_links){ .loop = loop,
                                             .shared = &monitor->shared,
                                             .count_max = NX_NATS_MONITOR_CONNECTIONS_MAX };
    nx_http_links_init(&monitor->links);
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
                                                      .accepted = nx_http_links_accept,
                                                      .data = &monitor->links };
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

void nx_nats_monitor_flush(struct nx_nats_monitor *monitor) {
    if (monitor != NULL) {
        nx_http_links_flush(&monitor->links);
    }
}

void nx_nats_monitor_stop(struct nx_nats_monitor *monitor) {
    if (monitor == NULL) {
        return;
    }
    nx_listener_close(NX_TAKE(monitor->listener));
    nx_timer_stop(monitor->links.loop, &monitor->links.tick);
    nx_http_links_cut(&monitor->links);
}

void nx_nats_monitor_free(struct nx_nats_monitor *monitor) {
    if (monitor == NULL) {
        return;
    }
    nx_http_shared_fini(&monitor->shared);
    free(monitor);
}
