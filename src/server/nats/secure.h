/* src/server/nats/secure.h: the files of a server's TLS. Called where a server is opened or reloaded, never
 * on its loop: it reads the disk. */
#pragma once

#include "base/error.h"
#include "io/tls.h"
#include "server/nats/options.h"

/** The context that the options name; NULL where they name no certificate.
 * Ownership: the caller gives it up by nx_tls_context_unref().
 * Errors:    NX_INVALID_ARGUMENT  a file that is not what it should be, by its path; and what the disk says
 */
NX_MUST_CHECK enum nx_status nx_nats_tls_load(const struct nx_nats_tls_options *options,
                                              struct nx_tls_context **context_out, struct nx_error *err);
