/* What the API of JetStream answers: see jetstream_internal.h. Forms and errors are nats-server's. */
#include "fabric/subject/subject.h"
#include "server/nats/jetstream_internal.h"

#define TYPE(name) "io.nats.jetstream.api.v1." name "_response"

/* What is not built, and what a single server never does. */

static bool begin_refused(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    const bool needs_stream = nx_str_find(nx_str_from_c(job->api->pattern), NX_STR("*")) != SIZE_MAX;
    return needs_stream && nx_nats_js_entry_of(jetstream, job) == NULL
               ? nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND)
               : nx_nats_js_answer_text(jetstream, job, NX_JS_STREAM_GENERAL, "not supported by this server");
}

static bool begin_clustered(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    return nx_nats_js_answer_kind(jetstream, job, NX_JS_CLUSTER_REQUIRED);
}

static const struct nx_nats_js_api apis[] = {
    { "INFO", TYPE("account_info"), false, false, nx_nats_js_begin_all, nx_nats_js_account_go_on },
    { "STREAM.NAMES", TYPE("stream_names"), false, false, nx_nats_js_begin_names, NULL },
    { "STREAM.LIST", TYPE("stream_list"), false, false, nx_nats_js_begin_all, nx_nats_js_list_go_on },
    { "STREAM.CREATE.*", TYPE("stream_create"), true, false, nx_nats_js_begin_create,
      nx_nats_js_create_go_on },
    { "STREAM.DELETE.*", TYPE("stream_delete"), true, false, nx_nats_js_begin_delete,
      nx_nats_js_delete_go_on },
    { "STREAM.INFO.*", TYPE("stream_info"), false, false, nx_nats_js_begin_info, nx_nats_js_info_go_on },
    { "STREAM.MSG.GET.*", TYPE("stream_msg_get"), false, false, nx_nats_js_begin_get, nx_nats_js_get_go_on },
    { "DIRECT.GET.*", TYPE("stream_msg_get"), false, true, nx_nats_js_begin_direct, nx_nats_js_direct_go_on },
    { "DIRECT.GET.*.>", TYPE("stream_msg_get"), false, true, nx_nats_js_begin_direct,
      nx_nats_js_direct_go_on },
    { "STREAM.UPDATE.*", TYPE("stream_update"), true, false, nx_nats_js_begin_update,
      nx_nats_js_update_go_on },
    { "STREAM.PURGE.*", TYPE("stream_purge"), true, false, nx_nats_js_begin_purge, nx_nats_js_purge_go_on },
    { "STREAM.MSG.DELETE.*", TYPE("stream_msg_delete"), true, false, nx_nats_js_begin_message_delete,
      nx_nats_js_message_delete_go_on },
    { "STREAM.SNAPSHOT.*", TYPE("stream_snapshot"), false, false, begin_refused, NULL },
    { "STREAM.RESTORE.*", TYPE("stream_restore"), false, false, begin_refused, NULL },
    { "STREAM.PEER.REMOVE.*", TYPE("stream_remove_peer"), false, false, begin_clustered, NULL },
    { "STREAM.LEADER.STEPDOWN.*", TYPE("stream_leader_stepdown"), false, false, begin_clustered, NULL },
    { "CONSUMER.NAMES.*", TYPE("consumer_names"), false, false, nx_nats_js_begin_consumers, NULL },
    { "CONSUMER.LIST.*", TYPE("consumer_list"), false, false, nx_nats_js_begin_consumers, NULL },
    { "CONSUMER.INFO.*.>", TYPE("consumer_info"), false, false, nx_nats_js_begin_consumer_info,
      nx_nats_js_consumer_info_go_on },
    { "CONSUMER.DELETE.*.>", TYPE("consumer_delete"), true, false, nx_nats_js_begin_consumer_delete,
      nx_nats_js_consumer_delete_go_on },
    { "CONSUMER.CREATE.*", TYPE("consumer_create"), true, false, nx_nats_js_begin_consumer_create,
      nx_nats_js_consumer_create_go_on },
    { "CONSUMER.CREATE.*.>", TYPE("consumer_create"), true, false, nx_nats_js_begin_consumer_create,
      nx_nats_js_consumer_create_go_on },
    { "CONSUMER.DURABLE.CREATE.*.>", TYPE("consumer_create"), true, false, nx_nats_js_begin_consumer_create,
      nx_nats_js_consumer_create_go_on },
    { "CONSUMER.LEADER.STEPDOWN.*.>", TYPE("consumer_leader_stepdown"), false, false, begin_clustered, NULL },
    { "CONSUMER.PAUSE.*.>", TYPE("consumer_pause"), false, false, begin_refused, NULL },
    { "CONSUMER.UNPIN.*.>", TYPE("consumer_unpin"), false, false, begin_refused, NULL },
    { "CONSUMER.RESET.*.>", TYPE("consumer_reset"), false, false, begin_refused, NULL },
};

/* What the star and the rest of a pattern stand for in a subject that it covers. */
static void take_apart(struct nx_str pattern, struct nx_str subject, struct nx_str *name_out,
                       struct nx_str *rest_out) {
    struct nx_str want;
    struct nx_str have;
    while (nx_str_split(&pattern, '.', &want)) {
        if (nx_str_is(want, ">")) {
            *rest_out = subject;
            return;
        }
        if (nx_str_split(&subject, '.', &have) && nx_str_is(want, "*")) {
            *name_out = have;
        }
    }
}

const struct nx_nats_js_api *nx_nats_js_api_find(struct nx_str subject, struct nx_str *name_out,
                                                 struct nx_str *rest_out) {
    for (size_t i = 0; nx_subject_is_filter(subject) && i < sizeof apis / sizeof apis[0]; i++) {
        const struct nx_str pattern = nx_str_from_c(apis[i].pattern);
        if (nx_subject_matches(pattern, subject)) {
            take_apart(pattern, subject, name_out, rest_out);
            return &apis[i];
        }
    }
    return NULL;
}
