/* src/server/nats/login.c: whose a connection is: CONNECT, accounts, and what a reload changes. */
#include <stdlib.h>

#include "codec/json.h"
#include "codec/password.h"
#include "server/nats/conn_internal.h"
#include "server/nats/system.h"

static const char authorization_violation[] = "Authorization Violation";

/* Accounts */

static void account_free(struct nx_nats_account *account) {
    if (account != NULL) {
        nx_router_free(account->router);
        free(account);
    }
}

/* The account of this name, made where there is none; NULL without memory. */
static struct nx_nats_account *account_of(struct nx_nats_hub *hub, struct nx_str name) {
    struct nx_nats_account *account = nx_map_get(&hub->accounts, name);
    if (account != NULL) {
        return account;
    }
    account = calloc(1, sizeof *account + name.len);
    if (account == NULL) {
        return NULL;
    }
    memcpy(account->name_bytes, name.ptr, name.len);
    account->name = nx_str_of(account->name_bytes, name.len);
    if (nx_router_new(hub->seed, &account->router, NULL) != NX_OK ||
        nx_map_set(&hub->accounts, account->name, account, NULL) != NX_OK) {
        account_free(account);
        return NULL;
    }
    return account;
}

void nx_nats_conn_leave_account(struct nx_nats_conn *conn) {
    struct nx_nats_account *account = NX_TAKE(conn->account);
    if (account != NULL && --account->conn_count == 0) {
        (void)nx_map_remove(&conn->hub->accounts, account->name);
        account_free(account);
    }
}

/* From now on the connection is this user's, with its subscriptions only where it stays in the account. */
static bool become(struct nx_nats_conn *conn, const struct nx_nats_user *user) {
    struct nx_nats_account *account = account_of(conn->hub, user->account);
    if (account == NULL) {
        return false;
    }
    if (account != conn->account) {
        account->conn_count++;
        nx_nats_conn_end_subscriptions(conn);
        nx_nats_conn_leave_account(conn);
        conn->account = account;
    }
    conn->user = user;
    return true;
}

bool nx_nats_conn_become_own(struct nx_nats_conn *conn) {
    static struct nx_nats_user own;
    own.account = nx_nats_account_default;
    return become(conn, &own);
}

void nx_nats_conn_refuse(struct nx_nats_conn *conn, const char *error) {
    nx_counter_add(&conn->hub->counters->refused, 1);
    nx_nats_conn_end(conn, error);
}

static bool says_nothing(const struct nx_nats_credentials *credentials) {
    return nx_nats_credentials_name_nobody(credentials) && credentials->nkey.len == 0;
}

static bool let_in(struct nx_nats_conn *conn, const struct nx_nats_user *user,
                   const struct nx_nats_credentials *credentials) {
    if (user == NULL) {
        if (conn->hub->system != NULL) {
            nx_nats_system_refused(conn->hub->system, conn, credentials->name);
        }
        nx_nats_conn_refuse(conn, authorization_violation);
        return false;
    }
    if (user != conn->user) {
        conn->is_anonymous = says_nothing(credentials);
    }
    if (!become(conn, user)) {
        nx_nats_conn_end(conn, "Failed Account Registration"); /* no memory */
        return false;
    }
    return true;
}

/* Whom one is who says nothing, but may have a certificate; NULL: nobody. */
static const struct nx_nats_user *anonymous_of(const struct nx_nats_conn *conn) {
    struct nx_nats_doubt doubt;
    const struct nx_nats_credentials credentials = {
        .name = NX_STR_EMPTY,
        .certificate_names = conn->certificate_names,
        .certificate_name_count = conn->certificate_name_count,
    };
    const struct nx_nats_user *user = nx_nats_access_check(conn->hub->access, &credentials, &doubt);
    return doubt.hash.len == 0 ? user : NULL;
}

/* Before CONNECT: one who needs no credentials may do all that a user without them may. */
bool nx_nats_conn_is_let_in(struct nx_nats_conn *conn) {
    if (conn->user != NULL) {
        return true;
    }
    return let_in(conn, anonymous_of(conn), &(struct nx_nats_credentials){ .name = NX_STR_EMPTY });
}

/* CONNECT */

void nx_nats_conn_forget_login(struct nx_nats_conn *conn) {
    nx_json_doc_free(NX_TAKE(conn->login));
    conn->connect = (struct nx_nats_connect){ .protocol = 0 };
}

static void finish_login(struct nx_nats_conn *conn, const struct nx_nats_user *user) {
    struct nx_error err = { 0 };
    if (let_in(conn, user, &conn->connect.credentials)) {
        if (conn->connect.wants_account) {
            nx_nats_conn_refuse(conn, authorization_violation);
        } else if (nx_nats_connect_check(&conn->connect, &conn->client, &err) != NX_OK) {
            nx_nats_conn_end(conn, err.message);
        } else {
            nx_nats_conn_keep_about(conn);
            nx_nats_conn_say_ok(conn);
            if (conn->hub->system != NULL) {
                nx_nats_system_connected(conn->hub->system, conn);
            }
        }
    }
    nx_nats_conn_forget_login(conn);
}

