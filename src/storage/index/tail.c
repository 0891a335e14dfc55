#include "storage/index/tail.h"

#include "base/assert.h"
#include "codec/headers.h"

enum {
    HOLE_MAX = 256, /* missing sequences that are cheaper to store than a new part */
    OFFSETS_MIN = 4,
    TABLE_MIN = 64, /* slots; a power of two */
    NONE = UINT32_MAX,
};

/* Consecutive sequences of one stream; linked to those before it. */
struct part {
    struct part *previous;
    uint64_t base; /* sequence of offsets[0] */
    size_t count;
    size_t capacity;
    uint32_t *offsets; /* of the frames, in units of 8 bytes; 0: no such record */
};

struct stream_entry {
    struct nx_extent extent;
    struct part *newest;
};

/* An id, a reference, or a subject. Entries of one hash are chained, the newest in front; a subject has one
 * entry, which moves on, unless its stream keeps a history. */
struct key_entry {
    uint64_t hash;
    uint32_t offset; /* of the frame, in units of 8 bytes */
    uint32_t previous;
};

/* The upper half of a hash stands beside the index, so that most probing stays in the slots: entries are
 * many, and each look at another one is a miss of the cache. */
struct key_slot {
    uint32_t tag;
    uint32_t entry; /* index of the newest entry of a hash, or NONE */
};

struct key_table {
    struct key_slot *slots;
    size_t slot_count;
    size_t used; /* slots */
    struct key_entry *entries;
    size_t count;
    size_t capacity;
};

struct nx_tail {
    struct nx_segment *segment;
    uint64_t seed;
    struct stream_entry *streams;
    size_t stream_count;
    size_t stream_capacity;
    uint32_t *by_stream; /* stream number: index into streams + 1 */
    size_t by_stream_count;
    struct key_table keys;
    struct key_table subjects;
    size_t memory;
};

const enum nx_key_kind nx_key_kinds[NX_KEYS] = { NX_KEY_ID, NX_KEY_REFERENCE };

uint64_t nx_key_hash(enum nx_key_kind kind, struct nx_str key, uint64_t seed) {
    return nx_str_hash(key, seed + (uint64_t)kind * 0x9e3779b97f4a7c15ULL);
}

void nx_stored_keys(const struct nx_stored *stored, struct nx_str keys_out[NX_KEYS]) {
    static const struct nx_str names[NX_KEYS] = { { "ce-id", 5 }, { "Nexus-Event", 11 } };
    nx_headers_values(stored->headers, names, NX_KEYS, keys_out);
}

struct nx_str nx_stored_key(const struct nx_stored *stored, enum nx_key_kind kind) {
    struct nx_str keys[NX_KEYS];
    if (kind == NX_KEY_SUBJECT) {
        return stored->subject;
    }
    nx_stored_keys(stored, keys);
    return keys[kind == NX_KEY_ID ? 0 : 1];
}

void nx_stored_of_frame(const struct nx_frame *frame, struct nx_stored *stored_out) {
    stored_out->stream = frame->header.stream;
    stored_out->sequence = frame->header.sequence;
    stored_out->time_ns = frame->header.time_ns;
    stored_out->place = 0;
    nx_frame_record(frame, &stored_out->dedup, &stored_out->subject, &stored_out->headers,
                    &stored_out->payload);
}

enum nx_status nx_tail_new(struct nx_segment *segment, uint64_t seed, struct nx_tail **tail_out,
                           struct nx_error *err) {
    struct nx_tail *tail = calloc(1, sizeof *tail);
    if (tail == NULL) {
        return nx_fail_memory(err);
    }
    tail->segment = segment;
    tail->seed = seed;
    *tail_out = tail;
    return NX_OK;
}

