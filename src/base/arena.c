#include "base/arena.h"

#include "base/assert.h"

#if defined(__SANITIZE_ADDRESS__)
enum { BLOCK_SIZE = 0 }; /* every allocation its own block */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { BLOCK_SIZE = 0 };
#else
enum { BLOCK_SIZE = 4096 };
#endif
#else
enum { BLOCK_SIZE = 4096 };
#endif

enum { ALIGNMENT = _Alignof(max_align_t) };

struct nx_arena_block {
    struct nx_arena_block *next;
    size_t used;
    size_t size;
    _Alignas(max_align_t) char bytes[];
};

void nx_arena_init(struct nx_arena *arena, size_t size_max) {
    nx_assert(size_max > 0);
    *arena = (struct nx_arena){ .size_max = size_max };
}

void nx_arena_fini(struct nx_arena *arena) {
    if (arena == NULL) {
        return;
    }
    struct nx_arena_block *block = arena->blocks;
    while (block != NULL) {
        struct nx_arena_block *next = block->next;
        free(block);
        block = next;
    }
    *arena = (struct nx_arena){ .size_max = arena->size_max };
}

void *nx_arena_alloc_raw(struct nx_arena *arena, size_t size) {
    if (size > arena->size_max - arena->size) {
        return NULL;
    }
    const size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (rounded < size || rounded > arena->size_max - arena->size) {
        return NULL;
    }
    struct nx_arena_block *block = arena->blocks;
    if (block == NULL || BLOCK_SIZE == 0 || rounded > block->size - block->used) {
        /* Of exactly the size asked for where each is its own, so that one byte too many shows. */
        const size_t block_size = BLOCK_SIZE == 0 ? size : rounded > BLOCK_SIZE ? rounded : BLOCK_SIZE;
        block = malloc(sizeof *block + block_size);
        if (block == NULL) {
            return NULL;
        }
        block->size = block_size;
        block->used = 0;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *memory = block->bytes + block->used;
    block->used += rounded;
    arena->size += rounded;
    return memory;
}

void *nx_arena_alloc(struct nx_arena *arena, size_t size) {
    void *memory = nx_arena_alloc_raw(arena, size);
    if (memory != NULL && size > 0) {
        memset(memory, 0, size);
    }
    return memory;
}

struct nx_str nx_arena_copy(struct nx_arena *arena, struct nx_str bytes) {
    char *copy = bytes.len == SIZE_MAX ? NULL : nx_arena_alloc_raw(arena, bytes.len + 1);
    if (copy == NULL) {
        return (struct nx_str){ 0 };
    }
    if (bytes.len > 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    copy[bytes.len] = '\0';
    return nx_str_of(copy, bytes.len);
}
