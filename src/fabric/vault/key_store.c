#include "fabric/vault/key_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "codec/digest.h"
#include "storage/wal/crc32c.h"

enum {
    CHECKED_SIZE = NX_KEY_SLOT_SIZE - sizeof(uint32_t), /* bytes that a slot's checksum covers */
    CHUNK_SLOTS = 4096,                                 /* read or written at once */
    TABLE_SIZE_MIN = 64,
    STATE_AT = 0,
    ID_AT = 8,
    PERSON_AT = 24,
    KEY_AT = 40,
    CREATED_AT = 72,
    ERASED_AT = 80,
    SECRET_AT = 8, /* in the header */
};

static const char magic[] = "nxkeys 1";

/* ---- slots ---- */

static void put_checksum(uint8_t slot[NX_KEY_SLOT_SIZE]) {
    const uint32_t crc = nx_crc32c(0, slot, CHECKED_SIZE);
    memcpy(slot + CHECKED_SIZE, &crc, sizeof crc);
}

static bool has_checksum(const uint8_t slot[NX_KEY_SLOT_SIZE]) {
    uint32_t crc;
    memcpy(&crc, slot + CHECKED_SIZE, sizeof crc);
    return crc == nx_crc32c(0, slot, CHECKED_SIZE);
}

static void encode(const struct nx_person_key *key, uint8_t slot_out[NX_KEY_SLOT_SIZE]) {
    memset(slot_out, 0, NX_KEY_SLOT_SIZE);
    slot_out[STATE_AT] = (uint8_t)key->state;
    memcpy(slot_out + ID_AT, key->id, sizeof key->id);
    memcpy(slot_out + PERSON_AT, key->person, sizeof key->person);
    memcpy(slot_out + KEY_AT, key->key, sizeof key->key);
    memcpy(slot_out + CREATED_AT, &key->created_ns, sizeof key->created_ns);
    memcpy(slot_out + ERASED_AT, &key->erased_ns, sizeof key->erased_ns);
    put_checksum(slot_out);
}

static void decode(const uint8_t slot[NX_KEY_SLOT_SIZE], struct nx_person_key *key_out) {
    *key_out = (struct nx_person_key){ .state = NX_KEY_UNREADABLE };
    if (!has_checksum(slot) || (slot[STATE_AT] != NX_KEY_LIVE && slot[STATE_AT] != NX_KEY_ERASED)) {
        return;
    }
    key_out->state = slot[STATE_AT];
    memcpy(key_out->id, slot + ID_AT, sizeof key_out->id);
    memcpy(key_out->person, slot + PERSON_AT, sizeof key_out->person);
    memcpy(key_out->key, slot + KEY_AT, sizeof key_out->key);
    memcpy(&key_out->created_ns, slot + CREATED_AT, sizeof key_out->created_ns);
    memcpy(&key_out->erased_ns, slot + ERASED_AT, sizeof key_out->erased_ns);
}

/* ---- tables: both hold slots by bytes that are random already ---- */

static size_t first_place(const struct nx_key_store *store, const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return (size_t)value & (store->table_size - 1);
}

static void enter(const struct nx_key_store *store, uint32_t *table, const uint8_t *bytes, size_t slot) {
    size_t at = first_place(store, bytes);
    while (table[at] != 0) {
        at = (at + 1) & (store->table_size - 1);
    }
    table[at] = (uint32_t)slot + 1;
}

static void enter_key(const struct nx_key_store *store, size_t slot) {
    const struct nx_person_key *key = &store->keys[slot];
    if (key->state != NX_KEY_UNREADABLE) {
        enter(store, store->by_id, key->id, slot);
    }
    if (key->state == NX_KEY_LIVE) {
        enter(store, store->by_person, key->person, slot);
    }
}

static enum nx_status make_tables(struct nx_key_store *store, size_t size, struct nx_error *err) {
    uint32_t *by_id = calloc(size, sizeof *by_id);
    uint32_t *by_person = calloc(size, sizeof *by_person);
    if (by_id == NULL || by_person == NULL) {
        free(by_id);
        free(by_person);
        return nx_fail_memory(err);
    }
    free(store->by_id);
    free(store->by_person);
    store->by_id = by_id;
    store->by_person = by_person;
    store->table_size = size;
    for (size_t i = 0; i < store->count; i++) {
        enter_key(store, i);
    }
    return NX_OK;
}

