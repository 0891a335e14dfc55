/* src/base/own.h: ownership that can be read off the declaration.
 *
 * NX_AUTO releases a local at the end of its scope; NX_TAKE moves ownership out and leaves NULL behind. The
 * words (new/free, init/fini, open/close, ref/unref, take, borrowed) are the same everywhere. */
#pragma once

#include <stdlib.h>

#define NX_AUTO(type) __attribute__((cleanup(type##_auto))) struct type

/* For types used by pointer: NX_AUTO(nx_file) *file = NULL; */
#define NX_DEFINE_AUTO(type, release)                                             \
    __attribute__((unused)) static inline void type##_auto(struct type **owner) { \
        release(*owner);                                                          \
    }

/* For types used in place: NX_AUTO(nx_buf) buf; nx_buf_init(&buf, ...); */
#define NX_DEFINE_AUTO_IN_PLACE(type, release)                                   \
    __attribute__((unused)) static inline void type##_auto(struct type *owner) { \
        release(owner);                                                          \
    }

#define NX_TAKE(p)                  \
    __extension__({                 \
        __typeof__(p) taken_ = (p); \
        (p) = NULL;                 \
        taken_;                     \
    })

__attribute__((unused)) static inline void nx_free_auto(void *owner) {
    free(*(void **)owner);
}
/* For plain heap memory: NX_AUTO_FREE char *text = malloc(n); */
#define NX_AUTO_FREE __attribute__((cleanup(nx_free_auto)))
