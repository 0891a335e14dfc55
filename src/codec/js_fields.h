/* src/codec/js_fields.h: configurations of the JetStream API, read from JSON and written as NATS's own server
 * writes them, by one table a struct.
 *
 * The table is in NATS's order. What a table does not name is refused, as nats-server does: what is not known
 * cannot be obeyed. Names are matched exactly. null is a member that is not there. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "codec/js_error.h"
#include "codec/json.h"

enum { NX_JS_LIST_MAX = 64 * 1024 }; /* elements of one list, members of one map */

struct nx_js_texts {
    struct nx_str *items;
    size_t count;
};
struct nx_js_numbers {
    int64_t *items;
    size_t count;
};
struct nx_js_pair {
    struct nx_str name;
    struct nx_str value;
};
struct nx_js_pairs { /* by name, ascending; no name twice */
    struct nx_js_pair *items;
    size_t count;
};
struct nx_js_time {
    int64_t ns; /* wall time */
    bool is_set;
};

enum nx_js_field_kind {
    NX_JS_BOOL,    /* bool */
    NX_JS_INT,     /* int64_t */
    NX_JS_INT32,   /* int64_t that 32 bits hold */
    NX_JS_UINT,    /* uint64_t */
    NX_JS_TEXT,    /* struct nx_str */
    NX_JS_TEXTS,   /* struct nx_js_texts */
    NX_JS_NUMBERS, /* struct nx_js_numbers */
    NX_JS_PAIRS,   /* struct nx_js_pairs */
    NX_JS_TIME,    /* struct nx_js_time */
    NX_JS_WORD,    /* unsigned: place in `words` */
    NX_JS_PART,    /* a struct of its own, by `part` */
    NX_JS_REFUSED, /* nothing: only what means "no" is taken */
    NX_JS_NEWER,   /* the same, of a version above the one that is claimed */
};

struct nx_js_shape;
struct nx_js_field {
    const char *name;
    enum nx_js_field_kind kind;
    bool always; /* written also when it is zero or empty */
    size_t offset;
    const char *const *words; /* ends with NULL */
    const struct nx_js_shape *part;
};
struct nx_js_shape {
    const char *name; /* in messages, as NATS's: "StreamConfigRequest.StreamConfig" */
    const struct nx_js_field *fields;
    size_t count;
    enum nx_js_error_kind refusal; /* of NX_JS_REFUSED */
};

/** Read the members of `object` into the zeroed struct `out`. Strings are copied into `arena`.
 * False, with the error: NX_JS_INVALID_JSON, the shape's refusal, NX_JS_INSUFFICIENT_RESOURCES (no memory, or
 * past the arena's maximum). */
NX_MUST_CHECK bool nx_js_fields_read(const struct nx_js_shape *shape, const struct nx_json_value *object,
                                     void *out, struct nx_arena *arena, struct nx_js_error *err);
/** Members only, without the braces: inside an object that the caller has begun. */
void nx_js_fields_write(const struct nx_js_shape *shape, struct nx_json_writer *writer, const void *value);
/** Whether both would be written the same; false too when there is no memory to find out. */
bool nx_js_fields_equal(const struct nx_js_shape *shape, const void *a, const void *b);
/** A copy that borrows nothing but `arena`. False: no memory, or past its maximum. `*copy_out` may then be
 * half a copy. */
NX_MUST_CHECK bool nx_js_fields_copy(const struct nx_js_shape *shape, const void *value, size_t size,
                                     void *copy_out, struct nx_arena *arena);
/** Bytes of all names and values. */
size_t nx_js_pairs_size(const struct nx_js_pairs *pairs);
