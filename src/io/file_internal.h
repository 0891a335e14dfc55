/* src/io/file_internal.h: what a disk must be able to do: the machine's (file_system.c) or the simulated one
 * (sim_disk.c). The functions of file.h are these, plus what can be built on them (file.c).
 *
 * The contracts are file.h's. `open` is given flags that were checked, offsets and lengths are never larger
 * than INT64_MAX. */
#pragma once

#include "io/file.h"

struct nx_disk_ops {
    enum nx_status (*open)(struct nx_disk *disk, const char *path, enum nx_file_flags flags,
                           struct nx_file **file_out, struct nx_error *err);
    void (*close)(struct nx_file *file);
    enum nx_status (*read_at)(struct nx_file *file, uint64_t offset, void *bytes, size_t len, size_t *len_out,
                              struct nx_error *err);
    enum nx_status (*write_at)(struct nx_file *file, uint64_t offset, const struct nx_str *parts,
                               size_t part_count, struct nx_error *err);
    enum nx_status (*sync)(struct nx_file *file, struct nx_error *err);
    enum nx_status (*preallocate)(struct nx_file *file, uint64_t size, struct nx_error *err);
    enum nx_status (*truncate)(struct nx_file *file, uint64_t size, struct nx_error *err);
    enum nx_status (*punch_hole)(struct nx_file *file, uint64_t offset, uint64_t len, struct nx_error *err);
    enum nx_status (*size)(struct nx_file *file, uint64_t *size_out, struct nx_error *err);
    enum nx_status (*map)(struct nx_file *file, size_t len, const uint8_t **bytes_out, struct nx_error *err);
    /* One directory; its parent exists. NX_ALREADY_EXISTS also when a file has the name. */
    enum nx_status (*make_directory)(struct nx_disk *disk, const char *path, struct nx_error *err);
    enum nx_status (*list)(struct nx_disk *disk, const char *path, nx_disk_visit *visit, void *data,
                           struct nx_error *err);
    enum nx_status (*rename)(struct nx_disk *disk, const char *from, const char *to, struct nx_error *err);
    enum nx_status (*unlink)(struct nx_disk *disk, const char *path, struct nx_error *err);
    enum nx_status (*sync_directory)(struct nx_disk *disk, const char *path, struct nx_error *err);
    enum nx_status (*space)(struct nx_disk *disk, const char *path, uint64_t *free_out, struct nx_error *err);
    enum nx_status (*lock)(struct nx_disk *disk, const char *path, struct nx_disk_lock **lock_out,
                           uint64_t *holder_pid_out, struct nx_error *err);
    void (*unlock)(struct nx_disk_lock *lock);
    bool (*is_locked)(struct nx_disk *disk, const char *path, uint64_t *holder_pid_out);
};

/* Each is the first member of the implementation's own. */
struct nx_disk {
    const struct nx_disk_ops *ops;
};
struct nx_file {
    struct nx_disk *disk;
};
struct nx_disk_lock {
    struct nx_disk *disk;
};

/** Fail because of `error` (an errno): "cannot <what> '<path>': <its text>", with the status and kind that
 * file.h promises for it. */
enum nx_status nx_file_fail(struct nx_error *err, int error, const char *what, const char *path);
/** Fail because another process holds the lock at `path`. */
enum nx_status nx_disk_lock_fail(struct nx_error *err, const char *path, uint64_t holder_pid);
