/* src/server/nats/system.h: what a server tells its system account, and what it answers.
 *
 *   $SYS.ACCOUNT.<account>.CONNECT .DISCONNECT .SERVER.CONNS           who comes and goes
 *   $SYS.SERVER.<id>.CLIENT.AUTH.ERR .STATSZ .LAMEDUCK .SHUTDOWN
 *   $SYS.REQ.SERVER.PING[.<page>]  $SYS.REQ.SERVER.<id>.<page>         asked from there
 *       STATSZ IDZ VARZ CONNZ SUBSZ JSZ HEALTHZ ACCOUNTZ; of one server: KICK
 *   $SYS.REQ.ACCOUNT.<account>.<page>      CONNZ SUBSZ INFO CONNS STATZ; STATZ of PING: of all accounts
 *   $SYS.REQ.USER.INFO  $SYS.REQ.ACCOUNT.PING.CONNZ .STATZ             asked from any account, about itself
 *
 * A page's options are a JSON object, nats-server's names. Nothing is made where nobody of the system account
 * is connected; there nobody is by default, as it has no users. Owned by the loop of the hub. */
#pragma once

#include "server/nats/conn.h"
#include "server/nats/monitor.h"

struct nx_nats_system;

/** Ownership: the caller ends it by nx_nats_system_free(); the hub, which is options->hub, and the texts
 * outlive it. `http_port` is what VARZ says. Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_nats_system_new(struct nx_nats_hub *hub,
                                                const struct nx_nats_monitor_options *options,
                                                uint16_t http_port, struct nx_nats_system **system_out,
                                                struct nx_error *err);
void nx_nats_system_free(struct nx_nats_system *system); /* NULL allowed */
/** A message on $SYS.REQ.>: whether it is a request that is answered here, and was. */
bool nx_nats_system_take(struct nx_nats_system *system, struct nx_nats_conn *conn,
                         const struct nx_nats_op *op);
/** Its client has become somebody. */
void nx_nats_system_connected(struct nx_nats_system *system, const struct nx_nats_conn *conn);
/** It ends, and is still in its account. */
void nx_nats_system_disconnected(struct nx_nats_system *system, const struct nx_nats_conn *conn);
/** Its credentials were wrong. */
void nx_nats_system_refused(struct nx_nats_system *system, const struct nx_nats_conn *conn,
                            struct nx_str user);
/** The server begins to end: ".LAMEDUCK", ".SHUTDOWN". */
void nx_nats_system_ending(struct nx_nats_system *system, const char *how);
/** About once a second. */
void nx_nats_system_tick(struct nx_nats_system *system);

NX_DEFINE_AUTO(nx_nats_system, nx_nats_system_free)
