/* src/app/nats_settings.c: see nats_settings.h. Tables say which keys there are; what a value is follows from
 * the table too, but where a key needs its own reader. */
#include "app/nats_settings_internal.h"

#include <limits.h>
#include <string.h>

#include "base/assert.h"
#include "codec/word.h"
#include "io/clock.h"

static const int64_t handshake_first_auto_ns = (int64_t)50 * NX_NS_PER_MS; /* nats-server's */

/* What to do instead, for keys that nats-server has and this server has not. */
static const char no_cluster[] = "this is one server; for more than one, run nats-server";
static const char no_jwt[] = "JWTs are not read: name accounts and users in the file";
static const char no_other_wire[] = "only the plain protocol is spoken: leave it out";
static const char no_sharing[] = "subjects are delivered as they are published: leave it out";
static const char no_log_service[] = "log lines go to standard error or to log_file: leave it out";
static const char no_stuck_writes[] =
    "a client that does not read is cut off at write_deadline and at max_pending: leave it out";
static const char no_such_thing[] = "leave it out";

/* Maps by tables */

static bool has_name(const struct nx_nats_key *key, struct nx_str name) {
    for (size_t i = 0; i < NX_NATS_KEY_NAMES_MAX && key->names[i] != NULL; i++) {
        if (nx_str_equal_ignore_case(name, nx_str_from_c(key->names[i]))) {
            return true;
        }
    }
    return false;
}

static enum nx_status fail_unknown(const struct nx_nats_node *node, const struct nx_nats_key *keys,
                                   size_t count, struct nx_error *err) {
    const char *names[NX_NATS_KEYS_MAX * NX_NATS_KEY_NAMES_MAX];
    size_t name_count = 0;
    nx_assert(count <= NX_NATS_KEYS_MAX);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < NX_NATS_KEY_NAMES_MAX && keys[i].names[j] != NULL; j++) {
            names[name_count++] = keys[i].names[j];
        }
    }
    const char *nearest = nx_word_nearest(node->key, names, name_count);
    const enum nx_status status =
        nx_nats_node_fail(err, node, "there is no key '%.*s' here", NX_STR_ARG(node->key));
    if (nearest != NULL) {
        nx_hint(err, "did you mean %s?", nearest);
    }
    return status;
}

static enum nx_status fail_refused(const struct nx_nats_node *node, const char *instead,
                                   struct nx_error *err) {
    (void)nx_fail(err, NX_UNIMPLEMENTED, "%.*s:%u:%u: '%.*s' is not built here", NX_STR_ARG(node->file),
                  node->line, node->column, NX_STR_ARG(node->key));
    nx_hint(err, "%s", instead);
    return NX_UNIMPLEMENTED;
}

static enum nx_status read_size(const struct nx_nats_node *node, size_t *size_out, struct nx_error *err) {
    int64_t value = 0;
    NX_TRY(nx_nats_node_to_i64(node, 0, INT32_MAX, &value, err));
    *size_out = (size_t)value;
    return NX_OK;
}

static enum nx_status read_value(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                 const struct nx_nats_key *key, void *target, struct nx_error *err) {
    void *value = (char *)target + key->offset;
    struct nx_str path;
    switch (key->kind) {
    case NX_NATS_KEY_READ:
        return key->read(reading, node, target, err);
    case NX_NATS_KEY_STR:
        return nx_nats_node_to_str(node, value, err);
    case NX_NATS_KEY_PATH:
        NX_TRY(nx_nats_node_to_str(node, &path, err));
        memcpy(value, &path.ptr, sizeof path.ptr); /* NUL behind it */
        return NX_OK;
    case NX_NATS_KEY_BOOL:
        return nx_nats_node_to_bool(node, value, err);
    case NX_NATS_KEY_SIZE:
        return read_size(node, value, err);
    case NX_NATS_KEY_DURATION:
        return nx_nats_node_to_duration(node, value, err);
    case NX_NATS_KEY_REFUSED:
        break;
    }
    return fail_refused(node, key->instead, err);
}

