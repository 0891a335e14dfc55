/* src/app/replay_here.c */
#include "app/replay_here.h"

#include <stdio.h>
#include <unistd.h>

#include "app/terminal.h"
#include "io/clock.h"
#include "io/random.h"
#include "sandbox/instance/call.h"

enum { PATH_SIZE_MAX = 4096 };

enum nx_status nx_replay_here_open(struct nx_fabric *fabric, const char *directory,
                                   struct nx_replay_here *here, struct nx_error *err) {
    char cache[PATH_SIZE_MAX];
    const struct nx_random random = nx_random_system();
    (void)snprintf(cache, sizeof cache, "%s/modules", directory);
    const struct nx_engine_options options = {
        .disk = nx_disk_system(),
        .cache_directory = cache,
        .cache_read_only = true,
        .random = &random,
        .calls_max = 2 * NX_REPLAY_THREADS_MAX,
    };
    NX_TRY(nx_sandbox_open(&options, &here->engine, err));
    here->guests = nx_guest_wasm(here->engine);
    here->fabric = fabric;
    return NX_OK;
}

void nx_replay_here_close(struct nx_replay_here *here) {
    nx_engine_unref(here->engine);
    *here = (struct nx_replay_here){ 0 };
}

void nx_replay_draw(const struct nx_replay_progress *progress) {
    if (progress->total_count > 0) {
        nx_terminal_progress("replaying", progress->done_count, progress->total_count);
    }
}

static bool draw_on(void *data, const struct nx_replay_progress *progress) {
    (void)data;
    nx_replay_draw(progress);
    return true;
}

enum nx_status nx_replay_here_run(const struct nx_replay_here *here,
                                  const struct nx_replay_question *question,
                                  const struct nx_replay_observer *observer, struct nx_replay_report *report,
                                  struct nx_error *err) {
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const struct nx_replay_options options = {
        .fabric = here->fabric,
        .guests = &here->guests,
        .thread_count = cores < 1                       ? 1
                        : cores > NX_REPLAY_THREADS_MAX ? NX_REPLAY_THREADS_MAX
                                                        : (size_t)cores,
        .clock = nx_clock_system(),
        .progress = nx_terminal_is(stderr) ? draw_on : NULL,
        .observer = observer == NULL ? (struct nx_replay_observer){ 0 } : *observer,
    };
    return nx_replay_run(&options, question, report, err);
}
