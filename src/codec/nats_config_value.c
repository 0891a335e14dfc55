/* src/codec/nats_config_value.c: values of a NATS configuration as C values. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/nats_config_internal.h"
#include "codec/time_format.h"

enum { REAL_SIZE_MAX = 64 };

static const int64_t ns_per_s = 1000 * 1000 * 1000;

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* The factor of k, mb, GiB…; 0: no such suffix. Six letters of powers fit: 1024^6 is 2^60. */
static int64_t suffix_factor(struct nx_str suffix) {
    static const char letters[] = "kmgtpe";
    if (suffix.len == 0) {
        return 1;
    }
    const char *letter = strchr(letters, suffix.ptr[0] | 0x20);
    const struct nx_str rest = nx_str_slice(suffix, 1, suffix.len);
    if (letter == NULL ||
        (rest.len > 0 && !nx_str_equal_ignore_case(rest, NX_STR("b")) &&
         !nx_str_equal_ignore_case(rest, NX_STR("i")) && !nx_str_equal_ignore_case(rest, NX_STR("ib")))) {
        return 0;
    }
    int64_t factor = 1;
    for (const char *at = letters; at <= letter; at++) {
        factor *= rest.len > 0 ? 1024 : 1000;
    }
    return factor;
}

/* Digits, perhaps with a sign and a suffix. False: not a whole number. */
static bool read_integer(struct nx_str word, int64_t *value_out, bool *fits_out) {
    const bool is_negative = word.len > 0 && word.ptr[0] == '-';
    size_t end = is_negative ? 1 : 0;
    uint64_t digits = 0;
    while (end < word.len && is_digit(word.ptr[end])) {
        end++;
    }
    const struct nx_str number = nx_str_slice(word, is_negative ? 1 : 0, end);
    const int64_t factor = suffix_factor(nx_str_slice(word, end, word.len));
    if (number.len == 0 || factor == 0) {
        return false;
    }
    int64_t value = 0;
    *fits_out = nx_str_to_u64(number, &digits) && digits <= (uint64_t)INT64_MAX &&
                !__builtin_mul_overflow((int64_t)digits, factor, &value);
    *value_out = is_negative ? -value : value;
    return true;
}

/* Digits, a point, digits. */
static bool read_real(struct nx_str word, double *value_out) {
    char text[REAL_SIZE_MAX];
    const size_t sign = word.len > 0 && word.ptr[0] == '-' ? 1 : 0;
    const size_t point = nx_str_find_byte(word, '.');
    if (point == SIZE_MAX || point == sign || point + 1 == word.len || word.len >= sizeof text) {
        return false;
    }
    for (size_t i = sign; i < word.len; i++) {
        if (i != point && !is_digit(word.ptr[i])) {
            return false;
        }
    }
    (void)snprintf(text, sizeof text, "%.*s", NX_STR_ARG(word));
    *value_out = strtod(text, NULL);
    return true;
}

static bool read_boolean(struct nx_str word, bool *value_out) {
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (nx_str_equal_ignore_case(word, nx_str_from_c(words[i]))) {
            *value_out = i % 2 == 1;
            return true;
        }
    }
    return false;
}

bool nx_nats_word_read(struct nx_str word, struct nx_nats_node *node) {
    bool fits = false;
    if (read_integer(word, &node->integer, &fits)) {
        node->kind = NX_NATS_NODE_INTEGER;
        node->real = (double)node->integer;
        node->has_suffix = !is_digit(word.ptr[word.len - 1]);
        return fits;
    }
    if (read_real(word, &node->real)) {
        node->kind = NX_NATS_NODE_REAL;
    } else if (read_boolean(word, &node->boolean)) {
        node->kind = NX_NATS_NODE_BOOL;
    } else {
        node->kind = NX_NATS_NODE_STRING;
    }
    return true;
}

const char *nx_nats_node_kind_name(enum nx_nats_node_kind kind) {
    switch (kind) {
    case NX_NATS_NODE_STRING:
        return "a string";
    case NX_NATS_NODE_INTEGER:
        return "a whole number";
    case NX_NATS_NODE_REAL:
        return "a number";
    case NX_NATS_NODE_BOOL:
        return "true or false";
    case NX_NATS_NODE_LIST:
        return "a list";
    case NX_NATS_NODE_MAP:
        break;
    }
    return "a map";
}

