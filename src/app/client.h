/* src/app/client.h: one request to the server of a data directory, one answer.
 *
 * The answer is read to its end and then taken apart (io/http_client). Blocks. */
#pragma once

#include "app/ports.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum {
    NX_CLIENT_ANSWER_SIZE_MAX = 64 * 1024 * 1024, /* bytes of an answer's body */
    NX_CLIENT_WAITING_MS = 200,
    NX_CLIENT_TIMEOUT_MS = 60 * 1000, /* without a byte moving, unless said otherwise */
};

struct nx_client {
    struct nx_ports ports;
    int timeout_ms;           /* without a byte moving */
    const char *content_type; /* of what is sent; NULL: application/json */
    /* Called every NX_CLIENT_WAITING_MS until the answer begins; NULL: nobody wants to know. */
    void (*waiting)(void *data);
    void *data;
};

/** Find the server of this data directory: the process that ports.json names must hold the directory, and
 * take a connection. Errors: NX_NOT_FOUND  nobody answers: the server is not running */
NX_MUST_CHECK enum nx_status nx_client_find(struct nx_disk *disk, const char *directory,
                                            struct nx_client *client_out, struct nx_error *err);
/** Send the request and append the answer's body to `body_out`, a successful one's or not.
 * Errors: NX_UNAVAILABLE and others of io/dial; NX_DATA_LOSS (not HTTP); for an answer of 400 and above its
 *         problem details: the status from its "code", the message from its "detail" */
NX_MUST_CHECK enum nx_status nx_client_request(const struct nx_client *client, const char *method,
                                               struct nx_str target, struct nx_str body,
                                               struct nx_buf *body_out, struct nx_error *err);
/** As nx_client_request() with GET; appends the answer's header Nexus-Record, "EVENTS:17", to `record_out`.
 */
NX_MUST_CHECK enum nx_status nx_client_get_record(const struct nx_client *client, struct nx_str target,
                                                  struct nx_buf *body_out, struct nx_buf *record_out,
                                                  struct nx_error *err);
