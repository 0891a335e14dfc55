/* src/io/process_test.c: commands run where they should, and say how they ended. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "io/process.h"

static void test_collects_output_of_both_streams_in_the_directory(void **state) {
    NX_AUTO(nx_buf) output;
    int exit_status = -1;
    (void)state;
    nx_buf_init(&output, 1000);
    assert_int_equal(nx_process_run("pwd; echo oops >&2; exit 3", "/usr", &output, &exit_status, NULL),
                     NX_OK);
    assert_int_equal(exit_status, 3);
    assert_true(nx_str_is(nx_buf_str(&output), "/usr\noops\n"));
}

static void test_reports_a_signal_as_a_shell_does(void **state) {
    int exit_status = -1;
    (void)state;
    assert_int_equal(nx_process_run("kill -KILL $$", NULL, NULL, &exit_status, NULL), NX_OK);
    assert_int_equal(exit_status, 128 + 9);
}

static void test_keeps_what_fits_of_too_much_output(void **state) {
    NX_AUTO(nx_buf) output;
    int exit_status = -1;
    (void)state;
    nx_buf_init(&output, 10);
    assert_int_equal(
        nx_process_run("head -c 100000 /dev/zero | tr '\\0' x; cat", NULL, &output, &exit_status, NULL),
        NX_OK);
    assert_int_equal(exit_status, 0);
    assert_true(nx_str_is(nx_buf_str(&output), "xxxxxxxxxx"));
}

static void test_a_missing_directory_is_named(void **state) {
    struct nx_error err = { 0 };
    int exit_status = -1;
    (void)state;
    assert_int_equal(nx_process_run("true", "/no/such/place", NULL, &exit_status, &err), NX_NOT_FOUND);
    assert_non_null(strstr(err.message, "/no/such/place"));
    assert_int_equal(exit_status, -1);
}

static void test_says_what_we_take_of_the_machine(void **state) {
    struct nx_process_usage before;
    struct nx_process_usage after;
    (void)state;
    nx_process_usage_read(&before);
    assert_true(before.memory_size > 4096 && before.core_count >= 1);
    do {
        nx_process_usage_read(&after);
    } while (after.cpu_ns == before.cpu_ns);
    assert_true(after.cpu_ns > before.cpu_ns);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_collects_output_of_both_streams_in_the_directory),
        cmocka_unit_test(test_reports_a_signal_as_a_shell_does),
        cmocka_unit_test(test_keeps_what_fits_of_too_much_output),
        cmocka_unit_test(test_a_missing_directory_is_named),
        cmocka_unit_test(test_says_what_we_take_of_the_machine),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
