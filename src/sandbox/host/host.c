/* src/sandbox/host/host.c: what both host modules share: limits, memory access, log lines, ends of calls. */
#include "sandbox/host/host.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"

#include "sandbox/host/nexus.h"
#include "sandbox/host/state.h"
#include "sandbox/host/wasi_poll.h"

enum {
    LINE_SIZE_MAX = 64 * 1024,        /* bytes of one log line; longer ones are cut into several */
    ARENA_OVERHEAD = 4 * 1024 * 1024, /* keys read, and what the arena itself needs */
};

struct nx_call_limits nx_call_limits_or_default(const struct nx_call_limits *limits) {
    struct nx_call_limits all = limits == NULL ? (struct nx_call_limits){ 0 } : *limits;
#define DEFAULT(field, value) \
    if (all.field == 0) {     \
        all.field = (value);  \
    }
    DEFAULT(output_size_max, 960 * 1024)
    DEFAULT(log_size_max, 256 * 1024)
    DEFAULT(log_line_count_max, 10000)
    DEFAULT(host_call_count_max, 1000000)
    DEFAULT(effect_count_max, 900)
    DEFAULT(effect_size_max, 4 * 1024 * 1024)
    DEFAULT(tape_size_max, 4 * 1024 * 1024)
#undef DEFAULT
    return all;
}

void nx_host_init(struct nx_host *host, const struct nx_call_limits *limits) {
    host->limits = nx_call_limits_or_default(limits);
    nx_buf_init(&host->output, host->limits.output_size_max);
    nx_buf_init(&host->wait_value, NX_KV_VALUE_SIZE_MAX);
    nx_buf_init(&host->partial_line, LINE_SIZE_MAX);
    nx_arena_init(&host->arena,
                  host->limits.log_size_max * 2 + host->limits.effect_size_max * 2 + ARENA_OVERHEAD);
    nx_buf_init(&host->log_lines, (host->limits.log_line_count_max + 1) * sizeof(struct nx_call_log_line));
    nx_buf_init(&host->publishes, (host->limits.effect_count_max + 1) * sizeof(struct nx_call_publish));
    nx_buf_init(&host->kv_writes, (host->limits.effect_count_max + 1) * sizeof(struct nx_call_kv_write));
    nx_buf_init(&host->kv_reads, (host->limits.effect_count_max + 1) * sizeof(struct nx_call_kv_read));
    nx_buf_init(&host->kv_values, (host->limits.effect_count_max + 1) * sizeof(struct nx_call_kv_write));
}

void nx_host_fini(struct nx_host *host) {
    nx_tape_fini(&host->tape);
    nx_buf_fini(&host->output);
    nx_buf_fini(&host->wait_value);
    nx_buf_fini(&host->partial_line);
    nx_environment_fini(&host->environment);
    nx_arena_fini(&host->arena);
    nx_buf_fini(&host->log_lines);
    nx_buf_fini(&host->publishes);
    nx_buf_fini(&host->kv_writes);
    nx_buf_fini(&host->kv_reads);
    nx_buf_fini(&host->kv_values);
}

wasm_trap_t *nx_host_end(struct nx_host *host, enum nx_outcome outcome, const char *format, ...) {
    if (!host->has_ended) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(host->error, sizeof host->error, format, args);
        va_end(args);
        host->has_ended = true;
        host->outcome = outcome;
    }
    return wasmtime_trap_new("ended", 5);
}

wasm_trap_t *nx_host_end_ok(struct nx_host *host) {
    if (!host->has_ended) {
        host->has_ended = true;
        host->outcome = NX_OUTCOME_OK;
    }
    return wasmtime_trap_new("ended", 5);
}

wasm_trap_t *nx_host_end_by_tape(struct nx_host *host) {
    if (host->tape.differs) {
        return nx_host_end(host, NX_OUTCOME_REPLAY_DIFFERS, "%s (tape entry %llu, byte %llu)",
                           host->tape.differs_why, (unsigned long long)host->tape.entry_count,
                           (unsigned long long)host->tape.differs_at_byte);
    }
    return nx_host_end(host, NX_OUTCOME_TAPE_LIMIT, "the tape is over its limit of %llu bytes",
                       (unsigned long long)host->limits.tape_size_max);
}

