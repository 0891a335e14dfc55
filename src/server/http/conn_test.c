/* src/server/http/conn_test.c: answers keep the order of their requests, no answer is lost or given twice,
 * and nothing a client does, its disappearance included, leaves anything dangling. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "server/http/conn.h"

enum { HELD_MAX = 64 };

/* A server that answers "/now…" at once with the path, and holds everything else. */
struct world {
    struct nx_http_shared shared;
    struct nx_http_conn *conn;
    struct nx_http_exchange *held[HELD_MAX];
    size_t held_count;
    size_t handled_count;
    bool refuse; /* admit nothing */
    struct nx_buf written;
};

static void answer(struct nx_http_exchange *exchange, struct nx_str body) {
    assert_non_null(exchange);
    nx_http_respond(exchange, &(struct nx_http_response){
                                  .status = 200, .content_type = NX_STR("text/plain"), .body = body });
}

static void handle(void *data, struct nx_http_exchange *exchange, const struct nx_http_request *request) {
    struct world *world = data;
    world->handled_count++;
    if (nx_str_starts_with(request->path, NX_STR("/now"))) {
        answer(exchange, request->body.len > 0 ? request->body : request->path);
        return;
    }
    exchange->interruptible = nx_str_starts_with(request->path, NX_STR("/poll"));
    assert_true(world->held_count < HELD_MAX);
    world->held[world->held_count++] = exchange;
}

static enum nx_status admit(void *data, const struct nx_http_request *request, struct nx_error *err) {
    const struct world *world = data;
    (void)request;
    return world->refuse ? nx_fail_kind(err, NX_KIND_WRONG_HOST, "not here") : NX_OK;
}

static int setup(void **state) {
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    nx_http_shared_init(&world->shared);
    world->shared.handle = handle;
    world->shared.admit = admit;
    world->shared.data = world;
    nx_buf_init(&world->written, 1024 * 1024);
    assert_int_equal(nx_http_conn_open(&world->shared, world, &world->conn, NULL), NX_OK);
    *state = world;
    return 0;
}

static int teardown(void **state) {
    struct world *world = *state;
    nx_http_conn_close(world->conn);
    nx_http_shared_fini(&world->shared);
    nx_buf_fini(&world->written);
    free(world);
    return 0;
}

/* What a transport does after each call. */
static void flush(struct world *world) {
    bool ran = true;
    while (ran) {
        const struct nx_str output = nx_http_conn_output(world->conn);
        nx_buf_append(&world->written, output);
        nx_http_conn_wrote(world->conn, output.len);
        ran = nx_http_conn_run(world->conn);
    }
    nx_http_conn_settle(world->conn);
}

static void feed(struct world *world, const char *text) {
    nx_http_conn_feed(world->conn, nx_str_from_c(text));
    flush(world);
}

