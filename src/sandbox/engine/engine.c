/* src/sandbox/engine/engine.c: Wasmtime's configuration, which is the same for every user: a wrong value
 * there ends the process, so nothing of it comes from outside. */
#include "sandbox/engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/assert.h"
#include "sandbox/engine/wasm.h"

enum {
    CALLS_MAX_DEFAULT = 256,
    ASYNC_STACK_SIZE = 1024 * 1024, /* of which NX_GUEST_STACK_SIZE_MAX is the guest's, the rest ours */
    /* Bytes of a slot that are put back by hand and not given back to the kernel, whose page faults would
     * cost more than all the rest of a call: all of a small guest, cleared; of a large one what it wrote.
     * Measured: docs/measurements/sandbox.md. */
    KEEP_SMALL = NX_MEMORY_SMALL,
    KEEP_WRITTEN = 4 * 1024 * 1024,
    TABLE_KEEP_RESIDENT = 32 * 1024,
    STACK_KEEP_RESIDENT = 16 * 1024,
    WARM_SLOTS = 16, /* of each pool: so at most 4 and 64 MiB stay resident while nothing runs */
    SIGNATURE_MAX = 16,
    SLOT_EXTRA = 40 * 1024 * 1024, /* of address space beside a memory: guards, tables, stack */
};

/* Changes whenever the configuration below changes what a guest computes. */
#define SETTINGS \
    "fuel async nan-canonical relaxed-simd-deterministic no-threads no-memory64 stack=512K grow-traps v1"

/* The engine's messages are several lines, "what\n\nCaused by:\n    why"; ours are one: "what: why". */
static void write_in_one_line(struct nx_str message, char *line, size_t size) {
    struct nx_str rest = message;
    struct nx_str part;
    const char *between = "";
    size_t len = 0;

    line[0] = '\0';
    while (len + 1 < size && nx_str_split(&rest, '\n', &part)) {
        part = nx_str_trim(part);
        if (part.len == 0 || nx_str_is(part, "Caused by:")) {
            between = len == 0 ? "" : ": ";
            continue;
        }
        const int added = snprintf(line + len, size - len, "%s%.*s", between, NX_STR_ARG(part));
        len += added < 0 ? 0 : (size_t)added;
        between = " ";
    }
}

enum nx_status nx_wasm_fail(struct nx_error *err, enum nx_status status, wasmtime_error_t *error) {
    wasm_name_t message;
    char line[sizeof((struct nx_error *)0)->message];
    wasmtime_error_message(error, &message);
    write_in_one_line(nx_str_of(message.data, message.size), line, sizeof line);
    nx_fail(err, status, "%s", line);
    wasm_byte_vec_delete(&message);
    wasmtime_error_delete(error);
    return status;
}

struct nx_str nx_engine_build(void) {
    return NX_STR("wasmtime-" WASMTIME_VERSION " x86_64");
}

uint64_t nx_engine_settings_digest(void) {
    return nx_str_hash(NX_STR(SETTINGS), 0);
}

static void configure_pool(wasm_config_t *config, uint32_t calls_max, bool is_large) {
    wasmtime_pooling_allocation_config_t *pool = wasmtime_pooling_allocation_config_new();
    wasmtime_pooling_allocation_config_total_core_instances_set(pool, calls_max);
    wasmtime_pooling_allocation_config_total_memories_set(pool, calls_max);
    wasmtime_pooling_allocation_config_total_tables_set(pool, calls_max);
    wasmtime_pooling_allocation_config_total_stacks_set(pool, calls_max);
    /* The largest a guest can ask for, so that growth is decided by the store's limiter alone. */
    wasmtime_pooling_allocation_config_max_memory_size_set(pool, NX_GUEST_MEMORY_MAX);
    wasmtime_pooling_allocation_config_table_elements_set(pool, NX_GUEST_TABLE_ELEMENTS_MAX);
    wasmtime_pooling_allocation_config_max_unused_warm_slots_set(pool, WARM_SLOTS);
    wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(
        pool, is_large && nx_wasmtime_pool_finds_written(pool) ? KEEP_WRITTEN : KEEP_SMALL);
    wasmtime_pooling_allocation_config_table_keep_resident_set(pool, TABLE_KEEP_RESIDENT);
    wasmtime_pooling_allocation_config_async_stack_keep_resident_set(pool, STACK_KEEP_RESIDENT);
    wasmtime_pooling_allocation_strategy_set(config, pool);
    wasmtime_pooling_allocation_config_delete(pool);
}

static wasm_config_t *make_config(uint32_t calls_max, bool is_large) {
    wasm_config_t *config = wasm_config_new();
    wasmtime_config_consume_fuel_set(config, true);
    wasmtime_config_cranelift_nan_canonicalization_set(config, true);
    wasmtime_config_wasm_relaxed_simd_deterministic_set(config, true);
    wasmtime_config_shared_memory_set(config, false);
    wasmtime_config_wasm_memory64_set(config, false);
    wasmtime_config_wasm_multi_memory_set(config, false);
    wasmtime_config_max_wasm_stack_set(config, NX_GUEST_STACK_SIZE_MAX);
    wasmtime_config_async_stack_size_set(config, ASYNC_STACK_SIZE);
    wasmtime_config_memory_init_cow_set(config, true);
    configure_pool(config, calls_max, is_large);
    return config;
}

