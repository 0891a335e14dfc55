/* src/codec/nats_test.c: operations are read from bytes in any pieces, and nothing else is taken for one. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/nats.h"

static const struct nx_nats_limits of_client = { NX_NATS_CLIENT, NX_NATS_CONTROL_LINE_SIZE_MAX, 64 };
static const struct nx_nats_limits of_server = { NX_NATS_SERVER, NX_NATS_CONTROL_LINE_SIZE_MAX, 64 };

static struct nx_nats_op read_whole(struct nx_str bytes, const struct nx_nats_limits *limits) {
    struct nx_nats_op op = { .verb = NX_NATS_ERR };
    struct nx_error err = { 0 };
    size_t size = 0;
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_equal(nx_nats_parse(nx_str_slice(bytes, 0, len), limits, &op, &size, &err),
                         NX_NATS_PARSE_MORE);
        assert_in_range(size, len + 1, bytes.len);
    }
    assert_int_equal(nx_nats_parse(bytes, limits, &op, &size, &err), NX_NATS_PARSE_DONE);
    assert_int_equal(size, bytes.len);
    return op;
}

static void expect_failure(struct nx_str bytes, const struct nx_nats_limits *limits, const char *message) {
    struct nx_nats_op op;
    struct nx_error err = { 0 };
    size_t size = 0;
    assert_int_equal(nx_nats_parse(bytes, limits, &op, &size, &err), NX_NATS_PARSE_FAILED);
    assert_string_equal(err.message, message);
}

static void assert_str(struct nx_str actual, const char *expected) {
    if (!nx_str_is(actual, expected)) {
        fail_msg("'%.*s' is not '%s'", NX_STR_ARG(actual), expected);
    }
}

static void test_reads_a_publish_with_and_without_a_reply(void **state) {
    (void)state;
    struct nx_nats_op op = read_whole(NX_STR("PUB a.b 5\r\nhe\r\no\r\n"), &of_client);
    assert_int_equal(op.verb, NX_NATS_PUB);
    assert_str(op.subject, "a.b");
    assert_str(op.reply, "");
    assert_str(op.payload, "he\r\no");
    op = read_whole(NX_STR("pub \t a.b  _INBOX.1\t0 \r\n\r\n"), &of_client);
    assert_str(op.reply, "_INBOX.1");
    assert_str(op.payload, "");
}

static void test_reads_headers_and_payload_apart(void **state) {
    (void)state;
    struct nx_nats_op op =
        read_whole(NX_STR("HPUB a r 23 25\r\nNATS/1.0\r\nA: b\r\nC:d\r\n\r\nhi\r\n"), &of_client);
    struct nx_nats_headers headers;
    assert_str(op.subject, "a");
    assert_str(op.reply, "r");
    assert_str(op.payload, "hi");
    assert_true(nx_nats_headers_split(op.headers, &headers));
    assert_int_equal(headers.status, 0);
    assert_str(headers.lines, "A: b\r\nC:d\r\n");
}

static void test_reads_subscriptions(void **state) {
    (void)state;
    struct nx_nats_op op = read_whole(NX_STR("SUB a.* 7\r\n"), &of_client);
    assert_str(op.subject, "a.*");
    assert_str(op.queue, "");
    assert_str(op.sid, "7");
    op = read_whole(NX_STR("SUB a.> workers s-1\r\n"), &of_client);
    assert_str(op.queue, "workers");
    assert_str(op.sid, "s-1");
    op = read_whole(NX_STR("UNSUB 7\n"), &of_client);
    assert_str(op.sid, "7");
    assert_int_equal(op.count_max, 0);
    op = read_whole(NX_STR("UNSUB 7 12\r\n"), &of_client);
    assert_int_equal(op.count_max, 12);
}

static void test_reads_what_a_server_says(void **state) {
    (void)state;
    struct nx_nats_op op = read_whole(NX_STR("MSG a 1 r 2\r\nhi\r\n"), &of_server);
    assert_str(op.sid, "1");
    assert_str(op.reply, "r");
    op = read_whole(NX_STR("HMSG a 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n"), &of_server);
    struct nx_nats_headers headers;
    assert_true(nx_nats_headers_split(op.headers, &headers));
    assert_int_equal(headers.status, 503);
    assert_str(headers.description, "");
    op = read_whole(NX_STR("-ERR 'Stale Connection'\r\n"), &of_server);
    assert_str(op.text, "Stale Connection");
    op = read_whole(NX_STR("INFO {\"a\": 1} \r\n"), &of_server);
    assert_str(op.text, "{\"a\": 1}");
    assert_int_equal(read_whole(NX_STR("+OK\r\n"), &of_server).verb, NX_NATS_OK);
}

static void test_each_peer_has_its_own_verbs(void **state) {
    (void)state;
    expect_failure(NX_STR("MSG a 1 2\r\nhi\r\n"), &of_client, "Unknown Protocol Operation");
    expect_failure(NX_STR("SUB a 1\r\n"), &of_server, "Unknown Protocol Operation");
    expect_failure(NX_STR("GET / HTTP/1.1\r\n"), &of_client, "Unknown Protocol Operation");
    expect_failure(NX_STR("X"), &of_client, "Unknown Protocol Operation");
    expect_failure(NX_STR("PUBLISH"), &of_client, "Unknown Protocol Operation");
    expect_failure(NX_STR("PIN\r\n"), &of_client, "Unknown Protocol Operation");
    expect_failure(NX_STR("\r\n"), &of_client, "Unknown Protocol Operation");
    expect_failure(NX_STR("\n"), &of_client, "Unknown Protocol Operation");
}

static void test_refuses_bad_arguments(void **state) {
    static const char *const lines[] = { "PUB\r\n",
                                         "PUB a\r\n",
                                         "PUB a b c 2\r\n",
                                         "PUB a -1\r\n",
                                         "PUB a 1x\r\n",
                                         "SUB a\r\n",
                                         "SUB a b c d\r\n",
                                         "UNSUB\r\n",
                                         "UNSUB 1 many\r\n",
                                         "HPUB a 2\r\n",
                                         "HPUB a 3 2\r\n",
                                         "HPUB a x 2\r\n",
                                         "PUB a 99999999999999999999999\r\n" };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        expect_failure(nx_str_from_c(lines[i]), &of_client, "Parser Error");
    }
}

static void test_a_limit_has_its_own_error(void **state) {
    char line[NX_NATS_CONTROL_LINE_SIZE_MAX + 2];
    struct nx_nats_op op;
    size_t size = 0;
    (void)state;
    expect_failure(NX_STR("PUB a 65\r\n"), &of_client, "Maximum Payload Violation");
    expect_failure(NX_STR("PUB a 1\r\nxyz"), &of_client, "Unknown Protocol Operation");
    memset(line, 'a', sizeof line);
    memcpy(line, "SUB ", 4);
    assert_int_equal(nx_nats_parse(nx_str_of(line, sizeof line - 2), &of_client, &op, &size, NULL),
                     NX_NATS_PARSE_MORE);
    expect_failure(nx_str_of(line, sizeof line), &of_client, "maximum control line exceeded");
    line[sizeof line - 1] = '\n'; /* one byte too many in front of it */
    expect_failure(nx_str_of(line, sizeof line), &of_client, "maximum control line exceeded");
}

