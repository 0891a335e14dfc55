/* src/base/arena_test.c: zeroed, aligned memory within the maximum, and all of it gone at once. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/arena.h"

static void test_gives_zeroed_aligned_memory_that_does_not_overlap(void **state) {
    (void)state;
    NX_AUTO(nx_arena) arena;
    nx_arena_init(&arena, 1024 * 1024);
    unsigned char *blocks[300];
    for (size_t i = 0; i < 300; i++) {
        blocks[i] = nx_arena_alloc(&arena, i * 7);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        for (size_t at = 0; at < i * 7; at++) {
            assert_int_equal(blocks[i][at], 0);
            blocks[i][at] = (unsigned char)i;
        }
    }
    for (size_t i = 0; i < 300; i++) {
        for (size_t at = 0; at < i * 7; at++) {
            assert_int_equal(blocks[i][at], (unsigned char)i);
        }
    }
}

static void test_refuses_past_its_maximum(void **state) {
    (void)state;
    NX_AUTO(nx_arena) arena;
    nx_arena_init(&arena, 100);
    assert_null(nx_arena_alloc(&arena, SIZE_MAX));
    assert_null(nx_arena_alloc(&arena, SIZE_MAX - 3));
    assert_null(nx_arena_alloc(&arena, 101));
    assert_non_null(nx_arena_alloc(&arena, 60));
    assert_null(nx_arena_alloc(&arena, 60));
    assert_non_null(nx_arena_alloc(&arena, 16));
    nx_arena_fini(&arena);
    assert_non_null(nx_arena_alloc(&arena, 60)); /* as after init */
}

static void test_copies_with_a_nul_behind(void **state) {
    (void)state;
    NX_AUTO(nx_arena) arena;
    nx_arena_init(&arena, 64);
    const struct nx_str copy = nx_arena_copy(&arena, nx_str_of("abcd", 3));
    assert_true(nx_str_is(copy, "abc"));
    assert_int_equal(copy.ptr[3], '\0');
    assert_non_null(nx_arena_copy(&arena, (struct nx_str){ 0 }).ptr);
    assert_null(nx_arena_copy(&arena, nx_str_of("x", SIZE_MAX)).ptr);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_zeroed_aligned_memory_that_does_not_overlap),
        cmocka_unit_test(test_refuses_past_its_maximum),
        cmocka_unit_test(test_copies_with_a_nul_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
