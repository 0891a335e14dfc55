/* src/app/trace_test.c: a trace is shown as a tree; references are read as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "app/trace.h"

static void assert_shown(const char *json, const char *expected) {
    NX_AUTO(nx_json_doc) *doc = NULL;
    NX_AUTO(nx_buf) text = { 0 };

    assert_int_equal(nx_json_parse(nx_str_from_c(json), 1 << 20, &doc, NULL), NX_OK);
    nx_buf_init(&text, NX_TRACE_SIZE_MAX);
    nx_trace_write_text(&text, nx_json_root(doc));
    nx_buf_append_u8(&text, 0);
    assert_string_equal(text.ptr, expected);
}

static void test_shows_calls_effects_and_what_these_caused(void **state) {
    (void)state;
    assert_shown(
        "{\"reference\":\"EVENTS:1\",\"stored\":\"2025-11-26T10:23:45Z\",\"id\":\"a\",\"type\":\"order\","
        "\"source\":\"/shop\",\"calls\":[{\"id\":\"INVOCATIONS:1\",\"function\":\"bill\",\"outcome\":\"ok\","
        "\"attempt\":1,\"started\":\"2025-11-26T10:23:45.002Z\",\"duration_ns\":1500000,\"effects\":["
        "{\"kind\":\"key-set\",\"key\":\"n\\n1\"},"
        "{\"kind\":\"publish\",\"event_id\":\"b\",\"type\":\"billed\",\"caused\":{\"reference\":\"EVENTS:2\","
        "\"stored\":\"2025-11-26T10:23:45.0045Z\",\"id\":\"b\",\"type\":\"billed\",\"source\":\"/functions/"
        "bill\","
        "\"calls\":[]}},"
        "{\"kind\":\"publish\",\"event_id\":\"c\",\"type\":\"old\",\"caused\":{\"reason\":\"expired\"}}]},"
        "{\"id\":\"INVOCATIONS:4\",\"function\":\"mail\",\"outcome\":\"trap\",\"attempt\":2,"
        "\"started\":\"2025-11-26T10:23:46Z\",\"duration_ns\":100000,\"error\":\"unreachable\","
        "\"dead_letter\":true,\"effects\":[]}]}",
        "EVENTS:1 order a from /shop, stored 2025-11-26T10:23:45.000Z\n"
        "├─ bill, attempt 1: ok in 1.5 ms  INVOCATIONS:1  +2.0 ms\n"
        "│  ├─ set key n\\x0a1\n"
        "│  ├─ published EVENTS:2 billed b  +4.5 ms\n"
        "│  │  └─ no function ran on it\n"
        "│  └─ published old c: expired\n"
        "└─ mail, attempt 2: trap in 0.1 ms: unreachable  INVOCATIONS:4  +1000.0 ms; given up, now a dead "
        "letter\n");
}

static void test_says_what_is_withheld(void **state) {
    (void)state;
    assert_shown(
        "{\"reference\":\"EVENTS:1\",\"stored\":\"2025-11-26T10:23:45Z\",\"id\":\"a\",\"type\":\"order\","
        "\"source\":\"/shop\",\"withheld\":\"erased 2025-11-27T00:00:00Z\",\"calls\":["
        "{\"id\":\"INVOCATIONS:1\",\"function\":\"bill\",\"outcome\":\"ok\",\"attempt\":1,"
        "\"started\":\"2025-11-26T10:23:45.002Z\",\"duration_ns\":1500000,"
        "\"withheld\":{\"reason\":\"erased\",\"time\":\"2025-11-27T00:00:00Z\"},\"effects\":[]}]}",
        "EVENTS:1 order a, withheld: erased 2025-11-27T00:00:00Z from /shop, stored "
        "2025-11-26T10:23:45.000Z\n"
        "└─ bill, attempt 1: ok in 1.5 ms  INVOCATIONS:1  +2.0 ms\n"
        "   └─ what it did is withheld: erased 2025-11-27T00:00:00Z\n");
}

static void test_reads_references_and_nothing_else(void **state) {
    static const char *const wrong[] = { "EVENTS",   "EVENTS:", "EVENTS:0", "EVENTS:x",
                                         "events:1", "KV:1",    ":1",       "" };
    struct nx_reference reference;
    char text[NX_REFERENCE_TEXT_SIZE];

    (void)state;
    assert_true(nx_reference_parse(NX_STR("DLQ:18446744073709551615"), &reference));
    assert_int_equal(reference.kind, NX_PAGES_DEAD_LETTERS);
    assert_true(nx_str_is(nx_reference_format(reference, text), "DLQ:18446744073709551615"));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(nx_reference_parse(nx_str_from_c(wrong[i]), &reference));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shows_calls_effects_and_what_these_caused),
        cmocka_unit_test(test_says_what_is_withheld),
        cmocka_unit_test(test_reads_references_and_nothing_else),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
