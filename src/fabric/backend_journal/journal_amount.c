/* Streams that refuse what would be too much, as NATS's discard policy "new" says. What a stream holds is
 * known to the library; here stands its last answer with what was added since, which may be too much, for
 * what has left is not told. So while that leaves room nobody is asked, and nothing is refused on its word:
 * the library is asked again, and a refusal is as of its answer. */
#include "base/assert.h"
#include "fabric/backend_journal/journal_internal.h"

static enum nx_status ask(struct nx_journal *journal, struct nx_append *append,
                          const struct nx_append_entry *entry, struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;
    NX_TRY(nx_read_new(NX_READ_ROOM, &read, err));
    read->stream = nx_arena_copy(&read->arena, entry->stream);
    read->subject = nx_arena_copy(&read->arena, entry->subject);
    read->message.reply_to = journal->mailbox;
    read->message.context = append; /* which is kept until the answer has come */
    if (read->stream.ptr == NULL || read->subject.ptr == NULL) {
        return nx_fail_memory(err);
    }
    append->room = (struct nx_append_room){ .is_asked = true, .generation = journal->generation };
    nx_message_queue_push(&journal->asks, &NX_TAKE(read)->message);
    journal->asks_made++;
    return NX_OK;
}

void nx_journal_take_room(struct nx_append *append, const struct nx_read *read) {
    append->room = (struct nx_append_room){ .is_known = true, .generation = append->room.generation };
    if (read->status == NX_OK && read->info_count == 2) {
        append->room.last_sequence = read->infos[0].last_sequence;
        append->room.count = read->infos[0].count;
        append->room.size = read->infos[0].size;
        append->room.subject_count = read->infos[1].count;
        append->room.oldest_size = read->infos[1].size;
    }
}

/* As nats-server's file store decides. */
static enum nx_status decide(const struct nx_define *limits, const struct nx_append_room *room, uint64_t size,
                             struct nx_error *err) {
    const bool is_subject_full =
        limits->per_subject_max > 0 && room->subject_count >= limits->per_subject_max;
    if (is_subject_full && limits->refuses_subject) {
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "maximum messages per subject exceeded");
    }
    if (limits->count_max > 0 && room->count >= limits->count_max && !is_subject_full) {
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "maximum messages exceeded");
    }
    if (limits->size_max > 0 && room->size + size >= limits->size_max &&
        (!is_subject_full || room->oldest_size <= size)) {
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "maximum bytes exceeded");
    }
    return NX_OK;
}

static enum nx_status check_entry(struct nx_journal *journal, struct nx_journal_stream *stream,
                                  struct nx_append *append, const struct nx_append_entry *entry,
                                  bool *must_wait, struct nx_error *err) {
    const uint64_t size = nx_record_size_nats(entry->subject, entry->headers, entry->payload);
    struct nx_append_room *room = &append->room;
    struct nx_append_room estimate = stream->room;
    estimate.subject_count = 0;
    if (estimate.is_known && !stream->refuses->refuses_subject &&
        decide(stream->refuses, &estimate, size, NULL) == NX_OK) {
        return NX_OK;
    }
    stream->is_tracked = true; /* whether the subject was added to since is looked up */
    const uint64_t last = nx_journal_known_last(journal, stream->name, entry->subject);
    const bool is_forgotten = stream->refuses->refuses_subject && room->generation != journal->generation;
    if (!room->is_known || is_forgotten || last > room->last_sequence) {
        *must_wait = true;
        return ask(journal, append, entry, err);
    }
    estimate = *room;
    const uint64_t added = stream->last_sequence - room->last_sequence;
    if (added > 0 && stream->room.is_known) {
        estimate.count = stream->room.count;
        estimate.size = stream->room.size;
    }
    if (added == 0) {
        stream->room = *room;
    }
    const enum nx_status status = decide(stream->refuses, &estimate, size, err);
    if (status != NX_OK && added > 0) { /* what was added since may have pushed others out */
        *must_wait = true;
        return ask(journal, append, entry, err);
    }
    return status;
}

enum nx_status nx_journal_check_amount(struct nx_journal *journal, struct nx_journal_stream **streams,
                                       struct nx_append *append, bool *must_wait_out, struct nx_error *err) {
    for (size_t i = 0; i < append->entry_count && !*must_wait_out; i++) {
        if (streams[i]->refuses != NULL) {
            NX_TRY(check_entry(journal, streams[i], append, &append->entries[i], must_wait_out, err));
        }
    }
    return NX_OK;
}

void nx_journal_note_amount(struct nx_journal *journal, struct nx_journal_stream *stream,
                            const struct nx_append_entry *entry) {
    if (stream->refuses != NULL && stream->room.is_known) {
        stream->room.count++;
        stream->room.size += nx_record_size_nats(entry->subject, entry->headers, entry->payload);
    }
    if (nx_str_starts_with(stream->name, NX_STR("JSM_"))) {
        nx_journal_forget_subjects(journal); /* a mark deletes what may be the last of a subject */
    }
}
