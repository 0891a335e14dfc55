#include "platform/function/replay_run_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "codec/headers.h"
#include "platform/function/invocation.h"

enum {
    BATCH_RECORDS = 512,          /* invocations at once */
    BATCH_SIZE = 4 * 1024 * 1024, /* bytes of them */
    BATCH_EVENT_READS_MAX = 1024,
    SLICES_PER_STEP = 256,                /* a few milliseconds */
    BLOB_SIZE_MAX = NX_OBJECT_SIZE_MAX,   /* a tape or a module */
    SCRATCH_SIZE_MAX = 256 * 1024 * 1024, /* bytes that one batch's decoded records may take */
};

enum nx_replay_need nx_replay_run_finish(struct nx_replay_run *run, enum nx_status status) {
    run->status = status;
    run->state = DONE;
    return NX_REPLAY_NEEDS_NONE;
}

/* Send a question: the state in which its answer is looked at comes next. */
enum nx_replay_need nx_replay_run_ask(struct nx_replay_run *run, struct nx_read *read,
                                      enum nx_replay_state then) {
    run->read = read;
    run->state = then;
    return NX_REPLAY_NEEDS_READ;
}

/* A reading of a stream at a sequence; NULL after finishing for want of memory. */
struct nx_read *nx_replay_run_new_read(struct nx_replay_run *run, enum nx_read_kind kind,
                                       struct nx_str stream) {
    struct nx_read *read = NULL;
    const enum nx_status status = nx_read_new(kind, &read, &run->error);
    if (status != NX_OK) {
        (void)nx_replay_run_finish(run, status);
        return NULL;
    }
    read->stream = nx_arena_copy(&read->arena, stream);
    return read;
}

static bool parse_reference(struct nx_str id, struct nx_str *stream_out, uint64_t *sequence_out) {
    const size_t colon = nx_str_find_byte(id, ':');
    if (colon == SIZE_MAX || !nx_str_to_u64(nx_str_slice(id, colon + 1, id.len), sequence_out)) {
        return false;
    }
    *stream_out = nx_str_slice(id, 0, colon);
    return nx_str_is(*stream_out, "EVENTS") || nx_str_is(*stream_out, "INVOCATIONS");
}

static enum nx_replay_need ask_id(struct nx_replay_run *run) {
    const struct nx_str id = run->options.question->id;
    struct nx_str stream = NX_STR_EMPTY;
    uint64_t sequence = 0;
    const bool is_reference = parse_reference(id, &stream, &sequence);
    struct nx_read *read =
        nx_replay_run_new_read(run, is_reference ? NX_READ_BY_SEQUENCE : NX_READ_BY_ID, stream);
    if (read == NULL) {
        return NX_REPLAY_NEEDS_NONE;
    }
    read->from_sequence = sequence;
    read->key = nx_arena_copy(&read->arena, id);
    return nx_replay_run_ask(run, read, TAKE_ID);
}

/* Several sources used this id: all of them are named, none is guessed. */
static enum nx_replay_need ambiguous(struct nx_replay_run *run, const struct nx_read *read) {
    NX_AUTO(nx_buf) list;
    nx_buf_init(&list, sizeof run->error.message);
    for (size_t i = 0; i < read->record_count && !nx_buf_failed(&list); i++) {
        nx_buf_append_format(&list, "%s%.*s:%" PRIu64 " from %.*s", i == 0 ? "" : ", ",
                             NX_STR_ARG(read->records[i].stream), read->records[i].sequence,
                             NX_STR_ARG(nx_headers_value(read->records[i].headers, "ce-source")));
    }
    const enum nx_status status =
        nx_fail_kind(&run->error, NX_KIND_AMBIGUOUS, "%zu events have this id: %.*s", read->record_count,
                     NX_STR_ARG(nx_buf_str(&list)));
    nx_hint(&run->error, "name one of them as EVENTS:<sequence>");
    return nx_replay_run_finish(run, status);
}

/* Events whose id this is: an id names records of EVENTS only. */
static size_t keep_events(struct nx_read *read) {
    size_t kept = 0;
    for (size_t i = 0; i < read->record_count; i++) {
        if (nx_str_is(read->records[i].stream, "EVENTS")) {
            read->records[kept++] = read->records[i];
        }
    }
    read->record_count = kept;
    return kept;
}

