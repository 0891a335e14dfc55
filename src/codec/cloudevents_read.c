/* src/codec/cloudevents_read.c: an event out of HTTP headers, out of a record, out of structured JSON. */
#include "codec/cloudevents.h"

#include "codec/base64.h"
#include "codec/percent.h"
#include "codec/time_format.h"
#include "codec/traceparent.h"

/* The attribute's place in the event; NULL for an extension. */
static struct nx_str *find_core(struct nx_cloudevent *event, struct nx_str name) {
    switch (name.len) {
    case 2:
        return nx_str_is(name, "id") ? &event->id : NULL;
    case 4:
        return nx_str_is(name, "type") ? &event->type : nx_str_is(name, "time") ? &event->time : NULL;
    case 6:
        return nx_str_is(name, "source") ? &event->source : NULL;
    case 7:
        return nx_str_is(name, "subject") ? &event->subject : NULL;
    case 10:
        return nx_str_is(name, "dataschema")   ? &event->dataschema
               : nx_str_is(name, "tracestate") ? &event->tracestate
                                               : NULL;
    case 11:
        return nx_str_is(name, "traceparent") ? &event->traceparent : NULL;
    default:
        return NULL;
    }
}

/* Where the value of this attribute goes; NULL when there is no room for another extension. */
static struct nx_str *place_of(struct nx_cloudevent *event, struct nx_str name) {
    struct nx_str *core = find_core(event, name);
    if (core != NULL) {
        return core;
    }
    for (size_t i = 0; i < event->extension_count; i++) {
        if (nx_str_equal(event->extensions[i].name, name)) {
            return &event->extensions[i].value;
        }
    }
    if (event->extension_count == NX_CLOUDEVENT_EXTENSIONS_MAX) {
        return NULL;
    }
    struct nx_cloudevent_extension *extension = &event->extensions[event->extension_count++];
    *extension = (struct nx_cloudevent_extension){ .name = name, .value = NX_STR_EMPTY };
    return &extension->value;
}

/* Of a foreign event: set once, never empty. */
static enum nx_status set_attribute(struct nx_cloudevent *event, struct nx_str name, struct nx_str value,
                                    struct nx_error *err) {
    struct nx_str *place = place_of(event, name);
    if (place == NULL) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "more than %d extension attributes",
                       NX_CLOUDEVENT_EXTENSIONS_MAX);
    }
    if (place->len > 0) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "attribute '%.*s' is given twice", NX_STR_ARG(name));
    }
    if (value.len == 0) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "attribute '%.*s' is empty", NX_STR_ARG(name));
    }
    *place = value;
    return NX_OK;
}

static bool has_ce_prefix(struct nx_str name) {
    return name.len > 3 && (name.ptr[0] | 0x20) == 'c' && (name.ptr[1] | 0x20) == 'e' && name.ptr[2] == '-';
}

