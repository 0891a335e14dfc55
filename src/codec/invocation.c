/* src/codec/invocation.c: see invocation.h for the format. */
#include "codec/invocation.h"

static void encode_blob(const struct nx_invocation_blob *blob, bool stored, struct nx_buf *out) {
    if (stored) {
        nx_buf_append_varint(out, blob->size);
        nx_buf_append(out, nx_str_of(blob->digest.bytes, sizeof blob->digest.bytes));
    } else {
        nx_buf_append_varint_bytes(out, blob->bytes);
    }
}

static void encode_log_lines(const struct nx_invocation *invocation, struct nx_buf *out) {
    int64_t before_ns = invocation->started_at_ns;
    nx_buf_append_varint(out, invocation->log_line_count);
    for (size_t i = 0; i < invocation->log_line_count; i++) {
        const struct nx_invocation_log_line *line = &invocation->log_lines[i];
        nx_buf_append_u8(out, line->level);
        nx_buf_append_varint_signed(out, (int64_t)((uint64_t)line->time_ns - (uint64_t)before_ns));
        nx_buf_append_varint_bytes(out, line->text);
        nx_buf_append_varint_bytes(out, line->fields);
        before_ns = line->time_ns;
    }
}

void nx_invocation_encode(const struct nx_invocation *invocation, struct nx_buf *out) {
    nx_buf_append_u8(out, NX_INVOCATION_FORMAT);
    nx_buf_append_varint(out, invocation->flags);
    nx_buf_append_u8(out, (uint8_t)invocation->outcome);
    nx_buf_append_varint(out, invocation->attempt);
    nx_buf_append_varint(out, invocation->series);
    nx_buf_append(out, nx_str_of(invocation->module_digest.bytes, NX_DIGEST_SIZE));
    nx_buf_append_u64(out, (uint64_t)invocation->started_at_ns);
    nx_buf_append_varint(out, invocation->duration_ns);
    nx_buf_append_varint(out, invocation->fuel);
    nx_buf_append_varint(out, invocation->memory_peak);
    nx_buf_append_varint_signed(out, invocation->exit_code);
    nx_buf_append_varint_bytes(out, nx_str_slice(invocation->error, 0, NX_INVOCATION_ERROR_SIZE_MAX));
    nx_buf_append(out, nx_str_of(invocation->trace_id, sizeof invocation->trace_id));
    nx_buf_append(out, nx_str_of(invocation->span_id, sizeof invocation->span_id));
    nx_buf_append_varint(out, invocation->dead_letter);
    encode_blob(&invocation->output, (invocation->flags & NX_INVOCATION_OUTPUT_STORED) != 0, out);
    nx_buf_append_varint(out, invocation->effect_count);
    for (size_t i = 0; i < invocation->effect_count; i++) {
        const struct nx_effect_summary *effect = &invocation->effects[i];
        nx_buf_append_u8(out, (uint8_t)effect->kind);
        nx_buf_append_varint_bytes(out, effect->name);
        nx_buf_append_varint_bytes(out, effect->type);
        nx_buf_append(out, nx_str_of(effect->fingerprint, sizeof effect->fingerprint));
    }
    encode_log_lines(invocation, out);
    const size_t earlier_count = invocation->earlier_count > NX_INVOCATION_EARLIER_MAX
                                     ? NX_INVOCATION_EARLIER_MAX
                                     : invocation->earlier_count;
    nx_buf_append_varint(out, earlier_count);
    for (size_t i = 0; i < earlier_count; i++) {
        nx_buf_append_varint(out, invocation->earlier[i]);
    }
    encode_blob(&invocation->tape, (invocation->flags & NX_INVOCATION_TAPE_STORED) != 0, out);
}

/* A varint that must fit below a limit; past it the reader fails. */
static uint64_t read_below(struct nx_reader *reader, uint64_t limit) {
    const uint64_t value = nx_reader_varint(reader);
    if (value >= limit) {
        reader->failed = true;
        return 0;
    }
    return value;
}

static void read_fixed(struct nx_reader *reader, uint8_t *bytes_out, size_t len) {
    const struct nx_str bytes = nx_reader_bytes(reader, len);
    if (bytes.len == len) {
        memcpy(bytes_out, bytes.ptr, len);
    }
}

static void read_blob(struct nx_reader *reader, bool stored, struct nx_invocation_blob *blob) {
    if (stored) {
        blob->size = nx_reader_varint(reader);
        read_fixed(reader, blob->digest.bytes, NX_DIGEST_SIZE);
        blob->bytes = NX_STR_EMPTY;
    } else {
        blob->bytes = nx_reader_varint_bytes(reader);
        blob->size = blob->bytes.len;
    }
}

static enum nx_status damaged(const struct nx_reader *reader, struct nx_error *err) {
    return nx_fail(err, NX_DATA_LOSS, "damaged invocation record at byte %zu", reader->offset);
}

