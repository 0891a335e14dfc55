/* src/server/nats/jetstream_consumer.h: JetStream's consumers on a NATS loop.
 *
 * A consumer reads ahead of nobody: when somebody waits for messages it asks the log for as many as are
 * wanted, and hands them out as they come. What it has given and what was acknowledged is its ledger
 * (fabric/consumer/ledger.h), which is written whole, as the newest record `state.<name>` of JSC_<id>: at
 * once where somebody waits to hear that an acknowledgement is on disk, else a little later. One write is
 * under way at a time; what happens meanwhile is in the next one.
 *
 * A consumer that is gone is freed when the log has nothing of it any more. One owner: the loop's thread. */
#pragma once

#include "codec/js_consumer.h"
#include "fabric/consumer/ledger.h"
#include "server/nats/jetstream_internal.h"

enum {
    NX_NATS_JS_CONSUMERS_MAX = 100000, /* of all streams */
    NX_NATS_JS_FETCH_MAX = 256,        /* messages that are read at once for one consumer */
    NX_NATS_JS_FETCH_SIZE_MAX = 1024 * 1024,
};

/* Somebody waits for messages of a pull consumer. */
struct nx_nats_js_pull {
    struct nx_list_node node;
    int64_t batch; /* still wanted */
    int64_t given;
    int64_t bytes;        /* still wanted; 0: no limit */
    int64_t expires_ns;   /* monotonic; 0: never */
    int64_t heartbeat_ns; /* 0: none */
    int64_t heartbeat_at_ns;
    bool no_wait;
    struct nx_str reply; /* behind it */
    char bytes_of_reply[];
};

/* Somebody waits to hear that an acknowledgement is on disk. */
struct nx_nats_js_acked {
    struct nx_list_node node;
    struct nx_str reply;
    char bytes[];
};

/* What is served of a stream of the catalogue. */
struct nx_nats_js_stream {
    const struct nx_js_entry *entry; /* NULL: it is gone */
    struct nx_list consumers;
    uint64_t last_sequence; /* of what was stored; UINT64_MAX: not known yet */
};

struct nx_nats_js_consumer {
    struct nx_list_node node;     /* of its stream's */
    struct nx_list_node all_node; /* of all */
    struct nx_list_node ready_node;
    struct nx_nats_jetstream *jetstream;
    struct nx_nats_js_stream *stream; /* NULL: it is gone */
    struct nx_arena arena;            /* owns the strings of the configuration */
    struct nx_js_consumer config;
    struct nx_str name;
    struct nx_str account;
    struct nx_str stream_name;
    uint64_t stream_id;
    int64_t created_ns;
    struct nx_buf filters; /* separated by spaces; empty: all */
    struct nx_js_ledger ledger;
    uint64_t next_sequence;         /* to be read next */
    uint64_t pending;               /* about, how many of the stream lie before it */
    struct nx_nats_js_job read_job; /* what the log is asked as */
    struct nx_nats_js_job write_job;
    bool is_reading;
    bool is_writing;
    uint64_t again_sequence; /* what is read is given again; 0: it is new */
    struct nx_read *buffer;  /* what was read and not given yet; NULL: nothing */
    size_t buffer_at;
    uint64_t *lasts; /* deliver last per subject: these first; owned */
    size_t last_count;
    size_t last_at;
    struct nx_list pulls;
    struct nx_list acked;         /* to be told after the next write */
    struct nx_list acked_writing; /* after the one that is under way */
    bool is_dirty;
    int64_t write_at_ns;   /* monotonic: a dirty one is written then */
    int64_t active_ns;     /* monotonic: when somebody was last there */
    int64_t last_given_ns; /* wall; 0: never */
    int64_t last_acked_ns;
    int64_t due_ns; /* monotonic: when to look at it again */
    /* Push: */
    bool is_bound; /* somebody listens */
    int64_t heartbeat_at_ns;
    int64_t pace_ns;       /* monotonic: nothing is given before */
    int64_t replayed_ns;   /* the time of the message before; 0: none */
    uint64_t replay_until; /* with the pace in which they came, up to this sequence */
    uint64_t flow_size;    /* bytes that were given since the client last said how far it is */
    uint64_t flow_asked;   /* of them, when it was asked */
    uint64_t flow_max;
    char flow_reply[160]; /* what it will say; empty: it was not asked */
};

