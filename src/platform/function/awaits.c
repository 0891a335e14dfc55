/* src/platform/function/awaits.c: requests that wait for what a function makes of one event.
 *
 * They name the event by its sequence, and come after it was stored: dispatch may not have seen it yet, may
 * have it under way, or be done with it. In the last case they are sent back at once: the log knows. Whoever
 * asks bounds how many there are. */
#include "base/assert.h"
#include "platform/function/dispatch_internal.h"

static void await_release(struct nx_message *message) {
    struct nx_functions_await *await = (struct nx_functions_await *)(void *)message;
    free(await->answer);
    free(await);
}

enum nx_status nx_functions_await_new(struct nx_str function, uint64_t event_sequence,
                                      struct nx_functions_await **await_out, struct nx_error *err) {
    nx_assert(function.len <= NX_FUNCTION_NAME_SIZE_MAX);
    struct nx_functions_await *await = calloc(1, sizeof *await);
    if (await == NULL) {
        return nx_fail_memory(err);
    }
    await->message.kind = NX_FUNCTIONS_AWAIT;
    await->message.release = await_release;
    memcpy(await->function, function.ptr, function.len);
    await->event_sequence = event_sequence;
    *await_out = await;
    return NX_OK;
}

static struct nx_functions_await **bucket_of(struct nx_dispatch *dispatch, uint64_t sequence) {
    return &dispatch->awaits.buckets[sequence & (NX_AWAIT_BUCKETS - 1)];
}

static void answer(struct nx_functions_await *await, enum nx_await_end end) {
    await->end = end;
    nx_message_reply(&await->message);
}

/* Out of the table. */
static void take_out(struct nx_dispatch *dispatch, struct nx_functions_await *await) {
    struct nx_functions_await **at = bucket_of(dispatch, await->event_sequence);
    while (*at != await) {
        at = &(*at)->next;
    }
    *at = await->next;
    await->next = NULL;
    nx_list_remove(&dispatch->awaits.all, &await->node);
    if (nx_list_is_empty(&dispatch->awaits.all)) {
        dispatch->awaits.due_ns = NX_STEP_IDLE;
    }
}

/* The next one of this event and function, from `await` on; NULL: there is none. */
static struct nx_functions_await *find(struct nx_functions_await *await, uint64_t sequence,
                                       const char *function) {
    while (await != NULL && (await->event_sequence != sequence || strcmp(await->function, function) != 0)) {
        await = await->next;
    }
    return await;
}

/* What was taken in last stands at the end, and is what is asked for nearly always. */
static bool is_pending(const struct nx_consumer *consumer, uint64_t sequence) {
    const struct nx_list *pending = &consumer->pending;
    for (struct nx_list_node *node = pending->head.prev; node != &pending->head; node = node->prev) {
        const struct nx_item *item = nx_container_of(node, struct nx_item, in_pending);
        if (item->sequence == sequence) {
            return true;
        }
    }
    return false;
}

/* Whether it will be told of the event's end. */
static bool is_to_come(const struct nx_dispatch *dispatch, const struct nx_functions_await *await) {
    const struct nx_consumer *consumer = nx_map_get(&dispatch->consumers, nx_str_from_c(await->function));
    if (consumer == NULL || consumer->phase != NX_CONSUMER_LOADED || dispatch->phase != NX_DISPATCH_RUNNING) {
        return true; /* not known yet: the deadline bounds it */
    }
    const uint64_t looked_at = consumer->attached ? dispatch->head : consumer->cursor;
    return await->event_sequence >= looked_at || is_pending(consumer, await->event_sequence);
}

void nx_dispatch_await(struct nx_dispatch *dispatch, struct nx_functions_await *await) {
    if (dispatch->phase >= NX_DISPATCH_STOPPED) {
        answer(await, NX_AWAIT_STOPPED);
        return;
    }
    if (!is_to_come(dispatch, await)) {
        answer(await, NX_AWAIT_PASSED);
        return;
    }
    struct nx_functions_await **bucket = bucket_of(dispatch, await->event_sequence);
    await->next = *bucket;
    *bucket = await;
    nx_list_append(&dispatch->awaits.all, &await->node);
    if (await->deadline_ns < dispatch->awaits.due_ns) {
        dispatch->awaits.due_ns = await->deadline_ns;
    }
}

/* The answer is moved to the last one who waits; a repeat of the request, which waits too, gets a copy. */
static void give(struct nx_functions_await *await, struct nx_answer **bytes, bool is_last) {
    const struct nx_answer *given = *bytes;
    await->answer = is_last ? NX_TAKE(*bytes) : nx_answer_new(given->status, given->headers, given->output);
    answer(await, await->answer == NULL ? NX_AWAIT_PASSED : NX_AWAIT_SUCCEEDED);
}

void nx_dispatch_end_awaits(struct nx_dispatch *dispatch, const struct nx_item *item, struct nx_task *task) {
    const char *function = item->consumer->name;
    struct nx_functions_await *await =
        nx_list_is_empty(&dispatch->awaits.all)
            ? NULL
            : find(*bucket_of(dispatch, item->sequence), item->sequence, function);
    while (await != NULL) {
        struct nx_functions_await *next = find(await->next, item->sequence, function);
        take_out(dispatch, await);
        await->outcome = task->outcome;
        await->attempt = task->attempt;
        await->invocation = task->invocation;
        if (task->answer != NX_TASK_SUCCEEDED) {
            await->error = task->error;
            answer(await, NX_AWAIT_GIVEN_UP);
        } else if (task->answer_bytes == NULL) {
            answer(await, NX_AWAIT_PASSED);
        } else {
            give(await, &task->answer_bytes, next == NULL);
        }
        await = next;
    }
}

void nx_dispatch_take_early(struct nx_dispatch *dispatch, struct nx_task_early *early) {
    struct nx_functions_await *await =
        find(*bucket_of(dispatch, early->event_sequence), early->event_sequence, early->function);
    while (await != NULL) {
        struct nx_functions_await *next = find(await->next, early->event_sequence, early->function);
        if (await->is_early) {
            take_out(dispatch, await);
            give(await, &early->answer, false);
        }
        await = next;
    }
    nx_message_release(&early->message);
}

void nx_dispatch_expire_awaits(struct nx_dispatch *dispatch) {
    struct nx_awaits *awaits = &dispatch->awaits;
    if (awaits->due_ns > dispatch->now.monotonic_ns) {
        return;
    }
    awaits->due_ns = NX_STEP_IDLE;
    struct nx_list_node *node = nx_list_first(&awaits->all);
    while (node != NULL) {
        struct nx_functions_await *await = nx_container_of(node, struct nx_functions_await, node);
        node = nx_list_next(&awaits->all, node);
        if (await->deadline_ns <= dispatch->now.monotonic_ns) {
            take_out(dispatch, await);
            answer(await, NX_AWAIT_LATE);
        } else if (await->deadline_ns < awaits->due_ns) {
            awaits->due_ns = await->deadline_ns;
        }
    }
}

void nx_dispatch_stop_awaits(struct nx_dispatch *dispatch) {
    for (struct nx_list_node *node; (node = nx_list_first(&dispatch->awaits.all)) != NULL;) {
        struct nx_functions_await *await = nx_container_of(node, struct nx_functions_await, node);
        take_out(dispatch, await);
        answer(await, NX_AWAIT_STOPPED);
    }
}
