/* src/codec/json.c: parsed JSON, over yyjson. */
#include "codec/json.h"

#include <math.h>
#include <stdlib.h>

#include <yyjson.h>

#include "base/assert.h"

enum { NUMBER_TEXT_SIZE_MAX = 512 }; /* bytes of a number's source text that a double is made of */

struct nx_json_doc {
    yyjson_doc *tree;
    size_t memory_left;
    bool is_past_limit;
};

static bool take_memory(struct nx_json_doc *doc, size_t size) {
    if (size > doc->memory_left) {
        doc->is_past_limit = true;
        return false;
    }
    doc->memory_left -= size;
    return true;
}

static void *limited_malloc(void *data, size_t size) {
    return take_memory(data, size) ? malloc(size) : NULL;
}

static void *limited_realloc(void *data, void *ptr, size_t size_before, size_t size) {
    if (size > size_before && !take_memory(data, size - size_before)) {
        return NULL;
    }
    return realloc(ptr, size);
}

static void limited_free(void *data, void *ptr) {
    (void)data;
    free(ptr);
}

enum nx_status nx_json_parse(struct nx_str text, size_t memory_max, struct nx_json_doc **doc_out,
                             struct nx_error *err) {
    /* Our own scan first: it has the depth limit, and its messages are for people. */
    NX_TRY(nx_json_check(text, err));
    NX_AUTO(nx_json_doc) *doc = malloc(sizeof *doc);
    if (doc == NULL) {
        return nx_fail_memory(err);
    }
    *doc = (struct nx_json_doc){ .memory_left = memory_max };
    const yyjson_alc allocator = { limited_malloc, limited_realloc, limited_free, doc };
    yyjson_read_err problem = { 0 };
    doc->tree = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, YYJSON_READ_BIGNUM_AS_RAW, &allocator,
                                 &problem); /* not in situ: the text is only read */
    if (doc->tree == NULL && doc->is_past_limit) {
        return nx_fail_kind(err, NX_KIND_TOO_LARGE, "the JSON needs more than %zu bytes of memory",
                            memory_max);
    }
    if (doc->tree == NULL && problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        return nx_fail_memory(err);
    }
    if (doc->tree == NULL) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "byte %zu: %s", problem.pos, problem.msg);
    }
    *doc_out = NX_TAKE(doc);
    return NX_OK;
}

void nx_json_doc_free(struct nx_json_doc *doc) {
    if (doc == NULL) {
        return;
    }
    yyjson_doc_free(doc->tree);
    free(doc);
}

/* yyjson reads through pointers that are not const, but never writes. */
static yyjson_val *val(const struct nx_json_value *value) {
    return (yyjson_val *)(uintptr_t)value;
}

static const struct nx_json_value *value_of(const yyjson_val *v) {
    return (const struct nx_json_value *)v;
}

const struct nx_json_value *nx_json_root(const struct nx_json_doc *doc) {
    return value_of(yyjson_doc_get_root(doc->tree));
}

enum nx_json_kind nx_json_kind(const struct nx_json_value *value) {
    switch (yyjson_get_type(val(value))) {
    case YYJSON_TYPE_NULL:
        return NX_JSON_NULL;
    case YYJSON_TYPE_BOOL:
        return NX_JSON_BOOL;
    case YYJSON_TYPE_NUM:
    case YYJSON_TYPE_RAW: /* a number that neither 64 bits nor a double can hold */
        return NX_JSON_NUMBER;
    case YYJSON_TYPE_STR:
        return NX_JSON_STRING;
    case YYJSON_TYPE_ARR:
        return NX_JSON_ARRAY;
    case YYJSON_TYPE_OBJ:
        return NX_JSON_OBJECT;
    default:
        return NX_JSON_ABSENT;
    }
}

const char *nx_json_kind_name(enum nx_json_kind kind) {
    static const char *const names[] = { "nothing",  "null",     "a boolean", "a number",
                                         "a string", "an array", "an object" };
    return names[kind];
}

const struct nx_json_value *nx_json_get(const struct nx_json_value *object, struct nx_str name) {
    return value_of(yyjson_obj_getn(val(object), name.ptr == NULL ? "" : name.ptr, name.len));
}

