/* src/app/command_bisect.c: nexus bisect: which version of a function's code began to do something else with
 * an event.
 *
 * The registrations in FUNCTIONS say which modules the function has had, and when. Each of them runs the
 * recorded call, answered from its tape, and is compared with the one before. No binary search: what changed
 * and changed back would be missed, and a call takes less time than it takes to say so. */
#include "app/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/calls.h"
#include "app/code.h"
#include "app/function_name.h"
#include "app/replay_here.h"
#include "app/source.h"
#include "app/terminal.h"
#include "codec/headers.h"
#include "codec/json.h"
#include "codec/time_format.h"
#include "platform/function/replay_check.h"
#include "server/http/invocation_json.h"

enum {
    MODULES_MAX = 1024,
    ARENA_SIZE_MAX = 64 * 1024 * 1024,
    OUTPUT_SIZE_MAX = 16 * 1024 * 1024,
    SHOWN_MAX = 100,
    DIGEST_SHOWN = 12, /* digits */
};

static const struct nx_flag flags[] = {
    { .name = "function", .value = "NAME", .help = "of this function, where the event ran several" },
    { .name = "output", .value = "FORMAT", .help = "text (default) or json" },
    NX_SOURCE_FLAGS,
};

/* A module that the function has had. */
struct version {
    struct nx_digest digest;
    int64_t registered_ns;
    bool is_recorded; /* the call was made with it */
    bool has_run;
    bool differs; /* from the one before that has run */
    struct nx_str output;
    struct nx_replay_difference difference;
    struct nx_str error; /* why it has not run */
};

struct bisect {
    struct nx_source source;
    struct nx_replay_here here;
    struct nx_arena arena; /* what the versions point into */
    struct nx_str id;
    struct nx_str function;
    uint64_t invocation;
    uint64_t event;
    struct nx_digest recorded; /* the call's module */
    int64_t started_ns;
    size_t seen_count;
    struct version *versions;
    size_t count;
    const struct version *first; /* that differs; NULL: none */
};

static void see(void *data, const struct nx_check_subject *subject, const struct nx_call_result *result) {
    struct bisect *bisect = data;
    (void)result;
    bisect->recorded = subject->invocation->module_digest;
    bisect->started_ns = subject->invocation->started_at_ns;
    bisect->seen_count++;
}

/* The recorded call, which must replay: else nothing that other code does with its tape means anything. */
static enum nx_status find_call(struct bisect *bisect, struct nx_args *args, struct nx_error *err) {
    struct nx_replay_report report;
    const struct nx_replay_observer observer = { .data = bisect, .saw = see };
    const struct nx_replay_question question = {
        .id = bisect->id,
        .function = nx_str_from_c(nx_args_value(args, "function")),
    };
    nx_replay_report_init(&report);
    enum nx_status status = nx_replay_here_run(&bisect->here, &question, &observer, &report, err);
    if (status == NX_OK && report.item_count > 1) {
        status =
            nx_fail(err, NX_FAILED_PRECONDITION, "'%.*s' ran more than one function", NX_STR_ARG(bisect->id));
        nx_hint(err, "say whose code is looked at: --function NAME");
    } else if (status == NX_OK && bisect->seen_count == 0) {
        const struct nx_str why = report.item_count > 0 ? report.items[0].error : NX_STR("no such call");
        status = nx_fail(err, NX_FAILED_PRECONDITION, "'%.*s' cannot be replayed: %.*s",
                         NX_STR_ARG(bisect->id), NX_STR_ARG(why));
    }
    if (status == NX_OK) {
        bisect->function = nx_arena_copy(&bisect->arena, report.items[0].function);
        bisect->invocation = report.items[0].invocation;
        bisect->event = report.items[0].event_sequence;
    }
    nx_replay_report_fini(&report);
    return status;
}

static void add_version(struct bisect *bisect, const struct nx_digest *digest, int64_t registered_ns) {
    const struct version *last = bisect->count > 0 ? &bisect->versions[bisect->count - 1] : NULL;
    if (bisect->count < MODULES_MAX && (last == NULL || !nx_digest_equal(&last->digest, digest))) {
        bisect->versions[bisect->count++] = (struct version){
            .digest = *digest,
            .registered_ns = registered_ns,
            .is_recorded = nx_digest_equal(digest, &bisect->recorded),
        };
    }
}

