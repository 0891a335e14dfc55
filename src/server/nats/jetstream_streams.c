/* Streams of the API of JetStream: making, changing, emptying and deleting them, and what there are. */
#include "server/nats/jetstream_consumer.h"

#include <inttypes.h>
#include <stdio.h>

#include "fabric/stream/stream_check.h"
#include "fabric/subject/subject.h"
#include "server/nats/access.h"

enum {
    NAMES_MAX = 1024, /* of one page */
    LIST_MAX = 256,
};

/* Streams */

static void write_details(struct nx_json_writer *writer, const struct nx_read *read) {
    if (read->with_subjects && read->subject_count > 0) {
        nx_json_key(writer, NX_STR("subjects"));
        nx_json_object_begin(writer);
        for (size_t i = 0; i < read->subject_count; i++) {
            nx_json_key(writer, read->subjects[i].subject);
            nx_json_u64(writer, read->subjects[i].count);
        }
        nx_json_object_end(writer);
    }
    if (read->deleted_count > 0) {
        nx_json_key(writer, NX_STR("deleted"));
        nx_json_array_begin(writer);
        for (size_t i = 0; i < read->deleted_count; i++) {
            nx_json_u64(writer, read->deleted[i]);
        }
        nx_json_array_end(writer);
    }
}

/* `read` is NULL where only this is known. */
static void write_state(struct nx_json_writer *writer, const struct nx_stream_info *info,
                        uint64_t consumer_count, const struct nx_read *read) {
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
        nx_nats_js_write_time(writer, "first_ts", info->first_time_ns);
    }
    nx_json_member_u64(writer, "last_seq", info->last_sequence);
    if (is_empty) {
        nx_json_member_c(writer, "last_ts", "0001-01-01T00:00:00Z");
    } else {
        nx_nats_js_write_time(writer, "last_ts", info->last_time_ns);
    }
    if (read != NULL && read->subject_total > 0) {
        nx_json_member_u64(writer, "num_subjects", read->subject_total);
    }
    const uint64_t span = is_empty ? 0 : info->last_sequence - info->first_sequence + 1;
    if (span > info->count) {
        nx_json_member_u64(writer, "num_deleted", span - info->count);
    }
    if (read != NULL) {
        write_details(writer, read);
    }
    nx_json_member_u64(writer, "consumer_count", consumer_count);
    nx_json_object_end(writer);
}

static void write_stream(struct nx_nats_jetstream *jetstream, struct nx_json_writer *writer,
                         const struct nx_js_entry *entry, const struct nx_stream_info *info,
                         const struct nx_read *read) {
    nx_json_key(writer, NX_STR("config"));
    nx_js_stream_write(writer, &entry->config);
    nx_nats_js_write_time(writer, "created", entry->created_ns);
    const struct nx_nats_js_stream *stream = entry->served;
    write_state(writer, info, stream == NULL ? 0 : stream->consumers.count, read);
    nx_nats_js_write_time(writer, "ts", jetstream->now.wall_ns);
}

/* The log has said what a stream holds: all is known. */
static bool answer_stream(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                          struct nx_read *read) {
    static const struct nx_stream_info nothing;
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    struct nx_nats_js_answer answer;
    if (entry != NULL && read->error.kind == NX_KIND_TOO_LARGE) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_INFO_MAX_SUBJECTS);
    }
    if (entry == NULL || read->status != NX_OK) {
        const bool is_gone = entry == NULL || read->status == NX_NOT_FOUND;
        return nx_nats_js_answer_kind(jetstream, job,
                                      is_gone ? NX_JS_STREAM_NOT_FOUND : NX_JS_CLUSTER_NOT_AVAIL);
    }
    nx_nats_js_answer_begin(&answer, job);
    if (job->api->begin == nx_nats_js_begin_info) { /* NATS pages subjects */
        nx_json_member_u64(&answer.writer, "total", read->subject_count);
        nx_json_member_u64(&answer.writer, "offset", 0);
        nx_json_member_u64(&answer.writer, "limit", read->with_subjects ? NX_READ_DETAILS_MAX : 0);
    }
    write_stream(jetstream, &answer.writer, entry, read->info_count > 0 ? &read->infos[0] : &nothing, read);
    if (job->api->begin == nx_nats_js_begin_create) {
        nx_json_member_bool(&answer.writer, "did_create", true);
    }
    return nx_nats_js_answer_end(jetstream, job, &answer);
}

