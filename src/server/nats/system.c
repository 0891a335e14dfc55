/* src/server/nats/system.c: see system.h. What is told, and which answer is asked for; those are in
 * system_answers.c. */
#include <stdio.h>
#include <stdlib.h>

#include "server/nats/system_internal.h"

enum {
    OPTIONS_MEMORY_MAX = 1024 * 1024, /* of a request, parsed */
    STATS_INTERVAL_S = 10,            /* ticks, as the next */
    CONNS_INTERVAL_S = 30,
    CODE_BAD_REQUEST = 400,
    ERROR_SIZE_MAX = 128,
};

/* Writing */

static void write_server(struct nx_nats_system *system, struct nx_json_writer *json) {
    const struct nx_nats_info *info = &system->hub->info;
    nx_json_object_begin(json);
    nx_json_member_str(json, "name", info->server_name);
    nx_json_member_str(json, "host", info->host);
    nx_json_member_str(json, "id", info->server_id);
    nx_json_member_str(json, "ver", info->version);
    nx_json_member_bool(json, "jetstream", info->jetstream);
    nx_json_member_u64(json, "flags", 0);
    nx_json_member_u64(json, "seq", ++system->sequence);
    nx_nats_page_member_time(json, "time", system->hub->now.wall_ns);
    nx_json_object_end(json);
}

void nx_nats_system_member_server(struct nx_nats_system *system, struct nx_json_writer *json) {
    nx_json_key(json, NX_STR("server"));
    write_server(system, json);
}

/* {"type":…,"id":…,"timestamp":…,"server":…, and is left open. */
static void event_begin(struct nx_nats_system *system, struct nx_json_writer *json, const char *type) {
    uint8_t random[NX_ULID_RANDOM_SIZE];
    char id[NX_ULID_TEXT_SIZE + 1];
    nx_random_fill(&system->hub->random, random, sizeof random);
    const struct nx_ulid ulid = nx_ulid_next(&system->ids, system->hub->now.wall_ns, random);
    nx_json_object_begin(json);
    nx_json_member_c(json, "type", type);
    nx_json_member_str(json, "id", nx_ulid_format(&ulid, id));
    nx_nats_page_member_time(json, "timestamp", system->hub->now.wall_ns);
    nx_nats_system_member_server(system, json);
}

static void member_text(struct nx_json_writer *json, const char *key, struct nx_str text) {
    if (text.len > 0) {
        nx_json_member_str(json, key, text);
    }
}

static void member_data(struct nx_json_writer *json, const char *key, uint64_t messages, uint64_t bytes) {
    nx_json_key(json, nx_str_from_c(key));
    nx_json_object_begin(json);
    nx_json_member_u64(json, "msgs", messages);
    nx_json_member_u64(json, "bytes", bytes);
    nx_json_object_end(json);
}

static void member_client(struct nx_json_writer *json, const struct nx_nats_conn_stats *stats) {
    nx_json_key(json, NX_STR("client"));
    nx_json_object_begin(json);
    nx_nats_page_member_time(json, "start", stats->start_ns);
    nx_json_member_str(json, "host", stats->address);
    nx_json_member_u64(json, "id", stats->id);
    nx_json_member_str(json, "acc", stats->account);
    member_text(json, "user", stats->user);
    member_text(json, "name", stats->name);
    member_text(json, "lang", stats->language);
    member_text(json, "ver", stats->version);
    if (stats->rtt_ns > 0) {
        nx_json_member_i64(json, "rtt", stats->rtt_ns);
    }
    if (stats->stop_ns != 0) {
        nx_nats_page_member_time(json, "stop", stats->stop_ns);
    }
    nx_json_member_c(json, "kind", "Client");
    nx_json_member_c(json, "client_type", "nats");
    nx_json_object_end(json);
}

/* Without `except`, a connection that is about to end. */
struct nx_nats_account_stats nx_nats_system_stats_of(const struct nx_nats_hub *hub, struct nx_str account,
                                                     const struct nx_nats_conn *except) {
    struct nx_nats_account_stats stats = { 0 };
    for (const struct nx_nats_conn *conn = NULL; (conn = nx_nats_hub_next_conn(hub, conn)) != NULL;) {
        if (conn != except && conn->account != NULL && nx_str_equal(conn->account->name, account)) {
            stats.conn_count++;
            stats.subscription_count += conn->subscriptions.count;
            stats.traffic.messages_in += conn->traffic.messages_in;
            stats.traffic.bytes_in += conn->traffic.bytes_in;
            stats.traffic.messages_out += conn->traffic.messages_out;
            stats.traffic.bytes_out += conn->traffic.bytes_out;
        }
    }
    return stats;
}

