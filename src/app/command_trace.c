/* src/app/command_trace.c: nexus trace: what came of an event, as a tree with times. */
#include "app/commands.h"

#include <stdio.h>

#include "app/trace.h"

static const struct nx_flag flags[] = {
    { .name = "output", .value = "FORMAT", .help = "text (default), or json: the same tree" },
    NX_SOURCE_FLAGS,
};

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    NX_AUTO(nx_source) source = { 0 };
    NX_AUTO(nx_json_doc) *doc = NULL;
    NX_AUTO(nx_buf) json = { 0 };
    NX_AUTO(nx_buf) text = { 0 };
    bool is_json;
    uint64_t sequence = 0;

    NX_TRY(nx_args_output_is_json(args, &is_json, err));
    NX_TRY(nx_source_open(args, &source, err));
    NX_TRY(nx_lookup_event(&source, nx_str_from_c(args->words[0]), &sequence, err));
    nx_buf_init(&json, NX_TRACE_SIZE_MAX);
    NX_TRY(nx_trace_collect(&source, sequence, &json, err));
    if (is_json) {
        (void)fwrite(json.ptr, 1, json.len, stdout);
        (void)fputc('\n', stdout);
        return NX_OK;
    }
    nx_buf_init(&text, NX_TRACE_SIZE_MAX);
    NX_TRY(nx_json_parse(nx_buf_str(&json), json.len * 16 + 4096, &doc, err));
    nx_trace_write_text(&text, nx_json_root(doc));
    NX_TRY(nx_buf_check(&text, err));
    (void)fwrite(text.ptr, 1, text.len, stdout);
    return NX_OK;
}

const struct nx_command nx_command_trace = {
    .name = "trace",
    .words = "ID",
    .summary = "show what came of an event: calls, effects, and what these caused",
    .text =
        "ID is an event's id or EVENTS:17; INVOCATIONS:17 and DLQ:17 stand for their event, a trace (32\n"
        "digits, as nexus logs shows it) for its oldest event. Times count from when the event was stored.\n"
        "With the server down the data directory is read.",
    .example = "nexus trace 01JDN4ZQ8R7V5T3K2M1N0P9Q8R\n"
               "nexus trace EVENTS:17 --output json",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run,
};
