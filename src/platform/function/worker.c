#include "platform/function/worker.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/list.h"
#include "codec/cloudevents.h"
#include "codec/headers.h"
#include "codec/time_format.h"
#include "codec/traceparent.h"
#include "fabric/object/object.h"
#include "platform/function/invocation.h"
#include "platform/function/outbox.h"
#include "platform/function/spans.h"
#include "platform/function/task.h"

enum {
    SLICES_PER_STEP = 64,                 /* about a millisecond, then messages are looked at again */
    SLICES_AT_HAND = 8,                   /* the same for a worker at hand */
    APPEND_RETRY_NS = 250 * NX_NS_PER_MS, /* after which a log without room is asked again */
    CONFLICT_WAIT_NS = NX_NS_PER_MS,      /* the most that a run waits after its keys changed */
    STOP_GRACE_NS = NX_NS_PER_S,          /* how long a stopping worker goes on asking a log without room */
};

enum slot_state {
    SLOT_RUNNING,    /* in `runnable` */
    SLOT_WAITING,    /* in `waiting`: for its wake-up time or a key */
    SLOT_AGAIN,      /* in `waiting`: will start from the beginning at again_ns */
    SLOT_STORING,    /* in `committing`: a part of its tape or output is under way, its append is ready */
    SLOT_COMMITTING, /* in `committing`: its append is under way */
    SLOT_HELD,       /* in `waiting`: what the log had no room for is sent again at again_ns */
    SLOT_ENDED,      /* in no list: the answer for a key that nobody waits for any more is on its way */
};

/* One task under way. */
struct slot {
    struct nx_list_node node; /* in one of the worker's lists */
    struct nx_worker *worker;
    enum slot_state state;
    struct nx_task *task;
    struct nx_call *call;
    struct nx_host_ops ops; /* of this call: `data` is the slot */
    struct nx_buf input;    /* standard input; the call borrows it */
    struct nx_traceparent trace;
    struct nx_run_spans spans;
    struct nx_append *append; /* ours until it is sent, and while SLOT_HELD */
    struct nx_object_put
        puts[2];          /* of what its append does not take; their bytes are the call's, or `salted` */
    struct nx_buf salted; /* a large output about a person, behind its salt */
    unsigned put_count;
    unsigned put_index; /* the one under way */
    bool key_asked;     /* an answer of the library is on its way */
    uint32_t conflicts;
    int64_t again_ns; /* monotonic */
};

struct nx_worker {
    struct nx_worker_options options;
    struct nx_mailbox *mailbox;
    struct nx_outbox appends;
    struct nx_outbox reads;
    struct nx_ulid_generator ulids;
    struct nx_tracer tracer;
    struct nx_list runnable; /* struct slot, next one first */
    struct nx_list waiting;
    struct nx_list committing;
    int64_t give_up_ns; /* monotonic: from then on what the log has no room for is not run; stopping */
};

static struct slot *slot_of(struct nx_list_node *node) {
    return nx_container_of(node, struct slot, node);
}

static void move_to(struct nx_list *list, struct slot *slot, struct nx_list *from, enum slot_state state) {
    nx_list_remove(from, &slot->node);
    nx_list_append(list, &slot->node);
    slot->state = state;
}

static void slot_free(struct nx_worker *worker, struct slot *slot) {
    worker->options.guests->call_free(slot->call);
    nx_append_free(slot->append);
    nx_task_free(slot->task);
    nx_buf_fini(&slot->input);
    nx_buf_fini(&slot->salted);
    free(slot);
}

/* As slot_free(), but for the part of it that an answer under way names. */
static void slot_end(struct nx_worker *worker, struct slot *slot) {
    if (!slot->key_asked) {
        slot_free(worker, slot);
        return;
    }
    worker->options.guests->call_free(NX_TAKE(slot->call));
    slot->state = SLOT_ENDED;
}

/* The task goes home; the slot ends. It must be in no list. */
static void finish(struct nx_worker *worker, struct slot *slot) {
    struct nx_task *task = NX_TAKE(slot->task);
    nx_message_reply(&task->message);
    slot_end(worker, slot);
}

static void finish_not_run(struct nx_worker *worker, struct slot *slot, const struct nx_error *why) {
    slot->task->answer = NX_TASK_NOT_RUN;
    slot->task->error = *why;
    finish(worker, slot);
}

