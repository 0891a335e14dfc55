/* src/app/command_replay.c: nexus replay: a recorded call again, and whether it came out the same.
 *
 * With the server up it is asked (POST /replay/…); with the server down the data directory is read and
 * nothing is written. Exit status 0 when all that was asked came out identical, 1 otherwise. */
#include "app/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/calls.h"
#include "app/code.h"
#include "app/function_name.h"
#include "app/lines.h"
#include "app/replay_answer.h"
#include "app/replay_here.h"
#include "app/source.h"
#include "app/terminal.h"
#include "app/times.h"
#include "codec/json.h"
#include "codec/percent.h"
#include "codec/time_format.h"
#include "io/clock.h"
#include "platform/function/replay.h"
#include "sandbox/instance/call.h"
#include "server/http/replay_json.h"

enum { PATH_SIZE_MAX = 4096, OUTPUT_SHOWN_MAX = 4096, TARGET_SIZE_MAX = 64 * 1024 };

static const struct nx_flag flags[] = {
    { .name = "function", .value = "NAME", .help = "only the calls of this function" },
    { .name = "attempt", .value = "NUMBER", .help = "this attempt instead of the last" },
    { .name = "since", .value = "TIME", .help = "every call from then on: 2025-11-26T10:23:45Z, or 1h ago" },
    { .name = "until", .value = "TIME", .help = "and before then; now unless said" },
    { .name = "verify", .help = "only compare: status 0 if all were identical, 1 if not or none was" },
    { .name = "on", .value = "MODULE", .help = "compare with this code: a .wasm file, or a module's digest" },
    { .name = "policy",
      .value = "POLICY",
      .help = "--on, --set: what the record does not answer: stub (default), fail, read-only, live" },
    { .name = "against",
      .value = "MODULE",
      .help = "--on: compare with this code instead of with the record" },
    { .name = "set",
      .value = "CHANGE",
      .help = "what if: 'call[2].result=VALUE', other answers than recorded; repeatable",
      .repeats = true },
    { .name = "list-calls",
      .help = "show what the call asked, by the numbers for --set, and run nothing else" },
    { .name = "live", .help = "run it again for real, with the current code and new effects" },
    { .name = "dlq", .value = "FUNCTION", .help = "put the dead letters of the function back" },
    { .name = "output", .value = "FORMAT", .help = "text (default) or json" },
    NX_SOURCE_FLAGS,
};

struct request {
    struct nx_replay_question question;
    bool verify;
    bool json;
    const char *dlq;
    const char *on;      /* the other code; NULL: the recorded one */
    const char *against; /* what that is compared with; NULL: the record */
    bool lists_calls;
    struct nx_tape_change changes[NX_REPEATS_MAX];
};

static enum nx_status read_policy(struct nx_args *args, struct nx_replay_question *question,
                                  struct nx_error *err) {
    static const char *const names[] = { [NX_COMPARE_STUB] = "stub",
                                         [NX_COMPARE_FAIL] = "fail",
                                         [NX_COMPARE_READ_ONLY] = "read-only",
                                         [NX_COMPARE_LIVE] = "live" };
    const char *policy = nx_args_value(args, "policy");

    for (unsigned i = 0; policy != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(policy, names[i]) == 0) {
            question->policy = (enum nx_compare_policy)i;
            return NX_OK;
        }
    }
    return policy == NULL
               ? NX_OK
               : nx_args_fail(args, err, "--policy is stub, fail, read-only or live, not '%s'", policy);
}

static enum nx_status read_compare(struct nx_args *args, struct request *request, struct nx_error *err) {
    struct nx_replay_question *question = &request->question;

