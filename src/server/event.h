/* src/server/event.h: an event on its way into the log, whichever door it came by.
 *
 * HTTP and NATS read their own forms; what a plain message does not say, whom an event is about, and the
 * record that it becomes are the same for both. Threads: that of whoever calls. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "codec/cloudevents.h"
#include "codec/json.h"
#include "codec/time_format.h"
#include "codec/ulid.h"
#include "fabric/fabric.h"
#include "io/random.h"
#include "platform/function/registry.h"

enum { NX_EVENT_DATA_SIZE_MAX = 2 * NX_RECORD_SIZE_MAX }; /* bytes of data that describe a request */

#define NX_PERSON_ATTRIBUTE NX_STR("personkey") /* of an event: whom it is about */

/* Memory that is used again for each event. */
struct nx_event_scratch {
    struct nx_buf *headers; /* empty before and after a call */
    struct nx_buf *text;
};

/** Add the event to an append, as a record of EVENTS. Only an id that the client chose is looked for in the
 * de-duplication window. `registry` has the rules for whom events are about; NULL: there are none.
 * Errors: NX_INVALID_ARGUMENT    the event is none, or too large
 *         NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_event_add(struct nx_append *append, const struct nx_cloudevent *event,
                                          bool id_is_clients, const struct nx_registry *registry,
                                          struct nx_event_scratch scratch, struct nx_error *err);

/** Write what a request to a function brings as the member "body": null, the JSON that it is, text; or
 * "body_base64". */
void nx_event_write_body(struct nx_json_writer *writer, struct nx_str body, bool is_json);
/** Give a plain message an id of ours and the time of its arrival; the texts are in `id_out` and `time_out`.
 */
void nx_event_complete(struct nx_cloudevent *event, const struct nx_random *random,
                       struct nx_ulid_generator *ulids, int64_t now_ns, char id_out[NX_ULID_TEXT_SIZE + 1],
                       char time_out[NX_TIME_TEXT_SIZE + 1]);
