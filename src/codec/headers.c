#include "codec/headers.h"

#include "base/assert.h"
#include "codec/byte_class.h"

bool nx_headers_is_name(struct nx_str name) {
    return name.len > 0 && nx_byte_span(name, NX_BYTE_TOKEN) == name.len;
}

bool nx_headers_is_value(struct nx_str value) {
    size_t i = nx_byte_span(value, NX_BYTE_TEXT); /* which is all of it, nearly always */
    for (; i < value.len; i++) {
        if (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == '\0') {
            return false;
        }
    }
    return true;
}

enum nx_status nx_headers_append(struct nx_buf *block, struct nx_str name, struct nx_str value,
                                 struct nx_error *err) {
    if (!nx_headers_is_name(name)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "'%.*s' cannot be a header's name",
                       NX_STR_ARG(nx_str_slice(name, 0, 64)));
    }
    if (!nx_headers_is_value(value)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "the value of header '%.*s' has a line break or a NUL in it",
                       NX_STR_ARG(nx_str_slice(name, 0, 64)));
    }
    const size_t len = name.len + value.len + sizeof ": \r\n" - 1;
    if (value.len > NX_HEADERS_BLOCK_SIZE_MAX || name.len > NX_HEADERS_BLOCK_SIZE_MAX ||
        block->len + len > NX_HEADERS_BLOCK_SIZE_MAX) {
        return nx_fail_kind(err, NX_KIND_HEADERS_TOO_LARGE, "the headers exceed the limit of %d bytes",
                            NX_HEADERS_BLOCK_SIZE_MAX);
    }
    if (!nx_buf_reserve(block, len)) {
        return nx_buf_check(block, err);
    }
    nx_buf_append(block, name);
    nx_buf_append(block, NX_STR(": "));
    nx_buf_append(block, value);
    nx_buf_append(block, NX_STR("\r\n"));
    return NX_OK;
}

bool nx_headers_next(struct nx_str *rest, struct nx_header *header_out) {
    const size_t end = nx_str_find_byte(*rest, '\n');
    if (end == SIZE_MAX || end == 0 || rest->ptr[end - 1] != '\r') {
        return false;
    }
    const struct nx_str line = nx_str_slice(*rest, 0, end - 1);
    const size_t colon = nx_str_find_byte(line, ':');
    if (colon == SIZE_MAX || !nx_headers_is_name(nx_str_slice(line, 0, colon))) {
        return false;
    }
    const struct nx_str value = nx_str_trim(nx_str_slice(line, colon + 1, line.len));
    if (!nx_headers_is_value(value)) {
        return false;
    }
    *header_out = (struct nx_header){ .name = nx_str_slice(line, 0, colon), .value = value };
    *rest = nx_str_slice(*rest, end + 1, rest->len);
    return true;
}

bool nx_headers_find(struct nx_str block, struct nx_str name, struct nx_str *value_out) {
    struct nx_header header;
    while (nx_headers_next(&block, &header)) {
        if (nx_str_equal_ignore_case(header.name, name)) {
            *value_out = header.value;
            return true;
        }
    }
    return false;
}

struct nx_str nx_headers_value(struct nx_str block, const char *name) {
    struct nx_str value = NX_STR_EMPTY;
    (void)nx_headers_find(block, nx_str_from_c(name), &value);
    return value;
}

/* The value in the rest of a line, behind the colon. */
static struct nx_str value_of(struct nx_str rest) {
    if (rest.len > 0 && rest.ptr[rest.len - 1] == '\r') {
        rest.len--;
    }
    return nx_str_trim(rest);
}

void nx_headers_values(struct nx_str block, const struct nx_str *names, size_t count,
                       struct nx_str *values_out) {
    unsigned found = 0;
    nx_assert(count <= 32);
    for (size_t i = 0; i < count; i++) {
        values_out[i] = NX_STR_EMPTY;
    }
    for (size_t end; (end = nx_str_find_byte(block, '\n')) != SIZE_MAX;) {
        for (size_t i = 0; i < count; i++) {
            const size_t len = names[i].len;
            if (end > len && block.ptr[len] == ':' && (found >> i & 1) == 0 &&
                nx_str_equal_ignore_case(nx_str_slice(block, 0, len), names[i])) {
                values_out[i] = value_of(nx_str_slice(block, len + 1, end));
                found |= 1U << i;
            }
        }
        block = nx_str_slice(block, end + 1, block.len);
    }
}

enum nx_status nx_headers_check(struct nx_str block, struct nx_error *err) {
    if (block.len > NX_HEADERS_BLOCK_SIZE_MAX) {
        return nx_fail_kind(err, NX_KIND_HEADERS_TOO_LARGE, "the headers exceed the limit of %d bytes",
                            NX_HEADERS_BLOCK_SIZE_MAX);
    }
    struct nx_header header;
    size_t line = 1;
    while (nx_headers_next(&block, &header)) {
        line++;
    }
    if (block.len > 0) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "header line %zu is malformed", line);
    }
    return NX_OK;
}
