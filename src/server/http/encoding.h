/* src/server/http/encoding.h: content codings (RFC 9110, 8.4): gzip, and nothing else.
 *
 * A body that comes packed is unpacked before anybody looks at it, within the limit of any body. An answer is
 * packed where the client takes that, and where it is worth it. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "server/http/conn.h"
#include "server/http/parser.h"

enum {
    NX_HTTP_PACKED_SIZE_MIN = 1024,            /* bytes of body under which an answer is sent as it is */
    NX_HTTP_PACKED_SIZE_MAX = 4 * 1024 * 1024, /* bytes over which too, so that the loop is not held up */
};

/** Unpack the request's body, where it is packed: body and headers are then as if it had not been.
 * Errors: NX_INVALID_ARGUMENT  damaged; kind too-large; kind unsupported-media-type: another coding
 *         NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_http_decode_body(struct nx_http_request *request, struct nx_error *err);
/** Does the client take gzip? */
bool nx_http_takes_gzip(const struct nx_http_request *request);
/** Is this an answer that is packed for those who take it? */
bool nx_http_is_packable(const struct nx_http_response *response);
