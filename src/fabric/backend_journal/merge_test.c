/* src/fabric/backend_journal/merge_test.c: runs become fewer and lose what is of no use, and nobody who looks
 * can tell, but by what is gone being called gone. */
#include "fabric/backend_journal/harness_test.h"

#include <sys/stat.h>

#include "fabric/backend_journal/merge_plan.h"
#include "storage/check/check.h"
#include "storage/run/run.h"

enum { VALUE_SIZE = 200, SEGMENT_SIZE = 64 * 1024 };
#define HOUR_NS (3600 * (int64_t)NX_NS_PER_S)

/* ---- the plan ---- */

static void test_plan_takes_the_smallest_neighbours_that_are_alike(void **state) {
    const struct nx_merge_limits limits = { .size_max = 800, .records_max = 1000, .count_max = 12 };
    struct nx_merge_part parts[20] = { 0 };
    size_t first = 99;
    size_t count = 0;
    (void)state;
    for (size_t i = 0; i < 20; i++) {
        parts[i] = (struct nx_merge_part){ .size = i < 10 ? 90 : 20, .records = 1 };
    }
    assert_false(nx_merge_plan(parts, 7, &limits, &first, &count));
    assert_true(nx_merge_plan(parts, 20, &limits, &first, &count));
    assert_int_equal(first, 10);
    assert_int_equal(count, NX_MERGE_FAN_IN);
    parts[12].is_fixed = true; /* a damaged one is left as it is */
    assert_false(nx_merge_plan(parts, 18, &limits, &first, &count) && first + count > 12 && first <= 12);
    parts[3].waste = 51;
    assert_true(nx_merge_plan(parts, 20, &limits, &first, &count));
    assert_int_equal(first, 3);
    assert_int_equal(count, 1);
}

static void test_plan_never_exceeds_its_limits_nor_writes_a_large_one_for_small_ones(void **state) {
    struct nx_merge_limits limits = { .size_max = 700, .records_max = 1000, .count_max = 100 };
    struct nx_merge_part parts[9] = { { .size = 600, .records = 1 } };
    size_t first = 99;
    size_t count = 0;
    (void)state;
    for (size_t i = 1; i < 9; i++) {
        parts[i] = (struct nx_merge_part){ .size = 10, .records = 1 };
    }
    assert_false(nx_merge_plan(parts, 8, &limits, &first, &count)); /* 600 would be written again for 70 */
    assert_true(nx_merge_plan(parts, 9, &limits, &first, &count));
    assert_int_equal(first, 1);
    limits.records_max = 7;
    assert_false(nx_merge_plan(parts, 9, &limits, &first, &count));
    limits.count_max = 8; /* too many of them: two that fit become one */
    assert_true(nx_merge_plan(parts, 9, &limits, &first, &count));
    assert_int_equal(count, 2);
    assert_int_equal(first, 1);
}

/* ---- helpers ---- */

/* Append `count` records with one sync: subjects "k.<i modulo keys>", ids "<stream>-<number>". */
static void put_batch(struct harness *harness, const char *stream, int from, int count, int keys) {
    struct nx_append *append = harness_append_new(harness, (size_t)count, 0);
    for (int i = from; i < from + count; i++) {
        char subject[32];
        char headers[64];
        char value[VALUE_SIZE];
        for (size_t k = 0; k < sizeof value - 1; k++) { /* does not pack */
            value[k] = (char)('!' + (((size_t)i * 7919 + k * k * 104729) >> 3) % 90);
        }
        value[sizeof value - 1] = '\0';
        (void)snprintf(subject, sizeof subject, "k.%d", i % keys);
        (void)snprintf(headers, sizeof headers, "ce-id: %s-%d\r\n", stream, i);
        harness_add(append, stream, subject, headers, value, NULL);
    }
    NX_AUTO(nx_append) *answer = harness_send(harness, append);
    if (answer->status != NX_OK) {
        fail_msg("%s", answer->error.message);
    }
}

static void put_batches(struct harness *harness, const char *stream, int from, int count, int keys) {
    for (int i = 0; i < count; i += 50) {
        put_batch(harness, stream, from + i, count - i < 50 ? count - i : 50, keys);
    }
}