static struct nx_person_key *look_up(const struct nx_key_store *store, const uint8_t *id) {
    if (store->table_size == 0) {
        return NULL;
    }
    for (size_t at = first_place(store, id); store->by_id[at] != 0; at = (at + 1) & (store->table_size - 1)) {
        struct nx_person_key *key = &store->keys[store->by_id[at] - 1];
        if (memcmp(key->id, id, sizeof key->id) == 0) {
            return key;
        }
    }
    return NULL;
}

static struct nx_person_key *look_up_person(const struct nx_key_store *store, const uint8_t *person) {
    if (store->table_size == 0) {
        return NULL;
    }
    for (size_t at = first_place(store, person); store->by_person[at] != 0;
         at = (at + 1) & (store->table_size - 1)) {
        struct nx_person_key *key = &store->keys[store->by_person[at] - 1];
        if (key->state == NX_KEY_LIVE && memcmp(key->person, person, sizeof key->person) == 0) {
            return key;
        }
    }
    return NULL;
}

/* Old copies of the keys are overwritten, so no realloc(). */
static enum nx_status add_key(struct nx_key_store *store, const struct nx_person_key *key,
                              struct nx_error *err) {
    if (store->count == NX_KEY_STORE_COUNT_MAX) {
        return nx_fail(err, NX_RESOURCE_EXHAUSTED,
                       "there are %d keys of people, which is the most there may be", NX_KEY_STORE_COUNT_MAX);
    }
    if (store->count == store->capacity) {
        const size_t capacity = store->capacity == 0 ? 64 : store->capacity * 2;
        struct nx_person_key *keys = calloc(capacity, sizeof *keys);
        if (keys == NULL) {
            return nx_fail_memory(err);
        }
        if (store->count > 0) {
            memcpy(keys, store->keys, store->count * sizeof *keys);
            explicit_bzero(store->keys, store->count * sizeof *keys);
        }
        free(store->keys);
        store->keys = keys;
        store->capacity = capacity;
    }
    if (2 * (store->count + 1) > store->table_size) {
        NX_TRY(make_tables(store, store->table_size == 0 ? TABLE_SIZE_MIN : 2 * store->table_size, err));
    }
    store->keys[store->count] = *key;
    enter_key(store, store->count);
    store->count++;
    return NX_OK;
}

/* ---- the file ---- */

static uint64_t offset_of(size_t slot) {
    return (uint64_t)(slot + 1) * NX_KEY_SLOT_SIZE;
}

static enum nx_status read_header(struct nx_key_store *store, struct nx_error *err) {
    uint8_t header[NX_KEY_SLOT_SIZE] = { 0 };
    size_t len = 0;
    NX_TRY(nx_file_read_at(store->file, 0, header, sizeof header, &len, err));
    if (memcmp(header, magic, sizeof magic - 1) != 0) {
        return nx_fail_kind(err, NX_KIND_FORMAT_VERSION, "'%s' is not a file of keys of format 1",
                            store->path);
    }
    if (len < sizeof header || !has_checksum(header)) {
        return nx_fail(err, NX_DATA_LOSS, "'%s': its header is damaged", store->path);
    }
    memcpy(store->secret, header + SECRET_AT, sizeof store->secret);
    return NX_OK;
}

/* Take in the slots behind those that are known. A last one that is cut short is none. */
static enum nx_status read_slots(struct nx_key_store *store, struct nx_error *err) {
    uint64_t size = 0;
    NX_AUTO_FREE uint8_t *chunk = calloc(CHUNK_SLOTS, NX_KEY_SLOT_SIZE);
    if (chunk == NULL) {
        return nx_fail_memory(err);
    }
    NX_TRY(nx_file_size(store->file, &size, err));
    while (offset_of(store->count + 1) <= size) {
        size_t len = 0;
        NX_TRY(nx_file_read_at(store->file, offset_of(store->count), chunk,
                               (size_t)CHUNK_SLOTS * NX_KEY_SLOT_SIZE, &len, err));
        for (size_t at = 0; at + NX_KEY_SLOT_SIZE <= len; at += NX_KEY_SLOT_SIZE) {
            struct nx_person_key key;
            decode(chunk + at, &key);
            store->unreadable_count += key.state == NX_KEY_UNREADABLE;
            NX_TRY(add_key(store, &key, err));
        }
        explicit_bzero(chunk, len);
        if (len < NX_KEY_SLOT_SIZE) {
            break;
        }
    }
    store->secured_count = store->count;
    return NX_OK;
}

