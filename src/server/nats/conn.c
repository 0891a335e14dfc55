/* src/server/nats/conn.c: see conn.h. What clients say, and the messages to others. */
#include "server/nats/conn_internal.h"

#include <stdlib.h>

#include "base/assert.h"
#include "codec/base64.h"
#include "fabric/subject/subject.h"
#include "server/nats/jetstream.h"
#include "server/nats/quote.h"
#include "server/nats/system.h"

enum {
    INPUT_ROOM = 64 * 1024, /* behind the largest operation */
    STATUS_NO_RESPONDERS = 503,
    NONCE_SIZE = 11, /* random bytes, as NATS has */
    ERROR_SIZE_MAX = 16 * 1024,
    NAMES_MAX = 256, /* of a certificate */
};

static struct nx_nats_subscription *subscription_of(struct nx_router_entry *entry) {
    return nx_container_of(entry, struct nx_nats_subscription, entry);
}

/* Output */

void nx_nats_conn_wants_flush(struct nx_nats_conn *conn) {
    if (!conn->is_own) {
        conn->hub->transport.wants_flush(conn->transport);
    }
}

void nx_nats_conn_say(struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    if (!conn->done) {
        nx_nats_append(&conn->output, op);
        nx_nats_conn_wants_flush(conn);
    }
}

void nx_nats_conn_say_error(struct nx_nats_conn *conn, const char *error) {
    nx_nats_conn_say(conn, &(struct nx_nats_op){ .verb = NX_NATS_ERR, .text = nx_str_from_c(error) });
}

void nx_nats_conn_say_ok(struct nx_nats_conn *conn) {
    if (conn->client.verbose) {
        nx_nats_conn_say(conn, &(struct nx_nats_op){ .verb = NX_NATS_OK });
    }
}

/* `Permissions Violation for <what> to "subject" using queue "queue"`, and the sid where NATS tells it. */
void nx_nats_conn_say_violation(struct nx_nats_conn *conn, const char *what, struct nx_str subject,
                                struct nx_str queue, struct nx_str sid) {
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, ERROR_SIZE_MAX);
    nx_buf_append_format(&text, "Permissions Violation for %s to ", what);
    nx_nats_quote(&text, subject);
    if (queue.len > 0) {
        nx_buf_append_c(&text, " using queue ");
        nx_nats_quote(&text, queue);
    }
    if (sid.len > 0) {
        nx_buf_append_c(&text, " (sid ");
        nx_nats_quote(&text, sid);
        nx_buf_append_u8(&text, ')');
    }
    nx_counter_add(&conn->hub->counters->violations, 1);
    nx_nats_conn_say(conn, &(struct nx_nats_op){ .verb = NX_NATS_ERR, .text = nx_buf_str(&text) });
}

const struct nx_nats_permissions *nx_nats_conn_permissions(const struct nx_nats_conn *conn) {
    return conn->user == NULL ? NULL : conn->user->permissions;
}

void nx_nats_conn_end(struct nx_nats_conn *conn, const char *error) {
    if (!conn->done) {
        nx_nats_conn_say_error(conn, error);
        conn->ended_because = nx_nats_reason_of(error);
        conn->done = true;
    }
}

void nx_nats_conn_end_silently(struct nx_nats_conn *conn, const char *reason) {
    conn->ended_because = reason;
    conn->done = true;
    nx_nats_conn_wants_flush(conn);
}

/* It reads too slowly: what waits is dropped, so that it costs nobody memory any longer. */
static void cut_slow(struct nx_nats_conn *conn) {
    nx_counter_add(&conn->hub->counters->slow_consumers, 1);
    nx_buf_fini(&conn->output);
    nx_buf_init(&conn->output, conn->hub->pending_size_max);
    nx_nats_conn_end(conn, "Slow Consumer");
}

void nx_nats_conn_cut_stuck(struct nx_nats_conn *conn) {
    if (!conn->done) {
        nx_counter_add(&conn->hub->counters->slow_consumers, 1);
        conn->ended_because = "Slow Consumer (Write Deadline)";
        conn->done = true;
    }
}

