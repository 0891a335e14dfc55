/* src/app/command_test.c: nexus test: the project's fixtures against its built modules, without a server; and
 * nexus test --from: a recorded call as a fixture. */
#include "app/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/code.h"
#include "app/diff.h"
#include "app/fixture.h"
#include "app/function_name.h"
#include "app/replay_here.h"
#include "app/source.h"
#include "app/terminal.h"
#include "codec/json.h"
#include "io/clock.h"
#include "platform/function/invocation.h"
#include "platform/function/replay_check.h"
#include "sandbox/instance/call.h"
#include "server/http/invocation_json.h"

enum {
    PATH_SIZE_MAX = 4096,
    FIXTURES_MAX = 10000,
    OUTPUT_SIZE_MAX = 256 * 1024 * 1024,
    KEYS_SIZE_MAX = 1024 * 1024,
    NAME_SIZE_MAX = 200,
};

static const struct nx_flag flags[] = {
    { .name = "from",
      .value = "ID",
      .help = "make a fixture of a recorded call: an event's id, INVOCATIONS:17" },
    { .name = "name", .value = "NAME", .help = "--from: the fixture's name, if not FUNCTION-ID" },
    { .name = "function",
      .value = "NAME",
      .help = "only the fixtures, or with --from the call, of this one" },
    { .name = "update", .help = "write down what the functions do now as what is expected" },
    { .name = "output", .value = "FORMAT", .help = "text (default) or json" },
    NX_SOURCE_FLAGS,
};

/* A recorded call becomes a fixture. */

struct making {
    struct nx_buf text;
    const struct nx_config *config;
    struct nx_str function; /* in `arena` */
    struct nx_arena arena;
    size_t count;
    enum nx_status status;
    struct nx_error error;
};

static const struct nx_function *find_function(const struct nx_config *config, struct nx_str name) {
    for (size_t i = 0; config != NULL && i < config->function_count; i++) {
        if (nx_str_equal(config->functions[i].name, name)) {
            return &config->functions[i];
        }
    }
    return NULL;
}

static void make_fixture(void *data, const struct nx_check_subject *subject,
                         const struct nx_call_result *result) {
    struct making *making = data;
    const struct nx_str prefix = NX_STR("invocations.");
    const struct nx_str function =
        nx_str_slice(subject->record->subject, prefix.len, subject->record->subject.len);
    making->function = nx_arena_copy(&making->arena, function);
    if (making->count++ == 0) {
        making->status = nx_fixture_write(subject, result, find_function(making->config, function),
                                          &making->text, &making->error);
    }
}

/* Letters, digits, - _ and . alone may name a file here. */
static void append_name(struct nx_buf *out, struct nx_str text) {
    for (size_t i = 0; i < text.len && i < NAME_SIZE_MAX; i++) {
        const char c = text.ptr[i];
        const bool is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                             c == '_' || (c == '.' && i > 0);
        nx_buf_append_u8(out, is_good ? (uint8_t)c : '-');
    }
}

static enum nx_status replay_one(struct nx_args *args, struct nx_source *source, struct making *making,
                                 struct nx_error *err) {
    NX_AUTO(nx_replay_here) here = { 0 };
    struct nx_replay_report report;
    const struct nx_replay_observer observer = { .data = making, .saw = make_fixture };
    const struct nx_replay_question question = {
        .id = nx_str_from_c(nx_args_value(args, "from")),
        .function = nx_str_from_c(nx_args_value(args, "function")),
    };
    NX_TRY(nx_replay_here_open(source->fabric, source->directory, &here, err));
    nx_replay_report_init(&report);
    enum nx_status status = nx_replay_here_run(&here, &question, &observer, &report, err);
    const struct nx_replay_item *item = report.item_count > 0 ? &report.items[0] : NULL;
    if (status == NX_OK && report.item_count > 1) {
        status = nx_fail(err, NX_FAILED_PRECONDITION, "'%.*s' ran more than one function",
                         NX_STR_ARG(question.id));
        nx_hint(err, "say of which one the fixture is to be: --function NAME");
    } else if (status == NX_OK && (item == NULL || item->verdict != NX_REPLAY_IDENTICAL)) {
        const struct nx_str why = item == NULL ? NX_STR("no such call") : item->error;
        status =
            nx_fail(err, NX_FAILED_PRECONDITION, "a fixture is made by replaying the call, which is %s%s%.*s",
                    item == NULL ? "not there" : nx_replay_verdict_name(item->verdict),
                    why.len > 0 ? ": " : "", NX_STR_ARG(why));
    } else if (status == NX_OK && making->status != NX_OK) {
        *err = making->error;
        status = making->status;
    }
    nx_replay_report_fini(&report);
    return status;
}

