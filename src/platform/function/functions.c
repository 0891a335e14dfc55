#include "platform/function/functions.h"

#include "base/assert.h"
#include "platform/function/dispatch_internal.h"
#include "platform/function/loader.h"
#include "platform/function/replayer.h"
#include "platform/function/worker.h"

enum { REPLAYER_CALLS = 1 };

struct nx_functions {
    struct nx_dispatch *dispatch;
    struct nx_replayer *replayer;
    struct nx_loader *loader;
    struct nx_worker *workers[1 + NX_FUNCTIONS_WORKERS_MAX]; /* the first one is at hand */
    size_t worker_count;
};

uint32_t nx_functions_calls_max(size_t worker_count) {
    nx_assert(worker_count <= NX_FUNCTIONS_WORKERS_MAX);
    return (1 + (uint32_t)worker_count) * NX_WORKER_CALLS_MAX + REPLAYER_CALLS;
}

static enum nx_status open_workers(struct nx_functions *functions, const struct nx_functions_options *options,
                                   struct nx_error *err) {
    struct nx_worker_options worker_options = {
        .appends = options->appends,
        .reads = options->reads,
        .guests = options->guests,
        .clock = options->clock,
        .random = options->random,
        .log = options->log,
        .tracing = options->tracing,
    };
    for (size_t i = 0; i < 1 + options->worker_count; i++) {
        worker_options.is_at_hand = i == 0;
        NX_TRY(nx_worker_open(&worker_options, &functions->workers[i], err));
        functions->worker_count++;
    }
    return NX_OK;
}

static enum nx_status open_dispatch(struct nx_functions *functions,
                                    const struct nx_functions_options *options, struct nx_error *err) {
    struct nx_mailbox *mailboxes[1 + NX_FUNCTIONS_WORKERS_MAX];
    for (size_t i = 0; i < functions->worker_count; i++) {
        mailboxes[i] = nx_worker_mailbox(functions->workers[i]);
    }
    const struct nx_dispatch_options dispatch_options = {
        .appends = options->appends,
        .reads = options->reads,
        .workers = mailboxes,
        .worker_count = functions->worker_count,
        .replayer = nx_replayer_mailbox(functions->replayer),
        .loader = nx_loader_mailbox(functions->loader),
        .guests = options->guests,
        .registry = options->registry,
        .random = options->random,
        .log = options->log,
        .metrics = options->metrics,
        .checkpoint_every_ns = options->checkpoint_every_ns,
        .is_watched = options->is_watched,
    };
    NX_TRY(nx_dispatch_open(&dispatch_options, &functions->dispatch, err));
    nx_replayer_set_dispatch(functions->replayer, nx_dispatch_mailbox(functions->dispatch));
    return NX_OK;
}

enum nx_status nx_functions_open(const struct nx_functions_options *options,
                                 struct nx_functions **functions_out, struct nx_error *err) {
    nx_assert(options->worker_count >= 1);
    nx_assert(options->worker_count <= NX_FUNCTIONS_WORKERS_MAX);
    NX_AUTO(nx_functions) *functions = calloc(1, sizeof *functions);
    if (functions == NULL) {
        return nx_fail_memory(err);
    }
    const struct nx_replayer_options replayer_options = {
        .appends = options->appends,
        .reads = options->reads,
        .guests = options->guests,
        .clock = options->clock,
        .log = options->log,
        .metrics = options->metrics,
        .node_name = options->node_name,
    };
    NX_TRY(open_workers(functions, options, err));
    NX_TRY(nx_replayer_open(&replayer_options, &functions->replayer, err));
    NX_TRY(nx_loader_open(options->reads, &functions->loader, err));
    NX_TRY(open_dispatch(functions, options, err));
    *functions_out = NX_TAKE(functions);
    return NX_OK;
}

void nx_functions_close(struct nx_functions *functions) {
    if (functions == NULL) {
        return;
    }
    /* Workers first: tasks that lie in their mailboxes refer to dispatch's items, not the other way round. */
    for (size_t i = 0; i < functions->worker_count; i++) {
        nx_worker_close(functions->workers[i]);
    }
    nx_replayer_close(functions->replayer);
    nx_loader_close(functions->loader);
    nx_dispatch_close(functions->dispatch);
    free(functions);
}

size_t nx_functions_actors(struct nx_functions *functions,
                           struct nx_actor actors_out[NX_FUNCTIONS_ACTORS_MAX]) {
    size_t count = 0;
    actors_out[count++] = nx_dispatch_actor(functions->dispatch);
    actors_out[count++] = nx_worker_actor(functions->workers[0]);
    actors_out[count++] = nx_replayer_actor(functions->replayer);
    actors_out[count++] = nx_loader_actor(functions->loader);
    for (size_t i = 1; i < functions->worker_count; i++) {
        actors_out[count++] = nx_worker_actor(functions->workers[i]);
    }
    return count;
}

struct nx_mailbox *nx_functions_mailbox(struct nx_functions *functions) {
    return nx_dispatch_mailbox(functions->dispatch);
}

#define DAY_NS (24 * 3600 * (int64_t)NX_NS_PER_S)
#define GIB (UINT64_C(1) << 30)

const struct nx_stream_config *nx_functions_streams(void) {
    static const struct nx_stream_config streams[NX_FUNCTIONS_STREAMS_COUNT] = {
        { .name = { "EVENTS", 6 },
          .subjects = { { "events.>", 8 } },
          .age_max_ns = 7 * DAY_NS,
          .size_max = 10 * GIB },
        { .name = { "INVOCATIONS", 11 }, .subjects = { { "invocations.*", 13 } }, .age_max_ns = 3 * DAY_NS },
        /* Large tapes and outputs of the invocations kept. */
        { .name = { "OBJ_calls", 9 }, .goes_with = { "INVOCATIONS", 11 } },
        { .name = { "DLQ", 3 }, .subjects = { { "dlq.>", 5 } } },
        /* What stands under a name is state, not history: no budget may take it. Of a function the newest
         * counts; the ones before say which modules it had. */
        { .name = { "FUNCTIONS", 9 },
          .subjects = { { "functions.*", 11 } },
          .per_subject_max = NX_FUNCTIONS_REGISTRATIONS_KEPT },
        { .name = { "CONSUMERS", 9 },
          .subjects = { { "consumers.*", 11 }, { NX_CHECKPOINT_SUBJECT, sizeof NX_CHECKPOINT_SUBJECT - 1 } },
          .per_subject_max = 1 },
        { .name = { "AUDIT", 5 }, .subjects = { { "audit.>", 7 } } },
        /* One record for each request that came with an Idempotency-Key; kept longer than it counts. */
        { .name = { "REQUESTS", 8 },
          .subjects = { { "requests.*", 10 } },
          .age_max_ns = DAY_NS / 24,
          .size_max = GIB,
          .dedup_window_ns = NX_REQUESTS_WINDOW_NS },
    };
    return streams;
}
