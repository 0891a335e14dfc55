/* src/server/nats/pages.c: see pages.h. The pages without a list; which page a path is. */
#include "server/nats/pages_internal.h"

#include <inttypes.h>

#include "codec/time_format.h"

enum { QUERY_SIZE_MAX = 64 * 1024, LIMIT_DEFAULT = 1024, LIMIT_MAX = 100000, UPTIME_SIZE_MAX = 64 };

static const double percent = 100;

void nx_nats_uptime_append(struct nx_buf *out, int64_t ns) {
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = { { 'y', 365 * 86400 }, { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };
    int64_t seconds = ns < 0 ? 0 : ns / NX_NS_PER_S;
    bool begun = false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        const int64_t count = seconds / units[i].seconds;
        begun = begun || count > 0 || units[i].letter == 's';
        if (begun) {
            nx_buf_append_format(out, "%" PRId64 "%c", count, units[i].letter);
        }
        seconds %= units[i].seconds;
    }
}

void nx_nats_go_duration_append(struct nx_buf *out, int64_t ns) {
    static const struct {
        const char *unit;
        int64_t ns;
    } units[] = { { "s", NX_NS_PER_S }, { "ms", NX_NS_PER_MS }, { "µs", NX_NS_PER_US }, { "ns", 1 } };
    size_t i = 0;
    while (ns > 0 && units[i].ns > 1 && ns < units[i].ns) { /* nothing is "0s" */
        i++;
    }
    const int64_t rest = ns % units[i].ns * 1000 / units[i].ns;
    nx_buf_append_format(out, "%" PRId64, ns / units[i].ns);
    if (rest > 0) {
        nx_buf_append_format(out, ".%03" PRId64, rest);
        while (out->len > 0 && out->ptr[out->len - 1] == '0') {
            nx_buf_truncate(out, out->len - 1);
        }
    }
    nx_buf_append_c(out, units[i].unit);
}

void nx_nats_page_member_time(struct nx_json_writer *json, const char *key, int64_t wall_ns) {
    char text[NX_TIME_TEXT_SIZE + 1];
    nx_json_member_str(json, key, nx_time_format(wall_ns, NX_TIME_SHORTEST, text));
}

void nx_nats_page_begin(const struct nx_nats_pages *pages, struct nx_json_writer *json) {
    nx_json_object_begin(json);
    nx_json_member_str(json, "server_id", pages->options.hub->info.server_id);
    nx_nats_page_member_time(json, "now", pages->now.wall_ns);
}

enum nx_status nx_nats_page_flag(const struct nx_http_query *query, const char *name, bool *value_inout,
                                 struct nx_error *err) {
    static const char *const words[] = { "0", "1", "f", "t", "false", "true" };
    const struct nx_str text = nx_http_query_value(query, name);
    if (text.len == 0) {
        return NX_OK;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (nx_str_equal_ignore_case(text, nx_str_from_c(words[i]))) {
            *value_inout = i % 2 == 1;
            return NX_OK;
        }
    }
    return nx_fail(err, NX_INVALID_ARGUMENT, "parameter '%s': expected true or false, not '%.*s'", name,
                   NX_STR_ARG(nx_str_slice(text, 0, 64)));
}

enum nx_status nx_nats_page_window(const struct nx_http_query *query, uint64_t *offset_out,
                                   uint64_t *limit_out, struct nx_error *err) {
    *offset_out = 0;
    *limit_out = LIMIT_DEFAULT;
    NX_TRY(nx_http_query_u64(query, "offset", 0, UINT32_MAX, offset_out, err));
    NX_TRY(nx_http_query_u64(query, "limit", 0, LIMIT_MAX, limit_out, err));
    *limit_out = *limit_out == 0 ? LIMIT_DEFAULT : *limit_out;
    return NX_OK;
}

/* /varz */

static void member_empty(struct nx_json_writer *json, const char *key) {
    nx_json_key(json, nx_str_from_c(key));
    nx_json_object_begin(json);
    nx_json_object_end(json);
}

