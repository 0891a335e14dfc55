/* src/app/config_internal.h: reading mappings by tables, shared by config.c and config_function.c.
 *
 * A table names the keys of one mapping and how each is read into a struct. Reading never stops at a mistake:
 * it notes one line and goes on. */
#pragma once

#include "app/config.h"
#include "codec/yaml.h"

struct nx_config_reader {
    struct nx_config *config;
    struct nx_buf *problems; /* borrowed */
    size_t problem_count;
};

enum nx_config_field_kind {
    NX_FIELD_TEXT,     /* struct nx_str, copied into the arena */
    NX_FIELD_DURATION, /* int64_t, nanoseconds */
    NX_FIELD_SIZE,     /* uint64_t, bytes */
    NX_FIELD_U32,
    NX_FIELD_DOUBLE,
    NX_FIELD_CUSTOM, /* by `read` */
};

struct nx_config_field {
    const char *key;
    enum nx_config_field_kind kind;
    bool required;
    size_t offset; /* of the member in the target */
    double min;    /* durations in ns, sizes in bytes; ignored for texts and when both are 0 */
    double max;
    const char *range; /* min and max for people */
    void (*read)(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target);
};

/** Note a mistake at the node's value, or at its key. */
void nx_config_problem(struct nx_config_reader *reader, const struct nx_yaml_node *node, const char *format,
                       ...) NX_PRINTF(3, 4);
void nx_config_problem_at_key(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                              const char *format, ...) NX_PRINTF(3, 4);
/** Note what a getter of codec/yaml said; its message has the place. */
void nx_config_problem_from(struct nx_config_reader *reader, const struct nx_error *err);
/** Read the mapping by the table; `what` names it in messages. False when it is not a mapping. */
bool nx_config_read_mapping(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                            const char *what, const struct nx_config_field *fields, size_t field_count,
                            void *target);
/** Copy a text into the arena; false when the node is no text. */
bool nx_config_read_text(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                         struct nx_str *text_out);
/** The index of the word the node holds; false, with a mistake noted, when it is none of them. */
bool nx_config_read_word(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                         const char *const *words, size_t word_count, size_t *index_out);
/** Read `filters:`, a list of filters in CloudEvents' form, all of which must hold. NULL, with its mistakes
 * noted, when it cannot be read. */
const struct nx_event_filter *nx_config_read_filters(struct nx_config_reader *reader,
                                                     const struct nx_yaml_node *node);
/** Read `cors:` of a function. NULL when there is no memory. */
const struct nx_cors *nx_config_read_cors(struct nx_config_reader *reader, const struct nx_yaml_node *node);
/** Read a text that names something in an event: an attribute, or a path such as data.user_id. False, with a
 * mistake noted, when it cannot. */
bool nx_config_read_event_path(struct nx_config_reader *reader, const struct nx_yaml_node *node,
                               struct nx_str *path_out);
/** Read `people:`, a mapping from types of events to where these name a person. */
void nx_config_read_people(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target);
/** Read `nats:`, who may connect to the NATS face. */
void nx_config_read_nats(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target);
/** Read `functions:`, a sequence of mappings. */
void nx_config_read_functions(struct nx_config_reader *reader, const struct nx_yaml_node *node, void *target);
