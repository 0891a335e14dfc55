/* src/server/http/batch.c: many events in one request (CloudEvents' JSON batch format).
 *
 * A batch is one append: on disk are all of its events or none, and they stand next to each other. So one
 * wrong event refuses the batch, and the answer tells of every event whether it was at fault and where. A
 * repeated id is no fault: the event is a duplicate, as it is alone. */
#include "base/assert.h"
#include "codec/json.h"
#include "server/http/idempotency.h"
#include "server/http/tracing.h"
#include "server/http/publish.h"

/* What became of one event of a batch that is refused. */
struct item {
    struct nx_str id;       /* empty: unknown */
    struct nx_error *error; /* NULL: nothing is wrong with it */
    struct nx_cloudevent_fault fault;
};

/* A batch on its way; everything is in the arena. */
struct batch {
    struct nx_http_services *services;
    struct nx_http_exchange *exchange;
    const struct nx_http_request *request;
    struct nx_str type; /* of the path */
    struct nx_arena *arena;
    struct nx_append *append;
    struct item *items;
    size_t item_count;
    size_t fault_count;
};

void nx_http_respond_batch(struct nx_http_exchange *exchange, const struct nx_str *ids,
                           const struct nx_append_entry *entries, size_t count) {
    struct nx_http_services *services = nx_http_services_of(exchange);
    size_t duplicate_count = 0;
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    nx_buf_init(&body, NX_HTTP_ANSWER_SIZE_MAX);
    nx_json_writer_init(&writer, &body);
    nx_json_object_begin(&writer);
    nx_json_key(&writer, NX_STR("items"));
    nx_json_array_begin(&writer);
    for (size_t i = 0; i < count; i++) {
        const bool is_duplicate = entries == NULL || entries[i].duplicate;
        duplicate_count += is_duplicate ? 1 : 0;
        nx_json_object_begin(&writer);
        nx_json_member_str(&writer, "event_id", ids[i]);
        nx_json_member_c(&writer, "status", is_duplicate ? "duplicate" : "published");
        nx_json_object_end(&writer);
    }
    nx_json_array_end(&writer);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_buf_append_u8(&body, '\n');
    nx_counter_add(&services->counters->events_duplicate, duplicate_count);
    nx_counter_add(&services->counters->events_published, count - duplicate_count);
    if (nx_buf_failed(&body)) {
        nx_http_abandon(exchange); /* an error would say that it is not stored */
        return;
    }
    nx_http_respond(exchange, &(struct nx_http_response){ .status = 202,
                                                          .content_type = NX_STR("application/json"),
                                                          .body = nx_buf_str(&body) });
}

/* The batch is on disk, or it is not: its ids stand in exchange->note, one struct nx_str each. */
static void batch_published(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_append *append = (struct nx_append *)message;
    const struct nx_str *ids = (const struct nx_str *)(const void *)exchange->note.ptr;
    if (nx_http_idempotency_settles(exchange, append)) {
        return;
    }
    nx_http_respond_batch(exchange, ids, append->entries, exchange->note.len / sizeof *ids);
    nx_message_release(message);
}

/* Where every event stands is told of the first so many. */
static void respond_refused(const struct batch *batch) {
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    struct nx_error err = { 0 };
    size_t first = 0;
    while (batch->items[first].error == NULL) {
        first++;
    }
    err = *batch->items[first].error;
    (void)nx_wrap(&err, err.status, "event %zu of the batch", first);
    nx_buf_init(&body, NX_HTTP_ANSWER_SIZE_MAX);
    nx_json_writer_init(&writer, &body);
    nx_http_problem_begin(&writer, nx_error_http_status(&err), &err);
    nx_json_key(&writer, NX_STR("items"));
    nx_json_array_begin(&writer);
    for (size_t i = 0; i < batch->item_count; i++) {
        const struct item *item = &batch->items[i];
        nx_json_object_begin(&writer);
        nx_json_member_u64(&writer, "index", i);
        if (item->id.len > 0) {
            nx_json_member_str(&writer, "event_id", item->id);
        }
        nx_json_member_c(&writer, "status", item->error == NULL ? "not-stored" : "invalid");
        if (item->error != NULL) {
            nx_json_member_c(&writer, "detail", item->error->message);
            nx_http_member_fault(&writer, batch->request->body, item->fault.field, item->fault.offset);
        }
        nx_json_object_end(&writer);
    }
    nx_json_array_end(&writer);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_buf_append_u8(&body, '\n');
    nx_http_respond(batch->exchange,
                    &(struct nx_http_response){ .status = nx_error_http_status(&err),
                                                .content_type = NX_STR("application/problem+json"),
                                                .body = nx_buf_str(&body) });
}

