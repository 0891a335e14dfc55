/* bench/sandbox_bench.c: what one call costs, ours with its tape beside the bare Wasmtime C API that does the
 * same: a fresh instance of an echo, fed and emptied through the same imports, with the same engine settings,
 * fuel counted. Rounds are interleaved, so that a noisy machine hurts both.
 *
 * Then what a misbehaving neighbour on the same worker costs the echo: both are stepped in turn, a slice
 * each.
 *
 *   sandbox_bench [rounds [calls in a round]] */
#include <stdio.h>
#include <stdlib.h>
#include <wasmtime.h>

#include "io/file.h"
#include "sandbox/instance/call.h"

extern const unsigned char guest_echo[];
extern const unsigned int guest_echo_len;
extern const unsigned char guest_misbehave[];
extern const unsigned int guest_misbehave_len;

enum { ROUNDS_MAX = 99, FUEL_SLICE = 100000 };

static struct nx_clock machine_clock;

static int64_t now_ns(void) {
    return nx_clock_read(&machine_clock).monotonic_ns;
}

static void die(const char *what) {
    (void)fprintf(stderr, "sandbox_bench: %s\n", what);
    exit(1);
}

static void check(wasmtime_error_t *error) {
    if (error != NULL) {
        wasm_name_t message;
        wasmtime_error_message(error, &message);
        (void)fprintf(stderr, "sandbox_bench: %.*s\n", (int)message.size, message.data);
        exit(1);
    }
}

/* The bare host: just enough of preview 1 for the echo, and nothing noted. */
struct bare {
    const uint8_t *input;
    size_t input_len;
    size_t input_at;
    uint8_t *output;
    size_t output_len;
    size_t output_max;
    wasmtime_context_t *context;
    wasmtime_memory_t memory;
    bool has_exited;
};

static uint8_t *bytes_at(struct bare *bare, uint64_t address, uint64_t len) {
    if (address + len > wasmtime_memory_data_size(bare->context, &bare->memory)) {
        die("out of bounds");
    }
    return wasmtime_memory_data(bare->context, &bare->memory) + address;
}

static wasm_trap_t *bare_read_or_write(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *args,
                                       size_t count) {
    struct bare *bare = wasmtime_context_get_data(wasmtime_caller_context(caller));
    uint32_t total = 0;
    (void)count;
    for (uint32_t i = 0; i < (uint32_t)args[2].i32; i++) {
        uint32_t iov[2];
        memcpy(iov, bytes_at(bare, (uint32_t)args[1].i32 + 8ull * i, 8), 8);
        if (env == NULL) {
            const size_t left = bare->input_len - bare->input_at;
            const size_t part = left < iov[1] ? left : iov[1];
            memcpy(bytes_at(bare, iov[0], part), bare->input + bare->input_at, part);
            bare->input_at += part;
            total += (uint32_t)part;
        } else if (iov[1] <= bare->output_max - bare->output_len) {
            memcpy(bare->output + bare->output_len, bytes_at(bare, iov[0], iov[1]), iov[1]);
            bare->output_len += iov[1];
            total += iov[1];
        }
    }
    memcpy(bytes_at(bare, (uint32_t)args[3].i32, 4), &total, 4);
    args[0].i32 = 0;
    return NULL;
}

static wasm_trap_t *bare_exit(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *args, size_t count) {
    struct bare *bare = wasmtime_context_get_data(wasmtime_caller_context(caller));
    (void)env;
    (void)args;
    (void)count;
    bare->has_exited = true;
    return wasmtime_trap_new("exit", 4);
}

