/* src/fabric/router/router_test.c: a message reaches exactly those that nx_subject_matches() says, and one of
 * a queue group; nothing is left behind by those that went. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "fabric/router/router.h"
#include "fabric/subject/subject.h"

enum { SUBSCRIPTIONS = 400, QUEUES = 4, ROUNDS = 20000, FILTER_SIZE = 32 };

struct subscription {
    struct nx_router_entry entry; /* first */
    char filter[FILTER_SIZE];
    char queue[4]; /* empty: none */
    unsigned got;
    bool refuses;
};

static bool accepts(void *data, const struct nx_router_entry *entry) {
    (void)data;
    return !((const struct subscription *)(const void *)entry)->refuses;
}

static struct nx_router *router_setup(void) {
    struct nx_router *router = NULL;
    assert_int_equal(nx_router_new(7, &router, NULL), NX_OK);
    return router;
}

static void add(struct nx_router *router, struct subscription *subscription, const char *filter,
                const char *queue) {
    (void)snprintf(subscription->filter, sizeof subscription->filter, "%s", filter);
    (void)snprintf(subscription->queue, sizeof subscription->queue, "%s", queue);
    assert_int_equal(
        nx_router_add(router, &subscription->entry, nx_str_from_c(filter), nx_str_from_c(queue), NULL),
        NX_OK);
}

static size_t deliver(struct nx_router *router, const char *subject) {
    NX_AUTO(nx_routes) routes;
    nx_routes_init(&routes);
    assert_int_equal(nx_router_match(router, nx_str_from_c(subject), accepts, NULL, &routes, NULL), NX_OK);
    for (size_t i = 0; i < routes.count; i++) {
        ((struct subscription *)(void *)routes.entries[i])->got++;
    }
    return routes.count;
}

static void test_every_plain_subscription_that_covers_it_gets_it(void **state) {
    static const char *const filters[] = { "a.b", "a.*", "a.>", "*.b", ">", "*.*" };
    static const char *const others[] = { "a", "a.b.c", "a.b.>", "*", "b.*", "a.c" };
    struct subscription covering[6] = { { .got = 0 } };
    struct subscription other[6] = { { .got = 0 } };
    NX_AUTO(nx_router) *router = router_setup();
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        add(router, &covering[i], filters[i], "");
        add(router, &other[i], others[i], "");
    }
    assert_int_equal(deliver(router, "a.b"), 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(covering[i].got, 1);
        assert_int_equal(other[i].got, 0);
    }
}

static void test_members_of_a_queue_take_turns(void **state) {
    struct subscription member[3] = { { .got = 0 } };
    struct subscription plain = { .got = 0 };
    NX_AUTO(nx_router) *router = router_setup();
    (void)state;
    add(router, &plain, "a", "");
    for (size_t i = 0; i < 3; i++) {
        add(router, &member[i], "a", "q");
    }
    for (size_t i = 0; i < 30; i++) {
        assert_int_equal(deliver(router, "a"), 2);
    }
    assert_int_equal(plain.got, 30);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(member[i].got, 10);
    }
}

static void test_a_queue_under_two_filters_is_one(void **state) {
    struct subscription narrow = { .got = 0 };
    struct subscription wide[3] = { { .got = 0 } };
    NX_AUTO(nx_router) *router = router_setup();
    (void)state;
    add(router, &narrow, "a.b", "q");
    for (size_t i = 0; i < 3; i++) {
        add(router, &wide[i], "a.*", "q");
    }
    for (size_t i = 0; i < 400; i++) {
        assert_int_equal(deliver(router, "a.b"), 1);
    }
    assert_int_equal(narrow.got, 100);
    assert_int_equal(wide[0].got, 100);
}

static void test_a_member_that_refuses_is_passed_over(void **state) {
    struct subscription member[2] = { { .refuses = true } };
    NX_AUTO(nx_router) *router = router_setup();
    (void)state;
    add(router, &member[0], "a", "q");
    add(router, &member[1], "a", "q");
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(deliver(router, "a"), 1);
    }
    assert_int_equal(member[1].got, 10);
    member[1].refuses = true;
    assert_int_equal(deliver(router, "a"), 0);
}

