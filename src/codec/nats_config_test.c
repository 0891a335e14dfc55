/* src/codec/nats_config_test.c: every value knows where it stood, every mistake says so, nothing grows. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "codec/nats_config.h"

/* Files and variables by name; the first file is the one that is read. */
struct entry {
    const char *name;
    const char *text;
};

struct world {
    const struct entry *files;
    const struct entry *variables;
};

static const char *look_up(const struct entry *entries, const char *name) {
    for (; entries != NULL && entries->name != NULL; entries++) {
        if (strcmp(entries->name, name) == 0) {
            return entries->text;
        }
    }
    return NULL;
}

static enum nx_status read_file(void *data, const char *path, struct nx_buf *content, struct nx_error *err) {
    const struct world *world = data;
    const char *text = look_up(world->files, path);
    if (text == NULL) {
        return nx_fail(err, NX_NOT_FOUND, "%s: no such file", path);
    }
    nx_buf_append_c(content, text);
    return nx_buf_check(content, err);
}

static const char *variable(void *data, const char *name) {
    return look_up(((const struct world *)data)->variables, name);
}

static enum nx_status read_world(struct world world, struct nx_nats_config **config_out,
                                 struct nx_error *err) {
    const struct nx_nats_config_source source = { read_file, variable, &world };
    return nx_nats_config_read(world.files[0].name, &source, config_out, err);
}

static struct nx_nats_config *parse_with(const char *text, const struct entry *variables) {
    struct nx_nats_config *config = NULL;
    struct nx_error err = { 0 };
    const struct entry files[] = { { "f.conf", text }, { 0 } };
    if (read_world((struct world){ files, variables }, &config, &err) != NX_OK) {
        fail_msg("%s", err.message);
    }
    return config;
}

static struct nx_nats_config *parse(const char *text) {
    return parse_with(text, NULL);
}

static void assert_refused_with(const char *text, const struct entry *variables, const char *message) {
    struct nx_nats_config *config = NULL;
    struct nx_error err = { 0 };
    const struct entry files[] = { { "f.conf", text }, { 0 } };
    assert_int_equal(read_world((struct world){ files, variables }, &config, &err), NX_INVALID_ARGUMENT);
    assert_null(config);
    assert_string_equal(err.message, message);
}

static void assert_refused(const char *text, const char *message) {
    assert_refused_with(text, NULL, message);
}

static void assert_text(const struct nx_nats_node *node, const char *text) {
    assert_non_null(node);
    assert_int_equal(node->kind, NX_NATS_NODE_STRING);
    assert_string_equal(node->text.ptr, text);
}

static void assert_integer(const struct nx_nats_node *node, int64_t value) {
    assert_non_null(node);
    assert_int_equal(node->kind, NX_NATS_NODE_INTEGER);
    assert_int_equal(node->integer, value);
}

static void test_a_whole_file_is_read_with_its_places(void **state) {
    (void)state;
    NX_AUTO(nx_nats_config) *config = parse("# a server\n"
                                            "listen: 127.0.0.1:4222 // here\n"
                                            "HTTP = 8222; debug no, trace: off\n"
                                            "jetstream {\n"
                                            "  store_dir \"/tmp/a b\"\n"
                                            "  limits { max_mem: 64mb, max_file: 1Gi }\n"
                                            "}\n"
                                            "authorization: { users = [\n"
                                            "  {user: a, password: $2a$11$W2zko} # first\n"
                                            "  {user: b, password: 'it is'}\n"
                                            "], timeout: 1.5 }\n");
    const struct nx_nats_node *root = nx_nats_config_root(config);
    assert_text(nx_nats_node_get(root, "listen"), "127.0.0.1:4222");
    assert_integer(nx_nats_node_get(root, "http"), 8222);
    assert_false(nx_nats_node_get(root, "debug")->boolean);
    assert_int_equal(nx_nats_node_get(root, "trace")->column, 24);
    const struct nx_nats_node *jetstream = nx_nats_node_get(root, "jetstream");
    assert_int_equal(jetstream->line, 4);
    const struct nx_nats_node *limits = nx_nats_node_get(jetstream, "limits");
    assert_integer(nx_nats_node_get(limits, "max_mem"), 64 * 1024 * 1024);
    assert_integer(nx_nats_node_get(limits, "max_file"), 1024 * 1024 * 1024);
    assert_int_equal(nx_nats_node_get(limits, "max_file")->line, 6);
    assert_int_equal(nx_nats_node_get(limits, "max_file")->column, 27);
    const struct nx_nats_node *authorization = nx_nats_node_get(root, "authorization");
    const struct nx_nats_node *users = nx_nats_node_get(authorization, "users");
    assert_int_equal(users->count, 2);
    assert_text(nx_nats_node_get(users->first, "password"), "$2a$11$W2zko");
    assert_text(nx_nats_node_get(users->first->next, "password"), "it is");
    assert_true(nx_nats_node_get(authorization, "timeout")->real == 1.5);
}

