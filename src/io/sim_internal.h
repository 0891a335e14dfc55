/* src/io/sim_internal.h: what the parts of the simulated world know of each other: its chance and trace
 * (sim.c), its disk (sim_disk.c), and the two images of each file (sim_image.c). */
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