bool nx_nats_js_begin_info(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    if (entry == NULL) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    if (!nx_nats_js_parse(jetstream, job, &doc)) {
        return true;
    }
    bool details = false;
    (void)nx_json_to_bool(nx_json_get(nx_json_root(doc), NX_STR("deleted_details")), &details);
    const struct nx_str filter = nx_json_get_str(nx_json_root(doc), "subjects_filter");
    struct nx_read *read = NULL;
    if (filter.len > 0 && !nx_subject_is_filter(filter)) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_BAD_REQUEST);
    }
    if (nx_read_new(NX_READ_INFO, &read, NULL) == NX_OK) {
        read->stream = nx_arena_copy(&read->arena, nx_str_from_c(entry->stream));
        read->subject = nx_arena_copy(&read->arena, filter);
        read->with_subjects = filter.len > 0;
        read->with_deleted = details;
    }
    return nx_nats_js_ask_read(jetstream, job, read);
}

bool nx_nats_js_info_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                           struct nx_message *message) {
    NX_AUTO(nx_read) *read = (struct nx_read *)message;
    return answer_stream(jetstream, job, read);
}

/* What is not built. */
static bool check_built(const struct nx_js_stream *config, struct nx_js_error *err) {
    return config->first_seq <= 1 ||
           nx_js_fail_with(err, NX_JS_STREAM_INVALID_CONFIG, "first_seq is not supported by this server");
}

/* What is asked for, into the job; `old` is what it is to replace, NULL: nothing. */
static bool read_config(struct nx_nats_js_job *job, const struct nx_json_value *root,
                        const struct nx_js_stream *old, struct nx_js_error *err) {
    if (!nx_js_stream_read(root, &job->config, &job->arena, err)) {
        return false;
    }
    if (!nx_str_equal(job->config.name, job->name)) {
        return nx_js_fail(err, NX_JS_STREAM_MISMATCH);
    }
    if (nx_str_find_byte(job->name, '/') != SIZE_MAX || nx_str_find_byte(job->name, '\\') != SIZE_MAX) {
        return nx_js_fail(err, NX_JS_STREAM_NAME_CONTAINS_PATH_SEPARATORS);
    }
    return (old == NULL ? nx_js_stream_check(&job->config, &job->arena, err)
                        : nx_js_stream_check_update(old, &job->config, &job->arena, err)) &&
           check_built(&job->config, err);
}

/* Another stream takes some of these subjects, or the project's events do. */
static bool overlaps(const struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                     const struct nx_js_entry *except) {
    const bool has_events =
        jetstream->options.events != NULL && nx_str_equal(job->account, nx_nats_account_default);
    for (size_t i = 0; has_events && i < job->config.subjects.count; i++) {
        if (nx_subject_overlaps(job->config.subjects.items[i], NX_STR("events.>"))) {
            return true;
        }
    }
    return nx_js_catalogue_overlaps(&jetstream->catalogue, job->account, &job->config, except);
}

bool nx_nats_js_begin_create(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_js_error why = { 0 };
    struct nx_error err = { 0 };
    struct nx_append *append = NULL;
    if (!nx_nats_js_parse(jetstream, job, &doc)) {
        return true;
    }
    if (!read_config(job, nx_json_root(doc), NULL, &why)) {
        return nx_nats_js_answer_error(jetstream, job, &why);
    }
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    if (entry == NULL && jetstream->options.events != NULL && nx_str_is(job->name, "EVENTS") &&
        nx_str_equal(job->account, nx_nats_account_default)) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NAME_EXIST); /* the project's own */
    }
    if (entry != NULL) {
        return nx_js_stream_equal(&entry->config, &job->config)
                   ? nx_nats_js_ask_info(jetstream, job, nx_str_from_c(entry->stream))
                   : nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NAME_EXIST);
    }
    if (jetstream->catalogue.entries.count >= NX_JS_STREAMS_MAX) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_MAXIMUM_STREAMS_LIMIT);
    }
    if (overlaps(jetstream, job, NULL)) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_SUBJECT_OVERLAP);
    }
    if (nx_js_catalogue_create(job->account, &job->config, &append, &err) != NX_OK) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_STREAM_CREATE, err.message);
    }
    return nx_nats_js_ask(jetstream, job, jetstream->options.appends, &append->message)
               ? false
               : nx_nats_js_answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
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
        if (append->status == NX_OK && change.kind == NX_JS_STREAM_WAS) {
            nx_nats_js_served_free(jetstream, change.served);
        }
    }
    if (append->status != NX_OK) {
        return nx_nats_js_answer_text(jetstream, job, failure, append->error.message);
    }
    if (change.kind == NX_JS_STREAM_IS) {
        define = nx_nats_js_serve(change.entry) ? nx_nats_js_define_new(change.entry) : NULL;
    } else {
        (void)snprintf(gone, sizeof gone, "JS_%" PRIu64, change.id);
        if (nx_define_new(nx_str_from_c(gone), &define, NULL) == NX_OK) {
            define->is_gone = true;
        }
    }
    return define != NULL && nx_nats_js_ask(jetstream, job, jetstream->options.appends, &define->message)
               ? false
               : nx_nats_js_answer_kind(jetstream, job,
                                        NX_JS_INSUFFICIENT_RESOURCES); /* the next start defines it */
}

