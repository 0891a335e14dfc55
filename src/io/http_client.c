#include "io/http_client.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "codec/hex.h"
#include "io/clock.h"
#include "io/dial.h"

enum {
    CHUNK_SIZE = 16 * 1024,
    HEAD_SIZE_MAX = 16 * 1024,
    TLS_SLICE_SIZE = 64 * 1024, /* of a body, given to TLS at once */
    TLS_OUTPUT_SIZE_MAX = 256 * 1024,
};

struct nx_http_client {
    struct nx_url url;
    struct nx_tls_context *context; /* NULL: plain http */
    struct nx_dial *dial;           /* NULL: not connected */
    struct nx_tls *tls;             /* with https: the session on `dial` */
    bool is_reused;                 /* an answer came over it already */
    struct nx_buf head;
    struct nx_buf raw; /* as it came, before TLS */
    struct nx_buf answer;
    struct nx_buf body;
};

/* URLs */

static bool put_text(char *text_out, size_t size_max, struct nx_str text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7F) {
            return false;
        }
    }
    if (text.len > size_max) {
        return false;
    }
    memcpy(text_out, text.ptr, text.len);
    text_out[text.len] = '\0';
    return true;
}

/* "host", "host:port", "[address]:port" */
static bool read_authority(struct nx_str authority, struct nx_url *url) {
    struct nx_str host;
    struct nx_str port;
    uint64_t number = url->port;
    if (nx_str_starts_with(authority, NX_STR("["))) {
        const size_t end = nx_str_find_byte(authority, ']');
        if (end == SIZE_MAX) {
            return false;
        }
        host = nx_str_slice(authority, 1, end);
        port = nx_str_slice(authority, end + 1, authority.len);
    } else {
        const size_t colon = nx_str_find_byte(authority, ':');
        host = nx_str_slice(authority, 0, colon);
        port = nx_str_slice(authority, host.len, authority.len);
    }
    if (port.len > 0 && (port.ptr[0] != ':' || !nx_str_to_u64(nx_str_slice(port, 1, port.len), &number) ||
                         number == 0 || number > UINT16_MAX)) {
        return false;
    }
    url->port = (uint16_t)number;
    return host.len > 0 && nx_str_find_byte(host, '@') == SIZE_MAX &&
           put_text(url->host, NX_URL_HOST_SIZE_MAX, host);
}

enum nx_status nx_url_parse(struct nx_str text, struct nx_url *url_out, struct nx_error *err) {
    static const struct nx_str schemes[] = { { "http://", 7 }, { "https://", 8 } };
    struct nx_url url = { .port = 80, .target = "/" };
    struct nx_str rest;
    if (text.len > schemes[1].len && nx_str_equal_ignore_case(nx_str_slice(text, 0, 8), schemes[1])) {
        url.is_https = true;
        url.port = 443;
        rest = nx_str_slice(text, schemes[1].len, text.len);
    } else if (text.len > schemes[0].len && nx_str_equal_ignore_case(nx_str_slice(text, 0, 7), schemes[0])) {
        rest = nx_str_slice(text, schemes[0].len, text.len);
    } else {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' is no URL: it begins with http:// or https://",
                       NX_STR_ARG(nx_str_slice(text, 0, 100)));
    }
    const size_t slash = nx_str_find_byte(rest, '/');
    const struct nx_str authority = nx_str_slice(rest, 0, slash);
    const struct nx_str target = nx_str_slice(rest, authority.len, rest.len);
    if (!read_authority(authority, &url) || nx_str_find_byte(target, '#') != SIZE_MAX ||
        (target.len > 0 && !put_text(url.target, NX_URL_TARGET_SIZE_MAX, target))) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' is not of the form http://host:port/path",
                       NX_STR_ARG(nx_str_slice(text, 0, 100)));
    }
    *url_out = url;
    return NX_OK;
}

/* Answers */