enum nx_status nx_nats_read_map(struct nx_nats_reading *reading, const struct nx_nats_node *map,
                                const struct nx_nats_key *keys, size_t key_count, void *target,
                                struct nx_error *err) {
    NX_TRY(nx_nats_node_expect(map, NX_NATS_NODE_MAP, err));
    for (const struct nx_nats_node *node = map->first; node != NULL; node = node->next) {
        const struct nx_nats_key *key = NULL;
        for (size_t i = 0; i < key_count && key == NULL; i++) {
            key = has_name(&keys[i], node->key) ? &keys[i] : NULL;
        }
        if (key != NULL) {
            NX_TRY(read_value(reading, node, key, target, err));
        } else if (!node->is_used) { /* a variable's place is no key */
            return fail_unknown(node, keys, key_count, err);
        }
    }
    return NX_OK;
}

void *nx_nats_read_alloc(struct nx_nats_reading *reading, size_t count, size_t size, struct nx_error *err) {
    nx_assert(size > 0);
    void *memory = count > NX_NATS_SETTINGS_SIZE_MAX / size
                       ? NULL
                       : nx_arena_alloc(&reading->settings->arena, count * size);
    if (memory == NULL) {
        (void)nx_fail_memory(err);
    }
    return memory;
}

/* Addresses */

bool nx_nats_settings_split(struct nx_str address, struct nx_str *host_out, int64_t *port_out) {
    struct nx_str host = NX_STR_EMPTY;
    uint64_t port = 0;
    size_t colon = address.len;
    while (colon > 0 && address.ptr[colon - 1] != ':') {
        colon--;
    }
    struct nx_str digits = nx_str_slice(address, colon, address.len);
    const bool is_random = nx_str_is(digits, "-1");
    if (!is_random && (!nx_str_to_u64(digits, &port) || port > UINT16_MAX)) {
        return false;
    }
    if (colon > 0) {
        host = nx_str_slice(address, 0, colon - 1);
        if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']') {
            host = nx_str_slice(host, 1, host.len - 1);
        } else if (nx_str_find_byte(host, ':') != SIZE_MAX) {
            return false; /* an IPv6 address without brackets */
        }
        host = host.len == 0 ? NX_STR("0.0.0.0") : host;
    }
    *host_out = host;
    *port_out = is_random ? -1 : (int64_t)port;
    return true;
}

/* A port, or an address with one. The host is left alone where none is said. */
static enum nx_status read_address(const struct nx_nats_node *node, struct nx_str *host, int64_t *port,
                                   struct nx_error *err) {
    struct nx_str found = NX_STR_EMPTY;
    if (node->kind == NX_NATS_NODE_INTEGER) {
        return nx_nats_node_to_i64(node, -1, UINT16_MAX, port, err);
    }
    if (node->kind != NX_NATS_NODE_STRING || !nx_nats_settings_split(node->text, &found, port)) {
        return nx_nats_node_fail(err, node, "'%.*s': expected a port, or an address such as 127.0.0.1:4222",
                                 NX_STR_ARG(node->key));
    }
    *host = found.len > 0 ? found : *host;
    return NX_OK;
}

static enum nx_status read_listen(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                  void *target, struct nx_error *err) {
    struct nx_nats_settings *settings = target;
    (void)reading;
    return read_address(node, &settings->server.host, &settings->port, err);
}

static enum nx_status read_http(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                void *target, struct nx_error *err) {
    struct nx_nats_settings *settings = target;
    (void)reading;
    return read_address(node, &settings->http_host, &settings->http_port, err);
}

static enum nx_status read_port(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                void *target, struct nx_error *err) {
    struct nx_nats_settings *settings = target;
    (void)reading;
    return nx_nats_node_to_i64(node, -1, UINT16_MAX, &settings->port, err);
}

static enum nx_status read_http_port(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                     void *target, struct nx_error *err) {
    struct nx_nats_settings *settings = target;
    (void)reading;
    return nx_nats_node_to_i64(node, -1, UINT16_MAX, &settings->http_port, err);
}

static enum nx_status read_server_name(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                       void *target, struct nx_error *err) {
    struct nx_nats_settings *settings = target;
    struct nx_str name;
    (void)reading;
    NX_TRY(nx_nats_node_to_str(node, &name, err));
    if (nx_str_find_byte(name, ' ') != SIZE_MAX) {
        return nx_nats_node_fail(err, node, "'%.*s': expected a name without spaces", NX_STR_ARG(node->key));
    }
    settings->server.server_name = name;
    return NX_OK;
}

