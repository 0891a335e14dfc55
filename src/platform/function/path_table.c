/* src/platform/function/path_table.c: see path_table.h.
 *
 * A shape is the number of segments in its low byte and above it a bit for each segment that is a parameter,
 * the first segment's the highest: so of two shapes of one length the smaller one is literal first. */
#include "platform/function/path_table.h"

#include "base/assert.h"

enum { SHAPE_BITS = 48, SHAPE_COUNT_BITS = 8 };

struct nx_path_row {
    const struct nx_trigger *triggers[NX_ROUTE_METHODS_MAX]; /* one for each method */
    size_t count;
};

/* A path cut into its segments; parameters are not known in a request's. */
struct segments {
    struct nx_str items[NX_PATH_SEGMENTS_MAX];
    size_t count;
};

/* False: it does not begin with a slash, or has too many. */
static bool cut(struct nx_str path, struct segments *out) {
    out->count = 0;
    if (path.len == 0 || path.ptr[0] != '/' || path.len > NX_ROUTE_PATH_SIZE_MAX) {
        return false;
    }
    struct nx_str rest = nx_str_slice(path, 1, path.len);
    for (;;) {
        const size_t end = nx_str_find_byte(rest, '/');
        if (out->count == NX_PATH_SEGMENTS_MAX) {
            return false;
        }
        out->items[out->count++] = nx_str_slice(rest, 0, end);
        if (end == SIZE_MAX) {
            return true;
        }
        rest = nx_str_slice(rest, end + 1, rest.len);
    }
}

static bool is_parameter(struct nx_str segment) {
    return segment.len >= 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}';
}

static struct nx_str name_of(struct nx_str parameter) {
    return nx_str_slice(parameter, 1, parameter.len - 1);
}

static uint64_t bit_of(size_t index) {
    return UINT64_C(1) << (SHAPE_COUNT_BITS + SHAPE_BITS - 1 - index);
}

static uint64_t shape_of(const struct segments *pattern) {
    uint64_t shape = pattern->count;
    for (size_t i = 0; i < pattern->count; i++) {
        shape |= is_parameter(pattern->items[i]) ? bit_of(i) : 0;
    }
    return shape;
}

/* The path with "{}" where the shape has a parameter. False: a segment there is empty. */
static bool write_key(struct nx_buf *key, const struct segments *path, uint64_t shape) {
    nx_buf_reset(key);
    for (size_t i = 0; i < path->count; i++) {
        const bool is_open = (shape & bit_of(i)) != 0;
        if (is_open && path->items[i].len == 0) {
            return false;
        }
        nx_buf_append_u8(key, '/');
        nx_buf_append(key, is_open ? NX_STR("{}") : path->items[i]);
    }
    return !nx_buf_failed(key);
}

static bool is_name(struct nx_str name) {
    bool good = name.len > 0;
    for (size_t i = 0; good && i < name.len; i++) {
        const char c = name.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
    return good;
}

enum nx_status nx_path_check(struct nx_str pattern, struct nx_error *err) {
    struct segments segments;
    size_t parameters = 0;
    if (!cut(pattern, &segments)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "a path has at most %d segments and %d bytes",
                       NX_PATH_SEGMENTS_MAX, NX_ROUTE_PATH_SIZE_MAX);
    }
    for (size_t i = 0; i < segments.count; i++) {
        const struct nx_str segment = segments.items[i];
        if (nx_str_find_byte(segment, '{') == SIZE_MAX && nx_str_find_byte(segment, '}') == SIZE_MAX) {
            continue;
        }
        if (!is_parameter(segment) || !is_name(name_of(segment))) {
            return nx_fail(err, NX_INVALID_ARGUMENT,
                           "'%.*s': a parameter is a whole segment, such as {id}, its name letters, digits "
                           "and _",
                           NX_STR_ARG(segment));
        }
        for (size_t k = 0; k < i; k++) {
            if (nx_str_equal(segments.items[k], segment)) {
                return nx_fail(err, NX_INVALID_ARGUMENT, "two parameters are called '%.*s'",
                               NX_STR_ARG(name_of(segment)));
            }
        }
        parameters++;
    }
    if (parameters > NX_PATH_PARAMETERS_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "a path has at most %d parameters", NX_PATH_PARAMETERS_MAX);
    }
    return NX_OK;
}

bool nx_path_same(struct nx_str a, struct nx_str b) {
    struct segments of_a;
    struct segments of_b;
    if (!cut(a, &of_a) || !cut(b, &of_b) || shape_of(&of_a) != shape_of(&of_b)) {
        return false;
    }
    for (size_t i = 0; i < of_a.count; i++) {
        if (!is_parameter(of_a.items[i]) && !nx_str_equal(of_a.items[i], of_b.items[i])) {
            return false;
        }
    }
    return true;
}

