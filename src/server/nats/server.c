/* src/server/nats/server.c: see server.h. Connections on sockets, the loop on its thread. */
#include "server/nats/server.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/list.h"
#include "codec/hex.h"
#include "io/loop.h"
#include "io/socket.h"
#include "server/nats/calls.h"
#include "server/nats/events.h"
#include "server/nats/jetstream.h"
#include "server/nats/link.h"
#include "server/nats/monitor.h"
#include "server/nats/secure.h"
#include "server/nats/system.h"

enum {
    CONNECTIONS_MAX_DEFAULT = 65536,
    MAILBOX_COUNT_MAX = 16,
    TICK_MS = 1000,
    JETSTREAM_RETRY_MS = 5,
    LAME_DUCK_TICK_MS = 100,
    SERVER_ID_SIZE = 16, /* random bytes */
    NAME_SIZE_MAX = 128,
    HOST_SIZE_MAX = 64,
};

/* NATS's own defaults. */
static const int64_t ping_interval_ns = (int64_t)120 * NX_NS_PER_S;
static const int64_t auth_timeout_ns = (int64_t)2 * NX_NS_PER_S;
static const int64_t auth_timeout_tls_ns = (int64_t)3 * NX_NS_PER_S;
static const int64_t tls_timeout_ns = (int64_t)2 * NX_NS_PER_S;
static const int64_t write_deadline_ns = (int64_t)10 * NX_NS_PER_S;
static const int64_t lame_duck_ns = (int64_t)120 * NX_NS_PER_S;
static const int64_t lame_duck_grace_ns = (int64_t)10 * NX_NS_PER_S;

struct nx_nats_server {
    struct nx_nats_hub hub;
    struct nx_nats_counters counters;
    struct nx_loop *loop;
    struct nx_listener *listener;
    struct nx_nats_monitor *monitor;     /* NULL: not served */
    struct nx_nats_events *events;       /* NULL: there is no log, or no project */
    struct nx_nats_calls *calls;         /* likewise */
    struct nx_nats_jetstream *jetstream; /* NULL: there is no log, or nothing for it */
    struct nx_nats_links links;
    struct nx_timer tick;
    struct nx_timer wake;      /* JetStream has something to do then */
    int64_t wake_ns;           /* monotonic; INT64_MAX: it does not run */
    struct nx_timer lame_duck; /* ends its grace, then the connections */
    int64_t lame_duck_ns;
    int64_t lame_duck_grace_ns;
    int64_t lame_duck_end_ns; /* monotonic */
    struct nx_counter is_left;
    struct nx_random random;
    uint16_t port;
    bool stopping;
    bool is_lame_duck;
    char server_id[2 * SERVER_ID_SIZE + 1];
    char name[NAME_SIZE_MAX];
    char host[HOST_SIZE_MAX];
    char system_account[NAME_SIZE_MAX];
};

/* What the loop is told. */
enum order_kind { ORDER_STOP, ORDER_ACCESS, ORDER_REGISTRY, ORDER_LAME_DUCK, PASSWORD_COMPARED };

struct order {
    struct nx_message message;
    struct nx_nats_access *access; /* ORDER_ACCESS: the next ones */
    struct nx_tls_context *tls;
    bool tls_verify;
    struct nx_registry *registry; /* ORDER_REGISTRY */
};

static void stop_when_empty(struct nx_nats_server *server) {
    const bool is_idle =
        server->jetstream == NULL || nx_nats_jetstream_is_idle(server->jetstream); /* else it is waited for */
    if (server->stopping && is_idle && nx_list_is_empty(&server->links.all)) {
        nx_loop_stop(server->loop);
    }
}

static void note_when_left(struct nx_nats_server *server) {
    if (server->is_lame_duck && nx_list_is_empty(&server->links.all)) {
        nx_timer_stop(server->loop, &server->lame_duck);
        nx_counter_set(&server->is_left, 1);
    }
}

static void link_closed(void *data) {
    note_when_left(data);
    stop_when_empty(data);
}

static void tick(void *data) {
    struct nx_nats_server *server = data;
    server->hub.now = nx_loop_now(server->loop);
    nx_nats_hub_tick(&server->hub);
    nx_nats_system_tick(server->hub.system);
    nx_nats_links_tick(&server->links);
    if (!nx_list_is_empty(&server->links.all)) {
        nx_timer_start(server->loop, &server->tick, TICK_MS);
    }
}

