/* src/app/client_test.c: an answer is read whole or not at all, however it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/client.h"

static enum nx_status parse(struct nx_str answer, uint64_t *status_out, struct nx_buf *body) {
    nx_buf_init(body, 4096);
    return nx_client_parse(answer, status_out, body, NULL);
}

static void test_reads_a_body_of_known_length(void **state) {
    NX_AUTO(nx_buf) body = { 0 };
    uint64_t status = 0;

    (void)state;
    assert_int_equal(
        parse(NX_STR("HTTP/1.1 202 Accepted\r\ncontent-LENGTH:  2 \r\nX: y\r\n\r\n{}"), &status, &body),
        NX_OK);
    assert_int_equal(status, 202);
    assert_true(nx_str_is(nx_buf_str(&body), "{}"));
}

static void test_reads_chunks(void **state) {
    NX_AUTO(nx_buf) body = { 0 };
    uint64_t status = 0;

    (void)state;
    assert_int_equal(parse(NX_STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "4\r\nWiki\r\nA\r\n0123456789\r\n0\r\n\r\n"),
                           &status, &body),
                     NX_OK);
    assert_true(nx_str_is(nx_buf_str(&body), "Wiki0123456789"));
}

static void test_refuses_every_answer_that_is_cut_short(void **state) {
    const struct nx_str whole[] = {
        NX_STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        NX_STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nWiki\r\n0\r\n"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        for (size_t len = 0; len < whole[i].len; len++) {
            NX_AUTO(nx_buf) body = { 0 };
            uint64_t status = 0;
            assert_int_equal(parse(nx_str_slice(whole[i], 0, len), &status, &body), NX_DATA_LOSS);
        }
    }
}

static void test_refuses_what_is_no_http(void **state) {
    static const char *const answers[] = { "", "220 smtp.example.com ESMTP\r\n\r\n",
                                           "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 abc\r\n\r\n",
                                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        NX_AUTO(nx_buf) body = { 0 };
        uint64_t status = 0;
        assert_int_equal(parse(nx_str_from_c(answers[i]), &status, &body), NX_DATA_LOSS);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_a_body_of_known_length),
        cmocka_unit_test(test_reads_chunks),
        cmocka_unit_test(test_refuses_every_answer_that_is_cut_short),
        cmocka_unit_test(test_refuses_what_is_no_http),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
