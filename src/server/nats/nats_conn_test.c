/* src/server/nats/nats_conn_test.c: messages reach those who subscribed, and nobody else; what a client does
 * wrong ends that client alone. The test is the transport. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/nats/conn.h"

enum { CLIENTS = 3, PAYLOAD_SIZE_MAX = 1024 };
static const int64_t second_ns = 1000000000;

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

static int setup(void **state) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->hub.transport = (struct nx_nats_transport){ wants_flush, unwritten };
    world->hub.info = (struct nx_nats_info){ .server_id = NX_STR("ID"),
                                             .version = NX_STR("2.10.0"),
                                             .payload_size_max = PAYLOAD_SIZE_MAX };
    world->hub.ping_interval_ns = 10 * second_ns;
    world->hub.counters = &world->counters;
    assert_int_equal(nx_nats_hub_init(&world->hub, 5, NULL), NX_OK);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct client *client = &world->clients[i];
        assert_int_equal(nx_nats_conn_open(&world->hub, client, NX_STR("127.0.0.1"), &client->conn, NULL),
                         NX_OK);
        assert_true(nx_str_starts_with(nx_buf_str(nx_nats_conn_output(client->conn)),
                                       NX_STR("INFO {\"server_id\":\"ID\"")));
        nx_buf_reset(nx_nats_conn_output(client->conn));
        say(client, "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\nPING\r\n");
        assert_said(client, "PONG\r\n");
    }
    *state = world;
    return 0;
}

static int teardown(void **state) {
    struct world *world = *state;
    for (size_t i = 0; i < CLIENTS; i++) {
        nx_nats_conn_close(world->clients[i].conn);
    }
    assert_int_equal(nx_router_count(world->hub.router), 0);
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
    say(&clients[0], "CONNECT {}\r\nSUB a 1\r\n");
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
    assert_said(&clients[0], "HMSG _INBOX.x.1 4 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
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
    say(&clients[2], "CONNECT {\"no_responders\":true}\r\n");
    assert_said(&clients[2], "-ERR 'No Responders Requires Headers Support'\r\n");
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
        world->hub.now.monotonic_ns = i * 10 * second_ns;
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
    assert_int_equal(nx_router_count(world->hub.router), 3);
    nx_nats_conn_close(world->clients[0].conn);
    world->clients[0].conn = NULL;
    assert_int_equal(nx_router_count(world->hub.router), 0);
    say(&world->clients[1], "PUB a 1\r\nx\r\n");
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
