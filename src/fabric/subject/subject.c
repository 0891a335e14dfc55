#include "fabric/subject/subject.h"

#include "fabric/fabric.h"

static bool check(struct nx_str subject, bool wildcards_allowed) {
    size_t token_start = 0;
    if (subject.len == 0 || subject.len > NX_SUBJECT_SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i <= subject.len; i++) {
        if (i < subject.len && subject.ptr[i] != '.') {
            const unsigned char c = (unsigned char)subject.ptr[i];
            const bool is_wildcard = c == '*' || c == '>';
            if (c <= ' ' || c == 0x7f || (is_wildcard && !wildcards_allowed)) {
                return false;
            }
            continue;
        }
        const struct nx_str token = nx_str_slice(subject, token_start, i);
        if (token.len == 0 || (nx_str_is(token, ">") && i < subject.len)) {
            return false;
        }
        token_start = i + 1;
    }
    return true;
}

bool nx_subject_is_valid(struct nx_str subject) {
    return check(subject, false);
}

bool nx_subject_is_filter(struct nx_str filter) {
    return check(filter, true);
}

bool nx_subject_has_wildcard(struct nx_str filter) {
    struct nx_str token;
    while (nx_str_split(&filter, '.', &token)) {
        if (nx_str_is(token, "*") || nx_str_is(token, ">")) {
            return true;
        }
    }
    return false;
}

bool nx_subject_matches(struct nx_str filter, struct nx_str subject) {
    struct nx_str want;
    struct nx_str have;
    while (nx_str_split(&filter, '.', &want)) {
        if (!nx_str_split(&subject, '.', &have)) {
            return false;
        }
        if (nx_str_is(want, ">")) {
            return true;
        }
        if (!nx_str_is(want, "*") && !nx_str_equal(want, have)) {
            return false;
        }
    }
    return !nx_str_split(&subject, '.', &have);
}

bool nx_subject_covers(struct nx_str filter, struct nx_str other) {
    struct nx_str want;
    struct nx_str have;
    while (nx_str_split(&filter, '.', &want)) {
        if (!nx_str_split(&other, '.', &have)) {
            return false;
        }
        if (nx_str_is(want, ">")) {
            return true;
        }
        if (nx_str_is(have, ">") || (!nx_str_is(want, "*") && !nx_str_equal(want, have))) {
            return false;
        }
    }
    return !nx_str_split(&other, '.', &have);
}

bool nx_subject_overlaps(struct nx_str a, struct nx_str b) {
    struct nx_str left;
    struct nx_str right;
    for (;;) {
        const bool has_left = nx_str_split(&a, '.', &left);
        const bool has_right = nx_str_split(&b, '.', &right);
        if (!has_left || !has_right) {
            return has_left == has_right;
        }
        if (nx_str_is(left, ">") || nx_str_is(right, ">")) {
            return true;
        }
        if (!nx_str_is(left, "*") && !nx_str_is(right, "*") && !nx_str_equal(left, right)) {
            return false;
        }
    }
}

bool nx_stream_name_is_jetstream(struct nx_str name) {
    return nx_str_starts_with(name, NX_STR("JS_")) || nx_str_starts_with(name, NX_STR("JSM_")) ||
           nx_str_starts_with(name, NX_STR("JSC_"));
}

bool nx_stream_name_is_valid(struct nx_str name) {
    if (name.len == 0 || name.len > NX_STREAM_NAME_SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
              c == '-')) {
            return false;
        }
    }
    return true;
}
