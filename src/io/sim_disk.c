/* The simulated disk: a tree of nodes, each with a state that shows and a state that is durable. A node lives
 * as long as a name in either state, a change of names under way, or an open file leads to it. */
#include "io/sim_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "io/file_internal.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

enum { PROCESS_ID_FIRST = 1000, PPM = 1000000 };

struct nx_sim_disk {
    struct nx_disk base;
    struct nx_sim *sim;
    uint64_t size;
    uint64_t generation; /* one more with each crash: what was opened in an older one is dead */
    enum nx_sim_crash crash;
    struct nx_sim_faults faults;
    uint64_t operation_count;
    uint64_t read_count, write_count, sync_count, crash_count; /* operations since the faults were set */
    struct nx_sim_tree tree;
};

struct sim_file {
    struct nx_file base;
    struct nx_sim_disk *disk;
    struct nx_sim_node *node; /* holds a reference */
    uint64_t generation;
    bool is_writable;
    char path[];
};

struct sim_lock {
    struct nx_disk_lock base;
    struct nx_sim_disk *disk;
    struct nx_sim_node *node; /* holds a reference */
    uint64_t generation;
};

static struct nx_sim_disk *disk_of(struct nx_disk *base) {
    return (struct nx_sim_disk *)(void *)base;
}

static struct sim_file *file_of(struct nx_file *base) {
    return (struct sim_file *)(void *)base;
}

/* ---- trouble ---- */

enum operation { READ, WRITE, SYNC, NAMES };

/** Count the operation, and let happen what the faults say: 0, or an errno. */
static int begin(struct nx_sim_disk *disk, enum operation operation) {
    const struct nx_sim_faults *faults = &disk->faults;
    bool fails = false;
    if (disk->crash != NX_SIM_NO_CRASH) {
        return EIO;
    }
    disk->operation_count++;
    nx_sim_trace(disk->sim, (uint64_t)operation);
    if (faults->crash_at != 0 && ++disk->crash_count == faults->crash_at) {
        nx_sim_disk_go_down(disk, faults->crash_how != NX_SIM_NO_CRASH ? faults->crash_how : NX_SIM_KILL);
        return EIO;
    }
    switch (operation) {
    case READ:
        fails =
            ++disk->read_count == faults->fail_read_at || nx_sim_chance(disk->sim, faults->read_failure_ppm);
        break;
    case WRITE:
        nx_sim_pass_time(disk->sim, faults->write_ns_max);
        fails = ++disk->write_count == faults->fail_write_at ||
                nx_sim_chance(disk->sim, faults->write_failure_ppm);
        break;
    case SYNC:
        nx_sim_pass_time(disk->sim, faults->sync_ns_max);
        fails =
            ++disk->sync_count == faults->fail_sync_at || nx_sim_chance(disk->sim, faults->sync_failure_ppm);
        break;
    case NAMES:
        break;
    }
    return fails ? EIO : 0;
}

static enum nx_status fail_file(struct nx_error *err, int error, const char *what, struct nx_file *base) {
    return nx_file_fail(err, error, what, file_of(base)->path);
}

/** Begin an operation on an open file, which is dead after a crash. */
static int begin_file(struct nx_file *base, enum operation operation) {
    const struct sim_file *file = file_of(base);
    if (file->generation != file->disk->generation) {
        return EIO;
    }
    if (operation == WRITE && !file->is_writable) {
        return EBADF;
    }
    return begin(file->disk, operation);
}

static uint64_t used_blocks(const struct nx_sim_disk *disk) {
    uint64_t count = 0;
    for (struct nx_list_node *at = nx_list_first(&disk->tree.nodes); at != NULL;
         at = nx_list_next(&disk->tree.nodes, at)) {
        count += nx_container_of(at, struct nx_sim_node, all)->shown.reserved_count;
    }
    return count;
}

static uint64_t free_blocks(const struct nx_sim_disk *disk) {
    const uint64_t all = disk->size / NX_SIM_BLOCK_SIZE;
    const uint64_t used = used_blocks(disk);
    return used < all ? all - used : 0;
}

