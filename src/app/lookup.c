/* src/app/lookup.c */
#include "app/lookup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "codec/headers.h"
#include "codec/hex.h"
#include "codec/percent.h"
#include "codec/traceparent.h"

enum { TEXT_SIZE_MAX = 64 * 1024 };

static const struct {
    const char *stream;
    const char *name; /* of the member that holds the reference */
} kinds[] = {
    [NX_PAGES_EVENTS] = { "EVENTS", "reference" },
    [NX_PAGES_INVOCATIONS] = { "INVOCATIONS", "id" },
    [NX_PAGES_DEAD_LETTERS] = { "DLQ", "id" },
};

struct nx_str nx_reference_format(struct nx_reference reference, char text_out[NX_REFERENCE_TEXT_SIZE]) {
    const int len = snprintf(text_out, NX_REFERENCE_TEXT_SIZE, "%s:%" PRIu64, kinds[reference.kind].stream,
                             reference.sequence);
    return nx_str_of(text_out, (size_t)len);
}

bool nx_reference_parse(struct nx_str text, struct nx_reference *reference_out) {
    struct nx_str rest = text;
    struct nx_str stream;
    uint64_t sequence;

    if (!nx_str_split(&rest, ':', &stream) || !nx_str_to_u64(rest, &sequence) || sequence == 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (nx_str_is(stream, kinds[i].stream)) {
            *reference_out = (struct nx_reference){ .kind = (enum nx_pages_kind)i, .sequence = sequence };
            return true;
        }
    }
    return false;
}

/* The event of this id, from the directory. */
static enum nx_status find_here(struct nx_source *source, struct nx_str id,
                                struct nx_reference *reference_out, struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;
    NX_AUTO(nx_buf) key = { 0 };
    size_t count = 0;

    nx_buf_init(&key, TEXT_SIZE_MAX);
    nx_percent_encode_header(&key, id); /* what the log looks for is the header's text */
    NX_TRY(nx_buf_check(&key, err));
    NX_TRY(nx_read_new(NX_READ_BY_ID, &read, err));
    read->stream = NX_STR("EVENTS");
    read->key = nx_arena_copy(&read->arena, nx_buf_str(&key));
    nx_fabric_read_now(source->fabric, read);
    if (read->status != NX_OK && read->status != NX_NOT_FOUND) {
        *err = read->error;
        return read->status;
    }
    for (size_t i = 0; i < read->record_count; i++) {
        if (nx_str_is(read->records[i].stream, "EVENTS")) {
            *reference_out = (struct nx_reference){ .sequence = read->records[i].sequence };
            count++;
        }
    }
    if (count > 1) {
        return nx_fail_kind(err, NX_KIND_AMBIGUOUS, "%zu events of different sources have this id", count);
    }
    return count == 1 ? NX_OK : nx_fail(err, NX_NOT_FOUND, "there is no event '%.*s'", NX_STR_ARG(id));
}

static enum nx_status find_there(struct nx_source *source, struct nx_str id,
                                 struct nx_reference *reference_out, struct nx_error *err) {
    NX_AUTO(nx_buf) target = { 0 };
    NX_AUTO(nx_buf) body = { 0 };
    NX_AUTO(nx_buf) record = { 0 };

    nx_buf_init(&target, TEXT_SIZE_MAX);
    nx_buf_init(&body, NX_CLIENT_ANSWER_SIZE_MAX);
    nx_buf_init(&record, TEXT_SIZE_MAX);
    nx_buf_append_c(&target, "/events/");
    nx_percent_encode_url(&target, id);
    NX_TRY(nx_buf_check(&target, err));
    NX_TRY(nx_client_get_record(&source->client, nx_buf_str(&target), &body, &record, err));
    return nx_reference_parse(nx_buf_str(&record), reference_out)
               ? NX_OK
               : nx_fail(err, NX_DATA_LOSS, "the server does not say where the event is");
}

enum nx_status nx_lookup_id(struct nx_source *source, struct nx_str id, struct nx_reference *reference_out,
                            struct nx_error *err) {
    if (nx_reference_parse(id, reference_out)) {
        return NX_OK;
    }
    const enum nx_status status = source->is_live ? find_there(source, id, reference_out, err)
                                                  : find_here(source, id, reference_out, err);
    if (status == NX_NOT_FOUND) {
        nx_hint(err, "ids look like 01JDN4ZQ8R7V5T3K2M1N0P9Q8R, EVENTS:17, INVOCATIONS:17 or DLQ:17; "
                     "nexus events lists what there is");
    } else if (status == NX_FAILED_PRECONDITION) {
        nx_hint(err, "name one of them by its place, such as EVENTS:17; nexus events lists them");
    }
    return status;
}

