#include "codec/js_consumer.h"

static const char *const delivers[] = {
    "all", "last", "new", "by_start_sequence", "by_start_time", "last_per_subject", NULL
};
static const char *const acks[] = { "none", "all", "explicit", NULL };
static const char *const replays[] = { "instant", "original", NULL };

#define AT(member) offsetof(struct nx_js_consumer, member)
static const struct nx_js_field fields[] = {
    { "durable_name", NX_JS_TEXT, false, AT(durable_name), NULL, NULL },
    { "name", NX_JS_TEXT, false, AT(name), NULL, NULL },
    { "description", NX_JS_TEXT, false, AT(description), NULL, NULL },
    { "deliver_policy", NX_JS_WORD, true, AT(deliver_policy), delivers, NULL },
    { "opt_start_seq", NX_JS_UINT, false, AT(opt_start_seq), NULL, NULL },
    { "opt_start_time", NX_JS_TIME, false, AT(opt_start_time), NULL, NULL },
    { "ack_policy", NX_JS_WORD, true, AT(ack_policy), acks, NULL },
    { "ack_wait", NX_JS_INT, false, AT(ack_wait), NULL, NULL },
    { "max_deliver", NX_JS_INT, false, AT(max_deliver), NULL, NULL },
    { "backoff", NX_JS_NUMBERS, false, AT(backoff), NULL, NULL },
    { "filter_subject", NX_JS_TEXT, false, AT(filter_subject), NULL, NULL },
    { "filter_subjects", NX_JS_TEXTS, false, AT(filter_subjects), NULL, NULL },
    { "replay_policy", NX_JS_WORD, true, AT(replay_policy), replays, NULL },
    { "rate_limit_bps", NX_JS_UINT, false, AT(rate_limit_bps), NULL, NULL },
    { "sample_freq", NX_JS_TEXT, false, AT(sample_freq), NULL, NULL },
    { "max_waiting", NX_JS_INT, false, AT(max_waiting), NULL, NULL },
    { "max_ack_pending", NX_JS_INT, false, AT(max_ack_pending), NULL, NULL },
    { "flow_control", NX_JS_BOOL, false, AT(flow_control), NULL, NULL },
    { "headers_only", NX_JS_BOOL, false, AT(headers_only), NULL, NULL },
    { "max_batch", NX_JS_INT, false, AT(max_batch), NULL, NULL },
    { "max_expires", NX_JS_INT, false, AT(max_expires), NULL, NULL },
    { "max_bytes", NX_JS_INT, false, AT(max_bytes), NULL, NULL },
    { "deliver_subject", NX_JS_TEXT, false, AT(deliver_subject), NULL, NULL },
    { "deliver_group", NX_JS_TEXT, false, AT(deliver_group), NULL, NULL },
    { "idle_heartbeat", NX_JS_INT, false, AT(idle_heartbeat), NULL, NULL },
    { "inactive_threshold", NX_JS_INT, false, AT(inactive_threshold), NULL, NULL },
    { "num_replicas", NX_JS_INT, true, AT(num_replicas), NULL, NULL },
    { "mem_storage", NX_JS_BOOL, false, AT(mem_storage), NULL, NULL },
    { "direct", NX_JS_BOOL, false, AT(direct), NULL, NULL },
    { "metadata", NX_JS_PAIRS, false, AT(metadata), NULL, NULL },
    { "sourcing", NX_JS_NEWER, false, 0, NULL, NULL },
    { "pause_until", NX_JS_NEWER, false, 0, NULL, NULL },
    { "priority_groups", NX_JS_NEWER, false, 0, NULL, NULL },
    { "priority_policy", NX_JS_NEWER, false, 0, NULL, NULL },
    { "priority_timeout", NX_JS_NEWER, false, 0, NULL, NULL },
};
#undef AT
static const struct nx_js_shape shape = { "ConsumerConfig", fields, sizeof fields / sizeof fields[0],
                                          NX_JS_CONSUMER_CREATE };

bool nx_js_consumer_read(const struct nx_json_value *object, struct nx_js_consumer *consumer_out,
                         struct nx_arena *arena, struct nx_js_error *err) {
    *consumer_out = (struct nx_js_consumer){ 0 };
    return nx_js_fields_read(&shape, object, consumer_out, arena, err);
}

void nx_js_consumer_write(struct nx_json_writer *writer, const struct nx_js_consumer *consumer) {
    nx_json_object_begin(writer);
    nx_js_fields_write(&shape, writer, consumer);
    nx_json_object_end(writer);
}

bool nx_js_consumer_equal(const struct nx_js_consumer *a, const struct nx_js_consumer *b) {
    return nx_js_fields_equal(&shape, a, b);
}

bool nx_js_consumer_copy(const struct nx_js_consumer *consumer, struct nx_js_consumer *copy_out,
                         struct nx_arena *arena) {
    return nx_js_fields_copy(&shape, consumer, sizeof *consumer, copy_out, arena);
}
