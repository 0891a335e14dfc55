#include "platform/function/replay_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "codec/headers.h"
#include "platform/function/invocation.h"

enum { BASE_SIZE_MAX = 16 * 1024 * 1024 }; /* bytes: names of effects, log lines */

struct nx_check {
    struct nx_check_options options;
    struct nx_map modules; /* digest -> struct nx_module, referenced */
    struct nx_buf input;
    struct nx_call *call; /* under way */
    struct nx_check_subject subject;
    struct nx_arena *arena;
    struct nx_replay_item *item;
    int64_t began_ns;
    struct nx_buf tape; /* with other answers */
    /* Comparing with other code than was recorded: what that did. */
    struct nx_call *base_call;
    struct nx_invocation base;
    struct nx_arena base_arena;
    const struct nx_invocation *recorded; /* what is compared with: of `subject`, or `base` */
    struct nx_module *module;             /* what is compared */
    /* A key that the tape does not answer: */
    struct nx_host_ops ops;
    struct nx_buf key;
    bool key_is_wanted;
};

static void ask_key(void *data, struct nx_call *call, struct nx_str key) {
    struct nx_check *check = data;
    (void)call;
    nx_buf_reset(&check->key);
    nx_buf_append(&check->key, key);
    check->key_is_wanted = true;
}

enum nx_status nx_check_new(const struct nx_check_options *options, struct nx_check **check_out,
                            struct nx_error *err) {
    struct nx_check *check = calloc(1, sizeof *check);
    if (check == NULL) {
        return nx_fail_memory(err);
    }
    check->options = *options;
    nx_map_init(&check->modules, NX_CHECK_MODULES_MAX, options->seed);
    nx_buf_init(&check->input, NX_EVENT_INPUT_SIZE_MAX);
    nx_buf_init(&check->tape, NX_TAPE_SIZE_MAX);
    nx_buf_init(&check->key, NX_KV_KEY_SIZE_MAX);
    nx_arena_init(&check->base_arena, BASE_SIZE_MAX);
    check->ops = (struct nx_host_ops){ .data = check, .kv_get = ask_key };
    *check_out = check;
    return NX_OK;
}

void nx_check_free(struct nx_check *check) {
    size_t cursor = 0;
    void *module;
    if (check == NULL) {
        return;
    }
    check->options.guests->call_free(check->call);
    check->options.guests->call_free(check->base_call);
    while (nx_map_next(&check->modules, &cursor, NULL, &module)) {
        check->options.guests->module_unref(module);
    }
    nx_map_fini(&check->modules);
    nx_buf_fini(&check->input);
    nx_buf_fini(&check->tape);
    nx_buf_fini(&check->key);
    nx_arena_fini(&check->base_arena);
    free(check);
}

static struct nx_str key_of(const struct nx_digest *digest) {
    return nx_str_of(digest->bytes, NX_DIGEST_SIZE);
}

static bool is_comparing(const struct nx_check *check) {
    return check->options.is_comparing;
}

static struct nx_str withheld(const struct nx_check_subject *subject) {
    const struct nx_str reason = nx_record_withheld(subject->record);
    return reason.len > 0 || subject->event == NULL ? reason : nx_record_withheld(subject->event);
}

static bool is_withheld(const struct nx_check_subject *subject) {
    return withheld(subject).len > 0;
}

bool nx_check_wants_module(const struct nx_check *check, const struct nx_check_subject *subject) {
    return check->options.other == NULL && (subject->invocation->flags & NX_INVOCATION_UNREPLAYABLE) == 0 &&
           subject->event != NULL && !is_withheld(subject) &&
           nx_map_get(&check->modules, key_of(&subject->invocation->module_digest)) == NULL;
}

enum nx_status nx_check_add_module(struct nx_check *check, const struct nx_digest *digest, struct nx_str wasm,
                                   struct nx_error *err) {
    const struct nx_guest_kind *guests = check->options.guests;
    struct nx_module *module = NULL;
    NX_TRY(guests->module_load(guests->data, wasm, NX_GUEST_MEMORY_MAX, &module, err));
    const enum nx_status status = nx_map_set(&check->modules, key_of(digest), module, err);
    if (status != NX_OK) {
        guests->module_unref(module);
    }
    return status;
}

