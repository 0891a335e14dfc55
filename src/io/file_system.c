/* The machine's disk. */
#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/file_internal.h"

enum {
    FILE_MODE = 0600,
    DIRECTORY_MODE = 0700,
    PARTS_MAX = 256,        /* parts in one system call (IOV_MAX is 1024); more take several */
    ZEROS_SIZE = 64 * 1024, /* one write of the fallback for disks that cannot reserve space */
    PID_TEXT_SIZE = 24,
};
_Static_assert((int)PARTS_MAX <= IOV_MAX, "one system call takes that many parts");

struct system_file {
    struct nx_file base;
    int fd;
    uint8_t *view; /* NULL when not mapped */
    size_t view_len;
    char path[]; /* for messages */
};

static struct system_file *system_file_of(struct nx_file *file) {
    return (struct system_file *)(void *)file;
}

static enum nx_status fail(struct nx_error *err, const char *what, struct nx_file *file) {
    return nx_file_fail(err, errno, what, system_file_of(file)->path);
}

/** As open(2), but not cut short by signals; closed on exec. */
static int open_descriptor(const char *path, int flags) {
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, FILE_MODE);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* ---- files ---- */

static enum nx_status system_open(struct nx_disk *disk, const char *path, enum nx_file_flags flags,
                                  struct nx_file **file_out, struct nx_error *err) {
    const unsigned bits = (unsigned)flags;
    int open_flags = (bits & NX_FILE_WRITE) != 0 ? O_RDWR : O_RDONLY;
    open_flags |= (bits & 2) != 0 ? O_CREAT : 0;
    open_flags |= (bits & 4) != 0 ? O_EXCL : 0;
    open_flags |= (bits & 8) != 0 ? O_TRUNC : 0;

    const size_t path_size = strlen(path) + 1;
    struct system_file *file = malloc(sizeof *file + path_size);
    if (file == NULL) {
        return nx_fail_memory(err);
    }
    const int fd = open_descriptor(path, open_flags);
    if (fd < 0) {
        const int error = errno;
        free(file);
        return nx_file_fail(err, error, (bits & 4) != 0 ? "create" : "open", path);
    }
    *file = (struct system_file){ .base = { disk }, .fd = fd };
    memcpy(file->path, path, path_size);
    *file_out = &file->base;
    return NX_OK;
}

static void system_close(struct nx_file *base) {
    struct system_file *file = system_file_of(base);
    if (file->view != NULL) {
        nx_assert(munmap(file->view, file->view_len) == 0);
    }
    (void)close(file->fd); /* what close could report, sync has reported or nobody asked for */
    free(file);
}

static enum nx_status system_read_at(struct nx_file *file, uint64_t offset, void *bytes, size_t len,
                                     size_t *len_out, struct nx_error *err) {
    size_t done = 0;
    while (done < len) {
        const ssize_t count =
            pread(system_file_of(file)->fd, (char *)bytes + done, len - done, (off_t)(offset + done));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return fail(err, "read", file);
        }
        if (count == 0) {
            break;
        }
        done += (size_t)count;
    }
    *len_out = done;
    return NX_OK;
}

/** Drop the first `len` bytes from the parts at *next. */
static void consume_parts(struct iovec *parts, size_t part_count, size_t *next, size_t len) {
    while (*next < part_count && len >= parts[*next].iov_len) {
        len -= parts[*next].iov_len;
        (*next)++;
    }
    if (len > 0) {
        nx_assert(*next < part_count);
        parts[*next].iov_base = (char *)parts[*next].iov_base + len;
        parts[*next].iov_len -= len;
    }
}

/** Write these parts completely and move *offset behind them. */
static enum nx_status write_some(struct nx_file *file, uint64_t *offset, struct iovec *parts,
                                 size_t part_count, struct nx_error *err) {
    for (size_t next = 0;;) {
        consume_parts(parts, part_count, &next, 0); /* skips empty parts */
        if (next == part_count) {
            return NX_OK;
        }
        const ssize_t count =
            pwritev(system_file_of(file)->fd, parts + next, (int)(part_count - next), (off_t)*offset);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count == 0) {
            errno = ENOSPC; /* nothing written and no error: the disk takes no more */
        }
        if (count <= 0) {
            return fail(err, "write", file);
        }
        *offset += (uint64_t)count;
        consume_parts(parts, part_count, &next, (size_t)count);
    }
}

static enum nx_status system_write_at(struct nx_file *file, uint64_t offset, const struct nx_str *parts,
                                      size_t part_count, struct nx_error *err) {
    struct iovec some[PARTS_MAX];
    for (size_t done = 0; done < part_count;) {
        size_t count = 0;
        while (count < PARTS_MAX && done < part_count) {
            some[count++] = (struct iovec){ (char *)(uintptr_t)parts[done].ptr, parts[done].len };
            done++;
        }
        NX_TRY(write_some(file, &offset, some, count, err));
    }
    return NX_OK;
}

