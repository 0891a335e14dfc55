#include <inttypes.h>
#include <lz4.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/map.h"
#include "storage/run/run_internal.h"
#include "storage/wal/crc32c.h"

enum {
    SECTION_SIZE_MAX = 1024 * 1024 * 1024,
    SUBJECTS_MAX = 16 * 1024 * 1024,
    KEY_GROUPS = 256,           /* by the first byte of the hash: each is sorted by itself */
    KEYS_PIECE = 16 * 1024,     /* sorted in one piece of finishing */
    FOOTER_PIECE = 1024 * 1024, /* bytes written in one piece of finishing */
    FOOTER_SYNC = 4 * FOOTER_PIECE
};

struct key {
    uint64_t hash;
    uint32_t ordinal;
} __attribute__((packed)); /* there are as many as records, and more */

enum stage { STAGE_RECORDS, STAGE_KEYS, STAGE_FOOTER, STAGE_NAMED };

struct nx_run_writer {
    struct nx_disk *disk;
    const char *directory; /* borrowed */
    char path[NX_PATH_SIZE_MAX];
    char temporary[NX_PATH_SIZE_MAX + 8];
    struct nx_file *file;
    uint64_t offset; /* of the next block */
    uint64_t synced;
    uint64_t seed;
    uint32_t ordinal;  /* of the next record */
    struct nx_buf raw; /* the open block */
    struct nx_run_block block;
    struct nx_buf packed;
    struct nx_map subject_index; /* of the present stream: subject: index in its subjects + 1 */
    bool is_sorted;              /* the present stream's subjects were said beforehand: no map is needed */
    struct nx_buf sections[NX_RUN_SECTIONS];
    struct nx_buf keys[KEY_GROUPS]; /* struct key */
    enum stage stage;
    size_t group;                  /* of keys: the next one to be sorted or written */
    enum nx_run_section section;   /* of the footer: being written */
    size_t section_offset;         /* so much of it is written */
    struct nx_run_trailer trailer; /* of what is written */
};

enum nx_status nx_run_writer_open(struct nx_disk *disk, const char *directory, uint64_t first_segment,
                                  uint64_t last_segment, uint64_t seed, struct nx_run_writer **writer_out,
                                  struct nx_error *err) {
    NX_AUTO(nx_run_writer) *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return nx_fail_memory(err);
    }
    writer->disk = disk;
    writer->directory = directory;
    writer->seed = seed;
    nx_buf_init(&writer->raw, 2 * NX_FRAME_BODY_SIZE_MAX);
    nx_buf_init(&writer->packed, 3 * NX_FRAME_BODY_SIZE_MAX);
    nx_map_init(&writer->subject_index, SUBJECTS_MAX, seed);
    for (size_t i = 0; i < NX_RUN_SECTIONS; i++) {
        nx_buf_init(&writer->sections[i], SECTION_SIZE_MAX);
    }
    for (size_t i = 0; i < KEY_GROUPS; i++) {
        nx_buf_init(&writer->keys[i], SECTION_SIZE_MAX);
    }
    NX_TRY(nx_run_path(directory, first_segment, last_segment, writer->path, err));
    (void)snprintf(writer->temporary, sizeof writer->temporary, "%s.tmp", writer->path);
    NX_TRY(nx_file_open(disk, writer->temporary, NX_FILE_TRUNCATE, &writer->file, err));
    struct nx_run_header header = {
        .version = NX_RUN_VERSION, .first_segment = first_segment, .last_segment = last_segment, .seed = seed
    };
    memcpy(header.magic, nx_run_magic, sizeof header.magic);
    header.crc = nx_run_header_crc(header);
    const struct nx_str part = nx_str_of(&header, sizeof header);
    NX_TRY(nx_file_write_at(writer->file, 0, &part, 1, err));
    writer->offset = sizeof header;
    *writer_out = NX_TAKE(writer);
    return NX_OK;
}

