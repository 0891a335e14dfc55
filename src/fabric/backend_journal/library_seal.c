/* Sealing: segments that are full become one run, sorted, and are then deleted. A piece at a time, so that
 * reads are answered in between; the journal is never waited for. */
#include <inttypes.h>
#include <stdio.h>

#include "fabric/backend_journal/journal_internal.h"
#include "fabric/backend_journal/library_internal.h"

enum {
    PIECE_SIZE = 1024 * 1024,    /* bytes of records in one step */
    SYNC_SIZE = 4 * 1024 * 1024, /* bytes between two syncs: none of them takes long */
    TAILS_MAX = 16,              /* segments waiting; sealed then, however small */
    FULL_SIZED_MAX = 2, /* of those that take all their space, with little in it: a kill leaves them */
    RETRY_S = 10,
};

static uint64_t size_of(const struct nx_tail *tail) {
    uint64_t size = 0;
    for (size_t i = 0; i < nx_tail_extent_count(tail); i++) {
        size += nx_tail_extent_at(tail, i)->size;
    }
    return size;
}

/* Whether something in the segment is older than its stream keeps. */
static bool holds_expired(const struct nx_library *library, const struct nx_tail *tail, int64_t now_ns) {
    for (size_t i = 0; i < nx_tail_extent_count(tail); i++) {
        const struct nx_extent *extent = nx_tail_extent_at(tail, i);
        const struct nx_library_stream *stream = nx_library_numbered(library, extent->stream);
        const int64_t age_max_ns = stream == NULL ? 0 : stream->config.age_max_ns;
        if (age_max_ns > 0 && extent->first_time_ns < now_ns - age_max_ns) {
            return true;
        }
    }
    return false;
}

/* How many of the oldest segments are worth sealing now; never the one that is written to. */
static size_t count_ripe(const struct nx_library *library, int64_t now_ns) {
    bool is_old = false;
    uint64_t size = 0;
    uint64_t taken = 0; /* on the disk */
    size_t count = 0;
    const uint64_t wanted = library->options->segment_size;
    while (count < library->tail_count && count < TAILS_MAX && size < wanted / 4 * 3) {
        const struct nx_segment *segment = nx_tail_segment(library->tails[count]);
        /* It was read to its end, not just written: the journal goes on meanwhile. And its successor is on
         * disk: that one says which streams there are. */
        if (segment->number >= library->segment || library->offset <= NX_SEGMENT_DATA_OFFSET) {
            break;
        }
        size += size_of(library->tails[count]);
        taken += segment->size;
        is_old = is_old || holds_expired(library, library->tails[count], now_ns);
        count++;
    }
    const bool is_much = size >= wanted / 4 * 3 || taken >= FULL_SIZED_MAX * wanted;
    return is_much || is_old || count >= TAILS_MAX || library->is_ending ? count : 0;
}

static enum nx_stored_found next_record(const struct nx_library *library, uint32_t stream, uint64_t sequence,
                                        struct nx_stored *stored_out) {
    for (size_t i = 0; i < library->sealing.tail_count; i++) {
        const enum nx_stored_found found =
            nx_tail_at_or_after(library->tails[i], stream, sequence, stored_out);
        if (found != NX_STORED_NONE) {
            return found;
        }
    }
    return NX_STORED_NONE;
}

static enum nx_status begin_stream(struct nx_library *library, const struct nx_library_stream *stream,
                                   struct nx_error *err) {
    if (library->sealing.has_begun) {
        return NX_OK;
    }
    library->sealing.has_begun = true;
    return nx_run_writer_stream(library->sealing.writer, stream->number, stream->name, err);
}

/* The destroyed records that lie before what the segments behind the sealed ones hold. */
static enum nx_status write_lost(struct nx_library *library, struct nx_library_stream *stream,
                                 struct nx_error *err) {
    uint64_t end = stream->last_sequence + 1;
    for (size_t i = library->tail_count; i-- > library->sealing.tail_count;) {
        const struct nx_extent *extent = nx_tail_extent(library->tails[i], stream->number);
        end = extent == NULL ? end : extent->first_sequence;
    }
    while (stream->lost_sealed < stream->lost_count && stream->lost[stream->lost_sealed].first < end) {
        const struct nx_library_gap *gap = &stream->lost[stream->lost_sealed++];
        NX_TRY(begin_stream(library, stream, err));
        NX_TRY(nx_run_writer_lose(library->sealing.writer, gap->first, gap->last, err));
        library->sealing.lost_count++;
    }
    return NX_OK;
}