static enum nx_status system_sync(struct nx_file *file, struct nx_error *err) {
    /* Never again after a failure, EINTR included: the kernel may have dropped what it could not write. */
    return fdatasync(system_file_of(file)->fd) == 0 ? NX_OK : fail(err, "sync", file);
}

static enum nx_status system_size(struct nx_file *file, uint64_t *size_out, struct nx_error *err) {
    struct stat info;
    if (fstat(system_file_of(file)->fd, &info) != 0) {
        return fail(err, "look at", file);
    }
    *size_out = (uint64_t)info.st_size;
    return NX_OK;
}

/** Lengthen the file by real zeros: reserves space on disks that know no other way. */
static enum nx_status write_zeros(struct nx_file *file, uint64_t from, uint64_t to, struct nx_error *err) {
    static const char zeros[ZEROS_SIZE];
    while (from < to) {
        const uint64_t left = to - from;
        const struct nx_str part = nx_str_of(zeros, left < ZEROS_SIZE ? (size_t)left : ZEROS_SIZE);
        NX_TRY(system_write_at(file, from, &part, 1, err));
        from += part.len;
    }
    return NX_OK;
}

static enum nx_status system_preallocate(struct nx_file *file, uint64_t size, struct nx_error *err) {
    uint64_t size_now = 0;
    NX_TRY(system_size(file, &size_now, err));
    if (size == 0) {
        return NX_OK;
    }
    int result;
    do {
        result = fallocate(system_file_of(file)->fd, 0, 0, (off_t)size);
    } while (result != 0 && errno == EINTR);
    if (result == 0) {
        return NX_OK;
    }
    if (errno != EOPNOTSUPP && errno != ENOSYS) {
        return fail(err, "reserve space for", file);
    }
    return write_zeros(file, size_now, size, err);
}

static enum nx_status system_truncate(struct nx_file *file, uint64_t size, struct nx_error *err) {
    int result;
    do {
        result = ftruncate(system_file_of(file)->fd, (off_t)size);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? NX_OK : fail(err, "truncate", file);
}

static enum nx_status system_punch_hole(struct nx_file *file, uint64_t offset, uint64_t len,
                                        struct nx_error *err) {
    int result;
    do {
        result = fallocate(system_file_of(file)->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                           (off_t)offset, (off_t)len);
    } while (result != 0 && errno == EINTR);
    if (result != 0 && errno != EOPNOTSUPP && errno != ENOSYS) {
        return fail(err, "give back space of", file);
    }
    return NX_OK;
}

static enum nx_status system_map(struct nx_file *base, size_t len, const uint8_t **bytes_out,
                                 struct nx_error *err) {
    struct system_file *file = system_file_of(base);
    nx_assert(file->view == NULL);
    void *view = mmap(NULL, len, PROT_READ, MAP_SHARED, file->fd, 0);
    if (view == MAP_FAILED) {
        return fail(err, "map", base);
    }
    file->view = view;
    file->view_len = len;
    *bytes_out = file->view;
    return NX_OK;
}

/* ---- directories ---- */

static enum nx_status system_make_directory(struct nx_disk *disk, const char *path, struct nx_error *err) {
    (void)disk;
    return mkdir(path, DIRECTORY_MODE) == 0 ? NX_OK : nx_file_fail(err, errno, "create the directory", path);
}

/** False when the entry is gone again. */
static bool describe_entry(DIR *directory, const struct dirent *found, struct nx_disk_entry *entry_out) {
    struct stat info;
    if (fstatat(dirfd(directory), found->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return false;
    }
    *entry_out = (struct nx_disk_entry){ .name = nx_str_from_c(found->d_name),
                                         .is_directory = S_ISDIR(info.st_mode),
                                         .size = (uint64_t)info.st_size };
    return true;
}

static enum nx_status system_list(struct nx_disk *disk, const char *path, nx_disk_visit *visit, void *data,
                                  struct nx_error *err) {
    (void)disk;
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return nx_file_fail(err, errno, "list the directory", path);
    }
    const struct dirent *found;
    bool go_on = true;
    errno = 0;
    while (go_on && (found = readdir(directory)) != NULL) {
        struct nx_disk_entry entry;
        if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0 &&
            describe_entry(directory, found, &entry)) {
            go_on = visit(data, &entry);
        }
        errno = 0;
    }
    const int error = go_on ? errno : 0;
    (void)closedir(directory);
    return error == 0 ? NX_OK : nx_file_fail(err, error, "list the directory", path);
}

