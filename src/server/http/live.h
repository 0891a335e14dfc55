/* src/server/http/live.h: a stream of the log as it grows, by server-sent events.
 *
 *   GET /events with "Accept: text/event-stream"
 *
 *   id: EVENTS:17
 *   data: {"reference":"EVENTS:17","stored":"…","event":{…}}
 *
 * It begins with what arrives from now on, or behind `Last-Event-ID`, or at `cursor` or `since`. An id is a
 * record's place in the log, so whoever comes back with the last one, to this process or to the next one,
 * gets each record once. Comments tell, and keep proxies from thinking, that the stream lives; they bring the
 * id up to date where a filter passed over much.
 *
 * Nothing is queued for a reader but what one look at the log gave: while its connection has too much to
 * write, the log is not looked at, and a reader that takes nothing for the time-out of writing is cut. It
 * holds up nobody else, and comes back with its last id. */
#pragma once

#include "server/http/services.h"

enum {
    NX_HTTP_LIVE_HEARTBEAT_MS = 15 * 1000, /* between comments while nothing happens */
    NX_HTTP_LIVE_RETRY_MS = 1000,          /* what a client waits before it comes back */
    NX_HTTP_LIVE_COUNT_MAX = 256,          /* records of one look at the log */
    NX_HTTP_LIVE_SIZE_MAX = 256 * 1024,    /* bytes of them */
};

/** The request asks for a stream: GET, with text/event-stream in its Accept. */
bool nx_http_live_is_wanted(const struct nx_http_request *request);
void nx_http_live_events(struct nx_http_services *services, struct nx_http_exchange *exchange,
                         const struct nx_http_request *request);
void nx_http_live_invocations(struct nx_http_services *services, struct nx_http_exchange *exchange,
                              const struct nx_http_request *request);
