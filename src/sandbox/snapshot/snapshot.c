/* src/sandbox/snapshot/snapshot.c */
#include "sandbox/snapshot/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "sandbox/engine/engine.h"
#include "sandbox/engine/wasm.h"

enum {
    SECTION_CUSTOM = 0,
    SECTION_MEMORY = 5,
    SECTION_START = 8,
    SECTION_DATA = 11,
    SECTION_DATA_COUNT = 12,
    HEADER_SIZE = 8,
    PAGE_SIZE = 65536,
    GRAIN = 1024, /* bytes: memory is kept in runs of grains that are not all zero */
    OPCODE_I32_CONST = 0x41,
    OPCODE_END = 0x0b,
    FAILURE_SIZE_MAX = 400, /* bytes of what the runtime says, in our message */
};
#define SNAPSHOT_FUEL UINT64_C(4000000000) /* some seconds: for a top level that does not end */

struct machine {
    wasm_engine_t *engine;
    wasmtime_module_t *module;
    wasmtime_linker_t *linker;
    wasmtime_store_t *store;
    wasmtime_context_t *context;
    wasmtime_instance_t instance;
    wasmtime_memory_t memory;
};

static void machine_fini(struct machine *machine) {
    if (machine->store != NULL) {
        wasmtime_store_delete(machine->store);
    }
    if (machine->linker != NULL) {
        wasmtime_linker_delete(machine->linker);
    }
    if (machine->module != NULL) {
        wasmtime_module_delete(machine->module);
    }
    if (machine->engine != NULL) {
        wasm_engine_delete(machine->engine);
    }
}
NX_DEFINE_AUTO_IN_PLACE(machine, machine_fini)

static enum nx_status machine_init(struct machine *machine, struct nx_str runtime, struct nx_error *err) {
    wasmtime_extern_t item;
    wasm_trap_t *trap = NULL;
    wasm_config_t *config = wasm_config_new();

    wasmtime_config_consume_fuel_set(config, true);
    wasmtime_config_cranelift_nan_canonicalization_set(config, true);
    wasmtime_config_cranelift_opt_level_set(config, WASMTIME_OPT_LEVEL_NONE); /* it runs once */
    machine->engine = wasm_engine_new_with_config(config);
    wasmtime_error_t *error =
        wasmtime_module_new(machine->engine, (const uint8_t *)runtime.ptr, runtime.len, &machine->module);
    if (error != NULL) {
        return nx_wasm_fail(err, NX_INTERNAL, error);
    }
    machine->linker = wasmtime_linker_new(machine->engine);
    machine->store = wasmtime_store_new(machine->engine, NULL, NULL);
    machine->context = wasmtime_store_context(machine->store);
    error = wasmtime_linker_define_unknown_imports_as_default_values(machine->linker, machine->context,
                                                                     machine->module);
    if (error == NULL) {
        error = wasmtime_context_set_fuel(machine->context, SNAPSHOT_FUEL);
    }
    if (error == NULL) {
        error = wasmtime_linker_instantiate(machine->linker, machine->context, machine->module,
                                            &machine->instance, &trap);
    }
    if (trap != NULL) {
        wasm_trap_delete(trap);
        return nx_fail(err, NX_INTERNAL, "the runtime cannot be instantiated");
    }
    if (error != NULL) {
        return nx_wasm_fail(err, NX_INTERNAL, error);
    }
    if (!wasmtime_instance_export_get(machine->context, &machine->instance, "memory", 6, &item) ||
        item.kind != WASMTIME_EXTERN_MEMORY) {
        return nx_fail(err, NX_INTERNAL, "the runtime exports no memory");
    }
    machine->memory = item.of.memory;
    return NX_OK;
}

