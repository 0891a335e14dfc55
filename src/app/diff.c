/* src/app/diff.c: the longest common subsequence of the lines, by the table; texts too long for it have none.
 */
#include "app/diff.h"

#include <stdlib.h>

enum { LINES_MAX = 2000, CONTEXT = 2 };

struct lines {
    struct nx_str items[LINES_MAX];
    size_t count;
};

/* False: there are too many. */
static bool split(struct nx_str text, struct lines *lines) {
    struct nx_str line;
    lines->count = 0;
    while (text.len > 0 && nx_str_split(&text, '\n', &line)) {
        if (lines->count == LINES_MAX) {
            return false;
        }
        lines->items[lines->count++] = line;
    }
    return true;
}

static void append_line(struct nx_buf *out, const struct nx_diff_options *options, const char *mark,
                        struct nx_str line, const char *end) {
    nx_buf_append_c(out, options->indent);
    nx_buf_append_c(out, mark);
    nx_buf_append(out, line);
    nx_buf_append_c(out, end);
    nx_buf_append_c(out, "\n");
}

static void append_all(struct nx_buf *out, const struct nx_diff_options *options, const char *mark,
                       struct nx_str text) {
    struct nx_str line;
    while (text.len > 0 && nx_str_split(&text, '\n', &line)) {
        append_line(out, options, mark, line, options->end);
    }
}

/* A step of the way through both texts. */
struct step {
    char kind; /* ' ', '-' or '+' */
    struct nx_str line;
};

static uint16_t *at(uint16_t *table, const struct lines *after, size_t i, size_t k) {
    return &table[i * (after->count + 1) + k];
}

static void fill(uint16_t *table, const struct lines *before, const struct lines *after) {
    for (size_t i = before->count; i-- > 0;) {
        for (size_t k = after->count; k-- > 0;) {
            const uint16_t down = *at(table, after, i + 1, k);
            const uint16_t right = *at(table, after, i, k + 1);
            *at(table, after, i, k) = nx_str_equal(before->items[i], after->items[k])
                                          ? (uint16_t)(*at(table, after, i + 1, k + 1) + 1)
                                      : down > right ? down
                                                     : right;
        }
    }
}

static size_t walk(uint16_t *table, const struct lines *before, const struct lines *after,
                   struct step *steps) {
    size_t count = 0;
    size_t i = 0;
    size_t k = 0;
    while (i < before->count || k < after->count) {
        if (i < before->count && k < after->count && nx_str_equal(before->items[i], after->items[k])) {
            steps[count++] = (struct step){ .kind = ' ', .line = before->items[i++] };
            k++;
        } else if (k == after->count ||
                   (i < before->count && *at(table, after, i + 1, k) >= *at(table, after, i, k + 1))) {
            steps[count++] = (struct step){ .kind = '-', .line = before->items[i++] };
        } else {
            steps[count++] = (struct step){ .kind = '+', .line = after->items[k++] };
        }
    }
    return count;
}

/* Whether a line that differs is at most CONTEXT away. */
static bool is_near(const struct step *steps, size_t count, size_t index) {
    const size_t from = index < CONTEXT ? 0 : index - CONTEXT;
    for (size_t i = from; i < count && i <= index + CONTEXT; i++) {
        if (steps[i].kind != ' ') {
            return true;
        }
    }
    return false;
}

static void append_steps(struct nx_buf *out, const struct nx_diff_options *options, const struct step *steps,
                         size_t count) {
    bool was_left_out = false;
    for (size_t i = 0; i < count; i++) {
        const struct step *step = &steps[i];
        if (!is_near(steps, count, i)) {
            if (!was_left_out) {
                append_line(out, options, "  ", NX_STR("…"), "");
            }
            was_left_out = true;
            continue;
        }
        was_left_out = false;
        append_line(out, options,
                    step->kind == '-'   ? options->removed
                    : step->kind == '+' ? options->added
                                        : "  ",
                    step->line, step->kind == ' ' ? "" : options->end);
    }
}

void nx_diff_append(struct nx_buf *out, struct nx_str before, struct nx_str after,
                    const struct nx_diff_options *options) {
    struct lines *lines = calloc(2, sizeof *lines);
    uint16_t *table = NULL;
    struct step *steps = NULL;
    if (lines != NULL && split(before, &lines[0]) && split(after, &lines[1])) {
        table = calloc((lines[0].count + 1) * (lines[1].count + 1), sizeof *table);
        steps = calloc(lines[0].count + lines[1].count + 1, sizeof *steps);
    }
    if (table != NULL && steps != NULL) {
        fill(table, &lines[0], &lines[1]);
        append_steps(out, options, steps, walk(table, &lines[0], &lines[1], steps));
    } else {
        append_all(out, options, options->removed, before);
        append_all(out, options, options->added, after);
    }
    free(steps);
    free(table);
    free(lines);
}
