/* Merging: adjacent runs become one, without the records that newer ones of their subject, retention or a
 * key's deletion have made useless. A piece at a time, and as long a pause behind each as it took, so that
 * reads are answered in between; the journal is never waited for.
 *
 * The new run is whole and on disk before it gets its name, which says that it holds the segments of all the
 * old ones; only then are these deleted. A start that finds both, at whatever instant a crash came, drops the
 * old. A run that is merged by itself takes its own place. Nobody else holds a run between two steps of the
 * library; processes that only read look for the files again when they vanish. */
#include <inttypes.h>

#include "base/assert.h"
#include "codec/headers.h"
#include "fabric/backend_journal/journal_internal.h"
#include "fabric/backend_journal/library_internal.h"

enum {
    PIECE_SIZE = 256 * 1024,     /* bytes of records in one step */
    PIECE_SUBJECTS = 4096,       /* said in one step */
    SYNC_SIZE = 4 * 1024 * 1024, /* bytes between two syncs: none of them takes long */
    SEGMENTS_MAX = 8,            /* a merged run is no larger than so many segments */
    BUDGET_PART = 16, /* nor than this part of the disk budget, which it takes while it is written */
    RECORDS_MAX =
        2 * 1024 * 1024, /* nor has it more records: about 20 bytes of memory each while it is written */
    RUNS_MAX = 64,       /* beyond it adjacent runs are merged however unequal */
    LOOKS = 4,           /* runs in which waste is looked for at a time */
    PERIOD_S = 10,
    REWRITE_PAUSE_S = 600, /* after a run that was written again and hardly became smaller */
};

/* How long the mark of a deleted key is kept, for those who watch the bucket or are about to write the key.
 */
#define MARKER_KEPT_NS (24 * 3600 * (int64_t)NX_NS_PER_S)

void nx_library_merge_stop(struct nx_library *library) {
    struct nx_merging *merging = &library->merging;
    nx_run_writer_close(merging->writer);
    nx_run_cache_fini(&merging->cache);
    *merging = (struct nx_merging){ .resume_ns = merging->resume_ns,
                                    .rewrite_ns = merging->rewrite_ns,
                                    .looked = merging->looked,
                                    .is_off = merging->is_off };
}

/* ---- choosing ---- */

uint64_t nx_library_merge_size_max(const struct nx_library *library) {
    const uint64_t size = SEGMENTS_MAX * library->options->segment_size;
    const uint64_t part = library->options->disk_budget / BUDGET_PART;
    return part > 0 && part < size ? part : size;
}

static bool choose(struct nx_library *library, int64_t now_ns, size_t *first_out, size_t *count_out) {
    struct nx_merging *merging = &library->merging;
    const struct nx_merge_limits limits = { .size_max = nx_library_merge_size_max(library),
                                            .records_max = RECORDS_MAX,
                                            .count_max = RUNS_MAX };
    struct nx_merge_part *parts = calloc(library->run_count, sizeof *parts);
    if (parts == NULL) {
        return false;
    }
    for (size_t i = 0; i < library->run_count; i++) {
        const struct nx_run *run = library->runs[i];
        parts[i] = (struct nx_merge_part){ .size = nx_run_live_size(run),
                                           .records = nx_run_record_count(run),
                                           .is_fixed = nx_run_is_damaged(run) };
    }
    for (size_t i = 0; i < LOOKS && i < library->run_count && merging->rewrite_ns <= now_ns; i++) {
        merging->looked = (merging->looked + 1) % library->run_count;
        parts[merging->looked].waste = nx_library_waste(library, library->runs[merging->looked]);
    }
    const bool found = nx_merge_plan(parts, library->run_count, &limits, first_out, count_out);
    free(parts);
    return found;
}

static uint64_t size_of(const struct nx_library *library, size_t first, size_t count) {
    uint64_t size = 0;
    for (size_t i = first; i < first + count; i++) {
        size += nx_run_live_size(library->runs[i]);
    }
    return size;
}

/* Whether the new run has its place in the disk budget beside the old ones. One that is written again by
 * itself becomes half as large at most: that is how the budget gets room, so it may use the allowance. */