static void accepted(void *data, struct nx_socket *socket) {
    struct nx_nats_server *server = data;
    nx_nats_link_accept(&server->links, socket);
    if (!nx_timer_is_running(&server->tick)) {
        nx_timer_start(server->loop, &server->tick, TICK_MS);
    }
}

/* The loop */

static void wake_jetstream(void *data) {
    struct nx_nats_server *server = data;
    server->wake_ns = INT64_MAX;
    server->hub.now = nx_loop_now(server->loop);
    nx_nats_jetstream_wake(server->jetstream, server->hub.now); /* the rest is done when the turn ends */
}

/* What the log is to write, and those who wait for it. `has_more`: it must be done again soon. */
static void flush_jetstream(struct nx_nats_server *server, bool has_more) {
    const struct nx_now now = nx_loop_now(server->loop);
    server->hub.now = now;
    const bool is_done = nx_nats_jetstream_flush(server->jetstream, now) && !has_more;
    int64_t due_ns = nx_nats_jetstream_due(server->jetstream);
    if (!is_done && due_ns > now.monotonic_ns + JETSTREAM_RETRY_MS * (int64_t)NX_NS_PER_MS) {
        due_ns = now.monotonic_ns + JETSTREAM_RETRY_MS * (int64_t)NX_NS_PER_MS;
    }
    if (due_ns < server->wake_ns && (!server->stopping || !is_done)) {
        const int64_t delay_ns = due_ns - now.monotonic_ns;
        server->wake_ns = due_ns;
        nx_timer_start(server->loop, &server->wake,
                       delay_ns <= 0 ? 0 : delay_ns / NX_NS_PER_MS + (delay_ns < NX_NS_PER_S ? 1 : 0));
    }
    if (!nx_nats_jetstream_is_full(server->jetstream)) {
        nx_nats_links_resume(&server->links);
    }
}

static void turned(void *data) {
    struct nx_nats_server *server = data;
    const bool has_more = server->calls != NULL && nx_nats_calls_run(server->calls);
    if (server->jetstream != NULL) {
        flush_jetstream(server, has_more);
    }
    nx_nats_links_flush(&server->links);
    nx_nats_monitor_flush(server->monitor);
}

static void stop(struct nx_nats_server *server) {
    if (server->stopping) {
        return;
    }
    server->stopping = true;
    if (server->calls != NULL) {
        nx_nats_calls_stop(server->calls);
    }
    nx_listener_close(NX_TAKE(server->listener));
    nx_nats_monitor_stop(server->monitor);
    nx_timer_stop(server->loop, &server->tick);
    nx_timer_stop(server->loop, &server->wake);
    nx_timer_stop(server->loop, &server->lame_duck);
    nx_nats_system_ending(server->hub.system, ".SHUTDOWN");
    if (server->jetstream != NULL) {
        nx_nats_jetstream_finish(server->jetstream, server->hub.now);
    }
    if (!server->is_lame_duck) {
        nx_nats_hub_announce_stop(&server->hub);
    }
    nx_nats_links_finish(&server->links, SIZE_MAX);
    stop_when_empty(server);
}

/* After the grace: so many of those that are left that the last one goes when the time is over. */
static void close_some(void *data) {
    struct nx_nats_server *server = data;
    const int64_t left_ns = server->lame_duck_end_ns - nx_loop_now(server->loop).monotonic_ns;
    const int64_t ticks = left_ns / (LAME_DUCK_TICK_MS * (int64_t)NX_NS_PER_MS) + 1;
    nx_nats_links_finish(&server->links, server->links.all.count / (size_t)(ticks < 1 ? 1 : ticks) + 1);
    nx_timer_start(server->loop, &server->lame_duck, LAME_DUCK_TICK_MS);
}

