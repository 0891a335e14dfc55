#include "storage/wal/wal.h"

#include <inttypes.h>

#include "base/assert.h"

enum {
    COPY_SIZE_MAX = 4096,       /* longer parts are written from where they are */
    KEEP_SIZE_MAX = 256 * 1024, /* memory kept between batches */
    PENDING_MIN = 64,
};

/* A frame of the batch that is being put together. */
struct pending {
    struct nx_frame_header header;
    struct nx_str parts[4];
};

struct nx_wal {
    struct nx_wal_options options;
    struct nx_file *file;            /* the open segment; NULL before the first */
    struct nx_file *next_file;       /* reserved for the next segment, or NULL */
    uint64_t next_size;              /* bytes of it */
    struct nx_segment_header header; /* the open segment's; before the first one the last of another life */
    uint64_t next_number;
    uint64_t end;          /* byte behind the last batch of the open segment */
    uint64_t batch_number; /* of the last batch */
    bool header_written;   /* the open segment's header goes out with its first batch */
    bool frozen;
    bool unsynced;
    struct pending *pending;
    size_t pending_count;
    size_t pending_capacity;
    uint64_t frames_size;                  /* bytes of the pending frames */
    struct nx_batch_entry *directory;      /* of the batch that is being put together */
    struct nx_batch_entry *last_directory; /* of the last batch in this segment */
    size_t directory_count;
    size_t last_directory_count;
    size_t directory_capacity;
    size_t last_directory_capacity;
    struct nx_buf copy;   /* small parts of the batch, one after the other */
    struct nx_str *parts; /* what is handed to the disk */
    size_t part_count;
    size_t part_capacity;
    struct nx_wal_stats stats;
};

enum nx_status nx_wal_open(const struct nx_wal_options *options, struct nx_wal **wal_out,
                           struct nx_error *err) {
    struct nx_wal *wal = calloc(1, sizeof *wal);
    if (wal == NULL) {
        return nx_fail_memory(err);
    }
    wal->options = *options;
    if (wal->options.segment_size == 0) {
        wal->options.segment_size = NX_SEGMENT_SIZE_DEFAULT;
    }
    if (wal->options.segment_size < NX_SEGMENT_SIZE_MIN) {
        wal->options.segment_size = NX_SEGMENT_SIZE_MIN;
    }
    wal->header.number = options->last_number;
    wal->end = options->last_end;
    wal->next_number = options->next_number == 0 ? 1 : options->next_number;
    nx_buf_init(&wal->copy, UINT32_MAX);
    *wal_out = wal;
    return NX_OK;
}

void nx_wal_close(struct nx_wal *wal) {
    if (wal == NULL) {
        return;
    }
    nx_file_close(wal->file);
    nx_file_close(wal->next_file);
    nx_buf_fini(&wal->copy);
    free(wal->pending);
    free(wal->directory);
    free(wal->last_directory);
    free(wal->parts);
    free(wal);
}

/* Of a batch with these entries: its BATCH frame. */
static uint64_t batch_frame_size(size_t own_count, size_t last_count) {
    return nx_frame_size(2 * sizeof(uint32_t) + (own_count + last_count) * NX_BATCH_ENTRY_SIZE);
}

uint64_t nx_wal_room(const struct nx_wal *wal) {
    /* The last few bytes stay free for the empty batch that ends a segment. */
    const uint64_t reserve = batch_frame_size(0, wal->directory_count + wal->last_directory_count);
    if (wal->file == NULL || wal->end + reserve >= wal->header.size) {
        return 0;
    }
    return wal->header.size - wal->end - reserve;
}

uint64_t nx_wal_segment_room(const struct nx_wal *wal) {
    return wal->options.segment_size - NX_SEGMENT_DATA_OFFSET - batch_frame_size(0, 0);
}

bool nx_wal_batch_is_empty(const struct nx_wal *wal) {
    return wal->pending_count == 0;
}

uint64_t nx_wal_batch_size(const struct nx_wal *wal) {
    return wal->frames_size + batch_frame_size(wal->directory_count, wal->last_directory_count);
}