void nx_nats_system_members_account(struct nx_json_writer *json, struct nx_str account,
                                    const struct nx_nats_account_stats *stats) {
    nx_json_member_str(json, "acc", account);
    nx_json_member_str(json, "name", account);
    nx_json_member_u64(json, "conns", stats->conn_count);
    nx_json_member_u64(json, "leafnodes", 0);
    nx_json_member_u64(json, "total_conns", stats->conn_count);
    nx_json_member_u64(json, "num_subscriptions", stats->subscription_count);
    member_data(json, "sent", stats->traffic.messages_out, stats->traffic.bytes_out);
    member_data(json, "received", stats->traffic.messages_in, stats->traffic.bytes_in);
    nx_json_member_u64(json, "slow_consumers", 0);
}

static void member_stats(struct nx_nats_system *system, struct nx_json_writer *json) {
    const struct nx_nats_hub *hub = system->hub;
    const struct nx_nats_counters *counters = hub->counters;
    nx_json_key(json, NX_STR("statsz"));
    nx_json_object_begin(json);
    nx_nats_page_member_time(json, "start", system->pages.started_ns);
    nx_nats_page_members_process(&system->pages, json);
    nx_json_member_u64(json, "connections", hub->conns.count);
    nx_json_member_u64(json, "total_connections", hub->client_count);
    nx_json_member_u64(json, "active_accounts", hub->accounts.count);
    nx_json_member_u64(json, "subscriptions", nx_nats_hub_subscription_total(hub));
    member_data(json, "sent", nx_counter_get(&counters->messages_out), nx_counter_get(&counters->bytes_out));
    member_data(json, "received", nx_counter_get(&counters->messages_in),
                nx_counter_get(&counters->bytes_in));
    nx_json_member_u64(json, "slow_consumers", nx_counter_get(&counters->slow_consumers));
    nx_json_member_u64(json, "active_servers", 1);
    nx_json_object_end(json);
}

/* Events */

static bool is_heard(const struct nx_nats_system *system) {
    return nx_map_get(&system->hub->accounts, system->account) != NULL;
}

/* `before` and `after` stand around the name, of a server or an account. */
static void tell(struct nx_nats_system *system, const struct nx_buf *text, const char *before,
                 struct nx_str name, const char *after) {
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&subject, NX_NATS_SYSTEM_SUBJECT_SIZE_MAX);
    nx_buf_append_format(&subject, "%s%.*s%s", before, NX_STR_ARG(name), after);
    if (!nx_buf_failed(&subject) && !nx_buf_failed(text)) { /* a name can be too long for a subject */
        nx_nats_hub_publish(
            system->hub, system->account,
            &(struct nx_nats_op){ .subject = nx_buf_str(&subject), .payload = nx_buf_str(text) });
    }
}

void nx_nats_system_write_conns(struct nx_nats_system *system, struct nx_buf *text, struct nx_str account,
                                const struct nx_nats_conn *except) {
    struct nx_json_writer json;
    const struct nx_nats_account_stats stats = nx_nats_system_stats_of(system->hub, account, except);
    nx_json_writer_init(&json, text);
    event_begin(system, &json, "io.nats.server.advisory.v1.account_connections");
    nx_nats_system_members_account(&json, account, &stats);
    nx_json_object_end(&json);
}

static void tell_conns(struct nx_nats_system *system, struct nx_str account,
                       const struct nx_nats_conn *except) {
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    nx_nats_system_write_conns(system, &text, account, except);
    tell(system, &text, "$SYS.SERVER.ACCOUNT.", account, ".CONNS");
    tell(system, &text, "$SYS.ACCOUNT.", account, ".SERVER.CONNS");
}

void nx_nats_system_connected(struct nx_nats_system *system, const struct nx_nats_conn *conn) {
    struct nx_json_writer json;
    struct nx_nats_conn_stats stats;
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    if (!is_heard(system)) {
        return;
    }
    nx_nats_conn_describe(conn, &stats);
    stats.rtt_ns = 0; /* as NATS: not said yet */
    tell_conns(system, stats.account, NULL);
    nx_json_writer_init(&json, &text);
    event_begin(system, &json, "io.nats.server.advisory.v1.client_connect");
    member_client(&json, &stats);
    nx_json_object_end(&json);
    tell(system, &text, "$SYS.ACCOUNT.", stats.account, ".CONNECT");
}

