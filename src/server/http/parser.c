/* src/server/http/parser.c: see parser.h. */
#include "server/http/parser.h"

#include <llhttp.h>

#include "base/assert.h"

struct nx_http_parser {
    llhttp_t llhttp; /* its data is the parser */
    struct nx_http_request *request;
    bool within;
    bool in_body;
    size_t fed_size;    /* bytes of wire of the request under way, but for the piece at hand */
    size_t head_size;   /* bytes of wire read for the headers under way, padding included */
    size_t extras_size; /* bytes of chunk extensions and trailers of the body under way */
    size_t header_count; /* so far; the request has none before their strings are where they stay */
    uint32_t name_size;  /* of the header under way */
    size_t name_offset;
    struct nx_error error; /* why a callback stopped llhttp */
};

/* Request */

enum nx_status nx_http_request_new(struct nx_http_request **request_out, struct nx_error *err) {
    struct nx_http_request *request = calloc(1, sizeof *request);
    if (request == NULL) {
        return nx_fail_memory(err);
    }
    nx_buf_init(&request->text, NX_HTTP_HEADERS_SIZE_MAX);
    nx_buf_init(&request->body_bytes, NX_HTTP_BODY_SIZE_MAX);
    *request_out = request;
    return NX_OK;
}

void nx_http_request_free(struct nx_http_request *request) {
    if (request == NULL) {
        return;
    }
    nx_buf_fini(&request->text);
    nx_buf_fini(&request->body_bytes);
    free(request);
}

void nx_http_request_reset(struct nx_http_request *request) {
    nx_buf_reset(&request->text);
    nx_buf_reset(&request->body_bytes);
    if (request->body_bytes.capacity > NX_HTTP_REQUEST_SIZE_KEPT_MAX) {
        nx_buf_fini(&request->body_bytes);
    }
    request->method = NX_HTTP_OTHER;
    request->method_name = request->target = request->authority = NX_STR_EMPTY;
    request->path = request->query = request->body = NX_STR_EMPTY;
    request->header_count = 0;
    request->version_minor = 1;
    request->keep_alive = request->expects_continue = false;
    request->target_size = 0;
}

struct nx_str nx_http_request_header(const struct nx_http_request *request, struct nx_str name) {
    for (size_t i = 0; i < request->header_count; i++) {
        if (request->headers[i].name.len == name.len &&
            nx_str_equal_ignore_case(request->headers[i].name, name)) {
            return request->headers[i].value;
        }
    }
    return (struct nx_str){ 0 };
}

/* llhttp's callbacks. A failure is kept in parser->error and stops llhttp. */

static struct nx_http_parser *parser_of(llhttp_t *llhttp) {
    return llhttp->data;
}

static int stop_too_large(struct nx_http_parser *parser) {
    (void)nx_fail_kind(&parser->error, NX_KIND_HEADERS_TOO_LARGE,
                       "the request line and headers exceed %d bytes or %d headers", NX_HTTP_HEADERS_SIZE_MAX,
                       NX_HTTP_HEADER_COUNT_MAX);
    return HPE_USER;
}

static int append_text(struct nx_http_parser *parser, const char *at, size_t len) {
    struct nx_buf *text = &parser->request->text;
    if (len > NX_HTTP_HEADERS_SIZE_MAX - text->len) {
        return stop_too_large(parser);
    }
    nx_buf_append(text, nx_str_of(at, len));
    return nx_buf_check(text, &parser->error) == NX_OK ? 0 : HPE_USER;
}

static int count_extra(struct nx_http_parser *parser, size_t len) {
    parser->extras_size += len;
    if (parser->extras_size > NX_HTTP_CHUNK_EXTENSION_SIZE_MAX) {
        (void)nx_fail_kind(&parser->error, NX_KIND_HEADERS_TOO_LARGE,
                           "chunk extensions and trailers exceed %d bytes", NX_HTTP_CHUNK_EXTENSION_SIZE_MAX);
        return HPE_USER;
    }
    return 0;
}

static int on_message_begin(llhttp_t *llhttp) {
    struct nx_http_parser *parser = parser_of(llhttp);
    parser->within = true;
    parser->in_body = false;
    parser->extras_size = 0;
    parser->header_count = 0;
    parser->name_size = 0;
    return 0;
}

