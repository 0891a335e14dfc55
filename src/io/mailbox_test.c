/* src/io/mailbox_test.c: messages keep their order, are bounded, and find their way back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "io/mailbox.h"

static int released_count;

struct note {
    struct nx_message message;
    int value;
};

static void note_release(struct nx_message *message) {
    released_count++;
    free(message);
}

static struct note *note_new(int value, struct nx_mailbox *reply_to) {
    struct note *note = calloc(1, sizeof *note);
    assert_non_null(note);
    note->message.release = note_release;
    note->message.reply_to = reply_to;
    note->value = value;
    return note;
}

static int take_value(struct nx_message_queue *queue) {
    struct note *note = (struct note *)(void *)nx_message_queue_pop(queue);
    assert_non_null(note);
    const int value = note->value;
    nx_message_release(&note->message);
    return value;
}

static void test_gives_messages_in_the_order_sent(void **state) {
    NX_AUTO(nx_mailbox) *mailbox = NULL;
    struct nx_message_queue queue = { 0 };
    (void)state;
    assert_int_equal(nx_mailbox_open(10, &mailbox, NULL), NX_OK);
    assert_false(nx_mailbox_take(mailbox, &queue));
    for (int i = 0; i < 3; i++) {
        assert_true(nx_mailbox_send(mailbox, &note_new(i, NULL)->message));
    }
    assert_true(nx_mailbox_take(mailbox, &queue));
    assert_int_equal(queue.count, 3);
    assert_true(nx_mailbox_send(mailbox, &note_new(3, NULL)->message));
    assert_true(nx_mailbox_take(mailbox, &queue)); /* appended behind what is there */
    for (int i = 0; i < 4; i++) {
        assert_int_equal(take_value(&queue), i);
    }
    assert_null(nx_message_queue_pop(&queue));
}

static void test_refuses_requests_past_the_maximum_but_never_answers(void **state) {
    NX_AUTO(nx_mailbox) *mailbox = NULL;
    struct nx_message_queue queue = { 0 };
    struct note *refused = note_new(3, NULL);
    (void)state;
    assert_int_equal(nx_mailbox_open(2, &mailbox, NULL), NX_OK);
    assert_true(nx_mailbox_send(mailbox, &note_new(1, NULL)->message));
    assert_true(nx_mailbox_send(mailbox, &note_new(2, NULL)->message));
    assert_false(nx_mailbox_send(mailbox, &refused->message));
    nx_mailbox_send_reply(mailbox, &note_new(4, NULL)->message);
    assert_true(nx_mailbox_take(mailbox, &queue));
    assert_int_equal(queue.count, 3);
    assert_true(nx_mailbox_send(mailbox, &refused->message)); /* there is room again */
    nx_message_queue_release(&queue);
}

static void test_sends_as_many_together_as_there_is_room_for(void **state) {
    NX_AUTO(nx_mailbox) *mailbox = NULL;
    struct nx_message_queue sent = { 0 };
    struct nx_message_queue taken = { 0 };
    (void)state;
    assert_int_equal(nx_mailbox_open(3, &mailbox, NULL), NX_OK);
    nx_mailbox_send_all(mailbox, &sent); /* nothing: the receiver is not woken */
    assert_false(nx_mailbox_take(mailbox, &taken));
    assert_true(nx_mailbox_send(mailbox, &note_new(0, NULL)->message));
    for (int i = 1; i < 5; i++) {
        nx_message_queue_push(&sent, &note_new(i, NULL)->message);
    }
    nx_mailbox_send_all(mailbox, &sent);
    assert_int_equal(sent.count, 2);
    nx_mailbox_send_all(mailbox, &sent); /* still full */
    assert_int_equal(sent.count, 2);
    assert_true(nx_mailbox_take(mailbox, &taken));
    nx_mailbox_send_all(mailbox, &sent);
    assert_int_equal(sent.count, 0);
    assert_true(nx_mailbox_take(mailbox, &taken));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(take_value(&taken), i);
    }
}

