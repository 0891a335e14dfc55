/* src/server/nats/pages_test.c: the monitoring pages say what is so, sorted and cut as they are asked. The
 * test is the transport. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "codec/json.h"
#include "io/clock.h"
#include "server/nats/pages.h"

enum { CLIENTS = 3, PAGE_SIZE_MAX = 64 * 1024 };
static const int64_t second_ns = NX_NS_PER_S;

struct world {
    struct nx_nats_hub hub;
    struct nx_nats_counters counters;
    struct nx_nats_conn *conns[CLIENTS];
    struct nx_nats_pages pages;
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
    world->pages.now = world->hub.now;
}

static void say(struct world *world, size_t i, const char *bytes) {
    nx_nats_conn_feed(world->conns[i], nx_str_from_c(bytes));
    nx_buf_reset(nx_nats_conn_output(world->conns[i]));
    nx_nats_conn_wrote(world->conns[i]);
}

static void open_conn(struct world *world, size_t i) {
    char peer[32];
    char text[256];
    (void)snprintf(peer, sizeof peer, "127.0.0.1:%d", (int)(100 + i));
    assert_int_equal(nx_nats_conn_open(&world->hub, world, nx_str_from_c(peer), &world->conns[i], NULL),
                     NX_OK);
    nx_nats_conn_greet(world->conns[i]);
    (void)snprintf(
        text, sizeof text,
        "CONNECT {\"verbose\":false,\"pedantic\":false,\"user\":\"%c\",\"pass\":\"x\",\"name\":\"client "
        "%c\",\"lang\":\"c\",\"version\":\"1\"}\r\n",
        "abc"[i], "ABC"[i]);
    say(world, i, text);
    pass(world, second_ns);
}

static int setup(void **state) {
    static const struct nx_nats_user users[] = {
        { .name = NX_STR("a"), .password = NX_STR("x") },
        { .name = NX_STR("b"), .password = NX_STR("x") },
        { .name = NX_STR("c"), .password = NX_STR("x"), .account = NX_STR("OTHER") },
    };
    struct world *world = calloc(1, sizeof *world);
    struct nx_nats_access *access = NULL;
    assert_non_null(world);
    assert_int_equal(
        nx_nats_access_new(&(struct nx_nats_options){ .users = users, .user_count = 3 }, 5, &access, NULL),
        NX_OK);
    world->hub.transport = (struct nx_nats_transport){ .wants_flush = wants_flush, .unwritten = unwritten };
    world->hub.info = (struct nx_nats_info){ .server_id = NX_STR("ID"),
                                             .version = NX_STR("2.10.0"),
                                             .payload_size_max = 1024 };
    world->hub.random = nx_random_system();
    world->hub.control_line_size_max = NX_NATS_CONTROL_LINE_SIZE_MAX;
    world->hub.pending_size_max = NX_NATS_OUTPUT_SIZE_MAX;
    world->hub.subscriptions_max = 100;
    world->hub.ping_interval_ns = 10 * second_ns;
    world->hub.pings_max = NX_NATS_PINGS_MAX;
    world->hub.auth_timeout_ns = 2 * second_ns;
    world->hub.counters = &world->counters;
    world->hub.closed.count_max = 2;
    nx_nats_hub_init(&world->hub, 5, access);
    world->pages.options = (struct nx_nats_monitor_options){ .hub = &world->hub,
                                                             .connections_max = 10,
                                                             .system_account = NX_STR("$SYS"),
                                                             .host = NX_STR("127.0.0.1") };
    world->pages.started_ns = 1700000000 * second_ns;
    world->pages.is_counting = true;
    world->hub.now.wall_ns = world->pages.started_ns;
    pass(world, second_ns);
    for (size_t i = 0; i < CLIENTS; i++) {
        open_conn(world, i);
    }
    *state = world;
    return 0;
}

static int teardown(void **state) {
    struct world *world = *state;
    for (size_t i = 0; i < CLIENTS; i++) {
        nx_nats_conn_close(world->conns[i]);
    }
    nx_nats_hub_fini(&world->hub);
    free(world);
    return 0;
}

/* The page, read back. */
static struct nx_json_doc *page(struct world *world, const char *path, const char *query) {
    NX_AUTO(nx_buf) out = { 0 };
    struct nx_json_doc *doc = NULL;
    struct nx_error err = { 0 };
    struct nx_str type = NX_STR_EMPTY;
    nx_buf_init(&out, PAGE_SIZE_MAX);
    if (nx_nats_page_write(&world->pages, nx_str_from_c(path), nx_str_from_c(query), &out, &type, &err) !=
        NX_OK) {
        fail_msg("%s", err.message);
    }
    assert_true(nx_str_is(type, "application/json"));
    assert_int_equal(nx_json_parse(nx_buf_str(&out), PAGE_SIZE_MAX * 8, &doc, NULL), NX_OK);
    return doc;
}

