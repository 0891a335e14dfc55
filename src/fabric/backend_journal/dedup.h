/* src/fabric/backend_journal/dedup.h: the keys that a stream has seen lately.
 *
 * A ring in order of time and a hash table over it; entries leave by age, and by number when the window is at
 * its limit, so memory is bounded whatever clients send. Rebuilt from the log at start. One owner. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "storage/wal/frame.h"

enum { NX_DEDUP_COUNT_MAX = 1024 * 1024 }; /* entries, 40 bytes each with the table: the window's limit */

struct nx_dedup_entry {
    uint8_t key[NX_DEDUP_KEY_SIZE]; /* already a hash: evenly spread */
    uint64_t sequence;
    int64_t time_ns;
};

struct nx_dedup { /* starts zeroed */
    struct nx_dedup_entry *ring;
    uint32_t *slots; /* position in the ring + 1; twice as many as the ring has; 0: free */
    size_t capacity; /* of the ring, a power of two */
    uint64_t first;  /* number of the oldest entry; its position is that modulo the capacity */
    uint64_t count;
};

void nx_dedup_fini(struct nx_dedup *dedup);
/** The entry with this key, borrowed until the next change; NULL: not seen. */
const struct nx_dedup_entry *nx_dedup_find(const struct nx_dedup *dedup,
                                           const uint8_t key[NX_DEDUP_KEY_SIZE]);
/** Room for so many more entries. Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_dedup_reserve(struct nx_dedup *dedup, size_t count, struct nx_error *err);
/** Remember the key; there must be room. Its time is not before that of the entry before. */
void nx_dedup_add(struct nx_dedup *dedup, const struct nx_dedup_entry *entry);
/** Forget what is older than `time_ns`. */
void nx_dedup_expire(struct nx_dedup *dedup, int64_t time_ns);
