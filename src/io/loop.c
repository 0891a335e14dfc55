#include "io/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <uv.h>

#include "base/assert.h"
#include "io/loop_internal.h"
#include "io/mailbox_internal.h"
#include "io/thread_internal.h"

/* Timers stand in a wheel of ticks. One that ends later than the wheel turns waits in the farthest slot and
 * is put further when that is visited. A restart that moves the end back only notes the new deadline: the
 * visit finds that it is not due. So the many restarts of a busy connection touch no list. */
enum { WHEEL_SLOTS = 512, SIGNALS_MAX = 5 };

struct wheel {
    struct nx_list slots[WHEEL_SLOTS];
    size_t timer_count;
    int64_t tick;       /* visited up to this one */
    bool is_visited;    /* now: `tick` is visit_due()'s */
    int64_t armed_tick; /* the engine's timer is set for this one; INT64_MAX when for none */
    uv_timer_t engine_timer;
};

struct nx_loop {
    uv_loop_t engine;
    int wake_fd; /* an eventfd: written to, it ends the engine's sleep */
    uv_poll_t wake_poll;
    uv_prepare_t before; /* runs before the engine sleeps */
    uv_check_t after;    /* runs after it slept */
    uv_idle_t sleepless; /* while started, the engine only polls */
    uv_signal_t signals[SIGNALS_MAX];
    size_t signal_count; /* watched */
    void (*signalled)(void *data, int signal);
    void *signalled_data;
    struct nx_loop_options options;
    struct nx_doze *doze;
    struct nx_mailbox *mailbox;
    struct nx_message_queue inbox;
    struct nx_list guests;
    struct wheel wheel;
    struct nx_now now;
    bool now_is_known; /* in this turn */
    bool is_running;
    bool has_thread;
    pthread_t owner;
    pthread_t opener;
    pthread_t thread;
    char read_buffer[NX_LOOP_READ_SIZE];
};

/* ---- turns ---- */

static void deliver(struct nx_loop *loop) {
    if (!nx_mailbox_take(loop->mailbox, &loop->inbox)) {
        return;
    }
    if (loop->options.receive != NULL) {
        loop->options.receive(loop->options.data, &loop->inbox);
    } else {
        nx_message_queue_release(&loop->inbox);
    }
}

static void idle(uv_idle_t *handle) {
    (void)handle; /* being started is all that it does */
}

static void before_sleep(uv_prepare_t *handle) {
    struct nx_loop *loop = handle->data;
    deliver(loop);
    if (loop->options.turned != NULL) {
        loop->options.turned(loop->options.data);
    }
    loop->now_is_known = false;
    if (!nx_doze_try(loop->doze)) {
        (void)uv_idle_start(&loop->sleepless, idle);
    }
}

static void after_sleep(uv_check_t *handle) {
    struct nx_loop *loop = handle->data;
    nx_doze_rise(loop->doze);
    (void)uv_idle_stop(&loop->sleepless);
    deliver(loop);
    if (nx_doze_is_stopped(loop->doze)) {
        uv_stop(&loop->engine);
    }
}

/* Not the engine's own uv_async_send(): there the receiver spins until the sender, whom it may just have
 * displaced from its core, has stored a second mark. Our word says already who wakes, and that it is one. */
static void woken(uv_poll_t *handle, int status, int events) {
    const struct nx_loop *loop = handle->data;
    eventfd_t count;
    (void)status;
    (void)events;
    (void)eventfd_read(loop->wake_fd, &count); /* after_sleep() does the work */
}

static void wake(void *data) {
    struct nx_loop *loop = data;
    if (nx_doze_call(loop->doze)) {
        nx_assert(eventfd_write(loop->wake_fd, 1) == 0);
    }
}

/* ---- opening and closing ---- */

static void wheel_init(struct nx_loop *loop);

