/* src/storage/check/check.h: the journal's files looked at from outside, while no server runs: verify, dump,
 * repair.
 *
 * Every byte that has a checksum is read. Threads: none of its own; blocks on the disk. */
#pragma once

#include "storage/run/run.h"

struct nx_check_visitor {
    void *data;
    /* Something is wrong: which file, and what. Never NULL. */
    void (*problem)(void *data, const char *file, const char *text);
    /* A record, in the order of files; false ends the walk. NULL: only the problems are wanted. */
    bool (*record)(void *data, const char *file, struct nx_str stream, const struct nx_stored *stored);
};

struct nx_check_summary {
    uint64_t run_count;
    uint64_t segment_count;
    uint64_t record_count;
    uint64_t lost_count;    /* records known to be destroyed */
    uint64_t problem_count; /* 0: all is well */
    uint64_t size;          /* bytes of all files */
};

/** Look at every file of the journal's directory. Changes nothing.
 * Errors:    NX_NOT_FOUND            there is no journal
 *            NX_FAILED_PRECONDITION  kind format-version
 *            NX_UNAVAILABLE, NX_RESOURCE_EXHAUSTED; damage is told to the visitor and is none */
NX_MUST_CHECK enum nx_status nx_journal_verify(struct nx_disk *disk, const char *directory,
                                               const struct nx_check_visitor *visitor,
                                               struct nx_check_summary *summary_out, struct nx_error *err);
/** Put files that cannot be read at all aside, as damaged-<name>; each is told to visitor->problem. An
 * unfinished end is left: opening the log for writing passes over it and lists its sequences as VOID, so that
 * none of them is used again; to cut it off here would forget them. The caller holds the lock of the data
 * directory. Errors: as nx_journal_verify() */
NX_MUST_CHECK enum nx_status nx_journal_repair(struct nx_disk *disk, const char *directory,
                                               const struct nx_check_visitor *visitor, struct nx_error *err);