/* How far the stream has come in what is sealed: what was dropped at its end is gone, not destroyed. */
static enum nx_status write_reached(struct nx_library *library, const struct nx_library_stream *stream,
                                    struct nx_error *err) {
    for (size_t i = library->sealing.tail_count; i-- > 0;) {
        const struct nx_extent *extent = nx_tail_extent(library->tails[i], stream->number);
        if (extent != NULL) {
            NX_TRY(begin_stream(library, stream, err));
            nx_run_writer_reach(library->sealing.writer, extent->last_sequence, extent->last_time_ns);
            return NX_OK;
        }
    }
    return NX_OK;
}

/* Records of one stream, until a piece is done. `*done_out`: there are no more. */
static enum nx_status write_records(struct nx_library *library, struct nx_library_stream *stream,
                                    int64_t now_ns, size_t *size, bool *done_out, struct nx_error *err) {
    struct nx_sealing *sealing = &library->sealing;
    while (*size < PIECE_SIZE) {
        struct nx_stored stored;
        const enum nx_stored_found found = next_record(library, stream->number, sealing->sequence, &stored);
        if (found == NX_STORED_NONE) {
            *done_out = true;
            NX_TRY(write_reached(library, stream, err));
            return write_lost(library, stream, err);
        }
        sealing->sequence = stored.sequence + 1;
        if (found == NX_STORED_DAMAGED) {
            NX_TRY(begin_stream(library, stream, err));
            NX_TRY(nx_run_writer_lose(sealing->writer, stored.sequence, stored.sequence, err));
            sealing->lost_count++;
            continue;
        }
        if (nx_library_is_dropped(library, stream, &stored, now_ns)) {
            *size += NX_FRAME_SIZE;
            continue;
        }
        NX_TRY(begin_stream(library, stream, err));
        const bool keep_dedup = stored.time_ns > now_ns - nx_library_dedup_kept_ns(stream);
        NX_TRY(nx_run_writer_add(sealing->writer, &stored, keep_dedup, err));
        *size += stored.headers.len + stored.payload.len + NX_FRAME_SIZE;
    }
    return NX_OK;
}

/* True in `*done_out` when every record is in the run. */
static enum nx_status write_piece(struct nx_library *library, int64_t now_ns, bool *done_out,
                                  struct nx_error *err) {
    struct nx_sealing *sealing = &library->sealing;
    size_t size = 0;
    while (sealing->stream < library->by_number_count && size < PIECE_SIZE) {
        struct nx_library_stream *stream = library->by_number[sealing->stream];
        bool done = stream == NULL;
        if (stream != NULL) {
            NX_TRY(write_records(library, stream, now_ns, &size, &done, err));
        }
        if (done) {
            sealing->stream++;
            sealing->sequence = 0;
            sealing->has_begun = false;
        }
        size += NX_FRAME_SIZE;
    }
    *done_out = sealing->stream >= library->by_number_count;
    return NX_OK;
}

void nx_library_drop_segment(struct nx_library *library, uint64_t number, bool is_damaged) {
    char path[NX_PATH_SIZE_MAX];
    char aside[NX_PATH_SIZE_MAX];
    if (nx_segment_path(library->directory, number, path, NULL) != NX_OK) {
        return;
    }
    (void)snprintf(aside, sizeof aside, "%.*s/damaged-%016" PRIx64, NX_PATH_SIZE_MAX - 64, library->directory,
                   number);
    const enum nx_status status = is_damaged ? nx_disk_rename(library->options->disk, path, aside, NULL)
                                             : nx_disk_unlink(library->options->disk, path, NULL);
    if (status != NX_OK) {
        /* The next start finds that a run holds it, and tries again. */
    }
}

