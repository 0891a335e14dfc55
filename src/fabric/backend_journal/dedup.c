#include "fabric/backend_journal/dedup.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { CAPACITY_MIN = 16 };

void nx_dedup_fini(struct nx_dedup *dedup) {
    free(dedup->ring);
    free(dedup->slots);
    *dedup = (struct nx_dedup){ 0 };
}

static size_t home_of(const struct nx_dedup *dedup, const uint8_t *key) {
    uint64_t hash;
    memcpy(&hash, key, sizeof hash);
    return hash & (dedup->capacity * 2 - 1);
}

static size_t next_slot(const struct nx_dedup *dedup, size_t slot) {
    return (slot + 1) & (dedup->capacity * 2 - 1);
}

/* The key's slot, or the free one where it would go. */
static size_t find_slot(const struct nx_dedup *dedup, const uint8_t *key) {
    size_t slot = home_of(dedup, key);
    while (dedup->slots[slot] != 0 &&
           memcmp(dedup->ring[dedup->slots[slot] - 1].key, key, NX_DEDUP_KEY_SIZE) != 0) {
        slot = next_slot(dedup, slot);
    }
    return slot;
}

const struct nx_dedup_entry *nx_dedup_find(const struct nx_dedup *dedup,
                                           const uint8_t key[NX_DEDUP_KEY_SIZE]) {
    if (dedup->count == 0) {
        return NULL;
    }
    const size_t slot = find_slot(dedup, key);
    return dedup->slots[slot] == 0 ? NULL : &dedup->ring[dedup->slots[slot] - 1];
}

/* Free the slot and move up those behind it that would no longer be found. */
static void clear_slot(struct nx_dedup *dedup, size_t hole) {
    size_t slot = hole;
    for (;;) {
        slot = next_slot(dedup, slot);
        if (dedup->slots[slot] == 0) {
            break;
        }
        const size_t mask = dedup->capacity * 2 - 1;
        const size_t home = home_of(dedup, dedup->ring[dedup->slots[slot] - 1].key);
        if (((slot - home) & mask) >= ((slot - hole) & mask)) {
            dedup->slots[hole] = dedup->slots[slot];
            hole = slot;
        }
    }
    dedup->slots[hole] = 0;
}

static void drop_oldest(struct nx_dedup *dedup) {
    const size_t position = dedup->first & (dedup->capacity - 1);
    const size_t slot = find_slot(dedup, dedup->ring[position].key);
    /* A key that came again while it was remembered has moved on to its newer entry. */
    if (dedup->slots[slot] == position + 1) {
        clear_slot(dedup, slot);
    }
    dedup->first++;
    dedup->count--;
}

static enum nx_status grow(struct nx_dedup *dedup, size_t capacity, struct nx_error *err) {
    struct nx_dedup grown = { .capacity = capacity, .first = 0 };
    grown.ring = calloc(capacity, sizeof *grown.ring);
    grown.slots = calloc(capacity * 2, sizeof *grown.slots);
    if (grown.ring == NULL || grown.slots == NULL) {
        nx_dedup_fini(&grown);
        return nx_fail_memory(err);
    }
    for (uint64_t i = 0; i < dedup->count; i++) {
        nx_dedup_add(&grown, &dedup->ring[(dedup->first + i) & (dedup->capacity - 1)]);
    }
    nx_dedup_fini(dedup);
    *dedup = grown;
    return NX_OK;
}

enum nx_status nx_dedup_reserve(struct nx_dedup *dedup, size_t count, struct nx_error *err) {
    size_t capacity = dedup->capacity == 0 ? CAPACITY_MIN : dedup->capacity;
    while (capacity < dedup->count + count && capacity < NX_DEDUP_COUNT_MAX) {
        capacity *= 2;
    }
    return capacity == dedup->capacity ? NX_OK : grow(dedup, capacity, err);
}

void nx_dedup_add(struct nx_dedup *dedup, const struct nx_dedup_entry *entry) {
    nx_assert(dedup->capacity > 0);
    if (dedup->count == dedup->capacity) {
        drop_oldest(dedup);
    }
    const size_t position = (dedup->first + dedup->count) & (dedup->capacity - 1);
    dedup->ring[position] = *entry;
    dedup->count++;
    dedup->slots[find_slot(dedup, entry->key)] = (uint32_t)position + 1;
}

void nx_dedup_expire(struct nx_dedup *dedup, int64_t time_ns) {
    while (dedup->count > 0 && dedup->ring[dedup->first & (dedup->capacity - 1)].time_ns < time_ns) {
        drop_oldest(dedup);
    }
    if (dedup->count == 0 && dedup->capacity > CAPACITY_MIN * 64) {
        nx_dedup_fini(dedup); /* an idle stream gives its memory back */
    }
}