/* clients, and what there is none of. */
static void member_by_kind(struct nx_json_writer *json, const char *key, uint64_t clients) {
    nx_json_key(json, nx_str_from_c(key));
    nx_json_object_begin(json);
    nx_json_member_u64(json, "clients", clients);
    nx_json_member_u64(json, "routes", 0);
    nx_json_member_u64(json, "gateways", 0);
    nx_json_member_u64(json, "leafs", 0);
    nx_json_object_end(json);
}

static void write_varz_settings(const struct nx_nats_pages *pages, struct nx_json_writer *json) {
    static const char *const absent[] = { "cluster", "gateway", "leaf", "mqtt", "websocket", "jetstream" };
    const struct nx_nats_hub *hub = pages->options.hub;
    const struct nx_nats_info *info = &hub->info;
    nx_json_member_str(json, "server_name", info->server_name);
    nx_json_member_str(json, "version", info->version);
    nx_json_member_u64(json, "proto", 1);
    nx_json_member_str(json, "host", info->host);
    nx_json_member_u64(json, "port", info->port);
    if (nx_nats_access_is_required(hub->access)) {
        nx_json_member_bool(json, "auth_required", true);
    }
    if (info->tls_required) {
        nx_json_member_bool(json, "tls_required", true);
    }
    if (info->tls_verify) {
        nx_json_member_bool(json, "tls_verify", true);
    }
    nx_json_member_u64(json, "max_connections", pages->options.connections_max);
    nx_json_member_i64(json, "ping_interval", hub->ping_interval_ns);
    nx_json_member_u64(json, "ping_max", hub->pings_max);
    nx_json_member_str(json, "http_host", pages->options.host);
    nx_json_member_u64(json, "http_port", pages->http_port);
    nx_json_member_c(json, "http_base_path", "");
    nx_json_member_u64(json, "https_port", 0);
    nx_json_key(json, NX_STR("auth_timeout"));
    nx_json_double(json, (double)hub->auth_timeout_ns / NX_NS_PER_S);
    nx_json_member_u64(json, "max_control_line", hub->control_line_size_max);
    nx_json_member_u64(json, "max_payload", info->payload_size_max);
    nx_json_member_u64(json, "max_pending", hub->pending_size_max);
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        member_empty(json, absent[i]);
    }
    nx_json_member_i64(json, "write_deadline", pages->options.write_deadline_ns);
}

/* Of one core, since the last time somebody asked: 150 is one and a half. */
static double cpu_percent(struct nx_nats_pages *pages) {
    const int64_t now_ns = pages->now.monotonic_ns;
    const int64_t passed_ns = now_ns - pages->usage_ns;
    const int64_t used_ns = pages->usage.cpu_ns - pages->usage_cpu_ns;
    pages->usage_ns = now_ns;
    pages->usage_cpu_ns = pages->usage.cpu_ns;
    return passed_ns <= 0 ? 0 : percent * (double)used_ns / (double)passed_ns;
}

void nx_nats_page_members_process(struct nx_nats_pages *pages, struct nx_json_writer *json) {
    nx_json_member_u64(json, "mem", pages->usage.memory_size);
    nx_json_member_u64(json, "cores", pages->usage.core_count);
    nx_json_key(json, NX_STR("cpu"));
    nx_json_double(json, cpu_percent(pages));
}

