#include "fabric/consumer/consumer_check.h"

#include <inttypes.h>

#include "fabric/stream/stream_check.h"
#include "fabric/subject/subject.h"

enum { NS_PER_MS = 1000000 };

static bool check_names(const struct nx_js_consumer *consumer, struct nx_js_error *err) {
    const struct nx_str name = consumer->name;
    const struct nx_str durable = consumer->durable_name;
    if (name.len > NX_JS_NAME_SIZE_MAX || durable.len > NX_JS_NAME_SIZE_MAX) {
        return nx_js_fail_with(err, NX_JS_CONSUMER_NAME_TOO_LONG, "%d", NX_JS_NAME_SIZE_MAX);
    }
    if (name.len > 0 && !nx_js_name_is_valid(name)) {
        return nx_js_fail_with(err, NX_JS_STREAM_INVALID_CONFIG,
                               "consumer name can not contain '.', '*', '>', '\\', '/'");
    }
    if (durable.len > 0 && !nx_js_name_is_valid(durable)) {
        return nx_js_fail_with(err, NX_JS_STREAM_INVALID_CONFIG,
                               "consumer durable name can not contain '.', '*', '>', '\\', '/'");
    }
    return true;
}

static void at_least(int64_t *value, int64_t least) {
    *value = *value < least ? least : *value;
}

static void set_defaults(struct nx_js_consumer *consumer, const struct nx_js_stream *stream) {
    if (consumer->max_deliver == 0) {
        consumer->max_deliver = -1;
    }
    at_least(&consumer->max_deliver, -1);
    at_least(&consumer->max_waiting, 0);
    at_least(&consumer->max_ack_pending, -1);
    at_least(&consumer->max_batch, 0);
    at_least(&consumer->max_expires, 0);
    at_least(&consumer->max_bytes, 0);
    at_least(&consumer->idle_heartbeat, 0);
    at_least(&consumer->inactive_threshold, 0);
    if (consumer->deliver_subject.len == 0 && consumer->max_waiting == 0) {
        consumer->max_waiting = NX_JS_MAX_WAITING_DEFAULT;
    }
    if (consumer->ack_wait == 0 && consumer->ack_policy != NX_JS_ACK_NONE) {
        consumer->ack_wait = NX_JS_ACK_WAIT_DEFAULT_NS;
    }
    if (consumer->backoff.count > 0) {
        consumer->ack_wait = consumer->backoff.items[0];
    }
    if (consumer->max_ack_pending == 0) {
        consumer->max_ack_pending = stream->consumer_limits.max_ack_pending;
    }
    if (consumer->inactive_threshold == 0) {
        consumer->inactive_threshold = stream->consumer_limits.inactive_threshold;
    }
    if (consumer->max_ack_pending == 0 && consumer->ack_policy != NX_JS_ACK_NONE) {
        consumer->max_ack_pending = NX_JS_MAX_ACK_PENDING_DEFAULT;
    }
}

static bool check_waits(const struct nx_js_consumer *consumer, struct nx_js_error *err) {
    for (size_t i = 0; i < consumer->backoff.count; i++) {
        if (consumer->backoff.items[i] < 0) {
            return nx_js_fail(err, NX_JS_CONSUMER_BACK_OFF_NEGATIVE);
        }
    }
    if (consumer->ack_wait < 0) {
        return nx_js_fail(err, NX_JS_CONSUMER_ACK_WAIT_NEGATIVE);
    }
    if (consumer->backoff.count > 0 && consumer->max_deliver != -1 &&
        consumer->backoff.count > (uint64_t)consumer->max_deliver) {
        return nx_js_fail(err, NX_JS_CONSUMER_MAX_DELIVER_BACKOFF);
    }
    return true;
}

static bool check_push(const struct nx_js_consumer *consumer, const struct nx_js_stream *stream,
                       struct nx_js_error *err) {
    const struct nx_str subject = consumer->deliver_subject;
    if (nx_subject_has_wildcard(subject)) {
        return nx_js_fail(err, NX_JS_CONSUMER_DELIVER_TO_WILDCARDS);
    }
    if (!nx_subject_is_valid(subject)) {
        return nx_js_fail(err, NX_JS_CONSUMER_INVALID_DELIVER_SUBJECT);
    }
    if (nx_js_stream_takes(stream, subject)) {
        return nx_js_fail(err, NX_JS_CONSUMER_DELIVER_CYCLE);
    }
    if (consumer->max_waiting != 0) {
        return nx_js_fail(err, NX_JS_CONSUMER_PUSH_MAX_WAITING);
    }
    if (consumer->max_ack_pending > 0 && consumer->ack_policy == NX_JS_ACK_NONE) {
        return nx_js_fail(err, NX_JS_CONSUMER_MAX_PENDING_ACK_POLICY_REQUIRED);
    }
    if (consumer->idle_heartbeat > 0 && consumer->idle_heartbeat < 100 * (int64_t)NS_PER_MS) {
        return nx_js_fail(err, NX_JS_CONSUMER_SMALL_HEARTBEAT);
    }
    return consumer->deliver_group.len == 0
               ? true
               : nx_js_fail_with(err, NX_JS_CONSUMER_CREATE, "deliver_group is not supported by this server");
}

