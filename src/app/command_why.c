/* src/app/command_why.c: nexus why: from an event, a call or a dead letter back to what caused it. */
#include "app/commands.h"

#include <stdio.h>

#include "app/why.h"

static const struct nx_flag flags[] = {
    { .name = "output", .value = "FORMAT", .help = "text (default), or json: the same chain" },
    NX_SOURCE_FLAGS,
};

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    NX_AUTO(nx_source) source = { 0 };
    NX_AUTO(nx_json_doc) *doc = NULL;
    NX_AUTO(nx_buf) json = { 0 };
    NX_AUTO(nx_buf) text = { 0 };
    struct nx_reference reference = { 0 };
    bool is_json;

    NX_TRY(nx_args_output_is_json(args, &is_json, err));
    NX_TRY(nx_source_open(args, &source, err));
    NX_TRY(nx_lookup_id(&source, nx_str_from_c(args->words[0]), &reference, err));
    nx_buf_init(&json, NX_WHY_SIZE_MAX);
    NX_TRY(nx_why_collect(&source, reference, &json, err));
    if (is_json) {
        (void)fwrite(json.ptr, 1, json.len, stdout);
        (void)fputc('\n', stdout);
        return NX_OK;
    }
    nx_buf_init(&text, NX_WHY_SIZE_MAX);
    NX_TRY(nx_json_parse(nx_buf_str(&json), json.len * 16 + 4096, &doc, err));
    nx_why_write_text(&text, nx_json_root(doc));
    NX_TRY(nx_buf_check(&text, err));
    (void)fwrite(text.ptr, 1, text.len, stdout);
    return NX_OK;
}

const struct nx_command nx_command_why = {
    .name = "why",
    .words = "ID",
    .summary = "show what caused an event, a call or a dead letter, back to the request",
    .text =
        "ID is an event's id, EVENTS:17, INVOCATIONS:17 or DLQ:17. Each line is the cause of the one above\n"
        "it: the call with its module, the event it ran on, the call that published that, and so on.",
    .example = "nexus why DLQ:3\n"
               "nexus why 01JDN4ZQ8R7V5T3K2M1N0P9Q8R --output json",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run,
};
