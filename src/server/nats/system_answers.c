/* src/server/nats/system_answers.c: what a server answers on $SYS.REQ: monitoring's pages, and what only
 * messages ask for. */
#include "codec/percent.h"
#include "server/nats/system_internal.h"

enum { QUERY_SIZE_MAX = 64 * 1024 };

/* `data`: JSON, as the answer has it. */
static void respond(const struct nx_nats_request *request, const struct nx_buf *text) {
    if (!nx_buf_failed(text)) {
        nx_nats_hub_publish(
            request->system->hub, request->conn->account->name,
            &(struct nx_nats_op){ .subject = request->op->reply, .payload = nx_buf_str(text) });
    }
}

static void answer_begin(const struct nx_nats_request *request, struct nx_json_writer *json,
                         struct nx_buf *text) {
    nx_json_writer_init(json, text);
    nx_json_object_begin(json);
    nx_nats_system_member_server(request->system, json);
}

static void answer_end(const struct nx_nats_request *request, struct nx_json_writer *json,
                       struct nx_buf *text) {
    nx_json_object_end(json);
    respond(request, text);
}

void nx_nats_respond_error(const struct nx_nats_request *request, unsigned code, struct nx_str description) {
    struct nx_json_writer json;
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    answer_begin(request, &json, &text);
    nx_json_key(&json, NX_STR("error"));
    nx_json_object_begin(&json);
    nx_json_member_u64(&json, "code", code);
    nx_json_member_str(&json, "description", description);
    nx_json_object_end(&json);
    answer_end(request, &json, &text);
}

/* The options as the query of a page. */
struct option {
    const char *member;
    const char *parameter;
};

static const struct option connz_options[] = {
    { "sort", "sort" },     { "auth", "auth" },   { "subscriptions", "subs" },
    { "offset", "offset" }, { "limit", "limit" }, { "cid", "cid" },
    { "user", "user" },     { "acc", "acc" },     { "filter_subject", "filter_subject" },
    { NULL, NULL },
};
static const struct option subsz_options[] = {
    { "offset", "offset" }, { "limit", "limit" }, { "subscriptions", "subs" },
    { "account", "acc" },   { "test", "test" },   { NULL, NULL },
};
static const struct option no_options[] = { { NULL, NULL } };

/* A value that Go leaves out says nothing. */
static bool is_said(const struct nx_json_value *value) {
    uint64_t number = 0;
    bool flag = false;
    struct nx_str text;
    if (nx_json_to_str(value, &text)) {
        return text.len > 0;
    }
    return (nx_json_to_u64(value, &number) && number > 0) || (nx_json_to_bool(value, &flag) && flag);
}

static void add_parameter(struct nx_buf *query, const char *name, struct nx_str value) {
    nx_buf_append_format(query, "%s%s=", query->len > 0 ? "&" : "", name);
    nx_percent_encode_url(query, value);
}

static void make_query(const struct nx_nats_request *request, const struct option *options,
                       struct nx_buf *query) {
    static const char *const states[] = { "open", "closed", "any" };
    bool detail = false;
    for (const struct option *option = options; option->member != NULL; option++) {
        NX_AUTO(nx_buf) text;
        nx_buf_init(&text, QUERY_SIZE_MAX);
        const struct nx_json_value *value = nx_json_get(request->options, nx_str_from_c(option->member));
        const bool is_account = nx_str_is(nx_str_from_c(option->parameter), "acc");
        if (is_said(value) && !(is_account && request->account.len > 0) &&
            nx_json_scalar_text(&text, value)) {
            add_parameter(query, option->parameter, nx_buf_str(&text));
        }
    }
    if (options == no_options) {
        return;
    }
    if (request->account.len > 0) {
        add_parameter(query, "acc", request->account);
    }
    if (options == connz_options) {
        const uint64_t state = nx_json_get_u64(request->options, "state");
        add_parameter(query, "state", nx_str_from_c(states[state < 3 ? state : 0]));
        (void)nx_json_to_bool(nx_json_get(request->options, NX_STR("subscriptions_detail")), &detail);
    }
    if (detail && !is_said(nx_json_get(request->options, NX_STR("subscriptions")))) {
        add_parameter(query, "subs", NX_STR("detail"));
    }
}