static void write_message(struct nx_nats_conn *conn, const struct nx_nats_op *message) {
    const size_t size = message->headers.len + message->payload.len;
    nx_nats_append(&conn->output, message);
    if (nx_buf_failed(&conn->output) ||
        (!conn->is_own &&
         conn->output.len + conn->hub->transport.unwritten(conn->transport) > conn->hub->pending_size_max)) {
        cut_slow(conn);
        return;
    }
    nx_counter_add(&conn->hub->counters->messages_out, 1);
    nx_counter_add(&conn->hub->counters->bytes_out, size);
    conn->traffic.messages_out++;
    conn->traffic.bytes_out += size;
    conn->active_ns = conn->hub->now.monotonic_ns;
    nx_nats_conn_wants_flush(conn);
}

/* Subscriptions */

static void subscription_free(struct nx_nats_subscription *subscription) {
    nx_router_remove(subscription->conn->account->router, &subscription->entry);
    free(subscription);
}

void nx_nats_subscription_end(struct nx_nats_subscription *subscription) {
    (void)nx_map_remove(&subscription->conn->subscriptions, subscription->sid);
    subscription_free(subscription);
}

static enum nx_status subscribe(struct nx_nats_conn *conn, const struct nx_nats_op *op,
                                struct nx_error *err) {
    struct nx_nats_subscription *subscription =
        calloc(1, sizeof *subscription + op->sid.len + op->subject.len + op->queue.len);
    if (subscription == NULL) {
        return nx_fail_memory(err);
    }
    char *at = subscription->bytes;
    subscription->sid = nx_nats_keep_text(&at, op->sid);
    subscription->filter = nx_nats_keep_text(&at, op->subject);
    subscription->queue = nx_nats_keep_text(&at, op->queue);
    subscription->conn = conn;
    enum nx_status status =
        nx_router_add(conn->account->router, &subscription->entry, op->subject, op->queue, err);
    if (status == NX_OK) {
        status = nx_map_set(&conn->subscriptions, subscription->sid, subscription, err);
    }
    if (status != NX_OK) {
        subscription_free(subscription);
        return status;
    }
    conn->hub->subscription_count++;
    return NX_OK;
}

static void handle_sub(struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    conn->active_ns = conn->hub->now.monotonic_ns;
    if (!nx_nats_may_subscribe(nx_nats_conn_permissions(conn), op->subject, op->queue)) {
        nx_nats_conn_say_violation(conn, "Subscription", op->subject, op->queue, NX_STR_EMPTY);
        return;
    }
    if (conn->subscriptions.count >= conn->hub->subscriptions_max) {
        nx_nats_conn_say_error(conn, "maximum subscriptions exceeded");
        return;
    }
    if (!nx_subject_is_filter(op->subject)) {
        nx_nats_conn_say_error(conn, "Invalid Subject");
        return;
    }
    if (nx_map_get(&conn->subscriptions, op->sid) == NULL) { /* as NATS: the first one stays */
        const enum nx_status status = subscribe(conn, op, NULL);
        if (status != NX_OK) {
            nx_nats_conn_say_error(conn, status == NX_INVALID_ARGUMENT ? "Invalid Subject"
                                                                       : "maximum subscriptions exceeded");
            return;
        }
    }
    nx_nats_conn_say_ok(conn);
}

static void handle_unsub(struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    struct nx_nats_subscription *subscription = nx_map_get(&conn->subscriptions, op->sid);
    if (subscription != NULL) {
        subscription->count_max = op->count_max;
        if (subscription->count_max <= subscription->delivered) {
            nx_nats_subscription_end(subscription);
        }
    }
    nx_nats_conn_say_ok(conn);
}

void nx_nats_conn_end_subscriptions(struct nx_nats_conn *conn) {
    size_t cursor = 0;
    void *subscription;
    while (nx_map_next(&conn->subscriptions, &cursor, NULL, &subscription)) {
        subscription_free(subscription);
    }
    nx_map_fini(&conn->subscriptions);
    nx_map_init(&conn->subscriptions, conn->hub->subscriptions_max, conn->hub->seed);
}

/* Messages */

/* A message on its way. */
struct passage {
    struct nx_nats_conn *publisher;
    struct nx_str subject;
};

/* Whether a subscription may be given the message. */
static bool accepts(void *data, const struct nx_router_entry *entry) {
    const struct passage *passage = data;
    const struct nx_nats_subscription *subscription =
        subscription_of((struct nx_router_entry *)(uintptr_t)entry);
    const struct nx_nats_conn *conn = subscription->conn;
    return !conn->done && (conn != passage->publisher || conn->client.echo) &&
           !nx_nats_is_withheld(nx_nats_conn_permissions(conn), passage->subject, subscription->queue);
}

