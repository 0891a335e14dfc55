/* src/platform/function/checkpoint.c: what dispatch writes down so that a restart is short.
 *
 * In CONSUMERS: "consumers.<function>", the position of one function (consumer.h), written when it changed;
 * and "dispatch.checkpoint": u8 version | varint epoch | varint INVOCATIONS sequence from which records are
 * read again | varint EVENTS head, where every function stands that is attached | for each function its name,
 * led by a varint length, and the varint generation of its position. Consumers go first: a position that is
 * newer than dispatch's record is fine, for facts may be applied twice; one that is older, or gone, is known
 * by its generation: see search.c. */
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "platform/function/dispatch_internal.h"

/* Events that dispatch has not looked at are kept under this name, whoever they are for. */
#define HEAD_CONSUMER "dispatch-head"

enum {
    CHECKPOINT_FORMAT = 1,
    CONSUMERS_PER_APPEND = 64,
    POSITION_SIZE_MAX = 1000 * 1024,
    GENERATIONS_SIZE_MAX = 512 * 1024, /* after which those of functions that are not there are left out */
    PROTECT_EVERY_NS = NX_NS_PER_S
};

uint64_t nx_dispatch_invocations_floor(const struct nx_dispatch *dispatch) {
    const struct nx_list_node *node = nx_list_first(&dispatch->flights);
    return node == NULL ? dispatch->invocations_next
                        : nx_container_of(node, struct nx_flight, node)->invocations_next;
}

bool nx_checkpoint_decode(struct nx_str payload, struct nx_checkpoint *checkpoint_out) {
    struct nx_reader reader = nx_reader_of(payload);
    struct nx_checkpoint checkpoint = { 0 };
    const uint8_t version = nx_reader_u8(&reader);
    checkpoint.epoch = nx_reader_varint(&reader);
    checkpoint.invocations = nx_reader_varint(&reader);
    checkpoint.head = nx_reader_varint(&reader);
    checkpoint.generations = nx_reader_bytes(&reader, nx_reader_left(&reader));
    if (version != CHECKPOINT_FORMAT || !nx_reader_ok(&reader)) {
        return false;
    }
    *checkpoint_out = checkpoint;
    return true;
}

bool nx_checkpoint_generation(struct nx_reader *reader, struct nx_str *name_out, uint64_t *generation_out) {
    if (nx_reader_left(reader) == 0) {
        return false;
    }
    *name_out = nx_reader_varint_bytes(reader);
    *generation_out = nx_reader_varint(reader);
    return nx_reader_ok(reader);
}

static void add_generation(struct nx_buf *out, struct nx_str name, uint64_t generation) {
    nx_buf_append_varint_bytes(out, name);
    nx_buf_append_varint(out, generation);
}

/* Those that the checkpoint before has listed and that nobody has loaded since are listed on. */
static void add_generations(const struct nx_dispatch *dispatch, struct nx_buf *out) {
    size_t cursor = 0;
    struct nx_str name;
    void *value;
    uint64_t generation;
    while (nx_map_next(&dispatch->consumers, &cursor, &name, &value)) {
        const struct nx_consumer *consumer = value;
        if (consumer->listed > 0) {
            add_generation(out, name, consumer->listed);
        }
    }
    struct nx_reader reader = nx_reader_of(nx_buf_str(&dispatch->expected));
    while (nx_checkpoint_generation(&reader, &name, &generation) && out->len < GENERATIONS_SIZE_MAX) {
        if (nx_map_get(&dispatch->consumers, name) == NULL) {
            add_generation(out, name, generation);
        }
    }
}

/* One consumer's record; its size is what bounds an append. */
static enum nx_status add_consumer(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                                   struct nx_append *append, struct nx_error *err) {
    NX_AUTO(nx_buf) subject;
    NX_AUTO(nx_buf) headers;
    NX_AUTO(nx_buf) payload;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_init(&headers, NX_HEADERS_SIZE_MAX);
    nx_buf_init(&payload, POSITION_SIZE_MAX);
    nx_buf_append_format(&subject, NX_CONSUMER_SUBJECT_PREFIX "%s", consumer->name);
    /* For people, and for those who list the dead letters that are still there. */
    nx_buf_append_format(&headers, "Nexus-Floor: EVENTS:%" PRIu64 "\r\nNexus-Requeued: DLQ:%" PRIu64 "\r\n",
                         nx_consumer_floor(consumer), consumer->requeue_end);
    consumer->generation++;
    nx_consumer_encode(consumer, dispatch->epoch, dispatch->head, &payload);
    NX_TRY(nx_buf_check(&payload, err));
    const struct nx_append_entry entry = {
        .stream = NX_STR(NX_CHECKPOINT_STREAM),
        .subject = nx_buf_str(&subject),
        .headers = nx_buf_str(&headers),
        .payload = nx_buf_str(&payload),
    };
    return nx_append_add(append, &entry, err);
}

