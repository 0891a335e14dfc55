/* fuzz/invocation_fuzz.c: any bytes are an invocation or are refused; what is one reads back the same once
 * more. */
#include "base/assert.h"
#include "codec/invocation.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct nx_invocation first;
    struct nx_invocation second;
    NX_AUTO(nx_arena) arena;
    NX_AUTO(nx_buf) once;
    NX_AUTO(nx_buf) twice;

    nx_arena_init(&arena, 64 * 1024 * 1024);
    nx_buf_init(&once, 2 * size + 64);
    nx_buf_init(&twice, 2 * size + 64);
    if (nx_invocation_decode(nx_str_of(data, size), &arena, &first, NULL) != NX_OK) {
        return 0;
    }
    nx_invocation_encode(&first, &once);
    nx_assert(nx_invocation_decode(nx_buf_str(&once), &arena, &second, NULL) == NX_OK);
    nx_invocation_encode(&second, &twice);
    nx_assert(nx_str_equal(nx_buf_str(&once), nx_buf_str(&twice)));
    return 0;
}
