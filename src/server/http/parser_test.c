/* src/server/http/parser_test.c: however the bytes are cut, a request is the same; what two programs could
 * read differently is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "server/http/parser.h"

struct parse {
    struct nx_http_parser *parser;
    struct nx_http_request *request;
    struct nx_error err;
};

static int setup(void **state) {
    static struct parse parse;
    parse = (struct parse){ 0 };
    assert_int_equal(nx_http_parser_new(&parse.parser, NULL), NX_OK);
    assert_int_equal(nx_http_request_new(&parse.request, NULL), NX_OK);
    nx_http_request_reset(parse.request);
    *state = &parse;
    return 0;
}

static int teardown(void **state) {
    struct parse *parse = *state;
    nx_http_parser_free(parse->parser);
    nx_http_request_free(parse->request);
    return 0;
}

/* Feed in pieces of this size until a request is done or refused. Pieces are copies, so that nothing can lean
 * on what was fed before. */
static enum nx_http_parse feed(struct parse *parse, struct nx_str bytes, size_t piece_size) {
    enum nx_http_parse result = NX_HTTP_PARSE_MORE;
    size_t offset = 0;
    while (offset < bytes.len && result == NX_HTTP_PARSE_MORE) {
        static char piece[256 * 1024];
        const size_t left = bytes.len - offset;
        const size_t len = left < piece_size ? left : piece_size;
        size_t consumed = 0;
        memcpy(piece, bytes.ptr + offset, len);
        result =
            nx_http_parser_feed(parse->parser, parse->request, nx_str_of(piece, len), &consumed, &parse->err);
        assert_true(consumed <= len);
        offset += consumed;
    }
    return result;
}

static void expect_refused(void **state, struct nx_str bytes, int http_status) {
    for (size_t piece_size = 1; piece_size <= bytes.len; piece_size += bytes.len > 1000 ? 997 : 1) {
        assert_int_equal(setup(state), 0);
        struct parse *parse = *state;
        if (feed(parse, bytes, piece_size) != NX_HTTP_PARSE_FAILED) {
            print_error("accepted in pieces of %zu: %.*s\n", piece_size, NX_STR_ARG(bytes));
            fail();
        }
        assert_int_equal(nx_error_http_status(&parse->err), http_status);
        if (piece_size < bytes.len) {
            (void)teardown(state);
        }
    }
}

static void test_reads_a_request_cut_anywhere(void **state) {
    const struct nx_str bytes = NX_STR("POST /events/a%20b?x=1&y HTTP/1.1\r\nHost: localhost:8080\r\n"
                                       "Empty:\r\nContent-Type:  text/plain \t\r\nContent-Length: 11\r\n\r\n"
                                       "hello world");
    for (size_t piece_size = 1; piece_size <= bytes.len; piece_size++) {
        struct parse *parse = *state;
        assert_int_equal(feed(parse, bytes, piece_size), NX_HTTP_PARSE_DONE);
        const struct nx_http_request *request = parse->request;
        assert_int_equal(request->method, NX_HTTP_POST);
        assert_true(nx_str_is(request->path, "/events/a%20b"));
        assert_true(nx_str_is(request->query, "x=1&y"));
        assert_true(nx_str_is(request->authority, "localhost:8080"));
        assert_true(nx_str_is(nx_http_request_header(request, NX_STR("content-type")), "text/plain"));
        assert_int_equal(request->header_count, 4);
        assert_true(nx_str_is(request->headers[1].name, "Empty"));
        assert_int_equal(request->headers[1].value.len, 0);
        assert_true(request->keep_alive);
        if (piece_size == bytes.len) {
            assert_true(nx_str_is(request->body, "hello world"));
        } else {
            assert_int_equal(request->body.len, 11);
        }
        nx_http_request_reset(parse->request);
    }
}

static void test_reads_chunks_cut_anywhere(void **state) {
    const struct nx_str bytes =
        NX_STR("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
               "5;name=value\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n");
    for (size_t piece_size = 1; piece_size <= bytes.len; piece_size++) {
        struct parse *parse = *state;
        assert_int_equal(feed(parse, bytes, piece_size), NX_HTTP_PARSE_DONE);
        assert_true(nx_str_is(parse->request->body, "hello world"));
        assert_int_equal(parse->request->header_count, 2);
        nx_http_request_reset(parse->request);
    }
}

static void test_leaves_the_next_request_unread(void **state) {
    struct parse *parse = *state;
    const struct nx_str bytes =
        NX_STR("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\nGET /b HTTP/1.1\r\nHost: localhost\r\n\r\n");
    size_t consumed = 0;
    assert_int_equal(nx_http_parser_feed(parse->parser, parse->request, bytes, &consumed, NULL),
                     NX_HTTP_PARSE_DONE);
    assert_int_equal(consumed, bytes.len / 2);
    assert_true(nx_str_is(parse->request->path, "/a"));
    nx_http_request_reset(parse->request);
    assert_int_equal(nx_http_parser_feed(parse->parser, parse->request,
                                         nx_str_slice(bytes, consumed, bytes.len), &consumed, NULL),
                     NX_HTTP_PARSE_DONE);
    assert_true(nx_str_is(parse->request->path, "/b"));
}

