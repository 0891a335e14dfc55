/* src/codec/event_filter.c */
#include "codec/event_filter.h"

#include "base/assert.h"

enum { VALUE_SIZE_MAX = 1024 * 1024 };

const char *nx_event_filter_name(enum nx_event_filter_kind kind) {
#define NX_EVENT_FILTER_NAME(kind, name) [kind] = name,
    static const char *const names[] = { NX_EVENT_FILTER_TABLE(NX_EVENT_FILTER_NAME) };
#undef NX_EVENT_FILTER_NAME
    nx_assert(kind < NX_EVENT_FILTER_KINDS);
    return names[kind];
}

static bool matches_value(const struct nx_event_filter *filter, const struct nx_cloudevent *event) {
    NX_AUTO(nx_buf) text = { 0 };

    nx_buf_init(&text, VALUE_SIZE_MAX);
    if (!nx_cloudevent_lookup(&text, event, filter->attribute) || nx_buf_failed(&text)) {
        return false;
    }
    const struct nx_str value = nx_buf_str(&text);
    switch (filter->kind) {
    case NX_EVENT_FILTER_EXACT:
        return nx_str_equal(value, filter->value);
    case NX_EVENT_FILTER_PREFIX:
        return nx_str_starts_with(value, filter->value);
    default:
        return nx_str_ends_with(value, filter->value);
    }
}

bool nx_event_filter_matches(const struct nx_event_filter *filter, const struct nx_cloudevent *event) {
    switch (filter->kind) {
    case NX_EVENT_FILTER_ALL:
    case NX_EVENT_FILTER_ANY: {
        const bool is_any = filter->kind == NX_EVENT_FILTER_ANY;
        for (size_t i = 0; i < filter->child_count; i++) {
            if (nx_event_filter_matches(&filter->children[i], event) == is_any) {
                return is_any;
            }
        }
        return !is_any;
    }
    case NX_EVENT_FILTER_NOT:
        return filter->child_count == 1 && !nx_event_filter_matches(filter->children, event);
    default:
        return matches_value(filter, event);
    }
}

static bool copy_into(struct nx_arena *arena, const struct nx_event_filter *from,
                      struct nx_event_filter *to) {
    *to = (struct nx_event_filter){
        .kind = from->kind,
        .attribute = nx_arena_copy(arena, from->attribute),
        .value = nx_arena_copy(arena, from->value),
        .child_count = from->child_count,
    };
    if (to->attribute.ptr == NULL || to->value.ptr == NULL) {
        return false;
    }
    if (from->child_count > 0) {
        to->children = nx_arena_alloc(arena, from->child_count * sizeof *to->children);
        if (to->children == NULL) {
            return false;
        }
    }
    for (size_t i = 0; i < from->child_count; i++) {
        if (!copy_into(arena, &from->children[i], &to->children[i])) {
            return false;
        }
    }
    return true;
}

struct nx_event_filter *nx_event_filter_copy(struct nx_arena *arena, const struct nx_event_filter *filter) {
    struct nx_event_filter *copy = nx_arena_alloc(arena, sizeof *copy);
    return copy != NULL && copy_into(arena, filter, copy) ? copy : NULL;
}

void nx_event_filter_write(struct nx_json_writer *writer, const struct nx_event_filter *filter) {
    nx_json_object_begin(writer);
    nx_json_key(writer, nx_str_from_c(nx_event_filter_name(filter->kind)));
    switch (filter->kind) {
    case NX_EVENT_FILTER_ALL:
    case NX_EVENT_FILTER_ANY:
        nx_json_array_begin(writer);
        for (size_t i = 0; i < filter->child_count; i++) {
            nx_event_filter_write(writer, &filter->children[i]);
        }
        nx_json_array_end(writer);
        break;
    case NX_EVENT_FILTER_NOT:
        nx_event_filter_write(writer, filter->children);
        break;
    default:
        nx_json_object_begin(writer);
        nx_json_key(writer, filter->attribute);
        nx_json_string(writer, filter->value);
        nx_json_object_end(writer);
        break;
    }
    nx_json_object_end(writer);
}
