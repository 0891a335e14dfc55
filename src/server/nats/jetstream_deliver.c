/* Giving messages to those who wait for them: see jetstream_consumer.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "codec/nats.h"
#include "fabric/subject/subject.h"
#include "server/nats/jetstream_consumer.h"

enum {
    BLOCK_SIZE_MAX = 2 * 1024 * 1024,
    FLOW_SIZE_MAX = 32 * 1024 * 1024, /* NATS's own: bytes that a client with flow control has before it */
    BATCH_MAX = 100000,
};

static bool is_push(const struct nx_nats_js_consumer *consumer) {
    return consumer->config.deliver_subject.len > 0;
}

static int64_t now_of(const struct nx_nats_js_consumer *consumer) {
    return consumer->jetstream->now.monotonic_ns;
}

void nx_nats_js_wake_at(struct nx_nats_js_consumer *consumer, int64_t at_ns) {
    struct nx_nats_jetstream *jetstream = consumer->jetstream;
    if (at_ns <= jetstream->now.monotonic_ns) {
        if (consumer->ready_node.next == NULL) {
            nx_list_append(&jetstream->ready, &consumer->ready_node);
        }
        return;
    }
    consumer->due_ns = at_ns < consumer->due_ns ? at_ns : consumer->due_ns;
    jetstream->due_ns = at_ns < jetstream->due_ns ? at_ns : jetstream->due_ns;
}

static bool listens(const struct nx_nats_js_consumer *consumer, struct nx_str subject) {
    const struct nx_nats_jetstream_options *options = &consumer->jetstream->options;
    return options->listens(options->data, consumer->account, subject);
}

/* Those who wait */

static struct nx_nats_js_pull *pull_of(struct nx_list_node *node) {
    return nx_container_of(node, struct nx_nats_js_pull, node);
}

static void end_pull(struct nx_nats_js_consumer *consumer, struct nx_nats_js_pull *pull) {
    nx_list_remove(&consumer->pulls, &pull->node);
    consumer->active_ns = now_of(consumer);
    free(pull);
}

static void end_pull_with(struct nx_nats_js_consumer *consumer, struct nx_nats_js_pull *pull,
                          const char *status) {
    char text[192];
    (void)snprintf(text, sizeof text,
                   "%s\r\nNats-Pending-Messages: %" PRId64 "\r\nNats-Pending-Bytes: %" PRId64, status,
                   pull->batch, pull->bytes);
    nx_nats_js_consumer_status(consumer, pull->reply, text);
    end_pull(consumer, pull);
}

static void send_heartbeat(struct nx_nats_js_consumer *consumer, struct nx_str to) {
    char text[384];
    const int len =
        snprintf(text, sizeof text,
                 "100 Idle Heartbeat\r\nNats-Last-Consumer: %" PRIu64 "\r\nNats-Last-Stream: %" PRIu64,
                 consumer->ledger.delivered_consumer, consumer->next_sequence - 1);
    if (consumer->flow_reply[0] != '\0' && len > 0) {
        (void)snprintf(text + len, sizeof text - (size_t)len, "\r\nNats-Consumer-Stalled: %s",
                       consumer->flow_reply);
    }
    nx_nats_js_consumer_status(consumer, to, text);
}