bool nx_nats_js_create_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                             struct nx_message *message) {
    bool is_done = true;
    if (message->kind == NX_FABRIC_READ) {
        is_done = answer_stream(jetstream, job, (struct nx_read *)message);
    } else if (message->kind == NX_FABRIC_APPEND) {
        is_done = take_records(jetstream, job, (struct nx_append *)message, NX_JS_STREAM_CREATE);
    } else {
        const struct nx_define *define = (const struct nx_define *)message;
        is_done = define->status == NX_OK
                      ? nx_nats_js_ask_info(jetstream, job, nx_str_from_c(define->stream))
                      : nx_nats_js_answer_text(jetstream, job, NX_JS_STREAM_CREATE, define->error.message);
    }
    nx_message_release(message);
    return is_done;
}

bool nx_nats_js_begin_update(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_js_error why = { 0 };
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    if (!nx_nats_js_parse(jetstream, job, &doc)) {
        return true;
    }
    if (entry == NULL) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    if (!read_config(job, nx_json_root(doc), &entry->config, &why)) {
        return nx_nats_js_answer_error(jetstream, job, &why);
    }
    const int64_t before = entry->config.max_msgs_per_subject;
    const int64_t after = job->config.max_msgs_per_subject;
    if (before > 0 && (after < 0 || after > before)) { /* what it let go would come back */
        (void)nx_js_fail_with(&why, NX_JS_STREAM_INVALID_CONFIG,
                              "max_msgs_per_subject can not be raised by this server");
        return nx_nats_js_answer_error(jetstream, job, &why);
    }
    if (overlaps(jetstream, job, entry)) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_SUBJECT_OVERLAP);
    }
    return nx_nats_js_ask_info(jetstream, job, nx_str_from_c(entry->stream));
}

/* What it holds now is known: what has left stays so. */
static bool append_update(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                          const struct nx_read *read) {
    struct nx_append *append = NULL;
    struct nx_error err = { 0 };
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    if (entry == NULL || read->status != NX_OK || read->info_count == 0) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_CLUSTER_NOT_AVAIL);
    }
    if (nx_js_catalogue_update(entry, &job->config, read->infos[0].first_sequence, &append, &err) != NX_OK) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_STREAM_UPDATE, err.message);
    }
    return nx_nats_js_ask_append(jetstream, job, append);
}

bool nx_nats_js_update_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                             struct nx_message *message) {
    if (job->phase++ > 0) {
        return nx_nats_js_create_go_on(jetstream, job, message);
    }
    NX_AUTO(nx_read) *read = (struct nx_read *)message;
    return append_update(jetstream, job, read);
}

/* Purging */

/* The filter, and what is to be left: `seq` or `keep`. */
static bool read_purge(struct nx_nats_js_job *job, const struct nx_json_value *root, uint64_t *seq,
                       uint64_t *keep) {
    *seq = nx_json_get_u64(root, "seq");
    *keep = nx_json_get_u64(root, "keep");
    const struct nx_str filter = nx_json_get_str(root, "filter");
    job->subject = nx_arena_copy(&job->arena, nx_str_is(filter, ">") ? NX_STR_EMPTY : filter);
    return job->subject.ptr != NULL && (*seq == 0 || *keep == 0) &&
           (job->subject.len == 0 || nx_subject_is_filter(job->subject));
}

static bool answer_purge(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    struct nx_nats_js_answer answer;
    nx_nats_js_answer_begin(&answer, job);
    nx_json_member_bool(&answer.writer, "success", true);
    nx_json_member_u64(&answer.writer, "purged", job->number);
    return nx_nats_js_answer_end(jetstream, job, &answer);
}

bool nx_nats_js_begin_purge(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_read *read = NULL;
    uint64_t seq;
    uint64_t keep;
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    if (!nx_nats_js_parse(jetstream, job, &doc)) {
        return true;
    }
    if (!read_purge(job, nx_json_root(doc), &seq, &keep)) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_BAD_REQUEST);
    }
    if (entry == NULL) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    if (entry->config.sealed) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_SEALED);
    }
    if (entry->config.deny_purge) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_STREAM_PURGE_FAILED,
                                      "stream purge not permitted");
    }
    if (seq == 1) {
        return answer_purge(jetstream, job);
    }
    if (nx_read_new(NX_READ_COUNT, &read, NULL) == NX_OK) {
        read->stream = nx_arena_copy(&read->arena, nx_str_from_c(entry->stream));
        read->subject = nx_arena_copy(&read->arena, job->subject);
        read->to_sequence = seq > 0 ? seq - 1 : 0;
        read->keep = keep;
    }
    return nx_nats_js_ask_read(jetstream, job, read);
}

