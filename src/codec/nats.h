/* src/codec/nats.h: the operations of the NATS client protocol, from bytes and back.
 *
 * A control line `VERB arguments CRLF`, for some verbs followed by a payload of the size that the line names
 * and CRLF (docs.nats.io, "NATS Protocol"; headers: ADR-4). Verbs are in any case of letters, arguments are
 * separated by spaces or tabs. Reading is a pure function of the bytes at hand, so a connection keeps no
 * state but what it has not consumed; everything read is borrowed from those bytes.
 *
 * Subjects are not checked here: what may stand in one depends on who asks (fabric/subject). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum {
    NX_NATS_CONTROL_LINE_SIZE_MAX = 4096,   /* bytes of a client's line, without CRLF: NATS's own default */
    NX_NATS_PAYLOAD_SIZE_MAX = 1024 * 1024, /* bytes of headers and payload together: NATS's own default */
};

/* X(verb, text, bytes of payload follow, from clients, from servers) */
#define NX_NATS_VERB_TABLE(X)              \
    X(NX_NATS_CONNECT, "CONNECT", 0, 1, 0) \
    X(NX_NATS_PUB, "PUB", 1, 1, 0)         \
    X(NX_NATS_HPUB, "HPUB", 1, 1, 0)       \
    X(NX_NATS_SUB, "SUB", 0, 1, 0)         \
    X(NX_NATS_UNSUB, "UNSUB", 0, 1, 0)     \
    X(NX_NATS_INFO, "INFO", 0, 0, 1)       \
    X(NX_NATS_MSG, "MSG", 1, 0, 1)         \
    X(NX_NATS_HMSG, "HMSG", 1, 0, 1)       \
    X(NX_NATS_PING, "PING", 0, 1, 1)       \
    X(NX_NATS_PONG, "PONG", 0, 1, 1)       \
    X(NX_NATS_OK, "+OK", 0, 0, 1)          \
    X(NX_NATS_ERR, "-ERR", 0, 0, 1)

#define NX_NATS_VERB_MEMBER(verb, text, payload, client, server) verb,
enum nx_nats_verb { NX_NATS_VERB_TABLE(NX_NATS_VERB_MEMBER) };
#undef NX_NATS_VERB_MEMBER

struct nx_nats_op {
    enum nx_nats_verb verb;
    struct nx_str subject; /* PUB, HPUB, SUB, MSG, HMSG */
    struct nx_str reply;   /* PUB, HPUB, MSG, HMSG; empty: none */
    struct nx_str queue;   /* SUB; empty: none */
    struct nx_str sid;     /* SUB, UNSUB, MSG, HMSG */
    uint64_t count_max;    /* UNSUB: end after so many messages; 0: now */
    struct nx_str headers; /* HPUB, HMSG: from "NATS/1.0" to the empty line, both included */
    struct nx_str payload; /* PUB, HPUB, MSG, HMSG */
    struct nx_str text;    /* CONNECT, INFO: JSON; -ERR: the message without its quotes */
};

enum nx_nats_peer { NX_NATS_CLIENT, NX_NATS_SERVER };

struct nx_nats_limits {
    enum nx_nats_peer peer;  /* whose bytes these are; the other one's verbs are unknown */
    size_t line_size_max;    /* bytes of a control line without its end */
    size_t payload_size_max; /* bytes of headers and payload together */
};

enum nx_nats_parse {
    NX_NATS_PARSE_MORE,   /* the operation is not complete: come back with at least `*size_out` bytes */
    NX_NATS_PARSE_DONE,   /* `*op_out` was read from the first `*size_out` bytes */
    NX_NATS_PARSE_FAILED, /* say so with -ERR and close: nothing more can be read */
};

/** Read the first operation in `bytes`.
 * Errors: NX_INVALID_ARGUMENT  the message is NATS's own, for -ERR: "Unknown Protocol Operation", "Parser
 *         Error" (arguments), "maximum control line exceeded", "Maximum Payload Violation" */
enum nx_nats_parse nx_nats_parse(struct nx_str bytes, const struct nx_nats_limits *limits,
                                 struct nx_nats_op *op_out, size_t *size_out, struct nx_error *err);
/** Append the operation as it goes over the wire. Its strings must be fit to stand there: arguments without
 * spaces and control bytes, a text of one line. */
void nx_nats_append(struct nx_buf *out, const struct nx_nats_op *op);

/* The block of headers of HPUB and HMSG in its parts. */
struct nx_nats_headers {
    uint16_t status;           /* of the first line, such as 503; 0: none */
    struct nx_str description; /* behind the status; may be empty */
    struct nx_str lines;       /* as codec/headers reads them */
};
/** False when it does not begin with "NATS/1.0" or does not end with an empty line. */
bool nx_nats_headers_split(struct nx_str block, struct nx_nats_headers *headers_out);
void nx_nats_headers_append(struct nx_buf *out, const struct nx_nats_headers *headers);