static int on_url(llhttp_t *llhttp, const char *at, size_t len) {
    struct nx_http_parser *parser = parser_of(llhttp);
    if (append_text(parser, at, len) != 0) {
        return HPE_USER;
    }
    parser->request->target_size = (uint32_t)parser->request->text.len;
    return 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len) {
    struct nx_http_parser *parser = parser_of(llhttp);
    if (parser->in_body) {
        return count_extra(parser, len + 1);
    }
    if (parser->name_size == 0) {
        parser->name_offset = parser->request->text.len;
    }
    parser->name_size += (uint32_t)len;
    return append_text(parser, at, len);
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len) {
    struct nx_http_parser *parser = parser_of(llhttp);
    return parser->in_body ? count_extra(parser, len + 1) : append_text(parser, at, len);
}

static int on_header_value_complete(llhttp_t *llhttp) {
    struct nx_http_parser *parser = parser_of(llhttp);
    struct nx_http_request *request = parser->request;
    if (parser->in_body) {
        return 0; /* trailers say nothing that we use */
    }
    if (parser->header_count == NX_HTTP_HEADER_COUNT_MAX) {
        return stop_too_large(parser);
    }
    /* Lengths now, pointers when the text no longer moves. */
    const size_t i = parser->header_count++;
    request->header_offsets[i] = (uint32_t)parser->name_offset;
    request->headers[i].name = (struct nx_str){ .len = parser->name_size };
    request->headers[i].value =
        (struct nx_str){ .len = request->text.len - parser->name_offset - parser->name_size };
    parser->name_size = 0;
    return 0;
}

static int on_chunk_extension(llhttp_t *llhttp, const char *at, size_t len) {
    (void)at;
    return count_extra(parser_of(llhttp), len + 1);
}

static enum nx_http_method method_of(uint8_t method) {
    switch (method) {
    case HTTP_GET:
        return NX_HTTP_GET;
    case HTTP_HEAD:
        return NX_HTTP_HEAD;
    case HTTP_POST:
        return NX_HTTP_POST;
    case HTTP_PUT:
        return NX_HTTP_PUT;
    case HTTP_DELETE:
        return NX_HTTP_DELETE;
    case HTTP_PATCH:
        return NX_HTTP_PATCH;
    case HTTP_OPTIONS:
        return NX_HTTP_OPTIONS;
    default:
        return NX_HTTP_OTHER;
    }
}

/* Point the names and values into the text, and split the target. Nothing is appended to the text later. */
static void resolve_strings(struct nx_http_request *request, size_t header_count) {
    const char *text = nx_buf_str(&request->text).ptr;
    request->header_count = header_count;
    request->target = nx_str_of(text, request->target_size);
    for (size_t i = 0; i < request->header_count; i++) {
        struct nx_header *header = &request->headers[i];
        header->name.ptr = text + request->header_offsets[i];
        header->value.ptr = header->name.ptr + header->name.len;
        header->value = nx_str_trim(header->value);
    }
    struct nx_str path = request->target;
    if (path.len > 0 && path.ptr[0] != '/') {
        /* absolute-form: its authority counts, whatever the Host header says (RFC 9112 §3.2.2) */
        const size_t at = nx_str_find(path, NX_STR("://"));
        if (at != SIZE_MAX) {
            const struct nx_str rest = nx_str_slice(path, at + 3, path.len);
            size_t end = 0;
            while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?') {
                end++;
            }
            request->authority = nx_str_slice(rest, 0, end);
            path = nx_str_slice(rest, end, rest.len);
        }
    }
    const size_t question = nx_str_find_byte(path, '?');
    request->query = question == SIZE_MAX ? NX_STR_EMPTY : nx_str_slice(path, question + 1, path.len);
    request->path = question == SIZE_MAX ? path : nx_str_slice(path, 0, question);
    if (request->path.len == 0) {
        request->path = NX_STR("/");
    }
}

