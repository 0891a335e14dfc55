/* src/platform/function/replayer.h: the actor that answers replay requests inside a running server.
 *
 * One request at a time, in the order of arrival. Wants a thread of its own: a replay computes. */
#pragma once

#include "base/error.h"
#include "base/log.h"
#include "io/clock.h"
#include "io/mailbox.h"
#include "io/thread.h"
#include "platform/function/guest.h"
#include "telemetry/metric.h"

enum { NX_REPLAYER_REQUESTS_MAX = 256 };

struct nx_replayer_options {
    struct nx_mailbox *appends; /* borrowed, as all pointers here, for the replayer's life */
    struct nx_mailbox *reads;
    const struct nx_guest_kind *guests;
    struct nx_clock clock;
    const struct nx_log *log;
    struct nx_metrics *metrics; /* may be NULL */
    const char *node_name;
};

struct nx_replayer;

/** Ownership: the caller ends it by nx_replayer_close(), after the actor was stopped.
 * Errors:    NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_replayer_open(const struct nx_replayer_options *options,
                                              struct nx_replayer **replayer_out, struct nx_error *err);
void nx_replayer_close(struct nx_replayer *replayer); /* NULL allowed */
/** Before it runs: where live replays go. */
void nx_replayer_set_dispatch(struct nx_replayer *replayer, struct nx_mailbox *dispatch);
struct nx_actor nx_replayer_actor(struct nx_replayer *replayer);
struct nx_mailbox *nx_replayer_mailbox(struct nx_replayer *replayer);

NX_DEFINE_AUTO(nx_replayer, nx_replayer_close)
