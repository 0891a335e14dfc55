/* src/server/http/idempotency.c: see idempotency.h. */
#include "server/http/idempotency.h"

#include "base/assert.h"
#include "codec/digest.h"
#include "codec/json.h"
#include "server/http/publish.h"
#include "server/http/wait.h"

enum {
    PARTS_MAX = 8 + 4 * NX_HTTP_HEADER_COUNT_MAX,
    RECORD_SIZE_MAX = 512 * 1024,      /* bytes: a batch's ids, escaped */
    MEMORY_MAX = 16 * RECORD_SIZE_MAX, /* bytes, to read it */
};

static const struct nx_str stream = { "REQUESTS", 8 };

/* A string of the draft's structured field syntax, or the bare text that most clients send. */
static struct nx_str unquoted(struct nx_str value) {
    const struct nx_str text = nx_str_trim(value);
    const bool is_quoted = text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"';
    return is_quoted ? nx_str_slice(text, 1, text.len - 1) : text;
}

enum nx_status nx_http_idempotency_key(const struct nx_http_request *request, struct nx_str *key_out,
                                       struct nx_error *err) {
    struct nx_str key = { 0 };
    for (size_t i = 0; i < request->header_count; i++) {
        if (!nx_str_equal_ignore_case(request->headers[i].name, NX_STR("idempotency-key"))) {
            continue;
        }
        if (key.ptr != NULL) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "there are two headers Idempotency-Key");
        }
        key = unquoted(request->headers[i].value);
        if (key.len == 0 || key.len > NX_HTTP_IDEMPOTENCY_KEY_SIZE_MAX) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "the Idempotency-Key has %zu bytes: expected 1 to %d",
                           key.len, NX_HTTP_IDEMPOTENCY_KEY_SIZE_MAX);
        }
    }
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] < 0x20 || key.ptr[i] > 0x7E) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "the Idempotency-Key is not printable ASCII");
        }
    }
    *key_out = key.ptr == NULL ? NX_STR_EMPTY : key;
    return NX_OK;
}

/* What belongs to the event: its attributes and the type of its data. */
static bool is_part_of_event(struct nx_str name) {
    return nx_str_equal_ignore_case(name, NX_STR("content-type")) ||
           nx_str_equal_ignore_case(nx_str_slice(name, 0, 3), NX_STR("ce-"));
}

/* Every part is followed by a byte that it cannot have in it, but for the body, which is the last. */
static struct nx_digest fingerprint_of(const struct nx_http_request *request) {
    const struct nx_str end = { "", 1 };
    struct nx_str parts[PARTS_MAX];
    size_t count = 0;
    parts[count++] = request->method_name;
    parts[count++] = end;
    parts[count++] = request->path;
    parts[count++] = end;
    parts[count++] = request->query;
    parts[count++] = end;
    for (size_t i = 0; i < request->header_count; i++) {
        if (is_part_of_event(request->headers[i].name)) {
            parts[count++] = request->headers[i].name;
            parts[count++] = end;
            parts[count++] = request->headers[i].value;
            parts[count++] = end;
        }
    }
    parts[count++] = end;
    parts[count++] = request->body;
    nx_assert(count <= PARTS_MAX);
    return nx_digest_of_parts(parts, count);
}

/* What is remembered of events about people is sealed as they are: else a request that somebody guesses could
 * be told from others by its fingerprint. */
static struct nx_str person_of(const struct nx_append *append) {
    for (size_t i = 0; i < append->entry_count; i++) {
        if (append->entries[i].person.len > 0) {
            return append->entries[i].person;
        }
    }
    return NX_STR_EMPTY;
}

enum nx_status nx_http_idempotency_guard(struct nx_append *append, const struct nx_http_request *request,
                                         struct nx_str key, const struct nx_str *ids, size_t count,
                                         bool is_batch, struct nx_error *err) {
    NX_AUTO(nx_buf) payload;
    struct nx_json_writer writer;
    char text[NX_DIGEST_TEXT_SIZE + 1];
    nx_buf_init(&payload, RECORD_SIZE_MAX);
    if (key.len == 0) {
        return NX_OK;
    }
    const struct nx_digest fingerprint = fingerprint_of(request);
    nx_json_writer_init(&writer, &payload);
    nx_json_object_begin(&writer);
    nx_json_member_str(&writer, "fingerprint", nx_digest_format(&fingerprint, text));
    nx_json_member_bool(&writer, "batch", is_batch);
    nx_json_key(&writer, NX_STR("event_ids"));
    nx_json_array_begin(&writer);
    for (size_t i = 0; i < count; i++) {
        nx_json_string(&writer, ids[i]);
    }
    nx_json_array_end(&writer);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    NX_TRY(nx_buf_check(&payload, err));
    const struct nx_append_entry entry = { .stream = stream,
                                           .subject = NX_STR("requests.http"),
                                           .headers = NX_STR_EMPTY,
                                           .payload = nx_buf_str(&payload),
                                           .dedup_key = key,
                                           .person = person_of(append) };
    NX_TRY(nx_append_add(append, &entry, err));
    append->last_decides = true;
    return NX_OK;
}

