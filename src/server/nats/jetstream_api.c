/* What the API of JetStream answers: see jetstream_internal.h. Forms and errors are nats-server's. */
#include <inttypes.h>
#include <stdio.h>

#include "codec/base64.h"
#include "codec/headers.h"
#include "codec/time_format.h"
#include "fabric/stream/stream_check.h"
#include "fabric/subject/subject.h"
#include "server/nats/jetstream_internal.h"

#define TYPE(name) "io.nats.jetstream.api.v1." name "_response"

enum {
    NAMES_MAX = 1024, /* of one page */
    LIST_MAX = 256,
    JSON_MEMORY_FACTOR = 16, /* by bytes of text */
};

/* An answer that is being written. */
struct answer {
    struct nx_buf text;
    struct nx_json_writer writer;
};

static void answer_begin(struct answer *answer, const struct nx_nats_js_job *job) {
    nx_buf_init(&answer->text, NX_NATS_JS_ANSWER_SIZE_MAX);
    nx_json_writer_init(&answer->writer, &answer->text);
    nx_json_object_begin(&answer->writer);
    nx_json_member_c(&answer->writer, "type", job->api->type);
}

/* True, as it is answered then. */
static bool answer_end(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                       struct answer *answer) {
    nx_json_object_end(&answer->writer);
    nx_nats_js_reply(jetstream, job, NX_STR_EMPTY, nx_buf_str(&answer->text));
    nx_buf_fini(&answer->text);
    return true;
}

static bool answer_error(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                         const struct nx_js_error *err) {
    struct answer answer;
    answer_begin(&answer, job);
    nx_json_key(&answer.writer, NX_STR("error"));
    nx_js_error_write(&answer.writer, err);
    jetstream->api_errors++;
    return answer_end(jetstream, job, &answer);
}

static bool answer_kind(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                        enum nx_js_error_kind kind) {
    struct nx_js_error err = { 0 };
    (void)nx_js_fail(&err, kind);
    return answer_error(jetstream, job, &err);
}

static bool answer_text(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                        enum nx_js_error_kind kind, const char *text) {
    struct nx_js_error err = { 0 };
    (void)nx_js_fail_with(&err, kind, "%s", text);
    return answer_error(jetstream, job, &err);
}

static void write_time(struct nx_json_writer *writer, const char *name, int64_t time_ns) {
    char text[NX_TIME_TEXT_SIZE + 1];
    nx_json_member_str(writer, name, nx_time_format(time_ns, NX_TIME_SHORTEST, text));
}

static struct nx_js_entry *entry_of(const struct nx_nats_jetstream *jetstream,
                                    const struct nx_nats_js_job *job) {
    return nx_js_catalogue_find(&jetstream->catalogue, job->account, job->name);
}

/* Ask the log what a stream holds; empty: all of them. */
static bool ask_info(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job, struct nx_str stream) {
    struct nx_read *read = NULL;
    if (nx_read_new(NX_READ_INFO, &read, NULL) != NX_OK) {
        return answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
    }
    read->stream = nx_arena_copy(&read->arena, stream);
    return nx_nats_js_ask(jetstream, job, jetstream->options.reads, &read->message)
               ? false
               : answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
}

/* Parse what a request says; an empty one says nothing. False: it was answered. */
static bool parse(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                  struct nx_json_doc **doc_out) {
    struct nx_error err = { 0 };
    const struct nx_str text = job->payload.len == 0 ? NX_STR("{}") : job->payload;
    if (nx_json_parse(text, JSON_MEMORY_FACTOR * (text.len + 64), doc_out, &err) != NX_OK) {
        (void)answer_text(jetstream, job, NX_JS_INVALID_JSON, err.message);
        return false;
    }
    if (nx_json_kind(nx_json_root(*doc_out)) != NX_JSON_OBJECT) {
        (void)answer_text(jetstream, job, NX_JS_INVALID_JSON, "json: expected an object");
        return false;
    }
    return true;
}

/* Streams */

