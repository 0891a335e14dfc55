/* src/server/answer.h: what a function makes of one event, for whoever waits for it at one of the doors.
 *
 *   dispatch is asked -> the answer; or, where it does not have it any more, the record of the call is read
 *
 * No I/O: it makes messages, which its owner sends, and takes them when they are answered. Threads: the
 * owner's. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "fabric/fabric.h"
#include "fabric/object/object.h"
#include "platform/function/functions.h"

struct nx_answer_wait {
    /* Set after nx_answer_wait_init(): */
    char function[NX_FUNCTION_NAME_SIZE_MAX + 1];
    uint64_t event_sequence; /* of EVENTS */
    int64_t deadline_ns;     /* monotonic */
    bool is_early;           /* as in struct nx_functions_await */
    /* What it came to: NX_AWAIT_SUCCEEDED with `status`, `headers` and `output`, borrowed from here; or
     * NX_AWAIT_GIVEN_UP with `outcome`, `attempt` and `error`; or NX_AWAIT_LATE, NX_AWAIT_STOPPED. */
    enum nx_await_end end;
    uint64_t invocation;   /* INVOCATIONS sequence; 0: not known */
    uint32_t status;       /* of HTTP; 0: the function said nothing of it */
    struct nx_str headers; /* lines */
    struct nx_str output;
    enum nx_outcome outcome;
    uint32_t attempt;
    struct nx_error error;
    /* Its own: */
    bool is_asked;
    bool is_large; /* the output is an object */
    struct nx_answer *given;
    struct nx_buf kept;
    struct nx_buf bytes;
    size_t salt_size; /* bytes of `bytes` before the output */
    struct nx_object_get get;
};

void nx_answer_wait_init(struct nx_answer_wait *wait);
void nx_answer_wait_fini(struct nx_answer_wait *wait);
/** The next message to send: first one for dispatch (`*is_for_log_out` false), after that for the log's
 * reads. Its reply_to and context are the owner's to set. Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_answer_wait_next(struct nx_answer_wait *wait, struct nx_message **message_out,
                                                 bool *is_for_log_out, struct nx_error *err);
/** Its answer, which is taken. `*is_known_out`: that was the last one.
 * Errors: NX_NOT_FOUND   kind expired: the record of the call is not kept any more
 *         NX_PERMISSION_DENIED … kind erased: it was about a person who was forgotten
 *         and those of reading the log */
NX_MUST_CHECK enum nx_status nx_answer_wait_take(struct nx_answer_wait *wait, struct nx_message *message,
                                                 bool *is_known_out, struct nx_error *err);
