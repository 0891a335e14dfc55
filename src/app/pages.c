/* src/app/pages.c */
#include "app/pages.h"

#include <inttypes.h>
#include <stdio.h>

#include "app/lookup.h"
#include "codec/cloudevents.h"
#include "codec/headers.h"
#include "codec/invocation.h"
#include "codec/percent.h"
#include "codec/time_format.h"
#include "fabric/subject/subject.h"
#include "platform/function/functions.h"
#include "server/http/event_json.h"
#include "server/http/event_list.h"
#include "server/http/invocation_json.h"

enum {
    PAGE_COUNT_MAX = 500,
    TARGET_SIZE_MAX = 64 * 1024,
    ARENA_SIZE_MAX = 64 * 1024 * 1024,
    PAGE_SIZE_MAX = 4 * 1024 * 1024, /* bytes of records on one page */
};

static const struct {
    const char *path;
    const char *items;
    const char *stream;
    const char *subject_prefix;
} kinds[] = {
    [NX_PAGES_EVENTS] = { "/events", "events", "EVENTS", "events." },
    [NX_PAGES_INVOCATIONS] = { "/invocations", "invocations", "INVOCATIONS", "invocations." },
    [NX_PAGES_DEAD_LETTERS] = { "/dlq", "dead_letters", "DLQ", "dlq." },
};

static size_t page_count(const struct nx_pages *list) {
    return list->count_max == 0 ? PAGE_COUNT_MAX : list->count_max;
}

/* From the server. */

static void append_time(struct nx_buf *target, const char *name, int64_t wall_ns) {
    char text[NX_TIME_TEXT_SIZE + 1];

    if (wall_ns != 0) {
        nx_buf_append_format(target, "&%s=", name);
        nx_percent_encode_url(target, nx_time_format(wall_ns, NX_TIME_SHORTEST, text));
    }
}

static void append_text(struct nx_buf *target, const char *name, struct nx_str text) {
    if (text.len > 0) {
        nx_buf_append_format(target, "&%s=", name);
        nx_percent_encode_url(target, text);
    }
}

static enum nx_status ask_page(struct nx_pages *list, struct nx_buf *page, struct nx_error *err) {
    NX_AUTO(nx_buf) target = { 0 };

    nx_buf_init(&target, TARGET_SIZE_MAX);
    nx_buf_append_format(&target, "%s?limit=%zu", kinds[list->kind].path, page_count(list));
    if (list->kind == NX_PAGES_INVOCATIONS) {
        nx_buf_append_c(&target, "&details=true");
    }
    append_text(&target, "type", list->type);
    append_text(&target, "source", list->event_source);
    append_text(&target, "subject", list->event_subject);
    append_text(&target, "outcome", list->outcome);
    append_text(&target, "function", list->function);
    append_text(&target, "event", list->event);
    append_time(&target, "since", list->since_ns);
    append_time(&target, "until", list->until_ns);
    if (list->cursor[0] != '\0') {
        nx_buf_append_format(&target, "&cursor=%s", list->cursor);
    }
    if (list->wait && list->at_end) {
        nx_buf_append_format(&target, "&wait=%ds", NX_PAGES_WAIT_S);
    }
    NX_TRY(nx_buf_check(&target, err));
    return nx_client_request(&list->source->client, "GET", nx_buf_str(&target), NX_STR_EMPTY, page, err);
}

/* From the directory: the same JSON. */

/* How far the dead letters of a function were put back. */
struct position {
    struct nx_str function; /* borrowed from a record */
    uint64_t put_back_until;
};

static uint64_t find_put_back(const struct nx_pages *list, const struct nx_record *record,
                              struct position *position) {
    NX_AUTO(nx_read) *read = NULL;
    const struct nx_str function = nx_http_dead_letter_function(record);

    if (nx_str_equal(function, position->function)) {
        return position->put_back_until;
    }
    if (nx_functions_position_read_new(function, &read, NULL) != NX_OK) {
        return 0;
    }
    nx_fabric_read_now(list->source->fabric, read);
    *position =
        (struct position){ .function = function, .put_back_until = nx_functions_put_back_until(read) };
    return position->put_back_until;
}

