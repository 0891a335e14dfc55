/* src/codec/traceparent.h: W3C trace context, version 00: "00-<trace id>-<span id>-<flags>".
 *
 * Later versions are read as the standard demands: their first four fields count. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum {
    NX_TRACE_ID_SIZE = 16,         /* bytes */
    NX_TRACE_ID_TEXT_SIZE = 32,    /* characters */
    NX_SPAN_ID_SIZE = 8,           /* bytes */
    NX_SPAN_ID_TEXT_SIZE = 16,     /* characters */
    NX_TRACEPARENT_TEXT_SIZE = 55, /* characters */
    NX_TRACEPARENT_RANDOM_SIZE = NX_TRACE_ID_SIZE + NX_SPAN_ID_SIZE,
    NX_TRACE_SAMPLED = 0x01 /* flag */
};

struct nx_traceparent {
    uint8_t trace_id[NX_TRACE_ID_SIZE]; /* not all zero */
    uint8_t span_id[NX_SPAN_ID_SIZE];   /* not all zero */
    uint8_t flags;
};

/** Read a header's value; false when it is not one (start a new trace then). */
NX_MUST_CHECK bool nx_traceparent_parse(struct nx_str text, struct nx_traceparent *trace_out);
/** Write version 00 and a NUL. Returns it, borrowed from `text_out`. */
struct nx_str nx_traceparent_format(const struct nx_traceparent *trace,
                                    char text_out[NX_TRACEPARENT_TEXT_SIZE + 1]);
/** Write the trace id alone, and a NUL. Returns it, borrowed from `text_out`. */
struct nx_str nx_traceparent_format_trace_id(const struct nx_traceparent *trace,
                                             char text_out[NX_TRACE_ID_TEXT_SIZE + 1]);
/** A new trace, sampled. */
struct nx_traceparent nx_traceparent_new(const uint8_t random[NX_TRACEPARENT_RANDOM_SIZE]);
/** The same trace with a new span: what is handed on to whoever is called. */
struct nx_traceparent nx_traceparent_child(const struct nx_traceparent *parent,
                                           const uint8_t random[NX_SPAN_ID_SIZE]);