/* Those whose time is up, or who have gone; `at_end`: there is nothing more now. */
static void look_at_pulls(struct nx_nats_js_consumer *consumer, bool at_end) {
    const int64_t now_ns = now_of(consumer);
    struct nx_list_node *next;
    for (struct nx_list_node *at = nx_list_first(&consumer->pulls); at != NULL; at = next) {
        struct nx_nats_js_pull *pull = pull_of(at);
        next = nx_list_next(&consumer->pulls, at);
        if (pull->expires_ns > 0 && pull->expires_ns <= now_ns) {
            end_pull_with(consumer, pull, "408 Request Timeout");
        } else if (at_end && pull->no_wait && (pull->expires_ns == 0 || pull->given > 0)) {
            nx_nats_js_consumer_status(consumer, pull->reply, "404 No Messages");
            end_pull(consumer, pull);
        } else if (!listens(consumer, pull->reply)) {
            end_pull(consumer, pull);
        } else if (pull->heartbeat_ns > 0 && pull->heartbeat_at_ns <= now_ns) {
            send_heartbeat(consumer, pull->reply);
            pull->heartbeat_at_ns = now_ns + pull->heartbeat_ns;
        }
    }
    for (struct nx_list_node *at = nx_list_first(&consumer->pulls); at != NULL;
         at = nx_list_next(&consumer->pulls, at)) {
        const struct nx_nats_js_pull *pull = pull_of(at);
        if (pull->expires_ns > 0) {
            nx_nats_js_wake_at(consumer, pull->expires_ns);
        }
        if (pull->heartbeat_ns > 0) {
            nx_nats_js_wake_at(consumer, pull->heartbeat_at_ns);
        }
    }
}

/* The next one who can take a message of this size; those who cannot are told. */
static struct nx_nats_js_pull *next_pull(struct nx_nats_js_consumer *consumer, uint64_t size) {
    for (struct nx_list_node *node; (node = nx_list_first(&consumer->pulls)) != NULL;) {
        struct nx_nats_js_pull *pull = pull_of(node);
        if (pull->expires_ns > 0 && pull->expires_ns <= now_of(consumer)) {
            end_pull_with(consumer, pull, "408 Request Timeout");
        } else if (pull->bytes > 0 && size > (uint64_t)pull->bytes) {
            end_pull_with(consumer, pull, "409 Message Size Exceeds MaxBytes");
        } else if (!listens(consumer, pull->reply)) {
            end_pull(consumer, pull);
        } else {
            return pull;
        }
    }
    return NULL;
}

/* It has a message: whoever waits behind it is next. */
static void note_given(struct nx_nats_js_consumer *consumer, struct nx_nats_js_pull *pull, uint64_t size) {
    const bool has_bytes = pull->bytes > 0;
    pull->given++;
    pull->batch--;
    if (has_bytes) {
        pull->bytes -= (int64_t)size;
        pull->batch = pull->bytes == 0 ? 0 : pull->batch;
    }
    nx_list_remove(&consumer->pulls, &pull->node);
    if (pull->batch > 0) {
        pull->heartbeat_at_ns = now_of(consumer) + pull->heartbeat_ns;
        nx_list_append(&consumer->pulls, &pull->node);
        return;
    }
    if (has_bytes && pull->bytes > 0) {
        end_pull_with(consumer, pull, "409 Batch Completed");
        return;
    }
    end_pull(consumer, pull);
}

/* One message */

static void write_block(const struct nx_nats_js_consumer *consumer, const struct nx_record *record,
                        struct nx_buf *block) {
    if (record->headers.len == 0 && !consumer->config.headers_only) {
        return;
    }
    nx_buf_append_c(block, "NATS/1.0\r\n");
    nx_buf_append(block, record->headers);
    if (consumer->config.headers_only) {
        nx_buf_append_format(block, "Nats-Msg-Size: %zu\r\n", record->payload.len);
    }
    nx_buf_append_c(block, "\r\n");
}

/* As nats-server asks its clients, who may be slow, how far they are. */
static void ask_for_flow(struct nx_nats_js_consumer *consumer) {
    struct nx_nats_jetstream *jetstream = consumer->jetstream;
    if (!consumer->config.flow_control || consumer->flow_reply[0] != '\0' ||
        consumer->flow_size <= consumer->flow_max / 2) {
        return;
    }
    (void)snprintf(consumer->flow_reply, sizeof consumer->flow_reply, "$JS.FC.%.*s.%.*s.%06" PRIx64,
                   NX_STR_ARG(nx_str_slice(consumer->stream_name, 0, 60)),
                   NX_STR_ARG(nx_str_slice(consumer->name, 0, 60)), jetstream->advisory_count++ & 0xffffff);
    consumer->flow_asked = consumer->flow_size;
    const struct nx_nats_op message = { .subject = consumer->config.deliver_subject,
                                        .reply = nx_str_from_c(consumer->flow_reply),
                                        .headers = NX_STR("NATS/1.0 100 FlowControl Request\r\n\r\n") };
    jetstream->options.publish(jetstream->options.data, consumer->account, &message);
}