/** The engine, and the descriptor that wakes it. 0, or what uv_strerror() knows. */
static int open_waker(struct nx_loop *loop) {
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake_fd < 0) {
        return -errno;
    }
    int failure = uv_loop_init(&loop->engine);
    if (failure != 0) {
        (void)close(loop->wake_fd);
        return failure;
    }
    failure = uv_poll_init(&loop->engine, &loop->wake_poll, loop->wake_fd);
    if (failure != 0) {
        (void)uv_loop_close(&loop->engine);
        (void)close(loop->wake_fd);
    }
    return failure;
}

/** The engine's handles; an engine that was opened can always be closed. */
static enum nx_status open_engine(struct nx_loop *loop, struct nx_error *err) {
    const int failure = open_waker(loop);
    if (failure != 0) {
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "cannot open an event loop: %s", uv_strerror(failure));
    }
    loop->wake_poll.data = loop;
    (void)uv_poll_start(&loop->wake_poll, UV_READABLE, woken);
    (void)uv_prepare_init(&loop->engine, &loop->before);
    (void)uv_check_init(&loop->engine, &loop->after);
    (void)uv_idle_init(&loop->engine, &loop->sleepless);
    (void)uv_timer_init(&loop->engine, &loop->wheel.engine_timer);
    for (int i = 0; i < SIGNALS_MAX; i++) {
        (void)uv_signal_init(&loop->engine, &loop->signals[i]);
        loop->signals[i].data = loop;
    }
    loop->before.data = loop->after.data = loop->sleepless.data = loop->wheel.engine_timer.data = loop;
    (void)uv_prepare_start(&loop->before, before_sleep);
    (void)uv_check_start(&loop->after, after_sleep);
    return NX_OK;
}

enum nx_status nx_loop_open(const struct nx_loop_options *options, struct nx_loop **loop_out,
                            struct nx_error *err) {
    (void)signal(SIGPIPE, SIG_IGN); /* a write to a broken connection is an error, not our end */
    struct nx_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL) {
        return nx_fail_memory(err);
    }
    loop->options = *options;
    loop->opener = loop->owner = pthread_self();
    nx_list_init(&loop->guests);
    enum nx_status status = nx_doze_new(&loop->doze, err);
    if (status == NX_OK) {
        status = nx_mailbox_open(options->mailbox_count_max, &loop->mailbox, err);
    }
    if (status == NX_OK) {
        status = open_engine(loop, err);
    }
    if (status != NX_OK) {
        nx_mailbox_close(loop->mailbox);
        nx_doze_unref(loop->doze);
        free(loop);
        return status;
    }
    wheel_init(loop);
    nx_mailbox_set_waker(loop->mailbox, (struct nx_waker){ wake, loop });
    *loop_out = loop;
    return NX_OK;
}

void nx_loop_close(struct nx_loop *loop) {
    if (loop == NULL) {
        return;
    }
    nx_loop_join(loop);
    nx_loop_assert_owner(loop);
    nx_assert(!loop->is_running);
    for (struct nx_list_node *node = nx_list_first(&loop->guests); node != NULL;
         node = nx_list_next(&loop->guests, node)) {
        struct nx_loop_guest *guest = nx_container_of(node, struct nx_loop_guest, node);
        guest->close(guest);
    }
    for (int i = 0; i < SIGNALS_MAX; i++) {
        uv_close((uv_handle_t *)&loop->signals[i], NULL);
    }
    uv_close((uv_handle_t *)&loop->wheel.engine_timer, NULL);
    uv_close((uv_handle_t *)&loop->before, NULL);
    uv_close((uv_handle_t *)&loop->after, NULL);
    uv_close((uv_handle_t *)&loop->sleepless, NULL);
    uv_close((uv_handle_t *)&loop->wake_poll, NULL);
    (void)uv_run(&loop->engine, UV_RUN_DEFAULT); /* until the last handle is gone */
    nx_assert(nx_list_is_empty(&loop->guests));
    nx_assert(uv_loop_close(&loop->engine) == 0);
    (void)close(loop->wake_fd);
    nx_message_queue_release(&loop->inbox);
    nx_mailbox_close(loop->mailbox);
    nx_doze_unref(loop->doze);
    free(loop);
}

/* ---- running ---- */

