#include "server/nats/jetstream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "codec/headers.h"
#include "fabric/subject/subject.h"
#include "platform/function/functions.h"
#include "server/nats/jetstream_consumer.h"

#define API_PREFIX "$JS.API."
#define NEXT_PREFIX API_PREFIX "CONSUMER.MSG.NEXT."

enum {
    JOB_SIZE_MAX = 32 * 1024 * 1024, /* bytes of a request with what it says */
    API_LEVEL = 0,                   /* of the API: what 2.10 had */
};

/* Jobs */

void nx_nats_js_job_free(struct nx_nats_js_job *job) {
    nx_arena_fini(&job->arena);
    free(job->lasts);
    free(job);
}

struct nx_nats_js_job *nx_nats_js_job_new(enum nx_nats_js_step step, struct nx_str account,
                                          const struct nx_nats_op *message) {
    struct nx_nats_js_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return NULL;
    }
    job->step = step;
    nx_arena_init(&job->arena, JOB_SIZE_MAX);
    job->account = nx_arena_copy(&job->arena, account);
    job->reply = nx_arena_copy(&job->arena, message->reply);
    if (job->account.ptr == NULL || job->reply.ptr == NULL) {
        nx_nats_js_job_free(job);
        return NULL;
    }
    return job;
}

void nx_nats_js_reply(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                      struct nx_str block, struct nx_str payload) {
    const struct nx_nats_op message = { .subject = job->reply, .headers = block, .payload = payload };
    if (job->reply.len > 0) {
        jetstream->options.publish(jetstream->options.data, job->account, &message);
    }
}

void nx_nats_js_ask_surely(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                           struct nx_mailbox *mailbox, struct nx_message *message) {
    message->reply_to = jetstream->options.answers;
    message->context = job;
    jetstream->under_way++;
    if (mailbox == jetstream->options.appends) {
        nx_message_queue_push(&jetstream->outbox, message);
    } else {
        nx_mailbox_send_reply(mailbox, message);
    }
}

bool nx_nats_js_ask(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                    struct nx_mailbox *mailbox, struct nx_message *message) {
    if (mailbox == jetstream->options.appends) {
        nx_nats_js_ask_surely(jetstream, job, mailbox, message); /* appends wait in the outbox */
        return true;
    }
    message->reply_to = jetstream->options.answers;
    message->context = job;
    if (!nx_mailbox_send(mailbox, message)) {
        nx_message_release(message);
        return false;
    }
    jetstream->under_way++;
    return true;
}

/* Requests */

static void job_done(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    jetstream->is_changing = jetstream->is_changing && !job->changes;
    jetstream->request_count--;
    nx_nats_js_job_free(job);
}

static bool may_begin(const struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job) {
    const struct nx_list_node *first = nx_list_first(&jetstream->publishes);
    if (!jetstream->is_loaded && !jetstream->has_failed) {
        return false; /* soon: what stands in the log is being read */
    }
    if (first != NULL &&
        nx_container_of((struct nx_list_node *)(uintptr_t)first, struct nx_nats_js_job, node)->ticket <=
            job->ticket) {
        return false;
    }
    return !job->changes || !jetstream->is_changing;
}

/* As many as may; none overtakes another. */
static void begin_waiting(struct nx_nats_jetstream *jetstream) {
    struct nx_list_node *first;
    while ((first = nx_list_first(&jetstream->waiting)) != NULL) {
        struct nx_nats_js_job *job = nx_container_of(first, struct nx_nats_js_job, node);
        if (!may_begin(jetstream, job)) {
            return;
        }
        nx_list_remove(&jetstream->waiting, first);
        jetstream->is_changing = jetstream->is_changing || job->changes;
        if (job->api->begin(jetstream, job)) {
            job_done(jetstream, job);
        }
    }
}