static enum nx_status system_rename(struct nx_disk *disk, const char *from, const char *to,
                                    struct nx_error *err) {
    (void)disk;
    return rename(from, to) == 0 ? NX_OK : nx_file_fail(err, errno, "rename", from);
}

static enum nx_status system_unlink(struct nx_disk *disk, const char *path, struct nx_error *err) {
    (void)disk;
    return unlink(path) == 0 ? NX_OK : nx_file_fail(err, errno, "remove", path);
}

static enum nx_status system_sync_directory(struct nx_disk *disk, const char *path, struct nx_error *err) {
    (void)disk;
    const int fd = open_descriptor(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
        return nx_file_fail(err, errno, "open the directory", path);
    }
    const int error = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return error == 0 ? NX_OK : nx_file_fail(err, error, "sync the directory", path);
}

static enum nx_status system_space(struct nx_disk *disk, const char *path, uint64_t *free_out,
                                   struct nx_error *err) {
    struct statvfs info;
    (void)disk;
    if (statvfs(path, &info) != 0) {
        return nx_file_fail(err, errno, "measure the space at", path);
    }
    *free_out = (uint64_t)info.f_bavail * (uint64_t)info.f_frsize;
    return NX_OK;
}

/* ---- the lock ---- */

struct system_lock {
    struct nx_disk_lock base;
    int fd; /* the lock belongs to this open file description: it ends with it, so with the process */
};

/** The process id in the lock file; 0 when there is none (yet). */
static uint64_t read_holder(int fd) {
    char text[PID_TEXT_SIZE];
    const ssize_t len = pread(fd, text, sizeof text, 0);
    struct nx_str rest = nx_str_of(text, len < 0 ? 0 : (size_t)len);
    struct nx_str line;
    uint64_t pid = 0;
    return nx_str_split(&rest, '\n', &line) && nx_str_to_u64(line, &pid) ? pid : 0;
}

static enum nx_status take_lock(int fd, const char *path, uint64_t *holder_pid_out, struct nx_error *err) {
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    char text[PID_TEXT_SIZE];
    if (fcntl(fd, F_OFD_SETLK, &whole) != 0) {
        if (errno != EAGAIN && errno != EACCES) {
            return nx_file_fail(err, errno, "lock", path);
        }
        *holder_pid_out = read_holder(fd);
        return nx_disk_lock_fail(err, path, *holder_pid_out);
    }
    const int len = snprintf(text, sizeof text, "%jd\n", (intmax_t)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
        return nx_file_fail(err, errno, "write", path);
    }
    return NX_OK;
}

static enum nx_status system_lock(struct nx_disk *disk, const char *path, struct nx_disk_lock **lock_out,
                                  uint64_t *holder_pid_out, struct nx_error *err) {
    struct system_lock *lock = malloc(sizeof *lock);
    if (lock == NULL) {
        return nx_fail_memory(err);
    }
    const int fd = open_descriptor(path, O_RDWR | O_CREAT);
    if (fd < 0) {
        const int error = errno;
        free(lock);
        return nx_file_fail(err, error, "open", path);
    }
    const enum nx_status status = take_lock(fd, path, holder_pid_out, err);
    if (status != NX_OK) {
        (void)close(fd);
        free(lock);
        return status;
    }
    *lock = (struct system_lock){ .base = { disk }, .fd = fd };
    *lock_out = &lock->base;
    return NX_OK;
}

static void system_unlock(struct nx_disk_lock *base) {
    struct system_lock *lock = (struct system_lock *)(void *)base;
    (void)close(lock->fd);
    free(lock);
}

static bool system_is_locked(struct nx_disk *disk, const char *path, uint64_t *holder_pid_out) {
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    (void)disk;
    const int fd = open_descriptor(path, O_RDONLY);
    if (fd < 0) {
        return false;
    }
    const bool locked = fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    if (locked) {
        *holder_pid_out = read_holder(fd);
    }
    (void)close(fd);
    return locked;
}

/* ---- the table ---- */

static const struct nx_disk_ops system_ops = {
    .open = system_open,
    .close = system_close,
    .read_at = system_read_at,
    .write_at = system_write_at,
    .sync = system_sync,
    .preallocate = system_preallocate,
    .truncate = system_truncate,
    .punch_hole = system_punch_hole,
    .size = system_size,
    .map = system_map,
    .make_directory = system_make_directory,
    .list = system_list,
    .rename = system_rename,
    .unlink = system_unlink,
    .sync_directory = system_sync_directory,
    .space = system_space,
    .lock = system_lock,
    .unlock = system_unlock,
    .is_locked = system_is_locked,
};

struct nx_disk *nx_disk_system(void) {
    static struct nx_disk disk = { .ops = &system_ops };
    return &disk;
}
