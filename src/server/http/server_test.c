/* src/server/http/server_test.c: what a whole server does when nobody behind it answers: it refuses what it
 * cannot hand on, caps its connections, and ends without waiting for ever and without leaving anything
 * behind.
 *
 * The fabric is real, but its actors do not run: appends wait in their mailbox. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "fabric/fabric.h"
#include "server/http/server.h"

enum { APPENDS_MAX = 2, CONNECTIONS_MAX = 4 };

struct world {
    char directory[64];
    struct nx_fabric *fabric;
    struct nx_metrics *metrics;
    struct nx_http_server *server;
};

static struct nx_http_server_options options_of(const struct world *world) {
    return (struct nx_http_server_options){ .fabric = world->fabric,
                                            .metrics = world->metrics,
                                            .clock = nx_clock_system(),
                                            .random = nx_random_system(),
                                            .project = NX_STR("test"),
                                            .host = NX_STR("127.0.0.1"),
                                            .connections_max = CONNECTIONS_MAX };
}

static int setup(void **state) {
    static struct world world;
    const struct nx_stream_config streams[] = { { .name = NX_STR("EVENTS"),
                                                  .subjects = { NX_STR("events.>") } } };
    world = (struct world){ 0 };
    (void)snprintf(world.directory, sizeof world.directory, "/tmp/nx_http_server_test.XXXXXX");
    assert_non_null(mkdtemp(world.directory));
    const struct nx_fabric_options fabric_options = {
        .disk = nx_disk_system(),
        .clock = nx_clock_system(),
        .random = nx_random_system(),
        .directory = world.directory,
        .streams = streams,
        .stream_count = 1,
        .segment_size = 1024 * 1024,
        .appends_max = APPENDS_MAX,
    };
    assert_int_equal(nx_fabric_open(&fabric_options, &world.fabric, NULL), NX_OK);
    assert_int_equal(nx_metrics_new(&world.metrics, NULL), NX_OK);
    const struct nx_http_server_options options = options_of(&world);
    assert_int_equal(nx_http_server_open(&options, &world.server, NULL), NX_OK);
    *state = &world;
    return 0;
}

static int teardown(void **state) {
    struct world *world = *state;
    char command[128];
    nx_http_server_close(world->server);
    nx_fabric_close(world->fabric);
    nx_metrics_free(world->metrics);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", world->directory);
    return system(command);
}

static int dial(const struct world *world) {
    const struct timeval patience = { .tv_sec = 10 };
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(nx_http_server_port(world->server)),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say(int fd, const char *text) {
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* What comes until the server pauses or ends; empty when it ended at once. */
static struct nx_str hear(int fd) {
    static char bytes[16 * 1024];
    const ssize_t len = recv(fd, bytes, sizeof bytes, 0);
    assert_true(len >= 0);
    return nx_str_of(bytes, (size_t)len);
}

#define POST "POST /events/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi"
#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void test_says_503_when_no_more_can_wait(void **state) {
    struct world *world = *state;
    int fds[APPENDS_MAX + 1];
    for (int i = 0; i <= APPENDS_MAX; i++) {
        fds[i] = dial(world);
        say(fds[i], POST);
        if (i < APPENDS_MAX) {
            /* Behind a POST that waits, an answer must wait too: so another connection tells it was read. */
            const int probe = dial(world);
            say(probe, GET("/healthz"));
            assert_true(nx_str_starts_with(hear(probe), NX_STR("HTTP/1.1 200")));
            (void)close(probe);
        }
    }
    const struct nx_str answer = hear(fds[APPENDS_MAX]);
    assert_true(nx_str_starts_with(answer, NX_STR("HTTP/1.1 503 Service Unavailable\r\n")));
    assert_true(nx_str_find(answer, NX_STR("\r\nRetry-After: 1\r\n")) != SIZE_MAX);
    assert_true(nx_str_find(answer, NX_STR("\"kind\":\"overloaded\"")) != SIZE_MAX);
    for (int i = 0; i <= APPENDS_MAX; i++) {
        (void)close(fds[i]);
    }
}

static void test_caps_its_connections(void **state) {
    struct world *world = *state;
    int fds[CONNECTIONS_MAX];
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        fds[i] = dial(world);
        say(fds[i], GET("/healthz"));
        assert_true(nx_str_starts_with(hear(fds[i]), NX_STR("HTTP/1.1 200")));
    }
    const int more = dial(world);
    assert_true(nx_str_starts_with(hear(more), NX_STR("HTTP/1.1 503")));
    assert_int_equal(hear(more).len, 0);
    (void)close(more);
    say(fds[0], GET("/healthz"));
    assert_true(nx_str_starts_with(hear(fds[0]), NX_STR("HTTP/1.1 200")));
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        (void)close(fds[i]);
    }
}

static void test_stops_though_answers_are_missing(void **state) {
    struct world *world = *state;
    const int waiting = dial(world);
    const int poll = dial(world);
    const int quiet = dial(world);
    say(waiting, POST);
    say(poll, GET("/events?wait=30s"));
    say(quiet, GET("/healthz"));
    assert_true(nx_str_starts_with(hear(quiet), NX_STR("HTTP/1.1 200")));
    nx_http_server_stop(world->server, 200LL * NX_NS_PER_MS);
    assert_true(nx_str_starts_with(hear(poll), NX_STR("HTTP/1.1 503")));
    assert_int_equal(hear(quiet).len, 0);
    assert_int_equal(hear(waiting).len, 0); /* cut: neither stored nor refused */
    (void)close(waiting);
    (void)close(poll);
    (void)close(quiet);
}

static void test_refuses_addresses_that_others_can_reach(void **state) {
    static const char *const hosts[] = { "0.0.0.0", "::", "192.168.1.1", "example.org", "127.0.0.2", "" };
    struct world *world = *state;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        struct nx_http_server_options options = options_of(world);
        struct nx_http_server *server = NULL;
        struct nx_error err = { 0 };
        options.metrics = NULL;
        options.host = nx_str_from_c(hosts[i]);
        assert_int_equal(nx_http_server_open(&options, &server, &err), NX_PERMISSION_DENIED);
        assert_null(server);
        assert_true(err.hint[0] != '\0');
    }
}

static void test_names_a_port_that_is_taken(void **state) {
    struct world *world = *state;
    struct nx_http_server_options options = options_of(world);
    struct nx_http_server *server = NULL;
    options.metrics = NULL;
    options.port = nx_http_server_port(world->server);
    assert_int_equal(nx_http_server_open(&options, &server, NULL), NX_ALREADY_EXISTS);
}

static void test_serves_one_port_with_several_loops(void **state) {
    struct world *world = *state;
    struct nx_http_server_options options = options_of(world);
    options.metrics = NULL;
    options.loop_count = 3;
    nx_http_server_close(NX_TAKE(world->server));
    assert_int_equal(nx_http_server_open(&options, &world->server, NULL), NX_OK);
    for (int i = 0; i < 20; i++) {
        const int fd = dial(world);
        say(fd, GET("/healthz") GET("/readyz"));
        assert_true(nx_str_starts_with(hear(fd), NX_STR("HTTP/1.1 200")));
        (void)close(fd);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_says_503_when_no_more_can_wait),   TEST(test_caps_its_connections),
        TEST(test_stops_though_answers_are_missing), TEST(test_refuses_addresses_that_others_can_reach),
        TEST(test_names_a_port_that_is_taken),       TEST(test_serves_one_port_with_several_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
