#include "fabric/stream/stream_check.h"

#include "codec/js_error.h"
#include "fabric/subject/subject.h"

enum { NS_PER_MS = 1000000, WAIT_MIN_MS = 100 };

static bool fail(struct nx_js_error *err, const char *text) {
    return nx_js_fail_with(err, NX_JS_STREAM_INVALID_CONFIG, "%s", text);
}

bool nx_js_name_is_valid(struct nx_str name) {
    for (size_t i = 0; i < name.len; i++) {
        const unsigned char c = (unsigned char)name.ptr[i];
        if (c <= ' ' || c == 0x7f || strchr(".*>/\\", c) != NULL) {
            return false;
        }
    }
    return name.len > 0 && name.len <= NX_JS_NAME_SIZE_MAX && nx_str_is_utf8(name);
}

static bool check_names(const struct nx_js_stream *stream, struct nx_js_error *err) {
    if (stream->name.len > NX_JS_NAME_SIZE_MAX) {
        return fail(err, "stream name is too long, maximum allowed is 255");
    }
    if (!nx_js_name_is_valid(stream->name)) {
        return fail(err, "stream name is required and can not contain '.', '*', '>', '\\', '/'");
    }
    if (stream->description.len > NX_JS_DESCRIPTION_TEXT_SIZE_MAX) {
        return fail(err, "stream description is too long, maximum allowed is 4096");
    }
    return nx_js_pairs_size(&stream->metadata) <= NX_JS_METADATA_SIZE_MAX
               ? true
               : fail(err, "stream metadata exceeds maximum size of 131072 bytes");
}

static bool check_replicas(struct nx_js_stream *stream, struct nx_js_error *err) {
    if (stream->num_replicas == 0) {
        stream->num_replicas = 1;
    }
    if (stream->num_replicas > NX_JS_REPLICAS_MAX) {
        return fail(err, "maximum replicas is 5");
    }
    return stream->num_replicas > 0 ? true : nx_js_fail(err, NX_JS_REPLICAS_COUNT_CANNOT_BE_NEGATIVE);
}

static void default_limit(int64_t *limit) {
    if (*limit == 0 || *limit < -1) {
        *limit = -1;
    }
}

static bool check_times(struct nx_js_stream *stream, struct nx_js_error *err) {
    const int64_t min_ns = (int64_t)WAIT_MIN_MS * NS_PER_MS;
    if (stream->max_age < 0) {
        return fail(err, "max age can not be negative");
    }
    if (stream->max_age != 0 && stream->max_age < min_ns) {
        return fail(err, "max age needs to be >= 100ms");
    }
    if (stream->duplicate_window == 0) {
        const bool is_shorter = stream->max_age != 0 && stream->max_age < NX_JS_WINDOW_DEFAULT_NS;
        stream->duplicate_window = is_shorter ? stream->max_age : NX_JS_WINDOW_DEFAULT_NS;
    }
    if (stream->duplicate_window < 0) {
        return fail(err, "duplicates window can not be negative");
    }
    if (stream->max_age != 0 && stream->duplicate_window > stream->max_age) {
        return fail(err, "duplicates window can not be larger then max age");
    }
    if (stream->duplicate_window > NX_JS_WINDOW_MAX_NS) {
        return fail(err, "duplicates window can not be larger then server limit of 1h0m0s");
    }
    return stream->duplicate_window >= min_ns ? true : fail(err, "duplicates window needs to be >= 100ms");
}

static bool check_policies(const struct nx_js_stream *stream, struct nx_js_error *err) {
    if (stream->deny_purge && stream->allow_rollup_hdrs) {
        return fail(err, "roll-ups require the purge permission");
    }
    if (stream->discard_new_per_subject && stream->discard != NX_JS_DISCARD_NEW) {
        return fail(err, "discard new per subject requires discard new policy to be set");
    }
    if (stream->discard_new_per_subject && stream->max_msgs_per_subject <= 0) {
        return fail(err, "discard new per subject requires max msgs per subject > 0");
    }
    if (stream->retention != NX_JS_RETAIN_LIMITS) {
        return fail(err, stream->retention == NX_JS_RETAIN_INTEREST
                             ? "interest retention is not supported by this server"
                             : "workqueue retention is not supported by this server");
    }
    return true;
}

/* What only the server publishes itself. */
static bool check_reserved(const struct nx_js_stream *stream, struct nx_str subject,
                           struct nx_js_error *err) {
    const bool is_event = nx_str_starts_with(subject, NX_STR("$JS.EVENT."));
    const bool is_account = nx_str_starts_with(subject, NX_STR("$SYS.ACCOUNT."));
    if (nx_str_is(subject, ">") && !stream->no_ack) {
        return fail(err, "capturing all subjects requires no-ack to be true");
    }
    if (nx_str_is(subject, ">") && stream->num_replicas != 1) {
        return fail(err, "capturing all subjects requires replicas of 1");
    }
    if (stream->no_ack) {
        return true;
    }
    if (!is_event &&
        (nx_subject_overlaps(subject, NX_STR("$JS.>")) || nx_subject_overlaps(subject, NX_STR("$JSC.>")) ||
         nx_subject_overlaps(subject, NX_STR("$NRG.>")))) {
        return fail(err, "subjects that overlap with jetstream api require no-ack to be true");
    }
    return is_account || !nx_subject_overlaps(subject, NX_STR("$SYS.>"))
               ? true
               : fail(err, "subjects that overlap with system api require no-ack to be true");
}

