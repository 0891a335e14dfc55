/* src/codec/json_test.c: strict JSON in, the shortest JSON out. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <float.h>
#include <math.h>

#include "codec/json.h"

enum { MEMORY_MAX = 1024 * 1024 };

static struct nx_json_doc *parse(const char *text) {
    struct nx_json_doc *doc = NULL;
    assert_int_equal(nx_json_parse(nx_str_from_c(text), MEMORY_MAX, &doc, NULL), NX_OK);
    return doc;
}

static void assert_refused(struct nx_str text, const char *message) {
    struct nx_json_doc *doc = NULL;
    struct nx_error err = { 0 };
    assert_false(nx_json_is_valid(text));
    assert_int_equal(nx_json_parse(text, MEMORY_MAX, &doc, &err), NX_INVALID_ARGUMENT);
    assert_null(doc);
    assert_string_equal(err.message, message);
}

static void test_says_what_is_wrong_and_where(void **state) {
    (void)state;
    assert_refused(NX_STR(""), "line 1, column 1 (byte 0): expected a value, but the text ends here");
    assert_refused(NX_STR("{\n  \"ä\": tru\n}"), "line 2, column 8 (byte 10): expected a value");
    assert_refused(NX_STR("[1,]"), "line 1, column 4 (byte 3): expected a value");
    assert_refused(NX_STR("[1 2]"), "line 1, column 4 (byte 3): expected ',' or ']'");
    assert_refused(NX_STR("{\"a\":1 \"b\":2}"), "line 1, column 8 (byte 7): expected ',' or '}'");
    assert_refused(NX_STR("{\"a\":1,}"), "line 1, column 8 (byte 7): expected a name in quotes");
    assert_refused(NX_STR("{a:1}"), "line 1, column 2 (byte 1): expected a name in quotes");
    assert_refused(NX_STR("{\"a\" 1}"), "line 1, column 6 (byte 5): expected ':'");
    assert_refused(NX_STR("1 1"), "line 1, column 3 (byte 2): expected the end");
    assert_refused(NX_STR("01"), "line 1, column 2 (byte 1): expected the end");
    assert_refused(NX_STR("-"), "line 1, column 2 (byte 1): expected a digit, but the text ends here");
    assert_refused(NX_STR("1."), "line 1, column 3 (byte 2): expected a digit, but the text ends here");
    assert_refused(NX_STR("1e+"), "line 1, column 4 (byte 3): expected a digit, but the text ends here");
    assert_refused(NX_STR("+1"), "line 1, column 1 (byte 0): expected a value");
    assert_refused(NX_STR("NaN"), "line 1, column 1 (byte 0): expected a value");
    assert_refused(NX_STR("// x\n1"), "line 1, column 1 (byte 0): expected a value");
    assert_refused(NX_STR("\"abc"), "line 1, column 5 (byte 4): a string has no end, but the text ends here");
    assert_refused(NX_STR("\"a\nb\""),
                   "line 1, column 3 (byte 2): a control character in a string must be escaped");
    assert_refused(NX_STR("\"\\x\""), "line 1, column 3 (byte 2): invalid escape in a string");
    assert_refused(NX_STR("\"\\u12G4\""), "line 1, column 6 (byte 5): expected four hexadecimal digits");
    assert_refused(NX_STR("\"\\ud800\""), "line 1, column 8 (byte 7): a surrogate without its other half");
    assert_refused(NX_STR("\"\\udc00\\ud800\""),
                   "line 1, column 8 (byte 7): a surrogate without its other half");
    assert_refused(NX_STR("\"\\ud800\\u0041\""),
                   "line 1, column 14 (byte 13): a surrogate without its other half");
    assert_refused(NX_STR("[\"\xC0\x80\"]"), "line 1, column 3 (byte 2): not valid UTF-8");
    assert_refused(NX_STR("\xEF\xBB\xBF{}"),
                   "line 1, column 1 (byte 0): expected a value"); /* no byte order mark */
    assert_refused(NX_STR("[\0]"), "line 1, column 2 (byte 1): expected a value");
    assert_refused(NX_STR("{\"a\":1]"), "line 1, column 7 (byte 6): expected ',' or '}'");
    assert_refused(NX_STR("[1}"), "line 1, column 3 (byte 2): expected ',' or ']'");
}

