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

enum nx_status nx_time_range(struct nx_args *args, int64_t now_wall_ns, int64_t *since_ns_out,
                             int64_t *until_ns_out, struct nx_error *err) {
    int64_t since_ns = 0;
    int64_t until_ns = 0;

    NX_TRY(nx_time_flag(args, "since", now_wall_ns, &since_ns, err));
    NX_TRY(nx_time_flag(args, "until", now_wall_ns, &until_ns, err));
    if (since_ns != 0 && until_ns != 0 && until_ns <= since_ns) {
        return nx_args_fail(args, err, "--since %s is not before --until %s: the range is empty",
                            nx_args_value(args, "since"), nx_args_value(args, "until"));
    }
    *since_ns_out = since_ns;
    *until_ns_out = until_ns;
    return NX_OK;
}
