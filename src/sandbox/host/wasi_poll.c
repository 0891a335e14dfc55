/* src/sandbox/host/wasi_poll.c: poll_oneoff.
 *
 * Subscriptions are 48 bytes: u64 userdata, u8 kind at 8; clock: u32 id at 16, u64 timeout at 24, u16 flags
 * at 40 (1: absolute); fd_read and fd_write: u32 descriptor at 16. Events are 32 bytes: u64 userdata, u16
 * error at 8, u8 kind at 10, u64 bytes at 16, u16 flags at 24. Which subscriptions fired is what the tape
 * holds. */
#include "sandbox/host/wasi_poll.h"

#include <string.h>

enum {
    SUBSCRIPTION_SIZE = 48,
    EVENT_SIZE = 32,
    KIND_CLOCK = 0,
    KIND_FD_READ = 1,
    KIND_FD_WRITE = 2,
    FLAG_ABSOLUTE = 1,
    EVENT_HANGUP = 1,
    CLOCK_REALTIME_ID = 0,
    CLOCK_MONOTONIC_ID = 1,
    MONOTONIC_START_NS = 1000000000, /* not 0: Go's runtime takes 0 for a broken clock */
};

bool nx_host_read_clock(struct nx_host *host, uint32_t clock_id, int64_t *time_ns_out) {
    struct nx_now now = { 0 };
    if (!host->tape.replaying) {
        now = nx_clock_read(&host->clock);
    }
    if (clock_id == CLOCK_REALTIME_ID) {
        *time_ns_out = now.wall_ns;
        return nx_tape_wall(&host->tape, NX_TAPE_CLOCK_WALL, time_ns_out);
    }
    int64_t since_start_ns = now.monotonic_ns - host->started_at.monotonic_ns;
    const bool answered = nx_tape_monotonic(&host->tape, &since_start_ns);
    *time_ns_out = since_start_ns + MONOTONIC_START_NS;
    return answered;
}

static uint64_t load(const uint8_t *bytes, size_t size) {
    uint64_t value = 0;
    memcpy(&value, bytes, size);
    return value;
}

/* When it fires, as the machine's monotonic time; INT64_MIN: at once. */
static int64_t fires_at(const struct nx_host *host, const uint8_t *subscription, const struct nx_now *now) {
    if (subscription[8] != KIND_CLOCK) {
        return INT64_MIN;
    }
    const uint64_t id = load(subscription + 16, 4);
    const uint64_t timeout = load(subscription + 24, 8);
    int64_t base = now->monotonic_ns;
    if (id > CLOCK_MONOTONIC_ID) {
        return INT64_MIN; /* answered with an error */
    }
    if ((load(subscription + 40, 2) & FLAG_ABSOLUTE) != 0) {
        base = id == CLOCK_REALTIME_ID ? now->monotonic_ns - now->wall_ns
                                       : host->started_at.monotonic_ns - MONOTONIC_START_NS;
    }
    int64_t at;
    if (timeout > INT64_MAX || __builtin_add_overflow(base, (int64_t)timeout, &at)) {
        return INT64_MAX;
    }
    return at;
}

static void write_event(const struct nx_host *host, const uint8_t *subscription, uint8_t *event) {
    const uint8_t kind = subscription[8];
    const uint32_t target = (uint32_t)load(subscription + 16, 4);
    uint16_t error = NX_ERRNO_SUCCESS;
    uint64_t bytes = 0;
    uint16_t flags = 0;
    if (kind == KIND_CLOCK) {
        error = target > CLOCK_MONOTONIC_ID ? NX_ERRNO_INVAL : NX_ERRNO_SUCCESS;
    } else if (kind == KIND_FD_READ && target == 0) {
        bytes = host->input.len - host->input_at;
        flags = bytes == 0 ? EVENT_HANGUP : 0;
    } else if (kind == KIND_FD_WRITE && (target == 1 || target == 2)) {
        bytes = host->limits.output_size_max - host->output.len;
    } else {
        error = NX_ERRNO_BADF;
    }
    memset(event, 0, EVENT_SIZE);
    memcpy(event, subscription, 8);
    memcpy(event + 8, &error, 2);
    event[10] = kind;
    memcpy(event + 16, &bytes, 8);
    memcpy(event + 24, &flags, 2);
}

static int32_t write_events(struct nx_host *host, const uint32_t a[4], const struct nx_tape_entry *fired) {
    const uint8_t *subscriptions = nx_host_bytes(host, a[0], (uint64_t)a[2] * SUBSCRIPTION_SIZE);
    uint8_t *events = nx_host_bytes(host, a[1], (uint64_t)a[2] * EVENT_SIZE);
    if (subscriptions == NULL || events == NULL) {
        return NX_ERRNO_FAULT;
    }
    /* The guest may have laid them over each other: what it then gets is its own affair, but the same each
     * time. */
    for (size_t i = 0; i < fired->fired_count; i++) {
        uint8_t event[EVENT_SIZE];
        write_event(host, subscriptions + (size_t)fired->fired[i] * SUBSCRIPTION_SIZE, event);
        memcpy(events + i * EVENT_SIZE, event, EVENT_SIZE);
    }
    return nx_host_put_u32(host, a[3], (uint32_t)fired->fired_count) ? NX_ERRNO_SUCCESS : NX_ERRNO_FAULT;
}

