#include "codec/js_fields.h"

#include <stdlib.h>

#include "base/assert.h"
#include "codec/time_format.h"

enum { TEXT_SIZE_MAX = 8 * 1024 * 1024 }; /* bytes of one configuration as JSON */

/* What is being read. */
struct reading {
    const struct nx_js_shape *shape;
    const struct nx_js_field *field;
    struct nx_arena *arena;
    struct nx_js_error *err;
};

static bool fail_memory(struct nx_js_error *err) {
    return nx_js_fail(err, NX_JS_INSUFFICIENT_RESOURCES);
}

/* As Go's decoder says it, for people search the web for such texts. */
static const char *kind_word(const struct nx_json_value *value) {
    static const char *const words[] = { "nothing", "null", "bool", "number", "string", "array", "object" };
    return words[nx_json_kind(value)];
}

static const char *type_word(enum nx_js_field_kind kind) {
    static const char *const words[] = {
        [NX_JS_BOOL] = "bool",       [NX_JS_INT] = "int64",
        [NX_JS_INT32] = "int32",     [NX_JS_UINT] = "uint64",
        [NX_JS_TEXT] = "string",     [NX_JS_TEXTS] = "[]string",
        [NX_JS_NUMBERS] = "[]int64", [NX_JS_PAIRS] = "map[string]string",
        [NX_JS_TIME] = "time.Time",  [NX_JS_WORD] = "string",
        [NX_JS_PART] = "struct",
    };
    return words[kind];
}

static bool fail_type(const struct reading *reading, const struct nx_json_value *value) {
    return nx_js_fail_with(
        reading->err, NX_JS_INVALID_JSON, "json: cannot unmarshal %s into Go struct field %s.%s of type %s",
        kind_word(value), reading->shape->name, reading->field->name, type_word(reading->field->kind));
}

static bool read_int(const struct reading *reading, const struct nx_json_value *value, int64_t *out) {
    if (!nx_json_to_i64(value, out)) {
        return fail_type(reading, value);
    }
    return reading->field->kind != NX_JS_INT32 || (*out >= INT32_MIN && *out <= INT32_MAX)
               ? true
               : fail_type(reading, value);
}

static bool read_text(const struct reading *reading, const struct nx_json_value *value, struct nx_str *out) {
    struct nx_str text;
    if (!nx_json_to_str(value, &text)) {
        return fail_type(reading, value);
    }
    *out = nx_arena_copy(reading->arena, text);
    return out->ptr != NULL ? true : fail_memory(reading->err);
}

/* Room for the elements of a list; false where the value is none. */
static bool begin_list(const struct reading *reading, const struct nx_json_value *value,
                       enum nx_json_kind kind, size_t item_size, void **items_out) {
    const size_t count = nx_json_count(value);
    if (nx_json_kind(value) != kind || count > NX_JS_LIST_MAX) {
        return fail_type(reading, value);
    }
    *items_out = nx_arena_alloc(reading->arena, (count + 1) * item_size);
    return *items_out != NULL ? true : fail_memory(reading->err);
}

static bool read_texts(const struct reading *reading, const struct nx_json_value *value,
                       struct nx_js_texts *out) {
    struct nx_json_iterator iterator = nx_json_iterate(value);
    const struct nx_json_value *item;
    void *items = NULL;
    *out = (struct nx_js_texts){ 0 };
    if (!begin_list(reading, value, NX_JSON_ARRAY, sizeof *out->items, &items)) {
        return false;
    }
    out->items = items;
    while (nx_json_next(&iterator, NULL, &item)) {
        if (!read_text(reading, item, &out->items[out->count++])) {
            return false;
        }
    }
    return true;
}

static bool read_numbers(const struct reading *reading, const struct nx_json_value *value,
                         struct nx_js_numbers *out) {
    struct nx_json_iterator iterator = nx_json_iterate(value);
    const struct nx_json_value *item;
    void *items = NULL;
    *out = (struct nx_js_numbers){ 0 };
    if (!begin_list(reading, value, NX_JSON_ARRAY, sizeof *out->items, &items)) {
        return false;
    }
    out->items = items;
    while (nx_json_next(&iterator, NULL, &item)) {
        if (!read_int(reading, item, &out->items[out->count++])) {
            return false;
        }
    }
    return true;
}

static int compare_pairs(const void *a, const void *b) {
    return nx_str_compare(((const struct nx_js_pair *)a)->name, ((const struct nx_js_pair *)b)->name);
}