/* A file of the project is outside of what nexus erase reaches. */
static void warn_of_person(const struct making *making, const char *path) {
    NX_AUTO(nx_fixture) fixture = { 0 };
    if (nx_fixture_parse(nx_buf_str(&making->text), &fixture, NULL) != NX_OK) {
        return;
    }
    for (size_t i = 0; i < fixture.event.extension_count; i++) {
        if (nx_str_is(fixture.event.extensions[i].name, "personkey")) {
            (void)fprintf(
                stderr,
                "%s holds what the event and the call say of a person, in clear: replace it before you "
                "share the file; nexus erase does not reach it\n",
                path);
        }
    }
}

static enum nx_status write_fixture(struct nx_args *args, const struct making *making, struct nx_str folder,
                                    struct nx_error *err) {
    struct nx_disk *disk = nx_disk_system();
    NX_AUTO(nx_buf) path = { 0 };
    NX_AUTO(nx_buf) before = { 0 };
    const char *name = nx_args_value(args, "name");
    nx_buf_init(&path, PATH_SIZE_MAX);
    nx_buf_init(&before, NX_FIXTURE_SIZE_MAX);
    nx_buf_append_format(&path, "%.*s/fixtures", NX_STR_ARG(folder));
    nx_buf_append_u8(&path, 0);
    NX_TRY(nx_buf_check(&path, err));
    NX_TRY(nx_disk_make_directory(disk, path.ptr, err));
    nx_buf_truncate(&path, path.len - 1);
    nx_buf_append_c(&path, "/");
    if (name != NULL) {
        append_name(&path, nx_str_from_c(name));
    } else {
        append_name(&path, making->function);
        nx_buf_append_c(&path, "-");
        append_name(&path, nx_str_from_c(nx_args_value(args, "from")));
    }
    nx_buf_append_c(&path, ".json");
    nx_buf_append_u8(&path, 0);
    NX_TRY(nx_buf_check(&path, err));
    const char *shown = strncmp(path.ptr, "./", 2) == 0 ? path.ptr + 2 : path.ptr;
    const enum nx_status found = nx_disk_read_file(disk, path.ptr, &before, NULL);
    if (found != NX_NOT_FOUND && !nx_args_has(args, "update")) {
        (void)nx_fail(err, NX_ALREADY_EXISTS, "there is %s already; nothing was written", shown);
        nx_hint(err, "give it another name: --name NAME; or replace it: --update");
        return NX_ALREADY_EXISTS;
    }
    NX_TRY(nx_disk_write_file(disk, path.ptr, nx_buf_str(&making->text), err));
    (void)printf("OK %s: the call as it was recorded; nexus test runs it\n", shown);
    warn_of_person(making, shown);
    return NX_OK;
}

static enum nx_status make(struct nx_args *args, struct nx_error *err) {
    NX_AUTO(nx_source) source = { 0 };
    struct making making = { 0 };
    NX_TRY(nx_source_open_directory(args, &source, err));
    NX_TRY(nx_function_name_check("--function", nx_args_value(args, "function"), &source, err));
    nx_buf_init(&making.text, NX_FIXTURE_SIZE_MAX);
    nx_arena_init(&making.arena, KEYS_SIZE_MAX);
    making.config = source.config;
    enum nx_status status = replay_one(args, &source, &making, err);
    if (status == NX_OK) {
        status =
            write_fixture(args, &making, source.config == NULL ? NX_STR(".") : source.config->folder, err);
    }
    nx_buf_fini(&making.text);
    nx_arena_fini(&making.arena);
    return status;
}

/* Fixtures are run. */

struct running {
    struct nx_args *args;
    struct nx_config *config;
    struct nx_engine *engine;
    struct nx_module **modules; /* of the functions that were needed, by their place in the configuration */
    bool json;
    struct nx_buf out;
    struct nx_json_writer writer;
    size_t total;
    size_t failed_count;
    size_t differing_count; /* of the failed ones: those that ran */
    size_t updated_count;
};

/* Keys that the function asked for and the fixture does not name. */
struct unknown_keys {
    struct nx_buf names; /* varint length and bytes, each */
};

