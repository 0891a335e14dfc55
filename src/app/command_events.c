/* src/app/command_events.c: nexus events: what is in the log, and what ended in the dead letters. */
#include "app/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/function_name.h"
#include "app/pages.h"
#include "app/lookup.h"
#include "app/terminal.h"
#include "app/times.h"
#include "codec/outcome.h"
#include "codec/time_format.h"
#include "codec/word.h"
#include "io/clock.h"

enum {
    LINE_SIZE_MAX = 4 * 1024 * 1024,
    EVENT_SIZE_MAX = 16 * 1024 * 1024, /* of one event as JSON, and what is read of it */
    DATA_SHOWN_MAX = 100,
    REFERENCE_WIDTH = 11, /* columns: EVENTS:9999 */
    ID_WIDTH = 26,        /* a ULID */
    TYPE_WIDTH = 16,
    SEEN_SIZE_MAX = 256 * 1024 * 1024, /* a bit for each event */
};

static const struct nx_flag flags[] = {
    { .name = "type", .value = "TYPE", .help = "only these: exact, or with * and > such as 'user.*'" },
    { .name = "source", .value = "SOURCE", .help = "only events of this source" },
    { .name = "subject", .value = "SUBJECT", .help = "only events about this subject" },
    { .name = "outcome", .value = "OUTCOME", .help = "only events with a call that ended so: ok, trap, …" },
    { .name = "since", .value = "TIME", .help = "from then on: 2025-11-26T10:23:45Z, or 1h ago" },
    { .name = "until", .value = "TIME", .help = "and before then" },
    { .name = "dlq", .help = "the dead letters instead: events whose last attempt failed" },
    { .name = "function", .value = "NAME", .help = "with --dlq: only those of this function" },
    { .name = "unmatched", .help = "only events that no function of nexus.yaml takes" },
    { .name = "output", .value = "FORMAT", .help = "text (default), or json: one object a line" },
    NX_SOURCE_FLAGS,
};

struct listing {
    struct nx_config *config; /* for --unmatched */
    bool json;
    bool unmatched;
    bool dlq;
    bool once;          /* an event may come again */
    struct nx_buf seen; /* once: a bit for each sequence, set for the events shown */
    uint64_t count;
};

/* An event, as the list shows it, against a filter. One that cannot be read passes none. */
static bool passes(const struct nx_json_value *event, const struct nx_event_filter *filter) {
    NX_AUTO(nx_buf) text = { 0 };
    NX_AUTO(nx_arena) arena = { 0 };
    struct nx_json_writer json;
    struct nx_cloudevent read;

    nx_buf_init(&text, EVENT_SIZE_MAX);
    nx_arena_init(&arena, EVENT_SIZE_MAX);
    nx_json_writer_init(&json, &text);
    nx_json_value(&json, event);
    nx_json_writer_end(&json);
    return !nx_buf_failed(&text) &&
           nx_cloudevent_from_json(nx_buf_str(&text), &arena, &read, NULL) == NX_OK &&
           nx_event_filter_matches(filter, &read);
}

static bool is_matched(const struct nx_config *config, const struct nx_json_value *event) {
    const struct nx_str type = nx_json_get_str(event, "type");
    for (size_t i = 0; i < config->function_count; i++) {
        for (size_t j = 0; j < config->functions[i].trigger_count; j++) {
            const struct nx_trigger *trigger = &config->functions[i].triggers[j];
            if (nx_str_equal(trigger->event_type, type) &&
                (trigger->filter == NULL || passes(event, trigger->filter))) {
                return true;
            }
        }
    }
    return false;
}

/* The data, shortened to what fits behind the rest. */
static void append_data(struct nx_buf *line, const struct nx_json_value *event) {
    NX_AUTO(nx_buf) text = { 0 };
    struct nx_json_writer json;

    const struct nx_json_value *data = nx_json_get(event, NX_STR("data"));
    if (data == NULL) {
        data = nx_json_get(event, NX_STR("data_base64"));
    }
    if (data == NULL) {
        return;
    }
    nx_buf_init(&text, LINE_SIZE_MAX);
    nx_json_writer_init(&json, &text);
    nx_json_value(&json, data);
    nx_json_writer_end(&json);
    struct nx_str shown = nx_buf_str(&text);
    const bool is_long = shown.len > DATA_SHOWN_MAX;
    shown = nx_str_slice(shown, 0, DATA_SHOWN_MAX);
    shown.len = nx_str_utf8_prefix(shown);
    nx_buf_append(line, shown);
    nx_buf_append_c(line, is_long ? "…" : "");
}

/* Columns stay in line as long as what stands in them has its usual length. */
static void append_column(struct nx_buf *line, struct nx_str text, int width) {
    nx_buf_append_format(line, "%-*.*s  ", width, NX_STR_ARG(text));
}

