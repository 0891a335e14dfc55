/* src/platform/function/replay_parallel.h: a range, replayed by several threads.
 *
 * The range is cut into parts of equal length, one run (replay_run.h) and one thread each. The caller's
 * thread reads for all of them, as the library does in a server, and tells how far they are. */
#pragma once

#include "base/error.h"
#include "platform/function/replay.h"
#include "platform/function/replay_run.h"

/** As nx_replay_run(), for a range, each call checked as `check` says. Blocks. */
NX_MUST_CHECK enum nx_status nx_replay_run_parallel(const struct nx_replay_options *options,
                                                    const struct nx_replay_question *question,
                                                    const struct nx_check_options *check,
                                                    struct nx_replay_report *report, struct nx_error *err);