static bool read_pairs(const struct reading *reading, const struct nx_json_value *value,
                       struct nx_js_pairs *out) {
    struct nx_json_iterator iterator = nx_json_iterate(value);
    const struct nx_json_value *item;
    struct nx_str name;
    void *items = NULL;
    *out = (struct nx_js_pairs){ 0 };
    if (!begin_list(reading, value, NX_JSON_OBJECT, sizeof *out->items, &items)) {
        return false;
    }
    out->items = items;
    while (nx_json_next(&iterator, &name, &item)) {
        struct nx_js_pair *pair = &out->items[out->count++];
        if (!read_text(reading, item, &pair->value)) {
            return false;
        }
        pair->name = nx_arena_copy(reading->arena, name);
        if (pair->name.ptr == NULL) {
            return fail_memory(reading->err);
        }
    }
    if (out->count > 1) {
        qsort(out->items, out->count, sizeof *out->items, compare_pairs);
    }
    for (size_t i = 1; i < out->count; i++) {
        if (nx_str_equal(out->items[i - 1].name, out->items[i].name)) {
            return nx_js_fail_with(reading->err, NX_JS_INVALID_JSON, "a name in %s.%s stands there twice",
                                   reading->shape->name, reading->field->name);
        }
    }
    return true;
}

static bool read_time(const struct reading *reading, const struct nx_json_value *value,
                      struct nx_js_time *out) {
    struct nx_str text;
    if (!nx_json_to_str(value, &text)) {
        return fail_type(reading, value);
    }
    out->is_set = true;
    return nx_time_parse(text, &out->ns) ? true
                                         : nx_js_fail_with(reading->err, NX_JS_INVALID_JSON,
                                                           "parsing time in %s.%s: not RFC 3339, or not "
                                                           "within 1678 to 2262",
                                                           reading->shape->name, reading->field->name);
}

static bool read_word(const struct reading *reading, const struct nx_json_value *value, unsigned *out) {
    const char *const *words = reading->field->words;
    struct nx_str text;
    if (!nx_json_to_str(value, &text)) {
        return fail_type(reading, value);
    }
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (nx_str_is(text, words[i])) {
            *out = i;
            return true;
        }
    }
    return nx_js_fail_with(reading->err, NX_JS_INVALID_JSON, "can not unmarshal \"\\\"%.*s\\\"\"",
                           NX_STR_ARG(nx_str_slice(text, 0, 64)));
}

/* What a client says that fills in every member. */
static bool means_no(const struct nx_json_value *value) {
    bool is_true = false;
    double number = 0;
    struct nx_str text = NX_STR_EMPTY;
    switch (nx_json_kind(value)) {
    case NX_JSON_ABSENT:
    case NX_JSON_NULL:
        return true;
    case NX_JSON_BOOL:
        return nx_json_to_bool(value, &is_true) && !is_true;
    case NX_JSON_NUMBER:
        return nx_json_to_double(value, &number) && number == 0;
    case NX_JSON_STRING:
        return nx_json_to_str(value, &text) && text.len == 0;
    case NX_JSON_ARRAY:
    case NX_JSON_OBJECT:
        return nx_json_count(value) == 0;
    }
    return false;
}

static bool fail_unknown(struct nx_js_error *err, struct nx_str name) {
    return nx_js_fail_with(err, NX_JS_INVALID_JSON, "json: unknown field \"%.*s\"",
                           NX_STR_ARG(nx_str_slice(name, 0, 64)));
}

static bool read_field(const struct reading *reading, const struct nx_json_value *value, void *at) {
    const struct nx_js_field *field = reading->field;
    switch (field->kind) {
    case NX_JS_BOOL:
        return nx_json_to_bool(value, at) ? true : fail_type(reading, value);
    case NX_JS_INT:
    case NX_JS_INT32:
        return read_int(reading, value, at);
    case NX_JS_UINT:
        return nx_json_to_u64(value, at) ? true : fail_type(reading, value);
    case NX_JS_TEXT:
        return read_text(reading, value, at);
    case NX_JS_TEXTS:
        return read_texts(reading, value, at);
    case NX_JS_NUMBERS:
        return read_numbers(reading, value, at);
    case NX_JS_PAIRS:
        return read_pairs(reading, value, at);
    case NX_JS_TIME:
        return read_time(reading, value, at);
    case NX_JS_WORD:
        return read_word(reading, value, at);
    case NX_JS_PART:
        return nx_json_kind(value) == NX_JSON_OBJECT
                   ? nx_js_fields_read(field->part, value, at, reading->arena, reading->err)
                   : fail_type(reading, value);
    case NX_JS_REFUSED:
        return means_no(value) ? true
                               : nx_js_fail_with(reading->err, reading->shape->refusal,
                                                 "%s is not supported by this server", field->name);
    case NX_JS_NEWER:
        return means_no(value) ? true : fail_unknown(reading->err, nx_str_from_c(field->name));
    }
    return false;
}

