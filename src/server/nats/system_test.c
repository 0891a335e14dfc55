/* src/server/nats/system_test.c: the system account hears and asks what is its own, others only about
 * themselves; foreign options do no harm. The test is the transport. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "codec/json.h"
#include "io/clock.h"
#include "server/nats/system.h"

enum { SYS, ANN, BOB, CLIENTS, TEXT_SIZE_MAX = 64 * 1024 };

struct world {
    struct nx_nats_hub hub;
    struct nx_nats_counters counters;
    struct nx_nats_conn *conns[CLIENTS];
    char heard[TEXT_SIZE_MAX];
};

static void wants_flush(void *transport) {
    (void)transport;
}

static size_t unwritten(void *transport) {
    (void)transport;
    return 0;
}

static void pass(struct world *world, int64_t ns) {
    world->hub.now.monotonic_ns += ns;
    world->hub.now.wall_ns += ns;
}

static void say(struct world *world, size_t i, const char *bytes) {
    nx_nats_conn_feed(world->conns[i], nx_str_from_c(bytes));
}

/* What was said to this one since the last time. */
static const char *hear(struct world *world, size_t i) {
    struct nx_buf *output = nx_nats_conn_output(world->conns[i]);
    assert_true(output->len < sizeof world->heard);
    (void)snprintf(world->heard, sizeof world->heard, "%.*s", NX_STR_ARG(nx_buf_str(output)));
    nx_buf_reset(output);
    nx_nats_conn_wrote(world->conns[i]);
    return world->heard;
}

static void assert_heard(struct world *world, size_t i, const char *part) {
    const char *heard = hear(world, i);
    if (strstr(heard, part) == NULL) {
        fail_msg("'%s' is not in: %s", part, heard);
    }
}

static void assert_nothing(struct world *world, size_t i) {
    assert_string_equal(hear(world, i), "");
}

static void request(struct world *world, size_t i, const char *subject, const char *options) {
    char text[4096];
    (void)snprintf(text, sizeof text, "PUB %s reply %zu\r\n%s\r\n", subject, strlen(options), options);
    say(world, i, text);
}

static void open_conn(struct world *world, size_t i) {
    char text[256];
    assert_int_equal(nx_nats_conn_open(&world->hub, world, NX_STR("127.0.0.1:1"), &world->conns[i], NULL),
                     NX_OK);
    nx_nats_conn_greet(world->conns[i]);
    (void)snprintf(text, sizeof text,
                   "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,"
                   "\"user\":\"%c\",\"pass\":\"x\",\"name\":\"client\"}\r\nSUB reply 1\r\n",
                   "sab"[i]);
    pass(world, NX_NS_PER_MS);
    say(world, i, text);
    (void)hear(world, i);
}

static int setup(void **state) {
    static const struct nx_nats_user users[] = {
        { .name = NX_STR("s"), .password = NX_STR("x"), .account = NX_STR("SYS") },
        { .name = NX_STR("a"), .password = NX_STR("x"), .account = NX_STR("A") },
        { .name = NX_STR("b"), .password = NX_STR("x"), .account = NX_STR("B") },
    };
    struct world *world = calloc(1, sizeof *world);
    struct nx_nats_access *access = NULL;
    assert_non_null(world);
    assert_int_equal(
        nx_nats_access_new(&(struct nx_nats_options){ .users = users, .user_count = 3 }, 5, &access, NULL),
        NX_OK);
    world->hub.transport = (struct nx_nats_transport){ .wants_flush = wants_flush, .unwritten = unwritten };
    world->hub.info = (struct nx_nats_info){ .server_id = NX_STR("ID"),
                                             .server_name = NX_STR("here"),
                                             .version = NX_STR("2.10.0"),
                                             .payload_size_max = 8192 };
    world->hub.random = nx_random_system();
    world->hub.control_line_size_max = NX_NATS_CONTROL_LINE_SIZE_MAX;
    world->hub.pending_size_max = NX_NATS_OUTPUT_SIZE_MAX;
    world->hub.subscriptions_max = 100;
    world->hub.ping_interval_ns = (int64_t)100 * NX_NS_PER_S;
    world->hub.pings_max = NX_NATS_PINGS_MAX;
    world->hub.auth_timeout_ns = (int64_t)2 * NX_NS_PER_S;
    world->hub.counters = &world->counters;
    nx_nats_hub_init(&world->hub, 5, access);
    pass(world, NX_NS_PER_S);
    const struct nx_nats_monitor_options options = { .hub = &world->hub,
                                                     .connections_max = 10,
                                                     .system_account = NX_STR("SYS") };
    assert_int_equal(nx_nats_system_new(&world->hub, &options, 0, &world->hub.system, NULL), NX_OK);
    for (size_t i = 0; i < CLIENTS; i++) {
        open_conn(world, i);
    }
    (void)hear(world, SYS);
    *state = world;
    return 0;
}

static int teardown(void **state) {
    struct world *world = *state;
    for (size_t i = 0; i < CLIENTS; i++) {
        nx_nats_conn_close(world->conns[i]);
    }
    nx_nats_system_free(world->hub.system);
    nx_nats_hub_fini(&world->hub);
    free(world);
    return 0;
}

static void test_only_the_system_account_hears_who_comes_and_goes(void **state) {
    struct world *world = *state;
    say(world, SYS, "SUB $SYS.ACCOUNT.*.CONNECT 2\r\nSUB $SYS.ACCOUNT.*.DISCONNECT 3\r\n");
    say(world, BOB, "SUB $SYS.> 2\r\n");
    nx_nats_conn_close(world->conns[ANN]);
    assert_heard(world, SYS, "MSG $SYS.ACCOUNT.A.DISCONNECT 3 ");
    open_conn(world, ANN);
    assert_heard(world, SYS, "MSG $SYS.ACCOUNT.A.CONNECT 2 ");
    assert_nothing(world, BOB);
}