/* The host asks for a key: the library answers later, to our mailbox. */
static void ask_key(void *data, struct nx_call *call, struct nx_str key) {
    struct slot *slot = data;
    struct nx_worker *worker = slot->worker;
    const struct nx_str function = slot->task->registered->function->name;
    struct nx_read *read = NULL;
    struct nx_error error = { 0 };
    NX_AUTO(nx_buf) stream;
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&stream, NX_STREAM_NAME_SIZE_MAX);
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_function_keys_stream(&stream, function);
    nx_function_key_subject(&subject, function, key);
    enum nx_status status = nx_buf_check(&subject, &error);
    if (status == NX_OK) {
        status = nx_read_new(NX_READ_LAST, &read, &error);
    }
    if (status != NX_OK) {
        worker->options.guests->call_provide_kv_error(call, &error);
        return;
    }
    read->stream = nx_arena_copy(&read->arena, nx_buf_str(&stream));
    read->subject = nx_arena_copy(&read->arena, nx_buf_str(&subject));
    read->message.reply_to = worker->mailbox;
    read->message.context = slot;
    slot->key_asked = true;
    nx_outbox_send(&worker->reads, &read->message);
}

static void provide_key(const struct nx_guest_kind *guests, struct nx_call *call,
                        const struct nx_read *read) {
    if (read->status == NX_OK && read->record_count > 0) {
        const struct nx_record *record = &read->records[0];
        struct nx_str operation;
        const bool is_deleted = (nx_headers_find(record->headers, NX_STR("KV-Operation"), &operation) &&
                                 !nx_str_is(operation, "PUT")) ||
                                nx_record_withheld(record).len > 0;
        guests->call_provide_kv(call, !is_deleted, is_deleted ? NX_STR_EMPTY : record->payload,
                                record->sequence);
    } else if (read->status == NX_OK || read->status == NX_NOT_FOUND) {
        guests->call_provide_kv(call, false, NX_STR_EMPTY, 0);
    } else {
        guests->call_provide_kv_error(call, &read->error);
    }
}

static void take_key(struct nx_worker *worker, struct nx_read *read) {
    struct slot *slot = read->message.context;
    const struct nx_guest_kind *guests = worker->options.guests;
    slot->key_asked = false;
    if (slot->state == SLOT_ENDED) {
        slot_free(worker, slot);
    } else if (slot->state == SLOT_WAITING) {
        provide_key(guests, slot->call, read);
        move_to(&worker->runnable, slot, &worker->waiting, SLOT_RUNNING);
    } /* else its deadline passed meanwhile */
    nx_read_free(read);
}

static void host_called(void *data, const char *module, const char *name, int64_t start_ns, int64_t end_ns) {
    struct slot *slot = data;
    nx_run_spans_host_call(&slot->spans, module, name, start_ns, end_ns);
}

static void make_trace(struct slot *slot, const struct nx_cloudevent *event, struct nx_now now) {
    const struct nx_random *random = &slot->worker->options.random;
    struct nx_tracer *tracer = &slot->worker->tracer;
    struct nx_traceparent parent;
    bool has_parent = false;
    /* A live replay starts a trace of its own; its record names the first one. */
    if (slot->task->replay_of == 0 && nx_traceparent_parse(event->traceparent, &parent)) {
        uint8_t bytes[NX_SPAN_ID_SIZE];
        nx_random_fill(random, bytes, sizeof bytes);
        slot->trace = nx_traceparent_child(&parent, bytes);
        has_parent = true;
    } else {
        uint8_t bytes[NX_TRACEPARENT_RANDOM_SIZE];
        nx_random_fill(random, bytes, sizeof bytes);
        slot->trace = nx_traceparent_new(bytes);
        nx_tracer_sample(tracer, &slot->trace, false);
    }
    nx_run_spans_begin(&slot->spans, tracer, random, &slot->trace, has_parent ? &parent : NULL, now.wall_ns);
    slot->ops.host_call = slot->spans.tracer == NULL ? NULL : host_called;
}

