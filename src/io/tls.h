/* src/io/tls.h: TLS for a connection whose bytes somebody else moves: bytes in, bytes out.
 *
 *   from the peer -> nx_tls_read()  -> what it says
 *   to the peer   <- nx_tls_output() <- nx_tls_write()
 *
 * A context is a server's or a client's: it holds a certificate and whom it trusts; it never changes, and may
 * be shared by connections of all threads. A session is one connection; one owner. TLS 1.2 and 1.3; no
 * renegotiation, no compression, no resumption. Foreign bytes end a session, never the process; what a peer
 * makes us hold is at most one record (16 KiB) and the handshake (its certificates: 100 KiB). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "codec/digest.h"
#include "io/file.h"

enum {
    NX_TLS_FILE_SIZE_MAX = 4 * 1024 * 1024, /* bytes of one of the three texts */
    NX_TLS_RECORD_SIZE_MAX = 16 * 1024,     /* bytes that one record carries */
    NX_TLS_NAMES_MAX = 64,                  /* of a peer's certificate */
    NX_TLS_SUBJECT_SIZE_MAX = 512,          /* bytes that are shown of one */
};

struct nx_tls_context;
struct nx_tls;

/* PEM texts, borrowed for the call. */
struct nx_tls_options {
    struct nx_str certificate; /* ours, then those up to its root; a client may have none */
    struct nx_str key;         /* of the first; not encrypted */
    /* Whose certificates of the other side are trusted; empty: the system's, which for OpenSSL the variables
     * SSL_CERT_FILE and SSL_CERT_DIR can name. */
    struct nx_str authorities;
    bool verify;    /* clients must have a certificate; a client always looks at the server's */
    bool is_client; /* for nx_tls_dial(), not for nx_tls_open() */
};

/* Static storage. */
struct nx_tls_facts {
    const char *version; /* "1.2", "1.3" */
    const char *cipher;  /* the suite, by its name in the RFCs */
};

struct nx_tls_certificate {
    char subject[NX_TLS_SUBJECT_SIZE_MAX + 1]; /* as RFC 2253 has it; empty when it is longer */
    char key_digest[NX_DIGEST_TEXT_SIZE + 1];  /* of the public key, as a certificate holds it */
    char digest[NX_DIGEST_TEXT_SIZE + 1];
};

/** Ownership: the caller gives it up by nx_tls_context_unref(); sessions keep it.
 * Errors:    NX_INVALID_ARGUMENT    what is wrong with which of the texts; no secret is in the message
 *            NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_tls_context_new(const struct nx_tls_options *options,
                                                struct nx_tls_context **context_out, struct nx_error *err);
/* The same as files; NULL: none. */
struct nx_tls_files {
    const char *certificate;
    const char *key;
    const char *authorities;
    bool verify;
    bool is_client;
};
/** As nx_tls_context_new(). Errors: its; NX_NOT_FOUND, NX_PERMISSION_DENIED, NX_UNAVAILABLE (a file cannot be
 * read) */
NX_MUST_CHECK enum nx_status nx_tls_context_load(struct nx_disk *disk, const struct nx_tls_files *files,
                                                 struct nx_tls_context **context_out, struct nx_error *err);
struct nx_tls_context *nx_tls_context_ref(struct nx_tls_context *context);
void nx_tls_context_unref(struct nx_tls_context *context); /* NULL allowed */

/** A server's side that waits for its client's first bytes. `output_size_max` bounds what waits in
 * nx_tls_output(). Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_tls_open(struct nx_tls_context *context, size_t output_size_max,
                                         struct nx_tls **tls_out, struct nx_error *err);
/** A client's side that goes to `host`, a name or an address, which the server's certificate must have. Its
 * first words are in nx_tls_output() after nx_tls_read() of no bytes. Else as nx_tls_open(). */
NX_MUST_CHECK enum nx_status nx_tls_dial(struct nx_tls_context *context, const char *host,
                                         size_t output_size_max, struct nx_tls **tls_out,
                                         struct nx_error *err);
void nx_tls_close(struct nx_tls *tls); /* NULL allowed; says nothing to the peer */
/** These bytes came; what the peer says in them is appended to `plain`, which must have room for them and
 * NX_TLS_RECORD_SIZE_MAX more. There may be output now, after a failure too: it tells the peer.
 * Errors: NX_UNAVAILABLE         the session is broken, and why; or what was in `plain` did not fit
 *         NX_RESOURCE_EXHAUSTED  out of memory; the session is broken */
NX_MUST_CHECK enum nx_status nx_tls_read(struct nx_tls *tls, struct nx_str bytes, struct nx_buf *plain,
                                         struct nx_error *err);
/** The handshake is done: from now on there is something to write. */
bool nx_tls_is_established(const struct nx_tls *tls);
/** The peer said that nothing more will come. */
bool nx_tls_has_ended(const struct nx_tls *tls);
/** Say `bytes`; they are in the output, all of them. Only once it is established.
 * Errors: NX_UNAVAILABLE (the session is broken, or the output would be too long), NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_tls_write(struct nx_tls *tls, struct nx_str bytes, struct nx_error *err);
/** Say that nothing more will come. A no-op before the handshake is done and after a failure. */
void nx_tls_end(struct nx_tls *tls);
/** What is to be sent; the caller takes it all. */
struct nx_buf *nx_tls_output(struct nx_tls *tls);
/** The names in the peer's certificate, one a line (names with line ends are left out), in the order in which
 * NATS tries them: mail addresses, DNS names, URIs, the subject as RFC 2253 has it, the subject in the order
 * of the certificate. Appends nothing when there is no certificate. */
void nx_tls_peer_names(const struct nx_tls *tls, struct nx_buf *names);
/** How it is spoken. Only once it is established. */
struct nx_tls_facts nx_tls_describe(const struct nx_tls *tls);
/** A certificate that the peer showed: 0 is its own, then those behind it. False: there is none, or no
 * memory. */
bool nx_tls_peer_certificate(const struct nx_tls *tls, size_t index,
                             struct nx_tls_certificate *certificate_out);

NX_DEFINE_AUTO(nx_tls_context, nx_tls_context_unref)
NX_DEFINE_AUTO(nx_tls, nx_tls_close)