static void respond_page(const struct nx_nats_request *request, const char *path,
                         const struct option *options) {
    struct nx_error err = { 0 };
    struct nx_json_writer json;
    struct nx_str type;
    NX_AUTO(nx_buf) query;
    NX_AUTO(nx_buf) page;
    NX_AUTO(nx_buf) text;
    nx_buf_init(&query, QUERY_SIZE_MAX);
    nx_buf_init(&page, NX_NATS_PAGE_SIZE_MAX);
    nx_buf_init(&text, 2 * NX_NATS_PAGE_SIZE_MAX);
    make_query(request, options, &query);
    nx_nats_system_look_around(request->system);
    if (nx_nats_page_write(&request->system->pages, nx_str_from_c(path), nx_buf_str(&query), &page, &type,
                           &err) != NX_OK) {
        nx_nats_respond_error(request, NX_NATS_ANSWER_FAILED, nx_str_from_c(err.message));
        return;
    }
    answer_begin(request, &json, &text);
    nx_json_key(&json, NX_STR("data"));
    nx_json_raw(&json, nx_buf_str(&page));
    answer_end(request, &json, &text);
}

static void respond_connz(const struct nx_nats_request *request) {
    respond_page(request, "/connz", connz_options);
}

static void respond_subsz(const struct nx_nats_request *request) {
    respond_page(request, "/subsz", subsz_options);
}

static void respond_varz(const struct nx_nats_request *request) {
    respond_page(request, "/varz", no_options);
}

static void respond_jsz(const struct nx_nats_request *request) {
    respond_page(request, "/jsz", no_options);
}

static void respond_healthz(const struct nx_nats_request *request) {
    respond_page(request, "/healthz", no_options);
}

static void respond_stats(const struct nx_nats_request *request) {
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    nx_nats_system_look_around(request->system);
    nx_nats_system_write_stats(request->system, &text);
    respond(request, &text);
}

static void respond_id(const struct nx_nats_request *request) {
    const struct nx_nats_info *info = &request->system->hub->info;
    struct nx_json_writer json;
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    nx_json_writer_init(&json, &text);
    nx_json_object_begin(&json);
    nx_json_member_str(&json, "name", info->server_name);
    nx_json_member_str(&json, "host", info->host);
    nx_json_member_str(&json, "id", info->server_id);
    answer_end(request, &json, &text);
}

bool nx_nats_system_has_account(const struct nx_nats_system *system, struct nx_str account) {
    return nx_map_get(&system->hub->accounts, account) != NULL || nx_str_equal(account, system->account) ||
           nx_nats_access_has_account(system->hub->access, account);
}

static void write_account(const struct nx_nats_request *request, struct nx_json_writer *json,
                          struct nx_str account) {
    const struct nx_nats_account_stats stats = nx_nats_system_stats_of(request->system->hub, account, NULL);
    nx_json_object_begin(json);
    nx_json_member_str(json, "account_name", account);
    nx_nats_page_member_time(json, "update_time", request->system->pages.started_ns);
    nx_json_member_bool(json, "expired", false);
    nx_json_member_bool(json, "complete", true);
    nx_json_member_bool(json, "jetstream_enabled", request->system->hub->info.jetstream);
    nx_json_member_u64(json, "leafnode_connections", 0);
    nx_json_member_u64(json, "client_connections", stats.conn_count);
    nx_json_member_u64(json, "subscriptions", stats.subscription_count);
    if (nx_str_equal(account, request->system->account)) {
        nx_json_member_bool(json, "is_system", true);
    }
    nx_json_object_end(json);
}

