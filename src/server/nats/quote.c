/* src/server/nats/quote.c: see quote.h. */
#include "server/nats/quote.h"

#include <string.h>

static void append_escaped(struct nx_buf *out, unsigned char c) {
    static const char letters[] = "\a\b\f\n\r\t\v";
    static const char names[] = "abfnrtv";
    const char *letter = c == '\0' ? NULL : strchr(letters, c);
    if (letter != NULL) {
        nx_buf_append_format(out, "\\%c", names[letter - letters]);
    } else {
        nx_buf_append_format(out, "\\x%02x", c);
    }
}

void nx_nats_quote(struct nx_buf *out, struct nx_str name) {
    nx_buf_append_u8(out, '"');
    while (name.len > 0) {
        const unsigned char c = (unsigned char)name.ptr[0];
        size_t size = 1;
        if (c == '"' || c == '\\') {
            nx_buf_append_format(out, "\\%c", c);
        } else if (c >= ' ' && c < 0x7f) {
            nx_buf_append_u8(out, c);
        } else if (c < 0x80) {
            append_escaped(out, c);
        } else {
            size = 2;
            while (size <= 4 && size <= name.len && !nx_str_is_utf8(nx_str_slice(name, 0, size))) {
                size++;
            }
            if (size <= 4 && size <= name.len) {
                nx_buf_append(out, nx_str_slice(name, 0, size));
            } else {
                size = 1;
                append_escaped(out, c);
            }
        }
        name = nx_str_slice(name, size, name.len);
    }
    nx_buf_append_u8(out, '"');
}