static void run_for(struct harness *harness, int64_t seconds) {
    for (int64_t i = 0; i < seconds * 2; i++) {
        harness->now.monotonic_ns += NX_NS_PER_S / 2;
        harness->now.wall_ns += NX_NS_PER_S / 2;
        harness_run(harness);
    }
}

struct census {
    size_t runs;
    uint64_t size; /* bytes that are really taken */
    const char *directory;
};

static bool take_census(void *data, const struct nx_disk_entry *entry) {
    struct census *census = data;
    char path[512];
    struct stat info;
    if (nx_str_starts_with(entry->name, NX_STR("runs-"))) {
        (void)snprintf(path, sizeof path, "%s/%.*s", census->directory, NX_STR_ARG(entry->name));
        census->runs++;
        census->size += stat(path, &info) == 0 ? (uint64_t)info.st_blocks * 512 : 0;
    }
    return true;
}

static struct census census_of(const struct harness *harness) {
    char directory[128];
    (void)snprintf(directory, sizeof directory, "%s/journal", harness->directory);
    struct census census = { .directory = directory };
    assert_int_equal(nx_disk_list(nx_disk_system(), directory, take_census, &census, NULL), NX_OK);
    census.directory = NULL;
    return census;
}

static struct nx_stream_info info_of(struct harness *harness, const char *stream) {
    NX_AUTO(nx_read) *read = harness_ask(harness, harness_read_new(harness, NX_READ_INFO, stream, NULL));
    assert_int_equal(read->status, NX_OK);
    nx_assert(read->infos != NULL);
    struct nx_stream_info info = read->infos[0];
    info.name = NX_STR_EMPTY;
    return info;
}

static enum nx_kind kind_of_sequence(struct harness *harness, const char *stream, uint64_t sequence) {
    struct nx_read *question = harness_read_new(harness, NX_READ_BY_SEQUENCE, stream, NULL);
    question->from_sequence = sequence;
    NX_AUTO(nx_read) *read = harness_ask(harness, question);
    assert_true(read->status == NX_OK ? read->record_count == 1 : read->status == NX_NOT_FOUND);
    return read->status == NX_OK ? NX_KIND_NONE : read->error.kind;
}

/* The sequence of the only record that is found so; 0: none. */
static uint64_t find_one(struct harness *harness, enum nx_read_kind kind, const char *stream,
                         const char *key) {
    NX_AUTO(nx_read) *read = harness_ask(harness, harness_read_new(harness, kind, stream, key));
    if (read->status == NX_NOT_FOUND) {
        return 0;
    }
    assert_int_equal(read->status, NX_OK);
    assert_int_equal(read->record_count, 1);
    return read->records[0].sequence;
}

static size_t count_of_scan(struct harness *harness, const char *stream, const char *filter, bool backward) {
    size_t count = 0;
    uint64_t next = 0;
    for (;;) {
        struct nx_read *question = harness_read_new(harness, NX_READ_SCAN, stream, filter);
        question->backward = backward;
        question->from_sequence = backward ? 0 : next;
        question->to_sequence = backward ? next : 0;
        NX_AUTO(nx_read) *read = harness_ask(harness, question);
        assert_int_equal(read->status, NX_OK);
        assert_int_equal(read->lost_count, 0);
        count += read->record_count;
        next = read->next_sequence;
        if (read->at_end) {
            return count;
        }
    }
}

static void count_problem(void *data, const char *file, const char *text) {
    (void)file;
    (void)text;
    ++*(size_t *)data;
}

/* Restart, with the journal verified in between. */
static void restart(struct harness *harness) {
    char directory[128];
    size_t problems = 0;
    struct nx_check_summary summary;
    const struct nx_check_visitor visitor = { .data = &problems, .problem = count_problem };
    harness_stop(harness);
    (void)snprintf(directory, sizeof directory, "%s/journal", harness->directory);
    assert_int_equal(nx_journal_verify(nx_disk_system(), directory, &visitor, &summary, NULL), NX_OK);
    assert_int_equal(problems, 0);
    harness_start(harness);
    assert_int_equal(nx_fabric_recovery_report(harness->fabric).len, 0);
}