static void respond_account(const struct nx_nats_request *request) {
    struct nx_json_writer json;
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    answer_begin(request, &json, &text);
    nx_json_key(&json, NX_STR("data"));
    write_account(request, &json, request->account);
    answer_end(request, &json, &text);
}

/* Those of which there are connections, and the system's; or the one that is asked for. */
static void respond_accounts(const struct nx_nats_request *request) {
    struct nx_nats_system *system = request->system;
    const struct nx_str one = nx_json_get_str(request->options, "account");
    struct nx_json_writer json;
    size_t cursor = 0;
    void *account = NULL;
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    if (one.len > 0 && !nx_nats_system_has_account(system, one)) {
        nx_nats_respond_error(request, NX_NATS_ANSWER_FAILED, NX_STR("Account does not exist"));
        return;
    }
    nx_nats_system_look_around(system);
    answer_begin(request, &json, &text);
    nx_json_key(&json, NX_STR("data"));
    nx_nats_page_begin(&system->pages, &json);
    nx_json_member_str(&json, "system_account", system->account);
    if (one.len > 0) {
        nx_json_key(&json, NX_STR("account_detail"));
        write_account(request, &json, one);
    } else {
        nx_json_key(&json, NX_STR("accounts"));
        nx_json_array_begin(&json);
        while (nx_map_next(&system->hub->accounts, &cursor, NULL, &account)) {
            nx_json_string(&json, ((const struct nx_nats_account *)account)->name);
        }
        nx_json_array_end(&json);
    }
    nx_json_object_end(&json);
    answer_end(request, &json, &text);
}

static void respond_conns(const struct nx_nats_request *request) {
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    nx_nats_system_write_conns(request->system, &text, request->account, NULL);
    respond(request, &text);
}

static void write_account_stats(const struct nx_nats_request *request, struct nx_json_writer *json,
                                struct nx_str account) {
    const struct nx_nats_account_stats stats = nx_nats_system_stats_of(request->system->hub, account, NULL);
    nx_json_object_begin(json);
    nx_nats_system_members_account(json, account, &stats);
    nx_json_object_end(json);
}

static void respond_account_stats(const struct nx_nats_request *request) {
    struct nx_nats_system *system = request->system;
    struct nx_json_writer json;
    size_t cursor = 0;
    void *account = NULL;
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    nx_nats_system_look_around(system);
    answer_begin(request, &json, &text);
    nx_json_key(&json, NX_STR("data"));
    nx_nats_page_begin(&system->pages, &json);
    nx_json_key(&json, NX_STR("account_statz"));
    nx_json_array_begin(&json);
    if (request->account.len > 0) {
        write_account_stats(request, &json, request->account);
    }
    while (request->account.len == 0 && nx_map_next(&system->hub->accounts, &cursor, NULL, &account)) {
        write_account_stats(request, &json, ((const struct nx_nats_account *)account)->name);
    }
    nx_json_array_end(&json);
    nx_json_object_end(&json);
    answer_end(request, &json, &text);
}

static void write_rules(struct nx_json_writer *json, const char *key, const struct nx_nats_rule *rules,
                        size_t count) {
    nx_json_key(json, nx_str_from_c(key));
    nx_json_array_begin(json);
    for (size_t i = 0; i < count; i++) {
        NX_AUTO(nx_buf) text;
        nx_buf_init(&text, 2 * NX_NATS_SYSTEM_SUBJECT_SIZE_MAX);
        nx_buf_append_format(&text, "%.*s%s%.*s", NX_STR_ARG(rules[i].subject),
                             rules[i].queue.len > 0 ? " " : "", NX_STR_ARG(rules[i].queue));
        nx_json_string(json, nx_buf_str(&text));
    }
    nx_json_array_end(json);
}

