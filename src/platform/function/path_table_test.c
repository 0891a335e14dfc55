/* src/platform/function/path_table_test.c: paths with parameters lead to one trigger, the most literal one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "platform/function/path_table.h"

#define TRIGGER(of_method, of_path)                                                          \
    {                                                                                        \
        .kind = NX_TRIGGER_HTTP, .method = { (of_method), sizeof(of_method) - 1 }, .path = { \
            (of_path),                                                                       \
            sizeof(of_path) - 1                                                              \
        }                                                                                    \
    }

static const struct nx_trigger triggers[] = {
    TRIGGER("GET", "/users/{id}"),         TRIGGER("PUT", "/users/{user}"),
    TRIGGER("GET", "/users/me"),           TRIGGER("GET", "/users/{id}/posts/{post}"),
    TRIGGER("GET", "/{kind}/me/{what}/x"), TRIGGER("POST", "/"),
    TRIGGER("GET", "/users/me/posts/x"),
};

static struct nx_arena arena;
static struct nx_path_table table;

static int set_up(void **state) {
    (void)state;
    nx_arena_init(&arena, 1 << 20);
    nx_path_table_init(&table, 100, &arena, 1);
    for (size_t i = 0; i < sizeof triggers / sizeof triggers[0]; i++) {
        assert_int_equal(nx_path_table_add(&table, &triggers[i], NULL), NX_OK);
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    nx_path_table_fini(&table);
    nx_arena_fini(&arena);
    return 0;
}

/* "path=value,…" of what is found, "405", or "404". */
static const char *found(const char *method, const char *path) {
    static char text[256];
    struct nx_route route;
    if (!nx_path_table_find(&table, nx_str_from_c(method), nx_str_from_c(path), &route)) {
        return "404";
    }
    if (route.trigger == NULL) {
        return "405";
    }
    int len = snprintf(text, sizeof text, "%.*s", NX_STR_ARG(route.trigger->path));
    for (size_t i = 0; i < route.parameter_count; i++) {
        len += snprintf(text + len, sizeof text - (size_t)len, " %.*s=%.*s",
                        NX_STR_ARG(route.parameters[i].name), NX_STR_ARG(route.parameters[i].value));
    }
    return text;
}

static void test_parameters_stand_for_one_segment(void **state) {
    (void)state;
    assert_string_equal(found("GET", "/users/42"), "/users/{id} id=42");
    assert_string_equal(found("GET", "/users/4%2F2"), "/users/{id} id=4%2F2");
    assert_string_equal(found("GET", "/users/7/posts/9"), "/users/{id}/posts/{post} id=7 post=9");
    assert_string_equal(found("POST", "/"), "/");
    assert_string_equal(found("GET", "/users/"), "404");
    assert_string_equal(found("GET", "/users/1/"), "404");
    assert_string_equal(found("GET", "/users/{id}/x"), "404");
    assert_string_equal(found("GET", "*"), "404");
}

static void test_the_most_literal_path_with_the_method_wins(void **state) {
    (void)state;
    assert_string_equal(found("GET", "/users/me"), "/users/me");
    assert_string_equal(found("HEAD", "/users/me"), "/users/me");
    assert_string_equal(found("PUT", "/users/me"), "/users/{user} user=me");
    assert_string_equal(found("DELETE", "/users/me"), "405");
    assert_string_equal(found("GET", "/users/me/posts/y"), "/users/{id}/posts/{post} id=me post=y");
    assert_string_equal(found("GET", "/users/me/posts/x"), "/users/me/posts/x");
    assert_string_equal(found("GET", "/things/me/a/x"), "/{kind}/me/{what}/x kind=things what=a");
    struct nx_route route;
    assert_true(nx_path_table_find(&table, NX_STR("DELETE"), NX_STR("/users/me"), &route));
    assert_int_equal(route.other_count, 2);
}

static void test_refuses_what_is_no_pattern(void **state) {
    (void)state;
    struct nx_error err = { 0 };
    assert_int_equal(nx_path_check(NX_STR("/a/{b}/{b}"), &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "two parameters are called 'b'");
    assert_int_equal(nx_path_check(NX_STR("/a{b}"), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_path_check(NX_STR("/{}"), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_path_check(NX_STR("/{a b}"), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_path_check(NX_STR("a"), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_path_check(NX_STR("/a/{b_1}/"), NULL), NX_OK);
    assert_true(nx_path_same(NX_STR("/a/{b}"), NX_STR("/a/{c}")));
    assert_false(nx_path_same(NX_STR("/a/{b}"), NX_STR("/a/b")));
    assert_false(nx_path_same(NX_STR("/a/{b}"), NX_STR("/b/{b}")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters_stand_for_one_segment),
        cmocka_unit_test(test_the_most_literal_path_with_the_method_wins),
        cmocka_unit_test(test_refuses_what_is_no_pattern),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
