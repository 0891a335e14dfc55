#include "server/nats/events.h"

#include <stdio.h>
#include <stdlib.h>

#include "codec/headers.h"
#include "codec/json.h"
#include "codec/percent.h"
#include "codec/traceparent.h"
#include "fabric/subject/subject.h"
#include "server/event.h"
#include "server/nats/access.h"

#define PREFIX NX_STR("events.")

enum {
    SOURCE_SIZE_MAX = 512,
    HEADERS_MAX = 256,                   /* lines of one message that are looked at */
    ARENA_SIZE_MAX = 4 * 1024 * 1024,    /* for what must be decoded */
    TEXT_SIZE_MAX = NX_HEADERS_SIZE_MAX, /* of subject and de-duplication key */
    SUBJECT_SHOWN_MAX = 128,             /* bytes */
    JSON_MEMORY_FACTOR = 16,             /* by bytes of text */
};

struct nx_nats_events {
    struct nx_registry *registry; /* NULL: none yet */
    const struct nx_log *log;
    struct nx_nats_events_counters counters;
    int64_t told_ns; /* of a refusal, last; monotonic */
    struct nx_random random;
    struct nx_ulid_generator ulids;
    struct nx_buf headers; /* scratch memory */
    struct nx_buf text;
    char source[SOURCE_SIZE_MAX];
};

enum nx_status nx_nats_events_new(struct nx_str project, struct nx_random random, const struct nx_log *log,
                                  struct nx_nats_events **events_out, struct nx_error *err) {
    struct nx_nats_events *events = calloc(1, sizeof *events);
    if (events == NULL) {
        return nx_fail_memory(err);
    }
    events->random = random;
    events->log = log;
    nx_buf_init(&events->headers, NX_HEADERS_SIZE_MAX);
    nx_buf_init(&events->text, TEXT_SIZE_MAX);
    (void)snprintf(events->source, sizeof events->source, "/nats/%.*s", NX_STR_ARG(project));
    *events_out = events;
    return NX_OK;
}

void nx_nats_events_free(struct nx_nats_events *events) {
    if (events == NULL) {
        return;
    }
    nx_registry_unref(events->registry);
    nx_buf_fini(&events->headers);
    nx_buf_fini(&events->text);
    free(events);
}

void nx_nats_events_set_registry(struct nx_nats_events *events, struct nx_registry *registry) {
    nx_registry_unref(events->registry);
    events->registry = registry;
}

bool nx_nats_events_takes(struct nx_str account, struct nx_str subject) {
    return subject.len > PREFIX.len && nx_str_starts_with(subject, PREFIX) &&
           nx_str_equal(account, nx_nats_account_default);
}

/* What a message says of the event. */
struct message {
    struct nx_cloudevent event;
    bool id_is_clients;
    char id[NX_ULID_TEXT_SIZE + 1];
    char time[NX_TIME_TEXT_SIZE + 1];
    char trace[NX_TRACEPARENT_TEXT_SIZE + 1];
};

static enum nx_status split_headers(struct nx_str lines, struct nx_header headers[HEADERS_MAX],
                                    size_t *count_out, struct nx_error *err) {
    size_t count = 0;
    struct nx_header header;
    NX_TRY(nx_headers_check(lines, err));
    while (nx_headers_next(&lines, &header)) {
        if (count == HEADERS_MAX) {
            return nx_fail_kind(err, NX_KIND_HEADERS_TOO_LARGE, "more than %d headers", HEADERS_MAX);
        }
        headers[count++] = header;
    }
    *count_out = count;
    return NX_OK;
}

/* A JSON object with what every event must have. */
static bool is_bare_event(const struct nx_nats_op *message) {
    static const char *const required[] = { "specversion", "id", "source", "type" };
    NX_AUTO(nx_json_doc) *doc = NULL;
    if (message->headers.len > 0 || !nx_str_starts_with(nx_str_trim(message->payload), NX_STR("{")) ||
        nx_json_parse(message->payload, JSON_MEMORY_FACTOR * (message->payload.len + 64), &doc, NULL) !=
            NX_OK) {
        return false;
    }
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        if (nx_json_get(nx_json_root(doc), nx_str_from_c(required[i])) == NULL) {
            return false;
        }
    }
    return true;
}

/* The type that a subject stands for. */
static enum nx_status type_of(struct nx_str subject, struct nx_arena *arena, struct nx_str *type_out,
                              struct nx_error *err) {
    const struct nx_str text = nx_str_slice(subject, PREFIX.len, subject.len);
    NX_AUTO(nx_buf) type;
    nx_buf_init(&type, NX_SUBJECT_SIZE_MAX);
    NX_TRY(nx_percent_decode(&type, text, err));
    *type_out = nx_arena_copy(arena, nx_buf_str(&type));
    return type_out->ptr == NULL ? nx_fail_memory(err) : NX_OK;
}