void nx_run_writer_close(struct nx_run_writer *writer) {
    if (writer == NULL) {
        return;
    }
    if (writer->file != NULL) {
        nx_file_close(writer->file);
        if (nx_disk_unlink(writer->disk, writer->temporary, NULL) != NX_OK) {
            /* Opening the journal removes what is left under such a name. */
        }
    }
    nx_buf_fini(&writer->raw);
    nx_buf_fini(&writer->packed);
    for (size_t i = 0; i < KEY_GROUPS; i++) {
        nx_buf_fini(&writer->keys[i]);
    }
    nx_map_fini(&writer->subject_index);
    for (size_t i = 0; i < NX_RUN_SECTIONS; i++) {
        nx_buf_fini(&writer->sections[i]);
    }
    free(writer);
}

/* Pack and write the open block. */
static enum nx_status close_block(struct nx_run_writer *writer, uint32_t stream, struct nx_error *err) {
    if (writer->raw.len == 0) {
        return NX_OK;
    }
    const int bound = LZ4_compressBound((int)writer->raw.len);
    nx_buf_reset(&writer->packed);
    if (!nx_buf_reserve(&writer->packed, (size_t)bound)) {
        return nx_fail_memory(err);
    }
    const int packed = LZ4_compress_default(writer->raw.ptr, writer->packed.ptr, (int)writer->raw.len, bound);
    const bool helps = packed > 0 && (size_t)packed < writer->raw.len;
    struct nx_run_block_header header = {
        .stored_size = helps ? (uint32_t)packed : (uint32_t)writer->raw.len,
        .raw_size = (uint32_t)writer->raw.len,
        .stream = stream,
    };
    const struct nx_str parts[] = {
        nx_str_of(&header, sizeof header),
        nx_str_of(helps ? writer->packed.ptr : writer->raw.ptr, header.stored_size),
    };
    header.crc = nx_run_block_crc(&header, parts[1].ptr);
    writer->block.offset = writer->offset;
    nx_buf_append(&writer->sections[NX_RUN_BLOCKS], nx_str_of(&writer->block, sizeof writer->block));
    NX_TRY(nx_file_write_at(writer->file, writer->offset, parts, 2, err));
    writer->offset += parts[0].len + parts[1].len;
    nx_buf_reset(&writer->raw);
    return NX_OK;
}

static size_t count_of(const struct nx_run_writer *writer, enum nx_run_section section) {
    return writer->sections[section].len / nx_run_element_size[section];
}

/* The present stream's entry: the last one; NULL before the first. */
static struct nx_run_stream *present(struct nx_run_writer *writer) {
    struct nx_buf *streams = &writer->sections[NX_RUN_STREAMS];
    return streams->len == 0
               ? NULL
               : (struct nx_run_stream *)(void *)(streams->ptr + streams->len - sizeof(struct nx_run_stream));
}

static int compare_subjects(const void *a, const void *b, void *text) {
    const struct nx_run_subject *left = a;
    const struct nx_run_subject *right = b;
    return nx_str_compare(nx_str_of((const char *)text + left->text_offset, left->text_size),
                          nx_str_of((const char *)text + right->text_offset, right->text_size));
}

/* The subjects that were said and of which nothing was left. */
static void drop_unused_subjects(struct nx_run_writer *writer, struct nx_run_stream *stream) {
    struct nx_buf *section = &writer->sections[NX_RUN_SUBJECTS];
    struct nx_run_subject *subjects = (struct nx_run_subject *)(void *)section->ptr + stream->subject_first;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < stream->subject_count; i++) {
        if (subjects[i].count > 0) {
            subjects[kept++] = subjects[i];
        }
    }
    nx_buf_truncate(section, section->len - (stream->subject_count - kept) * sizeof *subjects);
    stream->subject_count = kept;
}