/* Every registration of the function that is kept, oldest first. */
static enum nx_status find_versions(struct bisect *bisect, struct nx_error *err) {
    NX_AUTO(nx_buf) subject = { 0 };
    NX_AUTO(nx_read) *read = NULL;
    bool has_recorded = false;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    nx_buf_append_format(&subject, "functions.%.*s", NX_STR_ARG(bisect->function));
    NX_TRY(nx_read_new(NX_READ_SCAN, &read, err));
    read->stream = nx_arena_copy(&read->arena, NX_STR("FUNCTIONS"));
    read->subject = nx_arena_copy(&read->arena, nx_buf_str(&subject));
    read->count_max = MODULES_MAX;
    nx_fabric_read_now(bisect->source.fabric, read);
    bisect->versions = nx_arena_alloc(&bisect->arena, MODULES_MAX * sizeof *bisect->versions);
    if (bisect->versions == NULL) {
        return nx_fail_memory(err);
    }
    struct nx_digest digest;
    for (size_t i = 0; i < read->record_count; i++) {
        has_recorded =
            has_recorded ||
            (nx_digest_parse(nx_headers_value(read->records[i].headers, "Nexus-Module"), &digest) &&
             nx_digest_equal(&digest, &bisect->recorded));
    }
    if (!has_recorded) { /* its registration is no longer kept: it was before all that are */
        add_version(bisect, &bisect->recorded, bisect->started_ns);
    }
    for (size_t i = 0; i < read->record_count; i++) {
        if (nx_digest_parse(nx_headers_value(read->records[i].headers, "Nexus-Module"), &digest)) {
            add_version(bisect, &digest, read->records[i].time_ns);
        }
    }
    return NX_OK;
}

static void keep_difference(struct bisect *bisect, struct version *version,
                            const struct nx_replay_item *item) {
    static const enum nx_replay_shape shapes[] = { NX_REPLAY_SHAPE_OUTPUT, NX_REPLAY_SHAPE_OUTCOME,
                                                   NX_REPLAY_SHAPE_EFFECTS };
    for (size_t i = 0; item->shapes != NULL && i < sizeof shapes / sizeof shapes[0]; i++) {
        const struct nx_replay_difference *difference = &item->shapes[shapes[i]];
        if (difference->what.len > 0 && !version->differs) {
            version->differs = true;
            version->difference = (struct nx_replay_difference){
                .what = nx_arena_copy(&bisect->arena, difference->what),
                .offset = difference->offset,
                .recorded = nx_arena_copy(&bisect->arena, difference->recorded),
                .replayed = nx_arena_copy(&bisect->arena, difference->replayed),
            };
        }
    }
}

/* Run one version, compared with `before` where there is one. */
static enum nx_status run_version(struct bisect *bisect, struct version *version, struct nx_str code,
                                  struct nx_str before, struct nx_error *err) {
    struct nx_replay_report report;
    char id[32];
    (void)snprintf(id, sizeof id, "INVOCATIONS:%" PRIu64, bisect->invocation);
    const struct nx_replay_question question = {
        .mode = NX_REPLAY_COMPARE, .id = nx_str_from_c(id), .module = code, .against = before
    };
    nx_replay_report_init(&report);
    const enum nx_status status = nx_replay_here_run(&bisect->here, &question, NULL, &report, err);
    const struct nx_replay_item *item = report.item_count > 0 ? &report.items[0] : NULL;
    if (status == NX_OK && item != NULL &&
        (item->verdict == NX_REPLAY_IDENTICAL || item->verdict == NX_REPLAY_DIFFERENT)) {
        version->has_run = true;
        version->output = nx_arena_copy(&bisect->arena, item->output);
        if (before.len > 0) {
            keep_difference(bisect, version, item);
        }
    } else if (status == NX_OK && item != NULL) {
        version->error = nx_arena_copy(&bisect->arena, item->error);
    }
    nx_replay_report_fini(&report);
    return status;
}