static bool is_wanted(const struct nx_replay_run *run, const struct nx_record *record,
                      const struct nx_invocation *invocation) {
    const struct nx_replay_question *question = run->options.question;
    const struct nx_str prefix = NX_STR("invocations.");
    const struct nx_str function = nx_str_slice(record->subject, prefix.len, record->subject.len);
    return nx_str_is(record->stream, "INVOCATIONS") && nx_str_starts_with(record->subject, prefix) &&
           (question->function.len == 0 || nx_str_equal(question->function, function)) &&
           (question->attempt == 0 || question->attempt == invocation->attempt);
}

/* Decode the records of `run->batch` into subjects. */
static enum nx_status make_subjects(struct nx_replay_run *run) {
    struct nx_read *batch = run->batch;
    nx_arena_fini(&run->arena);
    nx_arena_init(&run->arena, SCRATCH_SIZE_MAX);
    run->subject_count = run->index = run->event_index = 0;
    run->has_lost_events = run->is_one_by_one = false;
    run->subjects = nx_arena_alloc(&run->arena, (batch->record_count + 1) * sizeof *run->subjects);
    if (run->subjects == NULL) {
        return nx_fail_memory(&run->error);
    }
    for (size_t i = 0; i < batch->record_count; i++) {
        struct nx_record *record = &batch->records[i];
        struct nx_replay_subject *subject = &run->subjects[run->subject_count];
        *subject = (struct nx_replay_subject){ .record = record,
                                               .event_sequence = nx_record_event_sequence(record) };
        struct nx_error error = { 0 };
        if (nx_invocation_decode(record->payload, &run->arena, &subject->invocation, &error) != NX_OK) {
            subject->is_unreadable = true;
        }
        if (is_wanted(run, record, &subject->invocation)) {
            run->subject_count++;
        }
    }
    return NX_OK;
}

/* Of an event's invocations: the last attempt of every function, unless one is asked for; replays made live
 * are replayed only when they are named themselves. */
static void keep_last_attempts(struct nx_replay_run *run) {
    size_t kept = 0;
    for (size_t i = 0; i < run->subject_count; i++) {
        const struct nx_replay_subject *subject = &run->subjects[i];
        bool is_last = (subject->invocation.flags & NX_INVOCATION_LIVE_REPLAY) == 0;
        for (size_t k = i + 1; k < run->subject_count && is_last; k++) {
            is_last = !nx_str_equal(run->subjects[k].record->subject, subject->record->subject) ||
                      (run->subjects[k].invocation.flags & NX_INVOCATION_LIVE_REPLAY) != 0;
        }
        if (is_last) {
            run->subjects[kept++] = *subject;
        }
    }
    run->subject_count = kept;
}

/* The other code is of one function. */
static bool is_one_function(struct nx_replay_run *run) {
    for (size_t i = 1; i < run->subject_count; i++) {
        if (!nx_str_equal(run->subjects[i].record->subject, run->subjects[0].record->subject)) {
            (void)nx_fail(&run->error, NX_FAILED_PRECONDITION, "'%.*s' ran more than one function",
                          NX_STR_ARG(run->options.question->id));
            nx_hint(&run->error, "say which one the code is of: --function NAME");
            return false;
        }
    }
    return true;
}

