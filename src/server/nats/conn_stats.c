/* src/server/nats/conn_stats.c: see conn_stats.h. */
#include "server/nats/conn_stats.h"

#include <stdlib.h>

#include "server/nats/conn_internal.h"

struct nx_str nx_nats_keep_text(char **at, struct nx_str text) {
    char *copy = *at;
    if (text.len > 0) {
        memcpy(copy, text.ptr, text.len);
    }
    *at += text.len;
    return nx_str_of(copy, text.len);
}

void nx_nats_conn_keep_about(struct nx_nats_conn *conn) {
    const struct nx_nats_connect *connect = &conn->connect;
    const size_t size = connect->client_name.len + connect->language.len + connect->version.len;
    free(NX_TAKE(conn->about));
    conn->about_name = conn->about_language = conn->about_version = NX_STR_EMPTY;
    conn->about = size == 0 ? NULL : malloc(size);
    if (conn->about != NULL) { /* without memory it has no name */
        char *at = conn->about;
        conn->about_name = nx_nats_keep_text(&at, connect->client_name);
        conn->about_language = nx_nats_keep_text(&at, connect->language);
        conn->about_version = nx_nats_keep_text(&at, connect->version);
    }
}

/* The wall clock's time of an instant of the monotonic one. */
static int64_t wall_of(const struct nx_nats_hub *hub, int64_t monotonic_ns) {
    return hub->now.wall_ns - (hub->now.monotonic_ns - monotonic_ns);
}

void nx_nats_conn_describe(const struct nx_nats_conn *conn, struct nx_nats_conn_stats *stats_out) {
    const struct nx_nats_user *user = conn->user;
    *stats_out = (struct nx_nats_conn_stats){
        .id = conn->id,
        .address = nx_str_from_c(conn->peer),
        .port = conn->port,
        .start_ns = wall_of(conn->hub, conn->opened_ns),
        .active_ns = wall_of(conn->hub, conn->active_ns),
        .rtt_ns = conn->rtt_ns,
        .pending_size = conn->output.len + conn->hub->transport.unwritten(conn->transport),
        .subscription_count = conn->subscriptions.count,
        .traffic = conn->traffic,
        .name = conn->about_name,
        .language = conn->about_language,
        .version = conn->about_version,
        .user = user == NULL         ? NX_STR_EMPTY
                : user->name.len > 0 ? user->name
                                     : user->nkey,
        .account = conn->account == NULL ? NX_STR_EMPTY : conn->account->name,
        .tls = conn->tls,
        .is_tls_first = conn->is_tls_first,
    };
}

void nx_nats_conn_describe_ended(const struct nx_nats_conn *conn, struct nx_nats_conn_stats *stats_out) {
    nx_nats_conn_describe(conn, stats_out);
    stats_out->stop_ns = conn->hub->now.wall_ns;
    stats_out->reason = conn->ended_because == NULL ? "Client Closed" : conn->ended_because;
}

bool nx_nats_conn_certificate(const struct nx_nats_conn *conn, size_t index,
                              struct nx_tls_certificate *certificate_out) {
    const struct nx_nats_transport *transport = &conn->hub->transport;
    return transport->certificate != NULL && transport->certificate(conn->transport, index, certificate_out);
}

const struct nx_nats_conn *nx_nats_hub_next_conn(const struct nx_nats_hub *hub,
                                                 const struct nx_nats_conn *conn) {
    const struct nx_list_node *node =
        conn == NULL ? nx_list_first(&hub->conns) : nx_list_next(&hub->conns, &conn->node);
    return node == NULL ? NULL : nx_container_of(node, struct nx_nats_conn, node);
}

size_t nx_nats_hub_subscription_total(const struct nx_nats_hub *hub) {
    size_t total = 0;
    for (const struct nx_nats_conn *conn = NULL; (conn = nx_nats_hub_next_conn(hub, conn)) != NULL;) {
        total += conn->subscriptions.count;
    }
    return total;
}

