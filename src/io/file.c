#include "io/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "io/file_internal.h"

enum { PATH_SIZE_MAX = 4096, READ_SIZE = 64 * 1024 };

/* ---- errors ---- */

static enum nx_status fail_of_errno(int error, enum nx_kind *kind_out) {
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return NX_NOT_FOUND;
    case EEXIST:
        return NX_ALREADY_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return NX_PERMISSION_DENIED;
    case ENOSPC:
    case EDQUOT:
        *kind_out = NX_KIND_DISK_FULL;
        return NX_RESOURCE_EXHAUSTED;
    case ENOMEM:
        *kind_out = NX_KIND_OUT_OF_MEMORY;
        return NX_RESOURCE_EXHAUSTED;
    case EMFILE:
    case ENFILE:
        return NX_RESOURCE_EXHAUSTED;
    default:
        return NX_UNAVAILABLE;
    }
}

enum nx_status nx_file_fail(struct nx_error *err, int error, const char *what, const char *path) {
    enum nx_kind kind = NX_KIND_NONE;
    const enum nx_status status = fail_of_errno(error, &kind);
    if (kind != NX_KIND_NONE) {
        (void)nx_fail_kind(err, kind, "cannot %s '%s': %s", what, path, strerror(error));
    } else {
        (void)nx_fail(err, status, "cannot %s '%s': %s", what, path, strerror(error));
    }
    if (error == EROFS) {
        nx_hint(err, "the file system is mounted read-only: mount it writable, or choose another directory");
    } else if (error == ENOSPC || error == EDQUOT) {
        nx_hint(err, "free some space on this disk, or let 'data' in nexus.yaml name a folder on another");
    } else if (error == EMFILE) {
        nx_hint(err, "raise the limit on open files (ulimit -n)");
    }
    return status;
}

enum nx_status nx_disk_lock_fail(struct nx_error *err, const char *path, uint64_t holder_pid) {
    if (holder_pid == 0) {
        return nx_fail_kind(err, NX_KIND_LOCKED, "'%s' is held by another process", path);
    }
    return nx_fail_kind(err, NX_KIND_LOCKED, "'%s' is held by process %" PRIu64, path, holder_pid);
}

/* ---- files ---- */

enum nx_status nx_file_open(struct nx_disk *disk, const char *path, enum nx_file_flags flags,
                            struct nx_file **file_out, struct nx_error *err) {
    nx_assert(path[0] != '\0');
    return disk->ops->open(disk, path, flags, file_out, err);
}

void nx_file_close(struct nx_file *file) {
    if (file != NULL) {
        file->disk->ops->close(file);
    }
}

enum nx_status nx_file_read_at(struct nx_file *file, uint64_t offset, void *bytes, size_t len,
                               size_t *len_out, struct nx_error *err) {
    nx_assert(offset <= INT64_MAX);
    return file->disk->ops->read_at(file, offset, bytes, len, len_out, err);
}

enum nx_status nx_file_write_at(struct nx_file *file, uint64_t offset, const struct nx_str *parts,
                                size_t part_count, struct nx_error *err) {
    nx_assert(offset <= INT64_MAX);
    return file->disk->ops->write_at(file, offset, parts, part_count, err);
}

enum nx_status nx_file_sync(struct nx_file *file, struct nx_error *err) {
    return file->disk->ops->sync(file, err);
}

enum nx_status nx_file_preallocate(struct nx_file *file, uint64_t size, struct nx_error *err) {
    nx_assert(size <= INT64_MAX);
    return file->disk->ops->preallocate(file, size, err);
}

enum nx_status nx_file_truncate(struct nx_file *file, uint64_t size, struct nx_error *err) {
    nx_assert(size <= INT64_MAX);
    return file->disk->ops->truncate(file, size, err);
}

enum nx_status nx_file_punch_hole(struct nx_file *file, uint64_t offset, uint64_t len, struct nx_error *err) {
    nx_assert(offset <= INT64_MAX && len <= INT64_MAX - offset);
    return len == 0 ? NX_OK : file->disk->ops->punch_hole(file, offset, len, err);
}

enum nx_status nx_file_size(struct nx_file *file, uint64_t *size_out, struct nx_error *err) {
    return file->disk->ops->size(file, size_out, err);
}

enum nx_status nx_file_map(struct nx_file *file, size_t len, const uint8_t **bytes_out,
                           struct nx_error *err) {
    nx_assert(len > 0);
    return file->disk->ops->map(file, len, bytes_out, err);
}

/* ---- directories ---- */

/** Copy the directory that holds `path` to `parent_out` (PATH_SIZE_MAX bytes): "/" and "." have themselves.
 */
static void parent_of(const char *path, char *parent_out) {
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    while (len > 0 && path[len - 1] != '/') {
        len--;
    }
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    if (len == 0) {
        (void)snprintf(parent_out, PATH_SIZE_MAX, ".");
        return;
    }
    (void)snprintf(parent_out, PATH_SIZE_MAX, "%.*s", (int)len, path);
}

static enum nx_status check_path(const char *path, size_t extra_len, struct nx_error *err) {
    if (strlen(path) + extra_len >= PATH_SIZE_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "a path of %zu bytes is too long", strlen(path));
    }
    return NX_OK;
}

