/* src/sandbox/host/state.h: everything the host functions know of the call that they serve; for this layer.
 *
 * Life: nx_host_init(), the context and memory are set when the instance exists, host functions run, the
 * instance layer reads what was collected, nx_host_fini(). Host functions find it as the store's data.
 * Rule of every host function: addresses come from the guest, so each is checked in 64 bits against the
 * memory as it is now, and nothing of the guest's memory is held beyond the call but while the guest is
 * parked (then it cannot change). */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "io/clock.h"
#include "sandbox/engine/wasm.h"
#include "sandbox/host/environment.h"
#include "sandbox/host/generator.h"
#include "sandbox/host/host.h"
#include "sandbox/tape/tape.h"

enum nx_wait_kind { NX_WAIT_NONE, NX_WAIT_CLOCK, NX_WAIT_KV };

/* A parked host call: what it needs to be completed. The pointers are Wasmtime's, valid while parked. */
struct nx_wait {
    enum nx_wait_kind kind;
    bool is_ready;   /* complete it when the guest is polled next */
    int64_t wake_ns; /* monotonic */
    uint32_t arguments;
    uint32_t a[5]; /* the guest's arguments */
    wasmtime_val_t *result;
    wasm_trap_t **trap;
    struct nx_now asked_at;
    const struct nx_import *import; /* set where host calls are timed, with the next */
    int64_t start_ns;               /* wall */
    bool kv_found;
    uint64_t kv_version; /* the value is in wait_value */
};

struct nx_host {
    struct nx_call *call; /* for ops */
    const struct nx_host_ops *ops;
    wasmtime_context_t *context;
    wasmtime_memory_t memory;
    bool has_memory;
    struct nx_tape tape;
    struct nx_clock clock;
    struct nx_now started_at;
    struct nx_generator generator;
    struct nx_call_limits limits;
    uint64_t host_call_count;
    struct nx_wait wait;
    struct nx_buf wait_value;

    struct nx_str input;
    size_t input_at;
    struct nx_buf output;
    struct nx_buf partial_line; /* standard error since the last line feed */
    struct nx_environment environment;

    struct nx_arena arena; /* what the next six point into */
    struct nx_buf log_lines;
    struct nx_buf publishes;
    struct nx_buf kv_writes;
    struct nx_buf kv_reads;
    struct nx_buf kv_values; /* struct nx_call_kv_write for each read: what was answered */
    struct nx_call_response response;
    uint64_t log_size;
    uint64_t effect_size;

    bool has_ended; /* by proc_exit or by us: `outcome` says which, the trap itself means nothing */
    enum nx_outcome outcome;
    int32_t exit_code;
    char error[256];
};

/* Recorded and replayed calls end with the same words. */
#define NX_DEADLINE_TEXT "the deadline passed while the function was running"
#define NX_DEADLINE_WAIT_TEXT "the deadline passed while the function was waiting"

void nx_host_init(struct nx_host *host, const struct nx_call_limits *limits);
void nx_host_fini(struct nx_host *host);
/** Complete a line on standard error that has no line feed. */
void nx_host_flush(struct nx_host *host);

/** End the call with this outcome; returns the trap to be returned to Wasmtime. A call that has ended stays
 * as it was. */
wasm_trap_t *nx_host_end(struct nx_host *host, enum nx_outcome outcome, const char *format, ...)
    NX_PRINTF(3, 4);
/** End the call as successful. */
wasm_trap_t *nx_host_end_ok(struct nx_host *host);
/** What Wasmtime calls for every import: finds the call, counts against its limit, goes on to the host
 * function. `env` is the struct nx_import. */
wasm_trap_t *nx_host_enter(void *env, wasmtime_caller_t *caller, wasmtime_val_raw_t *args, size_t arg_count);
void nx_host_enter_parking(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t arg_count,
                           wasmtime_val_t *results, size_t result_count, wasm_trap_t **trap_out,
                           wasmtime_async_continuation_t *continuation_out);

/** An argument of a host function; offsets, lengths and descriptors are unsigned. */
static inline uint32_t nx_host_argument(const wasmtime_val_raw_t *args, size_t index) {
    return (uint32_t)args[index].i32;
}
/** Leave a WASI errno as the result. */
static inline wasm_trap_t *nx_host_answer(wasmtime_val_raw_t *args, int32_t errno_value) {
    args[0].i32 = errno_value;
    return NULL;
}
/** The end of a call whose tape did not answer, or is full. */
wasm_trap_t *nx_host_end_by_tape(struct nx_host *host);

/** `len` bytes of the guest's memory, or NULL when they are not all in it. Valid until the guest runs. */
uint8_t *nx_host_bytes(struct nx_host *host, uint64_t address, uint64_t len);
bool nx_host_put_u32(struct nx_host *host, uint64_t address, uint32_t value);
bool nx_host_put_u64(struct nx_host *host, uint64_t address, uint64_t value);

/** Keep a log line. NULL, or the trap that ends the call. */
wasm_trap_t *nx_host_log(struct nx_host *host, enum nx_log_level level, struct nx_str text,
                         struct nx_str fields);
/** Complete the waiting call if it is ready. True: done, Wasmtime goes on with the guest. */
bool nx_host_complete_wait(void *host);
/** nx_call_provide_kv() for a call that waits for it. */
void nx_host_provide_kv(struct nx_host *host, bool found, struct nx_str value, uint64_t version);

/* The two modules that a guest can import. */
extern const struct nx_import nx_wasi_imports[];
extern const size_t nx_wasi_import_count;
extern const struct nx_import nx_nexus_imports[];
extern const size_t nx_nexus_import_count;

/* Answers of both modules: WASI's errno. */
enum {
    NX_ERRNO_SUCCESS = 0,
    NX_ERRNO_BADF = 8,
    NX_ERRNO_FAULT = 21,
    NX_ERRNO_INVAL = 28,
    NX_ERRNO_NOENT = 44,
    NX_ERRNO_NOSYS = 52,
    NX_ERRNO_NOTSOCK = 57,
    NX_ERRNO_NOTSUP = 58,
    NX_ERRNO_OVERFLOW = 61,
    NX_ERRNO_SPIPE = 70,
    NX_ERRNO_NOTCAPABLE = 76,
};
