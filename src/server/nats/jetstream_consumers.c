/* Consumers of the API of JetStream: making, changing and deleting them, and what there are. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fabric/consumer/consumer_check.h"
#include "fabric/stream/stream_check.h"
#include "server/nats/jetstream_consumer.h"

enum {
    NAMES_MAX = 1024,
    LIST_MAX = 256,
    INACTIVE_DEFAULT_S = 5,
    NAME_SIZE = 8, /* of one that the server gives */
};

/* What a request of creation goes through, one answer of the log after another. */
enum phase { PHASE_START, PHASE_LASTS, PHASE_COUNT, PHASE_APPEND, PHASE_INFO };

static void write_position(struct nx_json_writer *writer, const char *name, uint64_t consumer,
                           uint64_t stream, int64_t last_ns) {
    nx_json_key(writer, nx_str_from_c(name));
    nx_json_object_begin(writer);
    nx_json_member_u64(writer, "consumer_seq", consumer);
    nx_json_member_u64(writer, "stream_seq", stream);
    if (last_ns > 0) {
        nx_nats_js_write_time(writer, "last_active", last_ns);
    }
    nx_json_object_end(writer);
}

static void write_consumer(struct nx_json_writer *writer, const struct nx_nats_js_consumer *consumer) {
    const struct nx_js_ledger *ledger = &consumer->ledger;
    nx_json_member_str(writer, "stream_name", consumer->stream_name);
    nx_json_member_str(writer, "name", consumer->name);
    nx_nats_js_write_time(writer, "created", consumer->created_ns);
    nx_json_key(writer, NX_STR("config"));
    nx_js_consumer_write(writer, &consumer->config);
    write_position(writer, "delivered", ledger->delivered_consumer, ledger->delivered_stream,
                   consumer->last_given_ns);
    write_position(writer, "ack_floor", ledger->floor_consumer, ledger->floor_stream,
                   consumer->last_acked_ns);
    nx_json_member_u64(writer, "num_ack_pending", ledger->count);
    nx_json_member_u64(writer, "num_redelivered", nx_js_ledger_redelivered(ledger));
    nx_json_member_u64(writer, "num_waiting", consumer->pulls.count);
    nx_json_member_u64(writer, "num_pending", consumer->pending);
    if (consumer->is_bound) {
        nx_json_member_bool(writer, "push_bound", true);
    }
    nx_nats_js_write_time(writer, "ts", consumer->jetstream->now.wall_ns);
}

static bool answer_consumer(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                            const struct nx_nats_js_consumer *consumer) {
    struct nx_nats_js_answer answer;
    nx_nats_js_answer_begin(&answer, job);
    write_consumer(&answer.writer, consumer);
    return nx_nats_js_answer_end(jetstream, job, &answer);
}

/* Creating */

/* The forms of the subject: which name it has, and which filter. */
static bool check_subject(struct nx_nats_js_job *job, struct nx_js_error *err) {
    struct nx_js_consumer *config = &job->consumer_config;
    const bool is_durable = nx_str_starts_with(nx_str_from_c(job->api->pattern), NX_STR("CONSUMER.DURABLE"));
    struct nx_str filter = job->subject;
    struct nx_str name = NX_STR_EMPTY;
    (void)nx_str_split(&filter, '.', &name);
    filter = name.len < job->subject.len ? nx_str_slice(job->subject, name.len + 1, job->subject.len)
                                         : NX_STR_EMPTY;
    if (nx_str_find_byte(name, '/') != SIZE_MAX || nx_str_find_byte(name, '\\') != SIZE_MAX) {
        return nx_js_fail(err, NX_JS_CONSUMER_NAME_CONTAINS_PATH_SEPARATORS);
    }
    if (job->subject.len == 0) {
        return config->durable_name.len == 0 || nx_js_fail(err, NX_JS_CONSUMER_EPHEMERAL_WITH_DURABLE_NAME);
    }
    if (is_durable && filter.len > 0) {
        return nx_js_fail(err, NX_JS_CONSUMER_DURABLE_NAME_NOT_IN_SUBJECT);
    }
    if (is_durable && config->durable_name.len == 0) {
        return nx_js_fail(err, NX_JS_CONSUMER_DURABLE_NAME_NOT_SET);
    }
    if (config->durable_name.len > 0 && !nx_str_equal(config->durable_name, name)) {
        return nx_js_fail(err, NX_JS_CONSUMER_DURABLE_NAME_NOT_MATCH_SUBJECT);
    }
    config->name = name;
    if (filter.len > 0 && config->filter_subjects.count > 0) {
        return nx_js_fail(err, NX_JS_CONSUMER_MULTIPLE_FILTERS_NOT_ALLOWED);
    }
    return filter.len == 0 || nx_str_equal(filter, config->filter_subject) ||
           nx_js_fail(err, NX_JS_CONSUMER_CREATE_FILTER_SUBJECT_MISMATCH);
}

