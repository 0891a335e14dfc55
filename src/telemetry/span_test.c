/* src/telemetry/span_test.c: spans reach the exporter whole or are counted, and cost nobody else anything. */
#include "telemetry/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/protobuf.h"

struct world {
    struct nx_mailbox *mailbox;
    struct nx_counter dropped;
    struct nx_tracing tracing;
    struct nx_tracer tracer;
};

static void world_open(struct world *world, size_t mailbox_size) {
    *world = (struct world){ 0 };
    assert_int_equal(nx_mailbox_open(mailbox_size, &world->mailbox, NULL), NX_OK);
    world->tracing.exporter = world->mailbox;
    world->tracing.dropped = &world->dropped;
    world->tracer.tracing = &world->tracing;
}

static void world_close(struct world *world) {
    nx_tracer_fini(&world->tracer);
    nx_mailbox_close(world->mailbox);
}

static struct nx_span example(void) {
    static const uint8_t random[NX_TRACEPARENT_RANDOM_SIZE] = { 1,  2,  3,  4,  5,  6,  7,  8,
                                                                9,  10, 11, 12, 13, 14, 15, 16,
                                                                17, 18, 19, 20, 21, 22, 23, 24 };
    return (struct nx_span){ .verb = "run",
                             .noun = NX_STR("welcome"),
                             .kind = NX_SPAN_CONSUMER,
                             .trace = nx_traceparent_new(random),
                             .start_ns = 1000,
                             .end_ns = 2000 };
}

/* The field of a message, or one with number 0. */
static struct nx_protobuf_field field_of(struct nx_str message, uint32_t number) {
    struct nx_reader reader = nx_reader_of(message);
    struct nx_protobuf_field field;
    while (nx_protobuf_next(&reader, &field)) {
        if (field.number == number) {
            return field;
        }
    }
    assert_true(nx_reader_ok(&reader));
    return (struct nx_protobuf_field){ .bytes = NX_STR_EMPTY };
}

static struct nx_span_batch *take(struct world *world) {
    struct nx_message_queue queue = { 0 };
    (void)nx_mailbox_take(world->mailbox, &queue);
    return (struct nx_span_batch *)(void *)nx_message_queue_pop(&queue);
}

static void test_a_span_is_written_as_otlp_wants_it(void **state) {
    struct world world;
    struct nx_span span = example();
    const struct nx_traceparent link = span.trace;
    const struct nx_span_attribute attributes[] = { NX_SPAN_C("a", "text"), NX_SPAN_I64("b", 300),
                                                    NX_SPAN_C("left out", "") };
    (void)state;
    world_open(&world, 4);
    span.attributes = attributes;
    span.attribute_count = 3;
    span.link = &link;
    span.has_failed = true;
    span.message = NX_STR("why");
    memset(span.parent_id, 7, sizeof span.parent_id);
    nx_tracer_add(&world.tracer, &span);
    nx_tracer_flush(&world.tracer);
    struct nx_span_batch *batch = take(&world);
    assert_int_equal(batch->count, 1);
    const struct nx_str bytes = field_of(nx_buf_str(&batch->bytes), 2).bytes;
    assert_int_equal(field_of(bytes, 1).bytes.len, 16);
    assert_int_equal(field_of(bytes, 2).bytes.len, 8);
    assert_memory_equal(field_of(bytes, 4).bytes.ptr, "\7\7\7\7\7\7\7\7", 8);
    assert_true(nx_str_is(field_of(bytes, 5).bytes, "run welcome"));
    assert_int_equal(field_of(bytes, 6).value, NX_SPAN_CONSUMER);
    assert_int_equal(field_of(bytes, 7).value, 1000);
    assert_int_equal(field_of(bytes, 8).value, 2000);
    assert_true(nx_str_is(field_of(field_of(bytes, 9).bytes, 1).bytes, "a"));
    assert_int_equal(field_of(field_of(bytes, 13).bytes, 1).bytes.len, 16);
    assert_true(nx_str_is(field_of(field_of(bytes, 15).bytes, 2).bytes, "why"));
    assert_int_equal(field_of(field_of(bytes, 15).bytes, 3).value, 2);
    assert_true(nx_str_find(bytes, NX_STR("left out")) == SIZE_MAX);
    nx_message_release(&batch->message);
    world_close(&world);
}

