/* src/codec/js_stream.h: the configuration of a JetStream stream, from JSON and back.
 *
 * The members are NATS's own, by their names there, with what NATS 2.10 knows of them. What only later
 * versions know, and what this server does not do, is read where it says no, and refused where it says yes.
 * Whether a configuration makes sense is not said here: fabric/stream/config.h. Pure functions. */
#pragma once

#include "codec/js_fields.h"

enum nx_js_retention { NX_JS_RETAIN_LIMITS, NX_JS_RETAIN_INTEREST, NX_JS_RETAIN_WORKQUEUE };
enum nx_js_discard { NX_JS_DISCARD_OLD, NX_JS_DISCARD_NEW };
enum nx_js_storage { NX_JS_STORAGE_FILE, NX_JS_STORAGE_MEMORY };

struct nx_js_consumer_limits {
    int64_t inactive_threshold; /* ns; 0: none */
    int64_t max_ack_pending;    /* 0: none */
};
struct nx_js_placement { /* of clusters: a single server keeps it as it came */
    struct nx_str cluster;
    struct nx_js_texts tags;
};

/* Once its defaults are set, a limit of -1 is none. */
struct nx_js_stream {
    struct nx_str name;
    struct nx_str description;
    struct nx_js_texts subjects;
    unsigned retention; /* enum nx_js_retention */
    int64_t max_consumers;
    int64_t max_msgs;
    int64_t max_bytes;
    int64_t max_age; /* ns; 0: none */
    int64_t max_msgs_per_subject;
    int64_t max_msg_size; /* headers and payload */
    unsigned discard;     /* enum nx_js_discard */
    unsigned storage;     /* enum nx_js_storage */
    int64_t num_replicas;
    bool no_ack;
    int64_t duplicate_window; /* ns */
    struct nx_js_placement placement;
    unsigned compression; /* 0: none, 1: s2 */
    uint64_t first_seq;   /* 0: 1 */
    bool allow_direct;
    bool mirror_direct;
    bool discard_new_per_subject;
    bool sealed;
    bool deny_delete;
    bool deny_purge;
    bool allow_rollup_hdrs;
    struct nx_js_consumer_limits consumer_limits;
    struct nx_js_pairs metadata;
};

/** Read a configuration; what it does not say stays zero.
 * Ownership: `object` is borrowed for the call, strings are copied into `arena`.
 * False:     as nx_js_fields_read(); what is not supported is NX_JS_STREAM_INVALID_CONFIG */
NX_MUST_CHECK bool nx_js_stream_read(const struct nx_json_value *object, struct nx_js_stream *stream_out,
                                     struct nx_arena *arena, struct nx_js_error *err);
/** The value {"name":…}, members in NATS's order. */
void nx_js_stream_write(struct nx_json_writer *writer, const struct nx_js_stream *stream);
/** Whether both would be written the same; false too when there is no memory to find out. */
bool nx_js_stream_equal(const struct nx_js_stream *a, const struct nx_js_stream *b);
/** A copy that borrows only from `arena`. False: no memory. */
NX_MUST_CHECK bool nx_js_stream_copy(const struct nx_js_stream *stream, struct nx_js_stream *copy_out,
                                     struct nx_arena *arena);