/* A process that was killed, or whose sync failed, may have left what we see in memory alone, not on disk.
 * Before anything is sealed with a key that was found, it is written again where it lies, and so are the
 * names. */
static enum nx_status secure_found(struct nx_key_store *store, struct nx_error *err) {
    uint64_t size = 0;
    NX_AUTO_FREE uint8_t *chunk = calloc(CHUNK_SLOTS, NX_KEY_SLOT_SIZE);
    if (chunk == NULL) {
        return nx_fail_memory(err);
    }
    NX_TRY(nx_file_size(store->file, &size, err));
    for (uint64_t at = 0; at < size;) {
        size_t len = 0;
        NX_TRY(nx_file_read_at(store->file, at, chunk, (size_t)CHUNK_SLOTS * NX_KEY_SLOT_SIZE, &len, err));
        if (len == 0) {
            break;
        }
        const struct nx_str bytes = nx_str_of(chunk, len);
        const enum nx_status status = nx_file_write_at(store->file, at, &bytes, 1, err);
        explicit_bzero(chunk, len);
        NX_TRY(status);
        at += len;
    }
    NX_TRY(nx_file_sync(store->file, err));
    NX_TRY(nx_disk_sync_directory(store->disk, store->directory, err));
    return nx_disk_sync_directory(store->disk, store->data_directory, err);
}

static enum nx_status load(struct nx_key_store *store, struct nx_error *err) {
    if (store->is_loaded) {
        return NX_OK;
    }
    if (store->file == NULL) {
        const enum nx_status status = nx_file_open(
            store->disk, store->path, store->read_only ? NX_FILE_READ : NX_FILE_WRITE, &store->file, err);
        if (status == NX_NOT_FOUND) {
            return NX_OK; /* nobody was named yet */
        }
        NX_TRY(status);
    }
    NX_TRY(read_header(store, err));
    NX_TRY(read_slots(store, err));
    if (!store->read_only && !store->is_secured) {
        const enum nx_status status = secure_found(store, err);
        store->is_found_unsafe = status != NX_OK; /* it can be read all the same */
        store->is_frozen = store->is_frozen || status != NX_OK;
        store->is_secured = true;
    }
    store->is_loaded = true;
    return NX_OK;
}

/* The file with its header is there whole or not at all. */
static enum nx_status create(struct nx_key_store *store, struct nx_error *err) {
    uint8_t header[NX_KEY_SLOT_SIZE] = { 0 };
    memcpy(header, magic, sizeof magic - 1);
    nx_random_fill(&store->random, header + SECRET_AT, sizeof store->secret);
    put_checksum(header);
    enum nx_status status = nx_disk_make_directory(store->disk, store->directory, err);
    if (status == NX_OK) {
        status = nx_disk_write_file(store->disk, store->path, nx_str_of(header, sizeof header), err);
    }
    if (status == NX_UNAVAILABLE) { /* what is there after a failure is secured by load(), at the next try */
        const struct nx_error why = err == NULL ? (struct nx_error){ 0 } : *err;
        return nx_fail_kind(err, NX_KIND_LOG_FROZEN, "no key for a person can be kept: %.300s", why.message);
    }
    return status == NX_OK ? load(store, err) : status;
}

static enum nx_status check_writable(const struct nx_key_store *store, struct nx_error *err) {
    if (store->is_frozen) {
        (void)nx_fail_kind(err, NX_KIND_LOG_FROZEN,
                           "'%s' could not be written: nothing is known about it until it is read again",
                           store->path);
        nx_hint(err, "look at the disk, then start the server again");
        return NX_UNAVAILABLE;
    }
    nx_assert(!store->read_only);
    return NX_OK;
}

