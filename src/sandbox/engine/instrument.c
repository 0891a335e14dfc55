/* src/sandbox/engine/instrument.c: walks over a module's sections and its code, once to look, once to copy.
 */
#include "sandbox/engine/instrument.h"

#include "base/assert.h"

enum section {
    SECTION_CUSTOM = 0,
    SECTION_TYPE = 1,
    SECTION_IMPORT = 2,
    SECTION_FUNCTION = 3,
    SECTION_GLOBAL = 6,
    SECTION_EXPORT = 7,
    SECTION_CODE = 10,
    SECTION_COUNT = 14,
};

enum {
    HEADER_SIZE = 8,
    KIND_FUNCTION = 0,
    KIND_TABLE = 1,
    KIND_MEMORY = 2,
    KIND_GLOBAL = 3,
    TYPE_FUNCTION = 0x60,
    TYPE_I32 = 0x7f,
    OPCODE_CALL = 0x10,
    OPCODE_MEMORY_GROW = 0x40,
};

struct module {
    struct nx_str sections[SECTION_COUNT]; /* contents; a NULL ptr where there is none */
    uint64_t imported_functions;
    uint64_t imported_globals;
    uint64_t type_count;
    uint64_t function_count; /* defined ones */
    uint64_t export_count;
    bool has_stack_pointer;
};

/* Numbers may be signed, so nx_reader_varint() would take some for too large. */
static void skip_number(struct nx_reader *reader) {
    while ((nx_reader_u8(reader) & 0x80) != 0) {
    }
}

static void skip_limits(struct nx_reader *reader) {
    const uint8_t flags = nx_reader_u8(reader);
    skip_number(reader);
    if ((flags & 1) != 0) {
        skip_number(reader);
    }
}

static void skip_value_type(struct nx_reader *reader) {
    const uint8_t type = nx_reader_u8(reader);
    if (type == 0x63 || type == 0x64) { /* a reference with a heap type behind it */
        skip_number(reader);
    }
}

static void read_imports(struct module *module) {
    struct nx_reader reader = nx_reader_of(module->sections[SECTION_IMPORT]);
    const uint64_t count = nx_reader_varint(&reader);
    for (uint64_t i = 0; i < count && nx_reader_ok(&reader); i++) {
        (void)nx_reader_varint_bytes(&reader);
        (void)nx_reader_varint_bytes(&reader);
        switch (nx_reader_u8(&reader)) {
        case KIND_FUNCTION:
            skip_number(&reader);
            module->imported_functions++;
            break;
        case KIND_TABLE:
            skip_value_type(&reader);
            skip_limits(&reader);
            break;
        case KIND_MEMORY:
            skip_limits(&reader);
            break;
        case KIND_GLOBAL:
            skip_value_type(&reader);
            (void)nx_reader_u8(&reader);
            module->imported_globals++;
            break;
        default:
            return; /* Wasmtime will say what is wrong with it */
        }
    }
}

/* Only plain function types can be counted by their bytes. */
static bool types_are_plain(const struct module *module) {
    struct nx_reader reader = nx_reader_of(module->sections[SECTION_TYPE]);
    const uint64_t count = nx_reader_varint(&reader);
    for (uint64_t i = 0; i < count && nx_reader_ok(&reader); i++) {
        if (nx_reader_u8(&reader) != TYPE_FUNCTION) {
            return false;
        }
        for (int list = 0; list < 2; list++) {
            const uint64_t values = nx_reader_varint(&reader);
            for (uint64_t k = 0; k < values && nx_reader_ok(&reader); k++) {
                skip_value_type(&reader);
            }
        }
    }
    return nx_reader_ok(&reader);
}

static uint64_t first_number(struct nx_str section) {
    struct nx_reader reader = nx_reader_of(section);
    return section.ptr == NULL ? 0 : nx_reader_varint(&reader);
}

static bool parse(struct nx_str wasm, struct module *module_out) {
    struct module module = { 0 };
    struct nx_reader reader = nx_reader_of(wasm);
    (void)nx_reader_bytes(&reader, HEADER_SIZE);
    while (nx_reader_left(&reader) > 0) {
        const uint8_t id = nx_reader_u8(&reader);
        const struct nx_str content = nx_reader_varint_bytes(&reader);
        if (!nx_reader_ok(&reader) || id >= SECTION_COUNT) {
            return false;
        }
        if (id != SECTION_CUSTOM) {
            module.sections[id] = content;
        }
    }
    if (!nx_reader_ok(&reader) || module.sections[SECTION_TYPE].ptr == NULL ||
        module.sections[SECTION_FUNCTION].ptr == NULL || module.sections[SECTION_CODE].ptr == NULL ||
        module.sections[SECTION_EXPORT].ptr == NULL || !types_are_plain(&module)) {
        return false;
    }
    read_imports(&module);
    module.type_count = first_number(module.sections[SECTION_TYPE]);
    module.function_count = first_number(module.sections[SECTION_FUNCTION]);
    module.export_count = first_number(module.sections[SECTION_EXPORT]);
    struct nx_reader globals = nx_reader_of(module.sections[SECTION_GLOBAL]);
    module.has_stack_pointer = module.imported_globals == 0 && module.sections[SECTION_GLOBAL].ptr != NULL &&
                               nx_reader_varint(&globals) > 0 && nx_reader_u8(&globals) == TYPE_I32 &&
                               nx_reader_u8(&globals) == 1;
    *module_out = module;
    return true;
}

