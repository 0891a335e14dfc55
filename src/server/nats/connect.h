/* src/server/nats/connect.h: what client and server say of themselves: CONNECT and INFO, both JSON.
 *
 * The fields are those of the protocol's documentation ("NATS Protocol"); unknown ones are passed over, as
 * clients of any version send some. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "codec/json.h"
#include "server/nats/access.h"

/* What a connection keeps of its client's CONNECT. */
struct nx_nats_client {
    bool verbose;       /* +OK for each operation */
    bool pedantic;      /* subjects are checked on publish */
    bool echo;          /* its own messages come back to its subscriptions */
    bool headers;       /* it understands HMSG */
    bool no_responders; /* it is told that nobody answers a request */
};
/* As NATS: one that says nothing is a person at a terminal. */
#define NX_NATS_CLIENT_DEFAULT ((struct nx_nats_client){ .verbose = true, .pedantic = true, .echo = true })

/* What else CONNECT says; the strings stand in the document. */
struct nx_nats_connect {
    struct nx_nats_credentials credentials; /* but the nonce and the certificate */
    struct nx_str client_name;
    struct nx_str language;
    struct nx_str version;
    int64_t protocol;
    bool wants_account; /* which NATS refuses */
};

/** Read CONNECT. What it does not name stays in `client`.
 * Ownership: the caller ends `*doc_out` by nx_json_doc_free(); the strings of `*connect_out` are in it.
 * Errors:    NX_INVALID_ARGUMENT  no JSON object, or a member of a wrong kind */
NX_MUST_CHECK enum nx_status nx_nats_connect_read(struct nx_str json, struct nx_nats_client *client,
                                                  struct nx_nats_connect *connect_out,
                                                  struct nx_json_doc **doc_out, struct nx_error *err);
/** What must hold of a client that may connect.
 * Errors: NX_INVALID_ARGUMENT  the message is NATS's own, for -ERR */
NX_MUST_CHECK enum nx_status nx_nats_connect_check(const struct nx_nats_connect *connect,
                                                   const struct nx_nats_client *client, struct nx_error *err);

struct nx_nats_info {
    struct nx_str server_id;
    struct nx_str server_name;
    struct nx_str version;
    struct nx_str host;
    uint16_t port;
    size_t payload_size_max; /* bytes */
    uint64_t client_id;
    struct nx_str client_ip;
    struct nx_str nonce; /* for who signs by an nkey; empty: nobody does */
    bool jetstream;      /* its API is served */
    bool auth_required;
    bool tls_required;
    bool tls_verify;    /* clients need a certificate */
    bool tls_available; /* they may choose */
    bool lame_duck;     /* the server is about to stop: go elsewhere */
};

/** Append the whole operation, `INFO {…} CRLF`. */
void nx_nats_info_append(struct nx_buf *out, const struct nx_nats_info *info);