static void test_values_are_what_nats_reads(void **state) {
    (void)state;
    NX_AUTO(nx_nats_config) *config =
        parse("a: 1k\nb: 1kb\nc: 2MiB\nd: -1\ne: 5x\nf: 2018-05-04\ng: \"\\x41\\t\\\"\"\nh: 'a\\n'\n"
              "i: yes\nj: ON\nk: \"yes\"\nl: 1.5\nm: foo\\tbar\nn: [1,2 , three\nfour]\n"
              "o: (\n x\n (y)\n)\nq: 2s\nr: $2a$x\ns:[]\nt {}\n");
    const struct nx_nats_node *root = nx_nats_config_root(config);
    assert_integer(nx_nats_node_get(root, "a"), 1000);
    assert_integer(nx_nats_node_get(root, "b"), 1024);
    assert_integer(nx_nats_node_get(root, "c"), 2 * 1024 * 1024);
    assert_integer(nx_nats_node_get(root, "d"), -1);
    assert_text(nx_nats_node_get(root, "e"), "5x");
    assert_text(nx_nats_node_get(root, "g"), "A\t\"");
    assert_text(nx_nats_node_get(root, "h"), "a\\n");
    assert_true(nx_nats_node_get(root, "i")->boolean);
    assert_true(nx_nats_node_get(root, "j")->boolean);
    assert_text(nx_nats_node_get(root, "k"), "yes");
    assert_int_equal(nx_nats_node_get(root, "l")->kind, NX_NATS_NODE_REAL);
    assert_text(nx_nats_node_get(root, "m"), "foo\tbar");
    const struct nx_nats_node *list = nx_nats_node_get(root, "n");
    assert_int_equal(list->count, 4);
    assert_integer(list->first->next, 2);
    assert_text(list->last, "four");
    assert_text(nx_nats_node_get(root, "o"), "\n x\n (y)\n");
    assert_text(nx_nats_node_get(root, "r"), "$2a$x");
    assert_int_equal(nx_nats_node_get(root, "s")->count, 0);
    assert_int_equal(nx_nats_node_get(root, "t")->kind, NX_NATS_NODE_MAP);
}

static void test_the_whole_may_stand_in_braces_as_json(void **state) {
    (void)state;
    NX_AUTO(nx_nats_config) *config = parse("{\"port\": 4222,\n \"tls\": {\"verify\": true}}\n");
    assert_integer(nx_nats_node_get(nx_nats_config_root(config), "port"), 4222);
    NX_AUTO(nx_nats_config) *empty = parse("# nothing\n");
    assert_int_equal(nx_nats_config_root(empty)->count, 0);
}

static void test_a_later_value_of_a_key_counts(void **state) {
    (void)state;
    NX_AUTO(nx_nats_config) *config = parse("port: 1\nhost: a\nport: 2\n");
    assert_int_equal(nx_nats_config_root(config)->count, 2);
    assert_integer(nx_nats_node_get(nx_nats_config_root(config), "port"), 2);
}

static void test_variables_come_from_maps_around_them_then_from_the_environment(void **state) {
    const struct entry variables[] = { { "PORT", "4333" }, { "USER", "$WHO" },   { "WHO", "\"Ann Lee\"" },
                                       { "EMPTY", "" },    { "LIST", "[a, b]" }, { 0 } };
    (void)state;
    NX_AUTO(nx_nats_config) *config =
        parse_with("PASS: s3cret\nDEEP: {x: [1, {y: 2}]}\nport: $PORT\n"
                   "a { PASS: inner, b: { password: $PASS, user: $USER, e: $EMPTY, d: $DEEP, l: $LIST } }\n"
                   "token: $PASS\n",
                   variables);
    const struct nx_nats_node *root = nx_nats_config_root(config);
    const struct nx_nats_node *b = nx_nats_node_get(nx_nats_node_get(root, "a"), "b");
    assert_integer(nx_nats_node_get(root, "port"), 4333);
    assert_text(nx_nats_node_get(root, "token"), "s3cret");
    assert_true(nx_nats_node_get(root, "PASS")->is_used);
    assert_false(nx_nats_node_get(root, "token")->is_used);
    assert_text(nx_nats_node_get(b, "password"), "inner");
    assert_text(nx_nats_node_get(b, "user"), "Ann Lee");
    assert_text(nx_nats_node_get(b, "e"), "");
    assert_int_equal(nx_nats_node_get(b, "l")->count, 2);
    const struct nx_nats_node *deep = nx_nats_node_get(nx_nats_node_get(b, "d"), "x");
    assert_integer(nx_nats_node_get(deep->last, "y"), 2);
    assert_int_equal(deep->line, 4); /* where it is used */
}