const struct nx_json_value *nx_json_lookup(const struct nx_json_value *value, struct nx_str path) {
    struct nx_str name;
    while (value != NULL && nx_str_split(&path, '.', &name)) {
        uint64_t index;
        if (yyjson_is_arr(val(value))) {
            value = nx_str_to_u64(name, &index) ? value_of(yyjson_arr_get(val(value), index)) : NULL;
        } else {
            value = nx_json_get(value, name);
        }
    }
    return value;
}

size_t nx_json_count(const struct nx_json_value *value) {
    return yyjson_is_ctn(val(value)) ? yyjson_get_len(val(value)) : 0;
}

struct nx_json_iterator nx_json_iterate(const struct nx_json_value *value) {
    struct nx_json_iterator iterator = { .left = nx_json_count(value) };
    if (iterator.left > 0) {
        iterator.is_object = yyjson_is_obj(val(value));
        iterator.next = value_of(unsafe_yyjson_get_first(val(value)));
    }
    return iterator;
}

bool nx_json_next(struct nx_json_iterator *iterator, struct nx_str *name_out,
                  const struct nx_json_value **value_out) {
    if (iterator->left == 0) {
        return false;
    }
    yyjson_val *value = val(iterator->next);
    struct nx_str name = NX_STR_EMPTY;
    if (iterator->is_object) {
        name = nx_str_of(yyjson_get_str(value), yyjson_get_len(value));
        value = yyjson_obj_iter_get_val(value);
    }
    if (name_out != NULL) {
        *name_out = name;
    }
    *value_out = value_of(value);
    if (--iterator->left > 0) {
        iterator->next = value_of(unsafe_yyjson_get_next(value));
    }
    return true;
}

bool nx_json_to_str(const struct nx_json_value *value, struct nx_str *str_out) {
    if (!yyjson_is_str(val(value))) {
        return false;
    }
    *str_out = nx_str_of(yyjson_get_str(val(value)), yyjson_get_len(val(value)));
    return true;
}

bool nx_json_to_u64(const struct nx_json_value *value, uint64_t *value_out) {
    double number;
    if (yyjson_is_uint(val(value))) {
        *value_out = yyjson_get_uint(val(value));
        return true;
    }
    if (!nx_json_to_double(value, &number) || !(number >= 0 && number < 0x1p64) || number != trunc(number)) {
        return false;
    }
    *value_out = (uint64_t)number; /* "5.0", "1e3" */
    return true;
}

bool nx_json_to_i64(const struct nx_json_value *value, int64_t *value_out) {
    uint64_t magnitude;
    double number;
    if (yyjson_is_sint(val(value)) && !yyjson_is_uint(val(value))) {
        *value_out = yyjson_get_sint(val(value));
        return true;
    }
    if (nx_json_to_u64(value, &magnitude)) {
        *value_out = magnitude <= INT64_MAX ? (int64_t)magnitude : *value_out;
        return magnitude <= INT64_MAX;
    }
    if (!nx_json_to_double(value, &number) || !(number >= -0x1p63 && number < 0) || number != trunc(number)) {
        return false;
    }
    *value_out = (int64_t)number;
    return true;
}

bool nx_json_to_double(const struct nx_json_value *value, double *value_out) {
    if (yyjson_is_num(val(value))) {
        *value_out = yyjson_get_num(val(value));
        return true;
    }
    char text[NUMBER_TEXT_SIZE_MAX + 1];
    const char *raw = yyjson_get_raw(val(value));
    const size_t len = yyjson_get_len(val(value));
    if (raw == NULL || len > NUMBER_TEXT_SIZE_MAX) {
        return false;
    }
    memcpy(text, raw, len);
    text[len] = '\0';
    const double number = strtod(text, NULL);
    if (!isfinite(number)) {
        return false;
    }
    *value_out = number;
    return true;
}

bool nx_json_to_bool(const struct nx_json_value *value, bool *value_out) {
    if (!yyjson_is_bool(val(value))) {
        return false;
    }
    *value_out = yyjson_get_bool(val(value));
    return true;
}

struct nx_str nx_json_get_str(const struct nx_json_value *object, const char *name) {
    struct nx_str text = NX_STR_EMPTY;
    (void)nx_json_to_str(nx_json_get(object, nx_str_from_c(name)), &text);
    return text;
}