static void start_with(struct harness *harness, const struct nx_stream_config *config) {
    harness_open(harness, SEGMENT_SIZE);
    harness_stop(harness);
    harness->streams[1] = *config;
    harness_start(harness);
}

/* ---- merging ---- */

static void test_merged_records_are_found_by_every_way(void **state) {
    struct harness harness;
    (void)state;
    harness_open(&harness, SEGMENT_SIZE);
    put_batches(&harness, "EVENTS", 0, 5000, 10); /* about 24 segments */
    for (int round = 0; round < 2; round++) {
        run_for(&harness, 30);
        assert_true(census_of(&harness).runs < 12);
        assert_int_equal(info_of(&harness, "EVENTS").count, 5000);
        assert_int_equal(info_of(&harness, "EVENTS").first_sequence, 1);
        for (int i = 0; i < 5000; i += 499) {
            char id[32];
            (void)snprintf(id, sizeof id, "EVENTS-%d", i);
            assert_int_equal(find_one(&harness, NX_READ_BY_ID, "EVENTS", id), i + 1);
            assert_int_equal(kind_of_sequence(&harness, "EVENTS", (uint64_t)i + 1), NX_KIND_NONE);
        }
        assert_int_equal(find_one(&harness, NX_READ_LAST, "EVENTS", "k.3"), 4994);
        assert_int_equal(count_of_scan(&harness, "EVENTS", NULL, false), 5000);
        assert_int_equal(count_of_scan(&harness, "EVENTS", NULL, true), 5000);
        assert_int_equal(count_of_scan(&harness, "EVENTS", "*.7", false), 500);
        restart(&harness);
    }
    harness_fini(&harness);
}

static void test_values_that_were_replaced_leave_the_disk(void **state) {
    struct harness harness;
    (void)state;
    harness_open(&harness, SEGMENT_SIZE);
    for (int round = 0; round < 20; round++) {
        put_batches(&harness, "KV_b", round * 500, 500, 500);
        run_for(&harness, 3);
    }
    run_for(&harness, 120);
    /* 500 values are some 130 KB; without merging each of 47 segments would have kept most of its own. */
    assert_true(census_of(&harness).size < 4 * 500 * (VALUE_SIZE + 64));
    assert_int_equal(info_of(&harness, "KV_b").count, 500);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(count_of_scan(&harness, "KV_b", NULL, false), 500);
        assert_int_equal(count_of_scan(&harness, "KV_b", NULL, true), 500);
        assert_int_equal(find_one(&harness, NX_READ_LAST, "KV_b", "k.17"), 9500 + 18);
        assert_int_equal(kind_of_sequence(&harness, "KV_b", 18), NX_KIND_EXPIRED);
        assert_int_equal(find_one(&harness, NX_READ_BY_ID, "KV_b", "KV_b-17"), 0);
        assert_int_equal(find_one(&harness, NX_READ_BY_ID, "KV_b", "KV_b-9517"), 9518);
        restart(&harness);
        assert_int_equal(info_of(&harness, "KV_b").count, 500);
        assert_int_equal(info_of(&harness, "KV_b").last_sequence, 10000);
    }
    put_batch(&harness, "KV_b", 10000, 10, 500);
    assert_int_equal(info_of(&harness, "KV_b").count, 500);
    put_batch(&harness, "KV_b", 10000, 10, 100000);
    assert_int_equal(info_of(&harness, "KV_b").count, 510);
    harness_fini(&harness);
}

