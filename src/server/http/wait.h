/* src/server/http/wait.h: requests that a function answers (`respond: result` and `early`).
 *
 *   event on disk -> ask dispatch for what the function makes of it -> answer; or -> its record -> answer
 *
 * The result of a request is what its event comes to: the output of the attempt that succeeded, or 502 or 504
 * when the last one failed. So a repeat with the same Idempotency-Key, whenever it comes, waits for or finds
 * the very same. The event is handled whatever becomes of the request: a client that goes away, or a time
 * that is up, loses nothing. */
#pragma once

#include "base/error.h"
#include "platform/function/function.h"
#include "server/http/services.h"

/** The exchange will be answered by the trigger's function.
 * Errors: NX_RESOURCE_EXHAUSTED  kind overloaded: too many wait already; or out of memory
 *         NX_UNAVAILABLE         no functions run here */
NX_MUST_CHECK enum nx_status nx_http_await_begin(struct nx_http_exchange *exchange,
                                                 const struct nx_trigger *trigger, struct nx_error *err);
/** As `resume` of nx_http_publish(): the event is on disk, or why not. */
void nx_http_await_stored(struct nx_http_exchange *exchange, struct nx_message *message);
/** nx_http_await_begin() was called for it. */
bool nx_http_is_awaiting(const struct nx_http_exchange *exchange);
/** It is a repeat: answer as the first request was, whose event this is. */
void nx_http_await_first(struct nx_http_exchange *exchange, struct nx_str event_id);
