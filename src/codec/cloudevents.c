/* src/codec/cloudevents.c: an event as JSON, as headers, and by path. */
#include "codec/cloudevents.h"

#include "codec/base64.h"
#include "codec/percent.h"

enum { LOOKUP_MEMORY_PER_BYTE = 16, LOOKUP_MEMORY_MIN = 4096 };

void nx_cloudevent_init(struct nx_cloudevent *event) {
    event->id = event->source = event->type = event->subject = event->time = NX_STR_EMPTY;
    event->datacontenttype = event->dataschema = NX_STR_EMPTY;
    event->traceparent = event->tracestate = event->baggage = event->data = NX_STR_EMPTY;
    event->extension_count = 0;
    event->has_data = false;
}

static void write_attribute(struct nx_json_writer *writer, const char *name, struct nx_str value) {
    if (value.len > 0) {
        nx_json_member_str(writer, name, value);
    }
}

/* By what the bytes are, not only by what they are called: a consumer must be able to parse the whole. */
static void write_data(struct nx_json_writer *writer, const struct nx_cloudevent *event) {
    const bool may_be_json =
        event->datacontenttype.len == 0 || nx_cloudevent_is_json_type(event->datacontenttype);
    if (may_be_json && nx_json_is_valid(event->data)) {
        nx_json_key(writer, NX_STR("data"));
        nx_json_raw(writer, event->data);
    } else if (nx_str_is_utf8(event->data)) {
        nx_json_member_str(writer, "data", event->data);
    } else {
        nx_json_key(writer, NX_STR("data_base64"));
        nx_json_raw(writer, NX_STR("\""));
        nx_base64_encode(writer->out, NX_BASE64_STANDARD, event->data);
        nx_buf_append(writer->out, NX_STR("\""));
    }
}

void nx_cloudevent_write(struct nx_json_writer *writer, const struct nx_cloudevent *event) {
    nx_json_object_begin(writer);
    nx_json_member_str(writer, "specversion", NX_STR("1.0"));
    nx_json_member_str(writer, "id", event->id);
    nx_json_member_str(writer, "source", event->source);
    nx_json_member_str(writer, "type", event->type);
    write_attribute(writer, "subject", event->subject);
    write_attribute(writer, "time", event->time);
    write_attribute(writer, "datacontenttype", event->datacontenttype);
    write_attribute(writer, "dataschema", event->dataschema);
    write_attribute(writer, "traceparent", event->traceparent);
    write_attribute(writer, "tracestate", event->tracestate);
    for (size_t i = 0; i < event->extension_count; i++) {
        nx_json_key(writer, event->extensions[i].name);
        nx_json_string(writer, event->extensions[i].value);
    }
    if (event->has_data) {
        write_data(writer, event);
    }
    nx_json_object_end(writer);
}

void nx_cloudevent_to_json(struct nx_buf *out, const struct nx_cloudevent *event) {
    struct nx_json_writer writer;
    nx_json_writer_init(&writer, out);
    nx_cloudevent_write(&writer, event);
    nx_json_writer_end(&writer);
}

/* "ce-<name>: <value, encoded>"; absent when empty. */
static void append_attribute(struct nx_buf *block, struct nx_str name, struct nx_str value) {
    if (value.len > 0) {
        nx_buf_append(block, NX_STR("ce-"));
        nx_buf_append(block, name);
        nx_buf_append(block, NX_STR(": "));
        nx_percent_encode_header(block, value);
        nx_buf_append(block, NX_STR("\r\n"));
    }
}

static enum nx_status append_plain(struct nx_buf *block, struct nx_str name, struct nx_str value,
                                   struct nx_error *err) {
    return value.len == 0 ? NX_OK : nx_headers_append(block, name, value, err);
}

