/* Answering reads: what was found is copied into the question's own arena. */
#include <inttypes.h>

#include "fabric/backend_journal/journal_internal.h"
#include "fabric/backend_journal/library_internal.h"
#include "fabric/subject/subject.h"

enum { WALK_MAX = 65536 }; /* records looked at for one answer, so that no filter holds up the others */

/* What is put together for one answer. */
struct answer {
    struct nx_library *library;
    struct nx_read *read;
    size_t count;
    size_t count_max;
    size_t size;
    size_t size_max;
    bool failed; /* no memory */
};

static struct answer answer_of(struct nx_library *library, struct nx_read *read) {
    struct answer answer = { .library = library, .read = read };
    answer.count_max =
        read->count_max == 0 || read->count_max > NX_READ_COUNT_MAX ? NX_READ_COUNT_MAX : read->count_max;
    answer.size_max =
        read->size_max == 0 || read->size_max > NX_READ_SIZE_MAX ? NX_READ_SIZE_MAX : read->size_max;
    return answer;
}

static bool has_room(const struct answer *answer, const struct nx_stored *stored) {
    const size_t size = stored->subject.len + stored->headers.len + stored->payload.len;
    return answer->count < answer->count_max &&
           (answer->count == 0 || answer->size + size <= answer->size_max);
}

static bool grow_found(struct nx_library *library, size_t count) {
    if (count < library->found_capacity) {
        return true;
    }
    const size_t capacity = library->found_capacity == 0 ? 16 : library->found_capacity * 2;
    struct nx_record *found = reallocarray(library->found, capacity, sizeof *found);
    if (found == NULL) {
        return false;
    }
    library->found = found;
    library->found_capacity = capacity;
    return true;
}

static struct nx_str put(char **at, struct nx_str bytes) {
    char *start = *at;
    if (bytes.len > 0) {
        memcpy(start, bytes.ptr, bytes.len);
    }
    *at += bytes.len;
    return nx_str_of(start, bytes.len);
}

static void add(struct answer *answer, const struct nx_library_stream *stream,
                const struct nx_stored *stored) {
    struct nx_library *library = answer->library;
    const size_t size = stored->subject.len + stored->headers.len + stored->payload.len;
    char *at = nx_arena_alloc_raw(&answer->read->arena, size + stream->name.len + 1);
    if (at == NULL || !grow_found(library, answer->count)) {
        answer->failed = true;
        return;
    }
    struct nx_record *record = &library->found[answer->count++];
    record->sequence = stored->sequence;
    record->time_ns = stored->time_ns;
    record->subject = put(&at, stored->subject);
    record->headers = put(&at, stored->headers);
    record->payload = put(&at, stored->payload);
    record->stream = put(&at, stream->name);
    answer->size += size;
}

/* Hand over what was added. */
static void finish(struct answer *answer) {
    struct nx_read *read = answer->read;
    struct nx_library *library = answer->library;
    const size_t size = answer->count * sizeof *read->records;
    read->record_count = 0;
    read->records = size == 0 ? NULL : nx_arena_alloc(&read->arena, size);
    if (answer->failed || (size > 0 && read->records == NULL)) {
        read->status = nx_fail_memory(&read->error);
        return;
    }
    if (size > 0) {
        memcpy(read->records, library->found, size);
    }
    read->record_count = answer->count;
    read->status = NX_OK;
    if (library->found_capacity > 256) { /* memory of a large answer is not kept */
        free(NX_TAKE(library->found));
        library->found_capacity = 0;
    }
}

static void fail_no_stream(struct nx_read *read) {
    read->status = nx_fail(&read->error, NX_NOT_FOUND, "there is no stream '%.*s'",
                           NX_STR_ARG(nx_str_slice(read->stream, 0, NX_STREAM_NAME_SIZE_MAX)));
}

