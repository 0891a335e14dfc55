/* src/sandbox/tape/tape_compare.h: the questions of other code, answered from a tape; called by tape.c. */
#pragma once

#include "sandbox/tape/tape.h"

void nx_tape_compare_free(struct nx_tape *tape); /* of a tape that compares nothing: does nothing */
bool nx_tape_compare_wall(struct nx_tape *tape, enum nx_tape_entry_kind kind, int64_t *wall_ns);
bool nx_tape_compare_monotonic(struct nx_tape *tape, int64_t *since_start_ns);
/** A key or a wait, of the kind and with the arguments in `entry`. */
bool nx_tape_compare_answer(struct nx_tape *tape, struct nx_tape_entry *entry);
bool nx_tape_compare_is_wait_cut(struct nx_tape *tape, uint32_t arguments);
/** The call is over: what it did not ask is a difference of order. */
void nx_tape_compare_end(struct nx_tape *tape);
