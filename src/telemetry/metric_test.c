/* src/telemetry/metric_test.c: quantiles within 3 %, and text that Prometheus reads. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "telemetry/metric.h"

enum { TEXT_MAX = 1024 * 1024 };

static void test_quantiles_are_within_three_percent(void **state) {
    struct nx_histogram *histogram = calloc(1, sizeof *histogram);
    (void)state;
    assert_non_null(histogram);
    assert_non_null(histogram);
    assert_int_equal(nx_histogram_quantile(histogram, 0.5), 0);
    for (uint64_t value = 1; value <= 100000; value++) {
        nx_histogram_observe(histogram, value * 1000);
    }
    assert_int_equal(nx_histogram_count(histogram), 100000);
    assert_true(nx_histogram_sum(histogram) == 100000ull * 100001 / 2 * 1000);
    for (int percent = 1; percent <= 100; percent++) {
        const double exact = percent * 1000000.0;
        const double estimate = (double)nx_histogram_quantile(histogram, percent / 100.0);
        assert_true(estimate > exact * 0.968 && estimate < exact * 1.032);
    }
    nx_histogram_reset(histogram);
    assert_int_equal(nx_histogram_count(histogram), 0);
    free(histogram);
}

static void test_small_values_are_exact_and_huge_ones_are_kept(void **state) {
    struct nx_histogram *histogram = calloc(1, sizeof *histogram);
    (void)state;
    assert_non_null(histogram);
    assert_non_null(histogram);
    nx_histogram_observe(histogram, 0);
    nx_histogram_observe(histogram, 7);
    nx_histogram_observe(histogram, 15);
    assert_int_equal(nx_histogram_quantile(histogram, 0), 0);
    assert_int_equal(nx_histogram_quantile(histogram, 0.5), 7);
    assert_int_equal(nx_histogram_quantile(histogram, 1), 15);
    nx_histogram_observe(histogram, UINT64_MAX);
    nx_histogram_observe(histogram, 1ull << NX_HISTOGRAM_LOG2_MAX);
    nx_histogram_observe(histogram, (1ull << NX_HISTOGRAM_LOG2_MAX) - 1);
    assert_int_equal(nx_histogram_count(histogram), 6);
    assert_true(nx_histogram_quantile(histogram, 1) == 1ull << NX_HISTOGRAM_LOG2_MAX);
    assert_int_equal(nx_counter_get(&histogram->buckets[NX_HISTOGRAM_BUCKET_COUNT]), 2);
    free(histogram);
}

static struct nx_metric *add(struct nx_metrics *metrics, const struct nx_metric_options *options) {
    struct nx_metric *metric = NULL;
    assert_int_equal(nx_metrics_add(metrics, options, &metric, NULL), NX_OK);
    return metric;
}

static void assert_text(const struct nx_metrics *metrics, const char *expected) {
    NX_AUTO(nx_buf) out;
    nx_buf_init(&out, TEXT_MAX);
    nx_metrics_write(metrics, &out);
    assert_true(nx_str_is(nx_buf_str(&out), expected)); /* too long to be shown whole */
}

static void test_writes_counters_and_gauges(void **state) {
    NX_AUTO(nx_metrics) *metrics = NULL;
    static const struct nx_counter borrowed = { 9 };
    (void)state;
    assert_int_equal(nx_metrics_new(&metrics, NULL), NX_OK);
    struct nx_metric *events =
        add(metrics, &(struct nx_metric_options){ .name = "nexus_events_total",
                                                  .help = "Events by type.\nAnd \\ more.",
                                                  .kind = NX_METRIC_COUNTER,
                                                  .labels = { "type", "outcome" } });
    struct nx_metric *memory =
        add(metrics,
            &(struct nx_metric_options){
                .name = "nexus_idle_seconds", .help = "Idle time.", .kind = NX_METRIC_GAUGE, .scale = 1e-3 });
    (void)add(metrics, &(struct nx_metric_options){ .name = "nexus_empty_total",
                                                    .help = "Never counted.",
                                                    .kind = NX_METRIC_COUNTER });
    const struct nx_str created[] = { NX_STR("user.created"), NX_STR("ok") };
    const struct nx_str odd[] = { NX_STR("a\"b\\c\nd\xFF rest"), NX_STR("") };
    const struct nx_str lent[] = { NX_STR("lent"), NX_STR("ok") };
    nx_counter_add(nx_metric_counter(events, created), 2);
    nx_counter_add(nx_metric_counter(events, odd), 1);
    nx_metric_borrow_counter(events, lent, &borrowed);
    assert_ptr_equal(nx_metric_counter(events, created), nx_metric_counter(events, created));
    nx_counter_set(nx_metric_gauge(memory, NULL), 1500);
    assert_text(metrics, "# HELP nexus_events_total Events by type.\\nAnd \\\\ more.\n"
                         "# TYPE nexus_events_total counter\n"
                         "nexus_events_total{type=\"user.created\",outcome=\"ok\"} 2\n"
                         "nexus_events_total{type=\"a\\\"b\\\\c\\nd\",outcome=\"\"} 1\n"
                         "nexus_events_total{type=\"lent\",outcome=\"ok\"} 9\n"
                         "# HELP nexus_idle_seconds Idle time.\n"
                         "# TYPE nexus_idle_seconds gauge\n"
                         "nexus_idle_seconds 1.5\n");
}

