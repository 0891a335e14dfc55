/* src/io/tls_test.c: what one side says arrives at the other, however the bytes are cut; whoever has no
 * certificate that is trusted stays outside; damaged bytes end the session and nothing else. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "io/tls.h"
#include "io/tls_test.h"

enum { OUTPUT_SIZE_MAX = 8 * 1024 * 1024, PLAIN_SIZE_MAX = 8 * 1024 * 1024, DAYS = 30, ROUNDS_MAX = 20 };

static struct test_identity authority;
static struct test_identity server;
static struct test_identity ann;
static struct test_identity stranger; /* signed by itself */
static struct test_identity expired;

static int make_certificates(void **state) {
    (void)state;
    test_identity_make(&authority, "authority", NULL, NULL, DAYS);
    test_identity_make(&server, "localhost", "DNS:localhost,IP:127.0.0.1", &authority, DAYS);
    test_identity_make(&ann, "ann", "DNS:ann.example.com,email:ann@example.com,URI:urn:ann", &authority,
                       DAYS);
    test_identity_make(&stranger, "stranger", NULL, NULL, DAYS);
    test_identity_make(&expired, "late", NULL, &authority, -1);
    return 0;
}

static int free_certificates(void **state) {
    (void)state;
    test_identity_free(&authority);
    test_identity_free(&server);
    test_identity_free(&ann);
    test_identity_free(&stranger);
    test_identity_free(&expired);
    return 0;
}

static struct nx_tls_options good_options(bool verify) {
    return (struct nx_tls_options){ .certificate = nx_str_from_c(server.certificate_pem),
                                    .key = nx_str_from_c(server.key_pem),
                                    .authorities = nx_str_from_c(authority.certificate_pem),
                                    .verify = verify };
}

struct pair {
    struct nx_tls *tls;
    struct test_client client;
    struct nx_buf plain;
    size_t piece; /* bytes that the server is given at once */
};

static void pair_open(struct pair *pair, bool verify, const struct test_identity *identity, int version,
                      size_t piece) {
    NX_AUTO(nx_tls_context) *context = NULL;
    const struct nx_tls_options options = good_options(verify);
    assert_int_equal(nx_tls_context_new(&options, &context, NULL), NX_OK);
    assert_int_equal(nx_tls_open(context, OUTPUT_SIZE_MAX, &pair->tls, NULL), NX_OK);
    test_client_open(&pair->client, &authority, identity, version);
    nx_buf_init(&pair->plain, PLAIN_SIZE_MAX);
    pair->piece = piece;
}

static void pair_close(struct pair *pair) {
    nx_tls_close(pair->tls);
    test_client_close(&pair->client);
    nx_buf_fini(&pair->plain);
}

/* Carry what either side has to say once; the server's status. */
static enum nx_status carry(struct pair *pair, struct nx_error *err) {
    enum nx_status status = NX_OK;
    static char bytes[65536];
    int count;
    while (status == NX_OK && (count = BIO_read(pair->client.out, bytes, sizeof bytes)) > 0) {
        for (size_t i = 0; i < (size_t)count && status == NX_OK; i += pair->piece) {
            const struct nx_str all = nx_str_of(bytes, (size_t)count);
            status = nx_tls_read(pair->tls, nx_str_slice(all, i, i + pair->piece), &pair->plain, err);
        }
    }
    struct nx_buf *output = nx_tls_output(pair->tls);
    if (output->len > 0) {
        assert_int_equal(BIO_write(pair->client.in, output->ptr, (int)output->len), (int)output->len);
        nx_buf_reset(output);
    }
    return status;
}

static enum nx_status shake_hands(struct pair *pair, struct nx_error *err) {
    enum nx_status status = NX_OK;
    for (int i = 0; i < ROUNDS_MAX && status == NX_OK; i++) {
        (void)SSL_do_handshake(pair->client.ssl);
        status = carry(pair, err);
    }
    return status;
}

static void assert_client_reads(struct pair *pair, struct nx_str expected) {
    static char bytes[65536];
    size_t offset = 0;
    while (offset < expected.len) {
        const int count = SSL_read(pair->client.ssl, bytes, sizeof bytes);
        assert_true(count > 0 && (size_t)count <= expected.len - offset);
        assert_memory_equal(bytes, expected.ptr + offset, (size_t)count);
        offset += (size_t)count;
    }
}

