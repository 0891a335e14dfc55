/* src/io/socket_test.c: whole conversations over loopback; the client is a blocking one on the test's thread.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "base/counter.h"
#include "io/dial.h"
#include "io/socket.h"

enum { TIMEOUT_MS = 10000, BIG_SIZE = 12 * 1024 * 1024 /* more than the kernel buffers */ };

/* What the server side of a test does with its connection, and what it saw. The loop's until it is joined. */
struct served {
    struct nx_socket *socket;
    struct nx_buf seen;
    struct nx_buf answer;
    size_t read_count;
    size_t ended_count;
    size_t drained_count;
    struct nx_counter closed_count;
    struct nx_timer timer;
    struct nx_loop *loop;
    enum nx_status write_status;
    void (*react)(struct served *served);
};

static void served_read(void *data, struct nx_str bytes) {
    struct served *served = data;
    nx_buf_append(&served->seen, bytes);
    served->read_count++;
    served->write_status = nx_buf_check(&served->seen, NULL);
    if (served->react != NULL && served->write_status == NX_OK) {
        served->react(served);
    }
    if (served->write_status != NX_OK) { /* so that a client that waits for the answer is told */
        nx_socket_close(served->socket);
    }
}

static void served_ended(void *data, const struct nx_error *err) {
    struct served *served = data;
    (void)err;
    served->ended_count++;
    nx_socket_close(served->socket);
}

static void served_drained(void *data) {
    struct served *served = data;
    served->drained_count++;
}

static void served_closed(void *data) {
    struct served *served = data;
    served->socket = NULL;
    nx_counter_add(&served->closed_count, 1);
}

static const struct nx_socket_handler served_handler = { served_read, served_ended, served_drained,
                                                         served_closed };

static void accepted(void *data, struct nx_socket *socket) {
    struct served *served = data;
    served->socket = socket;
    nx_socket_start(socket, &served_handler, served);
}

struct fixture {
    struct nx_loop *loop;
    struct nx_listener *listener;
    struct served served;
};

static void fixture_open(struct fixture *fixture, void (*react)(struct served *served),
                         size_t pending_size_max) {
    const struct nx_loop_options options = { .mailbox_count_max = 1 };
    *fixture = (struct fixture){ .served = { .react = react } };
    nx_buf_init(&fixture->served.seen, 16 * 1024 * 1024);
    nx_buf_init(&fixture->served.answer, 16 * 1024 * 1024);
    assert_int_equal(nx_loop_open(&options, &fixture->loop, NULL), NX_OK);
    fixture->served.loop = fixture->loop;
    const struct nx_listen_options listen_options = { .host = "localhost",
                                                      .pending_size_max = pending_size_max,
                                                      .accepted = accepted,
                                                      .data = &fixture->served };
    assert_int_equal(nx_listener_open(fixture->loop, &listen_options, &fixture->listener, NULL), NX_OK);
}

static struct nx_dial *fixture_start(struct fixture *fixture) {
    struct nx_dial *dial = NULL;
    assert_int_equal(nx_loop_start(fixture->loop, "server", NULL), NX_OK);
    assert_int_equal(nx_dial_open("127.0.0.1", nx_listener_port(fixture->listener), TIMEOUT_MS, &dial, NULL),
                     NX_OK);
    return dial;
}

static void wait_closed(struct fixture *fixture) {
    while (nx_counter_get(&fixture->served.closed_count) == 0) {
    }
}

static void fixture_close(struct fixture *fixture) {
    nx_loop_join(fixture->loop);
    nx_loop_close(fixture->loop);
    nx_buf_fini(&fixture->served.seen);
    nx_buf_fini(&fixture->served.answer);
}

/** Read until the peer ends or `size` bytes are there. */
static void read_all(struct nx_dial *dial, struct nx_buf *content, size_t size) {
    char bytes[64 * 1024];
    size_t len = 1;
    while (len > 0 && content->len < size && !nx_buf_failed(content)) {
        assert_int_equal(nx_dial_read(dial, bytes, sizeof bytes, &len, NULL), NX_OK);
        nx_buf_append(content, nx_str_of(bytes, len));
    }
}

/* ---- conversations ---- */

static void answer_in_parts(struct served *served) {
    const struct nx_str parts[] = { NX_STR("you said "), nx_buf_str(&served->seen), NX_STR("") };
    served->write_status = nx_socket_write(served->socket, parts, 3, NULL);
    nx_buf_reset(&served->seen);
}

