/* src/server/http/server.c: see server.h. Connections on sockets, loops on threads. */
#include "server/http/server.h"

#include <stdio.h>

#include "base/assert.h"
#include "io/loop.h"
#include "io/socket.h"
#include "server/http/cors.h"
#include "server/http/guard.h"
#include "server/http/link.h"
#include "server/http/services.h"
#include "server/http/tracing.h"

enum {
    CONNECTIONS_MAX_DEFAULT = 4096,
    MAILBOX_COUNT_MAX = 64, /* requests to a loop; answers are not counted */
    SOURCE_SIZE_MAX = 512,
};

/* One network thread. */
struct http_loop {
    struct nx_http_services services;
    struct nx_http_server *server;
    struct nx_loop *loop;
    struct nx_listener *listener;
    struct nx_http_links links;
    struct nx_timer grace;
    struct loop_stop *stop; /* asked for, not answered yet */
};

struct nx_http_server {
    struct nx_http_server_options options;
    struct http_loop *loops;
    size_t loop_count;
    uint16_t port;
    bool stopped;
    struct nx_http_counters counters;
    char source[SOURCE_SIZE_MAX];
};

enum { LOOP_SET_REGISTRY = 0x400, LOOP_STOP };

struct loop_set_registry {
    struct nx_message message; /* first; no answer */
    struct nx_registry *registry;
};
struct loop_stop {
    struct nx_message message; /* first; answered when the last connection is gone */
    int64_t grace_ns;
};

/* Loops */

static void answer_stop(void *data) {
    struct http_loop *loop = data;
    if (loop->stop != NULL && nx_list_is_empty(&loop->links.all)) {
        nx_timer_stop(loop->loop, &loop->grace);
        struct loop_stop *stop = NX_TAKE(loop->stop);
        nx_message_reply(&stop->message);
    }
}

static void grace_ended(void *data) {
    struct http_loop *loop = data;
    loop->services.shared.cutting = true;
    nx_http_links_cut(&loop->links);
}

static void begin_stop(struct http_loop *loop, struct loop_stop *stop) {
    loop->stop = stop;
    loop->services.shared.draining = true;
    nx_listener_close(NX_TAKE(loop->listener));
    nx_http_links_finish(&loop->links);
    nx_timer_start(loop->loop, &loop->grace, stop->grace_ns / NX_NS_PER_MS);
    answer_stop(loop);
}

static void receive(void *data, struct nx_message_queue *inbox) {
    struct http_loop *loop = data;
    loop->services.shared.now = nx_loop_now(loop->loop);
    for (struct nx_message *message; (message = nx_message_queue_pop(inbox)) != NULL;) {
        if (message->kind == LOOP_STOP) {
            begin_stop(loop, (struct loop_stop *)message);
        } else if (message->kind == LOOP_SET_REGISTRY) {
            struct loop_set_registry *set = (struct loop_set_registry *)message;
            nx_registry_unref(loop->services.registry);
            loop->services.registry = NX_TAKE(set->registry);
            nx_message_release(message);
        } else {
            struct nx_http_conn *conn = nx_http_answered(&loop->services, message);
            if (conn != NULL) {
                nx_http_links_touch(conn);
            }
        }
    }
}

static void turned(void *data) {
    struct http_loop *loop = data;
    struct nx_http_services *services = &loop->services;
    do {
        nx_http_send_appends(services, nx_http_links_touch); /* first: the disk works while we write */
        nx_http_links_flush(&loop->links);
    } while (services->to_append.count > 0); /* of requests that waited behind others of their connection */
    nx_tracer_flush(&services->tracer);
}

static enum nx_status admit(void *data, const struct nx_http_request *request, struct nx_error *err) {
    const struct nx_http_services *services = data;
    const enum nx_status status = nx_http_guard_check(request, err);
    if (status != NX_OK && err->kind == NX_KIND_WRONG_ORIGIN &&
        nx_http_cors_admits(services->registry, request)) {
        *err = (struct nx_error){ 0 };
        return NX_OK;
    }
    return status;
}

static void handle(void *data, struct nx_http_exchange *exchange, const struct nx_http_request *request) {
    nx_http_route(data, exchange, request);
}

static void services_init(struct nx_http_server *server, struct http_loop *loop) {
    struct nx_http_services *services = &loop->services;
    const struct nx_http_server_options *options = &server->options;
    nx_http_shared_init(&services->shared);
    services->shared.handle = handle;
    services->shared.admit = admit;
    services->shared.data = services;
    services->shared.log = options->log;
    services->shared.responses = server->counters.responses;
    services->fabric = options->fabric;
    services->appends = nx_fabric_appends(options->fabric);
    services->reads = nx_fabric_reads(options->fabric);
    services->functions = options->functions;
    services->registry = options->registry == NULL ? NULL : nx_registry_ref(options->registry);
    services->metrics = options->metrics;
    services->random = options->random;
    services->tracer.tracing = options->tracing;
    services->shared.answered = nx_http_span_end;
    services->source = nx_str_from_c(server->source);
    services->counters = &server->counters;
    nx_buf_init(&services->scratch, NX_HEADERS_SIZE_MAX);
    nx_buf_init(&services->scratch2, NX_HEADERS_SIZE_MAX);
    loop->grace = (struct nx_timer){ .end = grace_ended, .data = loop };
    loop->server = server;
}

