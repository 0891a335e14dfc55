/* src/server/nats/pages_lists.c: /connz and /subsz. */
#include "server/nats/pages_internal.h"

#include <stdlib.h>

#include "base/assert.h"
#include "fabric/subject/subject.h"

enum { DURATION_SIZE_MAX = 64 };

enum detail { DETAIL_NONE, DETAIL_SUBJECTS, DETAIL_ALL };

enum sort {
    SORT_ID,
    SORT_START,
    SORT_SUBSCRIPTIONS,
    SORT_PENDING,
    SORT_MESSAGES_TO,
    SORT_MESSAGES_FROM,
    SORT_BYTES_TO,
    SORT_BYTES_FROM,
    SORT_LAST,
    SORT_IDLE,
    SORT_UPTIME,
    SORT_RTT,
    SORT_STOP,
    SORT_REASON,
};

/* What /connz is asked for. */
struct question {
    enum sort sort;
    enum detail detail;
    bool auth;
    bool wants_open;
    bool wants_closed;
    uint64_t id; /* 0: any */
    uint64_t offset;
    uint64_t limit;
    struct nx_str user;
    struct nx_str account;
    struct nx_str subject;
};

/* One connection that is selected. */
struct row {
    int64_t key; /* the smallest first */
    uint64_t id;
    const struct nx_nats_conn *open;         /* or: */
    const struct nx_nats_conn_stats *closed; /* one that was */
};

struct rows {
    struct row *items;
    size_t count;
    size_t total; /* before the filters by user and subject, as nats-server counts */
};

/* The question */

static enum nx_status read_detail(const struct nx_http_query *query, enum detail *detail_out,
                                  struct nx_error *err) {
    bool listed = false;
    if (nx_str_equal_ignore_case(nx_http_query_value(query, "subs"), NX_STR("detail"))) {
        *detail_out = DETAIL_ALL;
        return NX_OK;
    }
    NX_TRY(nx_nats_page_flag(query, "subs", &listed, err));
    *detail_out = listed ? DETAIL_SUBJECTS : DETAIL_NONE;
    return NX_OK;
}

static enum nx_status read_state(const struct nx_http_query *query, struct question *question,
                                 struct nx_error *err) {
    const struct nx_str state = nx_http_query_value(query, "state");
    const bool any =
        nx_str_equal_ignore_case(state, NX_STR("any")) || nx_str_equal_ignore_case(state, NX_STR("all"));
    const bool closed = nx_str_equal_ignore_case(state, NX_STR("closed"));
    if (state.len > 0 && !any && !closed && !nx_str_equal_ignore_case(state, NX_STR("open"))) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "parameter 'state': expected open, closed or any");
    }
    question->wants_open = !closed;
    question->wants_closed = closed || any;
    return NX_OK;
}

static enum nx_status read_sort(const struct nx_http_query *query, struct question *question,
                                struct nx_error *err) {
    static const char *const names[] = {
        [SORT_ID] = "cid",
        [SORT_START] = "start",
        [SORT_SUBSCRIPTIONS] = "subs",
        [SORT_PENDING] = "pending",
        [SORT_MESSAGES_TO] = "msgs_to",
        [SORT_MESSAGES_FROM] = "msgs_from",
        [SORT_BYTES_TO] = "bytes_to",
        [SORT_BYTES_FROM] = "bytes_from",
        [SORT_LAST] = "last",
        [SORT_IDLE] = "idle",
        [SORT_UPTIME] = "uptime",
        [SORT_RTT] = "rtt",
        [SORT_STOP] = "stop",
        [SORT_REASON] = "reason",
    };
    const struct nx_str name = nx_http_query_value(query, "sort");
    size_t sort = SORT_ID;
    while (name.len > 0 && !nx_str_is(name, names[sort])) {
        if (++sort == sizeof names / sizeof names[0]) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "invalid sorting option: %.*s",
                           NX_STR_ARG(nx_str_slice(name, 0, 64)));
        }
    }
    question->sort = (enum sort)sort;
    if (question->wants_open && (question->sort == SORT_STOP || question->sort == SORT_REASON)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "sort by %s only valid on closed connections", names[sort]);
    }
    return NX_OK;
}