bool nx_dispatch_write_consumer(struct nx_dispatch *dispatch, struct nx_consumer *consumer,
                                const struct nx_asked *asked) {
    struct nx_append *append = NULL;
    if (nx_append_new(1, 0, &append, NULL) != NX_OK ||
        add_consumer(dispatch, consumer, append, NULL) != NX_OK) {
        nx_append_free(append);
        return false;
    }
    return nx_dispatch_send_append(dispatch, append, asked);
}

static const struct nx_asked for_checkpoint = { .purpose = NX_FOR_CHECKPOINT };

/* What should have been written was not: everybody is written again with the next checkpoint. */
static void forget_writes(struct nx_dispatch *dispatch) {
    size_t cursor = 0;
    void *value;
    dispatch->checkpoint_failed = true;
    dispatch->checkpoint_changed = true;
    while (nx_map_next(&dispatch->consumers, &cursor, NULL, &value)) {
        ((struct nx_consumer *)value)->changed = true;
    }
}

static void send_part(struct nx_dispatch *dispatch, struct nx_append *append) {
    if (nx_dispatch_send_append(dispatch, append, &for_checkpoint)) {
        dispatch->checkpoint_writes++;
    } else {
        nx_append_free(append);
        forget_writes(dispatch);
    }
}

/* The part with dispatch's own record goes when the others are on disk: without a position that it counts on,
 * what was done would be done again. */
static void send_last(struct nx_dispatch *dispatch) {
    struct nx_append *append = NX_TAKE(dispatch->checkpoint_last);
    if (append != NULL && !dispatch->checkpoint_failed) {
        send_part(dispatch, append);
    } else {
        nx_append_free(append);
    }
}

static void protect_release(struct nx_message *message) {
    free(message); /* the first member of its struct */
}

/* Keep what retention would take and somebody still needs. False: no memory, nothing was said. */
static bool protect(struct nx_dispatch *dispatch, const char *stream, const char *consumer, bool is_own,
                    uint64_t from) {
    struct nx_protect *message = calloc(1, sizeof *message);
    if (message == NULL) {
        return false;
    }
    message->message.kind = NX_FABRIC_PROTECT;
    message->message.release = protect_release;
    message->from_sequence = from;
    message->is_own = is_own;
    (void)snprintf(message->stream, sizeof message->stream, "%s", stream);
    (void)snprintf(message->consumer, sizeof message->consumer, "%s", consumer);
    nx_outbox_send(&dispatch->appends, &message->message);
    return true;
}

/* What of EVENTS the consumer still needs: nothing while it stands at the head, or is not there any more. */
static void protect_events(struct nx_dispatch *dispatch, struct nx_consumer *consumer) {
    const bool needs_none =
        consumer->registered == NULL || (consumer->attached && nx_list_is_empty(&consumer->pending));
    const uint64_t from = needs_none ? UINT64_MAX : nx_consumer_floor(consumer);
    if (from != consumer->protected_from && protect(dispatch, "EVENTS", consumer->name, false, from)) {
        consumer->protected_from = from;
    }
}

/* What is told is late, and may be: a function's floor only rises. But a function that needed nothing may
 * need an event from one moment to the next: so every event is kept from our head as it was when we said so
 * last, and the head is told only after the functions that have something in hand since. */
bool nx_dispatch_protect_head(struct nx_dispatch *dispatch) {
    size_t cursor = 0;
    void *value;
    dispatch->protect_due_ns = dispatch->now.monotonic_ns + PROTECT_EVERY_NS;
    while (nx_map_next(&dispatch->consumers, &cursor, NULL, &value)) {
        struct nx_consumer *consumer = value;
        if (consumer->protected_from != 0 && consumer->protected_from != UINT64_MAX) {
            continue; /* as far back as it needs, or further */
        }
        protect_events(dispatch, consumer);
        if (consumer->protected_from == 0) {
            return false;
        }
    }
    if (!protect(dispatch, "EVENTS", HEAD_CONSUMER, true, dispatch->head)) {
        return false;
    }
    dispatch->protected_head = dispatch->head;
    return true;
}

static bool protect_invocations(struct nx_dispatch *dispatch) {
    return protect(dispatch, "INVOCATIONS", NX_FUNCTIONS_CONSUMER, true, dispatch->written_invocations);
}

static bool add_dispatch(struct nx_dispatch *dispatch, struct nx_append *append) {
    NX_AUTO(nx_buf) payload;
    nx_buf_init(&payload, POSITION_SIZE_MAX);
    nx_buf_append_u8(&payload, CHECKPOINT_FORMAT);
    nx_buf_append_varint(&payload, dispatch->epoch);
    nx_buf_append_varint(&payload, nx_dispatch_invocations_floor(dispatch));
    nx_buf_append_varint(&payload, dispatch->head);
    add_generations(dispatch, &payload);
    if (nx_buf_failed(&payload)) {
        return false;
    }
    const struct nx_append_entry entry = {
        .stream = NX_STR(NX_CHECKPOINT_STREAM),
        .subject = NX_STR(NX_CHECKPOINT_SUBJECT),
        .headers = NX_STR_EMPTY,
        .payload = nx_buf_str(&payload),
    };
    dispatch->writing_invocations = nx_dispatch_invocations_floor(dispatch);
    return nx_append_add(append, &entry, NULL) == NX_OK;
}

