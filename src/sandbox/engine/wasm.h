/* src/sandbox/engine/wasm.h: what engine, host and instance share of Wasmtime; for this layer only. */
#pragma once

#include <wasmtime.h>

#include "base/counter.h"
#include "base/error.h"
#include "codec/digest.h"
#include "sandbox/engine/engine.h"
#include "sandbox/engine/instrument.h"

/* What a guest may import. `host` gives the table to the engine, which knows only signatures. In a signature
 * 'i' is an i32 and 'I' an i64.
 * `host` writes either a plain function, which finds its arguments in `args`, leaves its result in args[0]
 * and returns NULL or the trap that ends the call; or a parking one, which returns its i32 result unless it
 * sets *waits_out (then the guest is parked and the result comes later) or *trap_out. Wasmtime calls `enter`
 * or `enter_parking`, which know how to get from it to the call, with the import as `env`. */
struct nx_host; /* sandbox/host/state.h */

struct nx_import {
    const char *module;
    const char *name;
    const char *parameters;
    const char *results; /* "", "i" or "I" */
    wasm_trap_t *(*plain)(struct nx_host *host, wasmtime_val_raw_t *args);
    int32_t (*parking)(struct nx_host *host, const uint32_t *args, bool *waits_out, wasm_trap_t **trap_out);
    wasmtime_func_unchecked_callback_t enter;
    wasmtime_func_async_callback_t enter_parking;
};
enum { NX_PARKING_ARGUMENTS_MAX = 8 };

enum { NX_MEMORY_SMALL = 256 * 1024 }; /* bytes that a small guest begins with at most */

/* Guests whose memory is put back the same way when their call has ended. */
struct nx_pool {
    wasm_engine_t *engine;
    wasmtime_linker_t *linker; /* has every import; never changes after the open */
};

struct nx_engine {
    struct nx_refcount refcount;
    struct nx_pool small; /* of guests that begin with little memory: all of it is cleared */
    struct nx_pool large; /* of the others: what they wrote is found and put back; empty: no room for two */
    struct nx_import *imports;
    size_t import_count;
    struct nx_disk *disk;
    char *cache_directory; /* NULL: no cache */
    bool cache_read_only;
    uint8_t cache_key[NX_DIGEST_SIZE];
    struct nx_digest cpu;
    uint64_t settings_digest;
};

struct nx_module {
    struct nx_refcount refcount;
    struct nx_engine *engine; /* a reference */
    const struct nx_pool *pool;
    wasmtime_module_t *module;
    wasmtime_instance_pre_t *instance_pre;
    struct nx_digest digest;
    enum nx_module_origin origin;
    const char *entry; /* "handle_event" or "_start"; static storage */
    size_t entry_len;
    bool has_initialize;
    bool entry_returns_code;
    bool instantiates_at_once; /* no start function, nothing imported that may park */
    bool has_stack_pointer;    /* exported as NX_STACK_POINTER_EXPORT */
    struct nx_instrument_report instrument;
};

/** Let the kernel tell which pages a guest wrote (PAGEMAP_SCAN), so that they, and no others, are put back by
 * hand, up to the pool's linear_memory_keep_resident: the next guest of the module meets no page fault there.
 * tools/wasmtime/lib.rs has it, since Wasmtime's C API does not. False: the kernel cannot (before Linux 6.7),
 * and nothing is changed. */
bool nx_wasmtime_pool_finds_written(wasmtime_pooling_allocation_config_t *pool);
/** Turn Wasmtime's error into ours, and delete it. */
enum nx_status nx_wasm_fail(struct nx_error *err, enum nx_status status, wasmtime_error_t *error);
/** Compile `wasm`, whose digest is in the module, or take it from the cache: sets module, origin, instrument.
 */
NX_MUST_CHECK enum nx_status nx_module_cache_load(struct nx_module *module, struct nx_str wasm,
                                                  struct nx_error *err);
/** Write a module that was compiled, and found fit to be run, into the cache. */
void nx_module_cache_keep(const struct nx_module *module);
/** True: there is a file for this module; whether it is whole is seen when it is loaded. */
bool nx_module_cache_has(const struct nx_engine *engine, const struct nx_digest *digest);
/** Read the cache's key, or make it. */
NX_MUST_CHECK enum nx_status nx_module_cache_open(struct nx_engine *engine, const struct nx_random *random,
                                                  struct nx_error *err);
