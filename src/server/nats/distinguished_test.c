/* src/server/nats/distinguished_test.c: a certificate's name is the same however it is written, and never the
 * same as another's. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "server/nats/distinguished.h"

static bool is_same(const char *a, const char *b) {
    const bool same = nx_nats_dn_is_same(nx_str_from_c(a), nx_str_from_c(b));
    assert_int_equal(nx_nats_dn_is_same(nx_str_from_c(b), nx_str_from_c(a)), same);
    return same;
}

static void test_order_spaces_and_letters_of_attributes_do_not_matter(void **state) {
    (void)state;
    assert_true(is_same("CN=bob,OU=Ops,O=Example,C=DE", "C=DE, O=Example, OU=Ops, CN=bob"));
    assert_true(is_same("cn = bob", "CN=bob"));
    assert_true(is_same("OU=a,OU=b,CN=x", "CN=x,OU=b,OU=a"));
    assert_true(is_same("CN=a+OU=b", "OU=b,CN=a"));
    assert_true(is_same("CN=x\\,y,O=z", "O=z,CN=x\\,y"));
}

static void test_every_part_counts(void **state) {
    (void)state;
    assert_false(is_same("CN=bob,O=Example", "CN=bob"));
    assert_false(is_same("CN=bob,O=Example", "CN=Bob,O=Example"));
    assert_false(is_same("OU=a,OU=a,CN=x", "CN=x,OU=a,OU=b"));
    assert_false(is_same("CN=x\\,O=z", "CN=x,O=z"));
    assert_false(is_same("bob", "bob"));
    assert_false(is_same("", ""));
    assert_false(is_same("CN=a\\", "CN=a"));
}

static void test_endless_names_are_nobodys(void **state) {
    char text[4 * NX_NATS_DN_PARTS_MAX + 8] = "";
    (void)state;
    for (size_t i = 0; i <= NX_NATS_DN_PARTS_MAX; i++) {
        text[4 * i] = 'O';
        text[4 * i + 1] = '=';
        text[4 * i + 2] = 'a';
        text[4 * i + 3] = ',';
    }
    assert_false(is_same(text, text));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_spaces_and_letters_of_attributes_do_not_matter),
        cmocka_unit_test(test_every_part_counts),
        cmocka_unit_test(test_endless_names_are_nobodys),
    };
    return cmocka_run_group_tests_name("server/nats/distinguished", tests, NULL, NULL);
}