/* Where permissions limit what a client publishes, it may answer what it was given. */
static void allow_answer(struct nx_nats_conn *conn, struct nx_str reply) {
    const struct nx_nats_permissions *permissions = nx_nats_conn_permissions(conn);
    if (permissions != NULL && permissions->allow_responses && reply.len > 0 &&
        !nx_nats_may_publish(permissions, reply)) {
        nx_nats_replies_add(&conn->replies, permissions, reply, conn->hub->now.monotonic_ns);
    }
}

static void deliver(struct nx_nats_subscription *subscription, const struct nx_nats_op *published) {
    struct nx_nats_conn *conn = subscription->conn;
    struct nx_nats_op message = *published;
    message.verb = published->headers.len > 0 && conn->client.headers ? NX_NATS_HMSG : NX_NATS_MSG;
    message.headers = message.verb == NX_NATS_HMSG ? published->headers : NX_STR_EMPTY;
    message.sid = subscription->sid;
    subscription->delivered++;
    write_message(conn, &message);
    allow_answer(conn, message.reply);
    if (subscription->count_max > 0 && subscription->delivered >= subscription->count_max) {
        nx_nats_subscription_end(subscription);
    }
}

/* Nobody listens to a request: its sender is told by the subscription that waits for the answer (ADR-22). */
static void say_no_responders(struct nx_nats_conn *conn, const struct nx_nats_op *request) {
    struct nx_nats_hub *hub = conn->hub;
    struct passage passage = { conn, request->reply };
    NX_AUTO(nx_buf) block;
    NX_AUTO(nx_buf) lines;
    nx_buf_init(&block, 2 * NX_NATS_CONTROL_LINE_SIZE_MAX);
    nx_buf_init(&lines, 2 * NX_NATS_CONTROL_LINE_SIZE_MAX);
    if (nx_router_match(conn->account->router, request->reply, accepts, &passage, &hub->routes, NULL) !=
        NX_OK) {
        return;
    }
    nx_buf_append_format(&lines, "Nats-Subject: %.*s\r\n", NX_STR_ARG(request->subject));
    nx_nats_headers_append(
        &block, &(struct nx_nats_headers){ .status = STATUS_NO_RESPONDERS, .lines = nx_buf_str(&lines) });
    for (size_t i = 0; i < hub->routes.count; i++) {
        struct nx_nats_subscription *subscription = subscription_of(hub->routes.entries[i]);
        if (subscription->conn == conn) {
            deliver(subscription,
                    &(struct nx_nats_op){ .subject = request->reply, .headers = nx_buf_str(&block) });
            return;
        }
    }
}

/* Rules first; else it may be the answer to a message that it was given. */
static bool may_publish(struct nx_nats_conn *conn, struct nx_str subject) {
    const struct nx_nats_permissions *permissions = nx_nats_conn_permissions(conn);
    return permissions == NULL || nx_nats_may_publish(permissions, subject) ||
           (permissions->allow_responses &&
            nx_nats_replies_use(&conn->replies, permissions, subject, conn->hub->now.monotonic_ns));
}

static void route(struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    struct nx_nats_hub *hub = conn->hub;
    struct passage passage = { conn, op->subject };
    size_t delivered_count = 0;
    bool is_for_log = false;
    if (nx_router_match(conn->account->router, op->subject, accepts, &passage, &hub->routes, NULL) != NX_OK) {
        nx_nats_conn_end(conn, "Slow Consumer"); /* no memory: what this one sends cannot be carried */
        return;
    }
    for (size_t i = 0; i < hub->routes.count; i++) {
        if (accepts(&passage, hub->routes.entries[i])) {
            struct nx_nats_subscription *subscription = subscription_of(hub->routes.entries[i]);
            is_for_log = is_for_log || subscription->conn->is_own;
            deliver(subscription, op);
            delivered_count++;
        }
    }
    if (hub->system != NULL && nx_nats_system_take(hub->system, conn, op)) {
        delivered_count++;
    }
    if (hub->jetstream != NULL && nx_nats_jetstream_take(hub->jetstream, conn->account->name, op, hub->now)) {
        delivered_count++;
        is_for_log = true;
    }
    conn->must_wait = conn->must_wait || (is_for_log && nx_nats_jetstream_is_full(hub->jetstream));
    if (delivered_count == 0 && op->reply.len > 0 && conn->client.no_responders) {
        say_no_responders(conn, op);
    }
}

