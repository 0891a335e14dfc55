/* src/sandbox/engine/module.c: a module that is ready to be run, or the reason why it never will be. */
#include <stdlib.h>

#include "base/assert.h"
#include "sandbox/engine/wasm.h"

static struct nx_str name_str(const wasm_name_t *name) {
    return nx_str_of(name->data, name->size);
}

static bool types_match(const wasm_valtype_vec_t *types, const char *signature) {
    if (types->size != strlen(signature)) {
        return false;
    }
    for (size_t i = 0; i < types->size; i++) {
        if (wasm_valtype_kind(types->data[i]) != (signature[i] == 'I' ? WASM_I64 : WASM_I32)) {
            return false;
        }
    }
    return true;
}

static const struct nx_import *find_import(const struct nx_engine *engine, struct nx_str module,
                                           struct nx_str name) {
    for (size_t i = 0; i < engine->import_count; i++) {
        if (nx_str_is(module, engine->imports[i].module) && nx_str_is(name, engine->imports[i].name)) {
            return &engine->imports[i];
        }
    }
    return NULL;
}

static enum nx_status check_import(struct nx_module *checked, const wasm_importtype_t *import,
                                   struct nx_error *err) {
    const struct nx_str module = name_str(wasm_importtype_module(import));
    const struct nx_str name = name_str(wasm_importtype_name(import));
    if (nx_str_is(module, "wasi_unstable")) {
        (void)nx_fail(err, NX_INVALID_ARGUMENT, "the module imports wasi_unstable, a WASI before preview 1");
        nx_hint(err, "rebuild it for the target wasm32-wasip1 (wasm32-wasi in older tools)");
        return NX_INVALID_ARGUMENT;
    }
    const wasm_externtype_t *type = wasm_importtype_type(import);
    const struct nx_import *known = find_import(checked->engine, module, name);
    if (known == NULL) {
        (void)nx_fail(err, NX_INVALID_ARGUMENT, "the module imports %.*s.%.*s, which is not known here",
                      NX_STR_ARG(module), NX_STR_ARG(name));
        nx_hint(err, "a function can import wasi_snapshot_preview1 and nexus");
        return NX_INVALID_ARGUMENT;
    }
    const wasm_functype_t *function =
        wasm_externtype_kind(type) == WASM_EXTERN_FUNC ? wasm_externtype_as_functype_const(type) : NULL;
    if (function == NULL || !types_match(wasm_functype_params(function), known->parameters) ||
        !types_match(wasm_functype_results(function), known->results)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "the module imports %.*s.%.*s with another signature",
                       NX_STR_ARG(module), NX_STR_ARG(name));
    }
    if (known->parking != NULL) {
        checked->instantiates_at_once = false;
    }
    return NX_OK;
}

static enum nx_status check_imports(struct nx_module *module, struct nx_error *err) {
    wasm_importtype_vec_t imports;
    enum nx_status status = NX_OK;
    wasmtime_module_imports(module->module, &imports);
    if (imports.size > NX_MODULE_IMPORTS_MAX) {
        status = nx_fail(err, NX_INVALID_ARGUMENT, "the module has %zu imports, more than %d", imports.size,
                         NX_MODULE_IMPORTS_MAX);
    }
    for (size_t i = 0; i < imports.size && status == NX_OK; i++) {
        status = check_import(module, imports.data[i], err);
    }
    wasm_importtype_vec_delete(&imports);
    return status;
}

/* What the exports say about how to run it. */
struct exports {
    bool has_memory;
    uint64_t memory_min;
    bool has_initialize;
    bool has_start;
    bool has_handle_event;
    bool handle_event_is_usable;
    bool handle_event_returns_code;
    bool has_stack_pointer;
};

