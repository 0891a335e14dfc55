/* src/sandbox/host/wasi_poll.h: clocks, and waiting for them. A guest that waits is parked: it holds its
 * instance, but no worker. */
#pragma once

#include "sandbox/host/state.h"

/** WASI's realtime (0) or monotonic (1) clock, through the tape; false when the tape does not answer. The
 * guest's monotonic clock starts at one second, whatever the machine's says. */
bool nx_host_read_clock(struct nx_host *host, uint32_t clock_id, int64_t *time_ns_out);
/** See struct nx_import. */
int32_t nx_wasi_poll_oneoff(struct nx_host *host, const uint32_t *args, bool *waits_out,
                            wasm_trap_t **trap_out);
/** Random bytes, from the call's generator: also the `random` of the nexus module. */
wasm_trap_t *nx_wasi_random_get(struct nx_host *host, wasmtime_val_raw_t *args);
/** The time has come: write the events. */
void nx_wasi_poll_complete(struct nx_host *host);
