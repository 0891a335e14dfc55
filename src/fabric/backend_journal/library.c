#include "fabric/backend_journal/library.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "fabric/backend_journal/journal_internal.h"
#include "fabric/backend_journal/library_internal.h"

#define RETRY_NS                                                                               \
    (20 * (int64_t)NX_NS_PER_MS) /* after which the log is followed again when it could not be \
                                  */

enum { UNSEALED_SEGMENTS = 2 }; /* being written and being sealed; with more of them sealing is behind */

/* ---- what the log says ---- */

static void stream_free(struct nx_library_stream *stream) {
    if (stream == NULL) {
        return;
    }
    nx_message_queue_release(&stream->parked);
    while (stream->protections != NULL) {
        struct nx_message *wish = &stream->protections->message;
        stream->protections = (struct nx_protect *)(void *)wish->next;
        nx_message_release(wish);
    }
    nx_message_queue_release(&stream->infos);
    nx_library_marks_free(stream->marks);
    free(stream->defined);
    free((void *)(uintptr_t)stream->name.ptr);
    free(stream->lost);
    free(stream);
}

static enum nx_status add_stream(struct nx_library *library, struct nx_str name,
                                 const struct nx_stream_config *config, struct nx_library_stream **stream_out,
                                 struct nx_error *err);

/* The stream of which this one has the marks. */
static enum nx_status find_marked(struct nx_library *library, struct nx_library_stream *stream,
                                  struct nx_error *err) {
    char name[NX_STREAM_NAME_SIZE_MAX + 1];
    (void)snprintf(name, sizeof name, "JS_%.*s", NX_STR_ARG(nx_str_slice(stream->name, 4, stream->name.len)));
    stream->marked = nx_map_get(&library->streams, nx_str_from_c(name));
    return stream->marked != NULL ? NX_OK
                                  : add_stream(library, nx_str_from_c(name), NULL, &stream->marked, err);
}

static enum nx_status add_stream(struct nx_library *library, struct nx_str name,
                                 const struct nx_stream_config *config, struct nx_library_stream **stream_out,
                                 struct nx_error *err) {
    struct nx_library_stream *stream = calloc(1, sizeof *stream);
    char *copy = malloc(name.len + 1);
    if (stream == NULL || copy == NULL) {
        free(stream);
        free(copy);
        return nx_fail_memory(err);
    }
    memcpy(copy, name.ptr, name.len);
    copy[name.len] = '\0';
    stream->name = nx_str_of(copy, name.len);
    stream->first_sequence = 1;
    const enum nx_status status = nx_map_set(&library->streams, name, stream, err);
    if (status != NX_OK) {
        stream_free(stream);
        return status;
    }
    if (config != NULL) {
        stream->config = *config;
    } else {
        nx_stream_undeclared_config(&stream->config, stream->name);
    }
    *stream_out = stream;
    return nx_str_starts_with(name, NX_STR("JSM_")) ? find_marked(library, stream, err) : NX_OK;
}

enum nx_status nx_library_init(struct nx_library *library, const struct nx_fabric_options *options,
                               struct nx_board *board, const char *directory, struct nx_mailbox *appends,
                               struct nx_mailbox *reads, struct nx_error *err) {
    *library = (struct nx_library){ .options = options,
                                    .board = board,
                                    .directory = directory,
                                    .appends = appends,
                                    .reads = reads,
                                    .seed = nx_random_u64(&options->random),
                                    .cache = calloc(1, sizeof *library->cache),
                                    .runs_generation = 1,
                                    .next_deadline_ns = INT64_MAX };
    if (library->cache == NULL) {
        return nx_fail_memory(err);
    }
    NX_TRY(nx_vault_init(&library->vault, options, err));
    nx_map_init(&library->streams, NX_STREAMS_MAX, nx_random_u64(&options->random));
    for (size_t i = 0; i < options->stream_count; i++) {
        struct nx_library_stream *stream;
        NX_TRY(add_stream(library, options->streams[i].name, &options->streams[i], &stream, err));
    }
    return NX_OK;
}

