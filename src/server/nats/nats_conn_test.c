/* src/server/nats/nats_conn_test.c: messages reach those who subscribed, and nobody else; what a client does
 * wrong ends that client alone. The test is the transport. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/clock.h"
#include "server/nats/conn.h"

enum { CLIENTS = 3, PAYLOAD_SIZE_MAX = 1024, SUBSCRIPTIONS_MAX = 100 };
static const int64_t second_ns = NX_NS_PER_S;

struct client {
    struct nx_nats_conn *conn;
    size_t unwritten;
};

struct world {
    struct nx_nats_hub hub;
    struct nx_nats_counters counters;
    struct client clients[CLIENTS];
};

static void wants_flush(void *transport) {
    (void)transport;
}

static size_t unwritten(void *transport) {
    return ((const struct client *)transport)->unwritten;
}

static void assert_said(struct client *client, const char *expected) {
    struct nx_buf *output = nx_nats_conn_output(client->conn);
    if (!nx_str_is(nx_buf_str(output), expected)) {
        fail_msg("'%.*s' is not '%s'", NX_STR_ARG(nx_buf_str(output)), expected);
    }
    nx_buf_reset(output);
    nx_nats_conn_wrote(client->conn);
}

static void say(struct client *client, const char *bytes) {
    nx_nats_conn_feed(client->conn, nx_str_from_c(bytes));
}

static void open_clients(struct world *world, const struct nx_nats_options *options) {
    struct nx_nats_access *access = NULL;
    assert_int_equal(nx_nats_access_new(options, 5, &access, NULL), NX_OK);
    world->hub.transport = (struct nx_nats_transport){ .wants_flush = wants_flush, .unwritten = unwritten };
    world->hub.info = (struct nx_nats_info){ .server_id = NX_STR("ID"),
                                             .version = NX_STR("2.10.0"),
                                             .payload_size_max = PAYLOAD_SIZE_MAX };
    world->hub.random = nx_random_system();
    world->hub.control_line_size_max = NX_NATS_CONTROL_LINE_SIZE_MAX;
    world->hub.pending_size_max = NX_NATS_OUTPUT_SIZE_MAX;
    world->hub.subscriptions_max = SUBSCRIPTIONS_MAX;
    world->hub.ping_interval_ns = 10 * second_ns;
    world->hub.pings_max = NX_NATS_PINGS_MAX;
    world->hub.auth_timeout_ns = 2 * second_ns;
    world->hub.counters = &world->counters;
    world->hub.now.monotonic_ns = second_ns;
    nx_nats_hub_init(&world->hub, 5, access);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *client = &world->clients[i];
        assert_int_equal(nx_nats_conn_open(&world->hub, client, NX_STR("127.0.0.1"), &client->conn, NULL),
                         NX_OK);
        assert_said(client, "");
        nx_nats_conn_greet(client->conn);
        nx_nats_conn_await(client->conn);
    }
}

/* Anybody may connect, and all have. */
static int setup(void **state) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    open_clients(world, &(struct nx_nats_options){ .port = 0 });
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *client = &world->clients[i];
        assert_true(nx_str_starts_with(nx_buf_str(nx_nats_conn_output(client->conn)),
                                       NX_STR("INFO {\"server_id\":\"ID\"")));
        nx_buf_reset(nx_nats_conn_output(client->conn));
        say(client,
            "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n"
            "PING\r\n");
        assert_said(client, "PONG\r\n");
    }
    *state = world;
    return 0;
}

static const struct nx_nats_rule ann_allow[] = { { .subject = NX_STR("foo.*") },
                                                 { .subject = NX_STR("_INBOX.>") } };
