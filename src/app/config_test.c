/* src/app/config_test.c: the file means what it says; every mistake is told, at its place, at once;
 * spec/nexus.schema.json has the same keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "app/config.h"
#include "codec/json.h"

static const char whole[] =
    "version: v1\n"
    "listen: {http: 127.0.0.1:0}\n"
    "data: .nexus\n"
    "disk_budget: 20GiB\n"
    "streams: {EVENTS: {max_age: 7d, max_size: 10GiB, sync: always}}\n"
    "functions:\n"
    "  - name: user-welcome\n"
    "    on: {http: {method: POST, path: /events/user.created}}\n"
    "    runtime: wasi-preview1\n"
    "    code: ./build/welcome.wasm\n"
    "    build: make\n"
    "    timeout: 5s\n"
    "    memory: 128Mi\n"
    "    env: {LOG_LEVEL: info}\n"
    "    retry: {max_attempts: 5, backoff: 1s, backoff_max: 5m, jitter: 0.2}\n"
    "    order: {key: data.user_id}\n"
    "    max_concurrency: 16\n"
    "    from: new\n"
    "    input: event\n"
    "  - name: other\n"
    "    on:\n"
    "      - event: {type: user.created}\n"
    "      - http: {method: GET, path: /hello, keep_headers: [Authorization, cookie]}\n"
    "      - http: {path: /hello, keep_headers: proxy-authorization}\n"
    "    code: /abs/other.wasm\n"
    "    from: 2025-11-26T10:23:45Z\n";

static enum nx_status parse(const char *text, struct nx_config **config_out, struct nx_buf *problems,
                            struct nx_error *err) {
    nx_buf_init(problems, NX_CONFIG_PROBLEMS_SIZE_MAX);
    return nx_config_parse(NX_STR("project/nexus.yaml"), nx_str_from_c(text), config_out, problems, err);
}

/* The lines told of `text`, which must have mistakes. */
static void assert_problems(const char *text, const char *expected) {
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) problems = { 0 };
    struct nx_error err = { 0 };

    assert_int_equal(parse(text, &config, &problems, &err), NX_INVALID_ARGUMENT);
    assert_null(config);
    nx_buf_append_u8(&problems, 0);
    assert_string_equal(problems.ptr, expected);
}

static void test_reads_every_key(void **state) {
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) problems = { 0 };

    (void)state;
    assert_int_equal(parse(whole, &config, &problems, NULL), NX_OK);
    assert_int_equal(problems.len, 0);
    assert_true(nx_str_is(config->http.host, "127.0.0.1"));
    assert_int_equal(config->http.port, 0);
    assert_true(nx_str_is(config->data, "project/.nexus"));
    assert_true(config->disk_budget == 20ULL << 30);
    assert_int_equal(config->stream_count, 1);
    assert_true(config->streams[0].age_max_ns == 7LL * 86400 * NX_NS_PER_S);
    assert_int_equal(config->function_count, 2);

    const struct nx_function *function = &config->functions[0];
    assert_true(nx_str_is(function->name, "user-welcome"));
    assert_int_equal(function->trigger_count, 1);
    assert_true(nx_str_is(function->triggers[0].event_type, "user.created"));
    assert_true(nx_str_is(function->triggers[0].method, "POST"));
    assert_true(nx_str_is(function->code_path, "project/build/welcome.wasm"));
    assert_true(nx_str_is(function->build_command, "make"));
    assert_true(function->timeout_ns == 5LL * NX_NS_PER_S);
    assert_true(function->memory_max == 128ULL << 20);
    assert_true(nx_str_is(function->env[0].name, "LOG_LEVEL"));
    assert_true(nx_str_is(function->env[0].value, "info"));
    assert_int_equal(function->retry.attempts_max, 5);
    assert_true(function->retry.backoff_max_ns == 300LL * NX_NS_PER_S);
    assert_true(nx_str_is(function->order_key, "data.user_id"));
    assert_int_equal(function->concurrency_max, 16);
    assert_int_equal(function->from, NX_FROM_NEW);

    function = &config->functions[1];
    assert_int_equal(function->trigger_count, 3);
    assert_true(nx_str_is(function->triggers[1].event_type, "http.other"));
    assert_int_equal(function->triggers[1].kept_credentials, 1U << NX_AUTHORIZATION | 1U << NX_COOKIE);
    assert_int_equal(function->triggers[2].kept_credentials, 1U << NX_PROXY_AUTHORIZATION);
    assert_true(nx_str_is(function->code_path, "/abs/other.wasm"));
    assert_int_equal(function->from, NX_FROM_TIME);
    assert_int_equal(function->retry.attempts_max, 5);
}

