/* Acknowledgements of consumers: what comes to "$JS.ACK.…", and to "$JS.FC.…". */
#include <stdlib.h>

#include "codec/time_format.h"
#include "server/nats/jetstream_consumer.h"

#define ACK_PREFIX "$JS.ACK."
#define FLOW_PREFIX "$JS.FC."

enum { ACK_TOKENS = 7, FLOW_SIZE_MAX = 32 * 1024 * 1024 };

/* "$JS.ACK.<stream>.<consumer>.<times>.<sequence>.<delivery>.<time>.<pending>" */
struct ack {
    struct nx_str stream;
    struct nx_str consumer;
    uint64_t count;
    uint64_t sequence;
    uint64_t delivery;
};

static bool read_ack(struct nx_str subject, struct ack *ack) {
    struct nx_str tokens[ACK_TOKENS];
    size_t count = 0;
    struct nx_str token;
    subject = nx_str_slice(subject, sizeof ACK_PREFIX - 1, subject.len);
    while (nx_str_split(&subject, '.', &token)) {
        if (count == ACK_TOKENS) {
            return false;
        }
        tokens[count++] = token;
    }
    if (count != ACK_TOKENS) {
        return false;
    }
    ack->stream = tokens[0];
    ack->consumer = tokens[1];
    return nx_str_to_u64(tokens[2], &ack->count) && nx_str_to_u64(tokens[3], &ack->sequence) &&
           nx_str_to_u64(tokens[4], &ack->delivery);
}

static void answer(struct nx_nats_js_consumer *consumer, struct nx_str reply) {
    const struct nx_nats_op message = { .subject = reply };
    if (reply.len > 0) {
        consumer->jetstream->options.publish(consumer->jetstream->options.data, consumer->account, &message);
    }
}

/* When what is known now is on disk. */
static void answer_later(struct nx_nats_js_consumer *consumer, struct nx_str reply) {
    struct nx_nats_js_acked *acked = reply.len == 0 ? NULL : calloc(1, sizeof *acked + reply.len);
    if (acked != NULL) { /* without memory nobody is told, and asks again */
        memcpy(acked->bytes, reply.ptr, reply.len);
        acked->reply = nx_str_of(acked->bytes, reply.len);
        nx_list_append(&consumer->acked, &acked->node);
    }
    nx_nats_js_consumer_note(consumer, acked != NULL);
}

static void acknowledge(struct nx_nats_js_consumer *consumer, const struct ack *ack, struct nx_str reply) {
    const bool is_news = nx_js_ledger_ack(&consumer->ledger, ack->sequence, ack->delivery,
                                          (enum nx_js_ack)consumer->config.ack_policy);
    consumer->last_acked_ns = consumer->jetstream->now.wall_ns;
    if (is_news || consumer->is_dirty || consumer->is_writing) {
        answer_later(consumer, reply);
    } else {
        answer(consumer, reply);
    }
}

static int64_t delay_of(struct nx_str text) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    int64_t delay_ns = -1;
    text = nx_str_trim(text);
    if (text.len == 0) {
        return -1;
    }
    if (text.ptr[0] == '{') {
        return nx_json_parse(text, 64 * 1024, &doc, NULL) == NX_OK &&
                       nx_json_to_i64(nx_json_get(nx_json_root(doc), NX_STR("delay")), &delay_ns)
                   ? delay_ns
                   : -1;
    }
    return nx_duration_parse(text, &delay_ns, NULL) == NX_OK ? delay_ns : -1;
}

/* Not done: it is to be given again, now or after a while. */
static void refuse(struct nx_nats_js_consumer *consumer, const struct ack *ack, struct nx_str body) {
    struct nx_js_pending *pending = nx_js_ledger_find(&consumer->ledger, ack->sequence);
    const int64_t delay_ns = delay_of(body);
    if (pending == NULL) {
        return;
    }
    nx_nats_js_consumer_advise(consumer, "MSG_NAKED", ack->sequence, ack->delivery, ack->count, NX_STR_EMPTY);
    if (delay_ns > 0) {
        const struct nx_js_numbers *backoff = &consumer->config.backoff;
        const size_t at = pending->count == 0 ? 0 : (size_t)pending->count - 1;
        const int64_t wait_ns = backoff->count == 0
                                    ? consumer->config.ack_wait
                                    : backoff->items[at < backoff->count ? at : backoff->count - 1];
        pending->given_ns = consumer->jetstream->now.wall_ns - wait_ns + delay_ns;
        consumer->ledger.due_count -= pending->is_due ? 1 : 0;
        pending->is_due = false;
    } else {
        nx_js_ledger_make_due(&consumer->ledger, pending);
    }
    nx_nats_js_consumer_note(consumer, false);
}

