/* src/sandbox/snapshot/snapshot_test.c: a script becomes a module that runs, or says why not. */
#include "sandbox/snapshot/snapshot.h"

#include <string.h>

#include "sandbox/sandbox_test.h"

static struct nx_buf runtime;

static int read_runtime(void **state) {
    (void)state;
    nx_buf_init(&runtime, NX_MODULE_SIZE_MAX);
    return nx_disk_read_file(nx_disk_system(), getenv("NX_JAVASCRIPT_RUNTIME"), &runtime, NULL) == NX_OK ? 0
                                                                                                         : -1;
}

static int free_runtime(void **state) {
    (void)state;
    nx_buf_fini(&runtime);
    return 0;
}

static enum nx_status make(const char *script, struct nx_buf *wasm, struct nx_error *err) {
    nx_buf_init(wasm, NX_MODULE_SIZE_MAX);
    return nx_snapshot_make(nx_buf_str(&runtime), NX_STR("s.js"), nx_str_from_c(script), wasm, err);
}

static void test_a_script_becomes_a_module_with_an_entry(void **state) {
    const struct nx_engine_options options = { 0 };
    NX_AUTO(nx_engine) *engine = NULL;
    NX_AUTO(nx_module) *module = NULL;
    NX_AUTO(nx_buf) wasm = { 0 };

    (void)state;
    assert_int_equal(make("export default (event) => event.id", &wasm, NULL), NX_OK);
    assert_true(wasm.len > runtime.len); /* code and heap */
    assert_int_equal(nx_sandbox_open(&options, &engine, NULL), NX_OK);
    assert_int_equal(nx_module_load(engine, nx_buf_str(&wasm), 16 << 20, &module, NULL), NX_OK);
}

static void test_the_same_script_gives_the_same_bytes(void **state) {
    const char *script = "const seen = [Math.random(), Date.now()]; export default () => seen";
    NX_AUTO(nx_buf) first = { 0 };
    NX_AUTO(nx_buf) second = { 0 };

    (void)state;
    assert_int_equal(make(script, &first, NULL), NX_OK);
    assert_int_equal(make(script, &second, NULL), NX_OK);
    assert_true(nx_str_equal(nx_buf_str(&first), nx_buf_str(&second)));
}

static void test_a_script_that_cannot_be_loaded_is_refused_in_its_own_words(void **state) {
    struct nx_error err = { 0 };
    NX_AUTO(nx_buf) wasm = { 0 };

    (void)state;
    assert_int_equal(make("\n  throw new Error('mine')", &wasm, &err), NX_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "Error: mine"));
    assert_non_null(strstr(err.message, "s.js:2"));
    assert_int_equal(wasm.len, 0);
}

static void test_a_top_level_without_end_is_ended(void **state) {
    NX_AUTO(nx_buf) wasm = { 0 };

    (void)state;
    assert_int_equal(make("for (;;) {}", &wasm, NULL), NX_DEADLINE_EXCEEDED);
}

static void test_another_module_is_no_runtime(void **state) {
    NX_AUTO(nx_buf) wasm = { 0 };
    const struct nx_str empty = NX_STR("\0asm\1\0\0");

    (void)state;
    nx_buf_init(&wasm, NX_MODULE_SIZE_MAX);
    assert_int_equal(nx_snapshot_make(nx_str_of(empty.ptr, 8), NX_STR("s.js"), NX_STR("1"), &wasm, NULL),
                     NX_INTERNAL);
    assert_int_equal(nx_snapshot_make(NX_STR("none"), NX_STR("s.js"), NX_STR("1"), &wasm, NULL), NX_INTERNAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_script_becomes_a_module_with_an_entry),
        cmocka_unit_test(test_the_same_script_gives_the_same_bytes),
        cmocka_unit_test(test_a_script_that_cannot_be_loaded_is_refused_in_its_own_words),
        cmocka_unit_test(test_a_top_level_without_end_is_ended),
        cmocka_unit_test(test_another_module_is_no_runtime),
    };
    return cmocka_run_group_tests_name("sandbox_snapshot", tests, read_runtime, free_runtime);
}
