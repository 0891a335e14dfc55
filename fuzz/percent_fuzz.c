/* fuzz/percent_fuzz.c: whatever is encoded is safe where it goes and decodes to what it was. */
#include "base/assert.h"
#include "codec/base64.h"
#include "codec/headers.h"
#include "codec/percent.h"
#include "fuzz.h"

enum { SIZE_MAX_ENCODED = 16 * 1024 * 1024 };

static void check_decodes(const struct nx_buf *encoded, struct nx_str value) {
    NX_AUTO(nx_buf) decoded;
    nx_buf_init(&decoded, SIZE_MAX_ENCODED);
    nx_assert(!nx_buf_failed(encoded));
    nx_assert(nx_percent_decode(&decoded, nx_buf_str(encoded), NULL) == NX_OK);
    nx_assert(nx_str_equal(nx_buf_str(&decoded), value));
}

static void check_subject(struct nx_str subject) {
    bool token_is_empty = true;
    for (size_t i = 0; i < subject.len; i++) {
        const char c = subject.ptr[i];
        nx_assert(c != ' ' && c != '*' && c != '>' && c > 0x20 && c < 0x7F);
        nx_assert(c != '.' || !token_is_empty);
        token_is_empty = c == '.';
    }
    nx_assert(!token_is_empty || subject.len == 0);
}

static void check_base64(struct nx_str text, enum nx_base64_alphabet alphabet) {
    NX_AUTO(nx_buf) encoded;
    NX_AUTO(nx_buf) decoded;
    nx_buf_init(&encoded, SIZE_MAX_ENCODED);
    nx_buf_init(&decoded, SIZE_MAX_ENCODED);
    nx_base64_encode(&encoded, alphabet, text);
    nx_assert(nx_base64_decode(&decoded, alphabet, nx_buf_str(&encoded), NULL) == NX_OK);
    nx_assert(nx_str_equal(nx_buf_str(&decoded), text));
    nx_buf_reset(&encoded);
    nx_buf_reset(&decoded);
    if (nx_base64_decode(&decoded, alphabet, text, NULL) == NX_OK) { /* one value has one text */
        nx_base64_encode(&encoded, alphabet, nx_buf_str(&decoded));
        nx_assert(nx_str_equal(nx_buf_str(&encoded), text));
    } else {
        nx_assert(decoded.len == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct nx_str value = nx_str_of(data, size);
    NX_AUTO(nx_buf) out;
    nx_buf_init(&out, SIZE_MAX_ENCODED);
    nx_percent_encode_header(&out, value);
    nx_assert(nx_headers_is_value(nx_buf_str(&out)));
    check_decodes(&out, value);
    nx_buf_reset(&out);
    nx_percent_encode_url(&out, value);
    check_decodes(&out, value);
    nx_buf_reset(&out);
    nx_percent_encode_subject(&out, value);
    check_subject(nx_buf_str(&out));
    check_decodes(&out, value);
    nx_buf_reset(&out);
    if (nx_percent_decode(&out, value, NULL) != NX_OK) {
        nx_assert(out.len == 0 && !nx_percent_is_plain(value));
    }
    check_base64(value, NX_BASE64_STANDARD);
    check_base64(value, NX_BASE64_URL);
    return 0;
}
