/* src/server/nats/conn.c: see conn.h. */
#include "server/nats/conn.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/map.h"
#include "fabric/subject/subject.h"

enum {
    INPUT_SIZE_MAX = NX_NATS_PAYLOAD_SIZE_MAX + NX_NATS_CONTROL_LINE_SIZE_MAX + 64 * 1024,
    STATUS_NO_RESPONDERS = 503,
    PEER_SIZE_MAX = 64,
};

/* One SUB of one connection. */
struct subscription {
    struct nx_router_entry entry;
    struct nx_nats_conn *conn;
    uint64_t delivered;
    uint64_t count_max; /* 0: none */
    struct nx_str sid;
    char sid_bytes[];
};

struct nx_nats_conn {
    struct nx_list_node node; /* of the hub's connections */
    struct nx_nats_hub *hub;
    void *transport;
    uint64_t id;
    struct nx_nats_client client;
    struct nx_map subscriptions; /* by sid */
    struct nx_buf input;         /* the beginning of an operation whose rest has not come */
    struct nx_buf output;
    int64_t heard_ns; /* monotonic, when its last bytes came */
    unsigned pings;   /* sent since */
    bool done;
    char peer[PEER_SIZE_MAX];
};

static struct subscription *subscription_of(struct nx_router_entry *entry) {
    return nx_container_of(entry, struct subscription, entry);
}

/* Output */

static void wants_flush(struct nx_nats_conn *conn) {
    conn->hub->transport.wants_flush(conn->transport);
}

static void say(struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    if (!conn->done) {
        nx_nats_append(&conn->output, op);
        wants_flush(conn);
    }
}

static void say_error(struct nx_nats_conn *conn, const char *error) {
    say(conn, &(struct nx_nats_op){ .verb = NX_NATS_ERR, .text = nx_str_from_c(error) });
}

void nx_nats_conn_end(struct nx_nats_conn *conn, const char *error) {
    if (!conn->done) {
        say_error(conn, error);
        conn->done = true;
    }
}

/* It reads too slowly: what waits is dropped, so that it costs nobody memory any longer. */
static void cut_slow(struct nx_nats_conn *conn) {
    nx_counter_add(&conn->hub->counters->slow_consumers, 1);
    nx_buf_fini(&conn->output);
    nx_buf_init(&conn->output, NX_NATS_OUTPUT_SIZE_MAX);
    nx_nats_conn_end(conn, "Slow Consumer");
}

static void write_message(struct nx_nats_conn *conn, const struct nx_nats_op *message) {
    const size_t size = message->headers.len + message->payload.len;
    nx_nats_append(&conn->output, message);
    if (nx_buf_failed(&conn->output) ||
        conn->output.len + conn->hub->transport.unwritten(conn->transport) > NX_NATS_OUTPUT_SIZE_MAX) {
        cut_slow(conn);
        return;
    }
    nx_counter_add(&conn->hub->counters->messages_out, 1);
    nx_counter_add(&conn->hub->counters->bytes_out, size);
    wants_flush(conn);
}

/* Subscriptions */

static void subscription_free(struct subscription *subscription) {
    nx_router_remove(subscription->conn->hub->router, &subscription->entry);
    free(subscription);
}

static void unsubscribe(struct subscription *subscription) {
    (void)nx_map_remove(&subscription->conn->subscriptions, subscription->sid);
    subscription_free(subscription);
}

static enum nx_status subscribe(struct nx_nats_conn *conn, const struct nx_nats_op *op,
                                struct nx_error *err) {
    if (!nx_subject_is_filter(op->subject)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "Invalid Subject");
    }
    if (nx_map_get(&conn->subscriptions, op->sid) != NULL) {
        return NX_OK; /* as NATS: the first one stays */
    }
    struct subscription *subscription = calloc(1, sizeof *subscription + op->sid.len);
    if (subscription == NULL) {
        return nx_fail_memory(err);
    }
    memcpy(subscription->sid_bytes, op->sid.ptr, op->sid.len);
    subscription->sid = nx_str_of(subscription->sid_bytes, op->sid.len);
    subscription->conn = conn;
    enum nx_status status =
        nx_router_add(conn->hub->router, &subscription->entry, op->subject, op->queue, err);
    if (status == NX_OK) {
        status = nx_map_set(&conn->subscriptions, subscription->sid, subscription, err);
    }
    if (status != NX_OK) {
        subscription_free(subscription);
    }
    return status;
}

