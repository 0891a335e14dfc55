#include "platform/function/replay_parallel.h"

#include "base/assert.h"
#include "base/counter.h"
#include "io/loop.h"
#include "io/thread.h"

enum {
    PART_MESSAGES_MAX = 4,
    PROGRESS_EVERY_MS = 100,
    PART_DONE = 0x320, /* struct part's own message */
};

struct parallel;

/* A part of the range: the state of one actor. */
struct part {
    struct nx_message done; /* to the caller's thread, once; kind PART_DONE */
    struct parallel *parallel;
    struct nx_mailbox *mailbox;
    struct nx_thread *thread;
    struct nx_replay_run *run;
    struct nx_replay_report report;
    uint64_t from; /* INVOCATIONS sequences, both inclusive */
    uint64_t to;
    struct nx_counter progress; /* how many of them are done with */
    bool is_answer_due;
    bool is_done;
};

struct parallel {
    const struct nx_replay_options *options;
    const struct nx_check_options *check;
    struct nx_loop *loop; /* of the caller's thread */
    struct nx_timer timer;
    struct part *parts;
    size_t part_count;
    size_t done_count;
    uint64_t total_count;
    bool is_cancelled;
};

static void keep(struct nx_message *message) {
    (void)message; /* part of its struct part, which the caller's thread frees */
}

static int64_t part_step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct part *part = state;
    struct nx_message *message;
    (void)now;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        part->is_answer_due = false;
        nx_replay_run_give_read(part->run, (struct nx_read *)(void *)message);
    }
    if (part->is_answer_due || part->is_done) {
        return NX_STEP_IDLE;
    }
    const enum nx_replay_need need = nx_replay_run_step(part->run);
    const uint64_t position = nx_replay_run_position(part->run);
    const uint64_t end = need == NX_REPLAY_NEEDS_NONE || position > part->to ? part->to + 1 : position;
    nx_counter_set(&part->progress, end > part->from ? end - part->from : 0);
    if (need == NX_REPLAY_NEEDS_STEP) {
        return NX_STEP_AGAIN;
    }
    struct nx_mailbox *caller = nx_loop_mailbox(part->parallel->loop);
    if (need == NX_REPLAY_NEEDS_READ) {
        struct nx_read *read = nx_replay_run_take_read(part->run);
        read->message.reply_to = part->mailbox;
        part->is_answer_due = true;
        /* At most one a part is under way: it needs no bound. */
        nx_mailbox_send_reply(caller, &read->message);
    } else {
        part->is_done = true;
        nx_mailbox_send_reply(caller, &part->done);
    }
    return NX_STEP_IDLE;
}

static void receive(void *data, struct nx_message_queue *inbox) {
    struct parallel *parallel = data;
    struct nx_message *message;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        if (message->kind == PART_DONE) {
            parallel->done_count++;
            continue;
        }
        nx_fabric_read_now(parallel->options->fabric, (struct nx_read *)(void *)message);
        nx_message_reply(message);
    }
    if (parallel->done_count == parallel->part_count) {
        nx_loop_stop(parallel->loop);
    }
}

static void tell(void *data) {
    struct parallel *parallel = data;
    struct nx_replay_progress progress = { .total_count = parallel->total_count };
    for (size_t i = 0; i < parallel->part_count; i++) {
        progress.done_count += nx_counter_get(&parallel->parts[i].progress);
    }
    if (!parallel->options->progress(parallel->options->progress_data, &progress)) {
        parallel->is_cancelled = true;
        nx_loop_stop(parallel->loop);
        return;
    }
    nx_timer_start(parallel->loop, &parallel->timer, PROGRESS_EVERY_MS);
}

/* The sequence of the first or the last invocation in the range; 0 when there is none. */
static enum nx_status find_end(const struct nx_replay_options *options,
                               const struct nx_replay_question *question, bool backward,
                               uint64_t *sequence_out, struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;
    NX_TRY(nx_read_new(NX_READ_SCAN, &read, err));
    read->stream = nx_arena_copy(&read->arena, NX_STR("INVOCATIONS"));
    read->from_sequence = 1;
    read->from_time_ns = question->since_ns;
    read->to_time_ns = question->until_ns;
    read->count_max = 1;
    read->backward = backward;
    nx_fabric_read_now(options->fabric, read);
    if (read->status != NX_OK && read->status != NX_NOT_FOUND && read->status != NX_DATA_LOSS) {
        if (err != NULL) {
            *err = read->error;
        }
        return read->status;
    }
    *sequence_out = read->record_count > 0 ? read->records[0].sequence : 0;
    return NX_OK;
}

static enum nx_status start_part(struct parallel *parallel, const struct nx_replay_question *question,
                                 uint64_t from, uint64_t to, struct nx_error *err) {
    const struct nx_replay_options *options = parallel->options;
    struct part *part = &parallel->parts[parallel->part_count];
    part->parallel = parallel;
    part->from = from;
    part->to = to;
    part->done = (struct nx_message){ .kind = PART_DONE, .release = keep };
    nx_replay_report_init(&part->report);
    parallel->part_count++;
    const struct nx_replay_run_options run_options = {
        .check = *parallel->check,
        .question = question,
        .report = &part->report,
        .from_sequence = from,
        .to_sequence = to,
    };
    NX_TRY(nx_replay_run_new(&run_options, &part->run, err));
    NX_TRY(nx_mailbox_open(PART_MESSAGES_MAX, &part->mailbox, err));
    const struct nx_actor actor = {
        .name = "replay", .mailbox = part->mailbox, .state = part, .step = part_step
    };
    return nx_thread_start(&actor, 1, &options->clock, &part->thread, err);
}