static void talk(int version, size_t piece) {
    static char long_text[100000];
    struct pair pair;
    for (size_t i = 0; i < sizeof long_text; i++) {
        long_text[i] = (char)(i * 7);
    }
    pair_open(&pair, false, NULL, version, piece);
    assert_int_equal(shake_hands(&pair, NULL), NX_OK);
    assert_true(nx_tls_is_established(pair.tls));
    assert_int_equal(SSL_write(pair.client.ssl, long_text, sizeof long_text), sizeof long_text);
    assert_int_equal(carry(&pair, NULL), NX_OK);
    assert_int_equal(pair.plain.len, sizeof long_text);
    assert_memory_equal(pair.plain.ptr, long_text, sizeof long_text);
    assert_int_equal(nx_tls_write(pair.tls, nx_str_of(long_text, sizeof long_text), NULL), NX_OK);
    assert_int_equal(nx_tls_write(pair.tls, NX_STR_EMPTY, NULL), NX_OK);
    assert_int_equal(carry(&pair, NULL), NX_OK);
    assert_client_reads(&pair, nx_str_of(long_text, sizeof long_text));
    nx_tls_end(pair.tls);
    (void)SSL_shutdown(pair.client.ssl);
    assert_int_equal(carry(&pair, NULL), NX_OK);
    assert_true(nx_tls_has_ended(pair.tls));
    assert_int_equal(SSL_shutdown(pair.client.ssl), 1); /* it heard our end too */
    pair_close(&pair);
}

static void test_what_is_said_arrives_however_it_is_cut(void **state) {
    (void)state;
    talk(TLS1_3_VERSION, 65536);
    talk(TLS1_3_VERSION, 1);
    talk(TLS1_2_VERSION, 65536);
    talk(TLS1_2_VERSION, 7);
}

static void test_nothing_is_said_before_the_handshake(void **state) {
    struct pair pair;
    (void)state;
    pair_open(&pair, false, NULL, TLS1_3_VERSION, 65536);
    assert_int_equal(nx_tls_write(pair.tls, NX_STR("x"), NULL), NX_UNAVAILABLE);
    nx_tls_end(pair.tls);
    assert_int_equal(nx_tls_output(pair.tls)->len, 0);
    pair_close(&pair);
}

static void assert_certificate(const struct nx_tls *tls) {
    struct nx_tls_certificate shown;
    assert_true(nx_tls_peer_certificate(tls, 0, &shown));
    assert_string_equal(shown.subject, "CN=ann,O=Example");
    assert_int_equal(strlen(shown.digest), NX_DIGEST_TEXT_SIZE);
    assert_int_equal(strlen(shown.key_digest), NX_DIGEST_TEXT_SIZE);
    assert_string_not_equal(shown.digest, shown.key_digest);
    assert_false(nx_tls_peer_certificate(tls, 9, &shown));
}

static void test_a_session_says_how_it_is_spoken(void **state) {
    static const struct {
        int version;
        const char *name;
        const char *cipher;
    } cases[] = { { TLS1_2_VERSION, "1.2", "TLS_ECDHE_" }, { TLS1_3_VERSION, "1.3", "TLS_" } };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct pair pair;
        struct nx_tls_certificate shown;
        pair_open(&pair, false, NULL, cases[i].version, 65536);
        assert_int_equal(shake_hands(&pair, NULL), NX_OK);
        const struct nx_tls_facts facts = nx_tls_describe(pair.tls);
        assert_string_equal(facts.version, cases[i].name);
        assert_true(nx_str_starts_with(nx_str_from_c(facts.cipher), nx_str_from_c(cases[i].cipher)));
        assert_false(nx_tls_peer_certificate(pair.tls, 0, &shown));
        pair_close(&pair);
    }
}

static void test_a_client_shows_its_certificate(void **state) {
    static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct pair pair;
        NX_AUTO(nx_buf) names;
        nx_buf_init(&names, 4096);
        pair_open(&pair, true, &ann, versions[i], 65536);
        assert_int_equal(shake_hands(&pair, NULL), NX_OK);
        nx_tls_peer_names(pair.tls, &names);
        nx_buf_append_u8(&names, 0);
        assert_string_equal(names.ptr, "ann@example.com\nann.example.com\nurn:ann\nCN=ann,O=Example\n"
                                       "O=Example,CN=ann\n");
        assert_certificate(pair.tls);
        pair_close(&pair);
    }
}

