/* src/sandbox/engine/module_cache.c: compiled modules on disk.
 *
 *   <cache_directory>/<key>.cwasm:  "NXCW" | u32 format | HMAC-SHA-256 of all the rest | key | content
 *   content:                        u8 grows | u32 grow function index (instrument.h) | compiled code
 *   <cache_directory>/key:          32 random bytes, made once
 *
 * The code in such a file is executed, and Wasmtime trusts it. So a file counts only if we wrote it: the hash
 * is keyed with bytes that only this data directory has. Anything else is compiled anew and replaced. A cache
 * that cannot be written is no error: the module has been compiled. */
#include <cpuid.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "sandbox/engine/wasm.h"

enum {
    FORMAT = 1,
    HEADER_SIZE = 4 + 4 + NX_DIGEST_SIZE + NX_DIGEST_SIZE,
    CONTENT_HEADER_SIZE = 1 + 4,
    FILE_SIZE_MAX = 1024 * 1024 * 1024,
    PATH_SIZE_MAX = 4096,
    HMAC_BLOCK = 64,
};

static struct nx_digest keyed_hash(const uint8_t key[NX_DIGEST_SIZE], const struct nx_digest *name,
                                   struct nx_str content) {
    uint8_t inner_pad[HMAC_BLOCK];
    uint8_t outer_pad[HMAC_BLOCK];
    for (size_t i = 0; i < HMAC_BLOCK; i++) {
        const uint8_t byte = i < NX_DIGEST_SIZE ? key[i] : 0;
        inner_pad[i] = byte ^ 0x36;
        outer_pad[i] = byte ^ 0x5c;
    }
    const struct nx_str inner_parts[] = { nx_str_of(inner_pad, HMAC_BLOCK),
                                          nx_str_of(name->bytes, NX_DIGEST_SIZE), content };
    const struct nx_digest inner = nx_digest_of_parts(inner_parts, 3);
    const struct nx_str outer_parts[] = { nx_str_of(outer_pad, HMAC_BLOCK),
                                          nx_str_of(inner.bytes, NX_DIGEST_SIZE) };
    return nx_digest_of_parts(outer_parts, 2);
}

/* What code may be generated for: compiled code of one machine does not run on an older one. */
static struct nx_digest cpu_digest(void) {
    unsigned registers[12] = { 0 };
    (void)__get_cpuid(1, &registers[0], &registers[1], &registers[2], &registers[3]);
    registers[1] = 0; /* which core we run on, among others */
    (void)__get_cpuid_count(7, 0, &registers[4], &registers[5], &registers[6], &registers[7]);
    (void)__get_cpuid(0x80000001u, &registers[8], &registers[9], &registers[10], &registers[11]);
    registers[2] &= ~(1u << 27); /* OSXSAVE: the kernel's, and the same for all of a boot */
    return nx_digest_of(nx_str_of(registers, sizeof registers));
}

enum nx_status nx_module_cache_open(struct nx_engine *engine, const struct nx_random *random,
                                    struct nx_error *err) {
    char path[PATH_SIZE_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/key", engine->cache_directory) >= sizeof path) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "the path of the module cache is too long");
    }
    NX_AUTO(nx_buf) content;
    nx_buf_init(&content, 4096);
    engine->cpu = cpu_digest();
    if (nx_disk_read_file(engine->disk, path, &content, NULL) == NX_OK && content.len == NX_DIGEST_SIZE) {
        memcpy(engine->cache_key, content.ptr, NX_DIGEST_SIZE);
        return NX_OK;
    }
    nx_random_fill(random, engine->cache_key, NX_DIGEST_SIZE);
    enum nx_status status = engine->cache_read_only
                                ? NX_PERMISSION_DENIED
                                : nx_disk_make_directory(engine->disk, engine->cache_directory, err);
    if (status == NX_OK) {
        status = nx_disk_write_file(engine->disk, path, nx_str_of(engine->cache_key, NX_DIGEST_SIZE), err);
    }
    if (status != NX_OK) {
        /* A read-only directory (a tool beside a stopped server): compile in memory, keep nothing. */
        free(engine->cache_directory);
        engine->cache_directory = NULL;
    }
    return NX_OK;
}

static struct nx_digest cache_name(const struct nx_engine *engine, const struct nx_digest *digest) {
    const uint64_t settings = nx_engine_settings_digest();
    const struct nx_str parts[] = { nx_str_of(digest->bytes, NX_DIGEST_SIZE), nx_engine_build(),
                                    nx_str_of(&settings, sizeof settings),
                                    nx_str_of(engine->cpu.bytes, NX_DIGEST_SIZE) };
    return nx_digest_of_parts(parts, sizeof parts / sizeof parts[0]);
}

static bool cache_path(const struct nx_engine *engine, const struct nx_digest *name,
                       char path[PATH_SIZE_MAX]) {
    char text[NX_DIGEST_TEXT_SIZE + 1];
    (void)nx_digest_format(name, text);
    return (size_t)snprintf(path, PATH_SIZE_MAX, "%s/%s.cwasm", engine->cache_directory, text) <
           PATH_SIZE_MAX;
}

/* The content in the file's bytes, if we wrote them for this very name. */
static bool verify(const struct nx_engine *engine, const struct nx_digest *name, struct nx_str file,
                   struct nx_str *content_out) {
    struct nx_reader reader = nx_reader_of(file);
    const struct nx_str magic = nx_reader_bytes(&reader, 4);
    const uint32_t format = nx_reader_u32(&reader);
    const struct nx_str hash = nx_reader_bytes(&reader, NX_DIGEST_SIZE);
    const struct nx_str stored_name = nx_reader_bytes(&reader, NX_DIGEST_SIZE);
    const struct nx_str content = nx_reader_bytes(&reader, nx_reader_left(&reader));
    if (!nx_reader_ok(&reader) || !nx_str_is(magic, "NXCW") || format != FORMAT ||
        !nx_str_equal(stored_name, nx_str_of(name->bytes, NX_DIGEST_SIZE))) {
        return false;
    }
    const struct nx_digest expected = keyed_hash(engine->cache_key, name, content);
    if (!nx_str_equal(hash, nx_str_of(expected.bytes, NX_DIGEST_SIZE))) {
        return false;
    }
    *content_out = content;
    return true;
}