struct answer_head {
    uint64_t length;
    bool has_length;
    bool is_chunked;
    bool closes;
};

/* Cut off one line; it must end with CR LF. */
static bool take_line(struct nx_str *rest, struct nx_str *line_out) {
    const size_t end = nx_str_find(*rest, NX_STR("\r\n"));
    if (end == SIZE_MAX) {
        return false;
    }
    *line_out = nx_str_slice(*rest, 0, end);
    *rest = nx_str_slice(*rest, end + 2, rest->len);
    return true;
}

static bool read_header(struct nx_str line, struct answer_head *head,
                        struct nx_http_client_answer *answer_out) {
    struct nx_str value = line;
    struct nx_str name;
    uint64_t seconds;
    if (!nx_str_split(&value, ':', &name) || name.len == line.len) {
        return false;
    }
    value = nx_str_trim(value);
    if (nx_str_equal_ignore_case(name, NX_STR("content-length"))) {
        head->has_length = nx_str_to_u64(value, &head->length);
        return head->has_length;
    }
    if (nx_str_equal_ignore_case(name, NX_STR("transfer-encoding"))) {
        head->is_chunked = nx_str_equal_ignore_case(value, NX_STR("chunked"));
        return head->is_chunked;
    }
    if (nx_str_equal_ignore_case(name, NX_STR("connection"))) {
        head->closes = nx_str_equal_ignore_case(value, NX_STR("close"));
    } else if (nx_str_equal_ignore_case(name, NX_STR("retry-after")) && nx_str_to_u64(value, &seconds)) {
        answer_out->retry_after_s = seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
    }
    return true;
}

static bool read_chunk_size(struct nx_str line, uint32_t *size_out) {
    return nx_hex_to_u32(nx_str_trim(nx_str_slice(line, 0, nx_str_find_byte(line, ';'))), size_out);
}

static enum nx_http_answer_state read_chunks(struct nx_str rest, struct nx_buf *body_out) {
    struct nx_str line;
    uint32_t size;
    while (take_line(&rest, &line)) {
        if (!read_chunk_size(line, &size)) {
            return NX_HTTP_ANSWER_BAD;
        }
        if (size == 0) { /* trailers, then an empty line */
            while (take_line(&rest, &line)) {
                if (line.len == 0) {
                    return NX_HTTP_ANSWER_WHOLE;
                }
            }
            return NX_HTTP_ANSWER_PART;
        }
        if (rest.len < (uint64_t)size + 2) {
            return NX_HTTP_ANSWER_PART;
        }
        nx_buf_append(body_out, nx_str_slice(rest, 0, size));
        rest = nx_str_slice(rest, (size_t)size + 2, rest.len);
    }
    return NX_HTTP_ANSWER_PART;
}

static enum nx_http_answer_state read_body(struct nx_str rest, const struct answer_head *head, bool is_ended,
                                           struct nx_buf *body_out) {
    if (head->is_chunked) {
        return read_chunks(rest, body_out);
    }
    if (head->has_length ? rest.len < head->length : !is_ended) {
        return NX_HTTP_ANSWER_PART;
    }
    nx_buf_append(body_out, nx_str_slice(rest, 0, head->has_length ? (size_t)head->length : rest.len));
    return NX_HTTP_ANSWER_WHOLE;
}

/* Status line and headers, at the front of `rest`. */
static enum nx_http_answer_state read_head(struct nx_str *rest, struct answer_head *head,
                                           struct nx_http_client_answer *answer) {
    struct nx_str line;
    uint64_t status;
    if (nx_str_find(*rest, NX_STR("\r\n\r\n")) == SIZE_MAX) {
        return rest->len > HEAD_SIZE_MAX ? NX_HTTP_ANSWER_BAD : NX_HTTP_ANSWER_PART;
    }
    if (!take_line(rest, &line) || !nx_str_starts_with(line, NX_STR("HTTP/1.")) || line.len < 12 ||
        !nx_str_to_u64(nx_str_slice(line, 9, 12), &status) || status < 100) {
        return NX_HTTP_ANSWER_BAD;
    }
    answer->status = (int)status;
    head->closes = nx_str_starts_with(line, NX_STR("HTTP/1.0"));
    while (take_line(rest, &line) && line.len > 0) {
        if (!read_header(line, head, answer)) {
            return NX_HTTP_ANSWER_BAD;
        }
    }
    return NX_HTTP_ANSWER_WHOLE;
}