/* ---- files ---- */

static int open_node(struct nx_sim_disk *disk, const char *path, unsigned flags,
                     struct nx_sim_node **node_out) {
    char name[NX_SIM_NAME_SIZE_MAX];
    struct nx_sim_node *directory = NULL;
    const int error = nx_sim_tree_walk(&disk->tree, path, &directory, name);
    if (error != 0) {
        return error;
    }
    const struct nx_sim_entry *entry = name[0] != '\0' ? nx_sim_names_find(&directory->names, name) : NULL;
    if (entry != NULL) {
        if (entry->target->is_directory) {
            return EISDIR;
        }
        *node_out = nx_sim_node_ref(entry->target);
        return (flags & 4) != 0 ? EEXIST : 0;
    }
    if ((flags & 2) == 0 || name[0] == '\0') {
        return ENOENT;
    }
    struct nx_sim_node *node = nx_sim_node_new(&disk->tree, false);
    if (node == NULL) {
        return ENOMEM;
    }
    nx_sim_directory_change(&disk->tree, directory, "", name, node);
    *node_out = node; /* the first reference */
    return 0;
}

/** Make a change show; it is durable after the next sync. Takes it. */
static void add_change(struct nx_sim_node *node, struct nx_sim_change *change) {
    nx_sim_image_apply(&node->shown, change);
    nx_list_append(&node->changes, &change->node);
}

static struct nx_sim_change *change_new(enum nx_sim_change_kind kind, uint64_t offset, uint64_t len) {
    struct nx_sim_change *change = calloc(1, sizeof *change + (kind == NX_SIM_WRITE ? len : 0));
    nx_assert(change != NULL);
    change->kind = kind;
    change->offset = offset;
    change->len = len;
    return change;
}

static enum nx_status sim_open(struct nx_disk *base, const char *path, enum nx_file_flags flags,
                               struct nx_file **file_out, struct nx_error *err) {
    struct nx_sim_disk *disk = disk_of(base);
    struct nx_sim_node *node = NULL;
    int error = begin(disk, NAMES);
    error = error != 0 ? error : open_node(disk, path, (unsigned)flags, &node);
    if (error != 0) {
        nx_sim_node_unref(&disk->tree, node);
        return nx_file_fail(err, error, ((unsigned)flags & 4) != 0 ? "create" : "open", path);
    }
    struct sim_file *file = malloc(sizeof *file + strlen(path) + 1);
    nx_assert(file != NULL);
    *file = (struct sim_file){ .base = { base },
                               .disk = disk,
                               .node = node,
                               .generation = disk->generation,
                               .is_writable = ((unsigned)flags & NX_FILE_WRITE) != 0 };
    memcpy(file->path, path, strlen(path) + 1);
    if (((unsigned)flags & 8) != 0 && node->shown.size > 0) {
        add_change(node, change_new(NX_SIM_RESIZE, 0, 0));
    }
    *file_out = &file->base;
    return NX_OK;
}

static void sim_close(struct nx_file *base) {
    struct sim_file *file = file_of(base);
    nx_sim_node_unref(&file->disk->tree, file->node);
    free(file);
}

static enum nx_status sim_read_at(struct nx_file *base, uint64_t offset, void *bytes, size_t len,
                                  size_t *len_out, struct nx_error *err) {
    const int error = begin_file(base, READ);
    if (error != 0) {
        return fail_file(err, error, "read", base);
    }
    const struct nx_sim_image *image = &file_of(base)->node->shown;
    const uint64_t left = offset < image->size ? image->size - offset : 0;
    const size_t count = left < len ? (size_t)left : len;
    if (count > 0) {
        memcpy(bytes, image->bytes + offset, count);
    }
    *len_out = count;
    return NX_OK;
}

