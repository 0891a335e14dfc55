/* src/platform/function/requests.c: what servers, commands and the replayer ask of dispatch. */
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "platform/function/dispatch_internal.h"

enum { DESCRIBE_SIZE_MAX = 16 * 1024 * 1024 };

/* Messages. */

static void ready_release(struct nx_message *message) {
    free(message); /* the first member of its struct */
}

enum nx_status nx_functions_ready_new(struct nx_functions_ready **ready_out, struct nx_error *err) {
    struct nx_functions_ready *ready = calloc(1, sizeof *ready);
    if (ready == NULL) {
        return nx_fail_memory(err);
    }
    ready->message.kind = NX_FUNCTIONS_READY;
    ready->message.release = ready_release;
    *ready_out = ready;
    return NX_OK;
}

enum nx_status nx_functions_stop_new(struct nx_functions_stop **stop_out, struct nx_error *err) {
    struct nx_functions_stop *stop = calloc(1, sizeof *stop);
    if (stop == NULL) {
        return nx_fail_memory(err);
    }
    stop->message.kind = NX_FUNCTIONS_STOP;
    stop->message.release = ready_release;
    *stop_out = stop;
    return NX_OK;
}

enum nx_status nx_functions_requeue_new(struct nx_str function, struct nx_functions_requeue **requeue_out,
                                        struct nx_error *err) {
    if (function.len == 0 || function.len > NX_FUNCTION_NAME_SIZE_MAX) {
        return nx_fail(err, NX_NOT_FOUND, "there is no function '%.*s'", NX_STR_ARG(function));
    }
    struct nx_functions_requeue *requeue = calloc(1, sizeof *requeue);
    if (requeue == NULL) {
        return nx_fail_memory(err);
    }
    requeue->message.kind = NX_FUNCTIONS_REQUEUE;
    requeue->message.release = ready_release;
    memcpy(requeue->function, function.ptr, function.len);
    *requeue_out = requeue;
    return NX_OK;
}

static void update_release(struct nx_message *message) {
    struct nx_functions_update *update = (struct nx_functions_update *)(void *)message;
    nx_registry_unref(update->registry);
    free(update);
}

enum nx_status nx_functions_update_new(struct nx_registry *registry, struct nx_functions_update **update_out,
                                       struct nx_error *err) {
    struct nx_functions_update *update = calloc(1, sizeof *update);
    if (update == NULL) {
        return nx_fail_memory(err);
    }
    update->message.kind = NX_FUNCTIONS_UPDATE;
    update->message.release = update_release;
    update->registry = registry;
    *update_out = update;
    return NX_OK;
}

static void describe_release(struct nx_message *message) {
    struct nx_functions_describe *describe = (struct nx_functions_describe *)(void *)message;
    nx_arena_fini(&describe->arena);
    nx_registry_unref(describe->registry);
    free(describe);
}

enum nx_status nx_functions_describe_new(struct nx_functions_describe **describe_out, struct nx_error *err) {
    struct nx_functions_describe *describe = calloc(1, sizeof *describe);
    if (describe == NULL) {
        return nx_fail_memory(err);
    }
    describe->message.kind = NX_FUNCTIONS_DESCRIBE;
    describe->message.release = describe_release;
    nx_arena_init(&describe->arena, DESCRIBE_SIZE_MAX);
    *describe_out = describe;
    return NX_OK;
}

static void live_release(struct nx_message *message) {
    struct nx_dispatch_live *live = (struct nx_dispatch_live *)(void *)message;
    free(live->event);
    free(live);
}

enum nx_status nx_dispatch_live_new(struct nx_dispatch_live **live_out, struct nx_error *err) {
    struct nx_dispatch_live *live = calloc(1, sizeof *live);
    if (live == NULL) {
        return nx_fail_memory(err);
    }
    live->message.kind = NX_DISPATCH_LIVE;
    live->message.release = live_release;
    *live_out = live;
    return NX_OK;
}

/* Describe. */

static const char *const condition_names[] = {
    [NX_FUNCTION_IDLE] = "idle",
    [NX_FUNCTION_BUSY] = "busy",
    [NX_FUNCTION_CATCHING_UP] = "catching-up",
    [NX_FUNCTION_HELD] = "held",
};

const char *nx_function_condition_name(enum nx_function_condition condition) {
    return condition_names[condition];
}

