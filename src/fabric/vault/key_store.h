/* src/fabric/vault/key_store.h: the keys of the people whom records are about, in `keys/persons` of the data
 * directory: the one file that must never be in a backup for longer than an erasure may take.
 *
 * Format 1, little-endian; a header and a slot for each key, 128 bytes each, so that none lies in two
 * sectors: header: 8 B "nxkeys 1" | 32 B secret | zeros | u32 CRC-32C of the 124 bytes before it slot:   u8
 * state (1 live, 2 erased) | 7 zeros | 16 B key id | 16 B person | 32 B key | i64 created_at | i64 erased_at
 * | zeros | u32 CRC-32C of the 124 bytes before it A person is the first half of SHA-256(secret, the id that
 * the application uses): the file names nobody. The key id is random and is what the log names. Erasing a key
 * overwrites its slot where it lies: key and person become zeros, the key id stays, so that "erased" can be
 * told from "the key is missing". Slots are never used again. A slot that cannot be read, as a crash leaves
 * one at the end, holds no key.
 *
 * A new key counts once nx_key_store_secure() has put it on disk. Threads: one owner. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "codec/sealed.h"
#include "io/file.h"
#include "io/random.h"

enum {
    NX_KEY_ID_SIZE = 16,                      /* bytes */
    NX_KEY_ID_TEXT_SIZE = 2 * NX_KEY_ID_SIZE, /* hexadecimal digits */
    NX_KEY_STORE_COUNT_MAX = 4 * 1024 * 1024, /* keys, erased ones included: 512 MiB on disk */
    NX_KEY_SLOT_SIZE = 128,                   /* bytes */
};

struct nx_person_key {
    uint8_t id[NX_KEY_ID_SIZE];
    uint8_t person[NX_KEY_ID_SIZE];
    uint8_t key[NX_SEAL_KEY_SIZE];
    int64_t created_ns;
    int64_t erased_ns;
    enum { NX_KEY_UNREADABLE, NX_KEY_LIVE, NX_KEY_ERASED } state;
    bool is_doubtful; /* its erasure failed: it opens records still, but the next start may not find it */
};

struct nx_key_store {
    struct nx_disk *disk;
    struct nx_random random;
    char *data_directory;
    char *directory; /* `keys/` */
    char *path;
    bool read_only;
    bool is_loaded;
    bool is_secured;      /* what was found in the file was written and synced again */
    bool is_found_unsafe; /* that failed: nothing may be sealed with what was found */
    bool is_frozen; /* a write or sync failed: nothing is known about the file until it is opened again */
    struct nx_file *file; /* NULL: there is none yet */
    uint8_t secret[32];
    struct nx_person_key *keys; /* by slot */
    size_t count;
    size_t capacity;
    size_t secured_count; /* of them on disk */
    size_t unreadable_count;
    uint32_t *by_id; /* open addressing: slot + 1, 0: free */
    uint32_t *by_person;
    size_t table_size; /* of both; a power of two, 0: none */
};

/** Nothing is read before a key is asked for. `data_directory` is copied.
 * Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_key_store_init(struct nx_key_store *store, struct nx_disk *disk,
                                               const struct nx_random *random, const char *data_directory,
                                               bool read_only, struct nx_error *err);
/** The memory of all keys is overwritten. Zeroed stores allowed. */
void nx_key_store_fini(struct nx_key_store *store);
/** The person's key, a new one where there is none; `*key_out` is borrowed until the next call.
 * Errors:    NX_RESOURCE_EXHAUSTED  out of memory, too many keys, or kind disk-full
 *            NX_UNAVAILABLE         the file cannot be read; kind log-frozen: it could not be written before
 *            NX_FAILED_PRECONDITION kind format-version */
NX_MUST_CHECK enum nx_status nx_key_store_obtain(struct nx_key_store *store, struct nx_str person,
                                                 int64_t now_ns, const struct nx_person_key **key_out,
                                                 struct nx_error *err);
/** The key of this id, live or erased; NULL: it is not here. Borrowed until the next call.
 * Errors: as nx_key_store_obtain() */
NX_MUST_CHECK enum nx_status nx_key_store_find(struct nx_key_store *store, const uint8_t *id,
                                               const struct nx_person_key **key_out, struct nx_error *err);
/** Put new keys on disk, all with one sync. After a failure they are forgotten; if it was not for want of
 * room, no new ones are made until the store is opened again. Errors: NX_UNAVAILABLE; kind disk-full */
NX_MUST_CHECK enum nx_status nx_key_store_secure(struct nx_key_store *store, struct nx_error *err);
/** Destroy the person's key, on disk and in memory; `*key_out` is what is left of it, borrowed. Slots that
 * cannot be read are overwritten too, whosever they were. Errors:    NX_NOT_FOUND    the person has no key
 *            NX_UNAVAILABLE  the disk refused: the key may or may not be there still */
NX_MUST_CHECK enum nx_status nx_key_store_erase(struct nx_key_store *store, struct nx_str person,
                                                int64_t now_ns, const struct nx_person_key **key_out,
                                                struct nx_error *err);
