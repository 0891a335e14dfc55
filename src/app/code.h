/* src/app/code.h: from what nexus.yaml names to modules that can run. */
#pragma once

#include "app/config.h"
#include "base/error.h"
#include "fabric/fabric.h"
#include "io/file.h"
#include "sandbox/engine/engine.h"

/** Append the function's .wasm file to `wasm`.
 * Errors: NX_NOT_FOUND  it is not there; the hint says how to build it */
NX_MUST_CHECK enum nx_status nx_code_read(struct nx_disk *disk, const struct nx_function *function,
                                          struct nx_buf *wasm, struct nx_error *err);
/** Append the code that a person names: a .wasm file, or the digest of a module that ran here, which is
 * read from `fabric`, that no actor uses.
 * Errors: NX_NOT_FOUND  neither such a file nor such a module */
NX_MUST_CHECK enum nx_status nx_code_find(struct nx_disk *disk, struct nx_fabric *fabric, const char *name,
                                          struct nx_buf *wasm, struct nx_error *err);
/** An engine for the project, with the cache of compiled modules that its server uses, where that can be
 * written. Ownership: the caller ends it by nx_engine_unref(). Errors: as nx_sandbox_open() */
NX_MUST_CHECK enum nx_status nx_code_open_engine(const struct nx_config *config,
                                                 struct nx_engine **engine_out, struct nx_error *err);
/** Read the function's file and see that it can run here. Errors: as nx_module_load(), or the file's. */
NX_MUST_CHECK enum nx_status nx_code_check(struct nx_disk *disk, struct nx_engine *engine,
                                           const struct nx_function *function, uint64_t *size_out,
                                           struct nx_error *err);
