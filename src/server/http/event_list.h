/* src/server/http/event_list.h: which events a list, or a live stream, shows. */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "fabric/fabric.h"
#include "server/http/query.h"

struct nx_http_event_filter {
    struct nx_str types;   /* a filter of subjects; empty: all */
    struct nx_str source;  /* as it stands in a record's header; empty: all */
    struct nx_str subject; /* as source */
};

/** The filter of the parameters "type", "source" and "subject", which `query` must know.
 * Ownership: strings are copied to `arena`.
 * Errors:    NX_INVALID_ARGUMENT    too long
 *            NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_http_event_filter_read(const struct nx_http_query *query,
                                                       struct nx_arena *arena,
                                                       struct nx_http_event_filter *filter_out,
                                                       struct nx_error *err);
/** The record's source and subject are those of the filter; its type is looked at by the scan. */
bool nx_http_event_filter_matches(const struct nx_http_event_filter *filter, const struct nx_record *record);
