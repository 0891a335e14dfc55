/* What others tell the journal of streams while the log is open: what a consumer still needs, and how
 * JetStream's streams are to be kept. Both go on to the library, behind what was committed before. */
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

void nx_journal_define(struct nx_journal *journal, struct nx_define *define, struct nx_now now) {
    struct nx_journal_stream *stream = NULL;
    define->status = obtain_stream(journal, nx_str_from_c(define->stream), &stream, &define->error);
    if (define->status != NX_OK) {
        nx_message_reply(&define->message);
        return;
    }
    nx_journal_commit(journal, now); /* what was appended before it is there when it is answered */
    nx_stream_config_define(&stream->config, define);
    stream->config.name = stream->name;
    stream->is_gone = stream->is_gone || define->is_gone;
    nx_dedup_expire(&stream->dedup, now.wall_ns - nx_journal_window(stream));
    if (stream->is_gone) {
        nx_dedup_fini(&stream->dedup);
    }
    nx_journal_note_age(journal, stream->config.age_max_ns);
    nx_mailbox_send_reply(journal->library, &define->message);
}
