/* src/app/replay_here.h: replays in this process, from the data directory; a server may run on it meanwhile.
 *
 * Compiled modules are taken from the server's cache and never written there. One owner. */
#pragma once

#include "base/error.h"
#include "base/own.h"
#include "fabric/fabric.h"
#include "platform/function/replay.h"
#include "sandbox/engine/engine.h"

struct nx_replay_here {
    struct nx_engine *engine;
    struct nx_guest_kind guests;
    struct nx_fabric *fabric; /* borrowed */
};

/** Ownership: the caller ends it by nx_replay_here_close(); zero it first. `fabric` is open for reading, on
 * `directory`, and borrowed. Errors: as nx_sandbox_open() */
NX_MUST_CHECK enum nx_status nx_replay_here_open(struct nx_fabric *fabric, const char *directory,
                                                 struct nx_replay_here *here, struct nx_error *err);
void nx_replay_here_close(struct nx_replay_here *here);
/** As nx_replay_run(), on all cores for a range; a bar is drawn on a terminal. `observer` may be NULL. */
NX_MUST_CHECK enum nx_status nx_replay_here_run(const struct nx_replay_here *here,
                                                const struct nx_replay_question *question,
                                                const struct nx_replay_observer *observer,
                                                struct nx_replay_report *report, struct nx_error *err);
/** Draw how far it is on a terminal. */
void nx_replay_draw(const struct nx_replay_progress *progress);

NX_DEFINE_AUTO_IN_PLACE(nx_replay_here, nx_replay_here_close)