static void test_answers_together_go_each_where_it_is_wanted(void **state) {
    static const int wanted_by[] = { 0, 0, 1, 2, 0, 1 }; /* 2: nobody */
    NX_AUTO(nx_mailbox) *first = NULL;
    NX_AUTO(nx_mailbox) *second = NULL;
    struct nx_message_queue answers = { 0 };
    struct nx_message_queue taken = { 0 };
    (void)state;
    released_count = 0;
    assert_int_equal(nx_mailbox_open(1, &first, NULL), NX_OK);
    assert_int_equal(nx_mailbox_open(1, &second, NULL), NX_OK);
    for (int i = 0; i < 6; i++) {
        struct nx_mailbox *reply_to = wanted_by[i] == 0 ? first : wanted_by[i] == 1 ? second : NULL;
        nx_message_queue_push(&answers, &note_new(i, reply_to)->message);
    }
    nx_message_reply_all(&answers);
    assert_int_equal(answers.count, 0);
    assert_int_equal(released_count, 1);
    assert_true(nx_mailbox_take(first, &taken)); /* more than it takes requests */
    assert_true(nx_mailbox_take(second, &taken));
    static const int order[] = { 0, 1, 4, 2, 5 };
    for (int i = 0; i < 5; i++) {
        assert_int_equal(take_value(&taken), order[i]);
    }
}

static void test_a_request_comes_back_as_its_own_answer(void **state) {
    NX_AUTO(nx_mailbox) *asked = NULL;
    NX_AUTO(nx_mailbox) *asking = NULL;
    struct nx_message_queue queue = { 0 };
    (void)state;
    assert_int_equal(nx_mailbox_open(1, &asked, NULL), NX_OK);
    assert_int_equal(nx_mailbox_open(1, &asking, NULL), NX_OK);
    assert_true(nx_mailbox_send(asked, &note_new(7, asking)->message));
    assert_true(nx_mailbox_take(asked, &queue));
    nx_message_reply(nx_message_queue_pop(&queue));
    assert_true(nx_mailbox_take(asking, &queue));
    assert_int_equal(take_value(&queue), 7);
}

static void test_an_unwanted_answer_is_released(void **state) {
    (void)state;
    released_count = 0;
    nx_message_reply(&note_new(1, NULL)->message);
    assert_int_equal(released_count, 1);
}

static void count_wake(void *data) {
    (*(int *)data)++;
}

static void test_wakes_only_when_it_was_empty(void **state) {
    NX_AUTO(nx_mailbox) *mailbox = NULL;
    struct nx_message_queue queue = { 0 };
    int wake_count = 0;
    (void)state;
    assert_int_equal(nx_mailbox_open(10, &mailbox, NULL), NX_OK);
    nx_mailbox_set_waker(mailbox, (struct nx_waker){ count_wake, &wake_count });
    assert_true(nx_mailbox_send(mailbox, &note_new(1, NULL)->message));
    assert_true(nx_mailbox_send(mailbox, &note_new(2, NULL)->message));
    assert_int_equal(wake_count, 1);
    assert_true(nx_mailbox_take(mailbox, &queue));
    assert_true(nx_mailbox_send(mailbox, &note_new(3, NULL)->message));
    assert_int_equal(wake_count, 2);
    nx_message_queue_release(&queue);
}

static void test_closing_releases_what_was_never_taken(void **state) {
    struct nx_mailbox *mailbox = NULL;
    (void)state;
    released_count = 0;
    assert_int_equal(nx_mailbox_open(10, &mailbox, NULL), NX_OK);
    assert_true(nx_mailbox_send(mailbox, &note_new(1, NULL)->message));
    nx_mailbox_send_reply(mailbox, &note_new(2, NULL)->message);
    nx_mailbox_close(mailbox);
    nx_mailbox_close(NULL);
    assert_int_equal(released_count, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gives_messages_in_the_order_sent),
        cmocka_unit_test(test_refuses_requests_past_the_maximum_but_never_answers),
        cmocka_unit_test(test_sends_as_many_together_as_there_is_room_for),
        cmocka_unit_test(test_answers_together_go_each_where_it_is_wanted),
        cmocka_unit_test(test_a_request_comes_back_as_its_own_answer),
        cmocka_unit_test(test_an_unwanted_answer_is_released),
        cmocka_unit_test(test_wakes_only_when_it_was_empty),
        cmocka_unit_test(test_closing_releases_what_was_never_taken),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