/* JetStream */

bool nx_nats_read_enabled(const struct nx_nats_node *node, bool *enabled_out) {
    const struct nx_str word = node->kind == NX_NATS_NODE_STRING ? node->text : NX_STR_EMPTY;
    if (node->kind == NX_NATS_NODE_BOOL) {
        *enabled_out = node->boolean;
        return true;
    }
    if (nx_str_equal_ignore_case(word, NX_STR("enabled")) ||
        nx_str_equal_ignore_case(word, NX_STR("enable"))) {
        *enabled_out = true;
        return true;
    }
    if (nx_str_equal_ignore_case(word, NX_STR("disabled")) ||
        nx_str_equal_ignore_case(word, NX_STR("disable"))) {
        *enabled_out = false;
        return true;
    }
    return false;
}

static enum nx_status read_bytes(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                 void *target, struct nx_error *err) {
    int64_t bytes = 0;
    (void)reading;
    (void)target; /* streams are not served: the limit has nothing to hold yet, as the start says */
    return nx_nats_node_to_i64(node, -1, INT64_MAX, &bytes, err);
}

#define KEY(first, key_kind, member) \
    { .names = { first }, .kind = (key_kind), .offset = offsetof(struct nx_nats_settings, member) }
#define KEY_BY(first, reader) \
    { .names = { first }, .read = (reader) }
#define REFUSED(first, text) \
    { .names = { first }, .kind = NX_NATS_KEY_REFUSED, .instead = (text) }

static const struct nx_nats_key jetstream_keys[] = {
    { { "enabled", "enable" }, NX_NATS_KEY_BOOL, offsetof(struct nx_nats_settings, jetstream), NULL, NULL },
    { { "store_dir", "storedir", "store" },
      NX_NATS_KEY_PATH,
      offsetof(struct nx_nats_settings, store_dir),
      NULL,
      NULL },
    { { "max_memory_store", "max_mem_store", "max_mem" }, NX_NATS_KEY_READ, 0, read_bytes, NULL },
    { { "max_file_store", "max_file" }, NX_NATS_KEY_READ, 0, read_bytes, NULL },
    { { "sync", "sync_interval" },
      NX_NATS_KEY_REFUSED,
      0,
      NULL,
      "what is acknowledged is synced: leave it out" },
    REFUSED("domain", no_cluster),
    { { "key", "ek", "encryption_key" }, NX_NATS_KEY_REFUSED, 0, NULL, "encrypt the disk instead" },
    { { "prev_key", "prev_ek", "prev_encryption_key" }, NX_NATS_KEY_REFUSED, 0, NULL, no_such_thing },
    REFUSED("cipher", "encrypt the disk instead"),
    REFUSED("tpm", "encrypt the disk instead"),
    REFUSED("strict", no_such_thing),
    REFUSED("limits", no_such_thing),
    REFUSED("unique_tag", no_cluster),
    REFUSED("extension_hint", no_such_thing),
    REFUSED("max_outstanding_catchup", no_cluster),
    REFUSED("max_buffered_size", no_such_thing),
    REFUSED("max_buffered_msgs", no_such_thing),
    REFUSED("request_queue_limit", no_such_thing),
    REFUSED("info_queue_limit", no_such_thing),
    REFUSED("meta_compact", no_cluster),
    REFUSED("meta_compact_size", no_cluster),
    REFUSED("meta_compact_sync", no_cluster),
    REFUSED("max_concurrent_io", no_such_thing),
};

static enum nx_status read_jetstream(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                     void *target, struct nx_error *err) {
    struct nx_nats_settings *settings = target;
    if (nx_nats_read_enabled(node, &settings->jetstream)) {
        return NX_OK;
    }
    settings->jetstream = true;
    return nx_nats_read_map(reading, node, jetstream_keys, sizeof jetstream_keys / sizeof jetstream_keys[0],
                            settings, err);
}

/* TLS */