static enum nx_replay_need take_batch(struct nx_replay_run *run) {
    struct nx_replay_report *report = run->options.report;
    nx_read_free(run->batch);
    run->batch = NX_TAKE(run->read);
    const enum nx_status status = make_subjects(run);
    if (status != NX_OK) {
        return nx_replay_run_finish(run, status);
    }
    if (!run->is_range) {
        if (run->options.question->attempt == 0 && run->batch->kind == NX_READ_BY_REFERENCE) {
            keep_last_attempts(run);
        }
        run->is_last_batch = true;
        if (run->options.question->mode == NX_REPLAY_COMPARE && !is_one_function(run)) {
            return nx_replay_run_finish(run, run->error.status);
        }
        report->items = nx_arena_alloc(&report->arena, (run->subject_count + 1) * sizeof *report->items);
        if (report->items == NULL) {
            return nx_replay_run_finish(run, nx_fail_memory(&run->error));
        }
    } else if (report->items == NULL) {
        report->items = nx_arena_alloc(&report->arena, NX_REPLAY_DETAILS_MAX * sizeof *report->items);
        if (report->items == NULL) {
            return nx_replay_run_finish(run, nx_fail_memory(&run->error));
        }
    }
    run->events_low = UINT64_MAX;
    run->events_high = 0;
    for (size_t i = 0; i < run->subject_count; i++) {
        const uint64_t sequence = run->subjects[i].event_sequence;
        run->events_low = sequence < run->events_low ? sequence : run->events_low;
        run->events_high = sequence > run->events_high ? sequence : run->events_high;
    }
    run->state = run->subject_count == 0 ? (run->is_last_batch ? DONE : ASK_BATCH) : ASK_EVENTS;
    return run->state == DONE ? NX_REPLAY_NEEDS_NONE : NX_REPLAY_NEEDS_STEP;
}

static enum nx_replay_need take_id(struct nx_replay_run *run) {
    struct nx_read *read = run->read;
    const struct nx_str id = run->options.question->id;
    if (read->status != NX_OK) {
        run->error = read->error;
        if (run->error.kind == NX_KIND_EXPIRED) {
            nx_hint(&run->error, "it is older than what its stream keeps: see streams in nexus.yaml");
        } else if (read->status == NX_NOT_FOUND && run->error.hint[0] == '\0') {
            nx_hint(&run->error, "ids look like 01JDN4ZQ8R7V5T3K2M1N0P9Q8R, EVENTS:17 or INVOCATIONS:17; "
                                 "nexus events lists what there is");
        }
        return nx_replay_run_finish(run, read->status);
    }
    if (read->kind == NX_READ_BY_SEQUENCE && nx_str_is(read->stream, "INVOCATIONS")) {
        return take_batch(run);
    }
    const size_t count = keep_events(read);
    if (count == 0) {
        return nx_replay_run_finish(
            run, nx_fail(&run->error, NX_NOT_FOUND, "there is no event '%.*s'", NX_STR_ARG(id)));
    }
    if (count > 1) {
        return ambiguous(run, read);
    }
    char reference[64];
    (void)snprintf(reference, sizeof reference, "EVENTS:%" PRIu64, read->records[0].sequence);
    nx_read_free(NX_TAKE(run->read));
    struct nx_read *references = nx_replay_run_new_read(run, NX_READ_BY_REFERENCE, NX_STR_EMPTY);
    if (references == NULL) {
        return NX_REPLAY_NEEDS_NONE;
    }
    references->key = nx_arena_copy(&references->arena, nx_str_from_c(reference));
    return nx_replay_run_ask(run, references, TAKE_REFERENCES);
}

/* "'01J…' has no recorded call", with what was asked for besides. */
static enum nx_status fail_no_call(struct nx_replay_run *run) {
    const struct nx_replay_question *question = run->options.question;
    char attempt[32] = "";

    if (question->attempt != 0) {
        (void)snprintf(attempt, sizeof attempt, ", attempt %" PRIu32, question->attempt);
    }
    const bool has_function = question->function.len > 0;
    (void)nx_fail(&run->error, NX_NOT_FOUND, "'%.*s' has no recorded call%s%.*s%s%s",
                  NX_STR_ARG(question->id), has_function ? " of '" : "", NX_STR_ARG(question->function),
                  has_function ? "'" : "", attempt);
    nx_hint(&run->error, "no function takes it, it has not run yet, or its record has expired: "
                         "nexus trace ID shows what ran on it");
    return NX_NOT_FOUND;
}

static enum nx_replay_need take_references(struct nx_replay_run *run) {
    if (run->read->status != NX_OK && run->read->status != NX_NOT_FOUND) {
        run->error = run->read->error;
        return nx_replay_run_finish(run, run->read->status);
    }
    const enum nx_replay_need need = take_batch(run);
    if (run->state == DONE && run->status == NX_OK) {
        return nx_replay_run_finish(run, fail_no_call(run));
    }
    return need;
}

