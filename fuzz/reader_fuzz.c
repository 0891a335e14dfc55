/* fuzz/reader_fuzz.c: whatever is read, nx_reader stays inside its bytes, and once it failed it stays failed.
 *
 * Input: one byte a step says which read; its operands come from the same bytes. */
#include "base/assert.h"
#include "base/buf.h"
#include "base/str.h"
#include "fuzz.h"

static void read_once(struct nx_reader *reader, uint8_t which) {
    struct nx_str bytes = NX_STR_EMPTY;
    switch (which % 8) {
    case 0:
        (void)nx_reader_u8(reader);
        break;
    case 1:
        (void)nx_reader_u16(reader);
        break;
    case 2:
        (void)nx_reader_u32(reader);
        break;
    case 3:
        (void)nx_reader_u64(reader);
        break;
    case 4:
        (void)nx_reader_varint(reader);
        break;
    case 5:
        (void)nx_reader_varint_signed(reader);
        break;
    case 6:
        bytes = nx_reader_bytes(reader, (size_t)nx_reader_u64(reader));
        break;
    default:
        bytes = nx_reader_varint_bytes(reader);
        break;
    }
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        sum = (uint8_t)(sum + (uint8_t)bytes.ptr[i]); /* each byte is really there */
    }
    volatile uint8_t kept = sum;
    (void)kept;
}

/* What was written by nx_buf is read back the same. */
static void check_round_trip(uint64_t value, struct nx_str bytes) {
    NX_AUTO(nx_buf) buf;
    nx_buf_init(&buf, bytes.len + 64);
    nx_buf_append_varint(&buf, value);
    nx_buf_append_varint_signed(&buf, (int64_t)value);
    nx_buf_append_varint_bytes(&buf, bytes);
    nx_assert(!nx_buf_failed(&buf));
    struct nx_reader reader = nx_reader_of(nx_buf_str(&buf));
    nx_assert(nx_reader_varint(&reader) == value);
    nx_assert(nx_reader_varint_signed(&reader) == (int64_t)value);
    nx_assert(nx_str_equal(nx_reader_varint_bytes(&reader), bytes));
    nx_assert(nx_reader_ok(&reader));
    nx_assert(nx_reader_left(&reader) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct nx_reader reader = nx_reader_of(nx_str_of(data, size));
    while (nx_reader_left(&reader) > 0) {
        const size_t before = nx_reader_left(&reader);
        read_once(&reader, nx_reader_u8(&reader));
        nx_assert(nx_reader_left(&reader) < before);
    }
    if (!nx_reader_ok(&reader)) {
        nx_assert(nx_reader_u8(&reader) == 0);
        nx_assert(!nx_reader_ok(&reader));
    }
    struct nx_reader again = nx_reader_of(nx_str_of(data, size));
    const uint64_t value = nx_reader_varint(&again);
    check_round_trip(value, nx_str_of(data, size));
    nx_assert(nx_str_utf8_prefix(nx_str_of(data, size)) <= size);
    return 0;
}
