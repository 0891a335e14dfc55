/* src/app/nats_settings_users.c: who may connect and do what: `authorization` and `accounts` of a NATS
 * configuration. */
#include "app/nats_settings_internal.h"

#include <limits.h>
#include <string.h>

#include "base/map.h"
#include "fabric/subject/subject.h"

static const char no_exports[] = "accounts share nothing here: put those who share into one account";
static const char no_callout[] = "name the users in the file";
static const char no_such_thing[] = "leave it out";

enum { CAPACITY_MIN = 8 }; /* a power of two */

/* Permissions */

/* "subject", or for subscriptions "subject queue". */
static enum nx_status read_rule(const struct nx_nats_node *node, bool with_queue,
                                struct nx_nats_rule *rule_out, struct nx_error *err) {
    struct nx_str subject;
    struct nx_str queue = NX_STR_EMPTY;
    NX_TRY(nx_nats_node_to_str(node, &subject, err));
    struct nx_str rest = nx_str_trim(subject);
    if (with_queue && nx_str_split(&rest, ' ', &subject)) {
        queue = nx_str_trim(rest);
    }
    if (!nx_subject_is_filter(subject) || (queue.len > 0 && !nx_subject_is_filter(queue))) {
        return nx_nats_node_fail(err, node, "expected a subject%s but found '%.*s'",
                                 with_queue ? ", or a subject and a queue," : "", NX_STR_ARG(node->text));
    }
    *rule_out = (struct nx_nats_rule){ .subject = subject, .queue = queue };
    return NX_OK;
}

/* One subject, or a list of them. */
static enum nx_status read_rules(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                 bool with_queue, const struct nx_nats_rule **rules_out, size_t *count_out,
                                 struct nx_error *err) {
    const bool is_one = node->kind == NX_NATS_NODE_STRING;
    const size_t count = is_one ? 1 : node->count;
    if (!is_one) {
        NX_TRY(nx_nats_node_expect(node, NX_NATS_NODE_LIST, err));
    }
    if (count > NX_NATS_RULES_MAX) {
        return nx_nats_node_fail(err, node, "more than %d subjects", NX_NATS_RULES_MAX);
    }
    struct nx_nats_rule *rules = nx_nats_read_alloc(reading, count + 1, sizeof *rules, err);
    if (rules == NULL) {
        return NX_RESOURCE_EXHAUSTED;
    }
    const struct nx_nats_node *at = is_one ? node : node->first;
    for (size_t i = 0; i < count; i++, at = at->next) {
        NX_TRY(read_rule(at, with_queue, &rules[i], err));
    }
    *rules_out = rules;
    *count_out = count;
    return NX_OK;
}

static enum nx_status read_allowed(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                   bool with_queue, struct nx_nats_rules *rules, struct nx_error *err) {
    rules->is_limited = true;
    return read_rules(reading, node, with_queue, &rules->allow, &rules->allow_count, err);
}

static enum nx_status read_denied(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                  bool with_queue, struct nx_nats_rules *rules, struct nx_error *err) {
    return read_rules(reading, node, with_queue, &rules->deny, &rules->deny_count, err);
}

static enum nx_status read_publish_allow(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                         void *target, struct nx_error *err) {
    return read_allowed(reading, node, false, target, err);
}

static enum nx_status read_publish_deny(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                        void *target, struct nx_error *err) {
    return read_denied(reading, node, false, target, err);
}

static enum nx_status read_subscribe_allow(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                           void *target, struct nx_error *err) {
    return read_allowed(reading, node, true, target, err);
}

static enum nx_status read_subscribe_deny(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                          void *target, struct nx_error *err) {
    return read_denied(reading, node, true, target, err);
}

static const struct nx_nats_key publish_keys[] = {
    { .names = { "allow" }, .read = read_publish_allow },
    { .names = { "deny" }, .read = read_publish_deny },
};
static const struct nx_nats_key subscribe_keys[] = {
    { .names = { "allow" }, .read = read_subscribe_allow },
    { .names = { "deny" }, .read = read_subscribe_deny },
};

static enum nx_status read_publish(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                   void *target, struct nx_error *err) {
    struct nx_nats_rules *rules = &((struct nx_nats_permissions *)target)->publish;
    return node->kind == NX_NATS_NODE_MAP ? nx_nats_read_map(reading, node, publish_keys, 2, rules, err)
                                          : read_allowed(reading, node, false, rules, err);
}

static enum nx_status read_subscribe(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                     void *target, struct nx_error *err) {
    struct nx_nats_rules *rules = &((struct nx_nats_permissions *)target)->subscribe;
    return node->kind == NX_NATS_NODE_MAP ? nx_nats_read_map(reading, node, subscribe_keys, 2, rules, err)
                                          : read_allowed(reading, node, true, rules, err);
}