bool nx_nats_conn_must_wait(struct nx_nats_conn *conn) {
    const bool must_wait = conn->must_wait;
    conn->must_wait = false;
    return must_wait;
}

/* Who listens, into the hub's routes. */
static bool find_listeners(struct nx_nats_hub *hub, struct nx_str account_name, struct nx_str subject,
                           struct passage *passage) {
    const struct nx_nats_account *account = nx_map_get(&hub->accounts, account_name);
    *passage = (struct passage){ NULL, subject };
    return account != NULL && nx_subject_is_valid(subject) &&
           nx_router_match(account->router, subject, accepts, passage, &hub->routes, NULL) == NX_OK;
}

size_t nx_nats_hub_deliver(struct nx_nats_hub *hub, struct nx_str account, struct nx_str route,
                           const struct nx_nats_op *message) {
    struct passage passage;
    size_t count = 0;
    if (!find_listeners(hub, account, route, &passage)) {
        return 0;
    }
    for (size_t i = 0; i < hub->routes.count; i++) {
        if (accepts(&passage, hub->routes.entries[i])) {
            deliver(subscription_of(hub->routes.entries[i]), message);
            count++;
        }
    }
    return count;
}

void nx_nats_hub_publish(struct nx_nats_hub *hub, struct nx_str account, const struct nx_nats_op *message) {
    (void)nx_nats_hub_deliver(hub, account, message->subject, message);
}

bool nx_nats_hub_listens(struct nx_nats_hub *hub, struct nx_str account, struct nx_str subject) {
    struct passage passage;
    return find_listeners(hub, account, subject, &passage) && hub->routes.count > 0;
}

static void handle_publish(struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    struct nx_nats_hub *hub = conn->hub;
    if (op->verb == NX_NATS_HPUB && !conn->client.headers) {
        nx_nats_conn_end_silently(conn, "Protocol Violation"); /* as NATS */
        return;
    }
    const size_t size = op->headers.len + op->payload.len;
    nx_counter_add(&hub->counters->messages_in, 1);
    nx_counter_add(&hub->counters->bytes_in, size);
    conn->traffic.messages_in++;
    conn->traffic.bytes_in += size;
    conn->active_ns = hub->now.monotonic_ns;
    if (conn->client.pedantic && !nx_subject_is_valid(op->subject)) {
        nx_nats_conn_say_error(conn, "Invalid Publish Subject"); /* as NATS: told, and carried */
    }
    if (!may_publish(conn, op->subject)) {
        nx_nats_conn_say_violation(conn, "Publish", op->subject, NX_STR_EMPTY, NX_STR_EMPTY);
        return;
    }
    nx_nats_conn_say_ok(conn);
    route(conn, op);
}

/* Operations */

static void handle(struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    if (op->verb != NX_NATS_CONNECT && !nx_nats_conn_is_let_in(conn)) {
        return;
    }
    switch (op->verb) {
    case NX_NATS_CONNECT:
        nx_nats_conn_login(conn, op);
        break;
    case NX_NATS_PUB:
    case NX_NATS_HPUB:
        handle_publish(conn, op);
        break;
    case NX_NATS_SUB:
        handle_sub(conn, op);
        break;
    case NX_NATS_UNSUB:
        handle_unsub(conn, op);
        break;
    case NX_NATS_PING:
        nx_nats_conn_say(conn, &(struct nx_nats_op){ .verb = NX_NATS_PONG });
        break;
    case NX_NATS_PONG:
        conn->rtt_ns = conn->pings > 0 ? conn->hub->now.monotonic_ns - conn->pinged_ns : conn->rtt_ns;
        conn->pings = 0;
        break;
    case NX_NATS_INFO:
    case NX_NATS_MSG:
    case NX_NATS_HMSG:
    case NX_NATS_OK:
    case NX_NATS_ERR:
        nx_assert_never("the parser takes only a client's verbs");
    }
}

