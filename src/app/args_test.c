/* src/app/args_test.c: every way to write a flag is understood; what is wrong is said with the right word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/args.h"

static enum nx_status run_nothing(struct nx_args *args, struct nx_error *err) {
    (void)args;
    (void)err;
    return NX_OK;
}

static const struct nx_flag flags[] = {
    { .name = "follow", .letter = 'f', .help = "go on" },
    { .name = "since", .value = "TIME", .help = "from then on" },
    { .name = "output", .value = "FORMAT", .help = "text or json" },
};
static const struct nx_command command = {
    .name = "logs",
    .words = "[ID]",
    .summary = "show lines",
    .example = "nexus logs -f",
    .flags = flags,
    .flag_count = 3,
    .word_count_max = 1,
    .run = run_nothing,
};

static enum nx_status parse(struct nx_args *args, struct nx_error *err, const char *a, const char *b) {
    char *argv[] = { (char *)(uintptr_t)a, (char *)(uintptr_t)b };
    return nx_args_parse(&command, b == NULL ? 1 : 2, argv, args, err);
}

static void test_reads_a_value_attached_or_behind(void **state) {
    struct nx_args args;

    (void)state;
    assert_int_equal(parse(&args, NULL, "--since=5m", NULL), NX_OK);
    assert_string_equal(nx_args_value(&args, "since"), "5m");
    assert_int_equal(parse(&args, NULL, "--since", "-5m"), NX_OK);
    assert_string_equal(nx_args_value(&args, "since"), "-5m");
    assert_false(nx_args_has(&args, "follow"));
}

static void test_reads_short_flags_and_words(void **state) {
    struct nx_args args;

    (void)state;
    assert_int_equal(parse(&args, NULL, "-f", "01J"), NX_OK);
    assert_true(nx_args_has(&args, "follow"));
    assert_int_equal(args.word_count, 1);
    assert_string_equal(args.words[0], "01J");
}

static void test_takes_everything_behind_two_dashes_as_words(void **state) {
    struct nx_args args;

    (void)state;
    assert_int_equal(parse(&args, NULL, "--", "--since"), NX_OK);
    assert_string_equal(args.words[0], "--since");
}

static void test_suggests_the_nearest_flag(void **state) {
    struct nx_args args;
    struct nx_error err = { 0 };

    (void)state;
    assert_int_equal(parse(&args, &err, "--folow", NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(args.exit_status, NX_EXIT_WRONG_USE);
    assert_string_equal(err.message, "nexus logs has no flag --folow");
    assert_string_equal(err.hint, "did you mean --follow?");
}

static void test_refuses_values_that_are_missing_or_not_wanted(void **state) {
    struct nx_args args;
    struct nx_error err = { 0 };

    (void)state;
    assert_int_equal(parse(&args, &err, "--since", NULL), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "--since needs a value: --since TIME");
    assert_int_equal(parse(&args, &err, "--follow=yes", NULL), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "--follow takes no value, but was given 'yes'");
    assert_int_equal(parse(&args, &err, "--since=1", "--since=2"), NX_INVALID_ARGUMENT);
    assert_int_equal(parse(&args, &err, "a", "b"), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "nexus logs does not expect 'b'");
    assert_int_equal(parse(&args, &err, "-folow", NULL), NX_INVALID_ARGUMENT);
}

static void test_finds_help_anywhere(void **state) {
    struct nx_args args;

    (void)state;
    assert_int_equal(parse(&args, NULL, "x", "--help"), NX_OK);
    assert_true(args.help);
}

static void test_knows_the_two_formats(void **state) {
    struct nx_args args;
    bool json = true;

    (void)state;
    assert_int_equal(parse(&args, NULL, "x", NULL), NX_OK);
    assert_int_equal(nx_args_output_is_json(&args, &json, NULL), NX_OK);
    assert_false(json);
    assert_int_equal(parse(&args, NULL, "--output=json", NULL), NX_OK);
    assert_int_equal(nx_args_output_is_json(&args, &json, NULL), NX_OK);
    assert_true(json);
    assert_int_equal(parse(&args, NULL, "--output=yaml", NULL), NX_OK);
    assert_int_equal(nx_args_output_is_json(&args, &json, NULL), NX_INVALID_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_value_attached_or_behind),
        cmocka_unit_test(test_reads_short_flags_and_words),
        cmocka_unit_test(test_takes_everything_behind_two_dashes_as_words),
        cmocka_unit_test(test_suggests_the_nearest_flag),
        cmocka_unit_test(test_refuses_values_that_are_missing_or_not_wanted),
        cmocka_unit_test(test_finds_help_anywhere),
        cmocka_unit_test(test_knows_the_two_formats),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