static enum nx_status read_responses_max(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                         void *target, struct nx_error *err) {
    (void)reading;
    return nx_nats_node_to_i64(node, INT32_MIN, INT32_MAX,
                               &((struct nx_nats_permissions *)target)->responses_max, err);
}

static enum nx_status read_responses_expire(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                            void *target, struct nx_error *err) {
    struct nx_nats_permissions *permissions = target;
    (void)reading;
    if (node->kind == NX_NATS_NODE_STRING && nx_str_starts_with(node->text, NX_STR("-"))) {
        permissions->responses_expire_ns = -1;
        return NX_OK;
    }
    return nx_nats_node_to_duration(node, &permissions->responses_expire_ns, err);
}

static const struct nx_nats_key response_keys[] = {
    { .names = { "max", "max_msgs", "max_messages" }, .read = read_responses_max },
    { .names = { "max_responses" }, .read = read_responses_max },
    { .names = { "expires", "expiration", "ttl" }, .read = read_responses_expire },
};

static enum nx_status read_responses(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                     void *target, struct nx_error *err) {
    struct nx_nats_permissions *permissions = target;
    if (node->kind == NX_NATS_NODE_BOOL) {
        permissions->allow_responses = node->boolean;
    } else {
        permissions->allow_responses = true;
        NX_TRY(nx_nats_read_map(reading, node, response_keys, sizeof response_keys / sizeof response_keys[0],
                                permissions, err));
    }
    return NX_OK;
}

static const struct nx_nats_key permission_keys[] = {
    { .names = { "publish", "pub", "import" }, .read = read_publish },
    { .names = { "subscribe", "sub", "export" }, .read = read_subscribe },
    { .names = { "allow_responses", "publish_allow_responses" }, .read = read_responses },
};

static enum nx_status read_permissions(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                       const struct nx_nats_permissions **permissions_out,
                                       struct nx_error *err) {
    struct nx_nats_permissions *permissions = nx_nats_read_alloc(reading, 1, sizeof *permissions, err);
    if (permissions == NULL) {
        return NX_RESOURCE_EXHAUSTED;
    }
    NX_TRY(nx_nats_read_map(reading, node, permission_keys,
                            sizeof permission_keys / sizeof permission_keys[0], permissions, err));
    *permissions_out = permissions;
    return NX_OK;
}

/* Users */

/* Those of one list, and what holds for all of them. */
struct group {
    struct nx_str account;
    size_t first; /* of its users in reading->users */
    const struct nx_nats_permissions *permissions;
};

static enum nx_status read_user_permissions(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                            void *target, struct nx_error *err) {
    return read_permissions(reading, node, &((struct nx_nats_user *)target)->permissions, err);
}

/* Only the plain protocol is spoken: a user that may not speak it could never connect. */
static enum nx_status read_connection_types(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                            void *target, struct nx_error *err) {
    (void)reading;
    (void)target;
    NX_TRY(nx_nats_node_expect(node, NX_NATS_NODE_LIST, err));
    for (const struct nx_nats_node *at = node->first; at != NULL; at = at->next) {
        struct nx_str name;
        NX_TRY(nx_nats_node_to_str(at, &name, err));
        if (nx_str_equal_ignore_case(name, NX_STR("STANDARD"))) {
            return NX_OK;
        }
    }
    return nx_nats_node_fail(err, node, "'%.*s': expected STANDARD among them, the one that is spoken",
                             NX_STR_ARG(node->key));
}

static const struct nx_nats_key user_keys[] = {
    { { "user", "username" }, NX_NATS_KEY_STR, offsetof(struct nx_nats_user, name), NULL, NULL },
    { { "password", "pass" }, NX_NATS_KEY_STR, offsetof(struct nx_nats_user, password), NULL, NULL },
    { { "nkey" }, NX_NATS_KEY_STR, offsetof(struct nx_nats_user, nkey), NULL, NULL },
    { .names = { "permissions", "permission", "authorization" }, .read = read_user_permissions },
    { .names = { "allowed_connection_types", "connection_types", "clients" }, .read = read_connection_types },
    { { "proxy_required" }, NX_NATS_KEY_REFUSED, 0, NULL, no_such_thing },
};

/* Room for one more item behind `count`: the same place, or one of twice the size whenever `count` has come
 * to a power of two. */