static void refused(const struct test_identity *identity, const char *reason) {
    struct pair pair;
    struct nx_error err = { 0 };
    pair_open(&pair, true, identity, TLS1_3_VERSION, 65536);
    assert_int_equal(shake_hands(&pair, &err), NX_UNAVAILABLE);
    assert_false(nx_tls_is_established(pair.tls));
    if (strstr(err.message, reason) == NULL) {
        fail_msg("'%s' does not say '%s'", err.message, reason);
    }
    assert_int_equal(nx_tls_read(pair.tls, NX_STR("x"), &pair.plain, NULL), NX_UNAVAILABLE);
    assert_int_equal(pair.plain.len, 0);
    pair_close(&pair);
}

static void test_who_is_not_trusted_stays_outside(void **state) {
    (void)state;
    refused(NULL, "did not return a certificate");
    refused(&stranger, "self-signed");
    refused(&expired, "has expired");
}

static void test_a_client_without_tls_is_told_from_one_with(void **state) {
    struct pair pair;
    struct nx_error err = { 0 };
    (void)state;
    pair_open(&pair, false, NULL, TLS1_3_VERSION, 65536);
    assert_int_equal(nx_tls_read(pair.tls, NX_STR("CONNECT {}\r\n"), &pair.plain, &err), NX_UNAVAILABLE);
    assert_non_null(strstr(err.message, "TLS: "));
    pair_close(&pair);
}

static void test_any_bit_that_changed_on_the_way_ends_the_session(void **state) {
    static char bytes[4096];
    (void)state;
    for (size_t bit = 0; bit < 64; bit++) {
        struct pair pair;
        pair_open(&pair, false, NULL, TLS1_3_VERSION, 65536);
        assert_int_equal(shake_hands(&pair, NULL), NX_OK);
        assert_int_equal(SSL_write(pair.client.ssl, "hello", 5), 5);
        const int count = BIO_read(pair.client.out, bytes, sizeof bytes);
        assert_true(count > 5);
        const size_t at = 5 + bit * ((size_t)count - 5) / 64; /* behind the record's header */
        bytes[at] = (char)(bytes[at] ^ (1 << bit % 8));
        assert_int_equal(nx_tls_read(pair.tls, nx_str_of(bytes, (size_t)count), &pair.plain, NULL),
                         NX_UNAVAILABLE);
        assert_int_equal(pair.plain.len, 0);
        pair_close(&pair);
    }
}

static void test_what_waits_for_the_peer_is_bounded(void **state) {
    NX_AUTO(nx_tls_context) *context = NULL;
    static char bytes[100000];
    struct pair pair;
    const struct nx_tls_options options = good_options(false);
    (void)state;
    pair_open(&pair, false, NULL, TLS1_3_VERSION, 65536);
    nx_tls_close(pair.tls);
    assert_int_equal(nx_tls_context_new(&options, &context, NULL), NX_OK);
    assert_int_equal(nx_tls_open(context, 64 * 1024, &pair.tls, NULL), NX_OK);
    assert_int_equal(shake_hands(&pair, NULL), NX_OK);
    assert_int_not_equal(nx_tls_write(pair.tls, nx_str_of(bytes, sizeof bytes), NULL), NX_OK);
    assert_int_equal(nx_tls_write(pair.tls, NX_STR("x"), NULL), NX_UNAVAILABLE);
    pair_close(&pair);
}

static void assert_bad(struct nx_tls_options options, const char *message) {
    struct nx_tls_context *context = NULL;
    struct nx_error err = { 0 };
    assert_int_equal(nx_tls_context_new(&options, &context, &err), NX_INVALID_ARGUMENT);
    if (strstr(err.message, message) == NULL) {
        fail_msg("'%s' does not say '%s'", err.message, message);
    }
}

