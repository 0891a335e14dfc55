#include "platform/function/module_store.h"

#include <stdio.h>

enum { PATH_SIZE = 4096 };

static enum nx_status path_of(char path_out[PATH_SIZE], const char *directory, const struct nx_digest *digest,
                              struct nx_error *err) {
    char text[NX_DIGEST_TEXT_SIZE + 1];
    (void)nx_digest_format(digest, text);
    const int len = snprintf(path_out, PATH_SIZE, "%s/modules/%s.wasm", directory, text);
    return len > 0 && len < PATH_SIZE
               ? NX_OK
               : nx_fail(err, NX_INVALID_ARGUMENT, "the path of the data directory is too long");
}

enum nx_status nx_module_store_put(struct nx_disk *disk, const char *directory,
                                   const struct nx_digest *digest, struct nx_str wasm, struct nx_error *err) {
    char path[PATH_SIZE];
    NX_AUTO(nx_file) *file = NULL;
    uint64_t size = 0;
    NX_TRY(path_of(path, directory, digest, err));
    /* Written as a whole or not at all: a file of the right size is the right file, unless the disk damaged
     * it, and then a replay will say so. */
    if (nx_file_open(disk, path, NX_FILE_READ, &file, NULL) == NX_OK &&
        nx_file_size(file, &size, NULL) == NX_OK && size == wasm.len) {
        return NX_OK;
    }
    char modules[PATH_SIZE];
    (void)snprintf(modules, sizeof modules, "%s/modules", directory);
    NX_TRY(nx_disk_make_directory(disk, modules, err));
    const enum nx_status status = nx_disk_write_file(disk, path, wasm, err);
    return status == NX_OK ? NX_OK : nx_wrap(err, status, "cannot keep the module for replays");
}

enum nx_status nx_module_store_get(struct nx_disk *disk, const char *directory,
                                   const struct nx_digest *digest, struct nx_buf *wasm_out,
                                   struct nx_error *err) {
    char path[PATH_SIZE];
    NX_TRY(path_of(path, directory, digest, err));
    const size_t before = wasm_out->len;
    NX_TRY(nx_disk_read_file(disk, path, wasm_out, err));
    const struct nx_digest found = nx_digest_of(nx_str_slice(nx_buf_str(wasm_out), before, wasm_out->len));
    if (!nx_digest_equal(&found, digest)) {
        nx_buf_truncate(wasm_out, before);
        return nx_fail(err, NX_DATA_LOSS, "the module kept in '%s' is damaged", path);
    }
    return NX_OK;
}
