/* src/server/nats/comparer.c: see comparer.h. */
#include "server/nats/comparer.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "codec/password.h"
#include "io/thread.h"

struct nx_nats_comparer {
    struct nx_mailbox *mailbox;
    struct nx_thread *thread;
};

static struct nx_nats_comparison *comparison_of(struct nx_message *message) {
    return nx_container_of(message, struct nx_nats_comparison, message);
}

static void release(struct nx_message *message) {
    struct nx_nats_comparison *comparison = comparison_of(message);
    explicit_bzero(comparison->bytes, comparison->hash.len + comparison->given.len);
    free(comparison);
}

/* One a step, so that a stop is heard between two. */
static int64_t step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct nx_message *message = nx_message_queue_pop(inbox);
    (void)state;
    (void)now;
    if (message != NULL) {
        struct nx_nats_comparison *comparison = comparison_of(message);
        comparison->matches = nx_password_matches(comparison->hash, comparison->given);
        nx_message_reply(message);
    }
    return inbox->first == NULL ? NX_STEP_IDLE : NX_STEP_AGAIN;
}

enum nx_status nx_nats_comparer_open(struct nx_nats_comparer **comparer_out, struct nx_error *err) {
    const struct nx_clock clock = nx_clock_system();
    NX_AUTO(nx_nats_comparer) *comparer = calloc(1, sizeof *comparer);
    if (comparer == NULL) {
        return nx_fail_memory(err);
    }
    NX_TRY(nx_mailbox_open(NX_NATS_COMPARISONS_MAX, &comparer->mailbox, err));
    const struct nx_actor actor = {
        .name = "nx-passwords", .mailbox = comparer->mailbox, .state = comparer, .step = step
    };
    NX_TRY(nx_thread_start(&actor, 1, &clock, &comparer->thread, err));
    *comparer_out = NX_TAKE(comparer);
    return NX_OK;
}

void nx_nats_comparer_close(struct nx_nats_comparer *comparer) {
    if (comparer != NULL) {
        nx_thread_stop(comparer->thread);
        nx_mailbox_close(comparer->mailbox);
        free(comparer);
    }
}

enum nx_status nx_nats_comparer_ask(struct nx_nats_comparer *comparer, struct nx_str hash,
                                    struct nx_str given, uint64_t conn_id, uint32_t kind,
                                    struct nx_mailbox *reply_to, struct nx_error *err) {
    struct nx_nats_comparison *comparison = calloc(1, sizeof *comparison + hash.len + given.len);
    if (comparison == NULL) {
        return nx_fail_memory(err);
    }
    memcpy(comparison->bytes, hash.ptr, hash.len);
    if (given.len > 0) {
        memcpy(comparison->bytes + hash.len, given.ptr, given.len);
    }
    comparison->message = (struct nx_message){ .kind = kind, .reply_to = reply_to, .release = release };
    comparison->conn_id = conn_id;
    comparison->hash = nx_str_of(comparison->bytes, hash.len);
    comparison->given = nx_str_of(comparison->bytes + hash.len, given.len);
    if (!nx_mailbox_send(comparer->mailbox, &comparison->message)) {
        nx_message_release(&comparison->message);
        return nx_fail_kind(err, NX_KIND_OVERLOADED, "too many passwords wait to be compared");
    }
    return NX_OK;
}