static struct nx_function_state state_of(const struct nx_dispatch *dispatch,
                                         const struct nx_registered *registered) {
    const struct nx_consumer *consumer = nx_map_get(&dispatch->consumers, registered->function->name);
    struct nx_function_state state = { .function = registered->function,
                                       .module_digest = registered->module_digest };
    if (consumer == NULL) {
        return state;
    }
    const uint64_t floor = nx_consumer_floor(consumer);
    const bool stands_at_head = consumer->attached && consumer->pending.count == 0;
    const bool is_idle = stands_at_head && consumer->requeue_next >= consumer->requeue_end;
    state.condition = consumer->held        ? NX_FUNCTION_HELD
                      : !consumer->attached ? NX_FUNCTION_CATCHING_UP
                      : is_idle             ? NX_FUNCTION_IDLE
                                            : NX_FUNCTION_BUSY;
    state.start_sequence = consumer->start;
    state.floor = stands_at_head && dispatch->head > floor ? dispatch->head : floor;
    state.pending_count = consumer->pending.count;
    state.running_count = consumer->running_count;
    state.retrying_count = consumer->retrying_count;
    state.succeeded_count = consumer->succeeded_count;
    state.failed_count = consumer->failed_count;
    state.dead_letter_count = consumer->dead_letter_count;
    return state;
}

static void describe(struct nx_dispatch *dispatch, struct nx_functions_describe *message) {
    const size_t count = nx_registry_count(dispatch->registry);
    nx_registry_unref(message->registry);
    message->registry = nx_registry_ref(dispatch->registry);
    message->events_head = dispatch->head;
    message->states = nx_arena_alloc(&message->arena, (count + 1) * sizeof *message->states);
    message->status = message->states == NULL ? nx_fail_memory(&message->error) : NX_OK;
    for (size_t i = 0; i < count && message->states != NULL; i++) {
        message->states[i] = state_of(dispatch, nx_registry_at(dispatch->registry, i));
        message->state_count++;
    }
    nx_message_reply(&message->message);
}

/* Dead letters, back again. */

static void answer_requeue(struct nx_dispatch *dispatch, struct nx_functions_requeue *requeue,
                           enum nx_status status) {
    nx_list_remove(&dispatch->requeues, &requeue->node);
    requeue->status = status;
    nx_message_reply(&requeue->message);
}

/* The function's dead letters from this one on: as many as one answer holds. */
static void ask_dead_letters(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                             struct nx_functions_requeue *requeue, uint64_t from) {
    struct nx_read *read = NULL;
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_append_format(&subject, "dlq.%s", consumer->name);
    const enum nx_status status = nx_read_new(NX_READ_SCAN, &read, &requeue->error);
    if (status != NX_OK) {
        answer_requeue(dispatch, requeue, status);
        return;
    }
    nx_dispatch_name_records(read, NX_STR("DLQ"), nx_buf_str(&subject));
    read->from_sequence = from;
    const struct nx_asked asked = { .purpose = NX_FOR_DLQ_INFO, .consumer = consumer, .requeue = requeue };
    if (!nx_dispatch_ask(dispatch, read, &asked)) {
        answer_requeue(dispatch, requeue, nx_fail_memory(&requeue->error));
    }
}

static void begin_requeue(struct nx_dispatch *dispatch, struct nx_functions_requeue *requeue) {
    struct nx_consumer *consumer = nx_map_get(&dispatch->consumers, nx_str_from_c(requeue->function));
    nx_list_append(&dispatch->requeues, &requeue->node);
    if (consumer == NULL || consumer->registered == NULL || consumer->phase != NX_CONSUMER_LOADED) {
        answer_requeue(
            dispatch, requeue,
            nx_fail(&requeue->error, NX_NOT_FOUND, "there is no function '%s'", requeue->function));
        return;
    }
    if (dispatch->phase != NX_DISPATCH_RUNNING) {
        answer_requeue(dispatch, requeue,
                       nx_fail(&requeue->error, NX_UNAVAILABLE, "the functions are not running"));
        return;
    }
    requeue->end = consumer->requeue_end;
    ask_dead_letters(dispatch, consumer, requeue, requeue->end);
}

enum nx_status nx_functions_position_read_new(struct nx_str function, struct nx_read **read_out,
                                              struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_append_c(&subject, NX_CONSUMER_SUBJECT_PREFIX);
    nx_buf_append(&subject, function);
    NX_TRY(nx_buf_check(&subject, err));
    NX_TRY(nx_read_new(NX_READ_LAST, &read, err));
    nx_dispatch_name_records(read, NX_STR(NX_CHECKPOINT_STREAM), nx_buf_str(&subject));
    if (read->stream.ptr == NULL) {
        return nx_fail_memory(err);
    }
    *read_out = NX_TAKE(read);
    return NX_OK;
}

