/* src/app/diff_test.c: a difference is shown with what stands around it, and no more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/diff.h"

static void check(const char *before, const char *after, const char *wanted) {
    static const struct nx_diff_options options = { .indent = "", .removed = "- ", .added = "+ ", .end = "" };
    NX_AUTO(nx_buf) out = { 0 };
    nx_buf_init(&out, 1024 * 1024);
    nx_diff_append(&out, nx_str_from_c(before), nx_str_from_c(after), &options);
    nx_buf_append_u8(&out, 0);
    assert_string_equal(out.ptr, wanted);
}

static void test_shows_a_changed_line_between_equal_ones(void **state) {
    (void)state;
    check("a\nb\nc", "a\nB\nc", "  a\n- b\n+ B\n  c\n");
}

static void test_leaves_out_what_is_far_away(void **state) {
    (void)state;
    check("1\n2\n3\n4\n5\n6\n7", "1\n2\n3\n4\n5\n6\n8", "  …\n  5\n  6\n- 7\n+ 8\n");
}

static void test_shows_a_line_more_or_less(void **state) {
    (void)state;
    check("a\nb", "a\nb\nc", "  a\n  b\n+ c\n");
    check("a\nb\nc", "b\nc", "- a\n  b\n  c\n");
    check("", "a", "+ a\n");
    check("a", "", "- a\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shows_a_changed_line_between_equal_ones),
        cmocka_unit_test(test_leaves_out_what_is_far_away),
        cmocka_unit_test(test_shows_a_line_more_or_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