static enum nx_nats_verdict compare(struct nx_nats_conn *conn, const struct nx_nats_doubt *doubt) {
    const struct nx_nats_transport *transport = &conn->hub->transport;
    if (transport->compare != NULL) {
        return transport->compare(conn->transport, doubt->hash, doubt->given);
    }
    return nx_password_matches(doubt->hash, doubt->given) ? NX_NATS_MATCHES : NX_NATS_DIFFERS;
}

static void try_login(struct nx_nats_conn *conn) {
    struct nx_nats_doubt doubt;
    if (conn->user != NULL && says_nothing(&conn->connect.credentials)) {
        finish_login(conn, conn->user); /* another CONNECT, which changes only how it is talked to */
        return;
    }
    const struct nx_nats_user *user =
        nx_nats_access_check(conn->hub->access, &conn->connect.credentials, &doubt);
    if (user == NULL || doubt.hash.len == 0) {
        finish_login(conn, user);
    } else {
        const enum nx_nats_verdict verdict = compare(conn, &doubt);
        if (verdict != NX_NATS_COMPARED_LATER) {
            finish_login(conn, verdict == NX_NATS_MATCHES ? user : NULL);
        }
    }
}

void nx_nats_conn_compared(struct nx_nats_conn *conn, struct nx_str hash, bool matches) {
    if (conn->done || conn->login == NULL) {
        nx_nats_conn_forget_login(conn);
        return;
    }
    if (matches) {
        conn->connect.credentials.matched_hash = hash;
        try_login(conn);
    } else {
        finish_login(conn, NULL);
    }
    if (conn->login != NULL) {
        conn->connect.credentials.matched_hash = NX_STR_EMPTY; /* a reload gave it another: once more */
    }
    nx_nats_conn_feed(conn, NX_STR_EMPTY);
}

bool nx_nats_conn_is_comparing(const struct nx_nats_conn *conn) {
    return conn->login != NULL;
}

void nx_nats_conn_login(struct nx_nats_conn *conn, const struct nx_nats_op *op) {
    struct nx_error err = { 0 };
    if (nx_nats_connect_read(op->text, &conn->client, &conn->connect, &conn->login, &err) != NX_OK) {
        nx_nats_conn_end_silently(conn, "Protocol Violation"); /* as NATS */
        return;
    }
    if (conn->rtt_ns == 0) {
        conn->rtt_ns = conn->hub->now.monotonic_ns - conn->opened_ns; /* from INFO to here, as NATS */
    }
    conn->connect.credentials.certificate_names = conn->certificate_names;
    conn->connect.credentials.certificate_name_count = conn->certificate_name_count;
    conn->connect.credentials.nonce = nx_str_from_c(conn->nonce);
    nx_nats_conn_end_subscriptions(conn); /* of an earlier CONNECT */
    try_login(conn);
}

/* Reloads */

/* End those subscriptions that are no longer allowed. The map must not change while it is walked. */
static void end_forbidden(struct nx_nats_conn *conn) {
    const struct nx_nats_permissions *permissions = nx_nats_conn_permissions(conn);
    struct nx_nats_subscription *forbidden = NULL;
    size_t cursor = 0;
    void *found;
    while (permissions != NULL && nx_map_next(&conn->subscriptions, &cursor, NULL, &found)) {
        struct nx_nats_subscription *subscription = found;
        if (!nx_nats_may_subscribe(permissions, subscription->filter, subscription->queue)) {
            subscription->next_forbidden = forbidden;
            forbidden = subscription;
        }
    }
    while (forbidden != NULL) {
        struct nx_nats_subscription *subscription = forbidden;
        forbidden = subscription->next_forbidden;
        nx_nats_conn_say_violation(conn, "Subscription", subscription->filter, subscription->queue,
                                   subscription->sid);
        nx_nats_subscription_end(subscription);
    }
}

void nx_nats_conn_renew(struct nx_nats_conn *conn, const struct nx_nats_access *previous) {
    const struct nx_nats_access *access = conn->hub->access;
    if (conn->user == NULL || conn->done) {
        conn->user = NULL; /* it is of the previous access */
        return;
    }
    conn->user =
        conn->is_anonymous ? anonymous_of(conn) : nx_nats_access_find_again(access, previous, conn->user);
    if (conn->user == NULL) {
        nx_nats_conn_refuse(conn, authorization_violation);
        return;
    }
    if (!become(conn, conn->user)) {
        nx_nats_conn_end(conn, "Failed Account Registration");
        return;
    }
    end_forbidden(conn);
}