static void ask_key(void *data, struct nx_call *call, struct nx_str key) {
    struct unknown_keys *unknown = data;
    nx_buf_append_varint_bytes(&unknown->names, key);
    nx_call_provide_kv(call, false, NX_STR_EMPTY, 0);
}

static enum nx_status module_of(struct running *running, const struct nx_function *function,
                                struct nx_module **module_out, struct nx_error *err) {
    struct nx_module **slot = &running->modules[function - running->config->functions];
    NX_AUTO(nx_buf) wasm = { 0 };
    if (*slot == NULL) {
        nx_buf_init(&wasm, NX_MODULE_SIZE_MAX);
        NX_TRY(nx_code_read(nx_disk_system(), function, &wasm, err));
        NX_TRY(nx_module_load(running->engine, nx_buf_str(&wasm), function->memory_max, slot, err));
    }
    *module_out = *slot;
    return NX_OK;
}

static enum nx_status run_call(struct running *running, const struct nx_fixture *fixture,
                               const struct nx_function *function, struct nx_buf *input, struct nx_buf *tape,
                               const struct nx_host_ops *ops, struct nx_call **call_out,
                               struct nx_error *err) {
    struct nx_call_options options = { .mode = NX_CALL_COMPARE, .policy = NX_COMPARE_READ_ONLY, .ops = ops };
    NX_TRY(module_of(running, function, &options.module, err));
    NX_TRY(nx_fixture_to_tape(fixture, function, tape, err));
    if (function->input_is_data) {
        nx_buf_append(input, fixture->event.data);
    } else {
        nx_cloudevent_to_json(input, &fixture->event);
    }
    NX_TRY(nx_buf_check(input, err));
    options.input = nx_buf_str(input);
    options.tape = nx_buf_str(tape);
    NX_TRY(nx_call_new(&options, call_out, err));
    while (nx_call_step(*call_out, (struct nx_now){ 0 }) != NX_CALL_DONE) {
    }
    return NX_OK;
}

static void show_differences(struct running *running, const struct nx_fixture_parts *expected,
                             const struct nx_fixture_parts *actual) {
    char removed[32];
    char added[32];
    (void)snprintf(removed, sizeof removed, "%s- ", nx_terminal_colour(stdout, NX_COLOUR_RED));
    (void)snprintf(added, sizeof added, "%s+ ", nx_terminal_colour(stdout, NX_COLOUR_GREEN));
    const struct nx_diff_options options = {
        .indent = "    ", .removed = removed, .added = added, .end = nx_terminal_plain(stdout)
    };
    for (unsigned i = 0; i < NX_FIXTURE_PART_COUNT; i++) {
        const struct nx_str before = nx_buf_str(&expected->text[i]);
        const struct nx_str after = nx_buf_str(&actual->text[i]);
        if (expected->has[i] && !nx_str_equal(before, after)) {
            nx_buf_append_format(&running->out, "  %s (- expected, + is)\n",
                                 nx_fixture_part_name((enum nx_fixture_part)i));
            nx_diff_append(&running->out, before, after, &options);
        }
    }
}

static void write_differences(struct running *running, const struct nx_fixture_parts *expected,
                              const struct nx_fixture_parts *actual) {
    nx_json_key(&running->writer, NX_STR("differences"));
    nx_json_array_begin(&running->writer);
    for (unsigned i = 0; i < NX_FIXTURE_PART_COUNT; i++) {
        const struct nx_str before = nx_buf_str(&expected->text[i]);
        const struct nx_str after = nx_buf_str(&actual->text[i]);
        if (expected->has[i] && !nx_str_equal(before, after)) {
            nx_json_object_begin(&running->writer);
            nx_json_member_c(&running->writer, "part", nx_fixture_part_name((enum nx_fixture_part)i));
            nx_json_member_str(&running->writer, "expected", before);
            nx_json_member_str(&running->writer, "actual", after);
            nx_json_object_end(&running->writer);
        }
    }
    nx_json_array_end(&running->writer);
}

static bool is_same(const struct nx_fixture_parts *expected, const struct nx_fixture_parts *actual) {
    for (unsigned i = 0; i < NX_FIXTURE_PART_COUNT; i++) {
        if (expected->has[i] && !nx_str_equal(nx_buf_str(&expected->text[i]), nx_buf_str(&actual->text[i]))) {
            return false;
        }
    }
    return true;
}