/* Before the instance is there (a start function calls us) its memory is known only by the caller. */
static void find_memory(struct nx_host *host, wasmtime_caller_t *caller) {
    wasmtime_extern_t item;
    if (wasmtime_caller_export_get(caller, "memory", 6, &item)) {
        if (item.kind == WASMTIME_EXTERN_MEMORY) {
            host->memory = item.of.memory;
            host->has_memory = true;
        }
    }
}

/* NULL: the call was ended, *trap_out is to be returned. */
static struct nx_host *enter(wasmtime_caller_t *caller, wasm_trap_t **trap_out) {
    struct nx_host *host = wasmtime_context_get_data(wasmtime_caller_context(caller));
    if (__builtin_expect(!host->has_memory, 0)) {
        find_memory(host, caller);
    }
    if (__builtin_expect(host->host_call_count++ >= host->limits.host_call_count_max, 0)) {
        *trap_out = nx_host_end(host, NX_OUTCOME_HOST_CALL_LIMIT, "more than %llu calls of the host",
                                (unsigned long long)host->limits.host_call_count_max);
        return NULL;
    }
    return host;
}

static bool is_timed(const struct nx_host *host) {
    return __builtin_expect(host->ops != NULL && host->ops->host_call != NULL, 0);
}

static int64_t wall_ns(const struct nx_host *host) {
    return nx_clock_read(&host->clock).wall_ns;
}

static void tell_call(const struct nx_host *host, const struct nx_import *import, int64_t start_ns) {
    host->ops->host_call(host->ops->data, import->module, import->name, start_ns, wall_ns(host));
}

static wasm_trap_t *call_timed(struct nx_host *host, const struct nx_import *import,
                               wasmtime_val_raw_t *args) {
    const int64_t start_ns = wall_ns(host);
    wasm_trap_t *trap = import->plain(host, args);
    tell_call(host, import, start_ns);
    return trap;
}

wasm_trap_t *nx_host_enter(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *args, size_t arg_count) {
    const struct nx_import *import = env;
    wasm_trap_t *trap = NULL;
    (void)arg_count;
    struct nx_host *host = enter(caller, &trap);
    if (host == NULL) {
        return trap;
    }
    return is_timed(host) ? call_timed(host, import, args) : import->plain(host, args);
}

static bool always_done(void *unused) {
    (void)unused;
    return true;
}

void nx_host_enter_parking(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t arg_count,
                           wasmtime_val_t *results, size_t result_count, wasm_trap_t **trap_out,
                           wasmtime_async_continuation_t *continuation_out) {
    const struct nx_import *import = env;
    uint32_t arguments[NX_PARKING_ARGUMENTS_MAX];
    bool waits = false;
    *continuation_out = (wasmtime_async_continuation_t){ .callback = always_done };
    struct nx_host *host = enter(caller, trap_out);
    if (host == NULL) {
        return;
    }
    nx_assert(arg_count <= NX_PARKING_ARGUMENTS_MAX);
    nx_assert(result_count == 1);
    for (size_t i = 0; i < arg_count; i++) {
        arguments[i] = (uint32_t)args[i].of.i32;
    }
    results[0].kind = WASMTIME_I32;
    const int64_t start_ns = is_timed(host) ? wall_ns(host) : 0;
    results[0].of.i32 = import->parking(host, arguments, &waits, trap_out);
    if (!waits && is_timed(host)) {
        tell_call(host, import, start_ns);
    }
    if (waits) {
        host->wait.import = import;
        host->wait.start_ns = start_ns;
        host->wait.result = &results[0];
        host->wait.trap = trap_out;
        *continuation_out = (wasmtime_async_continuation_t){ .callback = nx_host_complete_wait, .env = host };
    }
}

uint8_t *nx_host_bytes(struct nx_host *host, uint64_t address, uint64_t len) {
    if (!host->has_memory) {
        return NULL;
    }
    const uint64_t size = wasmtime_memory_data_size(host->context, &host->memory);
    if (len > size || address > size - len) {
        return NULL;
    }
    return wasmtime_memory_data(host->context, &host->memory) + address;
}