    request->on = nx_args_value(args, "on");
    request->against = nx_args_value(args, "against");
    request->lists_calls = nx_args_has(args, "list-calls");
    NX_TRY(read_policy(args, question, err));
    for (size_t i = 0; i < args->repeated_count; i++) {
        NX_TRY(nx_calls_parse_change(args, args->repeated[i], &request->changes[i], err));
    }
    question->changes = request->changes;
    question->change_count = args->repeated_count;
    const bool compares = request->on != NULL || question->change_count > 0;
    if (request->against != NULL && request->on == NULL) {
        return nx_args_fail(args, err, "--against says what --on MODULE is compared with: give both");
    }
    if (nx_args_has(args, "policy") && !compares) {
        return nx_args_fail(args, err, "--policy says how to compare: with --on or --set");
    }
    if ((compares || request->lists_calls) && (nx_args_has(args, "live") || request->dlq != NULL)) {
        return nx_args_fail(args, err, "--%s has no effects: it goes without --live and --dlq",
                            request->on != NULL ? "on"
                            : compares          ? "set"
                                                : "list-calls");
    }
    if ((question->change_count > 0 || request->lists_calls) && question->id.len == 0) {
        return nx_args_fail(args, err, "--%s is about one call: which? an event's id, or INVOCATIONS:17",
                            request->lists_calls ? "list-calls" : "set");
    }
    if (request->lists_calls && compares) {
        return nx_args_fail(args, err, "--list-calls runs nothing else: it goes without --on and --set");
    }
    question->mode = compares ? NX_REPLAY_COMPARE : question->mode;
    return NX_OK;
}

static enum nx_status read_question(struct nx_args *args, struct request *request, struct nx_error *err) {
    struct nx_replay_question *question = &request->question;
    const struct nx_clock clock = nx_clock_system();
    const int64_t now_ns = nx_clock_read(&clock).wall_ns;
    const char *attempt = nx_args_value(args, "attempt");
    uint64_t number = 0;

    question->id = args->word_count > 0 ? nx_str_from_c(args->words[0]) : NX_STR_EMPTY;
    question->function = nx_str_from_c(nx_args_value(args, "function"));
    question->mode = nx_args_has(args, "live") ? NX_REPLAY_LIVE : NX_REPLAY_EXACT;
    request->verify = nx_args_has(args, "verify");
    request->dlq = nx_args_value(args, "dlq");
    NX_TRY(nx_args_output_is_json(args, &request->json, err));
    NX_TRY(read_compare(args, request, err));
    NX_TRY(nx_time_range(args, now_ns, &question->since_ns, &question->until_ns, err));
    if (attempt != NULL &&
        (!nx_str_to_u64(nx_str_from_c(attempt), &number) || number == 0 || number > UINT32_MAX)) {
        return nx_args_fail(args, err, "--attempt is a number from 1 on, not '%s'", attempt);
    }
    question->attempt = (uint32_t)number;
    const bool has_range = nx_args_has(args, "since") || nx_args_has(args, "until");
    if (request->dlq != NULL && (question->id.len > 0 || has_range || request->verify || attempt != NULL ||
                                 question->function.len > 0 || question->mode == NX_REPLAY_LIVE)) {
        return nx_args_fail(args, err, "--dlq puts all dead letters of a function back: it goes alone");
    }
    if (request->dlq == NULL && question->id.len == 0 && !has_range && question->function.len == 0) {
        return nx_args_fail(args, err, "what is to be replayed? an event's id, an invocation's, or --since");
    }
    if (question->id.len == 0 && question->since_ns == 0) {
        question->since_ns = 1; /* from the oldest there is */
    }
    if (question->id.len > 0 && has_range) {
        return nx_args_fail(args, err, "an id and a range of time exclude each other");
    }
    if (question->mode == NX_REPLAY_LIVE && request->verify) {
        return nx_args_fail(args, err, "--verify compares with the record, --live does it anew: choose one");
    }
    return NX_OK;
}

/* What is said of the result. */

static void append_item(struct nx_buf *out, const struct nx_replay_item *item, bool is_compared) {
    const struct nx_lines_options lines = { .is_replay = true };
    char event[32]; /* as in nexus logs */
    const int event_len = snprintf(event, sizeof event, "EVENTS:%" PRIu64, item->event_sequence);
    const struct nx_lines_of of = { .function = item->function,
                                    .event = nx_str_of(event, event_len < 0 ? 0 : (size_t)event_len),
                                    .trace_id = item->trace_id };

    for (size_t i = 0; i < item->log_line_count; i++) {
        nx_lines_write(out, &lines, &of, &item->log_lines[i]);
    }
    struct nx_str output = item->output;
    while (output.len > 0 && output.ptr[output.len - 1] == '\n') {
        output.len--;
    }
    if (output.len > 0) {
        nx_buf_append_format(out, "[REPLAY] %.*s printed ", NX_STR_ARG(item->function));
        nx_calls_append_shown(out, output, OUTPUT_SHOWN_MAX);
        nx_buf_append_c(out, "\n");
    }
    if (item->outcome != NX_OUTCOME_OK) {
        nx_buf_append_format(out, "[REPLAY] %.*s ended as %s%s%.*s, attempt %" PRIu32 "\n",
                             NX_STR_ARG(item->function), nx_outcome_name(item->outcome),
                             item->error.len > 0 ? ": " : "", NX_STR_ARG(item->error), item->attempt);
    }
    if (item->live_invocation != 0) {
        nx_buf_append_format(out, "[REPLAY] %.*s ran again: INVOCATIONS:%" PRIu64 "\n",
                             NX_STR_ARG(item->function), item->live_invocation);
    }
    if (!item->module_is_current && !is_compared) {
        nx_buf_append_format(
            out,
            "[REPLAY] %.*s has newer code than this call ran; with it, effects and all: nexus "
            "replay --live\n",
            NX_STR_ARG(item->function));
    }
}

