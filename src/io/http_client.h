/* src/io/http_client.h: requests to an HTTP/1.1 server elsewhere, one at a time, on a connection that is
 * kept.
 *
 * For an actor that has a thread of its own and nothing to do but wait for the answer: every
 * call blocks, and asks meanwhile, every NX_HTTP_CLIENT_WAIT_MS, whether to go on. A connection that the
 * server has closed since the last request is opened again. Of an answer its status, Retry-After and body are
 * read; redirections are not followed. With https the server's certificate must be for the URL's host and by
 * an authority that the context trusts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "io/tls.h"

enum {
    NX_HTTP_CLIENT_WAIT_MS = 50,
    NX_HTTP_CLIENT_CONNECT_MS = 2000,            /* how long a connection may take, and a write stand still */
    NX_HTTP_CLIENT_ANSWER_SIZE_MAX = 256 * 1024, /* bytes of an answer, its headers included */
    NX_URL_HOST_SIZE_MAX = 255,
    NX_URL_TARGET_SIZE_MAX = 2048,
};

/* "http://host:port/path?query", taken apart. */
struct nx_url {
    bool is_https;
    uint16_t port;                           /* 80 or 443 where it names none */
    char host[NX_URL_HOST_SIZE_MAX + 1];     /* an IPv6 address without its brackets */
    char target[NX_URL_TARGET_SIZE_MAX + 1]; /* path and query; "/" at least */
};
/** Errors: NX_INVALID_ARGUMENT  no URL of http or https, or too long; user names and fragments are refused */
NX_MUST_CHECK enum nx_status nx_url_parse(struct nx_str text, struct nx_url *url_out, struct nx_error *err);

struct nx_http_client;

/** Connects when the first request is sent.
 * Ownership: the caller ends it by nx_http_client_close(). `url` is copied. `tls` is a client's context,
 * which https needs and the client keeps; NULL: plain http. Errors:    NX_RESOURCE_EXHAUSTED  out of memory
 */
NX_MUST_CHECK enum nx_status nx_http_client_new(const struct nx_url *url, struct nx_tls_context *tls,
                                                struct nx_http_client **client_out, struct nx_error *err);
void nx_http_client_close(struct nx_http_client *client); /* NULL allowed */

struct nx_http_post {
    struct nx_str headers; /* further ones, "Name: value\r\n" each */
    struct nx_str body;
    int timeout_ms; /* for the answer, > 0 */
    /* Called every NX_HTTP_CLIENT_WAIT_MS until the answer is there; false: give up. NULL: never. */
    bool (*waiting)(void *data);
    void *data;
};
struct nx_http_client_answer {
    int status;
    uint32_t retry_after_s; /* 0: it names none, or a date */
    struct nx_str body;     /* borrowed until the next call */
};
/** Send the body to the URL and wait for the answer, whatever its status is. After an error what the server
 * has done is not known.
 * Errors:    NX_UNAVAILABLE         nobody listens, the connection broke, or TLS failed, as with a
 *                                   certificate that is not trusted
 *            NX_DEADLINE_EXCEEDED   no answer in time
 *            NX_CANCELLED           `waiting` gave up
 *            NX_DATA_LOSS           what answered does not speak HTTP/1.1
 *            NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_http_client_post(struct nx_http_client *client,
                                                 const struct nx_http_post *post,
                                                 struct nx_http_client_answer *answer_out,
                                                 struct nx_error *err);

/* The parts, for whoever has the bytes himself. */

/** Append the header line that names the server: "Host: host:port", an IPv6 address in brackets. */
void nx_http_append_host(struct nx_buf *out, const char *host, uint16_t port);

enum nx_http_answer_state { NX_HTTP_ANSWER_PART, NX_HTTP_ANSWER_WHOLE, NX_HTTP_ANSWER_BAD };
/** Read an answer of which `bytes` are there; `is_ended`: no more will come. Its body is appended to
 * `body_out` when it is whole; `*keeps_out` says whether the connection may be used again. */
enum nx_http_answer_state nx_http_answer_read(struct nx_str bytes, bool is_ended,
                                              struct nx_http_client_answer *answer_out,
                                              struct nx_buf *body_out, bool *keeps_out);
/** The value of a header of an answer that is whole, borrowed; empty when it has none. */
struct nx_str nx_http_answer_header(struct nx_str bytes, struct nx_str name);

NX_DEFINE_AUTO(nx_http_client, nx_http_client_close)
