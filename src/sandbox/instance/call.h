/* src/sandbox/instance/call.h: one invocation of a guest, as a step function that never blocks.
 *
 *   nx_call_new() -> nx_call_step() until NX_CALL_DONE -> nx_call_result() -> nx_call_free()
 *
 * Each step runs at most one slice of fuel (about 10 us), so that a worker can keep many guests going and
 * look at the clock between slices. In NX_CALL_RECORD the guest is answered from the world and a tape is
 * written; in NX_CALL_REPLAY it is answered from the tape alone: no clock, no random, no host ops, no
 * deadline. NX_CALL_COMPARE is the same for other code (sandbox/tape/tape.h); everything said of a replay
 * holds for it but that it may take up to NX_COMPARE_FUEL_FACTOR times the fuel. Every call gets a fresh
 * instance. Effects are only collected here; whoever runs the call commits them. Threads: a call belongs to
 * one thread from new to free, which needs a stack of NX_THREAD_STACK_SIZE.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/own.h"
#include "base/str.h"
#include "io/clock.h"
#include "io/random.h"
#include "sandbox/engine/engine.h"
#include "sandbox/host/host.h"
#include "sandbox/tape/tape.h"

/** nx_engine_open() with the host's imports: all of WASI preview 1 and the module "nexus". `options->imports`
 * is ignored. Ownership and errors as there. */
NX_MUST_CHECK enum nx_status nx_sandbox_open(const struct nx_engine_options *options,
                                             struct nx_engine **engine_out, struct nx_error *err);

enum { NX_COMPARE_FUEL_FACTOR = 10 };

enum nx_call_mode {
    NX_CALL_RECORD,
    NX_CALL_REPLAY,
    NX_CALL_COMPARE, /* other code than the tape was recorded with, answered from it where it asks the same */
};

enum nx_call_state {
    NX_CALL_RUNNING, /* step again */
    NX_CALL_WAITING, /* step again at nx_call_wake_ns(), or after nx_call_provide_kv() */
    NX_CALL_DONE,    /* nx_call_result() is there; never step again */
};

struct nx_call_options {
    struct nx_module *module; /* the call takes its own reference */
    enum nx_call_mode mode;
    struct nx_str input;              /* standard input; borrowed for the call's life */
    const struct nx_call_env *env;    /* the manifest's entries; borrowed for nx_call_new(). Replay: unused */
    size_t env_count;                 /* at most NX_CALL_ENV_MAX */
    struct nx_call_identity identity; /* strings borrowed for nx_call_new(). Replay: unused */
    int64_t deadline_ns;              /* monotonic; INT64_MAX: none. Replay: unused, the tape knows */
    uint64_t memory_max;              /* bytes. Replay: unused */
    const struct nx_call_limits *limits; /* NULL: the defaults. Replay: unused */
    struct nx_clock clock;               /* Replay: unused, may be zeroed; Compare: of policy live */
    struct nx_random random;             /* Replay: unused, may be zeroed */
    const struct nx_host_ops *ops;       /* borrowed for the call's life; NULL: no key-value store. Compare:
                                            what policies read-only and live ask */
    struct nx_str tape;                  /* Replay only, as Compare: borrowed for the call's life */
    enum nx_compare_policy policy;       /* Compare; fail ends the call as replay-differs */
};

struct nx_call;

/** Make a call ready to be stepped; the instance is created by the first step.
 * Ownership: the caller ends it with nx_call_free() at any point.
 * Errors:    NX_RESOURCE_EXHAUSTED  out of memory
 *            NX_INVALID_ARGUMENT    too many environment entries
 *            NX_DATA_LOSS           replay: the tape is damaged
 *            NX_FAILED_PRECONDITION replay: kind unreplayable: the tape is of another module, engine build,
 *                                   settings or interface version; the message names which */
NX_MUST_CHECK enum nx_status nx_call_new(const struct nx_call_options *options, struct nx_call **call_out,
                                         struct nx_error *err);
/** Run at most one slice. `now` decides deadline and wake-up. */
enum nx_call_state nx_call_step(struct nx_call *call, struct nx_now now);
/** While waiting: the monotonic time at which to step again; INT64_MAX when nothing but an answer (or the
 * deadline, which is then given here) wakes it. */
int64_t nx_call_wake_ns(const struct nx_call *call);
/** The answer to nx_host_ops.kv_get, on the call's thread, also from inside kv_get. Does nothing to a call
 * that does not wait for it any more, because its deadline has passed. `value` is copied. `version` is the
 * record's sequence, 0 when the key was never set; `found` is false for a deleted key, which still has a
 * version. */
void nx_call_provide_kv(struct nx_call *call, bool found, struct nx_str value, uint64_t version);
/** The store could not answer: the call ends with NX_OUTCOME_HOST_ERROR, to be tried again. `why` is copied.
 */
void nx_call_provide_kv_error(struct nx_call *call, const struct nx_error *why);

/** After NX_CALL_DONE. Everything in it is borrowed from the call until nx_call_free(). */
const struct nx_call_result *nx_call_result(const struct nx_call *call);
void nx_call_free(struct nx_call *call); /* NULL allowed; also ends a call under way, with no trace */

enum nx_call_part {
    NX_PART_OUTCOME,
    NX_PART_EXIT_CODE,
    NX_PART_OUTPUT,
    NX_PART_LOG,
    NX_PART_PUBLISH,
    NX_PART_KV_WRITE,
    NX_PART_RESPONSE,
    NX_PART_FUEL,
    NX_PART_MEMORY,
    NX_PART_TAPE, /* the guest asked something else than the tape answers */
};
struct nx_call_difference {
    enum nx_call_part part;
    uint64_t index;    /* which log line, publish, write, or tape entry */
    uint64_t offset;   /* first byte that differs */
    char message[256]; /* for people, one line */
};

/** Whether a replay gave what was recorded; effects of failed calls are dropped and so not compared. False
 * with the first difference. `recorded` is filled from the stored invocation by the caller (its tape, reads
 * and duration are not looked at). */
bool nx_call_compare(const struct nx_call_result *recorded, const struct nx_call_result *replayed,
                     struct nx_call_difference *difference_out);

NX_DEFINE_AUTO(nx_call, nx_call_free)
