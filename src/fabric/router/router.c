/* src/fabric/router/router.c: see router.h. */
#include "fabric/router/router.h"

#include "base/assert.h"

enum { TABLE_CAPACITY_MIN = 64, SCRATCH_CAPACITY_MIN = 16 };

/* Those of one queue that stand under one filter. */
struct nx_router_group {
    struct nx_list_node list_node; /* of the node's groups */
    struct nx_list members;
    struct nx_str name;
    char name_bytes[];
};

struct nx_router_node {
    struct nx_router_node *parent;
    struct nx_router_node *star; /* the child `*` */
    struct nx_router_node *tail; /* the child `>` */
    struct nx_router_node *next; /* in its slot of the table */
    uint64_t hash;
    size_t child_count; /* of every kind */
    struct nx_list plain;
    struct nx_list groups;
    struct nx_str token;
    char token_bytes[];
};

/* The nodes that can still cover a subject whose first tokens were walked. */
struct nodes {
    struct nx_router_node **at;
    size_t count;
    size_t capacity;
};

/* Where the member of a queue group that was picked stands among the routes: the same queue can be met again
 * under another filter. */
struct pick {
    struct nx_str queue;
    size_t weight; /* members it was picked from */
    size_t route;
};
struct picks {
    struct pick *at;
    size_t count;
    size_t capacity;
};

struct nx_router {
    struct nx_router_node *root;
    struct nx_router_node **slots;
    size_t slot_count; /* a power of two */
    size_t node_count; /* without the root */
    size_t entry_count;
    uint64_t seed;
    uint64_t turn; /* counts picks between filters of one queue */
    struct nodes now;
    struct nodes then;
    struct picks picks;
};

/* Grow an array of `size` bytes an element to hold one more. */
static bool reserve(void **array, size_t *capacity, size_t count, size_t size) {
    if (count < *capacity) {
        return true;
    }
    const size_t wanted = *capacity == 0 ? SCRATCH_CAPACITY_MIN : 2 * *capacity;
    void *grown = reallocarray(*array, wanted, size);
    if (grown == NULL) {
        return false;
    }
    *array = grown;
    *capacity = wanted;
    return true;
}

#define RESERVE(list) reserve((void **)&(list)->at, &(list)->capacity, (list)->count, sizeof *(list)->at)

void nx_routes_fini(struct nx_routes *routes) {
    if (routes != NULL) {
        free(routes->entries);
        *routes = (struct nx_routes){ .count = 0 };
    }
}

/* Nodes */

static struct nx_router_node *node_new(struct nx_router_node *parent, struct nx_str token, uint64_t hash) {
    struct nx_router_node *node = calloc(1, sizeof *node + token.len);
    if (node == NULL) {
        return NULL;
    }
    memcpy(node->token_bytes, token.ptr, token.len);
    node->token = nx_str_of(node->token_bytes, token.len);
    node->parent = parent;
    node->hash = hash;
    nx_list_init(&node->plain);
    nx_list_init(&node->groups);
    return node;
}

static uint64_t child_hash(const struct nx_router *router, const struct nx_router_node *parent,
                           struct nx_str token) {
    return nx_str_hash(token, router->seed ^ parent->hash);
}

static struct nx_router_node *find_child(const struct nx_router *router, const struct nx_router_node *parent,
                                         struct nx_str token) {
    const uint64_t hash = child_hash(router, parent, token);
    struct nx_router_node *node = router->slots[hash & (router->slot_count - 1)];
    while (node != NULL &&
           !(node->hash == hash && node->parent == parent && nx_str_equal(node->token, token))) {
        node = node->next;
    }
    return node;
}

static bool grow_table(struct nx_router *router) {
    const size_t count = router->slot_count == 0 ? TABLE_CAPACITY_MIN : 2 * router->slot_count;
    struct nx_router_node **slots = calloc(count, sizeof *slots);
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < router->slot_count; i++) {
        for (struct nx_router_node *node = router->slots[i]; node != NULL;) {
            struct nx_router_node *next = node->next;
            node->next = slots[node->hash & (count - 1)];
            slots[node->hash & (count - 1)] = node;
            node = next;
        }
    }
    free(router->slots);
    router->slots = slots;
    router->slot_count = count;
    return true;
}

