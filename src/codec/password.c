/* src/codec/password.c: see password.h. */
#include "codec/password.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

enum {
    HASH_SIZE = 60,
    PREFIX_SIZE = 7, /* "$2a$10$" */
    PASSWORD_SIZE_MAX = 4096,
};

bool nx_password_is_hash(struct nx_str kept) {
    return kept.len >= PREFIX_SIZE && kept.ptr[0] == '$' && kept.ptr[1] == '2' &&
           nx_str_find_byte(NX_STR("abxy"), kept.ptr[2]) != SIZE_MAX && kept.ptr[3] == '$' &&
           kept.ptr[4] >= '0' && kept.ptr[4] <= '9' && kept.ptr[5] >= '0' && kept.ptr[5] <= '9' &&
           kept.ptr[6] == '$';
}

static bool is_same(struct nx_str a, struct nx_str b) {
    unsigned differences = a.len != b.len;
    for (size_t i = 0; i < b.len; i++) {
        const char other = a.len == 0 ? '\0' : a.ptr[i % a.len];
        differences |= (unsigned char)(other ^ b.ptr[i]);
    }
    return differences == 0;
}

static bool hash_matches(struct nx_str kept, struct nx_str given) {
    char setting[HASH_SIZE + 1];
    if (kept.len != HASH_SIZE || given.len > PASSWORD_SIZE_MAX ||
        (given.len > 0 && memchr(given.ptr, '\0', given.len) != NULL)) {
        return false;
    }
    memcpy(setting, kept.ptr, HASH_SIZE);
    setting[HASH_SIZE] = '\0';
    /* bcrypt takes 72 bytes of a password, libcrypt refuses those beyond its own maximum: cut as bcrypt does.
     */
    char phrase[72 + 1] = { 0 };
    const size_t size = given.len < sizeof phrase - 1 ? given.len : sizeof phrase - 1;
    if (size > 0) {
        memcpy(phrase, given.ptr, size);
    }
    NX_AUTO_FREE struct crypt_data *data = calloc(1, sizeof *data);
    const char *hash = data == NULL ? NULL : crypt_r(phrase, setting, data);
    const bool matches = hash != NULL && is_same(kept, nx_str_from_c(hash));
    explicit_bzero(phrase, sizeof phrase);
    if (data != NULL) {
        explicit_bzero(data, sizeof *data);
    }
    return matches;
}

bool nx_password_matches(struct nx_str kept, struct nx_str given) {
    return nx_password_is_hash(kept) ? hash_matches(kept, given) : is_same(kept, given);
}
