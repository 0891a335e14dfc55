#include "fabric/vault/vault.h"

#include <string.h>

#include "base/assert.h"
#include "codec/headers.h"
#include "codec/hex.h"
#include "codec/time_format.h"
#include "fabric/subject/subject.h"

enum {
    PREFIX_SIZE = sizeof NX_PERSON_HEADER - 1 + 2 + NX_KEY_ID_TEXT_SIZE + 2, /* "Nexus-Person: <id>\r\n" */
    SEALED_SIZE_MAX = 2 * NX_RECORD_SIZE_MAX,
};

enum nx_status nx_vault_init(struct nx_vault *vault, const struct nx_fabric_options *options,
                             struct nx_error *err) {
    *vault = (struct nx_vault){ .options = options };
    return nx_key_store_init(&vault->store, options->disk, &options->random, options->directory,
                             options->read_only, err);
}

void nx_vault_fini(struct nx_vault *vault) {
    nx_key_store_fini(&vault->store);
}

/* Keys that are on disk and cannot be read are told once: records are withheld for want of them. */
static void tell_unreadable(struct nx_vault *vault) {
    if (vault->store.unreadable_count != vault->unreadable_told) {
        vault->unreadable_told = vault->store.unreadable_count;
        nx_log_warn(vault->options->log, "some keys of people cannot be read",
                    NX_F_U64("count", vault->store.unreadable_count));
    }
}

/* ---- sealing ---- */

/* What the log looks for, or others must know without the key. */
static bool stays_clear(struct nx_str name) {
    static const struct nx_str names[] = {
        NX_STR("ce-specversion"), NX_STR("ce-id"),   NX_STR("ce-source"),
        NX_STR("ce-type"),        NX_STR("ce-time"), NX_STR("traceparent")
    };
    static const struct nx_str prefixes[] = { NX_STR("Nexus-"), NX_STR("Nats-"), NX_STR("KV-") };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (nx_str_equal_ignore_case(name, names[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (nx_str_starts_with(name, prefixes[i])) {
            return true;
        }
    }
    return false;
}

static void append_prefix(struct nx_buf *headers, const uint8_t *id) {
    nx_buf_append(headers, NX_STR(NX_PERSON_HEADER ": "));
    nx_hex_encode(headers, nx_str_of(id, NX_KEY_ID_SIZE));
    nx_buf_append(headers, NX_STR("\r\n"));
}

static void split_headers(struct nx_str block, struct nx_buf *clear, struct nx_buf *secret) {
    struct nx_str rest = block;
    struct nx_header header;
    for (struct nx_str line = rest; nx_headers_next(&rest, &header); line = rest) {
        line.len -= rest.len;
        nx_buf_append(stays_clear(header.name) ? clear : secret, line);
    }
}

/* The key to seal with. What is made of a record whose key was erased meanwhile is sealed with one that
 * nobody keeps. */
static enum nx_status choose_key(struct nx_vault *vault, const struct nx_append_entry *entry,
                                 struct nx_person_key *key_out, struct nx_error *err) {
    const struct nx_person_key *key = NULL;
    uint8_t id[NX_KEY_ID_SIZE];
    if (entry->person_key.len == 0) {
        NX_TRY(nx_key_store_obtain(&vault->store, entry->person,
                                   nx_clock_read(&vault->options->clock).wall_ns, &key, err));
        *key_out = *key;
        return NX_OK;
    }
    if (!nx_hex_read(entry->person_key, id, sizeof id)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' is not the id of a key",
                       NX_STR_ARG(nx_str_slice(entry->person_key, 0, 64)));
    }
    NX_TRY(nx_key_store_find(&vault->store, id, &key, err));
    if (key != NULL && key->state == NX_KEY_LIVE && vault->store.is_found_unsafe) {
        return nx_fail_kind(err, NX_KIND_LOG_FROZEN, "the keys of people could not be secured on disk");
    }
    if (key != NULL && key->state == NX_KEY_LIVE) {
        *key_out = *key;
        return NX_OK;
    }
    *key_out = (struct nx_person_key){ .state = NX_KEY_ERASED };
    memcpy(key_out->id, id, sizeof id);
    nx_random_fill(&vault->options->random, key_out->key, sizeof key_out->key);
    return NX_OK;
}

/* The record's new strings, in one piece as nx_append_add() has made them. */
static enum nx_status place(struct nx_append *append, struct nx_append_entry *entry, struct nx_str headers,
                            struct nx_str payload, struct nx_error *err) {
    if (headers.len > NX_HEADERS_SIZE_MAX) {
        return nx_fail_kind(err, NX_KIND_HEADERS_TOO_LARGE, "a record's headers take at most %d bytes",
                            NX_HEADERS_SIZE_MAX);
    }
    if (headers.len + payload.len > NX_RECORD_SIZE_MAX) {
        return nx_fail_kind(err, NX_KIND_TOO_LARGE,
                            "a record takes at most %d bytes, and this one is longer sealed",
                            NX_RECORD_SIZE_MAX);
    }
    const struct nx_str parts[] = { entry->dedup_key, entry->subject, headers, payload };
    struct nx_str *const places[] = { &entry->dedup_key, &entry->subject, &entry->headers, &entry->payload };
    size_t size = 1;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size += parts[i].len;
    }
    char *at = nx_arena_alloc_raw(&append->sealed, size);
    if (at == NULL) {
        return nx_fail_memory(err);
    }
    entry->plain = entry->payload;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].len > 0) {
            memcpy(at, parts[i].ptr, parts[i].len);
        }
        *places[i] = nx_str_of(at, parts[i].len);
        at += parts[i].len;
    }
    return NX_OK;
}

