/* src/platform/function/outbox.h: requests that a full mailbox refused, kept until it takes them.
 *
 * An actor's own: it bounds how many requests it has under way, and so how many can wait here. Order is kept
 * for each mailbox. */
#pragma once

#include <stdbool.h>

#include "io/mailbox.h"

enum { NX_OUTBOX_RETRY_NS = 1000 * 1000 }; /* after which a full mailbox is tried again */

struct nx_outbox {
    struct nx_mailbox *to; /* borrowed */
    struct nx_message_queue waiting;
};

/** Send now, or keep for nx_outbox_flush(). The message is moved in. */
static inline void nx_outbox_send(struct nx_outbox *outbox, struct nx_message *message) {
    if (outbox->waiting.count > 0 || !nx_mailbox_send(outbox->to, message)) {
        nx_message_queue_push(&outbox->waiting, message);
    }
}
/** Try again; true when nothing waits any more. */
static inline bool nx_outbox_flush(struct nx_outbox *outbox) {
    while (outbox->waiting.first != NULL) {
        struct nx_message *message = nx_message_queue_pop(&outbox->waiting);
        if (!nx_mailbox_send(outbox->to, message)) {
            /* Back to the front. */
            message->next = outbox->waiting.first;
            outbox->waiting.first = message;
            if (outbox->waiting.last == NULL) {
                outbox->waiting.last = message;
            }
            outbox->waiting.count++;
            return false;
        }
    }
    return true;
}