static void run_versions(struct bisect *bisect) {
    struct nx_buf codes[2];       /* of this version, and of the one before */
    struct nx_buf *before = NULL; /* the last one that has run */
    nx_buf_init(&codes[0], NX_MODULE_SIZE_MAX);
    nx_buf_init(&codes[1], NX_MODULE_SIZE_MAX);
    for (size_t i = 0; i < bisect->count; i++) {
        struct version *version = &bisect->versions[i];
        struct nx_buf *code = before == &codes[0] ? &codes[1] : &codes[0];
        char name[NX_DIGEST_TEXT_SIZE + 1];
        struct nx_error error = { 0 };
        nx_buf_reset(code);
        (void)nx_digest_format(&version->digest, name);
        enum nx_status status = nx_code_find(nx_disk_system(), bisect->source.fabric, name, code, &error);
        if (status == NX_OK) {
            status = run_version(bisect, version, nx_buf_str(code),
                                 before == NULL ? NX_STR_EMPTY : nx_buf_str(before), &error);
        }
        if (status != NX_OK) {
            version->error = nx_arena_copy(&bisect->arena, nx_str_from_c(error.message));
        }
        before = version->has_run ? code : before;
        bisect->first = bisect->first == NULL && version->differs ? version : bisect->first;
    }
    nx_buf_fini(&codes[0]);
    nx_buf_fini(&codes[1]);
    nx_terminal_progress("", 1, 1);
}

static void append_difference(struct nx_buf *out, const struct nx_replay_difference *difference) {
    nx_buf_append(out, difference->what);
    if (difference->offset > 0) {
        nx_buf_append_format(out, ", byte %" PRIu64, difference->offset);
    }
    if (difference->recorded.len > 0 || difference->replayed.len > 0) {
        nx_buf_append_c(out, ": \"");
        nx_calls_append_shown(out, difference->recorded, SHOWN_MAX);
        nx_buf_append_c(out, "\" became \"");
        nx_calls_append_shown(out, difference->replayed, SHOWN_MAX);
        nx_buf_append_c(out, "\"");
    }
}

static void append_version(struct nx_buf *out, const struct bisect *bisect, const struct version *version,
                           bool is_first_run) {
    char digest[NX_DIGEST_TEXT_SIZE + 1];
    char time[NX_TIME_TEXT_SIZE + 1];
    struct nx_str output = version->output;
    while (output.len > 0 && output.ptr[output.len - 1] == '\n') {
        output.len--;
    }
    (void)nx_digest_format(&version->digest, digest);
    (void)nx_time_format(version->registered_ns, NX_TIME_SECONDS, time);
    nx_buf_append_format(out, "%s %.*s  %s  ", version == bisect->first ? "*" : " ", DIGEST_SHOWN, digest,
                         time);
    if (!version->has_run) {
        nx_buf_append_format(out, "was not run: %.*s", NX_STR_ARG(version->error));
    } else if (is_first_run) {
        nx_buf_append_c(out, "printed ");
        nx_calls_append_shown(out, output, SHOWN_MAX);
    } else if (version->differs) {
        append_difference(out, &version->difference);
    } else {
        nx_buf_append_c(out, "the same");
    }
    nx_buf_append_c(out, version->is_recorded ? " (the recorded call)\n" : "\n");
}

static void append_text(struct nx_buf *out, const struct bisect *bisect) {
    bool has_run = false;
    nx_buf_append_format(out, "INVOCATIONS:%" PRIu64 " of EVENTS:%" PRIu64 "; %.*s has had %zu module%s:\n",
                         bisect->invocation, bisect->event, NX_STR_ARG(bisect->function), bisect->count,
                         bisect->count == 1 ? "" : "s");
    for (size_t i = 0; i < bisect->count; i++) {
        append_version(out, bisect, &bisect->versions[i], !has_run);
        has_run = has_run || bisect->versions[i].has_run;
    }
    if (bisect->first == NULL) {
        nx_buf_append_c(out, "OK They all do the same with this event\n");
        return;
    }
    char digest[NX_DIGEST_TEXT_SIZE + 1];
    char time[NX_TIME_TEXT_SIZE + 1];
    (void)nx_digest_format(&bisect->first->digest, digest);
    (void)nx_time_format(bisect->first->registered_ns, NX_TIME_SECONDS, time);
    nx_buf_append_format(out, "OK The first that differs is module %s, registered %s: ", digest, time);
    append_difference(out, &bisect->first->difference);
    nx_buf_append_format(out, "\n   all of it: nexus replay INVOCATIONS:%" PRIu64 " --on %s\n",
                         bisect->invocation, digest);
}

static void write_digest(struct nx_json_writer *json, const char *name, const struct nx_digest *digest) {
    char text[NX_DIGEST_TEXT_SIZE + 1];
    nx_json_member_str(json, name, nx_digest_format(digest, text));
}

