/* src/server/nats/jetstream.h: JetStream on a NATS loop: messages into streams, and the API's requests.
 *
 * Owned by the loop's thread; the log answers through the loop's mailbox. Nothing here waits: a publish is an
 * append that is under way, its PubAck goes out when the log has answered; a request of the API waits for the
 * appends that came before it, so that it sees them, and requests are begun in the order in which they came.
 * See docs/decisions/0008. */
#pragma once

#include <stdbool.h>

#include "base/log.h"
#include "base/str.h"
#include "codec/nats.h"
#include "io/clock.h"
#include "io/mailbox.h"

struct nx_nats_events;
struct nx_nats_jetstream;

struct nx_nats_jetstream_options {
    struct nx_mailbox *appends; /* the fabric's; borrowed, as the rest */
    struct nx_mailbox *reads;
    struct nx_mailbox *answers; /* the loop's */
    const struct nx_log *log;   /* NULL: none */
    struct nx_nats_events
        *events;   /* NULL: messages under "events." are as any other; borrowed, as the rest */
    bool has_api;  /* else there are no streams but EVENTS, and nobody answers for them */
    uint64_t seed; /* random: foreign names are hashed with it */
    /* Carry a message of the server's to whoever listens in this account. `block` is a whole block of headers
     * or empty; all is borrowed for the call. */
    void (*publish)(void *data, struct nx_str account, const struct nx_nats_op *message);
    /* The same to whoever listens to `route`, whatever the message's own subject is. Returns to how many. */
    size_t (*deliver)(void *data, struct nx_str account, struct nx_str route,
                      const struct nx_nats_op *message);
    /* Whether anybody listens. */
    bool (*listens)(void *data, struct nx_str account, struct nx_str subject);
    void *data;
};

/** Begin: what streams there are is read from the log, and until it is, the API says that it is not there
 * yet. Errors: NX_RESOURCE_EXHAUSTED (out of memory; the log's mailbox is full) */
NX_MUST_CHECK enum nx_status nx_nats_jetstream_new(const struct nx_nats_jetstream_options *options,
                                                   struct nx_nats_jetstream **jetstream_out,
                                                   struct nx_error *err);
/** After the loop has run for the last time, when nothing is under way. */
void nx_nats_jetstream_free(struct nx_nats_jetstream *jetstream); /* NULL allowed */
/** A client has published this in the account; borrowed for the call. True when it was for a stream or for
 * the API, so that somebody will answer. */
bool nx_nats_jetstream_take(struct nx_nats_jetstream *jetstream, struct nx_str account,
                            const struct nx_nats_op *message, struct nx_now now);
/** At the end of a turn: give out messages, send the log what it is to write. False: something is left for
 * the next call, which must not be far off. */
NX_MUST_CHECK bool nx_nats_jetstream_flush(struct nx_nats_jetstream *jetstream, struct nx_now now);
/** The server stops: those who wait for messages are told, and what consumers have not written yet is. */
void nx_nats_jetstream_finish(struct nx_nats_jetstream *jetstream, struct nx_now now);
/** True while so much is under way that whoever publishes to streams should not be read, and until it is
 * known what streams there are. */
bool nx_nats_jetstream_is_full(const struct nx_nats_jetstream *jetstream);
/** When nx_nats_jetstream_wake() is wanted, monotonic; INT64_MAX: not. */
int64_t nx_nats_jetstream_due(const struct nx_nats_jetstream *jetstream);
void nx_nats_jetstream_wake(struct nx_nats_jetstream *jetstream, struct nx_now now);
/** True when the log has nothing of ours: only then its answers' mailbox may close. */
bool nx_nats_jetstream_is_idle(const struct nx_nats_jetstream *jetstream);
/** True for the messages that nx_nats_jetstream_receive() takes. */
bool nx_nats_jetstream_is_answer(const struct nx_message *message);
/** The log has answered; the message is taken. */
void nx_nats_jetstream_receive(struct nx_nats_jetstream *jetstream, struct nx_message *message,
                               struct nx_now now);
