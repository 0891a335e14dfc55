#include "io/sim_internal.h"

#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"

enum { SECTOR_SIZE = 512, BITS = 64 };

/* ---- blocks ---- */

static bool has_block(const uint64_t *bits, uint64_t block) {
    return (bits[block / BITS] >> (block % BITS) & 1) != 0;
}

static void set_block(uint64_t *bits, uint64_t block) {
    bits[block / BITS] |= UINT64_C(1) << (block % BITS);
}

static void clear_block(uint64_t *bits, uint64_t block) {
    bits[block / BITS] &= ~(UINT64_C(1) << (block % BITS));
}

static void reserve_blocks(struct nx_sim_image *image, uint64_t offset, uint64_t len) {
    for (uint64_t block = offset / NX_SIM_BLOCK_SIZE;
         len > 0 && block <= (offset + len - 1) / NX_SIM_BLOCK_SIZE; block++) {
        image->reserved_count += has_block(image->reserved, block) ? 0 : 1;
        set_block(image->reserved, block);
    }
}

uint64_t nx_sim_image_missing_blocks(const struct nx_sim_image *image, uint64_t offset, uint64_t len) {
    uint64_t count = 0;
    for (uint64_t block = offset / NX_SIM_BLOCK_SIZE;
         len > 0 && block <= (offset + len - 1) / NX_SIM_BLOCK_SIZE; block++) {
        count += has_block(image->reserved, block) ? 0 : 1;
    }
    return count;
}

/* ---- images ---- */

bool nx_sim_image_init(struct nx_sim_image *image) {
    *image = (struct nx_sim_image){ 0 };
    void *bytes = mmap(NULL, NX_SIM_FILE_SIZE_MAX, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bytes == MAP_FAILED) {
        return false;
    }
    image->bytes = bytes;
    return true;
}

void nx_sim_image_fini(struct nx_sim_image *image) {
    if (image->bytes != NULL) {
        nx_assert(munmap(image->bytes, NX_SIM_FILE_SIZE_MAX) == 0);
        image->bytes = NULL;
    }
}

static void write_bytes(struct nx_sim_image *image, uint64_t offset, const uint8_t *bytes, uint64_t len) {
    if (len == 0) {
        return;
    }
    nx_assert(offset + len <= NX_SIM_FILE_SIZE_MAX);
    memcpy(image->bytes + offset, bytes, len);
    reserve_blocks(image, offset, len);
    for (uint64_t block = offset / NX_SIM_BLOCK_SIZE; block <= (offset + len - 1) / NX_SIM_BLOCK_SIZE;
         block++) {
        set_block(image->written, block);
    }
    image->size = image->size < offset + len ? offset + len : image->size;
}

/** Zero the range, and give back the space of the blocks that lie wholly in it. */
static void clear_range(struct nx_sim_image *image, uint64_t offset, uint64_t end) {
    for (uint64_t at = offset; at < end;) {
        const uint64_t block = at / NX_SIM_BLOCK_SIZE;
        const uint64_t block_end = (block + 1) * NX_SIM_BLOCK_SIZE;
        const uint64_t part_end = block_end < end ? block_end : end;
        if (has_block(image->written, block)) {
            memset(image->bytes + at, 0, part_end - at);
        }
        if (at % NX_SIM_BLOCK_SIZE == 0 && part_end == block_end) {
            image->reserved_count -= has_block(image->reserved, block) ? 1 : 0;
            clear_block(image->written, block);
            clear_block(image->reserved, block);
        }
        at = part_end;
    }
}

static void resize(struct nx_sim_image *image, uint64_t size) {
    if (size < image->size) {
        const uint64_t blocks_end =
            (image->size + NX_SIM_BLOCK_SIZE - 1) / NX_SIM_BLOCK_SIZE * NX_SIM_BLOCK_SIZE;
        clear_range(image, size, blocks_end);
    }
    image->size = size;
}

void nx_sim_image_apply(struct nx_sim_image *image, const struct nx_sim_change *change) {
    switch (change->kind) {
    case NX_SIM_WRITE:
        write_bytes(image, change->offset, change->bytes, change->len);
        break;
    case NX_SIM_RESERVE:
        reserve_blocks(image, 0, change->len);
        image->size = image->size < change->len ? change->len : image->size;
        break;
    case NX_SIM_RESIZE:
        resize(image, change->len);
        break;
    case NX_SIM_HOLE:
        if (change->offset < image->size) {
            const uint64_t end = change->offset + change->len;
            clear_range(image, change->offset, end < NX_SIM_FILE_SIZE_MAX ? end : NX_SIM_FILE_SIZE_MAX);
        }
        break;
    }
}

/** The write reached the disk as some of its sectors only. */
static void write_some_sectors(struct nx_sim_image *image, const struct nx_sim_change *change,
                               struct nx_sim *sim) {
    for (uint64_t done = 0; done < change->len;) {
        const uint64_t to_boundary = SECTOR_SIZE - (change->offset + done) % SECTOR_SIZE;
        const uint64_t left = change->len - done;
        const uint64_t len = to_boundary < left ? to_boundary : left;
        if (nx_sim_chance(sim, 500000)) {
            write_bytes(image, change->offset + done, change->bytes + done, len);
        }
        done += len;
    }
}

void nx_sim_image_apply_torn(struct nx_sim_image *image, const struct nx_sim_change *change,
                             struct nx_sim *sim) {
    const uint64_t fate = nx_sim_below(sim, change->kind == NX_SIM_WRITE ? 5 : 2);
    if (fate == 0) {
        return;
    }
    if (fate == 1) {
        nx_sim_image_apply(image, change);
        return;
    }
    if (fate == 2) {
        write_bytes(image, change->offset, change->bytes, nx_sim_below(sim, change->len + 1));
    } else if (fate == 3) {
        write_some_sectors(image, change, sim);
    }
    /* And the size may be on disk before the bytes are. */
    if (image->size < change->offset + change->len && (fate == 4 || nx_sim_chance(sim, 300000))) {
        image->size = change->offset + change->len;
    }
}

void nx_sim_image_copy(struct nx_sim_image *to, const struct nx_sim_image *from) {
    for (uint64_t block = 0; block < NX_SIM_BLOCK_COUNT; block++) {
        uint8_t *target = to->bytes + block * NX_SIM_BLOCK_SIZE;
        if (has_block(from->written, block)) {
            memcpy(target, from->bytes + block * NX_SIM_BLOCK_SIZE, NX_SIM_BLOCK_SIZE);
        } else if (has_block(to->written, block)) {
            memset(target, 0, NX_SIM_BLOCK_SIZE);
        }
    }
    memcpy(to->written, from->written, sizeof to->written);
    memcpy(to->reserved, from->reserved, sizeof to->reserved);
    to->reserved_count = from->reserved_count;
    to->size = from->size;
}