static void test_a_variable_that_is_not_there_or_stands_for_itself_is_named(void **state) {
    const struct entry variables[] = {
        { "A", "$B" }, { "B", "$A" }, { "TWO", "a b" }, { "BAD", "[1" }, { 0 }
    };
    (void)state;
    assert_refused("port: $NONE\n",
                   "f.conf:1:7: the variable 'NONE' is neither a key above nor set in the environment");
    assert_refused_with("port: $A\n", variables, "$B:1:1: the variable 'A' stands for itself");
    assert_refused_with("token: $TWO\n", variables,
                        "$TWO:1:3: expected one value; text with spaces needs quotes inside the variable");
    assert_refused_with("token: $BAD\n", variables, "$BAD:1:1: the list that begins here has no end: ']'");
    assert_refused("a: $\n", "f.conf:1:4: expected the name of a variable behind '$'");
}

static void test_an_included_file_is_found_beside_the_one_that_names_it(void **state) {
    const struct entry files[] = { { "etc/nats/f.conf", "port: 1\nauthorization { include 'sub/auth.conf' }\n"
                                                        "include \"limits.conf\"\nINCLUDE: kept\n" },
                                   { "etc/nats/sub/auth.conf", "include more.conf\ntoken: x\n" },
                                   { "etc/nats/sub/more.conf", "{ timeout: 3 }" },
                                   { "etc/nats/limits.conf", "port: 2\nmax_payload: 1k" },
                                   { 0 } };
    NX_AUTO(nx_nats_config) *config = NULL;
    (void)state;
    assert_int_equal(read_world((struct world){ files, NULL }, &config, NULL), NX_OK);
    const struct nx_nats_node *root = nx_nats_config_root(config);
    const struct nx_nats_node *authorization = nx_nats_node_get(root, "authorization");
    assert_text(nx_nats_node_get(authorization, "token"), "x");
    assert_integer(nx_nats_node_get(authorization, "timeout"), 3);
    assert_integer(nx_nats_node_get(root, "port"), 2);
    assert_text(nx_nats_node_get(root, "include"), "kept");
    assert_string_equal(nx_nats_node_get(root, "max_payload")->file.ptr, "etc/nats/limits.conf");
    assert_int_equal(nx_nats_node_get(root, "max_payload")->line, 2);
}

static void assert_world_refused(const struct entry *files, enum nx_status status, const char *message) {
    NX_AUTO(nx_nats_config) *config = NULL;
    struct nx_error err = { 0 };
    assert_int_equal(read_world((struct world){ files, NULL }, &config, &err), status);
    assert_string_equal(err.message, message);
}

static void test_an_include_that_fails_is_named_with_its_place(void **state) {
    const struct entry none[] = { { "a/f.conf", "port: 1\n  include no.conf\n" }, { 0 } };
    const struct entry loop[] = { { "f.conf", "include g.conf\n" },
                                  { "g.conf", "\n include f.conf" },
                                  { 0 } };
    const struct entry self[] = { { "f.conf", "include ./f.conf\n" },
                                  { "./f.conf", "include f.conf\n" },
                                  { 0 } };
    const struct entry inner[] = { { "f.conf", "include g.conf\n" }, { "g.conf", "port 1 2\n" }, { 0 } };
    (void)state;
    assert_world_refused(none, NX_NOT_FOUND, "a/f.conf:2:3: a/no.conf: no such file");
    assert_world_refused(loop, NX_INVALID_ARGUMENT, "f.conf:1:1: g.conf:2:2: 'f.conf' includes itself");
    assert_world_refused(self, NX_INVALID_ARGUMENT, "f.conf:1:1: ./f.conf:1:1: './f.conf' includes itself");
    assert_world_refused(inner, NX_INVALID_ARGUMENT,
                         "f.conf:1:1: g.conf:1:8: expected the end of the line, ',' or ';' but found '2'");
}