static enum nx_status new_call(struct slot *slot, const struct nx_cloudevent *event, struct nx_now now,
                               struct nx_error *err) {
    const struct nx_worker_options *options = &slot->worker->options;
    const struct nx_task *task = slot->task;
    const struct nx_function *function = task->registered->function;
    struct nx_call_env env[NX_FUNCTION_ENV_MAX];
    for (size_t i = 0; i < function->env_count; i++) {
        env[i] = (struct nx_call_env){ .name = function->env[i].name, .value = function->env[i].value };
    }
    int64_t original_ns = 0;
    if (!nx_time_parse(event->time, &original_ns)) {
        original_ns = task->event->record.time_ns;
    }
    struct nx_call_options call = {
        .module = task->module,
        .mode = NX_CALL_RECORD,
        .input = nx_buf_str(&slot->input),
        .env = env,
        .env_count = function->env_count,
        .identity = { .trace_flags = slot->trace.flags,
                      .event_id = event->id,
                      .original_time_ns = original_ns,
                      .is_replay = task->replay_of != 0 },
        .deadline_ns = function->timeout_ns > 0 ? now.monotonic_ns + function->timeout_ns : INT64_MAX,
        .memory_max = function->memory_max,
        .clock = options->clock,
        .random = options->random,
        .ops = &slot->ops,
    };
    memcpy(call.identity.trace_id, slot->trace.trace_id, NX_TRACE_ID_SIZE);
    memcpy(call.identity.span_id, slot->trace.span_id, NX_SPAN_ID_SIZE);
    return options->guests->call_new(options->guests->data, &call, &slot->call, err);
}

static enum nx_status start_call(struct slot *slot, struct nx_now now, struct nx_error *err) {
    const struct nx_task *task = slot->task;
    NX_AUTO(nx_arena) arena;
    struct nx_cloudevent event;
    const struct nx_event_input input = {
        .record = &task->event->record,
        .is_data = task->registered->function->input_is_data,
        .is_live_replay = task->replay_of != 0,
    };
    nx_arena_init(&arena, NX_EVENT_INPUT_SIZE_MAX);
    nx_buf_reset(&slot->input);
    NX_TRY(nx_event_to_input(&input, &arena, &event, &slot->input, err));
    make_trace(slot, &event, now);
    return new_call(slot, &event, now, err);
}

/* Into the record's append if it takes it, else to be put before. */
static enum nx_status add_object(struct nx_worker *worker, struct slot *slot, struct nx_str blob,
                                 struct nx_error *err) {
    struct nx_object_put put;
    if (nx_invocation_is_inline(blob)) {
        return NX_OK;
    }
    const bool is_beside = nx_invocation_has_room(slot->append, blob.len);
    nx_object_put_init(&put, is_beside ? NX_CALL_OBJECTS_BUCKET : NX_OBJECTS_BUCKET, blob,
                       nx_random_u64(&worker->options.random));
    put.person_key = nx_task_person_key(slot->task);
    if (is_beside) {
        return nx_object_add(&put, slot->append, err);
    }
    slot->puts[slot->put_count++] = put;
    return NX_OK;
}

/* The objects that the record names. */
static enum nx_status add_objects(struct nx_worker *worker, struct slot *slot,
                                  const struct nx_call_result *result, struct nx_error *err) {
    struct nx_str output = result->output;
    slot->put_count = slot->put_index = 0;
    if (!nx_invocation_is_inline(output) && nx_task_person_key(slot->task).len > 0) {
        const struct nx_digest salt = nx_invocation_output_salt(result->tape);
        nx_buf_reset(&slot->salted);
        nx_buf_append(&slot->salted, nx_str_of(salt.bytes, sizeof salt.bytes));
        nx_buf_append(&slot->salted, output);
        NX_TRY(nx_buf_check(&slot->salted, err));
        output = nx_buf_str(&slot->salted);
    }
    NX_TRY(add_object(worker, slot, output, err));
    return add_object(worker, slot, result->tape, err);
}

/* Send what comes next: the objects that the record will name, then the record. The slot is in `committing`.
 */
static void send_next(struct nx_worker *worker, struct slot *slot) {
    struct nx_append *append = NULL;
    struct nx_error error = { 0 };
    while (append == NULL && slot->put_index < slot->put_count) {
        if (nx_object_put_next(&slot->puts[slot->put_index], &append, &error) != NX_OK) {
            nx_list_remove(&worker->committing, &slot->node);
            finish_not_run(worker, slot, &error);
            return;
        }
        slot->put_index += append == NULL;
    }
    slot->state = append == NULL ? SLOT_COMMITTING : SLOT_STORING;
    append = append == NULL ? NX_TAKE(slot->append) : append;
    append->message.reply_to = worker->mailbox;
    append->message.context = slot;
    nx_outbox_send(&worker->appends, &append->message);
}

