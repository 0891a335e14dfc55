/* src/server/http/function_path.c: a request on a function's own path becomes an event of the type
 * http.<function>, whose data describes the request. What is answered is 202, or what the function makes of
 * it (wait.c). */
#include "codec/cloudevents.h"
#include "codec/json.h"
#include "codec/percent.h"
#include "server/event.h"
#include "server/http/publish.h"
#include "server/http/wait.h"
#include "server/http/tracing.h"

/* Credentials of a person are not for the log, unless nexus.yaml says so. */
static bool is_dropped(struct nx_str header, const struct nx_trigger *trigger) {
    const enum nx_credential credential = nx_credential_find(header);
    return credential != NX_CREDENTIAL_COUNT && (trigger->kept_credentials & 1U << credential) == 0;
}

static bool is_first_of_name(const struct nx_http_request *request, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (nx_str_equal_ignore_case(request->headers[i].name, request->headers[index].name)) {
            return false;
        }
    }
    return true;
}

/* One member a name, in lower case; values of a repeated one joined by ", ". */
static void write_headers(struct nx_json_writer *writer, const struct nx_http_request *request,
                          const struct nx_trigger *trigger) {
    char name[256];
    NX_AUTO(nx_buf) value;
    nx_buf_init(&value, NX_HTTP_HEADERS_SIZE_MAX * 2);
    nx_json_object_begin(writer);
    for (size_t i = 0; i < request->header_count; i++) {
        const struct nx_header *header = &request->headers[i];
        if (is_dropped(header->name, trigger) || header->name.len > sizeof name ||
            !is_first_of_name(request, i)) {
            continue;
        }
        for (size_t k = 0; k < header->name.len; k++) {
            const char c = header->name.ptr[k];
            name[k] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        }
        nx_buf_reset(&value);
        nx_buf_append(&value, header->value);
        for (size_t k = i + 1; k < request->header_count; k++) {
            if (nx_str_equal_ignore_case(request->headers[k].name, header->name)) {
                nx_buf_append(&value, NX_STR(", "));
                nx_buf_append(&value, request->headers[k].value);
            }
        }
        nx_json_key(writer, nx_str_of(name, header->name.len));
        nx_json_string(writer, nx_buf_str(&value));
    }
    nx_json_object_end(writer);
}

/* What the path's parameters stand for, decoded. Errors: NX_INVALID_ARGUMENT */
NX_MUST_CHECK static enum nx_status write_parameters(struct nx_json_writer *writer,
                                                     const struct nx_route *route, struct nx_error *err) {
    NX_AUTO(nx_buf) value;
    nx_buf_init(&value, NX_HTTP_HEADERS_SIZE_MAX);
    nx_json_key(writer, NX_STR("params"));
    nx_json_object_begin(writer);
    for (size_t i = 0; i < route->parameter_count; i++) {
        const struct nx_path_parameter *parameter = &route->parameters[i];
        nx_buf_reset(&value);
        NX_TRY(nx_percent_decode(&value, parameter->value, err));
        if (!nx_str_is_utf8(nx_buf_str(&value))) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' in the path is not UTF-8",
                           NX_STR_ARG(parameter->name));
        }
        nx_json_key(writer, parameter->name);
        nx_json_string(writer, nx_buf_str(&value));
    }
    nx_json_object_end(writer);
    return NX_OK;
}

NX_MUST_CHECK static enum nx_status write_request(struct nx_buf *out, const struct nx_http_request *request,
                                                  const struct nx_route *route, struct nx_error *err) {
    const struct nx_trigger *trigger = route->trigger;
    struct nx_json_writer writer;
    nx_json_writer_init(&writer, out);
    nx_json_object_begin(&writer);
    nx_json_member_str(&writer, "method", request->method_name);
    nx_json_member_str(&writer, "path", request->path);
    nx_json_member_str(&writer, "query", request->query);
    if (route->parameter_count > 0) {
        NX_TRY(write_parameters(&writer, route, err));
    }
    nx_json_key(&writer, NX_STR("headers"));
    write_headers(&writer, request, trigger);
    const struct nx_str content_type = nx_http_request_header(request, NX_STR("content-type"));
    nx_event_write_body(&writer, request->body,
                        content_type.len > 0 && nx_cloudevent_is_json_type(content_type));
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    return nx_buf_check(out, err);
}

void nx_http_publish_request(struct nx_http_services *services, struct nx_http_exchange *exchange,
                             const struct nx_http_request *request, const struct nx_route *route) {
    const struct nx_trigger *trigger = route->trigger;
    char id[NX_ULID_TEXT_SIZE + 1];
    char time[NX_TIME_TEXT_SIZE + 1];
    struct nx_error err = { 0 };
    struct nx_cloudevent event = { .type = trigger->event_type,
                                   .datacontenttype = NX_STR("application/json") };
    const struct nx_str content_type = nx_http_request_header(request, NX_STR("content-type"));
    NX_AUTO(nx_arena) arena;
    NX_AUTO(nx_buf) data;
    nx_arena_init(&arena, NX_HTTP_EVENT_ARENA_SIZE_MAX);
    nx_buf_init(&data, NX_EVENT_DATA_SIZE_MAX);
    if (request->body.len > 0 && nx_http_check_data(request, content_type, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    if (nx_http_take_person(&event, request, &arena, &err) != NX_OK ||
        write_request(&data, request, route, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    if (trigger->respond != NX_RESPOND_PUBLISHED && nx_http_await_begin(exchange, trigger, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_trace_begin(services, exchange, nx_http_request_header(request, NX_STR("traceparent")));
    event.data = nx_buf_str(&data);
    nx_http_complete_plain(services, &event, id, time);
    nx_http_publish(exchange, request, &event, false,
                    trigger->respond == NX_RESPOND_PUBLISHED ? nx_http_published : nx_http_await_stored);
}
