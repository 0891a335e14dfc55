/* src/app/code.c */
#include "app/code.h"

#include <stdio.h>

#include "base/buf.h"
#include "fabric/object/object.h"
#include "io/random.h"
#include "platform/function/invocation.h"
#include "sandbox/instance/call.h"

enum {
    PATH_SIZE_MAX = 4096,
    CALLS_MAX = 4, /* a command runs one at a time */
};

enum nx_status nx_code_read(struct nx_disk *disk, const struct nx_function *function, struct nx_buf *wasm,
                            struct nx_error *err) {
    const enum nx_status status = nx_disk_read_file(disk, function->code_path.ptr, wasm, err);

    if (status == NX_NOT_FOUND) {
        (void)nx_fail(err, NX_NOT_FOUND, "function %.*s: there is no %.*s", NX_STR_ARG(function->name),
                      NX_STR_ARG(function->code_path));
        nx_hint(err, function->build_command.len > 0 ? "build it by: nexus build"
                                                     : "compile it first, or let code: name the right file");
        return NX_NOT_FOUND;
    }
    return status == NX_OK ? NX_OK : nx_wrap(err, status, "function %.*s", NX_STR_ARG(function->name));
}

static enum nx_status read_module(struct nx_fabric *fabric, const struct nx_digest *digest,
                                  struct nx_buf *wasm, struct nx_error *err) {
    struct nx_object_get get;
    nx_object_get_init(&get, NX_OBJECTS_BUCKET, digest, wasm);
    for (;;) {
        NX_AUTO(nx_read) *read = NULL;
        NX_TRY(nx_object_get_next(&get, &read, err));
        if (read == NULL) {
            return NX_OK;
        }
        nx_fabric_read_now(fabric, read);
        NX_TRY(nx_object_get_take(&get, read, err));
    }
}

enum nx_status nx_code_find(struct nx_disk *disk, struct nx_fabric *fabric, const char *name,
                            struct nx_buf *wasm, struct nx_error *err) {
    struct nx_digest digest;
    enum nx_status status = nx_disk_read_file(disk, name, wasm, err);
    if (status != NX_NOT_FOUND) {
        return status;
    }
    if (nx_digest_parse(nx_str_from_c(name), &digest)) {
        status = read_module(fabric, &digest, wasm, err);
    }
    if (status == NX_NOT_FOUND) {
        (void)nx_fail(err, NX_NOT_FOUND, "there is no %s, and no module of this digest ran here", name);
        nx_hint(err, "name a .wasm file, or what GET /invocations calls 'module'");
    }
    return status;
}

enum nx_status nx_code_open_engine(const struct nx_config *config, struct nx_engine **engine_out,
                                   struct nx_error *err) {
    char cache[PATH_SIZE_MAX];
    const struct nx_random random = nx_random_system();
    (void)snprintf(cache, sizeof cache, "%.*s/modules", NX_STR_ARG(config->data));
    const struct nx_engine_options options = {
        .disk = nx_disk_system(), .cache_directory = cache, .random = &random, .calls_max = CALLS_MAX
    };
    return nx_sandbox_open(&options, engine_out, err); /* which does without where it cannot be written */
}

enum nx_status nx_code_check(struct nx_disk *disk, struct nx_engine *engine,
                             const struct nx_function *function, uint64_t *size_out, struct nx_error *err) {
    NX_AUTO(nx_buf) wasm = { 0 };
    NX_AUTO(nx_module) *module = NULL;

    nx_buf_init(&wasm, NX_MODULE_SIZE_MAX);
    NX_TRY(nx_code_read(disk, function, &wasm, err));
    const enum nx_status status =
        nx_module_load(engine, nx_buf_str(&wasm), function->memory_max, &module, err);
    if (status != NX_OK) {
        return nx_wrap(err, status, "function %.*s: %.*s", NX_STR_ARG(function->name),
                       NX_STR_ARG(function->code_path));
    }
    *size_out = wasm.len;
    return NX_OK;
}
