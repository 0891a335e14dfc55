/* src/codec/tape_format.c: reading and writing tapes. The decoder trusts nothing. */
#include "codec/tape_format.h"

#include "base/assert.h"

static const char MAGIC[3] = { 'N', 'X', 'T' };

enum {
    FLAGS_KNOWN = NX_TAPE_CUT | NX_TAPE_HAS_LIMITS | NX_TAPE_HAS_TRACE | NX_TAPE_HAS_SOURCE |
                  NX_TAPE_IS_REPLAY | NX_TAPE_UNREPLAYABLE
};

static void append_bytes(struct nx_buf *buf, const void *bytes, size_t len) {
    nx_buf_append(buf, nx_str_of(bytes, len));
}

void nx_tape_encode_header(const struct nx_tape_header *header, struct nx_buf *buf) {
    nx_assert((header->flags & ~FLAGS_KNOWN) == 0);
    nx_assert(header->env_count <= NX_TAPE_ENV_MAX);
    append_bytes(buf, MAGIC, sizeof MAGIC);
    nx_buf_append_u8(buf, NX_TAPE_VERSION);
    nx_buf_append_u8(buf, header->flags);
    append_bytes(buf, header->module_digest, NX_TAPE_DIGEST_SIZE);
    if ((header->flags & NX_TAPE_HAS_SOURCE) != 0) {
        append_bytes(buf, header->source_digest, NX_TAPE_DIGEST_SIZE);
    }
    nx_buf_append_varint_bytes(buf, header->engine_build);
    nx_buf_append_u64(buf, header->settings_digest);
    nx_buf_append_varint(buf, header->interface_version);
    nx_buf_append_varint(buf, header->memory_max);
    if ((header->flags & NX_TAPE_HAS_LIMITS) != 0) {
        for (size_t i = 0; i < NX_TAPE_LIMIT_COUNT; i++) {
            nx_buf_append_varint(buf, header->limits[i]);
        }
    }
    append_bytes(buf, header->seed, NX_TAPE_SEED_SIZE);
    nx_buf_append_u64(buf, (uint64_t)header->start_time_ns);
    nx_buf_append_varint(buf, header->fuel);
    nx_buf_append_varint(buf, header->input_size);
    if ((header->flags & NX_TAPE_HAS_TRACE) != 0) {
        append_bytes(buf, header->trace_id, sizeof header->trace_id);
        append_bytes(buf, header->span_id, sizeof header->span_id);
        nx_buf_append_u8(buf, header->trace_flags);
    }
    nx_buf_append_varint_bytes(buf, header->event_id);
    nx_buf_append_varint_signed(buf, header->original_time_ns);
    nx_buf_append_varint(buf, header->env_count);
    for (size_t i = 0; i < header->env_count; i++) {
        nx_buf_append_varint_bytes(buf, header->env[i].name);
        nx_buf_append_varint_bytes(buf, header->env[i].value);
    }
    nx_buf_append_varint(buf, header->entry_count);
}

void nx_tape_encode_entry(const struct nx_tape_entry *entry, struct nx_buf *buf) {
    nx_buf_append_u8(buf, (uint8_t)entry->kind);
    switch (entry->kind) {
    case NX_TAPE_CLOCK_WALL:
    case NX_TAPE_CLOCK_MONOTONIC:
    case NX_TAPE_LOG_TIME:
        nx_buf_append_varint_signed(buf, entry->time_ns);
        return;
    case NX_TAPE_POLL:
        nx_assert(entry->fired_count <= NX_TAPE_FIRED_MAX);
        nx_buf_append_u32(buf, entry->arguments);
        nx_buf_append_varint(buf, entry->fired_count);
        for (size_t i = 0; i < entry->fired_count; i++) {
            nx_buf_append_varint(buf, entry->fired[i]);
        }
        return;
    case NX_TAPE_KV_GET:
        nx_buf_append_u32(buf, entry->arguments);
        nx_buf_append_varint(buf, entry->version);
        nx_buf_append_u8(buf, entry->found ? 1 : 0);
        if (entry->found) {
            nx_buf_append_u8(buf, NX_TAPE_VALUE_PLAIN);
            nx_buf_append_varint_bytes(buf, entry->value);
        }
        return;
    case NX_TAPE_WAIT_CUT:
        nx_buf_append_u32(buf, entry->arguments);
        return;
    }
    nx_assert(false);
}