static bool check_config(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                         const struct nx_js_entry *entry, struct nx_js_error *err) {
    struct nx_js_consumer *config = &job->consumer_config;
    char name[32];
    if (config->num_replicas > 1) {
        return nx_js_fail(err, NX_JS_STREAM_REPLICAS_NOT_SUPPORTED);
    }
    if (!nx_js_consumer_check(config, &entry->config, err)) {
        return false;
    }
    if (config->durable_name.len == 0 && config->inactive_threshold == 0) {
        config->inactive_threshold = INACTIVE_DEFAULT_S * (int64_t)NX_NS_PER_S;
    }
    if (config->name.len == 0) {
        (void)snprintf(name, sizeof name, "%08" PRIX32,
                       (uint32_t)((jetstream->options.seed ^ (uint64_t)jetstream->now.wall_ns) +
                                  0x9e3779b9U * ++jetstream->name_count));
        config->name = nx_arena_copy(&job->arena, nx_str_slice(nx_str_from_c(name), 0, NAME_SIZE));
    }
    return true;
}

/* Fields that nats-server does not change either. */
static const char *unchangeable(const struct nx_js_consumer *old, const struct nx_js_consumer *new) {
    return old->deliver_policy != new->deliver_policy ? "deliver policy can not be updated"
           : old->mem_storage != new->mem_storage     ? "storage type can not be updated"
           : old->opt_start_seq != new->opt_start_seq ? "start sequence can not be updated"
           : old->opt_start_time.ns != new->opt_start_time.ns ||
                   old->opt_start_time.is_set != new->opt_start_time.is_set
               ? "start time can not be updated"
           : old->ack_policy != new->ack_policy         ? "ack policy can not be updated"
           : old->replay_policy != new->replay_policy   ? "replay policy can not be updated"
           : old->idle_heartbeat != new->idle_heartbeat ? "heart beats can not be updated"
           : old->flow_control != new->flow_control     ? "flow control can not be updated"
           : old->deliver_subject.len == 0 && new->deliver_subject.len > 0
               ? "can not update pull consumer to push based"
           : old->deliver_subject.len > 0 && new->deliver_subject.len == 0
               ? "can not update push consumer to pull based"
           : old->max_waiting != new->max_waiting ? "max waiting can not be updated"
                                                  : NULL;
}

static bool change(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                   const struct nx_js_entry *entry, struct nx_nats_js_consumer *consumer) {
    struct nx_append *append = NULL;
    struct nx_error err = { 0 };
    const struct nx_js_consumer *config = &job->consumer_config;
    if (nx_js_consumer_equal(&consumer->config, config)) {
        return answer_consumer(jetstream, job, consumer);
    }
    const char *problem = unchangeable(&consumer->config, config);
    if (problem != NULL) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_CONSUMER_CREATE, problem);
    }
    if (consumer->is_bound && !nx_str_equal(consumer->config.deliver_subject, config->deliver_subject)) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_CONSUMER_NAME_EXIST);
    }
    job->phase = PHASE_APPEND;
    if (nx_nats_js_consumer_is_memory(entry, config)) {
        return nx_nats_js_consumer_configure(consumer, config)
                   ? answer_consumer(jetstream, job, consumer)
                   : nx_nats_js_answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
    }
    if (nx_nats_js_consumer_append(entry, consumer->name, config, consumer->created_ns, &consumer->ledger,
                                   &append, &err) != NX_OK) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_CONSUMER_CREATE, err.message);
    }
    return nx_nats_js_ask_append(jetstream, job, append);
}

