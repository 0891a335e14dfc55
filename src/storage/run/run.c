#include "storage/run/run.h"

#include <lz4.h>

#include "base/assert.h"
#include "storage/run/run_internal.h"
#include "storage/wal/crc32c.h"

const char nx_run_magic[8] = { 'N', 'X', 'R', 'U', 'N', '\r', '\n', '\x1a' };
const size_t nx_run_element_size[NX_RUN_SECTIONS] = {
    [NX_RUN_STREAMS] = sizeof(struct nx_run_stream),
    [NX_RUN_BLOCKS] = sizeof(struct nx_run_block),
    [NX_RUN_SUBJECTS] = sizeof(struct nx_run_subject),
    [NX_RUN_HASHES] = sizeof(uint64_t),
    [NX_RUN_ORDINALS] = sizeof(uint32_t),
    [NX_RUN_LOST] = sizeof(struct nx_run_range),
    [NX_RUN_TEXT] = 1,
};

struct nx_run {
    struct nx_file *file;
    const uint8_t *bytes;
    uint64_t size;
    struct nx_run_header header;
    struct nx_run_trailer trailer;
    const struct nx_run_stream *streams; /* these point into the mapped footer */
    const struct nx_run_block *blocks;
    const struct nx_run_subject *subjects;
    const uint64_t *hashes;
    const uint32_t *ordinals;
    const struct nx_run_range *lost;
    const char *text;
    uint32_t *gone; /* by index of the stream: so many of its first blocks has retention punched out */
    bool is_damaged;
};

uint32_t nx_run_header_crc(struct nx_run_header header) {
    header.crc = 0;
    return nx_crc32c(0, &header, sizeof header);
}

uint32_t nx_run_trailer_crc(struct nx_run_trailer trailer) {
    trailer.crc = 0;
    return nx_crc32c(0, &trailer, sizeof trailer);
}

uint32_t nx_run_block_crc(const struct nx_run_block_header *header, const void *stored) {
    const uint32_t crc =
        nx_crc32c(0, (const uint8_t *)header + sizeof header->crc, sizeof *header - sizeof header->crc);
    return nx_crc32c(crc, stored, header->stored_size);
}

/* ---- opening: everything that is used later without a check is checked here ---- */

static bool place_sections(struct nx_run *run) {
    const struct nx_run_trailer *trailer = &run->trailer;
    const uint8_t *starts[NX_RUN_SECTIONS];
    uint64_t offset = 0;
    for (size_t i = 0; i < NX_RUN_SECTIONS; i++) {
        const uint64_t count = trailer->section_count[i];
        if (count > trailer->footer_size / nx_run_element_size[i]) {
            return false;
        }
        starts[i] = run->bytes + trailer->footer_offset + offset;
        offset += (count * nx_run_element_size[i] + 7) / 8 * 8;
        if (offset > trailer->footer_size) {
            return false;
        }
    }
    run->streams = (const void *)starts[NX_RUN_STREAMS];
    run->blocks = (const void *)starts[NX_RUN_BLOCKS];
    run->subjects = (const void *)starts[NX_RUN_SUBJECTS];
    run->hashes = (const void *)starts[NX_RUN_HASHES];
    run->ordinals = (const void *)starts[NX_RUN_ORDINALS];
    run->lost = (const void *)starts[NX_RUN_LOST];
    run->text = (const void *)starts[NX_RUN_TEXT];
    return true;
}

static bool is_within(uint64_t first, uint64_t count, uint64_t limit) {
    return first <= limit && count <= limit - first;
}