enum nx_http_answer_state nx_http_answer_read(struct nx_str bytes, bool is_ended,
                                              struct nx_http_client_answer *answer_out,
                                              struct nx_buf *body_out, bool *keeps_out) {
    const size_t body_start = body_out->len;
    struct nx_http_client_answer answer;
    struct answer_head head;
    enum nx_http_answer_state state;
    struct nx_str rest = bytes;
    do { /* 100 Continue and its like stand before the answer */
        answer = (struct nx_http_client_answer){ .body = NX_STR_EMPTY };
        head = (struct answer_head){ 0 };
        state = read_head(&rest, &head, &answer);
    } while (state == NX_HTTP_ANSWER_WHOLE && answer.status < 200);
    if (state == NX_HTTP_ANSWER_WHOLE && (answer.status == 204 || answer.status == 304)) {
        head.has_length = true;
        head.length = 0;
    }
    if (state == NX_HTTP_ANSWER_WHOLE) {
        state = read_body(rest, &head, is_ended, body_out);
    }
    if (state == NX_HTTP_ANSWER_WHOLE) {
        *keeps_out = !head.closes && (head.has_length || head.is_chunked);
        answer.body = nx_str_slice(nx_buf_str(body_out), body_start, body_out->len);
        *answer_out = answer;
    } else {
        body_out->len = body_start;
    }
    return state == NX_HTTP_ANSWER_PART && is_ended ? NX_HTTP_ANSWER_BAD : state;
}

struct nx_str nx_http_answer_header(struct nx_str bytes, struct nx_str name) {
    struct nx_str line;
    while (take_line(&bytes, &line) && line.len > 0) {
        struct nx_str value = line;
        struct nx_str found;
        if (nx_str_split(&value, ':', &found) && nx_str_equal_ignore_case(found, name)) {
            return nx_str_trim(value);
        }
    }
    return NX_STR_EMPTY;
}

void nx_http_append_host(struct nx_buf *out, const char *host, uint16_t port) {
    const bool is_v6 = nx_str_find_byte(nx_str_from_c(host), ':') != SIZE_MAX;
    nx_buf_append_format(out, "Host: %s%s%s:%u\r\n", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
                         (unsigned)port);
}

/* Connections */

enum nx_status nx_http_client_new(const struct nx_url *url, struct nx_tls_context *tls,
                                  struct nx_http_client **client_out, struct nx_error *err) {
    nx_assert(url->is_https == (tls != NULL));
    struct nx_http_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return nx_fail_memory(err);
    }
    client->url = *url;
    client->context = tls == NULL ? NULL : nx_tls_context_ref(tls);
    nx_buf_init(&client->head, HEAD_SIZE_MAX + NX_URL_TARGET_SIZE_MAX);
    nx_buf_init(&client->raw, CHUNK_SIZE);
    nx_buf_init(&client->answer, NX_HTTP_CLIENT_ANSWER_SIZE_MAX + 2 * CHUNK_SIZE);
    nx_buf_init(&client->body, NX_HTTP_CLIENT_ANSWER_SIZE_MAX + 2 * CHUNK_SIZE);
    *client_out = client;
    return NX_OK;
}

static void disconnect(struct nx_http_client *client) {
    nx_tls_close(NX_TAKE(client->tls));
    nx_dial_close(NX_TAKE(client->dial));
    client->is_reused = false;
}

