/* src/fabric/stream/catalogue.h: JetStream's streams of all accounts, a projection of the stream JETSTREAM.
 *
 * A record with the subject `stream.<account>.<name>` (tokens percent-encoded) is a stream: its configuration
 * as JSON, or the mark that it was deleted. The sequence of the first one is the stream's id: its messages
 * stand in JS_<id>, so that a later stream of the same name begins anew. `gone.<id>` says that nothing of it
 * is to be kept. See docs/decisions/0008. The catalogue does no I/O: it makes appends and takes in records.
 * One owner. */
#pragma once

#include "base/map.h"
#include "codec/js_stream.h"
#include "fabric/fabric.h"

#define NX_JS_CATALOGUE_STREAM "JETSTREAM" /* declared with one record kept of a subject */

enum {
    NX_JS_STREAMS_MAX = 10000,           /* of all accounts */
    NX_JS_STREAM_NAME_SIZE = 32,         /* of "JS_<id>", with the NUL */
    NX_JS_CONFIG_SIZE_MAX = 1024 * 1024, /* bytes of one configuration */
};

struct nx_js_entry {
    uint64_t id;
    int64_t created_ns; /* wall time */
    struct nx_str account;
    struct nx_js_stream config;
    struct nx_arena arena;               /* owns the strings above */
    uint64_t first_sequence;             /* what had left when it was last changed */
    void *served;                        /* the owner's: goes over to what replaces it; NULL at first */
    char stream[NX_JS_STREAM_NAME_SIZE]; /* where its messages stand */
};

struct nx_js_catalogue {
    struct nx_map entries; /* by subject: struct nx_js_entry, owned */
};

/** Foreign names are hashed with this seed. */
void nx_js_catalogue_init(struct nx_js_catalogue *catalogue, uint64_t seed);
void nx_js_catalogue_fini(struct nx_js_catalogue *catalogue);
/** NULL: there is none. Borrowed until the catalogue changes. */
struct nx_js_entry *nx_js_catalogue_find(const struct nx_js_catalogue *catalogue, struct nx_str account,
                                         struct nx_str name);
/** The account's streams in the order of their names, those before `after` left out; NULL at the end. Start
 * with NULL. */
struct nx_js_entry *nx_js_catalogue_next(const struct nx_js_catalogue *catalogue, struct nx_str account,
                                         const struct nx_js_entry *after);
/** The stream of the account that takes messages with this subject, or NULL. */
struct nx_js_entry *nx_js_catalogue_taker(const struct nx_js_catalogue *catalogue, struct nx_str account,
                                          struct nx_str subject);
/** Whether another stream of the account, but for `except`, takes some of the same subjects. */
bool nx_js_catalogue_overlaps(const struct nx_js_catalogue *catalogue, struct nx_str account,
                              const struct nx_js_stream *config, const struct nx_js_entry *except);

/** The append that makes this stream, when it is answered and taken in.
 * Errors: NX_INVALID_ARGUMENT (names too long together, kind too-large), NX_RESOURCE_EXHAUSTED */
NX_MUST_CHECK enum nx_status nx_js_catalogue_create(struct nx_str account, const struct nx_js_stream *config,
                                                    struct nx_append **append_out, struct nx_error *err);
/** The append that gives it another configuration. `first_sequence`: of what has not left yet, which no wider
 * limit brings back. Errors: as nx_js_catalogue_create() */
NX_MUST_CHECK enum nx_status nx_js_catalogue_update(const struct nx_js_entry *entry,
                                                    const struct nx_js_stream *config,
                                                    uint64_t first_sequence, struct nx_append **append_out,
                                                    struct nx_error *err);
/** The append that deletes it. Errors: as nx_js_catalogue_create() */
NX_MUST_CHECK enum nx_status nx_js_catalogue_delete(const struct nx_js_entry *entry,
                                                    struct nx_append **append_out, struct nx_error *err);

enum nx_js_change_kind { NX_JS_NOTHING, NX_JS_STREAM_IS, NX_JS_STREAM_WAS, NX_JS_STREAM_GONE };
struct nx_js_change {
    enum nx_js_change_kind kind;
    struct nx_js_entry *entry; /* NX_JS_STREAM_IS */
    uint64_t id;               /* NX_JS_STREAM_GONE: nothing of it is to be kept */
    void *served;              /* NX_JS_STREAM_WAS: the owner's, to be freed */
};
/** Take in a record of JETSTREAM, in the order of sequences. `change_out` says what came of it.
 * Errors: NX_DATA_LOSS           it is no record of ours: nothing was changed
 *         NX_RESOURCE_EXHAUSTED  out of memory, or NX_JS_STREAMS_MAX */
NX_MUST_CHECK enum nx_status nx_js_catalogue_take(struct nx_js_catalogue *catalogue,
                                                  const struct nx_record *record,
                                                  struct nx_js_change *change_out, struct nx_error *err);
