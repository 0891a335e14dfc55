/* src/sandbox/snapshot/snapshot.h: a script, made into a module that has already read it.
 *
 * A runtime module (guest/javascript) is instantiated here, starts its engine and loads the script; then its
 * memory becomes the data of a new module, which has the same code. An instance of that starts where this one
 * stopped: nothing is parsed again. The runtime is asked by four exports: nexus_boot() -> i32,
 * nexus_buffer(size) -> address, nexus_load(size, name's size) -> i32, nexus_failure() -> text Numbers other
 * than 0 are failure. No import answers anything then: the clock stands at 0, random bytes are zero. What is
 * left of a runtime is memory alone: its one global, the stack pointer, must be where it was.
 * Threads: any; the call takes a second, and much of it is Wasmtime compiling the runtime. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum { NX_SCRIPT_SIZE_MAX = 16 * 1024 * 1024 };

/** Append the module to `wasm_out`. `name` is what the script is called in its error messages.
 * Errors: NX_INVALID_ARGUMENT  the script cannot be loaded: the message is the runtime's
 *         NX_DEADLINE_EXCEEDED its top level does not end
 *         NX_INTERNAL          the runtime is not one */
NX_MUST_CHECK enum nx_status nx_snapshot_make(struct nx_str runtime, struct nx_str name, struct nx_str script,
                                              struct nx_buf *wasm_out, struct nx_error *err);