static const struct nx_nats_rule ann_deny[] = { { .subject = NX_STR("foo.secret") } };
static const struct nx_nats_rule bob_allow[] = { { .subject = NX_STR("req.>") } };
static const struct nx_nats_permissions ann_permissions = {
    .publish = { .allow = ann_allow, .allow_count = 2, .is_limited = true },
    .subscribe = { .allow = ann_allow,
                   .allow_count = 2,
                   .deny = ann_deny,
                   .deny_count = 1,
                   .is_limited = true },
};
static const struct nx_nats_permissions bob_permissions = {
    .subscribe = { .allow = bob_allow, .allow_count = 1, .is_limited = true },
    .allow_responses = true,
    .responses_max = 1,
};
static const struct nx_nats_user guarded_users[] = {
    { .name = NX_STR("ann"), .password = NX_STR("a"), .permissions = &ann_permissions },
    { .name = NX_STR("bob"), .password = NX_STR("b"), .permissions = &bob_permissions },
    { .name = NX_STR("carl"), .password = NX_STR("c") },
    { .name = NX_STR("dora"), .password = NX_STR("d"), .account = NX_STR("D") },
};
static const struct nx_nats_options guarded = { .users = guarded_users, .user_count = 4 };

/* Each client is a user; nobody has said so yet. */
static int setup_guarded(void **state) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    open_clients(world, &guarded);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct nx_buf *output = nx_nats_conn_output(world->clients[i].conn);
        assert_true(nx_str_find(nx_buf_str(output), NX_STR("\"auth_required\":true")) != SIZE_MAX);
        nx_buf_reset(output);
    }
    *state = world;
    return 0;
}

static void connect_as(struct client *client, const char *name, const char *password) {
    char text[256];
    (void)snprintf(
        text, sizeof text,
        "CONNECT {\"user\":\"%s\",\"pass\":\"%s\",\"verbose\":false,\"pedantic\":false}\r\nPING\r\n", name,
        password);
    say(client, text);
    assert_said(client, "PONG\r\n");
}

static int teardown(void **state) {
    struct world *world = *state;
    for (size_t i = 0; i < CLIENTS; i++) {
        nx_nats_conn_close(world->clients[i].conn);
    }
    nx_nats_hub_fini(&world->hub);
    free(world);
    return 0;
}

static void test_a_message_goes_to_each_subscription_that_covers_it(void **state) {
    struct client *clients = ((struct world *)*state)->clients;
    say(&clients[0], "SUB a.* 1\r\nSUB a.b 2\r\n");
    say(&clients[1], "SUB > x\r\n");
    say(&clients[2], "SUB a.c 1\r\nPUB a.b reply 2\r\nhi\r\n");
    assert_said(&clients[1], "MSG a.b x reply 2\r\nhi\r\n");
    assert_said(&clients[2], "");
    struct nx_buf *output = nx_nats_conn_output(clients[0].conn);
    assert_true(nx_str_find(nx_buf_str(output), NX_STR("MSG a.b 1 reply 2\r\nhi\r\n")) != SIZE_MAX);
    assert_true(nx_str_find(nx_buf_str(output), NX_STR("MSG a.b 2 reply 2\r\nhi\r\n")) != SIZE_MAX);
    assert_int_equal(output->len, 2 * strlen("MSG a.b 1 reply 2\r\nhi\r\n"));
}

static void test_operations_may_come_in_any_pieces(void **state) {
    static const char text[] = "SUB a 1\r\nPUB a 5\r\nhel\r\n\r\nHPUB a 12 14\r\nNATS/1.0\r\n\r\nok\r\n";
    struct client *client = &((struct world *)*state)->clients[0];
    for (size_t i = 0; i < sizeof text - 1; i++) {
        nx_nats_conn_feed(client->conn, nx_str_of(text + i, 1));
    }
    assert_said(client, "MSG a 1 5\r\nhel\r\n\r\nHMSG a 1 12 14\r\nNATS/1.0\r\n\r\nok\r\n");
}

static void test_headers_are_kept_from_those_who_do_not_know_them(void **state) {
    struct client *clients = ((struct world *)*state)->clients;
    say(&clients[0], "CONNECT {\"headers\":false,\"no_responders\":false}\r\nSUB a 1\r\n");
    say(&clients[1], "HPUB a 12 14\r\nNATS/1.0\r\n\r\nok\r\n");
    assert_said(&clients[0], "MSG a 1 2\r\nok\r\n");
}

static void test_unsub_ends_a_subscription_now_or_after_so_many(void **state) {
    struct client *clients = ((struct world *)*state)->clients;
    say(&clients[0], "SUB a 1\r\nSUB a 2\r\nUNSUB 1\r\nUNSUB 2 2\r\nUNSUB 9\r\n");
    say(&clients[1], "PUB a 1\r\nx\r\nPUB a 1\r\ny\r\nPUB a 1\r\nz\r\n");
    assert_said(&clients[0], "MSG a 2 1\r\nx\r\nMSG a 2 1\r\ny\r\n");
}

