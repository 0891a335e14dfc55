/* Finding records in everything that holds some: the runs, then the unsealed segments, oldest first. */
#include "fabric/backend_journal/library_internal.h"
#include "fabric/subject/subject.h"

/* Index of the first run that can hold a record of the stream with at least this sequence. New records are
 * asked for most: for what is not sealed yet no run is looked at, and the others are looked at from the end.
 */
static size_t first_run(const struct nx_library *library, const struct nx_library_stream *stream,
                        uint64_t sequence) {
    size_t first = library->run_count;
    for (size_t i = 0; i < library->tail_count; i++) {
        const struct nx_extent *extent = nx_tail_extent(library->tails[i], stream->number);
        if (extent != NULL) {
            if (extent->first_sequence <= sequence) {
                return first;
            }
            break;
        }
    }
    while (first > 0) {
        struct nx_extent extent;
        if (nx_run_extent(library->runs[first - 1], stream->number, &extent) &&
            extent.last_sequence < sequence) {
            break;
        }
        first--;
    }
    return first;
}

enum nx_stored_found nx_library_at_or_after(const struct nx_library *library,
                                            const struct nx_library_stream *stream, uint64_t sequence,
                                            struct nx_stored *stored_out) {
    if (sequence < stream->first_sequence) {
        sequence = stream->first_sequence;
    }
    for (size_t i = first_run(library, stream, sequence); i < library->run_count; i++) {
        const enum nx_stored_found found =
            nx_run_at_or_after(library->runs[i], library->cache, stream->number, sequence, stored_out);
        if (found != NX_STORED_NONE) {
            return found;
        }
    }
    for (size_t i = 0; i < library->tail_count; i++) {
        const enum nx_stored_found found =
            nx_tail_at_or_after(library->tails[i], stream->number, sequence, stored_out);
        if (found != NX_STORED_NONE) {
            return found;
        }
    }
    return NX_STORED_NONE;
}

enum nx_stored_found nx_library_at_or_before(const struct nx_library *library,
                                             const struct nx_library_stream *stream, uint64_t sequence,
                                             struct nx_stored *stored_out) {
    for (size_t i = library->tail_count; i-- > 0;) {
        const enum nx_stored_found found =
            nx_tail_at_or_before(library->tails[i], stream->number, sequence, stored_out);
        if (found != NX_STORED_NONE) {
            return stored_out->sequence < stream->first_sequence ? NX_STORED_NONE : found;
        }
    }
    for (size_t i = library->run_count; i-- > 0;) {
        const enum nx_stored_found found =
            nx_run_at_or_before(library->runs[i], library->cache, stream->number, sequence, stored_out);
        if (found != NX_STORED_NONE) {
            return stored_out->sequence < stream->first_sequence ? NX_STORED_NONE : found;
        }
    }
    return NX_STORED_NONE;
}

uint64_t nx_library_last_of_subject(const struct nx_library *library, const struct nx_library_stream *stream,
                                    struct nx_str subject) {
    for (size_t i = library->tail_count; i-- > 0;) {
        const uint64_t last = nx_tail_last_of_subject(library->tails[i], stream->number, subject);
        if (last != 0) {
            return last < stream->first_sequence ? 0 : last;
        }
    }
    for (size_t i = library->run_count; i-- > 0;) {
        const uint64_t last = nx_run_last_of_subject(library->runs[i], stream->number, subject);
        if (last != 0) {
            return last < stream->first_sequence ? 0 : last;
        }
    }
    return 0;
}

uint64_t nx_library_sequence_at(const struct nx_library *library, const struct nx_library_stream *stream,
                                int64_t time_ns) {
    uint64_t low = stream->first_sequence;
    uint64_t high = stream->last_sequence + 1;
    /* Times of a stream never fall, so the first one that is late enough can be halved in on. */
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        struct nx_stored stored;
        const enum nx_stored_found found = nx_library_at_or_after(library, stream, middle, &stored);
        if (found == NX_STORED_NONE || (found == NX_STORED_FOUND && stored.time_ns >= time_ns)) {
            high = middle;
        } else {
            low = stored.sequence + 1 > middle ? stored.sequence + 1 : middle + 1;
        }
    }
    return low;
}

static void add_extent(const struct nx_library_stream *stream, const struct nx_extent *extent, uint64_t size,
                       struct nx_stream_info *info) {
    if (extent->count == 0 || extent->last_sequence < stream->first_sequence) {
        return;
    }
    info->count += extent->count;
    info->size += size;
    info->last_time_ns = extent->last_time_ns;
    if (info->first_sequence == 0) {
        info->first_sequence = extent->first_sequence;
        info->first_time_ns = extent->first_time_ns;
    }
}

static void add_run(struct nx_library_stream *stream, const struct nx_run *run,
                    const struct nx_extent *extent) {
    uint64_t offset;
    uint64_t size;
    if (extent->count > 0 && nx_run_region(run, stream->number, UINT64_MAX, &offset, &size)) {
        add_extent(stream, extent, size, &stream->sealed);
    }
}

