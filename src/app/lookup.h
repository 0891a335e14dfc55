/* src/app/lookup.h: single records by what people call them, from the server or from the data directory, as
 * the same JSON as lists have (app/pages.h). */
#pragma once

#include "app/pages.h"

/* "EVENTS:17", "INVOCATIONS:17" or "DLQ:17". */
struct nx_reference {
    enum nx_pages_kind kind;
    uint64_t sequence;
};

enum { NX_REFERENCE_TEXT_SIZE = 40 };

/** "EVENTS:17", in `text_out`. */
struct nx_str nx_reference_format(struct nx_reference reference, char text_out[NX_REFERENCE_TEXT_SIZE]);
/** Read one of the three forms; false when it is none. */
bool nx_reference_parse(struct nx_str text, struct nx_reference *reference_out);
/** What `id` means: one of the three forms, or the id of an event.
 * Errors: NX_NOT_FOUND; NX_FAILED_PRECONDITION  kind ambiguous-id: several sources used this id */
NX_MUST_CHECK enum nx_status nx_lookup_id(struct nx_source *source, struct nx_str id,
                                          struct nx_reference *reference_out, struct nx_error *err);
/** The oldest event of a trace, 32 hexadecimal digits: looks through the log from its beginning.
 * Errors: NX_NOT_FOUND; and as nx_pages_next() */
NX_MUST_CHECK enum nx_status nx_lookup_trace(struct nx_source *source, struct nx_str trace,
                                             struct nx_reference *reference_out, struct nx_error *err);
/** The event that an id means, as nx_lookup_id() or nx_lookup_trace() read it; an invocation and a dead
 * letter stand for theirs. Errors: theirs; NX_DATA_LOSS  a record that names no event */
NX_MUST_CHECK enum nx_status nx_lookup_event(struct nx_source *source, struct nx_str id,
                                             uint64_t *sequence_out, struct nx_error *err);
/** The record, `*item_out`, borrowed from `*doc_out`.
 * Ownership: the caller frees `*doc_out`.
 * Errors:    NX_NOT_FOUND  it was never there, or has expired; and as nx_pages_next() */
NX_MUST_CHECK enum nx_status nx_lookup_record(struct nx_source *source, struct nx_reference reference,
                                              struct nx_json_doc **doc_out,
                                              const struct nx_json_value **item_out, struct nx_error *err);
/** All invocations of an event, oldest first: an array, borrowed from `*doc_out`.
 * Ownership: the caller frees `*doc_out`. Errors: as nx_pages_next() */
NX_MUST_CHECK enum nx_status nx_lookup_calls(struct nx_source *source, uint64_t event_sequence,
                                             struct nx_json_doc **doc_out,
                                             const struct nx_json_value **calls_out, struct nx_error *err);
