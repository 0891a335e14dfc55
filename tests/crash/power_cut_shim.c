/* tests/crash/power_cut_shim.c: a disk that forgets what was not synced, for an unmodified program
 * (LD_PRELOAD).
 *
 * Every change below NX_SHIM_DIR goes through to the real file and is also remembered with what it replaced,
 * until the file (for names: its directory) is synced. At the chosen operation the power "fails": all
 * remembered changes are taken back, a random subset of them is applied again in random order, some of them
 * torn at a random byte, and the process ends by SIGKILL. What the next start finds is a state that a real
 * disk could have left.
 *
 *   NX_SHIM_DIR         the data directory, as the program itself names it; nothing else is touched
 *   NX_SHIM_SEED        decides the subset, the order and the tears
 *   NX_SHIM_CUT_AT      cut the power at this operation (write, sync, rename, …) below NX_SHIM_DIR; 0: never
 *   NX_SHIM_FAIL_SYNC_AT   this sync answers EIO and forgets at random what it should have kept; 0: never
 *   NX_SHIM_FAIL_WRITE_AT  this write writes a random part and answers EIO; 0: never
 *   NX_SHIM_LIE         1: syncs answer well and keep nothing, as a bad disk would: the check must then fail
 *   NX_SHIM_BOOT_ID     a file shown in place of /proc/sys/kernel/random/boot_id: a power cut is another boot
 *
 * The rebuildable index (index/) is written without syncs by design and thrown away on another boot; the cut
 * fills a part of its files with noise instead of remembering its changes. Threads: one lock around every
 * operation. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FD_MAX = 4096, PATH_SIZE = 1024, CHANGES_MAX = 200000 };

enum change_kind { CHANGE_BYTES, CHANGE_SIZE, CHANGE_CREATE, CHANGE_RENAME, CHANGE_UNLINK };

/* One change that is not yet safe. Bytes and sizes belong to a file, names to a directory. */
struct change {
    enum change_kind kind;
    bool live; /* false: made safe by a sync */
    dev_t device;
    ino_t inode; /* of the file, or of the directory for names */
    char path[PATH_SIZE];
    char other_path[PATH_SIZE]; /* rename: the new name; rename over and unlink: where the old file is kept */
    char kept_path[PATH_SIZE];
    uint64_t offset;
    size_t len;
    char *old_bytes;
    char *new_bytes;
    uint64_t old_size;
    uint64_t new_size;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct change *changes;
static size_t change_count;
static char
    *fd_paths[FD_MAX]; /* of files below the directory that were opened for writing, and of directories */
static char directory[PATH_SIZE];
static char index_directory[PATH_SIZE];
static char kept_directory[PATH_SIZE]; /* beside the data directory: files that a cut may bring back */
static char boot_id_path[PATH_SIZE];
static uint64_t operation_count, cut_at, sync_count, fail_sync_at, write_count, fail_write_at, random_state;
static unsigned kept_count;
static bool ready;
static bool lying;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) {
    void *symbol = dlsym(RTLD_NEXT, name);
    if (symbol == NULL) {
        abort();
    }
    return symbol;
}

static uint64_t number_from_environment(const char *name) {
    const char *text = getenv(name);
    return text == NULL ? 0 : strtoull(text, NULL, 10);
}

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("NX_SHIM_DIR");
    if (path == NULL || strlen(path) >= sizeof directory - 8) {
        return;
    }
    (void)snprintf(directory, sizeof directory, "%s/", path);
    (void)snprintf(index_directory, sizeof index_directory, "%s/index/", path);
    (void)snprintf(kept_directory, sizeof kept_directory, "%s.kept", path);
    (void)mkdir(kept_directory, 0700);
    const char *boot = getenv("NX_SHIM_BOOT_ID");
    (void)snprintf(boot_id_path, sizeof boot_id_path, "%s", boot == NULL ? "" : boot);
    random_state = number_from_environment("NX_SHIM_SEED") * 0x9E3779B97F4A7C15u + 0x1234567;
    cut_at = number_from_environment("NX_SHIM_CUT_AT");
    fail_sync_at = number_from_environment("NX_SHIM_FAIL_SYNC_AT");
    fail_write_at = number_from_environment("NX_SHIM_FAIL_WRITE_AT");
    lying = number_from_environment("NX_SHIM_LIE") != 0;
    changes = calloc(CHANGES_MAX, sizeof *changes);
    ready = changes != NULL;
}