static void test_no_echo_means_not_to_oneself(void **state) {
    struct client *clients = ((struct world *)*state)->clients;
    say(&clients[0], "CONNECT {\"echo\":false}\r\nSUB a 1\r\nSUB a q 2\r\n");
    say(&clients[1], "SUB a q 7\r\n");
    for (int i = 0; i < 4; i++) {
        say(&clients[0], "PUB a 1\r\nx\r\n");
        assert_said(&clients[0], "");
        assert_said(&clients[1], "MSG a 7 1\r\nx\r\n");
    }
}

static void test_who_asks_into_the_void_is_told_so(void **state) {
    struct client *clients = ((struct world *)*state)->clients;
    say(&clients[0], "SUB _INBOX.x.* 4\r\nPUB nobody _INBOX.x.1 0\r\n\r\n");
    assert_said(&clients[0], "HMSG _INBOX.x.1 4 38 38\r\nNATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n\r\n");
    say(&clients[0], "PUB nobody 0\r\n\r\n");
    assert_said(&clients[0], "");
}

static void test_verbose_clients_hear_ok(void **state) {
    struct client *client = &((struct world *)*state)->clients[0];
    say(client, "CONNECT {\"verbose\":true}\r\nSUB a 1\r\nUNSUB 1\r\nPUB a 0\r\n\r\nPING\r\n");
    assert_said(client, "+OK\r\n+OK\r\n+OK\r\n+OK\r\nPONG\r\n");
}

static void test_a_bad_subject_is_told_and_the_connection_goes_on(void **state) {
    struct client *client = &((struct world *)*state)->clients[0];
    say(client, "SUB a..b 1\r\nSUB a.>.b 2\r\nPING\r\n");
    assert_said(client, "-ERR 'Invalid Subject'\r\n-ERR 'Invalid Subject'\r\nPONG\r\n");
    say(client, "PUB a..b 0\r\n\r\nPUB a.* 0\r\n\r\nPING\r\n");
    assert_said(client, "PONG\r\n");
    say(client, "CONNECT {\"pedantic\":true}\r\nPUB a.* 0\r\n\r\n");
    assert_said(client, "-ERR 'Invalid Publish Subject'\r\n");
    assert_false(nx_nats_conn_is_done(client->conn));
}

static void test_what_cannot_be_read_ends_the_connection(void **state) {
    struct client *clients = ((struct world *)*state)->clients;
    say(&clients[0], "HELLO\r\nPING\r\n");
    assert_said(&clients[0], "-ERR 'Unknown Protocol Operation'\r\n");
    assert_true(nx_nats_conn_is_done(clients[0].conn));
    say(&clients[1], "PUB a 1025\r\n");
    assert_said(&clients[1], "-ERR 'Maximum Payload Violation'\r\n");
    say(&clients[2], "CONNECT {\"headers\":false}\r\n");
    assert_said(&clients[2], "-ERR 'no responders requires headers support'\r\n");
}

static void test_a_client_that_does_not_read_is_cut_and_nobody_else(void **state) {
    struct world *world = *state;
    struct client *clients = world->clients;
    say(&clients[0], "SUB a 1\r\n");
    say(&clients[1], "SUB a 1\r\n");
    clients[0].unwritten = NX_NATS_OUTPUT_SIZE_MAX;
    say(&clients[2], "PUB a 1\r\nx\r\nPUB a 1\r\ny\r\n");
    assert_said(&clients[0], "-ERR 'Slow Consumer'\r\n");
    assert_true(nx_nats_conn_is_done(clients[0].conn));
    assert_said(&clients[1], "MSG a 1 1\r\nx\r\nMSG a 1 1\r\ny\r\n");
    assert_int_equal(nx_counter_get(&world->counters.slow_consumers), 1);
}