static enum nx_status read_head(struct nx_reader *reader, struct nx_invocation *invocation,
                                struct nx_error *err) {
    const uint8_t version = nx_reader_u8(reader);
    if (nx_reader_ok(reader) && version != NX_INVOCATION_FORMAT) {
        return nx_fail_kind(err, NX_KIND_FORMAT_VERSION, "an invocation record of format %u, not %d", version,
                            NX_INVOCATION_FORMAT);
    }
    invocation->flags = (uint32_t)read_below(reader, UINT32_MAX);
    const uint8_t outcome = nx_reader_u8(reader);
    if (outcome >= NX_OUTCOME_COUNT) {
        reader->failed = true;
    } else {
        invocation->outcome = (enum nx_outcome)outcome;
    }
    invocation->attempt = (uint32_t)read_below(reader, UINT32_MAX);
    invocation->series = (uint32_t)read_below(reader, UINT32_MAX);
    read_fixed(reader, invocation->module_digest.bytes, NX_DIGEST_SIZE);
    invocation->started_at_ns = (int64_t)nx_reader_u64(reader);
    invocation->duration_ns = nx_reader_varint(reader);
    invocation->fuel = nx_reader_varint(reader);
    invocation->memory_peak = nx_reader_varint(reader);
    const int64_t exit_code = nx_reader_varint_signed(reader);
    if (exit_code < INT32_MIN || exit_code > INT32_MAX) {
        reader->failed = true;
    } else {
        invocation->exit_code = (int32_t)exit_code;
    }
    invocation->error = nx_reader_varint_bytes(reader);
    if (invocation->error.len > NX_INVOCATION_ERROR_SIZE_MAX) {
        reader->failed = true;
    }
    read_fixed(reader, invocation->trace_id, sizeof invocation->trace_id);
    read_fixed(reader, invocation->span_id, sizeof invocation->span_id);
    invocation->dead_letter = nx_reader_varint(reader);
    return nx_reader_ok(reader) ? NX_OK : damaged(reader, err);
}

enum nx_status nx_invocation_decode_head(struct nx_str payload, struct nx_invocation *invocation_out,
                                         struct nx_error *err) {
    struct nx_reader reader = nx_reader_of(payload);
    struct nx_invocation invocation = { 0 };
    NX_TRY(read_head(&reader, &invocation, err));
    *invocation_out = invocation;
    return NX_OK;
}

static enum nx_status read_effects(struct nx_reader *reader, struct nx_arena *arena,
                                   struct nx_invocation *invocation, struct nx_error *err) {
    const size_t count = (size_t)read_below(reader, NX_INVOCATION_EFFECTS_MAX + 1);
    /* Each takes at least its fixed part: a count that the bytes cannot hold never reaches the allocator. */
    if (!nx_reader_ok(reader) || count > nx_reader_left(reader) / (3 + NX_FINGERPRINT_SIZE)) {
        return damaged(reader, err);
    }
    struct nx_effect_summary *effects =
        count == 0 ? NULL : nx_arena_alloc(arena, count * sizeof(struct nx_effect_summary));
    if (count > 0 && effects == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t kind = nx_reader_u8(reader);
        if (kind < NX_EFFECT_PUBLISH || kind > NX_EFFECT_RESPOND) {
            return damaged(reader, err);
        }
        effects[i].kind = (enum nx_effect_kind)kind;
        effects[i].name = nx_reader_varint_bytes(reader);
        effects[i].type = nx_reader_varint_bytes(reader);
        read_fixed(reader, effects[i].fingerprint, sizeof effects[i].fingerprint);
    }
    invocation->effects = effects;
    invocation->effect_count = count;
    return nx_reader_ok(reader) ? NX_OK : damaged(reader, err);
}

static enum nx_status read_log_lines(struct nx_reader *reader, struct nx_arena *arena,
                                     struct nx_invocation *invocation, struct nx_error *err) {
    const size_t count = (size_t)read_below(reader, NX_INVOCATION_LOG_LINES_MAX + 1);
    if (!nx_reader_ok(reader) || count > nx_reader_left(reader) / 4) {
        return damaged(reader, err);
    }
    struct nx_invocation_log_line *lines =
        count == 0 ? NULL : nx_arena_alloc(arena, count * sizeof(struct nx_invocation_log_line));
    if (count > 0 && lines == NULL) {
        return nx_fail_memory(err);
    }
    int64_t before_ns = invocation->started_at_ns;
    for (size_t i = 0; i < count; i++) {
        lines[i].level = nx_reader_u8(reader);
        before_ns = (int64_t)((uint64_t)before_ns + (uint64_t)nx_reader_varint_signed(reader));
        lines[i].time_ns = before_ns;
        lines[i].text = nx_reader_varint_bytes(reader);
        lines[i].fields = nx_reader_varint_bytes(reader);
    }
    invocation->log_lines = lines;
    invocation->log_line_count = count;
    return nx_reader_ok(reader) ? NX_OK : damaged(reader, err);
}

static enum nx_status read_earlier(struct nx_reader *reader, struct nx_arena *arena,
                                   struct nx_invocation *invocation, struct nx_error *err) {
    const size_t count = (size_t)read_below(reader, NX_INVOCATION_EARLIER_MAX + 1);
    if (!nx_reader_ok(reader) || count > nx_reader_left(reader)) {
        return damaged(reader, err);
    }
    uint64_t *earlier = count == 0 ? NULL : nx_arena_alloc(arena, count * sizeof(uint64_t));
    if (count > 0 && earlier == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        earlier[i] = nx_reader_varint(reader);
    }
    invocation->earlier = earlier;
    invocation->earlier_count = count;
    return NX_OK;
}

enum nx_status nx_invocation_decode(struct nx_str payload, struct nx_arena *arena,
                                    struct nx_invocation *invocation_out, struct nx_error *err) {
    struct nx_reader reader = nx_reader_of(payload);
    struct nx_invocation invocation = { 0 };
    NX_TRY(read_head(&reader, &invocation, err));
    read_blob(&reader, (invocation.flags & NX_INVOCATION_OUTPUT_STORED) != 0, &invocation.output);
    NX_TRY(read_effects(&reader, arena, &invocation, err));
    NX_TRY(read_log_lines(&reader, arena, &invocation, err));
    NX_TRY(read_earlier(&reader, arena, &invocation, err));
    read_blob(&reader, (invocation.flags & NX_INVOCATION_TAPE_STORED) != 0, &invocation.tape);
    if (!nx_reader_ok(&reader) || nx_reader_left(&reader) != 0) {
        return damaged(&reader, err);
    }
    *invocation_out = invocation;
    return NX_OK;
}