static enum nx_status seal_entry(struct nx_vault *vault, struct nx_append *append,
                                 struct nx_append_entry *entry, struct nx_error *err) {
    struct nx_person_key key;
    uint8_t nonce[NX_SEAL_NONCE_SIZE];
    NX_AUTO(nx_buf) clear;
    NX_AUTO(nx_buf) secret;
    NX_AUTO(nx_buf) sealed;
    nx_buf_init(&clear, 2 * NX_HEADERS_SIZE_MAX);
    nx_buf_init(&secret, 2 * NX_HEADERS_SIZE_MAX);
    nx_buf_init(&sealed, SEALED_SIZE_MAX);
    NX_TRY(choose_key(vault, entry, &key, err));
    append_prefix(&clear, key.id);
    split_headers(entry->headers, &clear, &secret);
    NX_TRY(nx_buf_check(&clear, err));
    NX_TRY(nx_buf_check(&secret, err));
    nx_random_fill(&vault->options->random, nonce, sizeof nonce);
    const struct nx_seal seal = {
        .key = key.key,
        .nonce = nonce,
        .about = { entry->stream, entry->subject, nx_buf_str(&clear), NX_STR_EMPTY },
        .clear = entry->clear,
        .headers = nx_buf_str(&secret),
        .payload = entry->payload,
    };
    nx_seal(&seal, &sealed);
    explicit_bzero(&key, sizeof key);
    NX_TRY(nx_buf_check(&sealed, err));
    return place(append, entry, nx_buf_str(&clear), nx_buf_str(&sealed), err);
}

enum nx_status nx_vault_prepare(struct nx_vault *vault, const struct nx_append *append,
                                struct nx_error *err) {
    const int64_t now_ns = nx_clock_read(&vault->options->clock).wall_ns;
    const struct nx_person_key *key;
    for (size_t i = 0; i < append->entry_count; i++) {
        if (append->entries[i].person.len > 0) {
            NX_TRY(nx_key_store_obtain(&vault->store, append->entries[i].person, now_ns, &key, err));
        }
    }
    tell_unreadable(vault);
    return NX_OK;
}

enum nx_status nx_vault_seal(struct nx_vault *vault, struct nx_append *append, struct nx_error *err) {
    nx_assert(append->is_personal);
    for (size_t i = 0; i < append->entry_count; i++) {
        struct nx_append_entry *entry = &append->entries[i];
        const bool is_sealed = entry->plain.ptr != NULL; /* before an earlier failure */
        if (!is_sealed && (entry->person.len > 0 || entry->person_key.len > 0)) {
            NX_TRY(seal_entry(vault, append, entry, err));
        }
    }
    append->is_personal = false;
    return NX_OK;
}