static size_t count_of(const struct world *world, const char *needle) {
    struct nx_str rest = nx_buf_str(&world->written);
    size_t count = 0;
    for (size_t at; (at = nx_str_find(rest, nx_str_from_c(needle))) != SIZE_MAX; count++) {
        rest = nx_str_slice(rest, at + 1, rest.len);
    }
    return count;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void test_answers_with_length_date_and_body(void **state) {
    struct world *world = *state;
    world->shared.now.wall_ns = 784111777LL * NX_NS_PER_S;
    feed(world, GET("/now"));
    assert_true(nx_str_is(nx_buf_str(&world->written),
                          "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: "
                          "text/plain\r\nContent-Length: 4\r\n\r\n/now"));
    assert_false(nx_http_conn_is_done(world->conn));
    assert_true(nx_http_conn_is_quiet(world->conn));
}

static void test_answers_head_without_the_body(void **state) {
    struct world *world = *state;
    feed(world, "HEAD /now HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(count_of(world, "Content-Length: 4\r\n\r\n"), 1);
    assert_true(nx_str_ends_with(nx_buf_str(&world->written), NX_STR("\r\n\r\n")));
}

static void test_answers_pipelined_requests_in_their_order(void **state) {
    struct world *world = *state;
    feed(world, GET("/a") GET("/b") GET("/now") GET("/c"));
    assert_int_equal(world->held_count, 3);
    assert_int_equal(world->written.len, 0);
    answer(world->held[2], NX_STR("third"));
    answer(world->held[1], NX_STR("second"));
    flush(world);
    assert_int_equal(world->written.len, 0);
    answer(world->held[0], NX_STR("first"));
    flush(world);
    const struct nx_str all = nx_buf_str(&world->written);
    assert_true(nx_str_find(all, NX_STR("first")) < nx_str_find(all, NX_STR("second")));
    assert_true(nx_str_find(all, NX_STR("second")) < nx_str_find(all, NX_STR("/now")));
    assert_true(nx_str_find(all, NX_STR("/now")) < nx_str_find(all, NX_STR("third")));
    assert_int_equal(count_of(world, "HTTP/1.1 200"), 4);
}

static void test_takes_no_more_than_the_pipeline_holds(void **state) {
    struct world *world = *state;
    for (int i = 0; i < NX_HTTP_PIPELINE_MAX + 3; i++) {
        feed(world, GET("/a"));
    }
    assert_int_equal(world->held_count, NX_HTTP_PIPELINE_MAX);
    assert_false(nx_http_conn_wants_input(world->conn));
    for (size_t i = 0; i < NX_HTTP_PIPELINE_MAX + 3; i++) {
        answer(world->held[i], NX_STR("x"));
        flush(world);
    }
    assert_int_equal(count_of(world, "HTTP/1.1 200"), NX_HTTP_PIPELINE_MAX + 3);
    assert_true(nx_http_conn_wants_input(world->conn));
}

static void test_takes_no_more_while_its_output_is_not_taken(void **state) {
    struct world *world = *state;
    static char big[NX_HTTP_OUTPUT_SIZE_HIGH + 1];
    memset(big, 'x', sizeof big);
    nx_http_conn_feed(world->conn, NX_STR(GET("/a")));
    answer(world->held[0], nx_str_of(big, sizeof big));
    nx_http_conn_feed(world->conn, NX_STR(GET("/now")));
    assert_false(nx_http_conn_run(world->conn));
    assert_int_equal(world->handled_count, 1);
    assert_false(nx_http_conn_wants_input(world->conn));
    flush(world);
    assert_int_equal(world->handled_count, 2);
    assert_int_equal(count_of(world, "HTTP/1.1 200"), 2);
}

static void test_closes_behind_the_last_answer_where_asked_to(void **state) {
    struct world *world = *state;
    feed(world, "GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" GET("/now"));
    assert_int_equal(world->handled_count, 1);
    assert_false(nx_http_conn_is_done(world->conn));
    answer(world->held[0], NX_STR("x"));
    flush(world);
    assert_int_equal(count_of(world, "Connection: close"), 1);
    assert_true(nx_http_conn_is_done(world->conn));
}

static void test_keeps_a_connection_of_http_1_0_only_where_asked_to(void **state) {
    struct world *world = *state;
    feed(world, "GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_int_equal(count_of(world, "Connection: keep-alive"), 1);
    assert_false(nx_http_conn_is_done(world->conn));
    feed(world, "GET /now HTTP/1.0\r\n\r\n");
    assert_int_equal(count_of(world, "Connection: close"), 1);
    assert_true(nx_http_conn_is_done(world->conn));
}

static void test_answers_what_came_before_garbage_then_400_then_closes(void **state) {
    struct world *world = *state;
    feed(world, GET("/a") "garbage\r\n\r\n" GET("/now"));
    answer(world->held[0], NX_STR("x"));
    flush(world);
    const struct nx_str all = nx_buf_str(&world->written);
    assert_true(nx_str_find(all, NX_STR("200 OK")) < nx_str_find(all, NX_STR("400 Bad Request")));
    assert_int_equal(count_of(world, "HTTP/1.1 "), 2);
    assert_true(nx_http_conn_is_done(world->conn));
    assert_int_equal(world->handled_count, 1);
}

static void test_answers_garbage_behind_headers_that_it_looks_at(void **state) {
    struct world *world = *state;
    feed(world, "GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\ngar\001bage: x\r\n\r\n");
    assert_int_equal(count_of(world, "400 Bad Request"), 1);
    assert_true(nx_http_conn_is_done(world->conn));
}

static void test_asks_for_a_body_when_its_turn_has_come(void **state) {
    struct world *world = *state;
    feed(world, GET("/a") "POST /now HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                          "Content-Length: 5\r\n\r\n");
    assert_int_equal(world->written.len, 0);
    answer(world->held[0], NX_STR("x"));
    flush(world);
    assert_true(nx_str_ends_with(nx_buf_str(&world->written), NX_STR("HTTP/1.1 100 Continue\r\n\r\n")));
    feed(world, "hello");
    assert_true(nx_str_ends_with(nx_buf_str(&world->written), NX_STR("\r\n\r\nhello")));
}

static void test_refuses_before_asking_for_a_body(void **state) {
    struct world *world = *state;
    world->refuse = true;
    feed(world, "POST /now HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_int_equal(count_of(world, "403 Forbidden"), 1);
    assert_int_equal(count_of(world, "100 Continue"), 0);
    assert_true(nx_http_conn_is_done(world->conn));
}

static void test_an_answer_for_a_client_that_left_goes_nowhere(void **state) {
    struct world *world = *state;
    feed(world, GET("/a") GET("/b") GET("/c"));
    assert_int_equal(world->held_count, 3);
    answer(world->held[1], NX_STR("x"));
    nx_http_conn_close(NX_TAKE(world->conn));
    assert_null(world->held[0]->conn);
    answer(world->held[0], NX_STR("x"));
    assert_int_equal(world->shared.orphans.count, 1); /* the third, freed with the rest */
}

static void test_a_client_that_ends_sending_still_gets_its_answers(void **state) {
    struct world *world = *state;
    feed(world, GET("/a"));
    nx_http_conn_feed_end(world->conn);
    flush(world);
    assert_false(nx_http_conn_is_done(world->conn));
    answer(world->held[0], NX_STR("x"));
    flush(world);
    assert_int_equal(count_of(world, "HTTP/1.1 200"), 1);
    assert_true(nx_http_conn_is_done(world->conn));
}

static void pass(struct world *world, int64_t seconds) {
    world->shared.now.monotonic_ns += seconds * NX_NS_PER_S;
}

static void test_times_out_headers_however_slowly_they_drip(void **state) {
    struct world *world = *state;
    const char *head = "GET /now HTTP/1.1\r\nHost";
    for (size_t i = 0; i < 9; i++) {
        nx_http_conn_feed(world->conn, nx_str_of(head + i, 1));
        flush(world);
        assert_null(nx_http_shared_expire(&world->shared));
        pass(world, 1);
    }
    pass(world, 1);
    assert_ptr_equal(nx_http_shared_expire(&world->shared), world->conn);
    flush(world);
    assert_int_equal(count_of(world, "408 Request Timeout"), 1);
    assert_true(nx_http_conn_is_done(world->conn));
}

static void test_times_out_a_body(void **state) {
    struct world *world = *state;
    feed(world, "POST /now HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhe");
    pass(world, 59);
    assert_null(nx_http_shared_expire(&world->shared));
    pass(world, 1);
    assert_ptr_equal(nx_http_shared_expire(&world->shared), world->conn);
    flush(world);
    assert_int_equal(count_of(world, "408 Request Timeout"), 1);
}

static void test_closes_an_idle_connection_in_silence(void **state) {
    struct world *world = *state;
    feed(world, GET("/now"));
    const size_t written = world->written.len;
    pass(world, 60);
    assert_ptr_equal(nx_http_shared_expire(&world->shared), world->conn);
    flush(world);
    assert_int_equal(world->written.len, written);
    assert_true(nx_http_conn_is_done(world->conn));
}

static void test_waits_for_an_answer_as_long_as_it_takes(void **state) {
    struct world *world = *state;
    feed(world, GET("/a"));
    pass(world, 3600);
    assert_null(nx_http_shared_expire(&world->shared));
    answer(world->held[0], NX_STR("x"));
    flush(world);
    assert_int_equal(count_of(world, "HTTP/1.1 200"), 1);
}

static void test_cuts_a_client_that_takes_no_output(void **state) {
    struct world *world = *state;
    nx_http_conn_feed(world->conn, NX_STR(GET("/now")));
    nx_http_conn_settle(world->conn);
    pass(world, 29);
    assert_null(nx_http_shared_expire(&world->shared));
    assert_true(nx_http_conn_output(world->conn).len > 10);
    nx_http_conn_wrote(world->conn, 10); /* some progress */
    nx_http_conn_settle(world->conn);
    pass(world, 29);
    assert_null(nx_http_shared_expire(&world->shared));
    pass(world, 1);
    assert_ptr_equal(nx_http_shared_expire(&world->shared), world->conn);
    assert_true(nx_http_conn_is_broken(world->conn));
}

static void test_a_stop_answers_long_polls_and_finishes_the_rest(void **state) {
    struct world *world = *state;
    feed(world, GET("/a") GET("/poll"));
    world->shared.draining = true;
    nx_http_conn_interrupt(world->conn);
    nx_http_conn_finish(world->conn);
    flush(world);
    assert_int_equal(world->written.len, 0); /* the poll's answer waits for its turn */
    answer(world->held[0], NX_STR("x"));
    flush(world);
    assert_int_equal(count_of(world, "HTTP/1.1 200 OK"), 1);
    assert_int_equal(count_of(world, "503 Service Unavailable"), 1);
    assert_int_equal(count_of(world, "Connection: close"), 2);
    assert_true(nx_http_conn_is_done(world->conn));
    answer(world->held[1], NX_STR("late")); /* an orphan by now */
    assert_int_equal(world->shared.orphans.count, 0);
}

static void test_problem_details_escape_what_the_client_sent(void **state) {
    struct world *world = *state;
    struct nx_error err = { 0 };
    feed(world, GET("/a"));
    assert_int_equal(world->held_count, 1);
    (void)nx_fail_kind(&err, NX_KIND_DISK_FULL, "no room for '%s'", "\"\xff\n");
    nx_hint(&err, "free some");
    nx_http_respond_error(world->held[0], &err, NX_STR("X: y\r\n"));
    flush(world);
    assert_int_equal(count_of(world, "HTTP/1.1 507 Insufficient Storage"), 1);
    assert_int_equal(count_of(world, "application/problem+json"), 1);
    assert_int_equal(count_of(world, "\"kind\":\"disk-full\""), 1);
    assert_int_equal(count_of(world, "\"hint\":\"free some\""), 1);
    assert_int_equal(count_of(world, "\r\nX: y\r\n"), 1);
    assert_int_equal(count_of(world, "\xff"), 0);
}

static void begin_stream(struct nx_http_exchange *exchange) {
    nx_http_stream_begin(
        exchange, &(struct nx_http_response){ .status = 200, .content_type = NX_STR("text/event-stream") });
}

static void test_a_stream_is_written_in_pieces_when_its_turn_has_come(void **state) {
    struct world *world = *state;
    feed(world, GET("/first") GET("/stream") GET("/now"));
    begin_stream(world->held[1]);
    nx_http_stream_write(world->held[1], NX_STR("early"));
    flush(world);
    assert_int_equal(world->written.len, 0);
    answer(world->held[0], NX_STR("first"));
    flush(world);
    assert_int_equal(count_of(world, "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n"), 1);
    nx_http_stream_write(world->held[1], NX_STR("late"));
    flush(world);
    assert_int_equal(count_of(world, "4\r\nlate\r\n"), 1);
    assert_int_equal(count_of(world, "/now"), 0);
    nx_http_stream_end(world->held[1]);
    flush(world);
    assert_int_equal(count_of(world, "late\r\n0\r\n\r\nHTTP/1.1 200 OK"), 1);
    assert_true(nx_http_conn_is_quiet(world->conn));
}

static size_t unwritten_size;

static size_t unwritten(void *transport) {
    (void)transport;
    return unwritten_size;
}

static size_t ready_count;

static void ready(struct nx_http_exchange *exchange) {
    ready_count++;
    nx_http_stream_write(exchange, NX_STR("more"));
}

static void test_a_stream_waits_for_room(void **state) {
    struct world *world = *state;
    world->shared.unwritten = unwritten;
    ready_count = 0;
    feed(world, GET("/stream"));
    begin_stream(world->held[0]);
    flush(world);
    unwritten_size = NX_HTTP_OUTPUT_SIZE_HIGH + 1;
    assert_false(nx_http_stream_has_room(world->held[0]));
    nx_http_stream_wait(world->held[0], ready);
    flush(world);
    assert_int_equal(ready_count, 0);
    unwritten_size = 0;
    flush(world);
    assert_int_equal(ready_count, 1);
    assert_int_equal(count_of(world, "4\r\nmore\r\n"), 1);
    flush(world);
    assert_int_equal(ready_count, 1);
    nx_http_stream_end(world->held[0]);
}

static void test_a_reader_that_takes_nothing_is_cut(void **state) {
    struct world *world = *state;
    world->shared.unwritten = unwritten;
    feed(world, GET("/stream"));
    begin_stream(world->held[0]);
    unwritten_size = NX_HTTP_OUTPUT_SIZE_HIGH + 1;
    flush(world);
    nx_http_stream_wait(world->held[0], ready);
    world->shared.now.monotonic_ns += world->shared.timeouts.ns[NX_HTTP_PHASE_WRITE] + 1;
    assert_ptr_equal(nx_http_shared_expire(&world->shared), world->conn);
    assert_true(nx_http_conn_is_broken(world->conn));
    unwritten_size = 0;
} /* its exchange, which nobody will answer, goes with the connection */

static void test_a_stop_ends_streams(void **state) {
    struct world *world = *state;
    feed(world, GET("/poll/stream"));
    struct nx_http_exchange *exchange = world->held[0];
    begin_stream(exchange);
    nx_http_stream_write(exchange, NX_STR("piece"));
    world->shared.draining = true;
    nx_http_conn_interrupt(world->conn);
    flush(world);
    assert_int_equal(count_of(world, "piece\r\n0\r\n\r\n"), 1);
    assert_true(nx_http_conn_is_done(world->conn));
    assert_null(exchange->conn);
    nx_http_abandon(exchange); /* its message came back */
}

static void test_a_client_of_http_1_0_gets_no_chunks(void **state) {
    struct world *world = *state;
    feed(world, "GET /stream HTTP/1.0\r\n\r\n");
    begin_stream(world->held[0]);
    nx_http_stream_write(world->held[0], NX_STR("piece"));
    nx_http_stream_end(world->held[0]);
    flush(world);
    assert_int_equal(count_of(world, "Transfer-Encoding"), 0);
    assert_int_equal(count_of(world, "\r\n\r\npiece"), 1);
    assert_true(nx_http_conn_is_done(world->conn));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_answers_with_length_date_and_body),
        TEST(test_a_stream_is_written_in_pieces_when_its_turn_has_come),
        TEST(test_a_stream_waits_for_room),
        TEST(test_a_reader_that_takes_nothing_is_cut),
        TEST(test_a_stop_ends_streams),
        TEST(test_a_client_of_http_1_0_gets_no_chunks),
        TEST(test_answers_head_without_the_body),
        TEST(test_answers_pipelined_requests_in_their_order),
        TEST(test_takes_no_more_than_the_pipeline_holds),
        TEST(test_takes_no_more_while_its_output_is_not_taken),
        TEST(test_closes_behind_the_last_answer_where_asked_to),
        TEST(test_keeps_a_connection_of_http_1_0_only_where_asked_to),
        TEST(test_answers_what_came_before_garbage_then_400_then_closes),
        TEST(test_answers_garbage_behind_headers_that_it_looks_at),
        TEST(test_asks_for_a_body_when_its_turn_has_come),
        TEST(test_refuses_before_asking_for_a_body),
        TEST(test_an_answer_for_a_client_that_left_goes_nowhere),
        TEST(test_a_client_that_ends_sending_still_gets_its_answers),
        TEST(test_times_out_headers_however_slowly_they_drip),
        TEST(test_times_out_a_body),
        TEST(test_closes_an_idle_connection_in_silence),
        TEST(test_waits_for_an_answer_as_long_as_it_takes),
        TEST(test_cuts_a_client_that_takes_no_output),
        TEST(test_a_stop_answers_long_polls_and_finishes_the_rest),
        TEST(test_problem_details_escape_what_the_client_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
