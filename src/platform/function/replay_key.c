/* src/platform/function/replay_key.c: a key that the tape does not answer, looked up where the policy wants
 * it.
 *
 * Of a key only the newest value is kept. So what it was at the time of the call is known where it has not
 * been changed since; else the call is not compared, and that is said, rather than answered with a guess. */
#include "platform/function/invocation.h"
#include "platform/function/replay_run_internal.h"

enum nx_replay_need nx_replay_key_ask(struct nx_replay_run *run) {
    const struct nx_str function = run->item->function;
    struct nx_read *read = nx_replay_run_new_read(run, NX_READ_LAST, NX_STR_EMPTY);
    NX_AUTO(nx_buf) stream = { 0 };
    NX_AUTO(nx_buf) subject = { 0 };
    if (read == NULL) {
        return NX_REPLAY_NEEDS_NONE;
    }
    nx_buf_init(&stream, NX_STREAM_NAME_SIZE_MAX);
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_function_keys_stream(&stream, function);
    nx_function_key_subject(&subject, function, nx_check_key(run->check));
    struct nx_error error = { 0 };
    if (nx_buf_check(&subject, &error) != NX_OK) {
        nx_read_free(read);
        nx_check_give_key(run->check, NULL, &error);
        run->state = CHECKING;
        return NX_REPLAY_NEEDS_STEP;
    }
    read->stream = nx_arena_copy(&read->arena, nx_buf_str(&stream));
    read->subject = nx_arena_copy(&read->arena, nx_buf_str(&subject));
    return nx_replay_run_ask(run, read, TAKE_KEY);
}

enum nx_replay_need nx_replay_key_take(struct nx_replay_run *run) {
    struct nx_read *read = NX_TAKE(run->read);
    const struct nx_record *record = read->record_count > 0 ? &read->records[0] : NULL;
    const int64_t call_ns = run->subjects[run->index].record->time_ns;
    struct nx_error why = { 0 };
    if (read->status != NX_OK && read->status != NX_NOT_FOUND) {
        nx_check_give_key(run->check, NULL, &read->error);
    } else if (run->options.check.policy == NX_COMPARE_READ_ONLY && record != NULL &&
               record->time_ns >= call_ns) {
        (void)nx_fail(&why, NX_NOT_FOUND, "'%.*s' was changed since, and what it was at the time is not kept",
                      NX_STR_ARG(nx_check_key(run->check)));
        nx_check_give_key(run->check, NULL, &why);
    } else {
        nx_check_give_key(run->check, record, NULL);
    }
    nx_read_free(read);
    run->state = CHECKING;
    return NX_REPLAY_NEEDS_STEP;
}
