/* src/codec/cloudevents_test.c: an event is the same in HTTP, in a record and as JSON; mistakes name their
 * attribute. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#include "codec/cloudevents.h"

enum { MEMORY_MAX = 1024 * 1024, HEADERS_MAX = 48 };

#define TRACE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

/* "name: value" lines, separated by "\n", as the headers of an HTTP message. */
static size_t split_headers(const char *lines, struct nx_header *headers) {
    struct nx_str rest = nx_str_from_c(lines);
    struct nx_str line;
    size_t count = 0;
    while (nx_str_split(&rest, '\n', &line)) {
        const size_t colon = nx_str_find_byte(line, ':');
        assert_true(colon != SIZE_MAX && count < HEADERS_MAX);
        headers[count++] = (struct nx_header){ .name = nx_str_slice(line, 0, colon),
                                               .value = nx_str_slice(line, colon + 1, line.len) };
    }
    return count;
}

static void read_http(struct nx_arena *arena, const char *lines, struct nx_str body,
                      struct nx_cloudevent *event) {
    struct nx_header headers[HEADERS_MAX];
    struct nx_error err = { 0 };
    const size_t count = split_headers(lines, headers);
    nx_arena_init(arena, MEMORY_MAX);
    assert_true(nx_cloudevent_is_binary(headers, count));
    if (nx_cloudevent_from_http(headers, count, body, arena, event, &err) != NX_OK) {
        fail_msg("%s", err.message);
    }
}

static void assert_http_refused(const char *lines, const char *message) {
    struct nx_header headers[HEADERS_MAX];
    struct nx_cloudevent event;
    struct nx_error err = { 0 };
    NX_AUTO(nx_arena) arena;
    nx_arena_init(&arena, MEMORY_MAX);
    assert_int_equal(
        nx_cloudevent_from_http(headers, split_headers(lines, headers), NX_STR("{}"), &arena, &event, &err),
        NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, message);
}

static void assert_json(const struct nx_cloudevent *event, const char *json) {
    NX_AUTO(nx_buf) out;
    nx_buf_init(&out, MEMORY_MAX);
    nx_cloudevent_to_json(&out, event);
    nx_buf_append(&out, NX_STR("\0"));
    assert_int_equal(nx_buf_check(&out, NULL), NX_OK);
    assert_string_equal(out.ptr, json);
}

static const char full_event[] =
    "CE-SpecVersion: 1.0\nce-id: a-1\nce-source: /shop?x=1\nCe-Type: user.created\n"
    "ce-subject:  Euro%20%E2%82%AC%20%F0%9F%98%80 \nce-time: 2025-11-26T10:23:45.5+01:00\n"
    "ce-dataschema: https://example.com/schema\nce-Tenant: \"a \\\"b\\\"\"\nce-n1: 7\n"
    "Content-Type: application/vnd.x+json; charset=utf-8\nhost: localhost\n"
    "traceparent: " TRACE "\ntracestate: a=b\nbaggage: k=v";

static void test_reads_binary_mode(void **state) {
    NX_AUTO(nx_arena) arena;
    struct nx_cloudevent event;
    (void)state;
    read_http(&arena,
              "ce-specversion: 1.0\nce-id: a-1\nce-source: /s\nce-type: t\nCE-Tenant: \"a \\\"b\\\"\"\n"
              "ce-subject:  Euro%20%E2%82%AC%20%F0%9F%98%80 \ntraceparent: " TRACE "\ntracestate: a=b",
              NX_STR("x"), &event);
    assert_true(nx_str_is(event.id, "a-1"));
    assert_true(nx_str_is(event.source, "/s"));
    assert_true(nx_str_is(event.type, "t"));
    assert_true(nx_str_is(event.subject, "Euro € 😀"));
    assert_int_equal(event.extension_count, 1);
    assert_true(nx_str_is(event.extensions[0].name, "tenant"));
    assert_true(nx_str_is(event.extensions[0].value, "a \"b\""));
    assert_true(nx_str_is(event.traceparent, TRACE));
    assert_true(nx_str_is(event.tracestate, "a=b"));
    assert_int_equal(event.datacontenttype.len, 0);
    assert_true(event.has_data);
}

