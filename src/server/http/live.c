/* src/server/http/live.c: see live.h. */
#include "server/http/live.h"

#include <stdio.h>

#include "codec/invocation.h"
#include "codec/outcome.h"
#include "server/http/event_json.h"
#include "server/http/event_list.h"
#include "server/http/invocation_json.h"
#include "server/http/page.h"

enum {
    ARENA_SIZE_MAX = 64 * 1024 * 1024,
    QUERY_SIZE_MAX = 256 * 1024, /* bytes of decoded parameters */
};

#define HEARTBEAT_NS (NX_HTTP_LIVE_HEARTBEAT_MS * (int64_t)NX_NS_PER_MS)

/* What is followed and how far it came; the exchange's state. */
struct live {
    struct nx_arena arena;
    struct nx_str stream;               /* static storage */
    struct nx_http_event_filter filter; /* its types are the scan's subjects, of any stream */
    unsigned outcome;                   /* + 1; 0: any */
    bool in_full;                       /* invocations with all that is known of them */
    uint64_t next_sequence;             /* 0: from now on */
    int64_t from_time_ns;               /* 0: none */
    int64_t written_ns;                 /* monotonic */
};

static void live_free(void *state) {
    struct live *live = state;
    nx_arena_fini(&live->arena);
    free(live);
}

bool nx_http_live_is_wanted(const struct nx_http_request *request) {
    struct nx_str rest = nx_http_request_header(request, NX_STR("accept"));
    struct nx_str part;
    while (request->method == NX_HTTP_GET && rest.ptr != NULL && nx_str_split(&rest, ',', &part)) {
        const struct nx_str media = nx_str_trim(nx_str_slice(part, 0, nx_str_find_byte(part, ';')));
        if (nx_str_equal_ignore_case(media, NX_STR("text/event-stream"))) {
            return true;
        }
    }
    return false;
}

/* What a reader sees */

static bool is_wanted(const struct live *live, const struct nx_record *record) {
    struct nx_invocation head;
    if (live->outcome > 0 && (nx_invocation_decode_head(record->payload, &head, NULL) != NX_OK ||
                              (unsigned)head.outcome + 1 != live->outcome)) {
        return false;
    }
    return nx_http_event_filter_matches(&live->filter, record);
}

static void append_id(struct nx_buf *out, const struct live *live, uint64_t sequence) {
    nx_buf_append(out, NX_STR("id: "));
    nx_buf_append(out, live->stream);
    nx_buf_append_u8(out, ':');
    nx_buf_append_decimal(out, sequence);
    nx_buf_append_u8(out, '\n');
}

/* JSON may have line ends between its tokens; here each line is a field of its own. */
static void append_data(struct nx_buf *out, struct nx_str json) {
    size_t begin = 0;
    for (size_t i = 0; i <= json.len; i++) {
        if (i == json.len || json.ptr[i] == '\n' || json.ptr[i] == '\r') {
            nx_buf_append(out, NX_STR("data: "));
            nx_buf_append(out, nx_str_slice(json, begin, i));
            nx_buf_append_u8(out, '\n');
            begin = i + 1;
        }
    }
    nx_buf_append_u8(out, '\n');
}

static void append_record(struct nx_buf *out, const struct live *live, const struct nx_record *record) {
    NX_AUTO(nx_arena) arena;
    NX_AUTO(nx_buf) json;
    struct nx_json_writer writer;
    nx_arena_init(&arena, ARENA_SIZE_MAX);
    nx_buf_init(&json, NX_HTTP_ANSWER_SIZE_MAX);
    nx_json_writer_init(&writer, &json);
    if (nx_str_is(live->stream, "EVENTS")) {
        nx_http_write_event(&writer, record, &arena);
    } else {
        nx_http_write_invocation(&writer, record, live->in_full, &arena);
    }
    nx_json_writer_end(&writer);
    append_id(out, live, record->sequence);
    append_data(out, nx_buf_str(&json));
    if (nx_buf_failed(&json)) {
        nx_buf_reserve(out, SIZE_MAX); /* the stream may not go on without it */
    }
}