static enum nx_status ask(struct machine *machine, const char *name, const int32_t *arguments, size_t count,
                          uint32_t *answer_out, struct nx_error *err) {
    wasmtime_extern_t item;
    wasmtime_val_t values[2];
    wasmtime_val_t result;
    wasm_trap_t *trap = NULL;

    if (!wasmtime_instance_export_get(machine->context, &machine->instance, name, strlen(name), &item) ||
        item.kind != WASMTIME_EXTERN_FUNC) {
        return nx_fail(err, NX_INTERNAL, "the runtime exports no %s", name);
    }
    for (size_t i = 0; i < count; i++) {
        values[i] = (wasmtime_val_t){ .kind = WASMTIME_I32, .of.i32 = arguments[i] };
    }
    wasmtime_error_t *error =
        wasmtime_func_call(machine->context, &item.of.func, values, count, &result, 1, &trap);
    if (trap != NULL) {
        wasmtime_trap_code_t code = 0;
        const bool is_endless = wasmtime_trap_code(trap, &code) && code == WASMTIME_TRAP_CODE_OUT_OF_FUEL;
        wasm_trap_delete(trap);
        return is_endless ? nx_fail(err, NX_DEADLINE_EXCEEDED, "the script's top level does not end")
                          : nx_fail(err, NX_INVALID_ARGUMENT, "the script's top level ended the runtime");
    }
    if (error != NULL) {
        return nx_wasm_fail(err, NX_INTERNAL, error);
    }
    *answer_out = (uint32_t)result.of.i32;
    return NX_OK;
}

/* The memory, which calls may move. */
static struct nx_str view(struct machine *machine) {
    return nx_str_of((const char *)wasmtime_memory_data(machine->context, &machine->memory),
                     wasmtime_memory_data_size(machine->context, &machine->memory));
}

static enum nx_status fail_as_runtime_says(struct machine *machine, struct nx_error *err) {
    uint32_t address = 0;
    NX_TRY(ask(machine, "nexus_failure", NULL, 0, &address, err));
    const struct nx_str memory = view(machine);
    const struct nx_str text = nx_str_slice(memory, address, memory.len);
    const size_t end = nx_str_find(text, nx_str_of("", 1));
    struct nx_str said = nx_str_slice(text, 0, end == SIZE_MAX ? 0 : end);
    while (said.len > 0 && said.ptr[said.len - 1] == '\n') {
        said.len--;
    }
    said.len = said.len > FAILURE_SIZE_MAX ? FAILURE_SIZE_MAX : said.len;
    return nx_fail(err, NX_INVALID_ARGUMENT, "%.*s", NX_STR_ARG(said));
}

static enum nx_status load(struct machine *machine, struct nx_str name, struct nx_str script,
                           struct nx_error *err) {
    /* "<script>\0<name>" */
    const size_t size = script.len + 1 + name.len;
    const int32_t sizes[] = { (int32_t)size, (int32_t)name.len };
    uint32_t answer = 0;
    uint32_t address = 0;

    NX_TRY(ask(machine, "nexus_boot", NULL, 0, &answer, err));
    if (answer != 0) {
        return fail_as_runtime_says(machine, err);
    }
    NX_TRY(ask(machine, "nexus_buffer", sizes, 1, &address, err));
    uint8_t *memory = wasmtime_memory_data(machine->context, &machine->memory);
    const size_t memory_size = wasmtime_memory_data_size(machine->context, &machine->memory);
    if (address == 0 || address > memory_size || memory_size - address < size) {
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "the runtime has no room for the script");
    }
    memcpy(memory + address, script.ptr, script.len);
    memory[address + script.len] = 0;
    memcpy(memory + address + script.len + 1, name.ptr, name.len);
    NX_TRY(ask(machine, "nexus_load", sizes, 2, &answer, err));
    return answer == 0 ? NX_OK : fail_as_runtime_says(machine, err);
}

static void append_i32_const(struct nx_buf *out, uint32_t value) {
    int64_t rest = (int32_t)value; /* signed LEB128 */
    nx_buf_append_u8(out, OPCODE_I32_CONST);
    for (;;) {
        const uint8_t low = (uint8_t)(rest & 0x7f);
        rest >>= 7;
        if ((rest == 0 && (low & 0x40) == 0) || (rest == -1 && (low & 0x40) != 0)) {
            nx_buf_append_u8(out, low);
            break;
        }
        nx_buf_append_u8(out, low | 0x80);
    }
    nx_buf_append_u8(out, OPCODE_END);
}

