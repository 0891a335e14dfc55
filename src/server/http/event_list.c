/* src/server/http/event_list.c: a page of events, by type, source, subject, and by what functions made of
 * them.
 *
 * A type is a subject of the log, which the scan itself passes over quickly. Source and subject are looked at
 * here, in rounds of so many records: a page whose rounds are used up is answered with what was found and a
 * cursor. An outcome is of an invocation: then the invocations are scanned, and the event of each that fits
 * is read by its sequence, one after the other, so the page is in their order and its cursor is theirs. */
#include "server/http/event_list.h"

#include "codec/cloudevents.h"
#include "codec/headers.h"
#include "codec/invocation.h"
#include "codec/outcome.h"
#include "codec/percent.h"
#include "fabric/subject/subject.h"
#include "server/http/event_json.h"
#include "server/http/live.h"
#include "server/http/page.h"
#include "server/http/services.h"

enum {
    ARENA_SIZE_MAX = 64 * 1024 * 1024,
    QUERY_SIZE_MAX = 256 * 1024, /* bytes of decoded parameters */
    FILTER_ROUNDS_MAX = 32,      /* scans for one page, of NX_READ_COUNT_MAX records or a page's bytes each */
};

/* An invocation whose outcome is the one asked for. */
struct match {
    uint64_t invocation;
    uint64_t event;
};

/* What is asked for and how far it came; the exchange's state. */
struct list {
    struct nx_arena arena;
    struct nx_http_event_filter filter;
    unsigned outcome; /* + 1; 0: any */
    size_t limit;
    /* By outcome: */
    struct nx_read *scan; /* answered; owned */
    struct match *matches;
    size_t match_count;
    size_t match_next;
    struct nx_buf body;
    struct nx_json_writer writer;
};

static void list_free(void *state) {
    struct list *list = state;
    nx_read_free(list->scan);
    nx_buf_fini(&list->body);
    nx_arena_fini(&list->arena);
    free(list);
}

static enum nx_status encode(struct nx_str text, struct nx_arena *arena, struct nx_str *encoded_out,
                             struct nx_error *err) {
    NX_AUTO(nx_buf) encoded;
    nx_buf_init(&encoded, QUERY_SIZE_MAX);
    nx_percent_encode_header(&encoded, text);
    NX_TRY(nx_buf_check(&encoded, err));
    *encoded_out = nx_arena_copy(arena, nx_buf_str(&encoded));
    return encoded_out->ptr == NULL ? nx_fail_memory(err) : NX_OK;
}

enum nx_status nx_http_event_filter_read(const struct nx_http_query *query, struct nx_arena *arena,
                                         struct nx_http_event_filter *filter_out, struct nx_error *err) {
    NX_AUTO(nx_buf) types;
    const struct nx_str type = nx_http_query_value(query, "type");
    nx_buf_init(&types, NX_SUBJECT_SIZE_MAX);
    if (type.len > 0) {
        nx_cloudevent_subject_filter(&types, type);
    }
    NX_TRY(nx_buf_check(&types, err));
    NX_TRY(encode(nx_http_query_value(query, "source"), arena, &filter_out->source, err));
    NX_TRY(encode(nx_http_query_value(query, "subject"), arena, &filter_out->subject, err));
    filter_out->types = nx_arena_copy(arena, nx_buf_str(&types));
    if (filter_out->types.ptr == NULL) {
        return nx_fail_memory(err);
    }
    if (filter_out->types.len > 0 && !nx_subject_is_filter(filter_out->types)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "parameter 'type': '%.*s' cannot be a filter of types",
                       NX_STR_ARG(nx_str_slice(type, 0, 128)));
    }
    return NX_OK;
}

bool nx_http_event_filter_matches(const struct nx_http_event_filter *filter, const struct nx_record *record) {
    return (filter->source.len == 0 ||
            nx_str_equal(nx_headers_value(record->headers, "ce-source"), filter->source)) &&
           (filter->subject.len == 0 ||
            nx_str_equal(nx_headers_value(record->headers, "ce-subject"), filter->subject));
}

static void events_read(struct nx_http_exchange *exchange, struct nx_message *message);

/* Ask the same question again, from where this answer ended; false: it cannot be asked. Takes nothing. */
static bool ask_on(struct nx_http_exchange *exchange, const struct nx_read *read) {
    struct nx_read *next = NULL;
    if (nx_read_new(NX_READ_SCAN, &next, NULL) != NX_OK) {
        return false;
    }
    next->stream = nx_arena_copy(&next->arena, read->stream);
    next->subject = nx_arena_copy(&next->arena, read->subject);
    if (next->stream.ptr == NULL || next->subject.ptr == NULL) {
        nx_read_free(next);
        return false;
    }
    next->from_sequence = read->backward ? read->from_sequence : read->next_sequence;
    next->to_sequence = read->backward ? read->next_sequence : read->to_sequence;
    next->from_time_ns = read->from_time_ns;
    next->to_time_ns = read->to_time_ns;
    next->count_max = read->count_max;
    next->size_max = read->size_max;
    next->backward = read->backward;
    next->wait = read->wait;
    next->wait_until_ns = read->wait_until_ns;
    nx_http_ask(exchange, nx_http_services_of(exchange)->reads, &next->message, events_read);
    return true;
}