static void assert_refused(struct world *world, const char *path, const char *query, const char *message) {
    NX_AUTO(nx_buf) out = { 0 };
    struct nx_error err = { 0 };
    struct nx_str type = NX_STR_EMPTY;
    nx_buf_init(&out, PAGE_SIZE_MAX);
    assert_int_not_equal(
        nx_nats_page_write(&world->pages, nx_str_from_c(path), nx_str_from_c(query), &out, &type, &err),
        NX_OK);
    assert_string_equal(err.message, message);
}

static uint64_t number(const struct nx_json_doc *doc, const char *path) {
    uint64_t value = UINT64_MAX;
    if (!nx_json_to_u64(nx_json_lookup(nx_json_root(doc), nx_str_from_c(path)), &value)) {
        fail_msg("no number at %s", path);
    }
    return value;
}

static void assert_text(const struct nx_json_doc *doc, const char *path, const char *expected) {
    struct nx_str text = NX_STR_EMPTY;
    if (!nx_json_to_str(nx_json_lookup(nx_json_root(doc), nx_str_from_c(path)), &text) ||
        !nx_str_is(text, expected)) {
        fail_msg("'%.*s' at %s is not '%s'", NX_STR_ARG(text), path, expected);
    }
}

/* The ids of the page's connections, in their order: "2 1". */
static void assert_ids(struct world *world, const char *query, const char *expected) {
    NX_AUTO(nx_json_doc) *doc = page(world, "/connz", query);
    NX_AUTO(nx_buf) ids = { 0 };
    nx_buf_init(&ids, 256);
    for (size_t i = 0; i < CLIENTS; i++) {
        char path[32];
        uint64_t id = 0;
        (void)snprintf(path, sizeof path, "connections.%d.cid", (int)i);
        if (nx_json_to_u64(nx_json_lookup(nx_json_root(doc), nx_str_from_c(path)), &id)) {
            nx_buf_append_format(&ids, "%s%d", i == 0 ? "" : " ", (int)id);
        }
    }
    if (!nx_str_is(nx_buf_str(&ids), expected)) {
        fail_msg("?%s: '%.*s' is not '%s'", query, NX_STR_ARG(nx_buf_str(&ids)), expected);
    }
}

static void test_varz_has_settings_and_counts(void **state) {
    struct world *world = *state;
    say(world, 0, "SUB foo.> 1\r\nPUB foo.a 3\r\nabc\r\n");
    pass(world, 61 * second_ns);
    NX_AUTO(nx_json_doc) *doc = page(world, "/varz", "");
    assert_text(doc, "server_id", "ID");
    assert_text(doc, "version", "2.10.0");
    assert_text(doc, "start", "2023-11-14T22:13:20Z");
    assert_text(doc, "uptime", "1m5s");
    assert_int_equal(number(doc, "connections"), 3);
    assert_int_equal(number(doc, "total_connections"), 3);
    assert_int_equal(number(doc, "in_msgs"), 1);
    assert_int_equal(number(doc, "out_bytes"), 3);
    assert_int_equal(number(doc, "subscriptions"), 1);
    assert_int_equal(number(doc, "max_payload"), 1024);
    assert_int_equal(number(doc, "ping_interval"), 10 * second_ns);
    assert_int_equal(number(doc, "http_req_stats./varz"), 1);
}