void nx_library_fini(struct nx_library *library) {
    size_t cursor = 0;
    struct nx_str name;
    void *stream;
    while (nx_map_next(&library->streams, &cursor, &name, &stream)) {
        stream_free(stream);
    }
    nx_map_fini(&library->streams);
    for (size_t i = 0; i < library->tail_count; i++) {
        nx_tail_free(library->tails[i]);
    }
    free(library->tails);
    nx_run_writer_close(library->sealing.writer);
    nx_library_merge_stop(library);
    for (size_t i = 0; i < library->run_count; i++) {
        nx_run_close(library->runs[i], NULL);
    }
    free(library->runs);
    if (library->cache != NULL) {
        nx_run_cache_fini(library->cache);
        free(library->cache);
    }
    nx_message_queue_release(&library->when_held);
    free(library->by_number);
    free(library->found);
    nx_vault_fini(&library->vault);
    nx_message_queue_release(&library->to_seal);
    nx_message_queue_release(&library->erasing);
    nx_wal_tracker_fini(&library->tracker);
    *library = (struct nx_library){ 0 };
}

static enum nx_status define_one(struct nx_library *library, const struct nx_define *define, int64_t now_ns,
                                 struct nx_error *err) {
    const struct nx_str name = nx_str_from_c(define->stream);
    struct nx_library_stream *stream = nx_map_get(&library->streams, name);
    if (stream == NULL) {
        NX_TRY(add_stream(library, name, NULL, &stream, err));
    }
    if (stream->defined == NULL) {
        stream->defined = calloc(1, sizeof *stream->defined);
        if (stream->defined == NULL) {
            return nx_fail_memory(err);
        }
    }
    *stream->defined = *define; /* the message in it is of no meaning */
    nx_stream_config_define(&stream->config, define);
    const uint64_t first = define->is_gone ? stream->last_sequence + 1 : define->first_sequence;
    if (first > stream->first_sequence) {
        nx_library_expire_before(stream, first);
    }
    /* The limit of a subject may be another one. */
    stream->is_counted = false;
    stream->live = (struct nx_library_live){ .is_wanted = stream->marked == NULL };
    stream->has_expiry = false;
    library->expiry_ns = 0;
    (void)nx_library_keep_limits_of(library, stream, now_ns);
    library->info_generation = 0;
    library->retention_at_ns = 0;
    return NX_OK;
}

/* A stream of JetStream's, with those beside it. */
enum nx_status nx_library_define(struct nx_library *library, const struct nx_define *define, int64_t now_ns,
                                 struct nx_error *err) {
    struct nx_define beside = { .is_gone = define->is_gone, .per_subject_max = 1 };
    NX_TRY(define_one(library, define, now_ns, err));
    if (!nx_str_starts_with(nx_str_from_c(define->stream), NX_STR("JS_"))) {
        return NX_OK;
    }
    (void)snprintf(beside.stream, sizeof beside.stream, "JSM_%.250s", define->stream + 3);
    NX_TRY(define_one(library, &beside, now_ns, err));
    (void)snprintf(beside.stream, sizeof beside.stream, "JSC_%.250s", define->stream + 3);
    return define_one(library, &beside, now_ns, err);
}

static enum nx_status give_number(struct nx_library *library, struct nx_library_stream *stream,
                                  uint32_t number, struct nx_error *err) {
    if (number >= library->by_number_count) {
        const size_t count = ((size_t)number + 64) * 3 / 2;
        struct nx_library_stream **grown = reallocarray(library->by_number, count, sizeof *grown);
        if (grown == NULL) {
            return nx_fail_memory(err);
        }
        memset(grown + library->by_number_count, 0, (count - library->by_number_count) * sizeof *grown);
        library->by_number = grown;
        library->by_number_count = count;
    }
    library->by_number[number] = stream;
    stream->number = number;
    return NX_OK;
}

static void park(struct nx_library *library, struct nx_library_stream *stream, struct nx_read *read) {
    const int64_t until_ns = read->wait_until_ns;
    stream->deadline_ns =
        stream->parked.count == 0 || until_ns < stream->deadline_ns ? until_ns : stream->deadline_ns;
    library->next_deadline_ns = until_ns < library->next_deadline_ns ? until_ns : library->next_deadline_ns;
    library->parked_count++;
    nx_message_queue_push(&stream->parked, &read->message);
    if (!stream->is_waiting) {
        stream->is_waiting = true;
        stream->next_waiting = library->waiting;
        library->waiting = stream;
    }
}

