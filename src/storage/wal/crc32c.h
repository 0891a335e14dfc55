/* src/storage/wal/crc32c.h: the checksum of everything in the journal (Castagnoli polynomial).
 *
 * By the processor's instruction where it has one, else by a table; both give the same. Any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/** The checksum of `len` bytes. `seed` is 0, the result of the bytes before, or a salt. */
uint32_t nx_crc32c(uint32_t seed, const void *bytes, size_t len);
/** The one seed with which these bytes have this checksum: for finding a salt that is destroyed. Slow. */
uint32_t nx_crc32c_seed(uint32_t crc, const void *bytes, size_t len);
/** The same without the processor's help: what other machines compute, and what the tests compare with. */
uint32_t nx_crc32c_portable(uint32_t seed, const void *bytes, size_t len);
