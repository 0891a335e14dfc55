/* fuzz/recovery_fuzz.c: whatever stands in a segment or a run, opening and reading it ends, stays inside it,
 * and tells sequences of a stream only upwards.
 *
 * Input: the first byte chooses. 0: the rest is a run's file. 1: the rest stands behind a good segment
 * header. 2: the rest is a list of frames (kind, flags, stream, sequence, sizes), which are given right
 * checksums. */
#include "base/assert.h"
#include "fuzz.h"
#include "io/sim.h"
#include "storage/check/check.h"
#include "storage/wal/recovery.h"

enum { SALT = 0x1234567, FILE_SIZE_MAX = 256 * 1024 };

static void put_segment_header(struct nx_buf *file) {
    uint8_t header[NX_SEGMENT_HEADER_SIZE];
    const struct nx_segment_header fields = { .number = 1, .salt = SALT, .size = FILE_SIZE_MAX };
    static const char zeros[NX_SEGMENT_DATA_OFFSET];
    nx_segment_header_encode(&fields, header);
    nx_buf_append(file, nx_str_of(header, sizeof header));
    nx_buf_append(file, nx_str_of(zeros, NX_SEGMENT_DATA_OFFSET - sizeof header));
}

static void put_frame(struct nx_buf *file, struct nx_reader *input) {
    static const char zeros[NX_FRAME_ALIGNMENT];
    struct nx_frame_header header = { .kind = (uint8_t)(1 + nx_reader_u8(input) % 4),
                                      .flags = (uint8_t)(nx_reader_u8(input) % 4),
                                      .stream = nx_reader_u8(input),
                                      .sequence = nx_reader_varint(input),
                                      .headers_size = nx_reader_u16(input),
                                      .subject_size = nx_reader_u8(input) };
    const struct nx_str body = nx_reader_varint_bytes(input);
    header.body_size = (uint32_t)body.len;
    nx_frame_seal(&header, SALT, file->len, &body, 1);
    nx_buf_append(file, nx_str_of(&header, sizeof header));
    nx_buf_append(file, body);
    nx_buf_append(file, nx_str_of(zeros, (size_t)(nx_frame_size(body.len) - NX_FRAME_SIZE - body.len)));
}

static void ignore(void *data, const char *file, const char *text) {
    (void)data;
    (void)file;
    (void)text;
}

static bool look(void *data, const char *file, struct nx_str stream, const struct nx_stored *stored) {
    (void)file;
    (void)stream;
    *(size_t *)data += stored->subject.len + stored->headers.len + stored->payload.len;
    nx_assert(stored->sequence > 0);
    return true;
}

static void check(struct nx_sim *sim, const char *path, struct nx_str content) {
    struct nx_disk *disk = nx_sim_disk(sim);
    size_t sum = 0;
    const struct nx_check_visitor visitor = { .data = &sum, .problem = ignore, .record = look };
    struct nx_check_summary summary;
    nx_assert(nx_disk_make_directory(disk, "/j", NULL) == NX_OK);
    nx_assert(nx_disk_write_file(disk, path, content, NULL) == NX_OK);
    const enum nx_status status = nx_journal_verify(disk, "/j", &visitor, &summary, NULL);
    nx_assert(status == NX_OK || status == NX_FAILED_PRECONDITION);
    nx_assert(nx_journal_repair(disk, "/j", &visitor, NULL) == status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct nx_sim_options options = { .seed = 1 };
    NX_AUTO(nx_sim) *sim = NULL;
    NX_AUTO(nx_buf) file = { 0 };
    if (size < 1 || size > FILE_SIZE_MAX / 4) {
        return 0;
    }
    nx_buf_init(&file, FILE_SIZE_MAX);
    nx_assert(nx_sim_open(&options, &sim, NULL) == NX_OK);
    struct nx_reader input = nx_reader_of(nx_str_of(data + 1, size - 1));
    if (data[0] % 3 == 0) {
        nx_buf_append(&file, nx_str_of(data + 1, size - 1));
        check(sim, "/j/runs-0000000000000001-0000000000000001", nx_buf_str(&file));
        return 0;
    }
    put_segment_header(&file);
    if (data[0] % 3 == 1) {
        nx_buf_append(&file, nx_str_of(data + 1, size - 1));
    }
    while (data[0] % 3 == 2 && nx_reader_left(&input) > 0 && !nx_buf_failed(&file)) {
        put_frame(&file, &input);
    }
    check(sim, "/j/wal-0000000000000001", nx_buf_str(&file));
    return 0;
}