/* A scan of the range from `next_sequence` on; NULL after finishing for want of memory. */
static struct nx_read *new_scan(struct nx_replay_run *run) {
    const struct nx_replay_question *question = run->options.question;
    struct nx_read *read = nx_replay_run_new_read(run, NX_READ_SCAN, NX_STR("INVOCATIONS"));
    if (read == NULL) {
        return NULL;
    }
    if (question->function.len > 0) {
        NX_AUTO(nx_buf) subject;
        nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
        nx_buf_append(&subject, NX_STR("invocations."));
        nx_buf_append(&subject, question->function);
        read->subject = nx_arena_copy(&read->arena, nx_buf_str(&subject));
    }
    read->from_sequence = run->next_sequence;
    read->to_sequence = run->options.to_sequence;
    read->from_time_ns = question->since_ns;
    read->to_time_ns = question->until_ns;
    return read;
}

static enum nx_replay_need ask_end(struct nx_replay_run *run) {
    struct nx_read *read = new_scan(run);
    if (read == NULL) {
        return NX_REPLAY_NEEDS_NONE;
    }
    read->count_max = 1;
    read->backward = true;
    return nx_replay_run_ask(run, read, TAKE_END);
}

static enum nx_replay_need take_end(struct nx_replay_run *run) {
    struct nx_read *read = NX_TAKE(run->read);
    if (read->record_count > 0) {
        run->options.to_sequence = read->records[0].sequence;
    }
    nx_read_free(read);
    run->state = ASK_BATCH; /* which finds again what was wrong with this one */
    return NX_REPLAY_NEEDS_STEP;
}

static enum nx_replay_need ask_batch(struct nx_replay_run *run) {
    struct nx_read *read = new_scan(run);
    if (read == NULL) {
        return NX_REPLAY_NEEDS_NONE;
    }
    read->count_max = BATCH_RECORDS;
    read->size_max = BATCH_SIZE;
    return nx_replay_run_ask(run, read, TAKE_BATCH);
}

static enum nx_replay_need take_range(struct nx_replay_run *run) {
    struct nx_read *read = run->read;
    if (read->status != NX_OK && read->status != NX_DATA_LOSS) {
        if (read->status == NX_NOT_FOUND) {
            return nx_replay_run_finish(run, NX_OK);
        }
        run->error = read->error;
        return nx_replay_run_finish(run, read->status);
    }
    run->options.report->lost_count += read->lost_count;
    run->is_last_batch = read->at_end;
    run->next_sequence = read->next_sequence;
    if (run->first_sequence == 0 && read->record_count > 0) {
        run->first_sequence = read->records[0].sequence;
    }
    return take_batch(run);
}

/* Events of a batch: in one sweep where they lie close together, else one by one. */
static enum nx_replay_need ask_events(struct nx_replay_run *run) {
    const bool is_dense = run->events_low > 0 && run->events_high >= run->events_low &&
                          run->events_high - run->events_low < 4 * run->subject_count + 64 &&
                          !run->is_one_by_one;
    if (is_dense) {
        struct nx_read *read = nx_replay_run_new_read(run, NX_READ_SCAN, NX_STR("EVENTS"));
        if (read == NULL) {
            return NX_REPLAY_NEEDS_NONE;
        }
        read->from_sequence = run->events_low;
        read->to_sequence = run->events_high;
        return nx_replay_run_ask(run, read, TAKE_EVENTS);
    }
    while (run->event_index < run->subject_count && (run->subjects[run->event_index].event_sequence == 0 ||
                                                     run->subjects[run->event_index].event != NULL)) {
        run->event_index++;
    }
    if (run->event_index >= run->subject_count || run->event_read_count >= BATCH_EVENT_READS_MAX) {
        run->state = ASK_BLOB;
        return NX_REPLAY_NEEDS_STEP;
    }
    struct nx_read *read = nx_replay_run_new_read(run, NX_READ_BY_SEQUENCE, NX_STR("EVENTS"));
    if (read == NULL) {
        return NX_REPLAY_NEEDS_NONE;
    }
    read->from_sequence = run->subjects[run->event_index++].event_sequence;
    return nx_replay_run_ask(run, read, TAKE_EVENTS);
}

