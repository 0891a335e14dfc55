/* What the files of JetStream's API share in answering: see jetstream_internal.h. */
#include <inttypes.h>
#include <stdio.h>

#include "codec/digest.h"
#include "codec/hex.h"

#include "codec/time_format.h"
#include "server/nats/jetstream_internal.h"

enum { JSON_MEMORY_FACTOR = 16 /* by bytes of text */ };

void nx_nats_js_answer_begin(struct nx_nats_js_answer *answer, const struct nx_nats_js_job *job) {
    nx_buf_init(&answer->text, NX_NATS_JS_ANSWER_SIZE_MAX);
    nx_json_writer_init(&answer->writer, &answer->text);
    nx_json_object_begin(&answer->writer);
    nx_json_member_c(&answer->writer, "type", job->api->type);
}

/* True, as it is answered then. */
bool nx_nats_js_answer_end(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                           struct nx_nats_js_answer *answer) {
    nx_json_object_end(&answer->writer);
    nx_nats_js_reply(jetstream, job, NX_STR_EMPTY, nx_buf_str(&answer->text));
    nx_buf_fini(&answer->text);
    return true;
}

bool nx_nats_js_answer_error(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                             const struct nx_js_error *err) {
    struct nx_nats_js_answer answer;
    nx_nats_js_answer_begin(&answer, job);
    nx_json_key(&answer.writer, NX_STR("error"));
    nx_js_error_write(&answer.writer, err);
    if (job->api->begin == nx_nats_js_begin_purge) { /* which NATS always says */
        nx_json_member_u64(&answer.writer, "purged", 0);
    }
    jetstream->api_errors++;
    return nx_nats_js_answer_end(jetstream, job, &answer);
}

bool nx_nats_js_answer_kind(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                            enum nx_js_error_kind kind) {
    struct nx_js_error err = { 0 };
    (void)nx_js_fail(&err, kind);
    return nx_nats_js_answer_error(jetstream, job, &err);
}

bool nx_nats_js_answer_text(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                            enum nx_js_error_kind kind, const char *text) {
    struct nx_js_error err = { 0 };
    (void)nx_js_fail_with(&err, kind, "%s", text);
    return nx_nats_js_answer_error(jetstream, job, &err);
}

void nx_nats_js_write_time(struct nx_json_writer *writer, const char *name, int64_t time_ns) {
    char text[NX_TIME_TEXT_SIZE + 1];
    nx_json_member_str(writer, name, nx_time_format(time_ns, NX_TIME_SHORTEST, text));
}

struct nx_js_entry *nx_nats_js_entry_of(const struct nx_nats_jetstream *jetstream,
                                        const struct nx_nats_js_job *job) {
    return nx_js_catalogue_find(&jetstream->catalogue, job->account, job->name);
}

bool nx_nats_js_answer_status(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                              const char *status) {
    char block[64];
    (void)snprintf(block, sizeof block, "NATS/1.0 %s\r\n\r\n", status);
    nx_nats_js_reply(jetstream, job, nx_str_from_c(block), NX_STR_EMPTY);
    return true;
}

/* Ask the log what a stream holds; empty: all of them. */
bool nx_nats_js_ask_info(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                         struct nx_str stream) {
    struct nx_read *read = NULL;
    if (nx_read_new(NX_READ_INFO, &read, NULL) != NX_OK) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
    }
    read->stream = nx_arena_copy(&read->arena, stream);
    return nx_nats_js_ask(jetstream, job, jetstream->options.reads, &read->message)
               ? false
               : nx_nats_js_answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
}

/* Parse what a request says; an empty one says nothing. False: it was answered. */
bool nx_nats_js_answer_success(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job) {
    struct nx_nats_js_answer answer;
    nx_nats_js_answer_begin(&answer, job);
    nx_json_member_bool(&answer.writer, "success", true);
    return nx_nats_js_answer_end(jetstream, job, &answer);
}

bool nx_nats_js_ask_read(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                         struct nx_read *read) {
    return read != NULL && nx_nats_js_ask(jetstream, job, jetstream->options.reads, &read->message)
               ? false
               : nx_nats_js_answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
}

bool nx_nats_js_ask_append(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                           struct nx_append *append) {
    return append != NULL && nx_nats_js_ask(jetstream, job, jetstream->options.appends, &append->message)
               ? false
               : nx_nats_js_answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
}

enum nx_status nx_nats_js_add_mark(struct nx_append *append, const struct nx_js_entry *entry,
                                   struct nx_str filter, uint64_t until, bool says_sequence,
                                   struct nx_error *err) {
    NX_AUTO(nx_buf) payload;
    char stream[NX_JS_STREAM_NAME_SIZE];
    char subject[sizeof "subject." + 2 * NX_DIGEST_SIZE] = "all";
    (void)snprintf(stream, sizeof stream, "JSM_%" PRIu64, entry->id);
    nx_buf_init(&payload, NX_SUBJECT_SIZE_MAX + NX_SEQUENCE_TEXT_SIZE + 1);
    nx_buf_append_format(&payload, "%0*" PRIu64, NX_SEQUENCE_TEXT_SIZE, until);
    if (filter.len > 0) {
        const struct nx_digest digest = nx_digest_of(filter);
        memcpy(subject, "subject.", sizeof "subject.");
        nx_hex_write(subject + sizeof "subject." - 1, digest.bytes, NX_DIGEST_SIZE);
        nx_buf_append_u8(&payload, ' ');
        nx_buf_append(&payload, filter);
    }
    NX_TRY(nx_buf_check(&payload, err));
    const struct nx_append_entry mark = { .stream = nx_str_from_c(stream),
                                          .subject = nx_str_from_c(subject),
                                          .payload = nx_buf_str(&payload),
                                          .says_sequence = says_sequence };
    return nx_append_add(append, &mark, err);
}

bool nx_nats_js_parse(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                      struct nx_json_doc **doc_out) {
    struct nx_error err = { 0 };
    const struct nx_str text = job->payload.len == 0 ? NX_STR("{}") : job->payload;
    if (nx_json_parse(text, JSON_MEMORY_FACTOR * (text.len + 64), doc_out, &err) != NX_OK) {
        (void)nx_nats_js_answer_text(jetstream, job, NX_JS_INVALID_JSON, err.message);
        return false;
    }
    if (nx_json_kind(nx_json_root(*doc_out)) != NX_JSON_OBJECT) {
        (void)nx_nats_js_answer_text(jetstream, job, NX_JS_INVALID_JSON, "json: expected an object");
        return false;
    }
    return true;
}