static uint64_t size_of_next(const struct nx_wal *wal, uint64_t size_min) {
    return size_min > wal->options.segment_size ? size_min : wal->options.segment_size;
}

/* A file that is reserved, and in which nothing stands yet, becomes larger. On failure it is as it was. */
static enum nx_status extend(struct nx_file *file, uint64_t size, uint64_t *size_io, struct nx_error *err) {
    if (*size_io >= size) {
        return NX_OK;
    }
    enum nx_status status = nx_file_preallocate(file, size, err);
    if (status == NX_OK) {
        status = nx_file_sync(file, err);
    }
    if (status != NX_OK) {
        return nx_wrap(err, status, "reserving a larger segment of the journal");
    }
    *size_io = size;
    return NX_OK;
}

enum nx_status nx_wal_prepare(struct nx_wal *wal, uint64_t size_min, struct nx_error *err) {
    const uint64_t size = size_of_next(wal, size_min);
    if (wal->next_file != NULL) {
        return extend(wal->next_file, size, &wal->next_size, err);
    }
    char path[NX_PATH_SIZE_MAX];
    NX_TRY(nx_segment_path(wal->options.directory, wal->next_number, path, err));
    NX_AUTO(nx_file) *file = NULL;
    /* Emptied if present: a file reserved by a process that died before it wrote into it. */
    NX_TRY(nx_file_open(wal->options.disk, path, NX_FILE_TRUNCATE, &file, err));
    enum nx_status status = nx_file_preallocate(file, size, err);
    if (status == NX_OK) {
        status = nx_file_sync(file, err);
    }
    if (status == NX_OK) {
        status = nx_disk_sync_directory(wal->options.disk, wal->options.directory, err);
    }
    if (status != NX_OK) {
        if (nx_disk_unlink(wal->options.disk, path, NULL) != NX_OK) {
            /* It stays behind as a reserved file, which the next try empties. */
        }
        return nx_wrap(err, status, "reserving the next segment of the journal");
    }
    wal->next_file = NX_TAKE(file);
    wal->next_size = size;
    return NX_OK;
}

uint64_t nx_wal_prepared_size(const struct nx_wal *wal) {
    return wal->next_file == NULL ? 0 : wal->next_size;
}

uint64_t nx_wal_open_size(const struct nx_wal *wal) {
    return wal->file == NULL ? 0 : wal->header.size;
}

bool nx_wal_is_new(const struct nx_wal *wal) {
    return wal->file != NULL && !wal->header_written;
}

enum nx_status nx_wal_roll(struct nx_wal *wal, uint64_t size_min, struct nx_error *err) {
    nx_assert(wal->pending_count == 0);
    if (wal->frozen) {
        return nx_fail_kind(err, NX_KIND_LOG_FROZEN, "the log takes nothing more until a restart");
    }
    if (wal->unsynced) {
        NX_TRY(nx_wal_sync(wal, err));
    }
    if (nx_wal_is_new(wal)) { /* nothing stands in it yet: it is the next segment */
        return extend(wal->file, size_of_next(wal, size_min), &wal->header.size, err);
    }
    NX_TRY(nx_wal_prepare(wal, size_min, err));
    if (wal->file != NULL && nx_file_truncate(wal->file, wal->end, NULL) != NX_OK) {
        /* Only space is wasted: the end stands in the next segment's header. */
    }
    nx_file_close(wal->file);
    wal->file = NX_TAKE(wal->next_file);
    wal->header = (struct nx_segment_header){
        .number = wal->next_number++,
        .salt = nx_random_u64(&wal->options.random),
        .created_ns = nx_clock_read(&wal->options.clock).wall_ns,
        .size = wal->next_size,
        .previous_number = wal->header.number,
        .previous_end = wal->end,
    };
    wal->end = NX_SEGMENT_DATA_OFFSET;
    wal->batch_number = 0;
    wal->header_written = false;
    wal->directory_count = 0;
    wal->last_directory_count = 0;
    return NX_OK;
}

