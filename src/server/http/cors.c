/* src/server/http/cors.c: see cors.h. */
#include "server/http/cors.h"

#include <inttypes.h>

enum { PREFLIGHT_SIZE_MAX = 4 * 1024 };

bool nx_http_cors_allows(const struct nx_cors *cors, struct nx_str origin) {
    if (cors == NULL || origin.len == 0) {
        return false;
    }
    for (size_t i = 0; i < cors->origin_count; i++) {
        if (nx_str_equal(cors->origins[i], origin)) {
            return true;
        }
    }
    return cors->any_origin;
}

/* The rules of the path for the method; NULL: none. */
static const struct nx_cors *rules_of(const struct nx_registry *registry, struct nx_str method,
                                      struct nx_str path) {
    struct nx_route route;
    const bool is_found = registry != NULL && nx_registry_route(registry, method, path, &route);
    return is_found && route.trigger != NULL ? route.trigger->cors : NULL;
}

/* The method that a request has, or that a question is about. */
static struct nx_str method_of(const struct nx_http_request *request) {
    return request->method == NX_HTTP_OPTIONS
               ? nx_http_request_header(request, NX_STR("access-control-request-method"))
               : request->method_name;
}

bool nx_http_cors_admits(const struct nx_registry *registry, const struct nx_http_request *request) {
    const struct nx_str origin = nx_http_request_header(request, NX_STR("origin"));
    return nx_http_cors_allows(rules_of(registry, method_of(request), request->path), origin);
}

static void append_origin(struct nx_buf *headers, const struct nx_cors *cors, struct nx_str origin) {
    nx_buf_append(headers, NX_STR("Access-Control-Allow-Origin: "));
    nx_buf_append(headers, cors->any_origin ? NX_STR("*") : origin);
    nx_buf_append(headers, NX_STR("\r\n"));
    if (cors->credentials) {
        nx_buf_append(headers, NX_STR("Access-Control-Allow-Credentials: true\r\n"));
    }
}

void nx_http_cors_begin(struct nx_http_exchange *exchange, const struct nx_http_request *request,
                        const struct nx_cors *cors) {
    struct nx_buf *headers = &exchange->headers;
    if (cors == NULL) {
        return;
    }
    if (!cors->any_origin) {
        nx_buf_append(headers, NX_STR("Vary: Origin\r\n"));
    }
    const struct nx_str origin = nx_http_request_header(request, NX_STR("origin"));
    if (!nx_http_cors_allows(cors, origin)) {
        return;
    }
    append_origin(headers, cors, origin);
    nx_buf_append(headers, NX_STR("Access-Control-Expose-Headers: Location, Nexus-Event, Nexus-Invocation, "
                                  "traceparent, Idempotent-Replayed"));
    if (cors->expose.len > 0) {
        nx_buf_append(headers, NX_STR(", "));
        nx_buf_append(headers, cors->expose);
    }
    nx_buf_append(headers, NX_STR("\r\n"));
    if (nx_buf_failed(headers)) {
        nx_buf_reset(headers); /* then the page may not read it */
    }
}

bool nx_http_cors_preflight(struct nx_http_exchange *exchange, const struct nx_http_request *request,
                            const struct nx_registry *registry, struct nx_str allow) {
    NX_AUTO(nx_buf) headers;
    nx_buf_init(&headers, PREFLIGHT_SIZE_MAX);
    if (request->method != NX_HTTP_OPTIONS) {
        return false;
    }
    const struct nx_str origin = nx_http_request_header(request, NX_STR("origin"));
    const struct nx_cors *cors = rules_of(registry, method_of(request), request->path);
    if (!nx_http_cors_allows(cors, origin)) {
        return false;
    }
    append_origin(&headers, cors, origin);
    nx_buf_append(&headers, NX_STR("Vary: Origin, Access-Control-Request-Method\r\n"
                                   "Access-Control-Allow-Methods: "));
    nx_buf_append(&headers, allow);
    nx_buf_append(&headers, NX_STR("\r\nAccess-Control-Allow-Headers: "));
    nx_buf_append(&headers, cors->headers);
    nx_buf_append_format(&headers, "\r\nAccess-Control-Max-Age: %" PRId64 "\r\n",
                         cors->max_age_ns / NX_NS_PER_S);
    if (nx_buf_failed(&headers)) {
        return false;
    }
    nx_http_respond(exchange, &(struct nx_http_response){ .status = 204, .headers = nx_buf_str(&headers) });
    return true;
}