enum nx_status nx_lookup_record(struct nx_source *source, struct nx_reference reference,
                                struct nx_json_doc **doc_out, const struct nx_json_value **item_out,
                                struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_json_value *items;
    const struct nx_json_value *item = NULL;
    char text[NX_REFERENCE_TEXT_SIZE];
    struct nx_pages list = { .source = source, .kind = reference.kind, .count_max = 1 };

    (void)snprintf(list.cursor, sizeof list.cursor, "a%" PRIu64, reference.sequence);
    NX_TRY(nx_pages_next(&list, &doc, &items, err));
    struct nx_json_iterator walk = nx_json_iterate(items);
    const bool is_any = nx_json_next(&walk, NULL, &item);
    const struct nx_str wanted = nx_reference_format(reference, text);
    if (!is_any || !nx_str_equal(nx_json_get_str(item, kinds[reference.kind].name), wanted)) {
        (void)nx_fail(err, NX_NOT_FOUND, "there is no %.*s", NX_STR_ARG(wanted));
        nx_hint(err, "it was never written, or is older than what the stream keeps (nexus config)");
        return NX_NOT_FOUND;
    }
    *doc_out = NX_TAKE(doc);
    *item_out = item;
    return NX_OK;
}

enum nx_status nx_lookup_calls(struct nx_source *source, uint64_t event_sequence,
                               struct nx_json_doc **doc_out, const struct nx_json_value **calls_out,
                               struct nx_error *err) {
    char text[NX_REFERENCE_TEXT_SIZE];
    struct nx_pages list = {
        .source = source,
        .kind = NX_PAGES_INVOCATIONS,
        .event = nx_reference_format((struct nx_reference){ .sequence = event_sequence }, text),
    };
    return nx_pages_next(&list, doc_out, calls_out, err);
}

/* "00-<trace>-<span>-01" */
static bool is_of_trace(const struct nx_json_value *item, const uint8_t *trace_id) {
    struct nx_traceparent parent;

    return nx_traceparent_parse(nx_json_get_str(nx_json_get(item, NX_STR("event")), "traceparent"),
                                &parent) &&
           memcmp(parent.trace_id, trace_id, sizeof parent.trace_id) == 0;
}

enum nx_status nx_lookup_trace(struct nx_source *source, struct nx_str trace,
                               struct nx_reference *reference_out, struct nx_error *err) {
    struct nx_pages list = { .source = source, .kind = NX_PAGES_EVENTS };
    uint8_t trace_id[NX_TRACE_ID_SIZE];

    if (!nx_hex_read(trace, trace_id, sizeof trace_id)) {
        return nx_fail(err, NX_NOT_FOUND, "'%.*s' is no trace", NX_STR_ARG(nx_str_slice(trace, 0, 64)));
    }
    while (!list.at_end) {
        NX_AUTO(nx_json_doc) *page = NULL;
        const struct nx_json_value *items;
        const struct nx_json_value *item;
        NX_TRY(nx_pages_next(&list, &page, &items, err));
        struct nx_json_iterator walk = nx_json_iterate(items);
        while (nx_json_next(&walk, NULL, &item)) {
            if (is_of_trace(item, trace_id) &&
                nx_reference_parse(nx_json_get_str(item, "reference"), reference_out)) {
                return NX_OK;
            }
        }
    }
    (void)nx_fail(err, NX_NOT_FOUND, "no event has this id, and none is of this trace");
    nx_hint(err, "nexus events lists what there is; each line of nexus logs shows its trace");
    return NX_NOT_FOUND;
}

enum nx_status nx_lookup_event(struct nx_source *source, struct nx_str id, uint64_t *sequence_out,
                               struct nx_error *err) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    const struct nx_json_value *item;
    struct nx_reference reference;
    uint8_t trace_id[NX_TRACE_ID_SIZE];

    enum nx_status status = nx_lookup_id(source, id, &reference, err);
    if (status == NX_NOT_FOUND && nx_hex_read(id, trace_id, sizeof trace_id)) {
        status = nx_lookup_trace(source, id, &reference, err);
    }
    NX_TRY(status);
    if (reference.kind != NX_PAGES_EVENTS) {
        NX_TRY(nx_lookup_record(source, reference, &doc, &item, err));
        const struct nx_str event = nx_json_get_str(item, "event");
        if (!nx_reference_parse(event, &reference) || reference.kind != NX_PAGES_EVENTS) {
            return nx_fail(err, NX_DATA_LOSS, "'%.*s' names no event", NX_STR_ARG(id));
        }
    }
    *sequence_out = reference.sequence;
    return NX_OK;
}