/* What an event has that is made of a message, but for its type and data. */
static enum nx_status take_plain_attributes(struct nx_nats_events *events, struct nx_str lines,
                                            int64_t now_ns, struct nx_arena *arena, struct message *message,
                                            struct nx_error *err) {
    struct nx_cloudevent *event = &message->event;
    struct nx_str person;
    const struct nx_str id = nx_headers_value(lines, "Nats-Msg-Id");
    event->tracestate = nx_headers_value(lines, "tracestate");
    event->baggage = nx_headers_value(lines, "baggage");
    if (nx_headers_find(lines, NX_STR("ce-personkey"), &person)) {
        NX_TRY(nx_cloudevent_header_value(person, arena, &person, err));
        event->extensions[event->extension_count++] =
            (struct nx_cloudevent_extension){ NX_PERSON_ATTRIBUTE, person };
    }
    nx_event_complete(event, &events->random, &events->ulids, now_ns, message->id, message->time);
    message->id_is_clients = id.len > 0;
    event->id = id.len > 0 ? id : event->id;
    return NX_OK;
}

static enum nx_status read_plain(struct nx_nats_events *events, const struct nx_nats_op *op,
                                 struct nx_str lines, int64_t now_ns, struct nx_arena *arena,
                                 struct message *message, struct nx_error *err) {
    struct nx_cloudevent *event = &message->event;
    nx_cloudevent_init(event);
    NX_TRY(type_of(op->subject, arena, &event->type, err));
    event->source = nx_str_from_c(events->source);
    event->data = op->payload;
    event->datacontenttype = nx_headers_value(lines, "content-type");
    const bool is_json = op->payload.len > 0 && nx_json_check(op->payload, err) == NX_OK;
    if (event->datacontenttype.len == 0 && is_json) {
        event->datacontenttype = NX_STR("application/json");
    } else if (nx_cloudevent_is_json_type(event->datacontenttype) && !is_json) {
        return nx_wrap(err, NX_INVALID_ARGUMENT,
                       "the payload is not the JSON that its content type promises");
    }
    return take_plain_attributes(events, lines, now_ns, arena, message, err);
}

/* It names its event itself; what NATS has for the same purpose may only say the same. */
static enum nx_status check_event(const struct nx_cloudevent *event, struct nx_str subject,
                                  struct nx_str message_id, struct nx_buf *text, struct nx_error *err) {
    nx_buf_reset(text);
    nx_cloudevent_subject(text, event->type);
    NX_TRY(nx_buf_check(text, err));
    const bool is_its_own = nx_str_equal(nx_buf_str(text), subject);
    if (!is_its_own) {
        (void)nx_fail(err, NX_INVALID_ARGUMENT, "an event of the type '%.*s' is published to %.*s",
                      NX_STR_ARG(nx_str_slice(event->type, 0, 100)),
                      NX_STR_ARG(nx_str_slice(nx_buf_str(text), 0, 100)));
    }
    nx_buf_reset(text);
    if (is_its_own && message_id.len > 0 && !nx_str_equal(message_id, event->id)) {
        return nx_fail(err, NX_INVALID_ARGUMENT,
                       "Nats-Msg-Id is not the event's id, by which and its source it is known");
    }
    return is_its_own ? NX_OK : NX_INVALID_ARGUMENT;
}

static enum nx_status read_message(struct nx_nats_events *events, const struct nx_nats_op *op,
                                   struct nx_str lines, int64_t now_ns, struct nx_arena *arena,
                                   struct message *message, struct nx_error *err) {
    struct nx_header headers[HEADERS_MAX];
    size_t count = 0;
    const struct nx_str content_type = nx_headers_value(lines, "content-type");
    NX_TRY(split_headers(lines, headers, &count, err));
    message->id_is_clients = true;
    if (nx_cloudevent_is_json_event(content_type) || is_bare_event(op)) {
        NX_TRY(nx_cloudevent_from_json(op->payload, arena, &message->event, err));
    } else if (nx_cloudevent_is_structured(content_type)) {
        return nx_fail_kind(err, NX_KIND_UNSUPPORTED_MEDIA, "'%.*s' is not taken",
                            NX_STR_ARG(nx_str_slice(content_type, 0, 64)));
    } else if (nx_cloudevent_is_binary(headers, count)) {
        NX_TRY(nx_cloudevent_from_http(headers, count, op->payload, arena, &message->event, err));
    } else {
        NX_TRY(read_plain(events, op, lines, now_ns, arena, message, err));
    }
    return check_event(&message->event, op->subject, nx_headers_value(lines, "Nats-Msg-Id"), &events->text,
                       err);
}

/* A child of what the client sent, or a new trace. */
static void put_trace(const struct nx_nats_events *events, struct nx_str lines, struct message *message) {
    uint8_t random[NX_TRACEPARENT_RANDOM_SIZE];
    struct nx_traceparent parent;
    const struct nx_str header = nx_headers_value(lines, "traceparent");
    nx_random_fill(&events->random, random, sizeof random);
    const bool has_parent =
        nx_traceparent_parse(header.len > 0 ? header : message->event.traceparent, &parent);
    const struct nx_traceparent trace =
        has_parent ? nx_traceparent_child(&parent, random) : nx_traceparent_new(random);
    message->event.traceparent = nx_traceparent_format(&trace, message->trace);
}