static struct nx_str fingerprint_in(const struct nx_json_value *record) {
    struct nx_str text = NX_STR_EMPTY;
    (void)nx_json_to_str(nx_json_get(record, NX_STR("fingerprint")), &text);
    return text;
}

static void respond_first(struct nx_http_exchange *exchange, const struct nx_json_value *record,
                          struct nx_error *err) {
    const struct nx_json_value *list = nx_json_get(record, NX_STR("event_ids"));
    struct nx_json_iterator iterator = nx_json_iterate(list);
    const struct nx_json_value *value;
    struct nx_str ids[NX_HTTP_BATCH_COUNT_MAX];
    size_t count = 0;
    bool is_batch = false;
    (void)nx_json_to_bool(nx_json_get(record, NX_STR("batch")), &is_batch);
    while (count < NX_HTTP_BATCH_COUNT_MAX && nx_json_next(&iterator, NULL, &value) &&
           nx_json_to_str(value, &ids[count])) {
        count++;
    }
    if (count == 0 || count != nx_json_count(list)) {
        (void)nx_fail(err, NX_DATA_LOSS, "what is remembered of this Idempotency-Key cannot be read");
        nx_http_respond_error(exchange, err, NX_STR_EMPTY);
    } else if (is_batch) {
        nx_http_respond_batch(exchange, ids, NULL, count);
    } else if (nx_http_is_awaiting(exchange)) {
        nx_http_await_first(exchange, ids[0]);
    } else {
        nx_http_respond_published(exchange, ids[0], true);
    }
}

/* The record of the first request with this key came; ours is of another request, or it is a repeat. */
static void first_read(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_read *read = (struct nx_read *)message;
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_error err = { 0 };
    if (read->status != NX_OK || read->record_count != 1) {
        nx_http_respond_error(exchange, &read->error, NX_STR_EMPTY);
    } else if (nx_record_withheld(&read->records[0]).len > 0) {
        (void)nx_fail_kind(&err, NX_KIND_ERASED,
                           "the person whom the first request with this Idempotency-Key was "
                           "about was forgotten, and so was the request");
        nx_hint(&err, "make a new key for each new request; a key is remembered for ten minutes");
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    } else if (nx_json_parse(read->records[0].payload, MEMORY_MAX, &doc, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    } else if (!nx_str_equal(fingerprint_in(nx_json_root(doc)), exchange->note)) {
        (void)nx_fail_kind(&err, NX_KIND_KEY_REUSED, "this Idempotency-Key came with another request before");
        nx_hint(&err, "make a new key for each new request; a key is remembered for ten minutes");
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    } else {
        respond_first(exchange, nx_json_root(doc), &err);
    }
    nx_message_release(message);
}

static enum nx_status ask_for_first(struct nx_http_exchange *exchange, const struct nx_append *append,
                                    struct nx_error *err) {
    const struct nx_append_entry *guard = &append->entries[append->entry_count - 1];
    NX_AUTO(nx_read) *read = NULL;
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_str payload = guard->plain.ptr != NULL ? guard->plain : guard->payload;
    NX_TRY(nx_json_parse(payload, MEMORY_MAX, &doc, err));
    NX_TRY(nx_read_new(NX_READ_BY_SEQUENCE, &read, err));
    read->stream = stream;
    read->from_sequence = guard->sequence;
    exchange->note = nx_arena_copy(&read->arena, fingerprint_in(nx_json_root(doc)));
    if (exchange->note.ptr == NULL) {
        return nx_fail_memory(err);
    }
    nx_http_ask(exchange, nx_http_services_of(exchange)->reads, &NX_TAKE(read)->message, first_read);
    return NX_OK;
}

bool nx_http_idempotency_settles(struct nx_http_exchange *exchange, struct nx_append *append) {
    struct nx_error err = { 0 };
    if (append->status != NX_OK) {
        nx_http_respond_error(exchange, &append->error, NX_STR_EMPTY);
    } else if (!append->last_decides || !append->entries[append->entry_count - 1].duplicate) {
        return false;
    } else if (ask_for_first(exchange, append, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    }
    nx_message_release(&append->message);
    return true;
}
