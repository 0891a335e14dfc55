/* src/server/nats/access.c: see access.h. */
#include "server/nats/access.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/map.h"
#include "codec/base64.h"
#include "codec/nkey.h"
#include "codec/password.h"
#include "fabric/subject/subject.h"
#include "io/clock.h"
#include "server/nats/distinguished.h"

enum {
    ARENA_SIZE_MAX = 256 * 1024 * 1024,
    RESPONSES_DEFAULT = 1,
    SIGNATURE_TEXT_SIZE_MAX = 256,
};
static const int64_t responses_expire_default_ns = (int64_t)120 * NX_NS_PER_S;

struct nx_nats_access {
    struct nx_arena arena; /* owns all that follows */
    struct nx_nats_user *users;
    size_t user_count;
    struct nx_map by_name;
    const struct nx_nats_user **distinguished; /* those whose names are a certificate's subject */
    size_t distinguished_count;
    struct nx_map by_nkey;
    const struct nx_nats_user *no_auth_user;
    struct nx_str token;         /* empty: none */
    struct nx_nats_user simple;  /* the one of user_name; its name is empty when there is none */
    struct nx_nats_user holder;  /* of the token */
    struct nx_nats_user anybody; /* when no credentials are asked for */
    bool is_required;
    bool is_mapped; /* certificates name users */
};

const struct nx_str nx_nats_account_default = { .ptr = "$G", .len = 2 };

/* Making one */

static enum nx_status copy_str(struct nx_nats_access *access, struct nx_str *str, struct nx_error *err) {
    if (str->len == 0) {
        *str = NX_STR_EMPTY;
        return NX_OK;
    }
    *str = nx_arena_copy(&access->arena, *str);
    return str->ptr == NULL ? nx_fail_memory(err) : NX_OK;
}

static enum nx_status copy_list(struct nx_nats_access *access, const struct nx_nats_rule **rules,
                                size_t count, bool may_have_queue, struct nx_error *err) {
    if (count > NX_NATS_RULES_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "a list of permissions has more than %d subjects",
                       NX_NATS_RULES_MAX);
    }
    struct nx_nats_rule *copy = nx_arena_alloc(&access->arena, (count + 1) * sizeof *copy);
    if (copy == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        copy[i] = (*rules)[i];
        if (!nx_subject_is_filter(copy[i].subject)) {
            return nx_fail(err, NX_INVALID_ARGUMENT, "subject \"%.*s\" is not a valid subject",
                           NX_STR_ARG(copy[i].subject));
        }
        if (copy[i].queue.len > 0 && !may_have_queue) {
            return nx_fail(err, NX_INVALID_ARGUMENT,
                           "subject \"%.*s\" has a queue, which only subscriptions have",
                           NX_STR_ARG(copy[i].subject));
        }
        NX_TRY(copy_str(access, &copy[i].subject, err));
        NX_TRY(copy_str(access, &copy[i].queue, err));
    }
    *rules = copy;
    return NX_OK;
}

static enum nx_status copy_permissions(struct nx_nats_access *access,
                                       const struct nx_nats_permissions **permissions, struct nx_error *err) {
    struct nx_nats_permissions *copy = nx_arena_alloc(&access->arena, sizeof *copy);
    if (copy == NULL) {
        return nx_fail_memory(err);
    }
    *copy = **permissions;
    NX_TRY(copy_list(access, &copy->publish.allow, copy->publish.allow_count, false, err));
    NX_TRY(copy_list(access, &copy->publish.deny, copy->publish.deny_count, false, err));
    NX_TRY(copy_list(access, &copy->subscribe.allow, copy->subscribe.allow_count, true, err));
    NX_TRY(copy_list(access, &copy->subscribe.deny, copy->subscribe.deny_count, true, err));
    if (copy->allow_responses) {
        copy->publish.is_limited = true;
        copy->responses_max = copy->responses_max == 0 ? RESPONSES_DEFAULT : copy->responses_max;
        copy->responses_expire_ns =
            copy->responses_expire_ns == 0 ? responses_expire_default_ns : copy->responses_expire_ns;
    }
    *permissions = copy;
    return NX_OK;
}

static enum nx_status check_nkey(const struct nx_nats_user *user, struct nx_error *err) {
    uint8_t key[NX_NKEY_SIZE];
    if (!nx_nkey_read_user(user->nkey, key)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "\"%.*s\" is not a valid public nkey for a user",
                       NX_STR_ARG(user->nkey));
    }
    return NX_OK;
}

