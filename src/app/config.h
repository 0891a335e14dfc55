/* src/app/config.h: nexus.yaml: where the server listens, where data lives, what runs when.
 *
 * All mistakes are found in one go; each is one line "nexus.yaml:7:5: what is wrong, what was expected", with
 * the nearest right word where a word was mistyped. Paths in the file are relative to the file's folder. The
 * keys are those of spec/nexus.schema.json (config_test.c checks that they agree). Immutable once loaded,
 * except by nx_config_set_listen(). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/own.h"
#include "base/str.h"
#include "fabric/fabric.h"
#include "io/file.h"
#include "platform/function/function.h"
#include "server/nats/options.h"

enum {
    NX_CONFIG_FUNCTIONS_MAX = 1024,
    NX_CONFIG_STREAMS_MAX = 64,
    NX_CONFIG_PROBLEMS_SIZE_MAX = 64 * 1024, /* bytes of explanations */
};

/* What `streams:` says of one stream; fields not given are has_… = false. */
struct nx_config_stream {
    struct nx_str name;
    int64_t age_max_ns; /* 0: no limit */
    uint64_t size_max;  /* bytes; 0: no limit */
    enum nx_sync_policy sync;
    bool has_age;
    bool has_size;
    bool has_sync;
};

/* Where a face listens. */
struct nx_config_address {
    struct nx_str host; /* on this machine's loopback, but for NATS with credentials */
    uint16_t port;      /* 0: any free one */
};

struct nx_config {
    struct nx_arena arena; /* owns every string and the functions */
    struct nx_str file;    /* as the person wrote it; NUL behind it, as behind every path here */
    struct nx_str folder;  /* of the file: "." or longer */
    struct nx_str project; /* the folder's own name */
    struct nx_config_address http;
    struct nx_config_address nats;       /* host empty: NATS is not served */
    struct nx_nats_options nats_options; /* but where it listens and its name; secrets: never show them */
    struct nx_str nats_missing;          /* a variable of the environment that is not set; empty: all are */
    struct nx_str data;                  /* the data directory, from here, not from the file's folder */
    uint64_t disk_budget;
    struct nx_config_stream streams[NX_CONFIG_STREAMS_MAX];
    size_t stream_count;
    struct nx_person_rule people[NX_PERSON_RULES_MAX];
    size_t people_count;
    struct nx_function *functions;
    size_t function_count;
};

/** Read text that stood in `file`.
 * Ownership: the caller ends `*config_out` by nx_config_free(); strings are copied. `problems_out` is the
 *            caller's, given at least NX_CONFIG_PROBLEMS_SIZE_MAX as its maximum.
 * Errors:    NX_INVALID_ARGUMENT     `problems_out` holds one line for each mistake; the error counts them
 *            NX_RESOURCE_EXHAUSTED   out of memory */
NX_MUST_CHECK enum nx_status nx_config_parse(struct nx_str file, struct nx_str text,
                                             struct nx_config **config_out, struct nx_buf *problems_out,
                                             struct nx_error *err);
/** Read the file; as nx_config_parse(). Errors: also NX_NOT_FOUND, with a hint, and what the disk says. */
NX_MUST_CHECK enum nx_status nx_config_load(struct nx_disk *disk, const char *path,
                                            struct nx_config **config_out, struct nx_buf *problems_out,
                                            struct nx_error *err);
/** As nx_config_load(), and print the mistakes on standard error. */
NX_MUST_CHECK enum nx_status nx_config_load_and_explain(const char *path, struct nx_config **config_out,
                                                        struct nx_error *err);
/** Replace `address`, one of this configuration's, by that of "127.0.0.1:8080", "[::1]:0", "localhost:8080"
 * or ":8080". Errors: NX_INVALID_ARGUMENT  not such a text, or not a loopback address */
NX_MUST_CHECK enum nx_status nx_config_set_listen(struct nx_config *config, struct nx_config_address *address,
                                                  struct nx_str text, struct nx_error *err);
void nx_config_free(struct nx_config *config); /* NULL allowed */
/** `path` seen from the file's folder, in the arena, NUL behind it; ptr NULL when out of memory. */
struct nx_str nx_config_resolve(struct nx_config *config, struct nx_str path);

NX_DEFINE_AUTO(nx_config, nx_config_free)