static void become_lame_duck(struct nx_nats_server *server) {
    if (server->is_lame_duck || server->stopping) {
        return;
    }
    server->is_lame_duck = true;
    server->lame_duck_end_ns = nx_loop_now(server->loop).monotonic_ns + server->lame_duck_ns;
    nx_listener_close(NX_TAKE(server->listener));
    nx_nats_system_ending(server->hub.system, ".LAMEDUCK");
    nx_nats_hub_announce_stop(&server->hub);
    server->lame_duck = (struct nx_timer){ .end = close_some, .data = server };
    nx_timer_start(server->loop, &server->lame_duck, server->lame_duck_grace_ns / NX_NS_PER_MS);
    note_when_left(server);
}

/* Whether there is TLS at all is settled at the start: clients were told. */
static void take_security(struct nx_nats_server *server, struct nx_tls_context *tls, bool verify) {
    if (tls != NULL && server->links.security.context != NULL) {
        nx_nats_links_set_context(&server->links, tls);
        server->hub.info.tls_verify = verify;
    } else {
        nx_tls_context_unref(tls);
    }
}

static void receive(void *data, struct nx_message_queue *inbox) {
    struct nx_nats_server *server = data;
    struct nx_message *message;
    server->hub.now = nx_loop_now(server->loop);
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        if (server->jetstream != NULL && nx_nats_jetstream_is_answer(message)) {
            nx_nats_jetstream_receive(server->jetstream, message, server->hub.now);
            stop_when_empty(server);
            continue;
        }
        struct order *order = nx_container_of(message, struct order, message); /* but PASSWORD_COMPARED */
        switch ((enum order_kind)message->kind) {
        case ORDER_STOP:
            stop(server);
            break;
        case ORDER_ACCESS:
            nx_nats_hub_set_access(&server->hub, NX_TAKE(order->access));
            take_security(server, NX_TAKE(order->tls), order->tls_verify);
            break;
        case PASSWORD_COMPARED:
            nx_nats_links_take_comparison(&server->links,
                                          nx_container_of(message, struct nx_nats_comparison, message));
            break;
        case ORDER_REGISTRY:
            nx_nats_calls_set_registry(server->calls, order->registry);
            nx_nats_events_set_registry(server->events, NX_TAKE(order->registry));
            break;
        case ORDER_LAME_DUCK:
            become_lame_duck(server);
            break;
        }
        nx_message_release(message);
    }
}

static enum nx_status add_event_metrics(const struct nx_nats_server *server, struct nx_metrics *metrics,
                                        struct nx_error *err) {
    const struct nx_nats_events_counters *counters = nx_nats_events_counters(server->events);
    const struct nx_metric_options options = {
        .name = "nexus_nats_events_total",
        .help = "Events that NATS clients published, by what came of them.",
        .kind = NX_METRIC_COUNTER,
        .labels = { "status" }
    };
    struct nx_metric *metric = NULL;
    NX_TRY(nx_metrics_add(metrics, &options, &metric, err));
    nx_metric_borrow_counter(metric, &NX_STR("published"), &counters->published);
    nx_metric_borrow_counter(metric, &NX_STR("duplicate"), &counters->duplicate);
    nx_metric_borrow_counter(metric, &NX_STR("refused"), &counters->refused);
    return NX_OK;
}

/* JetStream's own messages. */
static void publish(void *data, struct nx_str account, const struct nx_nats_op *message) {
    struct nx_nats_server *server = data;
    nx_nats_hub_publish(&server->hub, account, message);
}

static size_t deliver(void *data, struct nx_str account, struct nx_str route,
                      const struct nx_nats_op *message) {
    struct nx_nats_server *server = data;
    return nx_nats_hub_deliver(&server->hub, account, route, message);
}

static bool listens(void *data, struct nx_str account, struct nx_str subject) {
    struct nx_nats_server *server = data;
    return nx_nats_hub_listens(&server->hub, account, subject);
}

static enum nx_status open_events(struct nx_nats_server *server, const struct nx_nats_server_options *options,
                                  struct nx_error *err) {
    if (options->project.len == 0 || options->appends == NULL) {
        return NX_OK;
    }
    NX_TRY(nx_nats_events_new(options->project, options->random, options->log, &server->events, err));
    if (options->registry != NULL) {
        nx_nats_events_set_registry(server->events, nx_registry_ref(options->registry));
    }
    return options->metrics == NULL ? NX_OK : add_event_metrics(server, options->metrics, err);
}

