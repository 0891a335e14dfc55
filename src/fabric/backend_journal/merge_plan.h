/* src/fabric/backend_journal/merge_plan.h: which adjacent runs are worth making one of.
 *
 * Three rules, the first that finds something wins:
 * 1. a run of which more than half is of no use any more is written again without that;
 * 2. of NX_MERGE_FAN_IN adjacent runs of which none is larger than the others together, those that are
 * smallest in sum: what is written again comes to lie in a run of at least twice the size, so a record is
 * written again at most log2(largest run / smallest) times, and mostly once;
 * 3. when there are more than `count_max` runs, the two adjacent ones that are smallest in sum.
 * None of them makes a run larger than the limits say. So there are at most about count_max + 2 x (all bytes
 * / size_max) runs. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NX_MERGE_FAN_IN = 8 }; /* adjacent runs that become one */

struct nx_merge_part {
    uint64_t size;    /* bytes that the run takes */
    uint64_t records; /* in it */
    unsigned waste;   /* percent of it that is of no use any more */
    bool is_fixed;    /* it must be left as it is */
};

struct nx_merge_limits {
    uint64_t size_max;    /* bytes of the runs that become one */
    uint64_t records_max; /* in them: the keys of the new one are kept in memory while it is written */
    size_t count_max;     /* runs that may stand side by side */
};

/** Which of these runs, the oldest first, are to become one; false: none is worth it. */
bool nx_merge_plan(const struct nx_merge_part *parts, size_t count, const struct nx_merge_limits *limits,
                   size_t *first_out, size_t *count_out);