/* The stream is about to be freed: `heir` gets the scans that wait for it. */
static void leave_lists(struct nx_library *library, struct nx_library_stream *stream,
                        struct nx_library_stream *heir) {
    struct nx_message *message;
    while ((message = nx_message_queue_pop(&stream->parked)) != NULL) {
        library->parked_count--;
        park(library, heir, (struct nx_read *)message);
    }
    for (struct nx_library_stream **at = &library->waiting; *at != NULL; at = &(*at)->next_waiting) {
        if (*at == stream) {
            *at = stream->next_waiting;
            break;
        }
    }
    for (struct nx_library_stream **at = &library->news; *at != NULL; at = &(*at)->next_news) {
        if (*at == stream) {
            *at = stream->next_news;
            break;
        }
    }
}

enum nx_status nx_library_see_stream(struct nx_library *library, uint32_t number, struct nx_str name,
                                     uint64_t last_sequence, struct nx_error *err) {
    struct nx_library_stream *stream = nx_library_numbered(library, number);
    if (stream != NULL && nx_str_equal(stream->name, name)) {
        return NX_OK;
    }
    struct nx_library_stream *named = nx_map_get(&library->streams, name);
    if (named == NULL) {
        NX_TRY(add_stream(library, name, NULL, &named, err));
    }
    if (stream != NULL) { /* it had a makeshift name until now: hand over what is known of it */
        named->last_sequence = stream->last_sequence;
        free(named->lost);
        named->lost = NX_TAKE(stream->lost);
        named->lost_count = stream->lost_count;
        named->lost_capacity = stream->lost_capacity;
        leave_lists(library, stream, named);
        (void)nx_map_remove(&library->streams, stream->name);
        stream_free(stream);
    } else {
        named->last_sequence = last_sequence;
    }
    return give_number(library, named, number, err);
}

/* The index of this segment; a new one when it is the next. */
static enum nx_status obtain_tail(struct nx_library *library, uint64_t number, struct nx_tail **tail_out,
                                  struct nx_error *err) {
    if (library->tail_count > 0) {
        struct nx_tail *newest = library->tails[library->tail_count - 1];
        if (nx_tail_segment(newest)->number == number) {
            *tail_out = newest;
            return NX_OK;
        }
    }
    if (library->tail_count == library->tail_capacity) {
        const size_t capacity = library->tail_capacity == 0 ? 4 : library->tail_capacity * 2;
        struct nx_tail **tails = reallocarray(library->tails, capacity, sizeof *tails);
        if (tails == NULL) {
            return nx_fail_memory(err);
        }
        library->tails = tails;
        library->tail_capacity = capacity;
    }
    struct nx_segment *segment = NULL;
    struct nx_tail *tail = NULL;
    NX_TRY(nx_segment_open(library->options->disk, library->directory, number, &segment, err));
    const enum nx_status status = nx_tail_new(segment, library->seed, &tail, err);
    if (status != NX_OK) {
        nx_segment_close(segment);
        return status;
    }
    library->tails[library->tail_count++] = tail;
    library->retention_at_ns = 0; /* the log takes more */
    *tail_out = tail;
    return NX_OK;
}

static void note_news(struct nx_library *library, struct nx_library_stream *stream) {
    if (!stream->has_news) {
        stream->has_news = true;
        stream->next_news = library->news;
        library->news = stream;
    }
}

/* Whether more than the newest record of a subject may be asked for: always of a client's stream, for its
 * definition comes later, and what a record pushes out is looked up when that is there. */
static bool keeps_history(const struct nx_library_stream *stream) {
    return stream->config.per_subject_max > 1 || nx_str_starts_with(stream->name, NX_STR("JS_"));
}

