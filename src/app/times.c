/* src/app/times.c */
#include "app/times.h"

#include <stdio.h>

#include "codec/time_format.h"

enum nx_status nx_time_flag(struct nx_args *args, const char *flag, int64_t now_wall_ns, int64_t *wall_ns_out,
                            struct nx_error *err) {
    const char *text = nx_args_value(args, flag);
    char with_midnight[32];
    int64_t ago_ns;

    if (text == NULL) {
        return NX_OK;
    }
    (void)snprintf(with_midnight, sizeof with_midnight, "%.10sT00:00:00Z", text);
    if (nx_duration_parse(nx_str_from_c(text), &ago_ns, NULL) == NX_OK) {
        *wall_ns_out = now_wall_ns - ago_ns;
    } else if (!nx_time_parse(nx_str_from_c(text), wall_ns_out) &&
               !(nx_str_from_c(text).len == 10 && nx_time_parse(nx_str_from_c(with_midnight), wall_ns_out))) {
        return nx_args_fail(
            args, err, "--%s is a time such as 2025-11-26T10:23:45Z, or how long ago, such as 5m; not '%s'",
            flag, text);
    }
    return NX_OK;
}