static void append_lost(struct nx_buf *out, uint64_t count) {
    if (count > 0) {
        nx_buf_append_format(out, "event: lost\ndata: {\"lost\":%llu}\n\n", (unsigned long long)count);
    }
}

/* The reader is told why, and comes back. */
static void end_with_error(struct nx_http_exchange *exchange, const struct nx_error *err) {
    NX_AUTO(nx_buf) json;
    NX_AUTO(nx_buf) out;
    struct nx_json_writer writer;
    nx_buf_init(&json, NX_HTTP_ANSWER_SIZE_MAX);
    nx_buf_init(&out, NX_HTTP_ANSWER_SIZE_MAX);
    nx_json_writer_init(&writer, &json);
    nx_http_problem_begin(&writer, nx_error_http_status(err), err);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    nx_buf_append(&out, NX_STR("event: error\n"));
    append_data(&out, nx_buf_str(&json));
    nx_http_stream_write(exchange, nx_buf_str(&out));
    nx_http_stream_end(exchange);
}

/* Following the log */

static void records_read(struct nx_http_exchange *exchange, struct nx_message *message);

/* Look at the log: what is there is answered at once, else what comes, or nothing when a comment is due. */
static void look(struct nx_http_exchange *exchange) {
    const struct live *live = exchange->state;
    struct nx_read *read = NULL;
    struct nx_error err = { 0 };
    if (nx_read_new(NX_READ_SCAN, &read, &err) != NX_OK) {
        end_with_error(exchange, &err);
        return;
    }
    read->stream = live->stream;
    read->subject = nx_arena_copy(&read->arena, live->filter.types);
    read->from_sequence = live->next_sequence;
    read->from_time_ns = live->from_time_ns;
    read->count_max = NX_HTTP_LIVE_COUNT_MAX;
    read->size_max = NX_HTTP_LIVE_SIZE_MAX;
    read->wait = true;
    read->wait_until_ns = exchange->shared->now.monotonic_ns + HEARTBEAT_NS;
    if (read->subject.ptr == NULL) {
        nx_read_free(read);
        (void)nx_fail_memory(&err);
        end_with_error(exchange, &err);
        return;
    }
    nx_http_ask_or(exchange, nx_http_services_of(exchange)->reads, &read->message, records_read,
                   end_with_error);
}

/* Write what was found, or from time to time that there is nothing. */
static enum nx_status write_found(struct nx_http_exchange *exchange, struct live *live,
                                  const struct nx_read *read, struct nx_error *err) {
    const int64_t now_ns = exchange->shared->now.monotonic_ns;
    NX_AUTO(nx_buf) out;
    nx_buf_init(&out, NX_HTTP_ANSWER_SIZE_MAX);
    append_lost(&out, read->lost_count);
    for (size_t i = 0; i < read->record_count; i++) {
        if (is_wanted(live, &read->records[i])) {
            append_record(&out, live, &read->records[i]);
        }
    }
    if (out.len == 0 && now_ns - live->written_ns >= HEARTBEAT_NS) {
        nx_buf_append(&out, NX_STR(": nothing new\n"));
        append_id(&out, live, read->next_sequence - 1);
        nx_buf_append_u8(&out, '\n');
    }
    NX_TRY(nx_buf_check(&out, err));
    if (out.len > 0) {
        live->written_ns = now_ns;
        nx_http_stream_write(exchange, nx_buf_str(&out));
    }
    live->next_sequence = read->next_sequence;
    live->from_time_ns = 0;
    return NX_OK;
}

static void records_read(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_read *read = (struct nx_read *)message;
    struct live *live = exchange->state;
    struct nx_error err = { 0 };
    if (exchange->conn == NULL) {
        nx_http_abandon(exchange);
    } else if (read->status != NX_OK) {
        end_with_error(exchange, &read->error);
    } else if (write_found(exchange, live, read, &err) != NX_OK) {
        end_with_error(exchange, &err);
    } else if (nx_http_stream_has_room(exchange)) {
        look(exchange);
    } else {
        nx_http_stream_wait(exchange, look);
    }
    nx_message_release(message);
}

/* Beginning */