/* Keep what the call gave back for whoever waits for it; tell at once those who do not wait for the disk. */
static void keep_answer(struct slot *slot, const struct nx_call_result *result) {
    struct nx_task *task = slot->task;
    free(NX_TAKE(task->answer_bytes));
    if (!task->registered->answers || task->replay_of != 0 || result->outcome != NX_OUTCOME_OK) {
        return;
    }
    const struct nx_call_response *response = &result->response;
    task->answer_bytes = nx_answer_new(response->status, response->headers, result->output);
    if (!task->registered->answers_early) {
        return;
    }
    struct nx_answer *copy = nx_answer_new(response->status, response->headers, result->output);
    struct nx_task_early *early = NULL;
    if (copy == NULL || nx_task_early_new(task, copy, &early, NULL) != NX_OK) {
        free(copy); /* it comes with the record */
        return;
    }
    nx_mailbox_send_reply(task->message.reply_to, &early->message);
}

/* Make the call's append from a result, the guest's or our own, and send it. `from` is the list it is in. */
static void commit(struct nx_worker *worker, struct slot *slot, struct nx_list *from,
                   const struct nx_call_result *result, struct nx_now now) {
    struct nx_task *task = slot->task;
    struct nx_error error = { 0 };
    struct nx_call_result refused = *result;
    struct nx_invocation_context context = {
        .task = task,
        .result = result,
        .trace = slot->trace,
        .ulids = &worker->ulids,
        .random = worker->options.random,
        .wall_ns = now.wall_ns,
    };
    enum nx_status status = nx_invocation_to_append(&context, &slot->append, &error);
    if (status == NX_INVALID_ARGUMENT) {
        /* What it wants done cannot be records: the call has failed, with this as the reason. */
        refused.outcome = NX_OUTCOME_EFFECT_LIMIT;
        refused.error = nx_str_from_c(error.message);
        refused.replayable = false;
        refused.output = nx_str_slice(refused.output, 0, 64 * 1024);
        context.result = &refused;
        status = nx_invocation_to_append(&context, &slot->append, NULL);
    }
    if (status != NX_OK) {
        nx_list_remove(from, &slot->node);
        finish_not_run(worker, slot, &error);
        return;
    }
    task->outcome = context.result->outcome;
    task->duration_ns = context.result->duration_ns < 0 ? 0 : (uint64_t)context.result->duration_ns;
    task->memory_peak = context.result->memory_peak;
    task->fuel = context.result->fuel_used;
    (void)snprintf(task->error.message, sizeof task->error.message, "%.*s",
                   NX_STR_ARG(context.result->error));
    keep_answer(slot, context.result);
    nx_run_spans_append(&slot->spans, now.wall_ns);
    if (add_objects(worker, slot, context.result, &error) != NX_OK) {
        nx_append_free(NX_TAKE(slot->append));
        nx_list_remove(from, &slot->node);
        finish_not_run(worker, slot, &error);
        return;
    }
    move_to(&worker->committing, slot, from, SLOT_COMMITTING);
    send_next(worker, slot);
}

/* A call that could not even begin has a record too, so that it counts as an attempt. */
static void commit_failure(struct nx_worker *worker, struct slot *slot, struct nx_list *from,
                           enum nx_outcome outcome, const struct nx_error *why, struct nx_now now) {
    const struct nx_call_result result = {
        .outcome = outcome,
        .error = nx_str_from_c(why->message),
        .start_time_ns = now.wall_ns,
        .replayable = false,
    };
    commit(worker, slot, from, &result, now);
}

/* An event that cannot be read for want of its key has a record of that; for good, when the key was erased.
 */
