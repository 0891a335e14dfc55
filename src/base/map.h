/* src/base/map.h: a hash table from bytes to a pointer.
 *
 * Keys are copied in; values are borrowed: the map never frees them. Open addressing, grows up to the maximum
 * given at birth. Foreign keys are safe when the seed is random. One owner. */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/str.h"

struct nx_map_entry;

struct nx_map {
    struct nx_map_entry *entries;
    size_t capacity; /* slots, a power of two; 0 before the first insert */
    size_t count;    /* live keys */
    size_t used;     /* live keys and removed ones that still hold a slot */
    size_t count_max;
    uint64_t seed;
};

/** `count_max` > 0 keys at most. Allocates nothing. */
void nx_map_init(struct nx_map *map, size_t count_max, uint64_t seed);
void nx_map_fini(struct nx_map *map);
/** The value, or NULL when the key is not there. */
void *nx_map_get(const struct nx_map *map, struct nx_str key);
/** Set the key's value (not NULL), replacing an earlier one.
 * Errors: NX_RESOURCE_EXHAUSTED  no memory, or `count_max` keys are in it */
NX_MUST_CHECK enum nx_status nx_map_set(struct nx_map *map, struct nx_str key, void *value,
                                        struct nx_error *err);
/** Remove the key and return its value; NULL when it was not there. */
void *nx_map_remove(struct nx_map *map, struct nx_str key);
/** Walk over all keys in no order: start with *cursor = 0; false at the end; `key_out` may be NULL. The map
 * must not change meanwhile. */
bool nx_map_next(const struct nx_map *map, size_t *cursor, struct nx_str *key_out, void **value_out);

NX_DEFINE_AUTO_IN_PLACE(nx_map, nx_map_fini)