static void test_who_does_not_answer_pings_is_stale(void **state) {
    struct world *world = *state;
    struct client *clients = world->clients;
    for (int64_t i = 1; i <= 3; i++) {
        world->hub.now.monotonic_ns = (1 + i * 10) * second_ns;
        nx_nats_hub_tick(&world->hub);
        nx_nats_hub_tick(&world->hub);
        say(&clients[1], "PONG\r\n");
    }
    assert_said(&clients[0], "PING\r\nPING\r\n-ERR 'Stale Connection'\r\n");
    assert_true(nx_nats_conn_is_done(clients[0].conn));
    assert_false(nx_nats_conn_is_done(clients[1].conn));
}

static void test_a_closed_connection_leaves_no_subscription(void **state) {
    struct world *world = *state;
    say(&world->clients[0], "SUB a 1\r\nSUB a q 2\r\nSUB > 3\r\n");
    assert_int_equal(nx_nats_hub_subscription_count(&world->hub, NX_STR("$G")), 3);
    nx_nats_conn_close(world->clients[0].conn);
    world->clients[0].conn = NULL;
    assert_int_equal(nx_nats_hub_subscription_count(&world->hub, NX_STR("$G")), 0);
    say(&world->clients[1], "PUB a 1\r\nx\r\n");
}

static void test_a_client_at_a_terminal_hears_all(void **state) {
    struct world *world = *state;
    struct nx_nats_conn *conn = NULL;
    struct client client = { .conn = NULL };
    assert_int_equal(nx_nats_conn_open(&world->hub, &client, NX_STR("::1"), &conn, NULL), NX_OK);
    client.conn = conn;
    say(&client, "SUB a 1\r\nPUB a.* 0\r\n\r\n"); /* it has not said CONNECT */
    assert_said(&client, "+OK\r\n-ERR 'Invalid Publish Subject'\r\n+OK\r\n");
    say(&client, "CONNECT nonsense\r\n");
    assert_said(&client, "");
    assert_true(nx_nats_conn_is_done(conn));
    nx_nats_conn_close(conn);
}

static void test_more_subscriptions_than_allowed_are_told(void **state) {
    struct client *client = &((struct world *)*state)->clients[0];
    char text[32];
    for (int i = 0; i <= SUBSCRIPTIONS_MAX; i++) {
        (void)snprintf(text, sizeof text, "SUB a %d\r\n", i);
        say(client, text);
    }
    assert_said(client, "-ERR 'maximum subscriptions exceeded'\r\n");
    assert_false(nx_nats_conn_is_done(client->conn));
}

static void test_wrong_credentials_end_the_connection(void **state) {
    struct world *world = *state;
    say(&world->clients[0], "CONNECT {\"user\":\"ann\",\"pass\":\"b\"}\r\nPING\r\n");
    assert_said(&world->clients[0], "-ERR 'Authorization Violation'\r\n");
    assert_true(nx_nats_conn_is_done(world->clients[0].conn));
    say(&world->clients[1], "PING\r\n"); /* before CONNECT */
    assert_said(&world->clients[1], "-ERR 'Authorization Violation'\r\n");
    say(&world->clients[2], "CONNECT {\"user\":\"carl\",\"pass\":\"c\",\"account\":\"D\"}\r\n");
    assert_said(&world->clients[2], "-ERR 'Authorization Violation'\r\n");
    assert_int_equal(nx_counter_get(&world->counters.refused), 3);
}

static void test_what_cannot_be_read_is_no_less_unauthorized(void **state) {
    struct client *client = &((struct world *)*state)->clients[0];
    say(client, "GET / HTTP/1.1\r\n");
    assert_said(client, "-ERR 'Authorization Violation'\r\n");
    client = &((struct world *)*state)->clients[1];
    say(client, "PUB a 1000\r\nbeginning"); /* no payload of a stranger is waited for */
    assert_said(client, "-ERR 'Authorization Violation'\r\n");
}

static void test_another_connect_changes_how_it_is_talked_to(void **state) {
    struct client *client = &((struct world *)*state)->clients[0];
    connect_as(client, "carl", "c");
    say(client, "SUB a 1\r\nCONNECT {\"verbose\":true}\r\nPUB a 1\r\nx\r\n");
    assert_said(client, "+OK\r\n+OK\r\n"); /* its subscriptions are gone */
    say(client, "CONNECT {\"user\":\"carl\",\"pass\":\"wrong\"}\r\n");
    assert_said(client, "-ERR 'Authorization Violation'\r\n");
}

