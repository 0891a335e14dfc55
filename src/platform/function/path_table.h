/* src/platform/function/path_table.h: which HTTP trigger a method and a path mean.
 *
 * A path is segments between slashes. A segment "{name}" of a trigger's path is a parameter: it stands for
 * any one segment that is not empty. Where several triggers match, the one that is literal at the first
 * segment in which they differ wins, as long as it has the method. Finding costs a look-up for each shape
 * (places of parameters) there is among the triggers, however many triggers and functions have that shape.
 * Threads: immutable once built. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"
#include "base/str.h"
#include "platform/function/function.h"

enum {
    NX_PATH_SEGMENTS_MAX = 32,
    NX_PATH_PARAMETERS_MAX = 16,
    NX_ROUTE_PATH_SIZE_MAX = 8 * 1024, /* bytes */
    NX_PATH_SHAPES_MAX = 256,
    NX_ROUTE_METHODS_MAX = 8, /* triggers of one path */
};

struct nx_path_parameter {
    struct nx_str name;
    struct nx_str value; /* as sent, percent-encoded */
};

struct nx_route {
    const struct nx_trigger *trigger; /* NULL: no trigger of this path has the method */
    struct nx_path_parameter parameters[NX_PATH_PARAMETERS_MAX];
    size_t parameter_count;
    const struct nx_trigger *others[NX_ROUTE_METHODS_MAX]; /* of this path, one for each method there is */
    size_t other_count;
};

struct nx_path_table {
    struct nx_arena *arena;              /* borrowed; what is behind the values */
    struct nx_map by_path;               /* path with "{}" for its parameters -> struct nx_path_row */
    uint64_t shapes[NX_PATH_SHAPES_MAX]; /* the most literal first */
    size_t shape_count;
};

/** `arena` is borrowed for the table's life. Allocates nothing. */
void nx_path_table_init(struct nx_path_table *table, size_t paths_max, struct nx_arena *arena, uint64_t seed);
void nx_path_table_fini(struct nx_path_table *table);
/** Take in an HTTP trigger, which is borrowed; the first one of a method and path stays.
 * Errors: NX_INVALID_ARGUMENT    not a pattern (see nx_path_check()), or too many shapes
 *         NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_path_table_add(struct nx_path_table *table, const struct nx_trigger *trigger,
                                               struct nx_error *err);
/** Find the trigger; a HEAD is answered by what answers GET. False: no trigger has such a path. What is found
 * borrows from `path` and the table. */
bool nx_path_table_find(const struct nx_path_table *table, struct nx_str method, struct nx_str path,
                        struct nx_route *route_out);

/** Is this a path for a trigger? Parameters are whole segments with names of letters, digits and '_', each
 * once. Errors: NX_INVALID_ARGUMENT */
NX_MUST_CHECK enum nx_status nx_path_check(struct nx_str pattern, struct nx_error *err);
/** Do both match the same paths, whatever their parameters are called? */
bool nx_path_same(struct nx_str a, struct nx_str b);

NX_DEFINE_AUTO_IN_PLACE(nx_path_table, nx_path_table_fini)
