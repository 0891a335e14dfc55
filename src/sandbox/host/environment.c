/* src/sandbox/host/environment.c */
#include "sandbox/host/environment.h"

#include "codec/time_format.h"

enum { BLOCK_SIZE_MAX = 1024 * 1024 };

/* Ours win over the manifest's. */
static bool is_ours(const struct nx_environment *environment, struct nx_str name) {
    return (environment->has_trace && (nx_str_is(name, "TRACE_ID") || nx_str_is(name, "TRACEPARENT"))) ||
           nx_str_is(name, "NEXUS_EVENT_ID") || nx_str_is(name, "NEXUS_IS_REPLAY") ||
           nx_str_is(name, "NEXUS_ORIGINAL_TIMESTAMP");
}

static void add(struct nx_environment *environment, struct nx_str name, struct nx_str value) {
    nx_buf_append(&environment->block, name);
    nx_buf_append_u8(&environment->block, '=');
    nx_buf_append(&environment->block, value);
    nx_buf_append_u8(&environment->block, 0);
    environment->count++;
}

static void add_trace(struct nx_environment *environment) {
    char text[] = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00";
    enum { TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53 };
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof environment->trace_id; i++) {
        text[TRACE_AT + i * 2] = digits[environment->trace_id[i] >> 4];
        text[TRACE_AT + i * 2 + 1] = digits[environment->trace_id[i] & 15];
    }
    for (size_t i = 0; i < sizeof environment->span_id; i++) {
        text[SPAN_AT + i * 2] = digits[environment->span_id[i] >> 4];
        text[SPAN_AT + i * 2 + 1] = digits[environment->span_id[i] & 15];
    }
    text[FLAGS_AT] = digits[environment->trace_flags >> 4];
    text[FLAGS_AT + 1] = digits[environment->trace_flags & 15];
    add(environment, NX_STR("TRACE_ID"), nx_str_of(text + TRACE_AT, 32));
    add(environment, NX_STR("TRACEPARENT"), nx_str_of(text, sizeof text - 1));
}

bool nx_environment_complete(struct nx_environment *environment) {
    if (environment->is_complete) {
        return true;
    }
    environment->is_complete = true;
    if (environment->has_trace) {
        add_trace(environment);
    }
    add(environment, NX_STR("NEXUS_EVENT_ID"), nx_buf_str(&environment->event_id));
    add(environment, NX_STR("NEXUS_IS_REPLAY"), environment->is_replay ? NX_STR("true") : NX_STR("false"));
    if (environment->original_time_ns != 0) {
        char text[NX_TIME_TEXT_SIZE + 1];
        add(environment, NX_STR("NEXUS_ORIGINAL_TIMESTAMP"),
            nx_time_format(environment->original_time_ns, NX_TIME_MILLISECONDS, text));
    }
    return !nx_buf_failed(&environment->block);
}

/* After the manifest's entries: ours must still fit. */
static enum nx_status seal(struct nx_environment *environment, struct nx_error *err) {
    environment->manifest_count = environment->count;
    NX_TRY(nx_buf_check(&environment->event_id, err));
    return nx_buf_check(&environment->block, err);
}

static bool is_plain(struct nx_str text) {
    return nx_str_find_byte(text, '\0') == SIZE_MAX;
}

enum nx_status nx_environment_init(struct nx_environment *environment, const struct nx_call_env *env,
                                   size_t env_count, const struct nx_call_identity *identity,
                                   struct nx_error *err) {
    static const uint8_t zeros[16];
    nx_buf_init(&environment->event_id, NX_CALL_EVENT_ID_SIZE_MAX);
    nx_buf_init(&environment->block, BLOCK_SIZE_MAX);
    if (env_count > NX_CALL_ENV_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "more than %d environment entries", NX_CALL_ENV_MAX);
    }
    if (!is_plain(identity->event_id)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "an event id with a zero byte in it");
    }
    environment->has_trace = memcmp(identity->trace_id, zeros, sizeof zeros) != 0;
    environment->is_replay = identity->is_replay;
    memcpy(environment->trace_id, identity->trace_id, sizeof environment->trace_id);
    memcpy(environment->span_id, identity->span_id, sizeof environment->span_id);
    environment->trace_flags = identity->trace_flags;
    environment->original_time_ns = identity->original_time_ns;
    nx_buf_append(&environment->event_id, identity->event_id);
    for (size_t i = 0; i < env_count; i++) {
        const struct nx_call_env *entry = &env[i];
        if (entry->name.len == 0 || nx_str_find_byte(entry->name, '=') != SIZE_MAX ||
            !is_plain(entry->name) || !is_plain(entry->value)) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "environment entry %zu has a bad name or value", i);
        }
        if (!is_ours(environment, entry->name)) {
            add(environment, entry->name, entry->value);
        }
    }
    return seal(environment, err);
}

enum nx_status nx_environment_init_of_tape(struct nx_environment *environment,
                                           const struct nx_tape_header *header, struct nx_error *err) {
    nx_buf_init(&environment->event_id, NX_CALL_EVENT_ID_SIZE_MAX);
    nx_buf_init(&environment->block, BLOCK_SIZE_MAX);
    environment->has_trace = (header->flags & NX_TAPE_HAS_TRACE) != 0;
    environment->is_replay = (header->flags & NX_TAPE_IS_REPLAY) != 0;
    if (environment->has_trace) {
        memcpy(environment->trace_id, header->trace_id, sizeof environment->trace_id);
        memcpy(environment->span_id, header->span_id, sizeof environment->span_id);
        environment->trace_flags = header->trace_flags;
    }
    environment->original_time_ns = header->original_time_ns;
    bool is_good = is_plain(header->event_id) && header->event_id.len <= NX_CALL_EVENT_ID_SIZE_MAX;
    nx_buf_append(&environment->event_id, header->event_id);
    for (size_t i = 0; i < header->env_count; i++) {
        is_good = is_good && is_plain(header->env[i].name) && is_plain(header->env[i].value);
        add(environment, header->env[i].name, header->env[i].value);
    }
    if (!is_good) {
        return nx_fail(err, NX_DATA_LOSS, "damaged tape: an impossible environment");
    }
    return seal(environment, err);
}

void nx_environment_to_tape(const struct nx_environment *environment, struct nx_tape_header *header) {
    if (environment->has_trace) {
        header->flags |= NX_TAPE_HAS_TRACE;
        memcpy(header->trace_id, environment->trace_id, sizeof header->trace_id);
        memcpy(header->span_id, environment->span_id, sizeof header->span_id);
        header->trace_flags = environment->trace_flags;
    }
    header->flags |= (uint8_t)(environment->is_replay ? NX_TAPE_IS_REPLAY : 0);
    header->event_id = nx_buf_str(&environment->event_id);
    header->original_time_ns = environment->original_time_ns;
    struct nx_str rest = nx_buf_str(&environment->block);
    for (size_t i = 0; i < environment->manifest_count; i++) {
        struct nx_str entry = { 0 };
        (void)nx_str_split(&rest, '\0', &entry);
        (void)nx_str_split(&entry, '=', &header->env[i].name);
        header->env[i].value = entry;
    }
    header->env_count = environment->manifest_count;
}

void nx_environment_fini(struct nx_environment *environment) {
    nx_buf_fini(&environment->event_id);
    nx_buf_fini(&environment->block);
}
