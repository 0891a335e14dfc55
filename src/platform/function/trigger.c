#include "platform/function/trigger.h"

#include "codec/event_filter.h"

void nx_trigger_describe(struct nx_buf *out, const struct nx_trigger *trigger) {
    switch (trigger->kind) {
    case NX_TRIGGER_HTTP:
        nx_buf_append_format(out, "%.*s %.*s", NX_STR_ARG(trigger->method), NX_STR_ARG(trigger->path));
        break;
    case NX_TRIGGER_EVENT:
        nx_buf_append_format(out, "%sevents of type %.*s", trigger->filter == NULL ? "" : "filtered ",
                             NX_STR_ARG(trigger->event_type));
        break;
    case NX_TRIGGER_NATS:
        nx_buf_append_format(out, "messages to %.*s", NX_STR_ARG(trigger->subject));
        if (trigger->queue.len > 0) {
            nx_buf_append_format(out, " (queue %.*s)", NX_STR_ARG(trigger->queue));
        }
        break;
    }
}

static void write_trigger(struct nx_json_writer *writer, const struct nx_trigger *trigger) {
    nx_json_object_begin(writer);
    if (trigger->kind == NX_TRIGGER_HTTP) {
        nx_json_member_str(writer, "method", trigger->method);
        nx_json_member_str(writer, "path", trigger->path);
    }
    if (trigger->kind == NX_TRIGGER_NATS) {
        nx_json_member_str(writer, "subject", trigger->subject);
        if (trigger->queue.len > 0) {
            nx_json_member_str(writer, "queue", trigger->queue);
        }
    }
    if (trigger->respond != NX_RESPOND_PUBLISHED) {
        nx_json_member_c(writer, "respond", nx_respond_name(trigger->respond));
    }
    nx_json_member_str(writer, "type", trigger->event_type);
    if (trigger->filter != NULL) {
        nx_json_key(writer, NX_STR("filter"));
        nx_event_filter_write(writer, trigger->filter);
    }
    nx_json_object_end(writer);
}

void nx_triggers_write(struct nx_json_writer *writer, const struct nx_function *function) {
    nx_json_key(writer, NX_STR("on"));
    nx_json_array_begin(writer);
    for (size_t i = 0; i < function->trigger_count; i++) {
        write_trigger(writer, &function->triggers[i]);
    }
    nx_json_array_end(writer);
}
