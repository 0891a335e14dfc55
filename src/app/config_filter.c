/* src/app/config_filter.c: `filters:` of a trigger, in the form of CloudEvents Subscriptions 1.0, §3.2.4. */
#include "app/config_internal.h"

#include "codec/word.h"

struct filter_reader {
    struct nx_config_reader *config;
    size_t node_count;
};

static bool read_filter(struct filter_reader *reader, const struct nx_yaml_node *node, size_t depth,
                        struct nx_event_filter *filter);

/* A list of filters inside of `filter`. */
static bool read_list(struct filter_reader *reader, const struct nx_yaml_node *node, size_t depth,
                      struct nx_event_filter *filter) {
    struct nx_error err = { 0 };

    if (nx_yaml_expect(node, NX_YAML_SEQUENCE, &err) != NX_OK) {
        nx_config_problem_from(reader->config, &err);
        return false;
    }
    if (node->count == 0) {
        nx_config_problem(reader->config, node, "this list of filters is empty");
        return false;
    }
    if (node->count > NX_EVENT_FILTER_NODES_MAX) {
        nx_config_problem(reader->config, node, "a trigger has at most %d filters",
                          NX_EVENT_FILTER_NODES_MAX);
        return false;
    }
    filter->children = nx_arena_alloc(&reader->config->config->arena, node->count * sizeof *filter->children);
    if (filter->children == NULL) {
        nx_config_problem(reader->config, node, "out of memory");
        return false;
    }
    bool good = true;
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        good = read_filter(reader, child, depth + 1, &filter->children[filter->child_count++]) && good;
    }
    return good;
}

static bool is_attribute(struct nx_str name) {
    bool good = name.len > 0;
    if (nx_str_starts_with(name, NX_STR("data."))) {
        return name.len > 5;
    }
    for (size_t i = 0; good && i < name.len; i++) {
        good = (name.ptr[i] >= 'a' && name.ptr[i] <= 'z') || (name.ptr[i] >= '0' && name.ptr[i] <= '9');
    }
    return good && !nx_str_is(name, "data");
}

static bool read_attribute(struct filter_reader *reader, const struct nx_yaml_node *node,
                           enum nx_event_filter_kind kind, struct nx_event_filter *filter) {
    struct nx_arena *arena = &reader->config->config->arena;
    struct nx_error err = { 0 };
    struct nx_str value;

    if (!is_attribute(node->key)) {
        nx_config_problem_at_key(reader->config, node,
                                 "'%.*s' is no attribute (small letters and digits), nor a path such as "
                                 "data.user_id",
                                 NX_STR_ARG(node->key));
        return false;
    }
    if (nx_yaml_to_str(node, &value, &err) != NX_OK) {
        nx_config_problem_from(reader->config, &err);
        return false;
    }
    if (value.len == 0) {
        nx_config_problem(reader->config, node, "an empty text cannot be filtered for");
        return false;
    }
    *filter = (struct nx_event_filter){ .kind = kind,
                                        .attribute = nx_arena_copy(arena, node->key),
                                        .value = nx_arena_copy(arena, value) };
    reader->node_count++;
    return filter->attribute.ptr != NULL && filter->value.ptr != NULL;
}

/* {source: /orders, subject: a}: every attribute has to match. */
static bool read_attributes(struct filter_reader *reader, const struct nx_yaml_node *node,
                            struct nx_event_filter *filter) {
    const enum nx_event_filter_kind kind = filter->kind;
    struct nx_error err = { 0 };

    if (nx_yaml_expect(node, NX_YAML_MAPPING, &err) != NX_OK) {
        nx_config_problem_from(reader->config, &err);
        return false;
    }
    if (node->count == 0 || node->count > NX_EVENT_FILTER_NODES_MAX) {
        nx_config_problem(reader->config, node,
                          "expected an attribute and what it is to be, such as {source: /orders}");
        return false;
    }
    if (node->count == 1) {
        return read_attribute(reader, node->first, kind, filter);
    }
    filter->kind = NX_EVENT_FILTER_ALL;
    filter->children = nx_arena_alloc(&reader->config->config->arena, node->count * sizeof *filter->children);
    bool good = filter->children != NULL;
    for (const struct nx_yaml_node *child = node->first; good && child != NULL; child = child->next) {
        good = read_attribute(reader, child, kind, &filter->children[filter->child_count++]);
    }
    return good;
}

static bool read_dialect(struct filter_reader *reader, const struct nx_yaml_node *node, size_t depth,
                         struct nx_event_filter *filter) {
    switch (filter->kind) {
    case NX_EVENT_FILTER_ALL:
    case NX_EVENT_FILTER_ANY:
        return read_list(reader, node, depth, filter);
    case NX_EVENT_FILTER_NOT:
        filter->children = nx_arena_alloc(&reader->config->config->arena, sizeof *filter->children);
        filter->child_count = 1;
        return filter->children != NULL && read_filter(reader, node, depth + 1, filter->children);
    default:
        return read_attributes(reader, node, filter);
    }
}

static bool read_filter(struct filter_reader *reader, const struct nx_yaml_node *node, size_t depth,
                        struct nx_event_filter *filter) {
    struct nx_error err = { 0 };

    *filter = (struct nx_event_filter){ .kind = NX_EVENT_FILTER_ANY };
    if (depth > NX_EVENT_FILTER_DEPTH_MAX) {
        nx_config_problem(reader->config, node, "filters are at most %d inside each other",
                          NX_EVENT_FILTER_DEPTH_MAX);
        return false;
    }
    if (++reader->node_count > NX_EVENT_FILTER_NODES_MAX) {
        nx_config_problem(reader->config, node, "a trigger has at most %d filters",
                          NX_EVENT_FILTER_NODES_MAX);
        return false;
    }
    if (nx_yaml_expect(node, NX_YAML_MAPPING, &err) != NX_OK) {
        nx_config_problem_from(reader->config, &err);
        return false;
    }
    if (node->count != 1) {
        nx_config_problem(reader->config, node,
                          "a filter is one of exact, prefix, suffix, all, any, not; for more make it a list");
        return false;
    }
    for (size_t kind = 0; kind < NX_EVENT_FILTER_KINDS; kind++) {
        if (nx_str_is(node->first->key, nx_event_filter_name((enum nx_event_filter_kind)kind))) {
            filter->kind = (enum nx_event_filter_kind)kind;
            return read_dialect(reader, node->first, depth, filter);
        }
    }
    const char *names[NX_EVENT_FILTER_KINDS];
    for (size_t kind = 0; kind < NX_EVENT_FILTER_KINDS; kind++) {
        names[kind] = nx_event_filter_name((enum nx_event_filter_kind)kind);
    }
    const char *nearest = nx_word_nearest(node->first->key, names, NX_EVENT_FILTER_KINDS);
    nx_config_problem_at_key(reader->config, node->first, "there is no filter '%.*s': did you mean '%s'?",
                             NX_STR_ARG(node->first->key), nearest == NULL ? "exact" : nearest);
    return false;
}

const struct nx_event_filter *nx_config_read_filters(struct nx_config_reader *reader,
                                                     const struct nx_yaml_node *node) {
    struct filter_reader filters = { .config = reader };
    struct nx_event_filter *all = nx_arena_alloc(&reader->config->arena, sizeof *all);

    if (all == NULL) {
        nx_config_problem(reader, node, "out of memory");
        return NULL;
    }
    *all = (struct nx_event_filter){ .kind = NX_EVENT_FILTER_ALL };
    return read_list(&filters, node, 0, all) ? all : NULL;
}