/* Grow an array so that it has room for `count` elements. */
static bool grow(void **array, size_t element_size, size_t count, size_t *capacity) {
    if (count <= *capacity) {
        return true;
    }
    size_t wanted = *capacity == 0 ? PENDING_MIN : *capacity;
    while (wanted < count) {
        wanted *= 2;
    }
    void *grown = reallocarray(*array, wanted, element_size);
    if (grown == NULL) {
        return false;
    }
    *array = grown;
    *capacity = wanted;
    return true;
}

/* Count the record in the batch's directory. Records of one stream mostly come in a row, and a batch with
 * many streams has them in any order: an entry may then appear more than once, which readers allow. */
static bool list_record(struct nx_wal *wal, uint32_t stream, uint64_t sequence) {
    for (size_t back = 1; back <= 4 && back <= wal->directory_count; back++) {
        struct nx_batch_entry *entry = &wal->directory[wal->directory_count - back];
        if (entry->stream == stream) {
            entry->count++;
            entry->last_sequence = sequence;
            return true;
        }
    }
    if (!grow((void **)&wal->directory, sizeof *wal->directory, wal->directory_count + 1,
              &wal->directory_capacity)) {
        return false;
    }
    wal->directory[wal->directory_count++] =
        (struct nx_batch_entry){ .stream = stream, .count = 1, .last_sequence = sequence };
    return true;
}

enum nx_status nx_wal_reserve(struct nx_wal *wal, size_t count, struct nx_error *err) {
    if (!grow((void **)&wal->pending, sizeof *wal->pending, wal->pending_count + count,
              &wal->pending_capacity) ||
        !grow((void **)&wal->directory, sizeof *wal->directory, wal->directory_count + count,
              &wal->directory_capacity)) {
        return nx_fail_memory(err);
    }
    return NX_OK;
}

enum nx_status nx_wal_add(struct nx_wal *wal, const struct nx_wal_entry *entry, struct nx_error *err) {
    nx_assert(wal->file != NULL);
    if (!grow((void **)&wal->pending, sizeof *wal->pending, wal->pending_count + 1, &wal->pending_capacity)) {
        return nx_fail_memory(err);
    }
    const size_t body_size = entry->dedup.len + entry->subject.len + entry->headers.len + entry->payload.len;
    nx_assert(body_size <= NX_FRAME_BODY_SIZE_MAX);
    nx_assert(entry->subject.len <= UINT16_MAX);
    if (entry->kind == NX_FRAME_RECORD && !list_record(wal, entry->stream, entry->sequence)) {
        return nx_fail_memory(err);
    }
    wal->pending[wal->pending_count++] = (struct pending){
        .header = { .sequence = entry->sequence,
                    .time_ns = entry->time_ns,
                    .stream = entry->stream,
                    .body_size = (uint32_t)body_size,
                    .headers_size = (uint32_t)entry->headers.len,
                    .subject_size = (uint16_t)entry->subject.len,
                    .kind = (uint8_t)entry->kind,
                    .flags = entry->flags },
        .parts = { entry->dedup, entry->subject, entry->headers, entry->payload },
    };
    wal->frames_size += nx_frame_size(body_size);
    return NX_OK;
}

/* The parts may lie in the copy buffer, which must then not move: it was reserved in full before. */
static void put(struct nx_wal *wal, const void *bytes, size_t len) {
    if (len == 0) {
        return;
    }
    if (len > COPY_SIZE_MAX) {
        wal->parts[wal->part_count++] = nx_str_of(bytes, len);
        return;
    }
    const char *at = wal->copy.ptr + wal->copy.len;
    nx_buf_append(&wal->copy, nx_str_of(bytes, len));
    nx_assert(wal->parts != NULL);
    struct nx_str *last = wal->part_count == 0 ? NULL : &wal->parts[wal->part_count - 1];
    if (last != NULL && last->ptr + last->len == at) {
        last->len += len;
    } else {
        wal->parts[wal->part_count++] = nx_str_of(at, len);
    }
}

static const uint8_t zeros[NX_SEGMENT_DATA_OFFSET];

