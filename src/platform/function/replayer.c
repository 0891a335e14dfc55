#include "platform/function/replayer.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "codec/json.h"
#include "platform/function/functions.h"
#include "platform/function/outbox.h"
#include "platform/function/replay_run.h"

struct nx_replayer {
    struct nx_replayer_options options;
    struct nx_mailbox *mailbox;
    struct nx_outbox appends;
    struct nx_outbox reads;
    struct nx_outbox dispatch;
    struct nx_message_queue waiting;     /* requests, the first one is next */
    struct nx_functions_replay *request; /* under way */
    struct nx_replay_run *run;           /* of it */
    bool is_answer_due;                  /* the run waits for a read or a live call */
    bool is_audited;                     /* its audit record is on its way */
    int64_t began_ns;
    struct nx_metric *replays;
};

static void replay_release(struct nx_message *message) {
    struct nx_functions_replay *replay = (struct nx_functions_replay *)(void *)message;
    nx_replay_report_fini(&replay->report);
    free(replay);
}

enum nx_status nx_functions_replay_new(const struct nx_replay_question *question,
                                       struct nx_functions_replay **replay_out, struct nx_error *err) {
    struct nx_functions_replay *replay = calloc(1, sizeof *replay);
    if (replay == NULL) {
        return nx_fail_memory(err);
    }
    replay->message.kind = NX_FUNCTIONS_REPLAY;
    replay->message.release = replay_release;
    nx_replay_report_init(&replay->report);
    replay->question = *question;
    replay->question.id = nx_arena_copy(&replay->report.arena, question->id);
    replay->question.function = nx_arena_copy(&replay->report.arena, question->function);
    if (replay->question.id.ptr == NULL || replay->question.function.ptr == NULL) {
        replay_release(&replay->message);
        return nx_fail_memory(err);
    }
    *replay_out = replay;
    return NX_OK;
}

static void progress_release(struct nx_message *message) {
    free(message); /* the first member of its struct */
}

enum nx_status nx_functions_progress_new(struct nx_functions_progress **progress_out, struct nx_error *err) {
    struct nx_functions_progress *progress = calloc(1, sizeof *progress);
    if (progress == NULL) {
        return nx_fail_memory(err);
    }
    progress->message.kind = NX_FUNCTIONS_PROGRESS;
    progress->message.release = progress_release;
    *progress_out = progress;
    return NX_OK;
}

static void tell_progress(const struct nx_replayer *replayer, struct nx_functions_progress *progress) {
    progress->is_running = replayer->request != NULL;
    progress->waiting_count = replayer->waiting.count;
    if (replayer->run != NULL) {
        progress->progress = nx_replay_run_progress(replayer->run);
    }
    nx_message_reply(&progress->message);
}

static void count(struct nx_replayer *replayer, const struct nx_functions_replay *replay) {
    const struct nx_str mode = replay->question.mode == NX_REPLAY_LIVE ? NX_STR("live") : NX_STR("exact");
    for (unsigned i = 0; i < NX_REPLAY_VERDICT_COUNT && replayer->replays != NULL; i++) {
        const struct nx_str labels[] = { mode,
                                         nx_str_from_c(nx_replay_verdict_name((enum nx_replay_verdict)i)) };
        if (replay->report.counts[i] > 0) {
            nx_counter_add(nx_metric_counter(replayer->replays, labels), replay->report.counts[i]);
        }
    }
}

/* The next request of those that wait. */
static void begin_next(struct nx_replayer *replayer, struct nx_now now) {
    struct nx_message *message = nx_message_queue_pop(&replayer->waiting);
    if (message == NULL) {
        return;
    }
    struct nx_functions_replay *replay = (struct nx_functions_replay *)(void *)message;
    const struct nx_replay_run_options options = {
        .check = { .guests = replayer->options.guests, .clock = replayer->options.clock },
        .question = &replay->question,
        .report = &replay->report,
    };
    replay->status = nx_replay_run_new(&options, &replayer->run, &replay->error);
    if (replay->status != NX_OK) {
        nx_message_reply(message);
        return;
    }
    replayer->request = replay;
    replayer->began_ns = now.monotonic_ns;
}

