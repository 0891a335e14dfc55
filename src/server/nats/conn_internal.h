/* src/server/nats/conn_internal.h: a connection as conn.c keeps it and conn_stats.c shows it. */
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
    uint64_t count_max; /* 0: none */
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
    struct nx_json_doc *login;       /* its CONNECT, while its password is compared; else NULL */
    struct nx_nats_connect connect;  /* what stands in `login` */
    struct nx_map subscriptions;     /* by sid */
    struct nx_nats_replies replies;  /* that it may answer, where its permissions limit what it publishes */
    struct nx_buf input;             /* the beginning of an operation whose rest has not come */
    struct nx_buf output;
    int64_t greeted_ns; /* monotonic; 0: not yet */
    int64_t heard_ns;   /* when its last bytes came */
    unsigned pings;     /* sent since */
    int64_t opened_ns;
    int64_t active_ns; /* when it last published, subscribed or was given a message */
    int64_t pinged_ns;
    int64_t rtt_ns; /* of the last ping; 0: none came back yet */
    struct nx_nats_traffic traffic;
    char *about; /* what stands in the next three; NULL: nothing */
    struct nx_str about_name;
    struct nx_str about_language;
    struct nx_str about_version;
    const char *ended_because; /* static storage; NULL: it has not ended, or the client did it */
    bool done;
    char nonce[NX_NATS_NONCE_TEXT_SIZE + 1];
    uint16_t port;
    char peer[NX_NATS_PEER_SIZE_MAX];
};