/** How many of the `len` bytes find room on the disk. */
static uint64_t room_for(const struct nx_sim_disk *disk, const struct nx_sim_node *node, uint64_t offset,
                         uint64_t len) {
    const uint64_t free_count = free_blocks(disk);
    if (offset >= NX_SIM_FILE_SIZE_MAX) {
        return 0;
    }
    len = len < NX_SIM_FILE_SIZE_MAX - offset ? len : NX_SIM_FILE_SIZE_MAX - offset;
    while (len > 0 && nx_sim_image_missing_blocks(&node->shown, offset, len) > free_count) {
        const uint64_t last_start = (offset + len - 1) / NX_SIM_BLOCK_SIZE * NX_SIM_BLOCK_SIZE;
        len = last_start > offset ? last_start - offset : 0;
    }
    return len;
}

static enum nx_status sim_write_at(struct nx_file *base, uint64_t offset, const struct nx_str *parts,
                                   size_t part_count, struct nx_error *err) {
    struct sim_file *file = file_of(base);
    uint64_t len = 0;
    for (size_t i = 0; i < part_count; i++) {
        len += parts[i].len;
    }
    const bool is_alive = file->generation == file->disk->generation;
    int error = begin_file(base, WRITE);
    if (!is_alive || error == EBADF || len == 0) {
        return error == 0 ? NX_OK : fail_file(err, error, "write", base);
    }
    struct nx_sim_change *change = change_new(NX_SIM_WRITE, offset, len);
    for (size_t i = 0, done = 0; i < part_count; done += parts[i].len, i++) {
        if (parts[i].len > 0) {
            memcpy(change->bytes + done, parts[i].ptr, parts[i].len);
        }
    }
    const uint64_t room = room_for(file->disk, file->node, offset, len);
    if (error != 0) {
        change->len = nx_sim_below(file->disk->sim, room + 1); /* some of it was written, at a crash too */
    } else if (room < len) {
        error = ENOSPC;
        change->len = room;
    }
    add_change(file->node, change);
    return error == 0 ? NX_OK : fail_file(err, error, "write", base);
}

/** Make the changes durable: all, or what a failure or crash leaves of them. */
static void settle_changes(struct nx_sim_disk *disk, struct nx_sim_node *node, bool whole) {
    struct nx_list_node *at;
    /* Often everything or nothing, so that the extremes are met too. */
    const uint64_t mood = whole ? 0 : nx_sim_below(disk->sim, 4);
    while ((at = nx_list_take_first(&node->changes)) != NULL) {
        struct nx_sim_change *change = nx_container_of(at, struct nx_sim_change, node);
        if (mood == 0) {
            nx_sim_image_apply(&node->durable, change);
        } else if (mood > 1) {
            nx_sim_image_apply_torn(&node->durable, change, disk->sim);
        }
        free(change);
    }
}

static enum nx_status sim_sync(struct nx_file *base, struct nx_error *err) {
    const struct sim_file *file = file_of(base);
    const int error = begin_file(base, SYNC);
    if (error != 0 && file->disk->crash != NX_SIM_NO_CRASH) {
        return fail_file(err, error, "sync", base); /* the crash decides what is left */
    }
    if (file->generation == file->disk->generation) {
        settle_changes(file->disk, file->node, error == 0);
    }
    return error == 0 ? NX_OK : fail_file(err, error, "sync", base);
}

static enum nx_status sim_preallocate(struct nx_file *base, uint64_t size, struct nx_error *err) {
    const struct sim_file *file = file_of(base);
    int error = begin_file(base, WRITE);
    if (error == 0 && room_for(file->disk, file->node, 0, size) < size) {
        error = ENOSPC;
    }
    if (error != 0) {
        return fail_file(err, error, "reserve space for", base);
    }
    if (size > 0) {
        add_change(file->node, change_new(NX_SIM_RESERVE, 0, size));
    }
    return NX_OK;
}