static bool is_stalled(const struct nx_nats_js_consumer *consumer) {
    return consumer->config.flow_control && consumer->flow_size > consumer->flow_max;
}

/* The pace in which the messages came, and the rate that was asked for. */
static void note_pace(struct nx_nats_js_consumer *consumer, const struct nx_record *record, uint64_t size) {
    consumer->replayed_ns = record->time_ns;
    if (consumer->config.rate_limit_bps > 0) {
        const uint64_t bits = size * 8;
        consumer->pace_ns =
            now_of(consumer) + (int64_t)(bits * (uint64_t)NX_NS_PER_S / consumer->config.rate_limit_bps);
    }
}

/* True when the message comes too early in a replay. */
static bool is_early(struct nx_nats_js_consumer *consumer, const struct nx_record *record) {
    if (consumer->config.replay_policy != NX_JS_REPLAY_ORIGINAL || consumer->replayed_ns == 0 ||
        record->sequence > consumer->replay_until) {
        return false;
    }
    const int64_t delay_ns = record->time_ns - consumer->replayed_ns;
    consumer->replayed_ns = 0; /* waited for once */
    if (delay_ns <= NX_NS_PER_MS) {
        return false;
    }
    consumer->pace_ns = now_of(consumer) + delay_ns;
    return true;
}

/* Give it to whoever waits. False: nobody does. */
static bool give(struct nx_nats_js_consumer *consumer, const struct nx_record *record,
                 struct nx_js_pending *again) {
    NX_AUTO(nx_buf) block;
    NX_AUTO(nx_buf) ack;
    struct nx_nats_jetstream *jetstream = consumer->jetstream;
    const uint64_t count = again == NULL ? 1 : again->count + 1;
    nx_buf_init(&block, BLOCK_SIZE_MAX);
    nx_buf_init(&ack, NX_SUBJECT_SIZE_MAX);
    const uint64_t left = consumer->pending - (again == NULL && consumer->pending > 0 ? 1 : 0);
    nx_buf_append_format(&ack, "$JS.ACK.%.*s.%.*s.%" PRIu64 ".%" PRIu64 ".%" PRIu64 ".%" PRId64 ".%" PRIu64,
                         NX_STR_ARG(consumer->stream_name), NX_STR_ARG(consumer->name), count,
                         record->sequence, consumer->ledger.delivered_consumer + 1, record->time_ns, left);
    write_block(consumer, record, &block);
    const struct nx_nats_op message = { .subject = record->subject,
                                        .reply = nx_buf_str(&ack),
                                        .headers = nx_buf_str(&block),
                                        .payload =
                                            consumer->config.headers_only ? NX_STR_EMPTY : record->payload };
    const uint64_t size = message.subject.len + message.reply.len + message.headers.len + message.payload.len;
    struct nx_nats_js_pull *pull = is_push(consumer) ? NULL : next_pull(consumer, size);
    if ((!is_push(consumer) && pull == NULL) || nx_buf_failed(&block) || nx_buf_failed(&ack)) {
        return false;
    }
    if (again != NULL) {
        nx_js_ledger_give_again(&consumer->ledger, again, jetstream->now.wall_ns);
    } else if (nx_js_ledger_give(&consumer->ledger, record->sequence, jetstream->now.wall_ns,
                                 (enum nx_js_ack)consumer->config.ack_policy, NULL) != NX_OK) {
        return false;
    } else {
        consumer->pending = left;
    }
    const struct nx_str route = pull == NULL ? consumer->config.deliver_subject : pull->reply;
    (void)jetstream->options.deliver(jetstream->options.data, consumer->account, route, &message);
    consumer->last_given_ns = jetstream->now.wall_ns;
    nx_nats_js_consumer_note(consumer, false);
    note_pace(consumer, record, size);
    if (pull != NULL) {
        note_given(consumer, pull, size);
    } else {
        consumer->heartbeat_at_ns = now_of(consumer) + consumer->config.idle_heartbeat;
        consumer->flow_size += size;
        ask_for_flow(consumer);
    }
    return true;
}

