/* src/app/terminal.h: what is different when a person looks on.
 *
 * Colours and the progress bar appear only on a terminal, and never when NO_COLOR is set or TERM is dumb, so
 * that what a script reads is plain text. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum nx_colour { NX_COLOUR_RED, NX_COLOUR_GREEN, NX_COLOUR_YELLOW, NX_COLOUR_CYAN, NX_COLOUR_DIM };

bool nx_terminal_is(FILE *out);
/** The escape sequence that starts the colour, or "" where colours are not wanted; static storage. */
const char *nx_terminal_colour(FILE *out, enum nx_colour colour);
/** The one that ends it, or "". */
const char *nx_terminal_plain(FILE *out);
/** Draw a progress bar over the current line of standard error; nothing when that is no terminal. At
 * done == total the line is cleared. */
void nx_terminal_progress(const char *what, uint64_t done, uint64_t total);
