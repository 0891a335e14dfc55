/* The requests of fabric.h: made by whoever asks, freed by whoever has them last. */
#include "base/assert.h"
#include "codec/digest.h"
#include "codec/headers.h"
#include "fabric/fabric.h"
#include "fabric/subject/subject.h"
#include "storage/wal/frame.h"

enum {
    /* Of all entries' bytes and the arrays; each string also costs its alignment. */
    APPEND_ARENA_SIZE_MAX = NX_APPEND_SIZE_MAX + 2 * 1024 * 1024,
    SEALED_ARENA_SIZE_MAX = 2 * APPEND_ARENA_SIZE_MAX,
    READ_ARENA_SIZE_MAX = 4 * NX_READ_SIZE_MAX,
};

static void release_append(struct nx_message *message) {
    nx_append_free((struct nx_append *)message);
}

enum nx_status nx_append_new(size_t entry_count_max, size_t condition_count_max,
                             struct nx_append **append_out, struct nx_error *err) {
    if (entry_count_max > NX_APPEND_ENTRIES_MAX || condition_count_max > NX_APPEND_ENTRIES_MAX) {
        return nx_fail_kind(err, NX_KIND_TOO_LARGE, "an append takes at most %d records",
                            NX_APPEND_ENTRIES_MAX);
    }
    NX_AUTO(nx_append) *append = calloc(1, sizeof *append);
    if (append == NULL) {
        return nx_fail_memory(err);
    }
    append->message.kind = NX_FABRIC_APPEND;
    append->message.release = release_append;
    nx_arena_init(&append->arena, APPEND_ARENA_SIZE_MAX);
    nx_arena_init(&append->sealed, SEALED_ARENA_SIZE_MAX);
    append->entries = nx_arena_alloc(&append->arena, (entry_count_max + 1) * sizeof *append->entries);
    append->conditions =
        nx_arena_alloc(&append->arena, (condition_count_max + 1) * sizeof *append->conditions);
    if (append->entries == NULL || append->conditions == NULL) {
        return nx_fail_memory(err);
    }
    append->entry_count_max = entry_count_max;
    append->condition_count_max = condition_count_max;
    *append_out = NX_TAKE(append);
    return NX_OK;
}

void nx_append_free(struct nx_append *append) {
    if (append == NULL) {
        return;
    }
    nx_arena_fini(&append->arena);
    nx_arena_fini(&append->sealed);
    free(append);
}

static enum nx_status check_entry(const struct nx_append *append, const struct nx_append_entry *entry,
                                  struct nx_error *err) {
    if (append->entry_count >= append->entry_count_max) {
        return nx_fail_kind(err, NX_KIND_TOO_LARGE, "this append has room for %zu records",
                            append->entry_count_max);
    }
    if (!nx_stream_name_is_valid(entry->stream)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' cannot be the name of a stream",
                       NX_STR_ARG(nx_str_slice(entry->stream, 0, 64)));
    }
    if (!nx_subject_is_valid(entry->subject)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' cannot be a subject",
                       NX_STR_ARG(nx_str_slice(entry->subject, 0, 128)));
    }
    if (entry->headers.len > NX_HEADERS_SIZE_MAX) {
        return nx_fail_kind(err, NX_KIND_HEADERS_TOO_LARGE, "a record's headers take at most %d bytes",
                            NX_HEADERS_SIZE_MAX);
    }
    if (entry->payload.len > NX_RECORD_SIZE_MAX ||
        entry->headers.len + entry->payload.len > NX_RECORD_SIZE_MAX) {
        return nx_fail_kind(err, NX_KIND_TOO_LARGE, "a record takes at most %d bytes", NX_RECORD_SIZE_MAX);
    }
    return NX_OK;
}

/* What is to be sealed says so; the strings of that are not part of the record. */
static enum nx_status add_person(struct nx_append *append, const struct nx_append_entry *entry,
                                 struct nx_append_entry *copy, struct nx_error *err) {
    if (entry->person.len == 0 && entry->person_key.len == 0) {
        return NX_OK;
    }
    copy->person = nx_arena_copy(&append->arena, entry->person);
    copy->person_key = nx_arena_copy(&append->arena, entry->person_key);
    copy->clear = nx_arena_copy(&append->arena, entry->clear);
    if (copy->person.ptr == NULL || copy->person_key.ptr == NULL || copy->clear.ptr == NULL) {
        return nx_fail_memory(err);
    }
    append->is_personal = true;
    return NX_OK;
}

