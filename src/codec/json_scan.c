/* src/codec/json_scan.c: is it JSON, and where are its parts? No allocation, no recursion. */
#include "codec/json.h"

#include "codec/hex.h"

enum expect { EXPECT_VALUE, EXPECT_VALUE_OR_END, EXPECT_KEY, EXPECT_KEY_OR_END, EXPECT_COMMA_OR_END };

struct scan {
    struct nx_str text;
    size_t at;
    uint64_t is_object[NX_JSON_DEPTH_MAX / 64]; /* a bit a level */
    unsigned depth;
    const char *problem; /* what is wrong at `at` */
};

static bool fail(struct scan *scan, const char *problem) {
    scan->problem = problem;
    return false;
}

/* The byte at `at`; NUL at the end, which no rule accepts outside of strings. */
static char peek(const struct scan *scan) {
    return scan->at < scan->text.len ? scan->text.ptr[scan->at] : '\0';
}

static void skip_space(struct scan *scan) {
    while (scan->at < scan->text.len) {
        const char c = scan->text.ptr[scan->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            return;
        }
        scan->at++;
    }
}

static bool scan_hex4(struct scan *scan, unsigned *value_out) {
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        const int digit = nx_hex_digit(peek(scan));
        if (digit < 0) {
            return fail(scan, "expected four hexadecimal digits");
        }
        value = value << 4 | (unsigned)digit;
        scan->at++;
    }
    *value_out = value;
    return true;
}

/* Behind the backslash. A surrogate must be half of a pair, for only a pair stands for a character. */
static bool scan_escape(struct scan *scan) {
    unsigned high, low;
    const char c = peek(scan);
    if (c != 'u') {
        if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL) {
            return fail(scan, "invalid escape in a string");
        }
        scan->at++;
        return true;
    }
    scan->at++;
    if (!scan_hex4(scan, &high)) {
        return false;
    }
    if (high < 0xD800 || high > 0xDFFF) {
        return true;
    }
    if (high > 0xDBFF ||
        !nx_str_starts_with(nx_str_slice(scan->text, scan->at, scan->text.len), NX_STR("\\u"))) {
        return fail(scan, "a surrogate without its other half");
    }
    scan->at += 2;
    if (!scan_hex4(scan, &low)) {
        return false;
    }
    return (low >= 0xDC00 && low <= 0xDFFF) || fail(scan, "a surrogate without its other half");
}

/* True when one of the eight bytes is below space, a quote or a backslash; may also be true for bytes from
 * 0x80, which are then looked at one by one. */
static bool has_special(uint64_t eight) {
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t highs = 0x8080808080808080u;
    const uint64_t control = eight - ones * 0x20;
    const uint64_t quote = (eight ^ ones * '"') - ones;
    const uint64_t backslash = (eight ^ ones * '\\') - ones;
    return ((control | quote | backslash | eight) & highs) != 0;
}

/* At the opening quote; ends behind the closing one. That the bytes are UTF-8 is known. */
static bool scan_string(struct scan *scan) {
    const char *ptr = scan->text.ptr;
    const size_t len = scan->text.len;
    size_t at = scan->at + 1;
    for (;;) {
        uint64_t eight;
        while (len - at >= sizeof eight) {
            memcpy(&eight, ptr + at, sizeof eight);
            if (has_special(eight)) {
                break;
            }
            at += sizeof eight;
        }
        scan->at = at;
        if (at == len) {
            return fail(scan, "a string has no end");
        }
        const unsigned char c = (unsigned char)ptr[at];
        if (c == '"') {
            scan->at++;
            return true;
        }
        if (c < 0x20) {
            return fail(scan, "a control character in a string must be escaped");
        }
        at++;
        if (c == '\\') {
            scan->at = at;
            if (!scan_escape(scan)) {
                return false;
            }
            at = scan->at;
        }
    }
}

static bool scan_digits(struct scan *scan) {
    const size_t start = scan->at;
    while (scan->at < scan->text.len && scan->text.ptr[scan->at] >= '0' && scan->text.ptr[scan->at] <= '9') {
        scan->at++;
    }
    return scan->at > start || fail(scan, "expected a digit");
}

static bool scan_number(struct scan *scan) {
    if (peek(scan) == '-') {
        scan->at++;
    }
    if (peek(scan) == '0') {
        scan->at++;
    } else if (!scan_digits(scan)) {
        return false;
    }
    if (peek(scan) == '.') {
        scan->at++;
        if (!scan_digits(scan)) {
            return false;
        }
    }
    if (peek(scan) == 'e' || peek(scan) == 'E') {
        scan->at++;
        if (peek(scan) == '+' || peek(scan) == '-') {
            scan->at++;
        }
        return scan_digits(scan);
    }
    return true;
}

static bool scan_literal(struct scan *scan, struct nx_str literal) {
    if (!nx_str_starts_with(nx_str_slice(scan->text, scan->at, scan->text.len), literal)) {
        return fail(scan, "expected a value");
    }
    scan->at += literal.len;
    return true;
}