static void test_writes_histograms_with_rising_buckets(void **state) {
    NX_AUTO(nx_metrics) *metrics = NULL;
    (void)state;
    assert_int_equal(nx_metrics_new(&metrics, NULL), NX_OK);
    struct nx_metric *duration =
        add(metrics, &(struct nx_metric_options){ .name = "nexus_function_duration_seconds",
                                                  .help = "Time of a call.",
                                                  .kind = NX_METRIC_HISTOGRAM,
                                                  .labels = { "function" },
                                                  .scale = 1e-9,
                                                  .bucket_log2_first = 10,
                                                  .bucket_log2_last = 12 });
    struct nx_metric *batch = add(metrics, &(struct nx_metric_options){ .name = "nexus_batch_records",
                                                                        .help = "Records of a batch.",
                                                                        .kind = NX_METRIC_HISTOGRAM,
                                                                        .bucket_log2_first = 4,
                                                                        .bucket_log2_last = 5 });
    struct nx_histogram *welcome = nx_metric_histogram(duration, &NX_STR("welcome"));
    nx_histogram_observe(welcome, 1000);
    nx_histogram_observe(welcome, 3000);
    nx_histogram_observe(welcome, 1000000000);
    nx_metric_borrow_histogram(batch, NULL, welcome);
    assert_text(metrics, "# HELP nexus_function_duration_seconds Time of a call.\n"
                         "# TYPE nexus_function_duration_seconds histogram\n"
                         "nexus_function_duration_seconds_bucket{function=\"welcome\",le=\"1.024e-06\"} 1\n"
                         "nexus_function_duration_seconds_bucket{function=\"welcome\",le=\"2.048e-06\"} 1\n"
                         "nexus_function_duration_seconds_bucket{function=\"welcome\",le=\"4.096e-06\"} 2\n"
                         "nexus_function_duration_seconds_bucket{function=\"welcome\",le=\"+Inf\"} 3\n"
                         "nexus_function_duration_seconds_sum{function=\"welcome\"} 1.000004\n"
                         "nexus_function_duration_seconds_count{function=\"welcome\"} 3\n"
                         "# HELP nexus_batch_records Records of a batch.\n"
                         "# TYPE nexus_batch_records histogram\n"
                         "nexus_batch_records_bucket{le=\"16\"} 0\n"
                         "nexus_batch_records_bucket{le=\"32\"} 0\n"
                         "nexus_batch_records_bucket{le=\"+Inf\"} 3\n"
                         "nexus_batch_records_sum 1000004000\n"
                         "nexus_batch_records_count 3\n");
}

static void test_too_many_series_share_one(void **state) {
    NX_AUTO(nx_metrics) *metrics = NULL;
    NX_AUTO(nx_buf) out;
    (void)state;
    nx_buf_init(&out, TEXT_MAX);
    assert_int_equal(nx_metrics_new(&metrics, NULL), NX_OK);
    struct nx_metric *metric = add(
        metrics, &(struct nx_metric_options){
                     .name = "nexus_x_total", .help = "X.", .kind = NX_METRIC_COUNTER, .labels = { "x" } });
    for (int i = 0; i < NX_METRIC_SERIES_MAX + 10; i++) {
        char value[16];
        (void)snprintf(value, sizeof value, "%d", i);
        nx_counter_add(nx_metric_counter(metric, &(struct nx_str){ value, strlen(value) }), 1);
    }
    nx_metrics_write(metrics, &out);
    assert_true(nx_str_ends_with(nx_buf_str(&out), NX_STR("nexus_x_total{x=\"4095\"} 1\n"
                                                          "nexus_x_total{x=\"other\"} 10\n")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles_are_within_three_percent),
        cmocka_unit_test(test_small_values_are_exact_and_huge_ones_are_kept),
        cmocka_unit_test(test_writes_counters_and_gauges),
        cmocka_unit_test(test_writes_histograms_with_rising_buckets),
        cmocka_unit_test(test_too_many_series_share_one),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
