/* src/io/tls.c: see tls.h. OpenSSL, between two ends of our own: it reads from the bytes at hand and writes
 * into a buffer with a maximum. */
#include "io/tls.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/assert.h"
#include "base/counter.h"

enum {
    CHAIN_MAX = 16,                    /* certificates of a server */
    AUTHORITIES_MAX = 10000,           /* of clients */
    REASON_SIZE = 256,                 /* of OpenSSL's texts */
    NAME_SIZE_MAX = 4096,              /* of a subject as text */
    HANDSHAKE_SIZE_MAX = 100 * 1024,   /* bytes of a peer's certificates */
    WRITE_SIZE_MAX = 1024 * 1024 * 64, /* given to OpenSSL at once: it counts in int */
};

struct nx_tls_context {
    struct nx_refcount refcount;
    SSL_CTX *ssl;
    BIO_METHOD *method;
    bool is_client;
};

struct nx_tls {
    struct nx_tls_context *context;
    SSL *ssl;
    struct nx_str input; /* what is left of the bytes at hand */
    struct nx_buf output;
    bool is_established;
    bool has_ended;
    bool is_broken;
};

/* Errors */

/* OpenSSL's reason for the last failure, without its queue's other entries. */
static const char *last_reason(void) {
    const unsigned long code = ERR_peek_last_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    ERR_clear_error();
    return reason == NULL ? "no reason is known" : reason;
}

static enum nx_status fail_openssl_memory(struct nx_error *err) {
    ERR_clear_error();
    return nx_fail_memory(err);
}

/* Our ends of a session */

static int end_read(BIO *bio, char *bytes, int size) {
    struct nx_tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (tls->input.len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    const size_t count = (size_t)size < tls->input.len ? (size_t)size : tls->input.len;
    memcpy(bytes, tls->input.ptr, count);
    tls->input = nx_str_slice(tls->input, count, tls->input.len);
    return (int)count;
}

static int end_write(BIO *bio, const char *bytes, int size) {
    struct nx_tls *tls = BIO_get_data(bio);
    nx_buf_append(&tls->output, nx_str_of(bytes, (size_t)size));
    return nx_buf_failed(&tls->output) ? -1 : size;
}

static long end_control(BIO *bio, int command, long number, void *data) {
    (void)bio;
    (void)number;
    (void)data;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
}

/* Contexts */

/* A key that is encrypted would be asked for at the terminal. */
static int refuse_passphrase(char *text, int size, int is_writing, void *data) {
    (void)text;
    (void)size;
    (void)is_writing;
    (void)data;
    return -1;
}

static BIO *text_of(struct nx_str text) {
    nx_assert(text.len <= NX_TLS_FILE_SIZE_MAX);
    return BIO_new_mem_buf(text.ptr, (int)text.len);
}

/* The next certificate, NULL at the end. */
static X509 *next_certificate(BIO *text) {
    X509 *certificate = PEM_read_bio_X509(text, NULL, refuse_passphrase, NULL);
    if (certificate == NULL && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE) {
        ERR_clear_error(); /* nothing follows */
    }
    return certificate;
}

/* Each certificate of the text goes to `take`, with how many came before it. */
static enum nx_status take_certificates(SSL_CTX *ssl, BIO *text, int count_max,
                                        enum nx_status (*take)(SSL_CTX *ssl, X509 *certificate, int number,
                                                               struct nx_error *err),
                                        struct nx_error *err) {
    X509 *certificate;
    int count = 0;
    while (count < count_max && (certificate = next_certificate(text)) != NULL) {
        const enum nx_status status = take(ssl, certificate, count, err);
        X509_free(certificate);
        NX_TRY(status);
        count++;
    }
    if (ERR_peek_last_error() != 0) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "certificate %d cannot be read: %s", count + 1,
                       last_reason());
    }
    if (count == 0) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "there is no certificate in it: expected PEM text");
    }
    return NX_OK;
}

static enum nx_status take_link(SSL_CTX *ssl, X509 *certificate, int number, struct nx_error *err) {
    const bool taken = number == 0 ? SSL_CTX_use_certificate(ssl, certificate) == 1
                                   : SSL_CTX_add1_chain_cert(ssl, certificate) == 1;
    return taken ? NX_OK
                 : nx_fail(err, NX_INVALID_ARGUMENT, "the certificate cannot be used: %s", last_reason());
}