static void test_headers_of_who_does_not_know_them_end_it(void **state) {
    struct client *client = &((struct world *)*state)->clients[0];
    connect_as(client, "carl", "c");
    say(client, "HPUB a 12 14\r\nNATS/1.0\r\n\r\nok\r\nPING\r\n");
    assert_said(client, "");
    assert_true(nx_nats_conn_is_done(client->conn));
}

static enum nx_nats_verdict compare_later(void *transport, struct nx_str hash, struct nx_str given) {
    (void)transport;
    return nx_str_is(hash, "$2a$10$hash") && nx_str_is(given, "x") ? NX_NATS_COMPARED_LATER : NX_NATS_DIFFERS;
}

static void test_what_is_said_while_a_password_is_compared_waits(void **state) {
    static const char login[] =
        "CONNECT {\"user\":\"eve\",\"pass\":\"x\",\"verbose\":false}\r\nSUB a 1\r\nPI";
    const struct nx_nats_user users[] = { { .name = NX_STR("eve"), .password = NX_STR("$2a$10$hash") } };
    struct world *world = *state;
    struct client *clients = world->clients;
    struct nx_nats_access *access = NULL;
    assert_int_equal(
        nx_nats_access_new(&(struct nx_nats_options){ .users = users, .user_count = 1 }, 5, &access, NULL),
        NX_OK);
    nx_nats_hub_set_access(&world->hub, access);
    world->hub.transport.compare = compare_later;
    for (int i = 0; i < 2; i++) {
        say(&clients[i], login);
        say(&clients[i], "NG\r\n");
        assert_true(nx_nats_conn_is_comparing(clients[i].conn));
        assert_said(&clients[i], "");
    }
    nx_nats_conn_compared(clients[0].conn, NX_STR("$2a$10$hash"), true);
    assert_said(&clients[0], "PONG\r\n");
    nx_nats_conn_compared(clients[1].conn, NX_STR("$2a$10$hash"), false);
    assert_said(&clients[1], "-ERR 'Authorization Violation'\r\n");
    assert_true(nx_nats_conn_is_done(clients[1].conn));
    say(&clients[2], "CONNECT {\"user\":\"eve\",\"pass\":\"y\"}\r\n"); /* it cannot be compared */
    assert_said(&clients[2], "-ERR 'Authorization Violation'\r\n");
}

static void test_who_does_not_say_who_it_is_in_time_is_ended(void **state) {
    struct world *world = *state;
    connect_as(&world->clients[0], "carl", "c");
    world->hub.now.monotonic_ns = 3 * second_ns;
    nx_nats_hub_tick(&world->hub);
    assert_said(&world->clients[0], "");
    assert_said(&world->clients[1], "-ERR 'Authentication Timeout'\r\n");
    assert_true(nx_nats_conn_is_done(world->clients[1].conn));
}

static void test_what_is_not_permitted_is_told_in_natss_words(void **state) {
    struct client *client = &((struct world *)*state)->clients[0];
    connect_as(client, "ann", "a");
    say(client, "PUB bar 1\r\nx\r\nSUB bar 1\r\nSUB bar q 2\r\nSUB a..\"b 3\r\n");
    assert_said(client, "-ERR 'Permissions Violation for Publish to \"bar\"'\r\n"
                        "-ERR 'Permissions Violation for Subscription to \"bar\"'\r\n"
                        "-ERR 'Permissions Violation for Subscription to \"bar\" using queue \"q\"'\r\n"
                        "-ERR 'Permissions Violation for Subscription to \"a..\\\"b\"'\r\n");
    say(client, "SUB foo.* 1\r\nPUB foo.secret 1\r\nx\r\nPUB foo.open 1\r\nx\r\n");
    assert_said(client, "MSG foo.open 1 1\r\nx\r\n"); /* the denied one is withheld */
    assert_false(nx_nats_conn_is_done(client->conn));
}

