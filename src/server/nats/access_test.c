/* src/server/nats/access_test.c: only who has the credentials is let in, and only what the permissions name
 * is allowed; what cannot be is refused when it is read. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "codec/password.h"
#include "server/nats/access.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static struct nx_nats_access *access_of(const struct nx_nats_options *options) {
    struct nx_nats_access *access = NULL;
    assert_int_equal(nx_nats_access_new(options, 7, &access, NULL), NX_OK);
    return access;
}

/* Doubts are cleared at once. */
static const struct nx_nats_user *who_is(const struct nx_nats_access *access,
                                         struct nx_nats_credentials credentials) {
    struct nx_nats_doubt doubt;
    const struct nx_nats_user *user = nx_nats_access_check(access, &credentials, &doubt);
    if (user != NULL && doubt.hash.len > 0) {
        if (!nx_password_matches(doubt.hash, doubt.given)) {
            return NULL;
        }
        credentials.matched_hash = doubt.hash;
        user = nx_nats_access_check(access, &credentials, &doubt);
        assert_int_equal(doubt.hash.len, 0);
    }
    return user;
}

static const struct nx_nats_user *check(const struct nx_nats_access *access, const char *name,
                                        const char *password) {
    const struct nx_nats_credentials credentials = { .name = nx_str_from_c(name),
                                                     .password = nx_str_from_c(password) };
    return who_is(access, credentials);
}

static void test_without_users_anybody_is_let_in(void **state) {
    NX_AUTO(nx_nats_access) *access = access_of(&(struct nx_nats_options){ .port = 0 });
    (void)state;
    assert_false(nx_nats_access_is_required(access));
    const struct nx_nats_user *user = check(access, "who", "ever");
    assert_non_null(user);
    assert_true(nx_str_is(user->account, "$G"));
}

static void test_a_user_needs_its_own_password(void **state) {
    const struct nx_nats_user users[] = {
        { .name = NX_STR("ann"), .password = NX_STR("a"), .account = NX_STR("A") },
        { .name = NX_STR("bob"),
          .password = NX_STR("$2b$04$U50vEK1GlQPhlauQ6InGkOwAst1vbPQCle/n2IhytU97dXNR5/GR.") },
    };
    NX_AUTO(nx_nats_access) *access = access_of(&(struct nx_nats_options){ .users = users, .user_count = 2 });
    (void)state;
    assert_true(nx_nats_access_is_required(access));
    assert_true(nx_str_is(check(access, "ann", "a")->account, "A"));
    assert_true(nx_str_is(check(access, "bob", "s3cret")->account, "$G"));
    assert_null(check(access, "ann", "s3cret"));
    assert_null(check(access, "bob", "a"));
    assert_null(check(access, "carl", ""));
    assert_null(check(access, "", ""));
}

static void test_a_token_or_one_user_is_enough(void **state) {
    NX_AUTO(nx_nats_access) *tokens = access_of(&(struct nx_nats_options){ .token = NX_STR("t0ken") });
    NX_AUTO(nx_nats_access) *one =
        access_of(&(struct nx_nats_options){ .user_name = NX_STR("ann"), .user_password = NX_STR("a") });
    (void)state;
    assert_non_null(who_is(tokens, (struct nx_nats_credentials){ .token = NX_STR("t0ken") }));
    assert_null(who_is(tokens, (struct nx_nats_credentials){ .token = NX_STR("t0ke") }));
    assert_null(check(tokens, "t0ken", "t0ken"));
    assert_non_null(check(one, "ann", "a"));
    assert_null(check(one, "ann", ""));
}

static void test_who_says_nothing_is_the_no_auth_user(void **state) {
    const struct nx_nats_user users[] = { { .name = NX_STR("ann"), .password = NX_STR("a") } };
    NX_AUTO(nx_nats_access) *access = access_of(
        &(struct nx_nats_options){ .users = users, .user_count = 1, .no_auth_user = NX_STR("ann") });
    (void)state;
    assert_true(nx_nats_access_has_no_auth_user(access));
    assert_true(nx_str_is(check(access, "", "")->name, "ann"));
    assert_null(check(access, "ann", "b"));
    assert_null(check(access, "", "a"));
}