static bool is_withheld(struct nx_worker *worker, struct slot *slot, struct nx_list *from,
                        struct nx_now now) {
    struct nx_task *task = slot->task;
    const struct nx_str reason = nx_record_withheld(&task->event->record);
    struct nx_error error = { 0 };
    if (reason.len == 0) {
        return false;
    }
    const bool is_erased = nx_str_starts_with(reason, NX_STR("erased"));
    if (is_erased) {
        task->attempts_max = task->attempt;
        (void)nx_fail(&error, NX_FAILED_PRECONDITION, "the person whom the event is about was forgotten");
    } else {
        (void)nx_fail(&error, NX_UNAVAILABLE, "the event is sealed and cannot be opened: %.*s",
                      NX_STR_ARG(reason));
    }
    commit_failure(worker, slot, from, is_erased ? NX_OUTCOME_EVENT_ERASED : NX_OUTCOME_EVENT_UNREADABLE,
                   &error, now);
    return true;
}

/* From the beginning, the first time or once more. The slot is in `from`. */
static void start(struct nx_worker *worker, struct slot *slot, struct nx_list *from, struct nx_now now) {
    struct nx_error error = { 0 };
    worker->options.guests->call_free(NX_TAKE(slot->call));
    if (slot->task->event == NULL) {
        commit_failure(worker, slot, from, NX_OUTCOME_EVENT_UNREADABLE, &slot->task->error, now);
        return;
    }
    if (is_withheld(worker, slot, from, now)) {
        return;
    }
    if (slot->task->module == NULL) {
        commit_failure(worker, slot, from, NX_OUTCOME_MODULE_INVALID, &slot->task->error, now);
        return;
    }
    const enum nx_status status = start_call(slot, now, &error);
    if (status == NX_OK) {
        move_to(&worker->runnable, slot, from, SLOT_RUNNING);
        return;
    }
    const enum nx_outcome outcome = status == NX_DATA_LOSS            ? NX_OUTCOME_EVENT_UNREADABLE
                                    : status == NX_RESOURCE_EXHAUSTED ? NX_OUTCOME_HOST_ERROR
                                                                      : NX_OUTCOME_MODULE_INVALID;
    commit_failure(worker, slot, from, outcome, &error, now);
}

static void take_task(struct nx_worker *worker, struct nx_task *task, struct nx_now now) {
    struct slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL) {
        task->answer = NX_TASK_NOT_RUN;
        (void)nx_fail_memory(&task->error);
        nx_message_reply(&task->message);
        return;
    }
    slot->worker = worker;
    slot->task = task;
    slot->ops = (struct nx_host_ops){ .data = slot, .kv_get = ask_key };
    nx_buf_init(&slot->input, NX_EVENT_INPUT_SIZE_MAX);
    nx_buf_init(&slot->salted, NX_OBJECT_SIZE_MAX);
    nx_list_append(&worker->waiting, &slot->node);
    start(worker, slot, &worker->waiting, now);
}

static void give_way(struct nx_worker *worker, struct slot *slot, struct nx_now now) {
    nx_run_spans_discard(&slot->spans, slot->task, now.wall_ns);
    slot->task->answer = NX_TASK_GAVE_WAY;
    slot->task->conflicts = slot->conflicts;
    nx_list_remove(&worker->committing, &slot->node);
    finish(worker, slot);
}

/* Keys changed under it: nobody has seen this run, so it is made again; a little later each time, at random,
 * so that two calls do not chase each other. */
static void run_again(struct nx_worker *worker, struct slot *slot, struct nx_now now) {
    slot->conflicts++;
    nx_append_free(NX_TAKE(slot->append));
    if (slot->task->may_give_way && slot->conflicts >= NX_WORKER_GIVE_WAY) {
        give_way(worker, slot, now);
        return;
    }
    if (slot->conflicts >= NX_WORKER_CONFLICTS_MAX) {
        struct nx_error error = { 0 };
        (void)nx_fail(&error, NX_ABORTED, "the keys that it read changed under it, %u times",
                      slot->conflicts);
        commit_failure(worker, slot, &worker->committing, NX_OUTCOME_KEY_CONFLICT, &error, now);
        return;
    }
    nx_run_spans_discard(&slot->spans, slot->task, now.wall_ns);
    move_to(&worker->waiting, slot, &worker->committing, SLOT_AGAIN);
    const uint64_t spread = nx_random_u64(&worker->options.random);
    slot->again_ns = now.monotonic_ns + (int64_t)(spread % CONFLICT_WAIT_NS) * (slot->conflicts - 1);
}