/** Make the one directory and put its name on disk; present is fine. */
static enum nx_status make_one_directory(struct nx_disk *disk, const char *path, struct nx_error *err) {
    char parent[PATH_SIZE_MAX];
    const enum nx_status status = disk->ops->make_directory(disk, path, err);
    if (status == NX_ALREADY_EXISTS) {
        return NX_OK;
    }
    NX_TRY(status);
    parent_of(path, parent);
    return disk->ops->sync_directory(disk, parent, err);
}

enum nx_status nx_disk_make_directory(struct nx_disk *disk, const char *path, struct nx_error *err) {
    char prefix[PATH_SIZE_MAX];
    NX_TRY(check_path(path, 0, err));
    for (size_t i = 1; path[i] != '\0'; i++) {
        if (path[i] == '/' && path[i - 1] != '/') {
            (void)snprintf(prefix, sizeof prefix, "%.*s", (int)i, path);
            NX_TRY(make_one_directory(disk, prefix, err));
        }
    }
    return make_one_directory(disk, path, err);
}

enum nx_status nx_disk_list(struct nx_disk *disk, const char *path, nx_disk_visit *visit, void *data,
                            struct nx_error *err) {
    return disk->ops->list(disk, path, visit, data, err);
}

enum nx_status nx_disk_rename(struct nx_disk *disk, const char *from, const char *to, struct nx_error *err) {
    return disk->ops->rename(disk, from, to, err);
}

enum nx_status nx_disk_unlink(struct nx_disk *disk, const char *path, struct nx_error *err) {
    return disk->ops->unlink(disk, path, err);
}

enum nx_status nx_disk_sync_directory(struct nx_disk *disk, const char *path, struct nx_error *err) {
    return disk->ops->sync_directory(disk, path, err);
}

enum nx_status nx_disk_space(struct nx_disk *disk, const char *path, uint64_t *free_out,
                             struct nx_error *err) {
    return disk->ops->space(disk, path, free_out, err);
}

/* ---- whole files ---- */

enum nx_status nx_disk_read_file(struct nx_disk *disk, const char *path, struct nx_buf *content,
                                 struct nx_error *err) {
    NX_AUTO(nx_file) *file = NULL;
    NX_TRY(nx_file_open(disk, path, NX_FILE_READ, &file, err));
    /* To the end, not up to the size: files of the kernel say that they are empty. */
    for (uint64_t offset = 0;;) {
        size_t len;
        size_t want = content->len_max - content->len;
        want = want == 0 ? 1 : want; /* one byte more shows that the file passes the maximum */
        want = want > READ_SIZE ? READ_SIZE : want;
        if (content->len == content->len_max) {
            char byte;
            NX_TRY(nx_file_read_at(file, offset, &byte, 1, &len, err));
            if (len == 0) {
                return NX_OK;
            }
            return nx_fail_kind(err, NX_KIND_TOO_LARGE, "'%s' is longer than %zu bytes", path,
                                content->len_max);
        }
        if (!nx_buf_reserve(content, want)) {
            return nx_buf_check(content, err);
        }
        NX_TRY(nx_file_read_at(file, offset, content->ptr + content->len, want, &len, err));
        content->len += len;
        offset += len;
        if (len < want) {
            return NX_OK;
        }
    }
}

/** Write the new file and put its bytes, not yet its name, on disk. */
static enum nx_status write_synced(struct nx_disk *disk, const char *path, struct nx_str content,
                                   struct nx_error *err) {
    NX_AUTO(nx_file) *file = NULL;
    NX_TRY(nx_file_open(disk, path, NX_FILE_TRUNCATE, &file, err));
    NX_TRY(nx_file_write_at(file, 0, &content, 1, err));
    return nx_file_sync(file, err);
}

enum nx_status nx_disk_write_file(struct nx_disk *disk, const char *path, struct nx_str content,
                                  struct nx_error *err) {
    char beside[PATH_SIZE_MAX];
    char parent[PATH_SIZE_MAX];
    NX_TRY(check_path(path, sizeof ".new", err));
    (void)snprintf(beside, sizeof beside, "%s.new", path);
    parent_of(path, parent);
    enum nx_status status = write_synced(disk, beside, content, err);
    if (status == NX_OK) {
        status = nx_disk_rename(disk, beside, path, err);
    }
    if (status != NX_OK) {
        struct nx_error ignored; /* the first failure is the one to tell */
        const enum nx_status unlinked = nx_disk_unlink(disk, beside, &ignored);
        (void)unlinked;
        return status;
    }
    return nx_disk_sync_directory(disk, parent, err);
}

/* ---- the lock ---- */

enum nx_status nx_disk_lock(struct nx_disk *disk, const char *path, struct nx_disk_lock **lock_out,
                            uint64_t *holder_pid_out, struct nx_error *err) {
    return disk->ops->lock(disk, path, lock_out, holder_pid_out, err);
}

void nx_disk_unlock(struct nx_disk_lock *lock) {
    if (lock != NULL) {
        lock->disk->ops->unlock(lock);
    }
}

bool nx_disk_is_locked(struct nx_disk *disk, const char *path, uint64_t *holder_pid_out) {
    return disk->ops->is_locked(disk, path, holder_pid_out);
}
