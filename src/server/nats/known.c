/* src/server/nats/known.c: see known.h. */
#include "server/nats/known.h"

#include <string.h>

#include "codec/digest.h"

void nx_nats_known_init(struct nx_nats_known *known, const struct nx_random *random) {
    nx_random_fill(random, known->secret, sizeof known->secret);
    nx_map_init(&known->matches, NX_NATS_KNOWN_MAX, nx_random_u64(random));
}

void nx_nats_known_fini(struct nx_nats_known *known) {
    nx_map_fini(&known->matches);
    explicit_bzero(known->secret, sizeof known->secret);
}

/* The hash has one length, so that no other pair gives the same bytes. */
static struct nx_digest digest_of(const struct nx_nats_known *known, struct nx_str hash,
                                  struct nx_str given) {
    const struct nx_str parts[] = { nx_str_of(known->secret, sizeof known->secret), hash, given };
    return nx_digest_of_parts(parts, 3);
}

bool nx_nats_known_has(const struct nx_nats_known *known, struct nx_str hash, struct nx_str given) {
    const struct nx_digest digest = digest_of(known, hash, given);
    return nx_map_get(&known->matches, nx_str_of(digest.bytes, sizeof digest.bytes)) != NULL;
}

void nx_nats_known_add(struct nx_nats_known *known, struct nx_str hash, struct nx_str given) {
    const struct nx_digest digest = digest_of(known, hash, given);
    if (known->matches.count == NX_NATS_KNOWN_MAX) {
        const uint64_t seed = known->matches.seed;
        nx_map_fini(&known->matches);
        nx_map_init(&known->matches, NX_NATS_KNOWN_MAX, seed);
    }
    if (nx_map_set(&known->matches, nx_str_of(digest.bytes, sizeof digest.bytes), known, NULL) != NX_OK) {
        return; /* compared again next time */
    }
}
