/* src/server/nats/jetstream_internal.h: what the files of JetStream share. */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "fabric/fabric.h"
#include "fabric/stream/catalogue.h"
#include "server/nats/jetstream.h"

enum {
    NX_NATS_JS_REQUESTS_MAX = 4096, /* of the API that wait or are under way; NATS answers 10167 beyond it */
    NX_NATS_JS_ANSWER_SIZE_MAX = 8 * 1024 * 1024, /* bytes of one answer */
    /* Messages for streams that are under way: with more of them, or more bytes, who publishes waits. */
    NX_NATS_JS_PUBLISHES_MAX = 16 * 1024,
    NX_NATS_JS_PUBLISHES_SIZE_MAX = 32 * 1024 * 1024,
    /* What has been read of a client before it waits is taken, up to so many times as much. */
    NX_NATS_JS_PUBLISHES_OVER = 8,
};

/* What the log is asked for. */
enum nx_nats_js_step {
    NX_NATS_JS_LOAD,    /* the records of JETSTREAM */
    NX_NATS_JS_DEFINE,  /* a stream that was found in it */
    NX_NATS_JS_PUBLISH, /* a message for a stream */
    NX_NATS_JS_API,     /* whatever a request needs */
};

struct nx_nats_js_api;

/* Something that is under way, or waits for its turn: a publish or a request. */
struct nx_nats_js_job {
    struct nx_list_node node; /* of the jobs that wait, or of the publishes that are under way */
    enum nx_nats_js_step step;
    const struct nx_nats_js_api *api; /* NX_NATS_JS_API */
    uint64_t ticket;                  /* of a publish its own; of a request the newest one before it */
    size_t size;                      /* of a publish: bytes of the message */
    bool changes;                     /* it changes the catalogue: nobody else may meanwhile */
    struct nx_arena arena;            /* owns what follows */
    struct nx_str account;
    struct nx_str name;    /* of the stream, as NATS knows it */
    struct nx_str subject; /* of a request: the tokens behind the name; of a publish empty */
    struct nx_str reply;   /* empty: nobody waits */
    struct nx_str payload; /* of a request */
    struct nx_js_stream config;
};

struct nx_nats_jetstream {
    struct nx_nats_jetstream_options options;
    struct nx_js_catalogue catalogue;
    struct nx_list waiting;         /* requests, in their order */
    struct nx_list publishes;       /* under way, in their order */
    struct nx_message_queue outbox; /* for the log's appends, in their order; sent at the end of the turn */
    size_t publishes_size;          /* bytes of those under way */
    bool is_full;                   /* too much is under way; until it is half of that */
    size_t request_count;           /* waiting or under way */
    uint64_t ticket;                /* of the newest publish */
    uint64_t api_total;
    uint64_t api_errors;
    size_t under_way; /* messages that the log has, or the outbox */
    size_t defines;   /* of those, what the start has found */
    bool is_read;     /* all of JETSTREAM was */
    bool is_loaded;   /* and all that stands in it is defined */
    bool is_changing;
    struct nx_now now;
};

/* A request of the API. */
struct nx_nats_js_api {
    const char *pattern; /* "STREAM.INFO.*": behind "$JS.API." */
    const char *type;    /* of the answer */
    bool changes;
    bool is_direct; /* only for streams that allow it; the others have nobody who answers */
    /* Begin it; true when it was answered, false when the log is asked. */
    bool (*begin)(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job);
    /* The log has answered; the message is taken. As begin(). */
    bool (*go_on)(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                  struct nx_message *message);
};

/** The API with this subject, the tokens that its star and rest stand for; NULL: unknown. */
const struct nx_nats_js_api *nx_nats_js_api_find(struct nx_str subject, struct nx_str *name_out,
                                                 struct nx_str *rest_out);
/** Ask the log, with the job as the context. False: it cannot be asked; the message is freed. */
NX_MUST_CHECK bool nx_nats_js_ask(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                                  struct nx_mailbox *mailbox, struct nx_message *message);
/** Answer with this block of headers, or none, and payload. */
void nx_nats_js_reply(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                      struct nx_str block, struct nx_str payload);
/** The definition of a stream of the catalogue. NULL: no memory. */
struct nx_define *nx_nats_js_define_new(const struct nx_js_entry *entry);