static enum nx_status sim_truncate(struct nx_file *base, uint64_t size, struct nx_error *err) {
    int error = begin_file(base, WRITE);
    if (error == 0 && size > NX_SIM_FILE_SIZE_MAX) {
        error = ENOSPC;
    }
    if (error != 0) {
        return fail_file(err, error, "truncate", base);
    }
    add_change(file_of(base)->node, change_new(NX_SIM_RESIZE, 0, size));
    return NX_OK;
}

static enum nx_status sim_punch_hole(struct nx_file *base, uint64_t offset, uint64_t len,
                                     struct nx_error *err) {
    const int error = begin_file(base, WRITE);
    if (error != 0) {
        return fail_file(err, error, "give back space of", base);
    }
    add_change(file_of(base)->node, change_new(NX_SIM_HOLE, offset, len));
    return NX_OK;
}

static enum nx_status sim_size(struct nx_file *base, uint64_t *size_out, struct nx_error *err) {
    const struct sim_file *file = file_of(base);
    if (file->generation != file->disk->generation || file->disk->crash != NX_SIM_NO_CRASH) {
        return fail_file(err, EIO, "look at", base);
    }
    *size_out = file->node->shown.size;
    return NX_OK;
}

static enum nx_status sim_map(struct nx_file *base, size_t len, const uint8_t **bytes_out,
                              struct nx_error *err) {
    const int error = begin_file(base, READ);
    if (error != 0 || len > NX_SIM_FILE_SIZE_MAX) {
        return fail_file(err, error != 0 ? error : ENOMEM, "map", base);
    }
    *bytes_out = file_of(base)->node->shown.bytes;
    return NX_OK;
}

/* ---- directories ---- */

static int make_directory(struct nx_sim_disk *disk, const char *path) {
    char name[NX_SIM_NAME_SIZE_MAX];
    struct nx_sim_node *directory = NULL;
    const int error = nx_sim_tree_walk(&disk->tree, path, &directory, name);
    if (error != 0) {
        return error;
    }
    if (name[0] == '\0' || nx_sim_names_find(&directory->names, name) != NULL) {
        return EEXIST;
    }
    struct nx_sim_node *node = nx_sim_node_new(&disk->tree, true);
    if (node == NULL) {
        return ENOMEM;
    }
    nx_sim_directory_change(&disk->tree, directory, "", name, node);
    nx_sim_node_unref(&disk->tree, node);
    return 0;
}

static enum nx_status sim_make_directory(struct nx_disk *base, const char *path, struct nx_error *err) {
    int error = begin(disk_of(base), NAMES);
    error = error != 0 ? error : make_directory(disk_of(base), path);
    return error == 0 ? NX_OK : nx_file_fail(err, error, "create the directory", path);
}

static enum nx_status sim_list(struct nx_disk *base, const char *path, nx_disk_visit *visit, void *data,
                               struct nx_error *err) {
    struct nx_sim_node *directory = NULL;
    int error = begin(disk_of(base), READ);
    error = error != 0 ? error : nx_sim_tree_find(&disk_of(base)->tree, path, &directory);
    if (error == 0 && !directory->is_directory) {
        error = ENOTDIR;
    }
    if (error != 0) {
        return nx_file_fail(err, error, "list the directory", path);
    }
    bool go_on = true;
    for (struct nx_list_node *at = nx_list_first(&directory->names); at != NULL && go_on;) {
        const struct nx_sim_entry *entry = nx_container_of(at, struct nx_sim_entry, node);
        const struct nx_disk_entry shown = { .name = nx_str_from_c(entry->name),
                                             .is_directory = entry->target->is_directory,
                                             .size = entry->target->shown.size };
        at = nx_list_next(&directory->names, at); /* the visitor may remove the one that it is shown */
        go_on = visit(data, &shown);
    }
    return NX_OK;
}

