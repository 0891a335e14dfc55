/* src/base/error_test.c: an error keeps its cause, gains context outside in, and never overruns. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/str.h"

static void test_context_comes_first_and_the_cause_last(void **state) {
    (void)state;
    struct nx_error err = { 0 };
    assert_int_equal(nx_fail(&err, NX_DATA_LOSS, "damaged record at byte %d", 11), NX_DATA_LOSS);
    nx_hint(&err, "run: nexus journal %s", "verify");
    assert_int_equal(nx_wrap(&err, NX_DATA_LOSS, "recovering '%s'", "a.journal"), NX_DATA_LOSS);
    assert_string_equal(err.message, "recovering 'a.journal': damaged record at byte 11");
    assert_string_equal(err.hint, "run: nexus journal verify");
    assert_int_equal(err.status, NX_DATA_LOSS);
}

static void test_a_new_error_forgets_the_old_ones_hint_and_kind(void **state) {
    (void)state;
    struct nx_error err = { 0 };
    assert_int_equal(nx_fail_kind(&err, NX_KIND_DISK_FULL, "no room"), NX_RESOURCE_EXHAUSTED);
    nx_hint(&err, "delete something");
    assert_int_equal(nx_fail(&err, NX_NOT_FOUND, "no such event"), NX_NOT_FOUND);
    assert_int_equal(err.kind, NX_KIND_NONE);
    assert_string_equal(err.hint, "");
}

static void test_long_messages_are_cut_and_terminated(void **state) {
    (void)state;
    struct nx_error err = { 0 };
    (void)nx_fail(&err, NX_INTERNAL, "%0500d", 1);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    (void)nx_wrap(&err, NX_INTERNAL, "%0300d", 2);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    (void)nx_wrap(&err, NX_INTERNAL, "%0600d", 3);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    nx_hint(&err, "%0600d", 3);
    assert_int_equal(strlen(err.hint), sizeof err.hint - 1);
}

static void test_nobody_needs_to_listen(void **state) {
    (void)state;
    assert_int_equal(nx_fail(NULL, NX_ABORTED, "x"), NX_ABORTED);
    assert_int_equal(nx_fail_kind(NULL, NX_KIND_TOO_LARGE, "x"), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_wrap(NULL, NX_ABORTED, "x"), NX_ABORTED);
    assert_int_equal(nx_fail_memory(NULL), NX_RESOURCE_EXHAUSTED);
    nx_hint(NULL, "x");
}

static void test_every_status_and_kind_has_a_name_and_an_http_status(void **state) {
    (void)state;
    for (int status = NX_OK; status <= NX_UNAUTHENTICATED; status++) {
        const struct nx_error err = { .status = (enum nx_status)status };
        assert_non_null(nx_status_name(err.status));
        assert_non_null(nx_error_kind_name(&err));
        assert_in_range(nx_error_http_status(&err), 200, 504);
    }
    for (int kind = NX_KIND_NONE + 1; kind <= NX_KIND_UNREPLAYABLE; kind++) {
        struct nx_error err = { 0 };
        assert_int_not_equal(nx_fail_kind(&err, (enum nx_kind)kind, "x"), NX_OK);
        assert_true(nx_error_kind_name(&err)[0] != '\0');
        assert_in_range(nx_error_http_status(&err), 400, 507);
    }
    const struct nx_error full = { .status = NX_RESOURCE_EXHAUSTED, .kind = NX_KIND_DISK_FULL };
    assert_int_equal(nx_error_http_status(&full), 507);
    assert_string_equal(nx_error_kind_name(&full), "disk-full");
    assert_string_equal(nx_status_name((enum nx_status)99), "UNKNOWN");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context_comes_first_and_the_cause_last),
        cmocka_unit_test(test_a_new_error_forgets_the_old_ones_hint_and_kind),
        cmocka_unit_test(test_long_messages_are_cut_and_terminated),
        cmocka_unit_test(test_nobody_needs_to_listen),
        cmocka_unit_test(test_every_status_and_kind_has_a_name_and_an_http_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
