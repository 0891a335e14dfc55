/* src/server/nats/options.h: what a NATS server is told by a person: who may connect and do what, TLS,
 * limits.
 *
 * The words are those of NATS's own configuration; two readers fill it, the one of nexus.yaml and the one of
 * NATS configuration files. Everything is borrowed for the call that takes it, which copies what it keeps.
 * A zeroed struct is a server for anybody, without TLS, with NATS's own limits.
 *
 * Secrets stand in here as they were written: never log or show one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#define NX_NATS_VERSION "2.10.0" /* clients open features by it: no more than is spoken here */

enum {
    NX_NATS_USERS_MAX = 100000,
    NX_NATS_ACCOUNTS_MAX = 10000,
    NX_NATS_RULES_MAX = 10000, /* of one list */
};

/* A subject that is allowed or denied, with wildcards; with a queue, only for members of queues of this name,
 * which may have wildcards too (subscriptions only). */
struct nx_nats_rule {
    struct nx_str subject;
    struct nx_str queue; /* empty: for plain subscriptions, and all queues where no rule names one */
};

struct nx_nats_rules {
    const struct nx_nats_rule *allow;
    size_t allow_count;
    const struct nx_nats_rule *deny; /* of what is allowed */
    size_t deny_count;
    bool is_limited; /* only what `allow` has is allowed, also where that is nothing; else everything is */
};

struct nx_nats_permissions {
    struct nx_nats_rules publish;
    struct nx_nats_rules subscribe;
    bool allow_responses;  /* to the reply subjects of messages that it got; `publish` is limited then */
    int64_t responses_max; /* to one; 0: NATS's default, 1; negative: any number */
    int64_t responses_expire_ns; /* after the message came; 0: NATS's default, 2 min; negative: never */
};

/* By name and password, by nkey, or by a client certificate that names it. */
struct nx_nats_user {
    struct nx_str name;                            /* empty: an nkey it is */
    struct nx_str password;                        /* plain, or bcrypt: "$2a$10$…" */
    struct nx_str nkey;                            /* a public one, "U" and 55 letters */
    struct nx_str account;                         /* empty: the one of all that name none, "$G" */
    const struct nx_nats_permissions *permissions; /* NULL: everything */
};

struct nx_nats_tls_options {
    const char *cert_file; /* PEM, the chain; NULL: no TLS */
    const char *key_file;
    const char *ca_file;                 /* of clients' certificates; NULL: the system's */
    bool verify;                         /* clients must have one */
    bool verify_and_map;                 /* and it names the user: mail, DNS name, URI, or subject */
    bool handshake_first;                /* no INFO before it */
    int64_t handshake_first_fallback_ns; /* INFO, when the client says nothing for so long; 0: never */
    bool allow_non_tls;                  /* clients choose */
    int64_t timeout_ns;                  /* of the handshake; 0: NATS's default, 2 s */
};

struct nx_nats_options {
    struct nx_str server_name; /* empty: the server's own choice */
    struct nx_str host;        /* an address; one that others reach only with credentials or TLS's `verify` */
    uint16_t port;             /* 0: any free one */
    bool jetstream;            /* serve it; the server must have a log */
    struct nx_str http_host;   /* of monitoring, loopback; empty: none */
    uint16_t http_port;        /* 0: any free one */
    /* Who. With none of these anybody may connect. */
    const struct nx_nats_user *users;
    size_t user_count;
    struct nx_str token;     /* plain or bcrypt; or: */
    struct nx_str user_name; /* one user with every permission, as `authorization {user, password}` */
    struct nx_str user_password;
    struct nx_str no_auth_user;    /* whom who says nothing is; empty: nobody */
    const struct nx_str *accounts; /* names; those of the users are added */
    size_t account_count;
    struct nx_str system_account; /* empty: "$SYS" */
    int64_t auth_timeout_ns;      /* until CONNECT; 0: 2 s, with TLS 3 s */
    struct nx_nats_tls_options tls;
    /* Limits; 0: the default. */
    size_t connections_max;       /* 65,536 */
    size_t payload_size_max;      /* bytes, 1 MiB */
    size_t control_line_size_max; /* bytes, 4,096 */
    size_t pending_size_max;      /* bytes that wait for a client, 64 MiB */
    size_t subscriptions_max;     /* of a connection, 1,000,000 */
    int64_t write_deadline_ns;    /* 10 s, in which a client must take something of what waits for it */
    int64_t ping_interval_ns;     /* 2 min */
    unsigned pings_max;           /* unanswered, 2 */
    int64_t lame_duck_ns;         /* in which connections are closed, 2 min */
    int64_t lame_duck_grace_ns;   /* before the first one is, 10 s */
};
