/* src/platform/function/modules.h: the modules that are loaded, dispatch's own.
 *
 * A module is asked of the loader when a call first wants it, and kept; past a limit the least recently used
 * ones that no call uses are dropped. Functions with the same bytes and memory limit share one. What cannot
 * run here is remembered as such, so that each attempt says why; what could not be read is asked for again,
 * at growing intervals, for the store may come to have it. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "platform/function/loader.h"
#include "platform/function/outbox.h"
#include "platform/function/registry.h"

enum {
    NX_MODULES_COUNT_MAX = 256, /* loaded at once, those in use not counted */
    NX_MODULE_RETRY_MIN_MS =
        1000, /* until one that could not be read is asked for again; doubled each time */
    NX_MODULE_RETRY_MAX_MS = 30000, /* up to this */
    NX_MODULE_TELL_FAILURES =
        3, /* then it is told, once: while a server starts its modules are being stored */
};
#define NX_MODULES_SIZE_MAX (UINT64_C(256) << 20) /* bytes of their .wasm files, likewise */

enum nx_loaded_state {
    NX_LOADED_LOADING, /* the loader has it, or will be asked again */
    NX_LOADED_READY,
    NX_LOADED_REFUSED, /* `error` says why */
};

struct nx_loaded {
    struct nx_list_node node; /* in struct nx_modules, unless it is being loaded; least recently used first */
    struct nx_list waiting;   /* struct nx_consumer.in_ready: who is to be told */
    enum nx_loaded_state state;
    struct nx_module *module;
    struct nx_digest digest;
    uint64_t memory_max;
    uint64_t size; /* bytes of the .wasm file */
    size_t use_count;
    bool is_asked;
    unsigned failures; /* in a row: it could not be read */
    int64_t retry_ns;  /* monotonic: it is asked for again then, unless is_asked */
    struct nx_error error;
};

struct nx_modules {
    const struct nx_guest_kind *guests;
    struct nx_mailbox *reply_to;
    struct nx_outbox loader;
    struct nx_map map;   /* digest and memory limit -> struct nx_loaded, owned */
    struct nx_list kept; /* struct nx_loaded that are ready or refused */
    size_t count;        /* of `kept` */
    uint64_t size;
};

void nx_modules_init(struct nx_modules *modules, const struct nx_guest_kind *guests,
                     struct nx_mailbox *loader, struct nx_mailbox *reply_to, uint64_t seed);
void nx_modules_fini(struct nx_modules *modules);
/** The module of this function, asked for when it is not there. Borrowed until the actor's next message,
 * longer between nx_modules_use() and nx_modules_release(). NULL: no memory. */
struct nx_loaded *nx_modules_want(struct nx_modules *modules, const struct nx_registered *registered);
void nx_modules_use(struct nx_loaded *loaded);
void nx_modules_release(struct nx_modules *modules, struct nx_loaded *loaded);
/** The loader's answer, moved in. Returns what it is about: its `waiting` is the caller's to empty, unless it
 * is loading still and will be asked for again, by nx_modules_ask_again(). */
struct nx_loaded *nx_modules_take(struct nx_modules *modules, struct nx_load *load, int64_t now_ns);
/** Ask for those whose time has come. Returns when to come again; INT64_MAX: for none. */
int64_t nx_modules_ask_again(struct nx_modules *modules, int64_t now_ns);
/** Something was stored: ask at once for all that could not be read. */
void nx_modules_hope(struct nx_modules *modules);
/** Other code may be current from now on: what no call uses is dropped. */
void nx_modules_drop_unused(struct nx_modules *modules);