static void match_events(struct nx_replay_run *run, const struct nx_read *read) {
    /* Both are in rising order, but for events handled out of turn: a binary search each. */
    for (size_t i = 0; i < run->subject_count; i++) {
        struct nx_replay_subject *subject = &run->subjects[i];
        size_t low = 0;
        size_t high = read->record_count;
        while (low < high) {
            const size_t middle = (low + high) / 2;
            if (read->records[middle].sequence < subject->event_sequence) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if (low < read->record_count && read->records[low].sequence == subject->event_sequence) {
            subject->event = &read->records[low];
        } else if (read->kind == NX_READ_BY_SEQUENCE && read->from_sequence == subject->event_sequence) {
            subject->is_event_destroyed = read->status == NX_DATA_LOSS;
        }
    }
}

static enum nx_replay_need take_events(struct nx_replay_run *run) {
    struct nx_read *read = NX_TAKE(run->read);
    const bool is_scan = read->kind == NX_READ_SCAN;
    match_events(run, read);
    const bool is_whole = !is_scan || read->at_end || read->status != NX_OK ||
                          read->next_sequence <= run->events_low ||
                          run->event_read_count + 1 >= BATCH_EVENT_READS_MAX;
    if (is_scan) {
        run->events_low = read->next_sequence;
        run->has_lost_events = run->has_lost_events || read->lost_count > 0;
        run->is_one_by_one = is_whole && run->has_lost_events; /* which of those that are not there expired */
    }
    run->event_reads[run->event_read_count++] = read;
    run->state = is_scan && is_whole && !run->is_one_by_one ? ASK_BLOB : ASK_EVENTS;
    return NX_REPLAY_NEEDS_STEP;
}

static void end_batch(struct nx_replay_run *run) {
    for (size_t i = 0; i < run->event_read_count; i++) {
        nx_read_free(run->event_reads[i]);
    }
    run->event_read_count = 0;
    run->state = run->is_last_batch ? DONE : ASK_BATCH;
}

/* The next read of the object under way: `take` looks at the answer; when all of it is there, `then` comes.
 */
static enum nx_replay_need ask_object(struct nx_replay_run *run, enum nx_replay_state take,
                                      enum nx_replay_state then) {
    struct nx_read *read = NULL;
    const enum nx_status status = nx_object_get_next(&run->get, &read, &run->error);
    if (status != NX_OK) {
        return nx_replay_run_finish(run, status);
    }
    if (read != NULL) {
        return nx_replay_run_ask(run, read, take);
    }
    run->state = then;
    return NX_REPLAY_NEEDS_STEP;
}

static enum nx_status take_object(struct nx_replay_run *run) {
    struct nx_read *read = NX_TAKE(run->read);
    const enum nx_status status = nx_object_get_take(&run->get, read, &run->blob_error);
    nx_read_free(read);
    return status;
}

/* The subject at hand: its tape, if that lies elsewhere, then its check. */
static enum nx_replay_need ask_blob(struct nx_replay_run *run) {
    if (run->index >= run->subject_count) {
        end_batch(run);
        return run->state == DONE ? NX_REPLAY_NEEDS_NONE : NX_REPLAY_NEEDS_STEP;
    }
    const struct nx_replay_subject *subject = &run->subjects[run->index];
    const bool is_live = run->options.question->mode == NX_REPLAY_LIVE;
    if (is_live || subject->is_unreadable || (subject->invocation.flags & NX_INVOCATION_TAPE_STORED) == 0) {
        run->state = is_live ? ASK_LIVE : BEGIN_CHECK;
        return NX_REPLAY_NEEDS_STEP;
    }
    nx_object_get_init(&run->get, NX_CALL_OBJECTS_BUCKET, &subject->invocation.tape.digest, &run->blob);
    run->get.otherwise = NX_OBJECTS_BUCKET;
    return ask_object(run, TAKE_BLOB, BEGIN_CHECK);
}

static enum nx_replay_need take_blob(struct nx_replay_run *run) {
    struct nx_replay_subject *subject = &run->subjects[run->index];
    const enum nx_status status = take_object(run);
    if (status != NX_OK) {
        run->state = BEGIN_CHECK; /* without a tape: the check says so */
        subject->is_tape_gone = true;
        return NX_REPLAY_NEEDS_STEP;
    }
    const enum nx_replay_need need = ask_object(run, TAKE_BLOB, BEGIN_CHECK);
    subject->invocation.tape.bytes = nx_buf_str(&run->blob);
    return need;
}

/* Where the verdict on the subject at hand is put: in the report while it describes, else aside. */
void nx_replay_run_choose_item(struct nx_replay_run *run) {
    struct nx_replay_report *report = run->options.report;
    const bool is_kept = !run->is_range || report->item_count < NX_REPLAY_DETAILS_MAX;
    run->item = is_kept ? &report->items[report->item_count] : &run->scratch;
}

/* Comparing: each way in which the call differs is counted, and the first of each kept. */
static void note_shapes(struct nx_replay_report *report, const struct nx_replay_item *item) {
    for (unsigned i = 0; item->shapes != NULL && i < NX_REPLAY_SHAPE_COUNT; i++) {
        const struct nx_replay_difference *difference = &item->shapes[i];
        struct nx_replay_group *group = &report->groups[i];
        if (difference->what.len > 0 && group->count++ == 0) {
            group->invocation = item->invocation;
            group->event_sequence = item->event_sequence;
            group->example = (struct nx_replay_difference){
                .what = nx_arena_copy(&report->arena, difference->what),
                .offset = difference->offset,
                .recorded = nx_arena_copy(&report->arena, difference->recorded),
                .replayed = nx_arena_copy(&report->arena, difference->replayed),
            };
        }
    }
}

/* Went as it should: in a range it is only counted. So are calls about people who were forgotten, of whom
 * there may be many. */
static bool is_good(const struct nx_replay_item *item) {
    return item->verdict == NX_REPLAY_IDENTICAL || item->verdict == NX_REPLAY_RAN ||
           item->verdict == NX_REPLAY_ERASED;
}

/* An item of a range that is kept after all: its strings leave the batch's arena. */
static void keep_strings(struct nx_replay_run *run) {
    struct nx_arena *arena = &run->options.report->arena;
    struct nx_replay_item *item = run->item;
    struct nx_str *const strings[] = { &item->event_id,
                                       &item->function,
                                       &item->output,
                                       &item->error,
                                       &item->difference.what,
                                       &item->difference.recorded,
                                       &item->difference.replayed };
    if (!run->is_range || item == &run->scratch || is_good(item)) {
        return;
    }
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) {
        *strings[i] = nx_arena_copy(arena, *strings[i]);
    }
    item->log_lines = NULL;
    item->log_line_count = 0;
}

