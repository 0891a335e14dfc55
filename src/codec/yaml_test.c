/* src/codec/yaml_test.c: every value knows where it stood, every mistake says so. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"
#include "codec/yaml.h"

static struct nx_yaml_doc *parse(const char *text) {
    struct nx_yaml_doc *doc = NULL;
    struct nx_error err = { 0 };
    if (nx_yaml_parse(NX_STR("nexus.yaml"), nx_str_from_c(text), &doc, &err) != NX_OK) {
        fail_msg("%s", err.message);
    }
    return doc;
}

static void assert_refused(struct nx_str text, const char *message) {
    struct nx_yaml_doc *doc = NULL;
    struct nx_error err = { 0 };
    assert_int_equal(nx_yaml_parse(NX_STR("f.yaml"), text, &doc, &err), NX_INVALID_ARGUMENT);
    assert_null(doc);
    assert_string_equal(err.message, message);
}

static void assert_place(const struct nx_yaml_node *node, uint32_t line, uint32_t column, uint32_t key_line,
                         uint32_t key_column) {
    assert_non_null(node);
    assert_int_equal(node->line, line);
    assert_int_equal(node->column, column);
    assert_int_equal(node->key_line, key_line);
    assert_int_equal(node->key_column, key_column);
}

static const char example[] = "version: v1\n"
                              "listen: {http: 127.0.0.1:8080}   # comment\n"
                              "ünits: \"q\"\n"
                              "functions:\n"
                              "  - name: user-welcome\n"
                              "    on: {http: {method: POST, path: /events/user.created}}\n"
                              "    env:\n"
                              "    list: [ä, b, '~', ~]\n";

static void test_remembers_where_everything_stood(void **state) {
    NX_AUTO(nx_yaml_doc) *doc = parse(example);
    const struct nx_yaml_node *root = nx_yaml_root(doc);
    (void)state;
    assert_true(nx_str_is(nx_yaml_file(doc), "nexus.yaml"));
    assert_int_equal(root->count, 4);
    assert_place(nx_yaml_get(root, "version"), 1, 10, 1, 1);
    assert_place(nx_yaml_get(nx_yaml_get(root, "listen"), "http"), 2, 16, 2, 10);
    assert_place(nx_yaml_get(root, "ünits"), 3, 8, 3, 1);
    const struct nx_yaml_node *function = nx_yaml_get(root, "functions")->first;
    assert_int_equal(function->kind, NX_YAML_MAPPING);
    assert_place(function, 5, 5, 0, 0);
    assert_place(nx_yaml_get(nx_yaml_get(nx_yaml_get(function, "on"), "http"), "path"), 6, 37, 6, 31);
    assert_place(nx_yaml_get(function, "env"), 7, 5, 7, 5); /* nothing stands there: its key's place */
    assert_true(nx_yaml_is_null(nx_yaml_get(function, "env")));
    const struct nx_yaml_node *element = nx_yaml_get(function, "list")->first->next;
    assert_true(nx_str_is(element->text, "b"));
    assert_place(element, 8, 15, 0, 0);
    assert_place(element->next, 8, 18, 0, 0);
    assert_true(element->next->is_quoted);
    assert_false(nx_yaml_is_null(element->next));
    assert_true(nx_yaml_is_null(element->next->next));
    NX_AUTO(nx_yaml_doc) *quoted = parse("\"a\": 'b'\n");
    assert_place(nx_yaml_root(quoted)->first, 1, 6, 1, 1);
    assert_null(nx_yaml_get(root, "nothing"));
    assert_null(nx_yaml_get(element, "x"));
    assert_null(nx_yaml_get(NULL, "x"));
    assert_false(nx_yaml_is_null(NULL));
}

static void test_lists_keys_that_stand_again(void **state) {
    (void)state;
    NX_AUTO(nx_yaml_doc) *doc = parse("a: 1\nb: {c: 2, d: 3,\n    c: [{x: 4, x: 5}]}\na: 6\n");
    const struct nx_yaml_node *again = nx_yaml_duplicates(doc);
    static const struct {
        const char *key;
        uint32_t line, column, first_line;
    } expected[] = { { "c", 3, 5, 2 }, { "x", 3, 16, 3 }, { "a", 4, 1, 1 } };

    for (size_t i = 0; i < 3; i++, again = again->next) {
        assert_non_null(again);
        assert_true(nx_str_is(again->key, expected[i].key));
        assert_int_equal(again->key_line, expected[i].line);
        assert_int_equal(again->key_column, expected[i].column);
        assert_int_equal(again->first_key_line, expected[i].first_line);
    }
    assert_null(again);
    assert_int_equal(nx_yaml_root(doc)->count, 2);
    assert_true(nx_str_is(nx_yaml_get(nx_yaml_root(doc), "a")->text, "1"));
}

