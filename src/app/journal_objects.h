/* src/app/journal_objects.h: which of the stored objects some record still names: modules, large tapes and
 * outputs. Those of calls leave with their records, the others stay (docs/decisions): so that much can be
 * seen. One owner, no I/O. */
#pragma once

#include "base/map.h"
#include "fabric/fabric.h"

struct nx_journal_objects {
    struct nx_map named;  /* digest, 32 bytes: anything but NULL */
    struct nx_map stored; /* digest: bytes stored under it + 1, as a pointer */
    uint64_t count;       /* of stored objects */
    bool is_partial;      /* too many to count, or no memory: the figures say nothing */
};

struct nx_journal_objects_count {
    uint64_t count;
    uint64_t size; /* bytes */
    uint64_t unnamed_count;
    uint64_t unnamed_size;
};

void nx_journal_objects_init(struct nx_journal_objects *objects, uint64_t seed);
void nx_journal_objects_fini(struct nx_journal_objects *objects);
/** Take one record of any stream in. */
void nx_journal_objects_see(struct nx_journal_objects *objects, const struct nx_record *record);
/** After all records of all streams. False when there were too many. */
bool nx_journal_objects_count(const struct nx_journal_objects *objects,
                              struct nx_journal_objects_count *count_out);