static enum nx_status loop_open(struct nx_http_server *server, struct http_loop *loop, struct nx_error *err) {
    const struct nx_loop_options loop_options = {
        .mailbox_count_max = MAILBOX_COUNT_MAX, .receive = receive, .turned = turned, .data = loop
    };
    services_init(server, loop);
    NX_TRY(nx_loop_open(&loop_options, &loop->loop, err));
    loop->services.replies = nx_loop_mailbox(loop->loop);
    loop->links = (struct nx_http_links){ .loop = loop->loop,
                                          .shared = &loop->services.shared,
                                          .count_max = server->options.connections_max,
                                          .count = &server->counters.connections,
                                          .closed = answer_stop,
                                          .data = loop };
    nx_http_links_init(&loop->links);
    char host[64];
    (void)snprintf(host, sizeof host, "%.*s", NX_STR_ARG(server->options.host));
    const struct nx_listen_options listen_options = {
        .host = host,
        .port = server->port,
        .join = server->options.loop_count > 1,
        .pending_size_max = NX_HTTP_OUTPUT_SIZE_MAX,
        .accepted = nx_http_links_accept,
        .data = &loop->links,
    };
    NX_TRY(nx_listener_open_named("HTTP", loop->loop, &listen_options, &loop->listener, err));
    server->port = nx_listener_port(loop->listener);
    return NX_OK;
}

static void loop_close(struct http_loop *loop) {
    if (loop->loop != NULL) {
        nx_loop_join(loop->loop);
        nx_loop_close(loop->loop); /* its sockets' `closed` frees the links */
    }
    nx_message_queue_release(&loop->services.to_append);
    nx_message_release(loop->stop == NULL ? NULL : &loop->stop->message);
    nx_http_shared_fini(&loop->services.shared);
    nx_registry_unref(loop->services.registry);
    nx_tracer_fini(&loop->services.tracer);
    nx_buf_fini(&loop->services.scratch);
    nx_buf_fini(&loop->services.scratch2);
}

/* Server */

static enum nx_status check_host(struct nx_str host, struct nx_error *err) {
    if (nx_str_is(host, "127.0.0.1") || nx_str_is(host, "::1") || nx_str_is(host, "localhost")) {
        return NX_OK;
    }
    (void)nx_fail(err, NX_PERMISSION_DENIED,
                  "HTTP on '%.*s': without credentials the server listens on loopback only",
                  NX_STR_ARG(host));
    nx_hint(err, "listen on 127.0.0.1, ::1 or localhost, and put a proxy that checks credentials before it");
    return NX_PERMISSION_DENIED;
}

static enum nx_status add_metrics(struct nx_http_server *server, struct nx_error *err) {
    static const struct nx_str classes[6] = { { "", 0 },    { "1xx", 3 }, { "2xx", 3 },
                                              { "3xx", 3 }, { "4xx", 3 }, { "5xx", 3 } };
    struct nx_metrics *metrics = server->options.metrics;
    struct nx_metric *metric = NULL;
    if (metrics == NULL) {
        return NX_OK;
    }
    NX_TRY(nx_metrics_add(
        metrics,
        &(struct nx_metric_options){ .name = "nexus_http_events_total",
                                     .help = "Events that HTTP requests brought, by what they were answered.",
                                     .kind = NX_METRIC_COUNTER,
                                     .labels = { "status" } },
        &metric, err));
    nx_metric_borrow_counter(metric, &NX_STR("published"), &server->counters.events_published);
    nx_metric_borrow_counter(metric, &NX_STR("duplicate"), &server->counters.events_duplicate);
    NX_TRY(nx_metrics_add(metrics,
                          &(struct nx_metric_options){ .name = "nexus_http_responses_total",
                                                       .help = "HTTP responses by class of status.",
                                                       .kind = NX_METRIC_COUNTER,
                                                       .labels = { "class" } },
                          &metric, err));
    for (size_t i = 2; i < 6; i++) {
        nx_metric_borrow_counter(metric, &classes[i], &server->counters.responses[i]);
    }
    NX_TRY(nx_metrics_add(
        metrics,
        &(struct nx_metric_options){ .name = "nexus_http_overloaded_total",
                                     .help = "Requests refused because too many waited already.",
                                     .kind = NX_METRIC_COUNTER },
        &metric, err));
    nx_metric_borrow_counter(metric, NULL, &server->counters.overloaded);
    NX_TRY(nx_metrics_add(metrics,
                          &(struct nx_metric_options){ .name = "nexus_http_connections",
                                                       .help = "Open HTTP connections.",
                                                       .kind = NX_METRIC_GAUGE },
                          &metric, err));
    nx_metric_borrow_counter(metric, NULL, &server->counters.connections);
    return NX_OK;
}

