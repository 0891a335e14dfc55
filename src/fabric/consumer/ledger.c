#include "fabric/consumer/ledger.h"

#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, NS_PER_MS = 1000000 };

void nx_js_ledger_init(struct nx_js_ledger *ledger, uint64_t before) {
    *ledger = (struct nx_js_ledger){ .delivered_stream = before, .floor_stream = before };
}

void nx_js_ledger_fini(struct nx_js_ledger *ledger) {
    free(ledger->pending);
    *ledger = (struct nx_js_ledger){ 0 };
}

/* Index, counted from `first`, of the first one with at least this sequence. */
static size_t place_of(const struct nx_js_ledger *ledger, uint64_t sequence) {
    size_t low = 0;
    size_t high = ledger->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (ledger->pending[ledger->first + middle].sequence < sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct nx_js_pending *nx_js_ledger_find(const struct nx_js_ledger *ledger, uint64_t sequence) {
    const size_t at = place_of(ledger, sequence);
    return at < ledger->count && ledger->pending[ledger->first + at].sequence == sequence
               ? &ledger->pending[ledger->first + at]
               : NULL;
}

struct nx_js_pending *nx_js_ledger_due(const struct nx_js_ledger *ledger) {
    for (size_t i = 0; ledger->due_count > 0 && i < ledger->count; i++) {
        if (ledger->pending[ledger->first + i].is_due) {
            return &ledger->pending[ledger->first + i];
        }
    }
    return NULL;
}

static enum nx_status reserve(struct nx_js_ledger *ledger, struct nx_error *err) {
    if (ledger->count >= NX_JS_PENDING_MAX) {
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "%d messages wait for their acknowledgement",
                       NX_JS_PENDING_MAX);
    }
    if (ledger->first > 0 && ledger->first + ledger->count == ledger->capacity) {
        memmove(ledger->pending, ledger->pending + ledger->first, ledger->count * sizeof *ledger->pending);
        ledger->first = 0;
    }
    if (ledger->count == ledger->capacity) {
        const size_t capacity = ledger->capacity == 0 ? 16 : ledger->capacity * 2;
        struct nx_js_pending *grown = reallocarray(ledger->pending, capacity, sizeof *grown);
        if (grown == NULL) {
            return nx_fail_memory(err);
        }
        ledger->pending = grown;
        ledger->capacity = capacity;
    }
    return NX_OK;
}

enum nx_status nx_js_ledger_give(struct nx_js_ledger *ledger, uint64_t sequence, int64_t now_ns,
                                 enum nx_js_ack ack, struct nx_error *err) {
    if (ack != NX_JS_ACK_NONE) {
        NX_TRY(reserve(ledger, err));
        ledger->pending[ledger->first + ledger->count++] = (struct nx_js_pending){
            .sequence = sequence, .delivery = ledger->delivered_consumer + 1, .given_ns = now_ns, .count = 1
        };
    }
    ledger->delivered_consumer++;
    ledger->delivered_stream = sequence;
    if (ack == NX_JS_ACK_NONE) {
        ledger->floor_consumer = ledger->delivered_consumer;
        ledger->floor_stream = sequence;
    }
    return NX_OK;
}

void nx_js_ledger_give_again(struct nx_js_ledger *ledger, struct nx_js_pending *pending, int64_t now_ns) {
    ledger->due_count -= pending->is_due ? 1 : 0;
    pending->is_due = false;
    pending->given_ns = now_ns;
    pending->count++;
    ledger->delivered_consumer++; /* each delivery has its own number */
}

void nx_js_ledger_drop(struct nx_js_ledger *ledger, struct nx_js_pending *pending) {
    const size_t at = (size_t)(pending - ledger->pending) - ledger->first;
    ledger->due_count -= pending->is_due ? 1 : 0;
    if (at == 0) {
        ledger->first++;
    } else {
        memmove(pending, pending + 1, (ledger->count - at - 1) * sizeof *pending);
    }
    ledger->count--;
    ledger->first = ledger->count == 0 ? 0 : ledger->first;
}

/* All that were given are done with up to the first that is waited for. */
static void raise_floor(struct nx_js_ledger *ledger) {
    if (ledger->count == 0) {
        ledger->floor_consumer = ledger->delivered_consumer;
        ledger->floor_stream = ledger->delivered_stream;
        return;
    }
    const struct nx_js_pending *first = &ledger->pending[ledger->first];
    if (first->delivery > ledger->floor_consumer) {
        ledger->floor_consumer = first->delivery - 1;
    }
    ledger->floor_stream =
        first->sequence - 1 > ledger->floor_stream ? first->sequence - 1 : ledger->floor_stream;
}

static bool ack_all(struct nx_js_ledger *ledger, uint64_t sequence, uint64_t delivery) {
    if (sequence <= ledger->floor_stream || sequence > ledger->delivered_stream) {
        return false;
    }
    while (ledger->count > 0 && ledger->pending[ledger->first].sequence <= sequence) {
        nx_js_ledger_drop(ledger, &ledger->pending[ledger->first]);
    }
    ledger->floor_stream = sequence;
    ledger->floor_consumer = delivery <= ledger->delivered_consumer && delivery > ledger->floor_consumer
                                 ? delivery
                                 : ledger->floor_consumer;
    return true;
}

bool nx_js_ledger_ack(struct nx_js_ledger *ledger, uint64_t sequence, uint64_t delivery, enum nx_js_ack ack) {
    if (ack == NX_JS_ACK_ALL) {
        return ack_all(ledger, sequence, delivery);
    }
    struct nx_js_pending *pending = nx_js_ledger_find(ledger, sequence);
    if (pending == NULL) {
        return false;
    }
    nx_js_ledger_drop(ledger, pending);
    raise_floor(ledger);
    return true;
}

void nx_js_ledger_drop_below(struct nx_js_ledger *ledger, uint64_t sequence) {
    while (ledger->count > 0 && ledger->pending[ledger->first].sequence < sequence) {
        nx_js_ledger_drop(ledger, &ledger->pending[ledger->first]);
    }
    if (sequence > ledger->delivered_stream + 1) {
        ledger->delivered_stream = sequence - 1;
    }
    raise_floor(ledger);
}

void nx_js_ledger_make_due(struct nx_js_ledger *ledger, struct nx_js_pending *pending) {
    ledger->due_count += pending->is_due ? 0 : 1;
    pending->is_due = true;
}

static int64_t wait_of(const struct nx_js_pending *pending, const struct nx_js_consumer *config) {
    const struct nx_js_numbers *backoff = &config->backoff;
    if (backoff->count == 0) {
        return config->ack_wait;
    }
    const uint64_t at = pending->count == 0 ? 0 : pending->count - 1;
    return backoff->items[at < backoff->count ? at : backoff->count - 1];
}

int64_t nx_js_ledger_expire(struct nx_js_ledger *ledger, int64_t now_ns,
                            const struct nx_js_consumer *config) {
    int64_t next_ns = INT64_MAX;
    for (size_t i = 0; i < ledger->count; i++) {
        struct nx_js_pending *pending = &ledger->pending[ledger->first + i];
        const int64_t due_ns = pending->given_ns + wait_of(pending, config);
        if (pending->is_due) {
            continue;
        }
        if (due_ns <= now_ns) {
            nx_js_ledger_make_due(ledger, pending);
        } else if (due_ns < next_ns) {
            next_ns = due_ns;
        }
    }
    return next_ns;
}

uint64_t nx_js_ledger_redelivered(const struct nx_js_ledger *ledger) {
    uint64_t count = 0;
    for (size_t i = 0; i < ledger->count; i++) {
        count += ledger->pending[ledger->first + i].count > 1 ? 1 : 0;
    }
    return count;
}

void nx_js_ledger_write(const struct nx_js_ledger *ledger, struct nx_buf *out) {
    uint64_t before = 0;
    int64_t before_ms = 0;
    nx_buf_append_u8(out, VERSION);
    nx_buf_append_varint(out, ledger->delivered_consumer);
    nx_buf_append_varint(out, ledger->delivered_stream);
    nx_buf_append_varint(out, ledger->floor_consumer);
    nx_buf_append_varint(out, ledger->floor_stream);
    nx_buf_append_varint(out, ledger->count);
    for (size_t i = 0; i < ledger->count; i++) {
        const struct nx_js_pending *pending = &ledger->pending[ledger->first + i];
        nx_buf_append_varint(out, pending->sequence - before);
        nx_buf_append_varint(out, pending->delivery);
        nx_buf_append_varint_signed(out, pending->given_ns / NS_PER_MS - before_ms);
        nx_buf_append_varint(out, pending->count << 1 | (pending->is_due ? 1 : 0));
        before = pending->sequence;
        before_ms = pending->given_ns / NS_PER_MS;
    }
}

static bool read_pending(struct nx_js_ledger *ledger, struct nx_reader *reader, uint64_t count) {
    uint64_t before = 0;
    uint64_t given_ms = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct nx_js_pending pending = { .sequence = before + nx_reader_varint(reader) };
        pending.delivery = nx_reader_varint(reader);
        given_ms += (uint64_t)nx_reader_varint_signed(reader); /* may wrap: it is checked below */
        const uint64_t times = nx_reader_varint(reader);
        if (reader->failed || pending.sequence <= before || given_ms > INT64_MAX / NS_PER_MS ||
            reserve(ledger, NULL) != NX_OK) {
            return false;
        }
        pending.given_ns = (int64_t)given_ms * NS_PER_MS;
        pending.count = times >> 1;
        pending.is_due = (times & 1) != 0;
        ledger->due_count += pending.is_due ? 1 : 0;
        ledger->pending[ledger->first + ledger->count++] = pending;
        before = pending.sequence;
    }
    return true;
}

enum nx_status nx_js_ledger_read(struct nx_js_ledger *ledger, struct nx_str bytes, struct nx_error *err) {
    struct nx_reader reader = nx_reader_of(bytes);
    nx_js_ledger_init(ledger, 0);
    const bool is_ours = nx_reader_u8(&reader) == VERSION;
    ledger->delivered_consumer = nx_reader_varint(&reader);
    ledger->delivered_stream = nx_reader_varint(&reader);
    ledger->floor_consumer = nx_reader_varint(&reader);
    ledger->floor_stream = nx_reader_varint(&reader);
    const uint64_t count = nx_reader_varint(&reader);
    if (!is_ours || reader.failed || count > NX_JS_PENDING_MAX || !read_pending(ledger, &reader, count)) {
        nx_js_ledger_fini(ledger);
        return nx_fail(err, NX_DATA_LOSS, "the state of a consumer cannot be read");
    }
    return NX_OK;
}
