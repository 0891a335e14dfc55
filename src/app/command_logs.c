/* src/app/command_logs.c: nexus logs: what functions said, from their invocation records. */
#include "app/commands.h"

#include <stdio.h>

#include "app/function_name.h"
#include "app/lines.h"
#include "app/pages.h"
#include "app/lookup.h"
#include "app/times.h"
#include "codec/hex.h"
#include "codec/time_format.h"
#include "codec/traceparent.h"
#include "io/clock.h"

enum { OUTPUT_SIZE_MAX = 64 * 1024 * 1024, FIELDS_SIZE_MAX = 1024 * 1024 };

static const struct nx_flag flags[] = {
    { .name = "follow", .letter = 'f', .help = "go on with what is said from now on; Ctrl-C ends it" },
    { .name = "function", .value = "NAME", .help = "only what this function said" },
    { .name = "trace",
      .value = "TRACE",
      .help = "only of this trace: the 32 digits that each line shows, or an event's id" },
    { .name = "since",
      .value = "TIME",
      .help = "calls that ended from then on: 2025-11-26T10:23:45Z, or 5m ago" },
    { .name = "until", .value = "TIME", .help = "and before then" },
    { .name = "level",
      .value = "LEVEL",
      .help = "only lines of this level and above: debug, info, warn, error" },
    { .name = "log-format", .value = "FORMAT", .help = "text (default) or json" },
    { .name = "output", .value = "FORMAT", .help = "the same as --log-format" },
    NX_SOURCE_FLAGS,
};

/* What of the log is shown, and how. */
struct request {
    struct nx_lines_options lines;
    struct nx_str trace;                   /* 32 hexadecimal digits; empty: all */
    char trace_text[NX_TRACE_ID_SIZE * 2]; /* where they stand when an id was given */
    bool follow;
};

static int64_t time_of(const struct nx_json_value *object, const char *name) {
    int64_t wall_ns = 0;
    const bool ignored = nx_time_parse(nx_json_get_str(object, name), &wall_ns);
    (void)ignored;
    return wall_ns;
}

static void append_line(struct nx_buf *out, const struct nx_lines_options *options,
                        const struct nx_lines_of *of, const struct nx_json_value *said) {
    NX_AUTO(nx_buf) fields = { 0 };
    enum nx_log_level level = NX_LOG_INFO;

    nx_buf_init(&fields, FIELDS_SIZE_MAX);
    const struct nx_json_value *object = nx_json_get(said, NX_STR("fields"));
    if (object != NULL) {
        struct nx_json_writer json;
        nx_json_writer_init(&json, &fields);
        nx_json_value(&json, object);
        nx_json_writer_end(&json);
    }
    (void)nx_log_level_parse(nx_json_get_str(said, "level"), &level);
    const struct nx_invocation_log_line line = {
        .level = (uint8_t)level,
        .time_ns = time_of(said, "time"),
        .text = nx_json_get_str(said, "text"),
        .fields = nx_buf_str(&fields),
    };
    nx_lines_write(out, options, of, &line);
}

/* How a failed call ended, as a line of its own. */
static void append_failure(struct nx_buf *out, const struct nx_lines_options *options,
                           const struct nx_lines_of *of, const struct nx_json_value *item) {
    struct nx_invocation invocation = { .error = nx_json_get_str(item, "error") };
    uint64_t number = 0;
    bool dead_letter = false;

    if (!nx_outcome_parse(nx_json_get_str(item, "outcome"), &invocation.outcome) ||
        invocation.outcome == NX_OUTCOME_OK) {
        return;
    }
    (void)nx_json_to_u64(nx_json_get(item, NX_STR("attempt")), &number);
    invocation.attempt = (uint32_t)number;
    (void)nx_json_to_u64(nx_json_get(item, NX_STR("duration_ns")), &invocation.duration_ns);
    (void)nx_json_to_bool(nx_json_get(item, NX_STR("dead_letter")), &dead_letter);
    invocation.flags = dead_letter ? NX_INVOCATION_DEAD_LETTER : 0;
    invocation.started_at_ns = time_of(item, "started");
    nx_lines_write_failure(out, options, of, &invocation);
}

/* What a call about a person said, who was forgotten: that it cannot be told any more. */
static void append_withheld(struct nx_buf *out, const struct nx_lines_options *options,
                            const struct nx_lines_of *of, const struct nx_json_value *item) {
    const struct nx_json_value *withheld = nx_json_get(item, NX_STR("withheld"));
    char text[128];

    if (withheld == NULL) {
        return;
    }
    const struct nx_str time = nx_json_get_str(withheld, "time");
    (void)snprintf(text, sizeof text, "what it said is withheld: %.*s%s%.*s",
                   NX_STR_ARG(nx_json_get_str(withheld, "reason")), time.len > 0 ? " " : "",
                   NX_STR_ARG(time));
    const struct nx_invocation_log_line line = { .level = NX_LOG_INFO,
                                                 .time_ns = time_of(item, "started"),
                                                 .text = nx_str_from_c(text) };
    nx_lines_write(out, options, of, &line);
}

static void append_item(struct nx_buf *out, const struct nx_lines_options *options,
                        const struct nx_json_value *item) {
    uint8_t trace_id[NX_TRACE_ID_SIZE] = { 0 };
    struct nx_lines_options with_tag = *options;
    const struct nx_json_value *line;

    const bool has_trace = nx_hex_read(nx_json_get_str(item, "trace_id"), trace_id, sizeof trace_id);
    (void)has_trace;
    (void)nx_json_to_bool(nx_json_get(item, NX_STR("live_replay")), &with_tag.is_replay);
    const struct nx_lines_of of = { .function = nx_json_get_str(item, "function"),
                                    .event = nx_json_get_str(item, "event"),
                                    .trace_id = trace_id };
    struct nx_json_iterator walk = nx_json_iterate(nx_json_get(item, NX_STR("log_lines")));
    while (nx_json_next(&walk, NULL, &line)) {
        append_line(out, &with_tag, &of, line);
    }
    append_withheld(out, &with_tag, &of, item);
    append_failure(out, &with_tag, &of, item);
}