static wasm_engine_t *bare_engine(void) {
    wasm_config_t *config = wasm_config_new();
    wasmtime_pooling_allocation_config_t *pool = wasmtime_pooling_allocation_config_new();
    wasmtime_config_consume_fuel_set(config, true);
    wasmtime_config_cranelift_nan_canonicalization_set(config, true);
    wasmtime_config_async_stack_size_set(config, 1024 * 1024);
    wasmtime_config_max_wasm_stack_set(config, 512 * 1024);
    wasmtime_pooling_allocation_config_total_core_instances_set(pool, 64);
    wasmtime_pooling_allocation_config_total_memories_set(pool, 64);
    wasmtime_pooling_allocation_config_total_tables_set(pool, 64);
    wasmtime_pooling_allocation_config_total_stacks_set(pool, 64);
    wasmtime_pooling_allocation_config_table_elements_set(pool, 20000);
    wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool, 256 * 1024);
    wasmtime_pooling_allocation_config_table_keep_resident_set(pool, 32 * 1024);
    wasmtime_pooling_allocation_config_async_stack_keep_resident_set(pool, 16 * 1024);
    wasmtime_pooling_allocation_strategy_set(config, pool);
    wasmtime_pooling_allocation_config_delete(pool);
    return wasm_engine_new_with_config(config);
}

static void define(wasmtime_linker_t *linker, const char *name, size_t parameters, size_t results,
                   wasmtime_func_unchecked_callback_t callback, void *env) {
    wasm_valtype_vec_t types[2];
    wasm_valtype_t *values[8];
    for (size_t i = 0; i < parameters; i++) {
        values[i] = wasm_valtype_new(WASM_I32);
    }
    wasm_valtype_vec_new(&types[0], parameters, values);
    values[0] = results > 0 ? wasm_valtype_new(WASM_I32) : NULL;
    wasm_valtype_vec_new(&types[1], results, values);
    wasm_functype_t *type = wasm_functype_new(&types[0], &types[1]);
    check(wasmtime_linker_define_func_unchecked(linker, "wasi_snapshot_preview1", 22, name, strlen(name),
                                                type, callback, env, NULL));
    wasm_functype_delete(type);
}

static wasmtime_instance_pre_t *bare_load(wasm_engine_t *engine, struct nx_str wasm) {
    wasmtime_linker_t *linker = wasmtime_linker_new(engine);
    wasmtime_module_t *module;
    wasmtime_instance_pre_t *pre;
    static int for_write;
    define(linker, "fd_read", 4, 1, bare_read_or_write, NULL);
    define(linker, "fd_write", 4, 1, bare_read_or_write, &for_write);
    define(linker, "proc_exit", 1, 0, bare_exit, NULL);
    check(wasmtime_module_new(engine, (const uint8_t *)wasm.ptr, wasm.len, &module));
    check(wasmtime_linker_instantiate_pre(linker, module, &pre));
    return pre;
}

static void bare_call(wasm_engine_t *engine, wasmtime_instance_pre_t *pre, struct bare *bare) {
    wasmtime_instance_t instance;
    wasmtime_extern_t item;
    wasm_trap_t *trap = NULL;
    wasmtime_error_t *error = NULL;
    bare->input_at = 0;
    bare->output_len = 0;
    wasmtime_store_t *store = wasmtime_store_new(engine, bare, NULL);
    bare->context = wasmtime_store_context(store);
    wasmtime_store_limiter(store, 64 << 20, 20000, 1, 1, 1);
    check(wasmtime_context_set_fuel(bare->context, 1ull << 60));
    check(wasmtime_context_fuel_async_yield_interval(bare->context, FUEL_SLICE));
    wasmtime_call_future_t *future =
        wasmtime_instance_pre_instantiate_async(pre, bare->context, &instance, &trap, &error);
    while (!wasmtime_call_future_poll(future)) {
    }
    wasmtime_call_future_delete(future);
    if (trap != NULL || error != NULL ||
        !wasmtime_instance_export_get(bare->context, &instance, "memory", 6, &item)) {
        die("the instance cannot be made");
    }
    bare->memory = item.of.memory;
    if (!wasmtime_instance_export_get(bare->context, &instance, "_start", 6, &item)) {
        die("no _start");
    }
    future = wasmtime_func_call_async(bare->context, &item.of.func, NULL, 0, NULL, 0, &trap, &error);
    while (!wasmtime_call_future_poll(future)) {
    }
    wasmtime_call_future_delete(future);
    if (trap != NULL) {
        wasm_trap_delete(trap);
    }
    if (error != NULL) {
        wasmtime_error_delete(error);
    }
    wasmtime_store_delete(store);
}

