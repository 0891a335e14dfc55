/* src/app/node.h: one running node: the log, the functions and the HTTP face, put together.
 *
 *   main thread: a loop for signals, answers and the console's lines
 *   threads:     journal · library · dispatch · replayer · a worker a core · an HTTP loop ·
 *                the exporter of spans
 *
 * Only here are the parts connected; none of them knows the whole. Everything is called on the main thread,
 * which must not have started other threads before. */
#pragma once

#include "app/config.h"
#include "base/error.h"
#include "base/log.h"
#include "base/own.h"
#include "platform/function/functions.h"

struct nx_node;

struct nx_node_options {
    struct nx_config *config; /* borrowed until nx_node_close() */
    const struct nx_log *log; /* borrowed */
    size_t worker_count;      /* 0: one for each core */
    /* A record of INVOCATIONS was written since the start; on the main thread. NULL: nobody looks on. */
    void (*invocation)(void *data, const struct nx_record *record);
    /* While it runs, on the main thread, every time so many milliseconds have passed; or NULL. 0: twice a
     * second. */
    void (*tick)(void *data);
    int64_t tick_ms;
    /* SIGHUP came; on the main thread. NULL: it ends the node as SIGTERM does. */
    void (*reload)(void *data);
    void *data;
};

/** Open the data directory, load the functions, start everything, and listen. When it returns, what is posted
 * reaches every function.
 * Ownership: the caller ends it by nx_node_close().
 * Errors:    any; kind data-directory-in-use names the other process; NX_CANCELLED: a signal came meanwhile
 */
NX_MUST_CHECK enum nx_status nx_node_open(const struct nx_node_options *options, struct nx_node **node_out,
                                          struct nx_error *err);
uint16_t nx_node_http_port(const struct nx_node *node);
uint16_t nx_node_nats_port(const struct nx_node *node); /* 0: NATS is not served */
/** What recovery found; empty when all was well. Borrowed. */
struct nx_str nx_node_recovery_report(const struct nx_node *node);
/** What the functions are doing.
 * Ownership: the caller frees the answer by nx_message_release(&describe->message). */
NX_MUST_CHECK enum nx_status
nx_node_describe(struct nx_node *node, struct nx_functions_describe **describe_out, struct nx_error *err);
/** Load the functions of another configuration in place of those that run, and take its users of NATS.
 * `config` is borrowed from now on, unless this fails: then everything stays as it was. */
NX_MUST_CHECK enum nx_status nx_node_reload(struct nx_node *node, struct nx_config *config,
                                            struct nx_error *err);
/** Serve until SIGINT or SIGTERM, of which a second one ends the process at once; or until SIGUSR2, after
 * which NATS clients are told to go elsewhere, and it ends when the last one is gone. */
void nx_node_run(struct nx_node *node);
/** Take no more, and let what is under way end and be written.
 * Errors:    NX_UNAVAILABLE  the log did not take what calls did last (a full disk, a frozen log): nothing
 * that was acknowledged is lost, they run again at the next start */
NX_MUST_CHECK enum nx_status nx_node_stop(struct nx_node *node, struct nx_error *err);
/** Stop it, if that was not done, and close. NULL allowed. */
void nx_node_close(struct nx_node *node);

NX_DEFINE_AUTO(nx_node, nx_node_close)
