/* src/codec/yaml.h: YAML 1.2 read into a tree that remembers where everything stood. The one home of
 * libfyaml.
 *
 * Scalars stay text; the typed getters read them by the core schema and fail with "file:line:column: …". One
 * document; keys that are not plain text, anchors, aliases, merge keys, tags and directives are refused, so a
 * small file cannot become a large tree. What stands under a key that its mapping has already is no part of
 * the tree: nx_yaml_duplicates() lists it, for whoever must name all mistakes at once. Pure functions; a
 * document is immutable once parsed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "base/str.h"

enum {
    NX_YAML_SIZE_MAX = 512 * 1024, /* bytes of text */
    NX_YAML_DEPTH_MAX = 32,        /* mappings and sequences inside each other */
    NX_YAML_NODES_MAX = 100 * 1000,
    NX_YAML_DUPLICATES_MAX = 100 /* keys that stand in their mapping again */
};

enum nx_yaml_kind { NX_YAML_SCALAR, NX_YAML_SEQUENCE, NX_YAML_MAPPING };

struct nx_yaml_doc;

/* Borrowed from its document. NULL is a node that is not there. */
struct nx_yaml_node {
    enum nx_yaml_kind kind;
    bool is_quoted;     /* a scalar in quotes or a block: never a number, a boolean or null */
    uint32_t line;      /* from 1 */
    uint32_t column;    /* from 1, in characters */
    struct nx_str text; /* of a scalar, UTF-8, NUL behind it */
    struct nx_str key;  /* when it is in a mapping, NUL behind it */
    uint32_t key_line;
    uint32_t key_column;
    uint32_t first_key_line;          /* of a duplicate: where its key stands first */
    const struct nx_yaml_node *first; /* of what is in it */
    const struct nx_yaml_node *next;  /* in what it is in */
    size_t count;                     /* of what is in it */
    const struct nx_yaml_doc *doc;
};

/** Parse one document. An empty one is an empty mapping. `file` is the name for messages.
 * Ownership: `text` and `file` are borrowed for the call; the caller owns `*doc_out`.
 * Errors:    NX_INVALID_ARGUMENT  "nexus.yaml:3:14: …"; kind too-large: past a limit above
 *            NX_RESOURCE_EXHAUSTED  out of memory */
NX_MUST_CHECK enum nx_status nx_yaml_parse(struct nx_str file, struct nx_str text,
                                           struct nx_yaml_doc **doc_out, struct nx_error *err);
void nx_yaml_doc_free(struct nx_yaml_doc *doc); /* NULL allowed */
const struct nx_yaml_node *nx_yaml_root(const struct nx_yaml_doc *doc);
struct nx_str nx_yaml_file(const struct nx_yaml_doc *doc);
/** The first of the values whose keys their mapping had already, in the file's order, linked by `next`. NULL
 * when there is none: a document with any is not to be trusted. */
const struct nx_yaml_node *nx_yaml_duplicates(const struct nx_yaml_doc *doc);

/** The value of this key; NULL when there is none or `mapping` is not a mapping. */
const struct nx_yaml_node *nx_yaml_get(const struct nx_yaml_node *mapping, const char *key);
/** True for a plain scalar that is empty, ~ or null. */
bool nx_yaml_is_null(const struct nx_yaml_node *node);
/** "a mapping", "a list", "a value"; static storage. */
const char *nx_yaml_kind_name(enum nx_yaml_kind kind);

/** Start an NX_INVALID_ARGUMENT error at the node's value: "file:line:column: …". */
enum nx_status nx_yaml_fail(struct nx_error *err, const struct nx_yaml_node *node, const char *format, ...)
    NX_PRINTF(3, 4);
/** As nx_yaml_fail(), at the node's key. */
enum nx_status nx_yaml_fail_at_key(struct nx_error *err, const struct nx_yaml_node *node, const char *format,
                                   ...) NX_PRINTF(3, 4);

/* Typed getters. Each writes `_out` only on NX_OK; else NX_INVALID_ARGUMENT with the place, what was expected
 * and what was found. */
NX_MUST_CHECK enum nx_status nx_yaml_expect(const struct nx_yaml_node *node, enum nx_yaml_kind kind,
                                            struct nx_error *err);
/** Any scalar but null; borrowed from the document. */
NX_MUST_CHECK enum nx_status nx_yaml_to_str(const struct nx_yaml_node *node, struct nx_str *str_out,
                                            struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_yaml_to_bool(const struct nx_yaml_node *node, bool *value_out,
                                             struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_yaml_to_u64(const struct nx_yaml_node *node, uint64_t min, uint64_t max,
                                            uint64_t *value_out, struct nx_error *err);
NX_MUST_CHECK enum nx_status nx_yaml_to_double(const struct nx_yaml_node *node, double min, double max,
                                               double *value_out, struct nx_error *err);
/** A duration as nx_duration_parse() reads it, in nanoseconds. */
NX_MUST_CHECK enum nx_status nx_yaml_to_duration(const struct nx_yaml_node *node, int64_t *ns_out,
                                                 struct nx_error *err);
/** A size as nx_size_parse() reads it, in bytes. */
NX_MUST_CHECK enum nx_status nx_yaml_to_size(const struct nx_yaml_node *node, uint64_t *bytes_out,
                                             struct nx_error *err);

NX_DEFINE_AUTO(nx_yaml_doc, nx_yaml_doc_free)