static void test_splits_only_a_block_of_headers(void **state) {
    static const char *const blocks[] = {
        "", "NATS/1.0", "NATS/1.0\r\n", "NATS/1.1\r\n\r\n", "NATS/1.0x\r\n\r\n", "A: b\r\n\r\n"
    };
    struct nx_nats_headers headers;
    (void)state;
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        assert_false(nx_nats_headers_split(nx_str_from_c(blocks[i]), &headers));
    }
    assert_true(nx_nats_headers_split(NX_STR("NATS/1.0 408 Request Timeout\r\nA: b\r\n\r\n"), &headers));
    assert_int_equal(headers.status, 408);
    assert_str(headers.description, "Request Timeout");
    assert_str(headers.lines, "A: b\r\n");
}

static void test_writes_what_it_reads(void **state) {
    static const char *const operations[] = {
        "CONNECT {}\r\n",
        "PING\r\n",
        "PUB a 2\r\nhi\r\n",
        "PUB a r 0\r\n\r\n",
        "SUB a 1\r\n",
        "SUB a q 1\r\n",
        "UNSUB 1\r\n",
        "UNSUB 1 5\r\n",
        "PONG\r\n",
        "HPUB a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n",
        "MSG a 1 2\r\nhi\r\n",
        "HMSG a 1 r 12 12\r\nNATS/1.0\r\n\r\n\r\n",
        "-ERR 'Slow Consumer'\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        NX_AUTO(nx_buf) out;
        nx_buf_init(&out, 256);
        const struct nx_nats_op op =
            read_whole(nx_str_from_c(operations[i]), i < 10 ? &of_client : &of_server);
        nx_nats_append(&out, &op);
        assert_str(nx_buf_str(&out), operations[i]);
    }
    NX_AUTO(nx_buf) block;
    nx_buf_init(&block, 256);
    nx_nats_headers_append(&block,
                           &(struct nx_nats_headers){ 404, NX_STR("No Messages"), NX_STR("A: b\r\n") });
    assert_str(nx_buf_str(&block), "NATS/1.0 404 No Messages\r\nA: b\r\n\r\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_publish_with_and_without_a_reply),
        cmocka_unit_test(test_reads_headers_and_payload_apart),
        cmocka_unit_test(test_reads_subscriptions),
        cmocka_unit_test(test_reads_what_a_server_says),
        cmocka_unit_test(test_each_peer_has_its_own_verbs),
        cmocka_unit_test(test_refuses_bad_arguments),
        cmocka_unit_test(test_a_limit_has_its_own_error),
        cmocka_unit_test(test_splits_only_a_block_of_headers),
        cmocka_unit_test(test_writes_what_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
