/* src/fabric/subject/subject_test.c: subjects and filters mean what they mean in NATS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "fabric/fabric.h"
#include "fabric/subject/subject.h"

static struct nx_str str(const char *text) {
    return nx_str_from_c(text);
}

static void test_a_subject_has_no_empty_tokens_spaces_or_wildcards(void **state) {
    static const char *const good[] = { "a", "events.user.created", "$KV.fn.key", "a-b_c.d%20e" };
    static const char *const bad[] = {
        "", ".", "a.", ".a", "a..b", "a b", "a\tb", "a\x01", "*", "a.*", "a.>"
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(nx_subject_is_valid(str(good[i])));
        assert_true(nx_subject_is_filter(str(good[i])));
        assert_false(nx_subject_has_wildcard(str(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(nx_subject_is_valid(str(bad[i])));
    }
}

static void test_a_subject_is_refused_from_one_byte_above_its_limit(void **state) {
    static char text[NX_SUBJECT_SIZE_MAX + 1];
    (void)state;
    memset(text, 'x', sizeof text);
    assert_true(nx_subject_is_valid(nx_str_of(text, NX_SUBJECT_SIZE_MAX)));
    assert_false(nx_subject_is_valid(nx_str_of(text, NX_SUBJECT_SIZE_MAX + 1)));
}

static void test_the_rest_stands_only_at_the_end_of_a_filter(void **state) {
    (void)state;
    assert_true(nx_subject_is_filter(str("*")));
    assert_true(nx_subject_is_filter(str(">")));
    assert_true(nx_subject_is_filter(str("a.*.c.>")));
    assert_false(nx_subject_is_filter(str(">.a")));
    assert_false(nx_subject_is_filter(str("a.>.b")));
    assert_false(nx_subject_is_filter(str("a..>")));
    assert_false(nx_subject_is_filter(str("")));
    assert_true(nx_subject_has_wildcard(str("a.*")));
    assert_true(nx_subject_has_wildcard(str(">")));
}

static void test_one_star_is_one_token_and_the_rest_is_at_least_one(void **state) {
    static const struct {
        const char *filter;
        const char *subject;
        bool matches;
    } cases[] = {
        { "a.b", "a.b", true },    { "a.b", "a.bc", false },   { "a.b", "a", false },
        { "a.b", "a.b.c", false }, { "*", "a", true },         { "*", "a.b", false },
        { "a.*", "a.b", true },    { "a.*", "a", false },      { "a.*", "a.b.c", false },
        { "*.b", "a.b", true },    { "a.*.c", "a.b.c", true }, { "a.*.c", "a.b.d", false },
        { ">", "a", true },        { ">", "a.b.c", true },     { "a.>", "a", false },
        { "a.>", "a.b", true },    { "a.>", "a.b.c", true },   { "a.>", "ab.c", false },
        { "*.>", "a", false },     { "*.>", "a.b", true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (nx_subject_matches(str(cases[i].filter), str(cases[i].subject)) != cases[i].matches) {
            fail_msg("'%s' and '%s'", cases[i].filter, cases[i].subject);
        }
    }
}

static void test_filters_overlap_when_one_subject_fits_both(void **state) {
    static const struct {
        const char *a;
        const char *b;
        bool overlaps;
    } cases[] = {
        { "a", "a", true },       { "a", "b", false },       { "a.*", "*.b", true },
        { "a.*", "b.*", false },  { "a.>", "a.b.c", true },  { "a.>", "a", false },
        { ">", "*", true },       { "*.*", "a", false },     { "a.>", "*.b", true },
        { "a.*.c", "a.>", true }, { "a.*", "a.b.c", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (nx_subject_overlaps(str(cases[i].a), str(cases[i].b)) != cases[i].overlaps ||
            nx_subject_overlaps(str(cases[i].b), str(cases[i].a)) != cases[i].overlaps) {
            fail_msg("'%s' and '%s'", cases[i].a, cases[i].b);
        }
    }
}

static void test_a_stream_name_is_letters_digits_dash_and_underscore(void **state) {
    static char text[NX_STREAM_NAME_SIZE_MAX + 1];
    (void)state;
    memset(text, 'x', sizeof text);
    assert_true(nx_stream_name_is_valid(str("EVENTS")));
    assert_true(nx_stream_name_is_valid(str("KV_user-welcome_9")));
    assert_false(nx_stream_name_is_valid(str("")));
    assert_false(nx_stream_name_is_valid(str("a.b")));
    assert_false(nx_stream_name_is_valid(str("a/b")));
    assert_true(nx_stream_name_is_valid(nx_str_of(text, NX_STREAM_NAME_SIZE_MAX)));
    assert_false(nx_stream_name_is_valid(nx_str_of(text, NX_STREAM_NAME_SIZE_MAX + 1)));
}

static void test_a_filter_covers_another_when_it_takes_all_that_the_other_takes(void **state) {
    (void)state;
    assert_true(nx_subject_covers(NX_STR("a.>"), NX_STR("a.*.c")));
    assert_true(nx_subject_covers(NX_STR("a.*"), NX_STR("a.*")));
    assert_true(nx_subject_covers(NX_STR("a.*"), NX_STR("a.b")));
    assert_true(nx_subject_covers(NX_STR(">"), NX_STR(">")));
    assert_false(nx_subject_covers(NX_STR("a.*"), NX_STR("a.>")));
    assert_false(nx_subject_covers(NX_STR("a.b"), NX_STR("a.*")));
    assert_false(nx_subject_covers(NX_STR("a.*"), NX_STR("a.b.c")));
    assert_false(nx_subject_covers(NX_STR("a.b.>"), NX_STR("a.b")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_filter_covers_another_when_it_takes_all_that_the_other_takes),
        cmocka_unit_test(test_a_subject_has_no_empty_tokens_spaces_or_wildcards),
        cmocka_unit_test(test_a_subject_is_refused_from_one_byte_above_its_limit),
        cmocka_unit_test(test_the_rest_stands_only_at_the_end_of_a_filter),
        cmocka_unit_test(test_one_star_is_one_token_and_the_rest_is_at_least_one),
        cmocka_unit_test(test_filters_overlap_when_one_subject_fits_both),
        cmocka_unit_test(test_a_stream_name_is_letters_digits_dash_and_underscore),
    };
    return cmocka_run_group_tests_name("fabric/subject", tests, NULL, NULL);
}
