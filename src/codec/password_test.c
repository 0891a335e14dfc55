/* src/codec/password_test.c: only the password itself is taken, against the plain one and against its hash.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "codec/password.h"

/* "s3cret", at the lowest cost. */
static const char hash[] = "$2b$04$U50vEK1GlQPhlauQ6InGkOwAst1vbPQCle/n2IhytU97dXNR5/GR.";

static void test_a_plain_password_is_compared_whole(void **state) {
    (void)state;
    assert_true(nx_password_matches(NX_STR("s3cret"), NX_STR("s3cret")));
    assert_false(nx_password_matches(NX_STR("s3cret"), NX_STR("s3cre")));
    assert_false(nx_password_matches(NX_STR("s3cret"), NX_STR("s3crets3cret")));
    assert_false(nx_password_matches(NX_STR("s3cret"), NX_STR_EMPTY));
    assert_false(nx_password_matches(NX_STR_EMPTY, NX_STR("a")));
    assert_true(nx_password_matches(NX_STR_EMPTY, NX_STR_EMPTY));
}

static void test_a_hash_is_taken_in_each_of_its_forms(void **state) {
    char text[sizeof hash];
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        memcpy(text, hash, sizeof hash);
        text[2] = "aby"[i];
        assert_true(nx_password_is_hash(nx_str_from_c(text)));
        assert_true(nx_password_matches(nx_str_from_c(text), NX_STR("s3cret")));
        assert_false(nx_password_matches(nx_str_from_c(text), NX_STR("s3creT")));
        assert_false(nx_password_matches(nx_str_from_c(text), NX_STR("s3cret\0")));
        assert_false(nx_password_matches(nx_str_from_c(text), NX_STR_EMPTY));
    }
}

static void test_a_hash_itself_is_no_password(void **state) {
    (void)state;
    assert_false(nx_password_matches(NX_STR(hash), NX_STR(hash)));
}

static void test_what_only_looks_like_a_hash_never_matches(void **state) {
    (void)state;
    assert_true(nx_password_is_hash(NX_STR("$2a$10$short")));
    assert_false(nx_password_matches(NX_STR("$2a$10$short"), NX_STR("$2a$10$short")));
    assert_false(nx_password_is_hash(NX_STR("$2a$1")));
    assert_false(nx_password_is_hash(NX_STR("$6$rounds$x")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plain_password_is_compared_whole),
        cmocka_unit_test(test_a_hash_is_taken_in_each_of_its_forms),
        cmocka_unit_test(test_a_hash_itself_is_no_password),
        cmocka_unit_test(test_what_only_looks_like_a_hash_never_matches),
    };
    return cmocka_run_group_tests_name("codec/password", tests, NULL, NULL);
}