static void write_disconnect(struct nx_nats_system *system, struct nx_buf *text,
                             const struct nx_nats_conn_stats *stats) {
    struct nx_json_writer json;
    nx_json_writer_init(&json, text);
    event_begin(system, &json, "io.nats.server.advisory.v1.client_disconnect");
    member_client(&json, stats);
    member_data(&json, "sent", stats->traffic.messages_in, stats->traffic.bytes_in); /* by the client */
    member_data(&json, "received", stats->traffic.messages_out, stats->traffic.bytes_out);
    nx_json_member_c(&json, "reason", stats->reason);
    nx_json_object_end(&json);
}

void nx_nats_system_disconnected(struct nx_nats_system *system, const struct nx_nats_conn *conn) {
    struct nx_nats_conn_stats stats;
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    if (conn->account == NULL || !is_heard(system)) {
        return;
    }
    nx_nats_conn_describe_ended(conn, &stats);
    tell_conns(system, stats.account, conn);
    write_disconnect(system, &text, &stats);
    tell(system, &text, "$SYS.ACCOUNT.", stats.account, ".DISCONNECT");
}

void nx_nats_system_refused(struct nx_nats_system *system, const struct nx_nats_conn *conn,
                            struct nx_str user) {
    struct nx_nats_conn_stats stats;
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    if (!is_heard(system)) {
        return;
    }
    nx_nats_conn_describe_ended(conn, &stats);
    stats.user = user;
    stats.account = nx_nats_account_default; /* as NATS: nobody's yet */
    stats.reason = "Authentication Failure";
    write_disconnect(system, &text, &stats);
    tell(system, &text, "$SYS.SERVER.", system->hub->info.server_id, ".CLIENT.AUTH.ERR");
}

void nx_nats_system_ending(struct nx_nats_system *system, const char *how) {
    struct nx_json_writer json;
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    nx_json_writer_init(&json, &text);
    write_server(system, &json);
    tell(system, &text, "$SYS.SERVER.", system->hub->info.server_id, how);
}

void nx_nats_system_write_stats(struct nx_nats_system *system, struct nx_buf *text) {
    struct nx_json_writer json;
    nx_json_writer_init(&json, text);
    nx_json_object_begin(&json);
    nx_nats_system_member_server(system, &json);
    member_stats(system, &json);
    nx_json_object_end(&json);
}

/* What pages show of now. */
void nx_nats_system_look_around(struct nx_nats_system *system) {
    system->pages.now = system->hub->now;
    nx_process_usage_read(&system->pages.usage);
}

void nx_nats_system_tick(struct nx_nats_system *system) {
    const uint64_t tick = system->ticks++;
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    if (!is_heard(system)) {
        return;
    }
    if (tick % STATS_INTERVAL_S == 0) {
        nx_nats_system_look_around(system);
        nx_nats_system_write_stats(system, &text);
        tell(system, &text, "$SYS.SERVER.", system->hub->info.server_id, ".STATSZ");
    }
    size_t cursor = 0;
    void *account = NULL;
    while (tick % CONNS_INTERVAL_S == 0 && nx_map_next(&system->hub->accounts, &cursor, NULL, &account)) {
        tell_conns(system, ((const struct nx_nats_account *)account)->name, NULL);
    }
}

/* Requests */

static const struct nx_str prefix = { "$SYS.REQ.", 9 };

/* The words behind it. */
struct words {
    struct nx_str kind; /* SERVER, ACCOUNT, USER */
    struct nx_str whom;
    struct nx_str what; /* empty: it is not said */
};

static bool read_words(struct nx_str subject, struct words *words_out) {
    struct nx_str rest = nx_str_slice(subject, prefix.len, subject.len);
    *words_out = (struct words){ .kind = NX_STR_EMPTY };
    if (!nx_str_split(&rest, '.', &words_out->kind) || !nx_str_split(&rest, '.', &words_out->whom)) {
        return false;
    }
    words_out->what = rest;
    return true;
}

/* What anybody may ask about the own account. */
static const struct nx_nats_answer *own_answer(const struct words *words) {
    if (nx_str_is(words->kind, "USER")) {
        return nx_str_is(words->whom, "INFO") && words->what.len == 0 ? &nx_nats_answer_user : NULL;
    }
    const bool of_all = nx_str_is(words->whom, "PING");
    if (of_all && nx_str_is(words->kind, "ACCOUNT") &&
        (nx_str_is(words->what, "CONNZ") || nx_str_is(words->what, "STATZ"))) {
        return nx_nats_answer_of_account(words->what);
    }
    return of_all && nx_str_is(words->kind, "SERVER") && nx_str_is(words->what, "CONNZ")
               ? nx_nats_answer_of_server(words->what)
               : NULL;
}