/* All that have fired at `now`; 0 of them: *wake_ns_out is when the first will. */
static void collect(struct nx_host *host, const uint8_t *subscriptions, uint32_t count,
                    const struct nx_now *asked_at, int64_t now_ns, struct nx_tape_entry *entry_out,
                    int64_t *wake_ns_out) {
    *wake_ns_out = INT64_MAX;
    entry_out->fired_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int64_t at = fires_at(host, subscriptions + (size_t)i * SUBSCRIPTION_SIZE, asked_at);
        if (at <= now_ns) {
            entry_out->fired[entry_out->fired_count++] = (uint16_t)i;
        } else if (at < *wake_ns_out) {
            *wake_ns_out = at;
        }
    }
}

/* Comparing, and the tape knows nothing of this wait: it ends at once, and the clocks have gone on. */
static bool work_out(struct nx_host *host, const uint8_t *subscriptions, uint32_t count,
                     struct nx_tape_entry *entry, wasm_trap_t **trap_out) {
    struct nx_tape *tape = &host->tape;
    const struct nx_now now = { .wall_ns = tape->wall_ns,
                                .monotonic_ns = host->started_at.monotonic_ns + tape->monotonic_ns };
    int64_t wake_ns;
    int64_t unused;
    collect(host, subscriptions, count, &now, now.monotonic_ns, entry, &wake_ns);
    if (entry->fired_count > 0) {
        return true;
    }
    if (wake_ns == INT64_MAX) {
        *trap_out = nx_host_end(host, NX_OUTCOME_DEADLINE, NX_DEADLINE_WAIT_TEXT);
        return false;
    }
    collect(host, subscriptions, count, &now, wake_ns, entry, &unused);
    const uint64_t waited_ns = (uint64_t)wake_ns - (uint64_t)now.monotonic_ns;
    tape->wall_ns = (int64_t)((uint64_t)tape->wall_ns + waited_ns);
    tape->monotonic_ns = (int64_t)((uint64_t)tape->monotonic_ns + waited_ns);
    return true;
}

/* Replaying: the tape's answer must be one that this call could have had. */
static bool replay(struct nx_host *host, const uint8_t *subscriptions, uint32_t count,
                   struct nx_tape_entry *entry, wasm_trap_t **trap_out) {
    if (nx_tape_is_wait_cut(&host->tape, entry->arguments)) {
        *trap_out = nx_host_end(host, NX_OUTCOME_DEADLINE, NX_DEADLINE_WAIT_TEXT);
        return false;
    }
    const bool is_unknown = nx_tape_is_unknown_poll(&host->tape, entry->arguments);
    if (!nx_tape_poll(&host->tape, entry)) {
        *trap_out = nx_host_end_by_tape(host);
        return false;
    }
    if (is_unknown) {
        return work_out(host, subscriptions, count, entry, trap_out);
    }
    for (size_t i = 0; i < entry->fired_count; i++) {
        if (entry->fired[i] >= count) {
            host->tape.differs = true;
            host->tape.differs_why = "the tape names a subscription that the guest does not have";
            *trap_out = nx_host_end_by_tape(host);
            return false;
        }
    }
    return true;
}

int32_t nx_wasi_poll_oneoff(struct nx_host *host, const uint32_t *a, bool *waits_out,
                            wasm_trap_t **trap_out) {
    const uint32_t count = a[2];
    if (count == 0 || count > NX_TAPE_FIRED_MAX) {
        return NX_ERRNO_INVAL;
    }
    const uint8_t *subscriptions = nx_host_bytes(host, a[0], (uint64_t)count * SUBSCRIPTION_SIZE);
    if (subscriptions == NULL || nx_host_bytes(host, a[1], (uint64_t)count * EVENT_SIZE) == NULL) {
        return NX_ERRNO_FAULT;
    }
    struct nx_tape_entry entry;
    entry.arguments =
        (uint32_t)nx_str_hash(nx_str_of(subscriptions, (size_t)count * SUBSCRIPTION_SIZE), NX_TAPE_POLL);
    if (host->tape.replaying) {
        return replay(host, subscriptions, count, &entry, trap_out) ? write_events(host, a, &entry)
                                                                    : NX_ERRNO_INVAL;
    }
    const struct nx_now now = nx_clock_read(&host->clock);
    int64_t wake_ns;
    collect(host, subscriptions, count, &now, now.monotonic_ns, &entry, &wake_ns);
    if (entry.fired_count == 0) {
        host->wait = (struct nx_wait){ .kind = NX_WAIT_CLOCK,
                                       .wake_ns = wake_ns,
                                       .arguments = entry.arguments,
                                       .a = { a[0], a[1], a[2], a[3] },
                                       .asked_at = now };
        *waits_out = true;
        return NX_ERRNO_SUCCESS;
    }
    if (!nx_tape_poll(&host->tape, &entry)) {
        *trap_out = nx_host_end_by_tape(host);
    }
    return write_events(host, a, &entry);
}

void nx_wasi_poll_complete(struct nx_host *host) {
    struct nx_wait *wait = &host->wait;
    const uint8_t *subscriptions = nx_host_bytes(host, wait->a[0], (uint64_t)wait->a[2] * SUBSCRIPTION_SIZE);
    struct nx_tape_entry entry;
    int64_t unused;
    int32_t answer = NX_ERRNO_FAULT;
    entry.arguments = wait->arguments;
    if (subscriptions != NULL) {
        collect(host, subscriptions, wait->a[2], &wait->asked_at, wait->wake_ns, &entry, &unused);
        if (!nx_tape_poll(&host->tape, &entry)) {
            *wait->trap = nx_host_end_by_tape(host);
        }
        answer = write_events(host, wait->a, &entry);
    }
    wait->result->kind = WASMTIME_I32;
    wait->result->of.i32 = answer;
}