static void write_item(struct nx_json_writer *json, const struct nx_pages *list,
                       const struct nx_record *record, struct position *position) {
    NX_AUTO(nx_arena) arena = { 0 };

    nx_arena_init(&arena, ARENA_SIZE_MAX);
    switch (list->kind) {
    case NX_PAGES_EVENTS:
        nx_http_write_event(json, record, &arena);
        break;
    case NX_PAGES_INVOCATIONS:
        nx_http_write_invocation(json, record, true, &arena);
        break;
    case NX_PAGES_DEAD_LETTERS:
        nx_http_write_dead_letter(json, record, find_put_back(list, record, position));
        break;
    }
}

/* The records' subject that the list asks for, with wildcards; empty: any. */
static enum nx_status find_subject(const struct nx_pages *list, struct nx_arena *arena,
                                   struct nx_str *subject_out, struct nx_error *err) {
    NX_AUTO(nx_buf) subject = { 0 };

    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    if (list->type.len > 0) {
        nx_cloudevent_subject_filter(&subject, list->type);
    } else if (list->function.len > 0) {
        nx_buf_append_c(&subject, kinds[list->kind].subject_prefix);
        nx_buf_append(&subject, list->function);
    }
    NX_TRY(nx_buf_check(&subject, err));
    *subject_out = nx_arena_copy(arena, nx_buf_str(&subject));
    return subject_out->ptr == NULL ? nx_fail_memory(err) : NX_OK;
}

/* An attribute's value as it stands in a record's header. */
static enum nx_status find_header(struct nx_str value, struct nx_arena *arena, struct nx_str *header_out,
                                  struct nx_error *err) {
    NX_AUTO(nx_buf) header = { 0 };

    nx_buf_init(&header, TARGET_SIZE_MAX);
    nx_percent_encode_header(&header, value);
    NX_TRY(nx_buf_check(&header, err));
    *header_out = nx_arena_copy(arena, nx_buf_str(&header));
    return header_out->ptr == NULL ? nx_fail_memory(err) : NX_OK;
}

static enum nx_status read_now(const struct nx_pages *list, struct nx_read *read, struct nx_error *err) {
    nx_fabric_read_now(list->source->fabric, read);
    if (read->status != NX_OK && read->status != NX_NOT_FOUND) {
        *err = read->error;
        return read->status;
    }
    return NX_OK;
}

static void write_items(struct nx_json_writer *json, const struct nx_pages *list,
                        const struct nx_http_event_filter *filter, const struct nx_read *read) {
    struct position position = { .function = NX_STR_EMPTY };

    for (size_t i = 0; i < read->record_count; i++) {
        /* By reference a dead letter of the event is found too. */
        if (nx_str_equal(read->records[i].stream, read->stream) &&
            nx_http_event_filter_matches(filter, &read->records[i])) {
            write_item(json, list, &read->records[i], &position);
        }
    }
}

static enum nx_status write_event_of(struct nx_json_writer *json, const struct nx_pages *list,
                                     const struct nx_http_event_filter *filter, uint64_t sequence,
                                     struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;

    NX_TRY(nx_read_new(NX_READ_BY_SEQUENCE, &read, err));
    read->stream = NX_STR("EVENTS");
    read->from_sequence = sequence;
    NX_TRY(read_now(list, read, err));
    /* One that retention took is not on the page. */
    if (read->record_count == 1 &&
        (filter->types.len == 0 || nx_subject_matches(filter->types, read->records[0].subject))) {
        write_items(json, list, filter, read);
    }
    return NX_OK;
}

/* The events of those invocations that ended as the list asks; a page that is full ends before the next. */
static enum nx_status write_by_outcome(struct nx_json_writer *json, const struct nx_pages *list,
                                       const struct nx_http_event_filter *filter, struct nx_read *scan,
                                       const struct nx_buf *page, struct nx_error *err) {
    uint64_t before = 0;

    for (size_t i = 0; i < scan->record_count; i++) {
        const struct nx_record *record = &scan->records[i];
        struct nx_invocation head;
        struct nx_reference event;
        if (nx_invocation_decode_head(record->payload, &head, NULL) != NX_OK ||
            !nx_str_is(list->outcome, nx_outcome_name(head.outcome)) ||
            !nx_reference_parse(nx_headers_value(record->headers, "Nexus-Event"), &event) ||
            event.kind != NX_PAGES_EVENTS || event.sequence == before) {
            continue;
        }
        if (page->len > PAGE_SIZE_MAX) {
            scan->next_sequence = record->sequence;
            scan->at_end = false;
            return NX_OK;
        }
        NX_TRY(write_event_of(json, list, filter, event.sequence, err));
        before = event.sequence;
    }
    return NX_OK;
}

