/* Counting the records of JetStream's streams that match: for what a consumer still has before it, and what a
 * purge takes. Whole runs are counted by what their footers say, where nothing in them is hidden. */
#include <stdlib.h>

#include "fabric/backend_journal/library_internal.h"
#include "fabric/subject/subject.h"

enum { LASTS_MAX = 1000000 /* subjects */ };

static bool is_shown(const struct nx_library *library, const struct nx_library_stream *stream,
                     const struct nx_read *read, const struct nx_stored *stored) {
    return nx_library_matches(read->subject, stored->subject) &&
           nx_library_is_current(library, stream, stored);
}

static uint64_t count_run(const struct nx_run *run, const struct nx_library_stream *stream,
                          const struct nx_extent *extent, struct nx_str filters) {
    struct nx_str subject;
    uint64_t count = 0;
    if (filters.len == 0) {
        return extent->count;
    }
    for (size_t i = 0; nx_run_subject_at(run, stream->number, i, &subject); i++) {
        count +=
            nx_library_matches(filters, subject) ? nx_run_count_newer(run, stream->number, subject, 0, 0) : 0;
    }
    return count;
}

/* The run that begins at or behind the sequence, if all of it lies in the range. */
static const struct nx_run *whole_run(const struct nx_library *library,
                                      const struct nx_library_stream *stream, uint64_t sequence, uint64_t to,
                                      struct nx_extent *extent_out) {
    for (size_t i = 0; i < library->run_count; i++) {
        if (nx_run_extent(library->runs[i], stream->number, extent_out) &&
            extent_out->last_sequence >= sequence) {
            return extent_out->first_sequence >= sequence && extent_out->last_sequence <= to &&
                           !nx_run_is_damaged(library->runs[i])
                       ? library->runs[i]
                       : NULL;
        }
    }
    return NULL;
}

static uint64_t count_between(const struct nx_library *library, const struct nx_library_stream *stream,
                              const struct nx_read *read, uint64_t from, uint64_t to) {
    const bool hides = stream->marks != NULL || stream->config.per_subject_max > 0;
    uint64_t at = from > stream->first_sequence ? from : stream->first_sequence;
    uint64_t checked_until = 0;
    uint64_t count = 0;
    while (at <= to) {
        struct nx_stored stored;
        struct nx_extent extent;
        if (read->subject.len > 0 && at > checked_until) {
            at = nx_library_skip(library, stream, at, read->subject, &checked_until);
        }
        const struct nx_run *run = hides ? NULL : whole_run(library, stream, at, to, &extent);
        if (run != NULL) {
            count += count_run(run, stream, &extent, read->subject);
            at = extent.last_sequence + 1;
            continue;
        }
        at = nx_library_skip_deleted(stream, at);
        const enum nx_stored_found found = nx_library_at_or_after(library, stream, at, &stored);
        if (found == NX_STORED_NONE || stored.sequence > to) {
            break;
        }
        count += found == NX_STORED_FOUND && is_shown(library, stream, read, &stored) ? 1 : 0;
        at = stored.sequence + 1;
    }
    return count;
}

/* The sequence before the newest `keep` that match; 0: there are no more than these. */
static uint64_t before_kept(const struct nx_library *library, const struct nx_library_stream *stream,
                            const struct nx_read *read, uint64_t to) {
    uint64_t kept = 0;
    uint64_t at = to;
    while (at >= stream->first_sequence && at > 0) {
        struct nx_stored stored;
        const enum nx_stored_found found = nx_library_at_or_before(library, stream, at, &stored);
        if (found == NX_STORED_NONE) {
            return 0;
        }
        if (found == NX_STORED_FOUND && is_shown(library, stream, read, &stored) && ++kept == read->keep) {
            return stored.sequence - 1;
        }
        at = stored.sequence - 1;
    }
    return 0;
}

void nx_library_answer_count(struct nx_library *library, struct nx_library_stream *stream,
                             struct nx_read *read) {
    uint64_t to = read->to_sequence == 0 || read->to_sequence > stream->last_sequence ? stream->last_sequence
                                                                                      : read->to_sequence;
    read->infos = nx_arena_alloc(&read->arena, sizeof *read->infos);
    if (read->infos == NULL) {
        read->status = nx_fail_memory(&read->error);
        return;
    }
    if (read->keep > 0) {
        to = before_kept(library, stream, read, to);
    }
    const bool is_all = read->subject.len == 0 && read->from_sequence <= stream->first_sequence &&
                        to == stream->last_sequence && stream->live.is_known;
    read->to_sequence = to;
    read->info_count = 1;
    read->infos[0].name = nx_arena_copy(&read->arena, stream->name);
    read->infos[0].first_sequence = stream->first_sequence;
    read->infos[0].last_sequence = stream->last_sequence;
    read->infos[0].count =
        is_all ? stream->live.count : count_between(library, stream, read, read->from_sequence, to);
    read->status = NX_OK;
}

/* The newest records from the end on, each subject's first. */
static enum nx_status collect_lasts(struct nx_library *library, struct nx_library_stream *stream,
                                    struct nx_map *seen, struct nx_read *read) {
    uint64_t at = stream->last_sequence;
    while (at >= stream->first_sequence && at > 0) {
        struct nx_stored stored;
        const enum nx_stored_found found = nx_library_at_or_before(library, stream, at, &stored);
        if (found == NX_STORED_NONE) {
            return NX_OK;
        }
        if (found == NX_STORED_FOUND && nx_library_matches(read->subject, stored.subject) &&
            nx_map_get(seen, stored.subject) == NULL && nx_library_is_current(library, stream, &stored)) {
            NX_TRY(nx_map_set(seen, stored.subject, (void *)(uintptr_t)stored.sequence, &read->error));
        }
        at = stored.sequence - 1;
    }
    return NX_OK;
}

static int compare_sequences(const void *a, const void *b) {
    const uint64_t left = *(const uint64_t *)a;
    const uint64_t right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

void nx_library_answer_lasts(struct nx_library *library, struct nx_library_stream *stream,
                             struct nx_read *read) {
    struct nx_map seen;
    size_t cursor = 0;
    void *sequence;
    nx_map_init(&seen, LASTS_MAX, library->seed);
    read->status = collect_lasts(library, stream, &seen, read);
    read->deleted = nx_arena_alloc(&read->arena, (seen.count + 1) * sizeof *read->deleted);
    if (read->deleted == NULL) {
        read->status = nx_fail_memory(&read->error);
    }
    while (read->status == NX_OK && nx_map_next(&seen, &cursor, NULL, &sequence)) {
        read->deleted[read->deleted_count++] = (uintptr_t)sequence;
    }
    if (read->status == NX_OK) {
        qsort(read->deleted, read->deleted_count, sizeof *read->deleted, compare_sequences);
    }
    nx_map_fini(&seen);
}
