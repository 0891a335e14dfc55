/* src/io/dial.h: a blocking TCP connection, for commands that talk to a server and do nothing else meanwhile.
 *
 * One owner; never on a loop's thread. Every call ends at the latest when the time-out of the connection has
 * passed without a byte moving. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/str.h"

struct nx_dial;

/** Connect. `host` is a name or an address; all its addresses are tried.
 * Ownership: the caller ends it with nx_dial_close().
 * Errors:    NX_UNAVAILABLE         nobody listens, or the name is unknown
 *            NX_DEADLINE_EXCEEDED   no answer in `timeout_ms` (> 0)
 *            NX_RESOURCE_EXHAUSTED  no memory or descriptors */
NX_MUST_CHECK enum nx_status nx_dial_open(const char *host, uint16_t port, int timeout_ms,
                                          struct nx_dial **dial_out, struct nx_error *err);
void nx_dial_close(struct nx_dial *dial);
/** Write all bytes. Errors: NX_UNAVAILABLE (broken), NX_DEADLINE_EXCEEDED */
NX_MUST_CHECK enum nx_status nx_dial_write(struct nx_dial *dial, struct nx_str bytes, struct nx_error *err);
/** Read what is there, at least one byte and at most `len`; *len_out is 0 when the peer has ended. Errors: as
 * nx_dial_write() */
NX_MUST_CHECK enum nx_status nx_dial_read(struct nx_dial *dial, void *bytes, size_t len, size_t *len_out,
                                          struct nx_error *err);
/** Wait at most `timeout_ms` for nx_dial_read() to have something: bytes, the end, or what broke; false: it
 * has not. */
bool nx_dial_wait(const struct nx_dial *dial, int timeout_ms);

NX_DEFINE_AUTO(nx_dial, nx_dial_close)