static void test_refuses_what_makes_files_hard_to_trust(void **state) {
    (void)state;
    assert_refused(NX_STR("a: \"b\\  \n  c\"\n"),
                   "f.yaml:1:5: this text cannot be read for certain: write it in another style, such as |");
    assert_refused(NX_STR("a: \"b\\ \r\n  c\"\n"),
                   "f.yaml:1:5: this text cannot be read for certain: write it in another style, such as |");
    assert_refused(NX_STR("a: >-\n b\n\n  c\n"),
                   "f.yaml:2:1: this text cannot be read for certain: write it in another style, such as |");
    assert_refused(NX_STR("a: &x 1\nb: *x\n"), "f.yaml:1:7: anchors and aliases are not supported");
    assert_refused(NX_STR("a: &a [x]\n"), "f.yaml:1:7: anchors and aliases are not supported");
    assert_refused(NX_STR("a: {<<: {b: 1}}\n"), "f.yaml:1:5: merge keys are not supported");
    assert_refused(NX_STR("a: !!int 3\n"), "f.yaml:1:10: tags are not supported");
    assert_refused(NX_STR("a: !thing {}\n"), "f.yaml:1:11: tags are not supported");
    assert_refused(NX_STR("a: 1\n---\nb: 2\n"), "f.yaml:2:1: a second document in one file");
    assert_refused(NX_STR("? [a, b]\n: c\n"), "f.yaml:1:3: a key must be plain text, not a list");
    assert_refused(NX_STR("%YAML 1.2\n---\na: 1\n"), "f.yaml:1:1: directives are not supported");
    assert_refused(NX_STR("a: 1\n...\n%%\n"), "f.yaml:3:1: directives are not supported");
    assert_refused(NX_STR("a: 1\nb: \xFF\n"), "f.yaml: byte 8 is not UTF-8 text");
    assert_refused(NX_STR("a: \0"), "f.yaml: byte 3 is not UTF-8 text");
}

static void test_names_the_place_of_broken_syntax(void **state) {
    (void)state;
    assert_refused(NX_STR("a: [1,\nb: 2\n"), "f.yaml:2:1: wrongly indented flow sequence");
    assert_refused(NX_STR("a: 'b\n"), "f.yaml:1:5: single-quoted scalar without closing quote");
}

static void test_nesting_and_size_are_limited(void **state) {
    static char deep[2 * NX_YAML_DEPTH_MAX + 2];
    static char large[NX_YAML_SIZE_MAX + 1];
    struct nx_yaml_doc *doc = NULL;
    struct nx_error err = { 0 };
    (void)state;
    memset(deep, '[', NX_YAML_DEPTH_MAX);
    memset(deep + NX_YAML_DEPTH_MAX, ']', NX_YAML_DEPTH_MAX);
    nx_yaml_doc_free(parse(deep));
    memset(deep, '[', NX_YAML_DEPTH_MAX + 1);
    assert_refused(nx_str_of(deep, NX_YAML_DEPTH_MAX + 1), "f.yaml:1:33: nested more than 32 levels deep");
    memset(large, '#', sizeof large);
    assert_int_equal(nx_yaml_parse(NX_STR("f.yaml"), nx_str_of(large, sizeof large), &doc, &err),
                     NX_INVALID_ARGUMENT);
    assert_int_equal(err.kind, NX_KIND_TOO_LARGE);
    assert_null(doc);
}

static void test_mappings_and_values_are_counted(void **state) {
    NX_AUTO(nx_buf) text;
    (void)state;
    nx_buf_init(&text, NX_YAML_SIZE_MAX);
    for (int i = 0; i <= 2000; i++) {
        nx_buf_append_format(&text, "k%d: v\n", i);
    }
    assert_refused(nx_buf_str(&text), "f.yaml:2001:1: more than 2000 keys in one mapping");
    nx_buf_reset(&text);
    for (int i = 0; i < NX_YAML_NODES_MAX; i++) {
        nx_buf_append_c(&text, "- a\n");
    }
    assert_refused(nx_buf_str(&text), "f.yaml:100000:3: more than 100000 values");
}

