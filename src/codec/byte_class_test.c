/* src/codec/byte_class_test.c: the table holds what the standards say, byte for byte. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "codec/byte_class.h"

static bool is_alphanumeric(int c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_one_of(int c, const char *set) {
    return c != 0 && c < 0x80 && strchr(set, c) != NULL;
}

static void test_every_byte_is_in_its_classes(void **state) {
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char byte = (char)c;
        const bool is_printable = c > 0x20 && c < 0x7F;
        assert_int_equal(nx_byte_is(byte, NX_BYTE_TOKEN),
                         is_alphanumeric(c) || is_one_of(c, "!#$%&'*+-.^_`|~"));
        assert_int_equal(nx_byte_is(byte, NX_BYTE_HEADER), is_printable && !is_one_of(c, "\"%"));
        assert_int_equal(nx_byte_is(byte, NX_BYTE_SUBJECT), is_alphanumeric(c) || is_one_of(c, "_-"));
        assert_int_equal(nx_byte_is(byte, NX_BYTE_URL), is_alphanumeric(c) || is_one_of(c, "._~-"));
        assert_int_equal(nx_byte_is(byte, NX_BYTE_URI),
                         is_alphanumeric(c) || is_one_of(c, ":/?#[]@!$&'()*+,;=-._~"));
        assert_int_equal(nx_byte_is(byte, NX_BYTE_TEXT), is_printable || c == ' ');
    }
}

static void test_a_span_ends_at_the_first_other_byte(void **state) {
    (void)state;
    assert_int_equal(nx_byte_span(NX_STR("abc.d"), NX_BYTE_SUBJECT), 3);
    assert_int_equal(nx_byte_span(NX_STR("abc"), NX_BYTE_SUBJECT), 3);
    assert_int_equal(nx_byte_span(NX_STR(""), NX_BYTE_SUBJECT), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_is_in_its_classes),
        cmocka_unit_test(test_a_span_ends_at_the_first_other_byte),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
