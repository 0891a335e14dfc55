/* fuzz/gzip_fuzz.c: anything can be packed; what unpacks packs again to what unpacks to the same. */
#include "base/assert.h"
#include "codec/gzip.h"
#include "fuzz.h"

enum { UNPACKED_SIZE_MAX = 64 * 1024, PACKED_SIZE_MAX = 4 * 1024 * 1024 };

static void check_round_trip(struct nx_str bytes) {
    NX_AUTO(nx_buf) packed;
    NX_AUTO(nx_buf) again;
    nx_buf_init(&packed, PACKED_SIZE_MAX);
    nx_buf_init(&again, PACKED_SIZE_MAX);
    nx_assert(nx_gzip_encode(&packed, bytes, NULL) == NX_OK);
    nx_assert(nx_gzip_decode(&again, nx_buf_str(&packed), NULL) == NX_OK);
    nx_assert(nx_str_equal(nx_buf_str(&again), bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct nx_str bytes = nx_str_of(data, size);
    NX_AUTO(nx_buf) unpacked;
    nx_buf_init(&unpacked, UNPACKED_SIZE_MAX);
    if (nx_gzip_decode(&unpacked, bytes, NULL) == NX_OK) {
        check_round_trip(nx_buf_str(&unpacked));
    } else {
        nx_assert(unpacked.len == 0);
    }
    check_round_trip(bytes);
    return 0;
}
