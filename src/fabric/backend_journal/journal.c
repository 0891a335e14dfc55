#include "fabric/backend_journal/journal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "fabric/backend_journal/journal_internal.h"
#include "fabric/subject/subject.h"

enum {
    NOTICES_MAX = 256,        /* under way to the library */
    NOTICE_SIZE = 256 * 1024, /* bytes that the library is told of though nobody waits for them */
    NOTICE_DELAY_MS = 100,    /* and when, however few they are */
    DEDUP_WINDOW_DEFAULT_S = 120,
};

/* ---- streams ---- */

static void stream_free(struct nx_journal_stream *stream) {
    if (stream == NULL) {
        return;
    }
    nx_dedup_fini(&stream->dedup);
    free(stream->refuses);
    free(stream->announcement);
    free(stream);
}

/* The body of the frame that announces the stream; its name is the end of it. */
static bool make_announcement(struct nx_journal_stream *stream, struct nx_str name) {
    const uint64_t first_sequence = 1;
    stream->announcement = malloc(sizeof first_sequence + name.len);
    if (stream->announcement == NULL) {
        return false;
    }
    memcpy(stream->announcement, &first_sequence, sizeof first_sequence);
    memcpy(stream->announcement + sizeof first_sequence, name.ptr, name.len);
    stream->name = nx_str_of(stream->announcement + sizeof first_sequence, name.len);
    return true;
}

enum nx_status nx_journal_add_stream(struct nx_journal *journal, struct nx_str name,
                                     struct nx_journal_stream **stream_out, struct nx_error *err) {
    struct nx_journal_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        return nx_fail_memory(err);
    }
    const enum nx_status status = make_announcement(stream, name)
                                      ? nx_map_set(&journal->streams, name, stream, err)
                                      : nx_fail_memory(err);
    if (status != NX_OK) {
        stream_free(stream);
        return status;
    }
    *stream_out = stream;
    return NX_OK;
}

/* The stream of this name, or NULL. Buckets of keys and objects come to be by being used. */
static enum nx_status find_stream(struct nx_journal *journal, struct nx_str name,
                                  struct nx_journal_stream **stream_out, struct nx_error *err) {
    struct nx_journal_stream *stream = nx_map_get(&journal->streams, name);
    if (stream != NULL && !stream->is_gone) {
        *stream_out = stream;
        return NX_OK;
    }
    if (stream != NULL || !nx_stream_is_bucket(name)) {
        return nx_fail(err, NX_NOT_FOUND, "there is no stream '%.*s'", NX_STR_ARG(name));
    }
    NX_TRY(nx_journal_add_stream(journal, name, stream_out, err));
    nx_assert(*stream_out != NULL);
    nx_stream_undeclared_config(&(*stream_out)->config, (*stream_out)->name);
    return NX_OK;
}

static enum nx_status give_number(struct nx_journal *journal, struct nx_journal_stream *stream,
                                  uint32_t number, struct nx_error *err) {
    if (number >= NX_STREAMS_MAX) {
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "there are %d streams already", NX_STREAMS_MAX);
    }
    if (number >= journal->by_number_count) {
        const size_t count = ((size_t)number + 64) * 3 / 2;
        struct nx_journal_stream **grown = reallocarray(journal->by_number, count, sizeof *grown);
        if (grown == NULL) {
            return nx_fail_memory(err);
        }
        memset(grown + journal->by_number_count, 0, (count - journal->by_number_count) * sizeof *grown);
        journal->by_number = grown;
        journal->by_number_count = count;
    }
    journal->by_number[number] = stream;
    stream->number = number;
    if (number >= journal->next_number) {
        journal->next_number = number + 1;
    }
    return NX_OK;
}

