/* src/app/trace.h: what came of an event: its calls, their effects, the events they published, and so on.
 *
 *   {"reference": "EVENTS:1", "stored": "…", "id": "…", "type": "…", "source": "…", "calls": [
 *     {"id": "INVOCATIONS:1", "function": "…", "outcome": "ok", …, "effects": [
 *       {"kind": "key-set", "key": "…"},
 *       {"kind": "publish", "event_id": "…", "type": "…", "caused": {"reference": "EVENTS:2", …}}]}]}
 *
 * Data, outputs and log lines are left out: whoever wants them asks for the record. A published event that is
 * not followed has {"reason": "…"} as "caused". A call about a person who was forgotten has no effects, but
 * "withheld": {"reason": "erased", "time": "…"}. */
#pragma once

#include "app/lookup.h"

enum {
    NX_TRACE_DEPTH_MAX = 20,      /* events that cause each other; what comes behind is not followed */
    NX_TRACE_EVENTS_MAX = 1000,   /* in one trace */
    NX_TRACE_SIZE_MAX = 16 << 20, /* bytes of JSON */
};

/** Append the trace of EVENTS:`event_sequence` as JSON.
 * Errors: NX_NOT_FOUND (there is no such event), and as nx_pages_next() */
NX_MUST_CHECK enum nx_status nx_trace_collect(struct nx_source *source, uint64_t event_sequence,
                                              struct nx_buf *out, struct nx_error *err);
/** Append a trace as a tree of lines; pure. Failures are the buffer's. */
void nx_trace_write_text(struct nx_buf *out, const struct nx_json_value *trace);