/* ---- opening ---- */

/* "erased 2026-11-21T13:00:00Z", or why else it cannot be read. */
static struct nx_str reason_of(const struct nx_person_key *key, enum nx_status status, char text_out[64]) {
    char time[NX_TIME_TEXT_SIZE + 1];
    if (status != NX_OK) {
        return NX_STR("keys-unreadable");
    }
    if (key == NULL) {
        return NX_STR("key-missing");
    }
    if (key->state != NX_KEY_ERASED) {
        return NX_STR("damaged");
    }
    const struct nx_str when = nx_time_format(key->erased_ns, NX_TIME_MILLISECONDS, time);
    const struct nx_str erased = NX_STR("erased ");
    memcpy(text_out, erased.ptr, erased.len);
    memcpy(text_out + erased.len, when.ptr, when.len);
    return nx_str_of(text_out, erased.len + when.len);
}

/* `more` behind the record's headers; without memory for them the record has none at all. */
static void add_headers(struct nx_arena *arena, struct nx_record *record, const struct nx_str *more,
                        size_t count) {
    size_t size = record->headers.len + 1;
    for (size_t i = 0; i < count; i++) {
        size += more[i].len;
    }
    char *text = nx_arena_alloc_raw(arena, size);
    if (text == NULL) {
        record->headers = record->payload = NX_STR_EMPTY;
        return;
    }
    char *at = text;
    memcpy(at, record->headers.ptr, record->headers.len);
    at += record->headers.len;
    for (size_t i = 0; i < count; i++) {
        memcpy(at, more[i].ptr, more[i].len);
        at += more[i].len;
    }
    record->headers = nx_str_of(text, (size_t)(at - text));
}

static void withhold(struct nx_arena *arena, struct nx_record *record, struct nx_str reason) {
    struct nx_sealed sealed = { .clear = NX_STR_EMPTY };
    const struct nx_str more[] = { NX_STR(NX_WITHHELD_HEADER ": "), reason, NX_STR("\r\nce-withheld: "),
                                   reason, NX_STR("\r\n") };
    if (nx_sealed_parse(record->payload, &sealed, NULL) != NX_OK) {
        sealed.clear = NX_STR_EMPTY;
    }
    record->payload = sealed.clear;
    add_headers(arena, record, more, sizeof more / sizeof more[0]);
}

static void open_record(struct nx_vault *vault, struct nx_arena *arena, struct nx_record *record) {
    const struct nx_person_key *key = NULL;
    struct nx_sealed opened;
    uint8_t id[NX_KEY_ID_SIZE];
    char text[64];
    const size_t id_at = PREFIX_SIZE - 2 - NX_KEY_ID_TEXT_SIZE;
    enum nx_status status = NX_OK;
    if (nx_hex_read(nx_str_slice(record->headers, id_at, PREFIX_SIZE - 2), id, sizeof id)) {
        status = nx_key_store_find(&vault->store, id, &key, NULL);
        tell_unreadable(vault);
    }
    const struct nx_str about[NX_SEAL_ABOUT_MAX] = { record->stream, record->subject, record->headers,
                                                     NX_STR_EMPTY };
    /* The answer is in its own memory, so it is opened where it lies. */
    char *plain = (char *)(uintptr_t)record->payload.ptr;
    if (status != NX_OK || key == NULL || key->state != NX_KEY_LIVE ||
        nx_unseal(key->key, about, record->payload, plain, &opened, NULL) != NX_OK) {
        withhold(arena, record, reason_of(key, status, text));
        return;
    }
    record->payload = opened.payload;
    if (opened.headers.len > 0) {
        add_headers(arena, record, &opened.headers, 1);
    }
}

void nx_vault_open_all(struct nx_vault *vault, struct nx_read *read) {
    for (size_t i = 0; i < read->record_count; i++) {
        if (nx_record_is_sealed(&read->records[i]) && !nx_stream_name_is_jetstream(read->records[i].stream)) {
            open_record(vault, &read->arena, &read->records[i]);
        }
    }
}