static void test_names_the_attribute_that_is_wrong(void **state) {
    (void)state;
    assert_http_refused("ce-id: 1\nce-source: s\nce-type: t", "attribute 'specversion' is missing or empty");
    assert_http_refused("ce-specversion: 0.3\nce-id: 1\nce-source: s\nce-type: t",
                        "attribute 'specversion' is '0.3', expected '1.0'");
    assert_http_refused("ce-specversion: 1.0\nce-specversion: 1.0", "attribute 'specversion' is given twice");
    assert_http_refused("ce-specversion: 1.0\nce-source: s\nce-type: t",
                        "attribute 'id' is missing or empty");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1\nce-type: t",
                        "attribute 'source' is missing or empty");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1\nce-source: s",
                        "attribute 'type' is missing or empty");
    assert_http_refused("ce-specversion: 1.0\nce-id: ", "attribute 'id' is empty");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1\nCE-ID: 2", "attribute 'id' is given twice");
    assert_http_refused("ce-specversion: 1.0\nce-x: 1\nce-X: 2", "attribute 'x' is given twice");
    assert_http_refused(
        "ce-specversion: 1.0\nce-id: 1%2",
        "attribute 'id': the percent sign at byte 1 is not followed by two hexadecimal digits");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1\nce-source: a b\nce-type: t",
                        "attribute 'source' is not a URI reference");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1\nce-source: a%2520%25\nce-type: t",
                        "attribute 'source' is not a URI reference");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: %C0%A0",
                        "attribute 'type' is not valid UTF-8");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1%0A\nce-source: s\nce-type: t",
                        "attribute 'id' has a control character in it");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1%C2%85\nce-source: s\nce-type: t",
                        "attribute 'id' has a control character in it");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: t\nce-time: yesterday",
                        "attribute 'time' is not an RFC 3339 time");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: t\nce-dataschema: /x",
                        "attribute 'dataschema' is not an absolute URI");
    assert_http_refused(
        "ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: t\nce-datacontenttype: text/plain",
        "attribute 'datacontenttype' belongs in the header Content-Type");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: t\ncontent-type: json",
                        "attribute 'datacontenttype' is not a media type");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: t\nce-traceparent: x",
                        "attribute 'traceparent' is not a W3C trace parent");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: t\nce-my_ext: x",
                        "'my_ext' is not an attribute's name: 1 to 64 lower-case letters and digits");
    assert_http_refused("ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: t\nce-data: x",
                        "an attribute must not be named 'data'");
}

static void test_addresses_and_media_types_are_checked_byte_by_byte(void **state) {
    static const char event[] = "ce-specversion: 1.0\nce-id: 1\nce-type: t\n";
    static const char *const sources[] = {
        "a%25", "a%252", "a%25zz", "a%250z", "a\\b", "a|b", "{a}", "%C3%A4"
    };
    static const char *const schemas[] = { "x", "1x:y", ":y", "x y:z", "-x:y", "x:%250" };
    static const char *const types[] = { "/", "a/", "/b", "a b/c", "a/b c", ";x=y" };
    char lines[256];
    (void)state;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        (void)snprintf(lines, sizeof lines, "%sce-source: %s", event, sources[i]);
        assert_http_refused(lines, "attribute 'source' is not a URI reference");
    }
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        (void)snprintf(lines, sizeof lines, "%sce-source: s\nce-dataschema: %s", event, schemas[i]);
        assert_http_refused(lines, "attribute 'dataschema' is not an absolute URI");
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        (void)snprintf(lines, sizeof lines, "%sce-source: s\ncontent-type: %s", event, types[i]);
        assert_http_refused(lines, "attribute 'datacontenttype' is not a media type");
    }
}