void nx_tail_free(struct nx_tail *tail) {
    if (tail == NULL) {
        return;
    }
    for (size_t i = 0; i < tail->stream_count; i++) {
        struct part *part = tail->streams[i].newest;
        while (part != NULL) {
            struct part *previous = part->previous;
            free(part->offsets);
            free(part);
            part = previous;
        }
    }
    free(tail->streams);
    free(tail->by_stream);
    free(tail->keys.slots);
    free(tail->keys.entries);
    free(tail->subjects.slots);
    free(tail->subjects.entries);
    nx_segment_close(tail->segment);
    free(tail);
}

const struct nx_segment *nx_tail_segment(const struct nx_tail *tail) {
    return tail->segment;
}

size_t nx_tail_memory(const struct nx_tail *tail) {
    const size_t tables = (tail->keys.slot_count + tail->subjects.slot_count) * sizeof(struct key_slot) +
                          (tail->keys.capacity + tail->subjects.capacity) * sizeof(struct key_entry);
    return tail->memory + tables + tail->stream_capacity * sizeof(struct stream_entry) +
           tail->by_stream_count * sizeof(uint32_t);
}

/* The slot of this hash, or the free one where it would go. */
static size_t find_slot(const struct key_table *table, uint64_t hash) {
    const uint32_t tag = (uint32_t)(hash >> 32);
    size_t slot = hash & (table->slot_count - 1);
    while (table->slots[slot].entry != NONE &&
           (table->slots[slot].tag != tag || table->entries[table->slots[slot].entry].hash != hash)) {
        slot = (slot + 1) & (table->slot_count - 1);
    }
    return slot;
}

static enum nx_status table_grow(struct key_table *table, struct nx_error *err) {
    const size_t slot_count = table->slot_count == 0 ? TABLE_MIN : table->slot_count * 2;
    struct key_slot *slots = reallocarray(NULL, slot_count, sizeof *slots);
    if (slots == NULL) {
        return nx_fail_memory(err);
    }
    memset(slots, 0xff, slot_count * sizeof *slots);
    free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
    for (size_t i = 0; i < table->count; i++) { /* in order: the newest of a hash is the last to be noted */
        const uint64_t hash = table->entries[i].hash;
        slots[find_slot(table, hash)] =
            (struct key_slot){ .tag = (uint32_t)(hash >> 32), .entry = (uint32_t)i };
    }
    return NX_OK;
}

/* Room for so many more entries, fewer than TABLE_MIN: then adding them cannot fail. */
static enum nx_status table_reserve(struct key_table *table, size_t count, struct nx_error *err) {
    nx_assert(count < TABLE_MIN / 2);
    if ((table->used + count) * 4 > table->slot_count * 3) {
        NX_TRY(table_grow(table, err));
    }
    if (table->count + count > table->capacity) {
        const size_t capacity = table->capacity == 0 ? TABLE_MIN : table->capacity + table->capacity / 2;
        struct key_entry *entries = reallocarray(table->entries, capacity, sizeof *entries);
        if (entries == NULL) {
            return nx_fail_memory(err);
        }
        table->entries = entries;
        table->capacity = capacity;
    }
    return NX_OK;
}

/* `replace`: the hash keeps one entry, which now says `offset`. Room was reserved. */
static void table_add(struct key_table *table, uint64_t hash, uint32_t offset, bool replace) {
    const size_t slot = find_slot(table, hash);
    const uint32_t previous = table->slots[slot].entry;
    if (previous != NONE && replace) {
        table->entries[previous].offset = offset;
        return;
    }
    table->used += previous == NONE ? 1 : 0;
    table->entries[table->count] = (struct key_entry){ .hash = hash, .offset = offset, .previous = previous };
    table->slots[slot] =
        (struct key_slot){ .tag = (uint32_t)(hash >> 32), .entry = (uint32_t)table->count++ };
}

static uint32_t table_get(const struct key_table *table, uint64_t hash) {
    return table->slot_count == 0 ? NONE : table->slots[find_slot(table, hash)].entry;
}