static bool is_wanted(const struct request *request, const struct nx_json_value *item) {
    return request->trace.len == 0 ||
           nx_str_equal_ignore_case(request->trace, nx_json_get_str(item, "trace_id"));
}

static enum nx_status print_all(struct nx_pages *list, const struct request *request, bool *said_out,
                                struct nx_error *err) {
    while (request->follow || !list->at_end) {
        NX_AUTO(nx_json_doc) *page = NULL;
        NX_AUTO(nx_buf) out = { 0 };
        const struct nx_json_value *items;
        const struct nx_json_value *item;
        nx_buf_init(&out, OUTPUT_SIZE_MAX);
        NX_TRY(nx_pages_next(list, &page, &items, err));
        struct nx_json_iterator walk = nx_json_iterate(items);
        while (nx_json_next(&walk, NULL, &item)) {
            if (is_wanted(request, item)) {
                append_item(&out, &request->lines, item);
            }
        }
        NX_TRY(nx_buf_check(&out, err));
        *said_out = *said_out || out.len > 0;
        (void)fwrite(nx_buf_str(&out).ptr, 1, out.len, stdout);
        if (fflush(stdout) != 0) {
            return NX_OK; /* whoever read our lines has enough of them */
        }
    }
    return NX_OK;
}

static enum nx_status read_request(struct nx_args *args, struct request *request, struct nx_error *err) {
    struct nx_lines_options *options = &request->lines;
    const char *format = nx_args_value(args, "log-format");
    const char *level = nx_args_value(args, "level");

    format = format != NULL ? format : nx_args_value(args, "output");
    if (format != NULL && !nx_log_format_parse(nx_str_from_c(format), &options->format)) {
        return nx_args_fail(args, err, "--log-format is text or json, not '%s'", format);
    }
    if (level != NULL && !nx_log_level_parse(nx_str_from_c(level), &options->level)) {
        return nx_args_fail(args, err, "--level is debug, info, warn or error, not '%s'", level);
    }
    request->trace = nx_str_from_c(nx_args_value(args, "trace"));
    request->follow = nx_args_has(args, "follow");
    if (request->follow && nx_args_has(args, "until")) {
        return nx_args_fail(args, err, "--follow goes on for ever, --until ends: choose one");
    }
    return NX_OK;
}

/* An id stands for its event's trace. */
static enum nx_status find_trace(struct nx_source *source, struct request *request, struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_json_value *item;
    struct nx_traceparent parent;
    struct nx_reference reference = { .kind = NX_PAGES_EVENTS };
    uint8_t trace_id[NX_TRACE_ID_SIZE];

    if (request->trace.len == 0 || nx_hex_read(request->trace, trace_id, sizeof trace_id)) {
        return NX_OK;
    }
    NX_TRY(nx_lookup_event(source, request->trace, &reference.sequence, err));
    NX_TRY(nx_lookup_record(source, reference, &doc, &item, err));
    if (!nx_traceparent_parse(nx_json_get_str(nx_json_get(item, NX_STR("event")), "traceparent"), &parent)) {
        return nx_fail(err, NX_NOT_FOUND, "event '%.*s' is of no trace", NX_STR_ARG(request->trace));
    }
    nx_hex_write(request->trace_text, parent.trace_id, sizeof parent.trace_id);
    request->trace = nx_str_of(request->trace_text, sizeof request->trace_text);
    return NX_OK;
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    NX_AUTO(nx_source) source = { 0 };
    struct request request = { .lines = { .format = NX_LOG_TEXT } };
    const struct nx_clock clock = nx_clock_system();
    const int64_t now_ns = nx_clock_read(&clock).wall_ns;
    struct nx_pages list = {
        .source = &source,
        .kind = NX_PAGES_INVOCATIONS,
        .function = nx_str_from_c(nx_args_value(args, "function")),
    };

    NX_TRY(read_request(args, &request, err));
    NX_TRY(nx_time_range(args, now_ns, &list.since_ns, &list.until_ns, err));
    list.wait = request.follow;
    NX_TRY(nx_source_open(args, &source, err));
    if (request.follow && !source.is_live) {
        (void)nx_fail(err, NX_FAILED_PRECONDITION, "there is nobody to follow: the server is not running");
        nx_hint(err, "what was said so far: nexus logs; start the server: nexus dev");
        return NX_FAILED_PRECONDITION;
    }
    NX_TRY(nx_function_name_check("--function", nx_args_value(args, "function"), &source, err));
    NX_TRY(find_trace(&source, &request, err));
    bool said = false;
    NX_TRY(print_all(&list, &request, &said, err));
    if (!said && request.lines.format == NX_LOG_TEXT) {
        const bool all = list.function.len == 0 && list.since_ns == 0 && list.until_ns == 0 &&
                         request.trace.len == 0 && !nx_args_has(args, "level");
        (void)fprintf(stderr, "%s\n", all ? "no function has said anything yet" : "there are no such lines");
    }
    return NX_OK;
}

const struct nx_command nx_command_logs = {
    .name = "logs",
    .summary = "show what functions said",
    .text = "Lines are those of finished calls, in the order in which the calls ended, failed ones included.",
    .example = "nexus logs -f --function user-welcome\nnexus logs --since 1h --level warn\n"
               "nexus logs --trace 4bf92f3577b34da6a3ce929d0e0e4736 --output json\n"
               "nexus logs --trace EVENTS:17",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .run = run,
};
