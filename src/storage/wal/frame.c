#include "storage/wal/frame.h"

#include "base/assert.h"
#include "storage/wal/crc32c.h"

static const char magic[8] = { 'N', 'X', 'W', 'A', 'L', '\r', '\n', '\x1a' };

static uint32_t header_crc(const struct nx_frame_header *header, uint64_t salt, uint64_t offset) {
    const uint32_t seed = (uint32_t)salt ^ (uint32_t)(offset / NX_FRAME_ALIGNMENT);
    return nx_crc32c(seed, (const uint8_t *)header + sizeof header->header_crc,
                     sizeof *header - sizeof header->header_crc);
}

void nx_frame_seal(struct nx_frame_header *header, uint64_t salt, uint64_t offset, const struct nx_str *parts,
                   size_t part_count) {
    uint32_t crc = (uint32_t)(salt >> 32);
    for (size_t i = 0; i < part_count; i++) {
        crc = nx_crc32c(crc, parts[i].ptr, parts[i].len);
    }
    header->body_crc = crc;
    header->header_crc = header_crc(header, salt, offset);
}

/* What a header says fits together; every later reader of the body relies on it. */
static bool is_sound(const struct nx_frame_header *header) {
    if (header->body_size > NX_FRAME_BODY_SIZE_MAX) {
        return false;
    }
    switch (header->kind) {
    case NX_FRAME_RECORD: {
        const uint64_t key_size = (header->flags & NX_FRAME_DEDUP) != 0 ? NX_DEDUP_KEY_SIZE : 0;
        return key_size + header->subject_size + header->headers_size <= header->body_size;
    }
    case NX_FRAME_STREAM:
    case NX_FRAME_VOID:
    case NX_FRAME_BATCH:
        return header->body_size >= sizeof(uint64_t);
    default:
        return false;
    }
}

/* Both counts stand in front of the entries; they must fill the body exactly. */
static bool is_sound_batch(const struct nx_frame *frame) {
    uint32_t counts[2];
    memcpy(counts, frame->body, sizeof counts);
    return sizeof counts + ((uint64_t)counts[0] + counts[1]) * NX_BATCH_ENTRY_SIZE == frame->header.body_size;
}

enum nx_frame_found nx_frame_peek(const uint8_t *bytes, uint64_t limit, uint64_t offset, uint64_t salt,
                                  struct nx_frame *frame_out) {
    if (limit < NX_FRAME_SIZE || offset > limit - NX_FRAME_SIZE) {
        return NX_FRAME_BAD;
    }
    struct nx_frame_header header;
    memcpy(&header, bytes + offset, sizeof header);
    if (header.header_crc != header_crc(&header, salt, offset) || !is_sound(&header)) {
        return NX_FRAME_BAD;
    }
    frame_out->header = header;
    frame_out->offset = offset;
    frame_out->body = bytes + offset + NX_FRAME_SIZE;
    if (header.body_size > limit - offset - NX_FRAME_SIZE ||
        (header.kind == NX_FRAME_BATCH && !is_sound_batch(frame_out))) {
        return NX_FRAME_BAD_BODY;
    }
    return NX_FRAME_FOUND;
}

enum nx_frame_found nx_frame_read(const uint8_t *bytes, uint64_t limit, uint64_t offset, uint64_t salt,
                                  struct nx_frame *frame_out) {
    const enum nx_frame_found found = nx_frame_peek(bytes, limit, offset, salt, frame_out);
    if (found != NX_FRAME_FOUND) {
        return found;
    }
    const uint32_t crc = nx_crc32c((uint32_t)(salt >> 32), frame_out->body, frame_out->header.body_size);
    return crc == frame_out->header.body_crc ? NX_FRAME_FOUND : NX_FRAME_BAD_BODY;
}

void nx_frame_record(const struct nx_frame *frame, struct nx_str *dedup_out, struct nx_str *subject_out,
                     struct nx_str *headers_out, struct nx_str *payload_out) {
    const struct nx_frame_header *header = &frame->header;
    const uint8_t *at = frame->body;
    const size_t key_size = (header->flags & NX_FRAME_DEDUP) != 0 ? NX_DEDUP_KEY_SIZE : 0;
    *dedup_out = nx_str_of(at, key_size);
    at += key_size;
    *subject_out = nx_str_of(at, header->subject_size);
    at += header->subject_size;
    *headers_out = nx_str_of(at, header->headers_size);
    at += header->headers_size;
    *payload_out = nx_str_of(at, header->body_size - key_size - header->subject_size - header->headers_size);
}

struct nx_str nx_frame_stream(const struct nx_frame *frame, uint64_t *first_sequence_out) {
    memcpy(first_sequence_out, frame->body, sizeof *first_sequence_out);
    return nx_str_of(frame->body + sizeof *first_sequence_out,
                     frame->header.body_size - sizeof *first_sequence_out);
}

uint64_t nx_frame_void_last(const struct nx_frame *frame) {
    uint64_t last;
    memcpy(&last, frame->body, sizeof last);
    return last;
}

