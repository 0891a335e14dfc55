#include "fabric/stream/catalogue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "codec/headers.h"
#include "codec/percent.h"
#include "fabric/stream/stream_check.h"

#define OPERATION_HEADER "Nexus-Operation"
#define DELETED "DEL"
#define ID_HEADER "Nexus-Stream"
#define CREATED_HEADER "Nexus-Created"
#define FIRST_HEADER "Nexus-First"

enum { MEMORY_FACTOR = 16 }; /* of parsed JSON, by bytes of text */

void nx_js_catalogue_init(struct nx_js_catalogue *catalogue, uint64_t seed) {
    nx_map_init(&catalogue->entries, NX_JS_STREAMS_MAX, seed);
}

static void entry_free(struct nx_js_entry *entry) {
    if (entry != NULL) {
        nx_arena_fini(&entry->arena);
        free(entry);
    }
}

void nx_js_catalogue_fini(struct nx_js_catalogue *catalogue) {
    size_t cursor = 0;
    void *entry;
    while (nx_map_next(&catalogue->entries, &cursor, NULL, &entry)) {
        entry_free(entry);
    }
    nx_map_fini(&catalogue->entries);
}

static void append_subject(struct nx_buf *out, struct nx_str account, struct nx_str name) {
    nx_buf_append_c(out, "stream.");
    nx_percent_encode_subject(out, account);
    nx_buf_append_u8(out, '.');
    nx_percent_encode_subject(out, name);
}

/* The encoder leaves dots: names of streams have none, those of accounts may. */
static bool split_subject(struct nx_str subject, struct nx_str *account_out, struct nx_str *name_out) {
    size_t dot = subject.len;
    while (dot > 0 && subject.ptr[dot - 1] != '.') {
        dot--;
    }
    const size_t from = sizeof "stream." - 1;
    if (!nx_str_starts_with(subject, NX_STR("stream.")) || dot < from + 2) {
        return false;
    }
    *account_out = nx_str_slice(subject, from, dot - 1);
    *name_out = nx_str_slice(subject, dot, subject.len);
    return true;
}

struct nx_js_entry *nx_js_catalogue_find(const struct nx_js_catalogue *catalogue, struct nx_str account,
                                         struct nx_str name) {
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    if (!nx_js_name_is_valid(name)) { /* else a dot in it could be one between account and name */
        return NULL;
    }
    append_subject(&subject, account, name);
    return nx_buf_failed(&subject) ? NULL : nx_map_get(&catalogue->entries, nx_buf_str(&subject));
}

struct nx_js_entry *nx_js_catalogue_next(const struct nx_js_catalogue *catalogue, struct nx_str account,
                                         const struct nx_js_entry *after) {
    struct nx_js_entry *best = NULL;
    size_t cursor = 0;
    void *value;
    while (nx_map_next(&catalogue->entries, &cursor, NULL, &value)) {
        struct nx_js_entry *entry = value;
        if (nx_str_equal(entry->account, account) &&
            (after == NULL || nx_str_compare(entry->config.name, after->config.name) > 0) &&
            (best == NULL || nx_str_compare(entry->config.name, best->config.name) < 0)) {
            best = entry;
        }
    }
    return best;
}

struct nx_js_entry *nx_js_catalogue_taker(const struct nx_js_catalogue *catalogue, struct nx_str account,
                                          struct nx_str subject) {
    size_t cursor = 0;
    void *value;
    while (nx_map_next(&catalogue->entries, &cursor, NULL, &value)) {
        struct nx_js_entry *entry = value;
        if (nx_str_equal(entry->account, account) && nx_js_stream_takes(&entry->config, subject)) {
            return entry;
        }
    }
    return NULL;
}

bool nx_js_catalogue_overlaps(const struct nx_js_catalogue *catalogue, struct nx_str account,
                              const struct nx_js_stream *config, const struct nx_js_entry *except) {
    size_t cursor = 0;
    void *value;
    while (nx_map_next(&catalogue->entries, &cursor, NULL, &value)) {
        const struct nx_js_entry *entry = value;
        if (entry != except && nx_str_equal(entry->account, account) &&
            nx_js_stream_overlaps(&entry->config, config)) {
            return true;
        }
    }
    return false;
}

/* Changes */

static enum nx_status add_record(struct nx_append *append, struct nx_str subject, struct nx_str headers,
                                 struct nx_str payload, struct nx_error *err) {
    const struct nx_append_entry entry = {
        .stream = NX_STR(NX_JS_CATALOGUE_STREAM), .subject = subject, .headers = headers, .payload = payload
    };
    return nx_append_add(append, &entry, err);
}

static enum nx_status append_config(struct nx_str account, const struct nx_js_stream *config,
                                    struct nx_str headers, struct nx_append **append_out,
                                    struct nx_error *err) {
    NX_AUTO(nx_append) *append = NULL;
    NX_AUTO(nx_buf) subject;
    NX_AUTO(nx_buf) payload;
    struct nx_json_writer writer;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_init(&payload, NX_JS_CONFIG_SIZE_MAX);
    append_subject(&subject, account, config->name);
    nx_json_writer_init(&writer, &payload);
    nx_js_stream_write(&writer, config);
    nx_json_writer_end(&writer);
    NX_TRY(nx_buf_check(&subject, err));
    NX_TRY(nx_buf_check(&payload, err));
    NX_TRY(nx_append_new(1, 0, &append, err));
    NX_TRY(add_record(append, nx_buf_str(&subject), headers, nx_buf_str(&payload), err));
    *append_out = NX_TAKE(append);
    return NX_OK;
}

enum nx_status nx_js_catalogue_create(struct nx_str account, const struct nx_js_stream *config,
                                      struct nx_append **append_out, struct nx_error *err) {
    return append_config(account, config, NX_STR_EMPTY, append_out, err);
}

