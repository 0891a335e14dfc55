#include "base/log.h"

static const char *const level_names[] = { "DEBUG", "INFO", "WARN", "ERROR" };

void nx_log_write(const struct nx_log *log, enum nx_log_level level, const char *text,
                  const struct nx_log_field *fields, size_t field_count) {
    if (log == NULL || log->sink == NULL || level < log->level) {
        return;
    }
    const struct nx_log_entry entry = { .level = level,
                                        .component = log->component,
                                        .text = text,
                                        .fields = fields,
                                        .field_count = field_count };
    log->sink(log->sink_data, &entry);
}

const char *nx_log_level_name(enum nx_log_level level) {
    return level_names[level];
}

bool nx_log_level_parse(struct nx_str name, enum nx_log_level *level_out) {
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (nx_str_equal_ignore_case(name, nx_str_from_c(level_names[i]))) {
            *level_out = (enum nx_log_level)i;
            return true;
        }
    }
    return false;
}