static void tell_keys(struct running *running, struct nx_str names) {
    struct nx_reader reader = nx_reader_of(names);
    while (nx_reader_left(&reader) > 0) {
        const struct nx_str key = nx_reader_varint_bytes(&reader);
        if (running->json) {
            nx_json_string(&running->writer, key);
        } else {
            nx_buf_append_format(
                &running->out,
                "  it read the key '%.*s', which the fixture does not know: it was told that "
                "there is none\n",
                NX_STR_ARG(key));
        }
    }
}

/* What was found of one fixture. */
struct finding {
    const char *path;
    struct nx_str function;
    const struct nx_call_result *result;
    struct nx_fixture_parts expected;
    struct nx_fixture_parts actual;
    struct unknown_keys unknown;
    bool is_good;
    bool is_updated;
};

static void tell(struct running *running, const struct finding *finding) {
    struct nx_buf *out = &running->out;
    if (running->json) {
        nx_json_object_begin(&running->writer);
        nx_json_member_c(&running->writer, "file", finding->path);
        nx_json_member_str(&running->writer, "function", finding->function);
        nx_json_member_bool(&running->writer, "ok", finding->is_good);
        nx_json_member_bool(&running->writer, "updated", finding->is_updated);
        write_differences(running, &finding->expected, &finding->actual);
        nx_json_key(&running->writer, NX_STR("unknown_keys"));
        nx_json_array_begin(&running->writer);
        tell_keys(running, nx_buf_str(&finding->unknown.names));
        nx_json_array_end(&running->writer);
        nx_json_object_end(&running->writer);
        return;
    }
    if (finding->is_updated) {
        nx_buf_append_format(out, "OK %s: updated\n", finding->path);
    } else if (finding->is_good) {
        nx_buf_append_format(out, "OK %s\n", finding->path);
    } else {
        nx_buf_append_format(out, "%sFAIL%s %s: %.*s does something else\n",
                             nx_terminal_colour(stdout, NX_COLOUR_RED), nx_terminal_plain(stdout),
                             finding->path, NX_STR_ARG(finding->function));
        show_differences(running, &finding->expected, &finding->actual);
        if (finding->result->error.len > 0) {
            nx_buf_append_format(out, "  it ended as %s: %.*s\n", nx_outcome_name(finding->result->outcome),
                                 NX_STR_ARG(finding->result->error));
        }
        tell_keys(running, nx_buf_str(&finding->unknown.names));
    }
}

static enum nx_status judge(struct running *running, const struct nx_fixture *fixture,
                            struct finding *finding, const struct nx_call *call, struct nx_error *err) {
    NX_AUTO(nx_buf) text = { 0 };
    finding->result = nx_call_result(call);
    NX_TRY(nx_fixture_expected(fixture, &finding->expected, err));
    nx_fixture_actual(finding->result, &finding->actual);
    finding->is_good = is_same(&finding->expected, &finding->actual);
    if (!finding->is_good && nx_args_has(running->args, "update")) {
        nx_buf_init(&text, NX_FIXTURE_SIZE_MAX);
        nx_fixture_update(fixture, finding->result, &text);
        NX_TRY(nx_buf_check(&text, err));
        NX_TRY(nx_disk_write_file(nx_disk_system(), finding->path, nx_buf_str(&text), err));
        finding->is_good = finding->is_updated = true;
        running->updated_count++;
    }
    running->failed_count += finding->is_good ? 0 : 1;
    running->differing_count += finding->is_good ? 0 : 1;
    tell(running, finding);
    return NX_OK;
}

static enum nx_status run_fixture(struct running *running, const struct nx_fixture *fixture, const char *path,
                                  struct nx_error *err) {
    struct finding finding = { .path = path, .function = fixture->function };
    const struct nx_function *function = find_function(running->config, fixture->function);
    NX_AUTO(nx_buf) input = { 0 };
    NX_AUTO(nx_buf) tape = { 0 };
    NX_AUTO(nx_call) *call = NULL;
    const struct nx_host_ops ops = { .data = &finding.unknown, .kv_get = ask_key };
    if (function == NULL) {
        return nx_fail(err, NX_NOT_FOUND, "%.*s has no function '%.*s'", NX_STR_ARG(running->config->file),
                       NX_STR_ARG(nx_str_slice(fixture->function, 0, 128)));
    }
    nx_buf_init(&input, NX_EVENT_INPUT_SIZE_MAX);
    nx_buf_init(&tape, NX_TAPE_SIZE_MAX);
    nx_buf_init(&finding.unknown.names, KEYS_SIZE_MAX);
    nx_fixture_parts_init(&finding.expected);
    nx_fixture_parts_init(&finding.actual);
    enum nx_status status = run_call(running, fixture, function, &input, &tape, &ops, &call, err);
    if (status == NX_OK) {
        status = judge(running, fixture, &finding, call, err);
    }
    nx_fixture_parts_fini(&finding.expected);
    nx_fixture_parts_fini(&finding.actual);
    nx_buf_fini(&finding.unknown.names);
    return status;
}

