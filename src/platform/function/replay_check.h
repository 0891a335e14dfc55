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
    bool is_comparing;
    /* Mode compare: */
    struct nx_module *other;   /* the code that is run instead; NULL: the recorded one */
    struct nx_module *against; /* what it is compared with is run too; NULL: the record */
    enum nx_compare_policy policy;
    const struct nx_tape_change *changes;
    size_t change_count;
    struct nx_replay_observer observer;
};

enum nx_check_state {
    NX_CHECK_RUNNING,   /* step again */
    NX_CHECK_WANTS_KEY, /* nx_check_key() is to be answered by nx_check_give_key() */
    NX_CHECK_DONE,      /* the verdict is there */
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
    bool is_event_destroyed;                /* it did not expire: its bytes are damaged */
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
/** One slice. `with_output`: what it printed and logged is copied too. */
enum nx_check_state nx_check_step(struct nx_check *check, bool with_output);
/** The key that the policy has looked up; borrowed until the answer. */
struct nx_str nx_check_key(const struct nx_check *check);
/** `record` is the key's last one; NULL: it has none. `why` not NULL: it cannot be known. */
void nx_check_give_key(struct nx_check *check, const struct nx_record *record, const struct nx_error *why);

/** Fill in what the record says of itself: invocation, event, function, attempt, times, trace. */
void nx_check_describe(const struct nx_record *record, const struct nx_invocation *invocation,
                       const struct nx_record *event, struct nx_arena *arena, struct nx_replay_item *item);
/** The 17 of a header "Nexus-Event: EVENTS:17"; 0 when there is none. */
uint64_t nx_record_event_sequence(const struct nx_record *record);