/* The last part of a path: what a module is called beside another one. */
static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* "output, byte 12: recorded "a", replayed "b"" */
static void append_difference(struct nx_buf *out, const struct request *request,
                              const struct nx_replay_difference *difference) {
    const bool has_two = request->against != NULL;
    nx_buf_append(out, difference->what);
    if (difference->offset > 0) {
        nx_buf_append_format(out, ", byte %" PRIu64, difference->offset);
    }
    if (difference->recorded.len > 0 || difference->replayed.len > 0) {
        nx_buf_append_format(out, ": %s \"", has_two ? name_of(request->against) : "recorded");
        nx_calls_append_shown(out, difference->recorded, OUTPUT_SHOWN_MAX);
        nx_buf_append_format(out, "\", %s \"", has_two ? name_of(request->on) : "replayed");
        nx_calls_append_shown(out, difference->replayed, OUTPUT_SHOWN_MAX);
        nx_buf_append_c(out, "\"");
    }
}

/* Comparing: each way in which calls differ, with the first of them. */
static void append_shapes(struct nx_buf *out, const struct request *request,
                          const struct nx_replay_report *report) {
    for (unsigned i = 0; i < NX_REPLAY_SHAPE_COUNT; i++) {
        const struct nx_replay_group *group = &report->groups[i];
        if (group->count > 0) {
            nx_buf_append_format(
                out, "  %-10s %" PRIu64 " call%s, first INVOCATIONS:%" PRIu64 " of EVENTS:%" PRIu64 ": ",
                nx_replay_shape_name((enum nx_replay_shape)i), group->count,
                group->count == 1 ? " differs" : "s differ", group->invocation, group->event_sequence);
            append_difference(out, request, &group->example);
            nx_buf_append_c(out, "\n");
        }
    }
}

/* By its id, which nobody knows any more when it is gone. */
static void append_event(struct nx_buf *out, const struct nx_replay_item *item) {
    if (item->event_id.len > 0) {
        nx_buf_append(out, item->event_id);
    } else {
        nx_buf_append_format(out, "EVENTS:%" PRIu64, item->event_sequence);
    }
}

static void append_trouble(struct nx_buf *out, const struct request *request,
                           const struct nx_replay_item *item) {
    const bool is_gone = item->verdict == NX_REPLAY_EVENT_GONE || item->verdict == NX_REPLAY_MODULE_GONE;
    nx_buf_append_format(out, "%s %.*s INVOCATIONS:%" PRIu64 " (event ", is_gone ? "GONE" : "FAIL",
                         NX_STR_ARG(item->function), item->invocation);
    append_event(out, item);
    nx_buf_append_format(out, ", attempt %" PRIu32 "): %s", item->attempt,
                         nx_replay_verdict_name(item->verdict));
    if (item->verdict == NX_REPLAY_DIFFERENT) {
        nx_buf_append_c(out, ": ");
        append_difference(out, request, &item->difference);
    } else if (item->error.len > 0) {
        nx_buf_append_format(out, ": %.*s", NX_STR_ARG(item->error));
    }
    nx_buf_append_c(out, "\n");
}

