#include "fabric/kv/kv.h"

#include "codec/headers.h"
#include "fabric/subject/subject.h"

bool nx_kv_bucket_is_valid(struct nx_str bucket) {
    return bucket.len <= NX_KV_BUCKET_SIZE_MAX && nx_stream_name_is_valid(bucket);
}

bool nx_kv_key_is_valid(struct nx_str key) {
    for (size_t i = 0; i < key.len; i++) {
        const char c = key.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
              c == '=' || c == '.' || c == '/' || c == '-')) {
            return false;
        }
    }
    return nx_subject_is_valid(key);
}

static struct nx_str join(struct nx_arena *arena, const struct nx_str *parts, size_t count) {
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += parts[i].len;
    }
    char *text = nx_arena_alloc(arena, len + 1);
    if (text == NULL) {
        return (struct nx_str){ 0 };
    }
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(text + at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    return nx_str_of(text, len);
}

struct nx_str nx_kv_stream(struct nx_arena *arena, struct nx_str bucket) {
    const struct nx_str parts[] = { NX_STR("KV_"), bucket };
    return join(arena, parts, 2);
}

struct nx_str nx_kv_subject(struct nx_arena *arena, struct nx_str bucket, struct nx_str key) {
    const struct nx_str parts[] = { NX_STR("$KV."), bucket, NX_STR("."), key };
    return join(arena, parts, 4);
}

/* Both names, on the append's or the read's own memory. */
static enum nx_status name(struct nx_arena *arena, struct nx_str bucket, struct nx_str key,
                           struct nx_str *stream_out, struct nx_str *subject_out, struct nx_error *err) {
    if (!nx_kv_bucket_is_valid(bucket)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' cannot be the name of a bucket",
                       NX_STR_ARG(nx_str_slice(bucket, 0, 64)));
    }
    if (!nx_kv_key_is_valid(key)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' cannot be a key",
                       NX_STR_ARG(nx_str_slice(key, 0, 128)));
    }
    *stream_out = nx_kv_stream(arena, bucket);
    *subject_out = nx_kv_subject(arena, bucket, key);
    return stream_out->ptr == NULL || subject_out->ptr == NULL ? nx_fail_memory(err) : NX_OK;
}

static enum nx_status add(struct nx_append *append, struct nx_str bucket, struct nx_str key,
                          struct nx_str headers, struct nx_str value, struct nx_error *err) {
    struct nx_append_entry entry = { .headers = headers, .payload = value };
    NX_TRY(name(&append->arena, bucket, key, &entry.stream, &entry.subject, err));
    return nx_append_add(append, &entry, err);
}

enum nx_status nx_kv_put(struct nx_append *append, struct nx_str bucket, struct nx_str key,
                         struct nx_str value, struct nx_error *err) {
    return add(append, bucket, key, NX_STR_EMPTY, value, err);
}

enum nx_status nx_kv_delete(struct nx_append *append, struct nx_str bucket, struct nx_str key,
                            struct nx_error *err) {
    return add(append, bucket, key, NX_STR("KV-Operation: DEL\r\n"), NX_STR_EMPTY, err);
}

enum nx_status nx_kv_expect(struct nx_append *append, struct nx_str bucket, struct nx_str key,
                            uint64_t sequence, struct nx_error *err) {
    struct nx_append_condition condition = { .last_sequence = sequence };
    NX_TRY(name(&append->arena, bucket, key, &condition.stream, &condition.subject, err));
    return nx_append_add_condition(append, &condition, err);
}

enum nx_status nx_kv_get(struct nx_str bucket, struct nx_str key, struct nx_read **read_out,
                         struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;
    NX_TRY(nx_read_new(NX_READ_LAST, &read, err));
    NX_TRY(name(&read->arena, bucket, key, &read->stream, &read->subject, err));
    *read_out = NX_TAKE(read);
    return NX_OK;
}

bool nx_kv_is_value(const struct nx_record *record) {
    return nx_headers_value(record->headers, "KV-Operation").len == 0;
}