/* Whether anything can still come into the range of times. */
static bool is_open(const struct nx_http_exchange *exchange, const struct nx_read *read) {
    return read->to_time_ns == 0 || read->to_time_ns > exchange->shared->now.wall_ns;
}

/* Nothing was found, but there is more to look through, or to wait for. */
static bool goes_on(struct nx_http_exchange *exchange, const struct nx_read *read, size_t found_count) {
    if (found_count > 0 || exchange->conn == NULL || read->next_sequence == 0) {
        return false;
    }
    if (read->at_end) {
        return read->wait && read->to_sequence == 0 && is_open(exchange, read) &&
               read->wait_until_ns > exchange->shared->now.monotonic_ns && ask_on(exchange, read);
    }
    exchange->rounds++;
    return exchange->rounds < FILTER_ROUNDS_MAX && ask_on(exchange, read);
}

/* The page ends with this record: the next one begins behind it. */
static void end_behind(struct nx_read *read, uint64_t sequence) {
    read->next_sequence = read->backward ? sequence - 1 : sequence + 1;
    read->at_end = false;
}

/* Leave only the records that fit, so many as a page takes. */
static void keep_matching(const struct list *list, struct nx_read *read) {
    size_t kept = 0;
    for (size_t i = 0; i < read->record_count; i++) {
        if (nx_http_event_filter_matches(&list->filter, &read->records[i])) {
            read->records[kept++] = read->records[i];
        }
        if (kept == list->limit && i + 1 < read->record_count) {
            end_behind(read, read->records[i].sequence);
            break;
        }
    }
    read->record_count = kept;
}

static void begin_page(struct nx_json_writer *writer, struct nx_buf *body) {
    nx_json_writer_init(writer, body);
    nx_json_object_begin(writer);
    nx_json_key(writer, NX_STR("events"));
    nx_json_array_begin(writer);
}

static void respond_page(struct nx_http_exchange *exchange, struct nx_json_writer *writer,
                         struct nx_buf *body, const struct nx_read *read) {
    nx_json_array_end(writer);
    nx_http_page_end(writer, read);
    nx_json_object_end(writer);
    nx_json_writer_end(writer);
    nx_http_respond_json(exchange, body);
}

static void respond_events(struct nx_http_exchange *exchange, const struct nx_read *read) {
    NX_AUTO(nx_arena) arena;
    NX_AUTO(nx_buf) body;
    struct nx_json_writer writer;
    nx_arena_init(&arena, ARENA_SIZE_MAX);
    nx_buf_init(&body, NX_HTTP_ANSWER_SIZE_MAX);
    begin_page(&writer, &body);
    for (size_t i = 0; i < read->record_count; i++) {
        nx_http_write_event(&writer, &read->records[i], &arena);
    }
    respond_page(exchange, &writer, &body, read);
}

/* By outcome */

static void matches_read(struct nx_http_exchange *exchange, struct nx_message *message);

static bool is_known(const struct list *list, uint64_t event) {
    for (size_t i = 0; i < list->match_count; i++) {
        if (list->matches[i].event == event) {
            return true;
        }
    }
    return false;
}

/* The events of the invocations that ended so, each once. */
static enum nx_status find_matches(struct list *list, struct nx_read *read, struct nx_error *err) {
    if (list->matches == NULL) {
        list->matches = nx_arena_alloc(&list->arena, (list->limit + 1) * sizeof *list->matches);
    }
    if (list->matches == NULL) {
        return nx_fail_memory(err);
    }
    list->match_count = 0;
    for (size_t i = 0; i < read->record_count; i++) {
        const struct nx_record *record = &read->records[i];
        const struct nx_str reference = nx_headers_value(record->headers, "Nexus-Event");
        struct nx_invocation head;
        uint64_t event;
        if (nx_invocation_decode_head(record->payload, &head, NULL) != NX_OK ||
            (unsigned)head.outcome + 1 != list->outcome ||
            !nx_http_parse_reference(reference, NX_STR("EVENTS"), &event) || is_known(list, event)) {
            continue;
        }
        list->matches[list->match_count++] = (struct match){ .invocation = record->sequence, .event = event };
        if (list->match_count == list->limit && i + 1 < read->record_count) {
            end_behind(read, record->sequence);
            break;
        }
    }
    return NX_OK;
}