static void put_frame(struct nx_wal *wal, struct nx_frame_header *header, const struct nx_str *parts,
                      size_t part_count, uint64_t *offset) {
    nx_frame_seal(header, wal->header.salt, *offset, parts, part_count);
    put(wal, header, sizeof *header);
    for (size_t i = 0; i < part_count; i++) {
        put(wal, parts[i].ptr, parts[i].len);
    }
    const uint64_t size = nx_frame_size(header->body_size);
    put(wal, zeros, (size_t)(size - NX_FRAME_SIZE - header->body_size));
    *offset += size;
}

static void put_segment_header(struct nx_wal *wal) {
    uint8_t bytes[NX_SEGMENT_HEADER_SIZE];
    nx_segment_header_encode(&wal->header, bytes);
    put(wal, bytes, sizeof bytes);
    put(wal, zeros, NX_SEGMENT_COPY_OFFSET - sizeof bytes);
    put(wal, bytes, sizeof bytes);
    put(wal, zeros, NX_SEGMENT_DATA_OFFSET - NX_SEGMENT_COPY_OFFSET - sizeof bytes);
}

/* Room for every part and every copied byte, so that putting them cannot fail. */
static enum nx_status reserve_output(struct nx_wal *wal, struct nx_error *err) {
    uint64_t copied = NX_SEGMENT_DATA_OFFSET + NX_FRAME_SIZE + NX_FRAME_ALIGNMENT;
    size_t part_count = 16;
    copied += (uint64_t)(wal->directory_count + wal->last_directory_count + 1) * NX_BATCH_ENTRY_SIZE;
    for (size_t i = 0; i < wal->pending_count; i++) {
        copied += NX_FRAME_SIZE + NX_FRAME_ALIGNMENT;
        for (size_t k = 0; k < 4; k++) {
            const size_t len = wal->pending[i].parts[k].len;
            copied += len > COPY_SIZE_MAX ? 0 : len;
            part_count += len > COPY_SIZE_MAX ? 2 : 0;
        }
    }
    if (part_count > wal->part_capacity) {
        struct nx_str *parts = reallocarray(wal->parts, part_count, sizeof *parts);
        if (parts == NULL) {
            return nx_fail_memory(err);
        }
        wal->parts = parts;
        wal->part_capacity = part_count;
    }
    nx_buf_reset(&wal->copy);
    wal->part_count = 0;
    return nx_buf_reserve(&wal->copy, (size_t)copied) ? NX_OK : nx_fail_memory(err);
}

static uint64_t put_batch(struct nx_wal *wal) {
    uint64_t offset = wal->end;
    if (!wal->header_written) {
        put_segment_header(wal);
    }
    const uint32_t counts[2] = { (uint32_t)wal->directory_count, (uint32_t)wal->last_directory_count };
    const struct nx_str body[3] = {
        nx_str_of(counts, sizeof counts),
        nx_str_of(wal->directory, wal->directory_count * sizeof *wal->directory),
        nx_str_of(wal->last_directory, wal->last_directory_count * sizeof *wal->last_directory),
    };
    struct nx_frame_header batch = {
        .sequence = wal->batch_number + 1,
        .time_ns = nx_clock_read(&wal->options.clock).wall_ns,
        .stream = (uint32_t)wal->end,
        .body_size = (uint32_t)(body[0].len + body[1].len + body[2].len),
        .headers_size = (uint32_t)wal->frames_size,
        .kind = NX_FRAME_BATCH,
    };
    put_frame(wal, &batch, body, 3, &offset);
    for (size_t i = 0; i < wal->pending_count; i++) {
        put_frame(wal, &wal->pending[i].header, wal->pending[i].parts, 4, &offset);
    }
    return offset;
}

/* After a batch: its directory becomes the last one, and large memory is given back. */
static void end_batch(struct nx_wal *wal) {
    struct nx_batch_entry *directory = wal->last_directory;
    const size_t capacity = wal->last_directory_capacity;
    wal->last_directory = wal->directory;
    wal->last_directory_count = wal->directory_count;
    wal->last_directory_capacity = wal->directory_capacity;
    wal->directory = directory;
    wal->directory_capacity = capacity;
    wal->directory_count = 0;
    wal->pending_count = 0;
    wal->frames_size = 0;
    if (wal->copy.capacity > KEEP_SIZE_MAX) {
        nx_buf_fini(&wal->copy);
    }
    if (wal->pending_capacity * sizeof *wal->pending > KEEP_SIZE_MAX) {
        free(NX_TAKE(wal->pending));
        wal->pending_capacity = 0;
    }
}

