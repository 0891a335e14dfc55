/* src/platform/function/replay.h: recorded invocations, run again.
 *
 * Mode exact: the recorded module, given the recorded event, answered from the tape; output, effects, log
 * lines, outcome and fuel must come out the same. It has no effects and writes nothing. Mode compare: other
 * code instead of the recorded module, answered from the tape wherever it asks the same; each way in which it
 * differs is told by its shape. Mode live: the real world again, a new invocation with its own record; needs
 * the running server.
 *
 * A replay is a step function: it says which record it needs next and is given it, so that it works offline
 * (nx_replay_run) and inside the server (the replayer's actor) alike. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "codec/invocation.h"
#include "fabric/fabric.h"
#include "platform/function/guest.h"
#include "sandbox/tape/tape_change.h"

enum {
    NX_REPLAY_TOLERANCE_PERCENT = 10, /* of fuel and memory: other code is not told of for less */
    NX_REPLAY_DETAILS_MAX = 100,      /* invocations that a report describes one by one */
    NX_REPLAY_EXCERPT_SIZE = 64,      /* bytes of a difference that are shown */
    NX_REPLAY_THREADS_MAX = 64,
    NX_REPLAY_REPORT_SIZE_MAX = 64 * 1024 * 1024, /* bytes */
};

enum nx_replay_mode { NX_REPLAY_EXACT, NX_REPLAY_COMPARE, NX_REPLAY_LIVE };

struct nx_replay_question {
    enum nx_replay_mode mode;
    /* An event's id, "EVENTS:17", or an invocation, "INVOCATIONS:17". Empty: a range of time. An event means
     * the last attempt of every function that it ran. */
    struct nx_str id;
    struct nx_str function; /* only this one; empty: all */
    uint32_t attempt;       /* only this one; 0: the last of each function (in a range: all) */
    int64_t since_ns;       /* wall time of the record; a range's start; 0: the oldest there is */
    int64_t until_ns;       /* its end, exclusive; 0: now */
    /* Mode compare. All invocations must be of one function. */
    struct nx_str module; /* the other code: bytes of a .wasm file, borrowed; empty: the recorded module */
    struct nx_str
        against; /* compare with what this code does instead of with the record; empty: the record */
    enum nx_compare_policy policy;        /* read-only: keys as of the call; live: keys of now */
    const struct nx_tape_change *changes; /* other answers of the tape; only for an id; borrowed */
    size_t change_count;
};

struct nx_check_subject;
struct nx_call_result;

/* What is shown each call that was run, as it ends and before it is forgotten. With several threads: called
 * on any of them. */
struct nx_replay_observer {
    void *data;
    void (*saw)(void *data, const struct nx_check_subject *subject, const struct nx_call_result *result);
};

enum nx_replay_verdict {
    NX_REPLAY_IDENTICAL,
    NX_REPLAY_DIFFERENT,
    NX_REPLAY_FAILED,       /* could not be run: a damaged tape, no memory */
    NX_REPLAY_UNREPLAYABLE, /* recorded as such: cut by the watchdog, a host failure */
    NX_REPLAY_EVENT_GONE,   /* retention took the event */
    NX_REPLAY_MODULE_GONE,  /* the module's bytes are no longer there */
    NX_REPLAY_ERASED,       /* about a person who was forgotten: event and tape cannot be read any more */
    NX_REPLAY_RAN,          /* mode live: ran anew and ended well; nothing was compared */
    NX_REPLAY_VERDICT_COUNT
};
/** "identical", "different", …; static storage. */
const char *nx_replay_verdict_name(enum nx_replay_verdict verdict);

/* Where a replay first left its record. */
struct nx_replay_difference {
    struct nx_str
        what; /* "output", "effect 2", "log line 3", "fuel", "outcome", "host call 4: clock_time_get" */
    uint64_t offset;        /* byte in it */
    struct nx_str recorded; /* what stands there: at most NX_REPLAY_EXCERPT_SIZE bytes, or a number */
    struct nx_str replayed;
};

/* The ways in which other code can differ, the gravest first. Fuel and memory count from
 * NX_REPLAY_TOLERANCE_PERCENT on. */
