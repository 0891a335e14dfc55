/* src/app/top_table.c: what happened between two looks, a row for each function. */
#include "app/top.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/json.h"
#include "io/clock.h"

static const char *const column_names[NX_TOP_COLUMN_COUNT] = {
    [NX_TOP_NAME] = "function",  [NX_TOP_CONDITION] = "state", [NX_TOP_CALLS] = "calls",
    [NX_TOP_FAILURES] = "fails", [NX_TOP_P50] = "p50",         [NX_TOP_P99] = "p99",
    [NX_TOP_FUEL] = "fuel",      [NX_TOP_MEMORY] = "memory",   [NX_TOP_QUEUE] = "queue",
    [NX_TOP_RETRYING] = "retry", [NX_TOP_DEAD] = "dead",
};

const char *nx_top_column_name(enum nx_top_column column) {
    return column_names[column];
}

bool nx_top_column_parse(struct nx_str name, enum nx_top_column *column_out) {
    for (int i = 0; i < NX_TOP_COLUMN_COUNT; i++) {
        if (nx_str_is(name, column_names[i])) {
            *column_out = (enum nx_top_column)i;
            return true;
        }
    }
    return false;
}

/* A server that was started anew counts from 0 again. */
static double since(double before, double now) {
    return now >= before ? now - before : now;
}

/* As Prometheus estimates it: within a bucket values are taken to lie evenly. Negative: there are none. */
static double quantile(const struct nx_top_histogram *before, const struct nx_top_histogram *now,
                       double part) {
    const bool goes_on =
        before != NULL && before->bucket_count == now->bucket_count && before->count <= now->count;
    const double total = now->count - (goes_on ? before->count : 0);
    double below = 0;
    double start = 0;
    if (total <= 0) {
        return -1;
    }
    for (size_t i = 0; i < now->bucket_count; i++) {
        const double count = now->counts[i] - (goes_on ? before->counts[i] : 0);
        if (count >= part * total && count > below) {
            return isinf(now->ends[i])
                       ? start
                       : start + (now->ends[i] - start) * (part * total - below) / (count - below);
        }
        start = isinf(now->ends[i]) ? start : now->ends[i];
        below = count;
    }
    return start;
}

static const struct nx_top_function *same_function(const struct nx_top_look *look, struct nx_str name,
                                                   size_t hint) {
    if (look == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < look->function_count; i++) {
        const struct nx_top_function *function = &look->functions[(hint + i) % look->function_count];
        if (nx_str_equal(function->name, name)) {
            return function;
        }
    }
    return NULL;
}

static struct nx_top_row row_of(const struct nx_top_function *before, const struct nx_top_function *now,
                                double seconds) {
    static const struct nx_top_function none = { .ok = 0 };
    const struct nx_top_function *from = before == NULL ? &none : before;
    const double failed = since(from->failed, now->failed);
    const double calls = since(from->ok, now->ok) + failed;
    const double measured = since(from->memory_count, now->memory_count);
    return (struct nx_top_row){
        .name = now->name,
        .condition = now->condition,
        .calls_per_s = seconds > 0 ? calls / seconds : 0,
        .failures_per_s = seconds > 0 ? failed / seconds : 0,
        .p50_s = quantile(before == NULL ? NULL : &before->duration, &now->duration, 0.5),
        .p99_s = quantile(before == NULL ? NULL : &before->duration, &now->duration, 0.99),
        .fuel = calls > 0 ? since(from->fuel, now->fuel) / calls : -1,
        .memory = measured > 0 ? since(from->memory_sum, now->memory_sum) / measured : -1,
        .queue = now->pending,
        .retrying = now->retrying,
        .dead_letters = now->dead_letters,
    };
}

enum nx_status nx_top_compare(const struct nx_top_look *before, const struct nx_top_look *now,
                              struct nx_top_table *table_out, struct nx_error *err) {
    struct nx_top_table table = { .connections = now->connections };
    table.seconds = before == NULL ? 0 : (double)(now->taken_ns - before->taken_ns) / NX_NS_PER_S;
    table.rows = calloc(now->function_count + 1, sizeof *table.rows);
    if (table.rows == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < now->function_count; i++) {
        const struct nx_top_function *function = &now->functions[i];
        struct nx_top_row *row = &table.rows[table.row_count++];
        *row = row_of(same_function(before, function->name, i), function, table.seconds);
        table.calls_per_s += row->calls_per_s;
        table.failures_per_s += row->failures_per_s;
        table.queue += row->queue;
    }
    table.events_per_s =
        before != NULL && table.seconds > 0 ? since(before->events, now->events) / table.seconds : 0;
    table.sync_p99_s = quantile(before == NULL ? NULL : &before->sync, &now->sync, 0.99);
    *table_out = table;
    return NX_OK;
}