static void answer_sequence(struct nx_library *library, struct nx_read *read) {
    struct nx_library_stream *stream = nx_map_get(&library->streams, read->stream);
    struct answer answer = answer_of(library, read);
    const uint64_t sequence = read->from_sequence;
    struct nx_stored stored;
    if (stream == NULL) {
        fail_no_stream(read);
        return;
    }
    const enum nx_stored_found found = nx_library_at_or_after(library, stream, sequence, &stored);
    if (found == NX_STORED_FOUND && stored.sequence == sequence &&
        nx_library_is_current(library, stream, &stored)) {
        add(&answer, stream, &stored);
        finish(&answer);
        return;
    }
    if ((found == NX_STORED_DAMAGED && stored.sequence == sequence) ||
        nx_library_lost_between(stream, sequence, sequence) > 0) {
        read->status = nx_fail(&read->error, NX_DATA_LOSS, "record %.*s:%" PRIu64 " is damaged",
                               NX_STR_ARG(stream->name), sequence);
        return;
    }
    struct nx_stream_info info;
    if (sequence > 0 && sequence <= stream->last_sequence && stream->config.per_subject_max > 0) {
        read->status = nx_fail_kind(&read->error, NX_KIND_EXPIRED,
                                    "record %.*s:%" PRIu64 " is gone: newer ones took its place",
                                    NX_STR_ARG(stream->name), sequence);
        return;
    }
    nx_library_info(library, stream, &info);
    if (sequence > 0 && sequence <= stream->last_sequence &&
        (info.first_sequence == 0 || sequence < info.first_sequence)) {
        read->status = nx_fail_kind(&read->error, NX_KIND_EXPIRED, "record %.*s:%" PRIu64 " has expired",
                                    NX_STR_ARG(stream->name), sequence);
        return;
    }
    read->status = nx_fail(&read->error, NX_NOT_FOUND, "there is no record %.*s:%" PRIu64,
                           NX_STR_ARG(stream->name), sequence);
}

/* Where some were deleted. */
static bool find_last(const struct nx_library *library, const struct nx_library_stream *stream,
                      struct nx_str subject, struct nx_stored *stored_out) {
    struct nx_library_walk walk = { 0 };
    const uint64_t limit = stream->config.per_subject_max;
    for (uint64_t newer = 0; limit == 0 || newer < limit; newer++) {
        if (!nx_library_older_of_subject(library, stream, subject, &walk, stored_out) ||
            stored_out->sequence < stream->first_sequence) {
            return false;
        }
        if (!nx_library_is_deleted(stream, stored_out->sequence, subject)) {
            return true;
        }
    }
    return false;
}

static void answer_last(struct nx_library *library, struct nx_read *read) {
    const struct nx_library_stream *stream = nx_map_get(&library->streams, read->stream);
    struct answer answer = answer_of(library, read);
    struct nx_stored stored = { 0 };
    if (stream == NULL) {
        fail_no_stream(read);
        return;
    }
    if (stream->marks != NULL && find_last(library, stream, read->subject, &stored)) {
        add(&answer, stream, &stored);
        finish(&answer);
        return;
    }
    const uint64_t sequence =
        stream->marks != NULL ? 0 : nx_library_last_of_subject(library, stream, read->subject);
    if (sequence == 0) {
        read->status = nx_fail(&read->error, NX_NOT_FOUND, "stream '%.*s' has no record '%.*s'",
                               NX_STR_ARG(stream->name), NX_STR_ARG(nx_str_slice(read->subject, 0, 128)));
        return;
    }
    if (nx_library_at_or_after(library, stream, sequence, &stored) != NX_STORED_FOUND ||
        stored.sequence != sequence) {
        read->status = nx_fail(&read->error, NX_DATA_LOSS, "record %.*s:%" PRIu64 " is damaged",
                               NX_STR_ARG(stream->name), sequence);
        return;
    }
    add(&answer, stream, &stored);
    finish(&answer);
}

static bool visit_found(void *data, const struct nx_library_stream *stream, const struct nx_stored *stored) {
    struct answer *answer = data;
    if (!has_room(answer, stored)) {
        return false;
    }
    add(answer, stream, stored);
    return !answer->failed;
}

static void answer_key(struct nx_library *library, struct nx_read *read, enum nx_key_kind kind) {
    struct answer answer = answer_of(library, read);
    if (read->key.len > 0) {
        nx_library_find(library, kind, read->key, visit_found, &answer);
    }
    finish(&answer);
    if (read->status == NX_OK && read->record_count == 0) {
        read->status = nx_fail(&read->error, NX_NOT_FOUND, "nothing is known of '%.*s'",
                               NX_STR_ARG(nx_str_slice(read->key, 0, 128)));
    }
}

