/* src/codec/traceparent_test.c: what the W3C's trace context allows is read, everything else starts a trace.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/traceparent.h"

#define EXAMPLE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static void test_reads_and_writes_the_standard_s_example(void **state) {
    struct nx_traceparent trace;
    char text[NX_TRACEPARENT_TEXT_SIZE + 1];
    char id[NX_TRACE_ID_TEXT_SIZE + 1];
    (void)state;
    assert_true(nx_traceparent_parse(NX_STR(EXAMPLE), &trace));
    assert_int_equal(trace.trace_id[0], 0x4b);
    assert_int_equal(trace.span_id[7], 0xb7);
    assert_int_equal(trace.flags, NX_TRACE_SAMPLED);
    assert_string_equal(nx_traceparent_format(&trace, text).ptr, EXAMPLE);
    assert_string_equal(nx_traceparent_format_trace_id(&trace, id).ptr, "4bf92f3577b34da6a3ce929d0e0e4736");
}

static void test_later_versions_count_by_their_first_fields(void **state) {
    struct nx_traceparent trace;
    (void)state;
    assert_true(
        nx_traceparent_parse(NX_STR("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), &trace));
    assert_true(
        nx_traceparent_parse(NX_STR("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what"), &trace));
    assert_false(
        nx_traceparent_parse(NX_STR("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what"), &trace));
}

static void test_refuses_what_the_standard_forbids(void **state) {
    static const char *const texts[] = {
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00.4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736.00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7.01",
        "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902bx-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
    };
    struct nx_traceparent trace;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_false(nx_traceparent_parse(nx_str_from_c(texts[i]), &trace));
    }
}

static void test_a_new_trace_is_valid_whatever_the_random_bytes(void **state) {
    const uint8_t zeros[NX_TRACEPARENT_RANDOM_SIZE] = { 0 };
    char text[NX_TRACEPARENT_TEXT_SIZE + 1];
    struct nx_traceparent parsed;
    (void)state;
    const struct nx_traceparent trace = nx_traceparent_new(zeros);
    assert_true(nx_traceparent_parse(nx_traceparent_format(&trace, text), &parsed));
    const struct nx_traceparent child = nx_traceparent_child(&trace, (const uint8_t *)"abcdefgh");
    assert_memory_equal(child.trace_id, trace.trace_id, sizeof trace.trace_id);
    assert_memory_equal(child.span_id, "abcdefgh", sizeof child.span_id);
    assert_int_equal(child.flags, NX_TRACE_SAMPLED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_and_writes_the_standard_s_example),
        cmocka_unit_test(test_later_versions_count_by_their_first_fields),
        cmocka_unit_test(test_refuses_what_the_standard_forbids),
        cmocka_unit_test(test_a_new_trace_is_valid_whatever_the_random_bytes),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