static void write_audit(const struct nx_functions_replay *replay, struct nx_buf *out) {
    struct nx_json_writer writer;
    const struct nx_replay_question *question = &replay->question;
    nx_json_writer_init(&writer, out);
    nx_json_object_begin(&writer);
    nx_json_member_c(&writer, "action", "replay");
    nx_json_member_c(&writer, "mode", question->mode == NX_REPLAY_LIVE ? "live" : "exact");
    nx_json_member_str(&writer, "id", question->id);
    nx_json_member_str(&writer, "function", question->function);
    nx_json_member_i64(&writer, "since_ns", question->since_ns);
    nx_json_member_i64(&writer, "until_ns", question->until_ns);
    nx_json_member_c(&writer, "status", nx_status_name(replay->status));
    nx_json_key(&writer, NX_STR("counts"));
    nx_json_object_begin(&writer);
    for (unsigned i = 0; i < NX_REPLAY_VERDICT_COUNT; i++) {
        nx_json_member_u64(&writer, nx_replay_verdict_name((enum nx_replay_verdict)i),
                           replay->report.counts[i]);
    }
    nx_json_object_end(&writer);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
}

/* One record a command says that somebody looked. False: it cannot be made. */
static bool send_audit(struct nx_replayer *replayer) {
    struct nx_append *append = NULL;
    NX_AUTO(nx_buf) payload;
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&payload, NX_RECORD_SIZE_MAX / 2);
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    write_audit(replayer->request, &payload);
    nx_buf_append_format(&subject, "audit.%s.replay", replayer->options.node_name);
    const struct nx_append_entry entry = {
        .stream = NX_STR("AUDIT"),
        .subject = nx_buf_str(&subject),
        .headers = NX_STR("content-type: application/json\r\n"),
        .payload = nx_buf_str(&payload),
    };
    if (nx_buf_failed(&payload) || nx_buf_failed(&subject) || nx_append_new(1, 0, &append, NULL) != NX_OK ||
        nx_append_add(append, &entry, NULL) != NX_OK) {
        nx_append_free(append);
        return false;
    }
    append->message.reply_to = replayer->mailbox;
    nx_outbox_send(&replayer->appends, &append->message);
    return true;
}

static void answer(struct nx_replayer *replayer, const struct nx_append *audit) {
    struct nx_functions_replay *replay = NX_TAKE(replayer->request);
    if (audit == NULL || audit->status != NX_OK) {
        nx_log_warn(replayer->options.log, "a replay could not be audited",
                    NX_F_C("error", audit == NULL ? "out of memory" : audit->error.message));
    }
    replayer->is_audited = false;
    nx_message_reply(&replay->message);
}

static void end_run(struct nx_replayer *replayer, struct nx_now now) {
    struct nx_functions_replay *replay = replayer->request;
    replay->status = nx_replay_run_status(replayer->run, &replay->error);
    replay->report.elapsed_ns = (uint64_t)(now.monotonic_ns - replayer->began_ns);
    nx_replay_run_free(NX_TAKE(replayer->run));
    count(replayer, replay);
    replayer->is_audited = send_audit(replayer);
    if (!replayer->is_audited) {
        answer(replayer, NULL);
    }
}

static void step_run(struct nx_replayer *replayer) {
    switch (nx_replay_run_step(replayer->run)) {
    case NX_REPLAY_NEEDS_STEP:
        break;
    case NX_REPLAY_NEEDS_READ: {
        struct nx_read *read = nx_replay_run_take_read(replayer->run);
        read->message.reply_to = replayer->mailbox;
        replayer->is_answer_due = true;
        nx_outbox_send(&replayer->reads, &read->message);
        break;
    }
    case NX_REPLAY_NEEDS_LIVE: {
        struct nx_dispatch_live *live = nx_replay_run_take_live(replayer->run);
        live->message.reply_to = replayer->mailbox;
        replayer->is_answer_due = true;
        nx_outbox_send(&replayer->dispatch, &live->message);
        break;
    }
    case NX_REPLAY_NEEDS_NONE:
        end_run(replayer, nx_clock_read(&replayer->options.clock));
        break;
    }
}