static void member_rules(struct nx_json_writer *json, const char *key, const struct nx_nats_rules *rules) {
    if (!rules->is_limited && rules->deny_count == 0) {
        return;
    }
    nx_json_key(json, nx_str_from_c(key));
    nx_json_object_begin(json);
    if (rules->is_limited) {
        write_rules(json, "allow", rules->allow, rules->allow_count);
    }
    if (rules->deny_count > 0) {
        write_rules(json, "deny", rules->deny, rules->deny_count);
    }
    nx_json_object_end(json);
}

static void member_permissions(struct nx_json_writer *json, const struct nx_nats_permissions *permissions) {
    nx_json_key(json, NX_STR("permissions"));
    nx_json_object_begin(json);
    member_rules(json, "publish", &permissions->publish);
    member_rules(json, "subscribe", &permissions->subscribe);
    if (permissions->allow_responses) {
        nx_json_key(json, NX_STR("responses"));
        nx_json_object_begin(json);
        nx_json_member_i64(json, "max", permissions->responses_max);
        nx_json_member_i64(json, "ttl", permissions->responses_expire_ns);
        nx_json_object_end(json);
    }
    nx_json_object_end(json);
}

static void respond_user(const struct nx_nats_request *request) {
    struct nx_json_writer json;
    struct nx_nats_conn_stats stats;
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
    nx_nats_conn_describe(request->conn, &stats);
    answer_begin(request, &json, &text);
    nx_json_key(&json, NX_STR("data"));
    nx_json_object_begin(&json);
    nx_json_member_str(&json, "user", stats.user);
    nx_json_member_str(&json, "account", stats.account);
    if (nx_nats_conn_permissions(request->conn) != NULL) {
        member_permissions(&json, nx_nats_conn_permissions(request->conn));
    }
    nx_json_object_end(&json);
    answer_end(request, &json, &text);
}

static void respond_kick(const struct nx_nats_request *request) {
    const uint64_t id = nx_json_get_u64(request->options, "cid");
    const struct nx_nats_hub *hub = request->system->hub;
    for (const struct nx_nats_conn *at = NULL; (at = nx_nats_hub_next_conn(hub, at)) != NULL;) {
        if (nx_nats_conn_id(at) == id) {
            struct nx_json_writer json;
            NX_AUTO(nx_buf) text;
            nx_buf_init(&text, NX_NATS_PAGE_SIZE_MAX);
            answer_begin(request, &json, &text);
            answer_end(request, &json, &text);
            nx_nats_conn_end_silently((struct nx_nats_conn *)(uintptr_t)at, "Kicked");
            return;
        }
    }
    nx_nats_respond_error(request, NX_NATS_ANSWER_FAILED, NX_STR("no such client or leafnode id"));
}

/* Which one */

const struct nx_nats_answer nx_nats_answer_kick = { "KICK", respond_kick };
const struct nx_nats_answer nx_nats_answer_user = { "INFO", respond_user };
static const struct nx_nats_answer server_pages[] = {
    { "STATSZ", respond_stats },
    { "IDZ", respond_id },
    { "VARZ", respond_varz },
    { "CONNZ", respond_connz },
    { "SUBSZ", respond_subsz },
    { "JSZ", respond_jsz },
    { "HEALTHZ", respond_healthz },
    { "ACCOUNTZ", respond_accounts },
    { NULL, NULL },
};
static const struct nx_nats_answer account_pages[] = {
    { "CONNZ", respond_connz }, { "SUBSZ", respond_subsz },         { "INFO", respond_account },
    { "CONNS", respond_conns }, { "STATZ", respond_account_stats }, { NULL, NULL },
};

static const struct nx_nats_answer *answer_of(const struct nx_nats_answer *answers, struct nx_str name) {
    while (answers->name != NULL && !nx_str_is(name, answers->name)) {
        answers++;
    }
    return answers->name == NULL ? NULL : answers;
}

const struct nx_nats_answer *nx_nats_answer_of_server(struct nx_str name) {
    return answer_of(server_pages, name);
}

const struct nx_nats_answer *nx_nats_answer_of_account(struct nx_str name) {
    return answer_of(account_pages, name);
}
