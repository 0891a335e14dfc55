/* src/server/http/conn.h: one HTTP connection, without its socket: bytes in, requests out; answers in, bytes
 * out.
 *
 * The transport feeds what it read and writes what nx_http_conn_output() holds; here is everything between:
 * pipelining, the order of answers, keep-alive, "100 Continue", HEAD, limits, time-outs, closing. It knows no
 * file descriptor, so a test or a fuzzer is a transport too.
 *
 * Each request becomes an exchange, which waits in its connection's queue until it is answered. An exchange
 * whose message is still under way outlives its connection: it becomes an orphan, whose answer goes nowhere.
 * So what a message's context points to is always there.
 *
 * Memory: a quiet connection holds no buffer. Requests being read and their buffers come from what the
 * connections of a loop share. One owner: the loop's thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/counter.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "base/own.h"
#include "base/str.h"
#include "codec/json.h"
#include "codec/traceparent.h"
#include "io/clock.h"
#include "io/mailbox.h"
#include "server/http/parser.h"

enum {
    NX_HTTP_PIPELINE_MAX = 32,                  /* requests of one connection under way at once */
    NX_HTTP_OUTPUT_SIZE_HIGH = 256 * 1024,      /* bytes; with more to write no further request is read */
    NX_HTTP_OUTPUT_SIZE_MAX = 64 * 1024 * 1024, /* bytes; with more to write the connection is cut */
    NX_HTTP_OUTPUT_SIZE_KEPT_MAX = 1024,        /* bytes of output memory that a quiet connection keeps */
    NX_HTTP_PENDING_SIZE_MAX = 1024 * 1024,     /* bytes read and not parsed yet */
    NX_HTTP_REQUESTS_KEPT_MAX = 16,             /* request structures that a loop keeps for reuse */
    NX_HTTP_EXTRA_HEADERS_SIZE_MAX = 1024,      /* bytes of headers that one answer adds */
};

/* How long a connection may stay in a phase. */
enum nx_http_phase {
    NX_HTTP_PHASE_IDLE,  /* between requests: closed in silence */
    NX_HTTP_PHASE_HEAD,  /* a request line or headers under way, since their first byte: 408 */
    NX_HTTP_PHASE_BODY,  /* a body under way, since its first byte: 408 */
    NX_HTTP_PHASE_WRITE, /* output waits for the client, since it last took some: cut */
    NX_HTTP_PHASE_BUSY,  /* an answer is under way: as long as it takes */
    NX_HTTP_PHASE_COUNT
};
struct nx_http_timeouts {
    int64_t ns[NX_HTTP_PHASE_COUNT]; /* 0: none */
};
/** 60 s idle, 10 s for the headers, 60 s for a body, 30 s without progress in writing. */
struct nx_http_timeouts nx_http_timeouts_default(void);

struct nx_http_conn;
struct nx_http_exchange;
struct nx_http_span;

/* What the connections of one loop share. */
struct nx_http_shared {
    /* Called for each whole request, which is valid until this returns. It answers by nx_http_respond(), now
     * or later. */
    void (*handle)(void *data, struct nx_http_exchange *exchange, const struct nx_http_request *request);
    /* Called when the headers are there, before a body is asked for: NX_OK, or the error to answer. */
    enum nx_status (*admit)(void *data, const struct nx_http_request *request, struct nx_error *err);
    /* How many bytes of a connection's output its transport took and could not write yet; NULL: none ever. */
    size_t (*unwritten)(void *transport);
    void *data;
    struct nx_now now; /* set by the transport before it calls anything here */
    struct nx_http_timeouts timeouts;
    bool draining;                /* every answer closes its connection */
    bool cutting;                 /* the connections are about to be cut: `stored` ones are interrupted too */
    const struct nx_log *log;     /* what only we can have caused (500) is logged; may be NULL */
    struct nx_counter *responses; /* six, by class of status: [2] counts 2xx; NULL: not counted */
    /* An exchange that has a span is answered; `kind` and `message` of its error, or empty. */
    void (*answered)(struct nx_http_exchange *exchange, int status, const char *kind, const char *message);
    /* conn.c's own: */
    struct nx_list phases[NX_HTTP_PHASE_COUNT]; /* of connections, oldest first */
    struct nx_list orphans;                     /* of exchanges */
    struct nx_http_request *requests[NX_HTTP_REQUESTS_KEPT_MAX];
    size_t request_count;
    int64_t date_second;
    char date[32]; /* "Sun, 06 Nov 1994 08:49:37 GMT" */
};

void nx_http_shared_init(struct nx_http_shared *shared);
/** After every connection is closed. Orphans are freed: no message may be under way any more. */
void nx_http_shared_fini(struct nx_http_shared *shared);
/** A connection whose time is up, or NULL. It has been told: write its output, and close it when it is done.
 */
struct nx_http_conn *nx_http_shared_expire(struct nx_http_shared *shared);
/** Monotonic time at which the next one may expire, INT64_MAX: none. */
int64_t nx_http_shared_deadline(const struct nx_http_shared *shared);

/** `shared` is borrowed for the connection's life; `transport` is the transport's own.
 * Errors: NX_RESOURCE_EXHAUSTED (out of memory) */
NX_MUST_CHECK enum nx_status nx_http_conn_open(struct nx_http_shared *shared, void *transport,
                                               struct nx_http_conn **conn_out, struct nx_error *err);
