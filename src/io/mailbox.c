#include "io/mailbox.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/counter.h"
#include "io/clock.h"
#include "io/mailbox_internal.h"

struct nx_mailbox {
    pthread_mutex_t lock;          /* over all but request_count_max and has_messages */
    struct nx_message_queue queue; /* waiting, oldest first */
    size_t request_count;          /* of those, how many are requests */
    size_t request_count_max;      /* unchanged after open */
    _Atomic bool has_messages;     /* lets a receiver pass an empty mailbox without the lock */
    struct nx_waker waker;         /* used when there is no `doze` */
    struct nx_doze *doze;          /* NULL unless the receiver sleeps by it */
};

/* ---- queues ---- */

void nx_message_queue_push(struct nx_message_queue *queue, struct nx_message *message) {
    message->next = NULL;
    if (queue->last == NULL) {
        queue->first = message;
    } else {
        queue->last->next = message;
    }
    queue->last = message;
    queue->count++;
}

struct nx_message *nx_message_queue_pop(struct nx_message_queue *queue) {
    struct nx_message *message = queue->first;
    if (message == NULL) {
        return NULL;
    }
    queue->first = message->next;
    if (queue->first == NULL) {
        queue->last = NULL;
    }
    queue->count--;
    message->next = NULL;
    return message;
}

void nx_message_queue_release(struct nx_message_queue *queue) {
    struct nx_message *message;
    while ((message = nx_message_queue_pop(queue)) != NULL) {
        nx_message_release(message);
    }
}

/** Append all of `from` to `to`; `from` is empty afterwards. */
static void queue_move_all(struct nx_message_queue *to, struct nx_message_queue *from) {
    if (from->first == NULL) {
        return;
    }
    if (to->last == NULL) {
        *to = *from;
    } else {
        to->last->next = from->first;
        to->last = from->last;
        to->count += from->count;
    }
    *from = (struct nx_message_queue){ 0 };
}

/* ---- mailboxes ---- */

enum nx_status nx_mailbox_open(size_t count_max, struct nx_mailbox **mailbox_out, struct nx_error *err) {
    nx_assert(count_max > 0);
    struct nx_mailbox *mailbox = malloc(sizeof *mailbox);
    if (mailbox == NULL) {
        return nx_fail_memory(err);
    }
    *mailbox = (struct nx_mailbox){ .request_count_max = count_max };
    nx_assert(pthread_mutex_init(&mailbox->lock, NULL) == 0);
    *mailbox_out = mailbox;
    return NX_OK;
}

void nx_mailbox_close(struct nx_mailbox *mailbox) {
    if (mailbox == NULL) {
        return;
    }
    nx_message_queue_release(&mailbox->queue);
    nx_assert(pthread_mutex_destroy(&mailbox->lock) == 0);
    nx_doze_unref(mailbox->doze);
    free(mailbox);
}

static void lock(struct nx_mailbox *mailbox) {
    nx_assert(pthread_mutex_lock(&mailbox->lock) == 0);
}

static void unlock(struct nx_mailbox *mailbox) {
    nx_assert(pthread_mutex_unlock(&mailbox->lock) == 0);
}

void nx_mailbox_set_waker(struct nx_mailbox *mailbox, struct nx_waker waker) {
    lock(mailbox);
    mailbox->waker = waker;
    unlock(mailbox);
}

void nx_mailbox_set_doze(struct nx_mailbox *mailbox, struct nx_doze *doze) {
    lock(mailbox);
    struct nx_doze *previous = mailbox->doze;
    mailbox->doze = nx_doze_ref(doze);
    unlock(mailbox);
    nx_doze_unref(previous);
}

/** The first `count` messages of `from`, or all of them. */
static struct nx_message_queue take_first(struct nx_message_queue *from, size_t count) {
    struct nx_message_queue taken = *from;
    if (count >= from->count) {
        *from = (struct nx_message_queue){ 0 };
        return taken;
    }
    taken = (struct nx_message_queue){ 0 };
    for (size_t i = 0; i < count; i++) {
        nx_message_queue_push(&taken, nx_message_queue_pop(from));
    }
    return taken;
}

/** Move what there is room for from `queue` to the mailbox, and wake its receiver. */
static void put(struct nx_mailbox *mailbox, struct nx_message_queue *queue, bool is_request) {
    nx_assert(mailbox != NULL);
    lock(mailbox);
    size_t count = queue->count;
    if (is_request) {
        const size_t room = mailbox->request_count_max - mailbox->request_count;
        count = count < room ? count : room;
        mailbox->request_count += count;
    }
    if (count == 0) {
        unlock(mailbox);
        return;
    }
    const bool was_empty = mailbox->queue.first == NULL;
    struct nx_message_queue moved = take_first(queue, count);
    queue_move_all(&mailbox->queue, &moved);
    atomic_store_explicit(&mailbox->has_messages, true, memory_order_release);
    /* The receiver may be another thread by the time that it is woken (a restart): hence the reference. */
    struct nx_doze *doze = was_empty && mailbox->doze != NULL ? nx_doze_ref(mailbox->doze) : NULL;
    const struct nx_waker waker = mailbox->waker;
    unlock(mailbox);
    if (doze != NULL) {
        nx_doze_wake(doze);
        nx_doze_unref(doze);
    } else if (was_empty && waker.wake != NULL) {
        waker.wake(waker.data);
    }
}

