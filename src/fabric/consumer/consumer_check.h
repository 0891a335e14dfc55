/* src/fabric/consumer/consumer_check.h: whether the configuration of a JetStream consumer makes sense.
 *
 * The checks, their order, the errors and their texts are nats-server's (server/consumer.go,
 * setConsumerConfigDefaults and checkConsumerCfg); what is not built is refused. Pure functions. */
#pragma once

#include "codec/js_consumer.h"
#include "codec/js_stream.h"

enum {
    NX_JS_MAX_WAITING_DEFAULT = 512,
    NX_JS_MAX_ACK_PENDING_DEFAULT = 1000,
    NX_JS_FILTERS_MAX = 1000, /* of one consumer: each is compared with each; NATS has no limit */
};
#define NX_JS_ACK_WAIT_DEFAULT_NS (30 * INT64_C(1000000000))

/** Set what was left open to its default, and check all of the configuration against its stream's.
 * False: one of NX_JS_CONSUMER_…, NX_JS_STREAM_INVALID_CONFIG where NATS says that. */
NX_MUST_CHECK bool nx_js_consumer_check(struct nx_js_consumer *consumer, const struct nx_js_stream *stream,
                                        struct nx_js_error *err);
