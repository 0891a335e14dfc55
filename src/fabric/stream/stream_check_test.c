/* src/fabric/stream/stream_check_test.c: what nats-server says to a configuration is what we say. The errors
 * were given by nats-server 2.15.2. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fabric/stream/stream_check.h"

struct world {
    struct nx_arena arena;
    struct nx_js_stream stream;
    struct nx_js_error err;
};

static void begin(struct world *world, const char *text) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    nx_arena_init(&world->arena, 1024 * 1024);
    world->err = (struct nx_js_error){ 0 };
    assert_int_equal(nx_json_parse(nx_str_from_c(text), 16 * 1024 * 1024, &doc, NULL), NX_OK);
    if (!nx_js_stream_read(nx_json_root(doc), &world->stream, &world->arena, &world->err)) {
        fail_msg("%s", world->err.description);
    }
}

static void expect_error(const char *text, unsigned code, const char *description) {
    struct world world;
    begin(&world, text);
    assert_false(nx_js_stream_check(&world.stream, &world.arena, &world.err));
    assert_int_equal(nx_js_error_code(world.err.kind), code);
    assert_string_equal(world.err.description, description);
    nx_arena_fini(&world.arena);
}

static void expect_update_error(const char *old_text, const char *text, unsigned code,
                                const char *description) {
    struct world old;
    struct world world;
    begin(&old, old_text);
    begin(&world, text);
    assert_true(nx_js_stream_check(&old.stream, &old.arena, &old.err));
    assert_false(nx_js_stream_check_update(&old.stream, &world.stream, &world.arena, &world.err));
    assert_int_equal(nx_js_error_code(world.err.kind), code);
    assert_string_equal(world.err.description, description);
    nx_arena_fini(&old.arena);
    nx_arena_fini(&world.arena);
}

static void test_what_is_left_open_is_set_as_nats_does(void **state) {
    struct world world;
    (void)state;
    begin(&world, "{\"name\":\"A\"}");
    assert_true(nx_js_stream_check(&world.stream, &world.arena, &world.err));
    assert_int_equal(world.stream.max_msgs, -1);
    assert_int_equal(world.stream.max_bytes, -1);
    assert_int_equal(world.stream.max_consumers, -1);
    assert_int_equal(world.stream.max_msgs_per_subject, -1);
    assert_int_equal(world.stream.max_msg_size, -1);
    assert_int_equal(world.stream.num_replicas, 1);
    assert_int_equal(world.stream.duplicate_window, 120 * INT64_C(1000000000));
    assert_int_equal(world.stream.subjects.count, 1);
    assert_true(nx_str_is(world.stream.subjects.items[0], "A"));
    assert_true(nx_js_stream_takes(&world.stream, NX_STR("A")));
    assert_false(nx_js_stream_takes(&world.stream, NX_STR("B")));
    nx_arena_fini(&world.arena);
    begin(&world, "{\"name\":\"A\",\"max_age\":1000000000}");
    assert_true(nx_js_stream_check(&world.stream, &world.arena, &world.err));
    assert_int_equal(world.stream.duplicate_window, 1000000000);
    nx_arena_fini(&world.arena);
}

static void test_names_subjects_and_limits_that_make_no_sense_are_told_as_nats_tells_them(void **state) {
    static const struct {
        const char *text;
        unsigned code;
        const char *description;
    } cases[] = {
        { "{}", 10052, "stream name is required and can not contain '.', '*', '>', '\\', '/'" },
        { "{\"name\":\"a.b\"}", 10052,
          "stream name is required and can not contain '.', '*', '>', '\\', '/'" },
        { "{\"name\":\"E\",\"subjects\":[\"e e\"]}", 10052, "invalid subject" },
        { "{\"name\":\"E\",\"subjects\":[\"e..e\"]}", 10052, "invalid subject" },
        { "{\"name\":\"E\",\"subjects\":[\">\"]}", 10052,
          "capturing all subjects requires no-ack to be true" },
        { "{\"name\":\"E\",\"subjects\":[\"x.*\",\"x.y\"]}", 10052, "subject \"x.*\" overlaps with \"x.y\"" },
        { "{\"name\":\"E\",\"subjects\":[\"x\",\"x\"]}", 10052, "duplicate subjects detected" },
        { "{\"name\":\"E\",\"subjects\":[\"$JS.x\"]}", 10052,
          "subjects that overlap with jetstream api require no-ack to be true" },
        { "{\"name\":\"E\",\"subjects\":[\"$SYS.x\"]}", 10052,
          "subjects that overlap with system api require no-ack to be true" },
        { "{\"name\":\"E\",\"max_age\":1}", 10052, "max age needs to be >= 100ms" },
        { "{\"name\":\"E\",\"max_age\":-1}", 10052, "max age can not be negative" },
        { "{\"name\":\"E\",\"duplicate_window\":1}", 10052, "duplicates window needs to be >= 100ms" },
        { "{\"name\":\"E\",\"duplicate_window\":-1}", 10052, "duplicates window can not be negative" },
        { "{\"name\":\"E\",\"duplicate_window\":3600000000001}", 10052,
          "duplicates window can not be larger then server limit of 1h0m0s" },
        { "{\"name\":\"E\",\"max_age\":1000000000,\"duplicate_window\":2000000000}", 10052,
          "duplicates window can not be larger then max age" },
        { "{\"name\":\"E\",\"deny_purge\":true,\"allow_rollup_hdrs\":true}", 10052,
          "roll-ups require the purge permission" },
        { "{\"name\":\"E\",\"discard_new_per_subject\":true}", 10052,
          "discard new per subject requires discard new policy to be set" },
        { "{\"name\":\"E\",\"discard\":\"new\",\"discard_new_per_subject\":true}", 10052,
          "discard new per subject requires max msgs per subject > 0" },
        { "{\"name\":\"E\",\"sealed\":true}", 10052, "stream configuration for create can not be sealed" },
        { "{\"name\":\"E\",\"mirror_direct\":true}", 10052,
          "stream has no mirror but does have mirror direct" },
        { "{\"name\":\"E\",\"num_replicas\":9}", 10052, "maximum replicas is 5" },
        { "{\"name\":\"E\",\"num_replicas\":-1}", 10133, "replicas count cannot be negative" },
        { "{\"name\":\"E\",\"num_replicas\":3}", 10074, "replicas > 1 not supported in non-clustered mode" },
        { "{\"name\":\"E\",\"retention\":\"workqueue\"}", 10052,
          "workqueue retention is not supported by this server" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_error(cases[i].text, cases[i].code, cases[i].description);
    }
}

static void test_events_of_the_server_and_all_subjects_without_acks_can_be_kept(void **state) {
    static const char *const texts[] = {
        "{\"name\":\"E\",\"subjects\":[\"$JS.EVENT.>\"]}",
        "{\"name\":\"E\",\"subjects\":[\"$SYS.ACCOUNT.>\"]}",
        "{\"name\":\"E\",\"subjects\":[\">\"],\"no_ack\":true}",
        "{\"name\":\"KV_b\",\"subjects\":[\"$KV.b.>\"],\"discard\":\"new\",\"max_msgs_per_subject\":1,"
        "\"allow_rollup_hdrs\":true,\"deny_delete\":true,\"allow_direct\":true}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct world world;
        begin(&world, texts[i]);
        if (!nx_js_stream_check(&world.stream, &world.arena, &world.err)) {
            fail_msg("%s: %s", texts[i], world.err.description);
        }
        nx_arena_fini(&world.arena);
    }
}

static void test_what_can_not_be_changed_is_told(void **state) {
    (void)state;
    expect_update_error("{\"name\":\"A\"}", "{\"name\":\"A\",\"storage\":\"memory\"}", 10052,
                        "stream configuration update can not change storage type");
    expect_update_error("{\"name\":\"A\"}", "{\"name\":\"B\"}", 10052,
                        "stream configuration name must match original");
    expect_update_error("{\"name\":\"A\",\"deny_delete\":true}", "{\"name\":\"A\"}", 10052,
                        "stream configuration update can not cancel deny message deletes");
    expect_update_error("{\"name\":\"A\",\"deny_purge\":true}", "{\"name\":\"A\"}", 10052,
                        "stream configuration update can not cancel deny purge");
    expect_update_error("{\"name\":\"A\"}", "{\"name\":\"A\",\"num_replicas\":3}", 10074,
                        "replicas > 1 not supported in non-clustered mode");
}

static void test_a_stream_that_is_sealed_takes_nothing_and_stays_so(void **state) {
    struct world old;
    struct world world;
    (void)state;
    begin(&old, "{\"name\":\"A\",\"max_age\":1000000000}");
    begin(&world, "{\"name\":\"A\",\"max_age\":1000000000,\"sealed\":true}");
    assert_true(nx_js_stream_check(&old.stream, &old.arena, &old.err));
    assert_true(nx_js_stream_check_update(&old.stream, &world.stream, &world.arena, &world.err));
    assert_true(world.stream.deny_delete && world.stream.deny_purge && !world.stream.allow_rollup_hdrs);
    assert_int_equal(world.stream.max_age, 0);
    assert_int_equal(world.stream.discard, NX_JS_DISCARD_NEW);
    assert_false(nx_js_stream_check_update(&world.stream, &old.stream, &old.arena, &old.err));
    assert_string_equal(old.err.description, "stream configuration update can not unseal a sealed stream");
    nx_arena_fini(&old.arena);
    nx_arena_fini(&world.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_left_open_is_set_as_nats_does),
        cmocka_unit_test(test_names_subjects_and_limits_that_make_no_sense_are_told_as_nats_tells_them),
        cmocka_unit_test(test_events_of_the_server_and_all_subjects_without_acks_can_be_kept),
        cmocka_unit_test(test_what_can_not_be_changed_is_told),
        cmocka_unit_test(test_a_stream_that_is_sealed_takes_nothing_and_stays_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