/* Whatever the room, a call succeeds or says that there is too little of it. */
static void test_every_amount_of_memory_is_enough_or_reported(void **state) {
    static const char json[] =
        "{\"specversion\":\"1.0\",\"id\":\"a\\u0042\",\"source\":\"\\/s\",\"type\":\"t\\u0041\","
        "\"data_base64\":\"\\/wD+\"}";
    struct nx_header headers[HEADERS_MAX];
    const size_t count = split_headers(full_event, headers);
    size_t http_failures = 0;
    size_t record_failures = 0;
    (void)state;
    for (size_t size = 1; size < 1024; size += 3) {
        struct nx_cloudevent event;
        NX_AUTO(nx_arena) http_arena;
        NX_AUTO(nx_arena) json_arena;
        NX_AUTO(nx_arena) record_arena;
        NX_AUTO(nx_buf) out;
        nx_arena_init(&http_arena, size);
        nx_arena_init(&json_arena, size);
        nx_arena_init(&record_arena, size);
        nx_buf_init(&out, size);
        const enum nx_status from_json = nx_cloudevent_from_json(NX_STR(json), &json_arena, &event, NULL);
        assert_true(from_json == NX_OK || from_json == NX_RESOURCE_EXHAUSTED);
        const struct nx_cloudevent_record record = { .stream = NX_STR("X"),
                                                     .subject = NX_STR("events.a%20b") };
        const enum nx_status from_record = nx_cloudevent_from_record(&record, &record_arena, &event, NULL);
        assert_true(from_record == NX_OK || from_record == NX_RESOURCE_EXHAUSTED);
        record_failures += from_record == NX_OK ? 0 : 1;
        const enum nx_status from_http =
            nx_cloudevent_from_http(headers, count, NX_STR("{}"), &http_arena, &event, NULL);
        assert_true(from_http == NX_OK || from_http == NX_RESOURCE_EXHAUSTED);
        http_failures += from_http == NX_OK ? 0 : 1;
        if (from_http == NX_OK) {
            const enum nx_status written = nx_cloudevent_to_headers(&event, &out, NULL);
            assert_true(written == NX_OK || written == NX_INVALID_ARGUMENT);
        }
    }
    assert_true(http_failures > 3 && http_failures < 300);
    assert_true(record_failures > 3 && record_failures < 300);
}

static void test_sizes_and_counts_are_limited(void **state) {
    static char lines[NX_CLOUDEVENT_ATTRIBUTE_SIZE_MAX + 200];
    (void)state;
    memset(lines, 0, sizeof lines);
    (void)snprintf(lines, sizeof lines, "ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: ");
    memset(lines + strlen(lines), 't', NX_CLOUDEVENT_TYPE_SIZE_MAX + 1);
    assert_http_refused(lines, "attribute 'type' has 256 bytes, more than the limit of 255");
    memset(lines, 0, sizeof lines);
    (void)snprintf(lines, sizeof lines, "ce-specversion: 1.0\nce-id: 1\nce-type: t\nce-source: ");
    memset(lines + strlen(lines), 's', NX_CLOUDEVENT_ATTRIBUTE_SIZE_MAX + 1);
    assert_http_refused(lines, "attribute 'source' has 4097 bytes, more than the limit of 4096");
    NX_AUTO(nx_buf) many;
    nx_buf_init(&many, MEMORY_MAX);
    nx_buf_append_c(&many, "ce-specversion: 1.0");
    for (int i = 0; i <= NX_CLOUDEVENT_EXTENSIONS_MAX; i++) {
        nx_buf_append_format(&many, "\nce-x%d: 1", i);
    }
    nx_buf_append(&many, NX_STR("\0"));
    assert_int_equal(nx_buf_check(&many, NULL), NX_OK);
    assert_http_refused(many.ptr, "more than 32 extension attributes");
}

static void test_a_broken_trace_of_the_carrier_is_as_none(void **state) {
    NX_AUTO(nx_arena) arena;
    struct nx_cloudevent event;
    (void)state;
    read_http(&arena,
              "ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: t\ntraceparent: x\ntracestate: a=b",
              NX_STR(""), &event);
    assert_int_equal(event.traceparent.len, 0);
    assert_int_equal(event.tracestate.len, 0);
    assert_false(event.has_data);
}

static void test_the_event_s_own_trace_goes_first(void **state) {
    NX_AUTO(nx_arena) arena;
    struct nx_cloudevent event;
    (void)state;
    read_http(&arena,
              "ce-specversion: 1.0\nce-id: 1\nce-source: s\nce-type: t\n"
              "traceparent: 00-11111111111111111111111111111111-1111111111111111-01\nce-traceparent: " TRACE,
              NX_STR(""), &event);
    assert_true(nx_str_is(event.traceparent, TRACE));
}

static void store(const struct nx_cloudevent *event, struct nx_buf *headers,
                  struct nx_cloudevent_record *record) {
    nx_buf_init(headers, NX_HEADERS_BLOCK_SIZE_MAX);
    assert_int_equal(nx_cloudevent_to_headers(event, headers, NULL), NX_OK);
    *record = (struct nx_cloudevent_record){ .stream = NX_STR("EVENTS"),
                                             .sequence = 17,
                                             .time_ns = 1764152625123000000,
                                             .subject = NX_STR("events.user.created"),
                                             .headers = nx_buf_str(headers),
                                             .payload = event->data };
}