/* ---- the interface ---- */

enum nx_status nx_key_store_init(struct nx_key_store *store, struct nx_disk *disk,
                                 const struct nx_random *random, const char *data_directory, bool read_only,
                                 struct nx_error *err) {
    *store = (struct nx_key_store){ .disk = disk, .random = *random, .read_only = read_only };
    if (asprintf(&store->directory, "%s/keys", data_directory) < 0) {
        store->directory = NULL;
        return nx_fail_memory(err);
    }
    store->data_directory = strdup(data_directory);
    if (store->data_directory == NULL) {
        return nx_fail_memory(err);
    }
    if (asprintf(&store->path, "%s/persons", store->directory) < 0) {
        store->path = NULL;
        return nx_fail_memory(err);
    }
    return NX_OK;
}

void nx_key_store_fini(struct nx_key_store *store) {
    if (store->keys != NULL) {
        explicit_bzero(store->keys, store->capacity * sizeof *store->keys);
    }
    nx_file_close(store->file);
    free(store->keys);
    free(store->by_id);
    free(store->by_person);
    free(store->directory);
    free(store->data_directory);
    free(store->path);
    *store = (struct nx_key_store){ 0 };
}

static void name_person(const struct nx_key_store *store, struct nx_str person,
                        uint8_t name_out[NX_KEY_ID_SIZE]) {
    const struct nx_str parts[] = { nx_str_of(store->secret, sizeof store->secret), person };
    const struct nx_digest digest = nx_digest_of_parts(parts, sizeof parts / sizeof parts[0]);
    memcpy(name_out, digest.bytes, NX_KEY_ID_SIZE);
}

enum nx_status nx_key_store_obtain(struct nx_key_store *store, struct nx_str person, int64_t now_ns,
                                   const struct nx_person_key **key_out, struct nx_error *err) {
    struct nx_person_key key = { .created_ns = now_ns, .state = NX_KEY_LIVE };
    NX_TRY(load(store, err));
    if (!store->is_loaded) {
        NX_TRY(check_writable(store, err));
        NX_TRY(create(store, err));
    }
    name_person(store, person, key.person);
    *key_out = look_up_person(store, key.person);
    /* What is sealed with a key that may not be there at the next start would be lost. */
    if (*key_out != NULL && !(*key_out)->is_doubtful && !(store->is_frozen && store->is_found_unsafe)) {
        return NX_OK;
    }
    NX_TRY(check_writable(store, err));
    nx_random_fill(&store->random, key.id, sizeof key.id);
    nx_random_fill(&store->random, key.key, sizeof key.key);
    const enum nx_status status = add_key(store, &key, err);
    explicit_bzero(&key, sizeof key);
    if (status == NX_OK) {
        *key_out = &store->keys[store->count - 1];
    }
    return status;
}

/* Another process may write the file that we only read: what it has erased, we must not know any more. */
static enum nx_status look_again(struct nx_key_store *store, const uint8_t *id, struct nx_error *err) {
    struct nx_person_key *key = look_up(store, id);
    uint8_t slot[NX_KEY_SLOT_SIZE];
    size_t len = 0;
    if (key == NULL) {
        return read_slots(store, err);
    }
    NX_TRY(
        nx_file_read_at(store->file, offset_of((size_t)(key - store->keys)), slot, sizeof slot, &len, err));
    if (len == sizeof slot) {
        decode(slot, key);
    }
    explicit_bzero(slot, sizeof slot);
    return NX_OK;
}

enum nx_status nx_key_store_find(struct nx_key_store *store, const uint8_t *id,
                                 const struct nx_person_key **key_out, struct nx_error *err) {
    *key_out = NULL;
    NX_TRY(load(store, err));
    if (store->read_only && store->is_loaded) {
        NX_TRY(look_again(store, id, err));
    }
    *key_out = look_up(store, id);
    return NX_OK;
}