static void value_types(const char *signature, wasm_valtype_vec_t *types_out) {
    wasm_valtype_t *types[SIGNATURE_MAX];
    const size_t count = strlen(signature);
    nx_assert(count <= SIGNATURE_MAX);
    for (size_t i = 0; i < count; i++) {
        types[i] = wasm_valtype_new(signature[i] == 'I' ? WASM_I64 : WASM_I32);
    }
    wasm_valtype_vec_new(types_out, count, types);
}

static wasmtime_error_t *define_import(wasmtime_linker_t *linker, struct nx_import *import) {
    wasm_valtype_vec_t parameters;
    wasm_valtype_vec_t results;
    value_types(import->parameters, &parameters);
    value_types(import->results, &results);
    wasm_functype_t *type = wasm_functype_new(&parameters, &results);
    wasmtime_error_t *error;
    if (import->parking != NULL) {
        error = wasmtime_linker_define_async_func(linker, import->module, strlen(import->module),
                                                  import->name, strlen(import->name), type,
                                                  import->enter_parking, import, NULL);
    } else {
        error = wasmtime_linker_define_func_unchecked(linker, import->module, strlen(import->module),
                                                      import->name, strlen(import->name), type, import->enter,
                                                      import, NULL);
    }
    wasm_functype_delete(type);
    return error;
}

/* A pool reserves address space for every slot; where that is refused Wasmtime ends the process, so ask
 * first. */
static bool has_room(uint32_t calls_max, unsigned pools) {
    const size_t size = (size_t)pools * calls_max * (NX_GUEST_MEMORY_MAX + SLOT_EXTRA);
    void *reserved = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) {
        return false;
    }
    (void)munmap(reserved, size);
    return true;
}

static enum nx_status check_address_space(uint32_t calls_max, struct nx_error *err) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
        (void)nx_fail(err, NX_UNAVAILABLE,
                      "the sandbox cannot start: this process's address space is limited");
        nx_hint(err, "raise the limit: ulimit -v unlimited");
        return NX_UNAVAILABLE;
    }
    if (!has_room(calls_max, 1)) {
        (void)nx_fail(err, NX_UNAVAILABLE, "the sandbox cannot start: there is no address space for %u calls",
                      (unsigned)calls_max);
        nx_hint(err, "run fewer workers: --workers 1");
        return NX_UNAVAILABLE;
    }
    return NX_OK;
}

static enum nx_status open_pool(struct nx_engine *engine, struct nx_pool *pool, wasm_config_t *config,
                                struct nx_error *err) {
    pool->engine = wasm_engine_new_with_config(config);
    pool->linker = wasmtime_linker_new(pool->engine);
    for (size_t i = 0; i < engine->import_count; i++) {
        wasmtime_error_t *error = define_import(pool->linker, &engine->imports[i]);
        if (error != NULL) {
            return nx_wasm_fail(err, NX_INTERNAL, error);
        }
    }
    return NX_OK;
}

static void close_pool(struct nx_pool *pool) {
    if (pool->linker != NULL) {
        wasmtime_linker_delete(pool->linker);
    }
    if (pool->engine != NULL) {
        wasm_engine_delete(pool->engine);
    }
}

enum nx_status nx_engine_open(const struct nx_engine_options *options, struct nx_engine **engine_out,
                              struct nx_error *err) {
    const uint32_t calls_max = options->calls_max == 0 ? CALLS_MAX_DEFAULT : options->calls_max;
    NX_TRY(check_address_space(calls_max, err));
    NX_AUTO(nx_engine) *engine = calloc(1, sizeof *engine);
    if (engine == NULL) {
        return nx_fail_memory(err);
    }
    nx_refcount_init(&engine->refcount);
    engine->settings_digest = nx_engine_settings_digest();
    engine->imports = calloc(options->import_count + 1, sizeof *engine->imports);
    if (engine->imports == NULL) {
        return nx_fail_memory(err);
    }
    memcpy(engine->imports, options->imports, options->import_count * sizeof *engine->imports);
    engine->import_count = options->import_count;
    if (options->disk != NULL && options->cache_directory != NULL && options->random != NULL) {
        engine->disk = options->disk;
        engine->cache_read_only = options->cache_read_only;
        engine->cache_directory = strdup(options->cache_directory);
        if (engine->cache_directory == NULL) {
            return nx_fail_memory(err);
        }
        NX_TRY(nx_module_cache_open(engine, options->random, err));
    }
    const bool has_both = has_room(calls_max, 2);
    NX_TRY(open_pool(engine, &engine->small, make_config(calls_max, false), err));
    if (has_both) {
        NX_TRY(open_pool(engine, &engine->large, make_config(calls_max, true), err));
    }
    *engine_out = NX_TAKE(engine);
    return NX_OK;
}

void nx_engine_unref(struct nx_engine *engine) {
    if (engine == NULL || !nx_refcount_unref(&engine->refcount)) {
        return;
    }
    close_pool(&engine->small);
    close_pool(&engine->large);
    free(engine->imports);
    free(engine->cache_directory);
    free(engine);
}
