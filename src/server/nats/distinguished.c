/* src/server/nats/distinguished.c: see distinguished.h. */
#include "server/nats/distinguished.h"

#include <stddef.h>

/* "CN=bob" */
struct part {
    struct nx_str attribute;
    struct nx_str value;
};

/* Cut off what stands before the first comma or plus that is not escaped; false at the end. */
static bool next_part(struct nx_str *rest, struct nx_str *text_out) {
    size_t at = 0;
    if (rest->len == 0) {
        return false;
    }
    while (at < rest->len && rest->ptr[at] != ',' && rest->ptr[at] != '+') {
        at += rest->ptr[at] == '\\' ? 2 : 1;
    }
    *text_out = nx_str_slice(*rest, 0, at);
    *rest = nx_str_slice(*rest, at + 1, rest->len);
    return true;
}

/* SIZE_MAX: it is no distinguished name. */
static size_t take_apart(struct nx_str name, struct part parts[NX_NATS_DN_PARTS_MAX]) {
    struct nx_str text;
    size_t count = 0;
    while (next_part(&name, &text)) {
        const size_t equals = nx_str_find_byte(text, '=');
        if (equals == SIZE_MAX || count == NX_NATS_DN_PARTS_MAX) {
            return SIZE_MAX;
        }
        parts[count++] = (struct part){ nx_str_trim(nx_str_slice(text, 0, equals)),
                                        nx_str_trim(nx_str_slice(text, equals + 1, text.len)) };
    }
    return count == 0 ? SIZE_MAX : count;
}

static bool is_same_part(const struct part *a, const struct part *b) {
    return nx_str_equal_ignore_case(a->attribute, b->attribute) && nx_str_equal(a->value, b->value);
}

bool nx_nats_dn_is_same(struct nx_str a, struct nx_str b) {
    struct part left[NX_NATS_DN_PARTS_MAX];
    struct part right[NX_NATS_DN_PARTS_MAX];
    bool taken[NX_NATS_DN_PARTS_MAX] = { false };
    const size_t count = take_apart(a, left);
    if (count == SIZE_MAX || take_apart(b, right) != count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < count && (taken[j] || !is_same_part(&left[i], &right[j]))) {
            j++;
        }
        if (j == count) {
            return false;
        }
        taken[j] = true;
    }
    return true;
}