static void write_state(struct nx_json_writer *writer, const struct nx_stream_info *info) {
    const bool is_empty = info->count == 0;
    const uint64_t next = info->last_sequence == 0 ? 0 : info->last_sequence + 1;
    nx_json_key(writer, NX_STR("state"));
    nx_json_object_begin(writer);
    nx_json_member_u64(writer, "messages", info->count);
    nx_json_member_u64(writer, "bytes", info->size);
    nx_json_member_u64(writer, "first_seq", is_empty ? next : info->first_sequence);
    if (is_empty) {
        nx_json_member_c(writer, "first_ts", "0001-01-01T00:00:00Z");
    } else {
        write_time(writer, "first_ts", info->first_time_ns);
    }
    nx_json_member_u64(writer, "last_seq", info->last_sequence);
    if (is_empty) {
        nx_json_member_c(writer, "last_ts", "0001-01-01T00:00:00Z");
    } else {
        write_time(writer, "last_ts", info->last_time_ns);
    }
    nx_json_member_u64(writer, "consumer_count", 0);
    nx_json_object_end(writer);
}

static void write_stream(struct nx_nats_jetstream *jetstream, struct nx_json_writer *writer,
                         const struct nx_js_entry *entry, const struct nx_stream_info *info) {
    nx_json_key(writer, NX_STR("config"));
    nx_js_stream_write(writer, &entry->config);
    write_time(writer, "created", entry->created_ns);
    write_state(writer, info);
    write_time(writer, "ts", jetstream->now.wall_ns);
}

/* The log has said what a stream holds: all is known. */
static bool answer_stream(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                          struct nx_read *read) {
    static const struct nx_stream_info nothing;
    const struct nx_js_entry *entry = entry_of(jetstream, job);
    struct answer answer;
    if (entry == NULL || read->status != NX_OK) {
        const bool is_gone = entry == NULL || read->status == NX_NOT_FOUND;
        return answer_kind(jetstream, job, is_gone ? NX_JS_STREAM_NOT_FOUND : NX_JS_CLUSTER_NOT_AVAIL);
    }
    answer_begin(&answer, job);
    write_stream(jetstream, &answer.writer, entry, read->info_count > 0 ? &read->infos[0] : &nothing);
    if (job->changes) {
        nx_json_member_bool(&answer.writer, "did_create", true);
    }
    return answer_end(jetstream, job, &answer);
}

static bool begin_info(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_js_entry *entry = entry_of(jetstream, job);
    if (entry == NULL) {
        return answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    if (!parse(jetstream, job, &doc)) {
        return true;
    }
    bool details = false;
    (void)nx_json_to_bool(nx_json_get(nx_json_root(doc), NX_STR("deleted_details")), &details);
    if (details || nx_json_get_str(nx_json_root(doc), "subjects_filter").len > 0) {
        return answer_text(jetstream, job, NX_JS_STREAM_GENERAL,
                           "subjects and deleted messages are not listed by this server");
    }
    return ask_info(jetstream, job, nx_str_from_c(entry->stream));
}

static bool info_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                       struct nx_message *message) {
    NX_AUTO(nx_read) *read = (struct nx_read *)message;
    return answer_stream(jetstream, job, read);
}

/* Limits that the log does not hold exactly yet are not taken. */
static bool check_built(const struct nx_js_stream *config, struct nx_js_error *err) {
    const bool has_limits = config->max_msgs > 0 || config->max_bytes > 0 || config->max_age > 0;
    const char *what = has_limits                                ? "max_msgs, max_bytes and max_age are"
                       : config->discard == NX_JS_DISCARD_NEW    ? "discard new is"
                       : config->storage == NX_JS_STORAGE_MEMORY ? "memory storage is"
                       : config->first_seq > 1                   ? "first_seq is"
                       : config->allow_rollup_hdrs               ? "allow_rollup_hdrs is"
                                                                 : NULL;
    return what == NULL ||
           nx_js_fail_with(err, NX_JS_STREAM_INVALID_CONFIG, "%s not supported by this server", what);
}

/* What is asked for, into the job. */
static bool read_config(struct nx_nats_js_job *job, const struct nx_json_value *root,
                        struct nx_js_error *err) {
    if (!nx_js_stream_read(root, &job->config, &job->arena, err)) {
        return false;
    }
    if (!nx_str_equal(job->config.name, job->name)) {
        return nx_js_fail(err, NX_JS_STREAM_MISMATCH);
    }
    if (nx_str_find_byte(job->name, '/') != SIZE_MAX || nx_str_find_byte(job->name, '\\') != SIZE_MAX) {
        return nx_js_fail(err, NX_JS_STREAM_NAME_CONTAINS_PATH_SEPARATORS);
    }
    return nx_js_stream_check(&job->config, &job->arena, err);
}