/* Reading */

static bool ask_log(struct nx_nats_js_consumer *consumer, struct nx_read *read) {
    char stream[NX_JS_STREAM_NAME_SIZE];
    (void)snprintf(stream, sizeof stream, "JS_%" PRIu64, consumer->stream_id);
    read->stream = nx_arena_copy(&read->arena, nx_str_from_c(stream));
    consumer->is_reading = nx_nats_js_ask(consumer->jetstream, &consumer->read_job,
                                          consumer->jetstream->options.reads, &read->message);
    if (!consumer->is_reading) { /* too much waits there: a little later */
        nx_nats_js_wake_at(consumer, now_of(consumer) + 10 * (int64_t)NX_NS_PER_MS);
    }
    return consumer->is_reading;
}

static void fetch_one(struct nx_nats_js_consumer *consumer, uint64_t sequence) {
    struct nx_read *read = NULL;
    if (nx_read_new(NX_READ_BY_SEQUENCE, &read, NULL) == NX_OK) {
        read->from_sequence = sequence;
        consumer->again_sequence = sequence;
        (void)ask_log(consumer, read);
    }
}

static size_t wanted(const struct nx_nats_js_consumer *consumer) {
    size_t count = is_push(consumer) ? NX_NATS_JS_FETCH_MAX : 0;
    for (const struct nx_list_node *at = nx_list_first(&consumer->pulls);
         at != NULL && count < NX_NATS_JS_FETCH_MAX; at = nx_list_next(&consumer->pulls, at)) {
        count += (size_t)pull_of((struct nx_list_node *)(uintptr_t)at)->batch;
    }
    if (consumer->config.max_ack_pending > 0) {
        const size_t room = (size_t)consumer->config.max_ack_pending - consumer->ledger.count;
        count = count < room ? count : room;
    }
    return count < NX_NATS_JS_FETCH_MAX ? count : NX_NATS_JS_FETCH_MAX;
}

static void fetch(struct nx_nats_js_consumer *consumer) {
    struct nx_read *read = NULL;
    if (nx_read_new(consumer->last_at < consumer->last_count ? NX_READ_BY_SEQUENCE : NX_READ_SCAN, &read,
                    NULL) != NX_OK) {
        return;
    }
    consumer->again_sequence = 0;
    read->from_sequence =
        read->kind == NX_READ_SCAN ? consumer->next_sequence : consumer->lasts[consumer->last_at];
    read->subject = nx_arena_copy(&read->arena, nx_buf_str(&consumer->filters));
    read->count_max = wanted(consumer);
    read->size_max = NX_NATS_JS_FETCH_SIZE_MAX;
    (void)ask_log(consumer, read);
}

static void drop_buffer(struct nx_nats_js_consumer *consumer) {
    nx_read_free(consumer->buffer);
    consumer->buffer = NULL;
    consumer->buffer_at = 0;
}