uint64_t nx_record_event_sequence(const struct nx_record *record) {
    const struct nx_str prefix = NX_STR("EVENTS:");
    const struct nx_str reference = nx_headers_value(record->headers, "Nexus-Event");
    uint64_t sequence = 0;
    return nx_str_starts_with(reference, prefix) &&
                   nx_str_to_u64(nx_str_slice(reference, prefix.len, reference.len), &sequence)
               ? sequence
               : 0;
}

void nx_check_describe(const struct nx_record *record, const struct nx_invocation *invocation,
                       const struct nx_record *event, struct nx_arena *arena, struct nx_replay_item *item) {
    const struct nx_str prefix = NX_STR("invocations.");
    *item = (struct nx_replay_item){
        .invocation = record->sequence,
        .event_sequence = nx_record_event_sequence(record),
        .function = nx_arena_copy(arena, nx_str_slice(record->subject, prefix.len, record->subject.len)),
        .attempt = invocation->attempt,
        .outcome = invocation->outcome,
        .original_time_ns = invocation->started_at_ns,
        .module_is_current = true,
    };
    if (event != NULL) {
        item->event_id = nx_arena_copy(arena, nx_headers_value(event->headers, "ce-id"));
    }
    memcpy(item->trace_id, invocation->trace_id, NX_TRACE_ID_SIZE);
}

static bool decide(struct nx_check *check, enum nx_replay_verdict verdict, const struct nx_error *why) {
    check->item->verdict = verdict;
    if (why != NULL) {
        check->item->error = nx_arena_copy(check->arena, nx_str_from_c(why->message));
    }
    return false;
}

/* The key is gone: of the event and the tape there is nothing left to replay. */
static bool decide_withheld(struct nx_check *check, struct nx_str reason) {
    struct nx_error error = { 0 };
    const struct nx_str erased = NX_STR("erased ");
    if (nx_str_starts_with(reason, erased)) {
        (void)nx_fail(
            &error, NX_NOT_FOUND,
            "the person whom it is about was forgotten on %.*s: what the event and the call held cannot "
            "be read any more",
            NX_STR_ARG(nx_str_slice(reason, erased.len, reason.len)));
        return decide(check, NX_REPLAY_ERASED, &error);
    }
    (void)nx_fail(&error, NX_UNAVAILABLE, "it is about a person, and sealed; it cannot be opened: %.*s",
                  NX_STR_ARG(reason));
    return decide(check, NX_REPLAY_FAILED, &error);
}

static enum nx_status begin_call(struct nx_check *check, struct nx_module *module, struct nx_error *err) {
    const struct nx_check_options *options = &check->options;
    const struct nx_check_subject *subject = &check->subject;
    struct nx_cloudevent event;
    NX_AUTO(nx_arena) arena;
    nx_arena_init(&arena, NX_EVENT_INPUT_SIZE_MAX);
    nx_buf_reset(&check->input);
    const struct nx_event_input input = {
        .record = subject->event,
        .is_data = (subject->invocation->flags & NX_INVOCATION_INPUT_IS_DATA) != 0,
        .is_live_replay = (subject->invocation->flags & NX_INVOCATION_LIVE_REPLAY) != 0,
    };
    NX_TRY(nx_event_to_input(&input, &arena, &event, &check->input, err));
    struct nx_call_options call = {
        .module = module,
        .mode = is_comparing(check) ? NX_CALL_COMPARE : NX_CALL_REPLAY,
        .policy = options->policy,
        .clock = options->policy == NX_COMPARE_LIVE ? options->clock : (struct nx_clock){ 0 },
        .ops = is_comparing(check) ? &check->ops : NULL,
        .input = nx_buf_str(&check->input),
        .tape = subject->invocation->tape.bytes,
    };
    if (options->change_count > 0) {
        nx_buf_reset(&check->tape);
        NX_TRY(nx_tape_change(call.tape, options->changes, options->change_count, &check->tape, err));
        call.tape = nx_buf_str(&check->tape);
    }
    check->key_is_wanted = false;
    return options->guests->call_new(options->guests->data, &call, &check->call, err);
}