static struct stream_entry *find_stream(const struct nx_tail *tail, uint32_t stream) {
    if (stream >= tail->by_stream_count || tail->by_stream[stream] == 0) {
        return NULL;
    }
    return &tail->streams[tail->by_stream[stream] - 1];
}

/* The stream's entry, added if it is new; NULL when there is no memory. */
static struct stream_entry *obtain_stream(struct nx_tail *tail, const struct nx_frame *frame) {
    const uint32_t stream = frame->header.stream;
    struct stream_entry *found = find_stream(tail, stream);
    if (found != NULL) {
        return found;
    }
    if (stream >= tail->by_stream_count) {
        const size_t count = ((size_t)stream + 64) / 64 * 64 + 64;
        uint32_t *by_stream = reallocarray(tail->by_stream, count, sizeof *by_stream);
        if (by_stream == NULL) {
            return NULL;
        }
        memset(by_stream + tail->by_stream_count, 0, (count - tail->by_stream_count) * sizeof *by_stream);
        tail->by_stream = by_stream;
        tail->by_stream_count = count;
    }
    if (tail->stream_count == tail->stream_capacity) {
        const size_t capacity = tail->stream_capacity == 0 ? 4 : tail->stream_capacity * 2;
        struct stream_entry *streams = reallocarray(tail->streams, capacity, sizeof *streams);
        if (streams == NULL) {
            return NULL;
        }
        tail->streams = streams;
        tail->stream_capacity = capacity;
    }
    struct stream_entry *entry = &tail->streams[tail->stream_count++];
    *entry = (struct stream_entry){ .extent = { .stream = stream,
                                                .first_sequence = frame->header.sequence,
                                                .first_time_ns = frame->header.time_ns } };
    tail->by_stream[stream] = (uint32_t)tail->stream_count;
    return entry;
}

/* A new part that starts with this sequence. It is linked only with room for one: readers rely on that. */
static enum nx_status add_part(struct nx_tail *tail, struct stream_entry *entry, uint64_t sequence,
                               struct nx_error *err) {
    struct part *part = calloc(1, sizeof *part);
    uint32_t *offsets = calloc(OFFSETS_MIN, sizeof *offsets);
    if (part == NULL || offsets == NULL) {
        free(part);
        free(offsets);
        return nx_fail_memory(err);
    }
    *part = (struct part){
        .previous = entry->newest, .base = sequence, .capacity = OFFSETS_MIN, .offsets = offsets
    };
    entry->newest = part;
    tail->memory += sizeof *part + OFFSETS_MIN * sizeof *offsets;
    return NX_OK;
}

/* Make the stream's newest part able to take this sequence. */
static enum nx_status make_room(struct nx_tail *tail, struct stream_entry *entry, uint64_t sequence,
                                struct nx_error *err) {
    struct part *part = entry->newest;
    if (part == NULL || sequence - part->base - part->count > HOLE_MAX) {
        return add_part(tail, entry, sequence, err);
    }
    const size_t wanted = (size_t)(sequence - part->base) + 1;
    if (wanted > part->capacity) {
        size_t capacity = part->capacity + part->capacity / 2;
        capacity = capacity < wanted ? wanted : capacity;
        uint32_t *offsets = reallocarray(part->offsets, capacity, sizeof *offsets);
        if (offsets == NULL) {
            return nx_fail_memory(err);
        }
        tail->memory += (capacity - part->capacity) * sizeof *offsets;
        part->offsets = offsets;
        part->capacity = capacity;
    }
    return NX_OK;
}

static uint64_t subject_hash(const struct nx_tail *tail, uint32_t stream, struct nx_str subject) {
    return nx_key_hash(NX_KEY_SUBJECT, subject, tail->seed + stream);
}

static void add_keys(struct nx_tail *tail, const struct nx_stored *stored, uint32_t offset,
                     bool with_history) {
    struct nx_str keys[NX_KEYS];
    nx_stored_keys(stored, keys);
    for (size_t i = 0; i < NX_KEYS; i++) {
        if (keys[i].len > 0) {
            table_add(&tail->keys, nx_key_hash(nx_key_kinds[i], keys[i], tail->seed), offset, false);
        }
    }
    table_add(&tail->subjects, subject_hash(tail, stored->stream, stored->subject), offset, !with_history);
}

