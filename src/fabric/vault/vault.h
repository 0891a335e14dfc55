/* src/fabric/vault/vault.h: records about a person, sealed on their way into the log and opened on their way
 * out of it.
 *
 * A sealed record's headers begin with "Nexus-Person: <key id>", then come those that the log itself needs
 * (ce-id, ce-source, ce-type, ce-time, ce-specversion, traceparent, and Nexus-…, Nats-…, KV-…); every other
 * one is sealed with the payload (codec/sealed.h). Opened, the record has all its headers, "Nexus-Person"
 * too, by which what is made of it can be sealed with the same key. A record whose key is gone keeps its
 * clear headers, has a header "Nexus-Withheld: erased <time>", "key-missing" or "damaged", and as payload its
 * clear part.
 *
 * The library owns the one vault of a process: everything is read through it. Threads: its own. */
#pragma once

#include "fabric/fabric.h"
#include "fabric/vault/key_store.h"

struct nx_vault {
    const struct nx_fabric_options *options;
    struct nx_key_store store;
    size_t unreadable_told; /* so many unreadable slots were logged */
};

/** Ownership: `options` is borrowed for the vault's life. Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_vault_init(struct nx_vault *vault, const struct nx_fabric_options *options,
                                           struct nx_error *err);
void nx_vault_fini(struct nx_vault *vault);
/** Have a key for every person that the append names. New ones are on disk only after nx_key_store_secure():
 * what is sealed may not go to the journal before. Errors: those of nx_key_store_obtain() */
NX_MUST_CHECK enum nx_status nx_vault_prepare(struct nx_vault *vault, const struct nx_append *append,
                                              struct nx_error *err);
/** Seal every entry of the append that names a person. After a failure it can be tried again.
 * Errors: NX_INVALID_ARGUMENT (kind too-large: it is longer sealed; kind headers-too-large), and those of
 *         nx_key_store_obtain() */
NX_MUST_CHECK enum nx_status nx_vault_seal(struct nx_vault *vault, struct nx_append *append,
                                           struct nx_error *err);
/** Open the sealed records of an answer, in its own memory. */
void nx_vault_open_all(struct nx_vault *vault, struct nx_read *read);
