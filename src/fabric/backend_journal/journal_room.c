/* src/fabric/backend_journal/journal_room.c: how far the journal may grow.
 *
 * It grows by segments, so its limits are looked at whenever one is to be reserved, and nowhere else. There
 * are three: the disk itself; the disk budget, of which the library says what everything but the segments
 * takes (board.h); and what waits to be sealed, which would grow without end where sealing is slower than
 * what comes in, and which the next start has to read. The last one passes by itself, so appends wait for it
 * a while before they are refused; behind the others they are refused at once, and taken when there is room.
 *
 * The budget is for everybody: ordinary appends are refused when the library finds that nothing more can be
 * dropped (board.budget_full). What a consumer has finished is still taken then, for it makes room; so is
 * what comes while the library is about to make some. For these there is an allowance beyond the budget. The
 * last of it is not for large ones: what small ones say, how far the functions are, makes room for all.
 *
 * Only segments that are left are sealed, and only what is sealed expires: where little comes, a segment is
 * left after a while though it is not full. */
#include <inttypes.h>

#include "base/assert.h"
#include "fabric/backend_journal/journal_internal.h"

enum { BATCH_SIZE_MAX = 8 * 1024 * 1024 /* bytes after which a batch is written though more is waiting */ };

enum {
    UNSEALED_SEGMENTS_MAX = 16,           /* of full size: what may wait to be sealed */
    UNSEALED_SIZE_MIN = 32 * 1024 * 1024, /* bytes: it may be so much in any case */
    STALL_MS = 3000,                      /* that an append waits for a limit which passes by itself */
    STALLED_SIZE_MAX = 64 * 1024 * 1024,  /* bytes of those that wait */
    RETRY_DISK_MS = 1000,                 /* until a full disk is looked at again */
    LARGE_PART = 32,                      /* an append is large from this part of a segment on */
    RETRY_LIMIT_MS = 20,                  /* until we look again at what the library says */
    ROOM_SLACK_SIZE = 64 * 1024, /* of a segment made for one append: its header and batches' headers */
    ROLL_AGE_PART = 8,   /* of the shortest age that a stream keeps: a segment takes records for so long */
    ROLL_AGE_MIN_S = 60, /* and at least for this */
    MIB = 1024 * 1024,
};

uint64_t nx_segment_size_for(uint64_t disk_budget) {
    const uint64_t part = disk_budget / NX_BUDGET_SEGMENTS;
    return disk_budget == 0 || part > NX_SEGMENT_SIZE_DEFAULT ? NX_SEGMENT_SIZE_DEFAULT
           : part < NX_BUDGET_SEGMENT_SIZE_MIN                ? NX_BUDGET_SEGMENT_SIZE_MIN
                                                              : part;
}

/* ---- what waits to be sealed ---- */

static void forget_sealed(struct nx_journal *journal) {
    const uint64_t sealed = nx_counter_get(&journal->board->sealed);
    size_t kept = 0;
    for (size_t i = 0; i < journal->unsealed_count; i++) {
        if (journal->unsealed[i].number > sealed) {
            journal->unsealed[kept++] = journal->unsealed[i];
        }
    }
    journal->unsealed_count = kept;
}

static uint64_t unsealed_size(const struct nx_journal *journal) {
    uint64_t size = nx_wal_prepared_size(journal->wal);
    for (size_t i = 0; i < journal->unsealed_count; i++) {
        size += journal->unsealed[i].size;
    }
    return size;
}

void nx_journal_note_unsealed(struct nx_journal *journal, uint64_t number, uint64_t size) {
    for (size_t i = 0; i < journal->unsealed_count; i++) {
        if (journal->unsealed[i].number == number) {
            journal->unsealed[i].size = size;
            return;
        }
    }
    forget_sealed(journal);
    if (journal->unsealed_count == NX_UNSEALED_NOTED_MAX) { /* gone when the last of them is */
        journal->unsealed[NX_UNSEALED_NOTED_MAX - 1].number = number;
        journal->unsealed[NX_UNSEALED_NOTED_MAX - 1].size += size;
        return;
    }
    journal->unsealed[journal->unsealed_count++] = (struct nx_journal_unsealed){ number, size };
}

/* ---- reserving ---- */

static enum nx_status fail_budget(const struct nx_journal *journal, struct nx_error *err) {
    char text[NX_BOARD_TEXT_WORDS * 8];
    if (nx_counter_get(&journal->board->budget_full) == 0) {
        (void)nx_fail_kind(err, NX_KIND_OVERLOADED,
                           "the disk budget is used up, and room is being made in it");
        nx_board_hint(NX_KIND_OVERLOADED, err);
        return NX_RESOURCE_EXHAUSTED;
    }
    nx_board_get_text(journal->board->budget_text, text);
    (void)nx_fail_kind(err, NX_KIND_BUDGET_FULL, "%s", text);
    nx_board_hint(NX_KIND_BUDGET_FULL, err);
    return NX_RESOURCE_EXHAUSTED;
}