static void test_accepts_what_the_standard_allows(void **state) {
    static const char *const texts[] = {
        "null",
        " true ",
        "false",
        "\"\"",
        "-0",
        "-0.0e-0",
        "1E400",
        "123456789012345678901234567890",
        "[]",
        "[ ]",
        "{}",
        "{ }",
        "[[],{}]",
        "\t\r\n[1 , 2]\n",
        "{\"\":{\"\":[]}}",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uD83D\\ude00\"",
        "\"\x7F\xE2\x80\xA8\"",
        "{\"a\":1,\"a\":2}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        NX_AUTO(nx_json_doc) *doc = NULL;
        assert_int_equal(nx_json_check(nx_str_from_c(texts[i]), NULL), NX_OK);
        assert_int_equal(nx_json_parse(nx_str_from_c(texts[i]), MEMORY_MAX, &doc, NULL), NX_OK);
    }
}

static void test_nesting_and_memory_are_limited(void **state) {
    NX_AUTO(nx_buf) text;
    NX_AUTO(nx_json_doc) *doc = NULL;
    struct nx_error err = { 0 };
    (void)state;
    nx_buf_init(&text, 1024);
    for (int i = 0; i < NX_JSON_DEPTH_MAX; i++) {
        nx_buf_append_c(&text, i % 2 == 0 ? "[" : "{\"a\":");
    }
    nx_buf_append_c(&text, "1");
    for (int i = NX_JSON_DEPTH_MAX - 1; i >= 0; i--) {
        nx_buf_append_c(&text, i % 2 == 0 ? "]" : "}");
    }
    assert_int_equal(nx_json_check(nx_buf_str(&text), NULL), NX_OK);
    assert_int_equal(nx_json_parse(nx_buf_str(&text), 16, &doc, &err), NX_INVALID_ARGUMENT);
    assert_int_equal(err.kind, NX_KIND_TOO_LARGE);
    assert_int_equal(nx_json_parse(nx_buf_str(&text), 16 * text.len, &doc, &err), NX_OK);
    nx_buf_reset(&text);
    for (int i = 0; i <= NX_JSON_DEPTH_MAX; i++) {
        nx_buf_append_c(&text, "[");
    }
    assert_refused(nx_buf_str(&text), "line 1, column 129 (byte 128): nested too deeply");
}

static void test_every_amount_of_memory_is_enough_or_reported(void **state) {
    static const char text[] = "{\"a\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,[],[],[],[]]}";
    bool was_enough = false;
    (void)state;
    for (size_t memory = 0; memory <= 16 * sizeof text; memory++) {
        NX_AUTO(nx_json_doc) *doc = NULL;
        struct nx_error err = { 0 };
        const enum nx_status status = nx_json_parse(nx_str_from_c(text), memory, &doc, &err);
        assert_true(status == NX_OK || err.kind == NX_KIND_TOO_LARGE);
        assert_true(status == NX_OK || !was_enough);
        was_enough = status == NX_OK;
    }
    assert_true(was_enough);
}