static void test_answers_what_it_is_told(void **state) {
    struct fixture fixture;
    NX_AUTO(nx_buf) content;
    (void)state;
    nx_buf_init(&content, 1000);
    fixture_open(&fixture, answer_in_parts, 0);
    NX_AUTO(nx_dial) *dial = fixture_start(&fixture);
    for (int i = 0; i < 3; i++) {
        nx_buf_reset(&content);
        assert_int_equal(nx_dial_write(dial, NX_STR("hello"), NULL), NX_OK);
        read_all(dial, &content, 14);
        assert_true(nx_str_is(nx_buf_str(&content), "you said hello"));
    }
    nx_dial_close(NX_TAKE(dial));
    wait_closed(&fixture);
    nx_loop_join(fixture.loop);
    assert_int_equal(fixture.served.write_status, NX_OK);
    assert_int_equal(fixture.served.ended_count, 1);
    assert_int_equal(fixture.served.drained_count, 0); /* nothing ever waited */
    fixture_close(&fixture);
}

static void answer_big_and_finish(struct served *served) {
    while (served->answer.len < BIG_SIZE && !nx_buf_failed(&served->answer)) {
        nx_buf_append_u32(&served->answer, (uint32_t)served->answer.len);
    }
    served->write_status = nx_socket_write_buf(served->socket, &served->answer, NULL);
    assert_true(served->write_status != NX_OK || served->answer.len == 0);
    nx_socket_finish(served->socket);
}

static void check_big(struct nx_str content) {
    struct nx_reader reader = nx_reader_of(content);
    uint32_t expected = 0;
    assert_int_equal(content.len, BIG_SIZE);
    while (expected < BIG_SIZE && nx_reader_u32(&reader) == expected) {
        expected += 4;
    }
    assert_int_equal(expected, BIG_SIZE);
}

static void test_finish_sends_all_that_waits_and_loses_nothing_of_it(void **state) {
    struct fixture fixture;
    NX_AUTO(nx_buf) content;
    (void)state;
    nx_buf_init(&content, 2 * BIG_SIZE);
    fixture_open(&fixture, answer_big_and_finish, 2 * BIG_SIZE);
    NX_AUTO(nx_dial) *dial = fixture_start(&fixture);
    assert_int_equal(nx_dial_write(dial, NX_STR("x"), NULL), NX_OK);
    /* Still talking while it finishes: unread bytes must not destroy the answer. */
    assert_int_equal(nx_dial_write(dial, NX_STR("and more"), NULL), NX_OK);
    read_all(dial, &content, 2 * BIG_SIZE);
    check_big(nx_buf_str(&content));
    nx_dial_close(NX_TAKE(dial));
    wait_closed(&fixture);
    fixture_close(&fixture);
}

static void answer_twice(struct served *served) {
    while (served->answer.len < BIG_SIZE && !nx_buf_failed(&served->answer)) {
        nx_buf_append_u32(&served->answer, (uint32_t)served->answer.len);
    }
    served->write_status = nx_buf_check(&served->answer, NULL);
    if (served->write_status != NX_OK) {
        return;
    }
    const struct nx_str half = nx_str_slice(nx_buf_str(&served->answer), 0, BIG_SIZE / 2);
    const struct nx_str rest = nx_str_slice(nx_buf_str(&served->answer), BIG_SIZE / 2, BIG_SIZE);
    served->write_status = nx_socket_write(served->socket, &half, 1, NULL);
    if (served->write_status == NX_OK) {
        served->write_status = nx_socket_write(served->socket, &rest, 1, NULL);
    }
}

static void test_writes_that_wait_stay_in_order_and_drain(void **state) {
    struct fixture fixture;
    NX_AUTO(nx_buf) content;
    (void)state;
    nx_buf_init(&content, 2 * BIG_SIZE);
    fixture_open(&fixture, answer_twice, 2 * BIG_SIZE);
    NX_AUTO(nx_dial) *dial = fixture_start(&fixture);
    assert_int_equal(nx_dial_write(dial, NX_STR("x"), NULL), NX_OK);
    read_all(dial, &content, BIG_SIZE);
    check_big(nx_buf_str(&content));
    nx_dial_close(NX_TAKE(dial));
    wait_closed(&fixture);
    nx_loop_join(fixture.loop);
    assert_int_equal(fixture.served.write_status, NX_OK);
    assert_int_equal(fixture.served.drained_count, 1);
    fixture_close(&fixture);
}