static void refuse_request(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                           enum nx_js_error_kind kind) {
    NX_AUTO(nx_buf) text;
    struct nx_json_writer writer;
    struct nx_js_error err = { 0 };
    (void)nx_js_fail(&err, kind);
    nx_buf_init(&text, NX_NATS_JS_ANSWER_SIZE_MAX);
    nx_json_writer_init(&writer, &text);
    nx_json_object_begin(&writer);
    nx_json_member_c(&writer, "type", job->api->type);
    nx_json_key(&writer, NX_STR("error"));
    nx_js_error_write(&writer, &err);
    nx_json_object_end(&writer);
    jetstream->api_errors++;
    nx_nats_js_reply(jetstream, job, NX_STR_EMPTY, nx_buf_str(&text));
}

/* As NATS: also what is no number asks for more than there is. */
static bool is_level_served(struct nx_str block) {
    struct nx_nats_headers headers;
    struct nx_str level;
    uint64_t number;
    if (block.len == 0 || !nx_nats_headers_split(block, &headers) ||
        !nx_headers_find(headers.lines, NX_STR("Nats-Required-Api-Level"), &level) || level.len == 0) {
        return true;
    }
    return nx_str_to_u64(level, &number) && number <= API_LEVEL;
}

static bool allows_direct(const struct nx_nats_jetstream *jetstream, struct nx_str account,
                          struct nx_str name) {
    const struct nx_js_entry *entry = nx_js_catalogue_find(&jetstream->catalogue, account, name);
    return entry != NULL && entry->config.allow_direct;
}

static bool take_request(struct nx_nats_jetstream *jetstream, struct nx_str account,
                         const struct nx_nats_op *message) {
    struct nx_str name = NX_STR_EMPTY;
    struct nx_str rest = NX_STR_EMPTY;
    const struct nx_nats_js_api *api = nx_nats_js_api_find(
        nx_str_slice(message->subject, sizeof API_PREFIX - 1, message->subject.len), &name, &rest);
    if (api == NULL || (api->is_direct && !allows_direct(jetstream, account, name))) {
        return false;
    }
    struct nx_nats_js_job *job = nx_nats_js_job_new(NX_NATS_JS_API, account, message);
    if (job == NULL) {
        return false;
    }
    job->api = api;
    job->ticket = jetstream->ticket;
    job->changes = api->changes;
    job->name = nx_arena_copy(&job->arena, name);
    job->subject = nx_arena_copy(&job->arena, rest);
    job->payload = nx_arena_copy(&job->arena, message->payload);
    jetstream->api_total++;
    if (!is_level_served(message->headers)) {
        refuse_request(jetstream, job, NX_JS_REQUIRED_API_LEVEL);
        nx_nats_js_job_free(job);
        return true;
    }
    const bool has_room = job->name.ptr != NULL && job->subject.ptr != NULL && job->payload.ptr != NULL &&
                          jetstream->request_count < NX_NATS_JS_REQUESTS_MAX;
    if (!has_room || jetstream->has_failed) {
        refuse_request(jetstream, job, has_room ? NX_JS_CLUSTER_NOT_AVAIL : NX_JS_INSUFFICIENT_RESOURCES);
        nx_nats_js_job_free(job);
        return true;
    }
    jetstream->request_count++;
    nx_list_append(&jetstream->waiting, &job->node);
    begin_waiting(jetstream);
    return true;
}

/* CONSUMER.MSG.NEXT.<stream>.<consumer>: nothing of the log is needed for it, and nobody waits for it. */
static bool take_pull(struct nx_nats_jetstream *jetstream, struct nx_str account,
                      const struct nx_nats_op *message) {
    struct nx_str name = nx_str_slice(message->subject, sizeof NEXT_PREFIX - 1, message->subject.len);
    struct nx_str stream;
    if (!nx_str_split(&name, '.', &stream)) {
        return false;
    }
    name = nx_str_slice(message->subject, sizeof NEXT_PREFIX + stream.len, message->subject.len);
    struct nx_nats_js_consumer *consumer =
        nx_nats_js_consumer_find(nx_js_catalogue_find(&jetstream->catalogue, account, stream), name);
    if (consumer == NULL) {
        return false; /* as NATS: nobody answers */
    }
    nx_nats_js_consumer_pull(consumer, message->reply, message->payload);
    return true;
}

