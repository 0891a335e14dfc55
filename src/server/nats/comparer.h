/* src/server/nats/comparer.h: passwords against their bcrypt hashes, on a thread of its own.
 *
 * A comparison takes tens of milliseconds on purpose; on the network loop each attempt of a stranger would
 * stop everybody's messages for so long. They are done one after the other. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "io/mailbox.h"

enum { NX_NATS_COMPARISONS_MAX = 1024 }; /* that wait; more are refused */

/* A request, and its own answer. */
struct nx_nats_comparison {
    struct nx_message message;
    uint64_t conn_id; /* the asker's own */
    struct nx_str hash;
    struct nx_str given; /* wiped when the comparison is released */
    bool matches;        /* the answer */
    char bytes[];
};

struct nx_nats_comparer;

/** Ownership: the caller ends it by nx_nats_comparer_close().
 * Errors:    NX_RESOURCE_EXHAUSTED  no thread or memory */
NX_MUST_CHECK enum nx_status nx_nats_comparer_open(struct nx_nats_comparer **comparer_out,
                                                   struct nx_error *err);
/** While the mailboxes that wait for answers are open. NULL allowed. */
void nx_nats_comparer_close(struct nx_nats_comparer *comparer);
/** Ask whether `given` is the password of `hash`; both are copied. The answer goes to `reply_to`, with this
 * `kind`. Errors: NX_RESOURCE_EXHAUSTED  no memory, or too many wait */
NX_MUST_CHECK enum nx_status nx_nats_comparer_ask(struct nx_nats_comparer *comparer, struct nx_str hash,
                                                  struct nx_str given, uint64_t conn_id, uint32_t kind,
                                                  struct nx_mailbox *reply_to, struct nx_error *err);

NX_DEFINE_AUTO(nx_nats_comparer, nx_nats_comparer_close)
