/* src/platform/function/guest_script.h: guests for tests: a module's bytes are the name of what it does.
 *
 *   "echo"     prints its standard input          "fail"    publishes "never", sets a key, and exits with 1
 *   "count"    adds one to the key "count"        "publish" publishes its input as an event of type "made"
 *   "flaky"    fails half of its calls, at random "sleep"   waits 10 ms, then echoes
 *   "tally"    adds one to the key that is its event's id
 *   "created"  echoes, as an answer of 201
 *   "large"    prints more than a record takes, or its tape is as long, or both, or neither, by its event
 *
 * Header only: included by unit tests and by the simulated world, never by the product. */
#pragma once

#include <stdio.h>

#include "base/assert.h"
#include "codec/digest.h"
#include "platform/function/guest.h"

struct nx_module {
    char script[32];
};

struct nx_call {
    struct nx_call_options options;
    char script[32];
    char event_id[64];
    unsigned steps;
    int64_t wake_ns;
    bool key_asked;
    bool key_given;
    char value[32];
    uint64_t version;
    struct nx_call_result result;
    struct nx_call_log_line line;
    struct nx_call_publish publish;
    struct nx_call_kv_write write;
    struct nx_call_kv_read read;
    char *blob; /* of "large" */
};

__attribute__((unused)) static enum nx_status script_module_load(void *data, struct nx_str wasm,
                                                                 uint64_t memory_max,
                                                                 struct nx_module **module_out,
                                                                 struct nx_error *err) {
    (void)data;
    (void)memory_max;
    struct nx_module *module = calloc(1, sizeof *module);
    if (module == NULL) {
        return nx_fail_memory(err);
    }
    (void)snprintf(module->script, sizeof module->script, "%.*s", NX_STR_ARG(wasm));
    *module_out = module;
    return NX_OK;
}

__attribute__((unused)) static void script_module_unref(struct nx_module *module) {
    free(module);
}

__attribute__((unused)) static enum nx_status script_call_new(void *data,
                                                              const struct nx_call_options *options,
                                                              struct nx_call **call_out,
                                                              struct nx_error *err) {
    (void)data;
    struct nx_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return nx_fail_memory(err);
    }
    call->options = *options;
    (void)snprintf(call->script, sizeof call->script, "%s", options->module->script);
    (void)snprintf(call->event_id, sizeof call->event_id, "%.*s", NX_STR_ARG(options->identity.event_id));
    *call_out = call;
    return NX_OK;
}

static inline bool script_is(const struct nx_call *call, const char *name) {
    return strcmp(call->script, name) == 0;
}

static inline void script_end(struct nx_call *call, bool is_ok) {
    struct nx_call_result *result = &call->result;
    result->outcome = is_ok ? NX_OUTCOME_OK : NX_OUTCOME_EXIT;
    result->exit_code = is_ok ? 0 : 1;
    result->error = is_ok ? NX_STR_EMPTY : NX_STR("exited with 1");
    result->replayable = true;
    result->fuel_used = 1000;
    result->tape = NX_STR("tape");
    call->line = (struct nx_call_log_line){ .time_ns = result->start_time_ns,
                                            .level = NX_LOG_INFO,
                                            .text = NX_STR("called") };
    result->log_lines = &call->line;
    result->log_line_count = 1;
}

/* Add one to a key; first the library is asked for it. */
static inline enum nx_call_state script_count(struct nx_call *call, struct nx_str key) {
    if (!call->key_asked) {
        call->key_asked = true;
        call->read.key = key;
        call->options.ops->kv_get(call->options.ops->data, call, key);
        return call->key_given ? NX_CALL_RUNNING : NX_CALL_WAITING;
    }
    if (!call->key_given) {
        return NX_CALL_WAITING;
    }
    uint64_t number = 0;
    (void)nx_str_to_u64(nx_str_from_c(call->value), &number);
    char text[sizeof call->value];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)number + 1);
    memcpy(call->value, text, sizeof text);
    call->read.version = call->version;
    call->write = (struct nx_call_kv_write){ .key = key, .value = nx_str_from_c(call->value) };
    call->result.kv_reads = &call->read;
    call->result.kv_read_count = 1;
    call->result.kv_writes = &call->write;
    call->result.kv_write_count = 1;
    script_end(call, true);
    return NX_CALL_DONE;
}

enum { SCRIPT_LARGE_SIZE = 130 * 1024 };

