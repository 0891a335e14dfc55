/* Single messages of the API of JetStream. */
#include "server/nats/jetstream_consumer.h"

#include <inttypes.h>
#include <stdio.h>

#include "codec/base64.h"
#include "codec/headers.h"
#include "codec/time_format.h"
#include "fabric/subject/subject.h"

enum { JSON_MEMORY_FACTOR = 16 /* by bytes of text */ };

/* Messages */

struct get {
    uint64_t seq;
    struct nx_str last_by_subj;
    struct nx_str next_by_subj;
    struct nx_js_time start_time;
    uint64_t batch; /* these are not served: any of them makes it a bad request */
    uint64_t max_bytes;
    struct nx_js_texts multi_last;
    uint64_t up_to_seq;
    struct nx_js_time up_to_time;
    bool no_hdr;
};
#define AT(member) offsetof(struct get, member)
static const struct nx_js_field get_fields[] = {
    { "seq", NX_JS_UINT, false, AT(seq), NULL, NULL },
    { "last_by_subj", NX_JS_TEXT, false, AT(last_by_subj), NULL, NULL },
    { "next_by_subj", NX_JS_TEXT, false, AT(next_by_subj), NULL, NULL },
    { "start_time", NX_JS_TIME, false, AT(start_time), NULL, NULL },
    { "batch", NX_JS_UINT, false, AT(batch), NULL, NULL },
    { "max_bytes", NX_JS_UINT, false, AT(max_bytes), NULL, NULL },
    { "multi_last", NX_JS_TEXTS, false, AT(multi_last), NULL, NULL },
    { "up_to_seq", NX_JS_UINT, false, AT(up_to_seq), NULL, NULL },
    { "up_to_time", NX_JS_TIME, false, AT(up_to_time), NULL, NULL },
    { "no_hdr", NX_JS_BOOL, false, AT(no_hdr), NULL, NULL },
};
#undef AT
static const struct nx_js_shape get_shape = { "JSApiMsgGetRequest", get_fields,
                                              sizeof get_fields / sizeof get_fields[0], NX_JS_BAD_REQUEST };

static bool is_nothing(const struct get *get) {
    return get->seq == 0 && get->last_by_subj.len == 0 && get->next_by_subj.len == 0 &&
           !get->start_time.is_set && get->multi_last.count == 0;
}

static bool is_answerable(const struct get *get) {
    const bool is_more = get->batch > 0 || get->max_bytes > 0 || get->multi_last.count > 0 ||
                         get->up_to_seq > 0 || get->up_to_time.is_set || get->no_hdr;
    const bool has_last = get->last_by_subj.len > 0;
    const bool has_filters = (!has_last || nx_subject_is_filter(get->last_by_subj)) &&
                             (get->next_by_subj.len == 0 || nx_subject_is_filter(get->next_by_subj));
    return !is_more && has_filters && !(get->seq > 0 && (has_last || get->start_time.is_set)) &&
           !(has_last && (get->start_time.is_set || get->next_by_subj.len > 0));
}

/* The read that finds it. */
static struct nx_read *read_for(const struct nx_js_entry *entry, const struct get *get) {
    struct nx_read *read = NULL;
    const bool has_last = get->last_by_subj.len > 0;
    const bool is_exact = has_last && !nx_subject_has_wildcard(get->last_by_subj);
    const bool is_sequence = get->seq > 0 && get->next_by_subj.len == 0;
    const enum nx_read_kind kind = is_sequence ? NX_READ_BY_SEQUENCE : is_exact ? NX_READ_LAST : NX_READ_SCAN;
    if (nx_read_new(kind, &read, NULL) != NX_OK) {
        return NULL;
    }
    read->stream = nx_arena_copy(&read->arena, nx_str_from_c(entry->stream));
    read->subject = nx_arena_copy(&read->arena, has_last ? get->last_by_subj : get->next_by_subj);
    read->from_sequence = get->seq;
    read->from_time_ns = get->start_time.is_set ? get->start_time.ns : 0;
    read->backward = has_last && !is_exact;
    read->count_max = 1;
    return read;
}

static bool ask_message(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                        const struct nx_js_entry *entry, const struct get *get) {
    struct nx_read *read = read_for(entry, get);
    return read != NULL && nx_nats_js_ask(jetstream, job, jetstream->options.reads, &read->message);
}