static bool scan_scalar(struct scan *scan) {
    switch (peek(scan)) {
    case '"':
        return scan_string(scan);
    case 't':
        return scan_literal(scan, NX_STR("true"));
    case 'f':
        return scan_literal(scan, NX_STR("false"));
    case 'n':
        return scan_literal(scan, NX_STR("null"));
    case '-':
        return scan_number(scan);
    default:
        return peek(scan) >= '0' && peek(scan) <= '9' ? scan_number(scan) : fail(scan, "expected a value");
    }
}

static bool in_object(const struct scan *scan) {
    const unsigned level = scan->depth - 1;
    return (scan->is_object[level / 64] >> level % 64 & 1) != 0;
}

static bool open_level(struct scan *scan, bool is_object) {
    const unsigned level = scan->depth;
    if (level == NX_JSON_DEPTH_MAX) {
        return fail(scan, "nested too deeply");
    }
    const uint64_t bit = 1ull << level % 64;
    scan->is_object[level / 64] = (scan->is_object[level / 64] & ~bit) | (is_object ? bit : 0);
    scan->depth++;
    scan->at++;
    return true;
}

/* A value's first token: a scalar, or the opening of a container. */
static bool scan_value(struct scan *scan, enum expect *expect) {
    const char c = peek(scan);
    if (c == '{' || c == '[') {
        *expect = c == '{' ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
        return open_level(scan, c == '{');
    }
    *expect = EXPECT_COMMA_OR_END;
    return scan_scalar(scan);
}

static bool scan_key(struct scan *scan) {
    if (peek(scan) != '"') {
        return fail(scan, "expected a name in quotes");
    }
    if (!scan_string(scan)) {
        return false;
    }
    skip_space(scan);
    if (peek(scan) != ':') {
        return fail(scan, "expected ':'");
    }
    scan->at++;
    return true;
}

static bool scan_comma(struct scan *scan, enum expect *expect) {
    if (peek(scan) != ',') {
        return fail(scan, in_object(scan) ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    scan->at++;
    *expect = in_object(scan) ? EXPECT_KEY : EXPECT_VALUE;
    return true;
}

/* One value with all that is in it; `at` ends right behind it. */
static bool scan_whole_value(struct scan *scan) {
    const unsigned depth = scan->depth;
    enum expect expect = EXPECT_VALUE;
    do {
        skip_space(scan);
        if (expect >= EXPECT_KEY_OR_END || expect == EXPECT_VALUE_OR_END) {
            const char end = in_object(scan) ? '}' : ']';
            if (peek(scan) == end) {
                scan->at++;
                scan->depth--;
                expect = EXPECT_COMMA_OR_END;
                continue;
            }
        }
        if (expect == EXPECT_COMMA_OR_END) {
            if (!scan_comma(scan, &expect)) {
                return false;
            }
        } else if (expect == EXPECT_KEY || expect == EXPECT_KEY_OR_END) {
            if (!scan_key(scan)) {
                return false;
            }
            expect = EXPECT_VALUE;
        } else if (!scan_value(scan, &expect)) {
            return false;
        }
    } while (scan->depth > depth || expect != EXPECT_COMMA_OR_END);
    return true;
}

static bool scan_text(struct scan *scan) {
    const size_t utf8_len = nx_str_utf8_prefix(scan->text);
    if (utf8_len != scan->text.len) {
        scan->at = utf8_len;
        return fail(scan, "not valid UTF-8");
    }
    if (!scan_whole_value(scan)) {
        return false;
    }
    skip_space(scan);
    return scan->at == scan->text.len || fail(scan, "expected the end");
}

bool nx_json_is_valid(struct nx_str text) {
    struct scan scan = { .text = text };
    return scan_text(&scan);
}

enum nx_status nx_json_check(struct nx_str text, struct nx_error *err) {
    struct scan scan = { .text = text };
    if (scan_text(&scan)) {
        return NX_OK;
    }
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < scan.at; i++) {
        const unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\n') {
            line++;
            column = 1;
        } else if ((c & 0xC0) != 0x80) { /* characters, not bytes */
            column++;
        }
    }
    return nx_fail(err, NX_INVALID_ARGUMENT, "line %zu, column %zu (byte %zu): %s%s", line, column, scan.at,
                   scan.problem, scan.at == text.len ? ", but the text ends here" : "");
}

struct nx_json_members nx_json_members_of(struct nx_str object) {
    struct scan scan = { .text = object };
    skip_space(&scan);
    if (peek(&scan) != '{') {
        return (struct nx_json_members){ .rest = NX_STR_EMPTY, .failed = true };
    }
    return (struct nx_json_members){ .rest = nx_str_slice(object, scan.at + 1, object.len) };
}