static void begin_stream(struct nx_http_exchange *exchange, struct live *live) {
    NX_AUTO(nx_buf) out;
    nx_buf_init(&out, NX_HTTP_EXTRA_HEADERS_SIZE_MAX);
    exchange->interruptible = true;
    nx_http_stream_begin(exchange,
                         &(struct nx_http_response){ .status = 200,
                                                     .content_type = NX_STR("text/event-stream"),
                                                     .headers = NX_STR("Cache-Control: no-store\r\n") });
    /* Whoever is cut off before the first record comes back to here, too. */
    nx_buf_append_format(&out, "retry: %d\n", NX_HTTP_LIVE_RETRY_MS);
    if (live->from_time_ns == 0) {
        append_id(&out, live, live->next_sequence - 1);
    }
    nx_buf_append_u8(&out, '\n');
    live->written_ns = exchange->shared->now.monotonic_ns;
    nx_http_stream_write(exchange, nx_buf_str(&out));
    look(exchange);
}

/* It is known where the log ends. */
static void info_read(struct nx_http_exchange *exchange, struct nx_message *message) {
    struct nx_read *read = (struct nx_read *)message;
    struct live *live = exchange->state;
    struct nx_error err = { 0 };
    if (exchange->conn == NULL) {
        nx_http_abandon(exchange);
    } else if (read->status != NX_OK) {
        nx_http_respond_error(exchange, &read->error, NX_STR_EMPTY);
    } else if (live->next_sequence > read->infos[0].last_sequence + 1) {
        (void)nx_fail(&err, NX_OUT_OF_RANGE, "the stream ends at %.*s:%llu: there is no %llu to go on behind",
                      NX_STR_ARG(live->stream), (unsigned long long)read->infos[0].last_sequence,
                      (unsigned long long)live->next_sequence - 1);
        nx_hint(&err, "this id is of another log; leave it out to follow what arrives from now on");
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    } else {
        if (live->next_sequence == 0) {
            live->next_sequence = live->from_time_ns > 0 ? 1 : read->infos[0].last_sequence + 1;
        }
        begin_stream(exchange, live);
    }
    nx_message_release(message);
}

static enum nx_status read_position(const struct nx_http_request *request, const struct nx_http_query *query,
                                    int64_t now_ns, struct live *live, struct nx_error *err) {
    const struct nx_str last = nx_http_request_header(request, NX_STR("last-event-id"));
    const struct nx_str cursor = nx_http_query_value(query, "cursor");
    uint64_t sequence = 0;
    NX_TRY(nx_http_query_time(query, "since", now_ns, &live->from_time_ns, err));
    if (last.len > 0) { /* goes before the address, which a client that comes back repeats */
        if (!nx_http_parse_reference(last, live->stream, &sequence) || sequence == UINT64_MAX) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "Last-Event-ID: '%.*s' is not an id of this stream",
                           NX_STR_ARG(nx_str_slice(last, 0, 64)));
        }
        live->next_sequence = sequence + 1;
        live->from_time_ns = 0;
    } else if (cursor.len > 0) {
        if (cursor.ptr[0] != 'a' || !nx_str_to_u64(nx_str_slice(cursor, 1, cursor.len), &sequence)) {
            return nx_fail(err, NX_INVALID_ARGUMENT,
                           "parameter 'cursor': '%.*s' is not one of ours in order asc",
                           NX_STR_ARG(nx_str_slice(cursor, 0, 64)));
        }
        live->next_sequence = sequence == 0 ? 1 : sequence;
    }
    return NX_OK;
}

/* What is for pages only is refused, not ignored. */
static enum nx_status check_parameters(const struct nx_http_query *query, struct nx_error *err) {
    static const char *const names[] = { "until", "limit", "order", "wait" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (nx_http_query_value(query, names[i]).ptr != NULL) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "parameter '%s': a stream has none", names[i]);
        }
    }
    return NX_OK;
}

