/* src/app/why.c: collecting walks back from record to record and writes JSON; showing reads that alone. */
#include "app/why.h"

#include "app/shown.h"
#include "codec/time_format.h"

enum { ID_SIZE_MAX = 1 << 20, FUNCTION_SIZE_MAX = 4096, MODULE_SHOWN = 16 };

/* Collecting. Each step writes itself and finds the next one. */

struct walk {
    struct nx_source *source;
    struct nx_json_writer json;
    struct nx_reference at;
    bool is_done;
    /* A call is found by what it left, not by its own name: */
    bool is_call_sought;
    struct nx_buf function; /* whose call on event `at` */
    struct nx_buf event_id; /* that it published; empty: it left a dead letter */
    struct nx_buf stored;   /* when that was: its own record is in the same write */
};

static void begin_step(struct walk *walk, const char *step) {
    nx_json_object_begin(&walk->json);
    nx_json_member_c(&walk->json, "step", step);
}

static void end_walk(struct walk *walk, const char *step, const char *reason) {
    begin_step(walk, step);
    nx_json_member_c(&walk->json, "reason", reason);
    nx_json_object_end(&walk->json);
    walk->is_done = true;
}

/* Look for the call on `event` next. */
static enum nx_status seek_call(struct walk *walk, struct nx_str event, struct nx_str function,
                                struct nx_str event_id, struct nx_str stored, struct nx_error *err) {
    if (!nx_reference_parse(event, &walk->at) || walk->at.kind != NX_PAGES_EVENTS) {
        end_walk(walk, "unfinished", "its record does not name an event");
        return NX_OK;
    }
    nx_buf_reset(&walk->function);
    nx_buf_reset(&walk->event_id);
    nx_buf_reset(&walk->stored);
    nx_buf_append(&walk->function, function);
    nx_buf_append(&walk->event_id, event_id);
    nx_buf_append(&walk->stored, stored);
    walk->is_call_sought = true;
    NX_TRY(nx_buf_check(&walk->function, err));
    NX_TRY(nx_buf_check(&walk->event_id, err));
    return nx_buf_check(&walk->stored, err);
}

static enum nx_status write_dead_letter(struct walk *walk, const struct nx_json_value *item,
                                        struct nx_error *err) {
    begin_step(walk, "dead-letter");
    nx_shown_copy_members(&walk->json, item, "id", "function", "event", "stored", NULL);
    nx_json_object_end(&walk->json);
    return seek_call(walk, nx_json_get_str(item, "event"), nx_json_get_str(item, "function"), NX_STR_EMPTY,
                     nx_json_get_str(item, "stored"), err);
}

static void write_call(struct walk *walk, const struct nx_json_value *call) {
    begin_step(walk, "call");
    nx_shown_copy_members(&walk->json, call, "id", "function", "event", "outcome", "attempt", "series",
                          "started", "stored", "duration_ns", "error", "module", "trace_id", "live_replay",
                          "replay_of", NULL);
    nx_json_object_end(&walk->json);
    walk->is_call_sought = false;
    if (!nx_reference_parse(nx_json_get_str(call, "event"), &walk->at)) {
        end_walk(walk, "unfinished", "its record does not name an event");
    }
}

/* The trace id of "00-<trace>-<span>-01". */
static struct nx_str trace_of(const struct nx_json_value *event) {
    return nx_str_slice(nx_json_get_str(event, "traceparent"), 3, 35);
}

/* The event came from nobody that we know: the request is what there is to say of it. */
static void write_outside(struct walk *walk, const struct nx_json_value *event) {
    const struct nx_json_value *data = nx_json_get(event, NX_STR("data"));

    begin_step(walk, "outside");
    nx_shown_copy_members(&walk->json, event, "source", NULL);
    if (trace_of(event).len > 0) {
        nx_json_member_str(&walk->json, "trace_id", trace_of(event));
    }
    if (nx_str_starts_with(nx_json_get_str(event, "type"), NX_STR("http."))) {
        const struct nx_str method = nx_json_get_str(data, "method");
        const struct nx_str path = nx_json_get_str(data, "path");
        nx_json_member_str(&walk->json, "method", method);
        nx_json_member_str(&walk->json, "path", path);
    }
    nx_json_object_end(&walk->json);
    walk->is_done = true;
}

