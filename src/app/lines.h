/* src/app/lines.h: what a call of a function said and how it ended, as log lines.
 *
 *   [2025-11-26T10:23:45Z INFO user-welcome] [trace=4bf9…] Processing user event user_id=u42 event=EVENTS:17
 *
 * Used by `nexus dev` as calls finish, by `nexus logs`, and with the tag [REPLAY] by `nexus replay`. Pure. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "codec/invocation.h"
#include "codec/traceparent.h"
#include "fabric/fabric.h"
#include "telemetry/log_line.h"

struct nx_lines_options {
    enum nx_log_format format;
    enum nx_log_level level; /* lines below it are left out */
    bool is_replay;          /* tag them */
};

/* Whose lines they are. */
struct nx_lines_of {
    struct nx_str function;
    struct nx_str event; /* an id, or "EVENTS:17" */
    const uint8_t *trace_id;
};

/** Append one line with the guest's fields behind its text. */
void nx_lines_write(struct nx_buf *out, const struct nx_lines_options *options, const struct nx_lines_of *of,
                    const struct nx_invocation_log_line *line);
/** Append the line that says how a failed call ended; only its head, error, start and duration are looked at.
 */
void nx_lines_write_failure(struct nx_buf *out, const struct nx_lines_options *options,
                            const struct nx_lines_of *of, const struct nx_invocation *invocation);
/** Append all lines of a record of INVOCATIONS, and for a failed call one that says how it ended.
 * Errors: NX_DATA_LOSS  the record is damaged; nothing was appended */
NX_MUST_CHECK enum nx_status nx_lines_write_record(struct nx_buf *out, const struct nx_lines_options *options,
                                                   const struct nx_record *record, struct nx_error *err);