/* False when there is no usable file; *present_out says whether there was one. */
static bool read_cached(struct nx_module *module, const struct nx_digest *name, const char *path,
                        bool *present_out) {
    struct nx_engine *engine = module->engine;
    NX_AUTO(nx_buf) file;
    nx_buf_init(&file, FILE_SIZE_MAX);
    const enum nx_status status = nx_disk_read_file(engine->disk, path, &file, NULL);
    *present_out = status != NX_NOT_FOUND;
    struct nx_str content;
    if (status != NX_OK || !verify(engine, name, nx_buf_str(&file), &content)) {
        return false;
    }
    struct nx_reader reader = nx_reader_of(content);
    module->instrument.grows = nx_reader_u8(&reader) == 1;
    module->instrument.grow_function_index = nx_reader_u32(&reader);
    const struct nx_str code = nx_reader_bytes(&reader, nx_reader_left(&reader));
    wasmtime_error_t *error = wasmtime_module_deserialize(module->pool->engine, (const uint8_t *)code.ptr,
                                                          code.len, &module->module);
    if (error != NULL) {
        wasmtime_error_delete(error);
        return false;
    }
    module->origin = NX_MODULE_FROM_CACHE;
    return true;
}

static void write_cached(const struct nx_module *module, const struct nx_digest *name, const char *path) {
    struct nx_engine *engine = module->engine;
    wasm_byte_vec_t code;
    wasmtime_error_t *error = wasmtime_module_serialize(module->module, &code);
    if (error != NULL) {
        wasmtime_error_delete(error);
        return;
    }
    NX_AUTO(nx_buf) content;
    NX_AUTO(nx_buf) file;
    nx_buf_init(&content, FILE_SIZE_MAX);
    nx_buf_init(&file, FILE_SIZE_MAX);
    (void)nx_buf_reserve(&content, CONTENT_HEADER_SIZE + code.size);
    nx_buf_append_u8(&content, module->instrument.grows ? 1 : 0);
    nx_buf_append_u32(&content, module->instrument.grow_function_index);
    nx_buf_append(&content, nx_str_of(code.data, code.size));
    wasm_byte_vec_delete(&code);
    const struct nx_digest hash = keyed_hash(engine->cache_key, name, nx_buf_str(&content));
    (void)nx_buf_reserve(&file, HEADER_SIZE + content.len);
    nx_buf_append(&file, NX_STR("NXCW"));
    nx_buf_append_u32(&file, FORMAT);
    nx_buf_append(&file, nx_str_of(hash.bytes, NX_DIGEST_SIZE));
    nx_buf_append(&file, nx_str_of(name->bytes, NX_DIGEST_SIZE));
    nx_buf_append(&file, nx_buf_str(&content));
    if (!nx_buf_failed(&content) && !nx_buf_failed(&file)) {
        (void)!nx_disk_write_file(engine->disk, path, nx_buf_str(&file), NULL);
    }
}

static enum nx_status compile(struct nx_module *module, struct nx_str wasm, struct nx_error *err) {
    NX_AUTO(nx_buf) changed;
    nx_buf_init(&changed, (size_t)NX_MODULE_SIZE_MAX * 2);
    const struct nx_str source =
        nx_instrument(wasm, &changed, &module->instrument) ? nx_buf_str(&changed) : wasm;
    wasmtime_error_t *error =
        wasmtime_module_new(module->pool->engine, (const uint8_t *)source.ptr, source.len, &module->module);
    if (error != NULL) {
        return nx_wrap(err, nx_wasm_fail(err, NX_INVALID_ARGUMENT, error), "not a WebAssembly module");
    }
    return NX_OK;
}

enum nx_status nx_module_cache_load(struct nx_module *module, struct nx_str wasm, struct nx_error *err) {
    char path[PATH_SIZE_MAX];
    const struct nx_digest name = cache_name(module->engine, &module->digest);
    const bool cached = module->engine->cache_directory != NULL && cache_path(module->engine, &name, path);
    bool present = false;

    if (cached && read_cached(module, &name, path, &present)) {
        return NX_OK;
    }
    NX_TRY(compile(module, wasm, err));
    module->origin = present ? NX_MODULE_RECOMPILED : NX_MODULE_COMPILED;
    return NX_OK;
}

void nx_module_cache_keep(const struct nx_module *module) {
    char path[PATH_SIZE_MAX];
    const struct nx_engine *engine = module->engine;
    const struct nx_digest name = cache_name(engine, &module->digest);
    if (module->origin == NX_MODULE_FROM_CACHE) {
        return;
    }
    if (engine->cache_directory != NULL && !engine->cache_read_only && cache_path(engine, &name, path)) {
        write_cached(module, &name, path);
    }
    /* A compilation leaves megabytes that were freed and not given back, and a server compiles seldom. */
    (void)malloc_trim(0);
}

bool nx_module_cache_has(const struct nx_engine *engine, const struct nx_digest *digest) {
    char path[PATH_SIZE_MAX];
    NX_AUTO(nx_file) *file = NULL;
    const struct nx_digest name = cache_name(engine, digest);
    return engine->cache_directory != NULL && cache_path(engine, &name, path) &&
           nx_file_open(engine->disk, path, NX_FILE_READ, &file, NULL) == NX_OK;
}
