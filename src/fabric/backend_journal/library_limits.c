/* JetStream's streams: their limits by count, size and age, held to the record, and what is shown of them.
 *
 * `live` counts what is shown. It is wanted from the definition on where a limit needs it, else from the
 * first question on; then the records that are there are counted, a piece at a time, and each that comes or
 * goes is noted. What limits have let go is not on disk: the next start finds it out again. After a record
 * from among the others was deleted it could not, so the first sequence is then written as a mark. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fabric/backend_journal/journal_internal.h"
#include "fabric/backend_journal/library_internal.h"
#include "fabric/subject/subject.h"

enum {
    PIECE_COUNT = 65536,          /* records looked at in one step */
    SUBJECTS_COUNTED_MAX = 10000, /* records of which the subjects are counted for whoever asks */
};

static uint64_t size_of(const struct nx_stored *stored) {
    return nx_record_size_nats(stored->subject, stored->headers, stored->payload);
}

void nx_library_note_left(struct nx_library_stream *stream, const struct nx_stored *stored) {
    struct nx_library_live *live = &stream->live;
    if (!live->is_known && stored->sequence >= live->next) {
        return; /* not counted yet, and will not be */
    }
    const uint64_t size = size_of(stored);
    live->count -= live->count > 0 ? 1 : 0;
    live->size -= size < live->size ? size : live->size;
}

/* The record that a new one of its subject, which is added, has pushed out. */
static void note_pushed_out(struct nx_library *library, struct nx_library_stream *stream,
                            struct nx_str subject) {
    struct nx_library_walk walk = { 0 };
    struct nx_stored stored;
    for (uint64_t i = 0; i <= stream->config.per_subject_max; i++) {
        if (!nx_library_older_of_subject(library, stream, subject, &walk, &stored)) {
            return;
        }
    }
    if (stored.sequence >= stream->first_sequence &&
        !nx_library_is_deleted(stream, stored.sequence, stored.subject)) {
        nx_library_note_left(stream, &stored);
    }
}

/* The first record that is shown; what lies before it never will be again. */
static bool find_first(struct nx_library *library, struct nx_library_stream *stream, size_t *looks,
                       struct nx_stored *stored_out) {
    uint64_t at = stream->first_sequence;
    enum nx_stored_found found = NX_STORED_NONE;
    for (; *looks > 0; (*looks)--) {
        at = nx_library_skip_deleted(stream, at);
        found = nx_library_at_or_after(library, stream, at, stored_out);
        if (found == NX_STORED_NONE) {
            at = stream->last_sequence + 1;
            break;
        }
        at = stored_out->sequence;
        if (found == NX_STORED_FOUND && nx_library_is_current(library, stream, stored_out)) {
            break;
        }
        at++;
    }
    if (at > stream->first_sequence) {
        nx_library_expire_before(stream, at);
    }
    return found == NX_STORED_FOUND && *looks > 0;
}

static void let_first_go(struct nx_library_stream *stream, const struct nx_stored *first) {
    nx_library_note_left(stream, first);
    nx_library_expire_before(stream, first->sequence + 1);
}

void nx_library_raise_first(struct nx_library *library, struct nx_library_stream *stream, uint64_t first) {
    size_t looks = SIZE_MAX;
    struct nx_stored stored;
    if (first > stream->last_sequence && stream->live.is_wanted) {
        stream->live.count = stream->live.size = 0; /* all of it, whether or not it is counted yet */
        stream->live.is_known = true;
    }
    while (stream->live.is_wanted && stream->live.count > 0 && find_first(library, stream, &looks, &stored) &&
           stored.sequence < first) {
        let_first_go(stream, &stored);
    }
    if (first > stream->first_sequence) {
        nx_library_expire_before(stream, first);
    }
}

static bool is_over(const struct nx_library_stream *stream) {
    const struct nx_define *defined = stream->defined;
    return stream->live.is_known && ((defined->count_max > 0 && stream->live.count > defined->count_max) ||
                                     (defined->size_max > 0 && stream->live.size > defined->size_max));
}

/* Go on counting. False: there is more. */
static bool count_on(struct nx_library *library, struct nx_library_stream *stream, size_t *looks) {
    struct nx_library_live *live = &stream->live;
    uint64_t at = live->next > stream->first_sequence ? live->next : stream->first_sequence;
    for (; *looks > 0; (*looks)--) {
        struct nx_stored stored;
        const enum nx_stored_found found = nx_library_at_or_after(library, stream, at, &stored);
        if (found == NX_STORED_NONE) {
            live->is_known = true;
            return true;
        }
        if (found == NX_STORED_FOUND && nx_library_is_current(library, stream, &stored)) {
            live->count++;
            live->size += size_of(&stored);
        }
        at = stored.sequence + 1;
        live->next = at;
    }
    return false;
}

