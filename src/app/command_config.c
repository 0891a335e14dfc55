/* src/app/command_config.c: nexus config: check nexus.yaml, and show what it comes to. */
#include "app/commands.h"

#include <inttypes.h>
#include <stdio.h>

#include "app/config.h"
#include "app/templates.h"
#include "codec/json.h"
#include "codec/time_format.h"
#include "platform/function/trigger.h"

enum { OUTPUT_SIZE_MAX = 4 * 1024 * 1024 };

static const struct nx_flag flags[] = {
    { .name = "config", .value = "FILE", .help = "instead of ./nexus.yaml" },
    { .name = "output", .value = "FORMAT", .help = "text (default) or json" },
    { .name = "schema", .help = "print the JSON Schema of nexus.yaml instead, for editors" },
};

/* Who may connect, without anybody's secret. */
static void describe_nats(struct nx_buf *out, const struct nx_config *config) {
    const struct nx_nats_options *nats = &config->nats_options;
    if (config->nats.host.len == 0) {
        return;
    }
    nx_buf_append_format(out, "  nats     nats://%.*s:%u, for ", NX_STR_ARG(config->nats.host),
                         (unsigned)config->nats.port);
    if (nats->user_count > 0) {
        nx_buf_append_format(out, "%zu user%s", nats->user_count, nats->user_count == 1 ? "" : "s");
    } else {
        nx_buf_append_c(out, nats->token.len > 0 ? "who has the token" : "everybody");
    }
    nx_buf_append_c(out, nats->tls.cert_file == NULL ? "\n" : ", by TLS\n");
}

static void write_text(struct nx_buf *out, const struct nx_config *config) {
    nx_buf_append_format(out, "OK %.*s has no mistakes\n  http     http://%.*s:%u\n",
                         NX_STR_ARG(config->file), NX_STR_ARG(config->http.host),
                         (unsigned)config->http.port);
    describe_nats(out, config);
    nx_buf_append_format(out, "  data     %.*s, at most ", NX_STR_ARG(config->data));
    nx_size_format(out, config->disk_budget);
    nx_buf_append_c(out, "\n");
    for (size_t i = 0; i < config->function_count; i++) {
        const struct nx_function *function = &config->functions[i];
        nx_buf_append_format(out, "  function %.*s: ", NX_STR_ARG(function->name));
        for (size_t j = 0; j < function->trigger_count; j++) {
            nx_buf_append_c(out, j == 0 ? "" : ", ");
            nx_trigger_describe(out, &function->triggers[j]);
        }
        nx_buf_append_format(out, "\n           code %.*s, at most ", NX_STR_ARG(function->code_path));
        nx_duration_format(out, function->timeout_ns);
        nx_buf_append_c(out, " and ");
        nx_size_format(out, function->memory_max);
        nx_buf_append_format(out, ", %" PRIu32 " attempts, %" PRIu32 " at once\n",
                             function->retry.attempts_max, function->concurrency_max);
    }
}

static void write_function(struct nx_json_writer *json, const struct nx_function *function) {
    nx_json_object_begin(json);
    nx_json_member_str(json, "name", function->name);
    nx_triggers_write(json, function);
    nx_json_member_str(json, "code", function->code_path);
    nx_json_member_str(json, "build", function->build_command);
    nx_json_member_i64(json, "timeout_ns", function->timeout_ns);
    nx_json_member_u64(json, "memory", function->memory_max);
    nx_json_member_u64(json, "max_attempts", function->retry.attempts_max);
    nx_json_member_u64(json, "max_concurrency", function->concurrency_max);
    nx_json_member_str(json, "order_key", function->order_key);
    nx_json_member_c(json, "input", function->input_is_data ? "data" : "event");
    nx_json_member_c(json, "values", function->values_are_about ? "person" : "shared");
    nx_json_object_end(json);
}

static void write_json(struct nx_buf *out, const struct nx_config *config) {
    struct nx_json_writer json;

    nx_json_writer_init(&json, out);
    nx_json_object_begin(&json);
    nx_json_member_str(&json, "file", config->file);
    nx_json_member_str(&json, "project", config->project);
    nx_json_member_str(&json, "http_host", config->http.host);
    nx_json_member_u64(&json, "http_port", config->http.port);
    if (config->nats.host.len > 0) {
        nx_json_member_str(&json, "nats_host", config->nats.host);
        nx_json_member_u64(&json, "nats_port", config->nats.port);
        nx_json_member_u64(&json, "nats_users", config->nats_options.user_count);
        nx_json_member_bool(&json, "nats_tls", config->nats_options.tls.cert_file != NULL);
    }
    nx_json_member_str(&json, "data", config->data);
    nx_json_member_u64(&json, "disk_budget", config->disk_budget);
    nx_json_key(&json, NX_STR("functions"));
    nx_json_array_begin(&json);
    for (size_t i = 0; i < config->function_count; i++) {
        write_function(&json, &config->functions[i]);
    }
    nx_json_array_end(&json);
    nx_json_object_end(&json);
    nx_json_writer_end(&json);
    nx_buf_append_c(out, "\n");
}

/* What nexus new writes beside nexus.yaml. */
static enum nx_status print_schema(struct nx_args *args, struct nx_error *err) {
    if (nx_args_has(args, "config") || nx_args_has(args, "output")) {
        return nx_args_fail(args, err, "--schema is the same for every file: it goes alone");
    }
    for (size_t i = 0; i < nx_template_count; i++) {
        if (nx_str_is(NX_STR("nexus.schema.json"), nx_templates[i].path)) {
            (void)fwrite(nx_templates[i].text, 1, nx_templates[i].size, stdout);
            break;
        }
    }
    return NX_OK;
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) out = { 0 };
    const char *file = nx_args_value(args, "config");
    bool json;

    if (nx_args_has(args, "schema")) {
        return print_schema(args, err);
    }
    nx_buf_init(&out, OUTPUT_SIZE_MAX);
    NX_TRY(nx_args_output_is_json(args, &json, err));
    NX_TRY(nx_config_load_and_explain(file == NULL ? "nexus.yaml" : file, &config, err));
    if (json) {
        write_json(&out, config);
    } else {
        write_text(&out, config);
    }
    NX_TRY(nx_buf_check(&out, err));
    (void)fwrite(out.ptr, 1, out.len, stdout);
    return NX_OK;
}

const struct nx_command nx_command_config = {
    .name = "config",
    .summary = "check nexus.yaml and show what it comes to",
    .text =
        "Every mistake is named at once, with its file, line and column. Exit status 1 when there is one.",
    .example = "nexus config --output json\n"
               "nexus config --schema > nexus.schema.json",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .run = run,
};
