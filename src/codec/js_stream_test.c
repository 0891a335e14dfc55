/* src/codec/js_stream_test.c: configurations of streams are read and written as nats-server does, and nothing
 * that is not understood is taken. The texts were given by nats-server 2.15.2, without what only it knows. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/js_stream.h"

struct world {
    struct nx_arena arena;
    struct nx_js_stream stream;
    struct nx_js_error err;
};

static bool read_stream(struct world *world, struct nx_str text) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    nx_arena_init(&world->arena, 1024 * 1024);
    world->err = (struct nx_js_error){ 0 };
    assert_int_equal(nx_json_parse(text, 16 * 1024 * 1024, &doc, NULL), NX_OK);
    return nx_js_stream_read(nx_json_root(doc), &world->stream, &world->arena, &world->err);
}

static void assert_written(const struct nx_js_stream *stream, const char *expected) {
    NX_AUTO(nx_buf) text;
    struct nx_json_writer writer;
    nx_buf_init(&text, 1024 * 1024);
    nx_json_writer_init(&writer, &text);
    nx_js_stream_write(&writer, stream);
    nx_json_writer_end(&writer);
    if (!nx_str_is(nx_buf_str(&text), expected)) {
        fail_msg("%.*s", NX_STR_ARG(nx_buf_str(&text)));
    }
}

static void expect_error(const char *text, unsigned code, const char *description) {
    struct world world;
    assert_false(read_stream(&world, nx_str_from_c(text)));
    assert_int_equal(nx_js_error_code(world.err.kind), code);
    assert_string_equal(world.err.description, description);
    nx_arena_fini(&world.arena);
}

#define WHOLE                                                                                            \
    "{\"name\":\"F\",\"description\":\"d <x>\",\"subjects\":[\"f\",\"g.>\"],\"retention\":\"limits\","   \
    "\"max_consumers\":-1,\"max_msgs\":2,\"max_bytes\":1000,\"max_age\":1000000000,"                     \
    "\"max_msgs_per_subject\":1,\"max_msg_size\":100,\"discard\":\"new\",\"storage\":\"memory\","        \
    "\"num_replicas\":1,\"no_ack\":true,\"duplicate_window\":1000000000,\"placement\":{\"cluster\":"     \
    "\"c\"},\"compression\":\"s2\",\"first_seq\":10,\"allow_direct\":true,\"mirror_direct\":false,"      \
    "\"discard_new_per_subject\":true,\"sealed\":false,\"deny_delete\":false,\"deny_purge\":false,"      \
    "\"allow_rollup_hdrs\":false,\"consumer_limits\":{\"max_ack_pending\":3},\"metadata\":{\"a\":\"b\"," \
    "\"k\":\"v\"}}"

static void test_a_whole_configuration_is_written_as_it_was_read(void **state) {
    struct world world;
    (void)state;
    assert_true(read_stream(&world, NX_STR(WHOLE)));
    assert_int_equal(world.stream.subjects.count, 2);
    assert_int_equal(world.stream.storage, NX_JS_STORAGE_MEMORY);
    assert_int_equal(world.stream.discard, NX_JS_DISCARD_NEW);
    assert_int_equal(world.stream.max_age, 1000000000);
    assert_int_equal(world.stream.consumer_limits.max_ack_pending, 3);
    assert_true(world.stream.no_ack);
    assert_written(&world.stream, WHOLE);
    nx_arena_fini(&world.arena);
}

static void test_what_is_not_said_is_zero_and_members_that_are_always_there_are_written(void **state) {
    struct world world;
    (void)state;
    assert_true(read_stream(&world, NX_STR("{\"name\":\"A\",\"subjects\":null}")));
    assert_written(
        &world.stream,
        "{\"name\":\"A\",\"retention\":\"limits\",\"max_consumers\":0,\"max_msgs\":0,\"max_bytes\":0,"
        "\"max_age\":0,\"max_msgs_per_subject\":0,\"discard\":\"old\",\"storage\":\"file\","
        "\"num_replicas\":0,\"compression\":\"none\",\"allow_direct\":false,\"mirror_direct\":false,"
        "\"sealed\":false,\"deny_delete\":false,\"deny_purge\":false,\"allow_rollup_hdrs\":false,"
        "\"consumer_limits\":{}}");
    nx_arena_fini(&world.arena);
}

static void test_wrong_types_are_told_in_the_words_that_clients_know(void **state) {
    (void)state;
    expect_error("{\"name\":\"C\",\"max_msgs\":\"x\"}", 10025,
                 "invalid JSON: json: cannot unmarshal string into Go struct field StreamConfig.max_msgs of "
                 "type int64");
    expect_error("{\"retention\":\"x\"}", 10025, "invalid JSON: can not unmarshal \"\\\"x\\\"\"");
    expect_error("{\"bogus\":1}", 10025, "invalid JSON: json: unknown field \"bogus\"");
    expect_error(
        "{\"max_msg_size\":2147483648}", 10025,
        "invalid JSON: json: cannot unmarshal number into Go struct field StreamConfig.max_msg_size of "
        "type int32");
    expect_error(
        "{\"max_msgs\":1.5}", 10025,
        "invalid JSON: json: cannot unmarshal number into Go struct field StreamConfig.max_msgs of type "
        "int64");
    expect_error("{\"first_seq\":-1}", 10025,
                 "invalid JSON: json: cannot unmarshal number into Go struct field StreamConfig.first_seq of "
                 "type uint64");
    expect_error("{\"subjects\":[1]}", 10025,
                 "invalid JSON: json: cannot unmarshal number into Go struct field StreamConfig.subjects of "
                 "type []string");
    expect_error("{\"metadata\":{\"a\":\"1\",\"a\":\"2\"}}", 10025,
                 "invalid JSON: a name in StreamConfig.metadata stands there twice");
    expect_error("{\"consumer_limits\":{\"x\":1}}", 10025, "invalid JSON: json: unknown field \"x\"");
}

static void test_what_is_not_built_is_refused_and_a_no_to_it_is_not(void **state) {
    struct world world;
    (void)state;
    expect_error("{\"mirror\":{\"name\":\"O\"}}", 10052, "mirror is not supported by this server");
    expect_error("{\"sources\":[{\"name\":\"O\"}]}", 10052, "sources is not supported by this server");
    expect_error("{\"republish\":{\"dest\":\"x\"}}", 10052, "republish is not supported by this server");
    expect_error("{\"allow_msg_ttl\":true}", 10025, "invalid JSON: json: unknown field \"allow_msg_ttl\"");
    assert_true(read_stream(&world, NX_STR("{\"mirror\":null,\"sources\":[],\"allow_msg_ttl\":false,"
                                           "\"subject_delete_marker_ttl\":0,\"persist_mode\":\"\"}")));
    nx_arena_fini(&world.arena);
}

static void test_equal_is_what_would_be_written_the_same(void **state) {
    struct world a;
    struct world b;
    (void)state;
    assert_true(read_stream(&a, NX_STR("{\"name\":\"A\",\"metadata\":{\"b\":\"2\",\"a\":\"1\"}}")));
    assert_true(read_stream(&b, NX_STR("{\"metadata\":{\"a\":\"1\",\"b\":\"2\"},\"name\":\"A\"}")));
    assert_true(nx_js_stream_equal(&a.stream, &b.stream));
    b.stream.max_msgs = 5;
    assert_false(nx_js_stream_equal(&a.stream, &b.stream));
    nx_arena_fini(&a.arena);
    nx_arena_fini(&b.arena);
}

static void test_a_copy_outlives_what_it_was_made_of(void **state) {
    struct nx_arena arena;
    struct nx_js_stream copy;
    struct world world;
    (void)state;
    nx_arena_init(&arena, 1024 * 1024);
    assert_true(read_stream(&world, NX_STR(WHOLE)));
    assert_true(nx_js_stream_copy(&world.stream, &copy, &arena));
    nx_arena_fini(&world.arena);
    assert_written(&copy, WHOLE);
    nx_arena_fini(&arena);
    nx_arena_init(&arena, 64);
    assert_true(read_stream(&world, NX_STR(WHOLE)));
    assert_false(nx_js_stream_copy(&world.stream, &copy, &arena));
    nx_arena_fini(&world.arena);
    nx_arena_fini(&arena);
}

static void test_errors_have_the_numbers_and_texts_of_nats(void **state) {
    NX_AUTO(nx_buf) text;
    struct nx_json_writer writer;
    struct nx_js_error err = { 0 };
    (void)state;
    nx_buf_init(&text, 4096);
    nx_json_writer_init(&writer, &text);
    assert_false(nx_js_fail_with(&err, NX_JS_STREAM_WRONG_LAST_SEQUENCE, "%d", 7));
    nx_js_error_write(&writer, &err);
    nx_json_writer_end(&writer);
    assert_string_equal(err.description, "wrong last sequence: 7");
    assert_true(nx_str_is(nx_buf_str(&text),
                          "{\"code\":400,\"err_code\":10071,\"description\":\"wrong last sequence: 7\"}"));
    assert_false(nx_js_fail(&err, NX_JS_STREAM_NOT_FOUND));
    assert_int_equal(nx_js_error_status(err.kind), 404);
    assert_int_equal(nx_js_error_code(err.kind), 10059);
    assert_false(nx_js_fail(NULL, NX_JS_STREAM_NOT_FOUND));
}

static void test_a_text_that_is_too_long_is_cut_between_characters(void **state) {
    struct nx_js_error err = { 0 };
    char text[NX_JS_DESCRIPTION_SIZE * 2];
    (void)state;
    for (size_t i = 0; i + 1 < sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xa4", 2);
    }
    text[sizeof text - 2] = '\0';
    for (size_t skip = 0; skip < 2; skip++) {
        assert_false(nx_js_fail_with(&err, NX_JS_STREAM_CREATE, "%s%s", skip == 0 ? "" : "x", text));
        assert_true(nx_str_is_utf8(nx_str_from_c(err.description)));
        assert_in_range(strlen(err.description), NX_JS_DESCRIPTION_SIZE - 4, NX_JS_DESCRIPTION_SIZE - 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_configuration_is_written_as_it_was_read),
        cmocka_unit_test(test_what_is_not_said_is_zero_and_members_that_are_always_there_are_written),
        cmocka_unit_test(test_wrong_types_are_told_in_the_words_that_clients_know),
        cmocka_unit_test(test_what_is_not_built_is_refused_and_a_no_to_it_is_not),
        cmocka_unit_test(test_equal_is_what_would_be_written_the_same),
        cmocka_unit_test(test_a_copy_outlives_what_it_was_made_of),
        cmocka_unit_test(test_errors_have_the_numbers_and_texts_of_nats),
        cmocka_unit_test(test_a_text_that_is_too_long_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
