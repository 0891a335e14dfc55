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

/* What a connection keeps of its client's CONNECT; the defaults are those of a client that says nothing. */
struct nx_nats_client {
    bool verbose;       /* +OK for each operation */
    bool pedantic;      /* subjects are checked on publish */
    bool echo;          /* its own messages come back to its subscriptions */
    bool headers;       /* it understands HMSG */
    bool no_responders; /* it is told that nobody answers a request */
};

/** Errors: NX_INVALID_ARGUMENT  the message is NATS's own, for -ERR: "Parser Error" (no JSON object), "No
 *         Responders Requires Headers Support" */
NX_MUST_CHECK enum nx_status nx_nats_connect_read(struct nx_str json, struct nx_nats_client *client_out,
                                                  struct nx_error *err);

struct nx_nats_info {
    struct nx_str server_id;
    struct nx_str server_name;
    struct nx_str version;
    struct nx_str host;
    uint16_t port;
    size_t payload_size_max; /* bytes */
    uint64_t client_id;
    struct nx_str client_ip;
    bool lame_duck; /* the server is about to stop: go elsewhere */
};

/** Append the whole operation, `INFO {…} CRLF`. */
void nx_nats_info_append(struct nx_buf *out, const struct nx_nats_info *info);
