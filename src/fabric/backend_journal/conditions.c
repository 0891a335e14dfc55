/* Conditions on the last sequence of a subject, checked before anything is written.
 *
 * From the first condition on a stream on, the table learns of every record appended to it; what was there
 * before is asked of the library. So the table needs neither to be loaded nor to be complete. */
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "fabric/backend_journal/journal_internal.h"
#include "fabric/subject/subject.h"

static char asked; /* its address marks a subject whose answer is on the way */

enum { KEY_SIZE_MAX = NX_SUBJECT_SIZE_MAX + NX_STREAM_NAME_SIZE_MAX + 1 };

/* The stream's name and the subject, which has no space. */
static struct nx_str key_of(struct nx_str stream, struct nx_str subject, char buffer[KEY_SIZE_MAX]) {
    memcpy(buffer, stream.ptr, stream.len);
    buffer[stream.len] = ' ';
    memcpy(buffer + stream.len + 1, subject.ptr, subject.len);
    return nx_str_of(buffer, stream.len + 1 + subject.len);
}

/* The table is full, or no longer true: begin anew. Questions under way are asked again when their appends
 * are retried. */
void nx_journal_forget_subjects(struct nx_journal *journal) {
    size_t cursor = 0;
    struct nx_str name;
    void *stream;
    nx_map_fini(&journal->subjects);
    while (nx_map_next(&journal->streams, &cursor, &name, &stream)) {
        ((struct nx_journal_stream *)stream)->is_tracked = false;
    }
    journal->generation++;
}

static enum nx_status ask(struct nx_journal *journal, const struct nx_append_condition *condition,
                          struct nx_str key, struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;
    NX_TRY(nx_read_new(NX_READ_LAST, &read, err));
    read->stream = nx_arena_copy(&read->arena, condition->stream);
    read->subject = nx_arena_copy(&read->arena, condition->subject);
    read->from_sequence = journal->generation; /* of no meaning to this kind of read: ours to keep */
    read->message.reply_to = journal->mailbox;
    if (read->stream.ptr == NULL || read->subject.ptr == NULL) {
        return nx_fail_memory(err);
    }
    NX_TRY(nx_map_set(&journal->subjects, key, &asked, err));
    nx_message_queue_push(&journal->asks, &NX_TAKE(read)->message);
    journal->asks_made++;
    return NX_OK;
}

static enum nx_status check_condition(struct nx_journal *journal, struct nx_append *append,
                                      const struct nx_append_condition *condition, bool *must_wait,
                                      uint64_t *found, struct nx_error *err) {
    char buffer[KEY_SIZE_MAX];
    if (condition->stream.len > NX_STREAM_NAME_SIZE_MAX || condition->subject.len > NX_SUBJECT_SIZE_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "a condition's subject is too long");
    }
    struct nx_journal_stream *stream = nx_map_get(&journal->streams, condition->stream);
    uint64_t last = 0;
    if (stream != NULL && condition->subject.len == 0) {
        last = stream->last_sequence;
    } else if (stream != NULL && stream->last_sequence > 0) {
        const struct nx_str key = key_of(condition->stream, condition->subject, buffer);
        const void *known = nx_map_get(&journal->subjects, key);
        if (known == NULL && journal->subjects.count >= NX_SUBJECTS_KNOWN_MAX - 1) {
            nx_journal_forget_subjects(journal);
        }
        if (known == NULL) {
            stream->is_tracked = true;
            NX_TRY(ask(journal, condition, key, err));
        }
        if (known == NULL || known == &asked) {
            *must_wait = true;
            return NX_OK;
        }
        last = (uint64_t)(uintptr_t)known - 1;
    }
    *found = last;
    if (last != condition->last_sequence && stream != NULL && stream->may_lose &&
        condition->subject.len > 0 && last != 0 && !append->is_asked_again) {
        append->is_asked_again = true; /* that one may be gone */
        (void)nx_map_remove(&journal->subjects, key_of(condition->stream, condition->subject, buffer));
        *must_wait = true;
        return ask(journal, condition, key_of(condition->stream, condition->subject, buffer), err);
    }
    if (last != condition->last_sequence) {
        return nx_fail_kind(err, NX_KIND_WRONG_LAST_SEQUENCE,
                            "the last sequence of '%.*s' in '%.*s' is %" PRIu64 ", not %" PRIu64,
                            NX_STR_ARG(nx_str_slice(condition->subject, 0, 128)),
                            NX_STR_ARG(condition->stream), last, condition->last_sequence);
    }
    return NX_OK;
}

