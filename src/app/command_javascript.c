/* src/app/command_javascript.c: nexus javascript SCRIPT: a module of a script; what `build:` of such a
 * function says.
 *
 * A script without packages needs no tool: the runtime is in the binary, and reads the script here
 * (sandbox/snapshot). TypeScript and packages go through esbuild first, the project's own or the machine's.
 */
#include "app/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "io/file.h"
#include "io/process.h"
#include "sandbox/engine/engine.h"
#include "sandbox/snapshot/snapshot.h"

enum { PATH_SIZE_MAX = 4096 };

extern const char nx_javascript_runtime[];
extern const uint64_t nx_javascript_runtime_size;

static const struct nx_flag flags[] = {
    { .name = "out", .value = "FILE", .help = "the module; default: build/<script's name>.wasm" },
    { .name = "bundle", .help = "put the packages that it imports into it, by esbuild (TypeScript: always)" },
};

/* The script's name without folder and ending. */
static struct nx_str stem_of(const char *path) {
    const char *slash = strrchr(path, '/');
    struct nx_str name = nx_str_from_c(slash == NULL ? path : slash + 1);
    for (size_t i = name.len; i > 1; i--) {
        if (name.ptr[i - 1] == '.') {
            return nx_str_slice(name, 0, i - 1);
        }
    }
    return name;
}

static bool is_typescript(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot != NULL && (strcmp(dot, ".ts") == 0 || strcmp(dot, ".mts") == 0 || strcmp(dot, ".tsx") == 0);
}

static enum nx_status find_esbuild(const char **command_out, struct nx_error *err) {
    int exit_status;
    if (access("node_modules/.bin/esbuild", X_OK) == 0) {
        *command_out = "node_modules/.bin/esbuild";
        return NX_OK;
    }
    NX_TRY(nx_process_run("command -v esbuild > /dev/null", NULL, NULL, &exit_status, err));
    if (exit_status != 0) {
        (void)nx_fail(err, NX_FAILED_PRECONDITION, "TypeScript and packages need esbuild, which is not here");
        nx_hint(err, "install it: npm install --save-dev esbuild");
        return NX_FAILED_PRECONDITION;
    }
    *command_out = "esbuild";
    return NX_OK;
}

static enum nx_status bundle(const char *script, const char *bundled, struct nx_error *err) {
    char command[3 * PATH_SIZE_MAX];
    const char *esbuild;
    int exit_status;

    NX_TRY(find_esbuild(&esbuild, err));
    if (strchr(script, '\'') != NULL || strchr(bundled, '\'') != NULL) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "a path with ' in it cannot be bundled");
    }
    const int size =
        snprintf(command, sizeof command,
                 "%s '%s' --bundle --format=esm --platform=browser --target=es2023 --external:nexus "
                 "--external:buffer --external:node:buffer --log-level=warning '--outfile=%s'",
                 esbuild, script, bundled);
    if (size < 0 || (size_t)size >= sizeof command) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "the path '%s' is too long", script);
    }
    NX_TRY(nx_process_run(command, NULL, NULL, &exit_status, err));
    return exit_status == 0
               ? NX_OK
               : nx_fail(err, NX_ABORTED, "bundling %s: esbuild ended with status %d", script, exit_status);
}

static enum nx_status make_folder_of(struct nx_disk *disk, const char *path, struct nx_error *err) {
    char folder[PATH_SIZE_MAX];
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) {
        return NX_OK;
    }
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    return nx_disk_make_directory(disk, folder, err);
}

static enum nx_status choose_paths(struct nx_args *args, char out[PATH_SIZE_MAX], char bundled[PATH_SIZE_MAX],
                                   struct nx_error *err) {
    const char *asked = nx_args_value(args, "out");
    const struct nx_str stem = stem_of(args->words[0]);
    const int size = asked != NULL ? snprintf(out, PATH_SIZE_MAX, "%s", asked)
                                   : snprintf(out, PATH_SIZE_MAX, "build/%.*s.wasm", NX_STR_ARG(stem));
    const int bundled_size = snprintf(bundled, PATH_SIZE_MAX, "%.*s.bundle.js", PATH_SIZE_MAX - 16, out);
    if (size < 0 || size >= PATH_SIZE_MAX || bundled_size < 0 || bundled_size >= PATH_SIZE_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "the path '%s' is too long", args->words[0]);
    }
    return NX_OK;
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    struct nx_disk *disk = nx_disk_system();
    const char *script = args->words[0];
    const char *source = script;
    char out[PATH_SIZE_MAX];
    char bundled[PATH_SIZE_MAX];
    NX_AUTO(nx_buf) text = { 0 };
    NX_AUTO(nx_buf) wasm = { 0 };

    NX_TRY(choose_paths(args, out, bundled, err));
    NX_TRY(make_folder_of(disk, out, err));
    nx_buf_init(&text, NX_SCRIPT_SIZE_MAX);
    nx_buf_init(&wasm, NX_MODULE_SIZE_MAX);
    if (is_typescript(script) || nx_args_has(args, "bundle")) {
        NX_TRY(bundle(script, bundled, err));
        source = bundled;
    }
    NX_TRY(nx_disk_read_file(disk, source, &text, err));
    const enum nx_status status =
        nx_snapshot_make(nx_str_of(nx_javascript_runtime, nx_javascript_runtime_size), nx_str_from_c(script),
                         nx_buf_str(&text), &wasm, err);
    if (status != NX_OK) {
        return nx_wrap(err, status, "%s", script);
    }
    NX_TRY(nx_disk_write_file(disk, out, nx_buf_str(&wasm), err));
    (void)printf("OK %s: %zu bytes of %s\n", out, wasm.len, script);
    return NX_OK;
}

const struct nx_command nx_command_javascript = {
    .name = "javascript",
    .words = "SCRIPT",
    .summary = "make a module of a script in JavaScript or TypeScript",
    .text = "The script is read here, and the module begins where that ended: with nothing left to parse.\n"
            "Its default export is the handler: export default function (event) { ... }",
    .example = "nexus javascript src/welcome.js --out build/welcome.wasm",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .word_count_min = 1,
    .word_count_max = 1,
    .run = run,
};
