/* src/platform/function/guest.h: what runs a module: the sandbox, or in the simulated world a script.
 *
 * The table has the shape of sandbox/instance/call.h, whose comments say what each function promises; a
 * scripted guest defines its own struct nx_module and struct nx_call. Threads: modules may be used by all
 * workers at once, a call by one. */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "io/clock.h"
#include "sandbox/instance/call.h"

struct nx_guest_kind {
    void *data;
    enum nx_status (*module_load)(void *data, struct nx_str wasm, uint64_t memory_max,
                                  struct nx_module **module_out, struct nx_error *err);
    void (*module_unref)(struct nx_module *module);
    enum nx_status (*call_new)(void *data, const struct nx_call_options *options, struct nx_call **call_out,
                               struct nx_error *err);
    enum nx_call_state (*call_step)(struct nx_call *call, struct nx_now now);
    int64_t (*call_wake_ns)(const struct nx_call *call);
    void (*call_provide_kv)(struct nx_call *call, bool found, struct nx_str value, uint64_t version);
    void (*call_provide_kv_error)(struct nx_call *call, const struct nx_error *why);
    const struct nx_call_result *(*call_result)(const struct nx_call *call);
    void (*call_free)(struct nx_call *call);
};

/** WebAssembly, by this engine, which is borrowed for as long as the table is used. */
struct nx_guest_kind nx_guest_wasm(struct nx_engine *engine);
