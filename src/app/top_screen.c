/* src/app/top_screen.c: the table as text, for a terminal of any size. */
#include "app/top.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    CELL_SIZE = 32,
    LINE_SIZE_MAX = 1024,
    NAME_WIDTH_MIN = 8,
    NAME_WIDTH_MAX = 40,
    LINES_AROUND = 5, /* two of figures, one empty, the titles, the keys */
};

static const struct {
    const char *title;
    size_t width; /* with the space before it */
    int rank;     /* those with the highest go first where the width is short */
} columns[NX_TOP_COLUMN_COUNT] = {
    [NX_TOP_NAME] = { "FUNCTION", 0, 0 }, [NX_TOP_CONDITION] = { "STATE", 12, 7 },
    [NX_TOP_CALLS] = { "CALLS/S", 9, 1 }, [NX_TOP_FAILURES] = { "FAIL/S", 8, 4 },
    [NX_TOP_P50] = { "P50", 8, 5 },       [NX_TOP_P99] = { "P99", 8, 3 },
    [NX_TOP_FUEL] = { "FUEL", 8, 8 },     [NX_TOP_MEMORY] = { "MEMORY", 8, 6 },
    [NX_TOP_QUEUE] = { "QUEUE", 8, 2 },   [NX_TOP_RETRYING] = { "RETRY", 7, 10 },
    [NX_TOP_DEAD] = { "DEAD", 7, 9 },
};

/* Which columns there are, and how wide the first one is. */
struct layout {
    size_t name_width;
    bool shown[NX_TOP_COLUMN_COUNT];
};

static struct layout layout_of(const struct nx_top_table *table, size_t width) {
    struct layout layout = { .name_width = NAME_WIDTH_MIN };
    for (size_t i = 0; i < table->row_count; i++) {
        const size_t len = table->rows[i].name.len;
        layout.name_width = len > layout.name_width ? len : layout.name_width;
    }
    layout.name_width = layout.name_width > NAME_WIDTH_MAX ? NAME_WIDTH_MAX : layout.name_width;
    size_t used = layout.name_width;
    for (int rank = 0; rank < NX_TOP_COLUMN_COUNT; rank++) {
        for (int i = 0; i < NX_TOP_COLUMN_COUNT; i++) {
            if (columns[i].rank == rank && (width == 0 || used + columns[i].width <= width || rank == 0)) {
                layout.shown[i] = true;
                used += columns[i].width;
            }
        }
    }
    return layout;
}

/* Figures */

static void put_number(char out[CELL_SIZE], double value, double step, const char *const *units) {
    size_t unit = 0;
    while (value >= 999.5 && units[unit + 1] != NULL) {
        value /= step;
        unit++;
    }
    (void)snprintf(out, CELL_SIZE, "%.*f%s", unit > 0 && value < 99.95 ? 1 : 0, value, units[unit]);
}

static void put_count(char out[CELL_SIZE], double value) {
    static const char *const units[] = { "", "k", "M", "G", "T", NULL };
    put_number(out, value, 1000, units);
}

static void put_rate(char out[CELL_SIZE], double value, bool is_known) {
    if (!is_known) {
        (void)snprintf(out, CELL_SIZE, "-");
    } else if (value < 99.95) {
        (void)snprintf(out, CELL_SIZE, "%.1f", value);
    } else {
        put_count(out, value);
    }
}

static void put_bytes(char out[CELL_SIZE], double value) {
    static const char *const units[] = { "B", "K", "M", "G", "T", NULL };
    put_number(out, value, 1024, units);
}

static void put_time(char out[CELL_SIZE], double seconds) {
    const double us = seconds * 1e6;
    if (seconds < 0) {
        (void)snprintf(out, CELL_SIZE, "-");
    } else if (us < 999.5) {
        (void)snprintf(out, CELL_SIZE, "%.0fus", us);
    } else if (us < 999.5e3) {
        (void)snprintf(out, CELL_SIZE, "%.*fms", us < 99.95e3 ? 1 : 0, us / 1e3);
    } else {
        (void)snprintf(out, CELL_SIZE, "%.1fs", seconds);
    }
}