static bool check_footer(const struct nx_run *run) {
    const uint64_t *counts = run->trailer.section_count;
    for (size_t i = 0; i < counts[NX_RUN_STREAMS]; i++) {
        const struct nx_run_stream *stream = &run->streams[i];
        if ((i > 0 && stream->stream <= run->streams[i - 1].stream) ||
            !is_within(stream->name_offset, stream->name_size, counts[NX_RUN_TEXT]) ||
            !is_within(stream->block_first, stream->block_count, counts[NX_RUN_BLOCKS]) ||
            !is_within(stream->subject_first, stream->subject_count, counts[NX_RUN_SUBJECTS]) ||
            !is_within(stream->lost_first, stream->lost_count, counts[NX_RUN_LOST]) ||
            (stream->count > 0) != (stream->block_count > 0)) {
            return false;
        }
    }
    for (size_t i = 0; i < counts[NX_RUN_SUBJECTS]; i++) {
        if (!is_within(run->subjects[i].text_offset, run->subjects[i].text_size, counts[NX_RUN_TEXT])) {
            return false;
        }
    }
    return counts[NX_RUN_HASHES] == counts[NX_RUN_ORDINALS];
}

static enum nx_status check_run(struct nx_run *run, struct nx_error *err) {
    if (run->size < NX_RUN_HEADER_SIZE + NX_RUN_TRAILER_SIZE) {
        return nx_fail(err, NX_DATA_LOSS, "cut short");
    }
    memcpy(&run->header, run->bytes, sizeof run->header);
    memcpy(&run->trailer, run->bytes + run->size - sizeof run->trailer, sizeof run->trailer);
    if (memcmp(run->header.magic, nx_run_magic, sizeof nx_run_magic) != 0 ||
        run->header.crc != nx_run_header_crc(run->header)) {
        return nx_fail(err, NX_DATA_LOSS, "damaged header");
    }
    if (run->header.version < NX_RUN_VERSION_MIN || run->header.version > NX_RUN_VERSION) {
        return nx_fail_kind(err, NX_KIND_FORMAT_VERSION, "format version %u; this program knows %d to %d",
                            run->header.version, NX_RUN_VERSION_MIN, NX_RUN_VERSION);
    }
    const struct nx_run_trailer *trailer = &run->trailer;
    if (memcmp(trailer->magic, nx_run_magic, sizeof nx_run_magic) != 0 ||
        trailer->crc != nx_run_trailer_crc(*trailer) || trailer->footer_offset % 8 != 0 ||
        !is_within(trailer->footer_offset, trailer->footer_size, run->size - sizeof *trailer)) {
        return nx_fail(err, NX_DATA_LOSS, "damaged trailer");
    }
    const uint32_t crc = nx_crc32c(0, run->bytes + trailer->footer_offset, (size_t)trailer->footer_size);
    if (crc != trailer->footer_crc || !place_sections(run) || !check_footer(run)) {
        return nx_fail(err, NX_DATA_LOSS, "damaged footer");
    }
    return NX_OK;
}

/* A block that was punched out: its header reads as zeros. */
static bool is_hole(const struct nx_run *run, uint32_t block) {
    static const struct nx_run_block_header hole;
    const uint64_t offset = run->blocks[block].offset;
    return is_within(offset, sizeof hole, run->trailer.footer_offset) &&
           memcmp(run->bytes + offset, &hole, sizeof hole) == 0;
}

static bool find_gone(struct nx_run *run) {
    const size_t count = nx_run_extent_count(run);
    run->gone = calloc(count + 1, sizeof *run->gone);
    if (run->gone == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct nx_run_stream *stream = &run->streams[i];
        while (run->gone[i] < stream->block_count && is_hole(run, stream->block_first + run->gone[i])) {
            run->gone[i]++;
        }
    }
    return true;
}

/* The stream's first block that is still there; behind its last when none is. */
static uint32_t first_block(const struct nx_run *run, const struct nx_run_stream *stream) {
    return stream->block_first + run->gone[stream - run->streams];
}

static uint32_t end_block(const struct nx_run_stream *stream) {
    return stream->block_first + stream->block_count;
}

/* Where the block's bytes end. */
static uint64_t end_of_block(const struct nx_run *run, uint32_t block) {
    return block + 1 < run->trailer.section_count[NX_RUN_BLOCKS] ? run->blocks[block + 1].offset
                                                                 : run->trailer.footer_offset;
}