bool nx_check_begin(struct nx_check *check, const struct nx_check_subject *subject, struct nx_arena *arena,
                    struct nx_replay_item *item) {
    struct nx_error error = { 0 };
    struct nx_module *module = NULL;
    check->subject = *subject;
    check->arena = arena;
    check->item = item;
    nx_check_describe(subject->record, subject->invocation, subject->event, arena, item);
    if (is_withheld(subject)) {
        return decide_withheld(check, withheld(subject));
    }
    if ((subject->invocation->flags & NX_INVOCATION_UNREPLAYABLE) != 0) {
        (void)nx_fail(&error, NX_FAILED_PRECONDITION, "recorded as unreplayable: %s (%.*s)",
                      nx_outcome_name(subject->invocation->outcome), NX_STR_ARG(subject->invocation->error));
        return decide(check, NX_REPLAY_UNREPLAYABLE, &error);
    }
    if (subject->event == NULL && subject->is_event_destroyed) {
        (void)nx_fail(&error, NX_DATA_LOSS, "event EVENTS:%" PRIu64 " is destroyed: see nexus journal verify",
                      item->event_sequence);
        return decide(check, NX_REPLAY_FAILED, &error);
    }
    if (subject->event == NULL) {
        (void)nx_fail(&error, NX_NOT_FOUND, "event EVENTS:%" PRIu64 " is gone", item->event_sequence);
        return decide(check, NX_REPLAY_EVENT_GONE, &error);
    }
    module = check->options.other != NULL
                 ? check->options.other
                 : nx_map_get(&check->modules, key_of(&subject->invocation->module_digest));
    nx_assert(module != NULL);
    check->module = module;
    check->recorded = subject->invocation;
    const enum nx_status status =
        begin_call(check, check->options.against != NULL ? check->options.against : module, &error);
    if (status != NX_OK) {
        return decide(check, error.kind == NX_KIND_UNREPLAYABLE ? NX_REPLAY_UNREPLAYABLE : NX_REPLAY_FAILED,
                      &error);
    }
    check->began_ns = nx_clock_read(&check->options.clock).monotonic_ns;
    return true;
}

void nx_check_miss_module(struct nx_check *check, const struct nx_check_subject *subject,
                          struct nx_arena *arena, struct nx_replay_item *item, const struct nx_error *why) {
    check->subject = *subject;
    check->arena = arena;
    check->item = item;
    nx_check_describe(subject->record, subject->invocation, subject->event, arena, item);
    (void)decide(check, why->status == NX_NOT_FOUND ? NX_REPLAY_MODULE_GONE : NX_REPLAY_FAILED, why);
}

/* The comparison: each returns false after noting the first difference. */

static bool differ(struct nx_check *check, uint64_t offset, struct nx_str recorded, struct nx_str replayed,
                   const char *format, ...) NX_PRINTF(5, 6);
static bool differ(struct nx_check *check, uint64_t offset, struct nx_str recorded, struct nx_str replayed,
                   const char *format, ...) {
    char what[128];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    check->item->verdict = NX_REPLAY_DIFFERENT;
    check->item->difference = (struct nx_replay_difference){
        .what = nx_arena_copy(check->arena, nx_str_from_c(what)),
        .offset = offset,
        .recorded = nx_arena_copy(check->arena,
                                  nx_str_slice(recorded, offset, (size_t)offset + NX_REPLAY_EXCERPT_SIZE)),
        .replayed = nx_arena_copy(check->arena,
                                  nx_str_slice(replayed, offset, (size_t)offset + NX_REPLAY_EXCERPT_SIZE)),
    };
    return false;
}

static bool same_bytes(struct nx_check *check, const char *what, size_t index, struct nx_str recorded,
                       struct nx_str replayed) {
    if (nx_str_equal(recorded, replayed)) {
        return true;
    }
    size_t offset = 0;
    while (offset < recorded.len && offset < replayed.len && recorded.ptr[offset] == replayed.ptr[offset]) {
        offset++;
    }
    return index == 0 ? differ(check, offset, recorded, replayed, "%s", what)
                      : differ(check, offset, recorded, replayed, "%s %zu", what, index);
}

static bool same_number(struct nx_check *check, const char *what, uint64_t recorded, uint64_t replayed) {
    char texts[2][24];
    if (recorded == replayed) {
        return true;
    }
    (void)snprintf(texts[0], sizeof texts[0], "%" PRIu64, recorded);
    (void)snprintf(texts[1], sizeof texts[1], "%" PRIu64, replayed);
    return differ(check, 0, nx_str_from_c(texts[0]), nx_str_from_c(texts[1]), "%s", what);
}