void nx_library_info_prepare(struct nx_library *library) {
    if (library->info_generation == library->runs_generation) {
        return;
    }
    library->info_generation = library->runs_generation;
    for (size_t i = 0; i < library->by_number_count; i++) {
        struct nx_library_stream *stream = library->by_number[i];
        if (stream != NULL) {
            stream->sealed = (struct nx_stream_info){ 0 };
            stream->sealed_generation = library->runs_generation;
        }
    }
    for (size_t i = 0; i < library->run_count; i++) {
        for (size_t k = 0; k < nx_run_extent_count(library->runs[i]); k++) {
            struct nx_str name;
            const struct nx_extent extent = nx_run_extent_at(library->runs[i], k, &name);
            struct nx_library_stream *stream = nx_library_numbered(library, extent.stream);
            if (stream != NULL) {
                add_run(stream, library->runs[i], &extent);
            }
        }
    }
}

static void add_up_runs(const struct nx_library *library, struct nx_library_stream *stream) {
    stream->sealed = (struct nx_stream_info){ 0 };
    stream->sealed_generation = library->runs_generation;
    for (size_t i = 0; i < library->run_count; i++) {
        struct nx_extent extent;
        if (nx_run_extent(library->runs[i], stream->number, &extent)) {
            add_run(stream, library->runs[i], &extent);
        }
    }
}

void nx_library_info(const struct nx_library *library, struct nx_library_stream *stream,
                     struct nx_stream_info *info_out) {
    if (stream->sealed_generation != library->runs_generation) {
        add_up_runs(library, stream);
    }
    *info_out = stream->sealed;
    info_out->name = stream->name;
    info_out->last_sequence = stream->last_sequence;
    for (size_t i = 0; i < library->tail_count; i++) {
        const struct nx_extent *extent = nx_tail_extent(library->tails[i], stream->number);
        if (extent != NULL) {
            add_extent(stream, extent, extent->size, info_out);
        }
    }
}

bool nx_library_matches(struct nx_str filters, struct nx_str subject) {
    struct nx_str filter;
    if (filters.len == 0) {
        return true;
    }
    while (nx_str_split(&filters, ' ', &filter)) {
        if (nx_subject_matches(filter, subject)) {
            return true;
        }
    }
    return false;
}

uint64_t nx_library_skip(const struct nx_library *library, const struct nx_library_stream *stream,
                         uint64_t sequence, struct nx_str filter, uint64_t *until_out) {
    for (size_t i = 0; i < library->run_count; i++) {
        struct nx_extent extent;
        if (!nx_run_extent(library->runs[i], stream->number, &extent) || extent.last_sequence < sequence) {
            continue;
        }
        if (nx_run_may_match(library->runs[i], stream->number, filter, nx_library_matches)) {
            *until_out = extent.last_sequence;
            return sequence;
        }
        sequence = extent.last_sequence + 1;
    }
    *until_out = UINT64_MAX;
    return sequence;
}

uint64_t nx_library_lost_between(const struct nx_library_stream *stream, uint64_t first, uint64_t last) {
    uint64_t count = 0;
    for (size_t i = 0; i < stream->lost_count; i++) {
        const uint64_t from = stream->lost[i].first > first ? stream->lost[i].first : first;
        const uint64_t to = stream->lost[i].last < last ? stream->lost[i].last : last;
        count += from <= to ? to - from + 1 : 0;
    }
    return count;
}

/* Headers of messages from outside name nothing here. */
static bool is_ours(const struct nx_library_stream *stream) {
    return !nx_stream_name_is_jetstream(stream->name);
}

/* A segment's index gives the newest first; they are put in order here, as many as an answer takes. */
static bool visit_tail(const struct nx_library *library, const struct nx_tail *tail, enum nx_key_kind kind,
                       struct nx_str key,
                       bool (*visit)(void *data, const struct nx_library_stream *stream,
                                     const struct nx_stored *stored),
                       void *data) {
    uint32_t cursors[NX_READ_COUNT_MAX];
    uint32_t cursor = 0;
    size_t count = 0;
    struct nx_stored stored;
    while (count < NX_READ_COUNT_MAX) {
        const uint32_t before = cursor;
        if (!nx_tail_find(tail, kind, key, &cursor, &stored)) {
            break;
        }
        cursors[count++] = before;
    }
    while (count > 0) {
        cursor = cursors[--count];
        if (!nx_tail_find(tail, kind, key, &cursor, &stored)) {
            continue;
        }
        const struct nx_library_stream *stream = nx_library_numbered(library, stored.stream);
        if (stream != NULL && is_ours(stream) && stored.sequence >= stream->first_sequence &&
            nx_library_is_current(library, stream, &stored) && !visit(data, stream, &stored)) {
            return false;
        }
    }
    return true;
}

void nx_library_find(const struct nx_library *library, enum nx_key_kind kind, struct nx_str key,
                     bool (*visit)(void *data, const struct nx_library_stream *stream,
                                   const struct nx_stored *stored),
                     void *data) {
    for (size_t i = 0; i < library->run_count; i++) {
        uint64_t cursor = 0;
        struct nx_stored stored;
        while (nx_run_find(library->runs[i], library->cache, kind, key, &cursor, &stored)) {
            const struct nx_library_stream *stream = nx_library_numbered(library, stored.stream);
            if (stream != NULL && is_ours(stream) && stored.sequence >= stream->first_sequence &&
                nx_library_is_current(library, stream, &stored) && !visit(data, stream, &stored)) {
                return;
            }
        }
    }
    for (size_t i = 0; i < library->tail_count; i++) {
        if (!visit_tail(library, library->tails[i], kind, key, visit, data)) {
            return;
        }
    }
}
