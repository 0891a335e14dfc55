/* src/server/http/wait.c: see wait.h. */
#include "server/http/wait.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "codec/headers.h"
#include "codec/invocation.h"
#include "codec/json.h"
#include "codec/percent.h"
#include "fabric/object/object.h"
#include "platform/function/functions.h"
#include "platform/function/invocation.h"
#include "server/http/idempotency.h"
#include "server/http/publish.h"

enum {
    ARENA_SIZE_MAX = 64 * 1024 * 1024,
    HEADERS_SIZE_MAX = NX_RESPONSE_HEADERS_SIZE_MAX + NX_HTTP_EXTRA_HEADERS_SIZE_MAX,
    PROBLEM_SIZE_MAX = 16 * 1024,
    OUTPUT_SIZE_MAX = 16 * 1024 * 1024, /* more than any output limit */
};

/* What an exchange that waits for a function remembers. */
struct waiting {
    struct nx_http_services *services;
    char function[NX_FUNCTION_NAME_SIZE_MAX + 1];
    char event_id[NX_ULID_TEXT_SIZE + 1];
    int64_t deadline_ns; /* monotonic */
    uint64_t event_sequence;
    bool is_early;
    bool is_repeat;
    /* While a large output is fetched: */
    uint32_t status;
    uint64_t invocation;
    struct nx_buf headers;
    struct nx_buf output;
    size_t salt_size; /* bytes of `output` before what the function printed */
    struct nx_object_get get;
};

static struct waiting *waiting_of(const struct nx_http_exchange *exchange) {
    return exchange->state;
}

static void waiting_free(void *state) {
    struct waiting *waiting = state;
    nx_assert(waiting->services->waiting_count > 0);
    waiting->services->waiting_count--;
    nx_buf_fini(&waiting->headers);
    nx_buf_fini(&waiting->output);
    free(waiting);
}

bool nx_http_is_awaiting(const struct nx_http_exchange *exchange) {
    return exchange->state_free == waiting_free;
}

enum nx_status nx_http_await_begin(struct nx_http_exchange *exchange, const struct nx_trigger *trigger,
                                   struct nx_error *err) {
    struct nx_http_services *services = nx_http_services_of(exchange);
    const struct nx_str function = nx_trigger_function(trigger);
    if (services->functions == NULL) {
        return nx_fail(err, NX_UNAVAILABLE, "no functions run here");
    }
    if (services->waiting_count >= NX_HTTP_WAITING_MAX) {
        nx_counter_add(&services->counters->overloaded, 1);
        (void)nx_fail_kind(err, NX_KIND_OVERLOADED, "%d requests wait for functions already",
                           NX_HTTP_WAITING_MAX);
        nx_hint(err, "send it again in a second; nothing of it was stored");
        return NX_RESOURCE_EXHAUSTED;
    }
    struct waiting *waiting = calloc(1, sizeof *waiting);
    if (waiting == NULL) {
        return nx_fail_memory(err);
    }
    waiting->services = services;
    memcpy(waiting->function, function.ptr, function.len);
    waiting->deadline_ns = services->shared.now.monotonic_ns + trigger->wait_ns;
    waiting->is_early = trigger->respond == NX_RESPOND_EARLY;
    nx_buf_init(&waiting->headers, HEADERS_SIZE_MAX);
    nx_buf_init(&waiting->output, OUTPUT_SIZE_MAX);
    services->waiting_count++;
    exchange->state = waiting;
    exchange->state_free = waiting_free;
    return NX_OK;
}

/* Answers */

/* The event is known: whatever is answered names it, also when that is that the server stops, so that it can
 * be looked up and traced. */
static void name_event(struct nx_http_exchange *exchange, struct nx_str id) {
    struct waiting *waiting = waiting_of(exchange);
    char trace[NX_TRACEPARENT_TEXT_SIZE + 1];
    (void)snprintf(waiting->event_id, sizeof waiting->event_id, "%.*s", NX_STR_ARG(id));
    exchange->stored = true;
    nx_buf_append(&exchange->headers, NX_STR("Nexus-Event: "));
    nx_buf_append_c(&exchange->headers, waiting->event_id);
    nx_buf_append(&exchange->headers, NX_STR("\r\ntraceparent: "));
    nx_buf_append(&exchange->headers, nx_traceparent_format(&exchange->trace, trace));
    nx_buf_append(&exchange->headers, NX_STR("\r\n"));
    if (waiting->is_repeat) {
        nx_buf_append(&exchange->headers, NX_STR("Idempotent-Replayed: true\r\n"));
    }
}

