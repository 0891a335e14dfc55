/* src/codec/word_test.c: a slip of the finger finds its word, another word does not. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/word.h"

static const char *const words[] = { "runtime", "timeout", "memory", "retry", "on", "max_concurrency" };
enum { WORD_COUNT = sizeof words / sizeof words[0] };

static void assert_nearest(const char *word, const char *expected) {
    const char *found = nx_word_nearest(nx_str_from_c(word), words, WORD_COUNT);
    if (expected == NULL) {
        assert_null(found);
    } else {
        assert_non_null(found);
        assert_string_equal(found, expected);
    }
}

static void test_finds_the_word_that_was_meant(void **state) {
    (void)state;
    assert_nearest("rutime", "runtime");
    assert_nearest("runtimee", "runtime");
    assert_nearest("runtiem", "runtime");
    assert_nearest("TIMEOUT", "timeout");
    assert_nearest("memroy", "memory");
    assert_nearest("no", "on");
    assert_nearest("maxconcurency", "max_concurrency");
}

static void test_finds_nothing_where_nothing_is_near(void **state) {
    static char long_word[100];
    (void)state;
    assert_nearest("banana", NULL);
    assert_nearest("", NULL);
    assert_nearest("x", NULL);
    memset(long_word, 'r', sizeof long_word);
    assert_null(nx_word_nearest(nx_str_of(long_word, sizeof long_word), words, WORD_COUNT));
    assert_null(nx_word_nearest(NX_STR("runtime"), NULL, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_finds_the_word_that_was_meant),
        cmocka_unit_test(test_finds_nothing_where_nothing_is_near),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