/* How many it is, and up to where, is known. */
static bool append_purge(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                         const struct nx_read *read) {
    NX_AUTO(nx_append) *append = NULL;
    struct nx_error err = { 0 };
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    if (entry == NULL || read->status != NX_OK) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    job->number = read->infos[0].count;
    if (job->number == 0) {
        return answer_purge(jetstream, job);
    }
    if (nx_append_new(1, 0, &append, &err) != NX_OK ||
        nx_nats_js_add_mark(append, entry, job->subject, read->to_sequence, false, &err) != NX_OK) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_STREAM_PURGE_FAILED, err.message);
    }
    return nx_nats_js_ask_append(jetstream, job, NX_TAKE(append));
}

/* What waits for its acknowledgement and is gone need not be waited for. */
static void note_deleted(const struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                         const struct nx_append *append) {
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    uint64_t until;
    if (entry == NULL || entry->served == NULL || append->status != NX_OK) {
        return;
    }
    nx_nats_js_deleted(entry->served);
    if (job->subject.len == 0 && nx_str_to_u64(append->entries[0].payload, &until)) {
        nx_nats_js_deleted_until(entry->served, until);
    }
}

bool nx_nats_js_purge_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                            struct nx_message *message) {
    bool is_done;
    if (message->kind == NX_FABRIC_READ) {
        is_done = append_purge(jetstream, job, (const struct nx_read *)message);
    } else {
        const struct nx_append *append = (const struct nx_append *)message;
        note_deleted(jetstream, job, append);
        is_done = append->status == NX_OK ? answer_purge(jetstream, job)
                                          : nx_nats_js_answer_text(jetstream, job, NX_JS_STREAM_PURGE_FAILED,
                                                                   append->error.message);
    }
    nx_message_release(message);
    return is_done;
}

bool nx_nats_js_begin_delete(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    struct nx_append *append = NULL;
    struct nx_error err = { 0 };
    if (job->payload.len > 0 && !nx_str_is(job->payload, "{}")) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_NOT_EMPTY_REQUEST);
    }
    if (entry == NULL) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    if (nx_js_catalogue_delete(entry, &append, &err) != NX_OK) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_STREAM_DELETE, err.message);
    }
    return nx_nats_js_ask(jetstream, job, jetstream->options.appends, &append->message)
               ? false
               : nx_nats_js_answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
}

bool nx_nats_js_delete_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                             struct nx_message *message) {
    struct nx_nats_js_answer answer;
    if (message->kind == NX_FABRIC_APPEND) {
        const bool is_done = take_records(jetstream, job, (struct nx_append *)message, NX_JS_STREAM_DELETE);
        nx_message_release(message);
        return is_done;
    }
    nx_message_release(message);
    nx_nats_js_answer_begin(&answer, job);
    nx_json_member_bool(&answer.writer, "success", true);
    return nx_nats_js_answer_end(jetstream, job, &answer);
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
    struct nx_nats_js_answer answer;
    if (!nx_nats_js_parse(jetstream, job, &doc)) {
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
    nx_nats_js_answer_begin(&answer, job);
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
            write_stream(jetstream, &answer.writer, entry, info_of(read, entry), NULL);
            nx_json_object_end(&answer.writer);
        }
    }
    nx_json_array_end(&answer.writer);
    return nx_nats_js_answer_end(jetstream, job, &answer);
}

bool nx_nats_js_begin_names(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    return answer_page(jetstream, job, NULL, NAMES_MAX);
}

bool nx_nats_js_begin_all(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    return nx_nats_js_ask_info(jetstream, job, NX_STR_EMPTY);
}

bool nx_nats_js_list_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                           struct nx_message *message) {
    NX_AUTO(nx_read) *read = (struct nx_read *)message;
    return answer_page(jetstream, job, read, LIST_MAX);
}

bool nx_nats_js_account_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
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
    struct nx_nats_js_answer answer;
    uint64_t count = 0;
    uint64_t consumer_count = 0;
    uint64_t size = 0;
    while ((entry = nx_js_catalogue_next(&jetstream->catalogue, job->account, entry)) != NULL) {
        const struct nx_nats_js_stream *stream = entry->served;
        count++;
        consumer_count += stream == NULL ? 0 : stream->consumers.count;
        size += info_of(read, entry)->size;
    }
    nx_nats_js_answer_begin(&answer, job);
    nx_json_member_u64(&answer.writer, "memory", 0);
    nx_json_member_u64(&answer.writer, "storage", size);
    nx_json_member_u64(&answer.writer, "reserved_memory", 0);
    nx_json_member_u64(&answer.writer, "reserved_storage", 0);
    nx_json_member_u64(&answer.writer, "streams", count);
    nx_json_member_u64(&answer.writer, "consumers", consumer_count);
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
    return nx_nats_js_answer_end(jetstream, job, &answer);
}