static void take_message(struct nx_replayer *replayer, struct nx_message *message) {
    switch (message->kind) {
    case NX_FUNCTIONS_REPLAY:
        nx_message_queue_push(&replayer->waiting, message);
        break;
    case NX_FUNCTIONS_PROGRESS:
        tell_progress(replayer, (struct nx_functions_progress *)(void *)message);
        break;
    case NX_FABRIC_READ:
        replayer->is_answer_due = false;
        nx_replay_run_give_read(replayer->run, (struct nx_read *)(void *)message);
        break;
    case NX_DISPATCH_LIVE:
        replayer->is_answer_due = false;
        nx_replay_run_give_live(replayer->run, (struct nx_dispatch_live *)(void *)message);
        break;
    case NX_FABRIC_APPEND:
        answer(replayer, (struct nx_append *)(void *)message);
        nx_message_release(message);
        break;
    default:
        nx_assert_never("a message that the replayer does not know");
    }
}

static int64_t step(void *state, struct nx_now now, struct nx_message_queue *inbox) {
    struct nx_replayer *replayer = state;
    struct nx_message *message;
    while ((message = nx_message_queue_pop(inbox)) != NULL) {
        take_message(replayer, message);
    }
    if (replayer->request == NULL) {
        begin_next(replayer, now);
    }
    if (replayer->run != NULL && !replayer->is_answer_due) {
        step_run(replayer);
    }
    bool is_sent = nx_outbox_flush(&replayer->appends);
    is_sent = nx_outbox_flush(&replayer->reads) && is_sent;
    is_sent = nx_outbox_flush(&replayer->dispatch) && is_sent;
    const bool is_busy = replayer->run != NULL && !replayer->is_answer_due;
    const bool has_next = replayer->request == NULL && replayer->waiting.count > 0;
    return is_busy || has_next ? NX_STEP_AGAIN
           : is_sent           ? NX_STEP_IDLE
                               : now.monotonic_ns + NX_OUTBOX_RETRY_NS;
}

enum nx_status nx_replayer_open(const struct nx_replayer_options *options, struct nx_replayer **replayer_out,
                                struct nx_error *err) {
    static const struct nx_metric_options replays = {
        .name = "nexus_replay_count",
        .help = "Invocations that were replayed, by mode and verdict.",
        .kind = NX_METRIC_COUNTER,
        .labels = { "mode", "verdict" },
    };
    NX_AUTO(nx_replayer) *replayer = calloc(1, sizeof *replayer);
    if (replayer == NULL) {
        return nx_fail_memory(err);
    }
    replayer->options = *options;
    replayer->appends.to = options->appends;
    replayer->reads.to = options->reads;
    if (options->metrics != NULL) {
        NX_TRY(nx_metrics_add(options->metrics, &replays, &replayer->replays, err));
    }
    NX_TRY(nx_mailbox_open(NX_REPLAYER_REQUESTS_MAX, &replayer->mailbox, err));
    *replayer_out = NX_TAKE(replayer);
    return NX_OK;
}

void nx_replayer_close(struct nx_replayer *replayer) {
    if (replayer == NULL) {
        return;
    }
    nx_replay_run_free(replayer->run);
    if (replayer->request != NULL) {
        nx_message_release(&replayer->request->message);
    }
    nx_message_queue_release(&replayer->waiting);
    nx_message_queue_release(&replayer->appends.waiting);
    nx_message_queue_release(&replayer->reads.waiting);
    nx_message_queue_release(&replayer->dispatch.waiting);
    nx_mailbox_close(replayer->mailbox);
    free(replayer);
}

void nx_replayer_set_dispatch(struct nx_replayer *replayer, struct nx_mailbox *dispatch) {
    replayer->dispatch.to = dispatch;
}

struct nx_actor nx_replayer_actor(struct nx_replayer *replayer) {
    return (
        struct nx_actor){ .name = "replayer", .mailbox = replayer->mailbox, .state = replayer, .step = step };
}

struct nx_mailbox *nx_replayer_mailbox(struct nx_replayer *replayer) {
    return replayer->mailbox;
}