static void test_connz_shows_each_connection(void **state) {
    struct world *world = *state;
    say(world, 0, "SUB foo.> 1\r\nSUB bar q 2\r\nUNSUB 2 5\r\nPUB foo.a 3\r\nabc\r\n");
    pass(world, 2 * second_ns);
    NX_AUTO(nx_json_doc) *doc = page(world, "/connz", "");
    assert_int_equal(number(doc, "num_connections"), 3);
    assert_int_equal(number(doc, "limit"), 1024);
    assert_text(doc, "connections.0.ip", "127.0.0.1");
    assert_int_equal(number(doc, "connections.0.port"), 100);
    assert_text(doc, "connections.0.name", "client A");
    assert_text(doc, "connections.0.uptime", "5s");
    assert_text(doc, "connections.0.idle", "2s");
    assert_int_equal(number(doc, "connections.0.in_msgs"), 1);
    assert_int_equal(number(doc, "connections.0.out_bytes"), 3);
    assert_int_equal(number(doc, "connections.0.subscriptions"), 2);
    assert_null(nx_json_lookup(nx_json_root(doc), NX_STR("connections.0.authorized_user")));
    assert_null(nx_json_lookup(nx_json_root(doc), NX_STR("connections.0.subscriptions_list")));
    NX_AUTO(nx_json_doc) *more = page(world, "/connz", "subs=detail&auth=1&limit=1");
    assert_text(more, "connections.0.authorized_user", "a");
    NX_AUTO(nx_json_doc) *other = page(world, "/connz", "auth=true&cid=3");
    assert_text(other, "connections.0.account", "OTHER");
    NX_AUTO(nx_json_doc) *listed = page(world, "/subsz", "subs=1&test=bar");
    assert_int_equal(number(listed, "num_subscriptions"), 2);
    assert_int_equal(number(listed, "total"), 1);
    assert_text(listed, "subscriptions_list.0.qgroup", "q");
    assert_int_equal(number(listed, "subscriptions_list.0.max"), 5);
}

static void test_connz_is_sorted_cut_and_filtered_as_asked(void **state) {
    struct world *world = *state;
    say(world, 1, "SUB a 1\r\nSUB b 2\r\nSUB c 3\r\nPUB x 1\r\n1\r\n");
    pass(world, second_ns);
    say(world, 2, "SUB a 1\r\nPUB x 5\r\n12345\r\nPUB x 1\r\n1\r\n");
    pass(world, second_ns);
    assert_ids(world, "", "1 2 3");
    assert_ids(world, "sort=cid&offset=1&limit=1", "2");
    assert_ids(world, "sort=subs", "2 3 1");
    assert_ids(world, "sort=msgs_from", "3 2 1");
    assert_ids(world, "sort=bytes_from&limit=1", "3");
    assert_ids(world, "sort=idle", "1 2 3");
    assert_ids(world, "sort=last", "3 2 1");
    assert_ids(world, "sort=uptime", "3 2 1");
    assert_ids(world, "offset=7", "");
    assert_ids(world, "acc=OTHER", "3");
    assert_ids(world, "user=b", "2");
    assert_ids(world, "cid=2", "2");
    assert_ids(world, "acc=$G&filter_subject=b", "2");
}

static void test_connections_that_were_are_remembered_in_number(void **state) {
    struct world *world = *state;
    nx_nats_conn_end(world->conns[1], "Stale Connection");
    for (size_t i = 0; i < CLIENTS; i++) {
        pass(world, second_ns);
        nx_nats_conn_close(world->conns[i]);
        world->conns[i] = NULL;
    }
    assert_ids(world, "", "");
    assert_ids(world, "state=closed", "2 3"); /* the two last ones */
    assert_ids(world, "state=closed&sort=stop", "3 2");
    assert_ids(world, "state=closed&sort=reason", "3 2"); /* "Client Closed", "Stale Connection" */
    assert_ids(world, "state=any", "2 3");
    assert_ids(world, "state=closed&user=c", "3");
    NX_AUTO(nx_json_doc) *doc = page(world, "/connz", "state=closed&auth=1");
    assert_text(doc, "connections.0.reason", "Stale Connection");
    assert_text(doc, "connections.0.authorized_user", "b");
    assert_text(doc, "connections.1.reason", "Client Closed");
    assert_text(doc, "connections.1.account", "OTHER");
    assert_text(doc, "connections.1.name", "client C");
    for (size_t i = 0; i < CLIENTS; i++) {
        open_conn(world, i);
    }
}