static void write_version(struct nx_json_writer *json, const struct version *version) {
    char time[NX_TIME_TEXT_SIZE + 1];
    nx_json_object_begin(json);
    write_digest(json, "module", &version->digest);
    nx_json_member_str(json, "registered", nx_time_format(version->registered_ns, NX_TIME_NANOSECONDS, time));
    nx_json_member_bool(json, "recorded", version->is_recorded);
    if (version->has_run) {
        nx_json_member_bool(json, "differs", version->differs);
        nx_http_member_bytes(json, "output", version->output);
    } else {
        nx_json_member_str(json, "error", version->error);
    }
    if (version->differs) {
        nx_json_key(json, NX_STR("difference"));
        nx_json_object_begin(json);
        nx_json_member_str(json, "what", version->difference.what);
        nx_json_member_u64(json, "offset", version->difference.offset);
        nx_http_member_bytes(json, "before", version->difference.recorded);
        nx_http_member_bytes(json, "after", version->difference.replayed);
        nx_json_object_end(json);
    }
    nx_json_object_end(json);
}

static void append_json(struct nx_buf *out, const struct bisect *bisect) {
    struct nx_json_writer json;
    char text[32];
    nx_json_writer_init(&json, out);
    nx_json_object_begin(&json);
    (void)snprintf(text, sizeof text, "INVOCATIONS:%" PRIu64, bisect->invocation);
    nx_json_member_c(&json, "invocation", text);
    (void)snprintf(text, sizeof text, "EVENTS:%" PRIu64, bisect->event);
    nx_json_member_c(&json, "event", text);
    nx_json_member_str(&json, "function", bisect->function);
    nx_json_key(&json, NX_STR("modules"));
    nx_json_array_begin(&json);
    for (size_t i = 0; i < bisect->count; i++) {
        write_version(&json, &bisect->versions[i]);
    }
    nx_json_array_end(&json);
    if (bisect->first != NULL) {
        write_digest(&json, "first", &bisect->first->digest);
    } else {
        nx_json_key(&json, NX_STR("first"));
        nx_json_null(&json);
    }
    nx_json_object_end(&json);
    nx_json_writer_end(&json);
    nx_buf_append_c(out, "\n");
}

static enum nx_status look(struct bisect *bisect, struct nx_args *args, bool json, struct nx_error *err) {
    NX_AUTO(nx_buf) out = { 0 };
    nx_buf_init(&out, OUTPUT_SIZE_MAX);
    NX_TRY(nx_source_open_directory(args, &bisect->source, err));
    NX_TRY(nx_function_name_check("--function", nx_args_value(args, "function"), &bisect->source, err));
    NX_TRY(nx_replay_here_open(bisect->source.fabric, bisect->source.directory, &bisect->here, err));
    NX_TRY(find_call(bisect, args, err));
    NX_TRY(find_versions(bisect, err));
    run_versions(bisect);
    if (json) {
        append_json(&out, bisect);
    } else {
        append_text(&out, bisect);
    }
    NX_TRY(nx_buf_check(&out, err));
    (void)fwrite(out.ptr, 1, out.len, stdout);
    return NX_OK;
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    struct bisect bisect = { .id = nx_str_from_c(args->words[0]) };
    bool json;
    NX_TRY(nx_args_output_is_json(args, &json, err));
    nx_arena_init(&bisect.arena, ARENA_SIZE_MAX);
    const enum nx_status status = look(&bisect, args, json, err);
    nx_replay_here_close(&bisect.here);
    nx_source_close(&bisect.source);
    nx_arena_fini(&bisect.arena);
    return status;
}

const struct nx_command nx_command_bisect = {
    .name = "bisect",
    .words = "ID",
    .summary = "find the version of a function's code that began to do something else with an event",
    .text =
        "ID is an event's id, EVENTS:17 or INVOCATIONS:17. Every module that the function has had runs the\n"
        "recorded call, answered from its tape and without effects, oldest first; the first whose output,\n"
        "outcome or effects are not those of the one before is named. Works with the server up and down.",
    .example = "nexus bisect 01JDN4ZQ8R7V5T3K2M1N0P9Q8R\n"
               "nexus bisect EVENTS:17 --function user-welcome --output json",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run,
};
