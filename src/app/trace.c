/* src/app/trace.c: collecting walks from record to record and writes JSON; showing reads that JSON alone. */
#include "app/trace.h"

#include <stdio.h>

#include "app/shown.h"
#include "codec/time_format.h"
#include "io/clock.h"

enum { PREFIX_SIZE_MAX = 16 * (NX_TRACE_DEPTH_MAX + 2) };

/* Collecting. */

struct collector {
    struct nx_source *source;
    struct nx_json_writer json;
    unsigned depth;
    size_t event_count;
};

static enum nx_status write_event(struct collector *collector, uint64_t sequence, struct nx_error *err);

static void write_reason(struct nx_json_writer *json, const char *reason) {
    nx_json_object_begin(json);
    nx_json_member_c(json, "reason", reason);
    nx_json_object_end(json);
}

/* The event that a call published, with what came of it. */
static enum nx_status write_caused(struct collector *collector, struct nx_str id, struct nx_error *err) {
    struct nx_reference reference;

    nx_json_key(&collector->json, NX_STR("caused"));
    if (collector->depth == NX_TRACE_DEPTH_MAX || collector->event_count == NX_TRACE_EVENTS_MAX) {
        write_reason(&collector->json, "not followed: this trace is too large; trace this event by itself");
        return NX_OK;
    }
    const enum nx_status status = nx_lookup_id(collector->source, id, &reference, err);
    if (status == NX_NOT_FOUND) {
        write_reason(&collector->json, "expired");
        return NX_OK;
    }
    if (status == NX_FAILED_PRECONDITION) {
        write_reason(&collector->json, "not followed: events of several sources have this id");
        return NX_OK;
    }
    NX_TRY(status);
    return write_event(collector, reference.sequence, err);
}

static enum nx_status write_call(struct collector *collector, const struct nx_json_value *call,
                                 struct nx_error *err) {
    const struct nx_json_value *effect;

    nx_json_object_begin(&collector->json);
    nx_shown_copy_members(&collector->json, call, "id", "function", "outcome", "attempt", "series", "started",
                          "stored", "duration_ns", "fuel", "error", "trace_id", "dead_letter", "live_replay",
                          "replay_of", "module", "withheld", NULL);
    nx_json_key(&collector->json, NX_STR("effects"));
    nx_json_array_begin(&collector->json);
    struct nx_json_iterator walk = nx_json_iterate(nx_json_get(call, NX_STR("effects")));
    while (nx_json_next(&walk, NULL, &effect)) {
        nx_json_object_begin(&collector->json);
        nx_shown_copy_members(&collector->json, effect, "kind", "event_id", "type", "key", "key_base64",
                              "status", "headers", NULL);
        if (nx_str_is(nx_json_get_str(effect, "kind"), "publish")) {
            NX_TRY(write_caused(collector, nx_json_get_str(effect, "event_id"), err));
        }
        nx_json_object_end(&collector->json);
    }
    nx_json_array_end(&collector->json);
    nx_json_object_end(&collector->json);
    return NX_OK;
}

static enum nx_status write_calls(struct collector *collector, uint64_t sequence, struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_json_value *calls;
    const struct nx_json_value *call;

    NX_TRY(nx_lookup_calls(collector->source, sequence, &doc, &calls, err));
    nx_json_key(&collector->json, NX_STR("calls"));
    nx_json_array_begin(&collector->json);
    struct nx_json_iterator walk = nx_json_iterate(calls);
    while (nx_json_next(&walk, NULL, &call)) {
        NX_TRY(write_call(collector, call, err));
    }
    nx_json_array_end(&collector->json);
    return NX_OK;
}

/* At most NX_TRACE_DEPTH_MAX deep. */
static enum nx_status write_event(struct collector *collector, uint64_t sequence, struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_json_value *item;

    NX_TRY(nx_lookup_record(collector->source,
                            (struct nx_reference){ .kind = NX_PAGES_EVENTS, .sequence = sequence }, &doc,
                            &item, err));
    collector->event_count++;
    collector->depth++;
    nx_json_object_begin(&collector->json);
    nx_shown_copy_members(&collector->json, item, "reference", "stored", "cause", "error", NULL);
    nx_shown_copy_members(&collector->json, nx_json_get(item, NX_STR("event")), "id", "type", "source",
                          "subject", "time", "traceparent", "withheld", NULL);
    NX_TRY(write_calls(collector, sequence, err));
    nx_json_object_end(&collector->json);
    collector->depth--;
    return NX_OK;
}

enum nx_status nx_trace_collect(struct nx_source *source, uint64_t event_sequence, struct nx_buf *out,
                                struct nx_error *err) {
    struct collector collector = { .source = source };

    nx_json_writer_init(&collector.json, out);
    NX_TRY(write_event(&collector, event_sequence, err));
    nx_json_writer_end(&collector.json);
    return nx_buf_check(out, err);
}

/* Showing. */

struct painter {
    struct nx_buf *out;
    int64_t began_ns;             /* when the first event was stored */
    char prefix[PREFIX_SIZE_MAX]; /* of the lines below the one at hand */
    size_t prefix_size;
};

static void paint_event(struct painter *painter, const struct nx_json_value *event);

/* "  +15.3 ms", since the first event was stored. */
static void append_since(struct painter *painter, const struct nx_json_value *object, const char *name) {
    int64_t wall_ns;

    if (painter->began_ns != 0 && nx_time_parse(nx_json_get_str(object, name), &wall_ns)) {
        nx_buf_append_format(painter->out, "  %+.1f ms",
                             (double)(wall_ns - painter->began_ns) / NX_NS_PER_MS);
    }
}

