#include "fabric/object/object.h"

#include <inttypes.h>
#include <stdio.h>

#include "codec/base64.h"
#include "codec/headers.h"
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

void nx_object_put_init(struct nx_object_put *put, struct nx_str bucket, struct nx_str bytes,
                        uint64_t nonce) {
    char text[NX_DIGEST_TEXT_SIZE + 1];
    *put = (struct nx_object_put){
        .bucket = bucket, .bytes = bytes, .digest = nx_digest_of(bytes), .person_key = NX_STR_EMPTY
    };
    (void)nx_digest_format(&put->digest, text);
    (void)snprintf(put->id, sizeof put->id, "%s-%016" PRIx64, text, nonce);
}

static enum nx_status add_chunks(const struct nx_object_put *put, struct nx_append *append,
                                 const char *stream, const char *subject, struct nx_str bytes,
                                 struct nx_error *err) {
    for (size_t at = 0; at < bytes.len; at += NX_OBJECT_CHUNK_SIZE) {
        const struct nx_append_entry chunk = {
            .stream = nx_str_from_c(stream),
            .subject = nx_str_from_c(subject),
            .payload = nx_str_slice(bytes, at, at + NX_OBJECT_CHUNK_SIZE),
            .person_key = put->person_key,
        };
        NX_TRY(nx_append_add(append, &chunk, err));
    }
    return NX_OK;
}

/* An object's name is its digest, in NATS's subjects as base64. */
static enum nx_status meta_subject(struct nx_str bucket, const char *digest, char stream_out[NAME_SIZE_MAX],
                                   char subject_out[NAME_SIZE_MAX], struct nx_error *err) {
    NX_AUTO(nx_buf) encoded;
    nx_buf_init(&encoded, 256);
    nx_base64_encode(&encoded, NX_BASE64_URL, nx_str_from_c(digest));
    nx_buf_append_u8(&encoded, 0);
    NX_TRY(nx_buf_check(&encoded, err));
    return name(bucket, 'M', encoded.ptr, stream_out, subject_out, err);
}

/* What NATS's clients read of an object. They pad the digest: 32 bytes are 43 letters and one =. */
static enum nx_status add_meta(const struct nx_object_put *put, struct nx_append *append, const char *stream,
                               const char *subject, const char *digest, struct nx_error *err) {
    const size_t count = nx_object_entry_count(put->bytes.len) - 1;
    NX_AUTO(nx_buf) sum;
    NX_AUTO(nx_buf) meta;
    NX_AUTO(nx_buf) headers;
    nx_buf_init(&sum, 128);
    nx_buf_init(&meta, 2048);
    nx_buf_init(&headers, 512);
    nx_base64_encode(&sum, NX_BASE64_URL, nx_str_of(put->digest.bytes, sizeof put->digest.bytes));
    nx_buf_append_format(&meta,
                         "{\"name\":\"%s\",\"bucket\":\"%.*s\",\"nuid\":\"%s\",\"size\":%zu,\"chunks\":%zu,"
                         "\"digest\":\"SHA-256=%.*s=\",\"options\":{\"max_chunk_size\":%d}}",
                         digest, NX_STR_ARG(put->bucket), put->id, put->bytes.len, count,
                         NX_STR_ARG(nx_buf_str(&sum)), NX_OBJECT_CHUNK_SIZE);
    nx_buf_append_format(&headers, "Nats-Rollup: sub\r\nNexus-Id: %s\r\nNexus-Count: %zu\r\n", put->id,
                         count);
    if (put->first != 0) {
        nx_buf_append_format(&headers, "Nexus-First: %" PRIu64 "\r\n", put->first);
    }
    NX_TRY(nx_buf_check(&sum, err));
    NX_TRY(nx_buf_check(&meta, err));
    NX_TRY(nx_buf_check(&headers, err));
    const struct nx_append_entry entry = {
        .stream = nx_str_from_c(stream),
        .subject = nx_str_from_c(subject),
        .headers = nx_buf_str(&headers),
        .payload = nx_buf_str(&meta),
    };
    return nx_append_add(append, &entry, err);
}