static void *make_room(struct nx_nats_reading *reading, void *items, size_t count, size_t item_size,
                       struct nx_error *err) {
    const bool is_full = (count & (count - 1)) == 0 && (count == 0 || count >= CAPACITY_MIN);
    if (!is_full) {
        return items;
    }
    void *grown = nx_nats_read_alloc(reading, count == 0 ? CAPACITY_MIN : 2 * count, item_size, err);
    if (grown != NULL && count > 0) {
        memcpy(grown, items, count * item_size);
    }
    return grown;
}

static enum nx_status add_user(struct nx_nats_reading *reading, const struct nx_nats_user *user,
                               const struct nx_nats_node *node, struct nx_error *err) {
    if (reading->user_count == NX_NATS_USERS_MAX) {
        return nx_nats_node_fail(err, node, "more than %d users", NX_NATS_USERS_MAX);
    }
    struct nx_nats_user *users = make_room(reading, reading->users, reading->user_count, sizeof *users, err);
    if (users == NULL) {
        return NX_RESOURCE_EXHAUSTED;
    }
    reading->users = users;
    reading->users[reading->user_count++] = *user;
    return NX_OK;
}

static enum nx_status read_users(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                 void *target, struct nx_error *err) {
    const struct group *group = target;
    NX_TRY(nx_nats_node_expect(node, NX_NATS_NODE_LIST, err));
    for (const struct nx_nats_node *at = node->first; at != NULL; at = at->next) {
        struct nx_nats_user user = { .name = NX_STR_EMPTY, .password = NX_STR_EMPTY, .nkey = NX_STR_EMPTY };
        NX_TRY(nx_nats_read_map(reading, at, user_keys, sizeof user_keys / sizeof user_keys[0], &user, err));
        if (user.name.len == 0 && user.nkey.len == 0) {
            return nx_nats_node_fail(err, at, "expected a user or an nkey");
        }
        if (user.nkey.len > 0 && (user.name.len > 0 || user.password.len > 0)) {
            return nx_nats_node_fail(err, at, "an nkey has neither a user nor a password");
        }
        user.account = group->account;
        NX_TRY(add_user(reading, &user, at, err));
    }
    return NX_OK;
}

static enum nx_status read_group_permissions(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                             void *target, struct nx_error *err) {
    return read_permissions(reading, node, &((struct group *)target)->permissions, err);
}

/* Who has none of their own has those of the group. */
static void apply_permissions(struct nx_nats_reading *reading, const struct group *group) {
    for (size_t i = group->first; i < reading->user_count; i++) {
        if (reading->users[i].permissions == NULL) {
            reading->users[i].permissions = group->permissions;
        }
    }
}

/* authorization {…} */

static enum nx_status read_single(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                  struct nx_str *value, struct nx_error *err) {
    reading->has_single = true;
    return nx_nats_node_to_str(node, value, err);
}

static enum nx_status read_user_name(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                     void *target, struct nx_error *err) {
    (void)target;
    return read_single(reading, node, &reading->settings->server.user_name, err);
}

static enum nx_status read_password(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                    void *target, struct nx_error *err) {
    (void)target;
    return read_single(reading, node, &reading->settings->server.user_password, err);
}

static enum nx_status read_token(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                 void *target, struct nx_error *err) {
    (void)target;
    return read_single(reading, node, &reading->settings->server.token, err);
}

static enum nx_status read_timeout(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                   void *target, struct nx_error *err) {
    (void)target;
    return nx_nats_node_to_duration(node, &reading->settings->server.auth_timeout_ns, err);
}

static const struct nx_nats_key authorization_keys[] = {
    { .names = { "user", "username" }, .read = read_user_name },
    { .names = { "password", "pass" }, .read = read_password },
    { .names = { "token" }, .read = read_token },
    { .names = { "timeout" }, .read = read_timeout },
    { .names = { "users" }, .read = read_users },
    { .names = { "default_permissions", "default_permission", "permissions" },
      .read = read_group_permissions },
    { { "auth_callout", "auth_hook" }, NX_NATS_KEY_REFUSED, 0, NULL, no_callout },
    { { "proxy_required" }, NX_NATS_KEY_REFUSED, 0, NULL, no_such_thing },
};

enum nx_status nx_nats_read_authorization(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                          void *target, struct nx_error *err) {
    const struct nx_nats_options *server = &reading->settings->server;
    struct group group = { .account = NX_STR_EMPTY, .first = reading->user_count };
    (void)target;
    NX_TRY(nx_nats_read_map(reading, node, authorization_keys,
                            sizeof authorization_keys / sizeof authorization_keys[0], &group, err));
    if (reading->has_single && reading->user_count > group.first) {
        return nx_nats_node_fail(err, node,
                                 "a single user or a token, and a list of users: expected one of them");
    }
    if (server->token.len > 0 && server->user_name.len > 0) {
        return nx_nats_node_fail(err, node, "a user and a token: expected one of them");
    }
    apply_permissions(reading, &group);
    return NX_OK;
}