/* The smallest comes first; those of one key in the order of their ids. */
static int64_t key_of(enum sort sort, const struct nx_nats_conn_stats *stats, int64_t now_ns) {
    switch (sort) {
    case SORT_SUBSCRIPTIONS:
        return -(int64_t)stats->subscription_count;
    case SORT_PENDING:
        return -(int64_t)stats->pending_size;
    case SORT_MESSAGES_TO:
        return -(int64_t)stats->traffic.messages_out;
    case SORT_MESSAGES_FROM:
        return -(int64_t)stats->traffic.messages_in;
    case SORT_BYTES_TO:
        return -(int64_t)stats->traffic.bytes_out;
    case SORT_BYTES_FROM:
        return -(int64_t)stats->traffic.bytes_in;
    case SORT_LAST:
        return -stats->active_ns;
    case SORT_IDLE:
        return stats->active_ns;
    case SORT_UPTIME:
        return (stats->stop_ns == 0 ? now_ns : stats->stop_ns) - stats->start_ns;
    case SORT_RTT:
        return -stats->rtt_ns;
    case SORT_STOP:
        return -stats->stop_ns;
    case SORT_ID:
    case SORT_START:
    case SORT_REASON:
        break;
    }
    return 0;
}

static enum nx_status read_question(const struct nx_http_query *query, struct question *question,
                                    struct nx_error *err) {
    *question = (struct question){ .user = nx_http_query_value(query, "user"),
                                   .account = nx_http_query_value(query, "acc"),
                                   .subject = nx_http_query_value(query, "filter_subject") };
    NX_TRY(nx_nats_page_window(query, &question->offset, &question->limit, err));
    NX_TRY(nx_http_query_u64(query, "cid", 0, UINT64_MAX, &question->id, err));
    NX_TRY(nx_nats_page_flag(query, "auth", &question->auth, err));
    NX_TRY(read_detail(query, &question->detail, err));
    NX_TRY(read_state(query, question, err));
    if (question->id != 0) {
        question->limit = 1;
    }
    if (question->subject.len > 0 && !nx_subject_is_filter(question->subject)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "parameter 'filter_subject': not a subject");
    }
    return read_sort(query, question, err);
}

/* The answer */

static bool wants_subject(const struct nx_nats_conn *conn, struct nx_str subject) {
    struct nx_nats_subscription_stats stats;
    size_t cursor = 0;
    while (nx_nats_conn_next_subscription(conn, &cursor, &stats)) {
        if (nx_subject_overlaps(subject, stats.subject)) {
            return true;
        }
    }
    return false;
}

/* Add the connection where the question is about it. */
static void select_row(const struct question *question, const struct nx_nats_conn_stats *stats,
                       const struct row *row, int64_t now_ns, struct rows *rows) {
    if (question->account.len > 0 && !nx_str_equal(question->account, stats->account)) {
        return;
    }
    rows->total++;
    if ((question->id != 0 && question->id != stats->id) ||
        (question->user.len > 0 && !nx_str_equal(question->user, stats->user)) ||
        (question->subject.len > 0 && (row->open == NULL || !wants_subject(row->open, question->subject)))) {
        return;
    }
    struct row *item = &rows->items[rows->count++];
    *item = *row;
    item->id = stats->id;
    item->key = key_of(question->sort, stats, now_ns);
}

static int compare_rows(const void *a, const void *b) {
    const struct row *left = a;
    const struct row *right = b;
    if (left->key != right->key) {
        return left->key < right->key ? -1 : 1;
    }
    return left->id < right->id ? -1 : left->id > right->id;
}

