/* src/sandbox/instance/call.c: the life of one call: store, instance, slices of fuel, end.
 *
 * A guest is a future. A poll of it that comes back unfinished has used up a slice or has parked itself in a
 * host call (host.wait says which). The deadline is looked at between polls only: a future that is dropped
 * there leaves a fuel reading that is exact, and a replay that is given just that fuel stops at the same
 * instruction. */
#include "sandbox/instance/call.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "sandbox/engine/wasm.h"
#include "sandbox/host/state.h"

enum phase { PHASE_START, PHASE_INSTANTIATE, PHASE_INITIALIZE, PHASE_RUN, PHASE_DONE };

/* More than any deadline lets a guest use: some 3,000 years. */
#define FUEL_MAX (UINT64_C(1) << 62)
/* What a replay may use over what was recorded, before it is stopped as different. */
#define FUEL_SLACK UINT64_C(1000000)
/* What other code may use over NX_COMPARE_FUEL_FACTOR times what was recorded: a start takes more than that.
 */
#define COMPARE_FUEL_SLACK UINT64_C(1000000000)

struct nx_call {
    struct nx_module *module; /* a reference */
    enum phase phase;
    int64_t deadline_ns;
    uint64_t memory_max;
    uint64_t fuel_given;
    struct nx_random random;
    bool has_cut; /* replay: the tape ends by its fuel */
    bool is_comparing;
    struct nx_call_limits limits_given;
    wasmtime_store_t *store;
    wasmtime_call_future_t *future;
    wasmtime_instance_t instance;
    wasmtime_extern_t function;
    wasmtime_val_t return_value;
    wasm_trap_t *trap;
    wasmtime_error_t *error;
    struct nx_str tape;     /* replay: what is played */
    struct nx_buf tape_out; /* recording */
    struct nx_call_result result;
    struct nx_host host;
};

enum nx_status nx_sandbox_open(const struct nx_engine_options *options, struct nx_engine **engine_out,
                               struct nx_error *err) {
    struct nx_import imports[64];
    const size_t count = nx_wasi_import_count + nx_nexus_import_count;
    nx_assert(count <= sizeof imports / sizeof imports[0]);
    memcpy(imports, nx_wasi_imports, nx_wasi_import_count * sizeof imports[0]);
    memcpy(imports + nx_wasi_import_count, nx_nexus_imports, nx_nexus_import_count * sizeof imports[0]);
    for (size_t i = 0; i < count; i++) {
        imports[i].enter = nx_host_enter;
        imports[i].enter_parking = nx_host_enter_parking;
    }
    struct nx_engine_options all = *options;
    all.imports = imports;
    all.import_count = count;
    return nx_engine_open(&all, engine_out, err);
}

static enum nx_status check_tape(const struct nx_call_options *options, const struct nx_tape_header *header,
                                 struct nx_error *err) {
    const struct nx_digest *digest = nx_module_digest(options->module);
    if ((header->flags & NX_TAPE_UNREPLAYABLE) != 0) {
        return nx_fail_kind(err, NX_KIND_UNREPLAYABLE, "the host failed during this call");
    }
    if (options->mode == NX_CALL_COMPARE) {
        return NX_OK; /* it is of other code, and so may its engine and its input be */
    }
    if (memcmp(header->module_digest, digest->bytes, NX_DIGEST_SIZE) != 0) {
        return nx_fail_kind(err, NX_KIND_UNREPLAYABLE, "the tape is of another module");
    }
    if (!nx_str_equal(header->engine_build, nx_engine_build())) {
        return nx_fail_kind(err, NX_KIND_UNREPLAYABLE, "the tape was recorded by %.*s, this is %.*s",
                            NX_STR_ARG(header->engine_build), NX_STR_ARG(nx_engine_build()));
    }
    if (header->settings_digest != nx_engine_settings_digest()) {
        return nx_fail_kind(err, NX_KIND_UNREPLAYABLE, "the tape was recorded with other engine settings");
    }
    if (header->interface_version != NX_GUEST_INTERFACE_VERSION) {
        return nx_fail_kind(err, NX_KIND_UNREPLAYABLE, "the tape is of guest interface %llu, this is %d",
                            (unsigned long long)header->interface_version, NX_GUEST_INTERFACE_VERSION);
    }
    if (header->input_size != options->input.len) {
        return nx_fail_kind(err, NX_KIND_UNREPLAYABLE, "the tape is of an input of %llu bytes, this has %zu",
                            (unsigned long long)header->input_size, options->input.len);
    }
    return NX_OK;
}