static enum nx_status read_handshake_first(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                           void *target, struct nx_error *err) {
    struct nx_nats_tls_options *tls = target;
    (void)reading;
    if (node->kind == NX_NATS_NODE_BOOL) {
        tls->handshake_first = node->boolean;
        return NX_OK;
    }
    tls->handshake_first = true;
    if (node->kind == NX_NATS_NODE_STRING &&
        (nx_str_equal_ignore_case(node->text, NX_STR("auto")) ||
         nx_str_equal_ignore_case(node->text, NX_STR("auto_fallback")))) {
        tls->handshake_first_fallback_ns = handshake_first_auto_ns;
        return NX_OK;
    }
    return nx_nats_node_to_duration(node, &tls->handshake_first_fallback_ns, err);
}

static enum nx_status read_tls_timeout(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                       void *target, struct nx_error *err) {
    struct nx_nats_tls_options *tls = target;
    (void)reading;
    return nx_nats_node_to_duration(node, &tls->timeout_ns, err);
}

#define TLS_KEY(first, key_kind, member) \
    { .names = { first }, .kind = (key_kind), .offset = offsetof(struct nx_nats_tls_options, member) }

static const struct nx_nats_key tls_keys[] = {
    TLS_KEY("cert_file", NX_NATS_KEY_PATH, cert_file),
    TLS_KEY("key_file", NX_NATS_KEY_PATH, key_file),
    TLS_KEY("ca_file", NX_NATS_KEY_PATH, ca_file),
    TLS_KEY("verify", NX_NATS_KEY_BOOL, verify),
    TLS_KEY("verify_and_map", NX_NATS_KEY_BOOL, verify_and_map),
    KEY_BY("timeout", read_tls_timeout),
    { { "handshake_first", "first", "immediate" }, NX_NATS_KEY_READ, 0, read_handshake_first, NULL },
    REFUSED("insecure", "certificates are always checked: leave it out"),
    REFUSED("verify_cert_and_check_known_urls", no_cluster),
    REFUSED("allow_insecure_cipher_suites", no_such_thing),
    REFUSED("cipher_suites", "TLS 1.2 and 1.3 with sound suites are spoken: leave it out"),
    REFUSED("curve_preferences", "TLS 1.2 and 1.3 with sound suites are spoken: leave it out"),
    REFUSED("min_version", "TLS 1.2 and 1.3 are spoken: leave it out"),
    REFUSED("connection_rate_limit", no_such_thing),
    REFUSED("pinned_certs", "use ca_file and verify"),
    { { "cert_store", "cert_match_by", "cert_match" },
      NX_NATS_KEY_REFUSED,
      0,
      NULL,
      "use cert_file and key_file" },
    { { "ca_certs_match", "cert_match_skip_invalid" }, NX_NATS_KEY_REFUSED, 0, NULL, "use ca_file" },
    { { "certs", "certificates" }, NX_NATS_KEY_REFUSED, 0, NULL, "use cert_file and key_file" },
    REFUSED("ocsp_peer", no_such_thing),
};

static enum nx_status read_tls(struct nx_nats_reading *reading, const struct nx_nats_node *node, void *target,
                               struct nx_error *err) {
    struct nx_nats_tls_options *tls = &((struct nx_nats_settings *)target)->server.tls;
    NX_TRY(nx_nats_read_map(reading, node, tls_keys, sizeof tls_keys / sizeof tls_keys[0], tls, err));
    if (tls->cert_file == NULL || tls->key_file == NULL) {
        return nx_nats_node_fail(err, node, "'%.*s': expected cert_file and key_file", NX_STR_ARG(node->key));
    }
    tls->verify = tls->verify || tls->verify_and_map;
    return NX_OK;
}

/* The whole file */

static enum nx_status read_pings(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                 void *target, struct nx_error *err) {
    int64_t count = 0;
    (void)reading;
    NX_TRY(nx_nats_node_to_i64(node, 0, INT16_MAX, &count, err));
    ((struct nx_nats_settings *)target)->server.pings_max = (unsigned)count;
    return NX_OK;
}

static enum nx_status read_no_auth_user(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                        void *target, struct nx_error *err) {
    reading->no_auth_user = node;
    return nx_nats_node_to_str(node, &((struct nx_nats_settings *)target)->server.no_auth_user, err);
}

