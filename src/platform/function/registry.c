/* src/platform/function/registry.c: see registry.h. Everything but the maps is in one arena.
 */
#include "platform/function/registry.h"

#include "base/arena.h"
#include "base/counter.h"
#include "base/map.h"
#include "fabric/subject/subject.h"

enum { REGISTRY_SIZE_MAX = 256 * 1024 * 1024 };

struct type_entry {
    const struct nx_registered **items;
    size_t count;
    size_t capacity;
};

struct nx_registry {
    struct nx_refcount refcount;
    struct nx_arena arena;
    struct nx_registered *functions;
    size_t count;
    struct nx_map by_name; /* name -> struct nx_registered */
    struct nx_map by_type; /* event type -> struct type_entry */
    struct nx_path_table paths;
    struct nx_person_rule *people;
    size_t people_count;
};

/* False when there was no memory. */
static bool copy_str(struct nx_arena *arena, struct nx_str *str) {
    *str = nx_arena_copy(arena, *str);
    return str->ptr != NULL;
}

/* NULL when there was no memory. */
static const struct nx_cors *copy_cors(struct nx_arena *arena, const struct nx_cors *from) {
    struct nx_cors *copy = nx_arena_alloc(arena, sizeof *copy);
    if (copy == NULL) {
        return NULL;
    }
    *copy = *from;
    bool is_copied = copy_str(arena, &copy->headers);
    is_copied &= copy_str(arena, &copy->expose);
    for (size_t i = 0; i < copy->origin_count; i++) {
        is_copied &= copy_str(arena, &copy->origins[i]);
    }
    return is_copied ? copy : NULL;
}

static enum nx_status copy_function(struct nx_registry *registry, const struct nx_function *from,
                                    const struct nx_function **copy_out, struct nx_error *err) {
    struct nx_arena *arena = &registry->arena;
    struct nx_function *copy = nx_arena_alloc(arena, sizeof *copy);
    if (copy == NULL) {
        return nx_fail_memory(err);
    }
    *copy = *from;
    bool is_copied = copy_str(arena, &copy->name);
    is_copied &= copy_str(arena, &copy->code_path);
    is_copied &= copy_str(arena, &copy->build_command);
    is_copied &= copy_str(arena, &copy->order_key);
    for (size_t i = 0; i < copy->trigger_count; i++) {
        is_copied &= copy_str(arena, &copy->triggers[i].method);
        is_copied &= copy_str(arena, &copy->triggers[i].path);
        is_copied &= copy_str(arena, &copy->triggers[i].subject);
        is_copied &= copy_str(arena, &copy->triggers[i].queue);
        is_copied &= copy_str(arena, &copy->triggers[i].event_type);
        if (copy->triggers[i].cors != NULL) {
            copy->triggers[i].cors = copy_cors(arena, copy->triggers[i].cors);
            is_copied &= copy->triggers[i].cors != NULL;
        }
        if (copy->triggers[i].filter != NULL) {
            copy->triggers[i].filter = nx_event_filter_copy(arena, copy->triggers[i].filter);
            is_copied &= copy->triggers[i].filter != NULL;
        }
    }
    for (size_t i = 0; i < copy->env_count; i++) {
        is_copied &= copy_str(arena, &copy->env[i].name);
        is_copied &= copy_str(arena, &copy->env[i].value);
        is_copied &= copy_str(arena, &copy->env[i].from_env);
    }
    if (!is_copied) {
        return nx_fail_memory(err);
    }
    *copy_out = copy;
    return NX_OK;
}

static enum nx_status add_to_type(struct nx_registry *registry, struct nx_str type,
                                  const struct nx_registered *registered, struct nx_error *err) {
    struct type_entry *entry = nx_map_get(&registry->by_type, type);
    if (entry == NULL) {
        entry = nx_arena_alloc(&registry->arena, sizeof *entry);
        if (entry == NULL) {
            return nx_fail_memory(err);
        }
        NX_TRY(nx_map_set(&registry->by_type, type, entry, err));
    }
    if (entry->count > 0 && entry->items[entry->count - 1] == registered) {
        return NX_OK; /* two triggers of one function with the same type: one run */
    }
    if (entry->count == entry->capacity) {
        const size_t capacity = entry->capacity == 0 ? 2 : entry->capacity * 2;
        const struct nx_registered **items = nx_arena_alloc(&registry->arena, capacity * sizeof *items);
        if (items == NULL) {
            return nx_fail_memory(err);
        }
        if (entry->count > 0) {
            memcpy(items, entry->items, entry->count * sizeof *items);
        }
        entry->items = items;
        entry->capacity = capacity;
    }
    entry->items[entry->count++] = registered;
    return NX_OK;
}

