/* src/server/http/functions.c: what functions there are, how they stand, and what they did, done again. */
#include "codec/percent.h"
#include "platform/function/functions.h"
#include "platform/function/trigger.h"
#include "server/http/invocation_json.h"
#include "server/http/page.h"
#include "server/http/query.h"
#include "server/http/replay_json.h"
#include "server/http/services.h"

enum { ARENA_SIZE_MAX = 64 * 1024 };

static bool has_functions(struct nx_http_services *services, struct nx_http_exchange *exchange) {
    struct nx_error err = { 0 };
    if (services->functions != NULL) {
        return true;
    }
    (void)nx_fail(&err, NX_UNAVAILABLE, "this server runs no functions");
    nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    return false;
}

/* GET /functions */

static void write_function(struct nx_json_writer *writer, const struct nx_function_state *state) {
    const struct nx_function *function = state->function;
    char digest[NX_DIGEST_TEXT_SIZE + 1];
    nx_json_object_begin(writer);
    nx_json_member_str(writer, "name", function->name);
    nx_triggers_write(writer, function);
    nx_json_member_c(writer, "condition", nx_function_condition_name(state->condition));
    nx_json_member_str(writer, "module", nx_digest_format(&state->module_digest, digest));
    nx_json_member_str(writer, "code", function->code_path);
    nx_json_member_i64(writer, "timeout_ns", function->timeout_ns);
    nx_json_member_u64(writer, "memory_max", function->memory_max);
    nx_json_member_u64(writer, "concurrency_max", function->concurrency_max);
    nx_json_member_u64(writer, "attempts_max", function->retry.attempts_max);
    if (function->order_key.len > 0) {
        nx_json_member_str(writer, "order_key", function->order_key);
    }
    nx_json_member_u64(writer, "start_sequence", state->start_sequence);
    nx_json_member_u64(writer, "floor", state->floor);
    nx_json_member_u64(writer, "pending", state->pending_count);
    nx_json_member_u64(writer, "running", state->running_count);
    nx_json_member_u64(writer, "retrying", state->retrying_count);
    nx_json_member_u64(writer, "succeeded", state->succeeded_count);
    nx_json_member_u64(writer, "failed", state->failed_count);
    nx_json_member_u64(writer, "dead_letters", state->dead_letter_count);
    nx_json_object_end(writer);
}

static void described(struct nx_http_exchange *exchange, struct nx_message *message) {
    const struct nx_functions_describe *describe = (struct nx_functions_describe *)message;
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    nx_buf_init(&body, NX_HTTP_ANSWER_SIZE_MAX);
    if (describe->status != NX_OK) {
        nx_http_respond_error(exchange, &describe->error, NX_STR_EMPTY);
        nx_message_release(message);
        return;
    }
    nx_json_writer_init(&writer, &body);
    nx_json_object_begin(&writer);
    nx_json_key(&writer, NX_STR("functions"));
    nx_json_array_begin(&writer);
    for (size_t i = 0; i < describe->state_count; i++) {
        write_function(&writer, &describe->states[i]);
    }
    nx_json_array_end(&writer);
    nx_json_member_u64(&writer, "events_head", describe->events_head);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_http_respond_json(exchange, &body);
    nx_message_release(message);
}