static const struct nx_js_field *find_field(const struct nx_js_shape *shape, struct nx_str name) {
    for (size_t i = 0; i < shape->count; i++) {
        if (nx_str_is(name, shape->fields[i].name)) {
            return &shape->fields[i];
        }
    }
    return NULL;
}

bool nx_js_fields_read(const struct nx_js_shape *shape, const struct nx_json_value *object, void *out,
                       struct nx_arena *arena, struct nx_js_error *err) {
    struct nx_json_iterator iterator = nx_json_iterate(object);
    const struct nx_json_value *value;
    struct nx_str name;
    while (nx_json_next(&iterator, &name, &value)) {
        const struct reading reading = { shape, find_field(shape, name), arena, err };
        if (reading.field == NULL) {
            return fail_unknown(err, name);
        }
        if (nx_json_kind(value) != NX_JSON_NULL &&
            !read_field(&reading, value, (char *)out + reading.field->offset)) {
            return false;
        }
    }
    return true;
}

/* Writing */

static bool is_empty_part(const struct nx_js_shape *shape, const void *value);

static bool is_empty(const struct nx_js_field *field, const void *at) {
    switch (field->kind) {
    case NX_JS_BOOL:
        return !*(const bool *)at;
    case NX_JS_INT:
    case NX_JS_INT32:
        return *(const int64_t *)at == 0;
    case NX_JS_UINT:
        return *(const uint64_t *)at == 0;
    case NX_JS_TEXT:
        return ((const struct nx_str *)at)->len == 0;
    case NX_JS_TEXTS:
        return ((const struct nx_js_texts *)at)->count == 0;
    case NX_JS_NUMBERS:
        return ((const struct nx_js_numbers *)at)->count == 0;
    case NX_JS_PAIRS:
        return ((const struct nx_js_pairs *)at)->count == 0;
    case NX_JS_TIME:
        return !((const struct nx_js_time *)at)->is_set;
    case NX_JS_WORD:
        return *(const unsigned *)at == 0;
    case NX_JS_PART:
        return is_empty_part(field->part, at);
    case NX_JS_REFUSED:
    case NX_JS_NEWER:
        return true;
    }
    return true;
}

static bool is_empty_part(const struct nx_js_shape *shape, const void *value) {
    for (size_t i = 0; i < shape->count; i++) {
        if (!is_empty(&shape->fields[i], (const char *)value + shape->fields[i].offset)) {
            return false;
        }
    }
    return true;
}

static void write_texts(struct nx_json_writer *writer, const struct nx_js_texts *texts) {
    nx_json_array_begin(writer);
    for (size_t i = 0; i < texts->count; i++) {
        nx_json_string(writer, texts->items[i]);
    }
    nx_json_array_end(writer);
}

static void write_numbers(struct nx_json_writer *writer, const struct nx_js_numbers *numbers) {
    nx_json_array_begin(writer);
    for (size_t i = 0; i < numbers->count; i++) {
        nx_json_i64(writer, numbers->items[i]);
    }
    nx_json_array_end(writer);
}

static void write_pairs(struct nx_json_writer *writer, const struct nx_js_pairs *pairs) {
    nx_json_object_begin(writer);
    for (size_t i = 0; i < pairs->count; i++) {
        nx_json_key(writer, pairs->items[i].name);
        nx_json_string(writer, pairs->items[i].value);
    }
    nx_json_object_end(writer);
}

static void write_time(struct nx_json_writer *writer, const struct nx_js_time *time) {
    char text[NX_TIME_TEXT_SIZE + 1];
    nx_json_string(writer, nx_time_format(time->ns, NX_TIME_SHORTEST, text));
}

static void write_field(struct nx_json_writer *writer, const struct nx_js_field *field, const void *at) {
    switch (field->kind) {
    case NX_JS_BOOL:
        nx_json_bool(writer, *(const bool *)at);
        return;
    case NX_JS_INT:
    case NX_JS_INT32:
        nx_json_i64(writer, *(const int64_t *)at);
        return;
    case NX_JS_UINT:
        nx_json_u64(writer, *(const uint64_t *)at);
        return;
    case NX_JS_TEXT:
        nx_json_string(writer, *(const struct nx_str *)at);
        return;
    case NX_JS_TEXTS:
        write_texts(writer, at);
        return;
    case NX_JS_NUMBERS:
        write_numbers(writer, at);
        return;
    case NX_JS_PAIRS:
        write_pairs(writer, at);
        return;
    case NX_JS_TIME:
        write_time(writer, at);
        return;
    case NX_JS_WORD:
        nx_json_string(writer, nx_str_from_c(field->words[*(const unsigned *)at]));
        return;
    case NX_JS_PART:
        nx_json_object_begin(writer);
        nx_js_fields_write(field->part, writer, at);
        nx_json_object_end(writer);
        return;
    case NX_JS_REFUSED:
    case NX_JS_NEWER:
        nx_assert_never("it is always empty");
    }
}