static bool copy_info(struct nx_library *library, struct nx_library_stream *stream, struct nx_read *read) {
    struct nx_stream_info *info = &read->infos[read->info_count++];
    if (stream->live.is_known) {
        nx_library_fill_exact(library, stream, info);
    } else {
        nx_library_info(library, stream, info);
    }
    if (!stream->live.is_known && stream->config.per_subject_max > 0) {
        info->count = nx_library_count_current(library, stream);
    }
    info->name = nx_arena_copy(&read->arena, stream->name);
    return info->name.ptr != NULL;
}

static void answer_info(struct nx_library *library, struct nx_read *read) {
    size_t cursor = 0;
    struct nx_str name;
    void *value = NULL;
    bool ok = true;
    struct nx_library_stream *only =
        read->stream.len == 0 ? NULL : nx_map_get(&library->streams, read->stream);
    if (read->stream.len > 0 && only == NULL) {
        fail_no_stream(read);
        return;
    }
    const size_t count = only != NULL ? 1 : library->streams.count;
    read->info_count = 0;
    read->infos = nx_arena_alloc(&read->arena, (count + 1) * sizeof *read->infos);
    if (read->infos == NULL) {
        read->status = nx_fail_memory(&read->error);
        return;
    }
    if (only != NULL) {
        ok = copy_info(library, only, read);
    }
    if (only == NULL) {
        nx_library_info_prepare(library);
    }
    while (only == NULL && ok && nx_map_next(&library->streams, &cursor, &name, &value)) {
        ok = copy_info(library, value, read);
    }
    read->status = ok ? NX_OK : nx_fail_memory(&read->error);
}

/* ---- scans ---- */

bool nx_library_scan_begin(struct nx_library *library, struct nx_read *read,
                           struct nx_library_stream **stream_out) {
    struct nx_library_stream *stream = nx_map_get(&library->streams, read->stream);
    read->record_count = 0;
    read->lost_count = 0;
    read->at_end = false;
    if (stream == NULL) {
        fail_no_stream(read);
        return false;
    }
    struct nx_str filters = read->subject;
    struct nx_str filter;
    while (filters.len > 0 && nx_str_split(&filters, ' ', &filter)) {
        if (!nx_subject_is_filter(filter)) {
            read->status = nx_fail(&read->error, NX_INVALID_ARGUMENT, "'%.*s' cannot be a filter of subjects",
                                   NX_STR_ARG(nx_str_slice(filter, 0, 128)));
            return false;
        }
    }
    uint64_t from = read->from_sequence == 0 ? 1 : read->from_sequence;
    if (read->from_time_ns > 0) {
        const uint64_t at = nx_library_sequence_at(library, stream, read->from_time_ns);
        from = at > from ? at : from;
    }
    read->next_sequence = from;
    if (read->backward) {
        uint64_t to = read->to_sequence == 0 || read->to_sequence > stream->last_sequence
                          ? stream->last_sequence
                          : read->to_sequence;
        if (read->to_time_ns > 0) {
            const uint64_t at = nx_library_sequence_at(library, stream, read->to_time_ns);
            to = at - 1 < to ? at - 1 : to;
        }
        read->next_sequence = to;
        read->from_sequence = from;
    }
    *stream_out = stream;
    return true;
}

/* Records of streams that keep only some of a subject are hidden once there are newer ones. */
static bool is_wanted(const struct nx_library *library, const struct nx_library_stream *stream,
                      const struct nx_read *read, const struct nx_stored *stored) {
    if (!nx_library_matches(read->subject, stored->subject)) {
        return false;
    }
    return nx_library_is_current(library, stream, stored);
}

/* Pass over what the filter cannot match, once for each run. */
static void skip(const struct nx_library *library, const struct nx_library_stream *stream,
                 struct nx_read *read, uint64_t *checked_until) {
    if (read->subject.len == 0 || read->next_sequence <= *checked_until) {
        return;
    }
    const uint64_t to = nx_library_skip(library, stream, read->next_sequence, read->subject, checked_until);
    if (to > read->next_sequence) {
        read->lost_count += nx_library_lost_between(stream, read->next_sequence, to - 1);
        read->next_sequence = to;
    }
}

