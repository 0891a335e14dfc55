/* src/app/shown.c */
#include "app/shown.h"

#include <stdarg.h>

void nx_shown_copy_members(struct nx_json_writer *json, const struct nx_json_value *object, ...) {
    va_list names;
    const char *name;

    va_start(names, object);
    while ((name = va_arg(names, const char *)) != NULL) {
        const struct nx_json_value *value = nx_json_get(object, nx_str_from_c(name));
        if (value != NULL) {
            nx_json_key(json, nx_str_from_c(name));
            nx_json_value(json, value);
        }
    }
    va_end(names);
}

void nx_shown_text(struct nx_buf *out, struct nx_str text) {
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.ptr[i];
        if (c < ' ' || c == 0x7f) {
            nx_buf_append_format(out, "\\x%02x", (unsigned)c);
        } else {
            nx_buf_append_u8(out, c);
        }
    }
}

void nx_shown_member(struct nx_buf *out, const char *before, const struct nx_json_value *object,
                     const char *name) {
    const struct nx_str text = nx_json_get_str(object, name);

    if (text.len > 0) {
        nx_buf_append_c(out, before);
        nx_shown_text(out, text);
    }
}