static void test_foreign_text_is_cut_to_what_receivers_take(void **state) {
    struct world world;
    struct nx_span span = example();
    static char longer[4096];
    (void)state;
    memset(longer, 'x', sizeof longer);
    const struct nx_span_attribute attributes[] = { NX_SPAN_C("a", "ab\xff\xfe"),
                                                    NX_SPAN_STR("b", nx_str_of(longer, sizeof longer)) };
    world_open(&world, 4);
    span.attributes = attributes;
    span.attribute_count = 2;
    nx_tracer_add(&world.tracer, &span);
    nx_tracer_flush(&world.tracer);
    struct nx_span_batch *batch = take(&world);
    assert_true(
        nx_str_is_utf8(field_of(field_of(field_of(nx_buf_str(&batch->bytes), 2).bytes, 9).bytes, 2).bytes));
    assert_true(batch->bytes.len < 1400);
    nx_message_release(&batch->message);
    world_close(&world);
}

static void test_an_exporter_that_is_full_makes_spans_lost_and_counted(void **state) {
    struct world world;
    const struct nx_span span = example();
    (void)state;
    world_open(&world, 1);
    for (int i = 0; i < 3; i++) {
        nx_tracer_add(&world.tracer, &span);
        nx_tracer_add(&world.tracer, &span);
        nx_tracer_flush(&world.tracer);
    }
    assert_int_equal(nx_counter_get(&world.dropped), 4);
    struct nx_span_batch *batch = take(&world);
    assert_int_equal(batch->count, 2);
    nx_message_release(&batch->message);
    world_close(&world);
}

static void test_what_is_not_wanted_is_not_recorded(void **state) {
    struct world world;
    struct nx_tracer off = { .tracing = NULL };
    struct nx_span span = example();
    (void)state;
    world_open(&world, 1);
    nx_tracer_add(&off, &span);
    nx_tracer_flush(&off);
    span.trace.flags = 0;
    nx_tracer_add(&world.tracer, &span);
    nx_tracer_flush(&world.tracer);
    assert_null(take(&world));
    world_close(&world);
}

static void test_a_sampler_asks_the_parent_where_it_should(void **state) {
    struct world world;
    struct nx_traceparent trace = example().trace;
    (void)state;
    world_open(&world, 1);
    world.tracing.sampler = (struct nx_sampler){ .sampling = NX_SAMPLE_NONE, .asks_parent = true };
    nx_tracer_sample(&world.tracer, &trace, true);
    assert_true(nx_tracer_wants(&world.tracer, &trace));
    nx_tracer_sample(&world.tracer, &trace, false);
    assert_false(nx_tracer_wants(&world.tracer, &trace));
    world.tracing.sampler = (struct nx_sampler){ .sampling = NX_SAMPLE_ALL };
    nx_tracer_sample(&world.tracer, &trace, true);
    assert_true(nx_tracer_wants(&world.tracer, &trace));
    world.tracing.sampler = (struct nx_sampler){ .sampling = NX_SAMPLE_PART, .below = UINT64_C(1) << 62 };
    memset(trace.trace_id + 8, 0x40, 8);
    nx_tracer_sample(&world.tracer, &trace, true);
    assert_false(nx_tracer_wants(&world.tracer, &trace));
    trace.trace_id[8] = 0x3F;
    nx_tracer_sample(&world.tracer, &trace, true);
    assert_true(nx_tracer_wants(&world.tracer, &trace));
    world_close(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_span_is_written_as_otlp_wants_it),
        cmocka_unit_test(test_foreign_text_is_cut_to_what_receivers_take),
        cmocka_unit_test(test_an_exporter_that_is_full_makes_spans_lost_and_counted),
        cmocka_unit_test(test_what_is_not_wanted_is_not_recorded),
        cmocka_unit_test(test_a_sampler_asks_the_parent_where_it_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