static void test_a_limit_by_subject_keeps_exactly_the_newest(void **state) {
    struct harness harness;
    const struct nx_stream_config config = { .name = NX_STR("HISTORY"), .per_subject_max = 3 };
    (void)state;
    start_with(&harness, &config);
    put_batches(&harness, "HISTORY", 0, 40, 10);
    for (int round = 0; round < 3; round++) { /* in a segment, in runs, in merged runs */
        const uint64_t last = info_of(&harness, "HISTORY").last_sequence;
        assert_int_equal(info_of(&harness, "HISTORY").count, 30);
        assert_int_equal(count_of_scan(&harness, "HISTORY", NULL, false), 30);
        assert_int_equal(count_of_scan(&harness, "HISTORY", NULL, true), 30);
        assert_int_equal(count_of_scan(&harness, "HISTORY", "k.4", false), 3);
        assert_int_equal(kind_of_sequence(&harness, "HISTORY", last - 29), NX_KIND_NONE);
        assert_int_equal(kind_of_sequence(&harness, "HISTORY", last - 30), NX_KIND_EXPIRED);
        put_batches(&harness, "HISTORY", (int)last, 600 + round * 3000, 10);
        run_for(&harness, round == 0 ? 3 : 60);
        restart(&harness);
    }
    assert_true(census_of(&harness).size < 64 * 1024);
    harness_fini(&harness);
}

static void put_key(struct harness *harness, const char *stream, const char *key, bool *duplicate_out) {
    struct nx_append *append = harness_append_new(harness, 1, 0);
    harness_add(append, stream, "k.key", "", "value", key);
    NX_AUTO(nx_append) *answer = harness_send(harness, append);
    assert_int_equal(answer->status, NX_OK);
    *duplicate_out = answer->entries[0].duplicate;
}

static void test_a_long_window_against_duplicates_outlives_sealing_merging_and_a_restart(void **state) {
    struct harness harness;
    const struct nx_stream_config config = { .name = NX_STR("ORDERS"), .dedup_window_ns = 2 * HOUR_NS };
    bool is_duplicate = true;
    (void)state;
    start_with(&harness, &config);
    put_key(&harness, "ORDERS", "order-1", &is_duplicate);
    assert_false(is_duplicate);
    harness.now.wall_ns += HOUR_NS; /* longer than what runs keep of streams with short windows */
    harness.now.monotonic_ns += HOUR_NS;
    put_batches(&harness, "EVENTS", 0, 4000, 10);
    run_for(&harness, 60);
    restart(&harness);
    put_key(&harness, "ORDERS", "order-1", &is_duplicate);
    assert_true(is_duplicate);
    harness.now.wall_ns += HOUR_NS;
    restart(&harness);
    put_key(&harness, "ORDERS", "order-1", &is_duplicate);
    assert_false(is_duplicate);
    harness_fini(&harness);
}

static void test_the_mark_of_a_deletion_leaves_after_a_day(void **state) {
    struct harness harness;
    (void)state;
    harness_open(&harness, SEGMENT_SIZE);
    put_batch(&harness, "KV_b", 0, 10, 10);
    struct nx_append *append = harness_append_new(&harness, 1, 0);
    harness_add(append, "KV_b", "k.4", "KV-Operation: DEL\r\n", "", NULL);
    nx_append_free(harness_send(&harness, append));
    put_batches(&harness, "EVENTS", 0, 2500, 10);
    run_for(&harness, 60);
    assert_int_equal(find_one(&harness, NX_READ_LAST, "KV_b", "k.4"), 11);
    harness.now.wall_ns += 25 * HOUR_NS;
    put_batches(&harness, "EVENTS", 2500, 12000, 10);
    run_for(&harness, 60);
    assert_int_equal(find_one(&harness, NX_READ_LAST, "KV_b", "k.4"), 0);
    assert_int_equal(find_one(&harness, NX_READ_LAST, "KV_b", "k.3"), 4);
    assert_int_equal(info_of(&harness, "KV_b").count, 9);
    restart(&harness);
    assert_int_equal(find_one(&harness, NX_READ_LAST, "KV_b", "k.4"), 0);
    assert_int_equal(info_of(&harness, "KV_b").last_sequence, 11);
    harness_fini(&harness);
}

/* ---- retention of merged runs ---- */