static struct nx_read *read_of(const struct nx_js_entry *entry, const struct nx_nats_js_job *job,
                               enum nx_read_kind kind) {
    NX_AUTO(nx_buf) filters;
    struct nx_read *read = NULL;
    nx_buf_init(&filters, NX_NATS_JS_ANSWER_SIZE_MAX);
    nx_buf_append(&filters, job->consumer_config.filter_subject);
    for (size_t i = 0; i < job->consumer_config.filter_subjects.count; i++) {
        nx_buf_append_c(&filters, filters.len > 0 ? " " : "");
        nx_buf_append(&filters, job->consumer_config.filter_subjects.items[i]);
    }
    if (nx_buf_failed(&filters) || nx_read_new(kind, &read, NULL) != NX_OK) {
        return NULL;
    }
    read->stream = nx_arena_copy(&read->arena, nx_str_from_c(entry->stream));
    read->subject = nx_arena_copy(&read->arena, nx_buf_str(&filters));
    return read;
}

/* How many lie before it, from here on. */
static bool ask_count(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job, uint64_t from) {
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    struct nx_read *read = entry == NULL ? NULL : read_of(entry, job, NX_READ_COUNT);
    job->number = from;
    job->phase = PHASE_COUNT;
    if (read != NULL) {
        read->from_sequence = from;
    }
    return nx_nats_js_ask_read(jetstream, job, read);
}

/* Where it begins. */
static bool ask_start(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                      const struct nx_js_entry *entry) {
    const struct nx_js_consumer *config = &job->consumer_config;
    struct nx_read *read = NULL;
    switch ((enum nx_js_deliver)config->deliver_policy) {
    case NX_JS_DELIVER_ALL:
        return ask_count(jetstream, job, 1);
    case NX_JS_DELIVER_BY_START_SEQUENCE:
        return ask_count(jetstream, job, config->opt_start_seq);
    case NX_JS_DELIVER_NEW: /* behind the last: what the count says it is */
        return ask_count(jetstream, job, UINT64_MAX);
    case NX_JS_DELIVER_LAST:
        read = read_of(entry, job, NX_READ_SCAN);
        if (read != NULL) {
            read->backward = true;
            read->count_max = 1;
        }
        break;
    case NX_JS_DELIVER_BY_START_TIME:
        read = read_of(entry, job, NX_READ_SCAN);
        if (read != NULL) {
            read->from_time_ns = config->opt_start_time.ns;
            read->count_max = 1;
        }
        break;
    case NX_JS_DELIVER_LAST_PER_SUBJECT:
        if (entry->config.max_msgs_per_subject == 1) {
            return ask_count(jetstream, job, 1); /* there are no others */
        }
        read = read_of(entry, job, NX_READ_LASTS);
        break;
    }
    job->phase = PHASE_START;
    return nx_nats_js_ask_read(jetstream, job, read);
}

static bool read_action(const struct nx_json_value *root, struct nx_str *action) {
    *action = nx_json_get_str(root, "action");
    return action->len == 0 || nx_str_is(*action, "create") || nx_str_is(*action, "update");
}