void nx_replay_run_end_subject(struct nx_replay_run *run) {
    struct nx_replay_report *report = run->options.report;
    note_shapes(report, run->item);
    keep_strings(run);
    report->counts[run->item->verdict]++;
    report->total++;
    if (run->item != &run->scratch && (!run->is_range || !is_good(run->item))) {
        report->item_count++;
    }
    run->index++;
    run->state = ASK_BLOB;
}

/* The arena that the item's strings go to: the report's when it is kept. */
struct nx_arena *nx_replay_run_item_arena(struct nx_replay_run *run) {
    return run->is_range ? &run->arena : &run->options.report->arena;
}

static struct nx_check_subject check_subject(const struct nx_replay_subject *subject) {
    return (struct nx_check_subject){ .record = subject->record,
                                      .invocation = &subject->invocation,
                                      .event = subject->event,
                                      .is_event_destroyed = subject->is_event_destroyed };
}

/* The verdict on the subject at hand is there without a run. */
static enum nx_replay_need end_early(struct nx_replay_run *run) {
    nx_replay_run_end_subject(run);
    return NX_REPLAY_NEEDS_STEP;
}

static enum nx_replay_need begin_check(struct nx_replay_run *run) {
    struct nx_replay_subject *subject = &run->subjects[run->index];
    const struct nx_check_subject what = check_subject(subject);
    nx_replay_run_choose_item(run);
    if (subject->is_unreadable || subject->is_tape_gone) {
        nx_check_describe(subject->record, &subject->invocation, subject->event,
                          nx_replay_run_item_arena(run), run->item);
        run->item->verdict = NX_REPLAY_FAILED;
        run->item->error = subject->is_unreadable ? NX_STR("the invocation record is damaged")
                                                  : NX_STR("the stored tape is damaged or gone");
        return end_early(run);
    }
    if (nx_check_wants_module(run->check, &what)) {
        run->state = ASK_MODULE;
        return NX_REPLAY_NEEDS_STEP;
    }
    if (nx_check_begin(run->check, &what, nx_replay_run_item_arena(run), run->item)) {
        run->state = CHECKING;
        return NX_REPLAY_NEEDS_STEP;
    }
    return end_early(run);
}