static void test_a_mistake_says_where_and_what_was_expected(void **state) {
    (void)state;
    assert_refused("port:\n", "f.conf:1:6: expected a value for 'port' but found the end of the line");
    assert_refused("port", "f.conf:1:5: expected a value for 'port' but found the end of the file");
    assert_refused("a { b: }", "f.conf:1:8: expected a value for 'b' but found '}'");
    assert_refused("port: 1 2\n", "f.conf:1:9: expected the end of the line, ',' or ';' but found '2'");
    assert_refused("a { b: 1 c: 2 }\n",
                   "f.conf:1:10: expected the end of the line, ',' or ';' or '}' but found 'c'");
    assert_refused("jetstream{\n}\n",
                   "f.conf:1:10: '{' inside a key: put a space before it, or the key in quotes");
    assert_refused("a {\n b: 1\n", "f.conf:1:3: the map that begins here has no end: '}'");
    assert_refused("a: [1,\n", "f.conf:1:4: the list that begins here has no end: ']'");
    assert_refused("a: [1 2]\n", "f.conf:1:7: expected ',' or ']' behind a value of a list but found '2'");
    assert_refused("a: [,]\n", "f.conf:1:5: expected a value but found ','");
    assert_refused("a: \"x\n", "f.conf:1:4: the string that begins here has no end");
    assert_refused("a: (\nx)\n",
                   "f.conf:1:4: the block that begins here has no end: a line that is only ')'");
    assert_refused("a: \"\\q\"", "f.conf:1:5: expected one of \\t, \\n, \\r, \\\", \\\\ and \\x with two "
                                 "hexadecimal digits");
    assert_refused("a: it's\n", "f.conf:1:6: a quote inside a word: put the whole in double quotes");
    assert_refused(": 1\n", "f.conf:1:1: expected a key but found ':'");
    assert_refused("a: 1 }\n", "f.conf:1:6: expected the end of the line, ',' or ';' but found '}'");
    assert_refused("}\n", "f.conf:1:1: expected a key but found '}'");
    assert_refused("{a: 1} b: 2\n", "f.conf:1:8: expected nothing behind the last '}' but found 'b'");
    assert_refused("a: 99999999999999999999\n", "f.conf:1:4: the number 99999999999999999999 is too large");
}

static void repeat(char *out, const char *text, size_t count) {
    for (size_t i = 0; i < count; i++) {
        memcpy(out + i * strlen(text), text, strlen(text) + 1);
    }
}