static void append_counts(struct nx_buf *out, const struct nx_replay_report *report) {
    static const enum nx_replay_verdict order[] = { NX_REPLAY_IDENTICAL,  NX_REPLAY_DIFFERENT,
                                                    NX_REPLAY_FAILED,     NX_REPLAY_UNREPLAYABLE,
                                                    NX_REPLAY_EVENT_GONE, NX_REPLAY_MODULE_GONE,
                                                    NX_REPLAY_ERASED,     NX_REPLAY_RAN };
    bool first = true;

    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (report->counts[order[i]] > 0) {
            nx_buf_append_format(out, "%s%" PRIu64 " %s", first ? "" : ", ", report->counts[order[i]],
                                 nx_replay_verdict_name(order[i]));
            first = false;
        }
    }
    if (report->lost_count > 0) {
        nx_buf_append_format(out, "; %" PRIu64 " records of this range are destroyed", report->lost_count);
    }
}

/* Of those that ran anew. */
static size_t count_failed(const struct nx_replay_report *report) {
    size_t count = 0;

    for (size_t i = 0; i < report->item_count; i++) {
        count += report->items[i].verdict != NX_REPLAY_RAN ? 1 : 0;
    }
    return count;
}

static void append_compared(struct nx_buf *out, const struct request *request,
                            const struct nx_replay_report *report, bool proof) {
    const double ms = (double)report->elapsed_ns / NX_NS_PER_MS;
    const bool is_answered = proof || (request->on == NULL && report->counts[NX_REPLAY_DIFFERENT] > 0);

    nx_buf_append_format(out, "%s %" PRIu64 " call%s ", is_answered ? "OK" : "FAIL", report->total,
                         report->total == 1 ? "" : "s");
    if (request->against != NULL) {
        nx_buf_append_format(out, "by %s compared with %s in %.1fms: ", request->on, request->against, ms);
    } else if (request->on != NULL) {
        nx_buf_append_format(out, "compared with %s in %.1fms: ", request->on, ms);
    } else {
        nx_buf_append_format(out, "with other answers compared with its record in %.1fms: ", ms);
    }
    append_counts(out, report);
    nx_buf_append_c(out, "\n");
}

static void append_end(struct nx_buf *out, const struct request *request,
                       const struct nx_replay_report *report) {
    const double ms = (double)report->elapsed_ns / NX_NS_PER_MS;
    const bool proof = nx_replay_report_is_proof(report);

    if (request->question.mode == NX_REPLAY_LIVE && count_failed(report) > 0) {
        nx_buf_append_format(out,
                             "FAIL Replay completed in %.1fms: %zu of %" PRIu64 " failed, without effects\n",
                             ms, count_failed(report), report->total);
    } else if (request->question.mode == NX_REPLAY_LIVE) {
        nx_buf_append_format(out, "OK Replay completed in %.1fms: run anew, with its effects\n", ms);
    } else if (report->total == 0) {
        nx_buf_append_c(out, "Nothing to compare: no call was recorded there\n");
    } else if (request->question.mode == NX_REPLAY_COMPARE) {
        append_compared(out, request, report, proof);
    } else if (request->question.id.len > 0 && proof) {
        nx_buf_append_format(out, "OK Replay completed in %.1fms: identical output%s\n", ms,
                             report->total > 1 ? " in every call" : "");
    } else {
        nx_buf_append_format(out, "%s %" PRIu64 " call%s replayed in %.1fms: ", proof ? "OK" : "FAIL",
                             report->total, report->total == 1 ? "" : "s", ms);
        append_counts(out, report);
        nx_buf_append_c(out, "\n");
    }
}

/* Told one by one; what differs under other code is told by its shape. */
static bool is_trouble(const struct request *request, enum nx_replay_verdict verdict) {
    if (request->question.mode == NX_REPLAY_LIVE) { /* it was not run at all; how it ended was told */
        return verdict == NX_REPLAY_ERASED || verdict == NX_REPLAY_EVENT_GONE;
    }
    return verdict != NX_REPLAY_IDENTICAL &&
           (verdict != NX_REPLAY_DIFFERENT || request->question.mode != NX_REPLAY_COMPARE);
}

/* Calls about people who were forgotten are only counted in a range. */
static uint64_t count_troubles(const struct request *request, const struct nx_replay_report *report) {
    uint64_t count = 0;

    for (enum nx_replay_verdict verdict = 0; verdict < NX_REPLAY_VERDICT_COUNT; verdict++) {
        const bool is_told = is_trouble(request, verdict) && verdict != NX_REPLAY_ERASED;
        count += is_told ? report->counts[verdict] : 0;
    }
    return count;
}