static enum nx_replay_need ask_module(struct nx_replay_run *run) {
    nx_object_get_init(&run->get, NX_OBJECTS_BUCKET, &run->subjects[run->index].invocation.module_digest,
                       &run->wasm);
    return ask_object(run, TAKE_MODULE, TAKE_MODULE);
}

static enum nx_replay_need take_module(struct nx_replay_run *run) {
    const struct nx_check_subject what = check_subject(&run->subjects[run->index]);
    enum nx_status status = take_object(run);
    if (status == NX_OK) {
        const enum nx_replay_need need = ask_object(run, TAKE_MODULE, BEGIN_CHECK);
        if (run->state != BEGIN_CHECK) {
            return need;
        }
        status = nx_check_add_module(run->check, &what.invocation->module_digest, nx_buf_str(&run->wasm),
                                     &run->blob_error);
    }
    nx_buf_fini(&run->wasm); /* it is loaded: its bytes are not needed any more */
    nx_buf_init(&run->wasm, NX_MODULE_SIZE_MAX);
    if (status == NX_OK) {
        return NX_REPLAY_NEEDS_STEP;
    }
    (void)nx_wrap(&run->blob_error, status, "the module of the invocation");
    nx_check_miss_module(run->check, &what, nx_replay_run_item_arena(run), run->item, &run->blob_error);
    return end_early(run);
}

/* The function's registration names the module that it runs now. */
static enum nx_replay_need ask_current(struct nx_replay_run *run) {
    struct nx_read *read = nx_replay_run_new_read(run, NX_READ_LAST, NX_STR("FUNCTIONS"));
    NX_AUTO(nx_buf) subject;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    if (read == NULL) {
        return NX_REPLAY_NEEDS_NONE;
    }
    nx_buf_append(&subject, NX_STR("functions."));
    nx_buf_append(&subject, run->item->function);
    read->subject = nx_arena_copy(&read->arena, nx_buf_str(&subject));
    return nx_replay_run_ask(run, read, TAKE_CURRENT);
}

static enum nx_replay_need take_current(struct nx_replay_run *run) {
    struct nx_read *read = NX_TAKE(run->read);
    struct nx_digest current;
    if (read->status == NX_OK && read->record_count > 0 &&
        nx_digest_parse(nx_headers_value(read->records[0].headers, "Nexus-Module"), &current)) {
        run->item->module_is_current =
            nx_digest_equal(&current, &run->subjects[run->index].invocation.module_digest);
    }
    nx_read_free(read);
    nx_replay_run_end_subject(run);
    return NX_REPLAY_NEEDS_STEP;
}

static enum nx_replay_need step_check(struct nx_replay_run *run) {
    const enum nx_check_state state = nx_check_step(run->check, !run->is_range);
    if (state == NX_CHECK_WANTS_KEY) {
        return nx_replay_key_ask(run);
    }
    if (state == NX_CHECK_DONE && !run->is_range) {
        run->state = ASK_CURRENT;
    } else if (state == NX_CHECK_DONE) {
        nx_replay_run_end_subject(run);
    }
    return NX_REPLAY_NEEDS_STEP;
}

static enum nx_replay_need step_once(struct nx_replay_run *run) {
    switch (run->state) {
    case ASK_ID:
        return ask_id(run);
    case TAKE_ID:
        return take_id(run);
    case TAKE_REFERENCES:
        return take_references(run);
    case ASK_END:
        return ask_end(run);
    case TAKE_END:
        return take_end(run);
    case ASK_BATCH:
        return ask_batch(run);
    case TAKE_BATCH:
        return take_range(run);
    case ASK_EVENTS:
        return ask_events(run);
    case TAKE_EVENTS:
        return take_events(run);
    case ASK_BLOB:
        return ask_blob(run);
    case TAKE_BLOB:
        return take_blob(run);
    case BEGIN_CHECK:
        return begin_check(run);
    case ASK_MODULE:
        return ask_module(run);
    case TAKE_MODULE:
        return take_module(run);
    case CHECKING:
        return step_check(run);
    case TAKE_KEY:
        return nx_replay_key_take(run);
    case ASK_CURRENT:
        return ask_current(run);
    case TAKE_CURRENT:
        return take_current(run);
    case ASK_LIVE:
        return nx_replay_live_ask(run);
    case TAKE_LIVE:
        return nx_replay_live_take(run);
    case TAKE_LIVE_RECORD:
        return nx_replay_live_take_record(run);
    case DONE:
        break;
    }
    return NX_REPLAY_NEEDS_NONE;
}