/* Begin a line one level below; what is below that line is indented further until leave(). */
static size_t enter(struct painter *painter, bool is_last) {
    const size_t before = painter->prefix_size;
    const char *more = is_last ? "   " : "│  ";

    nx_buf_append(painter->out, nx_str_of(painter->prefix, before));
    nx_buf_append_c(painter->out, is_last ? "└─ " : "├─ ");
    const int size = snprintf(painter->prefix + before, sizeof painter->prefix - before, "%s", more);
    if (size > 0 && (size_t)size < sizeof painter->prefix - before) {
        painter->prefix_size += (size_t)size;
    }
    return before;
}

static void leave(struct painter *painter, size_t before) {
    painter->prefix_size = before;
    painter->prefix[before] = '\0';
}

static void paint_effect(struct painter *painter, const struct nx_json_value *effect, bool is_last) {
    const struct nx_json_value *caused = nx_json_get(effect, NX_STR("caused"));
    const struct nx_str kind = nx_json_get_str(effect, "kind");
    const size_t before = enter(painter, is_last);

    if (nx_str_is(kind, "respond")) {
        nx_buf_append_format(painter->out, "answered %llu\n",
                             (unsigned long long)nx_json_get_u64(effect, "status"));
    } else if (!nx_str_is(kind, "publish")) {
        nx_buf_append_c(painter->out, nx_str_is(kind, "key-delete") ? "deleted key" : "set key");
        nx_shown_member(painter->out, " ", effect, "key");
        nx_shown_member(painter->out, " base64:", effect, "key_base64");
        nx_buf_append_c(painter->out, "\n");
    } else if (nx_json_get_str(caused, "reference").len > 0) {
        nx_buf_append_c(painter->out, "published ");
        paint_event(painter, caused);
    } else {
        nx_shown_member(painter->out, "published ", effect, "type");
        nx_shown_member(painter->out, " ", effect, "event_id");
        nx_shown_member(painter->out, ": ", caused, "reason");
        nx_buf_append_c(painter->out, "\n");
    }
    leave(painter, before);
}

/* What a call about somebody did, who was forgotten: that it cannot be told any more. */
static void paint_withheld(struct painter *painter, const struct nx_json_value *withheld) {
    if (withheld == NULL) {
        return;
    }
    const size_t before = enter(painter, true);
    nx_shown_member(painter->out, "what it did is withheld: ", withheld, "reason");
    nx_shown_member(painter->out, " ", withheld, "time");
    nx_buf_append_c(painter->out, "\n");
    leave(painter, before);
}

/* "user-welcome, attempt 1: ok in 0.4 ms  INVOCATIONS:1  +1.2 ms" */
static void paint_call(struct painter *painter, const struct nx_json_value *call, bool is_last) {
    const struct nx_json_value *effects = nx_json_get(call, NX_STR("effects"));
    const struct nx_json_value *effect;
    struct nx_buf *out = painter->out;
    bool is_dead = false;
    bool is_replay = false;
    size_t left = nx_json_count(effects);

    (void)nx_json_to_bool(nx_json_get(call, NX_STR("dead_letter")), &is_dead);
    (void)nx_json_to_bool(nx_json_get(call, NX_STR("live_replay")), &is_replay);
    const size_t before = enter(painter, is_last);
    nx_shown_member(out, is_replay ? "[REPLAY] " : "", call, "function");
    nx_buf_append_format(out, ", attempt %llu", (unsigned long long)nx_json_get_u64(call, "attempt"));
    nx_shown_member(out, ": ", call, "outcome");
    nx_buf_append_format(out, " in %.1f ms", (double)nx_json_get_u64(call, "duration_ns") / NX_NS_PER_MS);
    nx_shown_member(out, ": ", call, "error");
    nx_shown_member(out, "  ", call, "id");
    append_since(painter, call, "started");
    nx_buf_append_c(out, is_dead ? "; given up, now a dead letter\n" : "\n");
    struct nx_json_iterator walk = nx_json_iterate(effects);
    while (nx_json_next(&walk, NULL, &effect)) {
        paint_effect(painter, effect, --left == 0);
    }
    paint_withheld(painter, nx_json_get(call, NX_STR("withheld")));
    leave(painter, before);
}

/* The rest of the line that the event stands on, and the lines below. */
static void paint_event(struct painter *painter, const struct nx_json_value *event) {
    const struct nx_json_value *calls = nx_json_get(event, NX_STR("calls"));
    const struct nx_json_value *call;
    char time[NX_TIME_TEXT_SIZE + 1];
    size_t left = nx_json_count(calls);

    nx_shown_member(painter->out, "", event, "reference");
    nx_shown_member(painter->out, " ", event, "type");
    nx_shown_member(painter->out, " ", event, "id");
    nx_shown_member(painter->out, ": cannot be read: ", event, "error");
    nx_shown_member(painter->out, ", withheld: ", event, "withheld");
    if (painter->began_ns == 0) {
        nx_shown_member(painter->out, " from ", event, "source");
        if (nx_time_parse(nx_json_get_str(event, "stored"), &painter->began_ns)) {
            nx_buf_append_c(painter->out, ", stored ");
            nx_buf_append(painter->out, nx_time_format(painter->began_ns, NX_TIME_MILLISECONDS, time));
        }
    } else {
        append_since(painter, event, "stored");
    }
    nx_buf_append_c(painter->out, "\n");
    if (left == 0) {
        const size_t before = enter(painter, true);
        nx_buf_append_c(painter->out, "no function ran on it\n");
        leave(painter, before);
    }
    struct nx_json_iterator walk = nx_json_iterate(calls);
    while (nx_json_next(&walk, NULL, &call)) {
        paint_call(painter, call, --left == 0);
    }
}

void nx_trace_write_text(struct nx_buf *out, const struct nx_json_value *trace) {
    struct painter painter = { .out = out };

    paint_event(&painter, trace);
}
