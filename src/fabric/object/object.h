/* src/fabric/object/object.h: large values by their digest, in the subjects of NATS's object store: bucket B
 * is the stream OBJ_B, an object's bytes are records $O.B.C.<id> of 128 KiB each, and $O.B.M.<name> is a JSON
 * record that says which they are.
 *
 * An object is named by the SHA-256 of its bytes, so putting it twice stores it once, and what is read can be
 * checked. It is there when its M record is, which is written last, on the condition that there is none yet;
 * what an interrupted put left behind is never looked at. The M record's headers say in our words where the
 * chunks are: Nexus-Id, Nexus-Count, and Nexus-First, their first sequence, where they did not fit into one
 * append with the M record (else they stand right before it).
 * Objects of a bucket do not expire, neither by age nor for the disk budget: whatever names one must find it.
 *
 * What one record alone names can stand in the same append instead (nx_object_add), in a bucket that goes
 * with that record's stream (nx_stream_config.goes_with): then it is stored anew for each, and leaves with
 * it.
 *
 * Both ways are step functions: they say which append or read is next, and whoever drives them has it
 * answered. Plain values, one owner. */
#pragma once

#include "base/buf.h"
#include "codec/digest.h"
#include "fabric/fabric.h"

enum {
    NX_OBJECT_CHUNK_SIZE = 128 * 1024,
    NX_OBJECT_CHUNKS_PER_APPEND = 16, /* 2 MiB: a part of an append, and of a segment */
    NX_OBJECT_SIZE_MAX = 256 * 1024 * 1024,
    NX_OBJECT_ID_SIZE_MAX = NX_DIGEST_TEXT_SIZE + 17,
};

struct nx_object_put {
    struct nx_str bucket; /* borrowed until the put is done, as `bytes` */
    struct nx_str bytes;
    struct nx_digest digest;
    struct nx_str person_key; /* whom it is about, see struct nx_append_entry; borrowed; empty: nobody */
    char id[NX_OBJECT_ID_SIZE_MAX + 1]; /* of its chunks */
    size_t stored_size;                 /* bytes that are on disk */
    size_t sent_size;                   /* bytes in the append under way */
    uint64_t first;                     /* sequence of the first chunk; 0: not known */
    bool is_done;
};

/** Begin; set `person_key` afterwards where it is about a person: then its bytes are sealed, and as its
 * digest stays readable they must be such as nobody can guess. `nonce` tells this put's chunks from those of
 * another put of the same bytes. */
void nx_object_put_init(struct nx_object_put *put, struct nx_str bucket, struct nx_str bytes, uint64_t nonce);
/** The next append, to be answered and given to nx_object_put_take(); NULL: the object is stored.
 * Ownership: the caller's. Errors: NX_INVALID_ARGUMENT (bucket; kind too-large), NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_object_put_next(struct nx_object_put *put, struct nx_append **append_out,
                                                struct nx_error *err);
/** Its answer, borrowed. Errors: the append's; after one nx_object_put_next() gives the same append again. */
NX_MUST_CHECK enum nx_status nx_object_put_take(struct nx_object_put *put, const struct nx_append *append,
                                                struct nx_error *err);

/** Add the whole object to the append of the record that names it, without a condition; of the put only what
 * nx_object_put_init() and its caller have set is looked at. It takes nx_object_entry_count() entries.
 * Errors: NX_INVALID_ARGUMENT (bucket; kind too-large), NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_object_add(const struct nx_object_put *put, struct nx_append *append,
                                           struct nx_error *err);
static inline size_t nx_object_entry_count(size_t size) {
    return (size + NX_OBJECT_CHUNK_SIZE - 1) / NX_OBJECT_CHUNK_SIZE + 1;
}

struct nx_object_get {
    struct nx_str bucket;    /* borrowed until the get is done */
    struct nx_str otherwise; /* likewise: the bucket to look into when it is not there; empty: none */
    struct nx_digest digest;
    struct nx_buf *bytes; /* borrowed likewise; emptied */
    char id[NX_OBJECT_ID_SIZE_MAX + 1];
    uint64_t next; /* sequence of the next chunk */
    uint64_t end;  /* of the M record; 0: not read yet */
    bool is_done;
};

/** Begin: the object's bytes come into `bytes`. Set `otherwise` afterwards. */
void nx_object_get_init(struct nx_object_get *get, struct nx_str bucket, const struct nx_digest *digest,
                        struct nx_buf *bytes);
/** The next question, to be answered and given to nx_object_get_take(); NULL: all bytes are there and
 * checked. Ownership: the caller's. Errors: NX_INVALID_ARGUMENT, NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_object_get_next(struct nx_object_get *get, struct nx_read **read_out,
                                                struct nx_error *err);
/** Its answer, borrowed.
 * Errors:    NX_NOT_FOUND   no such object
 *            NX_DATA_LOSS   its bytes are not those of the digest
 *            NX_RESOURCE_EXHAUSTED  larger than `bytes` may become
 *            and those of the read */
NX_MUST_CHECK enum nx_status nx_object_get_take(struct nx_object_get *get, const struct nx_read *read,
                                                struct nx_error *err);