bool nx_nats_js_begin_get(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_js_error why = { 0 };
    struct get get = { 0 };
    if (job->payload.len == 0) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_BAD_REQUEST);
    }
    if (!nx_nats_js_parse(jetstream, job, &doc)) {
        return true;
    }
    if (!nx_js_fields_read(&get_shape, nx_json_root(doc), &get, &job->arena, &why)) {
        return nx_nats_js_answer_error(jetstream, job, &why);
    }
    if (is_nothing(&get) || !is_answerable(&get)) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_BAD_REQUEST);
    }
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    if (entry == NULL) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    return ask_message(jetstream, job, entry, &get)
               ? false
               : nx_nats_js_answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
}

static void append_block(struct nx_buf *out, struct nx_str lines, const struct nx_buf *more) {
    nx_buf_append_c(out, "NATS/1.0\r\n");
    nx_buf_append(out, lines);
    if (more != NULL) {
        nx_buf_append(out, nx_buf_str(more));
    }
    nx_buf_append_c(out, "\r\n");
}

static void write_base64(struct nx_json_writer *writer, const char *name, struct nx_str bytes) {
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, NX_NATS_JS_ANSWER_SIZE_MAX);
    nx_base64_encode(&text, NX_BASE64_STANDARD, bytes);
    nx_json_member_str(writer, name, nx_buf_str(&text));
}

bool nx_nats_js_get_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                          struct nx_message *message) {
    NX_AUTO(nx_read) *read = (struct nx_read *)message;
    struct nx_nats_js_answer answer;
    if (read->status != NX_OK || read->record_count == 0) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_NO_MESSAGE_FOUND);
    }
    const struct nx_record *record = &read->records[0];
    nx_nats_js_answer_begin(&answer, job);
    nx_json_key(&answer.writer, NX_STR("message"));
    nx_json_object_begin(&answer.writer);
    nx_json_member_str(&answer.writer, "subject", record->subject);
    nx_json_member_u64(&answer.writer, "seq", record->sequence);
    if (record->headers.len > 0) {
        NX_AUTO(nx_buf) block;
        nx_buf_init(&block, NX_NATS_JS_ANSWER_SIZE_MAX);
        append_block(&block, record->headers, NULL);
        write_base64(&answer.writer, "hdrs", nx_buf_str(&block));
    }
    if (record->payload.len > 0) {
        write_base64(&answer.writer, "data", record->payload);
    }
    nx_nats_js_write_time(&answer.writer, "time", record->time_ns);
    nx_json_object_end(&answer.writer);
    return nx_nats_js_answer_end(jetstream, job, &answer);
}

bool nx_nats_js_begin_direct(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct get get = { .last_by_subj = job->subject };
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    if (job->subject.len == 0 && job->payload.len == 0) {
        return nx_nats_js_answer_status(jetstream, job, "408 Empty Request");
    }
    if (job->payload.len > 0 &&
        (nx_json_parse(job->payload, JSON_MEMORY_FACTOR * (job->payload.len + 64), &doc, NULL) != NX_OK ||
         nx_json_kind(nx_json_root(doc)) != NX_JSON_OBJECT ||
         !nx_js_fields_read(&get_shape, nx_json_root(doc), &get, &job->arena, NULL))) {
        return nx_nats_js_answer_status(jetstream, job, "408 Malformed Request");
    }
    if (is_nothing(&get)) {
        return nx_nats_js_answer_status(jetstream, job, "408 Empty Request");
    }
    if (!is_answerable(&get)) {
        return nx_nats_js_answer_status(jetstream, job, "408 Bad Request");
    }
    return entry != NULL && ask_message(jetstream, job, entry, &get)
               ? false
               : nx_nats_js_answer_status(jetstream, job, "404 Message Not Found");
}