/* Read one event and add it. */
static enum nx_status take_item(struct batch *batch, struct nx_str json, struct item *item,
                                struct nx_str *id_out, struct nx_error *err) {
    struct nx_http_exchange *exchange = batch->exchange;
    struct nx_cloudevent event;
    char trace[NX_TRACEPARENT_TEXT_SIZE + 1];
    NX_TRY(nx_cloudevent_from_json_at(json, batch->arena, &event, &item->fault, err));
    item->id = event.id;
    if (nx_http_check_event_type(event.type, batch->type, err) != NX_OK) {
        item->fault = nx_cloudevent_fault_of(json, NX_STR("type"));
        return NX_INVALID_ARGUMENT;
    }
    if (event.traceparent.len == 0) {
        nx_http_trace_begin(batch->services, exchange,
                            nx_http_request_header(batch->request, NX_STR("traceparent")));
        event.traceparent = nx_http_event_trace(exchange, &event, trace);
    }
    NX_TRY(nx_http_add_event(batch->services, batch->append, &event, true, err));
    *id_out = nx_arena_copy(&batch->append->arena, event.id);
    return id_out->ptr == NULL ? nx_fail_memory(err) : NX_OK;
}

/* Read all events; a wrong one is noted, and only want of memory ends the reading at once. */
static enum nx_status take_items(struct batch *batch, struct nx_str *ids, size_t count,
                                 struct nx_error *err) {
    struct nx_json_elements elements = nx_json_elements_of(batch->request->body);
    struct nx_str json;
    while (nx_json_elements_next(&elements, &json) && batch->fault_count < NX_HTTP_BATCH_FAULTS_MAX) {
        nx_assert(batch->item_count < count);
        struct item *item = &batch->items[batch->item_count];
        struct nx_error wrong = { 0 };
        *item = (struct item){ .id = NX_STR_EMPTY };
        const enum nx_status status = take_item(batch, json, item, &ids[batch->item_count], &wrong);
        batch->item_count++;
        if (status == NX_OK) {
            continue;
        }
        item->error = nx_arena_alloc(batch->arena, sizeof *item->error);
        if (status == NX_RESOURCE_EXHAUSTED || item->error == NULL) {
            return nx_fail_memory(err);
        }
        *item->error = wrong;
        item->fault.offset += (size_t)(json.ptr - batch->request->body.ptr);
        batch->fault_count++;
    }
    return NX_OK;
}

static enum nx_status count_items(struct nx_str body, size_t *count_out, struct nx_cloudevent_fault *fault,
                                  struct nx_error *err) {
    struct nx_str json;
    size_t count = 0;
    const enum nx_status status = nx_json_check(body, err);
    if (status != NX_OK) {
        fault->offset = nx_json_bad_at(body);
        return nx_wrap(err, status, "the batch is not JSON");
    }
    struct nx_json_elements elements = nx_json_elements_of(body);
    if (elements.failed) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "a batch is a JSON array of events");
    }
    while (nx_json_elements_next(&elements, &json)) {
        count++;
        if (count > NX_HTTP_BATCH_COUNT_MAX) {
            fault->offset = (size_t)(json.ptr - body.ptr);
            (void)nx_fail_kind(err, NX_KIND_TOO_LARGE, "a batch takes at most %d events",
                               NX_HTTP_BATCH_COUNT_MAX);
            nx_hint(err, "send the rest in a second batch");
            return NX_INVALID_ARGUMENT;
        }
    }
    *count_out = count;
    return NX_OK;
}

static void respond_empty(struct nx_http_exchange *exchange) {
    nx_http_respond(exchange, &(struct nx_http_response){ .status = 202,
                                                          .content_type = NX_STR("application/json"),
                                                          .body = NX_STR("{\"items\":[]}\n") });
}

/* Send the batch, or answer what is wrong with it. */
static enum nx_status send_batch(struct batch *batch, size_t count, struct nx_error *err) {
    NX_AUTO(nx_append) *append = NULL;
    struct nx_str key;
    NX_TRY(nx_http_idempotency_key(batch->request, &key, err));
    NX_TRY(nx_append_new(count + 1, 0, &append, err));
    struct nx_str *ids = nx_arena_alloc(&append->arena, count * sizeof *ids);
    batch->items = nx_arena_alloc(batch->arena, count * sizeof *batch->items);
    if (ids == NULL || batch->items == NULL) {
        return nx_fail_memory(err);
    }
    batch->append = append;
    NX_TRY(take_items(batch, ids, count, err));
    if (batch->fault_count > 0) {
        respond_refused(batch);
        return NX_OK;
    }
    NX_TRY(nx_http_idempotency_guard(append, batch->request, key, ids, count, true, err));
    batch->exchange->note = nx_str_of(ids, count * sizeof *ids);
    nx_http_ask(batch->exchange, batch->services->appends, &NX_TAKE(append)->message, batch_published);
    return NX_OK;
}

void nx_http_post_batch(struct nx_http_services *services, struct nx_http_exchange *exchange,
                        const struct nx_http_request *request, struct nx_str type) {
    NX_AUTO(nx_arena) arena;
    struct nx_error err = { 0 };
    struct nx_cloudevent_fault fault = { .field = NX_STR_EMPTY };
    struct batch batch = {
        .services = services, .exchange = exchange, .request = request, .type = type, .arena = &arena
    };
    size_t count = 0;
    nx_arena_init(&arena, NX_HTTP_EVENT_ARENA_SIZE_MAX);
    if (count_items(request->body, &count, &fault, &err) != NX_OK) {
        nx_http_respond_fault(exchange, &err, request->body, &fault);
    } else if (count == 0) {
        respond_empty(exchange);
    } else if (send_batch(&batch, count, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    }
}
