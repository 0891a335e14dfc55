/* src/server/http/encoding.c: see encoding.h. */
#include "server/http/encoding.h"

#include "codec/cloudevents.h"
#include "codec/gzip.h"
#include "codec/headers.h"

static bool is_gzip(struct nx_str coding) {
    return nx_str_equal_ignore_case(coding, NX_STR("gzip")) ||
           nx_str_equal_ignore_case(coding, NX_STR("x-gzip"));
}

static void drop_header(struct nx_http_request *request, struct nx_str name) {
    size_t kept = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        if (!nx_str_equal_ignore_case(request->headers[i].name, name)) {
            request->headers[kept++] = request->headers[i];
        }
    }
    request->header_count = kept;
}

enum nx_status nx_http_decode_body(struct nx_http_request *request, struct nx_error *err) {
    const struct nx_str name = NX_STR("content-encoding");
    const struct nx_str coding = nx_str_trim(nx_http_request_header(request, name));
    if (coding.len == 0 || nx_str_equal_ignore_case(coding, NX_STR("identity"))) {
        return NX_OK;
    }
    if (!is_gzip(coding)) {
        (void)nx_fail_kind(err, NX_KIND_UNSUPPORTED_MEDIA, "a body in the coding '%.*s' is not taken",
                           NX_STR_ARG(nx_str_slice(coding, 0, 64)));
        nx_hint(err, "send it as it is, or with Content-Encoding: gzip");
        return NX_INVALID_ARGUMENT;
    }
    NX_AUTO(nx_buf) body;
    nx_buf_init(&body, NX_HTTP_BODY_SIZE_MAX);
    if (request->body.len > 0) {
        const enum nx_status status = nx_gzip_decode(&body, request->body, err);
        if (status != NX_OK) {
            return nx_wrap(err, status, "the body");
        }
    }
    drop_header(request, name);
    nx_buf_fini(&request->body_bytes);
    request->body_bytes = body;
    nx_buf_init(&body, 1); /* it has moved */
    request->body = nx_buf_str(&request->body_bytes);
    return NX_OK;
}

/* A weight of 0 ("gzip;q=0", "gzip; q=0.000") says no. */
static bool is_refused(struct nx_str parameters) {
    const size_t at = nx_str_find(parameters, NX_STR("q="));
    if (at == SIZE_MAX) {
        return false;
    }
    const struct nx_str weight = nx_str_trim(nx_str_slice(parameters, at + 2, parameters.len));
    for (size_t i = 0; i < weight.len; i++) {
        if (weight.ptr[i] != '0' && weight.ptr[i] != '.') {
            return false;
        }
    }
    return true;
}

bool nx_http_takes_gzip(const struct nx_http_request *request) {
    struct nx_str rest = nx_http_request_header(request, NX_STR("accept-encoding"));
    while (rest.len > 0) {
        const size_t comma = nx_str_find_byte(rest, ',');
        const struct nx_str item = nx_str_slice(rest, 0, comma);
        const size_t semicolon = nx_str_find_byte(item, ';');
        const struct nx_str coding = nx_str_trim(nx_str_slice(item, 0, semicolon));
        const struct nx_str parameters =
            semicolon == SIZE_MAX ? NX_STR_EMPTY : nx_str_slice(item, semicolon + 1, item.len);
        if (is_gzip(coding) || nx_str_is(coding, "*")) {
            return !is_refused(parameters);
        }
        rest = comma == SIZE_MAX ? NX_STR_EMPTY : nx_str_slice(rest, comma + 1, rest.len);
    }
    return false;
}

/* Text of some kind: pictures and archives are packed already. */
static bool is_text(struct nx_str content_type) {
    const struct nx_str text = NX_STR("text/");
    static const char *const others[] = { "application/javascript", "application/xml", "image/svg+xml",
                                          "application/x-ndjson", "application/wasm" };
    const struct nx_str type =
        nx_str_trim(nx_str_slice(content_type, 0, nx_str_find_byte(content_type, ';')));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (nx_str_equal_ignore_case(type, nx_str_from_c(others[i]))) {
            return true;
        }
    }
    return nx_str_equal_ignore_case(nx_str_slice(type, 0, text.len), text) ||
           nx_cloudevent_is_json_type(content_type);
}

bool nx_http_is_packable(const struct nx_http_response *response) {
    struct nx_str value;
    if (response->body.len < NX_HTTP_PACKED_SIZE_MIN || response->body.len > NX_HTTP_PACKED_SIZE_MAX ||
        response->status == 206) {
        return false;
    }
    const struct nx_str type = response->content_type.len > 0
                                   ? response->content_type
                                   : nx_headers_value(response->headers, "content-type");
    if (!is_text(type) || nx_headers_find(response->headers, NX_STR("content-encoding"), &value) ||
        nx_headers_find(response->headers, NX_STR("etag"), &value)) {
        return false; /* packed by the function, or named by it byte for byte */
    }
    return nx_str_find(nx_headers_value(response->headers, "cache-control"), NX_STR("no-transform")) ==
           SIZE_MAX;
}