static enum nx_status write_event(struct walk *walk, const struct nx_json_value *item, struct nx_error *err) {
    const struct nx_json_value *event = nx_json_get(item, NX_STR("event"));
    struct nx_str function = nx_json_get_str(item, "cause"); /* EVENTS:9/mailer/0/1 */
    struct nx_str reference;
    struct nx_str name;

    begin_step(walk, "event");
    nx_shown_copy_members(&walk->json, item, "reference", "stored", "cause", "error", NULL);
    nx_shown_copy_members(&walk->json, event, "id", "type", "source", "subject", "time", NULL);
    nx_json_object_end(&walk->json);
    if (function.len == 0) {
        write_outside(walk, event);
        return NX_OK;
    }
    if (!nx_str_split(&function, '/', &reference) || !nx_str_split(&function, '/', &name)) {
        end_walk(walk, "unfinished", "its record does not name its cause");
        return NX_OK;
    }
    return seek_call(walk, reference, name, nx_json_get_str(event, "id"), nx_json_get_str(item, "stored"),
                     err);
}

static bool has_published(const struct nx_json_value *call, struct nx_str event_id) {
    struct nx_json_iterator walk = nx_json_iterate(nx_json_get(call, NX_STR("effects")));
    const struct nx_json_value *effect;

    while (nx_json_next(&walk, NULL, &effect)) {
        if (nx_str_equal(nx_json_get_str(effect, "event_id"), event_id)) {
            return true;
        }
    }
    return false;
}

/* What a call about a forgotten person did is not known any more, only when its record was written. */
static bool is_sought(const struct walk *walk, const struct nx_json_value *call) {
    const bool by_time = walk->event_id.len == 0 || nx_json_get(call, NX_STR("withheld")) != NULL;

    return nx_str_equal(nx_json_get_str(call, "function"), nx_buf_str(&walk->function)) &&
           (by_time ? nx_str_equal(nx_json_get_str(call, "stored"), nx_buf_str(&walk->stored))
                    : has_published(call, nx_buf_str(&walk->event_id)));
}

static enum nx_status step_to_call(struct walk *walk, struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_json_value *calls;
    const struct nx_json_value *call;

    NX_TRY(nx_lookup_calls(walk->source, walk->at.sequence, &doc, &calls, err));
    struct nx_json_iterator all = nx_json_iterate(calls);
    while (nx_json_next(&all, NULL, &call)) {
        if (is_sought(walk, call)) {
            write_call(walk, call);
            return NX_OK;
        }
    }
    end_walk(walk, "expired", "the record of the call that did this has expired");
    return NX_OK;
}

static enum nx_status step_to_record(struct walk *walk, bool is_first, struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_json_value *item;

    const enum nx_status status = nx_lookup_record(walk->source, walk->at, &doc, &item, err);
    if (status == NX_NOT_FOUND && !is_first) {
        end_walk(walk, "expired", "the event that it ran on has expired");
        return NX_OK;
    }
    NX_TRY(status);
    switch (walk->at.kind) {
    case NX_PAGES_DEAD_LETTERS:
        return write_dead_letter(walk, item, err);
    case NX_PAGES_INVOCATIONS:
        write_call(walk, item);
        return NX_OK;
    case NX_PAGES_EVENTS:
        break;
    }
    return write_event(walk, item, err);
}

