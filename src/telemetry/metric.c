#include "telemetry/metric.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/map.h"
#include "codec/json.h"

enum {
    SUB_COUNT = 1 << NX_HISTOGRAM_SUB_BITS,
    LABELS_SIZE_MAX = 4096, /* bytes of one series' labels as they are shown */
    LABEL_VALUE_SIZE_MAX = 256,
    SHOWN_LOG2_FIRST = 10,
    SHOWN_LOG2_LAST = 35
};

/* Below SUB_COUNT a bucket a value; from there on SUB_COUNT of equal width between two powers of two. */
static size_t bucket_of(uint64_t value) {
    if (value < SUB_COUNT) {
        return (size_t)value;
    }
    const unsigned log2 = 63u - (unsigned)__builtin_clzll(value);
    if (log2 >= NX_HISTOGRAM_LOG2_MAX) {
        return NX_HISTOGRAM_BUCKET_COUNT;
    }
    const size_t sub = (size_t)(value >> (log2 - NX_HISTOGRAM_SUB_BITS)) & (SUB_COUNT - 1);
    return ((size_t)(log2 - NX_HISTOGRAM_SUB_BITS + 1) << NX_HISTOGRAM_SUB_BITS) + sub;
}

/* The first value of a bucket; that of the one behind the last is its end. */
static uint64_t bucket_start(size_t bucket) {
    if (bucket < SUB_COUNT) {
        return bucket;
    }
    const unsigned log2 = (unsigned)(bucket >> NX_HISTOGRAM_SUB_BITS) + NX_HISTOGRAM_SUB_BITS - 1;
    return (uint64_t)(SUB_COUNT + (bucket & (SUB_COUNT - 1))) << (log2 - NX_HISTOGRAM_SUB_BITS);
}

void nx_histogram_observe(struct nx_histogram *histogram, uint64_t value) {
    nx_counter_add(&histogram->buckets[bucket_of(value)], 1);
    nx_counter_add(&histogram->sum, value);
}

uint64_t nx_histogram_count(const struct nx_histogram *histogram) {
    uint64_t count = 0;
    for (size_t i = 0; i <= NX_HISTOGRAM_BUCKET_COUNT; i++) {
        count += nx_counter_get(&histogram->buckets[i]);
    }
    return count;
}

uint64_t nx_histogram_sum(const struct nx_histogram *histogram) {
    return nx_counter_get(&histogram->sum);
}

uint64_t nx_histogram_quantile(const struct nx_histogram *histogram, double part) {
    nx_assert(part >= 0 && part <= 1);
    const uint64_t count = nx_histogram_count(histogram);
    uint64_t wanted = (uint64_t)ceil(part * (double)count);
    wanted = wanted == 0 ? 1 : wanted;
    uint64_t seen = 0;
    for (size_t i = 0; i < NX_HISTOGRAM_BUCKET_COUNT; i++) {
        seen += nx_counter_get(&histogram->buckets[i]);
        if (seen >= wanted) { /* the middle of the bucket is at most half its width off */
            return bucket_start(i) + (bucket_start(i + 1) - bucket_start(i)) / 2;
        }
    }
    return count == 0 ? 0 : bucket_start(NX_HISTOGRAM_BUCKET_COUNT);
}

void nx_histogram_reset(struct nx_histogram *histogram) {
    for (size_t i = 0; i <= NX_HISTOGRAM_BUCKET_COUNT; i++) {
        nx_counter_set(&histogram->buckets[i], 0);
    }
    nx_counter_set(&histogram->sum, 0);
}

/* One allocation: the series, its labels, and the value unless that is borrowed. */
struct series {
    struct nx_str labels;       /* as they are shown: a="b",c="d" */
    struct nx_counter *counter; /* of counters and gauges */
    struct nx_histogram *histogram;
    struct nx_counter own_counter;
};

struct nx_metric {
    struct nx_metric_options options;
    struct nx_metric *next;
    struct series *series[NX_METRIC_SERIES_MAX + 1]; /* the last: "other" */
    struct nx_counter series_count;                  /* raised after the series is whole */
    struct nx_map by_labels;         /* labels -> struct series; of the thread that adds them */
    struct nx_counter spare_counter; /* counts what there is no memory to count apart */
    struct nx_histogram *spare_histogram;
};