const struct nx_nats_node *nx_nats_node_get(const struct nx_nats_node *map, const char *key) {
    const struct nx_nats_node *found = NULL;
    if (map == NULL || map->kind != NX_NATS_NODE_MAP) {
        return NULL;
    }
    for (const struct nx_nats_node *node = map->first; node != NULL; node = node->next) {
        if (nx_str_equal_ignore_case(node->key, nx_str_from_c(key))) {
            found = node;
        }
    }
    return found;
}

enum nx_status nx_nats_node_fail(struct nx_error *err, const struct nx_nats_node *node, const char *format,
                                 ...) {
    char message[sizeof err->message];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return nx_fail(err, NX_INVALID_ARGUMENT, "%.*s:%u:%u: %s", NX_STR_ARG(node->file), node->line,
                   node->column, message);
}

/* "'port': expected …, found …" at the value; an element of a list has no key. */
static enum nx_status fail_kind(const struct nx_nats_node *node, const char *expected, struct nx_error *err) {
    const char *found = nx_nats_node_kind_name(node->kind);
    if (node->key.len == 0) {
        return nx_nats_node_fail(err, node, "expected %s but found %s", expected, found);
    }
    return nx_nats_node_fail(err, node, "'%.*s': expected %s but found %s", NX_STR_ARG(node->key), expected,
                             found);
}

enum nx_status nx_nats_node_expect(const struct nx_nats_node *node, enum nx_nats_node_kind kind,
                                   struct nx_error *err) {
    return node->kind == kind ? NX_OK : fail_kind(node, nx_nats_node_kind_name(kind), err);
}

enum nx_status nx_nats_node_to_str(const struct nx_nats_node *node, struct nx_str *str_out,
                                   struct nx_error *err) {
    NX_TRY(nx_nats_node_expect(node, NX_NATS_NODE_STRING, err));
    *str_out = node->text;
    return NX_OK;
}

enum nx_status nx_nats_node_to_bool(const struct nx_nats_node *node, bool *value_out, struct nx_error *err) {
    NX_TRY(nx_nats_node_expect(node, NX_NATS_NODE_BOOL, err));
    *value_out = node->boolean;
    return NX_OK;
}

enum nx_status nx_nats_node_to_i64(const struct nx_nats_node *node, int64_t min, int64_t max,
                                   int64_t *value_out, struct nx_error *err) {
    NX_TRY(nx_nats_node_expect(node, NX_NATS_NODE_INTEGER, err));
    if (node->integer < min || node->integer > max) {
        return nx_nats_node_fail(
            err, node, "'%.*s': expected a number from %" PRId64 " to %" PRId64 " but found %" PRId64,
            NX_STR_ARG(node->key), min, max, node->integer);
    }
    *value_out = node->integer;
    return NX_OK;
}

enum nx_status nx_nats_node_to_duration(const struct nx_nats_node *node, int64_t *ns_out,
                                        struct nx_error *err) {
    if (node->kind == NX_NATS_NODE_STRING && nx_duration_parse(node->text, ns_out, NULL) == NX_OK) {
        return NX_OK;
    }
    if (node->kind == NX_NATS_NODE_INTEGER && node->has_suffix) {
        return nx_nats_node_fail(
            err, node, "'%.*s': without quotes this is the number %" PRId64 ": put the duration in quotes",
            NX_STR_ARG(node->key), node->integer);
    }
    if ((node->kind == NX_NATS_NODE_INTEGER || node->kind == NX_NATS_NODE_REAL) && node->real >= 0 &&
        node->real <= (double)(INT64_MAX / ns_per_s - 1)) {
        *ns_out = node->kind == NX_NATS_NODE_INTEGER ? node->integer * ns_per_s
                                                     : (int64_t)floor(node->real * (double)ns_per_s);
        return NX_OK;
    }
    return nx_nats_node_fail(err, node, "'%.*s': expected a duration such as \"2m\" or \"500ms\"",
                             NX_STR_ARG(node->key));
}