static uint64_t random_next(void) { /* splitmix64 */
    uint64_t z = (random_state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static bool is_ours(const char *path) {
    return ready && path != NULL && strncmp(path, directory, strlen(directory)) == 0;
}

static bool is_index(const char *path) {
    return strncmp(path, index_directory, strlen(index_directory)) == 0;
}

static const char *tracked_path(int fd) {
    return fd >= 0 && fd < FD_MAX ? fd_paths[fd] : NULL;
}

static void parent_of(const char *path, char *parent_out) {
    (void)snprintf(parent_out, PATH_SIZE, "%s", path);
    char *slash = strrchr(parent_out, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
}

static struct change *remember(enum change_kind kind, const char *identity_path, const char *path) {
    struct stat st;
    if (change_count >= CHANGES_MAX || stat(identity_path, &st) != 0) {
        return NULL;
    }
    struct change *change = &changes[change_count++];
    *change = (struct change){ .kind = kind, .live = true, .device = st.st_dev, .inode = st.st_ino };
    (void)snprintf(change->path, sizeof change->path, "%s", path);
    return change;
}

static void forget(struct change *change) {
    change->live = false;
    free(change->old_bytes);
    free(change->new_bytes);
    change->old_bytes = change->new_bytes = NULL;
    if (change->kept_path[0] != '\0') {
        (void)REAL(unlink)(change->kept_path);
    }
}

/* Drop the dead ones so that the table stays small. */
static void compact(void) {
    size_t kept = 0;
    for (size_t i = 0; i < change_count; i++) {
        if (changes[i].live) {
            changes[kept++] = changes[i];
        }
    }
    change_count = kept;
}

static void make_safe(int fd) {
    struct stat st;
    if (fstat(fd, &st) != 0) {
        return;
    }
    for (size_t i = 0; i < change_count; i++) {
        if (changes[i].live && changes[i].device == st.st_dev && changes[i].inode == st.st_ino) {
            forget(&changes[i]);
        }
    }
    compact();
}

/* Where the changed file is now: under the name it had then, or the one it was renamed to since. */
static const char *current_path(const struct change *change) {
    struct stat st;
    if (change->other_path[0] != '\0' && stat(change->other_path, &st) == 0 && st.st_ino == change->inode) {
        return change->other_path;
    }
    return change->path;
}

static void write_raw(const char *path, uint64_t offset, const char *bytes, size_t len) {
    const int fd = REAL(open)(path, O_WRONLY);
    if (fd >= 0) {
        (void)!REAL(pwrite)(fd, bytes, len, (off_t)offset);
        (void)REAL(close)(fd);
    }
}

static void take_back(struct change *change) {
    switch (change->kind) {
    case CHANGE_BYTES:
        write_raw(current_path(change), change->offset, change->old_bytes, change->len);
        (void)truncate(current_path(change), (off_t)change->old_size);
        break;
    case CHANGE_SIZE:
        (void)truncate(current_path(change), (off_t)change->old_size);
        if (change->old_bytes != NULL) {
            write_raw(current_path(change), change->offset, change->old_bytes, change->len);
        }
        break;
    case CHANGE_CREATE: /* its content is gone with its name, unless the create is applied again */
        (void)REAL(rename)(change->path, change->other_path);
        break;
    case CHANGE_RENAME:
        (void)REAL(rename)(change->other_path, change->path);
        if (change->kept_path[0] != '\0') {
            (void)link(change->kept_path, change->other_path);
        }
        break;
    case CHANGE_UNLINK:
        (void)link(change->kept_path, change->path);
        break;
    }
}

static void apply_again(struct change *change) {
    size_t len = change->len;
    switch (change->kind) {
    case CHANGE_BYTES:
        if (random_next() % 3 == 0 && len > 0) { /* torn: at a sector where there is one, else anywhere */
            len =
                len > 512 && random_next() % 2 == 0 ? random_next() % (len / 512) * 512 : random_next() % len;
        }
        write_raw(current_path(change), change->offset, change->new_bytes, len);
        break;
    case CHANGE_SIZE:
        (void)truncate(current_path(change), (off_t)change->new_size);
        break;
    case CHANGE_CREATE:
        (void)REAL(rename)(change->other_path, change->path);
        break;
    case CHANGE_RENAME:
        (void)REAL(rename)(change->path, change->other_path);
        break;
    case CHANGE_UNLINK:
        (void)REAL(unlink)(change->path);
        break;
    }
}

static void spoil_index(void) {
    static const char *const names[] = { "data.mdb", "lock.mdb" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[PATH_SIZE + 16];
        struct stat st;
        (void)snprintf(path, sizeof path, "%s%s", index_directory, names[i]);
        if (stat(path, &st) == 0 && st.st_size > 0 && random_next() % 4 != 0) {
            char noise[4096];
            for (size_t at = 0; at < sizeof noise; at++) {
                noise[at] = (char)random_next();
            }
            for (int n = 0; n < 8; n++) {
                write_raw(path, random_next() % (uint64_t)st.st_size, noise,
                          1 + random_next() % (sizeof noise - 1));
            }
        }
    }
}

static void cut_power(void) {
    for (size_t i = change_count; i > 0; i--) {
        if (changes[i - 1].live) {
            take_back(&changes[i - 1]);
        }
    }
    /* Names in their order (a journaling file system keeps it: a prefix survives), bytes in any order. */
    size_t names = random_next() % (change_count + 1);
    const bool everything_lost = random_next() % 8 == 0;
    const bool nothing_lost = random_next() % 8 == 0;
    for (size_t i = 0; i < change_count && !everything_lost; i++) {
        const bool is_name = changes[i].kind >= CHANGE_CREATE;
        if (changes[i].live && is_name && (nothing_lost || i < names)) {
            apply_again(&changes[i]);
        }
    }
    for (size_t i = change_count; i > 1; i--) { /* shuffle */
        const size_t j = random_next() % i;
        const struct change swapped = changes[i - 1];
        changes[i - 1] = changes[j];
        changes[j] = swapped;
    }
    for (size_t i = 0; i < change_count && !everything_lost; i++) {
        const bool is_name = changes[i].kind >= CHANGE_CREATE;
        if (changes[i].live && !is_name && (nothing_lost || random_next() % 2 == 0)) {
            apply_again(&changes[i]);
        }
    }
    for (size_t i = 0; i < change_count; i++) {
        if (changes[i].kept_path[0] != '\0') {
            (void)REAL(unlink)(changes[i].kept_path);
        }
        if (changes[i].kind == CHANGE_CREATE) {
            (void)REAL(unlink)(changes[i].other_path);
        }
    }
    spoil_index();
    (void)raise(SIGKILL);
}

static void count_operation(void) {
    if (++operation_count == cut_at) {
        cut_power();
    }
}

/* Remember a write of `len` bytes at `offset` before it is done; `bytes` is what will stand there. */
static void remember_bytes(int fd, const char *path, const char *bytes, size_t len, uint64_t offset) {
    struct stat st;
    struct change *change = remember(CHANGE_BYTES, path, path);
    if (change == NULL || fstat(fd, &st) != 0) {
        return;
    }
    change->offset = offset;
    change->old_size = (uint64_t)st.st_size;
    change->new_bytes = malloc(len + 1);
    change->old_bytes = calloc(1, len + 1);
    if (change->new_bytes == NULL || change->old_bytes == NULL) {
        abort();
    }
    memcpy(change->new_bytes, bytes, len);
    const int reader = REAL(open)(path, O_RDONLY);
    const ssize_t got = reader < 0 ? 0 : REAL(pread)(reader, change->old_bytes, len, (off_t)offset);
    if (reader >= 0) {
        (void)REAL(close)(reader);
    }
    change->len = len;
    (void)got; /* past the old end the old bytes are zeros, and the size is taken back */
}

static void track(int fd, const char *path) {
    if (fd >= 0 && fd < FD_MAX) {
        free(fd_paths[fd]);
        fd_paths[fd] = strdup(path);
    }
}

static int open_tracked(const char *path, int flags, mode_t mode) {
    if (ready && boot_id_path[0] != '\0' && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) {
        return REAL(open)(boot_id_path, flags, mode);
    }
    if (!is_ours(path)) {
        return REAL(open)(path, flags, mode);
    }
    (void)pthread_mutex_lock(&lock);
    const bool existed = access(path, F_OK) == 0;
    const int fd = REAL(open)(path, flags, mode);
    if (fd >= 0) {
        track(fd, path);
        if (!existed && (flags & O_CREAT) != 0 && !is_index(path)) {
            char parent[PATH_SIZE];
            parent_of(path, parent);
            struct change *change = remember(CHANGE_CREATE, parent, path);
            if (change != NULL) {
                (void)snprintf(change->other_path, sizeof change->other_path, "%.1000s/%u", kept_directory,
                               kept_count++);
            }
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return fd;
}

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_tracked(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return open_tracked(path, flags, mode);
}
int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags) {
    return open_tracked(path, flags, 0);
}
int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags) {
    return open_tracked(path, flags, 0);
}

int close(int fd) {
    (void)pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < FD_MAX) {
        free(fd_paths[fd]);
        fd_paths[fd] = NULL;
    }
    (void)pthread_mutex_unlock(&lock);
    return REAL(close)(fd);
}

static ssize_t write_tracked(int fd, const char *bytes, size_t len, off_t offset) {
    (void)pthread_mutex_lock(&lock);
    const char *path = tracked_path(fd);
    bool fail = false;
    size_t done = len;
    if (path != NULL && !is_index(path)) {
        count_operation();
        fail = ++write_count == fail_write_at;
        done = fail && len > 0 ? random_next() % len : len;
        remember_bytes(fd, path, bytes, done, (uint64_t)offset);
    }
    (void)pthread_mutex_unlock(&lock);
    const ssize_t written = done == 0 ? 0 : REAL(pwrite)(fd, bytes, done, offset);
    if (fail) {
        errno = EIO;
        return -1;
    }
    return written;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset) {
    return write_tracked(fd, bytes, len, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t offset) {
    return write_tracked(fd, bytes, len, offset);
}
ssize_t write(int fd, const void *bytes, size_t len) {
    if (tracked_path(fd) == NULL) {
        return REAL(write)(fd, bytes, len);
    }
    const off_t at = lseek(fd, 0, SEEK_CUR);
    const ssize_t written = write_tracked(fd, bytes, len, at);
    if (written > 0) {
        (void)lseek(fd, at + written, SEEK_SET);
    }
    return written;
}

static ssize_t write_parts(int fd, const struct iovec *parts, int part_count, off_t offset) {
    size_t len = 0;
    for (int i = 0; i < part_count; i++) {
        len += parts[i].iov_len;
    }
    char *bytes = malloc(len + 1);
    if (bytes == NULL) {
        errno = ENOMEM;
        return -1;
    }
    size_t at = 0;
    for (int i = 0; i < part_count; i++) {
        memcpy(bytes + at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    const ssize_t written = write_tracked(fd, bytes, len, offset);
    free(bytes);
    return written;
}

ssize_t pwritev(int fd, const struct iovec *parts, int part_count, off_t offset) {
    return tracked_path(fd) == NULL ? REAL(pwritev)(fd, parts, part_count, offset)
                                    : write_parts(fd, parts, part_count, offset);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int part_count, off_t offset) {
    return tracked_path(fd) == NULL ? REAL(pwritev)(fd, parts, part_count, offset)
                                    : write_parts(fd, parts, part_count, offset);
}
ssize_t writev(int fd, const struct iovec *parts, int part_count) {
    if (tracked_path(fd) == NULL) {
        return REAL(writev)(fd, parts, part_count);
    }
    const off_t at = lseek(fd, 0, SEEK_CUR);
    const ssize_t written = write_parts(fd, parts, part_count, at);
    if (written > 0) {
        (void)lseek(fd, at + written, SEEK_SET);
    }
    return written;
}

static int sync_tracked(int fd, int (*sync)(int)) {
    (void)pthread_mutex_lock(&lock);
    const char *path = tracked_path(fd);
    bool fail = false;
    if (path != NULL && !is_index(path)) {
        count_operation();
        fail = ++sync_count == fail_sync_at;
    }
    const int answer = fail           ? -1
                       : path == NULL ? sync(fd)
                                      : 0; /* a SIGKILL keeps the page cache: no need to sync */
    if (answer == 0 && path != NULL && !lying) {
        make_safe(fd);
    }
    (void)pthread_mutex_unlock(&lock);
    if (fail) {
        errno = EIO;
    }
    return answer;
}

int fdatasync(int fd) {
    return sync_tracked(fd, REAL(fdatasync));
}
int fsync(int fd) {
    return sync_tracked(fd, REAL(fsync));
}

static void remember_size(int fd, uint64_t new_size) {
    struct stat st;
    const char *path = tracked_path(fd);
    if (path == NULL || is_index(path)) {
        return;
    }
    count_operation();
    struct change *change = fstat(fd, &st) == 0 ? remember(CHANGE_SIZE, path, path) : NULL;
    if (change == NULL) {
        return;
    }
    change->old_size = (uint64_t)st.st_size;
    change->new_size = new_size;
    if (new_size < change->old_size) { /* what is cut off may come back */
        change->offset = new_size;
        change->len = (size_t)(change->old_size - new_size);
        change->old_bytes = calloc(1, change->len + 1);
        const int reader = REAL(open)(path, O_RDONLY);
        if (reader >= 0 && change->old_bytes != NULL) {
            (void)!REAL(pread)(reader, change->old_bytes, change->len, (off_t)new_size);
            (void)REAL(close)(reader);
        }
    }
}

int ftruncate(int fd, off_t size) {
    (void)pthread_mutex_lock(&lock);
    remember_size(fd, (uint64_t)size);
    (void)pthread_mutex_unlock(&lock);
    return REAL(ftruncate)(fd, size);
}
int ftruncate64(int fd, off_t size) {
    return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t len) {
    struct stat st;
    (void)pthread_mutex_lock(&lock);
    if (mode == 0 && fstat(fd, &st) == 0 && st.st_size < offset + len) {
        remember_size(fd, (uint64_t)(offset + len));
    } /* a punched hole is only ever made where nothing is needed any more: taken as done */
    (void)pthread_mutex_unlock(&lock);
    return REAL(fallocate)(fd, mode, offset, len);
}
int fallocate64(int fd, int mode, off_t offset, off_t len) {
    return fallocate(fd, mode, offset, len);
}

/* Keep the file at `path`, if there is one, under another name so that it can come back. */
static void keep(struct change *change, const char *path) {
    (void)snprintf(change->kept_path, sizeof change->kept_path, "%.1000s/%u", kept_directory, kept_count++);
    if (link(path, change->kept_path) != 0) {
        change->kept_path[0] = '\0';
    }
}

int rename(const char *from, const char *to) {
    if (!is_ours(from) || is_index(from)) {
        return REAL(rename)(from, to);
    }
    char parent[PATH_SIZE];
    (void)pthread_mutex_lock(&lock);
    count_operation();
    parent_of(to, parent);
    struct change *change = remember(CHANGE_RENAME, parent, from);
    if (change != NULL) {
        (void)snprintf(change->other_path, sizeof change->other_path, "%s", to);
        keep(change, to);
    }
    const int answer = REAL(rename)(from, to);
    for (size_t i = 0; answer == 0 && i < change_count;
         i++) { /* later bytes of the file are under the new name */
        if (changes[i].kind <= CHANGE_SIZE && strcmp(changes[i].path, from) == 0) {
            (void)snprintf(changes[i].other_path, sizeof changes[i].other_path, "%s", to);
        }
    }
    for (int fd = 0; answer == 0 && fd < FD_MAX; fd++) {
        if (fd_paths[fd] != NULL && strcmp(fd_paths[fd], from) == 0) {
            track(fd, to);
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return answer;
}

int unlink(const char *path) {
    if (!is_ours(path) || is_index(path)) {
        return REAL(unlink)(path);
    }
    char parent[PATH_SIZE];
    (void)pthread_mutex_lock(&lock);
    count_operation();
    parent_of(path, parent);
    struct change *change = remember(CHANGE_UNLINK, parent, path);
    if (change != NULL) {
        keep(change, path);
    }
    const int answer = REAL(unlink)(path);
    (void)pthread_mutex_unlock(&lock);
    return answer;
}
