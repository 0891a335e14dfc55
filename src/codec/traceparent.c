#include "codec/traceparent.h"

#include <string.h>

#include "codec/hex.h"

enum { TRACE_ID_AT = 3, SPAN_ID_AT = 36, FLAGS_AT = 53 };

static bool is_zero(const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* The standard allows lower case alone. */
static bool has_upper_case(struct nx_str text) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] >= 'A' && text.ptr[i] <= 'F') {
            return true;
        }
    }
    return false;
}

bool nx_traceparent_parse(struct nx_str text, struct nx_traceparent *trace_out) {
    struct nx_traceparent trace;
    uint8_t version;
    if (text.len < NX_TRACEPARENT_TEXT_SIZE || text.ptr[TRACE_ID_AT - 1] != '-' ||
        text.ptr[SPAN_ID_AT - 1] != '-' || text.ptr[FLAGS_AT - 1] != '-') {
        return false;
    }
    const struct nx_str known = nx_str_slice(text, 0, NX_TRACEPARENT_TEXT_SIZE);
    if (has_upper_case(known) || !nx_hex_read(nx_str_slice(known, 0, 2), &version, 1) ||
        !nx_hex_read(nx_str_slice(known, TRACE_ID_AT, SPAN_ID_AT - 1), trace.trace_id,
                     sizeof trace.trace_id) ||
        !nx_hex_read(nx_str_slice(known, SPAN_ID_AT, FLAGS_AT - 1), trace.span_id, sizeof trace.span_id) ||
        !nx_hex_read(nx_str_slice(known, FLAGS_AT, known.len), &trace.flags, 1)) {
        return false;
    }
    if (version == 0xFF || is_zero(trace.trace_id, sizeof trace.trace_id) ||
        is_zero(trace.span_id, sizeof trace.span_id)) {
        return false;
    }
    if (text.len > NX_TRACEPARENT_TEXT_SIZE && (version == 0 || text.ptr[NX_TRACEPARENT_TEXT_SIZE] != '-')) {
        return false;
    }
    *trace_out = trace;
    return true;
}

struct nx_str nx_traceparent_format(const struct nx_traceparent *trace,
                                    char text_out[NX_TRACEPARENT_TEXT_SIZE + 1]) {
    text_out[0] = text_out[1] = '0';
    text_out[TRACE_ID_AT - 1] = text_out[SPAN_ID_AT - 1] = text_out[FLAGS_AT - 1] = '-';
    nx_hex_write(text_out + TRACE_ID_AT, trace->trace_id, sizeof trace->trace_id);
    nx_hex_write(text_out + SPAN_ID_AT, trace->span_id, sizeof trace->span_id);
    nx_hex_write(text_out + FLAGS_AT, &trace->flags, 1);
    text_out[NX_TRACEPARENT_TEXT_SIZE] = '\0';
    return nx_str_of(text_out, NX_TRACEPARENT_TEXT_SIZE);
}

struct nx_str nx_traceparent_format_trace_id(const struct nx_traceparent *trace,
                                             char text_out[NX_TRACE_ID_TEXT_SIZE + 1]) {
    nx_hex_write(text_out, trace->trace_id, sizeof trace->trace_id);
    text_out[NX_TRACE_ID_TEXT_SIZE] = '\0';
    return nx_str_of(text_out, NX_TRACE_ID_TEXT_SIZE);
}

/* All zero means "none"; random bytes that are all zero must not. */
static void put_id(uint8_t *id, const uint8_t *random, size_t len) {
    memcpy(id, random, len);
    if (is_zero(id, len)) {
        id[len - 1] = 1;
    }
}

struct nx_traceparent nx_traceparent_new(const uint8_t random[NX_TRACEPARENT_RANDOM_SIZE]) {
    struct nx_traceparent trace = { .flags = NX_TRACE_SAMPLED };
    put_id(trace.trace_id, random, NX_TRACE_ID_SIZE);
    put_id(trace.span_id, random + NX_TRACE_ID_SIZE, NX_SPAN_ID_SIZE);
    return trace;
}

struct nx_traceparent nx_traceparent_child(const struct nx_traceparent *parent,
                                           const uint8_t random[NX_SPAN_ID_SIZE]) {
    struct nx_traceparent trace = *parent;
    put_id(trace.span_id, random, NX_SPAN_ID_SIZE);
    return trace;
}
