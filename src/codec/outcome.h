/* src/codec/outcome.h: how a call of a function ended; the same names in records, errors, metrics, filters.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/str.h"

/* X(outcome, name). Values are stored: never renumber, append only. */
#define NX_OUTCOME_TABLE(X)                                                                               \
    X(NX_OUTCOME_OK, "ok")                                                                                \
    X(NX_OUTCOME_EXIT, "exit") /* returned or exited with a code that is not 0 */                         \
    X(NX_OUTCOME_TRAP, "trap") /* unreachable, out of bounds, division by zero */                         \
    X(NX_OUTCOME_DEADLINE, "deadline")                                                                    \
    X(NX_OUTCOME_MEMORY_LIMIT, "memory-limit")                                                            \
    X(NX_OUTCOME_STACK_OVERFLOW, "stack-overflow")                                                        \
    X(NX_OUTCOME_OUTPUT_LIMIT, "output-limit")                                                            \
    X(NX_OUTCOME_LOG_LIMIT, "log-limit")                                                                  \
    X(NX_OUTCOME_HOST_CALL_LIMIT, "host-call-limit")                                                      \
    X(NX_OUTCOME_EFFECT_LIMIT, "effect-limit")                                                            \
    X(NX_OUTCOME_TAPE_LIMIT, "tape-limit")                                                                \
    X(NX_OUTCOME_HOST_ERROR, "host-error")         /* our own failure, such as no memory */               \
    X(NX_OUTCOME_REPLAY_DIFFERS, "replay-differs") /* only of a replay: it asked what the tape has not */ \
    X(NX_OUTCOME_MODULE_INVALID, "module-invalid") /* the module cannot be loaded or instantiated */      \
    X(NX_OUTCOME_KEY_CONFLICT, "key-conflict")     /* keys that it read kept changing under it */         \
    X(NX_OUTCOME_EVENT_UNREADABLE, "event-unreadable") /* the event is gone or damaged */                 \
    X(NX_OUTCOME_EVENT_ERASED, "event-erased")         /* the person whom it is about was forgotten */

#define NX_OUTCOME_MEMBER(outcome, name) outcome,
enum nx_outcome { NX_OUTCOME_TABLE(NX_OUTCOME_MEMBER) NX_OUTCOME_COUNT };
#undef NX_OUTCOME_MEMBER

/** Such as "output-limit"; static storage. */
const char *nx_outcome_name(enum nx_outcome outcome);
/** False when there is no such outcome. */
bool nx_outcome_parse(struct nx_str name, enum nx_outcome *outcome_out);
/** The value of the request parameter `outcome`.
 * Errors:    NX_INVALID_ARGUMENT  there is no such outcome; the hint has the nearest, or some */
NX_MUST_CHECK enum nx_status nx_outcome_read(struct nx_str name, enum nx_outcome *outcome_out,
                                             struct nx_error *err);