/* By count and size. False: there is more to do. */
static bool hold_amount(struct nx_library *library, struct nx_library_stream *stream, size_t *looks) {
    struct nx_stored first;
    while (is_over(stream)) {
        if (!find_first(library, stream, looks, &first)) {
            return *looks > 0;
        }
        let_first_go(stream, &first);
    }
    return true;
}

void nx_library_note_added(struct nx_library *library, struct nx_library_stream *stream,
                           const struct nx_frame *frame) {
    size_t looks = PIECE_COUNT;
    struct nx_stored stored;
    if (stream->defined == NULL) {
        return;
    }
    if (stream->defined->age_max_ns > 0 && !stream->has_expiry) {
        library->expiry_ns = 0;
    }
    if (!stream->live.is_wanted) {
        return;
    }
    nx_stored_of_frame(frame, &stored);
    if (stream->config.per_subject_max > 0) {
        note_pushed_out(library, stream, stored.subject);
    }
    if (!stream->live.is_known) {
        return; /* it will be counted */
    }
    stream->live.count++;
    stream->live.size += size_of(&stored);
    if (!stream->defined->refuses_new && !hold_amount(library, stream, &looks)) {
        library->expiry_ns = 0;
    }
}

/* By age; wall time at which the next one goes, INT64_MAX: none will. */
static int64_t hold_age(struct nx_library *library, struct nx_library_stream *stream, int64_t now_ns,
                        size_t *looks) {
    struct nx_stored first;
    while (find_first(library, stream, looks, &first)) {
        const int64_t end_ns = first.time_ns + stream->defined->age_max_ns;
        if (end_ns > now_ns) {
            return end_ns;
        }
        let_first_go(stream, &first);
    }
    return *looks > 0 ? INT64_MAX : now_ns;
}

/* What limits have let go is said where deletions could hide it from the next start. */
static void write_first(struct nx_library *library, struct nx_library_stream *stream) {
    NX_AUTO(nx_append) *append = NULL;
    char name[NX_STREAM_NAME_SIZE_MAX + 1];
    char until[NX_SEQUENCE_TEXT_SIZE + 1];
    (void)snprintf(name, sizeof name, "JSM_%.*s",
                   NX_STR_ARG(nx_str_slice(stream->name, 3, stream->name.len)));
    (void)snprintf(until, sizeof until, "%0*" PRIu64, NX_SEQUENCE_TEXT_SIZE, stream->first_sequence - 1);
    const struct nx_append_entry mark = { .stream = nx_str_from_c(name),
                                          .subject = NX_STR("all"),
                                          .payload = nx_str_from_c(until) };
    stream->owes_first = false;
    if (nx_append_new(1, 0, &append, NULL) != NX_OK || nx_append_add(append, &mark, NULL) != NX_OK) {
        return; /* a start may show a record again that a limit had let go: nothing is lost by it */
    }
    nx_mailbox_send_reply(library->appends, &NX_TAKE(append)->message); /* at most one for each mark */
}

static void answer_infos(struct nx_library *library, struct nx_library_stream *stream) {
    struct nx_message_queue infos = stream->infos;
    struct nx_message *message;
    stream->infos = (struct nx_message_queue){ 0 };
    while ((message = nx_message_queue_pop(&infos)) != NULL) {
        (void)nx_library_answer_exact(library, stream, (struct nx_read *)message);
        nx_message_reply(message);
    }
}

int64_t nx_library_keep_limits_of(struct nx_library *library, struct nx_library_stream *stream,
                                  int64_t now_ns) {
    const struct nx_define *defined = stream->defined;
    size_t looks = PIECE_COUNT;
    int64_t again_ns = INT64_MAX;
    if (stream->live.is_wanted && !stream->live.is_known && !count_on(library, stream, &looks)) {
        return now_ns;
    }
    if (!defined->refuses_new && !hold_amount(library, stream, &looks)) {
        return now_ns;
    }
    if (defined->age_max_ns > 0) {
        again_ns = hold_age(library, stream, now_ns, &looks);
        stream->has_expiry = again_ns != INT64_MAX;
    }
    if (stream->owes_first && (defined->count_max > 0 || defined->size_max > 0)) {
        write_first(library, stream);
    }
    stream->owes_first = false;
    if (stream->infos.count > 0) {
        answer_infos(library, stream);
    }
    return again_ns;
}

