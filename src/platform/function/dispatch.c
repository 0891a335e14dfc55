#include "platform/function/dispatch.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "platform/function/dispatch_internal.h"

enum {
    CONSUMERS_MAX = 4 * NX_REGISTRY_FUNCTIONS_MAX,
    TIMERS_MAX = 64 * 1024 * 1024,
    AT_HAND_CALLS = 4,                 /* of the worker on our thread; others take what comes beside them */
    QUICK_NS = NX_NS_PER_MS,           /* a call that takes less is quick */
    QUICK_CALLS = 8,                   /* in a row, after which a function runs at hand */
    PROTECT_EVENTS = 4096,             /* new events after which retention is told that they were looked at */
    HELD_WAIT_NS = 500 * NX_NS_PER_MS, /* before a call that could not be written is tried again */
};

void nx_dispatch_name_records(struct nx_read *read, struct nx_str stream, struct nx_str subject) {
    read->stream = nx_arena_copy(&read->arena, stream);
    if (subject.len > 0) {
        read->subject = nx_arena_copy(&read->arena, subject);
        /* Without its subject it would be another question. */
        read->stream = read->subject.ptr == NULL ? NX_STR_EMPTY : read->stream;
    }
}

bool nx_dispatch_ask(struct nx_dispatch *dispatch, struct nx_read *read, const struct nx_asked *asked) {
    struct nx_asked *copy = nx_arena_alloc(&read->arena, sizeof *copy);
    /* Without its stream's name it would be answered that there is none. */
    if (copy == NULL || read->stream.ptr == NULL) {
        nx_read_free(read);
        dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
        return false;
    }
    *copy = *asked;
    read->message.reply_to = dispatch->mailbox;
    read->message.context = copy;
    nx_outbox_send(&dispatch->reads, &read->message);
    return true;
}

bool nx_dispatch_send_append(struct nx_dispatch *dispatch, struct nx_append *append,
                             const struct nx_asked *asked) {
    struct nx_asked *copy = nx_arena_alloc(&append->arena, sizeof *copy);
    if (copy == NULL) {
        return false;
    }
    *copy = *asked;
    append->message.reply_to = dispatch->mailbox;
    append->message.context = copy;
    nx_outbox_send(&dispatch->appends, &append->message);
    return true;
}

/* Timers: a heap of retrying items, the earliest first. */

static void timer_place(struct nx_dispatch *dispatch, size_t index, struct nx_item *item) {
    dispatch->timers[index] = item;
    item->timer_index = index;
}

