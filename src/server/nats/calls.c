#include "server/nats/calls.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "codec/headers.h"
#include "platform/function/trigger.h"
#include "server/answer.h"
#include "server/nats/access.h"
#include "server/nats/jetstream_internal.h"

enum {
    ROUNDS_MAX = 4,           /* of one turn: answers that are messages to functions again */
    STATUS_UNAVAILABLE = 503, /* as of HTTP: told in Nats-Service-Error-Code (ADR-32) */
    STATUS_FAILED = 500,
    STATUS_LATE = 504,
    STATUS_ERROR_MIN = 400,
    BLOCK_SIZE_MAX = NX_HEADERS_SIZE_MAX,
};

/* Whom a subscription is for; its index is the sid. */
struct target {
    const struct nx_trigger *trigger; /* of the registry */
    struct nx_str function;
};

struct nx_nats_calls {
    struct nx_nats_calls_options options;
    struct nx_registry *registry; /* NULL: none yet */
    struct nx_nats_conn *conn;    /* the functions' own */
    struct target *targets;
    size_t target_count;
    struct nx_list waiting; /* calls whose function is to answer */
};

/* A message on its way; its job's state. */
struct call {
    struct nx_list_node node; /* while it waits for its function */
    struct nx_nats_calls *calls;
    struct nx_nats_js_job *job;
    enum nx_respond respond;
    int64_t wait_ns;
    size_t size;
    bool is_waiting;
    bool is_answered; /* it only waits for a message to come back */
    struct nx_answer_wait wait;
};

static void call_free(struct call *call) {
    if (call->is_waiting) {
        nx_list_remove(&call->calls->waiting, &call->node);
    }
    nx_answer_wait_fini(&call->wait);
    nx_nats_js_job_free(call->job);
    free(call);
}

/* Answers */

/* A header's value is one line. */
static void append_line(struct nx_buf *lines, const char *name, const char *value) {
    char text[512];
    size_t len = 0;
    for (; value[len] != '\0' && len + 1 < sizeof text; len++) {
        text[len] = (unsigned char)value[len] < ' ' ? ' ' : value[len];
    }
    nx_buf_append_format(lines, "%s: %.*s\r\n", name, (int)len, text);
}

static void reply(struct call *call, struct nx_buf *lines, struct nx_str payload) {
    struct nx_nats_jetstream *jetstream = call->calls->options.jetstream;
    NX_AUTO(nx_buf) block;
    nx_buf_init(&block, 2 * BLOCK_SIZE_MAX);
    if (call->is_answered || call->job->reply.len == 0) {
        return;
    }
    if (call->wait.event_sequence != 0) {
        nx_buf_append_format(lines, "Nexus-Event: EVENTS:%" PRIu64 "\r\n", call->wait.event_sequence);
    }
    if (call->wait.invocation != 0) {
        nx_buf_append_format(lines, "Nexus-Invocation: INVOCATIONS:%" PRIu64 "\r\n", call->wait.invocation);
    }
    nx_nats_headers_append(&block, &(struct nx_nats_headers){ .lines = nx_buf_str(lines) });
    nx_nats_js_reply(jetstream, call->job, nx_buf_str(&block), payload);
    call->is_answered = true;
}

/* As NATS's services tell an error. */
static void reply_error(struct call *call, unsigned status, const char *text) {
    NX_AUTO(nx_buf) lines;
    nx_buf_init(&lines, BLOCK_SIZE_MAX);
    append_line(&lines, "Nats-Service-Error", text);
    nx_buf_append_format(&lines, "Nats-Service-Error-Code: %u\r\n", status);
    reply(call, &lines, NX_STR_EMPTY);
}

static void reply_answer(struct call *call) {
    const struct nx_answer_wait *wait = &call->wait;
    NX_AUTO(nx_buf) lines;
    nx_buf_init(&lines, BLOCK_SIZE_MAX);
    nx_buf_append(&lines, wait->headers);
    if (wait->status >= STATUS_ERROR_MIN) {
        nx_buf_append_format(&lines, "Nats-Service-Error: status %u\r\nNats-Service-Error-Code: %u\r\n",
                             wait->status, wait->status);
    }
    reply(call, &lines, wait->output);
}

static void reply_failure(struct call *call) {
    const struct nx_answer_wait *wait = &call->wait;
    char text[256];
    if (wait->end == NX_AWAIT_GIVEN_UP) {
        (void)snprintf(text, sizeof text, "'%s' failed: %.160s", wait->function, wait->error.message);
        reply_error(call, wait->outcome == NX_OUTCOME_DEADLINE ? STATUS_LATE : STATUS_FAILED, text);
    } else if (wait->end == NX_AWAIT_LATE) {
        (void)snprintf(text, sizeof text, "'%s' has not answered in time; the event will be handled",
                       wait->function);
        reply_error(call, STATUS_LATE, text);
    } else {
        reply_error(call, STATUS_UNAVAILABLE, "the server stops; the event will be handled");
    }
}

