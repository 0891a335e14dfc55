/* src/codec/event_filter.h: which events are wanted: the filter dialects of CloudEvents Subscriptions 1.0,
 * §3.2.4
 *
 *     {exact: {source: /orders}}                 the attribute is this text
 *     {prefix: {subject: images/}}, {suffix: …}  it begins, or ends, with it
 *     {all: [...]}, {any: [...]}, {not: {...}}   every one, one of them, not this one
 *
 * Beside attributes and extensions, a path into JSON data such as data.user_id may be asked. An attribute
 * that is not there matches nothing. A filter is a tree, immutable once made. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "codec/cloudevents.h"
#include "codec/json.h"

enum {
    NX_EVENT_FILTER_DEPTH_MAX = 8,  /* filters inside each other */
    NX_EVENT_FILTER_NODES_MAX = 64, /* of one tree */
};

/* X(kind, dialect) */
#define NX_EVENT_FILTER_TABLE(X)        \
    X(NX_EVENT_FILTER_EXACT, "exact")   \
    X(NX_EVENT_FILTER_PREFIX, "prefix") \
    X(NX_EVENT_FILTER_SUFFIX, "suffix") \
    X(NX_EVENT_FILTER_ALL, "all")       \
    X(NX_EVENT_FILTER_ANY, "any")       \
    X(NX_EVENT_FILTER_NOT, "not")

#define NX_EVENT_FILTER_MEMBER(kind, name) kind,
enum nx_event_filter_kind { NX_EVENT_FILTER_TABLE(NX_EVENT_FILTER_MEMBER) NX_EVENT_FILTER_KINDS };
#undef NX_EVENT_FILTER_MEMBER

struct nx_event_filter {
    enum nx_event_filter_kind kind;
    struct nx_str attribute;          /* of the first three: "source", an extension's name, "data.user_id" */
    struct nx_str value;              /* of the first three */
    struct nx_event_filter *children; /* of the others; NOT has one */
    size_t child_count;
};

/** The dialect's name; static storage. */
const char *nx_event_filter_name(enum nx_event_filter_kind kind);
/** True when the event is one that is asked for. An `all` without children takes every event, an `any` none.
 */
bool nx_event_filter_matches(const struct nx_event_filter *filter, const struct nx_cloudevent *event);
/** Copy the tree with its strings into the arena; NULL when there is no memory. */
struct nx_event_filter *nx_event_filter_copy(struct nx_arena *arena, const struct nx_event_filter *filter);
/** Write it as one value, in the form above. */
void nx_event_filter_write(struct nx_json_writer *writer, const struct nx_event_filter *filter);