/* In lower case; copied only when it is not. */
static enum nx_status lower_name(struct nx_str name, struct nx_arena *arena, struct nx_str *name_out,
                                 struct nx_error *err) {
    size_t i = 0;
    while (i < name.len && !(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z')) {
        i++;
    }
    if (i == name.len) {
        *name_out = name;
        return NX_OK;
    }
    char *lower = nx_arena_alloc(arena, name.len);
    if (lower == NULL) {
        return nx_fail_memory(err);
    }
    for (i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    *name_out = nx_str_of(lower, name.len);
    return NX_OK;
}

/* An HTTP quoted string, which older senders used, without its quotes and backslashes. */
static enum nx_status unquote(struct nx_str value, struct nx_arena *arena, struct nx_str *value_out,
                              struct nx_error *err) {
    if (value.len < 2 || value.ptr[0] != '"' || value.ptr[value.len - 1] != '"') {
        *value_out = value;
        return NX_OK;
    }
    char *plain = nx_arena_alloc(arena, value.len);
    if (plain == NULL) {
        return nx_fail_memory(err);
    }
    size_t len = 0;
    for (size_t i = 1; i + 1 < value.len; i++) {
        if (value.ptr[i] == '\\' && i + 2 < value.len) {
            i++;
        }
        plain[len++] = value.ptr[i];
    }
    *value_out = nx_str_of(plain, len);
    return NX_OK;
}

/* Undo the percent-encoding; the bytes stay where they are when there is none. */
static enum nx_status decode(struct nx_str value, struct nx_arena *arena, struct nx_str *value_out,
                             struct nx_error *err) {
    size_t len = 0;
    size_t problem_at = 0;
    if (nx_percent_is_plain(value)) {
        *value_out = value;
        return NX_OK;
    }
    char *plain = nx_arena_alloc(arena, value.len);
    if (plain == NULL) {
        return nx_fail_memory(err);
    }
    if (!nx_percent_decode_to(plain, value, &len, &problem_at)) {
        return nx_fail(err, NX_INVALID_ARGUMENT,
                       "the percent sign at byte %zu is not followed by two hexadecimal digits", problem_at);
    }
    *value_out = nx_str_of(plain, len);
    return NX_OK;
}

enum nx_status nx_cloudevent_header_value(struct nx_str text, struct nx_arena *arena,
                                          struct nx_str *value_out, struct nx_error *err) {
    struct nx_str value;
    NX_TRY(unquote(nx_str_trim(text), arena, &value, err));
    return decode(value, arena, value_out, err);
}

static enum nx_status read_ce_header(const struct nx_header *header, struct nx_arena *arena,
                                     struct nx_cloudevent *event, struct nx_str *specversion,
                                     struct nx_error *err) {
    struct nx_str name;
    struct nx_str value;
    NX_TRY(lower_name(nx_str_slice(header->name, 3, header->name.len), arena, &name, err));
    NX_TRY(unquote(nx_str_trim(header->value), arena, &value, err));
    const enum nx_status status = decode(value, arena, &value, err);
    if (status != NX_OK) {
        return nx_wrap(err, status, "attribute '%.*s'", NX_STR_ARG(nx_str_slice(name, 0, 64)));
    }
    if (nx_str_is(name, "specversion")) {
        if (specversion->len > 0) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "attribute 'specversion' is given twice");
        }
        *specversion = value;
        return NX_OK;
    }
    if (nx_str_is(name, "datacontenttype")) {
        return nx_fail(err, NX_INVALID_ARGUMENT,
                       "attribute 'datacontenttype' belongs in the header Content-Type");
    }
    return set_attribute(event, name, value, err);
}

static enum nx_status check_specversion(struct nx_str specversion, struct nx_error *err) {
    if (specversion.len == 0) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "attribute 'specversion' is missing or empty");
    }
    if (!nx_str_is(specversion, "1.0")) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "attribute 'specversion' is '%.*s', expected '1.0'",
                       NX_STR_ARG(nx_str_slice(specversion, 0, 32)));
    }
    return NX_OK;
}

/* The headers that are no attributes but travel with the event. The first of a name counts. */
struct plain_headers {
    struct nx_str content_type;
    struct nx_str traceparent;
    struct nx_str tracestate;
    struct nx_str baggage;
};

static void read_plain_header(const struct nx_header *header, struct plain_headers *plain) {
    struct nx_str *place = NULL;
    if (nx_str_equal_ignore_case(header->name, NX_STR("content-type"))) {
        place = &plain->content_type;
    } else if (nx_str_equal_ignore_case(header->name, NX_STR("traceparent"))) {
        place = &plain->traceparent;
    } else if (nx_str_equal_ignore_case(header->name, NX_STR("tracestate"))) {
        place = &plain->tracestate;
    } else if (nx_str_equal_ignore_case(header->name, NX_STR("baggage"))) {
        place = &plain->baggage;
    }
    if (place != NULL && place->len == 0) {
        *place = nx_str_trim(header->value);
    }
}

/* The event's own trace goes before the one of the message that carried it. */
static void adopt_plain(struct nx_cloudevent *event, const struct plain_headers *plain) {
    event->datacontenttype = plain->content_type;
    event->baggage = plain->baggage;
    if (event->traceparent.len == 0) {
        event->traceparent = plain->traceparent;
        event->tracestate = plain->traceparent.len > 0 ? plain->tracestate : NX_STR_EMPTY;
    }
}

/* What a record's plain headers cannot carry is dropped at once, so that the event is the same ever after: a
 * trace state without its trace, which means nothing, and spaces around a header's value. */
