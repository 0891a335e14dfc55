/* src/server/http/wait.c: see wait.h. */
#include "server/http/wait.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "codec/headers.h"
#include "codec/json.h"
#include "server/answer.h"
#include "server/http/idempotency.h"
#include "server/http/publish.h"

enum {
    PROBLEM_SIZE_MAX = 16 * 1024,
};

/* What an exchange that waits for a function remembers. */
struct waiting {
    struct nx_http_services *services;
    char event_id[NX_ULID_TEXT_SIZE + 1];
    bool is_repeat;
    struct nx_answer_wait wait;
};

static struct waiting *waiting_of(const struct nx_http_exchange *exchange) {
    return exchange->state;
}

static void waiting_free(void *state) {
    struct waiting *waiting = state;
    nx_assert(waiting->services->waiting_count > 0);
    waiting->services->waiting_count--;
    nx_answer_wait_fini(&waiting->wait);
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
    nx_answer_wait_init(&waiting->wait);
    memcpy(waiting->wait.function, function.ptr, function.len);
    waiting->wait.deadline_ns = services->shared.now.monotonic_ns + trigger->wait_ns;
    waiting->wait.is_early = trigger->respond == NX_RESPOND_EARLY;
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

static void respond_answer(struct nx_http_exchange *exchange, const struct nx_answer_wait *wait) {
    struct nx_buf *headers = &nx_http_services_of(exchange)->scratch;
    struct nx_str ignored;
    append_call(headers, wait->invocation);
    nx_buf_append(headers, wait->headers);
    const bool has_type = nx_headers_find(wait->headers, NX_STR("content-type"), &ignored);
    if (nx_buf_failed(headers)) {
        nx_http_abandon(exchange);
    } else {
        nx_http_respond(exchange, &(struct nx_http_response){
                                      .status = wait->status == 0 ? 200 : (int)wait->status,
                                      .content_type = has_type ? NX_STR_EMPTY : type_of_output(wait->output),
                                      .body = wait->output,
                                      .headers = nx_buf_str(headers) });
    }
    nx_buf_reset(headers);
}

/* Problem details that name the event and what came of it. */
static void respond_problem(struct nx_http_exchange *exchange, const struct nx_error *err) {
    const struct waiting *waiting = waiting_of(exchange);
    const struct nx_answer_wait *wait = &waiting->wait;
    const int status = nx_error_http_status(err);
    struct nx_buf *headers = &nx_http_services_of(exchange)->scratch;
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    nx_buf_init(&body, PROBLEM_SIZE_MAX);
    nx_json_writer_init(&writer, &body);
    nx_http_problem_begin(&writer, status, err);
    nx_json_member_str(&writer, "event_id", nx_str_from_c(waiting->event_id));
    nx_json_member_c(&writer, "function", wait->function);
    if (wait->end == NX_AWAIT_GIVEN_UP) {
        char id[40];
        (void)snprintf(id, sizeof id, "INVOCATIONS:%" PRIu64, wait->invocation);
        nx_json_member_c(&writer, "invocation", id);
        nx_json_member_c(&writer, "outcome", nx_outcome_name(wait->outcome));
        nx_json_member_u64(&writer, "attempts", wait->attempt);
    }
    nx_json_member_bool(&writer, "will_run", wait->end != NX_AWAIT_GIVEN_UP);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_buf_append_u8(&body, '\n');
    append_call(headers, wait->end == NX_AWAIT_GIVEN_UP ? wait->invocation : 0);
    if (status == 503) {
        nx_buf_append(headers, NX_STR("Retry-After: 1\r\n"));
    }
    nx_http_respond(exchange, &(struct nx_http_response){ .status = status,
                                                          .content_type = NX_STR("application/problem+json"),
                                                          .body = nx_buf_str(&body),
                                                          .headers = nx_buf_str(headers) });
    nx_buf_reset(headers);
}

static void respond_failure(struct nx_http_exchange *exchange) {
    const struct waiting *waiting = waiting_of(exchange);
    const struct nx_answer_wait *wait = &waiting->wait;
    struct nx_error err = { 0 };
    if (wait->end == NX_AWAIT_GIVEN_UP) {
        (void)nx_fail_kind(
            &err, wait->outcome == NX_OUTCOME_DEADLINE ? NX_KIND_FUNCTION_TIMEOUT : NX_KIND_FUNCTION_FAILED,
            "'%s' failed: %.200s", wait->function, wait->error.message);
        nx_hint(&err, "nothing of it took effect, and it is not tried again: nexus trace %s",
                waiting->event_id);
    } else if (wait->end == NX_AWAIT_LATE) {
        (void)nx_fail_kind(&err, NX_KIND_ANSWER_LATE, "'%s' has not answered in time", wait->function);
        nx_hint(&err, "the event is stored and will be handled: nexus trace %s", waiting->event_id);
    } else {
        (void)nx_fail(&err, NX_UNAVAILABLE, "the server stops before '%s' has answered", wait->function);
        nx_hint(&err, "the event is stored and will be handled: nexus trace %s", waiting->event_id);
    }
    respond_problem(exchange, &err);
}

/* Waiting */

static void ask(struct nx_http_exchange *exchange);

static void answered(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_answer_wait *wait = &waiting_of(exchange)->wait;
    struct nx_error err = { 0 };
    bool is_known = false;
    if (nx_answer_wait_take(wait, message, &is_known, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    } else if (!is_known) {
        ask(exchange);
    } else if (wait->end == NX_AWAIT_SUCCEEDED) {
        respond_answer(exchange, wait);
    } else {
        respond_failure(exchange);
    }
}

/* The event is on disk: dispatch's full mailbox may not make that an error, and what waits here is bounded by
 * NX_HTTP_WAITING_MAX. */
static void ask(struct nx_http_exchange *exchange) {
    struct waiting *waiting = waiting_of(exchange);
    struct nx_message *message = NULL;
    struct nx_error err = { 0 };
    bool is_for_log = false;
    if (nx_answer_wait_next(&waiting->wait, &message, &is_for_log, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    } else if (is_for_log) {
        nx_http_ask(exchange, waiting->services->reads, message, answered);
    } else {
        message->context = exchange;
        message->reply_to = waiting->services->replies;
        exchange->resume = answered;
        waiting->services->under_way_count++;
        nx_mailbox_send_reply(waiting->services->functions, message);
    }
}

void nx_http_await_stored(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_append *append = (struct nx_append *)message;
    struct waiting *waiting = waiting_of(exchange);
    if (nx_http_idempotency_settles(exchange, append)) {
        return;
    }
    nx_counter_add(&waiting->services->counters->events_published, 1);
    name_event(exchange, exchange->note);
    waiting->wait.event_sequence = append->entries[0].sequence;
    ask(exchange);
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
        waiting_of(exchange)->wait.event_sequence = read->records[0].sequence;
        ask(exchange);
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
