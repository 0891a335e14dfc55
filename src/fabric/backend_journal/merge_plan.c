#include "fabric/backend_journal/merge_plan.h"

enum { WASTE_MAX = 50 }; /* percent */

/* The sum of so many adjacent runs; UINT64_MAX when they may not become one. */
static uint64_t sum_of(const struct nx_merge_part *parts, size_t count, const struct nx_merge_limits *limits,
                       bool must_balance) {
    uint64_t size = 0;
    uint64_t records = 0;
    uint64_t largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].is_fixed) {
            return UINT64_MAX;
        }
        size += parts[i].size;
        records += parts[i].records;
        largest = parts[i].size > largest ? parts[i].size : largest;
    }
    const bool is_balanced = !must_balance || largest <= size - largest;
    return size <= limits->size_max && records <= limits->records_max && is_balanced ? size : UINT64_MAX;
}

/* The smallest sum of so many adjacent runs. */
static bool find_smallest(const struct nx_merge_part *parts, size_t count, size_t width,
                          const struct nx_merge_limits *limits, bool must_balance, size_t *first_out) {
    uint64_t smallest = UINT64_MAX;
    for (size_t i = 0; i + width <= count; i++) {
        const uint64_t sum = sum_of(parts + i, width, limits, must_balance);
        if (sum < smallest) {
            smallest = sum;
            *first_out = i;
        }
    }
    return smallest != UINT64_MAX;
}

bool nx_merge_plan(const struct nx_merge_part *parts, size_t count, const struct nx_merge_limits *limits,
                   size_t *first_out, size_t *count_out) {
    for (size_t i = 0; i < count; i++) {
        if (!parts[i].is_fixed && parts[i].waste > WASTE_MAX) {
            *first_out = i;
            *count_out = 1;
            return true;
        }
    }
    if (find_smallest(parts, count, NX_MERGE_FAN_IN, limits, true, first_out)) {
        *count_out = NX_MERGE_FAN_IN;
        return true;
    }
    if (count > limits->count_max && find_smallest(parts, count, 2, limits, false, first_out)) {
        *count_out = 2;
        return true;
    }
    return false;
}
