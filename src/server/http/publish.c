/* src/server/http/publish.c: requests that become events.
 *
 * POST /events takes CloudEvents: one in binary or structured mode, or a batch (batch.c). POST /events/{type}
 * takes them too, all of this type, and any other body, of which an event is made: id a ULID, source
 * "/http/<project>", type from the path, time of arrival. The answer, 202, is written when the event is on
 * disk. Only an id that the client chose is looked for in the de-duplication window. */
#include "server/http/publish.h"

#include "base/assert.h"
#include "codec/cloudevents.h"
#include "codec/json.h"
#include "codec/percent.h"
#include "codec/time_format.h"
#include "codec/traceparent.h"
#include "server/event.h"
#include "server/http/idempotency.h"
#include "server/http/tracing.h"

enum {
    PROBLEM_SIZE_MAX = 16 * 1024, /* bytes of problem details */
};

void nx_http_respond_published(struct nx_http_exchange *exchange, struct nx_str id, bool is_duplicate) {
    struct nx_http_services *services = nx_http_services_of(exchange);
    struct nx_buf *headers = &services->scratch;
    struct nx_buf *body = &services->scratch2;
    char trace[NX_TRACEPARENT_TEXT_SIZE + 1];
    nx_counter_add(
        is_duplicate ? &services->counters->events_duplicate : &services->counters->events_published, 1);
    nx_buf_append(headers, NX_STR("Location: /events/"));
    nx_percent_encode_url(headers, id);
    nx_buf_append(headers, NX_STR("\r\ntraceparent: "));
    nx_buf_append(headers, nx_traceparent_format(&exchange->trace, trace));
    nx_buf_append(headers, NX_STR("\r\n"));
    struct nx_json_writer writer;
    nx_json_writer_init(&writer, body);
    nx_json_object_begin(&writer);
    nx_json_member_str(&writer, "event_id", id);
    nx_json_member_c(&writer, "status", is_duplicate ? "duplicate" : "published");
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_buf_append_u8(body, '\n');
    if (nx_buf_failed(headers) || nx_buf_failed(body)) {
        nx_http_abandon(exchange); /* an error would say that it is not stored */
    } else {
        nx_http_respond(exchange, &(struct nx_http_response){ .status = 202,
                                                              .content_type = NX_STR("application/json"),
                                                              .body = nx_buf_str(body),
                                                              .headers = nx_buf_str(headers) });
    }
    nx_buf_reset(headers);
    nx_buf_reset(body);
}

void nx_http_published(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_append *append = (struct nx_append *)message;
    if (nx_http_idempotency_settles(exchange, append)) {
        return;
    }
    nx_http_respond_published(exchange, exchange->note, append->entries[0].duplicate);
    nx_message_release(message);
}

enum nx_status nx_http_add_event(struct nx_http_services *services, struct nx_append *append,
                                 const struct nx_cloudevent *event, bool id_is_clients,
                                 struct nx_error *err) {
    const struct nx_event_scratch scratch = { &services->scratch, &services->scratch2 };
    return nx_event_add(append, event, id_is_clients, services->registry, scratch, err);
}

static enum nx_status make_append(struct nx_http_exchange *exchange, const struct nx_http_request *request,
                                  const struct nx_cloudevent *event, bool id_is_clients,
                                  struct nx_append **append_out, struct nx_error *err) {
    struct nx_http_services *services = nx_http_services_of(exchange);
    NX_AUTO(nx_append) *append = NULL;
    struct nx_str key;
    NX_TRY(nx_http_idempotency_key(request, &key, err));
    NX_TRY(nx_append_new(key.len > 0 ? 2 : 1, 0, &append, err));
    NX_TRY(nx_http_add_event(services, append, event, id_is_clients, err));
    exchange->note = nx_arena_copy(&append->arena, event->id);
    if (exchange->note.ptr == NULL) {
        return nx_fail_memory(err);
    }
    NX_TRY(nx_http_idempotency_guard(append, request, key, &exchange->note, 1, false, err));
    *append_out = NX_TAKE(append);
    return NX_OK;
}

