/* src/server/nats/known_test.c: only what was found is known, in this process, and no more than there is room
 * for. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <setjmp.h>

#include <cmocka.h>

#include "server/nats/known.h"

#define HASH "$2a$10$0123456789012345678901234567890123456789012345678901234"
#define OTHER "$2a$10$1123456789012345678901234567890123456789012345678901234"

static void test_only_what_was_found_is_known(void **state) {
    const struct nx_random random = nx_random_system();
    struct nx_nats_known known;
    struct nx_nats_known elsewhere;
    (void)state;
    nx_nats_known_init(&known, &random);
    nx_nats_known_init(&elsewhere, &random);
    assert_false(nx_nats_known_has(&known, NX_STR(HASH), NX_STR("a")));
    nx_nats_known_add(&known, NX_STR(HASH), NX_STR("a"));
    assert_true(nx_nats_known_has(&known, NX_STR(HASH), NX_STR("a")));
    assert_false(nx_nats_known_has(&known, NX_STR(HASH), NX_STR("b")));
    assert_false(nx_nats_known_has(&known, NX_STR(HASH), NX_STR("a\0")));
    assert_false(nx_nats_known_has(&known, NX_STR(OTHER), NX_STR("a")));
    assert_false(nx_nats_known_has(&elsewhere, NX_STR(HASH), NX_STR("a")));
    nx_nats_known_fini(&known);
    nx_nats_known_fini(&elsewhere);
}

static void test_it_begins_anew_when_it_is_full(void **state) {
    const struct nx_random random = nx_random_system();
    struct nx_nats_known known;
    char password[16];
    (void)state;
    nx_nats_known_init(&known, &random);
    for (int i = 0; i <= NX_NATS_KNOWN_MAX; i++) {
        (void)snprintf(password, sizeof password, "%d", i);
        nx_nats_known_add(&known, NX_STR(HASH), nx_str_from_c(password));
    }
    assert_int_equal(known.matches.count, 1);
    assert_true(nx_nats_known_has(&known, NX_STR(HASH), nx_str_from_c(password)));
    nx_nats_known_fini(&known);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_what_was_found_is_known),
        cmocka_unit_test(test_it_begins_anew_when_it_is_full),
    };
    return cmocka_run_group_tests_name("server/nats/known", tests, NULL, NULL);
}
