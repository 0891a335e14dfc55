/* src/server/http/query.h: the parameters behind the '?' of a request.
 *
 * Only known names are taken, each once: a misspelt filter that is silently ignored shows everything. Pure
 * functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum { NX_HTTP_PARAMETERS_MAX = 16 };

struct nx_http_query {
    const char *const *names;                     /* the allowed ones, ending with NULL; static storage */
    struct nx_str values[NX_HTTP_PARAMETERS_MAX]; /* by the name's index; ptr NULL: not given */
};

/** Ownership: values are copied to `arena`, decoded ('+' is a space).
 * Errors:    NX_INVALID_ARGUMENT    a name that is not in `names` (the nearest right one is the hint), one
 *                                   given twice, a bad percent sign, bytes that are not UTF-8
 *            NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_http_query_parse(struct nx_str query, const char *const *names,
                                                 struct nx_arena *arena, struct nx_http_query *query_out,
                                                 struct nx_error *err);
/** The value; ptr is NULL when it was not given. `name` is one of the query's names. */
struct nx_str nx_http_query_value(const struct nx_http_query *query, const char *name);
/** A whole number from `min` to `max`; `*value_inout` stays as it is when it was not given. */
NX_MUST_CHECK enum nx_status nx_http_query_u64(const struct nx_http_query *query, const char *name,
                                               uint64_t min, uint64_t max, uint64_t *value_inout,
                                               struct nx_error *err);
/** A time (RFC 3339), or a duration before `now_ns` ("10m"); 0 when it was not given. */
NX_MUST_CHECK enum nx_status nx_http_query_time(const struct nx_http_query *query, const char *name,
                                                int64_t now_ns, int64_t *wall_ns_out, struct nx_error *err);