static enum nx_status open_jetstream(struct nx_nats_server *server,
                                     const struct nx_nats_server_options *options, struct nx_error *err) {
    const struct nx_nats_jetstream_options jetstream = {
        .appends = options->appends,
        .reads = options->reads,
        .answers = nx_loop_mailbox(server->loop),
        .log = options->log,
        .events = server->events,
        .has_api = options->nats->jetstream,
        .seed = nx_random_u64(&options->random),
        .publish = publish,
        .deliver = deliver,
        .listens = listens,
        .data = server,
    };
    if (options->appends == NULL || (!jetstream.has_api && jetstream.events == NULL)) {
        return NX_OK;
    }
    NX_TRY(nx_nats_jetstream_new(&jetstream, &server->jetstream, err));
    server->hub.jetstream = server->jetstream;
    server->hub.info.jetstream = jetstream.has_api;
    return NX_OK;
}

static enum nx_status open_calls(struct nx_nats_server *server, const struct nx_nats_server_options *options,
                                 struct nx_error *err) {
    const struct nx_nats_calls_options calls = {
        .hub = &server->hub,
        .jetstream = server->jetstream,
        .events = server->events,
        .functions = options->functions,
        .reads = options->reads,
        .appends = options->appends,
    };
    if (server->events == NULL) {
        return NX_OK;
    }
    NX_TRY(nx_nats_calls_new(&calls, &server->calls, err));
    if (options->registry != NULL) {
        nx_nats_calls_set_registry(server->calls, options->registry);
    }
    return NX_OK;
}

static enum nx_status listen_on(struct nx_nats_server *server, uint16_t port, struct nx_error *err) {
    const struct nx_listen_options options = { .host = server->host,
                                               .port = port,
                                               .pending_size_max = server->hub.pending_size_max,
                                               .accepted = accepted,
                                               .data = server };
    NX_TRY(nx_listener_open_named("NATS", server->loop, &options, &server->listener, err));
    server->port = nx_listener_port(server->listener);
    return NX_OK;
}

static bool is_loopback(struct nx_str host) {
    return nx_str_is(host, "localhost") || nx_str_is(host, "::1") || nx_str_starts_with(host, NX_STR("127."));
}

/* Monitoring, and the system account, which shows the same. */
static enum nx_status open_monitor(struct nx_nats_server *server, const struct nx_nats_options *options,
                                   struct nx_error *err) {
    const struct nx_nats_monitor_options monitor_options = {
        .hub = &server->hub,
        .connections_max = server->links.count_max,
        .write_deadline_ns = server->links.write_deadline_ns,
        .system_account = nx_str_from_c(server->system_account),
        .host = options->http_host,
        .port = options->http_port,
    };
    server->hub.closed.count_max = NX_NATS_CLOSED_MAX;
    server->hub.now = nx_loop_now(server->loop);
    if (options->http_host.len > 0) {
        NX_TRY(nx_nats_monitor_open(server->loop, &monitor_options, &server->monitor, err));
    }
    return nx_nats_system_new(&server->hub, &monitor_options, nx_nats_server_http_port(server),
                              &server->hub.system, err);
}

static enum nx_status check_host(struct nx_str host, const struct nx_nats_options *options,
                                 const struct nx_nats_access *access, struct nx_error *err) {
    const bool wants_certificates = options->tls.cert_file != NULL && !options->tls.allow_non_tls &&
                                    (options->tls.verify || options->tls.verify_and_map);
    if (is_loopback(host) || nx_nats_access_is_required(access) || wants_certificates) {
        return NX_OK;
    }
    (void)nx_fail(err, NX_PERMISSION_DENIED,
                  "NATS on '%.*s': without credentials the server listens on loopback only",
                  NX_STR_ARG(host));
    nx_hint(err, "listen on 127.0.0.1, ::1 or localhost, or name users");
    return NX_PERMISSION_DENIED;
}

static enum nx_status add_counter(struct nx_metrics *metrics, const char *name, const char *help,
                                  enum nx_metric_kind kind, const struct nx_counter *counter,
                                  struct nx_error *err) {
    struct nx_metric *metric = NULL;
    const struct nx_metric_options options = { .name = name, .help = help, .kind = kind };
    NX_TRY(nx_metrics_add(metrics, &options, &metric, err));
    nx_metric_borrow_counter(metric, NULL, counter);
    return NX_OK;
}