/* Add the consumers that changed, in as many appends as they need; the last one is returned. NULL: no memory.
 */
static struct nx_append *add_changed(struct nx_dispatch *dispatch) {
    struct nx_append *append = NULL;
    size_t cursor = 0;
    void *value;
    if (nx_append_new(CONSUMERS_PER_APPEND + 1, 0, &append, NULL) != NX_OK) {
        return NULL;
    }
    while (nx_map_next(&dispatch->consumers, &cursor, NULL, &value)) {
        struct nx_consumer *consumer = value;
        if (!consumer->is_queued || (!consumer->changed && consumer->epoch == dispatch->epoch)) {
            continue;
        }
        if (append->entry_count == CONSUMERS_PER_APPEND || append->arena.size > NX_APPEND_SIZE_MAX / 2) {
            send_part(dispatch, append);
            if (nx_append_new(CONSUMERS_PER_APPEND + 1, 0, &append, NULL) != NX_OK) {
                return NULL;
            }
        }
        if (add_consumer(dispatch, consumer, append, NULL) != NX_OK) {
            nx_append_free(append);
            return NULL;
        }
        /* Until the answer says otherwise: see nx_dispatch_take_checkpoint(). */
        consumer->changed = false;
        consumer->epoch = dispatch->epoch;
        consumer->listed = consumer->generation;
        protect_events(dispatch, consumer);
    }
    return append;
}

void nx_dispatch_checkpoint(struct nx_dispatch *dispatch) {
    nx_assert(dispatch->checkpoint_writes == 0);
    dispatch->checkpoint_failed = false;
    dispatch->checkpoint_changed = false;
    dispatch->checkpoint_due_ns = dispatch->now.monotonic_ns + dispatch->options.checkpoint_every_ns;
    dispatch->checkpointed_invocations = dispatch->invocations_next;
    struct nx_append *append = add_changed(dispatch);
    if (append == NULL || !add_dispatch(dispatch, append)) {
        nx_append_free(append);
        forget_writes(dispatch);
        return;
    }
    dispatch->checkpoint_last = append;
    if (dispatch->checkpoint_writes == 0) {
        send_last(dispatch);
    }
    /* Of INVOCATIONS, what a restart would read: that is known of the last checkpoint which is on disk. */
    if (!nx_dispatch_protect_head(dispatch) || !protect_invocations(dispatch)) {
        dispatch->checkpoint_changed =
            true; /* no memory: retention keeps what it knows of, we say it again */
    }
}

/* The answer to "when held" is this checkpoint: what it frees is told before we may be asked again. */
static void end_checkpoint(struct nx_dispatch *dispatch) {
    if (!dispatch->checkpoint_failed) {
        dispatch->written_invocations = dispatch->writing_invocations;
        if (!protect_invocations(dispatch)) {
            dispatch->checkpoint_changed = true;
        }
    }
}

static void tell_when_held(struct nx_dispatch *dispatch) {
    struct nx_message *message = calloc(1, sizeof *message);
    if (message == NULL) {
        return; /* tried again in the next step */
    }
    message->kind = NX_FABRIC_WHEN_HELD;
    message->release = protect_release;
    message->reply_to = dispatch->mailbox;
    nx_outbox_send(&dispatch->appends, message);
    dispatch->is_held_told = true;
}

void nx_dispatch_answer_held(struct nx_dispatch *dispatch) {
    if (dispatch->phase != NX_DISPATCH_RUNNING || dispatch->checkpoint_writes > 0 || dispatch->is_held_told) {
        return;
    }
    if (dispatch->is_held_asked && dispatch->checkpoint_changed) {
        nx_dispatch_checkpoint(dispatch);
    } else if (dispatch->is_held_asked) {
        (void)nx_dispatch_protect_head(dispatch);
    }
    dispatch->is_held_asked = false;
    if (dispatch->checkpoint_writes == 0) { /* else when they are answered */
        tell_when_held(dispatch);
    }
}

void nx_dispatch_take_checkpoint(struct nx_dispatch *dispatch, const struct nx_append *append) {
    nx_assert(dispatch->checkpoint_writes > 0);
    dispatch->checkpoint_writes--;
    if (append->status != NX_OK) {
        forget_writes(dispatch); /* nothing is lost: the one before it holds */
    }
    if (dispatch->checkpoint_writes > 0) {
        return;
    }
    if (dispatch->checkpoint_last != NULL) {
        send_last(dispatch);
    } else {
        end_checkpoint(dispatch);
    }
}