static enum nx_status check_framing(const llhttp_t *llhttp, struct nx_http_request *request,
                                    struct nx_error *err) {
    if (llhttp->http_major != 1 || llhttp->http_minor > 1) {
        return nx_fail_kind(err, NX_KIND_HTTP_VERSION, "HTTP/%d.%d is not spoken here", llhttp->http_major,
                            llhttp->http_minor);
    }
    size_t host_count = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct nx_header *header = &request->headers[i];
        if (nx_str_equal_ignore_case(header->name, NX_STR("host"))) {
            host_count++;
            if (request->authority.len == 0) {
                request->authority = header->value;
            }
        } else if (nx_str_equal_ignore_case(header->name, NX_STR("transfer-encoding"))) {
            if (llhttp->http_minor == 0) {
                return nx_fail(err, NX_INVALID_ARGUMENT, "malformed request: a transfer coding in HTTP/1.0");
            }
            if (!nx_str_equal_ignore_case(header->value, NX_STR("chunked"))) {
                return nx_fail(err, NX_UNIMPLEMENTED, "the transfer coding '%.*s' is not supported",
                               NX_STR_ARG(nx_str_slice(header->value, 0, 64)));
            }
        } else if (nx_str_equal_ignore_case(header->name, NX_STR("expect"))) {
            if (!nx_str_equal_ignore_case(header->value, NX_STR("100-continue"))) {
                return nx_fail_kind(err, NX_KIND_EXPECTATION_FAILED, "the expectation '%.*s' cannot be met",
                                    NX_STR_ARG(nx_str_slice(header->value, 0, 64)));
            }
            request->expects_continue = llhttp->http_minor == 1;
        }
    }
    if (host_count > 1 || (host_count == 0 && llhttp->http_minor == 1)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "malformed request: %s",
                       host_count == 0 ? "no Host header" : "more than one Host header");
    }
    return NX_OK;
}

static int on_headers_complete(llhttp_t *llhttp) {
    struct nx_http_parser *parser = parser_of(llhttp);
    struct nx_http_request *request = parser->request;
    parser->in_body = true;
    llhttp->upgrade = 0; /* an upgrade that we do not offer is a header like any other (RFC 9110 §7.8) */
    request->method = method_of(llhttp->method);
    request->method_name = nx_str_from_c(llhttp_method_name((llhttp_method_t)llhttp->method));
    request->version_minor = llhttp->http_minor;
    resolve_strings(request, parser->header_count);
    if (check_framing(llhttp, request, &parser->error) != NX_OK) {
        return HPE_USER;
    }
    if (llhttp->content_length > NX_HTTP_BODY_SIZE_MAX && (llhttp->flags & F_CONTENT_LENGTH) != 0) {
        (void)nx_fail_kind(&parser->error, NX_KIND_TOO_LARGE, "a body of %llu bytes exceeds the limit of %d",
                           (unsigned long long)llhttp->content_length, NX_HTTP_BODY_SIZE_MAX);
        return HPE_USER;
    }
    const bool has_body = (llhttp->flags & F_CHUNKED) != 0 || llhttp->content_length > 0;
    request->expects_continue = request->expects_continue && has_body;
    request->keep_alive = llhttp_should_keep_alive(llhttp) != 0;
    return request->expects_continue ? HPE_PAUSED : 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len) {
    struct nx_http_parser *parser = parser_of(llhttp);
    struct nx_http_request *request = parser->request;
    /* llhttp counts content_length down before it calls: 0 left and nothing kept is a body in one piece. */
    if (request->body_bytes.len == 0 && (llhttp->flags & F_CHUNKED) == 0 && llhttp->content_length == 0) {
        request->body = nx_str_of(at, len);
        return 0;
    }
    if (len > NX_HTTP_BODY_SIZE_MAX - request->body_bytes.len) {
        (void)nx_fail_kind(&parser->error, NX_KIND_TOO_LARGE, "the body exceeds the limit of %d bytes",
                           NX_HTTP_BODY_SIZE_MAX);
        return HPE_USER;
    }
    nx_buf_append(&request->body_bytes, nx_str_of(at, len));
    return nx_buf_check(&request->body_bytes, &parser->error) == NX_OK ? 0 : HPE_USER;
}

