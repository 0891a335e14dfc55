/* src/io/sim_internal.h: what the parts of the simulated world know of each other: its chance and trace
 * (sim.c), its disk (sim_disk.c), the names on it (sim_tree.c), and the two images of each file
 * (sim_image.c). */
#pragma once

#include "base/list.h"
#include "io/sim.h"

/* ---- chance, time and trace (sim.c) ---- */

/** Let simulated time pass: up to `ns_max`, by chance. */
void nx_sim_pass_time(struct nx_sim *sim, int64_t ns_max);
/** Make the digest depend on `value`. */
void nx_sim_trace(struct nx_sim *sim, uint64_t value);

/* ---- the disk (sim_disk.c) ---- */

struct nx_sim_disk;
NX_MUST_CHECK enum nx_status nx_sim_disk_new(struct nx_sim *sim, uint64_t size, struct nx_sim_disk **disk_out,
                                             struct nx_error *err);
void nx_sim_disk_free(struct nx_sim_disk *disk);
struct nx_disk *nx_sim_disk_base(struct nx_sim_disk *disk);
void nx_sim_disk_set_faults(struct nx_sim_disk *disk, const struct nx_sim_faults *faults);
void nx_sim_disk_set_size(struct nx_sim_disk *disk, uint64_t size);
uint64_t nx_sim_disk_operation_count(const struct nx_sim_disk *disk);
bool nx_sim_disk_flip_bits(struct nx_sim_disk *disk, const char *path, uint64_t offset, uint8_t mask);
/** From now on nothing works, and what was opened before never will again. */
void nx_sim_disk_go_down(struct nx_sim_disk *disk, enum nx_sim_crash how);
void nx_sim_disk_boot(struct nx_sim_disk *disk);
/** NX_SIM_NO_CRASH while the disk works. */
enum nx_sim_crash nx_sim_disk_crash(const struct nx_sim_disk *disk);

/* ---- images (sim_image.c) ---- */

enum { NX_SIM_BLOCK_SIZE = 4096, NX_SIM_BLOCK_COUNT = NX_SIM_FILE_SIZE_MAX / NX_SIM_BLOCK_SIZE };

/* One state of a file. The bytes stay where they are, so a view of them shows later changes. */
struct nx_sim_image {
    uint8_t *bytes; /* NX_SIM_FILE_SIZE_MAX of address space, zero where nothing was written */
    uint64_t size;
    uint64_t written[NX_SIM_BLOCK_COUNT / 64];  /* a bit for each block that may hold something else */
    uint64_t reserved[NX_SIM_BLOCK_COUNT / 64]; /* a bit for each block that takes space */
    uint64_t reserved_count;
};

enum nx_sim_change_kind { NX_SIM_WRITE, NX_SIM_RESERVE, NX_SIM_RESIZE, NX_SIM_HOLE };

/* One change to a file that is not synced yet. */
struct nx_sim_change {
    struct nx_list_node node;
    enum nx_sim_change_kind kind;
    uint64_t offset; /* of a write or hole */
    uint64_t len;    /* of it; the new size for the other two */
    uint8_t bytes[]; /* of a write */
};

/** False when there is no memory. */
bool nx_sim_image_init(struct nx_sim_image *image);
void nx_sim_image_fini(struct nx_sim_image *image);
void nx_sim_image_apply(struct nx_sim_image *image, const struct nx_sim_change *change);
/** Apply what a crash left of the change. */
void nx_sim_image_apply_torn(struct nx_sim_image *image, const struct nx_sim_change *change,
                             struct nx_sim *sim);
/** Make `to` equal to `from`. */
void nx_sim_image_copy(struct nx_sim_image *to, const struct nx_sim_image *from);
/** Blocks of the range that take no space yet. */
uint64_t nx_sim_image_missing_blocks(const struct nx_sim_image *image, uint64_t offset, uint64_t len);

/* ---- names (sim_tree.c) ---- */

enum { NX_SIM_NAME_SIZE_MAX = 256 };

struct nx_sim_entry {
    struct nx_list_node node;
    struct nx_sim_node *target; /* holds a reference */
    char name[NX_SIM_NAME_SIZE_MAX];
};

/* A change of one directory's names, as a whole: kept or lost at a loss of power, never half. */
struct nx_sim_rename {
    struct nx_list_node node;
    char removed[NX_SIM_NAME_SIZE_MAX]; /* empty: none */
    char added[NX_SIM_NAME_SIZE_MAX];   /* empty: none; replaces an entry of that name */
    struct nx_sim_node *target;         /* of what is added; holds a reference */
};

struct nx_sim_node {
    size_t ref_count;
    struct nx_list_node all; /* every node that there is */
    bool is_directory;
    /* a file */
    struct nx_sim_image shown;
    struct nx_sim_image durable;
    struct nx_list changes; /* nx_sim_change, oldest first: shown = durable + these, unless a sync failed */
    uint64_t locked_in;     /* the generation that holds the lock; 0: none */
    /* a directory */
    struct nx_list names;         /* entries that show */
    struct nx_list durable_names; /* entries that are durable */
    struct nx_list renames;       /* what leads from the latter to the former, oldest first */
};

/* Every node, and the one where paths begin. */
struct nx_sim_tree {
    struct nx_list nodes;
    struct nx_sim_node *root;
};

/** A node with one reference, the caller's; NULL when there is no memory. */
struct nx_sim_node *nx_sim_node_new(struct nx_sim_tree *tree, bool is_directory);
struct nx_sim_node *nx_sim_node_ref(struct nx_sim_node *node);
/** NULL allowed. */
void nx_sim_node_unref(struct nx_sim_tree *tree, struct nx_sim_node *node);

/** The entry of that name, or NULL. */
struct nx_sim_entry *nx_sim_names_find(const struct nx_list *names, const char *name);
/** Lead `name` to `target`, of which the entry takes a reference of its own. */
void nx_sim_names_add(struct nx_sim_tree *tree, struct nx_list *names, const char *name,
                      struct nx_sim_node *target);
void nx_sim_names_drop(struct nx_sim_tree *tree, struct nx_list *names);

/** Remove one name (if not empty) and add another (if not empty): at once for those who look, after the
 * directory's sync for good. */
void nx_sim_directory_change(struct nx_sim_tree *tree, struct nx_sim_node *directory, const char *removed,
                             const char *added, struct nx_sim_node *target);
/** Make the first `count` changes of names durable and forget the others. */
void nx_sim_directory_settle(struct nx_sim_tree *tree, struct nx_sim_node *directory, uint64_t count);

/** Walk to the directory that holds the last part of `path`, which is copied to `name_out`
 * (NX_SIM_NAME_SIZE_MAX; empty for the root itself). 0, or an errno. */
int nx_sim_tree_walk(struct nx_sim_tree *tree, const char *path, struct nx_sim_node **directory_out,
                     char *name_out);
/** The node at `path`, borrowed; 0, or an errno. */
int nx_sim_tree_find(struct nx_sim_tree *tree, const char *path, struct nx_sim_node **node_out);
