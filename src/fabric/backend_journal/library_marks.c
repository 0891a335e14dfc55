/* What was deleted of JetStream's streams: the marks in JSM_<id>, as ranges of sequences and as subjects up
 * to a sequence. Marks only ever add to each other, so their order does not matter, and a start reads them
 * all.
 *
 * A deleted record of a stream that keeps some of a subject stays on disk until newer ones push it out: else
 * the older ones, which it pushed out itself, would come back. */
#include <stdlib.h>

#include "fabric/backend_journal/library_internal.h"
#include "fabric/subject/subject.h"

enum { SUBJECTS_MAX = 16 * 1024 * 1024 };

struct range {
    uint64_t first;
    uint64_t last;
};

struct filter {
    uint64_t until;
    struct nx_str text; /* owned */
};

struct nx_library_marks {
    struct range *ranges; /* ascending, never next to each other */
    size_t range_count;
    size_t range_capacity;
    struct nx_map subjects; /* without wildcards: the sequence up to which, as a pointer */
    struct filter *filters; /* with wildcards */
    size_t filter_count;
    size_t filter_capacity;
    uint64_t until; /* the highest of both */
};

void nx_library_marks_free(struct nx_library_marks *marks) {
    if (marks == NULL) {
        return;
    }
    for (size_t i = 0; i < marks->filter_count; i++) {
        free((void *)(uintptr_t)marks->filters[i].text.ptr);
    }
    free(marks->filters);
    free(marks->ranges);
    nx_map_fini(&marks->subjects);
    free(marks);
}

static enum nx_status obtain_marks(const struct nx_library *library, struct nx_library_stream *stream,
                                   struct nx_error *err) {
    if (stream->marks != NULL) {
        return NX_OK;
    }
    stream->marks = calloc(1, sizeof *stream->marks);
    if (stream->marks == NULL) {
        return nx_fail_memory(err);
    }
    nx_map_init(&stream->marks->subjects, SUBJECTS_MAX, library->seed);
    return NX_OK;
}