bool nx_nats_jetstream_take(struct nx_nats_jetstream *jetstream, struct nx_str account,
                            const struct nx_nats_op *message, struct nx_now now) {
    jetstream->now = now;
    if (nx_str_starts_with(message->subject, NX_STR(NEXT_PREFIX))) {
        return message->reply.len > 0 && take_pull(jetstream, account, message);
    }
    if (nx_str_starts_with(message->subject, NX_STR("$JS.ACK.")) ||
        nx_str_starts_with(message->subject, NX_STR("$JS.FC."))) {
        return nx_nats_js_take_ack(jetstream, account, message);
    }
    if (nx_str_starts_with(message->subject, NX_STR(API_PREFIX))) {
        return message->reply.len > 0 && jetstream->options.has_api &&
               take_request(jetstream, account, message);
    }
    return nx_subject_is_valid(message->subject) && nx_nats_js_take_publish(jetstream, account, message);
}

/* The start */

static uint64_t limit_of(int64_t limit) {
    return limit > 0 ? (uint64_t)limit : 0;
}

struct nx_define *nx_nats_js_define_new(const struct nx_js_entry *entry) {
    struct nx_define *define = NULL;
    if (nx_define_new(nx_str_from_c(entry->stream), &define, NULL) != NX_OK) {
        return NULL;
    }
    define->dedup_window_ns = entry->config.duplicate_window;
    define->per_subject_max = limit_of(entry->config.max_msgs_per_subject);
    define->count_max = limit_of(entry->config.max_msgs);
    define->size_max = limit_of(entry->config.max_bytes);
    define->age_max_ns = entry->config.max_age;
    define->refuses_new = entry->config.discard == NX_JS_DISCARD_NEW;
    define->refuses_subject = entry->config.discard_new_per_subject;
    define->is_unsynced = entry->config.storage == NX_JS_STORAGE_MEMORY;
    define->first_sequence = entry->first_sequence;
    return define;
}

static void send_define(struct nx_nats_jetstream *jetstream, struct nx_define *define) {
    if (define == NULL) {
        nx_log_error(jetstream->options.log, "no memory to define a stream: it stays as it is");
        return;
    }
    define->message.reply_to = jetstream->options.answers;
    nx_message_queue_push(&jetstream->outbox, &define->message);
    jetstream->under_way++;
    jetstream->defines++;
}

static void define_gone(struct nx_nats_jetstream *jetstream, uint64_t id) {
    char name[NX_JS_STREAM_NAME_SIZE];
    struct nx_define *define = NULL;
    (void)snprintf(name, sizeof name, "JS_%" PRIu64, id);
    if (nx_define_new(nx_str_from_c(name), &define, NULL) == NX_OK) {
        define->is_gone = true;
    }
    send_define(jetstream, define);
}

static enum nx_status ask_catalogue(struct nx_nats_jetstream *jetstream, uint64_t from_sequence,
                                    struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;
    NX_TRY(nx_read_new(NX_READ_SCAN, &read, err));
    read->stream = NX_STR(NX_JS_CATALOGUE_STREAM);
    read->from_sequence = from_sequence;
    read->message.reply_to = jetstream->options.answers;
    if (!nx_mailbox_send(jetstream->options.reads, &read->message)) {
        return nx_fail_kind(err, NX_KIND_OVERLOADED, "too many reads of the log wait");
    }
    (void)NX_TAKE(read);
    jetstream->under_way++;
    return NX_OK;
}