/* A fixture that cannot be run is told, and the others are run. */
static void tell_wrong(struct running *running, const char *path, const struct nx_error *why) {
    running->failed_count++;
    if (running->json) {
        nx_json_object_begin(&running->writer);
        nx_json_member_c(&running->writer, "file", path);
        nx_json_member_bool(&running->writer, "ok", false);
        nx_json_member_c(&running->writer, "error", why->message);
        nx_json_member_c(&running->writer, "hint", why->hint);
        nx_json_object_end(&running->writer);
    } else {
        nx_buf_append_format(&running->out, "%sFAIL%s %s: %s%s%s\n",
                             nx_terminal_colour(stdout, NX_COLOUR_RED), nx_terminal_plain(stdout), path,
                             why->message, why->hint[0] == '\0' ? "" : "\n  hint: ", why->hint);
    }
}

static void run_file(struct running *running, const char *path) {
    const char *only = nx_args_value(running->args, "function");
    NX_AUTO(nx_fixture) fixture = { 0 };
    NX_AUTO(nx_buf) text = { 0 };
    struct nx_error error = { 0 };
    nx_buf_init(&text, NX_FIXTURE_SIZE_MAX);
    enum nx_status status = nx_disk_read_file(nx_disk_system(), path, &text, &error);
    if (status == NX_OK) {
        status = nx_fixture_parse(nx_buf_str(&text), &fixture, &error);
    }
    if (status == NX_OK && only != NULL && !nx_str_is(fixture.function, only)) {
        return;
    }
    running->total++;
    if (status == NX_OK) {
        status = run_fixture(running, &fixture, path, &error);
    }
    if (status != NX_OK) {
        tell_wrong(running, path, &error);
    }
}

struct listing {
    struct nx_arena arena;
    const char *names[FIXTURES_MAX];
    size_t count;
};

