/* src/platform/function/spans.h: the spans of a worker: what a call waited for, ran, asked the host and
 * wrote.
 *
 *   the event's own trace
 *     dispatch <function>       from the event's arrival (a later attempt: from when it was due) to the start
 *     run <function>            until its record is on disk
 *       <module>.<host call>    the first NX_RUN_HOST_CALLS_MAX of them
 *       append INVOCATIONS      the record with its effects; for what they cause the run is the parent
 *
 * Names follow OpenTelemetry's conventions for messaging, functions and CloudEvents. Threads: the worker's.
 */
#pragma once

#include <stdint.h>

#include "codec/invocation.h"
#include "io/random.h"
#include "platform/function/task.h"
#include "sandbox/host/host.h"
#include "telemetry/span.h"

enum { NX_RUN_HOST_CALLS_MAX = 128 }; /* spans of host calls in one run */

/* What is remembered of a run that is recorded; zeroed: it is not. */
struct nx_run_spans {
    struct nx_tracer *tracer; /* borrowed; NULL: not recorded */
    struct nx_random random;
    struct nx_traceparent trace;  /* of the run */
    struct nx_traceparent parent; /* the event's; its ids are zero where it has none */
    int64_t start_ns;             /* wall */
    int64_t append_ns;            /* wall; 0: nothing was written yet */
    unsigned host_call_count;
};

/** The run begins, or begins again. `parent` is the event's trace, NULL when it has none, or it is a live
 * replay, whose trace begins here. */
void nx_run_spans_begin(struct nx_run_spans *spans, struct nx_tracer *tracer, const struct nx_random *random,
                        const struct nx_traceparent *trace, const struct nx_traceparent *parent,
                        int64_t now_ns);
/** As nx_host_ops.host_call. */
void nx_run_spans_host_call(struct nx_run_spans *spans, const char *module, const char *name,
                            int64_t start_ns, int64_t end_ns);
/** What the run did is on its way to the log. */
void nx_run_spans_append(struct nx_run_spans *spans, int64_t now_ns);
/** Its record is on disk; `task` has its answer. */
void nx_run_spans_end(struct nx_run_spans *spans, const struct nx_task *task, int64_t now_ns);
/** What it had read has changed: it is made again, unseen by anyone. */
void nx_run_spans_discard(struct nx_run_spans *spans, const struct nx_task *task, int64_t now_ns);