static void committed(struct nx_worker *worker, struct slot *slot, const struct nx_append *append,
                      struct nx_now now) {
    struct nx_task *task = slot->task;
    const struct nx_append_entry *entry = nx_invocation_entry(append);
    task->invocation = entry->sequence;
    task->conflicts = slot->conflicts;
    task->finished_at_ns = entry->time_ns;
    task->answer = task->outcome == NX_OUTCOME_OK                                ? NX_TASK_SUCCEEDED
                   : task->replay_of == 0 && task->attempt >= task->attempts_max ? NX_TASK_DEAD
                                                                                 : NX_TASK_FAILED;
    nx_run_spans_end(&slot->spans, task, now.wall_ns);
    nx_list_remove(&worker->committing, &slot->node);
    finish(worker, slot);
}

/* No room now: what is ready is kept and sent again; when the worker stops, not for long. */
static void hold(struct nx_worker *worker, struct slot *slot, const struct nx_error *why, struct nx_now now) {
    if (now.monotonic_ns >= worker->give_up_ns) {
        const struct nx_error error = *why;
        nx_list_remove(&worker->committing, &slot->node);
        finish_not_run(worker, slot, &error);
        return;
    }
    slot->again_ns = now.monotonic_ns + APPEND_RETRY_NS;
    move_to(&worker->waiting, slot, &worker->committing, SLOT_HELD);
}

/* A part of an object was written, was there already, or could not be written. */
static void take_stored(struct nx_worker *worker, struct slot *slot, struct nx_append *append,
                        struct nx_now now) {
    struct nx_error error = { 0 };
    const enum nx_status status = nx_object_put_take(&slot->puts[slot->put_index], append, &error);
    nx_append_free(append);
    if (status == NX_OK) {
        send_next(worker, slot);
    } else if (status == NX_RESOURCE_EXHAUSTED) {
        hold(worker, slot, &error, now);
    } else {
        nx_list_remove(&worker->committing, &slot->node);
        finish_not_run(worker, slot, &error);
    }
}

static void take_append(struct nx_worker *worker, struct nx_append *append, struct nx_now now) {
    struct slot *slot = append->message.context;
    if (slot->state == SLOT_STORING) {
        take_stored(worker, slot, append, now);
        return;
    }
    nx_assert(slot->state == SLOT_COMMITTING);
    if (append->status == NX_OK) {
        committed(worker, slot, append, now);
        nx_append_free(append);
        return;
    }
    slot->append = append;
    if (append->error.kind == NX_KIND_WRONG_LAST_SEQUENCE) {
        run_again(worker, slot, now);
    } else if (append->status == NX_RESOURCE_EXHAUSTED) {
        hold(worker, slot, &append->error, now);
    } else if (append->status == NX_INVALID_ARGUMENT && slot->task->outcome == NX_OUTCOME_OK) {
        const struct nx_error error = append->error;
        nx_append_free(NX_TAKE(slot->append));
        commit_failure(worker, slot, &worker->committing, NX_OUTCOME_EFFECT_LIMIT, &error, now);
    } else {
        const struct nx_error error = append->error;
        nx_list_remove(&worker->committing, &slot->node);
        finish_not_run(worker, slot, &error);
    }
}

static void take_messages(struct nx_worker *worker, struct nx_message_queue *inbox, struct nx_now now) {
    struct nx_message *message;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        switch (message->kind) {
        case NX_TASK:
            take_task(worker, (struct nx_task *)(void *)message, now);
            break;
        case NX_FABRIC_READ:
            take_key(worker, (struct nx_read *)(void *)message);
            break;
        case NX_FABRIC_APPEND:
            take_append(worker, (struct nx_append *)(void *)message, now);
            break;
        case NX_WORKER_STOP:
            worker->give_up_ns = now.monotonic_ns + STOP_GRACE_NS;
            nx_message_release(message);
            break;
        default:
            nx_assert_never("a message that a worker does not know");
        }
    }
}

/* When a waiting slot wants to be looked at. */
static int64_t wake_time(const struct nx_worker *worker, const struct slot *slot) {
    return slot->state == SLOT_WAITING ? worker->options.guests->call_wake_ns(slot->call) : slot->again_ns;
}