enum nx_status nx_tail_add(struct nx_tail *tail, const struct nx_frame *frame, bool with_history,
                           struct nx_error *err) {
    const uint64_t sequence = frame->header.sequence;
    struct nx_stored stored;
    struct stream_entry *entry = obtain_stream(tail, frame);
    if (entry == NULL) {
        return nx_fail_memory(err);
    }
    nx_assert(sequence > entry->extent.last_sequence);
    NX_TRY(table_reserve(&tail->keys, NX_KEYS, err));
    NX_TRY(table_reserve(&tail->subjects, 1, err));
    NX_TRY(make_room(tail, entry, sequence, err)); /* the last thing that can fail */
    nx_stored_of_frame(frame, &stored);
    const uint32_t offset = (uint32_t)(frame->offset / NX_FRAME_ALIGNMENT);
    add_keys(tail, &stored, offset, with_history);
    struct part *part = entry->newest;
    const size_t index = (size_t)(sequence - part->base);
    memset(part->offsets + part->count, 0, (index - part->count) * sizeof *part->offsets);
    part->offsets[index] = offset;
    part->count = index + 1;
    entry->extent.last_sequence = sequence;
    entry->extent.last_time_ns = frame->header.time_ns;
    entry->extent.count++;
    entry->extent.size += nx_frame_size(frame->header.body_size);
    return NX_OK;
}

const struct nx_extent *nx_tail_extent(const struct nx_tail *tail, uint32_t stream) {
    const struct stream_entry *entry = find_stream(tail, stream);
    return entry == NULL || entry->extent.count == 0 ? NULL : &entry->extent;
}

size_t nx_tail_extent_count(const struct nx_tail *tail) {
    return tail->stream_count;
}

const struct nx_extent *nx_tail_extent_at(const struct nx_tail *tail, size_t index) {
    nx_assert(index < tail->stream_count);
    return &tail->streams[index].extent;
}

static enum nx_stored_found read_at(const struct nx_tail *tail, uint32_t stream, uint64_t sequence,
                                    uint32_t offset, struct nx_stored *stored_out) {
    const struct nx_segment *segment = tail->segment;
    struct nx_frame frame;
    const enum nx_frame_found found = nx_frame_read(
        segment->bytes, segment->size, (uint64_t)offset * NX_FRAME_ALIGNMENT, segment->header.salt, &frame);
    if (found != NX_FRAME_FOUND || frame.header.kind != NX_FRAME_RECORD) {
        *stored_out = (struct nx_stored){ .stream = stream, .sequence = sequence };
        return NX_STORED_DAMAGED;
    }
    nx_stored_of_frame(&frame, stored_out);
    return NX_STORED_FOUND;
}

enum nx_stored_found nx_tail_at_or_after(const struct nx_tail *tail, uint32_t stream, uint64_t sequence,
                                         struct nx_stored *stored_out) {
    const struct stream_entry *entry = find_stream(tail, stream);
    if (entry == NULL || entry->extent.count == 0 || sequence > entry->extent.last_sequence) {
        return NX_STORED_NONE;
    }
    /* The oldest part that reaches up to it: parts are few, and the newest one is mostly the only one. */
    const struct part *part = entry->newest;
    while (part->previous != NULL && part->previous->base + part->previous->count > sequence) {
        part = part->previous;
    }
    size_t index = sequence > part->base ? (size_t)(sequence - part->base) : 0;
    while (part->offsets[index] == 0) {
        index++; /* ends: a part's last offset is never 0 */
    }
    return read_at(tail, stream, part->base + index, part->offsets[index], stored_out);
}

