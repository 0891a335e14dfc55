/* src/server/nats/quote_test.c: a foreign name shows as the server of NATS shows it, and ends no line. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "server/nats/quote.h"

static void assert_quoted(struct nx_str name, const char *expected) {
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, 256);
    nx_nats_quote(&text, name);
    if (!nx_str_is(nx_buf_str(&text), expected)) {
        fail_msg("%.*s is not %s", NX_STR_ARG(nx_buf_str(&text)), expected);
    }
}

static void test_quotes_as_go_does(void **state) {
    (void)state;
    assert_quoted(NX_STR("orders.new"), "\"orders.new\"");
    assert_quoted(NX_STR("a\"b\\c"), "\"a\\\"b\\\\c\"");
    assert_quoted(NX_STR("a\x01\x7f\t\n"), "\"a\\x01\\x7f\\t\\n\"");
    assert_quoted(NX_STR("é€😀"), "\"é€😀\"");
    assert_quoted(NX_STR("\xff\xc3"), "\"\\xff\\xc3\"");
    assert_quoted(NX_STR("\xe2\x82x"), "\"\\xe2\\x82x\"");
    assert_quoted(NX_STR_EMPTY, "\"\"");
}

int main(void) {
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_quotes_as_go_does) };
    return cmocka_run_group_tests_name("server/nats/quote", tests, NULL, NULL);
}
