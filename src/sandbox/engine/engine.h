/* src/sandbox/engine/engine.h: the one WebAssembly engine of a process, and the modules compiled for it.
 *
 * Everything a guest computes is made repeatable here: fuel is counted, NaNs are canonical, relaxed SIMD is
 * deterministic, there are no threads and no shared memory. Guests run in slices of fuel as futures; there is
 * no epoch watchdog, because a slice always ends and no host function blocks.
 * Compiled modules are kept in <cache_directory>/<key>.cwasm, where the key covers the module's bytes, the
 * engine's version, its settings and the CPU; a file is used only if a keyed hash over all of it is right, so
 * that a damaged or foreign one is compiled anew and never executed.
 * Threads: an engine and its modules are immutable once made and may be used by all workers at once. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "codec/digest.h"
#include "io/file.h"
#include "io/random.h"

enum {
    NX_MODULE_SIZE_MAX = 64 * 1024 * 1024, /* bytes of a .wasm file */
    NX_MODULE_IMPORTS_MAX = 1000,
    NX_GUEST_STACK_SIZE_MAX = 512 * 1024, /* bytes of WebAssembly stack; deeper is stack-overflow */
    NX_FUEL_SLICE = 100000,               /* about 10 us */
    NX_GUEST_TABLE_ELEMENTS_MAX = 65536,
};
#define NX_GUEST_MEMORY_MAX (UINT64_C(4) << 30) /* bytes; what a 32-bit guest can address */

struct nx_engine;
struct nx_module;

struct nx_import; /* sandbox/engine/wasm.h */

struct nx_engine_options {
    struct nx_disk *disk;        /* borrowed for the engine's life; NULL: no cache */
    const char *cache_directory; /* copied; NULL: no cache. Created when absent. */
    bool cache_read_only; /* take what is in the cache, write nothing: a tool beside a stopped server */
    const struct nx_random *random;  /* borrowed for the open; makes the cache's key file; NULL: no cache */
    uint32_t calls_max;              /* guests alive at once, parked ones included; 0: 256 */
    const struct nx_import *imports; /* copied */
    size_t import_count;
};

/** Most callers want nx_sandbox_open() (sandbox/instance/call.h), which fills in the imports.
 * Ownership: the caller ends it by nx_engine_unref(); modules keep their engine alive.
 * Errors:    NX_UNAVAILABLE         the address space is limited (ulimit -v), or the cache cannot be made
 *            NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_engine_open(const struct nx_engine_options *options,
                                            struct nx_engine **engine_out, struct nx_error *err);
void nx_engine_unref(struct nx_engine *engine); /* NULL allowed */
/** Such as "wasmtime-48.0.8 x86_64"; static storage. Fuel and stack depth repeat within one build. */
struct nx_str nx_engine_build(void);
/** A hash over everything that decides what a guest computes; stored in every tape. */
uint64_t nx_engine_settings_digest(void);

enum nx_module_origin {
    NX_MODULE_FROM_CACHE,
    NX_MODULE_COMPILED,
    NX_MODULE_RECOMPILED /* the file was bad */
};

/** Compile the module, or take it from the cache, and check that it can be run: known imports, an entry
 * point, an initial memory of at most `memory_max` bytes. Takes milliseconds to seconds, and may use the
 * disk: never on a network loop.
 * Ownership: the caller ends it with nx_module_unref(); `wasm` is borrowed for the call.
 * Errors:    NX_INVALID_ARGUMENT    not WebAssembly, or one that cannot run here (the message says why, the
 *                                   hint what to do)
 *            NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_module_load(struct nx_engine *engine, struct nx_str wasm, uint64_t memory_max,
                                            struct nx_module **module_out, struct nx_error *err);
/** See early that a module can be run, without keeping it: only what was found fit is in the cache, so a
 * module that is there is not looked at again, and one that is not is compiled into it. A memory limit that
 * was lowered since is seen when the module is loaded. Errors: as nx_module_load() */
NX_MUST_CHECK enum nx_status nx_module_check(struct nx_engine *engine, struct nx_str wasm,
                                             uint64_t memory_max, struct nx_error *err);
struct nx_module *nx_module_ref(struct nx_module *module);
void nx_module_unref(struct nx_module *module); /* NULL allowed */
/** SHA-256 of the .wasm bytes; borrowed from the module. */
const struct nx_digest *nx_module_digest(const struct nx_module *module);
enum nx_module_origin nx_module_origin(const struct nx_module *module);

NX_DEFINE_AUTO(nx_engine, nx_engine_unref)
NX_DEFINE_AUTO(nx_module, nx_module_unref)