static enum nx_status make_read(const struct nx_pages *list, struct nx_http_event_filter *filter_out,
                                struct nx_read **read_out, struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;

    NX_TRY(nx_read_new(list->event.len > 0 ? NX_READ_BY_REFERENCE : NX_READ_SCAN, &read, err));
    const bool by_outcome = list->outcome.len > 0;
    read->key = nx_arena_copy(&read->arena, list->event);
    read->stream = nx_str_from_c(kinds[by_outcome ? NX_PAGES_INVOCATIONS : list->kind].stream);
    read->from_time_ns = list->since_ns;
    read->to_time_ns = list->until_ns;
    read->count_max = page_count(list);
    read->size_max = PAGE_SIZE_MAX;
    if (list->cursor[0] != '\0') {
        (void)nx_str_to_u64(nx_str_from_c(list->cursor + 1), &read->from_sequence);
    }
    NX_TRY(find_subject(list, &read->arena, &filter_out->types, err));
    NX_TRY(find_header(list->event_source, &read->arena, &filter_out->source, err));
    NX_TRY(find_header(list->event_subject, &read->arena, &filter_out->subject, err));
    if (!by_outcome) {
        read->subject = filter_out->types;
    }
    *read_out = NX_TAKE(read);
    return NX_OK;
}

static enum nx_status read_page(struct nx_pages *list, struct nx_buf *page, struct nx_error *err) {
    NX_AUTO(nx_read) *read = NULL;
    struct nx_http_event_filter filter = { 0 };
    struct nx_json_writer json;

    NX_TRY(make_read(list, &filter, &read, err));
    NX_TRY(read_now(list, read, err));
    nx_json_writer_init(&json, page);
    nx_json_object_begin(&json);
    nx_json_key(&json, nx_str_from_c(kinds[list->kind].items));
    nx_json_array_begin(&json);
    if (list->outcome.len > 0) {
        NX_TRY(write_by_outcome(&json, list, &filter, read, page, err));
    } else {
        write_items(&json, list, &filter, read);
    }
    nx_json_array_end(&json);
    char cursor[32];
    (void)snprintf(cursor, sizeof cursor, "a%" PRIu64, read->next_sequence);
    nx_json_member_c(&json, "cursor", cursor);
    nx_json_member_bool(&json, "at_end", read->at_end || read->status == NX_NOT_FOUND || list->event.len > 0);
    nx_json_object_end(&json);
    nx_json_writer_end(&json);
    return nx_buf_check(page, err);
}

enum nx_status nx_pages_next(struct nx_pages *list, struct nx_json_doc **page_out,
                             const struct nx_json_value **items_out, struct nx_error *err) {
    NX_AUTO(nx_buf) text = { 0 };
    NX_AUTO(nx_json_doc) *page = NULL;
    struct nx_str cursor;

    nx_buf_init(&text, NX_CLIENT_ANSWER_SIZE_MAX);
    NX_TRY(list->source->is_live ? ask_page(list, &text, err) : read_page(list, &text, err));
    NX_TRY(nx_json_parse(nx_buf_str(&text), text.len * 16 + 4096, &page, err));
    const struct nx_json_value *root = nx_json_root(page);
    const struct nx_json_value *items = nx_json_get(root, nx_str_from_c(kinds[list->kind].items));
    if (nx_json_kind(items) != NX_JSON_ARRAY) {
        return nx_fail(err, NX_DATA_LOSS, "the server's answer is no list");
    }
    list->at_end = true;
    (void)nx_json_to_bool(nx_json_get(root, NX_STR("at_end")), &list->at_end);
    if (nx_json_to_str(nx_json_get(root, NX_STR("cursor")), &cursor) &&
        cursor.len <= NX_PAGES_CURSOR_SIZE_MAX) {
        (void)snprintf(list->cursor, sizeof list->cursor, "%.*s", NX_STR_ARG(cursor));
    } else {
        list->at_end = true;
    }
    *page_out = NX_TAKE(page);
    *items_out = items;
    return NX_OK;
}