enum nx_status nx_journal_check_conditions(struct nx_journal *journal, struct nx_append *append,
                                           bool *must_wait_out, struct nx_error *err) {
    for (size_t i = 0; i < append->condition_count; i++) {
        NX_TRY(check_condition(journal, append, &append->conditions[i], must_wait_out,
                               &append->found_sequence, err));
    }
    return NX_OK;
}

static void know(struct nx_journal *journal, struct nx_str key, uint64_t sequence) {
    void *value = (void *)(uintptr_t)(sequence + 1);
    if (nx_map_set(&journal->subjects, key, value, NULL) != NX_OK) {
        nx_journal_forget_subjects(journal); /* not knowing is safe, being wrong is not */
    }
}

uint64_t nx_journal_known_last(const struct nx_journal *journal, struct nx_str stream,
                               struct nx_str subject) {
    char buffer[KEY_SIZE_MAX];
    const void *known = nx_map_get(&journal->subjects, key_of(stream, subject, buffer));
    return known == NULL || known == &asked ? 0 : (uint64_t)(uintptr_t)known - 1;
}

void nx_journal_note_subject(struct nx_journal *journal, struct nx_journal_stream *stream,
                             struct nx_str subject, uint64_t sequence) {
    char buffer[KEY_SIZE_MAX];
    if (stream->is_tracked) {
        know(journal, key_of(stream->name, subject, buffer), sequence);
    }
}

void nx_journal_take_answer(struct nx_journal *journal, struct nx_read *read) {
    char buffer[KEY_SIZE_MAX];
    const struct nx_str key = key_of(read->stream, read->subject, buffer);
    journal->asks_answered++;
    if (read->kind == NX_READ_ROOM) {
        nx_journal_take_room(read->message.context, read);
        nx_read_free(read);
        return;
    }
    /* Something newer, or a forgotten question, wins over the answer. */
    if (read->from_sequence == journal->generation && nx_map_get(&journal->subjects, key) == &asked) {
        if (read->status == NX_OK && read->record_count == 1) {
            know(journal, key, read->records[0].sequence);
        } else if (read->status == NX_NOT_FOUND) {
            know(journal, key, 0);
        } else {
            (void)nx_map_remove(&journal->subjects, key); /* asked again by the append that waits */
        }
    }
    nx_read_free(read);
}

void nx_journal_send_asks(struct nx_journal *journal) {
    struct nx_message *message;
    while ((message = nx_message_queue_pop(&journal->asks)) != NULL) {
        nx_mailbox_send_reply(journal->library, message);
    }
}

enum nx_status nx_journal_directory(const char *data_directory, char path_out[NX_PATH_SIZE_MAX],
                                    struct nx_error *err) {
    const int len = snprintf(path_out, NX_PATH_SIZE_MAX, "%s/journal", data_directory);
    return len > 0 && len < NX_PATH_SIZE_MAX - 64
               ? NX_OK
               : nx_fail(err, NX_INVALID_ARGUMENT, "the data directory's path is too long");
}

bool nx_stream_is_bucket(struct nx_str name) {
    return nx_stream_name_is_valid(name) &&
           (nx_str_starts_with(name, NX_STR("KV_")) || nx_str_starts_with(name, NX_STR("OBJ_")));
}

void nx_stream_config_define(struct nx_stream_config *config, const struct nx_define *define) {
    config->age_max_ns = define->age_max_ns;
    config->per_subject_max = define->per_subject_max;
    config->dedup_window_ns = define->dedup_window_ns;
    config->sync = define->is_unsynced ? NX_SYNC_NEVER : NX_SYNC_ALWAYS;
}

void nx_stream_undeclared_config(struct nx_stream_config *config_out, struct nx_str name) {
    *config_out = (struct nx_stream_config){ .name = name };
    if (nx_stream_name_is_jetstream(name)) {
        config_out->dedup_window_ns = NX_DEDUP_UNDEFINED_NS;
    }
    if (nx_str_starts_with(name, NX_STR("KV_"))) {
        config_out->per_subject_max = 1;
    }
}

bool nx_stream_takes(const struct nx_stream_config *config, struct nx_str subject) {
    bool has_filter = false;
    for (size_t i = 0; i < sizeof config->subjects / sizeof config->subjects[0]; i++) {
        if (config->subjects[i].len > 0) {
            has_filter = true;
            if (nx_subject_matches(config->subjects[i], subject)) {
                return true;
            }
        }
    }
    return !has_filter;
}
