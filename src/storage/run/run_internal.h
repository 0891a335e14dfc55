/* src/storage/run/run_internal.h: what stands in a run's file, for its writer and its reader. */
#pragma once

#include "storage/run/run.h"

/* At byte 0; the checksum counts itself as zero. */
struct nx_run_header {
    char magic[8];
    uint32_t version;
    uint32_t crc;
    uint64_t first_segment;
    uint64_t last_segment;
    uint64_t seed; /* of the key hashes */
    uint64_t zero[3];
};
_Static_assert(sizeof(struct nx_run_header) == NX_RUN_HEADER_SIZE, "as on disk");

struct nx_run_block_header {
    uint32_t crc; /* of the 12 bytes behind it and the stored bytes */
    uint32_t stored_size;
    uint32_t raw_size; /* equal to stored_size: not compressed */
    uint32_t stream;
};
_Static_assert(sizeof(struct nx_run_block_header) == 16, "as on disk");

struct nx_run_stream {
    uint32_t stream;
    uint32_t name_size;
    uint64_t name_offset; /* in the text */
    uint64_t first_sequence;
    uint64_t last_sequence;
    uint64_t count;
    uint64_t size; /* bytes of the frames, not compressed */
    int64_t first_time_ns;
    int64_t last_time_ns;
    uint32_t block_first; /* index into the blocks */
    uint32_t block_count;
    uint32_t subject_first;
    uint32_t subject_count;
    uint32_t lost_first;
    uint32_t lost_count;
    uint64_t dedup_count; /* records that have kept their key */
};
_Static_assert(sizeof(struct nx_run_stream) == 96, "as on disk");

struct nx_run_block {
    uint64_t offset; /* in the file */
    uint64_t first_sequence;
    int64_t first_time_ns;
    uint32_t first_ordinal; /* of its first record, counted over the whole run */
    uint32_t count;
};
_Static_assert(sizeof(struct nx_run_block) == 32, "as on disk");

struct nx_run_subject { /* of one stream in the order of their bytes */
    uint64_t text_offset;
    uint32_t text_size;
    uint32_t count;
    uint64_t first_sequence;
    uint64_t last_sequence;
};
_Static_assert(sizeof(struct nx_run_subject) == 32, "as on disk");

/* In a run a frame has no checksums; the first of the two fields holds its record's place instead. */
enum { NX_RUN_PLACE_UNKNOWN = UINT32_MAX };

struct nx_run_range {
    uint64_t first;
    uint64_t last;
};

enum nx_run_section {
    NX_RUN_STREAMS,
    NX_RUN_BLOCKS,
    NX_RUN_SUBJECTS,
    NX_RUN_HASHES,   /* u64 each, ascending */
    NX_RUN_ORDINALS, /* u32 each, of the record with that hash */
    NX_RUN_LOST,
    NX_RUN_TEXT,
    NX_RUN_SECTIONS
};

/* At the end of the file; the checksum counts itself as zero. Sections start at multiples of 8. */
struct nx_run_trailer {
    char magic[8];
    uint32_t version;
    uint32_t crc;
    uint64_t footer_offset;
    uint64_t footer_size;
    uint32_t footer_crc;
    uint32_t record_count;
    uint64_t section_count[NX_RUN_SECTIONS]; /* elements */
    uint64_t zero[4];
};
_Static_assert(sizeof(struct nx_run_trailer) == NX_RUN_TRAILER_SIZE, "as on disk");

extern const char nx_run_magic[8];
extern const size_t nx_run_element_size[NX_RUN_SECTIONS];
uint32_t nx_run_header_crc(struct nx_run_header header);
uint32_t nx_run_trailer_crc(struct nx_run_trailer trailer);
uint32_t nx_run_block_crc(const struct nx_run_block_header *header, const void *stored);