static void limits_of_tape(const struct nx_tape_header *header, struct nx_call_limits *limits_out) {
    *limits_out = (struct nx_call_limits){ 0 };
    if ((header->flags & NX_TAPE_HAS_LIMITS) != 0) {
        *limits_out = (struct nx_call_limits){ header->limits[0], header->limits[1], header->limits[2],
                                               header->limits[3], header->limits[4], header->limits[5],
                                               header->limits[6] };
    }
}

/* A cut call is given what it had used: it then ends where it was cut. */
static uint64_t fuel_of_replay(const struct nx_call *call, uint64_t recorded) {
    uint64_t fuel = FUEL_MAX;
    if (call->has_cut) {
        return recorded > FUEL_MAX ? FUEL_MAX : recorded;
    }
    if (!call->is_comparing) {
        fuel = recorded > FUEL_MAX - FUEL_SLACK ? FUEL_MAX : recorded + FUEL_SLACK;
    } else if (recorded < FUEL_MAX / NX_COMPARE_FUEL_FACTOR - COMPARE_FUEL_SLACK) {
        fuel = recorded * NX_COMPARE_FUEL_FACTOR + COMPARE_FUEL_SLACK;
    }
    return fuel;
}

static enum nx_status prepare_replay(struct nx_call *call, const struct nx_call_options *options,
                                     struct nx_error *err) {
    struct nx_tape_header header;
    struct nx_tape_reader entries;
    header.env_count = 0;
    NX_TRY(nx_tape_decode(options->tape, &header, &entries, err));
    NX_TRY(check_tape(options, &header, err));
    limits_of_tape(&header, &call->limits_given);
    nx_host_init(&call->host, &call->limits_given);
    if (call->is_comparing) {
        NX_TRY(
            nx_tape_compare_init(&call->host.tape, &header, &entries, options->policy, &options->clock, err));
        call->host.ops = options->ops;
    } else {
        nx_tape_replay_init(&call->host.tape, &header, &entries);
    }
    memcpy(call->host.generator.seed, header.seed, NX_TAPE_SEED_SIZE);
    call->has_cut = (header.flags & NX_TAPE_CUT) != 0;
    call->fuel_given = fuel_of_replay(call, header.fuel);
    call->memory_max = header.memory_max > NX_GUEST_MEMORY_MAX ? NX_GUEST_MEMORY_MAX : header.memory_max;
    call->tape = options->tape;
    call->deadline_ns = INT64_MAX;
    call->host.started_at.wall_ns = header.start_time_ns;
    return nx_environment_init_of_tape(&call->host.environment, &header, err);
}

static enum nx_status prepare_record(struct nx_call *call, const struct nx_call_options *options,
                                     struct nx_error *err) {
    if (options->limits != NULL) {
        call->limits_given = *options->limits;
    }
    nx_host_init(&call->host, options->limits);
    nx_buf_init(&call->host.tape.entries, 1);
    call->host.ops = options->ops;
    call->deadline_ns = options->deadline_ns;
    call->memory_max = options->memory_max > NX_GUEST_MEMORY_MAX ? NX_GUEST_MEMORY_MAX : options->memory_max;
    call->fuel_given = FUEL_MAX;
    nx_random_fill(&options->random, call->host.generator.seed, NX_TAPE_SEED_SIZE);
    return nx_environment_init(&call->host.environment, options->env, options->env_count, &options->identity,
                               err);
}

enum nx_status nx_call_new(const struct nx_call_options *options, struct nx_call **call_out,
                           struct nx_error *err) {
    NX_AUTO(nx_call) *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return nx_fail_memory(err);
    }
    nx_buf_init(&call->tape_out, NX_TAPE_SIZE_MAX);
    call->module = nx_module_ref(options->module);
    call->host.call = call;
    call->host.input = options->input;
    call->host.clock = options->clock;
    call->is_comparing = options->mode == NX_CALL_COMPARE;
    call->host.tape.replaying = options->mode != NX_CALL_RECORD;
    NX_TRY(options->mode != NX_CALL_RECORD ? prepare_replay(call, options, err)
                                           : prepare_record(call, options, err));
    *call_out = NX_TAKE(call);
    return NX_OK;
}