static void test_finds_values_by_path(void **state) {
    NX_AUTO(nx_json_doc) *doc =
        parse("{\"user\":{\"id\":\"u42\",\"tags\":[\"a\",{\"x\":true}],\"id\":\"later\"},\"a.b\":1}");
    const struct nx_json_value *root = nx_json_root(doc);
    struct nx_str text;
    bool boolean = false;
    (void)state;
    assert_true(nx_json_to_str(nx_json_lookup(root, NX_STR("user.id")), &text));
    assert_true(nx_str_is(text, "u42")); /* the first one of a name counts */
    assert_true(nx_json_to_bool(nx_json_lookup(root, NX_STR("user.tags.1.x")), &boolean));
    assert_true(boolean);
    assert_null(nx_json_lookup(root, NX_STR("user.tags.2")));
    assert_null(nx_json_lookup(root, NX_STR("user.tags.x")));
    assert_null(nx_json_lookup(root, NX_STR("user.id.x")));
    assert_null(nx_json_lookup(root, NX_STR("a.b")));
    assert_null(nx_json_lookup(root, NX_STR("")));
    assert_null(nx_json_lookup(NULL, NX_STR("a")));
    assert_non_null(nx_json_get(root, NX_STR("a.b")));
    assert_null(nx_json_get(nx_json_get(root, NX_STR("a.b")), NX_STR("c")));
    assert_int_equal(nx_json_count(nx_json_lookup(root, NX_STR("user"))), 3);
    assert_int_equal(nx_json_count(nx_json_lookup(root, NX_STR("user.id"))), 0);
    assert_int_equal(nx_json_count(NULL), 0);
}

static void test_walks_over_members_and_elements_in_order(void **state) {
    NX_AUTO(nx_json_doc) *doc = parse("{\"a\":[1,[2,3],4],\"b\":{}}");
    const struct nx_json_value *value;
    struct nx_str name;
    uint64_t number = 0;
    (void)state;
    struct nx_json_iterator members = nx_json_iterate(nx_json_root(doc));
    assert_true(nx_json_next(&members, &name, &value));
    assert_true(nx_str_is(name, "a"));
    struct nx_json_iterator elements = nx_json_iterate(value);
    assert_true(nx_json_next(&elements, NULL, &value));
    assert_true(nx_json_next(&elements, NULL, &value));
    assert_int_equal(nx_json_kind(value), NX_JSON_ARRAY);
    assert_true(nx_json_next(&elements, &name, &value));
    assert_int_equal(name.len, 0);
    assert_true(nx_json_to_u64(value, &number));
    assert_int_equal(number, 4);
    assert_false(nx_json_next(&elements, NULL, &value));
    assert_true(nx_json_next(&members, &name, &value));
    assert_true(nx_str_is(name, "b"));
    assert_false(nx_json_next(&members, &name, &value));
    elements = nx_json_iterate(value);
    assert_false(nx_json_next(&elements, NULL, &value));
    elements = nx_json_iterate(NULL);
    assert_false(nx_json_next(&elements, NULL, &value));
}

static void test_numbers_are_given_only_where_they_fit(void **state) {
    NX_AUTO(nx_json_doc) *doc = parse("[18446744073709551615,-9223372036854775808,5.0,1e3,0.5,-1,"
                                      "18446744073709551616,1e999,-3.0,9223372036854775808,\"1\"]");
    const struct nx_json_value *v[11];
    struct nx_json_iterator iterator = nx_json_iterate(nx_json_root(doc));
    uint64_t u = 7;
    int64_t i = 7;
    double d = 7;
    (void)state;
    for (size_t at = 0; at < 11; at++) {
        assert_true(nx_json_next(&iterator, NULL, &v[at]));
    }
    assert_true(nx_json_to_u64(v[0], &u) && u == UINT64_MAX);
    assert_false(nx_json_to_i64(v[0], &i));
    assert_true(nx_json_to_i64(v[1], &i) && i == INT64_MIN);
    assert_false(nx_json_to_u64(v[1], &u));
    assert_true(nx_json_to_u64(v[2], &u) && u == 5);
    assert_true(nx_json_to_u64(v[3], &u) && u == 1000);
    assert_false(nx_json_to_u64(v[4], &u));
    assert_true(nx_json_to_double(v[4], &d) && d == 0.5);
    assert_true(nx_json_to_i64(v[5], &i) && i == -1);
    assert_false(nx_json_to_u64(v[5], &u));
    assert_false(nx_json_to_u64(v[6], &u));
    assert_true(nx_json_to_double(v[6], &d) && d == 0x1p64);
    assert_int_equal(nx_json_kind(v[7]), NX_JSON_NUMBER);
    assert_false(nx_json_to_double(v[7], &d));
    assert_true(nx_json_to_i64(v[8], &i) && i == -3);
    assert_false(nx_json_to_i64(v[9], &i));
    assert_false(nx_json_to_double(v[10], &d));
    assert_false(nx_json_to_u64(NULL, &u));
    assert_true(i == -3 && u == 1000 && d == 0x1p64); /* untouched by what failed */
}

