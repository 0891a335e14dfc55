/* src/io/tls_test.h: certificates made on the spot, and a client's side of TLS, for tests and fuzzers. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/assert.h"
#include "base/str.h"

struct test_identity {
    EVP_PKEY *key;
    X509 *certificate;
    char certificate_pem[8192];
    char key_pem[2048];
};

static inline void test_pem_take(BIO *bio, char *out, size_t size) {
    const int count = BIO_read(bio, out, (int)size - 1);
    nx_assert(count > 0);
    out[count] = '\0';
    BIO_free(bio);
}

static inline void test_extend(X509 *certificate, int kind, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    nx_assert(extension != NULL);
    nx_assert(X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

/* Signed by `issuer`, or by itself where that is NULL. `names` is a subjectAltName as OpenSSL's configuration
 * has it, or NULL. `days` from now it is no longer good: may be negative. */
static inline void test_identity_make(struct test_identity *identity, const char *common_name,
                                      const char *names, const struct test_identity *issuer, int days) {
    static long serial = 1;
    X509 *certificate = X509_new();
    identity->key = EVP_EC_gen("P-256");
    identity->certificate = certificate;
    nx_assert(certificate != NULL && identity->key != NULL);
    nx_assert(X509_set_version(certificate, 2) == 1);
    nx_assert(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++) == 1);
    nx_assert(X509_gmtime_adj(X509_getm_notBefore(certificate), -86400L * 30) != NULL);
    nx_assert(X509_gmtime_adj(X509_getm_notAfter(certificate), 86400L * days) != NULL);
    nx_assert(X509_set_pubkey(certificate, identity->key) == 1);
    X509_NAME *name = X509_get_subject_name(certificate);
    nx_assert(X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"Example", -1, -1,
                                         0) == 1);
    nx_assert(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1,
                                         -1, 0) == 1);
    if (issuer == NULL) {
        test_extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
    }
    if (names != NULL) {
        test_extend(certificate, NID_subject_alt_name, names);
    }
    const struct test_identity *signer = issuer == NULL ? identity : issuer;
    nx_assert(X509_set_issuer_name(certificate, X509_get_subject_name(signer->certificate)) == 1);
    nx_assert(X509_sign(certificate, signer->key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    nx_assert(PEM_write_bio_X509(bio, certificate) == 1);
    test_pem_take(bio, identity->certificate_pem, sizeof identity->certificate_pem);
    bio = BIO_new(BIO_s_mem());
    nx_assert(PEM_write_bio_PrivateKey(bio, identity->key, NULL, NULL, 0, NULL, NULL) == 1);
    test_pem_take(bio, identity->key_pem, sizeof identity->key_pem);
}

static inline void test_identity_free(struct test_identity *identity) {
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
}

/* The other side. */
struct test_client {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in; /* what the server sent */
    BIO *out;
};

static inline void test_client_open(struct test_client *client, const struct test_identity *authority,
                                    const struct test_identity *identity, int version_max) {
    client->context = SSL_CTX_new(TLS_client_method());
    nx_assert(client->context != NULL);
    nx_assert(SSL_CTX_set_max_proto_version(client->context, version_max) == 1);
    nx_assert(X509_STORE_add_cert(SSL_CTX_get_cert_store(client->context), authority->certificate) == 1);
    SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, NULL);
    if (identity != NULL) {
        nx_assert(SSL_CTX_use_certificate(client->context, identity->certificate) == 1);
        nx_assert(SSL_CTX_use_PrivateKey(client->context, identity->key) == 1);
    }
    client->ssl = SSL_new(client->context);
    client->in = BIO_new(BIO_s_mem());
    client->out = BIO_new(BIO_s_mem());
    SSL_set_bio(client->ssl, client->in, client->out);
    SSL_set_connect_state(client->ssl);
}

static inline void test_client_close(struct test_client *client) {
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
}
