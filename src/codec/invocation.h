/* src/codec/invocation.h: what an attempt to run a function left behind: the payload of a record in
 * INVOCATIONS.
 *
 * Format 1, little-endian; "bytes" is a varint length and that many bytes:
 *   u8 version | varint flags | u8 outcome | varint attempt | varint series | 32 B module digest
 *   | i64 started_at | varint duration | varint fuel | varint memory_peak | signed varint exit_code
 *   | bytes error | 16 B trace id | 8 B span id | varint dead_letter
 *   | output: bytes, or with NX_INVOCATION_OUTPUT_STORED varint size and 32 B digest
 *   | varint count, effects: u8 kind, bytes name, bytes type, 16 B fingerprint
 *   | varint count, log lines: u8 level, signed varint nanoseconds since the line before, bytes text, bytes
 * fields | varint count, references of earlier attempts of this series: varint sequence | tape: bytes, or
 * with NX_INVOCATION_TAPE_STORED varint size and 32 B digest Which event was handled, and by which function,
 * stand in the record's header Nexus-Event and in its subject. What a call published or stored are records of
 * their own, written in the same batch; here is only what names them and a fingerprint of their content, so
 * that a replay can be compared without reading them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "codec/digest.h"
#include "codec/outcome.h"
#include "codec/traceparent.h"

enum {
    NX_INVOCATION_FORMAT = 1,
    NX_FINGERPRINT_SIZE = 16,                /* the first half of a SHA-256 */
    NX_INVOCATION_SIZE_MAX = 960 * 1024,     /* bytes; leaves room for subject and headers in a record */
    NX_INVOCATION_EFFECTS_MAX = 1000,        /* published events and key-value writes of one call */
    NX_INVOCATION_LOG_LINES_MAX = 10000,     /* of one call */
    NX_INVOCATION_EARLIER_MAX = 64,          /* earlier attempts that are named */
    NX_INVOCATION_ERROR_SIZE_MAX = 4 * 1024, /* bytes */
};

enum nx_invocation_flag {
    NX_INVOCATION_LIVE_REPLAY = 1 << 0, /* a replay in mode live; header Nexus-Replay-Of names the first */
    NX_INVOCATION_UNREPLAYABLE =
        1 << 1, /* cut by the watchdog or a host failure: the tape does not prove it */
    NX_INVOCATION_DEAD_LETTER = 1 << 2,   /* the last attempt failed: the event went to the dead letters */
    NX_INVOCATION_OUTPUT_STORED = 1 << 3, /* the output is in the object store */
    NX_INVOCATION_TAPE_STORED = 1 << 4,   /* the tape is in the object store */
    NX_INVOCATION_INPUT_IS_DATA = 1 << 5, /* standard input held the data alone */
    NX_INVOCATION_PERSONAL =
        1 << 6, /* about a person: sealed; a stored output begins with its tape's digest */
    NX_INVOCATION_WITHHELD = 1 << 7, /* what may be told when the key is gone: no error text, output, effects,
                                        log lines and tape */
};

enum nx_effect_kind {
    NX_EFFECT_PUBLISH = 1,
    NX_EFFECT_KEY_SET = 2,
    NX_EFFECT_KEY_DELETE = 3,
    NX_EFFECT_RESPOND = 4, /* at most one, the last */
};

struct nx_effect_summary {
    enum nx_effect_kind kind;
    struct nx_str name; /* the published event's id, the key, or the answer's status in decimal digits */
    struct nx_str type; /* the published event's type, or the answer's headers; empty for keys */
    uint8_t fingerprint[NX_FINGERPRINT_SIZE];
};

struct nx_invocation_log_line {
    uint8_t level;   /* enum nx_log_level */
    int64_t time_ns; /* wall time as the guest saw it */
    struct nx_str text;
    struct nx_str fields; /* a JSON object, or empty */
};

/* Inline bytes, or where they are when they were too large for the record. */
struct nx_invocation_blob {
    struct nx_str bytes;
    uint64_t size;           /* of the stored object */
    struct nx_digest digest; /* its name */
};

struct nx_invocation {
    uint32_t flags; /* enum nx_invocation_flag */
    enum nx_outcome outcome;
    uint32_t attempt; /* 1 is the first */
    uint32_t series;  /* 0; one more each time the event was put back from the dead letters */
    struct nx_digest module_digest;
    int64_t started_at_ns; /* wall time */
    uint64_t duration_ns;
    uint64_t fuel;
    uint64_t memory_peak; /* bytes */
    int32_t exit_code;
    struct nx_str error; /* what went wrong, one line; empty on success */
    uint8_t trace_id[NX_TRACE_ID_SIZE];
    uint8_t span_id[NX_SPAN_ID_SIZE];
    uint64_t dead_letter; /* the DLQ sequence that was put back to make this series; 0: the event itself */
    struct nx_invocation_blob output;
    const struct nx_effect_summary *effects;
    size_t effect_count;
    const struct nx_invocation_log_line *log_lines;
    size_t log_line_count;
    const uint64_t *earlier; /* INVOCATIONS sequences of the earlier attempts of this series */
    size_t earlier_count;
    struct nx_invocation_blob tape;
};

/** Append the record's payload; check the buffer afterwards. Strings are borrowed for the call. */
void nx_invocation_encode(const struct nx_invocation *invocation, struct nx_buf *out);
/** Read a payload back.
 * Ownership: strings of `*invocation_out` are borrowed from `payload`, its arrays are in `arena`.
 * Errors:    NX_FAILED_PRECONDITION  kind format-version: written by another version
 *            NX_DATA_LOSS            not an invocation: cut short, out of range, or bytes left over
 *            NX_RESOURCE_EXHAUSTED   the arena is full */
NX_MUST_CHECK enum nx_status nx_invocation_decode(struct nx_str payload, struct nx_arena *arena,
                                                  struct nx_invocation *invocation_out, struct nx_error *err);
/** What dispatch and lists need, without arrays, output and tape: no arena, no walk over the lines. Fields
 * behind `dead_letter` are zero. Errors as for nx_invocation_decode(). */
NX_MUST_CHECK enum nx_status
nx_invocation_decode_head(struct nx_str payload, struct nx_invocation *invocation_out, struct nx_error *err);
