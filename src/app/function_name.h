/* src/app/function_name.h: a function that a person names: it is there, or the nearest right one is told. */
#pragma once

#include "app/source.h"

/** Check the value of a flag, such as "--function", or NULL where it was not given. A function is there when
 * nexus.yaml or the server names it, or something in the log is of it.
 * Errors: NX_NOT_FOUND (with the nearest, or all, as a hint); and as nx_pages_next() */
NX_MUST_CHECK enum nx_status nx_function_name_check(const char *flag, const char *name,
                                                    struct nx_source *source, struct nx_error *err);
/** As nx_function_name_check(), of --function, for what nexus.yaml alone decides. */
NX_MUST_CHECK enum nx_status nx_function_name_check_config(const char *name, const struct nx_config *config,
                                                           struct nx_error *err);