static enum nx_status close_stream(struct nx_run_writer *writer, struct nx_error *err) {
    struct nx_run_stream *stream = present(writer);
    if (stream == NULL) {
        return NX_OK;
    }
    NX_TRY(close_block(writer, stream->stream, err));
    stream->block_count = (uint32_t)count_of(writer, NX_RUN_BLOCKS) - stream->block_first;
    stream->lost_count = (uint32_t)count_of(writer, NX_RUN_LOST) - stream->lost_first;
    if (writer->is_sorted) {
        drop_unused_subjects(writer, stream);
    } else if (stream->subject_count > 1) {
        qsort_r(writer->sections[NX_RUN_SUBJECTS].ptr + stream->subject_first * sizeof(struct nx_run_subject),
                stream->subject_count, sizeof(struct nx_run_subject), compare_subjects,
                writer->sections[NX_RUN_TEXT].ptr);
    }
    nx_map_fini(&writer->subject_index);
    writer->is_sorted = false;
    return NX_OK;
}

enum nx_status nx_run_writer_stream(struct nx_run_writer *writer, uint32_t number, struct nx_str name,
                                    struct nx_error *err) {
    NX_TRY(close_stream(writer, err));
    const struct nx_run_stream stream = {
        .stream = number,
        .name_size = (uint32_t)name.len,
        .name_offset = writer->sections[NX_RUN_TEXT].len,
        .block_first = (uint32_t)count_of(writer, NX_RUN_BLOCKS),
        .subject_first = (uint32_t)count_of(writer, NX_RUN_SUBJECTS),
        .lost_first = (uint32_t)count_of(writer, NX_RUN_LOST),
    };
    nx_buf_append(&writer->sections[NX_RUN_TEXT], name);
    nx_buf_append(&writer->sections[NX_RUN_STREAMS], nx_str_of(&stream, sizeof stream));
    return nx_buf_check(&writer->sections[NX_RUN_STREAMS], err);
}

static enum nx_status add_subject(struct nx_run_writer *writer, struct nx_run_stream *stream,
                                  struct nx_str text, struct nx_error *err) {
    struct nx_buf *subjects = &writer->sections[NX_RUN_SUBJECTS];
    const struct nx_run_subject subject = { .text_offset = writer->sections[NX_RUN_TEXT].len,
                                            .text_size = (uint32_t)text.len };
    nx_buf_append(&writer->sections[NX_RUN_TEXT], text);
    nx_buf_append(subjects, nx_str_of(&subject, sizeof subject));
    stream->subject_count++;
    return nx_buf_check(subjects, err);
}

enum nx_status nx_run_writer_subject(struct nx_run_writer *writer, struct nx_str subject,
                                     struct nx_error *err) {
    struct nx_run_stream *stream = present(writer);
    nx_assert(stream != NULL && stream->count == 0);
    writer->is_sorted = true;
    return add_subject(writer, stream, subject, err);
}

