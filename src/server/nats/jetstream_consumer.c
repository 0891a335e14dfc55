/* Consumers: see jetstream_consumer.h. What they are, and their state in the log. */
#include "server/nats/jetstream_consumer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "codec/headers.h"
#include "codec/percent.h"
#include "codec/time_format.h"

enum {
    CONFIG_SIZE_MAX = 1024 * 1024,
    CONFIG_ARENA_SIZE_MAX = 16 * CONFIG_SIZE_MAX,
    FILTERS_SIZE_MAX = 8 * 1024 * 1024,
    STATE_SIZE_MAX = NX_RECORD_SIZE_MAX,
    WRITE_DELAY_MS = 50, /* of what nobody waits for */
    ADVISORY_SIZE_MAX = 64 * 1024,
};

struct nx_nats_js_consumer *nx_nats_js_consumer_find(const struct nx_js_entry *entry, struct nx_str name) {
    struct nx_nats_js_stream *stream = entry == NULL ? NULL : entry->served;
    for (struct nx_list_node *at = stream == NULL ? NULL : nx_list_first(&stream->consumers); at != NULL;
         at = nx_list_next(&stream->consumers, at)) {
        struct nx_nats_js_consumer *consumer = nx_container_of(at, struct nx_nats_js_consumer, node);
        if (nx_str_equal(consumer->name, name)) {
            return consumer;
        }
    }
    return NULL;
}

bool nx_nats_js_consumer_is_memory(const struct nx_js_entry *entry, const struct nx_js_consumer *config) {
    return config->mem_storage || entry->config.storage == NX_JS_STORAGE_MEMORY;
}

/* Life */

static void free_acked(struct nx_list *acked) {
    for (struct nx_list_node *node; (node = nx_list_take_first(acked)) != NULL;) {
        free(nx_container_of(node, struct nx_nats_js_acked, node));
    }
}

static void free_when_idle(struct nx_nats_js_consumer *consumer) {
    if (consumer->stream != NULL || consumer->is_reading || consumer->is_writing) {
        return;
    }
    nx_read_free(consumer->buffer);
    nx_js_ledger_fini(&consumer->ledger);
    free_acked(&consumer->acked);
    free_acked(&consumer->acked_writing);
    free(consumer->lasts);
    nx_buf_fini(&consumer->filters);
    nx_arena_fini(&consumer->arena);
    free(consumer);
}

bool nx_nats_js_consumer_configure(struct nx_nats_js_consumer *consumer,
                                   const struct nx_js_consumer *config) {
    struct nx_js_consumer copy;
    if (!nx_js_consumer_copy(config, &copy, &consumer->arena)) {
        return false;
    }
    consumer->config = copy;
    nx_buf_reset(&consumer->filters);
    nx_buf_append(&consumer->filters, copy.filter_subject);
    for (size_t i = 0; i < copy.filter_subjects.count; i++) {
        nx_buf_append_c(&consumer->filters, consumer->filters.len > 0 ? " " : "");
        nx_buf_append(&consumer->filters, copy.filter_subjects.items[i]);
    }
    return !nx_buf_failed(&consumer->filters);
}

struct nx_nats_js_consumer *nx_nats_js_consumer_new(struct nx_nats_jetstream *jetstream,
                                                    const struct nx_js_entry *entry, struct nx_str name,
                                                    const struct nx_js_consumer *config, int64_t created_ns) {
    struct nx_nats_js_consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL || jetstream->consumers.count >= NX_NATS_JS_CONSUMERS_MAX) {
        free(consumer);
        return NULL;
    }
    nx_arena_init(&consumer->arena, CONFIG_ARENA_SIZE_MAX);
    nx_buf_init(&consumer->filters, FILTERS_SIZE_MAX);
    nx_list_init(&consumer->pulls);
    nx_list_init(&consumer->acked);
    nx_list_init(&consumer->acked_writing);
    consumer->jetstream = jetstream;
    consumer->name = nx_arena_copy(&consumer->arena, name);
    consumer->account = nx_arena_copy(&consumer->arena, entry->account);
    consumer->stream_name = nx_arena_copy(&consumer->arena, entry->config.name);
    consumer->stream_id = entry->id;
    consumer->created_ns = created_ns;
    consumer->active_ns = jetstream->now.monotonic_ns;
    consumer->read_job = (struct nx_nats_js_job){ .step = NX_NATS_JS_FETCH, .consumer = consumer };
    consumer->write_job = (struct nx_nats_js_job){ .step = NX_NATS_JS_STATE, .consumer = consumer };
    consumer->next_sequence = 1;
    if (consumer->name.ptr == NULL || consumer->account.ptr == NULL || consumer->stream_name.ptr == NULL ||
        !nx_nats_js_consumer_configure(consumer, config)) {
        free_when_idle(consumer);
        return NULL;
    }
    consumer->stream = entry->served;
    nx_list_append(&consumer->stream->consumers, &consumer->node);
    nx_list_append(&jetstream->consumers, &consumer->all_node);
    return consumer;
}