static bool same_output(struct nx_check *check, const struct nx_call_result *result) {
    const struct nx_invocation *recorded = check->recorded;
    if ((recorded->flags & NX_INVOCATION_OUTPUT_STORED) == 0 || recorded->output.bytes.len > 0) {
        return same_bytes(check, "output", 0, recorded->output.bytes, result->output);
    }
    const bool is_salted = (recorded->flags & NX_INVOCATION_PERSONAL) != 0;
    const struct nx_digest salt = is_salted ? nx_invocation_output_salt(check->subject.invocation->tape.bytes)
                                            : (struct nx_digest){ 0 };
    const struct nx_str parts[] = { nx_str_of(salt.bytes, is_salted ? sizeof salt.bytes : 0),
                                    result->output };
    const struct nx_digest digest = nx_digest_of_parts(parts, sizeof parts / sizeof parts[0]);
    return nx_digest_equal(&digest, &recorded->output.digest) ||
           differ(check, 0, NX_STR("(stored)"), result->output, "output");
}

/* Other code may write other lines, and then the times of the next ones are other ones too. */
static bool same_line_time(struct nx_check *check, int64_t recorded_ns, int64_t replayed_ns) {
    return is_comparing(check) ||
           same_number(check, "time of a log line", (uint64_t)recorded_ns, (uint64_t)replayed_ns);
}

static bool same_lines(struct nx_check *check, const struct nx_call_result *result) {
    const struct nx_invocation *recorded = check->recorded;
    for (size_t i = 0; i < recorded->log_line_count && i < result->log_line_count; i++) {
        const struct nx_invocation_log_line *old = &recorded->log_lines[i];
        const struct nx_call_log_line *now = &result->log_lines[i];
        if (!same_bytes(check, "log line", i + 1, old->text, now->text) ||
            !same_bytes(check, "fields of log line", i + 1, old->fields, now->fields) ||
            !same_number(check, "level of a log line", old->level, (uint64_t)now->level) ||
            !same_line_time(check, old->time_ns, now->time_ns)) {
            return false;
        }
    }
    return same_number(check, "number of log lines", recorded->log_line_count, result->log_line_count);
}

/* What an effect of a call holds: data, value or headers. */
static struct nx_str content_of(const struct nx_call_result *result, size_t index) {
    if (index < result->publish_count) {
        return result->publishes[index].data;
    }
    index -= result->publish_count;
    return index < result->kv_write_count ? result->kv_writes[index].value : result->response.headers;
}

/* The record has a fingerprint of what the effect held; both are known where both were run. */
static bool same_content(struct nx_check *check, const struct nx_call_result *result, size_t index,
                         const uint8_t fingerprint[NX_FINGERPRINT_SIZE]) {
    char what[64];
    if (memcmp(check->recorded->effects[index].fingerprint, fingerprint, NX_FINGERPRINT_SIZE) == 0) {
        return true;
    }
    (void)snprintf(what, sizeof what, "content of effect %zu", index + 1);
    if (check->base_call != NULL) {
        const struct nx_call_result *base = check->options.guests->call_result(check->base_call);
        if (!same_bytes(check, what, 0, content_of(base, index), content_of(result, index))) {
            return false;
        }
    }
    return differ(check, 0, NX_STR_EMPTY, content_of(result, index), "%s", what);
}

static bool same_effect(struct nx_check *check, const struct nx_call_result *result, size_t index,
                        enum nx_effect_kind kind, struct nx_str name,
                        const uint8_t fingerprint[NX_FINGERPRINT_SIZE]) {
    const struct nx_effect_summary *old = &check->recorded->effects[index];
    char what[64];
    (void)snprintf(what, sizeof what, "kind of effect %zu", index + 1);
    if (!same_number(check, what, old->kind, kind)) {
        return false;
    }
    /* A published event's id is ours, made when it was stored; its type is the guest's. */
    if (!same_bytes(check, "effect", index + 1, kind == NX_EFFECT_PUBLISH ? old->type : old->name, name)) {
        return false;
    }
    return same_content(check, result, index, fingerprint);
}

