/* src/app/times.h: points in time as people give them on the command line. */
#pragma once

#include <stdint.h>

#include "app/args.h"

/** Read the flag: "5m" or "7d" ago, "2025-11-26T10:23:45Z", or "2025-11-26" (midnight UTC). `*wall_ns_out` is
 * untouched when the flag was not given.
 * Errors: wrong use, as nx_args_fail() */
NX_MUST_CHECK enum nx_status nx_time_flag(struct nx_args *args, const char *flag, int64_t now_wall_ns,
                                          int64_t *wall_ns_out, struct nx_error *err);
/** Read --since and --until, both as nx_time_flag() does; 0 stands for one that was not given.
 * Errors: wrong use; also when the range ends before it begins */
NX_MUST_CHECK enum nx_status nx_time_range(struct nx_args *args, int64_t now_wall_ns, int64_t *since_ns_out,
                                           int64_t *until_ns_out, struct nx_error *err);