static void settle(struct nx_cloudevent *event) {
    event->datacontenttype = nx_str_trim(event->datacontenttype);
    event->tracestate = event->traceparent.len == 0 ? NX_STR_EMPTY : nx_str_trim(event->tracestate);
}

bool nx_cloudevent_is_binary(const struct nx_header *headers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (nx_str_equal_ignore_case(headers[i].name, NX_STR("ce-specversion"))) {
            return true;
        }
    }
    return false;
}

enum nx_status nx_cloudevent_from_http(const struct nx_header *headers, size_t count, struct nx_str body,
                                       struct nx_arena *arena, struct nx_cloudevent *event_out,
                                       struct nx_error *err) {
    struct nx_cloudevent event;
    struct plain_headers plain = { 0 };
    struct nx_str specversion = NX_STR_EMPTY;
    struct nx_traceparent trace;
    nx_cloudevent_init(&event);
    for (size_t i = 0; i < count; i++) {
        if (has_ce_prefix(headers[i].name)) {
            NX_TRY(read_ce_header(&headers[i], arena, &event, &specversion, err));
        } else {
            read_plain_header(&headers[i], &plain);
        }
    }
    NX_TRY(check_specversion(specversion, err));
    /* What a proxy put in front is not the event's fault: an unusable trace is as none. */
    if (!nx_traceparent_parse(plain.traceparent, &trace)) {
        plain.traceparent = NX_STR_EMPTY;
    }
    adopt_plain(&event, &plain);
    event.data = body;
    event.has_data = body.len > 0;
    settle(&event);
    NX_TRY(nx_cloudevent_check(&event, err));
    *event_out = event;
    return NX_OK;
}

/* Of a stored record: whatever cannot be decoded stays as it is. Only memory can be short. */
static enum nx_status read_stored(const struct nx_header *header, struct nx_arena *arena,
                                  struct nx_cloudevent *event, struct nx_error *err) {
    struct nx_str name;
    struct nx_str value;
    NX_TRY(lower_name(nx_str_slice(header->name, 3, header->name.len), arena, &name, err));
    const enum nx_status status = decode(header->value, arena, &value, err);
    if (status == NX_RESOURCE_EXHAUSTED) {
        return status;
    }
    struct nx_str *place = nx_str_is(name, "specversion") ? NULL : place_of(event, name);
    if (place != NULL && place->len == 0) {
        *place = status == NX_OK ? value : header->value;
    }
    return NX_OK;
}

/* The attributes of a record that nobody wrote as an event. */
static enum nx_status derive(const struct nx_cloudevent_record *record, struct nx_arena *arena,
                             struct nx_cloudevent *event, struct nx_error *err) {
    char time[NX_TIME_TEXT_SIZE + 1];
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_CLOUDEVENT_ATTRIBUTE_SIZE_MAX);
    nx_buf_append(&text, record->stream);
    nx_buf_append_format(&text, ":%llu", (unsigned long long)record->sequence);
    event->id = nx_arena_copy(arena, nx_buf_str(&text));
    nx_buf_reset(&text);
    nx_buf_append_c(&text, "/streams/");
    nx_percent_encode_url(&text, record->stream);
    event->source = nx_arena_copy(arena, nx_buf_str(&text));
    event->time = nx_arena_copy(arena, nx_time_format(record->time_ns, NX_TIME_SHORTEST, time));
    if (nx_buf_failed(&text) || event->id.ptr == NULL || event->source.ptr == NULL ||
        event->time.ptr == NULL) {
        return nx_fail_memory(err);
    }
    struct nx_str type = record->subject;
    if (nx_str_starts_with(type, NX_STR("events."))) {
        type = nx_str_slice(type, 7, type.len);
    }
    const enum nx_status status = decode(type, arena, &event->type, err);
    if (status == NX_INVALID_ARGUMENT) {
        event->type = type; /* somebody else's subject: not ours to decode */
        return NX_OK;
    }
    return status;
}