static bool same_effects(struct nx_check *check, const struct nx_call_result *result) {
    const struct nx_invocation *recorded = check->recorded;
    uint8_t fingerprint[NX_FINGERPRINT_SIZE];
    if (recorded->outcome != NX_OUTCOME_OK) {
        return true; /* effects of a failed call are dropped */
    }
    const size_t before_response = result->publish_count + result->kv_write_count;
    if (!same_number(check, "number of effects", recorded->effect_count,
                     before_response + (result->response.status != 0 ? 1 : 0))) {
        return false;
    }
    for (size_t i = 0; i < result->publish_count; i++) {
        nx_publish_fingerprint(&result->publishes[i], fingerprint);
        if (!same_effect(check, result, i, NX_EFFECT_PUBLISH, result->publishes[i].type, fingerprint)) {
            return false;
        }
    }
    for (size_t i = 0; i < result->kv_write_count; i++) {
        const struct nx_call_kv_write *write = &result->kv_writes[i];
        nx_kv_write_fingerprint(write, fingerprint);
        if (!same_effect(check, result, result->publish_count + i,
                         write->deleted ? NX_EFFECT_KEY_DELETE : NX_EFFECT_KEY_SET, write->key,
                         fingerprint)) {
            return false;
        }
    }
    if (result->response.status != 0) {
        char status[16];
        const int len = snprintf(status, sizeof status, "%" PRIu32, result->response.status);
        nx_response_fingerprint(&result->response, fingerprint);
        return same_effect(check, result, before_response, NX_EFFECT_RESPOND, nx_str_of(status, (size_t)len),
                           fingerprint);
    }
    return true;
}

static bool same_outcome(struct nx_check *check, const struct nx_call_result *result) {
    const struct nx_invocation *recorded = check->recorded;
    if (result->outcome == NX_OUTCOME_REPLAY_DIFFERS &&
        recorded->outcome != NX_OUTCOME_REPLAY_DIFFERS) { /* comparing strictly */
        return differ(check, 0, nx_str_from_c(nx_outcome_name(recorded->outcome)), result->error, "outcome");
    }
    return same_bytes(check, "outcome", 0, nx_str_from_c(nx_outcome_name(recorded->outcome)),
                      nx_str_from_c(nx_outcome_name(result->outcome))) &&
           same_number(check, "exit code", (uint64_t)(int64_t)recorded->exit_code,
                       (uint64_t)(int64_t)result->exit_code);
}

static bool same_questions(struct nx_check *check, const struct nx_call_result *result) {
    bool is_same = !result->questions_differ;
    uint64_t question = result->question;
    if (check->base_call != NULL) {
        const struct nx_call_result *base = check->options.guests->call_result(check->base_call);
        is_same = base->question_hash == result->question_hash;
        question = base->questions_differ && (!result->questions_differ || base->question < question)
                       ? base->question
                       : question;
    }
    return is_same ||
           differ(check, 0, NX_STR_EMPTY, NX_STR_EMPTY, "question %" PRIu64 " to the host", question + 1);
}

static bool same_amount(struct nx_check *check, const char *what, uint64_t recorded, uint64_t replayed) {
    const uint64_t apart = recorded > replayed ? recorded - replayed : replayed - recorded;
    return apart <= recorded / 100 * NX_REPLAY_TOLERANCE_PERCENT ||
           same_number(check, what, recorded, replayed);
}

static bool same_fuel(struct nx_check *check, const struct nx_call_result *result) {
    return same_amount(check, "fuel", check->recorded->fuel, result->fuel_used);
}

static bool same_memory(struct nx_check *check, const struct nx_call_result *result) {
    return same_amount(check, "memory", check->recorded->memory_peak, result->memory_peak);
}

/* Other code: every way in which it differs, not the first alone. */
static void compare_shapes(struct nx_check *check, const struct nx_call_result *result) {
    static bool (*const same[NX_REPLAY_SHAPE_COUNT])(struct nx_check *, const struct nx_call_result *) = {
        [NX_REPLAY_SHAPE_OUTCOME] = same_outcome,     [NX_REPLAY_SHAPE_OUTPUT] = same_output,
        [NX_REPLAY_SHAPE_EFFECTS] = same_effects,     [NX_REPLAY_SHAPE_LOG] = same_lines,
        [NX_REPLAY_SHAPE_QUESTIONS] = same_questions, [NX_REPLAY_SHAPE_FUEL] = same_fuel,
        [NX_REPLAY_SHAPE_MEMORY] = same_memory,
    };
    struct nx_replay_item *item = check->item;
    struct nx_replay_difference *shapes =
        nx_arena_alloc(check->arena, NX_REPLAY_SHAPE_COUNT * sizeof *shapes);
    if (shapes == NULL) {
        item->verdict = NX_REPLAY_FAILED;
        item->error = NX_STR("out of memory");
        return;
    }
    item->verdict = NX_REPLAY_IDENTICAL;
    for (unsigned i = 0; i < NX_REPLAY_SHAPE_COUNT; i++) {
        item->difference = (struct nx_replay_difference){ 0 };
        (void)same[i](check, result);
        shapes[i] = item->difference;
    }
    for (unsigned i = NX_REPLAY_SHAPE_COUNT; i-- > 0;) {
        item->difference = shapes[i].what.len > 0 ? shapes[i] : item->difference;
    }
    item->shapes = item->verdict == NX_REPLAY_DIFFERENT ? shapes : NULL;
}