static enum nx_status show(const struct request *request, const struct nx_replay_report *report,
                           struct nx_str effects, struct nx_error *err) {
    NX_AUTO(nx_buf) out = { 0 };
    const uint64_t troubles = count_troubles(request, report);
    uint64_t told = 0;

    nx_buf_init(&out, NX_REPLAY_REPORT_SIZE_MAX);
    if (request->question.id.len > 0 && report->item_count > 0) {
        char time[NX_TIME_TEXT_SIZE + 1];
        const struct nx_replay_item *item = &report->items[0];
        (void)nx_time_format(item->original_time_ns, NX_TIME_SECONDS, time);
        nx_buf_append_c(&out, "OK Replaying event ");
        append_event(&out, item);
        nx_buf_append_format(&out, " of %s\n", time);
    }
    for (size_t i = 0; i < report->item_count; i++) {
        if (request->question.id.len > 0 && !request->verify) {
            append_item(&out, &report->items[i], request->question.mode == NX_REPLAY_COMPARE);
        }
        if (is_trouble(request, report->items[i].verdict)) {
            append_trouble(&out, request, &report->items[i]);
            told++;
        }
    }
    if (request->question.id.len == 0 && troubles > told) {
        nx_buf_append_format(&out, "… and %" PRIu64 " more\n", troubles - told);
    }
    if (!request->verify) {
        nx_buf_append(&out, effects);
    }
    append_shapes(&out, request, report);
    append_end(&out, request, report);
    NX_TRY(nx_buf_check(&out, err));
    (void)fwrite(out.ptr, 1, out.len, stdout);
    return NX_OK;
}

static enum nx_status show_json(const struct nx_replay_report *report, struct nx_error *err) {
    NX_AUTO(nx_buf) out = { 0 };
    struct nx_json_writer json;

    nx_buf_init(&out, NX_REPLAY_REPORT_SIZE_MAX);
    nx_json_writer_init(&json, &out);
    nx_http_write_replay(&json, report);
    nx_json_writer_end(&json);
    nx_buf_append_c(&out, "\n");
    NX_TRY(nx_buf_check(&out, err));
    (void)fwrite(out.ptr, 1, out.len, stdout);
    return NX_OK;
}

/* Without a server. */
static enum nx_status replay_here(struct nx_source *source, const struct request *request,
                                  struct nx_buf *effects, struct nx_replay_report *report,
                                  struct nx_error *err) {
    NX_AUTO(nx_replay_here) here = { 0 };
    const struct nx_replay_observer observer = nx_calls_effects_observer(effects);

    if (request->question.mode == NX_REPLAY_LIVE) {
        (void)nx_fail(err, NX_FAILED_PRECONDITION, "--live needs the server: it writes a record");
        nx_hint(err, "start it by: nexus dev");
        return NX_FAILED_PRECONDITION;
    }
    NX_TRY(nx_replay_here_open(source->fabric, source->directory, &here, err));
    const bool tells = request->question.mode == NX_REPLAY_COMPARE && request->question.id.len > 0;
    return nx_replay_here_run(&here, &request->question, tells ? &observer : NULL, report, err);
}

/* The questions of a recorded call, and what they were answered. */
static enum nx_status list_calls(struct nx_source *source, const struct request *request,
                                 struct nx_error *err) {
    NX_AUTO(nx_replay_here) here = { 0 };
    NX_AUTO(nx_calls_list) list = { 0 };
    struct nx_replay_report report;

    NX_TRY(nx_replay_here_open(source->fabric, source->directory, &here, err));
    nx_calls_list_init(&list, request->json);
    nx_replay_report_init(&report);
    const struct nx_replay_observer observer = nx_calls_list_observer(&list);
    enum nx_status status = nx_replay_here_run(&here, &request->question, &observer, &report, err);
    if (status == NX_OK && list.count == 0) {
        const struct nx_str why = report.item_count > 0 ? report.items[0].error : NX_STR("no such call");
        status = nx_fail(err, NX_FAILED_PRECONDITION, "what '%.*s' asked cannot be told: %.*s",
                         NX_STR_ARG(request->question.id), NX_STR_ARG(why));
    }
    nx_replay_report_fini(&report);
    NX_TRY(status);
    nx_calls_list_end(&list);
    NX_TRY(nx_buf_check(&list.out, err));
    (void)fwrite(list.out.ptr, 1, list.out.len, stdout);
    return NX_OK;
}