static void test_a_function_that_only_answers_is_tried_once(void **state) {
    static const char text[] = "version: v1\n"
                               "functions:\n"
                               "  - name: api\n"
                               "    on: {http: {path: /a, respond: result, wait: 2s}}\n"
                               "    code: a.wasm\n"
                               "  - name: again\n"
                               "    on: {http: {path: /b, respond: early}}\n"
                               "    code: a.wasm\n"
                               "    retry: {max_attempts: 3}\n"
                               "  - name: both\n"
                               "    on: [{http: {path: /c, respond: result}}, {event: {type: x}}]\n"
                               "    code: a.wasm\n";
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) problems = { 0 };

    (void)state;
    assert_int_equal(parse(text, &config, &problems, NULL), NX_OK);
    assert_int_equal(config->functions[0].triggers[0].respond, NX_RESPOND_RESULT);
    assert_true(config->functions[0].triggers[0].wait_ns == 2LL * NX_NS_PER_S);
    assert_int_equal(config->functions[0].retry.attempts_max, 1);
    assert_true(config->functions[1].triggers[0].wait_ns == 30LL * NX_NS_PER_S);
    assert_int_equal(config->functions[1].retry.attempts_max, 3);
    assert_int_equal(config->functions[2].retry.attempts_max, 5);
}

static void test_tells_what_is_wrong_with_paths_methods_and_cors(void **state) {
    (void)state;
    assert_problems(
        "version: v1\n"
        "functions:\n"
        "  - name: a\n"
        "    on: [{http: {path: '/a/{b}/{b}'}}, {http: {method: [], path: /b}},\n"
        "         {http: {method: [GET, PATHC], path: /d}}, {http: {method: GET, path: '/c/{x}'}},\n"
        "         {http: {method: GET, path: '/c/{y}'}},\n"
        "         {http: {path: /events/x, respond: result}}]\n"
        "    code: a.wasm\n"
        "    cors: {origins: ['https://a.b/c', '*'], credentials: true, headers: ['x y']}\n"
        "  - name: b\n"
        "    on: {event: {type: x}}\n"
        "    code: a.wasm\n"
        "    cors: {origins: ['*']}\n",
        "project/nexus.yaml:4:24: two parameters are called 'b'\n"
        "project/nexus.yaml:4:56: 'method' is empty: expected one of GET, POST, PUT, PATCH and DELETE\n"
        "project/nexus.yaml:5:32: 'PATHC' is not known here: did you mean 'PATCH'?\n"
        "project/nexus.yaml:7:35: under /events/ several functions may fire: 'respond' goes with a path of "
        "the "
        "function's own\n"
        "project/nexus.yaml:9:22: 'https://a.b/c' is no origin: expected https://app.example.com, without a "
        "path, or *\n"
        "project/nexus.yaml:9:74: 'x y' cannot be a header's name\n"
        "project/nexus.yaml:9:58: 'credentials' goes with named origins only: with '*' any page could use "
        "them\n"
        "project/nexus.yaml:4:9: GET /c/{y} belongs to 'a' already\n"
        "project/nexus.yaml:13:5: 'cors' goes with an HTTP path of the function's own\n");
}

