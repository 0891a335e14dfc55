/* src/app/why.h: from a record back to what caused it, step by step.
 *
 *   {"chain": [{"step": "dead-letter", "id": "DLQ:1", "function": "…", "stored": "…"},
 *              {"step": "call", "id": "INVOCATIONS:3", "function": "…", "outcome": "…", "module": "…", …},
 *              {"step": "event", "reference": "EVENTS:2", "id": "…", "type": "…", "source": "…", …},
 *              {"step": "call", …}, {"step": "event", …},
 *              {"step": "outside", "source": "…", "trace_id": "…", "method": "POST", "path": "/hook"}]}
 *
 * The last step is "outside" (the event was sent to us), "expired" or "unfinished" (with a "reason"). */
#pragma once

#include "app/lookup.h"

enum {
    NX_WHY_STEPS_MAX = 200,
    NX_WHY_SIZE_MAX = 4 << 20, /* bytes of JSON */
};

/** Append the chain that begins at `reference` as JSON.
 * Errors: NX_NOT_FOUND (there is no such record), and as nx_pages_next() */
NX_MUST_CHECK enum nx_status nx_why_collect(struct nx_source *source, struct nx_reference reference,
                                            struct nx_buf *out, struct nx_error *err);
/** Append a chain as lines, each a step deeper; pure. Failures are the buffer's. */
void nx_why_write_text(struct nx_buf *out, const struct nx_json_value *why);
