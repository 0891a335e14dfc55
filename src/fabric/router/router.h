/* src/fabric/router/router.h: who wants a subject: subscriptions, found by the subject of a message.
 *
 * A tree with a token a level; every node stands in one hash table under (parent, token), so that a level
 * costs one look-up however wide it is. A match walks the tokens of the subject with the few nodes that can
 * still cover it: nothing is cached, so that no choice of subjects makes it slow or large. Entries stand
 * inside the caller's subscriptions; the router frees none of them.
 *
 * As in NATS a message goes to every plain subscription that covers it and to one member of every queue
 * group, a group being all that name it under whatever filter. Members take turns. One owner; no thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/own.h"
#include "base/str.h"

enum {
    NX_ROUTER_TOKENS_MAX = 255,       /* of a filter or subject, as in NATS */
    NX_ROUTER_ENTRIES_MAX = 16000000, /* of one router */
};

struct nx_router;

/* One subscription, zeroed before it is added. */
struct nx_router_entry {
    struct nx_list_node list_node; /* this and the next are the router's */
    struct nx_router_group *group;
    struct nx_router_node *node; /* NULL: in no router */
};

/* Those a message goes to; reused from match to match. */
struct nx_routes {
    struct nx_router_entry **entries;
    size_t count;
    size_t capacity;
};
static inline void nx_routes_init(struct nx_routes *routes) {
    *routes = (struct nx_routes){ .count = 0 };
}
void nx_routes_fini(struct nx_routes *routes); /* NULL allowed */

/** Foreign tokens are hashed with this seed: choose it at random.
 * Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_router_new(uint64_t seed, struct nx_router **router_out,
                                           struct nx_error *err);
/** What is still in it is forgotten. NULL allowed. */
void nx_router_free(struct nx_router *router);
/** `filter` must be one (nx_subject_is_filter()); `queue` is empty for a plain subscription. Both are copied;
 * `entry` is borrowed until it is removed.
 * Errors: NX_INVALID_ARGUMENT    more than NX_ROUTER_TOKENS_MAX tokens
 *         NX_RESOURCE_EXHAUSTED  no memory, or NX_ROUTER_ENTRIES_MAX are in it; nothing was changed */
NX_MUST_CHECK enum nx_status nx_router_add(struct nx_router *router, struct nx_router_entry *entry,
                                           struct nx_str filter, struct nx_str queue, struct nx_error *err);
/** A no-op when it is in no router. */
void nx_router_remove(struct nx_router *router, struct nx_router_entry *entry);
/** Those that a message with this valid subject goes to, in no order. Of a queue group the next member for
 * which `accepts` is true, if there is one; plain ones are not asked about. `routes` is overwritten; its
 * pointers hold until an entry is removed. Errors: NX_RESOURCE_EXHAUSTED (out of memory; `routes` is then
 * empty) */
NX_MUST_CHECK enum nx_status nx_router_match(struct nx_router *router, struct nx_str subject,
                                             bool (*accepts)(void *data, const struct nx_router_entry *entry),
                                             void *data, struct nx_routes *routes, struct nx_error *err);
/** Entries in it. */
size_t nx_router_count(const struct nx_router *router);

NX_DEFINE_AUTO(nx_router, nx_router_free)
NX_DEFINE_AUTO_IN_PLACE(nx_routes, nx_routes_fini)
