#include "codec/digest.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/assert.h"
#include "codec/hex.h"

struct nx_digest nx_digest_of_parts(const struct nx_str *parts, size_t count) {
    struct nx_digest digest;
    unsigned size = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    nx_assert(context != NULL);
    nx_assert(EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1);
    for (size_t i = 0; i < count; i++) {
        nx_assert(EVP_DigestUpdate(context, parts[i].ptr, parts[i].len) == 1);
    }
    nx_assert(EVP_DigestFinal_ex(context, digest.bytes, &size) == 1);
    nx_assert(size == sizeof digest.bytes);
    EVP_MD_CTX_free(context);
    return digest;
}

struct nx_digest nx_digest_of(struct nx_str bytes) {
    return nx_digest_of_parts(&bytes, 1);
}

struct nx_str nx_digest_format(const struct nx_digest *digest, char text_out[NX_DIGEST_TEXT_SIZE + 1]) {
    nx_hex_write(text_out, digest->bytes, sizeof digest->bytes);
    text_out[NX_DIGEST_TEXT_SIZE] = '\0';
    return nx_str_of(text_out, NX_DIGEST_TEXT_SIZE);
}

bool nx_digest_parse(struct nx_str text, struct nx_digest *digest_out) {
    return nx_hex_read(text, digest_out->bytes, sizeof digest_out->bytes);
}

bool nx_digest_equal(const struct nx_digest *a, const struct nx_digest *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