size_t nx_frame_batch_count(const struct nx_frame *frame, bool previous) {
    uint32_t counts[2];
    memcpy(counts, frame->body, sizeof counts);
    return counts[previous ? 1 : 0];
}

struct nx_batch_entry nx_frame_batch_entry(const struct nx_frame *frame, bool previous, size_t index) {
    nx_assert(index < nx_frame_batch_count(frame, previous));
    const size_t at = previous ? nx_frame_batch_count(frame, false) + index : index;
    struct nx_batch_entry entry;
    memcpy(&entry, frame->body + 2 * sizeof(uint32_t) + at * NX_BATCH_ENTRY_SIZE, sizeof entry);
    return entry;
}

/* The header as it stands on disk; the checksum counts itself as zero. */
struct disk_header {
    char magic[8];
    uint32_t version;
    uint32_t crc;
    uint64_t number;
    uint64_t salt;
    int64_t created_ns;
    uint64_t size;
    uint64_t previous_number;
    uint64_t previous_end;
};
_Static_assert(sizeof(struct disk_header) == NX_SEGMENT_HEADER_SIZE, "the header is what stands on disk");

static uint32_t disk_header_crc(struct disk_header header) {
    header.crc = 0;
    return nx_crc32c(0, &header, sizeof header);
}

void nx_segment_header_encode(const struct nx_segment_header *header,
                              uint8_t bytes_out[NX_SEGMENT_HEADER_SIZE]) {
    struct disk_header disk = {
        .version = NX_SEGMENT_VERSION,
        .number = header->number,
        .salt = header->salt,
        .created_ns = header->created_ns,
        .size = header->size,
        .previous_number = header->previous_number,
        .previous_end = header->previous_end,
    };
    memcpy(disk.magic, magic, sizeof magic);
    disk.crc = disk_header_crc(disk);
    memcpy(bytes_out, &disk, sizeof disk);
}

static bool is_zero(const uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

enum nx_status nx_segment_header_decode(const uint8_t *bytes, uint64_t len,
                                        struct nx_segment_header *header_out, struct nx_error *err) {
    const uint64_t copies[2] = { 0, NX_SEGMENT_COPY_OFFSET };
    bool all_zero = true;
    for (size_t i = 0; i < 2; i++) {
        struct disk_header disk;
        if (len < copies[i] + sizeof disk) {
            continue;
        }
        memcpy(&disk, bytes + copies[i], sizeof disk);
        all_zero = all_zero && is_zero(bytes + copies[i], sizeof disk);
        if (memcmp(disk.magic, magic, sizeof magic) != 0 || disk.crc != disk_header_crc(disk)) {
            continue;
        }
        if (disk.version != NX_SEGMENT_VERSION) {
            return nx_fail_kind(err, NX_KIND_FORMAT_VERSION, "format version %u; this program knows %d",
                                disk.version, NX_SEGMENT_VERSION);
        }
        *header_out = (struct nx_segment_header){
            .number = disk.number,
            .salt = disk.salt,
            .created_ns = disk.created_ns,
            .size = disk.size,
            .previous_number = disk.previous_number,
            .previous_end = disk.previous_end,
        };
        return NX_OK;
    }
    return all_zero ? nx_fail(err, NX_NOT_FOUND, "no header") : nx_fail(err, NX_DATA_LOSS, "damaged header");
}

uint64_t nx_frame_salt(const struct nx_frame_header *header, uint64_t offset, const uint8_t *body) {
    const uint32_t low =
        nx_crc32c_seed(header->header_crc, (const uint8_t *)header + sizeof header->header_crc,
                       sizeof *header - sizeof header->header_crc);
    const uint32_t high = nx_crc32c_seed(header->body_crc, body, header->body_size);
    return (uint64_t)high << 32 | (low ^ (uint32_t)(offset / NX_FRAME_ALIGNMENT));
}

enum nx_status nx_segment_header_guess(const uint8_t *bytes, uint64_t len, uint64_t number,
                                       struct nx_segment_header *header_out, struct nx_error *err) {
    const uint64_t at = NX_SEGMENT_DATA_OFFSET;
    struct nx_frame_header first;
    struct nx_frame frame;
    if (len < at + NX_FRAME_SIZE) {
        return nx_fail(err, NX_DATA_LOSS, "damaged header");
    }
    memcpy(&first, bytes + at, sizeof first);
    if (first.kind != NX_FRAME_BATCH || first.sequence != 1 || first.stream != at || !is_sound(&first) ||
        first.body_size > len - at - NX_FRAME_SIZE) {
        return nx_fail(err, NX_DATA_LOSS, "damaged header and first frame");
    }
    const uint64_t salt = nx_frame_salt(&first, at, bytes + at + NX_FRAME_SIZE);
    const uint64_t next = at + nx_frame_size(first.body_size);
    if (nx_frame_read(bytes, len, next, salt, &frame) != NX_FRAME_FOUND) {
        return nx_fail(err, NX_DATA_LOSS, "damaged header and first frames");
    }
    *header_out = (struct nx_segment_header){
        .number = number, .salt = salt, .size = len, .previous_number = number - 1
    };
    return NX_OK;
}