static bool has_room(const struct nx_library *library, size_t first, size_t count) {
    const uint64_t size = size_of(library, first, count);
    return count > 1 ? nx_library_budget_has_room(library, size, 0)
                     : nx_library_budget_has_room(library, size / 2, NX_ALLOWANCE_SEGMENTS);
}

static enum nx_status start(struct nx_library *library, size_t first, size_t count, struct nx_error *err) {
    struct nx_merging *merging = &library->merging;
    merging->first = first;
    merging->count = count;
    merging->size = size_of(library, first, count);
    return nx_run_writer_open(library->options->disk, library->directory,
                              nx_run_first_segment(library->runs[first]),
                              nx_run_last_segment(library->runs[first + count - 1]),
                              nx_random_u64(&library->options->random), &merging->writer, err);
}

/* ---- one stream after the other ---- */

static struct nx_run *source_at(const struct nx_library *library, size_t index) {
    return library->runs[library->merging.first + index];
}

/* How far the stream has come in the runs that are merged; false when none of them knows it. */
static bool find_reach(const struct nx_library *library, uint32_t stream, uint64_t *sequence_out,
                       int64_t *time_ns_out) {
    bool found = false;
    for (size_t i = 0; i < library->merging.count; i++) {
        found = nx_run_reach(source_at(library, i), stream, sequence_out, time_ns_out) || found;
    }
    return found;
}

/* Say the subjects that the runs list, in order, until a piece is done. */
static enum nx_status say_subjects(struct nx_library *library, uint32_t stream, size_t *work,
                                   struct nx_error *err) {
    struct nx_merging *merging = &library->merging;
    for (size_t said = 0; said < PIECE_SUBJECTS; said++) {
        struct nx_str least = { 0 };
        for (size_t i = 0; i < merging->count; i++) {
            struct nx_str subject;
            if (nx_run_subject_at(source_at(library, i), stream, merging->subjects[i], &subject) &&
                (least.ptr == NULL || nx_str_compare(subject, least) < 0)) {
                least = subject;
            }
        }
        if (least.ptr == NULL) {
            merging->has_subjects = true;
            return NX_OK;
        }
        NX_TRY(nx_run_writer_subject(merging->writer, least, err));
        for (size_t i = 0; i < merging->count; i++) {
            struct nx_str subject;
            if (nx_run_subject_at(source_at(library, i), stream, merging->subjects[i], &subject) &&
                nx_str_equal(subject, least)) {
                merging->subjects[i]++;
            }
        }
        *work += PIECE_SIZE / PIECE_SUBJECTS;
    }
    return NX_OK;
}

static enum nx_stored_found next_record(struct nx_library *library, uint32_t stream,
                                        struct nx_stored *stored_out) {
    struct nx_merging *merging = &library->merging;
    for (; merging->source < merging->count; merging->source++) {
        const enum nx_stored_found found = nx_run_at_or_after(
            source_at(library, merging->source), &merging->cache, stream, merging->sequence, stored_out);
        if (found != NX_STORED_NONE) {
            return found;
        }
    }
    return NX_STORED_NONE;
}

/* The mark of a key that was deleted long ago, with nothing of the key left in the runs before: who looks
 * finds nothing with it or without it. */
static bool is_old_marker(const struct nx_library *library, const struct nx_library_stream *stream,
                          const struct nx_stored *stored, int64_t now_ns) {
    if (stream->config.per_subject_max != 1 || stored->headers.len == 0 || stored->payload.len > 0 ||
        stored->time_ns >= now_ns - MARKER_KEPT_NS || !nx_str_starts_with(stream->name, NX_STR("KV_")) ||
        nx_headers_value(stored->headers, "KV-Operation").len == 0) {
        return false;
    }
    for (size_t i = 0; i < library->merging.first; i++) {
        if (nx_run_last_of_subject(library->runs[i], stream->number, stored->subject) != 0) {
            return false;
        }
    }
    return true;
}

