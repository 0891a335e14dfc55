/* src/base/assert.h: what must hold, or the process ends.
 *
 * For our own mistakes only: bytes from network, disk, guest or user are answered, never asserted. Stays on
 * in release builds. One condition each, so that the message says which one failed. */
#pragma once

#define nx_assert(condition)                                  \
    do {                                                      \
        if (__builtin_expect(!(condition), 0)) {              \
            nx_assert_failed(#condition, __FILE__, __LINE__); \
        }                                                     \
    } while (0)

/* For a place that nothing can reach: says in words what would have come there. */
#define nx_assert_never(what) nx_assert_failed("never: " what, __FILE__, __LINE__)

/** Print the condition and its place on standard error, then abort. */
__attribute__((noreturn, cold)) void nx_assert_failed(const char *condition, const char *file, int line);