/* An answer that --set cannot give ends the command, not the call. */
static enum nx_status check_changes(const struct nx_replay_report *report, struct nx_error *err) {
    const struct nx_replay_item *item = report->item_count > 0 ? &report->items[0] : NULL;
    if (item == NULL || item->verdict != NX_REPLAY_FAILED ||
        nx_str_find(item->error, NX_STR("call[")) == SIZE_MAX) {
        return NX_OK;
    }
    (void)nx_fail(err, NX_INVALID_ARGUMENT, "--set: %.*s", NX_STR_ARG(item->error));
    nx_hint(err, "nexus replay INVOCATIONS:%" PRIu64 " --list-calls shows what it asked", item->invocation);
    return NX_INVALID_ARGUMENT;
}

static enum nx_status replay(struct nx_args *args, struct nx_source *source, const struct request *request,
                             struct nx_error *err) {
    struct nx_replay_report report;
    NX_AUTO(nx_buf) effects = { 0 };

    nx_replay_report_init(&report);
    nx_buf_init(&effects, NX_REPLAY_REPORT_SIZE_MAX);
    enum nx_status status = source->is_live
                                ? nx_replay_ask(&source->client, &request->question,
                                                nx_terminal_is(stderr) ? nx_replay_draw : NULL, &report, err)
                                : replay_here(source, request, &effects, &report, err);
    nx_terminal_progress("", 1, 1);
    if (status == NX_OK && request->question.change_count > 0) {
        status = check_changes(&report, err);
    }
    if (status == NX_OK) {
        status = request->json ? show_json(&report, err) : show(request, &report, nx_buf_str(&effects), err);
    }
    /* What if: to be different is an answer, no failure. */
    const bool what_if = request->question.change_count > 0 && request->on == NULL && !request->verify;
    const bool good = request->question.mode == NX_REPLAY_LIVE ? count_failed(&report) == 0
                      : what_if
                          ? report.counts[NX_REPLAY_FAILED] == 0 && report.total > 0 &&
                                report.counts[NX_REPLAY_IDENTICAL] + report.counts[NX_REPLAY_DIFFERENT] > 0
                          : nx_replay_report_is_proof(&report);
    if (status == NX_OK && !good) {
        args->exit_status = NX_EXIT_FAILED;
    }
    nx_replay_report_fini(&report);
    return status;
}

/* {"function": "user-welcome", "requeued": 3} */
static enum nx_status read_count(struct nx_str json, uint64_t *count_out, struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;

    NX_TRY(nx_json_parse(json, TARGET_SIZE_MAX * 16, &doc, err));
    if (!nx_json_to_u64(nx_json_get(nx_json_root(doc), NX_STR("requeued")), count_out)) {
        return nx_fail(err, NX_DATA_LOSS, "the server's answer says no number");
    }
    return NX_OK;
}

static enum nx_status put_back(struct nx_source *source, const struct request *request,
                               struct nx_error *err) {
    NX_AUTO(nx_buf) target = { 0 };
    NX_AUTO(nx_buf) answer = { 0 };
    uint64_t count;

    if (!source->is_live) {
        (void)nx_fail(err, NX_FAILED_PRECONDITION, "putting dead letters back needs the server");
        nx_hint(err, "start it by: nexus dev");
        return NX_FAILED_PRECONDITION;
    }
    NX_TRY(nx_function_name_check("--dlq", request->dlq, source, err));
    nx_buf_init(&target, TARGET_SIZE_MAX);
    nx_buf_init(&answer, TARGET_SIZE_MAX);
    nx_buf_append_c(&target, "/dlq/");
    nx_percent_encode_url(&target, nx_str_from_c(request->dlq));
    const enum nx_status status =
        nx_client_request(&source->client, "POST", nx_buf_str(&target), NX_STR_EMPTY, &answer, err);
    if (status == NX_NOT_FOUND) {
        nx_hint(err, "nexus.yaml does not name it any more: put it back there first");
    }
    NX_TRY(status);
    NX_TRY(read_count(nx_buf_str(&answer), &count, err));
    if (request->json) {
        (void)printf("{\"function\":\"%s\",\"count\":%" PRIu64 "}\n", request->dlq, count);
    } else if (count == 0) {
        (void)printf("OK %s has no dead letters\n", request->dlq);
    } else {
        (void)printf("OK %" PRIu64 " dead letter%s of %s go%s back: a new series of attempts begins\n", count,
                     count == 1 ? "" : "s", request->dlq, count == 1 ? "es" : "");
    }
    return NX_OK;
}

