/* src/server/http/replay_json.c: see replay_json.h. */
#include "server/http/replay_json.h"

#include "codec/hex.h"
#include "server/http/invocation_json.h"
#include "server/http/page.h"

static void write_difference(struct nx_json_writer *writer, const struct nx_replay_difference *difference) {
    nx_json_key(writer, NX_STR("difference"));
    nx_json_object_begin(writer);
    nx_json_member_str(writer, "what", difference->what);
    nx_json_member_u64(writer, "offset", difference->offset);
    nx_http_member_bytes(writer, "recorded", difference->recorded);
    nx_http_member_bytes(writer, "replayed", difference->replayed);
    nx_json_object_end(writer);
}

static void write_item(struct nx_json_writer *writer, const struct nx_replay_item *item) {
    char trace[2 * NX_TRACE_ID_SIZE];
    nx_json_object_begin(writer);
    nx_json_member_c(writer, "verdict", nx_replay_verdict_name(item->verdict));
    nx_json_member_bool(writer, "is_replay", true);
    nx_http_member_reference(writer, "invocation", NX_STR("INVOCATIONS"), item->invocation);
    nx_http_member_reference(writer, "event", NX_STR("EVENTS"), item->event_sequence);
    nx_json_member_str(writer, "event_id", item->event_id);
    nx_json_member_str(writer, "function", item->function);
    nx_json_member_u64(writer, "attempt", item->attempt);
    nx_json_member_c(writer, "outcome", nx_outcome_name(item->outcome));
    nx_http_member_time(writer, "original_timestamp", item->original_time_ns);
    nx_hex_write(trace, item->trace_id, sizeof item->trace_id);
    nx_json_member_str(writer, "trace_id", nx_str_of(trace, sizeof trace));
    nx_json_member_u64(writer, "duration_ns", item->duration_ns);
    nx_json_member_u64(writer, "fuel", item->fuel);
    nx_http_member_bytes(writer, "output", item->output);
    nx_http_write_log_lines(writer, item->log_lines, item->log_line_count);
    nx_json_member_bool(writer, "module_is_current", item->module_is_current);
    if (item->verdict == NX_REPLAY_DIFFERENT) {
        write_difference(writer, &item->difference);
    }
    if (item->error.len > 0) {
        nx_json_member_str(writer, "error", item->error);
    }
    if (item->live_invocation != 0) {
        nx_http_member_reference(writer, "live_invocation", NX_STR("INVOCATIONS"), item->live_invocation);
    }
    nx_json_object_end(writer);
}

/* Comparing: {"output": {"count": 3, "invocation": "INVOCATIONS:5", "event": …, "difference": {…}}} */
static void write_shapes(struct nx_json_writer *writer, const struct nx_replay_report *report) {
    bool has_any = false;
    for (unsigned i = 0; i < NX_REPLAY_SHAPE_COUNT; i++) {
        const struct nx_replay_group *group = &report->groups[i];
        if (group->count == 0) {
            continue;
        }
        if (!has_any) {
            nx_json_key(writer, NX_STR("shapes"));
            nx_json_object_begin(writer);
            has_any = true;
        }
        nx_json_key(writer, nx_str_from_c(nx_replay_shape_name((enum nx_replay_shape)i)));
        nx_json_object_begin(writer);
        nx_json_member_u64(writer, "count", group->count);
        nx_http_member_reference(writer, "invocation", NX_STR("INVOCATIONS"), group->invocation);
        nx_http_member_reference(writer, "event", NX_STR("EVENTS"), group->event_sequence);
        write_difference(writer, &group->example);
        nx_json_object_end(writer);
    }
    if (has_any) {
        nx_json_object_end(writer);
    }
}

void nx_http_write_replay(struct nx_json_writer *writer, const struct nx_replay_report *report) {
    nx_json_object_begin(writer);
    nx_json_member_bool(writer, "identical", nx_replay_report_is_proof(report));
    nx_json_member_u64(writer, "total", report->total);
    nx_json_key(writer, NX_STR("counts"));
    nx_json_object_begin(writer);
    for (int verdict = 0; verdict < NX_REPLAY_VERDICT_COUNT; verdict++) {
        nx_json_member_u64(writer, nx_replay_verdict_name((enum nx_replay_verdict)verdict),
                           report->counts[verdict]);
    }
    nx_json_object_end(writer);
    nx_json_member_u64(writer, "elapsed_ns", report->elapsed_ns);
    write_shapes(writer, report);
    if (report->lost_count > 0) {
        nx_json_member_u64(writer, "lost", report->lost_count);
    }
    nx_json_key(writer, NX_STR("replays"));
    nx_json_array_begin(writer);
    for (size_t i = 0; i < report->item_count; i++) {
        write_item(writer, &report->items[i]);
    }
    nx_json_array_end(writer);
    nx_json_object_end(writer);
}
