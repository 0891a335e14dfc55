/* src/sandbox/tape/tape.c */
#include "sandbox/tape/tape.h"

#include "sandbox/tape/tape_compare.h"

void nx_tape_record_init(struct nx_tape *tape, size_t size_max, int64_t start_wall_ns) {
    *tape = (struct nx_tape){ .wall_ns = start_wall_ns };
    nx_buf_init(&tape->entries, size_max);
}

void nx_tape_replay_init(struct nx_tape *tape, const struct nx_tape_header *header,
                         const struct nx_tape_reader *entries) {
    *tape = (struct nx_tape){ .replaying = true, .wall_ns = header->start_time_ns, .reader = *entries };
    nx_buf_init(&tape->entries, 1);
}

void nx_tape_fini(struct nx_tape *tape) {
    nx_buf_fini(&tape->entries);
    nx_tape_compare_free(tape);
}

static bool differ(struct nx_tape *tape, size_t byte, const char *why) {
    if (!tape->differs) {
        tape->differs = true;
        tape->differs_at_byte = byte;
        tape->differs_why = why;
    }
    return false;
}

static bool record(struct nx_tape *tape, const struct nx_tape_entry *entry) {
    nx_tape_encode_entry(entry, &tape->entries);
    if (nx_buf_failed(&tape->entries)) {
        return false;
    }
    tape->entry_count++;
    return true;
}

/* The next entry, which must be of this kind. */
static bool play(struct nx_tape *tape, enum nx_tape_entry_kind kind, struct nx_tape_entry *entry_out) {
    const size_t byte = tape->reader.bytes.offset;
    if (tape->differs) {
        return false;
    }
    if (!nx_tape_next(&tape->reader, entry_out)) {
        return differ(tape, byte, "the guest asks for more than the tape answers");
    }
    if (entry_out->kind != kind) {
        return differ(tape, byte, "the guest asks something else than was asked here");
    }
    return true;
}

static bool play_answer(struct nx_tape *tape, struct nx_tape_entry *entry) {
    const uint32_t arguments = entry->arguments;
    const size_t byte = tape->reader.bytes.offset;
    if (!play(tape, entry->kind, entry)) {
        return false;
    }
    if (entry->arguments != arguments) {
        return differ(tape, byte, "the guest asks with other arguments than were given here");
    }
    tape->entry_count++;
    return true;
}

bool nx_tape_wall(struct nx_tape *tape, enum nx_tape_entry_kind kind, int64_t *wall_ns) {
    struct nx_tape_entry entry;
    if (tape->compare != NULL) {
        return nx_tape_compare_wall(tape, kind, wall_ns);
    }
    if (tape->replaying) {
        if (!play(tape, kind, &entry)) {
            return false;
        }
        tape->entry_count++;
        tape->wall_ns = (int64_t)((uint64_t)tape->wall_ns + (uint64_t)entry.time_ns);
        *wall_ns = tape->wall_ns;
        return true;
    }
    entry.kind = kind;
    entry.time_ns = (int64_t)((uint64_t)*wall_ns - (uint64_t)tape->wall_ns);
    tape->wall_ns = *wall_ns;
    return record(tape, &entry);
}

bool nx_tape_monotonic(struct nx_tape *tape, int64_t *since_start_ns) {
    struct nx_tape_entry entry;
    if (tape->compare != NULL) {
        return nx_tape_compare_monotonic(tape, since_start_ns);
    }
    if (tape->replaying) {
        if (!play(tape, NX_TAPE_CLOCK_MONOTONIC, &entry)) {
            return false;
        }
        tape->entry_count++;
        tape->monotonic_ns = (int64_t)((uint64_t)tape->monotonic_ns + (uint64_t)entry.time_ns);
        *since_start_ns = tape->monotonic_ns;
        return true;
    }
    entry.kind = NX_TAPE_CLOCK_MONOTONIC;
    entry.time_ns = (int64_t)((uint64_t)*since_start_ns - (uint64_t)tape->monotonic_ns);
    tape->monotonic_ns = *since_start_ns;
    return record(tape, &entry);
}

bool nx_tape_poll(struct nx_tape *tape, struct nx_tape_entry *entry) {
    entry->kind = NX_TAPE_POLL;
    if (tape->compare != NULL) {
        return nx_tape_compare_answer(tape, entry);
    }
    return tape->replaying ? play_answer(tape, entry) : record(tape, entry);
}

bool nx_tape_kv_get(struct nx_tape *tape, struct nx_tape_entry *entry) {
    entry->kind = NX_TAPE_KV_GET;
    if (tape->compare != NULL) {
        return nx_tape_compare_answer(tape, entry);
    }
    return tape->replaying ? play_answer(tape, entry) : record(tape, entry);
}

bool nx_tape_wait_cut(struct nx_tape *tape, uint32_t arguments) {
    struct nx_tape_entry entry;
    entry.kind = NX_TAPE_WAIT_CUT;
    entry.arguments = arguments;
    return record(tape, &entry);
}

bool nx_tape_is_wait_cut(struct nx_tape *tape, uint32_t arguments) {
    struct nx_tape_entry entry;
    struct nx_tape_reader ahead = tape->reader;
    if (tape->compare != NULL) {
        return nx_tape_compare_is_wait_cut(tape, arguments);
    }
    if (tape->differs || !nx_tape_next(&ahead, &entry) || entry.kind != NX_TAPE_WAIT_CUT ||
        entry.arguments != arguments) {
        return false;
    }
    tape->reader = ahead;
    tape->entry_count++;
    return true;
}

bool nx_tape_check_end(struct nx_tape *tape) {
    if (tape->compare != NULL) {
        nx_tape_compare_end(tape);
        return !tape->differs;
    }
    if (!tape->differs && tape->reader.index != tape->reader.entry_count) {
        return differ(tape, tape->reader.bytes.offset, "the guest asked less than is on the tape");
    }
    return !tape->differs;
}