static void test_an_empty_file_is_an_empty_mapping(void **state) {
    static const char *const texts[] = { "", "# nothing\n", "---\n", "~", "{}" };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        NX_AUTO(nx_yaml_doc) *doc = parse(texts[i]);
        assert_int_equal(nx_yaml_root(doc)->kind, NX_YAML_MAPPING);
        assert_int_equal(nx_yaml_root(doc)->count, 0);
    }
}

static void test_reads_single_quotes(void **state) {
    NX_AUTO(nx_yaml_doc) *doc =
        parse("a: ''\nb: ''''\nc: '''''x'''''\nd: ' x  '\ne: 'x \t\n  y\r\n\r\n\n  ''z''  \n  '\n"
              "f: '\n  x'\ng: {'a''b': 1}\n");
    const struct nx_yaml_node *root = nx_yaml_root(doc);
    (void)state;
    assert_true(nx_str_is(nx_yaml_get(root, "a")->text, ""));
    assert_true(nx_yaml_get(root, "a")->is_quoted);
    assert_true(nx_str_is(nx_yaml_get(root, "b")->text, "'"));
    assert_true(nx_str_is(nx_yaml_get(root, "c")->text, "''x''"));
    assert_true(nx_str_is(nx_yaml_get(root, "d")->text, " x  "));
    assert_true(nx_str_is(nx_yaml_get(root, "e")->text, "x y\n\n'z' "));
    assert_true(nx_str_is(nx_yaml_get(root, "f")->text, " x"));
    assert_true(nx_str_is(nx_yaml_get(root, "g")->first->key, "a'b"));
}

static void test_reads_text_in_every_style(void **state) {
    NX_AUTO(nx_yaml_doc) *doc =
        parse("a: \"x\\t\\u20ac\"\nb: 'it''s'\nc: |\n  one\n  two\nd: >-\n  one\n  two\n"
              "e: plain text  # comment\n");
    const struct nx_yaml_node *root = nx_yaml_root(doc);
    struct nx_str text;
    (void)state;
    assert_int_equal(nx_yaml_to_str(nx_yaml_get(root, "a"), &text, NULL), NX_OK);
    assert_true(nx_str_is(text, "x\t€"));
    assert_true(nx_str_is(nx_yaml_get(root, "b")->text, "it's"));
    assert_true(nx_str_is(nx_yaml_get(root, "c")->text, "one\ntwo\n"));
    assert_true(nx_str_is(nx_yaml_get(root, "d")->text, "one two"));
    assert_true(nx_str_is(nx_yaml_get(root, "e")->text, "plain text"));
}

static void test_typed_getters_give_what_was_written(void **state) {
    NX_AUTO(nx_yaml_doc) *doc =
        parse("yes: true\nno: FALSE\nn: 16\nd: 0.2\ne: 1e-3\nt: 1m30s\ns: 128Mi\nz: 0\n");
    const struct nx_yaml_node *root = nx_yaml_root(doc);
    bool boolean = false;
    uint64_t number = 0;
    double real = 0;
    int64_t duration = 0;
    (void)state;
    assert_int_equal(nx_yaml_to_bool(nx_yaml_get(root, "yes"), &boolean, NULL), NX_OK);
    assert_true(boolean);
    assert_int_equal(nx_yaml_to_bool(nx_yaml_get(root, "no"), &boolean, NULL), NX_OK);
    assert_false(boolean);
    assert_int_equal(nx_yaml_to_u64(nx_yaml_get(root, "n"), 1, 16, &number, NULL), NX_OK);
    assert_int_equal(number, 16);
    assert_int_equal(nx_yaml_to_double(nx_yaml_get(root, "d"), 0, 1, &real, NULL), NX_OK);
    assert_true(real == 0.2);
    assert_int_equal(nx_yaml_to_double(nx_yaml_get(root, "e"), 0, 1, &real, NULL), NX_OK);
    assert_true(real == 0.001);
    assert_int_equal(nx_yaml_to_duration(nx_yaml_get(root, "t"), &duration, NULL), NX_OK);
    assert_true(duration == 90000000000);
    assert_int_equal(nx_yaml_to_duration(nx_yaml_get(root, "z"), &duration, NULL), NX_OK);
    assert_int_equal(duration, 0);
    assert_int_equal(nx_yaml_to_size(nx_yaml_get(root, "s"), &number, NULL), NX_OK);
    assert_int_equal(number, 134217728);
    assert_int_equal(nx_yaml_expect(root, NX_YAML_MAPPING, NULL), NX_OK);
}