static void drop_future(struct nx_call *call) {
    if (call->future != NULL) {
        wasmtime_call_future_delete(call->future);
        call->future = NULL;
    }
    call->host.wait.kind = NX_WAIT_NONE;
}

static void drop_failure(struct nx_call *call) {
    if (call->trap != NULL) {
        wasm_trap_delete(call->trap);
        call->trap = NULL;
    }
    if (call->error != NULL) {
        wasmtime_error_delete(call->error);
        call->error = NULL;
    }
}

void nx_call_free(struct nx_call *call) {
    if (call == NULL) {
        return;
    }
    drop_future(call);
    drop_failure(call);
    if (call->store != NULL) {
        wasmtime_store_delete(call->store);
    }
    nx_host_fini(&call->host);
    nx_buf_fini(&call->tape_out);
    nx_module_unref(call->module);
    free(call);
}

static void end(struct nx_call *call, enum nx_outcome outcome, const char *text) {
    wasm_trap_t *trap = nx_host_end(&call->host, outcome, "%s", text);
    wasm_trap_delete(trap);
}

static const char *trap_text(wasmtime_trap_code_t code) {
    switch (code) {
    case WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS:
        return "memory access out of bounds";
    case WASMTIME_TRAP_CODE_HEAP_MISALIGNED:
        return "misaligned memory access";
    case WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS:
        return "table access out of bounds";
    case WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL:
        return "call of a null function pointer";
    case WASMTIME_TRAP_CODE_BAD_SIGNATURE:
        return "call of a function pointer with another signature";
    case WASMTIME_TRAP_CODE_INTEGER_OVERFLOW:
        return "integer overflow";
    case WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO:
        return "integer division by zero";
    case WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER:
        return "invalid conversion to integer";
    case WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED:
        return "unreachable code was reached (an abort or a panic)";
    default:
        return "the guest trapped";
    }
}

/* Whether the trap came from the function that grows the memory (sandbox/engine/instrument.h). */
static bool is_refused_growth(const struct nx_call *call) {
    bool is_it = false;
    if (call->module->instrument.grows) {
        wasm_frame_t *frame = wasm_trap_origin(call->trap);
        if (frame != NULL) {
            is_it = wasm_frame_func_index(frame) == call->module->instrument.grow_function_index;
            wasm_frame_delete(frame);
        }
    }
    return is_it;
}

/* Whether the stack in the guest's own memory has run over: its pointer is then below 0. */
static bool is_below_stack(const struct nx_call *call) {
    wasmtime_extern_t item;
    wasmtime_val_t pointer;
    if (!call->module->has_stack_pointer || !call->host.has_memory ||
        !wasmtime_instance_export_get(call->host.context, &call->instance, NX_STACK_POINTER_EXPORT,
                                      sizeof NX_STACK_POINTER_EXPORT - 1, &item)) {
        return false;
    }
    wasmtime_global_get(call->host.context, &item.of.global, &pointer);
    return (uint32_t)pointer.of.i32 > wasmtime_memory_data_size(call->host.context, &call->host.memory);
}

static void end_by_trap(struct nx_call *call) {
    wasmtime_trap_code_t code;
    if (!wasmtime_trap_code(call->trap, &code)) {
        end(call, NX_OUTCOME_TRAP, "the guest trapped");
    } else if (code == WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED && is_refused_growth(call)) {
        char text[96];
        (void)snprintf(text, sizeof text, "the guest asked for more memory than its limit of %llu bytes",
                       (unsigned long long)call->memory_max);
        end(call, NX_OUTCOME_MEMORY_LIMIT, text);
    } else if (code == WASMTIME_TRAP_CODE_STACK_OVERFLOW ||
               (code == WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS && is_below_stack(call))) {
        end(call, NX_OUTCOME_STACK_OVERFLOW, "the guest's stack overflowed");
    } else if (code == WASMTIME_TRAP_CODE_OUT_OF_FUEL && (call->has_cut || call->is_comparing)) {
        end(call, NX_OUTCOME_DEADLINE, NX_DEADLINE_TEXT);
    } else if (code == WASMTIME_TRAP_CODE_OUT_OF_FUEL) {
        end(call, NX_OUTCOME_REPLAY_DIFFERS, "the guest runs on where it had ended");
    } else {
        end(call, NX_OUTCOME_TRAP, trap_text(code));
    }
}

