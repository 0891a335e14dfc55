/* src/server/nats/access.h: who may connect, and what each may publish and subscribe to.
 *
 * An access is made of the options once and never changed: a reload makes the next one. What it was made of
 * is copied. Rules are tried one by one: lists of permissions are short, and nothing that a client chooses
 * makes them longer. The rules, and their odd corners, are NATS's. Immutable. */
#pragma once

#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "server/nats/options.h"

struct nx_nats_access;

/* What a client says of itself, and what its certificate does. */
struct nx_nats_credentials {
    struct nx_str name;
    struct nx_str password;
    struct nx_str token;
    struct nx_str nkey;
    struct nx_str signature;                /* of `nonce`, base64 */
    struct nx_str nonce;                    /* that it was given */
    const struct nx_str *certificate_names; /* in the order in which they are tried */
    size_t certificate_name_count;
    struct nx_str matched_hash; /* known to be of this password or token; empty: none is */
};

/* What is left to be compared, as it takes long. */
struct nx_nats_doubt {
    struct nx_str hash; /* empty: nothing is left; borrowed from the access */
    struct nx_str given;
};

/** The account of those who name none; static storage. */
extern const struct nx_str nx_nats_account_default;

/** Errors: NX_INVALID_ARGUMENT   what cannot be: a user twice, no nkey, no subject…; the message has no
 * secret NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_nats_access_new(const struct nx_nats_options *options, uint64_t seed,
                                                struct nx_nats_access **access_out, struct nx_error *err);
void nx_nats_access_free(struct nx_nats_access *access); /* NULL allowed */
/** Whether a client must say who it is before all else. */
bool nx_nats_access_is_required(const struct nx_nats_access *access);
/** Whether one who says nothing is somebody. */
bool nx_nats_access_has_no_auth_user(const struct nx_nats_access *access);
/** Whether clients need a nonce to sign. */
bool nx_nats_access_wants_nonce(const struct nx_nats_access *access);
/** Whether it is the default account, or a user's. */
bool nx_nats_access_has_account(const struct nx_nats_access *access, struct nx_str account);
/** Neither a name nor a password nor a token is there. An nkey may be. */
bool nx_nats_credentials_name_nobody(const struct nx_nats_credentials *credentials);
/** Who this is; NULL: nobody who may connect. Borrowed from the access. Where `doubt_out` then has a hash, it
 * is so only if that is the hash of what was given (codec/password): come back with `matched_hash`. */
const struct nx_nats_user *nx_nats_access_check(const struct nx_nats_access *access,
                                                const struct nx_nats_credentials *credentials,
                                                struct nx_nats_doubt *doubt_out);
/** A user of the previous access in this one, where it still has the same credentials and account; else
 * NULL. */
const struct nx_nats_user *nx_nats_access_find_again(const struct nx_nats_access *access,
                                                     const struct nx_nats_access *previous,
                                                     const struct nx_nats_user *user);

/** Whether the rules let the user publish to this subject; what allow_responses adds is not looked at. */
bool nx_nats_may_publish(const struct nx_nats_permissions *permissions, struct nx_str subject);
/** Whether the rules let the user subscribe; `queue` is empty for a plain subscription. */
bool nx_nats_may_subscribe(const struct nx_nats_permissions *permissions, struct nx_str filter,
                           struct nx_str queue);
/** Whether a message may not be given to a subscription of the user, though it may subscribe: a subject is
 * denied that its filter covers. */
bool nx_nats_is_withheld(const struct nx_nats_permissions *permissions, struct nx_str subject,
                         struct nx_str queue);

NX_DEFINE_AUTO(nx_nats_access, nx_nats_access_free)
