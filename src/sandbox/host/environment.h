/* src/sandbox/host/environment.h: the guest's environment, from the manifest and the call's identity, and its
 * way onto the tape and back. Most guests never ask for it, so its text is made when one does. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "codec/tape_format.h"
#include "sandbox/host/host.h"

struct nx_environment {
    bool has_trace;
    bool is_replay;
    bool is_complete; /* ours stand behind the manifest's in `block` */
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t trace_flags;
    int64_t original_time_ns;
    struct nx_buf event_id;
    struct nx_buf block; /* "NAME=value" and a NUL, each */
    size_t count;
    size_t manifest_count; /* the first ones of them */
};

/** Errors: NX_RESOURCE_EXHAUSTED (out of memory), NX_INVALID_ARGUMENT: too many or too large entries, or one
 * with a NUL in it */
NX_MUST_CHECK enum nx_status nx_environment_init(struct nx_environment *environment,
                                                 const struct nx_call_env *env, size_t env_count,
                                                 const struct nx_call_identity *identity,
                                                 struct nx_error *err);
/** As above; NX_DATA_LOSS where the tape holds what could not have been recorded. */
NX_MUST_CHECK enum nx_status nx_environment_init_of_tape(struct nx_environment *environment,
                                                         const struct nx_tape_header *header,
                                                         struct nx_error *err);
/** Add ours to the block, before it is given to the guest; false when there is no memory. */
bool nx_environment_complete(struct nx_environment *environment);
/** Fill in the header's part; its strings borrow from the environment. Adds flags. */
void nx_environment_to_tape(const struct nx_environment *environment, struct nx_tape_header *header);
void nx_environment_fini(struct nx_environment *environment);
