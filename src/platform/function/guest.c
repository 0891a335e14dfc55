#include "platform/function/guest.h"

static enum nx_status wasm_module_load(void *data, struct nx_str wasm, uint64_t memory_max,
                                       struct nx_module **module_out, struct nx_error *err) {
    return nx_module_load(data, wasm, memory_max, module_out, err);
}

static enum nx_status wasm_call_new(void *data, const struct nx_call_options *options,
                                    struct nx_call **call_out, struct nx_error *err) {
    (void)data;
    return nx_call_new(options, call_out, err);
}

struct nx_guest_kind nx_guest_wasm(struct nx_engine *engine) {
    return (struct nx_guest_kind){
        .data = engine,
        .module_load = wasm_module_load,
        .module_unref = nx_module_unref,
        .call_new = wasm_call_new,
        .call_step = nx_call_step,
        .call_wake_ns = nx_call_wake_ns,
        .call_provide_kv = nx_call_provide_kv,
        .call_provide_kv_error = nx_call_provide_kv_error,
        .call_result = nx_call_result,
        .call_free = nx_call_free,
    };
}
