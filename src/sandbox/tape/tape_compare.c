/* src/sandbox/tape/tape_compare.c */
#include "sandbox/tape/tape_compare.h"

#include <stdlib.h>
#include <string.h>

enum {
    QUESTIONS_MAX = 64 * 1024, /* different ones with arguments that one call may ask */
    KEY_SIZE = 1 + sizeof(uint32_t),
    CLOCK_STEP_NS = 1000 * 1000, /* what a clock goes on by when the tape has no more readings */
};

static bool differ(struct nx_tape *tape, const char *why) {
    if (!tape->differs) {
        tape->differs = true;
        tape->differs_at_byte = 0;
        tape->differs_why = why;
    }
    return false;
}

enum nx_status nx_tape_compare_init(struct nx_tape *tape, const struct nx_tape_header *header,
                                    const struct nx_tape_reader *entries, enum nx_compare_policy policy,
                                    const struct nx_clock *clock, struct nx_error *err) {
    nx_tape_replay_init(tape, header, entries);
    tape->compare = calloc(1, sizeof *tape->compare);
    if (tape->compare == NULL) {
        return nx_fail_memory(err);
    }
    const struct nx_tape_cursor wall = { .reader = *entries, .time_ns = header->start_time_ns };
    *tape->compare = (struct nx_tape_compare){
        .start = *entries,
        .wall = wall,
        .log_time = wall,
        .monotonic = { .reader = *entries },
        .order = *entries,
        .policy = policy,
    };
    if (policy == NX_COMPARE_LIVE) {
        tape->compare->clock = *clock;
        tape->compare->began_ns = nx_clock_read(clock).monotonic_ns;
    }
    nx_map_init(&tape->compare->asked, QUESTIONS_MAX, 0);
    return NX_OK;
}

void nx_tape_compare_free(struct nx_tape *tape) {
    size_t cursor = 0;
    void *reader;
    if (tape->compare == NULL) {
        return;
    }
    while (nx_map_next(&tape->compare->asked, &cursor, NULL, &reader)) {
        free(reader);
    }
    nx_map_fini(&tape->compare->asked);
    free(tape->compare);
    tape->compare = NULL;
}

/* The next entry in order that is a question; log lines are compared as such. */
static bool next_question(struct nx_tape_reader *order, struct nx_tape_entry *entry_out) {
    while (nx_tape_next(order, entry_out)) {
        if (entry_out->kind != NX_TAPE_LOG_TIME) {
            return true;
        }
    }
    return false;
}

/* Was this the question that the recorded code asked here? A wait that was cut is noted by its end alone. */
static void note_question(struct nx_tape *tape, enum nx_tape_entry_kind kind, uint32_t arguments) {
    struct nx_tape_compare *compare = tape->compare;
    struct nx_tape_entry entry;
    if (!compare->order_differs) {
        const bool has_arguments = kind == NX_TAPE_POLL || kind == NX_TAPE_KV_GET;
        const bool is_same = next_question(&compare->order, &entry) &&
                             (entry.kind == kind || (entry.kind == NX_TAPE_WAIT_CUT && has_arguments)) &&
                             (!has_arguments || entry.arguments == arguments);
        if (!is_same) {
            compare->order_differs = true;
            compare->order_differs_at = compare->question_count;
        }
    }
    const uint32_t asked[] = { (uint32_t)kind, arguments };
    compare->question_hash = nx_str_hash(nx_str_of(asked, sizeof asked), compare->question_hash);
    compare->question_count++;
    tape->entry_count++;
}

void nx_tape_compare_end(struct nx_tape *tape) {
    struct nx_tape_compare *compare = tape->compare;
    struct nx_tape_entry entry;
    if (!compare->order_differs && next_question(&compare->order, &entry)) {
        compare->order_differs = true;
        compare->order_differs_at = compare->question_count;
    }
}

/* Wall readings and times of log lines are one clock on the tape. */
static bool next_wall(struct nx_tape_cursor *cursor, enum nx_tape_entry_kind kind) {
    struct nx_tape_entry entry;
    while (nx_tape_next(&cursor->reader, &entry)) {
        if (entry.kind == NX_TAPE_CLOCK_WALL || entry.kind == NX_TAPE_LOG_TIME) {
            cursor->time_ns = (int64_t)((uint64_t)cursor->time_ns + (uint64_t)entry.time_ns);
            if (entry.kind == kind) {
                return true;
            }
        }
    }
    return false;
}

static int64_t step_on(int64_t time_ns) {
    return (int64_t)((uint64_t)time_ns + CLOCK_STEP_NS);
}

bool nx_tape_compare_wall(struct nx_tape *tape, enum nx_tape_entry_kind kind, int64_t *wall_ns) {
    struct nx_tape_compare *compare = tape->compare;
    const bool is_log = kind == NX_TAPE_LOG_TIME;
    struct nx_tape_cursor *cursor = is_log ? &compare->log_time : &compare->wall;
    if (!is_log) {
        note_question(tape, kind, 0);
    }
    if (next_wall(cursor, kind)) {
        tape->wall_ns = cursor->time_ns;
    } else if (compare->policy == NX_COMPARE_FAIL && !is_log) {
        return differ(tape, "the code reads the clock more often than was recorded");
    } else if (compare->policy == NX_COMPARE_LIVE) {
        tape->wall_ns = nx_clock_read(&compare->clock).wall_ns;
    } else {
        tape->wall_ns = step_on(tape->wall_ns);
    }
    *wall_ns = tape->wall_ns;
    return true;
}

