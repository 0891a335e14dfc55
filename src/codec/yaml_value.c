/* src/codec/yaml_value.c: what a node's text means, by YAML 1.2's core schema. */
#include <stdlib.h>

#include "codec/time_format.h"
#include "codec/yaml.h"

enum { NUMBER_TEXT_SIZE_MAX = 64, SHOWN_MAX = 64 };

const struct nx_yaml_node *nx_yaml_get(const struct nx_yaml_node *mapping, const char *key) {
    if (mapping == NULL || mapping->kind != NX_YAML_MAPPING) {
        return NULL;
    }
    for (const struct nx_yaml_node *node = mapping->first; node != NULL; node = node->next) {
        if (nx_str_is(node->key, key)) {
            return node;
        }
    }
    return NULL;
}

bool nx_yaml_is_null(const struct nx_yaml_node *node) {
    if (node == NULL || node->kind != NX_YAML_SCALAR || node->is_quoted) {
        return false;
    }
    return node->text.len == 0 || nx_str_is(node->text, "~") || nx_str_is(node->text, "null") ||
           nx_str_is(node->text, "Null") || nx_str_is(node->text, "NULL");
}

const char *nx_yaml_kind_name(enum nx_yaml_kind kind) {
    static const char *const names[] = { "a value", "a list", "a mapping" };
    return names[kind];
}

/* "expected …, found …" at the value. */
static enum nx_status fail_expected(const struct nx_yaml_node *node, const char *expected,
                                    struct nx_error *err) {
    if (node->kind != NX_YAML_SCALAR) {
        return nx_yaml_fail(err, node, "expected %s, found %s", expected, nx_yaml_kind_name(node->kind));
    }
    if (nx_yaml_is_null(node)) {
        return nx_yaml_fail(err, node, "expected %s, found nothing", expected);
    }
    return nx_yaml_fail(err, node, "expected %s, found '%.*s'", expected,
                        NX_STR_ARG(nx_str_slice(node->text, 0, SHOWN_MAX)));
}

enum nx_status nx_yaml_expect(const struct nx_yaml_node *node, enum nx_yaml_kind kind, struct nx_error *err) {
    return node->kind == kind ? NX_OK : fail_expected(node, nx_yaml_kind_name(kind), err);
}

enum nx_status nx_yaml_to_str(const struct nx_yaml_node *node, struct nx_str *str_out, struct nx_error *err) {
    if (node->kind != NX_YAML_SCALAR || nx_yaml_is_null(node)) {
        return fail_expected(node, "text", err);
    }
    *str_out = node->text;
    return NX_OK;
}

static bool is_one_of(struct nx_str text, const char *a, const char *b, const char *c) {
    return nx_str_is(text, a) || nx_str_is(text, b) || nx_str_is(text, c);
}

enum nx_status nx_yaml_to_bool(const struct nx_yaml_node *node, bool *value_out, struct nx_error *err) {
    const bool is_plain = node->kind == NX_YAML_SCALAR && !node->is_quoted;
    if (is_plain && is_one_of(node->text, "true", "True", "TRUE")) {
        *value_out = true;
        return NX_OK;
    }
    if (is_plain && is_one_of(node->text, "false", "False", "FALSE")) {
        *value_out = false;
        return NX_OK;
    }
    return fail_expected(node, "true or false", err);
}

enum nx_status nx_yaml_to_u64(const struct nx_yaml_node *node, uint64_t min, uint64_t max,
                              uint64_t *value_out, struct nx_error *err) {
    uint64_t value;
    if (node->kind != NX_YAML_SCALAR || node->is_quoted || !nx_str_to_u64(node->text, &value)) {
        return fail_expected(node, "a whole number", err);
    }
    if (value < min || value > max) {
        return nx_yaml_fail(err, node, "expected a number from %llu to %llu, found %llu",
                            (unsigned long long)min, (unsigned long long)max, (unsigned long long)value);
    }
    *value_out = value;
    return NX_OK;
}

/* Digits, a point, an exponent; strtod() alone would also take "nan", "0x1p3" and spaces. */
static bool is_number(struct nx_str text) {
    bool has_digit = false;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.ptr[i];
        const bool is_digit = c >= '0' && c <= '9';
        has_digit = has_digit || is_digit;
        if (!is_digit && c != '.' && c != 'e' && c != 'E' && c != '+' && c != '-') {
            return false;
        }
    }
    return has_digit && text.len <= NUMBER_TEXT_SIZE_MAX;
}

enum nx_status nx_yaml_to_double(const struct nx_yaml_node *node, double min, double max, double *value_out,
                                 struct nx_error *err) {
    if (node->kind != NX_YAML_SCALAR || node->is_quoted || !is_number(node->text)) {
        return fail_expected(node, "a number", err);
    }
    char *end = NULL;
    const double value = strtod(node->text.ptr, &end); /* a NUL stands behind every node's text */
    if (end != node->text.ptr + node->text.len) {
        return fail_expected(node, "a number", err);
    }
    if (!(value >= min && value <= max)) {
        return nx_yaml_fail(err, node, "expected a number from %g to %g, found %g", min, max, value);
    }
    *value_out = value;
    return NX_OK;
}

enum nx_status nx_yaml_to_duration(const struct nx_yaml_node *node, int64_t *ns_out, struct nx_error *err) {
    if (node->kind != NX_YAML_SCALAR || nx_duration_parse(node->text, ns_out, NULL) != NX_OK) {
        return fail_expected(node, "a duration such as 250ms, 1m30s or 7d", err);
    }
    return NX_OK;
}

enum nx_status nx_yaml_to_size(const struct nx_yaml_node *node, uint64_t *bytes_out, struct nx_error *err) {
    if (node->kind != NX_YAML_SCALAR || nx_size_parse(node->text, bytes_out, NULL) != NX_OK) {
        return fail_expected(node, "a size such as 128Mi, 10GiB or 64MB", err);
    }
    return NX_OK;
}