static struct nx_call *new_call(struct nx_module *module, struct nx_str input,
                                const struct nx_random *random) {
    const struct nx_call_options options = {
        .module = module,
        .mode = NX_CALL_RECORD,
        .input = input,
        .identity = { .trace_id = { 1 }, .span_id = { 2 }, .event_id = NX_STR("01JDN0VJ3QWYB4R0KSEFZ2T5MA") },
        .deadline_ns = INT64_MAX,
        .memory_max = 128 << 20,
        .clock = machine_clock,
        .random = *random,
    };
    struct nx_call *call = NULL;
    if (nx_call_new(&options, &call, NULL) != NX_OK) {
        die("no call");
    }
    return call;
}

static size_t end_call(struct nx_call *call, struct nx_str input) {
    const struct nx_call_result *result = nx_call_result(call);
    if (result->outcome != NX_OUTCOME_OK || result->output.len != input.len) {
        die("the call failed");
    }
    const size_t tape_len = result->tape.len;
    nx_call_free(call);
    return tape_len;
}

static size_t our_call(struct nx_module *module, struct nx_str input, const struct nx_random *random) {
    struct nx_call *call = new_call(module, input, random);
    while (nx_call_step(call, nx_clock_read(&machine_clock)) != NX_CALL_DONE) {
    }
    return end_call(call, input);
}