bool nx_json_members_next(struct nx_json_members *members, struct nx_str *name_raw_out,
                          struct nx_str *value_raw_out) {
    struct scan scan = { .text = members->rest };
    skip_space(&scan);
    if (members->failed || peek(&scan) == '}') {
        return false;
    }
    if (peek(&scan) == ',') {
        scan.at++;
        skip_space(&scan);
    }
    const size_t name_at = scan.at;
    members->failed = true; /* unless all below goes well */
    if (peek(&scan) != '"' || !scan_string(&scan)) {
        return false;
    }
    const struct nx_str name = nx_str_slice(scan.text, name_at + 1, scan.at - 1);
    skip_space(&scan);
    if (peek(&scan) != ':') {
        return false;
    }
    scan.at++;
    skip_space(&scan);
    const size_t value_at = scan.at;
    if (!scan_whole_value(&scan)) {
        return false;
    }
    members->failed = false;
    *name_raw_out = name;
    *value_raw_out = nx_str_slice(scan.text, value_at, scan.at);
    members->rest = nx_str_slice(scan.text, scan.at, scan.text.len);
    return true;
}

/* The character as UTF-8. */
static void append_character(struct nx_buf *out, unsigned character) {
    char text[4];
    size_t len = 1;
    if (character < 0x80) {
        text[0] = (char)character;
    } else if (character < 0x800) {
        text[0] = (char)(0xC0 | character >> 6);
        text[1] = (char)(0x80 | (character & 0x3F));
        len = 2;
    } else if (character < 0x10000) {
        text[0] = (char)(0xE0 | character >> 12);
        text[1] = (char)(0x80 | (character >> 6 & 0x3F));
        text[2] = (char)(0x80 | (character & 0x3F));
        len = 3;
    } else {
        text[0] = (char)(0xF0 | character >> 18);
        text[1] = (char)(0x80 | (character >> 12 & 0x3F));
        text[2] = (char)(0x80 | (character >> 6 & 0x3F));
        text[3] = (char)(0x80 | (character & 0x3F));
        len = 4;
    }
    nx_buf_append(out, nx_str_of(text, len));
}

/* At the "u" of an escape that scan_escape() would accept; ends behind its digits. */
static void unescape_unicode(struct nx_buf *out, struct scan *scan) {
    unsigned character = 0;
    unsigned low = 0;
    scan->at++;
    if (!scan_hex4(scan, &character)) {
        return;
    }
    if (character >= 0xD800 && character <= 0xDBFF) {
        scan->at += 2;
        if (!scan_hex4(scan, &low) || low < 0xDC00 || low > 0xDFFF) {
            return;
        }
        character = 0x10000 + ((character - 0xD800) << 10) + (low - 0xDC00);
    }
    append_character(out, character);
}

void nx_json_unescape(struct nx_buf *out, struct nx_str raw) {
    static const char short_forms[] = "b\bf\fn\nr\rt\t\"\"\\\\//";
    struct scan scan = { .text = raw };
    while (scan.at < raw.len) {
        const struct nx_str rest = nx_str_slice(raw, scan.at, raw.len);
        const size_t backslash = nx_str_find_byte(rest, '\\');
        nx_buf_append(out, nx_str_slice(rest, 0, backslash));
        if (backslash == SIZE_MAX) {
            return;
        }
        scan.at += backslash + 1;
        if (peek(&scan) == 'u') {
            unescape_unicode(out, &scan);
            continue;
        }
        for (size_t i = 0; i + 1 < sizeof short_forms; i += 2) {
            if (peek(&scan) == short_forms[i]) {
                nx_buf_append(out, nx_str_of(&short_forms[i + 1], 1));
            }
        }
        scan.at++;
    }
}

struct nx_json_elements nx_json_elements_of(struct nx_str array) {
    struct scan scan = { .text = array };
    skip_space(&scan);
    if (peek(&scan) != '[') {
        return (struct nx_json_elements){ .rest = NX_STR_EMPTY, .failed = true };
    }
    return (struct nx_json_elements){ .rest = nx_str_slice(array, scan.at + 1, array.len) };
}

bool nx_json_elements_next(struct nx_json_elements *elements, struct nx_str *value_raw_out) {
    struct scan scan = { .text = elements->rest };
    skip_space(&scan);
    if (elements->failed || peek(&scan) == ']') {
        return false;
    }
    if (peek(&scan) == ',') {
        scan.at++;
        skip_space(&scan);
    }
    const size_t value_at = scan.at;
    if (!scan_whole_value(&scan)) {
        elements->failed = true;
        return false;
    }
    *value_raw_out = nx_str_slice(scan.text, value_at, scan.at);
    elements->rest = nx_str_slice(scan.text, scan.at, scan.text.len);
    return true;
}

struct nx_json_place nx_json_place_of(struct nx_str text, size_t offset) {
    struct nx_json_place place = { .line = 1, .column = 1, .byte = offset < text.len ? offset : text.len };
    for (size_t i = 0; i < place.byte; i++) {
        const unsigned char c = (unsigned char)text.ptr[i];
        if (c == '\n') {
            place.line++;
            place.column = 1;
        } else if ((c & 0xC0) != 0x80) { /* characters, not bytes */
            place.column++;
        }
    }
    return place;
}

size_t nx_json_bad_at(struct nx_str text) {
    struct scan scan = { .text = text };
    return scan_text(&scan) ? SIZE_MAX : scan.at;
}