void nx_nats_js_consumer_end(struct nx_nats_js_consumer *consumer, const char *status) {
    for (struct nx_list_node *node; (node = nx_list_take_first(&consumer->pulls)) != NULL;) {
        struct nx_nats_js_pull *pull = nx_container_of(node, struct nx_nats_js_pull, node);
        if (status != NULL) {
            nx_nats_js_consumer_status(consumer, pull->reply, status);
        }
        free(pull);
    }
    nx_list_remove(&consumer->stream->consumers, &consumer->node);
    nx_list_remove(&consumer->jetstream->consumers, &consumer->all_node);
    nx_list_remove(&consumer->jetstream->ready, &consumer->ready_node);
    consumer->stream = NULL;
    free_when_idle(consumer);
}

void nx_nats_js_served_free(struct nx_nats_jetstream *jetstream, void *served) {
    struct nx_nats_js_stream *stream = served;
    (void)jetstream;
    if (stream == NULL) {
        return;
    }
    for (struct nx_list_node *node; (node = nx_list_first(&stream->consumers)) != NULL;) {
        nx_nats_js_consumer_end(nx_container_of(node, struct nx_nats_js_consumer, node),
                                "409 Consumer Deleted");
    }
    free(stream);
}

bool nx_nats_js_serve(struct nx_js_entry *entry) {
    struct nx_nats_js_stream *stream = entry->served;
    if (stream == NULL) {
        stream = calloc(1, sizeof *stream);
        if (stream == NULL) {
            return false;
        }
        nx_list_init(&stream->consumers);
        stream->last_sequence = UINT64_MAX;
        entry->served = stream;
    }
    stream->entry = entry;
    return true;
}

/* What is said */

void nx_nats_js_consumer_status(struct nx_nats_js_consumer *consumer, struct nx_str reply,
                                const char *status) {
    char block[256];
    (void)snprintf(block, sizeof block, "NATS/1.0 %s\r\n\r\n", status);
    const struct nx_nats_op message = { .subject = reply, .headers = nx_str_from_c(block) };
    consumer->jetstream->options.publish(consumer->jetstream->options.data, consumer->account, &message);
}

void nx_nats_js_consumer_advise(struct nx_nats_js_consumer *consumer, const char *kind, uint64_t sequence,
                                uint64_t delivery, uint64_t count, struct nx_str reason) {
    NX_AUTO(nx_buf) subject;
    NX_AUTO(nx_buf) text;
    struct nx_json_writer writer;
    char id[32];
    struct nx_nats_jetstream *jetstream = consumer->jetstream;
    const char *type = kind[1] == 'A' ? "max_deliver" : kind[4] == 'T' ? "terminated" : "nak";
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_init(&text, ADVISORY_SIZE_MAX);
    nx_buf_append_format(&subject, "$JS.EVENT.ADVISORY.CONSUMER.%s.%.*s.%.*s", kind,
                         NX_STR_ARG(consumer->stream_name), NX_STR_ARG(consumer->name));
    (void)snprintf(id, sizeof id, "%016" PRIx64 "%06" PRIx64, (uint64_t)jetstream->now.wall_ns,
                   jetstream->advisory_count++ & 0xffffff);
    nx_json_writer_init(&writer, &text);
    nx_json_object_begin(&writer);
    char type_text[64];
    (void)snprintf(type_text, sizeof type_text, "io.nats.jetstream.advisory.v1.%s", type);
    nx_json_member_c(&writer, "type", type_text);
    nx_json_member_c(&writer, "id", id);
    nx_nats_js_write_time(&writer, "timestamp", jetstream->now.wall_ns);
    nx_json_member_str(&writer, "stream", consumer->stream_name);
    nx_json_member_str(&writer, "consumer", consumer->name);
    if (delivery > 0) {
        nx_json_member_u64(&writer, "consumer_seq", delivery);
    }
    nx_json_member_u64(&writer, "stream_seq", sequence);
    nx_json_member_u64(&writer, "deliveries", count);
    if (reason.len > 0) {
        nx_json_member_str(&writer, "reason", reason);
    }
    nx_json_object_end(&writer);
    const struct nx_nats_op message = { .subject = nx_buf_str(&subject), .payload = nx_buf_str(&text) };
    if (!nx_buf_failed(&subject) && !nx_buf_failed(&text)) {
        jetstream->options.publish(jetstream->options.data, consumer->account, &message);
    }
}