/* A stranger is sent away by the first byte of what is no CONNECT, before a payload is kept for him. */
static bool may_begin(struct nx_nats_conn *conn, char first) {
    return conn->user != NULL || first == 'C' || first == 'c' || nx_nats_conn_is_let_in(conn);
}

/* Handle the whole operations at the front; how many bytes they took. `*wanted_out`: bytes of which the next
 * can be read. */
static size_t handle_all(struct nx_nats_conn *conn, struct nx_str bytes, size_t *wanted_out) {
    const struct nx_nats_limits limits = { NX_NATS_CLIENT, conn->hub->control_line_size_max,
                                           conn->hub->info.payload_size_max };
    size_t offset = 0;
    while (!conn->done && conn->login == NULL && offset < bytes.len) {
        struct nx_nats_op op;
        struct nx_error err = { 0 };
        size_t size = 0;
        if (!may_begin(conn, bytes.ptr[offset])) {
            break;
        }
        const enum nx_nats_parse parsed =
            nx_nats_parse(nx_str_slice(bytes, offset, bytes.len), &limits, &op, &size, &err);
        if (parsed == NX_NATS_PARSE_FAILED) {
            if (nx_nats_conn_is_let_in(conn)) {
                nx_nats_conn_end(conn, err.message);
            }
            break;
        }
        if (parsed == NX_NATS_PARSE_MORE) {
            *wanted_out = size;
            break;
        }
        handle(conn, &op);
        offset += size;
    }
    return offset;
}

static size_t input_size_max(const struct nx_nats_hub *hub) {
    return hub->info.payload_size_max + hub->control_line_size_max + INPUT_ROOM;
}

void nx_nats_conn_feed(struct nx_nats_conn *conn, struct nx_str bytes) {
    size_t wanted = 0;
    conn->heard_ns = conn->hub->now.monotonic_ns;
    if (conn->done) {
        return;
    }
    if (conn->input.len > 0) {
        nx_buf_append(&conn->input, bytes);
        bytes = nx_buf_str(&conn->input);
    }
    const size_t taken = handle_all(conn, bytes, &wanted);
    if (conn->input.len > 0) {
        nx_buf_consume(&conn->input, taken);
    } else if (taken < bytes.len && !conn->done) {
        (void)nx_buf_reserve(&conn->input, wanted);
        nx_buf_append(&conn->input, nx_str_slice(bytes, taken, bytes.len));
    }
    if (conn->input.len == 0 && !nx_buf_failed(&conn->input)) {
        nx_buf_fini(&conn->input);
        nx_buf_init(&conn->input, input_size_max(conn->hub));
    }
    if (nx_buf_failed(&conn->input)) {
        nx_nats_conn_end(conn, "Maximum Payload Violation");
    }
}

struct nx_buf *nx_nats_conn_output(struct nx_nats_conn *conn) {
    return &conn->output;
}

void nx_nats_conn_wrote(struct nx_nats_conn *conn) {
    if (conn->output.len == 0 && conn->output.capacity > NX_NATS_OUTPUT_SIZE_KEPT_MAX) {
        nx_buf_fini(&conn->output);
        nx_buf_init(&conn->output, conn->is_own ? NX_NATS_OWN_PENDING_SIZE_MAX : conn->hub->pending_size_max);
    }
}

bool nx_nats_conn_is_done(const struct nx_nats_conn *conn) {
    return conn->done;
}

/* Connections */

uint64_t nx_nats_conn_id(const struct nx_nats_conn *conn) {
    return conn->id;
}

static void say_info(struct nx_nats_conn *conn) {
    struct nx_nats_info info = conn->hub->info;
    const struct nx_nats_access *access = conn->hub->access;
    info.client_id = conn->id;
    info.client_ip = nx_str_from_c(conn->peer);
    info.nonce = nx_str_from_c(conn->nonce);
    info.auth_required = nx_nats_access_is_required(access) && !nx_nats_access_has_no_auth_user(access);
    nx_nats_info_append(&conn->output, &info);
    nx_nats_conn_wants_flush(conn);
}