static void write_varz_state(struct nx_nats_pages *pages, struct nx_json_writer *json) {
    const struct nx_nats_hub *hub = pages->options.hub;
    const struct nx_nats_counters *counters = hub->counters;
    NX_AUTO(nx_buf) text = { 0 };
    nx_buf_init(&text, UPTIME_SIZE_MAX);
    nx_nats_uptime_append(&text, pages->now.wall_ns - pages->started_ns);
    nx_nats_page_member_time(json, "start", pages->started_ns);
    nx_json_member_str(json, "uptime", nx_buf_str(&text));
    nx_nats_page_members_process(pages, json);
    nx_json_member_u64(json, "connections", hub->conns.count);
    nx_json_member_u64(json, "total_connections", hub->client_count);
    nx_json_member_u64(json, "routes", 0);
    nx_json_member_u64(json, "remotes", 0);
    nx_json_member_u64(json, "leafnodes", 0);
    nx_json_member_u64(json, "in_msgs", nx_counter_get(&counters->messages_in));
    nx_json_member_u64(json, "in_bytes", nx_counter_get(&counters->bytes_in));
    nx_json_member_u64(json, "in_client_msgs", nx_counter_get(&counters->messages_in));
    nx_json_member_u64(json, "in_client_bytes", nx_counter_get(&counters->bytes_in));
    nx_json_member_u64(json, "out_msgs", nx_counter_get(&counters->messages_out));
    nx_json_member_u64(json, "out_bytes", nx_counter_get(&counters->bytes_out));
    nx_json_member_u64(json, "out_client_msgs", nx_counter_get(&counters->messages_out));
    nx_json_member_u64(json, "out_client_bytes", nx_counter_get(&counters->bytes_out));
    nx_json_member_u64(json, "slow_consumers", nx_counter_get(&counters->slow_consumers));
    nx_json_member_u64(json, "stale_connections", nx_counter_get(&counters->stale));
    nx_json_member_u64(json, "stalled_clients", 0);
    nx_json_member_u64(json, "subscriptions", nx_nats_hub_subscription_total(hub));
    member_by_kind(json, "slow_consumer_stats", nx_counter_get(&counters->slow_consumers));
    member_by_kind(json, "stale_connection_stats", nx_counter_get(&counters->stale));
    nx_json_member_str(json, "system_account", pages->options.system_account);
}

static void write_requests(const struct nx_nats_pages *pages, struct nx_json_writer *json);

static enum nx_status write_varz(struct nx_nats_pages *pages, const struct nx_http_query *query,
                                 struct nx_json_writer *json, struct nx_error *err) {
    (void)query;
    (void)err;
    nx_nats_page_begin(pages, json);
    write_varz_settings(pages, json);
    write_varz_state(pages, json);
    write_requests(pages, json);
    nx_nats_page_member_time(json, "config_load_time", pages->started_ns);
    nx_json_object_end(json);
    return NX_OK;
}

/* /jsz: as a server with JetStream off. */
static enum nx_status write_jsz(struct nx_nats_pages *pages, const struct nx_http_query *query,
                                struct nx_json_writer *json, struct nx_error *err) {
    static const char *const before[] = { "memory",           "storage",  "reserved_memory",
                                          "reserved_storage", "accounts", "ha_assets" };
    static const char *const after[] = { "streams", "consumers", "messages", "bytes", "total" };
    (void)query;
    (void)err;
    nx_nats_page_begin(pages, json);
    nx_json_member_bool(json, "disabled", true);
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        nx_json_member_u64(json, before[i], 0);
    }
    nx_json_key(json, NX_STR("api"));
    nx_json_object_begin(json);
    nx_json_member_u64(json, "level", 0);
    nx_json_member_u64(json, "total", 0);
    nx_json_member_u64(json, "errors", 0);
    nx_json_object_end(json);
    nx_json_key(json, NX_STR("config"));
    nx_json_object_begin(json);
    nx_json_member_u64(json, "max_memory", 0);
    nx_json_member_u64(json, "max_storage", 0);
    nx_json_object_end(json);
    for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
        nx_json_member_u64(json, after[i], 0);
    }
    nx_json_object_end(json);
    return NX_OK;
}

static enum nx_status write_healthz(struct nx_nats_pages *pages, const struct nx_http_query *query,
                                    struct nx_json_writer *json, struct nx_error *err) {
    static const char *const about_streams[] = { "account", "stream", "consumer" };
    (void)pages;
    for (size_t i = 0; i < sizeof about_streams / sizeof about_streams[0]; i++) {
        if (nx_http_query_value(query, about_streams[i]).len > 0) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "parameter '%s': JetStream is not served yet",
                           about_streams[i]);
        }
    }
    nx_json_object_begin(json);
    nx_json_member_c(json, "status", "ok");
    nx_json_object_end(json);
    return NX_OK;
}