/* In the log */

static enum nx_status add_record(struct nx_append *append, uint64_t id, const char *what, struct nx_str name,
                                 struct nx_str headers, struct nx_str payload, struct nx_error *err) {
    NX_AUTO(nx_buf) subject;
    char stream[NX_JS_STREAM_NAME_SIZE];
    (void)snprintf(stream, sizeof stream, "JSC_%" PRIu64, id);
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_append_c(&subject, what);
    nx_percent_encode_subject(&subject, name);
    NX_TRY(nx_buf_check(&subject, err));
    const struct nx_append_entry entry = { .stream = nx_str_from_c(stream),
                                           .subject = nx_buf_str(&subject),
                                           .headers = headers,
                                           .payload = payload };
    return nx_append_add(append, &entry, err);
}

enum nx_status nx_nats_js_consumer_append(const struct nx_js_entry *entry, struct nx_str name,
                                          const struct nx_js_consumer *config, int64_t created_ns,
                                          const struct nx_js_ledger *ledger, struct nx_append **append_out,
                                          struct nx_error *err) {
    NX_AUTO(nx_append) *append = NULL;
    NX_AUTO(nx_buf) payload;
    NX_AUTO(nx_buf) state;
    struct nx_json_writer writer;
    char headers[64];
    nx_buf_init(&payload, CONFIG_SIZE_MAX);
    nx_buf_init(&state, STATE_SIZE_MAX);
    nx_json_writer_init(&writer, &payload);
    nx_js_consumer_write(&writer, config);
    nx_json_writer_end(&writer);
    (void)snprintf(headers, sizeof headers, "Nexus-Created: %" PRId64 "\r\n", created_ns);
    NX_TRY(nx_append_new(2, 0, &append, err));
    NX_TRY(nx_buf_check(&payload, err));
    NX_TRY(
        add_record(append, entry->id, "consumer.", name, nx_str_from_c(headers), nx_buf_str(&payload), err));
    nx_js_ledger_write(ledger, &state);
    NX_TRY(nx_buf_check(&state, err));
    NX_TRY(add_record(append, entry->id, "state.", name, NX_STR_EMPTY, nx_buf_str(&state), err));
    *append_out = NX_TAKE(append);
    return NX_OK;
}

enum nx_status nx_nats_js_consumer_append_gone(const struct nx_js_entry *entry, struct nx_str name,
                                               struct nx_append **append_out, struct nx_error *err) {
    NX_AUTO(nx_append) *append = NULL;
    NX_TRY(nx_append_new(1, 0, &append, err));
    NX_TRY(add_record(append, entry->id, "consumer.", name, NX_STR("Nexus-Operation: DEL\r\n"), NX_STR_EMPTY,
                      err));
    *append_out = NX_TAKE(append);
    return NX_OK;
}

void nx_nats_js_consumer_note(struct nx_nats_js_consumer *consumer, bool now) {
    const int64_t at_ns =
        consumer->jetstream->now.monotonic_ns + (now ? 0 : WRITE_DELAY_MS * (int64_t)NX_NS_PER_MS);
    if (!consumer->is_dirty || at_ns < consumer->write_at_ns) {
        consumer->write_at_ns = at_ns;
    }
    consumer->is_dirty = true;
    nx_nats_js_wake_at(consumer, consumer->write_at_ns);
}

static void tell_acked(struct nx_nats_js_consumer *consumer, struct nx_list *acked) {
    struct nx_nats_jetstream *jetstream = consumer->jetstream;
    for (struct nx_list_node *node; (node = nx_list_take_first(acked)) != NULL;) {
        struct nx_nats_js_acked *entry = nx_container_of(node, struct nx_nats_js_acked, node);
        const struct nx_nats_op message = { .subject = entry->reply };
        jetstream->options.publish(jetstream->options.data, consumer->account, &message);
        free(entry);
    }
}

static bool send_state(struct nx_nats_js_consumer *consumer) {
    NX_AUTO(nx_append) *append = NULL;
    NX_AUTO(nx_buf) state;
    nx_buf_init(&state, STATE_SIZE_MAX);
    nx_js_ledger_write(&consumer->ledger, &state);
    if (nx_buf_failed(&state) || nx_append_new(1, 0, &append, NULL) != NX_OK ||
        add_record(append, consumer->stream_id, "state.", consumer->name, NX_STR_EMPTY, nx_buf_str(&state),
                   NULL) != NX_OK) {
        return false;
    }
    append->makes_room = true;
    return nx_nats_js_ask(consumer->jetstream, &consumer->write_job, consumer->jetstream->options.appends,
                          &NX_TAKE(append)->message);
}

