#include "storage/wal/recovery.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void nx_wal_tracker_init(struct nx_wal_tracker *tracker, const struct nx_wal_visitor *visitor,
                         struct nx_buf *report) {
    *tracker = (struct nx_wal_tracker){ .visitor = *visitor, .report = report };
}

void nx_wal_tracker_fini(struct nx_wal_tracker *tracker) {
    free(tracker->last);
    tracker->last = NULL;
    tracker->capacity = 0;
}

void nx_wal_tracker_report(struct nx_wal_tracker *tracker, const char *format, ...) {
    char line[512];
    va_list args;
    tracker->line_count++;
    if (tracker->report == NULL || tracker->report->len + sizeof line > tracker->report->len_max) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    nx_buf_append_format(tracker->report, "wal-%016" PRIx64 ": %s\n", tracker->segment_number, line);
}

static enum nx_status know_stream(struct nx_wal_tracker *tracker, uint32_t stream, struct nx_error *err) {
    if (stream < tracker->capacity) {
        return NX_OK;
    }
    size_t capacity = tracker->capacity == 0 ? 64 : tracker->capacity;
    while (capacity <= stream) {
        capacity *= 2;
    }
    uint64_t *last = reallocarray(tracker->last, capacity, sizeof *last);
    if (last == NULL) {
        return nx_fail_memory(err);
    }
    memset(last + tracker->capacity, 0, (capacity - tracker->capacity) * sizeof *last);
    tracker->last = last;
    tracker->capacity = capacity;
    return NX_OK;
}

enum nx_status nx_wal_tracker_know(struct nx_wal_tracker *tracker, uint32_t stream, uint64_t last,
                                   struct nx_error *err) {
    if (stream >= NX_STREAMS_MAX || last == UINT64_MAX) {
        return NX_OK;
    }
    NX_TRY(know_stream(tracker, stream, err));
    if (last + 1 > tracker->last[stream]) {
        tracker->last[stream] = last + 1;
    }
    return NX_OK;
}

/* Here and below, a stream has come further only once the visitor has taken what was told: a frame that it
 * had no memory for can be given again. */
static enum nx_status tell_gap(struct nx_wal_tracker *tracker, uint32_t stream, uint64_t first, uint64_t last,
                               bool lost, struct nx_error *err) {
    NX_TRY(tracker->visitor.gap(tracker->visitor.data, stream, first, last, lost, err));
    tracker->last[stream] = last + 1;
    if (lost) {
        tracker->lost_count += last - first + 1;
        nx_wal_tracker_report(tracker, "lost: stream %u, records %" PRIu64 " to %" PRIu64, stream, first,
                              last);
    }
    return NX_OK;
}

/* A stream of which records stand here but whose name does not: the frame that said it is destroyed. The next
 * segment says it again. */
static enum nx_status name_stream(struct nx_wal_tracker *tracker, uint32_t stream, struct nx_error *err) {
    char name[32];
    NX_TRY(know_stream(tracker, stream, err));
    if (tracker->last[stream] != 0) {
        return NX_OK;
    }
    (void)snprintf(name, sizeof name, "UNNAMED_%u", stream);
    NX_TRY(tracker->visitor.stream(tracker->visitor.data, stream, nx_str_from_c(name), 1, 0, 0, err));
    nx_wal_tracker_report(tracker, "the name of stream %u is destroyed", stream);
    tracker->last[stream] = 1;
    return NX_OK;
}

/* Sequences of the stream up to `last` are used up, and nobody has told what they hold. */
static enum nx_status lose_up_to(struct nx_wal_tracker *tracker, uint32_t stream, uint64_t last,
                                 struct nx_error *err) {
    NX_TRY(name_stream(tracker, stream, err));
    if (last == UINT64_MAX || last < tracker->last[stream]) {
        return NX_OK;
    }
    return tell_gap(tracker, stream, tracker->last[stream], last, true, err);
}

