/* src/io/mailbox.h: the only way from one thread to another: messages that are moved.
 *
 * A message is the first member of a larger struct and belongs to whoever holds it: the sender until it is
 * sent, then the receiver. A request names the mailbox that gets it back as its own answer, so a conversation
 * allocates once. Requests are refused when the mailbox is full (back pressure: the sender keeps the
 * message); answers never are, because no more of them can exist than requests were let in. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"

struct nx_mailbox;

struct nx_message {
    struct nx_message *next;     /* in a queue; NULL otherwise */
    uint32_t kind;               /* which struct this is; kinds are one enum for each receiver's header */
    struct nx_mailbox *reply_to; /* where the answer goes; NULL: nobody waits, the receiver frees it */
    void *context;               /* the sender's own; untouched by the receiver */
    void (*release)(struct nx_message *message); /* frees the whole struct; never NULL */
};

/* First in, first out. Zeroed is empty. One owner. */
struct nx_message_queue {
    struct nx_message *first;
    struct nx_message *last;
    size_t count;
};

void nx_message_queue_push(struct nx_message_queue *queue, struct nx_message *message);
/** The oldest message, or NULL. */
struct nx_message *nx_message_queue_pop(struct nx_message_queue *queue);
/** Release every message in it. */
void nx_message_queue_release(struct nx_message_queue *queue);
static inline void nx_message_release(struct nx_message *message) {
    if (message != NULL) {
        message->release(message);
    }
}

/* How a mailbox wakes its receiver. Called by the sender's thread, outside the lock, when the mailbox was
 * empty. */
struct nx_waker {
    void (*wake)(void *data);
    void *data;
};

/** Ownership: the caller closes it, after every sender is gone. `count_max` bounds requests, not answers.
 * Errors:    NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_mailbox_open(size_t count_max, struct nx_mailbox **mailbox_out,
                                             struct nx_error *err);
/** Releases what was never taken. NULL allowed. */
void nx_mailbox_close(struct nx_mailbox *mailbox);
/** Before the first message is sent: how the receiver is woken. */
void nx_mailbox_set_waker(struct nx_mailbox *mailbox, struct nx_waker waker);
/** Send a request; any thread. False when the mailbox is full: the message is still the caller's. */
NX_MUST_CHECK bool nx_mailbox_send(struct nx_mailbox *mailbox, struct nx_message *message);
/** Send requests in their order, with at most one wake-up; those that the mailbox has no room for stay in
 * `queue`. Any thread. */
void nx_mailbox_send_all(struct nx_mailbox *mailbox, struct nx_message_queue *queue);
/** Send an answer, or a notice of which the sender keeps at most one under way; any thread, never refused. */
void nx_mailbox_send_reply(struct nx_mailbox *mailbox, struct nx_message *message);
/** Answer a request: to message->reply_to, or release it when nobody waits. */
void nx_message_reply(struct nx_message *message);
/** Answer every request of `queue`, which is empty afterwards: neighbours that go back to the same mailbox go
 * together, with one wake-up. */
void nx_message_reply_all(struct nx_message_queue *queue);
/** Append everything that is waiting to `queue_out`; the receiver only. False when nothing was. */
bool nx_mailbox_take(struct nx_mailbox *mailbox, struct nx_message_queue *queue_out);

NX_DEFINE_AUTO(nx_mailbox, nx_mailbox_close)