static bool check_subject(const struct nx_js_stream *stream, size_t index, struct nx_js_error *err) {
    const struct nx_str subject = stream->subjects.items[index];
    if (!check_reserved(stream, subject, err)) {
        return false;
    }
    for (size_t i = index + 1; i < stream->subjects.count; i++) {
        const struct nx_str other = stream->subjects.items[i];
        if (nx_str_equal(subject, other)) {
            return fail(err, "duplicate subjects detected");
        }
        if (nx_subject_overlaps(subject, other)) {
            return nx_js_fail_with(
                err, NX_JS_STREAM_INVALID_CONFIG, "subject \"%.*s\" overlaps with \"%.*s\"",
                NX_STR_ARG(nx_str_slice(subject, 0, 128)), NX_STR_ARG(nx_str_slice(other, 0, 128)));
        }
    }
    return true;
}

static bool check_subjects(struct nx_js_stream *stream, struct nx_arena *arena, struct nx_js_error *err) {
    if (stream->subjects.count == 0) {
        struct nx_str *name = nx_arena_alloc(arena, sizeof *name);
        if (name == NULL) {
            return nx_js_fail(err, NX_JS_INSUFFICIENT_RESOURCES);
        }
        *name = stream->name;
        stream->subjects = (struct nx_js_texts){ name, 1 };
    }
    if (stream->subjects.count > NX_JS_SUBJECTS_MAX) {
        return fail(err, "a stream takes at most 1000 subjects on this server");
    }
    for (size_t i = 0; i < stream->subjects.count; i++) {
        if (!nx_subject_is_filter(stream->subjects.items[i])) {
            return fail(err, "invalid subject");
        }
    }
    for (size_t i = 0; i < stream->subjects.count; i++) {
        if (!check_subject(stream, i, err)) {
            return false;
        }
    }
    return true;
}

/* All but what only new streams, or only changes, are held to. */
static bool check(struct nx_js_stream *stream, struct nx_arena *arena, struct nx_js_error *err) {
    if (!check_names(stream, err) || !check_replicas(stream, err)) {
        return false;
    }
    default_limit(&stream->max_msgs);
    default_limit(&stream->max_msgs_per_subject);
    default_limit(&stream->max_bytes);
    default_limit(&stream->max_msg_size);
    default_limit(&stream->max_consumers);
    return check_times(stream, err) && check_policies(stream, err) && check_subjects(stream, arena, err);
}

static bool check_alone(const struct nx_js_stream *stream, struct nx_js_error *err) {
    return stream->num_replicas == 1 ? true : nx_js_fail(err, NX_JS_STREAM_REPLICAS_NOT_SUPPORTED);
}

bool nx_js_stream_check(struct nx_js_stream *stream, struct nx_arena *arena, struct nx_js_error *err) {
    if (stream->sealed) {
        return fail(err, "stream configuration for create can not be sealed");
    }
    if (stream->mirror_direct) {
        return fail(err, "stream has no mirror but does have mirror direct");
    }
    return check(stream, arena, err) && check_alone(stream, err);
}

bool nx_js_stream_check_update(const struct nx_js_stream *old, struct nx_js_stream *stream,
                               struct nx_arena *arena, struct nx_js_error *err) {
    if (!check(stream, arena, err)) {
        return false;
    }
    if (!nx_str_equal(old->name, stream->name)) {
        return fail(err, "stream configuration name must match original");
    }
    if (!check_alone(stream, err)) {
        return false;
    }
    if (stream->storage != old->storage) {
        return fail(err, "stream configuration update can not change storage type");
    }
    if (old->sealed && !stream->sealed) {
        return fail(err, "stream configuration update can not unseal a sealed stream");
    }
    if (old->deny_delete && !stream->deny_delete) {
        return fail(err, "stream configuration update can not cancel deny message deletes");
    }
    if (old->deny_purge && !stream->deny_purge) {
        return fail(err, "stream configuration update can not cancel deny purge");
    }
    if (stream->sealed) {
        stream->max_age = 0;
        stream->discard = NX_JS_DISCARD_NEW;
        stream->deny_delete = stream->deny_purge = true;
        stream->allow_rollup_hdrs = false;
    }
    return true;
}

bool nx_js_stream_overlaps(const struct nx_js_stream *a, const struct nx_js_stream *b) {
    for (size_t i = 0; i < a->subjects.count; i++) {
        for (size_t k = 0; k < b->subjects.count; k++) {
            if (nx_subject_overlaps(a->subjects.items[i], b->subjects.items[k])) {
                return true;
            }
        }
    }
    return false;
}

bool nx_js_stream_takes(const struct nx_js_stream *stream, struct nx_str subject) {
    for (size_t i = 0; i < stream->subjects.count; i++) {
        if (nx_subject_matches(stream->subjects.items[i], subject)) {
            return true;
        }
    }
    return false;
}
