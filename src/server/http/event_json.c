/* src/server/http/event_json.c: see event_json.h. */
#include "server/http/event_json.h"

#include "codec/cloudevents.h"
#include "codec/headers.h"
#include "server/http/page.h"

void nx_http_write_event(struct nx_json_writer *writer, const struct nx_record *record,
                         struct nx_arena *arena) {
    const struct nx_cloudevent_record stored = nx_record_as_event(record);
    const struct nx_str cause = nx_headers_value(record->headers, "Nexus-Cause");
    struct nx_cloudevent event;
    struct nx_error err = { 0 };
    nx_json_object_begin(writer);
    nx_http_member_reference(writer, "reference", record->stream, record->sequence);
    nx_http_member_time(writer, "stored", record->time_ns);
    if (cause.len > 0) {
        nx_json_member_str(writer, "cause", cause);
    }
    nx_http_member_withheld(writer, record);
    if (nx_cloudevent_from_record(&stored, arena, &event, &err) == NX_OK) {
        nx_json_key(writer, NX_STR("event"));
        nx_cloudevent_write(writer, &event);
    } else {
        nx_json_member_c(writer, "error", err.message);
    }
    nx_json_object_end(writer);
}