static void take_body(struct nx_nats_js_consumer *consumer, const struct ack *ack,
                      const struct nx_nats_op *message) {
    const struct nx_str body = message->payload;
    if (body.len == 0 || nx_str_is(body, "+ACK") || nx_str_is(body, "+OK")) {
        acknowledge(consumer, ack, message->reply);
    } else if (nx_str_starts_with(body, NX_STR("+NXT"))) {
        acknowledge(consumer, ack, NX_STR_EMPTY);
        if (message->reply.len > 0) {
            nx_nats_js_consumer_pull(consumer, message->reply, nx_str_slice(body, 4, body.len));
        }
    } else if (nx_str_starts_with(body, NX_STR("-NAK"))) {
        refuse(consumer, ack, nx_str_slice(body, 4, body.len));
        answer(consumer, message->reply);
    } else if (nx_str_is(body, "+WPI")) {
        struct nx_js_pending *pending = nx_js_ledger_find(&consumer->ledger, ack->sequence);
        if (pending != NULL) {
            pending->given_ns = consumer->jetstream->now.wall_ns;
            nx_nats_js_consumer_note(consumer, false);
        }
        answer(consumer, message->reply);
    } else if (nx_str_starts_with(body, NX_STR("+TERM"))) {
        acknowledge(consumer, ack, message->reply);
        nx_nats_js_consumer_advise(consumer, "MSG_TERMINATED", ack->sequence, ack->delivery, ack->count,
                                   nx_str_trim(nx_str_slice(body, 5, body.len)));
    }
}

/* A client with flow control says how far it is: its window grows, as nats-server's does. */
static bool take_flow(struct nx_nats_jetstream *jetstream, struct nx_str account,
                      const struct nx_nats_op *message) {
    struct nx_str rest = nx_str_slice(message->subject, sizeof FLOW_PREFIX - 1, message->subject.len);
    struct nx_str stream;
    struct nx_str name;
    if (!nx_str_split(&rest, '.', &stream) || !nx_str_split(&rest, '.', &name)) {
        return false;
    }
    for (struct nx_list_node *at = nx_list_first(&jetstream->consumers); at != NULL;
         at = nx_list_next(&jetstream->consumers, at)) {
        struct nx_nats_js_consumer *consumer = nx_container_of(at, struct nx_nats_js_consumer, all_node);
        if (nx_str_equal(consumer->account, account) &&
            nx_str_equal(nx_str_from_c(consumer->flow_reply), message->subject)) {
            consumer->flow_size -=
                consumer->flow_asked < consumer->flow_size ? consumer->flow_asked : consumer->flow_size;
            consumer->flow_max =
                2 * consumer->flow_max < FLOW_SIZE_MAX ? 2 * consumer->flow_max : FLOW_SIZE_MAX;
            consumer->flow_reply[0] = '\0';
            nx_nats_js_wake_at(consumer, 0);
            return true;
        }
    }
    return false;
}

bool nx_nats_js_take_ack(struct nx_nats_jetstream *jetstream, struct nx_str account,
                         const struct nx_nats_op *message) {
    struct ack ack;
    if (nx_str_starts_with(message->subject, NX_STR(FLOW_PREFIX))) {
        return take_flow(jetstream, account, message);
    }
    if (!read_ack(message->subject, &ack)) {
        return false;
    }
    struct nx_nats_js_consumer *consumer = nx_nats_js_consumer_find(
        nx_js_catalogue_find(&jetstream->catalogue, account, ack.stream), ack.consumer);
    if (consumer == NULL) {
        return false;
    }
    consumer->active_ns = jetstream->now.monotonic_ns;
    take_body(consumer, &ack, message);
    nx_nats_js_wake_at(consumer, 0);
    return true;
}