static void skip_numbers(struct nx_reader *reader, int count) {
    for (int i = 0; i < count; i++) {
        skip_number(reader);
    }
}

/* What stands behind an instruction of the 0xFC group: bulk memory, tables, saturating conversions. */
static bool skip_bulk(struct nx_reader *reader) {
    static const uint8_t numbers[] = { 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 2, 1, 2, 1, 2, 1, 1, 1 };
    const uint64_t opcode = nx_reader_varint(reader);
    if (opcode >= sizeof numbers) {
        return false;
    }
    skip_numbers(reader, numbers[opcode]);
    return true;
}

static bool skip_simd(struct nx_reader *reader) {
    const uint64_t opcode = nx_reader_varint(reader);
    if (opcode <= 11 || opcode == 92 || opcode == 93) {
        skip_numbers(reader, 2);
    } else if (opcode == 12 || opcode == 13) {
        (void)nx_reader_bytes(reader, 16);
    } else if (opcode >= 21 && opcode <= 34) {
        (void)nx_reader_u8(reader);
    } else if (opcode >= 84 && opcode <= 91) {
        skip_numbers(reader, 2);
        (void)nx_reader_u8(reader);
    }
    return opcode < 0x140;
}

static bool skip_vector_of(struct nx_reader *reader, void (*skip)(struct nx_reader *)) {
    const uint64_t count = nx_reader_varint(reader);
    for (uint64_t i = 0; i < count && nx_reader_ok(reader); i++) {
        skip(reader);
    }
    return true;
}

/* What stands behind this opcode; false when it is not known. */
static bool skip_immediates(struct nx_reader *reader, uint8_t opcode) {
    if (opcode >= 0x45 && opcode <= 0xc4) {
        return true;
    }
    if (opcode >= 0x28 && opcode <= 0x3e) {
        skip_numbers(reader, 2);
        return true;
    }
    if (opcode >= 0x20 && opcode <= 0x26) {
        skip_number(reader);
        return true;
    }
    switch (opcode) {
    case 0x00: /* unreachable */
    case 0x01: /* nop */
    case 0x05: /* else */
    case 0x0b: /* end */
    case 0x0f: /* return */
    case 0x1a: /* drop */
    case 0x1b: /* select */
    case 0xd1: /* ref.is_null */
        return true;
    case 0x02: /* block */
    case 0x03: /* loop */
    case 0x04: /* if */
        skip_value_type(reader);
        /* A type's index may be longer than the one byte of a value type. */
        while (nx_reader_ok(reader) && (reader->ptr[reader->offset - 1] & 0x80) != 0) {
            (void)nx_reader_u8(reader);
        }
        return true;
    case 0x0e: /* br_table */
        (void)skip_vector_of(reader, skip_number);
        skip_number(reader);
        return true;
    case 0x1c: /* select of types */
        return skip_vector_of(reader, skip_value_type);
    case 0x0c: /* br */
    case 0x0d: /* br_if */
    case 0x10: /* call */
    case 0x12: /* return_call */
    case 0x3f: /* memory.size */
    case 0x41: /* i32.const */
    case 0x42: /* i64.const */
    case 0xd0: /* ref.null */
    case 0xd2: /* ref.func */
        skip_number(reader);
        return true;
    case 0x11: /* call_indirect */
    case 0x13: /* return_call_indirect */
        skip_numbers(reader, 2);
        return true;
    case 0x43: /* f32.const */
        (void)nx_reader_bytes(reader, 4);
        return true;
    case 0x44: /* f64.const */
        (void)nx_reader_bytes(reader, 8);
        return true;
    case 0xfc:
        return skip_bulk(reader);
    case 0xfd:
        return skip_simd(reader);
    default:
        return false;
    }
}

/* Copy one function's body, memory.grow replaced; false when it has an instruction that is not known. */
static bool copy_body(struct nx_str body, uint32_t grow_index, struct nx_buf *out, bool *grows) {
    struct nx_reader reader = nx_reader_of(body);
    const uint64_t groups = nx_reader_varint(&reader);
    size_t copied = 0;
    for (uint64_t i = 0; i < groups && nx_reader_ok(&reader); i++) {
        skip_number(&reader);
        skip_value_type(&reader);
    }
    while (nx_reader_left(&reader) > 0) {
        const size_t start = reader.offset;
        const uint8_t opcode = nx_reader_u8(&reader);
        if (opcode == OPCODE_MEMORY_GROW) {
            skip_number(&reader);
            nx_buf_append(out, nx_str_slice(body, copied, start));
            nx_buf_append_u8(out, OPCODE_CALL);
            nx_buf_append_varint(out, grow_index);
            copied = reader.offset;
            *grows = true;
        } else if (!skip_immediates(&reader, opcode)) {
            return false;
        }
    }
    nx_buf_append(out, nx_str_slice(body, copied, body.len));
    return nx_reader_ok(&reader) && !nx_buf_failed(out);
}

