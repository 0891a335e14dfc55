/* src/app/nats_settings_test.c: each key of nats-server is taken, or refused with its place and what to do.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "app/nats_settings.h"

static enum nx_status read_text(void *data, const char *path, struct nx_buf *content, struct nx_error *err) {
    (void)path;
    nx_buf_append_c(content, data);
    return nx_buf_check(content, err);
}

static enum nx_status take(const char *text, struct nx_nats_settings *settings, struct nx_error *err) {
    const struct nx_nats_config_source source = { .read = read_text, .data = (void *)(uintptr_t)text };
    struct nx_nats_config *config = NULL;
    nx_nats_settings_init(settings);
    NX_TRY(nx_nats_config_read("s.conf", &source, &config, err));
    return nx_nats_settings_take(settings, config, err);
}

static void must_take(const char *text, struct nx_nats_settings *settings) {
    struct nx_error err = { 0 };
    if (take(text, settings, &err) != NX_OK) {
        fail_msg("%s", err.message);
    }
}

static void assert_refused(const char *text, enum nx_status status, const char *message, const char *hint) {
    NX_AUTO(nx_nats_settings) settings = { 0 };
    struct nx_error err = { 0 };
    assert_int_equal(take(text, &settings, &err), status);
    assert_string_equal(err.message, message);
    assert_string_equal(err.hint, hint);
}

static void assert_str(struct nx_str s, const char *text) {
    if (!nx_str_is(s, text)) {
        fail_msg("'%.*s' is not '%s'", NX_STR_ARG(s), text);
    }
}

static void test_what_is_not_said_has_the_defaults(void **state) {
    NX_AUTO(nx_nats_settings) settings = { 0 };
    (void)state;
    must_take("", &settings);
    assert_str(settings.server.host, "127.0.0.1");
    assert_int_equal(settings.port, 4222);
    assert_int_equal(settings.http_port, 0);
    assert_true(settings.logtime);
    assert_false(settings.jetstream);
    assert_int_equal(settings.server.user_count, 0);
}

static void test_every_plain_key_reaches_its_setting(void **state) {
    NX_AUTO(nx_nats_settings) settings = { 0 };
    (void)state;
    must_take(
        "listen: \"0.0.0.0:-1\"\nhttp: 127.0.0.1:8222\nserver_name: n1\n"
        "jetstream { store_dir: /tmp/js, max_mem: 1G, max_file: 10GB }\n"
        "max_payload: 64k\nmax_pending: 1mb\nmax_control_line 2k\nmax_connections: 100\nmax_subs: 50\n"
        "ping_interval: \"30s\"\nping_max: 3\nwrite_deadline: \"4s\"\nlame_duck_duration: "
        "\"3m\"\nlame_duck_grace_period: 5\n"
        "pidfile: /tmp/pid\nports_file_dir: /tmp\nlogfile: /tmp/log\nlogtime: false\ndebug: yes\ntrace: on\n"
        "no_auth_user: a\nsystem_account: SYS\n"
        "authorization { timeout: 0.5, users: [{user: a, password: b}] }\n"
        "tls { cert_file: c.pem, key_file: k.pem, ca_file: ca.pem, verify_and_map: true, timeout: 3,\n"
        "      handshake_first: auto }\nallow_non_tls: true\n",
        &settings);
    const struct nx_nats_options *server = &settings.server;
    assert_str(server->host, "0.0.0.0");
    assert_int_equal(settings.port, -1);
    assert_str(settings.http_host, "127.0.0.1");
    assert_int_equal(settings.http_port, 8222);
    assert_str(server->server_name, "n1");
    assert_true(settings.jetstream);
    assert_string_equal(settings.store_dir, "/tmp/js");
    assert_int_equal(server->payload_size_max, 64000);
    assert_int_equal(server->pending_size_max, 1024 * 1024);
    assert_int_equal(server->control_line_size_max, 2000);
    assert_int_equal(server->connections_max, 100);
    assert_int_equal(server->subscriptions_max, 50);
    assert_int_equal(server->ping_interval_ns, 30000000000);
    assert_int_equal(server->pings_max, 3);
    assert_int_equal(server->write_deadline_ns, 4000000000);
    assert_int_equal(server->lame_duck_ns, 180000000000);
    assert_int_equal(server->lame_duck_grace_ns, 5000000000);
    assert_string_equal(settings.pid_file, "/tmp/pid");
    assert_string_equal(settings.ports_file_dir, "/tmp");
    assert_string_equal(settings.log_file, "/tmp/log");
    assert_false(settings.logtime);
    assert_true(settings.debug && settings.trace);
    assert_str(server->no_auth_user, "a");
    assert_str(server->system_account, "SYS");
    assert_int_equal(server->auth_timeout_ns, 500000000);
    assert_string_equal(server->tls.cert_file, "c.pem");
    assert_string_equal(server->tls.ca_file, "ca.pem");
    assert_true(server->tls.verify && server->tls.verify_and_map && server->tls.handshake_first);
    assert_int_equal(server->tls.handshake_first_fallback_ns, 50000000);
    assert_int_equal(server->tls.timeout_ns, 3000000000);
    assert_true(server->tls.allow_non_tls);
}

static void test_users_have_their_permissions_or_those_of_all(void **state) {
    NX_AUTO(nx_nats_settings) settings = { 0 };
    (void)state;
    must_take(
        "authorization {\n"
        "  users = [\n"
        "    {user: a, pass: 1x, permissions: {publish: [\"a.>\", b], subscribe: {allow: \"q.* work\",\n"
        "      deny: [\"q.no\"]}, allow_responses: {max: 5, expires: \"1m\"}}}\n"
        "    {user: b, password: y}, {nkey: UC}\n"
        "  ]\n"
        "  default_permissions { sub: \"all\", allow_responses: true }\n"
        "}\n",
        &settings);
    const struct nx_nats_user *users = settings.server.users;
    assert_int_equal(settings.server.user_count, 3);
    assert_str(users[0].name, "a");
    assert_str(users[0].password, "1x");
    const struct nx_nats_permissions *mine = users[0].permissions;
    assert_true(mine->publish.is_limited);
    assert_int_equal(mine->publish.allow_count, 2);
    assert_str(mine->publish.allow[0].subject, "a.>");
    assert_str(mine->subscribe.allow[0].subject, "q.*");
    assert_str(mine->subscribe.allow[0].queue, "work");
    assert_str(mine->subscribe.deny[0].subject, "q.no");
    assert_str(mine->subscribe.deny[0].queue, "");
    assert_int_equal(mine->responses_max, 5);
    assert_int_equal(mine->responses_expire_ns, 60000000000);
    assert_str(users[2].nkey, "UC");
    assert_ptr_equal(users[1].permissions, users[2].permissions);
    assert_true(users[1].permissions->allow_responses);
    assert_int_equal(users[1].permissions->publish.allow_count, 0);
}

static void test_accounts_hold_users_or_are_only_named(void **state) {
    NX_AUTO(nx_nats_settings) settings = { 0 };
    NX_AUTO(nx_nats_settings) named = { 0 };
    (void)state;
    must_take("PASS: secret\naccounts {\n A { users: [{user: a, password: $PASS}], jetstream: enabled }\n"
              " B: { default_permissions: {pub: {deny: x}}, users: [{user: b, password: z}] }\n C: {}\n}\n",
              &settings);
    assert_int_equal(settings.server.account_count, 3);
    assert_str(settings.server.users[0].account, "A");
    assert_str(settings.server.users[0].password, "secret");
    assert_str(settings.server.users[1].account, "B");
    assert_false(settings.server.users[1].permissions->publish.is_limited);
    assert_true(settings.jetstream);
    must_take("accounts: [X, Y]", &named);
    assert_int_equal(named.server.account_count, 2);
    assert_str(named.server.accounts[1], "Y");
}

static void test_one_user_or_a_token_stand_for_all(void **state) {
    NX_AUTO(nx_nats_settings) settings = { 0 };
    NX_AUTO(nx_nats_settings) token = { 0 };
    (void)state;
    must_take("authorization: {user: derek, password: \"porkchop\"}", &settings);
    assert_str(settings.server.user_name, "derek");
    assert_str(settings.server.user_password, "porkchop");
    must_take("authorization { token: $2a$11$W }", &token);
    assert_str(token.server.token, "$2a$11$W");
}

static void test_what_nats_server_has_and_this_server_has_not_is_refused_by_place(void **state) {
    static const char *const known[] = { "cluster {}",
                                         "gateway {}",
                                         "leafnodes {}",
                                         "websocket {}",
                                         "mqtt {}",
                                         "operator: x",
                                         "resolver: MEMORY",
                                         "mappings {}",
                                         "https: 1",
                                         "write_timeout: close",
                                         "no_sublist_cache: true",
                                         "accounts {A {imports: []}}",
                                         "accounts {A {limits {}}}",
                                         "jetstream {domain: x}",
                                         "tls {insecure: true}",
                                         "authorization {auth_callout {}}" };
    (void)state;
    assert_refused("port: 1\n  cluster { name: c }\n", NX_UNIMPLEMENTED,
                   "s.conf:2:3: 'cluster' is not built here",
                   "this is one server; for more than one, run nats-server");
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        NX_AUTO(nx_nats_settings) settings = { 0 };
        struct nx_error err = { 0 };
        assert_int_equal(take(known[i], &settings, &err), NX_UNIMPLEMENTED);
        assert_string_not_equal(err.hint, "");
    }
}

static void test_an_unknown_key_is_named_with_the_nearest(void **state) {
    (void)state;
    assert_refused("prot: 4222\n", NX_INVALID_ARGUMENT, "s.conf:1:1: there is no key 'prot' here",
                   "did you mean port?");
    assert_refused("authorization { usres: [] }", NX_INVALID_ARGUMENT,
                   "s.conf:1:17: there is no key 'usres' here", "did you mean users?");
    assert_refused("zzzzzz: 1", NX_INVALID_ARGUMENT, "s.conf:1:1: there is no key 'zzzzzz' here", "");
}

static void test_a_wrong_value_says_what_was_expected(void **state) {
    (void)state;
    assert_refused("port: 70000", NX_INVALID_ARGUMENT,
                   "s.conf:1:1: 'port': expected a number from -1 to 65535 but found 70000", "");
    assert_refused("listen: a:b", NX_INVALID_ARGUMENT,
                   "s.conf:1:1: 'listen': expected a port, or an address such as 127.0.0.1:4222", "");
    assert_refused("server_name: \"a b\"", NX_INVALID_ARGUMENT,
                   "s.conf:1:1: 'server_name': expected a name without spaces", "");
    assert_refused("tls { cert_file: x }", NX_INVALID_ARGUMENT,
                   "s.conf:1:1: 'tls': expected cert_file and key_file", "");
    assert_refused("authorization { users: [{password: x}] }", NX_INVALID_ARGUMENT,
                   "s.conf:1:25: expected a user or an nkey", "");
    assert_refused("authorization { token: a, users: [{user: b}] }", NX_INVALID_ARGUMENT,
                   "s.conf:1:1: a single user or a token, and a list of users: expected one of them", "");
    assert_refused("authorization { users: [{user: b}, {user: b}] }", NX_INVALID_ARGUMENT,
                   "s.conf:1:1: two users are called 'b'", "");
    assert_refused("authorization { users: [{user: b, permissions: {pub: \"a..b\"}}] }", NX_INVALID_ARGUMENT,
                   "s.conf:1:49: expected a subject but found 'a..b'", "");
    assert_refused("no_auth_user: x\n", NX_INVALID_ARGUMENT,
                   "s.conf:1:1: 'no_auth_user': there is no user 'x'", "");
    assert_refused("authorization { users: [{user: b, connection_types: [MQTT]}] }", NX_INVALID_ARGUMENT,
                   "s.conf:1:35: 'connection_types': expected STANDARD among them, the one that is spoken",
                   "");
    assert_refused(
        "ping_interval: 2m", NX_INVALID_ARGUMENT,
        "s.conf:1:1: 'ping_interval': without quotes this is the number 2000000: put the duration in "
        "quotes",
        "");
}

static void test_addresses_have_a_port_and_perhaps_a_host(void **state) {
    struct nx_str host = NX_STR_EMPTY;
    int64_t port = 0;
    (void)state;
    assert_true(nx_nats_settings_split(NX_STR("[::1]:4222"), &host, &port));
    assert_str(host, "::1");
    assert_true(nx_nats_settings_split(NX_STR(":80"), &host, &port));
    assert_str(host, "0.0.0.0");
    assert_true(nx_nats_settings_split(NX_STR("localhost:-1"), &host, &port));
    assert_int_equal(port, -1);
    assert_false(nx_nats_settings_split(NX_STR("::1:4222"), &host, &port));
    assert_false(nx_nats_settings_split(NX_STR("host"), &host, &port));
    assert_false(nx_nats_settings_split(NX_STR("host:65536"), &host, &port));
    assert_false(nx_nats_settings_split(NX_STR(""), &host, &port));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_said_has_the_defaults),
        cmocka_unit_test(test_every_plain_key_reaches_its_setting),
        cmocka_unit_test(test_users_have_their_permissions_or_those_of_all),
        cmocka_unit_test(test_accounts_hold_users_or_are_only_named),
        cmocka_unit_test(test_one_user_or_a_token_stand_for_all),
        cmocka_unit_test(test_what_nats_server_has_and_this_server_has_not_is_refused_by_place),
        cmocka_unit_test(test_an_unknown_key_is_named_with_the_nearest),
        cmocka_unit_test(test_a_wrong_value_says_what_was_expected),
        cmocka_unit_test(test_addresses_have_a_port_and_perhaps_a_host),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