static void test_age_takes_exactly_what_is_old_and_gives_its_space_back(void **state) {
    struct harness harness;
    const struct nx_stream_config config = { .name = NX_STR("LOGS"), .age_max_ns = 10 * HOUR_NS };
    (void)state;
    start_with(&harness, &config);
    for (int hour = 0; hour < 20; hour++) {
        put_batches(&harness, "LOGS", hour * 500, 500, 10);
        run_for(&harness, 2);
        harness.now.wall_ns += HOUR_NS;
        harness.now.monotonic_ns += HOUR_NS;
    }
    const uint64_t before = census_of(&harness).size;
    run_for(&harness, 30);
    struct nx_stream_info info = info_of(&harness, "LOGS");
    assert_true(info.count >= 4500 && info.count <= 6000); /* ten hours, and a block at most */
    assert_int_equal(info.last_sequence - info.first_sequence + 1, info.count);
    assert_int_equal(count_of_scan(&harness, "LOGS", NULL, false), info.count);
    assert_int_equal(kind_of_sequence(&harness, "LOGS", info.first_sequence - 1), NX_KIND_EXPIRED);
    assert_int_equal(kind_of_sequence(&harness, "LOGS", info.first_sequence), NX_KIND_NONE);
    assert_int_equal(find_one(&harness, NX_READ_BY_ID, "LOGS", "LOGS-7"), 0);
    harness.now.wall_ns += 30 * HOUR_NS;
    harness.now.monotonic_ns += 30 * HOUR_NS;
    run_for(&harness, 60);
    assert_true(census_of(&harness).size < before / 4);
    restart(&harness);
    info = info_of(&harness, "LOGS");
    assert_int_equal(info.last_sequence, 10000); /* what is not sealed yet waits for its segment */
    assert_int_equal(kind_of_sequence(&harness, "LOGS", 1), NX_KIND_EXPIRED);
    harness_fini(&harness);
}

static void test_the_budget_is_kept_by_the_oldest_of_all_streams(void **state) {
    struct harness harness;
    const struct nx_stream_config config = { .name = NX_STR("LOGS") };
    (void)state;
    start_with(&harness, &config);
    harness_stop(&harness);
    harness.options.disk_budget = 16 * SEGMENT_SIZE;
    harness_start(&harness);
    put_batch(&harness, "KV_b", 0, 10, 10);
    for (int i = 0; i < 20; i++) {
        put_batches(&harness, "LOGS", i * 500, 500, 10);
        put_batches(&harness, "EVENTS", i * 500, 500, 10);
        run_for(&harness, 12);
        assert_true(census_of(&harness).size < 20 * SEGMENT_SIZE);
    }
    const struct nx_stream_info logs = info_of(&harness, "LOGS");
    const struct nx_stream_info events = info_of(&harness, "EVENTS");
    assert_true(logs.first_sequence > 5000 && events.first_sequence > 5000);
    assert_int_equal(logs.last_sequence, 10000);
    assert_int_equal(kind_of_sequence(&harness, "EVENTS", 1), NX_KIND_EXPIRED);
    assert_int_equal(kind_of_sequence(&harness, "EVENTS", 10000), NX_KIND_NONE);
    assert_int_equal(info_of(&harness, "KV_b").count, 10); /* values are no history */
    restart(&harness);
    assert_int_equal(info_of(&harness, "LOGS").first_sequence, logs.first_sequence);
    harness_fini(&harness);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan_takes_the_smallest_neighbours_that_are_alike),
        cmocka_unit_test(test_plan_never_exceeds_its_limits_nor_writes_a_large_one_for_small_ones),
        cmocka_unit_test(test_merged_records_are_found_by_every_way),
        cmocka_unit_test(test_values_that_were_replaced_leave_the_disk),
        cmocka_unit_test(test_a_limit_by_subject_keeps_exactly_the_newest),
        cmocka_unit_test(test_a_long_window_against_duplicates_outlives_sealing_merging_and_a_restart),
        cmocka_unit_test(test_the_mark_of_a_deletion_leaves_after_a_day),
        cmocka_unit_test(test_age_takes_exactly_what_is_old_and_gives_its_space_back),
        cmocka_unit_test(test_the_budget_is_kept_by_the_oldest_of_all_streams),
    };
    return cmocka_run_group_tests_name("fabric/backend_journal/merge", tests, NULL, NULL);
}
