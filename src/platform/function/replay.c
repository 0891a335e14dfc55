/* src/platform/function/replay.c: reports, and replays of a directory that no server uses. */
#include "platform/function/replay.h"

#include "base/assert.h"
#include "platform/function/replay_parallel.h"
#include "platform/function/replay_run.h"

static const char *const verdict_names[] = {
    [NX_REPLAY_IDENTICAL] = "identical",   [NX_REPLAY_DIFFERENT] = "different",
    [NX_REPLAY_FAILED] = "failed",         [NX_REPLAY_UNREPLAYABLE] = "unreplayable",
    [NX_REPLAY_EVENT_GONE] = "event-gone", [NX_REPLAY_MODULE_GONE] = "module-gone",
    [NX_REPLAY_ERASED] = "erased",         [NX_REPLAY_RAN] = "ran",
};

const char *nx_replay_verdict_name(enum nx_replay_verdict verdict) {
    nx_assert(verdict < NX_REPLAY_VERDICT_COUNT);
    return verdict_names[verdict];
}

const char *nx_replay_shape_name(enum nx_replay_shape shape) {
#define NX_REPLAY_SHAPE_NAME(shape, name) [shape] = name,
    static const char *const names[] = { NX_REPLAY_SHAPE_TABLE(NX_REPLAY_SHAPE_NAME) };
#undef NX_REPLAY_SHAPE_NAME
    nx_assert(shape < NX_REPLAY_SHAPE_COUNT);
    return names[shape];
}

void nx_replay_report_init(struct nx_replay_report *report) {
    *report = (struct nx_replay_report){ 0 };
    nx_arena_init(&report->arena, NX_REPLAY_REPORT_SIZE_MAX);
}

void nx_replay_report_fini(struct nx_replay_report *report) {
    if (report != NULL) {
        nx_arena_fini(&report->arena);
        *report = (struct nx_replay_report){ 0 };
    }
}

bool nx_replay_report_is_proof(const struct nx_replay_report *report) {
    return report->counts[NX_REPLAY_IDENTICAL] > 0 && report->counts[NX_REPLAY_DIFFERENT] == 0 &&
           report->counts[NX_REPLAY_FAILED] == 0 && report->lost_count == 0;
}

static struct nx_check_options check_options(const struct nx_replay_options *options,
                                             const struct nx_replay_question *question,
                                             struct nx_module *other, struct nx_module *against) {
    return (struct nx_check_options){
        .guests = options->guests,
        .clock = options->clock,
        .is_comparing = question->mode == NX_REPLAY_COMPARE,
        .other = other,
        .against = against,
        .policy = question->policy,
        .changes = question->changes,
        .change_count = question->change_count,
        .observer = options->observer,
    };
}

/* On the caller's thread alone: what an id names. */
static enum nx_status run_here(const struct nx_replay_options *options,
                               const struct nx_replay_question *question,
                               const struct nx_check_options *check, struct nx_replay_report *report,
                               struct nx_error *err) {
    struct nx_replay_run *run = NULL;
    const struct nx_replay_run_options run_options = { .check = *check,
                                                       .question = question,
                                                       .report = report };
    NX_TRY(nx_replay_run_new(&run_options, &run, err));
    enum nx_status status = NX_OK;
    int64_t told_ns = 0;
    for (;;) {
        const enum nx_replay_need need = nx_replay_run_step(run);
        if (need == NX_REPLAY_NEEDS_READ) {
            struct nx_read *read = nx_replay_run_take_read(run);
            nx_fabric_read_now(options->fabric, read);
            nx_replay_run_give_read(run, read);
        } else if (need == NX_REPLAY_NEEDS_NONE) {
            status = nx_replay_run_status(run, err);
            break;
        }
        const int64_t now_ns = nx_clock_read(&options->clock).monotonic_ns;
        if (options->progress != NULL && now_ns - told_ns > 100 * NX_NS_PER_MS) {
            told_ns = now_ns;
            const struct nx_replay_progress progress = { .done_count = report->total };
            if (!options->progress(options->progress_data, &progress)) {
                status = nx_fail(err, NX_CANCELLED, "stopped");
                break;
            }
        }
    }
    nx_replay_run_free(run);
    return status;
}

/* Nothing for no bytes. */
static enum nx_status load(const struct nx_replay_options *options, struct nx_str wasm,
                           struct nx_module **module_out, struct nx_error *err) {
    const struct nx_guest_kind *guests = options->guests;
    return wasm.len == 0 ? NX_OK
                         : guests->module_load(guests->data, wasm, NX_GUEST_MEMORY_MAX, module_out, err);
}

static void unload(const struct nx_replay_options *options, struct nx_module *module) {
    if (module != NULL) {
        options->guests->module_unref(module);
    }
}

enum nx_status nx_replay_run(const struct nx_replay_options *options,
                             const struct nx_replay_question *question, struct nx_replay_report *report,
                             struct nx_error *err) {
    if (question->mode == NX_REPLAY_LIVE) {
        const enum nx_status status =
            nx_fail(err, NX_UNIMPLEMENTED, "a live replay needs the running server");
        nx_hint(err, "start it with nexus dev or nexus start, then try again");
        return status;
    }
    struct nx_module *other = NULL;
    struct nx_module *against = NULL;
    NX_TRY(load(options, question->module, &other, err));
    const enum nx_status loaded = load(options, question->against, &against, err);
    if (loaded != NX_OK) {
        unload(options, other);
        return loaded;
    }
    const struct nx_check_options check = check_options(options, question, other, against);
    const int64_t began_ns = nx_clock_read(&options->clock).monotonic_ns;
    const enum nx_status status = question->id.len == 0 && options->thread_count > 0
                                      ? nx_replay_run_parallel(options, question, &check, report, err)
                                      : run_here(options, question, &check, report, err);
    unload(options, other);
    unload(options, against);
    report->elapsed_ns = (uint64_t)(nx_clock_read(&options->clock).monotonic_ns - began_ns);
    return status;
}