/* The record's strings lie in one piece, in the order in which they are written. */
enum nx_status nx_append_add(struct nx_append *append, const struct nx_append_entry *entry,
                             struct nx_error *err) {
    NX_TRY(check_entry(append, entry, err));
    const size_t key_size = entry->dedup_key.len > 0 ? NX_DEDUP_KEY_SIZE : 0;
    const size_t body_size = key_size + entry->subject.len + entry->headers.len + entry->payload.len;
    char *bytes = nx_arena_alloc_raw(&append->arena, entry->stream.len + body_size);
    if (bytes == NULL) {
        return append->arena.size + body_size > NX_APPEND_SIZE_MAX
                   ? nx_fail_kind(err, NX_KIND_TOO_LARGE, "an append takes at most %d bytes",
                                  NX_APPEND_SIZE_MAX)
                   : nx_fail_memory(err);
    }
    struct nx_append_entry *copy = &append->entries[append->entry_count];
    *copy = (struct nx_append_entry){ .says_sequence = entry->says_sequence };
    if (key_size > 0) {
        /* A digest, so that nobody can make up another key that passes for this one. */
        const struct nx_digest digest = nx_digest_of(entry->dedup_key);
        memcpy(bytes, digest.bytes, NX_DEDUP_KEY_SIZE);
    }
    const struct nx_str parts[] = { entry->subject, entry->headers, entry->payload, entry->stream };
    struct nx_str *const copies[] = { &copy->subject, &copy->headers, &copy->payload, &copy->stream };
    size_t at = key_size;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].len > 0) {
            memcpy(bytes + at, parts[i].ptr, parts[i].len);
        }
        *copies[i] = nx_str_of(bytes + at, parts[i].len);
        at += parts[i].len;
    }
    copy->dedup_key = nx_str_of(bytes, key_size);
    NX_TRY(add_person(append, entry, copy, err));
    append->entry_count++;
    return NX_OK;
}

enum nx_status nx_append_add_condition(struct nx_append *append, const struct nx_append_condition *condition,
                                       struct nx_error *err) {
    if (append->condition_count >= append->condition_count_max) {
        return nx_fail_kind(err, NX_KIND_TOO_LARGE, "this append has room for %zu conditions",
                            append->condition_count_max);
    }
    if (!nx_stream_name_is_valid(condition->stream) ||
        (condition->subject.len > 0 && !nx_subject_is_valid(condition->subject))) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' cannot be a subject of a stream",
                       NX_STR_ARG(nx_str_slice(condition->subject, 0, 128)));
    }
    struct nx_append_condition copy = { .last_sequence = condition->last_sequence };
    copy.stream = nx_arena_copy(&append->arena, condition->stream);
    copy.subject = nx_arena_copy(&append->arena, condition->subject);
    if (copy.stream.ptr == NULL || copy.subject.ptr == NULL) {
        return nx_fail_memory(err);
    }
    append->conditions[append->condition_count++] = copy;
    return NX_OK;
}

static void release_read(struct nx_message *message) {
    nx_read_free((struct nx_read *)message);
}

enum nx_status nx_read_new(enum nx_read_kind kind, struct nx_read **read_out, struct nx_error *err) {
    struct nx_read *read = calloc(1, sizeof *read);
    if (read == NULL) {
        return nx_fail_memory(err);
    }
    read->message.kind = NX_FABRIC_READ;
    read->message.release = release_read;
    read->kind = kind;
    nx_arena_init(&read->arena, READ_ARENA_SIZE_MAX);
    *read_out = read;
    return NX_OK;
}

void nx_read_free(struct nx_read *read) {
    if (read == NULL) {
        return;
    }
    nx_arena_fini(&read->arena);
    free(read);
}

static void release_define(struct nx_message *message) {
    free(message);
}

enum nx_status nx_define_new(struct nx_str stream, struct nx_define **define_out, struct nx_error *err) {
    if (!nx_stream_name_is_jetstream(stream) || !nx_stream_name_is_valid(stream)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' is no stream that can be defined",
                       NX_STR_ARG(nx_str_slice(stream, 0, 64)));
    }
    struct nx_define *define = calloc(1, sizeof *define);
    if (define == NULL) {
        return nx_fail_memory(err);
    }
    define->message.kind = NX_FABRIC_DEFINE;
    define->message.release = release_define;
    memcpy(define->stream, stream.ptr, stream.len);
    *define_out = define;
    return NX_OK;
}

static void release_erase(struct nx_message *message) {
    struct nx_erase *erase = (struct nx_erase *)message;
    explicit_bzero(erase->person, sizeof erase->person);
    free(erase);
}

enum nx_status nx_person_check(struct nx_str person, struct nx_error *err) {
    if (person.len == 0 || person.len > NX_PERSON_SIZE_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "the id of a person has %zu bytes: expected 1 to %d",
                       person.len, NX_PERSON_SIZE_MAX);
    }
    return nx_str_find_byte(person, '\0') == SIZE_MAX
               ? NX_OK
               : nx_fail(err, NX_INVALID_ARGUMENT, "the id of a person has a NUL in it");
}

enum nx_status nx_erase_new(struct nx_str person, struct nx_erase **erase_out, struct nx_error *err) {
    NX_TRY(nx_person_check(person, err));
    struct nx_erase *erase = calloc(1, sizeof *erase);
    if (erase == NULL) {
        return nx_fail_memory(err);
    }
    erase->message.kind = NX_FABRIC_ERASE;
    erase->message.release = release_erase;
    memcpy(erase->person, person.ptr, person.len);
    *erase_out = erase;
    return NX_OK;
}

struct nx_str nx_record_withheld(const struct nx_record *record) {
    struct nx_str reason = NX_STR_EMPTY;
    if (nx_record_is_sealed(record)) {
        (void)nx_headers_find(record->headers, NX_STR(NX_WITHHELD_HEADER), &reason);
    }
    return reason;
}