/* What may wait to be sealed: half of the budget at most, but never so little that a short burst meets it. */
static uint64_t unsealed_max(const struct nx_fabric_options *options) {
    uint64_t max = UNSEALED_SEGMENTS_MAX * options->segment_size;
    max = options->disk_budget > 0 && options->disk_budget / 2 < max ? options->disk_budget / 2 : max;
    max = max < UNSEALED_SIZE_MIN ? UNSEALED_SIZE_MIN : max;
    return options->unsealed_max > 0 ? options->unsealed_max : max;
}

/* Whether so many more bytes fit in the budget and its allowance. */
static bool fits_budget(const struct nx_journal *journal, uint64_t size) {
    const struct nx_fabric_options *options = journal->options;
    return options->disk_budget == 0 ||
           nx_counter_get(&journal->board->stored) + unsealed_size(journal) + size <=
               options->disk_budget + NX_ALLOWANCE_SEGMENTS * options->segment_size;
}

/* Whether so many more bytes may be reserved for a segment. */
static enum nx_status check_limits(struct nx_journal *journal, uint64_t size, struct nx_error *err) {
    const struct nx_fabric_options *options = journal->options;
    if (nx_wal_open_size(journal->wal) == 0) {
        return NX_OK; /* the first one of a process: what is before it cannot be sealed until it is there */
    }
    forget_sealed(journal);
    const uint64_t unsealed = unsealed_size(journal);
    if (journal->unsealed_count > 2 && unsealed + size > unsealed_max(options)) {
        (void)nx_fail_kind(err, NX_KIND_OVERLOADED,
                           "%" PRIu64
                           " MiB of the log wait to be sealed: the disk is slower than what comes in",
                           unsealed / MIB);
        nx_board_hint(NX_KIND_OVERLOADED, err);
        return NX_RESOURCE_EXHAUSTED;
    }
    return fits_budget(journal, size) ? NX_OK : fail_budget(journal, err);
}

/* Whether so many bytes of segments may still be made. */
static bool may_reserve(struct nx_journal *journal, uint64_t size) {
    const uint64_t prepared = nx_wal_prepared_size(journal->wal);
    forget_sealed(journal);
    return fits_budget(journal, size > prepared ? size - prepared : 0);
}

enum nx_status nx_journal_check_large(struct nx_journal *journal, uint64_t size, struct nx_error *err) {
    const struct nx_fabric_options *options = journal->options;
    const uint64_t segment = options->segment_size;
    if (options->disk_budget == 0 || size <= segment / LARGE_PART || nx_wal_open_size(journal->wal) == 0) {
        return NX_OK;
    }
    const uint64_t wanted = nx_wal_batch_size(journal->wal) + size;
    const uint64_t room = nx_wal_room(journal->wal);
    const bool is_within = wanted <= room;
    const uint64_t own = nx_journal_segment_size(journal, 0, size);
    const uint64_t next = is_within ? 0 : own > segment ? own : segment;
    /* It leaves a segment that can be made, or half of the one that it is in. */
    const bool leaves_half = is_within ? room - wanted >= segment / 2
                                       : next == segment && size <= segment / 2 && may_reserve(journal, next);
    if (may_reserve(journal, next + segment) || leaves_half) {
        return NX_OK;
    }
    (void)nx_fail_kind(err, NX_KIND_BUDGET_FULL, "the disk budget is used up, and room is being made in it");
    nx_board_hint(NX_KIND_BUDGET_FULL, err);
    return err->status;
}

uint64_t nx_journal_segment_size(const struct nx_journal *journal, uint64_t checkpoint_size,
                                 uint64_t append_size) {
    if (append_size + checkpoint_size <= nx_wal_segment_room(journal->wal) / 2) {
        return 0; /* as always */
    }
    return checkpoint_size * 4 + append_size / 4 * 5 + ROOM_SLACK_SIZE;
}

enum nx_status nx_journal_reserve(struct nx_journal *journal, uint64_t size_min, struct nx_error *err) {
    const uint64_t size_default = journal->options->segment_size;
    const uint64_t size = size_min > size_default ? size_min : size_default;
    const uint64_t prepared = nx_wal_prepared_size(journal->wal);
    if (prepared < size) {
        NX_TRY(check_limits(journal, size - prepared, err));
    }
    return nx_wal_prepare(journal->wal, size_min, err);
}

