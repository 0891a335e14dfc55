/* fuzz/wasi_fuzz.c: a guest (src/sandbox/testdata/raw.c) calls every import with the arguments that the input
 * says: addresses and lengths anywhere. The call must end, in our own words, and its replay must be the same.
 * The clock is made here: it moves a little at every reading, and far when the guest waits. */
#include "base/assert.h"
#include "fuzz.h"
#include "sandbox/instance/call.h"

extern const unsigned char guest_raw[];
extern const unsigned int guest_raw_len;

enum { STEPS_MAX = 2000, READING_NS = 1000 };

static struct nx_engine *engine;
static struct nx_module *module;

static struct nx_now read_clock(void *data) {
    int64_t *time_ns = data;
    *time_ns += READING_NS;
    return (struct nx_now){ .wall_ns = INT64_C(1764152625000000000) + *time_ns, .monotonic_ns = *time_ns };
}

static void fill(void *data, void *bytes, size_t len) {
    (void)data;
    memset(bytes, 7, len);
}

static void kv_get(void *data, struct nx_call *call, struct nx_str key) {
    (void)data;
    if (key.len % 3 != 2) {
        nx_call_provide_kv(call, key.len % 3 == 0, key, key.len);
    } /* else: answered when it waits */
}

static struct nx_call *run(const struct nx_call_options *options, int64_t *time_ns) {
    struct nx_call *call = NULL;
    struct nx_error err;
    enum nx_call_state state;
    nx_assert(nx_call_new(options, &call, &err) == NX_OK);
    for (int steps = 0; (state = nx_call_step(call, read_clock(time_ns))) != NX_CALL_DONE; steps++) {
        const int64_t wake_ns = nx_call_wake_ns(call);
        if (steps > STEPS_MAX) {
            *time_ns = options->deadline_ns == 0 ? *time_ns : INT64_MAX / 2; /* past the deadline */
        } else if (state == NX_CALL_WAITING && wake_ns < INT64_MAX / 2) {
            *time_ns = wake_ns;
        }
    }
    return call;
}

static void start(void) {
    const struct nx_engine_options options = { .calls_max = 8 };
    nx_assert(nx_sandbox_open(&options, &engine, NULL) == NX_OK);
    nx_assert(nx_module_load(engine, nx_str_of(guest_raw, guest_raw_len), 4 << 20, &module, NULL) == NX_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct nx_host_ops ops = { .kv_get = kv_get };
    const struct nx_call_limits limits = { .host_call_count_max = 20000 };
    int64_t time_ns = 0;
    struct nx_call_options options = { .module = module,
                                       .mode = NX_CALL_RECORD,
                                       .input = nx_str_of(data, size),
                                       .identity = { .event_id = NX_STR("fuzz") },
                                       .deadline_ns = INT64_MAX / 4,
                                       .memory_max = 4 << 20,
                                       .limits = &limits,
                                       .clock = { read_clock, &time_ns },
                                       .random = { fill, NULL },
                                       .ops = &ops };
    if (engine == NULL) {
        start();
        options.module = module;
    }
    NX_AUTO(nx_call) *recorded = run(&options, &time_ns);
    const struct nx_call_result *result = nx_call_result(recorded);
    if (!result->replayable) {
        return 0;
    }
    struct nx_call_options replay = options;
    struct nx_call_difference difference;
    replay.mode = NX_CALL_REPLAY;
    replay.tape = result->tape;
    NX_AUTO(nx_call) *replayed = run(&replay, &time_ns);
    nx_assert(nx_call_compare(result, nx_call_result(replayed), &difference));
    return 0;
}