/* Both kinds of stream take the same parameters; those of the other kind are refused. */
static enum nx_status read_events_filter(const struct nx_http_request *request, int64_t now_ns,
                                         struct live *live, struct nx_arena *arena, struct nx_error *err) {
    static const char *const names[] = { "type", "source", "subject", NX_HTTP_PAGE_PARAMETERS, NULL };
    struct nx_http_query query;
    NX_TRY(nx_http_query_parse(request->query, names, arena, &query, err));
    NX_TRY(check_parameters(&query, err));
    NX_TRY(nx_http_event_filter_read(&query, &live->arena, &live->filter, err));
    return read_position(request, &query, now_ns, live, err);
}

static enum nx_status read_invocations_filter(const struct nx_http_request *request, int64_t now_ns,
                                              struct live *live, struct nx_arena *arena,
                                              struct nx_error *err) {
    static const char *const names[] = { "function", "outcome", "details", NX_HTTP_PAGE_PARAMETERS, NULL };
    NX_AUTO(nx_buf) subject;
    struct nx_http_query query;
    enum nx_outcome wanted = 0;
    nx_buf_init(&subject, NX_SUBJECT_SIZE_MAX);
    NX_TRY(nx_http_query_parse(request->query, names, arena, &query, err));
    NX_TRY(check_parameters(&query, err));
    const struct nx_str function = nx_http_query_value(&query, "function");
    const struct nx_str outcome = nx_http_query_value(&query, "outcome");
    const struct nx_str details = nx_http_query_value(&query, "details");
    live->in_full = details.ptr != NULL && !nx_str_is(details, "false");
    if (outcome.ptr != NULL) {
        NX_TRY(nx_outcome_read(outcome, &wanted, err));
        live->outcome = (unsigned)wanted + 1;
    }
    if (function.len > 0) {
        NX_TRY(nx_http_check_function(function, err));
        nx_buf_append(&subject, NX_STR("invocations."));
        nx_buf_append(&subject, function);
        NX_TRY(nx_buf_check(&subject, err));
        live->filter.types = nx_arena_copy(&live->arena, nx_buf_str(&subject));
        if (live->filter.types.ptr == NULL) {
            return nx_fail_memory(err);
        }
    }
    return read_position(request, &query, now_ns, live, err);
}

static enum nx_status begin(struct nx_http_exchange *exchange, const struct nx_http_request *request,
                            struct nx_str stream, struct nx_error *err) {
    const int64_t now_ns = exchange->shared->now.wall_ns;
    NX_AUTO(nx_arena) arena;
    NX_AUTO(nx_read) *read = NULL;
    struct live *live = calloc(1, sizeof *live);
    nx_arena_init(&arena, QUERY_SIZE_MAX);
    if (live == NULL) {
        return nx_fail_memory(err);
    }
    nx_arena_init(&live->arena, QUERY_SIZE_MAX);
    live->stream = stream;
    live->filter = (struct nx_http_event_filter){ NX_STR_EMPTY, NX_STR_EMPTY, NX_STR_EMPTY };
    exchange->state = live;
    exchange->state_free = live_free;
    if (nx_str_is(stream, "EVENTS")) {
        NX_TRY(read_events_filter(request, now_ns, live, &arena, err));
    } else {
        NX_TRY(read_invocations_filter(request, now_ns, live, &arena, err));
    }
    NX_TRY(nx_read_new(NX_READ_INFO, &read, err));
    read->stream = stream;
    nx_http_ask(exchange, nx_http_services_of(exchange)->reads, &NX_TAKE(read)->message, info_read);
    return NX_OK;
}

static void follow(struct nx_http_exchange *exchange, const struct nx_http_request *request,
                   struct nx_str stream) {
    struct nx_error err = { 0 };
    if (begin(exchange, request, stream, &err) != NX_OK) {
        nx_http_respond_error(exchange, &err, NX_STR_EMPTY);
    }
}

void nx_http_live_events(struct nx_http_services *services, struct nx_http_exchange *exchange,
                         const struct nx_http_request *request) {
    (void)services;
    follow(exchange, request, NX_STR("EVENTS"));
}

void nx_http_live_invocations(struct nx_http_services *services, struct nx_http_exchange *exchange,
                              const struct nx_http_request *request) {
    (void)services;
    follow(exchange, request, NX_STR("INVOCATIONS"));
}