/* Which page */

static const char *const no_names[] = { NULL };
static const char *const jsz_names[] = { "acc",    "accounts", "streams",     "consumers",          "config",
                                         "offset", "limit",    "leader-only", "stream-leader-only", "raft",
                                         NULL };
static const char *const healthz_names[] = { "js-enabled-only", "js-server-only", "js-enabled",
                                             "js-meta-only",    "details",        "account",
                                             "stream",          "consumer",       NULL };
static const char *const connz_names[] = { "sort",  "auth", "subs", "offset",         "limit", "cid",
                                           "state", "user", "acc",  "filter_subject", NULL };
static const char *const subsz_names[] = { "subs", "offset", "limit", "test", "acc", NULL };

static const struct page {
    const char *path;
    const char *title;
    const char *const *names;
    enum nx_status (*write)(struct nx_nats_pages *pages, const struct nx_http_query *query,
                            struct nx_json_writer *json, struct nx_error *err);
} all[] = {
    { "/varz", "General", no_names, write_varz },
    { "/connz", "Connections", connz_names, nx_nats_page_connz },
    { "/subsz", "Subscriptions", subsz_names, nx_nats_page_subsz },
    { "/subscriptionsz", NULL, subsz_names, nx_nats_page_subsz },
    { "/jsz", "JetStream", jsz_names, write_jsz },
    { "/healthz", "Health probe", healthz_names, write_healthz },
};

_Static_assert(sizeof all / sizeof all[0] <= NX_NATS_PAGES_MAX, "each page is counted");

static void write_requests(const struct nx_nats_pages *pages, struct nx_json_writer *json) {
    nx_json_key(json, NX_STR("http_req_stats"));
    nx_json_object_begin(json);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (pages->asked[i] > 0) {
            nx_json_member_u64(json, all[i].path, pages->asked[i]);
        }
    }
    nx_json_object_end(json);
}

static void write_index(struct nx_buf *out) {
    nx_buf_append_c(
        out, "<!doctype html>\n<html lang=\"en\"><head><title>nexus nats-server</title></head><body>\n");
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].title != NULL) {
            nx_buf_append_format(out, "<p><a href=\".%s\">%s</a> %s</p>\n", all[i].path, all[i].title,
                                 all[i].path);
        }
    }
    nx_buf_append_c(out, "</body></html>\n");
}

enum nx_status nx_nats_page_write(struct nx_nats_pages *pages, struct nx_str path, struct nx_str query,
                                  struct nx_buf *out, struct nx_str *type_out, struct nx_error *err) {
    NX_AUTO(nx_arena) arena;
    struct nx_http_query parsed;
    struct nx_json_writer json;
    nx_arena_init(&arena, QUERY_SIZE_MAX);
    if (nx_str_is(path, "/")) {
        write_index(out);
        *type_out = NX_STR("text/html; charset=utf-8");
        return nx_buf_check(out, err);
    }
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (nx_str_is(path, all[i].path)) {
            pages->asked[i] += pages->is_counting;
            NX_TRY(nx_http_query_parse(query, all[i].names, &arena, &parsed, err));
            nx_json_writer_init(&json, out);
            NX_TRY(all[i].write(pages, &parsed, &json, err));
            nx_json_writer_end(&json);
            *type_out = NX_STR("application/json");
            const enum nx_status status = nx_buf_check(out, err);
            if (status != NX_OK) {
                nx_hint(err, "ask for less at once: limit and offset");
            }
            return status;
        }
    }
    return nx_fail(err, NX_NOT_FOUND, "there is no page '%.*s'", NX_STR_ARG(nx_str_slice(path, 0, 64)));
}
