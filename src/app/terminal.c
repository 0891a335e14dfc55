/* src/app/terminal.c */
#include "app/terminal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BAR_CELLS = 30 };

bool nx_terminal_is(FILE *out) {
    return isatty(fileno(out)) == 1;
}

static bool wants_colour(FILE *out) {
    const char *no_colour = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    return nx_terminal_is(out) && (no_colour == NULL || no_colour[0] == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

const char *nx_terminal_colour(FILE *out, enum nx_colour colour) {
    static const char *const codes[] = { [NX_COLOUR_RED] = "\033[31m",
                                         [NX_COLOUR_GREEN] = "\033[32m",
                                         [NX_COLOUR_YELLOW] = "\033[33m",
                                         [NX_COLOUR_CYAN] = "\033[36m",
                                         [NX_COLOUR_DIM] = "\033[2m" };
    return wants_colour(out) ? codes[colour] : "";
}

const char *nx_terminal_plain(FILE *out) {
    return wants_colour(out) ? "\033[0m" : "";
}

void nx_terminal_progress(const char *what, uint64_t done, uint64_t total) {
    char bar[BAR_CELLS + 1];

    if (!nx_terminal_is(stderr)) {
        return;
    }
    if (done >= total) {
        (void)fputs("\r\033[K", stderr);
        return;
    }
    const size_t filled = (size_t)((double)done / (double)total * BAR_CELLS);
    memset(bar, '.', BAR_CELLS);
    memset(bar, '#', filled > BAR_CELLS ? BAR_CELLS : filled);
    bar[BAR_CELLS] = '\0';
    (void)fprintf(stderr, "\r\033[K%s [%s] %" PRIu64 "/%" PRIu64, what, bar, done, total);
    (void)fflush(stderr);
}