int64_t nx_library_keep_limits(struct nx_library *library, struct nx_now now) {
    size_t cursor = 0;
    struct nx_str name;
    void *value;
    int64_t again_ns = INT64_MAX;
    if (library->expiry_ns > now.monotonic_ns || library->options->read_only) {
        return library->expiry_ns;
    }
    while (nx_map_next(&library->streams, &cursor, &name, &value)) {
        struct nx_library_stream *stream = value;
        if (stream->defined != NULL && stream->marked == NULL) {
            const int64_t at_ns = nx_library_keep_limits_of(library, stream, now.wall_ns);
            again_ns = at_ns < again_ns ? at_ns : again_ns;
        }
    }
    const int64_t delay_ns = again_ns == INT64_MAX ? INT64_MAX : again_ns - now.wall_ns;
    library->expiry_ns =
        delay_ns == INT64_MAX ? NX_STEP_IDLE : now.monotonic_ns + (delay_ns > 0 ? delay_ns : 0);
    return delay_ns <= 0 ? NX_STEP_AGAIN : library->expiry_ns;
}

/* ---- what is shown of it ---- */

static int compare_counts(const void *a, const void *b) {
    return nx_str_compare(((const struct nx_subject_count *)a)->subject,
                          ((const struct nx_subject_count *)b)->subject);
}

/* Called once for each distinct subject; `data` is a map from it to how often it was seen. */
static enum nx_status note_subject(struct nx_map *seen, struct nx_read *read,
                                   const struct nx_stored *stored) {
    if (!nx_library_matches(read->subject, stored->subject)) {
        return NX_OK;
    }
    const uintptr_t count = (uintptr_t)nx_map_get(seen, stored->subject) + 1;
    return nx_map_set(seen, stored->subject, (void *)count, &read->error);
}

static enum nx_status give_subjects(const struct nx_map *seen, struct nx_read *read) {
    size_t cursor = 0;
    struct nx_str subject;
    void *count;
    read->subjects = nx_arena_alloc(&read->arena, (seen->count + 1) * sizeof *read->subjects);
    while (read->subjects != NULL && nx_map_next(seen, &cursor, &subject, &count)) {
        struct nx_subject_count *entry = &read->subjects[read->subject_count++];
        entry->subject = nx_arena_copy(&read->arena, subject);
        entry->count = (uintptr_t)count;
        if (entry->subject.ptr == NULL) {
            return nx_fail_memory(&read->error);
        }
    }
    if (read->subjects == NULL) {
        return nx_fail_memory(&read->error);
    }
    qsort(read->subjects, read->subject_count, sizeof *read->subjects, compare_counts);
    return NX_OK;
}

/* All sequences from the first to the last: those that are not shown, and the subjects of the others. */
static enum nx_status give_details(struct nx_library *library, struct nx_library_stream *stream,
                                   const struct nx_stream_info *info, struct nx_map *seen,
                                   struct nx_read *read) {
    const uint64_t gone = info->count == 0 ? 0 : info->last_sequence - info->first_sequence + 1 - info->count;
    const size_t deleted_max = read->with_deleted ? (size_t)gone : 0;
    uint64_t at = info->first_sequence;
    if (deleted_max > NX_READ_DETAILS_MAX) {
        return nx_fail_kind(&read->error, NX_KIND_TOO_LARGE, "more than %d deleted messages",
                            NX_READ_DETAILS_MAX);
    }
    read->deleted = nx_arena_alloc(&read->arena, (deleted_max + 1) * sizeof *read->deleted);
    if (read->deleted == NULL) {
        return nx_fail_memory(&read->error);
    }
    while (info->count > 0 && at <= info->last_sequence) {
        struct nx_stored stored;
        const enum nx_stored_found found = nx_library_at_or_after(library, stream, at, &stored);
        const uint64_t reached = found == NX_STORED_NONE ? info->last_sequence + 1 : stored.sequence;
        const bool is_shown = found == NX_STORED_FOUND && nx_library_is_current(library, stream, &stored);
        const uint64_t until = is_shown || found == NX_STORED_NONE ? reached : reached + 1;
        for (; at < until; at++) {
            if (read->deleted_count < deleted_max) {
                read->deleted[read->deleted_count++] = at;
            }
        }
        if (is_shown) {
            at = stored.sequence + 1;
            if (read->with_subjects) {
                NX_TRY(note_subject(seen, read, &stored));
            }
        }
    }
    return read->with_subjects ? give_subjects(seen, read) : NX_OK;
}