bool nx_nats_js_direct_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                             struct nx_message *message) {
    NX_AUTO(nx_read) *read = (struct nx_read *)message;
    NX_AUTO(nx_buf) lines;
    NX_AUTO(nx_buf) block;
    char time[NX_TIME_TEXT_SIZE + 1];
    nx_buf_init(&lines, NX_NATS_JS_ANSWER_SIZE_MAX);
    nx_buf_init(&block, NX_NATS_JS_ANSWER_SIZE_MAX);
    if (read->status != NX_OK || read->record_count == 0) {
        return nx_nats_js_answer_status(jetstream, job, "404 Message Not Found");
    }
    const struct nx_record *record = &read->records[0];
    nx_buf_append_format(&lines,
                         "Nats-Stream: %.*s\r\nNats-Subject: %.*s\r\nNats-Sequence: %" PRIu64
                         "\r\nNats-Time-Stamp: %s\r\n",
                         NX_STR_ARG(job->name), NX_STR_ARG(record->subject), record->sequence,
                         nx_time_format(record->time_ns, NX_TIME_SHORTEST, time).ptr);
    append_block(&block, record->headers, &lines);
    nx_nats_js_reply(jetstream, job, nx_buf_str(&block), record->payload);
    return true;
}

/* Deleting */

bool nx_nats_js_begin_message_delete(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_read *read = NULL;
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    if (job->payload.len == 0 || nx_str_is(nx_str_trim(job->payload), "{}")) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_BAD_REQUEST);
    }
    if (!nx_nats_js_parse(jetstream, job, &doc)) {
        return true;
    }
    job->number = nx_json_get_u64(nx_json_root(doc), "seq");
    if (entry == NULL) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    if (entry->config.sealed) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_SEALED);
    }
    if (entry->config.deny_delete) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_STREAM_MSG_DELETE_FAILED,
                                      "message delete not permitted");
    }
    if (nx_read_new(NX_READ_BY_SEQUENCE, &read, NULL) == NX_OK) {
        read->stream = nx_arena_copy(&read->arena, nx_str_from_c(entry->stream));
        read->from_sequence = job->number;
    }
    return nx_nats_js_ask_read(jetstream, job, read);
}

/* It is there: its mark. One that is damaged may be deleted too. */
static bool append_delete(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                          const struct nx_read *read) {
    NX_AUTO(nx_append) *append = NULL;
    char stream[NX_JS_STREAM_NAME_SIZE];
    char subject[32];
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    if (entry == NULL) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    if (read->status != NX_OK && read->status != NX_DATA_LOSS) {
        return nx_nats_js_ask_info(jetstream, job, nx_str_from_c(entry->stream));
    }
    (void)snprintf(stream, sizeof stream, "JSM_%" PRIu64, entry->id);
    (void)snprintf(subject, sizeof subject, "seq.%" PRIu64, job->number);
    const struct nx_append_entry mark = { .stream = nx_str_from_c(stream),
                                          .subject = nx_str_from_c(subject) };
    if (nx_append_new(1, 0, &append, NULL) != NX_OK || nx_append_add(append, &mark, NULL) != NX_OK) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
    }
    return nx_nats_js_ask_append(jetstream, job, NX_TAKE(append));
}

/* Why there is nothing to delete, as NATS says it. */
static bool answer_nothing(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                           const struct nx_read *read) {
    struct nx_js_error why = { 0 };
    const struct nx_stream_info *info = read->status == NX_OK && read->info_count > 0 ? read->infos : NULL;
    if (info != NULL && job->number > info->last_sequence) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_STREAM_MSG_DELETE_FAILED, "stream store EOF");
    }
    if (info == NULL || job->number < info->first_sequence) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_STREAM_MSG_DELETE_FAILED, "no message found");
    }
    (void)nx_js_fail_with(&why, NX_JS_SEQUENCE_NOT_FOUND, "sequence %" PRIu64 " not found", job->number);
    return nx_nats_js_answer_error(jetstream, job, &why);
}

bool nx_nats_js_message_delete_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                                     struct nx_message *message) {
    bool is_done;
    if (message->kind == NX_FABRIC_READ && ((const struct nx_read *)message)->kind == NX_READ_INFO) {
        is_done = answer_nothing(jetstream, job, (const struct nx_read *)message);
    } else if (message->kind == NX_FABRIC_READ) {
        is_done = append_delete(jetstream, job, (const struct nx_read *)message);
    } else {
        const struct nx_append *append = (const struct nx_append *)message;
        const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
        if (entry != NULL && entry->served != NULL) {
            nx_nats_js_deleted(entry->served);
        }
        is_done = append->status == NX_OK
                      ? nx_nats_js_answer_success(jetstream, job)
                      : nx_nats_js_answer_text(jetstream, job, NX_JS_STREAM_MSG_DELETE_FAILED,
                                               append->error.message);
    }
    nx_message_release(message);
    return is_done;
}
