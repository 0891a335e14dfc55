/* src/server/http/parser.h: HTTP/1 requests from bytes that come in any pieces.
 *
 * The one home of llhttp, with none of its lenient flags: both Content-Length and Transfer-Encoding, a second
 * Content-Length, a bare LF, a folded header, a space before the colon, a bad chunk are errors, because
 * whatever two programs in a row read differently is a way to smuggle a request. On top of llhttp, which is a
 * parser and not a server, come the limits below and what RFC 9112 asks of a server: exactly one Host,
 * versions 1.0 and 1.1 only, no transfer coding but chunked.
 *
 * A request's strings live in the request. Its body is borrowed from the bytes fed when it came in one piece,
 * so it is valid only until the feed that completed it returns to the transport. One owner; no thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "codec/headers.h"

enum {
    NX_HTTP_HEADER_COUNT_MAX = 100,
    NX_HTTP_HEADERS_SIZE_MAX = 32 * 1024,      /* bytes of request line and headers */
    NX_HTTP_BODY_SIZE_MAX = 1024 * 1024,       /* bytes */
    NX_HTTP_CHUNK_EXTENSION_SIZE_MAX = 4096,   /* bytes of all chunk extensions and trailers of one body */
    NX_HTTP_REQUEST_SIZE_KEPT_MAX = 64 * 1024, /* bytes of body memory that a request for reuse keeps */
};

enum nx_http_method {
    NX_HTTP_GET = 1,
    NX_HTTP_HEAD = 2,
    NX_HTTP_POST = 4,
    NX_HTTP_PUT = 8,
    NX_HTTP_DELETE = 16,
    NX_HTTP_PATCH = 32,
    NX_HTTP_OPTIONS = 64,
    NX_HTTP_OTHER = 128,
};

struct nx_http_request {
    enum nx_http_method method;
    struct nx_str method_name; /* static storage */
    struct nx_str target;      /* as sent */
    struct nx_str authority;   /* of an absolute target, else the Host header's value */
    struct nx_str path;        /* percent-encoded as sent, starts with '/' (or is "*") */
    struct nx_str query;       /* behind the '?', without it; may be empty */
    struct nx_header headers[NX_HTTP_HEADER_COUNT_MAX];
    size_t header_count;
    struct nx_str body;
    uint8_t version_minor; /* of HTTP/1 */
    bool keep_alive;       /* the client wants the connection kept */
    bool expects_continue;
    /* The parser's own: */
    struct nx_buf text; /* target, then names and values */
    struct nx_buf body_bytes;
    uint32_t target_size;
    uint32_t header_offsets[NX_HTTP_HEADER_COUNT_MAX];
};

/** Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_http_request_new(struct nx_http_request **request_out, struct nx_error *err);
void nx_http_request_free(struct nx_http_request *request); /* NULL allowed */
/** Ready for the next message; keeps the memory up to NX_HTTP_REQUEST_SIZE_KEPT_MAX. */
void nx_http_request_reset(struct nx_http_request *request);
/** The first header of this name in any case of letters; ptr is NULL when there is none. */
struct nx_str nx_http_request_header(const struct nx_http_request *request, struct nx_str name);

enum nx_http_parse {
    NX_HTTP_PARSE_MORE,     /* everything was consumed, the request is not complete */
    NX_HTTP_PARSE_CONTINUE, /* the headers are complete and the client waits for "100 Continue" */
    NX_HTTP_PARSE_DONE,     /* the request is complete; the bytes behind it were not consumed */
    NX_HTTP_PARSE_FAILED,   /* answer the error and close: nothing more can be read */
};

struct nx_http_parser;

/** Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_http_parser_new(struct nx_http_parser **parser_out, struct nx_error *err);
void nx_http_parser_free(struct nx_http_parser *parser); /* NULL allowed */
/** Read on. `request` is the same, filled further, until it is DONE; then a reset or another one.
 * Errors (with NX_HTTP_PARSE_FAILED): NX_INVALID_ARGUMENT, with kinds headers-too-large, too-large,
 *         http-version; NX_UNIMPLEMENTED (a transfer coding but chunked); NX_RESOURCE_EXHAUSTED (no memory).
 *         The request then holds what was understood of it: nothing may be concluded from it. */
enum nx_http_parse nx_http_parser_feed(struct nx_http_parser *parser, struct nx_http_request *request,
                                       struct nx_str bytes, size_t *consumed_out, struct nx_error *err);
/** A request was begun (its first byte that is not an empty line was read) and is not complete. */
bool nx_http_parser_is_within(const struct nx_http_parser *parser);
/** Its headers are complete. */
bool nx_http_parser_is_in_body(const struct nx_http_parser *parser);
/** The reason phrase for an HTTP status, such as "Not Found"; static storage. */
const char *nx_http_reason(int status);

NX_DEFINE_AUTO(nx_http_request, nx_http_request_free)
NX_DEFINE_AUTO(nx_http_parser, nx_http_parser_free)