enum nx_status nx_cloudevent_from_record(const struct nx_cloudevent_record *record, struct nx_arena *arena,
                                         struct nx_cloudevent *event_out, struct nx_error *err) {
    struct plain_headers plain = { 0 };
    struct nx_str rest = record->headers;
    struct nx_header header;
    nx_cloudevent_init(event_out);
    while (nx_headers_next(&rest, &header)) {
        if (has_ce_prefix(header.name)) {
            NX_TRY(read_stored(&header, arena, event_out, err));
        } else {
            read_plain_header(&header, &plain);
        }
    }
    adopt_plain(event_out, &plain);
    event_out->data = record->payload;
    event_out->has_data = record->payload.len > 0;
    if (event_out->id.len == 0 || event_out->source.len == 0 || event_out->type.len == 0) {
        event_out->extension_count = 0;
        NX_TRY(derive(record, arena, event_out, err));
    }
    return NX_OK;
}

/* What a string stands for; borrowed when it has no escapes. */
static enum nx_status read_json_string(struct nx_str raw, struct nx_arena *arena, struct nx_str *text_out,
                                       struct nx_error *err) {
    const struct nx_str inside = nx_str_slice(raw, 1, raw.len - 1);
    if (nx_str_find_byte(inside, '\\') == SIZE_MAX) {
        *text_out = inside;
        return NX_OK;
    }
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, inside.len);
    nx_json_unescape(&text, inside);
    NX_TRY(nx_buf_check(&text, err));
    const struct nx_str copy = nx_arena_copy(arena, nx_buf_str(&text));
    if (copy.ptr == NULL) {
        return nx_fail_memory(err);
    }
    *text_out = copy;
    return NX_OK;
}

static enum nx_status read_base64(struct nx_str raw, struct nx_arena *arena, struct nx_cloudevent *event,
                                  struct nx_error *err) {
    struct nx_str text;
    if (raw.ptr[0] != '"') {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'data_base64' is not a string");
    }
    NX_TRY(read_json_string(raw, arena, &text, err));
    NX_AUTO(nx_buf) bytes;
    nx_buf_init(&bytes, text.len + 3);
    const enum nx_status status = nx_base64_decode(&bytes, NX_BASE64_STANDARD, text, err);
    if (status != NX_OK) {
        return nx_wrap(err, status, "'data_base64'");
    }
    const struct nx_str copy = nx_arena_copy(arena, nx_buf_str(&bytes));
    if (copy.ptr == NULL) {
        return nx_fail_memory(err);
    }
    event->data = copy;
    event->has_data = copy.len > 0;
    return NX_OK;
}

/* An attribute's text: strings, and for extensions whole numbers and booleans. */
static enum nx_status read_json_attribute(struct nx_str name, struct nx_str raw, struct nx_arena *arena,
                                          struct nx_cloudevent *event, struct nx_error *err) {
    struct nx_str value = raw;
    if (raw.ptr[0] == '"') {
        NX_TRY(read_json_string(raw, arena, &value, err));
    } else if (raw.ptr[0] == '{' || raw.ptr[0] == '[' || find_core(event, name) != NULL ||
               nx_str_is(name, "datacontenttype")) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "attribute '%.*s' is not a string",
                       NX_STR_ARG(nx_str_slice(name, 0, 64)));
    }
    if (!nx_str_is(name, "datacontenttype")) {
        return set_attribute(event, name, value, err);
    }
    if (event->datacontenttype.len > 0 || value.len == 0) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "attribute 'datacontenttype' is %s",
                       value.len == 0 ? "empty" : "given twice");
    }
    event->datacontenttype = value;
    return NX_OK;
}

/* What a structured event holds besides its attributes, as raw JSON. */
struct json_parts {
    struct nx_str specversion;
    struct nx_str data;
    struct nx_str data_base64;
};

static enum nx_status read_json_member(struct nx_str name, struct nx_str raw, struct json_parts *parts,
                                       struct nx_arena *arena, struct nx_cloudevent *event,
                                       struct nx_error *err) {
    struct nx_str *part = nx_str_is(name, "specversion")   ? &parts->specversion
                          : nx_str_is(name, "data")        ? &parts->data
                          : nx_str_is(name, "data_base64") ? &parts->data_base64
                                                           : NULL;
    if (part == NULL) {
        /* The JSON format says that null is as absent. */
        return nx_str_is(raw, "null") ? NX_OK : read_json_attribute(name, raw, arena, event, err);
    }
    if (part->len > 0) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' is given twice", NX_STR_ARG(name));
    }
    *part = raw;
    return NX_OK;
}