static void write_until_refused(struct served *served) {
    char block[4096] = { 0 };
    const struct nx_str part = nx_str_of(block, sizeof block);
    size_t count = 0;
    do {
        served->write_status = nx_socket_write(served->socket, &part, 1, NULL);
        count++;
    } while (served->write_status == NX_OK && count < 100000);
    assert_true(nx_socket_pending(served->socket) <= 100000);
    /* Each but the last was taken, by the kernel or by us. */
    assert_int_equal(nx_socket_written(served->socket) + nx_socket_pending(served->socket),
                     (count - 1) * sizeof block);
    nx_socket_close(served->socket);
}

static void test_refuses_to_queue_more_than_the_maximum_for_a_slow_peer(void **state) {
    struct fixture fixture;
    (void)state;
    fixture_open(&fixture, write_until_refused, 100000);
    NX_AUTO(nx_dial) *dial = fixture_start(&fixture);
    assert_int_equal(nx_dial_write(dial, NX_STR("x"), NULL), NX_OK);
    wait_closed(&fixture); /* the client reads nothing */
    nx_loop_join(fixture.loop);
    assert_int_equal(fixture.served.write_status, NX_RESOURCE_EXHAUSTED);
    fixture_close(&fixture);
}

static void resume_later(void *data) {
    struct served *served = data;
    served->ended_count += served->read_count == 1 ? 0 : 100; /* nothing may be read while paused */
    nx_socket_resume(served->socket);
}

static void pause_after_the_first_byte(struct served *served) {
    if (served->read_count == 1) {
        answer_in_parts(served);
        nx_socket_pause(served->socket);
        served->timer.end = resume_later;
        served->timer.data = served;
        nx_timer_start(served->loop, &served->timer, 60);
    } else {
        answer_in_parts(served);
    }
}

static void test_a_paused_socket_reads_nothing_until_resumed(void **state) {
    struct fixture fixture;
    NX_AUTO(nx_buf) content;
    (void)state;
    nx_buf_init(&content, 1000);
    fixture_open(&fixture, pause_after_the_first_byte, 0);
    NX_AUTO(nx_dial) *dial = fixture_start(&fixture);
    assert_int_equal(nx_dial_write(dial, NX_STR("a"), NULL), NX_OK);
    read_all(dial, &content, 10); /* so it has read the first byte, and paused */
    assert_int_equal(nx_dial_write(dial, NX_STR("b"), NULL), NX_OK);
    read_all(dial, &content, 20);
    assert_true(nx_str_is(nx_buf_str(&content), "you said ayou said b"));
    nx_dial_close(NX_TAKE(dial));
    wait_closed(&fixture);
    nx_loop_join(fixture.loop);
    assert_int_equal(fixture.served.ended_count, 1);
    fixture_close(&fixture);
}

static void test_closing_the_loop_closes_its_sockets(void **state) {
    struct fixture fixture;
    NX_AUTO(nx_buf) content;
    (void)state;
    nx_buf_init(&content, 1000);
    fixture_open(&fixture, answer_in_parts, 0);
    NX_AUTO(nx_dial) *dial = fixture_start(&fixture);
    assert_int_equal(nx_dial_write(dial, NX_STR("x"), NULL), NX_OK);
    read_all(dial, &content, 10);
    nx_loop_join(fixture.loop);
    nx_loop_close(fixture.loop);
    assert_int_equal(nx_counter_get(&fixture.served.closed_count), 1);
    read_all(dial, &content, 100);
    assert_int_equal(content.len, 10); /* an end, and nothing else */
    nx_buf_fini(&fixture.served.seen);
    nx_buf_fini(&fixture.served.answer);
}

/* ---- listening ---- */

static void test_tells_the_peer_address(void **state) {
    struct fixture fixture;
    (void)state;
    fixture_open(&fixture, NULL, 0);
    struct nx_dial *dial = fixture_start(&fixture);
    nx_loop_join(fixture.loop);
    if (fixture.served.socket != NULL) { /* accepted before the loop was stopped */
        char text[NX_SOCKET_PEER_SIZE];
        assert_true(nx_str_starts_with(nx_socket_peer(fixture.served.socket, text), NX_STR("127.0.0.1:")));
    }
    nx_dial_close(dial);
    fixture_close(&fixture);
}

