/* src/codec/js_consumer.h: the configuration of a JetStream consumer, from JSON and back.
 *
 * The members are NATS's own, by their names there, as in codec/js_stream.h; whether they make sense is said
 * in fabric/consumer/config.h. Pure functions. */
#pragma once

#include "codec/js_fields.h"

enum nx_js_deliver {
    NX_JS_DELIVER_ALL,
    NX_JS_DELIVER_LAST,
    NX_JS_DELIVER_NEW,
    NX_JS_DELIVER_BY_START_SEQUENCE,
    NX_JS_DELIVER_BY_START_TIME,
    NX_JS_DELIVER_LAST_PER_SUBJECT,
};
enum nx_js_ack { NX_JS_ACK_NONE, NX_JS_ACK_ALL, NX_JS_ACK_EXPLICIT };
enum nx_js_replay { NX_JS_REPLAY_INSTANT, NX_JS_REPLAY_ORIGINAL };

struct nx_js_consumer {
    struct nx_str durable_name;
    struct nx_str name;
    struct nx_str description;
    unsigned deliver_policy; /* enum nx_js_deliver */
    uint64_t opt_start_seq;
    struct nx_js_time opt_start_time;
    unsigned ack_policy; /* enum nx_js_ack */
    int64_t ack_wait;    /* ns */
    int64_t max_deliver; /* -1: no limit */
    struct nx_js_numbers backoff;
    struct nx_str filter_subject;
    struct nx_js_texts filter_subjects;
    unsigned replay_policy;  /* enum nx_js_replay */
    uint64_t rate_limit_bps; /* bits a second; 0: no limit */
    struct nx_str sample_freq;
    int64_t max_waiting;
    int64_t max_ack_pending; /* -1: no limit */
    bool flow_control;
    bool headers_only;
    int64_t max_batch;
    int64_t max_expires; /* ns */
    int64_t max_bytes;
    struct nx_str deliver_subject; /* empty: a pull consumer */
    struct nx_str deliver_group;
    int64_t idle_heartbeat;     /* ns */
    int64_t inactive_threshold; /* ns */
    int64_t num_replicas;
    bool mem_storage;
    bool direct;
    struct nx_js_pairs metadata;
};

/** Read a configuration; what it does not say stays zero.
 * Ownership: `object` is borrowed for the call, strings are copied into `arena`.
 * False:     as nx_js_fields_read(); what is not supported is NX_JS_CONSUMER_CREATE */
NX_MUST_CHECK bool nx_js_consumer_read(const struct nx_json_value *object,
                                       struct nx_js_consumer *consumer_out, struct nx_arena *arena,
                                       struct nx_js_error *err);
/** The value {"durable_name":…}, members in NATS's order. */
void nx_js_consumer_write(struct nx_json_writer *writer, const struct nx_js_consumer *consumer);
/** Whether both would be written the same; false too when there is no memory to find out. */
bool nx_js_consumer_equal(const struct nx_js_consumer *a, const struct nx_js_consumer *b);
/** A copy that borrows only from `arena`. False: no memory. */
NX_MUST_CHECK bool nx_js_consumer_copy(const struct nx_js_consumer *consumer, struct nx_js_consumer *copy_out,
                                       struct nx_arena *arena);