enum nx_status nx_object_put_next(struct nx_object_put *put, struct nx_append **append_out,
                                  struct nx_error *err) {
    char stream[NAME_SIZE_MAX];
    char chunk_subject[NAME_SIZE_MAX];
    char subject[NAME_SIZE_MAX];
    char digest[NX_DIGEST_TEXT_SIZE + 1];
    NX_AUTO(nx_append) *append = NULL;
    if (put->is_done) {
        *append_out = NULL;
        return NX_OK;
    }
    if (put->bytes.len > NX_OBJECT_SIZE_MAX) {
        return nx_fail_kind(err, NX_KIND_TOO_LARGE, "an object takes at most %d bytes", NX_OBJECT_SIZE_MAX);
    }
    (void)nx_digest_format(&put->digest, digest);
    NX_TRY(name(put->bucket, 'C', put->id, stream, chunk_subject, err));
    NX_TRY(meta_subject(put->bucket, digest, stream, subject, err));
    const size_t size_max = (size_t)NX_OBJECT_CHUNKS_PER_APPEND * NX_OBJECT_CHUNK_SIZE;
    const struct nx_str part = nx_str_slice(put->bytes, put->stored_size, put->stored_size + size_max);
    NX_TRY(nx_append_new(NX_OBJECT_CHUNKS_PER_APPEND + 1, 1, &append, err));
    NX_TRY(add_chunks(put, append, stream, chunk_subject, part, err));
    if (put->stored_size + part.len == put->bytes.len) {
        NX_TRY(add_meta(put, append, stream, subject, digest, err));
    }
    /* When there is one already, nothing is written. */
    const struct nx_append_condition absent = { .stream = nx_str_from_c(stream),
                                                .subject = nx_str_from_c(subject) };
    NX_TRY(nx_append_add_condition(append, &absent, err));
    put->sent_size = part.len;
    *append_out = NX_TAKE(append);
    return NX_OK;
}

enum nx_status nx_object_add(const struct nx_object_put *put, struct nx_append *append,
                             struct nx_error *err) {
    char stream[NAME_SIZE_MAX];
    char chunk_subject[NAME_SIZE_MAX];
    char subject[NAME_SIZE_MAX];
    char digest[NX_DIGEST_TEXT_SIZE + 1];
    (void)nx_digest_format(&put->digest, digest);
    NX_TRY(name(put->bucket, 'C', put->id, stream, chunk_subject, err));
    NX_TRY(meta_subject(put->bucket, digest, stream, subject, err));
    NX_TRY(add_chunks(put, append, stream, chunk_subject, put->bytes, err));
    return add_meta(put, append, stream, subject, digest, err);
}

enum nx_status nx_object_put_take(struct nx_object_put *put, const struct nx_append *append,
                                  struct nx_error *err) {
    if (append->status != NX_OK && append->error.kind == NX_KIND_WRONG_LAST_SEQUENCE) {
        put->is_done = true; /* stored already */
        return NX_OK;
    }
    if (append->status != NX_OK) {
        if (err != NULL) {
            *err = append->error;
        }
        return append->status;
    }
    if (put->stored_size == 0 && append->entry_count > 0) {
        put->first = append->entries[0].sequence;
    }
    put->stored_size += put->sent_size;
    put->is_done = put->stored_size == put->bytes.len;
    return NX_OK;
}

void nx_object_get_init(struct nx_object_get *get, struct nx_str bucket, const struct nx_digest *digest,
                        struct nx_buf *bytes) {
    *get = (struct nx_object_get){ .bucket = bucket, .digest = *digest, .bytes = bytes };
    nx_buf_reset(bytes);
}