/** Something of a stream of the catalogue can be served. False: no memory. */
NX_MUST_CHECK bool nx_nats_js_serve(struct nx_js_entry *entry);
/** Look at it again no later than then; monotonic. */
void nx_nats_js_wake_at(struct nx_nats_js_consumer *consumer, int64_t at_ns);
/** What was read for it, while it is there. */
void nx_nats_js_consumer_take_fetched(struct nx_nats_js_consumer *consumer, struct nx_read *read);
/** NULL: there is none. */
struct nx_nats_js_consumer *nx_nats_js_consumer_find(const struct nx_js_entry *entry, struct nx_str name);
/** A consumer with this configuration, which is copied, begun behind the ledger's sequences. NULL: no memory.
 */
struct nx_nats_js_consumer *nx_nats_js_consumer_new(struct nx_nats_jetstream *jetstream,
                                                    const struct nx_js_entry *entry, struct nx_str name,
                                                    const struct nx_js_consumer *config, int64_t created_ns);
/** Give it another configuration. False: no memory. */
NX_MUST_CHECK bool nx_nats_js_consumer_configure(struct nx_nats_js_consumer *consumer,
                                                 const struct nx_js_consumer *config);
/** It is gone: those who wait are told with this status, or not (NULL). */
void nx_nats_js_consumer_end(struct nx_nats_js_consumer *consumer, const char *status);
/** The server stops: those who wait are told, and the state is written. */
void nx_nats_js_consumer_stop(struct nx_nats_js_consumer *consumer);
/** Do what can be done: give messages, tell those whose time is up. */
void nx_nats_js_consumer_run(struct nx_nats_js_consumer *consumer);
/** A read of its came back, which is taken; or a write. */
void nx_nats_js_consumer_take_read(struct nx_nats_js_consumer *consumer, struct nx_read *read);
void nx_nats_js_consumer_take_write(struct nx_nats_js_consumer *consumer, struct nx_append *append);
/** A message was stored, or some were deleted. */
void nx_nats_js_stored(struct nx_nats_js_stream *stream, struct nx_str subject, uint64_t sequence);
void nx_nats_js_deleted(struct nx_nats_js_stream *stream);
/** All messages up to this sequence were. */
void nx_nats_js_deleted_until(struct nx_nats_js_stream *stream, uint64_t until);
/** CONSUMER.MSG.NEXT: somebody wants messages. */
void nx_nats_js_consumer_pull(struct nx_nats_js_consumer *consumer, struct nx_str reply,
                              struct nx_str request);
/** "$JS.ACK.…" and "$JS.FC.…": true when it is for a consumer. */
bool nx_nats_js_take_ack(struct nx_nats_jetstream *jetstream, struct nx_str account,
                         const struct nx_nats_op *message);
/** A status without anything: "404 No Messages". */
void nx_nats_js_consumer_status(struct nx_nats_js_consumer *consumer, struct nx_str reply,
                                const char *status);
/** The state is another: write it soon, or now. */
void nx_nats_js_consumer_note(struct nx_nats_js_consumer *consumer, bool now);
/** Send the state to the log where that is due. */
void nx_nats_js_consumer_write(struct nx_nats_js_consumer *consumer);
/** Tell whoever listens what became of a message: kind "MAX_DELIVERIES", "MSG_TERMINATED" or "MSG_NAKED". */
void nx_nats_js_consumer_advise(struct nx_nats_js_consumer *consumer, const char *kind, uint64_t sequence,
                                uint64_t delivery, uint64_t count, struct nx_str reason);
/** The records of a new consumer, or of one with another configuration, and its state. */
NX_MUST_CHECK enum nx_status nx_nats_js_consumer_append(const struct nx_js_entry *entry, struct nx_str name,
                                                        const struct nx_js_consumer *config,
                                                        int64_t created_ns, const struct nx_js_ledger *ledger,
                                                        struct nx_append **append_out, struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_nats_js_consumer_append_gone(const struct nx_js_entry *entry,
                                                             struct nx_str name,
                                                             struct nx_append **append_out,
                                                             struct nx_error *err);
/** Take in a record of JSC_<id> at the start. */
void nx_nats_js_consumer_load(struct nx_nats_jetstream *jetstream, const struct nx_js_entry *entry,
                              const struct nx_record *record);
/** Whether it is kept in memory alone. */
bool nx_nats_js_consumer_is_memory(const struct nx_js_entry *entry, const struct nx_js_consumer *config);
