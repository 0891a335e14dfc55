#include "storage/wal/segment.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"

static const char name_prefix[] = "wal-";
enum { NUMBER_DIGITS = 16 };

enum nx_status nx_segment_path(const char *directory, uint64_t number, char path_out[NX_PATH_SIZE_MAX],
                               struct nx_error *err) {
    const int len = snprintf(path_out, NX_PATH_SIZE_MAX, "%s/%s%016" PRIx64, directory, name_prefix, number);
    if (len < 0 || len >= NX_PATH_SIZE_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "the path of the journal is too long");
    }
    return NX_OK;
}

bool nx_segment_name_parse(struct nx_str name, uint64_t *number_out) {
    const size_t prefix_len = sizeof name_prefix - 1;
    if (name.len != prefix_len + NUMBER_DIGITS ||
        !nx_str_starts_with(name, nx_str_of(name_prefix, prefix_len))) {
        return false;
    }
    uint64_t number = 0;
    for (size_t i = prefix_len; i < name.len; i++) {
        const char c = name.ptr[i];
        if (c >= '0' && c <= '9') {
            number = number << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            number = number << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            return false;
        }
    }
    *number_out = number;
    return number > 0;
}

enum nx_status nx_segment_open(struct nx_disk *disk, const char *directory, uint64_t number,
                               struct nx_segment **segment_out, struct nx_error *err) {
    char path[NX_PATH_SIZE_MAX];
    NX_TRY(nx_segment_path(directory, number, path, err));
    NX_AUTO(nx_segment) *segment = calloc(1, sizeof *segment);
    if (segment == NULL) {
        return nx_fail_memory(err);
    }
    segment->number = number;
    NX_TRY(nx_file_open(disk, path, NX_FILE_READ, &segment->file, err));
    NX_TRY(nx_file_size(segment->file, &segment->size, err));
    if (segment->size < NX_SEGMENT_DATA_OFFSET) {
        return nx_fail(err, NX_NOT_FOUND, "'%s' holds nothing yet", path);
    }
    NX_TRY(nx_file_map(segment->file, segment->size, &segment->bytes, err));
    enum nx_status status = nx_segment_header_decode(segment->bytes, segment->size, &segment->header, err);
    if ((status == NX_DATA_LOSS || status == NX_NOT_FOUND) &&
        nx_segment_header_guess(segment->bytes, segment->size, number, &segment->header, NULL) == NX_OK) {
        segment->is_guessed = true;
        status = NX_OK;
    }
    if (status != NX_OK) {
        return nx_wrap(err, status, "reading '%s'", path);
    }
    if (segment->header.number != number) {
        return nx_fail(err, NX_DATA_LOSS, "'%s' is segment %" PRIu64, path, segment->header.number);
    }
    *segment_out = NX_TAKE(segment);
    return NX_OK;
}

void nx_segment_close(struct nx_segment *segment) {
    if (segment == NULL) {
        return;
    }
    nx_file_close(segment->file);
    free(segment);
}

struct nx_segment_cursor nx_segment_cursor_of(const struct nx_segment *segment, uint64_t limit) {
    return (struct nx_segment_cursor){
        .segment = segment,
        .offset = NX_SEGMENT_DATA_OFFSET,
        .limit = limit < segment->size ? limit : segment->size,
    };
}

/* The offset of the next frame header at or after `offset`, or the limit. `*only_zeros_out`: nothing but
 * zeros stands before it. */
static uint64_t find_frame(const struct nx_segment_cursor *cursor, uint64_t offset, bool *only_zeros_out) {
    const struct nx_segment *segment = cursor->segment;
    *only_zeros_out = true;
    for (; cursor->limit >= NX_FRAME_SIZE && offset <= cursor->limit - NX_FRAME_SIZE;
         offset += NX_FRAME_ALIGNMENT) {
        uint64_t word;
        memcpy(&word, segment->bytes + offset, sizeof word);
        if (word == 0) {
            continue; /* both checksums zero: no frame, and most of a fresh segment */
        }
        struct nx_frame frame;
        if (nx_frame_peek(segment->bytes, cursor->limit, offset, segment->header.salt, &frame) !=
            NX_FRAME_BAD) {
            return offset;
        }
        *only_zeros_out = false;
    }
    for (; offset < cursor->limit; offset++) {
        *only_zeros_out = *only_zeros_out && segment->bytes[offset] == 0;
    }
    return cursor->limit;
}

/* The frame at the cursor. */
static enum nx_frame_found look(const struct nx_segment_cursor *cursor, struct nx_frame *frame_out) {
    const struct nx_segment *segment = cursor->segment;
    if (cursor->skips_bodies) {
        const enum nx_frame_found found =
            nx_frame_peek(segment->bytes, cursor->limit, cursor->offset, segment->header.salt, frame_out);
        if (found != NX_FRAME_FOUND || frame_out->header.kind == NX_FRAME_RECORD) {
            return found;
        }
    }
    return nx_frame_read(segment->bytes, cursor->limit, cursor->offset, segment->header.salt, frame_out);
}

enum nx_segment_step nx_segment_next(struct nx_segment_cursor *cursor, struct nx_frame *frame_out,
                                     struct nx_damage *damage_out) {
    nx_assert(cursor->offset % NX_FRAME_ALIGNMENT == 0 || cursor->offset == cursor->limit);
    if (cursor->offset >= cursor->limit) {
        return NX_SEGMENT_END;
    }
    const uint64_t from = cursor->offset;
    const enum nx_frame_found found = look(cursor, frame_out);
    if (found == NX_FRAME_BAD) {
        bool only_zeros;
        const uint64_t to = find_frame(cursor, from, &only_zeros);
        cursor->offset = to;
        if (to == cursor->limit && only_zeros) {
            return NX_SEGMENT_END;
        }
        *damage_out = (struct nx_damage){ .from = from, .to = to };
        return NX_SEGMENT_DAMAGE;
    }
    const uint64_t to = from + nx_frame_size(frame_out->header.body_size);
    cursor->offset = to < cursor->limit ? to : cursor->limit;
    if (found == NX_FRAME_BAD_BODY) {
        *damage_out = (struct nx_damage){
            .from = from, .to = cursor->offset, .named = true, .header = frame_out->header
        };
        return NX_SEGMENT_DAMAGE;
    }
    return NX_SEGMENT_FRAME;
}
