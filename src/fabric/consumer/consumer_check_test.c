/* src/fabric/consumer/consumer_check_test.c: what nats-server says to a configuration is what we say. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fabric/consumer/consumer_check.h"
#include "fabric/stream/stream_check.h"

static struct nx_arena arena;
static struct nx_js_stream stream;

static const struct nx_json_value *parse(const char *text, struct nx_json_doc **doc) {
    assert_int_equal(nx_json_parse(nx_str_from_c(text), 16 * 1024 * 1024, doc, NULL), NX_OK);
    return nx_json_root(*doc);
}

static int set_up(void **state) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    (void)state;
    nx_arena_init(&arena, 4 * 1024 * 1024);
    assert_true(nx_js_stream_read(parse("{\"name\":\"A\",\"subjects\":[\"a.>\"],\"consumer_limits\":"
                                        "{\"max_ack_pending\":2000,\"inactive_threshold\":5}}",
                                        &doc),
                                  &stream, &arena, NULL));
    assert_true(nx_js_stream_check(&stream, &arena, NULL));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    nx_arena_fini(&arena);
    return 0;
}

static bool check(const char *text, struct nx_js_consumer *consumer, struct nx_js_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    if (!nx_js_consumer_read(parse(text, &doc), consumer, &arena, err)) {
        fail_msg("%s", err->description);
    }
    return nx_js_consumer_check(consumer, &stream, err);
}

static void test_what_is_left_open_is_set_as_nats_does(void **state) {
    struct nx_js_consumer consumer;
    struct nx_js_error err = { 0 };
    (void)state;
    stream.consumer_limits = (struct nx_js_consumer_limits){ 0 };
    assert_true(
        check("{\"name\":\"x\",\"durable_name\":\"x\",\"ack_policy\":\"explicit\"}", &consumer, &err));
    assert_int_equal(consumer.ack_wait, 30 * INT64_C(1000000000));
    assert_int_equal(consumer.max_deliver, -1);
    assert_int_equal(consumer.max_waiting, 512);
    assert_int_equal(consumer.max_ack_pending, 1000);
    assert_true(check("{\"deliver_subject\":\"d\"}", &consumer, &err));
    assert_int_equal(consumer.ack_wait, 0);
    assert_int_equal(consumer.max_waiting, 0);
    assert_int_equal(consumer.max_ack_pending, 0);
    assert_true(check("{\"ack_policy\":\"explicit\",\"backoff\":[7,8],\"max_deliver\":2}", &consumer, &err));
    assert_int_equal(consumer.ack_wait, 7);
}

static void test_what_the_stream_says_is_the_default_and_the_limit(void **state) {
    struct nx_js_consumer consumer;
    struct nx_js_error err = { 0 };
    (void)state;
    assert_true(check("{\"ack_policy\":\"explicit\"}", &consumer, &err));
    assert_int_equal(consumer.max_ack_pending, 2000);
    assert_int_equal(consumer.inactive_threshold, 5);
    assert_false(check("{\"ack_policy\":\"explicit\",\"max_ack_pending\":2001}", &consumer, &err));
    assert_string_equal(err.description, "consumer max ack pending exceeds system limit of 2000");
    assert_false(check("{\"inactive_threshold\":6}", &consumer, &err));
    assert_int_equal(nx_js_error_code(err.kind), 10153);
}

static void test_what_makes_no_sense_is_told_as_nats_tells_it(void **state) {
    static const struct {
        const char *text;
        unsigned code;
        const char *description;
    } cases[] = {
        { "{\"name\":\"a b\"}", 10052, "consumer name can not contain '.', '*', '>', '\\', '/'" },
        { "{\"durable_name\":\"a.b\"}", 10052,
          "consumer durable name can not contain '.', '*', '>', '\\', '/'" },
        { "{\"name\":\"a\",\"durable_name\":\"b\"}", 10132,
          "Consumer Durable and Name have to be equal if both are provided" },
        { "{\"num_replicas\":3}", 10126, "consumer config replica count exceeds parent stream" },
        { "{\"backoff\":[-1],\"max_deliver\":3}", 10184, "consumer backoff needs to be positive" },
        { "{\"ack_wait\":-1}", 10183, "consumer ack wait needs to be positive" },
        { "{\"backoff\":[1,2],\"max_deliver\":1}", 10116,
          "max deliver is required to be > length of backoff values" },
        { "{\"deliver_subject\":\"d.*\"}", 10079, "consumer deliver subject has wildcards" },
        { "{\"deliver_subject\":\"d..e\"}", 10112, "invalid push consumer deliver subject" },
        { "{\"deliver_subject\":\"a.b\"}", 10081, "consumer deliver subject forms a cycle" },
        { "{\"deliver_subject\":\"d\",\"max_waiting\":1}", 10080,
          "consumer in push mode can not set max waiting" },
        { "{\"deliver_subject\":\"d\",\"max_ack_pending\":1}", 10082,
          "consumer requires ack policy for max ack pending" },
        { "{\"deliver_subject\":\"d\",\"ack_policy\":\"all\",\"idle_heartbeat\":1}", 10083,
          "consumer idle heartbeat needs to be >= 100ms" },
        { "{\"deliver_subject\":\"d\",\"ack_policy\":\"all\",\"flow_control\":true}", 10108,
          "consumer with flow control also needs heartbeats" },
        { "{\"deliver_subject\":\"d\",\"ack_policy\":\"all\",\"deliver_group\":\"g\"}", 10012,
          "deliver_group is not supported by this server" },
        { "{\"rate_limit_bps\":1}", 10086, "consumer in pull mode can not have rate limit set" },
        { "{\"idle_heartbeat\":1}", 10088, "consumer idle heartbeat requires a push based consumer" },
        { "{\"flow_control\":true}", 10089, "consumer flow control requires a push based consumer" },
        { "{\"max_expires\":1}", 10115, "consumer max request expires needs to be >= 1ms" },
        { "{\"direct\":true}", 10090, "consumer direct requires a push based consumer" },
        { "{\"filter_subject\":\"a\",\"filter_subjects\":[\"b\"]}", 10136,
          "consumer cannot have both FilterSubject and FilterSubjects specified" },
        { "{\"filter_subject\":\"a..b\"}", 10052, "invalid subject" },
        { "{\"filter_subjects\":[\"\"]}", 10139, "consumer filter in FilterSubjects cannot be empty" },
        { "{\"filter_subjects\":[\"a.*\",\"a.b\"]}", 10138, "consumer subject filters cannot overlap" },
        { "{\"opt_start_seq\":1}", 10094,
          "consumer delivery policy is deliver all, but optional start sequence is also set" },
        { "{\"deliver_policy\":\"new\",\"opt_start_time\":\"2026-01-01T00:00:00Z\"}", 10094,
          "consumer delivery policy is deliver new, but optional start time is also set" },
        { "{\"deliver_policy\":\"by_start_sequence\"}", 10094,
          "consumer delivery policy is deliver by start sequence, but optional start sequence is not set" },
        { "{\"deliver_policy\":\"by_start_time\"}", 10094,
          "consumer delivery policy is deliver by start time, but optional start time is not set" },
        { "{\"deliver_policy\":\"last_per_subject\"}", 10094,
          "consumer delivery policy is deliver last per subject, but optional filter subject is not set" },
        { "{\"sample_freq\":\"x%\"}", 10095,
          "failed to parse consumer sampling configuration: strconv.Atoi: parsing \"x\": invalid syntax" },
        { "{\"sample_freq\":\"50%\"}", 10095,
          "failed to parse consumer sampling configuration: not supported by this server" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_js_consumer consumer;
        struct nx_js_error err = { 0 };
        stream.consumer_limits = (struct nx_js_consumer_limits){ 0 };
        if (check(cases[i].text, &consumer, &err)) {
            fail_msg("%s is taken", cases[i].text);
        }
        assert_string_equal(err.description, cases[i].description);
        assert_int_equal(nx_js_error_code(err.kind), cases[i].code);
    }
}

static void test_filters_that_only_cross_are_taken(void **state) {
    struct nx_js_consumer consumer;
    struct nx_js_error err = { 0 };
    (void)state;
    assert_true(check("{\"filter_subjects\":[\"a.*.c\",\"a.b.*\"]}", &consumer, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_left_open_is_set_as_nats_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_the_stream_says_is_the_default_and_the_limit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_what_makes_no_sense_is_told_as_nats_tells_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_filters_that_only_cross_are_taken, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