struct nx_metrics {
    struct nx_metric *first;
    struct nx_metric *last;
};

enum nx_status nx_metrics_new(struct nx_metrics **metrics_out, struct nx_error *err) {
    struct nx_metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL) {
        return nx_fail_memory(err);
    }
    *metrics_out = metrics;
    return NX_OK;
}

static void metric_free(struct nx_metric *metric) {
    for (size_t i = 0; i <= NX_METRIC_SERIES_MAX; i++) {
        free(metric->series[i]);
    }
    nx_map_fini(&metric->by_labels);
    free(metric->spare_histogram);
    free(metric);
}

void nx_metrics_free(struct nx_metrics *metrics) {
    if (metrics == NULL) {
        return;
    }
    struct nx_metric *metric = metrics->first;
    while (metric != NULL) {
        struct nx_metric *next = metric->next;
        metric_free(metric);
        metric = next;
    }
    free(metrics);
}

enum nx_status nx_metrics_add(struct nx_metrics *metrics, const struct nx_metric_options *options,
                              struct nx_metric **metric_out, struct nx_error *err) {
    struct nx_metric *metric = calloc(1, sizeof *metric);
    if (metric == NULL) {
        return nx_fail_memory(err);
    }
    metric->options = *options;
    nx_map_init(&metric->by_labels, NX_METRIC_SERIES_MAX + 1, 0); /* labels are ours, never a stranger's */
    if (options->kind == NX_METRIC_HISTOGRAM) {
        metric->spare_histogram = calloc(1, sizeof *metric->spare_histogram);
        if (metric->spare_histogram == NULL) {
            metric_free(metric);
            return nx_fail_memory(err);
        }
    }
    if (metric->options.scale == 0) {
        metric->options.scale = 1;
    }
    if (metric->options.bucket_log2_last == 0) {
        metric->options.bucket_log2_first = SHOWN_LOG2_FIRST;
        metric->options.bucket_log2_last = SHOWN_LOG2_LAST;
    }
    nx_assert(metric->options.bucket_log2_last <= NX_HISTOGRAM_LOG2_MAX);
    nx_assert(metric->options.bucket_log2_first >= NX_HISTOGRAM_SUB_BITS);
    if (metrics->last == NULL) {
        metrics->first = metric;
    } else {
        metrics->last->next = metric;
    }
    metrics->last = metric;
    *metric_out = metric;
    return NX_OK;
}

static void append_label_value(struct nx_buf *out, struct nx_str value) {
    value = nx_str_slice(value, 0, LABEL_VALUE_SIZE_MAX);
    value = nx_str_slice(value, 0, nx_str_utf8_prefix(value));
    for (size_t i = 0; i < value.len; i++) {
        const char c = value.ptr[i];
        if (c == '\\' || c == '"' || c == '\n') {
            nx_buf_append_c(out, c == '\\' ? "\\\\" : c == '"' ? "\\\"" : "\\n");
        } else {
            nx_buf_append(out, nx_str_slice(value, i, i + 1));
        }
    }
}

/* a="b",c="d"; every value is "other" where `values` is NULL. */
static void append_labels(struct nx_buf *out, const struct nx_metric *metric, const struct nx_str *values) {
    for (size_t i = 0; i < NX_METRIC_LABELS_MAX && metric->options.labels[i] != NULL; i++) {
        nx_buf_append_c(out, i == 0 ? "" : ",");
        nx_buf_append_c(out, metric->options.labels[i]);
        nx_buf_append_c(out, "=\"");
        append_label_value(out, values == NULL ? NX_STR("other") : values[i]);
        nx_buf_append_c(out, "\"");
    }
}

static struct series *find(const struct nx_metric *metric, struct nx_str labels) {
    return nx_map_get(&metric->by_labels, labels);
}

/* A series without a value yet, not shown before publish(); NULL when there is no memory. */
static struct series *series_new(const struct nx_metric *metric, struct nx_str labels, bool with_histogram) {
    const size_t size = sizeof(struct series) + (with_histogram ? sizeof(struct nx_histogram) : 0);
    char *memory = calloc(1, size + labels.len);
    if (memory == NULL) {
        return NULL;
    }
    struct series *series = (struct series *)(void *)memory;
    if (labels.len > 0) {
        memcpy(memory + size, labels.ptr, labels.len);
    }
    series->labels = nx_str_of(memory + size, labels.len);
    series->counter = metric->options.kind == NX_METRIC_HISTOGRAM ? NULL : &series->own_counter;
    series->histogram = with_histogram ? (struct nx_histogram *)(void *)(memory + sizeof *series) : NULL;
    return series;
}

