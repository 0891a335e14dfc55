/* src/app/pages.h: records of the log a page at a time, from the server or from the data directory, as the
 * same JSON.
 *
 * A page is what GET /events, GET /invocations?details=true and GET /dlq answer: {"events": [...], "cursor":
 * "a18", "at_end": true}; without a server it is made here from the records. */
#pragma once

#include "app/source.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/own.h"
#include "codec/json.h"

enum nx_pages_kind { NX_PAGES_EVENTS, NX_PAGES_INVOCATIONS, NX_PAGES_DEAD_LETTERS };

enum { NX_PAGES_CURSOR_SIZE_MAX = 63, NX_PAGES_WAIT_S = 25 };

struct nx_pages {
    struct nx_source *source; /* borrowed */
    enum nx_pages_kind kind;
    struct nx_str type;          /* events: exact, or with NATS's * and >; empty: all */
    struct nx_str event_source;  /* events: of this source; empty: all */
    struct nx_str event_subject; /* events: about this subject; empty: all */
    struct nx_str function;      /* the others; empty: all */
    int64_t since_ns;            /* wall; 0: from the oldest */
    int64_t until_ns;            /* wall, exclusive; 0: no end */
    /* Events: those with a call that ended so, in the order in which the calls ended, whose times then count;
     * one with several such calls may come on several pages. Empty: all. */
    struct nx_str outcome;
    struct nx_str event; /* invocations: only of this one, "EVENTS:17"; all of them on one page */
    size_t count_max;    /* of one page; 0: as many as is good */
    bool wait;           /* server only: at the end wait for more, up to NX_PAGES_WAIT_S seconds */
    /* Its own: */
    char cursor[NX_PAGES_CURSOR_SIZE_MAX + 1]; /* "": begin */
    bool at_end;                               /* the last page had the newest record */
};

/** The next page's items, an array, borrowed from `*page_out`. Past the end the array is empty.
 * Ownership: the caller frees `*page_out`.
 * Errors:    as nx_client_request(), or the record's */
NX_MUST_CHECK enum nx_status nx_pages_next(struct nx_pages *list, struct nx_json_doc **page_out,
                                           const struct nx_json_value **items_out, struct nx_error *err);