static enum nx_status track_stream(struct nx_wal_tracker *tracker, const struct nx_frame *frame,
                                   struct nx_error *err) {
    const uint32_t stream = frame->header.stream;
    const uint64_t last = frame->header.sequence;
    uint64_t first;
    const struct nx_str name = nx_frame_stream(frame, &first);
    if (last == UINT64_MAX || name.len == 0) {
        return NX_OK;
    }
    NX_TRY(know_stream(tracker, stream, err));
    const bool is_known = tracker->last[stream] != 0;
    NX_TRY(tracker->visitor.stream(tracker->visitor.data, stream, name, first, last, frame->header.time_ns,
                                   err));
    if (is_known) {
        return lose_up_to(tracker, stream, last, err);
    }
    tracker->last[stream] = last + 1;
    return NX_OK;
}

static enum nx_status track_void(struct nx_wal_tracker *tracker, const struct nx_frame *frame,
                                 struct nx_error *err) {
    const uint32_t stream = frame->header.stream;
    uint64_t first = frame->header.sequence;
    const uint64_t last = nx_frame_void_last(frame);
    NX_TRY(name_stream(tracker, stream, err));
    if (last == UINT64_MAX || last < first || last < tracker->last[stream]) {
        return NX_OK;
    }
    if (first > tracker->last[stream]) {
        NX_TRY(lose_up_to(tracker, stream, first - 1, err));
    }
    first = tracker->last[stream]; /* the part before may have been told by an earlier segment */
    return tell_gap(tracker, stream, first, last, false, err);
}

static enum nx_status track_record(struct nx_wal_tracker *tracker, const struct nx_segment *segment,
                                   const struct nx_frame *frame, struct nx_error *err) {
    const uint32_t stream = frame->header.stream;
    const uint64_t sequence = frame->header.sequence;
    NX_TRY(name_stream(tracker, stream, err));
    if (sequence == UINT64_MAX || sequence < tracker->last[stream]) {
        nx_wal_tracker_report(tracker, "byte %" PRIu64 ": record %" PRIu64 " of stream %u is out of order",
                              frame->offset, sequence, stream);
        return NX_OK;
    }
    if (sequence > tracker->last[stream]) {
        NX_TRY(lose_up_to(tracker, stream, sequence - 1, err));
    }
    NX_TRY(tracker->visitor.record(tracker->visitor.data, segment, frame, err));
    tracker->last[stream] = sequence + 1;
    return NX_OK;
}

enum nx_status nx_wal_tracker_frame(struct nx_wal_tracker *tracker, const struct nx_segment *segment,
                                    const struct nx_frame *frame, struct nx_error *err) {
    tracker->segment_number = segment->number;
    if (frame->header.kind == NX_FRAME_BATCH) {
        /* What the batch before held: a stream that this does not fit lost its last records. */
        const size_t count = nx_frame_batch_count(frame, true);
        for (size_t i = 0; i < count; i++) {
            const struct nx_batch_entry entry = nx_frame_batch_entry(frame, true, i);
            if (entry.stream < NX_STREAMS_MAX) {
                NX_TRY(lose_up_to(tracker, entry.stream, entry.last_sequence, err));
            }
        }
        return NX_OK;
    }
    if (frame->header.stream >= NX_STREAMS_MAX) {
        nx_wal_tracker_report(tracker, "byte %" PRIu64 ": stream number %u is out of range", frame->offset,
                              frame->header.stream);
        return NX_OK;
    }
    switch (frame->header.kind) {
    case NX_FRAME_STREAM:
        return track_stream(tracker, frame, err);
    case NX_FRAME_VOID:
        return track_void(tracker, frame, err);
    default:
        return track_record(tracker, segment, frame, err);
    }
}

struct listing_state {
    struct nx_wal_listing listing;
    bool failed;
};