static void take_record(struct nx_nats_jetstream *jetstream, const struct nx_record *record) {
    struct nx_js_change change;
    struct nx_error err = { 0 };
    if (nx_js_catalogue_take(&jetstream->catalogue, record, &change, &err) != NX_OK) {
        nx_log_error(jetstream->options.log, "a stream cannot be served: its messages stay as they are",
                     NX_F_C("error", err.message));
    } else if (change.kind == NX_JS_STREAM_IS) {
        send_define(jetstream, nx_nats_js_serve(change.entry) ? nx_nats_js_define_new(change.entry) : NULL);
    } else if (change.kind == NX_JS_STREAM_WAS) {
        nx_nats_js_served_free(jetstream, change.served);
    } else if (change.kind == NX_JS_STREAM_GONE) {
        define_gone(jetstream, change.id);
    }
}

/* What was kept in memory belonged to an earlier life: it is deleted, as on request. */
static void drop_memory(struct nx_nats_jetstream *jetstream) {
    size_t cursor = 0;
    void *value;
    while (nx_map_next(&jetstream->catalogue.entries, &cursor, NULL, &value)) {
        const struct nx_js_entry *entry = value;
        struct nx_append *append = NULL;
        if (entry->config.storage == NX_JS_STORAGE_MEMORY &&
            nx_js_catalogue_delete(entry, &append, NULL) == NX_OK) {
            append->message.reply_to = jetstream->options.answers;
            nx_message_queue_push(&jetstream->outbox, &append->message);
            jetstream->under_way++;
            jetstream->defines++;
        }
    }
}

static void take_dropped(struct nx_nats_jetstream *jetstream, const struct nx_append *append) {
    for (size_t i = 0; append->status == NX_OK && i < append->entry_count; i++) {
        const struct nx_append_entry *entry = &append->entries[i];
        const struct nx_record record = { entry->stream,  entry->sequence, entry->time_ns,
                                          entry->subject, entry->headers,  entry->payload };
        take_record(jetstream, &record);
    }
}

/* The consumers of a stream, from this record of JSC_<id> on. */
static void ask_consumers(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                          uint64_t from_sequence) {
    char stream[NX_JS_STREAM_NAME_SIZE];
    struct nx_read *read = NULL;
    (void)snprintf(stream, sizeof stream, "JSC_%" PRIu64, job->number);
    if (nx_read_new(NX_READ_SCAN, &read, NULL) != NX_OK) {
        nx_nats_js_job_free(job);
        return;
    }
    read->stream = nx_arena_copy(&read->arena, nx_str_from_c(stream));
    read->from_sequence = from_sequence;
    if (nx_nats_js_ask(jetstream, job, jetstream->options.reads, &read->message)) {
        jetstream->defines++;
    } else {
        nx_log_error(jetstream->options.log, "the consumers of a stream cannot be read",
                     NX_F_C("stream", stream));
        nx_nats_js_job_free(job);
    }
}

static void load_consumers(struct nx_nats_jetstream *jetstream) {
    size_t cursor = 0;
    void *value;
    while (nx_map_next(&jetstream->catalogue.entries, &cursor, NULL, &value)) {
        const struct nx_js_entry *entry = value;
        struct nx_nats_js_job *job = nx_nats_js_job_new(NX_NATS_JS_CONSUMERS, entry->account,
                                                        &(struct nx_nats_op){ .reply = NX_STR_EMPTY });
        if (job != NULL) {
            job->name = nx_arena_copy(&job->arena, entry->config.name);
            job->number = entry->id;
            ask_consumers(jetstream, job, 1);
        }
    }
}

/* All that stands in JETSTREAM is defined; then the consumers are read, and then it begins. */
static void note_loaded(struct nx_nats_jetstream *jetstream) {
    if (!jetstream->is_read || jetstream->defines > 0 || jetstream->is_loaded) {
        return;
    }
    if (!jetstream->are_consumers_asked) {
        jetstream->are_consumers_asked = true;
        load_consumers(jetstream);
    }
    jetstream->is_loaded = jetstream->defines == 0;
}

