/* src/sandbox/tape/tape_change.h: the questions of a tape as people count them, and other answers to them.
 *
 * The calls of a tape are its entries without the times of log lines, which nobody asked for, counted from 1.
 * A changed tape is one for comparing: what the code asks then may be something else. Pure functions. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "codec/tape_format.h"

struct nx_tape_call {
    uint64_t number; /* from 1 */
    struct nx_tape_entry entry;
    int64_t time_ns; /* clocks: the reading, wall time or since the start */
};

struct nx_tape_calls { /* its fields are its own business */
    struct nx_tape_reader reader;
    int64_t wall_ns;
    int64_t monotonic_ns;
    uint64_t number;
};

/** Walk over the calls of a decoded tape. */
struct nx_tape_calls nx_tape_calls_of(const struct nx_tape_header *header,
                                      const struct nx_tape_reader *entries);
/** False at the end. `call_out->entry.value` is borrowed from the tape. */
bool nx_tape_calls_next(struct nx_tape_calls *calls, struct nx_tape_call *call_out);
/** "clock", "monotonic clock", "key", "wait", "wait that its deadline cut"; static storage. */
const char *nx_tape_call_name(enum nx_tape_entry_kind kind);

struct nx_tape_change {
    uint64_t call;        /* its number */
    struct nx_str result; /* as a person writes it: a key's value or "null", a time, a duration, "0,2" */
};

/** Append the tape with other answers to it. Later clock readings stay what they were.
 * Errors: NX_NOT_FOUND         no such call
 *         NX_INVALID_ARGUMENT  the result is none of this call; the message says what one looks like
 *         NX_DATA_LOSS         the tape is damaged */
NX_MUST_CHECK enum nx_status nx_tape_change(struct nx_str tape, const struct nx_tape_change *changes,
                                            size_t count, struct nx_buf *out, struct nx_error *err);
