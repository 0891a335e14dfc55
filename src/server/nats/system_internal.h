/* src/server/nats/system_internal.h: what system.c, which says which answer is asked for, and
 * system_answers.c share. */
#pragma once

#include "codec/json.h"
#include "codec/ulid.h"
#include "server/nats/conn_internal.h"
#include "server/nats/pages_internal.h"
#include "server/nats/system.h"

enum {
    NX_NATS_SYSTEM_SUBJECT_SIZE_MAX = 1024,
    NX_NATS_SYSTEM_HOST_SIZE_MAX = 64,
    NX_NATS_ANSWER_FAILED = 500,
};

struct nx_nats_system {
    struct nx_nats_hub *hub;
    struct nx_str account;
    struct nx_nats_pages pages;
    struct nx_ulid_generator ids;
    uint64_t sequence; /* of what was said */
    uint64_t ticks;
    char http_host[NX_NATS_SYSTEM_HOST_SIZE_MAX];
};

/* What an account is doing. */
struct nx_nats_account_stats {
    uint64_t conn_count;
    uint64_t subscription_count;
    struct nx_nats_traffic traffic;
};

struct nx_nats_request {
    struct nx_nats_system *system;
    struct nx_nats_conn *conn;
    const struct nx_nats_op *op;
    const struct nx_json_value *options; /* NULL: none */
    struct nx_str account;               /* only of this one; empty: of all */
};

struct nx_nats_answer {
    const char *name;
    void (*respond)(const struct nx_nats_request *request);
};

/* system.c */

/** "server":{…}, numbered. */
void nx_nats_system_member_server(struct nx_nats_system *system, struct nx_json_writer *json);
/** What pages show of now. */
void nx_nats_system_look_around(struct nx_nats_system *system);
/** The whole message of STATSZ, after a look around; of the next, CONNS. */
void nx_nats_system_write_stats(struct nx_nats_system *system, struct nx_buf *text);
void nx_nats_system_write_conns(struct nx_nats_system *system, struct nx_buf *text, struct nx_str account,
                                const struct nx_nats_conn *except);
/** Without `except`, a connection that is about to end; NULL: none. */
struct nx_nats_account_stats nx_nats_system_stats_of(const struct nx_nats_hub *hub, struct nx_str account,
                                                     const struct nx_nats_conn *except);
void nx_nats_system_members_account(struct nx_json_writer *json, struct nx_str account,
                                    const struct nx_nats_account_stats *stats);

/* system_answers.c */

extern const struct nx_nats_answer nx_nats_answer_kick;
extern const struct nx_nats_answer nx_nats_answer_user;
/** About the server, by the last token of the subject; NULL: there is no such one. Of the next: about an
 * account. */
const struct nx_nats_answer *nx_nats_answer_of_server(struct nx_str name);
const struct nx_nats_answer *nx_nats_answer_of_account(struct nx_str name);
void nx_nats_respond_error(const struct nx_nats_request *request, unsigned code, struct nx_str description);
/** Whether it is a user's account, or one of which there are connections. */
bool nx_nats_system_has_account(const struct nx_nats_system *system, struct nx_str account);
