/* fuzz/config_fuzz.c: any text is either a configuration that holds what the rest relies on, or a list of
 * mistakes, each with its place; a report of a replay is read within its bytes. */
#include "app/config.h"
#include "app/replay_answer.h"
#include "base/assert.h"
#include "fuzz.h"

/* As in yaml_fuzz.c. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libfyaml.so";
}

static void check_function(const struct nx_function *function) {
    nx_assert(function->name.len > 0 && function->name.len <= NX_FUNCTION_NAME_SIZE_MAX);
    nx_assert(function->trigger_count > 0 && function->trigger_count <= NX_FUNCTION_TRIGGERS_MAX);
    for (size_t i = 0; i < function->trigger_count; i++) {
        const struct nx_trigger *trigger = &function->triggers[i];
        nx_assert(trigger->event_type.len > 0);
        nx_assert(trigger->kind != NX_TRIGGER_HTTP || (trigger->path.len > 0 && trigger->path.ptr[0] == '/'));
        nx_assert(trigger->kind != NX_TRIGGER_HTTP || trigger->method.len > 0);
    }
    nx_assert(function->code_path.len > 0);
    nx_assert(function->timeout_ns > 0);
    nx_assert(function->memory_max >= 65536);
    nx_assert(function->env_count <= NX_FUNCTION_ENV_MAX);
    nx_assert(function->retry.attempts_max >= 1);
    nx_assert(function->retry.backoff_ns <= function->retry.backoff_max_ns);
    nx_assert(function->concurrency_max >= 1);
}

static void check_config(struct nx_str text) {
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) problems = { 0 };
    const struct nx_str file = NX_STR("nexus.yaml");
    struct nx_str line;

    nx_buf_init(&problems, NX_CONFIG_PROBLEMS_SIZE_MAX);
    if (nx_config_parse(file, text, &config, &problems, NULL) == NX_OK) {
        nx_assert(problems.len == 0);
        nx_assert(config->data.len > 0);
        for (size_t i = 0; i < config->function_count; i++) {
            check_function(&config->functions[i]);
        }
        return;
    }
    nx_assert(config == NULL);
    struct nx_str rest = nx_buf_str(&problems);
    while (nx_str_split(&rest, '\n', &line)) {
        nx_assert(line.len == 0 || nx_str_starts_with(line, file));
    }
}

static void check_answers(struct nx_str bytes) {
    struct nx_replay_report report;

    nx_replay_report_init(&report);
    if (nx_replay_parse(bytes, &report, NULL) == NX_OK) {
        nx_assert(report.items != NULL);
    }
    nx_replay_report_fini(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_config(nx_str_of(data, size));
    check_answers(nx_str_of(data, size));
    return 0;
}
