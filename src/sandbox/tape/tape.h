/* src/sandbox/tape/tape.h: the recorder and the player of one call: what was learned from outside, in order.
 *
 * Both sides ask the same questions through the same functions: recording notes the answer that the caller
 * brings, replaying gives the one on the tape. A question that the tape does not answer at this place is a
 * difference, which is located and ends the call. Threads: as the call that owns it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "codec/tape_format.h"

struct nx_tape {
    bool replaying;
    uint64_t entry_count; /* recorded, or played so far */
    int64_t wall_ns;      /* the last reading */
    int64_t monotonic_ns; /* the last reading, since the start */
    struct nx_buf entries;
    struct nx_tape_reader reader;
    bool differs;
    uint64_t differs_at_byte; /* in the tape */
    const char *differs_why;  /* static storage */
};

/** Ready to record; at most `size_max` bytes of entries. */
void nx_tape_record_init(struct nx_tape *tape, size_t size_max, int64_t start_wall_ns);
/** Ready to play the tape whose header and entries were decoded. */
void nx_tape_replay_init(struct nx_tape *tape, const struct nx_tape_header *header,
                         const struct nx_tape_reader *entries);
void nx_tape_fini(struct nx_tape *tape);

/* All of these: false when the tape answers something else (replay: `differs` is set) or is full (recording).
 * In-out values are what is recorded, or what is answered. */
bool nx_tape_wall(struct nx_tape *tape, enum nx_tape_entry_kind kind, int64_t *wall_ns);
bool nx_tape_monotonic(struct nx_tape *tape, int64_t *since_start_ns);
bool nx_tape_poll(struct nx_tape *tape, struct nx_tape_entry *entry);
bool nx_tape_kv_get(struct nx_tape *tape, struct nx_tape_entry *entry);
/** Recording: the deadline passed while the call with these arguments was waiting. */
bool nx_tape_wait_cut(struct nx_tape *tape, uint32_t arguments);
/** Replaying: whether that is what happened here; then the entry is used up. */
bool nx_tape_is_wait_cut(struct nx_tape *tape, uint32_t arguments);
/** Replaying, at the end of the call: false, and `differs`, when entries are left over. */
bool nx_tape_check_end(struct nx_tape *tape);