/* A message that is to be given again is there, or gone. */
static void take_again(struct nx_nats_js_consumer *consumer, const struct nx_read *read) {
    struct nx_js_pending *pending = nx_js_ledger_find(&consumer->ledger, consumer->again_sequence);
    consumer->again_sequence = 0;
    if (pending == NULL || !pending->is_due) {
        return; /* it was acknowledged meanwhile */
    }
    if (read->status == NX_OK && read->record_count == 1) {
        (void)give(consumer, &read->records[0], pending);
    } else if (read->status == NX_NOT_FOUND || read->status == NX_DATA_LOSS) {
        nx_js_ledger_drop(&consumer->ledger, pending);
        nx_nats_js_consumer_note(consumer, false);
    } else { /* the log cannot say: later */
        nx_js_ledger_give_again(&consumer->ledger, pending, consumer->jetstream->now.wall_ns);
    }
}

void nx_nats_js_consumer_take_fetched(struct nx_nats_js_consumer *consumer, struct nx_read *read) {
    if (consumer->again_sequence != 0) {
        take_again(consumer, read);
        nx_read_free(read);
        nx_nats_js_consumer_run(consumer);
        return;
    }
    const bool is_last = read->kind == NX_READ_BY_SEQUENCE;
    if (read->status != NX_OK && !is_last) {
        nx_read_free(read);
        nx_nats_js_wake_at(consumer, now_of(consumer) + 100 * (int64_t)NX_NS_PER_MS);
        return;
    }
    if (is_last) {
        read->next_sequence = consumer->lasts[consumer->last_at++] + 1;
        read->at_end = false;
    }
    if (read->at_end && read->next_sequence > consumer->stream->last_sequence + 1) {
        consumer->stream->last_sequence = read->next_sequence - 1;
    }
    if (read->at_end && consumer->stream->last_sequence == UINT64_MAX) {
        consumer->stream->last_sequence = read->next_sequence - 1;
    }
    drop_buffer(consumer);
    if (read->status == NX_OK && read->record_count > 0) {
        consumer->buffer = read;
    } else {
        consumer->next_sequence = read->next_sequence;
        nx_read_free(read);
    }
    nx_nats_js_consumer_run(consumer);
}

/* Everything together */

static bool is_wanted(const struct nx_nats_js_consumer *consumer) {
    if (consumer->pace_ns > now_of(consumer)) {
        return false;
    }
    return is_push(consumer) ? consumer->is_bound && !is_stalled(consumer)
                             : !nx_list_is_empty(&consumer->pulls);
}

static bool is_full(const struct nx_nats_js_consumer *consumer) {
    const int64_t limit = consumer->config.max_ack_pending;
    return consumer->ledger.count >= NX_JS_PENDING_MAX ||
           (limit > 0 && consumer->ledger.count >= (uint64_t)limit);
}

/* Those that were given as often as they may are given up. */
static struct nx_js_pending *next_due(struct nx_nats_js_consumer *consumer) {
    struct nx_js_pending *due;
    while ((due = nx_js_ledger_due(&consumer->ledger)) != NULL) {
        if (consumer->config.max_deliver <= 0 || due->count < (uint64_t)consumer->config.max_deliver) {
            return due;
        }
        nx_nats_js_consumer_advise(consumer, "MAX_DELIVERIES", due->sequence, 0, due->count, NX_STR_EMPTY);
        nx_js_ledger_drop(&consumer->ledger, due);
        nx_nats_js_consumer_note(consumer, false);
    }
    return NULL;
}

/* The next record of the buffer; NULL: it is used up. */
static const struct nx_record *buffered(struct nx_nats_js_consumer *consumer) {
    while (consumer->buffer != NULL) {
        if (consumer->buffer_at == consumer->buffer->record_count) {
            if (consumer->buffer->next_sequence > consumer->next_sequence) {
                consumer->next_sequence = consumer->buffer->next_sequence;
            }
            drop_buffer(consumer);
            return NULL;
        }
        const struct nx_record *record = &consumer->buffer->records[consumer->buffer_at];
        const bool is_last = consumer->buffer->kind == NX_READ_BY_SEQUENCE;
        if (record->sequence >= consumer->next_sequence || is_last) {
            return record;
        }
        consumer->buffer_at++;
    }
    return NULL;
}