uint64_t nx_json_get_u64(const struct nx_json_value *object, const char *name) {
    uint64_t number = 0;
    (void)nx_json_to_u64(nx_json_get(object, nx_str_from_c(name)), &number);
    return number;
}

void nx_json_append_double(struct nx_buf *out, double number) {
    nx_assert(isfinite(number));
    if (fabs(number) < 0x1p53 && number == trunc(number)) {
        if (number < 0) {
            nx_buf_append(out, NX_STR("-"));
        }
        nx_buf_append_decimal(out, (uint64_t)fabs(number)); /* and minus zero is 0 */
        return;
    }
    char memory[1024];
    yyjson_alc allocator;
    yyjson_val v = { 0 };
    size_t len = 0;
    nx_assert(yyjson_alc_pool_init(&allocator, memory, sizeof memory));
    nx_assert(yyjson_set_real(&v, number));
    char *text = yyjson_val_write_opts(&v, YYJSON_WRITE_NOFLAG, &allocator, &len, NULL);
    nx_assert(text != NULL);
    nx_buf_append(out, nx_str_of(text, len));
}

/* A scalar that is not a string. */
static bool append_plain(struct nx_buf *out, const struct nx_json_value *value) {
    yyjson_val *v = val(value);
    double number;
    if (yyjson_is_uint(v)) {
        nx_buf_append_decimal(out, yyjson_get_uint(v));
    } else if (yyjson_is_sint(v)) {
        nx_buf_append(out, NX_STR("-"));
        nx_buf_append_decimal(out, 0 - (uint64_t)yyjson_get_sint(v));
    } else if (yyjson_is_raw(v)) {
        nx_buf_append(out, nx_str_of(yyjson_get_raw(v), yyjson_get_len(v)));
    } else if (nx_json_to_double(value, &number)) {
        nx_json_append_double(out, number);
    } else if (yyjson_is_bool(v)) {
        nx_buf_append_c(out, yyjson_get_bool(v) ? "true" : "false");
    } else if (yyjson_is_null(v)) {
        nx_buf_append_c(out, "null");
    } else {
        return false;
    }
    return true;
}

bool nx_json_scalar_text(struct nx_buf *out, const struct nx_json_value *value) {
    struct nx_str text;
    if (nx_json_to_str(value, &text)) {
        nx_buf_append(out, text);
        return true;
    }
    return append_plain(out, value);
}

static void write_scalar(struct nx_json_writer *writer, const struct nx_json_value *value) {
    struct nx_str text;
    if (nx_json_to_str(value, &text)) {
        nx_json_string(writer, text);
        return;
    }
    nx_json_raw(writer, NX_STR_EMPTY); /* commas and nesting; the text follows */
    nx_assert(append_plain(writer->out, value));
}

static void begin(struct nx_json_writer *writer, bool is_object) {
    if (is_object) {
        nx_json_object_begin(writer);
    } else {
        nx_json_array_begin(writer);
    }
}

static void end(struct nx_json_writer *writer, bool is_object) {
    if (is_object) {
        nx_json_object_end(writer);
    } else {
        nx_json_array_end(writer);
    }
}

void nx_json_value(struct nx_json_writer *writer, const struct nx_json_value *value) {
    struct nx_json_iterator levels[NX_JSON_DEPTH_MAX]; /* as deep as a parsed document can be */
    bool is_object[NX_JSON_DEPTH_MAX];
    size_t depth = 0;
    for (;;) {
        const enum nx_json_kind kind = nx_json_kind(value);
        nx_assert(kind != NX_JSON_ABSENT);
        if (kind == NX_JSON_ARRAY || kind == NX_JSON_OBJECT) {
            nx_assert(depth < NX_JSON_DEPTH_MAX);
            is_object[depth] = kind == NX_JSON_OBJECT;
            levels[depth] = nx_json_iterate(value);
            begin(writer, is_object[depth]);
            depth++;
        } else {
            write_scalar(writer, value);
        }
        struct nx_str name;
        while (depth > 0 && !nx_json_next(&levels[depth - 1], &name, &value)) {
            depth--;
            end(writer, is_object[depth]);
        }
        if (depth == 0) {
            return;
        }
        if (is_object[depth - 1]) {
            nx_json_key(writer, name);
        }
    }
}
