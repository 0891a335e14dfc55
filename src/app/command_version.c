/* src/app/command_version.c: nexus version */
#include "app/commands.h"

#include <stdio.h>

static const struct nx_flag flags[] = {
    { .name = "output", .value = "FORMAT", .help = "text (default) or json" },
};

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    bool json;

    NX_TRY(nx_args_output_is_json(args, &json, err));
    (void)printf(json ? "{\"version\":\"%s\"}\n" : "nexus %s\n", NX_VERSION);
    return NX_OK;
}

const struct nx_command nx_command_version = {
    .name = "version",
    .summary = "say which version this is",
    .example = "nexus version --output json",
    .flags = flags,
    .flag_count = 1,
    .run = run,
};