/* Give what can be given now. True: all that there is was given. */
static bool give_all(struct nx_nats_js_consumer *consumer) {
    while (!consumer->is_reading && is_wanted(consumer)) {
        const struct nx_js_pending *due = next_due(consumer);
        if (due != NULL) {
            fetch_one(consumer, due->sequence);
            return false;
        }
        if (is_full(consumer)) {
            return false;
        }
        const struct nx_record *record = buffered(consumer);
        if (record != NULL) {
            if (is_early(consumer, record) || !give(consumer, record, NULL)) {
                return false;
            }
            consumer->buffer_at++;
            consumer->next_sequence = record->sequence + 1;
            continue;
        }
        if (consumer->last_at >= consumer->last_count && consumer->stream->last_sequence != UINT64_MAX &&
            consumer->next_sequence > consumer->stream->last_sequence) {
            consumer->pending = 0;
            return true;
        }
        fetch(consumer);
    }
    return false;
}

/* Ends one that nobody has used for long enough. True: it is gone. */
static bool end_when_idle(struct nx_nats_js_consumer *consumer) {
    const struct nx_js_consumer *config = &consumer->config;
    const bool is_used = is_push(consumer) ? consumer->is_bound : !nx_list_is_empty(&consumer->pulls);
    if (config->inactive_threshold <= 0) {
        return false;
    }
    if (is_used) {
        consumer->active_ns = now_of(consumer);
    }
    const int64_t end_ns = consumer->active_ns + config->inactive_threshold;
    if (end_ns > now_of(consumer)) {
        nx_nats_js_wake_at(consumer, end_ns);
        return false;
    }
    struct nx_append *append = NULL;
    if (!nx_nats_js_consumer_is_memory(consumer->stream->entry, config) &&
        nx_nats_js_consumer_append_gone(consumer->stream->entry, consumer->name, &append, NULL) == NX_OK) {
        nx_message_queue_push(&consumer->jetstream->outbox, &append->message); /* nobody waits for it */
    }
    nx_nats_js_consumer_end(consumer, NULL);
    return true;
}

static void look_at_push(struct nx_nats_js_consumer *consumer) {
    const int64_t now_ns = now_of(consumer);
    const bool was_bound = consumer->is_bound;
    consumer->is_bound = listens(consumer, consumer->config.deliver_subject);
    if (consumer->is_bound && !was_bound) {
        consumer->flow_size = consumer->flow_asked = 0;
        consumer->flow_reply[0] = '\0';
        consumer->flow_max = FLOW_SIZE_MAX / 16;
        consumer->heartbeat_at_ns = now_ns + consumer->config.idle_heartbeat;
    }
    nx_nats_js_wake_at(consumer, now_ns + 250 * (int64_t)NX_NS_PER_MS); /* whether somebody listens */
    if (consumer->is_bound && consumer->config.idle_heartbeat > 0) {
        if (consumer->heartbeat_at_ns <= now_ns) {
            send_heartbeat(consumer, consumer->config.deliver_subject);
            consumer->heartbeat_at_ns = now_ns + consumer->config.idle_heartbeat;
        }
        nx_nats_js_wake_at(consumer, consumer->heartbeat_at_ns);
    }
}