static void handle_sub(struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    struct nx_error err = { 0 };
    const enum nx_status status = subscribe(conn, op, &err);
    if (status == NX_INVALID_ARGUMENT) {
        say_error(conn, "Invalid Subject");
    } else if (status != NX_OK) {
        nx_nats_conn_end(conn, "Maximum Subscriptions Exceeded");
    }
}

static void handle_unsub(struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    struct subscription *subscription = nx_map_get(&conn->subscriptions, op->sid);
    if (subscription == NULL) {
        return;
    }
    subscription->count_max = op->count_max;
    if (subscription->count_max <= subscription->delivered) {
        unsubscribe(subscription);
    }
}

/* Messages */

/* Whether a member of a queue may be given the publisher's message. */
static bool accepts(void *data, const struct nx_router_entry *entry) {
    const struct nx_nats_conn *publisher = data;
    const struct subscription *subscription = subscription_of((struct nx_router_entry *)(uintptr_t)entry);
    return !subscription->conn->done && (subscription->conn != publisher || publisher->client.echo);
}

static void deliver(struct subscription *subscription, const struct nx_nats_op *published) {
    struct nx_nats_conn *conn = subscription->conn;
    struct nx_nats_op message = *published;
    message.verb = published->headers.len > 0 && conn->client.headers ? NX_NATS_HMSG : NX_NATS_MSG;
    message.headers = message.verb == NX_NATS_HMSG ? published->headers : NX_STR_EMPTY;
    message.sid = subscription->sid;
    subscription->delivered++;
    write_message(conn, &message);
    if (subscription->count_max > 0 && subscription->delivered >= subscription->count_max) {
        unsubscribe(subscription);
    }
}

/* Nobody listens to a request: its sender is told by the subscription that waits for the answer (ADR-22). */
static void say_no_responders(struct nx_nats_conn *conn, const struct nx_nats_op *request) {
    struct nx_nats_hub *hub = conn->hub;
    NX_AUTO(nx_buf) block;
    nx_buf_init(&block, 2 * NX_NATS_CONTROL_LINE_SIZE_MAX);
    if (nx_router_match(hub->router, request->reply, accepts, conn, &hub->routes, NULL) != NX_OK) {
        return;
    }
    nx_nats_headers_append(&block, &(struct nx_nats_headers){ .status = STATUS_NO_RESPONDERS });
    for (size_t i = 0; i < hub->routes.count; i++) {
        struct subscription *subscription = subscription_of(hub->routes.entries[i]);
        if (subscription->conn == conn) {
            deliver(subscription,
                    &(struct nx_nats_op){ .subject = request->reply, .headers = nx_buf_str(&block) });
            return;
        }
    }
}

static void handle_publish(struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    struct nx_nats_hub *hub = conn->hub;
    size_t delivered_count = 0;
    nx_counter_add(&hub->counters->messages_in, 1);
    nx_counter_add(&hub->counters->bytes_in, op->headers.len + op->payload.len);
    if (conn->client.pedantic && !nx_subject_is_valid(op->subject)) {
        say_error(conn, "Invalid Publish Subject");
        return;
    }
    if (nx_router_match(hub->router, op->subject, accepts, conn, &hub->routes, NULL) != NX_OK) {
        nx_nats_conn_end(conn, "Slow Consumer"); /* no memory: what this one sends cannot be carried */
        return;
    }
    for (size_t i = 0; i < hub->routes.count; i++) {
        if (accepts(conn, hub->routes.entries[i])) {
            deliver(subscription_of(hub->routes.entries[i]), op);
            delivered_count++;
        }
    }
    if (delivered_count == 0 && op->reply.len > 0 && conn->client.no_responders) {
        say_no_responders(conn, op);
    }
}

/* Operations */

static void handle_connect(struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    struct nx_error err = { 0 };
    if (nx_nats_connect_read(op->text, &conn->client, &err) != NX_OK) {
        nx_nats_conn_end(conn, err.message);
    }
}