static void choose_nonce(struct nx_nats_conn *conn) {
    uint8_t bytes[NONCE_SIZE];
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, 2 * NX_NATS_NONCE_TEXT_SIZE); /* the encoder reserves for padding */
    nx_random_fill(&conn->hub->random, bytes, sizeof bytes);
    nx_base64_encode(&text, NX_BASE64_URL, nx_str_of(bytes, sizeof bytes));
    if (text.len <= NX_NATS_NONCE_TEXT_SIZE) {
        memcpy(conn->nonce, text.ptr == NULL ? "" : text.ptr, text.len);
    }
}

/* "127.0.0.1:4711", or an address alone. */
static void keep_peer(struct nx_nats_conn *conn, struct nx_str peer) {
    uint64_t port = 0;
    size_t colon = peer.len;
    while (colon > 0 && peer.ptr[colon - 1] != ':') {
        colon--;
    }
    const bool has_port = colon > 1 && nx_str_find_byte(peer, ':') == colon - 1;
    const bool is_bracketed = colon > 1 && peer.ptr[colon - 2] == ']';
    struct nx_str address = peer;
    if ((has_port || is_bracketed) && nx_str_to_u64(nx_str_slice(peer, colon, peer.len), &port)) {
        address = nx_str_slice(peer, is_bracketed ? 1 : 0, colon - (is_bracketed ? 2 : 1));
    }
    conn->port = (uint16_t)port;
    memcpy(conn->peer, address.ptr,
           address.len < NX_NATS_PEER_SIZE_MAX - 1 ? address.len : NX_NATS_PEER_SIZE_MAX - 1);
}

enum nx_status nx_nats_conn_open(struct nx_nats_hub *hub, void *transport, struct nx_str peer,
                                 struct nx_nats_conn **conn_out, struct nx_error *err) {
    struct nx_nats_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        return nx_fail_memory(err);
    }
    conn->hub = hub;
    conn->transport = transport;
    conn->id = ++hub->client_count;
    conn->client = NX_NATS_CLIENT_DEFAULT;
    conn->heard_ns = hub->now.monotonic_ns;
    conn->opened_ns = conn->active_ns = conn->heard_ns;
    keep_peer(conn, peer);
    nx_map_init(&conn->subscriptions, hub->subscriptions_max, hub->seed);
    nx_nats_replies_init(&conn->replies, hub->seed);
    nx_buf_init(&conn->input, input_size_max(hub));
    nx_buf_init(&conn->output, hub->pending_size_max);
    nx_buf_init(&conn->certificate, NX_NATS_CERTIFICATE_SIZE_MAX);
    nx_list_append(&hub->conns, &conn->node);
    *conn_out = conn;
    return NX_OK;
}

enum nx_status nx_nats_conn_open_own(struct nx_nats_hub *hub, struct nx_nats_conn **conn_out,
                                     struct nx_error *err) {
    struct nx_nats_conn *conn = NULL;
    NX_TRY(nx_nats_conn_open(hub, NULL, NX_STR_EMPTY, &conn, err));
    nx_list_remove(&hub->conns, &conn->node);
    hub->client_count--;
    conn->is_own = true;
    conn->client = (struct nx_nats_client){ .headers = true };
    nx_buf_fini(&conn->output);
    nx_buf_init(&conn->output, NX_NATS_OWN_PENDING_SIZE_MAX);
    if (!nx_nats_conn_become_own(conn)) {
        nx_nats_conn_close(conn);
        return nx_fail_memory(err);
    }
    *conn_out = conn;
    return NX_OK;
}

void nx_nats_conn_greet(struct nx_nats_conn *conn) {
    if (nx_nats_access_wants_nonce(conn->hub->access)) {
        choose_nonce(conn);
    }
    say_info(conn);
}

void nx_nats_conn_await(struct nx_nats_conn *conn) {
    conn->awaited_ns = conn->hub->now.monotonic_ns;
}

void nx_nats_conn_set_certificate(struct nx_nats_conn *conn, struct nx_str names) {
    struct nx_str rest;
    struct nx_str name;
    nx_buf_append(&conn->certificate, names);
    conn->certificate_names = calloc(NAMES_MAX, sizeof *conn->certificate_names);
    if (conn->certificate_names == NULL || nx_buf_failed(&conn->certificate)) {
        return; /* it has none: it may still say who it is */
    }
    rest = nx_buf_str(&conn->certificate);
    while (conn->certificate_name_count < NAMES_MAX && nx_str_split(&rest, '\n', &name)) {
        if (name.len > 0) {
            conn->certificate_names[conn->certificate_name_count++] = name;
        }
    }
}