enum nx_status nx_run_open(struct nx_disk *disk, const char *directory, uint64_t first_segment,
                           uint64_t last_segment, struct nx_run **run_out, struct nx_error *err) {
    char path[NX_PATH_SIZE_MAX];
    NX_TRY(nx_run_path(directory, first_segment, last_segment, path, err));
    struct nx_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return nx_fail_memory(err);
    }
    enum nx_status status = nx_file_open(disk, path, NX_FILE_READ, &run->file, err);
    if (status == NX_OK) {
        status = nx_file_size(run->file, &run->size, err);
    }
    if (status == NX_OK && run->size > 0) {
        status = nx_file_map(run->file, (size_t)run->size, &run->bytes, err);
    }
    if (status == NX_OK) {
        status = check_run(run, err);
    }
    if (status == NX_OK &&
        (run->header.first_segment != first_segment || run->header.last_segment != last_segment)) {
        status = nx_fail(err, NX_DATA_LOSS, "it holds other segments than its name says");
    }
    if (status == NX_OK && !find_gone(run)) {
        status = nx_fail_memory(err);
    }
    if (status != NX_OK) {
        nx_run_close(run, NULL);
        return nx_wrap(err, status, "reading '%s'", path);
    }
    *run_out = run;
    return NX_OK;
}

static void slot_fini(struct nx_run_slot *slot) {
    free(slot->bytes);
    free(slot->offsets);
    *slot = (struct nx_run_slot){ 0 };
}

void nx_run_cache_fini(struct nx_run_cache *cache) {
    for (size_t i = 0; i < NX_RUN_CACHE_SLOTS; i++) {
        slot_fini(&cache->slots[i]);
    }
}

void nx_run_close(struct nx_run *run, struct nx_run_cache *cache) {
    if (run == NULL) {
        return;
    }
    for (size_t i = 0; cache != NULL && i < NX_RUN_CACHE_SLOTS; i++) {
        if (cache->slots[i].run == run) {
            slot_fini(&cache->slots[i]);
        }
    }
    nx_file_close(run->file);
    free(run->gone);
    free(run);
}

uint64_t nx_run_first_segment(const struct nx_run *run) {
    return run->header.first_segment;
}

uint64_t nx_run_last_segment(const struct nx_run *run) {
    return run->header.last_segment;
}

uint64_t nx_run_size(const struct nx_run *run) {
    return run->size;
}

size_t nx_run_extent_count(const struct nx_run *run) {
    return (size_t)run->trailer.section_count[NX_RUN_STREAMS];
}

struct nx_extent nx_run_extent_at(const struct nx_run *run, size_t index, struct nx_str *name_out) {
    nx_assert(index < nx_run_extent_count(run));
    const struct nx_run_stream *stream = &run->streams[index];
    struct nx_extent extent = {
        .stream = stream->stream,
        .first_sequence = stream->first_sequence,
        .last_sequence = stream->last_sequence,
        .count = stream->count,
        .size = stream->size,
        .first_time_ns = stream->first_time_ns,
        .last_time_ns = stream->last_time_ns,
    };
    *name_out = nx_str_of(run->text + stream->name_offset, stream->name_size);
    if (run->gone[index] == stream->block_count) {
        extent.count = 0;
        extent.size = 0;
    } else if (run->gone[index] > 0) {
        const struct nx_run_block *block = &run->blocks[first_block(run, stream)];
        const uint64_t gone = block->first_ordinal - run->blocks[stream->block_first].first_ordinal;
        extent.count -= gone < extent.count ? gone : extent.count;
        extent.size = extent.size / stream->block_count * (stream->block_count - run->gone[index]);
        extent.first_sequence = block->first_sequence;
        extent.first_time_ns = block->first_time_ns;
    }
    return extent;
}