enum nx_status nx_library_see_record(struct nx_library *library, const struct nx_segment *segment,
                                     const struct nx_frame *frame, struct nx_error *err) {
    struct nx_library_stream *stream = nx_library_numbered(library, frame->header.stream);
    struct nx_tail *tail = NULL;
    if (stream == NULL) {
        return NX_OK;
    }
    NX_TRY(obtain_tail(library, segment->number, &tail, err));
    const bool is_one_more = nx_library_is_one_more(library, stream, frame);
    if (stream->marked != NULL) {
        struct nx_stored mark;
        nx_stored_of_frame(frame, &mark); /* taken again it would change nothing */
        NX_TRY(nx_library_take_mark(library, stream->marked, mark.subject, mark.payload, err));
        library->expiry_ns = 0;
    }
    NX_TRY(nx_tail_add(tail, frame, keeps_history(stream), err));
    stream->current_count += is_one_more ? 1 : 0;
    stream->last_sequence = frame->header.sequence;
    nx_library_note_added(library, stream, frame);
    note_news(library, stream);
    return NX_OK;
}

enum nx_status nx_library_see_gap(struct nx_library *library, uint32_t number, uint64_t first, uint64_t last,
                                  bool lost, struct nx_error *err) {
    struct nx_library_stream *stream = nx_library_numbered(library, number);
    if (stream == NULL) {
        return NX_OK;
    }
    stream->last_sequence = last;
    if (!lost) {
        return NX_OK;
    }
    if (stream->lost_count == stream->lost_capacity) {
        const size_t capacity = stream->lost_capacity == 0 ? 4 : stream->lost_capacity * 2;
        struct nx_library_gap *gaps = reallocarray(stream->lost, capacity, sizeof *gaps);
        if (gaps == NULL) {
            return nx_fail_memory(err);
        }
        stream->lost = gaps;
        stream->lost_capacity = capacity;
    }
    stream->lost[stream->lost_count++] = (struct nx_library_gap){ .first = first, .last = last };
    return NX_OK;
}

/* ---- following ---- */

static enum nx_status follow_stream(void *data, uint32_t stream, struct nx_str name, uint64_t first_sequence,
                                    uint64_t last_sequence, int64_t time_ns, struct nx_error *err) {
    (void)first_sequence;
    (void)time_ns;
    return nx_library_see_stream(data, stream, name, last_sequence, err);
}

static enum nx_status follow_record(void *data, const struct nx_segment *segment,
                                    const struct nx_frame *frame, struct nx_error *err) {
    return nx_library_see_record(data, segment, frame, err);
}

static enum nx_status follow_gap(void *data, uint32_t stream, uint64_t first, uint64_t last, bool lost,
                                 struct nx_error *err) {
    return nx_library_see_gap(data, stream, first, last, lost, err);
}

void nx_library_start(struct nx_library *library, struct nx_wal_tracker *tracker, uint64_t segment,
                      uint64_t offset) {
    library->tracker = *tracker;
    *tracker = (struct nx_wal_tracker){ 0 };
    library->tracker.visitor = (struct nx_wal_visitor){
        .data = library, .stream = follow_stream, .record = follow_record, .gap = follow_gap
    };
    library->tracker.report = NULL;
    library->segment = segment;
    library->offset = offset;
}

/* Take in the frames of one segment up to `limit`. */
static enum nx_status follow_segment(struct nx_library *library, uint64_t number, uint64_t limit,
                                     struct nx_error *err) {
    struct nx_tail *tail = NULL;
    if (library->offset >= limit) {
        return NX_OK;
    }
    NX_TRY(obtain_tail(library, number, &tail, err));
    struct nx_segment_cursor cursor = nx_segment_cursor_of(nx_tail_segment(tail), limit);
    cursor.offset = library->offset;
    for (;;) {
        struct nx_frame frame;
        struct nx_damage damage;
        const enum nx_segment_step step = nx_segment_next(&cursor, &frame, &damage);
        if (step == NX_SEGMENT_END) {
            library->offset = limit;
            return NX_OK;
        }
        if (step == NX_SEGMENT_FRAME) {
            NX_TRY(nx_wal_tracker_frame(&library->tracker, cursor.segment, &frame, err));
        }
        library->offset = cursor.offset;
    }
}

/* Where the segment ends, as the one behind it says: the journal leaves no number out. */
static enum nx_status end_of(struct nx_library *library, uint64_t number, uint64_t *end_out,
                             struct nx_error *err) {
    NX_AUTO(nx_segment) *next = NULL;
    NX_TRY(nx_segment_open(library->options->disk, library->directory, number + 1, &next, err));
    if (next->header.previous_number != number) {
        return nx_fail(err, NX_DATA_LOSS, "segment %" PRIu64 " does not go on from the one before it",
                       number + 1);
    }
    *end_out = next->header.previous_end;
    return NX_OK;
}

