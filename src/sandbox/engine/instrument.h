/* src/sandbox/engine/instrument.h: two small changes to a module before it is compiled, so that its end can
 * be named.
 *
 * - memory.grow becomes a call of a function put at the module's end, which grows and traps when refused.
 *   Wasmtime itself only answers -1, which most programs turn into some other failure much later; so a
 * refused growth is recognised by the function that trapped.
 * - Global 0, where it is a mutable i32 (every LLVM language's stack pointer), is exported as
 *   NX_STACK_POINTER_EXPORT, so that an access out of bounds below the stack is told from another one.
 * Nothing is renumbered: all that is added comes last in its index space. A module with instructions that are
 * not known here stays as it is; whether it is valid is Wasmtime's to say, after this. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

#define NX_STACK_POINTER_EXPORT "nexus:stack-pointer"

struct nx_instrument_report {
    bool grows;                   /* it has a memory.grow */
    uint32_t grow_function_index; /* where `grows` */
};

/** Append the changed module to `out`. False, and nothing said of `out`, when the module is to be used as it
 * is; *report_out is written either way. */
bool nx_instrument(struct nx_str wasm, struct nx_buf *out, struct nx_instrument_report *report_out);