void nx_http_list_functions(struct nx_http_services *services, struct nx_http_exchange *exchange,
                            const struct nx_http_request *request, struct nx_str parameter) {
    struct nx_functions_describe *describe = NULL;
    struct nx_error err = { 0 };
    (void)request;
    (void)parameter;
    if (!has_functions(services, exchange)) {
        return;
    }
    if (nx_functions_describe_new(&describe, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_ask(exchange, services->functions, &describe->message, described);
}

/* POST /replay/{id}, POST /replay?since=… */

static void replayed(struct nx_http_exchange *exchange, struct nx_message *message) {
    const struct nx_functions_replay *replay = (struct nx_functions_replay *)message;
    const struct nx_replay_report *report = &replay->report;
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    nx_buf_init(&body, NX_HTTP_ANSWER_SIZE_MAX);
    if (replay->status != NX_OK) {
        nx_http_respond_error(exchange, &replay->error, NX_STR_EMPTY);
        nx_message_release(message);
        return;
    }
    nx_json_writer_init(&writer, &body);
    nx_http_write_replay(&writer, report);
    nx_json_writer_end(&writer);
    nx_http_respond_json(exchange, &body);
    nx_message_release(message);
}

static enum nx_status make_replay(const struct nx_http_services *services,
                                  const struct nx_http_request *request, struct nx_str parameter,
                                  struct nx_functions_replay **replay_out, struct nx_error *err) {
    static const char *const names[] = { "mode", "function", "attempt", "since", "until", NULL };
    const int64_t now_ns = services->shared.now.wall_ns;
    struct nx_replay_question question = { .mode = NX_REPLAY_EXACT };
    struct nx_http_query query;
    uint64_t attempt = 0;
    NX_AUTO(nx_arena) arena;
    NX_AUTO(nx_buf) id;
    nx_arena_init(&arena, ARENA_SIZE_MAX);
    nx_buf_init(&id, NX_HTTP_HEADERS_SIZE_MAX);
    NX_TRY(nx_percent_decode(&id, parameter, err));
    NX_TRY(nx_http_query_parse(request->query, names, &arena, &query, err));
    NX_TRY(nx_http_query_u64(&query, "attempt", 1, UINT32_MAX, &attempt, err));
    NX_TRY(nx_http_query_time(&query, "since", now_ns, &question.since_ns, err));
    NX_TRY(nx_http_query_time(&query, "until", now_ns, &question.until_ns, err));
    const struct nx_str mode = nx_http_query_value(&query, "mode");
    if (mode.ptr != NULL && nx_str_is(mode, "live")) {
        question.mode = NX_REPLAY_LIVE;
    } else if (mode.ptr != NULL && !nx_str_is(mode, "exact")) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "parameter 'mode': expected exact or live, not '%.*s'",
                       NX_STR_ARG(nx_str_slice(mode, 0, 64)));
    }
    question.id = nx_buf_str(&id);
    if (question.id.len == 0 && question.since_ns == 0 && question.until_ns == 0) {
        (void)nx_fail(err, NX_INVALID_ARGUMENT, "replay of what?");
        nx_hint(err, "name an event or an invocation in the path, or a range by since and until");
        return NX_INVALID_ARGUMENT;
    }
    question.function = nx_http_query_value(&query, "function");
    question.attempt = (uint32_t)attempt;
    return nx_functions_replay_new(&question, replay_out, err);
}

void nx_http_post_replay(struct nx_http_services *services, struct nx_http_exchange *exchange,
                         const struct nx_http_request *request, struct nx_str parameter) {
    struct nx_functions_replay *replay = NULL;
    struct nx_error err = { 0 };
    if (!has_functions(services, exchange)) {
        return;
    }
    if (make_replay(services, request, parameter, &replay, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_ask(exchange, services->functions, &replay->message, replayed);
}

/* GET /replay */

static void progressed(struct nx_http_exchange *exchange, struct nx_message *message) {
    const struct nx_functions_progress *progress = (struct nx_functions_progress *)message;
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    nx_buf_init(&body, NX_HTTP_ANSWER_SIZE_MAX);
    nx_json_writer_init(&writer, &body);
    nx_json_object_begin(&writer);
    nx_json_member_bool(&writer, "running", progress->is_running);
    nx_json_member_u64(&writer, "done", progress->progress.done_count);
    nx_json_member_u64(&writer, "total", progress->progress.total_count);
    nx_json_member_u64(&writer, "waiting", progress->waiting_count);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_http_respond_json(exchange, &body);
    nx_message_release(message);
}

void nx_http_get_replay(struct nx_http_services *services, struct nx_http_exchange *exchange,
                        const struct nx_http_request *request, struct nx_str parameter) {
    struct nx_functions_progress *progress = NULL;
    struct nx_error err = { 0 };
    (void)request;
    (void)parameter;
    if (!has_functions(services, exchange)) {
        return;
    }
    if (nx_functions_progress_new(&progress, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_ask(exchange, services->functions, &progress->message, progressed);
}

/* POST /dlq/{function} */

static void requeued(struct nx_http_exchange *exchange, struct nx_message *message) {
    const struct nx_functions_requeue *requeue = (struct nx_functions_requeue *)message;
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    nx_buf_init(&body, NX_HTTP_ANSWER_SIZE_MAX);
    if (requeue->status != NX_OK) {
        nx_http_respond_error(exchange, &requeue->error, NX_STR_EMPTY);
    } else {
        nx_json_writer_init(&writer, &body);
        nx_json_object_begin(&writer);
        nx_json_member_c(&writer, "function", requeue->function);
        nx_json_member_u64(&writer, "requeued", requeue->count);
        nx_json_object_end(&writer);
        nx_json_writer_end(&writer);
        nx_http_respond_json(exchange, &body);
    }
    nx_message_release(message);
}

void nx_http_post_requeue(struct nx_http_services *services, struct nx_http_exchange *exchange,
                          const struct nx_http_request *request, struct nx_str parameter) {
    struct nx_functions_requeue *requeue = NULL;
    struct nx_error err = { 0 };
    (void)request;
    if (!has_functions(services, exchange)) {
        return;
    }
    if (parameter.len > NX_FUNCTION_NAME_SIZE_MAX) {
        (void)nx_fail(&err, NX_NOT_FOUND, "there is no such function");
    }
    if (err.status != NX_OK || nx_functions_requeue_new(parameter, &requeue, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_ask(exchange, services->functions, &requeue->message, requeued);
}