/* The subject's entry among those that were said; NULL when it was not. */
static struct nx_run_subject *find_sorted(const struct nx_run_writer *writer,
                                          const struct nx_run_stream *stream, struct nx_str text) {
    struct nx_run_subject *subjects =
        (struct nx_run_subject *)(void *)writer->sections[NX_RUN_SUBJECTS].ptr + stream->subject_first;
    uint32_t low = 0;
    uint32_t high = stream->subject_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const int order =
            nx_str_compare(nx_str_of(writer->sections[NX_RUN_TEXT].ptr + subjects[middle].text_offset,
                                     subjects[middle].text_size),
                           text);
        if (order == 0) {
            return &subjects[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* Count the record in its subject's entry, which may be new; `*place_out`: those that were there before. */
static enum nx_status count_subject(struct nx_run_writer *writer, struct nx_run_stream *stream,
                                    const struct nx_stored *stored, uint32_t *place_out,
                                    struct nx_error *err) {
    struct nx_run_subject *subject = NULL;
    if (writer->is_sorted) {
        subject = find_sorted(writer, stream, stored->subject);
        if (subject == NULL) {
            return nx_fail(err, NX_DATA_LOSS, "a record has a subject that its run does not list");
        }
    } else {
        uintptr_t known = (uintptr_t)nx_map_get(&writer->subject_index, stored->subject);
        if (known == 0) {
            NX_TRY(add_subject(writer, stream, stored->subject, err));
            known = stream->subject_count;
            NX_TRY(nx_map_set(&writer->subject_index, stored->subject, (void *)known, err));
        }
        subject = (struct nx_run_subject *)(void *)writer->sections[NX_RUN_SUBJECTS].ptr +
                  stream->subject_first + (known - 1);
    }
    *place_out = subject->count++;
    subject->first_sequence = *place_out == 0 ? stored->sequence : subject->first_sequence;
    subject->last_sequence = stored->sequence;
    return NX_OK;
}

static void add_keys(struct nx_run_writer *writer, const struct nx_stored *stored) {
    struct nx_str keys[NX_KEYS];
    nx_stored_keys(stored, keys);
    for (size_t i = 0; i < NX_KEYS; i++) {
        if (keys[i].len > 0) {
            const struct key entry = { .hash = nx_key_hash(nx_key_kinds[i], keys[i], writer->seed),
                                       .ordinal = writer->ordinal };
            nx_buf_append(&writer->keys[entry.hash >> 56], nx_str_of(&entry, sizeof entry));
        }
    }
}

static void add_frame(struct nx_run_writer *writer, const struct nx_stored *stored, uint32_t place,
                      bool keep_dedup) {
    static const char zeros[NX_FRAME_ALIGNMENT];
    const struct nx_str dedup = keep_dedup ? stored->dedup : NX_STR_EMPTY;
    const struct nx_frame_header header = {
        .header_crc = place,
        .sequence = stored->sequence,
        .time_ns = stored->time_ns,
        .stream = stored->stream,
        .body_size = (uint32_t)(dedup.len + stored->subject.len + stored->headers.len + stored->payload.len),
        .headers_size = (uint32_t)stored->headers.len,
        .subject_size = (uint16_t)stored->subject.len,
        .kind = NX_FRAME_RECORD,
        .flags = dedup.len > 0 ? NX_FRAME_DEDUP : 0,
    };
    const size_t padding = (size_t)(nx_frame_size(header.body_size) - NX_FRAME_SIZE - header.body_size);
    nx_buf_append(&writer->raw, nx_str_of(&header, sizeof header));
    nx_buf_append(&writer->raw, dedup);
    nx_buf_append(&writer->raw, stored->subject);
    nx_buf_append(&writer->raw, stored->headers);
    nx_buf_append(&writer->raw, stored->payload);
    nx_buf_append(&writer->raw, nx_str_of(zeros, padding));
}

enum nx_status nx_run_writer_add(struct nx_run_writer *writer, const struct nx_stored *stored,
                                 bool keep_dedup, struct nx_error *err) {
    struct nx_run_stream *stream = present(writer);
    nx_assert(stream != NULL);
    nx_assert(stored->sequence > stream->last_sequence);
    if (writer->raw.len == 0) {
        writer->block = (struct nx_run_block){ .first_sequence = stored->sequence,
                                               .first_time_ns = stored->time_ns,
                                               .first_ordinal = writer->ordinal };
    }
    const size_t before = writer->raw.len;
    uint32_t place = 0;
    NX_TRY(count_subject(writer, stream, stored, &place, err));
    add_frame(writer, stored, place, keep_dedup);
    NX_TRY(nx_buf_check(&writer->raw, err));
    if (stream->count == 0) {
        stream->first_sequence = stored->sequence;
        stream->first_time_ns = stored->time_ns;
    }
    stream->last_sequence = stored->sequence;
    stream->last_time_ns = stored->time_ns;
    stream->count++;
    stream->dedup_count += keep_dedup && stored->dedup.len > 0 ? 1 : 0;
    stream->size += writer->raw.len - before;
    add_keys(writer, stored);
    writer->block.count++;
    writer->ordinal++;
    return writer->raw.len >= NX_RUN_BLOCK_SIZE ? close_block(writer, stream->stream, err) : NX_OK;
}

enum nx_status nx_run_writer_lose(struct nx_run_writer *writer, uint64_t first, uint64_t last,
                                  struct nx_error *err) {
    const struct nx_run_range range = { .first = first, .last = last };
    nx_buf_append(&writer->sections[NX_RUN_LOST], nx_str_of(&range, sizeof range));
    return nx_buf_check(&writer->sections[NX_RUN_LOST], err);
}

void nx_run_writer_reach(struct nx_run_writer *writer, uint64_t last_sequence, int64_t last_time_ns) {
    struct nx_run_stream *stream = present(writer);
    nx_assert(stream != NULL);
    if (last_sequence > stream->last_sequence) {
        stream->last_sequence = last_sequence;
        stream->last_time_ns = last_time_ns;
    }
}

uint64_t nx_run_writer_unsynced(const struct nx_run_writer *writer) {
    return writer->offset - writer->synced;
}

enum nx_status nx_run_writer_sync(struct nx_run_writer *writer, struct nx_error *err) {
    NX_TRY(nx_file_sync(writer->file, err));
    writer->synced = writer->offset;
    return NX_OK;
}

static int compare_keys(const void *a, const void *b) {
    const struct key *left = a;
    const struct key *right = b;
    if (left->hash != right->hash) {
        return left->hash < right->hash ? -1 : 1;
    }
    return left->ordinal < right->ordinal ? -1 : left->ordinal > right->ordinal ? 1 : 0;
}

/* ---- finishing, in pieces that hold up nobody for long ---- */

/* Sort some groups of keys; true in `*done_out` when all are. */
static enum nx_status sort_keys(struct nx_run_writer *writer, bool *done_out, struct nx_error *err) {
    size_t sorted = 0;
    while (writer->group < KEY_GROUPS && sorted < KEYS_PIECE) {
        struct nx_buf *keys = &writer->keys[writer->group++];
        NX_TRY(nx_buf_check(keys, err));
        const size_t count = keys->len / sizeof(struct key);
        if (count > 1) {
            qsort(keys->ptr, count, sizeof(struct key), compare_keys);
        }
        writer->trailer.section_count[NX_RUN_HASHES] += count;
        writer->trailer.section_count[NX_RUN_ORDINALS] += count;
        sorted += count;
    }
    *done_out = writer->group == KEY_GROUPS;
    return NX_OK;
}

static enum nx_status begin_footer(struct nx_run_writer *writer, struct nx_error *err) {
    static const char zeros[8];
    const struct nx_str gap = nx_str_of(zeros, (size_t)(-writer->offset & 7));
    if (gap.len > 0) {
        NX_TRY(nx_file_write_at(writer->file, writer->offset, &gap, 1, err));
    }
    writer->offset += gap.len;
    writer->trailer.footer_offset = writer->offset;
    writer->group = 0;
    writer->section = (enum nx_run_section)0;
    writer->section_offset = 0;
    for (size_t i = 0; i < NX_RUN_SECTIONS; i++) {
        NX_TRY(nx_buf_check(&writer->sections[i], err));
        if (i != NX_RUN_HASHES && i != NX_RUN_ORDINALS) {
            writer->trailer.section_count[i] = writer->sections[i].len / nx_run_element_size[i];
        }
    }
    return NX_OK;
}

static enum nx_status write_footer(struct nx_run_writer *writer, struct nx_str bytes, struct nx_error *err) {
    if (bytes.len == 0) {
        return NX_OK;
    }
    NX_TRY(nx_file_write_at(writer->file, writer->offset, &bytes, 1, err));
    writer->trailer.footer_crc = nx_crc32c(writer->trailer.footer_crc, bytes.ptr, bytes.len);
    writer->trailer.footer_size += bytes.len;
    writer->offset += bytes.len;
    return NX_OK;
}

/* The hashes or the ordinals of the next groups, a piece of them. */
static enum nx_status write_keys(struct nx_run_writer *writer, bool *done_out, struct nx_error *err) {
    nx_buf_reset(&writer->packed);
    while (writer->group < KEY_GROUPS && writer->packed.len < FOOTER_PIECE) {
        const struct nx_buf *group = &writer->keys[writer->group++];
        const struct key *keys = (const struct key *)(const void *)group->ptr;
        for (size_t i = 0; i < group->len / sizeof *keys; i++) {
            if (writer->section == NX_RUN_HASHES) {
                nx_buf_append_u64(&writer->packed, keys[i].hash);
            } else {
                nx_buf_append_u32(&writer->packed, keys[i].ordinal);
            }
        }
    }
    *done_out = writer->group == KEY_GROUPS;
    writer->group = *done_out ? 0 : writer->group;
    NX_TRY(nx_buf_check(&writer->packed, err));
    return write_footer(writer, nx_buf_str(&writer->packed), err);
}

/* A piece of the present section; true in `*done_out` behind the last section. */
static enum nx_status write_section(struct nx_run_writer *writer, bool *done_out, struct nx_error *err) {
    static const char zeros[8];
    bool done = true;
    if (writer->section == NX_RUN_HASHES || writer->section == NX_RUN_ORDINALS) {
        NX_TRY(write_keys(writer, &done, err));
    } else {
        const struct nx_str section = nx_buf_str(&writer->sections[writer->section]);
        const struct nx_str piece =
            nx_str_slice(section, writer->section_offset, writer->section_offset + FOOTER_PIECE);
        NX_TRY(write_footer(writer, piece, err));
        writer->section_offset += piece.len;
        done = writer->section_offset >= section.len;
    }
    if (done) {
        NX_TRY(write_footer(writer, nx_str_of(zeros, (size_t)(-writer->trailer.footer_size & 7)), err));
        writer->section++;
        writer->section_offset = 0;
    }
    *done_out = writer->section == NX_RUN_SECTIONS;
    return NX_OK;
}

static enum nx_status give_name(struct nx_run_writer *writer, struct nx_error *err) {
    struct nx_run_trailer *trailer = &writer->trailer;
    const struct nx_str part = nx_str_of(trailer, sizeof *trailer);
    trailer->version = NX_RUN_VERSION;
    trailer->record_count = writer->ordinal;
    memcpy(trailer->magic, nx_run_magic, sizeof trailer->magic);
    trailer->crc = nx_run_trailer_crc(*trailer);
    NX_TRY(nx_file_write_at(writer->file, writer->offset, &part, 1, err));
    NX_TRY(nx_file_sync(writer->file, err));
    writer->stage = STAGE_NAMED;
    NX_TRY(nx_disk_rename(writer->disk, writer->temporary, writer->path, err));
    nx_file_close(NX_TAKE(writer->file));
    return nx_disk_sync_directory(writer->disk, writer->directory, err);
}

bool nx_run_writer_is_named(const struct nx_run_writer *writer) {
    return writer->stage == STAGE_NAMED;
}

enum nx_status nx_run_writer_finish_piece(struct nx_run_writer *writer, bool *done_out,
                                          struct nx_error *err) {
    bool done = false;
    *done_out = false;
    if (writer->stage == STAGE_RECORDS) {
        NX_TRY(close_stream(writer, err));
        writer->stage = STAGE_KEYS;
        return NX_OK;
    }
    if (writer->stage == STAGE_KEYS) {
        NX_TRY(sort_keys(writer, &done, err));
        writer->stage = done ? STAGE_FOOTER : STAGE_KEYS;
        return done ? begin_footer(writer, err) : NX_OK;
    }
    nx_assert(writer->stage == STAGE_FOOTER);
    if (writer->section < NX_RUN_SECTIONS) {
        NX_TRY(write_section(writer, &done, err));
        return nx_run_writer_unsynced(writer) >= FOOTER_SYNC ? nx_run_writer_sync(writer, err) : NX_OK;
    }
    NX_TRY(give_name(writer, err));
    *done_out = true;
    return NX_OK;
}

enum nx_status nx_run_writer_finish(struct nx_run_writer *writer, struct nx_error *err) {
    bool done = false;
    while (!done) {
        NX_TRY(nx_run_writer_finish_piece(writer, &done, err));
    }
    return NX_OK;
}