static bool check_pull(const struct nx_js_consumer *consumer, struct nx_js_error *err) {
    if (consumer->rate_limit_bps > 0) {
        return nx_js_fail(err, NX_JS_CONSUMER_PULL_WITH_RATE_LIMIT);
    }
    if (consumer->idle_heartbeat > 0) {
        return nx_js_fail(err, NX_JS_CONSUMER_HB_REQUIRES_PUSH);
    }
    if (consumer->flow_control) {
        return nx_js_fail(err, NX_JS_CONSUMER_FC_REQUIRES_PUSH);
    }
    return consumer->max_expires == 0 || consumer->max_expires >= NS_PER_MS
               ? true
               : nx_js_fail(err, NX_JS_CONSUMER_MAX_REQUEST_EXPIRES_TOO_SMALL);
}

static bool check_limits(const struct nx_js_consumer *consumer, const struct nx_js_stream *stream,
                         struct nx_js_error *err) {
    const struct nx_js_consumer_limits *limits = &stream->consumer_limits;
    if (limits->max_ack_pending > 0 && consumer->max_ack_pending > limits->max_ack_pending) {
        return nx_js_fail_with(err, NX_JS_CONSUMER_MAX_PENDING_ACK_EXCESS, "%" PRId64,
                               limits->max_ack_pending);
    }
    if (limits->inactive_threshold > 0 && consumer->inactive_threshold > limits->inactive_threshold) {
        return nx_js_fail_with(err, NX_JS_CONSUMER_INACTIVE_THRESHOLD_EXCESS, "%" PRId64,
                               limits->inactive_threshold);
    }
    return true;
}

static bool check_filter(struct nx_str filter, struct nx_js_error *err) {
    return nx_subject_is_filter(filter)
               ? true
               : nx_js_fail_with(err, NX_JS_STREAM_INVALID_CONFIG, "invalid subject");
}

static bool check_filters(const struct nx_js_consumer *consumer, struct nx_js_error *err) {
    const struct nx_js_texts *filters = &consumer->filter_subjects;
    if (consumer->filter_subject.len > 0 && filters->count > 0) {
        return nx_js_fail(err, NX_JS_CONSUMER_DUPLICATE_FILTER_SUBJECTS);
    }
    if (consumer->filter_subject.len > 0) {
        return check_filter(consumer->filter_subject, err);
    }
    if (filters->count > NX_JS_FILTERS_MAX) {
        return nx_js_fail_with(err, NX_JS_STREAM_INVALID_CONFIG,
                               "a consumer takes at most %d filters on this server", NX_JS_FILTERS_MAX);
    }
    for (size_t i = 0; i < filters->count; i++) {
        if (filters->items[i].len == 0) {
            return nx_js_fail(err, NX_JS_CONSUMER_EMPTY_FILTER);
        }
    }
    for (size_t i = 0; i < filters->count; i++) {
        if (!check_filter(filters->items[i], err)) {
            return false;
        }
    }
    /* NATS takes those that overlap without one being part of the other, and gives such messages once. */
    for (size_t i = 0; i < filters->count; i++) {
        for (size_t k = 0; k < filters->count; k++) {
            if (i != k && nx_subject_covers(filters->items[k], filters->items[i])) {
                return nx_js_fail(err, NX_JS_CONSUMER_OVERLAPPING_SUBJECT_FILTERS);
            }
        }
    }
    return true;
}

static bool fail_start(struct nx_js_error *err, const char *policy, const char *what, bool is_set) {
    return is_set
               ? nx_js_fail_with(err, NX_JS_CONSUMER_INVALID_POLICY,
                                 "consumer delivery policy is deliver %s, but optional start %s is also set",
                                 policy, what)
               : nx_js_fail_with(err, NX_JS_CONSUMER_INVALID_POLICY,
                                 "consumer delivery policy is deliver %s, but optional %s is not set", policy,
                                 what);
}

