#include "codec/word.h"

enum { WORD_LEN_MAX = 64 }; /* bytes; longer ones are near to nothing */

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Optimal string alignment distance, three rows at a time. */
static size_t distance(struct nx_str a, struct nx_str b) {
    size_t rows[3][WORD_LEN_MAX + 1];
    for (size_t j = 0; j <= b.len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        const size_t *two_above = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            const char ca = lower(a.ptr[i - 1]);
            const char cb = lower(b.ptr[j - 1]);
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + (ca == cb ? 0 : 1));
            if (i > 1 && j > 1 && ca == lower(b.ptr[j - 2]) && lower(a.ptr[i - 2]) == cb) {
                row[j] = least(row[j], two_above[j - 2] + 1);
            }
        }
    }
    return rows[a.len % 3][b.len];
}

const char *nx_word_nearest(struct nx_str word, const char *const *candidates, size_t count) {
    const char *nearest = NULL;
    size_t nearest_distance = SIZE_MAX;
    if (word.len == 0 || word.len > WORD_LEN_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const struct nx_str candidate = nx_str_from_c(candidates[i]);
        if (candidate.len > WORD_LEN_MAX) {
            continue;
        }
        const size_t longer = candidate.len > word.len ? candidate.len : word.len;
        const size_t allowed = longer / 3 == 0 ? 1 : longer / 3;
        const size_t needed = distance(word, candidate);
        if (needed <= allowed && needed < nearest_distance) {
            nearest = candidates[i];
            nearest_distance = needed;
        }
    }
    return nearest;
}