static void timer_add(struct nx_dispatch *dispatch, struct nx_item *item) {
    if (dispatch->timer_count == dispatch->timer_capacity) {
        const size_t capacity = dispatch->timer_capacity == 0 ? 64 : dispatch->timer_capacity * 2;
        struct nx_item **timers =
            capacity > TIMERS_MAX ? NULL : realloc(dispatch->timers, capacity * sizeof *timers);
        if (timers == NULL) {
            /* No memory to wait in order: its turn comes at once. */
            nx_consumer_wake(item);
            return;
        }
        dispatch->timers = timers;
        dispatch->timer_capacity = capacity;
    }
    size_t index = dispatch->timer_count++;
    while (index > 0 && dispatch->timers[(index - 1) / 2]->due_ns > item->due_ns) {
        timer_place(dispatch, index, dispatch->timers[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    timer_place(dispatch, index, item);
}

static struct nx_item *timer_take_first(struct nx_dispatch *dispatch) {
    struct nx_item *first = dispatch->timers[0];
    struct nx_item *last = dispatch->timers[--dispatch->timer_count];
    size_t index = 0;
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= dispatch->timer_count) {
            break;
        }
        if (child + 1 < dispatch->timer_count &&
            dispatch->timers[child + 1]->due_ns < dispatch->timers[child]->due_ns) {
            child++;
        }
        if (dispatch->timers[child]->due_ns >= last->due_ns) {
            break;
        }
        timer_place(dispatch, index, dispatch->timers[child]);
        index = child;
    }
    if (dispatch->timer_count > 0) {
        timer_place(dispatch, index, last);
    }
    return first;
}

/* The consumer may have something to run. */
void nx_dispatch_note_ready(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    if (consumer->in_ready.next == NULL && !nx_list_is_empty(&consumer->ready)) {
        nx_list_append(&dispatch->ready, &consumer->in_ready);
    }
}

/* An item that became retrying: when its time comes. The wait counts from the attempt's end, also when that
 * was before a restart. */
void nx_dispatch_time_item(struct nx_dispatch *dispatch, struct nx_item *item) {
    static const struct nx_retry_policy fallback = { .attempts_max = 5,
                                                     .backoff_ns = NX_NS_PER_S,
                                                     .backoff_max_ns = 300 * (int64_t)NX_NS_PER_S };
    const struct nx_registered *registered = item->consumer->registered;
    const struct nx_retry_policy *policy = registered == NULL ? &fallback : &registered->function->retry;
    const int64_t wait_ns = nx_retry_wait_ns(policy, item->attempt, nx_random_u64(&dispatch->options.random));
    int64_t left_ns = item->failed_at_ns + wait_ns - dispatch->now.wall_ns;
    left_ns = left_ns < 0 ? 0 : left_ns > wait_ns ? wait_ns : left_ns;
    item->due_ns = dispatch->now.monotonic_ns + left_ns;
    timer_add(dispatch, item);
}

static void drop_body(struct nx_dispatch *dispatch, struct nx_item *item) {
    if (item->body != NULL) {
        dispatch->bodies_size -= item->body->size;
        free(item->body);
        item->body = NULL;
    }
}

/* Running. */

struct nx_dispatch_worker *nx_dispatch_least_busy(struct nx_dispatch *dispatch) {
    struct nx_dispatch_worker *best = NULL;
    for (size_t i = 1; i < dispatch->worker_count; i++) {
        struct nx_dispatch_worker *worker = &dispatch->workers[i];
        if (worker->task_count < NX_WORKER_CALLS_MAX &&
            (best == NULL || worker->task_count < best->task_count)) {
            best = worker;
        }
    }
    return best;
}

/* Few calls run at hand, where no other thread has to be woken for them, and only of functions that were
 * quick before: there everybody waits for them. NULL when the others have as many as they take. */
static struct nx_dispatch_worker *worker_for(struct nx_dispatch *dispatch,
                                             const struct nx_consumer *consumer) {
    struct nx_dispatch_worker *at_hand = &dispatch->workers[0];
    return consumer->quick_count >= QUICK_CALLS && at_hand->task_count < AT_HAND_CALLS
               ? at_hand
               : nx_dispatch_least_busy(dispatch);
}

bool nx_dispatch_send_task(struct nx_dispatch *dispatch, struct nx_dispatch_worker *worker,
                           struct nx_task *task, struct nx_item *item, struct nx_message *live) {
    struct nx_loaded *loaded = nx_modules_want(&dispatch->modules, task->registered);
    struct nx_flight *flight = calloc(1, sizeof *flight);
    if (flight == NULL || loaded == NULL || loaded->state == NX_LOADED_LOADING) {
        free(flight);
        return false;
    }
    task->module = loaded->module;
    if (loaded->module == NULL && task->event != NULL) {
        task->error = loaded->error;
    }
    flight->item = item;
    flight->worker = worker;
    flight->live = live;
    flight->loaded = loaded;
    flight->invocations_next = dispatch->invocations_next;
    task->sent_at_ns = dispatch->now.wall_ns;
    task->message.reply_to = dispatch->mailbox;
    task->message.context = flight;
    if (!nx_mailbox_send(worker->mailbox, &task->message)) {
        free(flight);
        return false;
    }
    worker->task_count++;
    nx_modules_use(loaded);
    nx_list_append(&dispatch->flights, &flight->node);
    return true;
}

/* The item, which is running, goes to a worker; `gone` says why its event cannot be read, NULL when it is
 * there. */
static bool run_item(struct nx_dispatch *dispatch, struct nx_dispatch_worker *worker, struct nx_item *item,
                     const struct nx_error *gone) {
    const struct nx_registered *registered = item->consumer->registered;
    struct nx_task *task = NULL;
    if (nx_task_new(dispatch->registry, &task, NULL) != NX_OK) {
        return false;
    }
    const uint32_t attempts_max = registered->function->retry.attempts_max;
    task->registered = registered;
    task->event_sequence = item->sequence;
    task->attempt = item->attempt + 1;
    /* An event that is gone does not come back: this attempt is the last. */
    task->attempts_max = gone != NULL ? task->attempt : attempts_max == 0 ? 1 : attempts_max;
    task->series = item->series;
    task->dead_letter = item->dead_letter;
    task->earlier = item->earlier;
    task->earlier_count = item->earlier_count;
    /* Alone it meets only keys that a live replay changes. */
    task->may_give_way = item->consumer->width != 1;
    task->event = NX_TAKE(item->body);
    if (gone != NULL) {
        task->error = *gone;
    }
    if (!nx_dispatch_send_task(dispatch, worker, task, item, NULL)) {
        item->body = NX_TAKE(task->event);
        nx_task_free(task);
        return false;
    }
    item->state = NX_ITEM_RUNNING;
    return true;
}

/* Start the next item of this consumer; false when it could not be. */
static bool run_next(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    if (!nx_consumer_may_run(consumer)) {
        return true; /* it comes back when an item of it ends */
    }
    struct nx_loaded *loaded = nx_modules_want(&dispatch->modules, consumer->registered);
    if (loaded != NULL && loaded->state == NX_LOADED_LOADING) {
        nx_list_append(&loaded->waiting, &consumer->in_ready); /* it comes back when that is done */
        return true;
    }
    struct nx_item *item = loaded == NULL ? NULL : nx_consumer_take(consumer);
    if (item == NULL) {
        dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
        nx_dispatch_note_ready(dispatch, consumer);
        return false;
    }
    bool is_sent;
    if (item->body == NULL) {
        item->state = NX_ITEM_FETCHING;
        is_sent = nx_dispatch_ask_item(dispatch, item);
    } else {
        struct nx_dispatch_worker *worker = worker_for(dispatch, consumer);
        is_sent = worker != NULL && run_item(dispatch, worker, item, NULL);
    }
    if (!is_sent) {
        nx_consumer_put_back(item);
        dispatch->retry_due_ns = dispatch->now.monotonic_ns + NX_NS_PER_S;
    }
    nx_dispatch_note_ready(dispatch, consumer);
    return is_sent;
}

/* Give the workers what they can take: one item a consumer in turn. */
static void pump(struct nx_dispatch *dispatch) {
    bool is_going = dispatch->phase == NX_DISPATCH_RUNNING;
    while (is_going) {
        const bool has_room = nx_dispatch_least_busy(dispatch) != NULL;
        struct nx_list_node *node = has_room ? nx_list_take_first(&dispatch->ready) : NULL;
        if (node == NULL) {
            return;
        }
        is_going = run_next(dispatch, nx_container_of(node, struct nx_consumer, in_ready));
    }
}

/* An item's event was read again: because its key is not known, or because it is its turn. */
static void take_item(struct nx_dispatch *dispatch, struct nx_item *item, struct nx_read *read) {
    struct nx_consumer *consumer = item->consumer;
    const bool is_there = read->status == NX_OK && read->record_count > 0;
    const bool is_gone =
        !is_there && (read->status == NX_NOT_FOUND || read->status == NX_DATA_LOSS || read->status == NX_OK);
    if (is_there) {
        nx_dispatch_hold_body(dispatch, item, &read->records[0]);
    }
    item->is_asked = false;
    if (item->state == NX_ITEM_KEYLESS) {
        const struct nx_str path =
            consumer->registered == NULL ? NX_STR_EMPTY : consumer->registered->function->order_key;
        uint64_t key_hash = 0;
        if ((!is_there && !is_gone) ||
            (is_there && !nx_dispatch_key_hash(&read->records[0], path, &key_hash))) {
            consumer->is_stray = true; /* its key is not known: it is read again */
            nx_dispatch_note_failure(dispatch, read, "cannot read an event");
            return;
        }
        nx_dispatch_queue_item(dispatch, item, key_hash);
        return;
    }
    nx_assert(item->state == NX_ITEM_FETCHING);
    if (is_there && item->body == NULL) {
        /* Its turn has come: it is held whatever the others hold. */
        item->body = nx_event_copy_new(&read->records[0]);
        dispatch->bodies_size += item->body == NULL ? 0 : item->body->size;
    }
    struct nx_dispatch_worker *worker = worker_for(dispatch, consumer);
    if (dispatch->phase == NX_DISPATCH_RUNNING && worker != NULL && consumer->registered != NULL &&
        (is_gone || item->body != NULL) && run_item(dispatch, worker, item, is_gone ? &read->error : NULL)) {
        return;
    }
    nx_consumer_put_back(item);
    nx_dispatch_note_ready(dispatch, consumer);
    if (!is_there && !is_gone) {
        nx_dispatch_note_failure(dispatch, read, "cannot read an event");
    }
}

/* Answers of workers. */

static bool is_recorded(const struct nx_task *task) {
    return task->answer != NX_TASK_NOT_RUN && task->answer != NX_TASK_GAVE_WAY;
}

static void count_task(struct nx_dispatch *dispatch, const struct nx_task *task) {
    const struct nx_dispatch_metrics *metrics = &dispatch->metrics;
    if (metrics->attempts == NULL || !is_recorded(task)) {
        return;
    }
    const struct nx_str function = task->registered->function->name;
    const struct nx_str outcome = nx_str_from_c(nx_outcome_name(task->outcome));
    const bool is_ok = task->outcome == NX_OUTCOME_OK;
    nx_counter_add(nx_metric_counter(metrics->attempts,
                                     (struct nx_str[]){ function, is_ok ? NX_STR("ok") : NX_STR("failed") }),
                   1);
    nx_histogram_observe(nx_metric_histogram(metrics->duration, &function), task->duration_ns);
    nx_histogram_observe(nx_metric_histogram(metrics->memory, &function), task->memory_peak);
    nx_counter_add(nx_metric_counter(metrics->fuel, &function), task->fuel);
    if (!is_ok) {
        nx_counter_add(nx_metric_counter(metrics->errors, (struct nx_str[]){ function, outcome }), 1);
    }
}

/* An item is done: the next one of its key may go. */
static void end_item(struct nx_dispatch *dispatch, struct nx_item *item) {
    struct nx_consumer *consumer = item->consumer;
    drop_body(dispatch, item);
    struct nx_item *next = nx_consumer_end(item);
    if (next != NULL && next->state == NX_ITEM_RETRYING) {
        nx_dispatch_time_item(dispatch, next);
    }
    if (!consumer->attached || consumer->requeue_next < consumer->requeue_end) {
        dispatch->is_look_due = true;
    }
}

static void retry_item(struct nx_dispatch *dispatch, struct nx_item *item, const struct nx_task *task) {
    nx_consumer_retry(item, task->invocation, task->finished_at_ns);
    const bool is_personal = item->body != NULL && nx_record_is_sealed(&item->body->record);
    if (is_personal || dispatch->bodies_size > NX_DISPATCH_BODIES_SIZE_MAX / 2) {
        drop_body(dispatch, item);
    }
    nx_dispatch_time_item(dispatch, item);
}

/* Nothing happened: again, a little later. */
static void hold_item(struct nx_dispatch *dispatch, struct nx_item *item, const struct nx_task *task) {
    struct nx_consumer *consumer = item->consumer;
    if (!consumer->held) {
        nx_log_warn(dispatch->options.log, "a function is held", NX_F_C("function", consumer->name),
                    NX_F_C("error", task->error.message));
    }
    consumer->held = true;
    dispatch->held_error = task->error;
    consumer->running_count--;
    consumer->retrying_count++;
    item->state = NX_ITEM_RETRYING;
    item->due_ns = dispatch->now.monotonic_ns + HELD_WAIT_NS;
    timer_add(dispatch, item);
}

static void tell_given_up(const struct nx_dispatch *dispatch, const struct nx_consumer *consumer,
                          const struct nx_task *task) {
    char event[32];

    if (dispatch->options.is_watched) {
        return;
    }
    (void)snprintf(event, sizeof event, "EVENTS:%" PRIu64, task->event_sequence);
    nx_log_warn(dispatch->options.log, "event given up: it is in the dead letters",
                NX_F_C("function", consumer->name), NX_F_C("event", event),
                NX_F_C("outcome", nx_outcome_name(task->outcome)), NX_F_C("error", task->error.message));
}

/* Calls that change the same keys run at hand or beside it, not both: those at hand would win each time. */
static void note_quick(struct nx_consumer *consumer, const struct nx_task *task) {
    const bool is_quick =
        task->outcome == NX_OUTCOME_OK && task->conflicts == 0 && task->duration_ns < QUICK_NS;
    const uint32_t more = consumer->quick_count < QUICK_CALLS ? 1 : 0;
    consumer->quick_count = is_quick ? consumer->quick_count + more : 0;
}

static void settle_item(struct nx_dispatch *dispatch, struct nx_item *item, struct nx_task *task) {
    struct nx_consumer *consumer = item->consumer;
    item->body = NX_TAKE(task->event);
    nx_consumer_note_conflicts(consumer, task);
    if (is_recorded(task)) {
        consumer->held = false;
        note_quick(consumer, task);
        dispatch->checkpoint_changed = true;
    }
    switch (task->answer) {
    case NX_TASK_SUCCEEDED:
        consumer->succeeded_count++;
        nx_dispatch_end_awaits(dispatch, item, task);
        end_item(dispatch, item);
        break;
    case NX_TASK_DEAD:
        consumer->failed_count++;
        consumer->dead_letter_count++;
        tell_given_up(dispatch, consumer, task);
        nx_dispatch_end_awaits(dispatch, item, task);
        end_item(dispatch, item);
        break;
    case NX_TASK_FAILED:
        consumer->failed_count++;
        retry_item(dispatch, item, task);
        break;
    case NX_TASK_NOT_RUN:
        hold_item(dispatch, item, task);
        break;
    case NX_TASK_GAVE_WAY:
        nx_consumer_put_back(item);
        break;
    }
    nx_dispatch_note_ready(dispatch, consumer);
}

static void take_task(struct nx_dispatch *dispatch, struct nx_task *task) {
    struct nx_flight *flight = task->message.context;
    flight->worker->task_count--;
    nx_modules_release(&dispatch->modules, flight->loaded);
    nx_list_remove(&dispatch->flights, &flight->node);
    if (task->invocation >= dispatch->invocations_next) {
        dispatch->invocations_next = task->invocation + 1;
    }
    count_task(dispatch, task);
    if (flight->item != NULL) {
        settle_item(dispatch, flight->item, task);
    } else {
        nx_dispatch_live_done(flight->live, task);
    }
    free(flight);
    nx_task_free(task);
}

/* Messages. */

static void take_read(struct nx_dispatch *dispatch, struct nx_read *read) {
    const struct nx_asked asked = *(const struct nx_asked *)read->message.context;
    switch (asked.purpose) {
    case NX_FOR_HEAD:
        nx_dispatch_take_head(dispatch, read);
        break;
    case NX_FOR_END:
        nx_dispatch_take_end(dispatch, read);
        break;
    case NX_FOR_CATCH_UP:
        nx_dispatch_take_catch_up(dispatch, asked.consumer, read);
        dispatch->is_look_due = true;
        break;
    case NX_FOR_REQUEUE:
        nx_dispatch_take_requeue(dispatch, asked.consumer, read);
        dispatch->is_look_due = true;
        break;
    case NX_FOR_ITEM:
        take_item(dispatch, asked.item, read);
        break;
    case NX_FOR_LOST_INFO:
    case NX_FOR_LOST_FACTS:
    case NX_FOR_LOST_EVENT:
        nx_dispatch_take_search(dispatch, &asked, read);
        break;
    case NX_FOR_DLQ_INFO:
        nx_dispatch_requeue_known(dispatch, &asked, read);
        break;
    default:
        nx_dispatch_take_loading(dispatch, &asked, read);
        break;
    }
    nx_read_free(read);
}

static void take_append(struct nx_dispatch *dispatch, struct nx_append *append) {
    const struct nx_asked asked = *(const struct nx_asked *)append->message.context;
    switch (asked.purpose) {
    case NX_FOR_CHECKPOINT:
        nx_dispatch_take_checkpoint(dispatch, append);
        break;
    case NX_FOR_START:
        nx_dispatch_take_registered(dispatch, &asked, append);
        break;
    case NX_FOR_REQUEUE_WRITE:
        nx_dispatch_requeue_written(dispatch, &asked, append);
        break;
    default:
        nx_assert_never("an append that dispatch did not send");
    }
    nx_append_free(append);
}

static void retry_modules(struct nx_dispatch *dispatch) {
    const int64_t next_ns = nx_modules_ask_again(&dispatch->modules, dispatch->now.monotonic_ns);
    dispatch->retry_due_ns = next_ns < dispatch->retry_due_ns ? next_ns : dispatch->retry_due_ns;
}

/* Once: whoever looks must learn what to do, and not from a thousand lines. */
static void tell_missing(struct nx_dispatch *dispatch, const struct nx_loaded *loaded) {
    const struct nx_list_node *node = nx_list_first(&loaded->waiting);
    if (loaded->failures != NX_MODULE_TELL_FAILURES) {
        return;
    }
    nx_log_error(
        dispatch->options.log,
        "a module cannot be read; its events wait. Build the function and start again (nexus build) to store "
        "it anew",
        NX_F_C("function", node == NULL ? "" : nx_container_of(node, struct nx_consumer, in_ready)->name),
        NX_F_C("error", loaded->error.message));
}

/* A module was loaded, or cannot be: who waited for it may go on. */
static void take_load(struct nx_dispatch *dispatch, struct nx_load *load) {
    struct nx_loaded *loaded = nx_modules_take(&dispatch->modules, load, dispatch->now.monotonic_ns);
    struct nx_list_node *node;
    if (loaded->state == NX_LOADED_LOADING) {
        tell_missing(dispatch, loaded);
        retry_modules(dispatch);
        return;
    }
    if (loaded->failures >= NX_MODULE_TELL_FAILURES) {
        nx_log_info(dispatch->options.log, "the module that could not be read is there again");
    }
    loaded->failures = 0;
    while ((node = nx_list_take_first(&loaded->waiting)) != NULL) {
        nx_list_append(&dispatch->ready, node);
    }
}

static void take_message(struct nx_dispatch *dispatch, struct nx_message *message) {
    switch (message->kind) {
    case NX_LOAD:
        take_load(dispatch, (struct nx_load *)(void *)message);
        break;
    case NX_FABRIC_READ:
        take_read(dispatch, (struct nx_read *)(void *)message);
        break;
    case NX_FABRIC_APPEND:
        take_append(dispatch, (struct nx_append *)(void *)message);
        break;
    case NX_FABRIC_WHEN_HELD:
        dispatch->is_held_told = false;
        dispatch->is_held_asked = true;
        nx_message_release(message);
        break;
    case NX_TASK:
        take_task(dispatch, (struct nx_task *)(void *)message);
        break;
    case NX_TASK_EARLY:
        nx_dispatch_take_early(dispatch, (struct nx_task_early *)(void *)message);
        break;
    default:
        nx_dispatch_take_request(dispatch, message);
        break;
    }
}

static void wake_timers(struct nx_dispatch *dispatch) {
    while (dispatch->timer_count > 0 && dispatch->timers[0]->due_ns <= dispatch->now.monotonic_ns) {
        struct nx_item *item = timer_take_first(dispatch);
        nx_consumer_wake(item);
        nx_dispatch_note_ready(dispatch, item->consumer);
    }
    if (dispatch->retry_due_ns <= dispatch->now.monotonic_ns) {
        dispatch->retry_due_ns = NX_STEP_IDLE;
        dispatch->is_look_due = true;
        nx_dispatch_recover_again(dispatch);
        retry_modules(dispatch);
    }
}

static void checkpoint_if_due(struct nx_dispatch *dispatch) {
    if (dispatch->checkpoint_writes > 0 || !dispatch->checkpoint_changed ||
        dispatch->phase != NX_DISPATCH_RUNNING) {
        return;
    }
    if (dispatch->now.monotonic_ns >= dispatch->checkpoint_due_ns ||
        dispatch->invocations_next - dispatch->checkpointed_invocations >= NX_DISPATCH_CHECKPOINT_RECORDS) {
        nx_dispatch_checkpoint(dispatch);
    }
}

/* Retention must not wait for a checkpoint, which comes only when something was done. */
static void protect_if_due(struct nx_dispatch *dispatch) {
    if (dispatch->phase == NX_DISPATCH_RUNNING && dispatch->head != dispatch->protected_head &&
        (dispatch->now.monotonic_ns >= dispatch->protect_due_ns ||
         dispatch->head - dispatch->protected_head >= PROTECT_EVENTS)) {
        (void)nx_dispatch_protect_head(dispatch); /* without memory it is due again in a second */
    }
}

static int64_t next_time(const struct nx_dispatch *dispatch, bool is_sent) {
    int64_t next_ns = dispatch->retry_due_ns;
    if (dispatch->awaits.due_ns < next_ns) {
        next_ns = dispatch->awaits.due_ns;
    }
    if (dispatch->timer_count > 0 && dispatch->timers[0]->due_ns < next_ns) {
        next_ns = dispatch->timers[0]->due_ns;
    }
    if (dispatch->checkpoint_changed && dispatch->checkpoint_writes == 0 &&
        dispatch->phase == NX_DISPATCH_RUNNING && dispatch->checkpoint_due_ns < next_ns) {
        next_ns = dispatch->checkpoint_due_ns;
    }
    if (dispatch->phase == NX_DISPATCH_RUNNING && dispatch->head != dispatch->protected_head &&
        dispatch->protect_due_ns < next_ns) {
        next_ns = dispatch->protect_due_ns;
    }
    if (nx_registry_count(dispatch->registry) == 0 && !dispatch->head_asked &&
        dispatch->phase == NX_DISPATCH_RUNNING && dispatch->end_due_ns < next_ns) {
        next_ns = dispatch->end_due_ns;
    }
    if (!is_sent && dispatch->now.monotonic_ns + NX_OUTBOX_RETRY_NS < next_ns) {
        next_ns = dispatch->now.monotonic_ns + NX_OUTBOX_RETRY_NS;
    }
    return next_ns;
}

static int64_t step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct nx_dispatch *dispatch = state;
    struct nx_message *message;
    dispatch->now = now;
    if (dispatch->phase == NX_DISPATCH_BEGINNING) {
        dispatch->checkpoint_due_ns = now.monotonic_ns + dispatch->options.checkpoint_every_ns;
        nx_dispatch_begin(dispatch);
    }
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        take_message(dispatch, message);
    }
    nx_dispatch_advance(dispatch);
    wake_timers(dispatch);
    nx_dispatch_expire_awaits(dispatch);
    nx_dispatch_read_on(dispatch);
    nx_dispatch_run_live(dispatch);
    pump(dispatch);
    checkpoint_if_due(dispatch);
    protect_if_due(dispatch);
    nx_dispatch_answer_held(dispatch);
    nx_dispatch_stop_if_done(dispatch);
    bool is_sent = nx_outbox_flush(&dispatch->appends);
    is_sent = nx_outbox_flush(&dispatch->reads) && is_sent;
    is_sent = nx_outbox_flush(&dispatch->modules.loader) && is_sent;
    return next_time(dispatch, is_sent);
}