static int rename_nodes(struct nx_sim_disk *disk, const char *from, const char *to) {
    char old_name[NX_SIM_NAME_SIZE_MAX];
    char new_name[NX_SIM_NAME_SIZE_MAX];
    struct nx_sim_node *old_directory = NULL;
    struct nx_sim_node *new_directory = NULL;
    int error = nx_sim_tree_walk(&disk->tree, from, &old_directory, old_name);
    error = error != 0 ? error : nx_sim_tree_walk(&disk->tree, to, &new_directory, new_name);
    if (error != 0) {
        return error;
    }
    const struct nx_sim_entry *entry = nx_sim_names_find(&old_directory->names, old_name);
    const struct nx_sim_entry *replaced = nx_sim_names_find(&new_directory->names, new_name);
    if (entry == NULL || new_name[0] == '\0') {
        return ENOENT;
    }
    if (replaced != NULL && replaced->target->is_directory) {
        return EISDIR;
    }
    if (replaced != NULL && replaced->target == entry->target) {
        return 0;
    }
    struct nx_sim_node *target = nx_sim_node_ref(entry->target);
    if (old_directory == new_directory) {
        nx_sim_directory_change(&disk->tree, old_directory, old_name, new_name, target);
    } else { /* one of the two may be lost without the other: sync the new directory first */
        nx_sim_directory_change(&disk->tree, new_directory, "", new_name, target);
        nx_sim_directory_change(&disk->tree, old_directory, old_name, "", NULL);
    }
    nx_sim_node_unref(&disk->tree, target);
    return 0;
}

static enum nx_status sim_rename(struct nx_disk *base, const char *from, const char *to,
                                 struct nx_error *err) {
    int error = begin(disk_of(base), NAMES);
    error = error != 0 ? error : rename_nodes(disk_of(base), from, to);
    return error == 0 ? NX_OK : nx_file_fail(err, error, "rename", from);
}

static int unlink_node(struct nx_sim_disk *disk, const char *path) {
    char name[NX_SIM_NAME_SIZE_MAX];
    struct nx_sim_node *directory = NULL;
    const int error = nx_sim_tree_walk(&disk->tree, path, &directory, name);
    if (error != 0) {
        return error;
    }
    const struct nx_sim_entry *entry = nx_sim_names_find(&directory->names, name);
    if (entry == NULL) {
        return ENOENT;
    }
    if (entry->target->is_directory) {
        return EISDIR;
    }
    nx_sim_directory_change(&disk->tree, directory, name, "", NULL);
    return 0;
}

static enum nx_status sim_unlink(struct nx_disk *base, const char *path, struct nx_error *err) {
    int error = begin(disk_of(base), NAMES);
    error = error != 0 ? error : unlink_node(disk_of(base), path);
    return error == 0 ? NX_OK : nx_file_fail(err, error, "remove", path);
}

static enum nx_status sim_sync_directory(struct nx_disk *base, const char *path, struct nx_error *err) {
    struct nx_sim_disk *disk = disk_of(base);
    struct nx_sim_node *directory = NULL;
    int error = begin(disk, SYNC);
    if (error == 0) {
        error = nx_sim_tree_find(&disk->tree, path, &directory);
    }
    if (error == 0 && !directory->is_directory) {
        error = ENOTDIR;
    }
    if (error != 0) {
        return nx_file_fail(err, error, "sync the directory", path);
    }
    nx_sim_directory_settle(&disk->tree, directory, UINT64_MAX);
    return NX_OK;
}

static enum nx_status sim_space(struct nx_disk *base, const char *path, uint64_t *free_out,
                                struct nx_error *err) {
    struct nx_sim_disk *disk = disk_of(base);
    struct nx_sim_node *node = NULL;
    const int error = disk->crash != NX_SIM_NO_CRASH ? EIO : nx_sim_tree_find(&disk->tree, path, &node);
    if (error != 0) {
        return nx_file_fail(err, error, "measure the space at", path);
    }
    *free_out = free_blocks(disk) * NX_SIM_BLOCK_SIZE;
    return NX_OK;
}

/* ---- the lock ---- */

