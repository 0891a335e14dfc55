/* src/server/nats/replies.c: see replies.h. */
#include "server/nats/replies.h"

#include <stdlib.h>

#include "io/clock.h"

/* One reply subject that came. */
struct reply {
    int64_t came_ns;
    int64_t used; /* answers */
};

void nx_nats_replies_init(struct nx_nats_replies *replies, uint64_t seed) {
    nx_map_init(&replies->map, NX_NATS_REPLIES_MAX, seed);
    replies->cleared_ns = 0;
}

void nx_nats_replies_fini(struct nx_nats_replies *replies) {
    size_t cursor = 0;
    void *reply;
    while (nx_map_next(&replies->map, &cursor, NULL, &reply)) {
        free(reply);
    }
    nx_map_fini(&replies->map);
}

static bool is_over(const struct reply *reply, const struct nx_nats_permissions *permissions,
                    int64_t now_ns) {
    return (permissions->responses_max > 0 && reply->used >= permissions->responses_max) ||
           (permissions->responses_expire_ns > 0 &&
            now_ns - reply->came_ns > permissions->responses_expire_ns);
}

/* The map must not change while it is walked: what stays moves into a new one. */
static void clear(struct nx_nats_replies *replies, const struct nx_nats_permissions *permissions,
                  int64_t now_ns) {
    struct nx_map kept;
    struct nx_str subject;
    size_t cursor = 0;
    void *reply;
    nx_map_init(&kept, NX_NATS_REPLIES_MAX, replies->map.seed);
    while (nx_map_next(&replies->map, &cursor, &subject, &reply)) {
        if (is_over(reply, permissions, now_ns) || nx_map_set(&kept, subject, reply, NULL) != NX_OK) {
            free(reply);
        }
    }
    nx_map_fini(&replies->map);
    replies->map = kept;
    replies->cleared_ns = now_ns;
}

void nx_nats_replies_add(struct nx_nats_replies *replies, const struct nx_nats_permissions *permissions,
                         struct nx_str reply_subject, int64_t now_ns) {
    struct reply *reply = nx_map_get(&replies->map, reply_subject);
    if (reply == NULL) {
        if (now_ns - replies->cleared_ns > NX_NS_PER_S) { /* no oftener: it looks at all of them */
            clear(replies, permissions, now_ns);
        }
        reply = replies->map.count == NX_NATS_REPLIES_MAX ? NULL : malloc(sizeof *reply);
        if (reply == NULL || nx_map_set(&replies->map, reply_subject, reply, NULL) != NX_OK) {
            free(reply);
            return;
        }
    }
    *reply = (struct reply){ .came_ns = now_ns };
}

bool nx_nats_replies_use(struct nx_nats_replies *replies, const struct nx_nats_permissions *permissions,
                         struct nx_str subject, int64_t now_ns) {
    struct reply *reply = nx_map_get(&replies->map, subject);
    if (reply == NULL) {
        return false;
    }
    if (is_over(reply, permissions, now_ns)) {
        free(nx_map_remove(&replies->map, subject));
        return false;
    }
    reply->used++;
    return true;
}