void nx_nats_js_consumer_run(struct nx_nats_js_consumer *consumer) {
    const struct nx_now now = consumer->jetstream->now;
    consumer->due_ns = INT64_MAX;
    if (consumer->config.ack_policy != NX_JS_ACK_NONE && consumer->ledger.count > 0) {
        const int64_t next_ns = nx_js_ledger_expire(&consumer->ledger, now.wall_ns, &consumer->config);
        if (next_ns != INT64_MAX) {
            nx_nats_js_wake_at(consumer, now.monotonic_ns + (next_ns - now.wall_ns));
        }
    }
    if (is_push(consumer)) {
        look_at_push(consumer);
    }
    const bool at_end = give_all(consumer);
    if (consumer->pace_ns > now.monotonic_ns) {
        nx_nats_js_wake_at(consumer, consumer->pace_ns);
    }
    if (!is_push(consumer)) {
        look_at_pulls(consumer, at_end && !consumer->is_reading);
        if (nx_list_is_empty(&consumer->pulls)) {
            drop_buffer(consumer); /* what is deleted meanwhile is not given */
        }
    }
    if (consumer->is_dirty) {
        nx_nats_js_wake_at(consumer, consumer->write_at_ns);
    }
    nx_nats_js_consumer_write(consumer);
    (void)end_when_idle(consumer);
}

void nx_nats_js_consumer_stop(struct nx_nats_js_consumer *consumer) {
    for (struct nx_list_node *node; (node = nx_list_first(&consumer->pulls)) != NULL;) {
        end_pull_with(consumer, pull_of(node), "409 Server Shutdown");
    }
    consumer->write_at_ns = 0;
    nx_nats_js_consumer_write(consumer);
}

void nx_nats_js_stored(struct nx_nats_js_stream *stream, struct nx_str subject, uint64_t sequence) {
    struct nx_list_node *next;
    if (stream->last_sequence == UINT64_MAX || sequence > stream->last_sequence) {
        stream->last_sequence = sequence;
    }
    for (struct nx_list_node *at = nx_list_first(&stream->consumers); at != NULL; at = next) {
        struct nx_nats_js_consumer *consumer = nx_container_of(at, struct nx_nats_js_consumer, node);
        struct nx_str filters = nx_buf_str(&consumer->filters);
        struct nx_str filter;
        bool matches = filters.len == 0;
        next = nx_list_next(&stream->consumers, at);
        while (!matches && nx_str_split(&filters, ' ', &filter)) {
            matches = nx_subject_matches(filter, subject);
        }
        consumer->pending += matches ? 1 : 0;
        if (matches && (is_push(consumer) || !nx_list_is_empty(&consumer->pulls))) {
            nx_nats_js_wake_at(consumer, 0); /* at the end of the turn, with what else was stored */
        }
    }
}

void nx_nats_js_deleted(struct nx_nats_js_stream *stream) {
    for (struct nx_list_node *at = nx_list_first(&stream->consumers); at != NULL;
         at = nx_list_next(&stream->consumers, at)) {
        drop_buffer(nx_container_of(at, struct nx_nats_js_consumer, node));
    }
}

void nx_nats_js_deleted_until(struct nx_nats_js_stream *stream, uint64_t until) {
    for (struct nx_list_node *at = nx_list_first(&stream->consumers); at != NULL;
         at = nx_list_next(&stream->consumers, at)) {
        struct nx_nats_js_consumer *consumer = nx_container_of(at, struct nx_nats_js_consumer, node);
        nx_js_ledger_drop_below(&consumer->ledger, until + 1);
        if (consumer->next_sequence <= until) {
            consumer->next_sequence = until + 1;
        }
        nx_nats_js_consumer_note(consumer, false);
    }
}

/* Asking for messages */