static enum nx_status add_triggers(struct nx_registry *registry, struct nx_registered *registered,
                                   struct nx_error *err) {
    const struct nx_function *function = registered->function;
    for (size_t i = 0; i < function->trigger_count; i++) {
        const struct nx_trigger *trigger = &function->triggers[i];
        NX_TRY(add_to_type(registry, trigger->event_type, registered, err));
        registered->answers |= trigger->respond != NX_RESPOND_PUBLISHED;
        registered->answers_early |= trigger->respond == NX_RESPOND_EARLY;
        if (trigger->kind != NX_TRIGGER_HTTP) {
            continue;
        }
        /* The first function that claims a route names what it becomes. Two with the same event type both
         * run. */
        NX_TRY(nx_path_table_add(&registry->paths, trigger, err));
    }
    return NX_OK;
}

static enum nx_status add_function(struct nx_registry *registry, const struct nx_registry_entry *entry,
                                   struct nx_error *err) {
    struct nx_registered *registered = &registry->functions[registry->count];
    const struct nx_str name = entry->function->name;
    if (nx_map_get(&registry->by_name, name) != NULL) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "there are two functions of the name '%.*s'",
                       NX_STR_ARG(name));
    }
    NX_TRY(copy_function(registry, entry->function, &registered->function, err));
    registered->module_digest = nx_digest_of(entry->module);
    registered->index = registry->count++;
    NX_TRY(nx_map_set(&registry->by_name, registered->function->name, registered, err));
    return add_triggers(registry, registered, err);
}

static enum nx_status copy_people(struct nx_registry *registry, const struct nx_registry_options *options,
                                  struct nx_error *err) {
    registry->people =
        nx_arena_alloc(&registry->arena, (options->people_count + 1) * sizeof *registry->people);
    if (registry->people == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < options->people_count; i++) {
        registry->people[i] = options->people[i];
        if (!copy_str(&registry->arena, &registry->people[i].subjects) ||
            !copy_str(&registry->arena, &registry->people[i].path)) {
            return nx_fail_memory(err);
        }
    }
    registry->people_count = options->people_count;
    return NX_OK;
}

enum nx_status nx_registry_new(const struct nx_registry_options *options, struct nx_registry **registry_out,
                               struct nx_error *err) {
    if (options->count > NX_REGISTRY_FUNCTIONS_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "%zu functions are more than the %d that one node runs",
                       options->count, NX_REGISTRY_FUNCTIONS_MAX);
    }
    NX_AUTO(nx_registry) *registry = calloc(1, sizeof *registry);
    if (registry == NULL) {
        return nx_fail_memory(err);
    }
    const size_t triggers_max = options->count * NX_FUNCTION_TRIGGERS_MAX + 1;
    nx_refcount_init(&registry->refcount);
    nx_arena_init(&registry->arena, REGISTRY_SIZE_MAX);
    nx_map_init(&registry->by_name, options->count + 1, nx_random_u64(&options->random));
    nx_map_init(&registry->by_type, triggers_max, nx_random_u64(&options->random));
    nx_path_table_init(&registry->paths, triggers_max, &registry->arena, nx_random_u64(&options->random));
    registry->functions =
        nx_arena_alloc(&registry->arena, (options->count + 1) * sizeof *registry->functions);
    if (registry->functions == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < options->count; i++) {
        NX_TRY(add_function(registry, &options->entries[i], err));
    }
    NX_TRY(copy_people(registry, options, err));
    *registry_out = NX_TAKE(registry);
    return NX_OK;
}

struct nx_registry *nx_registry_ref(struct nx_registry *registry) {
    nx_refcount_ref(&registry->refcount);
    return registry;
}

void nx_registry_unref(struct nx_registry *registry) {
    if (registry == NULL || !nx_refcount_unref(&registry->refcount)) {
        return;
    }
    nx_map_fini(&registry->by_name);
    nx_map_fini(&registry->by_type);
    nx_path_table_fini(&registry->paths);
    nx_arena_fini(&registry->arena);
    free(registry);
}

size_t nx_registry_count(const struct nx_registry *registry) {
    return registry->count;
}

const struct nx_registered *nx_registry_at(const struct nx_registry *registry, size_t index) {
    return index < registry->count ? &registry->functions[index] : NULL;
}

const struct nx_registered *nx_registry_find(const struct nx_registry *registry, struct nx_str name) {
    return nx_map_get(&registry->by_name, name);
}

struct nx_registered_list nx_registry_by_type(const struct nx_registry *registry, struct nx_str event_type) {
    const struct type_entry *entry = nx_map_get(&registry->by_type, event_type);
    return entry == NULL ? (struct nx_registered_list){ 0 }
                         : (struct nx_registered_list){ .items = entry->items, .count = entry->count };
}

bool nx_registry_route(const struct nx_registry *registry, struct nx_str method, struct nx_str path,
                       struct nx_route *route_out) {
    return nx_path_table_find(&registry->paths, method, path, route_out);
}

struct nx_str nx_registry_person_path(const struct nx_registry *registry, struct nx_str subject) {
    for (size_t i = 0; i < registry->people_count; i++) {
        if (nx_subject_matches(registry->people[i].subjects, subject)) {
            return registry->people[i].path;
        }
    }
    return NX_STR_EMPTY;
}