static int compare_reasons(const void *a, const void *b) {
    const struct row *left = a;
    const struct row *right = b;
    const int order = strcmp(left->closed->reason, right->closed->reason);
    return order != 0 ? order : compare_rows(a, b);
}

static enum nx_status select_rows(const struct nx_nats_pages *pages, const struct question *question,
                                  struct rows *rows, struct nx_error *err) {
    const struct nx_nats_hub *hub = pages->options.hub;
    const size_t count_max = hub->conns.count + hub->closed.count + 1;
    const int64_t now_ns = pages->now.wall_ns;
    struct nx_nats_conn_stats stats;
    *rows = (struct rows){ .items = calloc(count_max, sizeof *rows->items) };
    if (rows->items == NULL) {
        return nx_fail_memory(err);
    }
    for (const struct nx_nats_conn *conn = NULL;
         question->wants_open && (conn = nx_nats_hub_next_conn(hub, conn)) != NULL;) {
        nx_nats_conn_describe(conn, &stats);
        select_row(question, &stats, &(struct row){ .open = conn }, now_ns, rows);
    }
    for (size_t i = 0; question->wants_closed && i < hub->closed.count; i++) {
        const struct nx_nats_conn_stats *closed = nx_nats_closed_at(&hub->closed, i);
        select_row(question, closed, &(struct row){ .closed = closed }, now_ns, rows);
    }
    nx_assert(rows->count < count_max);
    qsort(rows->items, rows->count, sizeof *rows->items,
          question->sort == SORT_REASON ? compare_reasons : compare_rows);
    return NX_OK;
}

static void write_subscription(struct nx_json_writer *json, const struct nx_nats_subscription_stats *stats,
                               struct nx_str account, uint64_t id) {
    nx_json_object_begin(json);
    if (account.len > 0) {
        nx_json_member_str(json, "account", account);
    }
    nx_json_member_str(json, "subject", stats->subject);
    if (stats->queue.len > 0) {
        nx_json_member_str(json, "qgroup", stats->queue);
    }
    nx_json_member_str(json, "sid", stats->sid);
    nx_json_member_u64(json, "msgs", stats->delivered);
    if (stats->count_max > 0) {
        nx_json_member_u64(json, "max", stats->count_max);
    }
    nx_json_member_u64(json, "cid", id);
    nx_json_object_end(json);
}

static void write_subscriptions(struct nx_json_writer *json, const struct nx_nats_conn *conn,
                                const struct nx_nats_conn_stats *of, enum detail detail) {
    struct nx_nats_subscription_stats stats;
    size_t cursor = 0;
    nx_json_key(json,
                detail == DETAIL_ALL ? NX_STR("subscriptions_list_detail") : NX_STR("subscriptions_list"));
    nx_json_array_begin(json);
    while (nx_nats_conn_next_subscription(conn, &cursor, &stats)) {
        if (detail == DETAIL_ALL) {
            write_subscription(json, &stats, NX_STR_EMPTY, of->id);
        } else {
            nx_json_string(json, stats.subject);
        }
    }
    nx_json_array_end(json);
}

static void member_uptime(struct nx_json_writer *json, const char *key, int64_t ns) {
    NX_AUTO(nx_buf) text = { 0 };
    nx_buf_init(&text, DURATION_SIZE_MAX);
    nx_nats_uptime_append(&text, ns);
    nx_json_member_str(json, key, nx_buf_str(&text));
}

static void member_rtt(struct nx_json_writer *json, int64_t ns) {
    NX_AUTO(nx_buf) text = { 0 };
    nx_buf_init(&text, DURATION_SIZE_MAX);
    nx_nats_go_duration_append(&text, ns);
    nx_json_member_str(json, "rtt", nx_buf_str(&text));
}

/* What there is to say of it; empty ones are left out, as nats-server does. */
static void member_text(struct nx_json_writer *json, const char *key, struct nx_str text) {
    if (text.len > 0) {
        nx_json_member_str(json, key, text);
    }
}

