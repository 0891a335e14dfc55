/* What the API of JetStream answers: see jetstream_internal.h. Forms and errors are nats-server's. */
#include "fabric/subject/subject.h"
#include "server/nats/jetstream_internal.h"

#define TYPE(name) "io.nats.jetstream.api.v1." name "_response"

enum {
    NAMES_MAX = 1024, /* of one page */
    LIST_MAX = 256,
};

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

static bool begin_consumer(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    return nx_nats_js_answer_kind(jetstream, job,
                                  nx_nats_js_entry_of(jetstream, job) == NULL ? NX_JS_STREAM_NOT_FOUND
                                                                              : NX_JS_CONSUMER_NOT_FOUND);
}

static bool begin_consumers(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job) {
    const bool are_names = nx_str_starts_with(nx_str_from_c(job->api->pattern), NX_STR("CONSUMER.NAMES"));
    struct nx_nats_js_answer answer;
    if (nx_nats_js_entry_of(jetstream, job) == NULL) {
        return nx_nats_js_answer_kind(jetstream, job, NX_JS_STREAM_NOT_FOUND);
    }
    nx_nats_js_answer_begin(&answer, job);
    nx_json_member_u64(&answer.writer, "total", 0);
    nx_json_member_u64(&answer.writer, "offset", 0);
    nx_json_member_u64(&answer.writer, "limit", are_names ? NAMES_MAX : LIST_MAX);
    nx_json_key(&answer.writer, NX_STR("consumers"));
    nx_json_array_begin(&answer.writer);
    nx_json_array_end(&answer.writer);
    return nx_nats_js_answer_end(jetstream, job, &answer);
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
    { "CONSUMER.NAMES.*", TYPE("consumer_names"), false, false, begin_consumers, NULL },
    { "CONSUMER.LIST.*", TYPE("consumer_list"), false, false, begin_consumers, NULL },
    { "CONSUMER.INFO.*.>", TYPE("consumer_info"), false, false, begin_consumer, NULL },
    { "CONSUMER.DELETE.*.>", TYPE("consumer_delete"), false, false, begin_consumer, NULL },
    { "CONSUMER.CREATE.*", TYPE("consumer_create"), false, false, begin_refused, NULL },
    { "CONSUMER.CREATE.*.>", TYPE("consumer_create"), false, false, begin_refused, NULL },
    { "CONSUMER.DURABLE.CREATE.*.>", TYPE("consumer_create"), false, false, begin_refused, NULL },
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
    for (size_t i = 0; nx_subject_is_valid(subject) && i < sizeof apis / sizeof apis[0]; i++) {
        const struct nx_str pattern = nx_str_from_c(apis[i].pattern);
        if (nx_subject_matches(pattern, subject)) {
            take_apart(pattern, subject, name_out, rest_out);
            return &apis[i];
        }
    }
    return NULL;
}
