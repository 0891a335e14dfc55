/* src/fabric/backend_journal/room_test.c: the journal grows up to its limits and no further, says which one
 * it has met, and goes on when it has passed. */
#include "fabric/backend_journal/harness_test.h"

#include <string.h>

enum { SEGMENT_SIZE = 64 * 1024, PAYLOAD_SIZE = 20 * 1000 };

static void send_to(struct harness *harness, const char *stream, const char *subject, size_t size) {
    struct nx_append *append = harness_append_new(harness, 1, 0);
    NX_AUTO_FREE char *payload = malloc(size + 1);
    nx_assert(payload != NULL);
    for (size_t i = 0; i < size; i++) {
        payload[i] = (char)('a' + nx_random_u64(&harness->options.random) % 26);
    }
    payload[size] = '\0';
    harness_add(append, stream, subject, "", payload, NULL);
    assert_true(nx_mailbox_send(nx_fabric_appends(harness->fabric), &append->message));
}

static void send_one(struct harness *harness, size_t size) {
    send_to(harness, "EVENTS", "a.b", size);
}

static void step(struct harness *harness, int actor) {
    (void)nx_mailbox_take(harness->actors[actor].mailbox, &harness->inboxes[actor]);
    (void)harness->actors[actor].step(harness->actors[actor].state, harness_clock(harness),
                                      &harness->inboxes[actor]);
}

/* The answer, or NULL while there is none. */
static struct nx_append *take_answer(struct harness *harness) {
    struct nx_message_queue queue = { 0 };
    (void)nx_mailbox_take(harness->answers, &queue);
    return (struct nx_append *)nx_message_queue_pop(&queue);
}

/* Append while only the journal runs, until it does not answer any more; how many were taken. */
static int fill(struct harness *harness) {
    for (int count = 0; count < 1000; count++) {
        send_one(harness, PAYLOAD_SIZE);
        step(harness, 0);
        NX_AUTO(nx_append) *answer = take_answer(harness);
        if (answer == NULL) {
            return count;
        }
        assert_int_equal(answer->status, NX_OK);
    }
    fail_msg("there is no limit");
    return 0;
}

static void open_limited(struct harness *harness) {
    harness_open(harness, SEGMENT_SIZE);
    harness_stop(harness);
    harness->options.unsealed_max = (uint64_t)8 * SEGMENT_SIZE;
    harness_start(harness);
}

static void test_what_waits_to_be_sealed_has_a_limit_which_is_waited_for(void **state) {
    struct harness harness;
    (void)state;
    open_limited(&harness);
    const int count = fill(&harness);
    assert_in_range(count * PAYLOAD_SIZE, 5 * SEGMENT_SIZE, 8 * SEGMENT_SIZE);
    assert_true(nx_fabric_is_writable(harness.fabric, NULL)); /* it passes by itself */
    for (int i = 0; i < 50; i++) {
        step(&harness, 1);
    }
    harness.now.monotonic_ns += NX_NS_PER_S;
    step(&harness, 0);
    NX_AUTO(nx_append) *answer = take_answer(&harness);
    assert_non_null(answer);
    assert_int_equal(answer->status, NX_OK);
    assert_true(fill(&harness) > 0);
    harness_fini(&harness);
}

static void test_when_sealing_does_not_come_writing_is_refused_by_name_until_it_does(void **state) {
    struct harness harness;
    struct nx_error err = { 0 };
    (void)state;
    open_limited(&harness);
    (void)fill(&harness);
    send_one(&harness, PAYLOAD_SIZE);
    harness.now.monotonic_ns += 10 * (int64_t)NX_NS_PER_S;
    step(&harness, 0);
    struct nx_message_queue queue = { 0 };
    (void)nx_mailbox_take(harness.answers, &queue);
    assert_int_equal(queue.count, 2);
    struct nx_append *answer = (struct nx_append *)nx_message_queue_pop(&queue);
    assert_int_equal(answer->error.kind, NX_KIND_OVERLOADED);
    assert_non_null(strstr(answer->error.message, "wait to be sealed"));
    assert_true(answer->error.hint[0] != '\0');
    nx_append_free(answer);
    nx_message_queue_release(&queue);
    assert_false(nx_fabric_is_writable(harness.fabric, &err));
    assert_non_null(strstr(err.message, "wait to be sealed"));
    for (int i = 0; i < 50; i++) {
        step(&harness, 1);
    }
    harness.now.monotonic_ns += NX_NS_PER_S;
    step(&harness, 0);
    assert_true(nx_fabric_is_writable(harness.fabric, NULL)); /* without a write */
    assert_true(fill(&harness) > 0);
    harness_fini(&harness);
}

