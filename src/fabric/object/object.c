#include "fabric/object/object.h"

#include <inttypes.h>
#include <stdio.h>

#include "codec/base64.h"
#include "fabric/kv/kv.h"

enum { NAME_SIZE_MAX = 512 };

/* "OBJ_<bucket>" and "$O.<bucket>.<kind>.<id>". */
static enum nx_status name(struct nx_str bucket, char kind, const char *id, char stream_out[NAME_SIZE_MAX],
                           char subject_out[NAME_SIZE_MAX], struct nx_error *err) {
    if (!nx_kv_bucket_is_valid(bucket)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' cannot be the name of a bucket",
                       NX_STR_ARG(nx_str_slice(bucket, 0, 64)));
    }
    (void)snprintf(stream_out, NAME_SIZE_MAX, "OBJ_%.*s", NX_STR_ARG(bucket));
    (void)snprintf(subject_out, NAME_SIZE_MAX, "$O.%.*s.%c.%s", NX_STR_ARG(bucket), kind, id);
    return NX_OK;
}

static enum nx_status add_chunks(struct nx_append *append, const char *stream, const char *subject,
                                 struct nx_str bytes, struct nx_error *err) {
    for (size_t at = 0; at < bytes.len; at += NX_OBJECT_CHUNK_SIZE) {
        const struct nx_append_entry chunk = {
            .stream = nx_str_from_c(stream),
            .subject = nx_str_from_c(subject),
            .payload = nx_str_slice(bytes, at, at + NX_OBJECT_CHUNK_SIZE),
        };
        NX_TRY(nx_append_add(append, &chunk, err));
    }
    return NX_OK;
}

/* What NATS's clients read of an object. They pad the digest: 32 bytes are 43 letters and one =. */
static enum nx_status add_meta(struct nx_append *append, const char *stream, struct nx_str bucket,
                               const char *id, const struct nx_digest *digest, size_t size,
                               struct nx_error *err) {
    char name_stream[NAME_SIZE_MAX];
    char subject[NAME_SIZE_MAX];
    char meta[1024];
    NX_AUTO(nx_buf) encoded;
    nx_buf_init(&encoded, 256);
    nx_base64_encode(&encoded, NX_BASE64_URL, nx_str_from_c(id));
    nx_buf_append_u8(&encoded, 0);
    NX_TRY(nx_buf_check(&encoded, err));
    NX_TRY(name(bucket, 'M', encoded.ptr, name_stream, subject, err));
    NX_AUTO(nx_buf) sum;
    nx_buf_init(&sum, 128);
    nx_base64_encode(&sum, NX_BASE64_URL, nx_str_of(digest->bytes, sizeof digest->bytes));
    NX_TRY(nx_buf_check(&sum, err));
    const int len =
        snprintf(meta, sizeof meta,
                 "{\"name\":\"%s\",\"bucket\":\"%.*s\",\"nuid\":\"%s\",\"size\":%zu,\"chunks\":%zu,"
                 "\"digest\":\"SHA-256=%.*s=\",\"options\":{\"max_chunk_size\":%d}}",
                 id, NX_STR_ARG(bucket), id, size, (size + NX_OBJECT_CHUNK_SIZE - 1) / NX_OBJECT_CHUNK_SIZE,
                 NX_STR_ARG(nx_buf_str(&sum)), NX_OBJECT_CHUNK_SIZE);
    const struct nx_append_entry entry = {
        .stream = nx_str_from_c(stream),
        .subject = nx_str_from_c(subject),
        .headers = NX_STR("Nats-Rollup: sub\r\n"),
        .payload = nx_str_of(meta, len < 0 ? 0 : (size_t)len),
    };
    return nx_append_add(append, &entry, err);
}

enum nx_status nx_object_put(struct nx_str bucket, struct nx_str bytes, struct nx_digest *digest_out,
                             struct nx_append **append_out, struct nx_error *err) {
    char stream[NAME_SIZE_MAX];
    char subject[NAME_SIZE_MAX];
    char id[NX_DIGEST_TEXT_SIZE + 1];
    NX_AUTO(nx_append) *append = NULL;
    if (bytes.len > NX_OBJECT_SIZE_MAX) {
        return nx_fail_kind(err, NX_KIND_TOO_LARGE, "an object takes at most %d bytes", NX_OBJECT_SIZE_MAX);
    }
    const struct nx_digest digest = nx_digest_of(bytes);
    (void)nx_digest_format(&digest, id);
    NX_TRY(name(bucket, 'C', id, stream, subject, err));
    const size_t chunk_count = (bytes.len + NX_OBJECT_CHUNK_SIZE - 1) / NX_OBJECT_CHUNK_SIZE;
    NX_TRY(nx_append_new(chunk_count + 1, 1, &append, err));
    NX_TRY(add_chunks(append, stream, subject, bytes, err));
    NX_TRY(add_meta(append, stream, bucket, id, &digest, bytes.len, err));
    /* Its meta record is the last entry: when there is one already, nothing is written. */
    const struct nx_append_condition absent = { .stream = append->entries[chunk_count].stream,
                                                .subject = append->entries[chunk_count].subject };
    NX_TRY(nx_append_add_condition(append, &absent, err));
    *digest_out = digest;
    *append_out = NX_TAKE(append);
    return NX_OK;
}

enum nx_status nx_object_get(struct nx_str bucket, const struct nx_digest *digest, struct nx_read **read_out,
                             struct nx_error *err) {
    char stream[NAME_SIZE_MAX];
    char subject[NAME_SIZE_MAX];
    char id[NX_DIGEST_TEXT_SIZE + 1];
    NX_AUTO(nx_read) *read = NULL;
    (void)nx_digest_format(digest, id);
    NX_TRY(name(bucket, 'C', id, stream, subject, err));
    NX_TRY(nx_read_new(NX_READ_SCAN, &read, err));
    read->stream = nx_arena_copy(&read->arena, nx_str_from_c(stream));
    read->subject = nx_arena_copy(&read->arena, nx_str_from_c(subject));
    if (read->stream.ptr == NULL || read->subject.ptr == NULL) {
        return nx_fail_memory(err);
    }
    *read_out = NX_TAKE(read);
    return NX_OK;
}

enum nx_status nx_object_take(const struct nx_read *read, const struct nx_digest *digest,
                              struct nx_buf *bytes, struct nx_error *err) {
    const size_t before = bytes->len;
    if (read->status != NX_OK && read->status != NX_NOT_FOUND) {
        if (err != NULL) {
            *err = read->error;
        }
        return read->status;
    }
    for (size_t i = 0; i < read->record_count; i++) {
        nx_buf_append(bytes, read->records[i].payload);
    }
    NX_TRY(nx_buf_check(bytes, err));
    const struct nx_digest have = nx_digest_of(nx_str_slice(nx_buf_str(bytes), before, bytes->len));
    if (nx_digest_equal(&have, digest)) {
        return NX_OK;
    }
    nx_buf_truncate(bytes, before);
    return read->record_count == 0 ? nx_fail(err, NX_NOT_FOUND, "there is no such object")
                                   : nx_fail(err, NX_DATA_LOSS, "the object's bytes are damaged");
}
