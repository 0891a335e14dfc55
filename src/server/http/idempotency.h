/* src/server/http/idempotency.h: a request with an Idempotency-Key is done once (IETF's draft of that name).
 *
 * Together with a request's events, in the same append, goes one record of the stream REQUESTS, whose
 * de-duplication key is the client's key: while that is in the stream's window, the same append writes
 * nothing. The record says what the request was (a digest of its method, target, event headers and body) and
 * which events came of it, so a repeat is answered as the first one was, also after a restart, and another
 * request with the same key is refused. The window is NX_REQUESTS_WINDOW_NS. */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "fabric/fabric.h"
#include "server/http/conn.h"
#include "server/http/parser.h"

enum { NX_HTTP_IDEMPOTENCY_KEY_SIZE_MAX = 255 }; /* bytes */

/** The request's key, without its quotes; empty when it has none. Borrowed from the request.
 * Errors: NX_INVALID_ARGUMENT  it is empty, too long, given twice, or has bytes that are not printable ASCII
 */
NX_MUST_CHECK enum nx_status nx_http_idempotency_key(const struct nx_http_request *request,
                                                     struct nx_str *key_out, struct nx_error *err);
/** Add the record that remembers this request as the append's last entry; does nothing for an empty key.
 * `ids` are the events'. `is_batch`: the answer has one item for each of them.
 * Errors: as nx_append_add() */
NX_MUST_CHECK enum nx_status nx_http_idempotency_guard(struct nx_append *append,
                                                       const struct nx_http_request *request,
                                                       struct nx_str key, const struct nx_str *ids,
                                                       size_t count, bool is_batch, struct nx_error *err);
/** An answered append has written nothing: it failed, which is answered, or its key was there before:
 * answered as then, or refused. Takes `append`. False: it was written, and is still the caller's. */
bool nx_http_idempotency_settles(struct nx_http_exchange *exchange, struct nx_append *append);