static bool visit_entry(void *data, const struct nx_disk_entry *entry) {
    struct listing_state *state = data;
    struct nx_wal_listing *listing = &state->listing;
    uint64_t number;
    if (entry->is_directory || !nx_segment_name_parse(entry->name, &number)) {
        return true;
    }
    if (listing->count == listing->capacity) {
        const size_t capacity = listing->capacity == 0 ? 16 : listing->capacity * 2;
        uint64_t *numbers = reallocarray(listing->numbers, capacity, sizeof *numbers);
        if (numbers == NULL) {
            state->failed = true;
            return false;
        }
        listing->numbers = numbers;
        listing->capacity = capacity;
    }
    listing->numbers[listing->count++] = number;
    return true;
}

static int compare_numbers(const void *a, const void *b) {
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right ? 1 : 0;
}

enum nx_status nx_wal_list(struct nx_disk *disk, const char *directory, struct nx_wal_listing *listing_out,
                           struct nx_error *err) {
    struct listing_state state = { 0 };
    enum nx_status status = nx_disk_list(disk, directory, visit_entry, &state, err);
    if (status == NX_NOT_FOUND) {
        status = NX_OK;
    }
    if (status == NX_OK && state.failed) {
        status = nx_fail_memory(err);
    }
    if (status != NX_OK) {
        nx_wal_listing_fini(&state.listing);
        return status;
    }
    if (state.listing.count > 1) {
        qsort(state.listing.numbers, state.listing.count, sizeof *state.listing.numbers, compare_numbers);
    }
    *listing_out = state.listing;
    return NX_OK;
}

void nx_wal_listing_fini(struct nx_wal_listing *listing) {
    free(listing->numbers);
    *listing = (struct nx_wal_listing){ 0 };
}

/* What a walk over the newest segment finds out about its last batch. */
struct tail {
    uint64_t batch_number; /* of the last BATCH frame */
    uint64_t batch_start;
    uint64_t batch_end;    /* where it says that it ends */
    uint64_t whole_end;    /* byte behind the last whole append of it before any damage */
    uint64_t first_damage; /* since that batch began; UINT64_MAX: none */
    bool has_batch;
};

static void look_at_frame(struct tail *tail, const struct nx_frame *frame, uint64_t frame_end) {
    if (frame->header.kind == NX_FRAME_BATCH) {
        if (tail->has_batch && frame->header.sequence <= tail->batch_number) {
            return;
        }
        *tail = (struct tail){
            .has_batch = true,
            .batch_number = frame->header.sequence,
            .batch_start = frame->offset == NX_SEGMENT_DATA_OFFSET ? 0 : frame->offset,
            .batch_end = frame_end + frame->header.headers_size,
            .whole_end = frame->header.headers_size == 0 ? frame_end : frame->offset,
            .first_damage = UINT64_MAX,
        };
        return;
    }
    if (tail->first_damage == UINT64_MAX &&
        (frame->header.kind != NX_FRAME_RECORD || (frame->header.flags & NX_FRAME_LAST) != 0)) {
        tail->whole_end = frame_end;
    }
}

/* Batches stand one behind the other, each with its length: all but the last one need not be read to find
 * that. Returns where the last one begins that can be reached so; behind damage there may be more. */
static uint64_t hop_to_last_batch(const struct nx_segment *segment) {
    uint64_t last = NX_SEGMENT_DATA_OFFSET;
    uint64_t number = 0;
    for (uint64_t offset = last;;) {
        struct nx_frame frame;
        if (nx_frame_read(segment->bytes, segment->size, offset, segment->header.salt, &frame) !=
                NX_FRAME_FOUND ||
            frame.header.kind != NX_FRAME_BATCH || frame.header.sequence <= number) {
            return last;
        }
        last = offset;
        number = frame.header.sequence;
        offset += nx_frame_size(frame.header.body_size) + frame.header.headers_size;
    }
}