static enum nx_status add_metrics(struct nx_dispatch *dispatch, struct nx_metrics *metrics,
                                  struct nx_error *err) {
    static const struct nx_metric_options events = {
        .name = "nexus_events_total",
        .help = "Events that arrived, from outside and from functions, by type; other: no function takes it.",
        .kind = NX_METRIC_COUNTER,
        .labels = { "type" },
    };
    static const struct nx_metric_options attempts = {
        .name = "nexus_function_attempts_total",
        .help = "Attempts to handle an event, by function and status.",
        .kind = NX_METRIC_COUNTER,
        .labels = { "function", "status" },
    };
    static const struct nx_metric_options duration = {
        .name = "nexus_function_duration_seconds",
        .help = "Time from a call's first step to its last, waiting included.",
        .kind = NX_METRIC_HISTOGRAM,
        .labels = { "function" },
        .scale = 1e-9,
    };
    static const struct nx_metric_options memory = {
        .name = "nexus_function_memory_bytes",
        .help = "Highest linear memory of a call.",
        .kind = NX_METRIC_HISTOGRAM,
        .labels = { "function" },
        .bucket_log2_first = 16,
        .bucket_log2_last = 32,
    };
    static const struct nx_metric_options fuel = {
        .name = "nexus_function_fuel_total",
        .help = "Fuel that calls have used.",
        .kind = NX_METRIC_COUNTER,
        .labels = { "function" },
    };
    static const struct nx_metric_options errors = {
        .name = "nexus_errors_total",
        .help = "Failed attempts, by function and outcome.",
        .kind = NX_METRIC_COUNTER,
        .labels = { "function", "outcome" },
    };
    if (metrics == NULL) {
        return NX_OK;
    }
    NX_TRY(nx_metrics_add(metrics, &duration, &dispatch->metrics.duration, err));
    NX_TRY(nx_metrics_add(metrics, &memory, &dispatch->metrics.memory, err));
    NX_TRY(nx_metrics_add(metrics, &fuel, &dispatch->metrics.fuel, err));
    NX_TRY(nx_metrics_add(metrics, &errors, &dispatch->metrics.errors, err));
    NX_TRY(nx_metrics_add(metrics, &attempts, &dispatch->metrics.attempts, err));
    return nx_metrics_add(metrics, &events, &dispatch->metrics.events, err);
}