static void test_a_record_gives_the_event_back(void **state) {
    NX_AUTO(nx_arena) arena;
    NX_AUTO(nx_arena) again_arena;
    NX_AUTO(nx_buf) headers;
    struct nx_cloudevent event, again;
    struct nx_cloudevent_record record;
    (void)state;
    nx_arena_init(&again_arena, MEMORY_MAX);
    read_http(&arena,
              "ce-specversion: 1.0\nce-id: a 1\nce-source: /s?x=%2525\nce-type: user.created\nce-subject: "
              "50%25%20%E2%82%AC\nce-time: 2025-11-26T10:23:45Z\nce-tenant: a\ncontent-type: "
              "application/json\nbaggage: k=v\ntraceparent: " TRACE "\ntracestate: a=b",
              NX_STR("{\"user_id\":\"u42\"}"), &event);
    store(&event, &headers, &record);
    assert_true(nx_str_equal(nx_buf_str(&headers),
                             NX_STR("ce-specversion: 1.0\r\nce-id: a%201\r\nce-source: /s?x=%2525\r\n"
                                    "ce-type: user.created\r\nce-subject: 50%25%20%E2%82%AC\r\n"
                                    "ce-time: 2025-11-26T10:23:45Z\r\nce-tenant: a\r\n"
                                    "content-type: application/json\r\ntraceparent: " TRACE "\r\n"
                                    "tracestate: a=b\r\nbaggage: k=v\r\n")));
    assert_int_equal(nx_cloudevent_from_record(&record, &again_arena, &again, NULL), NX_OK);
    assert_true(nx_str_is(again.subject, "50% €"));
    assert_true(nx_str_is(again.source, "/s?x=%25"));
    assert_true(nx_str_is(again.baggage, "k=v"));
    assert_json(&again,
                "{\"specversion\":\"1.0\",\"id\":\"a 1\",\"source\":\"/s?x=%25\",\"type\":\"user.created\","
                "\"subject\":\"50% €\",\"time\":\"2025-11-26T10:23:45Z\","
                "\"datacontenttype\":\"application/json\",\"traceparent\":\"" TRACE "\","
                "\"tracestate\":\"a=b\",\"tenant\":\"a\",\"data\":{\"user_id\":\"u42\"}}");
}

static void test_a_record_that_is_no_event_becomes_one(void **state) {
    NX_AUTO(nx_arena) arena;
    struct nx_cloudevent event;
    struct nx_cloudevent_record record = { .stream = NX_STR("ORDERS"),
                                           .sequence = 17,
                                           .time_ns = 1764152625123000000,
                                           .subject = NX_STR("events.a%20b"),
                                           .headers = NX_STR("content-type: text/plain\r\nX: y\r\n"),
                                           .payload = NX_STR("hello") };
    (void)state;
    nx_arena_init(&arena, MEMORY_MAX);
    assert_int_equal(nx_cloudevent_from_record(&record, &arena, &event, NULL), NX_OK);
    assert_json(&event,
                "{\"specversion\":\"1.0\",\"id\":\"ORDERS:17\",\"source\":\"/streams/ORDERS\","
                "\"type\":\"a b\",\"time\":\"2025-11-26T10:23:45.123Z\",\"datacontenttype\":\"text/plain\","
                "\"data\":\"hello\"}");
    record.subject = NX_STR("orders.50%");
    record.headers = NX_STR("ce-id: 1\r\nce-x: 2\r\n"); /* half an event is none */
    assert_int_equal(nx_cloudevent_from_record(&record, &arena, &event, NULL), NX_OK);
    assert_true(nx_str_is(event.type, "orders.50%"));
    assert_true(nx_str_is(event.id, "ORDERS:17"));
    assert_int_equal(event.extension_count, 0);
}

static void test_a_record_is_readable_whatever_is_in_it(void **state) {
    NX_AUTO(nx_arena) arena;
    struct nx_cloudevent event;
    const struct nx_cloudevent_record record = {
        .stream = NX_STR("EVENTS"),
        .headers = NX_STR("ce-id: 50%\r\nce-source: s\r\nce-type: \xFF\r\nce-type: later\r\n"),
    };
    NX_AUTO(nx_arena) tiny;
    (void)state;
    nx_arena_init(&arena, MEMORY_MAX);
    assert_int_equal(nx_cloudevent_from_record(&record, &arena, &event, NULL), NX_OK);
    assert_json(&event,
                "{\"specversion\":\"1.0\",\"id\":\"50%\",\"source\":\"s\",\"type\":\"\xEF\xBF\xBD\"}");
    nx_arena_init(&tiny, 1);
    assert_int_equal(nx_cloudevent_from_record(&record, &tiny, &event, NULL), NX_RESOURCE_EXHAUSTED);
}