/* Index of the first range that ends at or behind the sequence. */
static size_t find_range(const struct nx_library_marks *marks, uint64_t sequence) {
    size_t low = 0;
    size_t high = marks->range_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (marks->ranges[middle].last < sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_in_range(const struct nx_library_marks *marks, uint64_t sequence) {
    const size_t at = find_range(marks, sequence);
    return at < marks->range_count && marks->ranges[at].first <= sequence;
}

static bool is_in_subject(const struct nx_library_marks *marks, uint64_t sequence, struct nx_str subject) {
    if (sequence > marks->until) {
        return false;
    }
    if ((uintptr_t)nx_map_get(&marks->subjects, subject) >= sequence) {
        return true;
    }
    for (size_t i = 0; i < marks->filter_count; i++) {
        if (marks->filters[i].until >= sequence && nx_subject_matches(marks->filters[i].text, subject)) {
            return true;
        }
    }
    return false;
}

bool nx_library_is_deleted(const struct nx_library_stream *stream, uint64_t sequence, struct nx_str subject) {
    const struct nx_library_marks *marks = stream->marks;
    return marks != NULL && (is_in_range(marks, sequence) || is_in_subject(marks, sequence, subject));
}

bool nx_library_may_forget(const struct nx_library_stream *stream, const struct nx_stored *stored) {
    const struct nx_library_marks *marks = stream->marks;
    if (marks == NULL || stream->defined == NULL) {
        return false;
    }
    return is_in_subject(marks, stored->sequence, stored->subject) ||
           (stream->config.per_subject_max == 0 && is_in_range(marks, stored->sequence));
}

uint64_t nx_library_skip_deleted(const struct nx_library_stream *stream, uint64_t sequence) {
    const struct nx_library_marks *marks = stream->marks;
    if (marks == NULL) {
        return sequence;
    }
    const size_t at = find_range(marks, sequence);
    return at < marks->range_count && marks->ranges[at].first <= sequence ? marks->ranges[at].last + 1
                                                                          : sequence;
}

static enum nx_status add_range(struct nx_library_marks *marks, uint64_t sequence, struct nx_error *err) {
    size_t at = find_range(marks, sequence - 1); /* the one that could grow at its end, or a later one */
    struct range *range = at < marks->range_count ? &marks->ranges[at] : NULL;
    if (range != NULL && range->first <= sequence && sequence <= range->last + 1) {
        range->last = sequence > range->last ? sequence : range->last;
        if (at + 1 < marks->range_count && range[1].first == range->last + 1) {
            range->last = range[1].last;
            marks->range_count--;
            memmove(&range[1], &range[2], (marks->range_count - at - 1) * sizeof *range);
        }
        return NX_OK;
    }
    if (range != NULL && range->first == sequence + 1) {
        range->first = sequence;
        return NX_OK;
    }
    if (marks->range_count == marks->range_capacity) {
        const size_t capacity = marks->range_capacity == 0 ? 16 : marks->range_capacity * 2;
        struct range *grown = reallocarray(marks->ranges, capacity, sizeof *grown);
        if (grown == NULL) {
            return nx_fail_memory(err);
        }
        marks->ranges = grown;
        marks->range_capacity = capacity;
    }
    memmove(&marks->ranges[at + 1], &marks->ranges[at], (marks->range_count - at) * sizeof *marks->ranges);
    marks->ranges[at] = (struct range){ sequence, sequence };
    marks->range_count++;
    return NX_OK;
}

static enum nx_status add_filter(struct nx_library_marks *marks, struct nx_str filter, uint64_t until,
                                 struct nx_error *err) {
    for (size_t i = 0; i < marks->filter_count; i++) {
        if (nx_str_equal(marks->filters[i].text, filter)) {
            marks->filters[i].until = until > marks->filters[i].until ? until : marks->filters[i].until;
            return NX_OK;
        }
    }
    if (marks->filter_count == marks->filter_capacity) {
        const size_t capacity = marks->filter_capacity == 0 ? 4 : marks->filter_capacity * 2;
        struct filter *grown = reallocarray(marks->filters, capacity, sizeof *grown);
        if (grown == NULL) {
            return nx_fail_memory(err);
        }
        marks->filters = grown;
        marks->filter_capacity = capacity;
    }
    char *copy = malloc(filter.len + 1);
    if (copy == NULL) {
        return nx_fail_memory(err);
    }
    memcpy(copy, filter.ptr, filter.len);
    marks->filters[marks->filter_count++] = (struct filter){ until, nx_str_of(copy, filter.len) };
    return NX_OK;
}

/* ---- walking ---- */

bool nx_library_older_of_subject(const struct nx_library *library, const struct nx_library_stream *stream,
                                 struct nx_str subject, struct nx_library_walk *walk,
                                 struct nx_stored *stored_out) {
    for (; walk->place < library->tail_count; walk->place++, walk->cursor = 0) {
        const struct nx_tail *tail = library->tails[library->tail_count - 1 - walk->place];
        if (nx_tail_older_of_subject(tail, stream->number, subject, &walk->cursor, stored_out)) {
            return true;
        }
    }
    walk->below = walk->below == 0 ? UINT64_MAX : walk->below;
    for (; walk->place < library->tail_count + library->run_count; walk->place++) {
        const struct nx_run *run =
            library->runs[library->run_count - 1 - (walk->place - library->tail_count)];
        if (nx_run_older_of_subject(run, library->cache, stream->number, subject, &walk->below, stored_out)) {
            return true;
        }
    }
    return false;
}

static bool is_shown(const struct nx_library *library, const struct nx_library_stream *stream,
                     const struct nx_stored *stored) {
    return stored->sequence >= stream->first_sequence && nx_library_is_current(library, stream, stored);
}

/* ---- taking marks ---- */

static enum nx_status delete_one(struct nx_library *library, struct nx_library_stream *stream,
                                 uint64_t sequence, struct nx_error *err) {
    struct nx_stored stored;
    NX_TRY(obtain_marks(library, stream, err));
    if (stream->live.is_wanted &&
        nx_library_at_or_after(library, stream, sequence, &stored) == NX_STORED_FOUND &&
        stored.sequence == sequence && is_shown(library, stream, &stored)) {
        nx_library_note_left(stream, &stored);
    }
    return add_range(stream->marks, sequence, err);
}

static void leave_subject(struct nx_library *library, struct nx_library_stream *stream, struct nx_str subject,
                          uint64_t until) {
    struct nx_library_walk walk = { 0 };
    struct nx_stored stored;
    const uint64_t limit = stream->config.per_subject_max;
    uint64_t newer = 0;
    while ((limit == 0 || newer < limit) &&
           nx_library_older_of_subject(library, stream, subject, &walk, &stored)) {
        newer++;
        if (stored.sequence <= until && stored.sequence >= stream->first_sequence &&
            !nx_library_is_deleted(stream, stored.sequence, subject)) {
            nx_library_note_left(stream, &stored);
        }
    }
}

static void leave_filter(struct nx_library *library, struct nx_library_stream *stream, struct nx_str filter,
                         uint64_t until) {
    uint64_t at = stream->first_sequence;
    uint64_t checked_until = 0;
    struct nx_stored stored;
    while (at <= until) {
        if (at > checked_until) {
            at = nx_library_skip(library, stream, at, filter, &checked_until);
        }
        const enum nx_stored_found found = nx_library_at_or_after(library, stream, at, &stored);
        if (found == NX_STORED_NONE || stored.sequence > until) {
            return;
        }
        if (found == NX_STORED_FOUND && nx_subject_matches(filter, stored.subject) &&
            is_shown(library, stream, &stored)) {
            nx_library_note_left(stream, &stored);
        }
        at = stored.sequence + 1;
    }
}

static enum nx_status delete_subject(struct nx_library *library, struct nx_library_stream *stream,
                                     struct nx_str filter, uint64_t until, struct nx_error *err) {
    const bool is_plain = !nx_subject_has_wildcard(filter);
    NX_TRY(obtain_marks(library, stream, err));
    struct nx_library_marks *marks = stream->marks;
    if (stream->live.is_wanted && is_plain) {
        leave_subject(library, stream, filter, until);
    } else if (stream->live.is_wanted) {
        leave_filter(library, stream, filter, until);
    }
    marks->until = until > marks->until ? until : marks->until;
    if (!is_plain) {
        return add_filter(marks, filter, until, err);
    }
    return (uintptr_t)nx_map_get(&marks->subjects, filter) >= until
               ? NX_OK
               : nx_map_set(&marks->subjects, filter, (void *)(uintptr_t)until, err);
}

enum nx_status nx_library_take_mark(struct nx_library *library, struct nx_library_stream *stream,
                                    struct nx_str subject, struct nx_str payload, struct nx_error *err) {
    uint64_t sequence;
    if (nx_str_starts_with(subject, NX_STR("seq.")) &&
        nx_str_to_u64(nx_str_slice(subject, 4, subject.len), &sequence) && sequence > 0) {
        stream->owes_first = true;
        return delete_one(library, stream, sequence, err);
    }
    if (nx_str_is(subject, "all") && nx_str_to_u64(payload, &sequence) && sequence < UINT64_MAX) {
        nx_library_raise_first(library, stream, sequence + 1);
        return NX_OK;
    }
    const size_t space = nx_str_find_byte(payload, ' ');
    if (nx_str_starts_with(subject, NX_STR("subject.")) && space != SIZE_MAX &&
        nx_str_to_u64(nx_str_slice(payload, 0, space), &sequence) && sequence > 0) {
        stream->owes_first = true;
        return delete_subject(library, stream, nx_str_slice(payload, space + 1, payload.len), sequence, err);
    }
    return NX_OK;
}

/* The marks of one stream in one run. */
static enum nx_status read_run(struct nx_library *library, const struct nx_run *run,
                               const struct nx_library_stream *stream, struct nx_error *err) {
    uint64_t sequence = 1;
    struct nx_stored stored;
    for (;;) {
        const enum nx_stored_found found =
            nx_run_at_or_after(run, library->cache, stream->number, sequence, &stored);
        if (found == NX_STORED_NONE) {
            return NX_OK;
        }
        if (found == NX_STORED_FOUND) {
            NX_TRY(nx_library_take_mark(library, stream->marked, stored.subject, stored.payload, err));
        }
        sequence = stored.sequence + 1;
    }
}

enum nx_status nx_library_read_marks(struct nx_library *library, struct nx_error *err) {
    for (size_t i = 0; i < library->run_count; i++) {
        const struct nx_run *run = library->runs[i];
        for (size_t k = 0; k < nx_run_extent_count(run); k++) {
            struct nx_str name;
            const struct nx_extent extent = nx_run_extent_at(run, k, &name);
            const struct nx_library_stream *stream = nx_library_numbered(library, extent.stream);
            if (stream != NULL && stream->marked != NULL && extent.count > 0) {
                NX_TRY(read_run(library, run, stream, err));
            }
        }
    }
    return NX_OK;
}
