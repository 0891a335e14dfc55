/* src/app/replay_answer.c */
#include "app/replay_answer.h"

#include <inttypes.h>

#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "codec/percent.h"
#include "codec/time_format.h"

enum {
    TARGET_SIZE_MAX = 64 * 1024,
    BYTES_SIZE_MAX = 16 * 1024 * 1024,
    REPLAY_TIMEOUT_MS = 24 * 3600 * 1000, /* a range of millions of calls is answered when it is done */
};

static struct nx_str copy_of(struct nx_replay_report *report, const struct nx_json_value *object,
                             const char *name) {
    return nx_arena_copy(&report->arena, nx_json_get_str(object, name));
}

/* A member `name`, or `name`_base64 where the bytes are no text. */
static struct nx_str bytes_of(struct nx_replay_report *report, const struct nx_json_value *object,
                              const char *name) {
    NX_AUTO(nx_buf) key = { 0 };
    NX_AUTO(nx_buf) bytes = { 0 };
    struct nx_str text;

    nx_buf_init(&key, 64);
    nx_buf_init(&bytes, BYTES_SIZE_MAX);
    nx_buf_append_format(&key, "%s_base64", name);
    if (nx_json_to_str(nx_json_get(object, nx_buf_str(&key)), &text) &&
        nx_base64_decode(&bytes, NX_BASE64_STANDARD, text, NULL) == NX_OK) {
        return nx_arena_copy(&report->arena, nx_buf_str(&bytes));
    }
    return copy_of(report, object, name);
}

static uint64_t number_of(const struct nx_json_value *object, const char *name) {
    uint64_t number = 0;
    (void)nx_json_to_u64(nx_json_get(object, nx_str_from_c(name)), &number);
    return number;
}

/* The 17 of "STREAM:17". */
static uint64_t sequence_of(const struct nx_json_value *object, const char *name) {
    const struct nx_str text = nx_json_get_str(object, name);
    uint64_t sequence = 0;

    const size_t colon = nx_str_find_byte(text, ':');
    if (colon != SIZE_MAX) {
        (void)nx_str_to_u64(nx_str_slice(text, colon + 1, text.len), &sequence);
    }
    return sequence;
}

static int64_t time_of(const struct nx_json_value *object, const char *name) {
    struct nx_str text;
    int64_t wall_ns;

    return nx_json_to_str(nx_json_get(object, nx_str_from_c(name)), &text) && nx_time_parse(text, &wall_ns)
               ? wall_ns
               : 0;
}

static enum nx_replay_verdict verdict_of(const struct nx_json_value *object) {
    const struct nx_str text = nx_json_get_str(object, "verdict");

    for (int i = 0; i < NX_REPLAY_VERDICT_COUNT; i++) {
        if (nx_str_is(text, nx_replay_verdict_name((enum nx_replay_verdict)i))) {
            return (enum nx_replay_verdict)i;
        }
    }
    return NX_REPLAY_FAILED;
}

static struct nx_str json_of(struct nx_replay_report *report, const struct nx_json_value *value) {
    NX_AUTO(nx_buf) text = { 0 };
    struct nx_json_writer writer;

    if (value == NULL) {
        return NX_STR_EMPTY;
    }
    nx_buf_init(&text, BYTES_SIZE_MAX);
    nx_json_writer_init(&writer, &text);
    nx_json_value(&writer, value);
    nx_json_writer_end(&writer);
    return nx_arena_copy(&report->arena, nx_buf_str(&text));
}

static enum nx_status parse_lines(struct nx_replay_report *report, const struct nx_json_value *lines,
                                  struct nx_replay_item *item, struct nx_error *err) {
    struct nx_json_iterator walk = nx_json_iterate(lines);
    const struct nx_json_value *value;

    struct nx_invocation_log_line *parsed =
        nx_arena_alloc(&report->arena, (nx_json_count(lines) + 1) * sizeof *parsed);
    if (parsed == NULL) {
        return nx_fail_memory(err);
    }
    while (nx_json_next(&walk, NULL, &value)) {
        struct nx_str level = NX_STR("INFO");
        enum nx_log_level known = NX_LOG_INFO;
        (void)nx_json_to_str(nx_json_get(value, NX_STR("level")), &level);
        (void)nx_log_level_parse(level, &known);
        parsed[item->log_line_count++] = (struct nx_invocation_log_line){
            .level = (uint8_t)known,
            .time_ns = time_of(value, "time"),
            .text = copy_of(report, value, "text"),
            .fields = json_of(report, nx_json_get(value, NX_STR("fields"))),
        };
    }
    item->log_lines = parsed;
    return NX_OK;
}

