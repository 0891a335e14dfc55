/* src/codec/nats_config.h: the configuration language of NATS servers, read into a tree that remembers where
 * everything stood.
 *
 *   port: 4222                      a key, then ":", "=" or a space, then a value
 *   jetstream { max_mem = 1Gi }     maps; members end with the line, "," or ";"
 *   users [ a, "b c", 'd' ]         lists; bare words, strings with and without escapes
 *   TOKEN: $FROM_ENVIRONMENT        a key seen before in this map or one around it, else the environment
 *   include ./users.conf            its members, as if they stood here
 *   key (                           a block: the text up to a line that is only ")"
 *   )
 *
 * Comments begin with # or //. Whole numbers may have a suffix: k, m, g, t, p, e (powers of 1000), with b, i
 * or ib behind it powers of 1024. A bare word that begins with $2a$ is a bcrypt hash, no variable. A key
 * given twice in one map has its last value, as in nats-server, so that a file can override what it includes.
 * Keys compare without regard to case; names of variables do not. The whole file may stand in braces.
 *
 * Stricter than nats-server: a quote or bracket inside a bare key, a quote inside a bare word, a number that
 * 64 bits do not hold, and text that is not UTF-8 are refused, for what they would mean is not what was
 * written.
 *
 * Reads no file by itself: the caller's `read` does, so this stays a pure function of what it is given. A
 * tree is immutable once parsed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/own.h"
#include "base/str.h"

enum {
    NX_NATS_CONFIG_SIZE_MAX = 1024 * 1024, /* bytes of a file, and of a variable */
    NX_NATS_CONFIG_DEPTH_MAX = 32,         /* maps and lists inside each other */
    NX_NATS_CONFIG_NODES_MAX = 100 * 1000, /* values, those that variables repeat included */
    NX_NATS_CONFIG_MEMBERS_MAX = 8192,     /* of one map */
    NX_NATS_CONFIG_INCLUDES_MAX = 64,      /* files in all */
    NX_NATS_CONFIG_NESTING_MAX = 8,        /* includes, or variables, inside each other */
};

enum nx_nats_node_kind {
    NX_NATS_NODE_STRING,
    NX_NATS_NODE_INTEGER,
    NX_NATS_NODE_REAL,
    NX_NATS_NODE_BOOL,
    NX_NATS_NODE_LIST,
    NX_NATS_NODE_MAP,
};

/* Borrowed from its configuration. NULL is a value that is not there. */
struct nx_nats_node {
    enum nx_nats_node_kind kind;
    bool boolean;
    bool has_suffix;            /* an integer: k, m… stood behind it */
    bool is_used;               /* a variable took its value from here: it need not be a known key */
    int64_t integer;            /* suffix applied */
    double real;                /* of a whole number too */
    struct nx_str text;         /* of a string, NUL behind it; any bytes, for \x can write them */
    struct nx_str key;          /* when it is in a map, as it was written, NUL behind it */
    struct nx_str file;         /* in which it stands */
    uint32_t line;              /* from 1; in a map, where the key stands */
    uint32_t column;            /* from 1, in bytes */
    struct nx_nats_node *first; /* of what is in it */
    struct nx_nats_node *last;
    struct nx_nats_node *next; /* in what it is in */
    size_t count;              /* of what is in it */
};

struct nx_nats_config;

struct nx_nats_config_source {
    /* Append the file to `content`. Any error; it is told with the place of the include. */
    enum nx_status (*read)(void *data, const char *path, struct nx_buf *content, struct nx_error *err);
    /* A variable of the environment; NULL: not set. Borrowed until the next call. */
    const char *(*variable)(void *data, const char *name);
    void *data;
};

/** Read `path` by source->read, and what it includes; paths of includes are relative to the file that names
 * them.
 * Ownership: `path` and `source` are borrowed for the call; the caller owns `*config_out`.
 * Errors:    NX_INVALID_ARGUMENT  "server.conf:3:14: …"; kind too-large: past a limit above
 *            NX_RESOURCE_EXHAUSTED  out of memory
 *            whatever source->read fails with */
NX_MUST_CHECK enum nx_status nx_nats_config_read(const char *path, const struct nx_nats_config_source *source,
                                                 struct nx_nats_config **config_out, struct nx_error *err);
void nx_nats_config_free(struct nx_nats_config *config); /* NULL allowed */
/** The map of the whole file. */
const struct nx_nats_node *nx_nats_config_root(const struct nx_nats_config *config);

/** The member of this name, in any case of letters; the last one where several differ only in that. NULL when
 * there is none or `map` is no map. */
const struct nx_nats_node *nx_nats_node_get(const struct nx_nats_node *map, const char *key);
/** "a map", "a list", "a string", "a whole number", "a number", "true or false"; static storage. */
const char *nx_nats_node_kind_name(enum nx_nats_node_kind kind);
/** Start an NX_INVALID_ARGUMENT error at the value: "file:line:column: …". */
enum nx_status nx_nats_node_fail(struct nx_error *err, const struct nx_nats_node *node, const char *format,
                                 ...) NX_PRINTF(3, 4);

/* Typed getters. Each writes `_out` only on NX_OK; else NX_INVALID_ARGUMENT with the place, what was expected
 * and what was found. */
NX_MUST_CHECK enum nx_status nx_nats_node_expect(const struct nx_nats_node *node, enum nx_nats_node_kind kind,
                                                 struct nx_error *err);
/** Borrowed from the configuration. */
NX_MUST_CHECK enum nx_status nx_nats_node_to_str(const struct nx_nats_node *node, struct nx_str *str_out,
                                                 struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_nats_node_to_bool(const struct nx_nats_node *node, bool *value_out,
                                                  struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_nats_node_to_i64(const struct nx_nats_node *node, int64_t min, int64_t max,
                                                 int64_t *value_out, struct nx_error *err);
/** A string such as "2m" or "1.5s", or a number of seconds; in nanoseconds, not negative. */
NX_MUST_CHECK enum nx_status nx_nats_node_to_duration(const struct nx_nats_node *node, int64_t *ns_out,
                                                      struct nx_error *err);

NX_DEFINE_AUTO(nx_nats_config, nx_nats_config_free)