/* False: no memory to find it again; it is freed. */
static bool publish(struct nx_metric *metric, struct series *series) {
    if (nx_map_set(&metric->by_labels, series->labels, series, NULL) != NX_OK) {
        free(series);
        return false;
    }
    const uint64_t at = nx_counter_get(&metric->series_count);
    metric->series[at] = series;
    nx_counter_set(&metric->series_count, at + 1);
    return true;
}

/* The series with these label values, made when it is new and `make` says so. */
static struct series *find_or_make(struct nx_metric *metric, const struct nx_str *values, bool make) {
    NX_AUTO(nx_buf) labels;
    nx_buf_init(&labels, LABELS_SIZE_MAX);
    append_labels(&labels, metric, values == NULL ? &(struct nx_str){ 0 } : values);
    if (nx_buf_failed(&labels)) {
        return NULL;
    }
    struct series *series = find(metric, nx_buf_str(&labels));
    if (series != NULL || !make) {
        return series;
    }
    const uint64_t count = nx_counter_get(&metric->series_count);
    if (count >= NX_METRIC_SERIES_MAX) {
        nx_buf_reset(&labels);
        append_labels(&labels, metric, NULL);
        series = nx_buf_failed(&labels) ? NULL : find(metric, nx_buf_str(&labels));
        if (series != NULL || nx_buf_failed(&labels) || count > NX_METRIC_SERIES_MAX) {
            return series;
        }
    }
    series = series_new(metric, nx_buf_str(&labels), metric->options.kind == NX_METRIC_HISTOGRAM);
    return series != NULL && publish(metric, series) ? series : NULL;
}

struct nx_counter *nx_metric_counter(struct nx_metric *metric, const struct nx_str *values) {
    nx_assert(metric->options.kind != NX_METRIC_HISTOGRAM);
    nx_assert(values != NULL || metric->options.labels[0] == NULL);
    struct series *series = find_or_make(metric, values, true);
    return series == NULL ? &metric->spare_counter : series->counter;
}

struct nx_counter *nx_metric_gauge(struct nx_metric *metric, const struct nx_str *values) {
    return nx_metric_counter(metric, values);
}

struct nx_histogram *nx_metric_histogram(struct nx_metric *metric, const struct nx_str *values) {
    nx_assert(metric->options.kind == NX_METRIC_HISTOGRAM);
    nx_assert(values != NULL || metric->options.labels[0] == NULL);
    struct series *series = find_or_make(metric, values, true);
    return series == NULL ? metric->spare_histogram : series->histogram;
}

/* Show somebody else's value. Short of memory it is not shown; that loses no event. */
static void borrow(struct nx_metric *metric, const struct nx_str *values, struct nx_counter *counter,
                   struct nx_histogram *histogram) {
    NX_AUTO(nx_buf) labels;
    nx_buf_init(&labels, LABELS_SIZE_MAX);
    append_labels(&labels, metric, values == NULL ? &(struct nx_str){ 0 } : values);
    if (nx_buf_failed(&labels) || nx_counter_get(&metric->series_count) >= NX_METRIC_SERIES_MAX) {
        return;
    }
    nx_assert(find(metric, nx_buf_str(&labels)) == NULL);
    struct series *series = series_new(metric, nx_buf_str(&labels), false);
    if (series != NULL) {
        series->counter = counter;
        series->histogram = histogram;
        if (!publish(metric, series)) {
            return; /* it is not shown */
        }
    }
}

void nx_metric_borrow_counter(struct nx_metric *metric, const struct nx_str *values,
                              const struct nx_counter *counter) {
    nx_assert(metric->options.kind != NX_METRIC_HISTOGRAM);
    borrow(metric, values, (struct nx_counter *)(uintptr_t)counter, NULL); /* only ever read */
}

void nx_metric_borrow_histogram(struct nx_metric *metric, const struct nx_str *values,
                                const struct nx_histogram *histogram) {
    nx_assert(metric->options.kind == NX_METRIC_HISTOGRAM);
    borrow(metric, values, NULL, (struct nx_histogram *)(uintptr_t)histogram);
}