static void test_takes_values_from_the_environment_of_the_server(void **state) {
    static const char text[] = "version: v1\n"
                               "functions:\n"
                               "  - name: a\n"
                               "    on: {event: {type: x}}\n"
                               "    code: a.wasm\n"
                               "    env:\n"
                               "      HERE: {from_env: NX_CONFIG_TEST, default: other}\n"
                               "      NOT: {from_env: NX_CONFIG_TEST_2, default: other}\n"
                               "      GONE: {from_env: NX_CONFIG_TEST_2}\n";
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) problems = { 0 };

    (void)state;
    assert_int_equal(setenv("NX_CONFIG_TEST", "a secret", 1), 0);
    assert_int_equal(parse(text, &config, &problems, NULL), NX_OK);
    const struct nx_function *function = &config->functions[0];
    assert_true(nx_str_is(function->env[0].value, "a secret"));
    assert_true(nx_str_is(function->env[1].value, "other"));
    assert_false(function->env[1].is_missing);
    assert_true(function->env[2].is_missing);
    assert_problems("version: v1\n"
                    "functions:\n"
                    "  - name: a\n"
                    "    on: {event: {type: x}}\n"
                    "    code: a.wasm\n"
                    "    env: {A: {from_env: '1'}, B: {from: X}}\n",
                    "project/nexus.yaml:6:25: '1' cannot name an environment variable\n"
                    "project/nexus.yaml:6:35: env has no key 'from': expected from_env or default\n"
                    "project/nexus.yaml:6:34: env needs the key 'from_env'\n");
}

static void test_tells_every_mistake_at_once_with_its_place(void **state) {
    (void)state;
    assert_problems(
        "version: v1\n"
        "functions:\n"
        "  - name: a\n"
        "    on: {http: {path: /a}}\n"
        "    code: a.wasm\n"
        "    rutime: wasi-preview1\n"
        "    timeout: 2h\n"
        "    input: evnt\n"
        "  - name: a\n"
        "    code: b.wasm\n"
        "disk_bugdet: 1GiB\n",
        "project/nexus.yaml:6:5: a function has no key 'rutime': did you mean 'runtime'?\n"
        "project/nexus.yaml:7:14: 'timeout' must be between 1ms and 1h, not 2h\n"
        "project/nexus.yaml:8:12: 'evnt' is not known here: did you mean 'event'?\n"
        "project/nexus.yaml:9:11: two functions are called 'a'\n"
        "project/nexus.yaml:9:5: a function needs the key 'on'\n"
        "project/nexus.yaml:11:1: nexus.yaml has no key 'disk_bugdet': did you mean 'disk_budget'?\n");
}

static void test_counts_the_mistakes(void **state) {
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) problems = { 0 };
    struct nx_error err = { 0 };

    (void)state;
    assert_int_equal(parse("versoin: v1\n", &config, &problems, &err), NX_INVALID_ARGUMENT);
    assert_string_equal(err.message, "project/nexus.yaml has 2 mistakes");
}

static void test_refuses_paths_that_the_server_answers_itself(void **state) {
    static const char *const paths[] = { "/metrics",   "/events",        "/replay/x",
                                         "/functions", "/invocations/7", "/healthz" };
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char text[256];
        NX_AUTO(nx_config) *config = NULL;
        NX_AUTO(nx_buf) problems = { 0 };
        (void)snprintf(text, sizeof text,
                       "version: v1\nfunctions: [{name: a, code: a.wasm, on: {http: {path: %s}}}]\n",
                       paths[i]);
        assert_int_equal(parse(text, &config, &problems, NULL), NX_INVALID_ARGUMENT);
        assert_true(nx_str_find(nx_buf_str(&problems), NX_STR("collides with")) != SIZE_MAX);
    }
}

static void test_refuses_reading_under_events_and_one_path_for_two(void **state) {
    (void)state;
    assert_problems(
        "version: v1\n"
        "functions:\n"
        "- {name: a, code: a.wasm, on: {http: {method: GET, path: /events/x}}}\n"
        "- {name: b, code: a.wasm, on: {http: {path: /p}}}\n"
        "- {name: c, code: a.wasm, on: {http: {path: /p}}}\n",
        "project/nexus.yaml:3:58: GET /events/x collides with reading events: under /events/ only "
        "POST fires\n"
        "project/nexus.yaml:5:31: POST /p belongs to 'b' already\n");
}

static void test_a_key_given_twice_hides_no_other_mistake(void **state) {
    (void)state;
    assert_problems("version: v2\n"
                    "functions:\n"
                    "- name: a\n"
                    "  code: a.wasm\n"
                    "  code: b.wasm\n"
                    "  on: {event: {type: x}}\n"
                    "  env: {A: 1, A: 2}\n",
                    "project/nexus.yaml:1:10: 'v2' is not known here: did you mean 'v1'?\n"
                    "project/nexus.yaml:5:3: key 'code' was given already, in line 4\n"
                    "project/nexus.yaml:7:15: key 'A' was given already, in line 7\n");
}