bool nx_nats_js_begin_consumer_create(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_js_error why = { 0 };
    struct nx_str action;
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    if (!nx_nats_js_parse(jetstream, job, &doc)) {
        return true;
    }
    const struct nx_json_value *config = nx_json_get(nx_json_root(doc), NX_STR("config"));
    if (!read_action(nx_json_root(doc), &action)) {
        (void)nx_js_fail_with(&why, NX_JS_INVALID_JSON, "unknown consumer action: \"%.*s\"",
                              NX_STR_ARG(nx_str_slice(action, 0, 64)));
        return nx_nats_js_answer_error(jetstream, job, &why);
    }
    if (config == NULL || nx_json_kind(config) != NX_JSON_OBJECT) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_CONSUMER_CONFIG_REQUIRED);
    }
    if (!nx_js_consumer_read(config, &job->consumer_config, &job->arena, &why)) {
        return nx_nats_js_answer_error(jetstream, job, &why);
    }
    if (!nx_str_equal(nx_json_get_str(nx_json_root(doc), "stream_name"), job->name)) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_MISMATCH);
    }
    if (!check_subject(job, &why)) {
        return nx_nats_js_answer_error(jetstream, job, &why);
    }
    if (entry == NULL) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    if (!check_config(jetstream, job, entry, &why)) {
        return nx_nats_js_answer_error(jetstream, job, &why);
    }
    struct nx_nats_js_consumer *consumer = nx_nats_js_consumer_find(entry, job->consumer_config.name);
    if (consumer != NULL && nx_str_is(action, "create") &&
        !nx_js_consumer_equal(&consumer->config, &job->consumer_config)) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_CONSUMER_ALREADY_EXISTS);
    }
    if (consumer != NULL) {
        return change(jetstream, job, entry, consumer);
    }
    if (nx_str_is(action, "update")) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_CONSUMER_DOES_NOT_EXIST);
    }
    const struct nx_nats_js_stream *stream = entry->served;
    if (jetstream->consumers.count >= NX_NATS_JS_CONSUMERS_MAX || stream == NULL ||
        (entry->config.max_consumers > 0 && stream->consumers.count >= (size_t)entry->config.max_consumers)) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_MAXIMUM_CONSUMERS_LIMIT);
    }
    return ask_start(jetstream, job, entry);
}

/* All is known: it is there. */
static bool make(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    struct nx_nats_js_consumer *consumer =
        entry == NULL ? NULL : nx_nats_js_consumer_find(entry, job->consumer_config.name);
    if (entry == NULL) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    if (consumer != NULL) { /* changed */
        if (!nx_nats_js_consumer_configure(consumer, &job->consumer_config)) {
            return nx_nats_js_answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
        }
        nx_nats_js_wake_at(consumer, 0);
        return answer_consumer(jetstream, job, consumer);
    }
    consumer = nx_nats_js_consumer_new(jetstream, entry, job->consumer_config.name, &job->consumer_config,
                                       (int64_t)job->created_ns);
    if (consumer == NULL) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
    }
    consumer->ledger = job->ledger; /* nothing is pending in it */
    consumer->next_sequence = job->last_count > 0 ? job->last_sequence + 1 : job->ledger.delivered_stream + 1;
    consumer->pending = job->pending;
    consumer->replay_until = job->last_sequence;
    consumer->lasts = NX_TAKE(job->lasts);
    consumer->last_count = job->last_count;
    nx_nats_js_wake_at(consumer, 0);
    return answer_consumer(jetstream, job, consumer);
}

/* The count has come: what it begins with is known. */
static bool append_consumer(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                            const struct nx_read *read) {
    struct nx_append *append = NULL;
    struct nx_error err = { 0 };
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    if (entry == NULL || read->status != NX_OK) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    const struct nx_stream_info *info = &read->infos[0];
    /* The last ones of subjects lie behind what it has: after a start in between they come with the others.
     */
    uint64_t before = job->last_count > 0         ? job->lasts[0] - 1
                      : job->number == UINT64_MAX ? info->last_sequence
                                                  : job->number - 1;
    before = before + 1 < info->first_sequence ? info->first_sequence - 1 : before;
    nx_js_ledger_init(&job->ledger, before);
    job->pending = info->count + job->last_count;
    job->last_sequence = info->last_sequence;
    job->created_ns = jetstream->now.wall_ns;
    job->phase = PHASE_APPEND;
    if (nx_nats_js_consumer_is_memory(entry, &job->consumer_config)) {
        return make(jetstream, job);
    }
    if (nx_nats_js_consumer_append(entry, job->consumer_config.name, &job->consumer_config, job->created_ns,
                                   &job->ledger, &append, &err) != NX_OK) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_CONSUMER_CREATE, err.message);
    }
    return nx_nats_js_ask_append(jetstream, job, append);
}

