/* src/server/nats/replies.h: the reply subjects that a connection may answer though its permissions do not
 * name them (allow_responses): those of the messages it was given.
 *
 * Each may be answered so many times and for so long as the permissions say; old ones are cleared away once a
 * second. One owner. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "base/str.h"
#include "server/nats/options.h"

enum { NX_NATS_REPLIES_MAX = 65536 }; /* at a time; more cannot be answered */

struct nx_nats_replies {
    struct nx_map map;
    int64_t cleared_ns;
};

/** Allocates nothing. */
void nx_nats_replies_init(struct nx_nats_replies *replies, uint64_t seed);
void nx_nats_replies_fini(struct nx_nats_replies *replies);
/** A message with this reply subject was given to the connection. `now_ns` is monotonic. Without memory it
 * cannot be answered. */
void nx_nats_replies_add(struct nx_nats_replies *replies, const struct nx_nats_permissions *permissions,
                         struct nx_str reply, int64_t now_ns);
/** Whether it may publish to this subject; if so, one answer is used up. */
bool nx_nats_replies_use(struct nx_nats_replies *replies, const struct nx_nats_permissions *permissions,
                         struct nx_str subject, int64_t now_ns);
