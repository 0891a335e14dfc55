#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void nx_assert_failed(const char *condition, const char *file, int line) {
    (void)fprintf(stderr, "nexus: this must hold and does not: %s (%s:%d)\n", condition, file, line);
    (void)fflush(stderr);
    abort();
}
