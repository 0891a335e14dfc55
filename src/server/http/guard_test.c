/* src/server/http/guard_test.c: programs of this machine get in, web pages do not. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "server/http/guard.h"

static int check(enum nx_http_method method, const char *authority, const char *origin, const char *site) {
    struct nx_http_request *request = NULL;
    struct nx_error err = { 0 };
    assert_int_equal(nx_http_request_new(&request, NULL), NX_OK);
    nx_http_request_reset(request);
    request->method = method;
    request->authority = nx_str_from_c(authority);
    if (origin != NULL) {
        request->headers[request->header_count++] =
            (struct nx_header){ .name = NX_STR("ORIGIN"), .value = nx_str_from_c(origin) };
    }
    if (site != NULL) {
        request->headers[request->header_count++] =
            (struct nx_header){ .name = NX_STR("Sec-Fetch-Site"), .value = nx_str_from_c(site) };
    }
    const enum nx_status status = nx_http_guard_check(request, &err);
    nx_http_request_free(request);
    return status == NX_OK ? (int)NX_KIND_NONE : (int)err.kind;
}

static void test_knows_the_names_of_loopback(void **state) {
    static const char *const good[] = { "localhost",      "localhost:8080", "LOCALHOST:1", "127.0.0.1",
                                        "127.0.0.1:8080", "[::1]",          "[::1]:8080",  "localhost:" };
    static const char *const bad[] = { "",
                                       "localhost.evil.example",
                                       "localhost:80@evil.example",
                                       "localhost:x",
                                       "localhost:99999",
                                       "127.0.0.1.nip.io",
                                       "127.0.0.10",
                                       "::1",
                                       "[::1].example",
                                       "evil.example:8080",
                                       "0.0.0.0" };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(check(NX_HTTP_POST, good[i], NULL, NULL), NX_KIND_NONE);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(check(NX_HTTP_GET, bad[i], NULL, NULL), NX_KIND_WRONG_HOST);
    }
}

static void test_lets_no_page_of_another_site_post(void **state) {
    static const char *const others[] = { "http://evil.example",   "https://localhost:8080", "null", "",
                                          "http://localhost:3000", "http://127.0.0.1:8080" };
    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(check(NX_HTTP_POST, "localhost:8080", others[i], NULL), NX_KIND_WRONG_ORIGIN);
        assert_int_equal(check(NX_HTTP_OTHER, "localhost:8080", others[i], NULL), NX_KIND_WRONG_ORIGIN);
    }
    assert_int_equal(check(NX_HTTP_POST, "localhost:8080", NULL, "cross-site"), NX_KIND_WRONG_ORIGIN);
    assert_int_equal(check(NX_HTTP_POST, "localhost:8080", NULL, "same-site"), NX_KIND_WRONG_ORIGIN);
}

static void test_lets_our_own_page_post(void **state) {
    (void)state;
    assert_int_equal(check(NX_HTTP_POST, "localhost:8080", "http://localhost:8080", "same-origin"),
                     NX_KIND_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_knows_the_names_of_loopback),
        cmocka_unit_test(test_lets_no_page_of_another_site_post),
        cmocka_unit_test(test_lets_our_own_page_post),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