uint64_t nx_functions_put_back_until(const struct nx_read *read) {
    if (read->status == NX_NOT_FOUND) {
        return 1; /* it has no position yet, so nothing was put back */
    }
    return read->status == NX_OK && read->record_count == 1
               ? nx_consumer_requeue_end_of(read->records[0].payload)
               : 0;
}

void nx_dispatch_requeue_known(struct nx_dispatch *dispatch, const struct nx_asked *asked,
                               const struct nx_read *read) {
    struct nx_functions_requeue *requeue = asked->requeue;
    struct nx_consumer *consumer = asked->consumer;
    if (read->status != NX_OK && read->status != NX_NOT_FOUND && read->status != NX_DATA_LOSS) {
        requeue->error = read->error;
        answer_requeue(dispatch, requeue, read->status);
        return;
    }
    requeue->count += read->record_count;
    if (read->record_count > 0) {
        requeue->end = read->records[read->record_count - 1].sequence + 1;
    }
    if (read->status != NX_NOT_FOUND && !read->at_end && read->next_sequence > read->from_sequence) {
        ask_dead_letters(dispatch, consumer, requeue, read->next_sequence);
        return;
    }
    if (requeue->count == 0) {
        answer_requeue(dispatch, requeue, NX_OK); /* none since the last time */
        return;
    }
    if (requeue->end > consumer->requeue_end) {
        consumer->requeue_end = requeue->end;
    }
    consumer->changed = true;
    dispatch->checkpoint_changed = true;
    const struct nx_asked write = { .purpose = NX_FOR_REQUEUE_WRITE,
                                    .consumer = consumer,
                                    .requeue = requeue };
    if (!nx_dispatch_write_consumer(dispatch, consumer, &write)) {
        answer_requeue(dispatch, requeue, nx_fail_memory(&requeue->error));
    }
}

void nx_dispatch_requeue_written(struct nx_dispatch *dispatch, const struct nx_asked *asked,
                                 const struct nx_append *append) {
    if (append->status != NX_OK) {
        asked->requeue->error = append->error;
    }
    dispatch->is_look_due = true;
    answer_requeue(dispatch, asked->requeue, append->status);
}

/* Live replays. */

static void answer_live(struct nx_dispatch_live *live, enum nx_status status) {
    live->status = status;
    nx_message_reply(&live->message);
}

/* False: no worker has room now, or the module is being loaded. */
static bool begin_live(struct nx_dispatch *dispatch, struct nx_dispatch_live *live) {
    const struct nx_registered *registered =
        nx_registry_find(dispatch->registry, nx_str_from_c(live->function));
    struct nx_task *task = NULL;
    if (registered == NULL) {
        answer_live(live, nx_fail(&live->error, NX_NOT_FOUND, "there is no function '%s'", live->function));
        return true;
    }
    if (dispatch->phase != NX_DISPATCH_RUNNING) {
        answer_live(live, nx_fail(&live->error, NX_UNAVAILABLE, "the functions are not running"));
        return true;
    }
    struct nx_dispatch_worker *worker = nx_dispatch_least_busy(dispatch);
    const struct nx_loaded *loaded = worker == NULL ? NULL : nx_modules_want(&dispatch->modules, registered);
    if (loaded == NULL || loaded->state == NX_LOADED_LOADING) {
        return false;
    }
    const enum nx_status status = nx_task_new(dispatch->registry, &task, &live->error);
    if (status != NX_OK) {
        answer_live(live, status);
        return true;
    }
    task->registered = registered;
    task->event = NX_TAKE(live->event);
    task->event_sequence = task->event->record.sequence;
    task->attempt = task->attempts_max = 1;
    task->replay_of = live->replay_of;
    task->replay_of_trace = live->replay_of_trace;
    if (!nx_dispatch_send_task(dispatch, worker, task, NULL, &live->message)) {
        nx_task_free(task);
        answer_live(live, nx_fail_memory(&live->error));
    }
    return true;
}

void nx_dispatch_live_done(struct nx_message *message, struct nx_task *task) {
    struct nx_dispatch_live *live = (struct nx_dispatch_live *)(void *)message;
    live->outcome = task->outcome;
    live->invocation = task->invocation;
    live->event = NX_TAKE(task->event);
    live->error = task->error;
    answer_live(live, task->answer == NX_TASK_NOT_RUN ? NX_UNAVAILABLE : NX_OK);
}