static void test_without_anybody_there_nothing_is_made(void **state) {
    struct world *world = *state;
    const uint64_t sent = nx_counter_get(&world->counters.messages_out);
    nx_nats_conn_close(NX_TAKE(world->conns[SYS]));
    nx_nats_system_tick(world->hub.system);
    nx_nats_system_ending(world->hub.system, ".SHUTDOWN");
    assert_int_equal(nx_counter_get(&world->counters.messages_out), sent);
}

static void test_requests_are_answered_to_whom_they_concern(void **state) {
    struct world *world = *state;
    request(world, SYS, "$SYS.REQ.ACCOUNT.B.CONNZ", "{\"limit\":10}");
    assert_heard(world, SYS, "\"num_connections\":1,");
    request(world, SYS, "$SYS.REQ.SERVER.ID.STATSZ", "");
    assert_heard(world, SYS, "\"active_accounts\":3");
    request(world, BOB, "$SYS.REQ.SERVER.ID.STATSZ", "");
    assert_heard(world, BOB, "HMSG reply 1 "); /* no responders */
    request(world, BOB, "$SYS.REQ.ACCOUNT.PING.CONNZ", "{\"acc\":\"A\"}");
    assert_heard(world, BOB, "\"num_connections\":1,");
    request(world, BOB, "$SYS.REQ.USER.INFO", "");
    assert_heard(world, BOB, "\"data\":{\"user\":\"b\",\"account\":\"B\"}");
}

static void test_what_is_no_request_is_a_message_like_any_other(void **state) {
    static const char *const subjects[] = {
        "$SYS.REQ.SERVER.PING.NONE", "$SYS.REQ.SERVER",  "$SYS.REQ.USER",      "$SYS.REQ.SERVER.OTHER.VARZ",
        "$SYS.REQ.USER.INFO.MORE",   "$SYS.REQ.ACCOUNT", "$SYS.REQ.ACCOUNT.A", "$SYS.REQS.USER.INFO"
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++) {
        request(world, SYS, subjects[i], "");
        assert_heard(world, SYS, "HMSG reply 1 ");
    }
    say(world, SYS, "PUB $SYS.REQ.USER.INFO 0\r\n\r\n"); /* nowhere to answer to */
    assert_nothing(world, SYS);
}

static void test_odd_options_are_told_or_say_nothing(void **state) {
    static const struct {
        const char *options;
        const char *heard;
    } cases[] = {
        { "{", "\"code\":400" },
        { "[1]", "\"num_connections\":3," },
        { "{\"limit\":{},\"sort\":[],\"cid\":null,\"state\":77,\"tags\":{},\"exact_match\":7}",
          "\"num_connections\":3," },
        { "{\"user\":\"a&limit=0%00\"}", "\"num_connections\":0," },
        { "{\"limit\":-1}", "\"num_connections\":3," },
        { "{\"limit\":1.5}", "\"num_connections\":3," },
        { "{\"filter_subject\":\"..\"}", "\"code\":500" },
        { "{\"sort\":\"stop\"}", "only valid on closed connections" },
        { "{\"state\":1}", "\"num_connections\":0," },
    };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        request(world, SYS, "$SYS.REQ.SERVER.PING.CONNZ", cases[i].options);
        assert_heard(world, SYS, cases[i].heard);
    }
    request(world, SYS, "$SYS.REQ.SERVER.PING.CONNZ", "{\"cluster\":\"c\"}");
    assert_nothing(world, SYS);
    request(world, SYS, "$SYS.REQ.SERVER.PING.IDZ", "{\"server_name\":\"her\",\"exact_match\":true}");
    assert_nothing(world, SYS);
}

static void test_who_is_kicked_ends(void **state) {
    struct world *world = *state;
    request(world, SYS, "$SYS.REQ.SERVER.ID.KICK", "{\"cid\":2}");
    assert_heard(world, SYS, "\"server\":");
    assert_true(nx_nats_conn_is_done(world->conns[ANN]));
    request(world, SYS, "$SYS.REQ.SERVER.ID.KICK", "{\"cid\":1}"); /* itself */
    assert_true(nx_nats_conn_is_done(world->conns[SYS]));
    assert_false(nx_nats_conn_is_done(world->conns[BOB]));
}

static void test_statistics_are_told_now_and_then(void **state) {
    struct world *world = *state;
    say(world, SYS, "SUB $SYS.SERVER.ID.STATSZ 2\r\nSUB $SYS.ACCOUNT.*.SERVER.CONNS 3\r\n");
    nx_nats_system_tick(world->hub.system);
    assert_heard(world, SYS, "MSG $SYS.SERVER.ID.STATSZ 2 ");
    nx_nats_system_tick(world->hub.system);
    assert_nothing(world, SYS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_the_system_account_hears_who_comes_and_goes, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_without_anybody_there_nothing_is_made, setup, teardown),
        cmocka_unit_test_setup_teardown(test_requests_are_answered_to_whom_they_concern, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_request_is_a_message_like_any_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd_options_are_told_or_say_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_is_kicked_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_statistics_are_told_now_and_then, setup, teardown),
    };
    return cmocka_run_group_tests_name("server/nats/system", tests, NULL, NULL);
}