enum nx_status nx_journal_init(struct nx_journal *journal, const struct nx_fabric_options *options,
                               struct nx_board *board, struct nx_mailbox *mailbox, struct nx_mailbox *library,
                               struct nx_error *err) {
    *journal = (struct nx_journal){
        .options = options,
        .board = board,
        .mailbox = mailbox,
        .library = library,
        .next_number = 1,
        .roll_due_ns = NX_STEP_IDLE,
    };
    nx_map_init(&journal->streams, NX_STREAMS_MAX, nx_random_u64(&options->random));
    nx_map_init(&journal->subjects, NX_SUBJECTS_KNOWN_MAX, nx_random_u64(&options->random));
    for (size_t i = 0; i < options->stream_count; i++) {
        struct nx_journal_stream *stream;
        if (!nx_stream_name_is_valid(options->streams[i].name)) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' cannot be the name of a stream",
                           NX_STR_ARG(nx_str_slice(options->streams[i].name, 0, 64)));
        }
        NX_TRY(nx_journal_add_stream(journal, options->streams[i].name, &stream, err));
        stream->config = options->streams[i];
        nx_journal_note_age(journal, stream->config.age_max_ns);
    }
    return NX_OK;
}

void nx_journal_fini(struct nx_journal *journal) {
    size_t cursor = 0;
    struct nx_str name;
    void *stream;
    while (nx_map_next(&journal->streams, &cursor, &name, &stream)) {
        stream_free(stream);
    }
    nx_map_fini(&journal->streams);
    nx_map_fini(&journal->subjects);
    nx_message_queue_release(&journal->asks);
    nx_message_queue_release(&journal->parked);
    nx_message_queue_release(&journal->stalled);
    nx_message_queue_release(&journal->batch);
    free(journal->by_number);
    nx_wal_close(journal->wal);
    free(journal->directory);
    *journal = (struct nx_journal){ 0 };
}

/* ---- recovery ---- */

static struct nx_journal_stream *numbered(const struct nx_journal *journal, uint32_t number) {
    return number < journal->by_number_count ? journal->by_number[number] : NULL;
}

enum nx_status nx_journal_see_stream(struct nx_journal *journal, uint32_t number, struct nx_str name,
                                     uint64_t last_sequence, int64_t time_ns, struct nx_error *err) {
    struct nx_journal_stream *stream = numbered(journal, number);
    if (stream != NULL && nx_str_equal(stream->name, name)) {
        return NX_OK;
    }
    struct nx_journal_stream *named = nx_map_get(&journal->streams, name);
    if (named == NULL) {
        NX_TRY(nx_journal_add_stream(journal, name, &named, err));
        nx_stream_undeclared_config(&named->config, named->name);
    }
    if (stream != NULL) { /* it had a makeshift name until now */
        named->last_sequence = stream->last_sequence;
        named->last_time_ns = stream->last_time_ns;
        (void)nx_map_remove(&journal->streams, stream->name);
        stream_free(stream);
    } else {
        named->last_sequence = last_sequence;
        named->last_time_ns = time_ns;
    }
    return give_number(journal, named, number, err);
}

int64_t nx_journal_window(const struct nx_journal_stream *stream) {
    return stream->config.dedup_window_ns > 0 ? stream->config.dedup_window_ns
                                              : (int64_t)DEDUP_WINDOW_DEFAULT_S * NX_NS_PER_S;
}

enum nx_status nx_journal_see_record(struct nx_journal *journal, const struct nx_frame *frame, int64_t now_ns,
                                     struct nx_error *err) {
    struct nx_journal_stream *stream = numbered(journal, frame->header.stream);
    if (stream == NULL) {
        return NX_OK;
    }
    stream->last_sequence = frame->header.sequence;
    stream->void_from = 0;
    if (frame->header.time_ns > stream->last_time_ns) {
        stream->last_time_ns = frame->header.time_ns;
    }
    if ((frame->header.flags & NX_FRAME_DEDUP) != 0 &&
        frame->header.time_ns >= now_ns - nx_journal_window(stream)) {
        struct nx_dedup_entry entry = { .sequence = frame->header.sequence,
                                        .time_ns = frame->header.time_ns };
        memcpy(entry.key, frame->body, sizeof entry.key);
        NX_TRY(nx_dedup_reserve(&stream->dedup, 1, err));
        nx_dedup_add(&stream->dedup, &entry);
    }
    return NX_OK;
}

enum nx_status nx_journal_see_run(struct nx_journal *journal, uint32_t number, struct nx_str name,
                                  uint64_t last_sequence, int64_t time_ns, struct nx_error *err) {
    NX_TRY(nx_journal_see_stream(journal, number, name, last_sequence, time_ns, err));
    struct nx_journal_stream *stream = numbered(journal, number);
    if (stream != NULL && last_sequence > stream->last_sequence) {
        stream->last_sequence = last_sequence;
        stream->last_time_ns = time_ns;
    }
    return NX_OK;
}

