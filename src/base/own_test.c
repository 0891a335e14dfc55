/* src/base/own_test.c: what is owned is released once, at the end of its scope, unless it was handed on. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/counter.h"
#include "base/own.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct nx_thing {
    int *released;
};
static void nx_thing_free(struct nx_thing *thing) {
    if (thing != NULL) {
        (*thing->released)++;
        free(thing);
    }
}
NX_DEFINE_AUTO(nx_thing, nx_thing_free)

static struct nx_thing *thing_new(int *released) {
    struct nx_thing *thing = malloc(sizeof *thing);
    assert_non_null(thing);
    thing->released = released;
    return thing;
}

static struct nx_thing *hand_on(int *released) {
    NX_AUTO(nx_thing) *thing = thing_new(released);
    return NX_TAKE(thing);
}

static void test_releases_at_the_end_of_the_scope(void **state) {
    (void)state;
    int released = 0;
    {
        NX_AUTO(nx_thing) *thing = thing_new(&released);
        (void)thing;
    }
    assert_int_equal(released, 1);
}

static void test_what_was_taken_is_not_released(void **state) {
    (void)state;
    int released = 0;
    struct nx_thing *thing = hand_on(&released);
    assert_int_equal(released, 0);
    nx_thing_free(thing);
    assert_int_equal(released, 1);
}

static void test_the_last_reference_is_told_so(void **state) {
    (void)state;
    struct nx_refcount refcount;
    nx_refcount_init(&refcount);
    nx_refcount_ref(&refcount);
    assert_false(nx_refcount_unref(&refcount));
    assert_true(nx_refcount_unref(&refcount));
    struct nx_counter counter = { 0 };
    nx_counter_add(&counter, 2);
    nx_counter_add(&counter, 3);
    assert_int_equal(nx_counter_get(&counter), 5);
    nx_counter_set(&counter, 1);
    assert_int_equal(nx_counter_get(&counter), 1);
}

static void test_a_failed_assertion_ends_the_process(void **state) {
    (void)state;
    nx_assert(1 + 1 == 2);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        nx_assert(1 + 1 == 3);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_releases_at_the_end_of_the_scope),
        cmocka_unit_test(test_what_was_taken_is_not_released),
        cmocka_unit_test(test_the_last_reference_is_told_so),
        cmocka_unit_test(test_a_failed_assertion_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