/* Find the byte behind the last whole append of the newest segment. */
static uint64_t find_end(const struct nx_segment *segment, uint64_t *batch_out, bool *torn_out) {
    struct nx_segment_cursor cursor = nx_segment_cursor_of(segment, segment->size);
    cursor.offset = hop_to_last_batch(segment);
    struct tail tail = { .whole_end = NX_SEGMENT_DATA_OFFSET, .first_damage = UINT64_MAX };
    uint64_t last_frame_end = NX_SEGMENT_DATA_OFFSET;
    for (;;) {
        struct nx_frame frame;
        struct nx_damage damage;
        const enum nx_segment_step step = nx_segment_next(&cursor, &frame, &damage);
        if (step == NX_SEGMENT_END) {
            break;
        }
        if (step == NX_SEGMENT_DAMAGE) {
            tail.first_damage = tail.first_damage < damage.from ? tail.first_damage : damage.from;
            continue;
        }
        /* A hole of zeros that the cursor has not called damage cannot be: it ends only at the limit. */
        last_frame_end = cursor.offset;
        look_at_frame(&tail, &frame, cursor.offset);
    }
    *torn_out = tail.first_damage != UINT64_MAX || (tail.has_batch && last_frame_end < tail.batch_end);
    *batch_out = tail.batch_start;
    return tail.whole_end;
}

/* The records of a batch that was cut: their sequences were given out, so they are never used again. */
static enum nx_status burn(struct nx_wal_tracker *tracker, uint32_t stream, uint64_t last,
                           struct nx_error *err) {
    if (stream >= NX_STREAMS_MAX || last == UINT64_MAX) {
        return NX_OK;
    }
    NX_TRY(know_stream(tracker, stream, err));
    if (tracker->last[stream] == 0 || last < tracker->last[stream]) {
        return NX_OK;
    }
    const uint64_t first = tracker->last[stream];
    nx_wal_tracker_report(tracker, "cut off: stream %u, records %" PRIu64 " to %" PRIu64, stream, first,
                          last);
    return tell_gap(tracker, stream, first, last, false, err);
}

static enum nx_status burn_frame(struct nx_wal_tracker *tracker, const struct nx_frame_header *header,
                                 struct nx_error *err) {
    return header->kind == NX_FRAME_RECORD ? burn(tracker, header->stream, header->sequence, err) : NX_OK;
}

/* Behind the end of the newest segment: nothing of it is taken, but what it would have been is remembered. */
static enum nx_status walk_torn(const struct nx_segment *segment, uint64_t end,
                                struct nx_wal_tracker *tracker, struct nx_error *err) {
    struct nx_segment_cursor cursor = nx_segment_cursor_of(segment, segment->size);
    for (;;) {
        struct nx_frame frame;
        struct nx_damage damage;
        const enum nx_segment_step step = nx_segment_next(&cursor, &frame, &damage);
        if (step == NX_SEGMENT_END) {
            return NX_OK;
        }
        if (step == NX_SEGMENT_DAMAGE) {
            if (damage.named && damage.from >= end) {
                NX_TRY(burn_frame(tracker, &damage.header, err));
            }
            continue;
        }
        if (frame.header.kind == NX_FRAME_BATCH && cursor.offset + frame.header.headers_size > end) {
            for (size_t i = 0; i < nx_frame_batch_count(&frame, false); i++) {
                const struct nx_batch_entry entry = nx_frame_batch_entry(&frame, false, i);
                NX_TRY(burn(tracker, entry.stream, entry.last_sequence, err));
            }
        } else if (frame.offset >= end) {
            NX_TRY(burn_frame(tracker, &frame.header, err));
        }
    }
}

/* Every frame below `end`, and what is destroyed between them. */
static enum nx_status walk(const struct nx_segment *segment, uint64_t end, bool skips_bodies,
                           struct nx_wal_tracker *tracker, struct nx_error *err) {
    struct nx_segment_cursor cursor = nx_segment_cursor_of(segment, end);
    cursor.skips_bodies = skips_bodies;
    for (;;) {
        struct nx_frame frame;
        struct nx_damage damage;
        switch (nx_segment_next(&cursor, &frame, &damage)) {
        case NX_SEGMENT_END:
            return NX_OK;
        case NX_SEGMENT_DAMAGE:
            tracker->segment_number = segment->number;
            nx_wal_tracker_report(tracker, "damaged: bytes %" PRIu64 " to %" PRIu64, damage.from, damage.to);
            break;
        case NX_SEGMENT_FRAME:
            NX_TRY(nx_wal_tracker_frame(tracker, segment, &frame, err));
            break;
        }
    }
}

