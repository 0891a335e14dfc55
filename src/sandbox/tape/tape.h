/* src/sandbox/tape/tape.h: the recorder and the player of one call: what was learned from outside, in order.
 *
 * Both sides ask the same questions through the same functions: recording notes the answer that the caller
 * brings, replaying gives the one on the tape. A question that the tape does not answer at this place is a
 * difference, which is located and ends the call.
 *
 * Comparing is replaying for other code: a question is found by what it is (kind, arguments, how many times
 * so far), wherever on the tape its answer stands; that the order differs is noted and ends nothing. What the
 * tape does not answer at all is the policy's. Threads: as the call that owns it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/map.h"
#include "codec/tape_format.h"
#include "io/clock.h"

/* What a question gets that the tape does not answer. Nobody waits: a wait ends, and the clock has gone on.
 */
enum nx_compare_policy {
    NX_COMPARE_STUB,      /* there is no such key, the clock goes on */
    NX_COMPARE_FAIL,      /* the call ends as a difference */
    NX_COMPARE_READ_ONLY, /* keys by the host's ops, the clock goes on */
    NX_COMPARE_LIVE,      /* keys by the host's ops, the clock of now */
};

/* How far the answers of one kind are used up. */
struct nx_tape_cursor {
    struct nx_tape_reader reader;
    int64_t time_ns; /* clocks: the sum of the differences so far */
};

/* What only comparing needs. */
struct nx_tape_compare {
    struct nx_tape_reader start;
    struct nx_tape_cursor wall;
    struct nx_tape_cursor log_time;
    struct nx_tape_cursor monotonic;
    struct nx_map asked;         /* kind and arguments -> struct nx_tape_reader, behind the last answer */
    struct nx_tape_reader order; /* behind the question that the recorded code had asked by now */
    enum nx_compare_policy policy;
    struct nx_clock clock;     /* policy live */
    int64_t began_ns;          /* monotonic; policy live */
    uint64_t question_hash;    /* of all questions in their order */
    bool order_differs;        /* the code asked other questions, or in another order */
    uint64_t order_differs_at; /* the first of them, from 0 */
    uint64_t question_count;   /* asked so far; log lines are none */
};

struct nx_tape {
    bool replaying;                  /* comparing too */
    struct nx_tape_compare *compare; /* comparing; owned */
    uint64_t entry_count;            /* recorded, or played so far */
    int64_t wall_ns;                 /* the last reading */
    int64_t monotonic_ns;            /* the last reading, since the start */
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
/** As nx_tape_replay_init(), for other code. `clock` may be NULL but for policy live. Errors:
 * NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_tape_compare_init(struct nx_tape *tape, const struct nx_tape_header *header,
                                                  const struct nx_tape_reader *entries,
                                                  enum nx_compare_policy policy, const struct nx_clock *clock,
                                                  struct nx_error *err);
void nx_tape_fini(struct nx_tape *tape);

/* All of these: false when the tape answers something else (replay: `differs` is set) or is full (recording).
 * In-out values are what is recorded, or what is answered. */
bool nx_tape_wall(struct nx_tape *tape, enum nx_tape_entry_kind kind, int64_t *wall_ns);
bool nx_tape_monotonic(struct nx_tape *tape, int64_t *since_start_ns);
bool nx_tape_poll(struct nx_tape *tape, struct nx_tape_entry *entry);
/** Comparing: true when the tape knows nothing of this wait, which is then to be worked out. The clocks stand
 * at `wall_ns` and `monotonic_ns`. */
bool nx_tape_is_unknown_poll(struct nx_tape *tape, uint32_t arguments);
bool nx_tape_kv_get(struct nx_tape *tape, struct nx_tape_entry *entry);
/** Comparing: true when the tape knows nothing of this key and the policy is to ask for it; the answer then
 * is brought to nx_tape_kv_get(). */
bool nx_tape_is_outside_key(struct nx_tape *tape, uint32_t arguments);
/** Recording: the deadline passed while the call with these arguments was waiting. */
bool nx_tape_wait_cut(struct nx_tape *tape, uint32_t arguments);
/** Replaying: whether that is what happened here; then the entry is used up. */
bool nx_tape_is_wait_cut(struct nx_tape *tape, uint32_t arguments);
/** Replaying, at the end of the call: false, and `differs`, when entries are left over. */
bool nx_tape_check_end(struct nx_tape *tape);