static void test_bad_certificates_are_told_when_they_are_read(void **state) {
    struct nx_tls_options options = good_options(true);
    char damaged[sizeof server.certificate_pem];
    (void)state;
    options.certificate = NX_STR_EMPTY;
    assert_bad(options, "certificate: there is no certificate in it");
    options.certificate = NX_STR("hello");
    assert_bad(options, "certificate: there is no certificate in it");
    memcpy(damaged, server.certificate_pem, sizeof damaged);
    damaged[100] = '!';
    options.certificate = nx_str_from_c(damaged);
    assert_bad(options, "certificate: certificate 1 cannot be read: ");
    options = good_options(true);
    options.key = NX_STR("nothing");
    assert_bad(options, "key: there is no key in it that can be read");
    options.key = nx_str_from_c(ann.key_pem);
    assert_bad(options, "key: it is not the certificate's");
    options = good_options(true);
    options.authorities = NX_STR("nobody");
    assert_bad(options, "authorities: there is no certificate in it");
}

static void test_an_encrypted_key_is_refused_and_nobody_is_asked(void **state) {
    struct nx_tls_options options = good_options(false);
    char pem[4096];
    BIO *bio = BIO_new(BIO_s_mem());
    (void)state;
    assert_int_equal(
        PEM_write_bio_PKCS8PrivateKey(bio, server.key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL), 1);
    test_pem_take(bio, pem, sizeof pem);
    options.key = nx_str_from_c(pem);
    assert_bad(options, "a key must not be encrypted");
}

/* Our client's side, and our server's at the other end. */
struct ends {
    struct nx_tls *client;
    struct nx_tls *server;
    struct nx_buf heard_by_client;
    struct nx_buf heard_by_server;
};

static void ends_open(struct ends *ends, const struct nx_tls_options *our_side,
                      const struct nx_tls_options *their_side, const char *host) {
    NX_AUTO(nx_tls_context) *client_context = NULL;
    NX_AUTO(nx_tls_context) *server_context = NULL;
    assert_int_equal(nx_tls_context_new(our_side, &client_context, NULL), NX_OK);
    assert_int_equal(nx_tls_context_new(their_side, &server_context, NULL), NX_OK);
    assert_int_equal(nx_tls_dial(client_context, host, OUTPUT_SIZE_MAX, &ends->client, NULL), NX_OK);
    assert_int_equal(nx_tls_open(server_context, OUTPUT_SIZE_MAX, &ends->server, NULL), NX_OK);
    nx_buf_init(&ends->heard_by_client, PLAIN_SIZE_MAX);
    nx_buf_init(&ends->heard_by_server, PLAIN_SIZE_MAX);
}

static void ends_close(struct ends *ends) {
    nx_tls_close(ends->client);
    nx_tls_close(ends->server);
    nx_buf_fini(&ends->heard_by_client);
    nx_buf_fini(&ends->heard_by_server);
}

/* Byte by byte what one end has to say to the other. */
static enum nx_status hand_over(struct nx_tls *from, struct nx_tls *to, struct nx_buf *plain,
                                struct nx_error *err) {
    struct nx_buf *output = nx_tls_output(from);
    enum nx_status status = NX_OK;
    for (size_t i = 0; i < output->len && status == NX_OK; i++) {
        status = nx_tls_read(to, nx_str_slice(nx_buf_str(output), i, i + 1), plain, err);
    }
    nx_buf_reset(output);
    return status;
}

/* The client's status; the server's failures show at the client. */
static enum nx_status meet(struct ends *ends, struct nx_error *err) {
    enum nx_status status = nx_tls_read(ends->client, NX_STR_EMPTY, &ends->heard_by_client, err);
    for (int i = 0; i < ROUNDS_MAX && status == NX_OK; i++) {
        (void)hand_over(ends->client, ends->server, &ends->heard_by_server, NULL);
        status = hand_over(ends->server, ends->client, &ends->heard_by_client, err);
    }
    return status;
}

static struct nx_tls_options client_options(void) {
    return (struct nx_tls_options){ .authorities = nx_str_from_c(authority.certificate_pem),
                                    .is_client = true };
}