static enum nx_status recover_newest(const struct nx_segment *segment, bool live,
                                     struct nx_wal_tracker *tracker, struct nx_wal_recovered *recovered,
                                     struct nx_error *err) {
    bool torn;
    const uint64_t end = find_end(segment, &recovered->last_batch, &torn);
    NX_TRY(walk(segment, end, live, tracker, err));
    recovered->last_number = segment->number;
    recovered->last_end = end;
    if (torn && !live) {
        recovered->torn = true;
        tracker->segment_number = segment->number;
        nx_wal_tracker_report(tracker, "an unfinished write was cut off at byte %" PRIu64, end);
        NX_TRY(walk_torn(segment, end, tracker, err));
    }
    return NX_OK;
}

/* As recover_newest() while a process may be writing. It cuts the unused end off the file when it goes on to
 * the next one, and what is mapped behind a file's end must not be touched: so this looks at a copy. */
static enum nx_status recover_newest_live(const struct nx_segment *segment, struct nx_wal_tracker *tracker,
                                          struct nx_wal_recovered *recovered, struct nx_error *err) {
    struct nx_segment copy = *segment;
    NX_AUTO_FREE uint8_t *bytes = calloc(1, segment->size);
    size_t len;
    if (bytes == NULL) {
        return nx_fail_memory(err);
    }
    NX_TRY(nx_file_read_at(segment->file, 0, bytes, segment->size, &len, err));
    copy.bytes = bytes;
    return recover_newest(&copy, true, tracker, recovered, err);
}

/* Walks over the segments that can be read. */
struct walk_state {
    struct nx_disk *disk;
    const char *directory;
    struct nx_wal_listing listing;
    size_t index;
    uint64_t unreadable; /* number of a file that was passed over; 0: none */
    struct nx_error why;
    uint64_t newest_unreadable; /* that nothing goes on from */
};

static enum nx_status open_next(struct walk_state *walker, struct nx_segment **segment_out,
                                struct nx_error *err) {
    *segment_out = NULL;
    while (walker->index < walker->listing.count) {
        const uint64_t number = walker->listing.numbers[walker->index++];
        struct nx_error cause = { 0 };
        const enum nx_status status =
            nx_segment_open(walker->disk, walker->directory, number, segment_out, &cause);
        if (status == NX_OK) {
            return NX_OK;
        }
        if (status == NX_DATA_LOSS) {
            walker->unreadable = number;
            walker->why = cause;
        } else if (status != NX_NOT_FOUND) {
            if (err != NULL) {
                *err = cause;
            }
            return status;
        }
    }
    return NX_OK;
}

/* A file without a header is what the end of a process in its first write leaves, if nothing behind it goes
 * on from it; otherwise it held records. */
static void judge_unreadable(struct walk_state *walker, const struct nx_segment *next, bool live,
                             struct nx_wal_tracker *tracker, struct nx_wal_recovered *recovered) {
    if (walker->unreadable == 0) {
        return;
    }
    tracker->segment_number = walker->unreadable;
    if (next == NULL) {
        walker->newest_unreadable = walker->unreadable;
        recovered->torn = recovered->torn || !live;
        if (!live) {
            nx_wal_tracker_report(tracker, "an unfinished segment is left out: %s", walker->why.message);
        }
    } else if (next->header.previous_number >= walker->unreadable) {
        nx_wal_tracker_report(tracker, "cannot be read: %s", walker->why.message);
    }
    walker->unreadable = 0;
}

static void report_guessed(const struct nx_segment *segment, struct nx_wal_tracker *tracker) {
    if (segment->is_guessed) {
        tracker->segment_number = segment->number;
        nx_wal_tracker_report(tracker, "both headers are destroyed: read by what its first frame says");
    }
}