void nx_top_table_fini(struct nx_top_table *table) {
    free(table->rows);
    *table = (struct nx_top_table){ .row_count = 0 };
}

/* Sorting */

static double number_of(const struct nx_top_row *row, enum nx_top_column column) {
    switch (column) {
    case NX_TOP_CALLS:
        return row->calls_per_s;
    case NX_TOP_FAILURES:
        return row->failures_per_s;
    case NX_TOP_P50:
        return row->p50_s;
    case NX_TOP_P99:
        return row->p99_s;
    case NX_TOP_FUEL:
        return row->fuel;
    case NX_TOP_MEMORY:
        return row->memory;
    case NX_TOP_QUEUE:
        return (double)row->queue;
    case NX_TOP_RETRYING:
        return (double)row->retrying;
    case NX_TOP_DEAD:
        return (double)row->dead_letters;
    case NX_TOP_NAME:
    case NX_TOP_CONDITION:
    case NX_TOP_COLUMN_COUNT:
        break;
    }
    return 0;
}

struct order {
    enum nx_top_column column;
    bool reversed;
};

static int compare_rows(const void *a, const void *b, void *data) {
    const struct nx_top_row *first = a;
    const struct nx_top_row *second = b;
    const struct order *order = data;
    const double x = number_of(first, order->column);
    const double y = number_of(second, order->column);
    int result = (x < y) - (x > y);
    if (order->column == NX_TOP_CONDITION) {
        result = nx_str_compare(first->condition, second->condition);
    } else if (order->column == NX_TOP_NAME) {
        result = nx_str_compare(first->name, second->name);
    }
    result = order->reversed ? -result : result;
    return result != 0 ? result : nx_str_compare(first->name, second->name);
}

void nx_top_sort(struct nx_top_table *table, enum nx_top_column column, bool reversed) {
    struct order order = { .column = column, .reversed = reversed };
    qsort_r(table->rows, table->row_count, sizeof *table->rows, compare_rows, &order);
}

/* JSON */

/* In microseconds, bytes and fuel whole numbers are exact enough; what is not known is null. */
static void member(struct nx_json_writer *writer, const char *name, double value) {
    nx_json_key(writer, nx_str_from_c(name));
    if (value < 0) {
        nx_json_null(writer);
    } else {
        nx_json_u64(writer, (uint64_t)llround(value));
    }
}

/* Per second, in thousandths. */
static void member_rate(struct nx_json_writer *writer, const char *name, double value) {
    char text[48];
    const int len = snprintf(text, sizeof text, "%.3f", value);
    nx_json_key(writer, nx_str_from_c(name));
    nx_json_raw(writer, nx_str_of(text, (size_t)len));
}

static void write_row(struct nx_json_writer *writer, const struct nx_top_row *row) {
    nx_json_object_begin(writer);
    nx_json_member_str(writer, "function", row->name);
    nx_json_member_str(writer, "state", row->condition);
    member_rate(writer, "calls_per_s", row->calls_per_s);
    member_rate(writer, "failures_per_s", row->failures_per_s);
    member(writer, "p50_us", row->p50_s < 0 ? -1 : row->p50_s * 1e6);
    member(writer, "p99_us", row->p99_s < 0 ? -1 : row->p99_s * 1e6);
    member(writer, "fuel", row->fuel);
    member(writer, "memory_bytes", row->memory);
    nx_json_member_u64(writer, "queue", row->queue);
    nx_json_member_u64(writer, "retrying", row->retrying);
    nx_json_member_u64(writer, "dead_letters", row->dead_letters);
    nx_json_object_end(writer);
}

void nx_top_write_json(struct nx_buf *out, const struct nx_top_table *table) {
    struct nx_json_writer writer;
    nx_json_writer_init(&writer, out);
    nx_json_object_begin(&writer);
    member_rate(&writer, "seconds", table->seconds);
    member_rate(&writer, "events_per_s", table->events_per_s);
    member_rate(&writer, "calls_per_s", table->calls_per_s);
    member_rate(&writer, "failures_per_s", table->failures_per_s);
    member(&writer, "sync_p99_us", table->sync_p99_s < 0 ? -1 : table->sync_p99_s * 1e6);
    member(&writer, "connections", table->connections);
    nx_json_member_u64(&writer, "queue", table->queue);
    nx_json_key(&writer, NX_STR("functions"));
    nx_json_array_begin(&writer);
    for (size_t i = 0; i < table->row_count; i++) {
        write_row(&writer, &table->rows[i]);
    }
    nx_json_array_end(&writer);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_buf_append_u8(out, '\n');
}
