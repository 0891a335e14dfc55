#include "io/thread.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "io/mailbox_internal.h"
#include "io/thread_internal.h"

/* An actor, and what the thread knows about it. */
struct role {
    struct nx_actor actor;
    struct nx_message_queue inbox; /* taken from the mailbox, not handled yet */
    int64_t wanted_ns;             /* when it asked to be called again */
};

struct nx_thread {
    pthread_t handle;
    struct nx_doze *doze; /* one for all actors of the thread */
    struct nx_clock clock;
    size_t role_count;
    struct role roles[NX_THREAD_ACTORS_MAX];
};

/** Step the actor when it has something new or its time has come. */
static void step_role(struct role *role, const struct nx_clock *clock) {
    const bool has_news = nx_mailbox_take(role->actor.mailbox, &role->inbox);
    if (!has_news && role->wanted_ns == NX_STEP_IDLE) {
        return;
    }
    const struct nx_now now = nx_clock_read(clock);
    if (has_news || role->wanted_ns <= now.monotonic_ns) {
        role->wanted_ns = role->actor.step(role->actor.state, now, &role->inbox);
    }
}

static void *run(void *data) {
    struct nx_thread *thread = data;
    while (!nx_doze_is_stopped(thread->doze)) {
        nx_doze_rise(thread->doze);
        int64_t earliest_ns = NX_STEP_IDLE;
        for (size_t i = 0; i < thread->role_count; i++) {
            step_role(&thread->roles[i], &thread->clock);
            if (thread->roles[i].wanted_ns < earliest_ns) {
                earliest_ns = thread->roles[i].wanted_ns;
            }
        }
        if (earliest_ns != NX_STEP_AGAIN) {
            nx_doze_sleep(thread->doze, earliest_ns);
        }
    }
    return NULL;
}

static void thread_free(struct nx_thread *thread) {
    if (thread == NULL) {
        return;
    }
    for (size_t i = 0; i < thread->role_count; i++) {
        nx_message_queue_release(&thread->roles[i].inbox);
    }
    nx_doze_unref(thread->doze);
    free(thread);
}
NX_DEFINE_AUTO(nx_thread, thread_free)

enum nx_status nx_thread_spawn(const char *name, void *(*run_thread)(void *data), void *data,
                               pthread_t *handle_out, struct nx_error *err) {
    pthread_attr_t attributes;
    sigset_t all;
    (void)sigfillset(&all);
    /* A fault of the thread's own must reach its handler (the sandbox turns a guest's into traps); blocked,
     * the kernel would end the process instead. */
    static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        (void)sigdelset(&all, faults[i]);
    }
    nx_assert(pthread_attr_init(&attributes) == 0);
    nx_assert(pthread_attr_setstacksize(&attributes, NX_THREAD_STACK_SIZE) == 0);
    nx_assert(pthread_attr_setsigmask_np(&attributes, &all) == 0);
    const int failure = pthread_create(handle_out, &attributes, run_thread, data);
    nx_assert(pthread_attr_destroy(&attributes) == 0);
    if (failure != 0) {
        return nx_fail(err, NX_RESOURCE_EXHAUSTED, "cannot start the thread '%s': %s", name,
                       strerror(failure));
    }
    char shown[16];
    (void)snprintf(shown, sizeof shown, "%s", name);
    (void)pthread_setname_np(*handle_out, shown); /* only for people who look at the process */
    return NX_OK;
}

enum nx_status nx_thread_start(const struct nx_actor *actors, size_t actor_count,
                               const struct nx_clock *clock, struct nx_thread **thread_out,
                               struct nx_error *err) {
    nx_assert(actor_count > 0 && actor_count <= NX_THREAD_ACTORS_MAX);
    NX_AUTO(nx_thread) *thread = calloc(1, sizeof *thread);
    if (thread == NULL) {
        return nx_fail_memory(err);
    }
    NX_TRY(nx_doze_new(&thread->doze, err));
    thread->clock = *clock;
    thread->role_count = actor_count;
    for (size_t i = 0; i < actor_count; i++) {
        thread->roles[i] = (struct role){ .actor = actors[i], .wanted_ns = NX_STEP_AGAIN };
        nx_mailbox_set_doze(actors[i].mailbox, thread->doze);
    }
    NX_TRY(nx_thread_spawn(actors[0].name, run, thread, &thread->handle, err));
    *thread_out = NX_TAKE(thread);
    return NX_OK;
}

void nx_thread_stop(struct nx_thread *thread) {
    if (thread == NULL) {
        return;
    }
    nx_doze_stop(thread->doze);
    nx_doze_wake(thread->doze);
    nx_assert(pthread_join(thread->handle, NULL) == 0);
    thread_free(thread);
}