static enum nx_status add_user(struct nx_nats_access *access, struct nx_nats_user *user,
                               struct nx_error *err) {
    const bool has_nkey = user->nkey.len > 0;
    const struct nx_str key = has_nkey ? user->nkey : user->name;
    struct nx_map *map = has_nkey ? &access->by_nkey : &access->by_name;
    if (has_nkey) {
        NX_TRY(check_nkey(user, err));
    }
    if (key.len == 0) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "a user has neither a name nor an nkey");
    }
    if (nx_map_get(map, key) != NULL) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "user \"%.*s\" is there twice", NX_STR_ARG(key));
    }
    if (user->account.len == 0) {
        user->account = nx_nats_account_default;
    }
    NX_TRY(copy_str(access, &user->name, err));
    NX_TRY(copy_str(access, &user->password, err));
    NX_TRY(copy_str(access, &user->nkey, err));
    NX_TRY(copy_str(access, &user->account, err));
    if (user->permissions != NULL) {
        enum nx_status status = copy_permissions(access, &user->permissions, err);
        if (status != NX_OK) {
            return nx_wrap(err, status, "permissions of user \"%.*s\"", NX_STR_ARG(key));
        }
    }
    return nx_map_set(map, key, user, err);
}

static enum nx_status take_users(struct nx_nats_access *access, const struct nx_nats_options *options,
                                 struct nx_error *err) {
    if (options->user_count > NX_NATS_USERS_MAX) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "there are more than %d users", NX_NATS_USERS_MAX);
    }
    access->users = nx_arena_alloc(&access->arena, (options->user_count + 1) * sizeof *access->users);
    if (access->users == NULL) {
        return nx_fail_memory(err);
    }
    access->distinguished =
        nx_arena_alloc(&access->arena, (options->user_count + 1) * sizeof(struct nx_nats_user *));
    if (access->distinguished == NULL) {
        return nx_fail_memory(err);
    }
    for (size_t i = 0; i < options->user_count; i++) {
        struct nx_nats_user *user = &access->users[i];
        *user = options->users[i];
        NX_TRY(add_user(access, user, err));
        if (nx_str_find_byte(user->name, '=') != SIZE_MAX) {
            access->distinguished[access->distinguished_count++] = user;
        }
    }
    access->user_count = options->user_count;
    return NX_OK;
}

static enum nx_status take_no_auth_user(struct nx_nats_access *access, struct nx_str name,
                                        struct nx_error *err) {
    if (name.len == 0) {
        return NX_OK;
    }
    access->no_auth_user = nx_map_get(&access->by_name, name);
    if (access->no_auth_user == NULL) {
        access->no_auth_user = nx_map_get(&access->by_nkey, name);
    }
    if (access->no_auth_user == NULL) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "no_auth_user: \"%.*s\" is no user", NX_STR_ARG(name));
    }
    return NX_OK;
}

static enum nx_status take(struct nx_nats_access *access, const struct nx_nats_options *options,
                           struct nx_error *err) {
    NX_TRY(take_users(access, options, err));
    if (options->user_count > 0 && (options->token.len > 0 || options->user_name.len > 0)) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "there cannot be a list of users, and a token or one user");
    }
    if (options->token.len > 0 && options->user_name.len > 0) {
        return nx_fail(err, NX_INVALID_ARGUMENT, "there cannot be a token and a user");
    }
    access->token = options->token;
    access->simple = (struct nx_nats_user){ .name = options->user_name,
                                            .password = options->user_password,
                                            .account = nx_nats_account_default };
    access->anybody = (struct nx_nats_user){ .name = NX_STR_EMPTY, .account = nx_nats_account_default };
    access->holder = access->anybody;
    NX_TRY(copy_str(access, &access->token, err));
    NX_TRY(copy_str(access, &access->simple.name, err));
    NX_TRY(copy_str(access, &access->simple.password, err));
    NX_TRY(take_no_auth_user(access, options->no_auth_user, err));
    access->is_required = access->user_count > 0 || access->token.len > 0 || access->simple.name.len > 0;
    access->is_mapped = options->tls.verify_and_map;
    return NX_OK;
}

enum nx_status nx_nats_access_new(const struct nx_nats_options *options, uint64_t seed,
                                  struct nx_nats_access **access_out, struct nx_error *err) {
    NX_AUTO(nx_nats_access) *access = calloc(1, sizeof *access);
    if (access == NULL) {
        return nx_fail_memory(err);
    }
    nx_arena_init(&access->arena, ARENA_SIZE_MAX);
    nx_map_init(&access->by_name, NX_NATS_USERS_MAX, seed);
    nx_map_init(&access->by_nkey, NX_NATS_USERS_MAX, seed);
    NX_TRY(take(access, options, err));
    *access_out = NX_TAKE(access);
    return NX_OK;
}

void nx_nats_access_free(struct nx_nats_access *access) {
    if (access == NULL) {
        return;
    }
    nx_map_fini(&access->by_name);
    nx_map_fini(&access->by_nkey);
    nx_arena_fini(&access->arena);
    free(access);
}