static const struct nx_nats_key root_keys[] = {
    KEY_BY("listen", read_listen),
    KEY_BY("port", read_port),
    { { "host", "net" }, NX_NATS_KEY_STR, offsetof(struct nx_nats_settings, server.host), NULL, NULL },
    KEY_BY("server_name", read_server_name),
    KEY_BY("http", read_http),
    { { "http_port", "monitor_port" }, NX_NATS_KEY_READ, 0, read_http_port, NULL },
    KEY_BY("jetstream", read_jetstream),
    { { "store_dir", "storedir" },
      NX_NATS_KEY_PATH,
      offsetof(struct nx_nats_settings, store_dir),
      NULL,
      NULL },
    KEY_BY("authorization", nx_nats_read_authorization),
    KEY_BY("accounts", nx_nats_read_accounts),
    KEY_BY("no_auth_user", read_no_auth_user),
    { { "system_account", "system" },
      NX_NATS_KEY_STR,
      offsetof(struct nx_nats_settings, server.system_account),
      NULL,
      NULL },
    KEY_BY("tls", read_tls),
    KEY("allow_non_tls", NX_NATS_KEY_BOOL, server.tls.allow_non_tls),
    KEY("max_payload", NX_NATS_KEY_SIZE, server.payload_size_max),
    KEY("max_pending", NX_NATS_KEY_SIZE, server.pending_size_max),
    KEY("max_control_line", NX_NATS_KEY_SIZE, server.control_line_size_max),
    { { "max_connections", "max_conn" },
      NX_NATS_KEY_SIZE,
      offsetof(struct nx_nats_settings, server.connections_max),
      NULL,
      NULL },
    { { "max_subscriptions", "max_subs" },
      NX_NATS_KEY_SIZE,
      offsetof(struct nx_nats_settings, server.subscriptions_max),
      NULL,
      NULL },
    KEY("write_deadline", NX_NATS_KEY_DURATION, server.write_deadline_ns),
    KEY("ping_interval", NX_NATS_KEY_DURATION, server.ping_interval_ns),
    KEY_BY("ping_max", read_pings),
    KEY("lame_duck_duration", NX_NATS_KEY_DURATION, server.lame_duck_ns),
    KEY("lame_duck_grace_period", NX_NATS_KEY_DURATION, server.lame_duck_grace_ns),
    { { "pid_file", "pidfile" }, NX_NATS_KEY_PATH, offsetof(struct nx_nats_settings, pid_file), NULL, NULL },
    KEY("ports_file_dir", NX_NATS_KEY_PATH, ports_file_dir),
    { { "log_file", "logfile" }, NX_NATS_KEY_PATH, offsetof(struct nx_nats_settings, log_file), NULL, NULL },
    KEY("logtime", NX_NATS_KEY_BOOL, logtime),
    KEY("debug", NX_NATS_KEY_BOOL, debug),
    KEY("trace", NX_NATS_KEY_BOOL, trace),
    /* Known to nats-server. */
    REFUSED("cluster", no_cluster),
    REFUSED("gateway", no_cluster),
    { { "leafnodes", "leaf" }, NX_NATS_KEY_REFUSED, 0, NULL, no_cluster },
    REFUSED("client_advertise", no_cluster),
    { { "operator", "operators" }, NX_NATS_KEY_REFUSED, 0, NULL, no_jwt },
    { { "roots", "root" }, NX_NATS_KEY_REFUSED, 0, NULL, no_jwt },
    { { "root_operator", "root_operators" }, NX_NATS_KEY_REFUSED, 0, NULL, no_jwt },
    { { "resolver", "account_resolver", "accounts_resolver" }, NX_NATS_KEY_REFUSED, 0, NULL, no_jwt },
    { { "resolver_tls", "resolver_preload", "resolver_pinned_accounts" },
      NX_NATS_KEY_REFUSED,
      0,
      NULL,
      no_jwt },
    { { "trusted", "trusted_keys", "default_sentinel" }, NX_NATS_KEY_REFUSED, 0, NULL, no_jwt },
    { { "websocket", "ws", "mqtt" }, NX_NATS_KEY_REFUSED, 0, NULL, no_other_wire },
    { { "mappings", "maps" }, NX_NATS_KEY_REFUSED, 0, NULL, no_sharing },
    { { "https", "https_port" }, NX_NATS_KEY_REFUSED, 0, NULL, "monitoring is plain HTTP: use http" },
    REFUSED("http_base_path", "monitoring stands at /: leave it out"),
    { { "no_system_account", "no_system", "no_sys_acc" }, NX_NATS_KEY_REFUSED, 0, NULL, no_such_thing },
    REFUSED("no_header_support", "headers are always spoken: leave it out"),
    { { "trace_verbose", "trace_headers" }, NX_NATS_KEY_REFUSED, 0, NULL, no_such_thing },
    REFUSED("logtime_utc", "times are UTC: leave it out"),
    { { "log_size_limit", "logfile_size_limit" }, NX_NATS_KEY_REFUSED, 0, NULL, "use logrotate" },
    { { "log_max_num", "logfile_max_num" }, NX_NATS_KEY_REFUSED, 0, NULL, "use logrotate" },
    { { "syslog", "remote_syslog" }, NX_NATS_KEY_REFUSED, 0, NULL, no_log_service },
    REFUSED("write_timeout", no_stuck_writes),
    { { "max_sub_tokens", "max_subscription_tokens" }, NX_NATS_KEY_REFUSED, 0, NULL, no_such_thing },
    { { "prof_port", "prof_block_rate" }, NX_NATS_KEY_REFUSED, 0, NULL, "nexus measures itself at /metrics" },
    { { "ocsp", "ocsp_cache" }, NX_NATS_KEY_REFUSED, 0, NULL, no_such_thing },
    { { "disable_sublist_cache", "no_sublist_cache" }, NX_NATS_KEY_REFUSED, 0, NULL, no_such_thing },
    { { "connect_error_reports", "reconnect_error_reports" }, NX_NATS_KEY_REFUSED, 0, NULL, no_cluster },
    { { "server_tags", "server_metadata" }, NX_NATS_KEY_REFUSED, 0, NULL, no_cluster },
    { { "default_js_domain" }, NX_NATS_KEY_REFUSED, 0, NULL, no_cluster },
    { { "proxy_protocol", "proxies" }, NX_NATS_KEY_REFUSED, 0, NULL, no_such_thing },
    { { "max_traced_msg_len", "max_closed_clients" }, NX_NATS_KEY_REFUSED, 0, NULL, no_such_thing },
    { { "feature_flags", "no_fast_producer_stall" }, NX_NATS_KEY_REFUSED, 0, NULL, no_such_thing },
};