bool nx_journal_see_key(struct nx_journal *journal, uint32_t number, struct nx_str key, uint64_t sequence,
                        int64_t time_ns, int64_t now_ns) {
    struct nx_journal_stream *stream = numbered(journal, number);
    struct nx_dedup_entry entry = { .sequence = sequence, .time_ns = time_ns };
    if (stream == NULL || key.len != sizeof entry.key || time_ns < now_ns - nx_journal_window(stream)) {
        return true;
    }
    if (nx_dedup_reserve(&stream->dedup, 1, NULL) != NX_OK) {
        return false;
    }
    memcpy(entry.key, key.ptr, sizeof entry.key);
    nx_dedup_add(&stream->dedup, &entry);
    return true;
}

void nx_journal_see_gap(struct nx_journal *journal, uint32_t number, uint64_t first, uint64_t last,
                        bool lost) {
    struct nx_journal_stream *stream = numbered(journal, number);
    if (stream == NULL) {
        return;
    }
    if (lost) {
        stream->void_from = 0;
    } else if (stream->void_from == 0) {
        stream->void_from = first;
    }
    stream->last_sequence = last;
}

/* ---- writing ---- */

static void refuse_all(struct nx_journal *journal, const struct nx_error *why) {
    nx_board_set_text(journal->board->refusal_text, why->message);
    nx_counter_set(&journal->board->refusal, why->kind == NX_KIND_NONE ? NX_KIND_LOG_FROZEN : why->kind);
}

static enum nx_status add_stream_frame(struct nx_journal *journal, const struct nx_journal_stream *stream,
                                       struct nx_error *err) {
    const struct nx_wal_entry entry = {
        .kind = NX_FRAME_STREAM,
        .stream = stream->number,
        .sequence = stream->void_from == 0 ? stream->last_sequence : stream->void_from - 1,
        .time_ns = stream->last_time_ns,
        .payload = nx_str_of(stream->announcement, sizeof(uint64_t) + stream->name.len),
    };
    return nx_wal_add(journal->wal, &entry, err);
}

static enum nx_status add_void_frame(struct nx_journal *journal, const struct nx_journal_stream *stream,
                                     struct nx_error *err) {
    const struct nx_wal_entry entry = {
        .kind = NX_FRAME_VOID,
        .stream = stream->number,
        .sequence = stream->void_from,
        .payload = nx_str_of(&stream->last_sequence, sizeof stream->last_sequence),
    };
    return nx_wal_add(journal->wal, &entry, err);
}

static uint64_t checkpoint_size(const struct nx_journal *journal) {
    uint64_t size = 0;
    for (size_t i = 0; i < journal->by_number_count; i++) {
        const struct nx_journal_stream *stream = journal->by_number[i];
        if (stream != NULL) {
            size += nx_frame_size(sizeof(uint64_t) + stream->name.len);
            size += stream->void_from == 0 ? 0 : nx_frame_size(sizeof(uint64_t));
        }
    }
    return size;
}

/* The first batch of a segment says all that a reader must know of the segments before. It is written by
 * itself, so that it tells of nothing that is not on disk. */
static enum nx_status write_checkpoint(struct nx_journal *journal, struct nx_error *err) {
    NX_TRY(nx_wal_reserve(journal->wal, journal->by_number_count * 2, err));
    for (size_t i = 0; i < journal->by_number_count; i++) {
        const struct nx_journal_stream *stream = journal->by_number[i];
        if (stream == NULL) {
            continue;
        }
        NX_TRY(add_stream_frame(journal, stream, err));
        if (stream->void_from != 0) {
            NX_TRY(add_void_frame(journal, stream, err));
        }
    }
    return nx_wal_commit(journal->wal, true, err);
}

/* The segment that is left keeps what stands in it, the new one all that is reserved. */
static void note_roll(struct nx_journal *journal, uint64_t left_number, uint64_t left_end) {
    uint64_t end;
    const uint64_t number = nx_wal_position(journal->wal, &end);
    if (left_number != 0 && left_number != number) {
        nx_journal_note_unsealed(journal, left_number, left_end);
    }
    nx_journal_note_unsealed(journal, number, nx_wal_open_size(journal->wal));
    journal->roll_due_ns = NX_STEP_IDLE;
}