/* (func (param i32) (result i32)
 *   (if (i32.eq (local.tee 0 (memory.grow (local.get 0))) (i32.const -1)) (then unreachable)) (local.get 0))
 */
static const uint8_t GROW_BODY[] = { 0x00, 0x20, 0x00, 0x40, 0x00, 0x22, 0x00, 0x41, 0x7f,
                                     0x46, 0x04, 0x40, 0x00, 0x0b, 0x20, 0x00, 0x0b };

static bool copy_code(const struct module *module, uint32_t grow_index, struct nx_buf *out, bool *grows) {
    struct nx_reader reader = nx_reader_of(module->sections[SECTION_CODE]);
    const uint64_t count = nx_reader_varint(&reader);
    NX_AUTO(nx_buf) body;
    nx_buf_init(&body, out->len_max);
    nx_buf_append_varint(out, count + 1);
    for (uint64_t i = 0; i < count; i++) {
        nx_buf_reset(&body);
        const struct nx_str original = nx_reader_varint_bytes(&reader);
        if (!nx_reader_ok(&reader) || !copy_body(original, grow_index, &body, grows)) {
            return false;
        }
        nx_buf_append_varint_bytes(out, nx_buf_str(&body));
    }
    nx_buf_append_varint_bytes(out, nx_str_of(GROW_BODY, sizeof GROW_BODY));
    return nx_reader_left(&reader) == 0 && !nx_buf_failed(out);
}

/* A section that is a count and elements, with one more element. */
static void append_grown(struct nx_str content, struct nx_str element, struct nx_buf *out) {
    struct nx_reader reader = nx_reader_of(content);
    const uint64_t count = nx_reader_varint(&reader);
    nx_buf_append_varint(out, count + 1);
    nx_buf_append(out, nx_reader_bytes(&reader, nx_reader_left(&reader)));
    nx_buf_append(out, element);
}

static bool copy_section(const struct module *module, uint8_t id, struct nx_str content, uint32_t grow_index,
                         struct nx_buf *out, bool *grows) {
    static const uint8_t grow_type[] = { TYPE_FUNCTION, 1, TYPE_I32, 1, TYPE_I32 };
    NX_AUTO(nx_buf) element;
    nx_buf_init(&element, 64);
    switch (id) {
    case SECTION_TYPE:
        append_grown(content, nx_str_of(grow_type, sizeof grow_type), out);
        break;
    case SECTION_FUNCTION:
        nx_buf_append_varint(&element, module->type_count);
        append_grown(content, nx_buf_str(&element), out);
        break;
    case SECTION_EXPORT:
        if (!module->has_stack_pointer) {
            nx_buf_append(out, content);
            break;
        }
        nx_buf_append_varint_bytes(&element, NX_STR(NX_STACK_POINTER_EXPORT));
        nx_buf_append_u8(&element, KIND_GLOBAL);
        nx_buf_append_varint(&element, 0);
        append_grown(content, nx_buf_str(&element), out);
        break;
    case SECTION_CODE:
        return copy_code(module, grow_index, out, grows);
    default:
        nx_buf_append(out, content);
        break;
    }
    return !nx_buf_failed(out) && !nx_buf_failed(&element);
}

bool nx_instrument(struct nx_str wasm, struct nx_buf *out, struct nx_instrument_report *report_out) {
    struct module module;
    *report_out = (struct nx_instrument_report){ 0 };
    if (!parse(wasm, &module) || module.imported_functions + module.function_count >= UINT32_MAX) {
        return false;
    }
    const uint32_t grow_index = (uint32_t)(module.imported_functions + module.function_count);
    bool grows = false;
    NX_AUTO(nx_buf) section;
    nx_buf_init(&section, out->len_max);
    struct nx_reader reader = nx_reader_of(wasm);
    nx_buf_append(out, nx_reader_bytes(&reader, HEADER_SIZE));
    while (nx_reader_left(&reader) > 0) {
        const uint8_t id = nx_reader_u8(&reader);
        const struct nx_str content = nx_reader_varint_bytes(&reader);
        nx_buf_reset(&section);
        if (!copy_section(&module, id, content, grow_index, &section, &grows)) {
            return false;
        }
        nx_buf_append_u8(out, id);
        nx_buf_append_varint_bytes(out, nx_buf_str(&section));
    }
    if (nx_buf_failed(out)) {
        return false;
    }
    report_out->grows = grows;
    report_out->grow_function_index = grow_index;
    return true;
}