enum nx_status nx_cloudevent_to_headers(const struct nx_cloudevent *event, struct nx_buf *block,
                                        struct nx_error *err) {
    append_attribute(block, NX_STR("specversion"), NX_STR("1.0"));
    append_attribute(block, NX_STR("id"), event->id);
    append_attribute(block, NX_STR("source"), event->source);
    append_attribute(block, NX_STR("type"), event->type);
    append_attribute(block, NX_STR("subject"), event->subject);
    append_attribute(block, NX_STR("time"), event->time);
    append_attribute(block, NX_STR("dataschema"), event->dataschema);
    for (size_t i = 0; i < event->extension_count; i++) {
        append_attribute(block, event->extensions[i].name, event->extensions[i].value);
    }
    NX_TRY(append_plain(block, NX_STR("content-type"), event->datacontenttype, err));
    NX_TRY(append_plain(block, NX_STR("traceparent"), event->traceparent, err));
    NX_TRY(append_plain(block, NX_STR("tracestate"), event->tracestate, err));
    NX_TRY(append_plain(block, NX_STR("baggage"), event->baggage, err));
    NX_TRY(nx_buf_check(block, err));
    if (block->len > NX_HEADERS_BLOCK_SIZE_MAX) {
        return nx_fail_kind(err, NX_KIND_HEADERS_TOO_LARGE,
                            "the event's attributes exceed the limit of %d bytes", NX_HEADERS_BLOCK_SIZE_MAX);
    }
    return NX_OK;
}

void nx_cloudevent_subject(struct nx_buf *out, struct nx_str type) {
    nx_buf_append(out, NX_STR("events."));
    nx_percent_encode_subject(out, type);
}

void nx_cloudevent_subject_filter(struct nx_buf *out, struct nx_str type) {
    if (nx_str_find_byte(type, '*') == SIZE_MAX && nx_str_find_byte(type, '>') == SIZE_MAX) {
        nx_cloudevent_subject(out, type);
        return;
    }
    nx_buf_append(out, NX_STR("events."));
    nx_buf_append(out, type);
}

void nx_cloudevent_dedup_key(struct nx_buf *out, struct nx_str source, struct nx_str id) {
    nx_buf_append_varint_bytes(out, source);
    nx_buf_append(out, id);
}

/* `path` is what stands behind "data."; empty for the data itself. */
static bool lookup_data(struct nx_buf *out, const struct nx_cloudevent *event, struct nx_str path) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    if (event->datacontenttype.len > 0 && !nx_cloudevent_is_json_type(event->datacontenttype)) {
        return false;
    }
    const size_t memory_max = event->data.len * LOOKUP_MEMORY_PER_BYTE + LOOKUP_MEMORY_MIN;
    if (nx_json_parse(event->data, memory_max, &doc, NULL) != NX_OK) {
        return false;
    }
    const struct nx_json_value *value = nx_json_root(doc);
    return nx_json_scalar_text(out, path.len == 0 ? value : nx_json_lookup(value, path));
}

bool nx_cloudevent_lookup(struct nx_buf *out, const struct nx_cloudevent *event, struct nx_str path) {
    const struct {
        const char *name;
        struct nx_str value;
    } attributes[] = {
        { "specversion", NX_STR("1.0") },
        { "id", event->id },
        { "source", event->source },
        { "type", event->type },
        { "subject", event->subject },
        { "time", event->time },
        { "datacontenttype", event->datacontenttype },
        { "dataschema", event->dataschema },
        { "traceparent", event->traceparent },
        { "tracestate", event->tracestate },
    };
    if (nx_str_is(path, "data")) {
        return lookup_data(out, event, NX_STR_EMPTY);
    }
    if (nx_str_starts_with(path, NX_STR("data."))) {
        return path.len > 5 && lookup_data(out, event, nx_str_slice(path, 5, path.len));
    }
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        if (nx_str_is(path, attributes[i].name)) {
            nx_buf_append(out, attributes[i].value);
            return attributes[i].value.len > 0;
        }
    }
    for (size_t i = 0; i < event->extension_count; i++) {
        if (nx_str_equal(path, event->extensions[i].name)) {
            nx_buf_append(out, event->extensions[i].value);
            return true;
        }
    }
    return false;
}
