/* src/telemetry/export_test.c: what of the exporter needs no collector; with real ones it is tried in
 * tests/integration/test_telemetry.py. */
#include "telemetry/export.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int64_t clock_ns;

static struct nx_now read_clock(void *data) {
    (void)data;
    return (struct nx_now){ .wall_ns = clock_ns, .monotonic_ns = clock_ns };
}

static const char *get(const char *name) {
    /* Nobody listens there. */
    return nx_str_is(nx_str_from_c(name), "OTEL_EXPORTER_OTLP_ENDPOINT") ? "http://127.0.0.1:1"
           : nx_str_is(nx_str_from_c(name), "OTEL_BSP_MAX_QUEUE_SIZE")   ? "10"
                                                                         : NULL;
}

struct world {
    struct nx_otel_options otel;
    struct nx_metrics *metrics;
    struct nx_exporter *exporter;
    struct nx_actor actor;
    struct nx_tracer tracer;
};

static void world_open(struct world *world) {
    *world = (struct world){ 0 };
    clock_ns = NX_NS_PER_S;
    assert_int_equal(nx_otel_options_read(get, "1.0", "i", &world->otel, NULL), NX_OK);
    assert_int_equal(nx_metrics_new(&world->metrics, NULL), NX_OK);
    const struct nx_exporter_options options = { .otel = &world->otel,
                                                 .clock = { .read = read_clock },
                                                 .random = nx_random_system(),
                                                 .version = "1.0",
                                                 .metrics = world->metrics };
    assert_int_equal(nx_exporter_open(&options, &world->exporter, NULL), NX_OK);
    world->actor = nx_exporter_actor(world->exporter);
    world->tracer.tracing = nx_exporter_tracing(world->exporter);
}

static void world_close(struct world *world) {
    nx_tracer_fini(&world->tracer);
    nx_exporter_close(world->exporter);
    nx_metrics_free(world->metrics);
    nx_otel_options_fini(&world->otel);
}

static void record(struct world *world, int count) {
    static const uint8_t random[NX_TRACEPARENT_RANDOM_SIZE] = { 1 };
    const struct nx_span span = { .verb = "x",
                                  .kind = NX_SPAN_INTERNAL,
                                  .trace = nx_traceparent_new(random) };
    for (int i = 0; i < count; i++) {
        nx_tracer_add(&world->tracer, &span);
        nx_tracer_flush(&world->tracer);
    }
}

static int64_t step(struct world *world) {
    struct nx_message_queue inbox = { 0 };
    (void)nx_mailbox_take(nx_exporter_mailbox(world->exporter), &inbox);
    return world->actor.step(world->actor.state, read_clock(NULL), &inbox);
}

static void assert_metric(const struct world *world, const char *line) {
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, 65536);
    nx_metrics_write(world->metrics, &text);
    assert_true(nx_str_find(nx_buf_str(&text), nx_str_from_c(line)) != SIZE_MAX);
}

static void test_spans_wait_a_moment_for_others(void **state) {
    struct world world;
    (void)state;
    world_open(&world);
    assert_int_equal(step(&world), NX_STEP_IDLE);
    record(&world, 1);
    assert_int_equal(step(&world), clock_ns + NX_OTEL_SCHEDULE_DELAY_MS * (int64_t)NX_NS_PER_MS);
    world_close(&world);
}

static void test_the_wait_between_tries_grows_to_its_limit(void **state) {
    struct world world;
    int64_t longest_ns = 0;
    (void)state;
    world_open(&world);
    record(&world, 1);
    (void)step(&world);
    clock_ns += NX_NS_PER_S;
    for (int i = 0; i < 8; i++) {
        assert_int_equal(step(&world), NX_STEP_AGAIN); /* it has tried */
        const int64_t again_ns = step(&world);
        assert_true(again_ns - clock_ns >= NX_EXPORT_RETRY_MIN_MS / 2 * (int64_t)NX_NS_PER_MS);
        assert_true(again_ns - clock_ns <= NX_EXPORT_RETRY_MAX_MS * (int64_t)NX_NS_PER_MS);
        longest_ns = again_ns - clock_ns > longest_ns ? again_ns - clock_ns : longest_ns;
        clock_ns = again_ns;
    }
    assert_true(longest_ns >= NX_EXPORT_RETRY_MAX_MS / 2 * (int64_t)NX_NS_PER_MS);
    assert_metric(&world, "nexus_span_export_failures_total 8\n");
    assert_metric(&world, "nexus_spans_waiting 1\n");
    world_close(&world);
}

static void test_beyond_the_queue_spans_are_dropped_and_counted(void **state) {
    struct world world;
    (void)state;
    world_open(&world);
    record(&world, 13);
    (void)step(&world);
    assert_metric(&world, "nexus_spans_dropped_total{reason=\"queue-full\"} 3\n");
    assert_metric(&world, "nexus_spans_waiting 10\n");
    world_close(&world);
}

static void no_release(struct nx_message *message) {
    (void)message;
}

static void test_the_end_does_not_wait_for_a_collector_that_is_away(void **state) {
    struct world world;
    struct nx_mailbox *mailbox;
    struct nx_message_queue answers = { 0 };
    (void)state;
    world_open(&world);
    assert_int_equal(nx_mailbox_open(1, &mailbox, NULL), NX_OK);
    record(&world, 2);
    struct nx_message stop = { .kind = NX_EXPORT_STOP, .reply_to = mailbox, .release = no_release };
    assert_true(nx_mailbox_send(nx_exporter_mailbox(world.exporter), &stop));
    assert_int_equal(step(&world), NX_STEP_AGAIN); /* it tries once more */
    assert_int_equal(step(&world), NX_STEP_IDLE);
    assert_true(nx_mailbox_take(mailbox, &answers));
    assert_ptr_equal(nx_message_queue_pop(&answers), &stop);
    assert_metric(&world, "nexus_spans_dropped_total{reason=\"stopped\"} 2\n");
    nx_mailbox_close(mailbox);
    world_close(&world);
}

static void test_reads_what_a_collector_has_refused(void **state) {
    uint64_t count = 9;
    (void)state;
    assert_true(nx_export_refused_count(NX_STR_EMPTY, &count));
    assert_int_equal(count, 0);
    assert_true(nx_export_refused_count(NX_STR("\x0a\x06\x08\x02\x12\x02no"), &count));
    assert_int_equal(count, 2);
    assert_false(nx_export_refused_count(NX_STR("\x0a\x06\x08"), &count));
    assert_false(nx_export_refused_count(NX_STR("<html>"), &count));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans_wait_a_moment_for_others),
        cmocka_unit_test(test_the_wait_between_tries_grows_to_its_limit),
        cmocka_unit_test(test_beyond_the_queue_spans_are_dropped_and_counted),
        cmocka_unit_test(test_the_end_does_not_wait_for_a_collector_that_is_away),
        cmocka_unit_test(test_reads_what_a_collector_has_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