/* Where it begins has come. */
static bool take_start(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                       const struct nx_read *read) {
    if (read->status != NX_OK) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_CONSUMER_CREATE, read->error.message);
    }
    if (read->kind == NX_READ_LASTS) {
        job->lasts = calloc(read->deleted_count + 1, sizeof *job->lasts);
        if (job->lasts == NULL) {
            return nx_nats_js_answer_kind(jetstream, job, NX_JS_INSUFFICIENT_RESOURCES);
        }
        memcpy(job->lasts, read->deleted, read->deleted_count * sizeof *job->lasts);
        job->last_count = read->deleted_count;
        return ask_count(jetstream, job, UINT64_MAX);
    }
    return ask_count(jetstream, job, read->record_count == 1 ? read->records[0].sequence : UINT64_MAX);
}

bool nx_nats_js_consumer_create_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                                      struct nx_message *message) {
    bool is_done;
    if (message->kind == NX_FABRIC_READ && job->phase == PHASE_START) {
        is_done = take_start(jetstream, job, (const struct nx_read *)message);
    } else if (message->kind == NX_FABRIC_READ) {
        is_done = append_consumer(jetstream, job, (const struct nx_read *)message);
    } else {
        const struct nx_append *append = (const struct nx_append *)message;
        is_done = append->status == NX_OK
                      ? make(jetstream, job)
                      : nx_nats_js_answer_text(jetstream, job, NX_JS_CONSUMER_CREATE, append->error.message);
    }
    nx_message_release(message);
    return is_done;
}

/* What there are */

static struct nx_nats_js_consumer *consumer_of(const struct nx_nats_jetstream *jetstream,
                                               const struct nx_nats_js_job *job) {
    return nx_nats_js_consumer_find(nx_nats_js_entry_of(jetstream, job), job->subject);
}

bool nx_nats_js_begin_consumer_info(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    struct nx_nats_js_consumer *consumer = consumer_of(jetstream, job);
    struct nx_read *read = NULL;
    if (job->payload.len > 0 && !nx_str_is(nx_str_trim(job->payload), "{}")) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_NOT_EMPTY_REQUEST);
    }
    if (consumer == NULL) {
        return nx_nats_js_answer_kind(jetstream, job,
                                      entry == NULL ? NX_JS_STREAM_NOT_FOUND : NX_JS_CONSUMER_NOT_FOUND);
    }
    if (nx_read_new(NX_READ_COUNT, &read, NULL) == NX_OK) {
        read->stream = nx_arena_copy(&read->arena, nx_str_from_c(entry->stream));
        read->subject = nx_arena_copy(&read->arena, nx_buf_str(&consumer->filters));
        read->from_sequence = consumer->next_sequence;
    }
    job->number = consumer->ledger.delivered_stream;
    return nx_nats_js_ask_read(jetstream, job, read);
}

bool nx_nats_js_consumer_info_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                                    struct nx_message *message) {
    NX_AUTO(nx_read) *read = (struct nx_read *)message;
    struct nx_nats_js_consumer *consumer = consumer_of(jetstream, job);
    if (consumer == NULL) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_CONSUMER_NOT_FOUND);
    }
    if (read->status == NX_OK && consumer->ledger.delivered_stream == job->number) {
        consumer->pending = read->infos[0].count + (consumer->last_count - consumer->last_at);
    }
    return answer_consumer(jetstream, job, consumer);
}

