/* src/io/http_client_test.c: URLs are taken apart as written, and an answer ends where it says, however it
 * comes. Requests are tried against real servers in tests/integration/test_telemetry.py. */
#include "io/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_takes_urls_apart(void **state) {
    static const struct {
        const char *text;
        const char *host;
        uint16_t port;
        const char *target;
        bool is_https;
    } good[] = {
        { "http://127.0.0.1:4318", "127.0.0.1", 4318, "/", false },
        { "http://collector/v1/traces", "collector", 80, "/v1/traces", false },
        { "HTTPS://collector.example:8443/a?b=c", "collector.example", 8443, "/a?b=c", true },
        { "https://collector", "collector", 443, "/", true },
        { "http://[::1]:4318/x", "::1", 4318, "/x", false },
        { "http://[::1]", "::1", 80, "/", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct nx_url url;
        assert_int_equal(nx_url_parse(nx_str_from_c(good[i].text), &url, NULL), NX_OK);
        assert_string_equal(url.host, good[i].host);
        assert_int_equal(url.port, good[i].port);
        assert_string_equal(url.target, good[i].target);
        assert_int_equal(url.is_https, good[i].is_https);
    }
}

static void test_refuses_what_is_no_url(void **state) {
    static const char *const bad[] = { "",
                                       "http://",
                                       "collector:4318",
                                       "ftp://collector",
                                       "http://:4318",
                                       "http://host:0",
                                       "http://host:65536",
                                       "http://host:x",
                                       "http://user@host",
                                       "http://[::1",
                                       "http://[::1]x",
                                       "http://host/a b",
                                       "http://host/a\r\nX: y",
                                       "http://host/#part" };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct nx_url url;
        assert_int_equal(nx_url_parse(nx_str_from_c(bad[i]), &url, NULL), NX_INVALID_ARGUMENT);
    }
}

/* Feed every prefix: all but the whole are parts. */
static void assert_whole(const char *text, int status, const char *body, bool keeps) {
    const struct nx_str whole = nx_str_from_c(text);
    NX_AUTO(nx_buf) buf;
    struct nx_http_client_answer answer;
    bool keeps_now = !keeps;
    nx_buf_init(&buf, 4096);
    for (size_t len = 0; len < whole.len; len++) {
        assert_int_equal(nx_http_answer_read(nx_str_slice(whole, 0, len), false, &answer, &buf, &keeps_now),
                         NX_HTTP_ANSWER_PART);
    }
    assert_int_equal(nx_http_answer_read(whole, false, &answer, &buf, &keeps_now), NX_HTTP_ANSWER_WHOLE);
    assert_int_equal(answer.status, status);
    assert_true(nx_str_is(answer.body, body));
    assert_int_equal(keeps_now, keeps);
}

static void test_an_answer_ends_where_it_says(void **state) {
    (void)state;
    assert_whole("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", true);
    assert_whole("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true);
    assert_whole("HTTP/1.1 503 X\r\ncontent-length: 0\r\nConnection: close\r\n\r\n", 503, "", false);
    assert_whole("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x",
                 true);
    assert_whole("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
                 200, "hello", true);
    assert_whole("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, "x", false);
}

static void test_an_answer_without_a_length_ends_with_its_connection(void **state) {
    const struct nx_str text = NX_STR("HTTP/1.1 200 OK\r\nRetry-After: 7\r\n\r\nrest");
    NX_AUTO(nx_buf) buf;
    struct nx_http_client_answer answer;
    bool keeps = true;
    (void)state;
    nx_buf_init(&buf, 4096);
    assert_int_equal(nx_http_answer_read(text, false, &answer, &buf, &keeps), NX_HTTP_ANSWER_PART);
    assert_int_equal(nx_http_answer_read(text, true, &answer, &buf, &keeps), NX_HTTP_ANSWER_WHOLE);
    assert_true(nx_str_is(answer.body, "rest"));
    assert_int_equal(answer.retry_after_s, 7);
    assert_false(keeps);
}

static void test_refuses_every_answer_that_is_cut_short(void **state) {
    const struct nx_str whole[] = {
        NX_STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        NX_STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n0\r\n\r\n"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        NX_AUTO(nx_buf) buf;
        struct nx_http_client_answer answer;
        bool keeps;
        nx_buf_init(&buf, 4096);
        nx_buf_append_c(&buf, "before");
        for (size_t len = 0; len < whole[i].len; len++) {
            assert_int_equal(nx_http_answer_read(nx_str_slice(whole[i], 0, len), true, &answer, &buf, &keeps),
                             NX_HTTP_ANSWER_BAD);
            assert_int_equal(buf.len, 6);
        }
        assert_int_equal(nx_http_answer_read(whole[i], true, &answer, &buf, &keeps), NX_HTTP_ANSWER_WHOLE);
        assert_true(nx_str_is(nx_buf_str(&buf), i == 0 ? "before{}" : "beforeWiki"));
    }
}

static void test_finds_a_header_of_an_answer(void **state) {
    const struct nx_str text = NX_STR("HTTP/1.1 200 OK\r\nNEXUS-Record:  EVENTS:17 \r\n\r\nX: body\r\n");
    (void)state;
    assert_true(nx_str_is(nx_http_answer_header(text, NX_STR("nexus-record")), "EVENTS:17"));
    assert_int_equal(nx_http_answer_header(text, NX_STR("x")).len, 0);
}

static void test_refuses_what_is_no_answer(void **state) {
    static const char *const bad[] = { "SSH-2.0-x\r\n\r\n",
                                       "HTTP/2 200\r\n\r\n",
                                       "HTTP/1.1 abc\r\n\r\n",
                                       "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
                                       "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
                                       "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
                                       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                                       "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort" };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        NX_AUTO(nx_buf) buf;
        struct nx_http_client_answer answer;
        bool keeps;
        nx_buf_init(&buf, 4096);
        assert_int_equal(nx_http_answer_read(nx_str_from_c(bad[i]), true, &answer, &buf, &keeps),
                         NX_HTTP_ANSWER_BAD);
    }
}

static void test_a_server_that_is_not_there_is_unavailable(void **state) {
    struct nx_url url;
    NX_AUTO(nx_http_client) *client = NULL;
    struct nx_http_client_answer answer;
    const struct nx_http_post post = { .body = NX_STR("x"), .headers = NX_STR_EMPTY, .timeout_ms = 1000 };
    (void)state;
    assert_int_equal(nx_url_parse(NX_STR("http://127.0.0.1:1/"), &url, NULL), NX_OK);
    assert_int_equal(nx_http_client_new(&url, NULL, &client, NULL), NX_OK);
    assert_int_equal(nx_http_client_post(client, &post, &answer, NULL), NX_UNAVAILABLE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_urls_apart),
        cmocka_unit_test(test_refuses_what_is_no_url),
        cmocka_unit_test(test_an_answer_ends_where_it_says),
        cmocka_unit_test(test_an_answer_without_a_length_ends_with_its_connection),
        cmocka_unit_test(test_refuses_every_answer_that_is_cut_short),
        cmocka_unit_test(test_finds_a_header_of_an_answer),
        cmocka_unit_test(test_refuses_what_is_no_answer),
        cmocka_unit_test(test_a_server_that_is_not_there_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