/* Wake the slots whose time has come; returns when the next one wants to be woken. */
static int64_t wake_waiting(struct nx_worker *worker, struct nx_now now) {
    int64_t next_ns = NX_STEP_IDLE;
    struct nx_list_node *node = nx_list_first(&worker->waiting);
    while (node != NULL) {
        struct slot *slot = slot_of(node);
        node = nx_list_next(&worker->waiting, node);
        const int64_t wake_ns = wake_time(worker, slot);
        if (wake_ns > now.monotonic_ns) {
            next_ns = wake_ns < next_ns ? wake_ns : next_ns;
            continue;
        }
        if (slot->state == SLOT_WAITING) {
            move_to(&worker->runnable, slot, &worker->waiting, SLOT_RUNNING);
        } else if (slot->state == SLOT_AGAIN) {
            start(worker, slot, &worker->waiting, now);
        } else {
            move_to(&worker->committing, slot, &worker->waiting, SLOT_COMMITTING);
            send_next(worker, slot);
        }
    }
    return next_ns;
}

/* One slice for the slot that waited longest. */
static void run_slice(struct nx_worker *worker, struct slot *slot) {
    const struct nx_guest_kind *guests = worker->options.guests;
    const struct nx_now now = nx_clock_read(&worker->options.clock);
    switch (guests->call_step(slot->call, now)) {
    case NX_CALL_RUNNING:
        move_to(&worker->runnable, slot, &worker->runnable, SLOT_RUNNING);
        break;
    case NX_CALL_WAITING:
        move_to(&worker->waiting, slot, &worker->runnable, SLOT_WAITING);
        break;
    case NX_CALL_DONE:
        commit(worker, slot, &worker->runnable, guests->call_result(slot->call), now);
        break;
    }
}

static int64_t step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct nx_worker *worker = state;
    take_messages(worker, inbox, now);
    bool is_sent = nx_outbox_flush(&worker->appends);
    is_sent = nx_outbox_flush(&worker->reads) && is_sent;
    (void)wake_waiting(worker, now);
    const unsigned slices = worker->options.is_at_hand ? SLICES_AT_HAND : SLICES_PER_STEP;
    for (unsigned i = 0; i < slices && !nx_list_is_empty(&worker->runnable); i++) {
        run_slice(worker, slot_of(nx_list_first(&worker->runnable)));
    }
    int64_t next_ns = wake_waiting(worker, now);
    nx_tracer_flush(&worker->tracer);
    if (!nx_list_is_empty(&worker->runnable)) {
        return NX_STEP_AGAIN;
    }
    if (!is_sent && now.monotonic_ns + NX_OUTBOX_RETRY_NS < next_ns) {
        next_ns = now.monotonic_ns + NX_OUTBOX_RETRY_NS;
    }
    return next_ns;
}

enum nx_status nx_worker_open(const struct nx_worker_options *options, struct nx_worker **worker_out,
                              struct nx_error *err) {
    NX_AUTO(nx_worker) *worker = calloc(1, sizeof *worker);
    if (worker == NULL) {
        return nx_fail_memory(err);
    }
    worker->options = *options;
    worker->appends.to = options->appends;
    worker->reads.to = options->reads;
    worker->tracer.tracing = options->tracing;
    nx_list_init(&worker->runnable);
    nx_list_init(&worker->waiting);
    nx_list_init(&worker->committing);
    worker->give_up_ns = INT64_MAX;
    NX_TRY(nx_mailbox_open(NX_WORKER_CALLS_MAX, &worker->mailbox, err));
    *worker_out = NX_TAKE(worker);
    return NX_OK;
}

static void free_slots(struct nx_worker *worker, struct nx_list *list) {
    struct nx_list_node *node;
    while ((node = nx_list_take_first(list)) != NULL) {
        slot_free(worker, slot_of(node));
    }
}

void nx_worker_close(struct nx_worker *worker) {
    if (worker == NULL) {
        return;
    }
    if (worker->mailbox != NULL) {
        free_slots(worker, &worker->runnable);
        free_slots(worker, &worker->waiting);
        free_slots(worker, &worker->committing);
    }
    nx_message_queue_release(&worker->appends.waiting);
    nx_message_queue_release(&worker->reads.waiting);
    nx_tracer_fini(&worker->tracer);
    nx_mailbox_close(worker->mailbox);
    free(worker);
}

struct nx_actor nx_worker_actor(struct nx_worker *worker) {
    return (struct nx_actor){ .name = "worker", .mailbox = worker->mailbox, .state = worker, .step = step };
}

struct nx_mailbox *nx_worker_mailbox(struct nx_worker *worker) {
    return worker->mailbox;
}