void nx_nats_conn_set_tls(struct nx_nats_conn *conn, struct nx_tls_facts facts, bool is_first) {
    conn->tls = facts;
    conn->is_tls_first = is_first;
}

void nx_nats_conn_close(struct nx_nats_conn *conn) {
    if (conn == NULL) {
        return;
    }
    if (!conn->is_own) {
        nx_nats_closed_keep(conn);
        nx_list_remove(&conn->hub->conns, &conn->node);
    }
    nx_nats_conn_end_subscriptions(conn);
    if (conn->hub->system != NULL) {
        nx_nats_system_disconnected(conn->hub->system, conn);
    }
    nx_nats_conn_leave_account(conn);
    nx_nats_conn_forget_login(conn);
    free(conn->about);
    nx_map_fini(&conn->subscriptions);
    nx_nats_replies_fini(&conn->replies);
    nx_buf_fini(&conn->input);
    nx_buf_fini(&conn->output);
    nx_buf_fini(&conn->certificate);
    free(conn->certificate_names);
    free(conn);
}

/* The hub */

void nx_nats_hub_init(struct nx_nats_hub *hub, uint64_t seed, struct nx_nats_access *access) {
    nx_list_init(&hub->conns);
    nx_routes_init(&hub->routes);
    nx_map_init(&hub->accounts, NX_NATS_ACCOUNTS_MAX, seed);
    hub->seed = seed;
    hub->access = access;
}

void nx_nats_hub_fini(struct nx_nats_hub *hub) {
    nx_assert(hub->accounts.count == 0);
    nx_routes_fini(&hub->routes);
    nx_nats_closed_fini(&hub->closed);
    nx_map_fini(&hub->accounts);
    nx_nats_access_free(NX_TAKE(hub->access));
}

size_t nx_nats_hub_subscription_count(const struct nx_nats_hub *hub, struct nx_str account_name) {
    const struct nx_nats_account *account = nx_map_get(&hub->accounts, account_name);
    return account == NULL ? 0 : nx_router_count(account->router);
}

void nx_nats_hub_set_access(struct nx_nats_hub *hub, struct nx_nats_access *access) {
    struct nx_nats_access *previous = hub->access;
    hub->access = access;
    for (struct nx_list_node *at = nx_list_first(&hub->conns); at != NULL;
         at = nx_list_next(&hub->conns, at)) {
        nx_nats_conn_renew(nx_container_of(at, struct nx_nats_conn, node), previous);
    }
    nx_nats_access_free(previous);
}

static void tick_conn(struct nx_nats_conn *conn) {
    const int64_t now_ns = conn->hub->now.monotonic_ns;
    if (conn->user == NULL && conn->login == NULL && conn->awaited_ns != 0 &&
        nx_nats_access_is_required(conn->hub->access) &&
        now_ns - conn->awaited_ns >= conn->hub->auth_timeout_ns) {
        nx_nats_conn_refuse(conn, "Authentication Timeout");
        return;
    }
    const int64_t quiet_ns = now_ns - conn->heard_ns;
    if (quiet_ns < (int64_t)(conn->pings + 1) * conn->hub->ping_interval_ns) {
        return;
    }
    if (conn->pings >= conn->hub->pings_max) {
        nx_counter_add(&conn->hub->counters->stale, 1);
        nx_nats_conn_end(conn, "Stale Connection");
        return;
    }
    conn->pings++;
    conn->pinged_ns = now_ns;
    nx_nats_conn_say(conn, &(struct nx_nats_op){ .verb = NX_NATS_PING });
}

void nx_nats_hub_tick(struct nx_nats_hub *hub) {
    for (struct nx_list_node *at = nx_list_first(&hub->conns); at != NULL;
         at = nx_list_next(&hub->conns, at)) {
        tick_conn(nx_container_of(at, struct nx_nats_conn, node));
    }
}

void nx_nats_hub_announce_stop(struct nx_nats_hub *hub) {
    hub->info.lame_duck = true;
    for (struct nx_list_node *at = nx_list_first(&hub->conns); at != NULL;
         at = nx_list_next(&hub->conns, at)) {
        say_info(nx_container_of(at, struct nx_nats_conn, node));
    }
}