/* To the next segment, once it may be reserved. */
static enum nx_status open_next(struct nx_journal *journal, uint64_t append_size, struct nx_error *err) {
    const uint64_t size_min = nx_journal_segment_size(journal, checkpoint_size(journal), append_size);
    uint64_t end;
    const uint64_t number = nx_wal_position(journal->wal, &end);
    if (!nx_wal_is_new(journal->wal)) {
        NX_TRY(nx_journal_reserve(journal, size_min, err));
    }
    NX_TRY(nx_wal_roll(journal->wal, size_min, err));
    note_roll(journal, number, end);
    return NX_OK;
}

enum nx_status nx_journal_roll(struct nx_journal *journal, uint64_t append_size, struct nx_error *err) {
    enum nx_status status = open_next(journal, append_size, err);
    if (status == NX_OK) {
        journal->must_checkpoint = true; /* until it stands in the segment, nothing else may */
        status = write_checkpoint(journal, err);
    }
    if (status != NX_OK) {
        nx_wal_discard(journal->wal); /* half a checkpoint */
    }
    if (status == NX_RESOURCE_EXHAUSTED && err->kind == NX_KIND_OUT_OF_MEMORY) {
        return status; /* this append is refused; the next one tries again */
    }
    if (status != NX_OK) {
        struct nx_error why = { 0 };
        const enum nx_kind kind = status != NX_RESOURCE_EXHAUSTED ? NX_KIND_LOG_FROZEN
                                  : err->kind == NX_KIND_BUDGET_FULL || err->kind == NX_KIND_OVERLOADED
                                      ? err->kind
                                      : NX_KIND_DISK_FULL;
        (void)nx_fail_kind(&why, kind, "%s", err->message);
        nx_board_hint(kind, &why);
        if (kind != NX_KIND_OVERLOADED) { /* that is waited for */
            refuse_all(journal, &why);
        }
        *err = why;
        return why.status;
    }
    journal->must_checkpoint = false;
    nx_counter_set(&journal->board->refusal, NX_KIND_NONE);
    return NX_OK;
}

static void owe_notice(struct nx_journal *journal, struct nx_now now) {
    if (!journal->notice_owed) {
        journal->notice_owed = true;
        journal->notice_due_ns = now.monotonic_ns + NOTICE_DELAY_MS * NX_NS_PER_MS;
    }
}

/* Tell the library that the log has grown: after each commit where a scan waits for news. Else it would be
 * woken only to index, which it does before every read anyway: then many batches are told of at once. Returns
 * when it must be looked at again. */
static int64_t tell_library(struct nx_journal *journal, struct nx_now now) {
    if (!journal->notice_owed) {
        return NX_STEP_IDLE;
    }
    const uint64_t bytes = nx_counter_get(&nx_wal_stats_get(journal->wal)->bytes);
    /* Set once more, so that who parks a scan after we look sees what is committed. */
    struct nx_board *board = journal->board;
    const uint64_t scans_parked =
        nx_counter_set_then_get(&board->committed, nx_counter_get(&board->committed), &board->scans_parked);
    if (scans_parked == 0 && bytes - journal->told_bytes < NOTICE_SIZE &&
        now.monotonic_ns < journal->notice_due_ns) {
        return journal->notice_due_ns;
    }
    const uint64_t under_way = journal->notices_sent - nx_counter_get(&journal->board->notices_taken);
    struct nx_message *notice = under_way >= NOTICES_MAX ? NULL : calloc(1, sizeof *notice);
    if (notice == NULL) {
        return now.monotonic_ns + NX_NS_PER_MS;
    }
    notice->kind = NX_FABRIC_NOTICE;
    notice->release = (void (*)(struct nx_message *))free;
    journal->notice_owed = false;
    journal->told_bytes = bytes;
    journal->notices_sent++;
    nx_mailbox_send_reply(journal->library, notice);
    return NX_STEP_IDLE;
}

