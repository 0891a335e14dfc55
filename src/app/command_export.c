/* src/app/command_export.c: nexus export: events as CloudEvents, for other tools and for nexus import. */
#include "app/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/pages.h"
#include "app/times.h"
#include "io/clock.h"

enum { LINE_SIZE_MAX = 8 * 1024 * 1024 };

static const struct nx_flag flags[] = {
    { .name = "format", .value = "FORMAT", .help = "lines (default): one event a line; batch: a JSON array" },
    { .name = "type", .value = "TYPE", .help = "only these: exact, or with * and > such as 'user.*'" },
    { .name = "since", .value = "TIME", .help = "from then on: 2025-11-26T10:23:45Z, or 1h ago" },
    { .name = "until", .value = "TIME", .help = "and before then" },
    { .name = "outside", .help = "leave out what functions published: importing the rest makes it anew" },
    NX_SOURCE_FLAGS,
};

struct request {
    bool batch;
    bool outside;
    uint64_t count;
    uint64_t unreadable_count;
};

static enum nx_status export_event(struct request *request, const struct nx_json_value *item,
                                   struct nx_error *err) {
    const struct nx_json_value *event = nx_json_get(item, NX_STR("event"));
    NX_AUTO(nx_buf) line = { 0 };
    struct nx_json_writer json;

    if (request->outside && nx_json_get(item, NX_STR("cause")) != NULL) {
        return NX_OK;
    }
    if (event == NULL) {
        request->unreadable_count++;
        return NX_OK;
    }
    nx_buf_init(&line, LINE_SIZE_MAX);
    nx_buf_append_c(&line, !request->batch ? "" : request->count == 0 ? "[\n" : ",\n");
    nx_json_writer_init(&json, &line);
    nx_json_value(&json, event);
    nx_json_writer_end(&json);
    nx_buf_append_c(&line, request->batch ? "" : "\n");
    NX_TRY(nx_buf_check(&line, err));
    request->count++;
    (void)fwrite(line.ptr, 1, line.len, stdout);
    return NX_OK;
}

static enum nx_status export_all(struct nx_pages *list, struct request *request, struct nx_error *err) {
    while (!list->at_end && ferror(stdout) == 0) {
        NX_AUTO(nx_json_doc) *page = NULL;
        const struct nx_json_value *items;
        const struct nx_json_value *item;
        NX_TRY(nx_pages_next(list, &page, &items, err));
        struct nx_json_iterator walk = nx_json_iterate(items);
        while (nx_json_next(&walk, NULL, &item)) {
            NX_TRY(export_event(request, item, err));
        }
    }
    if (request->batch) {
        (void)fputs(request->count == 0 ? "[]\n" : "\n]\n", stdout);
    }
    if (request->unreadable_count > 0) {
        (void)nx_fail(err, NX_DATA_LOSS, "%" PRIu64 " events cannot be read and are left out",
                      request->unreadable_count);
        nx_hint(err, "nexus events names them; nexus journal verify says what is damaged");
        return NX_DATA_LOSS;
    }
    return NX_OK;
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    NX_AUTO(nx_source) source = { 0 };
    struct request request = { .outside = nx_args_has(args, "outside") };
    const struct nx_clock clock = nx_clock_system();
    const char *format = nx_args_value(args, "format");
    struct nx_pages list = {
        .source = &source,
        .kind = NX_PAGES_EVENTS,
        .type = nx_str_from_c(nx_args_value(args, "type")),
    };

    request.batch = format != NULL && strcmp(format, "batch") == 0;
    if (format != NULL && !request.batch && strcmp(format, "lines") != 0) {
        return nx_args_fail(args, err, "--format is lines or batch, not '%s'", format);
    }
    NX_TRY(nx_time_range(args, nx_clock_read(&clock).wall_ns, &list.since_ns, &list.until_ns, err));
    NX_TRY(nx_source_open(args, &source, err));
    return export_all(&list, &request, err);
}

const struct nx_command nx_command_export = {
    .name = "export",
    .summary = "print events as CloudEvents, one a line or as one batch",
    .text =
        "Oldest first, on standard output, each as JSON in CloudEvents' structured mode; a batch is what\n"
        "CloudEvents calls application/cloudevents-batch+json. With the server down the data directory is\n"
        "read. nexus import stores both forms.",
    .example = "nexus export --type 'user.*' --since 7d > events.jsonl\n"
               "nexus export --outside --format batch > events.json",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .run = run,
};