static void append_call(struct nx_buf *headers, uint64_t invocation) {
    if (invocation != 0) {
        nx_buf_append(headers, NX_STR("Nexus-Invocation: INVOCATIONS:"));
        nx_buf_append_decimal(headers, invocation);
        nx_buf_append(headers, NX_STR("\r\n"));
    }
}

/* Of an output whose function did not say. */
static struct nx_str type_of_output(struct nx_str output) {
    if (output.len == 0) {
        return NX_STR_EMPTY;
    }
    if (nx_json_is_valid(output)) {
        return NX_STR("application/json");
    }
    return nx_str_is_utf8(output) ? NX_STR("text/plain; charset=utf-8") : NX_STR("application/octet-stream");
}

static void respond_answer(struct nx_http_exchange *exchange, uint32_t status, struct nx_str of_function,
                           struct nx_str output, uint64_t invocation) {
    struct nx_buf *headers = &nx_http_services_of(exchange)->scratch;
    struct nx_str ignored;
    append_call(headers, invocation);
    nx_buf_append(headers, of_function);
    const bool has_type = nx_headers_find(of_function, NX_STR("content-type"), &ignored);
    if (nx_buf_failed(headers)) {
        nx_http_abandon(exchange);
    } else {
        nx_http_respond(exchange, &(struct nx_http_response){
                                      .status = status == 0 ? 200 : (int)status,
                                      .content_type = has_type ? NX_STR_EMPTY : type_of_output(output),
                                      .body = output,
                                      .headers = nx_buf_str(headers) });
    }
    nx_buf_reset(headers);
}

/* Problem details that name the event and what came of it. */
static void respond_problem(struct nx_http_exchange *exchange, const struct nx_error *err,
                            const struct nx_functions_await *await) {
    const struct waiting *waiting = waiting_of(exchange);
    const int status = nx_error_http_status(err);
    struct nx_buf *headers = &nx_http_services_of(exchange)->scratch;
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    nx_buf_init(&body, PROBLEM_SIZE_MAX);
    nx_json_writer_init(&writer, &body);
    nx_http_problem_begin(&writer, status, err);
    nx_json_member_str(&writer, "event_id", nx_str_from_c(waiting->event_id));
    nx_json_member_c(&writer, "function", waiting->function);
    if (await->end == NX_AWAIT_GIVEN_UP) {
        char id[40];
        (void)snprintf(id, sizeof id, "INVOCATIONS:%" PRIu64, await->invocation);
        nx_json_member_c(&writer, "invocation", id);
        nx_json_member_c(&writer, "outcome", nx_outcome_name(await->outcome));
        nx_json_member_u64(&writer, "attempts", await->attempt);
    }
    nx_json_member_bool(&writer, "will_run", await->end != NX_AWAIT_GIVEN_UP);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_buf_append_u8(&body, '\n');
    append_call(headers, await->end == NX_AWAIT_GIVEN_UP ? await->invocation : 0);
    if (status == 503) {
        nx_buf_append(headers, NX_STR("Retry-After: 1\r\n"));
    }
    nx_http_respond(exchange, &(struct nx_http_response){ .status = status,
                                                          .content_type = NX_STR("application/problem+json"),
                                                          .body = nx_buf_str(&body),
                                                          .headers = nx_buf_str(headers) });
    nx_buf_reset(headers);
}

static void respond_failure(struct nx_http_exchange *exchange, const struct nx_functions_await *await) {
    const struct waiting *waiting = waiting_of(exchange);
    struct nx_error err = { 0 };
    if (await->end == NX_AWAIT_GIVEN_UP) {
        (void)nx_fail_kind(
            &err, await->outcome == NX_OUTCOME_DEADLINE ? NX_KIND_FUNCTION_TIMEOUT : NX_KIND_FUNCTION_FAILED,
            "'%s' failed: %.200s", waiting->function, await->error.message);
        nx_hint(&err, "nothing of it took effect, and it is not tried again: nexus trace %s",
                waiting->event_id);
    } else if (await->end == NX_AWAIT_LATE) {
        (void)nx_fail_kind(&err, NX_KIND_ANSWER_LATE, "'%s' has not answered in time", waiting->function);
        nx_hint(&err, "the event is stored and will be handled: nexus trace %s", waiting->event_id);
    } else {
        (void)nx_fail(&err, NX_UNAVAILABLE, "the server stops before '%s' has answered", waiting->function);
        nx_hint(&err, "the event is stored and will be handled: nexus trace %s", waiting->event_id);
    }
    respond_problem(exchange, &err, await);
}

