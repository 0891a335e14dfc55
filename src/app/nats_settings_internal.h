/* src/app/nats_settings_internal.h: how the files nats_settings*.c read maps by tables. */
#pragma once

#include <stddef.h>

#include "app/nats_settings.h"

enum { NX_NATS_KEY_NAMES_MAX = 3, NX_NATS_KEYS_MAX = 96 };

/* A configuration that is being read. */
struct nx_nats_reading {
    struct nx_nats_settings *settings;
    struct nx_nats_user *users;
    size_t user_count;
    struct nx_str *accounts;
    size_t account_count;
    const struct nx_nats_node *no_auth_user; /* where it is named; NULL: it is not */
    bool has_single;                         /* a user, or a token, without a list */
};

enum nx_nats_key_kind {
    NX_NATS_KEY_READ,     /* by `read` */
    NX_NATS_KEY_STR,      /* struct nx_str */
    NX_NATS_KEY_PATH,     /* const char * */
    NX_NATS_KEY_BOOL,     /* bool */
    NX_NATS_KEY_SIZE,     /* size_t, from 1; 0 stands for the default */
    NX_NATS_KEY_DURATION, /* int64_t, ns */
    NX_NATS_KEY_REFUSED,  /* nats-server has it */
};

/* One key of a map, in its several spellings. */
struct nx_nats_key {
    const char *names[NX_NATS_KEY_NAMES_MAX];
    enum nx_nats_key_kind kind;
    size_t offset; /* of the value in the target; int64_t of the largest for SIZE */
    enum nx_status (*read)(struct nx_nats_reading *reading, const struct nx_nats_node *node, void *target,
                           struct nx_error *err);
    const char *instead; /* of a refused one: what to do */
};

/** Read each member of the map into `target` by the table. Errors: see nx_nats_settings_take() */
NX_MUST_CHECK enum nx_status nx_nats_read_map(struct nx_nats_reading *reading, const struct nx_nats_node *map,
                                              const struct nx_nats_key *keys, size_t key_count, void *target,
                                              struct nx_error *err);
/** Members of settings->arena; NULL and the error when there is no memory. */
void *nx_nats_read_alloc(struct nx_nats_reading *reading, size_t count, size_t size, struct nx_error *err);

/* Readers of `authorization`, `accounts` and `no_auth_user`, and what is checked behind all of them. */
NX_MUST_CHECK enum nx_status nx_nats_read_authorization(struct nx_nats_reading *reading,
                                                        const struct nx_nats_node *node, void *target,
                                                        struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_nats_read_accounts(struct nx_nats_reading *reading,
                                                   const struct nx_nats_node *node, void *target,
                                                   struct nx_error *err);
/** "enabled", "disabled", a boolean. False: none of these. */
bool nx_nats_read_enabled(const struct nx_nats_node *node, bool *enabled_out);
NX_MUST_CHECK enum nx_status nx_nats_check_users(const struct nx_nats_reading *reading, struct nx_error *err);