static bool put_child(struct nx_router *router, struct nx_router_node *node) {
    if (router->node_count >= router->slot_count && !grow_table(router)) {
        return false;
    }
    struct nx_router_node **slot = &router->slots[node->hash & (router->slot_count - 1)];
    node->next = *slot;
    *slot = node;
    router->node_count++;
    return true;
}

static void take_child(struct nx_router *router, const struct nx_router_node *node) {
    struct nx_router_node **place = &router->slots[node->hash & (router->slot_count - 1)];
    while (*place != node) {
        place = &(*place)->next;
    }
    *place = node->next;
    router->node_count--;
}

/* Where the parent keeps a child with this token besides the table; NULL: only there. */
static struct nx_router_node **wildcard_of(struct nx_router_node *parent, struct nx_str token) {
    return nx_str_is(token, "*") ? &parent->star : nx_str_is(token, ">") ? &parent->tail : NULL;
}

static struct nx_router_node *child_of(struct nx_router *router, struct nx_router_node *parent,
                                       struct nx_str token) {
    struct nx_router_node *child = find_child(router, parent, token);
    if (child != NULL) {
        return child;
    }
    child = node_new(parent, token, child_hash(router, parent, token));
    if (child == NULL || !put_child(router, child)) {
        free(child);
        return NULL;
    }
    struct nx_router_node **wildcard = wildcard_of(parent, token);
    if (wildcard != NULL) {
        *wildcard = child;
    }
    parent->child_count++;
    return child;
}

static bool is_idle(const struct nx_router_node *node) {
    return node->child_count == 0 && nx_list_is_empty(&node->plain) && nx_list_is_empty(&node->groups);
}

/* Free this node and those above it, as far as nobody needs them any more. */
static void prune(struct nx_router *router, struct nx_router_node *node) {
    while (node->parent != NULL && is_idle(node)) {
        struct nx_router_node *parent = node->parent;
        struct nx_router_node **wildcard = wildcard_of(parent, node->token);
        if (wildcard != NULL) {
            *wildcard = NULL;
        }
        take_child(router, node);
        parent->child_count--;
        free(node);
        node = parent;
    }
}

/* Entries */

static struct nx_router_group *find_group(const struct nx_router_node *node, struct nx_str name) {
    for (struct nx_list_node *at = nx_list_first(&node->groups); at != NULL;
         at = nx_list_next(&node->groups, at)) {
        struct nx_router_group *group = nx_container_of(at, struct nx_router_group, list_node);
        if (nx_str_equal(group->name, name)) {
            return group;
        }
    }
    return NULL;
}

static struct nx_router_group *group_of(struct nx_router_node *node, struct nx_str name) {
    struct nx_router_group *group = find_group(node, name);
    if (group != NULL) {
        return group;
    }
    group = calloc(1, sizeof *group + name.len);
    if (group == NULL) {
        return NULL;
    }
    memcpy(group->name_bytes, name.ptr, name.len);
    group->name = nx_str_of(group->name_bytes, name.len);
    nx_list_init(&group->members);
    nx_list_append(&node->groups, &group->list_node);
    return group;
}

static bool has_too_many_tokens(struct nx_str subject) {
    size_t dots = 0;
    for (size_t i = 0; i < subject.len; i++) {
        dots += subject.ptr[i] == '.';
    }
    return dots >= NX_ROUTER_TOKENS_MAX;
}

/* The node of a filter, made as far as it is not there; NULL without memory. */
static struct nx_router_node *node_of(struct nx_router *router, struct nx_str filter) {
    struct nx_router_node *node = router->root;
    struct nx_str token;
    while (nx_str_split(&filter, '.', &token)) {
        struct nx_router_node *child = child_of(router, node, token);
        if (child == NULL) {
            prune(router, node);
            return NULL;
        }
        node = child;
    }
    return node;
}