void nx_path_table_init(struct nx_path_table *table, size_t paths_max, struct nx_arena *arena,
                        uint64_t seed) {
    table->arena = arena;
    table->shape_count = 0;
    nx_map_init(&table->by_path, paths_max, seed);
}

void nx_path_table_fini(struct nx_path_table *table) {
    nx_map_fini(&table->by_path);
}

static enum nx_status add_shape(struct nx_path_table *table, uint64_t shape, struct nx_error *err) {
    size_t at = 0;
    while (at < table->shape_count && table->shapes[at] < shape) {
        at++;
    }
    if (at < table->shape_count && table->shapes[at] == shape) {
        return NX_OK;
    }
    if (table->shape_count == NX_PATH_SHAPES_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "parameters stand in more than %d different places",
                       NX_PATH_SHAPES_MAX);
    }
    memmove(&table->shapes[at + 1], &table->shapes[at], (table->shape_count - at) * sizeof table->shapes[0]);
    table->shapes[at] = shape;
    table->shape_count++;
    return NX_OK;
}

enum nx_status nx_path_table_add(struct nx_path_table *table, const struct nx_trigger *trigger,
                                 struct nx_error *err) {
    struct segments segments;
    NX_AUTO(nx_buf) key;
    nx_buf_init(&key, 2 * NX_ROUTE_PATH_SIZE_MAX);
    NX_TRY(nx_path_check(trigger->path, err));
    if (!cut(trigger->path, &segments) || !write_key(&key, &segments, shape_of(&segments))) {
        return nx_fail_memory(err);
    }
    struct nx_path_row *path = nx_map_get(&table->by_path, nx_buf_str(&key));
    if (path == NULL) {
        path = nx_arena_alloc(table->arena, sizeof *path);
        if (path == NULL) {
            return nx_fail_memory(err);
        }
        *path = (struct nx_path_row){ 0 };
        NX_TRY(nx_map_set(&table->by_path, nx_buf_str(&key), path, err));
        NX_TRY(add_shape(table, shape_of(&segments), err));
    }
    for (size_t i = 0; i < path->count; i++) {
        if (nx_str_equal(path->triggers[i]->method, trigger->method)) {
            return NX_OK;
        }
    }
    if (path->count < NX_ROUTE_METHODS_MAX) {
        path->triggers[path->count++] = trigger;
    }
    return NX_OK;
}

static const struct nx_trigger *of_method(const struct nx_path_row *path, struct nx_str method) {
    for (size_t i = 0; i < path->count; i++) {
        if (nx_str_equal(path->triggers[i]->method, method)) {
            return path->triggers[i];
        }
    }
    return NULL;
}

static void add_others(struct nx_route *route, const struct nx_path_row *path) {
    for (size_t i = 0; i < path->count; i++) {
        bool is_known = false;
        for (size_t k = 0; k < route->other_count; k++) {
            is_known |= nx_str_equal(route->others[k]->method, path->triggers[i]->method);
        }
        if (!is_known && route->other_count < NX_ROUTE_METHODS_MAX) {
            route->others[route->other_count++] = path->triggers[i];
        }
    }
}

/* The names come from the trigger's own path: those of one path need not agree. */
static void read_parameters(struct nx_route *route, const struct segments *path) {
    struct segments pattern;
    if (!cut(route->trigger->path, &pattern)) {
        nx_assert_never("a trigger whose path was checked");
    }
    for (size_t i = 0; i < pattern.count; i++) {
        if (is_parameter(pattern.items[i])) {
            route->parameters[route->parameter_count++] =
                (struct nx_path_parameter){ .name = name_of(pattern.items[i]), .value = path->items[i] };
        }
    }
}

bool nx_path_table_find(const struct nx_path_table *table, struct nx_str method, struct nx_str path,
                        struct nx_route *route_out) {
    const struct nx_str wanted = nx_str_is(method, "HEAD") ? NX_STR("GET") : method;
    struct segments segments;
    NX_AUTO(nx_buf) key;
    nx_buf_init(&key, 2 * NX_ROUTE_PATH_SIZE_MAX);
    route_out->trigger = NULL;
    route_out->parameter_count = 0;
    route_out->other_count = 0;
    if (!cut(path, &segments)) {
        return false;
    }
    for (size_t i = 0; i < table->shape_count && route_out->trigger == NULL; i++) {
        const uint64_t shape = table->shapes[i];
        if ((shape & ((1U << SHAPE_COUNT_BITS) - 1)) != segments.count ||
            !write_key(&key, &segments, shape)) {
            continue;
        }
        const struct nx_path_row *found = nx_map_get(&table->by_path, nx_buf_str(&key));
        if (found != NULL) {
            add_others(route_out, found);
            route_out->trigger = of_method(found, wanted);
        }
    }
    if (route_out->trigger != NULL) {
        read_parameters(route_out, &segments);
    }
    return route_out->other_count > 0;
}