static void assert_data(const char *content_type, struct nx_str data, const char *member) {
    struct nx_cloudevent event;
    NX_AUTO(nx_buf) expected;
    nx_cloudevent_init(&event);
    event.id = NX_STR("1");
    event.source = NX_STR("s");
    event.type = NX_STR("t");
    event.datacontenttype = nx_str_from_c(content_type);
    event.data = data;
    event.has_data = data.len > 0;
    nx_buf_init(&expected, MEMORY_MAX);
    nx_buf_append_c(&expected, "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\"");
    if (content_type[0] != '\0') {
        nx_buf_append_format(&expected, ",\"datacontenttype\":\"%s\"", content_type);
    }
    nx_buf_append_c(&expected, member);
    nx_buf_append(&expected, NX_STR("}\0"));
    assert_int_equal(nx_buf_check(&expected, NULL), NX_OK);
    assert_json(&event, expected.ptr);
}

static void test_data_is_json_text_or_base64_by_what_it_is(void **state) {
    (void)state;
    assert_data("application/json", NX_STR(" {\"a\" : 1.0} "), ",\"data\": {\"a\" : 1.0} "); /* as it came */
    assert_data("Application/Vnd.X+JSON;q=1", NX_STR("[1]"), ",\"data\":[1]");
    assert_data("application/json", NX_STR("{\"a\":"), ",\"data\":\"{\\\"a\\\":\"");
    assert_data("application/json", NX_STR("\xFF"), ",\"data_base64\":\"/w==\"");
    assert_data("text/plain", NX_STR("{}"), ",\"data\":\"{}\"");
    assert_data("text/plain", NX_STR("ä\n"), ",\"data\":\"ä\\n\"");
    assert_data("application/octet-stream", NX_STR("\xFF\x00\xFE"), ",\"data_base64\":\"/wD+\"");
    assert_data("", NX_STR("{}"), ",\"data\":{}");
    assert_data("", NX_STR("text"), ",\"data\":\"text\"");
    assert_data("application/json", NX_STR(""), "");
}

static void assert_structured(const char *json, const char *again) {
    NX_AUTO(nx_arena) arena;
    struct nx_cloudevent event;
    struct nx_error err = { 0 };
    nx_arena_init(&arena, MEMORY_MAX);
    if (nx_cloudevent_from_json(nx_str_from_c(json), &arena, &event, &err) != NX_OK) {
        fail_msg("%s", err.message);
    }
    assert_json(&event, again);
}

static void test_reads_structured_mode(void **state) {
    (void)state;
    assert_structured(
        "{ \"type\":\"t\", \"id\":\"a\\u0062\", \"specversion\":\"1.0\", \"source\":\"s\", \"n\":7,"
        " \"yes\":true, \"none\":null, \"data\": {\"a\" : 1.0} }",
        "{\"specversion\":\"1.0\",\"id\":\"ab\",\"source\":\"s\",\"type\":\"t\","
        "\"datacontenttype\":\"application/json\",\"n\":\"7\",\"yes\":\"true\",\"data\":{\"a\" : 1.0}}");
    assert_structured("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\","
                      "\"datacontenttype\":\" a/b \",\"tracestate\":\"without=parent\"}",
                      "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\","
                      "\"datacontenttype\":\"a/b\"}");
    assert_structured("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\","
                      "\"datacontenttype\":\"application/octet-stream\",\"data_base64\":\"\\/wD+\"}",
                      "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\","
                      "\"datacontenttype\":\"application/octet-stream\",\"data_base64\":\"/wD+\"}");
    assert_structured("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\","
                      "\"datacontenttype\":\"text/plain\",\"data\":\"a\\nb\"}",
                      "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\","
                      "\"datacontenttype\":\"text/plain\",\"data\":\"a\\nb\"}");
}