static bool begin_create(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_js_error why = { 0 };
    struct nx_error err = { 0 };
    struct nx_append *append = NULL;
    if (!parse(jetstream, job, &doc)) {
        return true;
    }
    if (!read_config(job, nx_json_root(doc), &why)) {
        return answer_error(jetstream, job, &why);
    }
    const struct nx_js_entry *entry = entry_of(jetstream, job);
    if (entry != NULL) {
        return nx_js_stream_equal(&entry->config, &job->config)
                   ? ask_info(jetstream, job, nx_str_from_c(entry->stream))
                   : answer_kind(jetstream, job, NX_JS_STREAM_NAME_EXIST);
    }
    if (!check_built(&job->config, &why)) {
        return answer_error(jetstream, job, &why);
    }
    if (jetstream->catalogue.entries.count >= NX_JS_STREAMS_MAX) {
        return answer_kind(jetstream, job, NX_JS_MAXIMUM_STREAMS_LIMIT);
    }
    if (nx_js_catalogue_overlaps(&jetstream->catalogue, job->account, &job->config, NULL)) {
        return answer_kind(jetstream, job, NX_JS_STREAM_SUBJECT_OVERLAP);
    }
    if (nx_js_catalogue_create(job->account, &job->config, &append, &err) != NX_OK) {
        return answer_text(jetstream, job, NX_JS_STREAM_CREATE, err.message);
    }
    return nx_nats_js_ask(jetstream, job, jetstream->options.appends, &append->message)
               ? false
               : answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
}

/* The records are on disk: the catalogue is what they say, and the log keeps the stream so. */
static bool take_records(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                         struct nx_append *append, enum nx_js_error_kind failure) {
    struct nx_js_change change = { 0 };
    struct nx_define *define = NULL;
    char gone[NX_JS_STREAM_NAME_SIZE];
    for (size_t i = 0; append->status == NX_OK && i < append->entry_count; i++) {
        const struct nx_append_entry *entry = &append->entries[i];
        const struct nx_record record = { entry->stream,  entry->sequence, entry->time_ns,
                                          entry->subject, entry->headers,  entry->payload };
        append->status = nx_js_catalogue_take(&jetstream->catalogue, &record, &change, &append->error);
    }
    if (append->status != NX_OK) {
        return answer_text(jetstream, job, failure, append->error.message);
    }
    if (change.kind == NX_JS_STREAM_IS) {
        define = nx_nats_js_define_new(change.entry);
    } else {
        (void)snprintf(gone, sizeof gone, "JS_%" PRIu64, change.id);
        if (nx_define_new(nx_str_from_c(gone), &define, NULL) == NX_OK) {
            define->is_gone = true;
        }
    }
    return define != NULL && nx_nats_js_ask(jetstream, job, jetstream->options.appends, &define->message)
               ? false
               : answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES); /* the next start defines it */
}

static bool create_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                         struct nx_message *message) {
    bool is_done = true;
    if (message->kind == NX_FABRIC_READ) {
        is_done = answer_stream(jetstream, job, (struct nx_read *)message);
    } else if (message->kind == NX_FABRIC_APPEND) {
        is_done = take_records(jetstream, job, (struct nx_append *)message, NX_JS_STREAM_CREATE);
    } else {
        const struct nx_define *define = (const struct nx_define *)message;
        is_done = define->status == NX_OK
                      ? ask_info(jetstream, job, nx_str_from_c(define->stream))
                      : answer_text(jetstream, job, NX_JS_STREAM_CREATE, define->error.message);
    }
    nx_message_release(message);
    return is_done;
}

static bool begin_delete(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    const struct nx_js_entry *entry = entry_of(jetstream, job);
    struct nx_append *append = NULL;
    struct nx_error err = { 0 };
    if (job->payload.len > 0 && !nx_str_is(job->payload, "{}")) {
        return answer_kind(jetstream, job, NX_JS_NOT_EMPTY_REQUEST);
    }
    if (entry == NULL) {
        return answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    if (nx_js_catalogue_delete(entry, &append, &err) != NX_OK) {
        return answer_text(jetstream, job, NX_JS_STREAM_DELETE, err.message);
    }
    return nx_nats_js_ask(jetstream, job, jetstream->options.appends, &append->message)
               ? false
               : answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
}

static bool delete_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                         struct nx_message *message) {
    struct answer answer;
    if (message->kind == NX_FABRIC_APPEND) {
        const bool is_done = take_records(jetstream, job, (struct nx_append *)message, NX_JS_STREAM_DELETE);
        nx_message_release(message);
        return is_done;
    }
    nx_message_release(message);
    answer_begin(&answer, job);
    nx_json_member_bool(&answer.writer, "success", true);
    return answer_end(jetstream, job, &answer);
}

