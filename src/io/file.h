/* src/io/file.h: files and directories, on the machine's disk or in a simulated one.
 *
 * Everything that touches a disk goes through struct nx_disk, so that tests can cut the power, fill the disk
 * or make a sync fail. Paths are plain NUL-terminated strings; short reads and writes are completed here. A
 * write is only safe after nx_file_sync(); a new, renamed or unlinked name only after
 * nx_disk_sync_directory(). After a failed sync nothing is known about the file: never retry it. Threads: a
 * disk may be used by all threads, a file by one at a time, except nx_file_read_at() and nx_file_map(). */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/own.h"
#include "base/str.h"

struct nx_disk; /* opened by nx_disk_system() or by io/sim */
struct nx_file;

enum nx_file_flags {
    NX_FILE_READ = 0,              /* must exist */
    NX_FILE_WRITE = 1,             /* for reading and writing */
    NX_FILE_CREATE = 1 | 2,        /* created if absent, for reading and writing, mode 0600 */
    NX_FILE_EXCLUSIVE = 1 | 2 | 4, /* must not exist */
    NX_FILE_TRUNCATE = 1 | 2 | 8,  /* emptied if present */
};

/** The machine's disk; static storage, never closed. */
struct nx_disk *nx_disk_system(void);

/** Ownership: the caller ends `*file_out` with nx_file_close().
 * Errors:    NX_NOT_FOUND            absent, and not to be created
 *            NX_ALREADY_EXISTS       present, and NX_FILE_EXCLUSIVE
 *            NX_PERMISSION_DENIED    not allowed, or a read-only disk
 *            NX_RESOURCE_EXHAUSTED   kind disk-full, or no memory or descriptors
 *            NX_UNAVAILABLE          the disk refused otherwise (also for all calls below) */
NX_MUST_CHECK enum nx_status nx_file_open(struct nx_disk *disk, const char *path, enum nx_file_flags flags,
                                          struct nx_file **file_out, struct nx_error *err);
/** Does not sync. NULL allowed. */
void nx_file_close(struct nx_file *file);
/** Read up to `len` bytes; fewer only at the end of the file. */
NX_MUST_CHECK enum nx_status nx_file_read_at(struct nx_file *file, uint64_t offset, void *bytes, size_t len,
                                             size_t *len_out, struct nx_error *err);
/** Write all parts one after the other, in as few system calls as can be. On failure part of it may be
 * written. Errors: NX_RESOURCE_EXHAUSTED with kind disk-full */
NX_MUST_CHECK enum nx_status nx_file_write_at(struct nx_file *file, uint64_t offset,
                                              const struct nx_str *parts, size_t part_count,
                                              struct nx_error *err);
/** Put the bytes, and what is needed to find them, on disk (fdatasync). */
NX_MUST_CHECK enum nx_status nx_file_sync(struct nx_file *file, struct nx_error *err);
/** Reserve space so that writes below `size` cannot fill the disk; the file is at least `size` bytes long
 * afterwards and reads as zeros where nothing was written. Where the disk cannot reserve, zeros are written
 * behind the end. Errors: kind disk-full. */
NX_MUST_CHECK enum nx_status nx_file_preallocate(struct nx_file *file, uint64_t size, struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_file_truncate(struct nx_file *file, uint64_t size, struct nx_error *err);
/** Give back the space of a range, which then reads as zeros. Where the disk cannot, nothing happens. */
NX_MUST_CHECK enum nx_status nx_file_punch_hole(struct nx_file *file, uint64_t offset, uint64_t len,
                                                struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_file_size(struct nx_file *file, uint64_t *size_out, struct nx_error *err);
/** A read-only view of the first `len` bytes, which shows later writes to them; valid until nx_file_close().
 * At most one view a file; bytes past the end of the file must not be touched. */
NX_MUST_CHECK enum nx_status nx_file_map(struct nx_file *file, size_t len, const uint8_t **bytes_out,
                                         struct nx_error *err);

struct nx_disk_entry {
    struct nx_str name;
    bool is_directory;
    uint64_t size;
};
/** Called for each entry but "." and "..", in no order. Returns false to stop. */
typedef bool nx_disk_visit(void *data, const struct nx_disk_entry *entry);

/** Create the directory and its parents, mode 0700, their names safe on disk; present is fine. */
NX_MUST_CHECK enum nx_status nx_disk_make_directory(struct nx_disk *disk, const char *path,
                                                    struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_disk_list(struct nx_disk *disk, const char *path, nx_disk_visit *visit,
                                          void *data, struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_disk_rename(struct nx_disk *disk, const char *from, const char *to,
                                            struct nx_error *err);
/** Errors: NX_NOT_FOUND */
NX_MUST_CHECK enum nx_status nx_disk_unlink(struct nx_disk *disk, const char *path, struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_disk_sync_directory(struct nx_disk *disk, const char *path,
                                                    struct nx_error *err);
/** Bytes free for us on the file system that holds `path`. */
NX_MUST_CHECK enum nx_status nx_disk_space(struct nx_disk *disk, const char *path, uint64_t *free_out,
                                           struct nx_error *err);
/** Append the whole file to `content`. Errors: also too-large (the buffer's maximum). */
NX_MUST_CHECK enum nx_status nx_disk_read_file(struct nx_disk *disk, const char *path, struct nx_buf *content,
                                               struct nx_error *err);
/** Replace or create the file so that a crash leaves the old content or the new, never a mixture: write
 * beside it, sync, rename, sync the directory. */
NX_MUST_CHECK enum nx_status nx_disk_write_file(struct nx_disk *disk, const char *path, struct nx_str content,
                                                struct nx_error *err);

struct nx_disk_lock;
/** Take the directory for this process by the file `path`, which then names our process id; given back when
 * the process ends, however it ends. Errors: NX_FAILED_PRECONDITION with kind data-directory-in-use;
 * *holder_pid_out is then the holder's id, or 0 */
NX_MUST_CHECK enum nx_status nx_disk_lock(struct nx_disk *disk, const char *path,
                                          struct nx_disk_lock **lock_out, uint64_t *holder_pid_out,
                                          struct nx_error *err);
void nx_disk_unlock(struct nx_disk_lock *lock);
/** True while a process holds the lock; *holder_pid_out is then its id, or 0. Neither takes nor writes
 * anything. False also where the file is absent or may not be read. */
bool nx_disk_is_locked(struct nx_disk *disk, const char *path, uint64_t *holder_pid_out);

NX_DEFINE_AUTO(nx_file, nx_file_close)
NX_DEFINE_AUTO(nx_disk_lock, nx_disk_unlock)