/** Its exchanges under way become orphans. NULL allowed. */
void nx_http_conn_close(struct nx_http_conn *conn);
void *nx_http_conn_transport(const struct nx_http_conn *conn);
/** Bytes came; they are borrowed for the call. Calls shared->handle for each request in them. */
void nx_http_conn_feed(struct nx_http_conn *conn, struct nx_str bytes);
/** The client sends no more; it may still wait for answers. */
void nx_http_conn_feed_end(struct nx_http_conn *conn);
/** What waits to be written, borrowed until the next call. */
struct nx_str nx_http_conn_output(const struct nx_http_conn *conn);
/** The transport took so much of it. */
void nx_http_conn_wrote(struct nx_http_conn *conn, size_t len);
/** Handle requests that were read but had to wait for earlier ones; false when there is nothing to do. Call
 * it after answers and after writing. */
bool nx_http_conn_run(struct nx_http_conn *conn);
/** False: do not read from the client now. */
bool nx_http_conn_wants_input(const struct nx_http_conn *conn);
/** Nothing more will come of it, and its output is with the transport: close it in good order. */
bool nx_http_conn_is_done(const struct nx_http_conn *conn);
/** Cut it: not even an answer can be written. */
bool nx_http_conn_is_broken(const struct nx_http_conn *conn);
/** No request is being read, answered or written. */
bool nx_http_conn_is_quiet(const struct nx_http_conn *conn);
/** Take no further request: close when what is under way is answered. */
void nx_http_conn_finish(struct nx_http_conn *conn);
/** The server stops: answer long polls now. Their messages' answers go nowhere. */
void nx_http_conn_interrupt(struct nx_http_conn *conn);
/** Every call above but the getters ends with this one, once, by the transport: notes the phase for
 * time-outs.
 */
void nx_http_conn_settle(struct nx_http_conn *conn);

/* One request and its answer. */
struct nx_http_exchange {
    struct nx_list_node node; /* conn.c's own */
    struct nx_http_shared *shared;
    struct nx_http_conn *conn; /* NULL: an orphan */
    bool is_head;
    bool keep_alive;
    bool is_http_1_0;
    bool takes_gzip;
    bool answered;
    bool streaming;    /* its answer has begun and is given piece by piece */
    struct nx_buf out; /* conn.c's own: the answer, while an earlier request has none */
    void (*ready)(
        struct nx_http_exchange *exchange); /* conn.c's own: waits for room, no message is under way */
    struct nx_buf headers; /* further ones of whatever it is answered, "Name: value\r\n" each */
    /* The handler's own: */
    int64_t begun_ns; /* monotonic */
    /* Goes on with the answer to a message that the handler sent; owns it. */
    void (*resume)(struct nx_http_exchange *exchange, struct nx_message *message);
    struct nx_traceparent trace;
    struct nx_http_span *span; /* tracing.c's own; NULL: none is recorded */
    struct nx_str note;        /* borrowed from the message under way */
    unsigned tag;              /* what else the handler must remember */
    unsigned rounds;           /* messages sent for it beyond the first */
    bool interruptible;        /* answered at once when the server stops: a long poll */
    bool stored; /* what it asked for is on disk: it can be told so before its connection is cut */
    void *state; /* what is too much for the above; freed with the exchange */
    void (*state_free)(void *state);
};

struct nx_http_response {
    int status;
    struct nx_str content_type;
    struct nx_str body;
    struct nx_str headers; /* further ones, "Name: value\r\n" each */
};
/** Answer, once. Everything is copied. For an orphan nothing is sent. The exchange is gone afterwards. */
void nx_http_respond(struct nx_http_exchange *exchange, const struct nx_http_response *response);
/** Answer with problem details (RFC 9457). `headers` as in struct nx_http_response. */
void nx_http_respond_error(struct nx_http_exchange *exchange, const struct nx_error *err,
                           struct nx_str headers);
/** As nx_http_respond_error(), with a status that is not the error's own. */
void nx_http_respond_error_as(struct nx_http_exchange *exchange, int http_status, const struct nx_error *err,
                              struct nx_str headers);
/* An answer whose length is not known: begun, written in pieces, ended. While more than
 * NX_HTTP_OUTPUT_SIZE_HIGH waits for the client its handler should write nothing more, but wait; a client
 * that takes nothing of it for the time-out of that phase is cut, as with every answer. Pieces for an orphan
 * go nowhere; its handler gives it up by nx_http_abandon(). */

/** Write the head; the response's body is not looked at. */
void nx_http_stream_begin(struct nx_http_exchange *exchange, const struct nx_http_response *response);
void nx_http_stream_write(struct nx_http_exchange *exchange, struct nx_str bytes);
bool nx_http_stream_has_room(const struct nx_http_exchange *exchange);
/** Call `ready`, once, when there is room; until then no message may be under way for it. */
void nx_http_stream_wait(struct nx_http_exchange *exchange, void (*ready)(struct nx_http_exchange *exchange));
/** The answer is whole; the exchange is gone. */
void nx_http_stream_end(struct nx_http_exchange *exchange);
/** Give no answer and cut the connection: what was done cannot be told, for want of memory. */
void nx_http_abandon(struct nx_http_exchange *exchange);
/** The connection may not be kept after this answer. */
void nx_http_exchange_close_after(struct nx_http_exchange *exchange);
/** Append the problem details of an error, as JSON: an object without its end, for further members. */
void nx_http_problem_begin(struct nx_json_writer *writer, int http_status, const struct nx_error *err);
