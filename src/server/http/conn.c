/* src/server/http/conn.c: see conn.h. */
#include "server/http/conn.h"

#include <stdio.h>
#include <time.h>

#include "base/assert.h"
#include "codec/gzip.h"
#include "server/http/encoding.h"

struct nx_http_conn {
    struct nx_list_node phase_node;
    struct nx_http_shared *shared;
    void *transport;
    struct nx_http_parser *parser;
    struct nx_http_request *request; /* being read; NULL between requests */
    struct nx_buf pending;           /* read from the client, not parsed yet */
    struct nx_buf out;
    struct nx_list exchanges; /* oldest first */
    enum nx_http_phase phase;
    int64_t phase_since_ns;
    size_t unwritten;  /* what the transport could not write, when that was last looked at */
    bool closing;      /* no further request is parsed */
    bool broken;       /* nothing can be written any more */
    bool input_ended;  /* the client sends no more */
    bool continue_due; /* "100 Continue" is owed as soon as earlier requests are answered */
};

enum { PROBLEM_SIZE_MAX = 8 * 1024 }; /* more than a whole struct nx_error, escaped */

static const struct nx_str continue_line = { "HTTP/1.1 100 Continue\r\n\r\n", 25 };

struct nx_http_timeouts nx_http_timeouts_default(void) {
    return (struct nx_http_timeouts){ .ns = {
                                          [NX_HTTP_PHASE_IDLE] = 60LL * NX_NS_PER_S,
                                          [NX_HTTP_PHASE_HEAD] = 10LL * NX_NS_PER_S,
                                          [NX_HTTP_PHASE_BODY] = 60LL * NX_NS_PER_S,
                                          [NX_HTTP_PHASE_WRITE] = 30LL * NX_NS_PER_S,
                                      } };
}

/* Shared */

void nx_http_shared_init(struct nx_http_shared *shared) {
    *shared = (struct nx_http_shared){ .timeouts = nx_http_timeouts_default(), .date_second = -1 };
    for (int i = 0; i < NX_HTTP_PHASE_COUNT; i++) {
        nx_list_init(&shared->phases[i]);
    }
    nx_list_init(&shared->orphans);
}

static void exchange_free(struct nx_http_exchange *exchange) {
    if (exchange->state != NULL) {
        exchange->state_free(exchange->state);
    }
    nx_buf_fini(&exchange->headers);
    nx_buf_fini(&exchange->out);
    free(exchange->span);
    free(exchange);
}

void nx_http_shared_fini(struct nx_http_shared *shared) {
    for (struct nx_list_node *node; (node = nx_list_take_first(&shared->orphans)) != NULL;) {
        exchange_free(nx_container_of(node, struct nx_http_exchange, node));
    }
    while (shared->request_count > 0) {
        nx_http_request_free(shared->requests[--shared->request_count]);
    }
}

static struct nx_http_request *request_take(struct nx_http_shared *shared) {
    if (shared->request_count > 0) {
        return shared->requests[--shared->request_count];
    }
    struct nx_http_request *request = NULL;
    return nx_http_request_new(&request, NULL) == NX_OK ? request : NULL;
}

static void request_give_back(struct nx_http_shared *shared, struct nx_http_request *request) {
    if (request == NULL) {
        return;
    }
    if (shared->request_count == NX_HTTP_REQUESTS_KEPT_MAX) {
        nx_http_request_free(request);
        return;
    }
    nx_http_request_reset(request);
    shared->requests[shared->request_count++] = request;
}