enum nx_replay_need nx_replay_run_step(struct nx_replay_run *run) {
    enum nx_replay_need need = NX_REPLAY_NEEDS_STEP;
    for (unsigned i = 0; i < SLICES_PER_STEP && need == NX_REPLAY_NEEDS_STEP; i++) {
        need = step_once(run);
    }
    return need;
}

uint64_t nx_replay_run_position(const struct nx_replay_run *run) {
    return run->index < run->subject_count ? run->subjects[run->index].record->sequence : run->next_sequence;
}

struct nx_replay_progress nx_replay_run_progress(const struct nx_replay_run *run) {
    const uint64_t first = run->first_sequence;
    const uint64_t last = run->options.to_sequence;
    const uint64_t position = nx_replay_run_position(run);
    if (!run->is_range || first == 0 || last < first) {
        return (struct nx_replay_progress){ 0 };
    }
    return (struct nx_replay_progress){
        .done_count = position > last    ? last + 1 - first
                      : position > first ? position - first
                                         : 0,
        .total_count = last + 1 - first,
    };
}

struct nx_read *nx_replay_run_take_read(struct nx_replay_run *run) {
    return NX_TAKE(run->read);
}

void nx_replay_run_give_read(struct nx_replay_run *run, struct nx_read *read) {
    run->read = read;
}

struct nx_dispatch_live *nx_replay_run_take_live(struct nx_replay_run *run) {
    return NX_TAKE(run->live);
}

void nx_replay_run_give_live(struct nx_replay_run *run, struct nx_dispatch_live *live) {
    run->live = live;
}

enum nx_status nx_replay_run_status(const struct nx_replay_run *run, struct nx_error *err) {
    if (run->status != NX_OK && err != NULL) {
        *err = run->error;
    }
    return run->status;
}

enum nx_status nx_replay_run_new(const struct nx_replay_run_options *options, struct nx_replay_run **run_out,
                                 struct nx_error *err) {
    struct nx_replay_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return nx_fail_memory(err);
    }
    run->options = *options;
    run->is_range = options->question->id.len == 0;
    run->state = !run->is_range ? ASK_ID : options->to_sequence == 0 ? ASK_END : ASK_BATCH;
    run->next_sequence = options->from_sequence == 0 ? 1 : options->from_sequence;
    nx_arena_init(&run->arena, SCRATCH_SIZE_MAX);
    nx_buf_init(&run->blob, BLOB_SIZE_MAX);
    nx_buf_init(&run->wasm, NX_MODULE_SIZE_MAX);
    run->event_reads = calloc(BATCH_EVENT_READS_MAX, sizeof *run->event_reads);
    if (run->event_reads == NULL || nx_check_new(&options->check, &run->check, NULL) != NX_OK) {
        nx_replay_run_free(run);
        return nx_fail_memory(err);
    }
    *run_out = run;
    return NX_OK;
}

void nx_replay_run_free(struct nx_replay_run *run) {
    if (run == NULL) {
        return;
    }
    nx_assert(run->event_reads != NULL || run->event_read_count == 0);
    for (size_t i = 0; i < run->event_read_count; i++) {
        nx_read_free(run->event_reads[i]);
    }
    nx_read_free(run->read);
    nx_read_free(run->batch);
    if (run->live != NULL) {
        nx_message_release(&run->live->message);
    }
    nx_check_free(run->check);
    nx_arena_fini(&run->arena);
    nx_buf_fini(&run->blob);
    nx_buf_fini(&run->wasm);
    free(run->event_reads);
    free(run);
}
