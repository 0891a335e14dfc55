/* src/codec/password.h: a password against what is kept of it: itself, or its bcrypt hash.
 *
 * A hash is known by its form, "$2a$10$…" (or 2b, 2x, 2y), as in NATS. Comparing with one is slow on purpose:
 * tens of milliseconds at cost 10, twice as much with each step. Pure functions. */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/** Whether what is kept is a bcrypt hash. */
bool nx_password_is_hash(struct nx_str kept);
/** Whether `given` is the password. How long it takes says nothing of how much of it is right. */
bool nx_password_matches(struct nx_str kept, struct nx_str given);
