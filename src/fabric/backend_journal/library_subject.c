/* Streams that keep only the newest records of each subject: which those are. A record is current while fewer
 * newer ones of its subject are stored than the stream keeps; nobody is shown the others, and sealing and
 * merging leave them out. */
#include "fabric/backend_journal/journal_internal.h"
#include "fabric/backend_journal/library_internal.h"

enum { SAMPLE_COUNT = 32 };

int64_t nx_library_dedup_kept_ns(const struct nx_library_stream *stream) {
    return stream->config.dedup_window_ns > NX_DEDUP_KEPT_NS ? stream->config.dedup_window_ns
                                                             : NX_DEDUP_KEPT_NS;
}

/* Records of this subject behind `sequence`, up to `limit`, in the runs from this one on and, unless
 * `runs_only`, in the segments. */
static uint64_t count_newer(const struct nx_library *library, const struct nx_library_stream *stream,
                            size_t first_run, const struct nx_stored *stored, uint64_t limit,
                            bool runs_only) {
    uint64_t count = 0;
    for (size_t i = runs_only ? 0 : library->tail_count; i-- > 0 && count < limit;) {
        const struct nx_extent *extent = nx_tail_extent(library->tails[i], stream->number);
        if (extent != NULL && extent->last_sequence <= stored->sequence) {
            return count; /* everything else is older still */
        }
        count += extent == NULL ? 0
                                : nx_tail_count_newer(library->tails[i], stream->number, stored->subject,
                                                      stored->sequence, limit - count);
    }
    for (size_t i = library->run_count; i-- > first_run && count < limit;) {
        uint64_t last_sequence;
        int64_t last_time_ns;
        if (!nx_run_reach(library->runs[i], stream->number, &last_sequence, &last_time_ns)) {
            continue;
        }
        if (last_sequence <= stored->sequence || last_sequence < stream->first_sequence) {
            break;
        }
        count += nx_run_count_newer(library->runs[i], stream->number, stored->subject, stored->sequence,
                                    stored->place);
    }
    return count < limit ? count : limit;
}

bool nx_library_is_current(const struct nx_library *library, const struct nx_library_stream *stream,
                           const struct nx_stored *stored) {
    const uint64_t limit = stream->config.per_subject_max;
    if (stream->marks != NULL && nx_library_is_deleted(stream, stored->sequence, stored->subject)) {
        return false;
    }
    return limit == 0 || count_newer(library, stream, 0, stored, limit, false) < limit;
}

bool nx_library_is_dropped(const struct nx_library *library, const struct nx_library_stream *stream,
                           const struct nx_stored *stored, int64_t now_ns) {
    const uint64_t limit = stream->config.per_subject_max;
    if (stored->sequence < stream->first_sequence) {
        return true;
    }
    const bool is_forgotten = stream->marks != NULL && nx_library_may_forget(stream, stored);
    /* Nobody is shown it, but its key must be found again after a start. */
    if ((limit == 0 && !is_forgotten) ||
        (stored->dedup.len > 0 && stored->time_ns > now_ns - nx_library_dedup_kept_ns(stream))) {
        return false;
    }
    if (is_forgotten) {
        return true;
    }
    /* What is not synced yet must not push out what is. */
    const bool runs_only = stream->config.sync != NX_SYNC_ALWAYS;
    return count_newer(library, stream, 0, stored, limit, runs_only) >= limit;
}

/* ---- counting ---- */

static uint64_t count_in_run(const struct nx_library *library, const struct nx_library_stream *stream,
                             size_t index) {
    const struct nx_run *run = library->runs[index];
    const uint64_t limit = stream->config.per_subject_max;
    struct nx_stored stored = { .stream = stream->number };
    uint64_t count = 0;
    for (size_t i = 0; nx_run_subject_at(run, stream->number, i, &stored.subject); i++) {
        if (nx_run_last_of_subject(run, stream->number, stored.subject) < stream->first_sequence) {
            continue;
        }
        const uint64_t here = nx_run_count_newer(run, stream->number, stored.subject, 0, 0);
        const uint64_t newer = count_newer(library, stream, index + 1, &stored, limit, false);
        count += here < limit - newer ? here : limit - newer;
    }
    return count;
}

uint64_t nx_library_count_current(const struct nx_library *library, struct nx_library_stream *stream) {
    uint64_t count = 0;
    if (stream->is_counted) {
        return stream->current_count;
    }
    for (size_t i = 0; i < library->run_count; i++) {
        count += count_in_run(library, stream, i);
    }
    for (size_t i = 0; i < library->tail_count; i++) {
        uint64_t sequence = stream->first_sequence;
        struct nx_stored stored;
        while (nx_tail_at_or_after(library->tails[i], stream->number, sequence, &stored) == NX_STORED_FOUND) {
            count += nx_library_is_current(library, stream, &stored) ? 1 : 0;
            sequence = stored.sequence + 1;
        }
    }
    stream->is_counted = true;
    stream->current_count = count;
    return count;
}

bool nx_library_is_one_more(const struct nx_library *library, const struct nx_library_stream *stream,
                            const struct nx_frame *frame) {
    const uint64_t limit = stream->config.per_subject_max;
    struct nx_stored stored;
    if (!stream->is_counted) {
        return false;
    }
    nx_stored_of_frame(frame, &stored);
    stored.sequence = 0; /* every one that is there is newer */
    return count_newer(library, stream, 0, &stored, limit, false) < limit;
}

/* ---- what is of no use any more ---- */

/* Of the stream's records in the run, in percent, by looking at some subjects. */
static unsigned waste_of_stream(const struct nx_library *library, const struct nx_library_stream *stream,
                                const struct nx_run *run, size_t subject_count) {
    const size_t step = subject_count / SAMPLE_COUNT + 1;
    const uint64_t limit = stream->config.per_subject_max;
    struct nx_stored stored = { .stream = stream->number };
    uint64_t seen = 0;
    uint64_t current = 0;
    for (size_t i = 0; nx_run_subject_at(run, stream->number, i, &stored.subject); i += step) {
        const uint64_t here = nx_run_count_newer(run, stream->number, stored.subject, 0, 0);
        stored.sequence = nx_run_last_of_subject(run, stream->number, stored.subject);
        const bool runs_only = stream->config.sync != NX_SYNC_ALWAYS; /* as nx_library_is_dropped() */
        const uint64_t newer = count_newer(library, stream, 0, &stored, limit, runs_only);
        seen += here;
        current += here < limit - newer ? here : limit - newer;
    }
    return seen == 0 ? 0 : (unsigned)((seen - current) * 100 / seen);
}

unsigned nx_library_waste(const struct nx_library *library, const struct nx_run *run) {
    const uint64_t size = nx_run_live_size(run);
    uint64_t waste = 0;
    for (size_t i = 0; i < nx_run_extent_count(run); i++) {
        struct nx_str name;
        uint64_t offset;
        uint64_t len;
        const struct nx_extent extent = nx_run_extent_at(run, i, &name);
        const struct nx_library_stream *stream = nx_library_numbered(library, extent.stream);
        if (stream != NULL && stream->config.per_subject_max > 0 && extent.count > 0 &&
            nx_run_region(run, extent.stream, UINT64_MAX, &offset, &len) && len > size / 100) {
            waste +=
                len / 100 * waste_of_stream(library, stream, run, nx_run_subject_count(run, extent.stream));
        }
    }
    return size == 0 ? 0 : (unsigned)(waste * 100 / size);
}