/* Other bytes for each event. */
static inline void script_large(struct nx_call *call) {
    uint64_t state = 88172645463325252ULL;
    for (const char *at = call->event_id; *at != '\0'; at++) {
        state = (state ^ (uint64_t)(unsigned char)*at) * 1099511628211ULL;
    }
    const unsigned kind = (unsigned)(state >> 62);
    call->blob = kind == 0 ? NULL : malloc(SCRIPT_LARGE_SIZE);
    for (size_t i = 0; call->blob != NULL && i < SCRIPT_LARGE_SIZE; i++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        call->blob[i] = (char)(state >> 56);
    }
    if (call->blob != NULL && (kind & 1) != 0) {
        call->result.output = nx_str_of(call->blob, SCRIPT_LARGE_SIZE - 1024);
    }
    if (call->blob != NULL && (kind & 2) != 0) {
        call->result.tape = nx_str_of(call->blob + 512, SCRIPT_LARGE_SIZE - 1024);
    }
}

__attribute__((unused)) static enum nx_call_state script_call_step(struct nx_call *call, struct nx_now now) {
    if (call->steps++ == 0) {
        call->result.start_time_ns = now.wall_ns;
        call->wake_ns = now.monotonic_ns + 10 * NX_NS_PER_MS;
        return script_is(call, "sleep") ? NX_CALL_WAITING : NX_CALL_RUNNING;
    }
    if (script_is(call, "sleep") && now.monotonic_ns < call->wake_ns) {
        return NX_CALL_WAITING;
    }
    if (script_is(call, "count")) {
        return script_count(call, NX_STR("count"));
    }
    if (script_is(call, "tally")) {
        return script_count(call, nx_str_from_c(call->event_id));
    }
    call->result.output = call->options.input;
    if (script_is(call, "created")) {
        call->result.response =
            (struct nx_call_response){ .status = 201, .headers = NX_STR("location: /1\r\n") };
    }
    if (script_is(call, "publish")) {
        call->publish = (struct nx_call_publish){ .type = NX_STR("made"), .data = NX_STR("{}") };
        call->result.publishes = &call->publish;
        call->result.publish_count = 1;
    }
    if (script_is(call, "fail")) {
        /* A failed call's effects must not happen. */
        call->publish = (struct nx_call_publish){ .type = NX_STR("never"), .data = NX_STR("{}") };
        call->write = (struct nx_call_kv_write){ .key = NX_STR("never"), .value = NX_STR("1") };
        call->result.publishes = &call->publish;
        call->result.publish_count = 1;
        call->result.kv_writes = &call->write;
        call->result.kv_write_count = 1;
    }
    const bool is_flaky = script_is(call, "flaky") && (nx_random_u64(&call->options.random) & 1) != 0;
    script_end(call, !script_is(call, "fail") && !is_flaky);
    if (script_is(call, "large")) {
        script_large(call);
    }
    return NX_CALL_DONE;
}

__attribute__((unused)) static int64_t script_call_wake_ns(const struct nx_call *call) {
    return script_is(call, "sleep") ? call->wake_ns : INT64_MAX;
}

__attribute__((unused)) static void script_provide_kv(struct nx_call *call, bool found, struct nx_str value,
                                                      uint64_t version) {
    call->key_given = true;
    (void)snprintf(call->value, sizeof call->value, "%.*s", NX_STR_ARG(found ? value : NX_STR_EMPTY));
    call->version = version;
}

__attribute__((unused)) static void script_provide_kv_error(struct nx_call *call,
                                                            const struct nx_error *why) {
    (void)why;
    call->key_given = true;
}

__attribute__((unused)) static const struct nx_call_result *script_call_result(const struct nx_call *call) {
    return &call->result;
}

__attribute__((unused)) static void script_call_free(struct nx_call *call) {
    if (call != NULL) {
        free(call->blob);
    }
    free(call);
}

#define NX_GUEST_SCRIPT                                                                                      \
    {                                                                                                        \
        .module_load = script_module_load, .module_unref = script_module_unref, .call_new = script_call_new, \
        .call_step = script_call_step, .call_wake_ns = script_call_wake_ns,                                  \
        .call_provide_kv = script_provide_kv, .call_provide_kv_error = script_provide_kv_error,              \
        .call_result = script_call_result, .call_free = script_call_free,                                    \
    }