static void test_a_client_talks_to_the_host_that_it_meant(void **state) {
    static const char *const hosts[] = { "localhost", "LOCALHOST", "127.0.0.1" };
    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        const struct nx_tls_options client = client_options();
        const struct nx_tls_options server_side = good_options(false);
        struct ends ends;
        ends_open(&ends, &client, &server_side, hosts[i]);
        assert_int_equal(meet(&ends, NULL), NX_OK);
        assert_true(nx_tls_is_established(ends.client));
        assert_int_equal(nx_tls_write(ends.client, NX_STR("ask"), NULL), NX_OK);
        assert_int_equal(nx_tls_write(ends.server, NX_STR("answer"), NULL), NX_OK);
        assert_int_equal(meet(&ends, NULL), NX_OK);
        assert_true(nx_str_is(nx_buf_str(&ends.heard_by_server), "ask"));
        assert_true(nx_str_is(nx_buf_str(&ends.heard_by_client), "answer"));
        nx_tls_end(ends.server);
        assert_int_equal(meet(&ends, NULL), NX_OK);
        assert_true(nx_tls_has_ended(ends.client));
        ends_close(&ends);
    }
}

static void test_a_client_that_is_asked_shows_its_certificate(void **state) {
    struct nx_tls_options client = client_options();
    const struct nx_tls_options server_side = good_options(true);
    struct nx_error err = { 0 };
    struct ends ends;
    (void)state;
    client.certificate = nx_str_from_c(ann.certificate_pem);
    client.key = nx_str_from_c(ann.key_pem);
    ends_open(&ends, &client, &server_side, "localhost");
    assert_int_equal(meet(&ends, NULL), NX_OK);
    assert_true(nx_tls_is_established(ends.server));
    ends_close(&ends);
    client.certificate = client.key = NX_STR_EMPTY;
    ends_open(&ends, &client, &server_side, "localhost");
    assert_int_equal(meet(&ends, &err), NX_UNAVAILABLE);
    assert_false(nx_tls_is_established(ends.server));
    ends_close(&ends);
}

static void not_met(const struct test_identity *identity, const struct nx_tls_options *client,
                    const char *host, const char *reason) {
    struct nx_tls_options server_side = good_options(false);
    struct nx_error err = { 0 };
    struct ends ends;
    server_side.certificate = nx_str_from_c(identity->certificate_pem);
    server_side.key = nx_str_from_c(identity->key_pem);
    ends_open(&ends, client, &server_side, host);
    assert_int_equal(meet(&ends, &err), NX_UNAVAILABLE);
    assert_false(nx_tls_is_established(ends.client));
    assert_int_equal(nx_tls_write(ends.client, NX_STR("secret"), NULL), NX_UNAVAILABLE);
    if (strstr(err.message, reason) == NULL) {
        fail_msg("'%s' does not say '%s'", err.message, reason);
    }
    ends_close(&ends);
}

static void test_a_client_leaves_whoever_is_not_the_host(void **state) {
    const struct nx_tls_options client = client_options();
    const struct nx_tls_options everybodys = { .is_client = true }; /* who trusts the system's authorities */
    (void)state;
    not_met(&server, &client, "elsewhere", "the server's certificate: hostname mismatch");
    not_met(&server, &client, "127.0.0.2", "IP address mismatch");
    not_met(&ann, &client, "localhost", "hostname mismatch");
    not_met(&stranger, &client, "stranger", "self-signed");
    not_met(&expired, &client, "late", "has expired");
    not_met(&server, &everybodys, "localhost", "unable to get local issuer certificate");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_said_arrives_however_it_is_cut),
        cmocka_unit_test(test_nothing_is_said_before_the_handshake),
        cmocka_unit_test(test_a_session_says_how_it_is_spoken),
        cmocka_unit_test(test_a_client_shows_its_certificate),
        cmocka_unit_test(test_a_client_talks_to_the_host_that_it_meant),
        cmocka_unit_test(test_a_client_that_is_asked_shows_its_certificate),
        cmocka_unit_test(test_a_client_leaves_whoever_is_not_the_host),
        cmocka_unit_test(test_who_is_not_trusted_stays_outside),
        cmocka_unit_test(test_a_client_without_tls_is_told_from_one_with),
        cmocka_unit_test(test_any_bit_that_changed_on_the_way_ends_the_session),
        cmocka_unit_test(test_what_waits_for_the_peer_is_bounded),
        cmocka_unit_test(test_bad_certificates_are_told_when_they_are_read),
        cmocka_unit_test(test_an_encrypted_key_is_refused_and_nobody_is_asked),
    };
    return cmocka_run_group_tests_name("io/tls", tests, make_certificates, free_certificates);
}
