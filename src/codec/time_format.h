/* src/codec/time_format.h: times, durations and sizes as people write them.
 *
 * Times are RFC 3339, written in UTC with a Z; durations are "250ms", "1m30s", "7d"; sizes are "64MB" (powers
 * of 1000) and "10GiB" or "128Mi" (powers of 1024). Pure functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum { NX_TIME_TEXT_SIZE = 30 }; /* characters of "2025-11-26T10:23:45.123456789Z" */

enum nx_time_precision {
    NX_TIME_SECONDS,
    NX_TIME_MILLISECONDS,
    NX_TIME_NANOSECONDS,
    NX_TIME_SHORTEST /* as many digits behind the point as are needed: none, 3, 6 or 9 */
};

/** Write the time and a NUL; digits past the precision are cut off, not rounded. Returns the text, borrowed
 * from `text_out`. */
struct nx_str nx_time_format(int64_t wall_ns, enum nx_time_precision precision,
                             char text_out[NX_TIME_TEXT_SIZE + 1]);
/** Read an RFC 3339 time with any offset; digits past nanoseconds are checked and dropped; second 60 counts
 * as the next one. False when it is not one, or outside of what 64 bits of nanoseconds hold (1678 to 2262).
 */
NX_MUST_CHECK bool nx_time_parse(struct nx_str text, int64_t *wall_ns_out);

/** True for an RFC 3339 time of any year from 0000 to 9999, which nx_time_parse() may be unable to hold. */
bool nx_time_is_valid(struct nx_str text);

/** Read numbers with units ns, us, ms, s, m, h, d, w, largest first, each at most once: "5s", "1m30s",
 * "1.5h", and "0". Not negative.
 * Errors: NX_INVALID_ARGUMENT  the message says what was expected */
NX_MUST_CHECK enum nx_status nx_duration_parse(struct nx_str text, int64_t *ns_out, struct nx_error *err);
/** Append the duration so that nx_duration_parse() gives it back: "1m30s", "250ms", "7d". `ns` >= 0. */
void nx_duration_format(struct nx_buf *out, int64_t ns);

/** Read a whole number of bytes with a unit: none or B; kB, KB, MB, GB, TB; Ki, KiB, Mi, MiB, Gi, GiB, Ti,
 * TiB; a fraction ("1.5GiB") must come out at whole bytes.
 * Errors: NX_INVALID_ARGUMENT  the message says what was expected */
NX_MUST_CHECK enum nx_status nx_size_parse(struct nx_str text, uint64_t *bytes_out, struct nx_error *err);
/** Append the size in the largest binary unit that gives a whole number: "10GiB", "1500B". */
void nx_size_format(struct nx_buf *out, uint64_t bytes);