void nx_js_fields_write(const struct nx_js_shape *shape, struct nx_json_writer *writer, const void *value) {
    for (size_t i = 0; i < shape->count; i++) {
        const struct nx_js_field *field = &shape->fields[i];
        const void *at = (const char *)value + field->offset;
        if (field->always || !is_empty(field, at)) {
            nx_json_key(writer, nx_str_from_c(field->name));
            write_field(writer, field, at);
        }
    }
}

static void write_whole(const struct nx_js_shape *shape, const void *value, struct nx_buf *out) {
    struct nx_json_writer writer;
    nx_json_writer_init(&writer, out);
    nx_json_object_begin(&writer);
    nx_js_fields_write(shape, &writer, value);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
}

bool nx_js_fields_equal(const struct nx_js_shape *shape, const void *a, const void *b) {
    NX_AUTO(nx_buf) text_a;
    NX_AUTO(nx_buf) text_b;
    nx_buf_init(&text_a, TEXT_SIZE_MAX);
    nx_buf_init(&text_b, TEXT_SIZE_MAX);
    write_whole(shape, a, &text_a);
    write_whole(shape, b, &text_b);
    return !nx_buf_failed(&text_a) && !nx_buf_failed(&text_b) &&
           nx_str_equal(nx_buf_str(&text_a), nx_buf_str(&text_b));
}

/* Copying */

static bool copy_text(struct nx_str *text, struct nx_arena *arena) {
    *text = nx_arena_copy(arena, *text);
    return text->ptr != NULL;
}

static bool copy_items(void *items_inout, size_t size, struct nx_arena *arena) {
    void *copy = nx_arena_alloc(arena, size + 1);
    void *items;
    memcpy(&items, items_inout, sizeof items);
    if (copy == NULL) {
        return false;
    }
    if (size > 0) {
        memcpy(copy, items, size);
    }
    memcpy(items_inout, &copy, sizeof copy);
    return true;
}

static bool copy_texts(struct nx_js_texts *texts, struct nx_arena *arena) {
    bool ok = copy_items(&texts->items, texts->count * sizeof *texts->items, arena);
    for (size_t i = 0; ok && i < texts->count; i++) {
        ok = copy_text(&texts->items[i], arena);
    }
    return ok;
}

static bool copy_pairs(struct nx_js_pairs *pairs, struct nx_arena *arena) {
    bool ok = copy_items(&pairs->items, pairs->count * sizeof *pairs->items, arena);
    for (size_t i = 0; ok && i < pairs->count; i++) {
        ok = copy_text(&pairs->items[i].name, arena) && copy_text(&pairs->items[i].value, arena);
    }
    return ok;
}

/* What was copied as it stands still borrows what it points at: now it no longer does. */
static bool own_fields(const struct nx_js_shape *shape, void *value, struct nx_arena *arena) {
    bool ok = true;
    for (size_t i = 0; ok && i < shape->count; i++) {
        void *at = (char *)value + shape->fields[i].offset;
        struct nx_js_numbers *numbers = at;
        switch (shape->fields[i].kind) {
        case NX_JS_TEXT:
            ok = copy_text(at, arena);
            break;
        case NX_JS_TEXTS:
            ok = copy_texts(at, arena);
            break;
        case NX_JS_NUMBERS:
            ok = copy_items(&numbers->items, numbers->count * sizeof *numbers->items, arena);
            break;
        case NX_JS_PAIRS:
            ok = copy_pairs(at, arena);
            break;
        case NX_JS_PART:
            ok = own_fields(shape->fields[i].part, at, arena);
            break;
        case NX_JS_BOOL:
        case NX_JS_INT:
        case NX_JS_INT32:
        case NX_JS_UINT:
        case NX_JS_TIME:
        case NX_JS_WORD:
        case NX_JS_REFUSED:
        case NX_JS_NEWER:
            break;
        }
    }
    return ok;
}

bool nx_js_fields_copy(const struct nx_js_shape *shape, const void *value, size_t size, void *copy_out,
                       struct nx_arena *arena) {
    memcpy(copy_out, value, size);
    return own_fields(shape, copy_out, arena);
}

size_t nx_js_pairs_size(const struct nx_js_pairs *pairs) {
    size_t size = 0;
    for (size_t i = 0; i < pairs->count; i++) {
        size += pairs->items[i].name.len + pairs->items[i].value.len;
    }
    return size;
}
