#include <inttypes.h>
#include <stdio.h>

#include "storage/run/run.h"

static const char name_prefix[] = "runs-";
enum { NUMBER_DIGITS = 16 };

enum nx_status nx_run_path(const char *directory, uint64_t first_segment, uint64_t last_segment,
                           char path_out[NX_PATH_SIZE_MAX], struct nx_error *err) {
    const int len = snprintf(path_out, NX_PATH_SIZE_MAX, "%s/%s%016" PRIx64 "-%016" PRIx64, directory,
                             name_prefix, first_segment, last_segment);
    return len > 0 && len < NX_PATH_SIZE_MAX
               ? NX_OK
               : nx_fail(err, NX_INVALID_ARGUMENT, "the path of the journal is too long");
}

static bool parse_hex(struct nx_str digits, uint64_t *number_out) {
    uint64_t number = 0;
    for (size_t i = 0; i < digits.len; i++) {
        const char c = digits.ptr[i];
        if (c >= '0' && c <= '9') {
            number = number << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            number = number << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    *number_out = number;
    return true;
}

bool nx_run_name_parse(struct nx_str name, uint64_t *first_out, uint64_t *last_out) {
    const size_t prefix_len = sizeof name_prefix - 1;
    if (name.len != prefix_len + 2 * NUMBER_DIGITS + 1 || name.ptr[prefix_len + NUMBER_DIGITS] != '-' ||
        !nx_str_starts_with(name, nx_str_of(name_prefix, prefix_len))) {
        return false;
    }
    return parse_hex(nx_str_slice(name, prefix_len, prefix_len + NUMBER_DIGITS), first_out) &&
           parse_hex(nx_str_slice(name, prefix_len + NUMBER_DIGITS + 1, name.len), last_out) &&
           *first_out > 0 && *first_out <= *last_out;
}