enum nx_stored_found nx_tail_at_or_before(const struct nx_tail *tail, uint32_t stream, uint64_t sequence,
                                          struct nx_stored *stored_out) {
    const struct stream_entry *entry = find_stream(tail, stream);
    if (entry == NULL || entry->extent.count == 0 || sequence < entry->extent.first_sequence) {
        return NX_STORED_NONE;
    }
    const struct part *part = entry->newest;
    while (part->base > sequence) {
        part = part->previous; /* ends: the oldest part starts with the first sequence */
    }
    size_t index = (size_t)(sequence - part->base);
    index = index >= part->count ? part->count - 1 : index;
    while (part->offsets[index] == 0) {
        index--; /* ends: a part's first offset is never 0 */
    }
    return read_at(tail, stream, part->base + index, part->offsets[index], stored_out);
}

uint64_t nx_tail_last_of_subject(const struct nx_tail *tail, uint32_t stream, struct nx_str subject) {
    const uint32_t entry = table_get(&tail->subjects, subject_hash(tail, stream, subject));
    if (entry == NONE) {
        return 0;
    }
    const struct nx_segment *segment = tail->segment;
    struct nx_frame frame;
    const uint64_t offset = (uint64_t)tail->subjects.entries[entry].offset * NX_FRAME_ALIGNMENT;
    const enum nx_frame_found found =
        nx_frame_peek(segment->bytes, segment->size, offset, segment->header.salt, &frame);
    return found == NX_FRAME_BAD || frame.header.stream != stream ? 0 : frame.header.sequence;
}

uint64_t nx_tail_count_newer(const struct nx_tail *tail, uint32_t stream, struct nx_str subject,
                             uint64_t sequence, uint64_t limit) {
    const struct nx_segment *segment = tail->segment;
    uint32_t entry = table_get(&tail->subjects, subject_hash(tail, stream, subject));
    uint64_t count = 0;
    for (; entry != NONE && count < limit; entry = tail->subjects.entries[entry].previous) {
        struct nx_frame frame;
        const uint64_t offset = (uint64_t)tail->subjects.entries[entry].offset * NX_FRAME_ALIGNMENT;
        if (nx_frame_peek(segment->bytes, segment->size, offset, segment->header.salt, &frame) ==
                NX_FRAME_BAD ||
            frame.header.stream != stream) {
            continue;
        }
        if (frame.header.sequence <= sequence) {
            break;
        }
        count++;
    }
    return count;
}

bool nx_tail_older_of_subject(const struct nx_tail *tail, uint32_t stream, struct nx_str subject,
                              uint32_t *cursor, struct nx_stored *stored_out) {
    uint32_t entry = *cursor == 0 ? table_get(&tail->subjects, subject_hash(tail, stream, subject))
                                  : tail->subjects.entries[*cursor - 1].previous;
    for (; entry != NONE; entry = tail->subjects.entries[entry].previous) {
        *cursor = entry + 1;
        const enum nx_stored_found found =
            read_at(tail, 0, 0, tail->subjects.entries[entry].offset, stored_out);
        if (found == NX_STORED_FOUND && stored_out->stream == stream &&
            nx_str_equal(stored_out->subject, subject)) {
            return true;
        }
    }
    return false;
}

bool nx_tail_find(const struct nx_tail *tail, enum nx_key_kind kind, struct nx_str key, uint32_t *cursor,
                  struct nx_stored *stored_out) {
    uint32_t entry = *cursor == 0 ? table_get(&tail->keys, nx_key_hash(kind, key, tail->seed))
                                  : tail->keys.entries[*cursor - 1].previous;
    for (; entry != NONE; entry = tail->keys.entries[entry].previous) {
        *cursor = entry + 1;
        const enum nx_stored_found found = read_at(tail, 0, 0, tail->keys.entries[entry].offset, stored_out);
        if (found == NX_STORED_FOUND && nx_str_equal(nx_stored_key(stored_out, kind), key)) {
            return true;
        }
    }
    return false;
}