/* What it knows of the stream, even if no record is left. */
static const struct nx_run_stream *find_known(const struct nx_run *run, uint32_t number) {
    size_t low = 0;
    size_t high = nx_run_extent_count(run);
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (run->streams[middle].stream < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < nx_run_extent_count(run) && run->streams[low].stream == number ? &run->streams[low] : NULL;
}

static const struct nx_run_stream *find_stream(const struct nx_run *run, uint32_t number) {
    const struct nx_run_stream *stream = find_known(run, number);
    return stream == NULL || (stream->block_count > 0 && first_block(run, stream) == end_block(stream))
               ? NULL
               : stream;
}

bool nx_run_extent(const struct nx_run *run, uint32_t number, struct nx_extent *extent_out) {
    struct nx_str name;
    const struct nx_run_stream *stream = find_stream(run, number);
    if (stream == NULL || stream->count == 0) {
        return false;
    }
    *extent_out = nx_run_extent_at(run, (size_t)(stream - run->streams), &name);
    return true;
}

bool nx_run_reach(const struct nx_run *run, uint32_t number, uint64_t *last_sequence_out,
                  int64_t *last_time_ns_out) {
    const struct nx_run_stream *stream = find_known(run, number);
    if (stream == NULL) {
        return false;
    }
    *last_sequence_out = stream->last_sequence;
    *last_time_ns_out = stream->last_time_ns;
    return true;
}

uint64_t nx_run_record_count(const struct nx_run *run) {
    uint64_t count = 0;
    for (size_t i = 0; i < nx_run_extent_count(run); i++) {
        struct nx_str name;
        count += nx_run_extent_at(run, i, &name).count;
    }
    return count;
}

uint64_t nx_run_live_size(const struct nx_run *run) {
    uint64_t size = run->size;
    for (size_t i = 0; i < nx_run_extent_count(run); i++) {
        const struct nx_run_stream *stream = &run->streams[i];
        if (run->gone[i] > 0) {
            const uint64_t from = run->blocks[stream->block_first].offset;
            const uint64_t to = end_of_block(run, first_block(run, stream) - 1);
            size -= to > from && to - from < size ? to - from : 0;
        }
    }
    return size;
}

void nx_run_mark_damaged(struct nx_run *run) {
    run->is_damaged = true;
}

bool nx_run_is_damaged(const struct nx_run *run) {
    return run->is_damaged;
}

uint64_t nx_run_dedup_count(const struct nx_run *run, uint32_t number) {
    const struct nx_run_stream *stream = find_stream(run, number);
    return stream == NULL ? 0 : stream->dedup_count;
}

bool nx_run_lost(const struct nx_run *run, uint32_t number, size_t index, uint64_t *first_out,
                 uint64_t *last_out) {
    const struct nx_run_stream *stream = find_stream(run, number);
    if (stream == NULL || index >= stream->lost_count) {
        return false;
    }
    *first_out = run->lost[stream->lost_first + index].first;
    *last_out = run->lost[stream->lost_first + index].last;
    return true;
}

/* The block behind the stream's last one that lies wholly below the sequence. */
static uint32_t block_at(const struct nx_run *run, const struct nx_run_stream *stream, uint64_t sequence) {
    if (sequence > stream->last_sequence) {
        return end_block(stream);
    }
    uint32_t low = first_block(run, stream);
    uint32_t high = end_block(stream);
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (run->blocks[middle].first_sequence <= sequence) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

bool nx_run_part(const struct nx_run *run, uint32_t number, size_t index, struct nx_extent *part_out) {
    const struct nx_run_stream *stream = find_stream(run, number);
    if (stream == NULL || index >= end_block(stream) - first_block(run, stream)) {
        return false;
    }
    const uint32_t at = first_block(run, stream) + (uint32_t)index;
    const struct nx_run_block *block = &run->blocks[at];
    const bool is_last = at + 1 == end_block(stream);
    *part_out = (struct nx_extent){
        .stream = number,
        .first_sequence = block->first_sequence,
        .last_sequence = is_last ? stream->last_sequence : run->blocks[at + 1].first_sequence - 1,
        .count = block->count,
        .size = end_of_block(run, at) - block->offset,
        .first_time_ns = block->first_time_ns,
        /* Not before its last record's, which is not known: that of the next one. */
        .last_time_ns = is_last ? stream->last_time_ns : run->blocks[at + 1].first_time_ns,
    };
    return true;
}

bool nx_run_region(const struct nx_run *run, uint32_t number, uint64_t sequence, uint64_t *offset_out,
                   uint64_t *len_out) {
    const struct nx_run_stream *stream = find_stream(run, number);
    if (stream == NULL || stream->block_count == 0) {
        return false;
    }
    const uint32_t from = first_block(run, stream);
    const uint32_t to = block_at(run, stream, sequence);
    if (from >= to) {
        return false;
    }
    const uint64_t end = end_of_block(run, to - 1);
    *offset_out = run->blocks[from].offset;
    *len_out = end > *offset_out ? end - *offset_out : 0;
    return true;
}

bool nx_run_gone_region(const struct nx_run *run, uint32_t number, uint64_t *offset_out, uint64_t *len_out) {
    const struct nx_run_stream *stream = find_known(run, number);
    if (stream == NULL || run->gone[stream - run->streams] == 0) {
        return false;
    }
    const uint64_t end = end_of_block(run, first_block(run, stream) - 1);
    *offset_out = run->blocks[stream->block_first].offset;
    *len_out = end > *offset_out ? end - *offset_out : 0;
    return true;
}

void nx_run_mark_gone(struct nx_run *run, uint32_t number, uint64_t sequence) {
    const struct nx_run_stream *stream = find_stream(run, number);
    if (stream != NULL && stream->block_count > 0) {
        run->gone[stream - run->streams] = block_at(run, stream, sequence) - stream->block_first;
    }
}

/* ---- blocks ---- */

/* Where the frames of an unpacked block begin; false when they are not what the footer promised. */
static bool list_frames(struct nx_run_slot *slot, const struct nx_run_block *block, uint32_t stream) {
    size_t offset = 0;
    uint64_t last = 0;
    slot->count = 0;
    if (block->count == 0 || block->count > slot->size / NX_FRAME_SIZE) {
        return false;
    }
    slot->offsets = reallocarray(NULL, block->count, sizeof *slot->offsets);
    if (slot->offsets == NULL) {
        return false;
    }
    while (slot->count < block->count) {
        struct nx_frame_header header;
        if (slot->size - offset < sizeof header) {
            return false;
        }
        memcpy(&header, slot->bytes + offset, sizeof header);
        const uint64_t key_size = (header.flags & NX_FRAME_DEDUP) != 0 ? NX_DEDUP_KEY_SIZE : 0;
        if (header.stream != stream || header.sequence <= last ||
            key_size + header.subject_size + header.headers_size > header.body_size ||
            nx_frame_size(header.body_size) > slot->size - offset) {
            return false;
        }
        slot->offsets[slot->count++] = (uint32_t)offset;
        last = header.sequence;
        offset += (size_t)nx_frame_size(header.body_size);
    }
    return true;
}

static bool unpack(const struct nx_run *run, const struct nx_run_block *block, uint32_t stream,
                   struct nx_run_slot *slot) {
    struct nx_run_block_header header;
    const uint64_t limit = run->trailer.footer_offset;
    if (!is_within(block->offset, sizeof header, limit)) {
        return false;
    }
    memcpy(&header, run->bytes + block->offset, sizeof header);
    const uint8_t *stored = run->bytes + block->offset + sizeof header;
    if (!is_within(block->offset + sizeof header, header.stored_size, limit) ||
        header.raw_size > 2 * NX_FRAME_BODY_SIZE_MAX || header.stored_size > header.raw_size ||
        header.stream != stream || header.crc != nx_run_block_crc(&header, stored)) {
        return false;
    }
    slot->bytes = malloc(header.raw_size + 1);
    slot->size = header.raw_size;
    if (slot->bytes == NULL) {
        return false;
    }
    if (header.stored_size == header.raw_size) {
        memcpy(slot->bytes, stored, header.raw_size);
    } else if (LZ4_decompress_safe((const char *)stored, (char *)slot->bytes, (int)header.stored_size,
                                   (int)header.raw_size) != (int)header.raw_size) {
        return false;
    }
    return list_frames(slot, block, stream);
}

/* The unpacked block, or NULL when it is damaged. */
static const struct nx_run_slot *load(const struct nx_run *run, struct nx_run_cache *cache, uint32_t stream,
                                      uint32_t block) {
    struct nx_run_slot *oldest = &cache->slots[0];
    for (size_t i = 0; i < NX_RUN_CACHE_SLOTS; i++) {
        struct nx_run_slot *slot = &cache->slots[i];
        if (slot->run == run && slot->block == block) {
            slot->used = ++cache->clock;
            cache->last = i;
            return slot;
        }
        oldest = slot->used < oldest->used ? slot : oldest;
    }
    slot_fini(oldest);
    if (!unpack(run, &run->blocks[block], stream, oldest)) {
        slot_fini(oldest);
        return NULL;
    }
    oldest->run = run;
    oldest->block = block;
    oldest->used = ++cache->clock;
    cache->last = (size_t)(oldest - cache->slots);
    return oldest;
}

static uint64_t sequence_at(const struct nx_run_slot *slot, size_t index) {
    uint64_t sequence;
    memcpy(&sequence, slot->bytes + slot->offsets[index] + offsetof(struct nx_frame_header, sequence),
           sizeof sequence);
    return sequence;
}

static void give(const struct nx_run *run, const struct nx_run_slot *slot, size_t index,
                 struct nx_stored *stored_out) {
    struct nx_frame frame;
    memcpy(&frame.header, slot->bytes + slot->offsets[index], sizeof frame.header);
    frame.offset = slot->offsets[index];
    frame.body = slot->bytes + slot->offsets[index] + NX_FRAME_SIZE;
    nx_stored_of_frame(&frame, stored_out);
    stored_out->place = run->header.version < 2 ? NX_RUN_PLACE_UNKNOWN : frame.header.header_crc;
}

/* Index of the first record in the block with at least this sequence; its count when there is none. */
static size_t find_in_block(const struct nx_run_slot *slot, uint64_t sequence) {
    size_t low = 0;
    size_t high = slot->count;
    /* Mostly there are no gaps: then the place can be told at once. */
    const uint64_t first = sequence_at(slot, 0);
    if (sequence >= first && sequence - first < slot->count &&
        sequence_at(slot, (size_t)(sequence - first)) == sequence) {
        return (size_t)(sequence - first);
    }
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (sequence_at(slot, middle) < sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Who reads a range asks for the next record of the block that was used last. */
static bool is_in_last(const struct nx_run *run, const struct nx_run_cache *cache,
                       const struct nx_run_stream *stream, uint64_t sequence) {
    const struct nx_run_slot *slot = &cache->slots[cache->last];
    return slot->run == run && slot->block >= first_block(run, stream) && slot->block < end_block(stream) &&
           sequence >= sequence_at(slot, 0) && sequence <= sequence_at(slot, slot->count - 1);
}

enum nx_stored_found nx_run_at_or_after(const struct nx_run *run, struct nx_run_cache *cache, uint32_t number,
                                        uint64_t sequence, struct nx_stored *stored_out) {
    const struct nx_run_stream *stream = find_stream(run, number);
    if (stream == NULL || stream->count == 0 || sequence > stream->last_sequence) {
        return NX_STORED_NONE;
    }
    sequence = sequence < stream->first_sequence ? stream->first_sequence : sequence;
    if (is_in_last(run, cache, stream, sequence)) {
        const struct nx_run_slot *slot = &cache->slots[cache->last];
        give(run, slot, find_in_block(slot, sequence), stored_out);
        return NX_STORED_FOUND;
    }
    for (uint32_t block = block_at(run, stream, sequence); block < end_block(stream); block++) {
        if (is_hole(run, block)) {
            continue; /* the power went while it was being punched out with those before it */
        }
        const struct nx_run_slot *slot = load(run, cache, number, block);
        if (slot == NULL) {
            const uint64_t first = run->blocks[block].first_sequence;
            *stored_out =
                (struct nx_stored){ .stream = number, .sequence = sequence > first ? sequence : first };
            return NX_STORED_DAMAGED;
        }
        const size_t index = find_in_block(slot, sequence);
        if (index < slot->count) {
            give(run, slot, index, stored_out);
            return NX_STORED_FOUND;
        }
    }
    return NX_STORED_NONE;
}

enum nx_stored_found nx_run_at_or_before(const struct nx_run *run, struct nx_run_cache *cache,
                                         uint32_t number, uint64_t sequence, struct nx_stored *stored_out) {
    const struct nx_run_stream *stream = find_stream(run, number);
    if (stream == NULL || stream->count == 0 || sequence < stream->first_sequence) {
        return NX_STORED_NONE;
    }
    sequence = sequence > stream->last_sequence ? stream->last_sequence : sequence;
    for (uint32_t block = block_at(run, stream, sequence) + 1; block-- > first_block(run, stream);) {
        if (is_hole(run, block)) {
            continue;
        }
        const struct nx_run_slot *slot = load(run, cache, number, block);
        if (slot == NULL) {
            *stored_out = (struct nx_stored){ .stream = number, .sequence = sequence };
            return NX_STORED_DAMAGED;
        }
        size_t index = find_in_block(slot, sequence);
        if (index < slot->count && sequence_at(slot, index) == sequence) {
            give(run, slot, index, stored_out);
            return NX_STORED_FOUND;
        }
        if (index > 0) {
            give(run, slot, index - 1, stored_out);
            return NX_STORED_FOUND;
        }
    }
    return NX_STORED_NONE;
}

uint64_t nx_run_sequence_before(const struct nx_run *run, uint32_t number, int64_t time_ns) {
    const struct nx_run_stream *stream = find_stream(run, number);
    if (stream == NULL || stream->block_count == 0) {
        return 0;
    }
    uint32_t low = first_block(run, stream);
    uint32_t high = end_block(stream);
    while (high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        if (run->blocks[middle].first_time_ns < time_ns) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return run->blocks[low].first_sequence;
}

/* ---- subjects ---- */

static const struct nx_run_subject *find_subject(const struct nx_run *run, uint32_t number,
                                                 struct nx_str subject) {
    const struct nx_run_stream *stream = find_stream(run, number);
    if (stream == NULL) {
        return NULL;
    }
    uint32_t low = 0;
    uint32_t high = stream->subject_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const struct nx_run_subject *entry = &run->subjects[stream->subject_first + middle];
        const int order =
            nx_str_compare(nx_str_of(run->text + entry->text_offset, entry->text_size), subject);
        if (order == 0) {
            return entry;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

uint64_t nx_run_last_of_subject(const struct nx_run *run, uint32_t number, struct nx_str subject) {
    const struct nx_run_subject *entry = find_subject(run, number, subject);
    return entry == NULL ? 0 : entry->last_sequence;
}

uint64_t nx_run_count_newer(const struct nx_run *run, uint32_t number, struct nx_str subject,
                            uint64_t sequence, uint32_t place) {
    const struct nx_run_subject *entry = find_subject(run, number, subject);
    if (entry == NULL || sequence >= entry->last_sequence) {
        return 0;
    }
    if (sequence < entry->first_sequence) {
        return entry->count;
    }
    return place < entry->count ? entry->count - 1 - place : 1;
}

bool nx_run_older_of_subject(const struct nx_run *run, struct nx_run_cache *cache, uint32_t number,
                             struct nx_str subject, uint64_t *below, struct nx_stored *stored_out) {
    const struct nx_run_subject *entry = find_subject(run, number, subject);
    const uint64_t last = entry == NULL ? 0 : entry->last_sequence;
    for (uint64_t at = *below > last ? last : *below - 1; at > 0 && at >= entry->first_sequence;) {
        const enum nx_stored_found found = nx_run_at_or_before(run, cache, number, at, stored_out);
        if (found == NX_STORED_NONE || stored_out->sequence < entry->first_sequence) {
            return false;
        }
        *below = stored_out->sequence;
        if (found == NX_STORED_FOUND && nx_str_equal(stored_out->subject, subject)) {
            return true;
        }
        at = stored_out->sequence - 1;
    }
    return false;
}

size_t nx_run_subject_count(const struct nx_run *run, uint32_t number) {
    const struct nx_run_stream *stream = find_stream(run, number);
    return stream == NULL ? 0 : stream->subject_count;
}

bool nx_run_subject_at(const struct nx_run *run, uint32_t number, size_t index, struct nx_str *subject_out) {
    const struct nx_run_stream *stream = find_stream(run, number);
    if (stream == NULL || index >= stream->subject_count) {
        return false;
    }
    const struct nx_run_subject *entry = &run->subjects[stream->subject_first + index];
    *subject_out = nx_str_of(run->text + entry->text_offset, entry->text_size);
    return true;
}

bool nx_run_may_match(const struct nx_run *run, uint32_t number, struct nx_str filter,
                      bool (*matches)(struct nx_str filter, struct nx_str subject)) {
    enum { SUBJECTS_MAX = 4096 };
    const struct nx_run_stream *stream = find_stream(run, number);
    if (stream == NULL || stream->subject_count > SUBJECTS_MAX) {
        return stream != NULL;
    }
    for (uint32_t i = 0; i < stream->subject_count; i++) {
        const struct nx_run_subject *subject = &run->subjects[stream->subject_first + i];
        if (matches(filter, nx_str_of(run->text + subject->text_offset, subject->text_size))) {
            return true;
        }
    }
    return false;
}

/* ---- keys ---- */

/* The stream and block that hold the record with this ordinal. */
static const struct nx_run_stream *locate(const struct nx_run *run, uint32_t ordinal, uint32_t *block_out) {
    uint32_t block = 0;
    uint32_t high = (uint32_t)run->trailer.section_count[NX_RUN_BLOCKS];
    while (high - block > 1 && high > 0) {
        const uint32_t middle = block + (high - block) / 2;
        if (run->blocks[middle].first_ordinal <= ordinal) {
            block = middle;
        } else {
            high = middle;
        }
    }
    size_t low = 0;
    size_t end = high == 0 ? 0 : nx_run_extent_count(run);
    while (low < end) { /* streams that begin at or before the block */
        const size_t middle = low + (end - low) / 2;
        if (run->streams[middle].block_first <= block) {
            low = middle + 1;
        } else {
            end = middle;
        }
    }
    const struct nx_run_stream *stream = low == 0 ? NULL : &run->streams[low - 1];
    *block_out = block;
    return stream == NULL || block < first_block(run, stream) || block >= end_block(stream) ? NULL : stream;
}

static uint64_t first_hash(const struct nx_run *run, uint64_t hash) {
    uint64_t low = 0;
    uint64_t high = run->trailer.section_count[NX_RUN_HASHES];
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (run->hashes[middle] < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool nx_run_find(const struct nx_run *run, struct nx_run_cache *cache, enum nx_key_kind kind,
                 struct nx_str key, uint64_t *cursor, struct nx_stored *stored_out) {
    const uint64_t hash = nx_key_hash(kind, key, run->header.seed);
    uint64_t at = *cursor == 0 ? first_hash(run, hash) : *cursor;
    for (; at < run->trailer.section_count[NX_RUN_HASHES] && run->hashes[at] == hash; at++) {
        uint32_t block = 0;
        const struct nx_run_stream *stream = locate(run, run->ordinals[at], &block);
        const struct nx_run_slot *slot = stream == NULL ? NULL : load(run, cache, stream->stream, block);
        if (slot == NULL || run->ordinals[at] - run->blocks[block].first_ordinal >= slot->count) {
            continue;
        }
        give(run, slot, run->ordinals[at] - run->blocks[block].first_ordinal, stored_out);
        if (nx_str_equal(nx_stored_key(stored_out, kind), key)) {
            *cursor = at + 1;
            return true;
        }
    }
    return false;
}