static int on_message_complete(llhttp_t *llhttp) {
    struct nx_http_parser *parser = parser_of(llhttp);
    if (parser->request->body_bytes.len > 0) {
        parser->request->body = nx_buf_str(&parser->request->body_bytes);
    }
    parser->within = parser->in_body = false;
    parser->head_size = 0;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_chunk_extension_name = on_chunk_extension,
    .on_chunk_extension_value = on_chunk_extension,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* Parser */

enum nx_status nx_http_parser_new(struct nx_http_parser **parser_out, struct nx_error *err) {
    struct nx_http_parser *parser = calloc(1, sizeof *parser);
    if (parser == NULL) {
        return nx_fail_memory(err);
    }
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
    parser->llhttp.data = parser;
    *parser_out = parser;
    return NX_OK;
}

void nx_http_parser_free(struct nx_http_parser *parser) {
    free(parser);
}

bool nx_http_parser_is_within(const struct nx_http_parser *parser) {
    return parser->within;
}

bool nx_http_parser_is_in_body(const struct nx_http_parser *parser) {
    return parser->in_body;
}

/* What is wrong with the request, at which of its bytes; `bytes` is the piece of it that was fed last. */
static enum nx_http_parse fail(struct nx_http_parser *parser, enum llhttp_errno code, struct nx_str bytes,
                               struct nx_error *err) {
    if (parser->error.status != NX_OK) { /* what llhttp calls it depends on the callback */
        if (err != NULL) {
            *err = parser->error;
        }
        return NX_HTTP_PARSE_FAILED;
    }
    const char *reason = llhttp_get_error_reason(&parser->llhttp);
    if (code == HPE_INVALID_VERSION && reason != NULL && strcmp(reason, "Invalid HTTP version") == 0) {
        (void)nx_fail_kind(err, NX_KIND_HTTP_VERSION, "this version of HTTP is not spoken here");
        return NX_HTTP_PARSE_FAILED;
    }
    const char *at = llhttp_get_error_pos(&parser->llhttp);
    const size_t offset = parser->fed_size + (at == NULL ? 0 : (size_t)(at - bytes.ptr));
    (void)nx_fail(err, NX_INVALID_ARGUMENT, "malformed request, byte %zu: %s", offset,
                  reason == NULL || reason[0] == '\0' ? llhttp_errno_name(code) : reason);
    return NX_HTTP_PARSE_FAILED;
}

enum nx_http_parse nx_http_parser_feed(struct nx_http_parser *parser, struct nx_http_request *request,
                                       struct nx_str bytes, size_t *consumed_out, struct nx_error *err) {
    nx_assert(bytes.ptr != NULL);
    parser->request = request;
    parser->error = (struct nx_error){ 0 };
    const enum llhttp_errno code = llhttp_execute(&parser->llhttp, bytes.ptr, bytes.len);
    if (code == HPE_OK) {
        *consumed_out = bytes.len;
        parser->fed_size += bytes.len;
        if (!parser->in_body) {
            /* Padding and empty lines reach no callback, but they count. */
            parser->head_size += bytes.len;
            if (parser->head_size > 2 * NX_HTTP_HEADERS_SIZE_MAX) {
                (void)stop_too_large(parser);
                return fail(parser, HPE_USER, bytes, err);
            }
        }
        return NX_HTTP_PARSE_MORE;
    }
    if (code != HPE_PAUSED) {
        *consumed_out = bytes.len;
        return fail(parser, code, bytes, err);
    }
    *consumed_out = (size_t)(llhttp_get_error_pos(&parser->llhttp) - bytes.ptr);
    nx_assert(*consumed_out <= bytes.len);
    llhttp_resume(&parser->llhttp);
    parser->fed_size = parser->within ? parser->fed_size + *consumed_out : 0;
    return parser->within ? NX_HTTP_PARSE_CONTINUE : NX_HTTP_PARSE_DONE;
}

const char *nx_http_reason(int status) {
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 206, "Partial Content" },
        { 301, "Moved Permanently" },
        { 302, "Found" },
        { 303, "See Other" },
        { 304, "Not Modified" },
        { 307, "Temporary Redirect" },
        { 308, "Permanent Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 402, "Payment Required" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 416, "Range Not Satisfiable" },
        { 417, "Expectation Failed" },
        { 422, "Unprocessable Content" },
        { 423, "Locked" },
        { 425, "Too Early" },
        { 428, "Precondition Required" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 499, "Client Closed Request" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
        { 507, "Insufficient Storage" },
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Unknown";
}
