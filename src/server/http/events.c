/* src/server/http/events.c: one event that is in the log. */
#include "codec/cloudevents.h"
#include "codec/percent.h"
#include "server/http/event_json.h"
#include "server/http/page.h"
#include "server/http/services.h"

enum { ARENA_SIZE_MAX = 64 * 1024 * 1024 };

static const struct nx_str stream = { "EVENTS", 6 };

/* One event of the log */

static void respond_several(struct nx_http_exchange *exchange, const struct nx_read *read,
                            struct nx_arena *arena) {
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    struct nx_error err = { 0 };
    (void)nx_fail_kind(&err, NX_KIND_AMBIGUOUS, "%zu events of different sources have this id",
                       read->record_count);
    nx_hint(&err, "ask for one of the matches by its reference");
    nx_buf_init(&body, NX_HTTP_ANSWER_SIZE_MAX);
    nx_json_writer_init(&writer, &body);
    nx_http_problem_begin(&writer, nx_error_http_status(&err), &err);
    nx_json_key(&writer, NX_STR("matches"));
    nx_json_array_begin(&writer);
    for (size_t i = 0; i < read->record_count; i++) {
        const struct nx_cloudevent_record record = nx_record_as_event(&read->records[i]);
        struct nx_cloudevent event;
        nx_json_object_begin(&writer);
        nx_http_member_reference(&writer, "reference", record.stream, record.sequence);
        if (nx_cloudevent_from_record(&record, arena, &event, NULL) == NX_OK) {
            nx_json_member_str(&writer, "source", event.source);
            nx_json_member_str(&writer, "type", event.type);
        }
        nx_http_member_time(&writer, "time", record.time_ns);
        nx_json_object_end(&writer);
    }
    nx_json_array_end(&writer);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_buf_append_u8(&body, '\n');
    nx_http_respond(exchange, &(struct nx_http_response){ .status = nx_error_http_status(&err),
                                                          .content_type = NX_STR("application/problem+json"),
                                                          .body = nx_buf_str(&body) });
}

static void respond_event(struct nx_http_exchange *exchange, const struct nx_record *found,
                          struct nx_arena *arena) {
    NX_AUTO(nx_buf) body;
    NX_AUTO(nx_buf) headers;
    struct nx_cloudevent event;
    struct nx_error err = { 0 };
    const struct nx_cloudevent_record record = nx_record_as_event(found);
    nx_buf_init(&body, NX_HTTP_ANSWER_SIZE_MAX);
    nx_buf_init(&headers, NX_HTTP_EXTRA_HEADERS_SIZE_MAX);
    if (nx_cloudevent_from_record(&record, arena, &event, &err) == NX_OK) {
        nx_cloudevent_to_json(&body, &event);
        nx_buf_append_u8(&body, '\n');
    }
    if (err.status != NX_OK || nx_buf_check(&body, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_buf_append_format(&headers, "Nexus-Record: %.*s:%llu\r\n", NX_STR_ARG(found->stream),
                         (unsigned long long)found->sequence);
    nx_http_respond(exchange,
                    &(struct nx_http_response){ .status = 200,
                                                .content_type = NX_STR("application/cloudevents+json"),
                                                .body = nx_buf_str(&body),
                                                .headers = nx_buf_str(&headers) });
}

static void respond_not_found(struct nx_http_exchange *exchange, const struct nx_read *read) {
    struct nx_error err = { 0 };
    const bool expired = read->status == NX_NOT_FOUND && read->error.kind == NX_KIND_EXPIRED;
    if (expired) {
        err = read->error;
    } else {
        (void)nx_fail(&err, NX_NOT_FOUND, "there is no event '%.*s'",
                      NX_STR_ARG(nx_str_slice(exchange->note, 0, 128)));
    }
    nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
}

static void event_read(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_read *read = (struct nx_read *)message;
    NX_AUTO(nx_arena) arena;
    nx_arena_init(&arena, ARENA_SIZE_MAX);
    if (read->status == NX_NOT_FOUND || (read->status == NX_OK && read->record_count == 0)) {
        respond_not_found(exchange, read);
    } else if (read->status != NX_OK) {
        nx_http_respond_error(exchange, &read->error, NX_STR_EMPTY);
    } else if (read->record_count > 1) {
        respond_several(exchange, read, &arena);
    } else {
        respond_event(exchange, &read->records[0], &arena);
    }
    nx_message_release(message);
}

static enum nx_status make_read(struct nx_http_exchange *exchange, struct nx_str parameter,
                                struct nx_read **read_out, struct nx_error *err) {
    NX_AUTO(nx_buf) id;
    NX_AUTO(nx_read) *read = NULL;
    nx_buf_init(&id, NX_HTTP_HEADERS_SIZE_MAX);
    NX_TRY(nx_percent_decode(&id, parameter, err));
    NX_TRY(nx_read_new(NX_READ_BY_ID, &read, err));
    if (nx_http_parse_reference(nx_buf_str(&id), stream, &read->from_sequence)) {
        read->kind = NX_READ_BY_SEQUENCE;
    }
    read->stream = stream;
    /* What the log looks for is the header's text. */
    NX_AUTO(nx_buf) key;
    nx_buf_init(&key, 3 * NX_HTTP_HEADERS_SIZE_MAX);
    nx_percent_encode_header(&key, nx_buf_str(&id));
    read->key = nx_arena_copy(&read->arena, nx_buf_str(&key));
    exchange->note = nx_arena_copy(&read->arena, nx_buf_str(&id));
    if (read->key.ptr == NULL || exchange->note.ptr == NULL) {
        return nx_fail_memory(err);
    }
    *read_out = NX_TAKE(read);
    return NX_OK;
}

void nx_http_get_event(struct nx_http_services *services, struct nx_http_exchange *exchange,
                       const struct nx_http_request *request, struct nx_str parameter) {
    struct nx_read *read = NULL;
    struct nx_error err = { 0 };
    (void)request;
    if (make_read(exchange, parameter, &read, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_ask(exchange, services->reads, &read->message, event_read);
}
