#include "codec/js_error.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    unsigned status;
    unsigned code;
    const char *text;
} known[] = { [NX_JS_NO_ERROR] = { 0, 0, "" },
#define NX_JS_ERROR_ROW(name, status, code, text) [name] = { status, code, text },
              NX_JS_ERROR_TABLE(NX_JS_ERROR_ROW)
#undef NX_JS_ERROR_ROW
};

bool nx_js_fail(struct nx_js_error *err, enum nx_js_error_kind kind) {
    if (err != NULL) {
        err->kind = kind;
        (void)snprintf(err->description, sizeof err->description, "%s", known[kind].text);
    }
    return false;
}

/* What does not fit is cut, at the end of a character. */
static void cut(struct nx_js_error *err) {
    const size_t len = strlen(err->description);
    const size_t whole = nx_str_utf8_prefix(nx_str_of(err->description, len));
    if (len + 1 == sizeof err->description && len - whole < 4) {
        err->description[whole] = '\0';
    }
}

bool nx_js_fail_with(struct nx_js_error *err, enum nx_js_error_kind kind, const char *format, ...) {
    va_list args;
    if (err == NULL) {
        return false;
    }
    (void)nx_js_fail(err, kind);
    const size_t len = strlen(err->description);
    va_start(args, format);
    (void)vsnprintf(err->description + len, sizeof err->description - len, format, args);
    va_end(args);
    cut(err);
    return false;
}

unsigned nx_js_error_status(enum nx_js_error_kind kind) {
    return known[kind].status;
}

unsigned nx_js_error_code(enum nx_js_error_kind kind) {
    return known[kind].code;
}

void nx_js_error_write(struct nx_json_writer *writer, const struct nx_js_error *err) {
    nx_json_object_begin(writer);
    nx_json_member_u64(writer, "code", known[err->kind].status);
    nx_json_member_u64(writer, "err_code", known[err->kind].code);
    nx_json_member_c(writer, "description", err->description);
    nx_json_object_end(writer);
}