static void test_a_scalar_has_one_text(void **state) {
    static const char *const texts[][2] = {
        { "\"u\\u0034\\n2\"", "u4\n2" },
        { "1.0", "1" },
        { "1e2", "100" },
        { "-0.0", "0" },
        { "0.10", "0.1" },
        { "true", "true" },
        { "false", "false" },
        { "null", "null" },
        { "-12", "-12" },
        { "1e999", "1e999" },
        { "1e300", "1e300" },
        { "-1.5", "-1.5" },
        { "18446744073709551615", "18446744073709551615" },
        { "-9223372036854775808", "-9223372036854775808" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        NX_AUTO(nx_json_doc) *doc = parse(texts[i][0]);
        NX_AUTO(nx_buf) out;
        nx_buf_init(&out, 64);
        assert_true(nx_json_scalar_text(&out, nx_json_root(doc)));
        assert_true(nx_str_is(nx_buf_str(&out), texts[i][1]));
    }
    NX_AUTO(nx_json_doc) *list = parse("[[]]");
    NX_AUTO(nx_buf) out;
    nx_buf_init(&out, 64);
    assert_false(nx_json_scalar_text(&out, nx_json_root(list)));
    assert_false(nx_json_scalar_text(&out, NULL));
    assert_int_equal(out.len, 0);
}

static void test_cuts_members_out_of_the_text(void **state) {
    struct nx_json_members members =
        nx_json_members_of(NX_STR(" { \"a\" : [1, {\"b\": \"}\"}] ,\"\\u0062\":\"x\\\"\" , \"c\":-1e5}"));
    struct nx_str name, value;
    (void)state;
    assert_true(nx_json_members_next(&members, &name, &value));
    assert_true(nx_str_is(name, "a"));
    assert_true(nx_str_is(value, "[1, {\"b\": \"}\"}]"));
    assert_true(nx_json_members_next(&members, &name, &value));
    assert_true(nx_str_is(name, "\\u0062"));
    assert_true(nx_str_is(value, "\"x\\\"\""));
    assert_true(nx_json_members_next(&members, &name, &value));
    assert_true(nx_str_is(value, "-1e5"));
    assert_false(nx_json_members_next(&members, &name, &value));
    assert_false(members.failed);
    members = nx_json_members_of(NX_STR("[]"));
    assert_true(members.failed);
    assert_false(nx_json_members_next(&members, &name, &value));
}

static void test_keeps_elements_as_they_came(void **state) {
    struct nx_json_elements elements = nx_json_elements_of(NX_STR(" [ {\"a\":[1,2]} ,\"]\" , -1e5, [] ] "));
    struct nx_str value;
    (void)state;
    assert_true(nx_json_elements_next(&elements, &value));
    assert_true(nx_str_is(value, "{\"a\":[1,2]}"));
    assert_true(nx_json_elements_next(&elements, &value));
    assert_true(nx_str_is(value, "\"]\""));
    assert_true(nx_json_elements_next(&elements, &value));
    assert_true(nx_str_is(value, "-1e5"));
    assert_true(nx_json_elements_next(&elements, &value));
    assert_true(nx_str_is(value, "[]"));
    assert_false(nx_json_elements_next(&elements, &value));
    assert_false(elements.failed);
    elements = nx_json_elements_of(NX_STR("{}"));
    assert_true(elements.failed);
    assert_false(nx_json_elements_next(&elements, &value));
}

static void test_names_places_for_people_and_programs(void **state) {
    const struct nx_str text = NX_STR("[\n \"ä\", x]");
    const struct nx_json_place place = nx_json_place_of(text, nx_json_bad_at(text));
    (void)state;
    assert_int_equal(place.line, 2);
    assert_int_equal(place.column, 7);
    assert_int_equal(place.byte, 9);
    assert_int_equal(nx_json_place_of(text, 1000).byte, text.len);
    assert_true(nx_json_bad_at(NX_STR("[]")) == SIZE_MAX);
}

static void test_undoes_escapes(void **state) {
    NX_AUTO(nx_buf) out;
    (void)state;
    nx_buf_init(&out, 256);
    nx_json_unescape(&out, NX_STR("a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e4\\u20ac\\ud83d\\ude00z"));
    assert_true(nx_str_is(nx_buf_str(&out), "a\"\\/\b\f\n\r\tAä€😀z"));
    nx_buf_reset(&out);
    nx_json_unescape(&out, NX_STR("a\\u12")); /* damaged: dropped, never read past */
    nx_json_unescape(&out, NX_STR("b\\"));
    nx_json_unescape(&out, NX_STR("c\\ud83d"));
    assert_true(nx_str_is(nx_buf_str(&out), "abc"));
}

static void test_writes_the_shortest_json(void **state) {
    NX_AUTO(nx_buf) out;
    struct nx_json_writer writer;
    (void)state;
    nx_buf_init(&out, 1024);
    nx_json_writer_init(&writer, &out);
    nx_json_object_begin(&writer);
    nx_json_member_str(&writer, "s", NX_STR("a\"\\\b\f\n\r\t\x01/\x7F€"));
    nx_json_member_u64(&writer, "u", UINT64_MAX);
    nx_json_member_i64(&writer, "i", INT64_MIN);
    nx_json_member_bool(&writer, "b", true);
    nx_json_member_c(&writer, "", "x");
    nx_json_key(&writer, NX_STR("l"));
    nx_json_array_begin(&writer);
    nx_json_null(&writer);
    nx_json_array_begin(&writer);
    nx_json_array_end(&writer);
    nx_json_object_begin(&writer);
    nx_json_object_end(&writer);
    nx_json_raw(&writer, NX_STR("{\"raw\":1}"));
    nx_json_bool(&writer, false);
    nx_json_array_end(&writer);
    nx_json_object_end(&writer);
    nx_json_writer_end(&writer);
    assert_true(
        nx_str_is(nx_buf_str(&out),
                  "{\"s\":\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001/\x7F€\",\"u\":18446744073709551615,"
                  "\"i\":-9223372036854775808,\"b\":true,\"\":\"x\",\"l\":[null,[],{},{\"raw\":1},false]}"));
}

static void test_every_control_character_is_escaped_wherever_it_stands(void **state) {
    (void)state;
    for (size_t len = 1; len <= 20; len++) {
        for (size_t at = 0; at < len; at++) {
            for (int c = 0; c < 0x80; c++) {
                char bytes[20];
                NX_AUTO(nx_buf) out;
                NX_AUTO(nx_buf) back;
                struct nx_json_writer writer;
                memset(bytes, 'x', sizeof bytes);
                bytes[at] = (char)c;
                nx_buf_init(&out, 256);
                nx_buf_init(&back, 256);
                nx_json_writer_init(&writer, &out);
                nx_json_string(&writer, nx_str_of(bytes, len));
                assert_true(nx_json_is_valid(nx_buf_str(&out)));
                nx_json_unescape(&back, nx_str_slice(nx_buf_str(&out), 1, out.len - 1));
                assert_true(nx_str_equal(nx_buf_str(&back), nx_str_of(bytes, len)));
            }
        }
    }
}

static void test_bytes_that_are_not_utf8_are_replaced(void **state) {
    NX_AUTO(nx_buf) out;
    struct nx_json_writer writer;
    (void)state;
    nx_buf_init(&out, 256);
    nx_json_writer_init(&writer, &out);
    nx_json_string(&writer, NX_STR("a\xFF\xE2\x82z\n\xC0"));
    assert_true(nx_str_is(nx_buf_str(&out), "\"a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\\n\xEF\xBF\xBD\""));
}

static void assert_double(double number, const char *text) {
    NX_AUTO(nx_buf) out;
    struct nx_json_writer writer;
    nx_buf_init(&out, 64);
    nx_json_writer_init(&writer, &out);
    nx_json_double(&writer, number);
    assert_true(nx_str_is(nx_buf_str(&out), text));
}

static void test_doubles_are_shortest_and_read_back(void **state) {
    (void)state;
    assert_double(0.1, "0.1");
    assert_double(-2.5, "-2.5");
    assert_double(3.0, "3");
    assert_double(-0.0, "0");
    assert_double(9007199254740991.0, "9007199254740991");
    assert_double(DBL_MAX, "1.7976931348623157e308");
    assert_double(DBL_TRUE_MIN, "5e-324");
    assert_double(1.0 / 3, "0.3333333333333333");
    assert_double(INFINITY, "null");
    assert_double(NAN, "null");
}

static void test_a_parsed_document_is_written_as_it_was(void **state) {
    static const char text[] =
        "{\"a\":[1,-2,0.5,true,false,null,\"x\\n\",[],{}],\"b\":{\"c\":{\"d\":[[[]]]}}}";
    NX_AUTO(nx_json_doc) *doc = parse(text);
    NX_AUTO(nx_buf) out;
    struct nx_json_writer writer;
    (void)state;
    nx_buf_init(&out, 1024);
    nx_json_writer_init(&writer, &out);
    nx_json_value(&writer, nx_json_root(doc));
    nx_json_writer_end(&writer);
    assert_true(nx_str_is(nx_buf_str(&out), text));
}

static void test_names_kinds_for_people(void **state) {
    NX_AUTO(nx_json_doc) *doc = parse("[null,true,1,\"\",[],{}]");
    static const char *const names[] = {
        "null", "a boolean", "a number", "a string", "an array", "an object"
    };
    struct nx_json_iterator iterator = nx_json_iterate(nx_json_root(doc));
    const struct nx_json_value *value;
    (void)state;
    for (size_t i = 0; nx_json_next(&iterator, NULL, &value); i++) {
        assert_string_equal(nx_json_kind_name(nx_json_kind(value)), names[i]);
    }
    assert_string_equal(nx_json_kind_name(nx_json_kind(NULL)), "nothing");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_says_what_is_wrong_and_where),
        cmocka_unit_test(test_accepts_what_the_standard_allows),
        cmocka_unit_test(test_nesting_and_memory_are_limited),
        cmocka_unit_test(test_every_amount_of_memory_is_enough_or_reported),
        cmocka_unit_test(test_finds_values_by_path),
        cmocka_unit_test(test_walks_over_members_and_elements_in_order),
        cmocka_unit_test(test_numbers_are_given_only_where_they_fit),
        cmocka_unit_test(test_a_scalar_has_one_text),
        cmocka_unit_test(test_cuts_members_out_of_the_text),
        cmocka_unit_test(test_keeps_elements_as_they_came),
        cmocka_unit_test(test_names_places_for_people_and_programs),
        cmocka_unit_test(test_undoes_escapes),
        cmocka_unit_test(test_writes_the_shortest_json),
        cmocka_unit_test(test_every_control_character_is_escaped_wherever_it_stands),
        cmocka_unit_test(test_bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(test_doubles_are_shortest_and_read_back),
        cmocka_unit_test(test_a_parsed_document_is_written_as_it_was),
        cmocka_unit_test(test_names_kinds_for_people),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
