/* src/server/nats/conn_internal.h: what a connection is made of: conn.c carries its messages, login.c says
 * whose it is, conn_stats.c shows it. */
#pragma once

#include "server/nats/conn.h"
#include "server/nats/conn_stats.h"
#include "server/nats/replies.h"

enum { NX_NATS_PEER_SIZE_MAX = 64, NX_NATS_NONCE_TEXT_SIZE = 15 /* of the bytes in base64 */ };

/* Those who see each other's messages. It lives as long as it has connections. */
struct nx_nats_account {
    struct nx_router *router;
    size_t conn_count;
    struct nx_str name;
    char name_bytes[];
};

/* One SUB of one connection. The strings stand behind it. */
struct nx_nats_subscription {
    struct nx_router_entry entry;
    struct nx_nats_conn *conn;
    uint64_t delivered;
    uint64_t count_max;                          /* 0: none */
    struct nx_nats_subscription *next_forbidden; /* login.c's, while a reload is taken */
    struct nx_str sid;
    struct nx_str filter;
    struct nx_str queue;
    char bytes[];
};

struct nx_nats_conn {
    struct nx_list_node node; /* of the hub's connections */
    struct nx_nats_hub *hub;
    void *transport;
    uint64_t id;
    struct nx_nats_client client;
    const struct nx_nats_user *user; /* of the hub's access; NULL: not known yet */
    struct nx_nats_account *account; /* NULL: not known yet */
    bool is_anonymous;               /* it said nothing of who it is */
    bool is_own;                     /* the server's own client: not of the hub's connections */
    struct nx_json_doc *login;       /* its CONNECT, while its password is compared; else NULL */
    struct nx_nats_connect connect;  /* what stands in `login` */
    struct nx_map subscriptions;     /* by sid */
    struct nx_nats_replies replies;  /* that it may answer, where its permissions limit what it publishes */
    struct nx_buf input;             /* the beginning of an operation whose rest has not come */
    struct nx_buf output;
    struct nx_buf certificate;        /* the names in it, one a line; below they point into it */
    struct nx_str *certificate_names; /* NULL: none */
    size_t certificate_name_count;
    int64_t awaited_ns; /* monotonic, from when on the client may say who it is; 0: not yet */
    int64_t heard_ns;   /* when its last bytes came */
    unsigned pings;     /* sent since */
    int64_t opened_ns;
    int64_t active_ns; /* when it last published, subscribed or was given a message */
    int64_t pinged_ns;
    int64_t rtt_ns; /* of the last ping, or of INFO; 0: nothing came back yet */
    struct nx_nats_traffic traffic;
    struct nx_tls_facts tls; /* version NULL: there is none */
    bool is_tls_first;
    char *about; /* what stands in the next three; NULL: nothing */
    struct nx_str about_name;
    struct nx_str about_language;
    struct nx_str about_version;
    const char *ended_because; /* static storage; NULL: it has not ended, or the client did it */
    bool done;
    bool must_wait; /* it fills what is under way to the log */
    char nonce[NX_NATS_NONCE_TEXT_SIZE + 1];
    uint16_t port;
    char peer[NX_NATS_PEER_SIZE_MAX];
};

/* conn.c */

void nx_nats_conn_wants_flush(struct nx_nats_conn *conn);
void nx_nats_conn_say(struct nx_nats_conn *conn, const struct nx_nats_op *op);
void nx_nats_conn_say_error(struct nx_nats_conn *conn, const char *error);
/** +OK where the client wants it. */
void nx_nats_conn_say_ok(struct nx_nats_conn *conn);
/** `Permissions Violation for <what> to "subject" using queue "queue"`, and the sid where NATS tells it; both
 * may be empty. */
void nx_nats_conn_say_violation(struct nx_nats_conn *conn, const char *what, struct nx_str subject,
                                struct nx_str queue, struct nx_str sid);
/** NULL: it may do everything. */
const struct nx_nats_permissions *nx_nats_conn_permissions(const struct nx_nats_conn *conn);
/** Without telling it; `reason` is in the words of NATS's monitoring, static storage. */
void nx_nats_conn_end_silently(struct nx_nats_conn *conn, const char *reason);
void nx_nats_subscription_end(struct nx_nats_subscription *subscription);
void nx_nats_conn_end_subscriptions(struct nx_nats_conn *conn);

/* login.c */

/** CONNECT came. */
void nx_nats_conn_login(struct nx_nats_conn *conn, const struct nx_nats_op *op);
/** Whether the client may do anything: it has said who it is, or need not. Else it is ended. */
bool nx_nats_conn_is_let_in(struct nx_nats_conn *conn);
/** Another access has come in place of `previous`. */
void nx_nats_conn_renew(struct nx_nats_conn *conn, const struct nx_nats_access *previous);
/** End it, and count it as refused. */
void nx_nats_conn_refuse(struct nx_nats_conn *conn, const char *error);
void nx_nats_conn_forget_login(struct nx_nats_conn *conn);
void nx_nats_conn_leave_account(struct nx_nats_conn *conn);
/** Be a user of the default account, who may do everything. False: no memory. */
NX_MUST_CHECK bool nx_nats_conn_become_own(struct nx_nats_conn *conn);