/* Lists */

struct page {
    uint64_t offset;
    uint64_t limit;
    uint64_t total;
    struct nx_str subject; /* only streams that take it; empty: all */
};

static bool is_listed(const struct page *page, const struct nx_js_entry *entry) {
    if (page->subject.len == 0) {
        return true;
    }
    for (size_t i = 0; i < entry->config.subjects.count; i++) {
        if (nx_subject_overlaps(entry->config.subjects.items[i], page->subject)) {
            return true;
        }
    }
    return false;
}

static void write_page(struct nx_json_writer *writer, const struct page *page) {
    nx_json_member_u64(writer, "total", page->total);
    nx_json_member_u64(writer, "offset", page->offset);
    nx_json_member_u64(writer, "limit", page->limit);
    nx_json_key(writer, NX_STR("streams"));
}

static const struct nx_stream_info *info_of(const struct nx_read *read, const struct nx_js_entry *entry) {
    static const struct nx_stream_info nothing;
    for (size_t i = 0; read != NULL && i < read->info_count; i++) {
        if (nx_str_is(read->infos[i].name, entry->stream)) {
            return &read->infos[i];
        }
    }
    return &nothing;
}

/* Names, or with a read all that is known of them. */
static bool answer_page(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                        const struct nx_read *read, uint64_t limit) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct answer answer;
    if (!parse(jetstream, job, &doc)) {
        return true;
    }
    struct page page = { .offset = nx_json_get_u64(nx_json_root(doc), "offset"),
                         .limit = limit,
                         .subject = nx_json_get_str(nx_json_root(doc), "subject") };
    const struct nx_js_entry *entry = NULL;
    while ((entry = nx_js_catalogue_next(&jetstream->catalogue, job->account, entry)) != NULL) {
        page.total += is_listed(&page, entry) ? 1 : 0;
    }
    page.offset = page.offset > page.total ? page.total : page.offset;
    answer_begin(&answer, job);
    write_page(&answer.writer, &page);
    nx_json_array_begin(&answer.writer);
    uint64_t at = 0;
    while ((entry = nx_js_catalogue_next(&jetstream->catalogue, job->account, entry)) != NULL) {
        if (!is_listed(&page, entry) || at++ < page.offset || at > page.offset + page.limit) {
            continue;
        }
        if (read == NULL) {
            nx_json_string(&answer.writer, entry->config.name);
        } else {
            nx_json_object_begin(&answer.writer);
            write_stream(jetstream, &answer.writer, entry, info_of(read, entry));
            nx_json_object_end(&answer.writer);
        }
    }
    nx_json_array_end(&answer.writer);
    return answer_end(jetstream, job, &answer);
}

static bool begin_names(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    return answer_page(jetstream, job, NULL, NAMES_MAX);
}

static bool begin_all(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    return ask_info(jetstream, job, NX_STR_EMPTY);
}

static bool list_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                       struct nx_message *message) {
    NX_AUTO(nx_read) *read = (struct nx_read *)message;
    return answer_page(jetstream, job, read, LIST_MAX);
}

static bool account_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                          struct nx_message *message) {
    NX_AUTO(nx_read) *read = (struct nx_read *)message;
    static const char *const limits[] = { "max_memory",
                                          "max_storage",
                                          "max_streams",
                                          "max_consumers",
                                          "max_ack_pending",
                                          "memory_max_stream_bytes",
                                          "storage_max_stream_bytes" };
    const struct nx_js_entry *entry = NULL;
    struct answer answer;
    uint64_t count = 0;
    uint64_t size = 0;
    while ((entry = nx_js_catalogue_next(&jetstream->catalogue, job->account, entry)) != NULL) {
        count++;
        size += info_of(read, entry)->size;
    }
    answer_begin(&answer, job);
    nx_json_member_u64(&answer.writer, "memory", 0);
    nx_json_member_u64(&answer.writer, "storage", size);
    nx_json_member_u64(&answer.writer, "reserved_memory", 0);
    nx_json_member_u64(&answer.writer, "reserved_storage", 0);
    nx_json_member_u64(&answer.writer, "streams", count);
    nx_json_member_u64(&answer.writer, "consumers", 0);
    nx_json_key(&answer.writer, NX_STR("limits"));
    nx_json_object_begin(&answer.writer);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        nx_json_member_i64(&answer.writer, limits[i], -1);
    }
    nx_json_member_bool(&answer.writer, "max_bytes_required", false);
    nx_json_object_end(&answer.writer);
    nx_json_key(&answer.writer, NX_STR("api"));
    nx_json_object_begin(&answer.writer);
    nx_json_member_u64(&answer.writer, "total", jetstream->api_total);
    nx_json_member_u64(&answer.writer, "errors", jetstream->api_errors);
    nx_json_object_end(&answer.writer);
    return answer_end(jetstream, job, &answer);
}

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