static enum nx_status start_parts(struct parallel *parallel, const struct nx_replay_question *question,
                                  uint64_t first, uint64_t last, struct nx_error *err) {
    const size_t count = parallel->options->thread_count;
    const uint64_t length = (last - first) / count + 1;
    for (uint64_t from = first; from <= last; from += length) {
        const uint64_t to = last - from < length ? last : from + length - 1;
        NX_TRY(start_part(parallel, question, from, to, err));
    }
    return NX_OK;
}

static struct nx_str copy(struct nx_replay_report *report, struct nx_str text) {
    return nx_arena_copy(&report->arena, text);
}

static void merge_groups(struct nx_replay_report *report, const struct nx_replay_report *part) {
    for (unsigned i = 0; i < NX_REPLAY_SHAPE_COUNT; i++) {
        struct nx_replay_group *group = &report->groups[i];
        const struct nx_replay_group *from = &part->groups[i];
        if (group->count == 0 && from->count > 0) {
            *group = *from;
            group->count = 0;
            group->example.what = copy(report, from->example.what);
            group->example.recorded = copy(report, from->example.recorded);
            group->example.replayed = copy(report, from->example.replayed);
        }
        group->count += from->count;
    }
}

static void merge_item(struct nx_replay_report *report, const struct nx_replay_item *from) {
    struct nx_replay_item *item = &report->items[report->item_count++];
    *item = *from;
    item->event_id = copy(report, from->event_id);
    item->function = copy(report, from->function);
    item->output = copy(report, from->output);
    item->error = copy(report, from->error);
    item->difference.what = copy(report, from->difference.what);
    item->difference.recorded = copy(report, from->difference.recorded);
    item->difference.replayed = copy(report, from->difference.replayed);
    item->shapes = NULL;
    item->log_lines = NULL;
    item->log_line_count = 0;
}

static enum nx_status merge(struct parallel *parallel, struct nx_replay_report *report,
                            struct nx_error *err) {
    enum nx_status status = NX_OK;
    report->items = nx_arena_alloc(&report->arena, NX_REPLAY_DETAILS_MAX * sizeof *report->items);
    if (report->items == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < parallel->part_count; i++) {
        const struct part *part = &parallel->parts[i];
        report->total += part->report.total;
        report->lost_count += part->report.lost_count;
        for (unsigned k = 0; k < NX_REPLAY_VERDICT_COUNT; k++) {
            report->counts[k] += part->report.counts[k];
        }
        merge_groups(report, &part->report);
        for (size_t k = 0; k < part->report.item_count && report->item_count < NX_REPLAY_DETAILS_MAX; k++) {
            merge_item(report, &part->report.items[k]);
        }
        if (part->is_done && status == NX_OK) {
            status = nx_replay_run_status(part->run, err);
        }
    }
    return status;
}

static void stop_parts(struct parallel *parallel) {
    for (size_t i = 0; i < parallel->part_count; i++) {
        nx_thread_stop(parallel->parts[i].thread);
    }
}

static void free_parts(struct parallel *parallel) {
    for (size_t i = 0; i < parallel->part_count; i++) {
        struct part *part = &parallel->parts[i];
        nx_replay_run_free(part->run);
        nx_mailbox_close(part->mailbox);
        nx_replay_report_fini(&part->report);
    }
    free(parallel->parts);
}

enum nx_status nx_replay_run_parallel(const struct nx_replay_options *options,
                                      const struct nx_replay_question *question,
                                      const struct nx_check_options *check, struct nx_replay_report *report,
                                      struct nx_error *err) {
    uint64_t first = 0;
    uint64_t last = 0;
    struct parallel parallel = { .options = options, .check = check };
    const struct nx_loop_options loop_options = { .mailbox_count_max = 1,
                                                  .receive = receive,
                                                  .data = &parallel };
    nx_assert(options->thread_count <= NX_REPLAY_THREADS_MAX);
    NX_TRY(find_end(options, question, false, &first, err));
    NX_TRY(find_end(options, question, true, &last, err));
    if (first == 0 || last < first) {
        return NX_OK;
    }
    parallel.total_count = last - first + 1;
    parallel.parts = calloc(options->thread_count, sizeof *parallel.parts);
    if (parallel.parts == NULL) {
        return nx_fail_memory(err);
    }
    enum nx_status status = nx_loop_open(&loop_options, &parallel.loop, err);
    if (status == NX_OK) {
        status = start_parts(&parallel, question, first, last, err);
    }
    if (status == NX_OK) {
        parallel.timer.end = tell;
        parallel.timer.data = &parallel;
        if (options->progress != NULL) {
            nx_timer_start(parallel.loop, &parallel.timer, PROGRESS_EVERY_MS);
        }
        nx_loop_run(parallel.loop);
    }
    stop_parts(&parallel);
    if (status == NX_OK) {
        status = merge(&parallel, report, err);
    }
    if (status == NX_OK && parallel.is_cancelled) {
        status = nx_fail(err, NX_CANCELLED, "stopped");
    }
    if (parallel.loop != NULL) {
        nx_timer_stop(parallel.loop, &parallel.timer);
    }
    nx_loop_close(parallel.loop);
    free_parts(&parallel);
    return status;
}
