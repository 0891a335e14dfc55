/* src/server/http/guard.h: no web page may reach this server.
 *
 * A server on loopback without credentials trusts whoever runs programs on this machine. A page in a browser
 * on this machine is no such program: by a name of its own that points here (DNS rebinding) it would be
 * served as "same origin", and by a form or fetch() it can post anywhere. The first is told by `Host`, the
 * second by `Origin` and `Sec-Fetch-Site`. Pure functions. */
#pragma once

#include "base/error.h"
#include "server/http/parser.h"

/** Errors: NX_PERMISSION_DENIED  kinds wrong-host, wrong-origin */
NX_MUST_CHECK enum nx_status nx_http_guard_check(const struct nx_http_request *request, struct nx_error *err);
/** True for the names under which a loopback server is asked for: "localhost", "127.0.0.1", "[::1]", with any
 * port. */
bool nx_http_guard_is_loopback(struct nx_str authority);
