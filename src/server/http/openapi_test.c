/* src/server/http/openapi_test.c: the description that is built in is YAML, and becomes the same thing in
 * JSON. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "codec/json.h"
#include "server/http/openapi.h"

static void test_becomes_json_of_the_same_kinds(void **state) {
    NX_AUTO(nx_openapi) *openapi = NULL;
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_error err = { 0 };
    struct nx_str text;
    uint64_t number;
    bool boolean;
    (void)state;
    if (nx_openapi_new(&openapi, &err) != NX_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(nx_json_parse(nx_openapi_json(openapi), 16 * 1024 * 1024, &doc, NULL), NX_OK);
    const struct nx_json_value *root = nx_json_root(doc);
    assert_true(nx_json_to_str(nx_json_get(root, NX_STR("openapi")), &text));
    assert_true(nx_str_is(text, "3.1.0"));
    const struct nx_json_value *parameters = nx_json_lookup(root, NX_STR("components.parameters"));
    assert_true(nx_json_to_u64(nx_json_lookup(parameters, NX_STR("Limit.schema.maximum")), &number));
    assert_int_equal(number, 1000);
    assert_true(nx_json_to_bool(
        nx_json_lookup(nx_json_get(nx_json_get(root, NX_STR("paths")), NX_STR("/events/{name}")),
                       NX_STR("post.parameters.0.required")),
        &boolean));
    assert_true(boolean);
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_becomes_json_of_the_same_kinds) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