void nx_http_client_close(struct nx_http_client *client) {
    if (client == NULL) {
        return;
    }
    disconnect(client);
    nx_tls_context_unref(client->context);
    nx_buf_fini(&client->head);
    nx_buf_fini(&client->raw);
    nx_buf_fini(&client->answer);
    nx_buf_fini(&client->body);
    free(client);
}

/* What TLS has to say to the server. */
static enum nx_status flush(struct nx_http_client *client, struct nx_error *err) {
    struct nx_buf *output = nx_tls_output(client->tls);
    const enum nx_status status = nx_dial_write(client->dial, nx_buf_str(output), err);
    nx_buf_reset(output);
    return status;
}

static enum nx_status say(struct nx_http_client *client, struct nx_str bytes, struct nx_error *err) {
    if (client->tls == NULL) {
        return nx_dial_write(client->dial, bytes, err);
    }
    for (size_t at = 0; at < bytes.len; at += TLS_SLICE_SIZE) {
        NX_TRY(nx_tls_write(client->tls, nx_str_slice(bytes, at, at + TLS_SLICE_SIZE), err));
        NX_TRY(flush(client, err));
    }
    return NX_OK;
}

/* Read what is there into `answer`; over TLS that may be nothing. */
static enum nx_status hear(struct nx_http_client *client, bool *is_ended_out, struct nx_error *err) {
    struct nx_buf *bytes = client->tls == NULL ? &client->answer : &client->raw;
    size_t len = 0;
    nx_buf_reset(&client->raw);
    if (!nx_buf_reserve(bytes, CHUNK_SIZE)) {
        return nx_buf_check(bytes, err);
    }
    NX_TRY(nx_dial_read(client->dial, bytes->ptr + bytes->len, CHUNK_SIZE, &len, err));
    bytes->len += len;
    if (client->tls == NULL) {
        *is_ended_out = len == 0;
        return NX_OK;
    }
    if (len == 0) { /* an end that TLS does not tell of is anybody's */
        return nx_fail(err, NX_UNAVAILABLE, "%s port %u broke off the connection", client->url.host,
                       (unsigned)client->url.port);
    }
    const enum nx_status status = nx_tls_read(client->tls, nx_buf_str(bytes), &client->answer, err);
    const enum nx_status flushed = flush(client, status == NX_OK ? err : NULL);
    *is_ended_out = nx_tls_has_ended(client->tls);
    return status == NX_OK ? flushed : status;
}

/* Wait for bytes, or say why not to wait any more. */
static enum nx_status wait_for_bytes(struct nx_http_client *client, const struct nx_http_post *post,
                                     int64_t since_ns, int timeout_ms, struct nx_error *err) {
    const struct nx_clock clock = nx_clock_system();
    while (!nx_dial_wait(client->dial, NX_HTTP_CLIENT_WAIT_MS)) {
        if (post->waiting != NULL && !post->waiting(post->data)) {
            return nx_fail(err, NX_CANCELLED, "given up before the answer");
        }
        if (nx_clock_read(&clock).monotonic_ns - since_ns >= (int64_t)timeout_ms * NX_NS_PER_MS) {
            return nx_fail(err, NX_DEADLINE_EXCEEDED, "%s port %u has not answered within %d ms",
                           client->url.host, (unsigned)client->url.port, timeout_ms);
        }
    }
    return NX_OK;
}

static enum nx_status shake_hands(struct nx_http_client *client, const struct nx_http_post *post,
                                  struct nx_error *err) {
    const struct nx_clock clock = nx_clock_system();
    const int64_t since_ns = nx_clock_read(&clock).monotonic_ns;
    bool is_ended = false;
    NX_TRY(nx_tls_dial(client->context, client->url.host, TLS_OUTPUT_SIZE_MAX, &client->tls, err));
    NX_TRY(nx_tls_read(client->tls, NX_STR_EMPTY, &client->answer, err));
    NX_TRY(flush(client, err));
    while (!nx_tls_is_established(client->tls)) {
        NX_TRY(wait_for_bytes(client, post, since_ns, NX_HTTP_CLIENT_CONNECT_MS, err));
        const enum nx_status status = hear(client, &is_ended, err);
        if (status != NX_OK) {
            return nx_wrap(err, status, "%s port %u", client->url.host, (unsigned)client->url.port);
        }
    }
    return NX_OK;
}