/* accounts {…} */

static enum nx_status read_account_jetstream(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                             void *target, struct nx_error *err) {
    bool enabled = false;
    (void)target;
    if (!nx_nats_read_enabled(node, &enabled)) {
        return nx_nats_node_fail(err, node, "'jetstream': expected enabled or disabled");
    }
    reading->settings->jetstream = reading->settings->jetstream || enabled;
    return NX_OK;
}

static const struct nx_nats_key account_keys[] = {
    { .names = { "users" }, .read = read_users },
    { .names = { "default_permissions" }, .read = read_group_permissions },
    { .names = { "jetstream" }, .read = read_account_jetstream },
    { { "nkey" }, NX_NATS_KEY_REFUSED, 0, NULL, "an account is its name: leave it out" },
    { { "imports", "exports" }, NX_NATS_KEY_REFUSED, 0, NULL, no_exports },
    { { "mappings", "maps" },
      NX_NATS_KEY_REFUSED,
      0,
      NULL,
      "subjects are delivered as they are published: leave it out" },
    { { "limits" }, NX_NATS_KEY_REFUSED, 0, NULL, "limits are the server's: max_connections, max_payload…" },
    { { "msg_trace", "trace_dest" }, NX_NATS_KEY_REFUSED, 0, NULL, no_such_thing },
};

static enum nx_status add_account(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                  struct nx_str name, struct nx_error *err) {
    if (name.len == 0 || reading->account_count == NX_NATS_ACCOUNTS_MAX) {
        return nx_nats_node_fail(err, node, "expected at most %d accounts, each with a name",
                                 NX_NATS_ACCOUNTS_MAX);
    }
    struct nx_str *accounts =
        make_room(reading, reading->accounts, reading->account_count, sizeof *accounts, err);
    if (accounts == NULL) {
        return NX_RESOURCE_EXHAUSTED;
    }
    reading->accounts = accounts;
    reading->accounts[reading->account_count++] = name;
    return NX_OK;
}

/* A map from names to what they hold, or only a list of names. */
enum nx_status nx_nats_read_accounts(struct nx_nats_reading *reading, const struct nx_nats_node *node,
                                     void *target, struct nx_error *err) {
    (void)target;
    if (node->kind != NX_NATS_NODE_LIST) {
        NX_TRY(nx_nats_node_expect(node, NX_NATS_NODE_MAP, err));
    }
    for (const struct nx_nats_node *at = node->first; at != NULL; at = at->next) {
        struct nx_str name = at->key;
        if (at->is_used) {
            continue; /* a variable's place */
        }
        if (node->kind == NX_NATS_NODE_LIST) {
            NX_TRY(nx_nats_node_to_str(at, &name, err));
        }
        NX_TRY(add_account(reading, at, name, err));
        if (node->kind == NX_NATS_NODE_MAP) {
            struct group group = { .account = name, .first = reading->user_count };
            NX_TRY(nx_nats_read_map(reading, at, account_keys, sizeof account_keys / sizeof account_keys[0],
                                    &group, err));
            apply_permissions(reading, &group);
        }
    }
    return NX_OK;
}

/* Every name once, and no_auth_user one of them. */
enum nx_status nx_nats_check_users(const struct nx_nats_reading *reading, struct nx_error *err) {
    const struct nx_nats_node *root = nx_nats_config_root(reading->settings->config);
    const struct nx_str no_auth_user = reading->settings->server.no_auth_user;
    NX_AUTO(nx_map) names;
    nx_map_init(&names, NX_NATS_USERS_MAX, 0);
    for (size_t i = 0; i < reading->user_count; i++) {
        struct nx_nats_user *user = &reading->users[i];
        const struct nx_str name = user->name.len > 0 ? user->name : user->nkey;
        if (nx_map_get(&names, name) != NULL) {
            return nx_nats_node_fail(err, root, "two users are called '%.*s'", NX_STR_ARG(name));
        }
        NX_TRY(nx_map_set(&names, name, user, err));
    }
    if (reading->has_single && reading->user_count > 0) {
        return nx_nats_node_fail(err, root,
                                 "a single user or a token, and users of accounts: expected one of them");
    }
    if (no_auth_user.len > 0 && nx_map_get(&names, no_auth_user) == NULL) {
        return nx_nats_node_fail(err, reading->no_auth_user, "'no_auth_user': there is no user '%.*s'",
                                 NX_STR_ARG(no_auth_user));
    }
    return NX_OK;
}