static enum nx_status sim_lock(struct nx_disk *base, const char *path, struct nx_disk_lock **lock_out,
                               uint64_t *holder_pid_out, struct nx_error *err) {
    struct nx_sim_disk *disk = disk_of(base);
    struct nx_sim_node *node = NULL;
    int error = begin(disk, NAMES);
    error = error != 0 ? error : open_node(disk, path, NX_FILE_CREATE, &node);
    if (error != 0) {
        return nx_file_fail(err, error, "lock", path);
    }
    if (node->locked_in == disk->generation) {
        nx_sim_node_unref(&disk->tree, node);
        *holder_pid_out = PROCESS_ID_FIRST + disk->generation;
        return nx_disk_lock_fail(err, path, *holder_pid_out);
    }
    struct sim_lock *lock = malloc(sizeof *lock);
    nx_assert(lock != NULL);
    *lock = (struct sim_lock){ .base = { base }, .disk = disk, .node = node, .generation = disk->generation };
    node->locked_in = disk->generation;
    *lock_out = &lock->base;
    return NX_OK;
}

static void sim_unlock(struct nx_disk_lock *base) {
    struct sim_lock *lock = (struct sim_lock *)(void *)base;
    if (lock->node->locked_in == lock->generation) {
        lock->node->locked_in = 0;
    }
    nx_sim_node_unref(&lock->disk->tree, lock->node);
    free(lock);
}

static bool sim_is_locked(struct nx_disk *base, const char *path, uint64_t *holder_pid_out) {
    struct nx_sim_disk *disk = disk_of(base);
    struct nx_sim_node *node = NULL;
    if (begin(disk, NAMES) != 0 || open_node(disk, path, NX_FILE_READ, &node) != 0) {
        return false;
    }
    const bool locked = node->locked_in == disk->generation;
    nx_sim_node_unref(&disk->tree, node);
    if (locked) {
        *holder_pid_out = PROCESS_ID_FIRST + disk->generation;
    }
    return locked;
}

/* ---- crashes ---- */

static void lose_power_of_node(struct nx_sim_disk *disk, struct nx_sim_node *node) {
    nx_assert(node != NULL);
    settle_changes(disk, node, false);
    nx_sim_directory_settle(&disk->tree, node, nx_sim_below(disk->sim, node->renames.count + 1));
    nx_sim_names_drop(&disk->tree, &node->names);
    for (struct nx_list_node *at = nx_list_first(&node->durable_names); at != NULL;
         at = nx_list_next(&node->durable_names, at)) {
        const struct nx_sim_entry *entry = nx_container_of(at, struct nx_sim_entry, node);
        nx_sim_names_add(&disk->tree, &node->names, entry->name, entry->target);
    }
    if (!node->is_directory) {
        nx_sim_image_copy(&node->shown, &node->durable);
    }
}

static void lose_power(struct nx_sim_disk *disk) {
    /* Nodes that lose their last name go, but not while the others are visited. */
    const size_t count = disk->tree.nodes.count;
    NX_AUTO_FREE struct nx_sim_node **nodes = calloc(count, sizeof(struct nx_sim_node *));
    nx_assert(nodes != NULL);
    size_t i = 0;
    for (struct nx_list_node *at = nx_list_first(&disk->tree.nodes); at != NULL;
         at = nx_list_next(&disk->tree.nodes, at)) {
        nodes[i++] = nx_sim_node_ref(nx_container_of(at, struct nx_sim_node, all));
    }
    for (i = 0; i < count; i++) {
        lose_power_of_node(disk, nodes[i]);
    }
    for (i = 0; i < count; i++) {
        nx_sim_node_unref(&disk->tree, nodes[i]);
    }
}

static void write_boot_id(struct nx_sim_disk *disk) {
    struct nx_error err = { 0 };
    char text[64];
    (void)snprintf(text, sizeof text, "00000000-0000-4000-8000-%012llx\n",
                   (unsigned long long)nx_sim_below(disk->sim, UINT64_C(1) << 48));
    enum nx_status status = nx_disk_make_directory(&disk->base, "/proc/sys/kernel/random", &err);
    status =
        status != NX_OK ? status : nx_disk_write_file(&disk->base, BOOT_ID_PATH, nx_str_from_c(text), &err);
    nx_assert(status == NX_OK);
}

