/* src/platform/function/replay_check.h: one recorded invocation, run again from its tape and compared.
 *
 * A check belongs to one thread; modules are loaded once and kept for the check's life. */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"
#include "codec/invocation.h"
#include "fabric/fabric.h"
#include "platform/function/guest.h"
#include "platform/function/replay.h"

enum { NX_CHECK_MODULES_MAX = 4096 };

struct nx_check_options {
    const struct nx_guest_kind *guests; /* borrowed, as all pointers, for the check's life */
    struct nx_clock clock;              /* how long a replay took */
    uint64_t seed;                      /* of the table of modules */
    struct nx_module *other; /* mode compare: the code that is run instead; NULL: the recorded one */
    bool is_strict;          /* of nx_call_options */
};

struct nx_check;

/** Ownership: the caller ends it by nx_check_free(). Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_check_new(const struct nx_check_options *options, struct nx_check **check_out,
                                          struct nx_error *err);
void nx_check_free(struct nx_check *check); /* NULL allowed */

/* What is to be checked; all borrowed until the verdict. */
struct nx_check_subject {
    const struct nx_record *record;         /* of INVOCATIONS */
    const struct nx_invocation *invocation; /* decoded from it; stored blobs filled in */
    const struct nx_record *event;          /* NULL: it is gone */
};

/** True: nx_check_begin() of this invocation would run it, and needs a module that was not given yet. */
bool nx_check_wants_module(const struct nx_check *check, const struct nx_check_subject *subject);
/** Give the bytes of a module; it is loaded, and kept for the check's life. Errors: as nx_module_load() */
NX_MUST_CHECK enum nx_status nx_check_add_module(struct nx_check *check, const struct nx_digest *digest,
                                                 struct nx_str wasm, struct nx_error *err);
/** The module cannot be had: the verdict. */
void nx_check_miss_module(struct nx_check *check, const struct nx_check_subject *subject,
                          struct nx_arena *arena, struct nx_replay_item *item, const struct nx_error *why);
/** Begin. The strings that the verdict leaves in `item` are in `arena`. True: go on with nx_check_step();
 * false: the verdict is there already (gone, unreplayable, failed). */
bool nx_check_begin(struct nx_check *check, const struct nx_check_subject *subject, struct nx_arena *arena,
                    struct nx_replay_item *item);
/** One slice; false when the verdict is there. `with_output`: what it printed and logged is copied too. */
bool nx_check_step(struct nx_check *check, bool with_output);

/** Fill in what the record says of itself: invocation, event, function, attempt, times, trace. */
void nx_check_describe(const struct nx_record *record, const struct nx_invocation *invocation,
                       const struct nx_record *event, struct nx_arena *arena, struct nx_replay_item *item);
/** The 17 of a header "Nexus-Event: EVENTS:17"; 0 when there is none. */
uint64_t nx_record_event_sequence(const struct nx_record *record);