static enum nx_status take_chain(SSL_CTX *ssl, BIO *text, struct nx_error *err) {
    return take_certificates(ssl, text, CHAIN_MAX, take_link, err);
}

static enum nx_status take_key(SSL_CTX *ssl, BIO *text, struct nx_error *err) {
    EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, refuse_passphrase, NULL);
    if (key == NULL) {
        return nx_fail(err, NX_INVALID_ARGUMENT,
                       "there is no key in it that can be read: %s (a key must not "
                       "be encrypted)",
                       last_reason());
    }
    const bool fits = SSL_CTX_use_PrivateKey(ssl, key) == 1 && SSL_CTX_check_private_key(ssl) == 1;
    EVP_PKEY_free(key);
    if (!fits) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "it is not the certificate's: %s", last_reason());
    }
    return NX_OK;
}

static enum nx_status take_authority(SSL_CTX *ssl, X509 *certificate, int number, struct nx_error *err) {
    (void)number;
    const bool taken = X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), certificate) == 1 &&
                       SSL_CTX_add_client_CA(ssl, certificate) == 1;
    return taken ? NX_OK
                 : nx_fail(err, NX_INVALID_ARGUMENT, "an authority cannot be used: %s", last_reason());
}

static enum nx_status take_authorities(SSL_CTX *ssl, BIO *text, struct nx_error *err) {
    return take_certificates(ssl, text, AUTHORITIES_MAX, take_authority, err);
}

/* Read one of the texts; `what` names it. */
static enum nx_status take_text(SSL_CTX *ssl, struct nx_str text, const char *what,
                                enum nx_status (*take)(SSL_CTX *ssl, BIO *text, struct nx_error *err),
                                struct nx_error *err) {
    if (text.len > NX_TLS_FILE_SIZE_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "%s: it is longer than %d bytes", what,
                       NX_TLS_FILE_SIZE_MAX);
    }
    ERR_clear_error();
    BIO *bio = text_of(text);
    if (bio == NULL) {
        return fail_openssl_memory(err);
    }
    const enum nx_status status = take(ssl, bio, err);
    BIO_free(bio);
    return status == NX_OK ? NX_OK : nx_wrap(err, status, "%s", what);
}

static enum nx_status take_verify(SSL_CTX *ssl, const struct nx_tls_options *options, struct nx_error *err) {
    if (!options->verify && !options->is_client) {
        return NX_OK;
    }
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (options->authorities.len > 0) {
        return take_text(ssl, options->authorities, "authorities", take_authorities, err);
    }
    return SSL_CTX_set_default_verify_paths(ssl) == 1 ? NX_OK : fail_openssl_memory(err);
}

static enum nx_status configure(struct nx_tls_context *context, const struct nx_tls_options *options,
                                struct nx_error *err) {
    SSL_CTX *ssl = context->ssl;
    (void)SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* What the file has is the chain: the authorities of clients are none of it. */
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(ssl, 0);
    SSL_CTX_set_max_cert_list(ssl, HANDSHAKE_SIZE_MAX);
    if (!options->is_client || options->certificate.len > 0 || options->key.len > 0) {
        NX_TRY(take_text(ssl, options->certificate, "certificate", take_chain, err));
        NX_TRY(take_text(ssl, options->key, "key", take_key, err));
    }
    return take_verify(ssl, options, err);
}

static BIO_METHOD *method_new(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "nexus");
    if (method != NULL) {
        (void)BIO_meth_set_read(method, end_read);
        (void)BIO_meth_set_write(method, end_write);
        (void)BIO_meth_set_ctrl(method, end_control);
    }
    return method;
}

enum nx_status nx_tls_context_new(const struct nx_tls_options *options, struct nx_tls_context **context_out,
                                  struct nx_error *err) {
    NX_AUTO(nx_tls_context) *context = calloc(1, sizeof *context);
    if (context == NULL) {
        return nx_fail_memory(err);
    }
    nx_refcount_init(&context->refcount);
    context->is_client = options->is_client;
    context->ssl = SSL_CTX_new(options->is_client ? TLS_client_method() : TLS_server_method());
    context->method = method_new();
    if (context->ssl == NULL || context->method == NULL) {
        return fail_openssl_memory(err);
    }
    NX_TRY(configure(context, options, err));
    *context_out = NX_TAKE(context);
    return NX_OK;
}