/* From the log */

static void next_chunk(struct nx_http_exchange *exchange);

static void chunk_read(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_error err = { 0 };
    if (nx_object_get_take(&waiting_of(exchange)->get, (struct nx_read *)message, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    } else {
        next_chunk(exchange);
    }
    nx_message_release(message);
}

static void next_chunk(struct nx_http_exchange *exchange) {
    struct waiting *waiting = waiting_of(exchange);
    struct nx_read *read = NULL;
    struct nx_error err = { 0 };
    if (nx_object_get_next(&waiting->get, &read, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    } else if (read != NULL) {
        nx_http_ask(exchange, waiting->services->reads, &read->message, chunk_read);
    } else {
        const struct nx_str stored = nx_buf_str(&waiting->output);
        respond_answer(exchange, waiting->status, nx_buf_str(&waiting->headers),
                       nx_str_slice(stored, waiting->salt_size, stored.len), waiting->invocation);
    }
}

static void respond_recorded(struct nx_http_exchange *exchange, const struct nx_record *record,
                             struct nx_arena *arena) {
    struct waiting *waiting = waiting_of(exchange);
    struct nx_invocation invocation;
    struct nx_error err = { 0 };
    if (nx_record_withheld(record).len > 0) {
        (void)nx_fail_kind(&err, NX_KIND_ERASED, "what '%s' answered was about a person who was forgotten",
                           waiting->function);
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    if (nx_invocation_decode(record->payload, arena, &invocation, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    if (invocation.outcome != NX_OUTCOME_OK) {
        struct nx_functions_await await = { .end = NX_AWAIT_GIVEN_UP,
                                            .outcome = invocation.outcome,
                                            .attempt = invocation.attempt,
                                            .invocation = record->sequence };
        (void)snprintf(await.error.message, sizeof await.error.message, "%.*s", NX_STR_ARG(invocation.error));
        respond_failure(exchange, &await);
        return;
    }
    struct nx_str headers = NX_STR_EMPTY;
    uint64_t status = 0;
    if (invocation.effect_count > 0 &&
        invocation.effects[invocation.effect_count - 1].kind == NX_EFFECT_RESPOND) {
        headers = invocation.effects[invocation.effect_count - 1].type;
        (void)nx_str_to_u64(invocation.effects[invocation.effect_count - 1].name, &status);
    }
    if ((invocation.flags & NX_INVOCATION_OUTPUT_STORED) == 0) {
        respond_answer(exchange, (uint32_t)status, headers, invocation.output.bytes, record->sequence);
        return;
    }
    waiting->status = (uint32_t)status;
    waiting->invocation = record->sequence;
    waiting->salt_size = (invocation.flags & NX_INVOCATION_PERSONAL) != 0 ? NX_DIGEST_SIZE : 0;
    nx_buf_append(&waiting->headers, headers);
    nx_object_get_init(&waiting->get, NX_CALL_OBJECTS_BUCKET, &invocation.output.digest, &waiting->output);
    waiting->get.otherwise = NX_OBJECTS_BUCKET;
    next_chunk(exchange);
}

/* The record that ended this function's handling of the event; NULL: none. */
static const struct nx_record *last_of(const struct nx_read *read, struct nx_str function) {
    const struct nx_str prefix = NX_STR("invocations.");
    const struct nx_record *found = NULL;
    for (size_t i = 0; i < read->record_count; i++) {
        const struct nx_record *record = &read->records[i];
        struct nx_invocation head;
        if (nx_str_is(record->stream, "INVOCATIONS") &&
            nx_str_equal(nx_str_slice(record->subject, prefix.len, record->subject.len), function) &&
            nx_invocation_decode_head(record->payload, &head, NULL) == NX_OK &&
            (head.flags & NX_INVOCATION_LIVE_REPLAY) == 0 &&
            (head.outcome == NX_OUTCOME_OK || (head.flags & NX_INVOCATION_DEAD_LETTER) != 0)) {
            found = record;
        }
    }
    return found;
}

static void records_read(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_read *read = (struct nx_read *)message;
    struct nx_error err = { 0 };
    NX_AUTO(nx_arena) arena;
    nx_arena_init(&arena, ARENA_SIZE_MAX);
    const struct nx_record *record =
        read->status != NX_OK ? NULL : last_of(read, nx_str_from_c(waiting_of(exchange)->function));
    if (record != NULL) {
        respond_recorded(exchange, record, &arena);
    } else if (read->status != NX_OK && read->status != NX_NOT_FOUND) {
        nx_http_respond_error(exchange, &read->error, NX_STR_EMPTY);
    } else {
        (void)nx_fail_kind(&err, NX_KIND_EXPIRED, "what '%s' answered is not kept any more",
                           waiting_of(exchange)->function);
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    }
    nx_message_release(message);
}

static void ask_log(struct nx_http_exchange *exchange) {
    struct waiting *waiting = waiting_of(exchange);
    struct nx_read *read = NULL;
    struct nx_error err = { 0 };
    char key[32];
    if (nx_read_new(NX_READ_BY_REFERENCE, &read, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    const int len = snprintf(key, sizeof key, "EVENTS:%" PRIu64, waiting->event_sequence);
    read->stream = NX_STR("INVOCATIONS");
    read->key = nx_arena_copy(&read->arena, nx_str_of(key, (size_t)len));
    if (read->key.ptr == NULL) {
        nx_message_release(&read->message);
        (void)nx_fail_memory(&err);
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_ask(exchange, waiting->services->reads, &read->message, records_read);
}

/* Waiting */

static void ended(struct nx_http_exchange *exchange, struct nx_message *message) {
    const struct nx_functions_await *await = (const struct nx_functions_await *)(void *)message;
    switch (await->end) {
    case NX_AWAIT_SUCCEEDED:
        respond_answer(exchange, await->answer->status, await->answer->headers, await->answer->output,
                       await->invocation);
        break;
    case NX_AWAIT_PASSED:
        ask_log(exchange);
        break;
    case NX_AWAIT_GIVEN_UP:
    case NX_AWAIT_LATE:
    case NX_AWAIT_STOPPED:
        respond_failure(exchange, await);
        break;
    }
    nx_message_release(message);
}

/* The event is on disk: a full mailbox may not make that an error, and what waits here is bounded by
 * NX_HTTP_WAITING_MAX. */
static void ask_dispatch(struct nx_http_exchange *exchange) {
    struct waiting *waiting = waiting_of(exchange);
    struct nx_functions_await *await = NULL;
    struct nx_error err = { 0 };
    if (nx_functions_await_new(nx_str_from_c(waiting->function), waiting->event_sequence, &await, &err) !=
        NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    await->deadline_ns = waiting->deadline_ns;
    await->is_early = waiting->is_early;
    await->message.context = exchange;
    await->message.reply_to = waiting->services->replies;
    exchange->resume = ended;
    waiting->services->under_way_count++;
    nx_mailbox_send_reply(waiting->services->functions, &await->message);
}

void nx_http_await_stored(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_append *append = (struct nx_append *)message;
    struct waiting *waiting = waiting_of(exchange);
    if (nx_http_idempotency_settles(exchange, append)) {
        return;
    }
    nx_counter_add(&waiting->services->counters->events_published, 1);
    name_event(exchange, exchange->note);
    waiting->event_sequence = append->entries[0].sequence;
    ask_dispatch(exchange);
    nx_message_release(message);
}

/* Repeats */

static void first_event_read(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_read *read = (struct nx_read *)message;
    if (read->status != NX_OK) {
        nx_http_respond_error(exchange, &read->error, NX_STR_EMPTY);
    } else if (read->record_count == 0) {
        struct nx_error err = { 0 };
        (void)nx_fail_kind(&err, NX_KIND_EXPIRED, "the first request's event is not kept any more");
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    } else {
        waiting_of(exchange)->event_sequence = read->records[0].sequence;
        ask_dispatch(exchange);
    }
    nx_message_release(message);
}

void nx_http_await_first(struct nx_http_exchange *exchange, struct nx_str event_id) {
    struct waiting *waiting = waiting_of(exchange);
    struct nx_read *read = NULL;
    struct nx_error err = { 0 };
    waiting->is_repeat = true;
    nx_counter_add(&waiting->services->counters->events_duplicate, 1);
    name_event(exchange, event_id);
    if (nx_read_new(NX_READ_BY_ID, &read, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    read->stream = NX_STR("EVENTS");
    read->key = nx_arena_copy(&read->arena, nx_str_from_c(waiting->event_id));
    if (read->key.ptr == NULL) {
        nx_message_release(&read->message);
        (void)nx_fail_memory(&err);
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_ask(exchange, waiting->services->reads, &read->message, first_event_read);
}