static enum nx_status write_new(struct nx_key_store *store, struct nx_error *err) {
    NX_AUTO_FREE uint8_t *chunk = calloc(CHUNK_SLOTS, NX_KEY_SLOT_SIZE);
    if (chunk == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t from = store->secured_count; from < store->count; from += CHUNK_SLOTS) {
        const size_t left = store->count - from;
        const size_t count = left < CHUNK_SLOTS ? left : CHUNK_SLOTS;
        for (size_t i = 0; i < count; i++) {
            encode(&store->keys[from + i], chunk + i * NX_KEY_SLOT_SIZE);
        }
        const struct nx_str bytes = nx_str_of(chunk, count * NX_KEY_SLOT_SIZE);
        const enum nx_status status = nx_file_write_at(store->file, offset_of(from), &bytes, 1, err);
        explicit_bzero(chunk, bytes.len);
        NX_TRY(status);
    }
    return nx_file_sync(store->file, err);
}

enum nx_status nx_key_store_secure(struct nx_key_store *store, struct nx_error *err) {
    if (store->secured_count == store->count) {
        return NX_OK;
    }
    const enum nx_status status = write_new(store, err);
    if (status == NX_OK) {
        store->secured_count = store->count;
        return NX_OK;
    }
    /* Some may be on disk: the next start finds out. Here they are forgotten; the tables, which name slots
     * that are none any more, are made again, in the memory that they have. */
    store->is_frozen = store->is_frozen || status != NX_RESOURCE_EXHAUSTED; /* no room: later there may be */
    store->count = store->secured_count;
    memset(store->by_id, 0, store->table_size * sizeof *store->by_id);
    memset(store->by_person, 0, store->table_size * sizeof *store->by_person);
    for (size_t i = 0; i < store->count; i++) {
        enter_key(store, i);
    }
    return store->is_frozen ? check_writable(store, err) : nx_wrap(err, status, "new keys of people");
}

/* What cannot be read may be what is left of an erasure that was cut off: none of it stays. */
static enum nx_status clear_unreadable(struct nx_key_store *store, struct nx_error *err) {
    static const uint8_t zeros[NX_KEY_SLOT_SIZE];
    const struct nx_str slot = nx_str_of(zeros, sizeof zeros);
    if (store->unreadable_count == 0) {
        return NX_OK;
    }
    NX_TRY(check_writable(store, err));
    for (size_t i = 0; i < store->secured_count; i++) {
        if (store->keys[i].state == NX_KEY_UNREADABLE) {
            NX_TRY(nx_file_write_at(store->file, offset_of(i), &slot, 1, err));
        }
    }
    store->unreadable_count = 0;
    const enum nx_status status = nx_file_sync(store->file, err);
    store->is_frozen = store->is_frozen || status != NX_OK;
    return status;
}

enum nx_status nx_key_store_erase(struct nx_key_store *store, struct nx_str person, int64_t now_ns,
                                  const struct nx_person_key **key_out, struct nx_error *err) {
    uint8_t name[NX_KEY_ID_SIZE];
    uint8_t bytes[NX_KEY_SLOT_SIZE];
    NX_TRY(load(store, err));
    NX_TRY(clear_unreadable(store, err));
    name_person(store, person, name);
    struct nx_person_key *key = look_up_person(store, name);
    if (key == NULL) {
        return nx_fail(err, NX_NOT_FOUND, "no key is kept for this person");
    }
    NX_TRY(check_writable(store, err));
    struct nx_person_key erased = { .created_ns = key->created_ns,
                                    .erased_ns = now_ns,
                                    .state = NX_KEY_ERASED };
    memcpy(erased.id, key->id, sizeof erased.id);
    encode(&erased, bytes);
    const struct nx_str slot = nx_str_of(bytes, sizeof bytes);
    enum nx_status status =
        nx_file_write_at(store->file, offset_of((size_t)(key - store->keys)), &slot, 1, err);
    if (status == NX_OK) {
        status = nx_file_sync(store->file, err);
    }
    if (status != NX_OK) {
        store->is_frozen = true;
        key->is_doubtful = true;
        (void)nx_wrap(err, status, "the key may still be on disk");
        nx_hint(err, "mend the disk, start again, and erase the person again");
        return status;
    }
    explicit_bzero(key, sizeof *key);
    *key = erased;
    *key_out = key;
    return NX_OK;
}
