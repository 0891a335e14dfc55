/* src/server/http/query.c: see query.h. */
#include "server/http/query.h"

#include "base/assert.h"
#include "base/buf.h"
#include "codec/percent.h"
#include "codec/time_format.h"
#include "codec/word.h"

enum { VALUE_SIZE_MAX = 8 * 1024 };

static size_t count_of(const char *const *names) {
    size_t count = 0;
    while (names[count] != NULL) {
        count++;
    }
    nx_assert(count <= NX_HTTP_PARAMETERS_MAX);
    return count;
}

static size_t index_of(const char *const *names, struct nx_str name) {
    size_t i = 0;
    while (names[i] != NULL && !nx_str_is(name, names[i])) {
        i++;
    }
    return i;
}

static enum nx_status decode_value(struct nx_str text, struct nx_arena *arena, struct nx_str *value_out,
                                   struct nx_error *err) {
    NX_AUTO(nx_buf) spaced;
    NX_AUTO(nx_buf) value;
    nx_buf_init(&spaced, VALUE_SIZE_MAX);
    nx_buf_init(&value, VALUE_SIZE_MAX);
    nx_buf_append(&spaced, text);
    NX_TRY(nx_buf_check(&spaced, err));
    for (size_t i = 0; i < spaced.len; i++) {
        spaced.ptr[i] = spaced.ptr[i] == '+' ? ' ' : spaced.ptr[i];
    }
    NX_TRY(nx_percent_decode(&value, nx_buf_str(&spaced), err));
    if (!nx_str_is_utf8(nx_buf_str(&value))) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "not UTF-8");
    }
    *value_out = nx_arena_copy(arena, nx_buf_str(&value));
    return value_out->ptr == NULL ? nx_fail_memory(err) : NX_OK;
}

enum nx_status nx_http_query_parse(struct nx_str query, const char *const *names, struct nx_arena *arena,
                                   struct nx_http_query *query_out, struct nx_error *err) {
    const size_t count = count_of(names);
    struct nx_http_query parsed = { .names = names };
    struct nx_str rest = query;
    struct nx_str part;
    while (nx_str_split(&rest, '&', &part)) {
        if (part.len == 0) {
            continue;
        }
        const size_t equals = nx_str_find_byte(part, '=');
        const struct nx_str name = equals == SIZE_MAX ? part : nx_str_slice(part, 0, equals);
        const size_t i = index_of(names, name);
        if (i == count) {
            (void)nx_fail(err, NX_INVALID_ARGUMENT, "there is no parameter '%.*s' here",
                          NX_STR_ARG(nx_str_slice(name, 0, 64)));
            const char *nearest = nx_word_nearest(name, names, count);
            if (nearest != NULL) {
                nx_hint(err, "did you mean '%s'?", nearest);
            }
            return NX_INVALID_ARGUMENT;
        }
        if (parsed.values[i].ptr != NULL) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "parameter '%s' is given twice", names[i]);
        }
        const struct nx_str text =
            equals == SIZE_MAX ? NX_STR_EMPTY : nx_str_slice(part, equals + 1, part.len);
        const enum nx_status status = decode_value(text, arena, &parsed.values[i], err);
        if (status != NX_OK) {
            return nx_wrap(err, status, "parameter '%s'", names[i]);
        }
    }
    *query_out = parsed;
    return NX_OK;
}

struct nx_str nx_http_query_value(const struct nx_http_query *query, const char *name) {
    const size_t i = index_of(query->names, nx_str_from_c(name));
    nx_assert(query->names[i] != NULL);
    return query->values[i];
}

enum nx_status nx_http_query_u64(const struct nx_http_query *query, const char *name, uint64_t min,
                                 uint64_t max, uint64_t *value_inout, struct nx_error *err) {
    const struct nx_str text = nx_http_query_value(query, name);
    if (text.ptr == NULL) {
        return NX_OK;
    }
    uint64_t value;
    if (!nx_str_to_u64(text, &value) || value < min || value > max) {
        return nx_fail(
            err, NX_INVALID_ARGUMENT, "parameter '%s': expected a whole number from %llu to %llu, not '%.*s'",
            name, (unsigned long long)min, (unsigned long long)max, NX_STR_ARG(nx_str_slice(text, 0, 64)));
    }
    *value_inout = value;
    return NX_OK;
}

enum nx_status nx_http_query_time(const struct nx_http_query *query, const char *name, int64_t now_ns,
                                  int64_t *wall_ns_out, struct nx_error *err) {
    const struct nx_str text = nx_http_query_value(query, name);
    int64_t wall_ns = 0;
    int64_t duration_ns = 0;
    if (text.ptr == NULL || nx_time_parse(text, &wall_ns)) {
        *wall_ns_out = wall_ns;
        return NX_OK;
    }
    if (nx_duration_parse(text, &duration_ns, NULL) == NX_OK) {
        *wall_ns_out = duration_ns < now_ns ? now_ns - duration_ns : 1;
        return NX_OK;
    }
    return nx_fail(err, NX_INVALID_ARGUMENT,
                   "parameter '%s': expected a time such as 2025-11-26T10:23:45Z or a duration such as 10m, "
                   "not '%.*s'",
                   name, NX_STR_ARG(nx_str_slice(text, 0, 64)));
}