static void write_tls(struct nx_json_writer *json, const struct question *question, const struct row *row,
                      const struct nx_nats_conn_stats *stats) {
    struct nx_tls_certificate certificate;
    nx_json_member_c(json, "tls_version", stats->tls.version);
    nx_json_member_c(json, "tls_cipher_suite", stats->tls.cipher);
    if (stats->is_tls_first) {
        nx_json_member_bool(json, "tls_first", true);
    }
    if (!question->auth || row->open == NULL || !nx_nats_conn_certificate(row->open, 0, &certificate)) {
        return;
    }
    nx_json_key(json, NX_STR("tls_peer_certs"));
    nx_json_array_begin(json);
    for (size_t i = 0; nx_nats_conn_certificate(row->open, i, &certificate); i++) {
        nx_json_object_begin(json);
        member_text(json, "subject", nx_str_from_c(certificate.subject));
        nx_json_member_c(json, "spki_sha256", certificate.key_digest);
        nx_json_member_c(json, "cert_sha256", certificate.digest);
        nx_json_object_end(json);
    }
    nx_json_array_end(json);
}

static void write_conn(struct nx_json_writer *json, const struct question *question, const struct row *row,
                       int64_t now_ns) {
    struct nx_nats_conn_stats stats;
    if (row->open != NULL) {
        nx_nats_conn_describe(row->open, &stats);
    } else {
        stats = *row->closed;
    }
    const int64_t until_ns = stats.stop_ns == 0 ? now_ns : stats.stop_ns;
    nx_json_object_begin(json);
    nx_json_member_u64(json, "cid", stats.id);
    nx_json_member_c(json, "kind", "Client");
    nx_json_member_c(json, "type", "nats");
    nx_json_member_str(json, "ip", stats.address);
    nx_json_member_u64(json, "port", stats.port);
    nx_nats_page_member_time(json, "start", stats.start_ns);
    nx_nats_page_member_time(json, "last_activity", stats.active_ns);
    if (stats.stop_ns != 0) {
        nx_nats_page_member_time(json, "stop", stats.stop_ns);
        nx_json_member_c(json, "reason", stats.reason);
    }
    if (stats.rtt_ns > 0) {
        member_rtt(json, stats.rtt_ns);
    }
    member_uptime(json, "uptime", until_ns - stats.start_ns);
    member_uptime(json, "idle", until_ns - stats.active_ns);
    nx_json_member_u64(json, "pending_bytes", stats.pending_size);
    nx_json_member_u64(json, "in_msgs", stats.traffic.messages_in);
    nx_json_member_u64(json, "out_msgs", stats.traffic.messages_out);
    nx_json_member_u64(json, "in_bytes", stats.traffic.bytes_in);
    nx_json_member_u64(json, "out_bytes", stats.traffic.bytes_out);
    nx_json_member_u64(json, "subscriptions", stats.subscription_count);
    member_text(json, "name", stats.name);
    member_text(json, "lang", stats.language);
    member_text(json, "version", stats.version);
    if (stats.tls.version != NULL) {
        write_tls(json, question, row, &stats);
    }
    if (question->auth) {
        member_text(json, "authorized_user", stats.user);
        member_text(json, "account",
                    nx_str_equal(stats.account, nx_nats_account_default) ? NX_STR_EMPTY : stats.account);
    }
    if (question->detail != DETAIL_NONE && row->open != NULL && stats.subscription_count > 0) {
        write_subscriptions(json, row->open, &stats, question->detail);
    }
    nx_json_object_end(json);
}