static void test_what_kills_leave_behind_does_not_use_up_the_limit(void **state) {
    struct harness harness;
    char command[256];
    (void)state;
    harness_open(&harness, SEGMENT_SIZE);
    harness.options.unsealed_max = (uint64_t)4 * SEGMENT_SIZE;
    (void)snprintf(command, sizeof command, "truncate -s %d '%s'/journal/wal-*", SEGMENT_SIZE,
                   harness.directory);
    for (uint64_t life = 1; life <= 20; life++) {
        harness_stop(&harness);
        /* A process that ends in order gives the rest of its segment back, one that is killed does not. */
        assert_int_equal(life == 1 ? 0 : system(command), 0);
        harness_start(&harness);
        send_one(&harness, 100);
        harness_run(&harness);
        NX_AUTO(nx_append) *answer = take_answer(&harness);
        assert_non_null(answer);
        assert_int_equal(answer->status, NX_OK);
        assert_int_equal(answer->entries[0].sequence, life);
    }
    assert_true(fill(&harness) > 0);
    harness_fini(&harness);
}

static void test_an_append_larger_than_a_segment_is_taken(void **state) {
    struct harness harness;
    (void)state;
    harness_open(&harness, SEGMENT_SIZE);
    send_one(&harness, 100);
    harness_run(&harness);
    nx_append_free(take_answer(&harness));
    for (uint64_t sequence = 2; sequence < 6; sequence++) {
        send_one(&harness, sequence % 2 == 0 ? 10 * SEGMENT_SIZE : 100);
        harness_run(&harness);
        NX_AUTO(nx_append) *answer = take_answer(&harness);
        assert_non_null(answer);
        assert_int_equal(answer->status, NX_OK);
        assert_int_equal(answer->entries[0].sequence, sequence);
    }
    harness_stop(&harness);
    harness_start(&harness);
    NX_AUTO(nx_read) *read = harness_ask(&harness, harness_read_new(&harness, NX_READ_SCAN, "EVENTS", NULL));
    assert_int_equal(read->record_count, 5);
    assert_int_equal(read->records[1].payload.len, 10 * SEGMENT_SIZE);
    harness_fini(&harness);
}

static void protect(struct harness *harness, const char *consumer, bool is_own, uint64_t from) {
    struct nx_protect *wish = calloc(1, sizeof *wish);
    nx_assert(wish != NULL);
    wish->from_sequence = from;
    wish->is_own = is_own;
    (void)snprintf(wish->stream, sizeof wish->stream, "EVENTS");
    (void)snprintf(wish->consumer, sizeof wish->consumer, "%s", consumer);
    wish->message.kind = NX_FABRIC_PROTECT;
    wish->message.release = (void (*)(struct nx_message *))free;
    assert_true(nx_mailbox_send(nx_fabric_appends(harness->fabric), &wish->message));
}

static void tell_when_held(struct harness *harness) {
    struct nx_message *message = calloc(1, sizeof *message);
    nx_assert(message != NULL);
    message->kind = NX_FABRIC_WHEN_HELD;
    message->release = (void (*)(struct nx_message *))free;
    message->reply_to = harness->answers;
    assert_true(nx_mailbox_send(nx_fabric_appends(harness->fabric), message));
    harness_run(harness);
}

/* True when retention has asked for the wishes. */
static bool is_asked(struct harness *harness) {
    struct nx_message_queue queue = { 0 };
    (void)nx_mailbox_take(harness->answers, &queue);
    const bool is_asked = queue.count == 1 && queue.first->kind == NX_FABRIC_WHEN_HELD;
    nx_message_queue_release(&queue);
    return is_asked;
}