enum nx_status nx_object_get_next(struct nx_object_get *get, struct nx_read **read_out,
                                  struct nx_error *err) {
    char stream[NAME_SIZE_MAX];
    char subject[NAME_SIZE_MAX];
    char digest[NX_DIGEST_TEXT_SIZE + 1];
    NX_AUTO(nx_read) *read = NULL;
    if (get->is_done) {
        *read_out = NULL;
        return NX_OK;
    }
    if (get->end == 0) {
        (void)nx_digest_format(&get->digest, digest);
        NX_TRY(meta_subject(get->bucket, digest, stream, subject, err));
        NX_TRY(nx_read_new(NX_READ_LAST, &read, err));
    } else {
        NX_TRY(name(get->bucket, 'C', get->id, stream, subject, err));
        NX_TRY(nx_read_new(NX_READ_SCAN, &read, err));
        read->from_sequence = get->next;
        read->to_sequence = get->end - 1;
    }
    read->stream = nx_arena_copy(&read->arena, nx_str_from_c(stream));
    read->subject = nx_arena_copy(&read->arena, nx_str_from_c(subject));
    if (read->stream.ptr == NULL || read->subject.ptr == NULL) {
        return nx_fail_memory(err);
    }
    *read_out = NX_TAKE(read);
    return NX_OK;
}

/* All chunks were read, or there are none: do they give the bytes that were asked for? */
static enum nx_status finish(struct nx_object_get *get, struct nx_error *err) {
    const struct nx_digest have = nx_digest_of(nx_buf_str(get->bytes));
    if (!nx_digest_equal(&have, &get->digest)) {
        nx_buf_reset(get->bytes);
        return nx_fail(err, NX_DATA_LOSS, "the object's bytes are damaged");
    }
    get->is_done = true;
    return NX_OK;
}

static enum nx_status take_meta(struct nx_object_get *get, const struct nx_record *meta,
                                struct nx_error *err) {
    const struct nx_str id = nx_headers_value(meta->headers, "Nexus-Id");
    const struct nx_str first = nx_headers_value(meta->headers, "Nexus-First");
    uint64_t count = 0;
    if (id.len == 0 || id.len > NX_OBJECT_ID_SIZE_MAX ||
        !nx_str_to_u64(nx_headers_value(meta->headers, "Nexus-Count"), &count) || count >= meta->sequence ||
        (first.len > 0 && !nx_str_to_u64(first, &get->next))) {
        return nx_fail(err, NX_DATA_LOSS, "the object's description is damaged");
    }
    memcpy(get->id, id.ptr, id.len);
    get->end = meta->sequence;
    get->next = first.len > 0 ? get->next : meta->sequence - count;
    return count == 0 ? finish(get, err) : NX_OK;
}

enum nx_status nx_object_get_take(struct nx_object_get *get, const struct nx_read *read,
                                  struct nx_error *err) {
    if (read->status != NX_OK && read->status != NX_NOT_FOUND) {
        if (err != NULL) {
            *err = read->error;
        }
        return read->status;
    }
    const bool is_found = read->status == NX_OK && read->record_count > 0;
    if (get->end == 0 && !is_found && get->otherwise.len > 0) {
        get->bucket = get->otherwise;
        get->otherwise = NX_STR_EMPTY;
        return NX_OK;
    }
    if (get->end == 0) {
        return is_found ? take_meta(get, &read->records[0], err)
                        : nx_fail(err, NX_NOT_FOUND, "there is no such object");
    }
    for (size_t i = 0; i < read->record_count; i++) {
        if (nx_record_withheld(&read->records[i]).len > 0) {
            return nx_fail(err, NX_NOT_FOUND, "the object is about a person whose key is gone");
        }
        nx_buf_append(get->bytes, read->records[i].payload);
    }
    NX_TRY(nx_buf_check(get->bytes, err));
    if (read->status == NX_NOT_FOUND || read->at_end || read->next_sequence >= get->end ||
        read->next_sequence <= get->next) {
        return finish(get, err);
    }
    get->next = read->next_sequence;
    return NX_OK;
}