static void read_fixed(struct nx_reader *reader, uint8_t *bytes_out, size_t len) {
    const struct nx_str bytes = nx_reader_bytes(reader, len);
    if (nx_reader_ok(reader)) {
        memcpy(bytes_out, bytes.ptr, len);
    }
}

/* Only the shortest form of a number is taken, so that what decodes encodes to the same bytes. */
static uint64_t read_varint(struct nx_reader *reader) {
    const size_t start = reader->offset;
    const uint64_t value = nx_reader_varint(reader);
    if (nx_reader_ok(reader) && reader->offset - start > 1 && reader->ptr[reader->offset - 1] == 0) {
        reader->failed = true;
    }
    return value;
}

static int64_t read_varint_signed(struct nx_reader *reader) {
    const uint64_t value = read_varint(reader);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static struct nx_str read_varint_bytes(struct nx_reader *reader) {
    const uint64_t len = read_varint(reader);
    if (len > nx_reader_left(reader)) {
        reader->failed = true;
        return NX_STR_EMPTY;
    }
    return nx_reader_bytes(reader, (size_t)len);
}

static void read_environment(struct nx_reader *reader, struct nx_tape_header *header) {
    header->event_id = read_varint_bytes(reader);
    header->original_time_ns = read_varint_signed(reader);
    const uint64_t count = read_varint(reader);
    if (count > NX_TAPE_ENV_MAX) {
        reader->failed = true;
        return;
    }
    header->env_count = (size_t)count;
    for (size_t i = 0; i < header->env_count; i++) {
        header->env[i].name = read_varint_bytes(reader);
        header->env[i].value = read_varint_bytes(reader);
    }
}

static void read_header(struct nx_reader *reader, struct nx_tape_header *header) {
    header->flags = nx_reader_u8(reader);
    if ((header->flags & ~FLAGS_KNOWN) != 0) {
        reader->failed = true;
    }
    read_fixed(reader, header->module_digest, NX_TAPE_DIGEST_SIZE);
    if ((header->flags & NX_TAPE_HAS_SOURCE) != 0) {
        read_fixed(reader, header->source_digest, NX_TAPE_DIGEST_SIZE);
    }
    header->engine_build = read_varint_bytes(reader);
    header->settings_digest = nx_reader_u64(reader);
    header->interface_version = read_varint(reader);
    header->memory_max = read_varint(reader);
    if ((header->flags & NX_TAPE_HAS_LIMITS) != 0) {
        for (size_t i = 0; i < NX_TAPE_LIMIT_COUNT; i++) {
            header->limits[i] = read_varint(reader);
        }
    }
    read_fixed(reader, header->seed, NX_TAPE_SEED_SIZE);
    header->start_time_ns = (int64_t)nx_reader_u64(reader);
    header->fuel = read_varint(reader);
    header->input_size = read_varint(reader);
    if ((header->flags & NX_TAPE_HAS_TRACE) != 0) {
        read_fixed(reader, header->trace_id, sizeof header->trace_id);
        read_fixed(reader, header->span_id, sizeof header->span_id);
        header->trace_flags = nx_reader_u8(reader);
    }
    read_environment(reader, header);
    header->entry_count = read_varint(reader);
}

static void read_poll(struct nx_reader *reader, struct nx_tape_entry *entry) {
    entry->arguments = nx_reader_u32(reader);
    const uint64_t count = read_varint(reader);
    if (count > NX_TAPE_FIRED_MAX) {
        reader->failed = true;
        return;
    }
    entry->fired_count = (size_t)count;
    for (size_t i = 0; i < entry->fired_count; i++) {
        const uint64_t index = read_varint(reader);
        if (index > UINT16_MAX || (i > 0 && index <= entry->fired[i - 1])) {
            reader->failed = true;
            return;
        }
        entry->fired[i] = (uint16_t)index;
    }
}

static void read_kv_get(struct nx_reader *reader, struct nx_tape_entry *entry) {
    entry->arguments = nx_reader_u32(reader);
    entry->version = read_varint(reader);
    const uint8_t found = nx_reader_u8(reader);
    entry->found = found == 1;
    entry->value = NX_STR_EMPTY;
    if (found > 1) {
        reader->failed = true;
    }
    if (entry->found) {
        if (nx_reader_u8(reader) != NX_TAPE_VALUE_PLAIN) {
            reader->failed = true;
        }
        entry->value = read_varint_bytes(reader);
    }
}

static void read_entry(struct nx_reader *reader, struct nx_tape_entry *entry) {
    entry->kind = (enum nx_tape_entry_kind)nx_reader_u8(reader);
    switch (entry->kind) {
    case NX_TAPE_CLOCK_WALL:
    case NX_TAPE_CLOCK_MONOTONIC:
    case NX_TAPE_LOG_TIME:
        entry->time_ns = read_varint_signed(reader);
        return;
    case NX_TAPE_POLL:
        read_poll(reader, entry);
        return;
    case NX_TAPE_KV_GET:
        read_kv_get(reader, entry);
        return;
    case NX_TAPE_WAIT_CUT:
        entry->arguments = nx_reader_u32(reader);
        return;
    }
    reader->failed = true;
}

enum nx_status nx_tape_decode(struct nx_str tape, struct nx_tape_header *header_out,
                              struct nx_tape_reader *entries_out, struct nx_error *err) {
    struct nx_reader reader = nx_reader_of(tape);
    const struct nx_str magic = nx_reader_bytes(&reader, sizeof MAGIC);
    const uint8_t version = nx_reader_u8(&reader);

    if (!nx_reader_ok(&reader) || memcmp(magic.ptr, MAGIC, sizeof MAGIC) != 0) {
        return nx_fail(err, NX_DATA_LOSS, "not a tape: it does not begin with NXT");
    }
    if (version != NX_TAPE_VERSION) {
        return nx_fail_kind(err, NX_KIND_FORMAT_VERSION, "tape format %u is not known here (%d is)", version,
                            NX_TAPE_VERSION);
    }
    read_header(&reader, header_out);
    if (!nx_reader_ok(&reader)) {
        return nx_fail(err, NX_DATA_LOSS, "damaged tape: bad header before byte %zu", reader.offset);
    }
    const struct nx_tape_reader entries = { .bytes = reader, .entry_count = header_out->entry_count };
    struct nx_tape_entry entry;
    for (uint64_t i = 0; i < header_out->entry_count; i++) {
        const size_t start = reader.offset;
        read_entry(&reader, &entry);
        const bool last = i + 1 == header_out->entry_count;
        if (!nx_reader_ok(&reader) || (entry.kind == NX_TAPE_WAIT_CUT && !last)) {
            return nx_fail(err, NX_DATA_LOSS, "damaged tape: bad entry %llu at byte %zu",
                           (unsigned long long)i, start);
        }
    }
    if (nx_reader_left(&reader) != 0) {
        return nx_fail(err, NX_DATA_LOSS, "damaged tape: %zu bytes too many at byte %zu",
                       nx_reader_left(&reader), reader.offset);
    }
    *entries_out = entries;
    return NX_OK;
}

bool nx_tape_next(struct nx_tape_reader *reader, struct nx_tape_entry *entry_out) {
    if (reader->index >= reader->entry_count) {
        return false;
    }
    read_entry(&reader->bytes, entry_out);
    nx_assert(nx_reader_ok(&reader->bytes)); /* nx_tape_decode() has walked over every entry */
    reader->index++;
    return true;
}
