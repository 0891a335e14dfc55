/* fuzz/tape_fuzz.c: any bytes are a tape or are refused; what is a tape encodes to the same bytes. */
#include "base/assert.h"
#include "codec/tape_format.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct nx_tape_header header;
    struct nx_tape_reader entries;
    struct nx_tape_entry entry;
    struct nx_error err;
    const struct nx_str tape = nx_str_of(data, size);

    if (nx_tape_decode(tape, &header, &entries, &err) != NX_OK) {
        return 0;
    }
    NX_AUTO(nx_buf) again;
    nx_buf_init(&again, size + 64);
    nx_tape_encode_header(&header, &again);
    while (nx_tape_next(&entries, &entry)) {
        nx_tape_encode_entry(&entry, &again);
    }
    nx_assert(nx_str_equal(nx_buf_str(&again), tape));
    return 0;
}
