/* src/storage/wal/frame.h: what stands in a segment of the journal, byte by byte (spec/journal.md).
 *
 * segment   header | the same header again at byte 2048 | frames from byte 4096 | zeros
 * frame     40-byte header | body | zeros up to a multiple of 8
 * batch     one BATCH frame, then the frames of one group of appends
 * body      RECORD: [16-byte dedup key] subject headers payload
 *           STREAM: u64 first sequence | name     (sequence and time: the stream's last)
 *           VOID:   u64 last burnt sequence       (sequence: the first)
 *           BATCH:  u32 count of own entries | u32 count of the previous batch's | entries of 16 bytes:
 *                   u32 stream | u32 records | u64 last sequence
 *
 * A header's checksum is salted with the segment's random salt and the frame's place, so neither a payload
 * nor an old or misplaced block can pass for a frame; with it alone the next frame after damage can be found,
 * and a record whose body is damaged can still be named. A batch names the end of the batch before it and
 * repeats that one's directory: what a destroyed batch held is known. Little-endian. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

enum {
    NX_SEGMENT_VERSION = 1,
    NX_SEGMENT_HEADER_SIZE = 64,
    NX_SEGMENT_COPY_OFFSET = 2048, /* of the second copy of the header */
    NX_SEGMENT_DATA_OFFSET = 4096, /* of the first frame */
    NX_FRAME_SIZE = 40,            /* bytes of a frame's header */
    NX_FRAME_ALIGNMENT = 8,
    NX_FRAME_BODY_SIZE_MAX = 16 * 1024 * 1024,
    NX_DEDUP_KEY_SIZE = 16,
    NX_BATCH_ENTRY_SIZE = 16,
};

enum nx_frame_kind {
    NX_FRAME_BATCH = 1,
    NX_FRAME_RECORD = 2,
    NX_FRAME_STREAM = 3,
    NX_FRAME_VOID = 4,
};

enum nx_frame_flags {
    NX_FRAME_LAST = 1,  /* the last frame of its append: up to here it is whole */
    NX_FRAME_DEDUP = 2, /* the body starts with a dedup key */
};

struct nx_segment_header {
    uint64_t number; /* of the segment, from 1 */
    uint64_t salt;
    int64_t created_ns;       /* wall time */
    uint64_t size;            /* bytes reserved */
    uint64_t previous_number; /* 0: there is none */
    uint64_t previous_end;    /* byte after the last batch of the previous segment */
};

/* A frame's header as it stands on disk. */
struct nx_frame_header {
    uint32_t header_crc; /* of the 36 bytes behind it; seed: low half of the salt ^ offset / 8 */
    uint32_t body_crc;   /* seed: high half of the salt */
    uint64_t sequence;   /* BATCH: its number, from 1 in each segment */
    int64_t time_ns;
    uint32_t stream; /* BATCH: the end of the previous batch, in bytes from the segment's start */
    uint32_t body_size;
    uint32_t headers_size; /* RECORD; BATCH: bytes of the frames that belong to it */
    uint16_t subject_size;
    uint8_t kind;
    uint8_t flags;
};
_Static_assert(sizeof(struct nx_frame_header) == NX_FRAME_SIZE, "the header is what stands on disk");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the journal's files are little-endian");

/* A frame found in a segment; `body` points into it. */
struct nx_frame {
    struct nx_frame_header header;
    uint64_t offset;
    const uint8_t *body;
};

/* What a batch holds of one stream. */
struct nx_batch_entry {
    uint32_t stream;
    uint32_t count;
    uint64_t last_sequence;
};
_Static_assert(sizeof(struct nx_batch_entry) == NX_BATCH_ENTRY_SIZE, "the entry is what stands on disk");

enum nx_frame_found {
    NX_FRAME_FOUND,
    NX_FRAME_BAD,      /* no frame starts here */
    NX_FRAME_BAD_BODY, /* the header is right, the body is damaged or ends behind the limit */
};

/** Bytes that a frame with such a body takes. */
static inline uint64_t nx_frame_size(uint64_t body_size) {
    return (NX_FRAME_SIZE + body_size + NX_FRAME_ALIGNMENT - 1) / NX_FRAME_ALIGNMENT * NX_FRAME_ALIGNMENT;
}
/** Fill in both checksums of a frame that will stand at `offset`; its body is given in parts. */
void nx_frame_seal(struct nx_frame_header *header, uint64_t salt, uint64_t offset, const struct nx_str *parts,
                   size_t part_count);
/** Read the frame at `offset`, a multiple of 8, of a segment of which `limit` bytes may be looked at. */
enum nx_frame_found nx_frame_read(const uint8_t *bytes, uint64_t limit, uint64_t offset, uint64_t salt,
                                  struct nx_frame *frame_out);
/** As nx_frame_read() without checking the body: for a frame that this process has written. */
enum nx_frame_found nx_frame_peek(const uint8_t *bytes, uint64_t limit, uint64_t offset, uint64_t salt,
                                  struct nx_frame *frame_out);
/** The parts of a RECORD's body; `dedup_out` is empty when it has no key. */
void nx_frame_record(const struct nx_frame *frame, struct nx_str *dedup_out, struct nx_str *subject_out,
                     struct nx_str *headers_out, struct nx_str *payload_out);
/** A STREAM's body. */
struct nx_str nx_frame_stream(const struct nx_frame *frame, uint64_t *first_sequence_out);
/** A VOID's last sequence. */
uint64_t nx_frame_void_last(const struct nx_frame *frame);
/** How many entries stand in a BATCH's directory, its own or the previous batch's. */
size_t nx_frame_batch_count(const struct nx_frame *frame, bool previous);
/** One of them; `index` below the count. */
struct nx_batch_entry nx_frame_batch_entry(const struct nx_frame *frame, bool previous, size_t index);

/** The salt with which a frame that stands at `offset` was sealed, as its checksums say; any bytes have one.
 */
uint64_t nx_frame_salt(const struct nx_frame_header *header, uint64_t offset, const uint8_t *body);
/** The 64 bytes of a segment's header. */
void nx_segment_header_encode(const struct nx_segment_header *header,
                              uint8_t bytes_out[NX_SEGMENT_HEADER_SIZE]);
/** From the first bytes of a segment: either copy will do.
 * Errors:    NX_NOT_FOUND            both copies are zeros: reserved, never written
 *            NX_FAILED_PRECONDITION  kind format-version
 *            NX_DATA_LOSS            both copies are damaged */
NX_MUST_CHECK enum nx_status nx_segment_header_decode(const uint8_t *bytes, uint64_t len,
                                                      struct nx_segment_header *header_out,
                                                      struct nx_error *err);
/** What is left when both copies are destroyed: the salt, from the segment's first frame, which is the first
 * BATCH and stands where no payload can; another frame, sealed alike, must follow. The segment before it and
 * where that ends are not known. Errors: NX_DATA_LOSS */
NX_MUST_CHECK enum nx_status nx_segment_header_guess(const uint8_t *bytes, uint64_t len, uint64_t number,
                                                     struct nx_segment_header *header_out,
                                                     struct nx_error *err);
