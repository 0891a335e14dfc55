/* src/server/http/idempotency_test.c: what is a key, and which requests are the same. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "codec/json.h"
#include "server/http/idempotency.h"

static struct nx_http_request *request_new(void) {
    struct nx_http_request *request = NULL;
    assert_int_equal(nx_http_request_new(&request, NULL), NX_OK);
    nx_http_request_reset(request);
    request->method_name = NX_STR("POST");
    request->path = NX_STR("/events/x");
    request->query = NX_STR_EMPTY;
    request->body = NX_STR("{}");
    return request;
}

static void add_header(struct nx_http_request *request, const char *name, struct nx_str value) {
    request->headers[request->header_count++] =
        (struct nx_header){ .name = nx_str_from_c(name), .value = value };
}

static enum nx_status key_of(struct nx_str value, struct nx_str *key_out) {
    struct nx_http_request *request = request_new();
    add_header(request, "IDEMPOTENCY-Key", value);
    const enum nx_status status = nx_http_idempotency_key(request, key_out, NULL);
    nx_http_request_free(request);
    return status;
}

static void test_a_key_is_a_quoted_string_or_bare_text(void **state) {
    struct nx_str key;
    char long_key[NX_HTTP_IDEMPOTENCY_KEY_SIZE_MAX + 1];
    (void)state;
    assert_int_equal(key_of(NX_STR("\"8e03978e-40d5\""), &key), NX_OK);
    assert_true(nx_str_is(key, "8e03978e-40d5"));
    assert_int_equal(key_of(NX_STR(" plain text "), &key), NX_OK);
    assert_true(nx_str_is(key, "plain text"));
    assert_int_equal(key_of(NX_STR(""), &key), NX_INVALID_ARGUMENT);
    assert_int_equal(key_of(NX_STR("\"\""), &key), NX_INVALID_ARGUMENT);
    assert_int_equal(key_of(NX_STR("a\tb"), &key), NX_INVALID_ARGUMENT);
    assert_int_equal(key_of(NX_STR("\xC3\xA4"), &key), NX_INVALID_ARGUMENT);
    memset(long_key, 'k', sizeof long_key);
    assert_int_equal(key_of(nx_str_of(long_key, sizeof long_key - 1), &key), NX_OK);
    assert_int_equal(key_of(nx_str_of(long_key, sizeof long_key), &key), NX_INVALID_ARGUMENT);
}

static void test_a_request_has_one_key_or_none(void **state) {
    struct nx_http_request *request = request_new();
    struct nx_str key;
    (void)state;
    assert_int_equal(nx_http_idempotency_key(request, &key, NULL), NX_OK);
    assert_int_equal(key.len, 0);
    add_header(request, "Idempotency-Key", NX_STR("a"));
    add_header(request, "Idempotency-Key", NX_STR("a"));
    assert_int_equal(nx_http_idempotency_key(request, &key, NULL), NX_INVALID_ARGUMENT);
    nx_http_request_free(request);
}

/* The fingerprint that is remembered of a request; the strings are static. */
static struct nx_str fingerprint_of(const struct nx_http_request *request) {
    static char text[2][65];
    static unsigned turn;
    NX_AUTO(nx_append) *append = NULL;
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_str id = NX_STR("e1");
    struct nx_str found = NX_STR_EMPTY;
    assert_int_equal(nx_append_new(1, 0, &append, NULL), NX_OK);
    assert_int_equal(nx_http_idempotency_guard(append, request, NX_STR("k"), &id, 1, false, NULL), NX_OK);
    assert_true(append->last_decides);
    assert_int_equal(nx_json_parse(append->entries[0].payload, 64 * 1024, &doc, NULL), NX_OK);
    assert_true(nx_json_to_str(nx_json_get(nx_json_root(doc), NX_STR("fingerprint")), &found));
    assert_int_equal(found.len, 64);
    turn ^= 1;
    memcpy(text[turn], found.ptr, found.len);
    return nx_str_of(text[turn], found.len);
}

static void test_requests_are_the_same_when_their_event_is(void **state) {
    struct nx_http_request *one = request_new();
    struct nx_http_request *other = request_new();
    (void)state;
    add_header(one, "traceparent", NX_STR("a"));
    add_header(other, "traceparent", NX_STR("b"));
    assert_true(nx_str_equal(fingerprint_of(one), fingerprint_of(other)));
    other->body = NX_STR("{ }");
    assert_false(nx_str_equal(fingerprint_of(one), fingerprint_of(other)));
    other->body = one->body;
    other->path = NX_STR("/events/y");
    assert_false(nx_str_equal(fingerprint_of(one), fingerprint_of(other)));
    other->path = one->path;
    add_header(other, "CE-Id", NX_STR("1"));
    assert_false(nx_str_equal(fingerprint_of(one), fingerprint_of(other)));
    nx_http_request_free(one);
    nx_http_request_free(other);
}

static void test_without_a_key_nothing_is_remembered(void **state) {
    NX_AUTO(nx_append) *append = NULL;
    (void)state;
    assert_int_equal(nx_append_new(1, 0, &append, NULL), NX_OK);
    assert_int_equal(nx_http_idempotency_guard(append, NULL, NX_STR_EMPTY, NULL, 0, false, NULL), NX_OK);
    assert_int_equal(append->entry_count, 0);
    assert_false(append->last_decides);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_is_a_quoted_string_or_bare_text),
        cmocka_unit_test(test_a_request_has_one_key_or_none),
        cmocka_unit_test(test_requests_are_the_same_when_their_event_is),
        cmocka_unit_test(test_without_a_key_nothing_is_remembered),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