void nx_loop_run(struct nx_loop *loop) {
    nx_assert(!loop->is_running);
    loop->owner = pthread_self();
    loop->is_running = true;
    loop->now_is_known = false;
    (void)uv_run(&loop->engine, UV_RUN_DEFAULT);
    nx_doze_restart(loop->doze);
    loop->is_running = false;
    loop->owner = loop->opener;
}

static void *run_on_thread(void *data) {
    nx_loop_run(data);
    return NULL;
}

enum nx_status nx_loop_start(struct nx_loop *loop, const char *name, struct nx_error *err) {
    nx_loop_assert_owner(loop);
    nx_assert(!loop->has_thread);
    NX_TRY(nx_thread_spawn(name, run_on_thread, loop, &loop->thread, err));
    loop->has_thread = true;
    return NX_OK;
}

void nx_loop_join(struct nx_loop *loop) {
    if (loop == NULL || !loop->has_thread) {
        return;
    }
    nx_loop_stop(loop);
    nx_loop_wait(loop);
}

void nx_loop_wait(struct nx_loop *loop) {
    if (loop == NULL || !loop->has_thread) {
        return;
    }
    nx_assert(pthread_join(loop->thread, NULL) == 0);
    loop->has_thread = false;
}

void nx_loop_stop(struct nx_loop *loop) {
    nx_doze_stop(loop->doze);
    wake(loop);
}

void nx_loop_assert_owner(const struct nx_loop *loop) {
    nx_assert(pthread_equal(loop->owner, pthread_self()));
}

struct nx_mailbox *nx_loop_mailbox(struct nx_loop *loop) {
    return loop->mailbox;
}

struct nx_now nx_loop_now(struct nx_loop *loop) {
    nx_loop_assert_owner(loop);
    if (!loop->now_is_known || !loop->is_running) {
        const struct nx_clock clock = nx_clock_system();
        loop->now = nx_clock_read(&clock);
        loop->now_is_known = true;
    }
    return loop->now;
}

/* ---- guests ---- */

void nx_loop_enter(struct nx_loop *loop, struct nx_loop_guest *guest) {
    nx_list_append(&loop->guests, &guest->node);
}

void nx_loop_leave(struct nx_loop *loop, struct nx_loop_guest *guest) {
    nx_list_remove(&loop->guests, &guest->node);
}

void *nx_loop_engine(struct nx_loop *loop) {
    return &loop->engine;
}

char *nx_loop_read_buffer(struct nx_loop *loop) {
    return loop->read_buffer;
}

/* ---- timers ---- */

static int64_t now_ms(struct nx_loop *loop) {
    return nx_loop_now(loop).monotonic_ns / NX_NS_PER_MS;
}

static void wheel_init(struct nx_loop *loop) {
    for (size_t i = 0; i < WHEEL_SLOTS; i++) {
        nx_list_init(&loop->wheel.slots[i]);
    }
    loop->wheel.armed_tick = INT64_MAX;
}

static struct nx_list *slot_of(struct wheel *wheel, int64_t tick) {
    return &wheel->slots[(size_t)tick % WHEEL_SLOTS];
}

static void visit_due(uv_timer_t *handle);

static void arm(struct nx_loop *loop, int64_t tick) {
    const int64_t delay_ms = tick * NX_TIMER_RESOLUTION_MS - now_ms(loop);
    loop->wheel.armed_tick = tick;
    uv_update_time(&loop->engine);
    (void)uv_timer_start(&loop->wheel.engine_timer, visit_due, delay_ms < 1 ? 1 : (uint64_t)delay_ms, 0);
}

