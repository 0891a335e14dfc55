/* src/app/config_nats.c: `nats:` of nexus.yaml: who may connect to the NATS face, and do what. */
#include <stdlib.h>

#include "app/config_internal.h"
#include "codec/nkey.h"
#include "fabric/subject/subject.h"
#include "io/clock.h"
#include "server/nats/access.h"

enum { ACCOUNT_NAME_SIZE_MAX = 255 };

static size_t count_of(const struct nx_yaml_node *node) {
    size_t count = 0;
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        count++;
    }
    return count;
}

/* Memory in the arena for `count` things; NULL, with a mistake noted, when there is none. */
static void *things_of(struct nx_config_reader *reader, const struct nx_yaml_node *node, size_t count,
                       size_t count_max, size_t size) {
    if (count > count_max) {
        nx_config_problem(reader, node, "'%.*s' has more than %zu entries", NX_STR_ARG(node->key), count_max);
        return NULL;
    }
    void *things = nx_arena_alloc(&reader->config->arena, (count + 1) * size);
    if (things == NULL) {
        nx_config_problem(reader, node, "out of memory");
    }
    return things;
}

/* Secrets: the text itself, or {from_env: NAME}. That a variable is not set is told by who starts a server.
 */

static void read_env_secret(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                            struct nx_str *secret) {
    static const struct nx_config_field fields[] = {
        { .key = "from_env", .kind = NX_FIELD_TEXT, .required = true },
    };
    struct nx_str name = NX_STR_EMPTY;
    if (!nx_config_read_mapping(reader, node, "the secret", fields, 1, &name) || name.len == 0) {
        return;
    }
    const char *value = getenv(name.ptr);
    if (value == NULL || value[0] == '\0') {
        reader->config->nats_missing = name;
        *secret = NX_STR("?"); /* no server starts with it */
        return;
    }
    *secret = nx_arena_copy(&reader->config->arena, nx_str_from_c(value));
}

static void read_secret(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                        struct nx_str *secret) {
    if (node->kind == NX_YAML_MAPPING) {
        read_env_secret(reader, node, secret);
    } else {
        (void)nx_config_read_text(reader, node, secret);
    }
}

static void read_password(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    read_secret(reader, node, &((struct nx_nats_user *)target)->password);
}

static void read_token(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    read_secret(reader, node, &((struct nx_nats_options *)target)->token);
}

/* Permissions */

/* "subject", or for subscriptions "subject queue". */
static bool read_rule(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                      struct nx_nats_rule *rule) {
    struct nx_str text;
    if (!nx_config_read_text(reader, node, &text)) {
        return false;
    }
    struct nx_str rest = text;
    (void)nx_str_split(&rest, ' ', &rule->subject);
    rule->queue = nx_str_trim(rest);
    if (!nx_subject_is_filter(rule->subject) || nx_str_find_byte(rule->queue, ' ') != SIZE_MAX) {
        nx_config_problem(reader, node, "'%.*s' is no subject: expected one such as orders.* or orders.>",
                          NX_STR_ARG(text));
        return false;
    }
    return true;
}

static void read_list(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                      const struct nx_nats_rule **rules_out, size_t *count_out) {
    const bool is_list = node->kind == NX_YAML_SEQUENCE;
    struct nx_nats_rule *rules =
        things_of(reader, node, is_list ? count_of(node) : 1, NX_NATS_RULES_MAX, sizeof *rules);
    size_t count = 0;
    if (rules == NULL) {
        return;
    }
    for (const struct nx_yaml_node *child = is_list ? node->first : node; child != NULL;
         child = is_list ? child->next : NULL) {
        count += read_rule(reader, child, &rules[count]);
    }
    *rules_out = rules;
    *count_out = count;
}

static void read_allow(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_nats_rules *rules = target;
    read_list(reader, node, &rules->allow, &rules->allow_count);
    rules->is_limited = true;
}

static void read_deny(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_nats_rules *rules = target;
    read_list(reader, node, &rules->deny, &rules->deny_count);
}

static void read_rules(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                       struct nx_nats_rules *rules, const char *what) {
    static const struct nx_config_field fields[] = {
        { .key = "allow", .kind = NX_FIELD_CUSTOM, .read = read_allow },
        { .key = "deny", .kind = NX_FIELD_CUSTOM, .read = read_deny },
    };
    if (node->kind == NX_YAML_MAPPING) {
        (void)nx_config_read_mapping(reader, node, what, fields, 2, rules);
    } else {
        read_allow(reader, node, rules);
    }
}

static void read_publish(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_nats_rules *rules = &((struct nx_nats_permissions *)target)->publish;
    read_rules(reader, node, rules, "publish");
    for (size_t i = 0; i < rules->allow_count + rules->deny_count; i++) {
        const struct nx_nats_rule *rule =
            i < rules->allow_count ? &rules->allow[i] : &rules->deny[i - rules->allow_count];
        if (rule->queue.len > 0) {
            nx_config_problem(reader, node, "'%.*s' has a queue, which only subscriptions have",
                              NX_STR_ARG(rule->subject));
        }
    }
}