static void assert_structured_refused(const char *json, const char *message) {
    NX_AUTO(nx_arena) arena;
    struct nx_cloudevent event;
    struct nx_error err = { 0 };
    nx_arena_init(&arena, MEMORY_MAX);
    assert_int_equal(nx_cloudevent_from_json(nx_str_from_c(json), &arena, &event, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, message);
}

static void test_refuses_damaged_structured_events(void **state) {
    (void)state;
    assert_structured_refused("[]", "a structured event is a JSON object");
    assert_structured_refused("{",
                              "line 1, column 2 (byte 1): expected a name in quotes, but the text ends here");
    assert_structured_refused("{}", "attribute 'specversion' is missing or empty");
    assert_structured_refused("{\"specversion\":1.0}", "attribute 'specversion' is missing or empty");
    assert_structured_refused("{\"specversion\":\"1.0\",\"id\":1}", "attribute 'id' is not a string");
    assert_structured_refused("{\"specversion\":\"1.0\",\"x\":{}}", "attribute 'x' is not a string");
    assert_structured_refused("{\"specversion\":\"1.0\",\"id\":\"1\",\"id\":\"1\"}",
                              "attribute 'id' is given twice");
    assert_structured_refused("{\"data\":1,\"data\":2}", "'data' is given twice");
    assert_structured_refused("{\"datacontenttype\":\"\"}", "attribute 'datacontenttype' is empty");
    assert_structured_refused("{\"datacontenttype\":\"a/b\",\"datacontenttype\":\"a/b\"}",
                              "attribute 'datacontenttype' is given twice");
    assert_structured_refused("{\"specversion\":\"1.0\",\"data\":1,\"data_base64\":\"\"}",
                              "'data' and 'data_base64' exclude each other");
    assert_structured_refused("{\"specversion\":\"1.0\",\"data_base64\":1}", "'data_base64' is not a string");
    assert_structured_refused("{\"specversion\":\"1.0\",\"data_base64\":\"x\"}",
                              "'data_base64': base64 of 1 characters is not padded to four");
    assert_structured_refused(
        "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"t\",\"A\":\"x\"}",
        "'A' is not an attribute's name: 1 to 64 lower-case letters and digits");
}

static void assert_lookup(const struct nx_cloudevent *event, const char *path, const char *expected) {
    NX_AUTO(nx_buf) out;
    nx_buf_init(&out, MEMORY_MAX);
    assert_int_equal(nx_cloudevent_lookup(&out, event, nx_str_from_c(path)), expected != NULL);
    assert_true(nx_str_is(nx_buf_str(&out), expected == NULL ? "" : expected));
}

static void test_finds_keys_by_path(void **state) {
    NX_AUTO(nx_arena) arena;
    struct nx_cloudevent event;
    (void)state;
    read_http(&arena, full_event, NX_STR("{\"user_id\":\"u42\",\"n\":5.0,\"o\":{\"x\":[true]}}"), &event);
    assert_lookup(&event, "data.user_id", "u42");
    assert_lookup(&event, "data.n", "5");
    assert_lookup(&event, "data.o.x.0", "true");
    assert_lookup(&event, "data.o", NULL);
    assert_lookup(&event, "data.none", NULL);
    assert_lookup(&event, "data", NULL);
    assert_lookup(&event, "data.", NULL);
    assert_lookup(&event, "type", "user.created");
    assert_lookup(&event, "tenant", "a \"b\"");
    assert_lookup(&event, "nothing", NULL);
    event.data = NX_STR("\"text\"");
    assert_lookup(&event, "data", "text");
    event.data = NX_STR("{");
    assert_lookup(&event, "data.x", NULL);
    event.datacontenttype = NX_STR("text/plain");
    event.data = NX_STR("{\"x\":1}");
    assert_lookup(&event, "data.x", NULL);
    event.subject = NX_STR_EMPTY;
    assert_lookup(&event, "subject", NULL);
}

static void test_tells_media_types_apart(void **state) {
    (void)state;
    assert_true(nx_cloudevent_is_structured(NX_STR("application/cloudevents+json; charset=utf-8")));
    assert_true(nx_cloudevent_is_structured(NX_STR("Application/CloudEvents-batch+json")));
    assert_false(nx_cloudevent_is_structured(NX_STR("application/json")));
    assert_true(nx_cloudevent_is_json_type(NX_STR("application/json")));
    assert_true(nx_cloudevent_is_json_type(NX_STR("text/json ;x=y")));
    assert_false(nx_cloudevent_is_json_type(NX_STR("application/jsonp")));
    assert_false(nx_cloudevent_is_json_type(NX_STR("json")));
    assert_false(nx_cloudevent_is_json_type(NX_STR("")));
}

static void test_deduplication_keys_are_never_ambiguous(void **state) {
    NX_AUTO(nx_buf) a;
    NX_AUTO(nx_buf) b;
    (void)state;
    nx_buf_init(&a, 64);
    nx_buf_init(&b, 64);
    nx_cloudevent_dedup_key(&a, NX_STR("ab"), NX_STR("c"));
    nx_cloudevent_dedup_key(&b, NX_STR("a"), NX_STR("bc"));
    assert_false(nx_str_equal(nx_buf_str(&a), nx_buf_str(&b)));
    nx_buf_reset(&a);
    nx_cloudevent_subject(&a, NX_STR("a b.c"));
    assert_true(nx_str_is(nx_buf_str(&a), "events.a%20b.c"));
}

/* The fault that reading finds, as "field@offset". */
static void assert_fault(const char *json, const char *place) {
    struct nx_cloudevent event;
    struct nx_cloudevent_fault fault;
    char text[128];
    NX_AUTO(nx_arena) arena;
    nx_arena_init(&arena, MEMORY_MAX);
    assert_int_equal(nx_cloudevent_from_json_at(nx_str_from_c(json), &arena, &event, &fault, NULL),
                     NX_INVALID_ARGUMENT);
    (void)snprintf(text, sizeof text, "%.*s@%zu", NX_STR_ARG(fault.field), fault.offset);
    assert_string_equal(text, place);
}

static void test_says_where_a_structured_event_is_wrong(void **state) {
    (void)state;
    assert_fault("{\"id\":}", "@6");
    assert_fault(" []", "@0");
    assert_fault("{\"id\":\"a\"}", "specversion@0");
    assert_fault("{\"specversion\":\"2.0\"}", "specversion@15");
    assert_fault("{\"specversion\":\"1.0\",\"id\":7}", "id@26");
    assert_fault("{\"specversion\":\"1.0\",\"type\":\"t\",\"id\":\"a\",\"source\":\"a b\"}", "source@50");
    assert_fault("{\"specversion\":\"1.0\",\"type\":\"t\",\"id\":\"a\",\"source\":\"/\",\"X\":1}", "X@58");
    assert_fault(
        "{\"specversion\":\"1.0\",\"type\":\"t\",\"id\":\"a\",\"source\":\"/\",\"data_base64\":\"?\"}",
        "data_base64@68");
}

static void test_tells_structured_from_batch(void **state) {
    (void)state;
    assert_true(nx_cloudevent_is_json_event(NX_STR("Application/CloudEvents+JSON; charset=utf-8")));
    assert_false(nx_cloudevent_is_json_event(NX_STR("application/cloudevents-batch+json")));
    assert_true(nx_cloudevent_is_json_batch(NX_STR("application/cloudevents-batch+json;charset=utf-8")));
    assert_false(nx_cloudevent_is_json_batch(NX_STR("application/cloudevents")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_binary_mode),
        cmocka_unit_test(test_names_the_attribute_that_is_wrong),
        cmocka_unit_test(test_addresses_and_media_types_are_checked_byte_by_byte),
        cmocka_unit_test(test_every_amount_of_memory_is_enough_or_reported),
        cmocka_unit_test(test_sizes_and_counts_are_limited),
        cmocka_unit_test(test_a_broken_trace_of_the_carrier_is_as_none),
        cmocka_unit_test(test_the_event_s_own_trace_goes_first),
        cmocka_unit_test(test_a_record_gives_the_event_back),
        cmocka_unit_test(test_a_record_that_is_no_event_becomes_one),
        cmocka_unit_test(test_a_record_is_readable_whatever_is_in_it),
        cmocka_unit_test(test_data_is_json_text_or_base64_by_what_it_is),
        cmocka_unit_test(test_reads_structured_mode),
        cmocka_unit_test(test_refuses_damaged_structured_events),
        cmocka_unit_test(test_says_where_a_structured_event_is_wrong),
        cmocka_unit_test(test_tells_structured_from_batch),
        cmocka_unit_test(test_finds_keys_by_path),
        cmocka_unit_test(test_tells_media_types_apart),
        cmocka_unit_test(test_deduplication_keys_are_never_ambiguous),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