bool nx_nats_conn_next_subscription(const struct nx_nats_conn *conn, size_t *cursor,
                                    struct nx_nats_subscription_stats *stats_out) {
    void *value = NULL;
    if (!nx_map_next(&conn->subscriptions, cursor, NULL, &value)) {
        return false;
    }
    const struct nx_nats_subscription *subscription = value;
    *stats_out = (struct nx_nats_subscription_stats){ .subject = subscription->filter,
                                                      .queue = subscription->queue,
                                                      .sid = subscription->sid,
                                                      .delivered = subscription->delivered,
                                                      .count_max = subscription->count_max };
    return true;
}

/* Those that were */

/* Its texts stand in one piece of memory, behind the first of them. */
static void entry_forget(struct nx_nats_conn_stats *entry) {
    free((void *)(uintptr_t)entry->address.ptr);
    *entry = (struct nx_nats_conn_stats){ 0 };
}

static bool entry_keep(struct nx_nats_conn_stats *entry, const struct nx_nats_conn_stats *stats) {
    const size_t size = stats->address.len + stats->name.len + stats->language.len + stats->version.len +
                        stats->user.len + stats->account.len;
    char *at = malloc(size + 1);
    if (at == NULL) {
        return false;
    }
    *entry = *stats;
    entry->address = nx_nats_keep_text(&at, stats->address);
    entry->name = nx_nats_keep_text(&at, stats->name);
    entry->language = nx_nats_keep_text(&at, stats->language);
    entry->version = nx_nats_keep_text(&at, stats->version);
    entry->user = nx_nats_keep_text(&at, stats->user);
    entry->account = nx_nats_keep_text(&at, stats->account);
    return true;
}

void nx_nats_closed_keep(struct nx_nats_conn *conn) {
    struct nx_nats_closed *closed = &conn->hub->closed;
    struct nx_nats_conn_stats stats;
    if (closed->count_max == 0) {
        return;
    }
    if (closed->entries == NULL) {
        closed->entries = calloc(closed->count_max, sizeof *closed->entries);
    }
    if (closed->entries == NULL) {
        return; /* no memory: it is not remembered */
    }
    nx_nats_conn_describe_ended(conn, &stats);
    entry_forget(&closed->entries[closed->next]);
    if (entry_keep(&closed->entries[closed->next], &stats)) {
        closed->next = (closed->next + 1) % closed->count_max;
        closed->count += closed->count < closed->count_max ? 1 : 0;
    }
}

const struct nx_nats_conn_stats *nx_nats_closed_at(const struct nx_nats_closed *closed, size_t before_last) {
    if (before_last >= closed->count) {
        return NULL;
    }
    return &closed->entries[(closed->next + closed->count_max - 1 - before_last) % closed->count_max];
}

void nx_nats_closed_fini(struct nx_nats_closed *closed) {
    for (size_t i = 0; closed->entries != NULL && i < closed->count_max; i++) {
        entry_forget(&closed->entries[i]);
    }
    free(closed->entries);
    *closed = (struct nx_nats_closed){ .count_max = closed->count_max };
}

const char *nx_nats_reason_of(const char *error) {
    static const struct {
        const char *error;
        const char *reason;
    } reasons[] = {
        { "Slow Consumer", "Slow Consumer (Pending Bytes)" },
        { "Stale Connection", "Stale Connection" },
        { "Authorization Violation", "Authentication Failure" },
        { "Authentication Timeout", "Authentication Timeout" },
        { "maximum connections exceeded", "Maximum Connections Exceeded" },
        { "Maximum Payload Violation", "Maximum Message Payload Exceeded" },
        { "Maximum Control Line Exceeded", "Maximum Control Line Exceeded" },
        { "maximum subscriptions exceeded", "Maximum Subscriptions Exceeded" },
        { "Failed Account Registration", "Missing Account" },
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (nx_str_equal_ignore_case(nx_str_from_c(error), nx_str_from_c(reasons[i].error))) {
            return reasons[i].reason;
        }
    }
    return "Protocol Violation";
}