/* What the system account may ask. `*account_out`: about whom; empty: all. */
static const struct nx_nats_answer *system_answer(const struct nx_nats_system *system,
                                                  const struct words *words, struct nx_str *account_out) {
    const bool is_me = nx_str_equal(words->whom, system->hub->info.server_id);
    const bool of_all = nx_str_is(words->whom, "PING");
    *account_out = NX_STR_EMPTY;
    if (nx_str_is(words->kind, "SERVER")) {
        if (of_all && words->what.len == 0) {
            return nx_nats_answer_of_server(NX_STR("STATSZ"));
        }
        if (is_me && nx_str_is(words->what, nx_nats_answer_kick.name)) {
            return &nx_nats_answer_kick;
        }
        return of_all || is_me ? nx_nats_answer_of_server(words->what) : NULL;
    }
    if (!nx_str_is(words->kind, "ACCOUNT") || (of_all && !nx_str_is(words->what, "STATZ"))) {
        return own_answer(words);
    }
    *account_out = of_all ? NX_STR_EMPTY : words->whom;
    return nx_nats_answer_of_account(words->what);
}

static bool has_part(const struct nx_nats_request *request, const char *member, struct nx_str of) {
    const struct nx_str wanted = nx_json_get_str(request->options, member);
    bool exact = false;
    (void)nx_json_to_bool(nx_json_get(request->options, NX_STR("exact_match")), &exact);
    return wanted.len == 0 || (exact ? nx_str_equal(of, wanted) : nx_str_find(of, wanted) != SIZE_MAX);
}

/* Servers that are not meant say nothing. */
static bool is_meant(const struct nx_nats_request *request) {
    const struct nx_nats_info *info = &request->system->hub->info;
    return has_part(request, "server_name", info->server_name) && has_part(request, "host", info->host) &&
           has_part(request, "cluster", NX_STR_EMPTY) && has_part(request, "domain", NX_STR_EMPTY) &&
           nx_json_count(nx_json_get(request->options, NX_STR("tags"))) == 0;
}

static bool take(struct nx_nats_system *system, struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    struct words words;
    struct nx_error err = { 0 };
    struct nx_nats_request request = {
        .system = system, .conn = conn, .op = op, .account = conn->account->name
    };
    const bool from_system = nx_str_equal(conn->account->name, system->account);
    NX_AUTO(nx_json_doc) *doc = NULL;
    if (!read_words(op->subject, &words)) {
        return false;
    }
    const struct nx_nats_answer *answer =
        from_system ? system_answer(system, &words, &request.account) : own_answer(&words);
    if (answer == NULL) {
        return false;
    }
    if (op->payload.len > 0 && nx_json_parse(op->payload, OPTIONS_MEMORY_MAX, &doc, &err) != NX_OK) {
        nx_nats_respond_error(&request, CODE_BAD_REQUEST, nx_str_from_c(err.message));
        return true;
    }
    request.options = doc == NULL ? NULL : nx_json_root(doc);
    if (request.account.len > 0 && !nx_nats_system_has_account(system, request.account)) {
        char text[ERROR_SIZE_MAX];
        (void)snprintf(text, sizeof text, "Account %.*s does not exist", NX_STR_ARG(request.account));
        nx_nats_respond_error(&request, NX_NATS_ANSWER_FAILED, nx_str_from_c(text));
    } else if (is_meant(&request)) {
        answer->respond(&request);
    }
    return true;
}

bool nx_nats_system_take(struct nx_nats_system *system, struct nx_nats_conn *conn,
                         const struct nx_nats_op *op) {
    /* Asked of every message. */
    return op->reply.len > 0 && nx_str_starts_with(op->subject, prefix) && take(system, conn, op);
}

/* Start and end */

enum nx_status nx_nats_system_new(struct nx_nats_hub *hub, const struct nx_nats_monitor_options *options,
                                  uint16_t http_port, struct nx_nats_system **system_out,
                                  struct nx_error *err) {
    struct nx_nats_system *system = calloc(1, sizeof *system);
    if (system == NULL) {
        return nx_fail_memory(err);
    }
    system->hub = hub;
    system->account = options->system_account;
    (void)snprintf(system->http_host, sizeof system->http_host, "%.*s", NX_STR_ARG(options->host));
    system->pages.options = *options;
    system->pages.options.host = nx_str_from_c(system->http_host);
    system->pages.http_port = http_port;
    system->pages.started_ns = hub->now.wall_ns;
    system->pages.usage_ns = hub->now.monotonic_ns;
    *system_out = system;
    return NX_OK;
}

void nx_nats_system_free(struct nx_nats_system *system) {
    free(system);
}