enum nx_status nx_why_collect(struct nx_source *source, struct nx_reference reference, struct nx_buf *out,
                              struct nx_error *err) {
    struct walk walk = { .source = source, .at = reference };
    enum nx_status status = NX_OK;

    nx_buf_init(&walk.function, FUNCTION_SIZE_MAX);
    nx_buf_init(&walk.event_id, ID_SIZE_MAX);
    nx_buf_init(&walk.stored, NX_TIME_TEXT_SIZE);
    nx_json_writer_init(&walk.json, out);
    nx_json_object_begin(&walk.json);
    nx_json_key(&walk.json, NX_STR("chain"));
    nx_json_array_begin(&walk.json);
    for (unsigned i = 0; i < NX_WHY_STEPS_MAX && !walk.is_done && status == NX_OK; i++) {
        status = walk.is_call_sought ? step_to_call(&walk, err) : step_to_record(&walk, i == 0, err);
    }
    nx_buf_fini(&walk.function);
    nx_buf_fini(&walk.event_id);
    nx_buf_fini(&walk.stored);
    NX_TRY(status);
    if (!walk.is_done) {
        end_walk(&walk, "unfinished", "the chain goes on; ask again with the last event");
    }
    nx_json_array_end(&walk.json);
    nx_json_object_end(&walk.json);
    nx_json_writer_end(&walk.json);
    return nx_buf_check(out, err);
}

/* Showing. */

static void append_time(struct nx_buf *out, const struct nx_json_value *step) {
    char text[NX_TIME_TEXT_SIZE + 1];
    int64_t wall_ns;

    if (nx_time_parse(nx_json_get_str(step, "stored"), &wall_ns)) {
        nx_buf_append_c(out, ", stored ");
        nx_buf_append(out, nx_time_format(wall_ns, NX_TIME_MILLISECONDS, text));
    }
}

/* "user-welcome published it in attempt 1, INVOCATIONS:1, by module ae4bdcc9f50ade53" */
static void show_call(struct nx_buf *out, const struct nx_json_value *step, struct nx_str before) {
    nx_shown_member(out, "", step, "function");
    if (nx_str_is(before, "event")) {
        nx_buf_append_c(out, " published it in");
    } else {
        nx_shown_member(out, " ended as ", step, "outcome");
        nx_shown_member(out, " (", step, "error");
        nx_buf_append_c(out, nx_json_get_str(step, "error").len > 0 ? ") in" : " in");
    }
    nx_buf_append_format(out, " attempt %llu", (unsigned long long)nx_json_get_u64(step, "attempt"));
    nx_shown_member(out, ", ", step, "id");
    nx_shown_member(out, ", a replay of ", step, "replay_of");
    nx_buf_append_c(out, ", by module ");
    nx_shown_text(out, nx_str_slice(nx_json_get_str(step, "module"), 0, MODULE_SHOWN));
}

static void show_step(struct nx_buf *out, const struct nx_json_value *step, struct nx_str before) {
    const struct nx_str kind = nx_json_get_str(step, "step");

    if (nx_str_is(kind, "call")) {
        show_call(out, step, before);
    } else if (nx_str_is(kind, "event")) {
        nx_shown_member(out, before.len > 0 ? "of " : "", step, "reference");
        nx_shown_member(out, " ", step, "type");
        nx_shown_member(out, " ", step, "id");
        append_time(out, step);
    } else if (nx_str_is(kind, "dead-letter")) {
        nx_shown_member(out, "", step, "id");
        nx_shown_member(out, ": ", step, "function");
        nx_shown_member(out, " gave up on ", step, "event");
        append_time(out, step);
    } else if (nx_str_is(kind, "outside")) {
        nx_buf_append_c(out, "it was sent");
        nx_shown_member(out, " as ", step, "method");
        nx_shown_member(out, " ", step, "path");
        nx_shown_member(out, " from outside, source ", step, "source");
        nx_shown_member(out, ", trace ", step, "trace_id");
    } else {
        nx_shown_member(out, "… ", step, "reason");
    }
}

void nx_why_write_text(struct nx_buf *out, const struct nx_json_value *why) {
    struct nx_json_iterator walk = nx_json_iterate(nx_json_get(why, NX_STR("chain")));
    const struct nx_json_value *step;
    struct nx_str before = NX_STR_EMPTY;

    for (int depth = 0; nx_json_next(&walk, NULL, &step); depth++) {
        if (depth > 0) {
            nx_buf_append_format(out, "%*s└─ because ", 3 * (depth - 1), "");
        }
        show_step(out, step, before);
        nx_buf_append_c(out, "\n");
        before = nx_json_get_str(step, "step");
    }
}