enum nx_status nx_js_catalogue_update(const struct nx_js_entry *entry, const struct nx_js_stream *config,
                                      uint64_t first_sequence, struct nx_append **append_out,
                                      struct nx_error *err) {
    char headers[160];
    (void)snprintf(headers, sizeof headers,
                   ID_HEADER ": %" PRIu64 "\r\n" CREATED_HEADER ": %" PRId64 "\r\n" FIRST_HEADER ": %" PRIu64
                             "\r\n",
                   entry->id, entry->created_ns,
                   first_sequence > entry->first_sequence ? first_sequence : entry->first_sequence);
    return append_config(entry->account, config, nx_str_from_c(headers), append_out, err);
}

enum nx_status nx_js_catalogue_delete(const struct nx_js_entry *entry, struct nx_append **append_out,
                                      struct nx_error *err) {
    NX_AUTO(nx_append) *append = NULL;
    NX_AUTO(nx_buf) subject;
    char gone[32];
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    append_subject(&subject, entry->account, entry->config.name);
    (void)snprintf(gone, sizeof gone, "gone.%" PRIu64, entry->id);
    NX_TRY(nx_buf_check(&subject, err));
    NX_TRY(nx_append_new(2, 0, &append, err));
    NX_TRY(add_record(append, nx_buf_str(&subject), NX_STR(OPERATION_HEADER ": " DELETED "\r\n"),
                      NX_STR_EMPTY, err));
    NX_TRY(add_record(append, nx_str_from_c(gone), NX_STR_EMPTY, NX_STR_EMPTY, err));
    *append_out = NX_TAKE(append);
    return NX_OK;
}

/* Records */

static enum nx_status fail_record(const struct nx_record *record, struct nx_error *err) {
    return nx_fail(err, NX_DATA_LOSS, "record " NX_JS_CATALOGUE_STREAM ":%" PRIu64 " is no stream",
                   record->sequence);
}

static enum nx_status read_entry(const struct nx_record *record, struct nx_js_entry *entry,
                                 struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_js_error why = { 0 };
    struct nx_str id_text = NX_STR_EMPTY;
    struct nx_str account;
    struct nx_str name;
    size_t problem_at;
    entry->id = record->sequence;
    entry->created_ns = record->time_ns;
    if (nx_headers_find(record->headers, NX_STR(ID_HEADER), &id_text)) {
        uint64_t created_ns = 0;
        if (!nx_str_to_u64(id_text, &entry->id) ||
            !nx_str_to_u64(nx_headers_value(record->headers, CREATED_HEADER), &created_ns)) {
            return fail_record(record, err);
        }
        entry->created_ns = (int64_t)created_ns;
        (void)nx_str_to_u64(nx_headers_value(record->headers, FIRST_HEADER), &entry->first_sequence);
    }
    NX_TRY(nx_json_parse(record->payload, MEMORY_FACTOR * NX_JS_CONFIG_SIZE_MAX, &doc, err));
    if (!nx_js_stream_read(nx_json_root(doc), &entry->config, &entry->arena, &why) ||
        !split_subject(record->subject, &account, &name)) {
        return fail_record(record, err);
    }
    char *bytes = nx_arena_alloc_raw(&entry->arena, account.len + 1);
    if (bytes == NULL) {
        return nx_fail_memory(err);
    }
    entry->account.ptr = bytes;
    (void)snprintf(entry->stream, sizeof entry->stream, "JS_%" PRIu64, entry->id);
    return nx_percent_decode_to(bytes, account, &entry->account.len, &problem_at) ? NX_OK
                                                                                  : fail_record(record, err);
}

static enum nx_status take_stream(struct nx_js_catalogue *catalogue, const struct nx_record *record,
                                  struct nx_js_change *change, struct nx_error *err) {
    struct nx_js_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return nx_fail_memory(err);
    }
    nx_arena_init(&entry->arena, 2 * MEMORY_FACTOR * NX_JS_CONFIG_SIZE_MAX);
    enum nx_status status = read_entry(record, entry, err);
    struct nx_js_entry *before = nx_map_get(&catalogue->entries, record->subject);
    if (status == NX_OK) {
        status = nx_map_set(&catalogue->entries, record->subject, entry, err);
    }
    if (status != NX_OK) {
        entry_free(entry);
        return status;
    }
    if (before != NULL && before->id == entry->id) {
        entry->served = before->served;
    }
    entry_free(before);
    *change = (struct nx_js_change){ .kind = NX_JS_STREAM_IS, .entry = entry };
    return NX_OK;
}

enum nx_status nx_js_catalogue_take(struct nx_js_catalogue *catalogue, const struct nx_record *record,
                                    struct nx_js_change *change_out, struct nx_error *err) {
    struct nx_str operation = NX_STR_EMPTY;
    *change_out = (struct nx_js_change){ .kind = NX_JS_NOTHING };
    if (nx_str_starts_with(record->subject, NX_STR("gone."))) {
        if (!nx_str_to_u64(nx_str_slice(record->subject, 5, record->subject.len), &change_out->id)) {
            return fail_record(record, err);
        }
        change_out->kind = NX_JS_STREAM_GONE;
        return NX_OK;
    }
    if (!nx_headers_find(record->headers, NX_STR(OPERATION_HEADER), &operation)) {
        return take_stream(catalogue, record, change_out, err);
    }
    if (!nx_str_is(operation, DELETED)) {
        return fail_record(record, err);
    }
    struct nx_js_entry *entry = nx_map_remove(&catalogue->entries, record->subject);
    change_out->kind = NX_JS_STREAM_WAS;
    change_out->served = entry == NULL ? NULL : entry->served;
    entry_free(entry);
    return NX_OK;
}
