/* src/fabric/kv/kv.h: keys and values as NATS keeps them: bucket B is the stream KV_B, a key's value is the
 * newest record with the subject $KV.B.<key>, and a delete is a record with the header KV-Operation: DEL.
 *
 * Keys are of [A-Za-z0-9_=./-], with no empty token between dots; a caller whose keys may be any bytes
 * percent-encodes them first. Reading is NX_READ_LAST, watching a scan that waits. Pure functions. */
#pragma once

#include "fabric/fabric.h"

enum { NX_KV_BUCKET_SIZE_MAX = 200 }; /* bytes of a bucket's name */

/** True for names that a bucket may have: as a stream's. */
bool nx_kv_bucket_is_valid(struct nx_str bucket);
/** True when these bytes can be a key. */
bool nx_kv_key_is_valid(struct nx_str key);
/** The bucket's stream, allocated from the arena; ptr NULL without memory. */
struct nx_str nx_kv_stream(struct nx_arena *arena, struct nx_str bucket);
/** The key's subject, allocated from the arena; ptr NULL without memory. */
struct nx_str nx_kv_subject(struct nx_arena *arena, struct nx_str bucket, struct nx_str key);
/** Add the key's new value to an append. Errors: as nx_append_add(), NX_INVALID_ARGUMENT for a bad key */
NX_MUST_CHECK enum nx_status nx_kv_put(struct nx_append *append, struct nx_str bucket, struct nx_str key,
                                       struct nx_str value, struct nx_error *err);
/** Add the key's end to an append. Errors: as nx_kv_put() */
NX_MUST_CHECK enum nx_status nx_kv_delete(struct nx_append *append, struct nx_str bucket, struct nx_str key,
                                          struct nx_error *err);
/** The append happens only if the key is as it was read: its record's sequence, 0 for none. */
NX_MUST_CHECK enum nx_status nx_kv_expect(struct nx_append *append, struct nx_str bucket, struct nx_str key,
                                          uint64_t sequence, struct nx_error *err);
/** A question for the key's value. Ownership: the caller's. Errors: NX_RESOURCE_EXHAUSTED,
 * NX_INVALID_ARGUMENT */
NX_MUST_CHECK enum nx_status nx_kv_get(struct nx_str bucket, struct nx_str key, struct nx_read **read_out,
                                       struct nx_error *err);
/** True when the record is a value, false when it says that the key was deleted. */
bool nx_kv_is_value(const struct nx_record *record);