static enum nx_status walk_all(struct walk_state *walker, const struct nx_wal_look *look,
                               struct nx_wal_tracker *tracker, struct nx_wal_recovered *recovered,
                               struct nx_error *err) {
    const bool live = look->live;
    const uint64_t resting_until = look->resting_until;
    NX_AUTO(nx_segment) *segment = NULL;
    NX_TRY(open_next(walker, &segment, err));
    judge_unreadable(walker, segment, live, tracker, recovered);
    while (segment != NULL) {
        NX_AUTO(nx_segment) *next = NULL;
        report_guessed(segment, tracker);
        NX_TRY(open_next(walker, &next, err));
        if (next == NULL) {
            NX_TRY(live && segment->number > resting_until
                       ? recover_newest_live(segment, tracker, recovered, err)
                       : recover_newest(segment, live, tracker, recovered, err));
        } else if (next->is_guessed) {
            /* Its end is destroyed with the next one's header: it is found as at the start that made that. */
            NX_TRY(recover_newest(segment, live, tracker, recovered, err));
        } else {
            /* Its end stands in the next one's header, unless that one goes on from another. */
            const bool adjacent = next->header.previous_number == segment->number;
            NX_TRY(walk(segment, adjacent ? next->header.previous_end : segment->size, live, tracker, err));
        }
        judge_unreadable(walker, next, live, tracker, recovered);
        nx_segment_close(segment);
        segment = NX_TAKE(next);
    }
    return NX_OK;
}

enum nx_status nx_wal_recover(struct nx_disk *disk, const char *directory, const struct nx_wal_look *look,
                              struct nx_wal_tracker *tracker, struct nx_wal_recovered *recovered_out,
                              struct nx_error *err) {
    const uint64_t from_number = look->from_number;
    struct walk_state walker = { .disk = disk, .directory = directory };
    struct nx_wal_recovered recovered = { .next_number = from_number > 0 ? from_number : 1 };
    NX_TRY(nx_wal_list(disk, directory, &walker.listing, err));
    const struct nx_wal_listing *listing = &walker.listing;
    while (walker.index < listing->count && listing->numbers[walker.index] < from_number) {
        walker.index++;
    }
    const enum nx_status status = walk_all(&walker, look, tracker, &recovered, err);
    /* A file that cannot be read is left as it is, for whoever wants to look at it. */
    const uint64_t newest =
        walker.newest_unreadable > recovered.last_number ? walker.newest_unreadable : recovered.last_number;
    if (newest >= recovered.next_number) {
        recovered.next_number = newest + 1;
    }
    nx_wal_listing_fini(&walker.listing);
    if (status == NX_OK) {
        *recovered_out = recovered;
    }
    return status;
}

enum nx_status nx_wal_secure(struct nx_disk *disk, const char *directory,
                             const struct nx_wal_recovered *recovered, struct nx_error *err) {
    enum { PIECE_SIZE = 256 * 1024 };
    char path[NX_PATH_SIZE_MAX];
    NX_AUTO(nx_file) *file = NULL;
    if (recovered->last_number == 0 || recovered->last_end == 0) {
        return NX_OK;
    }
    NX_TRY(nx_segment_path(directory, recovered->last_number, path, err));
    const enum nx_status status = nx_file_open(disk, path, NX_FILE_WRITE, &file, err);
    if (status == NX_PERMISSION_DENIED) {
        return NX_OK; /* a read-only disk: it cannot hold anything unwritten, and it can still be read */
    }
    if (status != NX_OK) {
        return status;
    }
    NX_AUTO_FREE char *piece = malloc(PIECE_SIZE);
    if (piece == NULL) {
        return nx_fail_memory(err);
    }
    uint64_t offset = recovered->last_batch;
    while (offset < recovered->last_end) {
        const uint64_t left = recovered->last_end - offset;
        size_t len = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
        NX_TRY(nx_file_read_at(file, offset, piece, len, &len, err));
        if (len == 0) {
            break;
        }
        const struct nx_str part = nx_str_of(piece, len);
        NX_TRY(nx_file_write_at(file, offset, &part, 1, err));
        offset += len;
    }
    return nx_file_sync(file, err);
}