/* The guest came to its end by itself, in this phase. */
static void end_by_guest(struct nx_call *call) {
    if (call->host.has_ended) {
        return;
    }
    if (call->trap != NULL) {
        end_by_trap(call);
    } else if (call->error != NULL) {
        struct nx_error why = { 0 };
        (void)nx_wasm_fail(&why, NX_INTERNAL, call->error);
        call->error = NULL;
        end(call, call->phase == PHASE_INSTANTIATE ? NX_OUTCOME_HOST_ERROR : NX_OUTCOME_TRAP, why.message);
    } else if (call->phase == PHASE_RUN && call->module->entry_returns_code &&
               call->return_value.of.i32 != 0) {
        char text[64];
        (void)snprintf(text, sizeof text, "handle_event returned %d", call->return_value.of.i32);
        call->host.exit_code = call->return_value.of.i32;
        end(call, NX_OUTCOME_EXIT, text);
    } else {
        call->host.has_ended = true;
        call->host.outcome = NX_OUTCOME_OK;
    }
}

static void write_tape(struct nx_call *call) {
    struct nx_host *host = &call->host;
    struct nx_tape_header header;
    header.flags = (uint8_t)((call->has_cut ? NX_TAPE_CUT : 0) |
                             (host->outcome == NX_OUTCOME_HOST_ERROR || host->outcome == NX_OUTCOME_TAPE_LIMIT
                                  ? NX_TAPE_UNREPLAYABLE
                                  : 0));
    const struct nx_call_limits none = { 0 };
    if (memcmp(&call->limits_given, &none, sizeof none) != 0) {
        header.flags |= NX_TAPE_HAS_LIMITS;
        memcpy(header.limits, &host->limits, sizeof header.limits);
    }
    _Static_assert(sizeof host->limits == sizeof header.limits, "the limits are on the tape in this order");
    memcpy(header.module_digest, nx_module_digest(call->module)->bytes, NX_DIGEST_SIZE);
    header.engine_build = nx_engine_build();
    header.settings_digest = call->module->engine->settings_digest;
    header.interface_version = NX_GUEST_INTERFACE_VERSION;
    header.memory_max = call->memory_max;
    memcpy(header.seed, host->generator.seed, NX_TAPE_SEED_SIZE);
    header.start_time_ns = host->started_at.wall_ns;
    header.fuel = call->result.fuel_used;
    header.input_size = host->input.len;
    nx_environment_to_tape(&host->environment, &header);
    header.entry_count = nx_buf_failed(&host->tape.entries) ? 0 : host->tape.entry_count;
    (void)nx_buf_reserve(&call->tape_out, 512 + host->tape.entries.len);
    nx_tape_encode_header(&header, &call->tape_out);
    nx_buf_append(&call->tape_out, nx_buf_str(&host->tape.entries));
    if (nx_buf_failed(&call->tape_out)) {
        call->result.replayable = false;
    }
}

static void fill_lists(struct nx_call_result *result, const struct nx_host *host) {
    result->log_lines = (const struct nx_call_log_line *)(const void *)host->log_lines.ptr;
    result->log_line_count = host->log_lines.len / sizeof *result->log_lines;
    result->publishes = (const struct nx_call_publish *)(const void *)host->publishes.ptr;
    result->publish_count = host->publishes.len / sizeof *result->publishes;
    result->kv_writes = (const struct nx_call_kv_write *)(const void *)host->kv_writes.ptr;
    result->kv_write_count = host->kv_writes.len / sizeof *result->kv_writes;
    result->kv_reads = (const struct nx_call_kv_read *)(const void *)host->kv_reads.ptr;
    result->kv_read_count = host->kv_reads.len / sizeof *result->kv_reads;
    result->response = host->response;
}

