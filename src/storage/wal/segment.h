/* src/storage/wal/segment.h: one file of the journal, `wal-<number>`, read.
 *
 * The file is mapped, so records are looked at where they are, and what the writer adds later is seen too.
 * Damage never ends the reading: the cursor says what is destroyed and goes on at the next frame.
 * Threads: a segment belongs to one reader; any number of readers may map the same file. */
#pragma once

#include "io/file.h"
#include "storage/wal/frame.h"

enum {
    NX_SEGMENT_SIZE_DEFAULT = 64 * 1024 * 1024,
    NX_SEGMENT_SIZE_MIN = 16 * 1024,
    NX_SEGMENT_NAME_SIZE = 32,
    NX_PATH_SIZE_MAX = 4096,
};

struct nx_segment {
    uint64_t number;
    struct nx_segment_header header;
    bool is_guessed; /* both copies of the header are destroyed: see nx_segment_header_guess() */
    struct nx_file *file;
    const uint8_t *bytes; /* mapped */
    uint64_t size;        /* bytes of the file when it was opened */
};

/** "<directory>/wal-<16 hex digits>". Errors: NX_INVALID_ARGUMENT (too long) */
NX_MUST_CHECK enum nx_status nx_segment_path(const char *directory, uint64_t number,
                                             char path_out[NX_PATH_SIZE_MAX], struct nx_error *err);
/** The number in a segment's file name; false for any other name. */
bool nx_segment_name_parse(struct nx_str name, uint64_t *number_out);
/** Ownership: the caller ends it with nx_segment_close(). `number` must be what its header says.
 * Errors:    NX_NOT_FOUND            no file, or reserved and never written
 *            NX_FAILED_PRECONDITION  kind format-version
 *            NX_DATA_LOSS            its header is damaged
 *            NX_UNAVAILABLE          the disk refused */
NX_MUST_CHECK enum nx_status nx_segment_open(struct nx_disk *disk, const char *directory, uint64_t number,
                                             struct nx_segment **segment_out, struct nx_error *err);
void nx_segment_close(struct nx_segment *segment); /* NULL allowed */

/* Bytes that hold no frame that can be used. */
struct nx_damage {
    uint64_t from; /* bytes from the segment's start */
    uint64_t to;
    bool named; /* the frame's header is whole: this is what was destroyed */
    struct nx_frame_header header;
};

struct nx_segment_cursor {
    const struct nx_segment *segment;
    uint64_t offset;   /* of the next frame */
    uint64_t limit;    /* bytes that may be looked at */
    bool skips_bodies; /* those of RECORDs are not checked: whoever reads one does it then */
};

enum nx_segment_step { NX_SEGMENT_FRAME, NX_SEGMENT_DAMAGE, NX_SEGMENT_END };

/** From the first frame up to `limit`, at most the file's size. */
struct nx_segment_cursor nx_segment_cursor_of(const struct nx_segment *segment, uint64_t limit);
/** The next frame, checked; or what stands in its place. Only zeros up to the limit are the end. */
enum nx_segment_step nx_segment_next(struct nx_segment_cursor *cursor, struct nx_frame *frame_out,
                                     struct nx_damage *damage_out);

NX_DEFINE_AUTO(nx_segment, nx_segment_close)