static bool check_start(const struct nx_js_consumer *consumer, struct nx_js_error *err) {
    static const char *const policies[] = { "all",           "last",
                                            "new",           "by start sequence",
                                            "by start time", "last per subject" };
    const char *policy = policies[consumer->deliver_policy];
    const bool wants_sequence = consumer->deliver_policy == NX_JS_DELIVER_BY_START_SEQUENCE;
    const bool wants_time = consumer->deliver_policy == NX_JS_DELIVER_BY_START_TIME;
    if (wants_sequence && consumer->opt_start_seq == 0) {
        return fail_start(err, policy, "start sequence", false);
    }
    if (wants_time && !consumer->opt_start_time.is_set) {
        return fail_start(err, policy, "start time", false);
    }
    if (wants_time && consumer->opt_start_seq > 0) {
        return fail_start(err, policy, "start sequence", true);
    }
    if (!wants_sequence && consumer->opt_start_seq > 0) {
        return fail_start(err, policy, "sequence", true);
    }
    if (!wants_time && consumer->opt_start_time.is_set) {
        return fail_start(err, policy, "time", true);
    }
    return consumer->deliver_policy != NX_JS_DELIVER_LAST_PER_SUBJECT || consumer->filter_subject.len > 0 ||
                   consumer->filter_subjects.count > 0
               ? true
               : fail_start(err, policy, "filter subject", false);
}

/* A part of the acknowledgements told to whoever listens, which is not built. */
static bool check_sampling(struct nx_str text, struct nx_js_error *err) {
    uint64_t percent = 0;
    const struct nx_str number =
        nx_str_ends_with(text, NX_STR("%")) ? nx_str_slice(text, 0, text.len - 1) : text;
    if (text.len > 0 && (!nx_str_to_u64(number, &percent) || percent > INT32_MAX)) {
        return nx_js_fail_with(err, NX_JS_CONSUMER_INVALID_SAMPLING,
                               "strconv.Atoi: parsing \"%.*s\": invalid syntax",
                               NX_STR_ARG(nx_str_slice(number, 0, 64)));
    }
    return percent == 0
               ? true
               : nx_js_fail_with(err, NX_JS_CONSUMER_INVALID_SAMPLING, "not supported by this server");
}

static bool check_rest(const struct nx_js_consumer *consumer, struct nx_js_error *err) {
    if (!check_sampling(consumer->sample_freq, err)) {
        return false;
    }
    if (consumer->flow_control && consumer->idle_heartbeat == 0) {
        return nx_js_fail(err, NX_JS_CONSUMER_WITH_FLOW_CONTROL_NEEDS_HEARTBEATS);
    }
    if (consumer->durable_name.len > 0 && consumer->name.len > 0 &&
        !nx_str_equal(consumer->durable_name, consumer->name)) {
        return nx_js_fail(err, NX_JS_CONSUMER_CREATE_DURABLE_AND_NAME_MISMATCH);
    }
    return nx_js_pairs_size(&consumer->metadata) <= NX_JS_METADATA_SIZE_MAX
               ? true
               : nx_js_fail_with(err, NX_JS_CONSUMER_METADATA_LENGTH, "%dKB", NX_JS_METADATA_SIZE_MAX / 1024);
}

static bool check_direct(const struct nx_js_consumer *consumer, struct nx_js_error *err) {
    if (consumer->direct && consumer->deliver_subject.len == 0) {
        return nx_js_fail(err, NX_JS_CONSUMER_DIRECT_REQUIRES_PUSH);
    }
    return !consumer->direct || consumer->durable_name.len == 0
               ? true
               : nx_js_fail(err, NX_JS_CONSUMER_DIRECT_REQUIRES_EPHEMERAL);
}

bool nx_js_consumer_check(struct nx_js_consumer *consumer, const struct nx_js_stream *stream,
                          struct nx_js_error *err) {
    set_defaults(consumer, stream);
    if (!check_names(consumer, err)) {
        return false;
    }
    if (consumer->num_replicas > stream->num_replicas) {
        return nx_js_fail(err, NX_JS_CONSUMER_REPLICAS_EXCEEDS_STREAM);
    }
    if (consumer->num_replicas < 0) {
        return nx_js_fail(err, NX_JS_REPLICAS_COUNT_CANNOT_BE_NEGATIVE);
    }
    if (!check_waits(consumer, err)) {
        return false;
    }
    if (consumer->description.len > NX_JS_DESCRIPTION_TEXT_SIZE_MAX) {
        return nx_js_fail_with(err, NX_JS_CONSUMER_DESCRIPTION_TOO_LONG, "%d",
                               NX_JS_DESCRIPTION_TEXT_SIZE_MAX);
    }
    return (consumer->deliver_subject.len > 0 ? check_push(consumer, stream, err)
                                              : check_pull(consumer, err)) &&
           check_limits(consumer, stream, err) && check_direct(consumer, err) &&
           check_filters(consumer, err) && check_start(consumer, err) && check_rest(consumer, err);
}
