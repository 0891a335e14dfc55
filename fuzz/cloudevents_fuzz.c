/* fuzz/cloudevents_fuzz.c: an event that HTTP may bring becomes a record and comes out of it the same; a
 * record of any bytes is readable; the JSON of every event is valid, and reading it gives the event again.
 *
 * Input: header lines, an empty line, the body; or, starting with '{', a structured event. */
#include "base/assert.h"
#include "codec/cloudevents.h"
#include "fuzz.h"

enum { HEADERS_MAX = 64, MEMORY_MAX = 64 * 1024 * 1024 };

static struct nx_str trim_cr(struct nx_str line) {
    return line.len > 0 && line.ptr[line.len - 1] == '\r' ? nx_str_slice(line, 0, line.len - 1) : line;
}

static size_t read_lines(struct nx_str *rest, struct nx_header *headers) {
    struct nx_str line;
    size_t count = 0;
    while (count < HEADERS_MAX && nx_str_split(rest, '\n', &line)) {
        line = trim_cr(line);
        const size_t colon = nx_str_find_byte(line, ':');
        if (line.len == 0) {
            break;
        }
        headers[count++] =
            (struct nx_header){ .name = nx_str_slice(line, 0, colon),
                                .value =
                                    nx_str_slice(line, colon == SIZE_MAX ? line.len : colon + 1, line.len) };
    }
    if (rest->ptr == NULL) {
        *rest = NX_STR_EMPTY;
    }
    return count;
}

static void check_same(const struct nx_cloudevent *a, const struct nx_cloudevent *b) {
    nx_assert(nx_str_equal(a->id, b->id));
    nx_assert(nx_str_equal(a->source, b->source));
    nx_assert(nx_str_equal(a->type, b->type));
    nx_assert(nx_str_equal(a->subject, b->subject));
    nx_assert(nx_str_equal(a->time, b->time));
    nx_assert(nx_str_equal(a->dataschema, b->dataschema));
    nx_assert(nx_str_equal(a->traceparent, b->traceparent));
    nx_assert(nx_str_equal(a->tracestate, b->tracestate));
    nx_assert(a->extension_count == b->extension_count);
    for (size_t i = 0; i < a->extension_count; i++) {
        nx_assert(nx_str_equal(a->extensions[i].name, b->extensions[i].name));
        nx_assert(nx_str_equal(a->extensions[i].value, b->extensions[i].value));
    }
    nx_assert(a->has_data == b->has_data);
}

/* Its JSON is valid, and an event again. */
static void check_json(const struct nx_cloudevent *event, bool is_strict) {
    NX_AUTO(nx_buf) json;
    NX_AUTO(nx_arena) arena;
    struct nx_cloudevent again;
    struct nx_error err = { 0 };
    nx_buf_init(&json, MEMORY_MAX);
    nx_arena_init(&arena, MEMORY_MAX);
    nx_cloudevent_to_json(&json, event);
    nx_assert(!nx_buf_failed(&json));
    nx_assert(nx_json_check(nx_buf_str(&json), &err) == NX_OK);
    if (is_strict) {
        nx_assert(nx_cloudevent_from_json(nx_buf_str(&json), &arena, &again, &err) == NX_OK);
        check_same(event, &again);
    }
}

/* Through a record and back, with nothing lost. */
static void check_record(const struct nx_cloudevent *event) {
    NX_AUTO(nx_buf) headers;
    NX_AUTO(nx_buf) subject;
    NX_AUTO(nx_arena) arena;
    struct nx_cloudevent again;
    nx_buf_init(&headers, MEMORY_MAX);
    nx_buf_init(&subject, 1024);
    nx_arena_init(&arena, MEMORY_MAX);
    if (nx_cloudevent_to_headers(event, &headers, NULL) != NX_OK) {
        nx_assert(headers.len > NX_HEADERS_BLOCK_SIZE_MAX - 3 * NX_CLOUDEVENT_ATTRIBUTE_SIZE_MAX);
        return;
    }
    nx_cloudevent_subject(&subject, event->type);
    nx_assert(!nx_buf_failed(&subject));
    const struct nx_cloudevent_record record = { .stream = NX_STR("EVENTS"),
                                                 .sequence = 1,
                                                 .subject = nx_buf_str(&subject),
                                                 .headers = nx_buf_str(&headers),
                                                 .payload = event->data };
    nx_assert(nx_headers_check(record.headers, NULL) == NX_OK);
    nx_assert(nx_cloudevent_from_record(&record, &arena, &again, NULL) == NX_OK);
    check_same(event, &again);
    nx_assert(nx_str_equal(event->datacontenttype, again.datacontenttype));
    nx_assert(nx_str_equal(event->baggage, again.baggage));
    nx_assert(nx_str_equal(event->data, again.data));
}

static void check_lookup(const struct nx_cloudevent *event) {
    NX_AUTO(nx_buf) text;
    nx_buf_init(&text, MEMORY_MAX);
    (void)nx_cloudevent_lookup(&text, event, NX_STR("data.user_id"));
    (void)nx_cloudevent_lookup(&text, event, NX_STR("data"));
    (void)nx_cloudevent_lookup(&text, event, NX_STR("subject"));
    nx_assert(!nx_buf_failed(&text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct nx_header headers[HEADERS_MAX];
    struct nx_cloudevent event;
    struct nx_cloudevent_fault fault;
    NX_AUTO(nx_arena) arena;
    nx_arena_init(&arena, MEMORY_MAX);
    const struct nx_str input = nx_str_of(data, size);
    if (nx_cloudevent_from_json_at(input, &arena, &event, &fault, NULL) == NX_OK) {
        check_record(&event);
        check_json(&event, true);
    } else {
        nx_assert(fault.offset <= size); /* a place in the text, whatever is wrong */
    }
    struct nx_str body = input;
    const size_t count = read_lines(&body, headers);
    if (nx_cloudevent_from_http(headers, count, body, &arena, &event, NULL) == NX_OK) {
        nx_assert(nx_cloudevent_is_binary(headers, count));
        nx_assert(nx_cloudevent_check(&event, NULL) == NX_OK);
        check_record(&event);
        check_json(&event, true);
        check_lookup(&event);
    }
    const struct nx_cloudevent_record record = {
        .stream = NX_STR("EVENTS"), .sequence = 7, .subject = input, .headers = input, .payload = body
    };
    nx_assert(nx_cloudevent_from_record(&record, &arena, &event, NULL) == NX_OK);
    nx_assert(event.id.len > 0 && event.source.len > 0);
    check_json(&event, false);
    return 0;
}
