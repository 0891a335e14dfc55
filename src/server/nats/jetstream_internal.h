/* src/server/nats/jetstream_internal.h: what the files of JetStream share. */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "codec/js_consumer.h"
#include "fabric/consumer/ledger.h"
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
    NX_NATS_JS_LOAD,      /* the records of JETSTREAM */
    NX_NATS_JS_DEFINE,    /* a stream that was found in it */
    NX_NATS_JS_PUBLISH,   /* a message for a stream */
    NX_NATS_JS_API,       /* whatever a request needs */
    NX_NATS_JS_FETCH,     /* messages for a consumer */
    NX_NATS_JS_STATE,     /* of a consumer */
    NX_NATS_JS_CONSUMERS, /* of a stream that was found in it */
};

struct nx_nats_js_api;
struct nx_nats_js_consumer;

/* Something that is under way, or waits for its turn: a publish or a request. */
struct nx_nats_js_job {
    struct nx_list_node node; /* of the jobs that wait, or of the publishes that are under way */
    enum nx_nats_js_step step;
    const struct nx_nats_js_api *api; /* NX_NATS_JS_API */
    uint64_t ticket;                  /* of a publish its own; of a request the newest one before it */
    size_t size;                      /* of a publish: bytes of the message */
    unsigned phase;                   /* of a request: how often the log has answered, where it matters */
    uint64_t number;                  /* what it has to remember */
    bool is_event;                    /* of a publish: for the project's EVENTS */
    bool changes;                     /* it changes the catalogue: nobody else may meanwhile */
    void *state;                      /* its api's own */
    struct nx_arena arena;            /* owns what follows */
    struct nx_str account;
    struct nx_str name;    /* of the stream, as NATS knows it */
    struct nx_str subject; /* of a request: the tokens behind the name; of a publish empty */
    struct nx_str reply;   /* empty: nobody waits */
    struct nx_str payload; /* of a request */
    struct nx_js_stream config;
    struct nx_js_consumer consumer_config;
    struct nx_js_ledger ledger;
    uint64_t pending; /* of a consumer that is being made, as the next ones */
    uint64_t last_sequence;
    int64_t created_ns;
    uint64_t *lasts; /* owned */
    size_t last_count;
    struct nx_nats_js_consumer *consumer; /* NX_NATS_JS_FETCH, NX_NATS_JS_STATE */
};

