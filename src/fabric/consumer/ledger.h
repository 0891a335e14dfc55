/* src/fabric/consumer/ledger.h: what a JetStream consumer was given and what of it was acknowledged.
 *
 * Sequences count messages of the stream; deliveries number what this consumer was given first, from 1. What
 * is pending stands in the order of sequences: a message that was given and neither acknowledged nor given
 * up. One that is due is to be given again. As a record it is u8 version | varints: delivered consumer,
 * stream; floor consumer, stream; count | for each pending: sequence behind the one before, delivery,
 * milliseconds when it was given behind the one before (signed), times << 1 | due Times are wall time. One
 * owner. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "codec/js_consumer.h"

enum { NX_JS_PENDING_MAX = 65536 }; /* of one consumer, whatever max_ack_pending says */

struct nx_js_pending {
    uint64_t sequence;
    uint64_t delivery;
    int64_t given_ns; /* when it was last given, or as if */
    uint64_t count;   /* how often */
    bool is_due;
};

struct nx_js_ledger {
    uint64_t delivered_consumer;
    uint64_t delivered_stream;
    uint64_t floor_consumer;
    uint64_t floor_stream;
    struct nx_js_pending *pending; /* from `first` on, so many */
    size_t first;
    size_t count;
    size_t capacity;
    size_t due_count;
};

/** A consumer that begins behind this sequence. */
void nx_js_ledger_init(struct nx_js_ledger *ledger, uint64_t before);
void nx_js_ledger_fini(struct nx_js_ledger *ledger);
/** Whether it is waited for; NULL: not. Borrowed until the ledger changes. */
struct nx_js_pending *nx_js_ledger_find(const struct nx_js_ledger *ledger, uint64_t sequence);
/** The one with the lowest sequence that is due; NULL: none. */
struct nx_js_pending *nx_js_ledger_due(const struct nx_js_ledger *ledger);
/** A message is given for the first time: the next sequence. Where acknowledgements are not waited for it is
 * done with. Errors: NX_RESOURCE_EXHAUSTED (out of memory; NX_JS_PENDING_MAX) */
NX_MUST_CHECK enum nx_status nx_js_ledger_give(struct nx_js_ledger *ledger, uint64_t sequence, int64_t now_ns,
                                               enum nx_js_ack ack, struct nx_error *err);
/** It is given again. */
void nx_js_ledger_give_again(struct nx_js_ledger *ledger, struct nx_js_pending *pending, int64_t now_ns);
/** Acknowledged, with all before it where the policy says so. False: it was not waited for. */
bool nx_js_ledger_ack(struct nx_js_ledger *ledger, uint64_t sequence, uint64_t delivery, enum nx_js_ack ack);
/** It is waited for no longer, though it was not acknowledged: it is gone, or was given often enough. */
void nx_js_ledger_drop(struct nx_js_ledger *ledger, struct nx_js_pending *pending);
/** All below this sequence are gone. */
void nx_js_ledger_drop_below(struct nx_js_ledger *ledger, uint64_t sequence);
/** It is to be given again as soon as may be. */
void nx_js_ledger_make_due(struct nx_js_ledger *ledger, struct nx_js_pending *pending);
/** Those which were given long enough ago are due. Returns when the next one is; INT64_MAX: none. */
int64_t nx_js_ledger_expire(struct nx_js_ledger *ledger, int64_t now_ns, const struct nx_js_consumer *config);
/** How many were given more than once and are waited for. */
uint64_t nx_js_ledger_redelivered(const struct nx_js_ledger *ledger);
void nx_js_ledger_write(const struct nx_js_ledger *ledger, struct nx_buf *out);
/** Errors: NX_DATA_LOSS (it is none), NX_RESOURCE_EXHAUSTED; `ledger` is then empty */
NX_MUST_CHECK enum nx_status nx_js_ledger_read(struct nx_js_ledger *ledger, struct nx_str bytes,
                                               struct nx_error *err);
