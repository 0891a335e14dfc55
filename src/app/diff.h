/* src/app/diff.h: two texts line by line, for people. Pure functions. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

struct nx_diff_options {
    const char *indent;  /* in front of each line */
    const char *removed; /* in front of a line of `before` alone: "- ", with a colour or not */
    const char *added;   /* of `after` alone */
    const char *end;     /* behind both, to end the colour */
};

/** Append the lines that differ and up to two equal ones around them; "…" where equal ones are left out. Very
 * long differences are shown as all the one, then all the other. */
void nx_diff_append(struct nx_buf *out, struct nx_str before, struct nx_str after,
                    const struct nx_diff_options *options);
