/* src/server/nats/calls.h: functions that are called by messages (`on: {nats: …}`).
 *
 * They are one client of the hub's, which subscribes for each of them, in the account of those who name none:
 * so queues, wildcards and "no responders" are as for anybody. At the end of a turn of the loop what this
 * client was given becomes events of the log; a message that asks for an answer gets it when its event is on
 * disk, or what the function makes of it (server/answer). Owned by the loop's thread. */
#pragma once

#include "io/mailbox.h"
#include "platform/function/registry.h"
#include "server/nats/conn.h"
#include "server/nats/events.h"
#include "server/nats/jetstream.h"

enum { NX_NATS_CALLS_MAX = 4096 }; /* that wait for their function at once; more are refused */

struct nx_nats_calls;

struct nx_nats_calls_options {
    struct nx_nats_hub *hub; /* borrowed, as the rest */
    struct nx_nats_jetstream *jetstream;
    struct nx_nats_events *events;
    struct nx_mailbox *functions; /* dispatch's; NULL: no functions run here */
    struct nx_mailbox *reads;     /* the log's, as the next */
    struct nx_mailbox *appends;
};

/** Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_nats_calls_new(const struct nx_nats_calls_options *options,
                                               struct nx_nats_calls **calls_out, struct nx_error *err);
/** Before the hub ends. NULL allowed. */
void nx_nats_calls_free(struct nx_nats_calls *calls);
/** From now on these functions; takes a reference of its own. What earlier ones were given is theirs. */
void nx_nats_calls_set_registry(struct nx_nats_calls *calls, struct nx_registry *registry);
/** Take what the functions were given. True: there is more, come back soon. */
NX_MUST_CHECK bool nx_nats_calls_run(struct nx_nats_calls *calls);
/** The server stops: whoever still waits for a function is told. */
void nx_nats_calls_stop(struct nx_nats_calls *calls);