static enum nx_status add_metrics(struct nx_nats_server *server, struct nx_metrics *metrics,
                                  struct nx_error *err) {
    const struct nx_nats_counters *counters = &server->counters;
    if (metrics == NULL) {
        return NX_OK;
    }
    NX_TRY(add_counter(metrics, "nexus_nats_connections", "Open NATS connections.", NX_METRIC_GAUGE,
                       &server->links.count, err));
    NX_TRY(add_counter(metrics, "nexus_nats_messages_in_total", "Messages that NATS clients published.",
                       NX_METRIC_COUNTER, &counters->messages_in, err));
    NX_TRY(add_counter(metrics, "nexus_nats_messages_out_total", "Messages delivered to NATS clients.",
                       NX_METRIC_COUNTER, &counters->messages_out, err));
    NX_TRY(add_counter(metrics, "nexus_nats_bytes_in_total",
                       "Bytes of headers and payloads that NATS clients published.", NX_METRIC_COUNTER,
                       &counters->bytes_in, err));
    NX_TRY(add_counter(metrics, "nexus_nats_bytes_out_total",
                       "Bytes of headers and payloads delivered to NATS clients.", NX_METRIC_COUNTER,
                       &counters->bytes_out, err));
    NX_TRY(add_counter(metrics, "nexus_nats_slow_consumers_total",
                       "NATS connections cut because they read too slowly.", NX_METRIC_COUNTER,
                       &counters->slow_consumers, err));
    NX_TRY(add_counter(metrics, "nexus_nats_refused_total",
                       "NATS connections ended because their credentials were wrong or came too late.",
                       NX_METRIC_COUNTER, &counters->refused, err));
    NX_TRY(add_counter(metrics, "nexus_nats_handshakes_broken_total",
                       "TLS handshakes with NATS clients that failed or took too long.", NX_METRIC_COUNTER,
                       &server->links.broken, err));
    return add_counter(metrics, "nexus_nats_violations_total",
                       "What NATS clients tried that their permissions do not have.", NX_METRIC_COUNTER,
                       &counters->violations, err);
}

static size_t size_or(size_t size, size_t otherwise) {
    return size == 0 ? otherwise : size;
}

static int64_t time_or(int64_t time_ns, int64_t otherwise_ns) {
    return time_ns <= 0 ? otherwise_ns : time_ns;
}

static void init_hub(struct nx_nats_server *server, const struct nx_nats_options *options) {
    struct nx_nats_hub *hub = &server->hub;
    hub->transport = nx_nats_link_transport;
    hub->random = server->random;
    hub->control_line_size_max =
        size_or(options->control_line_size_max, (size_t)NX_NATS_CONTROL_LINE_SIZE_MAX);
    hub->pending_size_max = size_or(options->pending_size_max, (size_t)NX_NATS_OUTPUT_SIZE_MAX);
    hub->subscriptions_max = size_or(options->subscriptions_max, (size_t)NX_NATS_SUBSCRIPTIONS_MAX);
    hub->ping_interval_ns = time_or(options->ping_interval_ns, ping_interval_ns);
    hub->pings_max = options->pings_max == 0 ? NX_NATS_PINGS_MAX : options->pings_max;
    hub->auth_timeout_ns = time_or(options->auth_timeout_ns,
                                   options->tls.cert_file == NULL ? auth_timeout_ns : auth_timeout_tls_ns);
    hub->counters = &server->counters;
    hub->info = (struct nx_nats_info){
        .server_id = nx_str_from_c(server->server_id),
        .server_name = nx_str_from_c(server->name),
        .version = NX_STR(NX_NATS_VERSION),
        .host = nx_str_from_c(server->host),
        .payload_size_max = size_or(options->payload_size_max, (size_t)NX_NATS_PAYLOAD_SIZE_MAX),
    };
}