enum nx_status nx_router_add(struct nx_router *router, struct nx_router_entry *entry, struct nx_str filter,
                             struct nx_str queue, struct nx_error *err) {
    nx_assert(entry->node == NULL);
    if (has_too_many_tokens(filter)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "a subject has at most %d tokens", NX_ROUTER_TOKENS_MAX);
    }
    if (router->entry_count >= NX_ROUTER_ENTRIES_MAX) {
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "there are %d subscriptions already",
                       NX_ROUTER_ENTRIES_MAX);
    }
    struct nx_router_node *node = node_of(router, filter);
    if (node == NULL) {
        return nx_fail_memory(err);
    }
    struct nx_router_group *group = queue.len == 0 ? NULL : group_of(node, queue);
    if (queue.len > 0 && group == NULL) {
        prune(router, node);
        return nx_fail_memory(err);
    }
    nx_list_append(group == NULL ? &node->plain : &group->members, &entry->list_node);
    entry->group = group;
    entry->node = node;
    router->entry_count++;
    return NX_OK;
}

void nx_router_remove(struct nx_router *router, struct nx_router_entry *entry) {
    struct nx_router_node *node = entry->node;
    struct nx_router_group *group = entry->group;
    if (node == NULL) {
        return;
    }
    nx_list_remove(group == NULL ? &node->plain : &group->members, &entry->list_node);
    if (group != NULL && nx_list_is_empty(&group->members)) {
        nx_list_remove(&node->groups, &group->list_node);
        free(group);
    }
    entry->group = NULL;
    entry->node = NULL;
    router->entry_count--;
    prune(router, node);
}

size_t nx_router_count(const struct nx_router *router) {
    return router->entry_count;
}

/* Matching */

/* One match under way. */
struct match {
    struct nx_router *router;
    bool (*accepts)(void *data, const struct nx_router_entry *entry);
    void *data;
    struct nx_routes *routes;
};

static bool add_route(struct nx_routes *routes, struct nx_router_entry *entry) {
    if (!reserve((void **)&routes->entries, &routes->capacity, routes->count,
                 sizeof(struct nx_router_entry *))) {
        return false;
    }
    routes->entries[routes->count++] = entry;
    return true;
}

/* The next member that accepts; it goes to the end of the row. NULL: none does. */
static struct nx_router_entry *next_member(const struct match *match, struct nx_router_group *group) {
    struct nx_list_node *first;
    for (size_t left = group->members.count;
         left > 0 && (first = nx_list_take_first(&group->members)) != NULL; left--) {
        nx_list_append(&group->members, first);
        struct nx_router_entry *entry = nx_container_of(first, struct nx_router_entry, list_node);
        if (match->accepts(match->data, entry)) {
            return entry;
        }
    }
    return NULL;
}

static struct pick *find_pick(const struct picks *picks, struct nx_str queue) {
    for (size_t i = 0; i < picks->count; i++) {
        if (nx_str_equal(picks->at[i].queue, queue)) {
            return &picks->at[i];
        }
    }
    return NULL;
}

static bool collect_group(const struct match *match, struct nx_router_group *group) {
    struct nx_router *router = match->router;
    struct pick *pick = find_pick(&router->picks, group->name);
    if (pick != NULL) {
        /* The queue under another filter: each of its members has the same chance. */
        pick->weight += group->members.count;
        const bool is_turn_of_this = ++router->turn % pick->weight < group->members.count;
        struct nx_router_entry *entry = is_turn_of_this ? next_member(match, group) : NULL;
        if (entry != NULL) {
            match->routes->entries[pick->route] = entry;
        }
        return true;
    }
    struct nx_router_entry *entry = next_member(match, group);
    if (entry == NULL) {
        return true;
    }
    if (!RESERVE(&router->picks) || !add_route(match->routes, entry)) {
        return false;
    }
    router->picks.at[router->picks.count++] =
        (struct pick){ group->name, group->members.count, match->routes->count - 1 };
    return true;
}