static void test_refuses_types_with_wildcards(void **state) {
    (void)state;
    assert_problems(
        "version: v1\n"
        "functions:\n"
        "- {name: a, code: a.wasm, on: {event: {type: user.*}}}\n"
        "- {name: b, code: a.wasm, on: [{event: {type: a*b}}, {event: {type: '>'}}]}\n"
        "- {name: c, code: a.wasm, on: {http: {path: /events/user.*}}}\n",
        "project/nexus.yaml:3:46: 'user.*' is no event's type: a function names each type that it takes, "
        "without wildcards\n"
        "project/nexus.yaml:4:69: '>' is no event's type: a function names each type that it takes, without "
        "wildcards\n"
        "project/nexus.yaml:5:45: 'user.*' is no event's type: a function names each type that it takes, "
        "without wildcards\n");
}

static void test_refuses_headers_to_keep_that_need_no_mention(void **state) {
    (void)state;
    assert_problems(
        "version: v1\n"
        "functions:\n"
        "- name: a\n"
        "  code: a.wasm\n"
        "  on:\n"
        "  - http: {path: /a, keep_headers: [x-signature]}\n"
        "  - http: {path: /b, keep_headers: authorisation}\n"
        "  - http: {path: /c, keep_headers: [{}]}\n"
        "  - http: {path: /events/x, keep_headers: [cookie]}\n",
        "project/nexus.yaml:6:37: 'x-signature' needs no mention: every header is kept but authorization, "
        "cookie and proxy-authorization, which are dropped unless they stand here\n"
        "project/nexus.yaml:7:36: 'authorisation' is not known here: did you mean 'authorization'?\n"
        "project/nexus.yaml:8:37: expected text, found a mapping\n"
        "project/nexus.yaml:9:29: under /events/ no request header becomes part of the event: "
        "'keep_headers' goes with other paths\n");
}

static void test_refuses_to_listen_beyond_this_machine(void **state) {
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) problems = { 0 };

    (void)state;
    assert_int_equal(parse("version: v1\n", &config, &problems, NULL), NX_OK);
    assert_int_equal(nx_config_set_listen(config, &config->http, NX_STR("0.0.0.0:80"), NULL),
                     NX_INVALID_ARGUMENT);
    assert_int_equal(nx_config_set_listen(config, &config->http, NX_STR("8080"), NULL), NX_INVALID_ARGUMENT);
    assert_int_equal(nx_config_set_listen(config, &config->http, NX_STR("localhost:70000"), NULL),
                     NX_INVALID_ARGUMENT);
    assert_int_equal(nx_config_set_listen(config, &config->http, NX_STR("[::1]:81"), NULL), NX_OK);
    assert_true(nx_str_is(config->http.host, "::1"));
    assert_int_equal(config->http.port, 81);
    assert_int_equal(nx_config_set_listen(config, &config->http, NX_STR(":0"), NULL), NX_OK);
    assert_true(nx_str_is(config->http.host, "127.0.0.1"));
}

static void test_reads_who_may_connect_to_nats(void **state) {
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) problems = { 0 };
    static const char text[] = ("version: v1\n"
                                "listen: {nats: '0.0.0.0:4222'}\n"
                                "nats:\n"
                                "  auth_timeout: 1s\n"
                                "  users:\n"
                                "  - user: ann\n"
                                "    password: s3cret\n"
                                "    account: A\n"
                                "    permissions:\n"
                                "      publish: [a.>, b]\n"
                                "      subscribe: {allow: 'a.* q', deny: [a.b]}\n"
                                "      allow_responses: {max: 3}\n"
                                "  - nkey: UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK\n");
    (void)state;
    assert_int_equal(parse(text, &config, &problems, NULL), NX_OK);
    const struct nx_nats_options *nats = &config->nats_options;
    assert_int_equal(nats->user_count, 2);
    const struct nx_nats_permissions *permissions = nats->users[0].permissions;
    assert_true(nx_str_is(nats->users[0].password, "s3cret"));
    assert_true(nx_str_is(nats->users[0].account, "A"));
    assert_int_equal(permissions->publish.allow_count, 2);
    assert_true(permissions->publish.is_limited);
    assert_true(nx_str_is(permissions->subscribe.allow[0].subject, "a.*"));
    assert_true(nx_str_is(permissions->subscribe.allow[0].queue, "q"));
    assert_true(nx_str_is(permissions->subscribe.deny[0].subject, "a.b"));
    assert_int_equal(permissions->responses_max, 3);
    assert_null(nats->users[1].permissions);
    assert_int_equal(nats->auth_timeout_ns, 1000000000);
}

