/* src/base/arena.h: memory for things that die together: a parse, a request, a document.
 *
 * One owner and a maximum; nothing longer-lived may point into it. In sanitizer builds every allocation is a
 * separate one, so that an overrun shows. */
#pragma once

#include <stddef.h>

#include "base/own.h"
#include "base/str.h"

struct nx_arena_block;

struct nx_arena {
    struct nx_arena_block *blocks; /* newest first */
    size_t size;                   /* bytes handed out, alignment included */
    size_t size_max;
};

/** `size_max` in bytes, > 0. Allocates nothing. */
void nx_arena_init(struct nx_arena *arena, size_t size_max);
/** Frees everything; the arena is as after init. NULL and zeroed arenas allowed. */
void nx_arena_fini(struct nx_arena *arena);
/** Zeroed memory aligned for any type, valid until fini; NULL past the maximum or when there is none. */
void *nx_arena_alloc(struct nx_arena *arena, size_t size);
/** As nx_arena_alloc(), but what is in the memory is not defined: for bytes that are written at once. */
void *nx_arena_alloc_raw(struct nx_arena *arena, size_t size);
/** A copy of the bytes, with a NUL behind it that is not counted; ptr is NULL when there is no memory. */
struct nx_str nx_arena_copy(struct nx_arena *arena, struct nx_str bytes);

NX_DEFINE_AUTO_IN_PLACE(nx_arena, nx_arena_fini)
