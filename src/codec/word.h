/* src/codec/word.h: the nearest right word, for "did you mean". Pure functions. */
#pragma once

#include <stddef.h>

#include "base/str.h"

/** The candidate with the fewest letters inserted, removed, replaced or swapped with a neighbour, if that is
 * at most a third of the longer word, at least 1; case is ignored. NULL when none is that near. The first of
 * equals wins. */
const char *nx_word_nearest(struct nx_str word, const char *const *candidates, size_t count);
