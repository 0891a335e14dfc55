/* src/platform/function/replay_run.h: one replay question, answered step by step.
 *
 *   id:    the event or invocation -> its invocations -> for each its event, its stored blobs -> check
 *   range: a batch of INVOCATIONS -> the events of all of them -> check each -> the next batch
 *
 * A run never blocks: it says what it needs (a read, a live call), is given the answer, and goes on. Whoever
 * drives it, a command or the replayer's actor, decides where reads go. One owner. */
#pragma once

#include "base/error.h"
#include "fabric/fabric.h"
#include "io/clock.h"
#include "platform/function/dispatch.h"
#include "platform/function/replay.h"
#include "platform/function/replay_check.h"

enum nx_replay_need {
    NX_REPLAY_NEEDS_STEP, /* step again */
    NX_REPLAY_NEEDS_READ, /* take it, have it answered, give it back */
    NX_REPLAY_NEEDS_LIVE, /* take the live call, have dispatch answer it, give it back */
    NX_REPLAY_NEEDS_NONE, /* done: status and report are there */
};

struct nx_replay_run_options {
    struct nx_check_options check;
    const struct nx_replay_question *question; /* borrowed for the run's life */
    struct nx_replay_report *report;           /* borrowed for the run's life; initialised */
    uint64_t from_sequence;                    /* of INVOCATIONS; ranges: only these; 0: no limit */
    uint64_t to_sequence;
};

struct nx_replay_run;

/** Ownership: the caller ends it by nx_replay_run_free(). Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_replay_run_new(const struct nx_replay_run_options *options,
                                               struct nx_replay_run **run_out, struct nx_error *err);
void nx_replay_run_free(struct nx_replay_run *run); /* NULL allowed */
/** A bounded piece of work. */
enum nx_replay_need nx_replay_run_step(struct nx_replay_run *run);
/** Ranges: the INVOCATIONS sequence that it has come to; every earlier one of the range is done with. */
uint64_t nx_replay_run_position(const struct nx_replay_run *run);
/** How far it is; total_count 0 for an id, and for a range that is not looked at yet. */
struct nx_replay_progress nx_replay_run_progress(const struct nx_replay_run *run);
/** After NEEDS_READ: the question, moved out. */
struct nx_read *nx_replay_run_take_read(struct nx_replay_run *run);
/** Its answer, moved in. */
void nx_replay_run_give_read(struct nx_replay_run *run, struct nx_read *read);
/** After NEEDS_LIVE. */
struct nx_dispatch_live *nx_replay_run_take_live(struct nx_replay_run *run);
void nx_replay_run_give_live(struct nx_replay_run *run, struct nx_dispatch_live *live);
/** After NEEDS_NONE. */
enum nx_status nx_replay_run_status(const struct nx_replay_run *run, struct nx_error *err);
