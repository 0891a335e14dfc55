/* src/sandbox/sandbox_test.h: for this layer's tests: real guests, run to their end. */
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "io/file.h"
#include "sandbox/instance/call.h"

/* Traps of guests are signals, which Wasmtime handles from the first engine on; cmocka puts its own handlers
 * in their place around every test and fixture. So keep Wasmtime's, and put them back before a guest runs. */
static const int trap_signals[] = { SIGSEGV, SIGILL, SIGFPE, SIGBUS };
static struct sigaction trap_handlers[4];
static bool has_trap_handlers;

__attribute__((unused)) static void use_trap_handlers(void) {
    for (size_t i = 0; i < 4; i++) {
        if (has_trap_handlers) {
            (void)sigaction(trap_signals[i], &trap_handlers[i], NULL);
        } else {
            (void)sigaction(trap_signals[i], NULL, &trap_handlers[i]);
        }
    }
    has_trap_handlers = true;
}

__attribute__((unused)) static struct nx_engine *open_engine(const char *cache_directory) {
    static struct nx_random random;
    struct nx_engine *engine = NULL;
    struct nx_error err = { 0 };
    random = nx_random_system();
    const struct nx_engine_options options = {
        .disk = nx_disk_system(), .cache_directory = cache_directory, .random = &random, .calls_max = 64
    };
    if (nx_sandbox_open(&options, &engine, &err) != NX_OK) {
        fail_msg("%s", err.message);
    }
    use_trap_handlers();
    return engine;
}

/** The bytes of a guest that was built for the tests; the caller ends `wasm_out` with nx_buf_fini(). False
 * when it was not built, for want of a compiler. */
__attribute__((unused)) static bool read_guest(const char *name, struct nx_buf *wasm_out) {
    char path[4096];
    nx_buf_init(wasm_out, NX_MODULE_SIZE_MAX);
    (void)snprintf(path, sizeof path, "%s/%s.wasm", getenv("NX_GUESTS"), name);
    return nx_disk_read_file(nx_disk_system(), path, wasm_out, NULL) == NX_OK;
}

/** NULL when there is no such guest. */
__attribute__((unused)) static struct nx_module *load_guest(struct nx_engine *engine, const char *name) {
    NX_AUTO(nx_buf) wasm;
    struct nx_module *module = NULL;
    struct nx_error err = { 0 };
    if (!read_guest(name, &wasm)) {
        return NULL;
    }
    if (nx_module_load(engine, nx_buf_str(&wasm), 64 << 20, &module, &err) != NX_OK) {
        fail_msg("%s: %s", name, err.message);
    }
    return module;
}

__attribute__((unused)) static struct nx_call_options record_options(struct nx_module *module,
                                                                     struct nx_str input) {
    struct nx_call_options options = { .module = module,
                                       .mode = NX_CALL_RECORD,
                                       .input = input,
                                       .identity = { .trace_id = { 0xab, 1 },
                                                     .span_id = { 0xcd, 2 },
                                                     .trace_flags = 1,
                                                     .event_id = NX_STR("01JDN0VJ3QWYB4R0KSEFZ2T5MA"),
                                                     .original_time_ns = INT64_C(1764152625123456789) },
                                       .deadline_ns = INT64_MAX,
                                       .memory_max = 16 << 20,
                                       .clock = nx_clock_system(),
                                       .random = nx_random_system() };
    return options;
}

/** Step a call to its end, waiting as long as it says. */
__attribute__((unused)) static struct nx_call *run_call(const struct nx_call_options *options) {
    const struct nx_clock clock = nx_clock_system();
    struct nx_call *call = NULL;
    struct nx_error err = { 0 };
    use_trap_handlers();
    if (nx_call_new(options, &call, &err) != NX_OK) {
        fail_msg("%s", err.message);
    }
    while (nx_call_step(call, nx_clock_read(&clock)) != NX_CALL_DONE) {
    }
    return call;
}

/** Replay what a call recorded, and demand that nothing differs. */
__attribute__((unused)) static void assert_replays(const struct nx_call_options *options,
                                                   const struct nx_call *recorded) {
    struct nx_call_difference difference = { 0 };
    const struct nx_call_result *result = nx_call_result(recorded);
    const struct nx_call_options replay = {
        .module = options->module, .mode = NX_CALL_REPLAY, .input = options->input, .tape = result->tape
    };
    NX_AUTO(nx_call) *call = run_call(&replay);
    if (!nx_call_compare(result, nx_call_result(call), &difference)) {
        fail_msg("%s", difference.message);
    }
    assert_int_equal(nx_call_result(call)->host_call_count, result->host_call_count);
}

#define assert_str_equal(str, text)                                    \
    do {                                                               \
        const struct nx_str assert_str_ = (str);                       \
        assert_int_equal(assert_str_.len, strlen(text));               \
        assert_memory_equal(assert_str_.ptr, (text), assert_str_.len); \
    } while (0)
