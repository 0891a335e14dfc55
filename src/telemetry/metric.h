/* src/telemetry/metric.h: what is counted and timed, for Prometheus and for `make bench`.
 *
 * A registry holds families (a name, a help text, a kind); a family holds series, one for each set of label
 * values; a series is a counter, a gauge or a histogram. Histograms have fixed buckets, 16 to a power of two,
 * so that quantiles are off by 3 % at most and observing costs two additions; what Prometheus is shown is one
 * bucket a power of two.
 *
 * Threads: values may be raised and read by any. Families are added before threads start. Series of one
 * family are added by one thread, at any time; whoever writes the exposition sees whole series. Nothing is
 * removed before the registry is freed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/counter.h"
#include "base/error.h"
#include "base/own.h"
#include "base/str.h"

enum {
    NX_HISTOGRAM_SUB_BITS = 4,  /* 16 buckets to a power of two */
    NX_HISTOGRAM_LOG2_MAX = 44, /* values from 2^44 on (4.8 hours in ns, 16 TiB) share the last bucket */
    NX_HISTOGRAM_BUCKET_COUNT = (NX_HISTOGRAM_LOG2_MAX - NX_HISTOGRAM_SUB_BITS + 1) << NX_HISTOGRAM_SUB_BITS,
    NX_METRIC_LABELS_MAX = 4,   /* of one family */
    NX_METRIC_SERIES_MAX = 4096 /* of one family; later ones share one series with the label values "other" */
};

struct nx_histogram { /* starts zeroed */
    struct nx_counter buckets[NX_HISTOGRAM_BUCKET_COUNT + 1];
    struct nx_counter sum;
};

void nx_histogram_observe(struct nx_histogram *histogram, uint64_t value);
uint64_t nx_histogram_count(const struct nx_histogram *histogram);
uint64_t nx_histogram_sum(const struct nx_histogram *histogram);
/** The value below which this part (0..1) of the observed ones lies, within 3 %; 0 when there are none. */
uint64_t nx_histogram_quantile(const struct nx_histogram *histogram, double part);
/** Set every bucket to 0. Not while others observe. */
void nx_histogram_reset(struct nx_histogram *histogram);

enum nx_metric_kind { NX_METRIC_COUNTER, NX_METRIC_GAUGE, NX_METRIC_HISTOGRAM };

struct nx_metric_options {
    const char *name; /* with unit and, for counters, _total; all text borrowed for the registry's life */
    const char *help;
    enum nx_metric_kind kind;
    const char *labels[NX_METRIC_LABELS_MAX]; /* names; NULL: unused */
    double scale; /* histograms and gauges: what one unit of ours is of theirs; 1e-9 for ns in a family of
                     seconds; 0: 1 */
    unsigned bucket_log2_first; /* histograms: the first bucket shown to Prometheus ends at 2^this */
    unsigned bucket_log2_last;  /* and the last one; 0: 10 and 35, for ns: 1 us to 34 s */
};

struct nx_metrics;
struct nx_metric;

/** Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_metrics_new(struct nx_metrics **metrics_out, struct nx_error *err);
void nx_metrics_free(struct nx_metrics *metrics); /* NULL allowed */
/** Add a family. Owned by the registry. Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_metrics_add(struct nx_metrics *metrics,
                                            const struct nx_metric_options *options,
                                            struct nx_metric **metric_out, struct nx_error *err);

/* The series with these label values, in the order of the family's label names; made on first use. Never
 * NULL: when memory is short a series of the family's own that is not shown. `values` is borrowed for the
 * call. For a family without labels pass NULL. */
struct nx_counter *nx_metric_counter(struct nx_metric *metric, const struct nx_str *values);
/** As nx_metric_counter(); set by nx_counter_set(). */
struct nx_counter *nx_metric_gauge(struct nx_metric *metric, const struct nx_str *values);
struct nx_histogram *nx_metric_histogram(struct nx_metric *metric, const struct nx_str *values);
/** As nx_metric_counter(), but the series counts in `counter`, which is somebody else's: for counters that a
 * component keeps by itself. Borrowed for the registry's life. */
void nx_metric_borrow_counter(struct nx_metric *metric, const struct nx_str *values,
                              const struct nx_counter *counter);
void nx_metric_borrow_histogram(struct nx_metric *metric, const struct nx_str *values,
                                const struct nx_histogram *histogram);

/** Append everything in Prometheus's text format 0.0.4; failures are the buffer's. */
void nx_metrics_write(const struct nx_metrics *metrics, struct nx_buf *out);

NX_DEFINE_AUTO(nx_metrics, nx_metrics_free)