static void test_a_request_may_be_answered_as_often_as_allowed(void **state) {
    struct client *clients = ((struct world *)*state)->clients;
    connect_as(&clients[0], "bob", "b");
    connect_as(&clients[1], "carl", "c");
    say(&clients[0], "SUB req.> 1\r\nPUB inbox 1\r\nx\r\n");
    assert_said(&clients[0], "-ERR 'Permissions Violation for Publish to \"inbox\"'\r\n");
    say(&clients[1], "SUB inbox 1\r\nPUB req.1 inbox 1\r\n?\r\n");
    assert_said(&clients[0], "MSG req.1 1 inbox 1\r\n?\r\n");
    say(&clients[0], "PUB inbox 1\r\n1\r\nPUB inbox 1\r\n2\r\n");
    assert_said(&clients[0], "-ERR 'Permissions Violation for Publish to \"inbox\"'\r\n");
    assert_said(&clients[1], "MSG inbox 1 1\r\n1\r\n");
}

static void test_accounts_do_not_hear_each_other(void **state) {
    struct client *clients = ((struct world *)*state)->clients;
    connect_as(&clients[0], "carl", "c");
    connect_as(&clients[1], "dora", "d");
    say(&clients[0], "SUB > 1\r\n");
    say(&clients[1], "SUB > 1\r\nPUB a 1\r\nd\r\n");
    say(&clients[0], "PUB a 1\r\nc\r\n");
    assert_said(&clients[0], "MSG a 1 1\r\nc\r\n");
    assert_said(&clients[1], "MSG a 1 1\r\nd\r\n");
}

static void test_a_reload_ends_who_is_gone_and_what_is_no_longer_allowed(void **state) {
    struct world *world = *state;
    struct client *clients = world->clients;
    const struct nx_nats_user users[] = {
        { .name = NX_STR("carl"), .password = NX_STR("c"), .permissions = &ann_permissions },
        { .name = NX_STR("ann"), .password = NX_STR("a") },
    };
    struct nx_nats_access *access = NULL;
    connect_as(&clients[0], "carl", "c");
    connect_as(&clients[1], "dora", "d");
    connect_as(&clients[2], "ann", "a");
    say(&clients[0], "SUB foo.* 1\r\nSUB bar q 2\r\n");
    assert_int_equal(
        nx_nats_access_new(&(struct nx_nats_options){ .users = users, .user_count = 2 }, 5, &access, NULL),
        NX_OK);
    nx_nats_hub_set_access(&world->hub, access);
    assert_said(&clients[0],
                "-ERR 'Permissions Violation for Subscription to \"bar\" using queue \"q\" (sid \"2\")'\r\n");
    assert_said(&clients[1], "-ERR 'Authorization Violation'\r\n");
    say(&clients[2], "PUB bar 1\r\nx\r\nPUB foo.a 1\r\nx\r\n");
    assert_said(&clients[2], "");
    assert_said(&clients[0], "MSG foo.a 1 1\r\nx\r\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_message_goes_to_each_subscription_that_covers_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_operations_may_come_in_any_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_headers_are_kept_from_those_who_do_not_know_them, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_unsub_ends_a_subscription_now_or_after_so_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_echo_means_not_to_oneself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_asks_into_the_void_is_told_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_verbose_clients_hear_ok, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_bad_subject_is_told_and_the_connection_goes_on, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_read_ends_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_client_that_does_not_read_is_cut_and_nobody_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_who_does_not_answer_pings_is_stale, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_closed_connection_leaves_no_subscription, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_client_at_a_terminal_hears_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_more_subscriptions_than_allowed_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_credentials_end_the_connection, setup_guarded, teardown),
        cmocka_unit_test_setup_teardown(test_who_does_not_say_who_it_is_in_time_is_ended, setup_guarded,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_permitted_is_told_in_natss_words, setup_guarded,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_request_may_be_answered_as_often_as_allowed, setup_guarded,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_is_said_while_a_password_is_compared_waits, setup_guarded,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_read_is_no_less_unauthorized, setup_guarded,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_another_connect_changes_how_it_is_talked_to, setup_guarded,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_headers_of_who_does_not_know_them_end_it, setup_guarded,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_accounts_do_not_hear_each_other, setup_guarded, teardown),
        cmocka_unit_test_setup_teardown(test_a_reload_ends_who_is_gone_and_what_is_no_longer_allowed,
                                        setup_guarded, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
