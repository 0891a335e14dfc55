/* src/fabric/stream/stream_check.h: whether the configuration of a JetStream stream makes sense.
 *
 * The checks, their order, the errors and their texts are nats-server's (server/stream.go, checkStreamCfg and
 * configUpdateCheck); what is not built is refused here at the latest. Pure functions. */
#pragma once

#include "codec/js_stream.h"

enum {
    NX_JS_NAME_SIZE_MAX = 255,              /* bytes, of streams and consumers */
    NX_JS_DESCRIPTION_TEXT_SIZE_MAX = 4096, /* bytes */
    NX_JS_METADATA_SIZE_MAX = 128 * 1024,   /* bytes of names and values */
    NX_JS_SUBJECTS_MAX = 1000,              /* of one stream: each is compared with each; NATS has no limit */
    NX_JS_REPLICAS_MAX = 5,                 /* of which more than 1 need a cluster */
};
#define NX_JS_WINDOW_DEFAULT_NS (120 * INT64_C(1000000000))
#define NX_JS_WINDOW_MAX_NS (3600 * INT64_C(1000000000)) /* of de-duplication */

/** True when it can name a stream or consumer: no space, '.', '*', '>', '/', '\', not too long. */
bool nx_js_name_is_valid(struct nx_str name);
/** Set what was left open to its default, and check all of a new stream's configuration.
 * Ownership: what is set is static or stands in `arena`, as all strings of `stream` do.
 * False:     mostly NX_JS_STREAM_INVALID_CONFIG; NX_JS_INSUFFICIENT_RESOURCES: no memory */
NX_MUST_CHECK bool nx_js_stream_check(struct nx_js_stream *stream, struct nx_arena *arena,
                                      struct nx_js_error *err);
/** As nx_js_stream_check(), for what is to replace `old`. */
NX_MUST_CHECK bool nx_js_stream_check_update(const struct nx_js_stream *old, struct nx_js_stream *stream,
                                             struct nx_arena *arena, struct nx_js_error *err);
/** True when some subject is covered by a subject of both. */
bool nx_js_stream_overlaps(const struct nx_js_stream *a, const struct nx_js_stream *b);
/** True when the stream takes messages with this subject. */
bool nx_js_stream_takes(const struct nx_js_stream *stream, struct nx_str subject);
