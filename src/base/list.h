/* src/base/list.h: a doubly linked list through a node inside each element.
 *
 * The list owns nothing. A node is in at most one list; nx_list_remove() on a node that is in none is a
 * no-op, so elements can be released at any point. Nodes start zeroed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct nx_list_node {
    struct nx_list_node *next;
    struct nx_list_node *prev;
};

struct nx_list {
    struct nx_list_node head; /* next: first element, prev: last one; itself when empty */
    size_t count;
};

#define nx_container_of(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void nx_list_init(struct nx_list *list) {
    list->head.next = list->head.prev = &list->head;
    list->count = 0;
}
static inline bool nx_list_is_empty(const struct nx_list *list) {
    return list->count == 0;
}
static inline void nx_list_insert_before(struct nx_list *list, struct nx_list_node *position,
                                         struct nx_list_node *node) {
    node->next = position;
    node->prev = position->prev;
    position->prev->next = node;
    position->prev = node;
    list->count++;
}
static inline void nx_list_append(struct nx_list *list, struct nx_list_node *node) {
    nx_list_insert_before(list, &list->head, node);
}
static inline void nx_list_prepend(struct nx_list *list, struct nx_list_node *node) {
    nx_list_insert_before(list, list->head.next, node);
}
static inline void nx_list_remove(struct nx_list *list, struct nx_list_node *node) {
    if (node->next == NULL) {
        return;
    }
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
    list->count--;
}
/** The first node, or NULL. */
static inline struct nx_list_node *nx_list_first(const struct nx_list *list) {
    return list->count == 0 ? NULL : list->head.next;
}
/** The node after `node`, or NULL. */
static inline struct nx_list_node *nx_list_next(const struct nx_list *list, const struct nx_list_node *node) {
    return node->next == &list->head ? NULL : node->next;
}
/** Remove and return the first node, or NULL. */
static inline struct nx_list_node *nx_list_take_first(struct nx_list *list) {
    struct nx_list_node *node = nx_list_first(list);
    if (node != NULL) {
        nx_list_remove(list, node);
    }
    return node;
}
/** Move every element of `from` to the end of `to`; `from` is empty afterwards. */
static inline void nx_list_move_all(struct nx_list *to, struct nx_list *from) {
    if (from->count == 0) {
        return;
    }
    from->head.next->prev = to->head.prev;
    to->head.prev->next = from->head.next;
    from->head.prev->next = &to->head;
    to->head.prev = from->head.prev;
    to->count += from->count;
    nx_list_init(from);
}
