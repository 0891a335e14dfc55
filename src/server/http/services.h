/* src/server/http/services.h: what the handlers of one loop have at hand, and how they ask the log.
 *
 * A handler answers its exchange at once, or sends a message whose context is the exchange and returns; when
 * the message comes back, the loop calls exchange->resume. Threads: the loop's. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "codec/ulid.h"
#include "fabric/fabric.h"
#include "platform/function/registry.h"
#include "server/http/conn.h"
#include "telemetry/metric.h"
#include "telemetry/span.h"

enum {
    NX_HTTP_WAIT_MAX_MS = 30 * 1000, /* of a long poll */
    NX_HTTP_PAGE_COUNT_MAX = 1000,   /* items of one page */
    NX_HTTP_PAGE_COUNT_DEFAULT = 100,
    NX_HTTP_PAGE_ROUNDS_MAX = 256,           /* scans for one page that stays empty */
    NX_HTTP_PAGE_SIZE_MAX = 2 * 1024 * 1024, /* bytes of records behind one page */
    NX_HTTP_WAITING_MAX = 1024,              /* requests of one loop that a function is to answer, at once */
    NX_HTTP_ANSWER_SIZE_MAX = 32 * 1024 * 1024, /* bytes of one answer's body */
};

/* Counted by all loops of a server. */
struct nx_http_counters {
    struct nx_counter events_published;
    struct nx_counter events_duplicate;
    struct nx_counter responses[6]; /* by class of status */
    struct nx_counter overloaded;   /* requests answered 503 because a mailbox was full */
    struct nx_counter connections;  /* open now */
};

struct nx_http_services {
    struct nx_http_shared shared; /* its `data` is this struct */
    struct nx_fabric *fabric;
    struct nx_mailbox *appends;
    struct nx_message_queue
        to_append; /* appends of this turn of the loop: they go together, see services.c */
    struct nx_mailbox *reads;
    struct nx_mailbox *functions; /* NULL: none */
    struct nx_mailbox *replies;   /* the loop's own */
    struct nx_registry *registry; /* NULL: none */
    struct nx_metrics *metrics;   /* NULL: none */
    struct nx_random random;
    struct nx_ulid_generator ulids;
    struct nx_tracer tracer;
    struct nx_str source; /* "/http/<project>" */
    struct nx_http_counters *counters;
    size_t waiting_count;   /* requests that a function is to answer */
    size_t under_way_count; /* messages sent and not come back */
    /* Scratch memory for one handler call; empty in between. */
    struct nx_buf scratch;
    struct nx_buf scratch2;
};

static inline struct nx_http_services *nx_http_services_of(const struct nx_http_exchange *exchange) {
    return exchange->shared->data;
}

/** Send a request; its answer comes to `resume`. When the mailbox is full the exchange is answered 503 and
 * the message released. */
void nx_http_ask(struct nx_http_exchange *exchange, struct nx_mailbox *mailbox, struct nx_message *message,
                 void (*resume)(struct nx_http_exchange *, struct nx_message *));
/** Send the appends that this turn's requests asked for. Their connections may have output then: `touched`,
 * which may be NULL, is called for those whose request found no room. */
void nx_http_send_appends(struct nx_http_services *services, void (*touched)(struct nx_http_conn *conn));
/** As nx_http_ask(), for an answer that has begun: when the mailbox is full `refused` is called instead, at
 * once. `mailbox` is not the one for appends. */
void nx_http_ask_or(struct nx_http_exchange *exchange, struct nx_mailbox *mailbox, struct nx_message *message,
                    void (*resume)(struct nx_http_exchange *, struct nx_message *),
                    void (*refused)(struct nx_http_exchange *, const struct nx_error *));
/** A message came back: hand it to its exchange. Returns the connection that may have output now, or NULL. */
struct nx_http_conn *nx_http_answered(struct nx_http_services *services, struct nx_message *message);
/** Answer 200 with JSON; a newline is put behind it. */
void nx_http_respond_json(struct nx_http_exchange *exchange, struct nx_buf *body);

/** Find the route of a request and call its handler; answers 404 and 405. */
void nx_http_route(struct nx_http_services *services, struct nx_http_exchange *exchange,
                   const struct nx_http_request *request);

/* The handlers. `parameter` is what the path has behind the route's prefix, as sent. */
typedef void nx_http_handler(struct nx_http_services *services, struct nx_http_exchange *exchange,
                             const struct nx_http_request *request, struct nx_str parameter);
nx_http_handler nx_http_post_event;        /* publish.c */
nx_http_handler nx_http_get_event;         /* events.c */
nx_http_handler nx_http_list_events;       /* event_list.c */
nx_http_handler nx_http_get_invocation;    /* invocations.c */
nx_http_handler nx_http_list_invocations;  /* invocations.c */
nx_http_handler nx_http_list_functions;    /* functions.c */
nx_http_handler nx_http_post_replay;       /* functions.c */
nx_http_handler nx_http_get_replay;        /* functions.c */
nx_http_handler nx_http_post_requeue;      /* functions.c */
nx_http_handler nx_http_list_dead_letters; /* dead_letters.c */
nx_http_handler nx_http_post_erase;        /* erase.c */
nx_http_handler nx_http_get_healthz;       /* status.c */
nx_http_handler nx_http_get_readyz;        /* status.c */
nx_http_handler nx_http_get_metrics;       /* status.c */
nx_http_handler nx_http_get_openapi;       /* status.c */

/** function_path.c: a request on a function's own path becomes an event of the trigger's type. */
void nx_http_publish_request(struct nx_http_services *services, struct nx_http_exchange *exchange,
                             const struct nx_http_request *request, const struct nx_route *route);
