/* src/platform/function/module_store.h: the original bytes of every module that a tape may name.
 *
 * One file a module, <data directory>/modules/<digest>.wasm, written before its first call. What is read back
 * is checked against the digest: a damaged file is as good as none. Threads: any; every call may block on the
 * disk. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "codec/digest.h"
#include "io/file.h"

/** Keep the module; one that is there already is left alone.
 * Errors: NX_UNAVAILABLE, NX_RESOURCE_EXHAUSTED  the disk refused, or is full */
NX_MUST_CHECK enum nx_status nx_module_store_put(struct nx_disk *disk, const char *directory,
                                                 const struct nx_digest *digest, struct nx_str wasm,
                                                 struct nx_error *err);
/** Append the module's bytes to `wasm_out`.
 * Errors: NX_NOT_FOUND  it is not there; NX_DATA_LOSS  it is damaged */
NX_MUST_CHECK enum nx_status nx_module_store_get(struct nx_disk *disk, const char *directory,
                                                 const struct nx_digest *digest, struct nx_buf *wasm_out,
                                                 struct nx_error *err);