bool nx_host_put_u32(struct nx_host *host, uint64_t address, uint32_t value) {
    uint8_t *bytes = nx_host_bytes(host, address, sizeof value);
    if (bytes == NULL) {
        return false;
    }
    memcpy(bytes, &value, sizeof value);
    return true;
}

bool nx_host_put_u64(struct nx_host *host, uint64_t address, uint64_t value) {
    uint8_t *bytes = nx_host_bytes(host, address, sizeof value);
    if (bytes == NULL) {
        return false;
    }
    memcpy(bytes, &value, sizeof value);
    return true;
}

static struct nx_str keep(struct nx_host *host, struct nx_str bytes) {
    return bytes.len == 0 ? NX_STR_EMPTY : nx_arena_copy(&host->arena, bytes);
}

static wasm_trap_t *log_at(struct nx_host *host, int64_t time_ns, enum nx_log_level level, struct nx_str text,
                           struct nx_str fields) {
    const uint64_t count = host->log_lines.len / sizeof(struct nx_call_log_line);
    if (count >= host->limits.log_line_count_max ||
        text.len + fields.len > host->limits.log_size_max - host->log_size) {
        return nx_host_end(host, NX_OUTCOME_LOG_LIMIT, "more than %llu log lines or %llu bytes of them",
                           (unsigned long long)host->limits.log_line_count_max,
                           (unsigned long long)host->limits.log_size_max);
    }
    const struct nx_call_log_line line = {
        .time_ns = time_ns, .level = level, .text = keep(host, text), .fields = keep(host, fields)
    };
    host->log_size += text.len + fields.len;
    nx_buf_append(&host->log_lines, nx_str_of(&line, sizeof line));
    if (line.text.ptr == NULL || line.fields.ptr == NULL || nx_buf_failed(&host->log_lines)) {
        return nx_host_end(host, NX_OUTCOME_HOST_ERROR, "out of memory");
    }
    return NULL;
}

wasm_trap_t *nx_host_log(struct nx_host *host, enum nx_log_level level, struct nx_str text,
                         struct nx_str fields) {
    int64_t time_ns = host->tape.replaying ? 0 : nx_clock_read(&host->clock).wall_ns;
    if (!nx_tape_wall(&host->tape, NX_TAPE_LOG_TIME, &time_ns)) {
        return nx_host_end_by_tape(host);
    }
    return log_at(host, time_ns, level, text, fields);
}

/* The call is over, so nothing more may go on the tape (it can end with a wait that was cut): the line has
 * the time of the last reading. */
void nx_host_flush(struct nx_host *host) {
    if (host->partial_line.len > 0) {
        wasm_trap_t *trap =
            log_at(host, host->tape.wall_ns, NX_LOG_INFO, nx_buf_str(&host->partial_line), NX_STR_EMPTY);
        if (trap != NULL) {
            wasm_trap_delete(trap);
        }
        nx_buf_reset(&host->partial_line);
    }
}

bool nx_host_complete_wait(void *data) {
    struct nx_host *host = data;
    if (!host->wait.is_ready) {
        return false;
    }
    if (host->wait.kind == NX_WAIT_CLOCK) {
        nx_wasi_poll_complete(host);
    } else {
        nx_nexus_kv_complete(host);
    }
    host->wait.kind = NX_WAIT_NONE;
    if (is_timed(host)) {
        tell_call(host, host->wait.import, host->wait.start_ns);
    }
    return true;
}

void nx_host_provide_kv(struct nx_host *host, bool found, struct nx_str value, uint64_t version) {
    nx_buf_reset(&host->wait_value);
    nx_buf_append(&host->wait_value, found ? value : NX_STR_EMPTY);
    if (nx_buf_failed(&host->wait_value)) {
        wasm_trap_delete(nx_host_end(host, NX_OUTCOME_HOST_ERROR, "the value of a key is too large"));
    }
    host->wait.kv_found = found;
    host->wait.kv_version = version;
    host->wait.is_ready = true;
}