void nx_nats_settings_init(struct nx_nats_settings *settings) {
    *settings = (struct nx_nats_settings){ .port = NX_NATS_PORT_DEFAULT,
                                           .http_host = NX_STR_EMPTY,
                                           .logtime = true,
                                           .server = { .host = NX_STR("127.0.0.1") } };
    nx_arena_init(&settings->arena, NX_NATS_SETTINGS_SIZE_MAX);
}

void nx_nats_settings_fini(struct nx_nats_settings *settings) {
    if (settings == NULL) {
        return;
    }
    nx_arena_fini(&settings->arena);
    nx_nats_config_free(NX_TAKE(settings->config));
}

enum nx_status nx_nats_settings_take(struct nx_nats_settings *settings, struct nx_nats_config *config,
                                     struct nx_error *err) {
    struct nx_nats_reading reading = { .settings = settings };
    nx_assert(settings->config == NULL);
    settings->config = config;
    NX_TRY(nx_nats_read_map(&reading, nx_nats_config_root(config), root_keys,
                            sizeof root_keys / sizeof root_keys[0], settings, err));
    NX_TRY(nx_nats_check_users(&reading, err));
    settings->port = settings->port == 0 ? NX_NATS_PORT_DEFAULT : settings->port;
    settings->server.users = reading.users;
    settings->server.user_count = reading.user_count;
    settings->server.accounts = reading.accounts;
    settings->server.account_count = reading.account_count;
    return NX_OK;
}