/* Nothing is read where there is no path. */
static enum nx_status read_text(struct nx_disk *disk, const char *path, const char *what, struct nx_buf *text,
                                struct nx_error *err) {
    if (path == NULL) {
        return NX_OK;
    }
    nx_buf_init(text, NX_TLS_FILE_SIZE_MAX);
    const enum nx_status status = nx_disk_read_file(disk, path, text, err);
    return status == NX_OK ? NX_OK : nx_wrap(err, status, "TLS: cannot read the %s", what);
}

static enum nx_status load(struct nx_disk *disk, const struct nx_tls_files *files, struct nx_buf *key,
                           struct nx_tls_context **context_out, struct nx_error *err) {
    NX_AUTO(nx_buf) certificate = { 0 };
    NX_AUTO(nx_buf) authorities = { 0 };
    NX_TRY(read_text(disk, files->certificate, "certificate", &certificate, err));
    NX_TRY(read_text(disk, files->key, "key", key, err));
    NX_TRY(read_text(disk, files->authorities, "authorities", &authorities, err));
    const struct nx_tls_options texts = {
        .certificate = nx_buf_str(&certificate),
        .key = nx_buf_str(key),
        .authorities = nx_buf_str(&authorities),
        .verify = files->verify,
        .is_client = files->is_client,
    };
    if (files->authorities != NULL && authorities.len == 0) { /* not the system's instead */
        return nx_fail(err, NX_INVALID_ARGUMENT, "TLS: '%s' is empty", files->authorities);
    }
    const enum nx_status status = nx_tls_context_new(&texts, context_out, err);
    return status == NX_OK ? NX_OK : nx_wrap(err, status, "TLS");
}

enum nx_status nx_tls_context_load(struct nx_disk *disk, const struct nx_tls_files *files,
                                   struct nx_tls_context **context_out, struct nx_error *err) {
    NX_AUTO(nx_buf) key = { 0 };
    const enum nx_status status = load(disk, files, &key, context_out, err);
    if (key.ptr != NULL) {
        explicit_bzero(key.ptr, key.capacity); /* a secret is not left behind in freed memory */
    }
    return status;
}

struct nx_tls_context *nx_tls_context_ref(struct nx_tls_context *context) {
    nx_refcount_ref(&context->refcount);
    return context;
}

void nx_tls_context_unref(struct nx_tls_context *context) {
    if (context != NULL && nx_refcount_unref(&context->refcount)) {
        SSL_CTX_free(context->ssl);
        BIO_meth_free(context->method);
        free(context);
    }
}

/* Sessions */

static enum nx_status open_session(struct nx_tls_context *context, size_t output_size_max,
                                   struct nx_tls **tls_out, struct nx_error *err) {
    NX_AUTO(nx_tls) *tls = calloc(1, sizeof *tls);
    if (tls == NULL) {
        return nx_fail_memory(err);
    }
    nx_buf_init(&tls->output, output_size_max);
    tls->context = nx_tls_context_ref(context);
    tls->ssl = SSL_new(context->ssl);
    BIO *bio = BIO_new(context->method);
    if (tls->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        return fail_openssl_memory(err);
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio); /* the session owns it, once for both */
    *tls_out = NX_TAKE(tls);
    return NX_OK;
}

enum nx_status nx_tls_open(struct nx_tls_context *context, size_t output_size_max, struct nx_tls **tls_out,
                           struct nx_error *err) {
    nx_assert(!context->is_client);
    NX_TRY(open_session(context, output_size_max, tls_out, err));
    SSL_set_accept_state((*tls_out)->ssl);
    return NX_OK;
}

/* Whom the certificate must name. Only names are told to the server beforehand: RFC 6066 knows no addresses.
 */
static bool expect_host(SSL *ssl, const char *host) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1) {
        return true;
    }
    ERR_clear_error();
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

