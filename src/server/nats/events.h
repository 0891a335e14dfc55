/* src/server/nats/events.h: messages that NATS clients publish under "events." become events of the log.
 *
 * Only in the account of those who name none, which is the project's. A message is read as the NATS binding
 * of CloudEvents says (version 1.0.2): with ce- headers it is in binary mode; of the content type
 * application/cloudevents+json, or without headers a JSON object that has the required attributes, in
 * structured mode. Of any other an event is made: type from the subject, source "/nats/<project>", id what
 * Nats-Msg-Id says or a ULID, time of arrival. Owned by the loop's thread. */
#pragma once

#include "base/log.h"
#include "codec/nats.h"
#include "fabric/fabric.h"
#include "io/random.h"
#include "platform/function/registry.h"
#include "telemetry/metric.h"

struct nx_nats_events;

struct nx_nats_events_counters {
    struct nx_counter published;
    struct nx_counter duplicate; /* stored before, not again */
    struct nx_counter refused;
};

/** `project` is copied, `log` borrowed and may be NULL; events about people are known by the registry's
 * rules, once there is one. Errors: NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_nats_events_new(struct nx_str project, struct nx_random random,
                                                const struct nx_log *log, struct nx_nats_events **events_out,
                                                struct nx_error *err);
void nx_nats_events_free(struct nx_nats_events *events); /* NULL allowed */
/** From now on these rules; takes the reference. NULL: none. */
void nx_nats_events_set_registry(struct nx_nats_events *events, struct nx_registry *registry);
/** Whether a message with this subject, published in this account, is an event. */
bool nx_nats_events_takes(struct nx_str account, struct nx_str subject);
/** The append of the message's event, with room for `condition_count` conditions; `lines` are its headers.
 * Errors: NX_INVALID_ARGUMENT    it is no event, or not one of this subject
 *         NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_nats_events_append(struct nx_nats_events *events,
                                                   const struct nx_nats_op *message, struct nx_str lines,
                                                   size_t condition_count, int64_t now_ns,
                                                   struct nx_append **append_out, struct nx_error *err);
/** The append of what a message to a function becomes: an event of the trigger's type, whose data is
 * `{subject, headers, body}` as of an HTTP request. Errors: as nx_nats_events_append() */
NX_MUST_CHECK enum nx_status nx_nats_events_call_append(struct nx_nats_events *events,
                                                        const struct nx_trigger *trigger,
                                                        const struct nx_nats_op *message, int64_t now_ns,
                                                        struct nx_append **append_out, struct nx_error *err);
/** What came of an event. A refusal of which nobody hears stands in the log, one a second at most.
 * `why`: NULL: it is stored. */
void nx_nats_events_note(struct nx_nats_events *events, struct nx_str subject, bool is_duplicate,
                         const char *why, bool is_heard, int64_t monotonic_ns);
/** Borrowed for the life of the events. */
const struct nx_nats_events_counters *nx_nats_events_counters(const struct nx_nats_events *events);
