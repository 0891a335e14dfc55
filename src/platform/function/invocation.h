/* src/platform/function/invocation.h: from a finished call to the records it becomes.
 *
 * One append, all or nothing: the invocation in INVOCATIONS, what was published in EVENTS, what was stored in
 * KV_<function>, the dead letter in DLQ when it was the last attempt, and as conditions the keys that were
 * read. A tape or an output that is too large for the record is an object in the same append, in a bucket
 * that goes with INVOCATIONS: it is there with its record, and leaves with it. One that is too large even for
 * that was put into the store before, by its digest, and stays. Threads: none; pure but for the random and
 * the clock that it is given.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "codec/cloudevents.h"
#include "codec/traceparent.h"
#include "codec/ulid.h"
#include "fabric/fabric.h"
#include "io/random.h"
#include "platform/function/task.h"
#include "sandbox/host/host.h"

/* What a call has beside its result. */
struct nx_invocation_context {
    const struct nx_task *task;
    const struct nx_call_result *result;
    struct nx_traceparent trace; /* of this call: its own span */
    struct nx_ulid_generator *ulids;
    struct nx_random random;
    int64_t wall_ns;
};

/** Make the append; large tapes and outputs are still to be added to it. Effects and conditions are in it
 * only if the call succeeded. Ownership: the caller owns `*append_out`; everything is copied into it. Errors:
 * NX_INVALID_ARGUMENT    an effect cannot be a record (its type, its size) NX_RESOURCE_EXHAUSTED  out of
 * memory */
NX_MUST_CHECK enum nx_status nx_invocation_to_append(const struct nx_invocation_context *context,
                                                     struct nx_append **append_out, struct nx_error *err);

#define NX_OBJECTS_BUCKET NX_STR("nexus") /* modules, and tapes that no append takes: by digest, for good */
#define NX_CALL_OBJECTS_BUCKET NX_STR("calls") /* large tapes and outputs: they go with INVOCATIONS */
enum {
    NX_INVOCATION_INLINE_SIZE_MAX = 128 * 1024,      /* bytes of a tape or output in the record itself */
    NX_INVOCATION_BESIDE_SIZE_MAX = 4 * 1024 * 1024, /* bytes of one in the record's append */
};
/** True: it stays in the record; false: it is an object. */
static inline bool nx_invocation_is_inline(struct nx_str blob) {
    return blob.len <= NX_INVOCATION_INLINE_SIZE_MAX;
}

/** Whether an append of nx_invocation_to_append() takes an object of so many bytes beside its records. */
bool nx_invocation_has_room(const struct nx_append *append, size_t size);

/** How the bytes of an output begin when it is stored as an object and about a person: the digest of the
 * call's tape, in which there is a random seed. So nobody can find out by the object's name what they guess.
 */
struct nx_digest nx_invocation_output_salt(struct nx_str tape);

/** The entry that is the invocation itself; borrowed from an append of nx_invocation_to_append(). */
const struct nx_append_entry *nx_invocation_entry(const struct nx_append *append);

enum { NX_EVENT_INPUT_SIZE_MAX = 4 * NX_RECORD_SIZE_MAX }; /* bytes; base64 and escapes make data longer */

/* An event, on its way to a guest's standard input. */
struct nx_event_input {
    const struct nx_record *record; /* of EVENTS */
    bool is_data;                   /* its data alone, not the whole CloudEvent */
    bool is_live_replay;            /* the guest sees `isreplay` and `originaltime` */
};
/** Read the event of a record and append what the guest reads of it. The same record gives the same bytes,
 * now and in any replay. Ownership: the strings of `*event_out` are borrowed from the record and `arena`.
 * Errors:    NX_DATA_LOSS  the record is no event; NX_INVALID_ARGUMENT too-large; NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_event_to_input(const struct nx_event_input *input, struct nx_arena *arena,
                                               struct nx_cloudevent *event_out, struct nx_buf *out,
                                               struct nx_error *err);

/** The fingerprints by which effects are compared. */
void nx_publish_fingerprint(const struct nx_call_publish *publish,
                            uint8_t fingerprint_out[NX_FINGERPRINT_SIZE]);
void nx_response_fingerprint(const struct nx_call_response *response,
                             uint8_t fingerprint_out[NX_FINGERPRINT_SIZE]);
void nx_kv_write_fingerprint(const struct nx_call_kv_write *write,
                             uint8_t fingerprint_out[NX_FINGERPRINT_SIZE]);

/** Append "KV_<function>" and "$KV.<function>.<key>"; a key's bytes that no subject may have are
 * percent-encoded. */
void nx_function_keys_stream(struct nx_buf *out, struct nx_str function);
void nx_function_key_subject(struct nx_buf *out, struct nx_str function, struct nx_str key);
