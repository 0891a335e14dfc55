/* src/server/nats/secure.c: see secure.h. */
#include "server/nats/secure.h"

#include <string.h>

#include "io/file.h"

static enum nx_status read_text(const char *path, const char *what, struct nx_buf *text,
                                struct nx_error *err) {
    nx_buf_init(text, NX_TLS_FILE_SIZE_MAX);
    const enum nx_status status = nx_disk_read_file(nx_disk_system(), path, text, err);
    return status == NX_OK ? NX_OK : nx_wrap(err, status, "TLS: cannot read the %s", what);
}

/* A secret is not left behind in freed memory. */
static void wipe(struct nx_buf *text) {
    if (text->ptr != NULL) {
        explicit_bzero(text->ptr, text->capacity);
    }
}

static enum nx_status load(const struct nx_nats_tls_options *options, struct nx_buf *key,
                           struct nx_tls_context **context_out, struct nx_error *err) {
    NX_AUTO(nx_buf) certificate = { 0 };
    NX_AUTO(nx_buf) authorities = { 0 };
    if (options->key_file == NULL) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "TLS: there is a certificate, but no key");
    }
    NX_TRY(read_text(options->cert_file, "certificate", &certificate, err));
    NX_TRY(read_text(options->key_file, "key", key, err));
    if (options->ca_file != NULL) {
        NX_TRY(read_text(options->ca_file, "authorities", &authorities, err));
    }
    const struct nx_tls_options texts = {
        .certificate = nx_buf_str(&certificate),
        .key = nx_buf_str(key),
        .authorities = nx_buf_str(&authorities),
        .verify = options->verify || options->verify_and_map,
    };
    const enum nx_status status = nx_tls_context_new(&texts, context_out, err);
    return status == NX_OK ? NX_OK
                           : nx_wrap(err, status, "TLS: %s, %s%s%s", options->cert_file, options->key_file,
                                     options->ca_file == NULL ? "" : ", ",
                                     options->ca_file == NULL ? "" : options->ca_file);
}

enum nx_status nx_nats_tls_load(const struct nx_nats_tls_options *options,
                                struct nx_tls_context **context_out, struct nx_error *err) {
    NX_AUTO(nx_buf) key = { 0 };
    if (options->cert_file == NULL) {
        *context_out = NULL;
        return NX_OK;
    }
    const enum nx_status status = load(options, &key, context_out, err);
    wipe(&key);
    return status;
}
