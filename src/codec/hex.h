/* src/codec/hex.h: bytes as lower-case hexadecimal digits. Reads either case. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/** Append two digits a byte; failures are the buffer's. */
void nx_hex_encode(struct nx_buf *out, struct nx_str bytes);
/** Write 2 * len digits to `text_out`, without a NUL behind them. */
void nx_hex_write(char *text_out, const uint8_t *bytes, size_t len);
/** Read exactly `len` bytes from exactly 2 * len digits; false, with `bytes_out` untouched, otherwise. */
NX_MUST_CHECK bool nx_hex_read(struct nx_str text, uint8_t *bytes_out, size_t len);
/** The value of 1 to 8 digits; false, with `number_out` untouched, otherwise. */
NX_MUST_CHECK bool nx_hex_to_u32(struct nx_str text, uint32_t *number_out);
/** The value of one digit, or -1. */
int nx_hex_digit(char digit);
