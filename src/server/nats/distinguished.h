/* src/server/nats/distinguished.h: names of certificates, as people write them.
 *
 * "CN=bob,OU=Ops,O=Example" and "O=Example, OU=Ops, CN=bob" are the same: NATS compares parts, not texts.
 * Pure functions. */
#pragma once

#include <stdbool.h>

#include "base/str.h"

enum { NX_NATS_DN_PARTS_MAX = 32 };

/** Whether both are distinguished names with the same parts, in whatever order, spaces around commas and
 * letters of attributes aside; values are compared as they are. False where one has more than
 * NX_NATS_DN_PARTS_MAX parts. */
bool nx_nats_dn_is_same(struct nx_str a, struct nx_str b);