struct nx_nats_jetstream {
    struct nx_nats_jetstream_options options;
    struct nx_js_catalogue catalogue;
    struct nx_js_entry events;      /* the project's stream EVENTS, which takes messages in its own way */
    struct nx_list waiting;         /* requests, in their order */
    struct nx_list publishes;       /* under way, in their order */
    struct nx_message_queue outbox; /* for the log's appends, in their order; sent at the end of the turn */
    size_t call_count;              /* messages for functions, on their way to the log */
    size_t publishes_size;          /* bytes of all that are under way, those included */
    bool is_full;                   /* too much is under way; until it is half of that */
    size_t request_count;           /* waiting or under way */
    uint64_t ticket;                /* of the newest publish */
    struct nx_list consumers;       /* of all streams */
    struct nx_list ready;           /* those to look at when the turn ends */
    int64_t due_ns;                 /* monotonic: when to look at them */
    uint64_t advisory_count;
    uint64_t name_count; /* of consumers that were given names */
    uint64_t api_total;
    uint64_t api_errors;
    size_t under_way; /* messages that the log has, or the outbox */
    size_t defines;   /* of those, what the start has found */
    bool is_read;     /* all of JETSTREAM was */
    bool is_loaded;   /* and all that stands in it is defined */
    bool are_consumers_asked;
    bool has_failed; /* what streams there are cannot be read */
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
/** As nx_nats_js_ask(), but never refused: for what its owner bounds. */
void nx_nats_js_ask_surely(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                           struct nx_mailbox *mailbox, struct nx_message *message);
/** Answer with this block of headers, or none, and payload. */
void nx_nats_js_reply(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                      struct nx_str block, struct nx_str payload);
/** Free what is served of a stream that is gone: its consumers end. NULL allowed. */
void nx_nats_js_served_free(struct nx_nats_jetstream *jetstream, void *served);

/* jetstream_answer.c */

/* An answer that is being written. */
struct nx_nats_js_answer {
    struct nx_buf text;
    struct nx_json_writer writer;
};
void nx_nats_js_answer_begin(struct nx_nats_js_answer *answer, const struct nx_nats_js_job *job);
/* All of these are true, as it is answered then. */
bool nx_nats_js_answer_end(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                           struct nx_nats_js_answer *answer);
bool nx_nats_js_answer_error(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                             const struct nx_js_error *err);
bool nx_nats_js_answer_kind(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                            enum nx_js_error_kind kind);
bool nx_nats_js_answer_text(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                            enum nx_js_error_kind kind, const char *text);
/** {"success":true} */
bool nx_nats_js_answer_success(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job);
/** A status in place of an answer: "404 Message Not Found". */
bool nx_nats_js_answer_status(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                              const char *status);
void nx_nats_js_write_time(struct nx_json_writer *writer, const char *name, int64_t time_ns);
/** The stream that a request is about; NULL: there is none. */
struct nx_js_entry *nx_nats_js_entry_of(const struct nx_nats_jetstream *jetstream,
                                        const struct nx_nats_js_job *job);
/** Ask the log what a stream holds; empty: all of them. True when that cannot be, and was answered. */
bool nx_nats_js_ask_info(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                         struct nx_str stream);
/** Send the log a read or an append, which is taken; NULL: no memory. As nx_nats_js_ask_info(). */
bool nx_nats_js_ask_read(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                         struct nx_read *read);
bool nx_nats_js_ask_append(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                           struct nx_append *append);
/** Parse what a request says; an empty one says nothing. False: it was answered. */
bool nx_nats_js_parse(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                      struct nx_json_doc **doc_out);
/** Add the mark with which all messages up to this sequence are deleted; those that match the filter, unless
 * that is empty. With `says_sequence` the journal says up to which: that before the next record. */
NX_MUST_CHECK enum nx_status nx_nats_js_add_mark(struct nx_append *append, const struct nx_js_entry *entry,
                                                 struct nx_str filter, uint64_t until, bool says_sequence,
                                                 struct nx_error *err);

/* jetstream_publish.c */

bool nx_nats_js_take_publish(struct nx_nats_jetstream *jetstream, struct nx_str account,
                             const struct nx_nats_op *message);
void nx_nats_js_finish_publish(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job,
                               struct nx_message *message);
/** Its message, of `size` bytes, is on its way to the log; or is not any more. */
void nx_nats_js_count(struct nx_nats_jetstream *jetstream, size_t size, bool is_on_its_way);
/** Answer as for a message that is stored, or, with `err`, is not. */
void nx_nats_js_send_puback(struct nx_nats_jetstream *jetstream, const struct nx_nats_js_job *job,
                            uint64_t sequence, bool is_duplicate, const struct nx_js_error *err);
struct nx_nats_js_job *nx_nats_js_job_new(enum nx_nats_js_step step, struct nx_str account,
                                          const struct nx_nats_op *message);
void nx_nats_js_job_free(struct nx_nats_js_job *job);

/* The requests of jetstream_streams.c, jetstream_messages.c and jetstream_consumers.c, as in struct
 * nx_nats_js_api. */
#define NX_NATS_JS_BEGIN(name) \
    bool nx_nats_js_##name(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job)
#define NX_NATS_JS_GO_ON(name)                                                              \
    bool nx_nats_js_##name(struct nx_nats_jetstream *jetstream, struct nx_nats_js_job *job, \
                           struct nx_message *message)
NX_NATS_JS_BEGIN(begin_all);
NX_NATS_JS_BEGIN(begin_names);
NX_NATS_JS_BEGIN(begin_create);
NX_NATS_JS_BEGIN(begin_update);
NX_NATS_JS_BEGIN(begin_delete);
NX_NATS_JS_BEGIN(begin_purge);
NX_NATS_JS_BEGIN(begin_info);
NX_NATS_JS_GO_ON(account_go_on);
NX_NATS_JS_GO_ON(list_go_on);
NX_NATS_JS_GO_ON(create_go_on);
NX_NATS_JS_GO_ON(update_go_on);
NX_NATS_JS_GO_ON(delete_go_on);
NX_NATS_JS_GO_ON(purge_go_on);
NX_NATS_JS_GO_ON(info_go_on);
NX_NATS_JS_BEGIN(begin_get);
NX_NATS_JS_BEGIN(begin_direct);
NX_NATS_JS_BEGIN(begin_message_delete);
NX_NATS_JS_GO_ON(get_go_on);
NX_NATS_JS_GO_ON(direct_go_on);
NX_NATS_JS_GO_ON(message_delete_go_on);
NX_NATS_JS_BEGIN(begin_consumer_create);
NX_NATS_JS_BEGIN(begin_consumer_info);
NX_NATS_JS_BEGIN(begin_consumer_delete);
NX_NATS_JS_BEGIN(begin_consumers);
NX_NATS_JS_GO_ON(consumer_create_go_on);
NX_NATS_JS_GO_ON(consumer_info_go_on);
NX_NATS_JS_GO_ON(consumer_delete_go_on);

/** The definition of a stream of the catalogue. NULL: no memory. */
struct nx_define *nx_nats_js_define_new(const struct nx_js_entry *entry);
