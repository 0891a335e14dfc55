#include "codec/sealed.h"

#include <openssl/evp.h>

#include "base/assert.h"

enum { ABOUT_PREFIX_SIZE = 8 };

/* The pieces of a sealed payload. */
struct pieces {
    struct nx_str open; /* version and clear part, with its length */
    struct nx_str clear;
    struct nx_str nonce;
    struct nx_str ciphertext;
    struct nx_str tag;
};

static enum nx_status take_apart(struct nx_str bytes, struct pieces *pieces, struct nx_error *err) {
    struct nx_reader reader = nx_reader_of(bytes);
    const uint8_t version = nx_reader_u8(&reader);
    if (nx_reader_ok(&reader) && version != NX_SEAL_FORMAT) {
        return nx_fail_kind(err, NX_KIND_FORMAT_VERSION,
                            "a sealed payload of format %u; this is for format %d", version, NX_SEAL_FORMAT);
    }
    pieces->clear = nx_reader_varint_bytes(&reader);
    pieces->open = nx_str_slice(bytes, 0, reader.offset);
    pieces->nonce = nx_reader_bytes(&reader, NX_SEAL_NONCE_SIZE);
    const size_t left = nx_reader_left(&reader);
    if (!nx_reader_ok(&reader) || left <= NX_SEAL_TAG_SIZE) {
        return nx_fail(err, NX_DATA_LOSS, "the sealed payload is cut short");
    }
    pieces->ciphertext = nx_reader_bytes(&reader, left - NX_SEAL_TAG_SIZE);
    pieces->tag = nx_reader_bytes(&reader, NX_SEAL_TAG_SIZE);
    return NX_OK;
}

static EVP_CIPHER_CTX *begin(const uint8_t *key, const char *nonce, bool is_sealing) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    nx_assert(context != NULL);
    nx_assert(EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, key, (const unsigned char *)nonce,
                                is_sealing) == 1);
    return context;
}

static void authenticate(EVP_CIPHER_CTX *context, struct nx_str bytes) {
    int size = 0;
    if (bytes.len > 0) {
        nx_assert(EVP_CipherUpdate(context, NULL, &size, (const unsigned char *)bytes.ptr, (int)bytes.len) ==
                  1);
    }
}

/* Each string behind its length, so that none can lend bytes to the next. */
static void authenticate_all(EVP_CIPHER_CTX *context, const struct nx_str about[NX_SEAL_ABOUT_MAX],
                             struct nx_str open) {
    for (size_t i = 0; i < NX_SEAL_ABOUT_MAX; i++) {
        const uint64_t size = about[i].len;
        authenticate(context, nx_str_of(&size, ABOUT_PREFIX_SIZE));
        authenticate(context, about[i]);
    }
    authenticate(context, open);
}

static char *update(EVP_CIPHER_CTX *context, struct nx_str bytes, char *out) {
    int size = 0;
    if (bytes.len > 0) {
        nx_assert(EVP_CipherUpdate(context, (unsigned char *)out, &size, (const unsigned char *)bytes.ptr,
                                   (int)bytes.len) == 1);
    }
    return out + size;
}

/* GCM's last step gives no bytes: it makes the tag, or compares it. */
static bool finish(EVP_CIPHER_CTX *context) {
    unsigned char none[EVP_MAX_BLOCK_LENGTH];
    int size = 0;
    return EVP_CipherFinal_ex(context, none, &size) == 1;
}

void nx_seal(const struct nx_seal *seal, struct nx_buf *out) {
    NX_AUTO(nx_buf) prefix;
    nx_buf_init(&prefix, 16);
    nx_buf_append_varint(&prefix, seal->headers.len);
    const size_t plain_size = prefix.len + seal->headers.len + seal->payload.len;
    const size_t open_at = out->len;
    nx_buf_append_u8(out, NX_SEAL_FORMAT);
    nx_buf_append_varint_bytes(out, seal->clear);
    const size_t open_size = out->len - open_at;
    nx_buf_append(out, nx_str_of(seal->nonce, NX_SEAL_NONCE_SIZE));
    if (nx_buf_failed(&prefix) || !nx_buf_reserve(out, plain_size + NX_SEAL_TAG_SIZE)) {
        return;
    }
    EVP_CIPHER_CTX *context = begin(seal->key, (const char *)seal->nonce, true);
    authenticate_all(context, seal->about, nx_str_of(out->ptr + open_at, open_size));
    char *at = out->ptr + out->len;
    at = update(context, nx_buf_str(&prefix), at);
    at = update(context, seal->headers, at);
    at = update(context, seal->payload, at);
    nx_assert((size_t)(at - (out->ptr + out->len)) == plain_size);
    nx_assert(finish(context));
    nx_assert(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, NX_SEAL_TAG_SIZE, at) == 1);
    EVP_CIPHER_CTX_free(context);
    out->len += plain_size + NX_SEAL_TAG_SIZE;
}

enum nx_status nx_sealed_parse(struct nx_str bytes, struct nx_sealed *sealed_out, struct nx_error *err) {
    struct pieces pieces;
    NX_TRY(take_apart(bytes, &pieces, err));
    *sealed_out =
        (struct nx_sealed){ .clear = pieces.clear, .headers = NX_STR_EMPTY, .payload = NX_STR_EMPTY };
    return NX_OK;
}

enum nx_status nx_unseal(const uint8_t *key, const struct nx_str about[NX_SEAL_ABOUT_MAX],
                         struct nx_str bytes, char *plain_out, struct nx_sealed *sealed_out,
                         struct nx_error *err) {
    struct pieces pieces;
    NX_TRY(take_apart(bytes, &pieces, err));
    unsigned char tag[NX_SEAL_TAG_SIZE];
    memcpy(tag, pieces.tag.ptr, sizeof tag);
    EVP_CIPHER_CTX *context = begin(key, pieces.nonce.ptr, false);
    authenticate_all(context, about, pieces.open);
    /* At the same distance from the start: in place, each byte is read before it is written. */
    char *plain = plain_out + (pieces.ciphertext.ptr - bytes.ptr);
    (void)update(context, pieces.ciphertext, plain);
    nx_assert(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, NX_SEAL_TAG_SIZE, tag) == 1);
    const bool is_genuine = finish(context);
    EVP_CIPHER_CTX_free(context);
    struct nx_reader reader = nx_reader_of(nx_str_of(plain, pieces.ciphertext.len));
    const struct nx_str headers = nx_reader_varint_bytes(&reader);
    if (!is_genuine || !nx_reader_ok(&reader)) {
        return nx_fail(err, NX_DATA_LOSS, "the sealed payload is not what was sealed with this key");
    }
    *sealed_out = (struct nx_sealed){ .clear = pieces.clear,
                                      .headers = headers,
                                      .payload = nx_str_of(plain + reader.offset,
                                                           pieces.ciphertext.len - reader.offset) };
    return NX_OK;
}