static void answer_batch(struct nx_journal *journal, enum nx_status status, const struct nx_error *err) {
    for (struct nx_message *message = journal->batch.first; message != NULL; message = message->next) {
        struct nx_append *append = (struct nx_append *)message;
        append->status = status;
        if (status != NX_OK) {
            append->error = *err;
        }
    }
    nx_message_reply_all(&journal->batch);
}

static void note_committed(struct nx_journal *journal, struct nx_now now) {
    uint64_t end;
    const uint64_t segment = nx_wal_position(journal->wal, &end);
    nx_counter_set(&journal->board->committed, nx_board_position(segment, end));
    owe_notice(journal, now);
}

void nx_journal_commit(struct nx_journal *journal, struct nx_now now) {
    struct nx_error err = { 0 };
    /* An append that was refused for want of memory may have left its stream's announcement. */
    if (journal->batch.count == 0 && nx_wal_batch_is_empty(journal->wal)) {
        return;
    }
    if (!nx_wal_batch_is_empty(journal->wal)) {
        const bool sync = journal->batch_needs_sync;
        const enum nx_status status = nx_wal_commit(journal->wal, sync, &err);
        if (status != NX_OK) {
            refuse_all(journal, &err);
            answer_batch(journal, status, &err);
            return;
        }
        if (sync) {
            journal->has_unsynced = false;
        } else if (!journal->has_unsynced) {
            journal->has_unsynced = true;
            journal->sync_at_ns = now.monotonic_ns + NX_NS_PER_S;
        }
        note_committed(journal, now);
        nx_journal_note_records(journal, now.monotonic_ns);
        /* Before the answers: what waits for the event has the longer way to go. */
        (void)tell_library(journal, now); /* asked for again at the end of the step */
    }
    journal->batch_needs_sync = false;
    answer_batch(journal, NX_OK, NULL);
}

/* ---- one append ---- */

static void refuse(struct nx_append *append, enum nx_status status, const struct nx_error *err) {
    append->status = status;
    append->error = *err;
    nx_message_reply(&append->message);
}

static enum nx_status find_streams(struct nx_journal *journal, const struct nx_append *append,
                                   struct nx_journal_stream **streams, struct nx_error *err) {
    bool all_protected = append->entry_count > 0;
    for (size_t i = 0; i < append->entry_count; i++) {
        const struct nx_append_entry *entry = &append->entries[i];
        struct nx_journal_stream *stream = NULL;
        NX_TRY(find_stream(journal, entry->stream, &stream, err));
        nx_assert(stream != NULL);
        if (!nx_stream_takes(&stream->config, entry->subject)) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "stream '%.*s' does not take the subject '%.*s'",
                           NX_STR_ARG(entry->stream), NX_STR_ARG(nx_str_slice(entry->subject, 0, 128)));
        }
        all_protected = all_protected && stream->is_protected;
        streams[i] = stream;
    }
    if (all_protected && !append->makes_room && nx_counter_get(&journal->board->budget_full) != 0) {
        char text[NX_BOARD_TEXT_WORDS * 8];
        nx_board_get_text(journal->board->budget_text, text);
        (void)nx_fail_kind(err, NX_KIND_BUDGET_FULL, "%s", text);
        nx_board_hint(NX_KIND_BUDGET_FULL, err);
        return err->status;
    }
    return NX_OK;
}

/* Give each new stream its number and announce it in the batch; then no frame of it can be refused. */
static enum nx_status announce_streams(struct nx_journal *journal, struct nx_journal_stream **streams,
                                       const struct nx_append *append, struct nx_error *err) {
    for (size_t i = 0; i < append->entry_count; i++) {
        struct nx_journal_stream *stream = streams[i];
        NX_TRY(nx_dedup_reserve(&stream->dedup,
                                append->entries[i].dedup_key.len > 0 ? append->entry_count : 0, err));
        if (stream->number != 0) {
            continue;
        }
        NX_TRY(give_number(journal, stream, journal->next_number, err));
        NX_TRY(add_stream_frame(journal, stream, err));
    }
    return NX_OK;
}