static void take_consumers(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                           struct nx_read *read) {
    const struct nx_js_entry *entry = nx_js_catalogue_find(&jetstream->catalogue, job->account, job->name);
    const bool is_more = read->status == NX_OK && !read->at_end;
    for (size_t i = 0; entry != NULL && read->status == NX_OK && i < read->record_count; i++) {
        nx_nats_js_consumer_load(jetstream, entry, &read->records[i]);
    }
    jetstream->defines--;
    if (is_more) {
        ask_consumers(jetstream, job, read->next_sequence);
    } else {
        nx_nats_js_job_free(job);
    }
    nx_read_free(read);
    note_loaded(jetstream);
}

static void load(struct nx_nats_jetstream *jetstream, struct nx_read *read) {
    struct nx_error err = { 0 };
    for (size_t i = 0; read->status == NX_OK && i < read->record_count; i++) {
        take_record(jetstream, &read->records[i]);
    }
    if (read->status != NX_OK) {
        jetstream->has_failed = true;
        nx_log_error(jetstream->options.log, "the streams of JetStream cannot be read",
                     NX_F_C("error", read->error.message));
    } else if (read->at_end) {
        jetstream->is_read = true;
        drop_memory(jetstream);
        note_loaded(jetstream);
    } else if (ask_catalogue(jetstream, read->next_sequence, &err) != NX_OK) {
        jetstream->has_failed = true;
        nx_log_error(jetstream->options.log, "the streams of JetStream cannot be read",
                     NX_F_C("error", err.message));
    }
    nx_read_free(read);
}

enum nx_status nx_nats_jetstream_new(const struct nx_nats_jetstream_options *options,
                                     struct nx_nats_jetstream **jetstream_out, struct nx_error *err) {
    struct nx_nats_jetstream *jetstream = calloc(1, sizeof *jetstream);
    if (jetstream == NULL) {
        return nx_fail_memory(err);
    }
    jetstream->options = *options;
    nx_list_init(&jetstream->waiting);
    nx_list_init(&jetstream->publishes);
    nx_list_init(&jetstream->consumers);
    nx_list_init(&jetstream->ready);
    jetstream->due_ns = INT64_MAX;
    nx_js_catalogue_init(&jetstream->catalogue, options->seed);
    jetstream->events = (struct nx_js_entry){ .config = { .name = NX_STR("EVENTS"), .max_msg_size = -1 },
                                              .stream = "EVENTS" };
    jetstream->is_read = jetstream->is_loaded = !options->has_api; /* there is nothing to read then */
    const enum nx_status status = options->has_api ? ask_catalogue(jetstream, 1, err) : NX_OK;
    if (status != NX_OK) {
        nx_nats_jetstream_free(jetstream);
        return status;
    }
    *jetstream_out = jetstream;
    return NX_OK;
}

static void free_jobs(struct nx_list *jobs) {
    struct nx_list_node *first;
    while ((first = nx_list_first(jobs)) != NULL) {
        nx_list_remove(jobs, first);
        nx_nats_js_job_free(nx_container_of(first, struct nx_nats_js_job, node));
    }
}

static void end_consumers(struct nx_nats_js_stream *stream) {
    for (struct nx_list_node *node; stream != NULL && (node = nx_list_first(&stream->consumers)) != NULL;) {
        nx_nats_js_consumer_end(nx_container_of(node, struct nx_nats_js_consumer, node), NULL);
    }
    free(stream);
}

void nx_nats_jetstream_free(struct nx_nats_jetstream *jetstream) {
    if (jetstream == NULL) {
        return;
    }
    size_t cursor = 0;
    void *entry;
    while (nx_map_next(&jetstream->catalogue.entries, &cursor, NULL, &entry)) {
        end_consumers(((struct nx_js_entry *)entry)->served);
    }
    nx_message_queue_release(&jetstream->outbox);
    free_jobs(&jetstream->waiting);
    free_jobs(&jetstream->publishes);
    nx_js_catalogue_fini(&jetstream->catalogue);
    free(jetstream);
}