static bool is_same_file(const char *path, const char *real) {
    NX_AUTO_FREE char *other = realpath(path, NULL);

    return other != NULL && strcmp(other, real) == 0;
}

/* Whose calls a range is to be of: of the one function whose code the file is, where nobody says it. */
static enum nx_status find_function(struct nx_args *args, const struct nx_config *config,
                                    struct request *request, struct nx_error *err) {
    NX_AUTO_FREE char *real = request->on == NULL ? NULL : realpath(request->on, NULL);
    struct nx_str found = NX_STR_EMPTY;
    size_t count = 0;

    if (request->question.id.len > 0 || request->question.function.len > 0) {
        return NX_OK;
    }
    for (size_t i = 0; config != NULL && real != NULL && i < config->function_count; i++) {
        if (is_same_file(config->functions[i].code_path.ptr, real)) {
            found = config->functions[i].name;
            count++;
        }
    }
    if (count != 1) {
        return nx_args_fail(args, err, "which function is that code of? --function NAME");
    }
    request->question.function = found;
    return NX_OK;
}

/* With other code, or other answers: from the directory itself. */
static enum nx_status compare(struct nx_args *args, struct nx_source *source, struct request *request,
                              struct nx_error *err) {
    NX_AUTO(nx_buf) code = { 0 };
    NX_AUTO(nx_buf) old = { 0 };

    nx_buf_init(&code, NX_MODULE_SIZE_MAX);
    nx_buf_init(&old, NX_MODULE_SIZE_MAX);
    NX_TRY(nx_source_open_directory(args, source, err));
    NX_TRY(nx_function_name_check("--function", nx_args_value(args, "function"), source, err));
    if (request->lists_calls) {
        return list_calls(source, request, err);
    }
    NX_TRY(find_function(args, source->config, request, err));
    if (request->on != NULL) {
        NX_TRY(nx_code_find(nx_disk_system(), source->fabric, request->on, &code, err));
        request->question.module = nx_buf_str(&code);
    }
    if (request->against != NULL) {
        NX_TRY(nx_code_find(nx_disk_system(), source->fabric, request->against, &old, err));
        request->question.against = nx_buf_str(&old);
    }
    return replay(args, source, request, err);
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    NX_AUTO(nx_source) source = { 0 };
    struct request request = { 0 };

    NX_TRY(read_question(args, &request, err));
    if (request.question.mode == NX_REPLAY_COMPARE || request.lists_calls) {
        return compare(args, &source, &request, err);
    }
    NX_TRY(nx_source_open(args, &source, err));
    if (request.dlq != NULL) {
        return put_back(&source, &request, err);
    }
    NX_TRY(nx_function_name_check("--function", nx_args_value(args, "function"), &source, err));
    return replay(args, &source, &request, err);
}

const struct nx_command nx_command_replay = {
    .name = "replay",
    .words = "[ID]",
    .summary = "run a recorded call again and compare it with its record",
    .text =
        "ID is an event's id or EVENTS:17 (the last attempt of every function it ran), or INVOCATIONS:17.\n"
        "The call gets its recorded code, input, clock and random numbers, and has no effects. With the\n"
        "server down the data directory is read, and nothing is written. With --on other code runs instead "
        "of\n"
        "the recorded one, answered from the record where it asks the same: what would it have done? With\n"
        "--set it is answered something else than it was: what if?",
    .example = "nexus replay 01JDN4ZQ8R7V5T3K2M1N0P9Q8R\n"
               "nexus replay --since 24h --verify\n"
               "nexus replay --since 24h --function user-welcome --on build/welcome.wasm\n"
               "nexus replay INVOCATIONS:17 --list-calls\n"
               "nexus replay INVOCATIONS:17 --set 'call[2].result=42'\n"
               "nexus replay --dlq user-welcome",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .word_count_max = 1,
    .run = run,
};