/* Who somebody is */

bool nx_nats_access_is_required(const struct nx_nats_access *access) {
    return access->is_required;
}

bool nx_nats_access_has_no_auth_user(const struct nx_nats_access *access) {
    return access->no_auth_user != NULL;
}

bool nx_nats_access_wants_nonce(const struct nx_nats_access *access) {
    return access->by_nkey.count > 0;
}

bool nx_nats_access_has_account(const struct nx_nats_access *access, struct nx_str account) {
    bool found = nx_str_equal(account, nx_nats_account_default);
    for (size_t i = 0; !found && i < access->user_count; i++) {
        found = nx_str_equal(account, access->users[i].account);
    }
    return found;
}

bool nx_nats_credentials_name_nobody(const struct nx_nats_credentials *credentials) {
    return credentials->name.len == 0 && credentials->password.len == 0 && credentials->token.len == 0;
}

/* Base64 of either alphabet, as clients differ. */
static bool is_signed(const struct nx_nats_credentials *credentials) {
    uint8_t key[NX_NKEY_SIZE];
    NX_AUTO(nx_buf) signature;
    nx_buf_init(&signature, SIGNATURE_TEXT_SIZE_MAX);
    if (!nx_nkey_read_user(credentials->nkey, key) || credentials->nonce.len == 0 ||
        (nx_base64_decode(&signature, NX_BASE64_URL, credentials->signature, NULL) != NX_OK &&
         nx_base64_decode(&signature, NX_BASE64_STANDARD, credentials->signature, NULL) != NX_OK)) {
        return false;
    }
    return nx_nkey_has_signed(key, credentials->nonce, nx_buf_str(&signature));
}

/* A hash is left as a doubt. */
static bool matches(struct nx_str kept, struct nx_str given, const struct nx_nats_credentials *credentials,
                    struct nx_nats_doubt *doubt) {
    if (!nx_password_is_hash(kept)) {
        return nx_password_matches(kept, given);
    }
    if (!nx_str_equal(kept, credentials->matched_hash)) {
        *doubt = (struct nx_nats_doubt){ .hash = kept, .given = given };
    }
    return true;
}

/* The user of this name, or of the same distinguished one. */
static const struct nx_nats_user *find_named(const struct nx_nats_access *access, struct nx_str name) {
    const struct nx_nats_user *user = nx_map_get(&access->by_name, name);
    for (size_t i = 0; user == NULL && i < access->distinguished_count; i++) {
        if (nx_nats_dn_is_same(access->distinguished[i]->name, name)) {
            user = access->distinguished[i];
        }
    }
    return user;
}

static const struct nx_nats_user *find_mapped(const struct nx_nats_access *access,
                                              const struct nx_nats_credentials *credentials,
                                              struct nx_nats_doubt *doubt) {
    for (size_t i = 0; i < credentials->certificate_name_count; i++) {
        const struct nx_nats_user *user = find_named(access, credentials->certificate_names[i]);
        if (user != NULL) {
            /* As NATS: one that has a password too must have said it. */
            return matches(user->password, credentials->password, credentials, doubt) ? user : NULL;
        }
    }
    return NULL;
}

static const struct nx_nats_user *check_user(const struct nx_nats_access *access,
                                             const struct nx_nats_credentials *credentials,
                                             struct nx_nats_doubt *doubt) {
    /* As NATS: an nkey is not looked at where nobody has one. */
    const bool names_nobody = nx_nats_credentials_name_nobody(credentials);
    if (credentials->nkey.len > 0 && access->by_nkey.count > 0) {
        const struct nx_nats_user *user = nx_map_get(&access->by_nkey, credentials->nkey);
        return user != NULL && (user == access->no_auth_user || is_signed(credentials)) ? user : NULL;
    }
    if (names_nobody && access->no_auth_user != NULL && access->no_auth_user->nkey.len > 0) {
        return access->no_auth_user;
    }
    if (access->is_mapped && access->by_name.count > 0) {
        return find_mapped(access, credentials, doubt);
    }
    if (names_nobody && access->no_auth_user != NULL) {
        return access->no_auth_user;
    }
    const struct nx_nats_user *user = nx_map_get(&access->by_name, credentials->name);
    return user != NULL && matches(user->password, credentials->password, credentials, doubt) ? user : NULL;
}