void nx_sim_disk_go_down(struct nx_sim_disk *disk, enum nx_sim_crash how) {
    if (disk->crash == NX_SIM_NO_CRASH) {
        disk->crash = how;
        disk->generation++;
    }
}

enum nx_sim_crash nx_sim_disk_crash(const struct nx_sim_disk *disk) {
    return disk->crash;
}

void nx_sim_disk_boot(struct nx_sim_disk *disk) {
    const enum nx_sim_crash how = disk->crash;
    if (how == NX_SIM_POWER_LOSS) {
        lose_power(disk);
    }
    disk->crash = NX_SIM_NO_CRASH;
    nx_sim_disk_set_faults(disk, &(struct nx_sim_faults){ 0 });
    if (how == NX_SIM_POWER_LOSS) {
        write_boot_id(disk);
    }
}

bool nx_sim_disk_flip_bits(struct nx_sim_disk *disk, const char *path, uint64_t offset, uint8_t mask) {
    struct nx_sim_node *node = NULL;
    if (nx_sim_tree_find(&disk->tree, path, &node) != 0 || node->is_directory || offset >= node->shown.size) {
        return false;
    }
    node->shown.bytes[offset] ^= mask;
    if (offset < node->durable.size) {
        node->durable.bytes[offset] ^= mask;
    }
    /* A byte of a hole becomes one of a block. */
    const uint64_t block = offset / NX_SIM_BLOCK_SIZE;
    node->shown.written[block / 64] |= UINT64_C(1) << (block % 64);
    node->durable.written[block / 64] |= UINT64_C(1) << (block % 64);
    return true;
}

/* ---- the disk ---- */

static const struct nx_disk_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .read_at = sim_read_at,
    .write_at = sim_write_at,
    .sync = sim_sync,
    .preallocate = sim_preallocate,
    .truncate = sim_truncate,
    .punch_hole = sim_punch_hole,
    .size = sim_size,
    .map = sim_map,
    .make_directory = sim_make_directory,
    .list = sim_list,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .sync_directory = sim_sync_directory,
    .space = sim_space,
    .lock = sim_lock,
    .unlock = sim_unlock,
    .is_locked = sim_is_locked,
};

enum nx_status nx_sim_disk_new(struct nx_sim *sim, uint64_t size, struct nx_sim_disk **disk_out,
                               struct nx_error *err) {
    struct nx_sim_disk *disk = calloc(1, sizeof *disk);
    if (disk == NULL) {
        return nx_fail_memory(err);
    }
    disk->base.ops = &sim_ops;
    disk->sim = sim;
    disk->size = size;
    disk->generation = 1;
    nx_list_init(&disk->tree.nodes);
    disk->tree.root = nx_sim_node_new(&disk->tree, true);
    if (disk->tree.root == NULL) {
        free(disk);
        return nx_fail_memory(err);
    }
    write_boot_id(disk);
    *disk_out = disk;
    return NX_OK;
}

void nx_sim_disk_free(struct nx_sim_disk *disk) {
    if (disk == NULL) {
        return;
    }
    nx_sim_node_unref(&disk->tree, disk->tree.root);
    nx_assert(nx_list_is_empty(&disk->tree.nodes)); /* else a file is still open */
    free(disk);
}

struct nx_disk *nx_sim_disk_base(struct nx_sim_disk *disk) {
    return &disk->base;
}

void nx_sim_disk_set_faults(struct nx_sim_disk *disk, const struct nx_sim_faults *faults) {
    disk->faults = *faults;
    disk->read_count = disk->write_count = disk->sync_count = disk->crash_count = 0;
}

void nx_sim_disk_set_size(struct nx_sim_disk *disk, uint64_t size) {
    disk->size = size;
}

uint64_t nx_sim_disk_operation_count(const struct nx_sim_disk *disk) {
    return disk->operation_count;
}