static void compare(struct nx_check *check, const struct nx_call_result *result) {
    const struct nx_invocation *recorded = check->recorded;
    if (is_comparing(check) && result->outcome == NX_OUTCOME_HOST_ERROR) {
        check->item->verdict = NX_REPLAY_FAILED;
        check->item->error = nx_arena_copy(check->arena, result->error);
        return;
    }
    if (is_comparing(check)) {
        compare_shapes(check, result);
        return;
    }
    if (result->outcome == NX_OUTCOME_REPLAY_DIFFERS) {
        (void)differ(check, 0, NX_STR_EMPTY, result->error, "host call %" PRIu64, result->differs_at + 1);
        return;
    }
    if (!same_bytes(check, "outcome", 0, nx_str_from_c(nx_outcome_name(recorded->outcome)),
                    nx_str_from_c(nx_outcome_name(result->outcome))) ||
        !same_number(check, "exit code", (uint64_t)(int64_t)recorded->exit_code,
                     (uint64_t)(int64_t)result->exit_code) ||
        !same_output(check, result) || !same_lines(check, result) || !same_effects(check, result) ||
        !same_number(check, "fuel", recorded->fuel, result->fuel_used) ||
        !same_number(check, "memory", recorded->memory_peak, result->memory_peak)) {
        return;
    }
    check->item->verdict = NX_REPLAY_IDENTICAL;
}

static void copy_output(struct nx_check *check, const struct nx_call_result *result) {
    struct nx_replay_item *item = check->item;
    struct nx_invocation_log_line *lines =
        nx_arena_alloc(check->arena, (result->log_line_count + 1) * sizeof *lines);
    item->output = nx_arena_copy(check->arena, result->output);
    for (size_t i = 0; i < result->log_line_count && lines != NULL; i++) {
        const struct nx_call_log_line *line = &result->log_lines[i];
        lines[i] = (struct nx_invocation_log_line){
            .level = (uint8_t)line->level,
            .time_ns = line->time_ns,
            .text = nx_arena_copy(check->arena, line->text),
            .fields = nx_arena_copy(check->arena, line->fields),
        };
        item->log_line_count++;
    }
    item->log_lines = lines;
    item->log_line_count = lines == NULL ? 0 : item->log_line_count;
}

/* What the code did that is compared with, as if it had been recorded. Its strings are the call's, which is
 * kept until the other one is compared. */