enum nx_status nx_library_catch_up(struct nx_library *library, struct nx_error *err) {
    const uint64_t committed = nx_counter_get(&library->board->committed);
    const uint64_t segment = committed >> 32;
    const uint64_t end = committed & UINT32_MAX;
    while (library->segment < segment) {
        uint64_t limit = 0;
        NX_TRY(end_of(library, library->segment, &limit, err));
        NX_TRY(follow_segment(library, library->segment, limit, err));
        library->segment++;
        library->offset = NX_SEGMENT_DATA_OFFSET;
    }
    return follow_segment(library, segment, end, err);
}

/* ---- the actor ---- */

static void reply(struct nx_library *library, struct nx_read *read) {
    nx_vault_open_all(&library->vault, read);
    nx_message_reply(&read->message);
}

/* Look again at the scans that wait for this stream. `has_news`: more may be there than when they were
 * parked. */
static void look_at_parked(struct nx_library *library, struct nx_library_stream *stream, bool has_news,
                           int64_t now_ns) {
    struct nx_message_queue parked = stream->parked;
    struct nx_message *message;
    stream->parked = (struct nx_message_queue){ 0 };
    while ((message = nx_message_queue_pop(&parked)) != NULL) {
        struct nx_read *read = (struct nx_read *)message;
        library->parked_count--;
        if ((has_news && nx_library_scan(library, stream, read)) || read->wait_until_ns <= now_ns) {
            reply(library, read);
        } else {
            park(library, stream, read);
        }
    }
}

static void look_at_due(struct nx_library *library, int64_t now_ns) {
    struct nx_library_stream **at = &library->waiting;
    library->next_deadline_ns = INT64_MAX;
    while (*at != NULL) {
        struct nx_library_stream *stream = *at;
        if (stream->parked.count > 0 && stream->deadline_ns <= now_ns) {
            look_at_parked(library, stream, false, now_ns);
        }
        if (stream->parked.count == 0) {
            *at = stream->next_waiting;
            stream->is_waiting = false;
            continue;
        }
        if (stream->deadline_ns < library->next_deadline_ns) {
            library->next_deadline_ns = stream->deadline_ns;
        }
        at = &stream->next_waiting;
    }
}

/* Only streams that have news, or scans whose time is up, are looked at: there may be very many. */
static void look_at_all_parked(struct nx_library *library, int64_t now_ns) {
    while (library->news != NULL) {
        struct nx_library_stream *stream = library->news;
        library->news = stream->next_news;
        stream->has_news = false;
        if (stream->parked.count > 0) {
            look_at_parked(library, stream, true, now_ns);
        }
    }
    if (library->next_deadline_ns <= now_ns) {
        look_at_due(library, now_ns);
    }
}

/* Readers outside come and go, and those that went still wait here: only so many at once. Who waits without
 * an end is one of us. */
static bool may_park(const struct nx_library *library, struct nx_read *read) {
    if (library->parked_count < NX_LIBRARY_PARKED_MAX || read->wait_until_ns == INT64_MAX) {
        return true;
    }
    read->status = nx_fail_kind(&read->error, NX_KIND_OVERLOADED, "%d reads wait for news already",
                                NX_LIBRARY_PARKED_MAX);
    return false;
}

/* What a client's stream holds, exactly; the answer may have to wait. False: it is another stream. */
static bool answer_counted(struct nx_library *library, struct nx_read *read) {
    struct nx_library_stream *stream =
        read->stream.len == 0 ? NULL : nx_map_get(&library->streams, read->stream);
    if (stream == NULL || stream->defined == NULL || stream->marked != NULL) {
        return false;
    }
    if (nx_library_answer_exact(library, stream, read)) {
        nx_message_reply(&read->message);
    } else {
        nx_message_queue_push(&stream->infos, &read->message);
    }
    return true;
}

/* `behind`: why what was committed could not be taken in, or NULL. Then nothing is answered from what is
 * known: a record that the asker saw acknowledged may be missing in it. */