static void test_refuses_a_port_in_use_unless_told_to_join_it(void **state) {
    struct fixture fixture;
    struct nx_error err = { 0 };
    struct nx_listener *second = NULL;
    (void)state;
    fixture_open(&fixture, NULL, 0);
    struct nx_listen_options options = { .host = "127.0.0.1",
                                         .port = nx_listener_port(fixture.listener),
                                         .accepted = accepted,
                                         .data = &fixture.served };
    assert_int_equal(nx_listener_open(fixture.loop, &options, &second, &err), NX_FAILED_PRECONDITION);
    assert_non_null(strstr(err.message, "the port is in use"));
    assert_null(second);
    options.join = true;
    assert_int_equal(nx_listener_open(fixture.loop, &options, &second, &err), NX_OK);
    assert_int_equal(nx_listener_port(second), nx_listener_port(fixture.listener));
    nx_listener_close(second);
    fixture_close(&fixture);
}

static void test_a_given_port_is_taken_and_kept(void **state) {
    struct fixture fixture;
    struct nx_listener *again = NULL;
    (void)state;
    fixture_open(&fixture, NULL, 0);
    const uint16_t port = nx_listener_port(fixture.listener);
    fixture_close(&fixture);
    fixture_open(&fixture, NULL, 0);
    const struct nx_listen_options options = {
        .host = "127.0.0.1", .port = port, .accepted = accepted, .data = &fixture.served
    };
    const enum nx_status status = nx_listener_open(fixture.loop, &options, &again, NULL);
    if (status == NX_OK) { /* else another process was faster */
        assert_int_equal(nx_listener_port(again), port);
    }
    fixture_close(&fixture);
}

static void test_refuses_a_host_that_is_no_address(void **state) {
    struct fixture fixture;
    struct nx_error err = { 0 };
    struct nx_listener *second = NULL;
    const struct nx_listen_options options = { .host = "not an address", .accepted = accepted };
    (void)state;
    fixture_open(&fixture, NULL, 0);
    assert_int_equal(nx_listener_open(fixture.loop, &options, &second, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "'not an address' is not an IPv4 or IPv6 address");
    fixture_close(&fixture);
}

/* ---- dialling ---- */

static void test_dialling_nobody_fails_with_the_address(void **state) {
    struct fixture fixture;
    struct nx_error err = { 0 };
    struct nx_dial *dial = NULL;
    (void)state;
    fixture_open(&fixture, NULL, 0);
    const uint16_t port = nx_listener_port(fixture.listener);
    fixture_close(&fixture);
    assert_int_equal(nx_dial_open("127.0.0.1", port, TIMEOUT_MS, &dial, &err), NX_UNAVAILABLE);
    assert_non_null(strstr(err.message, "cannot connect to 127.0.0.1 port"));
    assert_null(dial);
}

static void test_a_silent_server_times_out(void **state) {
    struct fixture fixture;
    struct nx_dial *dial = NULL;
    char byte;
    size_t len;
    (void)state;
    fixture_open(&fixture, NULL, 0); /* listens, and never answers */
    assert_int_equal(nx_dial_open("127.0.0.1", nx_listener_port(fixture.listener), 50, &dial, NULL), NX_OK);
    assert_int_equal(nx_dial_read(dial, &byte, 1, &len, NULL), NX_DEADLINE_EXCEEDED);
    nx_dial_close(dial);
    fixture_close(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_what_it_is_told),
        cmocka_unit_test(test_finish_sends_all_that_waits_and_loses_nothing_of_it),
        cmocka_unit_test(test_writes_that_wait_stay_in_order_and_drain),
        cmocka_unit_test(test_refuses_to_queue_more_than_the_maximum_for_a_slow_peer),
        cmocka_unit_test(test_a_paused_socket_reads_nothing_until_resumed),
        cmocka_unit_test(test_closing_the_loop_closes_its_sockets),
        cmocka_unit_test(test_tells_the_peer_address),
        cmocka_unit_test(test_refuses_a_port_in_use_unless_told_to_join_it),
        cmocka_unit_test(test_a_given_port_is_taken_and_kept),
        cmocka_unit_test(test_refuses_a_host_that_is_no_address),
        cmocka_unit_test(test_dialling_nobody_fails_with_the_address),
        cmocka_unit_test(test_a_silent_server_times_out),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
