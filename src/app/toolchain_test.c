/* src/app/toolchain_test.c: a missing tool is named, with what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/toolchain.h"

static void put_tool(const char *folder, const char *name, const char *script) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs(script, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
}

static int enter_empty_path(void **state) {
    static char folder[64];
    (void)snprintf(folder, sizeof folder, "/tmp/nexus-toolchain-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    *state = folder;
    return setenv("PATH", folder, 1);
}

static int remove_folder(void **state) {
    char command[256];
    (void)setenv("PATH", "/usr/bin:/bin", 1);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
    return system(command);
}

static void expect_missing(const char *command, const char *what, const char *remedy) {
    struct nx_error err = { 0 };
    assert_int_equal(nx_toolchain_check(nx_str_from_c(command), NULL, &err), NX_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, what));
    assert_non_null(strstr(err.hint, remedy));
}

static void test_names_the_missing_tool_of_each_language(void **state) {
    (void)state;
    expect_missing("make", "needs make", "apt install make");
    expect_missing("cargo build --release --target wasm32-wasip1", "needs Rust", "rustup.rs");
    expect_missing("GOOS=wasip1 GOARCH=wasm go build -o build/welcome.wasm ./src", "needs Go", "go.dev");
    expect_missing("npm run build", "needs Node.js", "nodejs.org");
    expect_missing("mkdir -p build && npx asc src/welcome.ts", "needs Node.js", "nodejs.org");
}

static void test_names_a_compiler_without_the_target(void **state) {
    put_tool(*state, "cargo", "#!/bin/sh\n");
    put_tool(*state, "rustc", "#!/bin/sh\necho /nowhere\n");
    put_tool(*state, "go", "#!/bin/sh\nexit 1\n");
    expect_missing("cargo build --target wasm32-wasip1", "wasm32-wasip1", "rustup target add wasm32-wasip1");
    expect_missing("GOOS=wasip1 go build", "can build for wasip1", "1.21");
    assert_int_equal(nx_toolchain_check(NX_STR("cargo build"), NULL, NULL), NX_OK);
}

static void test_leaves_other_commands_to_the_shell(void **state) {
    (void)state;
    assert_int_equal(nx_toolchain_check(NX_STR("./compile cargo"), NULL, NULL), NX_OK);
    assert_int_equal(nx_toolchain_check(NX_STR(""), NULL, NULL), NX_OK);
    assert_int_equal(nx_toolchain_check(NX_STR("echo make; true"), NULL, NULL), NX_OK);
}

static void test_offers_the_program_itself(void **state) {
    (void)state;
    nx_toolchain_offer_nexus();
    assert_true(getenv("PATH")[0] == '/');
    assert_non_null(strchr(getenv("PATH"), ':'));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names_the_missing_tool_of_each_language, enter_empty_path,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_names_a_compiler_without_the_target, enter_empty_path,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_leaves_other_commands_to_the_shell, enter_empty_path,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_offers_the_program_itself, enter_empty_path, remove_folder),
    };
    return cmocka_run_group_tests_name("app_toolchain", tests, NULL, NULL);
}
