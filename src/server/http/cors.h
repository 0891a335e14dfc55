/* src/server/http/cors.h: web pages of other sites that may use a function's paths: the server's half of the
 * CORS protocol (https://fetch.spec.whatwg.org/#http-cors-protocol), as `cors:` of the function says.
 *
 * It only ever widens what server/http/guard.h allows of `Origin`; `Host` is checked all the same. */
#pragma once

#include <stdbool.h>

#include "base/str.h"
#include "platform/function/registry.h"
#include "server/http/conn.h"

bool nx_http_cors_allows(const struct nx_cors *cors, struct nx_str origin);
/** May the page that the request names send it? For OPTIONS: may it ask? */
bool nx_http_cors_admits(const struct nx_registry *registry, const struct nx_http_request *request);
/** Whatever the exchange is answered says whether the page may read it. `cors` may be NULL. */
void nx_http_cors_begin(struct nx_http_exchange *exchange, const struct nx_http_request *request,
                        const struct nx_cors *cors);
/** Answer a browser that asks, by OPTIONS, whether a page may send a request. False: it is no such question,
 * or the answer is no. `allow` are the path's methods, as for the header of that name. */
bool nx_http_cors_preflight(struct nx_http_exchange *exchange, const struct nx_http_request *request,
                            const struct nx_registry *registry, struct nx_str allow);