static bool read_pull(struct nx_str request, struct nx_nats_js_pull *pull, int64_t *expires_ns,
                      const char **problem) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    uint64_t number;
    request = nx_str_trim(request);
    pull->batch = 1;
    if (request.len == 0 || request.ptr[0] != '{') {
        pull->batch = nx_str_to_u64(request, &number) && number < BATCH_MAX ? (int64_t)number : 1;
        return true;
    }
    if (nx_json_parse(request, 64 * 1024 + 16 * request.len, &doc, NULL) != NX_OK) {
        *problem = "invalid JSON";
        return false;
    }
    const struct nx_json_value *root = nx_json_root(doc);
    pull->batch = 0;
    (void)nx_json_to_i64(nx_json_get(root, NX_STR("batch")), &pull->batch);
    (void)nx_json_to_i64(nx_json_get(root, NX_STR("max_bytes")), &pull->bytes);
    (void)nx_json_to_i64(nx_json_get(root, NX_STR("expires")), expires_ns);
    (void)nx_json_to_i64(nx_json_get(root, NX_STR("idle_heartbeat")), &pull->heartbeat_ns);
    (void)nx_json_to_bool(nx_json_get(root, NX_STR("no_wait")), &pull->no_wait);
    pull->batch = pull->batch <= 0 ? 1 : pull->batch;
    if (nx_json_get_str(root, "group").len > 0 || nx_json_get_str(root, "id").len > 0) {
        *problem = "Priority Groups are not supported by this server";
        return false;
    }
    if (pull->heartbeat_ns > 0 && pull->heartbeat_ns > *expires_ns / 2) {
        *problem = "heartbeat value too large";
        return false;
    }
    return true;
}

/* What the consumer's configuration allows. False: it was told. */
static bool check_pull(struct nx_nats_js_consumer *consumer, struct nx_str reply,
                       const struct nx_nats_js_pull *pull, int64_t expires_ns) {
    const struct nx_js_consumer *config = &consumer->config;
    char text[128] = "";
    if (is_push(consumer)) {
        (void)snprintf(text, sizeof text, "409 Consumer is push based");
    } else if (config->max_batch > 0 && pull->batch > config->max_batch) {
        (void)snprintf(text, sizeof text, "409 Exceeded MaxRequestBatch of %" PRId64, config->max_batch);
    } else if (config->max_expires > 0 && expires_ns > config->max_expires) {
        (void)snprintf(text, sizeof text, "409 Exceeded MaxRequestExpires of %gs",
                       (double)config->max_expires / (double)NX_NS_PER_S);
    } else if (config->max_bytes > 0 && pull->bytes > config->max_bytes) {
        (void)snprintf(text, sizeof text, "409 Exceeded MaxRequestMaxBytes of %" PRId64, config->max_bytes);
    } else if (consumer->pulls.count >= (size_t)config->max_waiting) {
        if (pull->heartbeat_ns > 0) {
            return false; /* as NATS: its missing heartbeats tell it, without a new request at once */
        }
        (void)snprintf(text, sizeof text, "409 Exceeded MaxWaiting");
    }
    if (text[0] != '\0') {
        nx_nats_js_consumer_status(consumer, reply, text);
    }
    return text[0] == '\0';
}

void nx_nats_js_consumer_pull(struct nx_nats_js_consumer *consumer, struct nx_str reply,
                              struct nx_str request) {
    struct nx_nats_js_pull *pull = calloc(1, sizeof *pull + reply.len);
    const char *problem = "out of memory";
    int64_t expires_ns = 0;
    char text[128];
    if (pull == NULL || !read_pull(request, pull, &expires_ns, &problem)) {
        (void)snprintf(text, sizeof text, "400 Bad Request - %s", problem);
        nx_nats_js_consumer_status(consumer, reply, text);
        free(pull);
        return;
    }
    consumer->active_ns = now_of(consumer);
    if (consumer->pulls.count >= (size_t)consumer->config.max_waiting) {
        look_at_pulls(consumer, false); /* some may have gone */
    }
    if (!check_pull(consumer, reply, pull, expires_ns)) {
        free(pull);
        return;
    }
    memcpy(pull->bytes_of_reply, reply.ptr, reply.len);
    pull->reply = nx_str_of(pull->bytes_of_reply, reply.len);
    pull->expires_ns = expires_ns > 0 ? now_of(consumer) + expires_ns : 0;
    pull->heartbeat_at_ns = now_of(consumer) + pull->heartbeat_ns;
    nx_list_append(&consumer->pulls, &pull->node);
    nx_nats_js_wake_at(consumer, 0);
}
