/* src/storage/wal/recovery_test.c: every cut and every flipped bit of a small segment: what was acknowledged
 * is read in order and unchanged, what is destroyed is named, nothing is invented. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/assert.h"
#include "io/sim.h"
#include "storage/wal/crc32c.h"
#include "storage/wal/recovery.h"
#include "storage/wal/wal.h"

enum { BATCHES = 5, RECORDS = 3, TOTAL = BATCHES * RECORDS, SEGMENT_SIZE = 16 * 1024 };

struct world {
    struct nx_sim *sim;
    struct nx_disk *disk;
    uint64_t ends[BATCHES]; /* byte behind each batch */
    uint64_t end;           /* byte behind the empty batch that ends the segment */
};

/* What a recovery told. */
struct told {
    uint64_t last; /* sequence */
    bool read[TOTAL + 1];
    bool lost[TOTAL + 1];
    bool is_void[TOTAL + 1];
    size_t stream_count;
};

static void payload_of(uint64_t sequence, char out[64]) {
    (void)snprintf(out, 64, "the payload of record %03u, so long", (unsigned)sequence);
}

static enum nx_status tell_stream(void *data, uint32_t stream, struct nx_str name, uint64_t first_sequence,
                                  uint64_t last_sequence, int64_t time_ns, struct nx_error *err) {
    struct told *told = data;
    (void)first_sequence;
    (void)time_ns;
    (void)err;
    nx_assert(stream == 1);
    nx_assert(nx_str_is(name, "EVENTS") || nx_str_is(name, "UNNAMED_1"));
    nx_assert(last_sequence == 0);
    told->stream_count++;
    return NX_OK;
}

static enum nx_status tell_record(void *data, const struct nx_segment *segment, const struct nx_frame *frame,
                                  struct nx_error *err) {
    struct told *told = data;
    struct nx_str dedup;
    struct nx_str subject;
    struct nx_str headers;
    struct nx_str payload;
    char expected[64];
    (void)segment;
    (void)err;
    const uint64_t sequence = frame->header.sequence;
    nx_assert(sequence == told->last + 1);
    nx_assert(sequence <= TOTAL);
    nx_frame_record(frame, &dedup, &subject, &headers, &payload);
    payload_of(sequence, expected);
    nx_assert(nx_str_is(payload, expected));
    nx_assert(nx_str_is(subject, "events.a"));
    told->last = sequence;
    told->read[sequence] = true;
    return NX_OK;
}

static enum nx_status tell_gap(void *data, uint32_t stream, uint64_t first, uint64_t last, bool lost,
                               struct nx_error *err) {
    struct told *told = data;
    (void)err;
    nx_assert(stream == 1);
    nx_assert(first == told->last + 1);
    nx_assert(last >= first);
    nx_assert(last <= TOTAL);
    for (uint64_t i = first; i <= last; i++) {
        told->lost[i] = lost;
        told->is_void[i] = !lost;
    }
    told->last = last;
    return NX_OK;
}

static void write_batch(struct nx_wal *wal, uint64_t first, bool announce) {
    static const char announcement[] = "\1\0\0\0\0\0\0\0EVENTS";
    char payloads[RECORDS][64];
    if (announce) {
        const struct nx_wal_entry stream = { .kind = NX_FRAME_STREAM,
                                             .stream = 1,
                                             .payload = nx_str_of(announcement, sizeof announcement - 1) };
        assert_int_equal(nx_wal_add(wal, &stream, NULL), NX_OK);
    }
    for (uint64_t i = 0; i < RECORDS; i++) {
        payload_of(first + i, payloads[i]);
        const struct nx_wal_entry record = { .kind = NX_FRAME_RECORD,
                                             .flags = NX_FRAME_LAST,
                                             .stream = 1,
                                             .sequence = first + i,
                                             .subject = NX_STR("events.a"),
                                             .payload = nx_str_from_c(payloads[i]) };
        assert_int_equal(nx_wal_add(wal, &record, NULL), NX_OK);
    }
    assert_int_equal(nx_wal_commit(wal, true, NULL), NX_OK);
}