/* One mistake, told with `expected` in it and without the secret. */
static void bad(const char *text, const char *expected) {
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) problems = { 0 };
    assert_int_equal(parse(text, &config, &problems, NULL), NX_INVALID_ARGUMENT);
    assert_true(nx_str_find(nx_buf_str(&problems), nx_str_from_c(expected)) != SIZE_MAX);
    assert_true(nx_str_find(nx_buf_str(&problems), NX_STR("s3cret")) == SIZE_MAX);
}

static void test_reads_tls_of_nats(void **state) {
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) problems = { 0 };
    (void)state;
    assert_int_equal(
        parse("version: v1\n"
              "nats:\n"
              "  tls: {cert_file: tls/a.pem, key_file: /b.key, ca_file: c.pem, verify_and_map: true,\n"
              "        handshake_first: 50ms, timeout: 1s, allow_non_tls: true}\n",
              &config, &problems, NULL),
        NX_OK);
    const struct nx_nats_tls_options *tls = &config->nats_options.tls;
    assert_string_equal(tls->cert_file, "project/tls/a.pem");
    assert_string_equal(tls->key_file, "/b.key");
    assert_string_equal(tls->ca_file, "project/c.pem");
    assert_true(tls->verify_and_map && tls->handshake_first && tls->allow_non_tls);
    assert_int_equal(tls->handshake_first_fallback_ns, 50000000);
    assert_int_equal(tls->timeout_ns, 1000000000);
    bad("nats: {tls: {cert_file: a}}\n", "needs the key 'key_file'");
    bad("nats: {tls: {cert_file: a, key_file: b, handshake_first: soon}}\n", "true, false or a time");
}

static void test_mistakes_about_nats_show_no_secret(void **state) {
    (void)state;
    bad("nats: {users: [{user: ann, password: s3cret}, {user: ann, password: s3cret}]}\n",
        "user \"ann\" is there twice");
    bad("nats: {token: s3cret, users: [{user: ann, password: s3cret}]}\n", "there cannot be a list of users");
    bad("nats: {users: [{user: ann}]}\n", "user 'ann' needs the key 'password'");
    bad("nats: {users: [{user: ann, password: s3cret, nkey: UA}]}\n", "is no public nkey");
    bad("nats: {users: [{nkey: SUAM}]}\n", "'S' is no public nkey of a user");
    bad("nats: {users: [{user: a, password: b, permissions: {publish: [a q]}}]}\n", "has a queue");
    bad("nats: {users: [{user: a, password: b, permissions: {subscribe: a..b}}]}\n", "'a..b' is no subject");
    bad("listen: {nats: '0.0.0.0:4222'}\n", "listen.nats needs users or a token");
}

/* The schema and the parser agree: for each mapping of the schema, in place of a key nobody knows the parser
 * lists what it expects; those are the schema's properties, no more and no fewer. */
static const struct agreement {
    const char *schema; /* path to the object in the schema */
    const char *text;   /* a file in which that mapping holds the key "zzzzzzzz" */
} agreements[] = {
    { "", "zzzzzzzz: 1\n" },
    { "properties.listen", "listen: {zzzzzzzz: 1}\n" },
    { "$defs.stream", "streams: {EVENTS: {zzzzzzzz: 1}}\n" },
    { "$defs.function", "functions: [{zzzzzzzz: 1}]\n" },
    { "$defs.trigger", "functions: [{on: {zzzzzzzz: 1}}]\n" },
    { "$defs.trigger.properties.http", "functions: [{on: {http: {zzzzzzzz: 1}}}]\n" },
    { "$defs.trigger.properties.event", "functions: [{on: {event: {zzzzzzzz: 1}}}]\n" },
    { "$defs.retry", "functions: [{retry: {zzzzzzzz: 1}}]\n" },
    { "$defs.order", "functions: [{order: {zzzzzzzz: 1}}]\n" },
    { "properties.nats", "nats: {zzzzzzzz: 1}\n" },
    { "$defs.natsTls", "nats: {tls: {zzzzzzzz: 1}}\n" },
    { "$defs.natsUser", "nats: {users: [{zzzzzzzz: 1}]}\n" },
    { "$defs.natsPermissions", "nats: {users: [{permissions: {zzzzzzzz: 1}}]}\n" },
    { "$defs.natsAllowDeny", "nats: {users: [{permissions: {publish: {zzzzzzzz: 1}}}]}\n" },
    { "$defs.natsResponses", "nats: {users: [{permissions: {allow_responses: {zzzzzzzz: 1}}}]}\n" },
};