static void handle_read(struct nx_library *library, struct nx_read *read, const struct nx_error *behind,
                        struct nx_now now) {
    struct nx_library_stream *stream;
    if (behind != NULL) {
        read->status = behind->status;
        read->error = *behind;
        nx_message_reply(&read->message);
        return;
    }
    if ((read->kind == NX_READ_INFO || read->kind == NX_READ_ROOM) && answer_counted(library, read)) {
        return;
    }
    if (read->kind != NX_READ_SCAN || !read->wait || read->backward) {
        nx_library_answer(library, read);
        reply(library, read);
        return;
    }
    if (!nx_library_scan_begin(library, read, &stream) || nx_library_scan(library, stream, read) ||
        read->wait_until_ns <= now.monotonic_ns || !may_park(library, read)) {
        reply(library, read);
        return;
    }
    park(library, stream, read);
}

/* `behind`: as for reads. */
static void handle_define(struct nx_library *library, struct nx_define *define, const struct nx_error *behind,
                          struct nx_now now) {
    if (behind != NULL) {
        define->status = behind->status;
        define->error = *behind;
    } else {
        define->status = nx_library_define(library, define, now.wall_ns, &define->error);
    }
    nx_message_reply(&define->message);
}

/* The further sealing is behind, the larger its part of each step: what is not sealed is read at the next
 * start. */
static int64_t seal(struct nx_library *library, struct nx_now now) {
    int64_t again_ns = nx_library_seal(library, now);
    for (size_t i = UNSEALED_SEGMENTS; i < library->tail_count && again_ns == NX_STEP_AGAIN; i++) {
        again_ns = nx_library_seal(library, now);
    }
    return again_ns;
}

int64_t nx_library_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct nx_library *library = state;
    struct nx_error err = { 0 };
    struct nx_message *message;
    uint64_t notices = 0;
    const uint64_t committed = nx_counter_get(&library->board->committed);
    const bool is_behind = nx_library_catch_up(library, &err) != NX_OK;
    if (is_behind) {
        nx_log_error(library->options->log, "cannot follow the log", NX_F_C("error", err.message));
    }
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        if (message->kind == NX_FABRIC_READ) {
            handle_read(library, (struct nx_read *)message, is_behind ? &err : NULL, now);
        } else if (message->kind == NX_FABRIC_PROTECT) {
            nx_library_protect(library, (struct nx_protect *)message);
        } else if (message->kind == NX_FABRIC_DEFINE) {
            handle_define(library, (struct nx_define *)message, is_behind ? &err : NULL, now);
        } else if (message->kind == NX_FABRIC_APPEND) {
            nx_library_take_append(library, (struct nx_append *)message);
        } else if (message->kind == NX_FABRIC_ERASE) {
            nx_library_erase(library, (struct nx_erase *)message);
        } else if (message->kind == NX_FABRIC_WHEN_HELD) {
            nx_library_take_when_held(library, message);
        } else {
            notices += message->kind == NX_FABRIC_NOTICE ? 1 : 0;
            nx_message_release(message);
        }
    }
    nx_library_seal_appends(library);
    if (notices > 0) {
        nx_counter_add(&library->board->notices_taken, notices);
    }
    look_at_all_parked(library, now.monotonic_ns);
    nx_library_note_keys(library); /* reads may have found it out too */
    const int64_t seal_ns = seal(library, now);
    const int64_t limit_ns = nx_library_keep_limits(library, now);
    const int64_t retain_ns = nx_library_retain(library, now);
    const int64_t merge_ns = nx_library_merge(library, now);
    nx_library_publish_sizes(library);
    int64_t again_ns = seal_ns < retain_ns ? seal_ns : retain_ns;
    again_ns = merge_ns < again_ns ? merge_ns : again_ns;
    again_ns = limit_ns < again_ns ? limit_ns : again_ns;
    if (is_behind && again_ns > now.monotonic_ns + RETRY_NS) {
        again_ns = now.monotonic_ns + RETRY_NS;
    }
    const uint64_t committed_now = nx_counter_set_then_get(&library->board->scans_parked,
                                                           library->parked_count, &library->board->committed);
    if (library->parked_count > 0 && committed_now != committed) {
        return NX_STEP_AGAIN; /* it was committed before the journal could see that somebody waits for it */
    }
    return again_ns < library->next_deadline_ns ? again_ns : library->next_deadline_ns;
}
