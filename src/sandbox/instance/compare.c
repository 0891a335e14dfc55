/* src/sandbox/instance/compare.c: is what a replay gave what was recorded? The first difference, with its
 * place. */
#include <stdarg.h>
#include <stdio.h>

#include "sandbox/instance/call.h"

static bool differ(struct nx_call_difference *difference, enum nx_call_part part, uint64_t index,
                   uint64_t offset, const char *format, ...) NX_PRINTF(5, 6);

static bool differ(struct nx_call_difference *difference, enum nx_call_part part, uint64_t index,
                   uint64_t offset, const char *format, ...) {
    va_list args;
    va_start(args, format);
    difference->part = part;
    difference->index = index;
    difference->offset = offset;
    (void)vsnprintf(difference->message, sizeof difference->message, format, args);
    va_end(args);
    return false;
}

static size_t first_difference(struct nx_str a, struct nx_str b) {
    size_t at = 0;
    while (at < a.len && at < b.len && a.ptr[at] == b.ptr[at]) {
        at++;
    }
    return at;
}

/* One string of the `index`-th element of a part. */
static bool compare_text(struct nx_call_difference *difference, enum nx_call_part part, const char *name,
                         uint64_t index, struct nx_str recorded, struct nx_str replayed) {
    if (nx_str_equal(recorded, replayed)) {
        return true;
    }
    const size_t at = first_difference(recorded, replayed);
    return differ(difference, part, index, at, "%s %llu differs at byte %zu (%zu bytes, now %zu)", name,
                  (unsigned long long)index, at, recorded.len, replayed.len);
}

static bool compare_log(const struct nx_call_result *recorded, const struct nx_call_result *replayed,
                        struct nx_call_difference *difference) {
    for (size_t i = 0; i < recorded->log_line_count && i < replayed->log_line_count; i++) {
        const struct nx_call_log_line *a = &recorded->log_lines[i];
        const struct nx_call_log_line *b = &replayed->log_lines[i];
        if (!compare_text(difference, NX_PART_LOG, "log line", i, a->text, b->text) ||
            !compare_text(difference, NX_PART_LOG, "fields of log line", i, a->fields, b->fields)) {
            return false;
        }
        if (a->level != b->level || a->time_ns != b->time_ns) {
            return differ(difference, NX_PART_LOG, i, 0, "log line %zu has another %s", i,
                          a->level != b->level ? "level" : "time");
        }
    }
    if (recorded->log_line_count != replayed->log_line_count) {
        return differ(difference, NX_PART_LOG, replayed->log_line_count, 0, "%zu log lines, now %zu",
                      recorded->log_line_count, replayed->log_line_count);
    }
    return true;
}

static bool compare_effects(const struct nx_call_result *recorded, const struct nx_call_result *replayed,
                            struct nx_call_difference *difference) {
    if (recorded->publish_count != replayed->publish_count) {
        return differ(difference, NX_PART_PUBLISH, replayed->publish_count, 0,
                      "%zu published events, now %zu", recorded->publish_count, replayed->publish_count);
    }
    for (size_t i = 0; i < recorded->publish_count; i++) {
        const struct nx_call_publish *a = &recorded->publishes[i];
        const struct nx_call_publish *b = &replayed->publishes[i];
        if (!compare_text(difference, NX_PART_PUBLISH, "type of published event", i, a->type, b->type) ||
            !compare_text(difference, NX_PART_PUBLISH, "content type of published event", i, a->content_type,
                          b->content_type) ||
            !compare_text(difference, NX_PART_PUBLISH, "data of published event", i, a->data, b->data)) {
            return false;
        }
    }
    if (recorded->kv_write_count != replayed->kv_write_count) {
        return differ(difference, NX_PART_KV_WRITE, replayed->kv_write_count, 0,
                      "%zu key-value writes, now %zu", recorded->kv_write_count, replayed->kv_write_count);
    }
    for (size_t i = 0; i < recorded->kv_write_count; i++) {
        const struct nx_call_kv_write *a = &recorded->kv_writes[i];
        const struct nx_call_kv_write *b = &replayed->kv_writes[i];
        if (!compare_text(difference, NX_PART_KV_WRITE, "key of write", i, a->key, b->key) ||
            !compare_text(difference, NX_PART_KV_WRITE, "value of write", i, a->value, b->value)) {
            return false;
        }
        if (a->deleted != b->deleted) {
            return differ(difference, NX_PART_KV_WRITE, i, 0, "write %zu %s, now it does not", i,
                          a->deleted ? "deletes" : "sets");
        }
    }
    return true;
}

static bool compare_response(const struct nx_call_result *recorded, const struct nx_call_result *replayed,
                             struct nx_call_difference *difference) {
    if (recorded->response.status != replayed->response.status) {
        return differ(difference, NX_PART_RESPONSE, 0, 0, "status %u of the answer, now %u",
                      recorded->response.status, replayed->response.status);
    }
    return compare_text(difference, NX_PART_RESPONSE, "headers of answer", 0, recorded->response.headers,
                        replayed->response.headers);
}

bool nx_call_compare(const struct nx_call_result *recorded, const struct nx_call_result *replayed,
                     struct nx_call_difference *difference_out) {
    if (replayed->outcome == NX_OUTCOME_REPLAY_DIFFERS) {
        return differ(difference_out, NX_PART_TAPE, replayed->differs_at, replayed->differs_at_byte, "%.*s",
                      NX_STR_ARG(replayed->error));
    }
    if (!compare_text(difference_out, NX_PART_OUTPUT, "output", 0, recorded->output, replayed->output) ||
        !compare_log(recorded, replayed, difference_out)) {
        return false;
    }
    if (recorded->outcome != replayed->outcome) {
        return differ(difference_out, NX_PART_OUTCOME, 0, 0, "outcome %s, now %s",
                      nx_outcome_name(recorded->outcome), nx_outcome_name(replayed->outcome));
    }
    if (recorded->exit_code != replayed->exit_code) {
        return differ(difference_out, NX_PART_EXIT_CODE, 0, 0, "exit code %d, now %d", recorded->exit_code,
                      replayed->exit_code);
    }
    if (recorded->outcome == NX_OUTCOME_OK && (!compare_effects(recorded, replayed, difference_out) ||
                                               !compare_response(recorded, replayed, difference_out))) {
        return false;
    }
    if (recorded->fuel_used != replayed->fuel_used) {
        return differ(difference_out, NX_PART_FUEL, 0, 0, "%llu units of fuel, now %llu",
                      (unsigned long long)recorded->fuel_used, (unsigned long long)replayed->fuel_used);
    }
    if (recorded->memory_peak != replayed->memory_peak) {
        return differ(difference_out, NX_PART_MEMORY, 0, 0, "%llu bytes of memory, now %llu",
                      (unsigned long long)recorded->memory_peak, (unsigned long long)replayed->memory_peak);
    }
    return true;
}
