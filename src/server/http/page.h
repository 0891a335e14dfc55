/* src/server/http/page.h: lists of records, a page at a time.
 *
 * A list is a scan of one stream. Its cursor says where the next page begins and which way the list goes; it
 * is text for us only: "a18" goes on upward at sequence 18, "d17" downward at 17. With `wait` a page that
 * would be empty is answered when something arrives, so following a stream is asking again and again with the
 * cursor of the last answer. */
#pragma once

#include "base/error.h"
#include "fabric/fabric.h"
#include "server/http/query.h"
#include "server/http/services.h"

/* The parameters of every list: "since", "until", "limit", "cursor", "order", "wait". */
#define NX_HTTP_PAGE_PARAMETERS "since", "until", "limit", "cursor", "order", "wait"

/** Make the scan that the parameters ask for; the caller adds the subject.
 * Ownership: the caller owns `*read_out`.
 * Errors:    NX_INVALID_ARGUMENT    a parameter is wrong
 *            NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_http_page_scan(struct nx_http_exchange *exchange, const char *stream,
                                               const struct nx_http_query *query, struct nx_read **read_out,
                                               struct nx_error *err);
/** A page came back with nothing on it though there is more to look through (a filter that matches little):
 * send it on, up to NX_HTTP_PAGE_ROUNDS_MAX times; its answer comes to exchange->resume again. False: it is
 * to be answered as it is. */
bool nx_http_page_goes_on(struct nx_http_exchange *exchange, struct nx_read *read);
/** Write the members "cursor" and "at_end" (and "lost" where records are destroyed) behind the items. */
void nx_http_page_end(struct nx_json_writer *writer, const struct nx_read *read);
/** The value of a parameter "function" can be a function's name. Errors: NX_INVALID_ARGUMENT */
NX_MUST_CHECK enum nx_status nx_http_check_function(struct nx_str name, struct nx_error *err);
/** The record "STREAM:17" of this stream, or false when `text` is not of that form. */
bool nx_http_parse_reference(struct nx_str text, struct nx_str stream, uint64_t *sequence_out);
/** Write "STREAM:17" as a member. */
void nx_http_member_reference(struct nx_json_writer *writer, const char *key, struct nx_str stream,
                              uint64_t sequence);
/** Write the member "withheld", with "reason" and for "erased" the "time", where a record about a person
 * cannot be shown any more. */
void nx_http_member_withheld(struct nx_json_writer *writer, const struct nx_record *record);
/** Write a wall time as a member; null for 0. */
void nx_http_member_time(struct nx_json_writer *writer, const char *key, int64_t wall_ns);