/* The time to the millisecond, as long for every line, and a reference such as EVENTS:17. */
static void append_start(struct nx_buf *line, const struct nx_json_value *item, const char *reference) {
    char text[NX_TIME_TEXT_SIZE + 1];
    int64_t stored_ns;

    const struct nx_str stored = nx_json_get_str(item, "stored");
    const bool is_time = nx_time_parse(stored, &stored_ns);
    append_column(line, is_time ? nx_time_format(stored_ns, NX_TIME_MILLISECONDS, text) : stored, 0);
    append_column(line, nx_json_get_str(item, reference), REFERENCE_WIDTH);
}

static void append_event(struct nx_buf *line, const struct nx_json_value *item) {
    const struct nx_json_value *event = nx_json_get(item, NX_STR("event"));

    append_start(line, item, "reference");
    if (event == NULL) {
        nx_buf_append_format(line, "cannot be read: %.*s", NX_STR_ARG(nx_json_get_str(item, "error")));
        return;
    }
    append_column(line, nx_json_get_str(event, "id"), ID_WIDTH);
    append_column(line, nx_json_get_str(event, "type"), TYPE_WIDTH);
    append_data(line, event);
    if (nx_json_get(item, NX_STR("withheld")) != NULL) {
        nx_buf_append_format(line, "withheld: %.*s", NX_STR_ARG(nx_json_get_str(event, "withheld")));
    }
}

/* The cause is {"outcome", "error", "attempts", …}. */
static void append_dead_letter(struct nx_buf *line, const struct nx_json_value *item) {
    const struct nx_json_value *cause = nx_json_get(item, NX_STR("cause"));
    uint64_t attempts = 0;

    append_start(line, item, "id");
    append_column(line, nx_json_get_str(item, "event"), REFERENCE_WIDTH);
    append_column(line, nx_json_get_str(item, "function"), TYPE_WIDTH);
    (void)nx_json_to_u64(nx_json_get(cause, NX_STR("attempts")), &attempts);
    nx_buf_append_format(line, "%.*s: %.*s (%" PRIu64 " attempt%s)",
                         NX_STR_ARG(nx_json_get_str(cause, "outcome")),
                         NX_STR_ARG(nx_json_get_str(cause, "error")), attempts, attempts == 1 ? "" : "s");
    bool is_back = false;
    (void)nx_json_to_bool(nx_json_get(item, NX_STR("put_back")), &is_back);
    nx_buf_append_c(line, is_back ? "; put back" : "");
}

/* An event that several calls ended so for comes with each of them. */
static enum nx_status see(struct listing *listing, const struct nx_json_value *item, bool *is_new_out,
                          struct nx_error *err) {
    struct nx_reference reference;

    *is_new_out = true;
    if (!listing->once || !nx_reference_parse(nx_json_get_str(item, "reference"), &reference)) {
        return NX_OK;
    }
    const size_t at = reference.sequence / 8;
    const uint8_t bit = (uint8_t)(1U << (reference.sequence % 8));
    while (listing->seen.len <= at && !nx_buf_failed(&listing->seen)) {
        nx_buf_append_u8(&listing->seen, 0);
    }
    NX_TRY(nx_buf_check(&listing->seen, err));
    *is_new_out = ((uint8_t)listing->seen.ptr[at] & bit) == 0;
    listing->seen.ptr[at] = (char)((uint8_t)listing->seen.ptr[at] | bit);
    return NX_OK;
}

static enum nx_status show(struct listing *listing, const struct nx_json_value *item, struct nx_error *err) {
    NX_AUTO(nx_buf) line = { 0 };
    bool is_new;

    NX_TRY(see(listing, item, &is_new, err));
    if (!is_new) {
        return NX_OK;
    }
    if (listing->unmatched && is_matched(listing->config, nx_json_get(item, NX_STR("event")))) {
        return NX_OK;
    }
    nx_buf_init(&line, LINE_SIZE_MAX);
    if (listing->json) {
        struct nx_json_writer json;
        nx_json_writer_init(&json, &line);
        nx_json_value(&json, item);
        nx_json_writer_end(&json);
    } else if (listing->dlq) {
        append_dead_letter(&line, item);
    } else {
        append_event(&line, item);
    }
    nx_buf_append_c(&line, "\n");
    NX_TRY(nx_buf_check(&line, err));
    listing->count++;
    (void)fwrite(line.ptr, 1, line.len, stdout);
    return NX_OK;
}

static enum nx_status print_all(struct nx_pages *list, struct listing *listing, struct nx_error *err) {
    while (!list->at_end) {
        NX_AUTO(nx_json_doc) *page = NULL;
        const struct nx_json_value *items;
        const struct nx_json_value *item;
        NX_TRY(nx_pages_next(list, &page, &items, err));
        struct nx_json_iterator walk = nx_json_iterate(items);
        while (nx_json_next(&walk, NULL, &item)) {
            NX_TRY(show(listing, item, err));
        }
        if (ferror(stdout) != 0) {
            return NX_OK; /* whoever read our lines has enough of them */
        }
    }
    return NX_OK;
}

/* Told here, so that it is told alike with the server up and down. */
static enum nx_status check_outcome(struct nx_args *args, struct nx_error *err) {
    const char *names[NX_OUTCOME_COUNT];
    const struct nx_str wanted = nx_str_from_c(nx_args_value(args, "outcome"));
    enum nx_outcome outcome;

