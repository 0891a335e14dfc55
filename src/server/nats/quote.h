/* src/server/nats/quote.h: foreign names in NATS's own messages. Pure functions. */
#pragma once

#include "base/buf.h"
#include "base/str.h"

/** Append the name between double quotes, as the server of NATS does (Go's %q): quotes, backslashes and bytes
 * that do not show are escaped, so that the line stays one. */
void nx_nats_quote(struct nx_buf *out, struct nx_str name);
