/* src/sandbox/tape/tape_change.c */
#include "sandbox/tape/tape_change.h"

#include <inttypes.h>

#include "codec/time_format.h"

struct nx_tape_calls nx_tape_calls_of(const struct nx_tape_header *header,
                                      const struct nx_tape_reader *entries) {
    return (struct nx_tape_calls){ .reader = *entries, .wall_ns = header->start_time_ns };
}

static int64_t add(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t subtract(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* The next entry, log lines too, with the clocks gone on. */
static bool next_entry(struct nx_tape_calls *calls, struct nx_tape_call *call_out) {
    if (!nx_tape_next(&calls->reader, &call_out->entry)) {
        return false;
    }
    const enum nx_tape_entry_kind kind = call_out->entry.kind;
    call_out->time_ns = 0;
    if (kind == NX_TAPE_CLOCK_WALL || kind == NX_TAPE_LOG_TIME) {
        calls->wall_ns = add(calls->wall_ns, call_out->entry.time_ns);
        call_out->time_ns = calls->wall_ns;
    } else if (kind == NX_TAPE_CLOCK_MONOTONIC) {
        calls->monotonic_ns = add(calls->monotonic_ns, call_out->entry.time_ns);
        call_out->time_ns = calls->monotonic_ns;
    }
    calls->number += kind == NX_TAPE_LOG_TIME ? 0 : 1;
    call_out->number = kind == NX_TAPE_LOG_TIME ? 0 : calls->number;
    return true;
}

bool nx_tape_calls_next(struct nx_tape_calls *calls, struct nx_tape_call *call_out) {
    while (next_entry(calls, call_out)) {
        if (call_out->number > 0) {
            return true;
        }
    }
    return false;
}

const char *nx_tape_call_name(enum nx_tape_entry_kind kind) {
    switch (kind) {
    case NX_TAPE_CLOCK_WALL:
        return "clock";
    case NX_TAPE_CLOCK_MONOTONIC:
        return "monotonic clock";
    case NX_TAPE_KV_GET:
        return "key";
    case NX_TAPE_POLL:
        return "wait";
    case NX_TAPE_WAIT_CUT:
        return "wait that its deadline cut";
    case NX_TAPE_LOG_TIME:
        break;
    }
    return "log line";
}

/* "0,2", in brackets or not: rising numbers of subscriptions. */
static bool parse_fired(struct nx_str text, struct nx_tape_entry *entry) {
    if (text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']') {
        text = nx_str_slice(text, 1, text.len - 1);
    }
    struct nx_str part;
    entry->fired_count = 0;
    while (nx_str_split(&text, ',', &part)) {
        uint64_t number;
        if (!nx_str_to_u64(nx_str_trim(part), &number) || number >= NX_TAPE_FIRED_MAX ||
            (entry->fired_count > 0 && number <= entry->fired[entry->fired_count - 1])) {
            return false;
        }
        entry->fired[entry->fired_count++] = (uint16_t)number;
    }
    return entry->fired_count > 0;
}

static enum nx_status change_call(const struct nx_tape_change *change, struct nx_tape_call *call,
                                  struct nx_error *err) {
    const struct nx_str result = change->result;
    const char *wanted = "";
    bool is_good = false;
    switch (call->entry.kind) {
    case NX_TAPE_KV_GET:
        call->entry.found = !nx_str_is(result, "null");
        call->entry.value = call->entry.found ? result : NX_STR_EMPTY;
        return NX_OK;
    case NX_TAPE_CLOCK_WALL:
        wanted = "a reading of the clock: a time such as 2025-11-26T10:23:45.123Z";
        is_good = nx_time_parse(result, &call->time_ns);
        break;
    case NX_TAPE_CLOCK_MONOTONIC:
        wanted = "a reading of the monotonic clock: a time since the start such as 12ms";
        is_good = nx_duration_parse(result, &call->time_ns, NULL) == NX_OK;
        break;
    case NX_TAPE_POLL:
        wanted = "a wait: the numbers of what ended it, such as 0 or 0,2";
        is_good = parse_fired(result, &call->entry);
        break;
    case NX_TAPE_WAIT_CUT:
        return nx_fail(err, NX_INVALID_ARGUMENT,
                       "call[%" PRIu64 "] is the wait that the deadline cut: it has no result", call->number);
    case NX_TAPE_LOG_TIME:
        break;
    }
    return is_good ? NX_OK
                   : nx_fail(err, NX_INVALID_ARGUMENT, "call[%" PRIu64 "] is %s, not '%.*s'", call->number,
                             wanted, NX_STR_ARG(nx_str_slice(result, 0, 64)));
}

/* The last change of this call, or NULL. */
static const struct nx_tape_change *find_change(const struct nx_tape_change *changes, size_t count,
                                                uint64_t number) {
    const struct nx_tape_change *found = NULL;
    for (size_t i = 0; i < count && number > 0; i++) {
        found = changes[i].call == number ? &changes[i] : found;
    }
    return found;
}

static enum nx_status check_numbers(const struct nx_tape_change *changes, size_t count, uint64_t call_count,
                                    struct nx_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (changes[i].call == 0 || changes[i].call > call_count) {
            return nx_fail(err, NX_NOT_FOUND,
                           "there is no call[%" PRIu64 "]: this one asked %" PRIu64
                           " question%s, counted from 1",
                           changes[i].call, call_count, call_count == 1 ? "" : "s");
        }
    }
    return NX_OK;
}

enum nx_status nx_tape_change(struct nx_str tape, const struct nx_tape_change *changes, size_t count,
                              struct nx_buf *out, struct nx_error *err) {
    struct nx_tape_header header;
    struct nx_tape_reader entries;
    struct nx_tape_call call;
    header.env_count = 0;
    NX_TRY(nx_tape_decode(tape, &header, &entries, err));
    struct nx_tape_calls calls = nx_tape_calls_of(&header, &entries);
    int64_t wall_ns = header.start_time_ns; /* as written */
    int64_t monotonic_ns = 0;
    nx_tape_encode_header(&header, out);
    while (next_entry(&calls, &call)) {
        const struct nx_tape_change *change = find_change(changes, count, call.number);
        if (change != NULL) {
            NX_TRY(change_call(change, &call, err));
        }
        if (call.entry.kind == NX_TAPE_CLOCK_WALL || call.entry.kind == NX_TAPE_LOG_TIME) {
            call.entry.time_ns = subtract(call.time_ns, wall_ns);
            wall_ns = call.time_ns;
        } else if (call.entry.kind == NX_TAPE_CLOCK_MONOTONIC) {
            call.entry.time_ns = subtract(call.time_ns, monotonic_ns);
            monotonic_ns = call.time_ns;
        }
        nx_tape_encode_entry(&call.entry, out);
    }
    NX_TRY(check_numbers(changes, count, calls.number, err));
    return nx_buf_check(out, err);
}