/* `host` says how it ended; take the readings, give the instance back, write the result. */
static enum nx_call_state finish(struct nx_call *call) {
    struct nx_host *host = &call->host;
    struct nx_call_result *result = &call->result;
    drop_future(call);
    drop_failure(call);
    nx_host_flush(host);
    if (host->tape.replaying && host->outcome != NX_OUTCOME_REPLAY_DIFFERS &&
        !nx_tape_check_end(&host->tape)) {
        host->has_ended = false;
        wasm_trap_delete(nx_host_end_by_tape(host));
    }
    if (call->store != NULL) {
        uint64_t left = 0;
        wasmtime_error_t *error = wasmtime_context_get_fuel(host->context, &left);
        if (error != NULL) {
            wasmtime_error_delete(error);
        }
        result->fuel_used = call->fuel_given - left;
        result->memory_peak = host->has_memory ? wasmtime_memory_data_size(host->context, &host->memory) : 0;
        wasmtime_store_delete(call->store);
        call->store = NULL;
        host->has_memory = false;
    }
    result->outcome = host->outcome;
    result->exit_code = host->exit_code;
    result->error = nx_str_from_c(host->error);
    result->output = nx_buf_str(&host->output);
    result->host_call_count = host->host_call_count;
    result->tape_entry_count = host->tape.entry_count;
    result->differs_at = host->tape.entry_count;
    result->differs_at_byte = host->tape.differs_at_byte;
    if (host->tape.compare != NULL) {
        result->questions_differ = host->tape.compare->order_differs;
        result->question = host->tape.compare->order_differs_at;
        result->question_hash = host->tape.compare->question_hash;
    }
    result->start_time_ns = host->started_at.wall_ns;
    result->replayable = host->outcome != NX_OUTCOME_HOST_ERROR && host->outcome != NX_OUTCOME_TAPE_LIMIT;
    fill_lists(result, host);
    if (!host->tape.replaying) {
        write_tape(call);
    }
    result->tape = host->tape.replaying ? call->tape : nx_buf_str(&call->tape_out);
    if (host->clock.read != NULL) {
        result->duration_ns = nx_clock_read(&host->clock).monotonic_ns - call->host.started_at.monotonic_ns;
    }
    call->phase = PHASE_DONE;
    return NX_CALL_DONE;
}

static void keep_error(struct nx_call *call, wasmtime_error_t *error) {
    if (error != NULL && call->error == NULL) {
        call->error = error;
    } else if (error != NULL) {
        wasmtime_error_delete(error);
    }
}

/* Without a start function an instance can be made without a future, which is cheaper. */
static void instantiate(struct nx_call *call) {
    struct nx_host *host = &call->host;
    call->phase = PHASE_INSTANTIATE;
    call->store = wasmtime_store_new(call->module->pool->engine, host, NULL);
    host->context = wasmtime_store_context(call->store);
    wasmtime_store_limiter(call->store, (int64_t)call->memory_max, NX_GUEST_TABLE_ELEMENTS_MAX, 1, 1, 1);
    if (call->module->instantiates_at_once) {
        keep_error(call, wasmtime_instance_pre_instantiate(call->module->instance_pre, host->context,
                                                           &call->instance, &call->trap));
    }
    keep_error(call, wasmtime_context_set_fuel(host->context, call->fuel_given));
    keep_error(call, wasmtime_context_fuel_async_yield_interval(host->context, NX_FUEL_SLICE));
    if (!call->module->instantiates_at_once && call->error == NULL) {
        call->future = wasmtime_instance_pre_instantiate_async(call->module->instance_pre, host->context,
                                                               &call->instance, &call->trap, &call->error);
    }
}

static void start_function(struct nx_call *call, enum phase phase, const char *name, size_t name_len,
                           size_t result_count) {
    call->phase = phase;
    /* The module was checked to export it as a function. */
    const bool found =
        wasmtime_instance_export_get(call->host.context, &call->instance, name, name_len, &call->function);
    nx_assert(found && call->function.kind == WASMTIME_EXTERN_FUNC);
    call->future = wasmtime_func_call_async(call->host.context, &call->function.of.func, NULL, 0,
                                            &call->return_value, result_count, &call->trap, &call->error);
}

static void find_memory(struct nx_call *call) {
    wasmtime_extern_t item;
    const bool found = wasmtime_instance_export_get(call->host.context, &call->instance, "memory", 6, &item);
    nx_assert(found && item.kind == WASMTIME_EXTERN_MEMORY);
    call->host.memory = item.of.memory;
    call->host.has_memory = true;
}