bool nx_nats_js_begin_consumer_delete(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    struct nx_nats_js_consumer *consumer = consumer_of(jetstream, job);
    struct nx_append *append = NULL;
    struct nx_error err = { 0 };
    if (job->payload.len > 0 && !nx_str_is(nx_str_trim(job->payload), "{}")) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_NOT_EMPTY_REQUEST);
    }
    if (consumer == NULL) {
        return nx_nats_js_answer_kind(jetstream, job,
                                      entry == NULL ? NX_JS_STREAM_NOT_FOUND : NX_JS_CONSUMER_NOT_FOUND);
    }
    if (nx_nats_js_consumer_is_memory(entry, &consumer->config)) {
        nx_nats_js_consumer_end(consumer, "409 Consumer Deleted");
        return nx_nats_js_answer_success(jetstream, job);
    }
    if (nx_nats_js_consumer_append_gone(entry, consumer->name, &append, &err) != NX_OK) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_CONSUMER_CREATE, err.message);
    }
    return nx_nats_js_ask_append(jetstream, job, append);
}

bool nx_nats_js_consumer_delete_go_on(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                                      struct nx_message *message) {
    NX_AUTO(nx_append) *append = (struct nx_append *)message;
    struct nx_nats_js_consumer *consumer = consumer_of(jetstream, job);
    if (append->status != NX_OK) {
        return nx_nats_js_answer_text(jetstream, job, NX_JS_STREAM_GENERAL, append->error.message);
    }
    if (consumer != NULL) {
        nx_nats_js_consumer_end(consumer, "409 Consumer Deleted");
    }
    return nx_nats_js_answer_success(jetstream, job);
}

static int compare_names(const void *a, const void *b) {
    return nx_str_compare((*(struct nx_nats_js_consumer *const *)a)->name,
                          (*(struct nx_nats_js_consumer *const *)b)->name);
}

/* Names, or all of it, a page of them. */
bool nx_nats_js_begin_consumers(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const bool are_names = nx_str_starts_with(nx_str_from_c(job->api->pattern), NX_STR("CONSUMER.NAMES"));
    const uint64_t limit = are_names ? NAMES_MAX : LIST_MAX;
    const struct nx_js_entry *entry = nx_nats_js_entry_of(jetstream, job);
    struct nx_nats_js_answer answer;
    size_t count = 0;
    if (!nx_nats_js_parse(jetstream, job, &doc)) {
        return true;
    }
    if (entry == NULL) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    const struct nx_nats_js_stream *stream = entry->served;
    struct nx_nats_js_consumer **all =
        calloc((stream == NULL ? 0 : stream->consumers.count) + 1, sizeof *all);
    for (struct nx_list_node *at = all == NULL || stream == NULL ? NULL : nx_list_first(&stream->consumers);
         at != NULL; at = nx_list_next(&stream->consumers, at)) {
        all[count++] = nx_container_of(at, struct nx_nats_js_consumer, node);
    }
    if (count > 0) {
        qsort(all, count, sizeof *all, compare_names);
    }
    uint64_t offset = nx_json_get_u64(nx_json_root(doc), "offset");
    offset = offset > count ? count : offset;
    nx_nats_js_answer_begin(&answer, job);
    nx_json_member_u64(&answer.writer, "total", count);
    nx_json_member_u64(&answer.writer, "offset", offset);
    nx_json_member_u64(&answer.writer, "limit", limit);
    nx_json_key(&answer.writer, NX_STR("consumers"));
    nx_json_array_begin(&answer.writer);
    for (uint64_t i = offset; i < count && i < offset + limit; i++) {
        if (are_names) {
            nx_json_string(&answer.writer, all[i]->name);
        } else {
            nx_json_object_begin(&answer.writer);
            write_consumer(&answer.writer, all[i]);
            nx_json_object_end(&answer.writer);
        }
    }
    nx_json_array_end(&answer.writer);
    free(all);
    return nx_nats_js_answer_end(jetstream, job, &answer);
}