static struct nx_message_queue queue_of(struct nx_message *message) {
    nx_assert(message->release != NULL);
    nx_assert(message->next == NULL);
    return (struct nx_message_queue){ .first = message, .last = message, .count = 1 };
}

bool nx_mailbox_send(struct nx_mailbox *mailbox, struct nx_message *message) {
    struct nx_message_queue queue = queue_of(message);
    put(mailbox, &queue, true);
    return queue.count == 0;
}

void nx_mailbox_send_all(struct nx_mailbox *mailbox, struct nx_message_queue *queue) {
    if (queue->count > 0) {
        put(mailbox, queue, true);
    }
}

void nx_mailbox_send_reply(struct nx_mailbox *mailbox, struct nx_message *message) {
    struct nx_message_queue queue = queue_of(message);
    put(mailbox, &queue, false);
}

void nx_message_reply(struct nx_message *message) {
    struct nx_mailbox *reply_to = message->reply_to;
    if (reply_to == NULL) {
        nx_message_release(message);
        return;
    }
    nx_mailbox_send_reply(reply_to, message);
}

void nx_message_reply_all(struct nx_message_queue *queue) {
    struct nx_message_queue neighbours = { 0 };
    struct nx_mailbox *reply_to = NULL; /* of the neighbours */
    struct nx_message *message;
    while ((message = nx_message_queue_pop(queue)) != NULL) {
        if (neighbours.count > 0 && message->reply_to != reply_to) {
            put(reply_to, &neighbours, false);
        }
        reply_to = message->reply_to;
        if (reply_to == NULL) {
            nx_message_release(message);
        } else {
            nx_message_queue_push(&neighbours, message);
        }
    }
    if (neighbours.count > 0) {
        put(reply_to, &neighbours, false);
    }
}

bool nx_mailbox_has_messages(const struct nx_mailbox *mailbox) {
    return atomic_load_explicit(&mailbox->has_messages, memory_order_acquire);
}

bool nx_mailbox_take(struct nx_mailbox *mailbox, struct nx_message_queue *queue_out) {
    if (!nx_mailbox_has_messages(mailbox)) {
        return false;
    }
    lock(mailbox);
    struct nx_message_queue taken = mailbox->queue;
    mailbox->queue = (struct nx_message_queue){ 0 };
    mailbox->request_count = 0;
    atomic_store_explicit(&mailbox->has_messages, false, memory_order_release);
    unlock(mailbox);
    queue_move_all(queue_out, &taken);
    return true;
}

/* ---- sleeping and waking ---- */

enum { AWAKE, CALLED, ASLEEP };

struct nx_doze {
    _Atomic uint32_t word; /* AWAKE, CALLED or ASLEEP; what the kernel compares */
    _Atomic bool is_stopped;
    struct nx_refcount refcount;
};

enum nx_status nx_doze_new(struct nx_doze **doze_out, struct nx_error *err) {
    struct nx_doze *doze = malloc(sizeof *doze);
    if (doze == NULL) {
        return nx_fail_memory(err);
    }
    atomic_init(&doze->word, AWAKE);
    atomic_init(&doze->is_stopped, false);
    nx_refcount_init(&doze->refcount);
    *doze_out = doze;
    return NX_OK;
}

struct nx_doze *nx_doze_ref(struct nx_doze *doze) {
    nx_refcount_ref(&doze->refcount);
    return doze;
}

void nx_doze_unref(struct nx_doze *doze) {
    if (doze != NULL && nx_refcount_unref(&doze->refcount)) {
        free(doze);
    }
}

void nx_doze_rise(struct nx_doze *doze) {
    (void)atomic_exchange_explicit(&doze->word, AWAKE, memory_order_acq_rel);
}

bool nx_doze_try(struct nx_doze *doze) {
    uint32_t expected = AWAKE;
    return atomic_compare_exchange_strong_explicit(&doze->word, &expected, ASLEEP, memory_order_acq_rel,
                                                   memory_order_acquire);
}

bool nx_doze_call(struct nx_doze *doze) {
    return atomic_exchange_explicit(&doze->word, CALLED, memory_order_acq_rel) == ASLEEP;
}

void nx_doze_wake(struct nx_doze *doze) {
    if (nx_doze_call(doze)) {
        (void)syscall(SYS_futex, &doze->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

void nx_doze_sleep(struct nx_doze *doze, int64_t until_monotonic_ns) {
    if (!nx_doze_try(doze)) {
        return;
    }
    struct timespec until = { .tv_sec = until_monotonic_ns / NX_NS_PER_S,
                              .tv_nsec = until_monotonic_ns % NX_NS_PER_S };
    const struct timespec *deadline = until_monotonic_ns == INT64_MAX ? NULL : &until;
    if (until_monotonic_ns > 0) {
        /* Returns at once when the word is no longer ASLEEP; a signal or a late wake only ends it early. */
        (void)syscall(SYS_futex, &doze->word, FUTEX_WAIT_BITSET_PRIVATE, ASLEEP, deadline, NULL,
                      FUTEX_BITSET_MATCH_ANY);
    }
}

void nx_doze_stop(struct nx_doze *doze) {
    atomic_store_explicit(&doze->is_stopped, true, memory_order_release);
}

bool nx_doze_is_stopped(const struct nx_doze *doze) {
    return atomic_load_explicit(&doze->is_stopped, memory_order_acquire);
}

void nx_doze_restart(struct nx_doze *doze) {
    atomic_store_explicit(&doze->is_stopped, false, memory_order_release);
}