static void handle(struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    switch (op->verb) {
    case NX_NATS_CONNECT:
        handle_connect(conn, op);
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
        say(conn, &(struct nx_nats_op){ .verb = NX_NATS_PONG });
        return; /* itself an answer: no +OK */
    case NX_NATS_PONG:
        conn->pings = 0;
        return;
    case NX_NATS_INFO:
    case NX_NATS_MSG:
    case NX_NATS_HMSG:
    case NX_NATS_OK:
    case NX_NATS_ERR:
        nx_assert_never("the parser takes only a client's verbs");
    }
    if (conn->client.verbose) {
        say(conn, &(struct nx_nats_op){ .verb = NX_NATS_OK });
    }
}

/* Handle the whole operations at the front; how many bytes they took. `*wanted_out`: bytes of which the next
 * can be read. */
static size_t handle_all(struct nx_nats_conn *conn, struct nx_str bytes, size_t *wanted_out) {
    const struct nx_nats_limits limits = { NX_NATS_CLIENT, NX_NATS_CONTROL_LINE_SIZE_MAX,
                                           conn->hub->info.payload_size_max };
    size_t offset = 0;
    while (!conn->done && offset < bytes.len) {
        struct nx_nats_op op;
        struct nx_error err = { 0 };
        size_t size = 0;
        const enum nx_nats_parse parsed =
            nx_nats_parse(nx_str_slice(bytes, offset, bytes.len), &limits, &op, &size, &err);
        if (parsed == NX_NATS_PARSE_FAILED) {
            nx_nats_conn_end(conn, err.message);
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
        nx_buf_init(&conn->input, INPUT_SIZE_MAX);
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
        nx_buf_init(&conn->output, NX_NATS_OUTPUT_SIZE_MAX);
    }
}

bool nx_nats_conn_is_done(const struct nx_nats_conn *conn) {
    return conn->done;
}

/* Connections */

static void say_info(struct nx_nats_conn *conn) {
    struct nx_nats_info info = conn->hub->info;
    info.client_id = conn->id;
    info.client_ip = nx_str_from_c(conn->peer);
    nx_nats_info_append(&conn->output, &info);
    wants_flush(conn);
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
    conn->client.echo = true;
    conn->heard_ns = hub->now.monotonic_ns;
    memcpy(conn->peer, peer.ptr, peer.len < PEER_SIZE_MAX - 1 ? peer.len : PEER_SIZE_MAX - 1);
    nx_map_init(&conn->subscriptions, NX_NATS_SUBSCRIPTIONS_MAX, hub->seed);
    nx_buf_init(&conn->input, INPUT_SIZE_MAX);
    nx_buf_init(&conn->output, NX_NATS_OUTPUT_SIZE_MAX);
    nx_list_append(&hub->conns, &conn->node);
    *conn_out = conn;
    say_info(conn);
    return NX_OK;
}

void nx_nats_conn_close(struct nx_nats_conn *conn) {
    size_t cursor = 0;
    void *subscription;
    if (conn == NULL) {
        return;
    }
    while (nx_map_next(&conn->subscriptions, &cursor, NULL, &subscription)) {
        subscription_free(subscription);
    }
    nx_map_fini(&conn->subscriptions);
    nx_buf_fini(&conn->input);
    nx_buf_fini(&conn->output);
    nx_list_remove(&conn->hub->conns, &conn->node);
    free(conn);
}

/* The hub */

enum nx_status nx_nats_hub_init(struct nx_nats_hub *hub, uint64_t seed, struct nx_error *err) {
    nx_list_init(&hub->conns);
    nx_routes_init(&hub->routes);
    hub->seed = seed;
    return nx_router_new(seed, &hub->router, err);
}

void nx_nats_hub_fini(struct nx_nats_hub *hub) {
    nx_routes_fini(&hub->routes);
    nx_router_free(NX_TAKE(hub->router));
}

static void tick_conn(struct nx_nats_conn *conn) {
    const int64_t quiet_ns = conn->hub->now.monotonic_ns - conn->heard_ns;
    if (quiet_ns < (int64_t)(conn->pings + 1) * conn->hub->ping_interval_ns) {
        return;
    }
    if (conn->pings >= NX_NATS_PINGS_MAX) {
        nx_nats_conn_end(conn, "Stale Connection");
        return;
    }
    conn->pings++;
    say(conn, &(struct nx_nats_op){ .verb = NX_NATS_PING });
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
