/* src/codec/protobuf_test.c: the bytes are those of the format's own documentation, and foreign ones are
 * survived. */
#include "codec/protobuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_bytes(const struct nx_buf *buf, const char *expected, size_t len) {
    assert_int_equal(buf->failure, NX_OK);
    assert_int_equal(buf->len, len);
    assert_memory_equal(buf->ptr, expected, len);
}

static void test_writes_what_the_documentation_shows(void **state) {
    NX_AUTO(nx_buf) buf;
    (void)state;
    nx_buf_init(&buf, 1024);
    nx_protobuf_varint(&buf, 1, 150);
    assert_bytes(&buf, "\x08\x96\x01", 3);
    nx_buf_reset(&buf);
    nx_protobuf_bytes(&buf, 2, NX_STR("testing"));
    assert_bytes(&buf, "\x12\x07testing", 9);
    nx_buf_reset(&buf);
    const size_t begun = nx_protobuf_begin(&buf, 3);
    nx_protobuf_varint(&buf, 1, 150);
    nx_protobuf_end(&buf, begun);
    assert_bytes(&buf, "\x1a\x03\x08\x96\x01", 5);
    nx_buf_reset(&buf);
    nx_protobuf_fixed32(&buf, 16, 0x01020304);
    nx_protobuf_fixed64(&buf, 7, 1);
    assert_bytes(&buf, "\x85\x01\x04\x03\x02\x01\x39\x01\0\0\0\0\0\0\0", 15);
}

static void test_long_messages_have_their_true_length(void **state) {
    static const size_t sizes[] = { 0, 1, 100, 120, 127, 128, 129, 16383, 16384, 70000 };
    static char bytes[70000];
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        NX_AUTO(nx_buf) buf;
        struct nx_protobuf_field outer;
        struct nx_protobuf_field field;
        nx_buf_init(&buf, 1 << 20);
        memset(bytes, (int)i + 1, sizes[i]);
        const size_t first = nx_protobuf_begin(&buf, 1);
        const size_t second = nx_protobuf_begin(&buf, 2);
        nx_protobuf_bytes(&buf, 3, nx_str_of(bytes, sizes[i]));
        nx_protobuf_end(&buf, second);
        nx_protobuf_varint(&buf, 4, 7);
        nx_protobuf_end(&buf, first);
        struct nx_reader reader = nx_reader_of(nx_buf_str(&buf));
        assert_true(nx_protobuf_next(&reader, &outer));
        assert_int_equal(outer.number, 1);
        assert_int_equal(nx_reader_left(&reader), 0);
        struct nx_reader within = nx_reader_of(outer.bytes);
        assert_true(nx_protobuf_next(&within, &field));
        struct nx_reader inner = nx_reader_of(field.bytes);
        struct nx_protobuf_field innermost;
        assert_true(nx_protobuf_next(&inner, &innermost));
        assert_true(nx_str_equal(innermost.bytes, nx_str_of(bytes, sizes[i])));
        assert_true(nx_protobuf_next(&within, &field));
        assert_int_equal(field.number, 4);
        assert_int_equal(field.value, 7);
        assert_false(nx_protobuf_next(&within, &field));
        assert_true(nx_reader_ok(&within));
    }
}

static void test_refuses_what_is_no_message(void **state) {
    static const struct nx_str bad[] = {
        { "\x0b", 1 },     /* a group */
        { "\x00\x00", 2 }, /* field 0 */
        { "\x12\x05"
          "abc",
          5 },             /* cut short */
        { "\x08", 1 },     /* no value */
        { "\x09\x01", 2 }, /* half a number */
        { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct nx_reader reader = nx_reader_of(bad[i]);
        struct nx_protobuf_field field;
        while (nx_protobuf_next(&reader, &field)) {
        }
        assert_false(nx_reader_ok(&reader));
    }
}

static void test_a_full_buffer_is_reported_not_overrun(void **state) {
    NX_AUTO(nx_buf) buf;
    (void)state;
    nx_buf_init(&buf, 200);
    const size_t begun = nx_protobuf_begin(&buf, 1);
    for (int i = 0; i < 198; i++) {
        nx_buf_append_u8(&buf, 'x');
    }
    nx_protobuf_end(&buf, begun);
    assert_true(nx_buf_failed(&buf));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writes_what_the_documentation_shows),
        cmocka_unit_test(test_long_messages_have_their_true_length),
        cmocka_unit_test(test_refuses_what_is_no_message),
        cmocka_unit_test(test_a_full_buffer_is_reported_not_overrun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