static void put_cell(char out[CELL_SIZE], const struct nx_top_row *row, enum nx_top_column column,
                     bool knows_rates) {
    switch (column) {
    case NX_TOP_CONDITION:
        (void)snprintf(out, CELL_SIZE, "%.*s", NX_STR_ARG(row->condition));
        break;
    case NX_TOP_CALLS:
        put_rate(out, row->calls_per_s, knows_rates);
        break;
    case NX_TOP_FAILURES:
        put_rate(out, row->failures_per_s, knows_rates);
        break;
    case NX_TOP_P50:
        put_time(out, row->p50_s);
        break;
    case NX_TOP_P99:
        put_time(out, row->p99_s);
        break;
    case NX_TOP_FUEL:
    case NX_TOP_MEMORY: {
        const double value = column == NX_TOP_FUEL ? row->fuel : row->memory;
        if (value < 0) {
            (void)snprintf(out, CELL_SIZE, "-");
        } else if (column == NX_TOP_FUEL) {
            put_count(out, value);
        } else {
            put_bytes(out, value);
        }
        break;
    }
    case NX_TOP_QUEUE:
        put_count(out, (double)row->queue);
        break;
    case NX_TOP_RETRYING:
        put_count(out, (double)row->retrying);
        break;
    case NX_TOP_DEAD:
        put_count(out, (double)row->dead_letters);
        break;
    case NX_TOP_NAME:
    case NX_TOP_COLUMN_COUNT:
        break;
    }
}

/* Lines */

/* One line, cut to the width; the style goes around it and takes no room. */
static void put_line(struct nx_buf *out, const struct nx_top_view *view, const char *style,
                     const char *text) {
    const struct nx_str line =
        nx_str_slice(nx_str_from_c(text), 0, view->width == 0 ? SIZE_MAX : view->width);
    const bool is_styled = view->is_styled && style[0] != '\0';
    nx_buf_append_c(out, is_styled ? style : "");
    nx_buf_append(out, line);
    nx_buf_append_c(out, is_styled ? "\033[0m" : "");
    nx_buf_append_u8(out, '\n');
}

#define STYLE_BOLD "\033[1m"
#define STYLE_DIM "\033[2m"
#define STYLE_RED "\033[31m"
#define STYLE_TITLES "\033[7m"

static void draw_figures(struct nx_buf *out, const struct nx_top_table *table,
                         const struct nx_top_view *view) {
    char line[LINE_SIZE_MAX];
    char events[CELL_SIZE];
    char calls[CELL_SIZE];
    char failures[CELL_SIZE];
    char sync[CELL_SIZE];
    char queue[CELL_SIZE];
    const bool knows_rates = table->seconds > 0;
    (void)snprintf(line, sizeof line, "nexus top  %.*s", NX_STR_ARG(view->where));
    put_line(out, view, STYLE_BOLD, line);
    if (view->trouble.len > 0) {
        (void)snprintf(line, sizeof line, "%.*s", NX_STR_ARG(view->trouble));
        put_line(out, view, STYLE_RED, line);
        return;
    }
    put_rate(events, table->events_per_s, knows_rates);
    put_rate(calls, table->calls_per_s, knows_rates);
    put_rate(failures, table->failures_per_s, knows_rates);
    put_time(sync, table->sync_p99_s);
    put_count(queue, (double)table->queue);
    (void)snprintf(
        line, sizeof line,
        "events %s/s  calls %s/s  failed %s/s  queue %s  sync p99 %s  connections %.0f  functions %zu",
        events, calls, failures, queue, sync, table->connections, table->row_count);
    put_line(out, view, "", line);
}

/* Append a cell at its column's place; the first is left-aligned, the others right. */
static size_t put_at(char *line, size_t used, size_t width, const char *text, bool is_left) {
    const int written =
        is_left ? snprintf(line + used, LINE_SIZE_MAX - used, "%-*.*s", (int)width, (int)width, text)
                : snprintf(line + used, LINE_SIZE_MAX - used, "%*s", (int)width, text);
    return written < 0 ? used : used + (size_t)written;
}

