/* src/app/top.h: what `nexus top` shows: two looks at a server, and what happened between them as a table.
 *
 * A look is what GET /metrics and GET /functions answered; rates and quantiles are of the time since the look
 * before, or, where there is none, of all the time since the server's start. Pure functions; the terminal is
 * command_top.c's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum {
    NX_TOP_BUCKETS_MAX = 64,      /* of a histogram; further ones are not looked at */
    NX_TOP_FUNCTIONS_MAX = 65536, /* shown */
    NX_TOP_LOOK_SIZE_MAX = 64 * 1024 * 1024
};

/* Prometheus's histogram: so many observations at most so large. */
struct nx_top_histogram {
    double ends[NX_TOP_BUCKETS_MAX];
    double counts[NX_TOP_BUCKETS_MAX];
    size_t bucket_count;
    double sum;
    double count;
};

struct nx_top_function {
    struct nx_str name;
    struct nx_str condition;
    double ok; /* attempts since the server's start */
    double failed;
    double fuel;
    struct nx_top_histogram duration; /* seconds */
    double memory_sum;                /* bytes */
    double memory_count;
    uint64_t pending;
    uint64_t retrying;
    uint64_t dead_letters;
};

struct nx_top_look {
    struct nx_arena arena; /* owns everything below */
    int64_t taken_ns;      /* monotonic */
    struct nx_top_function *functions;
    size_t function_count;
    double events;                /* arrived, of every kind */
    double connections;           /* HTTP, open */
    struct nx_top_histogram sync; /* seconds */
};

/** Ownership: the caller ends it by nx_top_look_fini(), whatever is returned.
 * Errors:    NX_DATA_LOSS           what was answered is not what a server answers
 *            NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_top_look_read(struct nx_str metrics, struct nx_str functions,
                                              int64_t taken_ns, struct nx_top_look *look_out,
                                              struct nx_error *err);
void nx_top_look_fini(struct nx_top_look *look); /* zeroed allowed */

struct nx_top_row {
    struct nx_str name; /* borrowed from the look */
    struct nx_str condition;
    double calls_per_s;
    double failures_per_s;
    double p50_s; /* negative: there were no calls */
    double p99_s;
    double fuel;   /* of a call, on average; negative: there were none */
    double memory; /* bytes; so too */
    uint64_t queue;
    uint64_t retrying;
    uint64_t dead_letters;
};

struct nx_top_table {
    struct nx_top_row *rows; /* owned */
    size_t row_count;
    double seconds; /* that it is about; 0: since the start, so that rates are not known */
    double events_per_s;
    double calls_per_s;
    double failures_per_s;
    double sync_p99_s; /* negative: none */
    double connections;
    uint64_t queue;
};

/** `before` may be NULL. Ownership: the caller ends it by nx_top_table_fini(); it borrows from `now`.
 * Errors:    NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_top_compare(const struct nx_top_look *before, const struct nx_top_look *now,
                                            struct nx_top_table *table_out, struct nx_error *err);
void nx_top_table_fini(struct nx_top_table *table); /* zeroed allowed */

enum nx_top_column {
    NX_TOP_NAME,
    NX_TOP_CONDITION,
    NX_TOP_CALLS,
    NX_TOP_FAILURES,
    NX_TOP_P50,
    NX_TOP_P99,
    NX_TOP_FUEL,
    NX_TOP_MEMORY,
    NX_TOP_QUEUE,
    NX_TOP_RETRYING,
    NX_TOP_DEAD,
    NX_TOP_COLUMN_COUNT
};
/** "function", "state", "calls", …: what --sort takes. */
const char *nx_top_column_name(enum nx_top_column column);
/** False when there is no such column. */
bool nx_top_column_parse(struct nx_str name, enum nx_top_column *column_out);
/** Largest first, names from a to z; the other way round when `reversed`. Equal ones by name. */
void nx_top_sort(struct nx_top_table *table, enum nx_top_column column, bool reversed);

/* What the person sees of it. */
struct nx_top_view {
    size_t width;  /* columns of the terminal; 0: no limit */
    size_t height; /* its lines; 0: no limit, and no line of keys at the bottom */
    enum nx_top_column sorted;
    bool reversed;
    size_t first;          /* row at the top */
    bool is_help;          /* the keys are explained instead of the table */
    bool is_styled;        /* escape sequences for bold, colours */
    struct nx_str where;   /* such as "my-app http://127.0.0.1:8080" */
    struct nx_str trouble; /* why the table is old; empty: it is not */
};
/** Append the screen: lines that end with "\n", the last one without when there is a height. No line is wider
 * than the width; columns that have no room are left out, the least important ones first. */
void nx_top_draw(struct nx_buf *out, const struct nx_top_table *table, const struct nx_top_view *view);
/** Append the table as one JSON object and a line feed. */
void nx_top_write_json(struct nx_buf *out, const struct nx_top_table *table);
/** Rows that have room on a screen of this height. */
size_t nx_top_rows_shown(size_t height);
