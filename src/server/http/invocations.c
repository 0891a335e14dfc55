/* src/server/http/invocations.c: what functions did: invocations, one or a page of them. */
#include <stdio.h>

#include "codec/invocation.h"
#include "codec/outcome.h"
#include "codec/percent.h"
#include "server/http/invocation_json.h"
#include "server/http/live.h"
#include "server/http/page.h"
#include "server/http/services.h"

enum { ARENA_SIZE_MAX = 64 * 1024 * 1024 };

/* What a list of invocations is asked for, in exchange->tag. */
enum {
    TAG_OUTCOME_MASK = 0xff, /* outcome + 1; 0: any */
    TAG_IN_FULL = 0x100,
};

static const struct nx_str invocations_stream = { "INVOCATIONS", 11 };
static const struct nx_str events_stream = { "EVENTS", 6 };

static bool is_wanted(const struct nx_http_exchange *exchange, const struct nx_record *record) {
    const unsigned outcome = exchange->tag & TAG_OUTCOME_MASK;
    struct nx_invocation head;
    if (!nx_str_equal(record->stream, invocations_stream)) {
        return false; /* by reference a dead letter of the event is found too */
    }
    if (exchange->note.len > 0 &&
        !nx_str_equal(nx_str_slice(record->subject, sizeof "invocations." - 1, record->subject.len),
                      exchange->note)) {
        return false;
    }
    return outcome == 0 || (nx_invocation_decode_head(record->payload, &head, NULL) == NX_OK &&
                            (unsigned)head.outcome + 1 == outcome);
}

static void invocations_read(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_read *read = (struct nx_read *)message;
    const bool by_reference = read->kind == NX_READ_BY_REFERENCE;
    if (!by_reference && nx_http_page_goes_on(exchange, read)) {
        return;
    }
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    nx_buf_init(&body, NX_HTTP_ANSWER_SIZE_MAX);
    if (read->status != NX_OK && !(by_reference && read->status == NX_NOT_FOUND)) {
        nx_http_respond_error(exchange, &read->error, NX_STR_EMPTY);
        nx_message_release(message);
        return;
    }
    nx_json_writer_init(&writer, &body);
    nx_json_object_begin(&writer);
    nx_json_key(&writer, NX_STR("invocations"));
    nx_json_array_begin(&writer);
    for (size_t i = 0; read->status == NX_OK && i < read->record_count; i++) {
        if (is_wanted(exchange, &read->records[i])) {
            NX_AUTO(nx_arena) arena;
            nx_arena_init(&arena, ARENA_SIZE_MAX);
            nx_http_write_invocation(&writer, &read->records[i], (exchange->tag & TAG_IN_FULL) != 0, &arena);
        }
    }
    nx_json_array_end(&writer);
    if (by_reference) {
        nx_json_key(&writer, NX_STR("cursor"));
        nx_json_null(&writer);
        nx_json_member_bool(&writer, "at_end", true);
    } else {
        nx_http_page_end(&writer, read);
    }
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_http_respond_json(exchange, &body);
    nx_message_release(message);
}