static void note_function(struct nx_str name, const wasm_functype_t *type, struct exports *found) {
    const bool no_parameters = wasm_functype_params(type)->size == 0;
    const bool no_results = wasm_functype_results(type)->size == 0;
    if (nx_str_is(name, "_initialize")) {
        found->has_initialize = no_parameters && no_results;
    } else if (nx_str_is(name, "_start")) {
        found->has_start = no_parameters && no_results;
    } else if (nx_str_is(name, "handle_event")) {
        found->has_handle_event = true;
        found->handle_event_returns_code = types_match(wasm_functype_results(type), "i");
        found->handle_event_is_usable = no_parameters && (no_results || found->handle_event_returns_code);
    }
}

static void note_exports(const wasmtime_module_t *module, struct exports *found) {
    wasm_exporttype_vec_t exports;
    wasmtime_module_exports(module, &exports);
    for (size_t i = 0; i < exports.size; i++) {
        const struct nx_str name = name_str(wasm_exporttype_name(exports.data[i]));
        const wasm_externtype_t *type = wasm_exporttype_type(exports.data[i]);
        if (wasm_externtype_kind(type) == WASM_EXTERN_FUNC) {
            note_function(name, wasm_externtype_as_functype_const(type), found);
        } else if (wasm_externtype_kind(type) == WASM_EXTERN_MEMORY && nx_str_is(name, "memory")) {
            found->has_memory = true;
            found->memory_min =
                (uint64_t)wasm_memorytype_limits(wasm_externtype_as_memorytype_const(type))->min * 65536;
        } else if (nx_str_is(name, NX_STACK_POINTER_EXPORT)) {
            found->has_stack_pointer = wasm_externtype_kind(type) == WASM_EXTERN_GLOBAL;
        }
    }
    wasm_exporttype_vec_delete(&exports);
}

static enum nx_status check_memory(uint64_t memory_min, uint64_t memory_max, struct nx_error *err) {
    if (memory_min <= memory_max) {
        return NX_OK;
    }
    (void)nx_fail(err, NX_INVALID_ARGUMENT, "the module starts with %llu bytes of memory, its limit is %llu",
                  (unsigned long long)memory_min, (unsigned long long)memory_max);
    nx_hint(err, "raise memory: of the function, or link it with a smaller stack (-Wl,-z,stack-size=65536)");
    return NX_INVALID_ARGUMENT;
}

static enum nx_status check_exports(struct nx_module *module, uint64_t memory_max, struct nx_error *err) {
    struct exports found = { 0 };
    note_exports(module->module, &found);
    if (found.has_handle_event && !found.handle_event_is_usable) {
        return nx_fail(err, NX_INVALID_ARGUMENT,
                       "handle_event must take nothing and return nothing or an i32");
    }
    if (!found.has_handle_event && !found.has_start) {
        (void)nx_fail(err, NX_INVALID_ARGUMENT, "the module exports neither handle_event nor _start");
        nx_hint(err, "a library was built, not a program: give it a main, or export handle_event");
        return NX_INVALID_ARGUMENT;
    }
    if (!found.has_memory) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "the module does not export its memory as \"memory\"");
    }
    NX_TRY(check_memory(found.memory_min, memory_max, err));
    module->has_stack_pointer = found.has_stack_pointer;
    module->entry = found.has_handle_event ? "handle_event" : "_start";
    module->entry_len = strlen(module->entry);
    module->entry_returns_code = found.has_handle_event && found.handle_event_returns_code;
    module->has_initialize = found.has_initialize && found.has_handle_event;
    return NX_OK;
}

/* Whether the module has a start section, which would run guest code while it is being instantiated. A module
 * that we cannot walk over counts as one that has. */
static bool has_start_section(struct nx_str wasm) {
    enum { HEADER_SIZE = 8, SECTION_START = 8 };
    struct nx_reader reader = nx_reader_of(wasm);
    (void)nx_reader_bytes(&reader, HEADER_SIZE);
    while (nx_reader_left(&reader) > 0) {
        const uint8_t id = nx_reader_u8(&reader);
        (void)nx_reader_varint_bytes(&reader);
        if (id == SECTION_START) {
            return true;
        }
    }
    return !nx_reader_ok(&reader);
}