static int by_value(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double percentile_us(int64_t *samples, size_t count, double share) {
    qsort(samples, count, sizeof *samples, by_value);
    return (double)samples[(size_t)((double)(count - 1) * share)] / 1000;
}

static double median(double *values, size_t count) {
    for (size_t i = 1; i < count; i++) {
        for (size_t j = i; j > 0 && values[j - 1] > values[j]; j--) {
            const double value = values[j];
            values[j] = values[j - 1];
            values[j - 1] = value;
        }
    }
    return values[count / 2];
}

struct bench {
    wasm_engine_t *engine;
    wasmtime_instance_pre_t *pre;
    struct nx_module *module;
    struct nx_random random;
    size_t rounds;
    size_t calls;
    int64_t *samples;
};

static void measure(struct bench *bench, size_t input_len) {
    char *bytes = malloc(input_len);
    uint8_t *output = malloc(input_len);
    if (bytes == NULL || output == NULL) {
        die("no memory");
    }
    memset(bytes, 'x', input_len);
    const struct nx_str input = nx_str_of(bytes, input_len);
    struct bare bare = {
        .input = (const uint8_t *)bytes, .input_len = input_len, .output = output, .output_max = input_len
    };
    double bare_p50[ROUNDS_MAX];
    double our_p50[ROUNDS_MAX];
    double our_p99[ROUNDS_MAX];
    double ratio[ROUNDS_MAX];
    size_t tape_len = 0;
    for (size_t round = 0; round < bench->rounds; round++) {
        for (size_t i = 0; i < bench->calls; i++) {
            const int64_t start = now_ns();
            bare_call(bench->engine, bench->pre, &bare);
            bench->samples[i] = now_ns() - start;
        }
        bare_p50[round] = percentile_us(bench->samples, bench->calls, 0.5);
        for (size_t i = 0; i < bench->calls; i++) {
            const int64_t start = now_ns();
            tape_len = our_call(bench->module, input, &bench->random);
            bench->samples[i] = now_ns() - start;
        }
        our_p50[round] = percentile_us(bench->samples, bench->calls, 0.5);
        our_p99[round] = percentile_us(bench->samples, bench->calls, 0.99);
        ratio[round] = our_p50[round] / bare_p50[round];
    }
    (void)printf("echo %6zu B  bare p50 %6.2f us  nexus p50 %6.2f us  p99 %6.2f us  ratio %.2f  tape %zu B "
                 "beyond the payload\n",
                 input_len, median(bare_p50, bench->rounds), median(our_p50, bench->rounds),
                 median(our_p99, bench->rounds), median(ratio, bench->rounds), tape_len);
    const double limit_us = input_len <= 64 ? 6 : 12;
    const double p50_us = median(our_p50, bench->rounds);
    (void)printf("row | one event in process, tape on, C echo, %zu B | p50 %.2f us | %.0f us | %s | -\n",
                 input_len, p50_us, limit_us, p50_us <= limit_us ? "yes" : "no");
    if (input_len <= 64) {
        const double factor = median(ratio, bench->rounds);
        (void)printf("row | the same beside the bare Wasmtime C API | %.2f times | 1.5 times | %s | -\n",
                     factor, factor <= 1.5 ? "yes" : "no");
    }
    free(bytes);
    free(output);
}

/* Echoes of 64 bytes beside a guest that does `word`, which is started anew whenever it has ended. */
static void measure_beside(struct bench *bench, struct nx_module *misbehave, const char *word) {
    const struct nx_str input = NX_STR("0123456789012345678901234567890123456789012345678901234567890123");
    const size_t calls = bench->calls > 1000 ? 1000 : bench->calls;
    struct nx_call *neighbour = new_call(misbehave, nx_str_from_c(word), &bench->random);
    size_t ended = 0;
    for (size_t i = 0; i < calls; i++) {
        const int64_t start = now_ns();
        struct nx_call *call = new_call(bench->module, input, &bench->random);
        enum nx_call_state state;
        do {
            if (nx_call_step(neighbour, nx_clock_read(&machine_clock)) == NX_CALL_DONE) {
                nx_call_free(neighbour);
                neighbour = new_call(misbehave, nx_str_from_c(word), &bench->random);
                ended++;
            }
            state = nx_call_step(call, nx_clock_read(&machine_clock));
        } while (state != NX_CALL_DONE);
        (void)end_call(call, input);
        bench->samples[i] = now_ns() - start;
    }
    nx_call_free(neighbour);
    const double p50 = percentile_us(bench->samples, calls, 0.5);
    (void)printf("echo beside %-10s p50 %7.2f us  p99 %7.2f us  (it ended %zu times)\n", word, p50,
                 percentile_us(bench->samples, calls, 0.99), ended);
    (void)printf("row | echo beside a neighbour: %s | p50 %.1f us | - | - | -\n", word, p50);
}

static struct nx_module *load(struct nx_engine *engine, const unsigned char *wasm, unsigned int len) {
    struct nx_module *module = NULL;
    struct nx_error err = { 0 };
    if (nx_module_load(engine, nx_str_of(wasm, len), 128 << 20, &module, &err) != NX_OK) {
        die(err.message);
    }
    return module;
}

int main(int argc, char **argv) {
    struct bench bench = { .rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 9,
                           .calls = argc > 2 ? strtoul(argv[2], NULL, 10) : 5000 };
    struct nx_error err = { 0 };
    NX_AUTO(nx_engine) *engine = NULL;
    if (bench.rounds == 0 || bench.rounds > ROUNDS_MAX || bench.calls == 0) {
        die("usage: sandbox_bench [rounds [calls in a round]]");
    }
    machine_clock = nx_clock_system();
    bench.random = nx_random_system();
    bench.samples = calloc(bench.calls, sizeof *bench.samples);
    const struct nx_engine_options options = { 0 };
    if (bench.samples == NULL || nx_sandbox_open(&options, &engine, &err) != NX_OK) {
        die(err.message);
    }
    bench.module = load(engine, guest_echo, guest_echo_len);
    NX_AUTO(nx_module) *misbehave = load(engine, guest_misbehave, guest_misbehave_len);
    bench.engine = bare_engine();
    bench.pre = bare_load(bench.engine, nx_str_of(guest_echo, guest_echo_len));
    (void)printf("%.*s, %zu rounds of %zu calls each, interleaved; medians over rounds\n",
                 NX_STR_ARG(nx_engine_build()), bench.rounds, bench.calls);
    measure(&bench, 64);
    measure(&bench, 65536);
    static const char *const words[] = { "nothing", "loop", "bomb",  "fill", "recursion",
                                         "output",  "log",  "calls", "sleep" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        measure_beside(&bench, misbehave, words[i]);
    }
    nx_module_unref(bench.module);
    free(bench.samples);
    return 0;
}
