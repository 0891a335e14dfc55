/* src/app/command_build.c: nexus build: run what `build:` says, then see that the result can run.
 *
 * Each different command runs once, in the project's folder; what it prints is shown as it comes. */
#include "app/commands.h"

#include <inttypes.h>
#include <stdio.h>

#include "app/code.h"
#include "app/config.h"
#include "app/function_name.h"
#include "app/toolchain.h"
#include "io/process.h"
#include "sandbox/instance/call.h"

static const struct nx_flag flags[] = {
    { .name = "config", .value = "FILE", .help = "instead of ./nexus.yaml" },
    { .name = "function", .value = "NAME", .help = "build only this one" },
};

static bool is_wanted(const struct nx_args *args, const struct nx_function *function) {
    const char *only = nx_args_value(args, "function");
    return only == NULL || nx_str_is(function->name, only);
}

static bool was_run_before(const struct nx_args *args, const struct nx_config *config, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (is_wanted(args, &config->functions[i]) &&
            nx_str_equal(config->functions[i].build_command, config->functions[index].build_command)) {
            return true;
        }
    }
    return false;
}

static enum nx_status run_command(const struct nx_config *config, const struct nx_function *function,
                                  struct nx_error *err) {
    int exit_status;

    const enum nx_status status = nx_toolchain_check(function->build_command, config->folder.ptr, err);
    if (status != NX_OK) {
        return nx_wrap(err, status, "building %.*s", NX_STR_ARG(function->name));
    }
    (void)printf("-- %.*s: %.*s\n", NX_STR_ARG(function->name), NX_STR_ARG(function->build_command));
    (void)fflush(stdout);
    NX_TRY(nx_process_run(function->build_command.ptr, config->folder.ptr, NULL, &exit_status, err));
    if (exit_status != 0) {
        (void)nx_fail(err, NX_ABORTED, "building %.*s: '%.*s' ended with status %d",
                      NX_STR_ARG(function->name), NX_STR_ARG(function->build_command), exit_status);
        nx_hint(err, "what it said stands above%s%.*s",
                nx_str_is(config->folder, ".") ? "" : "; the command ran in ",
                nx_str_is(config->folder, ".") ? 0 : (int)config->folder.len, config->folder.ptr);
        return NX_ABORTED;
    }
    return NX_OK;
}

static enum nx_status build(const struct nx_args *args, const struct nx_config *config, size_t *count_out,
                            struct nx_error *err) {
    nx_toolchain_offer_nexus();
    *count_out = 0;
    for (size_t i = 0; i < config->function_count; i++) {
        const struct nx_function *function = &config->functions[i];
        if (!is_wanted(args, function)) {
            continue;
        }
        (*count_out)++;
        if (function->build_command.len > 0 && !was_run_before(args, config, i)) {
            NX_TRY(run_command(config, function, err));
        }
    }
    return NX_OK;
}

static enum nx_status check(const struct nx_args *args, const struct nx_config *config,
                            struct nx_error *err) {
    NX_AUTO(nx_engine) *engine = NULL;

    NX_TRY(nx_code_open_engine(config, &engine, err));
    for (size_t i = 0; i < config->function_count; i++) {
        const struct nx_function *function = &config->functions[i];
        uint64_t size;
        if (is_wanted(args, function)) {
            NX_TRY(nx_code_check(nx_disk_system(), engine, function, &size, err));
            (void)printf("OK %.*s: %.*s, %" PRIu64 " bytes, can run\n", NX_STR_ARG(function->name),
                         NX_STR_ARG(function->code_path), size);
        }
    }
    return NX_OK;
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    NX_AUTO(nx_config) *config = NULL;
    const char *file = nx_args_value(args, "config");
    size_t count;

    NX_TRY(nx_config_load_and_explain(file == NULL ? "nexus.yaml" : file, &config, err));
    NX_TRY(nx_function_name_check_config(nx_args_value(args, "function"), config, err));
    NX_TRY(build(args, config, &count, err));
    if (count == 0) {
        (void)printf("%.*s names no functions: there is nothing to build\n", NX_STR_ARG(config->file));
        return NX_OK;
    }
    return check(args, config, err);
}

const struct nx_command nx_command_build = {
    .name = "build",
    .summary = "compile the project's functions and see that they can run",
    .text = "Runs the build command of each function in the project's folder, then loads its .wasm file.",
    .example = "nexus build --function user-welcome",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .run = run,
};