static void world_init(struct world *world, bool finish) {
    const struct nx_sim_options options = { .seed = 7 };
    NX_AUTO(nx_wal) *wal = NULL;
    *world = (struct world){ 0 };
    assert_int_equal(nx_sim_open(&options, &world->sim, NULL), NX_OK);
    world->disk = nx_sim_disk(world->sim);
    assert_int_equal(nx_disk_make_directory(world->disk, "/j", NULL), NX_OK);
    const struct nx_wal_options wal_options = { .disk = world->disk,
                                                .clock = nx_sim_clock(world->sim),
                                                .random = nx_sim_random(world->sim),
                                                .directory = "/j",
                                                .segment_size = SEGMENT_SIZE };
    assert_int_equal(nx_wal_open(&wal_options, &wal, NULL), NX_OK);
    assert_int_equal(nx_wal_roll(wal, 0, NULL), NX_OK);
    for (uint64_t i = 0; i < BATCHES; i++) {
        write_batch(wal, i * RECORDS + 1, i == 0);
        (void)nx_wal_position(wal, &world->ends[i]);
    }
    world->end = world->ends[BATCHES - 1];
    if (finish) {
        assert_int_equal(nx_wal_finish(wal, NULL), NX_OK);
        (void)nx_wal_position(wal, &world->end);
    }
}

static void recover(const struct world *world, struct told *told, struct nx_wal_recovered *recovered) {
    const struct nx_wal_visitor visitor = {
        .data = told, .stream = tell_stream, .record = tell_record, .gap = tell_gap
    };
    struct nx_wal_tracker tracker;
    NX_AUTO(nx_buf) report;
    nx_buf_init(&report, 16 * 1024);
    *told = (struct told){ 0 };
    nx_wal_tracker_init(&tracker, &visitor, &report);
    assert_int_equal(nx_wal_recover(world->disk, "/j", &(struct nx_wal_look){ 0 }, &tracker, recovered, NULL),
                     NX_OK);
    bool all_read = true;
    for (uint64_t i = 1; i <= TOTAL; i++) {
        all_read = all_read && told->read[i];
    }
    assert_true(all_read || report.len > 0 || recovered->last_end <= world->ends[BATCHES - 1]);
    nx_wal_tracker_fini(&tracker);
}

static const char path[] = "/j/wal-0000000000000001";

static void test_a_whole_segment_is_read_without_a_word(void **state) {
    for (int finish = 0; finish < 2; finish++) {
        struct world world;
        struct told told;
        struct nx_wal_recovered recovered;
        (void)state;
        world_init(&world, finish == 1);
        recover(&world, &told, &recovered);
        assert_false(recovered.torn);
        assert_int_equal(recovered.last_end, world.end);
        assert_int_equal(told.last, TOTAL);
        nx_sim_close(world.sim);
    }
}

static void cut(const struct world *world, uint64_t size) {
    NX_AUTO(nx_file) *file = NULL;
    assert_int_equal(nx_file_open(world->disk, path, NX_FILE_WRITE, &file, NULL), NX_OK);
    assert_int_equal(nx_file_truncate(file, size, NULL), NX_OK);
}

static void test_every_cut_leaves_a_prefix(void **state) {
    struct world world;
    (void)state;
    world_init(&world, false);
    for (uint64_t size = world.end; size > 0; size--) {
        struct told told;
        struct nx_wal_recovered recovered;
        cut(&world, size);
        recover(&world, &told, &recovered);
        uint64_t whole = 0; /* records of batches that are there in full */
        for (uint64_t i = 0; i < BATCHES; i++) {
            whole = world.ends[i] <= size ? (i + 1) * RECORDS : whole;
        }
        for (uint64_t i = 1; i <= TOTAL; i++) {
            assert_true(i > whole || told.read[i]);
            assert_true(i == 1 || !told.read[i] || told.read[i - 1]);
            assert_false(told.lost[i]);
        }
    }
    nx_sim_close(world.sim);
}

