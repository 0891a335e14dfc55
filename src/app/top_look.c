/* src/app/top_look.c: what a server answered, read. */
#include "app/top.h"

#include <stdlib.h>

#include "codec/json.h"

enum { LABELS_MAX = 4, NUMBER_SIZE_MAX = 48 };

struct label {
    struct nx_str name;
    struct nx_str value;
};

/* name{label="value",…} number */
struct sample {
    struct nx_str name;
    struct label labels[LABELS_MAX];
    size_t label_count;
    double value;
};

static bool read_number(struct nx_str text, double *value_out) {
    char copy[NUMBER_SIZE_MAX];
    char *end;
    if (text.len == 0 || text.len >= sizeof copy) {
        return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *value_out = strtod(copy, &end);
    return end == copy + text.len;
}

/* No value of a label that is looked at here has a quote or a backslash in it: those are escaped, and such a
 * series is of no function. */
static bool read_labels(struct nx_str text, struct sample *sample) {
    struct nx_str rest = text;
    struct nx_str pair;
    while (nx_str_split(&rest, ',', &pair)) {
        struct nx_str value = pair;
        struct nx_str name;
        if (sample->label_count == LABELS_MAX || !nx_str_split(&value, '=', &name) || value.len < 2) {
            return false;
        }
        sample->labels[sample->label_count++] =
            (struct label){ .name = name, .value = nx_str_slice(value, 1, value.len - 1) };
    }
    return true;
}

static bool read_sample(struct nx_str line, struct sample *sample_out) {
    const size_t space = nx_str_find(line, NX_STR(" "));
    const size_t brace = nx_str_find_byte(line, '{');
    struct sample sample = { .label_count = 0 };
    if (line.len == 0 || line.ptr[0] == '#') {
        return false;
    }
    if (brace == SIZE_MAX || brace > space) {
        sample.name = nx_str_slice(line, 0, space);
        *sample_out = sample;
        return space != SIZE_MAX && read_number(nx_str_slice(line, space + 1, line.len), &sample_out->value);
    }
    const size_t end = nx_str_find(line, NX_STR("} "));
    sample.name = nx_str_slice(line, 0, brace);
    if (end == SIZE_MAX || !read_labels(nx_str_slice(line, brace + 1, end), &sample)) {
        return false;
    }
    *sample_out = sample;
    return read_number(nx_str_slice(line, end + 2, line.len), &sample_out->value);
}

static struct nx_str label_of(const struct sample *sample, const char *name) {
    for (size_t i = 0; i < sample->label_count; i++) {
        if (nx_str_is(sample->labels[i].name, name)) {
            return sample->labels[i].value;
        }
    }
    return NX_STR_EMPTY;
}

/* Lines of one function stand together, and functions in the same order again and again: `hint` is where to
 * look first. */
static struct nx_top_function *find(struct nx_top_look *look, struct nx_str name, size_t *hint) {
    for (size_t i = 0; i < look->function_count; i++) {
        const size_t index = (*hint + i) % look->function_count;
        if (nx_str_equal(look->functions[index].name, name)) {
            *hint = index;
            return &look->functions[index];
        }
    }
    return NULL;
}

/* One line of a histogram, `part` being what its name has behind the family's. */
static void take_histogram(struct nx_top_histogram *histogram, struct nx_str part,
                           const struct sample *sample) {
    double end;
    if (nx_str_is(part, "_sum")) {
        histogram->sum = sample->value;
    } else if (nx_str_is(part, "_count")) {
        histogram->count = sample->value;
    } else if (nx_str_is(part, "_bucket") && histogram->bucket_count < NX_TOP_BUCKETS_MAX &&
               read_number(label_of(sample, "le"), &end)) {
        histogram->ends[histogram->bucket_count] = end;
        histogram->counts[histogram->bucket_count++] = sample->value;
    }
}

static bool cut(struct nx_str name, struct nx_str family, struct nx_str *part_out) {
    *part_out = nx_str_slice(name, family.len, name.len);
    return nx_str_starts_with(name, family);
}

static void take_function(struct nx_top_function *function, const struct sample *sample) {
    struct nx_str part;
    if (nx_str_is(sample->name, "nexus_function_attempts_total")) {
        *(nx_str_is(label_of(sample, "status"), "ok") ? &function->ok : &function->failed) = sample->value;
    } else if (nx_str_is(sample->name, "nexus_function_fuel_total")) {
        function->fuel = sample->value;
    } else if (cut(sample->name, NX_STR("nexus_function_duration_seconds"), &part)) {
        take_histogram(&function->duration, part, sample);
    } else if (nx_str_is(sample->name, "nexus_function_memory_bytes_sum")) {
        function->memory_sum = sample->value;
    } else if (nx_str_is(sample->name, "nexus_function_memory_bytes_count")) {
        function->memory_count = sample->value;
    }
}

static void take_sample(struct nx_top_look *look, const struct sample *sample, size_t *hint) {
    struct nx_str part;
    if (nx_str_starts_with(sample->name, NX_STR("nexus_function_"))) {
        struct nx_top_function *function = find(look, label_of(sample, "function"), hint);
        if (function != NULL) {
            take_function(function, sample);
        }
    } else if (nx_str_is(sample->name, "nexus_events_total")) {
        look->events += sample->value;
    } else if (nx_str_is(sample->name, "nexus_http_connections")) {
        look->connections = sample->value;
    } else if (cut(sample->name, NX_STR("nexus_journal_sync_seconds"), &part)) {
        take_histogram(&look->sync, part, sample);
    }
}

static enum nx_status read_functions(struct nx_top_look *look, struct nx_str text, struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_json_value *item;
    NX_TRY(nx_json_parse(text, NX_TOP_LOOK_SIZE_MAX, &doc, err));
    const struct nx_json_value *list = nx_json_get(nx_json_root(doc), NX_STR("functions"));
    size_t count = 0;
    struct nx_json_iterator walk = nx_json_iterate(list);
    while (nx_json_next(&walk, NULL, &item) && count < NX_TOP_FUNCTIONS_MAX) {
        count++;
    }
    look->functions = nx_arena_alloc(&look->arena, (count + 1) * sizeof *look->functions);
    if (look->functions == NULL) {
        return nx_fail_memory(err);
    }
    walk = nx_json_iterate(list);
    while (look->function_count < count && nx_json_next(&walk, NULL, &item)) {
        struct nx_top_function *function = &look->functions[look->function_count++];
        *function = (struct nx_top_function){
            .name = nx_arena_copy(&look->arena, nx_json_get_str(item, "name")),
            .condition = nx_arena_copy(&look->arena, nx_json_get_str(item, "condition")),
        };
        (void)nx_json_to_u64(nx_json_get(item, NX_STR("pending")), &function->pending);
        (void)nx_json_to_u64(nx_json_get(item, NX_STR("retrying")), &function->retrying);
        (void)nx_json_to_u64(nx_json_get(item, NX_STR("dead_letters")), &function->dead_letters);
        if (function->name.ptr == NULL || function->condition.ptr == NULL) {
            return nx_fail_memory(err);
        }
    }
    return list == NULL ? nx_fail(err, NX_DATA_LOSS, "what answered is no Nexus server") : NX_OK;
}

enum nx_status nx_top_look_read(struct nx_str metrics, struct nx_str functions, int64_t taken_ns,
                                struct nx_top_look *look_out, struct nx_error *err) {
    struct nx_str rest = metrics;
    struct nx_str line;
    size_t hint = 0;
    *look_out = (struct nx_top_look){ .taken_ns = taken_ns };
    nx_arena_init(&look_out->arena, NX_TOP_LOOK_SIZE_MAX);
    NX_TRY(read_functions(look_out, functions, err));
    while (nx_str_split(&rest, '\n', &line)) {
        struct sample sample;
        if (read_sample(line, &sample)) {
            take_sample(look_out, &sample, &hint);
        }
    }
    return NX_OK;
}

void nx_top_look_fini(struct nx_top_look *look) {
    nx_arena_fini(&look->arena);
    *look = (struct nx_top_look){ .function_count = 0 };
}