enum nx_status nx_tls_dial(struct nx_tls_context *context, const char *host, size_t output_size_max,
                           struct nx_tls **tls_out, struct nx_error *err) {
    NX_AUTO(nx_tls) *tls = NULL;
    nx_assert(context->is_client);
    NX_TRY(open_session(context, output_size_max, &tls, err));
    if (!expect_host(tls->ssl, host)) {
        return fail_openssl_memory(err);
    }
    SSL_set_connect_state(tls->ssl);
    *tls_out = NX_TAKE(tls);
    return NX_OK;
}

void nx_tls_close(struct nx_tls *tls) {
    if (tls != NULL) {
        SSL_free(tls->ssl);
        nx_buf_fini(&tls->output);
        nx_tls_context_unref(tls->context);
        free(tls);
    }
}

static enum nx_status fail_broken(struct nx_tls *tls, struct nx_error *err) {
    const long verified = SSL_get_verify_result(tls->ssl);
    tls->is_broken = true;
    if (nx_buf_failed(&tls->output)) {
        ERR_clear_error();
        return nx_buf_check(&tls->output, err);
    }
    if (verified != X509_V_OK) {
        ERR_clear_error();
        return nx_fail(err, NX_UNAVAILABLE, "TLS: the %s's certificate: %s",
                       tls->context->is_client ? "server" : "client",
                       X509_verify_cert_error_string(verified));
    }
    return nx_fail(err, NX_UNAVAILABLE, "TLS: %s", last_reason());
}

/* What a call of OpenSSL that did nothing means: no more bytes, the peer's end, or a failure. */
static enum nx_status explain(struct nx_tls *tls, int result, struct nx_error *err) {
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return NX_OK;
    case SSL_ERROR_ZERO_RETURN:
        tls->has_ended = true;
        return NX_OK;
    default:
        return fail_broken(tls, err);
    }
}

static enum nx_status shake_hands(struct nx_tls *tls, struct nx_error *err) {
    const int result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        tls->is_established = true;
        return NX_OK;
    }
    return explain(tls, result, err);
}

static enum nx_status read_all(struct nx_tls *tls, struct nx_buf *plain, struct nx_error *err) {
    for (;;) {
        if (!nx_buf_reserve(plain, NX_TLS_RECORD_SIZE_MAX)) {
            tls->is_broken = true;
            return nx_buf_check(plain, err);
        }
        const int count = SSL_read(tls->ssl, plain->ptr + plain->len, NX_TLS_RECORD_SIZE_MAX);
        if (count <= 0) {
            return explain(tls, count, err);
        }
        plain->len += (size_t)count;
    }
}

enum nx_status nx_tls_read(struct nx_tls *tls, struct nx_str bytes, struct nx_buf *plain,
                           struct nx_error *err) {
    enum nx_status status = NX_OK;
    if (tls->is_broken) {
        return nx_fail(err, NX_UNAVAILABLE, "TLS: the session is broken");
    }
    ERR_clear_error();
    tls->input = bytes;
    if (!tls->is_established) {
        status = shake_hands(tls, err);
    }
    if (status == NX_OK && tls->is_established && !tls->has_ended) {
        status = read_all(tls, plain, err);
    }
    tls->input = NX_STR_EMPTY;
    return status;
}

bool nx_tls_is_established(const struct nx_tls *tls) {
    return tls->is_established;
}

bool nx_tls_has_ended(const struct nx_tls *tls) {
    return tls->has_ended;
}

enum nx_status nx_tls_write(struct nx_tls *tls, struct nx_str bytes, struct nx_error *err) {
    if (tls->is_broken || !tls->is_established) {
        return nx_fail(err, NX_UNAVAILABLE, "TLS: there is no session");
    }
    ERR_clear_error();
    while (bytes.len > 0) {
        const size_t size = bytes.len < WRITE_SIZE_MAX ? bytes.len : WRITE_SIZE_MAX;
        const int count = SSL_write(tls->ssl, bytes.ptr, (int)size);
        if (count <= 0) {
            return fail_broken(tls, err); /* our end takes everything, so there is nothing to wait for */
        }
        bytes = nx_str_slice(bytes, (size_t)count, bytes.len);
    }
    return NX_OK;
}

void nx_tls_end(struct nx_tls *tls) {
    if (tls->is_established && !tls->is_broken) {
        (void)SSL_shutdown(tls->ssl);
        ERR_clear_error();
    }
}

struct nx_buf *nx_tls_output(struct nx_tls *tls) {
    return &tls->output;
}