/* Ask for the next event, or answer when there is none. */
static void read_next_match(struct nx_http_exchange *exchange, struct list *list) {
    struct nx_read *read = NULL;
    struct nx_error err = { 0 };
    const bool is_full = list->body.len > NX_HTTP_PAGE_SIZE_MAX;
    if (list->match_next < list->match_count && is_full) {
        const uint64_t next = list->matches[list->match_next].invocation;
        list->scan->next_sequence = next;
        list->scan->at_end = false;
    }
    if (list->match_next == list->match_count || is_full || exchange->conn == NULL) {
        respond_page(exchange, &list->writer, &list->body, list->scan);
        return;
    }
    if (nx_read_new(NX_READ_BY_SEQUENCE, &read, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    read->stream = NX_STR("EVENTS");
    read->from_sequence = list->matches[list->match_next++].event;
    nx_http_ask(exchange, nx_http_services_of(exchange)->reads, &read->message, matches_read);
}

static void matches_read(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_read *read = (struct nx_read *)message;
    struct list *list = exchange->state;
    /* One that retention took meanwhile is not on the page. */
    if (read->status == NX_OK && read->record_count == 1 &&
        nx_http_event_filter_matches(&list->filter, &read->records[0]) &&
        (list->filter.types.len == 0 || nx_subject_matches(list->filter.types, read->records[0].subject))) {
        NX_AUTO(nx_arena) arena;
        nx_arena_init(&arena, ARENA_SIZE_MAX);
        nx_http_write_event(&list->writer, &read->records[0], &arena);
    }
    nx_message_release(message);
    read_next_match(exchange, list);
}

/* A scan came back: answer with what fits, or go on looking. */
static void events_read(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_read *read = (struct nx_read *)message;
    struct list *list = exchange->state;
    struct nx_error err = { 0 };
    if (read->status != NX_OK) {
        nx_http_respond_error(exchange, &read->error, NX_STR_EMPTY);
        nx_message_release(message);
        return;
    }
    if (list->outcome == 0) {
        keep_matching(list, read);
        if (!goes_on(exchange, read, read->record_count)) {
            respond_events(exchange, read);
        }
        nx_message_release(message);
        return;
    }
    if (find_matches(list, read, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        nx_message_release(message);
        return;
    }
    if (goes_on(exchange, read, list->match_count)) {
        nx_message_release(message);
        return;
    }
    list->scan = read;
    begin_page(&list->writer, &list->body);
    read_next_match(exchange, list);
}

static enum nx_status list_read(struct list *list, const struct nx_http_query *query, struct nx_read *read,
                                struct nx_error *err) {
    const struct nx_str outcome = nx_http_query_value(query, "outcome");
    enum nx_outcome wanted = 0;
    NX_TRY(nx_http_event_filter_read(query, &list->arena, &list->filter, err));
    list->limit = read->count_max;
    if (list->filter.source.len > 0 || list->filter.subject.len > 0) {
        read->count_max = NX_READ_COUNT_MAX;
    }
    if (outcome.ptr == NULL) {
        read->subject = nx_arena_copy(&read->arena, list->filter.types);
        return read->subject.ptr == NULL ? nx_fail_memory(err) : NX_OK;
    }
    NX_TRY(nx_outcome_read(outcome, &wanted, err));
    list->outcome = (unsigned)wanted + 1;
    read->stream = NX_STR("INVOCATIONS");
    read->count_max = NX_READ_COUNT_MAX;
    return NX_OK;
}

static enum nx_status make_scan(struct nx_http_exchange *exchange, const struct nx_http_request *request,
                                struct nx_read **read_out, struct nx_error *err) {
    static const char *const names[] = {
        "type", "source", "subject", "outcome", NX_HTTP_PAGE_PARAMETERS, NULL
    };
    NX_AUTO(nx_arena) arena;
    NX_AUTO(nx_read) *read = NULL;
    struct nx_http_query query;
    struct list *list = calloc(1, sizeof *list);
    nx_arena_init(&arena, QUERY_SIZE_MAX);
    if (list == NULL) {
        return nx_fail_memory(err);
    }
    nx_arena_init(&list->arena, QUERY_SIZE_MAX * 16);
    nx_buf_init(&list->body, NX_HTTP_ANSWER_SIZE_MAX);
    exchange->state = list;
    exchange->state_free = list_free;
    NX_TRY(nx_http_query_parse(request->query, names, &arena, &query, err));
    NX_TRY(nx_http_page_scan(exchange, "EVENTS", &query, &read, err));
    NX_TRY(list_read(list, &query, read, err));
    *read_out = NX_TAKE(read);
    return NX_OK;
}

void nx_http_list_events(struct nx_http_services *services, struct nx_http_exchange *exchange,
                         const struct nx_http_request *request, struct nx_str parameter) {
    struct nx_read *read = NULL;
    struct nx_error err = { 0 };
    (void)parameter;
    if (nx_http_live_is_wanted(request)) {
        nx_http_live_events(services, exchange, request);
        return;
    }
    if (make_scan(exchange, request, &read, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
        return;
    }
    nx_http_ask(exchange, services->reads, &read->message, events_read);
}