static struct nx_json_doc *read_schema(void) {
    struct nx_json_doc *doc = NULL;
    NX_AUTO(nx_buf) text = { 0 };

    const char *path = getenv("NEXUS_SCHEMA");
    assert_non_null(path);
    nx_buf_init(&text, 1024 * 1024);
    assert_int_equal(nx_disk_read_file(nx_disk_system(), path, &text, NULL), NX_OK);
    assert_int_equal(nx_json_parse(nx_buf_str(&text), 16 * 1024 * 1024, &doc, NULL), NX_OK);
    return doc;
}

/* What stands behind "expected " in the line about the unknown key: "a, b or c". */
static void expected_keys(const char *text, struct nx_buf *keys_out) {
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) problems = { 0 };
    struct nx_str line;

    assert_int_equal(parse(text, &config, &problems, NULL), NX_INVALID_ARGUMENT);
    struct nx_str rest = nx_buf_str(&problems);
    while (nx_str_split(&rest, '\n', &line)) {
        const size_t at = nx_str_find(line, NX_STR("'zzzzzzzz': expected "));
        if (at != SIZE_MAX) {
            struct nx_str list = nx_str_slice(line, at + sizeof "'zzzzzzzz': expected " - 1, line.len);
            struct nx_str word;
            while (nx_str_split(&list, ' ', &word)) {
                if (!nx_str_is(word, "or")) {
                    word.len -= word.ptr[word.len - 1] == ',' ? 1 : 0;
                    nx_buf_append(keys_out, word);
                    nx_buf_append_u8(keys_out, '\n');
                }
            }
        }
    }
}

static void test_agrees_with_the_schema(void **state) {
    NX_AUTO(nx_json_doc) *doc = read_schema();

    (void)state;
    for (size_t i = 0; i < sizeof agreements / sizeof agreements[0]; i++) {
        NX_AUTO(nx_buf) ours = { 0 };
        NX_AUTO(nx_buf) theirs = { 0 };
        const struct nx_json_value *object = nx_json_root(doc);
        if (agreements[i].schema[0] != '\0') {
            object = nx_json_lookup(object, nx_str_from_c(agreements[i].schema));
        }
        struct nx_json_iterator walk = nx_json_iterate(nx_json_get(object, NX_STR("properties")));
        const struct nx_json_value *value;
        struct nx_str name;

        nx_buf_init(&ours, 4096);
        nx_buf_init(&theirs, 4096);
        expected_keys(agreements[i].text, &ours);
        while (nx_json_next(&walk, &name, &value)) {
            nx_buf_append(&theirs, name);
            nx_buf_append_u8(&theirs, '\n');
        }
        nx_buf_append_u8(&ours, 0);
        nx_buf_append_u8(&theirs, 0);
        assert_string_equal(ours.ptr, theirs.ptr);
    }
}

static void test_reads_filters_in_cloudevents_form(void **state) {
    NX_AUTO(nx_config) *config = NULL;
    NX_AUTO(nx_buf) problems = { 0 };
    NX_AUTO(nx_buf) written = { 0 };
    struct nx_json_writer json;
    struct nx_error err = { 0 };

    (void)state;
    const enum nx_status status =
        parse("version: v1\n"
              "functions:\n"
              "  - name: a\n"
              "    code: a.wasm\n"
              "    on:\n"
              "      event:\n"
              "        type: t\n"
              "        filters:\n"
              "          - prefix: {source: /shop, data.x: 1}\n"
              "          - any: [{exact: {tenant: a}}, {not: {suffix: {subject: b}}}]\n",
              &config, &problems, &err);
    nx_buf_append_u8(&problems, 0);
    assert_string_equal(problems.ptr, "");
    assert_int_equal(status, NX_OK);
    nx_buf_init(&written, 4096);
    nx_json_writer_init(&json, &written);
    nx_event_filter_write(&json, config->functions[0].triggers[0].filter);
    nx_json_writer_end(&json);
    nx_buf_append_u8(&written, 0);
    assert_string_equal(
        written.ptr,
        "{\"all\":[{\"all\":[{\"prefix\":{\"source\":\"/shop\"}},{\"prefix\":{\"data.x\":\"1\"}}]},"
        "{\"any\":[{\"exact\":{\"tenant\":\"a\"}},{\"not\":{\"suffix\":{\"subject\":\"b\"}}}]}]}");
}