static enum nx_status read_json_data(const struct json_parts *parts, struct nx_arena *arena,
                                     struct nx_cloudevent *event, struct nx_error *err) {
    if (parts->data.len > 0 && parts->data_base64.len > 0) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'data' and 'data_base64' exclude each other");
    }
    if (parts->data_base64.len > 0) {
        return read_base64(parts->data_base64, arena, event, err);
    }
    if (parts->data.len == 0) {
        return NX_OK;
    }
    if (event->datacontenttype.len == 0) {
        event->datacontenttype = NX_STR("application/json"); /* which the JSON format says absence means */
    }
    event->data = parts->data;
    if (!nx_cloudevent_is_json_type(event->datacontenttype) && parts->data.ptr[0] == '"') {
        NX_TRY(read_json_string(parts->data, arena, &event->data, err));
    }
    event->has_data = event->data.len > 0;
    return NX_OK;
}

/* The text of this member's value, or empty. */
static struct nx_str find_member(struct nx_str json, struct nx_str name) {
    struct nx_json_members members = nx_json_members_of(json);
    struct nx_str key;
    struct nx_str raw;
    while (nx_json_members_next(&members, &key, &raw)) {
        if (nx_str_equal(key, name)) {
            return raw;
        }
    }
    return NX_STR_EMPTY;
}

struct nx_cloudevent_fault nx_cloudevent_fault_of(struct nx_str json, struct nx_str field) {
    const struct nx_str raw = find_member(json, field);
    return (struct nx_cloudevent_fault){ .field = field,
                                         .offset = raw.len == 0 ? 0 : (size_t)(raw.ptr - json.ptr) };
}

static enum nx_status read_json_members(struct nx_str json, struct nx_arena *arena, struct json_parts *parts,
                                        struct nx_cloudevent *event, struct nx_cloudevent_fault *fault,
                                        struct nx_error *err) {
    struct nx_json_members members = nx_json_members_of(json);
    struct nx_str name;
    struct nx_str raw;
    if (members.failed) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "a structured event is a JSON object");
    }
    while (nx_json_members_next(&members, &name, &raw)) {
        const enum nx_status status = read_json_member(name, raw, parts, arena, event, err);
        if (status != NX_OK) {
            fault->field = name;
            fault->offset = (size_t)(raw.ptr - json.ptr);
            return status;
        }
    }
    return NX_OK;
}

enum nx_status nx_cloudevent_from_json_at(struct nx_str json, struct nx_arena *arena,
                                          struct nx_cloudevent *event_out,
                                          struct nx_cloudevent_fault *fault_out, struct nx_error *err) {
    struct nx_cloudevent event;
    struct json_parts parts = { 0 };
    struct nx_str name = NX_STR_EMPTY;
    struct nx_str specversion = NX_STR_EMPTY;
    nx_cloudevent_init(&event);
    *fault_out = (struct nx_cloudevent_fault){ .field = NX_STR_EMPTY };
    enum nx_status status = nx_json_check(json, err);
    if (status != NX_OK) {
        fault_out->offset = nx_json_bad_at(json);
        return status;
    }
    NX_TRY(read_json_members(json, arena, &parts, &event, fault_out, err));
    if (parts.specversion.len > 0 && parts.specversion.ptr[0] == '"') {
        NX_TRY(read_json_string(parts.specversion, arena, &specversion, err));
    }
    name = NX_STR("specversion");
    status = check_specversion(specversion, err);
    if (status == NX_OK) {
        name = parts.data_base64.len > 0 ? NX_STR("data_base64") : NX_STR("data");
        status = read_json_data(&parts, arena, &event, err);
    }
    if (status == NX_OK) {
        settle(&event);
        status = nx_cloudevent_check_named(&event, &name, err);
    }
    if (status != NX_OK) {
        *fault_out = nx_cloudevent_fault_of(json, name);
        return status;
    }
    *event_out = event;
    return NX_OK;
}

enum nx_status nx_cloudevent_from_json(struct nx_str json, struct nx_arena *arena,
                                       struct nx_cloudevent *event_out, struct nx_error *err) {
    struct nx_cloudevent_fault fault;
    return nx_cloudevent_from_json_at(json, arena, event_out, &fault, err);
}