static bool begin_get(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_js_error why = { 0 };
    struct get get = { 0 };
    if (job->payload.len == 0) {
        return answer_kind(jetstream, job, NX_JS_BAD_REQUEST);
    }
    if (!parse(jetstream, job, &doc)) {
        return true;
    }
    if (!nx_js_fields_read(&get_shape, nx_json_root(doc), &get, &job->arena, &why)) {
        return answer_error(jetstream, job, &why);
    }
    if (is_nothing(&get) || !is_answerable(&get)) {
        return answer_kind(jetstream, job, NX_JS_BAD_REQUEST);
    }
    const struct nx_js_entry *entry = entry_of(jetstream, job);
    if (entry == NULL) {
        return answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    return ask_message(jetstream, job, entry, &get)
               ? false
               : answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
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

static bool get_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                      struct nx_message *message) {
    NX_AUTO(nx_read) *read = (struct nx_read *)message;
    struct answer answer;
    if (read->status != NX_OK || read->record_count == 0) {
        return answer_kind(jetstream, job, NX_JS_NO_MESSAGE_FOUND);
    }
    const struct nx_record *record = &read->records[0];
    answer_begin(&answer, job);
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
    write_time(&answer.writer, "time", record->time_ns);
    nx_json_object_end(&answer.writer);
    return answer_end(jetstream, job, &answer);
}

static bool answer_status(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                          const char *status) {
    char block[64];
    (void)snprintf(block, sizeof block, "NATS/1.0 %s\r\n\r\n", status);
    nx_nats_js_reply(jetstream, job, nx_str_from_c(block), NX_STR_EMPTY);
    return true;
}

static bool begin_direct(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct get get = { .last_by_subj = job->subject };
    const struct nx_js_entry *entry = entry_of(jetstream, job);
    if (job->subject.len == 0 && job->payload.len == 0) {
        return answer_status(jetstream, job, "408 Empty Request");
    }
    if (job->payload.len > 0 &&
        (nx_json_parse(job->payload, JSON_MEMORY_FACTOR * (job->payload.len + 64), &doc, NULL) != NX_OK ||
         nx_json_kind(nx_json_root(doc)) != NX_JSON_OBJECT ||
         !nx_js_fields_read(&get_shape, nx_json_root(doc), &get, &job->arena, NULL))) {
        return answer_status(jetstream, job, "408 Malformed Request");
    }
    if (is_nothing(&get)) {
        return answer_status(jetstream, job, "408 Empty Request");
    }
    if (!is_answerable(&get)) {
        return answer_status(jetstream, job, "408 Bad Request");
    }
    return entry != NULL && ask_message(jetstream, job, entry, &get)
               ? false
               : answer_status(jetstream, job, "404 Message Not Found");
}

static bool direct_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                         struct nx_message *message) {
    NX_AUTO(nx_read) *read = (struct nx_read *)message;
    NX_AUTO(nx_buf) lines;
    NX_AUTO(nx_buf) block;
    char time[NX_TIME_TEXT_SIZE + 1];
    nx_buf_init(&lines, NX_NATS_JS_ANSWER_SIZE_MAX);
    nx_buf_init(&block, NX_NATS_JS_ANSWER_SIZE_MAX);
    if (read->status != NX_OK || read->record_count == 0) {
        return answer_status(jetstream, job, "404 Message Not Found");
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

/* What is not built, and what a single server never does. */

static bool begin_refused(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    const bool needs_stream = nx_str_find(nx_str_from_c(job->api->pattern), NX_STR("*")) != SIZE_MAX;
    return needs_stream && entry_of(jetstream, job) == NULL
               ? answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND)
               : answer_text(jetstream, job, NX_JS_STREAM_GENERAL, "not supported by this server");
}

static bool begin_clustered(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    return answer_kind(jetstream, job, NX_JS_CLUSTER_REQUIRED);
}

static bool begin_consumer(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    return answer_kind(jetstream, job,
                       entry_of(jetstream, job) == NULL ? NX_JS_STREAM_NOT_FOUND : NX_JS_CONSUMER_NOT_FOUND);
}

static bool begin_consumers(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    const bool are_names = nx_str_starts_with(nx_str_from_c(job->api->pattern), NX_STR("CONSUMER.NAMES"));
    struct answer answer;
    if (entry_of(jetstream, job) == NULL) {
        return answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    answer_begin(&answer, job);
    nx_json_member_u64(&answer.writer, "total", 0);
    nx_json_member_u64(&answer.writer, "offset", 0);
    nx_json_member_u64(&answer.writer, "limit", are_names ? NAMES_MAX : LIST_MAX);
    nx_json_key(&answer.writer, NX_STR("consumers"));
    nx_json_array_begin(&answer.writer);
    nx_json_array_end(&answer.writer);
    return answer_end(jetstream, job, &answer);
}

static const struct nx_nats_js_api apis[] = {
    { "INFO", TYPE("account_info"), false, false, begin_all, account_go_on },
    { "STREAM.NAMES", TYPE("stream_names"), false, false, begin_names, NULL },
    { "STREAM.LIST", TYPE("stream_list"), false, false, begin_all, list_go_on },
    { "STREAM.CREATE.*", TYPE("stream_create"), true, false, begin_create, create_go_on },
    { "STREAM.DELETE.*", TYPE("stream_delete"), true, false, begin_delete, delete_go_on },
    { "STREAM.INFO.*", TYPE("stream_info"), false, false, begin_info, info_go_on },
    { "STREAM.MSG.GET.*", TYPE("stream_msg_get"), false, false, begin_get, get_go_on },
    { "DIRECT.GET.*", TYPE("stream_msg_get"), false, true, begin_direct, direct_go_on },
    { "DIRECT.GET.*.>", TYPE("stream_msg_get"), false, true, begin_direct, direct_go_on },
    { "STREAM.UPDATE.*", TYPE("stream_update"), false, false, begin_refused, NULL },
    { "STREAM.PURGE.*", TYPE("stream_purge"), false, false, begin_refused, NULL },
    { "STREAM.MSG.DELETE.*", TYPE("stream_msg_delete"), false, false, begin_refused, NULL },
    { "STREAM.SNAPSHOT.*", TYPE("stream_snapshot"), false, false, begin_refused, NULL },
    { "STREAM.RESTORE.*", TYPE("stream_restore"), false, false, begin_refused, NULL },
    { "STREAM.PEER.REMOVE.*", TYPE("stream_remove_peer"), false, false, begin_clustered, NULL },
    { "STREAM.LEADER.STEPDOWN.*", TYPE("stream_leader_stepdown"), false, false, begin_clustered, NULL },
    { "CONSUMER.NAMES.*", TYPE("consumer_names"), false, false, begin_consumers, NULL },
    { "CONSUMER.LIST.*", TYPE("consumer_list"), false, false, begin_consumers, NULL },
    { "CONSUMER.INFO.*.>", TYPE("consumer_info"), false, false, begin_consumer, NULL },
    { "CONSUMER.DELETE.*.>", TYPE("consumer_delete"), false, false, begin_consumer, NULL },
    { "CONSUMER.CREATE.*", TYPE("consumer_create"), false, false, begin_refused, NULL },
    { "CONSUMER.CREATE.*.>", TYPE("consumer_create"), false, false, begin_refused, NULL },
    { "CONSUMER.DURABLE.CREATE.*.>", TYPE("consumer_create"), false, false, begin_refused, NULL },
};

/* What the star and the rest of a pattern stand for in a subject that it covers. */
static void take_apart(struct nx_str pattern, struct nx_str subject, struct nx_str *name_out,
                       struct nx_str *rest_out) {
    struct nx_str want;
    struct nx_str have;
    while (nx_str_split(&pattern, '.', &want)) {
        if (nx_str_is(want, ">")) {
            *rest_out = subject;
            return;
        }
        if (nx_str_split(&subject, '.', &have) && nx_str_is(want, "*")) {
            *name_out = have;
        }
    }
}

const struct nx_nats_js_api *nx_nats_js_api_find(struct nx_str subject, struct nx_str *name_out,
                                                 struct nx_str *rest_out) {
    for (size_t i = 0; nx_subject_is_valid(subject) && i < sizeof apis / sizeof apis[0]; i++) {
        const struct nx_str pattern = nx_str_from_c(apis[i].pattern);
        if (nx_subject_matches(pattern, subject)) {
            take_apart(pattern, subject, name_out, rest_out);
            return &apis[i];
        }
    }
    return NULL;
}
