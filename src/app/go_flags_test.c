/* src/app/go_flags_test.c: flags as a Go program takes them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "app/go_flags.h"

static const struct nx_flag flags[] = {
    { .name = "port", .letter = 'p', .value = "PORT", .help = "" },
    { .name = "debug", .letter = 'D', .help = "" },
    { .name = "trace", .help = "" },
};
static const struct nx_go_flag others[] = {
    { .name = "listen", .means = { "port" } },
    { .name = "DV", .means = { "debug", "trace" } },
    { .name = "cluster", .instead = "run another program" },
};
static const struct nx_command command = { .name = "serve", .flags = flags, .flag_count = 3 };

#define PARSE(args, err, ...)                                                                  \
    nx_go_flags_parse(&command, others, 3, sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *), \
                      (char *[]){ __VA_ARGS__ }, args, err)

static void test_one_dash_and_two_are_the_same(void **state) {
    struct nx_args args;
    (void)state;
    assert_int_equal(PARSE(&args, NULL, "-port", "1", "--debug"), NX_OK);
    assert_string_equal(nx_args_value(&args, "port"), "1");
    assert_true(nx_args_has(&args, "debug"));
    assert_int_equal(PARSE(&args, NULL, "--port=2", "-D"), NX_OK);
    assert_string_equal(nx_args_value(&args, "port"), "2");
    assert_int_equal(PARSE(&args, NULL, "-p", "-1"), NX_OK);
    assert_string_equal(nx_args_value(&args, "port"), "-1");
    assert_int_equal(PARSE(&args, NULL, "--p", "3", "-listen=4"), NX_OK);
    assert_string_equal(nx_args_value(&args, "port"), "4"); /* the last one */
}

static void test_a_flag_without_a_value_may_be_switched_off(void **state) {
    struct nx_args args;
    struct nx_error err = { 0 };
    (void)state;
    assert_int_equal(PARSE(&args, NULL, "-DV", "-trace=false"), NX_OK);
    assert_true(nx_args_has(&args, "debug"));
    assert_false(nx_args_has(&args, "trace"));
    assert_int_equal(PARSE(&args, &err, "-D=maybe"), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "--debug is true or false, not 'maybe'");
}

static void test_what_is_wrong_is_said_with_status_2(void **state) {
    struct nx_args args;
    struct nx_error err = { 0 };
    (void)state;
    assert_int_equal(PARSE(&args, &err, "-prot", "1"), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "nexus serve has no flag --prot");
    assert_string_equal(err.hint, "did you mean --port?");
    assert_int_equal(args.exit_status, NX_EXIT_WRONG_USE);
    assert_int_equal(PARSE(&args, &err, "-p"), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "--p needs a value: --port PORT");
    assert_int_equal(PARSE(&args, &err, "-cluster", "nats://x"), NX_UNIMPLEMENTED);
    assert_string_equal(err.message, "--cluster is not built here");
    assert_string_equal(err.hint, "run another program");
    assert_int_equal(args.exit_status, NX_EXIT_WRONG_USE);
    assert_int_equal(PARSE(&args, &err, "-D", "word", "-p"), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "nexus serve does not expect 'word'");
    assert_int_equal(PARSE(&args, &err, "-h"), NX_OK);
    assert_true(args.help);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_dash_and_two_are_the_same),
        cmocka_unit_test(test_a_flag_without_a_value_may_be_switched_off),
        cmocka_unit_test(test_what_is_wrong_is_said_with_status_2),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