enum nx_status nx_nats_page_connz(struct nx_nats_pages *pages, const struct nx_http_query *query,
                                  struct nx_json_writer *json, struct nx_error *err) {
    struct question question;
    struct rows rows;
    NX_TRY(read_question(query, &question, err));
    NX_TRY(select_rows(pages, &question, &rows, err));
    NX_AUTO_FREE struct row *items = rows.items;
    const size_t from = question.offset < rows.count ? (size_t)question.offset : rows.count;
    const size_t to = question.limit < rows.count - from ? from + (size_t)question.limit : rows.count;
    nx_nats_page_begin(pages, json);
    nx_json_member_u64(json, "num_connections", to - from);
    nx_json_member_u64(json, "total", rows.total);
    nx_json_member_u64(json, "offset", question.offset);
    nx_json_member_u64(json, "limit", question.limit);
    nx_json_key(json, NX_STR("connections"));
    nx_json_array_begin(json);
    for (size_t i = from; i < to; i++) {
        write_conn(json, &question, &items[i], pages->now.wall_ns);
    }
    nx_json_array_end(json);
    nx_json_object_end(json);
    return NX_OK;
}

/* /subsz */

struct subscriptions_question {
    struct nx_str account;
    struct nx_str test; /* a subject; only those that it reaches */
    bool listed;
    uint64_t offset;
    uint64_t limit;
};

/* Call for each subscription that the question is about; its number from 0. How many there are. */
static uint64_t visit_subscriptions(const struct nx_nats_hub *hub,
                                    const struct subscriptions_question *question,
                                    struct nx_json_writer *json) {
    struct nx_nats_conn_stats of;
    struct nx_nats_subscription_stats stats;
    uint64_t count = 0;
    for (const struct nx_nats_conn *conn = NULL; (conn = nx_nats_hub_next_conn(hub, conn)) != NULL;) {
        size_t cursor = 0;
        nx_nats_conn_describe(conn, &of);
        if (question->account.len > 0 && !nx_str_equal(question->account, of.account)) {
            continue;
        }
        while (nx_nats_conn_next_subscription(conn, &cursor, &stats)) {
            if (question->test.len > 0 && !nx_subject_matches(stats.subject, question->test)) {
                continue;
            }
            if (json != NULL && count >= question->offset && count - question->offset < question->limit) {
                write_subscription(json, &stats, of.account, of.id);
            }
            count++;
        }
    }
    return count;
}

enum nx_status nx_nats_page_subsz(struct nx_nats_pages *pages, const struct nx_http_query *query,
                                  struct nx_json_writer *json, struct nx_error *err) {
    const struct nx_nats_hub *hub = pages->options.hub;
    struct subscriptions_question question = { .account = nx_http_query_value(query, "acc"),
                                               .test = nx_http_query_value(query, "test") };
    NX_TRY(nx_nats_page_window(query, &question.offset, &question.limit, err));
    NX_TRY(nx_nats_page_flag(query, "subs", &question.listed, err));
    if (question.test.len > 0 && !nx_subject_is_valid(question.test)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "parameter 'test': expected a subject without wildcards");
    }
    const uint64_t total = nx_nats_hub_subscription_total(hub);
    nx_nats_page_begin(pages, json);
    nx_json_member_u64(json, "num_subscriptions", total);
    nx_json_member_u64(json, "num_cache", 0); /* nothing is cached: see fabric/router */
    nx_json_member_u64(json, "num_inserts", hub->subscription_count);
    nx_json_member_u64(json, "num_removes", hub->subscription_count - total);
    nx_json_member_u64(json, "num_matches", nx_counter_get(&hub->counters->messages_in));
    nx_json_member_u64(json, "cache_hit_rate", 0);
    nx_json_member_u64(json, "max_fanout", 0);
    nx_json_member_u64(json, "avg_fanout", 0);
    nx_json_member_u64(json, "total", question.listed ? visit_subscriptions(hub, &question, NULL) : 0);
    nx_json_member_u64(json, "offset", question.offset);
    nx_json_member_u64(json, "limit", question.limit);
    if (question.listed) {
        nx_json_key(json, NX_STR("subscriptions_list"));
        nx_json_array_begin(json);
        (void)visit_subscriptions(hub, &question, json);
        nx_json_array_end(json);
    }
    nx_json_object_end(json);
    return NX_OK;
}