static void test_tells_every_wrong_filter_at_its_place(void **state) {
    (void)state;
    assert_problems(
        "version: v1\n"
        "functions:\n"
        "  - name: a\n"
        "    code: a.wasm\n"
        "    on:\n"
        "      event:\n"
        "        type: t\n"
        "        filters:\n"
        "          - exakt: {source: /shop}\n"
        "          - exact: {Source: /shop}\n"
        "          - exact: {source: ''}\n"
        "          - any: []\n"
        "          - {exact: {id: a}, prefix: {id: b}}\n"
        "          - not: [a]\n",
        "project/nexus.yaml:9:13: there is no filter 'exakt': did you mean 'exact'?\n"
        "project/nexus.yaml:10:21: 'Source' is no attribute (small letters and digits), nor a path "
        "such as data.user_id\n"
        "project/nexus.yaml:11:29: an empty text cannot be filtered for\n"
        "project/nexus.yaml:12:18: this list of filters is empty\n"
        "project/nexus.yaml:13:13: a filter is one of exact, prefix, suffix, all, any, not; for more "
        "make it a list\n"
        "project/nexus.yaml:14:18: expected a mapping, found a list\n");
}

static void test_filters_inside_each_other_have_a_limit(void **state) {
    NX_AUTO(nx_buf) text = { 0 };
    (void)state;
    nx_buf_init(&text, 4096);
    nx_buf_append_c(&text,
                    "version: v1\nfunctions: [{name: a, code: a.wasm, on: {event: {type: t, filters: [");
    for (int i = 0; i < NX_EVENT_FILTER_DEPTH_MAX; i++) {
        nx_buf_append_c(&text, "{not: ");
    }
    nx_buf_append_c(&text, "{exact: {id: a}}");
    for (int i = 0; i < NX_EVENT_FILTER_DEPTH_MAX; i++) {
        nx_buf_append_c(&text, "}");
    }
    nx_buf_append_c(&text, "]}}}]\n");
    nx_buf_append_u8(&text, 0);
    assert_problems((const char *)text.ptr,
                    "project/nexus.yaml:2:117: filters are at most 8 inside each other\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_filters_in_cloudevents_form),
        cmocka_unit_test(test_tells_every_wrong_filter_at_its_place),
        cmocka_unit_test(test_filters_inside_each_other_have_a_limit),
        cmocka_unit_test(test_reads_every_key),
        cmocka_unit_test(test_a_function_that_only_answers_is_tried_once),
        cmocka_unit_test(test_tells_what_is_wrong_with_paths_methods_and_cors),
        cmocka_unit_test(test_takes_values_from_the_environment_of_the_server),
        cmocka_unit_test(test_tells_every_mistake_at_once_with_its_place),
        cmocka_unit_test(test_counts_the_mistakes),
        cmocka_unit_test(test_refuses_paths_that_the_server_answers_itself),
        cmocka_unit_test(test_refuses_reading_under_events_and_one_path_for_two),
        cmocka_unit_test(test_a_key_given_twice_hides_no_other_mistake),
        cmocka_unit_test(test_refuses_types_with_wildcards),
        cmocka_unit_test(test_refuses_headers_to_keep_that_need_no_mention),
        cmocka_unit_test(test_refuses_to_listen_beyond_this_machine),
        cmocka_unit_test(test_reads_who_may_connect_to_nats),
        cmocka_unit_test(test_reads_tls_of_nats),
        cmocka_unit_test(test_mistakes_about_nats_show_no_secret),
        cmocka_unit_test(test_agrees_with_the_schema),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
