/* src/base/map_test.c: a table keeps what was put into it, through growth and removals, up to its maximum. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/map.h"

enum { KEYS = 1000 };

static struct nx_str key_of(char *text, size_t text_size, int i) {
    const int len = snprintf(text, text_size, "key-%d", i);
    return nx_str_of(text, (size_t)len);
}

static void test_agrees_with_a_plain_array(void **state) {
    (void)state;
    static char values[KEYS]; /* addresses stand for values */
    static bool there[KEYS];
    NX_AUTO(nx_map) map;
    nx_map_init(&map, KEYS, 42);
    uint32_t random = 1; /* a fixed walk over sets and removals */
    size_t count = 0;
    for (int step = 0; step < 20000; step++) {
        random = random * 1664525u + 1013904223u;
        const int i = (int)((random >> 8) % KEYS);
        char text[32];
        const struct nx_str key = key_of(text, sizeof text, i);
        assert_ptr_equal(nx_map_get(&map, key), there[i] ? &values[i] : NULL);
        if ((random >> 28) < 8) {
            assert_int_equal(nx_map_set(&map, key, &values[i], NULL), NX_OK);
            count += there[i] ? 0 : 1;
            there[i] = true;
        } else {
            assert_ptr_equal(nx_map_remove(&map, key), there[i] ? &values[i] : NULL);
            count -= there[i] ? 1 : 0;
            there[i] = false;
        }
        assert_int_equal(map.count, count);
    }
    size_t cursor = 0;
    size_t walked = 0;
    struct nx_str key;
    void *value;
    while (nx_map_next(&map, &cursor, &key, &value)) {
        char text[32];
        const int i = (int)((char *)value - values);
        assert_true(there[i]);
        assert_true(nx_str_equal(key, key_of(text, sizeof text, i)));
        walked++;
    }
    assert_int_equal(walked, count);
}

static void test_replaces_a_value_and_copies_the_key(void **state) {
    (void)state;
    int first;
    int second;
    char key[] = "name";
    NX_AUTO(nx_map) map;
    nx_map_init(&map, 1, 0);
    assert_null(nx_map_get(&map, NX_STR("name")));
    assert_null(nx_map_remove(&map, NX_STR("name")));
    assert_int_equal(nx_map_set(&map, nx_str_from_c(key), &first, NULL), NX_OK);
    key[0] = 'N';
    assert_int_equal(nx_map_set(&map, NX_STR("name"), &second, NULL), NX_OK);
    assert_ptr_equal(nx_map_get(&map, NX_STR("name")), &second);
    assert_int_equal(map.count, 1);
}

static void test_is_full_at_its_maximum_and_not_before(void **state) {
    (void)state;
    int value;
    struct nx_error err = { 0 };
    NX_AUTO(nx_map) map;
    nx_map_init(&map, 2, 0);
    assert_int_equal(nx_map_set(&map, NX_STR("a"), &value, NULL), NX_OK);
    assert_int_equal(nx_map_set(&map, NX_STR(""), &value, NULL), NX_OK);
    assert_int_equal(nx_map_set(&map, NX_STR("c"), &value, &err), NX_RESOURCE_EXHAUSTED);
    assert_int_equal(nx_map_set(&map, NX_STR("a"), &value, NULL), NX_OK);
    assert_ptr_equal(nx_map_remove(&map, NX_STR("")), &value);
    assert_int_equal(nx_map_set(&map, NX_STR("c"), &value, NULL), NX_OK);
}

static void test_coming_and_going_does_not_make_it_grow(void **state) {
    (void)state;
    int value;
    NX_AUTO(nx_map) map;
    nx_map_init(&map, 4, 7);
    for (int i = 0; i < 10000; i++) {
        char text[32];
        const struct nx_str key = key_of(text, sizeof text, i);
        assert_int_equal(nx_map_set(&map, key, &value, NULL), NX_OK);
        assert_ptr_equal(nx_map_remove(&map, key), &value);
    }
    assert_true(map.capacity <= 16);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_a_plain_array),
        cmocka_unit_test(test_replaces_a_value_and_copies_the_key),
        cmocka_unit_test(test_is_full_at_its_maximum_and_not_before),
        cmocka_unit_test(test_coming_and_going_does_not_make_it_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
