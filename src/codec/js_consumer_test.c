/* src/codec/js_consumer_test.c: configurations of consumers are read and written as nats-server does. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/js_consumer.h"

struct world {
    struct nx_arena arena;
    struct nx_js_consumer consumer;
    struct nx_js_error err;
};

static bool read_consumer(struct world *world, struct nx_str text) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    nx_arena_init(&world->arena, 1024 * 1024);
    world->err = (struct nx_js_error){ 0 };
    assert_int_equal(nx_json_parse(text, 16 * 1024 * 1024, &doc, NULL), NX_OK);
    return nx_js_consumer_read(nx_json_root(doc), &world->consumer, &world->arena, &world->err);
}

static void assert_written(const struct nx_js_consumer *consumer, const char *expected) {
    NX_AUTO(nx_buf) text;
    struct nx_json_writer writer;
    nx_buf_init(&text, 1024 * 1024);
    nx_json_writer_init(&writer, &text);
    nx_js_consumer_write(&writer, consumer);
    nx_json_writer_end(&writer);
    if (!nx_str_is(nx_buf_str(&text), expected)) {
        fail_msg("%.*s", NX_STR_ARG(nx_buf_str(&text)));
    }
}

#define WHOLE                                                                                               \
    "{\"durable_name\":\"x\",\"name\":\"x\",\"description\":\"d\",\"deliver_policy\":\"by_start_time\","    \
    "\"opt_start_time\":\"2026-11-21T18:16:32.5Z\",\"ack_policy\":\"explicit\",\"ack_wait\":30000000000,"   \
    "\"max_deliver\":3,\"backoff\":[1,2],\"filter_subjects\":[\"a\",\"b\"],\"replay_policy\":\"original\"," \
    "\"rate_limit_bps\":8,\"sample_freq\":\"50%\",\"max_ack_pending\":-1,\"flow_control\":true,"            \
    "\"headers_only\":true,\"deliver_subject\":\"d\",\"deliver_group\":\"g\",\"idle_heartbeat\":5,"         \
    "\"inactive_threshold\":6,\"num_replicas\":0,\"mem_storage\":true,\"metadata\":{\"k\":\"v\"}}"

static void test_a_whole_configuration_is_written_as_it_was_read(void **state) {
    struct world world;
    (void)state;
    assert_true(read_consumer(&world, NX_STR(WHOLE)));
    assert_int_equal(world.consumer.deliver_policy, NX_JS_DELIVER_BY_START_TIME);
    assert_true(world.consumer.opt_start_time.is_set);
    assert_int_equal(world.consumer.backoff.count, 2);
    assert_int_equal(world.consumer.ack_policy, NX_JS_ACK_EXPLICIT);
    assert_int_equal(world.consumer.max_ack_pending, -1);
    nx_arena_fini(&world.arena);
}

static void test_times_are_written_with_all_digits_that_they_need(void **state) {
    struct world world;
    (void)state;
    assert_true(read_consumer(&world, NX_STR("{\"opt_start_time\":\"2026-11-21T19:16:32.500+01:00\"}")));
    assert_written(&world.consumer,
                   "{\"deliver_policy\":\"all\",\"opt_start_time\":\"2026-11-21T18:16:32.500Z\","
                   "\"ack_policy\":\"none\",\"replay_policy\":\"instant\",\"num_replicas\":0}");
    nx_arena_fini(&world.arena);
}

static void test_what_a_pull_consumer_has_is_written_as_nats_does(void **state) {
    static const char text[] =
        "{\"durable_name\":\"x\",\"name\":\"x\",\"deliver_policy\":\"all\",\"ack_policy\":\"explicit\","
        "\"ack_wait\":30000000000,\"max_deliver\":-1,\"replay_policy\":\"instant\",\"max_waiting\":512,"
        "\"max_ack_pending\":1000,\"num_replicas\":0}";
    struct nx_arena arena;
    struct nx_js_consumer copy;
    struct world world;
    (void)state;
    nx_arena_init(&arena, 1024 * 1024);
    assert_true(read_consumer(&world, nx_str_from_c(text)));
    assert_true(nx_js_consumer_copy(&world.consumer, &copy, &arena));
    assert_true(nx_js_consumer_equal(&world.consumer, &copy));
    nx_arena_fini(&world.arena);
    assert_written(&copy, text);
    nx_arena_fini(&arena);
}

static void expect_error(const char *text, unsigned code, const char *description) {
    struct world world;
    assert_false(read_consumer(&world, nx_str_from_c(text)));
    assert_int_equal(nx_js_error_code(world.err.kind), code);
    assert_string_equal(world.err.description, description);
    nx_arena_fini(&world.arena);
}

static void test_what_is_not_understood_is_refused(void **state) {
    (void)state;
    expect_error("{\"ack_policy\":\"maybe\"}", 10025, "invalid JSON: can not unmarshal \"\\\"maybe\\\"\"");
    expect_error("{\"ack_policy\":\"flow_control\"}", 10025,
                 "invalid JSON: can not unmarshal \"\\\"flow_control\\\"\"");
    expect_error("{\"priority_groups\":[\"a\"]}", 10025,
                 "invalid JSON: json: unknown field \"priority_groups\"");
    expect_error("{\"pause_until\":\"2026-01-01T00:00:00Z\"}", 10025,
                 "invalid JSON: json: unknown field \"pause_until\"");
    expect_error("{\"opt_start_time\":\"yesterday\"}", 10025,
                 "invalid JSON: parsing time in ConsumerConfig.opt_start_time: not RFC 3339, or not within "
                 "1678 to 2262");
    expect_error("{\"backoff\":[\"1s\"]}", 10025,
                 "invalid JSON: json: cannot unmarshal string into Go struct field ConsumerConfig.backoff of "
                 "type []int64");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_configuration_is_written_as_it_was_read),
        cmocka_unit_test(test_times_are_written_with_all_digits_that_they_need),
        cmocka_unit_test(test_what_a_pull_consumer_has_is_written_as_nats_does),
        cmocka_unit_test(test_what_is_not_understood_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