static bool note_entry(void *data, const struct nx_disk_entry *entry) {
    struct listing *listing = data;
    const struct nx_str name = entry->name;
    if (nx_str_ends_with(name, NX_STR(".json")) && name.ptr[0] != '.' && listing->count < FIXTURES_MAX) {
        listing->names[listing->count++] = nx_arena_copy(&listing->arena, name).ptr;
    }
    return true;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_wanted(const struct nx_args *args, const char *name) {
    const struct nx_str stem = nx_str_slice(nx_str_from_c(name), 0, strlen(name) - strlen(".json"));
    for (size_t i = 0; i < args->word_count; i++) {
        const char *slash = strrchr(args->words[i], '/');
        const char *word = slash == NULL ? args->words[i] : slash + 1;
        if (strcmp(word, name) == 0 || nx_str_is(stem, word)) {
            return true;
        }
    }
    return args->word_count == 0;
}

static enum nx_status run_all(struct running *running, struct nx_error *err) {
    char path[PATH_SIZE_MAX];
    struct listing *listing = calloc(1, sizeof *listing);
    const struct nx_str folder = running->config->folder;
    if (listing == NULL) {
        return nx_fail_memory(err);
    }
    nx_arena_init(&listing->arena, KEYS_SIZE_MAX);
    (void)snprintf(path, sizeof path, "%.*s/fixtures", NX_STR_ARG(folder));
    const enum nx_status status = nx_disk_list(nx_disk_system(), path, note_entry, listing, err);
    qsort(listing->names, listing->count, sizeof listing->names[0], by_name);
    for (size_t i = 0; i < listing->count; i++) {
        if (is_wanted(running->args, listing->names[i])) {
            (void)snprintf(path, sizeof path, "%.*s%sfixtures/%s", NX_STR_ARG(folder),
                           nx_str_is(folder, ".") ? "" : "/", listing->names[i]);
            run_file(running, nx_str_is(folder, ".") ? path + 1 : path);
        }
    }
    nx_arena_fini(&listing->arena);
    free(listing);
    return status == NX_NOT_FOUND ? NX_OK : status;
}

static void tell_end(struct running *running, int64_t elapsed_ns) {
    const double ms = (double)elapsed_ns / NX_NS_PER_MS;
    const char *plural = running->total == 1 ? "" : "s";
    if (running->total == 0) {
        nx_buf_append_c(&running->out,
                        "Nothing to test: no such fixture in fixtures/. Make one of a recorded "
                        "call by: nexus test --from ID\n");
    } else if (running->failed_count > 0) {
        nx_buf_append_format(
            &running->out, "FAIL %zu of %zu fixture%s in %.1fms%s\n", running->failed_count, running->total,
            plural, ms,
            running->differing_count > 0 ? "; if that is as it should be: nexus test --update" : "");
    } else {
        nx_buf_append_format(&running->out, "OK %zu fixture%s in %.1fms\n", running->total, plural, ms);
    }
}

static enum nx_status run_project(struct running *running, struct nx_error *err) {
    const struct nx_clock clock = nx_clock_system();
    const int64_t began_ns = nx_clock_read(&clock).monotonic_ns;
    NX_TRY(nx_code_open_engine(running->config, &running->engine, err));
    running->modules = calloc(running->config->function_count + 1, sizeof(struct nx_module *));
    if (running->modules == NULL) {
        return nx_fail_memory(err);
    }
    if (running->json) {
        nx_json_writer_init(&running->writer, &running->out);
        nx_json_object_begin(&running->writer);
        nx_json_key(&running->writer, NX_STR("fixtures"));
        nx_json_array_begin(&running->writer);
    }
    NX_TRY(run_all(running, err));
    if (running->json) {
        nx_json_array_end(&running->writer);
        nx_json_member_u64(&running->writer, "total", running->total);
        nx_json_member_u64(&running->writer, "failed", running->failed_count);
        nx_json_member_u64(&running->writer, "updated", running->updated_count);
        nx_json_object_end(&running->writer);
        nx_json_writer_end(&running->writer);
        nx_buf_append_c(&running->out, "\n");
    } else {
        tell_end(running, nx_clock_read(&clock).monotonic_ns - began_ns);
    }
    NX_TRY(nx_buf_check(&running->out, err));
    (void)fwrite(running->out.ptr, 1, running->out.len, stdout);
    return NX_OK;
}

static enum nx_status test(struct nx_args *args, bool json, struct nx_error *err) {
    NX_AUTO(nx_config) *config = NULL;
    const char *file = nx_args_value(args, "config");
    struct running running = { .args = args, .json = json };
    NX_TRY(nx_config_load_and_explain(file == NULL ? "nexus.yaml" : file, &config, err));
    NX_TRY(nx_function_name_check_config(nx_args_value(args, "function"), config, err));
    running.config = config;
    nx_buf_init(&running.out, OUTPUT_SIZE_MAX);
    const enum nx_status status = run_project(&running, err);
    for (size_t i = 0; running.modules != NULL && i < config->function_count; i++) {
        nx_module_unref(running.modules[i]);
    }
    free(running.modules);
    nx_engine_unref(running.engine);
    nx_buf_fini(&running.out);
    if (running.failed_count > 0 || running.total == 0) {
        args->exit_status = NX_EXIT_FAILED;
    }
    return status;
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    const bool makes = nx_args_has(args, "from");
    bool json;
    NX_TRY(nx_args_output_is_json(args, &json, err));
    if (makes && args->word_count > 0) {
        return nx_args_fail(args, err, "--from makes a fixture and runs none: what is '%s'?", args->words[0]);
    }
    if (!makes && nx_args_has(args, "name")) {
        return nx_args_fail(args, err, "--name is the name of what --from makes");
    }
    return makes ? make(args, err) : test(args, json, err);
}

const struct nx_command nx_command_test = {
    .name = "test",
    .words = "[FIXTURE]...",
    .summary = "run the project's fixtures against its built modules",
    .text = "A fixture is a call as a file, fixtures/NAME.json: the event, the answers of the world, and "
            "what the\n"
            "function must do. Any recorded call becomes one by --from; it is made to be read and edited. No "
            "server\n"
            "is needed. Exit status 0 when every fixture came out as expected, 1 when not or there is none.",
    .example = "nexus test\n"
               "nexus test --from 01JDN4ZQ8R7V5T3K2M1N0P9Q8R --name first-visit\n"
               "nexus test first-visit --update",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .word_count_max = NX_WORDS_MAX,
    .run = run,
};