static void test_typed_getters_say_what_they_expected(void **state) {
    NX_AUTO(nx_yaml_doc) *doc = parse("q: 'true'\nn: -1\nl: [1]\nx:\nbig: 99\nnan: nan\nhex: 0x1\n");
    const struct nx_yaml_node *root = nx_yaml_root(doc);
    struct nx_error err = { 0 };
    struct nx_str text;
    bool boolean;
    uint64_t number;
    double real;
    int64_t duration;
    (void)state;
    assert_int_equal(nx_yaml_to_bool(nx_yaml_get(root, "q"), &boolean, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "nexus.yaml:1:4: expected true or false, found 'true'");
    assert_int_equal(nx_yaml_to_u64(nx_yaml_get(root, "n"), 0, 9, &number, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "nexus.yaml:2:4: expected a whole number, found '-1'");
    assert_int_equal(nx_yaml_to_str(nx_yaml_get(root, "l"), &text, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "nexus.yaml:3:4: expected text, found a list");
    assert_int_equal(nx_yaml_to_str(nx_yaml_get(root, "x"), &text, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "nexus.yaml:4:1: expected text, found nothing");
    assert_int_equal(nx_yaml_to_u64(nx_yaml_get(root, "big"), 1, 50, &number, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "nexus.yaml:5:6: expected a number from 1 to 50, found 99");
    assert_int_equal(nx_yaml_to_double(nx_yaml_get(root, "big"), 0, 1, &real, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "nexus.yaml:5:6: expected a number from 0 to 1, found 99");
    assert_int_equal(nx_yaml_to_double(nx_yaml_get(root, "nan"), 0, 1, &real, &err), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_yaml_to_double(nx_yaml_get(root, "hex"), 0, 1, &real, &err), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_yaml_to_duration(nx_yaml_get(root, "big"), &duration, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message,
                        "nexus.yaml:5:6: expected a duration such as 250ms, 1m30s or 7d, found '99'");
    assert_int_equal(nx_yaml_to_size(root, &number, &err), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_yaml_expect(nx_yaml_get(root, "q"), NX_YAML_SEQUENCE, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "nexus.yaml:1:4: expected a list, found 'true'");
}

static void test_errors_point_at_key_or_value(void **state) {
    NX_AUTO(nx_yaml_doc) *doc = parse("a:\n  rutime: x\n");
    const struct nx_yaml_node *node = nx_yaml_get(nx_yaml_root(doc), "a")->first;
    struct nx_error err = { 0 };
    (void)state;
    assert_int_equal(nx_yaml_fail_at_key(&err, node, "unknown key '%s'", "rutime"), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "nexus.yaml:2:3: unknown key 'rutime'");
    assert_int_equal(nx_yaml_fail(&err, node, "no"), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "nexus.yaml:2:11: no");
    assert_int_equal(nx_yaml_fail_at_key(&err, nx_yaml_root(doc), "no"), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "nexus.yaml:1:1: no");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remembers_where_everything_stood),
        cmocka_unit_test(test_lists_keys_that_stand_again),
        cmocka_unit_test(test_refuses_what_makes_files_hard_to_trust),
        cmocka_unit_test(test_names_the_place_of_broken_syntax),
        cmocka_unit_test(test_nesting_and_size_are_limited),
        cmocka_unit_test(test_mappings_and_values_are_counted),
        cmocka_unit_test(test_an_empty_file_is_an_empty_mapping),
        cmocka_unit_test(test_reads_single_quotes),
        cmocka_unit_test(test_reads_text_in_every_style),
        cmocka_unit_test(test_typed_getters_give_what_was_written),
        cmocka_unit_test(test_typed_getters_say_what_they_expected),
        cmocka_unit_test(test_errors_point_at_key_or_value),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