bool nx_library_scan(struct nx_library *library, struct nx_library_stream *stream, struct nx_read *read) {
    struct answer answer = answer_of(library, read);
    uint64_t checked_until = 0;
    bool is_beyond = false; /* nothing that comes later can be in the range */
    read->at_end = false;   /* a scan that waited comes here again */
    for (size_t walked = 0; walked < WALK_MAX && !answer.failed; walked++) {
        struct nx_stored stored;
        skip(library, stream, read, &checked_until);
        read->next_sequence = nx_library_skip_deleted(stream, read->next_sequence);
        const enum nx_stored_found found =
            nx_library_at_or_after(library, stream, read->next_sequence, &stored);
        const uint64_t reached = found == NX_STORED_NONE ? stream->last_sequence + 1 : stored.sequence;
        is_beyond = (read->to_sequence > 0 && reached > read->to_sequence) ||
                    (found == NX_STORED_FOUND && read->to_time_ns > 0 && stored.time_ns >= read->to_time_ns);
        if (found == NX_STORED_FOUND && !is_beyond && is_wanted(library, stream, read, &stored)) {
            if (!has_room(&answer, &stored)) {
                break;
            }
            add(&answer, stream, &stored);
        }
        if (reached > read->next_sequence) {
            read->lost_count += nx_library_lost_between(stream, read->next_sequence, reached - 1);
        }
        if (found == NX_STORED_NONE || is_beyond) {
            read->next_sequence = reached > read->next_sequence ? reached : read->next_sequence;
            read->at_end = true;
            break;
        }
        read->lost_count += found == NX_STORED_DAMAGED ? 1 : 0;
        read->next_sequence = stored.sequence + 1;
    }
    finish(&answer);
    /* One that was cut short says how far it came: nobody may come to wake it. */
    return read->status != NX_OK || read->record_count > 0 || is_beyond || !read->at_end;
}

static void scan_backward(struct nx_library *library, const struct nx_library_stream *stream,
                          struct nx_read *read) {
    struct answer answer = answer_of(library, read);
    for (size_t walked = 0; walked < WALK_MAX && !answer.failed; walked++) {
        struct nx_stored stored;
        const enum nx_stored_found found =
            read->next_sequence == 0 ? NX_STORED_NONE
                                     : nx_library_at_or_before(library, stream, read->next_sequence, &stored);
        if (found == NX_STORED_NONE || stored.sequence < read->from_sequence) {
            read->lost_count += nx_library_lost_between(stream, read->from_sequence, read->next_sequence);
            read->next_sequence = 0;
            read->at_end = true;
            break;
        }
        if (found == NX_STORED_FOUND && is_wanted(library, stream, read, &stored)) {
            if (!has_room(&answer, &stored)) {
                break;
            }
            add(&answer, stream, &stored);
        }
        if (stored.sequence < read->next_sequence) {
            read->lost_count += nx_library_lost_between(stream, stored.sequence + 1, read->next_sequence);
        }
        read->lost_count += found == NX_STORED_DAMAGED ? 1 : 0;
        read->next_sequence = stored.sequence - 1;
    }
    finish(&answer);
}

static void answer_count(struct nx_library *library, struct nx_read *read) {
    struct nx_library_stream *counted = nx_map_get(&library->streams, read->stream);
    if (counted == NULL) {
        fail_no_stream(read);
        return;
    }
    if (read->kind == NX_READ_LASTS) {
        nx_library_answer_lasts(library, counted, read);
    } else {
        nx_library_answer_count(library, counted, read);
    }
}

void nx_library_answer(struct nx_library *library, struct nx_read *read) {
    struct nx_library_stream *stream;
    read->record_count = 0;
    read->info_count = 0;
    switch (read->kind) {
    case NX_READ_BY_SEQUENCE:
        answer_sequence(library, read);
        return;
    case NX_READ_LAST:
        answer_last(library, read);
        return;
    case NX_READ_BY_ID:
        answer_key(library, read, NX_KEY_ID);
        return;
    case NX_READ_BY_REFERENCE:
        answer_key(library, read, NX_KEY_REFERENCE);
        return;
    case NX_READ_SCAN:
        if (nx_library_scan_begin(library, read, &stream)) {
            if (read->backward) {
                scan_backward(library, stream, read);
            } else {
                (void)nx_library_scan(library, stream, read);
            }
        }
        return;
    case NX_READ_INFO:
        answer_info(library, read);
        return;
    case NX_READ_COUNT:
    case NX_READ_LASTS:
        answer_count(library, read);
        return;
    case NX_READ_ROOM: /* of streams that are not JetStream's */
        break;
    }
    read->status = nx_fail(&read->error, NX_INVALID_ARGUMENT, "unknown kind of read");
}
