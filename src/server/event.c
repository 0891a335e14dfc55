#include "server/event.h"

#include "codec/base64.h"

enum { PERSON_TEXT_SIZE_MAX = NX_RECORD_SIZE_MAX };

/* Where nexus.yaml has a rule for the event's type, and the event something at that place. */
static enum nx_status find_person_by_rule(const struct nx_registry *registry,
                                          const struct nx_cloudevent *event, struct nx_str subject,
                                          struct nx_buf *text, struct nx_str *person_out,
                                          struct nx_error *err) {
    const struct nx_str path = registry == NULL ? NX_STR_EMPTY : nx_registry_person_path(registry, subject);
    if (path.len == 0 || !nx_cloudevent_lookup(text, event, path) || text->len == 0) {
        return NX_OK;
    }
    NX_TRY(nx_buf_check(text, err));
    *person_out = nx_buf_str(text);
    const enum nx_status status = nx_person_check(*person_out, err);
    return status == NX_OK ? NX_OK : nx_wrap(err, status, "'%.*s', which names a person", NX_STR_ARG(path));
}

/* The person whom the event is about; empty: nobody. Borrowed from the event or `text`. */
static enum nx_status find_person(const struct nx_registry *registry, const struct nx_cloudevent *event,
                                  struct nx_str subject, struct nx_buf *text, struct nx_str *person_out,
                                  struct nx_error *err) {
    *person_out = NX_STR_EMPTY;
    for (size_t i = 0; i < event->extension_count; i++) {
        if (nx_str_equal(event->extensions[i].name, NX_PERSON_ATTRIBUTE)) {
            const enum nx_status status = nx_person_check(event->extensions[i].value, err);
            *person_out = event->extensions[i].value;
            return status == NX_OK ? NX_OK : nx_wrap(err, status, "attribute 'personkey'");
        }
    }
    return find_person_by_rule(registry, event, subject, text, person_out, err);
}

static enum nx_status add(struct nx_append *append, const struct nx_cloudevent *event, bool id_is_clients,
                          const struct nx_registry *registry, struct nx_event_scratch scratch,
                          struct nx_error *err) {
    struct nx_str person;
    NX_AUTO(nx_buf) person_text;
    nx_buf_init(&person_text, PERSON_TEXT_SIZE_MAX);
    NX_TRY(nx_cloudevent_check(event, err));
    NX_TRY(nx_cloudevent_to_headers(event, scratch.headers, err));
    nx_cloudevent_subject(scratch.text, event->type);
    const size_t subject_size = scratch.text->len;
    if (id_is_clients) {
        nx_cloudevent_dedup_key(scratch.text, event->source, event->id);
    }
    NX_TRY(nx_buf_check(scratch.text, err));
    const struct nx_str both = nx_buf_str(scratch.text);
    const struct nx_str subject = nx_str_slice(both, 0, subject_size);
    NX_TRY(find_person(registry, event, subject, &person_text, &person, err));
    const struct nx_append_entry entry = {
        .stream = NX_STR("EVENTS"),
        .subject = subject,
        .headers = nx_buf_str(scratch.headers),
        .payload = event->data,
        .dedup_key = nx_str_slice(both, subject_size, both.len),
        .person = person,
    };
    return nx_append_add(append, &entry, err);
}

enum nx_status nx_event_add(struct nx_append *append, const struct nx_cloudevent *event, bool id_is_clients,
                            const struct nx_registry *registry, struct nx_event_scratch scratch,
                            struct nx_error *err) {
    const enum nx_status status = add(append, event, id_is_clients, registry, scratch, err);
    nx_buf_reset(scratch.headers);
    nx_buf_reset(scratch.text);
    return status;
}

void nx_event_complete(struct nx_cloudevent *event, const struct nx_random *random,
                       struct nx_ulid_generator *ulids, int64_t now_ns, char id_out[NX_ULID_TEXT_SIZE + 1],
                       char time_out[NX_TIME_TEXT_SIZE + 1]) {
    uint8_t bytes[NX_ULID_RANDOM_SIZE];
    nx_random_fill(random, bytes, sizeof bytes);
    const struct nx_ulid ulid = nx_ulid_next(ulids, now_ns, bytes);
    event->id = nx_ulid_format(&ulid, id_out);
    event->time = nx_time_format(now_ns, NX_TIME_MILLISECONDS, time_out);
    event->has_data = event->data.len > 0;
}

void nx_event_write_body(struct nx_json_writer *writer, struct nx_str body, bool is_json) {
    if (body.len == 0) {
        nx_json_key(writer, NX_STR("body"));
        nx_json_null(writer);
    } else if (is_json) {
        nx_json_key(writer, NX_STR("body"));
        nx_json_raw(writer, body);
    } else if (nx_str_is_utf8(body)) {
        nx_json_member_str(writer, "body", body);
    } else {
        NX_AUTO(nx_buf) text;
        nx_buf_init(&text, NX_EVENT_DATA_SIZE_MAX);
        nx_base64_encode(&text, NX_BASE64_STANDARD, body);
        nx_json_member_str(writer, "body_base64", nx_buf_str(&text));
    }
}
