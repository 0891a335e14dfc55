/* src/app/journal_objects.c */
#include "app/journal_objects.h"

#include "codec/digest.h"
#include "codec/headers.h"
#include "codec/invocation.h"
#include "codec/json.h"

enum { DIGESTS_MAX = 4 * 1024 * 1024, ARENA_SIZE_MAX = 8 * 1024 * 1024, META_SIZE_MAX = 64 * 1024 };

void nx_journal_objects_init(struct nx_journal_objects *objects, uint64_t seed) {
    *objects = (struct nx_journal_objects){ 0 };
    nx_map_init(&objects->named, DIGESTS_MAX, seed);
    nx_map_init(&objects->stored, DIGESTS_MAX, seed);
}

void nx_journal_objects_fini(struct nx_journal_objects *objects) {
    nx_map_fini(&objects->named);
    nx_map_fini(&objects->stored);
}

static void put(struct nx_journal_objects *objects, struct nx_map *map, const struct nx_digest *digest,
                uint64_t value) {
    const struct nx_str key = nx_str_of(digest->bytes, sizeof digest->bytes);
    if (nx_map_set(map, key, (void *)(uintptr_t)value, NULL) != NX_OK) {
        objects->is_partial = true;
    }
}

static void see_invocation(struct nx_journal_objects *objects, const struct nx_record *record) {
    NX_AUTO(nx_arena) arena;
    struct nx_invocation invocation;
    nx_arena_init(&arena, ARENA_SIZE_MAX);
    if (nx_invocation_decode(record->payload, &arena, &invocation, NULL) != NX_OK) {
        return;
    }
    put(objects, &objects->named, &invocation.module_digest, 1);
    if ((invocation.flags & NX_INVOCATION_OUTPUT_STORED) != 0) {
        put(objects, &objects->named, &invocation.output.digest, 1);
    }
    if ((invocation.flags & NX_INVOCATION_TAPE_STORED) != 0) {
        put(objects, &objects->named, &invocation.tape.digest, 1);
    }
}

/* An object's description; its name is its digest. Each call's own is counted by itself. */
static void see_object(struct nx_journal_objects *objects, const struct nx_record *record) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_digest digest;
    if (nx_json_parse(record->payload, META_SIZE_MAX, &doc, NULL) != NX_OK) {
        return;
    }
    if (nx_digest_parse(nx_json_get_str(nx_json_root(doc), "name"), &digest)) {
        const struct nx_str key = nx_str_of(digest.bytes, sizeof digest.bytes);
        const uint64_t before = (uint64_t)(uintptr_t)nx_map_get(&objects->stored, key);
        put(objects, &objects->stored, &digest,
            (before == 0 ? 1 : before) + nx_json_get_u64(nx_json_root(doc), "size"));
        objects->count++;
    }
}

void nx_journal_objects_see(struct nx_journal_objects *objects, const struct nx_record *record) {
    struct nx_digest digest;
    if (nx_str_is(record->stream, "INVOCATIONS")) {
        see_invocation(objects, record);
    } else if (nx_str_is(record->stream, "FUNCTIONS")) {
        if (nx_digest_parse(nx_headers_value(record->headers, "Nexus-Module"), &digest)) {
            put(objects, &objects->named, &digest, 1);
        }
    } else if (nx_str_starts_with(record->subject, NX_STR("$O.nexus.M.")) ||
               nx_str_starts_with(record->subject, NX_STR("$O.calls.M."))) {
        see_object(objects, record);
    }
}

bool nx_journal_objects_count(const struct nx_journal_objects *objects,
                              struct nx_journal_objects_count *count_out) {
    struct nx_journal_objects_count count = { .count = objects->count };
    size_t cursor = 0;
    struct nx_str digest;
    void *value;
    while (nx_map_next(&objects->stored, &cursor, &digest, &value)) {
        const uint64_t size = (uint64_t)(uintptr_t)value - 1;
        const bool is_named = nx_map_get(&objects->named, digest) != NULL;
        count.size += size;
        count.unnamed_count += !is_named;
        count.unnamed_size += is_named ? 0 : size;
    }
    *count_out = count;
    return !objects->is_partial;
}
