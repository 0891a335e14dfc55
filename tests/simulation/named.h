/* tests/simulation/named.h: whether what an invocation names can be read: its module, its tape, its output.
 *
 * Header only, for dispatch_sim.c. Reads by nx_fabric_read_now(), as a command does. */
#pragma once

#include "codec/invocation.h"
#include "fabric/object/object.h"
#include "platform/function/invocation.h"

static bool can_get(struct nx_fabric *fabric, struct nx_str bucket, struct nx_str otherwise,
                    const struct nx_digest *digest, uint64_t *size_out) {
    struct nx_object_get get;
    bool is_found = true;
    NX_AUTO(nx_buf) bytes;
    nx_buf_init(&bytes, NX_OBJECT_SIZE_MAX);
    nx_object_get_init(&get, bucket, digest, &bytes);
    get.otherwise = otherwise;
    while (is_found) {
        NX_AUTO(nx_read) *read = NULL;
        if (nx_object_get_next(&get, &read, NULL) != NX_OK || read == NULL) {
            break;
        }
        nx_fabric_read_now(fabric, read);
        is_found = nx_object_get_take(&get, read, NULL) == NX_OK;
    }
    *size_out = bytes.len;
    return is_found && get.is_done;
}

static bool can_get_blob(struct nx_fabric *fabric, const struct nx_invocation_blob *blob) {
    uint64_t size = 0;
    return can_get(fabric, NX_CALL_OBJECTS_BUCKET, NX_OBJECTS_BUCKET, &blob->digest, &size) &&
           size >= blob->size; /* about a person it begins with a salt */
}

/* NULL: all of it is there; else what is not. */
static const char *missing_of(struct nx_fabric *fabric, const struct nx_record *record) {
    NX_AUTO(nx_arena) arena;
    struct nx_invocation invocation;
    uint64_t size = 0;
    nx_arena_init(&arena, 1024 * 1024);
    if (nx_invocation_decode(record->payload, &arena, &invocation, NULL) != NX_OK) {
        return "itself";
    }
    if (!can_get(fabric, NX_OBJECTS_BUCKET, NX_STR_EMPTY, &invocation.module_digest, &size)) {
        return "module";
    }
    if ((invocation.flags & NX_INVOCATION_TAPE_STORED) != 0 && !can_get_blob(fabric, &invocation.tape)) {
        return "tape";
    }
    if ((invocation.flags & NX_INVOCATION_OUTPUT_STORED) != 0 && !can_get_blob(fabric, &invocation.output)) {
        return "output";
    }
    return NULL;
}
