/* src/app/client.c */
#include "app/client.h"

#include <stdio.h>

#include "codec/json.h"
#include "io/dial.h"
#include "io/http_client.h"

enum {
    CHUNK_SIZE = 64 * 1024,
    CONNECT_TIMEOUT_MS = 2000,
    HEADERS_SIZE_MAX = 64 * 1024,
    PATH_SIZE_MAX = 4096
};

/* What ports.json says may be old: after a kill, the port may be another project's by now. The process that
 * it names must hold the directory. */
static bool is_served(struct nx_disk *disk, const char *directory, uint64_t pid) {
    char path[PATH_SIZE_MAX];
    uint64_t holder = 0;

    const int len = snprintf(path, sizeof path, "%s/nexus.lock", directory);
    return len > 0 && (size_t)len < sizeof path && nx_disk_is_locked(disk, path, &holder) && holder == pid;
}

enum nx_status nx_client_find(struct nx_disk *disk, const char *directory, struct nx_client *client_out,
                              struct nx_error *err) {
    NX_AUTO(nx_dial) *dial = NULL;
    struct nx_client client = { .timeout_ms = NX_CLIENT_TIMEOUT_MS };

    if (nx_ports_read(disk, directory, &client.ports, NULL) != NX_OK ||
        !is_served(disk, directory, client.ports.pid) ||
        nx_dial_open(client.ports.host, client.ports.port, CONNECT_TIMEOUT_MS, &dial, NULL) != NX_OK) {
        return nx_fail(err, NX_NOT_FOUND, "no server runs on %s", directory);
    }
    *client_out = client;
    return NX_OK;
}

static enum nx_status status_from_name(struct nx_str name, int http_status) {
#define NX_STATUS_MEMBER(status, text, http) { status, text },
    static const struct {
        enum nx_status status;
        const char *name;
    } table[] = { NX_STATUS_TABLE(NX_STATUS_MEMBER) };
#undef NX_STATUS_MEMBER
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (nx_str_is(name, table[i].name)) {
            return table[i].status;
        }
    }
    return http_status == 404 ? NX_NOT_FOUND : http_status < 500 ? NX_INVALID_ARGUMENT : NX_UNAVAILABLE;
}

/* The server's problem details (RFC 9457) as our error. */
static enum nx_status fail_by_problem(struct nx_str body, int http_status, struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_str code = NX_STR_EMPTY;
    struct nx_str text = NX_STR_EMPTY;
    struct nx_str hint;

    const struct nx_json_value *root =
        nx_json_parse(body, NX_CLIENT_ANSWER_SIZE_MAX, &doc, NULL) == NX_OK ? nx_json_root(doc) : NULL;
    (void)nx_json_to_str(nx_json_get(root, NX_STR("code")), &code);
    if (!nx_json_to_str(nx_json_get(root, NX_STR("detail")), &text)) {
        (void)nx_json_to_str(nx_json_get(root, NX_STR("title")), &text);
    }
    const enum nx_status status = status_from_name(code, http_status);
    if (text.len == 0) {
        (void)nx_fail(err, status, "the server answered %d", http_status);
    } else {
        (void)nx_fail(err, status, "%.*s", NX_STR_ARG(text));
    }
    if (nx_json_to_str(nx_json_get(root, NX_STR("hint")), &hint)) {
        nx_hint(err, "%.*s", NX_STR_ARG(hint));
    }
    return status;
}

static enum nx_status read_all(struct nx_dial *dial, struct nx_buf *answer, struct nx_error *err) {
    for (;;) {
        size_t len;
        if (!nx_buf_reserve(answer, CHUNK_SIZE)) {
            return nx_buf_check(answer, err);
        }
        NX_TRY(nx_dial_read(dial, answer->ptr + answer->len, CHUNK_SIZE, &len, err));
        if (len == 0) {
            return NX_OK;
        }
        answer->len += len;
    }
}

/* Send what is in `bytes` and leave the answer there. */
static enum nx_status exchange(const struct nx_client *client, struct nx_buf *bytes, struct nx_error *err) {
    NX_AUTO(nx_dial) *dial = NULL;

    NX_TRY(nx_dial_open(client->ports.host, client->ports.port, client->timeout_ms, &dial, err));
    NX_TRY(nx_dial_write(dial, nx_buf_str(bytes), err));
    nx_buf_reset(bytes);
    while (client->waiting != NULL && !nx_dial_wait(dial, NX_CLIENT_WAITING_MS)) {
        client->waiting(client->data);
    }
    NX_TRY(read_all(dial, bytes, err));
    return bytes->len > 0 ? NX_OK : nx_fail(err, NX_UNAVAILABLE, "the server ended before it answered");
}

/* `record_out` may be NULL. */
static enum nx_status request(const struct nx_client *client, const char *method, struct nx_str target,
                              struct nx_str body, struct nx_buf *body_out, struct nx_buf *record_out,
                              struct nx_error *err) {
    NX_AUTO(nx_buf) bytes = { 0 };
    struct nx_http_client_answer answer;
    bool keeps;

    nx_buf_init(&bytes, NX_CLIENT_ANSWER_SIZE_MAX + HEADERS_SIZE_MAX);
    nx_buf_append_format(&bytes, "%s %.*s HTTP/1.1\r\n", method, NX_STR_ARG(target));
    nx_http_append_host(&bytes, client->ports.host, client->ports.port);
    nx_buf_append_c(&bytes, "User-Agent: nexus\r\nConnection: close\r\nAccept: application/json\r\n");
    if (body.len > 0) {
        nx_buf_append_format(&bytes, "Content-Type: %s\r\n",
                             client->content_type == NULL ? "application/json" : client->content_type);
    }
    if (body.len > 0 || method[0] == 'P') {
        nx_buf_append_format(&bytes, "Content-Length: %zu\r\n", body.len);
    }
    nx_buf_append_c(&bytes, "\r\n");
    nx_buf_append(&bytes, body);
    NX_TRY(nx_buf_check(&bytes, err));
    const enum nx_status status = exchange(client, &bytes, err);
    if (status == NX_UNAVAILABLE) {
        nx_hint(err, "it was stopped or killed; start it again by: nexus dev");
    }
    NX_TRY(status);
    if (nx_http_answer_read(nx_buf_str(&bytes), true, &answer, body_out, &keeps) != NX_HTTP_ANSWER_WHOLE) {
        return nx_fail(err, NX_DATA_LOSS, "what answered is no Nexus server, or the answer is cut off");
    }
    NX_TRY(nx_buf_check(body_out, err));
    if (answer.status >= 400) {
        return fail_by_problem(answer.body, answer.status, err);
    }
    if (record_out != NULL) {
        nx_buf_append(record_out, nx_http_answer_header(nx_buf_str(&bytes), NX_STR("nexus-record")));
        NX_TRY(nx_buf_check(record_out, err));
    }
    return NX_OK;
}

enum nx_status nx_client_request(const struct nx_client *client, const char *method, struct nx_str target,
                                 struct nx_str body, struct nx_buf *body_out, struct nx_error *err) {
    return request(client, method, target, body, body_out, NULL, err);
}

enum nx_status nx_client_get_record(const struct nx_client *client, struct nx_str target,
                                    struct nx_buf *body_out, struct nx_buf *record_out,
                                    struct nx_error *err) {
    return request(client, "GET", target, NX_STR_EMPTY, body_out, record_out, err);
}