/* When the last one came, also where that has left the disk. */
static int64_t last_time_of(const struct nx_library *library, const struct nx_library_stream *stream) {
    struct nx_stored stored = { 0 };
    const enum nx_stored_found found =
        nx_library_at_or_before(library, stream, stream->last_sequence, &stored);
    if (found == NX_STORED_FOUND && stored.sequence == stream->last_sequence) {
        return stored.time_ns;
    }
    for (size_t i = library->run_count; i-- > 0;) {
        uint64_t sequence;
        int64_t time_ns;
        if (nx_run_reach(library->runs[i], stream->number, &sequence, &time_ns) &&
            sequence == stream->last_sequence) {
            return time_ns;
        }
    }
    return stored.time_ns;
}

void nx_library_fill_exact(struct nx_library *library, struct nx_library_stream *stream,
                           struct nx_stream_info *info) {
    size_t looks = SIZE_MAX;
    struct nx_stored stored;
    *info = (struct nx_stream_info){ .name = stream->name,
                                     .last_sequence = stream->last_sequence,
                                     .count = stream->live.count,
                                     .size = stream->live.size };
    if (find_first(library, stream, &looks, &stored)) {
        info->first_sequence = stored.sequence;
        info->first_time_ns = stored.time_ns;
    } else {
        info->first_sequence = stream->first_sequence;
    }
    info->last_time_ns = last_time_of(library, stream);
}

/* How many of the subject are shown, and the size of the oldest of them. */
static void fill_subject(const struct nx_library *library, const struct nx_library_stream *stream,
                         struct nx_str subject, struct nx_stream_info *info) {
    struct nx_library_walk walk = { 0 };
    struct nx_stored stored;
    const uint64_t limit = stream->config.per_subject_max;
    *info = (struct nx_stream_info){ 0 };
    for (uint64_t newer = 0; newer < limit; newer++) {
        if (!nx_library_older_of_subject(library, stream, subject, &walk, &stored) ||
            stored.sequence < stream->first_sequence) {
            return;
        }
        if (!nx_library_is_deleted(stream, stored.sequence, subject)) {
            info->count++;
            info->size = size_of(&stored);
        }
    }
}

/* How many subjects there are, where they are few. */
static uint64_t count_subjects(struct nx_library *library, struct nx_library_stream *stream,
                               const struct nx_stream_info *info) {
    struct nx_read all = { 0 };
    struct nx_map seen;
    if (stream->config.per_subject_max == 1 || info->count <= 1) {
        return info->count;
    }
    if (info->count > SUBJECTS_COUNTED_MAX) {
        return 0;
    }
    nx_map_init(&seen, SUBJECTS_COUNTED_MAX + 1, library->seed);
    uint64_t at = info->first_sequence;
    struct nx_stored stored;
    while (nx_library_at_or_after(library, stream, nx_library_skip_deleted(stream, at), &stored) !=
           NX_STORED_NONE) {
        if (nx_library_is_current(library, stream, &stored) && note_subject(&seen, &all, &stored) != NX_OK) {
            break;
        }
        at = stored.sequence + 1;
    }
    const uint64_t count = seen.count;
    nx_map_fini(&seen);
    return count;
}

bool nx_library_answer_exact(struct nx_library *library, struct nx_library_stream *stream,
                             struct nx_read *read) {
    struct nx_map seen;
    if (!stream->live.is_wanted) {
        stream->live.is_wanted = true;
    }
    if (!stream->live.is_known) {
        size_t looks = PIECE_COUNT;
        if (!count_on(library, stream, &looks)) {
            library->expiry_ns = 0;
            return false;
        }
    }
    read->infos = nx_arena_alloc(&read->arena, 2 * sizeof *read->infos);
    if (read->infos == NULL) {
        read->status = nx_fail_memory(&read->error);
        return true;
    }
    read->info_count = 1;
    if (read->kind == NX_READ_ROOM) {
        read->info_count = 2;
        fill_subject(library, stream, read->subject, &read->infos[1]);
    }
    nx_library_fill_exact(library, stream, &read->infos[0]);
    read->infos[0].name = nx_arena_copy(&read->arena, stream->name);
    read->status = NX_OK;
    if (read->kind == NX_READ_INFO) {
        read->subject_total = count_subjects(library, stream, &read->infos[0]);
    }
    if (read->with_deleted || read->with_subjects) {
        nx_map_init(&seen, NX_READ_DETAILS_MAX, library->seed);
        read->status = give_details(library, stream, &read->infos[0], &seen, read);
        nx_map_fini(&seen);
    }
    return true;
}