static void test_a_certificate_names_its_user(void **state) {
    const struct nx_nats_user users[] = { { .name = NX_STR("ann@example.com") },
                                          { .name = NX_STR("O=Example, CN=dan") },
                                          { .name = NX_STR("bob"), .password = NX_STR("b") } };
    const struct nx_nats_options options = { .users = users,
                                             .user_count = 3,
                                             .tls = { .verify_and_map = true } };
    const struct nx_str ann[] = { NX_STR("other"), NX_STR("ann@example.com") };
    const struct nx_str bob[] = { NX_STR("bob") };
    NX_AUTO(nx_nats_access) *access = access_of(&options);
    struct nx_nats_credentials credentials = { .certificate_names = ann, .certificate_name_count = 2 };
    (void)state;
    assert_true(nx_str_is(who_is(access, credentials)->name, "ann@example.com"));
    credentials = (struct nx_nats_credentials){ .certificate_names = bob, .certificate_name_count = 1 };
    assert_null(who_is(access, credentials));
    credentials.password = NX_STR("b");
    assert_non_null(who_is(access, credentials));
    const struct nx_str dan[] = { NX_STR("dan"), NX_STR("CN=dan,O=Example") };
    credentials = (struct nx_nats_credentials){ .certificate_names = dan, .certificate_name_count = 2 };
    assert_non_null(who_is(access, credentials));
    assert_null(check(access, "ann@example.com", "")); /* without a certificate */
}

static void test_allow_and_deny_limit_what_is_published(void **state) {
    const struct nx_nats_rule allow[] = { { .subject = NX_STR("foo.*") }, { .subject = NX_STR("a.>") } };
    const struct nx_nats_rule deny[] = { { .subject = NX_STR("foo.bad") } };
    const struct nx_nats_permissions limited = {
        .publish = { .allow = allow, .allow_count = 2, .deny = deny, .deny_count = 1, .is_limited = true }
    };
    const struct nx_nats_permissions denied = { .publish = { .deny = deny, .deny_count = 1 } };
    const struct nx_nats_permissions nothing = { .publish = { .is_limited = true } };
    (void)state;
    assert_true(nx_nats_may_publish(&limited, NX_STR("foo.good")));
    assert_true(nx_nats_may_publish(&limited, NX_STR("a.b.c")));
    assert_false(nx_nats_may_publish(&limited, NX_STR("foo.bad")));
    assert_false(nx_nats_may_publish(&limited, NX_STR("foo")));
    assert_false(nx_nats_may_publish(&limited, NX_STR("a")));
    assert_true(nx_nats_may_publish(&denied, NX_STR("bar")));
    assert_false(nx_nats_may_publish(&denied, NX_STR("foo.bad")));
    assert_false(nx_nats_may_publish(&nothing, NX_STR("a")));
    assert_true(nx_nats_may_publish(NULL, NX_STR("a")));
}

static void test_a_subscription_is_allowed_only_as_a_whole(void **state) {
    const struct nx_nats_rule allow[] = { { .subject = NX_STR("foo.*") } };
    const struct nx_nats_rule deny[] = { { .subject = NX_STR("foo.secret") } };
    const struct nx_nats_permissions permissions = {
        .subscribe = { .allow = allow, .allow_count = 1, .deny = deny, .deny_count = 1, .is_limited = true }
    };
    (void)state;
    assert_true(nx_nats_may_subscribe(&permissions, NX_STR("foo.*"), NX_STR_EMPTY));
    assert_false(nx_nats_may_subscribe(&permissions, NX_STR("foo.>"), NX_STR_EMPTY));
    assert_false(nx_nats_may_subscribe(&permissions, NX_STR("*.a"), NX_STR_EMPTY));
    assert_false(nx_nats_may_subscribe(&permissions, NX_STR(">"), NX_STR_EMPTY));
    assert_false(nx_nats_may_subscribe(&permissions, NX_STR("foo.secret"), NX_STR_EMPTY));
    assert_true(nx_nats_is_withheld(&permissions, NX_STR("foo.secret"), NX_STR_EMPTY));
    assert_false(nx_nats_is_withheld(&permissions, NX_STR("foo.open"), NX_STR_EMPTY));
}