enum nx_status nx_dispatch_open(const struct nx_dispatch_options *options, struct nx_dispatch **dispatch_out,
                                struct nx_error *err) {
    NX_AUTO(nx_dispatch) *dispatch = calloc(1, sizeof *dispatch);
    if (dispatch == NULL) {
        return nx_fail_memory(err);
    }
    dispatch->options = *options;
    dispatch->appends.to = options->appends;
    dispatch->reads.to = options->reads;
    dispatch->retry_due_ns = NX_STEP_IDLE;
    dispatch->is_look_due = true;
    nx_buf_init(&dispatch->expected, NX_RECORD_SIZE_MAX);
    nx_list_init(&dispatch->ready);
    nx_list_init(&dispatch->flights);
    nx_list_init(&dispatch->requeues);
    nx_list_init(&dispatch->awaits.all);
    dispatch->awaits.due_ns = NX_STEP_IDLE;
    nx_map_init(&dispatch->consumers, CONSUMERS_MAX, nx_random_u64(&options->random));
    nx_map_init(&dispatch->arrivals, NX_METRIC_SERIES_MAX, nx_random_u64(&options->random));
    nx_modules_init(&dispatch->modules, options->guests, options->loader, NULL,
                    nx_random_u64(&options->random));
    if (dispatch->options.checkpoint_every_ns <= 0) {
        dispatch->options.checkpoint_every_ns = 5 * (int64_t)NX_NS_PER_S;
    }
    dispatch->workers = calloc(options->worker_count, sizeof *dispatch->workers);
    if (dispatch->workers == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < options->worker_count; i++) {
        dispatch->workers[i].mailbox = options->workers[i];
    }
    dispatch->worker_count = options->worker_count;
    NX_TRY(add_metrics(dispatch, options->metrics, err));
    NX_TRY(nx_mailbox_open(NX_DISPATCH_REQUESTS_MAX, &dispatch->mailbox, err));
    dispatch->registry = nx_registry_ref(options->registry);
    dispatch->modules.reply_to = dispatch->mailbox;
    *dispatch_out = NX_TAKE(dispatch);
    return NX_OK;
}

