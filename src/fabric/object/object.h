/* src/fabric/object/object.h: large values by their digest, in the subjects of NATS's object store: bucket B
 * is the stream OBJ_B, an object's bytes are records $O.B.C.<id> of 128 KiB each, and $O.B.M.<name> is a JSON
 * record that says which they are.
 *
 * An object is named by the SHA-256 of its bytes, so putting it twice stores it once, and what is read can be
 * checked. The id of its chunks is that digest too. Putting is one atomic append, so an object is there as a
 * whole or not at all; the limit of an append is the limit of an object. Pure functions. */
#pragma once

#include "codec/digest.h"
#include "fabric/fabric.h"

enum {
    NX_OBJECT_CHUNK_SIZE = 128 * 1024,
    NX_OBJECT_SIZE_MAX = 7 * 1024 * 1024, /* bytes; with names and headers it fits into one append */
};

/** An append that stores the object; it is skipped by the log where the object is stored already (then every
 * entry of the answer is a duplicate or the condition fails with kind wrong-last-sequence: both mean that it
 * is there). Ownership: the caller's. Errors: NX_INVALID_ARGUMENT (bucket; kind too-large),
 * NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_object_put(struct nx_str bucket, struct nx_str bytes,
                                           struct nx_digest *digest_out, struct nx_append **append_out,
                                           struct nx_error *err);
/** A question for the object's bytes: a scan of its chunks. Ownership: the caller's.
 * Errors: NX_INVALID_ARGUMENT, NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_object_get(struct nx_str bucket, const struct nx_digest *digest,
                                           struct nx_read **read_out, struct nx_error *err);
/** Put the answered question's chunks together and check them; appended to `bytes`.
 * Errors:    NX_NOT_FOUND   no such object
 *            NX_DATA_LOSS   its bytes are not those of the digest
 *            NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_object_take(const struct nx_read *read, const struct nx_digest *digest,
                                            struct nx_buf *bytes, struct nx_error *err);
