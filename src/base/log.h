/* src/base/log.h: what the server tells its operator: a constant text and typed fields.
 *
 *   nx_log_info(log, "stream opened", NX_F_STR("stream", name), NX_F_U64("first_seq", seq));
 *
 * The log is given its sink, which adds the time and writes the line; it may be called from any thread, so
 * the sink must allow that. Layers from base to storage never log above debug: who handles an error logs it,
 * once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum nx_log_level { NX_LOG_DEBUG, NX_LOG_INFO, NX_LOG_WARN, NX_LOG_ERROR };

enum nx_log_field_kind { NX_F_KIND_STR, NX_F_KIND_U64, NX_F_KIND_I64, NX_F_KIND_BOOL };

struct nx_log_field {
    const char *name;
    enum nx_log_field_kind kind;
    union {
        struct nx_str str;
        uint64_t u64;
        int64_t i64;
        bool boolean;
    } value;
};

#define NX_F_STR(field_name, s) \
    ((struct nx_log_field){ .name = (field_name), .kind = NX_F_KIND_STR, .value.str = (s) })
#define NX_F_C(field_name, text) NX_F_STR(field_name, nx_str_from_c(text))
#define NX_F_U64(field_name, n) \
    ((struct nx_log_field){ .name = (field_name), .kind = NX_F_KIND_U64, .value.u64 = (n) })
#define NX_F_I64(field_name, n) \
    ((struct nx_log_field){ .name = (field_name), .kind = NX_F_KIND_I64, .value.i64 = (n) })

struct nx_log_entry {
    enum nx_log_level level;
    const char *component; /* such as "journal" */
    const char *text;      /* constant */
    const struct nx_log_field *fields;
    size_t field_count;
};

typedef void nx_log_sink(void *sink_data, const struct nx_log_entry *entry);

/* A value, copied freely: one for each component. */
struct nx_log {
    nx_log_sink *sink; /* NULL: nothing is logged */
    void *sink_data;
    const char *component;
    enum nx_log_level level; /* entries below it are dropped */
};

/** Hand one entry to the sink if its level is wanted. `log` may be NULL. */
void nx_log_write(const struct nx_log *log, enum nx_log_level level, const char *text,
                  const struct nx_log_field *fields, size_t field_count);
/** "DEBUG", "INFO", "WARN", "ERROR"; static storage. */
const char *nx_log_level_name(enum nx_log_level level);
/** In any case of letters; false when it is not a level. */
bool nx_log_level_parse(struct nx_str name, enum nx_log_level *level_out);

/* The empty field in front makes the list of fields optional. */
#define NX_LOG_WRITE(log, level, text, ...)                                    \
    do {                                                                       \
        const struct nx_log_field nx_log_fields_[] = { { 0 }, ##__VA_ARGS__ }; \
        nx_log_write(log, level, text, nx_log_fields_ + 1,                     \
                     sizeof nx_log_fields_ / sizeof nx_log_fields_[0] - 1);    \
    } while (0)
#define nx_log_debug(log, text, ...) NX_LOG_WRITE(log, NX_LOG_DEBUG, text, ##__VA_ARGS__)
#define nx_log_info(log, text, ...) NX_LOG_WRITE(log, NX_LOG_INFO, text, ##__VA_ARGS__)
#define nx_log_warn(log, text, ...) NX_LOG_WRITE(log, NX_LOG_WARN, text, ##__VA_ARGS__)
#define nx_log_error(log, text, ...) NX_LOG_WRITE(log, NX_LOG_ERROR, text, ##__VA_ARGS__)