/* name_suffix{labels,le="…"} and the space behind. */
static void append_name(struct nx_buf *out, const struct nx_metric *metric, const char *suffix,
                        struct nx_str labels, const char *le) {
    nx_buf_append_c(out, metric->options.name);
    nx_buf_append_c(out, suffix);
    if (labels.len > 0 || le != NULL) {
        nx_buf_append_c(out, "{");
        nx_buf_append(out, labels);
        if (le != NULL) {
            nx_buf_append_c(out, labels.len > 0 ? ",le=\"" : "le=\"");
            nx_buf_append_c(out, le);
            nx_buf_append_c(out, "\"");
        }
        nx_buf_append_c(out, "}");
    }
    nx_buf_append_c(out, " ");
}

/* By division where the scale is a fraction: 1e9 is exact, 1e-9 is not. */
static double scaled(const struct nx_metric *metric, uint64_t value) {
    const double scale = metric->options.scale;
    return scale < 1 ? (double)value / nearbyint(1 / scale) : (double)value * scale;
}

static void append_scaled(struct nx_buf *out, const struct nx_metric *metric, uint64_t value) {
    if (metric->options.scale == 1) {
        nx_buf_append_decimal(out, value);
    } else {
        nx_json_append_double(out, scaled(metric, value));
    }
}

static void append_histogram(struct nx_buf *out, const struct nx_metric *metric,
                             const struct series *series) {
    const unsigned first = metric->options.bucket_log2_first;
    const unsigned last = metric->options.bucket_log2_last;
    uint64_t count = 0;
    size_t bucket = 0;
    for (unsigned log2 = first; log2 <= last; log2++) {
        char le[32];
        const size_t end = bucket_of((1ull << log2) - 1) + 1;
        for (; bucket < end; bucket++) {
            count += nx_counter_get(&series->histogram->buckets[bucket]);
        }
        (void)snprintf(le, sizeof le, "%.10g", scaled(metric, 1ull << log2));
        append_name(out, metric, "_bucket", series->labels, le);
        nx_buf_append_decimal(out, count);
        nx_buf_append_c(out, "\n");
    }
    for (; bucket <= NX_HISTOGRAM_BUCKET_COUNT; bucket++) {
        count += nx_counter_get(&series->histogram->buckets[bucket]);
    }
    append_name(out, metric, "_bucket", series->labels, "+Inf");
    nx_buf_append_decimal(out, count);
    nx_buf_append_c(out, "\n");
    append_name(out, metric, "_sum", series->labels, NULL);
    append_scaled(out, metric, nx_histogram_sum(series->histogram));
    nx_buf_append_c(out, "\n");
    append_name(out, metric, "_count", series->labels, NULL);
    nx_buf_append_decimal(out, count);
    nx_buf_append_c(out, "\n");
}

static void append_family(struct nx_buf *out, const struct nx_metric *metric) {
    static const char *const kind_names[] = { "counter", "gauge", "histogram" };
    nx_buf_append_format(out, "# HELP %s ", metric->options.name);
    for (const char *c = metric->options.help; *c != '\0'; c++) {
        nx_buf_append_c(out, *c == '\\' ? "\\\\" : *c == '\n' ? "\\n" : (char[]){ *c, '\0' });
    }
    nx_buf_append_format(out, "\n# TYPE %s %s\n", metric->options.name, kind_names[metric->options.kind]);
    const uint64_t count = nx_counter_get(&metric->series_count);
    for (uint64_t i = 0; i < count; i++) {
        const struct series *series = metric->series[i];
        if (metric->options.kind == NX_METRIC_HISTOGRAM) {
            append_histogram(out, metric, series);
            continue;
        }
        append_name(out, metric, "", series->labels, NULL);
        append_scaled(out, metric, nx_counter_get(series->counter));
        nx_buf_append_c(out, "\n");
    }
}

void nx_metrics_write(const struct nx_metrics *metrics, struct nx_buf *out) {
    for (const struct nx_metric *metric = metrics->first; metric != NULL; metric = metric->next) {
        if (nx_counter_get(&metric->series_count) > 0) {
            append_family(out, metric);
        }
    }
}