/* Bytes of memory that the module starts with, from its memory section; 0 when it has none of its own. */
static uint64_t memory_min_of(struct nx_str wasm) {
    enum { HEADER_SIZE = 8, SECTION_MEMORY = 5, PAGE_SIZE = 65536 };
    struct nx_reader reader = nx_reader_of(wasm);
    (void)nx_reader_bytes(&reader, HEADER_SIZE);
    while (nx_reader_left(&reader) > 0) {
        const uint8_t id = nx_reader_u8(&reader);
        const struct nx_str content = nx_reader_varint_bytes(&reader);
        if (id == SECTION_MEMORY && nx_reader_ok(&reader)) {
            struct nx_reader section = nx_reader_of(content);
            const uint64_t count = nx_reader_varint(&section);
            (void)nx_reader_u8(&section); /* whether it has a maximum */
            const uint64_t pages = nx_reader_varint(&section);
            return count > 0 && nx_reader_ok(&section) && pages <= UINT32_MAX ? pages * PAGE_SIZE : 0;
        }
    }
    return 0;
}

enum nx_status nx_module_load(struct nx_engine *engine, struct nx_str wasm, uint64_t memory_max,
                              struct nx_module **module_out, struct nx_error *err) {
    if (wasm.len > NX_MODULE_SIZE_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "a module of %zu bytes exceeds the limit of %d", wasm.len,
                       NX_MODULE_SIZE_MAX);
    }
    NX_AUTO(nx_module) *module = calloc(1, sizeof *module);
    if (module == NULL) {
        return nx_fail_memory(err);
    }
    nx_refcount_init(&module->refcount);
    nx_refcount_ref(&engine->refcount);
    module->engine = engine;
    module->pool = memory_min_of(wasm) <= NX_MEMORY_SMALL || engine->large.engine == NULL ? &engine->small
                                                                                          : &engine->large;
    module->digest = nx_digest_of(wasm);
    module->instantiates_at_once = !has_start_section(wasm);
    NX_TRY(nx_module_cache_load(module, wasm, err));
    NX_TRY(check_imports(module, err));
    NX_TRY(check_exports(module, memory_max, err));
    wasmtime_error_t *error =
        wasmtime_linker_instantiate_pre(module->pool->linker, module->module, &module->instance_pre);
    if (error != NULL) {
        return nx_wasm_fail(err, NX_INVALID_ARGUMENT, error);
    }
    nx_module_cache_keep(module);
    *module_out = NX_TAKE(module);
    return NX_OK;
}

enum nx_status nx_module_check(struct nx_engine *engine, struct nx_str wasm, uint64_t memory_max,
                               struct nx_error *err) {
    const struct nx_digest digest = nx_digest_of(wasm);
    NX_AUTO(nx_module) *module = NULL;
    /* What the cache has was found usable once, under the limit of then. */
    return nx_module_cache_has(engine, &digest) ? check_memory(memory_min_of(wasm), memory_max, err)
                                                : nx_module_load(engine, wasm, memory_max, &module, err);
}

struct nx_module *nx_module_ref(struct nx_module *module) {
    nx_refcount_ref(&module->refcount);
    return module;
}

void nx_module_unref(struct nx_module *module) {
    if (module == NULL || !nx_refcount_unref(&module->refcount)) {
        return;
    }
    if (module->instance_pre != NULL) {
        wasmtime_instance_pre_delete(module->instance_pre);
    }
    if (module->module != NULL) {
        wasmtime_module_delete(module->module);
    }
    nx_engine_unref(module->engine);
    free(module);
}

const struct nx_digest *nx_module_digest(const struct nx_module *module) {
    return &module->digest;
}

enum nx_module_origin nx_module_origin(const struct nx_module *module) {
    return module->origin;
}