void nx_http_publish(struct nx_http_exchange *exchange, const struct nx_http_request *request,
                     struct nx_cloudevent *event, bool id_is_clients,
                     void (*resume)(struct nx_http_exchange *, struct nx_message *)) {
    struct nx_append *append = NULL;
    struct nx_error err = { 0 };
    char trace[NX_TRACEPARENT_TEXT_SIZE + 1];
    event->traceparent = nx_http_event_trace(exchange, event, trace);
    if (make_append(exchange, request, event, id_is_clients, &append, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_ask(exchange, nx_http_services_of(exchange)->appends, &append->message, resume);
}

enum nx_status nx_http_take_person(struct nx_cloudevent *event, const struct nx_http_request *request,
                                   struct nx_arena *arena, struct nx_error *err) {
    const struct nx_str text = nx_http_request_header(request, NX_STR("ce-personkey"));
    struct nx_str person = NX_STR_EMPTY;
    if (text.ptr == NULL) {
        return NX_OK;
    }
    enum nx_status status = nx_cloudevent_header_value(text, arena, &person, err);
    if (status == NX_OK) {
        status = nx_person_check(person, err);
    }
    if (status != NX_OK) {
        return nx_wrap(err, status, "header 'ce-personkey'");
    }
    event->extensions[event->extension_count++] =
        (struct nx_cloudevent_extension){ NX_PERSON_ATTRIBUTE, person };
    return NX_OK;
}

void nx_http_complete_plain(struct nx_http_services *services, struct nx_cloudevent *event,
                            char id_out[NX_ULID_TEXT_SIZE + 1], char time_out[NX_TIME_TEXT_SIZE + 1]) {
    event->source = services->source;
    nx_event_complete(event, &services->random, &services->ulids, services->shared.now.wall_ns, id_out,
                      time_out);
}

enum nx_status nx_http_check_data(const struct nx_http_request *request, struct nx_str content_type,
                                  struct nx_error *err) {
    if (content_type.len == 0 || !nx_cloudevent_is_json_type(content_type)) {
        return NX_OK;
    }
    const enum nx_status status = nx_json_check(request->body, err);
    if (status != NX_OK) {
        (void)nx_wrap(err, status, "the body is not the JSON that its content type promises");
    }
    return status;
}

enum nx_status nx_http_check_event_type(struct nx_str of_event, struct nx_str of_path, struct nx_error *err) {
    if (of_path.len == 0 || nx_str_equal(of_event, of_path)) {
        return NX_OK;
    }
    (void)nx_fail(err, NX_INVALID_ARGUMENT, "the event's type '%.*s' is not the one of the path, '%.*s'",
                  NX_STR_ARG(nx_str_slice(of_event, 0, 100)), NX_STR_ARG(nx_str_slice(of_path, 0, 100)));
    nx_hint(err, "post it to /events, or to /events/{its type}");
    return NX_INVALID_ARGUMENT;
}

/* Of the structured forms there is JSON only. */
static enum nx_status check_form(struct nx_str content_type, struct nx_error *err) {
    if (nx_cloudevent_is_json_event(content_type)) {
        return NX_OK;
    }
    const size_t semicolon = nx_str_find_byte(content_type, ';');
    (void)nx_fail_kind(
        err, NX_KIND_UNSUPPORTED_MEDIA, "'%.*s' is not taken",
        NX_STR_ARG(nx_str_slice(nx_str_trim(nx_str_slice(content_type, 0, semicolon)), 0, 64)));
    nx_hint(err, "send application/cloudevents+json or application/cloudevents-batch+json, or binary mode");
    return NX_INVALID_ARGUMENT;
}

void nx_http_member_fault(struct nx_json_writer *writer, struct nx_str body, struct nx_str field,
                          size_t offset) {
    const struct nx_json_place place = nx_json_place_of(body, offset);
    if (field.len > 0) {
        nx_json_member_str(writer, "field", nx_str_slice(field, 0, NX_CLOUDEVENT_NAME_SIZE_MAX));
    }
    nx_json_member_u64(writer, "line", place.line);
    nx_json_member_u64(writer, "column", place.column);
    nx_json_member_u64(writer, "byte", place.byte);
}

void nx_http_respond_fault(struct nx_http_exchange *exchange, const struct nx_error *err, struct nx_str body,
                           const struct nx_cloudevent_fault *fault) {
    NX_AUTO(nx_buf) problem;
    struct nx_json_writer writer;
    nx_buf_init(&problem, PROBLEM_SIZE_MAX);
    nx_json_writer_init(&writer, &problem);
    nx_http_problem_begin(&writer, nx_error_http_status(err), err);
    nx_http_member_fault(&writer, body, fault->field, fault->offset);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_buf_append_u8(&problem, '\n');
    nx_http_respond(exchange, &(struct nx_http_response){ .status = nx_error_http_status(err),
                                                          .content_type = NX_STR("application/problem+json"),
                                                          .body = nx_buf_str(&problem) });
}

static enum nx_status decode_type(struct nx_str parameter, struct nx_arena *arena, struct nx_str *type_out,
                                  struct nx_error *err) {
    if (nx_percent_is_plain(parameter)) {
        *type_out = parameter;
        return NX_OK;
    }
    NX_AUTO(nx_buf) type;
    nx_buf_init(&type, NX_HTTP_HEADERS_SIZE_MAX);
    NX_TRY(nx_percent_decode(&type, parameter, err));
    *type_out = nx_arena_copy(arena, nx_buf_str(&type));
    return type_out->ptr == NULL ? nx_fail_memory(err) : NX_OK;
}

/* An event that says of itself in its headers that it is one. */
static enum nx_status post_binary(struct nx_http_services *services, struct nx_http_exchange *exchange,
                                  const struct nx_http_request *request, struct nx_str type,
                                  struct nx_arena *arena, struct nx_error *err) {
    struct nx_cloudevent event;
    NX_TRY(
        nx_cloudevent_from_http(request->headers, request->header_count, request->body, arena, &event, err));
    if (event.has_data) { /* without data some SDKs name its type all the same */
        NX_TRY(nx_http_check_data(request, event.datacontenttype, err));
    }
    NX_TRY(nx_http_check_event_type(event.type, type, err));
    const struct nx_str header = nx_http_request_header(request, NX_STR("traceparent"));
    nx_http_trace_begin(services, exchange, header.ptr != NULL ? header : event.traceparent);
    nx_http_publish(exchange, request, &event, true, nx_http_published);
    return NX_OK;
}

/* An event that is its body; what is wrong with it is answered with its place. */
static enum nx_status post_structured(struct nx_http_services *services, struct nx_http_exchange *exchange,
                                      const struct nx_http_request *request, struct nx_str type,
                                      struct nx_arena *arena, struct nx_error *err) {
    struct nx_cloudevent event;
    struct nx_cloudevent_fault fault;
    NX_TRY(check_form(nx_http_request_header(request, NX_STR("content-type")), err));
    enum nx_status status = nx_cloudevent_from_json_at(request->body, arena, &event, &fault, err);
    if (status == NX_OK && nx_http_check_event_type(event.type, type, err) != NX_OK) {
        status = NX_INVALID_ARGUMENT;
        fault = nx_cloudevent_fault_of(request->body, NX_STR("type"));
    }
    if (status == NX_RESOURCE_EXHAUSTED) {
        return status;
    }
    if (status != NX_OK) {
        nx_http_respond_fault(exchange, err, request->body, &fault);
        return NX_OK;
    }
    const struct nx_str header = nx_http_request_header(request, NX_STR("traceparent"));
    nx_http_trace_begin(services, exchange, header.ptr != NULL ? header : event.traceparent);
    nx_http_publish(exchange, request, &event, true, nx_http_published);
    return NX_OK;
}

/* A body of which we make an event of this type. */
static enum nx_status post_plain(struct nx_http_services *services, struct nx_http_exchange *exchange,
                                 const struct nx_http_request *request, struct nx_str type,
                                 struct nx_arena *arena, struct nx_error *err) {
    struct nx_cloudevent event = { .type = type };
    char id[NX_ULID_TEXT_SIZE + 1];
    char time[NX_TIME_TEXT_SIZE + 1];
    const struct nx_str content_type = nx_http_request_header(request, NX_STR("content-type"));
    NX_TRY(nx_http_check_data(request, content_type, err));
    NX_TRY(nx_http_take_person(&event, request, arena, err));
    nx_http_trace_begin(services, exchange, nx_http_request_header(request, NX_STR("traceparent")));
    event.datacontenttype = content_type.ptr == NULL ? NX_STR_EMPTY : content_type;
    event.tracestate = nx_http_request_header(request, NX_STR("tracestate"));
    event.baggage = nx_http_request_header(request, NX_STR("baggage"));
    event.data = request->body;
    nx_http_complete_plain(services, &event, id, time);
    nx_http_publish(exchange, request, &event, false, nx_http_published);
    return NX_OK;
}

/* `type` is the path's, decoded; empty: POST /events. */
static enum nx_status post(struct nx_http_services *services, struct nx_http_exchange *exchange,
                           const struct nx_http_request *request, struct nx_str type, struct nx_arena *arena,
                           struct nx_error *err) {
    const struct nx_str content_type = nx_http_request_header(request, NX_STR("content-type"));
    if (nx_cloudevent_is_json_batch(content_type)) {
        nx_http_post_batch(services, exchange, request, type);
        return NX_OK;
    }
    if (nx_cloudevent_is_structured(content_type)) {
        return post_structured(services, exchange, request, type, arena, err);
    }
    if (nx_cloudevent_is_binary(request->headers, request->header_count)) {
        return post_binary(services, exchange, request, type, arena, err);
    }
    if (type.len > 0) {
        return post_plain(services, exchange, request, type, arena, err);
    }
    (void)nx_fail(err, NX_INVALID_ARGUMENT,
                  "this is no CloudEvent: it has no header ce-specversion, and its "
                  "content type is not application/cloudevents+json");
    nx_hint(err, "POST /events/{type} makes an event of any body");
    return NX_INVALID_ARGUMENT;
}

void nx_http_post_event(struct nx_http_services *services, struct nx_http_exchange *exchange,
                        const struct nx_http_request *request, struct nx_str parameter) {
    NX_AUTO(nx_arena) arena;
    struct nx_error err = { 0 };
    struct nx_str type = NX_STR_EMPTY;
    nx_arena_init(&arena, NX_HTTP_EVENT_ARENA_SIZE_MAX);
    enum nx_status status = parameter.len == 0 ? NX_OK : decode_type(parameter, &arena, &type, &err);
    if (status != NX_OK) {
        status = nx_wrap(&err, status, "the type in the path");
    } else {
        status = post(services, exchange, request, type, &arena, &err);
    }
    if (status != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    }
}