static void test_the_round_trip_of_a_ping_is_shown(void **state) {
    struct world *world = *state;
    pass(world, 20 * second_ns);
    nx_nats_hub_tick(&world->hub);
    pass(world, 1500000);
    say(world, 0, "PONG\r\n");
    NX_AUTO(nx_json_doc) *doc = page(world, "/connz", "sort=rtt&limit=1");
    assert_text(doc, "connections.0.rtt", "1.5ms");
}

static void test_what_is_not_understood_is_named(void **state) {
    struct world *world = *state;
    assert_refused(world, "/conz", "", "there is no page '/conz'");
    assert_refused(world, "/connz", "sort=zz", "invalid sorting option: zz");
    assert_refused(world, "/connz", "sort=stop", "sort by stop only valid on closed connections");
    assert_refused(world, "/connz", "state=x", "parameter 'state': expected open, closed or any");
    assert_refused(world, "/connz", "limit=x",
                   "parameter 'limit': expected a whole number from 0 to 100000, not 'x'");
    assert_refused(world, "/connz", "subs=perhaps",
                   "parameter 'subs': expected true or false, not 'perhaps'");
    assert_refused(world, "/subsz", "test=a.*", "parameter 'test': expected a subject without wildcards");
    assert_refused(world, "/healthz", "stream=S", "parameter 'stream': JetStream is not served yet");
}

static void test_health_and_jetstream_are_those_of_a_server_without_streams(void **state) {
    struct world *world = *state;
    NX_AUTO(nx_json_doc) *health = page(world, "/healthz", "js-enabled-only=true");
    assert_text(health, "status", "ok");
    NX_AUTO(nx_json_doc) *jsz = page(world, "/jsz", "streams=1&acc=A");
    bool disabled = false;
    assert_true(nx_json_to_bool(nx_json_lookup(nx_json_root(jsz), NX_STR("disabled")), &disabled) &&
                disabled);
    assert_int_equal(number(jsz, "streams"), 0);
}

static void assert_uptime(int64_t ns, const char *expected) {
    NX_AUTO(nx_buf) out = { 0 };
    nx_buf_init(&out, 64);
    nx_nats_uptime_append(&out, ns);
    assert_true(nx_str_is(nx_buf_str(&out), expected));
}

static void assert_duration(int64_t ns, const char *expected) {
    NX_AUTO(nx_buf) out = { 0 };
    nx_buf_init(&out, 64);
    nx_nats_go_duration_append(&out, ns);
    if (!nx_str_is(nx_buf_str(&out), expected)) {
        fail_msg("'%.*s' is not '%s'", NX_STR_ARG(nx_buf_str(&out)), expected);
    }
}

static void test_times_are_written_as_nats_server_writes_them(void **state) {
    (void)state;
    assert_uptime(0, "0s");
    assert_uptime(-1, "0s");
    assert_uptime(59 * second_ns, "59s");
    assert_uptime(3600 * second_ns, "1h0m0s");
    assert_uptime((86400 + 3600 + 61) * second_ns, "1d1h1m1s");
    assert_uptime((int64_t)366 * 86400 * second_ns, "1y1d0h0m0s");
    assert_duration(0, "0s");
    assert_duration(999, "999ns");
    assert_duration(542000, "542µs");
    assert_duration(1204000, "1.204ms");
    assert_duration(1100000000, "1.1s");
    assert_duration(2 * second_ns, "2s");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_varz_has_settings_and_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connz_shows_each_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connz_is_sorted_cut_and_filtered_as_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connections_that_were_are_remembered_in_number, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_round_trip_of_a_ping_is_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_understood_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_health_and_jetstream_are_those_of_a_server_without_streams,
                                        setup, teardown),
        cmocka_unit_test(test_times_are_written_as_nats_server_writes_them),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