/* Names */

static const unsigned long subject_flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;

/* One that holds what does not belong into a name would be taken for two, or for another. */
static void append_name(struct nx_buf *names, struct nx_str name) {
    if (name.len > 0 && nx_str_find_byte(name, '\n') == SIZE_MAX &&
        nx_str_find_byte(name, '\0') == SIZE_MAX) {
        nx_buf_append(names, name);
        nx_buf_append_u8(names, '\n');
    }
}

static void append_alternatives(struct nx_buf *names, const GENERAL_NAMES *all, int kind) {
    const int count = all == NULL ? 0 : sk_GENERAL_NAME_num(all);
    for (int i = 0; i < count && i < NX_TLS_NAMES_MAX; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        if (name->type == kind) {
            const ASN1_IA5STRING *text = name->d.ia5; /* of all three kinds that are asked for */
            append_name(names, nx_str_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)));
        }
    }
}

static void append_subject(struct nx_buf *names, const X509_NAME *subject, unsigned long flags) {
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (bio != NULL && X509_NAME_print_ex(bio, subject, 0, flags) > 0) {
        const long size = BIO_get_mem_data(bio, &text);
        if (size > 0 && size <= NAME_SIZE_MAX) {
            append_name(names, nx_str_of(text, (size_t)size));
        }
    }
    BIO_free(bio);
    ERR_clear_error();
}

void nx_tls_peer_names(const struct nx_tls *tls, struct nx_buf *names) {
    static const int kinds[] = { GEN_EMAIL, GEN_DNS, GEN_URI };
    X509 *certificate = SSL_get1_peer_certificate(tls->ssl);
    if (certificate == NULL) {
        return;
    }
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        append_alternatives(names, all, kinds[i]);
    }
    GENERAL_NAMES_free(all);
    const X509_NAME *subject = X509_get_subject_name(certificate);
    append_subject(names, subject, subject_flags);
    append_subject(names, subject, subject_flags & ~(unsigned long)XN_FLAG_DN_REV);
    X509_free(certificate);
    ERR_clear_error();
}

/* Facts */

struct nx_tls_facts nx_tls_describe(const struct nx_tls *tls) {
    nx_assert(tls->is_established);
    const char *cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(tls->ssl));
    return (struct nx_tls_facts){ .version = SSL_version(tls->ssl) == TLS1_2_VERSION ? "1.2" : "1.3",
                                  .cipher = cipher == NULL ? "" : cipher };
}

static bool digest(const unsigned char *bytes, int size, char *text_out) {
    if (size <= 0) {
        return false;
    }
    const struct nx_digest digest = nx_digest_of(nx_str_of((const char *)bytes, (size_t)size));
    (void)nx_digest_format(&digest, text_out);
    return true;
}

static bool describe(const X509 *certificate, struct nx_tls_certificate *out) {
    NX_AUTO(nx_buf) subject;
    unsigned char *whole = NULL;
    unsigned char *key = NULL;
    nx_buf_init(&subject, NAME_SIZE_MAX + 1);
    append_subject(&subject, X509_get_subject_name(certificate), subject_flags);
    *out = (struct nx_tls_certificate){ .subject = "" };
    if (subject.len > 0 && subject.len <= sizeof out->subject) {
        memcpy(out->subject, subject.ptr, subject.len - 1); /* without its line end */
    }
    const int size = i2d_X509(certificate, &whole);
    const int key_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
    const bool digested = digest(whole, size, out->digest) && digest(key, key_size, out->key_digest);
    OPENSSL_free(whole);
    OPENSSL_free(key);
    return digested;
}

bool nx_tls_peer_certificate(const struct nx_tls *tls, size_t index,
                             struct nx_tls_certificate *certificate_out) {
    const STACK_OF(X509) *behind = SSL_get_peer_cert_chain(tls->ssl);
    bool found = false;
    if (index == 0) {
        X509 *own = SSL_get1_peer_certificate(tls->ssl);
        found = own != NULL && describe(own, certificate_out);
        X509_free(own);
    } else if (behind != NULL && index <= (size_t)sk_X509_num(behind)) {
        found = describe(sk_X509_value(behind, (int)index - 1), certificate_out);
    }
    ERR_clear_error();
    return found;
}