bool nx_journal_stall(struct nx_journal *journal, struct nx_append *append, uint64_t size,
                      struct nx_now now) {
    if (nx_counter_get(&journal->board->refusal) != NX_KIND_NONE) {
        return false; /* others have waited in vain */
    }
    if (journal->stall_end_ns == 0) {
        journal->stall_end_ns = now.monotonic_ns + STALL_MS * (int64_t)NX_NS_PER_MS;
    }
    if (now.monotonic_ns >= journal->stall_end_ns || journal->stalled_size + size > STALLED_SIZE_MAX) {
        return false;
    }
    journal->stall_retry_ns = now.monotonic_ns + RETRY_LIMIT_MS * NX_NS_PER_MS;
    journal->stalled_size += size;
    nx_message_queue_push(&journal->stalled, &append->message);
    return true;
}

/* Reserve the next segment before it is needed, once half of this one is used. */
void nx_journal_look_ahead(struct nx_journal *journal, struct nx_now now) {
    struct nx_error err = { 0 };
    if (now.monotonic_ns < journal->retry_prepare_ns || nx_wal_room(journal->wal) == 0 ||
        nx_wal_room(journal->wal) > nx_wal_segment_room(journal->wal) / 2) {
        return;
    }
    if (nx_journal_reserve(journal, 0, &err) != NX_OK) {
        journal->retry_prepare_ns =
            now.monotonic_ns +
            (err.kind == NX_KIND_DISK_FULL ? RETRY_DISK_MS : RETRY_LIMIT_MS) * NX_NS_PER_MS;
    }
}

bool nx_journal_may_resume(const struct nx_journal *journal) {
    const uint64_t refusal = nx_counter_get(&journal->board->refusal);
    return refusal != NX_KIND_NONE && refusal != NX_KIND_LOG_FROZEN;
}

/* What was refused for want of room is looked at again from time to time, so that /readyz recovers without a
 * write. */
void nx_journal_retry_refused(struct nx_journal *journal, struct nx_now now) {
    struct nx_error err = { 0 };
    if (!nx_journal_may_resume(journal) || now.monotonic_ns < journal->retry_prepare_ns) {
        return;
    }
    const bool is_disk = nx_counter_get(&journal->board->refusal) == NX_KIND_DISK_FULL;
    journal->retry_prepare_ns =
        now.monotonic_ns + (is_disk ? RETRY_DISK_MS : RETRY_LIMIT_MS) * (int64_t)NX_NS_PER_MS;
    if (nx_journal_reserve(journal, 0, &err) == NX_OK) {
        nx_counter_set(&journal->board->refusal, NX_KIND_NONE);
    }
}

void nx_journal_note_age(struct nx_journal *journal, int64_t age_max_ns) {
    if (age_max_ns > 0 && (journal->age_min_ns == 0 || age_max_ns < journal->age_min_ns)) {
        journal->age_min_ns = age_max_ns;
    }
}

void nx_journal_note_records(struct nx_journal *journal, int64_t now_ns) {
    const int64_t part_ns = journal->age_min_ns / ROLL_AGE_PART;
    const int64_t least_ns = ROLL_AGE_MIN_S * (int64_t)NX_NS_PER_S;
    if (journal->age_min_ns > 0 && journal->roll_due_ns == NX_STEP_IDLE) {
        journal->roll_due_ns = now_ns + (part_ns > least_ns ? part_ns : least_ns);
    }
}

bool nx_journal_must_roll(struct nx_journal *journal, int64_t now_ns) {
    struct nx_error err = { 0 };
    if (journal->roll_due_ns > now_ns) {
        return false;
    }
    journal->roll_due_ns = NX_STEP_IDLE;
    if (nx_journal_reserve(journal, 0, &err) != NX_OK) {
        nx_journal_note_records(journal, now_ns); /* the open one goes on */
        return false;
    }
    return true;
}

uint64_t nx_journal_append_size(const struct nx_append *append) {
    uint64_t size = 0;
    for (size_t i = 0; i < append->entry_count; i++) {
        const struct nx_append_entry *entry = &append->entries[i];
        size += nx_wal_entry_size(entry->dedup_key.len + entry->subject.len + entry->headers.len +
                                  entry->payload.len);
        size += nx_frame_size(sizeof(uint64_t) + entry->stream.len); /* if it is the stream's first */
    }
    return size;
}

enum nx_status nx_journal_make_room(struct nx_journal *journal, uint64_t size, struct nx_now now,
                                    struct nx_error *err) {
    const uint64_t wanted = nx_wal_batch_size(journal->wal) + size;
    if (wanted <= nx_wal_room(journal->wal) && !journal->must_checkpoint) {
        if (wanted > BATCH_SIZE_MAX) {
            nx_journal_commit(journal, now);
        }
        return NX_OK;
    }
    nx_journal_commit(journal, now);
    return nx_journal_roll(journal, size, err);
}