/* From the message to the answer */

static void ask(struct call *call) {
    const struct nx_nats_calls_options *options = &call->calls->options;
    struct nx_message *message = NULL;
    struct nx_error err = { 0 };
    bool is_for_log = false;
    if (nx_answer_wait_next(&call->wait, &message, &is_for_log, &err) != NX_OK) {
        reply_error(call, STATUS_FAILED, err.message);
        call_free(call);
    } else {
        nx_nats_js_ask_surely(options->jetstream, call->job, is_for_log ? options->reads : options->functions,
                              message);
    }
}

static void take_answer(struct call *call, struct nx_message *message) {
    struct nx_error err = { 0 };
    bool is_known = false;
    if (nx_answer_wait_take(&call->wait, message, &is_known, &err) != NX_OK) {
        reply_error(call, STATUS_FAILED, err.message);
    } else if (!is_known && !call->is_answered) {
        ask(call);
        return;
    } else if (call->wait.end == NX_AWAIT_SUCCEEDED) {
        reply_answer(call);
    } else {
        reply_failure(call);
    }
    call_free(call);
}

static void refuse(struct call *call, struct nx_str subject, const char *text) {
    struct nx_js_error why = { 0 };
    (void)nx_js_fail_with(&why, NX_JS_STREAM_STORE_FAILED, "%s", text);
    nx_nats_events_note(call->calls->options.events, subject, false, text, call->job->reply.len > 0,
                        call->calls->options.hub->now.monotonic_ns);
    if (call->respond == NX_RESPOND_PUBLISHED) {
        nx_nats_js_send_puback(call->calls->options.jetstream, call->job, 0, false, &why);
    } else {
        reply_error(call, STATUS_UNAVAILABLE, text);
    }
    call_free(call);
}

/* The event is on disk, or is not. */
static void take_append(struct call *call, struct nx_message *message) {
    NX_AUTO(nx_append) *append = (struct nx_append *)message;
    const struct nx_append_entry *entry = &append->entries[0];
    struct nx_nats_calls *calls = call->calls;
    nx_nats_js_count(calls->options.jetstream, call->size, false);
    if (append->status != NX_OK) {
        refuse(call, entry->subject, append->error.message);
        return;
    }
    nx_nats_events_note(calls->options.events, entry->subject, entry->duplicate, NULL, true, 0);
    call->wait.event_sequence = entry->sequence;
    if (call->job->reply.len == 0 || call->respond == NX_RESPOND_PUBLISHED) {
        nx_nats_js_send_puback(calls->options.jetstream, call->job, entry->sequence, entry->duplicate, NULL);
        call_free(call);
    } else if (calls->options.functions == NULL || calls->waiting.count >= NX_NATS_CALLS_MAX) {
        reply_error(call, STATUS_UNAVAILABLE,
                    "too many wait for functions already; the event will be handled");
        call_free(call);
    } else {
        call->wait.deadline_ns = calls->options.hub->now.monotonic_ns + call->wait_ns;
        call->is_waiting = true;
        nx_list_append(&calls->waiting, &call->node);
        ask(call);
    }
}

/* False: it is ended here. */
static bool go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                  struct nx_message *message) {
    struct call *call = job->state;
    (void)jetstream;
    if (message->kind == NX_FABRIC_APPEND) {
        take_append(call, message);
    } else {
        take_answer(call, message);
    }
    return false;
}

static const struct nx_nats_js_api call_api = { .pattern = "", .type = "", .go_on = go_on };

static struct call *call_new(struct nx_nats_calls *calls, const struct target *target,
                             const struct nx_nats_op *message) {
    struct call *call = calloc(1, sizeof *call);
    struct nx_nats_js_job *job =
        call == NULL ? NULL : nx_nats_js_job_new(NX_NATS_JS_API, nx_nats_account_default, message);
    if (job == NULL) {
        free(call);
        return NULL;
    }
    job->api = &call_api;
    job->state = call;
    job->name = NX_STR("EVENTS");
    call->calls = calls;
    call->job = job;
    call->respond = target->trigger->respond;
    call->wait_ns = target->trigger->wait_ns;
    call->size = message->headers.len + message->payload.len;
    nx_answer_wait_init(&call->wait);
    memcpy(call->wait.function, target->function.ptr, target->function.len);
    call->wait.is_early = call->respond == NX_RESPOND_EARLY;
    return call;
}

static void take(struct nx_nats_calls *calls, const struct target *target, const struct nx_nats_op *message) {
    struct call *call = call_new(calls, target, message);
    struct nx_append *append = NULL;
    struct nx_error err = { 0 };
    if (call == NULL) {
        nx_nats_events_note(calls->options.events, message->subject, false, "out of memory", false,
                            calls->options.hub->now.monotonic_ns);
    } else if (nx_nats_events_call_append(calls->options.events, target->trigger, message,
                                          calls->options.hub->now.wall_ns, &append, &err) != NX_OK) {
        refuse(call, message->subject, err.message);
    } else {
        nx_nats_js_count(calls->options.jetstream, call->size, true);
        nx_nats_js_ask_surely(calls->options.jetstream, call->job, calls->options.appends, &append->message);
    }
}

