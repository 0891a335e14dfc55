/* src/base/counter.h: the only atomics outside io/mailbox.
 *
 * nx_counter: a number that one or more threads raise and others read, for metrics and watermarks.
 * nx_refcount: for immutable values shared between loops (compiled modules, configuration), and nothing else.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct nx_counter {
    _Atomic uint64_t value;
};

static inline void nx_counter_add(struct nx_counter *counter, uint64_t amount) {
    (void)atomic_fetch_add_explicit(&counter->value, amount, memory_order_relaxed);
}
/** Publish a value: what was written before it is visible to whoever reads it by nx_counter_get(). */
static inline void nx_counter_set(struct nx_counter *counter, uint64_t value) {
    atomic_store_explicit(&counter->value, value, memory_order_release);
}
static inline uint64_t nx_counter_get(const struct nx_counter *counter) {
    return atomic_load_explicit(&counter->value, memory_order_acquire);
}

/** Set one's own counter, then get another's: of two threads that do this with the same two, at least one
 * gets what the other has set. */
static inline uint64_t nx_counter_set_then_get(struct nx_counter *own, uint64_t value,
                                               const struct nx_counter *other) {
    atomic_store_explicit(&own->value, value, memory_order_seq_cst);
    return atomic_load_explicit(&other->value, memory_order_seq_cst);
}

struct nx_refcount {
    _Atomic uint32_t count;
};

static inline void nx_refcount_init(struct nx_refcount *refcount) {
    atomic_init(&refcount->count, 1);
}
static inline void nx_refcount_ref(struct nx_refcount *refcount) {
    (void)atomic_fetch_add_explicit(&refcount->count, 1, memory_order_relaxed);
}
/** True for the caller that gave up the last reference: it releases the value. */
static inline bool nx_refcount_unref(struct nx_refcount *refcount) {
    return atomic_fetch_sub_explicit(&refcount->count, 1, memory_order_acq_rel) == 1;
}
