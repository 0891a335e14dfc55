/* src/fabric/backend_journal/live_reader_test.c: whoever opens the directory read-only while a server writes,
 * seals and deletes on it sees everything that was acknowledged before, from the first record on, without a
 * gap; and when no server runs, what is damaged is told by whoever reads it. */
#include "fabric/backend_journal/harness_test.h"

#include <inttypes.h>
#include <string.h>

enum { RECORDS = 1000, IN_FLIGHT = 8 };

struct writer {
    struct harness *harness;
    struct nx_counter acknowledged; /* the last sequence */
    struct nx_counter stopped;
    int in_flight;
};

static int64_t write_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct writer *writer = state;
    static char payload[2000];
    struct nx_message *message;
    (void)now;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        const struct nx_append *append = (const struct nx_append *)message;
        nx_assert(append->status == NX_OK);
        nx_counter_set(&writer->acknowledged, append->entries[0].sequence);
        writer->in_flight--;
        nx_message_release(message);
    }
    memset(payload, 'x', sizeof payload - 1);
    while (writer->in_flight < IN_FLIGHT && nx_counter_get(&writer->stopped) == 0) {
        struct nx_append *append = harness_append_new(writer->harness, 1, 0);
        harness_add(append, "EVENTS", "events.x", NULL, payload, NULL);
        nx_assert(nx_mailbox_send(nx_fabric_appends(writer->harness->fabric), &append->message));
        writer->in_flight++;
    }
    return NX_STEP_IDLE;
}

/* Every record from the first to the last; gives the last. */
static uint64_t read_all(struct nx_fabric *fabric) {
    uint64_t next = 1;
    for (bool at_end = false; !at_end;) {
        NX_AUTO(nx_read) *read = NULL;
        assert_int_equal(nx_read_new(NX_READ_SCAN, &read, NULL), NX_OK);
        read->stream = NX_STR("EVENTS");
        read->from_sequence = next;
        nx_fabric_read_now(fabric, read);
        assert_int_equal(read->status, NX_OK);
        assert_int_equal(read->lost_count, 0);
        for (size_t i = 0; i < read->record_count; i++) {
            assert_int_equal(read->records[i].sequence, next);
            next++;
        }
        at_end = read->at_end;
    }
    return next - 1;
}

static void test_a_reader_beside_a_running_server_misses_nothing(void **state) {
    struct harness harness;
    struct nx_thread *threads[3] = { 0 };
    struct writer writer = { .harness = &harness };
    (void)state;
    harness_open(&harness, 16 * 1024); /* a segment takes seven records: files come and go all the time */
    harness_put(&harness, "EVENTS", "events.x", NULL, NULL);
    nx_counter_set(&writer.acknowledged, 1);
    const struct nx_clock clock = nx_clock_system();
    harness_stop(&harness);
    harness.options.clock = clock;
    harness_start(&harness);
    const struct nx_actor actor = {
        .name = "writer", .mailbox = harness.answers, .state = &writer, .step = write_step
    };
    assert_int_equal(nx_thread_start(&harness.actors[0], 1, &clock, &threads[0], NULL), NX_OK);
    assert_int_equal(nx_thread_start(&harness.actors[1], 1, &clock, &threads[1], NULL), NX_OK);
    assert_int_equal(nx_thread_start(&actor, 1, &clock, &threads[2], NULL), NX_OK);
    struct nx_fabric_options options = harness.options;
    options.read_only = true;
    while (nx_counter_get(&writer.acknowledged) < RECORDS) {
        NX_AUTO(nx_fabric) *fabric = NULL;
        struct nx_error err = { 0 };
        const uint64_t acknowledged = nx_counter_get(&writer.acknowledged);
        if (nx_fabric_open(&options, &fabric, &err) != NX_OK) {
            fail_msg("%s", err.message);
        }
        assert_true(read_all(fabric) >= acknowledged);
    }
    nx_counter_set(&writer.stopped, 1);
    for (int i = 3; i-- > 0;) {
        nx_thread_stop(threads[i]);
    }
    harness_fini(&harness);
}

/* Change one byte of the first segment, where this text stands. */
static void damage(const struct harness *harness, const char *text) {
    static char bytes[64 * 1024];
    char path[128];
    (void)snprintf(path, sizeof path, "%s/journal/wal-%016d", harness->directory, 1);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    const size_t len = fread(bytes, 1, sizeof bytes, file);
    const char *at = memmem(bytes, len, text, strlen(text));
    assert_non_null(at);
    assert_int_equal(fseek(file, at - bytes, SEEK_SET), 0);
    assert_int_equal(fputc('?', file), '?');
    assert_int_equal(fclose(file), 0);
}

static void test_a_reader_without_a_server_is_told_of_damage_by_what_it_reads(void **state) {
    struct harness harness;
    (void)state;
    harness_init(&harness);
    harness_put(&harness, "EVENTS", "events.x", "ce-id: a\r\n", "the first");
    harness_put(&harness, "EVENTS", "events.x", "ce-id: b\r\n", "the second");
    harness_put(&harness, "EVENTS", "events.x", "ce-id: c\r\n", "the third");
    harness_stop(&harness);
    damage(&harness, "the second");
    harness.options.read_only = true;
    harness_start(&harness);

    NX_AUTO(nx_read) *all = harness_read_new(&harness, NX_READ_SCAN, "EVENTS", "");
    nx_fabric_read_now(harness.fabric, all);
    assert_int_equal(all->status, NX_OK);
    assert_int_equal(all->record_count, 2);
    assert_int_equal(all->lost_count, 1);
    assert_int_equal(all->records[1].sequence, 3);
    NX_AUTO(nx_read) *one = harness_read_new(&harness, NX_READ_BY_SEQUENCE, "EVENTS", "");
    one->from_sequence = 2;
    nx_fabric_read_now(harness.fabric, one);
    assert_int_equal(one->status, NX_DATA_LOSS);
    NX_AUTO(nx_read) *lost = harness_read_new(&harness, NX_READ_BY_ID, "", "b");
    nx_fabric_read_now(harness.fabric, lost);
    assert_int_equal(lost->status, NX_NOT_FOUND);
    NX_AUTO(nx_read) *whole = harness_read_new(&harness, NX_READ_BY_ID, "", "c");
    nx_fabric_read_now(harness.fabric, whole);
    assert_int_equal(whole->record_count, 1);
    harness_fini(&harness);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reader_without_a_server_is_told_of_damage_by_what_it_reads),
        cmocka_unit_test(test_a_reader_beside_a_running_server_misses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