/* One record may be lost, or a batch's header, which holds none; in the last batch all that follows. */
static void expect_bounded(const struct world *world, const struct told *told, uint64_t offset, bool finish) {
    size_t missing = 0;
    for (uint64_t i = 1; i <= TOTAL; i++) {
        missing += told->read[i] ? 0 : 1;
        const bool is_last = !finish && i > TOTAL - RECORDS;
        assert_true(told->read[i] || told->lost[i] || is_last);
    }
    const bool hits_last = !finish && offset >= world->ends[BATCHES - 2];
    assert_true(missing <= (hits_last ? RECORDS : 1));
}

static void test_every_flipped_bit_costs_one_record_and_is_named(void **state) {
    for (int finish = 0; finish < 2; finish++) {
        struct world world;
        (void)state;
        world_init(&world, finish == 1);
        for (uint64_t offset = 0; offset < world.end; offset++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                struct told told;
                struct nx_wal_recovered recovered;
                if (offset == NX_SEGMENT_HEADER_SIZE) {
                    offset = NX_SEGMENT_COPY_OFFSET;
                } else if (offset == NX_SEGMENT_COPY_OFFSET + NX_SEGMENT_HEADER_SIZE) {
                    offset = NX_SEGMENT_DATA_OFFSET;
                }
                assert_true(nx_sim_flip_bits(world.sim, path, offset, (uint8_t)(1U << bit)));
                recover(&world, &told, &recovered);
                expect_bounded(&world, &told, offset, finish == 1);
                assert_true(nx_sim_flip_bits(world.sim, path, offset, (uint8_t)(1U << bit)));
            }
        }
        nx_sim_close(world.sim);
    }
}

static void test_a_segment_without_its_headers_is_read_by_its_first_frame(void **state) {
    static const char bytes[2][4096] = { { 0 }, "rubbish" };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        struct told told;
        struct nx_wal_recovered recovered;
        struct nx_file *file = NULL;
        world_init(&world, i == 0);
        assert_int_equal(nx_file_open(world.disk, path, NX_FILE_WRITE, &file, NULL), NX_OK);
        for (uint64_t at = 0; at < NX_SEGMENT_DATA_OFFSET; at += sizeof bytes[i]) {
            const struct nx_str part = nx_str_of(bytes[i], sizeof bytes[i]);
            assert_int_equal(nx_file_write_at(file, at, &part, 1, NULL), NX_OK);
        }
        nx_file_close(file);
        recover(&world, &told, &recovered);
        assert_int_equal(told.last, TOTAL);
        for (uint64_t sequence = 1; sequence <= TOTAL; sequence++) {
            assert_true(told.read[sequence]);
        }
        assert_int_equal(recovered.last_number, 1);
        assert_int_equal(recovered.last_end, world.end);
        nx_sim_close(world.sim);
    }
}

static void test_a_checksum_tells_its_seed(void **state) {
    const char bytes[] = "a frame's header, and its body";
    (void)state;
    for (uint32_t seed = 1; seed != 0; seed <<= 1) {
        assert_int_equal(nx_crc32c_seed(nx_crc32c(seed, bytes, sizeof bytes), bytes, sizeof bytes), seed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_segment_is_read_without_a_word),
        cmocka_unit_test(test_every_cut_leaves_a_prefix),
        cmocka_unit_test(test_a_segment_without_its_headers_is_read_by_its_first_frame),
        cmocka_unit_test(test_a_checksum_tells_its_seed),
        cmocka_unit_test(test_every_flipped_bit_costs_one_record_and_is_named),
    };
    return cmocka_run_group_tests_name("storage/wal/recovery", tests, NULL, NULL);
}