/* Its key is in the window: the answer is that of the record which came first. */
static bool is_duplicate(struct nx_journal_stream *stream, struct nx_append_entry *entry, struct nx_now now) {
    if (entry->dedup_key.len == 0) {
        return false;
    }
    nx_dedup_expire(&stream->dedup, now.wall_ns - nx_journal_window(stream));
    const struct nx_dedup_entry *seen = nx_dedup_find(&stream->dedup, (const uint8_t *)entry->dedup_key.ptr);
    if (seen == NULL) {
        return false;
    }
    entry->duplicate = true;
    entry->sequence = seen->sequence;
    entry->time_ns = seen->time_ns;
    return true;
}

/* The last entry decides, and it was there before. */
static bool is_decided(struct nx_journal_stream **streams, struct nx_append *append, struct nx_now now) {
    const size_t last = append->entry_count - 1;
    if (!append->last_decides || append->entry_count == 0 ||
        !is_duplicate(streams[last], &append->entries[last], now)) {
        return false;
    }
    for (size_t i = 0; i < last; i++) {
        append->entries[i].duplicate = true;
    }
    return true;
}

/* The entry tells of the one behind it. */
static void say_sequence(struct nx_append_entry *entry, const struct nx_journal_stream *next) {
    char text[NX_SEQUENCE_TEXT_SIZE + 1];
    if (entry->payload.len >= NX_SEQUENCE_TEXT_SIZE) {
        (void)snprintf(text, sizeof text, "%0*" PRIu64, NX_SEQUENCE_TEXT_SIZE, next->last_sequence);
        memcpy((char *)(uintptr_t)entry->payload.ptr, text,
               NX_SEQUENCE_TEXT_SIZE); /* the append's own bytes */
    }
}

/* Sequences, times and duplicates. Returns the index behind the last record that is to be written. */
static size_t number_records(struct nx_journal *journal, struct nx_journal_stream **streams,
                             struct nx_append *append, struct nx_now now) {
    size_t end = 0;
    if (is_decided(streams, append, now)) {
        return 0;
    }
    for (size_t i = 0; i < append->entry_count; i++) {
        struct nx_append_entry *entry = &append->entries[i];
        struct nx_journal_stream *stream = streams[i];
        if (is_duplicate(stream, entry, now)) {
            continue;
        }
        if (entry->says_sequence && i + 1 < append->entry_count) {
            say_sequence(entry, streams[i + 1]);
        }
        stream->last_time_ns = now.wall_ns > stream->last_time_ns ? now.wall_ns : stream->last_time_ns;
        stream->last_sequence++;
        stream->void_from = 0;
        entry->duplicate = false;
        entry->sequence = stream->last_sequence;
        entry->time_ns = stream->last_time_ns;
        if (entry->dedup_key.len > 0) {
            struct nx_dedup_entry seen = { .sequence = entry->sequence, .time_ns = entry->time_ns };
            memcpy(seen.key, entry->dedup_key.ptr, sizeof seen.key);
            if (nx_dedup_reserve(&stream->dedup, 1, NULL) == NX_OK) {
                nx_dedup_add(&stream->dedup, &seen);
            }
        }
        nx_journal_note_subject(journal, stream, entry->subject, entry->sequence);
        nx_journal_note_amount(journal, stream, entry);
        journal->batch_needs_sync = journal->batch_needs_sync || stream->config.sync == NX_SYNC_ALWAYS;
        end = i + 1;
    }
    return end;
}

static enum nx_status write_records(struct nx_journal *journal, struct nx_journal_stream **streams,
                                    struct nx_append *append, struct nx_now now, struct nx_error *err) {
    NX_TRY(nx_wal_reserve(journal->wal, append->entry_count * 2, err));
    NX_TRY(announce_streams(journal, streams, append, err));
    const size_t end = number_records(journal, streams, append, now);
    for (size_t i = 0; i < end; i++) {
        const struct nx_append_entry *entry = &append->entries[i];
        if (entry->duplicate) {
            continue;
        }
        const struct nx_wal_entry frame = {
            .kind = NX_FRAME_RECORD,
            .flags = (uint8_t)((i + 1 == end ? NX_FRAME_LAST : 0) |
                               (entry->dedup_key.len > 0 ? NX_FRAME_DEDUP : 0)),
            .stream = streams[i]->number,
            .sequence = entry->sequence,
            .time_ns = entry->time_ns,
            .dedup = entry->dedup_key,
            .subject = entry->subject,
            .headers = entry->headers,
            .payload = entry->payload,
        };
        NX_TRY(nx_wal_add(journal->wal, &frame, err)); /* room was reserved: it cannot fail */
    }
    return NX_OK;
}

