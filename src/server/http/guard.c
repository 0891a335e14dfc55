/* src/server/http/guard.c: see guard.h. */
#include "server/http/guard.h"

static bool is_port(struct nx_str text) {
    uint64_t port;
    return text.len == 0 || (nx_str_to_u64(text, &port) && port <= 65535);
}

bool nx_http_guard_is_loopback(struct nx_str authority) {
    static const struct nx_str names[] = { { "localhost", 9 }, { "127.0.0.1", 9 }, { "[::1]", 5 } };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct nx_str name = names[i];
        if (authority.len >= name.len &&
            nx_str_equal_ignore_case(nx_str_slice(authority, 0, name.len), name)) {
            return authority.len == name.len ||
                   (authority.ptr[name.len] == ':' &&
                    is_port(nx_str_slice(authority, name.len + 1, authority.len)));
        }
    }
    return false;
}

static enum nx_status refuse_origin(struct nx_error *err, struct nx_str origin) {
    (void)nx_fail_kind(err, NX_KIND_WRONG_ORIGIN, "a page of '%.*s' may not send requests here",
                       NX_STR_ARG(nx_str_slice(origin, 0, 128)));
    nx_hint(err, "send the request from a program, not from a web page of another site");
    return err == NULL ? NX_PERMISSION_DENIED : err->status;
}

enum nx_status nx_http_guard_check(const struct nx_http_request *request, struct nx_error *err) {
    /* HTTP/1.0 may come without a Host, but never from a browser. */
    const bool no_host = request->authority.len == 0 && request->version_minor == 0;
    if (!no_host && !nx_http_guard_is_loopback(request->authority)) {
        (void)nx_fail_kind(err, NX_KIND_WRONG_HOST, "this server is not '%.*s'",
                           NX_STR_ARG(nx_str_slice(request->authority, 0, 128)));
        nx_hint(err, "it listens on loopback and answers as localhost, 127.0.0.1 or [::1] only");
        return NX_PERMISSION_DENIED;
    }
    if (request->method == NX_HTTP_GET || request->method == NX_HTTP_HEAD) {
        return NX_OK; /* changes nothing, and the page cannot read the answer */
    }
    const struct nx_str origin = nx_http_request_header(request, NX_STR("origin"));
    if (origin.ptr != NULL) {
        const struct nx_str scheme = NX_STR("http://");
        if (!nx_str_starts_with(origin, scheme) ||
            !nx_str_equal_ignore_case(nx_str_slice(origin, scheme.len, origin.len), request->authority)) {
            return refuse_origin(err, origin);
        }
    }
    const struct nx_str site = nx_http_request_header(request, NX_STR("sec-fetch-site"));
    if (site.ptr != NULL && !nx_str_is(site, "same-origin") && !nx_str_is(site, "none")) {
        return refuse_origin(err, origin.ptr == NULL ? site : origin);
    }
    return NX_OK;
}