static enum nx_status parse_item(struct nx_replay_report *report, const struct nx_json_value *object,
                                 struct nx_error *err) {
    struct nx_replay_item *item = &report->items[report->item_count++];
    struct nx_str text = NX_STR_EMPTY;
    bool current = true;

    (void)nx_json_to_bool(nx_json_get(object, NX_STR("module_is_current")), &current);
    *item = (struct nx_replay_item){
        .verdict = verdict_of(object),
        .invocation = sequence_of(object, "invocation"),
        .event_sequence = sequence_of(object, "event"),
        .event_id = copy_of(report, object, "event_id"),
        .function = copy_of(report, object, "function"),
        .attempt = (uint32_t)number_of(object, "attempt"),
        .original_time_ns = time_of(object, "original_timestamp"),
        .duration_ns = number_of(object, "duration_ns"),
        .fuel = number_of(object, "fuel"),
        .output = bytes_of(report, object, "output"),
        .error = copy_of(report, object, "error"),
        .live_invocation = sequence_of(object, "live_invocation"),
        .module_is_current = current,
    };
    if (nx_json_to_str(nx_json_get(object, NX_STR("outcome")), &text)) {
        (void)nx_outcome_parse(text, &item->outcome);
    }
    if (nx_json_to_str(nx_json_get(object, NX_STR("trace_id")), &text)) {
        const bool is_hex = nx_hex_read(text, item->trace_id, sizeof item->trace_id);
        (void)is_hex; /* all zero otherwise */
    }
    const struct nx_json_value *difference = nx_json_get(object, NX_STR("difference"));
    if (difference != NULL) {
        item->difference = (struct nx_replay_difference){
            .what = copy_of(report, difference, "what"),
            .offset = number_of(difference, "offset"),
            .recorded = bytes_of(report, difference, "recorded"),
            .replayed = bytes_of(report, difference, "replayed"),
        };
    }
    return parse_lines(report, nx_json_get(object, NX_STR("log_lines")), item, err);
}

enum nx_status nx_replay_parse(struct nx_str json, struct nx_replay_report *report, struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_json_value *item;

    const enum nx_status status = nx_json_parse(json, json.len * 16 + 4096, &doc, err);
    const struct nx_json_value *root = status == NX_OK ? nx_json_root(doc) : NULL;
    const struct nx_json_value *items = nx_json_get(root, NX_STR("replays"));
    if (nx_json_kind(items) != NX_JSON_ARRAY ||
        !nx_json_to_u64(nx_json_get(root, NX_STR("total")), &report->total)) {
        return nx_fail(err, NX_DATA_LOSS, "the server's answer is no report of a replay");
    }
    for (int i = 0; i < NX_REPLAY_VERDICT_COUNT; i++) {
        report->counts[i] =
            number_of(nx_json_get(root, NX_STR("counts")), nx_replay_verdict_name((enum nx_replay_verdict)i));
    }
    report->elapsed_ns = number_of(root, "elapsed_ns");
    report->lost_count = number_of(root, "lost");
    report->items = nx_arena_alloc(&report->arena, (nx_json_count(items) + 1) * sizeof *report->items);
    if (report->items == NULL) {
        return nx_fail_memory(err);
    }
    struct nx_json_iterator walk = nx_json_iterate(items);
    while (nx_json_next(&walk, NULL, &item)) {
        NX_TRY(parse_item(report, item, err));
    }
    return NX_OK;
}

static void append_time(struct nx_buf *target, const char *name, int64_t wall_ns) {
    char text[NX_TIME_TEXT_SIZE + 1];

    if (wall_ns != 0) {
        nx_buf_append_format(target, "&%s=", name);
        nx_percent_encode_url(target, nx_time_format(wall_ns, NX_TIME_SHORTEST, text));
    }
}

/* Who waits for the answer of a replay. */
struct watcher {
    const struct nx_client *client;
    void (*progress)(const struct nx_replay_progress *progress);
};

/* {"running": true, "done": 512, "total": 4000, "waiting": 0}. Whatever goes wrong: nothing is drawn. */
static void watch(void *data) {
    const struct watcher *watcher = data;
    NX_AUTO(nx_buf) answer = { 0 };
    NX_AUTO(nx_json_doc) *doc = NULL;

    nx_buf_init(&answer, TARGET_SIZE_MAX);
    if (nx_client_request(watcher->client, "GET", NX_STR("/replay"), NX_STR_EMPTY, &answer, NULL) != NX_OK ||
        nx_json_parse(nx_buf_str(&answer), TARGET_SIZE_MAX * 16, &doc, NULL) != NX_OK) {
        return;
    }
    const struct nx_json_value *root = nx_json_root(doc);
    const struct nx_replay_progress progress = { .done_count = number_of(root, "done"),
                                                 .total_count = number_of(root, "total") };
    watcher->progress(&progress);
}

enum nx_status nx_replay_ask(const struct nx_client *client, const struct nx_replay_question *question,
                             void (*progress)(const struct nx_replay_progress *progress),
                             struct nx_replay_report *report, struct nx_error *err) {
    NX_AUTO(nx_buf) target = { 0 };
    NX_AUTO(nx_buf) answer = { 0 };

    nx_buf_init(&target, TARGET_SIZE_MAX);
    nx_buf_init(&answer, NX_CLIENT_ANSWER_SIZE_MAX);
    nx_buf_append_c(&target, question->id.len > 0 ? "/replay/" : "/replay");
    nx_percent_encode_url(&target, question->id);
    nx_buf_append_format(&target, "?mode=%s", question->mode == NX_REPLAY_LIVE ? "live" : "exact");
    if (question->function.len > 0) {
        nx_buf_append_c(&target, "&function=");
        nx_percent_encode_url(&target, question->function);
    }
    if (question->attempt > 0) {
        nx_buf_append_format(&target, "&attempt=%" PRIu32, question->attempt);
    }
    append_time(&target, "since", question->since_ns);
    append_time(&target, "until", question->until_ns);
    NX_TRY(nx_buf_check(&target, err));
    struct nx_client patient = *client;
    struct watcher watcher = { .client = client, .progress = progress };
    patient.timeout_ms = REPLAY_TIMEOUT_MS;
    patient.waiting = progress == NULL || question->id.len > 0 ? NULL : watch;
    patient.data = &watcher;
    NX_TRY(nx_client_request(&patient, "POST", nx_buf_str(&target), NX_STR_EMPTY, &answer, err));
    return nx_replay_parse(nx_buf_str(&answer), report, err);
}