static enum nx_status check_open(const struct nx_journal *journal, const struct nx_append *append,
                                 struct nx_error *err) {
    if (append->entry_count > NX_APPEND_ENTRIES_MAX) {
        return nx_fail_kind(err, NX_KIND_TOO_LARGE, "an append takes at most %d records",
                            NX_APPEND_ENTRIES_MAX);
    }
    if (nx_counter_get(&journal->board->refusal) == NX_KIND_LOG_FROZEN) {
        char text[NX_BOARD_TEXT_WORDS * 8];
        nx_board_get_text(journal->board->refusal_text, text);
        (void)nx_fail_kind(err, NX_KIND_LOG_FROZEN, "%s", text);
        nx_board_hint(NX_KIND_LOG_FROZEN, err);
        return err->status;
    }
    return NX_OK;
}

/* A limit that passes by itself: whoever waits for it waits behind those who wait already. */
static void stall_or_refuse(struct nx_journal *journal, struct nx_append *append, enum nx_status status,
                            const struct nx_error *err, struct nx_now now) {
    if (err->kind == NX_KIND_OVERLOADED &&
        nx_journal_stall(journal, append, nx_journal_append_size(append), now)) {
        return;
    }
    if (err->kind == NX_KIND_OVERLOADED) {
        refuse_all(journal, err);
    }
    refuse(append, status, err);
}

/* Until what has been asked so far is answered. */
static void park(struct nx_journal *journal, struct nx_append *append) {
    append->waits_for = journal->asks_made;
    nx_message_queue_push(&journal->parked, &append->message);
}

static void stage(struct nx_journal *journal, struct nx_append *append, struct nx_now now) {
    struct nx_error err = { 0 };
    struct nx_journal_stream *streams[NX_APPEND_ENTRIES_MAX];
    bool must_wait = false;
    if (append->room.is_asked) {
        park(journal, append); /* the answer will be written into it */
        return;
    }
    if (journal->stalled.count > 0 &&
        nx_journal_stall(journal, append, nx_journal_append_size(append), now)) {
        return;
    }
    enum nx_status status = check_open(journal, append, &err);
    if (status == NX_OK) {
        status = find_streams(journal, append, streams, &err);
    }
    const bool is_new = status == NX_OK && !is_decided(streams, append, now);
    if (is_new) {
        status = nx_journal_check_conditions(journal, append, &must_wait, &err);
    }
    if (is_new && status == NX_OK && !must_wait) {
        status = nx_journal_check_amount(journal, streams, append, &must_wait, &err);
    }
    if (status == NX_OK && must_wait) {
        park(journal, append);
        return;
    }
    const uint64_t size = nx_journal_append_size(append);
    if (status == NX_OK && append->makes_room) {
        status = nx_journal_check_large(journal, size, &err);
    }
    if (status == NX_OK) {
        status = nx_journal_make_room(journal, size, now, &err);
    }
    if (status == NX_OK) {
        status = write_records(journal, streams, append, now, &err);
    }
    if (status != NX_OK) {
        stall_or_refuse(journal, append, status, &err, now);
        return;
    }
    nx_message_queue_push(&journal->batch, &append->message);
}

/* Those that wait for a limit to pass, in their order. */
static void retry_stalled(struct nx_journal *journal, struct nx_now now) {
    struct nx_message_queue queue = journal->stalled;
    if (queue.count == 0 || now.monotonic_ns < journal->stall_retry_ns) {
        return;
    }
    journal->stalled = (struct nx_message_queue){ 0 };
    journal->stalled_size = 0;
    while (queue.first != NULL) {
        stage(journal, (struct nx_append *)nx_message_queue_pop(&queue), now);
    }
    if (journal->stalled.count == 0) {
        journal->stall_end_ns = 0;
    }
}

/* ---- the actor ---- */

