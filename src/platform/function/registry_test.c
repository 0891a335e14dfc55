/* src/platform/function/registry_test.c: functions are found by what fires them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "platform/function/registry.h"

static struct nx_function function(const char *name, const char *method, const char *path, const char *type) {
    return (struct nx_function){
        .name = nx_str_from_c(name),
        .triggers = { { .kind = method == NULL ? NX_TRIGGER_EVENT : NX_TRIGGER_HTTP,
                        .method = nx_str_from_c(method),
                        .path = nx_str_from_c(path),
                        .event_type = nx_str_from_c(type) } },
        .trigger_count = 1,
    };
}

static enum nx_status make(const struct nx_function *functions, size_t count,
                           struct nx_registry **registry_out, struct nx_error *err) {
    struct nx_registry_entry entries[8];
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct nx_registry_entry){ .function = &functions[i], .module = NX_STR("echo") };
    }
    const struct nx_registry_options options = { .entries = entries,
                                                 .count = count,
                                                 .random = nx_random_system() };
    return nx_registry_new(&options, registry_out, err);
}

static void test_finds_functions_by_type_and_route(void **state) {
    (void)state;
    const struct nx_function functions[] = {
        function("a", NULL, NULL, "user.created"),
        function("b", "POST", "/events/user.created", "user.created"),
        function("c", "POST", "/hook", "http.c"),
    };
    NX_AUTO(nx_registry) *registry = NULL;
    struct nx_route route;
    assert_int_equal(make(functions, 3, &registry, NULL), NX_OK);
    const struct nx_registered_list list = nx_registry_by_type(registry, NX_STR("user.created"));
    assert_int_equal(list.count, 2);
    assert_true(nx_str_is(list.items[0]->function->name, "a"));
    assert_true(nx_str_is(list.items[1]->function->name, "b"));
    assert_true(nx_digest_equal(&list.items[0]->module_digest, &list.items[1]->module_digest));
    assert_int_equal(nx_registry_by_type(registry, NX_STR("user")).count, 0);
    assert_true(nx_registry_route(registry, NX_STR("POST"), NX_STR("/hook"), &route));
    assert_true(nx_str_is(route.trigger->event_type, "http.c"));
    assert_true(nx_registry_route(registry, NX_STR("GET"), NX_STR("/hook"), &route));
    assert_null(route.trigger);
    assert_false(nx_registry_route(registry, NX_STR("GET"), NX_STR("/"), &route));
    assert_int_equal(nx_registry_find(registry, NX_STR("c"))->index, 2);
    assert_null(nx_registry_find(registry, NX_STR("d")));
}

static void test_refuses_two_functions_of_one_name(void **state) {
    (void)state;
    const struct nx_function functions[] = { function("a", NULL, NULL, "x"), function("a", NULL, NULL, "y") };
    NX_AUTO(nx_registry) *registry = NULL;
    struct nx_error error = { 0 };
    assert_int_equal(make(functions, 2, &registry, &error), NX_INVALID_ARGUMENT);
    assert_string_equal(error.message, "there are two functions of the name 'a'");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_functions_by_type_and_route),
        cmocka_unit_test(test_refuses_two_functions_of_one_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
