/* What others tell the journal of streams while the log is open: what a consumer still needs, and how
 * JetStream's streams are to be kept. Both go on to the library, behind what was committed before. */
#include <stdio.h>

#include "base/assert.h"
#include "fabric/backend_journal/journal_internal.h"
#include "fabric/subject/subject.h"

void nx_journal_protect(struct nx_journal *journal, struct nx_message *message) {
    const struct nx_protect *wish = (const struct nx_protect *)message;
    struct nx_journal_stream *stream = nx_map_get(&journal->streams, nx_str_from_c(wish->stream));
    if (stream != NULL && wish->from_sequence != UINT64_MAX) {
        stream->is_protected = true;
    }
    nx_mailbox_send_reply(journal->library, message); /* one for each that came through our bounded mailbox */
}

static enum nx_status obtain_stream(struct nx_journal *journal, struct nx_str name,
                                    struct nx_journal_stream **stream_out, struct nx_error *err) {
    if (!nx_stream_name_is_jetstream(name)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "stream '%.*s' is declared, not defined", NX_STR_ARG(name));
    }
    *stream_out = nx_map_get(&journal->streams, name);
    return *stream_out != NULL ? NX_OK : nx_journal_add_stream(journal, name, stream_out, err);
}

static enum nx_status define_one(struct nx_journal_stream *stream, const struct nx_define *define,
                                 struct nx_now now, struct nx_error *err) {
    struct nx_define *refuses = define->refuses_new ? malloc(sizeof *refuses) : NULL;
    if (define->refuses_new && refuses == NULL) {
        return nx_fail_memory(err);
    }
    if (refuses != NULL) {
        *refuses = *define; /* the message in it is of no meaning */
    }
    nx_stream_config_define(&stream->config, define);
    stream->config.name = stream->name;
    stream->is_gone = stream->is_gone || define->is_gone;
    stream->may_lose = define->count_max > 0 || define->size_max > 0 || define->age_max_ns > 0;
    free(stream->refuses);
    stream->refuses = refuses;
    stream->room = (struct nx_append_room){ 0 };
    nx_dedup_expire(&stream->dedup, now.wall_ns - nx_journal_window(stream));
    if (stream->is_gone) {
        nx_dedup_fini(&stream->dedup);
    }
    return NX_OK;
}

/* The marks and the consumers of JS_<id>. */
static enum nx_status define_beside(struct nx_journal *journal, const struct nx_define *define,
                                    struct nx_now now, struct nx_error *err) {
    static const char *const prefixes[] = { "JSM_", "JSC_" };
    struct nx_define beside = { .per_subject_max = 1, .is_gone = define->is_gone };
    for (size_t i = 0; i < 2 && nx_str_starts_with(nx_str_from_c(define->stream), NX_STR("JS_")); i++) {
        struct nx_journal_stream *stream = NULL;
        (void)snprintf(beside.stream, sizeof beside.stream, "%s%.250s", prefixes[i], define->stream + 3);
        NX_TRY(obtain_stream(journal, nx_str_from_c(beside.stream), &stream, err));
        nx_assert(stream != NULL);
        NX_TRY(define_one(stream, &beside, now, err));
    }
    return NX_OK;
}

void nx_journal_define(struct nx_journal *journal, struct nx_define *define, struct nx_now now) {
    struct nx_journal_stream *stream = NULL;
    define->status = obtain_stream(journal, nx_str_from_c(define->stream), &stream, &define->error);
    if (define->status != NX_OK) {
        nx_message_reply(&define->message);
        return;
    }
    nx_journal_commit(journal, now); /* what was appended before it is there when it is answered */
    define->status = define_one(stream, define, now, &define->error);
    if (define->status == NX_OK) {
        define->status = define_beside(journal, define, now, &define->error);
    }
    if (define->status != NX_OK) {
        nx_message_reply(&define->message);
        return;
    }
    nx_journal_note_age(journal, stream->config.age_max_ns);
    nx_mailbox_send_reply(journal->library, &define->message);
}