static void read_subscribe(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    read_rules(reader, node, &((struct nx_nats_permissions *)target)->subscribe, "subscribe");
}

static void read_responses_max(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                               void *target) {
    struct nx_error err = { 0 };
    uint64_t count;
    if (nx_yaml_to_u64(node, 1, UINT32_MAX, &count, &err) == NX_OK) {
        ((struct nx_nats_permissions *)target)->responses_max = (int64_t)count;
    } else {
        nx_config_problem_from(reader, &err);
    }
}

static void read_responses(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    static const struct nx_config_field fields[] = {
        { .key = "max", .kind = NX_FIELD_CUSTOM, .read = read_responses_max },
        { .key = "expires",
          .kind = NX_FIELD_DURATION,
          .offset = offsetof(struct nx_nats_permissions, responses_expire_ns),
          .min = 1e6,
          .max = 1e18,
          .range = "at least 1ms" },
    };
    struct nx_nats_permissions *permissions = target;
    struct nx_error err = { 0 };
    if (node->kind == NX_YAML_MAPPING) {
        permissions->allow_responses =
            nx_config_read_mapping(reader, node, "allow_responses", fields, 2, target);
    } else if (nx_yaml_to_bool(node, &permissions->allow_responses, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
    }
}

static const struct nx_nats_permissions *read_permissions(struct nx_config_reader *reader,
                                                          const struct nx_yaml_node *node) {
    static const struct nx_config_field fields[] = {
        { .key = "publish", .kind = NX_FIELD_CUSTOM, .read = read_publish },
        { .key = "subscribe", .kind = NX_FIELD_CUSTOM, .read = read_subscribe },
        { .key = "allow_responses", .kind = NX_FIELD_CUSTOM, .read = read_responses },
    };
    struct nx_nats_permissions *permissions = things_of(reader, node, 1, 1, sizeof *permissions);
    if (permissions != NULL) {
        (void)nx_config_read_mapping(reader, node, "permissions", fields, 3, permissions);
    }
    return permissions;
}

static void read_user_permissions(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                                  void *target) {
    ((struct nx_nats_user *)target)->permissions = read_permissions(reader, node);
}

/* Users */

static void read_nkey(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_nats_user *user = target;
    uint8_t key[NX_NKEY_SIZE];
    if (nx_config_read_text(reader, node, &user->nkey) && !nx_nkey_read_user(user->nkey, key)) {
        nx_config_problem(reader, node, "'%.*s' is no public nkey of a user: expected U and 55 letters",
                          NX_STR_ARG(nx_str_slice(user->nkey, 0, 1)));
    }
}

static void read_user(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                      struct nx_nats_user *user) {
    static const struct nx_config_field fields[] = {
        { .key = "user", .kind = NX_FIELD_TEXT, .offset = offsetof(struct nx_nats_user, name) },
        { .key = "password", .kind = NX_FIELD_CUSTOM, .read = read_password },
        { .key = "nkey", .kind = NX_FIELD_CUSTOM, .read = read_nkey },
        { .key = "account", .kind = NX_FIELD_TEXT, .offset = offsetof(struct nx_nats_user, account) },
        { .key = "permissions", .kind = NX_FIELD_CUSTOM, .read = read_user_permissions },
    };
    *user = (struct nx_nats_user){ .name = NX_STR_EMPTY };
    if (!nx_config_read_mapping(reader, node, "a user", fields, sizeof fields / sizeof fields[0], user)) {
        return;
    }
    const bool has_name = nx_yaml_get(node, "user") != NULL;
    const bool has_nkey = nx_yaml_get(node, "nkey") != NULL;
    if (has_name == has_nkey) {
        nx_config_problem(reader, node, "a user has either 'user' or 'nkey'");
    } else if (user->account.len > ACCOUNT_NAME_SIZE_MAX) {
        nx_config_problem(reader, node, "the name of an account has at most %d bytes", ACCOUNT_NAME_SIZE_MAX);
    }
}

static void read_users(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_nats_options *options = target;
    struct nx_error err = { 0 };
    if (nx_yaml_expect(node, NX_YAML_SEQUENCE, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
        return;
    }
    struct nx_nats_user *users = things_of(reader, node, count_of(node), NX_NATS_USERS_MAX, sizeof *users);
    if (users == NULL) {
        return;
    }
    for (const struct nx_yaml_node *child = node->first; child != NULL; child = child->next) {
        read_user(reader, child, &users[options->user_count++]);
    }
    options->users = users;
}

/* Only certificates stand in for passwords. */
static bool check_passwords(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                            const struct nx_nats_options *options) {
    for (size_t i = 0; i < options->user_count; i++) {
        const struct nx_nats_user *user = &options->users[i];
        if (user->nkey.len == 0 && user->password.len == 0 && !options->tls.verify_and_map) {
            nx_config_problem_at_key(reader, node, "user '%.*s' needs the key 'password'",
                                     NX_STR_ARG(user->name));
            return false;
        }
    }
    return true;
}

/* TLS */

static const char *read_path(struct nx_config_reader *reader, const struct nx_yaml_node *node) {
    struct nx_str path;
    if (!nx_config_read_text(reader, node, &path)) {
        return NULL;
    }
    path = nx_config_resolve(reader->config, path);
    if (path.ptr == NULL) {
        nx_config_problem(reader, node, "out of memory");
    }
    return path.ptr;
}

static void read_certificate(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    ((struct nx_nats_tls_options *)target)->cert_file = read_path(reader, node);
}

static void read_key(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    ((struct nx_nats_tls_options *)target)->key_file = read_path(reader, node);
}

static void read_authorities(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    ((struct nx_nats_tls_options *)target)->ca_file = read_path(reader, node);
}

static void read_flag(struct nx_config_reader *reader, const struct nx_yaml_node *node, bool *flag) {
    struct nx_error err = { 0 };
    if (nx_yaml_to_bool(node, flag, &err) != NX_OK) {
        nx_config_problem_from(reader, &err);
    }
}

static void read_verify(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    read_flag(reader, node, &((struct nx_nats_tls_options *)target)->verify);
}

static void read_map(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    read_flag(reader, node, &((struct nx_nats_tls_options *)target)->verify_and_map);
}

static void read_plain(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    read_flag(reader, node, &((struct nx_nats_tls_options *)target)->allow_non_tls);
}

/* true, false, or a time after which who says nothing gets INFO. */
static void read_first(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    struct nx_nats_tls_options *tls = target;
    struct nx_error err = { 0 };
    if (nx_yaml_to_bool(node, &tls->handshake_first, NULL) == NX_OK) {
        return;
    }
    tls->handshake_first = true;
    if (nx_yaml_to_duration(node, &tls->handshake_first_fallback_ns, &err) != NX_OK ||
        tls->handshake_first_fallback_ns < NX_NS_PER_MS) {
        nx_config_problem(reader, node, "'handshake_first' is true, false or a time of at least 1ms");
    }
}

static void read_tls(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    static const struct nx_config_field fields[] = {
        { .key = "cert_file", .kind = NX_FIELD_CUSTOM, .required = true, .read = read_certificate },
        { .key = "key_file", .kind = NX_FIELD_CUSTOM, .required = true, .read = read_key },
        { .key = "ca_file", .kind = NX_FIELD_CUSTOM, .read = read_authorities },
        { .key = "verify", .kind = NX_FIELD_CUSTOM, .read = read_verify },
        { .key = "verify_and_map", .kind = NX_FIELD_CUSTOM, .read = read_map },
        { .key = "handshake_first", .kind = NX_FIELD_CUSTOM, .read = read_first },
        { .key = "allow_non_tls", .kind = NX_FIELD_CUSTOM, .read = read_plain },
        { .key = "timeout",
          .kind = NX_FIELD_DURATION,
          .offset = offsetof(struct nx_nats_tls_options, timeout_ns),
          .min = 1e8,
          .max = 60e9,
          .range = "100ms to 1m" },
    };
    (void)nx_config_read_mapping(reader, node, "tls", fields, sizeof fields / sizeof fields[0],
                                 &((struct nx_nats_options *)target)->tls);
}

static void read_jetstream(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    read_flag(reader, node, &((struct nx_nats_options *)target)->jetstream);
}

void nx_config_read_nats(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target) {
    static const struct nx_config_field fields[] = {
        { .key = "users", .kind = NX_FIELD_CUSTOM, .read = read_users },
        { .key = "token", .kind = NX_FIELD_CUSTOM, .read = read_token },
        { .key = "no_auth_user",
          .kind = NX_FIELD_TEXT,
          .offset = offsetof(struct nx_nats_options, no_auth_user) },
        { .key = "tls", .kind = NX_FIELD_CUSTOM, .read = read_tls },
        { .key = "jetstream", .kind = NX_FIELD_CUSTOM, .read = read_jetstream },
        { .key = "auth_timeout",
          .kind = NX_FIELD_DURATION,
          .offset = offsetof(struct nx_nats_options, auth_timeout_ns),
          .min = 1e8,
          .max = 60e9,
          .range = "100ms to 1m" },
    };
    struct nx_config *config = target;
    struct nx_nats_access *access = NULL;
    struct nx_error err = { 0 };
    const size_t problem_count = reader->problem_count;
    (void)nx_config_read_mapping(reader, node, "nats", fields, sizeof fields / sizeof fields[0],
                                 &config->nats_options);
    if (reader->problem_count > problem_count || !check_passwords(reader, node, &config->nats_options)) {
        return;
    }
    if (nx_nats_access_new(&config->nats_options, 0, &access, &err) != NX_OK) {
        nx_config_problem_at_key(reader, node, "%s", err.message);
    }
    nx_nats_access_free(access);
}