static const char *date_now(struct nx_http_shared *shared) {
    static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
    static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    const int64_t second = shared->now.wall_ns / NX_NS_PER_S;
    if (second != shared->date_second) {
        const time_t t = (time_t)second;
        struct tm tm = { 0 };
        (void)gmtime_r(&t, &tm);
        (void)snprintf(shared->date, sizeof shared->date, "%s, %02u %s %04u %02u:%02u:%02u GMT",
                       days[tm.tm_wday % 7], (unsigned)tm.tm_mday % 100, months[tm.tm_mon % 12],
                       (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                       (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
        shared->date_second = second;
    }
    return shared->date;
}

/* Connection */

enum nx_status nx_http_conn_open(struct nx_http_shared *shared, void *transport,
                                 struct nx_http_conn **conn_out, struct nx_error *err) {
    struct nx_http_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        return nx_fail_memory(err);
    }
    const enum nx_status status = nx_http_parser_new(&conn->parser, err);
    if (status != NX_OK) {
        free(conn);
        return status;
    }
    conn->shared = shared;
    conn->transport = transport;
    nx_buf_init(&conn->pending, NX_HTTP_PENDING_SIZE_MAX);
    nx_buf_init(&conn->out, NX_HTTP_OUTPUT_SIZE_MAX);
    nx_list_init(&conn->exchanges);
    conn->phase = NX_HTTP_PHASE_IDLE;
    conn->phase_since_ns = shared->now.monotonic_ns;
    nx_list_append(&shared->phases[conn->phase], &conn->phase_node);
    *conn_out = conn;
    return NX_OK;
}

void nx_http_conn_close(struct nx_http_conn *conn) {
    if (conn == NULL) {
        return;
    }
    for (struct nx_list_node *node; (node = nx_list_take_first(&conn->exchanges)) != NULL;) {
        struct nx_http_exchange *exchange = nx_container_of(node, struct nx_http_exchange, node);
        exchange->conn = NULL;
        if (exchange->answered || exchange->ready != NULL) {
            exchange_free(exchange);
        } else {
            nx_list_append(&conn->shared->orphans, &exchange->node);
        }
    }
    nx_list_remove(&conn->shared->phases[conn->phase], &conn->phase_node);
    request_give_back(conn->shared, conn->request);
    nx_http_parser_free(conn->parser);
    nx_buf_fini(&conn->pending);
    nx_buf_fini(&conn->out);
    free(conn);
}

void *nx_http_conn_transport(const struct nx_http_conn *conn) {
    return conn->transport;
}

struct nx_str nx_http_conn_output(const struct nx_http_conn *conn) {
    return conn->broken ? NX_STR_EMPTY : nx_buf_str(&conn->out);
}

void nx_http_conn_wrote(struct nx_http_conn *conn, size_t len) {
    nx_assert(len <= conn->out.len);
    if (len == conn->out.len) {
        nx_buf_reset(&conn->out);
        if (conn->out.capacity > NX_HTTP_OUTPUT_SIZE_KEPT_MAX) {
            nx_buf_fini(&conn->out);
        }
        return;
    }
    nx_buf_consume(&conn->out, len);
}

static size_t unwritten_now(const struct nx_http_conn *conn) {
    return conn->out.len + (conn->shared->unwritten == NULL ? 0 : conn->shared->unwritten(conn->transport));
}

static bool is_blocked(const struct nx_http_conn *conn) {
    return conn->exchanges.count >= NX_HTTP_PIPELINE_MAX || unwritten_now(conn) > NX_HTTP_OUTPUT_SIZE_HIGH ||
           conn->continue_due;
}

bool nx_http_conn_wants_input(const struct nx_http_conn *conn) {
    return !conn->closing && !conn->broken && !conn->input_ended && conn->pending.len == 0 &&
           !is_blocked(conn);
}

bool nx_http_conn_is_quiet(const struct nx_http_conn *conn) {
    return conn->exchanges.count == 0 && conn->out.len == 0 && conn->pending.len == 0 &&
           !nx_http_parser_is_within(conn->parser);
}

bool nx_http_conn_is_broken(const struct nx_http_conn *conn) {
    return conn->broken;
}

bool nx_http_conn_is_done(const struct nx_http_conn *conn) {
    if (conn->broken) {
        return true;
    }
    const bool over = conn->closing || (conn->input_ended && conn->pending.len == 0);
    return over && conn->exchanges.count == 0 && conn->out.len == 0;
}

void nx_http_conn_finish(struct nx_http_conn *conn) {
    if (conn->exchanges.count == 0 && !nx_http_parser_is_within(conn->parser) && conn->pending.len == 0) {
        conn->closing = true;
    }
    /* Else shared->draining closes it behind the last answer. */
}

static struct nx_http_exchange *exchange_new(struct nx_http_conn *conn,
                                             const struct nx_http_request *request) {
    struct nx_http_exchange *exchange = calloc(1, sizeof *exchange);
    if (exchange == NULL) {
        return NULL;
    }
    nx_buf_init(&exchange->out, NX_HTTP_OUTPUT_SIZE_MAX);
    nx_buf_init(&exchange->headers, NX_HTTP_EXTRA_HEADERS_SIZE_MAX);
    exchange->shared = conn->shared;
    exchange->conn = conn;
    exchange->begun_ns = conn->shared->now.monotonic_ns;
    exchange->is_head = request->method == NX_HTTP_HEAD;
    exchange->keep_alive = request->keep_alive;
    exchange->is_http_1_0 = request->version_minor == 0;
    exchange->takes_gzip = nx_http_takes_gzip(request);
    nx_list_append(&conn->exchanges, &exchange->node);
    return exchange;
}

/* Answer a request that cannot be, or may not be, read further: its error is the connection's last answer. */
static void refuse(struct nx_http_conn *conn, const struct nx_error *err) {
    struct nx_http_exchange *exchange = exchange_new(conn, conn->request);
    conn->closing = true;
    if (exchange == NULL) {
        conn->broken = true;
        return;
    }
    exchange->is_head = false;
    exchange->is_http_1_0 = false;
    exchange->keep_alive = false;
    nx_http_respond_error(exchange, err, NX_STR_EMPTY);
}

static void handle(struct nx_http_conn *conn) {
    struct nx_http_request *request = conn->request;
    struct nx_error err = { 0 };
    if (conn->shared->admit(conn->shared->data, request, &err) != NX_OK) {
        refuse(conn, &err);
        return;
    }
    struct nx_http_exchange *exchange = exchange_new(conn, request);
    if (exchange == NULL) {
        conn->broken = true; /* not even the memory for an answer */
        return;
    }
    conn->closing = conn->closing || !request->keep_alive;
    if (nx_http_decode_body(request, &err) != NX_OK) {
        const bool is_other = err.kind == NX_KIND_UNSUPPORTED_MEDIA;
        nx_http_respond_error(exchange, &err, is_other ? NX_STR("Accept-Encoding: gzip\r\n") : NX_STR_EMPTY);
        return;
    }
    conn->shared->handle(conn->shared->data, exchange, request);
}

/* The headers of a request are there and its client waits to be asked for the body. */
static void ask_for_body(struct nx_http_conn *conn) {
    struct nx_error err = { 0 };
    if (conn->shared->admit(conn->shared->data, conn->request, &err) != NX_OK) {
        refuse(conn, &err);
    } else if (conn->exchanges.count > 0) {
        conn->continue_due = true;
    } else {
        nx_buf_append(&conn->out, continue_line);
    }
}

/* Parse and handle until the bytes end or must wait; returns how many were used. */
static size_t parse(struct nx_http_conn *conn, struct nx_str bytes) {
    size_t used = 0;
    while (used < bytes.len && !conn->closing && !conn->broken && !is_blocked(conn)) {
        if (conn->request == NULL) {
            conn->request = request_take(conn->shared);
            if (conn->request == NULL) {
                conn->broken = true;
                break;
            }
        }
        struct nx_error err = { 0 };
        size_t consumed = 0;
        const enum nx_http_parse result = nx_http_parser_feed(
            conn->parser, conn->request, nx_str_slice(bytes, used, bytes.len), &consumed, &err);
        used += consumed;
        if (result == NX_HTTP_PARSE_FAILED) {
            refuse(conn, &err);
        } else if (result == NX_HTTP_PARSE_CONTINUE) {
            ask_for_body(conn);
        } else if (result == NX_HTTP_PARSE_DONE) {
            handle(conn);
            nx_http_request_reset(conn->request);
        }
    }
    if (conn->request != NULL && !nx_http_parser_is_within(conn->parser)) {
        request_give_back(conn->shared, NX_TAKE(conn->request));
    }
    /* What follows a last request is not ours to understand. */
    return conn->closing || conn->broken ? bytes.len : used;
}

void nx_http_conn_feed(struct nx_http_conn *conn, struct nx_str bytes) {
    if (bytes.len == 0 || conn->closing || conn->broken) {
        return;
    }
    size_t used = 0;
    if (conn->pending.len == 0) {
        used = parse(conn, bytes);
    }
    if (used < bytes.len) {
        nx_buf_append(&conn->pending, nx_str_slice(bytes, used, bytes.len));
        conn->broken = conn->broken || nx_buf_failed(&conn->pending);
    }
}

void nx_http_conn_feed_end(struct nx_http_conn *conn) {
    conn->input_ended = true;
}

/* Let the answer whose turn it is go on, when it waits for room and there is some. */
static bool call_ready(struct nx_http_conn *conn) {
    struct nx_list_node *node = nx_list_first(&conn->exchanges);
    struct nx_http_exchange *exchange =
        node == NULL ? NULL : nx_container_of(node, struct nx_http_exchange, node);
    if (exchange == NULL || exchange->ready == NULL || conn->broken ||
        unwritten_now(conn) > NX_HTTP_OUTPUT_SIZE_HIGH) {
        return false;
    }
    void (*ready)(struct nx_http_exchange *) = NX_TAKE(exchange->ready);
    ready(exchange);
    return true;
}

bool nx_http_conn_run(struct nx_http_conn *conn) {
    if (call_ready(conn)) {
        return true;
    }
    if (conn->continue_due && conn->exchanges.count == 0) {
        conn->continue_due = false;
        nx_buf_append(&conn->out, continue_line);
        return true;
    }
    if (conn->pending.len == 0 || conn->broken || is_blocked(conn)) {
        return false;
    }
    const size_t used = parse(conn, nx_buf_str(&conn->pending));
    nx_buf_consume(&conn->pending, used);
    if (conn->pending.len == 0) {
        nx_buf_fini(&conn->pending);
    }
    return true;
}

/* Time-outs */

static enum nx_http_phase phase_of(const struct nx_http_conn *conn) {
    if (conn->unwritten > 0) {
        return NX_HTTP_PHASE_WRITE;
    }
    if (conn->exchanges.count > 0) {
        return NX_HTTP_PHASE_BUSY;
    }
    if (nx_http_parser_is_in_body(conn->parser)) {
        return NX_HTTP_PHASE_BODY;
    }
    return nx_http_parser_is_within(conn->parser) ? NX_HTTP_PHASE_HEAD : NX_HTTP_PHASE_IDLE;
}

void nx_http_conn_settle(struct nx_http_conn *conn) {
    const size_t unwritten = unwritten_now(conn);
    const bool took_some = unwritten < conn->unwritten;
    conn->unwritten = unwritten;
    const enum nx_http_phase phase = phase_of(conn);
    if (phase == conn->phase && !(phase == NX_HTTP_PHASE_WRITE && took_some) && phase != NX_HTTP_PHASE_IDLE) {
        return;
    }
    nx_list_remove(&conn->shared->phases[conn->phase], &conn->phase_node);
    nx_list_append(&conn->shared->phases[phase], &conn->phase_node);
    conn->phase = phase;
    conn->phase_since_ns = conn->shared->now.monotonic_ns;
}

static struct nx_http_conn *oldest_in(const struct nx_http_shared *shared, int phase) {
    struct nx_list_node *node = nx_list_first(&shared->phases[phase]);
    return node == NULL ? NULL : nx_container_of(node, struct nx_http_conn, phase_node);
}

int64_t nx_http_shared_deadline(const struct nx_http_shared *shared) {
    int64_t deadline_ns = INT64_MAX;
    for (int phase = 0; phase < NX_HTTP_PHASE_COUNT; phase++) {
        const struct nx_http_conn *conn = oldest_in(shared, phase);
        if (conn != NULL && shared->timeouts.ns[phase] > 0 &&
            conn->phase_since_ns + shared->timeouts.ns[phase] < deadline_ns) {
            deadline_ns = conn->phase_since_ns + shared->timeouts.ns[phase];
        }
    }
    return deadline_ns;
}

static void expire(struct nx_http_conn *conn) {
    if (conn->phase == NX_HTTP_PHASE_HEAD || conn->phase == NX_HTTP_PHASE_BODY) {
        struct nx_error err = { 0 };
        (void)nx_fail_kind(&err, NX_KIND_REQUEST_TIMEOUT, "the request did not arrive in time");
        refuse(conn, &err);
    } else if (conn->phase == NX_HTTP_PHASE_IDLE) {
        conn->closing = true;
    } else {
        const size_t unwritten = unwritten_now(conn);
        conn->broken = unwritten >= conn->unwritten;
        conn->unwritten = unwritten;
    }
}

struct nx_http_conn *nx_http_shared_expire(struct nx_http_shared *shared) {
    for (int phase = 0; phase < NX_HTTP_PHASE_COUNT; phase++) {
        struct nx_http_conn *conn = oldest_in(shared, phase);
        if (conn == NULL || shared->timeouts.ns[phase] == 0 ||
            conn->phase_since_ns + shared->timeouts.ns[phase] > shared->now.monotonic_ns) {
            continue;
        }
        expire(conn);
        /* To the end of its list, so that the walk ends even where the transport keeps it for a while. */
        nx_list_remove(&shared->phases[conn->phase], &conn->phase_node);
        nx_list_append(&shared->phases[conn->phase], &conn->phase_node);
        conn->phase_since_ns = shared->now.monotonic_ns;
        return conn;
    }
    return NULL;
}

/* Answers */

void nx_http_exchange_close_after(struct nx_http_exchange *exchange) {
    exchange->keep_alive = false;
    if (exchange->conn != NULL) {
        exchange->conn->closing = true;
    }
}

/* Statuses whose answers end with their headers. */
static bool has_no_body(int status) {
    return status == 204 || status == 304;
}

static void write_head(struct nx_buf *out, const struct nx_http_exchange *exchange,
                       const struct nx_http_response *response) {
    nx_buf_append(out, NX_STR("HTTP/1.1 "));
    nx_buf_append_decimal(out, (uint64_t)response->status);
    nx_buf_append_u8(out, ' ');
    nx_buf_append_c(out, nx_http_reason(response->status));
    nx_buf_append(out, NX_STR("\r\nDate: "));
    nx_buf_append_c(out, date_now(exchange->shared));
    if (response->content_type.len > 0) {
        nx_buf_append(out, NX_STR("\r\nContent-Type: "));
        nx_buf_append(out, response->content_type);
    }
    if (has_no_body(response->status)) {
        /* RFC 9110, 8.6 */
    } else if (!exchange->streaming) {
        nx_buf_append(out, NX_STR("\r\nContent-Length: "));
        nx_buf_append_decimal(out, response->body.len);
    } else if (!exchange->is_http_1_0) {
        nx_buf_append(out, NX_STR("\r\nTransfer-Encoding: chunked"));
    }
    nx_buf_append(out, NX_STR("\r\n"));
    nx_buf_append(out, response->headers);
    nx_buf_append(out, nx_buf_str(&exchange->headers));
    if (!exchange->keep_alive) {
        nx_buf_append(out, NX_STR("Connection: close\r\n"));
    } else if (exchange->is_http_1_0) {
        nx_buf_append(out, NX_STR("Connection: keep-alive\r\n"));
    }
    nx_buf_append(out, NX_STR("\r\n"));
}

/* Move answers from the head of the queue to the output, as far as they are there. */
static void release_answers(struct nx_http_conn *conn) {
    for (struct nx_list_node *node; (node = nx_list_first(&conn->exchanges)) != NULL;) {
        struct nx_http_exchange *exchange = nx_container_of(node, struct nx_http_exchange, node);
        if (!exchange->answered) {
            break;
        }
        nx_buf_append(&conn->out, nx_buf_str(&exchange->out));
        conn->closing = conn->closing || !exchange->keep_alive;
        conn->broken = conn->broken || nx_buf_failed(&exchange->out);
        nx_list_remove(&conn->exchanges, node);
        exchange_free(exchange);
    }
    struct nx_list_node *first = nx_list_first(&conn->exchanges);
    if (first != NULL) { /* of a stream whose turn it is now: what it has so far */
        struct nx_http_exchange *exchange = nx_container_of(first, struct nx_http_exchange, node);
        nx_buf_append(&conn->out, nx_buf_str(&exchange->out));
        conn->broken = conn->broken || nx_buf_failed(&exchange->out);
        nx_buf_fini(&exchange->out);
    }
    conn->broken = conn->broken || nx_buf_failed(&conn->out);
}

/* Head and body of an answer; packed, where that is wanted and there is memory for it. */
static void write_answer(struct nx_buf *out, struct nx_http_exchange *exchange,
                         const struct nx_http_response *response) {
    struct nx_http_response answer = *response;
    NX_AUTO(nx_buf) packed;
    nx_buf_init(&packed, NX_HTTP_PACKED_SIZE_MAX);
    if (!has_no_body(response->status) && nx_http_is_packable(response)) {
        nx_buf_append(&exchange->headers, NX_STR("Vary: Accept-Encoding\r\n"));
        if (exchange->takes_gzip && !exchange->is_head &&
            nx_gzip_encode(&packed, response->body, NULL) == NX_OK && packed.len < response->body.len) {
            nx_buf_append(&exchange->headers, NX_STR("Content-Encoding: gzip\r\n"));
            answer.body = nx_buf_str(&packed);
        }
        if (nx_buf_failed(&exchange->headers)) {
            exchange->conn->broken = true;
        }
    }
    write_head(out, exchange, &answer);
    if (!exchange->is_head && !has_no_body(response->status)) {
        nx_buf_append(out, answer.body);
    }
}

void nx_http_respond(struct nx_http_exchange *exchange, const struct nx_http_response *response) {
    struct nx_http_conn *conn = exchange->conn;
    nx_assert(!exchange->answered);
    if (exchange->shared->responses != NULL) {
        nx_counter_add(&exchange->shared->responses[response->status / 100 % 6], 1);
    }
    if (exchange->span != NULL) {
        exchange->shared->answered(exchange, response->status, "", "");
    }
    if (conn == NULL) {
        nx_list_remove(&exchange->shared->orphans, &exchange->node);
        exchange_free(exchange);
        return;
    }
    if (exchange->shared->draining) {
        nx_http_exchange_close_after(exchange);
    }
    /* The answer whose turn it is goes straight to the output. */
    const bool is_first = nx_list_first(&conn->exchanges) == &exchange->node;
    struct nx_buf *out = is_first ? &conn->out : &exchange->out;
    write_answer(out, exchange, response);
    exchange->answered = true;
    release_answers(conn);
}

/* Where a stream's bytes go: straight out when it is its turn. */
static struct nx_buf *stream_out(struct nx_http_exchange *exchange) {
    struct nx_http_conn *conn = exchange->conn;
    return nx_list_first(&conn->exchanges) == &exchange->node ? &conn->out : &exchange->out;
}

void nx_http_stream_begin(struct nx_http_exchange *exchange, const struct nx_http_response *response) {
    nx_assert(!exchange->streaming && !exchange->answered);
    exchange->streaming = true;
    if (exchange->shared->responses != NULL) {
        nx_counter_add(&exchange->shared->responses[response->status / 100 % 6], 1);
    }
    if (exchange->conn == NULL) {
        return;
    }
    if (exchange->shared->draining || exchange->is_http_1_0) {
        nx_http_exchange_close_after(exchange); /* without chunks only the end of the connection ends it */
    }
    write_head(stream_out(exchange), exchange, response);
}

void nx_http_stream_write(struct nx_http_exchange *exchange, struct nx_str bytes) {
    nx_assert(exchange->streaming && !exchange->answered);
    if (exchange->conn == NULL || bytes.len == 0) {
        return;
    }
    struct nx_buf *out = stream_out(exchange);
    if (!exchange->is_http_1_0) {
        nx_buf_append_format(out, "%zx\r\n", bytes.len);
    }
    nx_buf_append(out, bytes);
    if (!exchange->is_http_1_0) {
        nx_buf_append(out, NX_STR("\r\n"));
    }
    exchange->conn->broken = exchange->conn->broken || nx_buf_failed(out);
}

bool nx_http_stream_has_room(const struct nx_http_exchange *exchange) {
    return exchange->conn == NULL ||
           unwritten_now(exchange->conn) + exchange->out.len <= NX_HTTP_OUTPUT_SIZE_HIGH;
}

void nx_http_stream_wait(struct nx_http_exchange *exchange,
                         void (*ready)(struct nx_http_exchange *exchange)) {
    nx_assert(exchange->streaming && exchange->conn != NULL);
    exchange->ready = ready;
}

void nx_http_stream_end(struct nx_http_exchange *exchange) {
    struct nx_http_conn *conn = exchange->conn;
    nx_assert(exchange->streaming && !exchange->answered);
    if (conn == NULL) {
        nx_http_abandon(exchange);
        return;
    }
    if (!exchange->is_http_1_0) {
        nx_buf_append(stream_out(exchange), NX_STR("0\r\n\r\n"));
    }
    if (exchange->shared->draining) {
        nx_http_exchange_close_after(exchange);
    }
    exchange->ready = NULL;
    exchange->answered = true;
    release_answers(conn);
}

void nx_http_abandon(struct nx_http_exchange *exchange) {
    struct nx_http_conn *conn = exchange->conn;
    nx_assert(!exchange->answered);
    if (conn == NULL) {
        nx_list_remove(&exchange->shared->orphans, &exchange->node);
    } else {
        conn->broken = true;
        nx_list_remove(&conn->exchanges, &exchange->node);
    }
    exchange_free(exchange);
}

void nx_http_problem_begin(struct nx_json_writer *writer, int http_status, const struct nx_error *err) {
    char type[96];
    (void)snprintf(type, sizeof type, "urn:nexus:error:%s", nx_error_kind_name(err));
    nx_json_object_begin(writer);
    nx_json_member_c(writer, "type", type);
    nx_json_member_c(writer, "title", nx_http_reason(http_status));
    nx_json_member_u64(writer, "status", (uint64_t)http_status);
    nx_json_member_c(writer, "detail", err->message);
    nx_json_member_c(writer, "code", nx_status_name(err->status));
    nx_json_member_c(writer, "kind", nx_error_kind_name(err));
    if (err->hint[0] != '\0') {
        nx_json_member_c(writer, "hint", err->hint);
    }
}

void nx_http_respond_error_as(struct nx_http_exchange *exchange, int http_status, const struct nx_error *err,
                              struct nx_str headers) {
    NX_AUTO(nx_buf) body;
    NX_AUTO(nx_buf) lines;
    struct nx_json_writer writer;
    if (http_status == 500) {
        nx_log_error(exchange->shared->log, "request failed", NX_F_C("kind", nx_error_kind_name(err)),
                     NX_F_C("error", err->message));
    }
    if (exchange->span != NULL) {
        exchange->shared->answered(exchange, http_status, nx_error_kind_name(err), err->message);
    }
    nx_buf_init(&body, PROBLEM_SIZE_MAX);
    nx_buf_init(&lines, NX_HTTP_EXTRA_HEADERS_SIZE_MAX);
    nx_json_writer_init(&writer, &body);
    nx_http_problem_begin(&writer, http_status, err);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_buf_append_u8(&body, '\n');
    nx_buf_append(&lines, headers);
    if (http_status == 408 || (http_status == 503 && err->kind != NX_KIND_LOG_FROZEN)) { /* it passes */
        nx_buf_append(&lines, NX_STR("Retry-After: 1\r\n"));
    }
    nx_http_respond(exchange, &(struct nx_http_response){ .status = http_status,
                                                          .content_type = NX_STR("application/problem+json"),
                                                          .body = nx_buf_str(&body),
                                                          .headers = nx_buf_str(&lines) });
}

void nx_http_conn_interrupt(struct nx_http_conn *conn) {
    struct nx_list waiting;
    nx_list_init(&waiting);
    nx_list_move_all(&waiting, &conn->exchanges);
    for (struct nx_list_node *node; (node = nx_list_take_first(&waiting)) != NULL;) {
        struct nx_http_exchange *exchange = nx_container_of(node, struct nx_http_exchange, node);
        struct nx_http_exchange *substitute = NULL;
        const bool is_meant = exchange->interruptible || (conn->shared->cutting && exchange->stored);
        if (is_meant && !exchange->answered) {
            substitute = calloc(1, sizeof *substitute);
        }
        if (substitute == NULL) {
            nx_list_append(&conn->exchanges, node);
            continue;
        }
        /* The message under way still points to the old one. */
        *substitute = *exchange;
        substitute->state = NULL; /* it is for that message's answer */
        substitute->span = NULL;
        substitute->ready = NULL;
        nx_buf_init(&exchange->out, NX_HTTP_OUTPUT_SIZE_MAX); /* its bytes have moved */
        nx_buf_init(&exchange->headers, NX_HTTP_EXTRA_HEADERS_SIZE_MAX);
        substitute->node = (struct nx_list_node){ 0 };
        nx_list_append(&conn->exchanges, &substitute->node);
        exchange->conn = NULL;
        if (exchange->ready != NULL) {
            exchange_free(exchange);
        } else {
            nx_list_append(&conn->shared->orphans, node);
        }
        if (substitute->streaming) {
            nx_http_stream_end(substitute);
            continue;
        }
        struct nx_error err = { 0 };
        (void)nx_fail(&err, NX_UNAVAILABLE,
                      conn->shared->cutting ? "the server stops before there is an answer"
                                            : "the server stops");
        if (conn->shared->cutting) {
            nx_hint(&err, "the event is stored, and handled now or at its next start");
        }
        nx_http_respond_error(substitute, &err, NX_STR_EMPTY);
    }
}

void nx_http_respond_error(struct nx_http_exchange *exchange, const struct nx_error *err,
                           struct nx_str headers) {
    nx_http_respond_error_as(exchange, nx_error_http_status(err), err, headers);
}