enum nx_status nx_nats_events_append(struct nx_nats_events *events, const struct nx_nats_op *op,
                                     struct nx_str lines, size_t condition_count, int64_t now_ns,
                                     struct nx_append **append_out, struct nx_error *err) {
    NX_AUTO(nx_arena) arena;
    NX_AUTO(nx_append) *append = NULL;
    struct message message = { 0 };
    const struct nx_event_scratch scratch = { &events->headers, &events->text };
    nx_arena_init(&arena, ARENA_SIZE_MAX);
    NX_TRY(read_message(events, op, lines, now_ns, &arena, &message, err));
    put_trace(events, lines, &message);
    NX_TRY(nx_append_new(1, condition_count, &append, err));
    NX_TRY(nx_event_add(append, &message.event, message.id_is_clients, events->registry, scratch, err));
    *append_out = NX_TAKE(append);
    return NX_OK;
}

/* Messages to functions */

/* As they stand, the first of a name; without what is somebody's credentials. */
static void write_headers(struct nx_json_writer *writer, const struct nx_header *headers, size_t count) {
    nx_json_key(writer, NX_STR("headers"));
    nx_json_object_begin(writer);
    for (size_t i = 0; i < count; i++) {
        bool is_first = true;
        for (size_t k = 0; k < i; k++) {
            is_first = is_first && !nx_str_equal(headers[k].name, headers[i].name);
        }
        if (is_first && nx_credential_find(headers[i].name) == NX_CREDENTIAL_COUNT) {
            nx_json_key(writer, headers[i].name);
            nx_json_string(writer, headers[i].value);
        }
    }
    nx_json_object_end(writer);
}

static enum nx_status write_call(struct nx_buf *data, const struct nx_nats_op *op, struct nx_str lines,
                                 struct nx_error *err) {
    struct nx_header headers[HEADERS_MAX];
    struct nx_json_writer writer;
    size_t count = 0;
    NX_TRY(split_headers(lines, headers, &count, err));
    nx_json_writer_init(&writer, data);
    nx_json_object_begin(&writer);
    nx_json_member_str(&writer, "subject", op->subject);
    write_headers(&writer, headers, count);
    const struct nx_str content_type = nx_headers_value(lines, "content-type");
    const bool may_be_json = content_type.len == 0 || nx_cloudevent_is_json_type(content_type);
    nx_event_write_body(&writer, op->payload, may_be_json && nx_json_is_valid(op->payload));
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    return nx_buf_check(data, err);
}

enum nx_status nx_nats_events_call_append(struct nx_nats_events *events, const struct nx_trigger *trigger,
                                          const struct nx_nats_op *op, int64_t now_ns,
                                          struct nx_append **append_out, struct nx_error *err) {
    NX_AUTO(nx_arena) arena;
    NX_AUTO(nx_buf) data;
    NX_AUTO(nx_append) *append = NULL;
    struct message message = { 0 };
    struct nx_nats_headers block = { .lines = NX_STR_EMPTY };
    const struct nx_event_scratch scratch = { &events->headers, &events->text };
    nx_arena_init(&arena, ARENA_SIZE_MAX);
    nx_buf_init(&data, NX_EVENT_DATA_SIZE_MAX);
    if (op->headers.len > 0 && !nx_nats_headers_split(op->headers, &block)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "the headers cannot be read");
    }
    NX_TRY(write_call(&data, op, block.lines, err));
    struct nx_cloudevent *event = &message.event;
    nx_cloudevent_init(event);
    event->type = trigger->event_type;
    event->source = nx_str_from_c(events->source);
    event->subject = op->subject;
    event->datacontenttype = NX_STR("application/json");
    event->data = nx_buf_str(&data);
    NX_TRY(take_plain_attributes(events, block.lines, now_ns, &arena, &message, err));
    put_trace(events, block.lines, &message);
    NX_TRY(nx_append_new(1, 0, &append, err));
    NX_TRY(nx_event_add(append, event, message.id_is_clients, events->registry, scratch, err));
    *append_out = NX_TAKE(append);
    return NX_OK;
}

void nx_nats_events_note(struct nx_nats_events *events, struct nx_str subject, bool is_duplicate,
                         const char *why, bool is_heard, int64_t monotonic_ns) {
    struct nx_nats_events_counters *counters = &events->counters;
    nx_counter_add(why != NULL    ? &counters->refused
                   : is_duplicate ? &counters->duplicate
                                  : &counters->published,
                   1);
    if (why == NULL || is_heard ||
        (events->told_ns != 0 && monotonic_ns - events->told_ns < (int64_t)NX_NS_PER_S)) {
        return;
    }
    events->told_ns = monotonic_ns;
    nx_log_warn(events->log,
                "a NATS client published what is not stored as an event, and waits for no answer",
                NX_F_STR("subject", nx_str_slice(subject, 0, SUBJECT_SHOWN_MAX)), NX_F_C("error", why));
}

const struct nx_nats_events_counters *nx_nats_events_counters(const struct nx_nats_events *events) {
    return &events->counters;
}