/* The run takes the place of the segments. */
static enum nx_status finish(struct nx_library *library, struct nx_error *err) {
    struct nx_sealing *sealing = &library->sealing;
    const uint64_t first = nx_tail_segment(library->tails[0])->number;
    const uint64_t last = nx_tail_segment(library->tails[sealing->tail_count - 1])->number;
    const uint64_t covered =
        library->run_count == 0 ? 1 : nx_run_last_segment(library->runs[library->run_count - 1]) + 1;
    struct nx_run *run = NULL;
    if (library->run_count == library->run_capacity) {
        const size_t capacity = library->run_capacity == 0 ? 8 : library->run_capacity * 2;
        struct nx_run **runs = reallocarray(library->runs, capacity, sizeof *runs);
        if (runs == NULL) {
            return nx_fail_memory(err);
        }
        library->runs = runs;
        library->run_capacity = capacity;
    }
    NX_TRY(nx_run_open(library->options->disk, library->directory, first, last, &run, err));
    library->runs[library->run_count++] = run;
    nx_library_runs_changed(library);
    for (size_t i = 0; i < sealing->tail_count; i++) {
        nx_tail_free(library->tails[i]);
    }
    library->tail_count -= sealing->tail_count;
    memmove(library->tails, library->tails + sealing->tail_count,
            library->tail_count * sizeof *library->tails);
    for (uint64_t number = covered; number <= last; number++) { /* those without records too */
        nx_library_drop_segment(library, number, sealing->lost_count > 0);
    }
    library->retention_at_ns = 0;
    library->merging.look_ns = 0;
    return NX_OK;
}

static void stop(struct nx_library *library) {
    nx_run_writer_close(library->sealing.writer);
    library->sealing = (struct nx_sealing){ 0 };
}

static enum nx_status start(struct nx_library *library, size_t count, struct nx_error *err) {
    library->sealing = (struct nx_sealing){ .tail_count = count };
    for (size_t i = 0; i < count; i++) {
        library->sealing.size += size_of(library->tails[i]);
    }
    return nx_run_writer_open(library->options->disk, library->directory,
                              nx_tail_segment(library->tails[0])->number,
                              nx_tail_segment(library->tails[count - 1])->number,
                              nx_random_u64(&library->options->random), &library->sealing.writer, err);
}

int64_t nx_library_seal(struct nx_library *library, struct nx_now now) {
    struct nx_sealing *sealing = &library->sealing;
    struct nx_error err = { 0 };
    bool done = false;
    if (library->options->read_only || sealing->retry_ns > now.monotonic_ns) {
        return library->options->read_only ? NX_STEP_IDLE : sealing->retry_ns;
    }
    enum nx_status status = NX_OK;
    if (sealing->writer == NULL) {
        const size_t count = count_ripe(library, now.wall_ns);
        if (count == 0) {
            return NX_STEP_IDLE;
        }
        status = start(library, count, &err);
    }
    if (status == NX_OK && sealing->has_records) {
        status = nx_run_writer_finish_piece(sealing->writer, &done, &err);
    } else if (status == NX_OK) {
        status = write_piece(library, now.wall_ns, &sealing->has_records, &err);
    }
    if (status == NX_OK && !done && nx_run_writer_unsynced(sealing->writer) >= SYNC_SIZE) {
        status = nx_run_writer_sync(sealing->writer, &err);
    }
    if (status == NX_OK && done) {
        status = finish(library, &err);
        if (status == NX_OK) {
            stop(library);
        }
    }
    if (status != NX_OK) {
        nx_log_warn(library->options->log, "cannot seal segments; tried again later",
                    NX_F_C("error", err.message));
        stop(library);
        sealing->retry_ns = now.monotonic_ns + RETRY_S * (int64_t)NX_NS_PER_S;
        return sealing->retry_ns;
    }
    return NX_STEP_AGAIN;
}

uint64_t nx_library_unsealed_size(const struct nx_library *library) {
    uint64_t size = 0;
    for (size_t i = 0; i < library->tail_count; i++) {
        for (size_t k = 0; k < nx_tail_extent_count(library->tails[i]); k++) {
            size += nx_tail_extent_at(library->tails[i], k)->size;
        }
    }
    return size;
}

void nx_library_seal_all(struct nx_library *library) {
    const struct nx_clock *clock = &library->options->clock;
    struct nx_error err = { 0 };
    if (nx_library_catch_up(library, &err) != NX_OK) {
        nx_log_warn(library->options->log, "cannot seal segments at the end", NX_F_C("error", err.message));
        return;
    }
    library->is_ending = true;
    while (nx_library_seal(library, nx_clock_read(clock)) == NX_STEP_AGAIN) {
        /* another piece */
    }
    library->is_ending = false;
}
