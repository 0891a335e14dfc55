/* src/app/fixture_test.c: what a fixture says of the world is on its tape; what it expects compares by
 * meaning. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "app/fixture.h"

#define EVENT "\"event\":{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/t\",\"type\":\"t\"}"
#define FIXTURE(world, expect) \
    "{\"fixture\":1,\"function\":\"f\"," EVENT ",\"world\":" world ",\"expect\":" expect "}"

static struct nx_str text_of(const struct nx_fixture_parts *parts, enum nx_fixture_part part) {
    return nx_buf_str(&parts->text[part]);
}

static void test_the_answers_are_on_the_tape(void **state) {
    static const struct nx_function function = { .memory_max = 65536 };
    static struct nx_tape_header header;
    static struct nx_tape_call call;
    NX_AUTO(nx_fixture) fixture = { 0 };
    NX_AUTO(nx_buf) tape = { 0 };
    struct nx_tape_reader entries;
    (void)state;
    nx_buf_init(&tape, 65536);
    assert_int_equal(
        nx_fixture_parse(NX_STR(FIXTURE("{\"start\":\"1970-01-01T00:00:01Z\",\"answers\":["
                                        "{\"key\":\"k\",\"value\":\"v\"},{\"key\":\"n\",\"value\":null},"
                                        "{\"clock\":\"1970-01-01T00:00:02Z\"},{\"monotonic\":\"3ms\"},"
                                        "{\"wait\":\"0000000a\",\"ended_by\":[0,2]}]}",
                                        "{}")),
                         &fixture, NULL),
        NX_OK);
    assert_int_equal(nx_fixture_to_tape(&fixture, &function, &tape, NULL), NX_OK);
    assert_int_equal(nx_tape_decode(nx_buf_str(&tape), &header, &entries, NULL), NX_OK);
    assert_int_equal(header.start_time_ns, 1000000000);
    struct nx_tape_calls calls = nx_tape_calls_of(&header, &entries);
    assert_true(nx_tape_calls_next(&calls, &call) && call.entry.found && nx_str_is(call.entry.value, "v"));
    assert_true(nx_tape_calls_next(&calls, &call) && !call.entry.found);
    assert_true(nx_tape_calls_next(&calls, &call) && call.time_ns == 2000000000);
    assert_true(nx_tape_calls_next(&calls, &call) && call.time_ns == 3000000);
    assert_true(nx_tape_calls_next(&calls, &call) && call.entry.arguments == 10 &&
                call.entry.fired_count == 2 && call.entry.fired[1] == 2);
    assert_false(nx_tape_calls_next(&calls, &call));
}

static void test_expects_by_meaning(void **state) {
    NX_AUTO(nx_fixture) fixture = { 0 };
    NX_AUTO(nx_fixture_parts) expected = { 0 };
    NX_AUTO(nx_fixture_parts) actual = { 0 };
    const struct nx_call_publish publish = { .type = NX_STR("made"),
                                             .data = NX_STR("{\"a\": 1, \"b\": [ ]}") };
    const struct nx_call_kv_write write = { .key = NX_STR("k"), .deleted = true };
    const struct nx_call_result result = { .output = NX_STR("{ \"b\":2,\"a\":1 }\n\n"),
                                           .publishes = &publish,
                                           .publish_count = 1,
                                           .kv_writes = &write,
                                           .kv_write_count = 1 };
    (void)state;
    nx_fixture_parts_init(&expected);
    nx_fixture_parts_init(&actual);
    assert_int_equal(
        nx_fixture_parse(NX_STR(FIXTURE("{}", "{\"output\":{\"a\":1,\"b\":2},\"published\":[{\"type\":"
                                              "\"made\",\"data\":{\"b\":[],\"a\":1}}],\"stored\":[{"
                                              "\"key\":\"k\",\"value\":null}]}")),
                         &fixture, NULL),
        NX_OK);
    assert_int_equal(nx_fixture_expected(&fixture, &expected, NULL), NX_OK);
    nx_fixture_actual(&result, &actual);
    for (unsigned i = 0; i < NX_FIXTURE_PART_COUNT; i++) {
        const enum nx_fixture_part part = (enum nx_fixture_part)i;
        assert_true(nx_str_equal(text_of(&expected, part), text_of(&actual, part)));
        assert_int_equal(expected.has[i], i != NX_FIXTURE_LOG && i != NX_FIXTURE_RESPONSE);
    }
}

static void test_an_update_changes_only_what_is_expected(void **state) {
    static const char text[] =
        "{ \"fixture\": 1,  \"function\":\"f\", " EVENT ",\n \"expect\": {} , \"world\": {}}\n";
    NX_AUTO(nx_fixture) fixture = { 0 };
    NX_AUTO(nx_fixture) again = { 0 };
    NX_AUTO(nx_buf) out = { 0 };
    const struct nx_call_result result = { .output = NX_STR("new") };
    (void)state;
    nx_buf_init(&out, 65536);
    assert_int_equal(nx_fixture_parse(nx_str_from_c(text), &fixture, NULL), NX_OK);
    nx_fixture_update(&fixture, &result, &out);
    assert_true(nx_str_starts_with(nx_buf_str(&out), NX_STR("{ \"fixture\": 1,  \"function\":\"f\", ")));
    assert_true(nx_str_ends_with(nx_buf_str(&out), NX_STR(" , \"world\": {}}\n")));
    assert_int_equal(nx_fixture_parse(nx_buf_str(&out), &again, NULL), NX_OK);
    assert_true(nx_str_is(nx_json_get_str(again.expect, "output"), "new"));
}

static void test_refuses_what_is_no_fixture(void **state) {
    static const char *const texts[] = {
        "",
        "[]",
        "{\"fixture\":2}",
        "{\"fixture\":1,\"function\":\"f\"," EVENT "}",
        "{\"fixture\":1,\"function\":\"f\",\"event\":{},\"expect\":{}}",
        FIXTURE("[]", "{}"),
        FIXTURE("{}", "1"),
        FIXTURE("{\"what\":1}", "{}"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        NX_AUTO(nx_fixture) fixture = { 0 };
        struct nx_error error = { 0 };
        assert_int_equal(nx_fixture_parse(nx_str_from_c(texts[i]), &fixture, &error), NX_INVALID_ARGUMENT);
        assert_true(error.message[0] != '\0');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_answers_are_on_the_tape),
        cmocka_unit_test(test_expects_by_meaning),
        cmocka_unit_test(test_an_update_changes_only_what_is_expected),
        cmocka_unit_test(test_refuses_what_is_no_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