void nx_nats_jetstream_finish(struct nx_nats_jetstream *jetstream, struct nx_now now) {
    jetstream->now = now;
    for (struct nx_list_node *at = nx_list_first(&jetstream->consumers); at != NULL;
         at = nx_list_next(&jetstream->consumers, at)) {
        nx_nats_js_consumer_stop(nx_container_of(at, struct nx_nats_js_consumer, all_node));
    }
}

int64_t nx_nats_jetstream_due(const struct nx_nats_jetstream *jetstream) {
    return jetstream->due_ns;
}

void nx_nats_jetstream_wake(struct nx_nats_jetstream *jetstream, struct nx_now now) {
    struct nx_list_node *next;
    int64_t due_ns = INT64_MAX;
    jetstream->now = now;
    jetstream->due_ns = INT64_MAX;
    for (struct nx_list_node *at = nx_list_first(&jetstream->consumers); at != NULL; at = next) {
        struct nx_nats_js_consumer *consumer = nx_container_of(at, struct nx_nats_js_consumer, all_node);
        next = nx_list_next(&jetstream->consumers, at);
        if (consumer->due_ns <= now.monotonic_ns) {
            nx_nats_js_wake_at(consumer, now.monotonic_ns);
        } else {
            due_ns = consumer->due_ns < due_ns ? consumer->due_ns : due_ns;
        }
    }
    jetstream->due_ns = due_ns;
}

bool nx_nats_jetstream_flush(struct nx_nats_jetstream *jetstream, struct nx_now now) {
    jetstream->now = now;
    /* As many as are ready now: what these make ready waits for the log, or for the next turn. */
    for (size_t count = jetstream->ready.count; count > 0 && jetstream->ready.count > 0; count--) {
        struct nx_list_node *node = nx_list_take_first(&jetstream->ready);
        nx_nats_js_consumer_run(nx_container_of(node, struct nx_nats_js_consumer, ready_node));
    }
    if (jetstream->outbox.count > 0) {
        nx_mailbox_send_all(jetstream->options.appends, &jetstream->outbox);
    }
    return jetstream->outbox.count == 0 && jetstream->ready.count == 0;
}

bool nx_nats_jetstream_is_full(const struct nx_nats_jetstream *jetstream) {
    return jetstream->is_full || (!jetstream->is_loaded && !jetstream->has_failed);
}

bool nx_nats_jetstream_is_idle(const struct nx_nats_jetstream *jetstream) {
    return jetstream->under_way == 0;
}

bool nx_nats_jetstream_is_answer(const struct nx_message *message) {
    return message->kind == NX_FABRIC_APPEND || message->kind == NX_FABRIC_READ ||
           message->kind == NX_FABRIC_DEFINE || message->kind == NX_FUNCTIONS_AWAIT;
}

void nx_nats_jetstream_receive(struct nx_nats_jetstream *jetstream, struct nx_message *message,
                               struct nx_now now) {
    struct nx_nats_js_job *job = message->context;
    jetstream->now = now;
    jetstream->under_way--;
    if (job == NULL && message->kind == NX_FABRIC_READ) {
        load(jetstream, (struct nx_read *)message);
    } else if (job == NULL) {
        if (message->kind == NX_FABRIC_APPEND) {
            take_dropped(jetstream, (const struct nx_append *)message);
        }
        jetstream->defines--;
        note_loaded(jetstream);
        nx_message_release(message);
    } else if (job->step == NX_NATS_JS_FETCH) {
        nx_nats_js_consumer_take_read(job->consumer, (struct nx_read *)message);
    } else if (job->step == NX_NATS_JS_STATE) {
        nx_nats_js_consumer_take_write(job->consumer, (struct nx_append *)message);
    } else if (job->step == NX_NATS_JS_CONSUMERS) {
        take_consumers(jetstream, job, (struct nx_read *)message);
    } else if (job->step == NX_NATS_JS_PUBLISH) {
        nx_nats_js_finish_publish(jetstream, job, message);
    } else if (job->api->go_on(jetstream, job, message)) {
        job_done(jetstream, job);
    }
    begin_waiting(jetstream);
}