/* What was destroyed stays known, and how far the stream had come. */
static enum nx_status end_stream(struct nx_library *library, uint32_t stream, struct nx_error *err) {
    struct nx_run_writer *writer = library->merging.writer;
    uint64_t sequence = 0;
    int64_t time_ns = 0;
    for (size_t i = 0; i < library->merging.count; i++) {
        uint64_t first;
        uint64_t last;
        for (size_t k = 0; nx_run_lost(source_at(library, i), stream, k, &first, &last); k++) {
            NX_TRY(nx_run_writer_lose(writer, first, last, err));
        }
    }
    if (find_reach(library, stream, &sequence, &time_ns)) {
        nx_run_writer_reach(writer, sequence, time_ns);
    }
    return NX_OK;
}

/* Records of one stream, until a piece is done. `*done_out`: there are no more. */
static enum nx_status merge_records(struct nx_library *library, struct nx_library_stream *stream,
                                    int64_t now_ns, size_t *work, bool *done_out, struct nx_error *err) {
    struct nx_merging *merging = &library->merging;
    while (*work < PIECE_SIZE) {
        struct nx_stored stored;
        const enum nx_stored_found found = next_record(library, stream->number, &stored);
        if (found == NX_STORED_NONE) {
            *done_out = true;
            return end_stream(library, stream->number, err);
        }
        if (found == NX_STORED_DAMAGED) { /* the file is kept as it is, for whoever wants to repair it */
            nx_run_mark_damaged(source_at(library, merging->source));
            return nx_fail(err, NX_DATA_LOSS, "record %.*s:%" PRIu64 " is damaged", NX_STR_ARG(stream->name),
                           stored.sequence);
        }
        merging->sequence = stored.sequence + 1;
        *work += stored.headers.len + stored.payload.len + NX_FRAME_SIZE;
        if (nx_library_is_dropped(library, stream, &stored, now_ns)) {
            continue;
        }
        if (is_old_marker(library, stream, &stored, now_ns)) {
            stream->is_counted = false;
            continue;
        }
        const bool keep_dedup = stored.time_ns > now_ns - nx_library_dedup_kept_ns(stream);
        NX_TRY(nx_run_writer_add(merging->writer, &stored, keep_dedup, err));
    }
    return NX_OK;
}

static enum nx_status merge_stream(struct nx_library *library, struct nx_library_stream *stream,
                                   int64_t now_ns, size_t *work, bool *done_out, struct nx_error *err) {
    struct nx_merging *merging = &library->merging;
    uint64_t sequence;
    int64_t time_ns;
    if (!merging->has_begun) {
        if (!find_reach(library, stream->number, &sequence, &time_ns)) {
            *done_out = true;
            return NX_OK;
        }
        NX_TRY(nx_run_writer_stream(merging->writer, stream->number, stream->name, err));
        merging->has_begun = true;
    }
    if (!merging->has_subjects) {
        return say_subjects(library, stream->number, work, err);
    }
    return merge_records(library, stream, now_ns, work, done_out, err);
}

static enum nx_status merge_piece(struct nx_library *library, int64_t now_ns, struct nx_error *err) {
    struct nx_merging *merging = &library->merging;
    size_t work = 0;
    while (merging->stream < library->by_number_count && work < PIECE_SIZE) {
        struct nx_library_stream *stream = library->by_number[merging->stream];
        bool done = stream == NULL;
        if (stream != NULL) {
            NX_TRY(merge_stream(library, stream, now_ns, &work, &done, err));
        }
        if (done) {
            merging->stream++;
            merging->has_begun = false;
            merging->has_subjects = false;
            memset(merging->subjects, 0, sizeof merging->subjects);
            merging->source = 0;
            merging->sequence = 0;
        }
        work += NX_FRAME_SIZE;
    }
    merging->has_records = merging->stream >= library->by_number_count;
    return nx_run_writer_unsynced(merging->writer) >= SYNC_SIZE ? nx_run_writer_sync(merging->writer, err)
                                                                : NX_OK;
}

/* ---- the new run takes its place ---- */

static void remove_old(struct nx_library *library, uint64_t first, uint64_t last) {
    char path[NX_PATH_SIZE_MAX];
    if (nx_run_path(library->directory, first, last, path, NULL) == NX_OK &&
        nx_disk_unlink(library->options->disk, path, NULL) != NX_OK) {
        /* The next start finds that another run holds it, and tries again. */
    }
}