void nx_wal_discard(struct nx_wal *wal) {
    wal->pending_count = 0;
    wal->directory_count = 0;
    wal->frames_size = 0;
}

static enum nx_status freeze(struct nx_wal *wal, const struct nx_error *cause, const char *what,
                             struct nx_error *err) {
    wal->frozen = true;
    wal->pending_count = 0;
    wal->frames_size = 0;
    (void)nx_fail_kind(err, NX_KIND_LOG_FROZEN, "%s the journal failed: %s", what, cause->message);
    nx_hint(err, "look at the disk, then restart; reading goes on meanwhile");
    return NX_UNAVAILABLE;
}

enum nx_status nx_wal_sync(struct nx_wal *wal, struct nx_error *err) {
    struct nx_error cause = { 0 };
    if (wal->frozen) {
        return nx_fail_kind(err, NX_KIND_LOG_FROZEN, "the log takes nothing more until a restart");
    }
    const int64_t start_ns = nx_clock_read(&wal->options.clock).monotonic_ns;
    if (nx_file_sync(wal->file, &cause) != NX_OK) {
        return freeze(wal, &cause, "syncing", err);
    }
    const int64_t took = nx_clock_read(&wal->options.clock).monotonic_ns - start_ns;
    wal->unsynced = false;
    nx_histogram_observe(&wal->stats.sync_ns, took > 0 ? (uint64_t)took : 0);
    return NX_OK;
}

enum nx_status nx_wal_commit(struct nx_wal *wal, bool sync, struct nx_error *err) {
    struct nx_error cause = { 0 };
    if (wal->frozen) {
        return nx_fail_kind(err, NX_KIND_LOG_FROZEN, "the log takes nothing more until a restart");
    }
    nx_assert(wal->file != NULL);
    nx_assert(nx_wal_batch_size(wal) <= wal->header.size - wal->end);
    if (reserve_output(wal, &cause) != NX_OK) {
        return freeze(wal, &cause, "writing", err);
    }
    const uint64_t from = wal->header_written ? wal->end : 0;
    const uint64_t end = put_batch(wal);
    if (nx_file_write_at(wal->file, from, wal->parts, wal->part_count, &cause) != NX_OK) {
        return freeze(wal, &cause, "writing", err);
    }
    wal->unsynced = true;
    if (sync) {
        NX_TRY(nx_wal_sync(wal, err));
    }
    nx_counter_add(&wal->stats.bytes, end - from);
    nx_histogram_observe(&wal->stats.batch_records, wal->pending_count);
    wal->header_written = true;
    wal->batch_number++;
    wal->end = end;
    end_batch(wal);
    return NX_OK;
}

uint64_t nx_wal_position(const struct nx_wal *wal, uint64_t *end_out) {
    *end_out = wal->file == NULL ? 0 : wal->end;
    return wal->file == NULL ? 0 : wal->header.number;
}

enum nx_status nx_wal_finish(struct nx_wal *wal, struct nx_error *err) {
    if (wal->next_file != NULL) {
        char path[NX_PATH_SIZE_MAX];
        nx_file_close(NX_TAKE(wal->next_file));
        NX_TRY(nx_segment_path(wal->options.directory, wal->next_number, path, err));
        NX_TRY(nx_disk_unlink(wal->options.disk, path, err));
    }
    if (wal->file == NULL || wal->frozen || wal->pending_count > 0 || wal->batch_number == 0) {
        return NX_OK;
    }
    NX_TRY(nx_wal_commit(wal, true, err));
    return nx_file_truncate(wal->file, wal->end, err);
}

const struct nx_wal_stats *nx_wal_stats_get(const struct nx_wal *wal) {
    return &wal->stats;
}