/** Put a timer that stands in no slot into the one of its deadline, or the farthest. */
static void place(struct nx_loop *loop, struct nx_timer *timer) {
    struct wheel *wheel = &loop->wheel;
    if (wheel->timer_count == 0 && !wheel->is_visited) {
        wheel->tick = now_ms(loop) / NX_TIMER_RESOLUTION_MS; /* it stood still while it was empty */
    }
    int64_t tick = (timer->deadline_ms + NX_TIMER_RESOLUTION_MS - 1) / NX_TIMER_RESOLUTION_MS;
    const int64_t farthest = wheel->tick + WHEEL_SLOTS - 1;
    tick = tick > farthest ? farthest : tick;
    tick = tick <= wheel->tick ? wheel->tick + 1 : tick;
    timer->visit_ms = tick * NX_TIMER_RESOLUTION_MS;
    nx_list_append(slot_of(wheel, tick), &timer->node);
    wheel->timer_count++;
    if (tick < wheel->armed_tick) {
        arm(loop, tick);
    }
}

static void displace(struct nx_loop *loop, struct nx_timer *timer) {
    nx_list_remove(slot_of(&loop->wheel, timer->visit_ms / NX_TIMER_RESOLUTION_MS), &timer->node);
    loop->wheel.timer_count--;
}

static void arm_for_next(struct nx_loop *loop) {
    struct wheel *wheel = &loop->wheel;
    if (wheel->timer_count == 0) {
        return;
    }
    int64_t tick = wheel->tick + 1;
    while (nx_list_is_empty(slot_of(wheel, tick))) {
        tick++;
    }
    if (tick < wheel->armed_tick) { /* a timer's end may have armed it already */
        arm(loop, tick);
    }
}

static void visit_due(uv_timer_t *handle) {
    struct nx_loop *loop = handle->data;
    struct wheel *wheel = &loop->wheel;
    const int64_t time_ms = now_ms(loop);
    const int64_t tick_now = time_ms / NX_TIMER_RESOLUTION_MS;
    wheel->armed_tick = INT64_MAX;
    wheel->is_visited = true;
    while (wheel->tick < tick_now && wheel->timer_count > 0) {
        struct nx_list *slot = slot_of(wheel, ++wheel->tick);
        struct nx_list_node *node;
        /* What is placed meanwhile goes to later ticks, so never into this slot. */
        while ((node = nx_list_first(slot)) != NULL) {
            struct nx_timer *timer = nx_container_of(node, struct nx_timer, node);
            displace(loop, timer);
            if (timer->deadline_ms > time_ms) {
                place(loop, timer);
            } else {
                timer->end(timer->data);
            }
        }
    }
    wheel->is_visited = false;
    arm_for_next(loop);
}

void nx_timer_start(struct nx_loop *loop, struct nx_timer *timer, int64_t delay_ms) {
    nx_assert(delay_ms >= 0);
    const int64_t deadline_ms = now_ms(loop) + delay_ms + 1; /* the millisecond under way does not count */
    timer->deadline_ms = deadline_ms;
    if (nx_timer_is_running(timer)) {
        if (deadline_ms >= timer->visit_ms) {
            return;
        }
        displace(loop, timer);
    }
    place(loop, timer);
}

void nx_timer_stop(struct nx_loop *loop, struct nx_timer *timer) {
    nx_loop_assert_owner(loop);
    if (nx_timer_is_running(timer)) {
        displace(loop, timer);
    }
}

/* ---- signals ---- */

static void caught(uv_signal_t *handle, int signal_number) {
    struct nx_loop *loop = handle->data;
    loop->signalled(loop->signalled_data, signal_number);
}

enum nx_status nx_loop_watch_signal(struct nx_loop *loop, int number, struct nx_error *err) {
    nx_loop_assert_owner(loop);
    nx_assert(loop->signalled != NULL);
    nx_assert(loop->signal_count < SIGNALS_MAX);
    const int failure = uv_signal_start(&loop->signals[loop->signal_count++], caught, number);
    if (failure != 0) {
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "cannot watch signal %d: %s", number,
                       uv_strerror(failure));
    }
    return NX_OK;
}

enum nx_status nx_loop_watch_signals(struct nx_loop *loop, void (*signalled)(void *data, int signal),
                                     void *data, struct nx_error *err) {
    nx_assert(loop->signalled == NULL);
    loop->signalled = signalled;
    loop->signalled_data = data;
    NX_TRY(nx_loop_watch_signal(loop, SIGINT, err));
    return nx_loop_watch_signal(loop, SIGTERM, err);
}