/* Append until the answer is not a plain yes, which is given back; NULL: retention has asked. */
static struct nx_append *append_until_asked(struct harness *harness) {
    for (int i = 0; i < 1000; i++) {
        send_one(harness, PAYLOAD_SIZE);
        harness_run(harness);
        struct nx_message_queue queue = { 0 };
        (void)nx_mailbox_take(harness->answers, &queue);
        struct nx_append *refused = NULL;
        bool asked = false;
        struct nx_message *message;
        while ((message = nx_message_queue_pop(&queue)) != NULL) {
            struct nx_append *append = (struct nx_append *)message;
            asked = asked || message->kind == NX_FABRIC_WHEN_HELD;
            if (message->kind == NX_FABRIC_APPEND && append->status != NX_OK) {
                refused = append;
                continue;
            }
            nx_message_release(message);
        }
        if (asked || refused != NULL) {
            return refused;
        }
    }
    fail_msg("the budget is never full");
    return NULL;
}

static void test_an_old_wish_is_said_anew_before_anybody_is_refused_and_then_named(void **state) {
    struct harness harness;
    (void)state;
    harness_open(&harness, SEGMENT_SIZE);
    harness_stop(&harness);
    harness.options.disk_budget = (uint64_t)16 * SEGMENT_SIZE;
    harness_start(&harness);
    protect(&harness, "reader", true, 1);
    protect(&harness, "welcome", false, 1);
    tell_when_held(&harness);
    assert_null(append_until_asked(&harness)); /* they went on, says who is asked */
    protect(&harness, "reader", true, 40);
    protect(&harness, "welcome", false, 40);
    harness.now.monotonic_ns += NX_NS_PER_S;
    tell_when_held(&harness);
    assert_false(is_asked(&harness));
    assert_null(append_until_asked(&harness)); /* they did not */
    tell_when_held(&harness);
    NX_AUTO(nx_append) *refused = append_until_asked(&harness);
    assert_non_null(refused);
    assert_int_equal(refused->error.kind, NX_KIND_BUDGET_FULL);
    assert_non_null(strstr(refused->error.message, "'welcome'"));
    harness_fini(&harness);
}

static void test_a_budget_full_of_what_stays_says_so(void **state) {
    struct harness harness;
    (void)state;
    harness_open(&harness, SEGMENT_SIZE);
    harness_stop(&harness);
    harness.options.disk_budget = (uint64_t)16 * SEGMENT_SIZE;
    harness_start(&harness);
    protect(&harness, "reader", true, 1);
    enum nx_status status = NX_OK;
    for (int i = 0; i < 200 && status == NX_OK; i++) {
        char subject[32];
        (void)snprintf(subject, sizeof subject, "$O.x.C.%d", i);
        send_to(&harness, "OBJ_x", subject, PAYLOAD_SIZE);
        harness_run(&harness);
        NX_AUTO(nx_append) *answer = take_answer(&harness);
        assert_non_null(answer);
        status = answer->status;
    }
    assert_int_equal(status, NX_RESOURCE_EXHAUSTED); /* at the end of the allowance these are refused too */
    send_one(&harness, 100);
    harness_run(&harness);
    NX_AUTO(nx_append) *answer = take_answer(&harness);
    assert_non_null(answer);
    assert_int_equal(answer->error.kind, NX_KIND_BUDGET_FULL);
    assert_non_null(strstr(answer->error.message, "keys and objects"));
    harness_fini(&harness);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_waits_to_be_sealed_has_a_limit_which_is_waited_for),
        cmocka_unit_test(test_when_sealing_does_not_come_writing_is_refused_by_name_until_it_does),
        cmocka_unit_test(test_what_kills_leave_behind_does_not_use_up_the_limit),
        cmocka_unit_test(test_an_append_larger_than_a_segment_is_taken),
        cmocka_unit_test(test_a_budget_full_of_what_stays_says_so),
        cmocka_unit_test(test_an_old_wish_is_said_anew_before_anybody_is_refused_and_then_named),
    };
    return cmocka_run_group_tests_name("fabric/backend_journal/room", tests, NULL, NULL);
}