/* The client */

static void take_all(struct nx_nats_calls *calls, struct nx_str bytes) {
    const struct nx_nats_limits limits = { .peer = NX_NATS_SERVER,
                                           .line_size_max = NX_NATS_OWN_PENDING_SIZE_MAX,
                                           .payload_size_max = NX_NATS_OWN_PENDING_SIZE_MAX };
    struct nx_nats_op op;
    size_t size = 0;
    while (nx_nats_parse(bytes, &limits, &op, &size, NULL) == NX_NATS_PARSE_DONE) {
        uint64_t index = 0;
        if ((op.verb == NX_NATS_MSG || op.verb == NX_NATS_HMSG) && nx_str_to_u64(op.sid, &index) &&
            index < calls->target_count) {
            take(calls, &calls->targets[index], &op);
        }
        bytes = nx_str_slice(bytes, size, bytes.len);
    }
}

bool nx_nats_calls_run(struct nx_nats_calls *calls) {
    for (int round = 0; calls->conn != NULL && round < ROUNDS_MAX; round++) {
        struct nx_buf *output = nx_nats_conn_output(calls->conn);
        if (output->len == 0) {
            return false;
        }
        struct nx_buf given = *output; /* what is answered at once may be for a function again */
        nx_buf_init(output, NX_NATS_OWN_PENDING_SIZE_MAX);
        take_all(calls, nx_buf_str(&given));
        nx_buf_fini(&given);
    }
    return calls->conn != NULL && nx_nats_conn_output(calls->conn)->len > 0;
}

static void subscribe(struct nx_nats_calls *calls, const struct nx_registered *registered) {
    const struct nx_function *function = registered->function;
    for (size_t i = 0; i < function->trigger_count; i++) {
        const struct nx_trigger *trigger = &function->triggers[i];
        if (trigger->kind != NX_TRIGGER_NATS) {
            continue;
        }
        NX_AUTO(nx_buf) line;
        nx_buf_init(&line, 2 * NX_NATS_CONTROL_LINE_SIZE_MAX);
        nx_buf_append_format(&line, "SUB %.*s %.*s %zu\r\n", NX_STR_ARG(trigger->subject),
                             NX_STR_ARG(trigger->queue), calls->target_count);
        calls->targets[calls->target_count++] =
            (struct target){ .trigger = trigger, .function = function->name };
        nx_nats_conn_feed(calls->conn, nx_buf_str(&line));
    }
}

static size_t count_targets(const struct nx_registry *registry) {
    size_t count = 0;
    for (size_t i = 0; i < nx_registry_count(registry); i++) {
        count += nx_registry_at(registry, i)->function->trigger_count;
    }
    return count;
}

void nx_nats_calls_set_registry(struct nx_nats_calls *calls, struct nx_registry *registry) {
    while (nx_nats_calls_run(calls)) {
    }
    struct target *targets = calloc(count_targets(registry) + 1, sizeof *targets);
    struct nx_nats_conn *conn = NULL;
    if (targets == NULL || nx_nats_conn_open_own(calls->options.hub, &conn, NULL) != NX_OK) {
        free(targets); /* no memory: the functions that were there stay called */
        return;
    }
    nx_nats_conn_close(calls->conn);
    free(calls->targets);
    nx_registry_unref(calls->registry);
    calls->registry = nx_registry_ref(registry);
    calls->conn = conn;
    calls->targets = targets;
    calls->target_count = 0;
    for (size_t i = 0; i < nx_registry_count(registry); i++) {
        subscribe(calls, nx_registry_at(registry, i));
    }
}

enum nx_status nx_nats_calls_new(const struct nx_nats_calls_options *options,
                                 struct nx_nats_calls **calls_out, struct nx_error *err) {
    struct nx_nats_calls *calls = calloc(1, sizeof *calls);
    if (calls == NULL) {
        return nx_fail_memory(err);
    }
    calls->options = *options;
    nx_list_init(&calls->waiting);
    *calls_out = calls;
    return NX_OK;
}

void nx_nats_calls_stop(struct nx_nats_calls *calls) {
    while (nx_nats_calls_run(calls)) {
    }
    nx_nats_conn_close(NX_TAKE(calls->conn));
    for (struct nx_list_node *at = nx_list_first(&calls->waiting); at != NULL;
         at = nx_list_next(&calls->waiting, at)) {
        struct call *call = nx_container_of(at, struct call, node);
        call->wait.end = NX_AWAIT_STOPPED;
        reply_failure(call);
    }
}

void nx_nats_calls_free(struct nx_nats_calls *calls) {
    if (calls == NULL) {
        return;
    }
    nx_nats_conn_close(calls->conn);
    nx_registry_unref(calls->registry);
    free(calls->targets);
    free(calls);
}
