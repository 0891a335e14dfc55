/* src/platform/function/registry.h: which functions there are, and what fires each.
 *
 * A registry is immutable once made and shared by reference between dispatch, the workers and the HTTP loops;
 * a change of nexus.yaml or of a module makes a new one, which takes the old one's place. Finding the
 * functions of an event type, or of a method and path, costs the same however many functions there are.
 * Threads: any. */
#pragma once

#include <stddef.h>

#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "codec/digest.h"
#include "io/random.h"
#include "platform/function/function.h"
#include "platform/function/path_table.h"

enum { NX_REGISTRY_FUNCTIONS_MAX = 10000 };

/* A function together with the name of the code it runs now. */
struct nx_registered {
    const struct nx_function *function; /* borrowed from the registry */
    struct nx_digest module_digest;
    size_t index; /* in the registry */
    /* The most that one of its triggers promises: whoever waits wants to be told what a call gave back. */
    bool answers;
    bool answers_early;
};

struct nx_registry_entry {
    const struct nx_function *function; /* copied with all its strings */
    struct nx_str module;               /* the bytes of the .wasm file, borrowed for the call */
};

struct nx_registry;

struct nx_registry_options {
    const struct nx_registry_entry *entries; /* borrowed for the call */
    size_t count;                            /* at most NX_REGISTRY_FUNCTIONS_MAX */
    const struct nx_person_rule *people;     /* copied */
    size_t people_count;
    struct nx_random random;
};

/** Copy the functions, and take the digests of their modules. The modules themselves are in the object store
 * (fabric/object, bucket NX_OBJECTS_BUCKET) before the registry is given to dispatch, which has them loaded
 * when they are needed. Ownership: the caller ends its reference with nx_registry_unref(). Errors:
 * NX_INVALID_ARGUMENT    two functions of one name, or too many NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_registry_new(const struct nx_registry_options *options,
                                             struct nx_registry **registry_out, struct nx_error *err);
struct nx_registry *nx_registry_ref(struct nx_registry *registry);
void nx_registry_unref(struct nx_registry *registry); /* NULL allowed */

size_t nx_registry_count(const struct nx_registry *registry);
const struct nx_registered *nx_registry_at(const struct nx_registry *registry, size_t index);
/** The function of this name, or NULL. */
const struct nx_registered *nx_registry_find(const struct nx_registry *registry, struct nx_str name);
/** The functions that an event of this type fires; an empty list when there are none. Borrowed. */
struct nx_registered_list {
    const struct nx_registered *const *items;
    size_t count;
};
struct nx_registered_list nx_registry_by_type(const struct nx_registry *registry, struct nx_str event_type);
/** Find the trigger of this method and path; its event type is what the request becomes. False: no trigger
 * has such a path, with whatever method (404, not 405). Borrows from `path` and the registry. */
bool nx_registry_route(const struct nx_registry *registry, struct nx_str method, struct nx_str path,
                       struct nx_route *route_out);

/** The path at which an event of this subject names a person; empty: it names nobody by itself. Borrowed. The
 * first rule that fits counts. */
struct nx_str nx_registry_person_path(const struct nx_registry *registry, struct nx_str subject);

NX_DEFINE_AUTO(nx_registry, nx_registry_unref)