static void test_rules_of_queues_are_those_of_nats(void **state) {
    const struct nx_nats_rule allow[] = {
        { .subject = NX_STR("q.x"), .queue = NX_STR("v1") },
        { .subject = NX_STR("q.y") },
        { .subject = NX_STR("q.y"), .queue = NX_STR("v2.*") },
        { .subject = NX_STR("q.z") },
    };
    const struct nx_nats_rule deny[] = { { .subject = NX_STR("q.y"), .queue = NX_STR("v2.z") } };
    const struct nx_nats_permissions permissions = {
        .subscribe = { .allow = allow, .allow_count = 4, .deny = deny, .deny_count = 1, .is_limited = true }
    };
    static const struct {
        const char *filter;
        const char *queue;
        bool allowed;
    } cases[] = {
        { "q.x", "", false },   { "q.x", "v1", true },   { "q.x", "v2", false },   { "q.y", "", true },
        { "q.y", "v1", false }, { "q.y", "v2.a", true }, { "q.y", "v2.z", false }, { "q.z", "any", true },
        { "q.z", "", true },    { "bar", "q", false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(nx_nats_may_subscribe(&permissions, nx_str_from_c(cases[i].filter),
                                               nx_str_from_c(cases[i].queue)),
                         cases[i].allowed);
    }
}

static void assert_refused(const struct nx_nats_options *options, const char *message) {
    struct nx_nats_access *access = NULL;
    struct nx_error err = { 0 };
    assert_int_equal(nx_nats_access_new(options, 7, &access, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, message);
}

static void test_what_cannot_be_is_refused_without_secrets(void **state) {
    const struct nx_nats_user twice[] = { { .name = NX_STR("ann"), .password = NX_STR("secret") },
                                          { .name = NX_STR("ann"), .password = NX_STR("secret") } };
    const struct nx_nats_user no_nkey[] = { { .nkey = NX_STR("UABC") } };
    const struct nx_nats_rule rule[] = { { .subject = NX_STR("a..b") } };
    const struct nx_nats_rule queued[] = { { .subject = NX_STR("a"), .queue = NX_STR("q") } };
    const struct nx_nats_permissions bad = { .subscribe = { .deny = rule, .deny_count = 1 } };
    const struct nx_nats_permissions bad_queue = { .publish = { .allow = queued, .allow_count = 1 } };
    const struct nx_nats_user with_bad[] = { { .name = NX_STR("ann"), .permissions = &bad } };
    const struct nx_nats_user with_queue[] = { { .name = NX_STR("ann"), .permissions = &bad_queue } };
    (void)state;
    assert_refused(&(struct nx_nats_options){ .users = twice, .user_count = 2 },
                   "user \"ann\" is there twice");
    assert_refused(&(struct nx_nats_options){ .users = no_nkey, .user_count = 1 },
                   "\"UABC\" is not a valid public nkey for a user");
    assert_refused(&(struct nx_nats_options){ .users = with_bad, .user_count = 1 },
                   "permissions of user \"ann\": subject \"a..b\" is not a valid subject");
    assert_refused(&(struct nx_nats_options){ .users = with_queue, .user_count = 1 },
                   "permissions of user \"ann\": subject \"a\" has a queue, which only subscriptions have");
    assert_refused(
        &(struct nx_nats_options){ .users = twice, .user_count = 1, .no_auth_user = NX_STR("bob") },
        "no_auth_user: \"bob\" is no user");
    assert_refused(&(struct nx_nats_options){ .users = twice, .user_count = 1, .token = NX_STR("secret") },
                   "there cannot be a list of users, and a token or one user");
}

static void test_a_user_is_found_again_only_with_the_same_credentials(void **state) {
    const struct nx_nats_user before[] = { { .name = NX_STR("ann"), .password = NX_STR("a") },
                                           { .name = NX_STR("bob"), .password = NX_STR("b") },
                                           { .name = NX_STR("carl"), .password = NX_STR("c") },
                                           { .name = NX_STR("dan"), .password = NX_STR("d") } };
    const struct nx_nats_user after[] = {
        { .name = NX_STR("ann"), .password = NX_STR("a") },
        { .name = NX_STR("bob"), .password = NX_STR("other") },
        { .name = NX_STR("carl"), .password = NX_STR("c"), .account = NX_STR("C") }
    };
    NX_AUTO(nx_nats_access) *previous =
        access_of(&(struct nx_nats_options){ .users = before, .user_count = 4 });
    NX_AUTO(nx_nats_access) *next = access_of(&(struct nx_nats_options){ .users = after, .user_count = 3 });
    NX_AUTO(nx_nats_access) *open = access_of(&(struct nx_nats_options){ .port = 0 });
    (void)state;
    assert_ptr_equal(nx_nats_access_find_again(next, previous, check(previous, "ann", "a")),
                     check(next, "ann", "a"));
    assert_null(nx_nats_access_find_again(next, previous, check(previous, "bob", "b")));
    assert_null(nx_nats_access_find_again(next, previous, check(previous, "carl", "c")));
    assert_null(nx_nats_access_find_again(next, previous, check(previous, "dan", "d")));
    assert_non_null(nx_nats_access_find_again(open, previous, check(previous, "ann", "a")));
    assert_null(nx_nats_access_find_again(next, open, check(open, "", "")));
}

static void test_who_may_answer_publishes_otherwise_only_what_is_listed(void **state) {
    const struct nx_nats_rule jobs = { .subject = NX_STR("jobs") };
    const struct nx_nats_permissions answers = { .allow_responses = true };
    const struct nx_nats_permissions both = { .allow_responses = true,
                                              .publish = { .allow = &jobs, .allow_count = 1 } };
    const struct nx_nats_user users[] = {
        { .name = NX_STR("ann"), .permissions = &answers },
        { .name = NX_STR("bob"), .permissions = &both },
    };
    NX_AUTO(nx_nats_access) *access = access_of(&(struct nx_nats_options){ .users = users, .user_count = 2 });
    (void)state;
    assert_false(nx_nats_may_publish(check(access, "ann", "")->permissions, NX_STR("jobs")));
    assert_true(nx_nats_may_publish(check(access, "bob", "")->permissions, NX_STR("jobs")));
    assert_false(nx_nats_may_publish(check(access, "bob", "")->permissions, NX_STR("other")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_users_anybody_is_let_in),
        cmocka_unit_test(test_a_user_needs_its_own_password),
        cmocka_unit_test(test_a_token_or_one_user_is_enough),
        cmocka_unit_test(test_who_says_nothing_is_the_no_auth_user),
        cmocka_unit_test(test_a_certificate_names_its_user),
        cmocka_unit_test(test_allow_and_deny_limit_what_is_published),
        cmocka_unit_test(test_a_subscription_is_allowed_only_as_a_whole),
        cmocka_unit_test(test_rules_of_queues_are_those_of_nats),
        cmocka_unit_test(test_what_cannot_be_is_refused_without_secrets),
        cmocka_unit_test(test_a_user_is_found_again_only_with_the_same_credentials),
        cmocka_unit_test(test_who_may_answer_publishes_otherwise_only_what_is_listed),
    };
    return cmocka_run_group_tests_name("server/nats/access", tests, NULL, NULL);
}