/* Everything that stands under this node's filter. */
static bool collect(const struct match *match, const struct nx_router_node *node) {
    for (struct nx_list_node *at = nx_list_first(&node->plain); at != NULL;
         at = nx_list_next(&node->plain, at)) {
        if (!add_route(match->routes, nx_container_of(at, struct nx_router_entry, list_node))) {
            return false;
        }
    }
    for (struct nx_list_node *at = nx_list_first(&node->groups); at != NULL;
         at = nx_list_next(&node->groups, at)) {
        if (!collect_group(match, nx_container_of(at, struct nx_router_group, list_node))) {
            return false;
        }
    }
    return true;
}

static bool add_node(struct nodes *nodes, struct nx_router_node *node) {
    if (node == NULL) {
        return true;
    }
    if (!RESERVE(nodes)) {
        return false;
    }
    nodes->at[nodes->count++] = node;
    return true;
}

/* The child for this very token; never a wildcard, whatever the subject holds. */
static struct nx_router_node *literal_of(const struct nx_router *router, const struct nx_router_node *node,
                                         struct nx_str token) {
    struct nx_router_node *child = find_child(router, node, token);
    return child == node->star || child == node->tail ? NULL : child;
}

/* From the nodes that cover the tokens so far to those that cover one more; a `>` covers all that follow. */
static bool walk_token(const struct match *match, struct nx_str token) {
    struct nx_router *router = match->router;
    router->then.count = 0;
    for (size_t i = 0; i < router->now.count; i++) {
        const struct nx_router_node *node = router->now.at[i];
        if ((node->tail != NULL && !collect(match, node->tail)) || !add_node(&router->then, node->star) ||
            !add_node(&router->then, literal_of(router, node, token))) {
            return false;
        }
    }
    const struct nodes walked = router->now;
    router->now = router->then;
    router->then = walked;
    return true;
}

static bool walk(const struct match *match, struct nx_str subject) {
    struct nx_router *router = match->router;
    struct nx_str token;
    router->now.count = 0;
    if (!add_node(&router->now, router->root)) {
        return false;
    }
    while (router->now.count > 0 && nx_str_split(&subject, '.', &token)) {
        if (!walk_token(match, token)) {
            return false;
        }
    }
    for (size_t i = 0; i < router->now.count; i++) {
        if (!collect(match, router->now.at[i])) {
            return false;
        }
    }
    return true;
}

enum nx_status nx_router_match(struct nx_router *router, struct nx_str subject,
                               bool (*accepts)(void *data, const struct nx_router_entry *entry), void *data,
                               struct nx_routes *routes, struct nx_error *err) {
    const struct match match = { router, accepts, data, routes };
    routes->count = 0;
    router->picks.count = 0;
    if (!walk(&match, subject)) {
        routes->count = 0;
        return nx_fail_memory(err);
    }
    return NX_OK;
}

/* Birth and death */

enum nx_status nx_router_new(uint64_t seed, struct nx_router **router_out, struct nx_error *err) {
    NX_AUTO(nx_router) *router = calloc(1, sizeof *router);
    if (router == NULL) {
        return nx_fail_memory(err);
    }
    router->seed = seed;
    router->root = node_new(NULL, NX_STR_EMPTY, seed);
    if (router->root == NULL || !grow_table(router)) {
        return nx_fail_memory(err);
    }
    *router_out = NX_TAKE(router);
    return NX_OK;
}

static void node_free(struct nx_router_node *node) {
    if (node == NULL) {
        return;
    }
    for (struct nx_list_node *at; (at = nx_list_take_first(&node->groups)) != NULL;) {
        free(nx_container_of(at, struct nx_router_group, list_node));
    }
    free(node);
}

void nx_router_free(struct nx_router *router) {
    if (router == NULL) {
        return;
    }
    for (size_t i = 0; i < router->slot_count; i++) {
        for (struct nx_router_node *node = router->slots[i]; node != NULL;) {
            struct nx_router_node *next = node->next;
            node_free(node);
            node = next;
        }
    }
    node_free(router->root);
    free(router->slots);
    free(router->now.at);
    free(router->then.at);
    free(router->picks.at);
    free(router);
}
