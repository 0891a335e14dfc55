/* src/telemetry/log_line.h: a log entry as one line, for people or for machines.
 *
 *   [2025-11-26T10:23:45Z INFO journal] stream opened name=EVENTS first_seq=1
 *   {"time":"2025-11-26T10:23:45.123Z","level":"INFO","component":"journal","text":"stream opened",…}
 *
 * A field named "trace" stands in brackets before the text: "[trace=4bf9…]"; a field "tag" too, "[REPLAY]".
 * Where the text is empty, a field "line" takes its place: that is how lines of functions are shown, whose
 * text is foreign.
 * Control characters are escaped, so no foreign value can forge a line. Pure functions. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/log.h"

enum nx_log_format { NX_LOG_TEXT, NX_LOG_JSON };

/** False when it is not "text" or "json". */
bool nx_log_format_parse(struct nx_str name, enum nx_log_format *format_out);
/** Append one line with its "\n". */
void nx_log_line_write(struct nx_buf *out, enum nx_log_format format, int64_t wall_ns,
                       const struct nx_log_entry *entry);