void nx_dispatch_close(struct nx_dispatch *dispatch) {
    size_t cursor = 0;
    void *value;
    struct nx_list_node *node;
    if (dispatch == NULL) {
        return;
    }
    while (nx_map_next(&dispatch->consumers, &cursor, NULL, &value)) {
        nx_consumer_free(value);
    }
    while ((node = nx_list_take_first(&dispatch->flights)) != NULL) {
        struct nx_flight *flight = nx_container_of(node, struct nx_flight, node);
        nx_message_release(flight->live);
        free(flight);
    }
    while ((node = nx_list_take_first(&dispatch->requeues)) != NULL) {
        nx_message_release(&nx_container_of(node, struct nx_functions_requeue, node)->message);
    }
    while ((node = nx_list_take_first(&dispatch->awaits.all)) != NULL) {
        nx_message_release(&nx_container_of(node, struct nx_functions_await, node)->message);
    }
    nx_map_fini(&dispatch->consumers);
    nx_map_fini(&dispatch->arrivals);
    nx_buf_fini(&dispatch->expected);
    nx_append_free(dispatch->checkpoint_last);
    nx_modules_fini(&dispatch->modules);
    nx_message_queue_release(&dispatch->ready_waiting);
    nx_message_queue_release(&dispatch->stop_waiting);
    nx_message_queue_release(&dispatch->live_waiting);
    nx_message_queue_release(&dispatch->appends.waiting);
    nx_message_queue_release(&dispatch->reads.waiting);
    nx_mailbox_close(dispatch->mailbox);
    nx_registry_unref(dispatch->registry);
    free(dispatch->timers);
    free(dispatch->workers);
    free(dispatch);
}

struct nx_actor nx_dispatch_actor(struct nx_dispatch *dispatch) {
    return (
        struct nx_actor){ .name = "dispatch", .mailbox = dispatch->mailbox, .state = dispatch, .step = step };
}

struct nx_mailbox *nx_dispatch_mailbox(struct nx_dispatch *dispatch) {
    return dispatch->mailbox;
}
