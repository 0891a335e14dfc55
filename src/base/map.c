#include "base/map.h"

#include "base/assert.h"

enum { CAPACITY_MIN = 16 };

struct nx_map_entry {
    uint64_t hash;
    struct nx_str key; /* owned; ptr NULL: never used, or removed when value is &removed */
    void *value;
};

static char removed; /* its address marks a slot whose key is gone */

void nx_map_init(struct nx_map *map, size_t count_max, uint64_t seed) {
    nx_assert(count_max > 0);
    *map = (struct nx_map){ .count_max = count_max, .seed = seed };
}

void nx_map_fini(struct nx_map *map) {
    if (map == NULL) {
        return;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        free((void *)(uintptr_t)map->entries[i].key.ptr);
    }
    free(map->entries);
    *map = (struct nx_map){ .count_max = map->count_max, .seed = map->seed };
}

/* The slot that holds the key, or NULL. */
static struct nx_map_entry *find(const struct nx_map *map, struct nx_str key, uint64_t hash) {
    if (map->capacity == 0) {
        return NULL;
    }
    for (size_t i = hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
        struct nx_map_entry *entry = &map->entries[i];
        if (entry->value == NULL) {
            return NULL;
        }
        if (entry->value != &removed && entry->hash == hash && nx_str_equal(entry->key, key)) {
            return entry;
        }
    }
}

static void place(struct nx_map_entry *entries, size_t capacity, struct nx_map_entry entry) {
    size_t i = entry.hash & (capacity - 1);
    while (entries[i].value != NULL) {
        i = (i + 1) & (capacity - 1);
    }
    entries[i] = entry;
}

static enum nx_status grow(struct nx_map *map, struct nx_error *err) {
    size_t capacity = CAPACITY_MIN;
    while (capacity < (map->count + 1) * 2) {
        capacity *= 2;
    }
    struct nx_map_entry *entries = calloc(capacity, sizeof *entries);
    if (entries == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].value != NULL && map->entries[i].value != &removed) {
            place(entries, capacity, map->entries[i]);
        }
    }
    free(map->entries);
    map->entries = entries;
    map->capacity = capacity;
    map->used = map->count;
    return NX_OK;
}

void *nx_map_get(const struct nx_map *map, struct nx_str key) {
    const struct nx_map_entry *entry = find(map, key, nx_str_hash(key, map->seed));
    return entry == NULL ? NULL : entry->value;
}

enum nx_status nx_map_set(struct nx_map *map, struct nx_str key, void *value, struct nx_error *err) {
    nx_assert(value != NULL);
    const uint64_t hash = nx_str_hash(key, map->seed);
    struct nx_map_entry *entry = find(map, key, hash);
    if (entry != NULL) {
        entry->value = value;
        return NX_OK;
    }
    if (map->count >= map->count_max) {
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "the table is full: %zu keys", map->count_max);
    }
    if ((map->used + 1) * 4 > map->capacity * 3) {
        NX_TRY(grow(map, err));
    }
    char *copy = malloc(key.len + 1);
    if (copy == NULL) {
        return nx_fail_memory(err);
    }
    if (key.len > 0) {
        memcpy(copy, key.ptr, key.len);
    }
    copy[key.len] = '\0';
    place(map->entries, map->capacity,
          (struct nx_map_entry){ .hash = hash, .key = nx_str_of(copy, key.len), .value = value });
    map->count++;
    map->used++;
    return NX_OK;
}

void *nx_map_remove(struct nx_map *map, struct nx_str key) {
    struct nx_map_entry *entry = find(map, key, nx_str_hash(key, map->seed));
    if (entry == NULL) {
        return NULL;
    }
    void *value = entry->value;
    free((void *)(uintptr_t)entry->key.ptr);
    *entry = (struct nx_map_entry){ .value = &removed };
    map->count--;
    return value;
}

bool nx_map_next(const struct nx_map *map, size_t *cursor, struct nx_str *key_out, void **value_out) {
    while (*cursor < map->capacity) {
        const struct nx_map_entry *entry = &map->entries[(*cursor)++];
        if (entry->value != NULL && entry->value != &removed) {
            if (key_out != NULL) {
                *key_out = entry->key;
            }
            *value_out = entry->value;
            return true;
        }
    }
    return false;
}