static bool is_zero(struct nx_str bytes) {
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] != 0) {
            return false;
        }
    }
    return true;
}

/* The next run of grains, from *at on, that are not all zero; false: there is none. */
static bool next_run(struct nx_str memory, size_t *at, struct nx_str *run_out) {
    size_t from = *at;
    while (from < memory.len && is_zero(nx_str_slice(memory, from, from + GRAIN))) {
        from += GRAIN;
    }
    size_t to = from;
    while (to < memory.len && !is_zero(nx_str_slice(memory, to, to + GRAIN))) {
        to += GRAIN;
    }
    *at = to;
    *run_out = nx_str_slice(memory, from, to);
    return from < memory.len;
}

static void append_data(struct nx_str memory, struct nx_buf *out) {
    struct nx_str run;
    uint64_t count = 0;
    for (size_t at = 0; next_run(memory, &at, &run);) {
        count++;
    }
    nx_buf_append_varint(out, count);
    for (size_t at = 0; next_run(memory, &at, &run);) {
        nx_buf_append_varint(out, 0); /* active, memory 0 */
        append_i32_const(out, (uint32_t)(run.ptr - memory.ptr));
        nx_buf_append_varint_bytes(out, run);
    }
}

/* One memory, as large as it has become, with its maximum. */
static bool append_memory(struct nx_str content, size_t size, struct nx_buf *out) {
    struct nx_reader reader = nx_reader_of(content);
    const uint64_t count = nx_reader_varint(&reader);
    const uint8_t flags = nx_reader_u8(&reader);
    (void)nx_reader_varint(&reader);
    nx_buf_append_varint(out, 1);
    nx_buf_append_u8(out, flags);
    nx_buf_append_varint(out, size / PAGE_SIZE);
    if (flags == 1) {
        nx_buf_append_varint(out, nx_reader_varint(&reader));
    }
    return count == 1 && flags <= 1 && nx_reader_ok(&reader) && nx_reader_left(&reader) == 0;
}

/* The runtime's sections with another memory. */
static bool rewrite(struct nx_str runtime, struct nx_str memory, struct nx_buf *out) {
    NX_AUTO(nx_buf) section;
    struct nx_reader reader = nx_reader_of(runtime);

    nx_buf_init(&section, out->len_max);
    nx_buf_append(out, nx_reader_bytes(&reader, HEADER_SIZE));
    while (nx_reader_left(&reader) > 0) {
        const uint8_t id = nx_reader_u8(&reader);
        const struct nx_str content = nx_reader_varint_bytes(&reader);
        nx_buf_reset(&section);
        if (!nx_reader_ok(&reader) || id == SECTION_DATA_COUNT || id == SECTION_START) {
            return false; /* bulk memory, which names segments, or code that would run anew */
        }
        if (id == SECTION_CUSTOM) {
            continue;
        }
        if (id == SECTION_DATA) {
            append_data(memory, &section);
        } else if (id != SECTION_MEMORY) {
            nx_buf_append(&section, content);
        } else if (!append_memory(content, memory.len, &section)) {
            return false;
        }
        nx_buf_append_u8(out, id);
        nx_buf_append_varint_bytes(out, nx_buf_str(&section));
        if (nx_buf_failed(&section)) {
            return false;
        }
    }
    return !nx_buf_failed(out);
}

enum nx_status nx_snapshot_make(struct nx_str runtime, struct nx_str name, struct nx_str script,
                                struct nx_buf *wasm_out, struct nx_error *err) {
    NX_AUTO(machine) machine = { 0 };

    if (script.len > NX_SCRIPT_SIZE_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "a script of %zu bytes exceeds the limit of %d bytes",
                       script.len, NX_SCRIPT_SIZE_MAX);
    }
    NX_TRY(machine_init(&machine, runtime, err));
    NX_TRY(load(&machine, name, script, err));
    if (!rewrite(runtime, view(&machine), wasm_out)) {
        return nx_fail(err, NX_INTERNAL, "the runtime cannot be made into a snapshot");
    }
    return NX_OK;
}
