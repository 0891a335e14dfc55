/* fuzz/headers_fuzz.c: a foreign header block is read within its bytes; one that passed the check is rebuilt
 * from its headers; nothing that append takes can make two headers out of one. */
#include "base/assert.h"
#include "codec/headers.h"
#include "fuzz.h"

static size_t count_headers(struct nx_str block) {
    struct nx_header header;
    size_t count = 0;
    while (nx_headers_next(&block, &header)) {
        count++;
    }
    return count;
}

static void check_rebuild(struct nx_str block) {
    NX_AUTO(nx_buf) copy;
    struct nx_str rest = block;
    struct nx_header header;
    nx_buf_init(&copy, 2 * NX_HEADERS_BLOCK_SIZE_MAX);
    while (nx_headers_next(&rest, &header)) {
        struct nx_str found = NX_STR_EMPTY;
        nx_assert(nx_headers_find(block, header.name, &found));
        const enum nx_status status = nx_headers_append(&copy, header.name, header.value, NULL);
        nx_assert(status == NX_OK ||
                  copy.len + header.name.len + header.value.len + 4 > NX_HEADERS_BLOCK_SIZE_MAX);
        if (status != NX_OK) {
            return; /* "a:b" became "a: b" too often */
        }
    }
    nx_assert(nx_headers_check(nx_buf_str(&copy), NULL) == NX_OK);
    nx_assert(count_headers(nx_buf_str(&copy)) == count_headers(block));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct nx_str block = nx_str_of(data, size);
    NX_AUTO(nx_buf) built;
    (void)count_headers(block);
    if (nx_headers_check(block, NULL) == NX_OK) {
        check_rebuild(block);
    }
    const size_t half = size / 2;
    nx_buf_init(&built, 2 * NX_HEADERS_BLOCK_SIZE_MAX);
    if (nx_headers_append(&built, nx_str_slice(block, 0, half), nx_str_slice(block, half, size), NULL) ==
        NX_OK) {
        nx_assert(count_headers(nx_buf_str(&built)) == 1);
        nx_assert(nx_headers_check(nx_buf_str(&built), NULL) == NX_OK);
    } else {
        nx_assert(built.len == 0);
    }
    return 0;
}
