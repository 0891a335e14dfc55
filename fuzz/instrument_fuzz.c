/* fuzz/instrument_fuzz.c: a module from anywhere is changed or left alone, and never read past its end. */
#include "base/assert.h"
#include "fuzz.h"
#include "sandbox/engine/instrument.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    NX_AUTO(nx_buf) changed;
    struct nx_instrument_report report;
    nx_buf_init(&changed, size * 16 + 4096);
    if (nx_instrument(nx_str_of(data, size), &changed, &report)) {
        nx_assert(changed.len > 0);
    }
    return 0;
}