static void draw_titles(struct nx_buf *out, const struct layout *layout, const struct nx_top_view *view) {
    char line[LINE_SIZE_MAX];
    char title[CELL_SIZE];
    size_t used = 0;
    for (int i = 0; i < NX_TOP_COLUMN_COUNT; i++) {
        if (!layout->shown[i]) {
            continue;
        }
        const bool is_sorted = i == (int)view->sorted && view->height > 0;
        (void)snprintf(title, sizeof title, "%s%s", columns[i].title,
                       !is_sorted       ? ""
                       : view->reversed ? "^"
                                        : "*");
        used = i == NX_TOP_NAME ? put_at(line, used, layout->name_width, title, true)
                                : put_at(line, used, columns[i].width, title, false);
    }
    put_line(out, view, STYLE_TITLES, line);
}

static void draw_row(struct nx_buf *out, const struct layout *layout, const struct nx_top_view *view,
                     const struct nx_top_row *row, bool knows_rates) {
    char line[LINE_SIZE_MAX];
    char name[NAME_WIDTH_MAX + 1];
    char cell[CELL_SIZE];
    (void)snprintf(name, sizeof name, "%.*s", NX_STR_ARG(nx_str_slice(row->name, 0, layout->name_width)));
    size_t used = put_at(line, 0, layout->name_width, name, true);
    for (int i = NX_TOP_NAME + 1; i < NX_TOP_COLUMN_COUNT; i++) {
        if (layout->shown[i]) {
            put_cell(cell, row, (enum nx_top_column)i, knows_rates);
            used = put_at(line, used, columns[i].width, cell, false);
        }
    }
    const char *style = view->trouble.len > 0               ? STYLE_DIM
                        : row->failures_per_s > 0           ? STYLE_RED
                        : nx_str_is(row->condition, "held") ? STYLE_RED
                                                            : "";
    put_line(out, view, style, line);
}

static const char *const help[] = {
    "q        end            space  look now           ?     this help",
    "s, S     sort by the next column, by the one before   r  the other way round",
    "n c f p m u w   sort by name, calls, failures, p99, memory, fuel, waiting events",
    "up down  scroll (also k j, page up, page down, home)",
    "",
    "CALLS/S FAIL/S   attempts and failed ones, retries included, since the last look",
    "P50 P99          time of a call, waiting included; estimated, as Prometheus does",
    "FUEL MEMORY      of a call, on average",
    "QUEUE RETRY DEAD events taken in and not done; those that wait for their next",
    "                 attempt; given up since the start (nexus events --dlq)",
};

size_t nx_top_rows_shown(size_t height) {
    return height > LINES_AROUND ? height - LINES_AROUND : 1;
}

void nx_top_draw(struct nx_buf *out, const struct nx_top_table *table, const struct nx_top_view *view) {
    const struct layout layout = layout_of(table, view->width);
    const size_t begun = out->len;
    size_t room = view->height == 0 ? SIZE_MAX : nx_top_rows_shown(view->height);
    draw_figures(out, table, view);
    nx_buf_append_u8(out, '\n');
    if (view->is_help) {
        for (size_t i = 0; i < sizeof help / sizeof help[0] && i < room + 1; i++) {
            put_line(out, view, "", help[i]);
        }
    } else {
        draw_titles(out, &layout, view);
        for (size_t i = view->first; i < table->row_count && room > 0; i++, room--) {
            draw_row(out, &layout, view, &table->rows[i], table->seconds > 0);
        }
        if (table->row_count == 0) {
            put_line(out, view, STYLE_DIM, "no functions: nexus.yaml names none");
        }
    }
    if (view->height == 0 || nx_buf_failed(out)) {
        return;
    }
    size_t lines = 1;
    for (size_t i = begun; i < out->len; i++) {
        lines += out->ptr[i] == '\n';
        if (lines > view->height) { /* a terminal so low that not even the titles have room */
            nx_buf_truncate(out, i);
            return;
        }
    }
    for (; lines < view->height; lines++) {
        nx_buf_append_u8(out, '\n');
    }
    put_line(out, view, STYLE_DIM, "q quit  s sort  r reverse  ? help");
    nx_buf_truncate(out, out->len - 1);
}
