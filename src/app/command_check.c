/* src/app/command_check.c: nexus check: would `nexus start` run this project? Reads, compiles, writes
 * nothing. */
#include "app/commands.h"

#include <inttypes.h>
#include <stdio.h>

#include "app/code.h"
#include "codec/json.h"
#include "sandbox/instance/call.h"

enum { OUTPUT_SIZE_MAX = 4 * 1024 * 1024 };

static const struct nx_flag flags[] = {
    { .name = "config", .value = "FILE", .help = "instead of ./nexus.yaml" },
    { .name = "output", .value = "FORMAT", .help = "text (default) or json" },
};

struct check {
    bool json;
    struct nx_json_writer writer;
    struct nx_buf out;
    size_t failed_count;
};

/* One function: what it says, and what to do where its code cannot run. */
static void check_function(struct check *check, struct nx_engine *engine,
                           const struct nx_function *function) {
    struct nx_error err = { 0 };
    uint64_t size = 0;

    const bool is_good = nx_code_check(nx_disk_system(), engine, function, &size, &err) == NX_OK;
    check->failed_count += is_good ? 0 : 1;
    if (!check->json) {
        if (is_good) {
            nx_buf_append_format(&check->out, "OK %.*s: %.*s, %" PRIu64 " bytes, can run\n",
                                 NX_STR_ARG(function->name), NX_STR_ARG(function->code_path), size);
        } else {
            nx_buf_append_format(&check->out, "FAIL %s%s%s\n", err.message, err.hint[0] == '\0' ? "" : "; ",
                                 err.hint);
        }
        return;
    }
    nx_json_object_begin(&check->writer);
    nx_json_member_str(&check->writer, "name", function->name);
    nx_json_member_str(&check->writer, "code", function->code_path);
    nx_json_member_bool(&check->writer, "ok", is_good);
    if (is_good) {
        nx_json_member_u64(&check->writer, "size", size);
    } else {
        nx_json_member_c(&check->writer, "error", err.message);
        nx_json_member_c(&check->writer, "hint", err.hint);
    }
    nx_json_object_end(&check->writer);
}

/* The mistakes as an array of their lines. */
static void write_mistakes(struct nx_json_writer *writer, struct nx_str problems) {
    struct nx_str line;

    nx_json_key(writer, NX_STR("mistakes"));
    nx_json_array_begin(writer);
    while (nx_str_split(&problems, '\n', &line)) {
        if (line.len > 0) {
            nx_json_string(writer, line);
        }
    }
    nx_json_array_end(writer);
}

static enum nx_status check_functions(struct check *check, const struct nx_config *config,
                                      struct nx_error *err) {
    const struct nx_engine_options options = { .calls_max = 1 }; /* none is run */
    NX_AUTO(nx_engine) *engine = NULL;

    NX_TRY(nx_sandbox_open(&options, &engine, err));
    for (size_t i = 0; i < config->function_count; i++) {
        check_function(check, engine, &config->functions[i]);
    }
    return NX_OK;
}

/* {"file": "nexus.yaml", "ok": false, "mistakes": ["nexus.yaml:7:5: …"], "functions": [{…}]} */
static enum nx_status check_as_json(struct check *check, struct nx_str file, struct nx_str problems,
                                    const struct nx_config *config, struct nx_error *err) {
    nx_json_writer_init(&check->writer, &check->out);
    nx_json_object_begin(&check->writer);
    nx_json_member_str(&check->writer, "file", file);
    write_mistakes(&check->writer, problems);
    nx_json_key(&check->writer, NX_STR("functions"));
    nx_json_array_begin(&check->writer);
    if (config != NULL) {
        NX_TRY(check_functions(check, config, err));
    }
    nx_json_array_end(&check->writer);
    nx_json_member_bool(&check->writer, "ok", config != NULL && check->failed_count == 0);
    nx_json_object_end(&check->writer);
    nx_json_writer_end(&check->writer);
    nx_buf_append_c(&check->out, "\n");
    return NX_OK;
}

static enum nx_status check_project(struct check *check, const char *file, struct nx_error *err) {
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) problems = { 0 };

    nx_buf_init(&problems, NX_CONFIG_PROBLEMS_SIZE_MAX);
    const enum nx_status status = nx_config_load(nx_disk_system(), file, &config, &problems, err);
    if (status != NX_OK && problems.len == 0) {
        return status; /* there is no such file, or it cannot be read */
    }
    if (check->json) {
        NX_TRY(check_as_json(check, nx_str_from_c(file), nx_buf_str(&problems), config, err));
    } else if (status == NX_OK) {
        nx_buf_append_format(&check->out, "OK %s has no mistakes\n", file);
        NX_TRY(check_functions(check, config, err));
    } else {
        nx_buf_append(&check->out, nx_buf_str(&problems));
    }
    NX_TRY(status);
    if (check->failed_count > 0) {
        return nx_fail(err, NX_FAILED_PRECONDITION, "%zu of %zu functions cannot run", check->failed_count,
                       config->function_count);
    }
    return NX_OK;
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    const char *file = nx_args_value(args, "config");
    struct check check = { 0 };

    NX_TRY(nx_args_output_is_json(args, &check.json, err));
    nx_buf_init(&check.out, OUTPUT_SIZE_MAX);
    enum nx_status status = check_project(&check, file == NULL ? "nexus.yaml" : file, err);
    (void)fwrite(nx_buf_str(&check.out).ptr, 1, check.out.len, stdout);
    nx_buf_fini(&check.out);
    return status;
}

const struct nx_command nx_command_check = {
    .name = "check",
    .summary = "see that nexus.yaml has no mistakes and every function can run",
    .text = "Names every mistake at once, with its file, line and column, then loads each function's .wasm "
            "file.\n"
            "Exit status 0 when all is well, 1 when not. nexus config shows what the file comes to.",
    .example = "nexus check\n"
               "nexus check --config /etc/nexus/nexus.yaml --output json",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .run = run,
};