void nx_dispatch_run_live(struct nx_dispatch *dispatch) {
    for (size_t count = dispatch->live_waiting.count; count > 0; count--) {
        struct nx_message *next = nx_message_queue_pop(&dispatch->live_waiting);
        if (!begin_live(dispatch, (struct nx_dispatch_live *)(void *)next)) {
            nx_message_queue_push(&dispatch->live_waiting, next);
        }
    }
}

/* Stopping. */

static void keep_message(struct nx_message *message) {
    (void)message; /* it is a part of its sender, which outlives its receiver */
}

static void begin_stop(struct nx_dispatch *dispatch, struct nx_functions_stop *stop) {
    nx_message_queue_push(&dispatch->stop_waiting, &stop->message);
    if (dispatch->phase == NX_DISPATCH_RUNNING) {
        dispatch->phase = NX_DISPATCH_STOPPING;
        for (size_t i = 0; i < dispatch->worker_count; i++) {
            struct nx_dispatch_worker *worker = &dispatch->workers[i];
            worker->stop = (struct nx_message){ .kind = NX_WORKER_STOP, .release = keep_message };
            nx_mailbox_send_reply(worker->mailbox, &worker->stop);
        }
    } else if (dispatch->phase < NX_DISPATCH_RUNNING) {
        dispatch->phase = NX_DISPATCH_STOPPED; /* nothing has run */
    }
}

/* What could not be written is named: its events are handled again by the next process. */
static void describe_unwritten(const struct nx_dispatch *dispatch, struct nx_functions_stop *stop) {
    size_t cursor = 0;
    size_t count = 0;
    const char *name = "";
    void *value;
    while (nx_map_next(&dispatch->consumers, &cursor, NULL, &value)) {
        const struct nx_consumer *consumer = value;
        name = consumer->held ? consumer->name : name;
        count += consumer->held;
    }
    stop->status = NX_OK;
    if (count > 0) {
        stop->status = nx_fail(&stop->error, NX_UNAVAILABLE,
                               "what %zu function%s did last could not be written ('%s'%s): %.200s", count,
                               count == 1 ? "" : "s", name, count == 1 ? "" : " and others",
                               dispatch->held_error.message);
        nx_hint(&stop->error, "nothing acknowledged is lost: these events are handled at the next start");
    }
}

void nx_dispatch_stop_if_done(struct nx_dispatch *dispatch) {
    if (dispatch->phase == NX_DISPATCH_STOPPING && nx_list_is_empty(&dispatch->flights) &&
        dispatch->checkpoint_writes == 0) {
        if (dispatch->checkpoint_changed && !dispatch->is_last_checkpoint) {
            dispatch->is_last_checkpoint = true; /* one try: the records say it all without it too */
            nx_dispatch_checkpoint(dispatch);
        }
        if (dispatch->checkpoint_writes == 0) {
            dispatch->phase = NX_DISPATCH_STOPPED;
        }
    }
    if (dispatch->phase != NX_DISPATCH_STOPPED) {
        return;
    }
    nx_dispatch_stop_awaits(dispatch);
    struct nx_message *message;
    while ((message = nx_message_queue_pop(&dispatch->stop_waiting)) != NULL) {
        describe_unwritten(dispatch, (struct nx_functions_stop *)(void *)message);
        nx_message_reply(message);
    }
}

void nx_dispatch_take_request(struct nx_dispatch *dispatch, struct nx_message *message) {
    switch (message->kind) {
    case NX_FUNCTIONS_READY:
        nx_message_queue_push(&dispatch->ready_waiting, message);
        break;
    case NX_FUNCTIONS_UPDATE:
        nx_dispatch_update(dispatch, (struct nx_functions_update *)(void *)message);
        break;
    case NX_FUNCTIONS_DESCRIBE:
        describe(dispatch, (struct nx_functions_describe *)(void *)message);
        break;
    case NX_FUNCTIONS_STOP:
        begin_stop(dispatch, (struct nx_functions_stop *)(void *)message);
        break;
    case NX_FUNCTIONS_REQUEUE:
        begin_requeue(dispatch, (struct nx_functions_requeue *)(void *)message);
        break;
    case NX_FUNCTIONS_REPLAY:
    case NX_FUNCTIONS_PROGRESS:
        nx_mailbox_send_reply(dispatch->options.replayer, message);
        break;
    case NX_FUNCTIONS_AWAIT:
        nx_dispatch_await(dispatch, (struct nx_functions_await *)(void *)message);
        break;
    case NX_DISPATCH_LIVE:
        nx_message_queue_push(&dispatch->live_waiting, message);
        break;
    default:
        nx_assert_never("a request that dispatch does not know");
    }
}
