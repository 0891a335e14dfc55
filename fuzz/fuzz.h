/* fuzz/fuzz.h: the one function that a fuzzer has. libFuzzer calls it, and so does replay_corpus.c. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/** Feed the bytes to what is fuzzed; whatever must hold is asserted. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