static void init_links(struct nx_nats_server *server, const struct nx_nats_options *options) {
    struct nx_nats_links *links = &server->links;
    const struct nx_nats_tls_options *tls = &options->tls;
    links->hub = &server->hub;
    nx_nats_links_init(links);
    links->count_max = size_or(options->connections_max, (size_t)CONNECTIONS_MAX_DEFAULT);
    server->links.write_deadline_ns = time_or(options->write_deadline_ns, write_deadline_ns);
    links->compared_kind = PASSWORD_COMPARED;
    links->closed = link_closed;
    links->data = server;
    links->security = (struct nx_nats_security){
        .handshake_first = tls->handshake_first,
        .fallback_ms = tls->handshake_first_fallback_ns / NX_NS_PER_MS,
        .allow_plain = tls->allow_non_tls,
        .timeout_ms = time_or(tls->timeout_ns, tls_timeout_ns) / NX_NS_PER_MS,
    };
}

static void init(struct nx_nats_server *server, const struct nx_nats_server_options *options) {
    const struct nx_nats_options *nats = options->nats;
    uint8_t id[SERVER_ID_SIZE];
    server->random = options->random;
    nx_random_fill(&options->random, id, sizeof id);
    nx_hex_write(server->server_id, id, sizeof id);
    (void)snprintf(server->name, sizeof server->name, "%.*s",
                   NX_STR_ARG(nats->server_name.len > 0 ? nats->server_name : NX_STR("nexus")));
    (void)snprintf(server->host, sizeof server->host, "%.*s", NX_STR_ARG(nats->host));
    (void)snprintf(server->system_account, sizeof server->system_account, "%.*s",
                   NX_STR_ARG(nats->system_account.len > 0 ? nats->system_account : NX_STR("$SYS")));
    server->lame_duck_ns = time_or(nats->lame_duck_ns, lame_duck_ns);
    server->lame_duck_grace_ns = time_or(nats->lame_duck_grace_ns, lame_duck_grace_ns);
    server->tick = (struct nx_timer){ .end = tick, .data = server };
    server->wake = (struct nx_timer){ .end = wake_jetstream, .data = server };
    server->wake_ns = INT64_MAX;
    init_hub(server, nats);
    init_links(server, nats);
}

/* Read what is on disk, and say in INFO what comes of it. */
static enum nx_status open_security(struct nx_nats_server *server, const struct nx_nats_tls_options *options,
                                    struct nx_error *err) {
    struct nx_nats_info *info = &server->hub.info;
    NX_TRY(nx_nats_tls_load(options, &server->links.security.context, err));
    const bool is_there = server->links.security.context != NULL;
    info->tls_required = is_there && (options->handshake_first || !options->allow_non_tls);
    info->tls_available = is_there && !info->tls_required;
    info->tls_verify = is_there && (options->verify || options->verify_and_map);
    return NX_OK;
}

enum nx_status nx_nats_server_open(const struct nx_nats_server_options *options,
                                   struct nx_nats_server **server_out, struct nx_error *err) {
    const uint64_t seed = nx_random_u64(&options->random);
    NX_AUTO(nx_nats_access) *access = NULL;
    NX_TRY(nx_nats_access_new(options->nats, seed, &access, err));
    NX_TRY(check_host(options->nats->host, options->nats, access, err));
    NX_AUTO(nx_nats_server) *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return nx_fail_memory(err);
    }
    init(server, options);
    const struct nx_loop_options loop_options = {
        .mailbox_count_max = MAILBOX_COUNT_MAX, .receive = receive, .turned = turned, .data = server
    };
    nx_nats_hub_init(&server->hub, seed, NX_TAKE(access));
    NX_TRY(open_security(server, &options->nats->tls, err));
    NX_TRY(nx_loop_open(&loop_options, &server->loop, err));
    server->links.loop = server->loop;
    NX_TRY(listen_on(server, options->nats->port, err));
    server->hub.info.port = server->port;
    NX_TRY(open_monitor(server, options->nats, err));
    NX_TRY(add_metrics(server, options->metrics, err));
    NX_TRY(open_events(server, options, err));
    NX_TRY(open_jetstream(server, options, err)); /* the last before the loop, which alone can take answers */
    NX_TRY(open_calls(server, options, err));
    NX_TRY(nx_loop_start(server->loop, "nx-nats", err));
    *server_out = NX_TAKE(server);
    return NX_OK;
}