static enum nx_status open_loops(struct nx_http_server *server, struct nx_error *err) {
    server->loops = calloc(server->options.loop_count, sizeof *server->loops);
    if (server->loops == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < server->options.loop_count; i++) {
        server->loop_count = i + 1;
        NX_TRY(loop_open(server, &server->loops[i], err));
    }
    for (size_t i = 0; i < server->loop_count; i++) {
        NX_TRY(nx_loop_start(server->loops[i].loop, "nx-http", err));
    }
    return NX_OK;
}

enum nx_status nx_http_server_open(const struct nx_http_server_options *options,
                                   struct nx_http_server **server_out, struct nx_error *err) {
    nx_assert(options->fabric != NULL);
    nx_assert(options->loop_count <= NX_HTTP_LOOPS_MAX);
    NX_TRY(check_host(options->host, err));
    NX_AUTO(nx_http_server) *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return nx_fail_memory(err);
    }
    server->options = *options;
    server->options.loop_count = options->loop_count == 0 ? 1 : options->loop_count;
    server->options.connections_max =
        options->connections_max == 0 ? CONNECTIONS_MAX_DEFAULT : options->connections_max;
    server->port = options->port;
    server->stopped = true;
    (void)snprintf(server->source, sizeof server->source, "/http/%.*s", NX_STR_ARG(options->project));
    NX_TRY(add_metrics(server, err));
    NX_TRY(open_loops(server, err));
    server->stopped = false;
    *server_out = NX_TAKE(server);
    return NX_OK;
}

uint16_t nx_http_server_port(const struct nx_http_server *server) {
    return server->port;
}

static void set_registry_release(struct nx_message *message) {
    struct loop_set_registry *set = (struct loop_set_registry *)message;
    nx_registry_unref(set->registry);
    free(set);
}

enum nx_status nx_http_server_set_registry(struct nx_http_server *server, struct nx_registry *registry,
                                           struct nx_error *err) {
    for (size_t i = 0; i < server->loop_count; i++) {
        struct loop_set_registry *set = calloc(1, sizeof *set);
        if (set == NULL) {
            return nx_fail_memory(err);
        }
        set->message = (struct nx_message){ .kind = LOOP_SET_REGISTRY, .release = set_registry_release };
        set->registry = nx_registry_ref(registry);
        nx_mailbox_send_reply(nx_loop_mailbox(server->loops[i].loop), &set->message);
    }
    return NX_OK;
}

static void stop_release(struct nx_message *message) {
    free(message);
}

/* The loop of the thread that waits for the others to stop. */
struct waiter {
    struct nx_loop *loop;
    size_t left_count;
};

static void waiter_receive(void *data, struct nx_message_queue *inbox) {
    struct waiter *waiter = data;
    for (struct nx_message *message; (message = nx_message_queue_pop(inbox)) != NULL;) {
        nx_message_release(message);
        if (--waiter->left_count == 0) {
            nx_loop_stop(waiter->loop);
        }
    }
}

static void drain(struct nx_http_server *server, int64_t grace_ns) {
    struct waiter waiter = { .left_count = 0 };
    const struct nx_loop_options options = { .mailbox_count_max = NX_HTTP_LOOPS_MAX,
                                             .receive = waiter_receive,
                                             .data = &waiter };
    if (nx_loop_open(&options, &waiter.loop, NULL) != NX_OK) {
        return; /* then without grace */
    }
    for (size_t i = 0; i < server->loop_count; i++) {
        struct loop_stop *stop = calloc(1, sizeof *stop);
        if (stop != NULL) {
            stop->message = (struct nx_message){ .kind = LOOP_STOP,
                                                 .reply_to = nx_loop_mailbox(waiter.loop),
                                                 .release = stop_release };
            stop->grace_ns = grace_ns;
            waiter.left_count++;
            nx_mailbox_send_reply(nx_loop_mailbox(server->loops[i].loop), &stop->message);
        }
    }
    if (waiter.left_count > 0) {
        nx_loop_run(waiter.loop);
    }
    nx_loop_close(waiter.loop);
}

void nx_http_server_stop(struct nx_http_server *server, int64_t grace_ns) {
    if (server == NULL || server->stopped) {
        return;
    }
    server->stopped = true;
    drain(server, grace_ns);
    for (size_t i = 0; i < server->loop_count; i++) {
        nx_loop_join(server->loops[i].loop);
    }
}

void nx_http_server_close(struct nx_http_server *server) {
    if (server == NULL) {
        return;
    }
    nx_http_server_stop(server, 0);
    for (size_t i = 0; i < server->loop_count; i++) {
        loop_close(&server->loops[i]);
    }
    free(server->loops);
    free(server);
}
