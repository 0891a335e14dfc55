/* src/sandbox/instance/environment.h: the guest's environment, from the manifest and the call's identity, and
 * its way onto the tape and back. */
#pragma once

#include "codec/tape_format.h"
#include "sandbox/host/state.h"
#include "sandbox/instance/call.h"

struct nx_environment {
    bool has_trace;
    bool is_replay;
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t trace_flags;
    int64_t original_time_ns;
    struct nx_buf event_id;
    size_t manifest_count; /* the first ones of host->environment */
};

/** Errors: NX_RESOURCE_EXHAUSTED (out of memory), NX_INVALID_ARGUMENT: too many or too large entries, or one
 * with a NUL in it */
NX_MUST_CHECK enum nx_status nx_environment_of_options(struct nx_environment *environment,
                                                       const struct nx_call_options *options,
                                                       struct nx_host *host, struct nx_error *err);
/** As above; NX_DATA_LOSS where the tape holds what could not have been recorded. */
NX_MUST_CHECK enum nx_status nx_environment_of_tape(struct nx_environment *environment,
                                                    const struct nx_tape_header *header, struct nx_host *host,
                                                    struct nx_error *err);
/** Fill in the header's part; its strings borrow from the environment and the host. Adds flags. */
void nx_environment_to_tape(const struct nx_environment *environment, const struct nx_host *host,
                            struct nx_tape_header *header);
void nx_environment_fini(struct nx_environment *environment);