#define NX_REPLAY_SHAPE_TABLE(X)                                                                   \
    X(NX_REPLAY_SHAPE_OUTCOME, "outcome")                                                          \
    X(NX_REPLAY_SHAPE_OUTPUT, "output")                                                            \
    X(NX_REPLAY_SHAPE_EFFECTS, "effects")                                                          \
    X(NX_REPLAY_SHAPE_LOG, "log")                                                                  \
    X(NX_REPLAY_SHAPE_QUESTIONS, "questions") /* what it asked of the world, and in which order */ \
    X(NX_REPLAY_SHAPE_FUEL, "fuel")                                                                \
    X(NX_REPLAY_SHAPE_MEMORY, "memory")
#define NX_REPLAY_SHAPE_MEMBER(shape, name) shape,
enum nx_replay_shape { NX_REPLAY_SHAPE_TABLE(NX_REPLAY_SHAPE_MEMBER) NX_REPLAY_SHAPE_COUNT };
#undef NX_REPLAY_SHAPE_MEMBER
/** "outcome", …; static storage. */
const char *nx_replay_shape_name(enum nx_replay_shape shape);

/* One invocation of the report. Strings are in the report's arena. */
struct nx_replay_item {
    enum nx_replay_verdict verdict;
    uint64_t invocation;     /* INVOCATIONS sequence */
    uint64_t event_sequence; /* of EVENTS */
    struct nx_str event_id;
    struct nx_str function;
    uint32_t attempt;
    enum nx_outcome outcome;  /* of the replay; the recorded one when it was not run */
    int64_t original_time_ns; /* wall time when the recorded attempt started */
    uint8_t trace_id[NX_TRACE_ID_SIZE];
    uint64_t duration_ns; /* of the replay */
    uint64_t fuel;
    struct nx_str output;
    const struct nx_invocation_log_line *log_lines;
    size_t log_line_count;
    struct nx_replay_difference difference; /* NX_REPLAY_DIFFERENT; comparing: the gravest */
    /* Comparing, and different: one for each shape; `what` is empty where it does not differ. */
    const struct nx_replay_difference *shapes;
    struct nx_str error;      /* why not, for failed, unreplayable and gone ones */
    uint64_t live_invocation; /* mode live: the new record's sequence; 0: none */
    bool module_is_current;   /* false: the function runs another module now; ids only */
};

/* Comparing: how many differ in this way, and the first of them. */
struct nx_replay_group {
    uint64_t count;
    uint64_t invocation;
    uint64_t event_sequence;
    struct nx_replay_difference example;
};

struct nx_replay_report {
    struct nx_arena arena;
    uint64_t counts[NX_REPLAY_VERDICT_COUNT];
    struct nx_replay_group groups[NX_REPLAY_SHAPE_COUNT];
    uint64_t total;               /* invocations looked at */
    struct nx_replay_item *items; /* for an id all; for a range those not identical, the first ones */
    size_t item_count;
    uint64_t elapsed_ns;
    uint64_t lost_count; /* records that are known to be destroyed in the range */
};
void nx_replay_report_init(struct nx_replay_report *report);
void nx_replay_report_fini(struct nx_replay_report *report);
/** True when something was compared, all of it was identical, and nothing that was to be compared is
 * destroyed: exit status 0 of --verify. What has expired is only counted. */
bool nx_replay_report_is_proof(const struct nx_replay_report *report);

/* How far a range is: counted in the records of INVOCATIONS that it goes over, also where only one function's
 * are replayed. */
struct nx_replay_progress {
    uint64_t done_count;
    uint64_t total_count; /* 0: not known */
};

struct nx_replay_options {
    struct nx_fabric *fabric; /* opened read_only, or with no actor running */
    const struct nx_guest_kind *guests;
    size_t thread_count; /* for ranges; 0: the caller's own alone, without progress in records */
    struct nx_clock clock;
    /* Called on the caller's thread a few times a second; may be NULL. False stops the replay. */
    bool (*progress)(void *data, const struct nx_replay_progress *progress);
    void *progress_data;
    struct nx_replay_observer observer; /* saw NULL: nobody */
};

/** Replay what the question names, mode exact, while no server uses the fabric. Blocks.
 * Ownership: `report` is initialised and stays the caller's, filled as far as it got also on failure.
 * Errors:    NX_NOT_FOUND            no such event or invocation (kind expired: retention took it)
 *            NX_FAILED_PRECONDITION  kind ambiguous-id: several sources used this id; the message lists them
 *            NX_UNIMPLEMENTED        mode live
 *            NX_CANCELLED            progress said so */
NX_MUST_CHECK enum nx_status nx_replay_run(const struct nx_replay_options *options,
                                           const struct nx_replay_question *question,
                                           struct nx_replay_report *report, struct nx_error *err);