static void test_nothing_grows_past_its_limit(void **state) {
    static char deep[NX_NATS_CONFIG_DEPTH_MAX * 2 + 16];
    static char laughs[4096];
    struct nx_error err = { 0 };
    NX_AUTO(nx_nats_config) *config = NULL;
    (void)state;
    memcpy(deep, "a: ", 4);
    repeat(deep + 3, "[", NX_NATS_CONFIG_DEPTH_MAX + 1);
    const struct entry files[] = { { "f.conf", deep }, { 0 } };
    assert_int_equal(read_world((struct world){ files, NULL }, &config, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "f.conf:1:36: more than 32 levels inside each other");
    assert_int_equal(err.kind, NX_KIND_TOO_LARGE);

    size_t len = (size_t)snprintf(laughs, sizeof laughs, "a0: [1,1,1,1,1,1,1,1,1,1]\n");
    for (int i = 1; i < 9; i++) {
        len += (size_t)snprintf(laughs + len, sizeof laughs - len, "a%d: [", i);
        for (int j = 0; j < 10; j++) {
            len += (size_t)snprintf(laughs + len, sizeof laughs - len, "$a%d ,", i - 1);
        }
        len += (size_t)snprintf(laughs + len, sizeof laughs - len, "]\n");
    }
    const struct entry more[] = { { "f.conf", laughs }, { 0 } };
    assert_int_equal(read_world((struct world){ more, NULL }, &config, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "f.conf:5:41: more than 100000 values");
    assert_null(config);
}

static void test_includes_and_variables_inside_each_other_are_counted(void **state) {
    static char paths[NX_NATS_CONFIG_NESTING_MAX + 2][8];
    static char texts[NX_NATS_CONFIG_NESTING_MAX + 2][32];
    struct entry files[NX_NATS_CONFIG_NESTING_MAX + 3] = { { 0 } };
    struct nx_error err = { 0 };
    NX_AUTO(nx_nats_config) *config = NULL;
    (void)state;
    for (int i = 0; i < NX_NATS_CONFIG_NESTING_MAX + 2; i++) {
        (void)snprintf(paths[i], sizeof paths[i], "%d", i);
        (void)snprintf(texts[i], sizeof texts[i], "include %d\n", i + 1);
        files[i] = (struct entry){ paths[i], texts[i] };
    }
    assert_int_equal(read_world((struct world){ files, NULL }, &config, &err), NX_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "8:1:1: more than 8 includes inside each other"));
    for (int i = 0; i < NX_NATS_CONFIG_NESTING_MAX + 2; i++) {
        (void)snprintf(texts[i], sizeof texts[i], i == 0 ? "x: $%d\n" : "$%d", i + 1);
    }
    assert_int_equal(read_world((struct world){ files, files }, &config, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "$8:1:1: more than 8 variables inside each other");
}

static void test_what_is_not_text_is_refused(void **state) {
    (void)state;
    assert_refused("port: 1\xff\n", "f.conf: byte 7 is not UTF-8 text");
}

static void test_typed_getters_say_what_they_expected(void **state) {
    NX_AUTO(nx_nats_config) *config = parse("port: x\nint: 70000\nbig: 9000000000\nd: \"2m\"\ns: 1.5\nn: "
                                            "3\nneg: -1\nlist: [1]\nflag: true\nm: 2m\n");
    const struct nx_nats_node *root = nx_nats_config_root(config);
    struct nx_error err = { 0 };
    struct nx_str text = NX_STR_EMPTY;
    int64_t number = 0;
    bool flag = false;
    (void)state;
    assert_int_equal(nx_nats_node_to_i64(nx_nats_node_get(root, "port"), 0, 9, &number, &err),
                     NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "f.conf:1:1: 'port': expected a whole number but found a string");
    assert_int_equal(nx_nats_node_to_i64(nx_nats_node_get(root, "INT"), -1, 65535, &number, &err),
                     NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "f.conf:2:1: 'int': expected a number from -1 to 65535 but found 70000");
    assert_int_equal(nx_nats_node_to_i64(nx_nats_node_get(root, "int"), 0, 70000, &number, &err), NX_OK);
    assert_int_equal(number, 70000);
    assert_int_equal(nx_nats_node_to_str(nx_nats_node_get(root, "list")->first, &text, &err),
                     NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "f.conf:8:8: expected a string but found a whole number");
    assert_int_equal(nx_nats_node_to_bool(nx_nats_node_get(root, "flag"), &flag, &err), NX_OK);
    assert_true(flag);
    assert_int_equal(nx_nats_node_to_duration(nx_nats_node_get(root, "d"), &number, &err), NX_OK);
    assert_int_equal(number, 120000000000);
    assert_int_equal(nx_nats_node_to_duration(nx_nats_node_get(root, "s"), &number, &err), NX_OK);
    assert_int_equal(number, 1500000000);
    assert_int_equal(nx_nats_node_to_duration(nx_nats_node_get(root, "n"), &number, &err), NX_OK);
    assert_int_equal(number, 3000000000);
    assert_int_equal(nx_nats_node_to_duration(nx_nats_node_get(root, "neg"), &number, &err),
                     NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "f.conf:7:1: 'neg': expected a duration such as \"2m\" or \"500ms\"");
    assert_int_equal(nx_nats_node_to_duration(nx_nats_node_get(root, "big"), &number, &err), NX_OK);
    assert_int_equal(nx_nats_node_to_duration(nx_nats_node_get(root, "port"), &number, &err),
                     NX_INVALID_ARGUMENT);
    assert_int_equal(nx_nats_node_to_duration(nx_nats_node_get(root, "m"), &number, &err),
                     NX_INVALID_ARGUMENT);
    assert_string_equal(
        err.message,
        "f.conf:10:1: 'm': without quotes this is the number 2000000: put the duration in quotes");
    assert_null(nx_nats_node_get(root, "absent"));
    assert_null(nx_nats_node_get(nx_nats_node_get(root, "port"), "x"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_file_is_read_with_its_places),
        cmocka_unit_test(test_values_are_what_nats_reads),
        cmocka_unit_test(test_the_whole_may_stand_in_braces_as_json),
        cmocka_unit_test(test_a_later_value_of_a_key_counts),
        cmocka_unit_test(test_variables_come_from_maps_around_them_then_from_the_environment),
        cmocka_unit_test(test_a_variable_that_is_not_there_or_stands_for_itself_is_named),
        cmocka_unit_test(test_an_included_file_is_found_beside_the_one_that_names_it),
        cmocka_unit_test(test_an_include_that_fails_is_named_with_its_place),
        cmocka_unit_test(test_a_mistake_says_where_and_what_was_expected),
        cmocka_unit_test(test_nothing_grows_past_its_limit),
        cmocka_unit_test(test_includes_and_variables_inside_each_other_are_counted),
        cmocka_unit_test(test_what_is_not_text_is_refused),
        cmocka_unit_test(test_typed_getters_say_what_they_expected),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