static void test_refuses_a_filter_with_too_many_tokens(void **state) {
    char filter[2 * (NX_ROUTER_TOKENS_MAX + 1)];
    struct nx_router_entry entry = { .node = NULL };
    struct nx_error err = { 0 };
    NX_AUTO(nx_router) *router = router_setup();
    (void)state;
    for (size_t i = 0; i < sizeof filter; i += 2) {
        filter[i] = 'a';
        filter[i + 1] = '.';
    }
    assert_int_equal(nx_router_add(router, &entry, nx_str_of(filter, sizeof filter - 1), NX_STR_EMPTY, &err),
                     NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "a subject has at most 255 tokens");
    assert_int_equal(nx_router_add(router, &entry, nx_str_of(filter, sizeof filter - 3), NX_STR_EMPTY, NULL),
                     NX_OK);
}

/* The model */

struct random {
    uint64_t state;
};

static unsigned draw(struct random *random, unsigned below) {
    random->state = random->state * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(random->state >> 33) % below;
}

/* Few words and few levels, so that filters meet. */
static void draw_subject(struct random *random, char *text, bool wildcards) {
    static const char *const words[] = { "a", "b", "c", "*", ">" };
    const unsigned tokens = 1 + draw(random, 4);
    size_t len = 0;
    for (unsigned i = 0; i < tokens; i++) {
        const char *word = words[draw(random, wildcards ? 4 : 3)];
        if (wildcards && i + 1 == tokens && draw(random, 4) == 0) {
            word = words[4];
        }
        len += (size_t)snprintf(text + len, FILTER_SIZE - len, "%s%s", i == 0 ? "" : ".", word);
    }
}

static void change_one(struct nx_router *router, struct random *random, struct subscription *subscription) {
    if (subscription->entry.node != NULL) {
        nx_router_remove(router, &subscription->entry);
        return;
    }
    char filter[FILTER_SIZE];
    const char queue[2] = { (char)('p' + draw(random, QUEUES)), '\0' };
    draw_subject(random, filter, true);
    add(router, subscription, filter, draw(random, 2) == 0 ? "" : queue);
}

static void compare(struct nx_router *router, struct subscription *subscriptions, const char *subject) {
    unsigned wanted_of_queue[QUEUES] = { 0 };
    unsigned got_of_queue[QUEUES] = { 0 };
    for (size_t i = 0; i < SUBSCRIPTIONS; i++) {
        subscriptions[i].got = 0;
    }
    (void)deliver(router, subject);
    for (size_t i = 0; i < SUBSCRIPTIONS; i++) {
        const struct subscription *subscription = &subscriptions[i];
        const bool covers = subscription->entry.node != NULL &&
                            nx_subject_matches(nx_str_from_c(subscription->filter), nx_str_from_c(subject));
        if (subscription->queue[0] == '\0' || !covers) {
            assert_int_equal(subscription->got, covers);
            continue;
        }
        wanted_of_queue[subscription->queue[0] - 'p'] = 1;
        got_of_queue[subscription->queue[0] - 'p'] += subscription->got;
    }
    assert_memory_equal(wanted_of_queue, got_of_queue, sizeof wanted_of_queue);
}

static void test_agrees_with_a_model_while_subscriptions_come_and_go(void **state) {
    static struct subscription subscriptions[SUBSCRIPTIONS];
    struct random random = { .state = 20260101 };
    char subject[FILTER_SIZE];
    NX_AUTO(nx_router) *router = router_setup();
    (void)state;
    for (size_t i = 0; i < ROUNDS; i++) {
        change_one(router, &random, &subscriptions[draw(&random, SUBSCRIPTIONS)]);
        if (i % 4 == 0) {
            draw_subject(&random, subject, false);
            compare(router, subscriptions, subject);
        }
    }
    for (size_t i = 0; i < SUBSCRIPTIONS; i++) {
        nx_router_remove(router, &subscriptions[i].entry);
    }
    assert_int_equal(nx_router_count(router), 0);
    assert_int_equal(deliver(router, "a.b"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_plain_subscription_that_covers_it_gets_it),
        cmocka_unit_test(test_members_of_a_queue_take_turns),
        cmocka_unit_test(test_a_queue_under_two_filters_is_one),
        cmocka_unit_test(test_a_member_that_refuses_is_passed_over),
        cmocka_unit_test(test_refuses_a_filter_with_too_many_tokens),
        cmocka_unit_test(test_agrees_with_a_model_while_subscriptions_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