static int64_t live_monotonic(const struct nx_tape_compare *compare) {
    return nx_clock_read(&compare->clock).monotonic_ns - compare->began_ns;
}

bool nx_tape_compare_monotonic(struct nx_tape *tape, int64_t *since_start_ns) {
    struct nx_tape_compare *compare = tape->compare;
    struct nx_tape_cursor *cursor = &compare->monotonic;
    struct nx_tape_entry entry;
    bool is_found = false;
    note_question(tape, NX_TAPE_CLOCK_MONOTONIC, 0);
    while (!is_found && nx_tape_next(&cursor->reader, &entry)) {
        is_found = entry.kind == NX_TAPE_CLOCK_MONOTONIC;
    }
    if (is_found) {
        cursor->time_ns = (int64_t)((uint64_t)cursor->time_ns + (uint64_t)entry.time_ns);
        tape->monotonic_ns = cursor->time_ns;
    } else if (compare->policy == NX_COMPARE_FAIL) {
        return differ(tape, "the code reads the clock more often than was recorded");
    } else if (compare->policy == NX_COMPARE_LIVE && live_monotonic(compare) > tape->monotonic_ns) {
        tape->monotonic_ns = live_monotonic(compare);
    } else {
        tape->monotonic_ns = step_on(tape->monotonic_ns);
    }
    *since_start_ns = tape->monotonic_ns;
    return true;
}

/* Where the answers to this question go on; NULL: no memory, or too many different questions. */
static struct nx_tape_reader *reader_of(struct nx_tape_compare *compare, enum nx_tape_entry_kind kind,
                                        uint32_t arguments) {
    uint8_t bytes[KEY_SIZE] = { (uint8_t)kind };
    memcpy(bytes + 1, &arguments, sizeof arguments);
    const struct nx_str key = nx_str_of(bytes, sizeof bytes);
    struct nx_tape_reader *reader = nx_map_get(&compare->asked, key);
    if (reader == NULL && (reader = malloc(sizeof *reader)) != NULL) {
        *reader = compare->start;
        if (nx_map_set(&compare->asked, key, reader, NULL) != NX_OK) {
            free(reader);
            reader = NULL;
        }
    }
    return reader;
}

/* The next answer to this question; `reader` then stands behind it. */
static bool find_answer(struct nx_tape_reader *reader, enum nx_tape_entry_kind kind, uint32_t arguments,
                        struct nx_tape_entry *entry_out) {
    while (nx_tape_next(reader, entry_out)) {
        if (entry_out->kind == kind && entry_out->arguments == arguments) {
            return true;
        }
    }
    return false;
}

bool nx_tape_compare_answer(struct nx_tape *tape, struct nx_tape_entry *entry) {
    const enum nx_tape_entry_kind kind = entry->kind;
    const uint32_t arguments = entry->arguments;
    struct nx_tape_reader *reader = reader_of(tape->compare, kind, arguments);
    note_question(tape, kind, arguments);
    if (reader == NULL) {
        return differ(tape, "there is no memory for so many questions");
    }
    const bool found = kind == NX_TAPE_KV_GET && entry->found; /* what the caller brought */
    const uint64_t version = found ? entry->version : 0;
    const struct nx_str value = found ? entry->value : NX_STR_EMPTY;
    if (find_answer(reader, kind, arguments, entry)) {
        return true;
    }
    if (tape->compare->policy == NX_COMPARE_FAIL) {
        return differ(tape, kind == NX_TAPE_POLL
                                ? "the code waits where nothing is recorded of a wait"
                                : "the code reads a key that was not read when it was recorded");
    }
    entry->kind = kind;
    entry->arguments = arguments;
    entry->fired_count = 0;
    entry->found = found;
    entry->version = version;
    entry->value = value;
    return true;
}

/* True when the tape has one more answer to this question. */
static bool has_answer(struct nx_tape_compare *compare, enum nx_tape_entry_kind kind, uint32_t arguments) {
    struct nx_tape_entry entry;
    const struct nx_tape_reader *known = reader_of(compare, kind, arguments);
    struct nx_tape_reader ahead = known == NULL ? compare->start : *known;
    return find_answer(&ahead, kind, arguments, &entry);
}

bool nx_tape_is_outside_key(struct nx_tape *tape, uint32_t arguments) {
    struct nx_tape_compare *compare = tape->compare;
    return compare != NULL &&
           (compare->policy == NX_COMPARE_READ_ONLY || compare->policy == NX_COMPARE_LIVE) &&
           !has_answer(compare, NX_TAPE_KV_GET, arguments);
}

bool nx_tape_is_unknown_poll(struct nx_tape *tape, uint32_t arguments) {
    return tape->compare != NULL && tape->compare->policy != NX_COMPARE_FAIL &&
           !has_answer(tape->compare, NX_TAPE_POLL, arguments);
}

bool nx_tape_compare_is_wait_cut(struct nx_tape *tape, uint32_t arguments) {
    static const enum nx_tape_entry_kind kinds[] = { NX_TAPE_POLL, NX_TAPE_KV_GET };
    struct nx_tape_entry entry;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (has_answer(tape->compare, kinds[i], arguments)) {
            return false; /* this time it was answered */
        }
    }
    struct nx_tape_reader ahead = tape->compare->start;
    if (!find_answer(&ahead, NX_TAPE_WAIT_CUT, arguments, &entry)) {
        return false;
    }
    note_question(tape, NX_TAPE_WAIT_CUT, arguments);
    return true;
}