#define HEAD "POST / HTTP/1.1\r\nHost: localhost\r\n"
static void test_refuses_what_could_be_read_differently(void **state) {
    static const struct nx_str requests[] = {
        { HEAD "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0 },
        { HEAD "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 0 },
        { HEAD "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 0 },
        { HEAD "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 0 },
        { HEAD "Content-Length: +3\r\n\r\nabc", 0 },
        { HEAD "Content-Length: 3, 3\r\n\r\nabc", 0 },
        { HEAD "Content-Length: 0x3\r\n\r\nabc", 0 },
        { HEAD "Content-Length: 99999999999999999999999\r\n\r\nabc", 0 },
        { HEAD "Content-Length : 3\r\n\r\nabc", 0 },
        { HEAD "X: a\r\n folded: b\r\n\r\n", 0 },
        { HEAD " X: a\r\n\r\n", 0 },
        { HEAD "X: a\n\r\n", 0 },
        { HEAD "X: a\r\n\n", 0 },
        { HEAD "X: a\rb\r\n\r\n", 0 },
        { HEAD "X\r\n\r\n", 0 },
        { HEAD "X Y: a\r\n\r\n", 0 },
        { HEAD ": a\r\n\r\n", 0 },
        { HEAD "X: \x01\r\n\r\n", 0 },
        { HEAD "Host: localhost\r\n\r\n", 0 },
        { "GET / HTTP/1.1\r\n\r\n", 0 },
        { "GET / HTTP/1.1\nHost: localhost\n\n", 0 },
        { "GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n", 0 },
        { "GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n", 0 },
        { "G\xc3\xa4T / HTTP/1.1\r\nHost: localhost\r\n\r\n", 0 },
        { "get / HTTP/1.1\r\nHost: localhost\r\n\r\n", 0 },
        { "GET / HTTPS/1.1\r\nHost: localhost\r\n\r\n", 0 },
        { HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", 0 },
        { HEAD "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", 0 },
        { HEAD "Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n", 0 },
        { HEAD "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n", 0 },
        { HEAD "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n", 0 },
        { "POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0 },
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        (void)teardown(state);
        expect_refused(state, nx_str_from_c(requests[i].ptr), 400);
    }
}

static void test_says_at_which_byte_a_request_is_malformed(void **state) {
    const struct nx_str bytes = NX_STR(HEAD "X Y: a\r\n\r\n"); /* the space behind X */
    for (size_t piece_size = 1; piece_size <= bytes.len; piece_size++) {
        (void)teardown(state);
        assert_int_equal(setup(state), 0);
        struct parse *parse = *state;
        assert_int_equal(feed(parse, NX_STR("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), piece_size),
                         NX_HTTP_PARSE_DONE);
        nx_http_request_reset(parse->request);
        assert_int_equal(feed(parse, bytes, piece_size), NX_HTTP_PARSE_FAILED);
        assert_string_equal(parse->err.message, "malformed request, byte 35: Invalid header token");
    }
}

static void test_refuses_what_it_does_not_speak(void **state) {
    (void)teardown(state);
    expect_refused(state, NX_STR("GET / HTTP/2.0\r\nHost: localhost\r\n\r\n"), 505);
    (void)teardown(state);
    expect_refused(state, NX_STR("GET /\r\n\r\n"), 505);
    (void)teardown(state);
    expect_refused(state, NX_STR("GET / HTTP/3.0\r\nHost: localhost\r\n\r\n"), 505);
    (void)teardown(state);
    expect_refused(state, NX_STR("GET / HTTP/0.9\r\nHost: localhost\r\n\r\n"), 505);
    (void)teardown(state);
    expect_refused(state, NX_STR(HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501);
    (void)teardown(state);
    expect_refused(state, NX_STR(HEAD "Transfer-Encoding: xchunked, chunked\r\n\r\n0\r\n\r\n"), 501);
    (void)teardown(state);
    expect_refused(state, NX_STR(HEAD "Expect: miracles\r\n\r\n"), 417);
}

static void test_ignores_an_upgrade(void **state) {
    struct parse *parse = *state;
    assert_int_equal(feed(parse,
                          NX_STR("GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\n"
                                 "Upgrade: h2c\r\n\r\nGET"),
                          1000),
                     NX_HTTP_PARSE_DONE);
    assert_int_equal(parse->request->method, NX_HTTP_GET);
}

static void test_takes_the_authority_of_an_absolute_target(void **state) {
    struct parse *parse = *state;
    assert_int_equal(
        feed(parse, NX_STR("GET http://evil.example/a?b HTTP/1.1\r\nHost: localhost\r\n\r\n"), 1000),
        NX_HTTP_PARSE_DONE);
    assert_true(nx_str_is(parse->request->authority, "evil.example"));
    assert_true(nx_str_is(parse->request->path, "/a"));
    assert_true(nx_str_is(parse->request->query, "b"));
}

static void test_refuses_a_body_over_the_limit(void **state) {
    char text[256];
    (void)snprintf(text, sizeof text, HEAD "Content-Length: %d\r\n\r\n", NX_HTTP_BODY_SIZE_MAX + 1);
    (void)teardown(state);
    expect_refused(state, nx_str_from_c(text), 413);
    (void)teardown(state);
    assert_int_equal(setup(state), 0);
    struct parse *parse = *state;
    NX_AUTO(nx_buf) chunked;
    nx_buf_init(&chunked, 4 * NX_HTTP_BODY_SIZE_MAX);
    nx_buf_append_c(&chunked, HEAD "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < NX_HTTP_BODY_SIZE_MAX / 0x8000 + 1; i++) {
        nx_buf_append_c(&chunked, "8000\r\n");
        for (int k = 0; k < 0x8000; k++) {
            nx_buf_append_u8(&chunked, 'x');
        }
        nx_buf_append_c(&chunked, "\r\n");
    }
    assert_int_equal(feed(parse, nx_buf_str(&chunked), 5000), NX_HTTP_PARSE_FAILED);
    assert_int_equal(nx_error_http_status(&parse->err), 413);
}

static void expect_headers_too_large(void **state, const char *repeated, int count) {
    NX_AUTO(nx_buf) bytes;
    (void)teardown(state);
    assert_int_equal(setup(state), 0);
    struct parse *parse = *state;
    nx_buf_init(&bytes, 64 * 1024 * 1024);
    nx_buf_append_c(&bytes, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    for (int i = 0; i < count; i++) {
        nx_buf_append_c(&bytes, repeated);
    }
    assert_int_equal(feed(parse, nx_buf_str(&bytes), 1000), NX_HTTP_PARSE_FAILED);
    assert_int_equal(nx_error_http_status(&parse->err), 431);
}

static void test_refuses_headers_over_the_limits(void **state) {
    expect_headers_too_large(state, "x", NX_HTTP_HEADERS_SIZE_MAX + 1);
    expect_headers_too_large(state, "\r\nY: z", NX_HTTP_HEADER_COUNT_MAX + 1);
    expect_headers_too_large(state, " ", 4 * NX_HTTP_HEADERS_SIZE_MAX);
    expect_headers_too_large(state, "\r\nYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYYY: z",
                             NX_HTTP_HEADERS_SIZE_MAX);
}

static void test_refuses_endless_chunk_extensions_and_trailers(void **state) {
    static const char *const openings[] = { "1;", "0\r\nX: " };
    for (size_t i = 0; i < 2; i++) {
        NX_AUTO(nx_buf) bytes;
        (void)teardown(state);
        assert_int_equal(setup(state), 0);
        struct parse *parse = *state;
        nx_buf_init(&bytes, 1024 * 1024);
        nx_buf_append_c(&bytes, HEAD "Transfer-Encoding: chunked\r\n\r\n");
        nx_buf_append_c(&bytes, openings[i]);
        for (int k = 0; k < NX_HTTP_CHUNK_EXTENSION_SIZE_MAX + 1; k++) {
            nx_buf_append_u8(&bytes, 'x');
        }
        assert_int_equal(feed(parse, nx_buf_str(&bytes), 100), NX_HTTP_PARSE_FAILED);
        assert_int_equal(nx_error_http_status(&parse->err), 431);
    }
}

static void test_stops_for_a_client_that_waits_to_be_asked(void **state) {
    struct parse *parse = *state;
    const struct nx_str head = NX_STR(HEAD "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_int_equal(feed(parse, head, 1000), NX_HTTP_PARSE_CONTINUE);
    assert_true(nx_http_parser_is_in_body(parse->parser));
    assert_int_equal(feed(parse, NX_STR("hello"), 1000), NX_HTTP_PARSE_DONE);
    assert_int_equal(parse->request->body.len, 5);
}

static void test_keeps_no_connection_of_http_1_0(void **state) {
    struct parse *parse = *state;
    assert_int_equal(feed(parse, NX_STR("GET / HTTP/1.0\r\n\r\n"), 1000), NX_HTTP_PARSE_DONE);
    assert_false(parse->request->keep_alive);
    assert_int_equal(parse->request->version_minor, 0);
    nx_http_request_reset(parse->request);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_reads_a_request_cut_anywhere),
        TEST(test_reads_chunks_cut_anywhere),
        TEST(test_leaves_the_next_request_unread),
        TEST(test_refuses_what_could_be_read_differently),
        TEST(test_says_at_which_byte_a_request_is_malformed),
        TEST(test_refuses_what_it_does_not_speak),
        TEST(test_ignores_an_upgrade),
        TEST(test_takes_the_authority_of_an_absolute_target),
        TEST(test_refuses_a_body_over_the_limit),
        TEST(test_refuses_headers_over_the_limits),
        TEST(test_refuses_endless_chunk_extensions_and_trailers),
        TEST(test_stops_for_a_client_that_waits_to_be_asked),
        TEST(test_keeps_no_connection_of_http_1_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
