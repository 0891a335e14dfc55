/* src/sandbox/engine/engine_test.c: what is compiled, what is refused, and what of the cache is believed. */
#include <unistd.h>

#include "sandbox/sandbox_test.h"

static char directory[] = "/tmp/nexus-engine-test-XXXXXX";

static int set_up(void **state) {
    (void)state;
    return mkdtemp(directory) == NULL ? -1 : 0;
}

struct found {
    char path[4096];
    size_t count;
};

static bool note_file(void *data, const struct nx_disk_entry *entry) {
    struct found *found = data;
    if (nx_str_ends_with(entry->name, NX_STR(".cwasm"))) {
        (void)snprintf(found->path, sizeof found->path, "%s/%.*s", directory, NX_STR_ARG(entry->name));
        found->count++;
    }
    return true;
}

/* The one cached module. */
static struct found cached_file(void) {
    struct found found = { .count = 0 };
    assert_int_equal(nx_disk_list(nx_disk_system(), directory, note_file, &found, NULL), NX_OK);
    assert_int_equal(found.count, 1);
    return found;
}

static int tear_down(void **state) {
    char path[4096];
    (void)state;
    (void)unlink(cached_file().path);
    (void)snprintf(path, sizeof path, "%s/key", directory);
    (void)unlink(path);
    return rmdir(directory);
}

/* Load the echo in a fresh engine, run it, and say where it came from. */
static enum nx_module_origin load_and_run(void) {
    NX_AUTO(nx_engine) *engine = open_engine(directory);
    NX_AUTO(nx_module) *echo = load_guest(engine, "echo");
    struct nx_call_options options = record_options(echo, NX_STR("hello"));
    NX_AUTO(nx_call) *call = run_call(&options);
    assert_str_equal(nx_call_result(call)->output, "hello");
    assert_replays(&options, call);
    return nx_module_origin(echo);
}

static void test_a_module_is_compiled_once(void **state) {
    (void)state;
    assert_int_equal(load_and_run(), NX_MODULE_COMPILED);
    assert_int_equal(load_and_run(), NX_MODULE_FROM_CACHE);
}

static void test_a_limit_lowered_since_it_was_compiled_is_told_at_once(void **state) {
    (void)state;
    NX_AUTO(nx_engine) *engine = open_engine(directory);
    NX_AUTO(nx_buf) wasm;
    struct nx_error err = { 0 };
    assert_true(read_guest("echo", &wasm));
    assert_int_equal(nx_module_check(engine, nx_buf_str(&wasm), 64 << 20, &err), NX_OK);
    assert_int_equal(nx_module_check(engine, nx_buf_str(&wasm), 32768, &err), NX_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "bytes of memory, its limit is 32768"));
}

static void test_a_damaged_file_is_compiled_anew(void **state) {
    (void)state;
    const struct found file = cached_file();
    NX_AUTO(nx_buf) content;
    nx_buf_init(&content, 1 << 28);
    assert_int_equal(nx_disk_read_file(nx_disk_system(), file.path, &content, NULL), NX_OK);
    const size_t places[] = { 0, 5, 20, 50, 80, content.len / 2, content.len - 1 };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        content.ptr[places[i]] ^= 0x10;
        assert_int_equal(nx_disk_write_file(nx_disk_system(), file.path, nx_buf_str(&content), NULL), NX_OK);
        content.ptr[places[i]] ^= 0x10;
        assert_int_equal(load_and_run(), NX_MODULE_RECOMPILED);
        assert_int_equal(load_and_run(), NX_MODULE_FROM_CACHE);
    }
    const size_t lengths[] = { 0, 3, 71, 72, content.len - 1 };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        assert_int_equal(nx_disk_write_file(nx_disk_system(), file.path,
                                            nx_str_slice(nx_buf_str(&content), 0, lengths[i]), NULL),
                         NX_OK);
        assert_int_equal(load_and_run(), NX_MODULE_RECOMPILED);
    }
}

static void test_a_file_of_another_data_directory_is_compiled_anew(void **state) {
    (void)state;
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/key", directory);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(load_and_run(), NX_MODULE_RECOMPILED);
    assert_int_equal(load_and_run(), NX_MODULE_FROM_CACHE);
}

static void assert_refused(struct nx_engine *engine, const char *name, const char *message,
                           const char *hint) {
    NX_AUTO(nx_buf) wasm;
    struct nx_module *module = NULL;
    struct nx_error err = { 0 };
    assert_true(read_guest(name, &wasm));
    assert_int_equal(nx_module_load(engine, nx_buf_str(&wasm), 64 << 20, &module, &err), NX_INVALID_ARGUMENT);
    assert_null(module);
    if (strstr(err.message, message) == NULL || strstr(err.hint, hint) == NULL) {
        fail_msg("%s: %s / %s", name, err.message, err.hint);
    }
}

static void test_what_cannot_run_is_refused_with_the_reason(void **state) {
    (void)state;
    NX_AUTO(nx_engine) *engine = open_engine(NULL);
    assert_refused(engine, "old_wasi", "wasi_unstable", "wasm32-wasip1");
    assert_refused(engine, "unknown_import", "env.launch", "wasi_snapshot_preview1");
    assert_refused(engine, "wrong_signature", "nexus.now with another signature", "");
    assert_refused(engine, "no_entry", "neither handle_event nor _start", "main");
    assert_refused(engine, "odd_entry", "handle_event must take nothing", "");
}

static void test_bytes_that_are_not_a_module_are_refused(void **state) {
    (void)state;
    NX_AUTO(nx_engine) *engine = open_engine(NULL);
    NX_AUTO(nx_buf) wasm;
    struct nx_module *module = NULL;
    struct nx_error err = { 0 };
    assert_int_equal(nx_module_load(engine, NX_STR("hello"), 1 << 20, &module, &err), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_module_load(engine, NX_STR_EMPTY, 1 << 20, &module, &err), NX_INVALID_ARGUMENT);
    assert_true(read_guest("misbehave", &wasm));
    assert_int_equal(nx_module_load(engine, nx_buf_str(&wasm), 32768, &module, &err), NX_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "starts with"));
    for (size_t len = 0; len < wasm.len; len += 97) {
        assert_int_equal(
            nx_module_load(engine, nx_str_slice(nx_buf_str(&wasm), 0, len), 64 << 20, &module, NULL),
            NX_INVALID_ARGUMENT);
    }
}

static void test_a_module_outlives_the_callers_engine(void **state) {
    (void)state;
    struct nx_engine *engine = open_engine(NULL);
    NX_AUTO(nx_module) *echo = load_guest(engine, "echo");
    nx_engine_unref(engine);
    struct nx_call_options options = record_options(echo, NX_STR("x"));
    NX_AUTO(nx_call) *call = run_call(&options);
    assert_int_equal(nx_call_result(call)->outcome, NX_OUTCOME_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_module_is_compiled_once),
        cmocka_unit_test(test_a_limit_lowered_since_it_was_compiled_is_told_at_once),
        cmocka_unit_test(test_a_damaged_file_is_compiled_anew),
        cmocka_unit_test(test_a_file_of_another_data_directory_is_compiled_anew),
        cmocka_unit_test(test_what_cannot_run_is_refused_with_the_reason),
        cmocka_unit_test(test_bytes_that_are_not_a_module_are_refused),
        cmocka_unit_test(test_a_module_outlives_the_callers_engine),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