/* Ask for the invocations of an event whose sequence is known. */
static void ask_by_reference(struct nx_http_exchange *exchange, uint64_t sequence, struct nx_str function) {
    struct nx_http_services *services = nx_http_services_of(exchange);
    struct nx_read *read = NULL;
    struct nx_error err = { 0 };
    char key[32];
    if (nx_read_new(NX_READ_BY_REFERENCE, &read, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    const int len = snprintf(key, sizeof key, "EVENTS:%llu", (unsigned long long)sequence);
    read->stream = invocations_stream;
    read->key = nx_arena_copy(&read->arena, nx_str_of(key, (size_t)len));
    exchange->note = nx_arena_copy(&read->arena, function);
    if (read->key.ptr == NULL || exchange->note.ptr == NULL) {
        nx_message_release(&read->message);
        (void)nx_fail_memory(&err);
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_ask(exchange, services->reads, &read->message, invocations_read);
}

/* The event's id was looked up. */
static void event_found(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_read *read = (struct nx_read *)message;
    struct nx_error err = { 0 };
    if (read->status == NX_NOT_FOUND || (read->status == NX_OK && read->record_count == 0)) {
        (void)nx_fail(&err, NX_NOT_FOUND, "there is no such event");
    } else if (read->status != NX_OK) {
        err = read->error;
    } else if (read->record_count > 1) {
        (void)nx_fail_kind(&err, NX_KIND_AMBIGUOUS, "%zu events of different sources have this id",
                           read->record_count);
        nx_hint(&err, "GET /events/{id} lists them: use the reference of one, such as EVENTS:%llu",
                (unsigned long long)read->records[0].sequence);
    }
    if (err.status != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    } else {
        ask_by_reference(exchange, read->records[0].sequence, exchange->note);
    }
    nx_message_release(message);
}

static enum nx_status ask_by_event(struct nx_http_exchange *exchange, struct nx_str event,
                                   struct nx_str function, struct nx_error *err) {
    struct nx_http_services *services = nx_http_services_of(exchange);
    uint64_t sequence = 0;
    if (nx_http_parse_reference(event, events_stream, &sequence)) {
        ask_by_reference(exchange, sequence, function);
        return NX_OK;
    }
    NX_AUTO(nx_read) *read = NULL;
    NX_AUTO(nx_buf) key;
    nx_buf_init(&key, 3 * NX_HTTP_HEADERS_SIZE_MAX);
    nx_percent_encode_header(&key, event);
    NX_TRY(nx_read_new(NX_READ_BY_ID, &read, err));
    read->stream = events_stream;
    read->key = nx_arena_copy(&read->arena, nx_buf_str(&key));
    exchange->note = nx_arena_copy(&read->arena, function);
    if (read->key.ptr == NULL || exchange->note.ptr == NULL) {
        return nx_fail_memory(err);
    }
    nx_http_ask(exchange, services->reads, &NX_TAKE(read)->message, event_found);
    return NX_OK;
}

static enum nx_status ask_by_scan(struct nx_http_exchange *exchange, const struct nx_http_query *query,
                                  struct nx_str function, struct nx_error *err) {
    struct nx_http_services *services = nx_http_services_of(exchange);
    NX_AUTO(nx_read) *read = NULL;
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    NX_TRY(nx_http_page_scan(exchange, "INVOCATIONS", query, &read, err));
    if (function.len > 0) {
        nx_buf_append(&subject, NX_STR("invocations."));
        nx_buf_append(&subject, function);
        NX_TRY(nx_buf_check(&subject, err));
    }
    read->subject = nx_arena_copy(&read->arena, nx_buf_str(&subject));
    exchange->note = NX_STR_EMPTY; /* the subject says it already */
    if (read->subject.ptr == NULL) {
        return nx_fail_memory(err);
    }
    nx_http_ask(exchange, services->reads, &NX_TAKE(read)->message, invocations_read);
    return NX_OK;
}

static enum nx_status read_filters(struct nx_http_exchange *exchange, const struct nx_http_query *query,
                                   struct nx_str *function_out, struct nx_error *err) {
    const struct nx_str outcome = nx_http_query_value(query, "outcome");
    const struct nx_str function = nx_http_query_value(query, "function");
    const struct nx_str details = nx_http_query_value(query, "details");
    enum nx_outcome wanted = 0;
    if (outcome.ptr != NULL) {
        NX_TRY(nx_outcome_read(outcome, &wanted, err));
        exchange->tag |= (unsigned)wanted + 1;
    }
    NX_TRY(nx_http_check_function(function, err));
    if (details.ptr != NULL && !nx_str_is(details, "false")) {
        if (!nx_str_is(details, "true") && details.len > 0) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "parameter 'details': expected true or false");
        }
        exchange->tag |= TAG_IN_FULL;
    }
    *function_out = function;
    return NX_OK;
}

static enum nx_status list_invocations(struct nx_http_exchange *exchange,
                                       const struct nx_http_request *request, struct nx_error *err) {
    static const char *const names[] = { "event", "function", "outcome", "details", NX_HTTP_PAGE_PARAMETERS,
                                         NULL };
    NX_AUTO(nx_arena) arena;
    struct nx_http_query query;
    struct nx_str function;
    nx_arena_init(&arena, ARENA_SIZE_MAX);
    NX_TRY(nx_http_query_parse(request->query, names, &arena, &query, err));
    NX_TRY(read_filters(exchange, &query, &function, err));
    const struct nx_str event = nx_http_query_value(&query, "event");
    return event.ptr != NULL ? ask_by_event(exchange, event, function, err)
                             : ask_by_scan(exchange, &query, function, err);
}

void nx_http_list_invocations(struct nx_http_services *services, struct nx_http_exchange *exchange,
                              const struct nx_http_request *request, struct nx_str parameter) {
    struct nx_error err = { 0 };
    (void)parameter;
    if (nx_http_live_is_wanted(request)) {
        nx_http_live_invocations(services, exchange, request);
        return;
    }
    if (list_invocations(exchange, request, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    }
}

/* One invocation */

static void invocation_read(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_read *read = (struct nx_read *)message;
    NX_AUTO(nx_arena) arena;
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    struct nx_error err = { 0 };
    nx_arena_init(&arena, ARENA_SIZE_MAX);
    nx_buf_init(&body, NX_HTTP_ANSWER_SIZE_MAX);
    const bool is_missing = read->status == NX_NOT_FOUND && read->error.kind != NX_KIND_EXPIRED;
    if (is_missing || (read->status == NX_OK && read->record_count == 0)) {
        (void)nx_fail(&err, NX_NOT_FOUND, "there is no invocation INVOCATIONS:%llu",
                      (unsigned long long)read->from_sequence);
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    } else if (read->status != NX_OK) {
        nx_http_respond_error(exchange, &read->error, NX_STR_EMPTY);
    } else {
        nx_json_writer_init(&writer, &body);
        nx_http_write_invocation(&writer, &read->records[0], true, &arena);
        nx_json_writer_end(&writer);
        nx_http_respond_json(exchange, &body);
    }
    nx_message_release(message);
}

void nx_http_get_invocation(struct nx_http_services *services, struct nx_http_exchange *exchange,
                            const struct nx_http_request *request, struct nx_str parameter) {
    struct nx_error err = { 0 };
    struct nx_read *read = NULL;
    uint64_t sequence = 0;
    NX_AUTO(nx_buf) id;
    (void)request;
    nx_buf_init(&id, NX_HTTP_HEADERS_SIZE_MAX);
    if (nx_percent_decode(&id, parameter, &err) == NX_OK &&
        !nx_http_parse_reference(nx_buf_str(&id), invocations_stream, &sequence)) {
        (void)nx_fail(&err, NX_INVALID_ARGUMENT, "'%.*s' is not the id of an invocation",
                      NX_STR_ARG(nx_str_slice(nx_buf_str(&id), 0, 64)));
        nx_hint(&err, "such ids look like INVOCATIONS:17; GET /invocations?event={id} lists an event's");
    }
    if (err.status != NX_OK || nx_read_new(NX_READ_BY_SEQUENCE, &read, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    read->stream = invocations_stream;
    read->from_sequence = sequence;
    nx_http_ask(exchange, services->reads, &read->message, invocation_read);
}
