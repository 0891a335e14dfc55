#include "codec/js_stream.h"

static const char *const retentions[] = { "limits", "interest", "workqueue", NULL };
static const char *const discards[] = { "old", "new", NULL };
static const char *const storages[] = { "file", "memory", NULL };
static const char *const compressions[] = { "none", "s2", NULL };

#define AT(member) offsetof(struct nx_js_consumer_limits, member)
static const struct nx_js_field limit_fields[] = {
    { "inactive_threshold", NX_JS_INT, false, AT(inactive_threshold), NULL, NULL },
    { "max_ack_pending", NX_JS_INT, false, AT(max_ack_pending), NULL, NULL },
};
#undef AT
static const struct nx_js_shape limits_shape = { "StreamConsumerLimits", limit_fields,
                                                 sizeof limit_fields / sizeof limit_fields[0],
                                                 NX_JS_STREAM_INVALID_CONFIG };

#define AT(member) offsetof(struct nx_js_placement, member)
static const struct nx_js_field placement_fields[] = {
    { "cluster", NX_JS_TEXT, false, AT(cluster), NULL, NULL },
    { "tags", NX_JS_TEXTS, false, AT(tags), NULL, NULL },
    { "preferred", NX_JS_NEWER, false, 0, NULL, NULL },
};
#undef AT
static const struct nx_js_shape placement_shape = { "Placement", placement_fields,
                                                    sizeof placement_fields / sizeof placement_fields[0],
                                                    NX_JS_STREAM_INVALID_CONFIG };

#define AT(member) offsetof(struct nx_js_stream, member)
static const struct nx_js_field fields[] = {
    { "name", NX_JS_TEXT, true, AT(name), NULL, NULL },
    { "description", NX_JS_TEXT, false, AT(description), NULL, NULL },
    { "subjects", NX_JS_TEXTS, false, AT(subjects), NULL, NULL },
    { "retention", NX_JS_WORD, true, AT(retention), retentions, NULL },
    { "max_consumers", NX_JS_INT, true, AT(max_consumers), NULL, NULL },
    { "max_msgs", NX_JS_INT, true, AT(max_msgs), NULL, NULL },
    { "max_bytes", NX_JS_INT, true, AT(max_bytes), NULL, NULL },
    { "max_age", NX_JS_INT, true, AT(max_age), NULL, NULL },
    { "max_msgs_per_subject", NX_JS_INT, true, AT(max_msgs_per_subject), NULL, NULL },
    { "max_msg_size", NX_JS_INT32, false, AT(max_msg_size), NULL, NULL },
    { "discard", NX_JS_WORD, true, AT(discard), discards, NULL },
    { "storage", NX_JS_WORD, true, AT(storage), storages, NULL },
    { "num_replicas", NX_JS_INT, true, AT(num_replicas), NULL, NULL },
    { "no_ack", NX_JS_BOOL, false, AT(no_ack), NULL, NULL },
    { "template_owner", NX_JS_REFUSED, false, 0, NULL, NULL },
    { "duplicate_window", NX_JS_INT, false, AT(duplicate_window), NULL, NULL },
    { "placement", NX_JS_PART, false, AT(placement), NULL, &placement_shape },
    { "mirror", NX_JS_REFUSED, false, 0, NULL, NULL },
    { "sources", NX_JS_REFUSED, false, 0, NULL, NULL },
    { "compression", NX_JS_WORD, true, AT(compression), compressions, NULL },
    { "first_seq", NX_JS_UINT, false, AT(first_seq), NULL, NULL },
    { "subject_transform", NX_JS_REFUSED, false, 0, NULL, NULL },
    { "republish", NX_JS_REFUSED, false, 0, NULL, NULL },
    { "allow_direct", NX_JS_BOOL, true, AT(allow_direct), NULL, NULL },
    { "mirror_direct", NX_JS_BOOL, true, AT(mirror_direct), NULL, NULL },
    { "discard_new_per_subject", NX_JS_BOOL, false, AT(discard_new_per_subject), NULL, NULL },
    { "sealed", NX_JS_BOOL, true, AT(sealed), NULL, NULL },
    { "deny_delete", NX_JS_BOOL, true, AT(deny_delete), NULL, NULL },
    { "deny_purge", NX_JS_BOOL, true, AT(deny_purge), NULL, NULL },
    { "allow_rollup_hdrs", NX_JS_BOOL, true, AT(allow_rollup_hdrs), NULL, NULL },
    { "consumer_limits", NX_JS_PART, true, AT(consumer_limits), NULL, &limits_shape },
    { "metadata", NX_JS_PAIRS, false, AT(metadata), NULL, NULL },
    { "allow_msg_ttl", NX_JS_NEWER, false, 0, NULL, NULL },
    { "subject_delete_marker_ttl", NX_JS_NEWER, false, 0, NULL, NULL },
    { "allow_msg_counter", NX_JS_NEWER, false, 0, NULL, NULL },
    { "allow_atomic", NX_JS_NEWER, false, 0, NULL, NULL },
    { "allow_msg_schedules", NX_JS_NEWER, false, 0, NULL, NULL },
    { "persist_mode", NX_JS_NEWER, false, 0, NULL, NULL },
    { "allow_batched", NX_JS_NEWER, false, 0, NULL, NULL },
    { "pedantic", NX_JS_NEWER, false, 0, NULL, NULL },
};
#undef AT
static const struct nx_js_shape shape = { "StreamConfig", fields, sizeof fields / sizeof fields[0],
                                          NX_JS_STREAM_INVALID_CONFIG };

bool nx_js_stream_read(const struct nx_json_value *object, struct nx_js_stream *stream_out,
                       struct nx_arena *arena, struct nx_js_error *err) {
    *stream_out = (struct nx_js_stream){ 0 };
    return nx_js_fields_read(&shape, object, stream_out, arena, err);
}

void nx_js_stream_write(struct nx_json_writer *writer, const struct nx_js_stream *stream) {
    nx_json_object_begin(writer);
    nx_js_fields_write(&shape, writer, stream);
    nx_json_object_end(writer);
}

bool nx_js_stream_equal(const struct nx_js_stream *a, const struct nx_js_stream *b) {
    return nx_js_fields_equal(&shape, a, b);
}

bool nx_js_stream_copy(const struct nx_js_stream *stream, struct nx_js_stream *copy_out,
                       struct nx_arena *arena) {
    return nx_js_fields_copy(&shape, stream, sizeof *stream, copy_out, arena);
}
