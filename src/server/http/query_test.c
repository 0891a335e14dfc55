/* src/server/http/query_test.c: a parameter is understood or refused, never ignored. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "io/clock.h"
#include "server/http/query.h"

static const char *const names[] = { "type", "limit", "since", NULL };
static struct nx_arena arena;

static int setup(void **state) {
    (void)state;
    nx_arena_init(&arena, 64 * 1024);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    nx_arena_fini(&arena);
    return 0;
}

static void test_decodes_values(void **state) {
    struct nx_http_query query;
    (void)state;
    assert_int_equal(nx_http_query_parse(NX_STR("type=a%2Bb+c&&limit=5"), names, &arena, &query, NULL),
                     NX_OK);
    assert_true(nx_str_is(nx_http_query_value(&query, "type"), "a+b c"));
    assert_true(nx_str_is(nx_http_query_value(&query, "limit"), "5"));
    assert_null(nx_http_query_value(&query, "since").ptr);
}

static void test_names_the_nearest_right_word(void **state) {
    struct nx_http_query query;
    struct nx_error err = { 0 };
    (void)state;
    assert_int_equal(nx_http_query_parse(NX_STR("limt=5"), names, &arena, &query, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "there is no parameter 'limt' here");
    assert_string_equal(err.hint, "did you mean 'limit'?");
}

static void test_refuses_doubles_and_bad_text(void **state) {
    static const char *const bad[] = { "type=a&type=b", "type=%4", "type=%zz", "type=%ff", "=x" };
    struct nx_http_query query;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(nx_http_query_parse(nx_str_from_c(bad[i]), names, &arena, &query, NULL),
                         NX_INVALID_ARGUMENT);
    }
}

static void test_reads_numbers_within_their_bounds(void **state) {
    struct nx_http_query query;
    uint64_t value = 7;
    (void)state;
    assert_int_equal(nx_http_query_parse(NX_STR("type=x"), names, &arena, &query, NULL), NX_OK);
    assert_int_equal(nx_http_query_u64(&query, "limit", 1, 10, &value, NULL), NX_OK);
    assert_int_equal(value, 7);
    static const char *const bad[] = { "limit=0", "limit=11", "limit=", "limit=-1", "limit=1.0" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(nx_http_query_parse(nx_str_from_c(bad[i]), names, &arena, &query, NULL), NX_OK);
        assert_int_equal(nx_http_query_u64(&query, "limit", 1, 10, &value, NULL), NX_INVALID_ARGUMENT);
    }
}

static void test_reads_times_and_durations_before_now(void **state) {
    const int64_t now_ns = 1000000LL * NX_NS_PER_S;
    struct nx_http_query query;
    int64_t time_ns = -1;
    (void)state;
    assert_int_equal(nx_http_query_parse(NX_STR("since=10m"), names, &arena, &query, NULL), NX_OK);
    assert_int_equal(nx_http_query_time(&query, "since", now_ns, &time_ns, NULL), NX_OK);
    assert_int_equal(time_ns, now_ns - 600LL * NX_NS_PER_S);
    assert_int_equal(nx_http_query_parse(NX_STR("since=1970-01-01T00:00:01Z"), names, &arena, &query, NULL),
                     NX_OK);
    assert_int_equal(nx_http_query_time(&query, "since", now_ns, &time_ns, NULL), NX_OK);
    assert_int_equal(time_ns, NX_NS_PER_S);
    assert_int_equal(nx_http_query_parse(NX_STR("since=yesterday"), names, &arena, &query, NULL), NX_OK);
    assert_int_equal(nx_http_query_time(&query, "since", now_ns, &time_ns, NULL), NX_INVALID_ARGUMENT);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_decodes_values),
        TEST(test_names_the_nearest_right_word),
        TEST(test_refuses_doubles_and_bad_text),
        TEST(test_reads_numbers_within_their_bounds),
        TEST(test_reads_times_and_durations_before_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
