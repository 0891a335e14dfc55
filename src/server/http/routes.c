/* src/server/http/routes.c: which handler a method and a path mean.
 *
 * The table below is all of it; what it does not name is looked for among the functions' own paths. Tests
 * hold it against spec/openapi.yaml. */
#include "server/http/cors.h"
#include "server/http/services.h"
#include "server/http/tracing.h"

struct route {
    struct nx_str path; /* a trailing '/' stands for one more segment, the parameter */
    unsigned methods;   /* enum nx_http_method; HEAD comes with GET */
    nx_http_handler *handler;
};

#define PATH(text) \
    { (text), sizeof(text) - 1 }
static const struct route routes[] = {
    { PATH("/events/"), NX_HTTP_POST, nx_http_post_event },
    { PATH("/healthz"), NX_HTTP_GET, nx_http_get_healthz },
    { PATH("/events/"), NX_HTTP_GET, nx_http_get_event },
    { PATH("/events"), NX_HTTP_POST, nx_http_post_event },
    { PATH("/events"), NX_HTTP_GET, nx_http_list_events },
    { PATH("/invocations/"), NX_HTTP_GET, nx_http_get_invocation },
    { PATH("/invocations"), NX_HTTP_GET, nx_http_list_invocations },
    { PATH("/functions"), NX_HTTP_GET, nx_http_list_functions },
    { PATH("/dlq"), NX_HTTP_GET, nx_http_list_dead_letters },
    { PATH("/dlq/"), NX_HTTP_POST, nx_http_post_requeue },
    { PATH("/replay/"), NX_HTTP_POST, nx_http_post_replay },
    { PATH("/replay"), NX_HTTP_POST, nx_http_post_replay },
    { PATH("/replay"), NX_HTTP_GET, nx_http_get_replay },
    { PATH("/erase"), NX_HTTP_POST, nx_http_post_erase },
    { PATH("/metrics"), NX_HTTP_GET, nx_http_get_metrics },
    { PATH("/readyz"), NX_HTTP_GET, nx_http_get_readyz },
    { PATH("/openapi.json"), NX_HTTP_GET, nx_http_get_openapi },
};

static bool path_matches(const struct route *route, struct nx_str path, struct nx_str *parameter_out) {
    if (route->path.ptr[route->path.len - 1] != '/') {
        *parameter_out = NX_STR_EMPTY;
        return nx_str_equal(route->path, path);
    }
    *parameter_out = nx_str_slice(path, route->path.len, path.len);
    return nx_str_starts_with(path, route->path) && parameter_out->len > 0 &&
           nx_str_find_byte(*parameter_out, '/') == SIZE_MAX;
}

/* The value of the header Allow. */
static void append_allow(struct nx_buf *allow, unsigned methods) {
    static const struct {
        unsigned method;
        const char *name;
    } names[] = { { NX_HTTP_GET, "GET, HEAD" },
                  { NX_HTTP_POST, "POST" },
                  { NX_HTTP_PUT, "PUT" },
                  { NX_HTTP_DELETE, "DELETE" },
                  { NX_HTTP_PATCH, "PATCH" } };
    bool first = true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((methods & names[i].method) != 0) {
            nx_buf_append_c(allow, first ? "" : ", ");
            nx_buf_append_c(allow, names[i].name);
            first = false;
        }
    }
}

static void refuse_method(struct nx_http_exchange *exchange, const struct nx_http_request *request,
                          unsigned methods) {
    NX_AUTO(nx_buf) allow;
    nx_buf_init(&allow, NX_HTTP_EXTRA_HEADERS_SIZE_MAX);
    nx_buf_append_c(&allow, "Allow: ");
    append_allow(&allow, methods);
    nx_buf_append_c(&allow, "\r\n");
    if (request->method == NX_HTTP_OPTIONS) {
        nx_http_respond(exchange, &(struct nx_http_response){ .status = 200, .headers = nx_buf_str(&allow) });
        return;
    }
    struct nx_error err = { 0 };
    (void)nx_fail_kind(&err, NX_KIND_METHOD_NOT_ALLOWED, "%.*s is not possible on '%.*s'",
                       NX_STR_ARG(request->method_name), NX_STR_ARG(nx_str_slice(request->path, 0, 128)));
    nx_http_respond_error(exchange, &err, nx_buf_str(&allow));
}

static unsigned methods_of(const struct nx_route *route) {
    static const struct {
        unsigned method;
        struct nx_str name;
    } names[] = { { NX_HTTP_GET, PATH("GET") },
                  { NX_HTTP_POST, PATH("POST") },
                  { NX_HTTP_PUT, PATH("PUT") },
                  { NX_HTTP_DELETE, PATH("DELETE") },
                  { NX_HTTP_PATCH, PATH("PATCH") } };
    unsigned methods = 0;
    for (size_t i = 0; i < route->other_count; i++) {
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            methods |= nx_str_equal(route->others[i]->method, names[k].name) ? names[k].method : 0;
        }
    }
    return methods;
}

static void route_function(struct nx_http_services *services, struct nx_http_exchange *exchange,
                           const struct nx_http_request *request) {
    struct nx_route route = { 0 };
    const bool path_known =
        services->registry != NULL &&
        nx_registry_route(services->registry, request->method_name, request->path, &route);
    if (path_known && route.trigger != NULL) {
        nx_http_cors_begin(exchange, request, route.trigger->cors);
        nx_http_span_begin(services, exchange, request, route.trigger->path);
        nx_http_publish_request(services, exchange, request, &route);
        return;
    }
    if (path_known) {
        NX_AUTO(nx_buf) allow;
        nx_buf_init(&allow, NX_HTTP_EXTRA_HEADERS_SIZE_MAX);
        append_allow(&allow, methods_of(&route));
        if (nx_http_cors_preflight(exchange, request, services->registry, nx_buf_str(&allow))) {
            return;
        }
        nx_http_cors_begin(exchange, request, route.others[0]->cors);
        refuse_method(exchange, request, methods_of(&route));
        return;
    }
    struct nx_error err = { 0 };
    (void)nx_fail(&err, NX_NOT_FOUND, "there is nothing at '%.*s'",
                  NX_STR_ARG(nx_str_slice(request->path, 0, 128)));
    nx_hint(&err, "GET /openapi.json lists what there is, GET /functions the functions and their paths");
    nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
}

void nx_http_route(struct nx_http_services *services, struct nx_http_exchange *exchange,
                   const struct nx_http_request *request) {
    const unsigned method =
        request->method == NX_HTTP_HEAD ? (unsigned)NX_HTTP_GET : (unsigned)request->method;
    unsigned methods = 0;
    struct nx_str parameter;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        const struct route *route = &routes[i];
        if (!path_matches(route, request->path, &parameter)) {
            continue;
        }
        if ((route->methods & method) != 0) {
            if (method != NX_HTTP_GET) { /* reading stores nothing */
                nx_http_span_begin(services, exchange, request, route->path);
            }
            route->handler(services, exchange, request, parameter);
            return;
        }
        methods |= route->methods;
    }
    if (methods != 0) {
        refuse_method(exchange, request, methods);
        return;
    }
    route_function(services, exchange, request);
}