static enum nx_status make_base(struct nx_check *check, const struct nx_call_result *result,
                                struct nx_error *err) {
    struct nx_arena *arena = &check->base_arena;
    struct nx_invocation *base = &check->base;
    size_t effect_count = result->publish_count + result->kv_write_count;
    nx_arena_fini(arena);
    nx_arena_init(arena, BASE_SIZE_MAX);
    struct nx_effect_summary *effects = nx_arena_alloc(arena, (effect_count + 1) * sizeof *effects);
    struct nx_invocation_log_line *lines =
        nx_arena_alloc(arena, (result->log_line_count + 1) * sizeof *lines);
    if (effects == NULL || lines == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < result->publish_count; i++) {
        effects[i] =
            (struct nx_effect_summary){ .kind = NX_EFFECT_PUBLISH, .type = result->publishes[i].type };
        nx_publish_fingerprint(&result->publishes[i], effects[i].fingerprint);
    }
    for (size_t i = 0; i < result->kv_write_count; i++) {
        const struct nx_call_kv_write *write = &result->kv_writes[i];
        struct nx_effect_summary *effect = &effects[result->publish_count + i];
        *effect =
            (struct nx_effect_summary){ .kind = write->deleted ? NX_EFFECT_KEY_DELETE : NX_EFFECT_KEY_SET,
                                        .name = write->key };
        nx_kv_write_fingerprint(write, effect->fingerprint);
    }
    if (result->response.status != 0) {
        char status[16];
        const int len = snprintf(status, sizeof status, "%" PRIu32, result->response.status);
        effects[effect_count] =
            (struct nx_effect_summary){ .kind = NX_EFFECT_RESPOND,
                                        .name = nx_arena_copy(arena, nx_str_of(status, (size_t)len)) };
        nx_response_fingerprint(&result->response, effects[effect_count++].fingerprint);
    }
    for (size_t i = 0; i < result->log_line_count; i++) {
        const struct nx_call_log_line *line = &result->log_lines[i];
        lines[i] = (struct nx_invocation_log_line){ .level = (uint8_t)line->level,
                                                    .time_ns = line->time_ns,
                                                    .text = line->text,
                                                    .fields = line->fields };
    }
    *base = *check->subject.invocation;
    base->flags &= ~(uint32_t)NX_INVOCATION_OUTPUT_STORED;
    base->outcome = result->outcome;
    base->exit_code = result->exit_code;
    base->error = result->error;
    base->output.bytes = result->output;
    base->effects = effects;
    base->effect_count = effect_count;
    base->log_lines = lines;
    base->log_line_count = result->log_line_count;
    base->fuel = result->fuel_used;
    base->memory_peak = result->memory_peak;
    check->recorded = base;
    return NX_OK;
}

/* The code that is compared with has ended: now the other one. */
static enum nx_check_state begin_second(struct nx_check *check, const struct nx_call_result *result) {
    struct nx_error error = { 0 };
    enum nx_status status = NX_OK;
    if (result->outcome == NX_OUTCOME_HOST_ERROR) {
        status = nx_fail(&error, NX_INTERNAL, "%.*s", NX_STR_ARG(result->error));
    } else {
        status = make_base(check, result, &error);
    }
    check->base_call = NX_TAKE(check->call);
    if (status == NX_OK) {
        status = begin_call(check, check->module, &error);
    }
    if (status == NX_OK) {
        return NX_CHECK_RUNNING;
    }
    check->options.guests->call_free(NX_TAKE(check->base_call));
    (void)decide(check, NX_REPLAY_FAILED, &error);
    return NX_CHECK_DONE;
}

enum nx_check_state nx_check_step(struct nx_check *check, bool with_output) {
    const struct nx_guest_kind *guests = check->options.guests;
    /* From the tape alone: no clock decides anything. */
    if (guests->call_step(check->call, (struct nx_now){ 0 }) != NX_CALL_DONE) {
        return check->key_is_wanted ? NX_CHECK_WANTS_KEY : NX_CHECK_RUNNING;
    }
    const struct nx_call_result *result = guests->call_result(check->call);
    if (check->options.against != NULL && check->base_call == NULL) {
        return begin_second(check, result);
    }
    check->item->outcome = result->outcome;
    check->item->fuel = result->fuel_used;
    check->item->duration_ns =
        (uint64_t)(nx_clock_read(&check->options.clock).monotonic_ns - check->began_ns);
    compare(check, result);
    if (with_output || check->item->verdict != NX_REPLAY_IDENTICAL) {
        copy_output(check, result);
    }
    if (check->options.observer.saw != NULL) {
        check->options.observer.saw(check->options.observer.data, &check->subject, result);
    }
    guests->call_free(NX_TAKE(check->call));
    guests->call_free(NX_TAKE(check->base_call));
    return NX_CHECK_DONE;
}

struct nx_str nx_check_key(const struct nx_check *check) {
    nx_assert(check->key_is_wanted);
    return nx_buf_str(&check->key);
}

void nx_check_give_key(struct nx_check *check, const struct nx_record *record, const struct nx_error *why) {
    const struct nx_guest_kind *guests = check->options.guests;
    struct nx_str operation;
    check->key_is_wanted = false;
    if (why != NULL) {
        guests->call_provide_kv_error(check->call, why);
        return;
    }
    const bool is_found = record != NULL && nx_record_withheld(record).len == 0 &&
                          (!nx_headers_find(record->headers, NX_STR("KV-Operation"), &operation) ||
                           nx_str_is(operation, "PUT"));
    guests->call_provide_kv(check->call, is_found, is_found ? record->payload : NX_STR_EMPTY,
                            record == NULL ? 0 : record->sequence);
}
