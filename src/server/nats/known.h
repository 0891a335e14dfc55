/* src/server/nats/known.h: which passwords were found to be those of their bcrypt hashes, so that clients
 * that come again need not wait for another comparison.
 *
 * Kept are digests of a secret of this process, the hash and the password: who reads this memory learns no
 * password, and must guess as long as with SHA-256. When the table is full it begins anew. One owner. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "base/str.h"
#include "io/random.h"

enum { NX_NATS_KNOWN_MAX = 4096, NX_NATS_KNOWN_SECRET_SIZE = 32 };

struct nx_nats_known {
    struct nx_map matches; /* by digest */
    uint8_t secret[NX_NATS_KNOWN_SECRET_SIZE];
};

/** Allocates nothing. */
void nx_nats_known_init(struct nx_nats_known *known, const struct nx_random *random);
void nx_nats_known_fini(struct nx_nats_known *known);
/** Whether it was found before that `given` is the password of `hash`. */
bool nx_nats_known_has(const struct nx_nats_known *known, struct nx_str hash, struct nx_str given);
/** It was found now. Without memory it is forgotten. */
void nx_nats_known_add(struct nx_nats_known *known, struct nx_str hash, struct nx_str given);
