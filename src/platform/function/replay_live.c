/* src/platform/function/replay_live.c: mode live, a step of a replay run. */
#include <stdio.h>

#include "platform/function/replay_run_internal.h"

enum nx_replay_need nx_replay_live_ask(struct nx_replay_run *run) {
    struct nx_replay_subject *subject = &run->subjects[run->index];
    struct nx_dispatch_live *live = NULL;
    nx_replay_run_choose_item(run);
    nx_check_describe(subject->record, &subject->invocation, subject->event, nx_replay_run_item_arena(run),
                      run->item);
    if (subject->event == NULL) {
        run->item->verdict = NX_REPLAY_EVENT_GONE;
        run->item->error = NX_STR("the event is gone");
        nx_replay_run_end_subject(run);
        return NX_REPLAY_NEEDS_STEP;
    }
    if (nx_record_withheld(subject->event).len > 0) {
        run->item->verdict = NX_REPLAY_ERASED;
        run->item->error =
            NX_STR("the person whom the event is about was forgotten, or their key is missing");
        nx_replay_run_end_subject(run);
        return NX_REPLAY_NEEDS_STEP;
    }
    const enum nx_status status = nx_dispatch_live_new(&live, &run->error);
    if (status != NX_OK) {
        return nx_replay_run_finish(run, status);
    }
    (void)snprintf(live->function, sizeof live->function, "%.*s", NX_STR_ARG(run->item->function));
    live->replay_of = subject->record->sequence;
    memcpy(live->replay_of_trace.trace_id, subject->invocation.trace_id, NX_TRACE_ID_SIZE);
    memcpy(live->replay_of_trace.span_id, subject->invocation.span_id, NX_SPAN_ID_SIZE);
    live->event = nx_event_copy_new(subject->event);
    if (live->event == NULL) {
        nx_message_release(&live->message);
        return nx_replay_run_finish(run, nx_fail_memory(&run->error));
    }
    run->live = live;
    run->state = TAKE_LIVE;
    return NX_REPLAY_NEEDS_LIVE;
}

enum nx_replay_need nx_replay_live_take(struct nx_replay_run *run) {
    struct nx_dispatch_live *live = NX_TAKE(run->live);
    struct nx_replay_item *item = run->item;
    item->live_invocation = live->invocation;
    item->outcome = live->outcome;
    item->verdict = NX_REPLAY_RAN;
    if (live->status != NX_OK || live->outcome != NX_OUTCOME_OK) {
        item->verdict = NX_REPLAY_FAILED;
        item->error = nx_arena_copy(nx_replay_run_item_arena(run), nx_str_from_c(live->error.message));
    }
    const uint64_t invocation = live->status == NX_OK ? live->invocation : 0;
    nx_message_release(&live->message);
    if (invocation == 0) {
        nx_replay_run_end_subject(run);
        return NX_REPLAY_NEEDS_STEP;
    }
    struct nx_read *read = nx_replay_run_new_read(run, NX_READ_BY_SEQUENCE, NX_STR("INVOCATIONS"));
    if (read == NULL) {
        return NX_REPLAY_NEEDS_NONE;
    }
    read->from_sequence = invocation;
    return nx_replay_run_ask(run, read, TAKE_LIVE_RECORD);
}

/* What the live call printed and logged is in its record. */
enum nx_replay_need nx_replay_live_take_record(struct nx_replay_run *run) {
    struct nx_read *read = NX_TAKE(run->read);
    struct nx_arena *arena = nx_replay_run_item_arena(run);
    struct nx_replay_item *item = run->item;
    struct nx_invocation invocation;
    if (read->status == NX_OK && read->record_count > 0 &&
        nx_invocation_decode(read->records[0].payload, arena, &invocation, NULL) == NX_OK) {
        struct nx_invocation_log_line *lines =
            nx_arena_alloc(arena, (invocation.log_line_count + 1) * sizeof *lines);
        for (size_t i = 0; i < invocation.log_line_count && lines != NULL; i++) {
            lines[i] = invocation.log_lines[i];
            lines[i].text = nx_arena_copy(arena, lines[i].text);
            lines[i].fields = nx_arena_copy(arena, lines[i].fields);
        }
        item->log_lines = lines;
        item->log_line_count = lines == NULL ? 0 : invocation.log_line_count;
        item->output = nx_arena_copy(arena, invocation.output.bytes);
        item->duration_ns = invocation.duration_ns;
        item->fuel = invocation.fuel;
        memcpy(item->trace_id, invocation.trace_id, NX_TRACE_ID_SIZE);
    }
    nx_read_free(read);
    nx_replay_run_end_subject(run);
    return NX_REPLAY_NEEDS_STEP;
}