/* The phase has come to its end: start the next one. False: there is none. */
static bool next_phase(struct nx_call *call) {
    if (call->trap != NULL || call->error != NULL || call->host.has_ended) {
        end_by_guest(call);
        return false;
    }
    switch (call->phase) {
    case PHASE_START:
        instantiate(call);
        return true;
    case PHASE_INSTANTIATE:
        find_memory(call);
        if (call->module->has_initialize) {
            start_function(call, PHASE_INITIALIZE, "_initialize", 11, 0);
            return true;
        }
        /* fallthrough */
    case PHASE_INITIALIZE:
        start_function(call, PHASE_RUN, call->module->entry, call->module->entry_len,
                       call->module->entry_returns_code ? 1 : 0);
        return true;
    case PHASE_RUN:
    case PHASE_DONE:
        break;
    }
    end_by_guest(call);
    return false;
}

/* The deadline has passed: the guest is dropped where it is. */
static enum nx_call_state cut(struct nx_call *call) {
    if (call->host.wait.kind != NX_WAIT_NONE) {
        if (nx_tape_wait_cut(&call->host.tape, call->host.wait.arguments)) {
            end(call, NX_OUTCOME_DEADLINE, NX_DEADLINE_WAIT_TEXT);
        } else {
            wasm_trap_delete(nx_host_end_by_tape(&call->host));
        }
    } else {
        call->has_cut = true;
        end(call, NX_OUTCOME_DEADLINE, NX_DEADLINE_TEXT);
    }
    return finish(call);
}

static void begin(struct nx_call *call, struct nx_now now) {
    if (!call->host.tape.replaying) {
        call->host.started_at = now;
        nx_tape_record_init(&call->host.tape, call->host.limits.tape_size_max, now.wall_ns);
    } else {
        call->host.started_at.monotonic_ns = now.monotonic_ns;
    }
}

enum nx_call_state nx_call_step(struct nx_call *call, struct nx_now now) {
    struct nx_wait *wait = &call->host.wait;
    nx_assert(call->phase != PHASE_DONE);
    if (call->phase == PHASE_START) {
        begin(call, now);
        if (call->has_cut && call->fuel_given == 0) {
            end(call, NX_OUTCOME_DEADLINE, NX_DEADLINE_TEXT); /* recorded: too late from the start */
            return finish(call);
        }
    }
    if (now.monotonic_ns >= call->deadline_ns) {
        return cut(call);
    }
    if (wait->kind != NX_WAIT_NONE) {
        wait->is_ready = wait->is_ready || now.monotonic_ns >= wait->wake_ns;
        if (!wait->is_ready) {
            return NX_CALL_WAITING;
        }
    }
    for (;;) {
        if (call->future != NULL) {
            if (!wasmtime_call_future_poll(call->future)) {
                return wait->kind != NX_WAIT_NONE && !wait->is_ready ? NX_CALL_WAITING : NX_CALL_RUNNING;
            }
            wasmtime_call_future_delete(call->future);
            call->future = NULL;
        }
        if (!next_phase(call)) {
            return finish(call);
        }
    }
}

int64_t nx_call_wake_ns(const struct nx_call *call) {
    const int64_t wake_ns = call->host.wait.kind == NX_WAIT_NONE ? INT64_MIN : call->host.wait.wake_ns;
    return wake_ns < call->deadline_ns ? wake_ns : call->deadline_ns;
}

void nx_call_provide_kv(struct nx_call *call, bool found, struct nx_str value, uint64_t version) {
    if (call->host.wait.kind != NX_WAIT_KV) {
        return; /* too late: the deadline has ended the call meanwhile */
    }
    nx_host_provide_kv(&call->host, found, value, version);
}

void nx_call_provide_kv_error(struct nx_call *call, const struct nx_error *why) {
    if (call->host.wait.kind != NX_WAIT_KV) {
        return;
    }
    wasm_trap_delete(
        nx_host_end(&call->host, NX_OUTCOME_HOST_ERROR, "cannot look up a key: %s", why->message));
    call->host.wait.is_ready = true;
}

const struct nx_call_result *nx_call_result(const struct nx_call *call) {
    nx_assert(call->phase == PHASE_DONE);
    return &call->result;
}