uint16_t nx_nats_server_port(const struct nx_nats_server *server) {
    return server->port;
}

uint16_t nx_nats_server_http_port(const struct nx_nats_server *server) {
    return server->monitor == NULL ? 0 : nx_nats_monitor_port(server->monitor);
}

bool nx_nats_server_is_left(const struct nx_nats_server *server) {
    return nx_counter_get(&server->is_left) != 0;
}

static void order_release(struct nx_message *message) {
    struct order *order = nx_container_of(message, struct order, message);
    nx_nats_access_free(order->access);
    nx_tls_context_unref(order->tls);
    nx_registry_unref(order->registry);
    free(order);
}

static struct order *order_new(enum order_kind kind) {
    struct order *order = calloc(1, sizeof *order);
    if (order != NULL) {
        order->message = (struct nx_message){ .kind = (uint32_t)kind, .release = order_release };
    }
    return order;
}

static enum nx_status give_order(struct nx_nats_server *server, struct order *order, struct nx_error *err) {
    if (order == NULL) {
        return nx_fail_memory(err);
    }
    if (!nx_mailbox_send(nx_loop_mailbox(server->loop), &order->message)) {
        nx_message_release(&order->message);
        return nx_fail_kind(err, NX_KIND_OVERLOADED, "earlier orders to the NATS server are under way");
    }
    return NX_OK;
}

enum nx_status nx_nats_server_reload(struct nx_nats_server *server, const struct nx_nats_options *options,
                                     struct nx_error *err) {
    NX_AUTO(nx_nats_access) *access = NULL;
    NX_AUTO(nx_tls_context) *tls = NULL;
    NX_TRY(nx_nats_access_new(options, server->hub.seed, &access, err));
    NX_TRY(check_host(nx_str_from_c(server->host), options, access, err));
    NX_TRY(nx_nats_tls_load(&options->tls, &tls, err));
    struct order *order = order_new(ORDER_ACCESS);
    if (order != NULL) {
        order->access = NX_TAKE(access);
        order->tls = NX_TAKE(tls);
        order->tls_verify = options->tls.verify || options->tls.verify_and_map;
    }
    return give_order(server, order, err);
}

enum nx_status nx_nats_server_set_registry(struct nx_nats_server *server, struct nx_registry *registry,
                                           struct nx_error *err) {
    if (server->events == NULL) {
        return NX_OK;
    }
    struct order *order = order_new(ORDER_REGISTRY);
    if (order == NULL) {
        return nx_fail_memory(err);
    }
    order->registry = nx_registry_ref(registry);
    nx_mailbox_send_reply(nx_loop_mailbox(server->loop), &order->message); /* as the HTTP loops get it */
    return NX_OK;
}

bool nx_nats_server_lame_duck(struct nx_nats_server *server) {
    return give_order(server, order_new(ORDER_LAME_DUCK), NULL) == NX_OK;
}

/* Ask the loop to end in good order; false when that cannot even be asked. */
static bool ask_to_stop(struct nx_nats_server *server) {
    struct order *order = order_new(ORDER_STOP);
    if (order == NULL) {
        return false;
    }
    nx_mailbox_send_reply(nx_loop_mailbox(server->loop), &order->message); /* one, so never refused */
    return true;
}

void nx_nats_server_stop(struct nx_nats_server *server) {
    if (server != NULL && server->loop != NULL && server->port != 0) {
        (void)ask_to_stop(server); /* without memory nx_nats_server_close() tries again */
    }
}

void nx_nats_server_close(struct nx_nats_server *server) {
    if (server == NULL) {
        return;
    }
    if (server->loop != NULL) {
        if (server->port != 0 && ask_to_stop(server)) {
            nx_loop_wait(server->loop);
        }
        nx_nats_links_fini(&server->links); /* its comparer sends to the loop */
        nx_loop_close(server->loop);        /* its sockets' `closed` frees the links */
    }
    nx_nats_links_set_context(&server->links, NULL);
    nx_nats_calls_free(server->calls);
    nx_nats_monitor_free(server->monitor);
    nx_nats_system_free(server->hub.system);
    nx_nats_hub_fini(&server->hub);
    nx_nats_jetstream_free(server->jetstream);
    nx_nats_events_free(server->events);
    free(server);
}