/* Requests */

static void write_head(struct nx_http_client *client, const struct nx_http_post *post) {
    const struct nx_url *url = &client->url;
    nx_buf_reset(&client->head);
    nx_buf_append_format(&client->head, "POST %s HTTP/1.1\r\n", url->target);
    nx_http_append_host(&client->head, url->host, url->port);
    nx_buf_append_format(&client->head, "Content-Length: %zu\r\n", post->body.len);
    nx_buf_append(&client->head, post->headers);
    nx_buf_append_c(&client->head, "\r\n");
}

static enum nx_status send_request(struct nx_http_client *client, const struct nx_http_post *post,
                                   struct nx_error *err) {
    if (client->dial == NULL) {
        NX_TRY(
            nx_dial_open(client->url.host, client->url.port, NX_HTTP_CLIENT_CONNECT_MS, &client->dial, err));
        if (client->context != NULL) {
            NX_TRY(shake_hands(client, post, err));
        }
    }
    NX_TRY(say(client, nx_buf_str(&client->head), err));
    return say(client, post->body, err);
}

static enum nx_status receive_answer(struct nx_http_client *client, const struct nx_http_post *post,
                                     struct nx_http_client_answer *answer_out, struct nx_error *err) {
    const struct nx_clock clock = nx_clock_system();
    const int64_t since_ns = nx_clock_read(&clock).monotonic_ns;
    bool is_ended = false;
    bool keeps = false;
    nx_buf_reset(&client->answer);
    for (;;) {
        NX_TRY(wait_for_bytes(client, post, since_ns, post->timeout_ms, err));
        NX_TRY(hear(client, &is_ended, err));
        if (is_ended && client->answer.len == 0) {
            return nx_fail(err, NX_UNAVAILABLE, "%s port %u ended the connection without an answer",
                           client->url.host, (unsigned)client->url.port);
        }
        nx_buf_reset(&client->body);
        switch (
            nx_http_answer_read(nx_buf_str(&client->answer), is_ended, answer_out, &client->body, &keeps)) {
        case NX_HTTP_ANSWER_WHOLE:
            NX_TRY(nx_buf_check(&client->body, err));
            client->is_reused = true;
            if (!keeps || is_ended) {
                disconnect(client);
            }
            return NX_OK;
        case NX_HTTP_ANSWER_BAD:
            return nx_fail(err, NX_DATA_LOSS, "what answers at %s port %u is no HTTP/1.1 server",
                           client->url.host, (unsigned)client->url.port);
        case NX_HTTP_ANSWER_PART:
            break;
        }
    }
}

enum nx_status nx_http_client_post(struct nx_http_client *client, const struct nx_http_post *post,
                                   struct nx_http_client_answer *answer_out, struct nx_error *err) {
    nx_assert(post->timeout_ms > 0);
    write_head(client, post);
    nx_buf_reset(&client->answer);
    NX_TRY(nx_buf_check(&client->head, err));
    const bool was_reused = client->is_reused;
    enum nx_status status = send_request(client, post, err);
    if (status == NX_OK) {
        status = receive_answer(client, post, answer_out, err);
    }
    if (status == NX_UNAVAILABLE && was_reused && client->answer.len == 0) {
        /* The server had closed it meanwhile: that says nothing about the server. */
        disconnect(client);
        status = send_request(client, post, err);
        if (status == NX_OK) {
            status = receive_answer(client, post, answer_out, err);
        }
    }
    if (status != NX_OK) {
        disconnect(client);
    }
    return status;
}