static enum nx_status take_place(struct nx_library *library, int64_t now_ns, struct nx_error *err) {
    struct nx_merging *merging = &library->merging;
    struct nx_run *merged = NULL;
    const uint64_t size = nx_run_live_size(source_at(library, 0));
    NX_TRY(nx_run_open(library->options->disk, library->directory,
                       nx_run_first_segment(source_at(library, 0)),
                       nx_run_last_segment(source_at(library, merging->count - 1)), &merged, err));
    if (merging->count == 1 && nx_run_live_size(merged) > size / 4 * 3) {
        /* What could not be left out yet would be found again at once. */
        merging->rewrite_ns = now_ns + REWRITE_PAUSE_S * (int64_t)NX_NS_PER_S;
    }
    for (size_t i = 0; i < merging->count; i++) {
        struct nx_run *old = source_at(library, i);
        const uint64_t first = nx_run_first_segment(old);
        const uint64_t last = nx_run_last_segment(old);
        nx_run_close(old, library->cache);
        if (merging->count > 1) {
            remove_old(library, first, last);
        }
    }
    library->runs[merging->first] = merged;
    library->run_count -= merging->count - 1;
    memmove(&library->runs[merging->first + 1], &library->runs[merging->first + merging->count],
            (library->run_count - merging->first - 1) * sizeof *library->runs);
    nx_library_runs_changed(library);
    library->retention_at_ns = 0; /* it had to leave the files where they were */
    return NX_OK;
}

/* Do something, if there is something to do. */
static enum nx_status step(struct nx_library *library, struct nx_now now, struct nx_error *err) {
    struct nx_merging *merging = &library->merging;
    bool done = false;
    if (!merging->has_records) {
        return merge_piece(library, now.wall_ns, err);
    }
    NX_TRY(nx_run_writer_finish_piece(merging->writer, &done, err));
    if (!done) {
        return NX_OK;
    }
    NX_TRY(take_place(library, now.monotonic_ns, err));
    nx_library_merge_stop(library);
    return NX_OK;
}

static int64_t give_up(struct nx_library *library, struct nx_now now, const struct nx_error *err) {
    struct nx_merging *merging = &library->merging;
    /* The old runs are still in use, and the new one may be there too: nothing may be built on either. */
    merging->is_off = merging->writer != NULL && nx_run_writer_is_named(merging->writer);
    nx_log_warn(library->options->log, "cannot merge runs; tried again later", NX_F_C("error", err->message));
    nx_library_merge_stop(library);
    library->retention_at_ns = 0;
    merging->look_ns = now.monotonic_ns + PERIOD_S * (int64_t)NX_NS_PER_S;
    return merging->is_off ? NX_STEP_IDLE : merging->look_ns;
}

int64_t nx_library_merge(struct nx_library *library, struct nx_now now) {
    struct nx_merging *merging = &library->merging;
    struct nx_error err = { 0 };
    size_t first = 0;
    size_t count = 0;
    enum nx_status status = NX_OK;
    if (library->options->read_only || merging->is_off || library->run_count == 0) {
        return NX_STEP_IDLE;
    }
    if (library->sealing.writer != NULL) {
        return NX_STEP_AGAIN; /* what comes in is more urgent */
    }
    if (merging->resume_ns > now.monotonic_ns) {
        return merging->resume_ns;
    }
    if (merging->writer == NULL) {
        if (merging->look_ns > now.monotonic_ns) {
            return merging->look_ns;
        }
        if (!choose(library, now.monotonic_ns, &first, &count) || !has_room(library, first, count)) {
            merging->look_ns = now.monotonic_ns + PERIOD_S * (int64_t)NX_NS_PER_S;
            return merging->look_ns;
        }
        status = start(library, first, count, &err);
    } else {
        status = step(library, now, &err);
    }
    if (status != NX_OK) {
        return give_up(library, now, &err);
    }
    const int64_t end_ns = nx_clock_read(&library->options->clock).monotonic_ns;
    merging->resume_ns = end_ns + (end_ns - now.monotonic_ns);
    return merging->resume_ns;
}
