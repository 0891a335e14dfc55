/* src/sandbox/host/wasi_poll.h: clocks, and waiting for them. A guest that waits is parked: it holds its
 * instance, but no worker. */
#pragma once

#include "sandbox/host/state.h"

/** WASI's realtime (0) or monotonic (1) clock, through the tape; false when the tape does not answer. The
 * guest's monotonic clock starts at one second, whatever the machine's says. */
bool nx_host_read_clock(struct nx_host *host, uint32_t clock_id, int64_t *time_ns_out);
void nx_wasi_poll_oneoff(void *env, wasmtime_caller_t *caller, const wasmtime_val_t *args, size_t arg_count,
                         wasmtime_val_t *results, size_t result_count, wasm_trap_t **trap_out,
                         wasmtime_async_continuation_t *continuation_out);
/** The time has come: write the events. */
void nx_wasi_poll_complete(struct nx_host *host);