    if (!nx_args_has(args, "outcome") || nx_outcome_parse(wanted, &outcome)) {
        return NX_OK;
    }
    for (unsigned i = 0; i < NX_OUTCOME_COUNT; i++) {
        names[i] = nx_outcome_name((enum nx_outcome)i);
    }
    const char *nearest = nx_word_nearest(wanted, names, NX_OUTCOME_COUNT);
    (void)nx_args_fail(args, err, "no call ends as '%.*s'", NX_STR_ARG(wanted));
    if (nearest != NULL) {
        nx_hint(err, "did you mean: --outcome %s?", nearest);
    } else {
        nx_hint(err, "calls end as ok, exit, trap, deadline, memory-limit and others: nexus events --help");
    }
    return NX_INVALID_ARGUMENT;
}

static bool is_for_events(const struct nx_args *args) {
    return nx_args_has(args, "type") || nx_args_has(args, "source") || nx_args_has(args, "subject") ||
           nx_args_has(args, "outcome") || nx_args_has(args, "unmatched");
}

static enum nx_status check_flags(struct nx_args *args, struct listing *listing, struct nx_error *err) {
    listing->dlq = nx_args_has(args, "dlq");
    listing->unmatched = nx_args_has(args, "unmatched");
    listing->once = nx_args_has(args, "outcome");
    if (listing->dlq && is_for_events(args)) {
        return nx_args_fail(args, err,
                            "--dlq lists dead letters: --type, --source, --subject, --outcome and "
                            "--unmatched are for events");
    }
    if (!listing->dlq && nx_args_has(args, "function")) {
        (void)nx_args_fail(args, err, "--function goes with --dlq: an event belongs to no function");
        nx_hint(err, "what a function did: nexus logs --function %s", nx_args_value(args, "function"));
        return NX_INVALID_ARGUMENT;
    }
    NX_TRY(check_outcome(args, err));
    return nx_args_output_is_json(args, &listing->json, err);
}

static enum nx_status list_all(const struct nx_args *args, struct nx_pages *list, struct listing *listing,
                               struct nx_error *err) {
    NX_TRY(print_all(list, listing, err));
    if (listing->count == 0 && !listing->json) {
        const bool all =
            !is_for_events(args) && list->function.len == 0 && list->since_ns == 0 && list->until_ns == 0;
        (void)fprintf(stderr, "there are no %s%s\n", all ? "" : "such ",
                      listing->dlq ? "dead letters" : "events");
    }
    return NX_OK;
}

static enum nx_status run(struct nx_args *args, struct nx_error *err) {
    NX_AUTO(nx_source) source = { 0 };
    struct listing listing = { 0 };
    const struct nx_clock clock = nx_clock_system();
    const int64_t now_ns = nx_clock_read(&clock).wall_ns;

    NX_TRY(check_flags(args, &listing, err));
    struct nx_pages list = {
        .source = &source,
        .kind = listing.dlq ? NX_PAGES_DEAD_LETTERS : NX_PAGES_EVENTS,
        .type = nx_str_from_c(nx_args_value(args, "type")),
        .event_source = nx_str_from_c(nx_args_value(args, "source")),
        .event_subject = nx_str_from_c(nx_args_value(args, "subject")),
        .outcome = nx_str_from_c(nx_args_value(args, "outcome")),
        .function = nx_str_from_c(nx_args_value(args, "function")),
    };
    NX_TRY(nx_time_range(args, now_ns, &list.since_ns, &list.until_ns, err));
    NX_TRY(nx_source_open(args, &source, err));
    if (listing.unmatched && source.config == NULL) {
        NX_TRY(nx_config_load_and_explain("nexus.yaml", &source.config, err));
    }
    NX_TRY(nx_function_name_check("--function", nx_args_value(args, "function"), &source, err));
    listing.config = source.config;
    nx_buf_init(&listing.seen, SEEN_SIZE_MAX);
    const enum nx_status status = list_all(args, &list, &listing, err);
    nx_buf_fini(&listing.seen);
    return status;
}

const struct nx_command nx_command_events = {
    .name = "events",
    .summary = "list the events in the log, or the dead letters",
    .text =
        "One line each: when it was stored, its place in the log, its id, its type, its data. With --dlq:\n"
        "when it was given up, the dead letter's place in the log, the event's, the function, the cause,\n"
        "and \"put back\" where nexus replay --dlq did so since: nexus trace shows what came of it.\n"
        "An outcome is how a call ended: ok, exit, trap, deadline, memory-limit, stack-overflow,\n"
        "output-limit, log-limit, host-call-limit, effect-limit, tape-limit, host-error, module-invalid,\n"
        "key-conflict, event-unreadable, event-erased. With --outcome events stand in the order in which "
        "the\n"
        "calls ended, each once; --since and --until are then the calls'.",
    .example = "nexus events --type user.created --since 1h\n"
               "nexus events --source /shop --outcome trap\n"
               "nexus events --dlq --output json",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .run = run,
};
