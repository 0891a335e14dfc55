/* src/fabric/backend_journal/live_reader_test.c: whoever opens the directory read-only while a server writes,
 * seals and deletes on it sees everything that was acknowledged before, from the first record on, without a
 * gap. */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_reader_beside_a_running_server_misses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