void nx_nats_js_consumer_write(struct nx_nats_js_consumer *consumer) {
    const int64_t now_ns = consumer->jetstream->now.monotonic_ns;
    if (!consumer->is_dirty || consumer->is_writing || consumer->write_at_ns > now_ns) {
        return;
    }
    if (nx_nats_js_consumer_is_memory(consumer->stream->entry, &consumer->config)) {
        consumer->is_dirty = false;
        tell_acked(consumer, &consumer->acked);
        return;
    }
    consumer->is_writing = send_state(consumer);
    if (!consumer->is_writing) { /* no memory: later */
        consumer->write_at_ns = now_ns + WRITE_DELAY_MS * (int64_t)NX_NS_PER_MS;
        return;
    }
    consumer->is_dirty = false;
    for (struct nx_list_node *node; (node = nx_list_take_first(&consumer->acked)) != NULL;) {
        nx_list_append(&consumer->acked_writing, node);
    }
}

void nx_nats_js_consumer_take_write(struct nx_nats_js_consumer *consumer, struct nx_append *append) {
    const bool is_written = append->status == NX_OK;
    consumer->is_writing = false;
    nx_append_free(append);
    if (is_written) {
        tell_acked(consumer, &consumer->acked_writing);
    } else { /* nobody is told, and it is tried again: the log may take it later */
        free_acked(&consumer->acked_writing);
    }
    if (consumer->stream == NULL) {
        free_when_idle(consumer);
        return;
    }
    if (!is_written) {
        nx_nats_js_consumer_note(consumer, false);
    }
    nx_nats_js_consumer_run(consumer);
}

void nx_nats_js_consumer_take_read(struct nx_nats_js_consumer *consumer, struct nx_read *read) {
    consumer->is_reading = false;
    if (consumer->stream == NULL) {
        nx_read_free(read);
        free_when_idle(consumer);
        return;
    }
    nx_nats_js_consumer_take_fetched(consumer, read);
}

/* At the start */

static bool name_of(struct nx_str subject, const char *what, char name[NX_SUBJECT_SIZE_MAX],
                    struct nx_str *name_out) {
    size_t problem_at;
    const struct nx_str prefix = nx_str_from_c(what);
    if (!nx_str_starts_with(subject, prefix)) {
        return false;
    }
    *name_out = nx_str_of(name, 0);
    return nx_percent_decode_to(name, nx_str_slice(subject, prefix.len, subject.len), &name_out->len,
                                &problem_at);
}

static void load_config(struct nx_nats_jetstream *jetstream, const struct nx_js_entry *entry,
                        struct nx_str name, const struct nx_record *record) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_arena arena;
    struct nx_js_consumer config;
    struct nx_js_error why = { 0 };
    uint64_t created_ns = 0;
    if (nx_headers_value(record->headers, "Nexus-Operation").len > 0) {
        return;
    }
    nx_arena_init(&arena, CONFIG_ARENA_SIZE_MAX);
    (void)nx_str_to_u64(nx_headers_value(record->headers, "Nexus-Created"), &created_ns);
    if (nx_json_parse(record->payload, CONFIG_ARENA_SIZE_MAX, &doc, NULL) != NX_OK ||
        !nx_js_consumer_read(nx_json_root(doc), &config, &arena, &why) ||
        nx_nats_js_consumer_new(jetstream, entry, name, &config, (int64_t)created_ns) == NULL) {
        nx_log_error(jetstream->options.log, "a consumer cannot be served",
                     NX_F_STR("stream", record->stream), NX_F_STR("consumer", name));
    }
    nx_arena_fini(&arena);
}

/* A state stands behind the configuration that it was written with, or is newer. */
void nx_nats_js_consumer_load(struct nx_nats_jetstream *jetstream, const struct nx_js_entry *entry,
                              const struct nx_record *record) {
    char bytes[NX_SUBJECT_SIZE_MAX];
    struct nx_str name;
    struct nx_error err = { 0 };
    if (name_of(record->subject, "consumer.", bytes, &name)) {
        if (nx_nats_js_consumer_find(entry, name) == NULL) {
            load_config(jetstream, entry, name, record);
        }
        return;
    }
    if (!name_of(record->subject, "state.", bytes, &name)) {
        return;
    }
    struct nx_nats_js_consumer *consumer = nx_nats_js_consumer_find(entry, name);
    if (consumer == NULL) {
        return;
    }
    nx_js_ledger_fini(&consumer->ledger);
    if (nx_js_ledger_read(&consumer->ledger, record->payload, &err) != NX_OK) {
        nx_log_error(jetstream->options.log, "a consumer begins anew", NX_F_STR("consumer", name),
                     NX_F_C("error", err.message));
    }
    consumer->next_sequence = consumer->ledger.delivered_stream + 1;
}
