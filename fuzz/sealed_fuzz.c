/* fuzz/sealed_fuzz.c: foreign bytes are taken apart and opened within their bytes; none passes for sealed;
 * what is sealed opens to what it was, and the clear part is read without the key. */
#include "base/assert.h"
#include "codec/sealed.h"
#include "fuzz.h"

static const uint8_t key[NX_SEAL_KEY_SIZE] = { 7 };
static const uint8_t nonce[NX_SEAL_NONCE_SIZE] = { 9 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct nx_str bytes = nx_str_of(data, size);
    const struct nx_seal seal = {
        .key = key,
        .nonce = nonce,
        .about = { nx_str_slice(bytes, 0, size / 5), NX_STR("events.a"), NX_STR_EMPTY, NX_STR_EMPTY },
        .clear = nx_str_slice(bytes, size / 5, 2 * size / 5),
        .headers = nx_str_slice(bytes, 2 * size / 5, 3 * size / 5),
        .payload = nx_str_slice(bytes, 3 * size / 5, size),
    };
    struct nx_sealed opened;
    NX_AUTO(nx_buf) sealed;
    NX_AUTO_FREE char *plain = malloc(size + 1);
    nx_assert(plain != NULL);
    if (nx_sealed_parse(bytes, &opened, NULL) == NX_OK) {
        nx_assert(opened.clear.len < size);
    }
    nx_assert(nx_unseal(key, seal.about, bytes, plain, &opened, NULL) != NX_OK);

    nx_buf_init(&sealed, 2 * size + 1024);
    nx_seal(&seal, &sealed);
    nx_assert(!nx_buf_failed(&sealed));
    nx_assert(nx_sealed_parse(nx_buf_str(&sealed), &opened, NULL) == NX_OK);
    nx_assert(nx_str_equal(opened.clear, seal.clear));
    nx_assert(nx_unseal(key, seal.about, nx_buf_str(&sealed), sealed.ptr, &opened, NULL) == NX_OK);
    nx_assert(nx_str_equal(opened.clear, seal.clear) && nx_str_equal(opened.headers, seal.headers) &&
              nx_str_equal(opened.payload, seal.payload));
    return 0;
}