static void handle(struct nx_journal *journal, struct nx_message *message, struct nx_now now) {
    switch (message->kind) {
    case NX_FABRIC_APPEND:
        if (((const struct nx_append *)message)->is_personal) {
            nx_mailbox_send_reply(journal->library, message); /* which seals it and gives it back */
        } else {
            stage(journal, (struct nx_append *)message, now);
        }
        break;
    case NX_FABRIC_PROTECT:
        nx_journal_protect(journal, message);
        break;
    case NX_FABRIC_DEFINE:
        nx_journal_define(journal, (struct nx_define *)message, now);
        break;
    case NX_FABRIC_WHEN_HELD:
        nx_mailbox_send_reply(journal->library, message); /* behind the wishes that were told before it */
        break;
    case NX_FABRIC_READ:
        nx_journal_take_answer(journal, (struct nx_read *)message);
        break;
    default:
        nx_message_release(message);
        break;
    }
}

/* The library answers in order, so what was parked first is ready first; the others are not looked at. */
static void retry_parked(struct nx_journal *journal, struct nx_now now) {
    while (journal->parked.first != NULL &&
           ((const struct nx_append *)journal->parked.first)->waits_for <= journal->asks_answered) {
        stage(journal, (struct nx_append *)nx_message_queue_pop(&journal->parked), now);
    }
}

/* To the next segment, when records have stood in this one for long enough. */
static void roll_when_old(struct nx_journal *journal, struct nx_now now) {
    struct nx_error err = { 0 };
    if (nx_journal_must_roll(journal, now.monotonic_ns) && nx_journal_roll(journal, 0, &err) == NX_OK) {
        note_committed(journal, now);
    } /* what fails is said on the board */
}

int64_t nx_journal_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct nx_journal *journal = state;
    struct nx_message *message;
    bool has_answers = false;
    retry_stalled(journal, now);
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        has_answers = has_answers || message->kind == NX_FABRIC_READ;
        handle(journal, message, now);
    }
    if (has_answers) {
        retry_parked(journal, now);
    }
    nx_journal_commit(journal, now);
    nx_journal_send_asks(journal);
    nx_journal_look_ahead(journal, now);
    nx_journal_retry_refused(journal, now);
    roll_when_old(journal, now);
    int64_t again_ns = tell_library(journal, now);
    again_ns = again_ns < journal->roll_due_ns ? again_ns : journal->roll_due_ns;
    if (journal->has_unsynced) {
        if (journal->sync_at_ns <= now.monotonic_ns) {
            struct nx_error err = { 0 };
            journal->has_unsynced = false;
            if (nx_wal_sync(journal->wal, &err) != NX_OK) {
                refuse_all(journal, &err);
            }
        } else {
            again_ns = again_ns < journal->sync_at_ns ? again_ns : journal->sync_at_ns;
        }
    }
    if (journal->stalled.count > 0 && journal->stall_retry_ns < again_ns) {
        again_ns = journal->stall_retry_ns;
    }
    if (nx_journal_may_resume(journal)) {
        again_ns = again_ns < journal->retry_prepare_ns ? again_ns : journal->retry_prepare_ns;
    }
    return again_ns;
}

enum nx_status nx_journal_start(struct nx_journal *journal, const struct nx_wal_recovered *recovered,
                                struct nx_error *err) {
    const struct nx_fabric_options *options = journal->options;
    char directory[NX_PATH_SIZE_MAX];
    NX_TRY(nx_journal_directory(options->directory, directory, err));
    journal->directory = strdup(directory);
    if (journal->directory == NULL) {
        return nx_fail_memory(err);
    }
    const struct nx_wal_options wal_options = {
        .disk = options->disk,
        .clock = options->clock,
        .random = options->random,
        .directory = journal->directory,
        .segment_size = options->segment_size,
        .next_number = recovered->next_number,
        .last_number = recovered->last_number,
        .last_end = recovered->last_end,
    };
    NX_TRY(nx_wal_open(&wal_options, &journal->wal, err));
    if (recovered->last_number > 0) {
        nx_journal_note_records(journal, nx_clock_read(&options->clock).monotonic_ns);
    }
    /* Sequences that must not be used again are on disk only in what is about to be cut off. */
    journal->must_checkpoint = recovered->torn;
    if (recovered->torn && nx_journal_roll(journal, 0, &(struct nx_error){ 0 }) != NX_OK) {
        return NX_OK; /* said on the board; the next append tries again */
    }
    return NX_OK;
}
