/* src/server/http/tracing.h: the spans of a request that stores something.
 *
 *   <method> <route>         from its first handling to its answer; a child of the caller's traceparent
 *     append <subject>       until the events are on disk; what runs because of them is its child
 *
 * Where spans are exported the events carry the append's context, else that of the request itself, which is
 * what the answer's traceparent says in both cases. Requests that only read have no span. Threads: the
 * loop's. */
#pragma once

#include "codec/cloudevents.h"
#include "server/http/services.h"

/** A request that may store something, before its handler; `route` is its pattern. Does nothing where no
 * spans are exported. */
void nx_http_span_begin(struct nx_http_services *services, struct nx_http_exchange *exchange,
                        const struct nx_http_request *request, struct nx_str route);
/** Begin exchange->trace: a child of what the client sent, or a new trace. */
void nx_http_trace_begin(struct nx_http_services *services, struct nx_http_exchange *exchange,
                         struct nx_str from_client);
/** What an event of this request carries as its traceparent, written to `text_out`. */
struct nx_str nx_http_event_trace(struct nx_http_exchange *exchange, const struct nx_cloudevent *event,
                                  char text_out[NX_TRACEPARENT_TEXT_SIZE + 1]);
/** The append of a request came back. */
void nx_http_span_appended(struct nx_http_exchange *exchange, const struct nx_append *append);
/** The request is answered; `kind` names the error, or is empty. As nx_http_shared.answered. */
void nx_http_span_end(struct nx_http_exchange *exchange, int status, const char *kind, const char *message);