const struct nx_nats_user *nx_nats_access_check(const struct nx_nats_access *access,
                                                const struct nx_nats_credentials *credentials,
                                                struct nx_nats_doubt *doubt_out) {
    *doubt_out = (struct nx_nats_doubt){ .hash = NX_STR_EMPTY };
    if (!access->is_required) {
        return &access->anybody;
    }
    if (access->user_count > 0) {
        return check_user(access, credentials, doubt_out);
    }
    if (access->token.len > 0) {
        return matches(access->token, credentials->token, credentials, doubt_out) ? &access->holder : NULL;
    }
    return nx_str_equal(access->simple.name, credentials->name) &&
                   matches(access->simple.password, credentials->password, credentials, doubt_out)
               ? &access->simple
               : NULL;
}

static bool has_same_credentials(const struct nx_nats_user *a, const struct nx_nats_user *b) {
    return nx_str_equal(a->password, b->password) && nx_str_equal(a->account, b->account);
}

const struct nx_nats_user *nx_nats_access_find_again(const struct nx_nats_access *access,
                                                     const struct nx_nats_access *previous,
                                                     const struct nx_nats_user *user) {
    if (!access->is_required) {
        return &access->anybody;
    }
    if (user == &previous->anybody) {
        return NULL;
    }
    if (user == &previous->holder) {
        return access->token.len > 0 && nx_str_equal(access->token, previous->token) ? &access->holder : NULL;
    }
    const struct nx_nats_user *found = user->nkey.len > 0 ? nx_map_get(&access->by_nkey, user->nkey)
                                                          : nx_map_get(&access->by_name, user->name);
    if (found == NULL && user->nkey.len == 0 && nx_str_equal(access->simple.name, user->name)) {
        found = &access->simple;
    }
    return found != NULL && has_same_credentials(found, user) ? found : NULL;
}

/* What one may do */

static struct nx_str next_token(struct nx_str *rest) {
    struct nx_str token = NX_STR_EMPTY;
    (void)nx_str_split(rest, '.', &token);
    return token;
}

/* Whether the rule covers all that the filter covers. A subject is a filter without wildcards. */
static bool covers(struct nx_str rule, struct nx_str filter) {
    while (rule.len > 0) {
        if (filter.len == 0) {
            return false;
        }
        const struct nx_str want = next_token(&rule);
        const struct nx_str have = next_token(&filter);
        if (nx_str_is(want, ">")) {
            return true;
        }
        if (nx_str_is(have, ">") || (!nx_str_is(want, "*") && !nx_str_equal(want, have))) {
            return false;
        }
    }
    return filter.len == 0;
}

static bool names_queue(const struct nx_nats_rule *rule, struct nx_str queue) {
    return nx_str_equal(rule->queue, queue) || covers(rule->queue, queue);
}

/* What a list says of a subscription: NATS asks about subjects first, then about queues. */
struct verdict {
    bool plain; /* a rule without a queue covers it */
    bool any_queue;
    bool this_queue;
};

static struct verdict verdict_of(const struct nx_nats_rule *rules, size_t count, struct nx_str filter,
                                 struct nx_str queue) {
    struct verdict verdict = { .plain = false };
    for (size_t i = 0; i < count; i++) {
        if (!covers(rules[i].subject, filter)) {
            continue;
        }
        if (rules[i].queue.len == 0) {
            verdict.plain = true;
        } else {
            verdict.any_queue = true;
            verdict.this_queue = verdict.this_queue || names_queue(&rules[i], queue);
        }
    }
    return verdict;
}

bool nx_nats_may_publish(const struct nx_nats_permissions *permissions, struct nx_str subject) {
    if (permissions == NULL) {
        return true;
    }
    const struct nx_nats_rules *rules = &permissions->publish;
    if (rules->is_limited && !verdict_of(rules->allow, rules->allow_count, subject, NX_STR_EMPTY).plain) {
        return false;
    }
    return !verdict_of(rules->deny, rules->deny_count, subject, NX_STR_EMPTY).plain;
}

bool nx_nats_is_withheld(const struct nx_nats_permissions *permissions, struct nx_str subject,
                         struct nx_str queue) {
    if (permissions == NULL || permissions->subscribe.deny_count == 0) {
        return false;
    }
    const struct nx_nats_rules *rules = &permissions->subscribe;
    const struct verdict denied = verdict_of(rules->deny, rules->deny_count, subject, queue);
    return denied.plain || (queue.len > 0 && denied.this_queue);
}

bool nx_nats_may_subscribe(const struct nx_nats_permissions *permissions, struct nx_str filter,
                           struct nx_str queue) {
    if (permissions == NULL) {
        return true;
    }
    const struct nx_nats_rules *rules = &permissions->subscribe;
    if (rules->is_limited) {
        const struct verdict allowed = verdict_of(rules->allow, rules->allow_count, filter, queue);
        if (!(queue.len > 0 && allowed.any_queue ? allowed.this_queue : allowed.plain)) {
            return false;
        }
    }
    return !nx_nats_is_withheld(permissions, filter, queue);
}
