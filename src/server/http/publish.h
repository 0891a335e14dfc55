/* src/server/http/publish.h: what single events and batches share on their way into the log. */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "codec/cloudevents.h"
#include "codec/time_format.h"
#include "codec/ulid.h"
#include "fabric/fabric.h"
#include "server/http/services.h"

enum {
    NX_HTTP_BATCH_COUNT_MAX = 1000,                 /* events in one batch; its bytes are those of any body */
    NX_HTTP_BATCH_FAULTS_MAX = 16,                  /* wrong events that one answer describes */
    NX_HTTP_EVENT_ARENA_SIZE_MAX = 4 * 1024 * 1024, /* bytes for what of a request's events must be decoded */
};

/** A plain message can name a person too, in a header ce-personkey: were it ignored, what the message holds
 * would stand in the log. The name is borrowed from the request or `arena`. Errors: as
 * nx_cloudevent_header_value() */
NX_MUST_CHECK enum nx_status nx_http_take_person(struct nx_cloudevent *event,
                                                 const struct nx_http_request *request,
                                                 struct nx_arena *arena, struct nx_error *err);
/** Add the event to an append; only an id that the client chose is looked for in the de-duplication window.
 * Errors: NX_INVALID_ARGUMENT    the event is none, or too large; `event` says nothing of where
 *         NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_http_add_event(struct nx_http_services *services, struct nx_append *append,
                                               const struct nx_cloudevent *event, bool id_is_clients,
                                               struct nx_error *err);
/** Send the event to the log; `resume` goes on with the answered append, whose first entry it is, and whose
 * id is exchange->note. Answers the exchange itself where the event is none. */
void nx_http_publish(struct nx_http_exchange *exchange, const struct nx_http_request *request,
                     struct nx_cloudevent *event, bool id_is_clients,
                     void (*resume)(struct nx_http_exchange *, struct nx_message *));
/** A `resume` for nx_http_publish(): answer 202, or why not. */
void nx_http_published(struct nx_http_exchange *exchange, struct nx_message *message);
/** Fill in what a plain message does not say. `id_out` and `time_out` hold the texts. */
void nx_http_complete_plain(struct nx_http_services *services, struct nx_cloudevent *event,
                            char id_out[NX_ULID_TEXT_SIZE + 1], char time_out[NX_TIME_TEXT_SIZE + 1]);
/** A body that its content type calls JSON must be JSON. Errors: NX_INVALID_ARGUMENT */
NX_MUST_CHECK enum nx_status nx_http_check_data(const struct nx_http_request *request,
                                                struct nx_str content_type, struct nx_error *err);
/** The event's type must be the one of the path; an empty `of_path` is any.
 * Errors: NX_INVALID_ARGUMENT */
NX_MUST_CHECK enum nx_status nx_http_check_event_type(struct nx_str of_event, struct nx_str of_path,
                                                      struct nx_error *err);
/** Write the members "field" (where there is one), "line", "column" and "byte" of a place in a body. */
void nx_http_member_fault(struct nx_json_writer *writer, struct nx_str body, struct nx_str field,
                          size_t offset);
/** Answer with problem details that say where in the body the event is wrong. */
void nx_http_respond_fault(struct nx_http_exchange *exchange, const struct nx_error *err, struct nx_str body,
                           const struct nx_cloudevent_fault *fault);
/** Answer 202 for one event: Location, traceparent, its id and status. */
void nx_http_respond_published(struct nx_http_exchange *exchange, struct nx_str id, bool is_duplicate);
/** batch.c: answer 202 for a batch, event by event; `entries` say which are duplicates, NULL: all are. */
void nx_http_respond_batch(struct nx_http_exchange *exchange, const struct nx_str *ids,
                           const struct nx_append_entry *entries, size_t count);
/** batch.c: store a body of application/cloudevents-batch+json, all of its events or none. `type` is the
 * path's, decoded, or empty. */
void nx_http_post_batch(struct nx_http_services *services, struct nx_http_exchange *exchange,
                        const struct nx_http_request *request, struct nx_str type);
